"""Methods of other people, of kinds as different as can be, pass what is asked of every map.

The whole of the kit is run against them where they are tested: `tests/plugins/adapters`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import cnnvis.testing
from cnnvis.registry.discovery import registry

from .mistakes import RIGHT

pytestmark = pytest.mark.slow

METHODS: dict[str, dict[str, Any]] = {
    "tf-keras-vis:saliency": {},
    "tf-keras-vis:layer-cam": {},
    "tf-keras-vis:score-cam": {},
    "xplique:grad-cam-plus-plus": {},
    "xplique:deconv": {},
    "xplique:smoothgrad": {"copies": 10},
    "xplique:rise": {"masks": 200},
    "xplique:sobol": {"grid": 6, "designs": 8},
    "keras-vis:grad-cam": {},
}
"""Their names, with options under which they are done soon."""


@pytest.mark.parametrize("name", METHODS)
def test_it_passes(name: str) -> None:
    if registry().get("technique", name).missing:
        pytest.skip(f"{name} is not installed")
    assert (
        held_to_known_answers(name, **METHODS[name]) >= 3
    )  # of the rest they say that they cannot


@pytest.mark.parametrize("technique", RIGHT, ids=lambda one: one.__cnnvis_plugin__.name)
def test_what_has_mistakes_planted_in_it_passes_without(technique: Callable[..., Any]) -> None:
    assert held_to_known_answers(technique) >= 5


def held_to_known_answers(plugin: str | Callable[..., Any], **options: Any) -> int:
    """How many checks of what maps show a technique passes; those it fails raise."""
    asked = ("its map shines", "channels first give", "an image that is", "twice the values")
    held = 0
    for check in cnnvis.testing.checks(plugin, **options):
        if check.name.startswith((*asked, "its claim")):
            try:
                check()
            except cnnvis.testing.NotApplicable:
                continue
            held += 1
    return held
