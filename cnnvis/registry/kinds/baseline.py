"""Baselines: plugins that give the input which stands for the absence of what is explained."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from cnnvis.registry.kinds.kind import Kind
from cnnvis.registry.plugin import Function, Plugin, mark


def baseline(
    name: str,
    *,
    reference: str | None = None,
    requires: Sequence[str] = (),
    extra: str = "",
) -> Callable[[Function], Function]:
    """Mark a function as a baseline, which techniques start from and metrics fill with.

    Its parameters say what it needs, by these names:

    ``data``
        The whole data set, as `cnnvis.Samples` in the shape of the network's input.
    ``samples``
        The images that are explained, a batch of them.
    ``argument``
        The text behind the colon where somebody typed one: ``neutral`` in ``class:neutral``.

    The function gives an array of float32 numbers: with `samples`, one for each of them, (n, ...),
    that does not depend on the other images; else one for all, (...), in the shape of one input. It
    may also give the name of another baseline, which is then taken.

    For `requires` and `extra`, see `Plugin`.
    """
    return mark("baseline", name, reference=reference, requires=tuple(requires), extra=extra)


def _accept(plugin: Plugin, answer: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
    import numpy as np

    if isinstance(answer, str):
        return answer
    try:
        found = np.asarray(answer, np.float32)
    except (TypeError, ValueError):
        raise plugin.failed(f"it gave {type(answer).__name__}, not an array of numbers") from None
    samples, data = kwargs.get("samples"), kwargs.get("data")
    wanted = data.source.shape[1:] if samples is None and data is not None else None
    wanted = samples.source.shape if samples is not None else wanted
    if wanted is not None and found.shape != tuple(wanted):
        raise plugin.failed(
            f"it gave an array of the shape {found.shape}, and the shape must be {tuple(wanted)}"
        )
    if not np.isfinite(found).all():
        raise plugin.failed("it gave NaN or infinite values")
    return found


BASELINE = Kind(
    "baseline",
    about="The input that stands for absence.",
    example="cnnvis run integrated-gradients demo --baseline $name",
    accept=_accept,
)
