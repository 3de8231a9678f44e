"""Configuration of a model, read before Keras sees it: known parts, and parts that are cut off."""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import cnnvis
from cnnvis.plugins.loaders.obstacles import Obstacle, give
from cnnvis.plugins.loaders.operations import NAMES, REFUSED_OPERATIONS, operation

Config = dict[str, Any]

# What adds nothing learned: cutting it off too leaves no doubt what the network answers.
_WITHOUT_WEIGHTS = NAMES | {
    "Activation",
    "Dropout",
    "Flatten",
    "Lambda",
    "Permute",
    "ReLU",
    "Rescaling",
    "Reshape",
    "Softmax",
}

ARRAYS = ("__numpy__", "__tensor__")
"""Kinds that Keras writes for arrays."""

MODELS = {"Functional", "Model", "Sequential"}

REFUSED = {
    "FlaxLayer": "runs code in the file",
    "JaxLayer": "runs code in the file",
    "TFSMLayer": "runs a graph from another file",
    "TorchModuleWrapper": "runs a pickle in the file",
    "Lambda": "is Python code",
    "StringLookup": "reads its words from files",
    "IntegerLookup": "reads its words from files",
    "TextVectorization": "reads its words from files",
    "HashedCrossing": "takes words, which have no gradient",
    "Hashing": "takes words, which have no gradient",
    "InputSpec": "is no layer",
    "Layer": "computes nothing",
    "Wrapper": "computes nothing",
}
"""Keras's layers that are cut off or refused, each with the reason, to be read after "which"."""

_OF_KERAS = re.compile(r"keras(\.\w+)*")

TEXT, NESTING = 32 * 2**20, 100
"""Maximum number of letters in a description of a network, and maximum depth of its nesting."""

CONSTANT = "_CONSTANT_VALUE"
"""Word that Keras 2 writes in the place of a layer's name before a constant."""

CALLS_OF_TENSORFLOW = {"TFOpLambda", "SlicingOpLambda"}
"""Layers of Keras 2 that stand for calls of TensorFlow's functions."""

Unreadable = Callable[[Config], Obstacle | None]
"""Function that returns why a layer's code is missing or must not run; None if it is fine."""


@dataclass(frozen=True)
class Cut:
    """Layers that were cut out of a configuration.

    Attributes
    ----------
    reasons
        The layers taken out, by name, each with why, to be read after "cut off: ".
    learned
        True where some of these layers may have weights.
    """

    reasons: dict[str, str]
    learned: bool


def read_json(text: str) -> Any:
    """Parse the description of a network as JSON.

    Raises
    ------
    ValueError
        If the text is no JSON, or too long or nested too deeply for a network.
    """
    if len(text) > TEXT:
        raise ValueError(f"it describes a network in {len(text):,} letters")
    try:
        found = json.loads(text)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    depth, level = 0, [found] if isinstance(found, dict | list) else []
    while level:
        depth += 1
        if depth > NESTING:
            raise ValueError(f"it is nested more than {NESTING} deep")
        inner: list[Any] = []
        for one in level:
            inner += (*one, *one.values()) if isinstance(one, dict) else one
        for one in inner:
            if isinstance(one, str) and not one.isascii():
                one.encode()  # half a letter, which JSON can write and nothing can show
        level = [one for one in inner if isinstance(one, dict | list)]
    return found


def cut_unreadable(model: Config, unreadable: Unreadable) -> Cut:
    """Cut out of a configuration what must not or cannot be built, with all that depends on it.

    A nested model is cut inside; then what it gives is missing, too.

    Raises
    ------
    UserError
        If nothing that could be explained is left.
    """
    reasons, kinds = _cut(model, unreadable, "")
    if not reasons:
        return Cut({}, learned=False)
    first = next(iter(reasons.values()))
    if _is_empty(model):
        raise cnnvis.UserError(
            f"the model cannot be explained, since all its layers come after {first.with_cure()}"
        )
    return Cut(
        {name: str(reasons.get(name, f"it comes after {first}")) for name in kinds},
        learned=any(kind not in _WITHOUT_WEIGHTS for kind in kinds.values()),
    )


def _cut(
    model: Config, unreadable: Unreadable, prefix: str
) -> tuple[dict[str, Obstacle], dict[str, str]]:
    """Cut a model: return the reasons why layers are unreadable, and the kinds of all cut layers.

    Both are by the layers' paths.
    """
    layers = layers_of(model)
    reasons: dict[str, Obstacle] = {}
    kinds: dict[str, str] = {}
    # Layers that go, and nested models that stay but have lost what they gave.
    gone: set[str] = set()
    ended: set[str] = set()
    for layer in layers:
        name = name_of(layer)
        if layer["class_name"] in MODELS:
            inner, inner_kinds = _cut(layer, unreadable, f"{prefix}{name}/")
            reasons.update(inner)
            if inner_kinds and _is_empty(layer):
                gone.add(name)
            elif inner_kinds:
                ended.add(name)
            kinds.update(inner_kinds)
        elif (why := unreadable(layer)) is not None:
            reasons[prefix + name] = why
            gone.add(name)
    if not gone and not ended:
        return reasons, kinds
    if model["class_name"] == "Sequential":
        start = next(i for i, one in enumerate(layers) if name_of(one) in gone | ended)
        start += name_of(layers[start]) in ended
        kinds.update((prefix + name_of(one), one["class_name"]) for one in layers[start:])
        del layers[start:]
    else:
        lost = _cut_functional(model["config"], gone, ended)
        kinds.update((prefix + name, kind) for name, kind in lost.items())
    return reasons, kinds


def _cut_functional(config: Config, gone: set[str], ended: set[str]) -> dict[str, str]:
    layers = config["layers"]
    takers: dict[str, list[str]] = {}
    for layer in layers:
        for parent, _, _ in _parents(layer):
            takers.setdefault(parent, []).append(name_of(layer))
    todo = [*gone, *(taker for name in ended for taker in takers.get(name, ()))]
    lost: set[str] = set()
    while todo:  # until nothing more depends on what was cut; layers need not be in order
        name = todo.pop()
        if name not in lost:
            lost.add(name)
            todo += takers.get(name, ())
    cut = {name_of(layer): layer["class_name"] for layer in layers if name_of(layer) in lost}
    ends = dict.fromkeys(ref for ref in references(config["output_layers"]) if ref[0] not in cut)
    for layer in layers:
        if name_of(layer) in cut:
            ends.update(dict.fromkeys(ref for ref in _parents(layer) if ref[0] not in cut))
    config["layers"][:] = [layer for layer in layers if name_of(layer) not in cut]
    config["output_layers"] = [list(ref) for ref in ends]
    return cut


def _is_empty(model: Config) -> bool:
    """Tell whether only inputs are left of a model."""
    return all(layer["class_name"] == "InputLayer" for layer in layers_of(model))


def layers_of(model: Config) -> list[Config]:
    """Return the list of a model's layers in the configuration itself: changes to it count."""
    config = model["config"]
    # The first Keras versions wrote a Sequential's layers without a name for the model.
    found: list[Config] = config["layers"] if isinstance(config, dict) else config
    return found


def every_layer(model: Any) -> Iterator[Config]:
    """Yield every layer with a description that is complete enough, also those of nested models."""
    if not isinstance(model, dict) or str(model.get("class_name")) not in MODELS:
        return
    config = model.get("config")
    layers = config.get("layers") if isinstance(config, dict) else config
    for layer in layers if isinstance(layers, list) else []:
        if isinstance(layer, dict):
            yield layer
            yield from every_layer(layer)


def name_of(layer: Config) -> str:
    """Return a layer's name, which stands in one of two places."""
    config = layer.get("config", {})
    return str(layer.get("name") or (config.get("name") if isinstance(config, dict) else None))


def _parents(layer: Config) -> list[tuple[str, int, int]]:
    return list(references(layer.get("inbound_nodes", [])))


def references(value: Any) -> Iterator[tuple[str, int, int]]:
    """Yield the tensors named anywhere in a configuration, as (layer, node, index)."""
    if isinstance(value, dict):
        if "keras_history" in value:
            name, node, index = value["keras_history"]
            yield str(name), int(node), int(index)
            return
        if value.get("class_name") in ARRAYS:
            return
        for item in value.values():
            yield from references(item)
    if isinstance(value, list):
        if len(value) >= 3 and isinstance(value[0], str) and isinstance(value[1], int):
            if value[0] != CONSTANT:
                yield value[0], value[1], value[2]
            value = value[3:]  # arguments, among which there may be other tensors
        for item in value:
            yield from references(item)


def obstacle(layer: Config) -> Obstacle:
    """Return the obstacle of a layer whose code is not run, with a remedy."""
    kind, name = str(layer.get("class_name"))[:80], name_of(layer)[:80]
    config = layer.get("config")
    config = config if isinstance(config, dict) else {}
    function, by_name = (give("--custom", name_of(layer), what) for what in ("function", "Class"))
    if kind == "Lambda":
        why = f"the Lambda layer {name!r}, Python code that cnnvis does not run{_code(config)}"
        return Obstacle(why, give("--lambda", name_of(layer), "function"))
    if kind in CALLS_OF_TENSORFLOW:
        called = _short(config.get("function"))
        return Obstacle(f"the layer {name!r}, a call of TensorFlow's function {called}", function)
    if (one := operation(layer)) in REFUSED_OPERATIONS:
        why = f"the operation {name!r} of kind {kind!r}, which {REFUSED_OPERATIONS[one]}"
        return Obstacle(why, function)
    if kind in REFUSED:
        return Obstacle(f"the layer {name!r} of kind {kind!r}, which {REFUSED[kind]}", by_name)
    if _OF_KERAS.fullmatch(str(layer.get("module"))) and "__" not in str(layer.get("module")):
        return Obstacle(
            f"the layer {name!r} of Keras's kind {kind!r}, which cnnvis does not know", by_name
        )
    origin = layer.get("registered_name") or layer.get("module")
    home = f" ({str(origin)[:80]})" if origin and origin != kind else ""
    plain = kind.rpartition(">")[2]
    return Obstacle(
        f"the layer {name!r} of kind {kind!r}{home}, whose code the file does not hold",
        give("--custom", plain, "Class") if plain.isidentifier() else by_name,
    )


def naming(layer: Config, named: Obstacle) -> Obstacle:
    """Return the obstacle of a layer that names something that must not be looked up."""
    own = {f"the module {_short(str(layer.get('module')))}"}
    own.add(f"the class {_short(str(layer.get('registered_name')))}")
    what = "Class" if str(named) in own else "function"
    why = f"the layer {name_of(layer)[:80]!r}, which names {named}"
    return Obstacle(why, named.cure or give("--custom", name_of(layer), what))


def _short(value: Any) -> str:
    return repr(value)[:80]


def _code(config: Config) -> str:
    """Return the names and constants in a Lambda's code, in parentheses."""
    function = config.get("function")
    if isinstance(function, str):
        return (
            f" (the function {function[:80]!r} of "
            f"{str(config.get('module') or 'the program that made it')[:80]})"
        )
    held: Any = function.get("config") if isinstance(function, dict) else function
    if isinstance(held, dict):
        held = [held.get("code"), held.get("defaults")]
    if isinstance(held, str):
        return f" (the function {held[:80]!r})"
    if not isinstance(held, list) or not held or not isinstance(held[0], str):
        return ""
    words = _words(held[0])
    said = [f"it mentions {', '.join(words)}"] if words else []
    if len(held) > 1 and held[1]:
        said.append(f"its constants are {str(held[1])[:100]}")
    return f" ({'; '.join(said)})" if said else ""


def _words(code: str) -> list[str]:
    """Return the names in base64-coded bytecode, which is searched and never loaded."""
    try:
        content = base64.b64decode(code, validate=False)
    except (binascii.Error, ValueError):
        return []
    # marshal writes a name as a letter for its type, its length, and its characters; the letter's
    # highest bit is set where the name is used again.
    found: dict[str, None] = {}
    for start in re.finditer(rb"[zZ\xfa\xda](?=([\x01-\x40]))", content):
        length = start[1][0]
        text = content[start.end() + 1 : start.end() + 1 + length]
        if len(text) == length and re.fullmatch(rb"[A-Za-z_][A-Za-z0-9_]*", text):
            found[text.decode()] = None
    return list(found)[:12]
