"""Pictures on terminals that can draw them, by kitty's protocol or as sixels.

The terminal is asked, with a question that every terminal answers behind it, so that nothing waits
long: https://sw.kovidgoyal.net/kitty/graphics-protocol, and DEC's primary device attributes.
"""

from __future__ import annotations

import base64
import io
import os
import re
import select
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from PIL.Image import Image
    from rich.console import Console, ConsoleOptions, RenderResult

Protocol = Literal["kitty", "sixel"]

PATIENCE = 0.3  # seconds
QUESTION = b"\x1b_Gi=31,s=1,v=1,a=q,t=d,f=24;AAAA\x1b\\\x1b[c"
ANSWER = re.compile(rb"\x1b\[\?([\d;]*)c")
USUAL_CELL = 10, 20  # pixels, where the terminal does not say
CHUNK = 4096  # letters of a picture in each message, all that the protocol allows


def protocol_of(console: Console) -> Protocol | None:
    """Return how the console's terminal draws pictures; None if it cannot, or is no terminal."""
    is_real = console.is_terminal and console.file is sys.stdout and sys.stdin is not None
    if not is_real or not sys.stdout.isatty() or not sys.stdin.isatty():
        return None
    term = os.environ.get("TERM", "dumb")
    if term in ("dumb", "linux") or term.startswith(("screen", "tmux")):  # which pass nothing on
        return None
    return protocol_in(_asked())


def protocol_in(answer: bytes) -> Protocol | None:
    """Return the protocol that a terminal's answer to the question names."""
    if b"\x1b_Gi=31;OK" in answer:
        return "kitty"
    found = ANSWER.search(answer)
    return "sixel" if found is not None and b"4" in found[1].split(b";") else None


def _asked() -> bytes:
    """Return what the terminal answers; nothing where it may not be asked, or says nothing."""
    try:
        import termios

        file = os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY)
    except (ImportError, OSError):
        return b""
    try:
        # In the background a question would stop the process; typed letters are not for it.
        if os.getpgrp() != os.tcgetpgrp(file) or select.select([file], [], [], 0)[0]:
            return b""
        before = termios.tcgetattr(file)
        silent = termios.tcgetattr(file)
        silent[3] &= ~(termios.ECHO | termios.ICANON)
        termios.tcsetattr(file, termios.TCSANOW, silent)
        try:
            os.write(file, QUESTION)
            answer, end = b"", time.monotonic() + PATIENCE
            while not ANSWER.search(answer) and (left := end - time.monotonic()) > 0:
                if select.select([file], [], [], left)[0]:
                    answer += os.read(file, 1024)
            return answer
        finally:
            termios.tcsetattr(file, termios.TCSANOW, before)
    except (OSError, termios.error):
        return b""
    finally:
        os.close(file)


def cell_size() -> tuple[int, int]:
    """Return the width and the height of a cell of the terminal, in pixels."""
    try:
        import fcntl
        import struct
        import termios

        size = fcntl.ioctl(sys.stdout.fileno(), termios.TIOCGWINSZ, bytes(8))
        rows, columns, across, down = struct.unpack("HHHH", size)
    except (ImportError, OSError, ValueError):
        return USUAL_CELL
    if not all((rows, columns, across, down)):
        return USUAL_CELL
    return max(across // columns, 1), max(down // rows, 1)


@dataclass(frozen=True)
class Line:
    """Line of pictures on a terminal, as something that rich prints.

    Attributes
    ----------
    pictures
        The pixels (rows, columns, 4) of each, or None for a gap.
    sizes
        The width and height of each in cells.
    step
        The number of cells from one picture to the next.
    """

    protocol: Protocol
    pictures: Sequence[Any]
    sizes: Sequence[tuple[int, int]]
    step: int
    cell: tuple[int, int]

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        from rich.segment import ControlType, Segment

        picture, columns, lines = self.whole()
        is_kitty = self.protocol == "kitty"
        data = kitty(picture, columns, lines) if is_kitty else sixel(picture)
        # A control code, which the console hands on as it is.
        yield Segment(data, None, [(ControlType.CURSOR_FORWARD, 0)])
        yield Segment.line()

    def whole(self) -> tuple[Image, int, int]:
        """Return all pictures as one with its size in cells: a line of text has no place between them."""
        from PIL import Image

        wide, high = self.cell
        lines = max(rows for _, rows in self.sizes)
        columns = self.step * (len(self.sizes) - 1) + self.sizes[-1][0]
        canvas = Image.new("RGBA", (columns * wide, lines * high))
        for place, (pixels, (across, down)) in enumerate(
            zip(self.pictures, self.sizes, strict=True)
        ):
            if pixels is None:
                continue
            size = (across * wide, down * high)
            is_smaller = size[0] < pixels.shape[1] or size[1] < pixels.shape[0]
            way = Image.Resampling.BOX if is_smaller else Image.Resampling.NEAREST
            canvas.paste(Image.fromarray(pixels).resize(size, way), (place * self.step * wide, 0))
        return canvas, columns, lines


def kitty(picture: Image, columns: int, lines: int) -> str:
    """Return the messages of kitty's protocol for a picture of a size in cells."""
    file = io.BytesIO()
    picture.save(file, "PNG")
    text = base64.b64encode(file.getvalue()).decode()
    parts = [text[at : at + CHUNK] for at in range(0, len(text), CHUNK)]
    first = f"a=T,f=100,q=2,c={columns},r={lines},"
    return "".join(
        f"\x1b_G{first if place == 0 else ''}m={int(place < len(parts) - 1)};{part}\x1b\\"
        for place, part in enumerate(parts)
    )


def sixel(picture: Image) -> str:
    """Return a picture as sixels: bands of six rows, in which each colour is drawn by itself."""
    import numpy as np

    opaque = np.asarray(picture.getchannel("A")) > 127
    reduced = picture.convert("RGB").quantize(255)
    places = np.where(opaque, np.asarray(reduced, int), -1)
    palette = np.array(reduced.getpalette() or [], int).reshape(-1, 3)
    rows, columns = places.shape
    shown = np.full((-(-rows // 6) * 6, columns), -1)
    shown[:rows] = places
    used = [int(one) for one in np.unique(shown) if one >= 0]
    out = [f'\x1bP0;1;0q"1;1;{columns};{rows}']
    for colour in used:
        red, green, blue = (round(part * 100 / 255) for part in palette[colour])
        out.append(f"#{colour};2;{red};{green};{blue}")
    weights = 2 ** np.arange(6)[:, None]
    for top in range(0, len(shown), 6):
        band = shown[top : top + 6]
        for colour in np.unique(band[band >= 0]):
            letters = ((band == colour) * weights).sum(axis=0)
            out.append(f"#{colour}{_in_runs(letters)}$")
        out.append("-")
    return "".join(out) + "\x1b\\"


def _in_runs(letters: Any) -> str:
    """Return a row of sixels, with the number before each that is there several times."""
    import numpy as np

    starts = np.flatnonzero(np.diff(letters, prepend=-1))
    lengths = np.diff(starts, append=len(letters))
    return "".join(
        f"!{length}{chr(63 + letter)}" if length > 3 else chr(63 + letter) * length
        for letter, length in zip(letters[starts].tolist(), lengths.tolist(), strict=True)
    )
