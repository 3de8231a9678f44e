"""Noisy copies of inputs, and maps of what their gradients have over channels."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Annotated, Any, Literal

import cnnvis

from ._tolerance import Draws, uncertainty

if TYPE_CHECKING:
    import numpy.typing as npt

    Array = npt.NDArray[Any]

Copies = Annotated[
    cnnvis.Count,
    cnnvis.Help("The number of noisy copies of each image, with the same noise for every image."),
]
Noise = Annotated[
    cnnvis.NotNegative,
    cnnvis.Help("The standard deviation of the noise, as a share of the image's range."),
]
Channels = Annotated[
    Literal["max", "each"], cnnvis.Help("The maximum over channels, or a map for each channel.")
]


ALIKE = 128
"""Number of copies that tell something where all have the same gradient.

A part of the network that noise seldom switches on is missed by fewer: with this number, what 1 in 43 copies would
show is seen in 95 % of cases.
"""

ROUNDING = 1e-5
"""Uncertainty up to which all gradients are the same but for rounding."""


def moments(
    model: cnnvis.Model, samples: cnnvis.Samples, copies: int, noise: float, seed: int
) -> tuple[Array, Array]:
    """Return the mean and the variance of the gradients of noisy copies, (n, ...) each."""
    return model.gradient_moments(*noisy_copies(samples, copies, noise, seed))


def mean_within(
    model: cnnvis.Model,
    samples: cnnvis.Samples,
    draws: Draws,
    noise: float,
    seed: int,
    backprop: cnnvis.Backprop | None = None,
) -> tuple[Array, dict[str, Array]]:
    """Return the mean gradient of as many noisy copies as a tolerance takes, and measures of it.

    Copies come in pairs, with a noise and with the opposite noise: what the gradient changes by in
    proportion to the noise is in no mean of a pair.

    Parameters
    ----------
    draws
        The copies that an image takes, an even number at a time.
    """
    import numpy as np

    x = np.asarray(samples.x, np.float32)
    mean, squares = np.zeros(x.shape), np.zeros(x.shape)
    weights = model.target_weights(x)

    def take(left: Array, some: range) -> Array:
        settings: dict[str, Any] = {"weights": weights[left], "of": left.tolist()}
        of = samples if left.size == len(x) else samples[left.tolist()]
        for start in range(some.start, some.stop, draws.first):  # of a size that is compiled
            count = min(draws.first, some.stop - start)
            copies = noisy_copies(of, count, noise, seed, pairs_from=start // 2)
            middle, variance = model.gradient_moments(*copies, backprop=backprop, **settings)
            before, more = start // 2, count // 2
            change, whole = middle - mean[left], before + more
            squares[left] += variance * float(more - 1) + change**2 * (before * more / whole)
            mean[left] += change * (more / whole)
        pairs = some.stop // 2
        errors = np.sqrt(squares[left] / max(pairs - 1, 1) / pairs)
        unsure = uncertainty(errors, mean[left], pairs - 1)
        if noise > 0 and some.stop < ALIKE:
            unsure[unsure < ROUNDING] = np.inf
        return unsure

    taken, unsure = draws.taken(samples, take)
    return mean.astype(np.float32), {"uncertainty": unsure, "copies": taken}


def over_channels(maps: Array, samples: cnnvis.Samples, channels: str) -> Any:
    """Return the maximum of maps over channels, or the maps where each channel has its own."""
    return cnnvis.channel_max(maps, samples.channel_axis if channels == "max" else None)


def noisy_copies(
    samples: cnnvis.Samples,
    copies: int,
    noise: float,
    seed: int,
    *,
    pairs_from: int | None = None,
) -> tuple[Array, cnnvis.Perturbations]:
    """Return the inputs, and their copies with noise.

    Parameters
    ----------
    pairs_from
        The number of the first pair of copies with opposite noise; None where each copy has its own.
    """
    import numpy as np

    x = np.asarray(samples.x, np.float32)

    def drawn(some: range) -> list[Array]:
        """Draw the copies' noise: the same for every image, so that none depends on its place."""
        every = (np.random.default_rng((seed, copy)) for copy in some)
        return [np.stack([one.standard_normal(x.shape[1:], np.float32) for one in every])]

    def in_pairs(first: int, some: range) -> list[Array]:
        begin, stop = some.start // 2, -(-some.stop // 2)
        (found,) = drawn(range(first + begin, first + stop))
        both = np.stack([found, -found], axis=1).reshape(-1, *x.shape[1:])
        return [both[some.start - 2 * begin :][: len(some)]]

    deviation = noise * np.ptp(x.reshape(len(x), -1), axis=1)
    if pairs_from is None:
        return x, cnnvis.Perturbations(_noisy, drawn, copies, [deviation])
    return x, cnnvis.Perturbations(
        _noisy, functools.partial(in_pairs, pairs_from), copies, [deviation], together=2
    )


def _noisy(x: Any, deviation: Any, noise: Any) -> Any:
    return x + noise * deviation
