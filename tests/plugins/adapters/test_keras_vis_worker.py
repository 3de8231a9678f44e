"""keras-vis itself, in its process: the same numbers as cnnvis, and where 0.4.1 has others."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import cnnvis
import cnnvis.testing
from cnnvis.registry.discovery import registry

pytestmark = pytest.mark.slow

if registry().get("technique", "keras-vis:saliency").missing:
    pytest.skip("keras-vis is not installed", allow_module_level=True)


def _both(technique: str, network: Any, *, data: Any, **subject: Any) -> cnnvis.Comparison:
    plain = {"backprop": None}
    return cnnvis.compare(
        (technique, plain), (f"keras-vis:{technique}", plain), network, data=data, **subject
    )


@pytest.mark.parametrize("modifier", [None, "guided", "rectified"])
def test_saliency_of_the_demo_is_keras_vis_own(modifier: str | None) -> None:
    sides = [(name, {"backprop": modifier}) for name in ("saliency", "keras-vis:saliency")]
    found = cnnvis.compare(*sides, "demo", data="demo", images=range(10))
    # All scores are positive here, so that the linear target made a ReLU changes nothing.
    assert min(target.score for target in found.first.targets) > 0
    assert found.in_all["share"] <= 1e-5
    assert found.in_all["pearson"] >= 1 - 1e-9


def test_grad_cam_of_the_demo_differs_by_how_maps_are_enlarged() -> None:
    subject: dict[str, Any] = {"images": range(10), "scaled": True}
    found = cnnvis.compare("grad-cam", "keras-vis:grad-cam", "demo", **subject)
    # A cubic spline on the one hand, Pillow's bicubic filter on the other.
    assert found.in_all["pearson"] > 0.95
    # Where feature maps are as large as the input, nothing is enlarged.
    sides = [
        ("grad-cam", {"penultimate": "conv1", "keras_vis": True}),
        ("keras-vis:grad-cam", {"penultimate": "conv1"}),
    ]
    found = cnnvis.compare(*sides, "demo", images=range(4), scaled=True)
    assert found.in_all["largest"] <= 1e-5


# The model of CNN-vis


@pytest.fixture(scope="module")
def seed(reference: Path) -> tuple[cnnvis.Model, cnnvis.Samples]:
    folder = reference / "seed"
    return (
        cnnvis.load_model(folder / "introgression_32x32.h5"),
        cnnvis.read_samples(folder / "test_data_32x32.pkl"),
    )


@pytest.fixture(scope="module")
def answers(reference: Path) -> Mapping[str, Any]:
    return np.load(reference / "seed" / "keras_vis_reference.npz")


@pytest.mark.parametrize("layer", ["output", "conv2d_2", "conv2d_1"])
def test_saliency_of_the_reference_model(layer: str, seed: Any, answers: Any) -> None:
    model, data = seed
    # The unit of a single sigmoid, which keras-vis calls filter 0, is class 1.
    number = 1 if layer == "output" else 0
    subject: dict[str, Any] = {"layer": layer, "filter": number, "images": [0, 3, 5, 10]}
    found = _both("saliency", model, data=data, **subject)
    assert found.in_all["share"] <= 1e-5
    expected = [answers[f"saliency|{layer}|none|{image}"] for image in (0, 3, 5, 10)]
    np.testing.assert_allclose(cnnvis.unit_scaled(found.second.array), expected, rtol=0, atol=1e-5)


def test_with_a_modifier_0_4_1_differs_where_the_score_is_negative(seed: Any) -> None:
    model, data = seed
    run: dict[str, Any] = {"data": data, "images": range(20), "filter": 1, "layer": "output"}
    own = cnnvis.run("saliency", model, backprop="guided", **run)
    library = cnnvis.run("keras-vis:saliency", model, backprop="guided", **run)
    negative = np.array([target.score < 0 for target in own.targets])
    assert negative.any() and not negative.all()
    # The linear output was made a ReLU, so nothing passes back from a negative score.
    assert not library.array[negative].any()
    np.testing.assert_allclose(library.array[~negative], own.array[~negative], rtol=1e-4, atol=1e-7)
    rectified = [
        cnnvis.run(name, model, backprop="rectified", **run).array
        for name in ("saliency", "keras-vis:saliency")
    ]
    np.testing.assert_allclose(*rectified, rtol=1e-4, atol=1e-7)  # which asks for no output


def test_activation_maximization_from_the_reference_start(seed: Any, answers: Any) -> None:
    model, _ = seed
    given: dict[str, Any] = {
        "data": answers["actmax_seed"][None], "start": "data", "layer": "conv2d_1", "filter": 0,
        "backprop": None, "jitter": [0], "input_range": (0, 255),
    }  # fmt: skip
    one = cnnvis.run("keras-vis:activation-max", model, iterations=30, **given)
    # Divided by the root mean square of its gradient it takes longer steps than the last commit.
    own = cnnvis.run("activation-max", model, iterations=30, **given)
    assert one.array.shape == own.array.shape
    assert np.corrcoef(one.array.ravel(), own.array.ravel())[0, 1] > 0.5
    again = cnnvis.run("keras-vis:activation-max", model, iterations=30, **given)
    np.testing.assert_array_equal(one.array, again.array)


# Generated architectures


def _plain(layers: Any, inputs: Any) -> Any:
    flow = layers.Conv2D(4, 3, activation="relu")(inputs)
    flow = layers.MaxPooling2D()(flow)
    flow = layers.Conv2D(5, 3, activation="relu", name="last")(flow)
    return layers.Flatten()(flow)


def _residual(layers: Any, inputs: Any) -> Any:
    flow = layers.Conv2D(4, 3, padding="same", activation="relu")(inputs)
    more = layers.Conv2D(4, 3, padding="same")(flow)
    flow = layers.Activation("relu")(layers.Add()([flow, layers.BatchNormalization()(more)]))
    flow = layers.Conv2D(5, 3, activation="relu", name="last")(flow)
    return layers.Flatten()(flow)


def _branches(layers: Any, inputs: Any) -> Any:
    one = layers.Conv2D(3, 1, padding="same", activation="relu")(inputs)
    two = layers.Conv2D(3, 5, padding="same", activation="tanh")(inputs)
    flow = layers.Concatenate()([one, two])
    flow = layers.SeparableConv2D(5, 3, activation="relu", name="last")(flow)
    return layers.GlobalMaxPooling2D()(flow)


def _depthwise(layers: Any, inputs: Any) -> Any:
    flow = layers.Conv2D(4, 3, strides=2, use_bias=False)(inputs)
    flow = layers.ReLU(max_value=6)(layers.BatchNormalization()(flow))
    flow = layers.DepthwiseConv2D(3, padding="same", name="last")(flow)
    flow = layers.LeakyReLU(negative_slope=0.1)(flow)
    return layers.Dropout(0.4)(layers.Flatten()(flow))


def _operations(layers: Any, inputs: Any) -> Any:
    flow = layers.Conv2D(4, 3, padding="same", activation="relu")(inputs)
    flow = flow + layers.Conv2D(4, 1, activation="sigmoid")(flow)
    flow = layers.Conv2DTranspose(4, 3, activation="relu", name="last")(flow)
    return layers.GlobalAveragePooling2D()(flow)


BODIES = [_plain, _residual, _branches, _depthwise, _operations]


@pytest.fixture(params=BODIES, ids=lambda body: body.__name__.strip("_"))
def network(request: pytest.FixtureRequest, keras: Any) -> Any:
    keras.utils.set_random_seed(11)
    inputs = keras.Input((14, 12, 2))
    flow = keras.layers.Dense(6, activation="relu")(request.param(keras.layers, inputs))
    outputs = keras.layers.Dense(3, activation="softmax", name="classes")(flow)
    return keras.Model(inputs, outputs)


def test_five_architectures(network: Any) -> None:
    data = np.random.default_rng(3).normal(size=(3, 14, 12, 2)).astype(np.float32)
    found = _both("saliency", network, data=data)
    assert found.in_all["share"] <= 1e-5
    cam = [
        ("grad-cam", {"penultimate": "last", "keras_vis": True, "backprop": None}),
        ("keras-vis:grad-cam", {"penultimate": "last", "backprop": None}),
    ]
    compared = cnnvis.compare(*cam, network, data=data, scaled=True)
    pearson = compared.measures["pearson"]
    assert np.nanmin(pearson) > 0.6  # maps of a few places, enlarged by other filters


@pytest.mark.parametrize("axes", [1, 3])
def test_other_numbers_of_axes(axes: int, keras: Any) -> None:
    layers = keras.layers
    keras.utils.set_random_seed(4)
    shape = {1: (20, 2), 3: (6, 7, 5, 2)}[axes]
    convolution = getattr(layers, f"Conv{axes}D")
    network = keras.Sequential(
        [
            layers.Input(shape),
            convolution(4, 3, activation="relu"),
            convolution(4, 3, activation="relu"),
            layers.Flatten(),
            layers.Dense(2),
        ]
    )
    data = np.random.default_rng(3).normal(size=(2, *shape)).astype(np.float32)
    assert _both("saliency", network, data=data, filter=1).in_all["share"] <= 1e-5
    with pytest.raises(cnnvis.UserError, match="Grad-CAM over two spatial axes"):
        cnnvis.run("keras-vis:grad-cam", network, data=data)


def test_networks_of_keras_2(reference: Path) -> None:
    path = reference / "legacy" / "tfk_tfop.h5"
    found = cnnvis.load_model(path)
    shape = tuple(size or 8 for size in found.input_shape)
    data = np.random.default_rng(3).normal(size=(2, *shape)).astype(np.float32)
    assert _both("saliency", found, data=data, filter=0).in_all["share"] <= 1e-5


def test_what_keras_2_has_no_layer_for_is_said(keras: Any) -> None:
    inputs = keras.Input((8, 8, 1))
    flow = keras.layers.Conv2D(2, 3)(keras.ops.log1p(keras.ops.abs(inputs)))
    network = keras.Model(inputs, keras.layers.Dense(1)(keras.layers.Flatten()(flow)))
    with pytest.raises(cnnvis.UserError, match=r"Keras 2 has no layer (Log1p|Abs)"):
        cnnvis.run("keras-vis:saliency", network, data=np.ones((1, 8, 8, 1)), backprop=None)


def test_what_speaks_against_an_output_is_refused() -> None:
    with pytest.raises(cnnvis.UserError, match="sum or difference"):
        cnnvis.run("keras-vis:saliency", "demo", layer="-output[sweep]")


# The process


def _workers(pid: int) -> list[int]:
    """The processes of keras-vis among a process's children: models are looked at in others."""
    words = ["ps", "-ww", "-o", "pid=,args=", "--ppid", str(pid)]
    lines = subprocess.run(words, capture_output=True, text=True).stdout.splitlines()
    return [int(line.split()[0]) for line in lines if "keras_vis_worker" in line]


def _is_running(pid: int) -> bool:
    state = Path(f"/proc/{pid}/stat")
    return state.exists() and state.read_text().split()[2] != "Z"


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="processes are looked for in /proc")
@pytest.mark.parametrize("ending", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_the_process_ends_with_the_one_that_started_it(ending: signal.Signals) -> None:
    program = (
        "import cnnvis\n"
        "cnnvis.run('keras-vis:saliency', 'demo', images=[0])\n"
        "print('started', flush=True)\n"
        "cnnvis.run('keras-vis:activation-max', 'demo', iterations=100000)\n"
    )
    parent = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True,
                              stderr=subprocess.DEVNULL)  # fmt: skip
    assert parent.stdout is not None and parent.stdout.readline() == "started\n"
    (worker,) = _workers(parent.pid)
    time.sleep(1)  # it is at work now
    os.kill(parent.pid, ending)
    parent.wait(timeout=60)
    deadline = time.monotonic() + 10
    while _is_running(worker) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not _is_running(worker)


def test_a_process_that_dies_is_told_of_and_started_anew() -> None:
    from cnnvis.plugins.adapters._processes.keras_vis import worker

    cnnvis.run("keras-vis:saliency", "demo", images=[0])
    process = worker()._process
    assert process is not None
    process.kill()
    process.wait()
    found = cnnvis.run("keras-vis:saliency", "demo", images=[0])
    assert found.array.any()


def test_it_holds_to_what_techniques_promise() -> None:
    said = []
    for check in cnnvis.testing.checks("keras-vis:saliency", backprop="rectified"):
        try:
            check()
        except cnnvis.testing.NotApplicable as reason:
            said.append((check.name, str(reason)))
    # TensorFlow 1's convolutions take channels first on a GPU alone.
    assert {name for name, _ in said} <= {
        "it works with channels first",
        "channels first give the map that channels last give",
        "it works with several inputs",
    }
