"""The completeness gap: a share of the change, and not known where the change is lost in rounding."""

from __future__ import annotations

import numpy as np

import cnnvis


def test_a_gap_is_a_share_of_the_change_or_of_what_cancels_out() -> None:
    sums, sizes = np.array([1.1, 0.01]), np.array([2.0, 10.0])
    gaps = cnnvis.completeness_gap(sums, sizes, np.array([1.0, 0.0]))
    np.testing.assert_allclose(gaps, [0.1, 0.1])


def test_a_change_is_not_known_better_than_the_scores_are() -> None:
    sums, sizes, change = np.full(4, 0.03), np.full(4, 0.03), np.full(4, 0.026)
    score = np.array([1.0, 1e4, 2e5, np.nan])
    gaps = cnnvis.completeness_gap(sums, sizes, change, score=score)
    np.testing.assert_allclose(gaps[:2], [0.004 / 0.026, (0.004 - 2.4e-3) / 0.026], rtol=1e-3)
    assert np.isnan(gaps[2:]).all()
