"""The same numbers as keras-vis, for the model and data of CNN-vis.

The reference arrays were computed by keras-vis itself (its last commit, on TensorFlow 2.0.4).
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from quick import quick_are, quick_at

import cnnvis

LAYERS = ("output", "conv2d_2", "conv2d_1")
MODIFIERS = ("none", "guided", "rectified")
IMAGES = (0, 3, 5, 10)


@pytest.fixture(scope="module")
def seed(reference: Path) -> Path:
    return reference / "seed"


@pytest.fixture(scope="module")
def answers(seed: Path) -> Mapping[str, Any]:
    return np.load(seed / "keras_vis_reference.npz")


@pytest.fixture(scope="module")
def model(seed: Path) -> cnnvis.Model:
    return cnnvis.load_model(seed / "introgression_32x32.h5")


@pytest.fixture(scope="module")
def data(seed: Path) -> cnnvis.Samples:
    return cnnvis.read_samples(seed / "test_data_32x32.pkl")


def test_every_array_of_the_reference_is_compared(answers: Mapping[str, Any]) -> None:
    compared = {"pred_linear", "actmax_seed"}
    compared |= {
        f"{technique}|{layer}|{modifier}|{image}"
        for technique in ("saliency", "grad-cam")
        for layer in LAYERS
        for modifier in MODIFIERS
        for image in IMAGES
    }
    compared |= {f"activation-max|{layer}|{m}" for layer in LAYERS for m in ("none", "guided")}
    assert compared == set(answers)


@pytest.mark.parametrize("modifier", MODIFIERS)
@pytest.mark.parametrize("layer", quick_at([0, len(LAYERS) - 1], LAYERS))
@pytest.mark.parametrize("technique", ["saliency", "grad-cam"])
def test_maps(
    technique: str,
    layer: str,
    modifier: str,
    model: cnnvis.Model,
    data: cnnvis.Samples,
    answers: Mapping[str, Any],
) -> None:
    explanation = cnnvis.run(
        technique,
        model,
        data=data,
        images=IMAGES,
        layer=layer,  # and its output 0, as keras-vis was asked for; a sigmoid's speaks for class 1
        backprop=modifier,
        keras_vis=True,
    )
    expected = [answers[f"{technique}|{layer}|{modifier}|{image}"] for image in IMAGES]
    np.testing.assert_allclose(explanation.maps, expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("name", ["relu", "deconv"])
def test_relu_and_deconv_are_other_names_of_rectified(
    name: str, model: cnnvis.Model, data: cnnvis.Samples, answers: Mapping[str, Any]
) -> None:
    found = cnnvis.run("saliency", model, data=data, images=[3], backprop=name, keras_vis=True)
    expected = answers["saliency|output|rectified|3"]
    np.testing.assert_allclose(found.maps[0], expected, rtol=0, atol=1e-5)


def test_raw_maps_differ_from_scaled_ones_by_their_scale_alone(
    model: cnnvis.Model, data: cnnvis.Samples, answers: Mapping[str, Any]
) -> None:
    raw = cnnvis.run("saliency", model, data=data, images=IMAGES, layer="output").maps
    assert raw.max() < 0.01  # the gradient's own size, not 1
    expected = [answers[f"saliency|output|guided|{image}"] for image in IMAGES]
    np.testing.assert_allclose(cnnvis.unit_scaled(raw), expected, rtol=0, atol=1e-5)


def test_logits(model: cnnvis.Model, data: cnnvis.Samples, answers: Mapping[str, Any]) -> None:
    outputs = model.with_target("output").outputs(data[list(IMAGES)].x)
    np.testing.assert_allclose(outputs, answers["pred_linear"], rtol=0, atol=1e-5)
    explanation = cnnvis.run("saliency", model, data=data, images=IMAGES)
    scores = [target.score for target in explanation.targets]
    np.testing.assert_allclose(scores, answers["pred_linear"][:, 0], rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    ("layer", "modifier"),
    quick_are(
        [("output", "guided"), ("conv2d_1", "none")],
        itertools.product(LAYERS, ["none", "guided"]),
    ),
)
def test_activation_maximization(
    layer: str, modifier: str, model: cnnvis.Model, answers: Mapping[str, Any]
) -> None:
    explanation = cnnvis.run(
        "activation-max",
        model,
        data=answers["actmax_seed"][None],
        start="data",
        layer=layer,
        backprop=modifier,
        iterations=30,
        jitter=[0],
        tv_weight=1e-5,
        lp_norm_weight=0,
        input_range=(0, 255),
    )
    expected = answers[f"activation-max|{layer}|{modifier}"]
    np.testing.assert_allclose(explanation.maps[0], expected, rtol=0, atol=1e-3 * 255)


def test_the_network_is_right_as_often_as_the_original(
    model: cnnvis.Model, data: cnnvis.Samples
) -> None:
    answers = model.predict(data.x)[:, 0] > 0.5
    assert (answers == data.labels).sum() == 97
    assert ((model.predict(data.x / 255)[:, 0] > 0.5) == data.labels).sum() == 66
