"""Options of readers are kept with results, in chains and in what repeats them."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import cnnvis

Typed = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    for number in range(3):
        values = rng.integers(0, 5, (64, 64)).astype(np.uint8)
        place = tmp_path / "pictures"
        place.mkdir(exist_ok=True)
        Image.fromarray(values).save(place / f"{number}.png")
    return tmp_path / "pictures"


@pytest.mark.slow
def test_results_say_how_their_data_were_read(pictures: Path, tmp_path: Path) -> None:
    options = {"pictures": {"scale": 0.5}}
    found = cnnvis.run("saliency", "demo", data=pictures, plugin_options=options)
    assert found.provenance["reading"] == {"pictures.scale": 0.5}
    found.save(tmp_path / "maps.npz")
    assert cnnvis.Explanation.load(tmp_path / "maps.npz").provenance["reading"] == {
        "pictures.scale": 0.5
    }
    found.save(tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text()
    assert "--pictures.scale 0.5" in page  # the command that repeats it
    plain = cnnvis.run("saliency", "demo", data=pictures)
    assert "reading" not in plain.provenance
    kept = tmp_path / "kept"
    cnnvis.run("saliency", "demo", data=pictures, plugin_options=options, into=kept)
    (again,) = cnnvis.chain(kept, [("smooth", {"sigma": 1e-3})])
    assert again.provenance["reading"] == {"pictures.scale": 0.5}


@pytest.mark.slow
def test_chains_keep_it(pictures: Path, tmp_path: Path, typed: Typed) -> None:
    words = ["demo", "-d", pictures, "--pictures.scale", "0.5"]
    file = tmp_path / "chain.toml"
    done = typed("run", "saliency", *words, "--save-chain", file, "-o", tmp_path / "run.npz")
    assert done.returncode == 0, done.stderr
    done = typed("chain", "--file", file, "--out", tmp_path / "chain.npz")
    assert done.returncode == 0, done.stderr
    one, other = (cnnvis.Explanation.load(tmp_path / f"{name}.npz") for name in ("run", "chain"))
    np.testing.assert_array_equal(one.array, other.array)
    assert other.provenance["reading"] == {"pictures.scale": 0.5}
    # What is typed goes before what the file says.
    typed("chain", "--file", file, "--out", tmp_path / "typed.npz", "--pictures.scale", "2")
    found = cnnvis.Explanation.load(tmp_path / "typed.npz")
    assert found.provenance["reading"] == {"pictures.scale": 2.0}
    done = typed("chain", *words, "saliency", "png", "--no-over-pictures", "--as", "shell")
    assert "png --no-over-pictures" in done.stdout
    done = typed(
        "run", "saliency", "demo", "-im", "0", "--png.no-over-pictures", "-o", tmp_path / "a.png"
    )
    assert done.returncode == 0, done.stderr
    for form, text in (
        ("shell", "--pictures.scale 0.5"),
        ("python", "{'pictures': {'scale': 0.5}}"),
    ):
        assert text in typed("chain", *words, "saliency", "--as", form).stdout
    (tmp_path / "grants.toml").write_text(
        '[chains.x]\nmodel = "demo"\n[chains.x.reading]\n"pickle.trust" = true\n'
        '[[chains.x.steps]]\nstep = "saliency"\n'
    )
    done = typed("chain", "--file", tmp_path / "grants.toml")
    assert done.returncode == 2 and "lets code run" in done.stderr
    (tmp_path / "wrong.toml").write_text(
        '[chains.x]\nmodel = "demo"\n[chains.x.reading]\n"picture.scale" = 2\n'
        '[[chains.x.steps]]\nstep = "saliency"\n'
    )
    done = typed("chain", "--file", tmp_path / "wrong.toml")
    assert done.returncode == 2 and "Did you mean 'pictures'?" in done.stderr


def test_options_of_a_reader_that_reads_nothing_are_refused(pictures: Path, typed: Typed) -> None:
    done = typed("run", "saliency", "demo", "-d", pictures, "--zarr.x", "x")
    assert done.returncode == 2
    assert "--zarr.x is an option of the reader zarr" in done.stderr
    assert "is read by pictures" in done.stderr
