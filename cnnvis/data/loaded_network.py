"""Network from a loader."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class LoadedNetwork:
    """Network that a loader returns, with the history of its loading.

    Attributes
    ----------
    network
        A Keras network with its weights.
    repairs
        The changes needed to read the network, in sentences.
    cut
        Left out layers, by name, each with the reason.
    cut_learned
        True where some of the cut layers may have weights: then the last remaining layer is not the
        network's answer, and a person must name the target.
    origin
        The format of the file and the program that wrote it, in a phrase: ``HDF5, written by Keras
        2.3.1``.
    loss
        The loss that the network was trained with, as ``compile`` takes it or as Keras describes it
        in files; by default the loss with which the network is compiled.
    """

    network: Any
    repairs: tuple[str, ...] = ()
    cut: Mapping[str, str] = field(default_factory=dict)
    cut_learned: bool = False
    origin: str = ""
    loss: Any = None
