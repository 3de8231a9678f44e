"""Samples: the inputs of a network, with what is known about them."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np

from cnnvis.data import labels as labelling
from cnnvis.data.axes import Axis, axis_names
from cnnvis.data.class_names import ClassNames, names_in_order
from cnnvis.data.condition_values import DataValues
from cnnvis.data.image_conditions import Expression
from cnnvis.data.image_selection import Condition, Images, Selection, selection_of
from cnnvis.data.labels import Group, LabelKind, Labels, column_names, labels_of
from cnnvis.data.labels import class_name as class_name
from cnnvis.data.lazy import Absent, Picked, Reshaped, is_absent, is_in_memory
from cnnvis.data.lazy import Array as Array
from cnnvis.data.lazy import ArrayLike as ArrayLike
from cnnvis.data.places import Places
from cnnvis.data.shown import Shown
from cnnvis.data.voxel_grid import VoxelGrid
from cnnvis.errors import UserError, nearest, numbered, shown
from cnnvis.files.addresses import Place
from cnnvis.files.snapshots import Held, sha256
from cnnvis.reporting import note
from cnnvis.text import words_of

BYTES, AT_ONCE = 2**26, 512
"""Largest number of bytes, and of samples, that are read at a time."""


def evenly_spaced(count: int, most: int) -> Array:
    """Return places among `count` samples, evenly spaced from the first to the last, at most so many."""
    return np.linspace(0, count - 1, min(count, most)).astype(int)


@dataclass(frozen=True)
class Reading:
    """Description of how a reader turned a file into numbers, and of other ways to read the file.

    Attributes
    ----------
    remedy
        Function of the shape of one input that a network wants; returns the end of a sentence with
        the words to type so that the data are read in that shape, or nothing.
    others
        Other ways to read the values, by the words to type for them: functions of the values (n,
        ...) as they were read, float32.
    """

    remedy: Callable[[tuple[int | None, ...]], str] | None = None
    others: Mapping[str, Callable[[Array], Array]] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Samples(Shown):
    """Inputs of a network, which a technique explains.

    Attributes
    ----------
    source
        The inputs, sample axis first: an array, or an object that is read when it is indexed (a
        memory map, a folder of pictures).
    labels
        The labels of the samples, or None: the number of each sample's class, (n,) whole numbers,
        or floats with NaN where some have none; 0 or 1 for each of several labels, (n, k) int8; one
        number or several numbers for a regression, (n,) or (n, k) floats; or a label for each
        position of a sample, (n, ...), in an array or an object that is read when it is indexed.
        One column may be given for (n,); one-hot rows, smoothed or not, for classes; words, or
        lists of words, which then are `class_names`; a pandas frame of 0 and 1, whose columns then
        are `class_names`.
    names
        A name for each sample, such as its file's, or None.
    class_names
        The name of class 0, class 1, ..., or None.
    indices
        The place of each sample in the whole data set, (n,) int64. By default 0, 1, 2, ...
    channel_axis
        The channel axis of `source`, -1 or 1; None without channels.
    path
        The file, folder or address that the samples were read from, for the provenance.
    coordinates
        The meaning of the positions along an axis, by the axis's usual name; see `cnnvis.Axis`.
    held
        The open file or folder, or the objects of an address, if the samples are read through it; see
        `cnnvis.held`.
    input
        The name of the network's input for `source`, for a network with several inputs.
    others
        The other inputs of the same samples, by name, each shaped as `source` is: (n, ...).
    label_kind
        The kind of the labels: ``class``, ``several``, ``number`` or ``positions``; None
        without labels. By default derived from the labels' form: whole numbers are classes, unless
        the kind says that they are numbers.
    in_words
        True where the labels are words and stand for no class of a network yet: then `class_names`
        holds these words in alphabetical order, and a label's number is a place among them.
    total
        The number of samples in the whole data set, of which these samples may be a part; None
        where the number is not known.
    reading
        The way in which a reader read the source, and other ways; None where they are not known.
    baselines
        Baselines that are ready, by the name that was typed and then by the input, empty for samples
        of one input: an array for each sample, (n, ...), or one for all, (1, ...). See `baseline`.
    target_numbers
        For samples that are explained at several targets each, and so repeated: the number of the
        target that each is explained at, (n,) int64. None where each sample has one target.
    places
        The places of the samples in a genome, where each has its own; see `cnnvis.Places`.
    grids
        The grid of voxels of each sample that is a volume, or None for a sample of which it is not
        known; None where it is known of no sample.

    Raises
    ------
    UserError
        If the inputs are no numbers, the labels have none of these forms, the numbers of inputs,
        labels and names differ, or a label in words is not among the given class names.
    """

    source: ArrayLike
    labels: Array | None = None
    names: tuple[str, ...] | None = None
    class_names: tuple[str, ...] | None = None
    indices: Array = field(default=None)  # type: ignore[arg-type]  # numbered when not given
    channel_axis: int | None = -1
    path: Place | None = None
    input: str | None = None
    others: Mapping[str, ArrayLike] = field(default_factory=dict)
    label_kind: LabelKind | None = None
    in_words: bool = False
    reading: Reading | None = None
    total: int | None = None
    baselines: Mapping[str, Mapping[str, Array]] = field(default_factory=dict)
    coordinates: Mapping[str, Axis] = field(default_factory=dict)
    held: Held | None = field(default=None, repr=False)
    target_numbers: Array | None = None
    places: Places | None = None
    grids: tuple[VoxelGrid | None, ...] | None = None

    @classmethod
    def of(
        cls, inputs: Any, labels: Any = None, *, several: int | None = None, **settings: Any
    ) -> Samples:
        """Return samples of one input or of several.

        Parameters
        ----------
        inputs
            An array (n, ...); for a network with several inputs, one array for each, in a dict by
            the inputs' names or in a list by their order.
        labels
            See `labels` above.
        several
            The number of the network's inputs, if known: then a list of as many arrays holds
            inputs, and not images.
        settings
            Other attributes.

        Raises
        ------
        UserError
            If the inputs are no arrays, or hold different numbers of samples.
        """
        arrays = _several(inputs, labels, several)
        if arrays is None:
            return cls(_array(inputs), labels, **settings)
        counts = {name: int(one.shape[0]) if one.shape else 0 for name, one in arrays.items()}
        if len(set(counts.values())) > 1:
            held = ", ".join(f"{count} of {name}" for name, count in counts.items())
            raise UserError(f"all inputs must have the same number of samples, and have {held}")
        (name, source), *others = arrays.items()
        return cls(source, labels, **settings, input=name, others=dict(others))

    @classmethod
    def joined(cls, parts: Sequence[Samples]) -> Samples:
        """Join samples of the same kind, in this order."""
        first = parts[0]
        names = None
        if first.names is not None:
            names = tuple(name for part in parts for name in part.names or ())
        grids = None
        if first.grids is not None:
            grids = tuple(grid for part in parts for grid in part.grids or ())
        return replace(
            first,
            source=Absent((sum(map(len, parts)), *first.source.shape[1:]))
            if is_absent(first.source)
            else np.concatenate([part.x for part in parts]),
            labels=None
            if first.labels is None
            else np.concatenate([part.labels[:] for part in parts if part.labels is not None]),
            names=names,
            grids=grids,
            indices=np.concatenate([part.indices for part in parts]),
            others={
                name: np.concatenate([np.asarray(part.others[name][:]) for part in parts])
                for name in first.others
            },
            baselines={},
            target_numbers=None
            if first.target_numbers is None
            else np.concatenate(
                [part.target_numbers for part in parts if part.target_numbers is not None]
            ),
            places=Places.joined([part.places for part in parts]),
        )

    @property
    def image_starts(self) -> Array:
        """The place of the first of each image's samples, which is there for each of its targets."""
        numbers = self.target_numbers
        if numbers is None or not len(self):
            return np.arange(len(self))
        # An image may have been chosen twice, one behind the other.
        is_next = (np.diff(self.indices) != 0) | (np.diff(numbers) <= 0)
        return np.flatnonzero(np.concatenate([[True], is_next]))

    def repeated(self, count: int) -> Samples:
        """Return each sample so many times in a row, to be explained at as many targets.

        Inputs are read when they are used, and once for all targets.
        """
        found = self.picked(np.repeat(np.arange(len(self)), count))
        return replace(found, target_numbers=np.tile(np.arange(count), len(self)))

    def batches(self, size: int | None = None) -> Iterator[Samples]:
        """Yield the samples in order, `size` at a time, by default `at_once`."""
        size = size or self.at_once
        for start in range(0, len(self), size):
            yield self[start : start + size]

    @property
    def bytes_each(self) -> int:
        """Number of bytes of a sample with all its inputs, in single precision."""
        sources = self.inputs.values() or (self.source,)
        return sum(4 * math.prod(source.shape[1:]) for source in sources)

    @property
    def at_once(self) -> int:
        """Number of samples to read at a time: as many as hold 64 MiB, and 512 at most."""
        return min(max(BYTES // max(self.bytes_each, 1), 1), AT_ONCE)

    def __post_init__(self) -> None:
        if len(self.source.shape) == 0:
            raise UserError("the data are a single number, and a network needs at least an array")
        if self.source.dtype.kind not in "biuf":
            raise UserError(
                f"the data hold inputs of the type {self.source.dtype}, and a network needs numbers"
            )
        if 0 in self.source.shape[1:]:
            raise UserError(
                f"the data hold inputs of the shape {_shape(self.source.shape[1:])}, which holds "
                "no numbers"
            )
        if self.indices is None:
            object.__setattr__(self, "indices", np.arange(len(self)))  # type: ignore[unreachable]
            object.__setattr__(self, "total", len(self))
        object.__setattr__(self, "class_names", names_in_order(self.class_names))
        if self.labels is not None:
            columns = column_names(self.labels)
            self._understand(labels_of(self.labels, self.label_kind), columns)
        held = (
            ("labels", self.labels),
            ("names", self.names),
            ("target_numbers", self.target_numbers),
            ("places", self.places),
            ("grids", self.grids),
        )
        for what, values in held:
            count = None if values is None else _count(values)
            if count not in (None, len(self)):
                raise UserError(f"the data hold {numbered(len(self), 'input')} but {count} {what}")

    def _understand(self, found: Labels, columns: tuple[str, ...] | None) -> None:
        """Convert labels to the form of this class, whatever form they were given in."""
        names = self.class_names
        if columns is not None and found.words is None and found.kind in ("class", "several"):
            object.__setattr__(self, "class_names", columns)
            object.__setattr__(self, "labels", found.values)
            object.__setattr__(self, "label_kind", found.kind)
            if names is not None:
                object.__setattr__(self, "labels", self.named(names).labels)
                object.__setattr__(self, "class_names", names)
            return
        values, words = found.values, found.words
        if words is not None and self.class_names is None:
            object.__setattr__(self, "class_names", words)
            object.__setattr__(self, "in_words", True)
        elif words is not None and self.class_names is not None:
            values = labelling.renumbered(
                np.asarray(values),
                found.kind,
                by_name(words, self.class_names),
                len(self.class_names),
            )
        object.__setattr__(self, "labels", values)
        object.__setattr__(self, "label_kind", found.kind)

    def __len__(self) -> int:
        return int(self.source.shape[0])

    def __repr__(self) -> str:
        each = " x ".join(map(str, self.source.shape[1:])) or "one number"
        kinds = {"class": "class", "several": "several classes", "number": "number"}
        of = (
            ""
            if self.label_kind is None
            else f", labels: {kinds.get(self.label_kind, self.label_kind)}"
        )
        others = f" and {', '.join(self.others)}" if self.others else ""
        named = f" for {self.input}{others}" if self.input is not None else ""
        return (
            f"<Samples: {numbered(len(self), 'input')} of {each}, {self.source.dtype}{named}{of}>"
        )

    def __getitem__(self, index: int | slice | Sequence[int] | Array) -> Samples:
        """Return some of the samples, in the order given, with their places in the data set."""
        chosen = np.atleast_1d(np.arange(len(self))[index])
        return self._chosen(chosen, self.source[chosen])

    def read(self, start: int, stop: int) -> Samples:
        """Read the samples from one place up to another; of an array in memory, as it lies there.

        Such an array may not be written to then.
        """
        chosen, source = np.arange(start, stop), self.source
        if not is_in_memory(source):
            return self._chosen(chosen, source[chosen])
        view = np.asarray(source)[start:stop]
        view.flags.writeable = False
        return self._chosen(chosen, view)

    def _chosen(self, chosen: Array, source: Array) -> Samples:
        return replace(
            self,
            source=source,
            labels=None if self.labels is None else self.labels[chosen],
            names=None if self.names is None else tuple(self.names[i] for i in chosen),
            indices=self.indices[chosen],
            others={name: other[chosen] for name, other in self.others.items()},
            baselines=self._baselines_of(chosen),
            target_numbers=self._target_numbers_of(chosen),
            places=None if self.places is None else self.places.picked(chosen),
            grids=None if self.grids is None else tuple(self.grids[i] for i in chosen),
        )

    def _target_numbers_of(self, chosen: Array) -> Array | None:
        return None if self.target_numbers is None else self.target_numbers[chosen]

    def _baselines_of(self, chosen: Array) -> dict[str, dict[str, Array]]:
        return {
            name: {key: one if len(one) == 1 else one[chosen] for key, one in of.items()}
            for name, of in self.baselines.items()
        }

    def picked(self, places: Sequence[int] | Array) -> Samples:
        """Return some of the samples, in the given order; their inputs are read at first use."""
        chosen = np.asarray(places, np.int64)
        labels = self.labels
        if labels is not None:
            labels = labels[chosen] if isinstance(labels, np.ndarray) else Picked(labels, chosen)
        return replace(
            self,
            source=Picked(self.source, chosen),
            labels=labels,
            names=None if self.names is None else tuple(self.names[i] for i in chosen),
            indices=self.indices[chosen],
            others={name: Picked(other, chosen) for name, other in self.others.items()},
            baselines=self._baselines_of(chosen),
            target_numbers=self._target_numbers_of(chosen),
            places=None if self.places is None else self.places.picked(chosen),
            grids=None if self.grids is None else tuple(self.grids[i] for i in chosen),
        )

    def drawn(self, count: int, seed: int) -> Samples:
        """Return samples drawn by a seed, without those that hold NaN or infinite values.

        Parameters
        ----------
        count
            The number of samples; fewer are returned where there are fewer.
        seed
            The seed of the draw.
        """
        found: list[int] = []
        for place in np.random.default_rng(seed).permutation(len(self)).tolist():
            if len(found) == count:
                break
            if np.isfinite(self[[place]].x.astype(np.float32)).all():
                found.append(place)
        return self[found]

    @property
    def axes(self) -> tuple[str, ...]:
        """The usual names of the axes of one input; see `cnnvis.axis_names`."""
        count = len(self.source.shape) - 1
        return axis_names(count, self.channel_axis) if count else ()

    def coordinates_of(self, position: int) -> dict[str, Axis]:
        """Return the meaning of the positions along the axes of one input, its own place included."""
        places = self.places
        if places is None or not places.fits(self.axes, self.source.shape[1:]):
            return dict(self.coordinates)
        return {**self.coordinates, places.axis: places.axis_of(position)}

    def __iter__(self) -> Iterator[Samples]:
        return (self[index] for index in range(len(self)))

    @cached_property
    def x(self) -> Array:
        """Array of all inputs, (n, ...), read at the first use."""
        return np.asarray(self.source[:])

    @property
    def value_range(self) -> tuple[float, float]:
        """Smallest and largest value of the inputs, NaN aside, read some at a time and only once."""
        # Plugins are given read-only copies, and each batch has another.
        whole: Samples = vars(self).get("_original", self)
        return whole._value_range

    @cached_property
    def _value_range(self) -> tuple[float, float]:
        low, high = np.inf, -np.inf
        for one in self.batches():
            low = np.fmin.reduce(one.x, axis=None, initial=low)
            high = np.fmax.reduce(one.x, axis=None, initial=high)
        return float(low), float(high)

    def baseline(self, name: str | float, input: str | None = None) -> Array:
        """Return a baseline for each of the samples, (n, ...) float32, or one for all, (1, ...).

        Parameters
        ----------
        name
            The value of an option of the type `cnnvis.Baseline`: a number, or a name that `cnnvis.run`
            has made ready.
        input
            Another input than the explained one, by name.

        Raises
        ------
        UserError
            If it is not ready: then a technique asks for what is none of its options.
        """
        source = self.source if input in (None, self.input) else self.others[str(input)]
        number = number_of(name)
        if number is not None:
            return np.full((1, *source.shape[1:]), number, np.float32)
        found = self.baselines.get(str(name), {}).get(input or self.input or "")
        if found is None:
            raise UserError(
                f"the baseline {name!r} is made from a data set, and is ready only in a technique that "
                "cnnvis.run calls with an option of the type cnnvis.Baseline"
            )
        return found

    @property
    def space(self) -> tuple[int, ...]:
        """The sizes of the spatial axes of one input, without its channels."""
        sizes = list(self.source.shape)
        if self.channel_axis is not None:
            del sizes[self.channel_axis]
        return tuple(sizes[1:])

    @property
    def sha256(self) -> str | None:
        """The SHA-256 of the file or folder of the samples, or None without a file.

        Raises
        ------
        UserError
            If the file was changed since it was opened.
        """
        if self.held is not None:
            return self.held.sha256()
        return None if self.path is None else sha256(self.path)

    def label_name(self, position: int) -> str | None:
        """Return the label of the sample at this position, in words where classes have names.

        ``cat``; of several labels ``cat + dog``, or ``none``; of numbers ``0.31, 2.4``. None
        without labels, or with a label for each position of the sample.
        """
        if self.labels is None or self.label_kind in (None, "positions"):
            return None
        return labelling.label_text(self.labels[position], self.label_kind, self.class_names)

    def label_groups(self) -> list[tuple[Group, ...]]:
        """Return the groups of each sample by its labels: the key for sorting, and the name.

        A sample with several labels is in as many groups; samples without labels are a separate
        group.

        Raises
        ------
        UserError
            If the samples have no labels, or a label for each position of a sample.
        """
        if self.labels is None or self.label_kind is None:
            raise UserError("the data hold no labels")
        values = self.labels if self.label_kind != "positions" else [None] * len(self)
        return [labelling.groups_of(one, self.label_kind, self.class_names) for one in values]

    def labelled(self, name: str) -> Array:
        """Return True for each sample with the label of that name, perhaps among others, (n,).

        Parameters
        ----------
        name
            The name or number of a class; ``none`` for samples without a label; for labels that are
            numbers, the number.

        Raises
        ------
        UserError
            If the samples have no labels, or no label of that name.
        """
        if self.labels is None or self.label_kind is None:
            raise UserError(f"the data hold no labels, so no label {name!r} chooses images")
        return labelling.labelled(
            self.labels, self.label_kind, name, self.class_names, in_words=self.in_words
        )

    def named(self, class_names: ClassNames) -> Samples:
        """Return the samples with a network's class names, and labels matched to them by name.

        Labels in words, and labels whose numbers have names, get the numbers that the classes have
        in this network. If the network's names have nothing in common with the labels' names, they
        replace the labels' names. If the names are numbers, and the labels are no places among the
        names, the names are matched to the labels' numbers; see `cnnvis.data.labels.by_numbers`.

        Raises
        ------
        UserError
            If two classes have one name, or only some of the labels' names are names of classes.
        """
        names, own = names_in_order(class_names), self.class_names
        if names is None:
            return self
        if len(set(names)) < len(names):
            twice = next(name for name, count in Counter(names).items() if count > 1)
            raise UserError(
                f"two classes have the name {shown(twice)}; give each class its own name"
            )
        is_of_classes = self.labels is not None and self.label_kind != "number"
        by_names = is_of_classes and own is not None and (self.in_words or set(own) & set(names))
        if own is None or not by_names or own == names:
            return replace(self, labels=self._places(names), class_names=names, in_words=False)
        labels = self._renumbered(by_name(own, names), len(names))
        return replace(self, labels=labels, class_names=names, in_words=False)

    def _places(self, names: tuple[str, ...]) -> Array | None:
        """Return the labels as places among these names, where labels are numeric names."""
        if self.label_kind != "class" or self.labels is None or self.in_words:
            return self.labels
        # Labels that have names are places already, unless there is no such place.
        if self.class_names is not None and self.are_places:
            return self.labels
        found = labelling.by_numbers(self.labels, names)
        return self.labels if found is None else found

    @property
    def are_places(self) -> bool:
        """True where all labels of one class each are places among the names of classes."""
        if self.label_kind != "class" or self.labels is None or self.class_names is None:
            return True
        there = labelling.known_numbers(self.labels)
        return not there or (there[0] >= 0 and there[-1] < len(self.class_names))

    def _renumbered(self, order: list[int], count: int) -> Any:
        """Replace the number of each label by the entry of `order` at that number."""
        labels, kind = self.labels, self.label_kind
        assert labels is not None and kind is not None
        if kind == "several":
            return labelling.renumbered(labels, kind, order, count)
        if order == list(range(len(order))):
            return labels
        some = labels[labelling.has_class(labels)] if kind == "class" else labels
        known = kind == "class" and some.max(initial=0) < len(order)
        if not known or some.min(initial=0) < 0:
            raise UserError(
                f"the labels' numbers stand for the classes {words_of(self.class_names or ())}, "
                "the names are in another order, and "
                + ("some labels have no name" if kind == "class" else "labels of positions stay")
                + ": number the labels as the network numbers its classes"
            )
        return labelling.renumbered(labels, kind, order, count)

    def chosen(self, images: Images | Selection | None) -> Samples:
        """Return the samples chosen by places, a mask or labels.

        Parameters
        ----------
        images
            Places in these samples (whole numbers; negative numbers count from the end), a mask
            that holds True or False for each sample, a slice, a range; or text: ``"0-5"``,
            ``"20:40:2"``, ``"label=cat"``, ``"facts.tsv: age>40 and not label=cat"``; or several of
            these choices. None for all samples.

        Raises
        ------
        UserError
            If a place does not exist, a mask has another length, no sample is left, or the choice
            depends on what a network answers.
        """
        if images is None:
            return self
        selection = selection_of(images)
        selection.require_names()
        if selection.asks_network:
            raise UserError(
                "right, wrong, predicted=NAME, p and score choose images by the answer of a network, "
                "and no network is given"
            )
        values = DataValues(self)

        def holds(condition: Condition | Expression, places: Array) -> Array:
            if isinstance(condition, Expression):
                return values.holds(condition, places)
            return self.labelled(condition.name)[places]

        places = selection.narrowed(selection.places_in(len(self)), holds)
        # What is in memory is copied; of a file, nothing is read before it is wanted.
        return self[places] if isinstance(self.source, np.ndarray) else self.picked(places)

    @property
    def inputs(self) -> dict[str, ArrayLike]:
        """Inputs by name, the explained input among them; empty for samples of one input."""
        return {} if self.input is None else {self.input: self.source, **self.others}

    def explaining(self, name: str) -> Samples:
        """Return the samples with another input to explain."""
        inputs = self.inputs
        source = inputs.pop(name)
        return replace(self, source=source, input=name, others=inputs)

    def shaped_for_inputs(
        self, wanted: Mapping[str, tuple[str, tuple[int | None, ...], int | None]]
    ) -> dict[str, Samples]:
        """Return for each input of a network the samples in its shapes, explaining that input.

        Parameters
        ----------
        wanted
            By the name of every input: the samples' array that belongs to the input, the shape and
            the channel axis; see `cnnvis.network.input_names.matched` and `shaped_for`. For samples
            of one array and a network of one input, the array's name does not count.

        Raises
        ------
        UserError
            If the shapes do not fit.
        """
        held = self.inputs
        if not held:
            ((name, (_, shape, axis)),) = wanted.items()
            return {name: self.shaped_for(shape, axis)}
        shaped = {}
        for name, (array, shape, axis) in wanted.items():
            alone = replace(self, source=held[array], input=None, others={})
            try:
                shaped[name] = alone.shaped_for(shape, axis)
            except UserError as error:
                if len(wanted) == 1:
                    raise
                raise UserError(f"input {name!r}: {error}") from error
        if len(wanted) == 1:
            return shaped
        sources = {name: one.source for name, one in shaped.items()}
        return {
            name: replace(
                one,
                input=name,
                others={other: sources[other] for other in sources if other != name},
            )
            for name, one in shaped.items()
        }

    def shaped_for(
        self, input_shape: tuple[int | None, ...], channel_axis: int | None = -1
    ) -> Samples:
        """Return the samples in the shape of a network's input, missing axes of length 1 added.

        Parameters
        ----------
        input_shape
            The shape of one input, without the sample axis; None for an axis of any length.
        channel_axis
            The channel axis of a batch of inputs, -1 or 1; None without channels.

        Raises
        ------
        UserError
            If the shapes do not fit, naming both.
        """
        found = tuple(self.source.shape)
        samples = self._with_axes_of(input_shape, channel_axis)
        if _fits(found[1:], input_shape):
            return samples
        if channel_axis is not None:
            axis = channel_axis % (len(input_shape) + 1)
            with_channel = (*found[1:axis], 1, *found[axis:])
            if _fits(with_channel, input_shape) and self._is_rather_one(input_shape, channel_axis):
                note(
                    f"cnnvis takes the data of shape {_shape(found)} for one image; {found[0]} "
                    f"images of shape {_shape(found[1:])} would have the shape "
                    f"{_shape((*found, 1))}"
                )
                return samples._whole()
            if _fits(with_channel, input_shape):
                return samples._reshaped((len(self), *with_channel))
        if self.labels is None and _fits(found, input_shape):
            return samples._whole()
        remedy = self.reading.remedy(input_shape) if self.reading and self.reading.remedy else ""
        raise UserError(
            f"the data do not fit the model: its input has the shape {_shape(input_shape)} "
            f"for one image, and the data are {numbered(len(self), 'image')} of shape {_shape(found[1:])}"
            f"{f'; {remedy}' if remedy else ''}"
        )

    def _with_axes_of(self, shape: tuple[int | None, ...], channel_axis: int | None) -> Samples:
        """Return the samples with another axis of channels, and the names of axes that go with it."""
        found = replace(self, channel_axis=channel_axis)
        if self.places is None and not self.coordinates:
            return found
        # Between the two shapes, axes of length 1 come and go alone.
        before = [n for n, size in zip(self.axes, self.source.shape[1:], strict=True) if size != 1]
        names = axis_names(len(shape), channel_axis)
        after = [name for name, size in zip(names, shape, strict=True) if size != 1]
        renamed = dict(zip(before, after, strict=False)) if len(before) == len(after) else {}
        return replace(
            found,
            coordinates={renamed.get(name, name): one for name, one in self.coordinates.items()},
            places=None
            if self.places is None
            else replace(self.places, axis=renamed.get(self.places.axis, self.places.axis)),
        )

    def _is_rather_one(self, wanted: tuple[int | None, ...], channel_axis: int | None) -> bool:
        """Tell whether inputs are one image with channels rather than many images without channels.

        An example is (7, 9, 1) for a network of pictures of any size with one channel: pictures of
        one column are rare.
        """
        if self.labels is not None or self.names is not None or channel_axis != -1:
            return False
        return None in wanted and wanted[-1] == 1 and _fits(tuple(self.source.shape), wanted)

    def _whole(self) -> Samples:
        """Return all of the source as one sample."""
        whole = self._reshaped((1, *self.source.shape))
        return replace(whole, names=None, places=None, grids=None, indices=np.arange(1), total=1)

    def _reshaped(self, shape: tuple[int, ...]) -> Samples:
        source = self.source
        if isinstance(source, np.ndarray):
            return replace(self, source=source.reshape(shape))
        if shape[0] != len(self):
            return replace(self, source=np.asarray(source[:]).reshape(shape))
        return replace(self, source=Reshaped(source, shape))

    def require_finite(self) -> None:
        """Refuse inputs with NaN or infinite values, for which no gradient means anything.

        Raises
        ------
        UserError
            If an image holds NaN or infinite values; the error names the images.
        """
        if not np.issubdtype(self.x.dtype, np.inexact):
            return
        bad = ~np.isfinite(self.x.reshape(len(self), -1))
        if bad.any():
            images = [int(index) for index in self.indices[bad.any(axis=1)]]
            raise UserError(
                f"image {_listed(images)} holds {int(bad.sum())} values that are NaN or infinite; "
                "leave the image out with --images, or replace the values by numbers"
            )


def number_of(name: str | float) -> float | None:
    """Return the number that a baseline's name is; None for a name."""
    try:
        number = float(name)
    except ValueError:
        return None
    with np.errstate(over="ignore"):
        is_finite = np.isfinite(np.float32(number))  # as which a network takes it
    if not is_finite:
        raise UserError(
            f"a baseline is a finite number of at most 3.4e38, or a name, and not {name}"
        )
    return number


def _count(values: Any) -> int:
    """Return the number of samples that values are of."""
    return int(values.shape[0]) if hasattr(values, "shape") else len(values)


def _several(inputs: Any, labels: Any, wanted: int | None) -> dict[str, Any] | None:
    """Return the arrays of several inputs by name, or else by number; None for one input."""
    if isinstance(inputs, Mapping):
        return {str(name): _array(one) for name, one in inputs.items()}
    if not isinstance(inputs, list | tuple) or len(inputs) < 2:
        return None
    if not all(len(getattr(one, "shape", ())) > 0 for one in inputs):
        return None
    if wanted is not None:
        images = len(inputs) != wanted
        return None if images else {str(number): one for number, one in enumerate(inputs)}
    # A list of images looks like a list of inputs; as many as labels, or all of one shape, are that.
    images = len({tuple(one.shape) for one in inputs}) == 1
    if labels is not None:
        count = [*(labels.shape if hasattr(labels, "shape") else (len(labels),)), 1][0]
        images = count == len(inputs) or count != inputs[0].shape[0]
    return None if images else {str(number): one for number, one in enumerate(inputs)}


def _array(values: Any) -> Any:
    if isinstance(values, ArrayLike):
        return values
    try:
        return np.asarray(values)
    except (ValueError, OverflowError, TypeError) as error:
        raise UserError("the inputs do not all have one shape, or are no numbers") from error


def by_name(words: Sequence[str], class_names: Sequence[str]) -> list[int]:
    """Return the place of each word among the names of classes.

    Raises
    ------
    UserError
        If a word is no name of a class, with all words and names.
    """
    place = {name: number for number, name in reversed([*enumerate(class_names)])}
    strange = [word for word in words if word not in place]
    if strange:
        raise UserError(
            f"the labels are the words {words_of(words)}, and the classes are called "
            f"{words_of(class_names)}: {words_of(strange)} {'is' if len(strange) == 1 else 'are'} "
            f"not among the class names.{nearest(strange[0], class_names)} Give each class its "
            "name among the labels, in the network's order: --class-names NAME NAME ..."
        )
    return [place[word] for word in words]


def _fits(found: tuple[int, ...], wanted: tuple[int | None, ...]) -> bool:
    return len(found) == len(wanted) and all(
        want is None or have == want for have, want in zip(found, wanted, strict=True)
    )


def _shape(shape: Sequence[int | None]) -> str:
    return "(" + ", ".join("any" if size is None else str(size) for size in shape) + ")"


def _listed(numbers: Sequence[int]) -> str:
    shown = ", ".join(str(number) for number in numbers[:8])
    return shown if len(numbers) <= 8 else f"{shown} and {len(numbers) - 8} more"
