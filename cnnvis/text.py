"""Names from files and strangers: their display, and names of files made of them."""

from __future__ import annotations

import hashlib
import json
import re
import unicodedata
from collections.abc import Iterable
from pathlib import Path
from typing import Any, TypeVar

from cnnvis.errors import shown

T = TypeVar("T", bound=Any)
"""Path, or whatever else has a name that another can take the place of."""

LONGEST = 120
"""Maximum number of bytes of a name made for a file.

Together with a suffix, a number and the additions of temporary names, the name stays below the
limits of all file systems.
"""

# What Unicode calls printable and nobody sees: joiners, fillers, selectors of variants.
_UNSEEN = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u3164\ufe00-\ufe0f\uffa0"
    "\U0001d159\U000e0000-\U000e0fff]"
)
_NOT_PLAIN = re.compile("[^ -~]")
_RESERVED = re.compile(
    r"(con|prn|aux|nul|conin\$|conout\$|(com|lpt)[0-9¹²³])(?=\.|$)", re.IGNORECASE
)


def printable(text: str, *, lines: bool = False) -> str:
    r"""Return the text with an escape for each character that is invisible or controls a terminal.

    Control characters, characters that turn the direction of text, characters of no width, line
    separators and surrogates become ``\x1b``, ``\u202e``, ... Letters of any script, their accents
    and pictographs stay; blanks of any width become a space.

    Parameters
    ----------
    lines
        Keep ends of lines and tabs, for texts of several lines.
    """
    if text.isprintable() and not _UNSEEN.search(text):
        return text
    if lines:
        return "".join(
            part if part in ("\n", "\t") else printable(part)
            for part in re.split(r"([\n\t])", text)
        )
    return _NOT_PLAIN.sub(lambda found: _written_out(found[0]), text)


def _written_out(letter: str) -> str:
    if letter.isprintable() and not _UNSEEN.match(letter):
        return letter
    if unicodedata.category(letter) == "Zs":
        return " "
    return letter.encode("unicode_escape").decode("ascii")


def json_text(value: Any, **settings: Any) -> str:
    """Return JSON for people and scripts: legible in any script, invisible characters escaped.

    Parameters
    ----------
    settings
        Arguments of `json.dumps`.
    """
    return escaped(json.dumps(value, indent=2, ensure_ascii=False, **settings), pairs=True)


def escaped(text: str, *, pairs: bool = False) -> str:
    r"""Return the text with invisible characters as ``\u202e``, as in TOML, Python and JSON.

    Parameters
    ----------
    pairs
        Write the rarer characters as JSON does, as surrogate pairs, and not as ``\U000e0041``.
    """

    def one(found: re.Match[str]) -> str:
        letter = found[0]
        if letter.isprintable() and not _UNSEEN.match(letter):
            return letter
        if not pairs and ord(letter) > 0xFFFF:
            return f"\\U{ord(letter):08x}"
        units = letter.encode("utf-16-be", "surrogatepass")
        return "".join(f"\\u{units[i : i + 2].hex()}" for i in range(0, len(units), 2))

    return re.sub("[^ -~\n\t]", one, text)


def file_name(text: str) -> str:
    """Return a name for a file, made from any text, such as a layer's name block1/conv.

    The name holds letters, digits and ``_ . + = -``, begins with none of the last four, is not too
    long, and is not reserved by any system. Other texts may give the same name: see `unused`.
    """
    plain = "".join(_of_file(letter) for letter in unicodedata.normalize("NFC", text))
    plain = re.sub("-{2,}", "-", plain).strip("-.+=") or "unnamed"
    if reserved := _RESERVED.match(plain):
        plain = f"{reserved[0]}_{plain[reserved.end() :]}"
    if len(plain.encode()) <= LONGEST:
        return plain
    # What was cut off still tells names apart.
    mark = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:8]
    kept = plain.encode()[: LONGEST - len(mark) - 1].decode(errors="ignore").rstrip("-.+=")
    return f"{kept}-{mark}"


def _of_file(letter: str) -> str:
    is_letter = letter.isalnum() or unicodedata.category(letter).startswith("M")
    if letter in "_.+=" or (is_letter and not _UNSEEN.match(letter)):
        return letter
    return "-"


PACKED = {".gz"}
"""Endings of packed files, before which stands the ending of what is packed: ``.nii.gz``."""


def parted(name: str) -> tuple[str, str]:
    """Return the name of a file without its ending, and the ending: ``map`` and ``.nii.gz``."""
    path = Path(name)
    inner = Path(path.stem).suffix if path.suffix.lower() in PACKED else ""
    ending = inner + path.suffix
    return path.name[: len(path.name) - len(ending)], ending


def unused(path: T, taken: set[str]) -> T:
    """Return the path, or the path with a number if its name is taken, and add it to `taken`.

    Two names that differ in case alone are one name to many file systems.
    """
    (stem, ending), number = parted(path.name), 1
    while (key := unicodedata.normalize("NFC", str(path)).casefold()) in taken:
        number += 1
        path = path.with_name(f"{stem}_{number}{ending}")
    taken.add(key)
    return path


def words_of(names: Iterable[str]) -> str:
    """Return names in quotation marks, one after the other; of many, only the first and last."""
    every = [shown(name) for name in names]
    return ", ".join(every) if len(every) <= 12 else f"{', '.join(every[:10])}, ... {every[-1]}"
