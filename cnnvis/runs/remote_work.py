"""Work of workers: what they compute, and the process in which they do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol


class Computing(Protocol):
    """Work that has parts, each of them with numbered pieces that are computed alone."""

    def computed(self, part: str, number: int) -> Any:
        """Compute a piece, and return what can be pickled.

        Raises
        ------
        UserError, PluginError
            If this process cannot compute it, or would compute something else.
        """
        ...


@dataclass(frozen=True)
class Work:
    """What workers compute, each in a process of its own.

    Attributes
    ----------
    computing
        A pickled `Computing`, which only that process unpickles.
    files
        The files of plugins that are loaded beside the installed ones.
    settings
        How networks are computed: see `cnnvis.network.compilation.computing_now`.
    threads
        The number of threads of TensorFlow, and of NumPy's libraries.
    token
        A name of this work's own: what was loaded for another one is not used for it.
    here
        The working folder, from which other paths may be relative.
    paths
        Where Python finds modules, such as those of custom layers, besides the worker's own places.
    """

    computing: bytes
    files: tuple[str, ...] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)
    threads: int = 1
    token: str = ""
    here: str = "."
    paths: tuple[str, ...] = ()
