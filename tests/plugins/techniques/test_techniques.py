"""Each technique against its own definition, on networks over 1, 2 and 3 spatial axes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from quick import quick_at
from scipy import ndimage

import cnnvis

SHAPES = {1: (24, 3), 2: (14, 10, 2), 3: (8, 10, 6, 2)}


@pytest.fixture(scope="module", params=quick_at([2], [1, 2, 3]), ids="{}-D".format)
def axes(request: pytest.FixtureRequest) -> int:
    return int(request.param)


@pytest.fixture(scope="module")
def network(keras: Any, axes: int) -> Any:
    layers = keras.layers
    keras.utils.set_random_seed(axes)
    conv, pool = getattr(layers, f"Conv{axes}D"), getattr(layers, f"MaxPooling{axes}D")
    return keras.Sequential(
        [
            layers.Input(SHAPES[axes]),
            conv(4, 3, padding="same", activation="relu", name="first"),
            pool(2, name="pool"),
            conv(5, 3, padding="same", activation="relu", name="second"),
            layers.Flatten(name="flat"),
            layers.Dense(3, activation="softmax", name="output"),
        ]
    )


@pytest.fixture(scope="module")
def data(axes: int) -> np.ndarray[Any, Any]:
    return np.random.default_rng(axes).normal(size=(5, *SHAPES[axes])).astype(np.float32)


def test_saliency_is_the_largest_gradient_of_the_channels(network: Any, data: Any) -> None:
    found = cnnvis.run("saliency", network, data=data, filter=1, backprop=None)
    gradient = cnnvis.Model(network, filters=1).input_gradient(data)
    np.testing.assert_allclose(found.maps, abs(gradient).max(axis=-1), rtol=1e-5)
    assert found.maps.dtype == np.float32
    assert found.maps.shape == data.shape[:-1]
    assert found.axes == cnnvis.axis_names(data.ndim - 2, None)
    signed = cnnvis.run("saliency", network, data=data, filter=1, backprop=None, gradient="negate")
    np.testing.assert_allclose(signed.maps, (-gradient).max(axis=-1), rtol=1e-5)


def test_saliency_of_a_linear_network_is_its_weights(keras: Any) -> None:
    weights = np.random.default_rng(0).normal(size=(48, 2)).astype(np.float32)
    network = keras.Sequential(
        [
            keras.layers.Input((4, 6, 2)),
            keras.layers.Flatten(),
            keras.layers.Dense(2, use_bias=False, name="output"),
        ]
    )
    network.set_weights([weights])
    data = np.random.default_rng(1).normal(size=(3, 4, 6, 2))
    for k in (0, 1):
        maps = cnnvis.run("saliency", network, data=data, filter=k, backprop=None).maps
        expected = abs(weights[:, k].reshape(4, 6, 2)).max(axis=-1)
        np.testing.assert_allclose(maps, np.broadcast_to(expected, (3, 4, 6)), rtol=1e-6)


def test_saliency_moves_with_the_image(keras: Any) -> None:
    """A network that does not care where something is gives a map that moves along with it."""
    keras.utils.set_random_seed(0)
    network = keras.Sequential(
        [
            keras.layers.Input((16, 16, 1)),
            keras.layers.Conv2D(4, 3, activation="relu", padding="same"),
            keras.layers.GlobalAveragePooling2D(),
            keras.layers.Dense(2, name="output"),
        ]
    )
    image = np.zeros((1, 16, 16, 1), np.float32)
    image[0, 4:8, 5:9] = np.random.default_rng(1).normal(size=(4, 4, 1))
    moved = np.roll(image, (3, 4), axis=(1, 2))
    maps = cnnvis.run("saliency", network, data=np.concatenate([image, moved]), filter=0).maps
    np.testing.assert_allclose(
        np.roll(maps[0], (3, 4), axis=(0, 1))[5:, 6:], maps[1][5:, 6:], rtol=1e-4
    )


def test_grad_cam_is_its_formula(network: Any, data: Any, axes: int) -> None:
    found = cnnvis.run(
        "grad-cam", network, data=data, filter=2, backprop=None, penultimate="second"
    )
    features, gradients = cnnvis.Model(network, filters=2).activation_gradient(data, "second")
    space = tuple(range(1, axes + 1))
    for position in range(len(data)):
        alpha = gradients[position].mean(axis=tuple(range(axes)))
        small = np.maximum(sum(a * features[position, ..., k] for k, a in enumerate(alpha)), 0)
        expected = small
        for axis in range(axes):  # a position of the layer lies in the middle of two of the input
            at, wanted = np.arange(small.shape[axis]) * 2 + 0.5, np.arange(data.shape[axis + 1])
            expected = np.apply_along_axis(
                lambda v, at=at, w=wanted: np.interp(w, at, v), axis, expected
            )
        np.testing.assert_allclose(found.maps[position], expected, rtol=1e-4, atol=1e-6)
    assert found.maps.shape == data.shape[:-1]
    assert found.maps.min() >= 0  # as the sum that went through a ReLU

    as_keras_vis = cnnvis.run(
        "grad-cam",
        network,
        data=data,
        filter=2,
        backprop=None,
        penultimate="second",
        keras_vis=True,
    )
    alpha = gradients / (gradients.max(axis=(*space, axes + 1), keepdims=True) + 1e-7)
    alpha = alpha.mean(axis=space, keepdims=True)
    small = np.maximum((features * alpha).sum(axis=-1), 0)
    zoomed = [ndimage.zoom(one, 2, order=3) for one in small]
    expected = [(one - one.min()) / (np.ptp(one) + 1e-7) for one in zoomed]
    np.testing.assert_allclose(as_keras_vis.maps, expected, rtol=1e-4, atol=1e-5)


def test_grad_cam_takes_the_layer_that_keras_vis_takes(network: Any, data: Any) -> None:
    # From output: flat is right before it, second is the nearest convolution or pooling.
    assert "'second'" in " ".join(cnnvis.run("grad-cam", network, data=data).notes)
    # From second: pool is right before it and does not count.
    found = cnnvis.run("grad-cam", network, data=data, layer="second", filter=1)
    assert "'first'" in " ".join(found.notes)
    # From pool: nothing is left keras-vis would find no convolution, and that is said.
    found = cnnvis.run("grad-cam", network, data=data, layer="pool")
    assert "'first'" in " ".join(found.notes) and "keras-vis would find no convolution" in " ".join(
        found.notes
    )
    # The last one with the input's spatial axes.
    found = cnnvis.run("grad-cam", network, data=data, penultimate="auto")
    size = " x ".join(str(size // 2) for size in data.shape[1:-1])
    assert f"'second' ({size}), the last layer before 'output'" in " ".join(found.notes)
    assert found.notes[0].endswith("for finer maps: --penultimate first")
    with pytest.raises(
        cnnvis.UserError, match=r"'second' is not between the input .* and the target 'pool'"
    ):
        cnnvis.run("grad-cam", network, data=data, layer="pool", penultimate="second")
    with pytest.raises(cnnvis.UserError, match="'flat' has no spatial axes"):
        cnnvis.run("grad-cam", network, data=data, penultimate="flat")


def test_keras_vis_scaling_turns_the_sign_where_all_gradients_are_negative(keras: Any) -> None:
    network = keras.Sequential(
        [
            keras.layers.Input((4, 4, 1)),
            keras.layers.Conv2D(1, 1, use_bias=False, name="conv"),
            keras.layers.Flatten(),
            keras.layers.Dense(1, use_bias=False, name="output"),
        ]
    )
    network.set_weights([np.ones((1, 1, 1, 1)), -np.ones((16, 1))])
    image = np.abs(np.random.default_rng(0).normal(size=(1, 4, 4, 1)))
    settings = {"data": image, "backprop": None, "penultimate": "conv"}
    scaled = cnnvis.run("grad-cam", network, keras_vis=True, **settings)
    assert scaled.maps.max() == pytest.approx(1)
    with pytest.raises(cnnvis.UserError, match="zero everywhere in every image"):
        cnnvis.run("grad-cam", network, **settings)


def test_a_blank_map_among_others_is_noted(keras: Any) -> None:
    network = keras.Sequential(
        [
            keras.layers.Input((4, 4, 1)),
            keras.layers.Conv2D(1, 1, activation="relu", use_bias=False, name="conv"),
            keras.layers.Flatten(),
            keras.layers.Dense(1, name="output"),
        ]
    )
    network.set_weights([np.ones((1, 1, 1, 1)), np.ones((16, 1)), np.zeros(1)])
    images = np.stack([np.ones((4, 4, 1)), -np.ones((4, 4, 1)), np.ones((4, 4, 1))])
    found = cnnvis.run("saliency", network, data=images)
    assert any("zero everywhere in 1 of 3 images (1)" in note for note in found.notes)
    assert found.maps[1].max() == 0 and found.maps[2].min() > 0


def test_activation_max_raises_the_score(network: Any, axes: int) -> None:
    noise = np.random.default_rng(0).normal(127, 12, size=(20, *SHAPES[axes]))
    model = cnnvis.Model(network, layer="second")
    usual = model.outputs(noise).reshape(20, -1, 5).mean(axis=1)
    alive = np.argsort(usual.mean(axis=0))[[-1, -2]].tolist()
    found = cnnvis.run(
        "activation-max", network, layer="second", filter=alive, iterations=40, jitter=[0],
        backprop=None,
    )  # fmt: skip
    scores = np.array([target.score for target in found.targets])
    assert (scores > 1.2 * usual[:, alive].max(axis=0)).all()
    assert [str(target) for target in found.targets] == [f"second[{k}]" for k in alive]
    assert found.maps.shape == (2, *SHAPES[axes])
    assert found.axes == cnnvis.axis_names(axes + 1, -1)
    assert found.maps.min() >= 0 and found.maps.max() <= 255
    assert found.samples is None


@pytest.mark.slow
def test_activation_max_is_reproducible(network: Any) -> None:
    settings: dict[str, Any] = {"layer": "second", "iterations": 8, "jitter": [0.2]}
    first = cnnvis.run("activation-max", network, filter=[0, 2], seed=1, **settings).maps
    again = cnnvis.run("activation-max", network, filter=[0, 2], seed=1, **settings).maps
    other = cnnvis.run("activation-max", network, filter=[0, 2], seed=2, **settings).maps
    alone = cnnvis.run("activation-max", network, filter=2, seed=1, **settings).maps
    np.testing.assert_array_equal(first, again)
    assert abs(first - other).max() > 10
    # What else is maximized beside it has no part in a filter's picture.
    np.testing.assert_allclose(first[1], alone[0], rtol=1e-3, atol=0.5)
    both = cnnvis.run("activation-max", network, filter=[0, 2], together=True, **settings)
    assert [str(target) for target in both.targets] == ["second[0]+second[2]"]


def test_activation_max_keeps_to_the_range(network: Any) -> None:
    maps = cnnvis.run(
        "activation-max", network, layer="output", filter=0, iterations=5, input_range=(-1, 3)
    ).maps
    assert maps.min() >= -1 and maps.max() <= 3
    assert maps.mean() == pytest.approx(1, abs=0.1)
    assert maps.std() == pytest.approx(0.4, abs=0.1)


def test_total_variation_and_norm_are_their_formulas(data: Any, axes: int) -> None:
    from cnnvis.plugins.techniques._ascent_loss import _norm, _total_variation

    inner = data[(slice(None), *[slice(None, -1)] * axes)]
    squares = np.zeros_like(inner)
    for axis in range(axes):
        moved = [slice(None), *[slice(None, -1)] * axes]
        moved[axis + 1] = slice(1, None)
        squares += (data[tuple(moved)] - inner) ** 2
    found = _total_variation(data, list(range(1, axes + 1)))
    np.testing.assert_allclose(found, squares.reshape(len(data), -1).sum(axis=1), rtol=1e-5)
    flat = abs(data).reshape(len(data), -1)
    np.testing.assert_allclose(_norm(abs(data), 6.0), (flat**6).sum(axis=1) ** (1 / 6), rtol=1e-5)
    np.testing.assert_allclose(_norm(abs(data), float("inf")), flat.max(axis=1))


@pytest.mark.slow
def test_activation_max_does_every_layer(network: Any) -> None:
    found = cnnvis.run("activation-max", network, iterations=2, jitter=[0])
    assert [target.layer for target in found.targets] == ["first", "second", "output"]
    found = cnnvis.run("activation-max", network, filter=4, iterations=2, jitter=[0])
    assert [str(target) for target in found.targets] == ["second[4]"]
    assert any("first was left out" in note for note in found.notes)


def test_activation_max_from_data(network: Any, data: Any) -> None:
    found = cnnvis.run(
        "activation-max", network, data=data, images=[1, 2], layer="output", filter=[0, 1],
        start="data", iterations=3, jitter=[0],
    )  # fmt: skip
    assert [str(t) for t in found.targets] == ["output[0]", "output[1]"] * 2


@pytest.mark.slow
def test_activation_max_says_when_nothing_moved(keras: Any) -> None:
    network = keras.Sequential(
        [keras.layers.Input((6, 6, 1)), keras.layers.Conv2D(2, 3, activation="relu", name="conv")]
    )
    kernel = np.stack([np.zeros((3, 3, 1)), np.ones((3, 3, 1))], axis=-1)
    network.set_weights([kernel, np.array([-1.0, 0.0])])
    found = cnnvis.run("activation-max", network, filter=[0, 1], layer="conv", iterations=3)
    assert any("no step changed the score of conv[0]" in note for note in found.notes)
    with pytest.raises(cnnvis.UserError, match=r"no step changed the score of conv\[0\]"):
        cnnvis.run("activation-max", network, filter=0, layer="conv", iterations=3)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"iterations": 0}, "iterations of activation-max cannot be 0: it takes int >= 1"),
        ({"lp_norm": 0.5}, "lp_norm is 0.5, and a norm's p is at least 1"),
        ({"jitter": [-1]}, r"jitter of activation-max cannot be \[-1\]: it takes float >= 0 ..."),
        ({"jitter": [1, 2, 3]}, "must be one number, or one for each of the 2 spatial axes"),
        ({"start": "data"}, "no data are given"),
        ({"input_range": [5, 5]}, "smallest value first"),
    ],
)
def test_activation_max_refuses(classifier: Any, options: dict[str, Any], sentence: str) -> None:
    with pytest.raises(cnnvis.UserError, match=sentence):
        cnnvis.run("activation-max", classifier, **options)


def test_activation_max_of_any_size_needs_a_start(keras: Any) -> None:
    network = keras.Sequential(
        [keras.layers.Input((None, None, 1)), keras.layers.Conv2D(2, 3, name="output")]
    )
    with pytest.raises(cnnvis.UserError, match=r"any size.*--start data"):
        cnnvis.run("activation-max", network, backprop=None)
    start = np.random.default_rng(0).normal(size=(1, 9, 7, 1))
    found = cnnvis.run(
        "activation-max", network, data=start, start="data", iterations=2, backprop=None
    )
    assert found.maps.shape == (1, 9, 7, 1)


@pytest.mark.parametrize(
    ("kind", "arguments", "shape", "axis"),
    [
        ("Conv1D", (5, 3), (12, 2), -1),
        ("Conv2D", (5, (3, 2)), (8, 8, 4), -1),
        ("Conv3D", (5, 2), (5, 6, 7, 2), -1),
        ("Conv2DTranspose", (5, 3), (8, 8, 4), -2),
        ("Dense", (5,), (12,), -1),
    ],
)
def test_filter_weights_are_the_kernels(
    keras: Any, kind: str, arguments: Any, shape: tuple[int, ...], axis: int
) -> None:
    layer = getattr(keras.layers, kind)(*arguments, name="it")
    network = keras.Sequential([keras.layers.Input(shape), layer])
    kernel = layer.get_weights()[0]
    found = cnnvis.run("filter-weights", network, layer="it")
    assert len(found) == 5
    for k in range(5):
        np.testing.assert_array_equal(found.maps[k], kernel.take(k, axis=axis))
    assert [str(target) for target in found.targets] == [f"it[{k}]" for k in range(5)]
    chosen = cnnvis.run("filter-weights", network, layer="it", filter=[3, 1])
    np.testing.assert_array_equal(chosen.maps, found.maps[[3, 1]])


@pytest.mark.parametrize("kind", ["DepthwiseConv2D", "SeparableConv2D"])
def test_filter_weights_of_depthwise_kernels(keras: Any, kind: str) -> None:
    arguments = (3,) if kind == "DepthwiseConv2D" else (5, 3)
    layer = getattr(keras.layers, kind)(*arguments, depth_multiplier=2)
    network = keras.Sequential([keras.layers.Input((8, 8, 4)), layer])
    kernel = layer.get_weights()[0]  # (3, 3, 4 channels, 2 each)
    found = cnnvis.run("filter-weights", network)
    assert found.maps.shape == (8, 3, 3)
    np.testing.assert_array_equal(found.maps[5], kernel[:, :, 2, 1])


def test_filter_weights_takes_the_first_convolution(network: Any, keras: Any) -> None:
    assert cnnvis.run("filter-weights", network).targets[0].layer == "first"
    dense = keras.Sequential([keras.layers.Input((4,)), keras.layers.Dense(2)])
    with pytest.raises(cnnvis.UserError, match="no convolution layer"):
        cnnvis.run("filter-weights", dense)


def test_model_summary(network: Any) -> None:
    table = cnnvis.run("model-summary", network).table
    assert table is not None
    assert table["layer"] == ["first", "pool", "second", "flat", "output"]
    assert sum(table["parameters"]) == network.count_params()
    assert table["activation"] == ["relu", "", "relu", "", "softmax"]
    assert table["output shape"][-1] == "3"


def test_get_labels() -> None:
    samples = cnnvis.Samples(np.zeros((3, 2)), np.array([1, 0, 1]), class_names=("-", "AI"))
    table = cnnvis.run("get-labels", "demo", data=samples, images=[0, 1]).table
    assert table == {"image": [0, 1], "label": [1, 0], "class": ["AI", "-"]}


@pytest.mark.slow
def test_inputs_are_never_changed(network: Any, data: Any) -> None:
    before = data.copy()
    for technique in ("saliency", "grad-cam"):
        cnnvis.run(technique, network, data=data)
    cnnvis.run("activation-max", network, data=data, start="data", layer="output", iterations=2)
    np.testing.assert_array_equal(data, before)


@pytest.mark.parametrize("technique", ["saliency", "smoothgrad"])
@pytest.mark.parametrize("gradient", ["absolute", None])
def test_a_map_for_each_channel_has_the_maximum_over_channels(
    classifier: Any, images: Any, technique: str, gradient: str | None
) -> None:
    options: dict[str, Any] = {"backprop": None, "gradient": gradient}
    each = cnnvis.run(technique, classifier, data=images, channels="each", **options)
    assert each.axes == ("row", "column", "channel") and each.array.shape == images.shape
    largest = cnnvis.run(technique, classifier, data=images, **options)
    np.testing.assert_array_equal(each.array.max(axis=-1), largest.array)
