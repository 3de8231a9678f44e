"""Reader of volumes in NIfTI files, one or a folder of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import cnnvis
from cnnvis.plugins.readers._file_array import FileArray, heads_of, sized
from cnnvis.plugins.readers._folders import (
    VOLUMES,
    Found,
    Wanted,
    holds_most,
    named,
    samples_of_files,
)
from cnnvis.plugins.readers._nifti_file import Head, head_of, values_of

if TYPE_CHECKING:
    import numpy.typing as npt

NIFTI = Wanted("volume", VOLUMES)
REMEDY = "resample all volumes to one grid first, such as with nilearn.image.resample_to_img"
WAYS = {"R": "right", "L": "left", "A": "front", "P": "back", "S": "top", "I": "bottom"}

Orientation = Literal["stored", "RAS"]


@cnnvis.reader(
    "volumes",
    suffixes=NIFTI.suffixes,
    accepts=lambda path: holds_most(path, NIFTI),
    requires=("nibabel",),
    extra="nifti",
)
def volumes(
    path: Path,
    *,
    orientation: Orientation | None = None,
    fourth: Literal["channels", "images"] | None = None,
    fill: float | None = None,
) -> cnnvis.Samples:
    """Read a NIfTI volume, or all volumes in a folder; folders in it are classes, by name.

    Volumes are read when they are needed, not before, as float32, with the slope and the intercept
    of their headers applied. Maps have millimetres and directions along their axes, and the renderer
    nifti writes maps on the grid of their volumes. Where folders are called sub-..., as in BIDS,
    they are subjects and no classes.

    Parameters
    ----------
    orientation
        The order of the voxels. stored: as they lie in the file and as nibabel gives them,
        whatever their directions are. RAS: turned so that the three axes lead to the right, the
        front and the top of the body. The default is stored, and refuses volumes of different
        directions.
    fourth
        What a fourth axis is: channels, of each voxel, or images, such as those of one subject at
        several times. There is no default, since headers seldom say it.
    fill
        The number that takes the place of NaN, as outside of a mask. By default images with NaN are
        left out.
    """
    held, found = cnnvis.held(path), NIFTI.found(path)
    if found.classes is not None and all(one.startswith("sub-") for one in found.classes):
        cnnvis.note(f"the folders in {path.name!r} are called sub-..., so they are no classes")
        found = Found(found.files)
    heads = heads_of(found.files, lambda file: head_of(held, file), "headers")
    _require_fourth(heads, fourth)
    ways = _ways(heads, orientation)
    shapes = [ways[file].turned(head.shape) for file, head in heads.items()]
    shape = Counter(shapes).most_common(1)[0][0]
    _say_shapes(heads, ways, shape)
    times = shape[3] if len(shape) == 4 and fourth == "images" else None

    def read(file: Path) -> npt.NDArray[Any]:
        import numpy as np

        head = heads.get(file) or head_of(held, file)  # which says what is wrong with it
        values = ways[file].values(values_of(held, file, head))
        if fill is not None:
            values = np.where(np.isnan(values), np.float32(fill), values)
        values = values.reshape(_without_depth(values.shape))
        has_times = times is not None and len(head.shape) == 4
        return np.moveaxis(values, -1, 0) if has_times else values

    images, rows = _images(found.files, heads, times)
    grids = tuple(ways[file].grid if file in ways else None for file, _ in images)
    _say_places(heads, {file: way.grid for file, way in ways.items()})
    each = _without_depth(shape if times is None else shape[:3])
    every = Found(
        [file for file, _ in images],
        found.classes,
        None if found.labels is None else tuple(found.labels[row] for row in rows),
    )
    samples = samples_of_files(
        every,
        FileArray(images, each, read, "volume", REMEDY),
        channel_axis=-1 if len(shape) == 4 and times is None else None,
        grids=grids,
        coordinates=cnnvis.voxel_axes(grids),
        reading=cnnvis.Reading(lambda wanted: _remedy(wanted, shape, next(iter(heads.values())))),
    )
    return samples if times is None else _numbered(samples, images)


def _without_depth(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Return the shape of a volume, or of a picture where the third axis has the length 1."""
    return shape[:2] + shape[3:] if len(shape) > 2 and shape[2] == 1 else shape


def _remedy(wanted: tuple[int | None, ...], shape: tuple[int, ...], head: Head) -> str:
    """Return the words to type so that volumes get a network's shape; may be empty."""
    if head.grid is None or not head.grid.code:
        return ""
    turned = _to_ras(head).turned(head.shape)[:3]
    if turned == shape[:3] or wanted[:3] != turned:
        return ""
    return "--volumes.orientation RAS reads the volumes in that shape"


@dataclass(frozen=True)
class _Way:
    """How the voxels of a volume are turned: not at all, or to the axes of RAS."""

    grid: cnnvis.VoxelGrid | None
    turn: Any = None

    def turned(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """Return the shape of the turned volume."""
        return shape if self.turn is None or self.grid is None else (*self.grid.shape, *shape[3:])

    def values(self, values: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Return the turned volume."""
        if self.turn is None:
            return values
        from nibabel.orientations import apply_orientation

        found: npt.NDArray[Any] = apply_orientation(
            values.reshape(*values.shape, *(1,) * (3 - values.ndim)), self.turn
        )
        return found


def _require_fourth(heads: Mapping[Path, Head], fourth: str | None) -> None:
    """Refuse volumes with a fourth axis of which nobody said what it is."""
    open_ones = [file for file, h in heads.items() if len(h.shape) == 4 and not h.has_vectors]
    if fourth is not None or not open_ones:
        return
    file, head = open_ones[0], heads[open_ones[0]]
    said = head.fourth or "not what it is"
    raise cnnvis.UserError(
        f"{str(file)!r} has a fourth axis of length {head.shape[3]}, and its header says {said}: "
        "--volumes.fourth channels reads it as channels of each voxel, --volumes.fourth images as "
        "images of their own"
    )


def _ways(heads: Mapping[Path, Head], orientation: Orientation | None) -> dict[Path, _Way]:
    """Return how each volume is turned, and say where its axes lead.

    Raises
    ------
    UserError
        If volumes have different directions and nobody said what to do, or none is known.
    """
    codes = {file: head.grid.code if head.grid else "" for file, head in heads.items()}
    if orientation == "RAS":
        lost = [file for file, code in codes.items() if not code]
        if lost:
            raise cnnvis.UserError(
                f"the headers of {named(lost)} do not say where left and right are, so these "
                "volumes cannot be turned; leave --volumes.orientation out"
            )
        cnnvis.note(
            "volumes are turned: plane leads to the right, row to the front, column to the top"
        )
        return {file: _to_ras(head) for file, head in heads.items()}
    different = Counter(codes.values())
    if len(different) > 1 and orientation is None:
        groups = [
            f"{code or 'directions that are not known'}: "
            f"{named([file for file, own in codes.items() if own == code])}"
            for code, _ in different.most_common()
        ]
        raise cnnvis.UserError(
            f"the axes of the volumes lead to different sides ({'; '.join(groups)}), so left of one "
            "is right of another. --volumes.orientation RAS turns all volumes alike; "
            "--volumes.orientation stored reads all as they are"
        )
    code = different.most_common(1)[0][0]
    if len(different) > 1:
        cnnvis.note("volumes of different directions are read as they are stored")
    elif not code:
        cnnvis.note("the headers of the volumes do not say where left and right are")
    else:
        right, front, top = (f"{name} to the {WAYS[way]} ({way})" for name, way in zip(
            ("plane leads", "row", "column"), code, strict=True))  # fmt: skip
        turn = "" if code == "RAS" else "; --volumes.orientation RAS turns volumes"
        cnnvis.note(f"volumes are read as they are stored: {right}, {front}, {top}{turn}")
    return {file: _Way(head.grid) for file, head in heads.items()}


def _to_ras(head: Head) -> _Way:
    from nibabel import orientations

    grid = head.grid
    assert grid is not None
    turn = orientations.io_orientation(grid.matrix)
    affine = grid.matrix @ orientations.inv_ornt_aff(turn, grid.shape)
    lengths = [0] * 3
    for length, (axis, _) in zip(grid.shape, turn, strict=True):
        lengths[int(axis)] = length
    return _Way(cnnvis.VoxelGrid(tuple(lengths), affine.tolist(), grid.unit, grid.space), turn)


def _say_shapes(
    heads: Mapping[Path, Head], ways: Mapping[Path, _Way], shape: tuple[int, ...]
) -> None:
    others = [file for file, head in heads.items() if ways[file].turned(head.shape) != shape]
    if others:
        cnnvis.note(
            f"volumes have several shapes, and cnnvis uses only those of {sized(shape)}; {named(others)} "
            f"{'has another' if len(others) == 1 else 'have others'}: {REMEDY}"
        )


def _say_places(heads: Mapping[Path, Head], grids: Mapping[Path, cnnvis.VoxelGrid | None]) -> None:
    """Make notes on volumes that lie elsewhere than the first, and on those with two places."""
    twice = [file for file, head in heads.items() if head.two_places]
    if twice:
        cnnvis.note(
            f"the sform and the qform in the header of {named(twice)} place the voxels differently; "
            "the sform is used, as nibabel does"
        )
    files = list(grids)
    first = grids[files[0]]
    apart = [file for file, grid in grids.items() if not _are_near(first, grid)]
    if apart:
        cnnvis.note(
            f"volumes lie on several grids: {named(apart)} {'differs' if len(apart) == 1 else 'differ'} "
            f"from {files[0].name!r}. A place in one is another place in the next, so a mean of their "
            f"maps means little; {REMEDY}"
        )


def _are_near(one: cnnvis.VoxelGrid | None, other: cnnvis.VoxelGrid | None) -> bool:
    return one is other if one is None or other is None else one.is_near(other)


def _images(
    files: Sequence[Path], heads: Mapping[Path, Head], times: int | None
) -> tuple[list[tuple[Path, int | None]], list[int]]:
    """Return the file of each image and its place in it, and the number of the file."""
    images: list[tuple[Path, int | None]] = []
    rows = []
    for row, file in enumerate(files):
        head = heads.get(file)
        count = head.shape[3] if times is not None and head and len(head.shape) == 4 else 1
        images += [(file, place if count > 1 else None) for place in range(count)]
        rows += [row] * count
    return images, rows


def _numbered(samples: cnnvis.Samples, images: Sequence[tuple[Path, int | None]]) -> cnnvis.Samples:
    """Return samples whose names say which of the images in a file each is."""
    from dataclasses import replace

    assert samples.names is not None
    names = (
        name if place is None else f"{_without_ending(name)}_{place}.nii"
        for name, (_, place) in zip(samples.names, images, strict=True)
    )
    return replace(samples, names=tuple(names))


def _without_ending(name: str) -> str:
    return name[: -len(".nii.gz")] if name.lower().endswith(".gz") else name[: -len(".nii")]
