"""What is drawn is what was found, in every form and for every shape."""

from __future__ import annotations

import io
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
from rich.cells import cell_len
from rich.console import Console

import cnnvis
from cnnvis.registry import registry

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
CASES |= {
    f"kernels over {len(shape) - 1} of {shape[-1]} channels": _kernels(4, *shape)
    for space in ((7,), (3, 3), (4, 4, 4))
    for shape in [(*space, channels) for channels in (1, 3, 16, 512)]
}


def _draw(explanation: cnnvis.Explanation, path: Path, **options: Any) -> Any:
    registry().get("renderer", "png").function(explanation, path, **options)
    return None if path.suffix != ".png" else np.asarray(Image.open(path).convert("RGB"), float)


def _print(explanation: cnnvis.Explanation, width: int = 80, **settings: Any) -> str:
    console = Console(file=io.StringIO(), width=width, **settings)
    registry().get("renderer", "terminal").function(explanation, console)
    return console.file.getvalue()  # type: ignore[attr-defined, no-any-return]


@pytest.mark.parametrize("name", CASES)
def test_every_kind_of_result_is_drawn(name: str, tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        drawn = _draw(CASES[name], tmp_path / "it.png", dpi=60, limit=20)
    assert drawn.std() > 5, "a blank picture"
    assert max(drawn.shape) < 3500
    with Image.open(tmp_path / "it.png") as picture:
        assert json.loads(picture.info["cnnvis"]) == FACTS


@pytest.mark.parametrize("options", [{"overlay": True}, {"scale": "each"}, {"tiles": 3}], ids=str)
@pytest.mark.parametrize("name", [name for name in CASES if "table" not in name])
def test_every_kind_of_result_is_drawn_in_other_ways(
    name: str, options: dict[str, Any], tmp_path: Path
) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert _draw(CASES[name], tmp_path / "it.png", dpi=40, limit=3, **options).std() > 5


@pytest.mark.parametrize("width", [20, 40, 80, 200])
@pytest.mark.parametrize("name", CASES)
def test_every_kind_of_result_is_printed(name: str, width: int) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        coloured = _print(CASES[name], width, force_terminal=True, color_system="truecolor")
        plain = _print(CASES[name], width, force_terminal=True, color_system=None)
        piped = _print(CASES[name], width)
    assert "\x1b[" in coloured or "table" in name
    for text in (re.sub(r"\x1b\[[\d;]*m", "", coloured), plain):
        assert max(map(cell_len, text.splitlines())) <= width
        assert "\N{HORIZONTAL ELLIPSIS}" not in text, "something is cut off"
        if CASES[name].samples is not None or CASES[name].table is not None:
            assert "[red]" in re.sub(r"\s+", "", text), "text is not markup"
    for text in (plain, piped):
        assert text.isascii() and "\x1b" not in text


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


def test_a_value_is_drawn_at_its_place_in_its_colour(tmp_path: Path) -> None:
    maps = np.zeros((1, 4, 4))
    maps[0, 0, 3] = 1
    drawn = _draw(_explained(maps), tmp_path / "it.png", cmap="gray", dpi=100)
    bright = _draw(_explained(1 - maps), tmp_path / "other.png", cmap="gray", dpi=100)
    changed = np.abs(drawn - bright).sum(axis=-1) > 300
    rows, columns = np.nonzero(changed)
    whole = drawn[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]
    corner = whole[2 : len(whole) // 4 - 2, -(whole.shape[1] // 4) + 2 : -2]
    assert (corner == 255).all(), "the one is white, in the upper right corner"
    assert (whole[len(whole) // 2 :, 2:-2] < 40).mean() > 0.9


@pytest.mark.parametrize(("scale", "alike"), [("shared", False), ("each", True)])
def test_maps_share_a_scale_unless_told_otherwise(tmp_path: Path, scale: str, alike: bool) -> None:
    strong = _blob(20, 20)
    maps = np.stack([strong, strong / 4])
    drawn = _draw(_explained(maps), tmp_path / "it.png", cmap="viridis", scale=scale)
    yellow = np.abs(drawn - np.array([253, 231, 37])).max(axis=-1) < 30
    columns = np.nonzero(yellow[:, : int(drawn.shape[1] * 0.74)])[1]
    halves = {bool(column > drawn.shape[1] * 0.4) for column in columns}
    assert halves == ({False, True} if alike else {False})


def test_zero_is_white_where_signs_mean_something(tmp_path: Path) -> None:
    maps = np.zeros((1, 6, 6))
    maps[0, 0, 0], maps[0, 5, 5] = 1.0, -0.5
    drawn = _draw(_explained(maps, signed=True), tmp_path / "it.png")
    red = np.abs(drawn - np.array([103, 0, 31])).max(axis=-1) < 5
    assert red.any()
    deepest_blue = np.abs(drawn - np.array([5, 48, 97])).max(axis=-1) < 5
    # Only the colour bar reaches it: -0.5 is half as strong as 1.
    assert deepest_blue[:, : int(drawn.shape[1] * 0.57)].sum() == 0


def test_overlaying(tmp_path: Path) -> None:
    explanation = CASES["four"]
    apart, over = (
        _draw(explanation, tmp_path / f"{overlay}.png", overlay=overlay)
        for overlay in (False, True)
    )
    assert over.shape[0] < 0.7 * apart.shape[0]
    assert not np.array_equal(
        over, _draw(explanation, tmp_path / "clear.png", overlay=True, alpha=0.1)
    )


@pytest.mark.parametrize("suffix", [".svg", ".pdf"])
def test_other_formats(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"it{suffix}"
    _draw(CASES["four"], path)
    start = path.read_bytes()[:200]
    assert (b"%PDF" if suffix == ".pdf" else b"<?xml") in start


def test_more_maps_than_the_limit_are_said(tmp_path: Path) -> None:
    _draw(CASES["forty"], tmp_path / "it.svg", limit=7)
    assert "the first 7 of 40 maps" in (tmp_path / "it.svg").read_text()


@pytest.mark.parametrize("renderer", ["png", "terminal"])
def test_colour_maps_that_are_not_there(renderer: str) -> None:
    from cnnvis.options import checked

    with pytest.raises(cnnvis.UserError, match="no colour map 'htt'"):
        checked(registry().get("renderer", renderer), {"cmap": "htt"})
    assert checked(registry().get("renderer", renderer), {"cmap": "hot"})["cmap"] == "hot"


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
