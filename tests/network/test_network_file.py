"""The facts of the file that a network was loaded from."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from cnnvis.data.loaded_network import LoadedNetwork
from cnnvis.network.file import NetworkFile

LOADED = LoadedNetwork(None, repairs=("a name was shortened",), cut={"end": "lost"}, origin="HDF5")


def test_the_facts_are_those_of_the_loader(tmp_path: Path) -> None:
    file = NetworkFile.of(LOADED, tmp_path / "model.h5", None)
    assert (file.repairs, file.cut, file.origin) == (LOADED.repairs, LOADED.cut, "HDF5")
    assert file.loading == {}


def test_the_sum_that_is_known_counts_and_the_file_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "model.h5"
    assert NetworkFile(path, "0123").sha256 == "0123"
    path.write_bytes(b"weights")
    assert NetworkFile(path).sha256 == hashlib.sha256(b"weights").hexdigest()


def test_a_network_of_this_process_has_no_sum() -> None:
    assert NetworkFile().sha256 is None


def test_the_facts_do_not_hold_the_network(tmp_path: Path) -> None:
    """What is compiled keeps the file; the network must be free to go."""
    with pytest.raises(AttributeError):
        NetworkFile.of(LOADED, tmp_path, None).network  # type: ignore[attr-defined]  # noqa: B018
