"""Pictures on terminals that can draw them arrive there as they were."""

from __future__ import annotations

import base64
import io
import os
import re
import select
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import cnnvis
from cnnvis.drawing.console import Screen
from cnnvis.registry.discovery import registry
from cnnvis.renderers._graphics import kitty, protocol_in, sixel

KITTY = rb"\x1b_Gi=31;OK\x1b\\\x1b[?62;c".decode("unicode_escape").encode()


def _from_kitty(text: str) -> Image.Image:
    parts = re.findall(r"\x1b_G([^;]*);([^\x1b]*)\x1b\\", text)
    assert [keys[-3:] for keys, _ in parts] == ["m=1"] * (len(parts) - 1) + ["m=0"]
    assert all(len(part) <= 4096 for _, part in parts)
    return Image.open(io.BytesIO(base64.b64decode("".join(part for _, part in parts))))


def _from_sixel(text: str) -> np.ndarray[Any, Any]:
    head, body = re.fullmatch(r'\x1bP0;1;0q"1;1;(\d+;\d+)(.*)\x1b\\', text, re.DOTALL).groups()  # type: ignore[union-attr]
    columns, rows = map(int, head.split(";"))
    drawn, palette = np.zeros((rows + 6, columns, 4), np.uint8), {}
    x = y = colour = 0
    for word in re.findall(r"#\d+(?:;2;\d+;\d+;\d+)?|!\d+[?-~]|[?-~]|[$-]", body):
        if word.startswith("#"):
            number, _, *parts = [*word[1:].split(";"), "", ""][: 5 if ";" in word else 2]
            colour = int(number)
            if parts:
                palette[colour] = [round(int(part) * 255 / 100) for part in parts]
        elif word in "$-":
            x, y = 0, y + 6 * (word == "-")
        else:
            count = int(word[1:-1]) if word.startswith("!") else 1
            for bit in range(6):
                if (ord(word[-1]) - 63) >> bit & 1:
                    drawn[y + bit, x : x + count] = [*palette[colour], 255]
            x += count
    return drawn[:rows]


def test_a_picture_is_read_back_as_it_was() -> None:
    colours = np.array([[0, 0, 0], [255, 0, 0], [0, 255, 255], [51, 102, 153]], np.uint8)
    pixels = np.full((20, 33, 4), 255, np.uint8)
    pixels[..., :3] = colours[np.random.default_rng(0).integers(0, 4, (20, 33))]
    pixels[3:9, 5:20, 3] = 0  # a gap
    picture = Image.fromarray(pixels)
    np.testing.assert_array_equal(np.asarray(_from_kitty(kitty(picture, 4, 1))), pixels)
    drawn = _from_sixel(sixel(picture))
    np.testing.assert_array_equal(drawn[..., 3], pixels[..., 3])
    seen = pixels[..., 3] > 0
    assert np.abs(drawn[seen].astype(int) - pixels[seen]).max() <= 2


def test_an_answer_names_the_protocol() -> None:
    assert protocol_in(KITTY) == "kitty"
    assert protocol_in(b"\x1b[?62;4;6c") == "sixel"
    for other in (b"", b"\x1b[?64;14;41c", b"\x1b_Gi=31;ENOTSUP\x1b\\\x1b[?6c", b"abc"):
        assert protocol_in(other) is None


@pytest.mark.parametrize("protocol", ["kitty", "sixel"])
def test_the_terminal_draws_maps_and_inputs_in_pixels(protocol: str) -> None:
    maps = np.zeros((2, 8, 8))
    maps[0, :, :4] = 1
    explanation = cnnvis.Explanation(maps, cnnvis.Samples(np.zeros((2, 8, 8, 1))))
    screen = Screen(file=io.StringIO(), width=60, force_terminal=True, color_system="truecolor")
    terminal = registry().get("renderer", "terminal").function
    terminal(explanation, screen, graphics=protocol, cmap="viridis")
    text = screen.file.getvalue()  # type: ignore[attr-defined]
    assert "input" in text and "values 0 to 1" in text and "\N{LOWER HALF BLOCK}" not in text
    pattern = r"(?:\x1b_G[^\x1b]*\x1b\\)+" if protocol == "kitty" else r"\x1bP[^\x1b]*\x1b\\"
    found = re.findall(pattern, text)
    drawn = np.asarray(_from_kitty(found[-1])) if protocol == "kitty" else _from_sixel(found[-1])
    yellow = np.abs(drawn[..., :3].astype(int) - (253, 231, 37)).max(axis=-1) <= 2
    purple = np.abs(drawn[..., :3].astype(int) - (68, 1, 84)).max(axis=-1) <= 2
    assert yellow.sum() * 3 == pytest.approx(purple.sum(), rel=0.05)


@pytest.mark.skipif(sys.platform == "win32", reason="needs a pseudoterminal")
@pytest.mark.parametrize("answer", [KITTY, b"\x1b[?62;4c", b""])
def test_a_terminal_is_asked_and_left_as_it_was(answer: bytes, tmp_path: Path) -> None:
    import pty
    import termios

    said = tmp_path / "said"
    fresh = pty.openpty()  # whose settings are those of any other before a program changes them
    before = termios.tcgetattr(fresh[0])
    for one in fresh:
        os.close(one)
    child, terminal = pty.fork()
    if child == 0:
        import sys as own

        try:
            from rich.console import Console

            from cnnvis.renderers._graphics import protocol_of

            own.stdin, own.stdout = open(0, closefd=False), open(1, "w", closefd=False)  # noqa: SIM115
            os.environ["TERM"] = "xterm-256color"
            begin = time.monotonic()
            found = protocol_of(Console(file=own.stdout))
            said.write_text(f"{found} {time.monotonic() - begin < 2}")
        finally:
            os._exit(0)
    asked = b""
    while select.select([terminal], [], [], 5)[0]:
        try:
            asked += os.read(terminal, 1024)
        except OSError:  # it ended
            break
        if asked.endswith(b"\x1b[c") and answer:
            os.write(terminal, answer)
    os.waitpid(child, 0)
    assert asked.endswith(b"\x1b[c")  # and no answer was echoed
    assert said.read_text() == f"{protocol_in(answer)} True"
    assert termios.tcgetattr(terminal)[3] == before[3]
    os.close(terminal)
