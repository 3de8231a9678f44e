"""What a file says of learning: what makes weights is left out, and the loss is read."""

from __future__ import annotations

import importlib
import itertools
import json
import zipfile
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from quick import quick_are, quick_at

import cnnvis

X = np.random.default_rng(0).normal(size=(2, 6, 6, 1)).astype(np.float32)
HOMES, SUFFIXES = ["keras", "tf_keras"], ["keras", "h5"]


def _network(home: str) -> Any:
    """A network with a person's own initializers, regularizers and constraints."""
    package: Any = importlib.import_module(home)
    layers = package.layers

    class Halves(package.initializers.Initializer):  # type: ignore[misc]
        def __call__(self, shape: Any, dtype: Any = None, **_: Any) -> Any:
            return np.full(shape, 0.5, np.float32)

        def get_config(self) -> dict[str, Any]:
            return {}

    class Small(package.regularizers.Regularizer):  # type: ignore[misc]
        def __call__(self, x: Any) -> Any:
            return 0.0

        def get_config(self) -> dict[str, Any]:
            return {}

    class Bounded(package.constraints.Constraint):  # type: ignore[misc]
        def __call__(self, w: Any) -> Any:
            return w

        def get_config(self) -> dict[str, Any]:
            return {}

    def slowly(shape: Any, dtype: Any = None) -> Any:
        return np.full(shape, 0.25, np.float32)

    def penalty(x: Any) -> Any:
        return sum(x.shape[1:]) * 0.0 * x[0, 0]

    network = package.Sequential(
        [
            layers.Input((6, 6, 1)),
            layers.Conv2D(
                3,
                3,
                activation="relu",
                kernel_initializer=Halves(),
                kernel_regularizer=Small(),
                bias_constraint=Bounded(),
                name="first",
            ),
            layers.BatchNormalization(moving_mean_initializer=Halves(), name="norm"),
            layers.TimeDistributed(layers.Dense(2, kernel_initializer=slowly), name="each"),
            layers.Flatten(),
            layers.Dense(
                2, kernel_regularizer=penalty, activity_regularizer=penalty, name="output"
            ),
        ]
    )
    for variable in network.weights:
        variable.assign(np.random.default_rng(3).random(tuple(variable.shape)))
    return network


@pytest.mark.parametrize("suffix", quick_at([1], SUFFIXES))
@pytest.mark.parametrize("home", HOMES)
def test_what_made_weights_is_not_needed(tmp_path: Path, home: str, suffix: str) -> None:
    network = _network(home)
    network.save(tmp_path / f"model.{suffix}")
    model = cnnvis.load_model(tmp_path / f"model.{suffix}")
    assert model.cut == {}
    np.testing.assert_allclose(model.predict(X), network.predict(X, verbose=0), 1e-5)
    said = "\n".join(model.repairs)
    for what in ("initializer 'Halves'", "regularizer 'Small'", "constraint 'Bounded'", "'slowly'"):
        assert f"{what}" in said, said
    assert said.count("which has no effect after the weights are loaded") >= 5


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_lambdas_that_made_weights(keras: Any, tmp_path: Path, suffix: str) -> None:
    layers = keras.layers
    start = lambda shape, dtype=None: __import__("numpy").ones(shape, dtype)  # noqa: E731
    dense = layers.Dense(2, kernel_initializer=start, bias_regularizer=lambda x: 0.0)
    network = keras.Sequential([layers.Input((6, 6, 1)), layers.Flatten(), dense])
    network.save(tmp_path / f"model.{suffix}")
    model = cnnvis.load_model(tmp_path / f"model.{suffix}")
    assert model.cut == {} and len(model.repairs) == 2
    np.testing.assert_allclose(model.predict(X), network.predict(X, verbose=0), 1e-6)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_initializers_of_tensorflow(tmp_path: Path, suffix: str) -> None:
    """As the applications of Keras 2 have them: objects of TensorFlow's own classes."""
    import tensorflow as tf
    import tf_keras

    layers = tf_keras.layers
    dense = layers.Dense(
        2, bias_initializer=tf.zeros_initializer(), kernel_initializer=tf.ones_initializer()
    )
    network = tf_keras.Sequential([layers.Input((6, 6, 1)), layers.Flatten(), dense])
    network.save(tmp_path / f"model.{suffix}")
    model = cnnvis.load_model(tmp_path / f"model.{suffix}")
    assert model.cut == {}
    np.testing.assert_allclose(model.predict(X), network.predict(X, verbose=0), 1e-6)


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("home", HOMES)
def test_no_layer_is_left_as_it_began(tmp_path: Path, home: str, suffix: str) -> None:
    """The file must have all weights, be it without what they began as."""
    network, path = _network(home), tmp_path / f"model.{suffix}"
    network.save(path)
    if suffix == "h5":
        with h5py.File(path, "r+") as file:
            del file["model_weights/first"]
            names = [name for name in file["model_weights"].attrs["layer_names"] if name != "first"]
            file["model_weights"].attrs["layer_names"] = names
    else:
        with zipfile.ZipFile(path) as archive:
            parts = {name: archive.read(name) for name in archive.namelist()}
        (tmp_path / "weights.h5").write_bytes(parts["model.weights.h5"])
        with h5py.File(tmp_path / "weights.h5", "r+") as file:
            del file["layers/conv2d"]
        parts["model.weights.h5"] = (tmp_path / "weights.h5").read_bytes()
        with zipfile.ZipFile(path, "w") as archive:
            for name, content in parts.items():
                archive.writestr(name, content)
    with pytest.raises(cnnvis.UserError, match=r"do not fit the network|expected 2 variables"):
        cnnvis.load_model(path)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_what_is_computed_with_is_needed(keras: Any, tmp_path: Path, suffix: str) -> None:
    """A person's own activation is no initializer, whatever it is called."""

    def initializer(x: Any) -> Any:
        return x * 2

    layers = keras.layers
    stack = [layers.Dense(3, name="first"), layers.Dense(2, initializer, name="output")]
    network = keras.Sequential([layers.Input((4,)), *stack])
    network.save(tmp_path / f"model.{suffix}")
    model = cnnvis.load_model(tmp_path / f"model.{suffix}")
    assert model.cut == {"output": "the layer 'output', which names the function 'initializer'"}


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.slow
def test_layers_that_make_their_own_constants(keras: Any, tmp_path: Path, suffix: str) -> None:
    """Of spectra, and of normalizations: these are weights in the file, or made anew as they were."""
    layers = keras.layers
    inputs = layers.Input((64, 1))
    spectrum = layers.STFTSpectrogram(frame_length=16, frame_step=8, fft_length=16)(inputs)
    normal = layers.Normalization(name="normal")
    normal.adapt(np.random.default_rng(2).normal(3, 2, size=(50, 9)))
    output = layers.Dense(2)(layers.Flatten()(normal(spectrum)))
    network = keras.Model(inputs, output)
    network.save(tmp_path / f"model.{suffix}")
    x = np.random.default_rng(1).normal(size=(2, 64, 1)).astype(np.float32)
    model = cnnvis.load_model(tmp_path / f"model.{suffix}")
    assert model.cut == {} and model.repairs == ()
    np.testing.assert_allclose(model.predict(x), network.predict(x, verbose=0), 1e-5, 1e-5)


def test_what_a_person_gives_keeps_what_it_began_as(
    keras: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its class may have no other way to begin."""
    (tmp_path / "begins_with.py").write_text(
        "import keras\n"
        "class Half(keras.initializers.Initializer):\n"
        "    def __call__(self, shape, dtype=None):\n"
        "        return keras.ops.full(shape, 0.5, dtype)\n"
        "    def get_config(self):\n"
        "        return {}\n"
        "class Scale(keras.layers.Layer):\n"
        "    def __init__(self, scale_initializer, **settings):\n"
        "        super().__init__(**settings)\n"
        "        self.scale_initializer = keras.initializers.get(scale_initializer)\n"
        "    def build(self, shape):\n"
        "        self.scale = self.add_weight(shape=(), initializer=self.scale_initializer)\n"
        "    def call(self, x):\n"
        "        return x * self.scale\n"
        "    def get_config(self):\n"
        "        held = keras.initializers.serialize(self.scale_initializer)\n"
        "        return {**super().get_config(), 'scale_initializer': held}\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    begins_with = importlib.import_module("begins_with")
    stack = [keras.layers.Dense(3), begins_with.Scale(begins_with.Half(), name="scale")]
    network = keras.Sequential([keras.layers.Input((4,)), *stack])
    network.save(tmp_path / "model.keras")
    given = ["begins_with:Scale", "begins_with:Half"]
    model = cnnvis.load_model(tmp_path / "model.keras", custom=given)
    assert model.cut == {} and model.repairs == ()
    assert float(model.network.layers[-1].scale) == 0.5


def test_the_doctor_does_not_complain_of_them(tmp_path: Path) -> None:
    _network("keras").save(tmp_path / "model.h5")
    with h5py.File(tmp_path / "model.h5", "r+") as file:
        config = json.loads(file.attrs["model_config"])
        config["config"]["layers"][1]["class_name"] = "Mine"
        file.attrs["model_config"] = json.dumps(config)
    with pytest.raises(cnnvis.UserError) as error:
        cnnvis.load_model(tmp_path / "model.h5")
    (refused,) = error.value.found["refused"]
    assert "kind 'Mine', whose code the file does not hold" in refused


def _compiled(home: str, loss: Any) -> Any:
    package: Any = importlib.import_module(home)
    x = package.layers.Input((6,))
    made = package.layers.Dense(5, name="hidden")(x)
    outputs = [
        package.layers.Dense(4, name="kind")(made),
        package.layers.Dense(3, name="box")(made),
    ]
    network = package.Model(x, outputs)
    network.compile(loss=loss(package))
    return network


LOSSES: list[tuple[Any, dict[str, bool]]] = [
    (lambda _: "categorical_crossentropy", {"kind": True, "box": True}),
    (lambda _: ["categorical_crossentropy", "mse"], {"kind": True, "box": False}),
    (lambda _: {"box": "mse", "kind": "sparse_categorical_crossentropy"}, {"kind": True}),
    (lambda keras: {"box": keras.losses.Huber(), "kind": keras.losses.BinaryCrossentropy()}, {}),
]


@pytest.mark.parametrize(
    ("home", "suffix", "loss"),
    quick_are(
        [("keras", "keras", 0), ("keras", "h5", 3), ("tf_keras", "folder", 1)],
        [
            (home, suffix, loss)
            for home, suffix in itertools.product(HOMES, [*SUFFIXES, "folder"])
            # Keras 3 describes no layers in a SavedModel.
            if (home, suffix) != ("keras", "folder")
            for loss in range(len(LOSSES))
        ],
    ),
)
def test_the_loss_says_whether_outputs_are_classes(
    tmp_path: Path, home: str, suffix: str, loss: int
) -> None:
    path = tmp_path / ("m" if suffix == "folder" else f"m.{suffix}")
    made, answers = LOSSES[loss]
    _compiled(home, made).save(path)
    for output, is_class in {"kind": True, "box": False, **answers}.items():
        for trusted in (False, True):
            model = cnnvis.load_model(path, output=output, trust_model=trusted)
            assert model.has_classes is is_class, (output, trusted)


def test_a_loss_of_a_persons_own_says_nothing_and_keeps_nothing_from_loading(
    tmp_path: Path, keras: Any
) -> None:
    def crossentropy_of_mine(y: Any, p: Any) -> Any:
        return keras.ops.mean(y - p)

    def mine(y: Any, p: Any) -> Any:
        return keras.ops.mean(y - p)

    for loss, known in ((crossentropy_of_mine, True), (mine, False)):
        _compiled("keras", lambda _, loss=loss: loss).save(tmp_path / "m.keras")
        model = cnnvis.load_model(tmp_path / "m.keras", output="kind")
        assert model.has_classes is known


@pytest.mark.parametrize("after", [False, True])
def test_the_loss_says_nothing_of_what_a_cut_leaves(
    tmp_path: Path, keras: Any, after: bool
) -> None:
    """A Lambda is cut off and learns nothing; what comes after it and learns is another matter."""
    first = [keras.Input((6,)), keras.layers.Dense(4, name="first")]
    rest = [keras.layers.Dense(3, name="last")] if after else []
    network = keras.Sequential([*first, keras.layers.Lambda(lambda x: x * 2), *rest])
    network.compile(loss="categorical_crossentropy")
    network.save(tmp_path / "m.keras")
    model = cnnvis.load_model(tmp_path / "m.keras", layer="first")
    assert model.has_classes is not after


@pytest.mark.parametrize(
    "training", ["{", "[]", "7", '{"loss": {"a": [{"b": {}}]}}', '{"loss": [[1]]}']
)
def test_a_damaged_word_on_learning_is_no_matter(tmp_path: Path, keras: Any, training: str) -> None:
    network = keras.Sequential([keras.Input((6,)), keras.layers.Dense(4)])
    network.save(tmp_path / "m.h5")
    with h5py.File(tmp_path / "m.h5", "a") as file:
        file.attrs["training_config"] = training
    for trusted in (False, True):
        assert not cnnvis.load_model(tmp_path / "m.h5", trust_model=trusted).has_classes
