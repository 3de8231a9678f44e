"""Chains: techniques push results on a stack, transforms change them, renderers show them.

A result is a stream of batches that is computed while somebody goes through it, so that a million
images take the memory of one batch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from cnnvis import demo
from cnnvis.compiling import batch_size
from cnnvis.coordinates import Axis, axes_of
from cnnvis.errors import UserError
from cnnvis.explanation import Explanation
from cnnvis.model import Model, units_kept
from cnnvis.options import checked
from cnnvis.plugin import Plugin, Result
from cnnvis.registry import registry
from cnnvis.reporting import note, notes_kept, progress, quietly
from cnnvis.runner import (
    RESULTS,
    completed,
    destination,
    paired,
    provenance_of,
    require_writable,
    write,
)
from cnnvis.samples import Samples
from cnnvis.sources import PathName, PluginOptions, model_of, samples_of

BATCH = 128
"""How many images go through a chain at a time."""


@dataclass(frozen=True)
class Step:
    """One step of a chain: a plugin with options, as they were given."""

    plugin: Plugin
    given: Mapping[str, Any] = field(default_factory=dict)

    @property
    def options(self) -> dict[str, Any]:
        """All its options, checked."""
        return checked(self.plugin, self.given)


StepLike = str | tuple[str, Mapping[str, Any]] | Step


class Stream:
    """A result on its way: batches of explanations, computed whenever somebody goes through them.

    Parameters
    ----------
    batches
        Gives the batches; called anew for each time through.
    """

    def __init__(self, batches: Callable[[], Iterable[Explanation]]) -> None:
        self._batches = batches

    def __iter__(self) -> Iterator[Explanation]:
        return iter(self._batches())

    def first(self, count: int) -> tuple[Explanation, bool]:
        """The first so many maps, and whether there may be more: later batches are not computed."""
        parts: list[Explanation] = []
        for batch in self:
            parts.append(batch)
            if sum(map(len, parts)) > count:
                return Explanation.joined(parts)[range(count)], True
        self._batches = lambda: parts
        return self.whole(), False

    def whole(self) -> Explanation:
        """All batches as one explanation; from then on they are kept."""
        batches = list(self)
        # A batch of which nothing was selected is none.
        filled = [one for one in batches if len(one)]
        if not filled:
            raise UserError("nothing is left of the images to show")
        joined = Explanation.joined(filled)
        self._batches = lambda: [joined]
        return joined


def chain(
    model: Model | PathName | Any,
    steps: Sequence[StepLike],
    *,
    data: Any = None,
    images: int | Sequence[int] | None = None,
    layer: str | None = None,
    filter: int | str | Sequence[int | str] | None = None,
    output: str | None = None,
    region: Sequence[str | int | slice] | None = None,
    input: str | Sequence[str] | None = None,
    class_names: Sequence[str] | None = None,
    custom: Sequence[str] = (),
    input_shape: Sequence[int] | None = None,
    architecture: PathName | None = None,
    axes: Mapping[str, Any] | None = None,
    out: PathName | None = None,
    plugin_options: PluginOptions | None = None,
    show: Callable[[Plugin, Explanation, Mapping[str, Any]], None] | None = None,
    wrote: Callable[[Any], None] | None = None,
) -> list[Explanation]:
    """Run steps one after the other: techniques, transforms, renderers.

    Parameters
    ----------
    steps
        Names of plugins, or pairs of a name and options: ``["saliency", ("smooth", {"sigma": 1})]``.
        A technique puts its result on a stack, a transform changes what is there, and a renderer
        shows all that is there and leaves it.
    model, data, images, layer, filter, output, region, input, class_names, axes
        As in `cnnvis.run`; they hold for every technique of the chain.
    custom, input_shape, architecture, plugin_options
        As in `cnnvis.run`.
    out
        The file or folder that renderers write to.
    show
        Called with renderers that print, and what they are to print; they are left out by default.
    wrote
        Told the path of every file that was written.

    Returns
    -------
    list of Explanation
        What is on the stack in the end, the latest result last.

    Raises
    ------
    UserError
        If a step cannot take what is there, before anything is loaded; or as in `cnnvis.run`.
    """
    chosen = steps_of(steps)
    require_fitting(chosen)
    options = [step.options for step in chosen]
    if any(step.plugin.suffixes for step in chosen):
        require_writable(RESULTS if out is None else Path(out))
    side = plugin_options or {}
    lacking = {"custom": custom, "input_shape": input_shape, "architecture": architecture}
    target = {"layer": layer, "filters": filter, "output": output, "region": region}
    with notes_kept() as notes:
        subject = _Subject.of(
            model, data, images, target, class_names, side, lacking, input, chosen
        )
        subject.axes = axes_of(axes or {})
        stack: list[Stream] = []
        shown: set[str] = set()
        results: list[Result] = []
        for step, given in zip(chosen, options, strict=True):
            match step.plugin.kind:
                case "technique":
                    more = subject.explained(step.plugin, given)
                    stack += more
                    results += [step.plugin.gives or "images"] * len(more)
                case "transform":
                    _transform(stack, step, given)
                    results[len(stack) - 1 :] = [step.plugin.gives or results[len(stack) - 1]]
                case _:
                    for stream, result in zip(stack, results, strict=True):
                        explanation = _with_notes(_shown(stream, result, step, given), notes)
                        if not step.plugin.suffixes:
                            if show is not None:
                                show(step.plugin, explanation, given)
                            continue
                        path = destination(explanation, step.plugin, out, taken=shown)
                        shown.add(str(path))
                        write(explanation, step.plugin, path, given)
                        if wrote is not None:
                            wrote(path)
        return [_with_notes(stream.whole(), notes) for stream in stack]


def _shown(stream: Stream, result: Result, step: Step, options: Mapping[str, Any]) -> Explanation:
    """What a renderer is to show: all, or the first maps if it shows no more.

    So the first pictures are there before the last image is read.
    """
    limit = options.get("limit")
    if result != "images" or not isinstance(limit, int):
        return stream.whole()
    explanation, is_part = stream.first(limit)
    if is_part:
        note(f"{step.plugin.name} shows the first {limit} maps")
    return explanation


def _with_notes(explanation: Explanation, notes: Sequence[str]) -> Explanation:
    every = dict.fromkeys((*explanation.notes, *notes))
    return replace(explanation, notes=tuple(every))


def steps_of(steps: Sequence[StepLike]) -> list[Step]:
    """The steps with their plugins.

    Raises
    ------
    UserError
        If there is no such step, with the nearest name.
    """
    found = []
    for one in steps:
        if isinstance(one, Step):
            found.append(one)
            continue
        name, given = (one, {}) if isinstance(one, str) else one
        found.append(Step(registry().step(name), given))
    if not found:
        raise UserError("a chain needs steps, such as saliency or png")
    return found


_WORDS: dict[Result, str] = {
    "images": "maps of single images",
    "groups": "maps of groups of images",
    "pictures": "pictures that belong to no image",
    "table": "a table",
}
_GIVERS: dict[Result, str] = {
    "images": "a technique such as saliency",
    "groups": "average",
    "pictures": "filter-weights or activation-max",
    "table": "model-summary",
}


def require_fitting(steps: Sequence[Step]) -> None:
    """Refuse a chain in which a step could not take what is there.

    Raises
    ------
    UserError
        Naming the step, what it takes, what it would get, and what to add.
    """
    stack: list[tuple[Result, str]] = []
    for place, step in enumerate(steps, 1):
        plugin = step.plugin
        which = f"step {place}, {plugin.name},"
        if plugin.kind == "technique":
            stack.append((plugin.gives or "images", plugin.name))
            continue
        needed = 2 if plugin.takes("explanations") else 1
        if len(stack) < needed:
            there = f"there is only that of {stack[-1][1]}" if stack else "there is none yet"
            what = "the two results before it" if needed == 2 else "a result"
            raise UserError(
                f"{which} takes {what}, and {there}: put a technique such as saliency before it"
            )
        if plugin.kind == "renderer":
            continue
        taken = stack[-needed:]
        for result, giver in taken:
            if result not in plugin.takes_results:
                wanted = " or ".join(_WORDS[one] for one in plugin.takes_results)
                add = " or ".join(_GIVERS[one] for one in plugin.takes_results[:1])
                raise UserError(
                    f"{which} takes {wanted}, and would get {_WORDS[result]} from {giver}: put "
                    f"{add} before it"
                )
        if len({result for result, _ in taken}) > 1:
            raise UserError(
                f"{which} takes two results of one kind, and would get "
                + " and ".join(f"{_WORDS[result]} from {giver}" for result, giver in taken)
            )
        stack[-needed:] = [(plugin.gives or taken[0][0], plugin.name)]


def _transform(stack: list[Stream], step: Step, options: Mapping[str, Any]) -> None:
    """Put a transform's result in the place of what it takes."""
    function = step.plugin

    def told(explanation: Explanation, other: Explanation | None = None) -> Explanation:
        if not isinstance(explanation, Explanation):
            raise step.plugin.failed(f"it gave {type(explanation).__name__}, not an Explanation")
        facts = dict(explanation.provenance)
        what: dict[str, Any] = {"transform": step.plugin.name, "options": dict(options)}
        if other is not None:
            known = ("technique", "options", "target", "transforms")
            what["with"] = {key: other.provenance.get(key) for key in known}
        facts["transforms"] = [*facts.get("transforms", []), what]
        return replace(explanation, provenance=facts)

    if step.plugin.takes("explanations"):
        first, second = stack.pop(-2), stack.pop(-1)
        stack.append(
            Stream(
                lambda: (
                    told(function(list(pair), **options), pair[1])
                    for pair in zip(first, second, strict=True)
                )
            )
        )
        return
    before = stack.pop()
    if step.plugin.takes("stream"):

        def batches() -> Iterator[Explanation]:
            answer = function(before, **options)
            for one in [answer] if isinstance(answer, Explanation) else answer:
                yield told(one)

        stack.append(Stream(batches))
    else:
        stack.append(Stream(lambda: (told(function(one, **options)) for one in before)))


@dataclass
class _Subject:
    """What a chain explains: a model and images, and which of the model's inputs."""

    model: Model | None
    samples: Samples | None
    inputs: tuple[str, ...] | None
    axes: Mapping[str, Axis] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        model: Any,
        data: Any,
        images: int | Sequence[int] | None,
        target: Mapping[str, Any],
        class_names: Sequence[str] | None,
        options: PluginOptions,
        lacking: Mapping[str, Any],
        inputs: str | Sequence[str] | None,
        steps: Sequence[Step],
    ) -> _Subject:
        plugins = [step.plugin for step in steps if step.plugin.kind == "technique"]
        is_demo = isinstance(model, str) and model == demo.NAME
        data = demo.NAME if data is None and is_demo else data
        samples = None
        if data is None:
            for plugin in plugins:
                if plugin.needs("samples"):
                    raise UserError(
                        f"{plugin.name} explains images and needs some: add --data FILE"
                    )
        elif any(plugin.takes("samples") for plugin in plugins):
            samples = samples_of(data, options, class_names).chosen(images)
            if len(samples) == 0:
                raise UserError("there are no images to explain")
        handle = None
        if any(plugin.takes("model") for plugin in plugins):
            names = class_names or (samples.class_names if samples else None)
            handle = model_of(model, target, names, options, lacking)
            handle.say_defaults()
        asked = (inputs,) if isinstance(inputs, str) else inputs
        return cls(handle, samples, None if asked is None else tuple(asked))

    def explained(self, plugin: Plugin, options: Mapping[str, Any]) -> list[Stream]:
        """A technique's result for each of the model's inputs that gets one."""
        model = self.model if plugin.takes("model") else None
        samples = self.samples if plugin.takes("samples") else None
        if (plugin.gives or "images") != "images" or samples is None or model is None:
            return [Stream(lambda: [self._at_once(plugin, options, model, samples)])]
        names = self.inputs or model.explainable_inputs
        # Of several inputs that nobody asked for one by one, a blank one must not cost the others.
        alone = self.inputs is not None or len(names) == 1
        streams = {
            name: self._stream(plugin, options, model, samples, name, strict=alone)
            for name in names
        }
        if alone:
            return list(streams.values())
        # What an input cannot have is found out on a single image, before all others are computed.
        fitting = []
        for name in names:
            try:
                self._tried(plugin, options, model, samples[:1], name)
                fitting.append(streams[name])
            except UserError as error:
                note(f"the input {name!r} gets no map of {plugin.name}: {error}")
        if not fitting:
            raise UserError(f"no input of the network gets a map of {plugin.name}")
        return fitting

    def _tried(
        self,
        plugin: Plugin,
        options: Mapping[str, Any],
        model: Model,
        sample: Samples,
        name: str,
    ) -> None:
        """Run a technique for one of the inputs, whatever comes out."""
        with notes_kept(), quietly():
            ((one, of),) = paired(model.tallying([]), sample, (name,))
            plugin(model=one, samples=of, **options)

    def _at_once(
        self,
        plugin: Plugin,
        options: Mapping[str, Any],
        model: Model | None,
        samples: Samples | None,
    ) -> Explanation:
        pairs = paired(model, samples, self.inputs)
        one, of = pairs[0]
        with units_kept():
            found = plugin(
                **({"model": one} if plugin.takes("model") else {}),
                **({"samples": of} if plugin.takes("samples") else {}),
                **options,
            )
            done = completed(found, plugin, one, of).described(self.axes)
        return replace(done, provenance=provenance_of(plugin, options, one, of))

    def _stream(
        self,
        plugin: Plugin,
        options: Mapping[str, Any],
        model: Model,
        samples: Samples,
        name: str,
        *,
        strict: bool,
    ) -> Stream:
        facts = provenance_of(plugin, options, model, samples)

        def batches() -> Iterator[Explanation]:
            tally = _Tally(plugin)
            with progress(plugin.name, len(samples)) as advance:
                for batch in _read_ahead(samples.batches(batch_size(BATCH))):
                    whole = tally.finite(batch)
                    if len(whole):
                        ((one, of),) = paired(model.tallying(tally.blank), whole, (name,))
                        with units_kept():
                            with quietly():  # one bar for all batches is enough
                                found = plugin(model=one, samples=of, **options)
                            found = completed(found, plugin, one, of, judge=tally.judge)
                        found = found.described(self.axes)
                        yield replace(found, provenance={**facts, "target": found.target})
                    advance(len(batch))
            tally.close(strict=strict)

        return Stream(batches)


def _read_ahead(batches: Iterator[Samples]) -> Iterator[Samples]:
    """The same batches, each read while the one before it is computed."""
    with ThreadPoolExecutor(1, "reading") as reader:
        coming: Future[Samples] | None = None
        for batch in batches:
            before = coming
            # In the reader's thread, too, notes go to whoever listens here.
            coming = reader.submit(copy_context().run, _read, batch)
            if before is not None:
                yield before.result()
        if coming is not None:
            yield coming.result()


def _read(batch: Samples) -> Samples:
    return replace(batch, source=batch.x)


@dataclass
class _Tally:
    """What is to be said of many batches together: blank maps, images left out."""

    plugin: Plugin
    images: int = 0
    blank: list[str] = field(default_factory=list)
    zero: int = 0
    broken: list[int] = field(default_factory=list)

    def finite(self, batch: Samples) -> Samples:
        """The samples of a batch without those that hold NaN: one must not cost all others."""
        x = batch.x
        if not np.issubdtype(x.dtype, np.inexact):
            return batch
        good = np.isfinite(x.reshape(len(x), -1)).all(axis=1)
        if good.all():
            return replace(batch, source=x)
        self.broken += batch.indices[~good].tolist()
        return batch[np.flatnonzero(good).tolist()]

    def judge(self, found: Explanation) -> None:
        """Count the maps that show nothing."""
        assert found.maps is not None
        flat = found.maps.reshape(len(found), -1)
        if not np.isfinite(flat).all():
            raise UserError(
                f"{self.plugin.name} came out as NaN or infinite; the model's weights may be so"
            )
        self.images += len(found)
        self.zero += int((~flat.any(axis=1)).sum())

    def close(self, *, strict: bool) -> None:
        """Say what there is to say.

        Raises
        ------
        UserError
            If there is not one map that shows anything, and that is not to be a note.
        """
        if self.broken:
            shown = ", ".join(map(str, self.broken[:8]))
            more = f" and {len(self.broken) - 8} more" if len(self.broken) > 8 else ""
            note(f"image {shown}{more} was left out, since it holds NaN or infinite values")
        why = self.blank[0] if self.blank else "nothing in it speaks for this target"
        if self.images == self.zero and (strict or not self.images):
            raise UserError(
                f"{self.plugin.name} is zero everywhere in every image: {why}. Another layer, "
                "filter or modifier may say more."
                if self.images
                else "every image holds NaN or infinite values"
            )
        if self.zero:
            note(
                f"{self.plugin.name} is zero everywhere in {self.zero} of {self.images} images: {why}"
            )
