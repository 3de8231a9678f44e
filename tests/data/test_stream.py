"""Results that are computed batch by batch."""

from __future__ import annotations

import numpy as np

import cnnvis
from cnnvis.data.stream import Stream


def test_a_result_keeps_its_samples_whatever_becomes_of_the_array() -> None:
    data = np.arange(24.0, dtype=np.float32).reshape(6, 4)
    samples = cnnvis.Samples(data)
    batch = samples.read(0, 6)
    assert np.shares_memory(batch.x, data)
    whole = Stream(
        lambda: [cnnvis.Explanation(np.ones((6, 4), np.float32), batch)], samples
    ).whole()
    before, data[:] = data.copy(), 0
    assert whole.samples is not None
    np.testing.assert_array_equal(whole.samples.x, before)
