"""Target that was asked for, before its look-up in a network."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from cnnvis.network.layer_names import layer_name, output_name
from cnnvis.network.plain_values import plain


@dataclass(frozen=True)
class TargetRequest:
    """Target as it was asked for. None stands for what was left open.

    Attributes
    ----------
    layer
        A layer, one of its outputs, or a sum or difference, as text.
    filters
        Outputs of the layer, by number or name. Files hold these as JSON, so numbers are Python
        numbers.
    output
        The name of one of the network's outputs.
    region
        Positions over which outputs are averaged: one position or range for each spatial axis.
    rank
        Which class of each input is explained, by the size of its score: 0 for the largest.
    """

    layer: str | None = None
    filters: Any = None
    output: str | None = None
    region: tuple[str | int | slice, ...] | None = None
    rank: int | None = None

    @classmethod
    def of(
        cls,
        network: Any,
        outputs: Sequence[str],
        *,
        layer: Any = None,
        filters: Any = None,
        output: Any = None,
        region: str | int | slice | Sequence[str | int | slice] | None = None,
    ) -> TargetRequest:
        """Bring the arguments of `Model` into one form.

        Parameters
        ----------
        network
            The Keras network, for layers that are asked for by their place or as objects.
        outputs
            The names of the network's outputs.

        Raises
        ------
        UserError
            If there is no layer or output at that place.
        """
        if isinstance(region, str | int | slice):
            region = (region,)
        return cls(
            layer=None if layer is None else layer_name(network, layer),
            filters=plain(filters),
            output=None if output is None else output_name(outputs, output),
            region=None if region is None else tuple(region),
        )
