"""Two explanations of the same images, in numbers and side by side."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import cnnvis
from cnnvis.data.target import Target


def _explanation(maps: Any, indices: Any = None, **settings: Any) -> cnnvis.Explanation:
    maps = np.asarray(maps, np.float32)
    x = np.zeros((len(maps), *maps.shape[1:]), np.float32)
    samples = cnnvis.Samples(x, indices=indices, channel_axis=None)
    return cnnvis.Explanation(
        maps, samples, targets=(Target("output", (0,)),) * len(maps),
        provenance={"technique": "made"}, **settings,
    )  # fmt: skip


@pytest.fixture
def maps() -> Any:
    return np.random.default_rng(2).normal(size=(3, 10, 12)).astype(np.float32)


def test_a_map_is_like_itself(maps: Any) -> None:
    found = cnnvis.compare(_explanation(maps), _explanation(maps))
    assert found.in_all == pytest.approx(
        {"largest": 0, "mean": 0, "share": 0, "pearson": 1, "spearman": 1, "overlap": 1, "ssim": 1}
    )
    assert found.names == ("made (1)", "made (2)")


def test_the_measures_are_what_they_say(maps: Any) -> None:
    other = maps.copy()
    other[0] = 2 * maps[0] + 1  # another unit
    other[1] = np.sign(maps[1]) * maps[1] ** 2  # the same order
    other[2] = -maps[2]
    found = cnnvis.compare(_explanation(maps), _explanation(other)).measures
    difference = abs(maps - other).reshape(3, -1)
    np.testing.assert_allclose(found["largest"], difference.max(axis=1), rtol=1e-6)
    np.testing.assert_allclose(found["mean"], difference.mean(axis=1), rtol=1e-6)
    largest = abs(maps).reshape(3, -1).max(axis=1)
    np.testing.assert_allclose(found["share"], difference.max(axis=1) / largest, rtol=1e-6)
    assert found["pearson"][[0, 2]] == pytest.approx([1, -1])
    assert found["spearman"] == pytest.approx([1, 1, -1])
    assert found["overlap"][1] == found["overlap"][2] == 1  # sizes keep their order
    assert found["ssim"][2] < 0 < found["ssim"][0] < 1


def test_overlap_counts_the_strongest(maps: Any) -> None:
    one, other = np.zeros((1, 10, 10)), np.zeros((1, 10, 10))
    one[0, :2, :5] = 1 + np.arange(10).reshape(2, 5)
    other[0, 1:3, :5] = 1 + np.arange(10).reshape(2, 5)
    found = cnnvis.compare(_explanation(one), _explanation(other), top=10)
    assert found.measures["overlap"] == pytest.approx([0.5])
    # Zeros are not strong, however many places are asked for.
    assert cnnvis.compare(_explanation(one), _explanation(other), top=100).in_all["overlap"] == 0.5
    with pytest.raises(cnnvis.UserError, match="top is 0"):
        cnnvis.compare(_explanation(one), _explanation(other), top=0)


def test_scaled_maps_of_another_unit_are_the_same(maps: Any) -> None:
    tiny = cnnvis.compare(_explanation(maps), _explanation(maps * 1e-9), scaled=True)
    assert tiny.in_all["largest"] == pytest.approx(0, abs=1e-6)
    assert cnnvis.compare(_explanation(maps), _explanation(maps * 1e-9)).in_all["share"] > 0.9


def test_flat_and_small_maps_have_no_correlation(maps: Any) -> None:
    found = cnnvis.compare(_explanation(np.zeros((1, 2, 2))), _explanation(np.ones((1, 2, 2))))
    assert found.in_all["largest"] == 1
    assert all(np.isnan(found.in_all[name]) for name in ("pearson", "spearman", "overlap", "ssim"))


@pytest.mark.parametrize("shape", [(30,), (9, 8, 7), (9, 8, 3)])
def test_any_number_of_axes(shape: tuple[int, ...]) -> None:
    maps = np.random.default_rng(2).normal(size=(2, *shape))
    found = cnnvis.compare(_explanation(maps), _explanation(maps + 0.1))
    assert found.in_all["largest"] == pytest.approx(0.1, rel=1e-4)
    assert 0 < found.in_all["ssim"] < 1


def test_images_are_matched_by_their_places(maps: Any) -> None:
    one = _explanation(maps, indices=np.array([4, 7, 9]))
    other = _explanation(maps[[2, 1]], indices=np.array([9, 7]))
    found = cnnvis.compare(one, other)
    assert found.in_all["largest"] == 0
    assert found.first.indices.tolist() == [7, 9]
    with pytest.raises(cnnvis.UserError, match="no image in common"):
        cnnvis.compare(one, _explanation(maps, indices=np.array([0, 1, 2])))


def test_maps_that_do_not_fit_are_refused(maps: Any) -> None:
    with pytest.raises(
        cnnvis.UserError, match=r"\(10, 12\) .* and \(5, 12\) .* cannot be compared"
    ):
        cnnvis.compare(_explanation(maps), _explanation(maps[:, :5]))
    lone = _explanation(maps[..., None], axes=("row", "column", "channel"))
    assert cnnvis.compare(_explanation(maps), lone).in_all["largest"] == 0
    with pytest.raises(cnnvis.UserError, match="gives a table"):
        cnnvis.compare("model-summary", "saliency", "demo")
    with pytest.raises(cnnvis.UserError, match="compared on a model"):
        cnnvis.compare("saliency", "grad-cam")


@pytest.mark.slow
def test_techniques_settings_and_files(tmp_path: Path) -> None:
    plain = ("saliency", {"backprop": None})
    found = cnnvis.compare("saliency", plain, "demo", images=[0, 1])
    assert found.names == ("saliency", "saliency backprop=None")
    assert found.in_all["share"] > 0.01
    found.first.save(tmp_path / "kept.npz")
    again = cnnvis.compare(tmp_path / "kept.npz", "saliency", "demo", images=[0, 1])
    assert again.in_all["largest"] == 0
    assert cnnvis.compare(tmp_path / "kept.npz", found.first).in_all["largest"] == 0


def test_the_figure_has_three_maps_an_image(maps: Any) -> None:
    found = cnnvis.compare(_explanation(maps), _explanation(maps * 2)).figure()
    assert found.array.shape == (9, 10, 12)
    np.testing.assert_allclose(found.array[2], -maps[0], rtol=1e-6)
    assert [title.splitlines()[-1] for title in found.titles[:3]] == [
        "made (1)", "made (2)", "difference",
    ]  # fmt: skip
    sizes = cnnvis.compare(_explanation(abs(maps)), _explanation(abs(maps) * 2)).figure()
    np.testing.assert_allclose(sizes.array[2], abs(maps[0]), rtol=1e-6)
    many = _explanation(np.repeat(maps, 5, axis=0))
    assert len(cnnvis.compare(many, many).figure()) == 24  # of eight images


def test_networks_with_several_inputs(keras: Any) -> None:
    layers = keras.layers
    inputs = [keras.Input((8, 8, 1), name=name) for name in ("left", "right")]
    ends = [layers.Flatten()(layers.Conv2D(3, 3, activation="relu")(one)) for one in inputs]
    network = keras.Model(inputs, layers.Dense(2)(layers.Concatenate()(ends)))
    rng = np.random.default_rng(1)
    data = {name: rng.normal(size=(2, 8, 8, 1)).astype(np.float32) for name in ("left", "right")}
    sides = ("saliency", ("saliency", {"backprop": None}))
    found = cnnvis.compare(*sides, network, data=data)
    assert [one.first.input for one in (found, *found.other_inputs)] == ["left", "right"]
    alone = cnnvis.compare(*sides, network, data=data, input="right")
    np.testing.assert_allclose(alone.measures["mean"], found.other_inputs[0].measures["mean"])


# From the command line


@pytest.mark.slow
def test_the_command(typed: Any, tmp_path: Path) -> None:
    words = ("compare", "saliency", "--backprop", "none", "saliency", "-bm", "guided", "demo")
    done = typed(*words, "-im", 0, 1)
    assert done.returncode == 0, done.stderr
    lines = [line.strip() for line in done.stdout.splitlines()]
    assert lines[0] == "saliency backprop=none and saliency backprop=guided"
    assert any(line.startswith("#1 label neutral") for line in lines)
    assert any(line.startswith("in all") for line in lines)
    with Image.open(tmp_path / lines[-1]) as picture:
        assert picture.width > 500
    done = typed(*words, "-im", 0, 1, "--json", "-o", "there.png", "-q")
    facts = json.loads(done.stdout)
    assert len(facts["images"]) == 2 and facts["in_all"]["pearson"] < 1
    assert (tmp_path / "there.png").is_file()


@pytest.mark.slow
def test_a_folder_takes_the_figure_of_the_command(typed: Any, tmp_path: Path) -> None:
    (tmp_path / "there.is").mkdir()
    for folder in ("new/", "there.is"):
        done = typed("compare", "saliency", "grad-cam", "demo", "-im", 0, "-o", folder)
        assert done.returncode == 0, done.stderr
        assert [one.name for one in (tmp_path / folder).iterdir()] == [
            "compare_saliency_grad-cam.png"
        ]


@pytest.mark.slow
def test_the_command_fails_above_what_it_is_told(typed: Any) -> None:
    same = typed("compare", "saliency", "saliency", "demo", "--fail-above", 1e-9)
    assert same.returncode == 0, same.stderr
    words = ("compare", "saliency", "grad-cam", "demo", "--scaled", "--fail-above", 0.01)
    other = typed(*words)
    assert other.returncode == 3
    assert "the largest difference is" in other.stderr and "above 0.01" in other.stderr


@pytest.mark.slow
def test_the_command_takes_saved_explanations(typed: Any) -> None:
    assert typed("run", "saliency", "demo", "-o", "a.npz").returncode == 0
    done = typed("compare", "a.npz", "saliency", "--backprop", "none", "demo")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("a.npz and saliency backprop=none")
    assert typed("compare", "a.npz", "a.npz").returncode == 0


def test_what_the_command_cannot_do(typed: Any) -> None:
    done = typed("compare", "salience", "grad-cam", "demo")
    assert done.returncode == 2 and "Did you mean 'saliency'?" in done.stderr
    done = typed("compare", "saliency", "demo")
    assert done.returncode == 2 and "'demo' is neither" in done.stderr
    done = typed("compare", "saliency", "grad-cam")
    assert done.returncode == 2 and "name its file, or demo" in done.stderr
    done = typed("compare", "saliency", "grad-cam", "demo", "--backprob", "none")
    assert done.returncode == 2 and "--backprob" in done.stderr
    assert typed("compare", "--help").stdout.startswith("usage: cnnvis compare A")


@pytest.mark.slow
def test_settings_hold_for_both_sides(typed: Any, tmp_path: Path) -> None:
    (tmp_path / "cnnvis.toml").write_text('[saliency]\nbackprop = "none"\n')
    done = typed("compare", "saliency", "saliency", "--backprop", "none", "demo", "--json")
    assert json.loads(done.stdout)["in_all"]["largest"] == 0


FAILING = """
import cnnvis

@cnnvis.renderer("mine", suffixes=(".mine",))
def mine(explanation, path):
    "Fail."
    raise ValueError("no ink")
"""


@pytest.mark.slow
def test_a_renderer_that_fails_costs_no_numbers(typed: Any, tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(FAILING)
    words = ["compare", "saliency", "grad-cam", "demo", "--images", 0, "--out", "a.mine"]
    done = typed("--plugin", "mine.py", *words)
    assert done.returncode == 1 and "ValueError: no ink" in done.stderr
    assert "pearson" in done.stdout
    assert "a.mine" not in done.stdout and not (tmp_path / "a.mine").exists()


def test_groups_are_compared_by_their_names() -> None:
    maps = np.random.default_rng(0).normal(size=(3, 6, 5))
    one = cnnvis.Explanation(maps, groups=("a", "b", "c"))
    other = cnnvis.Explanation(maps[[2, 0]], groups=("c", "a"))
    found = cnnvis.compare(one, other)
    assert found.first.groups == found.second.groups == ("a", "c")
    assert found.in_all["largest"] == 0
    with pytest.raises(
        cnnvis.UserError, match="have different groups, a, b, c and x, y, so cnnvis"
    ):
        cnnvis.compare(one, cnnvis.Explanation(maps[:2], groups=("x", "y")))
