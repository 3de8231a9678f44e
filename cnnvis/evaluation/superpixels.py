"""Superpixels: parts of an image that lie together and have similar values, as many in each image."""

from __future__ import annotations

import numpy as np

from cnnvis.data.samples import Array
from cnnvis.errors import UserError

COMPACTNESS = 0.1
"""Difference of values, of a range from 0 to 1, that weighs as much as the width of a superpixel."""

MOST_AXES = 3
"""Largest number of spatial axes of the images whose superpixels scikit-image can find."""


def superpixels_of(images: Array, channel_axis: int | None, count: int) -> Array:
    """Return the number of the superpixel of each position, (n, *space) whole numbers from 0.

    By SLIC, Achanta et al. 2012, doi:10.1109/TPAMI.2012.120, with each channel scaled to the range
    from 0 to 1. SLIC gives about as many superpixels as it is asked for; here the smallest are joined
    to the neighbour with the most similar values, or the largest are cut in two, until there are
    exactly as many.

    Parameters
    ----------
    images
        (n, ...), by themselves: the superpixels of an image do not depend on the other images.
    count
        The number of superpixels of each image.

    Raises
    ------
    UserError
        If the images have too many axes, or fewer positions than superpixels.
    """
    values = np.asarray(images, np.float64)
    values = values[..., None] if channel_axis is None else np.moveaxis(values, channel_axis, -1)
    space = values.shape[1:-1]
    if not 1 <= len(space) <= MOST_AXES:
        raise UserError(
            f"superpixels are of images with 1 to {MOST_AXES} spatial axes, and these have "
            f"{len(space)}; name axes as units instead"
        )
    if not 2 <= count <= np.prod(space):
        raise UserError(
            f"there can be 2 to {np.prod(space)} superpixels of {np.prod(space)} positions, and not "
            f"{count}"
        )
    return np.stack([_of_one(one, count) for one in values])


def _of_one(values: Array, count: int) -> Array:
    """Return the superpixels of one image, (*space, c)."""
    from skimage.segmentation import slic

    space = values.shape[:-1]
    inner = tuple(range(len(space)))
    # Each channel counts alike, whatever its unit.
    low, spread = values.min(axis=inner), np.ptp(values, axis=inner)
    values = (values - low) / np.where(spread > 0, spread, 1) / np.sqrt(values.shape[-1])
    flat = values if len(space) > 1 else values[None]  # SLIC knows no images of one axis
    found = slic(
        flat, n_segments=count, compactness=COMPACTNESS, channel_axis=-1, convert2lab=False,
        start_label=0,
    )  # fmt: skip
    return _exactly(found.reshape(space), values, count)


def _exactly(labels: Array, values: Array, count: int) -> Array:
    """Join or cut superpixels until there are so many, numbered from 0."""
    labels = np.unique(labels, return_inverse=True)[1].reshape(labels.shape)
    number = int(labels.max()) + 1
    while number > count:
        sizes = np.bincount(labels.ravel())
        sums = [np.bincount(labels.ravel(), one) for one in values.reshape(-1, values.shape[-1]).T]
        means = np.stack(sums, axis=-1) / sizes[:, None]
        least = int(sizes.argmin())
        near = _neighbours(labels, least)
        away = np.square(means[near] - means[least]).sum(axis=-1)
        labels[labels == least] = near[int(away.argmin())]
        labels[labels == number - 1] = least  # so that no number is left out
        number -= 1
    while number < count:
        places = np.argwhere(labels == np.bincount(labels.ravel()).argmax())
        axis = int(np.ptp(places, axis=0).argmax())
        order = places[:, axis].argsort(kind="stable")
        labels[tuple(places[order[len(order) // 2 :]].T)] = number
        number += 1
    return labels


def _neighbours(labels: Array, one: int) -> Array:
    """Return the numbers of the superpixels beside one."""
    found = set()
    for axis in range(labels.ndim):
        before, after = (
            np.take(labels, range(start, labels.shape[axis] - 1 + start), axis=axis)
            for start in (0, 1)
        )
        found |= {*after[before == one].tolist(), *before[after == one].tolist()}
    return np.array(sorted(found - {one}))
