"""Who may look at whom, and what must not be imported when."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from quick import quick_at

import cnnvis

ROOT = Path(cnnvis.__file__).parent
PLUGIN_FILES = sorted(
    file for room in ("plugins", "renderers") for file in (ROOT / room).rglob("*.py")
)
HEAVY = {"tensorflow", "keras", "matplotlib", "scipy", "h5py", "PIL", "numpy"}

DOCS = Path(__file__).parents[1] / "docs"
sys.path.insert(0, str(DOCS))
import rooms  # noqa: E402 (the figure of the documentation is drawn from the same imports)


def _imports(file: Path) -> Iterator[str]:
    """Give the modules that are imported with a file: not inside functions, nor for types alone."""
    nodes: list[ast.AST] = [rooms.parsed(file)]
    while nodes:
        node = nodes.pop()
        if isinstance(node, ast.FunctionDef) or (
            isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
        ):
            continue
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or ""
        nodes += ast.iter_child_nodes(node)


def test_every_room_has_its_level() -> None:
    known = {room for level in rooms.LEVELS for room in level} | {"__main__"}
    assert {rooms.room_of(module) for module in rooms.modules()} == known


def test_rooms_import_lower_ones_alone() -> None:
    level = {room: number for number, rooms_ in enumerate(rooms.LEVELS) for room in rooms_}
    level["__main__"] = len(rooms.LEVELS)
    back = {
        (module, other)
        for module, others in rooms.imports().items()
        for other in others
        if rooms.room_of(module) != rooms.room_of(other)
        and level[rooms.room_of(module)] <= level[rooms.room_of(other)]
    }
    assert not back


def test_relative_imports_are_arrows_too() -> None:
    found = rooms.imports()["cnnvis.plugins.techniques.hires_cam"]
    assert "cnnvis.plugins.techniques._cam_layers" in found


def test_no_modules_import_each_other() -> None:
    assert rooms.circles(rooms.imports()) == []


def test_plugins_and_renderers_import_the_public_names_alone() -> None:
    for module, others in rooms.imports().items():
        room = rooms.room_of(module)
        if room in ("plugins", "renderers"):
            home = (
                module if rooms.modules()[module].stem == "__init__" else module.rpartition(".")[0]
            )
            for other in others - {"cnnvis"}:  # and the helpers beside them, as any package has
                assert f"{other}.".startswith(f"{home}."), f"{module}: {other}"
        else:
            assert not {rooms.room_of(other) for other in others} & {"plugins", "renderers"}, module


def test_the_modules_of_rooms_hold_nothing_but_what_they_are() -> None:
    """So that whoever imports one module of a room imports no other."""
    for module, file in rooms.modules().items():
        if file.stem == "__init__" and module not in ("cnnvis", "cnnvis.testing", "cnnvis.demo"):
            tree = rooms.parsed(file)
            assert ast.get_docstring(tree), module
            assert len(tree.body) == 1, module


@pytest.mark.slow
def test_the_figure_of_the_rooms_is_drawn(tmp_path: Path) -> None:
    rooms.draw(tmp_path / "rooms.svg")
    assert (tmp_path / "rooms.svg").read_text().count("<path") > 20
    for level in rooms.LEVELS:
        for room in level:
            assert f"| `{room}` |" in rooms.table()


def test_functions_are_short_and_take_few_arguments() -> None:
    """But for what is flat for people: `run`, `chain`, decorators, and plugins with their options."""
    kinds = {
        f"cnnvis.registry.kinds.{kind}.{kind}" for kind in ("technique", "metric", "transform")
    }
    flat = {"cnnvis.api.run.run", "cnnvis.api.chain.chain", *kinds}
    long, many = set(), set()
    for module, file in rooms.modules().items():
        for node in ast.walk(rooms.parsed(file)):
            if not isinstance(node, ast.FunctionDef):
                continue
            name = f"{module}.{node.name}"
            body = node.body[1:] if ast.get_docstring(node) else node.body
            if body and (body[-1].end_lineno or 0) - body[0].lineno >= 60:
                long.add(name)
            taken = [one.arg for one in (*node.args.posonlyargs, *node.args.args)]
            of_people = rooms.room_of(module) in ("plugins", "renderers") or name in flat
            taken += [] if of_people else [one.arg for one in node.args.kwonlyargs]
            if len([one for one in taken if one not in ("self", "cls")]) > 8:
                many.add(name)
    assert not long and not many


@pytest.mark.parametrize("file", PLUGIN_FILES, ids=lambda file: f"{file.parent.name}/{file.name}")
def test_plugins_import_nothing_heavy_before_they_run(file: Path) -> None:
    heavy = {module.split(".")[0] for module in _imports(file)} & HEAVY
    assert not heavy


def test_every_public_name_is_there() -> None:
    for name in cnnvis.__all__:
        assert getattr(cnnvis, name) is not None
    with pytest.raises(AttributeError):
        cnnvis.nothing  # noqa: B018


@pytest.mark.parametrize(
    "words",
    quick_at(
        [0, 2, 4, 7],
        [
            ["list-plugins"],
            ["list-plugins", "--kind", "technique", "--json"],
            ["show", "saliency"],
            ["show", "png", "--json"],
            ["--help"],
            ["--version"],
            ["run", "--help"],
            *(["run", name, "--help"] for name in ("saliency", "grad-cam", "activation-max")),
            ["show", "--help"],
            ["completion", "bash"],
        ],
    ),
    ids=" ".join,
)
def test_listing_and_help_import_nothing_heavy(words: list[str]) -> None:
    program = (
        "import sys\n"
        "from cnnvis.cli.main import main\n"
        "try:\n    main(sys.argv[1:])\n"
        "except SystemExit as end:\n    assert not end.code, end.code\n"
        "print('HEAVY', sorted({'tensorflow', 'keras', 'matplotlib', 'numpy'} & set(sys.modules)))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, *words], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "HEAVY []"
    assert done.stderr == ""


@pytest.mark.parametrize(
    "file",
    [
        file
        for file in sorted((ROOT / "cli").glob("*.py"))
        if file.name not in ("console.py", "streams.py")
    ],
    ids=lambda file: file.name,
)
def test_one_module_alone_writes_to_the_terminal(file: Path) -> None:
    """So that no new line of output can forget that names come from strangers."""
    tree = rooms.parsed(file)
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            called = ast.unparse(node.func)
            assert called not in ("print", "Console", "Text", "rich.print", "pprint"), called
            assert not called.endswith((".write", "Text.assemble", "print_exception")), called
        if isinstance(node, ast.ImportFrom) and node.module == "rich.console":
            assert "TYPE_CHECKING" in file.read_text()
