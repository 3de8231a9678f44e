"""Renderer of maps as a Zarr store, on a disk or in an object store."""

from __future__ import annotations

from pathlib import Path

import cnnvis


@cnnvis.renderer("zarr-maps", suffixes=(".zarr",), folder=True, remote=True)
def zarr_maps(stream: cnnvis.Stream, path: Path | cnnvis.Address, *, inputs: bool = False) -> None:
    """Zarr store of raw maps for xarray, on a disk or at an address such as s3://bucket/maps.zarr.

    Each map is a chunk of its own, and many lie in a shard, which is one file or object. Names of axes,
    coordinates with their units, labels, targets and scores are coordinates, and the provenance is an
    attribute, so that xarray.open_zarr has all of it. Maps are written while they are computed; the
    store's own metadata are written last, and without them there is no store. `cnnvis show-result` and
    `cnnvis chain` take the store in the place of a network.

    Parameters
    ----------
    inputs
        Write the inputs, too, so that pictures that are made of the store show them.
    """
    stream.write_zarr(path, inputs=inputs)
