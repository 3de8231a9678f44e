"""Curves: maps over one axis in one figure."""

from __future__ import annotations

import dataclasses
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import numpy as np
import pytest

import cnnvis


def _texts(path: Path) -> list[str]:
    """Return the texts of an SVG, which matplotlib writes as comments beside their outlines."""
    parser = ElementTree.XMLParser(target=ElementTree.TreeBuilder(insert_comments=True))
    tree = ElementTree.parse(path, parser)
    comments = [one.text for one in tree.iter() if one.tag is ElementTree.Comment]
    return [text.strip() for text in comments if text]


def _maps(count: int, headings: int = 1, name: str = "curve") -> cnnvis.Explanation:
    titles = tuple(f"{name} {i}\nheading {i % headings}" for i in range(count))
    values = np.random.default_rng(0).normal(size=(count, 12)).astype(np.float32)
    return cnnvis.Explanation(values, axes=("position",), titles=titles)


def test_headings_are_panels_and_first_lines_name_the_curves(tmp_path: Path) -> None:
    path = tmp_path / "a.curves.svg"
    _maps(6, 2).save(path)
    texts = _texts(path)
    assert texts.count("heading 0") == texts.count("heading 1") == 1
    names = [text for text in texts if text.startswith("curve")]
    assert names == [f"curve {i}" for i in (0, 2, 4, 1, 3, 5)]
    assert texts.count("position") == 2


def test_curves_of_the_same_names_are_named_once_and_failed_checks_above(tmp_path: Path) -> None:
    path = tmp_path / "a.curves.svg"
    maps = _maps(4)
    titles = ("one\nleft", "other\nleft", "one\nright", "other\nright")
    verdict = {"outcome": "failed", "meaning": "it fails"}
    facts = {"technique": "saliency", "checks": [{"metric": "srg", "verdict": verdict}]}
    dataclasses.replace(maps, titles=titles, provenance=facts).save(path)
    texts = _texts(path)
    assert texts.count("one") == texts.count("other") == 1
    assert "saliency" in texts and "x failed: srg" in texts


def test_too_many_headings_share_a_panel(tmp_path: Path) -> None:
    path = tmp_path / "a.curves.svg"
    _maps(6, 5).save(path)
    texts = _texts(path)
    assert not any(text.startswith("heading") for text in texts) and texts.count("position") == 1
    assert len([text for text in texts if text.startswith("curve")]) == 6


def test_coordinates_stand_below(tmp_path: Path) -> None:
    path = tmp_path / "a.curves.svg"
    axis = cnnvis.Axis("place", "kb", start=100.0, step=50.0)
    _maps(2).described({"position": axis}).save(path)
    texts = _texts(path)
    assert "place (kb)" in texts and "600" in texts


@pytest.mark.slow
def test_the_limit_and_names_that_look_like_mathematics(tmp_path: Path) -> None:
    path = tmp_path / "a.curves.svg"
    _maps(6, name="$\\frac{1$").save(path, limit=4)
    assert len([text for text in _texts(path) if text.startswith("$")]) == 4
    for ending in (".png", ".pdf"):
        _maps(2).save(tmp_path / f"a.curves{ending}")
        assert (tmp_path / f"a.curves{ending}").stat().st_size > 1000


def test_maps_over_more_axes_are_refused(tmp_path: Path) -> None:
    maps = cnnvis.Explanation(np.zeros((2, 4, 4), np.float32))
    with pytest.raises(
        cnnvis.UserError, match="these have row, column: take png, or put the transform project"
    ):
        maps.save(tmp_path / "a.curves.png")
    with pytest.raises(cnnvis.UserError, match=r"width is 0\.5 inches"):
        _maps(2).save(tmp_path / "a.curves.png", width=0.5)
    assert list(tmp_path.iterdir()) == []
