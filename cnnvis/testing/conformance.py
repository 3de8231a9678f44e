"""What every plugin must hold to, as checks that run against anybody's.

From a terminal, ``cnnvis test-plugin my-method``; in a package's tests::

    import cnnvis.testing

    test_my_method = cnnvis.testing.conformance("my-method")

A technique is run on small networks over one, two and three axes, with channels first and last, with
several inputs; on one sample and on many, in another order, twice; on networks of other weights and
other targets; on what it must refuse. What it claims (`cnnvis.registry.plugin.Claim`) is held against closed
forms. The other kinds of plugins are held to what their decorators promise.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from cnnvis.api.run import run
from cnnvis.data.explanation import Explanation, axis_names
from cnnvis.data.loaded_network import LoadedNetwork
from cnnvis.data.samples import Array, Samples
from cnnvis.data.stream import Stream
from cnnvis.errors import PluginError, UserError
from cnnvis.execution.calls import call_plugin
from cnnvis.files.reading import require_regular
from cnnvis.network.backend import keras
from cnnvis.network.model import Model
from cnnvis.registry.discovery import Registry, registry, using
from cnnvis.registry.options import checked, options_of
from cnnvis.registry.plugin import BUILT_IN, Plugin, plugin_of
from cnnvis.reporting import notes_kept

HEAVY = (
    *("tensorflow", "keras", "tf_keras", "torch", "jax", "matplotlib", "scipy", "pandas"),
    *("sklearn", "skimage", "cv2"),
)
"""Modules that take too long to import for a command that only lists or helps."""

COMPLETE_WITHIN = 0.05
"""How far a sum of maps may be off the difference of scores, as a share of the largest: methods that
integrate do so in steps."""


class Violation(AssertionError):
    """What a plugin does against the agreement, in a sentence."""


class NotApplicable(Exception):
    """Why a check says nothing of a plugin, in a sentence."""


@dataclass(frozen=True)
class Check:
    """One thing that a plugin must hold to.

    Called, it raises `Violation` if the plugin does not, and `NotApplicable` if the question does
    not arise.
    """

    name: str
    function: Callable[[], None]

    def __call__(self) -> None:
        """Run the check."""
        try:
            self.function()
        except PluginError as error:
            raise Violation(str(error)) from error


def checks(
    plugin: str | Callable[..., Any], *, file: Path | None = None, **options: Any
) -> list[Check]:
    """Everything that a plugin is held to.

    Parameters
    ----------
    plugin
        Its name, or its function.
    file
        For a reader or loader: a file that it takes.
    options
        Options of the plugin to run it with, where its defaults do not fit small networks.

    Raises
    ------
    UserError
        If there is no such plugin or option.
    """
    known = registry()
    if isinstance(plugin, str):
        found = _named(known, plugin)
    else:
        marked = plugin_of(plugin)
        if marked is None:
            raise UserError(f"{plugin!r} is no plugin: decorate it with cnnvis.technique, say")
        found = replace(marked, distribution=plugin.__module__.partition(".")[0])
        known = Registry(only=registry().only)
        found = known.add(found)
    if found.missing:
        raise UserError(f"{found.name} cannot run: {found.missing}")
    checked(found, options)
    subject = _Subject(known, found, options)
    every = {
        "its options are documented and their defaults are valid": lambda: _documented(found),
        "importing it imports nothing heavy": lambda: _light(found),
    }
    match found.kind:
        case "technique" if (found.gives or "images") == "images":
            every |= _checks_of_maps(subject)
        case "technique":
            every |= _checks_of_others(subject)
        case "transform":
            every |= _checks_of_transforms(subject)
        case "renderer":
            every |= _checks_of_renderers(subject)
        case "reader":
            every |= _checks_of_readers(subject, file)
        case "loader":
            every |= _checks_of_loaders(subject, file)
    return [Check(name, _within(known, function)) for name, function in every.items()]


def conformance(plugin: str | Callable[..., Any], **options: Any) -> Callable[..., None]:
    """A test for pytest that runs every check: ``test_it = cnnvis.testing.conformance("mine")``.

    The arguments are those of `checks`. The plugin is looked up when the test runs.
    """
    import pytest

    def test_conformance(check: Check) -> None:
        try:
            check()
        except NotApplicable as reason:
            pytest.skip(str(reason))

    try:
        every = checks(plugin, **options)
    except (UserError, PluginError) as error:
        reason = error

        def refused() -> None:
            raise reason

        every = [Check("it can be used", refused)]
    mark = pytest.mark.parametrize("check", every, ids=lambda check: check.name.replace(" ", "-"))
    return mark(test_conformance)


@dataclass(frozen=True)
class _Subject:
    """A plugin under test, and how it is called."""

    known: Registry
    plugin: Plugin
    options: Mapping[str, Any]

    def explained(self, network: Any, data: Any, **more: Any) -> Explanation:
        """What a technique makes of a network, run as a person would run it."""
        return run(self.plugin.name, network, data=data, **{**self.options, **more})

    def called(self, network: Any, samples: Samples) -> Explanation:
        """What a technique makes of these very samples, with nothing around it."""
        model = Model(network)
        (shaped,) = model.shaped(samples).values()
        subject = {"model": model, "samples": shaped}
        given = {name: one for name, one in subject.items() if self.plugin.takes(name)}
        found: Explanation = call_plugin(self.plugin, **given, **checked(self.plugin, self.options))
        return found

    def maps(self, network: Any, data: Any, **more: Any) -> Array:
        """Its maps, (n, ...)."""
        return self.explained(network, data, **more).array

    @property
    def watched(self) -> _Subject:
        """The same, looked at more closely: as no built-in plugin is at every call."""
        plugin = self.plugin
        if plugin.distribution == BUILT_IN:
            plugin = replace(plugin, distribution=f"{BUILT_IN} itself")
        return replace(self, plugin=plugin)


def _named(known: Registry, name: str) -> Plugin:
    fitting = [plugin for plugin in known if plugin.name == name]
    if fitting:
        return fitting[0]
    return known.step(name)


def _within(known: Registry, function: Callable[[], None]) -> Callable[[], None]:
    def within() -> None:
        with using(known):
            function()

    return within


# Networks and data


def _network(
    axes: int, *, first: bool = False, seed: int = 1, inputs: int = 1, constant: float = 0.3
) -> Any:
    """A small network over so many axes with three classes, the same for the same seed."""
    layers = keras().layers
    form: dict[str, Any] = {"data_format": "channels_first" if first else "channels_last"}
    convolution = getattr(layers, f"Conv{axes}D")
    pooling = getattr(layers, f"MaxPooling{axes}D")
    shape = _shape(axes, first=first)
    entries, ends = [], []
    for number in range(inputs):
        entry = keras().Input(shape, name=f"input_{number}")
        flow = convolution(4, 3, activation="relu", padding="same", **form)(entry)
        flow = pooling(2, **form)(flow)
        flow = convolution(5, 3, activation="relu", padding="same", **form)(flow)
        entries.append(entry)
        ends.append(layers.Flatten()(flow))
    joined = ends[0] if inputs == 1 else layers.Concatenate()(ends)
    output = layers.Dense(3, activation="softmax", name="output")(joined)
    network = keras().Model(entries[0] if inputs == 1 else entries, output)
    return _weighted(network, seed, constant)


def _linear(channels: int, seed: int = 1) -> Any:
    """A network whose score is w x + b."""
    layers = keras().layers
    entry = keras().Input((6, 5, channels), name="input")
    output = layers.Dense(1, name="output")(layers.Flatten()(entry))
    return _weighted(keras().Model(entry, output), seed, 0.3)


def _weighted(network: Any, seed: int, constant: float) -> Any:
    rng = np.random.default_rng(seed)
    network.set_weights(
        [
            rng.normal(0, 1 / np.sqrt(np.prod(one.shape[:-1]) or 1), one.shape)
            if one.ndim > 1
            else rng.normal(constant, 0.1, one.shape)
            for one in network.get_weights()
        ]
    )
    return network


def _shape(axes: int, *, first: bool = False) -> tuple[int, ...]:
    space = {1: (24,), 2: (12, 10), 3: (8, 6, 10)}[axes]
    return (2, *space) if first else (*space, 2)


def _data(shape: Sequence[int], count: int = 4, seed: int = 5) -> Array:
    return np.random.default_rng(seed).normal(0.3, 1, (count, *shape)).astype(np.float32)


# What is asked of every plugin


def _documented(plugin: Plugin) -> None:
    if not plugin.summary:
        raise Violation(f"{plugin.name} has no docstring, so help would say nothing of it")
    without = [option.name for option in options_of(plugin) if not option.help]
    if without:
        raise Violation(
            f"the docstring says nothing of {', '.join(without)}: list each option under Parameters, "
            "in NumPy's style"
        )
    for option in options_of(plugin):
        try:
            checked(replace(plugin, check=None), {option.name: option.default})
        except UserError as error:
            raise Violation(f"the default is not one that could be typed: {error}") from None


def _light(plugin: Plugin) -> None:
    module = sys.modules[plugin.function.__module__]
    path = getattr(module, "__file__", None)
    name = module.__name__
    if name.startswith("__") or path is None:
        raise NotApplicable("it is not imported from a module")
    loading = (
        f"import importlib.util as u; s = u.spec_from_file_location({name!r}, {path!r}); "
        f"m = u.module_from_spec(s); sys.modules[{name!r}] = m; s.loader.exec_module(m)"
        if name.startswith("cnnvis_plugin_file_")
        else f"import {name}"
    )
    program = (
        f"import sys; sys.path[:] = {sys.path!r}; {loading}; "
        f"print(*sorted({set(HEAVY)!r} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    if done.returncode:
        raise NotApplicable(f"{name} cannot be imported by itself: {done.stderr.strip()[-200:]}")
    if done.stdout.split():
        raise Violation(
            f"importing {name} imports {', '.join(done.stdout.split())}, and every command would "
            "wait for that: import it inside the function that uses it"
        )


PROCESS = "the rest of the process stays as it is"


def _process_unchanged(called: Callable[[], Any]) -> None:
    """Held against the border, which puts back what a plugin changes, and says so."""
    called()  # what is imported now and here may set up what it likes
    with notes_kept() as notes:
        called()
    for note in notes:
        if "which was put back" in note:
            raise Violation(note)


# Techniques that give a map for every image


def _checks_of_maps(subject: _Subject) -> dict[str, Callable[[], None]]:
    every: dict[str, Callable[[], None]] = {
        "it gives a map for every sample": lambda: _shaped(subject, 2, optional=False),
        "it works over one spatial axis": lambda: _shaped(subject, 1),
        "it works over three spatial axes": lambda: _shaped(subject, 3),
        "it works with channels first": lambda: _shaped(subject, 2, first=True),
        "it works with several inputs": lambda: _several_inputs(subject),
        "one sample alone gets the map that it gets among others": lambda: _alone(subject),
        "the order of the samples does not matter": lambda: _reordered(subject),
        "twice the same gives the same": lambda: _repeated(subject),
        "other weights give other maps": lambda: _other_weights(subject),
        "another class gives other maps": lambda: _other_class(subject),
        "the model stays as it is": lambda: _model_unchanged(
            lambda network: subject.explained(network, _data(_shape(2)))
        ),
        "the samples stay as they are": lambda: _samples_unchanged(subject),
        PROCESS: lambda: _technique_changes_nothing(subject),
        "no samples, or NaN, end in a sentence": lambda: _refusing(subject),
    }
    claims: dict[str, Callable[[_Subject, Mapping[str, Any]], None]] = {
        "gradient": _claims_gradient,
        "integrated-gradients": _claims_integrated_gradients,
        "complete": _claims_completeness,
    }
    for claim, options in subject.plugin.claims.items():
        if claim not in claims:
            every[f"its claim {claim!r} is known"] = partial(_unknown_claim, claim)
        else:
            every[f"its claim holds: {claim}"] = partial(claims[claim], subject, options)
    return every


def _shaped(subject: _Subject, axes: int, *, first: bool = False, optional: bool = True) -> None:
    data = _data(_shape(axes, first=first))
    with _may_refuse() if optional else _must_work():
        found = subject.explained(_network(axes, first=first), data)
    _require_maps(found, 4, _shape(axes), axes)


def _require_maps(found: Explanation, count: int, shape: Sequence[int], axes: int) -> None:
    if found.maps is None:
        raise Violation("it gave a table, and promised maps: say gives='table' in its decorator")
    maps = found.maps
    if len(maps) != count:
        raise Violation(f"it gave {len(maps)} maps for {count} samples")
    if maps.dtype != np.float32:
        raise Violation(f"its maps are {maps.dtype}, and should be float32")
    if not np.isfinite(maps).all():
        raise Violation("its maps hold NaN or infinite values")
    if found.samples is None:
        raise Violation("its explanation has no samples: give them to cnnvis.Explanation")
    if not np.array_equal(found.samples.indices, np.arange(count)):
        raise Violation("the samples of its explanation are not those that it was given")
    if len(found.space_axes()) != axes:
        raise Violation(
            f"for inputs with {axes} spatial axes, its maps of shape {maps.shape[1:]} have the axes "
            f"{', '.join(found.axes)}"
        )
    space = [maps.shape[axis] for axis in found.space_axes()]
    if space != list(shape[:-1]):
        raise Violation(
            f"its maps cover {space} positions, and the inputs have {list(shape[:-1])}: resize them"
        )


def _several_inputs(subject: _Subject) -> None:
    network = _network(2, inputs=2)
    data = {
        "input_0": _data(_shape(2), seed=5),
        "input_1": _data(_shape(2), seed=6),
    }
    with _may_refuse():
        found = subject.explained(network, data)
    if len(found.other_inputs) != 1:
        raise Violation(
            f"for a network with two inputs it gave {1 + len(found.other_inputs)} sets of maps: "
            + "; ".join(found.notes)
        )
    for one in (found, *found.other_inputs):
        _require_maps(one, 4, _shape(2), 2)
    alone = subject.explained(
        network, {name: one[2:3] for name, one in data.items()}, input="input_1"
    )
    _require_close(
        found.other_inputs[0].array[2:3], alone.array,
        "one sample of two inputs alone gets another map than among others: pass `of` to the model "
        "where rows are not samples",
    )  # fmt: skip


def _alone(subject: _Subject) -> None:
    network, data = _network(2), _data(_shape(2), 5)
    together = subject.maps(network, data)
    alone = np.concatenate([subject.maps(network, data[i : i + 1]) for i in range(5)])
    _require_close(together, alone, "a sample gets another map alone than among others")


def _reordered(subject: _Subject) -> None:
    network, data = _network(2), _data(_shape(2), 5)
    _require_close(
        subject.maps(network, data)[::-1], subject.maps(network, data[::-1]),
        "the same samples in another order get other maps",
    )  # fmt: skip


def _repeated(subject: _Subject) -> None:
    network, data = _network(2), _data(_shape(2))
    _require_close(
        subject.maps(network, data), subject.maps(network, data),
        "twice the same gave two results: draw random numbers from an option `seed`",
    )  # fmt: skip


def _other_weights(subject: _Subject) -> None:
    data = _data(_shape(2))
    one = subject.maps(_network(2, seed=1), data, filter=0)
    other = subject.maps(_network(2, seed=2), data, filter=0)
    if np.allclose(one, other, rtol=1e-3, atol=1e-3 * np.abs(one).max()):
        raise Violation("networks of other weights get the same maps, so these show the data alone")


def _other_class(subject: _Subject) -> None:
    network, data = _network(2), _data(_shape(2))
    one, other = (subject.maps(network, data, filter=number) for number in (0, 1))
    if np.allclose(one, other, rtol=1e-3, atol=1e-3 * np.abs(one).max()):
        raise Violation("another class gets the same maps, so these say nothing of the target")


def _model_unchanged(explained: Callable[[Any], Any]) -> None:
    network, data = _network(2), _data(_shape(2))
    before, answers = network.get_weights(), network.predict_on_batch(data)
    explained(network)
    after = network.get_weights()
    if any(not np.array_equal(a, b) for a, b in zip(before, after, strict=True)):
        raise Violation("it changed the weights of the network")
    if not np.array_equal(answers, network.predict_on_batch(data)):
        raise Violation("it changed what the network answers")


def _samples_unchanged(subject: _Subject) -> None:
    data = _data(_shape(2))
    copy, samples = data.copy(), Samples.of(data, np.array([0, 1, 2, 0]))
    found = subject.called(_network(2), samples)
    if not np.array_equal(copy, data):
        raise Violation("it changed the samples that it was given: work on a copy")
    if found.maps is not None and np.shares_memory(found.maps, data):
        raise Violation("its maps are the very array of the inputs: give a copy")
    if found.labels is None or found.labels.tolist() != [0, 1, 2, 0]:
        raise Violation("its explanation has lost the labels of the samples")


def _technique_changes_nothing(subject: _Subject) -> None:
    network, samples = _network(2), Samples.of(_data(_shape(2)), np.array([0, 1, 2, 0]))
    with _may_refuse():
        _process_unchanged(lambda: subject.watched.called(network, samples))


def _refusing(subject: _Subject) -> None:
    network, data = _network(2), _data(_shape(2))
    broken = data[:1].copy()  # of several, those with NaN are left out before a technique sees them
    broken[0, 3, 3, 0] = np.nan
    sick = _network(2)
    sick.set_weights([np.full_like(one, np.nan) for one in sick.get_weights()])
    for what, one, inputs in (
        ("no samples", network, data[:0]),
        ("a sample with NaN", network, broken),
        ("a network whose weights are NaN", sick, data),
    ):
        try:
            subject.explained(one, inputs)
        except UserError:
            continue
        except Exception as error:
            raise Violation(
                f"{what} should end in a cnnvis.UserError, and ended in "
                f"{type(error).__name__}: {error}"
            ) from error
        raise Violation(f"{what} should be refused, and was explained")


# Claims


def _unknown_claim(claim: str) -> None:
    raise Violation(
        f"it claims {claim!r}, and cnnvis knows gradient, integrated-gradients, complete"
    )


def _claims_gradient(subject: _Subject, options: Mapping[str, Any]) -> None:
    network = _linear(1)
    data = _data((6, 5, 1))
    weights = network.get_weights()[0].reshape(6, 5, 1)
    found = _without_channels(subject.explained(network, data, **options))
    expected = np.repeat(weights[None, ..., 0], len(data), axis=0)
    _require_close(found, expected, "for the score w x + b, its maps are not w")


def _claims_integrated_gradients(subject: _Subject, options: Mapping[str, Any]) -> None:
    for channels in (1, 2):
        network = _linear(channels)
        data = _data((6, 5, channels))
        weights = network.get_weights()[0].reshape(6, 5, channels)
        found = _without_channels(subject.explained(network, data, **options))
        expected = (weights * data).sum(axis=-1)
        _require_close(
            found, expected,
            "for the score w x + b and the baseline 0, its maps are not w x"
            + _guess(found, expected, weights, data),
        )  # fmt: skip


def _guess(found: Array, expected: Array, weights: Array, data: Array) -> str:
    """What the author most likely forgot, where that can be told."""
    if np.allclose(found, np.repeat(weights.sum(axis=-1)[None], len(data), 0), rtol=1e-3):
        return ", but w: the mean gradient is to be multiplied by the input minus the baseline"
    if np.allclose(found, abs(expected), rtol=1e-3):
        return ", but its size without the sign"
    return ""


def _claims_completeness(subject: _Subject, options: Mapping[str, Any]) -> None:
    network = _network(2)
    data = _data(_shape(2))
    found = subject.maps(network, data, filter=0, **options)
    model = Model(network, filters=0)
    difference = model.scores(data) - model.scores(np.zeros_like(data))
    sums = found.reshape(len(found), -1).sum(axis=1)
    off = np.abs(sums - difference).max()
    if off > COMPLETE_WITHIN * np.abs(difference).max():
        raise Violation(
            "its maps do not add up to the difference of scores S(x) - S(0): "
            + ", ".join(
                f"{total:.3g} for {wanted:.3g}"
                for total, wanted in zip(sums, difference, strict=True)
            )
        )


def _without_channels(found: Explanation) -> Array:
    """Maps with their channels, if they have any, added up."""
    axes = tuple(set(range(1, found.array.ndim)) - set(found.space_axes()))
    total: Array = found.array.sum(axis=axes)
    return total


# Techniques that give something else


def _checks_of_others(subject: _Subject) -> dict[str, Callable[[], None]]:
    def explained(network: Any) -> Explanation:
        samples = Samples.of(_data(_shape(2)), np.array([0, 1, 2, 0]))
        given = samples if subject.plugin.needs("samples") else None
        return subject.explained(network, given, layer="output")

    def gives() -> None:
        with _must_work():
            found = explained(_network(2))
        if (subject.plugin.gives == "table") is not (found.table is not None):
            raise Violation(
                f"it promised {subject.plugin.gives} and gave "
                f"{'maps' if found.table is None else 'a table'}"
            )

    def repeats() -> None:
        network = _network(2)
        one, other = explained(network), explained(network)
        if one.table is not None or other.table is not None:
            if one.table != other.table:
                raise Violation("twice the same gave two tables")
        else:
            _require_close(
                one.array, other.array,
                "twice the same gave two results: draw random numbers from an option `seed`",
            )  # fmt: skip

    return {
        "it gives what it promises": gives,
        "twice the same gives the same": repeats,
        "the model stays as it is": lambda: _model_unchanged(explained),
        PROCESS: lambda: _technique_changes_nothing(subject),
    }


# Transforms


def _explanation(axes: int, seed: int = 7, count: int = 4) -> Explanation:
    data = _data(_shape(axes), count)
    maps = np.random.default_rng(seed).normal(size=(count, *_shape(axes)[:-1])).astype(np.float32)
    labels = np.arange(count) % 2
    samples = Samples.of(data, labels, class_names=("no", "yes"))
    return Explanation(maps, samples, provenance={"technique": "test", "options": {}})


def _group_explanation(axes: int, seed: int = 7) -> Explanation:
    maps = np.random.default_rng(seed).normal(size=(2, *_shape(axes)[:-1]))
    return Explanation(
        maps.astype(np.float32),
        axes=axis_names(axes, None),
        groups=("no", "yes"),
        provenance={"technique": "test", "options": {}},
    )


def _checks_of_transforms(subject: _Subject) -> dict[str, Callable[[], None]]:
    plugin = subject.plugin
    closely = subject.watched.plugin
    of_groups = "images" not in plugin.takes_results

    def made(axes: int, seed: int = 7) -> Explanation:
        return _group_explanation(axes, seed) if of_groups else _explanation(axes, seed)

    def transformed(*given: Explanation, plugin: Plugin = plugin) -> Explanation:
        if plugin.takes("explanations"):
            return _one_explanation(call_plugin(plugin, list(given), **subject.options))
        if plugin.takes("stream"):
            return _one_explanation(
                call_plugin(plugin, Stream(lambda: given[:1]), **subject.options)
            )
        return _one_explanation(call_plugin(plugin, given[0], **subject.options))

    def works(axes: int) -> Callable[[], None]:
        def function() -> None:
            with _may_refuse():
                transformed(made(axes), made(axes, 8))

        return function

    def keeps() -> None:
        given = made(2), made(2, 8)
        copies = [one.array.copy() for one in given]
        with _may_refuse():
            found = transformed(*given)
        if any(not np.array_equal(a.array, b) for a, b in zip(given, copies, strict=True)):
            raise Violation("it changed the maps that it was given: work on a copy")
        if plugin.gives is None and found.samples is not None and given[0].samples is not None:
            known = set(given[0].samples.indices.tolist())
            if not set(found.samples.indices.tolist()) <= known:
                raise Violation("its maps belong to images that it was not given")

    def leaves() -> None:
        given = made(2), made(2, 8)
        with _may_refuse():
            _process_unchanged(lambda: transformed(*given, plugin=closely))

    def alone() -> None:
        if not plugin.takes("explanation") or of_groups:
            raise NotApplicable("it takes all maps at once")
        with _may_refuse():
            together = transformed(made(2))
        parts = [transformed(made(2)[[i]]) for i in range(4)]
        _require_close(
            together.array, np.concatenate([part.array for part in parts]),
            "a map alone is changed otherwise than among others: take a `stream` to see them all",
        )  # fmt: skip

    return {
        "it works over one spatial axis": works(1),
        "it works over two spatial axes": works(2),
        "it works over three spatial axes": works(3),
        "what it is given stays as it is": keeps,
        "a map alone is treated as among others": alone,
        PROCESS: leaves,
    }


def _one_explanation(answer: Any) -> Explanation:
    if not isinstance(answer, Explanation):
        parts = list(answer)
        if not all(isinstance(part, Explanation) for part in parts):
            raise Violation(f"it gave {type(answer).__name__}, not an Explanation")
        return Explanation.joined(parts)
    return answer


# Renderers


def _checks_of_renderers(subject: _Subject) -> dict[str, Callable[[], None]]:
    plugin = subject.plugin

    def shown(explanation: Explanation, plugin: Plugin = plugin) -> None:
        before = None if explanation.maps is None else explanation.maps.copy()
        options = checked(plugin, subject.options)
        with _may_refuse():
            if plugin.suffixes:
                with tempfile.TemporaryDirectory() as folder:
                    path = Path(folder) / f"drawn{plugin.suffixes[0]}"
                    call_plugin(plugin, explanation, path, **options)
                    if not path.is_file() or path.stat().st_size == 0:
                        raise Violation(
                            f"it wrote nothing to the path that it was given, {path.name}"
                        )
                    others = {one.name for one in Path(folder).iterdir()} - {path.name}
                    if others:
                        raise Violation(f"it wrote other files than it was told to: {others}")
            else:
                from rich.console import Console

                console = Console(record=True, file=tempfile.TemporaryFile("w"), width=100)  # noqa: SIM115
                call_plugin(plugin, explanation, console, **options)
                if not console.export_text().strip():
                    raise Violation("it printed nothing to the console that it was given")
        if before is not None and not np.array_equal(before, explanation.array):
            raise Violation("it changed the maps that it was given: work on a copy")

    table = Explanation(
        table={"layer": ["a", "b"], "parameters": [1, 2]},
        provenance={"technique": "test", "options": {}},
    )
    return {
        "it shows maps over one spatial axis": lambda: shown(_explanation(1)),
        "it shows maps over two spatial axes": lambda: shown(_explanation(2)),
        "it shows maps over three spatial axes": lambda: shown(_explanation(3)),
        "it shows a single map": lambda: shown(_explanation(2, count=1)),
        "it shows maps of groups": lambda: shown(_group_explanation(2)),
        "it shows a table": lambda: shown(table),
        PROCESS: lambda: _process_unchanged(lambda: shown(_explanation(2), subject.watched.plugin)),
    }


# Readers and loaders


def _checks_of_readers(subject: _Subject, file: Path | None) -> dict[str, Callable[[], None]]:
    def reads() -> None:
        path = _given(file)
        found = call_plugin(subject.plugin, path, **checked(subject.plugin, subject.options))
        if not isinstance(found, Samples):
            raise Violation(f"it gave {type(found).__name__}, not cnnvis.Samples")
        whole = found.x
        if len(whole) != len(found):
            raise Violation(f"it holds {len(whole)} samples, and says {len(found)}")
        some = list(range(len(found)))[::-2]
        if not np.array_equal(found[some].x, whole[some], equal_nan=True):
            raise Violation("samples picked out are not those at the same places of the whole")

    def leaves() -> None:
        path, closely = _given(file), subject.watched.plugin
        _process_unchanged(
            lambda: call_plugin(closely, path, **checked(closely, subject.options)).x
        )

    return {"it reads its file, whole and in parts": reads, PROCESS: leaves}


def _checks_of_loaders(subject: _Subject, file: Path | None) -> dict[str, Callable[[], None]]:
    def loads() -> None:
        path = _given(file)
        found = call_plugin(subject.plugin, path, **checked(subject.plugin, subject.options))
        if not isinstance(found, LoadedNetwork):
            raise Violation(f"it gave {type(found).__name__}, not cnnvis.LoadedNetwork")
        _ = Model(found).layers

    def leaves() -> None:
        path, closely = _given(file), subject.watched.plugin
        _process_unchanged(lambda: call_plugin(closely, path, **checked(closely, subject.options)))

    return {"it loads its file as a network": loads, PROCESS: leaves}


def _given(file: Path | None) -> Path:
    if file is None:
        raise NotApplicable("no file was given to try it on")
    if not file.is_dir():
        require_regular(file)
    return file


# Comparing


@contextmanager
def _may_refuse() -> Iterator[None]:
    """A sentence that says why something cannot be is as good an answer as a result."""
    try:
        yield
    except UserError as error:
        raise NotApplicable(f"it says that it cannot: {error}") from None


@contextmanager
def _must_work() -> Iterator[None]:
    try:
        yield
    except UserError as error:
        raise Violation(
            f"it refused an ordinary network: {error} (give options with which it works)"
        ) from None


def _require_close(one: Array, other: Array, sentence: str) -> None:
    if one.shape != other.shape:
        raise Violation(f"{sentence}: of shape {one.shape} and {other.shape}")
    scale = float(max(np.abs(one).max(initial=0), np.abs(other).max(initial=0)))
    off = float(np.abs(one - other).max(initial=0))
    if off > 1e-3 * scale:
        raise Violation(f"{sentence}; they differ by {off:.2g}, where values reach {scale:.2g}")
