"""Bounds on the lengths of windows and strides, compared with the input's lengths.

TensorFlow divides by them and adds them up without looking: a pooling window or a stride of 2^29
ends the process. A window that is longer than its padded input sees nothing more for that.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import cnnvis
from cnnvis.plugins.loaders.calls import Call
from cnnvis.plugins.loaders.obstacles import TRUST

LONGEST = 2**14
"""Maximum length of a window, a stride or a dilation for any input, by axis and in total.

Longer ones may be at most twice as long as the input.
"""

LONGEST_STRIDE = 2**15 - 1
"""Maximum stride of all layers but pools.

With longer strides, convolutions of TensorFlow end the process, whatever the input.
"""

_LENGTHS = ("dilation", "dilation_rate", "kernel_size", "pool_size", "size", "stride", "strides")
"""Names of these lengths in Keras's layers and operations, and in TensorFlow's functions."""

_OF_FUNCTIONS = (*_LENGTHS, "dilations", "ksize", "rates", "sizes", "window_shape")


def require_windows(call: Call) -> None:
    """Refuse a call with windows or strides that are too long for its input.

    Raises
    ------
    UserError
        Naming the layer and the number.
    """
    longest = max((size for one in call.given for size in one.shape[1:]), default=1)
    values = max((math.prod(one.shape) for one in call.given), default=1)
    for layer in _with_inner(call.layer):
        for name, numbers in _lengths(layer, call.kwargs):
            if name in ("size", "sizes") and not hasattr(layer, "padding"):
                continue  # by what something is enlarged, which its shapes tell
            most = max(LONGEST, 2 * longest)
            if name.startswith("stride") and "Pool" not in type(layer).__name__:
                most = min(most, LONGEST_STRIDE)
            if max(numbers, default=1) > most or (
                math.prod(map(abs, numbers)) > max(LONGEST, 2 * values)
            ):
                shown = " x ".join(map(str, numbers))
                raise cnnvis.UserError(
                    f"the file is not loaded: its layer {call.layer.name!r} has the {name} "
                    f"{shown}, and the longest axis of its input is {longest:,} long; {TRUST}"
                )


def _with_inner(layer: Any) -> Iterator[Any]:
    """Yield a layer and those that it calls without Keras's notice: wrapped layers and cells."""
    if hasattr(layer, "_flatten_layers"):
        yield from layer._flatten_layers()
    else:
        yield layer


def _lengths(layer: Any, kwargs: Any) -> Iterator[tuple[str, list[int]]]:
    for name in _LENGTHS:
        yield name, _numbers(getattr(layer, name, None))
    for name in _OF_FUNCTIONS if isinstance(kwargs, dict) else ():
        yield name, _numbers(kwargs.get(name))


def _numbers(value: Any) -> list[int]:
    if isinstance(value, int) and not isinstance(value, bool):
        return [value]
    if isinstance(value, list | tuple):
        return [one for one in value if isinstance(one, int)]
    return []
