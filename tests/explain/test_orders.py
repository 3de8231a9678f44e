"""Maps averaged over orders of positions whose order means nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import cnnvis

ROWS, COLUMNS = 6, 5
WORDS = ["a", "a", "b", "a", "b", "b"]
WITHIN = {"name": "population", "values": WORDS, "exchangeable": "within population"}
X = np.random.default_rng(0).normal(size=(6, ROWS, COLUMNS, 1)).astype(np.float32)
X[1::2] = -X[::2]  # the linear network answers with the other class


def _linear(keras: Any) -> Any:
    """A network that gives each position a weight of its own, so that its gradient is that weight."""
    keras.utils.set_random_seed(3)
    layers = keras.layers
    return keras.Sequential(
        [
            layers.Input((ROWS, COLUMNS, 1)),
            layers.Flatten(),
            layers.Dense(2, activation="softmax", name="output"),
        ]
    )


def _symmetric(keras: Any) -> Any:
    """A network that answers the same in whatever order the rows are."""
    keras.utils.set_random_seed(3)
    layers = keras.layers
    inputs = layers.Input((ROWS, COLUMNS, 1))
    h = layers.Conv2D(4, (1, 3), padding="same", activation="relu", name="conv")(inputs)
    return keras.Model(inputs, layers.Dense(2, name="output")(layers.GlobalMaxPooling2D()(h)))


def _explained(network: Any, technique: str = "saliency", **axis: Any) -> cnnvis.Explanation:
    options: dict[str, Any] = {"backprop": None} if technique == "saliency" else {}
    return cnnvis.run(technique, network, data=X, axes={"row": axis}, **options)


@pytest.mark.slow
def test_a_linear_network_gives_the_mean_weight_of_the_rows_that_change_places(keras: Any) -> None:
    network = _linear(keras)
    plain = _explained(network, **{**WITHIN, "exchangeable": ""})
    found = _explained(network, **WITHIN, orders=300)
    groups = np.array(WORDS)
    expected = np.empty_like(plain.array)
    for word in "ab":
        rows = groups == word
        expected[:, rows] = plain.array[:, rows].mean(axis=1, keepdims=True)
    scale = np.abs(plain.array).max()
    np.testing.assert_allclose(found.array, expected, rtol=0, atol=0.1 * scale)
    between = plain.array.var(axis=(1, 2)) - expected.var(axis=(1, 2))
    shares = between / plain.array.var(axis=(1, 2))
    np.testing.assert_allclose(found.measures["order_share"], shares, atol=0.05)
    (said,) = [note for note in found.notes if "order of exchangeable" in note]
    assert f"{np.median(found.measures['order_share']):.0%}" in said
    spread = _explained(network, **WITHIN, orders=300, deviation=True)
    assert "each map is the deviation over 300 orders along row" in spread.notes
    for word in "ab":
        rows = groups == word
        deviation = plain.array[:, rows].std(axis=1, keepdims=True)
        np.testing.assert_allclose(
            spread.array[:, rows], np.broadcast_to(deviation, spread.array[:, rows].shape),
            rtol=0, atol=0.1 * scale,
        )  # fmt: skip


@pytest.mark.parametrize("technique", ["saliency", "grad-cam"])
def test_orders_change_nothing_where_the_network_does_not_look_at_them(
    keras: Any, technique: str
) -> None:
    network = _symmetric(keras)
    plain = _explained(network, technique)
    found = _explained(network, technique, exchangeable="all", orders=4)
    assert plain.array.any()
    np.testing.assert_allclose(found.array, plain.array, rtol=1e-5, atol=1e-7)
    assert found.measures["order_share"].max() < 1e-9
    assert found.targets == plain.targets


def test_each_image_keeps_its_target_and_its_order_among_others(keras: Any) -> None:
    network = _linear(keras)
    whole = _explained(network, **WITHIN, orders=3)
    filters = {target.filters for target in whole.targets}
    assert len(filters) == 2
    for place in range(len(X)):
        (axes, one) = ({"row": {**WITHIN, "orders": 3}}, X[place : place + 1])
        alone = cnnvis.run("saliency", network, data=one, axes=axes, backprop=None)
        np.testing.assert_allclose(alone.array[0], whole.array[place], rtol=1e-6)
        assert alone.targets[0] == whole.targets[place]
    top = cnnvis.run("saliency", network, data=X, axes=axes, backprop=None, top=2)
    np.testing.assert_allclose(top.array[::2], whole.array, rtol=1e-6)


def test_run_folders_know_the_orders(keras: Any, tmp_path: Path) -> None:
    network = _linear(keras)
    options: dict[str, Any] = {"data": X, "backprop": None, "into": tmp_path / "kept"}
    axes = {"row": {**WITHIN, "orders": 3}}
    found = cnnvis.run("saliency", network, axes=axes, **options)
    assert found.provenance["orders"]["shown"] == "mean over 3 orders along row"
    (kept,) = cnnvis.chain(tmp_path / "kept", [("smooth", {"sigma": 1e-3})])
    assert kept.provenance["orders"] == found.provenance["orders"]
    for ending in ("svg", "grid.svg", "html"):  # no picture of a mean looks like that of a map
        found.save(tmp_path / f"maps.{ending}")
        text = " ".join((tmp_path / f"maps.{ending}").read_text().split())
        assert "mean over 3" in text, ending  # folded lines stand in parts of their own
    found.save(tmp_path / "maps.npz")
    saved = cnnvis.Explanation.load(tmp_path / "maps.npz")
    assert saved.provenance["orders"] == found.provenance["orders"]
    again = cnnvis.run("saliency", network, axes=axes, resume=True, **options)
    np.testing.assert_array_equal(found.array, again.array)
    with pytest.raises(cnnvis.UserError, match="another run"):
        axes = {"row": {**WITHIN, "orders": 4}}
        cnnvis.run("saliency", network, axes=axes, resume=True, **options)


@pytest.mark.parametrize(
    ("axis", "sentence"),
    [
        ({"orders": 3}, "not said which positions may change places"),
        ({"orders": 3, "exchangeable": "within population"}, "a word for each of the 6 positions"),
        ({**WITHIN, "orders": 3, "name": "family"}, "named 'family'"),
        ({**WITHIN, "orders": 3, "values": list("abcdef")}, "a word of its own"),
        ({"orders": 1, "exchangeable": "all"}, "whole number from 2"),
        ({"exchangeable": "some"}, "within population"),
    ],
)
def test_what_cannot_be_is_refused(keras: Any, axis: dict[str, Any], sentence: str) -> None:
    with pytest.raises(cnnvis.UserError, match=sentence):
        _explained(_linear(keras), **axis)


def test_an_exchangeable_axis_without_orders_is_said(keras: Any) -> None:
    found = _explained(_linear(keras), **WITHIN)
    assert "orders = 20 under [axes.row]" in " ".join(found.notes)


def test_settings_say_it_of_rows_that_the_data_name(keras: Any) -> None:
    """Populations come with the data, and that they are exchangeable from a person."""
    known = {"row": cnnvis.Axis("population", values=tuple(WORDS))}
    samples = cnnvis.Samples(X, coordinates=known)
    axes = {"row": {"exchangeable": "within population", "orders": 3}}
    found = cnnvis.run("saliency", _linear(keras), data=samples, axes=axes, backprop=None)
    assert found.coordinates["row"].values == tuple(WORDS)
    assert "order_share" in found.measures
