"""Imputation of removed positions from their neighbours, so that no edge shows where they were."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import numpy as np

from cnnvis.data.samples import Array

DIRECT, DIAGONAL = 2.0, 1.0
"""Weights of neighbours that differ along one axis and along two; a third axis is one too many."""


def imputed(x: Array, is_out: Array, channel_axis: int | None) -> Array:
    """Replace removed positions by weighted means of their neighbours, (m, ...) float32.

    Each removed position is the mean of its neighbours, those along an axis with twice the weight of
    those along a diagonal, the removed ones among them with the values that they get: a system of
    linear equations for each input. The linear imputation of Rong et al. 2022, arXiv:2202.00449, where
    neighbours over two axes have the weights 1/6 and 1/12; here over any number of axes.

    Parameters
    ----------
    x
        Inputs, (m, ...).
    is_out
        The removed positions of each input, (m, *space) bool; not all of an input.
    channel_axis
        The axis of channels in `x`; None without channels.
    """
    x = np.asarray(x, np.float32)
    planes = x[..., None] if channel_axis is None else np.moveaxis(x, channel_axis, -1)
    found = planes.copy()
    for one, out in zip(found, is_out, strict=True):
        if out.any():
            one[out] = _solved(one, out)
    return found[..., 0] if channel_axis is None else np.moveaxis(found, -1, channel_axis)


def _solved(values: Array, out: Array) -> Array:
    """Return the values of the removed positions of one input, (removed, channels)."""
    from scipy import sparse
    from scipy.sparse import linalg

    where = np.argwhere(out)
    number = np.full(out.shape, -1)
    number[out] = np.arange(len(where))
    weights, known = np.zeros(len(where)), np.zeros((len(where), values.shape[-1]))
    rows, columns, entries = [], [], []
    for offset, weight in _neighbours(out.ndim):
        near = where + offset
        inside = np.flatnonzero(((near >= 0) & (near < out.shape)).all(axis=1))
        place = tuple(near[inside].T)
        other = number[place]
        weights[inside] += weight
        is_known = other < 0
        known[inside[is_known]] += weight * values[place][is_known]
        rows.append(inside[~is_known])
        columns.append(other[~is_known])
        entries.append(np.full((~is_known).sum(), -weight))
    every = np.arange(len(where))
    # Symmetric, so that conjugate gradients solve it, in little memory also over three axes.
    matrix = sparse.csr_matrix(
        (
            np.concatenate([weights, *entries]),
            (np.concatenate([every, *rows]), np.concatenate([every, *columns])),
        )
    )
    start = values[~out].mean(axis=0)
    return np.stack(
        [
            linalg.cg(matrix, right, np.full(len(where), first), rtol=1e-6)[0]
            for right, first in zip(known.T, start, strict=True)
        ],
        axis=-1,
    )


def _neighbours(axes: int) -> Iterator[tuple[tuple[int, ...], float]]:
    for offset in itertools.product((-1, 0, 1), repeat=axes):
        far = sum(map(abs, offset))
        if far in (1, 2):
            yield offset, DIRECT if far == 1 else DIAGONAL
