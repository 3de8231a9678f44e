"""Loader of networks in Keras's own ``.keras`` format."""

from __future__ import annotations

from pathlib import Path

import cnnvis
from cnnvis.plugins.loaders.examined import begin
from cnnvis.plugins.loaders.file_kinds import is_archive
from cnnvis.plugins.loaders.load_options import LoadOptions, with_help


@cnnvis.loader("keras", suffixes=(".keras",), accepts=is_archive, begin=begin)
@with_help
def keras_archive(
    path: Path,
    *,
    custom: cnnvis.Granting[tuple[str, ...]] = (),
    lambdas: cnnvis.Granting[tuple[str, ...]] = (),
    trust_model: cnnvis.Granting[bool] = False,
) -> cnnvis.LoadedNetwork:
    """Load a .keras file; a file of Keras 2 needs the package tf_keras.

    Code in the file never runs: a Lambda layer is cut off, with all layers after it.
    """
    from cnnvis.plugins.loaders.reading import network_in

    return network_in(path, LoadOptions(custom, lambdas, None, trust_model))
