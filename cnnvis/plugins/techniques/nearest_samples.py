"""Samples of the data that a layer of the network takes for most alike."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Literal

import cnnvis

from ._examples import batches_of, name_of

if TYPE_CHECKING:
    import numpy.typing as npt

    Array = npt.NDArray[Any]


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
        for places, batch in batches_of(samples):
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
        name_of(chosen, place) if place % order.shape[1] == 0
        else f"{name_of(chosen, place)}, distance {found[place]:.3g}"
        for place in range(len(chosen))
    ]  # fmt: skip
    return cnnvis.Explanation(
        np.array(chosen.x, np.float32),
        axes=cnnvis.axis_names(len(samples.source.shape) - 1, samples.channel_axis),
        titles=tuple(titles),
        are_inputs=True,
        measures={"image": chosen.indices.astype(float), "distance": found},
    )


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
