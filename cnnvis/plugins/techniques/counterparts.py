"""Samples of the data that say what a network knows: the nearest, and those that a unit answers to most."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Literal

import cnnvis
from cnnvis.plugins.techniques._outputs import rows_of_outputs

if TYPE_CHECKING:
    import numpy.typing as npt

    Array = npt.NDArray[Any]


@cnnvis.technique("top-samples", family="examples", reference="arXiv:1311.2901", gives="pictures")
def top_samples(
    model: cnnvis.Model,
    samples: cnnvis.Samples,
    *,
    count: cnnvis.Count = 9,
    least: bool = False,
) -> cnnvis.Explanation:
    """The samples of the data to which an output answers most.

    The samples x with the largest scores S(x), for each chosen output of the target: Zeiler and Fergus
    2014, section 4. The score of an output with positions, such as a filter, is its mean over these
    (see --region). All given images are compared; --images narrows them down.

    Parameters
    ----------
    count
        The number of samples for each output.
    least
        Show the samples with the smallest scores.
    """
    import numpy as np

    rows = rows_of_outputs(model)
    scores = np.full((len(rows), len(samples)), -np.inf)
    with cnnvis.progress("top-samples", len(samples)) as advance:
        for places, batch in _batches(samples):
            at = model.with_inputs_held(batch)
            x = np.asarray(batch.x, np.float32)
            for number, row in enumerate(rows):
                scores[number, places] = at.scores(x, weights=np.repeat(row[None], len(x), axis=0))
            advance(len(x))
    order = np.argsort(scores if least else -scores, axis=1, kind="stable")[:, :count]
    pictures: list[Array] = []
    titles: list[str] = []
    targets: list[cnnvis.Target] = []
    for row, places in zip(rows, order, strict=True):
        some = samples[places]
        held, x = model.with_inputs_held(some), np.asarray(some.x, np.float32)
        found = held.targets(x, weights=np.repeat(row[None], len(x), axis=0))
        pictures.append(x)
        targets += found
        titles += [f"{one} of {_name(some, at)}" for at, one in enumerate(found)]
    return cnnvis.Explanation(
        np.concatenate(pictures),
        axes=cnnvis.axis_names(len(samples.source.shape) - 1, samples.channel_axis),
        titles=tuple(titles),
        targets=tuple(targets),
        are_inputs=True,
        measures={"image": samples.indices[order].ravel().astype(float)},
    )


@cnnvis.technique(
    "nearest-samples", family="examples", reference="arXiv:1803.04765", gives="pictures"
)
def nearest_samples(
    model: cnnvis.Model,
    samples: cnnvis.Samples,
    *,
    of: tuple[int, ...] = (),
    by: str | None = None,
    count: cnnvis.Count = 5,
    distance: Literal["cosine", "euclidean"] = "cosine",
) -> cnnvis.Explanation:
    """The samples of the data that a layer of the network takes for most alike.

    For each chosen image x the samples x' with the smallest distance of h(x') from h(x), for the output
    h of a layer: Papernot and McDaniel 2018, section 3. The cosine distance is 1 - h(x) h(x') / (|h(x)|
    |h(x')|). Each image stands first, and its nearest samples behind it. All given images are compared;
    --images narrows them down.

    Parameters
    ----------
    of
        The images whose nearest samples are looked for, by their numbers in the data; by default the first
        of the given images.
    by
        The layer by which images are compared; by default the layer right before the target.
    count
        The number of nearest samples of each image.
    distance
        The distance between outputs of the layer.
    """
    import numpy as np

    wanted = _places(samples, of)
    layer = by or _before(model)
    at = model.with_target(layer)
    own = _outputs(at, samples[wanted], distance)
    near = np.full((len(wanted), len(samples)), np.inf)
    with cnnvis.progress("nearest-samples", len(samples)) as advance:
        for places, batch in _batches(samples):
            found = _outputs(at, batch, distance)
            for number, one in enumerate(own):
                near[number, places] = np.sqrt(((found - one) ** 2).sum(axis=1))
            advance(len(batch))
    if distance == "cosine":
        near = near**2 / 2
    alike = [number for number, place in enumerate(wanted) if _has_copies(near[number], place)]
    near[np.arange(len(wanted)), wanted] = -1.0  # each image itself comes first
    order = np.argsort(near, axis=1, kind="stable")[:, : count + 1]
    cnnvis.note(f"images are compared by the output of {layer!r}, with the {distance} distance")
    if alike:
        named = ", ".join(str(samples.indices[wanted[number]]) for number in alike[:5])
        cnnvis.note(f"to the layer {layer!r}, other samples are equal to the images {named}")
    chosen, found = samples[order.ravel()], np.take_along_axis(near, order, axis=1).clip(0).ravel()
    titles = [
        _name(chosen, place) if place % order.shape[1] == 0
        else f"{_name(chosen, place)}, distance {found[place]:.3g}"
        for place in range(len(chosen))
    ]  # fmt: skip
    return cnnvis.Explanation(
        np.array(chosen.x, np.float32),
        axes=cnnvis.axis_names(len(samples.source.shape) - 1, samples.channel_axis),
        titles=tuple(titles),
        are_inputs=True,
        measures={"image": chosen.indices.astype(float), "distance": found},
    )


def _batches(samples: cnnvis.Samples) -> Iterator[tuple[slice, cnnvis.Samples]]:
    """Yield the samples some at a time, with their places."""
    start = 0
    for batch in samples.batches():
        yield slice(start, start + len(batch)), batch
        start += len(batch)


def _places(samples: cnnvis.Samples, of: tuple[int, ...]) -> list[int]:
    """Return where the images with these numbers stand among the samples."""
    there = {int(index): place for place, index in enumerate(samples.indices)}
    missing = [one for one in of if one not in there]
    if missing:
        raise cnnvis.UserError(
            f"the image {missing[0]} is not among the {len(samples)} images that are compared; leave "
            "out --images to compare all"
        )
    if len(samples) < 2:
        raise cnnvis.UserError("there is 1 image, and no other to compare it with; give more data")
    return [there[one] for one in of] or [0]


def _before(model: cnnvis.Model) -> str:
    before = model.before_target()
    if not before:
        raise cnnvis.UserError(
            f"no layer is before {model.layer!r}; name a layer to compare images by with --by"
        )
    return before[-1].name


def _outputs(model: cnnvis.Model, samples: cnnvis.Samples, distance: str) -> Array:
    """Return the output of the target for each sample, (n, values); for cosine, of length 1."""
    import numpy as np

    found = model.with_inputs_held(samples).outputs(np.asarray(samples.x, np.float32))
    flat = found.reshape(len(found), -1).astype(np.float64)
    if distance == "euclidean":
        return flat
    sizes = np.linalg.norm(flat, axis=1, keepdims=True)
    if not sizes.all():
        at = samples.indices[int(np.flatnonzero(sizes[:, 0] == 0)[0])]
        raise cnnvis.UserError(
            f"the output of {model.layer!r} is 0 everywhere for image {at}, so it has no angle to "
            "others; use --distance euclidean, or another layer with --by"
        )
    unit: Array = flat / sizes
    return unit


def _has_copies(near: Array, place: int) -> bool:
    others = near.copy()
    others[place] = math.inf
    return bool(others.min() <= 1e-12)


def _name(samples: cnnvis.Samples, place: int) -> str:
    """Return the number of a sample in the data, its name and its label."""
    words = [f"#{samples.indices[place]}"]
    if samples.names is not None:
        words.append(samples.names[place])
    label = samples.label_name(place)
    return " ".join([*words, f"label {label}"] if label is not None else words)
