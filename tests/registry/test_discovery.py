"""Plugins come by entry point, and a broken one breaks nothing else."""

from __future__ import annotations

import inspect
import json
import keyword
import os
import re
import sys
import tomllib
from collections.abc import Iterator, Sequence
from importlib.metadata import EntryPoint, EntryPoints
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import cnnvis
from cnnvis.execution.calls import call_plugin
from cnnvis.explain.inputs import samples_of
from cnnvis.registry import flags
from cnnvis.registry.all_kinds import KINDS
from cnnvis.registry.discovery import PARAMETERS, Registry, registry, using
from cnnvis.registry.hookspecs import hookspec
from cnnvis.registry.plugin import report_to
from cnnvis.reporting import notes_kept

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
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())
    points = project["project"]["entry-points"]["cnnvis"]
    found = Registry()
    assert found.broken == []
    modules = {p.function.__module__ for p in found if p.distribution == "cnnvis"}
    assert modules == set(points.values())
    techniques = {p.name for p in found.of("technique") if p.distribution == "cnnvis"}
    libraries = {name.partition(":")[0] for name in techniques if ":" in name}
    assert libraries == {"keras-vis", "shap", "tf-keras-vis", "xplique"}
    assert techniques > {
        "activation-max",
        "expected-gradients",
        "feature-ablation",
        "filter-weights",
        "get-labels",
        "grad-cam",
        "integrated-gradients",
        "kernel-shap",
        "lime",
        "model-summary",
        "occlusion",
        "rise",
        "saliency",
        "shapley-sampling",
        "smoothgrad",
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
    with pytest.raises(cnnvis.PluginError, match=r"plugin bad of .*could not be loaded") as raised:
        found.get("technique", "bad")
    assert raised.value.__cause__ is found.broken[0].error  # for the traceback
    with pytest.raises(cnnvis.PluginError, match="could not be loaded"):
        found.step("bad")


def test_a_module_may_make_its_plugins_itself(package: Path) -> None:
    text = '''
import cnnvis
from cnnvis.execution.calls import call_plugin

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
    assert "'layer' would be typed --layer, which cnnvis run has" in found.broken[0].reason
    untyped = _registry(package, untyped=GOOD.replace("size: int = 3", "size=3"))
    assert "needs a type and a default" in untyped.broken[0].reason


@pytest.mark.parametrize(
    "kind, commands", [(kind.name, kind.commands) for kind in KINDS.values() if kind.commands]
)
def test_no_option_takes_a_flag_of_a_command(
    kind: str, commands: Sequence[flags.Command], package: Path
) -> None:
    taken = {flag for command in commands for flag in flags.taken(command) if flag[:2] == "--"}
    assert {"--save-chain", "--data", "--help", "--plugin"} <= taken
    # As nobody can call a parameter `class` or `lambda`, an option may be called `class_`.
    names = {flag[2:].replace("-", "_") for flag in taken}
    names = {f"{name}_" if keyword.iskeyword(name) else name for name in names}
    good = GOOD.replace("technique", kind)
    modules = {f"clash_{name}": good.replace("size", name) for name in names}
    found = _registry(package, good=good, **modules)
    assert [plugin.name for plugin in found] == ["good"]
    assert len(found.broken) == len(names)
    assert all("give it another name" in broken.reason for broken in found.broken)


@pytest.mark.parametrize(
    "options, reason",
    [
        ("samples: int = 3", "'samples' has the name of a parameter of cnnvis.run"),
        ("class_: int = 3", "'class_' would be typed --class, which cnnvis run has"),
        ("one: int = 3, one_: int = 4", "'one_' would be typed --one, which its option 'one' has"),
        ("one: bool = True, no_one: int = 4", "would be typed --no-one, which its option 'one'"),
        ("plugin: bool = True", "'plugin' would be typed --plugin, which every command has"),
    ],
)
def test_options_that_cannot_be_typed(options: str, reason: str, package: Path) -> None:
    found = _registry(package, bad=GOOD.replace("size: int = 3", options))
    assert not list(found)
    assert reason in found.broken[0].reason


def test_every_parameter_of_run_is_a_name_that_no_option_may_have() -> None:
    parameters = set(inspect.signature(cnnvis.run).parameters) - {"options"}
    assert parameters <= flags.names("run") | PARAMETERS


@pytest.mark.parametrize(
    "kind, name", [("technique", "demo"), ("renderer", "axes"), ("reader", "model")]
)
def test_names_that_mean_something_else(kind: str, name: str, package: Path) -> None:
    found = _registry(package, bad=GOOD.replace("technique", kind).replace('"good"', f'"{name}"'))
    assert not list(found)
    assert re.search("another meaning in cnnvis|--trust-model is taken", found.broken[0].reason)


def test_renderers_readers_and_loaders_share_their_names(package: Path) -> None:
    one = GOOD.replace("technique", "renderer")
    found = _registry(package, a=one, b=one.replace("renderer", "reader"))
    assert [plugin.name for plugin in found] == ["good", ":good"]


def test_one_bad_plugin_of_a_module_leaves_the_others(package: Path) -> None:
    bad = (
        GOOD.replace('"good"', '"bad"')
        .replace("def good", "def bad")
        .replace("int = 3", "dict = 3")
    )
    found = _registry(package, both=GOOD + bad.replace("import cnnvis", ""))
    assert [plugin.name for plugin in found] == ["good"]
    assert [broken.name for broken in found.broken] == ["bad"]
    assert re.search("'size' has the type dict, and an option is a bool", found.broken[0].reason)


def test_a_module_may_say_which_interface_it_is_written_for(package: Path) -> None:
    found = _registry(
        package,
        now=GOOD + "\nCNNVIS_API = 1\n",
        later=GOOD + "\nCNNVIS_API = 2\n",
        never=GOOD + "\nCNNVIS_API = 'two'\n",
    )
    assert [plugin.name for plugin in found] == ["good"]
    reasons = {broken.name: broken.reason for broken in found.broken}
    assert "written for version 2 of the plugin interface" in reasons["later"]
    assert "this cnnvis has version 1; a newer cnnvis may run it" in reasons["later"]
    assert "version 'two'" in reasons["never"]


def test_modules_that_follow_an_old_interface_are_warned_of(package: Path) -> None:
    class Changed:
        @hookspec(warn_on_impl=DeprecationWarning("cnnvis_plugins will take the version"))
        def cnnvis_plugins(self) -> object:
            """As it was."""

    (package / "plug_old.py").write_text(GOOD)
    points = EntryPoints([EntryPoint("old", "plug_old", "cnnvis")])
    found = Registry(points, hooks=Changed)
    assert [plugin.name for plugin in found] == ["good"]
    assert found.remarks == [("old", "cnnvis_plugins will take the version")]


def test_a_taken_name_is_remarked_on(package: Path) -> None:
    found = _registry(package, a=GOOD, b=GOOD)
    assert [name for name, _ in found.remarks] == [":good"]
    twice = _registry(package, twice=GOOD + GOOD.replace("def good", "def better"))
    assert [plugin.name for plugin in twice] == [":good", "good"]


def test_which_plugins_load_can_be_chosen(package: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (package / "plug_one.py").write_text(GOOD)
    (package / "plug_two.py").write_text(GOOD.replace('"good"', '"two"'))
    points = EntryPoints([EntryPoint(name, f"plug_{name}", "cnnvis") for name in ("one", "two")])
    assert [plugin.name for plugin in Registry(points)] == ["good", "two"]
    assert [plugin.name for plugin in Registry(points, only={"two"})] == ["two"]
    assert list(Registry(points, only=[])) == []
    monkeypatch.setenv("CNNVIS_PLUGINS", "none")
    assert registry().only == frozenset()
    assert registry().get("technique", "saliency")
    monkeypatch.setenv("CNNVIS_PLUGINS", "cnnvis-occlusion, mine")
    assert registry().only == {"cnnvis-occlusion", "mine"}


def test_what_is_missing_is_said_when_it_is_called(package: Path) -> None:
    text = GOOD.replace('("good")', '("good", requires=["no_such_module"], extra="more")')
    plugin = _registry(package, good=text).get("technique", "good")
    assert "needs no_such_module" in plugin.missing
    with pytest.raises(cnnvis.UserError, match=r"good cannot run: .*\[more\]"):
        call_plugin(plugin, model=None)


def test_a_failure_names_the_plugin_and_where_to_report_it(tmp_path: Path) -> None:
    path = tmp_path / "my_method.py"
    path.write_text(GOOD + "    return {}['missing']\n")
    known = Registry(only=[])
    known.add_file(path)
    with using(known):
        with pytest.raises(cnnvis.PluginError) as raised:
            cnnvis.run("good", "demo")
        assert isinstance(raised.value.__cause__, KeyError)
        assert re.search(r"technique good of my_method\.py failed: KeyError", str(raised.value))
        path.write_text(GOOD + "    return 3\n")
    known = Registry(only=[])
    known.add_file(path)
    with using(known), pytest.raises(cnnvis.PluginError, match="it gave int, not an Explanation"):
        cnnvis.run("good", "demo")


def test_an_installed_package_says_where_to_report() -> None:
    assert report_to("pluggy").startswith("Please report it to the authors of pluggy: https://")
    assert report_to("no-such-package") == "Please report it to the authors of no-such-package."


def test_single_files(tmp_path: Path) -> None:
    with using(Registry(only=[])):
        (tmp_path / "good.py").write_text(GOOD)
        cnnvis.load_plugin(tmp_path / "good.py")
        found = registry().get("technique", "good")
        assert (found.distribution, found.version) == ("good.py", "")
        assert registry().get("technique", "good.py:good") == found
        with pytest.raises(cnnvis.UserError, match="no plugin file"):
            cnnvis.load_plugin(tmp_path / "bad.py")
        (tmp_path / "bad.py").write_text("import cnnvis\n1 / 0\n")
        with pytest.raises(cnnvis.PluginError, match="ZeroDivisionError"):
            cnnvis.load_plugin(tmp_path / "bad.py")
    with pytest.raises(cnnvis.UserError, match="no technique named 'good'"):
        registry().get("technique", "good")


# The same from the command line

FILE = GOOD + '    return cnnvis.Explanation(table={"size": [size]})\n'


def test_a_file_of_plugins_on_the_command_line(typed: Any, tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(FILE.replace('("good")', '("good", gives="table")'))
    done = typed("--plugin", "mine.py", "run", "good", "demo", "--size", 7)
    assert done.returncode == 0, done.stderr
    assert "7" in done.stdout
    assert "mine.py" in typed("list-plugins", "--plugin=mine.py").stdout
    assert typed("run", "good", "demo").returncode == 2
    assert "no plugin file" in typed("--plugin", "none.py", "list-plugins").stderr
    assert "--plugin takes a file" in typed("list-plugins", "--plugin").stderr


def test_files_of_plugins_in_settings(typed: Any, tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(FILE.replace('("good")', '("good", gives="table")'))
    (tmp_path / "bad.py").write_text("raise SystemExit(5)")
    (tmp_path / "cnnvis.toml").write_text(
        'plugins = ["mine.py", "bad.py", "gone.py"]\n[good]\nsize = 9\n'
    )
    typed("config", "trust")
    assert "9" in typed("run", "good", "demo").stdout
    states = {one["name"]: one for one in json.loads(typed("list-plugins", "--json").stdout)}
    assert states["good"]["state"] == "ok" and states["good"]["distribution"] == "mine.py"
    assert states["bad.py"]["reason"] == "SystemExit: 5"
    assert "no plugin file" in states["gone.py"]["reason"]
    done = typed("--no-plugins", "list-plugins")
    assert done.returncode == 0 and "good" not in done.stdout
    assert "Only the built-in plugins were loaded" in done.stdout
    assert typed("--no-plugins", "run", "model-summary", "demo").returncode == 0  # [good] is there


@pytest.mark.slow
def test_files_that_a_folder_names_run_once_it_is_trusted(
    typed: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A folder may have come out of anybody's archive, and its files are the user's own then."""
    (tmp_path / "mine.py").write_text(
        FILE.replace('("good")', '("good", gives="table")') + "open('canary', 'w').close()\n"
    )
    (tmp_path / "cnnvis.toml").write_text('plugins = ["mine.py"]\n[good]\nsize = 9\n')
    listed = json.loads(typed("list-plugins", "--json").stdout)
    (mine,) = [one for one in listed if one["name"] == "mine.py"]
    assert (
        mine["state"] == "broken"
        and "run once in that folder: cnnvis config trust" in mine["reason"]
    )
    assert typed("config").returncode == 0
    assert typed("run", "model-summary", "demo").returncode == 0
    done = typed("run", "good", "demo")
    assert done.returncode == 2 and "no technique named 'good'" in done.stderr
    assert "is not trusted to run code" in done.stderr
    assert not (tmp_path / "canary").exists()
    assert typed("config", "set", "trusted", str(tmp_path)).returncode == 2
    assert typed("config", "trust").returncode == 0
    assert "9" in typed("run", "good", "demo").stdout
    assert (tmp_path / "canary").exists()
    below = tmp_path / "below"
    below.mkdir()
    (below / "cnnvis.toml").write_text('plugins = ["mine.py"]\n')
    (below / "mine.py").write_text(FILE)
    monkeypatch.chdir(below)  # what lies in a trusted folder is not trusted with it
    assert typed("run", "good", "demo").returncode == 2


def test_a_folder_does_not_trust_itself(typed: Any, tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(FILE)
    (tmp_path / "cnnvis.toml").write_text(
        f'plugins = ["mine.py"]\ntrusted = ["{tmp_path.as_posix()}"]\n'
    )
    done = typed("run", "model-summary", "demo")
    assert done.returncode == 2 and "only the user's own file may have" in done.stderr
    listed = json.loads(typed("list-plugins", "--json").stdout)
    assert [one["state"] for one in listed if one["name"] == "mine.py"] == ["broken"]


def test_files_of_other_people_are_not_run(
    typed: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "mine.py").write_text(FILE)
    (tmp_path / "cnnvis.toml").write_text('plugins = ["mine.py"]\n')
    if not hasattr(os, "getuid"):
        pytest.skip("files have no owners here")
    typed("config", "trust")
    theirs = 1234
    if os.getuid():  # who cannot give a file away is somebody else from here on
        monkeypatch.setattr(os, "getuid", lambda: theirs)
    else:
        os.chown(tmp_path / "mine.py", theirs, -1)
        listed = json.loads(typed("list-plugins", "--json").stdout)
        (mine,) = [one for one in listed if one["name"] == "mine.py"]
        assert mine["state"] == "broken" and "belongs to another user" in mine["reason"]
        os.chown(tmp_path / "cnnvis.toml", theirs, -1)
    done = typed("list-plugins", "--json")
    assert not [one for one in json.loads(done.stdout) if one["name"] == "mine.py"]
    said = " ".join(done.stderr.split())
    assert "cnnvis.toml' belong to another user and are not read" in said


def test_a_broken_plugin_says_why_and_shows_its_traceback(typed: Any, tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(
        FILE + GOOD.replace('"good"', '"bad"').replace("int = 3", "dict = 3")
    )
    done = typed("--plugin", "mine.py", "run", "bad", "demo")
    assert done.returncode == 1
    assert "bad of mine.py could not be loaded: TypeError: option 'size'" in done.stderr
    assert "Traceback" not in done.stderr and "The option -v shows a traceback" in done.stderr
    assert "Traceback" in typed("--plugin", "mine.py", "run", "bad", "demo", "-v").stderr
    done = typed("--plugin", "mine.py", "chain", "demo", "bad", "png")
    assert done.returncode == 1 and "could not be loaded" in done.stderr
    (tmp_path / "mine.py").write_text(GOOD + "    raise ValueError('too small')\n")
    done = typed("--plugin", "mine.py", "run", "good", "demo")
    assert done.returncode == 1
    assert "technique good of mine.py failed: ValueError: too small" in done.stderr


def _installed(folder: Path, name: str, module: str, text: str) -> None:
    """A plugin of a package that says of itself that it has a name."""
    (folder / f"{module}.py").write_text(text)
    info = folder / f"{module}-0.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 0.0\n")
    (info / "entry_points.txt").write_text(f"[cnnvis]\n{module} = {module}\n")


SHADOW = '''
import cnnvis
from cnnvis.execution.calls import call_plugin
from pathlib import Path

@cnnvis.technique("saliency")
def saliency(model):
    """Shadow."""

@cnnvis.reader("a-reader", suffixes=(".npz",), accepts=Path.is_dir)
def a_reader(path):
    """Shadow."""

@cnnvis.loader("a-loader", suffixes=(".h5", ".keras"))
def a_loader(path):
    """Shadow."""
'''


@pytest.mark.parametrize("name", ["other", "cnnvis", "Cnnvis"])
def test_no_package_takes_the_place_of_a_built_in_plugin(
    package: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """Also not one that calls itself cnnvis; and whose is used is said."""
    _installed(package, name, "plug_shadow", SHADOW)
    known, alone = Registry(), Registry(only=[])
    own = known.get("technique", "saliency")
    assert (
        own.function.__module__ == "cnnvis.plugins.techniques.saliency"
        and own.distribution == "cnnvis"
    )
    assert [
        said
        for _, said in known.remarks
        if said.startswith("the name saliency alone means the plugin of cnnvis")
    ]
    assert all(one.function.__module__.startswith("cnnvis.") for one in alone)
    whose = "plug_shadow" if name == "cnnvis" else name
    for kind, file in (("reader", "x.npz"), ("loader", "x.h5"), ("loader", "x.keras")):
        (package / file).write_bytes(b"")
        with notes_kept() as notes:
            assert known.for_path(kind, package / file).distribution == "cnnvis"
        assert f"a-{kind} of {whose} 0.0 also takes this file, and is not used" in notes[0]
    with notes_kept() as notes:  # what knows of its files more than their ending goes first
        assert known.for_path("reader", package).distribution == whose
    assert f"the reader a-reader of {whose} 0.0 reads " in notes[0]
    assert "; pictures of cnnvis 0.1.0 also takes this file, and is not used" in notes[0]


def test_an_option_of_a_reader_chooses_it(package: Path) -> None:
    readers = """
import cnnvis
import numpy as np

@cnnvis.reader("ones", suffixes=(".npy",))
def ones(path, *, count: int = 3) -> cnnvis.Samples:
    \"\"\"Ones.

    Parameters
    ----------
    count
        How many.
    \"\"\"
    return cnnvis.Samples(np.ones((count, 4), np.float32))
"""
    _installed(package, "other", "plug_ones", readers)
    known, path = Registry(), package / "x.npy"
    np.save(path, np.zeros((2, 4), np.float32))
    with using(known), notes_kept() as notes:
        assert len(samples_of(path, {})) == 2
        assert "; an option of ones would choose it" in notes[0]
        assert len(samples_of(path, {"ones": {"count": 5}})) == 5
        assert len(cnnvis.read_samples(path, reader="ones")) == 3
        for name in ("pictures", "nobody"):
            with pytest.raises(cnnvis.UserError, match=r"does not take|no reader named 'nobody'"):
                cnnvis.read_samples(path, reader=name)
    assert len(notes) == 1


def test_the_longest_ending_decides(package: Path) -> None:
    readers = """
import cnnvis

@cnnvis.reader("volumes", suffixes=(".nii.gz", ".nii"))
def volumes(path) -> cnnvis.Samples:
    \"\"\"Volumes.\"\"\"

@cnnvis.reader("packed", suffixes=(".gz",))
def packed(path) -> cnnvis.Samples:
    \"\"\"Packed.\"\"\"
"""
    known = _registry(package, readers=readers)
    for name, reader in {
        "Brain.NII.gz": "volumes", "brain.nii": "volumes", "nii.gz": "packed", "a.b.gz": "packed",
    }.items():  # fmt: skip
        (package / name).touch()
        assert known.for_path("reader", package / name).name == reader


@pytest.mark.slow
def test_a_renderer_with_an_ending_of_two_parts_is_named_by_it(tmp_path: Path) -> None:
    @cnnvis.renderer("zipped", suffixes=(".maps.txt",))
    def zipped(explanation: cnnvis.Explanation, path: Path) -> None:
        """Write a word."""
        path.write_text("maps")

    known = Registry()
    marked = cnnvis.plugin_of(zipped)
    assert marked is not None
    known.add(marked)
    with using(known):
        cnnvis.run("saliency", "demo", images=[0], out=tmp_path / "a.maps.txt")
    assert [one.name for one in tmp_path.iterdir()] == ["a.maps.txt"]
