"""Reader of DICOM files: each series of slices is a volume."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cnnvis
from cnnvis.plugins.readers._dicom_file import Slice, pixels_of, slice_of
from cnnvis.plugins.readers._file_array import FileArray, sized
from cnnvis.plugins.readers._folders import (
    SLICES,
    Found,
    Wanted,
    below,
    holds_most,
    named,
    samples_of_files,
)

if TYPE_CHECKING:
    import numpy.typing as npt

_EVEN = 0.02  # share of the distance of slices by which distances may differ
_GAP = 1.5  # times the usual distance of slices, from which on one is missing
_REMEDY = "resample all series to one grid first"


class _Dicoms(Wanted):
    """DICOM files, which often have no ending of their own."""

    def takes(self, file: Path) -> bool:
        """Tell whether a file is of this kind, by its ending or else by its first bytes."""
        if file.name.upper() == "DICOMDIR":  # a list of the files beside it
            return False
        return self.ends(file.name) or _is_marked(file)


DICOM = _Dicoms("DICOM file", SLICES)


def _is_marked(file: Path) -> bool:
    try:
        if not file.is_file():
            return False
        with file.open("rb") as opened:
            return opened.read(132)[128:] == b"DICM"
    except OSError:
        return False


def _is_dicom(path: Path) -> bool:
    """Tell whether a file, or most of a folder, is DICOM."""
    if not path.is_dir():
        return _is_marked(path)
    if holds_most(path, DICOM):
        return True
    first = next(below(path), None)
    return first is not None and (first.name == "DICOMDIR" or _is_marked(first))


@cnnvis.reader(
    "dicom", suffixes=DICOM.suffixes, accepts=_is_dicom, requires=("pydicom",), extra="dicom"
)
def dicom(path: Path, *, rescale: bool = True) -> cnnvis.Samples:
    """Read each series of slices in a folder as a volume (slices, rows, columns) of float32.

    Slices are sorted by their places along the normal of their planes, and their distances are those
    of their places. Pictures without a place, such as radiographs, are an image each. A folder that
    holds folders of one series each has no classes; deeper ones are classes, by name. Nothing that
    names a patient is kept: images have the names of folders and files.

    Parameters
    ----------
    rescale
        Turn stored values into the unit of their modality, such as Hounsfield units, by the slope
        and the intercept of each file.
    """
    held, found = cnnvis.held(path), DICOM.found(path)
    slices = _slices(held, found.files)
    series = _series(path, found, slices)
    shape = Counter(one.shape for one in series).most_common(1)[0][0]
    others = [one.name for one in series if one.shape != shape]
    if others:
        cnnvis.note(
            f"{len(others)} of {len(series)} series have other shapes than {sized(shape)} and get no maps: "
            f"{', '.join(map(repr, others[:3]))}; {_REMEDY}"
        )
    if any(one.is_inverted for one in slices.values()):
        cnnvis.note(
            "in some pictures larger values are darker (MONOCHROME1); values stay as they are"
        )
    by_name = {Path(one.name): one for one in series}

    def read(name: Path) -> npt.NDArray[Any]:
        import numpy as np

        one = by_name[name]
        rows, columns = one.shape[-2:]
        parts = [pixels_of(held, file, (rows, columns), rescale=rescale) for file in one.files]
        return np.stack(parts) if len(one.shape) == 3 else parts[0]

    grids = tuple(one.grid for one in series)
    source = FileArray([(name, None) for name in by_name], shape, read, "series", _REMEDY)
    _say_grids(series)
    classes = found.classes if all(one.label is not None for one in series) else None
    every = Found(
        list(by_name), classes, None if classes is None else tuple(one.label or 0 for one in series)
    )
    return samples_of_files(
        every, source, channel_axis=None, grids=grids if any(grids) else None,
        coordinates=cnnvis.voxel_axes(grids),
    )  # fmt: skip


@dataclass(frozen=True)
class _Series:
    """A volume: the name, the files in their order, the shape, the grid, and the label's number."""

    name: str
    files: tuple[Path, ...]
    shape: tuple[int, ...]
    grid: cnnvis.VoxelGrid | None
    label: int | None


def _slices(held: Any, files: Sequence[Path]) -> dict[Path, Slice]:
    """Read the heads of all files; a file without a picture is left out.

    Raises
    ------
    UserError
        If no file has one, with the reason of the first.
    """
    slices: dict[Path, Slice] = {}
    failed: dict[Path, cnnvis.UserError] = {}
    with cnnvis.progress("reading heads of DICOM files", len(files)) as advance:
        for file in files:
            try:
                slices[file] = slice_of(held, file)
            except cnnvis.UserError as error:
                failed[file] = error
            advance(1)
    if not slices:
        raise next(iter(failed.values()))
    if failed:
        reason = next(iter(failed.values()))
        cnnvis.note(f"{len(failed)} of {len(files)} files are left out: {named(failed)}; {reason}")
    return slices


def _series(path: Path, found: Found, slices: Mapping[Path, Slice]) -> list[_Series]:
    """Return the volumes of all files, in the order of their names."""
    labels = dict(zip(found.files, found.labels or (), strict=False))
    together: dict[tuple[Any, ...], list[Path]] = {}
    for file, one in slices.items():
        # A copy of a series in another folder is a volume of its own.
        key = (file.parent, one.series, one.is_placed or file)
        together.setdefault(key, []).append(file)
    groups = list(together.values())
    folders = Counter(files[0].parent for files in groups)
    is_flat = all(files[0].parent.parent == path for files in groups) and set(folders.values()) == {
        1
    }
    if found.classes is not None and is_flat:
        cnnvis.note("each folder holds one series, so the folders are no classes")
        labels = {}
    made: list[_Series] = []
    failed: list[cnnvis.UserError] = []
    for files in groups:
        folder = files[0].parent
        name = folder.name if folder != path or path.is_dir() else files[0].name
        if not slices[files[0]].is_placed:
            name = files[0].name
        elif folders[folder] > 1:
            name = f"{name}-{slices[files[0]].number or slices[files[0]].series[-12:]}"
        try:
            made.append(_volume(name, files, slices, labels.get(files[0])))
        except cnnvis.UserError as error:
            failed.append(error)
    if not made:
        raise failed[0]
    for reason in failed:
        cnnvis.note(f"a series is left out: {reason}")
    return _named_apart(sorted(made, key=lambda one: (one.label or 0, one.files[0])))


def _named_apart(series: Sequence[_Series]) -> list[_Series]:
    """Return the series with a number in names that several have."""
    from dataclasses import replace

    count: Counter[str] = Counter()
    found = []
    for one in series:
        count[one.name] += 1
        times = count[one.name]
        found.append(one if times == 1 else replace(one, name=f"{one.name}_{times}"))
    return found


def _volume(
    name: str, files: list[Path], slices: Mapping[Path, Slice], label: int | None
) -> _Series:
    """Return the volume of a series' files.

    Raises
    ------
    UserError
        If they are no volume: slices differ, lie at one place, or are missing.
    """
    import numpy as np

    first = slices[files[0]]
    if not first.is_placed:
        return _Series(name, tuple(files), first.shape, None, label)
    assert first.orientation is not None and first.spacing is not None
    apart = [file for file in files if not _is_like(first, slices[file])]
    if apart:
        raise cnnvis.UserError(
            f"the series {name!r} is no volume: {named(apart)} {'has' if len(apart) == 1 else 'have'} "
            f"other rows, columns, directions or distances of pixels than {files[0].name!r}; remove the "
            "files that are no slices of the volume, such as localizers"
        )
    across, down = np.array(first.orientation[:3]), np.array(first.orientation[3:])
    normal = np.cross(across, down)
    places = {file: np.array(slices[file].position) for file in files}
    if 8 * len(files) * first.shape[0] * first.shape[1] > cnnvis.available_memory():
        raise cnnvis.UserError(
            f"the series {name!r} has {len(files)} slices, too many for the memory"
        )
    files = sorted(files, key=lambda file: (float(places[file] @ normal), file))
    _require_even(name, files, [float(places[file] @ normal) for file in files])
    start = places[files[0]]
    count = len(files)
    step = (places[files[-1]] - start) / (count - 1) if count > 1 else normal * first.thickness
    # Rows follow each other downwards, along what DICOM calls the direction of columns.
    columns = (step, down * first.spacing[0], across * first.spacing[1], start)
    affine = np.vstack([np.stack(columns, axis=1), [0, 0, 0, 1]])
    affine[:2] *= -1  # DICOM counts to the left and to the back
    shape = (count, *first.shape)
    try:
        grid = cnnvis.VoxelGrid(shape, affine.tolist(), "mm", "scanner")
    except cnnvis.UserError as error:
        raise cnnvis.UserError(f"the series {name!r} is no volume: {error}") from error
    return _Series(name, tuple(files), shape if count > 1 else first.shape, grid, label)


def _is_like(one: Slice, other: Slice) -> bool:
    import numpy as np

    return (
        one.shape == other.shape
        and np.allclose(np.array(one.orientation), np.array(other.orientation), atol=1e-3)
        and np.allclose(np.array(one.spacing), np.array(other.spacing), rtol=1e-3)
    )


def _require_even(name: str, files: Sequence[Path], places: Sequence[float]) -> None:
    """Refuse slices that lie at one place, or of which some are missing between others."""
    import numpy as np

    gaps = np.diff(places)
    if not len(gaps):
        return
    usual = float(np.median(gaps))
    place = int(gaps.argmin())
    between = f"{files[place].name!r} and {files[place + 1].name!r}"
    if gaps.min() < _EVEN * max(usual, 1e-3):
        raise cnnvis.UserError(
            f"the series {name!r} is no volume: {between} lie at the same place, {places[place]:g} mm, as "
            "where a series holds several times or echoes; put the slices of each into a folder of its own"
        )
    place = int(gaps.argmax())
    between = f"{files[place].name!r} ({places[place]:g} mm) and {files[place + 1].name!r} ({places[place + 1]:g} mm)"
    if gaps.max() > _GAP * usual:
        raise cnnvis.UserError(
            f"a slice of the series {name!r} is missing between {between}: slices are usually "
            f"{usual:g} mm apart, and these {gaps.max():g} mm"
        )
    if gaps.max() - gaps.min() > 2 * _EVEN * usual:
        raise cnnvis.UserError(
            f"the slices of the series {name!r} are {gaps.min():g} to {gaps.max():g} mm apart, the most "
            f"between {between}; resample them to even distances"
        )


def _say_grids(series: Sequence[_Series]) -> None:
    placed = [one for one in series if one.grid is not None]
    if not placed:
        return
    first = placed[0].grid
    assert first is not None
    codes = {one.grid.code for one in placed if one.grid is not None}
    if len(codes) > 1:
        cnnvis.note(
            f"the axes of the series lead to different sides ({', '.join(sorted(codes))}), so left of one may "
            "be right of another"
        )
        return
    cnnvis.note(
        "slices are sorted along the normal of their planes: the axes slice, row and column lead to "
        f"{', '.join(first.code)} (of right, left, front A, back P, top S and bottom I)"
    )
