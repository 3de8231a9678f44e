"""Names of layers and outputs, as people give them and as they are written in full."""

from __future__ import annotations

import operator
import re
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from cnnvis.errors import UserError, listed, nearest, numbered, shown
from cnnvis.network.graph import Call
from cnnvis.network.plain_values import plain


def every_name(calls: Collection[str]) -> tuple[str, ...]:
    """List all names that mean a layer: its path, also without the models or calls it is in."""
    names: dict[str, None] = dict.fromkeys(calls)
    for full in calls:
        for path in (full, _without_calls(full)):
            parts = path.split("/")
            names.update(dict.fromkeys("/".join(parts[:end]) for end in range(1, len(parts))))
            names.update(dict.fromkeys("/".join(parts[start:]) for start in range(len(parts))))
    return tuple(names)


def find_call(calls: Mapping[str, Call], name: str, cut: Mapping[str, str]) -> Call:
    """Find the call of a layer by its name.

    Parameters
    ----------
    calls
        The calls of the network, by their full names.
    name
        The full name, or one that leaves out calls or models around the layer.
    cut
        Layers that were left out when the network was loaded, each with the reason.

    Raises
    ------
    UserError
        If there is no such layer, or several layers fit.
    """
    if name in calls:
        return calls[name]
    require_not_cut(name, cut)
    short = {full: _without_calls(full) for full in calls}
    fitting = [full for full in calls if short[full] == name]
    # The name of a nested model means what the model gives, which its last call computes.
    inside = [full for full in calls if f"{full}/".startswith(f"{name}/")]
    fitting = fitting or inside[-1:]
    fitting = fitting or [full for full in calls if short[full].endswith(f"/{name}")]
    if len(fitting) == 1:
        return calls[fitting[0]]
    if not fitting:
        raise UserError(
            f"there is no layer {name!r}.{nearest(name, every_name(calls))} "
            f"{listed('The layers are', list(calls), 'cnnvis run model-summary MODEL')}"
        )
    raise UserError(
        f"there are {len(fitting)} calls of a layer {name!r}, numbered from @0 in the order in which they "
        f"were made; choose a call: {', '.join(sorted(fitting, key=_calls_in))}"
    )


def require_not_cut(name: str, cut: Mapping[str, str]) -> None:
    """Refuse a layer that was left out when the network was loaded."""
    if name in cut:
        raise UserError(f"the layer {name!r} cannot be explained: {cut[name]}")


def layer_name(network: Any, layer: Any) -> str:
    """Return the name of a layer that was asked for by its name, by its place, or as an object.

    Raises
    ------
    UserError
        If it is none of these, or an input.
    """
    if isinstance(layer, str):
        return layer
    every = list(getattr(network, "layers", ()))
    if any(layer is one for one in every):
        return str(layer.name)
    try:
        place = operator.index(plain(layer))
    except TypeError:
        raise UserError(
            f"layer is {shown(layer)}; give a layer by its name, by its place among "
            "network.layers, or as a layer of network.layers"
        ) from None
    if not -len(every) <= place < len(every):
        raise UserError(
            f"there is no layer {place}: the network has {len(every)} layers, 0 to "
            f"{len(every) - 1}, or -{len(every)} to -1 from the end"
        )
    name = str(every[place].name)
    if "InputLayer" in [kind.__name__ for kind in type(every[place]).__mro__]:
        raise UserError(f"the layer {place} is {name!r}, an input, which computes nothing")
    return name


def output_name(names: Sequence[str], output: Any) -> str:
    """Return the name of an output that was asked for by its name or by its place.

    Parameters
    ----------
    names
        The names of all outputs of the network.

    Raises
    ------
    UserError
        If there is no output at that place.
    """
    if isinstance(output, str):
        return output
    try:
        return names[operator.index(plain(output))]
    except (TypeError, IndexError):
        raise UserError(
            f"the network has no output {shown(output)}; it has {numbered(len(names), 'output')}, "
            f"by name or by place: {', '.join(f'{name} ({k})' for k, name in enumerate(names))}"
        ) from None


def _calls_in(name: str) -> tuple[list[int], str]:
    """Return the numbers of the calls in a path, by which paths are sorted."""
    return [int(number) for number in re.findall(r"@(\d+)", name)], name


def _without_calls(name: str) -> str:
    """Return a path without the numbers of calls: ``tower/conv`` for ``tower@1/conv``."""
    return re.sub(r"@\d+", "", name)
