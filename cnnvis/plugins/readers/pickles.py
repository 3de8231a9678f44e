"""Reader of pickled inputs and labels, which runs nothing that the pickle names."""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO

import cnnvis
from cnnvis.plugins.readers._parts import samples_of

_PACKED = {
    b"\x1f\x8b": ("gzip", "gunzip"),
    b"BZh": ("bzip2", "bunzip2"),
    b"\xfd7zXZ\x00": ("xz", "unxz"),
    b"\x28\xb5\x2f\xfd": ("zstd", "unzstd"),
}
_OLD_TORCH = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."  # a number that torch.save began with


@cnnvis.reader("pickle", suffixes=(".pkl", ".pickle", ".p", ".pt", ".pth"))
def pickles(path: Path, *, trust: cnnvis.Granting[bool] = False) -> cnnvis.Samples:
    """Read a pickle of (X, y), (X,), X or a dict with X and y.

    The reader takes plain values and NumPy arrays alone; it never imports or calls a name in the
    file.

    Parameters
    ----------
    trust
        Load the file with Python's own pickle, in a separate process: all code that the file names
        runs. Only for a file from a person you know.
    """
    import mmap
    import os

    from cnnvis.plugins.readers._unpickle import NeedsCode, unpickle

    held = cnnvis.held(path)
    with held.open(path) as file:
        if not os.fstat(file.fileno()).st_size:
            raise cnnvis.UserError(f"{str(path)!r} is empty")
    if trust:
        from cnnvis.plugins.readers._trusted import trusted_samples

        return trusted_samples(path)
    try:
        with held.open(path) as file:
            data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
            _require_pickle(data[:16], file)
            found = unpickle(memoryview(data))
    except OSError as error:
        raise cnnvis.UserError(f"{str(path)!r} cannot be read: {error.strerror}") from error
    except NeedsCode as refusal:
        raise cnnvis.UserError(
            f"{str(path)!r} cannot be read: this pickle {refusal.what}. If you know the author, "
            "--trust-pickle (in Python, trust=True) loads it with Python, in a separate process; "
            f"or save its arrays once, as .npz: {refusal.line(str(path))}"
        ) from refusal
    except cnnvis.UserError as error:
        raise cnnvis.UserError(f"{str(path)!r} cannot be read: {error}") from error
    return samples_of(found, str(path))


def _require_pickle(start: bytes, file: BinaryIO) -> None:
    """Refuse a file that is no pickle but may seem to be, with its format."""
    import zipfile

    from cnnvis.plugins.readers._unpickle import NeedsCode

    for mark, (packer, unpacker) in _PACKED.items():
        if start.startswith(mark):
            raise cnnvis.UserError(f"it is packed with {packer}; unpack it first, with {unpacker}")
    if start.startswith(_OLD_TORCH):
        raise NeedsCode("holds a torch tensor, which torch itself reads by running code", "torch")
    if not start.startswith(b"PK"):
        return
    try:
        with zipfile.ZipFile(file) as archive:
            names = archive.namelist()
    except (zipfile.BadZipFile, ValueError, NotImplementedError, RuntimeError) as error:
        raise cnnvis.UserError(f"it is a damaged archive: {error}") from error
    if any(name.endswith("/data.pkl") for name in names):
        raise NeedsCode("is a file of torch.save, which only torch reads", "torch")
    if any(name.endswith(".npy") for name in names):
        raise cnnvis.UserError("it is no pickle but an archive of arrays: give it the ending .npz")
    raise cnnvis.UserError("it is no pickle but a zip archive")
