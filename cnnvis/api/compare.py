"""Similarity of two explanations of the same images, in numbers and side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

from cnnvis import demo
from cnnvis.api.from_python import from_python
from cnnvis.api.run import run
from cnnvis.data.class_names import names_in_order
from cnnvis.data.explanation import CHANNEL, Explanation
from cnnvis.data.image_selection import selection_of
from cnnvis.data.samples import Array
from cnnvis.data.shown import Shown
from cnnvis.errors import UserError
from cnnvis.evaluation.similarity import MEASURES, similarity_of
from cnnvis.execution.isolation import isolates
from cnnvis.explain.inputs import load_model
from cnnvis.network.model import Model
from cnnvis.registry.arguments import LoadOptions, names_of
from cnnvis.reporting import progress

Side = str | PathLike[str] | Explanation | tuple[str, Mapping[str, Any]]
"""Side of a comparison: a technique's name, alone or with options; an explanation or its file."""


@dataclass(frozen=True)
class Comparison(Shown):
    """Two explanations of the same images, and the similarity of their maps.

    Attributes
    ----------
    names
        The names of the two explanations.
    first, second
        The explanations that were compared, scaled if the comparison asked for it.
    measures
        The value of each of `MEASURES` for each pair of maps, (n,) float64 by name.
    other_inputs
        The comparisons for the other inputs, of a network with several inputs.
    """

    names: tuple[str, str]
    first: Explanation
    second: Explanation
    measures: Mapping[str, Array]
    other_inputs: tuple[Comparison, ...] = ()

    def __repr__(self) -> str:
        known = ", ".join(f"{name} {value:.3g}" for name, value in self.in_all.items())
        return f"<Comparison: {' and '.join(self.names)}, {len(self.first)} maps each, {known}>"

    @property
    def in_all(self) -> dict[str, float]:
        """Value of each measure for all images together.

        The largest value of `largest` and `share`, the mean of all other measures; images without a
        value are left out.
        """
        found = {}
        for name, values in self.measures.items():
            known = values[~np.isnan(values)]
            worst = name in ("largest", "share")
            found[name] = float("nan") if not len(known) else float(
                known.max() if worst else known.mean()
            )  # fmt: skip
        return found

    @property
    def titles(self) -> tuple[str, ...]:
        """Titles of the pairs of maps: image, label and target."""
        return tuple(" ".join(self.first.title(i).splitlines()[:2]) for i in range(len(self.first)))

    def figure(self, limit: int = 8) -> Explanation:
        """Return three maps for each image: the first map, the second map, and their difference.

        Where neither map has signs, the third is the absolute difference. `limit` is the number of
        images.
        """
        one, other = self.first.array[:limit], self.second.array[:limit]
        signed = self.first.is_signed or self.second.is_signed
        difference = one - other if signed else np.abs(one - other)
        maps = np.stack([one, other, difference], axis=1)
        names = (*self.names, "difference")
        return Explanation(
            maps.reshape(-1, *one.shape[1:]),
            axes=self.first.axes,
            titles=tuple(f"{title}\n{name}" for title in self.titles[:limit] for name in names),
            signed=signed,
            provenance={
                "technique": " and ".join(self.names),
                "options": {},
                "first": dict(self.first.provenance),
                "second": dict(self.second.provenance),
            },
            coordinates=self.first.coordinates,
            input=self.first.input,
        )


@isolates
@from_python
def compare(
    first: Side,
    second: Side,
    model: Model | str | PathLike[str] | Any = None,
    *,
    scaled: bool = False,
    top: float = 10.0,
    isolate: bool | str | Sequence[str] = False,
    isolate_timeout: float | None = None,
    isolate_memory: float | None = None,
    **subject: Any,
) -> Comparison:
    """Compare two techniques, two settings of a technique, or two saved explanations.

    Parameters
    ----------
    first, second
        A technique's name; a pair of a name and options, ``("saliency", {"backprop": None})``; an
        `Explanation`, or the path of a saved explanation.
    model
        As in `cnnvis.run`; not needed for explanations.
    scaled
        Scale each map to [0, 1] before the comparison, for techniques with values in different
        units.
    top
        The share of the places, in per cent, that count as the strongest places of a map, by the
        size of their values: fewer if fewer places are not zero. Places that tie for the last rank
        count in part.
    isolate, isolate_timeout, isolate_memory
        As in `cnnvis.run`.
    subject
        The model and data to explain, as the arguments of `cnnvis.run` by name: ``data``,
        ``images``, ``layer``, ...

    Raises
    ------
    UserError
        If the two explanations have different images or maps of different shapes; or as in
        `cnnvis.run`.
    """
    if not 0 < top <= 100:
        raise UserError(f"top is {top:g}, and must be above 0 and at most 100 per cent")
    sides, selection = (first, second), selection_of(subject.get("images"))
    subject["class_names"] = names_in_order(subject.get("class_names"))  # which is wanted twice
    if model is None and any(not _is_saved(side) for side in sides):
        raise UserError("techniques are compared on a model: name its file, or demo")
    if isinstance(model, str | PathLike) and model != demo.NAME:
        # Loaded once for both.
        lacking = {name: subject.pop(name) for name in names_of(LoadOptions) if subject.get(name)}
        model = load_model(model, **lacking)
    one = _explained(first, model, subject)
    if selection.asks_network and not _is_saved(first) and one.indices is not None:
        subject["images"] = one.indices.tolist()  # the network need not be asked again
    both = (one, _explained(second, model, subject))
    found = []
    for pair in _inputs_of(*both):
        one, other = _matched(*pair)
        if scaled:
            one, other = (
                each.with_maps(_scaled(each.array), signed=False) for each in (one, other)
            )
        found.append(Comparison(_names(sides), one, other, _measured(one, other, top)))
    return replace(found[0], other_inputs=tuple(found[1:]))


def _scaled(maps: Array) -> Array:
    """Scale each map to 0 to 1 by itself, however small its values; constant maps become 0."""
    axes = tuple(range(1, maps.ndim))
    low, high = maps.min(axis=axes, keepdims=True), maps.max(axis=axes, keepdims=True)
    spread = high - low
    found: Array = np.divide(maps - low, spread, out=np.zeros_like(maps), where=spread > 0)
    return found


def _is_saved(side: Side) -> bool:
    """Tell whether a side is an explanation or the file of an explanation."""
    if isinstance(side, Explanation):
        return True
    return isinstance(side, str | PathLike) and Path(side).suffix == ".npz"


def _explained(side: Side, model: Any, subject: Mapping[str, Any]) -> Explanation:
    if isinstance(side, Explanation):
        found = side
    elif isinstance(side, str | PathLike) and _is_saved(side):
        found = Explanation.load(side)
    elif isinstance(side, tuple):
        found = run(side[0], model, **subject, **side[1])
    else:
        found = run(str(side), model, **subject)
    if found.maps is None:
        raise UserError(f"{_name(side)} gives a table, and a comparison needs maps")
    return found


def _name(side: Side) -> str:
    if isinstance(side, Explanation):
        return str(side.provenance.get("technique", "explanation"))
    if isinstance(side, tuple):
        return " ".join([side[0], *(f"{key}={value}" for key, value in side[1].items())])
    return Path(side).name if _is_saved(side) else str(side)


def _names(sides: Sequence[Side]) -> tuple[str, str]:
    first, second = map(_name, sides)
    return (first, second) if first != second else (f"{first} (1)", f"{second} (2)")


def _inputs_of(one: Explanation, other: Explanation) -> list[tuple[Explanation, Explanation]]:
    """Return the pairs of maps for each input of the network that both explanations have."""
    others = {each.input: each for each in (other, *other.other_inputs)}
    pairs = [
        (each, others[each.input]) for each in (one, *one.other_inputs) if each.input in others
    ]
    if not pairs:
        raise UserError(
            f"the first explanation is of the input {one.input!r}, and the second of "
            f"{other.input!r}"
        )
    return pairs


def _matched(one: Explanation, other: Explanation) -> tuple[Explanation, Explanation]:
    """Return the maps of the images, or groups, that both explain, in the same order and shape."""
    if one.groups and other.groups:
        names = [name for name in one.groups if name in other.groups]
        if not names:
            raise UserError(
                f"the two explanations have different groups, {', '.join(one.groups)} and "
                f"{', '.join(other.groups)}, so cnnvis cannot compare them"
            )
        one, other = (each[[each.groups.index(name) for name in names]] for each in (one, other))
    if (one.indices is None) != (other.indices is None) or (
        one.indices is None and len(one) != len(other)
    ):
        raise UserError(
            f"{len(one)} maps and {len(other)} maps cannot be compared, since it is not known "
            "which maps belong together"
        )
    if one.indices is not None and other.indices is not None:
        is_several = one.has_several_targets or other.has_several_targets
        mine, others = (_keys(each, with_targets=is_several) for each in (one, other))
        places = {key: place for place, key in enumerate(others)}
        shared = [i for i, key in enumerate(mine) if key in places]
        if not shared:
            raise UserError(
                f"the two explanations have no image {'and target ' * is_several}in common, so cnnvis "
                "cannot compare them"
            )
        other = other[[places[mine[i]] for i in shared]]
        one = one[shared]
    one, other = (_without_lone_channel(each) for each in (one, other))
    if one.array.shape != other.array.shape:
        raise UserError(
            f"maps of shape {one.array.shape[1:]} ({', '.join(one.axes)}) and "
            f"{other.array.shape[1:]} ({', '.join(other.axes)}) cannot be compared place by place"
        )
    return one, other


def _keys(found: Explanation, *, with_targets: bool) -> list[tuple[int, str]]:
    """Return what maps are of: the image, and the target where images have maps of several."""
    assert found.indices is not None
    targets = map(str, found.targets) if with_targets and found.targets else [""] * len(found)
    return list(zip(found.indices.tolist(), targets, strict=True))


def _without_lone_channel(found: Explanation) -> Explanation:
    if CHANNEL not in found.axes:
        return found
    axis = found.axes.index(CHANNEL)
    if found.array.shape[axis + 1] != 1:
        return found
    axes = tuple(name for name in found.axes if name != CHANNEL)
    return replace(found, maps=found.array.squeeze(axis + 1), axes=axes, frames=None)


def _measured(one: Explanation, other: Explanation, top: float) -> dict[str, Array]:
    channel = one.axes.index(CHANNEL) if CHANNEL in one.axes else None
    rows = []
    with progress("comparing", len(one)) as advance:
        for a, b in zip(one.array, other.array, strict=True):
            rows.append(similarity_of(a.astype(np.float64), b.astype(np.float64), top, channel))
            advance(1)
    return {name: np.array([row[name] for row in rows]) for name in MEASURES}
