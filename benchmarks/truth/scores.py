"""How right a map is, where the right places are known."""

from __future__ import annotations

import functools

import numpy as np

import cnnvis
from benchmarks.truth.case import Array, Score

SMOOTHING = 5
"""Columns over which a profile is averaged, as in examples/train_demo.py."""


def smooth_profile(one: Array) -> Array:
    """Return the mean over the rows of a map, averaged over neighbouring columns.

    At the edges only over the columns that exist: zeros beside them would speak for or against an edge.
    """
    profile, kernel = one.mean(axis=0), np.ones(SMOOTHING)
    there = np.convolve(np.ones(len(profile)), kernel, "same")
    return np.convolve(profile, kernel, "same") / there


def columns_off(profile: Array, column: int, near: int) -> float:
    """Return the share of the brightest columns that lie near a column: 1 or 0 without ties.

    A profile without differences says nothing, and gets what chance gets.
    """
    brightest = np.flatnonzero(profile == profile.max())
    return float((abs(brightest - column) <= near).mean())


def average_precision(values: Array, truth: Array) -> float:
    """Return the average precision of values for truth, of any one shape.

    Equal values count together, so that a map without differences gets the share of the truth.
    """
    found = float(cnnvis.average_precision(values[None], truth[None])[0])
    return float(truth.mean()) if np.isnan(found) else found


def hit(values: Array, truth: Array) -> float:
    """Return whether the largest value lies in the truth: 1 or 0, a share for ties."""
    return float(truth[values == values.max()].mean())


def of_places(truth: Array) -> Score:
    """Return the scores of maps whose right places are known, (images, ...) bool."""

    def score(shown: Array, sizes: Array, image: int) -> dict[str, float]:
        return {
            "average precision": average_precision(shown, truth[image]),
            "average precision of sizes": average_precision(sizes, truth[image]),
            "brightest inside": hit(shown, truth[image]),
        }

    return score


def top_precision(sizes: Array, truth: Array) -> float:
    """Return the share of the n largest sizes that lie in the truth, which has n places.

    Zeros are not among them, as in XAI-TRIS; places that tie for the last share what is left.
    """
    count = int(truth.sum())
    values, is_true = sizes.ravel(), truth.ravel()
    limit = np.sort(values)[-count]
    above, tied = values > limit, (values == limit) & (values > 0)
    share = (count - above.sum()) / max(1, tied.sum())
    return float((is_true[above].sum() + min(share, 1.0) * is_true[tied].sum()) / count)


def share_inside(values: Array, truth: Array) -> float:
    """Return the share of the positive values that lies in the truth; that of the places if none is."""
    positive = np.maximum(values, 0.0)
    total = positive.sum()
    return float(positive[truth].sum() / total) if total > 0 else float(truth.mean())


@functools.cache
def _distances(shape: tuple[int, ...]) -> Array:
    places = np.indices(shape).reshape(len(shape), -1).T.astype(float)
    found: Array = np.sqrt(((places[:, None] - places[None]) ** 2).sum(axis=-1))
    return found


@functools.cache
def _balances(sources: int, sinks: int) -> Array:
    """Return the equations of a transport: what leaves each source, and what comes to each sink."""
    leaving = np.kron(np.eye(sources), np.ones(sinks))
    coming = np.kron(np.ones(sources), np.eye(sinks))
    return np.concatenate([leaving, coming])


def earth_mover(sizes: Array, truth: Array) -> float:
    """Return 1 - EMD / Dmax of a map's sizes and the truth, each of sum 1.

    EMD is the least distance, on average, over which the map must be carried to become the truth; Dmax
    the largest distance of two places. A map without values gets what an even one gets.
    """
    from scipy.optimize import linprog

    total = sizes.sum()
    given = (sizes / total if total > 0 else np.full(sizes.shape, 1 / sizes.size)).ravel()
    distances = _distances(truth.shape)
    wanted = np.flatnonzero(truth.ravel())
    cost = distances[:, wanted]
    need = np.full(len(wanted), 1 / len(wanted))
    answer = linprog(
        cost.ravel(),
        A_eq=_balances(len(given), len(wanted))[:-1],  # the last follows from the others
        b_eq=np.concatenate([given, need])[:-1],
        method="highs",
    )
    return float(1 - answer.fun / distances.max())
