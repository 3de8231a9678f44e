"""Pickle that somebody trusts, loaded by Python's own pickle in a separate process.

The process hands its arrays over in a file, as NumPy stores them without pickle.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import cnnvis
from cnnvis.plugins.readers._parts import LABEL_NAMES, samples_of

_ARRAYS, _REFUSED = "arrays.npz", "refused.txt"


def trusted_samples(path: Path) -> cnnvis.Samples:
    """Load the samples in a pickle, whatever code the loading runs.

    Raises
    ------
    UserError
        If the pickle cannot be loaded, or holds no samples.
    """
    source = cnnvis.held(path)
    with tempfile.TemporaryDirectory(prefix="cnnvis-") as name:
        folder = Path(name)
        # Only what is installed can be what the file names.
        child = subprocess.run(
            **cnnvis.child_process(__name__, path.absolute(), source.place.absolute(), folder),
            pass_fds=source.descriptors,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            check=False,
        )
        if (folder / _REFUSED).is_file():
            raise cnnvis.UserError(cnnvis.read_text(folder / _REFUSED))
        if child.returncode:
            raise cnnvis.UserError(f"{str(path)!r} could not be loaded: {_end(child)}")
        held = {name: one[...] for name, one in cnnvis.stored_arrays(folder / _ARRAYS).items()}
    names = held.pop("names").tolist()
    inputs = {name: held[f"X{place}"] for place, name in enumerate(names)}
    class_names = tuple(held["class_names"].tolist()) if "class_names" in held else None
    kind = str(held["label_kind"]) if "y" in held else None
    return cnnvis.Samples.of(
        inputs or held["X"],
        held.get("y"),
        class_names=class_names,
        label_kind=kind,
        in_words=bool(held["in_words"]),
    )


def _end(child: subprocess.CompletedProcess[bytes]) -> str:
    if child.returncode < 0:
        return f"the process that loaded it was ended by signal {-child.returncode}"
    said = child.stderr.decode("utf-8", "replace").strip().rpartition("\n")[2]
    if said.startswith("ModuleNotFoundError"):
        return f"{said}; install the package, or put its folder into PYTHONPATH"
    return said or f"the process that loaded it ended with {child.returncode}"


def _main(path: Path, place: Path, folder: Path) -> None:
    """Run the process: load, and write the arrays to the folder, or the errors in them."""
    import numpy as np

    try:
        samples = samples_of(_arrays(_loaded(place)), str(path))
    except cnnvis.UserError as error:
        (folder / _REFUSED).write_text(str(error), encoding="utf-8")
        return
    arrays: dict[str, Any] = {"names": np.array(list(samples.inputs), "U")}
    arrays |= {f"X{place}": one[:] for place, one in enumerate(samples.inputs.values())}
    if not samples.inputs:
        arrays["X"] = samples.x
    arrays["in_words"] = np.array(samples.in_words)
    if samples.labels is not None:
        arrays |= {"y": samples.labels[:], "label_kind": np.array(samples.label_kind, "U")}
    if samples.class_names is not None:
        arrays["class_names"] = np.array(samples.class_names, "U")
    np.savez(folder / _ARRAYS, **arrays)


def _loaded(path: Path) -> Any:
    import pickle
    import zipfile

    with path.open("rb") as file:
        if zipfile.is_zipfile(file):
            import torch

            return torch.load(path, map_location="cpu", weights_only=False)
        file.seek(0)
        return pickle.load(file, encoding="latin1")  # as Python 2 wrote arrays


def _arrays(held: Any) -> Any:
    """Replace other libraries' objects by arrays; a frame of labels keeps its columns."""
    if isinstance(held, dict):
        return {
            key: value if key in LABEL_NAMES and _has_columns(value) else _plain(value)
            for key, value in held.items()
        }
    if isinstance(held, list | tuple) and len(held) == 2 and _has_columns(held[1]):
        return (_plain(held[0]), held[1])
    return _plain(held)


def _has_columns(value: Any) -> bool:
    return hasattr(value, "columns") and hasattr(value, "__array__")


def _plain(held: Any) -> Any:
    """Replace other libraries' objects in a value by arrays."""
    import numpy as np

    if isinstance(held, dict):
        return {key: _plain(value) for key, value in held.items()}
    if isinstance(held, list | tuple):
        return type(held)(map(_plain, held)) if type(held) in (list, tuple) else list(held)
    if isinstance(held, np.ndarray) and held.dtype == object and held.size:
        try:
            return np.array(held.tolist())  # of arrays of one shape, or of numbers
        except ValueError:
            return held  # such as lists of labels, of several lengths
    for change in ("to_numpy", "detach", "cpu", "numpy", "toarray"):
        if hasattr(held, change) and not isinstance(held, np.ndarray | np.generic):
            held = getattr(held, change)()
    return held


if __name__ == "__main__":
    cnnvis.end_with_parent()
    _main(*map(Path, sys.argv[1:]))
