"""Curves of the score as parts are removed in the order of a map: deletion, insertion, pixel flipping."""

from __future__ import annotations

from typing import Any

import cnnvis


@cnnvis.metric("deletion", reference="arXiv:1806.07421", better="lower")
def deletion(
    explanation: cnnvis.Explanation,
    model: cnnvis.Model,
    *,
    fill: cnnvis.Baseline = "mean",
    steps: cnnvis.Count = 16,
    units: cnnvis.Units = "auto",
) -> Any:
    """Area under the curve of the score as the most important parts are removed first.

    The mean of S(x without a share t of its parts) over t from 0 to 1, by the trapezoidal rule, for
    the score S: the deletion metric of Petsiuk et al. 2018. In the unit of the score, which is
    read before its softmax or sigmoid where the paper has probabilities; so compare methods on the
    same images, and not networks. Lower is better: the score falls early. NaN for a map that is the
    same everywhere.

    Parameters
    ----------
    fill
        What stands in the place of a removed part. With the method's own baseline, the method would
        be rewarded for what it starts from.
    steps
        In how many steps all parts are removed.
    """
    maps = cnnvis.map_values(explanation, "deletion")
    removal = cnnvis.Removal.of(explanation, model, fill, units)
    return cnnvis.without_order(maps, removal.area(maps, steps))


@cnnvis.metric("insertion", reference="arXiv:1806.07421", better="higher")
def insertion(
    explanation: cnnvis.Explanation,
    model: cnnvis.Model,
    *,
    fill: cnnvis.Baseline = "mean",
    steps: cnnvis.Count = 16,
    units: cnnvis.Units = "auto",
) -> Any:
    """Area under the curve of the score as the most important parts are put into the fill first.

    The mean of S(a share t of the parts of x, the rest filled) over t from 0 to 1, by the trapezoidal
    rule, for the score S: the insertion metric of Petsiuk et al. 2018. In the unit of the score, as
    `deletion`.
    Higher is better: few parts make the score. NaN for a map that is the same everywhere.

    Parameters
    ----------
    fill
        What the parts are put into. With the method's own baseline, the method would be rewarded for
        what it starts from.
    steps
        In how many steps all parts are put in.
    """
    maps = cnnvis.map_values(explanation, "insertion")
    removal = cnnvis.Removal.of(explanation, model, fill, units)
    # The same images as when the least important parts are removed first, in the other direction.
    return cnnvis.without_order(maps, removal.area(maps, steps, least_first=True))


@cnnvis.metric("pixel-flipping", reference="arXiv:1509.06321", better="higher")
def pixel_flipping(
    explanation: cnnvis.Explanation,
    model: cnnvis.Model,
    *,
    fill: cnnvis.Baseline = "mean",
    steps: cnnvis.Count = 16,
    share: cnnvis.Share = 0.25,
    units: cnnvis.Units = "auto",
) -> Any:
    """Mean drop of the score as the most important parts are removed, up to a share of all parts.

    sum over k = 0, ..., L of (S(x) - S(x without the k most important parts)) / (L + 1): the area over
    the perturbation curve (AOPC) of Samek et al. 2017, equation 12, after the pixel flipping of Bach
    et al. 2015, doi:10.1371/journal.pone.0130140. In the unit of the score. Unlike `deletion`, it looks
    at the most important parts alone, and at no others. NaN for a map that is the same everywhere.

    Parameters
    ----------
    fill
        What stands in the place of a removed part, where the paper has random values.
    steps
        The number L of steps.
    share
        The share of the parts that is removed in the end; the paper removes 0.16 of an image.
    """
    maps = cnnvis.map_values(explanation, "pixel-flipping")
    removal = cnnvis.Removal.of(explanation, model, fill, units)
    curve = removal.curve(maps, removal.steps(steps, share))
    return cnnvis.without_order(maps, (curve[0] - curve).mean(axis=0))
