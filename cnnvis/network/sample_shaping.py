"""Samples in the shapes that a network's inputs take."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from cnnvis.data.samples import Array, Samples
from cnnvis.errors import UserError
from cnnvis.network.channels import input_channel_axis
from cnnvis.network.graph import Graph, Input
from cnnvis.network.input_names import matched
from cnnvis.reporting import note

LOOKED_AT = 64
"""Number of samples that are searched for fractions."""


def shaped_samples(graph: Graph, samples: Samples) -> Mapping[str, Samples]:
    """Shape samples for each of a network's inputs, as that input takes them.

    Returns
    -------
    mapping
        By the name of each input, the samples that explain it.

    Raises
    ------
    UserError
        If the samples' arrays are not those that the network takes, or have other shapes.
    """
    inputs = graph.inputs
    several = len(inputs) > 1 or samples.input is not None
    arrays = matched(inputs, samples.inputs) if several else {}
    for one in inputs:
        source = samples.inputs[arrays[one.name]] if arrays else samples.source
        if one.dtype.startswith(("int", "uint")):
            _require_whole_numbers(one, np.asarray(source[:LOOKED_AT]))
    unused = [name for name in samples.inputs if name not in arrays.values()]
    if unused:
        note(
            f"the data hold the input {', '.join(map(repr, unused))}, which the network does not "
            "take"
        )
    return samples.shaped_for_inputs(
        {
            one.name: (
                arrays.get(one.name, ""),
                one.shape,
                input_channel_axis(graph, one.slot, one.shape),
            )
            for one in inputs
        }
    )


def _require_whole_numbers(one: Input, values: Array) -> None:
    """Refuse values that an input of whole numbers cannot hold: Keras would change them silently."""
    values = values[np.isfinite(values)] if values.dtype.kind == "f" else values
    bounds = np.iinfo(one.dtype)
    if values.dtype.kind == "f" and (values % 1).any():
        wrong = "fractions, which Keras would cut off"
    elif values.size and not bounds.min <= values.min() <= values.max() <= bounds.max:
        wrong = f"numbers outside of {bounds.min} to {bounds.max}, which Keras would wrap around"
    else:
        return
    raise UserError(
        f"the input {one.name!r} takes whole numbers ({one.dtype}), and the data hold {wrong}: "
        f"give the numbers of the training, as X.astype({one.dtype!r})"
    )
