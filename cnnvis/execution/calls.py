"""The border between cnnvis and plugins, which are trusted and may be wrong.

Every call of a plugin crosses it. What is handed over can be read and not changed; what comes back
is looked at; what a plugin must leave alone, in the whole process, is put back as it was.
"""

from __future__ import annotations

import inspect
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import numpy as np

from cnnvis.data.explanation import Explanation
from cnnvis.data.samples import Array, ArrayLike, Samples
from cnnvis.drawing.figure_settings import own_settings
from cnnvis.errors import UserError
from cnnvis.execution import isolation
from cnnvis.execution.process_state import RANDOM, ProcessState
from cnnvis.execution.read_only import own_again, read_only
from cnnvis.network.loaded import LoadedNetwork
from cnnvis.registry.decorators import BUILT_IN, Plugin
from cnnvis.registry.failures import as_plugin_error
from cnnvis.reporting import note


def call_plugin(plugin: Plugin, /, *args: Any, **kwargs: Any) -> Any:
    """Call a plugin's function, with what it is given and what it gives checked.

    What it is given it may read and not change. What it does to the process is put back, and a note
    says so: global random numbers, the working directory, the environment, standard streams, signal
    handlers, matplotlib's settings.

    Raises
    ------
    UserError
        As the function does; or if a module that it requires is missing.
    PluginError
        If the function raises anything else, `SystemExit` included, or gives what it must not:
        something of another type, not a map for each sample, the input itself. Only
        `KeyboardInterrupt` passes, and a renderer's `OSError`.
    """
    if plugin.missing:
        raise UserError(f"{plugin.name} cannot run: {plugin.missing}")
    if isolation.applies(plugin):
        return isolation.called(plugin, args, kwargs)
    given = [read_only(one) for one in args]
    named = {name: read_only(one) for name, one in kwargs.items()}
    drawing = own_settings() if plugin.kind == "renderer" else nullcontext()
    with drawing, _watched(plugin), as_plugin_error(plugin):
        answer = plugin.function(*given, **named)
    if plugin.kind == "transform" and not isinstance(answer, Explanation):
        return _each(plugin, answer)
    return _received(plugin, answer, given, named)


def _each(plugin: Plugin, answers: Any) -> Iterator[Explanation]:
    """What a transform gives batch by batch: nothing else of it runs while it waits."""
    if not plugin.takes("stream") or not isinstance(answers, Iterable):
        raise plugin.failed(f"it gave {type(answers).__name__}, not an Explanation")

    def each() -> Iterator[Explanation]:
        left = iter(answers)
        try:
            while True:
                with _watched(plugin), as_plugin_error(plugin):
                    one = next(left, None)
                if one is None:
                    return
                yield _received(plugin, one, (), {})
        finally:
            if inspect.isgenerator(left):
                left.close()

    return each()


# What comes back


def _received(plugin: Plugin, answer: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
    """What a plugin gave for what it was given, looked at."""
    match plugin.kind:
        case "technique":
            found = _explanation(plugin, answer)
            samples = kwargs.get("samples")
            if samples is not None:
                _require_maps(plugin, found, samples)
            return own_again(found)
        case "transform":
            found = _explanation(plugin, answer)
            _require_finite(plugin, found, args)
            return own_again(found)
        case "renderer" if plugin.suffixes and len(args) > 1:
            path = Path(args[1])
            if not path.is_file() or path.stat().st_size == 0:
                raise plugin.failed("it wrote nothing to the path that it was given")
            return None
        case "reader":
            return _read(plugin, _of_type(plugin, answer, Samples))
        case "loader":
            return _of_type(plugin, answer, LoadedNetwork)
    return answer


def _of_type(plugin: Plugin, answer: Any, kind: type[Any]) -> Any:
    if not isinstance(answer, kind):
        article = "an" if kind is Explanation else "a"
        what = "Samples" if kind is Samples else f"{article} {kind.__name__}"
        raise plugin.failed(f"it gave {type(answer).__name__}, not {what}")
    return answer


def _explanation(plugin: Plugin, answer: Any) -> Explanation:
    found: Explanation = _of_type(plugin, answer, Explanation)
    default = "images" if plugin.kind == "technique" else None
    promised = plugin.gives or default
    if promised == "table" and found.table is None:
        raise plugin.failed("it gave maps, and promises a table")
    if promised in ("groups", "pictures") and found.maps is None:
        raise plugin.failed(f"it gave a table, and promises maps of {promised}")
    return found


def _require_maps(plugin: Plugin, found: Explanation, samples: Samples) -> None:
    """Refuse what is no map of each of the samples, or the samples themselves."""
    if found.maps is None:
        if (plugin.gives or "images") == "images":
            raise plugin.failed("it gave a table, and promises a map for each of its samples")
        return
    for source in (samples.source, *samples.others.values(), vars(samples).get("x")):
        if isinstance(source, np.ndarray) and _share(found.maps, source):
            raise plugin.failed("its maps are the very array of the inputs, and must be a copy")
    if (plugin.gives or "images") != "images":
        return
    if found.samples is None or len(found.maps) != len(samples):
        count = f"it gave {len(found.maps)} maps for {len(samples)} samples"
        without = " and an explanation without samples" if found.samples is None else ""
        raise plugin.failed(f"{count}{without}, so there is no map for each of its samples")
    if not np.array_equal(found.samples.indices, samples.indices):
        raise plugin.failed("the samples of its explanation are not those that it was given")


def _share(one: Array, other: Array) -> bool:
    # Whether two arrays overlap is found out exactly only where their ends do.
    return np.may_share_memory(one, other) and one.size > 0


def _require_finite(plugin: Plugin, found: Explanation, args: Sequence[Any]) -> None:
    if found.maps is None or np.isfinite(found.maps).all():
        return
    given = [one for arg in args for one in (arg if isinstance(arg, list) else [arg])]
    for one in given:
        maps = one.maps if isinstance(one, Explanation) else None
        if maps is not None and not np.isfinite(maps).all():
            return
    raise plugin.failed("its maps hold NaN or infinite values, and those that it was given do not")


def _read(plugin: Plugin, samples: Samples) -> Samples:
    """Samples whose reader is blamed for what happens when they are read later, too."""

    def watched(source: Any) -> Any:
        return source if isinstance(source, np.ndarray) else _Blaming(plugin, source)

    if plugin.distribution != BUILT_IN:
        vars(samples)["source"] = watched(samples.source)
        vars(samples)["others"] = {name: watched(one) for name, one in samples.others.items()}
    return samples


class _Blaming:
    """What a plugin's reader reads when it is indexed, by that plugin's account."""

    def __init__(self, plugin: Plugin, source: ArrayLike) -> None:
        self._plugin, self._source = plugin, source
        self.shape, self.dtype = tuple(source.shape), source.dtype

    def __getitem__(self, index: Any) -> Array:
        with as_plugin_error(self._plugin):
            found = np.asarray(self._source[index])
        if found.shape[1:] != self.shape[1:]:
            raise self._plugin.failed(
                f"it read samples of shape {found.shape[1:]}, and said {self.shape[1:]}"
            )
        return found


# What must stay as it is


@contextmanager
def _watched(plugin: Plugin) -> Iterator[None]:
    """Put back what a plugin changes in the process, and say so."""
    # In another thread, others may be at work here; and only the main one may set signal handlers.
    if plugin.distribution == BUILT_IN or threading.current_thread() is not threading.main_thread():
        yield
        return
    before = ProcessState(pictures=plugin.kind == "renderer")
    try:
        yield
    finally:
        changed = before.put_back()
        # Keras draws the seeds of layers from there, whoever makes them.
        if plugin.kind == "loader" and RANDOM in changed:
            changed.remove(RANDOM)
        if changed:
            note(
                f"the {plugin.kind} {plugin.name} of {plugin.origin} changed "
                f"{' and '.join(changed)}, which was put back as it was. {plugin.report_to}"
            )
