"""Metrics: plugins that measure explanations, a number for each map."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from cnnvis.registry.kinds.kind import Kind
from cnnvis.registry.plugin import MAPS, Function, Plugin, Result, mark


def metric(
    name: str,
    *,
    reference: str | None = None,
    takes: Sequence[Result] = MAPS,
    check: Callable[..., None] | None = None,
    requires: Sequence[str] = (),
    extra: str = "",
) -> Callable[[Function], Function]:
    """Mark a function as a metric: ``function(explanation, [model], *, options) -> (n,) numbers``.

    The function gives one number for each map of the explanation, NaN where the metric is not
    defined, as for a blank map. It takes the `model` that was explained, at its target, if it has a
    parameter of that name. The numbers stand in the explanation's `measures` under the metric's
    name, in the titles of its maps and in tables of them.

    `takes` says which kinds of results it can measure; see `cnnvis.registry.plugin.Result`. For
    `check`, `requires` and `extra`, see `Plugin`.
    """
    return mark(
        "metric",
        name,
        reference=reference,
        takes_results=tuple(takes),
        check=check,
        requires=tuple(requires),
        extra=extra,
    )


def _accept(plugin: Plugin, answer: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
    import numpy as np

    try:
        found = np.asarray(answer, np.float64)
    except (TypeError, ValueError):
        raise plugin.failed(f"it gave {type(answer).__name__}, not a number for each map") from None
    if found.shape != (len(args[0]),):
        raise plugin.failed(
            f"it gave numbers of the shape {found.shape} for {len(args[0])} maps, and must give one "
            "for each"
        )
    if np.isinf(found).any():
        raise plugin.failed("it gave infinite values")
    return found


METRIC = Kind(
    "metric",
    about="What measures maps, a number for each.",
    example="cnnvis chain demo saliency $name terminal",
    accept=_accept,
    commands=("chain",),
    is_step=True,
    is_beside=True,
)
