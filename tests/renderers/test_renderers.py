"""What is drawn is what was found, in every form and for every shape."""

from __future__ import annotations

import io
import itertools
import json
import re
import subprocess
import sys
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from quick import quick_are
from rich.cells import cell_len
from rich.console import Console

import cnnvis
from cnnvis.registry.discovery import registry
from cnnvis.renderers import _fonts
from cnnvis.renderers._common import folded
from cnnvis.renderers._letters import letters_of
from cnnvis.renderers._look import DIVERGING, colours_named
from cnnvis.renderers._tracks import strongest_windows
from cnnvis.reporting import notes_kept

FACTS = {
    "technique": "saliency",
    "options": {"backprop": "guided"},
    "model": {"file": "model.h5"},
    "data": {"file": "data $x_{$ [red].pkl"},
}


def _blob(*shape: int) -> Any:
    axes = np.meshgrid(*(np.linspace(0, 1, size) for size in shape), indexing="ij")
    return np.exp(-sum((axis - 0.3) ** 2 for axis in axes) / 0.05)


def _explained(maps: Any, x: Any = None, **facts: Any) -> cnnvis.Explanation:
    count = len(maps)
    samples = None
    if x is not None:
        names = tuple(
            f"$x_{{${i} [red] \N{SNOWMAN}\N{CJK UNIFIED IDEOGRAPH-540D}.png" for i in range(count)
        )
        samples = x if isinstance(x, cnnvis.Samples) else cnnvis.Samples(x)
        samples = replace(
            samples, labels=np.arange(count) % 2, names=names, class_names=("no", "[b]yes")
        )
    targets = tuple(
        cnnvis.Target("out$put", (i % 2,), None, 1.5 * i, 0.5 if x is not None else None)
        for i in range(count)
    )
    return cnnvis.Explanation(maps, samples, targets=targets, provenance=FACTS, **facts)


RNG = np.random.default_rng(0)
CHANNELS = {n: (*cnnvis.axis_names(n, None), "channel") for n in (1, 2, 3)}


def _kernels(count: int, *shape: int) -> cnnvis.Explanation:
    axes = CHANNELS[len(shape) - 1]
    return _explained(RNG.normal(size=(count, *shape)), axes=axes, signed=True)


CASES: dict[str, cnnvis.Explanation] = {
    "one": _explained(_blob(20, 12)[None], RNG.random((1, 20, 12, 1))),
    "four": _explained(np.stack([_blob(20, 12)] * 4), RNG.random((4, 20, 12, 1))),
    "forty": _explained(RNG.random((40, 9, 9)), RNG.random((40, 9, 9, 1))),
    "three hundred": _explained(RNG.random((300, 9, 9))),
    "signed": _explained(RNG.normal(size=(2, 9, 9)), RNG.random((2, 9, 9, 1))),
    "colours in bytes": _explained(
        RNG.random((3, 9, 9)), RNG.integers(0, 256, (3, 9, 9, 3), np.uint8)
    ),
    "colours": _explained(RNG.random((3, 9, 9)), RNG.normal(size=(3, 9, 9, 3))),
    "no channel axis": _explained(
        RNG.random((3, 9, 9)), cnnvis.Samples(RNG.random((3, 9, 9)), channel_axis=None)
    ),
    "channels first": _explained(
        RNG.random((3, 9, 9)), cnnvis.Samples(RNG.random((3, 2, 9, 9)), channel_axis=1)
    ),
    "channels of maps first": _explained(
        RNG.random((3, 4, 9, 9)), axes=("channel", "row", "column")
    ),
    "profile": _explained(_blob(300)[None], RNG.normal(size=(1, 300, 1))),
    "profile without channels": _explained(
        _blob(90)[None], cnnvis.Samples(RNG.random((1, 90)), channel_axis=None)
    ),
    "profile of many channels": _explained(_blob(300)[None], RNG.normal(size=(1, 300, 12))),
    "dna": _explained(RNG.random((2, 50)), np.eye(4)[RNG.integers(0, 4, (2, 50))]),
    "dna with channels": _explained(RNG.normal(size=(2, 50, 4)), np.zeros((2, 50, 4))),
    "volume": _explained(_blob(20, 12, 12)[None], RNG.random((1, 20, 12, 12, 1))),
    "volume in colour": _explained(_blob(5, 9, 9)[None], RNG.random((1, 5, 9, 9, 3))),
    "made inputs": _explained(RNG.random((2, 9, 9, 3)), axes=CHANNELS[2], are_inputs=True),
    "curves": _explained(
        RNG.random((3, 9, 9)), RNG.random((3, 9, 9, 1)), curves={"$s_{$": RNG.random((3, 40))}
    ),
    "dense": _explained(RNG.normal(size=(3, 10_000))),
    "dense of ten": _explained(RNG.normal(size=(3, 10))),
    "dense of one": _explained(RNG.normal(size=(3, 1))),
    "constant": _explained(np.ones((2, 5, 5)), np.ones((2, 5, 5, 1))),
    "nothing but zeros": _explained(np.zeros((2, 5, 5)), np.zeros((2, 5, 5, 1))),
    "zeros over one axis": _explained(np.zeros((2, 50)), np.zeros((2, 50, 1))),
    "no numbers": _explained(np.where(RNG.random((2, 9, 9)) < 0.3, np.nan, np.inf)),
    "no numbers over one axis": _explained(np.where(RNG.random((2, 90)) < 0.3, np.nan, 1)),
    "tiny": _explained(RNG.normal(size=(2, 9, 9)) * 1e-30),
    "huge": _explained(RNG.choice([-3e38, 3e38], (2, 9, 9))),
    "very flat": _explained(RNG.random((2, 1, 1000)), RNG.random((2, 1, 1000, 1))),
    "track": _explained(RNG.random((2, 12_000)), RNG.random((2, 12_000, 1))),
    "long dna": _explained(RNG.random((1, 300)), np.eye(4)[RNG.integers(0, 4, (1, 300))]),
    "flat": _explained(RNG.random((2, 4, 1000)), RNG.random((2, 4, 1000, 1))),
    "very long": _explained(RNG.random((2, 2000, 4)), RNG.random((2, 2000, 4, 1))),
    "a single value": _explained(RNG.random((2, 1, 1)), RNG.random((2, 1, 1, 1))),
    "table": cnnvis.Explanation(
        table={"layer": ["a" * 90, "[red]$x_{$"], "size": [1, None]}, provenance=FACTS
    ),
    "long table": cnnvis.Explanation(
        table={
            "layer": [f"conv2d_{i} [red]$x_{{$" for i in range(300)],
            "output shape": ["(None, 68, 32, 16)"] * 300,
            "parameters": list(range(300)),
            "share": [1 / 3] * 300,
        },
        provenance=FACTS,
    ),
}
SCREEN: Any = {"file": io.StringIO(), "width": 80, "force_terminal": True}
CASES |= {
    f"kernels over {len(shape) - 1} of {shape[-1]} channels": _kernels(4, *shape)
    for shape in ((7, 1), (7, 16), (7, 512), (3, 3, 1), (3, 3, 3), (3, 3, 512), (4, 4, 4, 16))
}


def _draw(explanation: cnnvis.Explanation, path: Path, **options: Any) -> Any:
    registry().get("renderer", "png").function(explanation, path, **options)
    return None if path.suffix != ".png" else np.asarray(Image.open(path).convert("RGB"), float)


def _print(explanation: cnnvis.Explanation, width: int = 80, **settings: Any) -> str:
    console = Console(file=io.StringIO(), width=width, **settings)
    registry().get("renderer", "terminal").function(explanation, console)
    return console.file.getvalue()  # type: ignore[attr-defined, no-any-return]


SOME = (
    *("four", "signed", "colours", "channels of maps first", "profile of many channels", "dna"),
    *("volume", "profile", "curves", "dense", "constant", "no numbers"),
    "kernels over 2 of 3 channels",
)
"""Results that stand for all among the quick tests."""


@pytest.mark.parametrize("name", quick_are([*SOME, "table"], CASES.keys()))
def test_every_kind_of_result_is_drawn(name: str, tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        drawn = _draw(CASES[name], tmp_path / "it.png", dpi=60, limit=20)
    assert drawn.std() > 5, "a blank picture"
    assert max(drawn.shape) < 3500
    with Image.open(tmp_path / "it.png") as picture:
        assert json.loads(picture.info["cnnvis"]) == FACTS


@pytest.mark.parametrize("name", quick_are(SOME, [name for name in CASES if "table" not in name]))
def test_every_kind_of_result_is_drawn_in_other_ways(name: str, tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        options: Any = {"overlay": True, "scale": "each", "tiles": 3, "limit": 3, "columns": 2}
        assert _draw(CASES[name], tmp_path / "it.png", dpi=40, **options).std() > 5


@pytest.mark.parametrize("name", quick_are([*SOME, "table", "very long"], CASES.keys()))
def test_every_kind_of_result_is_printed(name: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for width in (40, 80, 200):
            for system in ("truecolor", None):
                text = _print(CASES[name], width, force_terminal=True, color_system=system)
                assert ("\x1b[" in text) == (system is not None) or "table" in name
                text = re.sub(r"\x1b\[[\d;]*m", "", text)
                assert max(map(cell_len, text.splitlines())) <= width
                assert "\N{HORIZONTAL ELLIPSIS}" not in text, "something is cut off"
                if CASES[name].samples is not None or CASES[name].table is not None:
                    assert "[red]" in re.sub(r"\s+", "", text), "text is not markup"
                assert system is not None or text.isascii()
        piped = _print(CASES[name])
        assert piped.isascii() and "\x1b" not in piped


@pytest.mark.parametrize("name", CASES)
def test_every_kind_of_result_is_kept(name: str, tmp_path: Path) -> None:
    explanation = CASES[name]
    registry().get("renderer", "numpy").function(explanation, tmp_path / "it.npz")
    with np.load(tmp_path / "it.npz", allow_pickle=False) as stored:
        if explanation.maps is not None:
            np.testing.assert_array_equal(stored["maps"], explanation.maps)
            assert stored["maps"].dtype == np.float32
        if explanation.inputs is not None:
            np.testing.assert_array_equal(stored["inputs"], explanation.inputs)
            np.testing.assert_array_equal(stored["labels"], explanation.labels)
            np.testing.assert_array_equal(stored["indices"], explanation.indices)
        facts = json.loads(str(stored["metadata"]))
    assert facts["provenance"] == FACTS
    assert tuple(facts["axes"]) == explanation.axes
    again = cnnvis.Explanation.load(tmp_path / "it.npz")
    assert again.targets == explanation.targets and again.axes == explanation.axes
    assert again.table == explanation.table and again.provenance == explanation.provenance
    assert (again.is_signed, again.are_inputs) == (explanation.is_signed, explanation.are_inputs)
    if again.maps is not None:
        assert again.maps.dtype == np.float32
        np.testing.assert_array_equal(again.maps, explanation.maps)
    if again.samples is not None and explanation.samples is not None:
        for what in ("names", "class_names"):
            assert getattr(again.samples, what) == getattr(explanation.samples, what)
    for position in range(len(explanation) if again.table is None else 0):
        assert again.title(position) == explanation.title(position)


def _places(drawn: Any, part: float, cmap: str) -> Any:
    """The rows and columns (2, n) of the pixels that stand for a value, 0 to 1 of the scale."""
    colour = np.array(colours_named(cmap)(float(part), bytes=True)[:3], float)
    return np.array(np.nonzero(np.abs(drawn - colour).max(axis=-1) <= 1))


def test_values_are_drawn_at_their_places_in_their_colours(tmp_path: Path) -> None:
    parts = np.random.default_rng(1).permutation(20) / 19
    maps = 3 + 5 * parts.reshape(1, 4, 5)
    # Without a colour bar, which has all the colours too.
    drawn = _draw(_explained(maps), tmp_path / "it.png", cmap="viridis", scale="each")
    found = [_places(drawn, (3 + 5 * part) / 8, "viridis") for part in parts]  # from zero
    corner = np.concatenate(found, axis=1).min(axis=1, keepdims=True)
    size = np.concatenate(found, axis=1).max(axis=1) + 1 - corner[:, 0]
    assert size[0] / size[1] == pytest.approx(4 / 5, rel=0.05)
    for number, places in enumerate(found):
        row, column = ((places - corner).mean(axis=1) / size * (4, 5)).tolist()
        assert (int(row), int(column)) == divmod(number, 5)
        assert places.shape[1] == pytest.approx(size.prod() / 20, rel=0.15)


def test_inputs_are_above_their_maps_and_share_a_scale(tmp_path: Path) -> None:
    x = np.stack([np.zeros((6, 6, 1)), np.full((6, 6, 1), 4.0), np.full((6, 6, 1), 2.0)])
    drawn = _draw(
        _explained(np.zeros((3, 6, 6)), x), tmp_path / "it.png", cmap="hot", input_cmap="cool"
    )
    first, second, third = (_places(drawn, part, "cool") for part in (0, 1, 0.5))
    assert first.shape[1] == pytest.approx(second.shape[1], rel=0.1)
    assert first[1].max() < second[1].min() and second[1].max() < third[1].min()
    below = _places(drawn, 0, "hot")  # also black: frames and words
    assert np.median(below[0]) > first[0].max()


def test_curves_are_above_their_pictures(tmp_path: Path) -> None:
    """A line from the lower left to the upper right, and a flat one; in a terminal its ends."""
    rising = np.stack([np.linspace(-1, 2.5, 30), np.full(30, np.nan)])
    plain = _explained(np.ones((2, 9, 9)), are_inputs=True)
    before = _draw(plain, tmp_path / "without.png")
    drawn = _draw(replace(plain, curves={"score": rising}), tmp_path / "with.png")
    added = len(drawn) - len(before)
    assert added == pytest.approx(120 * 0.62, abs=1)
    blue = np.argwhere(abs(drawn - [31, 119, 180]).max(axis=-1) < 60)
    first, last = blue[blue[:, 1].argmin()], blue[blue[:, 1].argmax()]
    assert first[0] - last[0] > 0.8 * 0.42 * 120 * 0.8 and last[1] < drawn.shape[1] / 2
    shown = _print(replace(plain, curves={"score": rising}), width=200)
    assert "score -1 to 2.5 over 30 steps" in shown
    in_colour = replace(plain, curves={"score": rising})
    shown = _print(in_colour, width=200, force_terminal=True, color_system="truecolor")
    assert "score -1 \N{LOWER ONE EIGHTH BLOCK}" in shown and "\N{FULL BLOCK} 2.5" in shown


@pytest.mark.parametrize("scale", ["shared", "each"])
def test_maps_share_a_scale_unless_told_otherwise(tmp_path: Path, scale: str) -> None:
    maps = np.ones((2, 6, 6))
    maps[0, 0, 0] = 0
    maps[1] = 0.5
    path = tmp_path / "it.svg"
    drawn = _draw(_explained(maps), tmp_path / "it.png", cmap="viridis", scale=scale)
    _draw(_explained(maps), path, scale=scale)
    strong, half = _places(drawn, 1, "viridis"), _places(drawn, 0.5, "viridis")
    if scale == "shared":
        assert half.shape[1] == pytest.approx(strong.shape[1], rel=0.1)
        assert np.median(half[1]) > strong[1].min() + 200
    else:
        assert half.shape[1] == 0 and np.ptp(strong[1]) > 350
    assert ("<!-- 0 to 0.5 -->" in path.read_text()) == (scale == "each")


def test_a_constant_map_has_a_scale_that_begins_at_zero(tmp_path: Path) -> None:
    explanation = _explained(np.full((1, 6, 6), 3.0))
    drawn = _draw(explanation, tmp_path / "it.png", cmap="viridis")
    assert _places(drawn, 1, "viridis").shape[1] > 10_000
    _draw(explanation, tmp_path / "it.svg")
    numbers = re.findall(r"<!-- ([\d.]+) -->", (tmp_path / "it.svg").read_text())
    assert "0.0" in numbers and "3.0" in numbers and "4.0" not in numbers


def test_ticks_are_at_whole_numbers(tmp_path: Path) -> None:
    for shape in ((4, 4), (1,), (2,)):
        _draw(_explained(np.ones((1, *shape))), tmp_path / "it.svg", scale="each")
        text = (tmp_path / "it.svg").read_text()
        assert "<!-- 0 -->" in text and "0.5" not in re.findall(r"<!-- (.+) -->", text)


def test_the_gaps_of_a_mosaic_are_grey(tmp_path: Path) -> None:
    options: Any = {"cmap": "viridis", "input_cmap": "cool", "volumes": "planes"}
    drawn = _draw(CASES["volume"], tmp_path / "it.png", **options)
    grey = (drawn == 204).all(axis=-1)
    lines = grey.sum(axis=1) > 150
    # Above and below, there are 4 tiles down and so 3 gaps.
    assert (np.diff(lines.astype(int)) == 1).sum() == 6


def test_zero_is_white_where_signs_mean_something(tmp_path: Path) -> None:
    maps = np.zeros((1, 6, 6))
    maps[0, 0, 0], maps[0, 5, 5] = 1.0, -0.5
    drawn = _draw(_explained(maps, signed=True), tmp_path / "it.png", scale="each")
    cell = _places(drawn, 1, DIVERGING).shape[1]
    assert cell > 500
    top, left = _places(drawn, 1, DIVERGING).min(axis=1)
    low, right = _places(drawn, 0.25, DIVERGING).max(axis=1)
    drawn = drawn[top : low + 1, left : right + 1]
    assert _places(drawn, 0.5, DIVERGING).shape[1] == pytest.approx(34 * cell, rel=0.1)
    assert _places(drawn, 0.25, DIVERGING).shape[1] == pytest.approx(cell, rel=0.1)
    assert _places(drawn, 0, DIVERGING).shape[1] == 0, "-0.5 is half as strong as 1"


def test_overlaying(tmp_path: Path) -> None:
    explanation = CASES["four"]
    apart, over, clear = (
        _draw(explanation, tmp_path / "it.png", **options)
        for options in ({}, {"overlay": True}, {"overlay": True, "alpha": 0.0, "scale": "each"})
    )
    assert over.shape[0] < 0.7 * apart.shape[0]
    assert not np.array_equal(over, clear)
    assert _places(clear, 1, "magma").shape[1] == 0


def test_a_coarse_map_is_laid_over_the_whole_of_its_input(tmp_path: Path) -> None:
    maps = np.zeros((1, 2, 2))
    maps[0, 1, 1] = 1
    explanation = _explained(maps, np.zeros((1, 40, 40, 1)))
    options: Any = {"overlay": True, "scale": "each", "cmap": "viridis", "alpha": 1.0}
    drawn = _draw(explanation, tmp_path / "it.png", **options)
    assert _places(drawn, 1, "viridis").shape[1] > 8000
    options["alpha"] = 0.0
    drawn = _draw(explanation, tmp_path / "it.png", input_cmap="cool", **options)
    assert _places(drawn, 0, "cool").shape[1] > 4 * 8000


def test_what_cannot_be_drawn_is_refused(tmp_path: Path) -> None:
    for name, target in (("png", tmp_path / "it.png"), ("terminal", Console(file=io.StringIO()))):
        with pytest.raises(cnnvis.UserError, match=r"nothing to draw.*\(0, 5, 5\)"):
            registry().get("renderer", name).function(
                cnnvis.Explanation(np.zeros((0, 5, 5))), target
            )
    with pytest.raises(cnnvis.UserError, match="lower limit or dpi"):
        _draw(CASES["forty"], tmp_path / "it.png", dpi=20_000)
    assert not (tmp_path / "it.png").exists()


@pytest.mark.parametrize("suffix", [".svg", ".pdf"])
def test_other_formats(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"it{suffix}"
    _draw(CASES["four"], path)
    whole = path.read_bytes()
    assert (b"%PDF" if suffix == ".pdf" else b"<?xml") in whole[:200]
    assert b"guided" in whole, "it says how it was made"


def test_more_maps_than_the_limit_are_said(tmp_path: Path) -> None:
    _draw(CASES["forty"], tmp_path / "it.svg", limit=7)
    assert "the first 7 of 40 maps" in (tmp_path / "it.svg").read_text()


def test_the_heading_names_what_it_was_made_of(tmp_path: Path) -> None:
    _draw(CASES["four"], tmp_path / "it.svg")
    text = (tmp_path / "it.svg").read_text()
    assert "saliency of out$put (backprop guided)" in text
    assert "model.h5, data $x_{$ [red].pkl" in text
    # Means of groups have titles that name no target.
    targets = (cnnvis.Target("output", (1,), class_names=("sweep",)),) * 2
    means = replace(CASES["four"][:2], groups=("a", "b"), targets=targets)
    _draw(means, tmp_path / "it.svg")
    assert "of output[sweep]" in (tmp_path / "it.svg").read_text()


def test_long_titles_are_folded_and_whole(tmp_path: Path) -> None:
    words = [f"word{number}" for number in range(12)]
    explanation = cnnvis.Explanation(np.ones((1, 5, 5)), titles=(" ".join(words),))
    _draw(explanation, tmp_path / "it.svg")
    text = (tmp_path / "it.svg").read_text()
    assert all(word in text for word in words)
    assert " ".join(words) not in text


@pytest.mark.parametrize(
    ("renderer", "option"), [("png", "cmap"), ("png", "input_cmap"), ("terminal", "cmap")]
)
def test_colour_maps_that_are_not_there(renderer: str, option: str) -> None:
    from cnnvis.registry.options import checked

    with pytest.raises(cnnvis.UserError, match=f"^{option} is .*no colour map 'htt'"):
        checked(registry().get("renderer", renderer), {option: "htt"})
    assert checked(registry().get("renderer", renderer), {option: "hot"})[option] == "hot"


def test_no_value_of_a_map_is_lost_between_pixels(tmp_path: Path) -> None:
    maps = np.zeros((1, 30, 700))
    maps[0, :, ::2] = 1
    drawn = _draw(_explained(maps), tmp_path / "it.png", cmap="viridis", dpi=60, scale="each")
    row = drawn[np.median(_places(drawn, 1, "viridis")[0]).astype(int)]
    bright = (row == np.array(colours_named("viridis")(1.0, bytes=True)[:3])).all(axis=-1)
    assert (np.diff(bright.astype(int)) == 1).sum() == 350
    maps = np.zeros((1, 4, 9000))
    maps[0, 2, 4321] = 1  # on fewer pixels, the strongest values are drawn, and that is said
    _draw(_explained(maps), tmp_path / "it.svg", scale="each")
    assert "each dot is the strongest of 1 x 4 values" in (tmp_path / "it.svg").read_text()
    drawn = _draw(_explained(maps), tmp_path / "it.png", cmap="viridis", scale="each")
    assert _places(drawn, 1, "viridis").shape[1] > 0


def test_groups_of_rows_are_named_and_kept_apart_by_lines(tmp_path: Path) -> None:
    names = ("CEU",) * 7 + ("YRI",) * 5
    axis = {"row": cnnvis.Axis(name="individual", values=names)}
    explanation = _explained(np.ones((1, 12, 12)), np.ones((1, 12, 12, 1))).described(axis)
    drawn = _draw(explanation, tmp_path / "it.png", cmap="viridis", scale="each")
    places = _places(drawn, 1, "viridis")
    column = drawn[:, int(np.median(places[1]))]
    yellow = (column == np.array(colours_named("viridis")(1.0, bytes=True)[:3])).all(axis=-1)
    starts, ends = (np.flatnonzero(np.diff(yellow.astype(int)) == step) for step in (1, -1))
    high, low = ends - starts
    assert high / low == pytest.approx(7 / 5, rel=0.05)
    _draw(explanation, tmp_path / "it.svg")
    assert all(f"<!-- {name} -->" in (tmp_path / "it.svg").read_text() for name in ("CEU", "YRI"))


def test_letters_are_as_high_as_their_values() -> None:
    axes = ("position", "channel")
    x = np.eye(4)[[0, 2, 3]][None]
    letters = letters_of(_explained(np.array([[1.0, -2.0, 0.5]]), x), 1)
    assert letters is not None and (letters.names, letters.is_assumed) == (
        ("A", "C", "G", "T"),
        True,
    )
    expected = np.zeros((3, 4))
    expected[[0, 1, 2], [0, 2, 3]] = 1, -2, 0.5
    first = cnnvis.Samples(x.transpose(0, 2, 1), channel_axis=1)
    for samples in (x, first):
        explanation = _explained(np.array([[1.0, -2.0, 0.5]]), samples)
        np.testing.assert_array_equal(letters.heights(explanation, 0), expected)
    own = _explained(np.arange(12.0).reshape(1, 3, 4), x, axes=axes)
    np.testing.assert_array_equal(letters.heights(own, 0), own.array[0])
    named = cnnvis.Samples(x, coordinates={"channel": cnnvis.Axis(values=tuple("TGCA"))})
    found = letters_of(_explained(np.zeros((1, 3)), named), 1)
    assert found is not None and found.names == tuple("TGCA") and not found.is_assumed
    for other in (x * 0.5, x[..., :3], np.ones((1, 3, 4))):
        assert letters_of(_explained(np.zeros((1, 3)), other), 1) is None


def test_the_strongest_windows_have_their_peaks_in_the_middle() -> None:
    values = np.full(20_000, 0.01)
    values[15_000], values[4_000:4_010], values[3] = -3, 1, 0.5
    assert strongest_windows(values, 3, 100) == [(0, 100), (3955, 4055), (14_950, 15_050)]


# What a terminal shows, by its cells.


def test_half_blocks_have_the_colours_of_the_map() -> None:
    maps = np.array([[[0.0, 1.0], [1.0, 0.0]]])
    text = _print(_explained(maps), force_terminal=True, color_system="truecolor", width=20)
    cell = re.compile(r"\x1b\[38;2;(\d+);(\d+);(\d+);48;2;(\d+);(\d+);(\d+)m\N{LOWER HALF BLOCK}")
    lines = [cell.findall(line) for line in text.splitlines()]
    cells = np.array([line for line in lines if line], int)
    # A cell's background is its upper half.
    picture = np.stack([cells[..., 3:], cells[..., :3]], axis=1).reshape(-1, cells.shape[1], 3)
    black, bright = [0, 0, 3], [251, 252, 191]  # the ends of magma
    rows, columns = picture.shape[0] // 2, picture.shape[1] // 2
    assert abs(rows - columns) <= 2, "the picture keeps its shape"
    for part, colour in (
        (picture[: rows - 1, : columns - 1], black),
        (picture[: rows - 1, columns + 1 :], bright),
        (picture[rows + 1 :, : columns - 1], bright),
        (picture[rows + 1 :, columns + 1 :], black),
    ):
        assert part.size and (part == colour).all()


def _lines(explanation: cnnvis.Explanation, **settings: Any) -> list[str]:
    return [line.rstrip() for line in _print(explanation, **settings).splitlines()]


def test_pictures_keep_their_shape_and_use_the_width() -> None:
    for count, least in ((1, 30), (2, 18), (3, 15), (4, 15)):
        text = _print(
            _explained(np.stack([_blob(68, 32)] * count), np.zeros((count, 68, 32, 1))),
            force_terminal=True,
            color_system="truecolor",
        )
        line = max(text.splitlines(), key=lambda line: line.count("\N{LOWER HALF BLOCK}"))
        lines = sum("\N{LOWER HALF BLOCK}" in line for line in text.splitlines())
        beside = count <= 2  # an input and its map
        width = line.count("\N{LOWER HALF BLOCK}") / count / (1 + beside)
        assert width >= least
        assert 2 * lines / (2 - beside) / width == pytest.approx(68 / 32, rel=0.1)


def test_colour_that_is_not_wanted_or_not_there() -> None:
    explanation = CASES["four"]
    coloured = {"force_terminal": True, "color_system": "truecolor"}
    assert not _print(explanation, **coloured).isascii()
    assert _print(explanation, no_color=True, **coloured).isascii()
    console = Console(_environ={"NO_COLOR": "1", "TERM": "xterm-256color"}, **SCREEN)
    assert console.color_system is not None
    registry().get("renderer", "terminal").function(explanation, console)
    assert console.file.getvalue().isascii()  # type: ignore[attr-defined]
    # A terminal that cannot write half blocks.
    old = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    console = Console(file=old, width=80, **coloured)
    registry().get("renderer", "terminal").function(explanation, console)
    old.flush()
    assert b"\x1b[48" not in old.buffer.getvalue()  # type: ignore[attr-defined]


def test_names_cannot_command_a_terminal(tmp_path: Path) -> None:
    samples = cnnvis.Samples(np.zeros((1, 5, 5, 1)), names=("\x1b[2J\udce9\ttab",))
    explanation = cnnvis.Explanation(np.ones((1, 5, 5)), samples, titles=("\x1b]0;title\a",))
    for width in (80, 30):
        text = _print(explanation, width, force_terminal=True, color_system="truecolor")
        assert "\x1b[2J" not in text and "\x1b]" not in text and "\a" not in text
        assert r"\x1b[2J\udce9\ttab" in text
    _draw(explanation, tmp_path / "it.svg")
    assert r"\x1b[2J\udce9\ttab" in (tmp_path / "it.svg").read_text()


def test_bars_are_as_high_as_their_values() -> None:
    profile = np.array([[0, 0.5, 1, 0.25, 0.05, 0]])
    lines = _lines(_explained(profile), force_terminal=True, color_system="truecolor", width=30)
    plain = [re.sub(r"\x1b\[[\d;]*m", "", line).rstrip() for line in lines]
    top = next(number for number, line in enumerate(plain) if line.startswith("1 "))
    eighths = " ▁▂▃▄▅▆▇█"
    heights = np.zeros(6)
    for line in plain[top : top + 5]:
        cells = line[2:].ljust(24)[::4]
        assert line[2:].ljust(24) == "".join(cell * 4 for cell in cells)
        heights += [eighths.index(cell) for cell in cells]
    np.testing.assert_array_equal(heights, np.round(profile[0] * 5 * 8))
    assert plain[top + 4].startswith("0 ")
    assert re.fullmatch(r"  0 +position +5", plain[top + 5])


def test_bars_go_down_where_values_are_negative() -> None:
    lines = _lines(_explained(np.array([[1.0, -0.5, 0.0, -1.0]])), width=30)
    top = next(number for number, line in enumerate(lines) if line.strip().startswith("1 "))
    cells = [line[3:].ljust(24)[::6] for line in lines[top : top + 6]]
    assert cells == ["#   ", "#   ", "#   ", " # #", ' " #', "   #"]
    assert lines[top + 5].startswith("-1 ")


def test_a_bar_of_many_values_is_the_strongest() -> None:
    profile = np.full((1, 1000), 0.01)
    profile[0, 700] = -2
    lines = _lines(_explained(profile))
    assert "each bar is the strongest of up to 13 values" in lines
    lowest = next(line for line in lines if line.startswith("-2 "))
    assert lowest.count("#") == 1
    assert (lowest.index("#") - 3) / 77 == pytest.approx(0.7, abs=0.02)


def test_the_legend_is_of_what_is_shown() -> None:
    maps = np.zeros((1, 64, 64))
    maps[0, ::2, ::2] = 4  # a quarter of all values
    text = _print(_explained(maps, np.zeros((1, 64, 64, 1))), 40)
    assert "mean of about 8 values" in " ".join(text.split())
    legend = next(line for line in text.splitlines() if "[ .:-=+*#%@]" in line)
    low, high = float(legend.split("[")[0]), float(legend.split("]")[1].split()[0])
    assert low == high - 1 == 0
    small = _print(_explained(maps[:, :8, :8]))
    assert "0 [ .:-=+*#%@] 4" in small and "mean" not in small


def test_signs_have_characters_of_their_own() -> None:
    lines = _lines(_explained(np.array([[[-2.0, 0.0], [1.0, 2.0]]])))
    assert lines[2][0] == "@" and set(lines[2][1:].strip()) == {"@"}
    below = lines[2 + lines[2:].index(next(line for line in lines[2:] if "#" in line))]
    assert len(set(below)) == 2 and below[0] == "+" and below[-1] == "#"
    assert "-2 [@Oo-, .:+*#] 2" in lines


def test_the_tiles_of_a_mosaic_stay_apart() -> None:
    channels = np.zeros((1, 4, 40, 40))
    channels[0, 1], channels[0, 2] = 1, 0.5
    explanation = _explained(channels, axes=("channel", "row", "column"))
    lines = _lines(explanation, force_terminal=True, color_system="truecolor", width=40)
    halves = (rf"{layer};2;(\d+;\d+;\d+)[;\d]*m\N{{LOWER HALF BLOCK}}" for layer in (48, 38))
    upper, lower = ([re.findall(half, line) for line in lines] for half in halves)
    first = next(line for line in upper if line)
    gap, bright = "40;80;90", "251;252;191"
    middle = first.index(gap)
    assert first == ["0;0;3"] * middle + [gap] + [bright] * middle
    assert [gap] * len(first) in upper + lower


def test_more_maps_than_are_shown_are_said() -> None:
    assert "the first 8 of 40 maps; the table has all" in _lines(CASES["forty"])
    assert "the first" not in _print(CASES["four"])


def test_the_table_tells_what_and_where() -> None:
    maps = np.zeros((2, 8, 9))
    maps[0, 3, 7], maps[1, 6, 1] = 2.5, 0.001
    samples = cnnvis.Samples(
        np.zeros((9, 8, 9, 1)), np.arange(9) % 2, class_names=("-", "AI")
    ).chosen([5, 8])
    targets = (
        cnnvis.Target("output", (1,), ("AI",), 4.2071, 0.98534),
        cnnvis.Target("output", (0,), ("-",), -3.2, 0.04),
    )
    text = _print(cnnvis.Explanation(maps, samples, targets=targets))
    rows = [line.split() for line in text.splitlines()]
    assert ["5", "AI", "output[AI]", "4.21", "0.985", "0", "2.5", "3,", "7"] in rows
    assert ["8", "-", "output[-]", "-3.2", "0.040", "0", "0.001", "6,", "1"] in rows


def test_the_terminal_says_what_is_input_and_where_the_colours_end() -> None:
    maps = np.random.default_rng(0).random((1, 20, 20))
    maps[0, 2, 3] = 50
    axes = {
        "row": cnnvis.Axis(name="individual", values=("CEU",) * 12 + ("YRI",) * 8),
        "column": cnnvis.Axis(name="site", unit="bp", start=1000, step=500),
    }
    explanation = _explained(maps, np.zeros((1, 20, 20, 1))).described(axes)
    for width in (30, 100):  # the input above the map, and beside it
        text = _print(explanation, width)
        words = text.split()
        assert words.index("input") < words.index("map") < words.index("peak")
        assert "colours to 99.5 %" in text and "colours" in text and "50" in words
        assert "(individual, site (bp))" in " ".join(words) and "CEU 2, 2500" in " ".join(words)


def test_a_map_near_zero_beside_another_says_so(tmp_path: Path) -> None:
    maps = np.stack([_blob(9, 9), 0.001 * _blob(9, 9), np.zeros((9, 9))])
    said = ["near zero: at most 0.0", "zero everywhere"]
    printed = " ".join(_print(_explained(maps), 200).split())
    _draw(_explained(maps), tmp_path / "it.svg", width=4)
    drawn = (tmp_path / "it.svg").read_text()
    assert all(one in text for one in said for text in (printed, drawn))


def test_a_grid_has_a_row_for_each_method_and_a_column_for_each_image(tmp_path: Path) -> None:
    x = RNG.random((3, 6, 6, 1))
    first = _explained(_blob(6, 6)[None].repeat(3, 0), x)
    other = replace(
        _explained(RNG.normal(size=(3, 6, 6)), x)[1:], provenance={"technique": "other"}
    )
    grid = registry().get("renderer", "grid").function
    grid([first, other], tmp_path / "a.grid.svg")
    text = (tmp_path / "a.grid.svg").read_text()
    for said in ("input", "saliency (guided)", "other", "#0 ", "#2 "):
        assert f"<!-- {said}" in text
    assert text.count("<image") == 3 + 3 + 2  # the other method has no map of the first image
    grid([first], tmp_path / "a.grid.svg", limit=2)
    assert (tmp_path / "a.grid.svg").read_text().count("<image") == 4


def test_a_grid_goes_on_below_where_it_is_too_wide(tmp_path: Path) -> None:
    many = _explained(RNG.random((9, 5, 5)), RNG.random((9, 5, 5, 1)))
    few = _explained(RNG.normal(size=(2, 5, 5)))
    grid = registry().get("renderer", "grid").function
    sizes = {}
    for name, options in {
        "wide": {"columns": 9},
        "folded": {"columns": 4},
        "paper": {"page": "paper", "columns": 9},
    }.items():
        grid([many, replace(few, samples=many[:2].samples)], tmp_path / "a.grid.svg", **options)
        text = (tmp_path / "a.grid.svg").read_text()
        assert text.count("<image") == 9 + 9 + 2, "each input and map once"
        wide, high = re.findall(r'width="([\d.]+)pt" height="([\d.]+)pt"', text)[0]
        sizes[name] = float(wide) / 72, float(high) / 72
    assert sizes["folded"][0] < sizes["wide"][0] / 1.8 and sizes["folded"][1] > sizes["wide"][1] * 2
    assert sizes["paper"][0] <= 7


def test_moving_pictures_hold_each_plane_or_map_on_one_scale(tmp_path: Path) -> None:
    move = registry().get("renderer", "gif").function
    volume = np.zeros((1, 5, 8, 8))
    volume[0, 3, 2:4, 2:4] = 1
    explanation = _explained(volume, np.zeros((1, 5, 8, 8, 1)))
    for name in ("a.gif", "a.webp"):
        move(explanation, tmp_path / name, cmap="viridis", size=64)
        with Image.open(tmp_path / name) as moving:
            assert getattr(moving, "n_frames", 1) == 5
            bright = []
            for frame in range(5):
                moving.seek(frame)
                drawn = np.asarray(moving.convert("RGB"), float)
                yellow = np.array(colours_named("viridis")(1.0, bytes=True)[:3])
                bright.append(int((np.abs(drawn - yellow).max(axis=-1) < 12).sum()))
            assert bright[3] == 16 * 16 and sum(bright) == bright[3]
            held = moving.info.get("comment") or moving.getexif()[270].encode()
        assert json.loads(held) == FACTS
    move(CASES["colours in bytes"], tmp_path / "b.gif")
    with Image.open(tmp_path / "b.gif") as moving:
        assert getattr(moving, "n_frames", 1) == 3
    with pytest.raises(cnnvis.UserError, match="have one: take png or curves"):
        move(CASES["profile"], tmp_path / "c.gif")


@pytest.mark.parametrize("shape", [(6, 8), (5, 6, 8), (12, 4)])
def test_frames_of_all_maps_move_side_by_side_and_end_with_the_result(
    shape: tuple[int, ...], tmp_path: Path
) -> None:
    """Nothing but the values, the titles and the curve changes on the way."""
    share = np.array([0.0, 0.5, 1.0]).reshape(1, 3, *[1] * len(shape))
    maps = np.ones((2, 1, *shape)) * share
    explanation = cnnvis.Explanation(
        maps[:, -1], frames=cnnvis.Frames(maps, np.array([0, 3, 9])), are_inputs=True,
        axes=("position", "channel") if shape == (12, 4) else (),
        curves={"score": np.tile(np.arange(9.0), (2, 1))}, provenance=FACTS,
        targets=tuple(cnnvis.Target("out", (k,), None, 1.5) for k in range(2)),
    )  # fmt: skip
    move = registry().get("renderer", "gif").function
    drawn = []
    move(explanation, tmp_path / "a.webp", size=96, rate=10, cmap="gray")
    with Image.open(tmp_path / "a.webp") as moving:
        assert getattr(moving, "n_frames", 1) == 3
        for moment in range(3):
            moving.seek(moment)
            drawn.append(np.asarray(moving.convert("L"), float))
            moving.load()
            assert moving.info["duration"] == (2000 if moment == 2 else 100)
    # Each map is a picture on the left and one on the right, of one colour for each share.
    halves = [np.split(one, [one.shape[1] // 2], axis=1) for one in drawn]
    if len(shape) == 2 and shape != (12, 4):
        for half in range(2):
            inner = [one[half][100:110, 40:60] for one in halves]
            assert [int(np.median(one)) for one in inner] == [0, 128, 255]
    changed = (drawn[0] != drawn[2]).mean()
    assert 0 < changed < 0.8
    # What rose is drawn in black as far as it came.
    bottom = [(one[-70:] == 0).sum() for one in drawn]
    assert bottom[0] < bottom[1] < bottom[2]
    with pytest.raises(cnnvis.UserError, match=r"3 pictures of .* draw fewer maps"):
        move(explanation, tmp_path / "c.webp", size=10**5)
    other = replace(explanation, maps=np.zeros((2, *shape)))
    move(other, tmp_path / "b.webp", size=96, cmap="gray")
    with Image.open(tmp_path / "b.webp") as moving:
        assert getattr(moving, "n_frames", 1) == 4


@pytest.mark.slow
def test_pages_for_paper_and_slides(tmp_path: Path) -> None:
    sizes = {}
    for page in ("screen", "paper", "slides"):
        _draw(CASES["forty"], tmp_path / "it.png", page=page, limit=9)
        with Image.open(tmp_path / "it.png") as picture:
            sizes[page] = (picture.width / picture.info["dpi"][0], picture.info["dpi"][0])
    assert sizes["paper"] == (pytest.approx(6, abs=0.9), pytest.approx(300, abs=1))
    assert sizes["paper"][0] <= 7 < sizes["slides"][0] <= 13.4 < sizes["screen"][0]


RIGHT_TO_LEFT = "\u0633\u0631\u0637\u0627\u0646 \u0627\u0644\u062c\u0647\u0627\u0632 \u0627\u0644\u062a\u0646\u0641\u0633\u064a"
LONG_NAMES = (
    f"{'one word of as many letters as two lines'.replace(' ', '-'):x<64} alpha",
    f"{'one word of as many letters as two lines'.replace(' ', '-'):x<64} bravo",
    "\N{CJK UNIFIED IDEOGRAPH-540D}" * 40 + "a",
    "\N{CJK UNIFIED IDEOGRAPH-540D}" * 40 + "b",
    RIGHT_TO_LEFT,
    "\x1b[31mred\x1b[0m\ttab \u202eturned",
)


@pytest.mark.parametrize("width", [40, 80, 120])
def test_long_names_of_any_script_stay_whole_and_with_their_pictures(width: int) -> None:
    count = len(LONG_NAMES)
    labels = np.arange(count)
    samples = cnnvis.Samples(RNG.random((count, 8, 8, 1)), labels=labels, class_names=LONG_NAMES)
    explanation = cnnvis.Explanation(
        RNG.random((count, 8, 8)), samples, provenance=FACTS, input="the left side"
    )
    text = _print(explanation, width, force_terminal=True, color_system="truecolor")
    lines = re.sub(r"\x1b\[[0-9;]*m", "", text).split("\n")
    assert all(cell_len(line) <= width for line in lines)
    assert "maps of the input the left side:" in lines
    # The columns of each line of titles, which are as wide as the pictures below them.
    ends = [place for place, line in enumerate(lines) if {*line.split()} == {"input"}]
    begins = [place for place, line in enumerate(lines) if line.lstrip("\u200e")[:1] == "#"]
    found = []
    for begin, end in zip(begins, ends, strict=True):
        rows = lines[begin:end]
        assert all(map(str.strip, rows))
        starts = [cell_len(rows[0][: one.start()]) for one in re.finditer("#", rows[0])]
        for left, right in itertools.pairwise([*starts, width]):
            cells = [_cells(row, left, right) for row in rows]
            # Letters from right to left are a run of their own in each column.
            assert all(one[0] == one[-1] == "\u200e" for one in cells if RIGHT_TO_LEFT[0] in one)
            found.append("".join(cells).replace("\u200e", "").replace(" ", ""))
    for name, title in zip(LONG_NAMES, found, strict=True):
        assert cnnvis.printable(name).replace(" ", "") in title
    piped = _print(explanation, width)
    assert "\u200e" not in piped and piped.count("  the left side  ") == count


def _cells(line: str, start: int, end: int) -> str:
    """The part of a line that a terminal shows from a cell to another."""
    places = np.cumsum([0, *map(cell_len, line)])[:-1]
    return "".join(one for one, at in zip(line, places, strict=True) if start <= at < end).strip()


@pytest.mark.parametrize("width", [10, 25])
@pytest.mark.parametrize("most", [1, 2, 3, 5])
def test_names_that_differ_at_their_ends_differ_where_they_are_cut(width: int, most: int) -> None:
    for between in (" ", "-", "", "\N{CJK UNIFIED IDEOGRAPH-540D}"):
        begin = between.join(["carcinoma", "of", "the", "upper", "respiratory", "tract"] * 6)
        cases = [f"{begin}{between}{end}" for end in ("alpha", "bravo")]
        cases += [f"{start}{between}{begin}" for start in ("alpha", "bravo")]
        found = {tuple(folded(one, width, most)) for one in cases}
        assert len(found) == 4
        for lines in found:
            assert len(lines) <= most and all(cell_len(line) <= width for line in lines)
            assert "".join(lines).count("\N{HORIZONTAL ELLIPSIS}") == 1
    novel = f"a{'x' * 10**6}z"
    assert "".join(folded(novel, width, most))[:: width * most + 9] == "a"
    assert folded(novel, width, most)[-1][-1] == "z"
    assert folded("as long", 7, most) == ["as long"]


@pytest.mark.parametrize(
    ("renderer", "ending"),
    [("png", ".png"), ("png", ".svg"), ("grid", ".grid.png"), ("gif", ".gif")],
)
def test_letters_that_no_font_has_are_noted(
    renderer: str, ending: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And those that another font has are drawn with it."""
    unknown = next(chr(one) for one in range(0x4E00, 0x9FFF) if one not in _fonts._usual())
    write = registry().get("renderer", renderer).function
    one = cnnvis.Explanation(np.ones((1, 5, 5)), titles=(f"{unknown} it",), provenance=FACTS)
    monkeypatch.setattr(_fonts, "_others", lambda: ())
    with notes_kept() as notes:
        write([one] if renderer == "grid" else one, tmp_path / f"it{ending}")
    assert any(f"no installed font has the letters {unknown}," in note for note in notes)
    with notes_kept() as notes:
        plain = replace(one, titles=("it \u0633 \u0416",))
        write([plain] if renderer == "grid" else plain, tmp_path / f"it{ending}")
    assert not any("font" in note for note in notes)


def test_a_word_that_is_broken_leaves_no_blank_line() -> None:
    name = f"{'x' * 36} yes"
    assert folded(name, 18) == ["x" * 18, "x" * 18, "yes"]
    assert folded("a\n\nb", 18) == ["a", "", "b"] and folded("", 18) == []


def test_in_a_file_tables_are_not_folded() -> None:
    assert "a" * 90 in _print(CASES["table"])
    assert "a" * 90 not in _print(CASES["table"], force_terminal=True)


def test_characters_grow_with_values() -> None:
    maps = np.linspace(0, 1, 10)[None, None].repeat(5, axis=1)
    text = _print(_explained(maps))
    line = next(line for line in text.splitlines() if " .:-=+*#%@" in line.replace("  ", " "))
    shown = [character for character in line if character in " .:-=+*#%@"]
    order = [" .:-=+*#%@".index(character) for character in "".join(shown).strip()]
    assert order == sorted(order) and order[-1] == 9


def test_where_a_table_is_too_wide_its_rows_are_told_in_words() -> None:
    text = _print(CASES["four"], 40, force_terminal=True, color_system=None)
    whole = " ".join(text.split())
    assert "image 3, label [b]yes, target out$put[1], score 4.5, p 0.500, least" in whole
    assert "peak (row, column) 6, 3" in whole


def test_what_fits_stays_on_one_line() -> None:
    maps, names = np.ones((2, 8, 9)), ("neutral", "AI")
    samples = cnnvis.Samples(np.zeros((2, 8, 9, 1)), np.array([0, 1]), class_names=names)
    targets = tuple(cnnvis.Target("output", (i,), (names[i],), -10.25, 0.985) for i in range(2))
    explanation = cnnvis.Explanation(maps, samples, targets=targets)
    lines = _lines(explanation, force_terminal=True, color_system=None)
    assert [line.split()[:5] for line in lines[-2:]] == [
        ["0", "neutral", "output[neutral]", "-10.2", "0.985"],
        ["1", "AI", "output[AI]", "-10.2", "0.985"],
    ]
    assert any("-10.2 (p 0.985)" in line for line in lines)


def test_renderers_import_nothing_heavy_before_they_draw() -> None:
    program = (
        "import sys, importlib, pkgutil, cnnvis.renderers as room\n"
        "names = [found.name for found in pkgutil.iter_modules(room.__path__)]\n"
        "for name in names: importlib.import_module(f'cnnvis.renderers.{name}')\n"
        "print(len(names), {'matplotlib', 'tensorflow', 'keras', 'PIL'} & set(sys.modules))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True
    )
    count, heavy = done.stdout.split(maxsplit=1)
    assert int(count) >= 3 and heavy.strip() == "set()"


@pytest.mark.slow
def test_drawing_needs_neither_pyplot_nor_tensorflow(tmp_path: Path) -> None:
    program = (
        "import sys, numpy, cnnvis, io\n"
        "from pathlib import Path\n"
        "from rich.console import Console\n"
        "from cnnvis.registry.discovery import registry\n"
        "it = cnnvis.Explanation(numpy.ones((1, 5, 5)))\n"
        "screen = Console(file=io.StringIO(), force_terminal=True, color_system='truecolor')\n"
        "registry().get('renderer', 'terminal').function(it, screen)\n"
        "registry().get('renderer', 'png').function(it, Path(sys.argv[1]))\n"
        "print({'matplotlib.pyplot', 'tensorflow', 'keras'} & set(sys.modules))\n"
    )
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program, str(tmp_path / "it.png")],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert done.stdout.strip() == "set()" and (tmp_path / "it.png").stat().st_size > 1000
