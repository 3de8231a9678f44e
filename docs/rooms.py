"""The rooms of the code and the imports between them: `python docs/rooms.py` writes the figure.

Every import counts, also those inside functions and for types alone.
"""

from __future__ import annotations

import ast
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[1] / "cnnvis"

LEVELS = (
    ("errors",),
    ("text", "reporting", "host", "demo"),
    ("files",),
    ("data",),
    ("registry",),
    ("network", "settings", "drawing", "evaluation"),
    ("execution",),
    ("explain",),
    ("runs",),
    ("api",),
    ("testing",),
    ("cnnvis",),
    ("plugins", "renderers"),
    ("cli",),
)
"""The rooms from the lowest to the highest: each imports lower ones only. ``cnnvis`` is the module of
the public names, the only one that plugins and renderers import."""


def room_of(module: str) -> str:
    """Return the room of a module: ``runs`` for ``cnnvis.runs.part``."""
    parts = module.split(".")
    return parts[1] if len(parts) > 1 else parts[0]


@cache
def modules() -> dict[str, Path]:
    """Return the file of every module by its name."""
    found = {}
    for file in sorted(ROOT.rglob("*.py")):
        name = ".".join((ROOT.name, *file.relative_to(ROOT).with_suffix("").parts))
        found[name.removesuffix(".__init__")] = file
    return found


@cache
def parsed(file: Path) -> ast.Module:
    """Return the syntax tree of a file."""
    return ast.parse(file.read_text(encoding="utf-8"))


def imports_of(file: Path, known: dict[str, Path]) -> Iterator[str]:
    """Give the modules of this package that a file imports, wherever in it."""
    package = (ROOT.name, *file.relative_to(ROOT).parent.parts)
    for node in ast.walk(parsed(file)):
        if isinstance(node, ast.Import):
            yield from (one.name for one in node.names if one.name in known)
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) + 1 - node.level] if node.level else ()
            module = ".".join(filter(None, (*above, node.module)))
            for one in node.names if module in known else ():
                inner = f"{module}.{one.name}"
                yield inner if inner in known else module


@cache
def imports() -> dict[str, set[str]]:
    """Return the modules that each module imports."""
    known = modules()
    found = {name: {*imports_of(file, known)} - {name} for name, file in known.items()}
    found[ROOT.name] |= {*imports_of(ROOT / "__init__.pyi", known)}
    return found


def lines_of_code() -> dict[str, int]:
    """Return how many lines each room has."""
    lines: dict[str, int] = defaultdict(int)
    for name, file in modules().items():
        lines[room_of(name)] += len(file.read_text(encoding="utf-8").splitlines())
    return dict(lines)


def circles(imported: dict[str, set[str]]) -> list[list[str]]:
    """Return the groups of modules that import each other, by Tarjan's algorithm."""
    number: dict[str, int] = {}
    lowest: dict[str, int] = {}
    open_ones: list[str] = []
    found = []

    def visit(module: str) -> None:
        number[module] = lowest[module] = len(number)
        open_ones.append(module)
        for other in imported[module]:
            if other not in number:
                visit(other)
                lowest[module] = min(lowest[module], lowest[other])
            elif other in open_ones:
                lowest[module] = min(lowest[module], number[other])
        if lowest[module] == number[module]:
            place = open_ones.index(module)
            if len(open_ones) - place > 1:
                found.append(sorted(open_ones[place:]))
            del open_ones[place:]

    for module in imported:
        if module not in number:
            visit(module)
    return found


def arrows() -> dict[str, set[str]]:
    """Return the rooms whose modules each room imports."""
    found: dict[str, set[str]] = {room: set() for level in LEVELS for room in level}
    for module, others in imports().items():
        for other in others:
            above, below = room_of(module), room_of(other)
            if above in found and above != below:
                found[above].add(below)
    return found


def needed(drawn: dict[str, set[str]]) -> Iterator[tuple[str, str]]:
    """Give the arrows that no longer way over other rooms stands for."""

    def below(room: str) -> set[str]:
        return drawn[room].union(*map(below, drawn[room]))

    for room, others in drawn.items():
        farther = set[str]().union(*map(below, others))
        yield from ((room, other) for other in sorted(others - farther))


def draw(path: Path) -> None:
    """Draw the rooms level by level, each with arrows to those that it imports.

    An arrow is left out where a longer way leads there.
    """
    import matplotlib

    matplotlib.use("svg")
    matplotlib.rcParams.update({"svg.hashsalt": "rooms", "svg.fonttype": "path"})
    from matplotlib import pyplot

    lines = lines_of_code()
    places = {
        room: ((x + 1) / (len(level) + 1), y)
        for y, level in enumerate(LEVELS)
        for x, room in enumerate(level)
    }
    figure, axes = pyplot.subplots(figsize=(7, 10))
    for above, below in needed(arrows()):
        (x, y), (to_x, to_y) = places[above], places[below]
        # Bent, so that an arrow past a room is not drawn through it.
        bend = 0.25 * (1 if x >= 0.5 else -1) * (y - to_y > 1)
        axes.annotate(
            "", (to_x, to_y + 0.27), (x, y - 0.27), zorder=1,
            arrowprops={"arrowstyle": "-|>", "color": "#466", "lw": 1,
                        "connectionstyle": f"arc3,rad={bend}"},
        )  # fmt: skip
    for room, (x, y) in places.items():
        axes.text(
            x, y, f"{room}\n{lines.get(room, 0):,} lines", ha="center", va="center", fontsize=8,
            zorder=2, bbox={"boxstyle": "round,pad=0.35", "fc": "white", "ec": "#466"},
        )  # fmt: skip
    axes.set(xlim=(0, 1), ylim=(-0.6, len(LEVELS) - 0.4))
    axes.axis("off")
    figure.savefig(path, bbox_inches="tight", metadata={"Date": None})
    pyplot.close(figure)


def drawn() -> bytes:
    """Return the figure that `draw` makes."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "rooms.svg"
        draw(path)
        return path.read_bytes()


def table() -> str:
    """Return a table of the rooms in Markdown, each with what its module says that it is."""
    known, lines = modules(), lines_of_code()
    rows = ["| room | lines | what it holds |", "|---|---|---|"]
    for room in (room for level in LEVELS for room in level):
        file = known[ROOT.name if room == ROOT.name else f"{ROOT.name}.{room}"]
        about = ast.get_docstring(parsed(file)) or ""
        rows.append(f"| `{room}` | {lines[room]:,} | {about.splitlines()[0]} |")
    return "\n".join(rows)


if __name__ == "__main__":
    draw(Path(sys.argv[1] if len(sys.argv) > 1 else "rooms.svg"))
