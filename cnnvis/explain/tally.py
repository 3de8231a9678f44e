"""Tally: notes on many batches together, made once they are done."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from cnnvis.data.batches import Piece
from cnnvis.data.completeness import FAR, bound, within
from cnnvis.data.explanation import Explanation
from cnnvis.data.samples import Array, Samples
from cnnvis.errors import NothingUsable, PluginError, UserError
from cnnvis.explain.scaling import SATURATED
from cnnvis.registry.failures import as_plugin_error
from cnnvis.registry.plugin import Plugin
from cnnvis.reporting import failure_of_image, note_on_input

PROBES = 3
"""Number of single images that must fail for the same reason, and none succeed, to give up all."""


def stopped_by(index: int, reason: str) -> UserError:
    """Return the error for the first image without a result, where that is to stop everything."""
    return UserError(f"image {index} stopped the run, as strict asks: {reason}")


@dataclass
class Tally:
    """Notes on many batches together: blank maps, saturated answers, images left out.

    Attributes
    ----------
    plugin, options
        The technique, and all its options.
    input
        The name of the input that is explained, of a network with several; None for the only input.
    of
        The number of images that are to be explained.
    stops
        True if an image without a result is to stop everything.
    images
        The number of maps so far.
    """

    plugin: Plugin
    options: Mapping[str, Any]
    input: str | None = None
    of: int = 0
    stops: bool = False
    images: int = 0
    worked: bool = False
    blank: list[str] = field(default_factory=list)
    zero: list[str] = field(default_factory=list)
    alike: int = 0
    measures: dict[str, list[Array]] = field(default_factory=dict)
    saturated: bool = False
    has_several: bool = False
    failed: dict[str, list[int]] = field(default_factory=dict)
    refused: list[UserError] = field(default_factory=list)

    def note(self, sentence: str) -> None:
        """Make a note, which says which of several inputs it is on."""
        note_on_input(self.input, sentence)

    def each(self, pieces: Iterable[Piece], samples: Samples) -> Iterator[Piece]:
        """Yield pieces, and count their results; for the parameters and errors, see `add`."""
        try:
            for piece in pieces:
                self.add(piece, samples)
                yield piece
        except GeneratorExit:
            self.remark()  # for a picture of the first maps, after which nobody wants others
            raise

    def add(self, piece: Piece, samples: Samples) -> None:
        """Count the results of some images, and make the notes of the piece.

        Raises
        ------
        UserError
            If nothing came of one, and that is to stop everything.
        """
        for sentence in piece.notes:
            self.note(sentence)
        self.blank += piece.blank
        numbers = samples.target_numbers
        for place, failure in piece.failed.items():
            if numbers is not None and numbers[place]:  # an image fails once, at all its targets
                continue
            index = int(samples.indices[place])
            self.failed.setdefault(failure.reason, []).append(index)
            failure_of_image(index, failure.reason)
            if self.stops:
                raise stopped_by(index, failure.reason)
        if piece.found is not None:
            self.worked = True
            self.images += len(piece.found)
            if piece.found.maps is not None and piece.found.samples is not None:
                self.judge(piece.found, piece.constant)

    def require_single(self, error: UserError, alone: Callable[[int], None], count: int) -> None:
        """Find out whether a mistake is a single image's, as long as no image has a result.

        Raises
        ------
        UserError
            If it is not: then there is no point in going on.
        """
        for place in dict.fromkeys((0, count // 2, count - 1)) if count > 1 else ():
            try:
                alone(place)
            except UserError as one:
                self.refused.append(one)
            else:
                self.worked = True
                return
        if count == 1:
            self.refused.append(error)
        first = [one for one in self.refused if str(one) == str(self.refused[0])]
        if len(first) == len(self.refused) >= min(PROBES, self.of):
            raise error

    def judge(self, found: Explanation, constant: Mapping[int, float] | None = None) -> None:
        """Count the maps that show nothing.

        Parameters
        ----------
        constant
            See `constant_maps`, where that is known.
        """
        assert found.maps is not None and found.samples is not None
        sure = [
            target.probability is not None
            and min(target.probability, 1 - target.probability) <= SATURATED
            for target in found.targets
        ]
        is_first = self.images == len(found)
        self.saturated = (is_first or self.saturated) and bool(sure) and all(sure)
        constant = constant_maps(found) if constant is None else constant
        zero = [place for place, value in constant.items() if value == 0]
        numbers = found.samples.target_numbers
        self.has_several = self.has_several or numbers is not None
        self.zero += [
            str(found.samples.indices[place])
            + ("" if numbers is None or not found.targets else f" for {found.targets[place]}")
            for place in zero
        ]
        self.alike += len(constant) - len(zero)
        for name, one in found.measures.items():
            self.measures.setdefault(name, []).append(one)

    def close(self, *, strict: bool) -> None:
        """Make the notes on all batches.

        Raises
        ------
        UserError
            If there is not one map that shows anything, and that is not to be a note.
        """
        for reason, images in list(self.failed.items())[:REASONS]:
            self.note(f"image {_listed(images)} was left out: {reason}")
        if len(self.failed) > REASONS:
            rest = sum(map(len, list(self.failed.values())[REASONS:]))
            self.note(
                f"{rest} more images were left out, for {len(self.failed) - REASONS} more reasons"
            )
        if self.failed and not self.images:
            reason, images = next(iter(self.failed.items()))
            raise NothingUsable(f"no image could be explained; image {_listed(images)}: {reason}")
        if not self.images:
            return
        self.remark()
        self._say_measures()
        why = self._why_blank()
        about = f"{self.plugin.name} is zero everywhere in"
        maps = "maps" if self.has_several else "images"
        if len(self.zero) == self.images and strict:
            raise UserError(f"{about} every image: {why}. Try another layer, filter or modifier.")
        if self.zero:
            self.note(
                f"{about} {len(self.zero)} of {self.images} {maps} ({_listed(self.zero)}), and a "
                f"blank map explains nothing: {why}"
            )
        if self.alike:
            self.note(
                f"{self.plugin.name} is the same everywhere in {self.alike} of {self.images} "
                f"{maps}, so no place counts more than another place"
            )

    def _why_blank(self) -> str:
        """Return why maps are zero everywhere, the end of a sentence."""
        if self.blank and len(self.zero) > 1:
            return f"in one of them at least, {self.blank[0]}"
        if self.blank:
            return self.blank[0]
        if self.plugin.family == CAMS and self.plugin.signed is not None:
            return "its feature maps there, or their weights, are all zero"
        if self.plugin.family == CAMS:
            return (
                "no weighted sum of feature maps is above zero there, and sums below zero are not shown; "
                "hires-cam shows both signs"
            )
        return "no part of the image speaks for this target"

    def remark(self) -> None:
        """Make the technique's own notes on all maps so far."""
        if self.plugin.remarks is None or not self.measures:
            return
        try:
            with as_plugin_error(self.plugin):
                found = [*self.plugin.remarks(self._measured(), **self.options)]
        except (UserError, PluginError) as error:  # which costs no map
            self.note(str(error))
        else:
            for sentence in map(str, found):
                named = self.plugin.name in sentence
                self.note(sentence if named else f"{self.plugin.name}: {sentence}")

    def _measured(self) -> dict[str, Array]:
        return {name: np.concatenate(parts) for name, parts in self.measures.items()}

    def _say_measures(self) -> None:
        measured = self._measured()
        if {"bias_share", "conservation_gap"} <= set(measured):
            self.note(
                _shares(self.plugin.name, measured["bias_share"], measured["conservation_gap"])
            )
        if "order_share" in measured:
            self.note(_of_orders(measured["order_share"]))
        if "uncertainty" in measured:
            self.note(f"{self.plugin.name} {_of_chance(measured)}")
        gap, steps = measured.get("completeness_gap"), measured.get("steps")
        if gap is None:
            return
        took = "" if steps is None else f" with {_spread(steps)} steps a map"
        start = (
            "its samples of the data, on average"
            if self.plugin.takes("references")
            else "the baseline"
        )
        change = f"the change of the score from {start}"
        known = gap[~np.isnan(gap)]
        if not len(known):
            self.note(
                f"whether {self.plugin.name} adds up is not known: {change} is no finite number, or is lost in the rounding of a much "
                "larger score"
            )
            return
        worst = float(known.max())
        half = f"; half of the maps {within(np.median(known))}" if len(known) > 1 else ""
        if len(known) < len(gap):
            half += f"; of {len(gap) - len(known)} of {len(gap)} maps that is not known"
        if worst <= FAR:
            said = f"adds up to {change}, {within(worst)}"
        else:
            every = " for every map" if len(known) > 1 else ""
            said = f"does not add up to {change}{every}: it is off by up to {bound(worst)}"
        self.note(f"{self.plugin.name} {said}{took}{half}")


def _shares(name: str, bias: Array, lost: Array) -> str:
    """Say which part of the score is not in relevance maps."""
    known = bias[np.isfinite(bias)]
    if not len(known) or not np.isfinite(lost).any():
        return (
            f"which part of the score {name} shares out is not known: the score is 0, or not finite"
        )
    low, high = (f"{one:.0%}" for one in (known.min(), known.max()))
    took = "no part" if not known.any() else low if low == high else f"{low} to {high}"
    worst = float(np.nanmax(lost))
    text = f"biases took {took} of the score, and the maps add up to the rest, {within(worst)}"
    if worst > LOST:
        text = (
            f"biases took {took} of the score, and up to {bound(worst)} of it is lost: of outputs for "
            "which a rule finds no input that speaks for them"
        )
    return f"{name} shares the score out: {text}"


def _of_chance(measured: Mapping[str, Array]) -> str:
    """Say how far chance may have taken maps, and how many draws or passes they took."""
    unsure = measured["uncertainty"]
    what = "copies" if "copies" in measured else "passes"
    took = f", with {_spread(measured[what])} {what} a map" if what in measured else ""
    known = unsure[np.isfinite(unsure)]
    if len(known) < len(unsure):
        return f"is of unknown certainty for {len(unsure) - len(known)} of {len(unsure)} maps{took}"
    half = f"; half of the maps {within(np.median(known))}" if len(known) > 1 else ""
    worst = f"{within(float(known.max()))} of a map's size, in 95 % of cases"
    return f"is certain {worst}{took}{half}"


def _of_orders(shares: Array) -> str:
    """Say how much of maps the order of exchangeable positions makes."""
    low, half, high = (f"{one:.0%}" for one in np.quantile(shares, [0, 0.5, 1]))
    some = half if low == high else f"{half} ({low} to {high})"
    return (
        f"the order of exchangeable positions alone makes {some} of the variance of a map: so much of "
        "a map of a single order is due to that order"
    )


LOST = 0.01
"""Part of the score from which on it is said to be lost."""


def _spread(values: Array) -> str:
    low, high = int(values.min()), int(values.max())
    return str(low) if low == high else f"{low} to {high}"


CAMS = "class activation maps"
"""Family of methods, most of which leave values below zero out."""

REASONS = 5
"""Maximum number of reasons for leaving images out that are reported."""


def _listed(images: Sequence[object]) -> str:
    more = f" and {len(images) - 8} more" if len(images) > 8 else ""
    return ", ".join(map(str, images[:8])) + more


BLOCK = 2**18
"""Number of bytes of maps that are looked at before the next: as many as the processor has at hand."""


def extremes(found: Explanation) -> tuple[Array, Array]:
    """Return the smallest and the largest value of each map, (n,) each; NaN where there is NaN.

    Of maps without values, the smallest is infinite and the largest minus infinite.
    """
    flat = found.array.reshape(len(found), -1)
    low, high = np.full(len(flat), np.inf, np.float32), np.full(len(flat), -np.inf, np.float32)
    if flat.size:
        size = max(BLOCK // max(flat[0].nbytes, 1), 1)
        for start in range(0, len(flat), size):
            rows = slice(start, start + size)
            flat[rows].min(axis=1, out=low[rows])
            flat[rows].max(axis=1, out=high[rows])
    return low, high


def constant_maps(found: Explanation, known: tuple[Array, Array] | None = None) -> dict[int, float]:
    """Return the maps whose values are all the same, by their places, and this value.

    Maps of a single position are among them if they are 0.

    Parameters
    ----------
    known
        The extremes of the maps, where they are known.
    """
    low, high = known or extremes(found)
    same = low == high if found.array[:1].size > 1 else (low == 0) & (high == 0)
    return {place: float(low[place]) for place in np.flatnonzero(same).tolist()}


def finite_maps(found: Explanation, known: tuple[Array, Array] | None = None) -> Array:
    """Tell which maps hold only finite numbers, (n,) bool.

    Parameters
    ----------
    known
        The extremes of the maps, where they are known.
    """
    if not found.array[:1].size:
        return np.ones(len(found), bool)
    low, high = known or extremes(found)
    good: Array = np.isfinite(low) & np.isfinite(high)
    return good
