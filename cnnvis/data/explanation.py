"""Explanation: the result of a technique, with all that is needed to show and to trust it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

from cnnvis.data import exports, save_hook, saving, zarr_maps
from cnnvis.data import labels as labelling
from cnnvis.data.axes import CHANNEL as CHANNEL
from cnnvis.data.axes import Axis
from cnnvis.data.axes import axis_names as axis_names
from cnnvis.data.completeness import chance_in_words, sum_in_words
from cnnvis.data.frames import Frames
from cnnvis.data.peaks import peaks_of
from cnnvis.data.places import Places
from cnnvis.data.samples import Array, Samples
from cnnvis.data.shown import Shown
from cnnvis.data.target import Target
from cnnvis.data.verdict import Verdict
from cnnvis.data.voxel_grid import VoxelGrid
from cnnvis.errors import UserError
from cnnvis.files.addresses import place_of, require_path
from cnnvis.reporting import note
from cnnvis.text import printable


@dataclass(frozen=True, eq=False)
class Explanation(Shown):
    """Maps or a table that explain a decision of a network.

    A technique fills in `maps` (and `samples`, if the maps belong to samples) or `table`;
    `cnnvis.run` adds the targets and the provenance.

    Attributes
    ----------
    maps
        Raw values, (n, ...) float32: one map for each sample, filter or unit; None for a table.
    samples
        The inputs that the maps explain, one for each map, or None.
    axes
        The axes of one map: ``row``, ``column``, ``channel``, ... Derived from the shapes if empty.
    titles
        The titles of maps that show something other than their samples: ``conv2d[3]``.
    targets
        The targets of the explanation, one for each map.
    signed
        True where the sign of a value has a meaning. None: True if a value is negative.
    are_inputs
        True where each map is itself an input of the network, to be drawn like an input: in colours
        if it has three channels.
    table
        Columns by name, each with as many entries as the others.
    notes
        Sentences that a person should read beside the result.
    provenance
        The origin of the explanation: plain JSON values by name.
    coordinates
        The meaning of the positions along an axis, by the axis's name.
    groups
        The name of each map's group of images, if the maps explain groups and not single images.
    input
        The name of the input that the maps explain, for a network with several inputs.
    other_inputs
        The explanations of the same samples for the network's other inputs.
    measures
        Measures of each map, (n,) each, by name: ``completeness_gap`` is the difference between the
        sum of a map and the change of the score that the map must add up to, as a share of the
        change; ``steps`` is the number of steps that a map took; ``uncertainty`` is half of an interval
        of 95 % around a map that chance had a part in, as a share of the map's size.
    curves
        Curves of numbers over the steps in which each map was made, (n, steps) each, by name:
        ``score`` for the score that rose. NaN for steps that were not taken.
    frames
        The maps at some of these steps, which a moving picture shows; None where they were not kept.
    predictions
        The class that the network answers for each sample, (n,) int64, whatever the target is; None
        where the class is not known, or the answer is no class. `cnnvis.run` and `cnnvis.chain`
        fill it in where the target is the network's answer; see also `cnnvis.transform`.
    own_places
        The places of the maps in a genome, for maps without samples; see `places`. A map of a group
        of images has a place where all images of the group have the very same one.
    grid
        The grid of voxels that all explained images have, also those of other maps; None where they
        have none, or several, which then are those of `samples`; see `grids`.
    own_grids
        The grid of each map, for maps without samples that lie on several.
    """

    maps: Array | None = None
    samples: Samples | None = None
    axes: tuple[str, ...] = ()
    titles: tuple[str, ...] = ()
    targets: tuple[Target, ...] = ()
    signed: bool | None = None
    are_inputs: bool = False
    table: Mapping[str, Sequence[Any]] | None = None
    notes: tuple[str, ...] = ()
    provenance: Mapping[str, Any] = field(default_factory=dict)
    coordinates: Mapping[str, Axis] = field(default_factory=dict)
    groups: tuple[str, ...] = ()
    input: str | None = None
    other_inputs: tuple[Explanation, ...] = ()
    measures: Mapping[str, Array] = field(default_factory=dict)
    predictions: Array | None = None
    curves: Mapping[str, Array] = field(default_factory=dict)
    frames: Frames | None = None
    own_places: Places | None = None
    grid: VoxelGrid | None = None
    own_grids: tuple[VoxelGrid | None, ...] | None = None

    def __post_init__(self) -> None:
        if (self.maps is None) == (self.table is None):
            raise TypeError("an explanation holds either maps or a table")
        if self.maps is None:
            return
        maps = np.asarray(self.maps)
        if maps.dtype.kind in "cOSUMm" or maps.dtype.names:
            raise TypeError(f"maps are real numbers, and these maps have the type {maps.dtype}")
        object.__setattr__(self, "maps", np.asarray(maps, np.float32))
        object.__setattr__(self, "axes", self.axes or self._axes())
        count = len(self)
        object.__setattr__(self, "predictions", self._own_predictions(count))
        if self.own_places is not None and len(self.own_places) != count:
            object.__setattr__(self, "own_places", None)  # of images that the maps were made of
        if self.own_grids is not None and len(self.own_grids) != count:
            object.__setattr__(self, "own_grids", None)
        for what in ("samples", "titles", "targets", "groups", "predictions"):
            there = getattr(self, what)
            if there is not None and len(there) and len(there) != count:
                raise TypeError(f"there are {count} maps but {len(there)} {what}")
        measures = {name: np.asarray(one, np.float64) for name, one in self.measures.items()}
        for name, one in measures.items():
            if one.shape != (count,):
                raise TypeError(f"there are {count} maps but the measure {name} is {one.shape}")
        object.__setattr__(self, "measures", measures)
        object.__setattr__(self, "curves", self._own_curves(count))
        if len(self.axes) != self.maps.ndim - 1:
            raise TypeError(f"maps of shape {self.maps.shape} do not have the axes {self.axes}")
        shape = None if self.frames is None else self.frames.maps.shape
        if shape is not None and (shape[0], *shape[2:]) != self.maps.shape:
            raise TypeError(f"there are maps {self.maps.shape} but frames {shape}")

    def _own_predictions(self, count: int) -> Array | None:
        """Return the predictions for the maps' images; None for maps made of other maps."""
        if self.predictions is None or self.groups:
            return None
        found = np.asarray(self.predictions, np.int64)
        return None if self.samples is None and len(found) != count else found

    def _own_curves(self, count: int) -> dict[str, Array]:
        curves: dict[str, Array] = {
            n: np.asarray(one, np.float32) for n, one in self.curves.items()
        }
        for name, one in curves.items():
            if one.ndim != 2 or len(one) != count or not one.shape[1]:
                raise TypeError(f"there are {count} maps but the curve {name} is {one.shape}")
        return curves

    def _axes(self) -> tuple[str, ...]:
        assert self.maps is not None
        # A map of its input's very shape still has the input's channels.
        samples = self.samples
        whole = samples is not None and self.maps.shape == tuple(samples.source.shape)
        return axis_names(self.maps.ndim - 1, samples.channel_axis if samples and whole else None)

    def __len__(self) -> int:
        if self.maps is not None:
            return len(self.maps)
        assert self.table is not None
        return max((len(column) for column in self.table.values()), default=0)

    def described(self, axes: Mapping[str, Axis]) -> Explanation:
        """Return the explanation with descriptions for some of its axes.

        A description of axes of another size is left out, with a note.

        Raises
        ------
        UserError
            If an axis has more or fewer values than positions.
        """
        if self.maps is None:
            return self
        own = {}
        for name, axis in axes.items():
            if name not in self.axes:
                continue
            size = self.maps.shape[self.axes.index(name) + 1]
            if not axis.fits(size):
                note(
                    f"the axis {name} is described for {axis.size} positions, and has {size} here: it is "
                    "counted in positions"
                )
                continue
            axis.require_length(name, size)
            own[name] = replace(axis, size=0)
        return replace(self, coordinates=own)

    def fitting(self, axes: Mapping[str, Axis]) -> dict[str, Axis]:
        """Return the descriptions of axes that have as many positions as the maps'."""
        sizes = {} if self.maps is None else dict(zip(self.axes, self.maps.shape[1:], strict=True))
        return {
            name: axis
            for name, axis in axes.items()
            if name in sizes and len(axis.values) in (0, sizes[name])
        }

    @property
    def changes(self) -> tuple[str, ...]:
        """What was done with the maps, for their headings: orders that they are a mean of, transforms."""
        facts = self.provenance
        orders = [facts["orders"]["shown"]] if facts.get("orders") else []
        return (*orders, *(one["transform"] for one in facts.get("transforms") or ()))

    @property
    def places(self) -> Places | None:
        """The place of each map in a genome; None without places, or for maps with other positions."""
        found = self.image_places
        if found is None or self.maps is None:
            return None
        return found if found.fits(self.axes, self.maps.shape[1:]) else None

    @property
    def image_places(self) -> Places | None:
        """The place of the image or images of each map in a genome, also of maps with other positions."""
        return self.own_places if self.samples is None or self.groups else self.samples.places

    @property
    def grids(self) -> tuple[VoxelGrid | None, ...] | None:
        """The grid of voxels of the image or images of each map; None where it is known of none."""
        if self.grid is not None:
            return (self.grid,) * len(self)
        if self.groups:
            return None
        return self.own_grids if self.samples is None else self.samples.grids

    def coordinates_of(self, position: int) -> dict[str, Axis]:
        """Return the meaning of the positions along the axes of one map, its own place included."""
        places = self.places
        own = {} if places is None else {places.axis: places.axis_of(position)}
        return {**self.coordinates, **own}

    @property
    def is_signed(self) -> bool:
        """True where the sign of a value has a meaning; by default judged by the maps."""
        if self.signed is not None or self.maps is None:
            return bool(self.signed)
        return bool(np.fmin.reduce(self.maps, axis=None, initial=np.inf) < 0)

    @property
    def inputs(self) -> Array | None:
        """The inputs that the maps explain, (n, ...), or None."""
        return None if self.samples is None else self.samples.x

    @property
    def labels(self) -> Array | None:
        """The labels of the inputs as the data have them, (n, ...), or None; see `Samples`."""
        return None if self.samples is None else self.samples.labels

    @property
    def indices(self) -> Array | None:
        """The place of each input in the whole data set, (n,), or None."""
        return None if self.samples is None else self.samples.indices

    @property
    def target(self) -> str | None:
        """Target of the explanation, in words; for several targets, all targets."""
        # Of a million targets, most differ in their scores alone.
        each = {(one.layer, one.filters, one.class_names, one.region): one for one in self.targets}
        return ", ".join(dict.fromkeys(map(str, each.values()))) or None

    @property
    def has_several_targets(self) -> bool:
        """True where each image has, or had, a map for each of several targets."""
        return self.samples is not None and self.samples.target_numbers is not None

    def for_target(self, target: int | str) -> Explanation:
        """Return the maps of one target, of an explanation with maps of several.

        Parameters
        ----------
        target
            The number of a class or another output, the name of a class, or the target in words:
            ``1``, ``"sweep"``, ``"output[sweep]"``.

        Raises
        ------
        UserError
            If there is no map of this target.
        """
        alone = [one if len(one.filters) == 1 else None for one in self.targets]
        named = [str(one) for one in self.targets]
        words: list[list[str | None]] = [
            [*named],
            [None if one is None else one.units[0] for one in alone],
        ]
        numbers: list[str | None] = [None if one is None else str(one.filters[0]) for one in alone]
        # A class may be called by a number that is not its own.
        ways = [*words, numbers] if isinstance(target, str) else [numbers]
        every = ([i for i, one in enumerate(way) if one == str(target)] for way in ways)
        found = next((places for places in every if places), [])
        if not found:
            there = ", ".join(dict.fromkeys(map(str, self.targets))) or "none, of no known target"
            raise UserError(f"there is no map of the target {target!r}; there are maps of: {there}")
        return self[found]

    def answer_name(self, position: int) -> str | None:
        """Return the class that the network answers for an image: its name, or its number without names.

        None where it is not known.
        """
        if self.predictions is None:
            return None
        samples = self.samples
        names = None if samples is None or samples.in_words else samples.class_names
        return labelling.class_name(names, int(self.predictions[position]))

    @property
    def peaks(self) -> Array:
        """Positions of the value of the largest size in each map, (n, axes) int; NaN are passed over.

        Of several positions with that value, the nearest to their middle.
        """
        if not self.array.size or self.array.ndim == 1:
            return np.zeros((len(self), self.array.ndim - 1), np.int64)
        return peaks_of(np.abs(np.nan_to_num(self.array)))

    def title(self, position: int) -> str:
        """Return the title of a map in a line or two: image, label, target, score; printable."""
        lines = []
        if self.samples is not None:
            words = [f"#{self.samples.indices[position]}"]
            if self.input is not None:
                words.append(f"input {self.input}")
            if self.samples.names is not None:
                words.append(self.samples.names[position])
            label = self.samples.label_name(position)
            if label is not None:
                words.append(f"label {label}")
            if self.places is not None:
                words.append(self.places.window(position))
            lines.append(printable(" ".join(words)))
        if self.titles:
            lines.append(printable(self.titles[position], lines=True))
        elif self.groups:
            lines.append(printable(self.groups[position]))
        elif self.targets:
            lines.append(printable(str(self.targets[position])))
        if self.groups and self.places is not None:
            lines.append(printable(self.places.window(position)))
        if self.targets and self.targets[position].score is not None:
            gap, unsure = map(self.measures.get, ("completeness_gap", "uncertainty"))
            said = "" if gap is None else sum_in_words(float(gap[position]))
            said += "" if unsure is None else chance_in_words(float(unsure[position]))
            lines.append(self.targets[position].score_text + said)
        if self.metrics:
            failed = [name for name, one in self.verdicts.items() if one.outcome == "failed"]
            lines.append(
                ", ".join(
                    f"{printable(name)} {self.measures[name][position]:.3g}"
                    + (" failed" if name in failed else "")
                    for name in self.metrics
                )
            )
        return "\n".join(lines)

    @property
    def metrics(self) -> tuple[str, ...]:
        """Measures of the chosen metrics, by name."""
        asked = (one["metric"] for one in self.provenance.get("metrics", ()))
        return tuple(name for name in dict.fromkeys(asked) if name in self.measures)

    @property
    def verdicts(self) -> dict[str, Verdict]:
        """Verdicts of checks and of metrics about the technique's maps, by the metrics' names."""
        known = (*self.provenance.get("checks", ()), *self.provenance.get("metrics", ()))
        return {
            one["metric"]: Verdict(one["verdict"]["outcome"], one["verdict"]["meaning"])
            for one in known
            if one.get("verdict") is not None
        }

    @property
    def array(self) -> Array:
        """The maps, (n, ...) float32, of an explanation that has maps.

        Raises
        ------
        UserError
            If it is a table.
        """
        if self.maps is None:
            raise UserError("a table has no maps")
        return self.maps

    def __getitem__(self, index: int | slice | Sequence[int] | Array) -> Explanation:
        """Return some of the maps, with all that belongs to them: by place, slice, places or mask.

        A single place gives an explanation of one map. Verdicts of metrics about all maps are left
        out, unless all are there; verdicts of checks stay.
        """
        every = np.arange(len(self.array))
        index = list(index) if isinstance(index, tuple | range) else index
        chosen = np.atleast_1d(every[index]).tolist()
        return replace(
            self,
            maps=self.array[chosen],
            samples=None if self.samples is None else self.samples[chosen],
            titles=tuple(self.titles[i] for i in chosen) if self.titles else (),
            targets=tuple(self.targets[i] for i in chosen) if self.targets else (),
            groups=tuple(self.groups[i] for i in chosen) if self.groups else (),
            measures={name: one[chosen] for name, one in self.measures.items()},
            curves={name: one[chosen] for name, one in self.curves.items()},
            frames=None if self.frames is None else self.frames[chosen],
            provenance=self.provenance if len(set(chosen)) == len(self) else self._unjudged(),
            predictions=None if self.predictions is None else self.predictions[chosen],
            own_places=None if self.own_places is None else self.own_places.picked(chosen),
            own_grids=self.own_grids and tuple(self.own_grids[i] for i in chosen),
            other_inputs=tuple(
                one[chosen] if one.maps is not None and len(one) == len(self) else one
                for one in self.other_inputs
            ),
        )

    def __repr__(self) -> str:
        technique = self.provenance.get("technique", "maps")
        if self.maps is None:
            held = f"a table of {', '.join(map(str, self.table or ()))}"
        else:
            each = " x ".join(map(str, self.maps.shape[1:]))
            held = f"{len(self.maps)} map{'' if len(self.maps) == 1 else 's'} of {each}"
        of = "" if self.target is None else f" of {self.target}"
        return f"<Explanation: {technique}{of[:80]}, {held}>"

    def __iter__(self) -> Iterator[Explanation]:
        return (self[place] for place in range(len(self.array)))

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Array:
        """Return the maps, for NumPy: ``numpy.asarray(explanation)``."""
        return np.array(self.array, dtype, copy=copy)

    def with_maps(self, maps: Any, **changes: Any) -> Explanation:
        """Return the explanation with as many other maps, and with the same axes, unless given.

        Measures, curves and frames of the previous maps, and verdicts of metrics on them, are left out; verdicts
        of checks stay, since they are about the technique's own maps.

        Parameters
        ----------
        maps
            (n, ...) numbers.
        changes
            Other attributes, by name.
        """
        own: dict[str, Any] = {"measures": {}, "curves": {}, "frames": None}
        own["provenance"] = self._unjudged()
        return replace(self, maps=maps, **{**own, **changes})

    def _unjudged(self) -> Mapping[str, Any]:
        """Return the provenance without the verdicts of metrics; those of checks stay."""
        known = self.provenance.get("metrics")
        if not known:
            return self.provenance
        facts = [{key: value for key, value in one.items() if key != "verdict"} for one in known]
        return {**self.provenance, "metrics": facts}

    def space_axes(self) -> tuple[int, ...]:
        """Return the axes of `maps` that are neither the sample axis nor the channel axis."""
        return tuple(i + 1 for i, name in enumerate(self.axes) if name != CHANNEL)

    @classmethod
    def joined(cls, parts: Sequence[Explanation], maps: Array | None = None) -> Explanation:
        """Join explanations of parts of the images to an explanation of all images.

        Parameters
        ----------
        maps
            The maps of all images, if one array holds them already.
        """
        first = parts[0]
        if len(parts) == 1:
            return first
        if first.maps is None:
            raise TypeError("only maps can be joined, not tables")
        if maps is None:
            maps = np.concatenate([part.array for part in parts])
        notes = dict.fromkeys(note for part in parts for note in part.notes)
        samples = [part.samples for part in parts if part.samples is not None]
        predictions = [part.predictions for part in parts if part.predictions is not None]
        joined = replace(
            first,
            maps=maps,
            samples=Samples.joined(samples) if samples else None,
            titles=tuple(title for part in parts for title in part.titles),
            targets=tuple(target for part in parts for target in part.targets),
            groups=tuple(group for part in parts for group in part.groups),
            notes=tuple(notes),
            measures=_joined([part.measures for part in parts]),
            curves=_joined([part.curves for part in parts]),
            frames=Frames.joined([part.frames for part in parts]),
            predictions=np.concatenate(predictions) if len(predictions) == len(parts) else None,
            own_places=Places.joined([part.own_places for part in parts]),
            own_grids=first.own_grids
            and tuple(one for part in parts for one in part.own_grids or ()),
        )
        if "target" in first.provenance:
            joined = joined.with_facts(first.provenance)
        return joined

    def with_facts(self, facts: Mapping[str, Any]) -> Explanation:
        """Return the explanation with facts of its origin, targets and measures included."""
        whole = {**self.provenance, **facts, "target": self.target}
        if self.measures:
            whole["measures"] = {
                name: {"smallest": float(known.min()), "largest": float(known.max())}
                for name, one in self.measures.items()
                if (known := one[~np.isnan(one)]).size
            }
        return replace(self, provenance=whole)

    def save(self, path: str | PathLike[str], **options: Any) -> None:
        """Write a file in the format of its ending: ``.npz`` for all, ``.png`` for pictures, ...

        `load` reads an ``.npz`` file, and so does `numpy.load` without pickle. For a network with
        several inputs, the maps of the other inputs are written beside the file: ``maps_right.npz``
        for an input of the name ``right``. Older files of these names are written over; `load`
        finds the files by these names.

        Parameters
        ----------
        path
            The file; a renderer must write files of this ending.
        options
            Options of the renderer.

        Raises
        ------
        UserError
            If no renderer writes files of this ending, or the file cannot be written.
        """
        save_hook.save(self, place_of(path), options)

    def write(self, path: Path) -> None:
        """Write an ``.npz`` file without the care that `save` takes, for renderers, which get it."""
        saving.write(self, path)

    @classmethod
    def load(cls, path: str | PathLike[str]) -> Explanation:
        """Read a file ``.npz`` that `save` wrote, and the files beside it for a network's other inputs.

        Or read a Zarr store that `save` wrote, on a disk or at an address.

        If one of these files is missing, a note of the explanation names it.

        Raises
        ------
        UserError
            If `save` did not write the file.
        """
        place = place_of(path)
        if zarr_maps.is_store(place):
            return cls.joined(list(zarr_maps.read(place, cls)))
        return saving.read(require_path(place, "a file of the renderer numpy"), cls)

    def plot(self, ax: Any = None, **options: Any) -> Any:
        """Draw the maps with matplotlib, and return the figure.

        Parameters
        ----------
        ax
            The axes for the maps: one, for an explanation of one map, or as many as maps. By default
            the maps get a figure of their own, with a colour bar.
        options
            Other settings: ``cmap``, ``scale``, ``percentile``, as of the renderer html; ``overlay``
            and ``alpha``, to lay maps over their inputs; ``columns``, the number of maps side by side.

        Raises
        ------
        UserError
            If there are more or fewer axes than maps, or the explanation is a table.
        """
        return save_hook.plot(self, ax, options)

    def show(self, **options: Any) -> None:
        """Print the maps, or the table, to a terminal.

        Parameters
        ----------
        options
            Options of the renderer terminal.
        """
        save_hook.show(self, options)

    def to_xarray(self) -> Any:
        """Return the maps as an `xarray.DataArray`, a table as an `xarray.Dataset`.

        The axes have their names, and coordinates where their meaning is known; images, labels,
        targets, scores and measures are coordinates of the first axis.

        Raises
        ------
        UserError
            If xarray is not installed.
        """
        return exports.to_xarray(self)

    def to_dataframe(self) -> Any:
        """Return the table, or a row for each map, as a `pandas.DataFrame`.

        Of a map: the image, its label, the network's answer, the target, the score, all measures, the
        least and the largest value, and the place of the strongest value.

        Raises
        ------
        UserError
            If pandas is not installed.
        """
        return exports.to_dataframe(self)


def _joined(parts: Sequence[Mapping[str, Array]]) -> dict[str, Array]:
    """Join the arrays that all parts have, if their entries are equally long."""
    return {
        name: np.concatenate([part[name] for part in parts])
        for name, first in parts[0].items()
        if all(name in part and part[name].shape[1:] == first.shape[1:] for part in parts)
    }
