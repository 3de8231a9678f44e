"""Packages that `cnnvis new-plugin` writes: installed as they are, they pass their own tests."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import cnnvis
from cnnvis.registry.all_kinds import KINDS
from cnnvis.registry.scaffold import new_plugin


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_it_passes_its_own_tests(environment: Any, tmp_path: Path, kind: Any) -> None:
    name = f"my-{kind}"
    package = new_plugin(name, kind, tmp_path)
    environment.install(package)
    try:
        found = environment.plugins()[name]
        assert (found["kind"], found["distribution"]) == (kind, f"cnnvis-{name}")
        assert "passed" in environment.pytest(package)
    finally:
        environment.pip("uninstall", "--yes", "--quiet", f"cnnvis-{name}")


def test_the_command_says_what_it_wrote(typed: Any, tmp_path: Path) -> None:
    done = typed("new-plugin", "my-method", "--folder", "there")
    assert done.returncode == 0, done.stderr
    written = done.stdout.splitlines()[:-1]
    assert sorted(written) == sorted(
        f"there/cnnvis-my-method/{name}"
        for name in (
            *("README.md", "cnnvis_my_method.py", "pyproject.toml"),
            "tests/test_my_method.py",
        )
    )
    assert all((tmp_path / name).is_file() for name in written)
    plugin = "there/cnnvis-my-method/cnnvis_my_method.py"
    done = typed("--plugin", plugin, "run", "my-method", "demo", "-o", "it.png")
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("name", ["My-method", "a b", "-x", "x-", "../x", "1x", ""])
def test_names_that_cannot_be(name: str, tmp_path: Path) -> None:
    with pytest.raises(cnnvis.UserError, match="cannot be named"):
        new_plugin(name, folder=tmp_path)
    assert not list(tmp_path.iterdir())


def test_what_is_there_is_left_alone(tmp_path: Path) -> None:
    with pytest.raises(cnnvis.UserError, match="there is a technique saliency already"):
        new_plugin("saliency", folder=tmp_path)
    new_plugin("mine", folder=tmp_path)
    (tmp_path / "cnnvis-mine" / "README.md").write_text("changed")
    with pytest.raises(cnnvis.UserError, match="exists already"):
        new_plugin("mine", folder=tmp_path)
    assert (tmp_path / "cnnvis-mine" / "README.md").read_text() == "changed"
