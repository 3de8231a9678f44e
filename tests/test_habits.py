"""What a person of the NumPy and Keras world writes works, or a sentence says what would."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from quick import quick_at

import cnnvis


def _maps(network: Any, data: Any, **settings: Any) -> Any:
    return cnnvis.run("saliency", network, data=data, backprop=None, **settings).array


@pytest.mark.parametrize("made", ["float", "tensor", "numpy", "list of floats", "array"])
def test_outputs_by_numbers_of_any_kind(classifier: Any, images: Any, made: str) -> None:
    import tensorflow as tf

    asked: Any = {
        "float": 1.0,
        "tensor": tf.constant(1),
        "numpy": np.int64(1),
        "list of floats": [1.0],
        "array": np.array([1]),
    }[made]
    expected = _maps(classifier, images, filter=1)
    np.testing.assert_array_equal(_maps(classifier, images, filter=asked), expected)


def test_what_is_no_output(classifier: Any, images: Any) -> None:
    for asked in (1.5, object(), [0, 0.5]):
        with pytest.raises(cnnvis.UserError, match=r"there is no class"):
            _maps(classifier, images, filter=asked)


def test_layers_by_place_or_as_they_are(classifier: Any, images: Any) -> None:
    by_name = _maps(classifier, images, layer="second", filter=2)
    layer = classifier.get_layer("second")
    for asked in (layer, -3, 2, np.int64(2), 2.0):
        np.testing.assert_array_equal(_maps(classifier, images, layer=asked, filter=2), by_name)
    assert cnnvis.Model(classifier, layer=-1).layer == "classes"
    for asked, sentence in {
        5: r"no layer 5: the network has 5 layers, 0 to 4, or -5 to -1",
        object(): "give a layer by its name, by its place among network.layers",
    }.items():
        with pytest.raises(cnnvis.UserError, match=sentence):
            _maps(classifier, images, layer=asked)


def test_a_functional_network_counts_its_input(keras: Any) -> None:
    x = keras.Input((3,), name="entry")
    network = keras.Model(x, keras.layers.Dense(2, name="output")(x))
    with pytest.raises(cnnvis.UserError, match="the layer 0 is 'entry', an input"):
        cnnvis.Model(network, layer=0)


def test_words_in_place_of_lists(classifier: Any, images: Any, tmp_path: Path) -> None:
    cnnvis.run("saliency", classifier, data=images, render="png", out=tmp_path)
    assert [one.suffix for one in tmp_path.iterdir()] == [".png"]
    (found,) = cnnvis.chain(classifier, "saliency", data=images)
    assert found.array.shape == (7, 12, 10)
    with pytest.raises(cnnvis.UserError, match=r"takes a list of names, such as \['abc', ...\]"):
        cnnvis.Model(classifier, class_names="abc")
    whole = _maps(classifier, images, layer="pool", region=["1:3", 2])
    assert whole.any()


@pytest.mark.parametrize("made", ["numbers", "names", "array", "index", "tensor", "bytes", "yield"])
def test_class_names_in_any_form_that_has_an_order(classifier: Any, images: Any, made: str) -> None:
    import tensorflow as tf

    pandas = pytest.importorskip("pandas")
    names = [f"kind {number}" for number in range(classifier.output_shape[-1])]

    def given() -> Any:
        return {
            "numbers": {name: number for number, name in reversed(list(enumerate(names)))},
            "names": dict(reversed(list(enumerate(names)))),
            "array": np.array(names),
            "index": pandas.Index(names),
            "tensor": tf.constant(names),
            "bytes": [name.encode() for name in names],
            "yield": (name for name in names),
        }[made]

    model = cnnvis.load_model(classifier, class_names=given())
    assert (
        model.class_names
        == tuple(names)
        == cnnvis.Model(classifier, class_names=given()).class_names
    )
    settings = {"data": images, "filter": "kind 1", "images": [0]}
    found = cnnvis.run("saliency", classifier, class_names=given(), backprop=None, **settings)
    assert "kind 1" in str(found.target)
    (found,) = cnnvis.chain(
        classifier, [("saliency", {"backprop": None})], class_names=given(), **settings
    )
    assert "kind 1" in str(found.target)
    both = cnnvis.compare("saliency", "grad-cam", classifier, class_names=given(), **settings)
    assert "kind 1" in both.titles[0]
    assert cnnvis.doctor(classifier, data=images, class_names=given()).fit is not None
    assert cnnvis.Samples.of(images, class_names=given()).class_names == tuple(names)


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"ant", "bee", "cat"}, "the set .*, which has no order; give a list of the names"),
        ("abc", r"class_names takes a list of names, such as \['abc', ...\]"),
        ({"ant": 1, "bee": 2, "cat": 3}, "must number every class from 0 on"),
        (["ant", None, "cat"], "class_names holds None, which is no name"),
        (3, "class_names is 3, and must be a list of names"),
    ],
)
def test_what_names_no_classes(classifier: Any, images: Any, given: Any, sentence: str) -> None:
    settings = {"data": images, "class_names": given}
    for call in (
        lambda: cnnvis.run("saliency", classifier, **settings),
        lambda: cnnvis.chain(classifier, ["saliency"], **settings),
        lambda: cnnvis.compare("saliency", "grad-cam", classifier, **settings),
        lambda: cnnvis.doctor(classifier, **settings),
        lambda: cnnvis.load_model(classifier, class_names=given),
        lambda: cnnvis.Samples.of(images, class_names=given),
    ):
        with pytest.raises(cnnvis.UserError, match=sentence):
            call()


def test_predictions_of_several_inputs(keras: Any) -> None:
    a, b = keras.Input((3,), name="a"), keras.Input((2,), name="b")
    joined = keras.layers.Concatenate()([a, b])
    network = keras.Model([a, b], keras.layers.Dense(2, name="output")(joined))
    one, two = np.ones((4, 3), np.float32), np.full((4, 2), 3, np.float32)
    expected = network.predict([one, two], verbose=0)
    model = cnnvis.Model(network)
    for asked in ([one, two], (one, two), {"b": two, "a": one}):
        np.testing.assert_allclose(model.predict(asked), expected, rtol=1e-5)
    with pytest.raises(
        cnnvis.UserError, match="takes 2 inputs, 'a', 'b', and the data hold 'a', 'c'"
    ):
        model.predict({"a": one, "c": two})


def test_models_from_whatever_stands_for_them(classifier: Any, images: Any) -> None:
    live = cnnvis.load_model(classifier, filter=1)
    np.testing.assert_array_equal(_maps(live, images), _maps(classifier, images, filter=1))
    assert cnnvis.load_model(live, layer="pool").layer == "pool"
    assert cnnvis.load_model("demo").layer == "output"
    with pytest.raises(cnnvis.UserError, match="input_shape is for models that are loaded"):
        cnnvis.load_model(classifier, input_shape=(3,))
    with pytest.raises(cnnvis.UserError, match="no graph of layers to cut: it is no Keras model"):
        cnnvis.load_model(object())


def test_explanations_are_gone_through_like_arrays(classifier: Any, images: Any) -> None:
    found = cnnvis.run("saliency", classifier, data=(images, np.arange(7) % 3), backprop=None)
    np.testing.assert_array_equal(np.asarray(found), found.array)
    assert np.asarray(found, np.float64).dtype == np.float64
    assert np.abs(found).sum() == pytest.approx(float(found.array.sum()))
    np.testing.assert_array_equal(np.asarray(found[0]), found.array[:1])
    np.testing.assert_array_equal(np.asarray(found[-1]), found.array[6:])
    for index in (slice(1, 6, 2), [4, 0], np.array([4, 0]), found.labels == 1, range(2), (3, 1)):
        expected = found.array[list(index) if isinstance(index, range | tuple) else index]
        np.testing.assert_array_equal(np.asarray(found[index]), expected)
    every = list(found)
    assert len(every) == 7 and all(len(one) == 1 for one in every)
    assert [one.indices.tolist() for one in every] == [[number] for number in range(7)]
    assert [one.title(0) for one in every] == [found.title(number) for number in range(7)]
    with pytest.raises(IndexError):
        found[7]


def test_the_doctor_takes_data_as_others_do(classifier: Any, images: Any) -> None:
    assert cnnvis.doctor(classifier, images).fit is not None


@pytest.mark.parametrize(
    "words",
    [
        "list-plugins",
        "show saliency",
        "doctor demo",
        "run saliency demo -im 0 -r terminal",
        "run get-labels demo",
        "chain demo -im 0 saliency terminal",
        "compare saliency smoothgrad demo -im 0",
    ],
)
@pytest.mark.slow
def test_whoever_stops_reading_ends_it_quietly(words: str, tmp_path: Path) -> None:
    """As ``cnnvis ... | head`` does."""
    process = subprocess.Popen(
        [sys.executable, "-m", "cnnvis", *words.split()],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=tmp_path,
        text=True,
    )
    assert process.stdout is not None and process.stderr is not None
    process.stdout.close()
    said = process.stderr.read()
    process.stderr.close()
    assert process.wait() == 0, said
    assert "error" not in said and "Traceback" not in said


@pytest.mark.parametrize("layer", quick_at([1], [None, "here"]))
def test_inputs_that_are_too_short_are_the_datas_fault(keras: Any, layer: str | None) -> None:
    layers = keras.layers
    x = keras.Input((None, 4))
    value = layers.Conv1D(2, 11, dilation_rate=4, activation="softplus", name="here")(x)
    value = layers.Cropping1D(500)(value)
    network = keras.Model(x, layers.Dense(1, name="output")(layers.GlobalAveragePooling1D()(value)))
    enough = 1041 if layer is None else 41  # 40 positions of the convolution, 1000 that are cropped
    for length in (30, enough - 1):
        data = np.zeros((2, length, 4), np.float32)
        with pytest.raises(cnnvis.UserError) as error:
            _maps(network, data, layer=layer)
        text = str(error.value)
        assert f"they have the shape ({length}, 4), and the smallest that passes" in text
        assert f"has ({enough}, 4)" in text and "\x1b" not in text
        if layer is None:
            fit = cnnvis.doctor(network, data).fit
            assert (
                fit is not None and fit.problem is not None and f"has ({enough}, 4)" in fit.problem
            )
    found = _maps(network, np.ones((2, enough, 4), np.float32), layer=layer)
    assert found.shape == (2, enough)


def test_fractions_for_an_input_of_whole_numbers_are_refused(keras: Any) -> None:
    layers = keras.layers
    x = keras.Input((4, 4, 1), dtype="uint8")
    value = layers.Conv2D(2, 3, activation="softplus")(layers.Rescaling(1 / 255)(x))
    network = keras.Model(x, layers.Dense(2, name="output")(layers.Flatten()(value)))
    data = np.arange(32).reshape(2, 4, 4, 1) * 1.0
    found = _maps(network, data)
    np.testing.assert_array_equal(found, _maps(network, data.astype("uint8")))
    with pytest.raises(cnnvis.UserError, match=r"takes whole numbers \(uint8\).*astype\('uint8'\)"):
        _maps(network, data + 0.5)
    for outside in (data + 250, data - 3):
        with pytest.raises(cnnvis.UserError, match="outside of 0 to 255, which Keras would wrap"):
            _maps(network, outside)
    fit = cnnvis.doctor(network, data + 0.5).fit
    assert fit is not None and "whole numbers" in str(fit.problem)


def test_a_network_that_cannot_be_computed_is_said_to_be(keras: Any) -> None:
    class Broken(keras.layers.Layer):
        def call(self, x: Any) -> Any:
            if not isinstance(x, keras.KerasTensor) and x.shape[0] is not None:
                raise ValueError("it is \x1b[1mbroken\x1b[0m")
            return x

    x = keras.Input((3,))
    network = keras.Model(x, keras.layers.Dense(1, name="output")(Broken(name="bad")(x)))
    with pytest.raises(
        cnnvis.UserError, match=r"'bad' \(Broken\) fails at .* \(3\) .* it is broken"
    ):
        _maps(network, np.ones((2, 3), np.float32))


# Data in hand


@pytest.mark.parametrize(
    "form",
    [
        *("tensor", "tensors", "frame of labels", "column of labels", "batches", "batches alone"),
        *("elements", "dropped remainder", "with weights", "PyDataset", "list of images"),
    ],
)
def test_data_in_any_form(keras: Any, classifier: Any, images: Any, form: str) -> None:
    import tensorflow as tf

    labels = np.arange(7) % 3
    of = tf.data.Dataset.from_tensor_slices

    class Batches(keras.utils.PyDataset):
        def __len__(self) -> int:
            return 3

        def __getitem__(self, number: int) -> Any:
            part = slice(3 * number, 3 * number + 3)
            return images[part], labels[part]

    pandas = pytest.importorskip("pandas")
    data: Any = {
        "tensor": lambda: tf.constant(images),
        "tensors": lambda: (tf.constant(images), tf.constant(labels)),
        "frame of labels": lambda: (images, pandas.DataFrame({"y": labels})),
        "column of labels": lambda: (images, pandas.Series(["abc"[one] for one in labels])),
        "batches": lambda: of((images, labels)).batch(3),
        "batches alone": lambda: of(images).batch(3).prefetch(1),
        "elements": lambda: of((images, labels)),
        "dropped remainder": lambda: of((images, labels)).batch(7, drop_remainder=True),
        "with weights": lambda: of((images, labels, np.ones(7))).batch(2),
        "PyDataset": Batches,
        "list of images": lambda: list(images),
    }[form]()
    found = cnnvis.run("saliency", classifier, data=data, backprop=None, filter=1)
    np.testing.assert_allclose(found.array, _maps(classifier, images, filter=1), rtol=1e-5)
    has_labels = form not in ("tensor", "batches alone", "list of images")
    assert (found.labels is not None) == has_labels
    if has_labels:
        np.testing.assert_array_equal(found.labels, labels)


def test_forms_that_a_sentence_refuses(classifier: Any, images: Any) -> None:
    import tensorflow as tf

    pair = (images, np.arange(7))
    endless = tf.data.Dataset.from_tensor_slices(pair).batch(2).repeat()
    for data, sentence in [
        ((pair, pair), "a training set and a test set as from keras.datasets; give one"),
        (endless, r"has no end; take the elements to explain, such as dataset\.take"),
        (iter(images), "and must be a file, an array of inputs"),
        (lambda: images, "and must be a file, an array of inputs"),
        (tf.data.Dataset.from_tensor_slices(images).take(0), "the data set has no elements"),
    ]:
        with pytest.raises(cnnvis.UserError, match=sentence):
            _maps(classifier, data)


def test_lists_of_as_many_arrays_as_the_network_has_inputs(keras: Any) -> None:
    a, b = keras.Input((4,), name="a"), keras.Input((4,), name="b")
    ones = {"kernel_initializer": "ones", "use_bias": False}
    tens = {"kernel_initializer": keras.initializers.Constant(10), "use_bias": False}
    total = keras.layers.Add()([keras.layers.Dense(1, **ones)(a), keras.layers.Dense(1, **tens)(b)])
    network = keras.Model([a, b], total)
    one, two = np.full((2, 4), 1, np.float32), np.full((2, 4), 2, np.float32)
    import tensorflow as tf

    labels = np.arange(2)
    dataset = tf.data.Dataset.from_tensor_slices(({"b": two, "a": one}, labels)).batch(2)
    for data in ([one, two], ([one, two], labels), {"b": two, "a": one}, dataset):
        found = cnnvis.run("saliency", network, data=data, backprop=None)
        assert [target.score for target in found.targets] == [84, 84]
    assert cnnvis.doctor(network, [one, two]).fit is not None
    with pytest.raises(cnnvis.UserError, match="takes 2 inputs, 'a', 'b', and the data"):
        cnnvis.run("saliency", network, data=[one, two, two], backprop=None)


def test_data_as_nested_as_the_inputs(keras: Any) -> None:
    left, right = keras.Input((3,)), keras.Input((2,))
    joined = keras.layers.Concatenate()([left, right])
    output = keras.layers.Dense(1, name="output")(joined)
    network = keras.Model({"eyes": {"l": left, "r": right}}, output)
    data = {"eyes": {"r": np.ones((4, 2), np.float32), "l": np.ones((4, 3), np.float32)}}
    found = cnnvis.run("saliency", network, data=data, backprop=None)
    assert (found.input, found.array.shape) == ("eyes/l", (4, 3))


def test_columns_of_labels_are_the_names_of_classes(classifier: Any, images: Any) -> None:
    pandas = pytest.importorskip("pandas")
    count = classifier.output_shape[-1]
    rows = np.eye(count)[np.arange(len(images)) % count]
    names = [f"kind {number}" for number in reversed(range(count))]
    hot = pandas.DataFrame(rows, columns=names)
    found = cnnvis.run("saliency", classifier, data=(images, hot), backprop=None)
    assert found.samples is not None and found.samples.class_names == tuple(names)
    assert found.samples.label_kind == "class" and found.labels is not None
    assert found.labels.tolist() == rows.argmax(axis=1).tolist()
    # In another order, they are matched by name.
    other = sorted(names)
    found = cnnvis.run("saliency", classifier, data=(images, hot), backprop=None, class_names=other)
    assert found.labels is not None
    assert [other[one] for one in found.labels] == [names[one] for one in rows.argmax(axis=1)]
    samples = cnnvis.Samples.of(images, hot, class_names=other)
    assert samples.labels is not None and samples.labels.tolist() == found.labels.tolist()
    several = pandas.DataFrame(np.minimum(rows + rows[::-1], 1).astype(int), columns=names)
    samples = cnnvis.Samples.of(images, several)
    assert (samples.label_kind, samples.class_names) == ("several", tuple(names))
    assert not samples.in_words
    numbers = cnnvis.Samples.of(
        images, pandas.DataFrame(rows * 1.5 + 0.1 * rows[::-1], columns=names)
    )
    assert (numbers.label_kind, numbers.class_names) == ("number", None)


def test_a_data_set_of_keras_knows_the_names_of_its_folders(keras: Any, tmp_path: Path) -> None:
    from PIL import Image

    for name in ("zebra", "ant"):
        (tmp_path / name).mkdir()
        for number in range(2):
            Image.new("L", (6, 5), 40 * number).save(tmp_path / name / f"{number}.png")
    data = keras.utils.image_dataset_from_directory(
        tmp_path, image_size=(5, 6), color_mode="grayscale", shuffle=False, verbose=False
    )
    layers = keras.layers
    network = keras.Sequential(
        [keras.Input((5, 6, 1)), layers.Flatten(), layers.Dense(2, "softmax", name="output")]
    )
    found = cnnvis.run("saliency", network, data=data, backprop=None)
    assert found.samples is not None and found.samples.class_names == ("ant", "zebra")
    found = cnnvis.run("saliency", network, data=data, backprop=None, class_names=["zebra", "ant"])
    assert found.labels is not None and found.labels.tolist() == [1, 1, 0, 0]


def _two_inputs(keras: Any, structure: Any) -> Any:
    a, b = keras.Input((4, 4, 1), name="a"), keras.Input((3,), name="b")
    hidden = keras.layers.Concatenate()([keras.layers.Flatten()(a), b])
    return keras.Model(structure(a, b), keras.layers.Dense(2, "softmax", name="output")(hidden))


@pytest.mark.parametrize("nested", ["tuple", "list", "lists", "tuple of lists"])
def test_inputs_as_keras_takes_them(keras: Any, nested: str) -> None:
    structure: Any = {
        "tuple": lambda a, b: (a, b),
        "list": lambda a, b: [a, b],
        "lists": lambda a, b: [[a], [b]],
        "tuple of lists": lambda a, b: ([a], [b]),
    }[nested]
    network = _two_inputs(keras, structure)
    rng = np.random.default_rng(0)
    a = rng.normal(size=(5, 4, 4, 1)).astype(np.float32)
    b = rng.normal(size=(5, 3)).astype(np.float32)
    data = structure(a, b)
    said = network.predict(data, verbose=0).argmax(axis=1)
    found = cnnvis.run("saliency", network, data=data, backprop=None)
    assert found.array.shape == (5, 4, 4) and found.labels is None
    assert [target.filters for target in found.targets] == [(one,) for one in said]
    assert found.other_inputs[0].array.shape == (5, 3)
    labelled = cnnvis.run("saliency", network, data=(data, said), backprop=None)
    np.testing.assert_array_equal(labelled.array, found.array)
    assert labelled.labels is not None and labelled.labels.tolist() == said.tolist()
    assert cnnvis.doctor(network, data=(data, said)).fit.right == 5  # type: ignore[union-attr]
    with pytest.raises(
        cnnvis.UserError, match=r"network takes 2 inputs, .* the data are one array"
    ):
        cnnvis.run("saliency", network, data=(a, said), backprop=None)


def _sequences(keras: Any) -> Any:
    layers = keras.layers
    return keras.Sequential(
        [
            keras.Input((None, 1)),
            layers.Conv1D(4, 3, padding="same"),
            layers.GlobalAveragePooling1D(),
            layers.Dense(3, "softmax", name="output"),
        ]
    )


def test_elements_of_open_length_are_images(keras: Any) -> None:
    import tensorflow as tf

    network, x = _sequences(keras), np.random.default_rng(0).normal(size=(7, 20, 1))
    slices = tf.data.Dataset.from_tensor_slices
    open_end = tf.data.Dataset.from_generator(
        lambda: iter(x), output_signature=tf.TensorSpec((None, 1))
    )
    labels = np.arange(7) % 3
    expected = _maps(network, x)
    for data in (slices(x), slices(x).batch(3), open_end, open_end.batch(2), slices((x, labels)),
                 slices((x, labels)).batch(3), slices((x, np.eye(3)[labels]))):  # fmt: skip
        np.testing.assert_allclose(_maps(network, data), expected, rtol=1e-5)


@pytest.mark.parametrize("sizes", [((5, 5, 1), (5, 5, 1)), ((None, 3), (7,)), ((3,), (3, 3))])
def test_elements_of_several_inputs_are_images(keras: Any, sizes: Any) -> None:
    """Without labels, or with one-hot rows as long as an image."""
    import tensorflow as tf

    layers, slices = keras.layers, tf.data.Dataset.from_tensor_slices
    inputs = [layers.Input(size, name=name) for size, name in zip(sizes, "ab", strict=True)]
    flat = [
        one if len(one.shape) == 2 else layers.GlobalAveragePooling1D()(
            one if len(one.shape) == 3 else layers.Reshape((-1, 1))(one))
        for one in inputs
    ]  # fmt: skip
    network = keras.Model(inputs, layers.Dense(2)(layers.Concatenate()(flat)))
    rng = np.random.default_rng(0)
    x = {name: rng.normal(size=(2, *(size or 5 for size in one))).astype("float32")
         for one, name in zip(sizes, "ab", strict=True)}  # fmt: skip
    expected = _maps(network, x, filter=0)
    for data in (slices(x), slices(x).batch(2), slices((x, np.eye(5)[:2])),
                 slices((x, np.eye(3)[:2])).batch(1), slices((x, np.eye(7)[:2]))):  # fmt: skip
        np.testing.assert_allclose(_maps(network, data, filter=0), expected, rtol=1e-5)


def test_data_that_are_something_else(keras: Any) -> None:
    import tensorflow as tf

    network, x = _sequences(keras), np.zeros((5, 20, 1), np.float32)
    slices, y = tf.data.Dataset.from_tensor_slices, np.zeros(5, int)
    pair = r"a pair of inputs and labels is a tuple: data=\(X, y\)"
    for data, sentence in (
        ([x, y], pair),
        ([x, y.tolist()], pair),
        ([x, np.eye(3)[y]], pair),
        ((x, {"kind": y, "size": y}), r"a dict of 'kind', 'size', .* data=\(x, y\['kind'\]\)"),
        (slices((x, {"kind": y, "size": y})), r"lambda x, y: \(x, y\['kind'\]\)"),
        ((x, [y, y]), r"the labels are a list of 2 arrays, .* data=\(x, y\[0\]\)"),
        (slices((x, (y, y))).batch(2), r"dataset\.map\(lambda x, y: \(x, y\[0\]\)\)"),
        (tf.ragged.constant([[1.0, 2.0], [3.0]]), r"a RaggedTensor, .* such as x\.to_tensor\(\)"),
        (tf.sparse.from_dense(x[..., 0]), r"a SparseTensor, .*tf\.sparse\.to_dense\(x\)"),
    ):
        with pytest.raises(cnnvis.UserError, match=sentence):
            cnnvis.run("saliency", network, data=data, backprop=None)


def _two_outputs(keras: Any) -> Any:
    layers = keras.layers
    one = keras.Input((4, 4, 1), name="picture")
    hidden = layers.Flatten(name="hidden")(layers.Conv2D(3, 3, activation="relu")(one))
    kind, size = (
        layers.Dense(units, "softmax", name=name)(hidden)
        for units, name in ((3, "kind"), (2, "size"))
    )
    return keras.Model(one, [kind, size])


def test_class_names_belong_to_the_output_that_is_explained(keras: Any) -> None:
    network, names = _two_outputs(keras), {"class_names": ["small", "large"]}
    data = np.random.default_rng(0).normal(size=(4, 4, 4, 1)).astype(np.float32)
    expected = _maps(network, data, output="size", filter="large", **names)
    for asked in (
        {"layer": "size", "filter": "large"},
        {"layer": "size[large]"},
        {"output": 1, "filter": "large"},
        {"output": np.int64(-1), "filter": "large"},
    ):
        found = cnnvis.run("saliency", network, data=data, backprop=None, **names, **asked)
        assert found.target == "size[large]"
        np.testing.assert_array_equal(found.array, expected)
    apart = _maps(network, data, layer="size[large]-size[small]", **names)
    np.testing.assert_array_equal(apart, _maps(network, data, layer="size[1]-size[0]"))
    kinds = {"class_names": ["a", "b", "c"]}
    sentence = "no class 'b'. The class names belong to the network's output 'kind', and the "
    for layer in ("hidden[b]", "kind[b]-size[b]"):
        with pytest.raises(cnnvis.UserError, match=sentence):
            _maps(network, data, layer=layer, **kinds)
    with pytest.raises(
        cnnvis.UserError, match=r"no output 2; it has 2 outputs, .*kind \(0\), size"
    ):
        _maps(network, data, output=2)


def test_inputs_by_their_place(keras: Any) -> None:
    network = _two_inputs(keras, lambda a, b: [a, b])
    data = [np.ones((2, 4, 4, 1), np.float32), np.ones((2, 3), np.float32)]
    for asked in (1, -1, [1], np.int64(1), "b"):
        found = cnnvis.run("saliency", network, data=data, input=asked, backprop=None)
        assert (found.input, found.other_inputs) == ("b", ())
    for asked in (2, 0.5):
        with pytest.raises(cnnvis.UserError, match=r"no input .* by its place: a \(0\), b \(1\)"):
            cnnvis.run("saliency", network, data=data, input=asked, backprop=None)


def test_one_image_is_no_images(classifier: Any, images: Any) -> None:
    with pytest.raises(cnnvis.UserError, match="the data hold 1 image, which is image 0"):
        _maps(classifier, images[:1], images=[4])
    with pytest.raises(cnnvis.UserError, match="and the data are 1 image of shape"):
        _maps(classifier, np.ones((1, 3, 3, 7)))
