"""Computation of networks: ways of compiling, sizes of batches, numbers of threads."""

from __future__ import annotations

import json
import logging
import math
import os
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from cnnvis import host
from cnnvis.data.samples import Array
from cnnvis.errors import ShortageError, UserError
from cnnvis.files.reading import read_text, write_whole
from cnnvis.network.backend import tensorflow
from cnnvis.network.backend import threads as threads_now
from cnnvis.reporting import progress

log = logging.getLogger("cnnvis")

Compile = Literal["auto", "graph", "xla", "eager"]
"""Way of compiling a network: as TensorFlow's graph, by XLA, or anew for each batch (eager).

With eager, the layers' own Python code runs each time. With auto, the network is compiled as a
graph; or by XLA, where a job is long enough to repay trying, if XLA is faster and its answers are
the same. They are not on a GPU that multiplies in TensorFlow's default there, TF32, of ten binary
digits: there it is the graph.
"""

BATCH = 32
"""Largest number of inputs that are computed at a time, except for small networks."""

FIRST = 2**33
"""Estimated bytes that a batch may take before larger batches are known to be faster.

About a third of these are taken, for an estimate counts what is not kept, too.
"""

MODEST = 2**30
"""The same, for workers on machines whose memory is not known."""

LARGEST, LIGHT = 256, 2**26
"""Largest number of inputs at a time for small networks; number of bytes that they may take."""

FILLING, GROWING = 128, 512
"""Number of inputs that are computed at a time on a GPU, and the largest while that measures faster.

With few, a GPU waits for the processor that gives it work, and tracing, which is the most of a short
job, takes as long for any number.
"""

MANY, LIGHT_THERE = 1024, 2**31
"""On a GPU, largest number of inputs for small networks; number of bytes that they may take."""

TIMED = 2
"""Number of batches of one size that are timed before another size is tried."""

GAIN = 0.1
"""Share of the time that a batch twice as large is expected to save: trying takes time, too."""

THREADS = ("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS")
"""Environment variables that set the numbers of threads, read when TensorFlow starts."""

TELLING = 2**28
"""Number of bytes that a batch must add to the process's memory to serve as a measurement.

Tracing takes some memory, too.
"""

CLEARLY = 0.95
"""Largest share of the graph's time that XLA may take to be preferred."""

ALIKE = 1e-5
"""Largest difference of XLA's answers from the graph's, as a share of the largest, for auto.

In deep networks with many ReLUs, differences are larger: where a unit is all but zero, another
order of additions turns the unit on or off, and gradients jump.
"""

SAVING, COMPILING = 0.4, 0.2
"""Expected values for XLA where it was not measured.

The share of the graph's time that XLA saves, and the seconds a layer that compiling takes.
"""


@dataclass(frozen=True)
class _Settings:
    compile: Compile = "auto"
    batch_size: int | None = None
    mixed_precision: bool = False
    is_settled: bool = False


_settings: ContextVar[_Settings | None] = ContextVar("computing", default=None)


def _now() -> _Settings:
    return _settings.get() or _Settings()


def computing_now() -> dict[str, Any]:
    """Return the arguments of `computing_as` by which another process computes as this one does."""
    return asdict(_now())


@contextmanager
def computing_as(settings: Mapping[str, Any]) -> Iterator[None]:
    """Have networks computed as `computing_now` said in another process."""
    token = _settings.set(_Settings(**settings))
    if is_mixed():
        _set_mixed(on=True)
    try:
        yield
    finally:
        if is_mixed():
            _set_mixed(on=False)
        _settings.reset(token)


@contextmanager
def computing(
    *,
    compile: Compile = "auto",
    batch_size: int | None = None,
    threads: int | None = None,
    mixed_precision: bool = False,
) -> Iterator[None]:
    """Set how networks are computed inside the block.

    Parameters
    ----------
    compile
        ``graph``, ``xla``, ``eager``, or ``auto``: see `Compile`.
    batch_size
        Number of inputs in a batch. By default 32 (128 on a GPU), more for a small network, and
        fewer for a large one or if memory is short.
    threads
        Number of threads of TensorFlow, which must not have started yet. By default the number of
        processors that this process may use.
    mixed_precision
        Let TensorFlow multiply in half precision where processor or GPU can: up to twice as fast,
        with errors of several per cent of a map's largest value, and of about a quarter where weights
        are random, since ReLUs whose input is near zero turn on or off.

    Raises
    ------
    UserError
        If a number is below one, or TensorFlow has started with other threads.
    """
    for what, number in (("batch_size", batch_size), ("threads", threads)):
        if number is not None and number < 1:
            raise UserError(f"{what} is {number}, and must be at least 1")
    if threads is not None:
        if "tensorflow" in sys.modules and (has := threads_now()) != threads:
            raise UserError(
                f"TensorFlow has started with {has} threads, and this can no longer change: give "
                "threads in the first call"
            )
        for name in THREADS:
            os.environ[name] = str(threads)
    with computing_as(
        {"compile": compile, "batch_size": batch_size, "mixed_precision": mixed_precision}
    ):
        yield


def _set_mixed(*, on: bool) -> None:
    """Tell TensorFlow, for which this is a setting of the whole process."""
    ways = ("auto_mixed_precision", "auto_mixed_precision_onednn_bfloat16")  # of GPUs, of others
    tensorflow().config.optimizer.set_experimental_options(dict.fromkeys(ways, on))


def is_mixed() -> bool:
    """Tell whether networks are computed in mixed precision."""
    return _now().mixed_precision


@contextmanager
def settled(compile: Compile, batch_size: int) -> Iterator[None]:
    """Have networks computed in one and the same way inside the block, in full batches.

    So the same images, taken together, have the same maps to the last digit, whatever was computed
    before them and whatever memory and time there are.
    """
    token = _settings.set(replace(_now(), compile=compile, batch_size=batch_size, is_settled=True))
    try:
        yield
    finally:
        _settings.reset(token)


def settled_way(
    each: int, before: Mapping[str, Any] | None = None, *, is_elsewhere: bool = False
) -> tuple[Compile, int]:
    """Return the way of compiling and the batch size to keep to.

    Those that were asked for; or else those from before; or else the graph, and a size that fits.

    Parameters
    ----------
    each
        Number of bytes that the network needs for one sample, by an estimate.
    before
        Settings from before; None if there are none.
    is_elsewhere
        True if other machines compute, whose memory is not known here.
    """
    now = _now()
    compile: Compile = now.compile
    if compile == "auto":
        compile = "graph" if before is None else before["compile"]
    if now.batch_size is not None:
        return compile, now.batch_size
    if before is not None:
        return compile, before["batch_size"]
    return compile, _fitting(each, first=MODEST if is_elsewhere else FIRST)


def _fitting(each: int, measured: int = 0, first: int = FIRST) -> int:
    """Return the number of samples in a first batch, by the number of bytes that each needs.

    Of a small network many at a time, since each batch has a price of its own; of a large one few,
    since a processor computes no faster with more of them, and a GPU does. Powers of two: they fill
    up other numbers of images, and do not change, and have to be traced anew, whenever there is a
    little more or less memory.
    """
    if _has_gpu():
        wanted = max(FILLING, min(MANY, _power(LIGHT_THERE // each)))
    else:
        few = min(BATCH, _power(first // each))
        wanted = max(few, min(LARGEST, _power(LIGHT // each)))
    return min(wanted, _most(each, measured))


def _most(each: int, measured: int = 0) -> int:
    """Return the number of samples, by the bytes that each needs, that there is memory for."""
    if _has_gpu():
        # A batch is in the GPU's own memory. Of the values and gradients that are counted, a third is
        # kept at a time at least.
        held = host.gpu_memory()
        return BATCH if held is None else _power(2 * held // each)
    return _power(host.available_memory() // 2 // (measured or each))


def _require_room(size: int, each: int) -> None:
    """Refuse a batch that somebody asked for and that does not fit into memory by far.

    Raises
    ------
    UserError
        With the size of one that does.
    """
    there = host.available_memory()
    # Of the values and their gradients that are counted, a third is kept at a time at least.
    if size > 1 and size * each // 3 > there and not _has_gpu():
        raise UserError(
            f"a batch of {size} takes about {size * each / 3 / 2**30:.1f} GB of memory, and "
            f"{there / 2**30:.1f} GB are free: use --batch-size {_most(each)}, or a machine with "
            "more memory"
        )


def _has_gpu() -> bool:
    """Tell whether networks are computed on a GPU: there may be one that this process leaves alone."""
    return bool(tensorflow().config.get_visible_devices("GPU"))


def _is_rounded() -> bool:
    """Tell whether factors of products of single precision are rounded, to TF32 on a GPU."""
    return _has_gpu() and bool(tensorflow().config.experimental.tensor_float_32_execution_enabled())


def at_once(each: int) -> int:
    """Return the number of samples to compute at a time: the one asked for, or one that fits."""
    return _now().batch_size or _fitting(each)


def _power(number: int) -> int:
    """Return the largest power of two that is not above a number; at least 1."""
    return 1 << (max(int(number), 1).bit_length() - 1)


def batch_size(default: int = BATCH) -> int:
    """Return the number of images to take at a time: the one asked for, or else the default."""
    return _now().batch_size or default


@dataclass
class Compiled:
    """Function of tensors, applied to arrays batch by batch, in the way that is the fastest.

    Parameters
    ----------
    function
        Function of batches, (n, ...) each, that returns tensors, (n, ...) each.
    layers
        Number of layers that the function goes through; the more, the longer compiling takes.
    footprint
        Function of the arrays that estimates the number of bytes needed for one of their samples.
    identity
        Function that returns a name for the computation, the same in every process; an empty one if
        that is not known.
    each
        Number of samples that the function makes of each that it is given.
    fixed
        Number of samples that the function makes at a time; None for any number.
    """

    function: Callable[..., Any]
    layers: int = 1
    footprint: Callable[[Sequence[Array]], int] = lambda arrays: 0
    identity: Callable[[], str] = str
    each: int = 1
    fixed: int | None = None
    _functions: dict[tuple[Any, ...], Any] = field(default_factory=dict)
    _traced: set[tuple[str, int]] = field(default_factory=set)
    _pace: dict[str, float] = field(default_factory=dict)  # seconds a sample, of each way
    _promise: tuple[float, float] | None = None  # what XLA saves, as a share, and what it costs
    _cost: float = 0.0  # what it did cost
    _spent: float = 0.0
    _settled: str | None = None
    _measured: int = 0  # bytes that one of what it is given takes, where that was seen
    _times: dict[int, list[float]] = field(default_factory=dict)  # seconds a sample, by batch size
    _traces: dict[int, float] = field(default_factory=dict)  # seconds that a first batch took
    _full: set[int] = field(default_factory=set)  # sizes that there were enough samples for
    _weighed: Counter[tuple[Any, ...]] = field(default_factory=Counter)  # batches of a kind
    _best: int | None = None  # the size that was found to be the fastest

    def __call__(self, *arrays: Array, shared: Sequence[Array] = ()) -> list[Array]:
        """Compute the function's answers for all samples, (n, ...) each.

        Parameters
        ----------
        arrays
            Its arguments that have an entry for each sample, (n, ...).
        shared
            Further arguments, which are the same for all samples.

        Raises
        ------
        UserError
            If there are no samples, or no memory for even one.
        """
        count = len(arrays[0])
        if count == 0:
            raise UserError("there are no inputs to compute")
        size, start = self._size(arrays), 0
        always = [tensorflow().convert_to_tensor(one) for one in shared]
        answers: list[Array] = []
        with progress("computing", count) as advance:
            while start < count:
                part = [array[start : start + size] for array in arrays]
                kept = len(part[0])
                try:
                    found = self._batch(part, always, size, count - start)
                except (MemoryError, tensorflow().errors.ResourceExhaustedError) as error:
                    if _now().is_settled:
                        fewer = f", or begin anew with --batch-size {size // 2}" if size > 1 else ""
                        raise ShortageError(
                            f"there is not enough memory for the batches of {size} of this run: "
                            f"go on with --resume where more memory is free{fewer}"
                        ) from error
                    if size == 1:
                        raise UserError(
                            "there is not enough memory to compute even one input"
                        ) from error
                    size = (size + 1) // 2
                    self._best = size * self.each  # larger ones are not tried again
                    log.info("a batch did not fit into memory; going on with %d at a time", size)
                    continue
                if kept == count == size:
                    advance(kept)
                    # All in one: there is nothing to put together. What a graph holds is not given away.
                    return [one if one.flags.owndata else one.copy() for one in found]
                if not answers:
                    answers = [np.empty((count, *one.shape[1:]), one.dtype) for one in found]
                for answer, one in zip(answers, found, strict=True):
                    answer[start : start + kept] = one[:kept]
                start += kept
                advance(kept)
                size = self._next_size(size, count - start, self.footprint(arrays))
        return answers

    def _size(self, arrays: Sequence[Array]) -> int:
        """Return the number of samples in a batch."""
        if self.fixed is not None:
            return max(self.fixed // self.each, 1)
        count, asked = len(arrays[0]), _now().batch_size
        if asked is None and count in [one for _, one in self._traced] and not _now().is_settled:
            # So many have fitted before; to ask for free memory takes as long as a small batch.
            return count
        size = asked or BATCH
        bytes_each = self.footprint(arrays)
        if asked is not None and not self._measured:
            _require_room(min(asked, count) * self.each, bytes_each)
        if asked is None and bytes_each:
            size = self._best or _fitting(bytes_each, self._measured)
            size = min(size, _most(bytes_each, self._measured))
        size = max(size // self.each, 1)
        if _now().is_settled:
            return size
        if count >= size:
            if asked is None and self._best is None:
                # Memory that is a little more or less is no reason to trace another size.
                size = max((one for one in self._full if size // 2 <= one <= size), default=size)
            if self.each == 1 or size in [one for _, one in self._traced]:
                self._full.add(size)
                return size
            # Where a batch is a few of them, filling up the last would be a large part of it all.
            return -(-count // -(-count // size))
        # Filling up a batch that was traced already takes less than tracing another.
        traced = [one for _, one in self._traced if count <= one <= min(2 * count, size)]
        return min(traced, default=count)

    def _next_size(self, size: int, remaining: int, bytes_each: int) -> int:
        """Return the number of samples in the next batch: doubled while that measures faster."""
        now = _now()
        if now.batch_size or self.fixed or self.each > 1 or self._best or not bytes_each:
            return size
        times, before = self._times.get(size, ()), self._times.get(size // 2, ())
        if len(times) < TIMED:
            return size
        if before and min(times) > CLEARLY * min(before):
            self._best = size // 2
            log.info("%d at a time are no faster than %d", size, self._best)
            return self._best
        largest = GROWING if _has_gpu() else BATCH
        if 2 * size > min(largest, _most(bytes_each, self._measured)):
            self._best = size
            return size
        worth = GAIN * min(times) * (remaining - 2 * size * TIMED) > self._traces.get(
            size, math.inf
        )
        # What XLA compiled, or is to compile, would have to be compiled anew.
        return 2 * size if worth and all(way == "graph" for way, _ in self._traced) else size

    def _batch(
        self, part: list[Array], shared: list[Any], size: int, remaining: int
    ) -> list[Array]:
        """Compute one batch's answers, and record how long that took."""
        tensors = [tensorflow().convert_to_tensor(filled_up(array, size)) for array in part]
        tensors += shared
        way = self._way(size, remaining)
        is_new = (way, size) not in self._traced
        # Later ones of a kind add nothing to the peak, and asking takes time.
        kind = way, size, *(one.shape[1:] for one in part)
        self._weighed[kind] += 1
        is_weighed = self._weighed[kind] <= TIMED
        held, began = host.peak_memory() if is_weighed else 0, time.perf_counter()
        try:
            found = self._run(way, tensors)
        except Exception as error:
            if way != "xla" or not is_new or _passes(error):
                raise
            if _now().compile == "xla":
                raise UserError(
                    f"XLA cannot compile this network ({_first_line(error)}); --compile graph can"
                ) from error
            log.info("XLA cannot compile this network: %s", _first_line(error))
            self._settled = "graph"
            return self._batch(part, shared, size, remaining)
        took = time.perf_counter() - began
        self._traced.add((way, size))
        added = host.peak_memory() - held if is_weighed else 0
        # On a GPU, batches are not in this memory; what begins its work is.
        if added > TELLING and not _has_gpu():
            self._measured = max(self._measured, added // (size * self.each))
        if is_new:
            self._traces.setdefault(size, took)
        else:
            self._times.setdefault(size, []).append(took / size)
            self._spent += took
            self._pace[way] = min(took / size, self._pace.get(way, math.inf))
        if is_new and way == "xla" and _now().compile == "auto":
            self._cost = took
            plain = self._run("graph", tensors)
            if not all(map(_alike, found, plain)):
                log.info("XLA is not exact enough for this network")
                self._settled = "graph"
                _remember(self.identity(), 1.0, 1.0, took)  # saves nothing, so is not tried again
                return plain
        return found

    def _run(self, way: str, tensors: list[Any]) -> list[Array]:
        if way == "eager":
            # A graph for this batch alone: eager execution also computes the gradients by weights,
            # which nobody asked for, and one of them makes TensorFlow 2.21 abort.
            answers = self._traced_for(tensors)(*tensors)
        else:
            # A concrete function, since TensorFlow warns of every new tf.function that is traced; by
            # shapes and types, since TensorFlow takes a millisecond to find it.
            key = way, is_mixed(), *((tuple(one.shape), one.dtype) for one in tensors)
            if key not in self._functions:
                self._functions[key] = self._traced_for(tensors, jit_compile=way == "xla")
            answers = self._functions[key](*tensors)
        # Views: what is put together with other batches is copied but once.
        return [_plain(np.asarray(answer)) for answer in answers]

    def _traced_for(self, tensors: list[Any], **settings: Any) -> Any:
        """Return a concrete function for tensors of these shapes and types."""
        made = tensorflow().function(self.function, autograph=False, **settings)
        found = made.get_concrete_function(*tensors)
        _forget_gradients(found.graph)
        return found

    def _way(self, size: int, remaining: int) -> str:
        """Choose the way of computing the next batch, with so many samples to come.

        The choice is the graph, until the time that XLA might save is worth the time that it takes
        to compile.
        """
        asked = _now().compile
        if asked != "auto":
            return asked
        if is_mixed() or _is_rounded():
            # The graph's optimizer is what TensorFlow does the first with; and what is rounded is
            # not the same in another order of additions.
            return "graph"
        if self._settled:
            return self._settled
        graph, xla = self._pace.get("graph"), self._pace.get("xla")
        if graph is None:
            return "graph"
        if xla is not None:
            self._settled = "xla" if xla < CLEARLY * graph else "graph"
            log.info(
                "graph %.4g s a sample, XLA %.4g s: going on with %s", graph, xla, self._settled
            )
            _remember(self.identity(), graph, xla, self._cost)
            return self._settled
        if ("xla", size) in self._traced:
            return "xla"  # compiled, and not yet timed
        if self._promise is None:
            self._promise = _remembered(self.identity()) or (SAVING, COMPILING * self.layers)
        saving, cost = self._promise
        if saving <= 1 - CLEARLY:
            self._settled = "graph"
            return "graph"
        # As when to buy what one might go on renting: once as much has been spent, or will be.
        return "xla" if saving * (self._spent + graph * remaining) > cost else "graph"


def _forget_gradients(graph: Any) -> None:
    """Let TensorFlow forget the gradients of its own kind that a graph has used while it was traced.

    TensorFlow keeps each of them by a name of its own, and the graph with it, for as long as the process
    lives. No gradient is taken of the finished graph any more.
    """
    from tensorflow.python.framework import ops

    known = getattr(getattr(ops, "gradient_registry", None), "_registry", {})
    for operation in graph.get_operations():
        if operation.type == "IdentityN" and "_gradient_op_type" in operation.node_def.attr:
            known.pop(operation.get_attr("_gradient_op_type").decode(), None)


def _alike(one: Array, other: Array) -> bool:
    size = np.abs(other).max(initial=0.0)
    return bool(np.abs(one - other).max(initial=0.0) <= ALIKE * size)


def filled_up(batch: Array, size: int) -> Array:
    """Return a batch, filled up with its last sample to the size of the others."""
    missing = size - len(batch)
    return np.concatenate([batch, np.repeat(batch[-1:], missing, axis=0)]) if missing else batch


def _plain(answer: Array) -> Array:
    """Return an answer in a type that SciPy and others know, unlike those of half precision."""
    if answer.dtype.kind in "cOSU":
        raise UserError(
            f"the network answers with values of the type {answer.dtype}, and cnnvis explains "
            "real numbers alone"
        )
    return answer if answer.dtype == np.float64 else answer.astype(np.float32, copy=False)


def _passes(error: Exception) -> bool:
    """Tell whether an error has nothing to do with the way of computing."""
    return isinstance(error, MemoryError | UserError | tensorflow().errors.ResourceExhaustedError)


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]


# What was measured, from one process to the next.

LONGEST = 2**20
"""Largest number of bytes of the file of measurements; a larger file is begun anew."""


def _memory_file() -> Path:
    from platformdirs import user_cache_path

    return user_cache_path("cnnvis") / "compiling.json"


def _key(identity: str) -> str:
    place = f"{host.name()} {' '.join(_gpus())}".strip()
    return f"{identity} {place} TensorFlow {tensorflow().__version__}"


def _gpus() -> list[str]:
    """Return the names of the GPUs that networks are computed on."""
    config = tensorflow().config
    details = map(config.experimental.get_device_details, config.get_visible_devices("GPU"))
    return [one.get("device_name", "GPU") for one in details]


def _remembered(identity: str) -> tuple[float, float] | None:
    """Return (share of the graph's time that XLA saves, seconds that compiling takes), if known."""
    if not identity:
        return None
    try:
        kept = json.loads(read_text(_memory_file(), LONGEST))[_key(identity)]
        graph, xla, cost = (float(kept[name]) for name in ("graph", "xla", "cost"))
        return 1 - xla / graph, cost
    except (UserError, ValueError, KeyError, TypeError, ArithmeticError, RecursionError):
        return None  # a memory that cannot be read is none


def _remember(identity: str, graph: float, xla: float, cost: float) -> None:
    if not identity:
        return
    path = _memory_file()
    with suppress(UserError):  # whoever has no place for it measures again
        try:
            known = json.loads(read_text(path, LONGEST))
        except (UserError, ValueError, RecursionError):
            known = {}
        known = known if isinstance(known, dict) else {}
        known[_key(identity)] = {"graph": graph, "xla": xla, "cost": cost}
        write_whole(path, json.dumps(known, indent=1).encode())
