"""Comparison of the maps of groups, which come batch by batch."""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping, Sequence
from types import TracebackType

import numpy as np

from cnnvis.data.samples import Array
from cnnvis.errors import UserError, numbered
from cnnvis.evaluation.covariates import Adjusted
from cnnvis.evaluation.group_design import Cell, GroupDesign, design_of
from cnnvis.evaluation.group_regions import GroupRegion, regions_of
from cnnvis.evaluation.group_tests import GroupPlan, GroupTest, tested
from cnnvis.evaluation.map_rows import MapRows
from cnnvis.evaluation.scratch import Scratch


class GroupComparison:
    """Comparison of the maps of groups; a context that removes its temporary file.

    Only sums are kept: a map for each unit and group. More than fit into memory lie in a temporary file.

    Parameters
    ----------
    plan
        How the groups are compared.
    shape
        The shape of a map.
    channel
        The axis of channels in it; None without channels.
    covariates
        The names of covariates.
    one_each
        True where each unit has a single map.
    """

    def __init__(
        self,
        plan: GroupPlan,
        shape: tuple[int, ...],
        *,
        channel: int | None = None,
        covariates: Sequence[str] = (),
        one_each: bool = False,
    ) -> None:
        self.plan, self.shape, self.channel = plan, shape, channel
        self._names = tuple(covariates)
        self._scratch = Scratch()
        # Of a single map for each unit, single precision loses nothing.
        dtype = np.float32 if one_each else np.float64
        self._rows = MapRows(math.prod(shape), self._scratch, dtype)
        self._covariates: dict[Hashable, Array] = {}

    def __enter__(self) -> GroupComparison:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._scratch.__exit__(kind, error, trace)

    def add(
        self,
        maps: Array,
        groups: Sequence[Hashable],
        units: Sequence[Hashable],
        pairs: Sequence[Hashable] | None = None,
        covariates: Array | None = None,
    ) -> None:
        """Add the maps of some images.

        Parameters
        ----------
        maps
            (n, ...).
        groups
            The group of each image.
        units
            The unit of sampling of each image, such as its subject.
        pairs
            The pair of each image, in its unit; None without pairs.
        covariates
            The numbers of each image, (n, covariates).

        Raises
        ------
        UserError
            If a map or a covariate holds NaN or infinite values, or there is not one of each for each map.
        DiskError
            If there is no room for the maps.
        """
        if maps.shape[1:] != self.shape or {len(groups), len(units)} != {len(maps)}:
            raise UserError(
                f"there are {len(maps)} maps of {maps.shape[1:]}, {numbered(len(groups), 'group')} and "
                f"{numbered(len(units), 'unit')}; each map has the shape {self.shape}, a group and a unit"
            )
        if not np.isfinite(maps).all():
            raise UserError("a map holds NaN or infinite values, and has no mean with others")
        if (covariates is None) != (not self._names):
            raise UserError("covariates are given with their names, and names with covariates")
        if covariates is not None and not np.isfinite(covariates).all():
            raise UserError("a covariate is NaN or infinite")
        pairs = [None] * len(maps) if pairs is None else pairs
        cells = [Cell(*one) for one in zip(units, pairs, groups, strict=True)]
        self._rows.add(cells, maps.reshape(len(maps), -1))
        for cell, numbers in zip(cells, () if covariates is None else covariates, strict=False):
            self._covariates[cell] = self._covariates.get(cell, 0.0) + numbers

    def design(self, names: Mapping[Hashable, str], *, is_paired: bool = False) -> GroupDesign:
        """Return the design that the units and some of the groups make.

        Parameters
        ----------
        names
            The names of groups, in order, by the groups that were added.
        is_paired
            True where pairs were given.

        Raises
        ------
        UserError
            If these units cannot be compared.
        """
        return design_of(list(self._rows.keys), self._rows.counts, names, is_paired=is_paired)

    def test(self, design: GroupDesign) -> GroupTest:
        """Return the test of a design.

        Raises
        ------
        UserError
            If a group has too few units, or covariates do not fit the design.
        DiskError
            If there is no room for the draws.
        """
        model = None
        if self._names:
            if design.kind != "between" or len(design.counts) != 2:
                raise UserError(
                    "covariates are taken out of comparisons of two groups of different units, and this "
                    "comparison is "
                    + (
                        "within units"
                        if design.kind == "within"
                        else f"of {numbered(len(design.counts), 'group')}"
                    )
                )
            rows = np.stack([self._covariates[cell] for cell in self._rows.keys])
            rows = rows / self._rows.counts[:, None]
            model = Adjusted.of(design.counts, np.asarray(design.weights @ rows), self._names)
        return tested(self._rows, design, self.plan, self.shape, self.channel, self._scratch, model)

    def regions(self, test: GroupTest, alpha: float = 0.05) -> list[GroupRegion]:
        """Return the regions in which the groups differ; see `cnnvis.evaluation.group_regions`."""
        return regions_of(test, self.shape, self.channel, alpha)
