"""The example package for GeoTIFF: installed with pip, run on a raster, tested by itself."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

PACKAGE = Path(__file__).parents[2] / "examples" / "cnnvis-geotiff"

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module", autouse=True)
def installed(environment: Any) -> None:
    pytest.importorskip("rasterio", reason="rasterio is not installed")
    environment.install(PACKAGE)


def test_maps_of_windows_lie_on_their_raster(environment: Any) -> None:
    import rasterio

    plugins = environment.plugins()
    assert {plugins[name]["kind"] for name in ("rasters", "geotiff")} == {"reader", "renderer"}
    assert plugins["geotiff"]["distribution"] == "cnnvis-geotiff"
    transform = rasterio.Affine(10, 0, 399960, 0, -10, 5600040)
    values = np.random.default_rng(0).uniform(0, 1, (1, 128, 192)).astype(np.float32)
    for name, rows, columns in (("tile", 64, 64), ("scene", 128, 192)):
        with rasterio.open(
            environment.folder / f"{name}.tif", "w", driver="GTiff", height=rows, width=columns,
            count=1, dtype="float32", crs="EPSG:32633", transform=transform,
        ) as file:  # fmt: skip
            file.write(values[:, :rows, :columns])
    words = ("run", "saliency", "demo", "-r", "geotiff", "-o", "maps/", "-d")
    done = environment.cnnvis(*words, "tile.tif")  # a picture, which has no place
    assert done.returncode != 0 and "nothing is known of where the maps lie" in done.stderr
    assert "an option of rasters would choose it" in done.stderr
    done = environment.cnnvis(*words, "scene.tif", "--rasters.size", 64, 64)
    assert done.returncode == 0, done.stderr
    paths = sorted((environment.folder / "maps").glob("*_scene_*.tif"))
    assert len(paths) == 2 * 3
    for path in paths:
        row, column = map(int, path.stem.split("_")[-2:])
        with rasterio.open(path) as found:
            assert found.crs.to_epsg() == 32633 and found.shape == (64, 64)
            corner = (399960 + 10 * column, 5600040 - 10 * row)
            assert (found.transform.c, found.transform.f) == corner
            assert np.isfinite(found.read()).all()


def test_its_own_tests_pass(environment: Any) -> None:
    assert "passed" in environment.pytest(PACKAGE)
    done = environment.cnnvis("test-plugin", "rasters", "--file", "scene.tif")
    assert done.returncode == 0 and " failed" not in done.stdout
