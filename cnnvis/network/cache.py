"""Cache of traced networks: a live network that is explained again is not traced again.

A live network may be changed between two calls. So each entry keeps the parts of the network that
decide what it computes: its layers, variables, and their settings. A network whose parts are others
than they were is traced anew. The values of its weights may change at any time, since they are read
whenever the network runs.
"""

from __future__ import annotations

import weakref
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from cnnvis.network.traced import TracedNetwork

SIZE = 32
"""Number of networks that are remembered: each keeps what was compiled, and its layers."""


@dataclass(frozen=True, eq=False)
class Entry:
    """Network in the cache.

    Attributes
    ----------
    network
        A weak reference to the Keras network: the cache keeps no network alive.
    parts
        The parts of the network when it was traced; see `parts_of`.
    traced
        The network as it was traced.
    """

    network: weakref.ref[Any]
    parts: list[Any]
    traced: TracedNetwork


entries: list[Entry] = []
"""Networks that are remembered, the one that was used last at the end."""


def traced_network(network: Any) -> TracedNetwork:
    """Trace a Keras network, or return the earlier trace if the network is what it was then.

    Raises
    ------
    UserError
        If the network has no graph of layers.
    """
    for entry in entries:
        if entry.network() is network:
            entries.remove(entry)
            if is_same(entry.parts, parts_of(network, entry.traced)):
                entries.append(entry)
                return entry.traced
            break
    traced = TracedNetwork.of(network)
    entries.append(Entry(weakref.ref(network, _forget), parts_of(network, traced), traced))
    del entries[:-SIZE]
    return traced


def _forget(gone: weakref.ref[Any]) -> None:
    entries[:] = [entry for entry in entries if entry.network is not gone]


def parts_of(network: Any, traced: TracedNetwork) -> list[Any]:
    """List the parts of a network that would make it another network if one of them changed."""
    parts = [*getattr(network, "layers", ()), *getattr(network, "variables", ())]
    inner = network._flatten_layers() if hasattr(network, "_flatten_layers") else ()
    called = (layer for call in traced.graph.calls for layer in call.layers())
    for layer in {id(one): one for one in (network, *inner, *called)}.values():
        own = vars(layer)
        is_from_keras = type(layer).__module__.partition(".")[0] in ("keras", "tf_keras")
        parts += [own.get("activation"), own.get("call")]
        parts += [
            _content(value)
            for name, value in sorted(own.items())
            if _is_part(name, value, is_from_keras=is_from_keras)
        ]
    return parts


_NOTED_BY_KERAS = {
    *("_called", "built", "compiled", "loss", "stop_predicting", "stop_training", "history"),
    *("_is_compiled", "_jit_compile", "_pss_evaluation_shards", "optimizer", "compiled_loss"),
    *("compiled_metrics", "train_function", "test_function", "predict_function"),
    *("train_tf_function", "metrics_names", "build", "quantize", "call_signature_parameters"),
}
"""Attributes that Keras sets in layers and networks of any kind while it trains or predicts."""


def _is_part(name: str, value: Any, *, is_from_keras: bool) -> bool:
    """Tell whether an attribute of a layer may decide what the layer computes."""
    if name.startswith("__") or name in _NOTED_BY_KERAS:
        return False
    if isinstance(value, bool | int | float | str | tuple) or hasattr(value, "__array__"):
        # In private attributes of its own layers, Keras keeps notes of what it did.
        return not (is_from_keras and name.startswith("_"))
    # The private lists of all layers are those in which Keras notes calls and variables.
    is_public = not name.startswith("_")
    return is_public and (isinstance(value, list | dict) or callable(value))


def _content(value: Any, depth: int = 3) -> Any:
    """Return what to compare of an attribute: its content, where that may change in place."""
    if isinstance(value, np.ndarray):
        return (value.shape, str(value.dtype), zlib.crc32(np.ascontiguousarray(value).tobytes()))
    if isinstance(value, Mapping) and depth:
        value = [part for item in value.items() for part in item]
    if isinstance(value, list | tuple) and depth:
        return tuple(_content(one, depth - 1) for one in value)
    return value


def is_same(one: Sequence[Any], other: Sequence[Any]) -> bool:
    """Tell whether the parts are the same objects, or equal numbers and texts."""
    return len(one) == len(other) and all(map(_is_equal, one, other))


def _is_equal(one: Any, other: Any) -> bool:
    if isinstance(one, tuple) and isinstance(other, tuple):
        return is_same(one, other)
    plain = (bool, int, float, str)
    return one is other or (isinstance(one, plain) and isinstance(other, plain) and one == other)
