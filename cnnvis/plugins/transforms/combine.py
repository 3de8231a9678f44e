"""Two results of the same images made one."""

from __future__ import annotations

from collections.abc import Sequence

import cnnvis


@cnnvis.transform("multiply")
def multiply(explanations: Sequence[cnnvis.Explanation]) -> cnnvis.Explanation:
    """The product of the last two results, place by place; of saliency and grad-cam, Guided Grad-CAM.

    Guided Grad-CAM is that of Selvaraju et al. 2017, section 3.2. A map without channels counts for
    every channel of the other.
    """
    first, second = _alike(explanations)
    product = first.array * second.array
    wider = explanations[0] if explanations[0].array.ndim >= product.ndim else explanations[1]
    signed = explanations[0].is_signed or explanations[1].is_signed
    return wider.with_maps(product, signed=signed)


@cnnvis.transform("add")
def add(explanations: Sequence[cnnvis.Explanation]) -> cnnvis.Explanation:
    """The sum of the last two results, place by place."""
    first, second = _alike(explanations)
    total = first.array + second.array
    wider = explanations[0] if explanations[0].array.ndim >= total.ndim else explanations[1]
    return wider.with_maps(total, signed=first.is_signed or second.is_signed)


def _alike(
    explanations: Sequence[cnnvis.Explanation],
) -> tuple[cnnvis.Explanation, cnnvis.Explanation]:
    """The two with axes that fit: where only one has channels, the other gets one."""
    first, second = explanations
    both = []
    for one, other in ((first, second), (second, first)):
        missing = [name for name in other.axes if name not in one.axes]
        if missing == ["channel"]:
            place = other.axes.index("channel")
            maps = one.array[(slice(None), *(slice(None),) * place, None)]
            one = one.with_maps(maps, axes=other.axes)
        both.append(one)
    if both[0].axes != both[1].axes or any(
        1 not in (a, b) and a != b
        for a, b in zip(both[0].array.shape, both[1].array.shape, strict=True)
    ):
        raise cnnvis.UserError(
            f"maps of shape {first.array.shape[1:]} ({', '.join(first.axes)}) and of shape "
            f"{second.array.shape[1:]} ({', '.join(second.axes)}) do not fit together; resize or "
            "project one of them"
        )
    return both[0], both[1]
