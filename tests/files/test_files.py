"""What identifies a file."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest

from cnnvis.errors import UserError
from cnnvis.files.reading import require_writable
from cnnvis.files.snapshots import sha256


def test_a_sum_is_worked_out_once_and_never_of_an_older_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[Any] = []
    digest = hashlib.file_digest
    monkeypatch.setattr(
        hashlib, "file_digest", lambda file, name: (read.append(file), digest(file, name))[1]
    )
    path = tmp_path / "data"
    for content in (b"one", b"two", b"six"):  # of one size, and within one tick
        path.write_bytes(content)
        assert sha256(path) == hashlib.sha256(content).hexdigest()
    assert len(read) == 3
    for _ in range(3):
        assert sha256(path) == hashlib.sha256(b"six").hexdigest()
    assert len(read) == 3
    path.write_bytes(b"eleven")
    assert sha256(path) == hashlib.sha256(b"eleven").hexdigest()


def test_a_name_that_is_too_long_is_refused_in_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="cannot be written: File name too long"):
        require_writable(tmp_path / f"{'L' * 300}.png")
