"""Targets as people write them, against networks whose layers do simple sums."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import cnnvis
from cnnvis.targets import Term, parsed, region_of

LAYERS = ("head", "head-2", "conv:a", "block/conv", "output", "2*x")


@pytest.mark.parametrize(
    ("text", "terms"),
    [
        ("output", [Term("output")]),
        ("output:3", [Term("output", "3")]),
        ("output[3]", [Term("output", "3")]),
        ("output: AI ", [Term("output", "AI")]),
        ("output[not AI-like]", [Term("output", "not AI-like")]),
        ("block/conv:7", [Term("block/conv", "7")]),
        ("head[3]-head[5]", [Term("head", "3"), Term("head", "5", -1)]),
        ("head:3 - head:5", [Term("head", "3"), Term("head", "5", -1)]),
        ("head-2", [Term("head-2")]),
        ("head-2-head", [Term("head-2"), Term("head", None, -1)]),
        ("head - output", [Term("head"), Term("output", None, -1)]),
        ("-output", [Term("output", None, -1)]),
        ("0.5*head[1] + 2 * output", [Term("head", "1", 0.5), Term("output", None, 2)]),
        ("- 3*head", [Term("head", None, -3)]),
        ("2*x", [Term("2*x")]),
        ("conv:a:1", [Term("conv:a", "1")]),
        ("conv:a", [Term("conv:a")]),
    ],
)
def test_what_is_written_is_understood(text: str, terms: list[Term]) -> None:
    assert list(parsed(text, LAYERS)) == terms


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("outpt", r"no layer 'outpt'\. Did you mean 'output'\?"),
        ("outpt:3", r"no layer 'outpt'\. Did you mean"),
        ("output[3", r"needs an output between \[ and \]"),
        ("output[]", r"between \[ and \]"),
        ("output:", "needs an output behind the colon"),
        ("output[1] head", r"not understood at 'head'"),
        ("output-", "no layer ''"),
        ("", "no layer ''"),
    ],
)
def test_what_is_no_target(text: str, sentence: str) -> None:
    with pytest.raises(cnnvis.UserError, match=sentence):
        parsed(text, LAYERS)


def test_regions() -> None:
    assert region_of(["3", "1:4", ":", "2:", 7, slice(1, 2)]) == (
        3, slice(1, 4), slice(None, None), slice(2, None), 7, slice(1, 2),
    )  # fmt: skip
    for wrong in ("a", "1:2:3", ""):
        with pytest.raises(cnnvis.UserError, match="is not understood: it takes a position"):
            region_of([wrong])


@pytest.fixture(scope="module")
def linear(keras: Any) -> tuple[Any, Any]:
    """A network with one dense layer of four outputs, and its kernel."""
    layers = keras.layers
    inputs = layers.Input((5,))
    hidden = layers.Dense(6, name="hidden", use_bias=False)(inputs)
    network = keras.Model(inputs, layers.Dense(4, "softmax", name="head", use_bias=False)(hidden))
    rng = np.random.default_rng(0)
    kernels = [rng.normal(size=shape).astype(np.float32) for shape in ((5, 6), (6, 4))]
    network.set_weights(kernels)
    return network, kernels


def test_sums_and_differences_are_what_they_say(linear: tuple[Any, Any]) -> None:
    network, (first, second) = linear
    whole = first @ second
    expected = {
        "head:3": whole[:, 3],
        "head[3]-head[1]": whole[:, 3] - whole[:, 1],
        "-head[2]": -whole[:, 2],
        "2*head[0] + hidden[4] - 0.5*head[0]": 1.5 * whole[:, 0] + first[:, 4],
    }
    x = np.random.default_rng(1).normal(size=(3, 5)).astype(np.float32)
    for text, slope in expected.items():
        model = cnnvis.Model(network, layer=text)
        np.testing.assert_allclose(model.input_gradient(x), np.tile(slope, (3, 1)), rtol=1e-5)
        targets = model.targets(x)
        np.testing.assert_allclose([t.score for t in targets], x @ slope, rtol=1e-4)
        assert str(targets[0]) == text.replace("head:3", "head[3]")


def test_what_a_target_cannot_be(linear: tuple[Any, Any]) -> None:
    network, _ = linear
    x = np.ones((1, 5))
    with pytest.raises(cnnvis.UserError, match=r"does not say which of the 4 outputs of 'head'"):
        cnnvis.Model(network, layer="head-hidden[1]").input_gradient(x)
    with pytest.raises(cnnvis.UserError, match="names its outputs, so filter must not"):
        cnnvis.Model(network, layer="head:1", filters=2)
    with pytest.raises(cnnvis.UserError, match=r"'head' has no output 9: it has 4"):
        cnnvis.Model(network, layer="head[9]-head[1]").input_gradient(x)
    with pytest.raises(cnnvis.UserError, match=r"region has 2 axes, and the layer 'head' has 0"):
        cnnvis.Model(network, layer="head", region=(1, 2)).input_gradient(x)


def test_one_sigmoid_is_two_classes(keras: Any) -> None:
    layers = keras.layers
    network = keras.Sequential([layers.Input((3,)), layers.Dense(1, "sigmoid", name="output")])
    kernel = np.array([[1.0], [2.0], [-3.0]], np.float32)
    network.set_weights([kernel, np.zeros(1)])
    x = np.array([[0.5, 0.1, 0.2]], np.float32)
    names = ("neutral", "sweep")
    signs = {"sweep": 1, "neutral": -1, 0: 1}
    for name, sign in signs.items():
        model = cnnvis.Model(network, filters=name, class_names=names)
        np.testing.assert_allclose(model.input_gradient(x)[0], sign * kernel[:, 0])
        (target,) = model.targets(x)
        assert str(target) == f"output[{'neutral' if sign < 0 else 'sweep'}]"
        p = float(network(x)[0, 0])
        assert target.probability == pytest.approx(p if sign > 0 else 1 - p, rel=1e-5)
    by_expression = cnnvis.Model(network, layer="output:neutral", class_names=names)
    np.testing.assert_allclose(by_expression.input_gradient(x)[0], -kernel[:, 0])
    with pytest.raises(cnnvis.UserError, match=r"no output 1: it has one, 0; .*--layer=-output"):
        cnnvis.Model(network, filters=1, class_names=names).input_gradient(x)


@pytest.fixture(scope="module")
def per_pixel(keras: Any) -> Any:
    layers = keras.layers
    keras.utils.set_random_seed(0)
    return keras.Sequential(
        [
            layers.Input((6, 5, 2)),
            layers.Conv2D(4, 3, padding="same", activation="relu", name="first"),
            layers.Conv2D(3, 1, activation="softmax", name="classes"),
        ]
    )


def test_a_region_is_the_mean_over_its_positions(per_pixel: Any) -> None:
    x = np.random.default_rng(0).normal(size=(2, 6, 5, 2)).astype(np.float32)
    for region, rows, columns in (
        (("2:4", "1"), slice(2, 4), slice(1, 2)),
        ((5, ":"), slice(5, 6), slice(None)),
        ((-1, slice(0, 2)), slice(5, 6), slice(0, 2)),
    ):
        model = cnnvis.Model(per_pixel, filters=2, region=region)
        scores = [target.score for target in model.targets(x)]
        outputs = model.outputs(x)[:, rows, columns, 2]
        np.testing.assert_allclose(scores, outputs.mean(axis=(1, 2)), rtol=1e-5)
        gradient = model.input_gradient(x)
        # A convolution of width 3 sees one position further than its own.
        assert not gradient[:, : max(rows.start - 1, 0)].any()
        assert not gradient[:, rows.stop + 1 :].any()
        assert gradient[:, rows, columns].any()
    assert " at 2:4,1" in str(cnnvis.Model(per_pixel, region=("2:4", "1")).targets(x)[0])


def test_the_class_of_a_region_is_predicted_there(per_pixel: Any) -> None:
    x = np.random.default_rng(0).normal(size=(4, 6, 5, 2)).astype(np.float32)
    model = cnnvis.Model(per_pixel, region=(3, 2))
    expected = model.outputs(x)[:, 3, 2].argmax(axis=-1)
    assert [target.filters for target in model.targets(x)] == [(int(k),) for k in expected]


def test_regions_that_are_not_there(per_pixel: Any) -> None:
    x = np.ones((1, 6, 5, 2))
    with pytest.raises(cnnvis.UserError, match=r"region has 1 axes.* 2 spatial ones.* 6 x 5"):
        cnnvis.Model(per_pixel, region=(3,)).input_gradient(x)
    with pytest.raises(cnnvis.UserError, match=r"region 9 holds no position .* has 6 along"):
        cnnvis.Model(per_pixel, region=(9, 0)).input_gradient(x)


def test_layer_paths(keras: Any) -> None:
    layers = keras.layers
    inner = keras.Sequential(
        [layers.Input((4,)), layers.Dense(3, "relu", name="deep"), layers.Dense(2, name="end")],
        name="inner",
    )
    left, right = layers.Input((4,), name="left"), layers.Input((4,), name="right")
    outer = keras.Model([left, right], layers.Subtract(name="apart")([inner(left), inner(right)]))
    names = [layer.name for layer in cnnvis.Model(outer).layers]
    assert names == ["inner@0/deep", "inner@0/end", "inner@1/deep", "inner@1/end", "apart"]
    assert cnnvis.Model(outer, layer="inner@1/deep").layer == "inner@1/deep"
    assert cnnvis.Model(outer, layer="inner@1").layer == "inner@1/end"
    with pytest.raises(cnnvis.UserError, match=r"2 calls of a layer 'inner/deep'.*inner@0/deep"):
        cnnvis.Model(outer, layer="inner/deep")
    single = keras.Sequential([layers.Input((4,)), inner, layers.Dense(1, name="output")])
    for name in ("inner/deep", "deep"):
        assert cnnvis.Model(single, layer=name).layer == "inner/deep"
    assert cnnvis.Model(single, layer="inner").layer == "inner/end"
    with pytest.raises(cnnvis.UserError, match=r"no layer 'inner/dep'\. Did you mean 'inner/deep'"):
        cnnvis.Model(single, layer="inner/dep")


def test_several_outputs(keras: Any) -> None:
    layers = keras.layers
    inputs = layers.Input((4,))
    kind = layers.Dense(3, "softmax", name="kind")(inputs)
    network = keras.Model(inputs, [kind, layers.Dense(1, name="size")(inputs)])
    x = np.random.default_rng(0).normal(size=(2, 4)).astype(np.float32)
    by_default = cnnvis.run("saliency", network, data=x, backprop=None)
    assert by_default.targets[0].layer == "kind"
    assert "outputs kind, size; 'kind' is explained, and --output" in " ".join(by_default.notes)
    asked = cnnvis.run("saliency", network, data=x, backprop=None, output="size")
    assert asked.targets[0].layer == "size" and "--output" not in " ".join(asked.notes)
    np.testing.assert_allclose(
        cnnvis.Model(network, output="size").predict(x), network.predict(x, verbose=0)[1], rtol=1e-5
    )
    with pytest.raises(cnnvis.UserError, match=r"no output 'sice'\. Did you mean 'size'\?"):
        cnnvis.Model(network, output="sice")


@pytest.mark.parametrize("home", ["keras", "tf_keras"])
def test_outputs_have_the_names_that_the_network_was_built_with(home: str) -> None:
    home = pytest.importorskip(home)
    x = home.Input((4,))
    one = home.layers.Dense(1, kernel_initializer="ones", name="second")(x)
    ten = home.layers.Dense(1, kernel_initializer=home.initializers.Constant(10), name="first")(x)
    network = home.Model(x, {"first": one, "second": ten})  # crossed with the names of the layers
    data = np.ones((2, 4), np.float32)
    for name, score in (("first", 4), ("second", 40)):
        found = cnnvis.run("saliency", network, data=data, output=name, backprop=None)
        assert [target.score for target in found.targets] == [score] * 2
