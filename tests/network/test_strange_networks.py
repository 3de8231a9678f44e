"""Networks that are loaded and cannot be computed: a sentence says so, and nobody is blamed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from quick import quick_are, quick_at

import cnnvis

Middle = Callable[[Any, Any], Any]


SHAPE = (6, 6, 1)
FAILING: dict[str, tuple[tuple[int | None, ...], str, Middle]] = {
    "an index beyond the end": (SHAPE, "float32", lambda keras, x: keras.ops.take(x, [100], axis=1)),
    "no root of a matrix": (
        SHAPE, "float32", lambda keras, x: keras.ops.cholesky(keras.ops.squeeze(x, -1)),
    ),
    "a matrix without inverse": (
        SHAPE, "float32", lambda keras, x: keras.ops.inv(0 * keras.ops.squeeze(x, -1)),
    ),
    "another shape than it was made for": (
        (None, None, 1), "float32", lambda keras, x: keras.layers.Reshape((8, 8, 1))(x),
    ),
    "no gradient by whole numbers": (SHAPE, "float32", lambda keras, x: keras.ops.round(x) * 0 + 1),
    "complex numbers": (
        SHAPE, "float32",
        lambda keras, x: keras.ops.view_as_complex(keras.ops.concatenate([x, x], axis=-1)),
    ),
    "not a number": (SHAPE, "float32", lambda keras, x: x / (0 * x)),
}  # fmt: skip


@pytest.fixture(params=FAILING.values(), ids=FAILING.keys())
def failing(request: pytest.FixtureRequest, keras: Any) -> Any:
    shape, dtype, middle = request.param
    given = keras.Input(shape, dtype=dtype)
    end = middle(keras, given)
    if end.dtype != "complex64":
        sizes = [axis for axis, size in enumerate(end.shape) if axis and size is None]
        end = keras.layers.Flatten()(end) if not sizes else keras.ops.mean(end, axis=sizes)
        end = keras.layers.Dense(2, name="output")(end)
    return keras.Model(given, end)


@pytest.mark.parametrize("technique", quick_at([0], ["saliency", "activation-max"]))
def test_what_cannot_be_computed_is_said(failing: Any, technique: str) -> None:
    data = {} if technique == "activation-max" else {"data": np.ones((2, 6, 6, 1), np.float32)}
    options = {"iterations": 2} if technique == "activation-max" else {}
    with pytest.raises(cnnvis.UserError) as refused:
        cnnvis.run(technique, failing, backprop=None, **data, **options)
    assert len(str(refused.value)) < 700


def test_what_holds_no_numbers_is_refused_before_it_ends_the_process(keras: Any) -> None:
    """TensorFlow's library for matrices aborts at such, with no exception that could be told."""
    empty = keras.Input((0,))
    inside = keras.Input((4, 1))
    for given, end in ((empty, empty), (inside, keras.layers.Cropping1D((2, 1))(inside)[:, 1:])):
        flat = given if end is given else keras.layers.Flatten()(end)
        with pytest.raises(cnnvis.UserError, match="for one sample, which holds no values"):
            cnnvis.load_model(keras.Model(given, keras.layers.Dense(2)(flat)))
    with pytest.raises(cnnvis.UserError, match="which holds no numbers"):
        cnnvis.Samples(np.zeros((3, 0, 4, 1)))


def test_a_network_without_layers_has_nothing_to_explain(keras: Any) -> None:
    given = keras.Input((6, 6, 1))
    with pytest.raises(
        cnnvis.UserError, match="no layer that computes, so cnnvis cannot explain any"
    ):
        cnnvis.run("saliency", keras.Model(given, given), data=np.ones((2, 6, 6, 1)), backprop=None)


def test_answers_of_true_and_false_have_no_gradient(keras: Any) -> None:
    given = keras.Input((6, 6, 1))
    network = keras.Model(given, keras.ops.isnan(given))
    with pytest.raises(cnnvis.UserError, match=r"does not depend|no gradient"):
        cnnvis.run("saliency", network, data=np.ones((2, 6, 6, 1)), backprop=None)


def test_answers_that_are_not_of_one_image_each_are_refused(keras: Any) -> None:
    given = keras.Input((6, 6, 1))
    for end in (keras.ops.sum(given), keras.ops.reshape(given, (-1, 2))):
        with pytest.raises(cnnvis.UserError, match="each image needs its own"):
            cnnvis.run(
                "saliency", keras.Model(given, end), data=np.ones((2, 6, 6, 1)), backprop=None
            )


@pytest.mark.parametrize("value", quick_are([3e38], [np.nan, np.inf, 3e38]))
def test_weights_that_are_no_numbers_are_named(
    value: float, classifier: Any, keras: Any, images: Any, tmp_path: Path, typed: Any
) -> None:
    network = keras.models.clone_model(classifier)
    network.set_weights([np.full_like(one, value) for one in classifier.get_weights()])
    network.save(tmp_path / "strange.keras")
    np.savez(tmp_path / "data.npz", X=images)
    done = typed("run", "saliency", "strange.keras", "-d", "data.npz", "-q")
    assert done.returncode == 2 and "NaN or infinite" in done.stderr
    done = typed("doctor", "strange.keras", "-d", "data.npz")
    assert done.returncode == 0 and "NaN or infinite" in done.stdout


def test_a_layer_without_a_gradient_is_named(keras: Any) -> None:
    """As of operations for which TensorFlow knows no way back."""
    import tensorflow as tf

    class Sorted(keras.layers.Layer):  # type: ignore[name-defined, misc]
        def call(self, x: Any) -> Any:
            found = tf.raw_ops.SparseBincount(
                indices=tf.zeros((6, 1), tf.int64), values=tf.zeros(6, tf.int32), size=4,
                weights=tf.reshape(x, [-1])[:6], dense_shape=[6], binary_output=False,
            )  # fmt: skip
            return tf.reshape(x, [tf.shape(x)[0], -1])[:, :2] + tf.reduce_sum(found)

        def compute_output_shape(self, shape: Any) -> Any:
            return (shape[0], 2)

    given = keras.Input((6,))
    network = keras.Model(given, Sorted(name="sorted")(given))
    with pytest.raises(cnnvis.UserError, match="no gradient"):
        cnnvis.run("saliency", network, data=np.ones((2, 6), np.float32), backprop=None)
