"""Maps that were kept are shown and changed again, without the network that they explain."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import cnnvis


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run folder and a file with the same maps."""
    place = tmp_path_factory.mktemp("kept")
    found = cnnvis.run("saliency", "demo", images="0-9", into=place / "maps.run", shard_size=4)
    found.save(place / "maps.npz")
    return place


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Loading a network fails."""

    def refused(*_: Any, **__: Any) -> Any:
        raise AssertionError("a network is loaded")

    monkeypatch.setattr("cnnvis.execution.loading.loaded_from", refused)
    monkeypatch.setattr("cnnvis.explain.inputs.loaded_from", refused)


def test_the_ending_of_the_output_chooses_the_renderer(
    kept: Path, typed: Callable[..., Any], no_network: None
) -> None:
    Path("keep.png").write_text("somebody's")
    for name in ("keep.tsv", "keep.zarr", "keep.html"):
        done = typed("show-result", kept / "maps.npz", "-q", "-o", name)
        assert done.returncode == 0 and done.stdout.split() == [name], done.stderr
        assert Path(name).exists()
    for words in (("show-result", kept / "maps.npz"), ("chain", kept / "maps.npz", "png")):
        ending = "tsv" if words[0] == "chain" else "xyz"
        done = typed(*words, "-q", "-o", f"keep.{ending}")
        assert done.returncode == 2 and f"keep.{ending}" in done.stderr
    assert Path("keep.png").read_text() == "somebody's"


@pytest.mark.usefixtures("no_network")
@pytest.mark.parametrize("name", ["maps.run", "maps.npz"])
def test_kept_maps_begin_a_chain(kept: Path, name: str, tmp_path: Path) -> None:
    whole = cnnvis.Explanation.load(kept / "maps.npz")
    wrote: list[Path] = []
    (found,) = cnnvis.chain(kept / name, ["average", "png"], out=tmp_path, wrote=wrote.append)
    assert found.groups == ("neutral", "sweep")
    for number in range(2):
        mean = whole.array[np.asarray(whole.labels) == number].mean(axis=0)
        np.testing.assert_allclose(found.array[number], mean, rtol=1e-5, atol=1e-8)
    (path,) = wrote
    assert path.name.startswith("saliency_output") and path.stat().st_size > 1000
    (maps,) = cnnvis.chain(kept / name, [("smooth", {"sigma": 1e-3})])
    np.testing.assert_allclose(maps.array, whole.array, atol=1e-6)
    assert maps.indices is not None and maps.indices.tolist() == list(range(10))
    assert [str(one) for one in maps.targets] == [str(one) for one in whole.targets]
    assert maps.provenance["technique"] == "saliency"
    assert maps.provenance["model"]["sha256"] == whole.provenance["model"]["sha256"]


def test_kept_maps_are_shown(
    kept: Path, typed: Callable[..., Any], no_network: None, tmp_path: Path
) -> None:
    before = {one: one.read_bytes() for one in (kept / "maps.run").rglob("*") if one.is_file()}
    for name in ("maps.run", "maps.npz"):
        done = typed("show-result", kept / name, "-r", "terminal", "html", "-o", f"{name}/")
        assert done.returncode == 0, done.stderr
        assert "output[sweep]" in done.stdout
        text = Path(done.stdout.splitlines()[-1]).read_text()
        assert "#3 label neutral" in text or "image 3, label neutral" in text
        assert text.count('class="map"') == 10
        # A table of several rows is shown whole, as a table of a single row is.
        done = typed("chain", kept / name, "table", "tsv", "--out", f"{name}.tsv")
        assert done.returncode == 0, done.stderr
    after = {one: one.read_bytes() for one in (kept / "maps.run").rglob("*") if one.is_file()}
    assert before == after


def test_damaged_and_missing_shards_are_said(kept: Path, tmp_path: Path) -> None:
    import shutil

    copy = tmp_path / "maps.run"
    shutil.copytree(kept / "maps.run", copy)
    (shard,) = copy.glob("1-saliency/maps/c.1.*")
    shard.write_bytes(shard.read_bytes()[:-1] + b"x")
    (found,) = cnnvis.chain(copy, [("smooth", {"sigma": 1e-3})])
    assert found.indices is not None and found.indices.tolist() == [0, 1, 2, 3, 8, 9]
    assert any("1 of 3 shards of 1-saliency are missing or damaged" in one for one in found.notes)


def test_mistakes_with_kept_maps_are_sentences(kept: Path, typed: Callable[..., Any]) -> None:
    maps = kept / "maps.npz"
    for words, sentence in (
        (
            ("chain", maps, "grad-cam", "png"),
            "step 1, grad-cam, explains a network, and 'maps.npz'",
        ),
        (("chain", maps, "-im", "0", "average"), "holds maps that are there already, so images"),
        (("chain", maps, "difference"), "would get maps of single images from maps.npz"),
        (("show-result", "nothing.npz"), "nothing.npz"),
        (("show-result", "."), "'.' holds no kept maps"),
        (("show-result", maps, "-r", "saliency"), "saliency"),
    ):
        done = typed(*words)
        said = " ".join(done.stderr.split())
        assert done.returncode == 2 and sentence in said, said
