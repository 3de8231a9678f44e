"""Transforms, against formulas and by what they promise."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy import ndimage

import cnnvis
from cnnvis.data.stream import Stream
from cnnvis.registry.discovery import registry
from cnnvis.registry.options import checked

RNG = np.random.default_rng(0)
X = RNG.normal(size=(5, 12, 10, 2))
Y = np.array([0, 1, 0, 1, 1])
SAMPLES = cnnvis.Samples(X, Y, class_names=("no", "yes"))


def _maps(*shape: int, **facts: Any) -> cnnvis.Explanation:
    maps = np.random.default_rng(1).normal(size=(5, *shape))
    return cnnvis.Explanation(maps, SAMPLES, **facts)


def _run(name: str, explanation: Any, **options: Any) -> cnnvis.Explanation:
    plugin = registry().get("transform", name)
    chosen = checked(plugin, options)
    if plugin.takes("stream"):
        halves = (
            [explanation[[0, 1]], explanation[[2, 3, 4]]]
            if len(explanation) == 5
            else [explanation]
        )
        answer = plugin.function(Stream(lambda: halves), **chosen)
        if isinstance(answer, cnnvis.Explanation):
            return answer
        return cnnvis.Explanation.joined(list(answer))
    found = plugin.function(explanation, **chosen)
    assert isinstance(found, cnnvis.Explanation)
    return found


@pytest.mark.parametrize("shape", [(12, 10), (12,), (4, 5, 6)])
def test_smoothing_leaves_images_and_channels_apart(shape: tuple[int, ...]) -> None:
    one = _maps(*shape)
    found = _run("smooth", one, sigma=1.5)
    for before, after in zip(one.array, found.array, strict=True):
        expected = ndimage.gaussian_filter(before, 1.5, mode="nearest")
        np.testing.assert_allclose(after, expected, atol=1e-6)
    coloured = _maps(12, 10, 3, axes=("row", "column", "channel"))
    found = _run("smooth", coloured, sigma=1.0)
    alone = _run("smooth", _maps(12, 10).with_maps(coloured.array[..., 1]), sigma=1.0)
    np.testing.assert_allclose(found.array[..., 1], alone.array, atol=1e-6)
    np.testing.assert_array_equal(_run("smooth", one, sigma=0).array, one.array)


def test_normalizing() -> None:
    one = _maps(12, 10)
    each = _run("normalize", one).array
    assert each.min(axis=(1, 2)).tolist() == [0] * 5 and each.max(axis=(1, 2)).tolist() == [1] * 5
    shared = _run("normalize", one, how="shared").array
    spread = np.ptp(one.array)
    np.testing.assert_allclose(shared, (one.array - one.array.min()) / spread, atol=1e-6)
    symmetric = _run("normalize", one, how="symmetric")
    largest = abs(one.array).max(axis=(1, 2), keepdims=True)
    np.testing.assert_allclose(symmetric.array, one.array / largest, atol=1e-6)
    assert symmetric.is_signed
    cut = _run("normalize", one, how="percentile", percent=50).array
    assert (abs(cut) == 1).sum() == pytest.approx(cut.size / 2, rel=0.02)
    blank = _run("normalize", one.with_maps(np.zeros((5, 12, 10)))).array
    assert not blank.any()


def test_keeping_the_strongest() -> None:
    one = _maps(12, 10)
    found = _run("top", one, percent=10).array
    assert (np.count_nonzero(found, axis=(1, 2)) == 12).all()
    for before, kept in zip(abs(one.array), found != 0, strict=True):
        assert before[kept].min() >= before[~kept].max()
    np.testing.assert_array_equal(
        _run("threshold", one, at=1.0).array, np.where(abs(one.array) >= 1, one.array, 0)
    )
    np.testing.assert_array_equal(_run("absolute", one).array, abs(one.array))


def test_combining_maps_with_and_without_channels() -> None:
    wide = _maps(12, 10, 3, axes=("row", "column", "channel"))
    flat = _maps(12, 10)
    for name, operation in (("multiply", np.multiply), ("add", np.add)):
        for pair in ((wide, flat), (flat, wide)):
            found = _run(name, list(pair))
            np.testing.assert_allclose(found.array, operation(wide.array, flat.array[..., None]))
            assert found.axes == wide.axes and found.samples is SAMPLES
    with pytest.raises(cnnvis.UserError, match=r"do not fit together; resize or project"):
        _run("multiply", [flat, _maps(6, 5)])
    with pytest.raises(cnnvis.UserError, match="do not fit together"):
        _run("multiply", [flat, _maps(12)])


def test_selecting() -> None:
    one = _maps(12, 10, 3, axes=("row", "column", "channel"))
    found = _run("select", one, label="yes")
    np.testing.assert_array_equal(found.array, one.array[Y == 1])
    assert found.samples is not None and found.samples.indices.tolist() == [1, 3, 4]
    found = _run("select", one, channel=1)
    np.testing.assert_array_equal(found.array, one.array[..., 1])
    assert found.axes == ("row", "column")
    found = _run("select", one, axis="column", at="2:6")
    np.testing.assert_array_equal(found.array, one.array[:, :, 2:6])
    assert found.samples is not None
    np.testing.assert_array_equal(found.samples.x, X[:, :, 2:6])
    assert found.coordinates["column"].at(1) == "3"  # counted as before
    named = one.described({"column": cnnvis.Axis("time")})
    found = _run("select", named, axis="time", at="2:6")
    np.testing.assert_array_equal(found.array, one.array[:, :, 2:6])
    with pytest.raises(cnnvis.UserError, match=r"they have: row, column \(time\), channel"):
        _run("select", named, axis="depth", at="1")
    found = _run("select", one, axis="row", at="-1")
    np.testing.assert_array_equal(found.array, one.array[:, -1])
    for options, sentence in (
        ({"label": "maybe"}, "no class 'maybe'.* There are: no, yes"),
        ({"channel": 7}, "axis channel has 3 positions, and no position at 7"),
        ({"axis": "depth", "at": "1"}, "no axis 'depth'; they have: row, column, channel"),
        ({"axis": "row"}, "--axis and --at together"),
        ({"axis": "row", "at": "x"}, "must be a position"),
    ):
        with pytest.raises(cnnvis.UserError, match=sentence):
            _run("select", one, **options)


@pytest.mark.parametrize("how", ["mean", "max", "min", "sum"])
def test_projecting(how: str) -> None:
    one = cnnvis.Explanation(RNG.normal(size=(2, 4, 5, 6)))
    for axis, place in (("plane", 1), ("row", 2), ("column", 3)):
        found = _run("project", one, axis=axis, how=how)
        np.testing.assert_allclose(found.array, getattr(one.array, how)(axis=place), rtol=1e-6)
        assert axis not in found.axes and len(found.axes) == 2


def test_resizing_to_the_input() -> None:
    small = _maps(6, 5)
    found = _run("resize", small, order=0)
    np.testing.assert_array_equal(found.array, small.array.repeat(2, axis=1).repeat(2, axis=2))
    found = _run("resize", small)
    assert found.array.shape == (5, 12, 10)
    ramp = np.tile(np.arange(6.0)[:, None], (1, 5))
    ramped = _run("resize", small.with_maps(np.stack([ramp] * 5))).array[0, :, 0]
    np.testing.assert_allclose(np.diff(ramped)[1:-1], 0.5, atol=1e-6)
    with pytest.raises(cnnvis.UserError, match="1 spatial axes cannot be resized to"):
        _run("resize", _maps(6))


# Axes and what their positions stand for


AXES = {
    "column": {"name": "position", "unit": "bp", "start": 100, "step": 50},
    "row": {"values": ["a"] * 7 + ["b"] * 5},
}


def test_axes_are_kept_right(classifier: Any, images: Any, tmp_path: Any) -> None:
    found = cnnvis.run("saliency", classifier, data=images, filter=0, axes=AXES)
    assert found.coordinates["column"].label("column") == "position (bp)"
    assert found.coordinates["column"].at(3) == "250"
    assert found.coordinates["row"].runs() == [(3.0, "a"), (9.0, "b")]
    found.save(tmp_path / "maps.npz")
    assert cnnvis.Explanation.load(tmp_path / "maps.npz").coordinates == found.coordinates
    piece = _run("select", found, axis="column", at="4:8")
    assert piece.coordinates["column"].at(0) == "300"
    assert _run("project", found, axis="row").coordinates.keys() == {"column"}
    rows = _run("select", found, axis="row", at="6:9").coordinates["row"].values
    assert rows == ("a", "b", "b")
    (mean,) = cnnvis.chain(
        classifier, ["saliency", ("average", {"by": "all"})], data=images, axes=AXES
    )
    assert mean.coordinates == found.coordinates


@pytest.mark.parametrize(
    ("axes", "sentence"),
    [
        ({"colum": {}}, r"no axis 'colum'\. Did you mean 'column'"),
        ({"column": {"unti": "bp"}}, r"no 'unti'\. Did you mean 'unit'"),
        ({"column": {"step": "wide"}}, "step of the axis column cannot be 'wide'"),
        ({"column": 3}, "described by a table, and not by 3"),
        ({"row": {"values": ["a", "b"]}}, "axis row is described by 2 values, and has 12"),
    ],
)
def test_axes_that_are_described_wrongly(
    classifier: Any, images: Any, axes: Any, sentence: str
) -> None:
    with pytest.raises(cnnvis.UserError, match=sentence):
        cnnvis.run("saliency", classifier, data=images, filter=0, axes=axes)


def test_renderers_write_coordinates(classifier: Any, images: Any, tmp_path: Any) -> None:
    import io

    from rich.console import Console

    found = cnnvis.run("saliency", classifier, data=images[:2], filter=0, axes=AXES)
    registry().get("renderer", "png").function(found, tmp_path / "maps.svg")
    drawn = (tmp_path / "maps.svg").read_text()
    assert "position (bp)" in drawn and "<!-- a -->" in drawn and "<!-- b -->" in drawn
    profile = _run("project", found, axis="row")
    console = Console(file=io.StringIO(), width=80)
    registry().get("renderer", "terminal").function(profile, console)
    text = console.file.getvalue()  # type: ignore[attr-defined]
    assert "position (bp)" in text and "100" in text and "550" in text


@pytest.mark.parametrize(("name", "operation"), [("multiply", np.multiply), ("add", np.add)])
def test_two_results_go_together_by_image_and_by_group(name: str, operation: Any) -> None:
    one, other = _maps(6, 5), _maps(6, 5).with_maps(RNG.normal(size=(5, 6, 5)))
    turned = other[[3, 0, 4, 1, 2]]
    found = _run(name, [one, turned])
    np.testing.assert_allclose(found.array, operation(one.array, other.array), rtol=1e-6)
    assert found.indices is not None and found.indices.tolist() == [0, 1, 2, 3, 4]
    for some in ([0, 1, 2, 3], [0, 1]):
        with pytest.raises(cnnvis.UserError, match="of different images, the first of 0, 1, 2, 3"):
            _run(name, [one[[0, 1, 2, 3]], other[[4, *some[1:]]]])
    groups = cnnvis.Explanation(RNG.normal(size=(3, 6, 5)), groups=("a", "b", "c"))
    others = cnnvis.Explanation(RNG.normal(size=(3, 6, 5)), groups=("c", "a", "b"))
    found = _run(name, [groups, others])
    expected = operation(groups.array, others.array[[1, 2, 0]])
    np.testing.assert_allclose(found.array, expected, rtol=1e-6)
    assert found.groups == ("a", "b", "c")
    for strange in (("a", "b", "d"), ("a", "b")):
        with pytest.raises(cnnvis.UserError, match="of different groups, the first of a, b, c"):
            _run(name, [groups, cnnvis.Explanation(np.ones((len(strange), 6, 5)), groups=strange)])
    whole = cnnvis.Explanation(np.full((1, 6, 5), 2.0), groups=("all",))
    for pair in ([groups, whole], [whole, groups]):
        found = _run(name, pair)
        assert found.groups == ("a", "b", "c")
        np.testing.assert_allclose(found.array, operation(groups.array, 2), rtol=1e-6)
