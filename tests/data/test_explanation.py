"""Explanations: what they hold, and that nothing is lost when they are saved."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import cnnvis
from cnnvis.files.reading import written_whole


def _explanation() -> cnnvis.Explanation:
    samples = cnnvis.Samples(
        np.arange(24, dtype=np.uint8).reshape(2, 3, 4, 1),
        np.array([1, 0]),
        ("one.png", "zwei_ü.png"),
        ("-", "AI"),
        np.array([4, 9]),
    )
    return cnnvis.Explanation(
        np.linspace(-1, 1, 24).reshape(2, 3, 4),
        samples,
        targets=(
            cnnvis.Target("output", (1,), ("AI",), 4.2, 0.985),
            cnnvis.Target("output", (0, 1), ("-", "AI"), None, None),
        ),
        signed=True,
        notes=("a note",),
        provenance={"technique": "test", "options": {"size": 3}},
    )


def test_axes_are_worked_out() -> None:
    x = np.zeros((2, 5, 6, 3))
    samples = cnnvis.Samples(x)
    assert cnnvis.Explanation(np.zeros((2, 7))).axes == ("position",)
    assert cnnvis.Explanation(np.zeros((2, 5, 6)), samples).axes == ("row", "column")
    assert cnnvis.Explanation(x, samples).axes == ("row", "column", "channel")
    assert cnnvis.Explanation(np.zeros((2, 4, 5, 6))).axes == ("plane", "row", "column")
    first = cnnvis.Samples(x, channel_axis=1)
    assert cnnvis.Explanation(x, first).axes == ("channel", "row", "column")
    assert cnnvis.axis_names(2, -1) == ("position", "channel")


def test_titles() -> None:
    explanation = _explanation()
    assert explanation.title(0) == "#4 one.png label AI\noutput[AI]\n4.2 (p 0.985)"
    assert explanation.title(1) == "#9 zwei_ü.png label -\noutput[-]+output[AI]"
    assert explanation.target == "output[AI], output[-]+output[AI]"


def test_a_saved_explanation_is_the_same_when_loaded(tmp_path: Path) -> None:
    explanation = _explanation()
    explanation.save(tmp_path / "saved.npz")
    loaded = cnnvis.Explanation.load(tmp_path / "saved.npz")
    for name in ("maps", "inputs", "labels", "indices"):
        np.testing.assert_array_equal(getattr(loaded, name), getattr(explanation, name))
        assert getattr(loaded, name).dtype == getattr(explanation, name).dtype
    for name in (
        "axes",
        "titles",
        "targets",
        "signed",
        "are_inputs",
        "notes",
        "provenance",
        "target",
    ):
        assert getattr(loaded, name) == getattr(explanation, name)
    assert loaded.samples is not None and explanation.samples is not None
    assert loaded.samples.names == explanation.samples.names
    assert loaded.samples.class_names == explanation.samples.class_names


def test_curves_go_with_their_maps(tmp_path: Path) -> None:
    curve = np.array([[0, 1, np.nan], [3, 4, 5]], np.float32)
    explanation = replace(_explanation()[[0, 1]], curves={"score": curve})
    explanation.save(tmp_path / "saved.npz")
    for one in (cnnvis.Explanation.load(tmp_path / "saved.npz"), explanation):
        np.testing.assert_array_equal(one.curves["score"], curve)
        np.testing.assert_array_equal(one[[1, 0]].curves["score"], curve[::-1])
    joined = cnnvis.Explanation.joined([explanation[1], explanation[0]])
    np.testing.assert_array_equal(joined.curves["score"], curve[::-1])
    assert not explanation.with_maps(explanation.array).curves
    pairs = cnnvis.panels(explanation, limit=1)
    assert [pair.curve.title for pair in pairs if pair.curve] == ["score"]
    np.testing.assert_array_equal(pairs[0].curve.values, curve[0])  # type: ignore[union-attr]


def test_frames_go_with_their_maps(tmp_path: Path) -> None:
    explanation = _explanation()[[0, 1]]
    maps = np.stack([0 * explanation.array, explanation.array], axis=1)
    explanation = replace(explanation, frames=cnnvis.Frames(maps, np.array([0, 7])))
    explanation.save(tmp_path / "saved.npz")
    for one in (cnnvis.Explanation.load(tmp_path / "saved.npz"), explanation):
        assert one.frames is not None and one.frames.steps.tolist() == [0, 7]
        np.testing.assert_array_equal(one.frames.maps, maps)
        turned = one[[1, 0]].frames
        assert turned is not None
        np.testing.assert_array_equal(turned.maps, maps[::-1])
    joined = cnnvis.Explanation.joined([explanation[1], explanation[0]]).frames
    assert joined is not None
    np.testing.assert_array_equal(joined.maps, maps[::-1])
    others = replace(explanation[0], frames=cnnvis.Frames(maps[:1], np.array([0, 8])))
    assert cnnvis.Explanation.joined([explanation[1], others]).frames is None
    assert explanation.with_maps(explanation.array).frames is None


@pytest.mark.parametrize(
    ("maps", "steps"),
    [
        (np.zeros((2, 3, 4)), np.arange(2)),
        (np.zeros((2, 3, 4)), np.array([0, 5, 5])),
        (np.zeros((2, 3, 4)), np.array([-1, 0, 5])),
        (np.zeros((2, 3, 4)), np.arange(3.0)),
        (np.full((2, 3, 4), np.nan), np.arange(3)),
        (np.zeros((2, 0, 4)), np.zeros(0, int)),
    ],
)
def test_frames_that_are_none_are_a_plugins_mistake(maps: Any, steps: Any) -> None:
    with pytest.raises(TypeError, match="frames"):
        cnnvis.Frames(maps, steps)


def test_a_saved_table_is_the_same_when_loaded(tmp_path: Path) -> None:
    explanation = cnnvis.Explanation(table={"layer": ["a", "b"], "size": [1, 2]})
    explanation.save(tmp_path / "saved.npz")
    assert cnnvis.Explanation.load(tmp_path / "saved.npz").table == explanation.table


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 nothing", b"text"])
def test_other_files_are_no_explanations(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "other.npz"
    path.write_bytes(content)
    with pytest.raises(cnnvis.UserError, match=r"other\.npz' is not an explanation"):
        cnnvis.Explanation.load(path)
    np.savez(path, x=np.zeros(3))
    with pytest.raises(cnnvis.UserError, match="is not an explanation"):
        cnnvis.Explanation.load(path)


@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"maps": np.zeros((2, 3)), "table": {}},
        {"maps": np.zeros((2, 3)), "samples": cnnvis.Samples(np.zeros((3, 3)))},
        {"maps": np.zeros((2, 3)), "titles": ("one",)},
        {"maps": np.zeros((2, 3)), "curves": {"score": np.zeros((3, 5))}},
        {"maps": np.zeros((2, 3)), "curves": {"score": np.zeros(2)}},
        {"maps": np.zeros((2, 3, 3)), "axes": ("row",)},
        {"maps": np.zeros((2, 3)), "frames": cnnvis.Frames(np.zeros((2, 1, 4)), np.arange(1))},
    ],
)
def test_parts_that_do_not_agree_are_a_plugins_mistake(arguments: Any) -> None:
    with pytest.raises(TypeError):
        cnnvis.Explanation(**arguments)


def test_a_file_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "file.txt"
    with written_whole(path) as temporary:
        temporary.write_text("first")
        assert not path.exists()
    assert path.read_text() == "first"
    with pytest.raises(RuntimeError), written_whole(path) as temporary:
        temporary.write_text("half")
        raise RuntimeError
    assert path.read_text() == "first"
    assert list(path.parent.iterdir()) == [path]


def test_what_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(cnnvis.UserError, match="cannot be written"),
        written_whole(tmp_path / "file" / "below.png"),
    ):
        pass
