"""Data that are read as they are needed: HDF5, Zarr, uncompressed .npz."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

import cnnvis

X = np.random.default_rng(0).normal(size=(9, 4, 3, 1)).astype(np.float32)
Y = np.arange(9) % 3
NAMES = ["ape", "bee", "cow"]
ORDERS: list[Any] = [[3], [0, 1, 2], [5, 2, 2, 8], slice(2, 7), slice(None), [], [-1]]


def _hdf5(path: Path, **arrays: Any) -> Path:
    with h5py.File(path, "w") as file:
        for name, values in arrays.items():
            file[name] = values
    return path


def _zarr(path: Path, **arrays: Any) -> Path:
    zarr = pytest.importorskip("zarr")
    group = zarr.open_group(str(path), mode="w")
    for name, values in arrays.items():
        group.create_array(name, data=np.asarray(values))
    return path


def _npz(path: Path, **arrays: Any) -> Path:
    np.savez(path, **arrays)
    return path


WRITERS = {"data.h5": _hdf5, "data.zarr": _zarr, "data.npz": _npz}


@pytest.mark.parametrize("name", WRITERS)
def test_pieces_are_what_was_written(tmp_path: Path, name: str) -> None:
    facts = {"class_names": NAMES} if name != "data.zarr" else {}
    samples = cnnvis.read_samples(WRITERS[name](tmp_path / name, X=X, y=Y, **facts))
    assert not isinstance(samples.source, np.ndarray) or isinstance(samples.source, np.memmap)
    assert samples.labels is not None and samples.labels.tolist() == Y.tolist()
    assert samples.class_names == (tuple(NAMES) if facts else None)
    for order in ORDERS:
        np.testing.assert_array_equal(samples[order].x, X[order])
    np.testing.assert_array_equal(samples.x, X)


@pytest.mark.parametrize("name", WRITERS)
def test_several_inputs(tmp_path: Path, name: str) -> None:
    path = WRITERS[name](tmp_path / name, left=X, right=X[:, :, :, 0] * 2, y=Y)
    samples = cnnvis.read_samples(path)
    assert set(samples.inputs) == {"left", "right"}
    np.testing.assert_array_equal(samples.explaining("right")[[7, 1]].x, X[[7, 1], :, :, 0] * 2)


def test_arrays_by_name(tmp_path: Path) -> None:
    path = _hdf5(tmp_path / "data.hdf5", **{"train/pictures": X, "train/kind": Y})
    samples = cnnvis.read_samples(path, x="train/pictures", y="train/kind")
    np.testing.assert_array_equal(samples[[2]].x, X[[2]])
    assert samples.labels is not None and samples.labels[4] == 1
    with pytest.raises(
        cnnvis.UserError, match="no array named 'train/kinds'; it holds train/kind, train"
    ):
        cnnvis.read_samples(path, x="train/pictures", y="train/kinds")


def test_compressed_and_odd_members(tmp_path: Path) -> None:
    np.savez_compressed(tmp_path / "small.npz", X=X, y=Y)
    np.testing.assert_array_equal(cnnvis.read_samples(tmp_path / "small.npz").x, X)
    np.savez(tmp_path / "columns.npz", X=np.asfortranarray(X))
    np.testing.assert_array_equal(
        cnnvis.read_samples(tmp_path / "columns.npz")[[4, 2]].x, X[[4, 2]]
    )
    (tmp_path / "cut.npz").write_bytes((tmp_path / "columns.npz").read_bytes()[:300])
    with pytest.raises(cnnvis.UserError, match="is damaged, or no NumPy file"):
        cnnvis.read_samples(tmp_path / "cut.npz")


def test_links_to_other_files_are_refused(tmp_path: Path) -> None:
    _hdf5(tmp_path / "secret.h5", X=X)
    with h5py.File(tmp_path / "data.h5", "w") as file:
        file["X"] = h5py.ExternalLink("secret.h5", "/X")
        file["other"] = X
    with pytest.raises(cnnvis.UserError, match=r"'/X', a link to the other file 'secret\.h5'"):
        cnnvis.read_samples(tmp_path / "data.h5")


def test_damaged_stores(tmp_path: Path) -> None:
    (tmp_path / "data.h5").write_bytes(b"not HDF5")
    with pytest.raises(cnnvis.UserError, match="is damaged, or no HDF5 file"):
        cnnvis.read_samples(tmp_path / "data.h5")


def test_a_chain_reads_a_batch_at_a_time(tmp_path: Path, keras: Any) -> None:
    layers = keras.layers
    network = keras.Sequential(
        [
            layers.Input((4, 3, 1)),
            layers.Conv2D(2, 2, activation="relu"),
            layers.Flatten(),
            layers.Dense(3, name="output"),
        ]
    )
    path = _hdf5(tmp_path / "data.h5", X=X, y=Y)
    (mean,) = cnnvis.chain(
        network, [("saliency", {"backprop": None}), "average"], data=path, filter=0
    )
    maps = cnnvis.run("saliency", network, data=X, filter=0, backprop=None).array
    np.testing.assert_allclose(mean.array[1], maps[Y == 1].mean(axis=0), rtol=1e-5)


class _Counting:
    """An array that counts how often it is read."""

    shape, chunks, dtype = (100_000, 8, 8), (1, 8, 8), np.dtype("f4")
    read = 0

    def __getitem__(self, index: slice) -> None:
        self.read += 1


def test_a_store_of_many_small_pieces_is_not_gone_through_at_its_first_look() -> None:
    """One image a piece, and a file each, is how many are written: all of them would take minutes."""
    from cnnvis.files import zarr_stores

    array = _Counting()
    zarr_stores._read(array, zarr_stores._READ)
    assert 100 < array.read <= zarr_stores._READ_PIECES


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_damage_within_an_archive_is_found_by_its_checksum(tmp_path: Path, save: Any) -> None:
    path = tmp_path / "data.npz"
    save(path, X=np.random.default_rng(0).random((100, 8, 8, 1)))
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(cnnvis.UserError, match="is damaged"):
        cnnvis.read_samples(path)
