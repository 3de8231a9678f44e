"""Search for the pictures of a folder, and for the folders in it that are classes."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import cnnvis

SUFFIXES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".gif", ".webp")
SPLITS = {"train", "training", "val", "valid", "validation", "test", "testing", "dev", "holdout"}
"""Names of folders that hold parts of a data set, and not classes."""


@dataclass(frozen=True)
class Found:
    """Pictures of a folder.

    Attributes
    ----------
    files
        The pictures, in the order of their names.
    classes
        The names of classes in alphabetical order, also of those without a picture; None where
        folders are no classes.
    labels
        The place in `classes` of each picture's.
    """

    files: list[Path]
    classes: tuple[str, ...] | None = None
    labels: tuple[int, ...] | None = None


def pictures_in(folder: Path) -> Found:
    """Find all pictures in a folder; folders in it are classes, with all pictures at any depth.

    Hidden files and folders are left out, such as the ``._x.png`` that macOS leaves beside x.png. A
    note names all other files that are left out.

    Raises
    ------
    UserError
        If the folder has no pictures, or its folders are parts of a data set, each with its own
        classes.
    """
    every = sorted(one for one in folder.iterdir() if one.name[0] != ".")
    top = [one for one in every if not one.is_dir()]
    folders = [one for one in every if one.is_dir() and one.name != "__MACOSX"]
    pictures, strange = _regular(top)
    by_class: dict[str, list[Path]] = {}
    empty: list[str] = []
    for one in folders:
        there = list(_below(one))
        found, others = _regular(there)
        strange += others
        if found:
            by_class[one.name] = found
        elif not there:
            empty.append(one.name)
    _say_strange(folder, strange)
    count = sum(map(len, by_class.values()))
    if not count and not pictures:
        raise cnnvis.UserError(f"there are no pictures in {str(folder)!r} ({' '.join(SUFFIXES)})")
    _require_no_splits(folder, by_class)
    if not by_class or (pictures and (len(by_class) < 2 or len(pictures) >= count)):
        if by_class:
            cnnvis.note(
                f"{len(pictures)} pictures lie in {str(folder)!r} itself and {count} in folders "
                "in it, so these folders are no classes, and the pictures have no labels"
            )
        return Found(sorted([*pictures, *(file for one in by_class.values() for file in one)]))
    if pictures:
        is_one = len(pictures) == 1
        cnnvis.note(
            f"{len(pictures)} {'picture' if is_one else 'pictures'} beside the folders of classes in "
            f"{str(folder)!r} {'has no class and is' if is_one else 'have no class and are'} left "
            f"out: {_named(pictures)}"
        )
    classes = sorted([*by_class, *empty])
    if empty:
        cnnvis.note(f"the class {_named(map(Path, empty))} has no picture: its folder is empty")
    files = [(file, classes.index(name)) for name in sorted(by_class) for file in by_class[name]]
    return Found([file for file, _ in files], tuple(classes), tuple(number for _, number in files))


def _below(folder: Path) -> Iterator[Path]:
    """Yield all files in a folder at any depth, hidden ones left out, by their names."""
    for where, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if name[0] != "." and name != "__MACOSX")
        yield from (Path(where, name) for name in sorted(files) if name[0] != ".")


def _regular(files: Sequence[Path]) -> tuple[list[Path], list[Path]]:
    """Split files with names of pictures into readable ones and those that are not regular."""
    named = [file for file in files if file.suffix.lower() in SUFFIXES and not file.is_dir()]
    are_files = [file.is_file() for file in named]
    regular = [file for file, is_file in zip(named, are_files, strict=True) if is_file]
    return regular, [file for file, is_file in zip(named, are_files, strict=True) if not is_file]


def _say_strange(folder: Path, files: Sequence[Path]) -> None:
    if files:
        cnnvis.note(
            f"{len(files)} in {str(folder)!r} are left out, since they are pipes, devices or links "
            f"to nothing: {_named(sorted(files))}"
        )


def _named(files: Iterable[Path]) -> str:
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
