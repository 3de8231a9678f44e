"""Samples: the inputs of a network, with what is known about them."""

from __future__ import annotations

import operator
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from cnnvis.errors import UserError

Array = npt.NDArray[Any]


@runtime_checkable
class ArrayLike(Protocol):
    """What a reader may hand over instead of an array: read piece by piece, when indexed.

    ``shape`` starts with the number of samples; indexing with a list of whole numbers gives a
    NumPy array of those samples.
    """

    @property
    def shape(self) -> tuple[int, ...]: ...
    @property
    def dtype(self) -> np.dtype[Any]: ...
    def __getitem__(self, index: Any, /) -> Any: ...


@dataclass(frozen=True)
class _Reshaped:
    """Samples in another shape, still read when they are indexed."""

    source: ArrayLike
    shape: tuple[int, ...]

    @property
    def dtype(self) -> np.dtype[Any]:
        return self.source.dtype

    def __getitem__(self, index: Any) -> Array:
        return np.asarray(self.source[index]).reshape(-1, *self.shape[1:])


@dataclass(frozen=True, eq=False)
class Samples:
    """Inputs of a network: what a technique explains.

    Attributes
    ----------
    source
        The inputs, sample axis first: an array, or something that reads itself when it is indexed
        (a memory map, a folder of pictures).
    labels
        The class of each sample, (n,) whole numbers, or None. May be given as one column, as one
        column for each class, of which the largest counts, or in words, which then name the
        classes. Fractions are the answers of a regression and no classes: they are left out.
    names
        A name for each sample, such as its file's, or None.
    class_names
        The name of class 0, class 1, ..., or None.
    indices
        The place of each sample in the whole data set, (n,) int64. By default 0, 1, 2, ...
    channel_axis
        Which axis of `source` holds channels, -1 or 1; None if none does.
    path
        The file or folder that the samples were read from, for the provenance.
    input
        Which of a network's inputs `source` is, by name, where it has several.
    others
        The other inputs of the same samples, by name, each shaped as `source` is: (n, ...).

    Raises
    ------
    UserError
        If the inputs are no numbers, or there are more or fewer of them than labels or names.
    """

    source: ArrayLike
    labels: Array | None = None
    names: tuple[str, ...] | None = None
    class_names: tuple[str, ...] | None = None
    indices: Array = field(default=None)  # type: ignore[arg-type]  # numbered when not given
    channel_axis: int | None = -1
    path: Path | None = None
    input: str | None = None
    others: Mapping[str, ArrayLike] = field(default_factory=dict)

    @classmethod
    def of(cls, inputs: Any, labels: Any = None, **settings: Any) -> Samples:
        """Samples of one input or of several.

        Parameters
        ----------
        inputs
            An array (n, ...); for a network with several inputs, one array for each, in a dict by
            the inputs' names or in a list by their order.
        labels
            See `labels` above.
        settings
            Other attributes.

        Raises
        ------
        UserError
            If the inputs are no arrays, or do not all hold as many samples.
        """
        labels = None if labels is None else np.asarray(labels)
        several = _several(inputs, labels)
        if several is None:
            return cls(_array(inputs), labels, **settings)
        counts = {name: int(one.shape[0]) for name, one in several.items()}
        if len(set(counts.values())) > 1:
            held = ", ".join(f"{count} of {name}" for name, count in counts.items())
            raise UserError(f"the inputs of the samples must be as many of each, and are {held}")
        (name, source), *others = several.items()
        return cls(source, labels, **settings, input=name, others=dict(others))

    @classmethod
    def joined(cls, parts: Sequence[Samples]) -> Samples:
        """Samples of the same kind as one, in this order."""
        first = parts[0]
        names = None
        if first.names is not None:
            names = tuple(name for part in parts for name in part.names or ())
        return replace(
            first,
            source=np.concatenate([part.x for part in parts]),
            labels=None
            if first.labels is None
            else np.concatenate([np.asarray(part.labels) for part in parts]),
            names=names,
            indices=np.concatenate([part.indices for part in parts]),
            others={
                name: np.concatenate([np.asarray(part.others[name][:]) for part in parts])
                for name in first.others
            },
        )

    def batches(self, size: int) -> Iterator[Samples]:
        """The samples in order, so many at a time."""
        for start in range(0, len(self), size):
            yield self[start : start + size]

    def __post_init__(self) -> None:
        if len(self.source.shape) == 0:
            raise UserError("the data are a single number, and a network needs at least an array")
        if self.source.dtype.kind not in "biuf":
            raise UserError(
                f"the data hold inputs of the type {self.source.dtype}, and a network needs numbers"
            )
        if self.indices is None:
            object.__setattr__(self, "indices", np.arange(len(self)))  # type: ignore[unreachable]
        if self.labels is not None:
            labels, words = _classes(np.asarray(self.labels))
            object.__setattr__(self, "labels", labels)
            if words is not None and self.class_names is None:
                object.__setattr__(self, "class_names", words)
        for what, values in (("labels", self.labels), ("names", self.names)):
            if values is not None and len(values) != len(self):
                raise UserError(f"the data hold {len(self)} inputs but {len(values)} {what}")

    def __len__(self) -> int:
        return int(self.source.shape[0])

    def __getitem__(self, index: int | slice | Sequence[int]) -> Samples:
        """Some of the samples, in the order given; they keep their places in the whole data set."""
        chosen = np.atleast_1d(np.arange(len(self))[index])
        return replace(
            self,
            source=self.source[chosen],
            labels=None if self.labels is None else self.labels[chosen],
            names=None if self.names is None else tuple(self.names[i] for i in chosen),
            indices=self.indices[chosen],
            others={name: other[chosen] for name, other in self.others.items()},
        )

    def __iter__(self) -> Iterator[Samples]:
        return (self[index] for index in range(len(self)))

    @cached_property
    def x(self) -> Array:
        """All inputs as one array, (n, ...), read now if they were not yet."""
        return np.asarray(self.source[:])

    @property
    def space(self) -> tuple[int, ...]:
        """The sizes of the spatial axes: those of one input, its channels left out."""
        sizes = list(self.source.shape)
        if self.channel_axis is not None:
            del sizes[self.channel_axis]
        return tuple(sizes[1:])

    def label_name(self, position: int) -> str | None:
        """The label of the sample at this position, in words if the classes have names."""
        if self.labels is None:
            return None
        return class_name(self.class_names, int(self.labels[position]))

    def chosen(self, images: int | Sequence[int] | None) -> Samples:
        """The samples at these places of the whole data set; all of them for None.

        Raises
        ------
        UserError
            If a place does not exist.
        """
        if images is None:
            return self
        try:
            images = [operator.index(image) for image in np.atleast_1d(np.asarray(images)).tolist()]
        except TypeError:
            raise UserError(
                f"images are chosen by their places, whole numbers, and not by {images!r}"
            ) from None
        outside = [index for index in images if not 0 <= index < len(self)]
        if outside:
            raise UserError(
                f"there is no image {_listed(outside)}: the data hold {len(self)} images, "
                f"0 to {len(self) - 1}"
            )
        return self[images]

    @property
    def inputs(self) -> dict[str, ArrayLike]:
        """All inputs by name, the explained one among them; empty where there is but one."""
        return {} if self.input is None else {self.input: self.source, **self.others}

    def explaining(self, name: str) -> Samples:
        """The same samples with another of their inputs as the one to explain."""
        inputs = self.inputs
        source = inputs.pop(name)
        return replace(self, source=source, input=name, others=inputs)

    def shaped_for_inputs(
        self, wanted: Mapping[str, tuple[str, tuple[int | None, ...], int | None]]
    ) -> dict[str, Samples]:
        """For each input of a network the samples as it wants them, explaining that input.

        Parameters
        ----------
        wanted
            By the name of every input: which of the samples' arrays belongs to it, the shape and
            the channel axis; see `cnnvis.inputs.matched` and `shaped_for`. For samples of one array
            and a network of one input, the array's name does not count.

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
        """The samples as a network wants them, a missing channel or sample axis added.

        Parameters
        ----------
        input_shape
            The shape of one input, without the sample axis; None where any length will do.
        channel_axis
            Which axis of a batch of inputs holds channels, -1 or 1; None if none does.

        Raises
        ------
        UserError
            If the shapes do not fit, naming both.
        """
        found = tuple(self.source.shape)
        samples = replace(self, channel_axis=channel_axis)
        if _fits(found[1:], input_shape):
            return samples
        if channel_axis is not None:
            axis = channel_axis % (len(input_shape) + 1)
            with_channel = (*found[1:axis], 1, *found[axis:])
            if _fits(with_channel, input_shape):
                return samples._reshaped((len(self), *with_channel))
        if self.labels is None and _fits(found, input_shape):
            return replace(samples._reshaped((1, *found)), names=None, indices=np.arange(1))
        raise UserError(
            f"the data do not fit the model: its input has the shape {_shape(input_shape)} "
            f"for one image, and the data are {len(self)} images of shape {_shape(found[1:])}"
        )

    def _reshaped(self, shape: tuple[int, ...]) -> Samples:
        source = self.source
        if isinstance(source, np.ndarray):
            return replace(self, source=source.reshape(shape))
        if shape[0] != len(self):
            return replace(self, source=np.asarray(source[:]).reshape(shape))
        return replace(self, source=_Reshaped(source, shape))

    def require_finite(self) -> None:
        """Refuse inputs with NaN or infinite values, for which no gradient means anything.

        Raises
        ------
        UserError
            If there are any, naming the images.
        """
        if not np.issubdtype(self.x.dtype, np.inexact):
            return
        bad = ~np.isfinite(self.x.reshape(len(self), -1))
        if bad.any():
            images = [int(index) for index in self.indices[bad.any(axis=1)]]
            raise UserError(
                f"image {_listed(images)} holds {int(bad.sum())} values that are NaN or infinite; "
                "leave it out with --images, or put a number in their place"
            )


def _several(inputs: Any, labels: Array | None) -> dict[str, Any] | None:
    """The arrays of several inputs by name, or by number where they have none; None for one."""
    if isinstance(inputs, Mapping):
        return {str(name): _array(one) for name, one in inputs.items()}
    if not isinstance(inputs, list | tuple) or len(inputs) < 2:
        return None
    if not all(len(getattr(one, "shape", ())) > 0 for one in inputs):
        return None
    # A list of images looks like a list of inputs; as many as labels, or all of one shape, are that.
    images = len({tuple(one.shape) for one in inputs}) == 1
    if labels is not None:
        images = len(labels) == len(inputs) or len(labels) != inputs[0].shape[0]
    return None if images else {str(number): one for number, one in enumerate(inputs)}


def _array(values: Any) -> Any:
    if isinstance(values, ArrayLike):
        return values
    try:
        return np.asarray(values)
    except ValueError as error:
        raise UserError("the inputs do not all have one shape") from error


def _classes(labels: Array) -> tuple[Array | None, tuple[str, ...] | None]:
    """Labels as whole numbers, and the names of the classes if they were given in words."""
    if labels.ndim > 1:
        wide = labels.reshape(len(labels), -1)
        labels = wide[:, 0] if wide.shape[1] == 1 else wide.argmax(axis=1)
    if labels.dtype == object and all(isinstance(label, int | np.integer) for label in labels):
        labels = labels.astype(np.int64)
    if labels.dtype.kind in "USO":
        words, numbers = np.unique(labels.astype(str), return_inverse=True)
        return numbers, tuple(words.tolist())
    if labels.dtype.kind == "f":
        whole = labels.astype(np.int64)
        return (whole if np.array_equal(whole, labels) else None), None
    return labels, None


def class_name(class_names: Sequence[str] | None, index: int) -> str:
    """The name of a class, or its number where it has none."""
    if class_names is not None and 0 <= index < len(class_names):
        return class_names[index]
    return str(index)


def _fits(found: tuple[int, ...], wanted: tuple[int | None, ...]) -> bool:
    return len(found) == len(wanted) and all(
        want is None or have == want for have, want in zip(found, wanted, strict=True)
    )


def _shape(shape: Sequence[int | None]) -> str:
    return "(" + ", ".join("any" if size is None else str(size) for size in shape) + ")"


def _listed(numbers: Sequence[int]) -> str:
    shown = ", ".join(str(number) for number in numbers[:8])
    return shown if len(numbers) <= 8 else f"{shown} and {len(numbers) - 8} more"
