"""What a configuration may name; sizes; what goes on being loaded."""

from __future__ import annotations

import copy
import importlib
import importlib.util
import inspect
import itertools
import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hostile.models import call, layer, pictures, sound, sound_files, write_h5, write_keras
from hostile.peaks import held_anew
from quick import quick_are, quick_at

import cnnvis
from cnnvis import host
from cnnvis.plugins.loaders import _examiner, allowed, sizes
from cnnvis.plugins.loaders.config import REFUSED, read_json


def _classes(module: Any) -> set[str]:
    found = {name for name, value in vars(module).items() if inspect.isclass(value)}
    return {name for name in found if name[0].isupper()}  # glorot_uniform is GlorotUniform, too


def test_every_layer_of_keras_is_decided_about(keras: Any) -> None:
    """A layer that a later Keras brings is refused until it stands on one of the two lists."""
    import tf_keras

    lists = (allowed.LAYERS, allowed.KERAS_2_LAYERS, set(REFUSED))
    assert _classes(keras.layers) - set().union(*lists) == set()
    # tf_keras has some more that nobody has looked at: they are refused as what is not known.
    assert _classes(tf_keras.layers) - set().union(*lists) == {"AbstractRNNCell", "DenseFeatures"}
    classes = {getattr(keras.layers, name).__name__ for name in _classes(keras.layers)}
    assert classes - set().union(*lists) == set()
    assert classes - _classes(keras.layers) == set(allowed.CLASSES)
    assert _classes(keras.layers) | set(allowed.CLASSES) == allowed.LAYERS | set(REFUSED)
    assert sum(map(len, lists)) == len(set().union(*lists))


@pytest.mark.parametrize("module", ["keras.layers", "keras.src.ops.numpy"])
def test_a_layer_of_a_keras_to_come(tmp_path: Path, module: str) -> None:
    """It is no code of a person's own, and nobody has looked at it."""
    config = sound()
    config["config"]["layers"][1].update(class_name="Future", module=module)
    with pytest.raises(cnnvis.UserError, match="Keras's kind 'Future', which cnnvis does not know"):
        cnnvis.load_model(write_keras(tmp_path / "model.keras", config))


def test_the_other_lists_name_what_keras_has(keras: Any) -> None:
    import tf_keras

    assert _classes(keras.initializers) - allowed.INITIALIZERS == {"Initializer"}
    assert _classes(keras.regularizers) - allowed.REGULARIZERS == {"Regularizer"}
    assert _classes(keras.constraints) - allowed.CONSTRAINTS == {"Constraint"}
    functions = {
        name for name, value in vars(keras.activations).items() if inspect.isfunction(value)
    }
    assert functions - allowed.ACTIVATIONS == {"deserialize", "get", "serialize"}
    assert _classes(keras.constraints) | _classes(tf_keras.constraints) >= allowed.CONSTRAINTS
    policies = {*_classes(keras.dtype_policies), "Policy"}
    assert policies == allowed.POLICIES and _classes(keras.quantizers) == allowed.QUANTIZERS


@pytest.mark.parametrize("suffix", ["h5", "keras"])
@pytest.mark.slow
def test_how_a_model_was_trained_does_not_matter(keras: Any, tmp_path: Path, suffix: str) -> None:
    layers = keras.layers
    network = keras.Sequential(
        [
            layers.Input((6, 6, 1)),
            layers.RandomFlip("horizontal", seed=2**40),
            layers.Rescaling(1 / 255),
            layers.Conv2D(
                2,
                3,
                activation="relu",
                kernel_initializer=keras.initializers.HeNormal(seed=3),
                kernel_regularizer="l2",
                bias_constraint="non_neg",
                dtype="mixed_bfloat16",
            ),
            layers.Activation(layers.LeakyReLU(0.2)),
            layers.Flatten(),
            layers.Dropout(0.5, seed=1),
            layers.Dense(2, keras.activations.gelu, dtype="float32"),
        ]
    )
    network.compile(
        keras.optimizers.AdamW(1e-3),
        keras.losses.CategoricalCrossentropy(label_smoothing=0.1),
        metrics=[keras.metrics.AUC(), "accuracy"],
    )
    x = np.random.default_rng(0).normal(size=(3, 6, 6, 1)).astype(np.float32)
    network.fit(x, np.eye(2)[[0, 1, 0]], verbose=0)
    network.save(tmp_path / f"model.{suffix}")
    model = cnnvis.load_model(tmp_path / f"model.{suffix}")
    assert not model.cut
    np.testing.assert_allclose(model.predict(x), network.predict(x, verbose=0), atol=1e-5)
    assert not model.network.compiled


def _pictures(keras: Any, *stack: Any) -> Any:
    """A network that begins with some layers."""
    layers = keras.layers
    convolution = layers.Conv2D(3, 3, activation="relu", name="first")
    ends = [layers.GlobalAveragePooling2D(), layers.Dense(2, name="output")]
    return keras.Sequential([layers.Input((16, 16, 3)), *stack, convolution, *ends])


AUGMENTING = {
    "AugMix": {"chain_depth": 2},
    "CutMix": {},
    "MaxNumBoundingBoxes": {"max_number": 3},
    "MixUp": {},
    "RandAugment": {"num_ops": 3},
    "RandomErasing": {},
}


@pytest.mark.parametrize("suffix", quick_at([1], ["h5", "keras"]))
def test_layers_that_change_pictures_for_training(keras: Any, tmp_path: Path, suffix: str) -> None:
    """Of a network that learns no more, they pass everything on."""
    made = [getattr(keras.layers, name)(**options) for name, options in AUGMENTING.items()]
    pipeline = keras.layers.Pipeline([keras.layers.RandomFlip(), keras.layers.Rescaling(1 / 255)])
    keras.utils.set_random_seed(1)
    network = _pictures(keras, *made, pipeline)
    plain = keras.Sequential([keras.layers.Rescaling(1 / 255), *network.layers[-3:]])
    x = np.random.default_rng(0).uniform(0, 255, size=(2, 16, 16, 3)).astype(np.float32)
    network.save(tmp_path / f"model.{suffix}")
    model = cnnvis.load_model(tmp_path / f"model.{suffix}", filter=0)
    assert model.cut == {} and [one.kind for one in model.layers][:6] == list(AUGMENTING)
    np.testing.assert_allclose(model.predict(x), plain(x), rtol=1e-6)
    expected = cnnvis.Model(plain, filters=0).input_gradient(x)
    np.testing.assert_allclose(model.input_gradient(x), expected, rtol=1e-5, atol=1e-9)


@pytest.mark.parametrize("suffix", quick_at([0], ["h5", "keras"]))
def test_layers_that_change_every_picture(keras: Any, tmp_path: Path, suffix: str) -> None:
    layers = keras.layers
    clearer = layers.ContrastLimitedAdaptiveHistogramEqualization(tile_grid_size=(2, 2))
    network = _pictures(keras, layers.AutoContrast(), clearer)
    x = np.random.default_rng(0).uniform(0, 255, size=(2, 16, 16, 3)).astype(np.float32)
    network.save(tmp_path / f"model.{suffix}")
    model = cnnvis.load_model(tmp_path / f"model.{suffix}")
    assert model.cut == {}
    np.testing.assert_allclose(model.predict(x), network(x, training=False), rtol=1e-6)


@pytest.mark.parametrize("trusted", [False, True])
@pytest.mark.parametrize("suffix", quick_at([1], ["h5", "keras"]))
def test_layers_whose_class_has_another_name(
    keras: Any, tmp_path: Path, suffix: str, trusted: bool
) -> None:
    """Keras writes the one name to archives, and the other to HDF5 files."""
    keras.utils.set_random_seed(1)
    inputs = keras.Input((6, 8))
    value = inputs
    for name in ("one", "other"):
        value = keras.layers.GroupQueryAttention(4, 4, 2, name=name)(value, value)
    end = keras.layers.Dense(2, name="output")(keras.layers.Flatten()(value))
    network = keras.Model(inputs, end)
    network.save(tmp_path / f"model.{suffix}")
    x = np.random.default_rng(0).normal(size=(2, 6, 8)).astype(np.float32)
    model = cnnvis.load_model(tmp_path / f"model.{suffix}", trust_model=trusted)
    assert model.cut == {}
    np.testing.assert_allclose(model.predict(x), network(x, training=False), rtol=1e-5)


def test_an_attention_may_not_grow_on_its_way(keras: Any, tmp_path: Path) -> None:
    inputs = keras.Input((2**17, 1))
    value = keras.layers.GroupQueryAttention(1, 1, 1, name="attention")(inputs, inputs)
    keras.Model(inputs, value).save(tmp_path / "model.keras")
    with pytest.raises(cnnvis.UserError, match=r"'attention' makes .* on its way of one sample"):
        cnnvis.load_model(tmp_path / "model.keras", layer="attention")


def test_a_pipeline_holds_no_code(keras: Any, tmp_path: Path) -> None:
    network = _pictures(
        keras, keras.layers.Pipeline([keras.layers.Lambda(lambda x: x)], name="all")
    )
    network.save(tmp_path / "model.keras")
    with pytest.raises(cnnvis.UserError, match="the layer 'all', which names the class 'Lambda'"):
        cnnvis.load_model(tmp_path / "model.keras")


@pytest.mark.parametrize(
    ("how", "suffix"),
    quick_are(
        [("lora", "keras")],
        [
            *itertools.product(("int8", "int4", "lora"), ("h5", "keras")),
            ("float8", "keras"),  # of which Keras itself does not read its HDF5 files
        ],
    ),
)
def test_networks_in_fewer_bits(keras: Any, tmp_path: Path, how: str, suffix: str) -> None:
    import tensorflow as tf

    layers = keras.layers
    keras.utils.set_random_seed(1)
    inputs = layers.Input((8, 8, 3))
    h = layers.Flatten()(layers.Conv2D(4, 3, activation="relu")(inputs))
    h = layers.EinsumDense("ab,bc->ac", output_shape=8)(layers.Dense(16, activation="relu")(h))
    network = keras.Model(inputs, layers.Dense(3, name="output")(h))
    if how == "lora":
        for one in network.layers:
            if hasattr(one, "enable_lora"):
                one.enable_lora(2)
        for variable in network.variables:
            if "lora" in variable.path:
                variable.assign(np.random.default_rng(1).normal(size=variable.shape) / 10)
    else:
        network.quantize(how)
    x = np.random.default_rng(0).normal(size=(2, 8, 8, 3)).astype(np.float32)

    @tf.function
    def gradient(given: Any) -> Any:
        with tf.GradientTape() as tape:
            tape.watch(given)
            score = tf.reduce_sum(network(given, training=False)[:, 0])
        return tape.gradient(score, given)

    answers, expected = network(x, training=False), np.asarray(gradient(tf.constant(x)))
    network.save(tmp_path / f"model.{suffix}")
    model = cnnvis.load_model(tmp_path / f"model.{suffix}", filter=0)
    assert model.cut == {} and model.repairs == ()
    np.testing.assert_allclose(model.predict(x), answers, rtol=1e-6)
    scale = np.abs(expected).max()
    np.testing.assert_allclose(model.input_gradient(x), expected, rtol=0, atol=1e-6 * scale)


def test_names_in_a_map_of_types_are_no_expressions(tmp_path: Path) -> None:
    """Keras tries them on the names of layers, which could take forever."""
    config = sound()
    places = {"default_policy": "float32", "policy_map": {"(a+)+$": "float32"}}
    config["config"]["layers"][1]["config"].update(
        name="a" * 60, dtype={"class_name": "DTypePolicyMap", "config": places}
    )
    with pytest.raises(cnnvis.UserError, match="names the type of numbers"):
        cnnvis.load_model(write_keras(tmp_path / "model.keras", config))


@pytest.mark.parametrize("suffix", ["h5", "keras"])
@pytest.mark.parametrize("home", quick_at([0], ["keras", "tf_keras"]))
def test_layers_that_applications_alone_have(tmp_path: Path, home: str, suffix: str) -> None:
    package = importlib.import_module(home)
    convnext, inception = (
        importlib.import_module(f"{home}.src.applications.{name}")
        for name in ("convnext", "inception_resnet_v2")
    )
    layers = package.layers
    inputs = layers.Input((8, 8, 3))
    h = layers.Conv2D(3, 3, padding="same", activation="relu")(inputs)
    h = convnext.StochasticDepth(0.5)(convnext.LayerScale(0.25, 3, name="scale")(h))
    h = inception.CustomScaleLayer(0.3)([h, inputs])
    network = package.Model(inputs, layers.Dense(2)(layers.Flatten()(h)))
    network.get_layer("scale").gamma.assign([0.5, 1.5, -2.0])
    x = np.random.default_rng(0).normal(size=(2, 8, 8, 3)).astype(np.float32)
    network.save(tmp_path / f"model.{suffix}")
    model = cnnvis.load_model(tmp_path / f"model.{suffix}", filter=0)
    assert model.cut == {}
    np.testing.assert_allclose(model.predict(x), network(x, training=False), rtol=1e-5)
    expected = cnnvis.Model(network, filters=0).input_gradient(x)
    np.testing.assert_allclose(model.input_gradient(x), expected, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("suffix", ["h5", "keras"])
def test_a_layer_of_ones_own_of_such_a_name(keras: Any, tmp_path: Path, suffix: str) -> None:
    class LayerScale(keras.layers.Layer):  # type: ignore[misc]
        def call(self, x: Any) -> Any:
            return x * 2

        def get_config(self) -> dict[str, Any]:
            return {**super().get_config(), "init_values": 1, "more": 2}

    stack = [keras.layers.Dense(3), LayerScale(name="scale")]
    keras.Sequential([keras.layers.Input((4,)), *stack]).save(tmp_path / f"model.{suffix}")
    model = cnnvis.load_model(tmp_path / f"model.{suffix}")
    assert "kind 'LayerScale'" in model.cut["scale"]


SCRIPT = Path(__file__).parents[3] / "docs" / "architectures.py"


def _architectures() -> dict[str, Any]:
    specification = importlib.util.spec_from_file_location("saved_architectures", SCRIPT)
    assert specification is not None and specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    sys.modules["saved_architectures"] = module
    specification.loader.exec_module(module)
    return dict(module.ARCHITECTURES)


ARCHITECTURES = _architectures()
SAVED = [name for name in ARCHITECTURES if name != "subclassed"]
"""All but one, whose code no file holds."""


@pytest.mark.parametrize(
    ("name", "suffix"),
    quick_are(
        [
            ("siamese", "keras"),
            ("tokens", "keras"),
            ("sequential in sequential", "h5"),
            ("tf_keras", "h5"),
        ],
        itertools.product(SAVED, ["h5", "keras"]),
    ),
)
def test_every_documented_architecture_is_loaded(
    keras: Any, tmp_path: Path, name: str, suffix: str
) -> None:
    assert len(SAVED) >= 25
    architecture = ARCHITECTURES[name]
    network = architecture.network()
    path = tmp_path / f"{name.replace(' ', '-')}.{suffix}"
    assert type(network).__name__ != "Network"
    network.save(path)
    model = cnnvis.load_model(path)
    assert not model.cut, model.cut
    data = architecture.data()
    x = list(data.values()) if isinstance(data, dict) else [data]
    for one, other in zip(network.get_weights(), model.network.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
    inputs = x if len(x) > 1 else x[0]
    for one, other in zip(
        keras.tree.flatten(network(inputs)), keras.tree.flatten(model.network(inputs)), strict=True
    ):
        np.testing.assert_allclose(np.asarray(one), np.asarray(other), atol=1e-6)


# Names and contents


@pytest.mark.slow
def test_what_a_file_is_decides_and_not_what_it_is_called(tmp_path: Path) -> None:
    files = sound_files(tmp_path / "sound")
    expected = {
        form: cnnvis.load_model(path).values(np.ones((1, 4), np.float32), ["output"])[0]
        for form, path in files.items()
    }
    for form, name in (
        *(("h5", "a.keras"), ("h5", "a.bin"), ("h5", "a.weights.h5"), ("h5", "a")),
        *(("keras", "b.h5"), ("keras", "b.hdf5"), ("keras", "b.zip"), ("keras", "b")),
        ("SavedModel", "c.h5"),
    ):
        (tmp_path / name).symlink_to(files[form], target_is_directory=form == "SavedModel")
        if form == "SavedModel":
            continue
        model = cnnvis.load_model(tmp_path / name)
        found = model.values(np.ones((1, 4), np.float32), ["output"])[0]
        np.testing.assert_allclose(found, expected[form])
    np.testing.assert_allclose(
        cnnvis.load_model(tmp_path / "c.h5").values(np.ones((1, 4), np.float32), ["output"])[0],
        expected["SavedModel"],
    )


def test_a_layer_that_is_cut_off_for_what_it_names(tmp_path: Path) -> None:
    config = sound()
    settings = config["config"]["layers"][2]["config"]
    settings["activation"] = {
        "module": "keras.visualization",
        "class_name": "function",
        "config": "plot_image_gallery",
        "registered_name": "function",
    }
    model = cnnvis.load_model(write_keras(tmp_path / "model.keras", config))
    assert model.cut == {
        "output": "the layer 'output', which names the function 'plot_image_gallery'"
    }
    assert [one.name for one in model.layers] == ["hidden"]


def test_keras_sees_no_module_that_the_file_names(tmp_path: Path) -> None:
    """A module that looks like Keras's own is not looked for: Keras would import it."""
    config = sound()
    for one in config["config"]["layers"]:
        one["module"] = "keras.src.trainers.data_adapters.nothing"
    config["module"] = "keras.src.nowhere"
    path = write_keras(tmp_path / "model.keras", config)
    before = set(sys.modules)
    model = cnnvis.load_model(path)
    assert [one.kind for one in model.layers] == ["Dense", "Dense"]
    assert not [name for name in set(sys.modules) - before if "nothing" in name]


# Sizes


def test_what_does_not_fit_is_never_made(keras: Any, tmp_path: Path) -> None:
    """Neither when the file is refused nor later, when Keras makes what it has put off."""
    config = sound()
    config["config"]["layers"][1]["config"]["units"] = 67108864
    for path in (
        write_h5(tmp_path / "model.h5", config),
        write_keras(tmp_path / "model.keras", config),
    ):
        before = held_anew()
        with pytest.raises(cnnvis.UserError, match=r"268,435,456 numbers, and the file holds 23"):
            cnnvis.load_model(path)
        with keras.StatelessScope():
            pass
        assert host.peak_memory() - before < 2**28


def test_what_only_tf_keras_builds_is_counted_too(keras: Any, tmp_path: Path) -> None:
    import tf_keras

    network = tf_keras.Sequential(
        [tf_keras.layers.Dense(3, input_shape=(4,)), tf_keras.layers.Dense(2)]
    )
    network.save(tmp_path / "model.keras")
    assert cnnvis.load_model(tmp_path / "model.keras").repairs
    with zipfile.ZipFile(tmp_path / "model.keras") as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    config = json.loads(parts["config.json"])
    config["config"]["layers"][-1]["config"]["units"] = 67108864
    with zipfile.ZipFile(tmp_path / "model.keras", "w") as archive:
        for name, content in parts.items():
            archive.writestr(name, json.dumps(config) if name == "config.json" else content)
    before = held_anew()
    with pytest.raises(cnnvis.UserError, match=r"201,326,6.. numbers, and the file holds"):
        cnnvis.load_model(tmp_path / "model.keras")
    assert host.peak_memory() - before < 2**28


def test_a_sample_may_grow_but_not_without_end(tmp_path: Path) -> None:
    fitting = pictures(layer("UpSampling2D", "up", size=[64, 64]))
    absurd = pictures(layer("UpSampling2D", "up", size=[4096, 4096]))
    conv = [("conv", (3, 3, 1, 2))]
    cnnvis.load_model(write_keras(tmp_path / "fitting.keras", fitting, conv), layer="up")
    with pytest.raises(
        cnnvis.UserError, match=r"'up' makes 32768 x 32768 x 2 values of one sample"
    ):
        cnnvis.load_model(write_keras(tmp_path / "absurd.keras", absurd, conv), layer="up")


def test_calls_are_counted_where_models_are_shared() -> None:
    config = sound()
    assert allowed._calls(config) == 3
    shared = copy.deepcopy(config)
    outer = sound()
    call(shared, "input")
    outer["config"]["layers"][1] = {**shared, "name": "hidden"}
    outer["config"]["layers"][1]["inbound_nodes"] *= 5
    assert allowed._calls(outer) == 1 + 5 * 3 + 1


def test_json_that_is_no_description() -> None:
    assert read_json('{"a": [1, {"b": null}]}') == {"a": [1, {"b": None}]}
    for text in ("[" * 101 + "]" * 101, "[" * 10**6, '{"a":' * 10**5, "", "{", "9" * 10**4):
        with pytest.raises(ValueError):
            read_json(text)
    assert read_json("7") == 7


# The process that looks first


LOOKS = """
import cnnvis, os, signal

def crashes(path):
    os.kill(os.getpid(), signal.SIGSEGV)

def refuses(path):
    wrong = cnnvis.UserError("is not loaded: it is not liked")
    wrong.found = {"config": '{"class_name": "Sequential"}', "version": "3.1.4"}
    raise wrong
"""


@pytest.mark.usefixtures("looks_of_their_own")
@pytest.mark.parametrize(
    ("look", "sentence", "origin"),
    [
        ("crashes", "made to do harm: reading it crashes", "HDF5"),
        ("refuses", r"' is not loaded: it is not liked", "HDF5, written by Keras 3.1.4"),
    ],
)
def test_a_first_look_that_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, look: str, sentence: str, origin: str
) -> None:
    (tmp_path / "looks_that_fail.py").write_text(LOOKS)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=os.pathsep)
    failing = getattr(importlib.import_module("looks_that_fail"), look)
    monkeypatch.setattr(_examiner, "look_at_model", failing)
    path = sound_files(tmp_path / "sound")["h5"]
    with pytest.raises(cnnvis.UserError, match=sentence) as error:
        cnnvis.load_model(path)
    assert error.value.found["origin"] == origin


@pytest.mark.usefixtures("looks_of_their_own")
def test_a_first_look_has_so_much_memory_and_no_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was found before memory ran out is there all the same, for the doctor."""
    (tmp_path / "hungry_look.py").write_text(
        "from cnnvis.plugins.loaders import _examiner\n"
        "_examiner._array = lambda *_: bytearray(2**30)\n"
        "look_at_model = _examiner.look_at_model\n"
        "def look(path):\n"
        "    return look_at_model(path)\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=os.pathsep)
    monkeypatch.setattr(_examiner, "_array", _examiner._array)
    hungry = importlib.import_module("hungry_look")
    monkeypatch.setattr(_examiner, "look_at_model", hungry.look)
    with pytest.raises(cnnvis.UserError, match="the check takes too much memory") as error:
        cnnvis.load_model(sound_files(tmp_path / "sound")["h5"])
    assert "written by Keras" in error.value.found["origin"]


@pytest.mark.parametrize("to_the_end", quick_are([False], [False, True]))
def test_a_first_look_begins_before_tensorflow_is_there(tmp_path: Path, to_the_end: bool) -> None:
    """So that a run takes hardly longer for it: in a process of its own, which has neither yet."""
    path = sound_files(tmp_path / "sound")["keras"]
    program = (
        "import sys, cnnvis\n"
        "import subprocess\n"
        "real, seen = subprocess.Popen, []\n"
        "def popen(*a, **k):\n"
        "    if 'cnnvis.files.sandbox' in (a[0] if a else k['args']):\n"
        "        seen.append('tensorflow' in sys.modules)\n"
        f"        {to_the_end} or sys.exit(seen[0])\n"
        "    return real(*a, **k)\n"
        "subprocess.Popen = popen\n"
        f"cnnvis.load_model({str(path)!r})\n"
        "assert seen == [False], seen\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr


def test_what_a_network_may_have_that_no_file_holds() -> None:
    sizes.require_stored([(10, 10), ()], 0)
    with pytest.raises(cnnvis.UserError):
        sizes.require_stored([(sizes.SPARE, 2)], 0)
