"""Choice of the images that a page shows: wrong answers, certain and uncertain ones, typical ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from cnnvis.data.explanation import Explanation
from cnnvis.data.page import Shelf
from cnnvis.data.samples import Array, evenly_spaced

MOST = 64
"""Number of maps that a page shows."""


@dataclass(frozen=True)
class Known:
    """What is known of each image, (n,) each.

    Attributes
    ----------
    images
        The places of the images in the data.
    certainty
        The probability of the answered class; NaN where it is not known.
    right
        1 where the answer is right and 0 where it is wrong; NaN where it is not known.
    error
        The distance of an answer from the label, of networks that answer with numbers; NaN where it
        is not known.
    """

    images: Array
    certainty: Array
    right: Array
    error: Array

    @classmethod
    def of(cls, found: Explanation) -> Known:
        """Return what an explanation knows of its images."""
        assert found.samples is not None
        starts = found.samples.image_starts
        nothing = np.full(len(starts), np.nan)
        certainty, right = nothing.copy(), nothing.copy()
        samples = found.samples
        for place, row in enumerate(starts.tolist() if found.predictions is not None else ()):
            assert found.predictions is not None
            answered = int(found.predictions[row])
            target = found.targets[row] if found.targets else None
            if target is not None and target.probability is not None:
                # Of a single sigmoid, the target has the probability of class 1 or of class 0.
                is_own = target.filters == (answered,)
                certainty[place] = target.probability if is_own else np.nan
            if samples.label_kind == "class" and not samples.in_words:
                assert samples.labels is not None
                label = float(samples.labels[row])
                right[place] = np.nan if np.isnan(label) else label == answered
        return cls(samples.indices[starts], certainty, right, nothing)


def shelves_of(known: Known, most: int) -> tuple[Shelf, ...]:
    """Return the shelves of a gallery with at most so many images, none of them twice."""
    most = max(most, 1)
    left = list(range(len(known.images)))
    found: list[Shelf] = []

    def take(title: str, about: str, order: Sequence[int], count: int) -> None:
        chosen = [place for place in order if place in there][: max(count, 0)]
        there.difference_update(chosen)
        if chosen:
            images = tuple(int(known.images[place]) for place in chosen)
            found.append(Shelf(title, about, images))

    there = set(left)
    few = len(left) <= most
    quarter = most if few else max(most // 4, 1)
    wrong = _falling(np.where(known.right == 0, np.nan_to_num(known.certainty), np.nan))
    errors = _falling(known.error)
    if np.isfinite(known.certainty).any():
        take("Wrong answers", "The answer is not the label, the most certain answer first.",
             wrong, quarter)  # fmt: skip
    else:
        take("Wrong answers", "The answer is not the label.", wrong, quarter)
    take("Largest errors", "The answer is farthest from the label.", errors, most // 2 or 1)
    if few:
        take("Other images" if found else "All images", "In the order of the data.", left, most)
        return tuple(found)
    if np.isfinite(known.certainty).any():
        rising = _falling(-known.certainty)
        rest = " other" if found else ""
        take("Least certain answers", f"Of all{rest} images, the answers of the smallest "
             "probability.", rising, quarter)  # fmt: skip
        take("Most certain answers", f"Of all{rest} images, the answers of the largest "
             "probability.", rising[::-1], quarter)  # fmt: skip
        middle = np.nanmedian(known.certainty)
        order = _falling(-np.abs(known.certainty - middle))
        about = "Their probability is near the median of all."
    else:
        order = [left[at] for at in evenly_spaced(len(left), most)] + left
        about = "They are evenly spread over the data."
    take("Typical images", about, order, most - sum(len(one.images) for one in found))
    return tuple(found)


def _falling(values: Array) -> list[int]:
    """Return the places of the known values, the largest first, equal ones in their order."""
    places = np.argsort(-np.nan_to_num(values, nan=-np.inf), kind="stable").tolist()
    return [place for place in places if np.isfinite(values[place])]
