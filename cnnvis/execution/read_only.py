"""Read-only samples and explanations for plugins, and the way back."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np

from cnnvis.data.explanation import Explanation
from cnnvis.data.samples import Array, ArrayLike, Samples
from cnnvis.data.stream import Stream


def read_only(one: Any) -> Any:
    """Return a read-only version of an object; the caller's own object stays unchanged."""
    if isinstance(one, Samples):
        return _protected_samples(one)
    if isinstance(one, Explanation):
        return _protected_explanation(one)
    if isinstance(one, Stream):
        return one.mapped(_protected_explanation)
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
    """Array that is read when it is indexed, and returns read-only arrays."""

    def __init__(self, source: ArrayLike) -> None:
        self._source = source
        self.shape, self.dtype = tuple(source.shape), source.dtype

    def __getitem__(self, index: Any) -> Array:
        found: Array = _read_only(np.asarray(self._source[index]))
        return found


def own_again(found: Explanation) -> Explanation:
    """Return a result that its receiver may change, with the same samples that were handed over."""
    original = vars(found).get("_original")
    if isinstance(original, Explanation):
        return original
    held = vars(found)
    if found.samples is not None:
        held["samples"] = _unprotected_samples(found.samples)
    for name in ("maps", "predictions"):
        if held[name] is not None and not held[name].flags.writeable:
            held[name] = held[name].copy()
    held["other_inputs"] = tuple(map(own_again, found.other_inputs))
    return found


def _unprotected_samples(samples: Samples) -> Samples:
    original = vars(samples).get("_original")
    if not isinstance(original, Samples):
        return samples
    read = vars(samples).get("x")
    if read is not None and not isinstance(original.source, np.ndarray):
        vars(original).setdefault("x", read)  # what was read once is not read again
    return original
