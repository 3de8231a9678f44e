"""Backpropagation modifiers in a network: which rectifiers they change, and what to say of it."""

from __future__ import annotations

from collections.abc import Iterator

from cnnvis.errors import UserError
from cnnvis.network.activations import Rectifier, counted, rectifiers, rule_of, unknown_activation
from cnnvis.network.gradients import Swap, swapping
from cnnvis.network.graph import Call
from cnnvis.network.modifiers import Backprop
from cnnvis.network.resolution import Resolution


def modified_rectifiers(resolution: Resolution, *, keras_vis: bool) -> list[tuple[Call, Rectifier]]:
    """List the rectifiers up to a target that a modifier changes, each with its call.

    Parameters
    ----------
    keras_vis
        Only those given by the name relu, which are all that keras-vis knows.
    """
    with swapping:
        return [
            (call, one)
            for call in resolution.traced.graph.needed(resolution.ends)
            for one in rectifiers(call)
            if one.inline_relu or not keras_vis
        ]


def swaps_up_to(
    resolution: Resolution, backprop: Backprop | None, *, keras_vis: bool
) -> dict[str, list[Swap]]:
    """Collect what is replaced in the layers up to a target, by the names of the calls.

    The modifier replaces rectifiers; and a softmax or sigmoid that the target ends in is left out.
    """
    swaps: dict[str, list[Swap]] = {}
    if backprop is not None:
        rule = rule_of(backprop)
        for call, one in modified_rectifiers(resolution, keras_vis=keras_vis):
            swap = Swap(one.layer, one.attribute, one.modified(rule))
            swaps.setdefault(call.name, []).append(swap)
    with swapping:
        for target in resolution.targets:
            squashing = resolution.traced.squashing(target)
            for call, swap in () if squashing is None else squashing.swaps:
                swaps.setdefault(call.name, []).append(swap)
    return swaps


def notes_on_modifier(
    resolution: Resolution, backprop: Backprop | None, *, keras_vis: bool
) -> Iterator[str]:
    """Say what a modifier changes, in sentences.

    Raises
    ------
    UserError
        If it would change nothing, and keras-vis is not asked for.
    """
    if backprop is None:
        return
    layer = resolution.layer
    rule_of(backprop)
    kinds = [one.kind for _, one in modified_rectifiers(resolution, keras_vis=keras_vis)]
    if kinds:
        yield (
            f"{backprop} backpropagation was used in {len(kinds)} "
            f"activation{'s' if len(kinds) > 1 else ''} up to {layer!r} ({counted(kinds)}); for the "
            "plain gradient: --backprop none"
        )
    elif keras_vis:
        yield (
            f"{backprop} changed no activation: no layer up to {layer!r} has an activation named "
            "relu, and keras-vis changes no other; the map shows the plain gradient"
        )
    else:
        raise UserError(
            f"backprop {backprop} would change nothing: there is no ReLU and no other rectifier "
            f"up to the layer {layer!r}, so the map would show the plain gradient. For the plain "
            "gradient, use --backprop none"
        )
    for call in resolution.traced.graph.needed(resolution.ends):
        name = None if keras_vis else unknown_activation(call)
        if name is not None:
            yield (
                f"the activation {name!r} of {call.name!r} is not known, and the modifier left it "
                "unchanged"
            )
