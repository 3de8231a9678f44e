"""Integrated gradients add up to the change of the score, or say by how much they do not."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import cnnvis
from cnnvis.registry.discovery import Registry, using


def _kinked(keras: Any, slope: float, place: float) -> Any:
    """A network with the score slope * max(x - place, 0) - slope * max(x - place - 1 / slope, 0).

    On the way from 0 to 1 it is flat but for a piece as short as 1 / slope, which few steps miss or
    hit as they fall.
    """
    layers = keras.layers
    x = keras.Input((1,))
    value = layers.Dense(2, "relu")(x)
    network = keras.Model(x, layers.Dense(1, use_bias=False, name="output")(value))
    bias = [-slope * place, -slope * place - 1]
    network.set_weights([np.full((1, 2), slope), np.array(bias), np.array([[1.0], [-1.0]])])
    return network


@pytest.mark.slow
def test_steps_grow_until_the_sum_is_right(keras: Any) -> None:
    network = _kinked(keras, 30.0, 0.3711)
    x = np.array([[1.0], [0.2], [0.9]], np.float32)  # the second stays before the kink
    plain = cnnvis.run("integrated-gradients", network, data=x, most_steps=50)
    assert (plain.measures["steps"] == 50).all()
    off = plain.measures["completeness_gap"]
    np.testing.assert_allclose(off[[0, 2]], abs(plain.array[[0, 2], 0] - 1), rtol=1e-4)
    assert off.max() > 0.05
    (said,) = (note for note in plain.notes if "not complete" in note)
    assert said.startswith("integrated-gradients is not complete for 2 of 3 maps: with 50 steps")
    assert f"still off by {off.max():.1%}; --most-steps 200 may do" in said

    found = cnnvis.run("integrated-gradients", network, data=x)
    np.testing.assert_allclose(found.array[:, 0], [1, 0, 1], atol=0.01)
    assert found.measures["completeness_gap"].max() <= 0.01
    assert found.measures["steps"].max() > 50 and found.measures["steps"][1] == 50
    assert not any("not complete" in note for note in found.notes)
    largest = int(found.measures["steps"].max())
    assert any(f"with 50 to {largest} steps a map" in note for note in found.notes)
    assert found.provenance["measures"]["steps"] == {"smallest": 50, "largest": largest}
    bound = re.findall(r"adds up within (\d+\.\d)%$", found.title(0))
    gap = 100 * found.measures["completeness_gap"][0]
    assert len(bound) == 1 and float(bound[0]) - 0.1 <= gap <= float(bound[0])

    fine = cnnvis.run("integrated-gradients", network, data=x, tolerance=1e-3, most_steps=10**5)
    assert fine.measures["completeness_gap"].max() <= 1e-3
    for place in (0, 2):  # an image takes the steps that it takes, whatever others there are
        alone = cnnvis.run("integrated-gradients", network, data=x, images=[place])
        assert alone.measures["steps"] == found.measures["steps"][[place]]
        np.testing.assert_array_equal(alone.array[0], found.array[place])


@pytest.mark.parametrize(
    ("settings", "baselines"),
    [({"filter": 0, "baseline": 0.0}, 32), ({"baseline": 0.0}, 40), ({"filter": 0, "baseline": "blur"}, 40)],
    ids=["one target", "two targets", "a baseline for each"],
)  # fmt: skip
def test_no_more_passes_are_made_than_scores_are_new(
    keras: Any, passes: list[int], settings: dict[str, Any], baselines: int
) -> None:
    """One of the images, one of the baseline, fewer where all share it, and the gradients."""
    layers = keras.layers
    network = keras.Sequential(
        [layers.Input((5, 1)), layers.Flatten(), layers.Dense(2, "softmax", name="output")]
    )
    network.set_weights(
        [np.stack([np.linspace(-1, 1, 5), np.linspace(1, -1, 5)], axis=1), np.array([0.1, 0.2])]
    )
    x = np.random.default_rng(0).normal(size=(40, 5, 1)).astype(np.float32)
    found = cnnvis.run("integrated-gradients", network, data=x, checks="none", **settings)
    assert sorted(passes) == sorted([40, baselines, 40])
    assert found.measures["completeness_gap"].max() < 1e-4


def test_contributions_that_cancel_out_are_measured_by_their_sizes(keras: Any) -> None:
    layers = keras.layers
    network = keras.Sequential([layers.Input((2,)), layers.Dense(1, use_bias=False, name="output")])
    network.set_weights([np.array([[3.0], [-3.0]])])
    found = cnnvis.run("integrated-gradients", network, data=np.ones((1, 2), np.float32))
    np.testing.assert_allclose(found.array, [[3, -3]], rtol=1e-6)
    assert found.measures["completeness_gap"] < 1e-4 and found.measures["steps"] == 50


def test_what_scores_are_rounded_by_is_no_reason_for_more_steps(keras: Any) -> None:
    layers = keras.layers
    network = keras.Sequential([layers.Input((2,)), layers.Dense(1, name="output")])
    network.set_weights([np.array([[0.33], [0.7]]), np.array([1e6])])
    found = cnnvis.run("integrated-gradients", network, data=np.ones((1, 2), np.float32))
    assert found.measures["steps"] == 50
    assert not any("not complete" in note for note in found.notes)


@pytest.mark.parametrize("baseline", [0.0, 0.5])
def test_several_inputs_move_one_by_one_or_all_together(keras: Any, baseline: float) -> None:
    """For the score a b, from (c, c): held, a changes (a - c) b; together both change a b - c^2."""
    layers = keras.layers
    a, b = keras.Input((1,), name="a"), keras.Input((1,), name="b")
    times = layers.Multiply()([a, b])
    network = keras.Model([a, b], layers.Dense(1, kernel_initializer="ones", name="output")(times))
    data = {"a": np.array([[2.0], [3.0]], np.float32), "b": np.array([[5.0], [-1.0]], np.float32)}
    one = cnnvis.run("integrated-gradients", network, data=data, baseline=baseline)
    np.testing.assert_allclose(one.array, (data["a"] - baseline) * data["b"], rtol=1e-5)
    assert any("while the others are held; --moving all" in note for note in one.notes)
    every = cnnvis.run("integrated-gradients", network, data=data, baseline=baseline, moving="all")
    total = every.array + every.other_inputs[0].array
    np.testing.assert_allclose(total, data["a"] * data["b"] - baseline**2, rtol=1e-5)
    if baseline == 0:
        np.testing.assert_allclose(every.array, data["a"] * data["b"] / 2, rtol=1e-5)
    assert max(one.measures["completeness_gap"]) < 1e-5
    assert max(every.measures["completeness_gap"]) < 1e-5
    assert not any("are held" in note for note in every.notes)


def test_other_techniques_that_claim_completeness_are_measured_too(keras: Any) -> None:
    @cnnvis.technique("half", claims={"complete": {"whole": False}})
    def half(
        model: cnnvis.Model, samples: cnnvis.Samples, *, whole: bool = False
    ) -> cnnvis.Explanation:
        """Gradient times input, of which a quarter is lost.

        Parameters
        ----------
        whole
            Add nothing up.
        """
        maps = 0.75 * model.input_gradient(samples.x) * samples.x
        return cnnvis.Explanation(maps, samples)

    known = Registry(only=[])
    known.add(cnnvis.plugin_of(half))
    network = keras.Sequential(
        [keras.layers.Input((4,)), keras.layers.Dense(1, use_bias=False, name="output")]
    )
    with using(known):
        data = np.abs(np.random.default_rng(0).normal(size=(3, 4))).astype(np.float32)
        network.set_weights([np.ones((4, 1))])
        found = cnnvis.run("half", network, data=data)
        np.testing.assert_allclose(found.measures["completeness_gap"], 0.25, rtol=1e-5)
        assert any(
            "half does not add up to the change of the score" in note for note in found.notes
        )
        assert cnnvis.run("half", network, data=data, whole=True).measures == {}


@pytest.mark.slow
def test_measures_go_with_their_maps(keras: Any, tmp_path: Path) -> None:
    network = _kinked(keras, 30.0, 0.3711)
    x = np.array([[1.0], [0.2], [0.9], [0.8]], np.float32)
    found = cnnvis.run("integrated-gradients", network, data=x)
    steps = found.measures["steps"]
    np.testing.assert_array_equal(found[[2, 0]].measures["steps"], steps[[2, 0]])
    found.save(tmp_path / "maps.npz")
    loaded = cnnvis.Explanation.load(tmp_path / "maps.npz")
    assert loaded.measures.keys() == found.measures.keys()
    np.testing.assert_array_equal(loaded.measures["steps"], steps)
    (smooth,) = cnnvis.chain(network, ["integrated-gradients", "absolute"], data=x)
    assert smooth.measures == {}  # what was measured was not of these maps
    into = tmp_path / "maps.run"
    for resume in (False, True):
        kept = cnnvis.run(
            "integrated-gradients", network, data=x, into=into, shard_size=2, resume=resume
        )
        np.testing.assert_array_equal(kept.measures["steps"], steps)
    (mean,) = cnnvis.chain(network, ["integrated-gradients", ("average", {"by": "all"})], data=x)
    assert mean.measures == {} and mean.array.shape == (1, 1)
