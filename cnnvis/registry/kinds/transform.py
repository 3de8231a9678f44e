"""Transforms: plugins that change results, in chains."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from cnnvis.registry.kinds.answers import explanation
from cnnvis.registry.kinds.kind import Kind
from cnnvis.registry.plugin import MAPS, Function, Plugin, Result, mark


def transform(
    name: str,
    *,
    reference: str | None = None,
    takes: Sequence[Result] = MAPS,
    gives: Result | None = None,
    sums: Callable[..., Callable[[Any], Any]] | None = None,
    check: Callable[..., None] | None = None,
    check_samples: Callable[..., None] | None = None,
    requires: Sequence[str] = (),
    extra: str = "",
) -> Callable[[Function], Function]:
    """Mark a function as a transform of explanations; its parameter's name sets the form.

    ``function(explanation, *, options) -> Explanation``
        Called with a batch of images at a time; it transforms each map by itself.
    ``function(stream, *, options) -> Explanation``
        Goes through all batches, as often as needed, and keeps as few batches as possible. A
        generator yields a batch for each batch.
    ``function(explanations, *, options) -> Explanation``
        Called with a batch of the last two results, of the same images.

    `takes` names the kinds of results that the transform takes, `gives` the kind that it returns,
    if the kind changes; see `cnnvis.registry.plugin.Result`. With the value ``prediction`` of an
    option ``by``, the transform gets explanations with `predictions`, whatever the target is.

    A transform of a stream that needs no single map, but sums of the maps of groups or the like,
    takes these from `Stream.sums`, and names a function as `sums`. ``sums(*, options)`` returns a
    function of a batch, which returns what the transform needs of it, and which can be pickled.
    With workers, it is computed where the maps are, which are then not read again.

    `check_samples` finds mistakes before any map is computed: ``check_samples(samples, *, options)`` raises
    `UserError` where the options do not fit images that the technique before the transform explains.
    """
    return mark(
        "transform", name, reference=reference, takes_results=tuple(takes), gives=gives, check=check,
        check_samples=check_samples, requires=tuple(requires), extra=extra, sums=sums,
    )  # fmt: skip


def _accept(plugin: Plugin, answer: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
    import numpy as np

    found = explanation(plugin, answer, plugin.gives)
    if found.maps is None or np.isfinite(found.maps).all():
        return found
    given = [one for arg in args for one in (arg if isinstance(arg, list) else [arg])]
    for one in given:
        maps = getattr(one, "maps", None)
        if maps is not None and not np.isfinite(maps).all():
            return found
    raise plugin.failed("its maps hold NaN or infinite values, and the given maps do not")


TRANSFORM = Kind(
    "transform",
    about="Plugin that changes results in a chain.",
    example="cnnvis chain demo saliency $name png",
    accept=_accept,
    commands=("chain",),
    is_step=True,
)
