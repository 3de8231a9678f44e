"""Stream: a result that is computed batch by batch."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any, TypeVar

import numpy as np

from cnnvis.data import zarr_maps
from cnnvis.data.explanation import Explanation
from cnnvis.data.samples import Array, Samples
from cnnvis.errors import UserError
from cnnvis.files.addresses import Place

T = TypeVar("T")

Summed = tuple[str, Mapping[str, Any]]
"""Transform that needs sums of maps alone, by its name, and all its options."""


class Stream:
    """Result as a stream of batches, which are computed while they are read.

    Parameters
    ----------
    batches
        Function that returns the batches; called again for each iteration.
    samples
        The samples that all batches explain, if known before; some samples may be left out.
    fill
        Function that computes all batches for a keeper, such as a run folder, and returns none; by
        default they are gone through.
    known
        Function that returns what a transform needs of each batch, where that is known; see
        `for_transform`.
    facts
        Facts in the provenance of batches that known sums lack.
    """

    def __init__(
        self,
        batches: Callable[[], Iterable[Explanation]],
        samples: Samples | None = None,
        *,
        fill: Callable[[], None] | None = None,
        known: Callable[[Summed], Iterable[Any] | None] | None = None,
        facts: Mapping[str, Any] | None = None,
    ) -> None:
        self._batches = batches
        self._samples = samples
        self._fill = fill
        self._known = known
        self._sums: Iterable[Any] | None = None
        self._facts = facts or {}

    def __iter__(self) -> Iterator[Explanation]:
        return iter(self._batches())

    def sums(self, function: Callable[[Explanation], T]) -> Iterator[T]:
        """Yield what a transform needs of each batch, such as sums of the maps of groups.

        With workers, these made the sums of a run where the maps are, and no map is read here.

        Parameters
        ----------
        function
            What the argument `sums` of `cnnvis.transform` returns for the transform's options.
        """
        return map(function, self) if self._sums is None else iter(self._sums)

    def fill(self) -> None:
        """Have all batches computed and kept."""
        if self._fill is not None:
            self._fill()
            return
        for _ in self:
            pass

    def mapped(self, function: Callable[[Explanation], Explanation]) -> Stream:
        """Return the stream with a function applied to each batch, but not to known sums."""
        found = Stream(lambda: map(function, self), known=self._known, facts=self._facts)
        found._sums = self._sums
        return found

    def with_facts(self, facts: Mapping[str, Any]) -> Stream:
        """Return the stream with more facts in the provenance of each batch."""
        found = self.mapped(lambda one: one.with_facts(facts))
        found._samples, found._facts = self._samples, {**self._facts, **facts}
        return found

    def for_transform(self, name: str, options: Mapping[str, Any]) -> Stream:
        """Return the stream whose `sums` are those of a transform, where they are known."""
        sums = None if self._known is None else self._known((name, options))
        if sums is None:
            return self
        found = self.mapped(lambda one: one)
        found._sums = sums
        return found

    @property
    def lacking(self) -> Mapping[str, Any]:
        """Facts that the provenance of what known sums give lacks."""
        return {} if self._sums is None else self._facts

    def first(self, count: int) -> tuple[Explanation, bool]:
        """Return the first `count` maps, and whether more may follow; compute no later batch.

        A table is in one piece, however many rows it has.
        """
        parts: list[Explanation] = []
        for batch in self:
            parts.append(batch)
            if batch.maps is None:
                break
            if sum(map(len, parts)) > count:
                return Explanation.joined(parts)[range(count)], True
        self._batches = lambda: parts
        return self.whole(), False

    def write_zarr(self, place: Place, *, inputs: bool = False) -> None:
        """Write all maps into a new Zarr store, a shard at a time; see the renderer zarr-maps.

        Parameters
        ----------
        place
            The folder, which may be there and empty, or the address.
        inputs
            Write the inputs, too.

        Raises
        ------
        UserError
            If there are no maps, or there is something at the address already.
        DiskError
            If the disk is full, or the object store cannot be reached.
        """
        zarr_maps.write(self, place, inputs=inputs)

    def whole(self) -> Explanation:
        """Return all batches as one explanation, and keep it from then on."""
        # A batch of which nothing was selected is none.
        filled = (batch for batch in self if len(batch))
        joined = _joined(filled) if self._samples is None else _placed(filled, self._samples)
        self._batches = lambda: [joined]
        return joined


def _joined(batches: Iterable[Explanation]) -> Explanation:
    parts = list(batches)
    if not parts:
        raise UserError("no images are left to show")
    return _kept(Explanation.joined(parts))


def _placed(batches: Iterable[Explanation], samples: Samples) -> Explanation:
    """Join batches without a second copy of their maps, or a first copy of the samples."""
    parts: list[Explanation] = []
    maps: Array | None = None
    places: list[int] = []
    numbers = samples.target_numbers
    count = 1 if numbers is None else int(numbers.max(initial=0)) + 1
    for batch in batches:
        if len(batch) == len(samples) or batch.maps is None or batch.indices is None:
            parts.append(batch)  # all in one, whatever it is
            continue
        if maps is None:
            maps = np.empty((len(samples), *batch.maps.shape[1:]), np.float32)
        place = slice(len(places), len(places) + len(batch))
        maps[place] = batch.maps
        parts.append(replace(batch, maps=maps[place], samples=None))
        assert batch.samples is not None
        places += _places(batch.samples, count).tolist()
    if maps is None:
        return _joined(parts)
    if len(places) < len(samples):
        samples = samples[np.flatnonzero(np.isin(_places(samples, count), places)).tolist()]
    return replace(Explanation.joined(parts, maps[: len(places)]), samples=samples)


def _kept(batch: Explanation) -> Explanation:
    """Return a batch whose samples stay as they were explained, whatever the caller does with an array.

    Batches are explained where they lie. Larger data, of many batches, are not copied.
    """
    source = None if batch.samples is None else batch.samples.source
    if batch.samples is None or not isinstance(source, np.ndarray) or source.base is None:
        return batch
    return replace(batch, samples=replace(batch.samples, source=source.copy()))


def _places(samples: Samples, count: int) -> Array:
    """Return a number for each sample and target, of so many targets; equal numbers are the same."""
    numbers = 0 if samples.target_numbers is None else samples.target_numbers
    return np.asarray(samples.indices * count + numbers)
