"""Piece of a result: the results of some images, and the failures of others with their reasons."""

from __future__ import annotations

import errno
import functools
import re
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, overload

import numpy as np

from cnnvis.data.beside import Beside
from cnnvis.data.explanation import Explanation
from cnnvis.data.samples import Samples
from cnnvis.errors import ChangedError, DiskError, ShortageError, UserError, complaint
from cnnvis.files.snapshots import HeldFile

Kind = Literal["unreadable", "not finite", "no map"]
"""Kind of failure of an image: it is unreadable, holds NaN or infinite values, or gets no map."""


_LONGEST_REASON = 1000


@dataclass(frozen=True)
class Failure:
    """Image without a result, and the reason, in a limited number of letters."""

    kind: Kind
    reason: str

    def __post_init__(self) -> None:
        object.__setattr__(self, "reason", self.reason[:_LONGEST_REASON])


@dataclass(frozen=True)
class Piece:
    """Results for some images, one after the other.

    Attributes
    ----------
    places
        The places of the images in the samples.
    found
        The results of the images that did not fail; None if all failed.
    failed
        The failures of all other images, by their places.
    notes
        The notes made meanwhile.
    blank
        The reason for blank gradients, where some are blank.
    constant
        The maps whose values are all the same, by their places among the maps, and this value;
        None where it is not known.
    """

    places: range
    found: Explanation | None
    failed: Mapping[int, Failure] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    blank: tuple[str, ...] = ()
    constant: Mapping[int, float] | None = None


@dataclass(frozen=True)
class Read:
    """Images that were read, by their places, and the reasons for those that could not be read."""

    places: range
    samples: Samples | None
    failed: dict[int, Failure] = field(default_factory=dict)

    @property
    def good(self) -> list[int]:
        """Places of the images that were read."""
        return [place for place in self.places if place not in self.failed]


def read_ahead(samples: Samples, pieces: Sequence[range]) -> Generator[Read, None, None]:
    """Yield the samples at these places, each piece read while the piece before it is computed."""
    coming: Beside[Read] | None = None
    try:
        for places in pieces:
            read = None if coming is None else coming.result()
            coming = Beside(functools.partial(_read, samples, places), "reading")
            if read is not None:
                yield read
        if coming is not None:
            yield coming.result()
    finally:
        if coming is not None:
            # So that no file is closed that is read; but not for ever.
            coming.wait(LONGEST_WAIT)


LONGEST_WAIT = 10.0
"""Seconds that an abandoned piece may take to be read."""


def _read(samples: Samples, places: range) -> Read:
    """Read the samples at these places.

    If that fails, each half of them is read, down to single samples, so that an unreadable sample
    costs no other.

    Raises
    ------
    DiskError
        If the disk is at fault and not the image.
    ChangedError
        If the file was changed since it was opened.
    """
    _require_unchanged(samples)
    try:
        read = _read_each(samples, places)
    finally:  # also where it failed: a file that is written anew looks damaged meanwhile
        _require_unchanged(samples)
    return read


def _require_unchanged(samples: Samples) -> None:
    if samples.held is not None:
        samples.held.require_unchanged()


def _read_each(samples: Samples, places: range) -> Read:
    read: list[Samples] = []
    failed: dict[int, Failure] = {}
    first = _read_halves(samples, places, read, failed)
    if not read and first is not None and not isinstance(first, UserError | OSError | ValueError):
        raise first  # no damage, but a mistake in whatever reads
    if len(read) == 1 and not failed:
        return Read(places, read[0])
    return Read(places, Samples.joined(read) if read else None, failed)


def _read_halves(
    samples: Samples, places: range, read: list[Samples], failed: dict[int, Failure]
) -> Exception | None:
    """Read samples, or else each half of them: few that are damaged cost few further reads.

    Returns the error that was raised for all samples together, if any.
    """
    try:
        read.append(samples.read(places.start, places.stop))
    except (ChangedError, DiskError):  # no image's own fault, as of a store that cannot be reached
        raise
    except MemoryError as error:
        raise _shortage(samples, error) from error
    except Exception as error:  # whatever a reader's library raises at damaged bytes
        _require_there(samples, error)
        if len(places) == 1:
            # Some name an object by its address, which is another one in every process.
            reason = re.sub(r"0x[0-9a-fA-F]{6,}", "0x...", str(error)) or type(error).__name__
            failed[places.start] = Failure("unreadable", reason)
        else:
            middle = len(places) // 2
            for half in (places[:middle], places[middle:]):
                _read_halves(samples, half, read, failed)
        return error
    return None


_GONE = {
    *(errno.ENOENT, errno.ESTALE, errno.EIO, errno.ENOTCONN, errno.ENODEV, errno.ENXIO),
    *(errno.EMFILE, errno.ENFILE),
}
"""Error numbers of the system that are no single image's fault: lost files, or a lost disk."""


def _require_there(samples: Samples, error: BaseException) -> None:
    path = samples.path
    cause: BaseException | None = error
    # A file that is held open is read on without its name.
    gone = isinstance(path, Path) and not isinstance(samples.held, HeldFile) and not path.exists()
    while cause is not None and not gone:
        number = cause.errno if isinstance(cause, OSError) else None
        if number == errno.ENOMEM:
            raise _shortage(samples, error) from error
        gone = number in _GONE
        cause = cause.__cause__ or cause.__context__
    if gone:
        where = f"{str(path)!r}" if path is not None else "the data"
        raise DiskError(f"{where} can no longer be read: {error}") from error


def _shortage(samples: Samples, error: BaseException) -> ShortageError:
    where = "the data" if samples.path is None else repr(str(samples.path))
    return ShortageError(
        f"there is not enough memory to read {where} ({complaint(error)}): go on where more "
        "memory is free"
    )


@dataclass(frozen=True)
class Pieces(Sequence[range]):
    """Division of a number of images into pieces of one size, the last piece perhaps smaller.

    No piece is kept in memory.
    """

    total: int
    size: int

    def __len__(self) -> int:
        return -(-self.total // self.size)

    @overload
    def __getitem__(self, which: int) -> range: ...

    @overload
    def __getitem__(self, which: slice) -> list[range]: ...

    def __getitem__(self, which: int | slice) -> range | list[range]:
        starts = range(0, self.total, self.size)[which]
        if isinstance(starts, int):
            return range(starts, min(starts + self.size, self.total))
        return [range(start, min(start + self.size, self.total)) for start in starts]


def finite(read: Read) -> Read:
    """Return the samples without images that hold NaN or infinite values.

    Such an image fails alone, without the other images.
    """
    if read.samples is None:
        return read
    x = read.samples.x
    if not np.issubdtype(x.dtype, np.inexact):
        return read
    flat = x.reshape(len(x), -1)
    with np.errstate(over="ignore", invalid="ignore"):
        if np.isfinite(flat.sum(axis=1)).all():  # takes a fraction of the time
            return read
    good = np.isfinite(flat).all(axis=1)
    if good.all():
        return read
    failed = dict(read.failed)
    for row in np.flatnonzero(~good):
        failed[read.good[row]] = Failure("not finite", "NaN or infinite values in it")
    kept = np.flatnonzero(good).tolist()
    return Read(read.places, read.samples[kept] if kept else None, failed)
