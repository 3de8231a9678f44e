"""Someone else's package, installed with pip beside the built wheel of cnnvis."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import cnnvis

HERE = Path(__file__).parent

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module", autouse=True)
def installed(environment: Any) -> None:
    environment.install(HERE / "cnnvis-grad-times-input")


def test_it_is_listed_with_where_it_is_from(environment: Any) -> None:
    plugins = environment.plugins()
    found = plugins["grad-times-input"]
    assert (found["distribution"], found["version"]) == ("cnnvis-grad-times-input", "1.2.3")
    assert found["reference"] == "arXiv:1605.01713"
    assert plugins["values"]["kind"] == "renderer"
    assert plugins["saliency"]["distribution"] == "cnnvis"
    shown = environment.cnnvis("run", "grad-times-input", "--help").stdout
    assert "--absolute" in shown and "not its sign" in shown


def test_it_runs_and_its_renderer_too(environment: Any) -> None:
    done = environment.cnnvis(
        "run", "grad-times-input", "demo", "-im", 0, 1, "-r", "numpy", "-r", "values", "-r", "png",
        "--values.separator", ";", "-o", "it.values",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == ["it.npz", "it.values", "it.png"]
    found = cnnvis.Explanation.load(environment.folder / "it.npz")
    assert found.provenance["plugin"] == {
        "distribution": "cnnvis-grad-times-input",
        "version": "1.2.3",
    }
    assert found.maps is not None and found.inputs is not None
    plain = cnnvis.run("saliency", "demo", images=[0, 1], backprop=None, gradient=None).maps
    expected = plain[..., None] * found.inputs
    np.testing.assert_allclose(found.maps, expected, rtol=1e-3, atol=1e-6)
    lines = (environment.folder / "it.values").read_text().splitlines()
    assert len(lines) == 2 and len(lines[0].split(";")) == 64 * 64
    absolute = environment.cnnvis(
        "run", "grad-times-input", "demo", "-im", 0, 1, "--absolute", "-o", "abs.npz"
    )
    assert absolute.returncode == 0, absolute.stderr
    sizes = cnnvis.Explanation.load(environment.folder / "abs.npz").maps
    np.testing.assert_allclose(sizes, abs(found.maps), rtol=1e-3, atol=1e-6)


def test_its_steps_go_into_chains_and_settings(environment: Any) -> None:
    steps = ("grad-times-input", "--absolute", "halve", "--times", 2, "numpy", "halve", "values")
    done = environment.cnnvis("chain", "demo", "-im", 0, 1, *steps, "-o", "chain.npz")
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["chain.npz", "chain.values"]
    quarter = cnnvis.Explanation.load(environment.folder / "chain.npz").array
    sizes = cnnvis.Explanation.load(environment.folder / "abs.npz").array
    np.testing.assert_allclose(quarter, sizes / 4, rtol=1e-5)
    done = environment.cnnvis("config", "set", "halve.times", 0)
    assert done.returncode == 2 and "int >= 1" in done.stderr
    assert environment.cnnvis("config", "set", "halve.times", 3).returncode == 0
    shown = environment.cnnvis("show", "halve").stdout
    assert "times is 3, set by" in shown
    (environment.folder / "cnnvis.toml").unlink()


def test_it_is_gone_after_uninstalling(environment: Any) -> None:
    environment.pip("uninstall", "--yes", "--quiet", "cnnvis-grad-times-input")
    assert "grad-times-input" not in environment.plugins()
    done = environment.cnnvis("run", "grad-times-input", "demo")
    assert done.returncode == 2
    assert "no technique named 'grad-times-input'" in done.stderr
