"""Windows that slide over a value: convolutions, pooling, padding and the like, by their arithmetic.

After Araujo, Norris and Sim 2019, doi:10.23915/distill.00021, and Dumoulin and Visin 2016,
arXiv:1603.07285, for transposed convolutions.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from cnnvis.network.channels import slides_over
from cnnvis.network.geometry.origin import Origin, Positions, Run
from cnnvis.network.graph import Call


@dataclass(frozen=True)
class Window:
    """Sliding window along an axis: position i depends on step * i + low to step * i + high.

    Attributes
    ----------
    axis
        Place of the axis among those of the value that the window slides over.
    """

    axis: int
    step: float = 1.0
    low: float = 0.0
    high: float = 0.0

    @property
    def is_still(self) -> bool:
        """True if each position depends on the position of its own place alone."""
        return (self.step, self.low, self.high) == (1.0, 0.0, 0.0)


Windows = Sequence[Window | None]
"""Window of each axis of an output; None for an axis that is no axis of the input."""


def slid(origin: Origin, windows: Windows, sizes: Sequence[int]) -> Origin:
    """Return the origin of what comes out of windows that slide over a value.

    Parameters
    ----------
    sizes
        The shape of what comes out, that of one sample.
    """
    fields = dict(origin.fields)
    axes, kept = [], set()
    for window, size in zip(windows, sizes, strict=True):
        after = None if window is None else _slid(origin.axes[window.axis], window, size)
        axes.append(after or Positions((Run(size),)))
        if window is None or after is None:
            continue
        kept.add(window.axis)
        last = origin.axes[window.axis].runs[-1]
        widen(fields, last, window.low, window.high)
    for place, axis in enumerate(origin.axes):
        for run in axis.runs if place not in kept else ():
            widen(fields, run, 0, run.size - 1)  # each position depends on all of these
    return Origin(tuple(axes), fields, origin.shifts)


def widen(fields: dict[int, tuple[float, float]], run: Run, first: float, last: float) -> None:
    """Let a receptive field reach over positions of a run, from the first to the last."""
    if run.axis is not None:
        low, high = fields[run.axis]
        ends = sorted((run.step * float(first), run.step * float(last)))
        fields[run.axis] = low + ends[0], high + ends[1]


def _slid(before: Positions, window: Window, size: int) -> Positions | None:
    if window.step == 1 and size == before.size:
        return before
    run = before.single
    if run is None or run.axis is None:
        return None
    return Positions((Run(size, run.axis, run.step * window.step),))


def windows_of(
    call: Call, before: Sequence[int], after: Sequence[int], *, is_first: bool = True
) -> Windows | None:
    """Return the windows of a call whose layer says what it does with positions; None for others.

    Parameters
    ----------
    before, after
        The shapes of what it takes and gives, those of one sample.
    is_first
        True if the value is the call's first input: values that an attention only looks at leave no
        positions to its output.
    """
    kinds, layer = set(call.kinds), call.layer
    kept: list[Window | None] = [Window(axis) for axis in range(len(before))]
    if not kinds.isdisjoint(_POINTWISE) and tuple(before) == tuple(after):
        return kept
    if not is_first and not kinds.isdisjoint(_MIXING_CHANNELS):
        return [None] * len(after)
    if not kinds.isdisjoint(_POOLING_ALL):
        return [None] * len(after)
    if not kinds.isdisjoint(_MIXING_CHANNELS) and len(after) == len(before):
        return [*kept[:-1], None]
    if "Embedding" in kinds and len(after) == len(before) + 1:
        return [*kept, None]
    if "TimeDistributed" in kinds:
        return _sliding(layer.layer, before, after, ahead=1)
    if any(kind.startswith("ConvLSTM") for kind in kinds):
        windows = _sliding(layer, before, (before[0], *after[1 - len(before) :]), ahead=1)
        return windows if windows is None or layer.return_sequences else windows[1:]
    if not kinds.isdisjoint(_RECURRENT):
        return _recurrent(layer, before, after)
    return _sliding(layer, before, after)


_POINTWISE = {
    *("Activation", "ReLU", "LeakyReLU", "PReLU", "ELU", "Softmax", "Rescaling", "Normalization"),
    *("BatchNormalization", "LayerNormalization", "GroupNormalization", "RMSNormalization"),
    *("UnitNormalization", "Identity", "Masking", "ActivityRegularization"),
    *("Dropout", "AlphaDropout", "GaussianDropout", "GaussianNoise"),
    *("Add", "Subtract", "Multiply", "Average", "Maximum", "Minimum"),
}
"""Layers whose output has the positions of each of their inputs. A normalization over positions as
well looks at all of them, and at its own the most."""

_POOLING_ALL = {f"Global{how}Pooling{n}D" for how in ("Average", "Max") for n in (1, 2, 3)}
_MIXING_CHANNELS = {
    *("Dense", "MultiHeadAttention", "Attention", "AdditiveAttention", "GroupQueryAttention"),
    "GroupedQueryAttention",
}
"""Layers whose output has the positions of their first input, whatever they look at beside."""

_RECURRENT = {"RNN", "Bidirectional"}


def _recurrent(layer: Any, before: Sequence[int], after: Sequence[int]) -> Windows:
    if len(before) != 2 or len(after) != 2:
        return [None] * len(after)
    if getattr(layer, "go_backwards", False):  # and so its answers come
        return [Window(0, -1.0, before[0] - 1.0, before[0] - 1.0), None]
    return [Window(0), None]


def _sliding(
    layer: Any, before: Sequence[int], after: Sequence[int], ahead: int = 0
) -> Windows | None:
    """Return the windows of a layer that slides over the axes behind so many others."""
    count = slides_over(layer)
    if count is None or not len(before) == len(after) == ahead + count + 1:
        return None
    is_first = getattr(layer, "data_format", None) == "channels_first"
    windows: list[Window | None] = [Window(axis) for axis in range(ahead)]
    for number in range(count):
        axis = ahead + is_first + number
        along = _along(layer, number, before[axis], after[axis])
        if along is None:
            return None
        windows.append(Window(axis, *along))
    windows.insert(ahead if is_first else len(windows), None)
    return windows


def _along(layer: Any, number: int, before: int, after: int) -> tuple[float, float, float] | None:
    """Return step, low and high of a layer's window along one of the axes that it slides over."""
    kinds = [kind.__name__ for kind in type(layer).__mro__]
    size = _of(layer, ("kernel_size", "pool_size"), number)
    if size is not None:
        stride = _of(layer, ("strides",), number) or 1
        reach = (size - 1) * (_of(layer, ("dilation_rate",), number) or 1) + 1
        is_transposed = any("Transpose" in kind for kind in kinds)
        small, large = (before, after) if is_transposed else (after, before)
        ahead = {
            "same": max((small - 1) * stride + reach - large, 0) // 2,
            "causal": reach - 1,
        }.get(layer.padding, 0)
        if is_transposed:  # the windows of the convolution whose gradient it is, turned about
            return 1 / stride, (ahead - reach + 1) / stride, ahead / stride
        return stride, -ahead, reach - 1 - ahead
    if any("UpSampling" in kind for kind in kinds):
        times = _of(layer, ("size",), number) or 1
        return 1 / times, (1 / times - 1) / 2, (1 / times - 1) / 2
    for what, sign in (("padding", -1), ("cropping", 1)):
        ends = _of(layer, (what,), number)
        if isinstance(ends, list | tuple) or (isinstance(ends, int) and "1D" in kinds[0]):
            ahead = ends if isinstance(ends, int) else ends[0]
            return 1, sign * ahead, sign * ahead
    return None


def _of(layer: Any, names: Sequence[str], number: int) -> Any:
    """Return a setting of a layer for one of its axes, by the first of these names that exists."""
    for name in names:
        value = getattr(layer, name, None)
        if isinstance(value, list | tuple):
            return value[number]
        if isinstance(value, int):
            return value
    return None
