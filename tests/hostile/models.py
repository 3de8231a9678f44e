"""Models as a stranger might write them: hostile, broken, absurd.

Each is the shape that must be refused, with a harmless marker where harm would be: the module
`MARKER`, which writes a file of that name when it is imported, or that file itself. As a script,
`python tests/hostile/models.py FOLDER`, it writes them all and says what they are.
"""

from __future__ import annotations

import base64
import copy
import functools
import io
import json
import marshal
import math
import os
import random
import struct
import sys
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np

MARKER = "stranger_canary"
VERSION = "3.15.1"


@dataclass(frozen=True)
class Case:
    """A file, or what stands for one.

    Attributes
    ----------
    name
        What is wrong with it.
    path
        Where it is; it need not exist.
    words
        What a person would type beside it.
    may_load
        Whether what is wrong may be cut off, ignored or not matter: then it is enough that nothing
        runs and nothing breaks.
    """

    name: str
    path: str
    words: tuple[str, ...] = ()
    may_load: bool = False


Config = dict[str, Any]
Change = Callable[[Config], Any]


def cases(folder: Path) -> Iterator[Case]:
    """Write every case into a folder, and the module that none of them may import."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{MARKER}.py").write_text(f"open({str(folder / MARKER)!r}, 'w').close()\n")
    # Files that a stranger would like to have read: were they missing, nobody would try to.
    (folder / f"{MARKER}.bin").write_bytes(bytes(64))
    (folder / f"{MARKER}.txt").write_text("one\ntwo\n")
    for kind in (configurations, hdf5, archives, damaged, others, saved_models):
        yield from kind(folder / kind.__name__, folder / MARKER)


# A sound network, written by hand


def layer(kind: str, name: str, **config: Any) -> Config:
    """A layer as Keras 3 describes it."""
    return {
        "module": "keras.layers",
        "class_name": kind,
        "config": {"name": name, "trainable": True, "dtype": "float32", **config},
        "registered_name": None,
        "name": name,
        "inbound_nodes": [],
    }


def call(one: Config, *parents: str) -> Config:
    """The same layer, called with what others give."""
    tensors = [
        {
            "class_name": "__keras_tensor__",
            "config": {"shape": [None, 4], "dtype": "float32", "keras_history": [name, 0, 0]},
        }
        for name in parents
    ]
    args = tensors if len(tensors) == 1 else [tensors]
    one["inbound_nodes"] = [{"args": args, "kwargs": {}}]
    return one


def sound() -> Config:
    """A network of two dense layers, whose weights `weights` writes."""
    return {
        "module": "keras.src.models.functional",
        "class_name": "Functional",
        "config": {
            "name": "network",
            "trainable": True,
            "layers": [
                layer("InputLayer", "input", batch_shape=[None, 4], sparse=False),
                call(layer("Dense", "hidden", units=3, activation="relu"), "input"),
                call(layer("Dense", "output", units=2, activation="softmax"), "hidden"),
            ],
            "input_layers": [["input", 0, 0]],
            "output_layers": [["output", 0, 0]],
        },
        "registered_name": "Functional",
    }


def pictures(*between: Config) -> Config:
    """A network of a convolution, and what stands between it and the end."""
    config = sound()
    names = ["input", "conv", *(one["config"]["name"] for one in between)]
    layers = [
        layer("InputLayer", "input", batch_shape=[None, 8, 8, 1], sparse=False),
        layer("Conv2D", "conv", filters=2, kernel_size=[3, 3], padding="same", activation="relu"),
        *between,
    ]
    for one, before in zip(layers[1:], names, strict=False):
        call(one, before)
    config["config"]["layers"] = layers
    config["config"]["output_layers"] = [[names[-1], 0, 0]]
    return config


SIZES = [("hidden", (4, 3)), ("output", (3, 2))]


def weights(file: h5py.File, sizes: Any = SIZES) -> None:
    """Weights by the names of layers, as HDF5 holds them."""
    group = file.create_group("model_weights")
    group.attrs["layer_names"] = np.array([name.encode() for name, _ in sizes])
    group.attrs["keras_version"] = VERSION
    for name, shape in sizes:
        one = group.create_group(name)
        kernel, bias = f"{name}/kernel", f"{name}/bias"
        one.attrs["weight_names"] = np.array([kernel.encode(), bias.encode()])
        one[kernel] = np.full(shape, 0.1, np.float32)
        one[bias] = np.zeros(shape[-1], np.float32)


CONV = [("conv", (3, 3, 1, 2))]


def write_h5(path: Path, config: Any, sizes: Any = SIZES) -> Path:
    """A model as one HDF5 file."""
    with h5py.File(path, "w") as file:
        file.attrs["keras_version"] = VERSION
        # As Keras does: what is longer than 64 KB does not fit beside other attributes.
        text = config if isinstance(config, str) else json.dumps(config)
        file.attrs["model_config"] = text
        weights(file, sizes)
    return path


def archived_weights(sizes: Any = SIZES, change: Callable[[h5py.File], Any] | None = None) -> bytes:
    """The weights in an archive, by the places of layers."""
    held = io.BytesIO()
    with h5py.File(held, "w") as file:
        seen: dict[str, int] = {}
        for name, shape in sizes:
            kind = "conv2d" if name == "conv" else "dense"
            place = kind if kind not in seen else f"{kind}_{seen[kind]}"
            seen[kind] = seen.get(kind, 0) + 1
            one = file.create_group(f"layers/{place}/vars")
            one["0"] = np.full(shape, 0.1, np.float32)
            one["1"] = np.zeros(shape[-1], np.float32)
        if change is not None:
            change(file)
    return held.getvalue()


def write_keras(path: Path, config: Any, sizes: Any = SIZES) -> Path:
    """A model as one of Keras's archives."""
    with zipfile.ZipFile(path, "w") as archive:
        text = config if isinstance(config, str) else json.dumps(config)
        archive.writestr("metadata.json", json.dumps({"keras_version": VERSION}))
        archive.writestr("config.json", text)
        archive.writestr("model.weights.h5", archived_weights(sizes))
    return path


# Configurations


def _changed(change: Change) -> Config:
    config = sound()
    change(config)
    return config


def _in_hidden(**settings: Any) -> Change:
    """Change the configuration of the layer that all depends on."""
    return lambda config: config["config"]["layers"][1]["config"].update(settings)


def _around_hidden(**settings: Any) -> Change:
    """Change what stands around that layer's configuration."""
    return lambda config: config["config"]["layers"][1].update(settings)


def _in_place_of_hidden(kind: str, module: str = "keras.layers", **settings: Any) -> Change:
    def change(config: Config) -> None:
        other = call(layer(kind, "hidden", **settings), "input")
        config["config"]["layers"][1] = {**other, "module": module}

    return change


def _object(module: Any, name: Any, config: Any = None, registered: Any = None) -> Config:
    return {
        "module": module,
        "class_name": name,
        "config": {} if config is None else config,
        "registered_name": registered,
    }


def _function(module: str, name: str) -> Config:
    return _object(module, "function", name, "function")


def _bytecode(canary: Path) -> str:
    source = f"lambda x: open({str(canary)!r}, 'w') and x"
    code = compile(source, "<stranger>", "eval").co_consts[0]
    return base64.b64encode(marshal.dumps(code)).decode()


def _lambda(function: Any, **arguments: Any) -> Change:
    return _in_place_of_hidden("Lambda", function=function, arguments=arguments)


def changes(canary: Path) -> dict[str, Change]:
    """What may be wrong with a configuration, by what it is; all keeps the network from loading."""
    code = _bytecode(canary)
    held = {"code": code, "defaults": None, "closure": None}
    own = str(canary)
    text, pickled = f"{own}.txt", f"{own}.bin"
    dense = {"name": "inner", "units": 3}
    found: dict[str, Change] = {
        # CVE-2024-3660, CVE-2025-9905: bytecode in a Lambda, in both ways of writing it
        "lambda with bytecode": _lambda({"class_name": "__lambda__", "config": held}),
        "lambda with bytecode as a list": _lambda([code, None, None]),
        "lambda with bytecode under value": _lambda(
            {"class_name": "__lambda__", "config": {"value": code}}
        ),
        "lambda with an output shape of bytecode": _in_place_of_hidden(
            "Lambda",
            function=_function("builtins", "relu"),
            output_shape={"class_name": "__lambda__", "config": held},
        ),
        "lambda with a mask of bytecode": _in_place_of_hidden(
            "Lambda",
            function=_function("builtins", "relu"),
            mask={"class_name": "__lambda__", "config": held},
        ),
        "activation of bytecode": _in_hidden(
            activation={"class_name": "__lambda__", "config": held}
        ),
        "initializer of bytecode": _in_hidden(
            kernel_initializer={"class_name": "__lambda__", "config": held}
        ),
        # CVE-2025-1550: any module, any name
        "layer of another module": _in_place_of_hidden("Touch", MARKER),
        "layer that is a module's function": _in_place_of_hidden("system", "os"),
        "layer that is built in": _in_place_of_hidden("eval", "builtins"),
        "dense of another module": _around_hidden(module=MARKER),
        "dense of a module below": _around_hidden(module=f"keras.layers;{MARKER}"),
        "dense of a path": _around_hidden(module=f"../{MARKER}"),
        "module that is no text": _around_hidden(module=[MARKER]),
        "kind that is no text": _around_hidden(class_name=["Dense"]),
        "kind that is an object": _around_hidden(class_name={"class_name": MARKER}),
        "kind that is a number": _around_hidden(class_name=7),
        "kind that is nothing": _around_hidden(class_name=None),
        "function of a lambda, os.system": _lambda(_function("os", "system"), command="true"),
        "function of a lambda, subprocess": _lambda(_function("subprocess", "run")),
        "function of a lambda by its name": _lambda(MARKER),
        "registered name of another": _around_hidden(registered_name=f"Custom>{MARKER}"),
        "registered name that is an object": _around_hidden(registered_name={"a": MARKER}),
        # CVE-2025-8747, CVE-2025-9906 and after: what Keras itself can do
        "lambda that fetches a file": _lambda(
            _function("keras.utils", "get_file"), origin=f"file://{text}", fname=own
        ),
        "lambda that fetches and unpacks": _lambda(
            _function("keras.utils", "get_file"), origin=f"file://{text}", extract=True
        ),
        "lambda that makes loading unsafe": _lambda(
            _function("keras.config", "enable_unsafe_deserialization")
        ),
        "lambda that sets a global": _lambda(
            _function("keras.src.backend.common.global_state", "set_global_attribute"),
            name="safe_mode_saving",
        ),
        "lambda that loads a model": _lambda(_function("keras.models", "load_model")),
        "lambda that saves a model": _lambda(_function("keras.saving", "save_model")),
        "lambda that draws": _lambda(
            _function("keras.visualization", "plot_image_gallery"), path=own
        ),
        "lambda that plots": _lambda(_function("keras.utils", "plot_model"), to_file=own),
        "lambda that reads pictures": _lambda(
            _function("keras.preprocessing.image", "load_img"), path=text
        ),
        "lambda that writes pictures": _lambda(_function("keras.utils", "save_img"), path=own),
        "lambda that loads data": _lambda(_function("keras.datasets.mnist", "load_data"), path=own),
        "activation that draws": _in_hidden(
            activation=_function("keras.visualization", "plot_image_gallery")
        ),
        "activation that fetches": _in_hidden(activation=_function("keras.utils", "get_file")),
        "activation by the name of a file": _in_hidden(activation=text),
        "activation by another name": _in_hidden(activation="get_file"),
        "activation that is a class": _in_hidden(activation=_object(MARKER, "Touch")),
        "activation layer of another kind": _in_place_of_hidden(
            "Activation", activation=_function("keras.utils", "plot_model")
        ),
        "initializer of another module": _in_hidden(kernel_initializer=_object(MARKER, "Touch")),
        "initializer that draws": _in_hidden(
            kernel_initializer=_object("keras.visualization", "plot_image_gallery")
        ),
        "initializer that is a function": _in_hidden(
            kernel_initializer=_function("keras.utils", "get_file")
        ),
        "initializer by name": _in_hidden(kernel_initializer=MARKER),
        "initializer of the bias": _in_hidden(bias_initializer=_object(MARKER, "Touch")),
        "regularizer of another module": _in_hidden(kernel_regularizer=_object(MARKER, "Touch")),
        "regularizer by name": _in_hidden(activity_regularizer=MARKER),
        "constraint of another module": _in_hidden(kernel_constraint=_object(MARKER, "Touch")),
        "constraint by name": _in_hidden(bias_constraint=MARKER),
        "policy of another module": _in_hidden(
            dtype=_object(MARKER, "Policy", {"name": "float32"})
        ),
        "policy by another name": _in_hidden(
            dtype=_object("keras", "DTypePolicy", {"name": MARKER})
        ),
        "policy of small numbers": _in_hidden(
            dtype=_object("keras", "QuantizedDTypePolicy", {"mode": "int8"})
        ),
        "policies by slow expressions": _in_hidden(
            name="a" * 60,
            dtype=_object(
                "keras.dtype_policies",
                "DTypePolicyMap",
                {"default_policy": "float32", "policy_map": {"(a+)+$": "float32"}},
            ),
        ),
        "policy of a mode without end": _in_hidden(
            dtype=_object(
                "keras.dtype_policies",
                "Int4DTypePolicy",
                {"mode": "int4/" + "9" * 10_000, "source_name": "float32"},
            )
        ),
        "small numbers by another's code": _in_hidden(
            quantization_config=_object(
                "keras.quantizers",
                "Int8QuantizationConfig",
                {"weight_quantizer": _object(MARKER, "Touch"), "activation_quantizer": None},
            )
        ),
        "type of numbers of another name": _in_hidden(dtype=MARKER),
        "array of objects": _in_hidden(
            extra={"class_name": "__numpy__", "config": {"value": [1], "dtype": "O"}}
        ),
        "type of tensor of another module": _in_hidden(
            extra={
                "class_name": "__typespec__",
                "spec_name": "Touch",
                "module": MARKER,
                "registered_name": None,
                "config": [],
            }
        ),
        "module without a class": _in_hidden(extra={"module": MARKER}),
        "object deep inside": _in_hidden(extra=[[{"a": [{"b": _object(MARKER, "Touch")}]}]]),
        "object in an argument of a call": lambda config: config["config"]["layers"][1][
            "inbound_nodes"
        ][0]["kwargs"].update(extra=_object(MARKER, "Touch")),
        "object in how it is built": _around_hidden(build_config={"a": _object(MARKER, "Touch")}),
        "model of another module": lambda config: config.update(module=MARKER, class_name="Touch"),
        "model that is a function": lambda config: config.update(
            module="keras.utils", class_name="get_file"
        ),
        "model of another module under its own name": lambda config: config.update(module=MARKER),
        # CVE-2025-12058, CVE-2025-12060, CVE-2025-49655, CVE-2026-1462: layers that read and run
        "words from a file": _in_place_of_hidden("StringLookup", vocabulary=text),
        "words from an address": _in_place_of_hidden("StringLookup", vocabulary=f"file://{text}"),
        "words from a bucket": _in_place_of_hidden("StringLookup", vocabulary=f"gs://{MARKER}/a"),
        "numbers from a file": _in_place_of_hidden("IntegerLookup", vocabulary=text),
        "vectors from a file": _in_place_of_hidden("TextVectorization", vocabulary=text),
        "graph from a folder": _in_place_of_hidden("TFSMLayer", filepath=own),
        "torch module from a pickle": _in_place_of_hidden(
            "TorchModuleWrapper",
            module={"class_name": "__bytes__", "config": {"value": "gASVAA=="}},
        ),
        "torch module by its file": _in_place_of_hidden("TorchModuleWrapper", module=pickled),
        "jax layer": _in_place_of_hidden("JaxLayer", call_fn=_function(MARKER, "run")),
        "flax layer": _in_place_of_hidden("FlaxLayer", module=_object(MARKER, "Touch")),
        "words hashed": _in_place_of_hidden("Hashing", num_bins=3),
        "operations in a chain without end": _in_place_of_hidden("AugMix", chain_depth=10**9),
        "layers in a pipeline": _in_place_of_hidden("Pipeline", layers=[_object(MARKER, "Touch")]),
        "bare layer": _in_place_of_hidden("Layer"),
        "wrapper": _in_place_of_hidden("Wrapper", layer=_object(MARKER, "Touch")),
        "wrapped code": _in_place_of_hidden(
            "TimeDistributed",
            layer=_object("keras.layers", "Lambda", {"function": [code, None, None]}),
        ),
        "wrapped words": _in_place_of_hidden(
            "TimeDistributed", layer=_object("keras.layers", "StringLookup", {"vocabulary": text})
        ),
        "both ways of another kind": _in_place_of_hidden(
            "Bidirectional", layer=_object(MARKER, "Touch"), backward_layer=None
        ),
        "cell of another module": _in_place_of_hidden("RNN", cell=_object(MARKER, "Touch")),
        "cells that hold another": _in_place_of_hidden(
            "RNN",
            cell=_object("keras.layers", "StackedRNNCells", {"cells": [_object(MARKER, "Touch")]}),
        ),
        "code in a nested model": lambda config: config["config"]["layers"].__setitem__(
            1, {**_nested(_lambda([code, None, None])), "inbound_nodes": _calls_of("input")}
        ),
        "words in a nested model": lambda config: config["config"]["layers"].__setitem__(
            1,
            {
                **_nested(_in_place_of_hidden("StringLookup", vocabulary=text)),
                "inbound_nodes": _calls_of("input"),
            },
        ),
        # Sizes
        "dense of 67108864": _in_hidden(units=67108864),
        "dense of two thousand millions": _in_hidden(units=2_000_000_000),
        "dense of more than any": _in_hidden(units=2**70),
        "dense of less than nothing": _in_hidden(units=-5),
        "dense of nothing": _in_hidden(units=0),
        "dense of a text": _in_hidden(units="many"),
        "dense of a fraction": _in_hidden(units=2.5),
        "dense of a list": _in_hidden(units=[3]),
        "low rank of thousands of millions": _in_hidden(lora_rank=1_000_000_000),
        "input of absurd size": lambda config: config["config"]["layers"][0]["config"].update(
            batch_shape=[None, 10**9]
        ),
        "input of many absurd axes": lambda config: config["config"]["layers"][0]["config"].update(
            batch_shape=[None, *[4096] * 12]
        ),
        "input of negative size": lambda config: config["config"]["layers"][0]["config"].update(
            batch_shape=[None, -4]
        ),
        "embedding of absurd size": _in_place_of_hidden(
            "Embedding", input_dim=10**9, output_dim=100
        ),
        "repeated without end": _in_place_of_hidden("RepeatVector", n=10**9),
        "categories without end": _in_place_of_hidden("CategoryEncoding", num_tokens=2 * 10**9),
        "reshaped to nothing": _in_place_of_hidden("Reshape", target_shape=[10**9, -1]),
        "equation of absurd length": _in_place_of_hidden(
            "EinsumDense", equation="a," * 50_000 + "->a", output_shape=[3]
        ),
        "name of absurd length": _in_hidden(name="n" * 100_000),
        "recurrent of absurd size": _in_place_of_hidden("LSTM", units=10**7),
        "table of absurd size": _in_place_of_hidden(
            "MelSpectrogram", num_mel_bins=10**6, fft_length=10**6
        ),
        # Structure
        "layers that are no list": lambda config: config["config"].update(layers={"a": 1}),
        "layers that are nothing": lambda config: config["config"].update(layers=None),
        "layers that are numbers": lambda config: config["config"].update(layers=[1, 2, 3]),
        "layers that are lists": lambda config: config["config"].update(layers=[[], [[]]]),
        "no layers": lambda config: config["config"].update(layers=[]),
        "no outputs": lambda config: config["config"].pop("output_layers"),
        "no inputs": lambda config: config["config"].pop("input_layers"),
        "outputs of nobody": lambda config: config["config"].update(
            output_layers=[["nobody", 0, 0]]
        ),
        "outputs of a later call": lambda config: config["config"].update(
            output_layers=[["output", 10**6, 0]]
        ),
        "outputs that are nothing": lambda config: config["config"].update(output_layers=[[]]),
        "configuration that is nothing": lambda config: config.update(config=None),
        "configuration that is a text": lambda config: config.update(config=MARKER),
        "layer without a configuration": _around_hidden(config=None),
        "layer whose configuration is a list": _around_hidden(config=[1]),
        "layer without a name": _in_hidden(name=None),
        "layer whose name is a path": _in_hidden(name=f"../../{MARKER}"),
        "layer that calls itself": lambda config: call(config["config"]["layers"][1], "hidden"),
        "layers in a circle": lambda config: call(config["config"]["layers"][1], "output"),
        "call of nobody": lambda config: call(config["config"]["layers"][1], "nobody"),
        "call that is a number": _around_hidden(inbound_nodes=7),
        "call with a text": _around_hidden(inbound_nodes=[{"args": [MARKER], "kwargs": {}}]),
        "call that names a call of absurd number": _around_hidden(
            inbound_nodes=_calls_of("input", 10**9)
        ),
        "names that are there twice": lambda config: config["config"]["layers"].append(
            copy.deepcopy(config["config"]["layers"][1])
        ),
        "option that nobody knows": _in_hidden(**{MARKER: 1}),
        "models in models, each called twice": _doubled,
        "thousands of layers": _thousands,
        "code before thousands of layers": _code_first,
        "thousands of layers, counted from 1": _from_one,
        "thousands of layers from behind": _from_behind,
        "sequential of nothing": lambda config: config.update(
            module="keras", class_name="Sequential", config={"name": "s", "layers": []}
        ),
        "sequential that holds itself in words": lambda config: config.update(
            module="keras",
            class_name="Sequential",
            config={"name": "s", "layers": [_object(MARKER, "Touch", dense)]},
        ),
    }
    return found


NOT_NEEDED = (
    *("initializer of bytecode", "initializer of another module", "initializer that draws"),
    *("initializer that is a function", "initializer by name", "initializer of the bias"),
    *("regularizer of another module", "regularizer by name"),
    *("constraint of another module", "constraint by name"),
)
"""What does nothing once weights are there, and is left out."""


def _calls_of(parent: str, node: int = 0) -> list[Any]:
    found = call({}, parent)["inbound_nodes"]
    found[0]["args"][0]["config"]["keras_history"][1] = node
    return list(found)


def _nested(change: Change) -> Config:
    inner = _changed(change)
    inner["name"] = inner["config"]["name"] = "hidden"
    return inner


def _doubled(config: Config) -> None:
    """Thirty models, each of which calls the one in it twice: a thousand million calls."""
    inner = call(layer("Dense", "dense", units=4), "input")
    for depth in range(22):
        name = f"model{depth}"
        inner_name = inner["config"]["name"]
        first = {**inner, "name": inner_name}
        first["inbound_nodes"] = [*_calls_of("input"), *_calls_of(inner_name)]
        inner = {
            **_object("keras.src.models.functional", "Functional", None, "Functional"),
            "config": {
                "name": name,
                "layers": [layer("InputLayer", "input", batch_shape=[None, 4]), first],
                "input_layers": [["input", 0, 0]],
                "output_layers": [[inner_name, 1, 0]],
            },
        }
    config.update(inner)


def _chained(config: Config, count: int) -> list[Config]:
    layers = [call(layer("Activation", "a0", activation="relu"), "input")]
    layers += [
        call(layer("Activation", f"a{i}", activation="relu"), f"a{i - 1}") for i in range(1, count)
    ]
    config["config"]["output_layers"] = [[f"a{count - 1}", 0, 0]]
    return layers


def _thousands(config: Config) -> None:
    config["config"]["layers"][1:] = _chained(config, 21_000)


def _code_first(config: Config) -> None:
    config["config"]["layers"][1:] = _chained(config, 4_900)
    config["config"]["layers"][1].update(class_name="Lambda")


def _from_one(config: Config) -> None:
    config["config"]["layers"][1:] = _chained(config, 4_900)
    for one in config["config"]["layers"][2:]:
        one["inbound_nodes"][0]["args"][0]["config"]["keras_history"][1] = 1
    config["config"]["layers"][-1]["config"]["activation"] = MARKER


def _from_behind(config: Config) -> None:
    config["config"]["layers"][1:] = _chained(config, 3_000)[::-1]


def large(canary: Path) -> dict[str, Config]:
    """Networks of pictures in which something becomes absurdly large."""
    strides = pictures()
    strides["config"]["layers"][1]["config"]["strides"] = [2**29, 2**29]
    return {
        "enlarged by a million": pictures(layer("UpSampling2D", "up", size=[10**6, 10**6])),
        "enlarged by a thousand, twice": pictures(
            layer("UpSampling2D", "up", size=[1000, 1000]),
            layer("UpSampling2D", "more", size=[1000, 1000]),
        ),
        "padded by a million": pictures(layer("ZeroPadding2D", "pad", padding=[10**6, 10**6])),
        "padded by numbers of any size": pictures(layer("ZeroPadding2D", "pad", padding=10**12)),
        "resized to a million": pictures(layer("Resizing", "size", height=10**6, width=10**6)),
        "filters without end": pictures(layer("Conv2D", "more", filters=10**9, kernel_size=[3, 3])),
        "kernel without end": pictures(
            layer("Conv2D", "more", filters=2, kernel_size=[10**5, 10**5])
        ),
        "kernel that is nothing": pictures(layer("Conv2D", "more", filters=2, kernel_size=[0, 0])),
        "transposed by a million": pictures(
            layer("Conv2DTranspose", "up", filters=2, kernel_size=[3, 3], strides=[10**6, 10**6])
        ),
        "groups without end": pictures(
            layer("Conv2D", "more", filters=2, kernel_size=[3, 3], groups=10**6)
        ),
        "dilated without end": pictures(
            layer("Conv2D", "more", filters=2, kernel_size=[3, 3], dilation_rate=[10**8, 10**8])
        ),
        "separable without end": pictures(
            layer("SeparableConv2D", "more", filters=2, kernel_size=[3, 3], depth_multiplier=10**8)
        ),
        "attention without end": pictures(
            layer("Reshape", "flat", target_shape=[64, 2]),
            layer("MultiHeadAttention", "heads", num_heads=10**5, key_dim=10**5),
        ),
        "norm over an axis that is not there": pictures(
            layer("BatchNormalization", "norm", axis=99)
        ),
        "permuted with what is not there": pictures(layer("Permute", "turn", dims=[9, 9, 9])),
        "cropped to less than nothing": pictures(
            layer("Cropping2D", "crop", cropping=[[99, 99], [99, 99]])
        ),
        "strides without end": strides,
        "pooled in strides without end": pictures(
            layer("MaxPooling2D", "pool", pool_size=[2, 2], strides=[2**31 - 1, 2**31 - 1])
        ),
        "softmax of softmax": pictures(
            layer("UpSampling2D", "up", size=[2**10, 2**9]),
            *(layer("Softmax", f"softmax{i}", axis=-1) for i in range(40)),
        ),
        "a mean for each place": pictures(
            layer("UpSampling2D", "up", size=[2**9, 2**9]),
            layer("Normalization", "norm", axis=[1, 2, 3], mean=0.5, variance=1.0),
        ),
        "pooled by nothing": pictures(layer("MaxPooling2D", "pool", pool_size=[0, 0])),
        "strides of nothing": pictures(
            layer("Conv2D", "more", filters=2, kernel_size=[3, 3], strides=[0, 0])
        ),
    }


def operation(kind: str, *arguments: Any, module: str = "numpy", **options: Any) -> Config:
    """The network of an operation of `keras.ops` alone, called with what stands beside its input."""
    config = sound()
    one = call(layer(kind, "hidden"), "input")
    one.update(module=f"keras.src.ops.{module}", registered_name=kind)
    one["config"] = {"name": "hidden", **options}
    one["inbound_nodes"][0]["args"] += arguments
    config["config"]["layers"][1:] = [one]
    config["config"]["output_layers"] = [["hidden", 0, 0]]
    return config


def absurd_operations() -> dict[str, Config]:
    """Networks of an operation that makes absurdly much of four values, or takes without end."""
    many = 10**9
    zero = {"class_name": "__numpy__", "config": {"value": [[0]], "dtype": "int32"}}
    found = {
        "broadcast": operation("BroadcastTo", shape=[10**5, 10**5, 4]),
        "repeated": operation("Repeat", repeats=many, axis=1),
        "more samples": operation("Repeat", repeats=many, axis=0),
        "tiled": operation("Tile", repeats=[10**5, 10**5]),
        "padded": operation("Pad", pad_width=[[0, 0], [many, many]], mode="constant"),
        "a diagonal": operation("Diagflat", k=many),
        "one of many": operation("OneHot", module="nn", num_classes=many),
        "counted": operation("MultiHot", module="nn", num_classes=many),
        "spaced": operation("Linspace", 1.0, num=many),
        "powers": operation("Vander", N=many),
        "a spectrum": operation("RFFT", module="math", fft_length=many),
        "a spectrum of nothing": operation("RFFT", module="math", fft_length=0),
        "filled": operation("Full", shape=[10**5, 10**5]),
        "scattered": operation("Scatter", zero, module="core", shape=[many, 4]),
        "differences": operation("Diff", n=many),
        "rounded": operation("Round", decimals=many),
        "parts": operation("Split", indices_or_sections=many, axis=1),
        "equal parts": operation("ArraySplit", indices_or_sections=many, axis=0),
        "taken apart": operation("Unstack", module="core", num=many, axis=1),
        "an axis far away": operation("Trapezoid", axis=many),
        "axes without end": operation("Tensordot", zero, axes=many),
        "a blur": operation("GaussianBlur", module="image", kernel_size=[10**5, 10**5]),
        "counted by its input": operation("Bincount"),
    }
    # Of numbers alone, Keras would compute at once.
    alone = operation("Full", shape=[10**5, 10**5])
    alone["config"]["layers"][1]["inbound_nodes"][0]["args"] = [1.0]
    picture = {"class_name": "__numpy__", "config": {"value": [[[[1.0]]]], "dtype": "float32"}}
    enlarged = pictures(layer("UpSampling2D", "up", size=[10**5, 10**5]))
    enlarged["config"]["layers"][2]["inbound_nodes"][0]["args"] = [picture]
    return {**found, "of numbers alone": alone, "a layer of numbers alone": enlarged}


def foreign_operations(canary: Path) -> dict[str, Config]:
    """Networks of operations that run, read or name something."""
    code = {"class_name": "__lambda__", "config": {"code": _bytecode(canary)}}
    found = {
        "map by bytecode": operation("Map", code, module="core"),
        "map by a function": operation("Map", _function("os", "system"), module="core"),
        "vectorized by a function": operation(
            "VectorizedMap", module="core", function=_function("os", "system")
        ),
        "while": operation("WhileLoop", module="core", cond=code, body=code),
        "switch": operation("Switch", [code], module="core"),
        "derivative": operation("JVP", code, module="linalg"),
        "random values": operation("ElasticTransform", module="image"),
        "of another module": operation("Multiply", 2.0),
        "that is a function": operation("get_file", module="numpy"),
        "that is none": operation("Layer"),
        "with an object": operation("Multiply", _object(MARKER, "Touch")),
        "with an array of objects": operation(
            "Multiply", {"class_name": "__numpy__", "config": {"value": [1], "dtype": "O"}}
        ),
        "with a type of another name": operation("Cast", module="core", dtype=MARKER),
        "of a name of another": operation("Multiply", 2.0),
    }
    found["of another module"]["config"]["layers"][1]["module"] = f"{MARKER}.ops"
    found["of a name of another"]["config"]["layers"][1]["registered_name"] = MARKER
    return found


TEXTS = {
    "empty": "",
    "not json": "{",
    "a number": "7",
    "nothing": "null",
    "a list": "[]",
    "a text": f'"{MARKER}"',
    "another object": '{"a": 1}',
    "a class alone": '{"class_name": "Functional"}',
    "nested too deeply": "[" * 100_000 + "]" * 100_000,
    "objects nested too deeply": '{"a":' * 5_000 + "1" + "}" * 5_000,
    "nested more than any network": '{"config":' * 120 + "{}" + "}" * 120,
    "number of absurd length": '{"class_name": "Functional", "config": ' + "9" * 5_000 + "}",
    "python": f"__import__({MARKER!r})",
    "yaml": f"!!python/object/apply:os.system ['{MARKER}']",
}
"""What may stand where a description of a network should."""


def configurations(folder: Path, canary: Path) -> Iterator[Case]:
    folder.mkdir()
    number = 0
    mended = (
        *("outputs of a later call", "layer without a name", "padded by numbers of any size"),
        *NOT_NEEDED,
    )
    for name, change in changes(canary).items():
        config = _changed(change)
        for write, end in ((write_h5, "h5"), (write_keras, "keras")):
            if end == "h5" and len(json.dumps(config)) > 60_000:
                continue  # an attribute cannot hold so much
            number += 1
            path = write(folder / f"{number}.{end}", config)
            yield Case(f"{end}: {name}", str(path), may_load=name in mended)
    for name, config in large(canary).items():
        for write, end in ((write_h5, "h5"), (write_keras, "keras")):
            number += 1
            path = write(folder / f"{number}.{end}", config, CONV)
            yield Case(f"{end}: {name}", str(path), may_load=name in mended)
    for name, config in {**absurd_operations(), **foreign_operations(canary)}.items():
        for write, end in ((write_h5, "h5"), (write_keras, "keras")):
            number += 1
            path = write(folder / f"{number}.{end}", config, [])
            yield Case(f"{end}: operation {name}", str(path))
    for name, text in TEXTS.items():
        number += 1
        yield Case(f"keras: {name}", str(write_keras(folder / f"{number}.keras", text)))
        number += 1
        path = folder / f"{number}.h5"
        with h5py.File(path, "w") as file:
            weights(file)
        described = path.with_suffix(".json")
        described.write_text(text)
        yield Case(f"architecture: {name}", str(path), ("--architecture", str(described)))
    for name, config in functions(canary).items():
        number += 1
        path = write_h5(folder / f"{number}.h5", config, [])
        yield Case(f"h5: {name}", str(path))
    yield from _beside(folder, canary)


def functions(canary: Path) -> dict[str, Config]:
    """Networks that call TensorFlow's functions, which only Keras 2 builds."""

    def network(function: str, *nodes: Any, **settings: Any) -> Config:
        names = ["input", "hidden", "output"]
        inputs = [[], [[["input", 0, 0, {}]]], [[["hidden", 0, 0, {}]]]]
        for place, node in enumerate(nodes, 1):
            inputs[place] = node
        layers = [
            {"class_name": "InputLayer", "config": {"batch_input_shape": [None, 4]}},
            {"class_name": "TFOpLambda", "config": {"function": function}},
            {"class_name": "TFOpLambda", "config": {"function": "nn.relu"}},
        ]
        for one, name, node in zip(layers, names, inputs, strict=True):
            one["config"]["name"] = name
            one.update(name=name, inbound_nodes=node)
        return {
            "class_name": "Functional",
            "config": {
                "name": "network",
                "layers": layers,
                "input_layers": [["input", 0, 0]],
                "output_layers": [["output", 0, 0]],
            },
        }

    absurd = [["_CONSTANT_VALUE", -1, [100_000, 100_000], {}]]
    return {
        "function that writes": network(
            "io.write_file", [["_CONSTANT_VALUE", -1, str(canary), {}]]
        ),
        "function that reads": network(
            "io.read_file", [["_CONSTANT_VALUE", -1, f"{canary}.txt", {}]]
        ),
        "function that runs code": network("py_function"),
        "function of raw_ops": network("raw_ops.WriteFile"),
        "function of another module": network(f"{MARKER}.run"),
        "function that is no text": network(["nn.relu"]),  # type: ignore[arg-type]
        "functions that wait for each other": network("nn.relu", [["output", 0, 0, {}]]),
        "function that waits for itself": network("nn.relu", [["hidden", 0, 0, {}]]),
        "function that waits for a later call": network("nn.relu", [["input", 7, 0, {}]]),
        "function that makes ones": network("ones", absurd),
        "function that makes zeros": network("zeros", absurd),
        "function that fills": network("fill", absurd),
        "function that repeats": network(
            "tile", [["input", 0, 0, {"multiples": [1_000_000, 1_000_000]}]]
        ),
        "function that pads": network(
            "pad", [["input", 0, 0, {"paddings": [[0, 0], [10**9, 10**9]]}]]
        ),
    }


def _beside(folder: Path, canary: Path) -> Iterator[Case]:
    """Descriptions that lie beside the weights, and what is ignored or cut off."""
    path = folder / "weights.h5"
    with h5py.File(path, "w") as file:
        weights(file)
    for name in ("lambda with bytecode", "layer of another module", "dense of 67108864"):
        described = folder / f"{name.replace(' ', '-')}.json"
        described.write_text(json.dumps(_changed(changes(canary)[name])))
        yield Case(f"architecture: {name}", str(path), ("--architecture", str(described)))
    os.mkfifo(folder / "pipe.json")
    yield Case("architecture: a pipe", str(path), ("--architecture", str(folder / "pipe.json")))
    yield Case("architecture: a device", str(path), ("--architecture", "/dev/zero"))
    yield Case("architecture: a folder", str(path), ("--architecture", str(folder)))
    trained = sound()
    trained["compile_config"] = {
        "optimizer": _object(MARKER, "Touch"),
        "loss": _function("keras.utils", "get_file"),
        "metrics": [_object(MARKER, "Touch")],
    }
    yield Case(
        "keras: trained with another's code",
        str(write_keras(folder / "trained.keras", trained)),
        may_load=True,
    )
    with h5py.File(write_h5(folder / "trained.h5", sound()), "r+") as file:
        file.attrs["training_config"] = json.dumps({"loss": _object(MARKER, "Touch")})
    yield Case("h5: trained with another's code", str(folder / "trained.h5"), may_load=True)
    last = sound()
    last["config"]["layers"].append(
        call(layer("Lambda", "code", function=[_bytecode(canary), None, None]), "output")
    )
    last["config"]["output_layers"] = [["code", 0, 0]]
    for write, end in ((write_h5, "h5"), (write_keras, "keras")):
        path = write(folder / f"last.{end}", last)
        yield Case(f"{end}: bytecode behind all else", str(path), may_load=True)


# HDF5


def hdf5(folder: Path, canary: Path) -> Iterator[Case]:
    folder.mkdir()
    other = folder / "other.h5"
    with h5py.File(other, "w") as file:
        file["numbers"] = np.zeros((4, 3), np.float32)

    def replaced(file: h5py.File, make: Callable[[h5py.Group], Any]) -> None:
        group = file["model_weights/hidden/hidden"]
        del group["kernel"]
        make(group)

    def virtual(group: h5py.Group) -> None:
        layout = h5py.VirtualLayout((4, 3), np.float32)
        layout[:] = h5py.VirtualSource(str(other), "numbers", (4, 3))
        group.create_virtual_dataset("kernel", layout)

    def unfilled(group: h5py.Group, shape: tuple[int, ...], **settings: Any) -> None:
        group.create_dataset("kernel", shape, np.float32, **settings)

    def packed(group: h5py.Group, shape: tuple[int, ...], chunks: tuple[int, ...]) -> None:
        made = group.create_dataset("kernel", shape, "f4", chunks=chunks, compression="gzip")
        whole = zlib.compress(bytes(4 * math.prod(chunks)))
        for piece in made.iter_chunks():
            made.id.write_direct_chunk(tuple(one.start for one in piece), whole)

    def unknown_filter(group: h5py.Group) -> None:
        made = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        made.set_chunk((4, 3))
        made.set_filter(32099, h5py.h5z.FLAG_OPTIONAL, (0,))
        space = h5py.h5s.create_simple((4, 3))
        h5py.h5d.create(group.id, b"kernel", h5py.h5t.IEEE_F32LE, space, made)

    def nested(file: h5py.File) -> None:
        group = file
        for _ in range(200):
            group = group.create_group("g")

    def circle(file: h5py.File) -> None:
        file["model_weights/hidden/up"] = file["model_weights"]

    def many(file: h5py.File) -> None:
        group = file.create_group("many")
        for number in range(1500):
            group.attrs[f"a{number}"] = number

    def references(file: h5py.File) -> None:
        file.attrs["where"] = file["model_weights"].ref

    changed: dict[str, Callable[[h5py.File], Any]] = {
        # CVE-2026-1669: data in other files
        "external link": lambda f: f.__setitem__("x", h5py.ExternalLink(str(other), "numbers")),
        "external link to a secret": lambda f: replaced(
            f, lambda g: g.__setitem__("kernel", h5py.ExternalLink(f"{canary}.bin", "/"))
        ),
        "soft link": lambda f: f.__setitem__("x", h5py.SoftLink("/model_weights")),
        "soft link to nothing": lambda f: f.__setitem__("x", h5py.SoftLink(f"/{MARKER}")),
        "data in another file": lambda f: replaced(
            f, lambda g: unfilled(g, (4, 3), external=[(f"{canary}.bin", 0, h5py.h5f.UNLIMITED)])
        ),
        "data in /etc/passwd": lambda f: replaced(
            f, lambda g: unfilled(g, (4, 3), external=[("/etc/passwd", 0, 48)])
        ),
        "virtual data": lambda f: replaced(f, virtual),
        # CVE-2026-0897: shapes without data
        "a thousand million values, none stored": lambda f: replaced(
            f, lambda g: unfilled(g, (10**9,))
        ),
        "chunks, none stored": lambda f: replaced(
            f, lambda g: unfilled(g, (10**6, 10**4), chunks=(100, 100))
        ),
        "packed chunks, none stored": lambda f: replaced(
            f, lambda g: unfilled(g, (10**6, 10**4), chunks=(100, 100), compression="gzip")
        ),
        "packed zeros": lambda f: replaced(f, lambda g: packed(g, (2**26,), (2**22,))),
        "one packed chunk": lambda f: replaced(f, lambda g: packed(g, (2**26,), (2**26,))),
        "pieces without end": lambda f: replaced(f, lambda g: packed(g, (300, 300), (1, 1))),
        "unknown filter": lambda f: replaced(f, unknown_filter),
        "nested without end": nested,
        "groups in a circle": circle,
        "array under two names": lambda f: f.__setitem__(
            "x", f["model_weights/hidden/hidden/bias"]
        ),
        "attributes without end": many,
        "attribute that refers": references,
        "array of texts": lambda f: f.__setitem__("x", np.array(["a", MARKER], dtype=object)),
        "array of pairs": lambda f: f.__setitem__("x", np.zeros(2, [("a", "i4"), ("b", "f4")])),
        "array of references": lambda f: f.create_dataset("x", (3,), h5py.ref_dtype),
        "array of lists": lambda f: f.create_dataset("x", (3,), h5py.vlen_dtype(np.float32)),
        "named type": lambda f: f.__setitem__("x", np.dtype("f4")),
        "array where a group should be": lambda f: (
            f["model_weights"].__delitem__("hidden"),
            f["model_weights"].__setitem__("hidden", np.zeros(3)),
        ),
        "group where an array should be": lambda f: replaced(f, lambda g: g.create_group("kernel")),
        "weights of another shape": lambda f: replaced(
            f, lambda g: g.__setitem__("kernel", np.zeros((3, 4), np.float32))
        ),
        "weights of texts": lambda f: replaced(
            f, lambda g: g.__setitem__("kernel", np.full((4, 3), b"abc"))
        ),
        "no weights": lambda f: f.__delitem__("model_weights"),
        "weights of a layer missing": lambda f: f["model_weights"].__delitem__("hidden"),
        "names of weights that lead elsewhere": lambda f: f["model_weights/hidden"].attrs.update(
            weight_names=np.array([b"../../../x", f"/{MARKER}".encode()])
        ),
        "names of layers that are numbers": lambda f: f["model_weights"].attrs.update(
            layer_names=np.arange(3)
        ),
        "names of layers that are nothing": lambda f: f["model_weights"].attrs.update(
            layer_names=h5py.Empty("f")
        ),
        "names of layers that are one text": lambda f: f["model_weights"].attrs.update(
            layer_names=MARKER
        ),
        "description that is a number": lambda f: f.attrs.update(model_config=7),
        "description that is no text": lambda f: f.attrs.update(model_config=b"\xff\xfe{"),
        "description that is a list": lambda f: f.attrs.update(model_config=["a", "b"]),
        "version that is a number": lambda f: f.attrs.update(keras_version=[1, 2]),
    }
    may_load = {"version that is a number"}
    for number, (name, change) in enumerate(changed.items()):
        path = write_h5(folder / f"{number}.h5", sound())
        with h5py.File(path, "r+") as file:
            change(file)
        yield Case(f"h5: {name}", str(path), may_load=name in may_load)
    with h5py.File(folder / "block.h5", "w", userblock_size=512) as file:
        file.attrs["model_config"] = json.dumps(sound())
    yield Case("h5: behind a block of something else", str(folder / "block.h5"))


# Archives


def archives(folder: Path, canary: Path) -> Iterator[Case]:
    folder.mkdir()
    zeros = bytes(2**20)
    good = {
        "metadata.json": json.dumps({"keras_version": VERSION}).encode(),
        "config.json": json.dumps(sound()).encode(),
        "model.weights.h5": archived_weights(),
    }

    def write(name: str, members: Any, how: int = zipfile.ZIP_STORED, end: str = "keras") -> Path:
        path = folder / f"{name.replace(' ', '-')}.{end}"
        with zipfile.ZipFile(path, "w", how) as archive:
            for place, content in members.items() if isinstance(members, dict) else members:
                archive.writestr(place, content)
        return path

    def bomb(member: str, name: str) -> Path:
        """A member of a gigabyte in a megabyte."""
        path = folder / f"{name.replace(' ', '-')}.keras"
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for place, content in good.items():
                if place != member:
                    archive.writestr(place, content)
            with archive.open(member, "w", force_zip64=True) as unpacked:
                for _ in range(1024):
                    unpacked.write(zeros)
        return path

    def flagged(name: str, place: int, value: int) -> Path:
        """An archive with a byte of each of its headers changed: at a place, and two behind it."""
        content = bytearray(write(name, good).read_bytes())
        for signature, more in ((b"PK\x03\x04", 0), (b"PK\x01\x02", 2)):
            start = content.find(signature)
            while start >= 0:
                content[start + place + more] = value
                start = content.find(signature, start + 4)
        path = folder / f"{name.replace(' ', '-')}.keras"
        path.write_bytes(content)
        return path

    def sized(name: str, size: int) -> Path:
        """An archive whose weights claim another size than they have."""
        path = write(name, good)
        content = bytearray(path.read_bytes())
        start = content.rfind(b"PK\x01\x02")
        content[start + 24 : start + 28] = struct.pack("<I", size)
        path.write_bytes(content)
        return path

    linked = zipfile.ZipInfo("model.weights.h5")
    linked.external_attr = 0xA1FF << 16
    without = {k: v for k, v in good.items() if k != "model.weights.h5"}
    outside = archived_weights(
        change=lambda f: f.__setitem__("x", h5py.ExternalLink(f"{canary}.bin", "/"))
    )

    def data_outside(file: h5py.File) -> None:
        del file["layers/dense/vars/0"]
        file["layers/dense/vars"].create_dataset(
            "0", (4, 3), "f4", external=[(f"{canary}.bin", 0, 48)]
        )

    def unfilled(file: h5py.File) -> None:
        del file["layers/dense/vars/0"]
        file["layers/dense/vars"].create_dataset("0", (10**9,), "f4")

    found: dict[str, Path] = {
        "a gigabyte of configuration": bomb("config.json", "config bomb"),
        "a gigabyte of metadata": bomb("metadata.json", "metadata bomb"),
        "a gigabyte of weights": bomb("model.weights.h5", "weights bomb"),
        "a gigabyte of assets": bomb("assets/words.txt", "assets bomb"),
        "a gigabyte of something": bomb("notes.txt", "other bomb"),
        "assets": write("assets", {**good, "assets/layers/words/vocabulary.txt": "a\nb\n"}),
        "assets elsewhere": write("out", {**good, f"assets/../../{MARKER}": "a"}),
        "a member above": write("above", {**good, f"../{MARKER}": "a"}),
        "a member above, from behind": write("above2", {**good, f"..\\{MARKER}": "a"}),
        "a member of the root": write("root", {**good, str(canary): "a"}),
        "a member of a drive": write("drive", {**good, f"C:\\{MARKER}": "a"}),
        "a member that links": write("link", [*without.items(), (linked, f"{canary}.bin")]),
        "two configurations": write("twice", [*good.items(), ("config.json", good["config.json"])]),
        "no configuration": write("noc", {k: v for k, v in good.items() if k != "config.json"}),
        "no metadata": write("nom", {k: v for k, v in good.items() if k != "metadata.json"}),
        "no weights": write("now", without),
        "weights as npz": write("npz", {**without, "model.weights.npz": b"PK\x03\x04"}),
        "nothing within": write("nothing", {}),
        "names in capitals": write("caps", {k.upper(): v for k, v in good.items()}),
        "everything in a folder": write("below", {f"model/{k}": v for k, v in good.items()}),
        "encrypted": flagged("encrypted", 6, 1),
        "packed in an unknown way": flagged("unknown", 8, 99),
        "packed by bzip2": write("bzip2", good, zipfile.ZIP_BZIP2),
        "packed by lzma": write("lzma", good, zipfile.ZIP_LZMA),
        "weights that claim more": sized("more", 2**31),
        "weights that claim less": sized("less", 100),
        "weights that are text": write("text", {**good, "model.weights.h5": b"text"}),
        "weights that are nothing": write("empty", {**good, "model.weights.h5": b""}),
        "weights that are an archive": write("inner", {**good, "model.weights.h5": b"PK\x03\x04"}),
        "weights that link outside": write("outside", {**good, "model.weights.h5": outside}),
        "weights whose data lie outside": write(
            "data", {**good, "model.weights.h5": archived_weights(change=data_outside)}
        ),
        "weights without their data": write(
            "unfilled", {**good, "model.weights.h5": archived_weights(change=unfilled)}
        ),
        "packed weights without their data": write(
            "unfilled2",
            {**good, "model.weights.h5": archived_weights(change=unfilled)},
            zipfile.ZIP_DEFLATED,
        ),
        "weights of another network": write(
            "other", {**good, "model.weights.h5": archived_weights([("hidden", (2, 2))])}
        ),
        "metadata that are no json": write("m1", {**good, "metadata.json": b"{"}),
        "metadata that are a list": write("m2", {**good, "metadata.json": b"[]"}),
        "metadata without a version": write("m3", {**good, "metadata.json": b"{}"}),
        "metadata nested too deeply": write("m4", {**good, "metadata.json": b"[" * 10**5}),
        "configuration in another alphabet": write(
            "u16", {**good, "config.json": b"\xff\xfe{\x00"}
        ),
        "hdf5 that holds no model": write("zip", {"a.txt": "a"}, end="h5"),
    }
    for name, path in found.items():
        yield Case(f"keras: {name}", str(path))
    shifted = folder / "shifted.keras"
    shifted.write_bytes(b"#!/bin/sh\n" + write("plain", good).read_bytes())
    yield Case("keras: behind a script", str(shifted))
    overlapping = bytearray(write("over", good).read_bytes())
    last = overlapping.rfind(b"PK\x01\x02")
    overlapping[last + 42 : last + 46] = bytes(4)
    (folder / "overlapping.keras").write_bytes(overlapping)
    yield Case("keras: members over each other", str(folder / "overlapping.keras"))


# Damage


def damaged(folder: Path, canary: Path) -> Iterator[Case]:
    folder.mkdir()
    random_ = random.Random(20260101)
    for end, write in (("h5", write_h5), ("keras", write_keras)):
        whole = write(folder / f"whole.{end}", sound()).read_bytes()
        for share in (0.001, 0.05, 0.3, 0.5, 0.7, 0.9, 0.99):
            path = folder / f"cut{share}.{end}"
            path.write_bytes(whole[: max(int(len(whole) * share), 9)])
            yield Case(f"{end}: cut off at {share}", str(path))
        for number in range(20):
            content = bytearray(whole)
            for _ in range(random_.choice((1, 1, 2, 8, 64))):
                content[random_.randrange(8, len(content))] ^= 1 << random_.randrange(8)
            path = folder / f"flipped{number}.{end}"
            path.write_bytes(content)
            yield Case(f"{end}: bits turned, {number}", str(path), may_load=True)
        for number in range(6):
            content = bytearray(whole)
            start = random_.randrange(8, len(content) - 600)
            content[start : start + 512] = random_.randbytes(512)
            path = folder / f"noise{number}.{end}"
            path.write_bytes(content)
            yield Case(f"{end}: noise within, {number}", str(path), may_load=True)
        for number in range(3):
            path = folder / f"signature{number}.{end}"
            path.write_bytes(whole[:8] + random_.randbytes(4096))
            yield Case(f"{end}: noise behind the signature, {number}", str(path))


# Files that are something else


def others(folder: Path, canary: Path) -> Iterator[Case]:
    folder.mkdir()
    beginnings = {
        "no bytes": b"",
        "text": f"import {MARKER}\n".encode(),
        "a pickle": b"\x80\x04\x95\x10\x00\x00\x00\x00\x00\x00\x00\x8c\x02os\x94.",
        "a picture": b"\x89PNG\r\n\x1a\n" + bytes(64),
        "a gzip": b"\x1f\x8b\x08\x00" + bytes(64),
        "a tar": MARKER.encode().ljust(512, b"\0") + bytes(1024),
        "a program": b"\x7fELF" + bytes(64),
        "the signature alone": b"\x89HDF\r\n\x1a\n",
        "an old signature": b"\x89HDF\r\n\x1a\n" + bytes(8),
    }
    for number, (name, content) in enumerate(beginnings.items()):
        for end in ("h5", "keras"):
            path = folder / f"{number}.{end}"
            path.write_bytes(content)
            yield Case(f"{end}: {name}", str(path))
    for end in ("h5", "keras"):
        os.mkfifo(folder / f"pipe.{end}")
        yield Case(f"{end}: a pipe", str(folder / f"pipe.{end}"))
        (folder / f"zero.{end}").symlink_to("/dev/zero")
        yield Case(f"{end}: a link to a device", str(folder / f"zero.{end}"))
        (folder / f"nowhere.{end}").symlink_to(folder / MARKER)
        yield Case(f"{end}: a link to nothing", str(folder / f"nowhere.{end}"))
        (folder / f"itself.{end}").symlink_to(folder / f"itself.{end}")
        yield Case(f"{end}: a link to itself", str(folder / f"itself.{end}"))
        (folder / f"folder.{end}").mkdir()
        yield Case(f"{end}: a folder", str(folder / f"folder.{end}"))
    for address in (
        *("hf://stranger/model", "gs://stranger/model.keras", "https://localhost/model.h5"),
        *("file:///etc/model.h5", "s3://stranger/model.keras"),
    ):
        yield Case(f"address: {address}", address)


# SavedModels


def _number(value: int) -> bytes:
    found = b""
    while value > 127:
        found += bytes([value & 127 | 128])
        value >>= 7
    return found + bytes([value])


def _field(number: int, content: bytes | int) -> bytes:
    """A field of a protocol buffer."""
    if isinstance(content, int):
        return _number(number << 3) + _number(content)
    return _number(number << 3 | 2) + _number(len(content)) + content


def _block(entries: list[tuple[bytes, bytes]]) -> bytes:
    found = b"".join(
        b"\0" + _number(len(key)) + _number(len(value)) + key + value for key, value in entries
    )
    return found + struct.pack("<II", 0, 1)


def _index(entries: list[tuple[bytes, bytes]]) -> bytes:
    """The index of a checkpoint, as LevelDB writes a table."""
    block = _block(entries)
    held = block + bytes(5)
    handle = _number(0) + _number(len(block))
    above = _block([(b"\xff", handle)])
    footer = _number(len(held)) + _number(0) + _number(len(held)) + _number(len(above))
    return held + above + bytes(5) + footer.ljust(40, b"\0") + bytes.fromhex("57fb808b247547db")


def _object_of(identifier: str, metadata: bytes, *children: tuple[int, str]) -> bytes:
    """An object as TensorFlow before 2.5 described it among those of a SavedModel."""
    named = (_field(1, _field(1, node) + _field(2, name.encode())) for node, name in children)
    held = _field(1, identifier.encode()) + _field(3, metadata)
    return _field(1, b"".join(named) + _field(4, held))


def object_graph(*objects: bytes, more: bytes = b"") -> bytes:
    """What stands in saved_model.pb of such a SavedModel."""
    graph = _field(7, b"".join(objects)) + more
    return _field(1, 1) + _field(2, _field(2, bytes(1000)) + graph)


def saved_model(
    folder: Path, config: Any = None, *, among_objects: bool = False, **entries: Any
) -> Path:
    """A SavedModel of Keras 2 of the sound network.

    Parameters
    ----------
    config
        What it describes, in the place of that network.
    among_objects
        Whether that stands where TensorFlow before 2.5 wrote it.
    entries
        What the index says of every variable that is not so.
    """
    legacy = {
        "class_name": "Sequential",
        "name": "network",
        "config": {
            "name": "network",
            "layers": [
                {
                    "class_name": "InputLayer",
                    "config": {"name": "i", "batch_input_shape": [None, 4]},
                },
                {"class_name": "Dense", "config": {"name": "hidden", "units": 3}},
                {"class_name": "Dense", "config": {"name": "output", "units": 2}},
            ],
        },
    }
    nodes = {
        "root": legacy if config is None else config,
        "root.layer_with_weights-0": {"name": "hidden", "class_name": "Dense"},
        "root.layer_with_weights-1": {"name": "output", "class_name": "Dense"},
    }
    texts = {
        place: node.encode() if isinstance(node, str) else json.dumps(node).encode()
        for place, node in nodes.items()
    }
    (folder / "variables").mkdir(parents=True)
    if among_objects:
        root, *layers = texts.values()
        children = [(1, "layer_with_weights-0"), (2, "layer_with_weights-1")]
        objects = [_object_of("_tf_keras_sequential", root, *children)]
        objects += [_object_of("_tf_keras_layer", text) for text in layers]
        (folder / "saved_model.pb").write_bytes(object_graph(*objects))
    else:
        (folder / "saved_model.pb").write_bytes(b"")
        described = (
            _field(1, _field(2, number) + _field(3, place.encode()) + _field(5, text))
            for number, (place, text) in enumerate(texts.items())
        )
        (folder / "keras_metadata.pb").write_bytes(b"".join(described))
    content = b""
    found = [(b"", _field(1, 1) + _field(3, _field(1, 1)))]
    for number, (_, shape) in enumerate(SIZES):
        for name, sizes in (("kernel", shape), ("bias", shape[1:])):
            values = np.full(sizes, 0.1, np.float32).tobytes()
            place = f"layer_with_weights-{number}/{name}/.ATTRIBUTES/VARIABLE_VALUE"
            facts = {"shape": sizes, "offset": len(content), "size": len(values), **entries}
            axes = b"".join(_field(2, _field(1, size)) for size in facts["shape"])
            entry = _field(1, 1) + _field(2, axes) + _field(4, facts["offset"])
            found.append((place.encode(), entry + _field(5, facts["size"])))
            content += values
    found.sort()
    (folder / "variables" / "variables.index").write_bytes(_index(found))
    (folder / "variables" / "variables.data-00000-of-00001").write_bytes(content)
    return folder


def saved_models(folder: Path, canary: Path) -> Iterator[Case]:
    folder.mkdir()
    random_ = random.Random(20260102)
    numbers = iter(range(1000))

    def made(name: str, config: Any = None, **entries: Any) -> Path:
        return saved_model(folder / f"{next(numbers)}-{name.replace(' ', '-')}", config, **entries)

    def lambda_of(code: Any) -> Config:
        return {
            "class_name": "Sequential",
            "config": {
                "name": "s",
                "layers": [
                    {
                        "class_name": "InputLayer",
                        "config": {"name": "i", "batch_input_shape": [None, 4]},
                    },
                    {"class_name": "Lambda", "config": {"name": "code", "function": code}},
                    {"class_name": "Dense", "config": {"name": "output", "units": 2}},
                ],
            },
        }

    dense = lambda_of(0)
    dense["config"]["layers"][1] = {
        "class_name": "Dense",
        "config": {"name": "hidden", "units": 67108864},
    }
    foreign = lambda_of(0)
    foreign["config"]["layers"][1] = _object(MARKER, "Touch", {"name": "hidden"})
    paths = {
        "bytecode": made("bytecode", lambda_of([_bytecode(canary), None, None])),
        "layer of another module": made("module", foreign),
        "dense of 67108864": made("dense", dense),
        "description that is no json": made("json", "{"),
        "description nested too deeply": made("deep", "[" * 100_000),
        "description that is a list": made("list", []),
        "model of another class": made("class", {"class_name": MARKER, "config": {}}),
        "weights behind the end": made("offset", offset=10**12),
        "weights over each other": made("over", offset=0, size=48, shape=(4, 3)),
        "weights of absurd shape": made("shape", shape=(10**6, 10**6)),
        "weights of absurd size": made("size", size=10**15),
        "weights of another shape": made("other", shape=(3, 4)),
    }

    for name, config in (
        ("bytecode", lambda_of([_bytecode(canary), None, None])),
        ("layer of another module", foreign),
        ("dense of 67108864", dense),
        ("description that is no json", "{"),
        ("description nested too deeply", "[" * 100_000),
    ):
        folder_ = folder / f"{next(numbers)}-old"
        paths[f"{name}, among objects"] = saved_model(folder_, config, among_objects=True)
    root = json.dumps({"class_name": "Sequential", "config": {"name": "s", "layers": []}}).encode()
    circle = [_object_of("_tf_keras_sequential", root, *((0, f"layer-{i}") for i in range(9)))]
    wide = [
        _object_of("_tf_keras_sequential", root, *((n + 1, f"layer-{i}") for i in range(9)))
        for n in range(40)
    ]
    for name, content in {
        "objects in a circle": object_graph(*circle),
        "objects that hold each other many times": object_graph(*wide),
        "objects that are not there": object_graph(
            _object_of("_tf_keras_sequential", root, (10**9, "layer-0"))
        ),
        "objects of a length without end": b"\x12\xff\xff\xff\xff\x0f" + bytes(100),
        "objects that end too soon": object_graph(*circle)[:-20],
        "objects of noise": random_.randbytes(2000),
        "objects of absurd size": object_graph(bytes(70 * 2**20)),
        "a graph of many fields": b"\x08\x01" * 300_000 + object_graph(*circle),
        "no objects": b"",
    }.items():
        path = made("objects")
        (path / "keras_metadata.pb").unlink()
        (path / "saved_model.pb").write_bytes(content)
        paths[name] = path

    def without(name: str, place: str, content: bytes | None = None) -> None:
        path = made(name)
        (path / place).unlink()
        if content is not None:
            (path / place).write_bytes(content)
        paths[name] = path

    without("no description", "keras_metadata.pb")
    without("description of noise", "keras_metadata.pb", random_.randbytes(500))
    without("no index", "variables/variables.index")
    without("index of nothing", "variables/variables.index", b"")
    without("index of noise", "variables/variables.index", random_.randbytes(500))
    without("index without an end", "variables/variables.index", _index([])[:-20])
    without("index of nobody", "variables/variables.index", _index([]))
    without("no numbers", "variables/variables.data-00000-of-00001")
    without("too few numbers", "variables/variables.data-00000-of-00001", bytes(20))
    compressed = bytearray(_index([(b"a", b"b")]))
    compressed[len(_block([(b"a", b"b")]))] = 1
    without("index that is packed", "variables/variables.index", bytes(compressed))
    for place in ("keras_metadata.pb", "variables/variables.index"):
        name = f"{Path(place).name} that is a pipe"
        path = made(name)
        (path / place).unlink()
        os.mkfifo(path / place)
        paths[name] = path
    for name, path in paths.items():
        yield Case(f"SavedModel: {name}", str(path))
    for number in range(16):
        path = made("flipped")
        place = path / ("keras_metadata.pb" if number % 2 else "variables/variables.index")
        content = bytearray(place.read_bytes())
        for _ in range(1 + number // 4):
            content[random_.randrange(len(content))] ^= 1 << random_.randrange(8)
        place.write_bytes(content)
        yield Case(f"SavedModel: bits turned, {number}", str(path), may_load=True)


@functools.cache
def sound_files(folder: Path) -> dict[str, Path]:
    """The network of all these files as it should be, in every form."""
    folder.mkdir(parents=True, exist_ok=True)
    return {
        "h5": write_h5(folder / "sound.h5", sound()),
        "keras": write_keras(folder / "sound.keras", sound()),
        "SavedModel": saved_model(folder / "sound"),
        "SavedModel, old": saved_model(folder / "old", among_objects=True),
    }


if __name__ == "__main__":
    for one in cases(Path(sys.argv[1])):
        print(one.path, *one.words, f"# {one.name}")
