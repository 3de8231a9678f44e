"""Outcomes of checks, and comparison of numbers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from cnnvis.data.explanation import Explanation
from cnnvis.data.samples import Array
from cnnvis.errors import UserError

CLOSE = 1e-3
"""Largest difference of values that should be the same, as a share of the largest value.

Single precision and another order of summing leave such differences.
"""


class Violation(AssertionError):
    """Violation of the agreement by a plugin, in a sentence."""


class NotApplicable(Exception):
    """Reason why a check says nothing of a plugin, in a sentence."""


@contextmanager
def may_refuse() -> Iterator[None]:
    """Accept a sentence that says why something is not possible: the check does not apply then."""
    try:
        yield
    except UserError as error:
        raise NotApplicable(f"the plugin refuses: {error}") from None


@contextmanager
def must_work() -> Iterator[None]:
    """Treat a refusal as a violation, for input that every plugin of the kind takes."""
    try:
        yield
    except UserError as error:
        raise Violation(
            f"it refused an ordinary network: {error} (give options with which it works)"
        ) from None


def is_close(one: Array, other: Array, within: float = CLOSE, beyond: float = 0.0) -> bool:
    """Tell whether arrays differ by at most a share of their largest value plus a number."""
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
    """Return the largest difference of two arrays."""
    return float(np.abs(one - other).max(initial=0))


def scale_of(*arrays: Array) -> float:
    """Return the largest absolute value in the arrays."""
    return float(max(np.abs(one).max(initial=0) for one in arrays))


def without_channels(found: Explanation) -> Array:
    """Add up the channels of maps, if they have any: (n, ...) over the spatial axes."""
    axes = tuple(set(range(1, found.array.ndim)) - set(found.space_axes()))
    total: Array = found.array.sum(axis=axes)
    return total
