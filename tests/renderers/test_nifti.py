"""Maps as NIfTI files: on the grid of their volumes, by name, with the same bytes each time."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest

import cnnvis

AFFINE = np.array([[0, -2.0, 0, 30], [1.5, 0, 0, -20], [0, 0, 3, -10], [0, 0, 0, 1]])
SHAPE = (8, 9, 7)
RNG = np.random.default_rng(4)


@pytest.fixture(scope="module")
def network(keras: Any) -> Any:
    keras.utils.set_random_seed(2)
    layers = keras.layers
    return keras.Sequential(
        [
            layers.Input((*SHAPE, 1)),
            layers.Conv3D(3, 3, strides=2, activation="relu", name="first"),
            layers.GlobalAveragePooling3D(),
            layers.Dense(2, name="classes"),
        ]
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("one", "two", "three", "four"):
        path = tmp_path / "data" / ("a" if len(name) == 3 else "b") / f"{name}.nii.gz"
        path.parent.mkdir(parents=True, exist_ok=True)
        image = nibabel.Nifti1Image(RNG.normal(size=SHAPE).astype(np.float32), AFFINE)
        image.header.set_xyzt_units("mm")
        image.set_sform(AFFINE, "mni")
        nibabel.save(image, path)
    return tmp_path / "data"


def _same_space(path: Path, affine: Any = AFFINE) -> Any:
    image = nibabel.load(path)
    np.testing.assert_array_equal(image.affine, affine)
    assert image.header.get_xyzt_units()[0] == "mm" and int(image.header["sform_code"]) == 4
    return np.asarray(image.dataobj)


def test_maps_lie_on_the_grids_of_their_volumes(network: Any, folder: Path, tmp_path: Path) -> None:
    found = cnnvis.run("grad-cam", network, data=folder)  # a small map, resized to its input
    assert found.coordinates["row"] == cnnvis.Axis("x", "mm", 30.0, -2.0, ends=("R", "L"))
    found.save(tmp_path / "maps.nii.gz")
    names = ["four", "one", "three", "two"]
    files = sorted((tmp_path).glob("*.nii.gz"))
    assert [file.name for file in files] == [f"maps_{name}.nii.gz" for name in names]
    by_name = dict(zip(found.samples.names, found.array, strict=True))  # type: ignore[union-attr]
    for name, file in zip(names, files, strict=True):
        np.testing.assert_array_equal(_same_space(file), by_name[f"{name}.nii.gz"])
    before = [file.read_bytes() for file in files]
    found.save(tmp_path / "maps.nii.gz")
    assert [file.read_bytes() for file in files] == before
    found.save(tmp_path / "all.nii", each=False)
    np.testing.assert_array_equal(_same_space(tmp_path / "all.nii"), np.moveaxis(found.array, 0, 3))


def test_from_the_terminal_and_from_what_was_kept(
    network: Any, folder: Path, typed: Callable[..., Any]
) -> None:
    network.save("net.keras")
    run = ("run", "saliency", "net.keras", "--data", folder, "--class", "a", "--backprop", "none")
    done = typed(*run, "--into", "kept", "-r", "nifti", "-r", "numpy", "-o", "out/")
    assert done.returncode == 0, done.stderr
    first = sorted(Path("out").glob("*_one.nii.gz"))[0]
    expected = _same_space(first)
    (saved,) = Path("out").glob("*.npz")
    assert cnnvis.Explanation.load(saved).grid is not None
    for source, name in ((saved, "again"), ("kept", "kept_again")):
        assert typed("chain", source, "nifti", "-o", f"{name}/").returncode == 0
        files = sorted(Path(name).glob("*.nii.gz"))
        assert len(files) == 4
        if name == "again":
            np.testing.assert_array_equal(_same_space(Path(name) / first.name), expected)
        else:  # run folders hold no names
            every = [_same_space(file) for file in files]
            assert any(np.array_equal(one, expected) for one in every)


def test_averages_lie_on_the_common_grid(network: Any, folder: Path, tmp_path: Path) -> None:
    steps = ["saliency", "average"]
    cnnvis.chain(network, steps, data=folder)[0].save(tmp_path / "mean.nii.gz")
    assert _same_space(tmp_path / "mean_a.nii.gz").shape == SHAPE
    moved = AFFINE.copy()
    moved[1, 3] += 4
    nibabel.save(nibabel.Nifti1Image(np.ones(SHAPE, np.float32), moved), folder / "a" / "x.nii.gz")
    (apart,) = cnnvis.chain(network, steps, data=folder)
    with pytest.raises(cnnvis.UserError, match="groups of images whose volumes lie on several"):
        apart.save(tmp_path / "apart.nii.gz")
    each = cnnvis.run("saliency", network, data=folder)
    each.save(tmp_path / "each.nii.gz")
    np.testing.assert_array_equal(nibabel.load(tmp_path / "each_x.nii.gz").affine, moved)
    np.testing.assert_array_equal(nibabel.load(tmp_path / "each_one.nii.gz").affine, AFFINE)
    with pytest.raises(cnnvis.UserError, match=r"several grids: that of 'x.nii.gz'"):
        each.save(tmp_path / "all.nii.gz", each=False)
    loaded = tmp_path / "each.npz"
    each.save(loaded)
    assert cnnvis.Explanation.load(loaded).samples.grids == each.samples.grids  # type: ignore[union-attr]


def test_other_maps_are_refused(network: Any, folder: Path, tmp_path: Path) -> None:
    found = cnnvis.run("saliency", network, data=folder, images=[0])
    with pytest.raises(cnnvis.UserError, match=r"'one.nii.gz' has the shape 8 x 9 x 6"):
        found.with_maps(found.array[..., :6]).save(tmp_path / "small.nii")
    arrays = cnnvis.run("saliency", network, data=found.inputs)
    with pytest.raises(cnnvis.UserError, match="nothing is known of the grid of image 0"):
        arrays.save(tmp_path / "none.nii")


def test_pixels_of_a_picture_lie_in_a_space_of_its_own(tmp_path: Path) -> None:
    """Such as that of a map of the Earth: in metres with all digits, with no left and right."""
    matrix = ((0, 10, 0, 399_965.25), (-10, 0, 0, 5_600_035.75), (0, 0, 1, 0), (0, 0, 0, 1))
    grid = cnnvis.VoxelGrid((4, 6, 1), matrix, "m", "EPSG:32633")
    assert cnnvis.voxel_axes((grid,)) == {
        "row": cnnvis.Axis("y", "m", 5_600_035.75, -10.0),
        "column": cnnvis.Axis("x", "m", 399_965.25, 10.0),
    }
    assert not grid.is_of_body and not grid.code
    samples = cnnvis.Samples(np.zeros((1, 4, 6), np.float32), channel_axis=None, grids=(grid,))
    found = cnnvis.Explanation(np.ones((1, 4, 6)), samples)
    found.save(tmp_path / "maps.npz")
    again = cnnvis.Explanation.load(tmp_path / "maps.npz").samples
    assert again is not None and again.grids == (grid,)
    with pytest.raises(cnnvis.UserError, match="the space EPSG:32633, which is none of those"):
        found.save(tmp_path / "maps.nii.gz")


def test_maps_without_inputs_keep_the_grid_of_each(tmp_path: Path) -> None:
    shifted = AFFINE + np.array([[0, 0, 0, 5.0]] + [[0, 0, 0, 0]] * 3)
    grids = tuple(cnnvis.VoxelGrid(SHAPE, one.tolist()) for one in (AFFINE, shifted))
    found = cnnvis.Explanation(RNG.normal(size=(2, *SHAPE)), own_grids=grids)
    found.save(tmp_path / "maps.npz")
    again = cnnvis.Explanation.load(tmp_path / "maps.npz")
    cnnvis.Explanation.joined([again[[1]], again[[0]]]).save(tmp_path / "maps.nii.gz")
    for number, affine in enumerate((shifted, AFFINE)):
        image = nibabel.load(tmp_path / f"maps_image_{number}.nii.gz")
        np.testing.assert_array_equal(image.affine, affine)
    assert again.with_maps(again.array[:1]).grids is None and again.grids == grids
    assert again.with_maps(again.array, groups=("a", "b")).grids is None
