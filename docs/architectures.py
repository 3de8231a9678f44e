"""Writes the table of what works on which kind of network: `python docs/architectures.py`.

Each network is small, has random weights and is built anew; a cell of the table is what happened
when the technique was run on it.
"""

from __future__ import annotations

import re
import sys
import textwrap
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

import cnnvis
from cnnvis.registry.discovery import registry
from cnnvis.registry.options import options_of

TABLE = Path(__file__).with_name("architectures.md")


@dataclass(frozen=True)
class Architecture:
    """A kind of network.

    Attributes
    ----------
    about
        What it is, for the table.
    build
        Makes one from the package keras, or tf_keras.
    shapes
        The shape of one sample of each of its inputs, by name.
    settings
        What a person would add to the command.
    tf_keras
        Whether it is one of tf_keras.
    whole
        The largest value of inputs that are whole numbers.
    """

    about: str
    build: Callable[[Any], Any]
    shapes: dict[str, tuple[int, ...]]
    settings: dict[str, Any] = field(default_factory=dict)
    tf_keras: bool = False
    whole: int | None = None

    def network(self) -> Any:
        """The network, its weights random but always the same."""
        import keras

        home = keras
        if self.tf_keras:
            import tf_keras as home
        home.backend.clear_session()
        home.utils.set_random_seed(7)
        return self.build(home)

    def data(self, count: int = 2) -> Any:
        """Random inputs: an array, or a dict of arrays where there are several."""
        rng = np.random.default_rng(11)
        if self.whole is not None:
            arrays = {
                name: rng.integers(self.whole, size=(count, *shape))
                for name, shape in self.shapes.items()
            }
        else:
            arrays = {name: rng.normal(size=(count, *shape)) for name, shape in self.shapes.items()}
        return arrays if len(arrays) > 1 else next(iter(arrays.values()))


IMAGE = {"image": (12, 10, 2)}


def _head(k: Any, x: Any, units: int = 3, activation: str | None = "softmax") -> Any:
    x = k.layers.Flatten(name="flat")(x)
    return k.layers.Dense(units, activation, name="output")(x)


def _convolutions(k: Any, axes: int, **settings: Any) -> list[Any]:
    convolution = getattr(k.layers, f"Conv{axes}D")
    # TensorFlow takes the largest value of a volume in single precision only.
    pooling = getattr(k.layers, f"{'Average' if axes == 3 else 'Max'}Pooling{axes}D")
    order = {key: value for key, value in settings.items() if key == "data_format"}
    return [
        convolution(4, 3, activation="relu", padding="same", name="first", **settings),
        pooling(2, name="pool", **order),
        convolution(5, 3, activation="relu", padding="same", name="second", **settings),
    ]


def _ends(k: Any, units: int = 3, activation: str | None = "softmax") -> list[Any]:
    return [k.layers.Flatten(name="flat"), k.layers.Dense(units, activation, name="output")]


def sequential(axes: int, shape: tuple[int, ...], **settings: Any) -> Callable[[Any], Any]:
    """Two convolutions over so many axes, a pooling layer between, and a dense layer."""
    return lambda k: k.Sequential(
        [k.layers.Input(shape), *_convolutions(k, axes, **settings), *_ends(k)]
    )


def functional(k: Any) -> Any:
    """The same as `sequential(2, (12, 10, 2))`."""
    x = image = k.layers.Input((12, 10, 2), name="image")
    for layer in (*_convolutions(k, 2), *_ends(k)):
        x = layer(x)
    return k.Model(image, x)


def nested(k: Any) -> Any:
    """The same with a model for all but the end."""
    x = inside = k.layers.Input((12, 10, 2))
    for layer in _convolutions(k, 2):
        x = layer(x)
    backbone = k.Model(inside, x, name="backbone")
    image = k.layers.Input((12, 10, 2), name="image")
    return k.Model(image, _head(k, backbone(image)))


def sequential_in_sequential(k: Any) -> Any:
    """The same with a Sequential in a Sequential."""
    backbone = k.Sequential([k.layers.Input((12, 10, 2)), *_convolutions(k, 2)], name="backbone")
    return k.Sequential([k.layers.Input((12, 10, 2)), backbone, *_ends(k)])


def subclassed(k: Any) -> Any:
    """The same as a class with a call of its own."""

    class Network(k.Model):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.parts = [*_convolutions(k, 2), *_ends(k)]

        def call(self, image: Any, training: bool = False) -> Any:
            for part in self.parts:
                image = part(image)
            return image

    network = Network()
    network(np.zeros((1, 12, 10, 2), k.config.floatx()))
    return network


def _branches(k: Any) -> Any:
    layers = k.layers
    image = layers.Input((12, 10, 2), name="image")
    x = layers.Conv2D(4, 3, padding="same", name="first")(image)
    x = start = layers.ReLU()(layers.BatchNormalization()(x))
    x = layers.Conv2D(4, 3, padding="same", activation="relu", name="second")(x)
    x = layers.Concatenate()([layers.Add()([x, start]), layers.Conv2D(2, 1, name="side")(start)])
    x = layers.GlobalAveragePooling2D()(x)
    return k.Model(image, layers.Dense(3, "softmax", name="output")(x))


def _siamese(k: Any) -> Any:
    layers = k.layers
    tower = k.Sequential(
        [layers.Input((12, 10, 2)), *_convolutions(k, 2), layers.GlobalAveragePooling2D()],
        name="tower",
    )
    left = layers.Input((12, 10, 2), name="left")
    right = layers.Input((12, 10, 2), name="right")
    apart = layers.Subtract()([tower(left), tower(right)])
    return k.Model([left, right], layers.Dense(1, "sigmoid", name="output")(apart))


def _several_inputs(k: Any) -> Any:
    layers = k.layers
    image = layers.Input((12, 10, 2), name="image")
    facts = layers.Input((4,), name="facts")
    x = image
    for layer in (*_convolutions(k, 2), layers.GlobalAveragePooling2D()):
        x = layer(x)
    joined = layers.Concatenate()([x, layers.Dense(3, "relu", name="of-facts")(facts)])
    return k.Model([image, facts], layers.Dense(3, "softmax", name="output")(joined))


def _several_outputs(k: Any) -> Any:
    layers = k.layers
    x = image = layers.Input((12, 10, 2), name="image")
    for layer in (*_convolutions(k, 2), layers.GlobalAveragePooling2D()):
        x = layer(x)
    kind = layers.Dense(3, "softmax", name="kind")(x)
    size = layers.Dense(1, name="size")(x)
    return k.Model(image, [kind, size])


def _operations(k: Any) -> Any:
    ops = k.ops
    image = k.layers.Input((12, 10, 2), name="image")
    x = ops.relu(k.layers.Conv2D(4, 3, name="first")(image) * 2.0 + 0.1)
    x = ops.leaky_relu(k.layers.Conv2D(4, 3, name="second")(x), 0.1)
    x = ops.concatenate([ops.mean(x, axis=(1, 2)), ops.max(x, axis=(1, 2))], axis=-1)
    return k.Model(image, ops.softmax(k.layers.Dense(3, name="output")(x)))


def _with_layers(*activations: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Convolutions with batch normalization and an activation as a layer of its own."""

    def build(k: Any) -> Any:
        stack = [k.layers.Input((12, 10, 2))]
        for activation in activations:
            stack.append(k.layers.Conv2D(4, 3, padding="same", use_bias=False))
            stack.append(k.layers.BatchNormalization())
            stack.append(activation(k))
        return k.Sequential([*stack, *_ends(k)])

    return build


def _with_activation(*names: str) -> Callable[[Any], Any]:
    return lambda k: k.Sequential(
        [
            k.layers.Input((12, 10, 2)),
            *(k.layers.Conv2D(4, 3, padding="same", activation=name) for name in names),
            *_ends(k),
        ]
    )


def _segmentation(k: Any) -> Any:
    layers = k.layers
    image = layers.Input((12, 12, 2), name="image")
    down = layers.Conv2D(4, 3, padding="same", activation="relu", name="down")(image)
    x = layers.Conv2D(6, 3, padding="same", activation="relu")(layers.MaxPooling2D()(down))
    x = layers.Conv2DTranspose(4, 2, strides=2, activation="relu", name="up")(x)
    x = layers.Concatenate()([x, down])
    return k.Model(image, layers.Conv2D(3, 1, activation="softmax", name="output")(x))


def _per_position(k: Any) -> Any:
    layers = k.layers
    return k.Sequential(
        [
            layers.Input((None, 4), name="bases"),
            layers.Conv1D(6, 5, padding="same", activation="relu", name="motifs"),
            layers.Conv1D(6, 5, padding="same", dilation_rate=2, activation="relu"),
            layers.Dense(3, "softmax", name="output"),
        ]
    )


def _variable(k: Any) -> Any:
    layers = k.layers
    return k.Sequential(
        [
            layers.Input((None, 4), name="bases"),
            layers.Conv1D(6, 5, activation="relu", name="motifs"),
            layers.Conv1D(6, 3, activation="relu"),
            layers.GlobalMaxPooling1D(),
            layers.Dense(3, "softmax", name="output"),
        ]
    )


def _separable(k: Any) -> Any:
    layers = k.layers
    return k.Sequential(
        [
            layers.Input((12, 10, 2)),
            layers.DepthwiseConv2D(3, depth_multiplier=2, activation="relu", name="depthwise"),
            layers.SeparableConv2D(5, 3, activation="relu", name="separable"),
            layers.GlobalAveragePooling2D(),
            layers.Dense(3, "softmax", name="output"),
        ]
    )


def _recurrent(k: Any) -> Any:
    layers = k.layers
    return k.Sequential(
        [
            layers.Input((16, 4)),
            layers.Conv1D(6, 3, activation="relu", name="motifs"),
            layers.MaxPooling1D(2),
            layers.Bidirectional(layers.LSTM(4)),
            layers.Dense(3, "softmax", name="output"),
        ]
    )


def _attention(k: Any) -> Any:
    layers = k.layers
    image = layers.Input((12, 12, 2), name="image")
    x = layers.Conv2D(8, 3, strides=3, name="patches")(image)
    x = layers.Reshape((16, 8))(x)
    x = layers.Add()([x, layers.MultiHeadAttention(2, 4, name="attention")(x, x)])
    x = layers.Dense(8, "gelu", name="mlp")(layers.LayerNormalization()(x))
    x = layers.GlobalAveragePooling1D()(x)
    return k.Model(image, layers.Dense(3, "softmax", name="output")(x))


def _video(k: Any) -> Any:
    layers = k.layers
    return k.Sequential(
        [
            layers.Input((5, 12, 10, 2)),
            layers.TimeDistributed(layers.Conv2D(4, 3, activation="relu"), name="frames"),
            layers.TimeDistributed(layers.MaxPooling2D(2), name="smaller"),
            layers.TimeDistributed(layers.Flatten(), name="flat"),
            layers.Dense(4, "relu"),
            layers.Flatten(),
            layers.Dense(3, "softmax", name="output"),
        ]
    )


def _tokens(k: Any) -> Any:
    layers = k.layers
    return k.Sequential(
        [
            layers.Input((16,)),
            layers.Embedding(9, 4, name="embedding"),
            layers.Conv1D(6, 3, activation="relu", name="motifs"),
            layers.GlobalMaxPooling1D(),
            layers.Dense(3, "softmax", name="output"),
        ]
    )


def _dense(k: Any) -> Any:
    layers = k.layers
    return k.Sequential(
        [
            layers.Input((20,)),
            layers.Dense(8, "relu", name="hidden"),
            layers.Dense(3, name="output"),
        ]
    )


def _functions(k: Any) -> Any:
    import tensorflow as tf

    layers = k.layers
    image = layers.Input((12, 10, 2), name="image")
    x = tf.nn.relu(layers.Conv2D(4, 3, name="first")(image) * 2 - 0.1)
    x = layers.Conv2D(4, 3, activation="relu", name="second")(x)
    x = tf.concat([tf.reduce_mean(x, axis=[1, 2]), tf.reduce_max(x, axis=[1, 2])], axis=-1)
    return k.Model(image, layers.Dense(3, "softmax", name="output")(x))


ARCHITECTURES = {
    "sequential": Architecture("Sequential, 2-D", sequential(2, (12, 10, 2)), IMAGE),
    "functional": Architecture("Functional", functional, IMAGE),
    "nested": Architecture("a backbone model in a model", nested, IMAGE),
    "sequential in sequential": Architecture(
        "a Sequential in a Sequential", sequential_in_sequential, IMAGE
    ),
    "subclassed": Architecture("a subclassed model", subclassed, IMAGE),
    "branches": Architecture("branches, residuals, batch normalization", _branches, IMAGE),
    "1-D": Architecture("1-D (sequences, sound)", sequential(1, (16, 4)), {"x": (16, 4)}),
    "3-D": Architecture("3-D (volumes)", sequential(3, (6, 8, 6, 1)), {"x": (6, 8, 6, 1)}),
    "channels first": Architecture(
        "channels first",
        sequential(2, (2, 12, 10), data_format="channels_first"),
        {"x": (2, 12, 10)},
    ),
    "variable length": Architecture("inputs of any length", _variable, {"bases": (21, 4)}),
    "siamese": Architecture(
        "siamese towers that share their layers",
        _siamese,
        {"left": (12, 10, 2), "right": (12, 10, 2)},
    ),
    "several inputs": Architecture(
        "several inputs, one of them a table", _several_inputs, {**IMAGE, "facts": (4,)}
    ),
    "several outputs": Architecture(
        "several outputs (`--output kind`)", _several_outputs, IMAGE, {"output": "kind"}
    ),
    "operations": Architecture("`keras.ops` instead of layers", _operations, IMAGE),
    "activation layers": Architecture(
        "ReLU, bounded ReLU, Activation as layers",
        _with_layers(
            lambda k: k.layers.ReLU(),
            lambda k: k.layers.ReLU(max_value=6.0),
            lambda k: k.layers.Activation("relu"),
        ),
        IMAGE,
    ),
    "leaky": Architecture(
        "LeakyReLU, PReLU, ELU",
        _with_layers(
            lambda k: k.layers.LeakyReLU(),
            lambda k: k.layers.PReLU(alpha_initializer="ones"),
            lambda k: k.layers.ELU(),
        ),
        IMAGE,
    ),
    "smooth": Architecture(
        "GELU, SiLU, softplus", _with_activation("gelu", "silu", "softplus"), IMAGE
    ),
    "tanh": Architecture("no rectifier at all (tanh)", _with_activation("tanh", "tanh"), IMAGE),
    "segmentation": Architecture(
        "classes of every pixel (`--region 2:6 3`)",
        _segmentation,
        {"image": (12, 12, 2)},
        {"region": ("2:6", 3)},
    ),
    "per position": Architecture(
        "classes of every position, any length", _per_position, {"bases": (21, 4)}
    ),
    "regression": Architecture(
        "regression",
        lambda k: k.Sequential(
            [k.layers.Input((12, 10, 2)), *_convolutions(k, 2), *_ends(k, 1, None)]
        ),
        IMAGE,
    ),
    "two classes": Architecture(
        "one sigmoid for two classes",
        lambda k: k.Sequential(
            [k.layers.Input((12, 10, 2)), *_convolutions(k, 2), *_ends(k, 1, "sigmoid")]
        ),
        IMAGE,
        {"class_names": ("no", "yes"), "filter": "no"},
    ),
    "difference": Architecture(
        "a difference of outputs (`--layer output[0]-output[2]`)",
        functional,
        IMAGE,
        {"layer": "output[0]-output[2]"},
    ),
    "separable": Architecture("depthwise and separable convolutions", _separable, IMAGE),
    "recurrent": Architecture("convolutions, then an LSTM", _recurrent, {"x": (16, 4)}),
    "attention": Architecture("patches and attention", _attention, {"image": (12, 12, 2)}),
    "video": Architecture("TimeDistributed convolutions", _video, {"x": (5, 12, 10, 2)}),
    "dense": Architecture("dense layers only", _dense, {"x": (20,)}),
    "tokens": Architecture("an Embedding first", _tokens, {"x": (16,)}, whole=9),
    "tf_keras": Architecture(
        "tf_keras, with TensorFlow's functions", _functions, IMAGE, tf_keras=True
    ),
}


FEW = {"iterations": 2, "steps": 3, "copies": 2, "baselines": 2, "count": 1, "budget": "300"}
"""Options by which techniques are quick: whether they work does not depend on them."""


def techniques() -> list[str]:
    """The names of cnnvis's own techniques that explain a model."""
    return [
        plugin.name
        for plugin in registry().of("technique")
        if plugin.takes("model") and plugin.distribution == "cnnvis" and ":" not in plugin.name
    ]


def outcome(architecture: Architecture, technique: str) -> str | None:
    """None if the technique works on this kind of network, else the sentence that says why not."""
    plugin = registry().get("technique", technique)
    settings: dict[str, Any] = {}
    if plugin.takes("samples"):
        settings = {**architecture.settings, "data": architecture.data()}
    own = {option.name for option in options_of(plugin)}
    settings |= {name: value for name, value in FEW.items() if name in own}
    if technique == "activation-max" and (
        len(architecture.shapes) > 1 or "length" in architecture.about
    ):
        settings["start"] = "data"
    try:
        explanation = cnnvis.run(technique, architecture.network(), **settings)
    except cnnvis.UserError as error:
        return str(error)
    maps = explanation.maps
    assert maps is None or np.isfinite(maps).all()
    return None


def table() -> str:
    """The page with the table, in Markdown."""
    names = techniques()
    sentences: list[str] = []
    rows = []
    for architecture in ARCHITECTURES.values():
        failed: dict[int, list[str]] = {}
        for name in names:
            why = outcome(architecture, name)
            if why is not None:
                if why not in sentences:
                    sentences.append(why)
                failed.setdefault(sentences.index(why) + 1, []).append(name)
        but = "; ".join(f"{', '.join(some)} ({number})" for number, some in sorted(failed.items()))
        rows.append(f"| {architecture.about} | {f'all but {but}' if but else 'all'} |")
    head = ["| network | techniques that work |", "|---|---|"]
    notes = [
        textwrap.fill(f"{number}. {sentence}", 100, subsequent_indent="   ", break_on_hyphens=False)
        for number, sentence in enumerate(sentences, 1)
    ]
    return "\n".join([_BEGINNING, *head, *rows, "", _BEHIND, *notes, ""])


def documented() -> dict[tuple[str, str], str | None]:
    """What the page says: by network and technique, None or the sentence that says why not."""
    page = TABLE.read_text(encoding="utf-8")
    numbered = re.findall(r"^(\d+)\. (.*(?:\n   .*)*)", page, re.MULTILINE)
    sentences = {number: " ".join(text.split()) for number, text in numbered}
    found: dict[tuple[str, str], str | None] = {}
    for about, cell in re.findall(r"^\| (.+?) \| (all.*) \|$", page, re.MULTILINE):
        found |= {(about, name): None for name in techniques()}
        for names, number in re.findall(r"([\w, -]+) \((\d+)\)", cell.removeprefix("all but")):
            found |= {(about, name.strip()): sentences[number] for name in names.split(",")}
    return found


_BEGINNING = """\
# Which technique works on which network

Written by `python docs/architectures.py`, which builds each network and runs each technique that
comes with cnnvis on it, and a test checks that it is up to date. Gradients of every network here are
also compared with central differences in double precision.
"""

_BEHIND = """\
Where something cannot work, cnnvis says:
"""


if __name__ == "__main__":
    TABLE.write_text(table(), encoding="utf-8")
    print(TABLE, file=sys.stderr)
