"""Sensitivity of maps to small changes of the input."""

from __future__ import annotations

from typing import Any

import cnnvis

AT_ONCE = 64
"""Number of images that are changed at a time."""


@cnnvis.metric("max-sensitivity", reference="arXiv:1901.09392", better="lower")
def max_sensitivity(
    explanation: cnnvis.Explanation,
    explainer: cnnvis.Explainer,
    *,
    radius: cnnvis.Share = 0.02,
    draws: cnnvis.Count = 10,
    seed: cnnvis.Seed = 0,
) -> Any:
    """The largest change of a map under a little noise in the input, as a share of the map's size.

    max over draws of |M(x + e) - M(x)| / |M(x)|, with roots of sums of squares as sizes: Yeh et al. 2019,
    definition 3.1, divided by the map's size so that methods can be compared. The noise e is
    uniform in each value between -r and r, and r a share of the image's range, the largest of its
    values less the smallest. The explained class stays that of x. The worst noise may change more than
    the worst of a few draws does, and a method that averages over noise is better by construction.
    NaN for a map that is 0 everywhere.

    Parameters
    ----------
    radius
        The largest noise, as a share of the range of the image's values.
    draws
        How many noisy copies of each image are explained.
    """
    import numpy as np

    samples = explanation.samples
    if samples is None:
        raise cnnvis.UserError("max-sensitivity changes images, and these maps are of none")
    own = [target.filters for target in explanation.targets]
    # A sum of outputs is the same for every image, and stays by itself.
    has_classes = bool(own) and all(len(one) == 1 for one in own)
    found = np.full(len(samples), np.nan)
    for start in range(0, len(samples), AT_ONCE):
        rows = slice(start, start + AT_ONCE)
        batch, maps = samples[rows], explanation.array[rows]
        filters = [one[0] for one in own[rows]] if has_classes else None
        for number in range(draws):
            noisy = _with_noise(batch, radius, [seed, number])
            change = cnnvis.relative_change(maps, explainer.maps(noisy, filters))
            found[rows] = np.fmax(found[rows], change)
    return found


def _with_noise(samples: cnnvis.Samples, radius: float, key: list[int]) -> cnnvis.Samples:
    """Return samples with noise of a share of each image's range."""
    import dataclasses

    import numpy as np

    x = np.asarray(samples.x, np.float32)
    spread = np.ptp(x.reshape(len(x), -1), axis=1).reshape(-1, *[1] * (x.ndim - 1))
    seeds = [[*key, int(index)] for index in samples.indices]
    noise = cnnvis.image_noise(x, samples.channel_axis, seeds, "uniform")
    return dataclasses.replace(samples, source=(x + radius * spread * noise).astype(np.float32))
