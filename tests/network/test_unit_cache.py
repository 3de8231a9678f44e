"""Units are remembered for the inputs that they belong to, inside a block."""

from __future__ import annotations

from typing import Any

import numpy as np

from cnnvis.network.unit_cache import cached_units, remember_units, units_cached

UNITS = np.ones((2, 3), np.float32)


def test_units_are_remembered_inside_a_block_only(three_heads: Any, resolved: Any) -> None:
    target, x = resolved(three_heads), np.zeros((2, 4))
    remember_units(target, [x], UNITS)
    assert cached_units(target, [x]) is None
    with units_cached():
        assert cached_units(target, [x]) is None
        remember_units(target, [x], UNITS)
        assert cached_units(target, [x.copy()]) is UNITS
        assert cached_units(target, [x + 1]) is None
        with units_cached():
            assert cached_units(target, [x]) is None
    assert cached_units(target, [x]) is None


def test_the_newest_units_count_and_inputs_that_change_in_place_are_others(
    three_heads: Any, resolved: Any
) -> None:
    target, x = resolved(three_heads), np.zeros((2, 4))
    with units_cached():
        remember_units(target, [x], UNITS)
        remember_units(target, [x], 2 * UNITS)
        assert cached_units(target, [x])[0, 0] == 2  # type: ignore[index]
        x[0] = 1
        assert cached_units(target, [x]) is None


def test_another_target_has_other_units(three_heads: Any, resolved: Any) -> None:
    target, x = resolved(three_heads), np.zeros((2, 4))
    with units_cached():
        remember_units(target, [x], UNITS)
        assert cached_units(resolved(three_heads), [x]) is None  # another trace of the network


def test_units_of_the_first_and_the_last_inputs_are_remembered(
    three_heads: Any, resolved: Any
) -> None:
    target, inputs = resolved(three_heads), [np.full((2, 4), number) for number in range(3)]
    with units_cached():
        for number, x in enumerate(inputs):
            remember_units(target, [x], number * UNITS)
        known = [cached_units(target, [x]) for x in inputs]
    assert [None if one is None else one[0, 0] for one in known] == [0, None, 2]
