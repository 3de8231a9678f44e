"""Maps smoothed over space."""

from __future__ import annotations

import cnnvis

WIDEST = 1e5


def _check(*, sigma: float) -> None:
    if not sigma <= WIDEST:
        raise cnnvis.UserError(
            f"sigma is {sigma:g}, and can be 0 to {WIDEST:g} positions of the map"
        )


@cnnvis.transform("smooth", check=_check)
def smooth(
    explanation: cnnvis.Explanation, *, sigma: cnnvis.NotNegative = 1.0
) -> cnnvis.Explanation:
    """Smooth each map over its spatial axes with a Gaussian; channels stay apart.

    Parameters
    ----------
    sigma
        The standard deviation of the Gaussian, in positions of the map.
    """
    from scipy import ndimage

    axes = explanation.space_axes()
    maps = ndimage.gaussian_filter(explanation.maps, sigma, axes=axes, mode="nearest")
    return explanation.with_maps(maps)
