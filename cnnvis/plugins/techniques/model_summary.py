"""The layers of a network as a table."""

from __future__ import annotations

import cnnvis


@cnnvis.technique("model-summary", family="network and data", gives="table")
def model_summary(model: cnnvis.Model) -> cnnvis.Explanation:
    """Every layer of the network: its name, kind, output shape, parameters and activation.

    A shape is the shape of one image; ``any`` stands for an axis of any length. A layer that is called
    more than once is listed for each call, ``shared@0`` for the first and ``shared@1`` for the second.
    """
    rows = model.layers
    total = sum(row.parameters for row in rows)
    try:
        target = f"the default target is {model.with_target().layer!r}"
    except cnnvis.UserError as error:  # the summary is where to find a layer's name
        target = f"there is no default target: {error}"
    cnnvis.note(f"{len(rows)} layers, {total:,} parameters; {target}")
    return cnnvis.Explanation(
        table={
            "layer": [row.name for row in rows],
            "kind": [row.kind for row in rows],
            "output shape": [
                " x ".join("any" if size is None else str(size) for size in row.output_shape)
                for row in rows
            ],
            "parameters": [row.parameters for row in rows],
            "activation": [row.activation for row in rows],
        }
    )
