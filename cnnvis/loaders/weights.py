"""Weights from HDF5 files, by the names of layers, where Keras's own order no longer holds."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any


def load_by_name(network: Any, path: Path) -> None:
    """Give every layer the weights that are stored under its name, in nested models as well.

    Raises
    ------
    ValueError
        If a layer has none there, or of another shape: it would be left random.
    """
    import h5py
    import numpy as np

    with h5py.File(path, "r") as file:
        stored = file.get("model_weights", file)
        for layer, group in _leaves(network):
            if not layer.weights:
                continue
            names = (
                _names(stored[group], layer.name, nested=group != layer.name)
                if group in stored
                else []
            )
            if len(names) != len(layer.weights):
                raise ValueError(f"there are none for the layer {layer.name!r}")
            for variable, name in zip(layer.weights, _ordered(names, layer.weights), strict=True):
                values = np.asarray(stored[group][name])
                if values.shape != tuple(variable.shape):
                    raise ValueError(
                        f"those of the layer {layer.name!r} have the shape {values.shape}, and it "
                        f"takes {tuple(variable.shape)}"
                    )
                variable.assign(values)
            if hasattr(layer, "finalize_state"):  # a Normalization computes with copies of them
                layer.finalize_state()


def _leaves(network: Any, group: str | None = None) -> Iterator[tuple[Any, str]]:
    """Every layer that is no model, with the outermost layer that it is part of."""
    for layer in network.layers:
        place = group or layer.name
        if getattr(layer, "layers", None):
            yield from _leaves(layer, place)
        else:
            yield layer, place


def _names(group: Any, layer: str, *, nested: bool) -> list[str]:
    names = [
        name.decode() if isinstance(name, bytes) else str(name)
        for name in group.attrs.get("weight_names", [])
    ]
    return [name for name in names if layer in name.split("/")[:-1]] if nested else names


def _ordered(names: Sequence[str], variables: Sequence[Any]) -> list[str]:
    """The names in the order of the variables: by what they are called, else as they stand."""
    short = {name.split("/")[-1].split(":")[0]: name for name in names}
    wanted = [variable.name.split("/")[-1].split(":")[0] for variable in variables]
    if len(short) == len(names) and set(short) == set(wanted):
        return [short[name] for name in wanted]
    return list(names)
