"""Loader of networks that Keras wrote as HDF5, from 2015's to today's."""

from __future__ import annotations

from pathlib import Path

import cnnvis
from cnnvis.plugins.loaders.examined import begin
from cnnvis.plugins.loaders.file_kinds import is_hdf5


@cnnvis.loader("h5", suffixes=(".h5", ".hdf5"), accepts=is_hdf5, begin=begin)
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

    Nothing in the file is run: a Lambda layer and others that are Python code are cut off, with all
    that comes after them.

    Parameters
    ----------
    custom
        Classes of your own that the file names, each module:Class, or NAME=module:Class for a
        layer's kind or name. The module is imported, and so runs.
    lambdas
        Functions in the place of Lambda layers, each NAME=module:function, where NAME is the
        layer's. The module is imported, and so runs.
    input_shape
        The shape of one input, for a file that lost it; 0 for an axis of any length.
    architecture
        The JSON file that describes the network, for a file that holds its weights alone.
    trust_model
        Let code in the file run, and leave out what keeps a stranger's file from doing harm.
    """
    from cnnvis.plugins.loaders.load_options import LoadOptions
    from cnnvis.plugins.loaders.reading import network_in

    return network_in(path, LoadOptions(custom, lambdas, input_shape, trust_model, architecture))
