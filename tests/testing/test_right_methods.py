"""Methods without mistakes pass what is asked of every map.

Those of other libraries do where these are tested: `tests/plugins/adapters`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import cnnvis.testing
from cnnvis.registry.discovery import registry

from .mistakes import RIGHT

pytestmark = pytest.mark.slow


def test_grad_cam_of_keras_vis_passes() -> None:
    if registry().get("technique", "keras-vis:grad-cam").missing:
        pytest.skip("keras-vis is not installed")
    assert held_to_known_answers("keras-vis:grad-cam") >= 3  # of the rest it says that it cannot


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
