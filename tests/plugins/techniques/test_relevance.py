"""LRP, DeepLIFT and Deep SHAP against formulas written down anew, and answers that are known."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from quick import quick_are

import cnnvis

Array = np.ndarray[Any, Any]


def _random(network: Any, scale: float = 0.5) -> Any:
    """Give a network random weights, of both signs, and biases as well."""
    rng = np.random.default_rng(4)
    for variable in network.weights:
        drawn = rng.normal(scale=scale, size=variable.shape)
        # A variance is not below zero.
        variable.assign(abs(drawn) + 0.5 if "variance" in variable.path else drawn)
    return network


def _drawn(*shape: int) -> Array:
    return np.random.default_rng(7).normal(size=shape).astype(np.float32)


# LRP's rules, from the contributions of each input to each output, a matrix


def _by_hand(rule: str, x: Array, weights: Array, bias: Array, relevance: Array) -> Array:
    """Share relevance (k,) out among x (j,) for a layer x @ weights + bias, in double precision."""
    parts = x[:, None] * weights
    up, down = np.maximum(parts, 0), np.minimum(parts, 0)
    b_up, b_down = np.maximum(bias, 0), np.minimum(bias, 0)
    z = parts.sum(axis=0) + bias

    def shared(some: Array, rest: Array) -> Array:
        total = some.sum(axis=0) + rest
        return np.divide(some, total, out=np.zeros_like(some), where=total != 0)

    ways: dict[str, Callable[[], Array]] = {
        "epsilon:0": lambda: parts / z,
        "epsilon:0.3": lambda: parts / (z + 0.3 * np.where(z >= 0, 1, -1)),
        "z-plus": lambda: shared(up, b_up),
        "alpha-beta:2,1": lambda: 2 * shared(up, b_up) - shared(down, b_down),
        "gamma:0.5": lambda: np.where(
            z >= 0,
            shared(parts + 0.5 * up, bias + 0.5 * b_up),
            shared(parts + 0.5 * down, bias + 0.5 * b_down),
        ),
        "flat": lambda: shared((weights != 0).astype(float), 0 * bias),
        "w-square": lambda: shared(weights**2, bias**2),
        "z-box": lambda: shared(
            parts + 2 * np.maximum(weights, 0) - 3 * np.minimum(weights, 0), 0 * bias
        ),
        "zero": lambda: 0 * parts,
    }
    return ways[rule]() @ relevance


def _layers(keras: Any) -> dict[str, tuple[tuple[int, ...], Callable[[], Any]]]:
    layers = keras.layers
    first = {"data_format": "channels_first"}
    return {
        "dense": ((9,), lambda: layers.Dense(5)),
        "conv-1": ((9, 2), lambda: layers.Conv1D(3, 3, padding="same", dilation_rate=2)),
        "conv-2": ((5, 6, 2), lambda: layers.Conv2D(3, 3, strides=2, padding="same")),
        "conv-3": ((3, 4, 3, 2), lambda: layers.Conv3D(2, 2)),
        "first": ((2, 5, 4), lambda: layers.Conv2D(3, 3, **first)),
        "depthwise": ((5, 4, 2), lambda: layers.DepthwiseConv2D(3, depth_multiplier=2)),
        "separable": ((5, 4, 2), lambda: layers.SeparableConv2D(3, 3, padding="same")),
        "transposed": ((4, 3, 2), lambda: layers.Conv2DTranspose(3, 3, strides=2)),
    }


RULES = [
    *("epsilon:0", "epsilon:0.3", "z-plus", "alpha-beta:2,1", "gamma:0.5"),
    *("flat", "w-square", "z-box", "zero"),
]
CASES = [(rule, layer, "absorb") for rule in RULES for layer in ("conv-2", "dense")]
CASES += [(rule, "conv-2", "ignore") for rule in RULES]
CASES += [
    (rule, layer, "absorb")
    for rule in ("gamma:0.5", "flat", "z-plus")
    for layer in ("conv-1", "conv-3", "first", "depthwise", "separable", "transposed")
]
QUICK = [(rule, "conv-2", "absorb") for rule in RULES if rule != "epsilon:0"]
QUICK += [("z-plus", "separable", "absorb"), ("gamma:0.5", "first", "absorb")]
QUICK += [("flat", "depthwise", "absorb"), ("gamma:0.5", "conv-2", "ignore")]


@pytest.mark.parametrize(("rule", "layer", "biases"), quick_are(QUICK, CASES))
def test_every_rule_is_its_formula(keras: Any, rule: str, layer: str, biases: Any) -> None:
    """The matrix of a layer is found by the layer itself, from inputs with a single 1 in them."""
    shape, made = _layers(keras)[layer]
    image = keras.Input(shape)
    value = made()(image)
    flat = keras.layers.Flatten()(value)
    network = keras.Model(image, keras.layers.Dense(1, use_bias=False, name="output")(flat))
    linear = keras.Model(image, flat)
    _random(network)
    size = int(np.prod(shape))
    bias = np.asarray(linear(np.zeros((1, *shape), np.float32)), np.float64)[0]
    weights = np.asarray(linear(np.eye(size, dtype=np.float32).reshape(-1, *shape)), np.float64)
    weights = np.where(abs(weights - bias) < 1e-5, 0, weights - bias)
    x = _drawn(3, *shape)
    after = np.asarray(linear(x), np.float64)
    relevance = after * network.get_layer("output").get_weights()[0][:, 0]
    bias = bias * (biases == "absorb")
    expected = np.stack(
        [
            _by_hand(rule, one.ravel().astype(float), weights, bias, r)
            for one, r in zip(x, relevance, strict=True)
        ]
    )
    table = cnnvis.Composite("one rule", {"any": "epsilon:0"}, first={"any": rule})
    found = cnnvis.Model(network).relevance(x, table, bias=biases, bounds=(-2, 3))
    np.testing.assert_allclose(
        found.maps.reshape(3, -1), expected, rtol=1e-3, atol=1e-4 * abs(expected).max()
    )
    scores = after @ network.get_layer("output").get_weights()[0][:, 0]
    if rule not in ("epsilon:0.3", "alpha-beta:2,1", "z-plus", "zero"):  # which lose relevance
        total = found.maps.reshape(3, -1).sum(axis=1) + found.bias
        np.testing.assert_allclose(total, scores, rtol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("slope", "axes"),
    [(0.0, 1), (0.0, 2), (0.0, 3), (0.2, 1), (0.2, 2), (0.2, 3)],
)
def test_without_epsilon_it_is_the_gradient_times_the_input(
    keras: Any, axes: int, slope: float
) -> None:
    """With all that piecewise linear networks are made of: biases, normalizations, a sum of branches."""
    layers = keras.layers
    conv, pool = (getattr(layers, f"{kind}{axes}D") for kind in ("Conv", "MaxPooling"))
    image = keras.Input((*(12, 8, 6)[:axes], 2))
    rectifier = layers.LeakyReLU(negative_slope=slope)
    value = layers.BatchNormalization()(layers.Rescaling(2.0, offset=-0.5)(image))
    value = start = rectifier(conv(4, 3, padding="same")(value))
    shared = conv(4, 3, padding="same")
    value = rectifier(layers.BatchNormalization()(shared(value)))
    value = shared(value)  # the same layer twice, and two layers behind it
    value = layers.Add()([rectifier(value), layers.BatchNormalization()(value), start])
    value = layers.Dropout(0.5)(pool(2)(layers.BatchNormalization()(value)))
    value = layers.Flatten()(layers.Concatenate()([value, -2 * value]))
    network = keras.Model(image, layers.Dense(3, "softmax", name="output")(value))
    _random(network, 0.3)
    x = _drawn(3, *image.shape[1:])
    for chosen in (None, "output[0]-output[2]"):
        model = cnnvis.Model(network, layer=chosen)
        expected = x * model.input_gradient(x)
        found = model.relevance(x, cnnvis.composite_named("epsilon", 0.0))
        np.testing.assert_allclose(found.maps, expected, atol=1e-4 * abs(expected).max())
        np.testing.assert_allclose(found.scores, model.scores(x), rtol=1e-5)
        total = found.maps.reshape(3, -1).sum(axis=1) + found.bias
        np.testing.assert_allclose(total, found.scores, rtol=1e-4, atol=1e-4)
    table = cnnvis.Composite("gamma", {"any": "gamma:0"}, epsilon=0.0)
    np.testing.assert_allclose(
        model.relevance(x, table).maps, found.maps, atol=1e-3 * abs(expected).max()
    )


def _merging(keras: Any, weights: dict[str, Array] | None) -> Any:
    """Normalizations before and behind layers; with weights, the same network merged by hand."""
    layers = keras.layers
    image = keras.Input((7, 6, 2))
    value = layers.BatchNormalization(name="xn")(image) if weights is None else image
    value = layers.Conv2D(3, 3, name="a")(layers.ZeroPadding2D(0)(value))
    if weights is None:
        value = layers.BatchNormalization(name="an")(layers.Dropout(0.1)(value))
    value = layers.ReLU()(value)
    if weights is None:
        value = layers.BatchNormalization(name="bn")(value)
    value = layers.Conv2D(4, 2, activation="relu", name="b")(value)
    if weights is None:
        value = layers.BatchNormalization(name="cn")(value)
    value = layers.Flatten()(value)
    network = keras.Model(image, layers.Dense(2, name="output")(value))
    if weights is not None:
        for name in ("a", "b", "output"):
            network.get_layer(name).set_weights([weights[name], weights[f"{name} bias"]])
    return network


@pytest.mark.parametrize(
    "composite",
    quick_are(
        ["epsilon-plus", "epsilon-gamma-box", "epsilon-alpha2-beta1-flat", "w-square"],
        [
            "w-square",
            *("epsilon", "epsilon-plus", "epsilon-plus-flat", "epsilon-gamma-box"),
            *("epsilon-alpha2-beta1", "epsilon-alpha2-beta1-flat"),
        ],
    ),
)
def test_normalizations_are_merged_as_by_hand(keras: Any, composite: str) -> None:
    network = _random(_merging(keras, None))

    def factor(name: str) -> tuple[Array, Array]:
        gamma, beta, mean, variance = network.get_layer(name).get_weights()
        scale = gamma / np.sqrt(variance + network.get_layer(name).epsilon)
        return scale, beta - mean * scale

    held = {}
    kernel, bias = network.get_layer("a").get_weights()
    scale, shift = factor("xn")
    bias = bias + np.einsum("yxio,i->o", kernel, shift)
    kernel = kernel * scale[:, None]
    scale, shift = factor("an")
    held["a"], held["a bias"] = kernel * scale, bias * scale + shift
    kernel, bias = network.get_layer("b").get_weights()
    scale, shift = factor("bn")
    held["b bias"] = bias + np.einsum("yxio,i->o", kernel, shift)
    held["b"] = kernel * scale[:, None]
    kernel, bias = network.get_layer("output").get_weights()
    scale, shift = (np.tile(one, kernel.shape[0] // 4) for one in factor("cn"))
    held["output bias"], held["output"] = bias + shift @ kernel, kernel * scale[:, None]
    by_hand = _merging(keras, held)
    x = _drawn(4, 7, 6, 2)
    np.testing.assert_allclose(network(x), by_hand(x), rtol=1e-4, atol=1e-4)
    if composite == "w-square":
        table = cnnvis.Composite(composite, {"any": composite})
    else:
        table = cnnvis.composite_named(composite)
    maps = [
        cnnvis.Model(one, filters=1).relevance(x, table, bounds=(-4, 4)).maps
        for one in (network, by_hand)
    ]
    np.testing.assert_allclose(maps[0], maps[1], rtol=1e-3, atol=2e-4 * abs(maps[0]).max())


@pytest.mark.slow
def test_another_type_of_numbers_is_no_normalization(keras: Any) -> None:
    layers = keras.layers
    network = keras.Sequential(
        [
            layers.Input((9, 8, 2)),
            layers.Conv2D(4, 3, activation="relu", dtype="mixed_float16"),
            layers.GlobalAveragePooling2D(dtype="mixed_float16"),
            layers.Dense(3, dtype="mixed_float16"),
            layers.Activation("softmax", dtype="float32"),
        ]
    )
    data = np.random.default_rng(0).normal(size=(2, 9, 8, 2)).astype(np.float32)
    found = cnnvis.run("lrp", network, data=data, checks="none")
    assert any("layers by rule" in note for note in found.notes)
    assert not any("normalizations" in note for note in found.notes)


def test_nothing_is_lost_where_biases_are_ignored(keras: Any, classifier: Any) -> None:
    x = abs(_drawn(4, 12, 10, 2))
    for kind in ("z-plus", "flat", "w-square"):
        table = cnnvis.Composite("all", {"any": kind}, epsilon=0.0)
        network = keras.models.clone_model(classifier)
        rng = np.random.default_rng(2)
        network.set_weights([abs(rng.normal(size=one.shape)) for one in network.get_weights()])
        found = cnnvis.Model(network).relevance(x, table, bias="ignore")
        assert not found.bias.any()
        np.testing.assert_allclose(found.maps.sum(axis=(1, 2, 3)), found.scores, rtol=1e-6)


def test_several_inputs_share_the_score(keras: Any) -> None:
    """A product gives half to each factor, and what both inputs have adds up to the score."""
    layers = keras.layers
    a, b = keras.Input((6, 2), name="a"), keras.Input((3,), name="b")
    left = layers.GlobalMaxPooling1D()(layers.Conv1D(4, 3, use_bias=False)(a))
    right = layers.Dense(4, "sigmoid", use_bias=False)(b)
    product = layers.Multiply()([left, right])
    network = _random(keras.Model([a, b], layers.Dense(2, use_bias=False, name="output")(product)))
    data = {"a": _drawn(4, 6, 2), "b": _drawn(4, 3)}
    found = cnnvis.run("lrp", network, data=data, filter=0, composite="epsilon", epsilon=0.0)
    scores = cnnvis.Model(network, filters=0).predict(data)[:, 0]
    both = (found, found.other_inputs[0])
    for one in both:
        total = one.array.reshape(4, -1).sum(axis=1)
        np.testing.assert_allclose(total, scores / 2, rtol=1e-4)
        assert one.measures["conservation_gap"].max() < 1e-4


def test_a_single_sigmoid_and_positions_of_an_output(keras: Any) -> None:
    layers = keras.layers
    network = keras.Sequential(
        [
            layers.Input((8, 6, 1)),
            layers.Conv2D(3, 3, padding="same", activation="relu"),
            layers.Conv2D(1, 1, activation="sigmoid", name="output"),
        ]
    )
    _random(network)
    x = _drawn(2, 8, 6, 1)
    names = ("no", "yes")
    yes, no = (
        cnnvis.run("lrp", network, data=x, filter=one, class_names=names, region=(3, "2:4"))
        for one in ("yes", "no")
    )
    np.testing.assert_allclose(yes.array, -no.array, rtol=1e-5)
    assert not yes.array[:, 5:].any() and not yes.array[:, :, 5:].any() and yes.array.any()
    np.testing.assert_array_less(yes.measures["conservation_gap"], 1e-4)


@pytest.mark.slow
def test_a_changed_network_is_seen_and_batches_do_not_matter(classifier: Any, images: Any) -> None:
    for name in ("lrp", "deeplift"):
        whole = cnnvis.run(name, classifier, data=images, filter=1).array
        alone = cnnvis.run(name, classifier, data=images, images=[3], filter=1).array[0]
        np.testing.assert_allclose(alone, whole[3], rtol=1e-4, atol=1e-5 * abs(alone).max())
        before = classifier.get_layer("second").get_weights()
        try:
            classifier.get_layer("second").set_weights([-one for one in before])
            other = cnnvis.run(name, classifier, data=images, filter=1).array
        finally:
            classifier.get_layer("second").set_weights(before)
        assert abs(other - whole).max() > 0.1 * abs(whole).max()


def test_a_composite_of_ones_own(classifier: Any, images: Any, tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text('[layers]\nConv = "z-plus"\nany = "epsilon"\n[names]\nsecond = "zero"\n')
    cut = cnnvis.Model(classifier).relevance(images, cnnvis.composite_named(str(path)))
    assert not cut.maps.any() and cut.rules == {"z-plus": 1, "zero": 1, "epsilon": 1}
    path.write_text('[layers]\nConv = "z-plus"\nany = "epsilon"\n')
    found = cnnvis.run("lrp", classifier, data=images, composite=str(path))
    expected = cnnvis.run("lrp", classifier, data=images)
    np.testing.assert_array_equal(found.array, expected.array)
    held = {"layers": {"Conv": "z-plus", "any": "epsilon"}}
    assert found.provenance["composite"] == expected.provenance["composite"] == held
    assert any("layers by rule: epsilon 1, z-plus 2" in one for one in expected.notes)
    mine = (cnnvis.Pool((("all", abs),), factor=2.0),)
    table = cnnvis.Composite("sizes", {"any": "epsilon"}, {"any": mine})
    doubled = cnnvis.Model(classifier).relevance(abs(images), table)
    assert doubled.rules == {"epsilon": 2, "a rule of its own": 1}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("layers = 3\n", "layers in .* must be a table"),
        ("[layers]\nany = 3\n", "the name of a rule in quotes"),
        ('[layers]\nany = "epsilom"\n', "Did you mean .*epsilon|epsilon"),
        ('[layers]\nany = "gamma:-1"\n', "numbers of at least 0"),
        ('[layers]\nany = "z-plus:1"\n', "takes 0 numbers"),
        ('[layers]\nany = "alpha-beta:1,1"\n', "alpha - beta = 1"),
        ('[layer]\nany = "z-plus"\n', "tables layers, first and names"),
        ('[first]\nany = "z-plus"\n', "has no table layers"),
        ('[layers]\nDense = "epsilon"\n', "no rule for the layer 'first'"),
        (
            '[layers]\nCnv2D = "flat"\nany = "epsilon"\n',
            "no kind of layer with weights. Did you mean",
        ),
        ('[layers]\nany = "z-box"\n', "known for the first layer"),
        ('[layers]\nany = "flat"\n[names]\nsecnd = "zero"\n', "not among those up to the target"),
    ],
)
def test_what_is_no_composite(
    classifier: Any, images: Any, tmp_path: Path, text: str, said: str
) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(text)
    with pytest.raises(cnnvis.UserError, match=said):
        cnnvis.run("lrp", classifier, data=images, composite=str(path))


@pytest.mark.slow
def test_layers_of_all_kinds_keep_what_they_are_given(keras: Any) -> None:
    """Layers with kernels and normalizations of all kinds, and layers that only Keras does not know."""
    layers = keras.layers

    class Mixed(layers.Layer):  # type: ignore[misc]
        def build(self, shape: Any) -> None:
            self.mix = self.add_weight(shape=(shape[-1], shape[-1]))

        def call(self, x: Any) -> Any:
            return keras.ops.matmul(x, self.mix) + 0.1

    image = keras.Input((9, 8, 2))
    value = layers.BatchNormalization(axis=1)(layers.Conv2D(4, 3, groups=2)(image))
    value = layers.Conv2DTranspose(3, 3, strides=2)(layers.LeakyReLU()(value))
    value = layers.DepthwiseConv2D(3, activation="leaky_relu")(layers.BatchNormalization()(value))
    value = layers.UpSampling2D(2, interpolation="bilinear")(layers.SeparableConv2D(4, 3)(value))
    value = layers.Permute((2, 1, 3))(layers.Cropping2D(1)(layers.ZeroPadding2D(2)(value)))
    left, right = keras.ops.split(Mixed()(layers.MaxPooling2D(4)(value)), 2, axis=-1)
    value = keras.ops.maximum(left, 0.0) - keras.ops.relu(right)
    value = layers.Lambda(lambda x: 2 * keras.ops.mean(x, axis=1))(value)[:, 1:]
    value = layers.EinsumDense("abc,cd->abd", (None, 3), activation="relu")(value)
    dense = layers.Dense(2, name="output")(layers.GlobalAveragePooling1D()(value))
    network = _random(keras.Model(image, dense))
    x = _drawn(3, 9, 8, 2)
    model = cnnvis.Model(network, filters=0)
    expected = x * model.input_gradient(x)
    found = model.relevance(x, cnnvis.composite_named("epsilon", 0.0))
    np.testing.assert_allclose(found.maps, expected, atol=1e-4 * abs(expected).max())
    assert (found.merged, found.alone) == (1, 1)
    lift = cnnvis.run("deeplift", network, data=x, baseline=0.1, filter=0)
    assert lift.measures["completeness_gap"].max() < 1e-5


def test_what_is_not_in_the_maps_is_said(keras: Any, tmp_path: Path) -> None:
    """Of the scores 3 x - 6, the bias takes -6; and nothing speaks for a score below zero."""
    layers = keras.layers
    network = keras.Sequential(
        [layers.Input((1, 1)), layers.Flatten(), layers.Dense(1, name="output")]
    )
    network.set_weights([np.array([[3.0]]), np.array([-6.0])])
    data = np.array([[[3.0]], [[4.0]]], np.float32)
    found = cnnvis.run("lrp", network, data=data, composite="epsilon")
    np.testing.assert_allclose(found.array.ravel(), [9, 12], rtol=1e-5)
    np.testing.assert_allclose(found.measures["bias_share"], [-2, -1], rtol=1e-5)
    assert any("biases took -200% to -100% of the score" in one for one in found.notes)
    network.set_weights([np.array([[-3.0]]), np.array([6.0])])
    (tmp_path / "plus.toml").write_text('[layers]\nany = "z-plus"\n')
    settings = {"composite": str(tmp_path / "plus.toml"), "bias": "ignore"}
    with pytest.raises(cnnvis.UserError, match="lrp is zero everywhere in every image"):
        cnnvis.run("lrp", network, data=data, **settings)
    data[0] *= -1
    lost = cnnvis.run("lrp", network, data=data, **settings)
    np.testing.assert_allclose(lost.measures["conservation_gap"], [0, 1], atol=1e-6)
    assert any("and up to 100.0% of it is lost" in one for one in lost.notes)


def test_layers_made_of_kerass_own(keras: Any) -> None:
    """A class made of Keras's has its rule, unless it computes something else by the same kernel."""
    layers = keras.layers

    class Same(layers.Conv1D):  # type: ignore[misc]
        pass

    class Doubled(layers.Conv1D):  # type: ignore[misc]
        def convolution_op(self, inputs: Any, kernel: Any) -> Any:
            return super().convolution_op(inputs, 2 * keras.ops.abs(kernel))

    x = _drawn(2, 6, 2)
    for kind, rules in ((Same, {"z-plus": 1, "epsilon": 1}), (Doubled, {"norm": 1, "epsilon": 1})):
        network = keras.Sequential(
            [
                layers.Input((6, 2)),
                kind(3, 3, name="own"),
                layers.Flatten(),
                layers.Dense(2, name="output"),
            ]
        )
        model = cnnvis.Model(_random(network))
        assert model.relevance(x, cnnvis.composite_named("epsilon-plus")).rules == rules
    table = cnnvis.Composite("mine", {"any": "epsilon"}, names={"own": "z-plus"})
    with pytest.raises(
        cnnvis.UserError, match=r"'own' \(Doubled\) adds values up without a kernel"
    ):
        model.relevance(x, table)


@pytest.mark.slow
def test_zeros_are_said_to_have_no_relevance(classifier: Any, images: Any) -> None:
    dark = images * (np.arange(12) % 2)[:, None, None]
    for composite, data, is_said in (
        ("epsilon-plus", dark, True),
        ("epsilon-plus", images, False),
        ("epsilon-plus-flat", dark, False),
        ("epsilon-gamma-box", dark, False),
    ):
        found = cnnvis.run("lrp", classifier, data=data, composite=composite)
        assert any("a value that is 0 is 0" in one for one in found.notes) == is_said
        assert found.array[:, 2:8:2].any() != (composite == "epsilon-plus" and is_said)


@pytest.mark.slow
def test_what_lrp_has_no_rule_for_is_named(keras: Any) -> None:
    layers = keras.layers
    network = keras.Sequential(
        [layers.Input((6, 2)), layers.LSTM(3, name="memory"), layers.Dense(2, name="output")]
    )
    x = _drawn(3, 6, 2)
    with pytest.raises(cnnvis.UserError, match=r"no rule for 'memory' \(LSTM\).* Use deeplift"):
        cnnvis.run("lrp", network, data=x)
    found = cnnvis.run("deeplift", network, data=x, baseline=0.0)
    assert found.measures["completeness_gap"].max() < 1e-4
    assert any("'memory' (LSTM) are averaged on the way" in one for one in found.notes)


# DeepLIFT


def _made_of(keras: Any, kind: str) -> Any:
    layers = keras.layers
    image = keras.Input((10, 8, 2))
    value = layers.Conv2D(4, 3, padding="same")(image)
    if kind == "pool":
        value = layers.MaxPooling2D(3, strides=2)(layers.ReLU()(value))
        value = layers.Maximum()([value, layers.Conv2D(4, 1)(value)])
    elif kind == "residual":
        start = value = layers.LeakyReLU()(layers.BatchNormalization()(value))
        value = layers.PReLU()(
            layers.BatchNormalization()(layers.Conv2D(4, 3, padding="same")(value))
        )
        value = layers.AveragePooling2D(2)(layers.Add()([start, value]))
    elif kind == "product":
        gate = layers.Dense(4, "sigmoid")(layers.GlobalAveragePooling2D()(value))
        value = layers.Activation("gelu")(value) * layers.Reshape((1, 1, 4))(gate)
    elif kind == "reused":
        again = layers.Conv2D(4, 3, padding="same", activation="elu")
        value = again(again(value))
    elif kind == "operations":
        value = keras.ops.softmax(keras.ops.tanh(value) * 2.0 + 0.1, axis=-1)
    value = layers.Flatten()(value)
    network = keras.Model(image, layers.Dense(3, "softmax", name="output")(value))
    return _random(network, 0.4)


KINDS = ["pool", "residual", "product", "reused", "operations"]


@pytest.mark.parametrize("kind", quick_are(["pool", "product"], KINDS))
def test_multipliers_add_up_to_the_change_of_the_score(keras: Any, kind: str) -> None:
    network = _made_of(keras, kind)
    x = _drawn(4, 10, 8, 2)
    model = cnnvis.Model(network, filters=0)
    for start in (0 * x[:1], x.mean(axis=0, keepdims=True), x[1:2]):
        base = np.repeat(start, 4, axis=0)
        maps = (x - base) * model.multipliers(x, base).astype(np.float64)
        scores, before = model.scores(x), model.scores(base)
        # No sum is closer to a difference than the two scores are rounded.
        rounded = 1e-6 * np.maximum(abs(scores), abs(before)).max()
        total = maps.sum(axis=(1, 2, 3))
        np.testing.assert_allclose(total, scores - before, rtol=1e-5, atol=rounded)
    same = model.multipliers(x, x)
    gradient = model.input_gradient(x)
    np.testing.assert_allclose(same, gradient, atol=1e-4 * abs(gradient).max())


def test_of_a_linear_network_they_are_its_weights(keras: Any) -> None:
    layers = keras.layers
    network = keras.Sequential(
        [layers.Input((5, 2)), layers.Flatten(), layers.Dense(2, name="output")]
    )
    _random(network)
    weights = network.get_weights()[0][:, 1].reshape(5, 2)
    x = _drawn(6, 5, 2)
    lift = cnnvis.run("deeplift", network, data=x, baseline="sample:2", filter=1)
    np.testing.assert_allclose(lift.array, weights * (x - x[2]), rtol=1e-4, atol=1e-6)
    shap = cnnvis.run("deep-shap", network, data=x, baselines=6, filter=1)
    np.testing.assert_allclose(shap.array, weights * (x - x.mean(axis=0)), rtol=1e-4, atol=1e-5)


def test_changes_too_small_for_a_quotient_have_the_derivative(keras: Any) -> None:
    layers = keras.layers
    network = keras.Sequential(
        [layers.Input((3,)), layers.Dense(3, "sigmoid"), layers.Dense(1, name="output")]
    )
    _random(network, 1.0)
    x = _drawn(5, 3)
    model = cnnvis.Model(network)
    for size in (1e-7, 1e-6, 1e-5):
        found = model.multipliers(x, x + np.float32(size))
        np.testing.assert_allclose(found, model.input_gradient(x), rtol=0.02, atol=1e-4)


def test_deep_shap_is_exact_where_values_do_not_meet(keras: Any) -> None:
    """Shapley values of a sum of functions of single values are their changes, on average."""
    layers = keras.layers
    network = keras.Sequential(
        [
            layers.Input((4,)),
            layers.Dense(4, "relu", name="hidden"),
            layers.Dense(1, use_bias=False, name="output"),
        ]
    )
    network.get_layer("hidden").set_weights([np.diag([1.0, -2.0, 3.0, 0.5]), np.full(4, 0.1)])
    weights = np.array([1.0, 2.0, -1.0, 0.5])
    network.get_layer("output").set_weights([weights[:, None]])
    x = _drawn(8, 4)
    found = cnnvis.run("deep-shap", network, data=x, baselines=8).array
    each = np.maximum(x * [1.0, -2.0, 3.0, 0.5] + 0.1, 0) * weights
    np.testing.assert_allclose(found, each - each.mean(axis=0), rtol=1e-4, atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["seed", "genomatnn"])
def test_real_networks_with_leaky_rectifiers(reference: Path, name: str) -> None:
    import pickle

    if name == "seed":
        path = reference / "seed/introgression_32x32.h5"
        with (reference / "seed/test_data_32x32.pkl").open("rb") as file:
            x = pickle.load(file)[0][:6].astype(np.float32)
    else:
        path = reference / "genomatnn/nea_to_ceu.hdf5"
        x = np.load(reference / "genomatnn/validation_256x418.npz")["X"][:3, ..., None]
        x = x.astype(np.float32)
    model = cnnvis.load_model(path)
    expected = x * model.input_gradient(x)
    found = model.relevance(x, cnnvis.composite_named("epsilon", 0.0))
    np.testing.assert_allclose(found.maps, expected, atol=2e-4 * abs(expected).max())
    lift = cnnvis.run("deeplift", path, data=x, baseline=0.0)
    assert lift.measures["completeness_gap"].max() < 1e-5
