"""Runs without a network, which take milliseconds, and the files of those with one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from quickruns import Runs, X, Y, bytes_of


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch) -> Runs:
    return Runs(monkeypatch)


@pytest.fixture
def whole(runs: Runs, tmp_path: Path) -> dict[str, bytes]:
    """What an uninterrupted run writes."""
    runs.run(tmp_path / "whole")
    return bytes_of(tmp_path / "whole")


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory, classifier: Any) -> Path:
    """A folder with a real network, and files of images: good ones, one that is bad, and bad ones alone."""
    folder = tmp_path_factory.mktemp("files")
    classifier.save(folder / "model.keras")
    np.savez(folder / "data.npz", X=X, y=Y)
    bad = X.copy()
    bad[7, 0, 0, 0] = np.nan
    np.savez(folder / "bad.npz", X=bad, y=Y)
    np.savez(folder / "hopeless.npz", X=np.full_like(X[:4], np.inf))
    return folder
