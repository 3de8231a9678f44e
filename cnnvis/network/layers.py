"""Layers of a network, as they are listed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from cnnvis.data.lazy import Shape
from cnnvis.network.activations import activation_name, rectifiers
from cnnvis.network.graph import Call, Graph, Slot


@dataclass(frozen=True)
class Layer:
    """Layer of a network, as it is listed.

    Attributes
    ----------
    name
        Path through nested models, ``backbone/block5_conv3``, with the number of the call where the
        layer is called more than once, ``tower@1/conv`` of the second.
    kinds
        Names of the layer's class and of its base classes.
    output_shape
        Shape of one sample of the output, channels included; None where any length will do.
    spatial_axes
        Number of axes of the output that are no channels.
    parameters
        Number of learned parameters; 0 for calls after the first.
    activation
        Name of the activation function; empty where there is none.
    rectifiers
        Kinds of the rectifiers that backpropagation modifiers change in the layer: ``("ReLU",)``.
    obstacle
        Reason why the layer cannot be a target; None if it can.
    """

    name: str
    kinds: tuple[str, ...]
    output_shape: Shape
    spatial_axes: int
    parameters: int
    activation: str
    rectifiers: tuple[str, ...]
    obstacle: str | None = None

    @property
    def kind(self) -> str:
        """Name of the layer's class."""
        return self.kinds[0]


def listed(calls: Sequence[Call], channels: Sequence[int | None]) -> tuple[Layer, ...]:
    """List the layers that are called.

    Parameters
    ----------
    calls
        The calls, in the order in which they run.
    channels
        Number of channels of each call's output; None where the input's size decides.
    """
    found, seen = [], set()
    for call, count in zip(calls, channels, strict=True):
        found.append(_layer(call, _obstacle(call, count), first=id(call.layer) not in seen))
        seen.add(id(call.layer))
    return tuple(found)


def names_between(graph: Graph, start: Slot, ends: Sequence[Slot]) -> set[str]:
    """Name the calls that depend on a start and that the ends depend on, the ends left out."""
    reached = graph.reached([start])
    return {
        call.name
        for call in graph.needed(ends)
        if call.slots[0] not in ends and not reached.isdisjoint(call.slots)
    }


def _obstacle(call: Call, channels: int | None) -> str | None:
    """Say why a call's output cannot be a target; None if it can."""
    if not call.dtype.startswith(("float", "bfloat")):
        return f"it gives whole numbers ({call.dtype}), which have no gradient"
    if channels is None:
        return "it has as many outputs as its input is large"
    return None


def _layer(call: Call, obstacle: str | None, *, first: bool) -> Layer:
    shape = call.shapes[0]
    layer = call.layer
    counts = first and hasattr(layer, "count_params")
    return Layer(
        name=call.name,
        kinds=(call.kind, *call.kinds[1:]),
        output_shape=shape,
        spatial_axes=max(len(shape) - 1, 0),
        parameters=int(layer.count_params()) if counts else 0,
        activation=activation_name(getattr(layer, "activation", None)),
        rectifiers=tuple(one.kind for one in rectifiers(call)),
        obstacle=obstacle,
    )
