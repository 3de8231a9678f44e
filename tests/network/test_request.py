"""A request holds what was asked for in one form."""

from __future__ import annotations

import json
from types import SimpleNamespace

import numpy as np

from cnnvis.network.request import TargetRequest

NETWORK = SimpleNamespace(layers=[SimpleNamespace(name="conv"), SimpleNamespace(name="end")])


def test_nothing_asked_is_nothing() -> None:
    assert TargetRequest.of(NETWORK, ("end",)) == TargetRequest()


def test_arguments_are_brought_into_one_form() -> None:
    found = TargetRequest.of(
        NETWORK, ("first", "second"), layer=-2, filters=np.array([1, 2]), output=1, region="3:5"
    )
    assert found == TargetRequest("conv", [1, 2], "second", ("3:5",))
    json.dumps(found.filters)  # as files hold it


def test_a_region_of_one_position_is_a_region() -> None:
    for region in (4, slice(1, 2)):
        assert TargetRequest.of(NETWORK, (), region=region).region == (region,)
