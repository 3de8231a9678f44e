"""Rasters and maps lie where rasterio, opened by itself, says that they lie."""

from __future__ import annotations

import itertools
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from rasterio import Affine
from rasterio.crs import CRS
from rasterio.windows import Window

import cnnvis
import cnnvis.testing

UTM = Affine(10, 0, 399960, 0, -10, 5600040)
ROTATED = Affine(0.3, 0.1, 7.1, 0.05, -0.2, 46.3)
OWN = CRS.from_proj4("+proj=laea +lat_0=51.3 +lon_0=9.7 +x_0=12 +y_0=34 +ellps=GRS80 +units=m")
RNG = np.random.default_rng(0)


def written(path: Path, values: Any, **settings: Any) -> Any:
    """Write a raster (bands, rows, columns), and return its values."""
    path.parent.mkdir(exist_ok=True)
    settings = {"crs": "EPSG:32633", "transform": UTM, **settings}
    count, rows, columns = values.shape
    with rasterio.open(
        path,
        "w",
        driver="GTiff",
        width=columns,
        height=rows,
        count=count,
        dtype=values.dtype,
        **settings,
    ) as file:
        file.write(values)
    return values


def scene(count: int = 3, rows: int = 30, columns: int = 40) -> Any:
    return RNG.integers(1, 3000, (count, rows, columns)).astype(np.uint16)


FOLDER = tempfile.TemporaryDirectory()
written(FILE := Path(FOLDER.name, "scene.tif"), scene())

test_it_is_a_renderer_like_any_other = cnnvis.testing.conformance("geotiff")
test_it_is_a_reader_like_any_other = cnnvis.testing.conformance("rasters", file=FILE, size=(8, 8))


@pytest.fixture(scope="module")
def network() -> Any:
    """A network for images of 8 x 8 pixels and three bands whose score is their sum."""
    import keras

    layers = keras.layers
    network = keras.Sequential([layers.Input((8, 8, 3)), layers.Flatten(), layers.Dense(1)])
    network.set_weights([np.ones((8 * 8 * 3, 1), np.float32), np.zeros(1, np.float32)])
    return network


@pytest.mark.parametrize("crs", ["EPSG:32633", "EPSG:4326", OWN, None], ids=str)
@pytest.mark.parametrize("transform", [UTM, ROTATED], ids=["upright", "rotated"])
def test_maps_lie_on_their_windows(network: Any, crs: Any, transform: Any, tmp_path: Path) -> None:
    values = written(tmp_path / "in" / "scene.tif", scene(), crs=crs, transform=transform, nodata=0)
    data = cnnvis.read_samples(tmp_path / "in", size=(8, 8), step=(8, 16), reader="rasters")
    found = cnnvis.run("gradient-times-input", network, data=data, checks="none")
    found.save(tmp_path / "maps.npz")
    settings = {"data": data, "checks": "none", "into": tmp_path / "run"}
    cnnvis.run("gradient-times-input", network, **settings)
    (kept,) = cnnvis.chain(tmp_path / "run", ["select"])
    again = cnnvis.Explanation.load(tmp_path / "maps.npz")
    for number, one in enumerate((found, again, kept)):  # run folders hold no names
        folder = tmp_path / f"maps{number}"
        folder.mkdir()
        one.save(folder / "maps.tif")
        files = sorted(folder.iterdir())
        assert len(files) == len(data) == 4 * 3
        # The last windows end where the raster ends.
        corners = list(itertools.product((0, 8, 16, 22), (0, 16, 32)))
        with rasterio.open(tmp_path / "in" / "scene.tif") as source:
            for place, (row, column) in enumerate(corners):
                name = f"image_{place}" if one is kept else f"scene_{row}_{column}"
                with rasterio.open(folder / f"maps_{name}.tif") as file:
                    assert file.crs == source.crs
                    expected = source.window_transform(Window(column, row, 8, 8))
                    assert file.transform.almost_equals(expected, 1e-9)
                    cut = values[:, row : row + 8, column : column + 8]
                    np.testing.assert_array_equal(file.read(), cut.astype(np.float32))
    assert not [one for one in tmp_path.rglob("*") if one.suffix in (".xml", ".aux")]


def test_what_is_read_is_what_rasterio_reads(tmp_path: Path) -> None:
    for name, group in (("a", "crop"), ("b", "forest"), ("c", "crop")):
        written(tmp_path / group / f"{name}.tif", scene(rows=8, columns=9), nodata=7)
    samples = cnnvis.read_samples(tmp_path, reader="rasters", bands=(3, 1))
    assert samples.x.shape == (3, 8, 9, 2) and samples.class_names == ("crop", "forest")
    assert samples.labels is not None and samples.labels.tolist() == [0, 0, 1]
    assert samples.names == ("a.tif", "c.tif", "b.tif")
    with rasterio.open(tmp_path / "forest" / "b.tif") as file:
        np.testing.assert_array_equal(samples.x[2], np.moveaxis(file.read([3, 1]), 0, -1))
    axis = samples.coordinates["column"]
    assert (axis.name, axis.unit, axis.at(1), axis.ends) == ("x", "m", "399,975", ())
    assert samples.coordinates["row"].at(0) == "5,600,035"


def test_pixels_without_a_value_are_left_out_or_filled(
    network: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    values = scene(rows=16, columns=8)
    values[1, 3, 4] = 0
    written(tmp_path / "scene.tif", values, nodata=0)
    samples = cnnvis.read_samples(tmp_path / "scene.tif", reader="rasters", size=(8, 8))
    found = cnnvis.run("gradient-times-input", network, data=samples, checks="none")
    assert found.indices is not None and found.indices.tolist() == [1]
    assert "have no value (nodata); such images are left out" in caplog.text
    filled = cnnvis.read_samples(tmp_path / "scene.tif", reader="rasters", size=(8, 8), fill=-5)
    assert filled.x[0, 3, 4].tolist() == [values[0, 3, 4], -5, values[2, 3, 4]]


def test_maps_that_lie_nowhere_are_refused(network: Any, tmp_path: Path) -> None:
    written(tmp_path / "scene.tif", scene())
    data = cnnvis.read_samples(tmp_path / "scene.tif", reader="rasters", size=(8, 8))
    found = cnnvis.run("gradient-times-input", network, data=data, checks="none")
    for one, options, said in (
        (found, {"each": False}, "lie on several grids"),
        (found.with_maps(found.array[:, :4]), {}, "have the shape 4 x 8, and their rasters 8 x 8"),
        (cnnvis.Explanation(found.array), {}, "nothing is known of where the maps lie"),
    ):
        with pytest.raises(cnnvis.UserError, match=said):
            one.save(tmp_path / "maps.tif", **options)
    found[[0]].save(tmp_path / "maps.tif", each=False)
    with rasterio.open(tmp_path / "maps.tif") as file:
        assert file.count == 3 and np.isnan(file.nodata)


def test_the_mean_of_rasters_of_one_grid_lies_on_it(network: Any, tmp_path: Path) -> None:
    values = [written(tmp_path / "dates" / f"{n}.tif", scene(rows=8, columns=8)) for n in "ab"]
    steps = ["gradient-times-input", ("average", {"by": "all"})]
    (mean,) = cnnvis.chain(network, steps, data=tmp_path / "dates", checks="none")
    mean.save(tmp_path / "mean.tif")
    with rasterio.open(tmp_path / "mean_all.tif") as file:
        assert (file.crs.to_epsg(), file.transform) == (32633, UTM)
        np.testing.assert_allclose(file.read(), np.mean(values, axis=0), rtol=1e-6)


VRT = """<VRTDataset rasterXSize="8" rasterYSize="8"><VRTRasterBand dataType="Byte" band="1"><SimpleSource>
<SourceFilename>{}</SourceFilename></SimpleSource></VRTRasterBand></VRTDataset>"""


def test_files_of_strangers_end_in_a_sentence(tmp_path: Path) -> None:
    path = tmp_path / "odd.tif"
    path.write_text(VRT.format(FILE))
    with pytest.raises(cnnvis.UserError, match="cannot be read as GeoTIFF"):
        cnnvis.read_samples(path, reader="rasters")
    # Sparse files, which claim much more than they hold.
    for rows, columns, blocks, size, said in (
        (60_000, 60_000, 256, None, "too many for the file or for the memory"),
        (2_000_000, 2_000_000, 1024, (8, 8), "more than 100,000 images"),
        (2_000_000, 2_000_000, 65_536, (2**20, 2**20), "too many for the file"),
    ):
        rasterio.open(
            path, "w", driver="GTiff", width=columns, height=rows, count=1, dtype="uint8", tiled=True,
            blockxsize=blocks, blockysize=blocks, sparse_ok=True, transform=UTM, bigtiff="YES",
        ).close()  # fmt: skip
        with pytest.raises(cnnvis.UserError, match=said):
            cnnvis.read_samples(path, reader="rasters", size=size)
    written(path, scene(), compress="deflate")
    good = path.read_bytes()
    read = 0
    for _ in range(150):
        bad = bytearray(good[: RNG.integers(8, len(good))] if RNG.random() < 0.3 else good)
        for place in RNG.integers(0, len(bad) if RNG.random() < 0.5 else 400, 3):
            bad[place % len(bad)] = RNG.integers(256)
        path.write_bytes(bad)
        try:
            assert cnnvis.read_samples(path, reader="rasters").x.dtype == np.float32
            read += 1
        except cnnvis.UserError as error:
            assert "\n" not in str(error)
    assert read < 140
