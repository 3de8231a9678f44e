"""Volumes in NIfTI files: their numbers, where they are in space, and what is refused of them."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest

import cnnvis
from cnnvis.reporting import notes_kept

RNG = np.random.default_rng(2)
NUMBERS = RNG.integers(-900, 900, size=(5, 6, 4)).astype(np.int16)
LAS = np.array([[-2.0, 0, 0, 30], [0, 2, 0, -20], [0, 0, 3, -10], [0, 0, 0, 1]])
OBLIQUE = np.array([[0, -2, 0.1, 30], [1.9, 0, 0.5, -20], [0.4, 0, -3, 9], [0, 0, 0, 1.0]])


def save(
    path: Path, numbers: Any = NUMBERS, affine: Any = LAS, code: int = 4, slope: Any = (0.5, 3.0)
) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    image = nibabel.Nifti1Image(numbers, affine)
    image.header.set_slope_inter(*slope)
    image.header.set_xyzt_units("mm")
    image.set_sform(affine, code)
    image.set_qform(None, 0)
    nibabel.save(image, path)
    return path


def read(path: Path, **options: Any) -> tuple[cnnvis.Samples, str]:
    with notes_kept() as notes:
        return cnnvis.read_samples(path, **options), "\n".join(notes)


def test_numbers_are_those_of_nibabel(tmp_path: Path) -> None:
    for name in ("one.nii", "one.nii.gz"):
        samples, notes = read(save(tmp_path / name))
        expected = nibabel.load(tmp_path / name).get_fdata().astype(np.float32)
        assert samples.x.dtype == np.float32 and samples.names == (name,)
        np.testing.assert_array_equal(samples.x, expected[None])
        assert "plane leads to the left (L), row to the front (A), column to the top (S)" in notes
        assert samples.grids is not None and samples.grids[0] is not None
        np.testing.assert_array_equal(samples.grids[0].matrix, LAS)
        assert samples.grids[0].space == "mni"


def test_axes_are_in_millimetres(tmp_path: Path) -> None:
    known = read(save(tmp_path / "one.nii"))[0].coordinates
    assert known["plane"] == cnnvis.Axis("x", "mm", 30.0, -2.0, ends=("R", "L"))
    assert known["column"] == cnnvis.Axis("z", "mm", -10.0, 3.0, ends=("I", "S"))
    oblique = read(save(tmp_path / "oblique.nii", affine=OBLIQUE))[0].coordinates
    for number, (name, ends) in enumerate(zip(oblique, ("PA", "RL", "SI"), strict=True)):
        axis = oblique[name]  # no axis of space: the distance from the first voxel
        assert axis.name == "" and axis.start == 0 and axis.ends == tuple(ends)
        assert axis.step == pytest.approx(np.linalg.norm(OBLIQUE[:3, number]), rel=1e-5)


def test_turned_volumes_are_those_of_nibabel(tmp_path: Path) -> None:
    for affine in (LAS, OBLIQUE):
        path = save(tmp_path / "one.nii", affine=affine)
        samples, _ = read(path, orientation="RAS")
        expected = nibabel.as_closest_canonical(nibabel.load(path))
        np.testing.assert_array_equal(samples.x[0], expected.get_fdata().astype(np.float32))
        assert samples.grids is not None and samples.grids[0] is not None
        np.testing.assert_allclose(samples.grids[0].matrix, expected.affine, atol=1e-5)
        assert samples.grids[0].code == "RAS"


def test_different_directions_are_not_mixed(tmp_path: Path) -> None:
    save(tmp_path / "a.nii")
    save(tmp_path / "b.nii", affine=np.diag([2.0, 2, 3, 1]))
    with pytest.raises(cnnvis.UserError, match=r"LAS: 'a.nii'; RAS: 'b.nii'.*orientation RAS"):
        read(tmp_path)
    samples, notes = read(tmp_path, orientation="RAS")
    np.testing.assert_array_equal(samples.x[0], samples.x[1][::-1])
    assert "'b.nii' differs from 'a.nii'" in notes  # which lies elsewhere
    mirrored = np.diag([2.0, 2, 3, 1])
    mirrored[:, 3] = 22, -20, -10, 1  # the same places as those of a
    save(tmp_path / "b.nii", NUMBERS[::-1], affine=mirrored)
    samples, notes = read(tmp_path, orientation="RAS")
    np.testing.assert_array_equal(samples.x[0], samples.x[1])
    assert "differ" not in notes and samples.coordinates["plane"].start == 22
    save(tmp_path / "b.nii", affine=np.diag([2.0, 2, 3, 1]))
    stored, notes = read(tmp_path, orientation="stored")
    np.testing.assert_array_equal(stored.x[0], stored.x[1])
    assert "different directions" in notes and "plane" not in stored.coordinates


def test_other_places_and_shapes_are_named(tmp_path: Path) -> None:
    moved = LAS.copy()
    moved[0, 3] += 5
    for name in "abc":
        save(tmp_path / "x" / f"{name}.nii")
    save(tmp_path / "y" / "moved.nii.gz", affine=moved)
    save(tmp_path / "y" / "small.nii", NUMBERS[:4])
    samples, notes = read(tmp_path)
    assert samples.class_names == ("x", "y") and samples.labels is not None
    assert samples.labels.tolist() == [0, 0, 0, 1, 1]
    assert "'small.nii' has another" in notes and "5 x 6 x 4" in notes
    assert "'moved.nii.gz', 'small.nii' differ from 'a.nii'" in notes
    assert samples.coordinates["plane"] == cnnvis.Axis(unit="mm", step=2.0, ends=("R", "L"))
    with pytest.raises(cnnvis.UserError, match=r"small.nii' has the shape 4 x 6 x 4"):
        samples.picked([4]).x  # noqa: B018
    assert samples[:3].x.shape == (3, 5, 6, 4)


def test_no_directions_are_made_up(tmp_path: Path) -> None:
    samples, notes = read(save(tmp_path / "one.nii", code=0))
    assert "do not say where left and right are" in notes
    assert samples.coordinates["plane"] == cnnvis.Axis(unit="mm", step=2.0)
    with pytest.raises(cnnvis.UserError, match="cannot be turned"):
        read(tmp_path / "one.nii", orientation="RAS")


def test_a_fourth_axis_is_what_somebody_says(tmp_path: Path) -> None:
    numbers = RNG.normal(size=(5, 6, 4, 3)).astype(np.float32)
    path = save(tmp_path / "four.nii.gz", numbers, slope=(None, None))
    with pytest.raises(cnnvis.UserError, match=r"fourth axis of length 3.*not what it is"):
        read(path)
    channels = read(path, fourth="channels")[0]
    np.testing.assert_array_equal(channels.x, numbers[None])
    assert channels.channel_axis == -1
    images = read(path, fourth="images")[0]
    np.testing.assert_array_equal(images.x, np.moveaxis(numbers, -1, 0))
    assert images.names == ("four_0.nii", "four_1.nii", "four_2.nii")
    save(tmp_path / "also.nii", numbers[..., :2], slope=(None, None))
    save(tmp_path / "one.nii", numbers[..., 0], slope=(None, None))
    every = read(tmp_path, fourth="images")[0]
    assert every.names is not None and len(every) == 2 + 3 + 1
    np.testing.assert_array_equal(every.x[every.names.index("one.nii")], numbers[..., 0])
    np.testing.assert_array_equal(every.x[every.names.index("also_1.nii")], numbers[..., 1])
    vectors = save(tmp_path / "vectors.nii", numbers[:, :, :, None], slope=(None, None))
    np.testing.assert_array_equal(read(vectors)[0].x, numbers[None])


def test_slices_are_pictures(tmp_path: Path) -> None:
    samples, _ = read(save(tmp_path / "slice.nii", NUMBERS[:, :, :1]))
    assert samples.x.shape == (1, 5, 6) and list(samples.coordinates) == ["row", "column"]
    assert samples.coordinates["column"] == cnnvis.Axis("y", "mm", -20.0, 2.0, ends=("P", "A"))


def test_volumes_of_another_order_are_said_to_fit_when_turned(tmp_path: Path) -> None:
    turned = LAS[:, [2, 0, 1, 3]]  # axes that lead to the top, the left and the front
    samples, _ = read(save(tmp_path / "one.nii", affine=turned))
    with pytest.raises(cnnvis.UserError, match=r"orientation RAS reads the volumes in that shape"):
        samples.shaped_for((6, 4, 5, 1))
    assert read(tmp_path / "one.nii", orientation="RAS")[0].x.shape == (1, 6, 4, 5)


def test_subjects_are_no_classes(tmp_path: Path) -> None:
    for name in ("sub-01", "sub-02"):
        save(tmp_path / name / "anat" / f"{name}_T1w.nii.gz")
    samples, notes = read(tmp_path)
    assert samples.labels is None and "no classes" in notes and len(samples) == 2


def test_nan_is_replaced_where_somebody_says(tmp_path: Path) -> None:
    numbers = np.where(NUMBERS > 800, np.nan, NUMBERS).astype(np.float32)
    path = save(tmp_path / "one.nii", numbers, slope=(None, None))
    assert np.isnan(read(path)[0].x).any()
    np.testing.assert_array_equal(read(path, fill=-1)[0].x[0], np.nan_to_num(numbers, nan=-1))


def test_the_sform_is_used_and_a_qform_that_differs_is_named(tmp_path: Path) -> None:
    path = save(tmp_path / "one.nii")
    data = path.read_bytes()
    for change, sentence in ((np.float32(0), "'one.nii' place"), (np.float32(9), "top (S)")):
        # A code for the qform, and numbers of its quaternion: none, or those of no rotation.
        path.write_bytes(_header(_header(data, 252, b"\1\0"), 256, change.tobytes() * 3))
        samples, notes = read(path)
        assert sentence in notes and samples.grids is not None and samples.grids[0] is not None
        np.testing.assert_array_equal(samples.grids[0].matrix, LAS)


def _header(data: bytes, place: int, value: bytes) -> bytes:
    return data[:place] + value + data[place + len(value) :]


DAMAGE: dict[str, tuple[Callable[[bytes], bytes], str]] = {
    "empty": (lambda data: b"", "no header"),
    "noise": (lambda data: RNG.bytes(5000), "no header"),
    "cut in the header": (lambda data: data[:200], "no header"),
    "cut in the voxels": (lambda data: data[:-9], "cut off"),
    "far too long": (lambda data: _header(data, 42, b"\xff\x7f" * 3), "cut off"),
    "no length": (lambda data: _header(data, 42, b"\0\0"), "lengths"),
    "a place that is none": (lambda data: _header(data, 108, b"\0\0\xc0\x7f"), "place nan"),
    "a type that is none": (lambda data: _header(data, 70, b"\x63\x63"), "damaged header"),
    "colours": (lambda data: _header(data, 70, b"\x80\x00"), "colours"),
    "a pair": (lambda data: _header(data, 344, b"ni1\0"), "hdr"),
    "packed and cut": (lambda data: gzip.compress(data)[:-20], "cannot be read|cut off"),
    "packed noise": (lambda data: b"\x1f\x8b" + RNG.bytes(500), "cannot be read"),
    "more than it says": (lambda data: gzip.compress(data + bytes(2**26)), "unpacks to more"),
    "a bomb": (
        lambda data: gzip.compress(_header(data, 42, b"\xff\x7f" * 3) + bytes(2**20)), "too large",
    ),
}  # fmt: skip


@pytest.mark.parametrize("damage", DAMAGE)
def test_damage_is_a_sentence(tmp_path: Path, damage: str) -> None:
    change, sentence = DAMAGE[damage]
    path = tmp_path / "one.nii"
    path.write_bytes(change(save(path).read_bytes()))
    with pytest.raises(cnnvis.UserError, match=sentence):
        read(path)[0].x  # noqa: B018


@pytest.mark.slow
def test_random_bytes_in_headers_raise_nothing_else(tmp_path: Path) -> None:
    path = save(tmp_path / "one.nii")
    data = path.read_bytes()
    for _ in range(60):
        place = int(RNG.integers(0, 348))
        path.write_bytes(_header(data, place, RNG.bytes(4)))
        with suppress(cnnvis.UserError):
            read(path, fourth="channels")[0].x  # noqa: B018


def test_a_damaged_volume_costs_no_other(tmp_path: Path) -> None:
    (tmp_path / "a.nii").write_bytes(b"nothing")
    save(tmp_path / "b.nii")
    samples, _ = read(tmp_path)
    assert samples[[1]].x.shape == (1, 5, 6, 4) and samples.grids is not None
    assert samples.grids[0] is None
