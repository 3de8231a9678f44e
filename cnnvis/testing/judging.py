"""What checks say, and when numbers are the same."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from cnnvis.data.explanation import Explanation
from cnnvis.data.samples import Array
from cnnvis.errors import UserError

CLOSE = 1e-3
"""How far values may be off that should be the same, as a share of the largest: what single precision
and another order of summing leave."""


class Violation(AssertionError):
    """What a plugin does against the agreement, in a sentence."""


class NotApplicable(Exception):
    """Why a check says nothing of a plugin, in a sentence."""


@contextmanager
def may_refuse() -> Iterator[None]:
    """A sentence that says why something cannot be is as good an answer as a result."""
    try:
        yield
    except UserError as error:
        raise NotApplicable(f"it says that it cannot: {error}") from None


@contextmanager
def must_work() -> Iterator[None]:
    """A refusal of what every plugin of its kind takes is a violation."""
    try:
        yield
    except UserError as error:
        raise Violation(
            f"it refused an ordinary network: {error} (give options with which it works)"
        ) from None


def is_close(one: Array, other: Array, within: float = CLOSE, beyond: float = 0.0) -> bool:
    """Whether arrays differ by no more than a share of their largest value, and a number beyond."""
    return one.shape == other.shape and off(one, other) <= within * scale_of(one, other) + beyond


def require_close(
    one: Array, other: Array, sentence: str, within: float = CLOSE, beyond: float = 0.0
) -> None:
    """Hold two arrays against each other.

    Raises
    ------
    Violation
        If they differ: the sentence, and by how much.
    """
    if one.shape != other.shape:
        raise Violation(f"{sentence}: of shape {one.shape} and {other.shape}")
    if not is_close(one, other, within, beyond):
        raise Violation(
            f"{sentence}; they differ by {off(one, other):.2g}, where values reach "
            f"{scale_of(one, other):.2g}"
        )


def off(one: Array, other: Array) -> float:
    """The largest difference of two arrays."""
    return float(np.abs(one - other).max(initial=0))


def scale_of(*arrays: Array) -> float:
    """The largest size of a value."""
    return float(max(np.abs(one).max(initial=0) for one in arrays))


def without_channels(found: Explanation) -> Array:
    """Maps with their channels, if they have any, added up: (n, ...) over the spatial axes."""
    axes = tuple(set(range(1, found.array.ndim)) - set(found.space_axes()))
    total: Array = found.array.sum(axis=axes)
    return total
