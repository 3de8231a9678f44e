"""Loader of networks that Keras wrote as HDF5, from 2015's to today's."""

from __future__ import annotations

from pathlib import Path

import cnnvis
from cnnvis.plugins.loaders.examined import begin
from cnnvis.plugins.loaders.file_kinds import is_hdf5
from cnnvis.plugins.loaders.load_options import LoadOptions, with_help


@cnnvis.loader("h5", suffixes=(".h5", ".hdf5"), accepts=is_hdf5, begin=begin)
@with_help
def h5(
    path: Path,
    *,
    custom: cnnvis.Granting[tuple[str, ...]] = (),
    lambdas: cnnvis.Granting[tuple[str, ...]] = (),
    input_shape: tuple[int, ...] | None = None,
    architecture: str | None = None,
    trust_model: cnnvis.Granting[bool] = False,
) -> cnnvis.LoadedNetwork:
    """Load a network from HDF5.

    No code in the file runs: Lambda layers and other layers of Python code are cut off, with all
    layers after them.
    """
    from cnnvis.plugins.loaders.reading import network_in

    return network_in(path, LoadOptions(custom, lambdas, input_shape, trust_model, architecture))
