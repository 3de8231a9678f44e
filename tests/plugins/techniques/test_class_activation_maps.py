"""Class activation maps against their formulas and closed forms, over 1, 2 and 3 spatial axes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from quick import quick_at

import cnnvis

SHAPES = {1: (24, 3), 2: (14, 10, 2), 3: (8, 10, 6, 2)}
BY_GRADIENTS = ("hires-cam", "layer-cam", "grad-cam-plus-plus", "xgrad-cam")
ALL = ("grad-cam", *BY_GRADIENTS, "score-cam", "ablation-cam", "eigen-cam")


def _run(name: str, network: Any, data: Any, **settings: Any) -> cnnvis.Explanation:
    return cnnvis.run(name, network, data=data, style="paper", **settings)


def _relu(values: Any) -> Any:
    return np.maximum(values, 0)


@pytest.fixture(scope="module", params=quick_at([1], [1, 2, 3]), ids="{}-D".format)
def axes(request: pytest.FixtureRequest) -> int:
    return int(request.param)


@pytest.fixture(scope="module")
def data(axes: int) -> Any:
    return np.random.default_rng(axes).normal(size=(5, *SHAPES[axes])).astype(np.float32)


def _network(keras: Any, axes: int, *, pooled: bool = False, filters: int = 5) -> Any:
    """Feature maps as large as the input, so that nothing is enlarged, and a dense layer on them."""
    layers = keras.layers
    keras.utils.set_random_seed(axes)
    conv = getattr(layers, f"Conv{axes}D")
    pool = getattr(layers, f"GlobalAveragePooling{axes}D")
    return keras.Sequential(
        [
            layers.Input(SHAPES[axes]),
            conv(4, 3, padding="same", activation="relu", name="first"),
            conv(filters, 3, padding="same", activation="relu", name="second"),
            pool() if pooled else layers.Flatten(),
            layers.Dense(3, bias_initializer="normal", activation="softmax", name="output"),
        ]
    )


def _derived(keras: Any, network: Any, data: Any, filter: int) -> tuple[Any, Any]:
    """Feature maps and gradients of the logit, by nothing but Keras and TensorFlow."""
    import tensorflow as tf

    *_, middle, last = network.layers
    features = keras.Model(network.inputs, network.get_layer("second").output)(data)
    with tf.GradientTape() as tape:
        tape.watch(features)
        logits = middle(features) @ last.kernel + last.bias
        score = logits[:, filter]
    return np.asarray(features, np.float64), np.asarray(tape.gradient(score, features), np.float64)


@pytest.fixture(scope="module")
def network(keras: Any, axes: int) -> Any:
    return _network(keras, axes)


@pytest.fixture(scope="module")
def derived(keras: Any, network: Any, data: Any) -> tuple[Any, Any]:
    return _derived(keras, network, data, 2)


def _formula(name: str, features: Any, gradients: Any) -> Any:
    """The map of one image, by loops over channels."""
    total = np.zeros(features.shape[:-1])
    for a, g in zip(np.moveaxis(features, -1, 0), np.moveaxis(gradients, -1, 0), strict=True):
        if name == "grad-cam":
            total += g.mean() * a
        elif name == "hires-cam":
            total += g * a
        elif name == "layer-cam":
            total += _relu(g) * a
        elif name == "grad-cam-plus-plus":
            with np.errstate(all="ignore"):
                shares = np.where(g == 0, 0, g**2 / (2 * g**2 + a.sum() * g**3))
            total += (shares * _relu(g)).sum() * a
        elif a.any():
            total += (g * a).sum() / a.sum() * a
    return total if name in ("hires-cam", "xgrad-cam") else _relu(total)


@pytest.mark.parametrize("name", ["grad-cam", *BY_GRADIENTS])
def test_maps_by_gradients_are_their_formulas(
    name: str, network: Any, data: Any, derived: tuple[Any, Any]
) -> None:
    found = _run(name, network, data, filter=2)
    expected = np.stack([_formula(name, *one) for one in zip(*derived, strict=True)])
    assert abs(expected).max(axis=tuple(range(1, expected.ndim))).min() > 1e-4
    np.testing.assert_allclose(found.array, expected, rtol=1e-3, atol=1e-5 * abs(expected).max())
    assert found.array.dtype == np.float32
    assert f"{name} used 'second' (" in found.notes[0]


@pytest.mark.parametrize("name", ["hires-cam", "xgrad-cam"])
def test_their_sum_is_the_score_without_the_constant(name: str, network: Any, data: Any) -> None:
    found = _run(name, network, data, filter=1)
    constant = float(network.layers[-1].bias[1])
    sums = found.array.reshape(len(data), -1).sum(axis=1, dtype=np.float64)
    scores = [target.score - constant for target in found.targets]
    np.testing.assert_allclose(sums, scores, rtol=1e-4, atol=1e-5)


def test_behind_pooling_all_are_the_class_activation_map(keras: Any, axes: int, data: Any) -> None:
    network = _network(keras, axes, pooled=True)
    *_, kernel, _ = network.get_weights()
    features, _ = _derived(keras, network, data, 0)
    expected = features @ kernel[:, 0] / np.prod(data.shape[1:-1])
    for name in ("grad-cam", "hires-cam", "xgrad-cam"):
        wanted = _relu(expected) if name == "grad-cam" else expected
        found = _run(name, network, data, filter=0).array
        np.testing.assert_allclose(found, wanted, rtol=1e-3, atol=1e-6)
    # What a score loses without a feature map is its weight times the mean of the feature map.
    losses = kernel[:, 0] * features.mean(axis=tuple(range(1, features.ndim - 1)))
    found = _run("ablation-cam", network, data, filter=0)
    scores = np.array([abs(target.score) for target in found.targets])
    wanted = np.stack([_relu(a @ w) / s for a, w, s in zip(features, losses, scores, strict=True)])
    np.testing.assert_allclose(found.array, wanted, rtol=2e-3, atol=1e-4 * wanted.max())
    assert any("for each feature map, up to 5 times an image" in note for note in found.notes)


def test_where_all_gradients_are_positive(keras: Any, axes: int, data: Any) -> None:
    network = _network(keras, axes)
    *weights, kernel, bias = network.get_weights()
    network.set_weights([*weights, abs(kernel), bias])
    layer, hires = (_run(name, network, data).array for name in ("layer-cam", "hires-cam"))
    np.testing.assert_allclose(layer, hires, rtol=1e-5)
    # Of a single feature map, behind pooling, the weight is a factor of each map.
    network = _network(keras, axes, pooled=True, filters=1)
    *weights, kernel, bias = network.get_weights()
    network.set_weights([*weights, abs(kernel), bias])
    for one, other in zip(
        _run("grad-cam", network, data, filter=0).array,
        _run("grad-cam-plus-plus", network, data, filter=0).array,
        strict=True,
    ):
        np.testing.assert_allclose(one / one.max(), other / other.max(), rtol=1e-4, atol=1e-6)


def _one_by_one(keras: Any, kernel: Any, **settings: Any) -> Any:
    """Feature maps that are a mixture of the input's channels at each place, and a dense layer."""
    layers = keras.layers
    keras.utils.set_random_seed(2)
    network = keras.Sequential(
        [
            layers.Input((7, 6, len(kernel))),
            layers.Conv2D(kernel.shape[1], 1, use_bias=False, name="mixed", **settings),
            layers.Flatten(),
            layers.Dense(2, bias_initializer="normal", name="output"),
        ]
    )
    network.layers[0].set_weights([kernel[None, None].astype(np.float32)])
    return network


def test_eigen_cam_of_one_component_is_its_places(keras: Any) -> None:
    x = np.random.default_rng(0).uniform(0.5, 2, (3, 7, 6, 1)).astype(np.float32)
    kernel = np.array([[0.5, -1.0, 2.0, 0.25]])
    network = _one_by_one(keras, kernel)
    found = _run("eigen-cam", network, x).array
    size = np.linalg.norm(kernel)  # and the sum of all feature maps is positive
    np.testing.assert_allclose(found, x[..., 0] * size, rtol=1e-5)
    # Images that are less than zero there have maps that are.
    np.testing.assert_allclose(_run("eigen-cam", network, -x).array, -x[..., 0] * size, rtol=1e-5)


@pytest.mark.parametrize("activation", ["relu", "linear"])
def test_an_image_that_is_flipped_flips_the_map_of_eigen_cam(keras: Any, activation: str) -> None:
    rng = np.random.default_rng(1)
    x = rng.normal(0.3, 1, (6, 7, 6, 3)).astype(np.float32)
    network = _one_by_one(keras, rng.normal(size=(3, 5)), activation=activation)
    maps = _run("eigen-cam", network, np.concatenate([x, x[:, ::-1], x[:, :, ::-1]])).array
    for flipped, axis in ((maps[6:12], 1), (maps[12:], 2)):
        np.testing.assert_allclose(np.flip(flipped, axis), maps[:6], rtol=1e-4, atol=1e-5)
    one = np.asarray(network.layers[0](x)).reshape(6, 42, 5)
    for image, found in zip(one, maps[:6].reshape(6, 42), strict=True):
        (_, size, component) = np.linalg.svd(image)
        assert abs(found @ (image @ component[0])) == pytest.approx(size[0] ** 2, rel=1e-4)


def test_score_cam_is_its_formula(keras: Any) -> None:
    rng = np.random.default_rng(2)
    x = rng.normal(0.3, 1, (3, 7, 6, 2)).astype(np.float32)
    network = _one_by_one(keras, rng.normal(size=(2, 4)), activation="relu")
    for settings in ({}, {"baseline": 0.5}):
        start = settings.get("baseline", 0.0)
        expected = []
        for image in x:
            features = np.asarray(network.layers[0](image[None]))[0]
            kind = network(image[None])[0].numpy().argmax()
            scores = []
            for a in np.moveaxis(features, -1, 0):
                mask = ((a - a.min()) / np.ptp(a))[..., None]
                scores.append(float(network((start + mask * (image - start))[None])[0, kind]))
            weights = np.exp(scores) / np.exp(scores).sum()
            expected.append(_relu(features @ weights))
        found = _run("score-cam", network, x, class_names=["a", "b"], **settings)
        np.testing.assert_allclose(found.array, expected, rtol=1e-4, atol=1e-6)
        assert (
            "score-cam runs the network once for each feature map, up to 4 times" in found.notes[-1]
        )


def test_score_cam_of_one_feature_map_is_that_map(keras: Any) -> None:
    x = np.random.default_rng(3).uniform(0.5, 2, (3, 7, 6, 1)).astype(np.float32)
    network = _one_by_one(keras, np.array([[-1.0, 2.0, -3.0]]), activation="relu")
    np.testing.assert_allclose(_run("score-cam", network, x).array, 2 * x[..., 0], rtol=1e-5)
    # Of several, those that vary the most are taken.
    network = _one_by_one(keras, np.array([[1.0, 3.0, 2.0]]), activation="relu")
    found = _run("score-cam", network, x, most_channels=1)
    np.testing.assert_allclose(found.array, 3 * x[..., 0], rtol=1e-5)
    assert "up to 1 times" in found.notes[-1]


@pytest.mark.parametrize("dtype", ["int32", "float32"])
def test_score_cam_needs_numbers_with_others_between(keras: Any, dtype: str) -> None:
    words = keras.Sequential(
        [
            keras.layers.Input((9,), dtype=dtype),
            keras.layers.Embedding(5, 3, name="known"),
            keras.layers.Flatten(),
            keras.layers.Dense(2, name="output"),
        ]
    )
    x = np.random.default_rng(0).integers(0, 5, (2, 9)).astype(np.int32)
    with pytest.raises(cnnvis.UserError, match="this input holds whole numbers"):
        _run("score-cam", words, x, filter=0)
    assert _run("ablation-cam", words, x, filter=0).array.shape == (2, 9)


@pytest.mark.parametrize(("name", "kernel"), [("xgrad-cam", 1.0), ("grad-cam-plus-plus", -1.0)])
def test_weights_that_explode_are_noted(keras: Any, name: str, kernel: float) -> None:
    x = np.random.default_rng(4).normal(size=(4, 7, 6, 1)).astype(np.float32)
    x -= x.mean(axis=(1, 2), keepdims=True) - (0.01 if name == "xgrad-cam" else 0.5)
    network = _one_by_one(keras, np.array([[kernel]]))
    said = f"in 4 of 4 maps of {name}, up to 100% comes from feature maps whose values"
    assert any(said in note for note in _run(name, network, x, filter=0).notes)
    network = _one_by_one(keras, np.array([[kernel]]), activation="relu")
    assert not any("of both signs" in n for n in _run(name, network, x, filter=0).notes)


def test_several_layers_make_one_map(keras: Any, axes: int, network: Any, data: Any) -> None:
    every: dict[str, Any] = {"filter": 1}
    space = tuple(range(1, data.ndim - 1))
    for name in ("grad-cam", "hires-cam", "layer-cam", "eigen-cam"):
        both = _run(name, network, data, penultimate="second, fir*", **every)
        assert "used 'first' (" in both.notes[0] and "and 'second' (" in both.notes[0]
        maps = [
            _run(name, network, data, penultimate=layer, **every).array
            for layer in ("first", "second")
        ]
        first, second = (one / abs(one).max(axis=space, keepdims=True) for one in maps)
        wanted = (first + second) / 2
        if name == "layer-cam":
            wanted = np.maximum(np.tanh(2 * first), second)
        np.testing.assert_allclose(both.array, wanted, rtol=1e-4, atol=1e-6)
    with pytest.raises(cnnvis.UserError, match="--keras-vis takes one layer"):
        _run("grad-cam", network, data, penultimate="first,second", keras_vis=True)


@pytest.mark.slow
def test_patterns_that_fit_nothing_name_three_layers(keras: Any) -> None:
    layers = keras.layers
    steps = [layers.Conv1D(2, 3, padding="same", name=f"conv_{number}") for number in range(20)]
    network = keras.Sequential(
        [layers.Input((9, 1)), *steps, layers.Flatten(), layers.Dense(2, name="output")]
    )
    x = np.ones((1, 9, 1), np.float32)
    with pytest.raises(cnnvis.UserError, match=r"'konv_1\*'; layers with a name near that: conv_1"):
        _run("layer-cam", network, x, filter=0, penultimate="konv_1*")
    with pytest.raises(cnnvis.UserError, match="Did you mean 'conv_1', 'conv_19' or 'conv_18'"):
        _run("layer-cam", network, x, filter=0, penultimate="kconv_1")
    found = _run("layer-cam", network, x, filter=0, penultimate="conv_[12], conv_0")
    assert "used 'conv_0' (9) and 'conv_1' (9) and 'conv_2' (9), as chosen" in found.notes[0]


def _transformer(keras: Any, *, class_token: bool, fixed: int | None = None) -> Any:
    """Patches of 3 x 5 of pictures of 9 x 20, as tokens that look at each other."""
    layers, ops = keras.layers, keras.ops

    class ClassToken(layers.Layer):
        def build(self, shape: Any) -> None:
            self.token = self.add_weight(shape=(1, 1, shape[-1]), initializer="normal")

        def call(self, x: Any) -> Any:
            token = ops.broadcast_to(self.token, (ops.shape(x)[0], 1, x.shape[-1]))
            return ops.concatenate([token, x], axis=1)

    keras.utils.set_random_seed(5)
    x = layers.Input((9, 20, 2), batch_size=fixed)
    flow = layers.Reshape((12, 6))(layers.Conv2D(6, (3, 5), strides=(3, 5), name="patches")(x))
    flow = ClassToken(name="tokens")(flow) if class_token else flow
    for number in (1, 2):
        normal = layers.LayerNormalization(name=f"normal_{number}")(flow)
        flow = layers.Add()([flow, layers.MultiHeadAttention(2, 3)(normal, normal)])
        flow = layers.Add()([flow, layers.Dense(6, "gelu", name=f"mlp_{number}")(flow)])
    flow = layers.LayerNormalization(name="last")(flow)
    end = flow[:, 0] if class_token else layers.GlobalAveragePooling1D()(flow)
    return keras.Model(x, layers.Dense(3, bias_initializer="normal", name="output")(end))


@pytest.mark.slow
@pytest.mark.parametrize(("class_token", "fixed"), [(False, None), (True, None), (True, 3)])
def test_tokens_are_the_grid_of_their_patches(
    keras: Any, class_token: bool, fixed: int | None
) -> None:
    network = _transformer(keras, class_token=class_token, fixed=fixed)
    x = np.random.default_rng(6).normal(size=(2, 9, 20, 2)).astype(np.float32)
    model = cnnvis.Model(network, filters=1)
    layer = "normal_2" if class_token else "last"  # behind the last attention, one token counts
    features, gradients = model.activation_gradient(x, layer)
    assert features.shape == (2, 12 + class_token, 6)
    grid = (features * gradients)[:, int(class_token) :].sum(axis=-1).reshape(2, 3, 4)
    found = _run("hires-cam", network, x, filter=1)
    assert f"used {layer!r} (3 x 4), the last layer before 'output'" in found.notes[0]
    np.testing.assert_allclose(found.array[:, 1::3, 2::5], grid, rtol=1e-4, atol=1e-6)
    for name in ALL:
        assert _run(name, network, x, filter=1).array.shape == (2, 9, 20)
    if not class_token:
        sums = grid.sum(axis=(1, 2))
        constant = float(network.layers[-1].bias[1])
        np.testing.assert_allclose(sums, model.scores(x) - constant, rtol=1e-4)


@pytest.mark.parametrize("name", ALL)
def test_images_and_batches_do_not_matter(keras: Any, name: str) -> None:
    network = _one_by_one(keras, np.random.default_rng(7).normal(size=(2, 4)), activation="relu")
    x = np.random.default_rng(8).normal(0.3, 1, (5, 7, 6, 2)).astype(np.float32)
    together = _run(name, network, x, filter=1).array
    with cnnvis.computing(batch_size=2):
        alone = _run(name, network, x[[3, 0]], filter=1).array
    np.testing.assert_allclose(alone, together[[3, 0]], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", ["layer-cam", "eigen-cam", "score-cam"])
def test_layers_that_cannot_be_shown_are_refused(classifier: Any, images: Any, name: str) -> None:
    with pytest.raises(cnnvis.UserError, match="'flat' has no spatial axes to show"):
        _run(name, classifier, images, penultimate="flat")
    with pytest.raises(cnnvis.UserError, match=r"'second' is not between .* the target 'pool'"):
        _run(name, classifier, images, layer="pool", penultimate="second")
    with pytest.raises(cnnvis.UserError, match="--penultimate takes the name of a layer"):
        _run(name, classifier, images, penultimate=" , ")
