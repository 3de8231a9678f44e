"""Runs without a network, which take milliseconds."""

from __future__ import annotations

from pathlib import Path

import pytest
from quickruns import Runs, bytes_of


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch) -> Runs:
    return Runs(monkeypatch)


@pytest.fixture
def whole(runs: Runs, tmp_path: Path) -> dict[str, bytes]:
    """What an uninterrupted run writes."""
    runs.run(tmp_path / "whole")
    return bytes_of(tmp_path / "whole")
