"""Baseline of a blurred input."""

from __future__ import annotations

from typing import Any

import cnnvis


@cnnvis.baseline("blur", reference="arXiv:1704.03296")
def blur(samples: cnnvis.Samples, argument: str) -> Any:
    """Each image blurred along its spatial axes: by a tenth of each axis, or by blur:SIGMA positions.

    A Gaussian filter, as Fong and Vedaldi 2017 delete what is in an image; beyond the border the
    image is mirrored.
    """
    import numpy as np
    from scipy import ndimage

    x = np.asarray(samples.x, np.float32)
    space = [axis for axis in range(1, x.ndim) if axis != _channels(samples, x.ndim)]
    try:
        wanted = float(argument) if argument else None
    except ValueError:
        wanted = -1.0
    if wanted is not None and not 0 < wanted < np.inf:
        raise cnnvis.UserError(
            f"the baseline blur takes the width of the blur in positions, blur:3, not {argument!r}"
        )
    sigmas = [x.shape[axis] / 10 if wanted is None else wanted for axis in space]
    return ndimage.gaussian_filter(x, sigmas, axes=space, mode="reflect")


def _channels(samples: cnnvis.Samples, rank: int) -> int | None:
    return None if samples.channel_axis is None else samples.channel_axis % rank
