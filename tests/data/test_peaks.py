"""Where maps are the strongest, also where a value stands at several places."""

from __future__ import annotations

import numpy as np

import cnnvis


def test_of_several_largest_values_that_nearest_to_their_middle_counts() -> None:
    maps = np.zeros((4, 6, 5), np.float32)
    maps[0, 3, :4] = -2.0  # from an edge on, as maps of layers are laid over the input
    maps[1, 1, 2] = 1.0
    maps[2, 0, 0] = maps[2, 5, 4] = 3.0  # far apart: one of the two
    maps[2, 4, 3] = 3.0
    maps[3, 2, 1] = np.nan
    maps[3, 5, 0] = 0.5
    found = cnnvis.Explanation(maps).peaks
    assert found.tolist() == [[3, 1], [1, 2], [4, 3], [5, 0]]
    for one, peak in zip(maps[:3], found, strict=False):
        assert abs(one[tuple(peak)]) == abs(one).max()


def test_peaks_of_maps_of_no_or_one_place() -> None:
    assert cnnvis.Explanation(np.ones(3, np.float32)).peaks.shape == (3, 0)
    assert cnnvis.Explanation(np.ones((2, 1), np.float32)).peaks.tolist() == [[0], [0]]
    blank = np.stack([np.zeros((4, 7)), np.full((4, 7), -2.0)]).astype(np.float32)
    assert cnnvis.Explanation(blank).peaks.tolist() == [[1, 3], [1, 3]]
    assert cnnvis.Explanation(np.ones((0, 4, 4), np.float32)).peaks.shape == (0, 2)
