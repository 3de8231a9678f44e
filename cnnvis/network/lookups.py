"""Layers that look whole numbers up, and were given others than they have."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import numpy as np

from cnnvis.errors import UserError
from cnnvis.network.backend import tensorflow
from cnnvis.network.graph import Call, Graph, Slot


def looks_up(graph: Graph, slot: Slot) -> Call | None:
    """Return the Embedding that looks the values of an input up; None if none does."""
    found = (one for one in graph.calls if "Embedding" in one.kinds and slot in one.inputs)
    return next(found, None)


def require_known(graph: Graph, x: Sequence[Any]) -> None:
    """Refuse inputs that an Embedding does not have: XLA, and graphics cards, take others for them.

    Parameters
    ----------
    x
        The inputs, (n, ...), of the whole network.

    Raises
    ------
    UserError
        If there are any, for Embeddings that look the inputs themselves up.
    """
    given = {one.slot: values for one, values in zip(graph.inputs, x, strict=True)}
    for call in graph.calls:
        if "Embedding" in call.kinds and not given.keys().isdisjoint(call.inputs):
            said = _complained(call, given)
            if said is not None:
                raise UserError(said)


def not_looked_up(graph: Graph, wanted: Sequence[Slot], x: Sequence[Any]) -> str | None:
    """Describe the numbers that an Embedding could not look up, where TensorFlow failed.

    Parameters
    ----------
    wanted
        Values that were to be computed.
    x
        The inputs, (n, ...).

    Returns
    -------
    str or None
        A sentence with the Embedding, the numbers that it takes and the one that it was given; None
        if that is not the reason.
    """
    looking = [call for call in graph.needed(wanted) if "Embedding" in call.kinds]
    if not looking:
        return None
    given = {one.slot: values for one, values in zip(graph.inputs, x, strict=True)}
    tensors = [tensorflow().constant(values) for values in x]
    with suppress(UserError, tensorflow().errors.OpError):  # what was not computed is not now
        graph.run(tensors, wanted, met=given.__setitem__)
    found = (_complained(call, given) for call in looking)
    return next((sentence for sentence in found if sentence is not None), None)


def _complained(call: Call, given: dict[Slot, Any]) -> str | None:
    count = int(call.layer.input_dim)
    for slot in call.inputs:
        values = np.asarray(given.get(slot, ()), np.float64)
        wrong = values[(values <= -1) | (values >= count) | np.isnan(values)]
        if wrong.size:
            most = max(wrong, key=abs)
            return (
                f"the layer {call.name!r} (Embedding) looks up whole numbers from 0 to "
                f"{count - 1}, and got {most:.10g}; give data with the numbers of the training"
            )
    return None
