"""Renderer of maps of volumes as NIfTI files, on the grids of their volumes."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import cnnvis
from cnnvis.renderers._common import require_maps

if TYPE_CHECKING:
    import numpy.typing as npt

_UNITS = {"m": "meter", "um": "micron"}
_LEVEL = 6  # of gzip
_LONGEST = 2**15 - 1  # positions along an axis that the first version of the format holds
_DESCRIPTION = 79  # letters that a header has for it


@cnnvis.renderer("nifti", suffixes=(".nii.gz", ".nii"), requires=("nibabel",), extra="nifti")
def nifti(
    explanation: cnnvis.Explanation,
    path: Path,
    *,
    each: bool = True,
    limit: cnnvis.Count | None = None,
    format: Literal["nii.gz", "nii"] = "nii.gz",
) -> None:
    """NIfTI files of maps, each on the grid of its volume, for programs that show brains and bodies.

    A file has the affine matrix, the unit and the space of the volume that was explained, so that
    it lies on that volume wherever both are opened. Maps with channels, and several maps in one
    file, have them along the fourth axis.

    Parameters
    ----------
    each
        Write a file for each image, named after the image. Else one file holds all maps, whose
        volumes must have the same grid.
    limit
        The largest number of files; none for all.
    format
        The format of a file that nobody names.
    """
    import nibabel
    import numpy as np

    require_maps(explanation, "nifti")
    grids = _grids(explanation)
    first = grids[0]
    if not first.is_of_body and first.space != "unknown":
        raise cnnvis.UserError(
            f"the maps lie in the space {cnnvis.printable(first.space)}, which is none of those that NIfTI files know: "
            "another renderer must write them, such as geotiff of the package cnnvis-geotiff for maps of the Earth"
        )
    for number, one in enumerate(grids):
        if not first.is_near(one):
            raise cnnvis.UserError(
                f"the volumes of the maps lie on several grids: that of {_name(explanation, number)} differs from "
                f"that of {_name(explanation, 0)}; write a file for each image, or resample the volumes to one grid"
            )
    maps = [_volume(explanation, number, grid) for number, grid in enumerate(grids)]
    values = maps[0] if len(maps) == 1 else np.concatenate(maps, axis=3)
    values = values[..., 0] if values.shape[3] == 1 else values
    is_long = max(values.shape) > _LONGEST
    image = (nibabel.Nifti2Image if is_long else nibabel.Nifti1Image)(values, first.matrix)
    header: Any = image.header
    header.set_xyzt_units(_UNITS.get(first.unit, first.unit))
    image.set_sform(first.matrix, code=first.space)
    image.set_qform(first.matrix, code=first.space)
    if not np.allclose(header.get_qform(), first.matrix, atol=1e-3 * min(first.sizes)):
        header["qform_code"] = 0  # quaternions hold no sheared axes
    technique = explanation.provenance.get("technique", "maps")
    header["descrip"] = f"cnnvis {technique}".encode("ascii", "replace")[:_DESCRIPTION]
    data = image.to_bytes()
    if path.suffix.lower() == ".gz":
        data = gzip.compress(data, _LEVEL, mtime=0)  # the same maps have the same bytes
    path.write_bytes(data)


def _grids(explanation: cnnvis.Explanation) -> list[cnnvis.VoxelGrid]:
    """Return the grid of each map.

    Raises
    ------
    UserError
        If one is not known.
    """
    count = len(explanation)
    known: Any = explanation.grids or (None,) * count
    if not count:
        raise cnnvis.UserError("there are no maps to write")
    if explanation.groups and known[0] is None:
        raise cnnvis.UserError(
            "the maps are of groups of images whose volumes lie on several grids, or on none, so "
            "there is no grid to write the maps on; resample the volumes to one grid first"
        )
    for number, one in enumerate(known):
        if one is None:
            raise cnnvis.UserError(
                f"nothing is known of the grid of {_name(explanation, number)}, on which nifti would write its "
                "map: NIfTI and DICOM files say where their voxels are, arrays do not"
            )
    return list(known)


def _volume(
    explanation: cnnvis.Explanation, number: int, grid: cnnvis.VoxelGrid
) -> npt.NDArray[Any]:
    """Return a map as a volume (x, y, z, channels) of its grid's shape.

    Raises
    ------
    UserError
        If it has another shape.
    """
    import numpy as np

    values = np.asarray(explanation.array[number], np.float32)
    if "channel" in explanation.axes:
        values = np.moveaxis(values, explanation.axes.index("channel"), -1)
    else:
        values = values[..., None]
    # A slice is a volume of a single plane, and axes of length 1 come and go.
    if [n for n in values.shape[:-1] if n > 1] != [n for n in grid.shape if n > 1]:
        found, wanted = (" x ".join(map(str, one)) for one in (values.shape[:-1], grid.shape))
        raise cnnvis.UserError(
            f"the map of {_name(explanation, number)} has the shape {found}, and its volume {wanted}, so the "
            "map does not lie on the grid of the volume; resize maps to their inputs with the transform resize"
        )
    return values.reshape(*grid.shape, values.shape[-1])


def _name(explanation: cnnvis.Explanation, number: int) -> str:
    """Return the name of a map's image, or of the map, for a sentence."""
    samples = explanation.samples
    if samples is None:
        return repr(explanation.groups[number]) if explanation.groups else f"map {number}"
    if samples.names is not None:
        return repr(samples.names[number])
    return f"image {samples.indices[number]}"
