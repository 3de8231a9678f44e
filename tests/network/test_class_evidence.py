"""Labels tell that outputs are classes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import cnnvis
from cnnvis.network.class_evidence import labels_number_units


@pytest.mark.parametrize(
    ("labels", "units", "are_classes"),
    [
        ([0, 2, 1], 3, True),
        ([0, 2, 1], 2, False),  # there is no output 2
        ([0, 2, 1], None, False),
        ([0, None, 1], 2, True),
        (None, 2, False),
        ([0.5, 1.5, 2.5], 3, False),
        (np.array([[0, 1, 1], [1, 1, 0], [0, 0, 0]]), 3, True),
        (np.array([[0, 1, 1], [1, 1, 0], [0, 0, 0]]), 2, False),
    ],
)
def test_labels_are_numbers_of_units_or_hold_one_for_each(
    labels: Any, units: int | None, are_classes: bool
) -> None:
    samples = cnnvis.Samples(np.zeros((3, 4), np.float32), labels)
    assert labels_number_units(samples, units) is are_classes
