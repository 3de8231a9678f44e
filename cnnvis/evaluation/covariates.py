"""Comparison of two groups with covariates: what these explain is taken out of the maps first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from cnnvis.data.samples import Array
from cnnvis.errors import UserError
from cnnvis.evaluation.group_draws import Drawn
from cnnvis.evaluation.group_statistics import Moments, unbiased


@dataclass(frozen=True)
class Adjusted:
    """Linear model of the maps of units: two groups, and covariates.

    The difference of the groups is ``a . y`` with the maps y of the units; each group has a variance
    of its own, ``sum of its squared residuals / sum of (1 - leverage)``. Without covariates this is
    Welch's t.

    Attributes
    ----------
    groups
        The group of each unit, 0 or 1, (units,).
    basis
        An orthonormal basis of groups and covariates, (units, k).
    reduced
        An orthonormal basis of covariates and a constant, (units, k - 1).
    contrast
        The weights a of the difference, (units,).
    """

    groups: Array
    basis: Array
    reduced: Array
    contrast: Array

    @classmethod
    def of(cls, counts: Sequence[int], covariates: Array, names: Sequence[str]) -> Adjusted:
        """Return the model of units that follow one another by group.

        Parameters
        ----------
        counts
            The number of units of both groups.
        covariates
            The covariates of each unit, (units, covariates).
        names
            The name of each covariate.

        Raises
        ------
        UserError
            If a covariate is a constant, or follows from the groups and the others; or if too few
            units are left.
        """
        groups = np.repeat([0, 1], counts)
        spread = covariates.std(axis=0)
        scaled = (covariates - covariates.mean(axis=0)) / np.where(spread > 0, spread, 1)
        columns = [groups == 0, groups == 1]
        for name, column in zip(names, scaled.T, strict=True):
            if np.linalg.matrix_rank(np.stack([*columns, column], axis=1), tol=1e-6) == len(
                columns
            ):
                raise UserError(
                    f"the covariate {name} is constant, or follows from the groups and the other covariates, "
                    "so its effect cannot be told from that of the groups: leave it out"
                )
            columns.append(column)
        design = np.stack(columns, axis=1).astype(np.float64)
        if min(counts) <= design.shape[1]:
            raise UserError(
                f"a group has {min(counts)} units, and with {len(names)} covariates it must have more than "
                f"{design.shape[1]}"
            )
        inverse = np.linalg.pinv(design)
        reduced = np.concatenate([np.ones((len(groups), 1)), scaled], axis=1)
        return cls(
            groups,
            np.linalg.qr(design)[0],
            np.linalg.qr(reduced)[0],
            inverse[1] - inverse[0],
        )

    @property
    def members(self) -> Array:
        """1 for the units of each group, (2, units)."""
        return np.stack([self.groups == 0, self.groups == 1]).astype(np.float64)

    @property
    def freedom(self) -> Array:
        """Degrees of freedom of the variance of each group, (2,)."""
        found: Array = self.members @ (1 - np.square(self.basis).sum(axis=1))
        return found

    def observed(self, maps: Array) -> tuple[Moments, Array]:
        """Return the moments and Hedges' g of the groups' difference, at each place."""
        rest = maps - self.basis @ (self.basis.T @ maps)
        squares = self.members @ np.square(rest)
        apart = self.contrast @ maps
        freedom = len(maps) - self.basis.shape[1]
        return self._moments(apart, squares, self.freedom[:, None]), unbiased(
            apart, squares.sum(axis=0), freedom
        )

    def _moments(self, apart: Array, squares: Array, freedom: Array) -> Moments:
        shares = self.members @ np.square(self.contrast)
        shares = shares.reshape(-1, *(1,) * (squares.ndim - 1))
        variances = np.maximum(squares, 0) / freedom * shares
        return Moments(np.stack([np.zeros_like(apart), apart]), variances, freedom)

    def permuted(self, maps: Array) -> Drawn:
        """Return the moments of permuted residuals from the covariates (Freedman and Lane 1983).

        By the unit that takes the place of each unit, in each draw, (draws, units).

        Parameters
        ----------
        maps
            The maps of the units, (units, places).
        """
        rest = maps - self.reduced @ (self.reduced.T @ maps)
        squares = np.square(rest)

        def moments(orders: Array) -> Moments:
            places = np.argsort(orders, axis=1)  # where each unit goes
            weights = self._functionals()[:, places].transpose(1, 0, 2)
            members = self.members[:, places].transpose(1, 0, 2)
            powers = self._products(members, squares).transpose(1, 0, 2)
            sums = self._products(weights, rest)
            return self._refitted(sums, powers, self.freedom[:, None, None], None)

        return moments

    def flipped(self, maps: Array) -> Drawn:
        """Return the moments of residuals from groups and covariates whose signs are changed."""
        rest = maps - self.basis @ (self.basis.T @ maps)
        powers = (self.members @ np.square(rest))[:, None, :]
        unit = self.contrast / np.linalg.norm(self.contrast)

        def moments(signs: Array) -> Moments:
            sums = self._products(self._functionals() * signs[:, None, :], rest)
            # What is lost by the second fit: the diagonal of R S R S R, summed up over each group.
            turned = signs[:, :, None] * self.basis
            crossed = self.basis.T @ turned
            lost = np.square(turned - self.basis @ crossed).sum(axis=2)
            freedom = self.freedom[:, None] - self.members @ lost.T
            kept = 1 - np.square((signs * unit) @ self.basis).sum(axis=1)
            return self._refitted(sums, powers, freedom[:, :, None], np.sqrt(kept)[:, None])

        return moments

    def _functionals(self) -> Array:
        """Return the weights of the sums that a fit takes, for each group and column, (2 k, units)."""
        return (self.members[:, None, :] * self.basis.T[None]).reshape(-1, len(self.groups))

    @staticmethod
    def _products(weights: Array, maps: Array) -> Array:
        found = weights.reshape(-1, weights.shape[-1]).astype(maps.dtype) @ maps
        return found.reshape(*weights.shape[:2], -1)

    def _refitted(self, sums: Array, powers: Array, freedom: Array, scale: Array | None) -> Moments:
        """Return the moments of a fit of drawn maps, from their sums.

        With v_g the sums of a group and u = v_0 + v_1 the coefficients, the residuals of a group have the
        squares ``sum y^2 - 2 v_g . u + u . M_g u``, where M_g holds the products of its rows of the basis.
        """
        own = sums.reshape(len(sums), 2, -1, sums.shape[-1])
        whole = own.sum(axis=1)
        apart = np.einsum("k,dkp->dp", self.contrast @ self.basis, whole)
        squares = []
        for group, members in enumerate(self.members):
            products = (self.basis * members[:, None]).T @ self.basis
            fitted = np.einsum("jk,dkp->djp", products, whole)
            squares.append(powers[group] + (whole * (fitted - 2 * own[:, group])).sum(axis=1))
        apart = apart if scale is None else apart / scale
        return self._moments(apart, np.stack(squares), freedom)
