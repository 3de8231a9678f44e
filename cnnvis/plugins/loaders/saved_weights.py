"""Weights of a SavedModel, by the names that layers and their variables have in its checkpoint."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from cnnvis.plugins.loaders.checkpoint import Checkpoint
from cnnvis.plugins.loaders.config import Config
from cnnvis.plugins.loaders.saved_objects import Nodes


@dataclass(frozen=True)
class CheckpointWeights:
    """Weights in a checkpoint.

    Attributes
    ----------
    stored
        The checkpoint.
    nodes
        The descriptions of the checkpoint's objects.
    """

    stored: Checkpoint
    nodes: Nodes

    @property
    def values(self) -> int:
        """Number of stored values."""
        return self.stored.values

    def load(self, network: Any, config: Config, *, is_cut: bool) -> None:
        """Load the weights into a network of Keras 3 or of tf_keras.

        Raises
        ------
        ValueError
            If a layer has none there, or of another shape: it would be left random.
        """
        for layer, path in _layers(network, self._places()):
            missing = {id(variable) for variable in layer.weights}
            for variable, names in _variables(layer):
                if id(variable) in missing:
                    variable.assign(self.stored.tensor(self.stored.name_of([*path, *names])))
                    missing.discard(id(variable))
            if missing:
                raise ValueError(f"there are none for the layer {layer.name!r}")
            if hasattr(layer, "finalize_state"):
                layer.finalize_state()

    def _places(self) -> dict[tuple[str, str], list[str]]:
        """Return the places of the objects of each name, by the place of the object around them."""
        found: dict[tuple[str, str], list[str]] = {}
        for place, node in self.nodes.items():
            around = place.rpartition(".")[0]
            found.setdefault((around, str(node.get("name"))), []).append(place)
        return found


def _layers(
    network: Any, places: dict[tuple[str, str], list[str]], around: str = "root"
) -> Iterator[tuple[Any, list[str]]]:
    """Yield every layer that has weights, with the names that lead to it."""
    for layer in network.layers:
        own = places.get((around, layer.name), [])
        # The same layer stands there as layer-3 and as layer_with_weights-1; weights go by the last.
        place = next((p for p in own if "layer_with_weights" in p), "".join(own[:1]))
        if getattr(layer, "layers", None):
            yield from _layers(layer, places, place)
        elif layer.weights:
            yield layer, place.split(".")[1:]


def _variables(layer: Any) -> Iterator[tuple[Any, tuple[str, ...]]]:
    """Yield every variable of a layer and its inner layers, with the attributes that lead to it."""
    if any(kind.__module__.startswith("tf_keras.") for kind in type(layer).__mro__):
        yield from _tracked(layer, ())  # which calls them as it did when it saved them
        return
    otherwise = {} if not _is_depthwise(layer) else {"kernel": "depthwise_kernel"}
    own = [*layer._trainable_variables, *layer._non_trainable_variables]
    yield from ((variable, (otherwise.get(variable.name, variable.name),)) for variable in own)
    for name, value in vars(layer).items():
        if hasattr(value, "_trainable_variables"):
            inner = {name: value}
        elif isinstance(value, list) and name != "_layers":
            inner = {f"{name}/{number}": one for number, one in enumerate(value)}
        else:
            continue
        for place, one in inner.items():
            if hasattr(one, "_trainable_variables"):
                yield from ((held, (*place.split("/"), *names)) for held, names in _variables(one))


def _is_depthwise(layer: Any) -> bool:
    """Tell whether Keras 2 has the kernel of a layer under another name than Keras 3."""
    return any(kind.__name__ == "BaseDepthwiseConv" for kind in type(layer).__mro__)


def _tracked(holder: Any, around: tuple[str, ...]) -> Iterator[tuple[Any, tuple[str, ...]]]:
    for name, value in holder._trackable_children().items():
        if hasattr(value, "assign"):
            yield value, (*around, name)
        elif hasattr(value, "_trackable_children") and len(around) < 8:
            yield from _tracked(value, (*around, name))
