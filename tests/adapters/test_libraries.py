"""tf-keras-vis and Xplique behind cnnvis's names, on the demo, against cnnvis's own."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import cnnvis
import cnnvis.testing
from cnnvis.registry import Registry, registry

pytestmark = pytest.mark.slow

FEWER: dict[str, dict[str, Any]] = {
    "xplique:rise": {"masks": 200},
    "xplique:smoothgrad": {"copies": 10},
    "tf-keras-vis:activation-max": {"iterations": 10},
}
"""Options with which a test is done sooner."""

NAMES = sorted(
    plugin.name
    for plugin in Registry(only=[]).of("technique")
    if plugin.name.startswith(("tf-keras-vis:", "xplique:"))
)


def _or_skip(name: str) -> None:
    if registry().get("technique", name).missing:
        pytest.skip(f"{name.partition(':')[0]} is not installed")


@pytest.mark.parametrize("name", NAMES)
def test_it_explains_the_demo(name: str) -> None:
    _or_skip(name)
    found = cnnvis.run(name, "demo", images=[0, 1], **FEWER.get(name, {}))
    assert np.isfinite(found.array).all() and found.array.any()
    if not found.are_inputs:
        assert found.array.shape[:3] == (2, 64, 64)
        assert found.target == "output[sweep], output[neutral]"


@pytest.mark.parametrize("name", NAMES)
def test_it_holds_to_what_techniques_promise(name: str) -> None:
    _or_skip(name)
    failed = {}
    for check in cnnvis.testing.checks(name, **FEWER.get(name, {})):
        try:
            check()
        except cnnvis.testing.Violation as violation:
            failed[check.name] = str(violation)
        except cnnvis.testing.NotApplicable:
            pass
    assert failed == {}


@pytest.mark.parametrize(
    ("own", "other"),
    [
        (("saliency", {"backprop": None}), "tf-keras-vis:saliency"),
        (("saliency", {"backprop": None}), "xplique:saliency"),
    ],
    ids=str,
)
def test_the_numbers_are_cnnvis_own(own: Any, other: str) -> None:
    _or_skip(other)
    assert cnnvis.compare(own, other, "demo").in_all["share"] <= 1e-5


def test_guided_and_deconv_are_signed_but_the_same() -> None:
    _or_skip("xplique:guided")
    for theirs, modifier in (("xplique:guided", "guided"), ("xplique:deconv", "rectified")):
        one = cnnvis.run("saliency", "demo", backprop=modifier).array
        other = cnnvis.run(theirs, "demo").array
        np.testing.assert_allclose(one, abs(other), atol=1e-5 * one.max())


def test_grad_cam_differs_by_how_maps_are_enlarged() -> None:
    own = ("grad-cam", {"backprop": None, "penultimate": "conv4"})
    for other in ("tf-keras-vis:grad-cam", "xplique:grad-cam"):
        _or_skip(other)
        sides = (own, (other, {"penultimate": "conv4"}))
        assert cnnvis.compare(*sides, "demo").in_all["pearson"] > 0.95
        # Of a layer as large as the input, nothing is enlarged.
        sides = (
            ("grad-cam", {"backprop": None, "penultimate": "conv1"}),
            (other, {"penultimate": "conv1"}),
        )
        assert cnnvis.compare(*sides, "demo").in_all["share"] <= 1e-4


def test_the_same_seed_gives_the_same_and_leaves_numpy_alone() -> None:
    _or_skip("tf-keras-vis:saliency")
    np.random.seed(3)
    expected = np.random.random()
    np.random.seed(3)
    one, again, other = (
        cnnvis.run("tf-keras-vis:saliency", "demo", smooth=3, seed=seed).array for seed in (1, 1, 2)
    )
    assert np.random.random() == expected
    np.testing.assert_array_equal(one, again)
    assert not np.allclose(one, other)


def test_several_outputs_count_together() -> None:
    for name in ("tf-keras-vis:saliency", "xplique:saliency"):
        _or_skip(name)
        sides = (("saliency", {"backprop": None}), name)
        found = cnnvis.compare(*sides, "demo", filter=[0, 1])
        assert found.in_all["share"] <= 1e-5


def test_filters_of_layers_in_between() -> None:
    for name in ("tf-keras-vis:saliency", "xplique:saliency"):
        _or_skip(name)
        sides = (("saliency", {"backprop": None}), name)
        found = cnnvis.compare(*sides, "demo", layer="conv2", filter=3)
        assert found.in_all["share"] <= 1e-5
