"""Samples of the data that say what a network knows, against distances and scores computed anew."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import cnnvis
from cnnvis.plugins.techniques import _outputs


@pytest.fixture
def data() -> np.ndarray[Any, Any]:
    return np.random.default_rng(3).normal(size=(23, 12, 10, 2)).astype(np.float32)


def test_the_samples_that_an_output_answers_to_most(
    classifier: Any, data: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cnnvis.data.samples.AT_ONCE", 5)
    layer = "first"
    found = cnnvis.run("top-samples", classifier, data=data, layer=layer, filter=[2, 0], count=4)
    scores = cnnvis.Model(classifier, layer=layer).outputs(data).mean(axis=(1, 2))
    for number, unit in enumerate((2, 0)):
        best = np.argsort(-scores[:, unit])[:4]
        some = slice(4 * number, 4 * number + 4)
        assert found.measures["image"][some].tolist() == best.tolist()
        np.testing.assert_array_equal(found.array[some], data[best])
        assert [one.filters for one in found.targets[some]] == [(unit,)] * 4
        np.testing.assert_allclose(
            [one.score for one in found.targets[some]], scores[best, unit], rtol=1e-5
        )
        assert found.titles[4 * number] == f"first[{unit}] of #{best[0]}"
    least = cnnvis.run(
        "top-samples", classifier, data=data, images=[7, 3, 9], layer=layer, filter=2, least=True
    )
    assert least.measures["image"][0] == [7, 3, 9][int(scores[[7, 3, 9], 2].argmin())]


def test_every_output_of_a_few_is_shown_and_of_many_none(classifier: Any, data: Any) -> None:
    found = cnnvis.run("top-samples", classifier, data=data, count=2)
    assert [one.filters for one in found.targets] == [(k,) for k in range(3) for _ in range(2)]
    model = cnnvis.Model(classifier)
    assert model.target_units == 3
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_outputs, "OUTPUTS", 2)
        with pytest.raises(cnnvis.UserError, match="has 3 outputs; choose some of them"):
            cnnvis.run("top-samples", classifier, data=data)


@pytest.mark.parametrize("distance", ["cosine", "euclidean"])
def test_the_nearest_samples(
    classifier: Any, data: Any, distance: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cnnvis.data.samples.AT_ONCE", 5)
    data[11] = data[4]
    found = cnnvis.run(
        "nearest-samples",
        classifier,
        data=data,
        of=[4, 20],
        by="second",
        count=3,
        distance=distance,
    )
    flat = cnnvis.Model(classifier, layer="second").outputs(data).reshape(23, -1).astype(float)
    for number, place in enumerate((4, 20)):
        if distance == "cosine":
            sizes = np.linalg.norm(flat, axis=1)
            far = 1 - flat @ flat[place] / (sizes * sizes[place])
        else:
            far = np.linalg.norm(flat - flat[place], axis=1)
        order = [place, *[k for k in np.argsort(far, kind="stable") if k != place][:3]]
        some = slice(4 * number, 4 * number + 4)
        assert found.measures["image"][some].tolist() == order
        np.testing.assert_array_equal(found.array[some], data[order])
        np.testing.assert_allclose(found.measures["distance"][some], far[order], atol=1e-6)
    assert found.titles[0] == "#4" and found.titles[1].startswith("#11, distance 0")
    assert any("other samples are equal to the images 4" in note for note in found.notes)


def test_what_is_refused(classifier: Any, data: Any, keras: Any) -> None:
    with pytest.raises(cnnvis.UserError, match="image 30 is not among the 23 images"):
        cnnvis.run("nearest-samples", classifier, data=data, of=[30])
    with pytest.raises(cnnvis.UserError, match="no other to compare it with"):
        cnnvis.run("nearest-samples", classifier, data=data[:1])
    with pytest.raises(cnnvis.UserError, match="no layer 'secnd'"):
        cnnvis.run("nearest-samples", classifier, data=data, by="secnd")
    off = keras.Sequential(
        [keras.layers.Input((4,)), keras.layers.Dense(3, "relu"), keras.layers.Dense(2)]
    )
    off.set_weights([-np.ones((4, 3)), np.zeros(3), np.ones((3, 2)), np.zeros(2)])
    with pytest.raises(cnnvis.UserError, match="no angle to others; use --distance euclidean"):
        cnnvis.run("nearest-samples", off, data=np.ones((3, 4), np.float32))
