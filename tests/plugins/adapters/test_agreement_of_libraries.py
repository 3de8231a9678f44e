"""The table of docs/libraries.md is what is measured."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import agreement
import pytest

from cnnvis.registry.discovery import Registry, registry

pytestmark = pytest.mark.slow


def test_the_page_has_every_technique_of_a_library_that_cnnvis_has_one_like() -> None:
    techniques = {one.name for one in Registry(only=[]).of("technique") if ":" in one.name}
    without = {"tf-keras-vis:activation-max", "xplique:sobol", "xplique:craft"}
    of_keras_vis = {name for name in techniques if name.startswith("keras-vis:")}
    assert agreement.lines().keys() == techniques - without - of_keras_vis
    assert [row.name for row in agreement.ROWS] == list(agreement.lines())


@pytest.fixture(scope="module")
def subjects() -> dict[str, dict[str, Any]]:
    return agreement.networks()


# The script measures all rows; these stand for the libraries and for both kinds of networks.
@pytest.mark.parametrize("row", agreement.ROWS[::5], ids=lambda row: row.name)
def test_the_numbers_are_measured(row: Any, subjects: Mapping[str, Any]) -> None:
    if registry().get("technique", row.name).missing:
        pytest.skip("the library is not installed")
    there = agreement.lines()[row.name].split(" | ")
    found = agreement.measured(row, dict(subjects), kept=there[4]).split(" | ")
    numbers = slice(2, 5 if "XPLIQUE_2_PYTHON" in os.environ and there[4] else 4)
    assert found[:2] == there[:2] and found[5] == there[5]
    for one, other in zip(found[numbers], there[numbers], strict=True):
        assert float(one) == pytest.approx(float(other), abs=0.01)
