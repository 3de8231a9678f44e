"""File that a network was loaded from."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cnnvis.data.loaded_network import LoadedNetwork
from cnnvis.files.snapshots import sha256


@dataclass(frozen=True)
class NetworkFile:
    """Facts of a network's file; without a path, those of a network that is in no file.

    Attributes
    ----------
    path
        The file; None for a network of this process.
    known_sha256
        The SHA-256 of what was loaded, where that is known.
    origin
        Phrase with the format of the file and the program that wrote it.
    repairs
        Changes that were necessary to read the file, in sentences.
    cut
        Layers of the file that were left out, each with the reason.
    loading
        The loader's options that it was loaded with.
    """

    path: Path | None = None
    known_sha256: str | None = None
    origin: str = ""
    repairs: tuple[str, ...] = ()
    cut: Mapping[str, str] = field(default_factory=dict)
    loading: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        loaded: LoadedNetwork,
        path: Path | None,
        known_sha256: str | None,
    ) -> NetworkFile:
        """Collect the facts of the file that a network was loaded from."""
        return cls(path, known_sha256, loaded.origin, loaded.repairs, loaded.cut)

    @functools.cached_property
    def sha256(self) -> str | None:
        """SHA-256 of the loaded contents, else of the file as it is now; None without a file."""
        if self.path is None:
            return None
        return self.known_sha256 or sha256(self.path)
