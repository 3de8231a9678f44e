"""Keras network written out as calls, with the facts that do not depend on a target."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from cnnvis.errors import UserError
from cnnvis.network.channels import channel_axes
from cnnvis.network.gradients import Squashing, is_answer, squashing_of, swapping
from cnnvis.network.graph import Call, Graph, Slot, graph_of
from cnnvis.network.layers import Layer, listed

OUTPUT = "output"
"""Layer that is the target when none is named, if the network has it."""


@dataclass(frozen=True, eq=False)
class TracedNetwork:
    """Calls of a network, their channel axes, and all that was compiled of them.

    All models of one network share it. It must not hold the Keras network itself: the cache
    forgets a network when nobody else holds it.

    Attributes
    ----------
    graph
        The calls, in the order in which they run.
    channel_axes
        Axis of channels of each value, -1 or 1.
    calls
        The calls by their names.
    outputs
        The calls that give the network's outputs, by the names of the outputs.
    has_answer_named_output
        True if the layer ``output`` gives the network's answer.
    compiled
        Results that were compiled or measured once, by their keys.
    """

    graph: Graph
    channel_axes: Mapping[Slot, int]
    calls: Mapping[str, Call]
    outputs: Mapping[str, Call]
    has_answer_named_output: bool
    compiled: dict[tuple[Any, ...], Any] = field(default_factory=dict)
    _squashing: dict[str, Squashing | None] = field(default_factory=dict)

    @classmethod
    def of(cls, network: Any) -> TracedNetwork:
        """Trace a Keras network.

        Raises
        ------
        UserError
            If the network has no graph of layers.
        """
        graph = graph_of(network)
        calls = {call.name: call for call in graph.calls}
        named = calls.get(OUTPUT)
        return cls(
            graph=graph,
            channel_axes=channel_axes(graph),
            calls=calls,
            outputs=_outputs(graph, network),
            has_answer_named_output=named is not None and is_answer(graph, named),
        )

    def channel_axis(self, call: Call) -> int:
        """Return which axis of a call's output holds channels, -1 or 1."""
        return self.channel_axes[call.slots[0]]

    def channels(self, call: Call) -> int | None:
        """Count the channels or units of a call's output; None if the input's size decides."""
        shape = call.shapes[0]
        return shape[self.channel_axis(call) % (len(shape) + 1) - 1] if shape else 1

    def units(self, call: Call) -> int:
        """Count the channels or units of a call's output.

        Raises
        ------
        UserError
            If the input's size decides how many there are.
        """
        units = self.channels(call)
        if units is None:
            raise UserError(
                f"the layer {call.name!r} has as many outputs as its input is large, so its "
                "outputs have no numbers; name another layer with --layer"
            )
        return int(units)

    def squashing(self, call: Call) -> Squashing | None:
        """Find the softmax or sigmoid that a call ends in; None if it ends in none."""
        if call.name not in self._squashing:
            with swapping:
                self._squashing[call.name] = squashing_of(self.graph, call)
        return self._squashing[call.name]

    @functools.cached_property
    def layers(self) -> tuple[Layer, ...]:
        """Layers of the network, in the order in which they run, nested models opened up."""
        return listed(self.graph.calls, [self.channels(call) for call in self.graph.calls])


def _outputs(graph: Graph, network: Any) -> dict[str, Call]:
    """Return the calls that give the network's outputs, by the names of the outputs.

    A name is the key in the dict that the network was built with, else Keras's own. Where Keras
    had to number outputs of one name, it is the name of the call.
    """
    givers = {slot: call for call in graph.calls for slot in call.slots}
    ends = [givers[slot] for slot in graph.outputs if slot in givers]
    by_call = {call.name: call for call in ends}
    for names in (graph.output_keys, getattr(network, "output_names", None) or ()):
        if all(names) and len(names) == len(set(names)) == len(ends) == len(by_call):
            return {str(name): call for name, call in zip(names, ends, strict=True)}
    return by_call
