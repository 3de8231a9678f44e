"""Masks of the places in images that are known to matter: from a file, or from labels of positions."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np

from cnnvis.data.explanation import CHANNEL, Explanation
from cnnvis.data.intervals import intervals_in
from cnnvis.data.samples import Array
from cnnvis.errors import UserError, numbered
from cnnvis.evaluation.boxes import (
    Box,
    as_box,
    json_in,
    require_known,
    table_of_boxes,
    whole_number,
)
from cnnvis.files.npy import StoredArray, stored_arrays
from cnnvis.files.reading import read_text

MASKS = "masks"
"""Name of the array of masks in an archive."""


def masks_of(explanation: Explanation, path: str | None = None, label: int | None = None) -> Array:
    """Return a mask for each map, (n, *space) bool: False everywhere for an image without one.

    Parameters
    ----------
    explanation
        Maps of images; the images' places in the data choose the masks.
    path
        A file of masks or boxes. ``.npy``, or ``.npz`` with one array or an array ``masks``: 0 or 1,
        or bool, (images, *space) for all images of the data in their order. ``.csv`` with a line for
        each box, or ``.json`` with a list of objects: ``image``, the place of the image, and for an
        axis such as column ``column_start``, the first position, and ``column_stop``, the position
        behind the last, counted from 0. Along an axis that is not named a box is as long as the
        image; several boxes of an image are united. ``.bed``: intervals of the genome in which the images
        have places, whatever their strand. None for labels of positions.
    label
        The number of the label that counts, of labels of positions; by default all but 0.

    Raises
    ------
    UserError
        If there are neither a file nor labels of positions, or they do not fit the images.
    """
    samples = explanation.samples
    assert samples is not None  # `map_values` refuses maps of no images
    if path is None:
        return _of_labels(explanation, label)
    file, total = Path(path), samples.total
    if file.suffix.lower() in (".npy", ".npz"):
        return _of_array(file, samples.indices, samples.space, total)
    names = [name for name in explanation.axes if name != CHANNEL]
    if file.suffix.lower() == ".bed":
        return _of_intervals(explanation, file, names.index)
    boxes = _boxes(file)
    return _of_boxes(
        boxes, file, samples.indices, dict(zip(names, samples.space, strict=True)), total
    )


def _of_labels(explanation: Explanation, label: int | None) -> Array:
    samples = explanation.samples
    assert samples is not None
    shape = () if samples.labels is None else tuple(samples.labels.shape[1:])
    # Over a single axis, 0 and 1 for each position look like several labels of the image.
    is_row = samples.label_kind == "several" and shape == samples.space
    if samples.labels is None or not (is_row or samples.label_kind == "positions"):
        raise UserError(
            "nothing says which places matter: the data have no label for each position, so give a "
            "file of masks or boxes as the option masks"
        )
    labels = np.asarray(samples.labels[:])
    wanted = (len(samples), *samples.space)
    if labels.shape in ((*wanted, 1), (len(samples), 1, *samples.space)):
        labels = labels.reshape(wanted)
    if labels.shape != wanted:
        raise UserError(
            f"the labels of positions have the shape {labels.shape[1:]} for each image, and the "
            f"images have {samples.space}"
        )
    found: Array = (labels != 0) & ~np.isnan(labels) if label is None else labels == label
    return found


def _of_array(path: Path, indices: Array, space: tuple[int, ...], total: int | None) -> Array:
    arrays = stored_arrays(path)
    stored = arrays[MASKS] if MASKS in arrays else next(iter(arrays.values()), None)
    if stored is None or (len(arrays) > 1 and MASKS not in arrays):
        raise UserError(
            f"{str(path)!r} holds the arrays {', '.join(arrays) or 'none'}; masks are the only array "
            f"of a file, or the one with the name {MASKS}"
        )
    _require_masks(stored, path, space, total, int(indices.max(initial=0)))
    values = stored[np.asarray(indices)]
    strange = (values != 0) & (values != 1)
    if strange.any():
        raise UserError(
            f"{str(path)!r} holds {values[strange][0]:g}, and a mask holds 0 and 1 only"
        )
    return values.astype(bool)


def _require_masks(
    stored: StoredArray, path: Path, space: tuple[int, ...], total: int | None, last: int
) -> None:
    if stored.dtype.kind not in "buif":
        raise UserError(f"{str(path)!r} holds {stored.dtype}, and a mask holds 0 and 1 only")
    if tuple(stored.shape[1:]) != space:
        raise UserError(
            f"{str(path)!r} holds masks of the shape {tuple(stored.shape[1:])}, and the images have "
            f"{space}, without channels"
        )
    _require_image(last, stored.shape[0], path, "masks")
    if total is not None and stored.shape[0] != total:
        raise UserError(
            f"{str(path)!r} holds {numbered(stored.shape[0], 'mask')}, and the data "
            f"{numbered(total, 'image')}: give a mask for every image, empty where there is none"
        )


def _require_image(place: int, count: int, path: Path, what: str) -> None:
    if not 0 <= place < count:
        raise UserError(
            f"{str(path)!r} has {what} for the images 0 to {count - 1}, and image {place} is none of them"
        )


def _boxes(path: Path) -> Sequence[tuple[str, Box]]:
    """Return the boxes of a file, each with its place in the file in words.

    Raises
    ------
    UserError
        If the file is no table or list of boxes, or holds none.
    """
    found = _boxes_in(path, read_text(path))
    if not found:
        raise UserError(f"{str(path)!r} holds no boxes")
    return found


def _boxes_in(path: Path, text: str) -> Sequence[tuple[str, Box]]:
    match path.suffix.lower():
        case ".csv":
            return table_of_boxes(path, text)
        case ".json":
            held = json_in(path, text)
            if not isinstance(held, list) or not all(isinstance(one, dict) for one in held):
                raise UserError(f"{str(path)!r} must hold a list of objects, one for each box")
            return [(f"box {number}", one) for number, one in enumerate(held)]
    raise UserError(
        f"{str(path)!r} cannot be read as masks: masks are in .npy or .npz files, boxes in .csv or .json, "
        "places in a genome in .bed"
    )


def _of_intervals(explanation: Explanation, path: Path, axis_of: Callable[[str], int]) -> Array:
    """Return masks of the positions of a genome that lie in an interval of a BED file."""
    samples, places = explanation.samples, explanation.places
    assert samples is not None
    if places is None:
        raise UserError(
            f"{str(path)!r} holds places in a genome, and the maps have none: read the data with places, as from "
            "FASTA with --fasta.intervals, or give masks (.npy) or boxes (.csv)"
        )
    stat = path.stat() if path.is_file() else None
    known = _united_in(path, stat and stat.st_mtime_ns, stat and stat.st_size)
    if not {*known} & {*places.contigs}:
        raise UserError(
            f"{str(path)!r} holds places in {', '.join(sorted(known)[:3])}, and the images lie in "
            f"{', '.join(sorted({*places.contigs})[:3])}"
        )
    found = np.zeros((len(samples), *samples.space), bool)
    along = np.moveaxis(found, 1 + axis_of(places.axis), -1)
    for row, contig in enumerate(places.contigs):
        if contig in known:
            (begins, ends), (first, last) = known[contig], places.intervals(row)
            next_one = np.minimum(np.searchsorted(ends, first, side="right"), len(ends) - 1)
            along[row] = (begins[next_one] < last) & (ends[next_one] > first) & (first >= 0)
    return found


@functools.lru_cache(maxsize=1)  # for one batch of images after the other
def _united_in(path: Path, changed: int | None, size: int | None) -> dict[str, tuple[Array, Array]]:
    """Return the intervals of a BED file by their contigs; see `_united`."""
    found: dict[str, list[tuple[int, int]]] = {}
    for one in intervals_in(path):
        found.setdefault(one.contig, []).append((one.start, one.end))
    return {contig: _united(intervals) for contig, intervals in found.items()}


def _united(intervals: Sequence[tuple[int, int]]) -> tuple[Array, Array]:
    """Return starts and ends of intervals of a contig in rising order, of which no two overlap."""
    edges = np.array(sorted(intervals), np.int64)
    reached = np.maximum.accumulate(edges[:, 1])
    is_new = np.append(True, edges[1:, 0] > reached[:-1])
    return edges[is_new, 0], reached[np.append(np.flatnonzero(is_new)[1:] - 1, len(edges) - 1)]


def _of_boxes(
    boxes: Sequence[tuple[str, Box]],
    path: Path,
    indices: Array,
    space: Mapping[str, int],
    total: int | None,
) -> Array:
    found = np.zeros((len(indices), *space.values()), bool)
    known = ["image", *(f"{axis}_{end}" for axis in space for end in ("start", "stop"))]
    for where, box in boxes:
        said = f"{str(path)!r}, {where}"
        require_known(box, known, said)
        image = whole_number(box.get("image"), "image", said)
        if total is not None and not 0 <= image < total:
            raise UserError(
                f"{said}: there is no image {image}; the data hold images 0 to {total - 1}"
            )
        inside = as_box(box, space, said)
        for row in np.flatnonzero(indices == image).tolist():
            found[row][inside] = True
    return found
