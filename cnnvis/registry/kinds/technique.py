"""Techniques: plugins that explain a network."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from cnnvis.registry.kinds.answers import explanation
from cnnvis.registry.kinds.kind import Kind
from cnnvis.registry.plugin import Claim, Function, Plugin, Result, mark


def technique(
    name: str,
    *,
    reference: str | None = None,
    gives: Result = "images",
    check: Callable[..., None] | None = None,
    requires: Sequence[str] = (),
    extra: str = "",
    claims: Mapping[Claim, Mapping[str, Any]] | None = None,
    signed: Mapping[str, Any] | None = None,
    family: str = "",
    paper: Mapping[str, Any] | None = None,
    remarks: Callable[..., Iterable[str]] | None = None,
) -> Callable[[Function], Function]:
    """Mark a function as a technique: ``function([model], [samples], *, options) -> Explanation``.

    For `check`, `requires` and `extra`, here and below, see `Plugin`; for `gives`,
    `cnnvis.registry.plugin.Result`; for `claims`, `cnnvis.registry.plugin.Claim`. `signed` holds
    options under which maps keep the signs of their values, an empty dict if they always do: checks
    that compare maps of two targets need signs. `family` is what ``cnnvis list-plugins`` lists the technique
    with, such as ``gradients``. `paper` holds options under which the technique is that
    of its paper, where its own defaults are not: they are the defaults in the paper's style.
    `remarks` makes notes on all maps together, while the function itself explains some images at a time: it is
    called with the measures of all maps, (n,) each by its name, and with all options by name.

    The function has the parameters `model` and `samples`, or the one that it needs; a default of
    None for `samples` means that data are optional.
    With `references` the function also takes samples of the whole data set, to compare the images
    with: up to 256, evenly spaced, in the shape of the explained input, and read when they are
    indexed.
    """
    return mark(
        "technique", name, reference=reference, gives=gives, check=check,
        requires=tuple(requires), extra=extra, claims=dict(claims or {}), signed=signed, family=family,
        paper=dict(paper or {}), remarks=remarks,
    )  # fmt: skip


def _accept(plugin: Plugin, answer: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
    promised: Result = plugin.gives or "images"
    found = explanation(plugin, answer, promised)
    if kwargs.get("samples") is not None:
        _require_maps(plugin, found, kwargs["samples"], promised)
    return found


def _require_maps(plugin: Plugin, found: Any, samples: Any, promised: Result) -> None:
    """Refuse results other than a map of each of the samples, or the samples themselves."""
    import numpy as np

    if found.maps is None:
        if promised == "images":
            raise plugin.failed("it gave a table, and promises a map for each sample")
        return
    for source in (samples.source, *samples.others.values(), vars(samples).get("x")):
        # Whether two arrays overlap is found out exactly only where their ends do.
        is_array = isinstance(source, np.ndarray) and source.size > 0
        if is_array and np.may_share_memory(found.maps, source):
            raise plugin.failed("its maps are the very array of the inputs, and must be a copy")
    if promised != "images":
        return
    if found.samples is None or len(found.maps) != len(samples):
        count = f"it gave {len(found.maps)} maps for {len(samples)} samples"
        without = " and an explanation without samples" if found.samples is None else ""
        raise plugin.failed(f"{count}{without}, so some samples have no map")
    if not np.array_equal(found.samples.indices, samples.indices):
        raise plugin.failed("the samples of its explanation are not the given samples")


TECHNIQUE = Kind(
    "technique",
    about="Plugin that explains a network.",
    example="cnnvis run $name demo",
    accept=_accept,
    commands=("run", "chain", "compare", "evaluate"),
    is_step=True,
)
