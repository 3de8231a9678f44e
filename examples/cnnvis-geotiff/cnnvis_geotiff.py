"""Rasters of the Earth: a reader of GeoTIFF files, and a renderer that writes maps on their grids.

Both are by rasterio. A stranger's file is opened by GDAL's driver of GeoTIFF alone, without the files beside it, so
that it leads nowhere; what it declares is held against the memory before anything is read.
"""

from __future__ import annotations

import itertools
import os
import sys
import warnings
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import cnnvis

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Array = npt.NDArray[np.float32]

CNNVIS_API = 1

ENDINGS = (".tif", ".tiff")
MOST_IMAGES = 10**5
LOOKED_AT = 2000
"""Number of files in a folder among which a GeoTIFF file is looked for."""
SMALL, RATIO = 2**27, 100
"""Bytes that a piece of a file may unpack to however small the file is, and times a larger file's size."""
NO_CRS = "unknown"
"""The space of a grid that has places in no known system, by the words of `cnnvis.VoxelGrid`."""

CLOSED = {
    "GDAL_DISABLE_READDIR_ON_OPEN": "EMPTY_DIR",  # no .ovr, .msk or .aux.xml beside a file
    "GDAL_PAM_ENABLED": "NO",
    "GTIFF_SRS_SOURCE": "GEOKEYS",
}


@dataclass(frozen=True)
class Raster:
    """What the head of a GeoTIFF file says.

    Attributes
    ----------
    file
        The file.
    rows, columns, bands
        Its size, and the number of its bands.
    names
        The descriptions of its bands, empty where there are none.
    grid
        Where its pixels are; None where it does not say.
    scaled
        True where it has factors by which stored values become others.
    """

    file: Path
    rows: int
    columns: int
    bands: int
    names: tuple[str, ...]
    grid: cnnvis.VoxelGrid | None
    scaled: bool


@dataclass(frozen=True)
class Tile:
    """A window of a raster that is an image: its first row and column, and its size."""

    raster: Raster
    row: int
    column: int
    rows: int
    columns: int

    @property
    def name(self) -> str:
        """The name of the file, with the window's origin if it is a part."""
        file = self.raster.file
        if (self.rows, self.columns) == (self.raster.rows, self.raster.columns):
            return _text(file.name)
        return _text(f"{file.stem}_{self.row}_{self.column}{file.suffix}")

    @property
    def grid(self) -> cnnvis.VoxelGrid | None:
        """Where the pixels of the window are."""
        whole = self.raster.grid
        if whole is None:
            return None
        matrix = whole.matrix
        matrix[:, 3] = matrix @ [self.row, self.column, 0, 1]
        return cnnvis.VoxelGrid(
            (self.rows, self.columns, 1), matrix.tolist(), whole.unit, whole.space
        )


# Reading


def _holds_rasters(path: Path) -> bool:
    """Tell whether the first TIFF file in a folder, if there soon is one, says where its pixels are."""
    if not path.is_dir():
        return False
    first = next(filter(_is_tiff, itertools.islice(_files(path), LOOKED_AT)), None)
    try:
        return first is not None and _head_of(first).grid is not None
    except cnnvis.UserError:
        return False


@cnnvis.reader("rasters", suffixes=ENDINGS, accepts=_holds_rasters)
def rasters(
    path: Path,
    *,
    size: tuple[cnnvis.Count, cnnvis.Count] | None = None,
    step: tuple[cnnvis.Count, cnnvis.Count] | None = None,
    bands: tuple[cnnvis.Count, ...] | None = None,
    fill: float | None = None,
) -> cnnvis.Samples:
    """Read GeoTIFF files, whole or in windows of a network's size; bands are channels.

    Images are read when they are needed, as float32, with the values that are stored. Each keeps the
    coordinate reference system and the affine transform of its raster, and the renderer geotiff writes
    maps there. Folders in a folder are classes, by name.

    Parameters
    ----------
    size
        The rows and columns of an image: rasters are cut into windows of this size. By default each
        raster is an image.
    step
        The distance from one window to the next, in rows and columns; by default they lie side by
        side. The last window along an axis ends where the raster ends.
    bands
        The bands to read, counted from 1, in this order. By default all.
    fill
        The number that takes the place of pixels without a value (nodata). By default images with
        such pixels are left out.
    """
    import numpy as np

    if step is not None and size is None:
        raise cnnvis.UserError(
            "--rasters.step needs the size of windows, --rasters.size ROWS COLUMNS"
        )
    heads = _heads(_tiffs(path))
    chosen = _bands_of(heads, bands)
    tiles = _tiles(heads, size, step or size)
    _say_what_is_not_used(heads)
    classes = _classes(path, heads)
    labels = None
    if classes is not None:
        labels = np.array([classes.index(_folder(path, one.raster.file)) for one in tiles])
    grids = tuple(one.grid for one in tiles)
    # Other windows of a raster differ in their places alone.
    apart = {one.raster.file: one.grid for one in reversed(tiles)}
    names = tuple(heads[0].names[band - 1] for band in chosen)
    described = {"channel": cnnvis.Axis("band", values=names)} if any(names) else {}
    return cnnvis.Samples(
        _Windows(tiles, chosen, fill),
        labels,
        names=tuple(one.name for one in tiles),
        class_names=classes,
        in_words=classes is not None,
        channel_axis=-1 if len(chosen) > 1 else None,
        grids=grids if any(grids) else None,
        coordinates={
            **cnnvis.voxel_axes((*apart.values(), grids[-1])),
            **(described if len(chosen) > 1 else {}),
        },
        reading=cnnvis.Reading(_remedy),
    )


class _Windows:
    """Windows of rasters, (n, rows, columns, bands) or (n, rows, columns) float32, read when indexed."""

    def __init__(self, tiles: Sequence[Tile], bands: Sequence[int], fill: float | None) -> None:
        import numpy as np

        self._tiles, self._bands, self._fill, self._is_new = tiles, list(bands), fill, True
        channels = (len(bands),) if len(bands) > 1 else ()
        self.shape = (len(tiles), tiles[0].rows, tiles[0].columns, *channels)
        self.dtype = np.dtype(np.float32)

    def __getitem__(self, index: Any) -> Array:
        import numpy as np

        places = np.arange(len(self._tiles))[index]
        asked = [self._tiles[place] for place in np.atleast_1d(places)]
        found = np.empty((len(asked), *self.shape[1:]), np.float32)
        row = 0
        for raster, some in itertools.groupby(asked, lambda one: one.raster):
            with _opened(raster.file) as dataset:
                for tile in some:
                    found[row] = self._values(dataset, tile)
                    row += 1
        return found if places.ndim else found[0]

    def _values(self, dataset: Any, tile: Tile) -> Array:
        import numpy as np
        from rasterio.windows import Window

        window = Window(tile.column, tile.row, tile.columns, tile.rows)
        read = dataset.read(self._bands, window=window, masked=True)
        with np.errstate(over="ignore", invalid="ignore"):  # cnnvis says what is not finite
            values = np.moveaxis(np.ma.filled(read.astype(np.float32), np.nan), 0, -1)
        if self._is_new and np.ma.is_masked(read):
            self._is_new = False
            what = "are left out" if self._fill is None else f"have the number {self._fill:g} there"
            cnnvis.note(
                f"pixels of {tile.name!r} have no value (nodata); such images {what}"
                + ("; --rasters.fill NUMBER reads them" if self._fill is None else "")
            )
        if self._fill is not None:
            values = np.where(np.isnan(values), np.float32(self._fill), values)
        shaped: Array = values.reshape(self.shape[1:])
        return shaped


def _tiffs(path: Path) -> list[Path]:
    """Return a file alone, or all TIFF files of a folder."""
    return [one for one in _files(path) if _is_tiff(one)] if path.is_dir() else [path]


def _files(folder: Path) -> Iterator[Path]:
    """Yield all files below a folder by their names, hidden ones left out; links to folders are not followed."""
    for where, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if name[0] != ".")
        yield from (Path(where, name) for name in sorted(names) if name[0] != ".")


def _is_tiff(file: Path) -> bool:
    return file.name.lower().endswith(ENDINGS) and file.is_file()


def _folder(path: Path, file: Path) -> str:
    return _text(file.relative_to(path).parts[0])


def _classes(path: Path, heads: Sequence[Raster]) -> tuple[str, ...] | None:
    """Return the names of the folders in a folder, if all its files lie in some."""
    if not path.is_dir() or any(one.file.parent == path for one in heads):
        return None
    return tuple(sorted({_folder(path, one.file) for one in heads}))


def _heads(files: Sequence[Path]) -> list[Raster]:
    """Return the heads of all files; a damaged file costs no other.

    Raises
    ------
    UserError
        If no file can be read.
    """
    heads, wrong = [], []
    with cnnvis.progress("reading heads", len(files)) as advance:
        for file in files:
            try:
                heads.append(_head_of(file))
            except cnnvis.UserError as error:
                wrong.append(error)
            advance(1)
    if not heads:
        raise wrong[0] if wrong else cnnvis.UserError("there are no TIFF files in the folder")
    if wrong:
        more = f", and {len(wrong) - 1} more" if len(wrong) > 1 else ""
        cnnvis.note(f"a file is left out: {wrong[0]}{more}")
    return heads


@contextmanager
def _opened(file: Path) -> Iterator[Any]:
    """Open a GeoTIFF file.

    Raises
    ------
    UserError
        If it is none, or is damaged.
    """
    import rasterio
    from rasterio.errors import NotGeoreferencedWarning, RasterioError

    cnnvis.require_regular(file)
    with warnings.catch_warnings(), _without_tracebacks(), rasterio.Env(**CLOSED):
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        try:
            # By another driver, what is called .tif might be a recipe that names other files or addresses.
            with rasterio.open(os.fspath(file.absolute()), driver="GTiff") as dataset:
                yield dataset
        except cnnvis.UserError:
            raise
        except (RasterioError, OSError, ValueError, ArithmeticError) as error:
            said = " ".join(str(error).split())[:200]
            raise cnnvis.UserError(f"{str(file)!r} cannot be read as GeoTIFF: {said}") from error


@contextmanager
def _without_tracebacks() -> Iterator[None]:
    """Print nothing where rasterio cannot decode GDAL's words about a damaged file, which end in an error anyway."""
    before = sys.excepthook, sys.unraisablehook
    sys.excepthook, sys.unraisablehook = lambda *_: None, lambda _: None
    try:
        yield
    finally:
        sys.excepthook, sys.unraisablehook = before


def _head_of(file: Path) -> Raster:
    """Read the head of a file, and hold it against the file's size and the memory.

    Raises
    ------
    UserError
        If it is no GeoTIFF file, or what it says cannot be.
    """
    import numpy as np

    with _opened(file) as dataset:
        kinds = {np.dtype(one) for one in dataset.dtypes if not one.startswith("complex")}
        if len(kinds) != 1 or len({*dataset.dtypes}) != 1:
            raise cnnvis.UserError(
                f"{str(file)!r} holds values of the types {', '.join(sorted({*dataset.dtypes}))}, and must hold "
                "real numbers of one type"
            )
        (kind,) = kinds
        together = dataset.count if dataset.profile.get("interleave") == "pixel" else 1
        piece = max(rows * columns for rows, columns in dataset.block_shapes) * kind.itemsize
        _require_room(file, piece * together, "a piece of it that is packed as a whole")
        return Raster(
            file, dataset.height, dataset.width, dataset.count,
            tuple(name or "" for name in dataset.descriptions), _grid(dataset),
            scaled={*dataset.scales} != {1.0} or {*dataset.offsets} != {0.0},
        )  # fmt: skip


def _require_room(file: Path, count: int, what: str) -> None:
    """Refuse so many bytes where neither the file nor the memory can be for them."""
    if count > max(SMALL, RATIO * file.stat().st_size) or count > cnnvis.available_memory():
        raise cnnvis.UserError(
            f"{str(file)!r} says that {what} has {count:,} bytes, too many for the file or for the memory; "
            "--rasters.size ROWS COLUMNS reads windows of a file that is stored in small pieces"
        )


def _grid(dataset: Any) -> cnnvis.VoxelGrid | None:
    """Return where the pixels are: the middle of each, of which GeoTIFF places the upper left corner."""
    transform, crs = dataset.transform, dataset.crs
    if transform.is_identity:
        return None
    a, b, x, d, e, y = transform[:6]
    matrix = ((b, a, 0, x + (a + b) / 2), (e, d, 0, y + (d + e) / 2), (0, 0, 1, 0), (0, 0, 0, 1))
    unit = crs.units_factor[0] if crs else ""
    unit = {"metre": "m", "meter": "m", "unknown": ""}.get(unit, unit)
    try:
        return cnnvis.VoxelGrid((dataset.height, dataset.width, 1), matrix, unit, _space(crs))
    except cnnvis.UserError as error:
        raise cnnvis.UserError(
            f"{dataset.name!r} has the affine transform {transform[:6]}: {error}"
        ) from error


def _space(crs: Any) -> str:
    """Return a coordinate reference system as a text that means it: EPSG:32633, or else its WKT."""
    from rasterio.crs import CRS

    if not crs:
        return NO_CRS
    short, long = str(crs.to_string()), str(crs.to_wkt())
    return short if len(short) < 40 and CRS.from_string(short) == crs else long


def _bands_of(heads: Sequence[Raster], bands: Sequence[int] | None) -> tuple[int, ...]:
    """Return the numbers of the bands to read, which all files must have."""
    chosen = tuple(bands) if bands else tuple(range(1, heads[0].bands + 1))
    for one in heads:
        if max(chosen) > one.bands or (not bands and one.bands != len(chosen)):
            raise cnnvis.UserError(
                f"{str(one.file)!r} has {one.bands} bands, and {max(chosen)} are to be read; --rasters.bands 1 2 3 "
                "chooses bands that all files have"
            )
    return chosen


def _tiles(
    heads: Sequence[Raster], size: tuple[int, int] | None, step: tuple[int, int] | None
) -> list[Tile]:
    """Return the windows of all rasters that are images.

    Raises
    ------
    UserError
        If there is none, or too many, or they are too large.
    """
    common = Counter((one.rows, one.columns) for one in heads).most_common(1)[0][0]
    wanted = size or common
    tiles: list[Tile] = []
    others = []
    for one in heads:
        whole = (one.rows, one.columns)
        if (size is None and whole != common) or any(
            n < m for n, m in zip(whole, wanted, strict=True)
        ):
            others.append(one)
            continue
        _require_room(one.file, 4 * wanted[0] * wanted[1] * one.bands, "an image")
        starts = [_starts(n, m, k) for n, m, k in zip(whole, wanted, step or wanted, strict=True)]
        if len(tiles) + len(starts[0]) * len(starts[1]) > MOST_IMAGES:
            raise cnnvis.UserError(
                f"{str(one.file)!r} has {one.rows:,} x {one.columns:,} pixels, which makes more than "
                f"{MOST_IMAGES:,} images: take larger windows, or a larger --rasters.step"
            )
        tiles += [Tile(one, row, column, *wanted) for row, column in itertools.product(*starts)]
    if others:
        is_small = "are smaller" if size else "have another size"
        cnnvis.note(
            f"{len(others)} of {len(heads)} rasters {is_small} than {wanted[0]} x {wanted[1]} pixels, and are left "
            f"out, such as {others[0].file.name!r}"
        )
    if not tiles:
        raise cnnvis.UserError(f"no raster has {wanted[0]} x {wanted[1]} pixels")
    return tiles


def _starts(length: int, wide: int, apart: int) -> Sequence[int]:
    """Return where windows begin along an axis, the last pushed back so that it ends with the axis."""
    last = length - wide
    regular = range(0, last + 1, apart)
    if len(regular) > MOST_IMAGES or regular[-1] == last:
        return regular
    return [*regular, last]


def _say_what_is_not_used(heads: Sequence[Raster]) -> None:
    lost = [one.file.name for one in heads if one.grid is None]
    if lost:
        cnnvis.note(
            f"{len(lost)} of {len(heads)} rasters have no affine transform, such as {lost[0]!r}, so their maps have "
            "no place on the Earth; gdalwarp gives one to those with control points"
        )
    if any(one.scaled for one in heads):
        cnnvis.note("the files say how to scale their values, which are read as they are stored")


def _remedy(wanted: tuple[int | None, ...]) -> str:
    """Return what to type for a network that takes images of another shape."""
    if len(wanted) != 3 or None in wanted[:2]:
        return ""
    return f"--rasters.size {wanted[0]} {wanted[1]} cuts rasters into windows of that size"


def _text(name: str) -> str:
    """Return a file's name with undecodable bytes escaped."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")


# Writing


@cnnvis.renderer("geotiff", suffixes=ENDINGS)
def geotiff(
    explanation: cnnvis.Explanation,
    path: Path,
    *,
    each: bool = True,
    limit: cnnvis.Count | None = None,
    compress: Literal["deflate", "none"] = "deflate",
) -> None:
    """GeoTIFF files of maps, each on the grid of its raster, for programs that show maps of the Earth.

    A file has the coordinate reference system and the affine transform of what was explained, so
    that it lies on that raster in QGIS and others. Channels, and several maps in one file, are bands.

    Parameters
    ----------
    each
        Write a file for each image, named after the image. Else one file holds all maps, which must
        lie on one grid.
    limit
        The largest number of files; none for all.
    compress
        How values are packed, without loss.
    """
    import numpy as np
    import rasterio
    from rasterio.crs import CRS

    grid = _common_grid(explanation)
    maps = explanation.array
    if "channel" in explanation.axes:
        maps = np.moveaxis(maps, 1 + explanation.axes.index("channel"), 1)
    else:
        maps = maps[:, None]
    if maps.shape[2:] != grid.shape[:2]:
        found, wanted = (" x ".join(map(str, one)) for one in (maps.shape[2:], grid.shape[:2]))
        raise cnnvis.UserError(
            f"the maps have the shape {found}, and their rasters {wanted}, so the maps do not lie on the grid of the "
            "rasters; resize maps to their inputs with the transform resize"
        )
    names = _band_names(explanation, maps.shape[1])
    bands = maps.reshape(-1, *maps.shape[2:])
    settings = {} if compress == "none" else {"compress": "deflate", "predictor": 3}
    with rasterio.Env(**CLOSED), rasterio.open(
        path, "w", driver="GTiff", height=grid.shape[0], width=grid.shape[1], count=len(bands),
        dtype="float32", nodata=float("nan"), transform=_transform(grid),
        crs=None if grid.space == NO_CRS else CRS.from_user_input(grid.space),
        bigtiff="IF_SAFER", **settings,
    ) as file:  # fmt: skip
        file.write(bands)
        for number, name in enumerate(names, 1):
            file.set_band_description(number, name)
        file.update_tags(TIFFTAG_SOFTWARE="cnnvis", technique=_printed(_technique(explanation)))


def _technique(explanation: cnnvis.Explanation) -> str:
    return str(explanation.provenance.get("technique", "maps"))


def _printed(text: str) -> str:
    return cnnvis.printable(" ".join(text.split()))[:200]


def _band_names(explanation: cnnvis.Explanation, channels: int) -> list[str]:
    """Return the description of each band: the map's title, and the channel."""
    axis = explanation.coordinates.get("channel")
    found = []
    for number in range(len(explanation)):
        title = f"{_technique(explanation)} {explanation.title(number)}"
        for channel in range(channels):
            own = (
                "" if channels == 1 else f" channel {channel if axis is None else axis.at(channel)}"
            )
            found.append(_printed(title + own))
    return found


def _transform(grid: cnnvis.VoxelGrid) -> Any:
    """Return the transform of GeoTIFF, which begins at a corner and takes columns before rows."""
    from rasterio import Affine

    (b, a, _, x), (e, d, _, y), *_ = grid.affine
    return Affine(a, b, x - (a + b) / 2, d, e, y - (d + e) / 2)


def _common_grid(explanation: cnnvis.Explanation) -> cnnvis.VoxelGrid:
    """Return the grid of all maps that go into a file.

    Raises
    ------
    UserError
        If it is not known, or they have several, or they are of a body.
    """
    if explanation.maps is None or not len(explanation):
        raise cnnvis.UserError("geotiff writes maps, and there are none")
    known = explanation.grids or (None,)
    first = known[0]
    if first is None or any(one is None for one in known):
        why = "maps of groups have a grid where all rasters have the same" if explanation.groups else (
            "read the data from GeoTIFF files with the reader rasters, which any option of it chooses"
        )  # fmt: skip
        raise cnnvis.UserError(f"nothing is known of where the maps lie on the Earth: {why}")
    if first.is_of_body or first.shape[2] != 1:
        raise cnnvis.UserError(
            "the maps are of volumes, and geotiff writes maps of rasters; use nifti"
        )
    for number, one in enumerate(known):
        if one is not None and not first.is_near(one):
            raise cnnvis.UserError(
                f"the maps lie on several grids: that of {_printed(explanation.title(number))} differs from the "
                "first; leave --geotiff.no-each out, for a file for each image"
            )
    return first
