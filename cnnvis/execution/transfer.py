"""Samples and explanations in files, on their way to another process and back.

Arrays are NumPy files that are read without pickle, everything else is JSON: what comes out of a
process that went wrong can be wrong, and cannot run anything here.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from cnnvis.data.axes import axes_of
from cnnvis.data.explanation import Explanation
from cnnvis.data.places import PlaceFacts, Places
from cnnvis.data.samples import Array, ArrayLike, Samples
from cnnvis.data.voxel_grid import grid_of

PIECE = 2**24
"""Maximum number of bytes that are copied at a time of an array that is read when indexed."""

_MARK = "_parcel"


def pack_arrays(arrays: Mapping[str, Array], folder: Path) -> dict[str, str]:
    """Put arrays into files of a folder, and return the files by the arrays' names."""
    files = {name: folder / f"{number}.npy" for number, name in enumerate(arrays)}
    for name, file in files.items():
        _write(file, np.asarray(arrays[name]))
    return {name: str(file) for name, file in files.items()}


def unpack_array(file: Path) -> Array:
    """Read an array from a file.

    Raises
    ------
    ValueError, OSError
        If the file holds no array.
    """
    return _read(file)


def pack_samples(samples: Samples, folder: Path) -> None:
    """Put samples into a new folder."""
    folder.mkdir()
    arrays: dict[str, ArrayLike] = {"source": samples.source, "indices": samples.indices}
    if samples.target_numbers is not None:
        arrays["target_numbers"] = samples.target_numbers
    if samples.labels is not None:
        arrays["labels"] = samples.labels
    if samples.places is not None:
        arrays |= samples.places.arrays()
    arrays |= {f"other-{number}": one for number, one in enumerate(samples.others.values())}
    baselines = [
        (name, key, array) for name, of in samples.baselines.items() for key, array in of.items()
    ]
    arrays |= {f"baseline-{number}": one for number, (_, _, one) in enumerate(baselines)}
    for name, array in arrays.items():
        _write(folder / f"{name}.npy", array)
    facts = {
        "names": samples.names,
        "class_names": samples.class_names,
        "channel_axis": samples.channel_axis,
        "label_kind": samples.label_kind,
        "in_words": samples.in_words,
        "input": samples.input,
        "others": list(samples.others),
        "total": samples.total,
        "baselines": [(name, key) for name, key, _ in baselines],
        "coordinates": {name: axis.as_dict() for name, axis in samples.coordinates.items()},
        "places": None if samples.places is None else samples.places.facts(),
        "grids": samples.grids and [grid and grid.as_dict() for grid in samples.grids],
    }
    (folder / "facts.json").write_text(json.dumps(facts))


def unpack_samples(folder: Path) -> Samples:
    """Read samples from a folder; their inputs are read from the disk when needed.

    Raises
    ------
    ValueError, OSError, KeyError, TypeError, UserError
        If the folder holds no samples, or no valid ones.
    """
    facts = json.loads((folder / "facts.json").read_text())
    labels, numbers = folder / "labels.npy", folder / "target_numbers.npy"
    baselines: dict[str, dict[str, Array]] = {}
    for number, (name, key) in enumerate(facts["baselines"]):
        baselines.setdefault(name, {})[key] = _read(folder / f"baseline-{number}.npy")
    samples = Samples(
        _read(folder / "source.npy"),
        np.array(_read(labels)) if labels.exists() else None,
        _tuple(facts["names"]),
        _tuple(facts["class_names"]),
        np.array(_read(folder / "indices.npy")),
        facts["channel_axis"],
        input=facts["input"],
        label_kind=facts["label_kind"],
        in_words=facts["in_words"],
        total=facts.get("total"),
        others={
            name: _read(folder / f"other-{number}.npy")
            for number, name in enumerate(facts["others"])
        },
        baselines=baselines,
        target_numbers=np.array(_read(numbers)) if numbers.exists() else None,
        coordinates=axes_of(facts["coordinates"]),
        places=_places(folder, facts["places"]),
        grids=facts["grids"] and tuple(map(grid_of, facts["grids"])),
    )
    vars(samples)[_MARK] = str(folder)
    return samples


def pack_explanation(explanation: Explanation, folder: Path) -> None:
    """Put an explanation into a new folder; samples that came in a folder stay there."""
    folder.mkdir()
    samples = explanation.samples
    where = None
    if samples is not None:
        where = vars(samples).get(_MARK)
        if where is None:
            where = str(folder / "samples")
            pack_samples(samples, folder / "samples")
    replace(explanation, samples=None, other_inputs=()).write(folder / "explanation.npz")
    for number, one in enumerate(explanation.other_inputs):
        pack_explanation(one, folder / f"other-{number}")
    facts = {"samples": where, "others": len(explanation.other_inputs)}
    (folder / "facts.json").write_text(json.dumps(facts))


def unpack_explanation(folder: Path, known: Mapping[str, Samples] | None = None) -> Explanation:
    """Read an explanation from a folder.

    Parameters
    ----------
    known
        Samples that this process has already, by their folders.

    Raises
    ------
    ValueError, OSError, KeyError, TypeError, UserError
        If the folder holds no explanation, or no valid one.
    """
    found = Explanation.load(folder / "explanation.npz")
    facts = json.loads((folder / "facts.json").read_text())
    others = [unpack_explanation(folder / f"other-{i}", known) for i in range(facts["others"])]
    found = replace(found, other_inputs=tuple(others))
    where = facts["samples"]
    if where is None:
        return found
    samples = (known or {}).get(where)
    return replace(found, samples=unpack_samples(Path(where)) if samples is None else samples)


def _places(folder: Path, facts: Mapping[str, Any] | None) -> Places | None:
    if facts is None:
        return None

    def array(name: str) -> Array | None:
        path = folder / f"{name}.npy"
        return np.array(_read(path)) if path.exists() else None

    return msgspec.convert(facts, PlaceFacts).places(array)


def _write(path: Path, array: ArrayLike) -> None:
    if isinstance(array, np.ndarray):
        np.save(path, array, allow_pickle=False)
        return
    shape = tuple(array.shape)
    whole = np.lib.format.open_memmap(path, "w+", array.dtype, shape)
    rows = max(PIECE // max(math.prod(shape[1:]) * array.dtype.itemsize, 1), 1)
    for start in range(0, shape[0], rows):
        whole[start : start + rows] = array[np.arange(start, min(start + rows, shape[0]))]
    whole.flush()


def _read(path: Path) -> Array:
    # What is empty cannot be mapped.
    mapped = path.stat().st_size > 2**16
    found: Array = np.load(path, mmap_mode="c" if mapped else None, allow_pickle=False)
    return found


def _tuple(values: Sequence[Any] | None) -> tuple[Any, ...] | None:
    return None if values is None else tuple(values)
