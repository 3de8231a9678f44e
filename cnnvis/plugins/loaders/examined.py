"""Model files that a separate process examines before this process opens them."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cnnvis
from cnnvis.plugins.loaders.file_kinds import kind_of


@dataclass(frozen=True)
class Contents:
    """Contents of a model's file, found without opening it in this process.

    Attributes
    ----------
    is_archive
        True where the file is one of Keras's ``.keras`` archives, and not HDF5.
    config
        The text that describes the network; None where the file holds weights alone.
    version
        The version of Keras that wrote the file; None where the file does not name it.
    training
        The text that says how the network was trained; None where it is in ``config``, or missing.
    is_by_layers
        For HDF5: True where the weights are stored by the names of layers, as in Keras 2.
    values
        The number of values in the file.
    """

    is_archive: bool
    config: str | None
    version: str | None
    training: str | None
    is_by_layers: bool
    values: int


_begun: dict[Path, Callable[[], Any]] = {}


def begin(path: Path) -> None:
    """Begin to examine a file beside other work; `contents` waits for the end."""
    with suppress(cnnvis.UserError, OSError):  # of which `contents` speaks
        if path.is_file() and kind_of(path) is not None:
            _begun[cnnvis.held(path).place] = _begin(path)


def contents(path: Path) -> Contents:
    """Return the contents of a model's file, once a process of its own has examined all of it.

    Raises
    ------
    UserError
        If the file is damaged, or holds what no model needs, or its examination took too much;
        `found` of the error holds what was found nevertheless: ``config`` and ``version``.
    """
    found = _begun.pop(cnnvis.held(path).place, None) or _begin(path)
    return Contents(**found())


def _begin(path: Path) -> Callable[[], Any]:
    from cnnvis.plugins.loaders._examiner import look_at_model

    return cnnvis.begin_look(look_at_model, path)
