"""Operations of `keras.ops` and Python's operators in saved networks."""

from __future__ import annotations

import importlib
import inspect
import itertools
import os
import pkgutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import forms
import numpy as np
import pytest
from hostile.models import absurd_operations, sound, write_h5, write_keras
from hostile.peaks import held_anew
from quick import quick_are, quick_at, slow_are

import cnnvis
from cnnvis import host
from cnnvis.plugins.loaders import operations

X = np.random.default_rng(0).normal(size=(2, *forms.SHAPE)).astype(np.float32)
SUFFIXES = ["keras", "h5"]


def _every_operation(keras: Any) -> dict[str, str]:
    """The classes of operations that the installed Keras has, each with its module."""
    import keras.src.ops

    for module in pkgutil.iter_modules(keras.src.ops.__path__, "keras.src.ops."):
        if not module.name.endswith("_test"):
            importlib.import_module(module.name)
    found, level = {}, [keras.Operation]
    while level:
        level = [one for kind in level for one in kind.__subclasses__()]
        level = [one for one in level if not issubclass(one, keras.layers.Layer)]
        found.update({one.__name__: one.__module__ for one in level if "keras" in one.__module__})
    return found


def test_every_operation_of_keras_is_decided_about(keras: Any) -> None:
    """An operation that a later Keras brings is refused until it stands on one of the two lists."""
    there = _every_operation(keras)
    refused = set(operations.REFUSED_OPERATIONS)
    assert set(there) == operations.OPERATIONS | refused
    assert not operations.OPERATIONS & refused
    assert {name: there[name] for name in operations.OPERATIONS} == operations.HOMES
    assert operations.TAKES_NO_MORE <= operations.OPERATIONS


def test_options_that_are_bounded_are_there(keras: Any) -> None:
    for name, options in operations._LARGEST.items():
        kind = getattr(importlib.import_module(operations.HOMES[name]), name)
        assert set(options) <= set(inspect.signature(kind.__init__).parameters), name


def test_what_keras_cannot_run(keras: Any) -> None:
    """Once Keras can, nothing stands against these any longer."""
    inputs, tensors = forms.beginning(keras)
    for name, form in forms.unable(keras, tensors).items():
        network = keras.Model(inputs, form())
        with pytest.raises((AttributeError, TypeError)):
            network(X)
        assert name in operations.REFUSED_OPERATIONS


@pytest.mark.slow
@pytest.mark.parametrize("suffix", SUFFIXES)
def test_every_form_is_loaded(keras: Any, tmp_path: Path, suffix: str) -> None:
    """Every operation in at least one form, and all of Python's operators, in one network."""
    keras.utils.set_random_seed(1)
    inputs, tensors = forms.beginning(keras)
    every = {**forms.operators(tensors), **forms.operations(keras, tensors)}
    made = [(name, one) for name, form in every.items() for one in forms.ends(keras, form())]
    network = keras.Model(inputs, [one for _, one in made])
    kinds = {
        type(one).__name__ for one in network.operations if not isinstance(one, keras.layers.Layer)
    }
    assert kinds == operations.OPERATIONS
    network.save(tmp_path / f"model.{suffix}")
    model = cnnvis.load_model(tmp_path / f"model.{suffix}")
    assert model.cut == {} and model.repairs == ()
    names, found = (
        {one.name for one in net.operations if not one.name.startswith("fake_quant")}
        for net in (network, model.network)
    )
    assert found == names
    for (name, _), one, other in zip(made, network(X), model.network(X), strict=True):
        np.testing.assert_allclose(_array(one), _array(other), 1e-6, 1e-6, err_msg=name)


def _array(value: Any) -> np.ndarray[Any, Any]:
    found = np.asarray(value)
    return found if found.dtype.kind in "fc" else found.astype(np.float64)


def _explainable(keras: Any, tensors: Any) -> dict[str, Callable[[], Any]]:
    """Forms that give each sample values of its own."""
    every = {**forms.operators(tensors), **forms.operations(keras, tensors)}
    # Of some, Keras or TensorFlow knows no shape or a wrong one, or there is no derivative. Of polar
    # it says that its complex numbers are real.
    for name in ("nanquantile", "nanpercentile", "inner", "vstack", "cdist", "corrcoef", "polar"):
        del every[name]
    for name in ("adaptive_average_pool", "adaptive_max_pool"):
        del every[name]
    return every


def _score(keras: Any, made: Any) -> Any:
    """A number for each sample that depends on all of a form's values; None where there is none."""
    layers, parts = keras.layers, []
    for one in forms.ends(keras, made):
        if "float" in str(one.dtype) and len(one.shape) > 1 and one.shape[0] is None:
            flat = layers.Flatten()(layers.Activation("tanh", dtype="float32")(one))
            if flat.shape[-1] is not None:
                parts.append(layers.Dense(2)(flat))
    if not parts:
        return None
    return layers.Concatenate()(parts) if len(parts) > 1 else parts[0]


def _gradient(network: Any, x: Any) -> Any:
    import tensorflow as tf

    given = tf.constant(x)
    with tf.GradientTape() as tape:
        tape.watch(given)
        score = tf.reduce_sum(network(given)[:, 0])
    return tape.gradient(score, given)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("suffix", "step"),
    [("keras", 1), ("h5", 6)],
)
def test_what_is_computed_with_operations_is_explained(
    keras: Any, tmp_path: Path, suffix: str, step: int
) -> None:
    """The gradient through one network of each operation that has one."""
    keras.utils.set_random_seed(1)
    inputs, tensors = forms.beginning(keras)
    parts, seen = [], set()
    for form in itertools.islice(_explainable(keras, tensors).values(), 0, None, step):
        made = form()
        kind = type(next(forms.ends(keras, made))._keras_history.operation)
        score = None if kind in seen else _score(keras, made)
        if score is not None and _fits(score):
            parts.append(score)
            seen.add(kind)
    assert len(parts) > 150 // step
    joined = keras.layers.Concatenate()(parts)
    network = keras.Model(inputs, keras.layers.Dense(1, name="output")(joined))
    network.save(tmp_path / f"model.{suffix}")
    model = cnnvis.load_model(tmp_path / f"model.{suffix}", filter=0)
    expected = np.asarray(_gradient(network, X))
    found = model.input_gradient(X)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-6 * np.abs(expected).max())


def _fits(score: Any) -> bool:
    return len(score.shape) == 2 and score.shape[-1] is not None


@pytest.mark.parametrize(
    ("suffix", "step"),
    slow_are([("", 4), ("keras", 16), ("h5", 16)], [("", 1), ("", 4), ("keras", 16), ("h5", 16)]),
)
def test_each_form_is_explained(keras: Any, tmp_path: Path, suffix: str, step: int) -> None:
    """The gradient through every form alone, so that no large one hides a small one.

    Of files only some: how an operation is computed does not depend on where it comes from, and
    every form is loaded by a test of its own.
    """
    inputs, tensors = forms.beginning(keras)
    explained = 0
    for name, form in itertools.islice(_explainable(keras, tensors).items(), 0, None, step):
        keras.utils.set_random_seed(1)
        score = _score(keras, form())
        if score is None or not _fits(score):
            continue
        network = keras.Model(inputs, keras.layers.Dense(1, name="output")(score))
        expected = _gradient(network, X)
        if expected is None or not np.any(expected):
            continue
        file = tmp_path / f"model.{suffix}"
        if suffix:
            network.save(file)
        found = cnnvis.load_model(file if suffix else network, filter=0).input_gradient(X)
        expected = np.asarray(expected)
        scale = np.abs(expected).max()
        np.testing.assert_allclose(found, expected, rtol=0, atol=3e-6 * scale, err_msg=name)
        explained += 1
    assert explained > 200 // step


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_layers_and_operations_of_one_name(keras: Any, tmp_path: Path, suffix: str) -> None:
    layers, ops = keras.layers, keras.ops
    h = inputs = layers.Input((4, 6, 3))
    both = ("Add", "Average", "Maximum", "Minimum", "Multiply", "Subtract")
    for name in both:
        h = getattr(layers, name)()([h, inputs])
        h = (
            ops.average(h, axis=1)[:, None]
            if name == "Average"
            else getattr(ops, name.lower())(h, 0.75)
        )
    h = layers.Concatenate(axis=1)([h * inputs, inputs])
    h = ops.concatenate([h, h], axis=-1)
    h = layers.Softmax(axis=1)(ops.softmax(h, axis=2))
    h = layers.Reshape((8, -1))(ops.reshape(h, (-1, 4, 2, 36)))
    h = layers.ReLU(max_value=0.5)(keras.activations.relu(h, negative_slope=0.5) - 0.001)
    h = ops.dot(layers.Dot(axes=(2, 2))([h, h]), np.ones((8, 2), "float32"))
    network = keras.Model(inputs, layers.Identity()(ops.copy(h)))
    network.save(tmp_path / f"model.{suffix}")
    model = cnnvis.load_model(tmp_path / f"model.{suffix}")
    kinds = [type(one) for one in network.operations]
    assert [type(one) for one in model.network.operations] == kinds
    assert {"keras.src.layers.merging.multiply", "keras.src.ops.numpy"} <= {
        kind.__module__ for kind in kinds if kind.__name__ == "Multiply"
    }
    np.testing.assert_array_equal(network(X), model.network(X))


def test_a_layer_of_ones_own_is_no_operation(tmp_path: Path) -> None:
    """Though it is called as one, and HDF5 says nothing of where it is from."""
    config = sound()
    config["config"]["layers"][1].update(class_name="Clip", module=None)
    with pytest.raises(cnnvis.UserError, match="kind 'Clip', whose code the file does not hold"):
        cnnvis.load_model(write_h5(tmp_path / "model.h5", config))
    config["config"]["layers"][1].update(module="mine", registered_name="mine>Clip")
    with pytest.raises(cnnvis.UserError, match=r"kind 'Clip' \(mine>Clip\), whose code"):
        cnnvis.load_model(write_keras(tmp_path / "model.keras", config))


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.slow
def test_operations_that_are_cut_off(keras: Any, tmp_path: Path, suffix: str) -> None:
    inputs, tensors = forms.beginning(keras)
    for kind, form in forms.refused(keras, tensors).items():
        network = keras.Model(inputs, [tensors.v, *keras.tree.flatten(form())])
        network.save(tmp_path / f"model.{suffix}")
        model = cnnvis.load_model(tmp_path / f"model.{suffix}")
        (reason,) = model.cut.values()
        assert f"of kind '{kind}', which {operations.REFUSED_OPERATIONS[kind]}" in reason
        expected = keras.Model(inputs, tensors.v)(X)
        np.testing.assert_array_equal(model.values(X, ["vector"])[0], expected)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_operations_in_files_that_are_trusted(keras: Any, tmp_path: Path, suffix: str) -> None:
    inputs, tensors = forms.beginning(keras)
    network = keras.Model(inputs, keras.ops.clip(tensors.h * 0.5, -0.1, 0.1)[:, ::2])
    network.save(tmp_path / f"model.{suffix}")
    model = cnnvis.load_model(tmp_path / f"model.{suffix}", trust_model=True)
    np.testing.assert_array_equal(model.network(X), network(X))


# Sizes


SOME_ABSURD = (
    *("broadcast", "repeated", "padded", "a spectrum of nothing", "filled", "rounded", "parts"),
    *("an axis far away", "axes without end", "of numbers alone", "a layer of numbers alone"),
)


@pytest.mark.parametrize("what", quick_are(SOME_ABSURD, absurd_operations().keys()))
def test_what_makes_too_much_is_refused(keras: Any, tmp_path: Path, what: str) -> None:
    before = held_anew()
    with pytest.raises(cnnvis.UserError):
        cnnvis.load_model(write_keras(tmp_path / "model.keras", absurd_operations()[what], []))
    assert host.peak_memory() - before < 2**28


@pytest.mark.parametrize("form", quick_at([1], SUFFIXES))
def test_what_is_large_on_the_way_alone_is_refused(keras: Any, tmp_path: Path, form: str) -> None:
    layers, ops = keras.layers, keras.ops
    wide, long = layers.Input((64, 64, 3)), layers.Input((2**17, 1))
    for inputs, output in (
        (wide, ops.image.extract_patches(wide, (64, 64))),
        (long, ops.sum(ops.cdist(long, long), axis=-1)),
        (long, layers.Attention()([long, long])),
        (long, ops.dot_product_attention(*[long[:, :, None]] * 3, flash_attention=False)),
    ):
        keras.Model(inputs, output).save(tmp_path / f"model.{form}")
        with pytest.raises(cnnvis.UserError, match=r"makes [\d x]+ values (on its way )?of one"):
            cnnvis.load_model(tmp_path / f"model.{form}")


def test_axes_of_any_length_may_grow_but_not_without_end(keras: Any, tmp_path: Path) -> None:
    layers, ops = keras.layers, keras.ops
    inputs = layers.Input((None, 3))
    for output, is_fine in (
        (ops.repeat(inputs, 100, axis=1), True),
        (ops.repeat(inputs, 10**7, axis=1), False),
        (layers.UpSampling1D(100)(inputs), True),
        (layers.UpSampling1D(10**7)(inputs), False),
        (keras.Sequential([layers.UpSampling1D(10**7)])(inputs), False),
    ):
        network = keras.Model(inputs, layers.Conv1D(2, 1)(output))
        network.save(tmp_path / "model.keras")
        if is_fine:
            cnnvis.load_model(tmp_path / "model.keras")
            continue
        with pytest.raises(cnnvis.UserError, match="makes 1 x 640000000 x 3 values of one sample"):
            cnnvis.load_model(tmp_path / "model.keras")


def test_what_would_end_the_process_is_refused(keras: Any, tmp_path: Path) -> None:
    inputs, ops = keras.layers.Input((16,)), keras.ops
    for made in (
        ops.rfft(inputs, fft_length=0),
        ops.rfft(inputs[:, 4:4]),
        ops.fft((inputs[:, 4:4], inputs[:, 4:4])),
    ):
        keras.Model(inputs, made).save(tmp_path / "model.keras")
        with pytest.raises(
            cnnvis.UserError, match=r"transforms an empty array|which holds no values"
        ):
            cnnvis.load_model(tmp_path / "model.keras")


def test_parts_without_end(keras: Any, tmp_path: Path) -> None:
    """An axis can be as long as a sample is large; each part is a value of its own."""
    inputs = keras.layers.Input((operations.PARTS + 1,))
    keras.Model(inputs, keras.ops.unstack(inputs, axis=1)[0]).save(tmp_path / "model.keras")
    with pytest.raises(cnnvis.UserError, match="takes values apart into more than 4,096"):
        cnnvis.load_model(tmp_path / "model.keras")


# Files of earlier versions

WRITING = """
import sys
import keras
import numpy as np
import forms

folder = sys.argv[1]
keras.utils.set_random_seed(1)
x = np.random.default_rng(0).normal(size=(2, *forms.SHAPE)).astype("float32")
inputs, tensors = forms.beginning(keras)
made = []
for form in (*forms.operators(tensors).values(), *forms.operations(keras, tensors).values()):
    try:  # what this version has, runs and can save
        one = list(forms.ends(keras, form()))
        network = keras.Model(inputs, one)
        network(x)
        network.save(f"{folder}/one.keras")
        made += one
    except Exception:
        pass
network = keras.Model(inputs, made)
network.save(f"{folder}/model.keras")
network.save(f"{folder}/model.h5")
np.savez(f"{folder}/answers.npz", *map(np.asarray, network(x)))
"""


@pytest.mark.parametrize("version", slow_are(["3.0.5"], ["3.0.5", "3.6.0", "3.9.2", "3.12.0"]))
def test_operations_that_earlier_versions_wrote(tmp_path: Path, version: str) -> None:
    install = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target"]
    wanted = [f"keras=={version}", "dm-tree"]
    done = subprocess.run(
        [*install, str(tmp_path / "old"), *wanted], capture_output=True, text=True
    )
    if done.returncode:
        pytest.skip(f"keras {version} cannot be fetched: {done.stderr.strip().splitlines()[-1]}")
    (tmp_path / "write.py").write_text(WRITING)
    path = f"{tmp_path / 'old'}:{Path(forms.__file__).parent}"
    words = [sys.executable, str(tmp_path / "write.py"), str(tmp_path)]
    subprocess.run(words, check=True, capture_output=True, env={**os.environ, "PYTHONPATH": path})
    answers = np.load(tmp_path / "answers.npz")
    assert len(answers) > 280
    for suffix in SUFFIXES:
        model = cnnvis.load_model(tmp_path / f"model.{suffix}")
        assert model.cut == {} and model.repairs == ()
        assert f"written by Keras {version}" in model.origin
        for one, other in zip(answers.values(), model.network(X), strict=True):
            np.testing.assert_allclose(_array(one), _array(other), 1e-5, 1e-5)
