"""Modules of the network import one another in one direction, and nothing from rooms above them."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from cnnvis.network import model

ROOM = Path(model.__file__).parent
PACKAGE = ROOM.parents[1]
FILES = sorted(ROOM.rglob("*.py"))
BELOW = {"errors", "text", "reporting", "host", "files", "data", "registry", "network"}


def _name(file: Path) -> str:
    return ".".join(file.relative_to(PACKAGE).with_suffix("").parts)


MODULES = {_name(file): file for file in FILES}


def _imports(file: Path) -> Iterator[str]:
    """The modules of cnnvis that a file imports, inside functions and for types alone too."""
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            yield from (one.name for one in node.names if one.name.startswith("cnnvis"))
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("cnnvis"):
            for one in node.names:
                whole = f"{node.module}.{one.name}"
                yield (
                    whole
                    if (PACKAGE / whole.replace(".", "/")).with_suffix(".py").is_file()
                    else (node.module or "")
                )


@pytest.mark.parametrize("name", MODULES)
def test_rooms_above_are_not_imported(name: str) -> None:
    for imported in _imports(MODULES[name]):
        assert imported.split(".")[1] in BELOW, f"{name} imports {imported}"


def test_there_is_no_circle() -> None:
    arrows = {
        name: {one for one in _imports(file) if one in MODULES} for name, file in MODULES.items()
    }
    while arrows:
        free = {name for name, imported in arrows.items() if not imported & arrows.keys()}
        assert free, f"these import one another: {sorted(arrows)}"
        arrows = {name: imported for name, imported in arrows.items() if name not in free}
