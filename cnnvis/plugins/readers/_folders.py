"""Search for the files of a folder, and for the folders in it that are classes."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cnnvis

PICTURES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".gif", ".webp")
VOLUMES = (".nii", ".nii.gz")
SLICES = (".dcm", ".dicom", ".ima")
SOUNDS = (".wav", ".wave")
SPLITS = {"train", "training", "val", "valid", "validation", "test", "testing", "dev", "holdout"}
"""Names of folders that hold parts of a data set, and not classes."""


@dataclass(frozen=True)
class Found:
    """Files of a folder, each an image.

    Attributes
    ----------
    files
        The files, in the order of their names.
    classes
        The names of classes in alphabetical order, also of those without a file; None where
        folders are no classes.
    labels
        The place in `classes` of each file's.
    """

    files: list[Path]
    classes: tuple[str, ...] | None = None
    labels: tuple[int, ...] | None = None


@dataclass(frozen=True)
class Wanted:
    """Kind of files that are images.

    Attributes
    ----------
    what
        What such a file is called, in a sentence: ``picture``.
    suffixes
        The endings of their names, in small letters.
    """

    what: str
    suffixes: tuple[str, ...]

    def ends(self, name: str) -> bool:
        """Tell whether a name is that of such a file."""
        return name.lower().endswith(self.suffixes)

    def takes(self, file: Path) -> bool:
        """Tell whether a file is of this kind, as far as its name says."""
        return self.ends(file.name)

    def found(self, path: Path) -> Found:
        """Return a file alone, or all files of a folder.

        Raises
        ------
        UserError
            As `files_in` does.
        """
        return files_in(path, self) if path.is_dir() else Found([path])


PICTURE = Wanted("picture", PICTURES)
KINDS = (PICTURE, Wanted("volume", VOLUMES), Wanted("DICOM file", SLICES), Wanted("sound", SOUNDS))
"""All kinds of files that are images of folders, as far as names say, each with a reader of its own."""


def holds_most(folder: Path, wanted: Wanted) -> bool:
    """Tell whether a folder, or the folders in it, hold more such files than pictures."""
    if not folder.is_dir():
        return False
    names = [name for _, name in zip(range(_LOOKED_AT), _names(folder), strict=False)]
    mine = sum(map(wanted.ends, names))
    return mine > sum(map(PICTURE.ends, names))


def _names(folder: Path) -> Iterator[str]:
    for _, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if name[0] != ".")
        yield from (name for name in files if name[0] != ".")


_LOOKED_AT = 2000
"""Number of files whose names say what a folder holds."""


def files_in(folder: Path, wanted: Wanted) -> Found:
    """Find all files of a kind in a folder; folders in it are classes, with all files at any depth.

    Hidden files and folders are left out, such as the ``._x.png`` that macOS leaves beside x.png, and
    so are files that are no images. Notes name files of other kinds, and what is no regular file.

    Raises
    ------
    UserError
        If the folder has no such files, or its folders are parts of a data set, each with its own
        classes.
    """
    what = wanted.what
    every = sorted(one for one in folder.iterdir() if one.name[0] != ".")
    top = [one for one in every if not one.is_dir()]
    folders = [one for one in every if one.is_dir() and one.name != "__MACOSX"]
    files, strange = _regular(top, wanted)
    others = _of_other_kinds(top, wanted)
    by_class: dict[str, list[Path]] = {}
    empty: list[str] = []
    for one in folders:
        there = list(below(one))
        found, odd = _regular(there, wanted)
        strange += odd
        others += _of_other_kinds(there, wanted)
        if found:
            by_class[one.name] = found
        elif not there:
            empty.append(one.name)
    _say_strange(folder, strange)
    count = sum(map(len, by_class.values()))
    if not count and not files:
        raise cnnvis.UserError(_nothing(folder, wanted, others))
    if others:
        are = (
            f"file in {str(folder)!r} is no {what}"
            if len(others) == 1
            else f"files in {str(folder)!r} are no {what}s"
        )
        cnnvis.note(f"{len(others)} {are} and left out: {named(others)}")
    _require_no_splits(folder, by_class)
    if not by_class or (files and (len(by_class) < 2 or len(files) >= count)):
        if by_class:
            cnnvis.note(
                f"{len(files)} {what}s lie in {str(folder)!r} itself and {count} in folders "
                f"in it, so these folders are no classes, and the {what}s have no labels"
            )
        return Found(sorted([*files, *(file for one in by_class.values() for file in one)]))
    if files:
        is_one = len(files) == 1
        cnnvis.note(
            f"{len(files)} {what if is_one else f'{what}s'} beside the folders of classes in "
            f"{str(folder)!r} {'has no class and is' if is_one else 'have no class and are'} left "
            f"out: {named(files)}"
        )
    return _by_class(by_class, empty, what)


def _of_other_kinds(files: Sequence[Path], wanted: Wanted) -> list[Path]:
    kinds = tuple(end for kind in KINDS if kind.what != wanted.what for end in kind.suffixes)
    return [one for one in files if one.name.lower().endswith(kinds) and not wanted.takes(one)]


def _nothing(folder: Path, wanted: Wanted, others: Sequence[Path]) -> str:
    """Return the sentence about a folder without such files."""
    if wanted is PICTURE and not others:  # the kind that is taken where nothing says another
        kinds = ", ".join(f"{one.what}s ({' '.join(one.suffixes)})" for one in KINDS)
        return f"there are no images in {str(folder)!r}, of which a folder may hold: {kinds}"
    there = f"; it holds {named(others)}" if others else ""
    return f"there are no {wanted.what}s in {str(folder)!r} ({' '.join(wanted.suffixes)}){there}"


def _by_class(by_class: dict[str, list[Path]], empty: list[str], what: str) -> Found:
    classes = sorted([*by_class, *empty])
    if empty:
        cnnvis.note(f"the class {named(map(Path, empty))} has no {what}: its folder is empty")
    files = [(file, classes.index(name)) for name in sorted(by_class) for file in by_class[name]]
    return Found([file for file, _ in files], tuple(classes), tuple(number for _, number in files))


def samples_of_files(found: Found, source: Any, **settings: Any) -> cnnvis.Samples:
    """Return samples of files, with their names, and with their folders as labels.

    Parameters
    ----------
    source
        The array that reads them.
    settings
        Other attributes.
    """
    import numpy as np

    return cnnvis.Samples(
        source,
        None if found.labels is None else np.array(found.labels),
        names=tuple(_text(file.name) for file in found.files),
        class_names=None if found.classes is None else tuple(map(_text, found.classes)),
        in_words=found.classes is not None,
        **settings,
    )


def _text(name: str) -> str:
    """Return a file's name with undecodable bytes escaped, so that no two names are equal."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")


def below(folder: Path) -> Iterator[Path]:
    """Yield all files in a folder at any depth, hidden ones left out, by their names."""
    for where, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if name[0] != "." and name != "__MACOSX")
        yield from (Path(where, name) for name in sorted(files) if name[0] != ".")


def _regular(files: Sequence[Path], wanted: Wanted) -> tuple[list[Path], list[Path]]:
    """Split files with names of this kind into readable ones and those that are not regular."""
    there = [file for file in files if not file.is_dir() and wanted.takes(file)]
    are_files = [file.is_file() for file in there]
    regular = [file for file, is_file in zip(there, are_files, strict=True) if is_file]
    return regular, [file for file, is_file in zip(there, are_files, strict=True) if not is_file]


def _say_strange(folder: Path, files: Sequence[Path]) -> None:
    if files:
        cnnvis.note(
            f"{len(files)} in {str(folder)!r} are left out, since they are pipes, devices or links "
            f"to nothing: {named(sorted(files))}"
        )


def named(files: Iterable[Path]) -> str:
    """Return the names of the first files, and how many more there are."""
    names = [repr(file.name) for file in files]
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")


def _require_no_splits(folder: Path, by_class: dict[str, list[Path]]) -> None:
    nested = all(
        any(file.parent != folder / name for file in files) for name, files in by_class.items()
    )
    if by_class and nested and {name.lower() for name in by_class} <= SPLITS:
        parts = sorted(by_class)
        raise cnnvis.UserError(
            f"{str(folder)!r} holds the parts {' and '.join(parts)} of a data set, each with its "
            f"own folders of classes; give one part: --data {folder / parts[0]}"
        )
