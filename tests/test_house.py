"""Who may look at whom, and what must not be imported when."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import cnnvis

ROOT = Path(cnnvis.__file__).parent
PLUGIN_ROOMS = ("plugins", "renderers", "readers", "loaders")
PLUGIN_FILES = sorted(file for room in PLUGIN_ROOMS for file in (ROOT / room).rglob("*.py"))
CORE_FILES = sorted(ROOT.glob("*.py"))
HEAVY = {"tensorflow", "keras", "matplotlib", "scipy", "h5py", "PIL", "numpy"}


def _imports(file: Path, *, at_import_time: bool) -> Iterator[str]:
    """The modules that a file imports; those inside functions and for types only if wanted."""
    nodes: list[ast.AST] = [ast.parse(file.read_text())]
    while nodes:
        node = nodes.pop()
        if at_import_time and (
            isinstance(node, ast.FunctionDef)
            or (isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test))
        ):
            continue
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or ""
        nodes += ast.iter_child_nodes(node)


@pytest.mark.parametrize("file", PLUGIN_FILES, ids=lambda file: f"{file.parent.name}/{file.name}")
def test_plugins_know_only_the_public_names(file: Path) -> None:
    for module in _imports(file, at_import_time=False):
        if module.startswith("cnnvis."):  # the helpers of their own room, as any package has
            room = ".".join(("cnnvis", *file.relative_to(ROOT).parent.parts))
            assert module.startswith(f"{room}."), f"{file.name}: {module}"


@pytest.mark.parametrize("file", PLUGIN_FILES, ids=lambda file: f"{file.parent.name}/{file.name}")
def test_plugins_import_nothing_heavy_before_they_run(file: Path) -> None:
    heavy = {module.split(".")[0] for module in _imports(file, at_import_time=True)} & HEAVY
    assert not heavy


@pytest.mark.parametrize("file", CORE_FILES, ids=lambda file: file.name)
def test_the_core_names_no_plugin(file: Path) -> None:
    for module in _imports(file, at_import_time=False):
        assert not module.startswith(tuple(f"cnnvis.{room}" for room in PLUGIN_ROOMS))
        assert not module.startswith("cnnvis.cli") or file.name == "__main__.py"


def test_every_public_name_is_there() -> None:
    for name in cnnvis.__all__:
        assert getattr(cnnvis, name) is not None
    with pytest.raises(AttributeError):
        cnnvis.nothing  # noqa: B018


@pytest.mark.parametrize(
    "words",
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
    tree = ast.parse(file.read_text())
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            called = ast.unparse(node.func)
            assert called not in ("print", "Console", "Text", "rich.print", "pprint"), called
            assert not called.endswith((".write", "Text.assemble", "print_exception")), called
        if isinstance(node, ast.ImportFrom) and node.module == "rich.console":
            assert "TYPE_CHECKING" in file.read_text()
