"""Baselines: what stands for the absence of what is explained, the same for every method."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import cnnvis
from cnnvis.registry.discovery import Registry, using


@pytest.fixture
def linear(keras: Any) -> Any:
    """The score w x + b over five positions with two channels."""
    layers = keras.layers
    network = keras.Sequential([
        layers.Input((5, 2)),
        layers.Conv1D(1, 1, use_bias=False),
        layers.Flatten(),
        layers.Dense(1, name="output"),
    ])  # fmt: skip
    kernel, dense = np.array([[[0.5], [-2.0]]]), np.arange(1, 6)[:, None] / 5
    network.set_weights([kernel, dense, np.array([0.25])])
    return network


def _weights(network: Any) -> Any:
    kernel, dense, _ = network.get_weights()
    return dense * kernel[0, :, 0]


@pytest.fixture
def data() -> Any:
    x = np.random.default_rng(4).normal(size=(12, 5, 2)).astype(np.float32)
    return x, np.arange(12) % 3


def _explained(network: Any, data: Any, **options: Any) -> cnnvis.Explanation:
    options = {"class_names": ["ant", "bee", "cat"], "images": [0, 5], **options}
    return cnnvis.run("integrated-gradients", network, data=data, **options)


def _expected(network: Any, x: Any, start: Any) -> Any:
    """w (x - x'), the integrated gradients of a linear score, exactly."""
    return _weights(network) * (x[[0, 5]] - start)


def test_each_baseline_is_what_its_name_says(linear: Any, data: Any) -> None:
    x, labels = data
    starts: dict[str | float, Any] = {
        "zero": 0,
        0.5: 0.5,
        "-0.5": -0.5,
        "mean": x.mean(axis=0),
        "class:bee": x[labels == 1].mean(axis=0),
        "class:1": x[labels == 1].mean(axis=0),
        "sample:3": x[3],
        "sample:-1": x[-1],
    }
    for name, start in starts.items():
        found = _explained(linear, data, baseline=name)
        np.testing.assert_allclose(found.array, _expected(linear, x, start), atol=1e-5)
        assert found.measures["completeness_gap"].max() < 1e-4
        assert found.provenance["options"]["baseline"] == name


def test_the_mean_is_of_the_whole_data_and_not_of_the_chosen(linear: Any, data: Any) -> None:
    few = _explained(linear, data, baseline="mean", images=[0])
    many = _explained(linear, data, baseline="mean", images="all")
    np.testing.assert_array_equal(few.array[0], many.array[0])


def test_an_image_has_its_own_blur_and_noise(linear: Any, data: Any) -> None:
    x, _ = data
    for name in ("blur", "blur:2", "noise", "noise:7"):
        together = _explained(linear, data, baseline=name, images=[0, 5])
        alone = _explained(linear, data, baseline=name, images=[5])
        np.testing.assert_allclose(together.array[1], alone.array[0], atol=1e-6)
    noise = _explained(linear, data, baseline="noise").array
    assert not np.allclose(noise, _explained(linear, data, baseline="noise:7").array)
    start = x[[0, 5]] - noise / _weights(linear)
    low, high = x[[0, 5]].min(axis=(1, 2)), x[[0, 5]].max(axis=(1, 2))
    assert (start.min(axis=(1, 2)) > low - 1e-5).all() and (
        start.max(axis=(1, 2)) < high + 1e-5
    ).all()


def test_noise_is_that_of_the_values_however_they_lie_in_memory() -> None:
    from cnnvis.plugins.baselines.noise import noise

    x = np.random.default_rng(0).normal(size=(3, 4, 5, 2)).astype(np.float32)
    expected = noise(cnnvis.Samples(x), "2")
    turned = np.ascontiguousarray(x.transpose(2, 3, 1, 0)).transpose(3, 2, 0, 1)
    for same in (np.asfortranarray(x), turned, x.astype(np.float64), x[:, ::-1][:, ::-1]):
        np.testing.assert_array_equal(noise(cnnvis.Samples(same), "2"), expected)
    first = noise(cnnvis.Samples(np.moveaxis(x, -1, 1), channel_axis=1), "2")
    np.testing.assert_array_equal(np.moveaxis(first, 1, -1), expected)


def test_blur_leaves_channels_apart_and_what_is_even(linear: Any) -> None:
    even = np.ones((1, 5, 2), np.float32) * [1.0, -3.0]
    with pytest.raises(cnnvis.UserError, match="zero everywhere"):  # nothing is blurred away
        cnnvis.run("integrated-gradients", linear, data=even.astype(np.float32), baseline="blur")


def test_the_choice_is_made_from_the_positions_that_are_zero(linear: Any, data: Any) -> None:
    x, labels = data
    kept = _explained(linear, (x, labels))
    assert kept.provenance["baselines"] == {"auto": "zero"} and not _said(kept, "baseline is")
    sparse = x.copy()
    sparse[:, :2] = 0  # 40 % of the positions
    chosen = _explained(linear, (sparse, labels))
    assert chosen.provenance["baselines"] == {"auto": "mean"}
    assert _said(
        chosen, "the baseline is the mean of the data, since 40% of the positions are zero"
    )
    np.testing.assert_allclose(
        chosen.array, _expected(linear, sparse, sparse.mean(axis=0)), atol=1e-5
    )
    channel = x.copy()
    channel[..., 0] = 0  # half of the values, and no position: the other channel speaks
    assert _explained(linear, (channel, labels)).provenance["baselines"] == {"auto": "zero"}


def test_a_few_samples_have_no_mean_that_would_say_more(linear: Any, data: Any) -> None:
    x, labels = data
    sparse = x[:9].copy()
    sparse[:, :2] = 0
    found = _explained(linear, (sparse, labels[:9]))
    assert found.provenance["baselines"] == {"auto": "zero"}
    assert _said(found, "the mean of only 9 images would not do better")
    with pytest.raises(cnnvis.UserError, match="mean of 1 sample, and a baseline must stand for"):
        cnnvis.run("integrated-gradients", linear, data=x[:1], baseline="mean")


def _said(found: cnnvis.Explanation, words: str) -> bool:
    return any(words in note for note in found.notes)


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("meen", "no baseline named 'meen'.*Did you mean 'mean'"),
        ("class", "needs the name of a class"),
        ("class:dog", "dog"),
        ("sample:12", "the place of one of 12 samples"),
        ("sample:x", "the place of one of 12 samples"),
        ("blur:-1", "the width of the blur"),
        ("noise:x", "a whole number of at least 0"),
        ("mean:3", "takes nothing behind a colon"),
        ("nan", "a finite number"),
        (float("inf"), "a finite number"),
        ("1e40", r"a finite number of at most 3\.4e38"),  # no float32
        (-1e39, r"a finite number of at most 3\.4e38"),
    ],
)
def test_what_is_no_baseline_is_a_sentence(
    linear: Any, data: Any, name: Any, sentence: str
) -> None:
    with pytest.raises(cnnvis.UserError, match=sentence):
        _explained(linear, data, baseline=name)


def test_a_technique_that_takes_a_number_alone_takes_none_that_is_too_large(linear: Any) -> None:
    @cnnvis.technique("own-start", claims={"complete": {}})
    def own_start(
        model: cnnvis.Model, samples: cnnvis.Samples, *, baseline: float = 0.0
    ) -> cnnvis.Explanation:
        """Twice the integrated gradients of a linear network, which do not add up.

        Parameters
        ----------
        baseline
            The value that the way begins at.
        """
        return cnnvis.Explanation(
            2 * (samples.x - baseline) * model.input_gradient(samples.x), samples
        )

    known = Registry(only=[])
    plugin = cnnvis.plugin_of(own_start)
    assert plugin is not None
    known.add(plugin)
    x = np.random.default_rng(4).normal(size=(3, 5, 2)).astype(np.float32)
    given: Any = {"data": x, "filter": 0}
    with using(known):
        with pytest.raises(cnnvis.UserError, match=r"a finite number of at most 3\.4e38"):
            cnnvis.run("own-start", linear, baseline=1e40, **given)
        found = cnnvis.run("own-start", linear, **given)
        one = cnnvis.run("own-start", linear, images=[1], **given)
    # What is off by as much as it should be is not said to add up.
    assert _said(found, "own-start does not add up to the change of the score from the baseline")
    assert _said(found, "for every map: it is off by up to 100.")
    assert _said(one, "the baseline: it is off by up to 100.")
    assert ", does not add up, off by 100." in found.title(0)


def test_samples_with_nan_are_left_out_of_the_mean(linear: Any, data: Any) -> None:
    x, labels = data
    broken = x.copy()
    broken[7, 1, 0] = np.nan
    good = np.delete(x, 7, axis=0)
    found = _explained(linear, (broken, labels), baseline="mean")
    np.testing.assert_allclose(found.array, _expected(linear, x, good.mean(axis=0)), atol=1e-5)


def test_each_input_of_a_network_has_its_own(keras: Any) -> None:
    layers = keras.layers
    left, right = layers.Input((3,), name="left"), layers.Input((2,), name="right")
    joined = layers.Concatenate()([left, right])
    network = keras.Model([left, right], layers.Dense(1, name="output")(joined))
    weights = np.array([1, 2, 3, 4, 5], np.float32)
    network.set_weights([weights[:, None], np.zeros(1)])
    rng = np.random.default_rng(1)
    data = {"left": rng.normal(size=(11, 3)), "right": rng.normal(size=(11, 2))}
    for moving in ("one", "all"):
        found = cnnvis.run(
            "integrated-gradients", network, data=data, images=[2], baseline="mean", moving=moving
        )
        for one in (found, *found.other_inputs):
            x = data[str(one.input)]
            w = weights[:3] if one.input == "left" else weights[3:]
            np.testing.assert_allclose(one.array[0], w * (x[2] - x.mean(axis=0)), atol=1e-5)
            assert one.measures["completeness_gap"].max() < 1e-4


@pytest.fixture
def half() -> Iterator[None]:
    """A baseline of another package."""

    @cnnvis.baseline("half")
    def half_of_it(samples: cnnvis.Samples) -> Any:
        """Half of each image."""
        return samples.x / 2

    @cnnvis.baseline("wrong")
    def wrong(data: cnnvis.Samples) -> Any:
        """A baseline of the wrong shape."""
        return np.zeros(3)

    @cnnvis.baseline("one")
    def one(data: cnnvis.Samples) -> Any:
        """The other."""
        return "two"

    @cnnvis.baseline("two")
    def two(data: cnnvis.Samples) -> Any:
        """The one."""
        return "one"

    known = Registry(only=[])
    for function in (half_of_it, wrong, one, two):
        plugin = cnnvis.plugin_of(function)
        assert plugin is not None
        known.add(plugin)
    with using(known):
        yield


@pytest.mark.usefixtures("half")
def test_another_package_adds_one(linear: Any, data: Any) -> None:
    x, _ = data
    found = _explained(linear, data, baseline="half")
    np.testing.assert_allclose(found.array, _expected(linear, x, x[[0, 5]] / 2), atol=1e-5)
    with pytest.raises(cnnvis.PluginError, match=r"of the shape \(3,\), and the shape must be"):
        _explained(linear, data, baseline="wrong")
    with pytest.raises(cnnvis.UserError, match="stand for each other"):
        _explained(linear, data, baseline="one")


def test_one_with_options_is_refused(tmp_path: Path) -> None:
    known = Registry(only=[])
    (tmp_path / "own.py").write_text(
        "import cnnvis\n@cnnvis.baseline('own')\ndef own(data, *, size: int = 3):\n    'Own.'\n"
    )
    known.add_file(tmp_path / "own.py")
    assert "a baseline has no options" in known.broken[0].reason


@pytest.mark.slow
def test_a_technique_in_a_process_of_its_own_has_it_too(linear: Any, data: Any) -> None:
    here = _explained(linear, data, baseline="class:cat")
    apart = _explained(linear, data, baseline="class:cat", isolate=["integrated-gradients"])
    np.testing.assert_array_equal(here.array, apart.array)


# Expected gradients


def test_expected_gradients_of_a_linear_score(linear: Any, data: Any) -> None:
    x, _ = data
    found = cnnvis.run("expected-gradients", linear, data=data, images=[0, 5], baselines=12)
    np.testing.assert_allclose(found.array, _expected(linear, x, x.mean(axis=0)), atol=1e-5)
    assert found.measures["completeness_gap"].max() < 1e-4
    some = cnnvis.run("expected-gradients", linear, data=data, images=[0, 5], baselines=4, seed=3)
    chosen = np.random.default_rng(3).permutation(12)[:4]
    np.testing.assert_allclose(some.array, _expected(linear, x, x[chosen].mean(axis=0)), atol=1e-5)


def test_it_is_said_where_there_are_fewer_samples(linear: Any, data: Any) -> None:
    given: Any = {"data": data, "images": [0, 5]}
    many = cnnvis.run("expected-gradients", linear, baselines=100_000, **given)
    assert _said(many, "begins at 12 samples of the data, and not at 100000")
    few = cnnvis.run("expected-gradients", linear, baselines=12, **given)
    assert not _said(few, "and not at")
    np.testing.assert_array_equal(few.array, many.array)
    assert _said(few, "the change of the score from its samples of the data, on average, within")


def test_expected_gradients_add_up(classifier: Any) -> None:
    """To the score, less the mean score of the samples that the ways begin at."""
    x = np.random.default_rng(5).normal(size=(7, 12, 10, 2)).astype(np.float32)
    found = cnnvis.run("expected-gradients", classifier, data=x, baselines=7, steps=64, filter=1)
    model = cnnvis.Model(classifier, filters=1)
    change = model.scores(x) - model.scores(x).mean()
    np.testing.assert_allclose(found.array.sum(axis=(1, 2, 3)), change, atol=0.02)


def test_expected_gradients_need_other_samples(linear: Any, data: Any) -> None:
    x, _ = data
    with pytest.raises(cnnvis.UserError, match="other samples of the data, and there are 1 in all"):
        cnnvis.run("expected-gradients", linear, data=x[:1])
