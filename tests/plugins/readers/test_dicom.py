"""DICOM series: sorted slices, places from positions, and what is refused of them."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pydicom
import pytest
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import UID, ExplicitVRLittleEndian, generate_uid

import cnnvis
from cnnvis.reporting import notes_kept

RNG = np.random.default_rng(8)
VOLUME = RNG.integers(0, 2000, size=(5, 6, 4)).astype(np.int16)
AXIAL = (1, 0, 0, 0, 1, 0)


def read(path: Path, **options: Any) -> tuple[cnnvis.Samples, str]:
    with notes_kept() as notes:
        return cnnvis.read_samples(path, **options), "\n".join(notes)


def save(path: Path, pixels: Any, position: Any, series: str = "1.2.3", **changes: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = UID("1.2.840.10008.5.1.4.1.1.2"), generate_uid()  # fmt: skip
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    found = FileDataset(path, {}, file_meta=meta, preamble=bytes(128))
    found.SOPClassUID, found.SOPInstanceUID = (
        meta.MediaStorageSOPClassUID,
        meta.MediaStorageSOPInstanceUID,
    )
    found.PatientName, found.SeriesInstanceUID, found.SeriesNumber = "Secret^Name", series, 3
    found.Modality, found.SamplesPerPixel, found.PhotometricInterpretation = "CT", 1, "MONOCHROME2"
    found.Rows, found.Columns = pixels.shape
    found.BitsAllocated, found.BitsStored, found.HighBit, found.PixelRepresentation = 16, 16, 15, 1
    found.PixelData = pixels.astype(np.int16).tobytes()
    if position is not None:
        found.ImagePositionPatient = [*map(float, position)]
        found.ImageOrientationPatient = [*map(float, AXIAL)]
        found.PixelSpacing = [1.5, 0.5]
        found.SliceThickness = 9  # which is not the distance of slices
    found.RescaleSlope, found.RescaleIntercept = 2, -1024
    for name, value in changes.items():
        setattr(found, name, value)
    found.save_as(path, enforce_file_format=True)
    return path


def save_series(folder: Path, series: str = "1.2.3", left_out: int | None = None) -> Path:
    """Save slices 2.5 mm apart, in files whose names have another order."""
    for number, pixels in enumerate(VOLUME):
        if number != left_out:
            name = f"IM{(number * 3) % 5}"
            save(folder / name, pixels, (10, 20, 30 + 2.5 * number), series)
    return folder


def test_slices_are_sorted_by_their_places(tmp_path: Path) -> None:
    samples, notes = read(save_series(tmp_path / "scan"))
    np.testing.assert_array_equal(samples.x[0], VOLUME * 2.0 - 1024)
    assert samples.x.dtype == np.float32 and samples.names == ("scan",)
    assert "S, P, L" in notes and "Secret" not in notes
    known = samples.coordinates
    assert known["plane"] == cnnvis.Axis("z", "mm", 30.0, 2.5, ends=("I", "S"))
    assert known["row"] == cnnvis.Axis("y", "mm", -20.0, -1.5, ends=("A", "P"))
    assert known["column"] == cnnvis.Axis("x", "mm", -10.0, -0.5, ends=("R", "L"))
    raw, _ = read(tmp_path / "scan", rescale=False)
    np.testing.assert_array_equal(raw.x[0], VOLUME)


def test_maps_of_series_are_written_as_nifti(tmp_path: Path) -> None:
    samples, _ = read(save_series(tmp_path / "scan"))
    assert samples.grids is not None
    maps = cnnvis.Explanation(samples.x, samples, provenance={"technique": "x", "options": {}})
    maps.save(tmp_path / "map.nii.gz")
    image = nibabel.load(tmp_path / "map_scan.nii.gz")
    # The voxel of slice 3, row 2, column 1 in the coordinates of DICOM, to the left and back.
    place = image.affine @ [3, 2, 1, 1]
    np.testing.assert_allclose(place[:3] * [-1, -1, 1], [10 + 0.5, 20 + 3, 30 + 7.5], atol=1e-5)
    assert nibabel.aff2axcodes(image.affine) == ("S", "P", "L")


def test_a_missing_slice_is_refused_with_its_place(tmp_path: Path) -> None:
    save_series(tmp_path / "scan", left_out=2)
    with pytest.raises(cnnvis.UserError, match=r"missing between .*32.5 mm.*37.5 mm"):
        read(tmp_path / "scan")


def test_what_is_no_volume_is_refused_by_name(tmp_path: Path) -> None:
    folder = save_series(tmp_path / "scan")
    save(folder / "twice", VOLUME[0], (10, 20, 35))
    with pytest.raises(cnnvis.UserError, match="'IM1' and 'twice' lie at the same place, 35 mm"):
        read(folder)
    turned = [0.0, 1, 0, 0, 0, -1]
    save(folder / "twice", VOLUME[0], (10, 20, 42), ImageOrientationPatient=turned)
    with pytest.raises(cnnvis.UserError, match="'twice' has other rows"):
        read(folder)
    save(folder / "twice", VOLUME[0], (10, 20, 43))
    with pytest.raises(cnnvis.UserError, match=r"2.5 to 3 mm apart"):
        read(folder)


def test_series_are_volumes_of_their_own(tmp_path: Path) -> None:
    save_series(tmp_path / "all" / "a")
    save_series(tmp_path / "all" / "b", "9.8.7")
    samples, notes = read(tmp_path / "all")
    assert samples.names == ("a", "b") and samples.labels is None and "one series" in notes
    together = tmp_path / "together"
    save_series(together)
    for number, pixels in enumerate(VOLUME):
        save(together / f"other{number}", pixels, (0, 0, number), "4.5.6", SeriesNumber=7)
    samples, _ = read(together)
    assert samples.names == ("together-3", "together-7") and samples.x.shape == (2, 5, 6, 4)
    for label in ("ill", "well"):
        save_series(tmp_path / "classes" / label / "scan")
    samples, _ = read(tmp_path / "classes")
    assert samples.class_names == ("ill", "well") and samples.names == ("scan", "scan_2")


def test_pictures_without_a_place_are_images(tmp_path: Path) -> None:
    for number, name in enumerate(("one.dcm", "two.dcm")):
        save(tmp_path / name, VOLUME[number], None, PhotometricInterpretation="MONOCHROME1")
    samples, notes = read(tmp_path)
    np.testing.assert_array_equal(samples.x, VOLUME[:2] * 2.0 - 1024)
    assert samples.names == ("one.dcm", "two.dcm") and samples.grids is None
    assert "larger values are darker" in notes


def test_packed_files_are_unpacked_or_refused_with_a_remedy(tmp_path: Path) -> None:
    path = save(tmp_path / "one.dcm", VOLUME[0], None)
    found = pydicom.dcmread(path)
    found.compress(pydicom.uid.RLELossless)
    found.save_as(path)
    np.testing.assert_array_equal(read(path, rescale=False)[0].x[0], VOLUME[0])
    for syntax, sentence in (
        (pydicom.uid.MPEG2MPML, "no decoder is installed.*gdcmconv --raw"),
        (pydicom.uid.DeflatedExplicitVRLittleEndian, "deflated.*gdcmconv"),
    ):
        found.file_meta.TransferSyntaxUID = syntax
        pydicom.dcmwrite(path, found)
        with pytest.raises(cnnvis.UserError, match=sentence):
            read(path)


DAMAGE: dict[str, tuple[Callable[[bytes], bytes], str]] = {
    "noise": (lambda data: RNG.bytes(3000), "not a DICOM file"),
    "cut in the head": (lambda data: data[:400], "without a picture|cannot be read"),
    "cut in the pixels": (lambda data: data[:-20], "cannot be read"),
    "far too many rows": (
        lambda data: data.replace(b"\x28\x00\x10\x00US\x02\x00\x06\x00", b"\x28\x00\x10\x00US\x02\x00\xff\xff")
        .replace(b"\x28\x00\x11\x00US\x02\x00\x04\x00", b"\x28\x00\x11\x00US\x02\x00\xff\xff"),
        "65535 rows",
    ),
}  # fmt: skip


@pytest.mark.parametrize("damage", DAMAGE)
def test_damage_is_a_sentence(tmp_path: Path, damage: str) -> None:
    change, sentence = DAMAGE[damage]
    path = save(tmp_path / "one.dcm", VOLUME[0], (0, 0, 0))
    path.write_bytes(change(path.read_bytes()))
    with pytest.raises(cnnvis.UserError, match=sentence):
        read(path)[0].x  # noqa: B018


def test_random_bytes_raise_nothing_else(tmp_path: Path) -> None:
    path = save(tmp_path / "one.dcm", VOLUME[0], (0, 0, 0))
    data = path.read_bytes()
    for _ in range(30):
        place = int(RNG.integers(128, len(data) - 60))
        path.write_bytes(data[:place] + RNG.bytes(4) + data[place + 4 :])
        with suppress(cnnvis.UserError):
            read(path)[0].x  # noqa: B018
