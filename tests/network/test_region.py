"""The region of a target must hold positions of its layer."""

from __future__ import annotations

from typing import Any

import pytest

import cnnvis
from cnnvis.network.region import part_of, region_text
from cnnvis.network.traced import TracedNetwork


def test_a_region_is_read_and_written(three_heads: Any) -> None:
    call = TracedNetwork.of(three_heads).calls["conv"]  # 4 x 3 positions
    part = part_of(call, -1, ("1:3", 2))
    assert (part.slot, part.channel_axis) == (call.slots[0], -1)
    assert part.region == (slice(1, 3), 2)
    assert region_text(("1:3", 2)) == "1:3,2"
    assert part_of(call, -1, None).region is None and region_text(None) is None


@pytest.mark.parametrize(
    ("region", "said"),
    [
        ((1,), "the region has 1 axes, and the layer 'conv' has 2 spatial axes, of lengths 4 x 3"),
        ((4, 0), "the region 4 holds no position of the layer 'conv', which has 4"),
        (("2:2", 0), "the region 2:2 holds no position"),
    ],
)
def test_a_region_without_positions_is_refused(region: Any, said: str, three_heads: Any) -> None:
    call = TracedNetwork.of(three_heads).calls["conv"]
    with pytest.raises(cnnvis.UserError, match=said):
        part_of(call, -1, region)
