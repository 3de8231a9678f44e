"""The border between cnnvis and plugins, which are trusted and may be wrong.

Every call of a plugin crosses it. What is handed over can be read and not changed; what comes back
is looked at; what a plugin must leave alone, in the whole process, is put back as it was.
"""

from __future__ import annotations

import copy
import inspect
import os
import random
import signal
import sys
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from typing import Any

import numpy as np

from cnnvis.data.explanation import Explanation
from cnnvis.data.samples import Array, ArrayLike, Samples
from cnnvis.data.stream import Stream
from cnnvis.drawing.figure_settings import own_settings, settings
from cnnvis.errors import UserError
from cnnvis.execution import isolation
from cnnvis.network.loaded import LoadedNetwork
from cnnvis.registry.decorators import BUILT_IN, Plugin
from cnnvis.registry.failures import as_plugin_error
from cnnvis.reporting import note

SIGNALS = ("SIGINT", "SIGTERM", "SIGHUP", "SIGALRM", "SIGPIPE", "SIGCHLD", "SIGUSR1", "SIGUSR2")
RANDOM = "Python's global random numbers"


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
    given = [_protected(one) for one in args]
    named = {name: _protected(one) for name, one in kwargs.items()}
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


# What is handed over


def _protected(one: Any) -> Any:
    """The same to be read and not to be changed; the caller's own stays as it is."""
    if isinstance(one, Samples):
        return _protected_samples(one)
    if isinstance(one, Explanation):
        return _protected_explanation(one)
    if isinstance(one, Stream):
        return Stream(lambda: map(_protected_explanation, one))
    if isinstance(one, list) and one and isinstance(one[0], Explanation):
        return [_protected_explanation(part) for part in one]
    return one


def _protected_samples(samples: Samples) -> Samples:
    # Copied attribute by attribute, since nothing in them needs to be worked out again.
    other = copy.copy(samples)
    held = vars(other)
    held["source"] = _read_only(samples.source)
    held["others"] = {name: _read_only(one) for name, one in samples.others.items()}
    for name in ("labels", "indices", "x"):
        if held.get(name) is not None:
            held[name] = _read_only(held[name])
    held["_original"] = samples
    return other


def _protected_explanation(explanation: Explanation) -> Explanation:
    other = copy.copy(explanation)
    held = vars(other)
    for name in ("maps", "predictions"):
        if held[name] is not None:
            held[name] = _read_only(held[name])
    if explanation.samples is not None:
        held["samples"] = _protected_samples(explanation.samples)
    if explanation.table is not None:
        held["table"] = {name: list(column) for name, column in explanation.table.items()}
    held["provenance"] = dict(explanation.provenance)
    held["other_inputs"] = tuple(map(_protected_explanation, explanation.other_inputs))
    held["_original"] = explanation
    return other


def _read_only(array: Any) -> Any:
    if not isinstance(array, np.ndarray):
        return _ReadOnly(array)
    view = array.view()
    view.flags.writeable = False
    return view


class _ReadOnly:
    """What reads itself when it is indexed, giving what cannot be changed."""

    def __init__(self, source: ArrayLike) -> None:
        self._source = source
        self.shape, self.dtype = tuple(source.shape), source.dtype

    def __getitem__(self, index: Any) -> Array:
        found: Array = _read_only(np.asarray(self._source[index]))
        return found


def _unprotected(found: Explanation) -> Explanation:
    """A result as its receiver's own, with the very samples that were handed over."""
    original = vars(found).get("_original")
    if isinstance(original, Explanation):
        return original
    held = vars(found)
    if found.samples is not None:
        held["samples"] = _unprotected_samples(found.samples)
    for name in ("maps", "predictions"):
        if held[name] is not None and not held[name].flags.writeable:
            held[name] = held[name].copy()
    held["other_inputs"] = tuple(map(_unprotected, found.other_inputs))
    return found


def _unprotected_samples(samples: Samples) -> Samples:
    original = vars(samples).get("_original")
    if not isinstance(original, Samples):
        return samples
    read = vars(samples).get("x")
    if read is not None and not isinstance(original.source, np.ndarray):
        vars(original).setdefault("x", read)  # what was read once is not read again
    return original


# What comes back


def _received(plugin: Plugin, answer: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
    """What a plugin gave for what it was given, looked at."""
    match plugin.kind:
        case "technique":
            found = _explanation(plugin, answer)
            samples = kwargs.get("samples")
            if samples is not None:
                _require_maps(plugin, found, samples)
            return _unprotected(found)
        case "transform":
            found = _explanation(plugin, answer)
            _require_finite(plugin, found, args)
            return _unprotected(found)
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
    before = Surroundings(pictures=plugin.kind == "renderer")
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


class Surroundings:
    """What of a process a plugin has no business with, as it is when this is made.

    Parameters
    ----------
    pictures
        Look at matplotlib's settings, too.
    """

    def __init__(self, *, pictures: bool = False) -> None:
        self._random = random.getstate()
        self._numpy = np.random.get_state(legacy=False)
        self._tensorflow = _tensorflow_seed()
        self._folder = _folder()
        self._variables = _variables()
        self._modules = len(sys.modules)
        self._streams = (sys.stdin, sys.stdout, sys.stderr)
        self._handlers = {name: signal.getsignal(getattr(signal, name)) for name in _signals()}
        self._pictures = _picture_settings() if pictures else None
        self._looks_at_pictures = pictures

    def put_back(self) -> list[str]:
        """Make all as it was; what had been changed, in words."""
        return [
            what
            for what, put_back in (
                (RANDOM, self._put_back_random),
                ("NumPy's global random numbers", self._put_back_numpy),
                ("TensorFlow's global seed", self._put_back_tensorflow),
                ("the working directory", self._put_back_folder),
                ("variables of the environment", self._put_back_variables),
                ("sys.stdin, stdout or stderr", self._put_back_streams),
                ("signal handlers", self._put_back_handlers),
                ("matplotlib's settings", self._put_back_pictures),
            )
            if put_back()
        ]

    def _put_back_random(self) -> bool:
        if random.getstate() == self._random:
            return False
        random.setstate(self._random)
        return True

    def _put_back_numpy(self) -> bool:
        now, before = np.random.get_state(legacy=False), self._numpy
        if _are_equal(now, before):
            return False
        np.random.set_state(before)
        return True

    def _put_back_tensorflow(self) -> bool:
        if self._tensorflow is None:
            return False
        context, seed, numbers = self._tensorflow
        if context._seed == seed:
            return False
        context._seed, context._rng = seed, numbers
        return True

    def _put_back_folder(self) -> bool:
        if self._folder is None or _folder() == self._folder:
            return False
        with suppress(OSError):  # it may be gone
            os.chdir(self._folder)
        return True

    def _put_back_variables(self) -> bool:
        now, before = _variables(), self._variables
        if now == before:
            return False
        changed = False
        for name, value in before.items():
            if now.get(name) != value:
                os.environ[name] = value
                changed = True
        # Libraries set variables of their own while they are imported, and look for them later.
        if len(sys.modules) == self._modules:
            for name in now.keys() - before.keys():
                del os.environ[name]
                changed = True
        return changed

    def _put_back_streams(self) -> bool:
        now = (sys.stdin, sys.stdout, sys.stderr)
        if all(one is other for one, other in zip(now, self._streams, strict=True)):
            return False
        sys.stdin, sys.stdout, sys.stderr = self._streams
        return True

    def _put_back_handlers(self) -> bool:
        changed = False
        for name, handler in self._handlers.items():
            number = getattr(signal, name)
            if signal.getsignal(number) is not handler and handler is not None:
                signal.signal(number, handler)
                changed = True
        return changed

    def _put_back_pictures(self) -> bool:
        if not self._looks_at_pictures:
            return False
        now = _picture_settings()
        if now is None:
            return False
        matplotlib = sys.modules["matplotlib"]
        before = self._pictures
        if before is None:  # it was imported meanwhile, under these
            before = settings()
        changed = [name for name, value in before.items() if now.get(name) != value]
        for name in changed:
            dict.__setitem__(matplotlib.rcParams, name, before[name])
        return bool(changed)


def _signals() -> list[str]:
    return [name for name in SIGNALS if hasattr(signal, name)]


def _folder() -> str | None:
    try:
        return os.getcwd()  # noqa: PTH109 (as text, to be compared)
    except OSError:  # somebody removed it
        return None


def _variables() -> dict[str, str]:
    return dict(os.environ)


def _tensorflow_seed() -> tuple[Any, Any, Any] | None:
    """TensorFlow's context, with its global seed and the numbers drawn from it, if it is there."""
    module = sys.modules.get("tensorflow.python.eager.context")
    if module is None:
        return None
    context = module.context()
    if not hasattr(context, "_seed") or not hasattr(context, "_rng"):
        return None
    return context, context._seed, context._rng


def _picture_settings() -> dict[str, Any] | None:
    """Matplotlib's settings, if it is there; without the backend, which it finds when it is asked."""
    matplotlib = sys.modules.get("matplotlib")
    if matplotlib is None or not hasattr(matplotlib, "rcParams"):
        return None
    held = dict.items(matplotlib.rcParams)
    return {name: value for name, value in held if not name.startswith("backend")}


def _are_equal(one: Any, other: Any) -> bool:
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_are_equal(one[key], other[key]) for key in one)
    return bool(np.array_equal(one, other))
