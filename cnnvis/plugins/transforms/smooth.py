"""Maps smoothed over space."""

from __future__ import annotations

import cnnvis


@cnnvis.transform("smooth")
def smooth(
    explanation: cnnvis.Explanation, *, sigma: cnnvis.NotNegative = 1.0
) -> cnnvis.Explanation:
    """Smooth each map over its spatial axes with a Gaussian; channels stay apart.

    Parameters
    ----------
    sigma
        The deviation of the Gaussian, in positions of the map.
    """
    from scipy import ndimage

    axes = explanation.space_axes()
    maps = ndimage.gaussian_filter(explanation.maps, sigma, axes=axes, mode="nearest")
    return explanation.with_maps(maps)
