"""Targets: which layer, which of its outputs, and what is cut off behind it."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from quick import quick_at

import cnnvis
from cnnvis.errors import complaint


def test_the_default_target_is_the_layer_named_output(keras: Any) -> None:
    layers = keras.layers
    inputs = layers.Input((4,))
    output = layers.Dense(3, name="output")(inputs)
    named = cnnvis.Model(keras.Model(inputs, layers.Dropout(0.5, name="after")(output)))
    assert named.layer == "output"
    one = layers.Dense(1, "sigmoid", name="output")(inputs)
    calibrated = layers.Lambda(lambda p: p**2 / (p**2 + (1 - p) ** 3), name="after")(one)
    assert cnnvis.Model(keras.Model(inputs, calibrated)).layer == "output"
    # In another order, classes are others.
    assert cnnvis.Model(keras.Model(inputs, output[:, ::-1])).layer != "output"
    # What has learned something behind it is no answer, whatever it is called.
    learned = cnnvis.Model(keras.Model(inputs, layers.Dense(2, name="after")(output)))
    assert learned.layer == "after"
    assert cnnvis.Model(keras.Sequential([inputs, layers.Dense(2, name="last")])).layer == "last"


def test_nothing_behind_the_target_runs(keras: Any) -> None:
    ran = []

    class Behind(keras.layers.Layer):
        def call(self, x: Any) -> Any:
            ran.append(x)
            return x / 0

    inputs = keras.layers.Input((4,))
    output = keras.layers.Dense(1, activation="sigmoid", name="output")(inputs)
    model = cnnvis.Model(keras.Model(inputs, Behind()(output)))
    ran.clear()
    assert np.isfinite(model.input_gradient(np.ones((2, 4)))).all()
    assert model.targets(np.ones((2, 4)))[0].score is not None
    assert ran == []


@pytest.mark.parametrize(
    ("activation", "form"),
    [
        ("softmax", "inline"),
        ("softmax", "Activation"),
        ("softmax", "Softmax"),
        ("sigmoid", "inline"),
        ("sigmoid", "Activation"),
    ],
)
def test_the_target_is_made_linear(keras: Any, activation: str, form: str) -> None:
    layers = keras.layers
    kernel = np.random.default_rng(0).normal(size=(4, 3)).astype(np.float32)
    dense = layers.Dense(3, activation if form == "inline" else None, use_bias=False)
    after = {
        "inline": [],
        "Activation": [layers.Activation(activation)],
        "Softmax": [layers.Softmax()],
    }[form]
    network = keras.Sequential([layers.Input((4,)), dense, *after])
    dense.set_weights([kernel])
    x = np.random.default_rng(1).normal(size=(5, 4)).astype(np.float32)
    model = cnnvis.Model(network, filters=2)
    np.testing.assert_allclose(model.outputs(x), x @ kernel, rtol=1e-5, atol=1e-6)
    gradient = model.input_gradient(x)
    np.testing.assert_allclose(gradient, np.tile(kernel[:, 2], (5, 1)), rtol=1e-5)
    probabilities = network.predict(x, verbose=0)[:, 2]
    found = [target.probability for target in model.targets(x)]
    np.testing.assert_allclose(found, probabilities, rtol=1e-4)
    np.testing.assert_allclose(model.predict(x)[:, 2], probabilities, rtol=1e-5)


def test_a_relu_target_stays_a_relu(keras: Any) -> None:
    network = keras.Sequential([keras.layers.Input((4,)), keras.layers.Dense(3, "relu")])
    x = np.random.default_rng(1).normal(size=(5, 4)).astype(np.float32)
    assert (cnnvis.Model(network).outputs(x) >= 0).all()


def test_each_image_is_explained_by_its_predicted_class(classifier: Any, images: Any) -> None:
    model = cnnvis.Model(classifier, class_names=["ape", "bee", "cow"])
    predicted = classifier.predict(images, verbose=0).argmax(axis=1)
    assert len(set(predicted)) > 1, "the test needs images of several classes"
    targets = model.targets(images)
    assert [target.filters for target in targets] == [(int(k),) for k in predicted]
    assert str(targets[0]) == f"classes[{['ape', 'bee', 'cow'][predicted[0]]}]"
    gradient = model.input_gradient(images)
    for position, k in enumerate(predicted):
        alone = cnnvis.Model(classifier, filters=int(k)).input_gradient(images[[position]])
        np.testing.assert_allclose(gradient[[position]], alone, rtol=1e-4, atol=1e-7)


def test_several_filters_are_added_up(classifier: Any, images: Any) -> None:
    both = cnnvis.Model(classifier, filters=[0, 2]).input_gradient(images)
    each = [cnnvis.Model(classifier, filters=k).input_gradient(images) for k in (0, 2)]
    np.testing.assert_allclose(both, each[0] + each[1], rtol=1e-4, atol=1e-6)


def test_a_layer_in_between_is_explained_by_its_filter_0(classifier: Any, images: Any) -> None:
    by_default = cnnvis.Model(classifier, layer="second")
    assert [target.filters for target in by_default.targets(images)] == [(0,)] * len(images)
    score = by_default.targets(images)[0].score
    assert score == pytest.approx(by_default.outputs(images)[0, ..., 0].mean(), rel=1e-5)


def test_filters_are_chosen_by_name_or_number(classifier: Any) -> None:
    names = ["ape", "bee", "cow"]
    for one in (2, "2", "cow", ["cow"]):
        assert cnnvis.Model(classifier, filters=one, class_names=names).filters == (2,)


@pytest.mark.parametrize(
    ("layer", "filters", "sentence"),
    [
        ("clases", None, r"no layer 'clases'\. Did you mean 'classes'\? The layers are: first"),
        (None, 3, r"'classes' has no output 3: its 3 outputs are numbered 0 to 2"),
        (None, -1, r"no output -1"),
        (None, "cat", r"no class 'cat'\..*There are: ape, bee, cow"),
        ("first", "cow", r"no class 'cow'.*names belong to the network's output 'classes'"),
    ],
)
def test_targets_that_are_not_there(
    classifier: Any, layer: str | None, filters: Any, sentence: str
) -> None:
    with pytest.raises(cnnvis.UserError, match=sentence):
        _ = cnnvis.Model(
            classifier, layer=layer, filters=filters, class_names=["ape", "bee", "cow"]
        ).filters


@pytest.mark.parametrize("compiled", quick_at([0], ["graph", "eager", "xla"]))
@pytest.mark.parametrize("home", ["keras", "tf_keras"])
@pytest.mark.parametrize("way", ["at once", "shifted", "of any length"])
def test_numbers_that_an_embedding_does_not_have(compiled: str, home: str, way: str) -> None:
    """Which layer, what it takes, and what it was given: the sentence is cnnvis's own."""
    if compiled == "xla" and way == "shifted":
        pytest.skip(
            "XLA takes other numbers for them, and only inputs themselves are looked at before"
        )
    layers = importlib.import_module(home).layers
    inputs = layers.Input((None if way == "of any length" else 12,), dtype="int32")
    value = inputs - 1 if way == "shifted" else inputs
    value = layers.Conv1D(4, 3, activation="relu", name="conv")(
        layers.Embedding(20, 6, name="words")(value)
    )
    end = layers.Dense(2, name="output")(layers.GlobalMaxPooling1D()(value))
    network = importlib.import_module(home).Model(inputs, end)
    given = np.full((2, 12), 30)
    said = (
        r"the layer 'words' \(Embedding\) looks up whole numbers from 0 to 19, and got "
        f"{29 if way == 'shifted' else 30}; give data with the numbers of the training"
    )
    with cnnvis.computing(compile=compiled):
        model = cnnvis.Model(network)
        with pytest.raises(cnnvis.UserError, match=said):
            model.predict(given)
        with pytest.raises(cnnvis.UserError, match=said):
            cnnvis.run("grad-cam", network, data=given, filter=0, penultimate="conv")
        assert model.predict(given - 11).shape == (2, 2)


def test_a_complaint_of_tensorflow_is_its_sentence_alone() -> None:
    said = "indices[0,0] = 30 is not in [0, 20)"
    node = "[[{{node words_1/GatherV2}}]] [Op:__inference_forward_1]"
    for text in (
        f"{{{{function_node __inference_<lambda>_310}}}} {said}",
        f"Graph execution error:\n\nDetected at node words_1/GatherV2 defined at (most recent call "
        f"last):\n<stack traces unavailable>\n{said}\n\t {node}",
    ):
        assert complaint(ValueError(text)) == said
    assert complaint(ValueError("Graph execution error:")) == "Graph execution error:"


def test_networks_without_a_graph_are_refused(keras: Any) -> None:
    class Subclassed(keras.Model):  # type: ignore[misc]
        def call(self, x: Any) -> Any:
            return x if np.asarray(x).sum() > 0 else -x

    with pytest.raises(
        cnnvis.UserError, match=r"Subclassed.*no graph.*call the network once on data"
    ):
        cnnvis.Model(Subclassed())
    network = Subclassed()
    network(np.ones((1, 4)))
    with pytest.raises(cnnvis.UserError, match=r"could not follow this code .*keras\.ops"):
        cnnvis.Model(network)
    with pytest.raises(cnnvis.UserError, match=r"Sequential.*input shape is not known"):
        cnnvis.Model(keras.Sequential([keras.layers.Dense(2)]))
    with pytest.raises(cnnvis.UserError, match="it is no Keras model"):
        cnnvis.Model(keras.layers.Dense(2))


@pytest.mark.parametrize(
    ("shape", "build", "axis"),
    [
        ((9, 4), lambda L: [L.Conv1D(2, 3)], -1),
        ((9, 8, 1), lambda L: [L.Conv2D(2, 3)], -1),
        ((5, 6, 7, 2), lambda L: [L.Conv3D(2, 3)], -1),
        ((9, 8), lambda L: [L.Reshape((9, 8, 1)), L.Conv2D(2, 3)], None),
        ((9,), lambda L: [L.Dense(3)], None),
    ],
)
def test_where_the_channels_of_the_input_are(
    keras: Any, shape: tuple[int, ...], build: Any, axis: int | None
) -> None:
    network = keras.Sequential([keras.layers.Input(shape), *build(keras.layers)])
    assert cnnvis.Model(network).input_channel_axis == axis


def test_a_model_keeps_its_target_and_what_was_compiled(classifier: Any, images: Any) -> None:
    model = cnnvis.Model(classifier, layer="second", filters=3)
    samples = cnnvis.Samples(images, class_names=("ape", "bee", "cow"))
    plain_run = {"data": samples, "backprop": None}
    assert cnnvis.run("saliency", model, **plain_run).target == "second[3]"
    assert cnnvis.run("saliency", model, data=samples, filter=1).target == "second[1]"
    assert cnnvis.run("saliency", model, data=samples, layer="first").target == "first[0]"
    by_name = cnnvis.run("saliency", model, data=samples, layer="classes", filter="bee")
    assert by_name.target == "classes[bee]"

    import tensorflow as tf

    layer, traced = classifier.get_layer("first"), []
    plain = layer.activation
    layer.activation = lambda x: (tf.executing_eagerly() or traced.append(1), plain(x))[1]
    try:
        for filter_number in (0, 1, 2, 0):
            cnnvis.run("saliency", model, filter=filter_number, **plain_run)
    finally:
        layer.activation = plain
    assert traced == [], "the same target was traced before"


def test_a_layer_that_was_part_of_other_networks(keras: Any, images: Any, tmp_path: Any) -> None:
    """Sequential models that are loaded or grow step by step call their layers again and again."""
    layers = keras.layers
    keras.utils.set_random_seed(0)
    whole = [
        layers.Conv2D(4, 3, activation="relu", name="first"),
        layers.MaxPooling2D(name="pool"),
        layers.Conv2D(5, 3, activation="relu", name="second"),
        layers.Flatten(),
        layers.Dense(3, name="output"),
    ]
    grown = keras.Sequential([layers.Input((12, 10, 2))])
    for layer in whole:
        grown.add(layer)
        _ = grown.outputs
    grown.save(tmp_path / "grown.keras")
    x = inputs = layers.Input((12, 10, 2))
    for layer in whole:
        x = layer(x)
    settings: dict[str, Any] = {"data": images, "filter": 1}
    expected = cnnvis.run("grad-cam", keras.Model(inputs, x), **settings).maps
    for network in (grown, tmp_path / "grown.keras"):
        found = cnnvis.run("grad-cam", network, **settings).maps
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-6)
    table = cnnvis.run("model-summary", tmp_path / "grown.keras").table
    assert table is not None and table["output shape"][0] == "10 x 8 x 4"


def test_the_calls_of_a_shared_layer_are_told_apart(keras: Any) -> None:
    layers = keras.layers
    inputs, shared = layers.Input((4,)), layers.Dense(4, name="shared")
    network = keras.Model(inputs, layers.Dense(2, name="output")(shared(shared(inputs))))
    with pytest.raises(cnnvis.UserError, match=r"2 calls of a layer 'shared'.*shared@0, shared@1"):
        cnnvis.Model(network, layer="shared")
    kernel = shared.get_weights()[0]
    x = np.ones((1, 4), np.float32)
    for name, slope in (("shared@0", kernel), ("shared@1", kernel @ kernel)):
        gradient = cnnvis.Model(network, layer=name, filters=1).input_gradient(x)
        np.testing.assert_allclose(gradient[0], slope[:, 1], rtol=1e-5)
    rows = cnnvis.Model(network).layers
    assert [row.name for row in rows] == ["shared@0", "shared@1", "output"]
    assert sum(row.parameters for row in rows) == network.count_params()


@pytest.mark.parametrize("module", ["keras", "tf_keras"])
def test_calls_are_numbered_in_the_order_in_which_they_were_made(
    module: str, tmp_path: Path
) -> None:
    """Keras lists nodes from the back: the call that is used first of the joined values, first."""
    library = pytest.importorskip(module)
    layers = library.layers
    first, second = library.Input((4,), name="first"), library.Input((4,), name="second")
    shared = layers.Dense(4, name="shared")
    shared(first)  # a call of no network
    before, after = shared(first), layers.Dense(4)(shared(second))
    network = library.Model([first, second], layers.Concatenate()([after, before]))
    network.save(tmp_path / "network.keras")
    # With the file, Keras may list the nodes otherwise.
    for one in (network, library.models.load_model(tmp_path / "network.keras")):
        for name, source in (("shared@0", "first"), ("shared@1", "second")):
            assert cnnvis.Model(one, layer=name).explainable_inputs == (source,)
