"""Every kind of network of the documentation's table: gradients, forms, layouts."""

from __future__ import annotations

import importlib.util
import itertools
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from quick import quick_are, quick_at, slow_are

import cnnvis
from cnnvis.registry.discovery import registry

SCRIPT = Path(__file__).parents[1] / "docs" / "architectures.py"


def _script() -> Any:
    specification = importlib.util.spec_from_file_location("architectures", SCRIPT)
    assert specification is not None and specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    sys.modules["architectures"] = module  # dataclasses look their module up
    specification.loader.exec_module(module)
    return module


documented = _script()
ARCHITECTURES: dict[str, Any] = documented.ARCHITECTURES
NEEDS_XLA = {"3-D", "channels first"}
"""TensorFlow's own kernels for these take single precision only on a CPU; XLA's take double."""

TECHNIQUES = ("saliency", "grad-cam")

SOME = ("siamese", "attention", "tf_keras")
"""Networks that stand for all among the quick tests; docs/architectures.py says what they are."""


@pytest.fixture
def doubles(keras: Any, request: pytest.FixtureRequest) -> Iterator[None]:
    """Networks built meanwhile compute in double precision, so that differences can be small."""
    import tf_keras

    keras.config.set_floatx("float64")
    keras.config.set_dtype_policy("float64")
    tf_keras.backend.set_floatx("float64")
    needs_xla = request.node.callspec.params["name"] in NEEDS_XLA
    with cnnvis.computing(compile="xla" if needs_xla else "graph"):
        yield
    keras.config.set_floatx("float32")
    keras.config.set_dtype_policy("float32")
    tf_keras.backend.set_floatx("float32")


def _models(name: str) -> list[tuple[Any, Any]]:
    """A model for each input of the network, and the samples that it explains."""
    architecture = ARCHITECTURES[name]
    settings = dict(architecture.settings)
    settings["filters"] = settings.pop("filter", None)
    model = cnnvis.Model(architecture.network(), **settings)
    shaped = model.shaped(cnnvis.Samples.of(architecture.data()))
    return [(model.with_inputs_held(samples), samples) for samples in shaped.values()]


@pytest.mark.usefixtures("doubles")
@pytest.mark.parametrize("name", [name for name in ARCHITECTURES if name != "tokens"])
@pytest.mark.slow
def test_gradients_are_central_differences(name: str) -> None:
    rng, step = np.random.default_rng(1), 1e-6
    for model, samples in _models(name):
        x = samples.x.astype(np.float64)
        weights = model.target_weights(x)

        def scores(x: Any, model: Any = model, weights: Any = weights) -> Any:
            return np.array([target.score for target in model.targets(x, weights)])

        gradient = model.input_gradient(x, weights=weights)
        assert gradient.shape == x.shape
        for _ in range(8):
            direction = rng.normal(size=x.shape)
            found = (gradient * direction).reshape(len(x), -1).sum(axis=1)
            expected = (scores(x + step * direction) - scores(x - step * direction)) / (2 * step)
            np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-9)


# XLA adds a bias along the wrong axis where channels come first and the last axis is as long.
@pytest.mark.usefixtures("doubles")
@pytest.mark.parametrize(
    "name", quick_are(SOME, [name for name in ARCHITECTURES if name != "channels first"])
)
def test_gradients_by_feature_maps_are_central_differences(name: str) -> None:
    """The score moves with the weights of a layer's bias as the summed gradient of its output."""
    architecture = ARCHITECTURES[name]
    model, samples = _models(name)[0]
    kinds = {layer.name: model.keras_layer(layer.name) for layer in model.before_target()}
    with_bias = [
        layer
        for layer in kinds
        if "Conv" in type(kinds[layer]).__name__
        and "Separable" not in type(kinds[layer]).__name__
        and "Depthwise" not in type(kinds[layer]).__name__
        and getattr(kinds[layer], "bias", None) is not None
    ]
    if not with_bias or architecture.shapes.keys() - {"image", "x", "bases"}:
        pytest.skip("no convolution with a bias that is used once")
    layer = kinds[with_bias[-1]]
    activation, layer.activation = layer.activation, lambda x: x
    try:
        x = samples.x.astype(np.float64)
        weights = model.target_weights(x)
        activations, gradient = model.activation_gradient(x, with_bias[-1], weights=weights)
        axis = 1 if model.has_channels_first(with_bias[-1]) else activations.ndim - 1
        space = tuple(a for a in range(activations.ndim) if a not in (0, axis))
        found = gradient.sum(axis=space)
        bias = np.array(layer.bias)
        for k in range(len(bias)):
            scores = []
            for sign in (1, -1):
                layer.bias.assign(bias + sign * 1e-6 * np.eye(len(bias))[k])
                scores.append([t.score for t in model.targets(x, weights)])
            layer.bias.assign(bias)
            expected = (np.array(scores[0]) - np.array(scores[1])) / 2e-6
            np.testing.assert_allclose(found[:, k], expected, rtol=1e-4, atol=1e-9)
    finally:
        layer.activation = activation


@pytest.mark.parametrize(
    "name", quick_are([*SOME, "subclassed", "recurrent", "tokens"], list(ARCHITECTURES))
)
def test_the_network_written_out_answers_as_the_network(name: str) -> None:
    model, samples = _models(name)[0]
    x = model._feeds.arrays(samples.x) if len(model.inputs) > 1 else [samples.x.astype(np.float32)]
    expected = model.network(x if len(x) > 1 else x[0], training=False)
    expected = expected[0] if isinstance(expected, list | tuple) else expected
    np.testing.assert_allclose(model.predict(samples.x), expected, rtol=1e-5, atol=1e-7)


FORMS = ("sequential", "functional", "nested", "sequential in sequential", "subclassed")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("technique", "backprop"),
    list(itertools.product(TECHNIQUES, [None, "guided", "rectified"])),
)
def test_the_form_of_a_network_does_not_matter(technique: str, backprop: Any) -> None:
    data = ARCHITECTURES["sequential"].data()
    weights = ARCHITECTURES["sequential"].network().get_weights()
    maps = {}
    for form in FORMS:
        network = ARCHITECTURES[form].network()
        # A nested model may list its weights in another order, never with other shapes.
        for variable in network.weights:
            (same,) = [one for one in weights if one.shape == tuple(variable.shape)]
            variable.assign(same)
        settings: dict[str, Any] = {"data": data, "filter": 1, "backprop": backprop}
        maps[form] = cnnvis.run(technique, network, **settings).maps
        if technique == "grad-cam":
            second = {"nested": "backbone/second", "sequential in sequential": "backbone/second"}
            by_path = cnnvis.run(
                technique, network, penultimate=second.get(form, "second"), **settings
            ).maps
            np.testing.assert_allclose(by_path, maps[form], atol=1e-6)
    for form in FORMS[1:]:
        np.testing.assert_allclose(maps[form], maps["sequential"], rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("technique", TECHNIQUES)
@pytest.mark.parametrize(
    ("axes", "shape"), quick_at([0], [(1, (16, 4)), (2, (12, 10, 2)), (3, (6, 8, 6, 2))])
)
def test_channels_first_and_last_twins(
    keras: Any, technique: str, axes: int, shape: tuple[int, ...]
) -> None:
    """Layers between them that do not say where channels are take it from what is before them."""
    layers = keras.layers

    def built(order: str) -> Any:
        first = order == "channels_first"
        conv = getattr(layers, f"Conv{axes}D")
        return keras.Sequential(
            [
                layers.Input((shape[-1], *shape[:-1]) if first else shape),
                conv(4, 3, padding="same", data_format=order, name="first"),
                layers.BatchNormalization(axis=1 if first else -1),
                layers.Activation("relu", name="on"),
                conv(3, 3, padding="same", data_format=order, name="last"),
                layers.Activation("relu", name="maps"),
                getattr(layers, f"GlobalAveragePooling{axes}D")(data_format=order),
                layers.Dense(3, "softmax", name="output"),
            ]
        )

    keras.utils.set_random_seed(1)
    last, first = built("channels_last"), built("channels_first")
    first.set_weights(last.get_weights())
    x = np.random.default_rng(3).normal(size=(2, *shape))
    for settings in ({"filter": 2}, {"layer": "maps", "filter": 2}):
        if technique == "grad-cam":
            settings["penultimate"] = "on"
        of_last = cnnvis.run(technique, last, data=x, **settings)
        of_first = cnnvis.run(technique, first, data=np.moveaxis(x, -1, 1), **settings)
        np.testing.assert_allclose(of_first.maps, of_last.maps, rtol=1e-4, atol=1e-6)
    # Gradients themselves are transposed.
    models = cnnvis.Model(last, filters=1), cnnvis.Model(first, filters=1)
    gradient = models[1].input_gradient(np.moveaxis(x, -1, 1))
    np.testing.assert_allclose(
        np.moveaxis(gradient, 1, -1), models[0].input_gradient(x), rtol=1e-4, atol=1e-6
    )


@pytest.mark.parametrize("step", slow_are([12], [12, 1]))
def test_the_table_in_the_documentation_is_true(step: int) -> None:
    """Of each technique some of the networks, others for the next technique."""
    said, names = documented.documented(), documented.techniques()
    assert set(said) == {(one.about, name) for one in ARCHITECTURES.values() for name in names}
    for place, name in enumerate(names):
        for one in [*ARCHITECTURES.values()][place % step :: step]:
            found = documented.outcome(one, name)
            found = None if found is None else " ".join(found.split())
            assert found == said[one.about, name], (one.about, name)


@pytest.mark.slow
@pytest.mark.parametrize(
    "technique",
    ["tf-keras-vis:saliency", "tf-keras-vis:grad-cam", "xplique:saliency", "xplique:grad-cam"],
)
def test_other_libraries_explain_a_network_or_say_why_they_cannot(technique: str) -> None:
    if registry().get("technique", technique).missing:
        pytest.skip(f"{technique.partition(':')[0]} is not installed")
    answers = [documented.outcome(one, technique) for one in documented.ARCHITECTURES.values()]
    assert sum(answer is None for answer in answers) > len(answers) / 3
