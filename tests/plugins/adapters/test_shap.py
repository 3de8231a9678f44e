"""SHAP's GradientExplainer against expected gradients: exactly where it is exact, else in the mean."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from quick import quick_at

import cnnvis
import cnnvis.testing
from cnnvis.registry.discovery import registry

pytestmark = pytest.mark.slow

if registry().get("technique", "shap:gradient-explainer").missing:
    pytest.skip("SHAP is not installed", allow_module_level=True)

SHAP = "shap:gradient-explainer"


@pytest.mark.parametrize("form", ["channels_last", "channels_first"])
@pytest.mark.parametrize("axes", quick_at([1], [1, 2, 3]))
def test_a_linear_network_and_a_single_baseline_are_exact(axes: int, form: str, keras: Any) -> None:
    layers, space = keras.layers, (6, 5, 4)[:axes]
    keras.utils.set_random_seed(7)
    shape = (3, *space) if form == "channels_first" else (*space, 3)
    pooling = getattr(layers, f"AveragePooling{axes}D")(2, data_format=form)
    model = keras.Sequential([layers.Input(shape), pooling, layers.Flatten(), layers.Dense(4)])
    x = np.random.default_rng(3).normal(size=(5, *shape)).astype(np.float32)
    given: dict[str, Any] = {"data": x, "images": [1, 2], "filter": 3, "baselines": 1}
    found = cnnvis.run(SHAP, model, draws=3, **given)
    own = cnnvis.run("expected-gradients", model, **given)
    np.testing.assert_allclose(found.array, own.array, rtol=1e-4, atol=1e-6)
    assert found.measures["completeness_gap"].max() < 1e-4
    weights = cnnvis.Model(model).with_target(None, [3]).input_gradient(x[1:3])
    starts = [weights * (x[1:3] - one) for one in x]  # of the sample of the data that was drawn
    assert any(np.allclose(found.array, one, rtol=1e-4, atol=1e-6) for one in starts)


def test_the_mean_of_its_draws_is_expected_gradients(classifier: Any, images: Any) -> None:
    given: dict[str, Any] = {"data": images, "images": [0, 3], "filter": 1, "baselines": 7}
    own = cnnvis.run("expected-gradients", classifier, steps=64, **given).array.astype(float)
    found = np.array(
        [cnnvis.run(SHAP, classifier, seed=seed, draws=150, **given).array for seed in range(16)],
        np.float64,
    )
    error = found.std(axis=0, ddof=1) / np.sqrt(len(found))
    off = (found.mean(axis=0) - own)[error > 1e-12] / error[error > 1e-12]
    assert 0.7 < np.sqrt((off**2).mean()) < 1.5 and abs(off.mean()) < 0.5
    assert not np.allclose(found[0], found[1])


def test_several_inputs_are_held(keras: Any) -> None:
    layers = keras.layers
    keras.utils.set_random_seed(5)
    left, right = keras.Input((6, 2), name="left"), keras.Input((4,), name="right", dtype="int32")
    looked = layers.Flatten()(layers.Embedding(9, 3)(right))
    both = layers.Concatenate()([layers.Flatten()(layers.Conv1D(3, 3)(left)), looked])
    model = keras.Model([left, right], layers.Dense(2)(layers.Dense(5, activation="tanh")(both)))
    random = np.random.default_rng(5)
    data = {
        "left": random.normal(size=(6, 6, 2)).astype(np.float32),
        "right": random.integers(0, 9, (6, 4)),
    }
    given: dict[str, Any] = {"data": data, "filter": 1, "input": "left", "baselines": 6}
    own = cnnvis.run("expected-gradients", model, **given)
    found = cnnvis.run(SHAP, model, draws=3000, **given)
    assert np.corrcoef(own.array.ravel(), found.array.ravel())[0, 1] > 0.99
    with pytest.raises(cnnvis.UserError, match="an Embedding looks up"):
        cnnvis.run(SHAP, model, **{**given, "input": "right"})


def test_it_needs_other_samples(classifier: Any, images: Any) -> None:
    with pytest.raises(cnnvis.UserError, match=r"with other samples of the data, and there are 1"):
        cnnvis.run(SHAP, classifier, data=images[:1])


def test_it_holds_to_what_techniques_promise() -> None:
    failed = {}
    for check in cnnvis.testing.checks(SHAP, draws=50):
        try:
            check()
        except cnnvis.testing.Violation as violation:
            failed[check.name] = str(violation)
        except cnnvis.testing.NotApplicable:
            pass
    assert failed == {}
