"""Designs of comparisons: which units there are, in which group each is, and what is exchanged."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np

from cnnvis.data.samples import Array
from cnnvis.errors import UserError, numbered
from cnnvis.reporting import note

NAMED = 4
"""Largest number of groups that are named one by one."""


class Cell(NamedTuple):
    """Key of the maps of a unit in a group: the unit of sampling, the pair in it, and the group."""

    unit: Hashable
    pair: Hashable
    group: Hashable


@dataclass(frozen=True)
class GroupDesign:
    """Units and groups of a comparison.

    Attributes
    ----------
    kind
        ``between``: each unit is in one group, and units are permuted. ``within``: units hold maps
        of both groups, and the signs of their differences change. ``zero``: one group is compared
        with zero, and the signs of its units' maps change.
    groups
        The names of the groups, in order: differences are the last of two minus the first.
    counts
        The number of units of each group; of differences, of all.
    images
        The number of images of each group.
    weights
        The maps of the units from the rows of cells, (units, rows), sparse. Units of one group
        follow another.
    units
        The units, in this order.
    """

    kind: Literal["between", "within", "zero"]
    groups: tuple[str, ...]
    counts: tuple[int, ...]
    images: tuple[int, ...]
    weights: Any
    units: tuple[Hashable, ...]

    def maps(self, means: Array) -> Array:
        """Return the maps of the units, (units, places), from those of the cells, (rows, places)."""
        if self.kind == "within":
            return np.asarray(self.weights @ means)
        found: Array = means[self.weights.indices]  # each unit has a single cell
        return found

    @property
    def sizes(self) -> str:
        """Numbers of units and images in words: ``no: 12 units, 60 images; yes: ...``."""
        if len(self.groups) > NAMED:
            return (
                f"{len(self.groups)} groups of {min(self.counts)} to {numbered(max(self.counts), 'unit')}, "
                f"{numbered(sum(self.images), 'image')}"
            )
        images = [
            f"{name}: {numbered(count, 'image')}"
            for name, count in zip(self.groups, self.images, strict=True)
        ]
        if self.kind == "within":
            return f"{numbered(self.counts[0], 'unit')}; {'; '.join(images)}"
        if self.images == self.counts:
            return "; ".join(images)
        return "; ".join(
            f"{one} of {numbered(count, 'unit')}"
            for one, count in zip(images, self.counts, strict=True)
        )


def design_of(
    cells: Sequence[Cell], counts: Array, names: Mapping[Hashable, str], *, is_paired: bool
) -> GroupDesign:
    """Return the design that cells of units and groups make.

    Parameters
    ----------
    cells
        The cell of each row of maps.
    counts
        The number of images of each row.
    names
        The name of each group, in order.
    is_paired
        True where pairs were given: then each pair must hold both groups.

    Raises
    ------
    UserError
        If there is nothing to compare, or units hold some groups in some units only.
    """
    keys = [*names]
    images = dict.fromkeys(keys, 0)
    inner: dict[tuple[Hashable, Hashable], dict[Hashable, int]] = {}
    for row, (cell, count) in enumerate(zip(cells, counts, strict=True)):
        if cell.group not in images:
            continue
        images[cell.group] += int(count)
        inner.setdefault((cell.unit, cell.pair), {})[cell.group] = row
    whole = {key: rows for key, rows in inner.items() if len(rows) == len(keys)}
    named = tuple(names[key] for key in keys)
    shown = tuple(images[key] for key in keys)
    if len(keys) > 1 and (is_paired or any(len(rows) > 1 for rows in inner.values())):
        _require_whole(inner, whole, named, is_paired)
        shown = tuple(sum(int(counts[rows[key]]) for rows in whole.values()) for key in keys)
        units, weights = _differences(whole, keys, len(cells))
        return GroupDesign("within", named, (len(units),), shown, weights, units)
    order = [(key, *one) for key in keys for one in _of_group(inner, key)]
    places = np.array([row for _, _, row in order], np.int64)
    each = tuple(sum(one == key for one, _, _ in order) for key in keys)
    weights = _sparse(np.ones(len(order)), np.arange(len(order)), places, (len(order), len(cells)))
    return GroupDesign(
        "zero" if len(keys) == 1 else "between",
        named, each, shown, weights, tuple(unit for _, unit, _ in order),
    )  # fmt: skip


def _of_group(
    inner: Mapping[tuple[Hashable, Hashable], Mapping[Hashable, int]], key: Hashable
) -> list[tuple[Hashable, int]]:
    return [(unit, rows[key]) for (unit, _), rows in inner.items() if key in rows]


def _require_whole(
    inner: Mapping[Any, Any], whole: Mapping[Any, Any], names: Sequence[str], is_paired: bool
) -> None:
    """Refuse units of which too few hold both groups, and make a note on those left out."""
    what = "pair" if is_paired else "unit"
    if len(names) > 2:
        raise UserError(
            f"{what}s hold images of several of {len(names)} groups; within {what}s two groups are "
            "compared: choose two with --of A B"
        )
    left = len(inner) - len(whole)
    if 2 * len(whole) < len(inner):
        raise UserError(
            f"{numbered(len(whole), what)} of {len(inner)} hold images of both {names[0]} and "
            f"{names[1]}, and {left} of one only: "
            + ("each pair must" if is_paired else "either each unit is in one group, or most must")
            + f" hold both. Choose images, or name the {what}s by another column"
        )
    if left:
        note(f"{numbered(left, what)} of {len(inner)} with images of one group only are left out")


def _differences(
    whole: Mapping[tuple[Hashable, Hashable], Mapping[Hashable, int]],
    keys: Sequence[Hashable],
    rows: int,
) -> tuple[tuple[Hashable, ...], Any]:
    """Return units and weights of the mean difference of the last group and the first in each."""
    units: dict[Hashable, int] = {}
    for unit, _ in whole:
        units.setdefault(unit, len(units))
    pairs = np.bincount([units[unit] for unit, _ in whole], minlength=len(units))
    entries = [
        (sign / pairs[units[unit]], units[unit], own[key])
        for (unit, _), own in whole.items()
        for sign, key in ((1, keys[-1]), (-1, keys[0]))
    ]
    values, lines, columns = zip(*entries, strict=True)
    return tuple(units), _sparse(values, lines, columns, (len(units), rows))


def _sparse(values: Any, rows: Any, columns: Any, shape: tuple[int, int]) -> Any:
    from scipy import sparse

    return sparse.csr_matrix((np.asarray(values, np.float64), (rows, columns)), shape)
