"""No result is written over that nobody asked to write over, and an ending says what is written."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import cnnvis
from cnnvis.files.reading import put_beside, write_whole, written_whole
from cnnvis.files.writing import Folder

Typed = Callable[..., Any]


@pytest.fixture
def here(classifier: Any, images: Any, tmp_path: Path) -> Path:
    classifier.save(tmp_path / "model.keras")
    np.savez(tmp_path / "data.npz", X=images, class_names=["happy", "sad", "ok"])
    return tmp_path


@pytest.mark.slow
def test_two_results_are_two_files(here: Path, typed: Typed) -> None:
    run = ("run", "saliency", "model.keras", "-d", "data.npz", "-im", 0)
    paths = {
        "default": typed(*run),
        "happy": typed(*run, "--class", "happy"),
        "sad": typed(*run, "--class", "sad"),
        "both": typed(*run, "--class", 0, "sad"),
        "together": typed(*run, "--class", 0, "sad", "--together"),
        "largest": typed(*run, "--top", 2),
        "region": typed(
            "run",
            "saliency",
            "model.keras",
            "-d",
            "data.npz",
            "-im",
            0,
            "-l",
            "first",
            "--region",
            "2:5",
            3,
        ),
    }
    assert {name: done.stdout.split() for name, done in paths.items()} == {
        "default": ["results/saliency_classes_guided.png"],
        "happy": ["results/saliency_classes_happy_guided.png"],
        "sad": ["results/saliency_classes_sad_guided.png"],
        "both": ["results/saliency_classes_happy-sad_guided.png"],
        "together": ["results/saliency_classes_happy+sad_guided.png"],
        "largest": ["results/saliency_classes_top-2_guided.png"],
        "region": ["results/saliency_first_at-2to5-3_guided.png"],
    }
    kept = (here / "results/saliency_classes_guided.png").read_bytes()
    # What no name tells apart gets a number, and that is said.
    other = typed("run", "saliency", "model.keras", "-d", "data.npz", "-im", 1)
    assert other.stdout.split() == ["results/saliency_classes_guided_2.png"]
    said = " ".join(other.stderr.split())
    assert (
        "'results/saliency_classes_guided.png' holds another result, so the new result is in"
        in said
    )
    # The same again is the same file, whichever of them it is.
    assert typed(*run).stdout.split() == ["results/saliency_classes_guided.png"]
    again = typed("run", "saliency", "model.keras", "-d", "data.npz", "-im", 1)
    assert again.stdout.split() == ["results/saliency_classes_guided_2.png"]
    assert (here / "results/saliency_classes_guided.png").read_bytes() == kept
    assert len(list((here / "results").iterdir())) == 8
    chain = ("chain", "model.keras", "-d", "data.npz", "-im")
    assert typed(*chain, 0, "saliency", "png").stdout.split() == [
        "results/saliency_classes_guided.png"
    ]
    third = typed(*chain, 2, "saliency", "png")
    assert third.stdout.split() == ["results/saliency_classes_guided_3.png"]
    compare = ("compare", "saliency", "smoothgrad", "model.keras", "-d", "data.npz", "-im")
    names = [typed(*compare, image).stdout.split()[-1] for image in (0, 1, 0)]
    assert names == [f"results/compare_saliency_smoothgrad{end}.png" for end in ("", "_2", "")]


def test_an_ending_that_a_renderer_does_not_write_is_refused_before_anything_is_read(
    typed: Typed,
) -> None:
    done = typed("run", "saliency", "no.keras", "-d", "no.npz", "-r", "numpy", "-o", "maps.png")
    assert done.returncode == 2 and "the renderer numpy writes .npz files" in done.stderr


@pytest.mark.slow
def test_a_file_that_was_named_is_written_over(here: Path, typed: Typed) -> None:
    run = ("run", "saliency", "model.keras", "-d", "data.npz", "-o", "mine.png", "-im")
    assert typed(*run, 0).stdout.split() == ["mine.png"]
    first = (here / "mine.png").read_bytes()
    assert typed(*run, 1).stdout.split() == ["mine.png"]
    assert (here / "mine.png").read_bytes() != first
    folder = ("run", "saliency", "model.keras", "-d", "data.npz", "-o", "maps/", "-im")
    assert [typed(*folder, image).stdout.split()[0] for image in (0, 1)] == [
        "maps/saliency_classes_guided.png",
        "maps/saliency_classes_guided_2.png",
    ]


@pytest.mark.parametrize("links", [True, False])
def test_no_file_loses_its_name(
    tmp_path: Path, links: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not links:

        def refuse(*_: Any, **__: Any) -> None:
            raise PermissionError(1, "no links on this disk")

        monkeypatch.setattr(os, "link", refuse)

    def put(content: str) -> str:
        temporary = tmp_path / "temporary"
        temporary.write_text(content)
        with Folder.opened(tmp_path) as folder:
            placed = put_beside(folder, temporary.name, "map.png")
        assert not temporary.exists() and (tmp_path / placed).read_text() == content
        return placed

    assert [put(one) for one in ("a", "b", "a", "c", "b")] == [
        *("map.png", "map_2.png", "map.png", "map_3.png", "map_2.png")
    ]
    (tmp_path / "map_4.png").symlink_to(tmp_path / "map.png")
    (tmp_path / "map_5.png").mkdir()
    (tmp_path / "map_6.png").symlink_to(tmp_path / "nothing")
    assert put("d") == "map_7.png"
    assert put("a") == "map.png" and (tmp_path / "map.png").read_text() == "a"


def test_an_ending_says_what_is_saved(classifier: Any, images: Any, tmp_path: Path) -> None:
    found = cnnvis.run("saliency", classifier, data=images[:2])
    found.save(tmp_path / "maps.png", dpi=50)
    with Image.open(tmp_path / "maps.png") as picture:
        assert picture.format == "PNG"
    found.save(tmp_path / "maps.npz")
    np.testing.assert_array_equal(cnnvis.Explanation.load(tmp_path / "maps.npz").array, found.array)
    for name in ("maps.xyz", "maps", "maps.zip"):
        with pytest.raises(cnnvis.UserError, match=r"no renderer writes .* renderers: bed "):
            found.save(tmp_path / name)
        assert not (tmp_path / name).exists()
    with pytest.raises(cnnvis.UserError, match=r"png has no option 'dpy'\. Did you mean 'dpi'"):
        found.save(tmp_path / "other.png", dpy=3)
    with pytest.raises(cnnvis.UserError, match="is a folder; name a file, such as"):
        found.save(tmp_path)


def test_a_link_is_replaced_and_not_written_through(tmp_path: Path, typed: Typed) -> None:
    """Of settings and of results; links among the folders that a person names are followed."""
    (tmp_path / "mine.txt").write_text("mine")
    (tmp_path / "real").mkdir()
    (tmp_path / "results").symlink_to("real")
    for name in ("real/result.txt", "real/dangling.txt", "cnnvis.toml"):
        (tmp_path / name).symlink_to(tmp_path / ("none" if "dang" in name else "mine.txt"))
    write_whole(tmp_path / "results" / "result.txt", b"new")
    with written_whole(tmp_path / "results" / "dangling.txt") as temporary:
        temporary.write_text("new")
    (tmp_path / "mine.txt").write_text("")
    assert typed("config", "set", "saliency.backprop", "rectified").returncode == 0
    assert (tmp_path / "mine.txt").read_text() == "" and not (tmp_path / "none").exists()
    for name in ("real/result.txt", "real/dangling.txt", "cnnvis.toml"):
        assert (tmp_path / name).read_text() and not (tmp_path / name).is_symlink()
    assert typed("new-plugin", "my-method").returncode == 0
    shutil.rmtree(tmp_path / "cnnvis-my-method")
    (tmp_path / "cnnvis-my-method").symlink_to("real")
    again = typed("new-plugin", "my-method")
    assert again.returncode == 2 and "exists already" in again.stderr
