"""Scales and colours of pictures: robust, said, and fit for what is shown."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from skimage.color import rgb2lab

import cnnvis
from cnnvis.renderers._look import BRIGHT, DARK, DIVERGING, colours_named, look_of

RNG = np.random.default_rng(0)


def _look(
    maps: Any, x: Any = None, *, names: Any = None, signed: Any = None, **options: Any
) -> Any:
    samples = None if x is None else cnnvis.Samples(np.asarray(x), names=names)
    explanation = cnnvis.Explanation(np.asarray(maps), samples, signed=signed)
    pairs = cnnvis.panels(explanation)
    return look_of(explanation, pairs, **options), pairs


def test_a_single_large_value_does_not_set_the_scale() -> None:
    maps = RNG.random((2, 40, 40))
    maps[0, 3, 3] = 1000
    look, pairs = _look(maps)
    assert look.whole.high < 1 and (look.whole.most, look.whole.extends) == (1000, "max")
    assert look.whole.said == ["colours to 99.5 %", "values 0 to 1e+03"]
    for scale, high in (("shared", 1000), ("percentile", look.whole.high)):
        assert _look(maps, scale=scale)[0].scale(pairs[1].map).high == high
    for scale, high in (("each", maps[1].max()), ("each-percentile", np.percentile(maps[1], 99.5))):
        own, _ = _look(maps, scale=scale)
        assert own.scale(pairs[1].map).high == pytest.approx(high, rel=0.01)
        assert "values" in own.title(pairs[1].map) or scale == "each"


def test_the_percentile_is_of_each_map_and_not_of_the_blank_ones_beside_it() -> None:
    maps = np.zeros((40, 20, 20))
    maps[0], maps[2] = RNG.random((20, 20)), 0.001
    look, pairs = _look(maps)
    assert look.whole.high > 0.9
    assert "near zero: at most 0.001" in look.title(pairs[2].map)
    assert look.title(pairs[1].map) == "zero everywhere"
    assert "near zero" not in look.title(pairs[0].map)


def test_almost_equal_values_keep_the_scale_of_the_extremes() -> None:
    maps = np.zeros((1, 40, 40))
    maps[0, 0, 0] = 3
    look, _ = _look(maps)
    assert (look.whole.low, look.whole.high) == (0, 3)


def test_zero_is_in_the_middle_of_equal_steps_of_colour() -> None:
    maps = np.linspace(-1, 3, 400).reshape(1, 20, 20)
    look, _ = _look(maps)
    assert look.cmap == DIVERGING and look.whole.low == -look.whole.high
    lab = rgb2lab(colours_named(DIVERGING)(np.linspace(0, 1, 17))[None, :, :3])[0]
    steps = np.linalg.norm(np.diff(lab, axis=0), axis=1)
    assert np.ptp(steps[:8]) < 0.1 * steps.mean() and np.ptp(steps[8:]) < 0.1 * steps.mean()
    assert lab[8, 0] == pytest.approx(100) and lab[0, 0] == pytest.approx(lab[-1, 0], abs=1)


@pytest.mark.parametrize(
    ("x", "names", "cmap"),
    [
        (RNG.integers(0, 256, (2, 8, 8, 1), np.uint8), None, BRIGHT),
        (RNG.normal(size=(2, 8, 8, 1)), None, BRIGHT),
        (RNG.integers(0, 2, (2, 8, 8, 1), np.uint8), ("a.png", "b.png"), BRIGHT),
        (RNG.integers(0, 2, (2, 4, 8, 8, 1), np.uint8), None, BRIGHT),
        (RNG.integers(0, 2, (2, 8, 8, 1), np.uint8), None, DARK),
        (RNG.integers(-1, 3, (2, 8, 8, 1)).astype(float), None, DARK),
        (np.eye(4)[RNG.integers(0, 4, (2, 8))], None, DARK),
    ],
)
def test_photographs_are_bright_on_dark_and_genotypes_dark_on_light(
    x: Any, names: Any, cmap: str
) -> None:
    maps = np.zeros((2, *x.shape[1:-1]))
    assert _look(maps, x, names=names)[0].input_cmap == cmap
    assert _look(maps, x, names=names, input_cmap="hot")[0].input_cmap == "hot"


def test_a_map_over_its_input_is_opaque_where_it_is_strong() -> None:
    maps = np.array([[[0.0, 0.25], [-1.0, 1.0]]])
    look, pairs = _look(maps, np.zeros((1, 2, 2, 3)))
    veil = look.veil_pixels(pairs[0].map, 0.8)
    np.testing.assert_array_equal(veil[..., 3], [[0, 102], [204, 204]])
    np.testing.assert_array_equal(veil[..., :3], look.map_pixels(pairs[0].map)[..., :3])
    assert look.input_pixels(pairs[0].input).shape == (2, 2, 4)
