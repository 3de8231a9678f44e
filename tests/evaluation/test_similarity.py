"""Similarity of two maps, in numbers; `cnnvis.compare` is held to its measures beside."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from cnnvis.evaluation.similarity import MEASURES, similarity_of


def _overlap(one: Any, other: Any, top: float = 10) -> float:
    found = similarity_of(one, other, top, None)
    assert found.keys() == MEASURES.keys()
    return found["overlap"]


@pytest.mark.parametrize("lit", [1, 7, 20, 40, 100])
@pytest.mark.parametrize("levels", [1, 3, 1000])
@pytest.mark.parametrize("top", [1, 10, 30])
def test_overlap_of_maps_with_zeros_and_ties(lit: int, levels: int, top: float) -> None:
    rng = np.random.default_rng(lit + levels)
    one, other, apart = (np.zeros(400) for _ in range(3))
    for a, at in ((one, rng.permutation(200)), (other, rng.permutation(200))):
        a[at[:lit]] = rng.integers(1, levels + 1, lit) * rng.choice([-1, 1], lit)
    apart[200 + rng.permutation(200)[:lit]] = 1
    assert _overlap(one, one, top) == pytest.approx(1)
    assert _overlap(one, apart, top) == 0
    found, order = _overlap(one, other, top), rng.permutation(400)
    assert 0 <= found <= 1
    assert _overlap(other, one, top) == pytest.approx(found)
    assert _overlap(one[order], other[order], top) == pytest.approx(found)


def test_overlap_where_few_places_have_values() -> None:
    one, other = np.zeros((10, 10)), np.zeros((10, 10))
    one[9, 9], other[0, :4] = 1, 1
    assert _overlap(one, other) == 0
    other[9, 9] = 1
    assert _overlap(one, other) == pytest.approx(1 / 5)
    flat = np.ones((10, 10))
    assert _overlap(flat, flat) == pytest.approx(1)
    assert _overlap(one, flat) == pytest.approx(0.1 / 10)  # of ten weights of a tenth, one counts
