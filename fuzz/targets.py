"""What is fuzzed: each takes any bytes, and may raise `cnnvis.UserError` and nothing else."""

from __future__ import annotations

import io
import json
import pickle
import random
import shlex
from collections.abc import Callable, Iterator
from contextlib import redirect_stdout, suppress
from pathlib import Path
from typing import Any

import cnnvis

CORPUS = Path(__file__).parent / "corpus"

LAYERS = ("conv", "head", "a-b", "output", "conv/inner[1]", "3")


def read_pickle(data: bytes) -> None:
    """The pickle reader; what it reads is what pickle itself reads from the same plain values."""
    from cnnvis.plugins.readers._unpickle import unpickle

    with suppress(cnnvis.UserError):
        _require_plain(unpickle(data))


def _require_plain(value: Any) -> None:
    """Whether the value is of the types that `unpickle` promises, and can be written again."""
    import numpy as np

    plain = (bool, int, float, complex, str, bytes, tuple, list, dict, set, frozenset)
    if isinstance(value, np.ndarray):
        assert not value.dtype.hasobject and value.dtype.kind in "biufcSU", value.dtype
        value.copy()
    elif not isinstance(value, (np.generic, np.dtype)):
        assert value is None or type(value) in plain, type(value)
    pickle.dumps(value)


def parse_chain(data: bytes) -> None:
    """A chain as words, as a target, as a region and as a file."""
    import tomllib

    from cnnvis.api.steps import require_fitting, steps_of
    from cnnvis.network import targets
    from cnnvis.settings.chain_files import recipe_of

    text = data.decode("utf-8", "replace")
    with suppress(cnnvis.UserError):
        targets.parsed(text, LAYERS)
    with suppress(cnnvis.UserError):
        targets.region_of(text.split(","))
    with suppress(cnnvis.UserError, ValueError, RecursionError):
        held = tomllib.loads(text[:2000])
        with suppress(cnnvis.UserError):
            recipe = recipe_of(held.get("chains", {}), Path("chains.toml"))
            require_fitting(steps_of(recipe.steps))
            for form in ("toml", "python", "shell"):
                recipe.written(form)  # type: ignore[arg-type]
    with suppress(ValueError):
        _parse(["chain", *shlex.split(text)])


def _parse(words: list[str]) -> None:
    from cnnvis.cli.command_line import parsed

    with suppress(cnnvis.UserError), redirect_stdout(io.StringIO()):
        try:
            parsed(words)
        except SystemExit as end:
            assert not end.code, end.code  # help was asked for


def check_configuration(data: bytes) -> None:
    """What is held against a model's configuration before Keras sees it."""
    from cnnvis.plugins.loaders import building, config, load_options, training

    try:
        held = config.read_json(data.decode("utf-8", "replace"))
    except (ValueError, RecursionError, cnnvis.UserError):
        return
    with suppress(cnnvis.UserError):
        asked = load_options.LoadOptions()
        own = building.require_model(held, Path("model.keras"), asked)
        training.without_foreign_makers(held, own)
        building.prepared(held, own, asked, is_older=True)


TARGETS: dict[str, Callable[[bytes], None]] = {
    "pickle": read_pickle,
    "chain": parse_chain,
    "configuration": check_configuration,
}


VALUES: tuple[Any, ...] = (
    *(None, True, False, 0, 1, -1, 2, 2**31, 2**63, 10**400, 0.5, 1e308, "", "a", "1", [], {}),
    *(float("nan"), [None, 4], ["d", 0, 0], [[]], {"class_name": "Dense"}, {"config": {}}),
    *("Dense", "Conv2D", "Lambda", "Sequential", "Functional", "InputLayer", "TimeDistributed"),
    *(
        "Wrapper",
        "softmax",
        "os>system",
        "keras.layers",
        "builtins",
        "__keras_tensor__",
        "function",
    ),
    *("Multiply", "GetItem", "Map", "keras.src.ops.numpy", "LayerScale", "__numpy__", "__slice__"),
)
KEYS = (
    *("class_name", "config", "module", "registered_name", "name", "layers", "layer", "activation"),
    *(
        "inbound_nodes",
        "input_layers",
        "output_layers",
        "batch_shape",
        "batch_input_shape",
        "units",
    ),
    *("filters", "kernel_size", "function", "arguments", "build_config", "compile_config", "dtype"),
    *("args", "kwargs", "axis", "repeats", "kernel_initializer", "bias_regularizer"),
)


def changed_tree(data: bytes, chance: random.Random) -> bytes | None:
    """JSON with some of its values and keys changed, and still JSON; None if it is none before."""
    try:
        tree = [json.loads(data)]
        for _ in range(chance.choice([1, 1, 2, 4, 16])):
            places = list(_places(tree))
            holder, key = chance.choice(places)
            match chance.randrange(6):
                case 0:
                    del holder[key]
                case 1 | 2:
                    holder[key] = chance.choice(VALUES)
                case 3:
                    other, place = chance.choice(places)
                    holder[key] = json.loads(json.dumps(other[place]))
                case 4:
                    holder[key] = (
                        [holder[key]] if chance.random() < 0.5 else {"config": holder[key]}
                    )
                case 5 if isinstance(holder, dict):
                    holder[chance.choice(KEYS)] = chance.choice([holder.pop(key), *VALUES])
            if not tree:
                return b"null"
        return json.dumps(tree[0]).encode()
    except (ValueError, RecursionError):
        return None


def _places(tree: Any) -> Iterator[tuple[Any, Any]]:
    """Every value of a tree: what holds it, and by which key or number."""
    for key in list(tree) if isinstance(tree, dict) else range(len(tree)):
        yield tree, key
        if isinstance(tree[key], dict | list):
            yield from _places(tree[key])


def kept(target: str) -> list[bytes]:
    """The files of a target's corpus, in order."""
    return [path.read_bytes() for path in sorted((CORPUS / target).iterdir())]


def mutations(target: str, count: int, seed: int) -> Iterator[bytes]:
    """Damaged files of the corpus, pieces of one put into another: what a run needs no tool for."""
    chance, files = random.Random(seed), kept(target)
    words = [*b"()[]{}.,:=-+'\"\\\n", 0, 127, 128, 255]
    for _ in range(count):
        data = bytearray(chance.choice(files))
        if target == "configuration" and chance.random() < 0.7:
            yield changed_tree(bytes(data), chance) or bytes(data)
            continue
        for _ in range(chance.choice([1, 1, 2, 4, 16])):
            place = chance.randrange(len(data) + 1)
            match chance.randrange(5):
                case 0:
                    data[place : place + 1] = bytes([chance.randrange(256)])
                case 1:
                    data[place:place] = bytes([chance.choice(words)])
                case 2:
                    del data[place : place + chance.choice([1, 1, 3, 20])]
                case 3:
                    other = chance.choice(files)
                    start = chance.randrange(len(other) + 1)
                    data[place:place] = other[start : start + chance.choice([1, 4, 30])]
                case 4:
                    data[place : place + 4] = chance.choice([b"\xff" * 4, bytes(4), b"1e9", b"-1"])
        yield bytes(data)
