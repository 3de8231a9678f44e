"""Plugins come by entry point, and a broken one breaks nothing else."""

from __future__ import annotations

import os
import re
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import EntryPoint, EntryPoints
from pathlib import Path

import pytest

import cnnvis
from cnnvis.registry import Registry

GOOD = '''
import cnnvis

@cnnvis.technique("good")
def good(model, *, size: int = 3):
    """Good."""
'''


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.syspath_prepend(tmp_path)
    before = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - before:
        if name.startswith("plug_"):
            del sys.modules[name]


def _registry(folder: Path, **modules: str) -> Registry:
    points = []
    for name, text in modules.items():
        (folder / f"plug_{name}.py").write_text(text)
        points.append(EntryPoint(name, f"plug_{name}", "cnnvis"))
    return Registry(EntryPoints(points))


def test_built_ins_come_by_the_entry_points_of_pyproject() -> None:
    project = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text())
    points = project["project"]["entry-points"]["cnnvis"]
    found = Registry()
    assert found.broken == []
    modules = {p.function.__module__ for p in found if p.distribution == "cnnvis"}
    assert modules == set(points.values())
    techniques = {p.name for p in found.of("technique") if p.distribution == "cnnvis"}
    assert techniques == {
        "activation-max",
        "filter-weights",
        "get-labels",
        "grad-cam",
        "model-summary",
        "saliency",
    }


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("import nothing_of_that_name", "ModuleNotFoundError: No module named 'nothing_of_that"),
        ("raise SystemExit(3)", "SystemExit: 3"),
        ("def", "SyntaxError"),
        ("x = 1", "TypeError: the module decorates no function"),
        ("def cnnvis_plugins(): raise OSError('no disk')", "decorates no function|no disk"),
        (
            "import cnnvis\n@cnnvis.hookimpl\ndef cnnvis_plugins(): raise OSError('no disk')",
            "OSError: no disk",
        ),
        (
            "import cnnvis\n@cnnvis.hookimpl\ndef cnnvis_plugins(): return [3]",
            "TypeError: 3 is not a plugin",
        ),
    ],
)
def test_a_broken_module_is_kept_with_its_reason(package: Path, text: str, reason: str) -> None:
    found = _registry(package, bad=text, good=GOOD)
    assert [plugin.name for plugin in found] == ["good"]
    assert [broken.name for broken in found.broken] == ["bad"]
    assert re.search(reason, found.broken[0].reason)
    with pytest.raises(cnnvis.UserError, match=r"plugin bad of .*could not be loaded"):
        found.get("technique", "bad")


def test_a_module_may_make_its_plugins_itself(package: Path) -> None:
    text = '''
import cnnvis

def make(name):
    @cnnvis.technique(name)
    def function(model):
        """One of many."""
    return function

@cnnvis.hookimpl
def cnnvis_plugins():
    return [cnnvis.plugin_of(make(name)) for name in ("one", "two")]
'''
    found = _registry(package, many=text)
    assert [plugin.name for plugin in found.of("technique")] == ["one", "two"]


def test_what_a_module_imports_is_not_its_own(package: Path) -> None:
    _registry(package, good=GOOD)
    found = _registry(
        package, other=GOOD.replace('"good"', '"other"') + "\nfrom plug_good import good as g"
    )
    assert [plugin.name for plugin in found] == ["other"]


def test_a_name_taken_twice_stays_the_first_ones(package: Path) -> None:
    found = _registry(package, a=GOOD, b=GOOD)
    names = [plugin.name for plugin in found]
    assert names == [":good", "good"]
    assert found.get("technique", "good").function.__module__ == "plug_a"
    assert found.get("technique", ":good").function.__module__ == "plug_b"


def test_unknown_names_get_the_nearest(package: Path) -> None:
    found = _registry(package, good=GOOD)
    with pytest.raises(cnnvis.UserError, match=r"no technique named 'god'\. Did you mean 'good'\?"):
        found.get("technique", "god")
    with pytest.raises(cnnvis.UserError, match="no renderer named 'good'"):
        found.get("renderer", "good")


def test_files_find_their_reader(tmp_path: Path) -> None:
    found = Registry()
    for name, plugin in (("a.pkl", "pickle"), ("a.NPZ", "npz"), ("a.jpeg", "pictures")):
        (tmp_path / name).write_bytes(b"")
        assert found.for_path("reader", tmp_path / name).name == plugin
    assert found.for_path("reader", tmp_path).name == "pictures"
    (tmp_path / "a.doc").write_bytes(b"")
    with pytest.raises(cnnvis.UserError, match=r"no reader takes the ending '.doc'.*npz \(.npz\)"):
        found.for_path("reader", tmp_path / "a.doc")
    with pytest.raises(cnnvis.UserError, match=r"no model file .*b\.keras"):
        found.for_path("loader", tmp_path / "b.keras")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no pipes here")
def test_pipes_are_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "data.pkl")
    with pytest.raises(cnnvis.UserError, match=r"data\.pkl' is neither a file nor a folder"):
        Registry().for_path("reader", tmp_path / "data.pkl")


def test_a_distribution_before_the_colon_chooses() -> None:
    found = Registry()
    assert found.get("technique", "cnnvis:saliency") == found.get("technique", "saliency")
    with pytest.raises(cnnvis.UserError, match="no technique named 'other:saliency'"):
        found.get("technique", "other:saliency")


def test_options_that_would_clash_with_cnnvis_own(package: Path) -> None:
    found = _registry(package, bad=GOOD.replace("size:", "layer:"), good=GOOD)
    assert [plugin.name for plugin in found] == ["good"]
    assert "option 'layer' is a name that cnnvis itself uses" in found.broken[0].reason
    untyped = _registry(package, untyped=GOOD.replace("size: int = 3", "size=3"))
    assert "needs a type and a default" in untyped.broken[0].reason


def test_renderers_readers_and_loaders_share_their_names(package: Path) -> None:
    one = GOOD.replace("technique", "renderer")
    found = _registry(package, a=one, b=one.replace("renderer", "reader"))
    assert [plugin.name for plugin in found] == ["good", ":good"]
