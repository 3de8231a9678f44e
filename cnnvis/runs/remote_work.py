"""Work of workers: a run whose shards they compute."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from cnnvis.explain.request import Request


@dataclass(frozen=True)
class Work:
    """What workers compute: a run whose folder holds its manifest.

    Attributes
    ----------
    folder
        The path of the run folder.
    manifest
        The SHA-256 of the manifest's file.
    request
        The model and data, as paths.
    techniques
        The names of the techniques with maps of images, and all options of each.
    files
        The files of plugins that are loaded beside the installed ones.
    computing
        How networks are computed: see `cnnvis.network.compilation.computing_now`.
    threads
        The number of TensorFlow's threads.
    token
        A name of this run's own: what was loaded for another one is not used for it.
    here
        The working folder, from which other paths may be relative.
    paths
        Where Python finds modules, such as those of custom layers, besides the worker's own places.
    """

    folder: str
    manifest: str
    request: Request
    techniques: tuple[tuple[str, Mapping[str, Any]], ...]
    files: tuple[str, ...] = ()
    computing: Mapping[str, Any] = field(default_factory=dict)
    threads: int = 1
    token: str = ""
    here: str = "."
    paths: tuple[str, ...] = ()
