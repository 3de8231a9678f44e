"""Twins of Keras networks in PyTorch: chains of layers, whose weights are carried over.

`exported` runs beside Keras, `twin` beside PyTorch.
"""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

import numpy as np

NOTHING = ("InputLayer", "Dropout", "Softmax")
"""Layers that have no part in scores."""


def exported(network: Any) -> dict[str, Any] | None:
    """Return arrays that hold a chain of layers with its weights; None if there is no twin of it.

    A softmax at the end is left out, so that outputs are scores. Weights have the order of axes that
    PyTorch has them in, channels first.

    Parameters
    ----------
    network
        A Keras network with channels last, whose layers are in the order in which they compute.
    """
    plan: list[dict[str, Any]] = []
    arrays: dict[str, Any] = {}
    folded: tuple[int, ...] | None = None  # the shape that was flattened last
    before = None
    for layer in network.layers:
        kind, known = type(layer).__name__, layer.get_config()
        if before is not None and layer.input is not before:
            return None  # no chain
        before = layer.output
        if kind in NOTHING:
            continue
        activation = known.get("activation", "linear")
        if activation not in ("linear", "relu") and not (
            activation == "softmax" and layer is network.layers[-1]
        ):
            return None
        step = {"name": layer.name, "kind": kind, "relu": activation == "relu"}
        weights = layer.get_weights()
        axes = kind[-2:].lower()  # of most kinds
        if kind == "Dense":
            kernel = weights[0]
            if folded is not None:
                # Keras flattens with channels last.
                kernel = np.moveaxis(kernel.reshape(*folded, -1), -2, 0).reshape(len(kernel), -1)
            weights, folded = [kernel.T, *weights[1:]], None
        elif kind.startswith("Conv") and axes in ("1d", "2d", "3d") and "Transpose" not in kind:
            weights = [np.moveaxis(weights[0], (-1, -2), (0, 1)), *weights[1:]]
            step |= {one: known[one] for one in ("padding", "strides", "dilation_rate")}
        elif kind == "BatchNormalization":
            step |= {"epsilon": known["epsilon"], "axes": len(layer.input.shape) - 2}
        elif kind == "LeakyReLU":
            step |= {"slope": known["negative_slope"]}
        elif kind == "Flatten":
            folded = tuple(layer.input.shape[1:])
        elif kind.startswith(("MaxPooling", "AveragePooling")) and known["padding"] == "valid":
            step |= {"size": known["pool_size"], "strides": known["strides"]}
        elif not (kind == "ReLU" or kind.startswith("GlobalAveragePooling")):
            return None
        for number, weight in enumerate(weights):
            arrays[f"{len(plan)}.{number}"] = weight
        plan.append(step)
    return {"plan": np.array(json.dumps(plan)), **arrays}


def twin(stored: Mapping[str, Any], *, apart: bool = False) -> Any:
    """Return the twin, a `torch.nn.Sequential` whose modules have the names of the layers.

    The ReLU of a layer has the name of that layer, with `_relu` behind it.

    Parameters
    ----------
    stored
        What `exported` returned.
    apart
        Multiply by 1 behind each ReLU: Captum's DeepLIFT goes wrong where a maximum follows it.
    """
    import torch
    from torch import nn

    class Times1(nn.Module):
        def forward(self, x: Any) -> Any:
            return x * 1.0

    found: dict[str, Any] = {}

    def rectifier(name: str, module: Any) -> None:
        found[name] = module
        if apart:
            found[f"{name}_apart"] = Times1()

    for number, step in enumerate(json.loads(str(stored["plan"]))):
        kind, name = step["kind"], step["name"]
        axes = kind[-2:].lower()
        weights = []
        while f"{number}.{len(weights)}" in stored:
            weights.append(
                torch.from_numpy(np.ascontiguousarray(stored[f"{number}.{len(weights)}"]))
            )
        if kind == "Dense":
            layer = found[name] = nn.Linear(*reversed(weights[0].shape), bias=len(weights) > 1)
        elif kind.startswith("Conv"):
            out, into, *size = weights[0].shape
            layer = found[name] = getattr(nn, f"Conv{axes}")(
                into, out, size, step["strides"], step["padding"], step["dilation_rate"],
                bias=len(weights) > 1,
            )  # fmt: skip
        elif kind == "BatchNormalization":
            layer = found[name] = getattr(nn, f"BatchNorm{step['axes']}d")(
                len(weights[0]), eps=step["epsilon"]
            )
        elif kind == "LeakyReLU":
            rectifier(name, nn.LeakyReLU(step["slope"]))
        elif kind == "ReLU":
            rectifier(name, nn.ReLU())
        elif kind == "Flatten":
            found[name] = nn.Flatten()
        elif kind.startswith("GlobalAveragePooling"):
            found[name] = getattr(nn, f"AdaptiveAvgPool{axes}")(1)
            found[f"{name}_flat"] = nn.Flatten()
        else:
            pool = "MaxPool" if kind.startswith("Max") else "AvgPool"
            found[name] = getattr(nn, f"{pool}{axes}")(_each(step["size"]), _each(step["strides"]))
        if weights:
            into_these = ["weight", "bias", "running_mean", "running_var"][: len(weights)]
            with torch.no_grad():
                for attribute, weight in zip(into_these, weights, strict=True):
                    getattr(layer, attribute).copy_(weight)
        if step["relu"]:
            rectifier(f"{name}_relu", nn.ReLU())
    return nn.Sequential(OrderedDict(found)).eval()


def _each(sizes: Any) -> Any:
    return tuple(sizes) if isinstance(sizes, list) else sizes
