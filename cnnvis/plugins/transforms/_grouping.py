"""Groups of images: by label, by prediction, by a table or a file with a group a line."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import cnnvis

if TYPE_CHECKING:
    import numpy.typing as npt

Groups = Annotated[
    str,
    cnnvis.Help(
        "The groups: label, prediction (the class that the network answers), place (the place of each image in "
        "a genome), all, a column of a table beside "
        "the data (FILE.tsv:COLUMN), or a file with a group for each image of the data, one group a line. An "
        "image with several labels is in the group of each label."
    ),
]

WORDS = ("label", "prediction", "place", "all")
"""Values of the option that name no file."""

MOST = 20
"""Maximum number of groups from labels that are numbers, one group for each value."""


OwnGroups = Sequence[Sequence[tuple[Any, str]]]
"""For each image its groups, each by its key for sorting and its name."""


@dataclass(frozen=True)
class Images:
    """Numbers and names of the images of a batch, and their groups by a file; see `Grouping.look_at`."""

    indices: npt.NDArray[Any]
    names: tuple[str, ...] | None
    total: int | None
    groups: OwnGroups


class Grouping:
    """How images are grouped; a file is read once.

    Parameters
    ----------
    by
        The option of a transform: label, prediction, place, all, or a file.
    """

    def __init__(self, by: str) -> None:
        self.by = by
        self._column: Any = None
        self._lines: list[str] | None = None

    def of(self, one: cnnvis.Explanation) -> OwnGroups:
        """Return the groups of the images of a batch."""
        assert one.samples is not None
        return _predicted(one) if self.by == "prediction" else self.of_samples(one.samples)

    def of_samples(self, samples: cnnvis.Samples) -> OwnGroups:
        """Return the groups of images, but those by prediction."""
        by = self.by
        if by == "all":
            return [(("", "all"),)] * len(samples)
        if by == "label":
            if samples.labels is None:
                raise cnnvis.UserError(
                    "the data hold no labels to group by; group by prediction, by all, or by a file "
                    "with a group for each image"
                )
            return samples.label_groups()
        if by == "place":
            return _by_place(samples)
        return self._by_file(samples)

    def images(self, one: cnnvis.Explanation, groups: OwnGroups) -> Images | None:
        """Return the images of a batch with these groups, if the groups are those of a file."""
        samples = one.samples
        if samples is None or self.by in WORDS:
            return None
        return Images(samples.indices, samples.names, samples.total, groups)

    def look_at(self, images: Images | None) -> None:
        """Have the images of a batch, which may be of a worker, looked at beside those of all others.

        Raises
        ------
        UserError
            If a line of a table may be about images of two batches, or the worker's file holds other
            groups.
        """
        if images is not None and self._by_file(images) != images.groups:
            raise cnnvis.UserError(
                f"{self.by!r} holds other groups here than for a worker: it was changed meanwhile, or is on "
                "no disk that the workers and this machine share. The maps are kept, and the same "
                "command with --resume groups them by the file as it is here"
            )

    def _by_file(self, images: cnnvis.Samples | Images) -> OwnGroups:
        if cnnvis.is_table(self.by):
            if self._column is None:
                (self._column,) = cnnvis.columns_of(self.by)
            return [((value, value),) for value in self._column.of(images)]
        if self._lines is None:
            self._lines = _lines(self.by)
        return _by_line(self.by, self._lines, images)

    def require_few(self, kind: str | None, count: int) -> None:
        """Refuse a group for each of very many numbers, given the kind of the labels."""
        if self.by == "label" and count > MOST and kind == "number":
            raise cnnvis.UserError(
                f"the labels are numbers of more than {MOST} values, too many for a group each; group "
                "by a file with a group for each image, one group a line, such as low or high"
            )


def check_samples(samples: cnnvis.Samples, *, by: str, **_: Any) -> None:
    """Refuse images that have no groups.

    Raises
    ------
    UserError
        If there is no such table, or the images have no labels, or the like.
    """
    if by != "prediction":  # which the network says
        Grouping(by).of_samples(samples)


def kind_of_labels(one: cnnvis.Explanation) -> str | None:
    """Return the kind of the images' labels; None without images."""
    return None if one.samples is None else one.samples.label_kind


def _predicted(one: cnnvis.Explanation) -> OwnGroups:
    if one.predictions is None:
        raise cnnvis.UserError(
            "the network does not answer with one class for each image, so images have no "
            "groups by prediction; group by label, by all, or by a file with a group for each "
            "image"
        )
    return [((int(k), str(one.answer_name(row))),) for row, k in enumerate(one.predictions)]


def _by_place(samples: cnnvis.Samples) -> OwnGroups:
    places = samples.places
    if places is None:
        raise cnnvis.UserError(
            "the images have no places in a genome to group by; group by label, by prediction, by all, or by a "
            "file with a group for each image"
        )
    found = []
    for number, own in enumerate(places.fingerprints()):
        is_backwards = places.steps is not None and places.steps[number] < 0
        name = f"{places.window(number)}{' backwards' if is_backwards else ''}"
        start = float(places.intervals(number)[0].min())
        found.append((((places.contigs[number], start, own), name),))
    return found


def _by_line(by: str, lines: Sequence[str], samples: cnnvis.Samples | Images) -> OwnGroups:
    outside = [int(i) for i in samples.indices if i >= len(lines)]
    if outside:
        raise cnnvis.UserError(
            f"{by!r} holds {len(lines)} groups, one group a line, and no group for image "
            f"{outside[0]}"
        )
    if samples.total is not None and len(lines) > samples.total:
        raise cnnvis.UserError(
            f"{by!r} holds {len(lines)} lines, the first of them {lines[0][:80]!r}, and the data "
            f"{samples.total} images: the file must hold a group for each image, one group a "
            "line, without a heading or empty lines"
        )
    return [((lines[i], lines[i]),) for i in samples.indices]


def _lines(path: str) -> list[str]:
    try:
        return cnnvis.read_text(Path(path)).removesuffix("\n").split("\n")
    except cnnvis.UserError as error:
        raise cnnvis.UserError(
            f"by is {path!r}, and must be label, prediction, place, all, a table (groups.tsv:COLUMN), or a file "
            f"with a group for each image, one group a line: {error}"
        ) from error
