"""Fonts for names in scripts that matplotlib's own font does not have."""

from __future__ import annotations

import functools
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import cnnvis

if TYPE_CHECKING:
    from matplotlib.figure import Figure

USUAL = "DejaVu Sans"  # which comes with matplotlib
KNOWN = (
    "Noto Sans CJK", "Source Han Sans", "Noto Sans", "WenQuanYi", "Droid Sans Fallback", "Microsoft YaHei", "SimHei",
    "Yu Gothic", "Meiryo", "MS Gothic", "Malgun Gothic", "Hiragino Sans", "PingFang", "Heiti",
    "Apple SD Gothic", "Arial Unicode MS", "Unifont", "FreeSans", "IPAGothic", "TakaoGothic", "Nanum Gothic",
)  # fmt: skip
"""Beginnings of the names of fonts with letters of many scripts, on the usual systems."""


def take_fonts(figure: Figure) -> None:
    """Draw each text of a figure with fonts that have its letters, and note letters that no font has."""
    from matplotlib.text import Text

    lacking: set[str] = set()
    for text in figure.findobj(Text):
        found, left = fonts_for(text.get_text())
        lacking |= left
        if found:
            text.set_fontfamily([*text.get_fontfamily(), *found])
    note_lacking(lacking)


def fonts_for(text: str) -> tuple[list[str], set[str]]:
    """Return the names of fonts for letters that the usual font does not have, and letters that none has."""
    missing = {letter for letter in text if letter.isprintable() and ord(letter) not in _usual()}
    found = []
    for name, path in _others() if missing else ():
        there = {letter for letter in missing if ord(letter) in _letters(path)}
        if there:
            found.append(name)
            missing -= there
    return found, missing


def note_lacking(letters: Iterable[str]) -> None:
    """Make a note on letters that no font has, and that are drawn as boxes."""
    some = sorted(letters)
    if not some:
        return
    more = f" and {len(some) - 5} more" if len(some) > 5 else ""
    cnnvis.note(
        f"no installed font has the letters {' '.join(some[:5])}{more}, so the picture has boxes for them, and "
        "names that differ may look alike there: install a font with these letters, such as Noto Sans CJK, or take html"
    )


def path_of(name: str) -> str:
    """Return the file of a font."""
    return dict(_others()).get(name) or _usual_path()


@functools.cache
def _usual() -> Any:
    return _letters(_usual_path())


def _usual_path() -> str:
    from matplotlib.font_manager import findfont

    return str(findfont(USUAL))


@functools.cache
def _letters(path: str) -> Any:
    from matplotlib.font_manager import get_font

    return get_font(path).get_charmap().keys()


@functools.cache
def _others() -> tuple[tuple[str, str], ...]:
    """Return the names and files of installed fonts that may have letters of other scripts."""
    from matplotlib.font_manager import fontManager

    every = {
        one.name: one.fname
        for one in fontManager.ttflist
        if one.style == "normal" and one.name.startswith(KNOWN)
    }

    def rank(one: tuple[str, str]) -> tuple[int, str]:
        return [one[0].startswith(start) for start in KNOWN].index(True), one[0]

    return tuple(sorted(every.items(), key=rank))
