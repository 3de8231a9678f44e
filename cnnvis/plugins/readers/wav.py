"""Reader of sounds in WAV files, one or a folder of them."""

from __future__ import annotations

import io
import os
import struct
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import cnnvis
from cnnvis.plugins.readers._file_array import FileArray, heads_of
from cnnvis.plugins.readers._folders import SOUNDS, Wanted, holds_most, named, samples_of_files

if TYPE_CHECKING:
    import numpy.typing as npt

WAV = Wanted("sound", SOUNDS)
_ORDERS = {b"RIFF": "<", b"RF64": "<", b"RIFX": ">"}
_PCM, _FLOAT, _EXTENSIBLE = 1, 3, 0xFFFE
_CHUNKS = 10_000  # of a file; each is at least eight bytes
_MOST_CHANNELS = 64


@dataclass(frozen=True)
class Head:
    """Facts from the head of a WAV file.

    Attributes
    ----------
    rate, channels, bits, length
        The number of values a second, of channels, of bits of a value, and of values.
    is_whole
        True where values are whole numbers.
    place
        Where the sound begins, in bytes.
    """

    rate: int
    channels: int
    bits: int
    length: int
    is_whole: bool
    place: int

    @property
    def scale(self) -> float:
        """The number that stands for 1."""
        return 2.0 ** (self.bits - 1) if self.is_whole else 1.0


@cnnvis.reader("wav", suffixes=WAV.suffixes, accepts=lambda path: holds_most(path, WAV))
def wav(
    path: Path, *, raw: bool = False, mono: bool = False, length: cnnvis.Count | None = None
) -> cnnvis.Samples:
    """Read a sound, or all sounds in a folder; folders in it are classes, by name.

    Sounds are read when they are needed, not before, as float32 between -1 and 1: whole numbers of 8,
    16, 24 or 32 bits are divided by half their range, fractions stay as they are. Maps have seconds
    along their axis. All sounds must have the same number of values a second.

    Parameters
    ----------
    raw
        Read whole numbers as they are stored, without dividing them.
    mono
        Read the mean of the channels.
    length
        Cut sounds off after this many values, and put silence at the end of shorter ones. By default
        sounds of different lengths are refused.
    """
    held, found = cnnvis.held(path), WAV.found(path)
    heads = heads_of(found.files, lambda file: _head_of(held, file), "heads of sounds")
    example = next(iter(heads.values()))
    _require_alike(heads, mono=mono)
    count = length or _only_length(heads)
    _say_lengths(heads, length)
    whole = sorted({head.bits for head in heads.values() if head.is_whole})
    if whole and not raw:
        bits = " or ".join(map(str, whole))
        cnnvis.note(
            f"sounds of {bits} bits are divided by half their range, so that they are between -1 "
            "and 1; --wav.raw reads them as they are stored"
        )
    shape = (count,) if mono or example.channels == 1 else (count, example.channels)

    def read(file: Path) -> npt.NDArray[Any]:
        import numpy as np

        head = heads.get(file) or _head_of(held, file)  # which says what is wrong with it
        values = _values_of(held, file, head, raw=raw)
        values = values.mean(axis=1) if mono or head.channels == 1 else values
        if length is not None:
            missing = [(0, max(length - len(values), 0)), *[(0, 0)] * (values.ndim - 1)]
            values = np.pad(values[:length], missing)
        return values

    source = FileArray(
        [(file, None) for file in found.files], shape, read, "sound", "--wav.length makes all alike"
    )
    is_alike = len({(head.bits, head.is_whole) for head in heads.values()}) == 1
    return samples_of_files(
        found,
        source,
        channel_axis=None if len(shape) == 1 else -1,
        coordinates={"position": cnnvis.Axis("time", "s", step=1 / example.rate)},
        reading=cnnvis.Reading(
            lambda wanted: _remedy(wanted, shape),
            _others(example, raw=raw) if is_alike else {},
        ),
    )


def _others(head: Head, *, raw: bool) -> dict[str, Callable[[npt.NDArray[Any]], npt.NDArray[Any]]]:
    """Return the other way to read whole numbers; see `cnnvis.Reading`."""
    if not head.is_whole or head.bits == 8:  # which are stored above zero
        return {}
    factor = 1 / head.scale if raw else head.scale
    return {"--wav.no-raw" if raw else "--wav.raw": lambda values: values * factor}


def _remedy(wanted: tuple[int | None, ...], shape: tuple[int, ...]) -> str:
    """Return the words to type so that sounds get a network's shape; may be empty."""
    if len(wanted) not in (1, 2):
        return ""
    count, channels = (*wanted, 1)[:2]
    options = [f"--wav.length {count}"] if count not in (None, shape[0]) else []
    options += ["--wav.mono"] if channels == 1 and len(shape) == 2 else []
    return f"{' '.join(options)} reads the sounds in that shape" if options else ""


def _require_alike(heads: Mapping[Path, Head], *, mono: bool) -> None:
    """Refuse sounds that cannot stand beside each other, with their names."""
    rates = _grouped({file: head.rate for file, head in heads.items()})
    if len(rates) > 1:
        every = "; ".join(f"{rate} a second: {named(files)}" for rate, files in rates.items())
        raise cnnvis.UserError(
            f"the sounds have several numbers of values a second ({every}), so the same place is "
            "another time in each; resample all sounds to the rate of the network's training first"
        )
    channels = _grouped({file: head.channels for file, head in heads.items()})
    if len(channels) > 1 and not mono:
        every = "; ".join(f"{count}: {named(files)}" for count, files in channels.items())
        raise cnnvis.UserError(
            f"the sounds have several numbers of channels ({every}); --wav.mono reads the mean of the "
            "channels of each"
        )


def _grouped(values: Mapping[Path, int]) -> dict[int, list[Path]]:
    """Return the files of each value, the most frequent value first."""
    order = [value for value, _ in Counter(values.values()).most_common()]
    return {one: [file for file, value in values.items() if value == one] for one in order}


def _only_length(heads: Mapping[Path, Head]) -> int:
    lengths = _grouped({file: head.length for file, head in heads.items()})
    if len(lengths) > 1:
        common, *others = lengths
        file = lengths[others[0]][0]
        raise cnnvis.UserError(
            f"the sounds have {len(lengths)} lengths, such as {common} values and {others[0]} values "
            f"({file.name!r}); --wav.length {max(lengths)} puts silence at the end of shorter ones, "
            f"--wav.length {min(lengths)} cuts longer ones off"
        )
    return next(iter(lengths))


def _say_lengths(heads: Mapping[Path, Head], length: int | None) -> None:
    if length is None:
        return
    longer = sum(head.length > length for head in heads.values())
    shorter = sum(head.length < length for head in heads.values())
    said = [f"{longer} cut off at the end"] * (longer > 0)
    said += [f"{shorter} with silence at the end"] * (shorter > 0)
    if said:
        cnnvis.note(f"of {len(heads)} sounds, {' and '.join(said)}: {length} values each")


def _values_of(held: Any, file: Path, head: Head, *, raw: bool) -> npt.NDArray[Any]:
    """Read a sound, (length, channels) float32.

    Raises
    ------
    UserError
        If the file is damaged.
    """
    import warnings

    import numpy as np
    from scipy.io import wavfile

    with held.open(file) as opened:
        content = bytearray(opened.read())
    if content[:4] == b"RIFF":  # whose length may be that of a program that never wrote it
        struct.pack_into(
            "<I", content, head.place - 4, head.length * head.channels * head.bits // 8
        )
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about chunks that are no sound
            # Of bytes in memory, no more is taken than there are, whatever a chunk says.
            _, stored = wavfile.read(io.BytesIO(content))
    except Exception as error:  # whatever SciPy makes of damaged bytes
        raise cnnvis.UserError(f"{str(file)!r} is damaged: {error}") from error
    values = np.asarray(stored, np.float64).reshape(len(stored), -1)
    if values.shape != (head.length, head.channels):
        raise cnnvis.UserError(f"{str(file)!r} is damaged: it holds {len(values)} values")
    if head.is_whole:
        # Bits stand at the upper end of the numbers that SciPy gives, and 8 bits are above zero.
        room = 8 * stored.dtype.itemsize
        values = (values - (2 ** (room - 1) if room == 8 else 0)) / 2.0 ** (room - head.bits)
        if raw and room == 8:
            values += 2 ** (room - 1)
        values = values if raw else values / head.scale
    with np.errstate(over="ignore"):
        return np.asarray(values, np.float32)


def _head_of(held: Any, file: Path) -> Head:
    """Read the head of a WAV file, and hold what it says against what is there.

    Raises
    ------
    UserError
        If it is none, is damaged, or holds sounds in a packed form.
    """
    try:
        with held.open(file) as opened:
            size = os.fstat(opened.fileno()).st_size
            if 3 * size > cnnvis.available_memory():
                raise cnnvis.UserError(f"{str(file)!r} has {size} bytes, too many for the memory")
            return _parsed(opened, file, size)
    except (OSError, struct.error) as error:
        raise cnnvis.UserError(f"{str(file)!r} cannot be read: {error}") from error


def _parsed(opened: BinaryIO, file: Path, size: int) -> Head:
    mark = opened.read(12)
    order = _ORDERS.get(mark[:4])
    if order is None or mark[8:] != b"WAVE":
        raise cnnvis.UserError(f"{str(file)!r} is not a WAV file")
    form: tuple[int, int, int, int] | None = None
    for name, start, count in _chunks(opened, order, size):
        if name == b"fmt ":
            form = _form(opened.read(min(count, 40)), order, file)
        if name == b"data" and form is not None:
            kind, channels, rate, bits = form
            room = -(-bits // 8) * channels
            # Programs that write while they record leave a length of 0 or of all that fits.
            there = min(count, size - start)
            if there < count and count not in (0xFFFFFFFF, 0x7FFFFFFF):
                raise cnnvis.UserError(
                    f"{str(file)!r} is cut off: it says {count} bytes of sound and holds {there}"
                )
            if there < room:
                raise cnnvis.UserError(f"{str(file)!r} holds no sound")
            return Head(rate, channels, bits, there // room, kind == _PCM, start)
    raise cnnvis.UserError(f"{str(file)!r} is damaged: it holds no sound, or not how it is stored")


def _chunks(opened: BinaryIO, order: str, size: int) -> Iterator[tuple[bytes, int, int]]:
    """Yield the name, the place and the length of each chunk, with the file at its beginning."""
    place, long = 12, 0
    for _ in range(_CHUNKS):
        opened.seek(place)
        head = opened.read(8)
        if len(head) < 8:
            return
        name, count = head[:4], struct.unpack(f"{order}I", head[4:])[0]
        if name == b"ds64":  # the lengths of what is longer than 4 GiB
            long = struct.unpack(f"{order}QQ", opened.read(16))[1]
            opened.seek(place + 8)
        if name == b"data" and long and count == 0xFFFFFFFF:
            count = long
        yield name, place + 8, count
        place += 8 + count + count % 2


def _form(block: bytes, order: str, file: Path) -> tuple[int, int, int, int]:
    """Return the kind of values, the number of channels, values a second, and bits a value."""
    kind, channels, rate, _, _, bits = struct.unpack(f"{order}HHIIHH", block[:16])
    if kind == _EXTENSIBLE and len(block) >= 26:
        kind = struct.unpack(f"{order}H", block[24:26])[0]
    is_known = (kind == _PCM and bits in (8, 16, 24, 32)) or (kind == _FLOAT and bits in (32, 64))
    if not is_known:
        raise cnnvis.UserError(
            f"{str(file)!r} holds sound in the form {kind} with {bits} bits a value; save it with whole "
            "numbers of 8, 16, 24 or 32 bits, or fractions of 32 or 64"
        )
    if not 1 <= channels <= _MOST_CHANNELS or not rate:
        raise cnnvis.UserError(f"{str(file)!r} says {channels} channels and {rate} values a second")
    return kind, channels, rate, bits
