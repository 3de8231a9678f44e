"""The example package: installed with pip, listed, run, chained, configured, tested, uninstalled."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import cnnvis

PACKAGE = Path(__file__).parents[2] / "examples" / "cnnvis-occlusion"

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module", autouse=True)
def installed(environment: Any) -> None:
    environment.install(PACKAGE)


def test_it_is_listed_with_its_distribution_and_version(environment: Any) -> None:
    plugins = environment.plugins()
    found = plugins["patch-occlusion"]
    assert (found["distribution"], found["version"]) == ("cnnvis-occlusion", "0.3.0")
    assert (found["reference"], found["state"]) == ("arXiv:1311.2901", "ok")
    assert plugins["ranking"]["kind"] == "renderer"
    assert "cnnvis-occlusion 0.3.0" in environment.cnnvis("list-plugins").stdout


def test_its_help_shows_its_options(environment: Any) -> None:
    shown = environment.cnnvis("run", "patch-occlusion", "--help").stdout
    assert all(text in shown for text in ("--size", "--stride", "--fill", "zero | mean"))
    assert "--ranking.places" not in shown
    assert environment.cnnvis("show", "ranking").stdout.count("--ranking.places") == 1


def test_it_runs_and_its_renderer_too(environment: Any) -> None:
    words = ("run", "patch-occlusion", "demo", "-im", 0, 2, "--stride", 8, "-r", "ranking", "numpy")
    done = environment.cnnvis(*words, "--ranking.places", 3, "-o", "it.npz")
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["it.tsv", "it.npz"]
    maps = cnnvis.Explanation.load(environment.folder / "it.npz").array
    assert maps.shape == (2, 64, 64) and np.isfinite(maps).all()
    lines = (environment.folder / "it.tsv").read_text().splitlines()
    assert len(lines) == 1 + 2 * 3
    first = lines[1].split("\t")
    assert float(first[-1]) == pytest.approx(maps[0].max())


def test_it_goes_into_chains_and_settings(environment: Any) -> None:
    settings = environment.folder / "cnnvis.toml"
    try:
        done = environment.cnnvis("config", "set", "patch-occlusion.stride", 16)
        assert done.returncode == 0, done.stderr
        assert "stride is 16, set by" in environment.cnnvis("show", "patch-occlusion").stdout
        words = ("chain", "demo", "-im", 0, 1, "patch-occlusion", "--size", 16, "average", "numpy")
        done = environment.cnnvis(*words, "-o", "chain.npz")
        assert done.returncode == 0, done.stderr
        found = cnnvis.Explanation.load(environment.folder / "chain.npz")
        assert found.groups == ("neutral", "sweep")
        assert found.provenance["options"]["stride"] == [16]
        done = environment.cnnvis("config", "set", "patch-occlusion.stride", 0)
        assert done.returncode == 2 and "int >= 1" in done.stderr
    finally:
        settings.unlink(missing_ok=True)


def test_its_own_tests_pass(environment: Any) -> None:
    assert "passed" in environment.pytest(PACKAGE)
    assert " failed" not in environment.cnnvis("test-plugin", "patch-occlusion").stdout


def test_which_plugins_load_can_be_chosen(environment: Any) -> None:
    listed = json.loads(environment.cnnvis("list-plugins", "--no-plugins", "--json").stdout)
    assert "patch-occlusion" not in {one["name"] for one in listed}
    assert environment.cnnvis("run", "patch-occlusion", "demo", "--no-plugins").returncode == 2


def test_it_is_gone_after_uninstalling(environment: Any) -> None:
    environment.pip("uninstall", "--yes", "--quiet", "cnnvis-occlusion")
    assert "patch-occlusion" not in environment.plugins()
    done = environment.cnnvis("run", "patch-occlusion", "demo")
    assert done.returncode == 2
    assert "no technique named 'patch-occlusion'" in done.stderr
