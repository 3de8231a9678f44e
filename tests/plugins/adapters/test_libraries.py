"""tf-keras-vis and Xplique behind cnnvis's names, on the demo, against cnnvis's own."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from quick import slow_are

import cnnvis
import cnnvis.testing
from cnnvis.registry.discovery import Registry, registry

pytestmark = pytest.mark.slow

FEWER: dict[str, dict[str, Any]] = {
    "xplique:rise": {"masks": 200},
    "xplique:smoothgrad": {"copies": 10},
    "xplique:sobol": {"grid": 6, "designs": 8},
    "tf-keras-vis:activation-max": {"iterations": 10},
}
"""Options with which a test is done sooner."""

NAMES = sorted(
    plugin.name
    for plugin in Registry(only=[]).of("technique")
    if plugin.name.startswith(("tf-keras-vis:", "xplique:")) and plugin.name != "xplique:craft"
)

KINDS = [
    "tf-keras-vis:activation-max",
    "tf-keras-vis:layer-cam",
    "tf-keras-vis:saliency",
    "tf-keras-vis:score-cam",
    "xplique:deconv",
    "xplique:grad-cam-plus-plus",
]
"""Some of each kind that take little time: the others come through the same few lines."""


def _or_skip(name: str) -> None:
    if registry().get("technique", name).missing:
        pytest.skip(f"{name.partition(':')[0]} is not installed")


@pytest.mark.parametrize("name", NAMES)
def test_it_explains_the_demo(name: str) -> None:
    _or_skip(name)
    found = cnnvis.run(name, "demo", images=[0, 1], **FEWER.get(name, {}))
    assert np.isfinite(found.array).all() and found.array.any()
    if not found.are_inputs:
        assert found.array.shape[:3] == (2, 64, 64)
        assert found.target == "output[sweep], output[neutral]"


@pytest.mark.parametrize("name", slow_are(KINDS, NAMES))
def test_it_holds_to_what_techniques_promise(name: str) -> None:
    _or_skip(name)
    failed = {}
    for check in cnnvis.testing.checks(name, **FEWER.get(name, {})):
        try:
            check()
        except cnnvis.testing.Violation as violation:
            failed[check.name] = str(violation)
        except cnnvis.testing.NotApplicable:
            pass
    assert failed == {}


@pytest.mark.parametrize(
    ("own", "other"),
    [
        (("saliency", {"backprop": None}), "tf-keras-vis:saliency"),
        (("saliency", {"backprop": None}), "xplique:saliency"),
    ],
    ids=str,
)
def test_the_numbers_are_cnnvis_own(own: Any, other: str) -> None:
    _or_skip(other)
    assert cnnvis.compare(own, other, "demo").in_all["share"] <= 1e-5


def test_guided_and_deconv_are_signed_but_the_same() -> None:
    _or_skip("xplique:guided")
    for theirs, modifier in (("xplique:guided", "guided"), ("xplique:deconv", "rectified")):
        one = cnnvis.run("saliency", "demo", backprop=modifier).array
        other = cnnvis.run(theirs, "demo").array
        np.testing.assert_allclose(one, abs(other), atol=1e-5 * one.max())


def test_grad_cam_differs_by_how_maps_are_enlarged() -> None:
    own = ("grad-cam", {"backprop": None, "penultimate": "conv4"})
    for other in ("tf-keras-vis:grad-cam", "xplique:grad-cam"):
        _or_skip(other)
        sides = (own, (other, {"penultimate": "conv4"}))
        assert cnnvis.compare(*sides, "demo").in_all["pearson"] > 0.95
        # Of a layer as large as the input, nothing is enlarged.
        sides = (
            ("grad-cam", {"backprop": None, "penultimate": "conv1"}),
            (other, {"penultimate": "conv1"}),
        )
        assert cnnvis.compare(*sides, "demo").in_all["share"] <= 1e-4


def test_the_same_seed_gives_the_same_and_leaves_numpy_alone() -> None:
    _or_skip("tf-keras-vis:saliency")
    np.random.seed(3)
    expected = np.random.random()
    np.random.seed(3)
    one, again, other = (
        cnnvis.run("tf-keras-vis:saliency", "demo", smooth=3, seed=seed).array for seed in (1, 1, 2)
    )
    assert np.random.random() == expected
    np.testing.assert_array_equal(one, again)
    assert not np.allclose(one, other)


@pytest.mark.parametrize(
    ("name", "options"), [("xplique:smoothgrad", {"copies": 3}), ("xplique:rise", {"masks": 20})]
)
def test_another_seed_draws_other_numbers(name: str, options: dict[str, Any]) -> None:
    _or_skip(name)
    one, other, again = (
        cnnvis.run(name, "demo", images=[0], seed=seed, **options).array for seed in (1, 2, 1)
    )
    np.testing.assert_array_equal(one, again)
    assert not np.allclose(one, other)


def test_several_outputs_count_together() -> None:
    for name in ("tf-keras-vis:saliency", "xplique:saliency"):
        _or_skip(name)
        sides = (("saliency", {"backprop": None}), name)
        found = cnnvis.compare(*sides, "demo", filter=[0, 1], together=True)
        assert found.in_all["share"] <= 1e-5


def test_filters_of_layers_in_between() -> None:
    for name in ("tf-keras-vis:saliency", "xplique:saliency"):
        _or_skip(name)
        sides = (("saliency", {"backprop": None}), name)
        found = cnnvis.compare(*sides, "demo", layer="conv2", filter=3)
        assert found.in_all["share"] <= 1e-5


def _network(keras: Any, end: Any, size: int = 10) -> Any:
    """A network whose layer `features` is as large as its input, so that nothing is enlarged."""
    layers = keras.layers
    keras.utils.set_random_seed(2)
    inputs = keras.Input((size, size, 2))
    h = layers.Conv2D(5, 3, activation="relu", padding="same", name="features")(inputs)
    return keras.Model(inputs, end(layers.Flatten()(h)))


def _features(keras: Any, network: Any, x: Any) -> Any:
    """The feature maps, and the gradient by them of the score of unit 1 of a dense layer."""
    maps = np.float64(keras.Model(network.inputs, network.get_layer("features").output)(x))
    kernel = np.float64(network.layers[-1].get_weights()[0][:, 1])
    return maps, np.broadcast_to(kernel.reshape(maps.shape[1:]), maps.shape)


def _x(count: int = 3, size: int = 10) -> Any:
    return np.random.default_rng(0).normal(size=(count, size, size, 2)).astype("float32")


def _cam(alphas: Any, maps: Any) -> Any:
    return np.maximum((alphas * maps).sum(-1), 0)


def _require_close(found: Any, expected: Any) -> None:
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-3 * expected.max())


@pytest.mark.parametrize("library", ["tf-keras-vis", "xplique"])
def test_grad_cam_plus_plus_is_what_the_page_of_mathematics_says(keras: Any, library: str) -> None:
    _or_skip(f"{library}:grad-cam-plus-plus")
    network, x = _network(keras, keras.layers.Dense(3, name="output")), _x()
    found = cnnvis.run(
        f"{library}:grad-cam-plus-plus", network, data=x, filter=1, penultimate="features"
    ).array
    a, g = _features(keras, network, x)
    space = {"axis": (1, 2), "keepdims": True}
    whole = a.sum(**space) if library == "tf-keras-vis" else a.mean(**space)
    each = g**2 / (2 * g**2 + whole * g**3)
    if library == "tf-keras-vis":
        shares = each / each.sum(**space)
        powers = np.exp(np.float64(network(x))[:, 1])[:, None, None]
        expected = _cam((shares * np.maximum(g, 0)).sum(**space), a) * powers
    else:
        expected = _cam((each * np.maximum(g, 0)).mean(**space), a)
    _require_close(found, expected)


@pytest.mark.parametrize("activation", ["softmax", None])
def test_score_cam_takes_a_softmax_over_outputs(keras: Any, activation: str | None) -> None:
    _or_skip("tf-keras-vis:score-cam")
    end = keras.layers.Dense(3, activation=activation, name="output")
    network, x = _network(keras, end), _x(2)
    asked = {"data": x, "filter": 1, "penultimate": "features"}
    found = cnnvis.run("tf-keras-vis:score-cam", network, **asked)
    a, _ = _features(keras, network, x)
    low, high = a.min(axis=(1, 2), keepdims=True), a.max(axis=(1, 2), keepdims=True)
    visible = (a - low) / (high - low)
    expected = []
    for image, maps, masks in zip(x, a, visible, strict=True):
        answers = np.float64(network(np.moveaxis(masks, -1, 0)[..., None] * image))
        if activation is None:
            answers = np.exp(answers) / np.exp(answers).sum(axis=-1, keepdims=True)
        expected.append(_cam(answers[:, 1], maps))
    _require_close(found.array, np.array(expected))
    said = [note for note in found.notes if "perhaps no classes that exclude each other" in note]
    assert len(said) == (activation is None)


@pytest.mark.parametrize("activation", ["sigmoid", None])
def test_score_cam_needs_several_outputs(keras: Any, activation: str | None) -> None:
    _or_skip("tf-keras-vis:score-cam")
    network = _network(keras, keras.layers.Dense(1, activation=activation, name="output"))
    with pytest.raises(
        cnnvis.UserError, match=r"outputs of 'output', and the share of a single output"
    ):
        cnnvis.run("tf-keras-vis:score-cam", network, data=_x(1))
    assert len(cnnvis.run("grad-cam", network, data=_x(1))) == 1


@pytest.mark.parametrize("form", ["channels_first", "channels_last"])
def test_saliency_of_several_channels_is_their_maximum(keras: Any, form: str) -> None:
    for name in ("xplique:saliency", "tf-keras-vis:saliency"):
        _or_skip(name)
        shape = (3, 8, 8) if form == "channels_first" else (8, 8, 3)
        inputs = keras.Input(shape)
        h = keras.layers.AveragePooling2D(2, data_format=form)(inputs)
        end = keras.layers.Dense(2, activation="tanh", name="output")
        network = keras.Model(inputs, end(keras.layers.Flatten()(h)))
        x = np.random.default_rng(0).normal(size=(2, *shape)).astype("float32")
        own = cnnvis.run("saliency", network, data=x, backprop=None, filter=1).array
        found = cnnvis.run(name, network, data=x, filter=1).array
        _require_close(found, own)


@pytest.mark.parametrize("form", ["channels_last", "channels_first"])
@pytest.mark.parametrize("axes", [1, 2, 3])
def test_all_channels_count_over_any_number_of_axes(keras: Any, axes: int, form: str) -> None:
    """The library reduces channels of pictures alone; cnnvis does it for the others."""
    _or_skip("xplique:gradient-input")
    layers = keras.layers
    space, first = (6, 5, 4)[:axes], form == "channels_first"
    keras.utils.set_random_seed(7)
    model = keras.Sequential(
        [
            layers.Input((3, *space) if first else (*space, 3)),
            getattr(layers, f"AveragePooling{axes}D")(2, data_format=form),
            layers.Flatten(),
            layers.Dense(4, activation="relu"),
            layers.Dense(2),
        ]
    )
    x = np.random.default_rng(7).normal(size=(4, *model.input_shape[1:])).astype(np.float32)
    handle = cnnvis.Model(model).with_target(None, [1])
    gradient = handle.input_gradient(x)
    axis = 1 if first else -1
    wanted = {
        "xplique:gradient-input": (gradient * x).mean(axis=axis),
        "xplique:saliency": abs(gradient).max(axis=axis),
    }
    for name, expected in wanted.items():
        found = cnnvis.run(name, model, data=x, filter=1)
        np.testing.assert_allclose(found.array, expected, rtol=1e-4, atol=1e-6)
