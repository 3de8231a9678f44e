"""Network of Keras's own, cut at its target, for other libraries that explain Keras models."""

from __future__ import annotations

import importlib
import random
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from cnnvis.errors import UserError
from cnnvis.network.gradients import squashing_of, swapping
from cnnvis.network.graph import Call, Graph
from cnnvis.network.resolution import Resolution


def exported(resolution: Resolution, *, several_inputs: bool) -> Any:
    """Build a Keras network that ends in a target; see `Model.keras_model`.

    Parameters
    ----------
    several_inputs
        True if the other library takes a network of several inputs.

    Raises
    ------
    UserError
        If the target is a sum or difference or has a region, a layer cannot be copied, or the
        network has more inputs than it may.
    """
    if resolution.is_compound or resolution.request.region is not None:
        what = "a sum or difference" if resolution.is_compound else "a region"
        raise UserError(
            f"the target is {what} of outputs, and this technique explains outputs of one layer"
        )
    inputs = resolution.traced.graph.inputs
    if len(inputs) > 1 and not several_inputs:
        raise UserError(
            f"this technique explains networks with one input, and this one has "
            f"{len(inputs)}: {', '.join(one.name for one in inputs)}"
        )
    before = random.getstate()  # Keras draws the seeds of new layers from it
    try:
        return rebuilt(resolution.traced.graph, resolution.target)
    finally:
        random.setstate(before)


def rebuilt(graph: Graph, target: Call) -> Any:
    """Build a flat Functional network of copies of the layers that a target depends on.

    A softmax or sigmoid on the target is left out. Nested models are opened up; a layer is called
    as its path with ``_`` for ``/``. The layers' weights are copied, and nothing of the original
    network is touched.

    Raises
    ------
    UserError
        If a layer cannot be copied.
    """
    calls = graph.needed([target.slots[0]])
    needed = {slot for call in calls for slot in call.inputs}
    inputs = [one for one in graph.inputs if one.slot in needed]
    home = _home(calls)
    with swapping:
        squashing = squashing_of(graph, target)
    squashes = None if squashing is None else squashing.call
    passed = () if squashing is None else squashing.passed
    copies: dict[int, Any] = {}
    weights: list[tuple[Any, Any]] = []
    rewritten = []
    for call in calls:
        if id(call.layer) not in copies:
            copies[id(call.layer)] = (
                home.layers.Activation("linear", name=_plain(call.name))
                if call in passed
                else _copy(call, home, squashes=call is squashes)
            )
            if hasattr(call.layer, "get_weights"):
                weights.append((copies[id(call.layer)], call.layer))
        elif call is squashes or call is target or call in passed:
            raise UserError(
                f"{call.name!r} is one of several calls of its layer, and others need it"
            )
        copy = copies[id(call.layer)]
        arguments = call.arguments
        if type(copy) is not type(call.layer):  # a linear layer stands for a softmax
            arguments = ((call.inputs[0],), {})
        rewritten.append(replace(call, layer=copy, arguments=arguments))
    tensors = [home.Input(one.shape, name=_plain(one.name), dtype=one.dtype) for one in inputs]
    cut = Graph(tuple(inputs), tuple(rewritten), (target.slots[0],))
    (output,) = cut.run(tensors, cut.outputs)
    network = home.Model(tensors, output)
    for copy, layer in weights:
        if copy.weights:
            copy.set_weights(layer.get_weights())
    return network


def _home(calls: tuple[Call, ...]) -> Any:
    """Return the Keras that the layers are of: Keras 3, or tf_keras."""
    modules = {
        kind.__module__.partition(".")[0] for call in calls for kind in type(call.layer).__mro__
    }
    return importlib.import_module("tf_keras" if "tf_keras" in modules else "keras")


def _copy(call: Call, home: Any, *, squashes: bool) -> Any:
    """Make a layer of the same kind and settings; without its softmax or sigmoid, if it squashes."""
    layer = call.layer
    if not hasattr(layer, "get_weights"):  # an operation, which has no state to share
        return home.layers.Activation("linear", name=_plain(call.name)) if squashes else layer
    changes: Mapping[str, Any] = {"name": _plain(call.name)}
    if squashes:
        if type(layer).__name__ in ("Softmax", "Activation"):
            return home.layers.Activation("linear", **changes)
        changes = {**changes, "activation": "linear"}
    try:
        return type(layer).from_config({**layer.get_config(), **changes})
    except Exception as error:  # whatever a person's own layer raises
        raise UserError(
            f"the layer {call.name!r} ({call.kind}) cannot be copied, as this technique needs: "
            f"{type(error).__name__}: {error}"
        ) from error


def _plain(name: str) -> str:
    """Write a layer's path as a name, without the numbers of calls, which are all of one layer."""
    return "_".join(part.partition("@")[0] for part in name.split("/"))
