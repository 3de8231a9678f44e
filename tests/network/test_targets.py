"""Targets as people write them, against networks whose layers do simple sums."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from quick import quick_are

import cnnvis
from cnnvis.network.targets import Term, as_word, parsed, region_of
from cnnvis.reporting import notes_kept

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
    found = region_of(["3", "1:4", ":", "2:", 7, slice(1, 2), "0:9:3", "::-1"])
    assert found == (
        *(3, slice(1, 4), slice(None, None), slice(2, None), 7, slice(1, 2)),
        *(slice(0, 9, 3), slice(None, None, -1)),
    )
    assert region_of(list(map(as_word, found))) == found
    for wrong in ("a", "1:2:0", "1:2:3:4", ""):
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
    with pytest.raises(cnnvis.UserError, match=r"does not choose one of the 4 outputs of 'head'"):
        cnnvis.Model(network, layer="head-hidden[1]").input_gradient(x)
    with pytest.raises(cnnvis.UserError, match="names its outputs, so leave out filter"):
        cnnvis.Model(network, layer="head:1", filters=2)
    with pytest.raises(cnnvis.UserError, match=r"'head' has no output 9: its 4 outputs"):
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
    signs = {"sweep": 1, "neutral": -1, 1: 1, 0: -1, None: 1}
    for name, sign in signs.items():
        model = cnnvis.Model(network, filters=name, class_names=names)
        np.testing.assert_allclose(model.input_gradient(x)[0], sign * kernel[:, 0])
        (target,) = model.targets(x)
        assert str(target) == f"output[{'neutral' if sign < 0 else 'sweep'}]"
        p = float(network(x)[0, 0])
        assert target.probability == pytest.approx(p if sign > 0 else 1 - p, rel=1e-5)
    by_expression = cnnvis.Model(network, layer="output:neutral", class_names=names)
    np.testing.assert_allclose(by_expression.input_gradient(x)[0], -kernel[:, 0])
    with pytest.raises(cnnvis.UserError, match=r"the classes 0 and 1, and there is no class 2"):
        cnnvis.Model(network, filters=2, class_names=names).input_gradient(x)
    for number in (
        0,
        1,
    ):  # without names as well, and whoever asks for what is in the title gets it
        found = cnnvis.run("saliency", network, data=x, filter=number, gradient=None, backprop=None)
        again = cnnvis.run(
            "saliency", network, data=x, layer=str(found.targets[0]), gradient=None, backprop=None
        )
        assert str(found.targets[0]) == str(again.targets[0]) == f"output[{number}]"
        for one in (found, again):
            np.testing.assert_allclose(one.array[0], (2 * number - 1) * kernel[:, 0])


def test_a_sigmoid_in_between_is_no_two_classes(keras: Any) -> None:
    layers = keras.layers
    x = layers.Input((3,))
    gate = layers.Dense(1, "sigmoid", name="gate")(x)
    network = keras.Model(x, layers.Dense(2, name="output")(layers.Multiply()([x, gate])))
    model = cnnvis.Model(network, layer="gate", filters=0)
    assert not model.has_classes and (model.target_weights(np.ones((1, 3))) == 1).all()
    with pytest.raises(cnnvis.UserError, match="'gate' has no output 1: it has one output, 0"):
        cnnvis.Model(network, layer="gate", filters=1).input_gradient(np.ones((1, 3)))


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


def test_a_region_with_steps_is_called_so(keras: Any) -> None:
    x = keras.Input((7, 1))
    network = keras.Model(x, keras.layers.Conv1D(2, 1, activation="softmax", name="each")(x))
    data = np.ones((1, 7, 1), np.float32)
    settings: dict[str, Any] = {"data": data, "filter": 1, "backprop": None}
    expected = np.array([[1, 0, 0, 1, 0, 0, 1]]) > 0
    for region in (slice(0, None, 3), "0::3"):
        found = cnnvis.run("saliency", network, region=[region], **settings)
        assert str(found.targets[0]) == "each[1] at 0::3"
        np.testing.assert_array_equal(found.maps != 0, expected)


def test_regions_that_are_not_there(per_pixel: Any) -> None:
    x = np.ones((1, 6, 5, 2))
    with pytest.raises(cnnvis.UserError, match=r"region has 1 axes.* 2 spatial axes.* 6 x 5"):
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
    assert "outputs kind, size; cnnvis explains 'kind', and --output" in " ".join(by_default.notes)
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


def test_groups_by_prediction_are_of_the_output_whose_difference_is_explained(keras: Any) -> None:
    layers = keras.layers
    inputs = layers.Input((2,))
    kind = layers.Dense(2, "softmax", use_bias=False, name="kind")(inputs)
    size = layers.Dense(2, "softmax", use_bias=False, name="size")(inputs)
    network = keras.Model(inputs, [kind, size])
    network.set_weights([np.eye(2), np.eye(2)[::-1]])
    for layer, predicted in (("size", [1, 0]), ("size[1]-size[0]", [1, 0]), ("kind", [0, 1])):
        found = cnnvis.run(
            "saliency", network, data=np.eye(2), layer=layer, images=["predicted=1"], backprop=None
        )
        assert found.indices.tolist() == [predicted.index(1)]


def test_a_target_that_cancels_itself_out_is_refused(keras: Any) -> None:
    x = keras.Input((3,))
    network = keras.Model(x, keras.layers.Dense(1, "sigmoid", name="output")(x))
    for asked in ({"filter": [0, 1], "together": True}, {"layer": "output[0]-output[0]"}):
        with pytest.raises(
            cnnvis.UserError,
            match=r"'output.* is always zero, since its outputs cancel each other out",
        ):
            cnnvis.run("saliency", network, data=np.ones((1, 3)), backprop=None, **asked)


# What ends in a softmax or sigmoid, and what is a class


def _behind(layers: Any, name: str, value: Any) -> Any:
    """Layers that do nothing outside of training, or give the same numbers another shape."""
    return {
        "nothing": lambda: value,
        "dropout": lambda: layers.Dropout(0.5)(value),
        "noise": lambda: layers.GaussianNoise(1.0)(layers.AlphaDropout(0.5)(value)),
        "identity": lambda: layers.Identity()(value),
        "linear": lambda: layers.Activation("linear", dtype="float32")(value),
        "regularized": lambda: layers.ActivityRegularization(l2=0.1)(value),
        "flat": lambda: layers.Flatten()(layers.Reshape((1, *value.shape[1:]))(value)),
        "several": lambda: layers.Flatten()(layers.Dropout(0.1)(layers.Identity()(value))),
        "a clip": lambda: _clipped(value),
        "a bound": lambda: layers.ReLU(max_value=1.0)(value),
        "two bounds": lambda: layers.Flatten()(_clipped(layers.ReLU()(value))),
        "zero": lambda: layers.ReLU()(value),
    }[name]()


def _clipped(value: Any) -> Any:
    """As people write it so that a logarithm stays finite."""
    if type(value).__module__.startswith("keras."):
        import keras

        return keras.ops.clip(value, 1e-7, 1 - 1e-7)
    import tensorflow as tf

    return tf.clip_by_value(value, 1e-7, 1 - 1e-7)


BEHIND = [
    *("nothing", "dropout", "noise", "identity", "linear", "regularized", "flat", "several"),
    *("a clip", "a bound", "two bounds", "zero"),
]


ANSWERS = [
    (home, name, units, policy)
    for home, name, units, policy in itertools.product(
        ["keras", "tf_keras"], BEHIND, [1, 3], ["float32", "mixed_float16"]
    )
    # Half precision has its own rounding; one library and most layers are enough.
    if policy == "float32" or (home == "keras" and name not in ("noise", "a clip"))
]
SOME = [
    *(("keras", name, 1 + 2 * (place % 2), "float32") for place, name in enumerate(BEHIND)),
    *(("tf_keras", "a clip", 3, "float32"), ("tf_keras", "several", 1, "float32")),
    *(("keras", "nothing", 1, "mixed_float16"), ("keras", "two bounds", 3, "mixed_float16")),
]


@pytest.mark.parametrize(("home", "name", "units", "policy"), quick_are(SOME, ANSWERS))
def test_what_does_nothing_behind_the_last_activation_is_looked_through(
    home: str, name: str, units: int, policy: str
) -> None:
    """A saturated answer p has a gradient p (1 - p) times too small, which is not what is shown."""
    home = pytest.importorskip(home)
    layers = home.layers
    x = home.Input((3,))
    activation = "sigmoid" if units == 1 else "softmax"
    answer = layers.Dense(units, activation, name="answer", dtype=policy)(x)
    network = home.Model(x, _behind(layers, name, answer))
    kernel = np.arange(1, 3 * units + 1, dtype=np.float32).reshape(3, units)
    network.get_layer("answer").set_weights([kernel, np.zeros(units)])
    data = np.array([[2.0, 3.0, 4.0]], np.float32)  # p is 1 - 2e-9, or all but 1 for class 2
    if units == 1:  # what speaks against it is below zero, and no bound may cut it off
        below = cnnvis.run("saliency", network, data=-data, backprop=None, gradient=None)
        np.testing.assert_allclose(below.array[0], kernel[:, -1], rtol=1e-3)
        score = below.targets[0].score
        assert score == pytest.approx(-float(data[0] @ kernel[:, -1]), rel=1e-3)
        assert below.predictions is not None and below.predictions.tolist() == [0]
    found = cnnvis.run("saliency", network, data=data, backprop=None, gradient=None)
    np.testing.assert_allclose(found.array[0], kernel[:, -1], rtol=1e-3)
    (target,) = found.targets
    assert target.probability is not None and target.probability > 0.99
    assert target.score == pytest.approx(float(data[0] @ kernel[:, -1]), rel=1e-3)
    assert not any("behind the softmax" in note for note in found.notes)
    assert found.predictions is not None and found.predictions.tolist() == [max(units - 1, 1)]


@pytest.mark.parametrize("rate", [0.05, 0.1, 0.3])
def test_a_clip_that_cuts_answers_off_is_not_looked_through(keras: Any, rate: float) -> None:
    layers = keras.layers
    x = keras.Input((3,))
    answer = layers.Dense(3, "softmax", name="answer")(x)
    network = keras.Model(x, keras.ops.clip(answer, rate, 1 - rate))
    found = cnnvis.run("integrated-gradients", network, data=np.ones((1, 3)) / 9, filter=1)
    inner = keras.Model(x, answer)(np.ones((1, 3)) / 9).numpy()[0, 1]
    assert found.targets[0].score == pytest.approx(np.clip(inner, rate, 1 - rate), rel=1e-5)
    assert any("behind the softmax or sigmoid of 'answer'" in note for note in found.notes)


def test_units_that_are_others_behind_a_softmax_are_no_classes(keras: Any) -> None:
    layers = keras.layers
    x = keras.Input((3,))
    answer = layers.Dense(4, "softmax", name="answer")(x)
    for shape in ((4, 1), (2, 2)):
        model = cnnvis.Model(keras.Model(x, layers.Reshape(shape)(answer)))
        assert not model.has_classes and model.is_logits


def test_positions_that_take_the_place_of_classes_are_none(keras: Any) -> None:
    layers = keras.layers
    x = keras.Input((3, 2))
    answer = layers.Dense(3, "softmax", name="answer")(x)  # as many classes as positions
    assert not cnnvis.Model(keras.Model(x, layers.Permute((2, 1))(answer))).has_classes
    assert cnnvis.Model(keras.Model(x, answer[..., ::-1])).has_classes


def test_the_answer_of_a_network_that_is_called_at_each_time_is_made_linear(keras: Any) -> None:
    layers = keras.layers
    inner = keras.Sequential([layers.Input((3,)), layers.Dense(4, "softmax")])
    network = keras.Sequential(
        [layers.Input((5, 3)), layers.TimeDistributed(inner), layers.Cropping1D(0)]
    )
    x = np.random.default_rng(0).normal(size=(2, 5, 3)).astype(np.float32)
    kernel, bias = inner.get_weights()
    found = cnnvis.Model(network, filters=1).scores(x)
    np.testing.assert_allclose(found, (x @ kernel + bias)[..., 1].mean(axis=1), rtol=1e-4)


def test_a_softmax_of_which_positions_are_cut_off_is_said_to_stay(keras: Any) -> None:
    layers = keras.layers
    x = keras.Input((6, 6, 1))
    answer = layers.Conv2D(3, 1, activation="softmax", name="answer")(x)
    network = keras.Model(x, layers.Cropping2D(1, name="cut")(answer))
    found = cnnvis.run("saliency", network, data=np.ones((1, 6, 6, 1)), filter=0, backprop=None)
    said = "score of 'cut' is taken behind the softmax or sigmoid of 'answer'"
    assert any(said in note and "--layer answer" in note for note in found.notes)


def test_a_layer_that_does_something_is_not_looked_through(keras: Any) -> None:
    layers = keras.layers
    x = keras.Input((3,))
    answer = layers.Dense(1, "sigmoid")(x)
    halved = keras.Model(x, layers.Rescaling(0.5, name="output")(answer))
    assert not cnnvis.Model(halved).has_classes
    p = float(np.asarray(answer_of(halved))[0, 0]) * 2
    kernel = halved.layers[1].get_weights()[0][:, 0]
    found = cnnvis.Model(halved).input_gradient(np.ones((1, 3), np.float32))
    np.testing.assert_allclose(found[0], 0.5 * p * (1 - p) * kernel, rtol=1e-5)


def answer_of(network: Any) -> Any:
    return network(np.ones((1, 3), np.float32))


def _numbers(keras: Any, activation: str | None = None, loss: Any = None, units: int = 4) -> Any:
    """A network whose outputs are 4, 3, 2, 1 for the first image and the other way for the second."""
    layers = keras.layers
    network = keras.Sequential(
        [layers.Input((2,)), layers.Dense(units, activation, use_bias=False, name="output")]
    )
    network.set_weights([np.stack([np.arange(units)[::-1], np.arange(units)]).astype(np.float32)])
    if loss is not None:
        network.compile("sgd", loss)
    return network


BOTH = np.eye(2, dtype=np.float32)


def _explained(found: cnnvis.Explanation) -> list[tuple[int, ...]]:
    return [target.filters for target in found.targets]


@pytest.mark.parametrize("activation", [None, "sigmoid"])
def test_outputs_are_classes_where_somebody_says_so(keras: Any, activation: str | None) -> None:
    run = cnnvis.run
    plain = _numbers(keras, activation)
    found = run("saliency", plain, data=BOTH, backprop=None)
    assert _explained(found) == [(0,), (0,)]  # coordinates of a box, perhaps: the same for all
    assert any("4 outputs of 'output' are not known to be classes" in note for note in found.notes)
    named = run("saliency", plain, data=BOTH, backprop=None, class_names=list("abcd"))
    assert [str(target) for target in named.targets] == ["output[a]", "output[d]"]
    labelled = run("saliency", plain, data=(BOTH, np.array([3, 1])), backprop=None)
    assert _explained(labelled) == [(0,), (3,)]
    other = run("saliency", plain, data=(BOTH, np.array([7, 1])), backprop=None)
    assert _explained(other) == [(0,), (0,)]  # there is no unit 7
    for loss in ("sparse_categorical_crossentropy", keras.losses.CategoricalFocalCrossentropy()):
        found = run("saliency", _numbers(keras, activation, loss), data=BOTH, backprop=None)
        assert _explained(found) == [(0,), (3,)]
        assert not any("not known" in note for note in found.notes)
    for loss in ("mse", keras.losses.Huber(), lambda y, p: keras.ops.mean(y - p)):
        found = run("saliency", _numbers(keras, activation, loss), data=BOTH, backprop=None)
        assert _explained(found) == [(0,), (0,)]
    asked = run("saliency", plain, data=BOTH, backprop=None, filter=2)
    assert _explained(asked) == [(2,), (2,)] and not any("not known" in one for one in asked.notes)


def test_a_softmax_gives_classes_whatever_the_loss_is(keras: Any) -> None:
    for network in (_numbers(keras, "softmax"), _numbers(keras, "softmax", "mse")):
        assert _explained(cnnvis.run("saliency", network, data=BOTH, backprop=None)) == [(0,), (3,)]


def test_one_sigmoid_that_is_a_number_is_no_two_classes(keras: Any) -> None:
    assert cnnvis.Model(_numbers(keras, "sigmoid", units=1)).has_classes
    assert cnnvis.Model(_numbers(keras, None, "binary_crossentropy", units=1)).has_classes
    assert not cnnvis.Model(_numbers(keras, None, units=1)).has_classes
    number = cnnvis.Model(_numbers(keras, "sigmoid", "mse", units=1))
    assert not number.has_classes
    (target, _) = number.targets(BOTH)
    assert target.filters == (0,)
    with notes_kept() as notes:
        number.note_defaults()
    assert any("explained as a number, and not as two classes" in note for note in notes)


def test_each_output_has_its_own_loss(keras: Any) -> None:
    layers = keras.layers
    x = keras.Input((2,))
    heads = [layers.Dense(4, name=name)(x) for name in ("kind", "box")]
    network = keras.Model(x, heads)
    for loss in (
        ["sparse_categorical_crossentropy", "mae"],
        {"kind": keras.losses.CategoricalCrossentropy(from_logits=True), "box": "mae"},
    ):
        network.compile("sgd", loss)
        assert cnnvis.Model(network, output="kind").has_classes
        assert not cnnvis.Model(network, output="box").has_classes
