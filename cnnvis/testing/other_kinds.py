"""Checks of techniques without maps of images, transforms, renderers, readers and loaders."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from cnnvis.data.explanation import Explanation, axis_names
from cnnvis.data.loaded_network import LoadedNetwork
from cnnvis.data.samples import Samples
from cnnvis.data.stream import Stream
from cnnvis.execution.calls import call_plugin
from cnnvis.files.reading import require_regular
from cnnvis.network.model import Model
from cnnvis.registry.options import checked
from cnnvis.registry.plugin import Plugin
from cnnvis.testing.judging import NotApplicable, Violation, may_refuse, must_work, require_close
from cnnvis.testing.networks import data_of, shape_of, small_network
from cnnvis.testing.subject import (
    PROCESS,
    Subject,
    model_unchanged,
    process_unchanged,
    technique_changes_nothing,
)

# Techniques that give something else


def checks_of_others(subject: Subject) -> dict[str, Callable[[], None]]:
    """Return the checks of a technique that gives pictures, maps of groups or a table."""

    def explained(network: Any) -> Explanation:
        samples = Samples.of(data_of(shape_of(2)), np.array([0, 1, 2, 0]))
        given = samples if subject.plugin.needs("samples") else None
        return subject.explained(network, given, layer="output")

    def gives() -> None:
        with must_work():
            found = explained(small_network(2))
        if (subject.plugin.gives == "table") is not (found.table is not None):
            raise Violation(
                f"it promised {subject.plugin.gives} and gave "
                f"{'maps' if found.table is None else 'a table'}"
            )

    def repeats() -> None:
        network = small_network(2)
        one, other = explained(network), explained(network)
        if one.table is not None or other.table is not None:
            if one.table != other.table:
                raise Violation("two equal calls gave two tables")
        else:
            require_close(
                one.array, other.array,
                "two equal calls gave two results: draw random numbers from an option `seed`",
            )  # fmt: skip

    return {
        "it gives what it promises": gives,
        "twice the same gives the same": repeats,
        "the model stays as it is": lambda: model_unchanged(explained),
        PROCESS: lambda: technique_changes_nothing(subject),
    }


# Transforms


MAPS_EACH = 8
"""Number of maps that a transform gets: four of each label, which a comparison of groups takes."""


def _explanation(axes: int, seed: int = 7, count: int = 4) -> Explanation:
    data = data_of(shape_of(axes), count)
    maps = np.random.default_rng(seed).normal(size=(count, *shape_of(axes)[:-1])).astype(np.float32)
    labels = np.arange(count) % 2
    samples = Samples.of(data, labels, class_names=("no", "yes"))
    return Explanation(maps, samples, provenance={"technique": "test", "options": {}})


def _group_explanation(axes: int, seed: int = 7) -> Explanation:
    maps = np.random.default_rng(seed).normal(size=(2, *shape_of(axes)[:-1]))
    return Explanation(
        maps.astype(np.float32),
        axes=axis_names(axes, None),
        groups=("no", "yes"),
        provenance={"technique": "test", "options": {}},
    )


def checks_of_transforms(subject: Subject) -> dict[str, Callable[[], None]]:
    """Return the checks of a transform."""
    plugin = subject.plugin
    closely = subject.watched.plugin
    of_groups = "images" not in plugin.takes_results

    def made(axes: int, seed: int = 7) -> Explanation:
        return _group_explanation(axes, seed) if of_groups else _explanation(axes, seed, MAPS_EACH)

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
            with may_refuse():
                transformed(made(axes), made(axes, 8))

        return function

    def keeps() -> None:
        given = made(2), made(2, 8)
        copies = [one.array.copy() for one in given]
        with may_refuse():
            found = transformed(*given)
        if any(not np.array_equal(a.array, b) for a, b in zip(given, copies, strict=True)):
            raise Violation("it changed the given maps: work on a copy")
        if plugin.gives is None and found.samples is not None and given[0].samples is not None:
            known = set(given[0].samples.indices.tolist())
            if not set(found.samples.indices.tolist()) <= known:
                raise Violation("its maps belong to images that were not given")

    def leaves() -> None:
        given = made(2), made(2, 8)
        with may_refuse():
            process_unchanged(lambda: transformed(*given, plugin=closely))

    def alone() -> None:
        if not plugin.takes("explanation") or of_groups:
            raise NotApplicable("it takes all maps at once")
        with may_refuse():
            together = transformed(made(2))
        parts = [transformed(made(2)[[i]]) for i in range(MAPS_EACH)]
        require_close(
            together.array, np.concatenate([part.array for part in parts]),
            "a map alone is changed in another way than among other maps: take a `stream` to see "
            "all maps",
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


def checks_of_renderers(subject: Subject) -> dict[str, Callable[[], None]]:
    """Return the checks of a renderer."""
    plugin = subject.plugin

    def shown(explanation: Explanation, plugin: Plugin = plugin) -> None:
        before = None if explanation.maps is None else explanation.maps.copy()
        options = checked(plugin, subject.options)
        with may_refuse():
            if plugin.suffixes:
                with tempfile.TemporaryDirectory() as folder:
                    path = Path(folder) / f"drawn{plugin.suffixes[0]}"
                    call_plugin(plugin, explanation, path, **options)
                    if not (
                        path.is_dir() if plugin.folder else path.is_file() and path.stat().st_size
                    ):
                        raise Violation(f"it wrote nothing to the given path, {path.name}")
                    others = {one.name for one in Path(folder).iterdir()} - {path.name}
                    if others:
                        raise Violation(f"it wrote other files than the given path: {others}")
            else:
                from rich.console import Console

                console = Console(record=True, file=tempfile.TemporaryFile("w"), width=100)  # noqa: SIM115
                call_plugin(plugin, explanation, console, **options)
                if not console.export_text().strip():
                    raise Violation("it printed nothing to the given console")
        if before is not None and not np.array_equal(before, explanation.array):
            raise Violation("it changed the given maps: work on a copy")

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
        PROCESS: lambda: process_unchanged(lambda: shown(_explanation(2), subject.watched.plugin)),
    }


# Readers and loaders


def checks_of_readers(subject: Subject, file: Path | None) -> dict[str, Callable[[], None]]:
    """Return the checks of a reader, on a file that it takes."""

    def reads() -> None:
        path = _given(file)
        found = call_plugin(subject.plugin, path, **checked(subject.plugin, subject.options))
        if not isinstance(found, Samples):
            raise Violation(f"it gave {type(found).__name__}, not cnnvis.Samples")
        whole = found.x
        if len(whole) != len(found):
            raise Violation(f"it holds {len(whole)} samples, and its length is {len(found)}")
        some = list(range(len(found)))[::-2]
        if not np.array_equal(found[some].x, whole[some], equal_nan=True):
            raise Violation(
                "picked samples differ from the samples at the same places of the whole"
            )

    def leaves() -> None:
        path, closely = _given(file), subject.watched.plugin
        process_unchanged(lambda: call_plugin(closely, path, **checked(closely, subject.options)).x)

    return {"it reads its file, whole and in parts": reads, PROCESS: leaves}


def checks_of_loaders(subject: Subject, file: Path | None) -> dict[str, Callable[[], None]]:
    """Return the checks of a loader, on a file that it takes."""

    def loads() -> None:
        path = _given(file)
        found = call_plugin(subject.plugin, path, **checked(subject.plugin, subject.options))
        if not isinstance(found, LoadedNetwork):
            raise Violation(f"it gave {type(found).__name__}, not cnnvis.LoadedNetwork")
        _ = Model(found).layers

    def leaves() -> None:
        path, closely = _given(file), subject.watched.plugin
        process_unchanged(lambda: call_plugin(closely, path, **checked(closely, subject.options)))

    return {"it loads its file as a network": loads, PROCESS: leaves}


def _given(file: Path | None) -> Path:
    if file is None:
        raise NotApplicable("no file was given for the test: add --file PATH")
    if not file.is_dir():
        require_regular(file)
    return file
