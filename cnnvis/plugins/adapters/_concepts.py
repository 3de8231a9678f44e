"""Results of concepts: where they are in images, and the crops that show them best."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import cnnvis

if TYPE_CHECKING:
    import numpy.typing as npt

    Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Concepts:
    """Concepts of one target.

    Attributes
    ----------
    name
        The target in words.
    row
        The weights of the target's outputs in its score, (k,).
    places
        The places of the samples that are explained at this target.
    examples
        The samples that the concepts were learned from.
    order
        The concepts that are shown, by number, the most important first.
    found
        What the library gave: see `xplique_library.Library.concepts`.
    """

    name: str
    row: Array
    places: Array
    examples: cnnvis.Samples
    order: list[int]
    found: dict[str, Any]


def maps_of(
    every: list[Concepts], model: cnnvis.Model, samples: cnnvis.Samples, layer: str
) -> cnnvis.Explanation:
    """Return the maps of all samples, each with those of its targets' concepts."""
    import numpy as np

    entries = [
        (place, one, number, rank)
        for one in every
        for number, place in enumerate(one.places)
        for rank in range(len(one.order))
    ]
    entries.sort(key=lambda entry: entry[0])  # a stable sort: concepts of an image stay in order
    maps = np.stack([one.found["maps"][n, ..., one.order[rank]] for _, one, n, rank in entries])
    whole = samples.repeated(len(entries) // len(samples))
    measures = np.array(
        [
            (
                rank + 1,
                one.found["importances"][one.order[rank]],
                one.found["here"][n, one.order[rank]],
            )
            for _, one, n, rank in entries
        ]
    )
    return cnnvis.Explanation(
        model.upsample(maps, layer, samples.x.shape[1:]),
        whole,
        titles=tuple(
            f"concept {rank + 1} of {one.name}\nimportance {usual:.2g}, here {here:.2g}"
            for (_, one, _, rank), (_, usual, here) in zip(entries, measures, strict=True)
        ),
        targets=model.targets(whole.x, weights=np.stack([one.row for _, one, _, _ in entries])),
        signed=False,
        measures=dict(zip(("concept", "importance", "importance_here"), measures.T, strict=True)),
    )


def best_crops(every: list[Concepts], count: int) -> cnnvis.Explanation:
    """Return the crops with the largest amounts of each concept, the largest first."""
    import numpy as np

    pictures, titles, measures = [], [], []
    for one in every:
        amounts, crops = one.found["in_crops"], one.found["crops"]
        first = corners(one.examples, crops.shape[1])
        for rank, concept in enumerate(one.order):
            for place in np.argsort(-amounts[:, concept], kind="stable")[:count].tolist():
                row, column = first[place % len(first)]
                image = int(one.examples.indices[place // len(first)])
                importance, amount = one.found["importances"][concept], amounts[place, concept]
                pictures.append(crops[place])
                titles.append(
                    f"concept {rank + 1} of {one.name}, importance {importance:.2g}\n#{image} from row "
                    f"{row}, column {column}: {amount:.2g}"
                )
                measures.append((rank + 1, importance, image, row, column, amount))
    named = ("concept", "importance", "image", "row", "column", "amount")
    return cnnvis.Explanation(
        np.stack(pictures),
        axes=cnnvis.axis_names(3, -1),
        titles=tuple(titles),
        are_inputs=True,
        measures=dict(zip(named, np.array(measures, float).T, strict=True)),
    )


def corners(samples: cnnvis.Samples, side: int) -> list[tuple[int, int]]:
    """Return the first row and column of each crop of a sample, in the library's order."""
    step = int(side * 0.8)
    rows, columns = (range(0, size - side + 1, step) for size in samples.space)
    return [(row, column) for row in rows for column in columns]
