"""Metrics: plugins that measure explanations, a number for each map."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cnnvis.registry.kinds.kind import Kind
from cnnvis.registry.plugin import MAPS, Better, Function, Plugin, Result, mark


@dataclass(frozen=True)
class Cost:
    """Cost of a metric for each map, by which the time that it takes is estimated.

    Attributes
    ----------
    passes
        Passes of an image forwards through the network.
    signed_maps
        Maps that the technique makes of an image with `signed`, where it can; none where it cannot.
    """

    passes: float = 0
    signed_maps: float = 0


def metric(
    name: str,
    *,
    reference: str | None = None,
    takes: Sequence[Result] = MAPS,
    check: Callable[..., None] | None = None,
    judge: Callable[[Mapping[str, Any]], Any] | None = None,
    cost: Cost | None = None,
    better: Better | None = None,
    scale_free: bool = False,
    requires: Sequence[str] = (),
    extra: str = "",
) -> Callable[[Function], Function]:
    """Mark a function as a metric: ``function(explanation, [model], *, options) -> (n,) numbers``.

    The function gives one number for each map of the explanation, NaN where the metric is not
    defined, as for a blank map. It takes the `model` that was explained, at its target, if it has a
    parameter of that name. The numbers stand in the explanation's `measures` under the metric's
    name, in the titles of its maps and in tables of them. Several numbers for each map come in a
    dict; the first has the metric's name.

    With the parameter `explainer` it is given a `cnnvis.Explainer`, which explains other targets, inputs or
    weights as the maps were made; then it measures only maps that are a technique's own. An option of
    the type `cnnvis.Baseline` says what stands in the place of removed parts: see
    `cnnvis.Samples.baseline`.

    `judge` is called with the numbers of all maps, arrays (n,) by name, and gives a
    `cnnvis.Verdict`. A metric without it describes and does not judge. A metric that judges is a
    check: `cnnvis.run` and `cnnvis.chain` compute it beside maps, with ``checks="quick"`` if its
    `cost` fits into the time, and is given.

    `better` says whether higher or lower numbers are better, for tables of methods; None for a metric
    that describes maps and prefers none. `scale_free` says that a map and its multiples by positive
    factors have the same number. The conformance kit holds a metric to both.

    `takes` says which kinds of results it can measure; see `cnnvis.registry.plugin.Result`. For
    `check`, `requires` and `extra`, see `Plugin`.
    """
    return mark(
        "metric",
        name,
        reference=reference,
        takes_results=tuple(takes),
        check=check,
        judge=judge,
        cost=cost,
        better=better,
        scale_free=scale_free,
        requires=tuple(requires),
        extra=extra,
    )


def _accept(plugin: Plugin, answer: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
    import numpy as np

    every = answer if isinstance(answer, Mapping) else {plugin.name: answer}
    if next(iter(every), None) != plugin.name:
        raise plugin.failed("the first of several numbers must have the metric's name")
    numbers = {}
    for name, values in every.items():
        try:
            found = np.asarray(values, np.float64)
        except (TypeError, ValueError):
            kind = type(values).__name__
            raise plugin.failed(f"it gave {kind}, not a number for each map") from None
        if found.shape != (len(args[0]),):
            raise plugin.failed(
                f"it gave numbers of the shape {found.shape} for {len(args[0])} maps, and must give "
                "one for each"
            )
        if np.isinf(found).any():
            raise plugin.failed("it gave infinite values")
        numbers[str(name)] = found
    return numbers


METRIC = Kind(
    "metric",
    about="What measures maps, a number for each.",
    example="cnnvis chain demo saliency $name terminal",
    accept=_accept,
    commands=("chain",),
    is_step=True,
    is_beside=True,
)
