"""Positions followed through a network: against its derivatives, and known by construction."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from quick import quick_at

import cnnvis
from cnnvis.network.geometry.origin import Origin, Positions, Run
from cnnvis.network.geometry.probing import Probe
from cnnvis.network.geometry.windows import windows_of
from cnnvis.network.layer_names import find_call
from cnnvis.network.positions import origin_of
from cnnvis.network.traced import TracedNetwork

Network = Callable[[Any], Any]


def origin(network: Any, layer: str, shape: tuple[int, ...] | None = None) -> Origin:
    traced = TracedNetwork.of(network)
    call, source = find_call(traced.calls, layer, {}), traced.graph.inputs[0]
    found = origin_of(traced, call, source, shape or source.shape)
    assert found is not None
    return found


def built(keras: Any, shape: tuple[Any, ...], *layers: Any) -> Any:
    """A network of these layers, of which the one called `here` is looked at."""
    x = value = keras.Input(shape)
    for layer in layers:
        value = layer(value)
    flat = keras.layers.Flatten()(value) if None not in value.shape[1:] else value
    return keras.Model(x, keras.layers.Dense(2, name="output")(flat))


# Windows, by the settings of layers, against what the layers depend on


def _sliding(layers: Any) -> dict[str, Any]:
    found = {}
    for padding in ("same", "valid"):
        for size, step in ((3, 1), (3, 2), (4, 3), (1, 2), (2, 2)):
            settings = {"padding": padding, "strides": step}
            name = f"{padding} {size} by {step}"
            found[f"conv {name}"] = layers.Conv2D(2, size, **settings)
            found[f"pool {name}"] = layers.AveragePooling2D(size, **settings)
            found[f"transposed {name}"] = layers.Conv2DTranspose(2, size, **settings)
            found[f"depthwise {name}"] = layers.DepthwiseConv2D(size, **settings)
        found[f"dilated {padding}"] = layers.Conv2D(2, 3, padding=padding, dilation_rate=(2, 3))
        found[f"separable {padding}"] = layers.SeparableConv2D(2, (2, 5), padding=padding)
    found["up"] = layers.UpSampling2D((2, 3))
    found["padded"] = layers.ZeroPadding2D(((3, 1), (0, 2)))
    found["cropped"] = layers.Cropping2D(((2, 1), (0, 4)))
    return found


@pytest.mark.slow
@pytest.mark.parametrize(("of", "first"), [((24, 24), 0), ((23, 25), 1)], ids=str)
def test_windows_are_what_layers_depend_on(keras: Any, of: tuple[int, int], first: int) -> None:
    for number, (name, layer) in enumerate(_sliding(keras.layers).items()):
        if (number + number // 4) % 2 != first:  # half of the layers of each kind, at each size
            continue
        network = built(keras, (*of, 2), layer)
        call = TracedNetwork.of(network).graph.calls[0]
        (source,), (output,) = call.inputs, call.slots
        sizes = {source: (*of, 2), output: call.shapes[0]}
        weights = [np.abs(one) + 0.1 for one in layer.get_weights()]  # none cancels another
        layer.set_weights(weights)
        said = windows_of(call, sizes[source], sizes[output])
        measured = Probe(call, source, 0, sizes, {source: "float32"}).windows()
        assert said is not None and measured is not None
        for axis in (0, 1):
            one, other = said[axis], measured[axis]
            assert one is not None and other is not None
            tolerance = 1.0 if one.step < 1 or name == "up" else 0.0  # whole positions, in between
            assert (one.axis, other.axis) == (axis, axis), name
            assert abs(one.step - other.step) <= 0.03 * tolerance, name
            assert abs(one.low - other.low) <= tolerance, name
            assert abs(one.high - other.high) <= tolerance, name


@pytest.mark.parametrize("axes", [1, 3])
@pytest.mark.parametrize("form", ["channels_first", "channels_last"])
def test_windows_over_other_axes(keras: Any, axes: int, form: str) -> None:
    conv = getattr(keras.layers, f"Conv{axes}D")
    pool = getattr(keras.layers, f"MaxPooling{axes}D")
    shape = (2, *[20] * axes) if form == "channels_first" else (*[20] * axes, 2)
    network = built(
        keras,
        shape,
        conv(3, 5, padding="valid", data_format=form),
        pool(3, data_format=form, name="here"),
    )
    found = origin(network, "here")
    first = form == "channels_first"
    space = range(1 + first, 1 + first + axes)
    expected = [Positions((Run(5, axis, 3.0),)) for axis in space]
    expected.insert(0 if first else axes, Positions((Run(3),)))
    assert found.axes == tuple(expected)
    assert found.fields == dict.fromkeys(space, (0, 6))


def test_causal_windows_reach_back(keras: Any) -> None:
    network = built(
        keras, (40, 1), keras.layers.Conv1D(2, 3, padding="causal", dilation_rate=4, name="here")
    )
    assert origin(network, "here").fields == {1: (-8, 0)}


# Whole networks: the middle of a receptive field is that of the derivative


def _vgg(layers: Any, x: Any) -> Any:
    for filters in (4, 6):
        x = layers.Conv2D(filters, 3, padding="same", activation="softplus")(x)
        x = layers.AveragePooling2D(2)(x)
    return layers.Conv2D(6, 3, padding="same", activation="softplus", name="here")(x)


def _mobile(layers: Any, x: Any) -> Any:
    for number in range(3):
        x = layers.Conv2D(5, 3, strides=2, padding="same", activation="softplus")(x)
        x = layers.DepthwiseConv2D(3, padding="same", name="here" if number == 2 else None)(x)
    return x


def _residual(layers: Any, x: Any) -> Any:
    x = layers.ZeroPadding2D(3)(x)
    x = layers.Conv2D(4, 7, strides=2, activation="softplus")(x)
    y = layers.Conv2D(4, 3, padding="same")(x)
    x = layers.Add()([x, y])
    y = layers.Conv2D(6, 3, strides=2, padding="same", activation="softplus")(x)
    x = layers.Conv2D(6, 1, strides=2)(x)
    return layers.Add(name="here")([y, x])


def _hourglass(layers: Any, x: Any) -> Any:
    skip = layers.Conv2D(4, 3, padding="same", activation="softplus")(x)
    y = layers.AveragePooling2D(2)(skip)
    y = layers.Conv2D(4, 3, padding="same", activation="softplus")(y)
    y = layers.Conv2DTranspose(4, 2, strides=2)(y)
    y = layers.Concatenate()([skip, y])
    return layers.Conv2D(3, 3, padding="same", name="here")(y)


def _turned(layers: Any, x: Any) -> Any:
    x = layers.Permute((2, 1, 3))(x)
    x = layers.Conv2D(4, (5, 3), strides=(2, 1), activation="softplus")(x)
    return layers.Conv2D(4, 3, dilation_rate=2, name="here")(x)


NETWORKS = {
    "vgg": _vgg,
    "mobile": _mobile,
    "residual": _residual,
    "hourglass": _hourglass,
    "turned": _turned,
}


@pytest.mark.parametrize("name", NETWORKS)
def test_fields_are_centred_where_derivatives_are(keras: Any, name: str) -> None:
    import tensorflow as tf

    shape = (96, 128, 2)  # so large that no field in the middle is cut off at an edge
    x = keras.Input(shape)
    here = NETWORKS[name](keras.layers, x)
    network = keras.Model(x, keras.layers.GlobalAveragePooling2D(name="output")(here))
    network.set_weights([np.abs(one) + 0.05 for one in network.get_weights()])
    rows, columns = here.shape[1:3]
    value = tf.random.stateless_normal((1, *shape), (1, 2))
    inner = keras.Model(x, here)
    model = cnnvis.Model(network)
    for cell in ((rows // 2, columns // 2), (rows // 2 - 1, columns // 2)):

        @tf.function
        def slope(row: int, column: int) -> Any:
            with tf.GradientTape() as tape:
                tape.watch(value)
                one = tf.reduce_sum(inner(value)[0, row, column])
            return tape.gradient(one, value)

        seen = np.abs(slope(*cell).numpy()[0]).sum(axis=-1) > 0
        middle = [
            (places[0] + places[-1]) / 2
            for places in map(np.flatnonzero, (seen.any(1), seen.any(0)))
        ]
        maps = np.zeros((1, rows, columns), np.float32)
        maps[0, cell[0], cell[1]] = 1
        drawn = model.upsample(maps, "here", shape)[0]
        at = [
            (np.arange(size) * drawn.sum(1 - axis)).sum() / drawn.sum()
            for axis, size in enumerate(drawn.shape)
        ]
        # Two positions behind a transposed convolution may look at the same ones before it.
        np.testing.assert_allclose(at, middle, atol=0.51 if name == "hourglass" else 0.01)


# What is made of positions by moving them about


ROWS, COLUMNS = Run(32, 1, 1.0), Run(48, 2, 1.0)


def _moved(keras: Any) -> dict[str, tuple[Any, list[Positions], dict[int, tuple[float, float]]]]:
    layers, ops = keras.layers, keras.ops
    whole, channels = {1: (0.0, 0.0), 2: (0.0, 0.0)}, Positions((Run(3),))
    return {
        "turned": (lambda x: ops.transpose(x, (0, 3, 2, 1)), [channels, Positions((COLUMNS,)), Positions((ROWS,))], whole),
        "moved": (lambda x: ops.moveaxis(x, 1, 2), [Positions((COLUMNS,)), Positions((ROWS,)), channels], whole),
        "one axis": (layers.Reshape((32 * 48, 3)), [Positions((ROWS, COLUMNS)), channels], whole),
        "flat": (layers.Flatten(), [Positions((ROWS, COLUMNS, Run(3)))], whole),
        "backwards": (
            lambda x: x[:, ::-1, 4:],
            [Positions((Run(32, 1, -1.0),)), Positions((Run(44, 2, 1.0),)), channels],
            {1: (31, 31), 2: (4, 4)},
        ),
        "every third": (lambda x: x[:, 1::3], [Positions((Run(11, 1, 3.0),)), Positions((COLUMNS,)), channels], {1: (1, 1), 2: (0, 0)}),
        "folded": (
            layers.Reshape((32, 12, 12)),
            [Positions((ROWS,)), Positions((Run(12, 2, 4.0),)), Positions((Run(4, 2, 1.0), Run(3)))],
            whole,
        ),
        "padded": (
            lambda x: ops.pad(x, ((0, 0), (2, 1), (0, 0), (0, 0))),
            [Positions((ROWS,), 2, 1), Positions((COLUMNS,)), channels],
            whole,
        ),
        "repeated": (
            lambda x: ops.repeat(x, 2, axis=2),
            [Positions((ROWS,)), Positions((COLUMNS, Run(2, 2, 0.5))), channels],
            {1: (0, 0), 2: (-0.25, -0.25)},
        ),
        "halves": (lambda x: ops.split(x, 2, axis=1)[1], [Positions((Run(16, 1, 1.0),)), Positions((COLUMNS,)), channels], {1: (16, 16), 2: (0, 0)}),
        "a new axis": (
            lambda x: ops.expand_dims(x, 2),
            [Positions((ROWS,)), Positions((Run(1),)), Positions((COLUMNS,)), channels],
            whole,
        ),
        "patches": (
            lambda x: ops.image.extract_patches(x, 8),
            [Positions((Run(4, 1, 8.0),)), Positions((Run(6, 2, 8.0),)), Positions((Run(8, 1, 1.0), Run(8, 2, 1.0), Run(3)))],
            whole,
        ),
    }  # fmt: skip


MOVED = [
    *("turned", "moved", "one axis", "flat", "backwards", "every third", "folded", "padded"),
    *("repeated", "halves", "a new axis", "patches"),
]


@pytest.mark.parametrize("policy", ["float32", "mixed_bfloat16"])
@pytest.mark.parametrize("name", MOVED)
def test_numbers_that_are_moved_about(keras: Any, name: str, policy: str) -> None:
    make, axes, fields = _moved(keras)[name]
    x = keras.Input((32, 48, 3))
    value = make(keras.layers.Activation("linear", dtype=policy)(x))
    value = keras.layers.Activation("linear", name="here")(value)
    network = keras.Model(x, keras.layers.Dense(2, name="output")(keras.layers.Flatten()(value)))
    found = origin(network, "here")
    assert found.axes == tuple(axes)
    assert found.fields == fields


def test_channels_that_are_moved_to_space_make_finer_positions(keras: Any) -> None:
    x = keras.Input((16, 24, 3))
    value = keras.layers.Conv2D(16, 2, strides=2)(x)
    value = keras.layers.Reshape((8, 12, 2, 2, 4))(value)
    value = keras.ops.transpose(value, (0, 1, 3, 2, 4, 5))
    value = keras.layers.Reshape((16, 24, 4), name="here")(value)
    network = keras.Model(x, keras.layers.GlobalAveragePooling2D(name="output")(value))
    found = origin(network, "here")
    assert [axis.single for axis in found.axes] == [Run(16, 1, 1.0), Run(24, 2, 1.0), Run(4)]
    assert found.fields == {1: (-0.5, 0.5), 2: (-0.5, 0.5)}


def _drawn(network: Any, layer: str, shape: tuple[int, ...], cell: tuple[int, ...]) -> Any:
    """What is drawn of one position of a layer."""
    model = cnnvis.Model(network)
    sizes = network.get_layer(layer).output.shape[1:-1]
    maps = np.zeros((1, *sizes), np.float32)
    maps[(0, *cell)] = 1
    return model.upsample(maps, layer, shape)[0]


def _folded(keras: Any, name: str) -> tuple[tuple[int, ...], list[Any]]:
    layers, ops = keras.layers, keras.ops

    def space_to_depth(x: Any) -> Any:
        cut = ops.transpose(ops.reshape(x, (-1, 8, 4, 8, 4, 1)), (0, 1, 3, 2, 4, 5))
        return layers.Reshape((8, 8, 16))(cut)

    made: dict[str, tuple[tuple[int, ...], list[Any]]] = {
        "signal": ((128, 1), [layers.Reshape((16, 8))]),
        "space to depth": ((32, 32, 1), [space_to_depth]),
        "patches": ((32, 32, 3), [lambda x: ops.image.extract_patches(x, 4)]),
        "half of each": ((128, 1), [layers.Reshape((16, 8)), lambda x: x[..., 4:]]),
    }
    return made[name]


@pytest.mark.parametrize("behind", ["nothing", "BatchNormalization", "Dropout", "ReLU", "Dense"])
@pytest.mark.parametrize("name", ["signal", "space to depth", "patches", "half of each"])
def test_a_patch_is_drawn_in_its_middle(keras: Any, name: str, behind: str) -> None:
    """Whether its channels are still its positions, or something was computed of them."""
    layers = keras.layers
    shape, stack = _folded(keras, name)
    end = {
        "nothing": layers.Activation("linear", name="here"),
        "BatchNormalization": layers.BatchNormalization(name="here"),
        "Dropout": layers.Dropout(0.5, name="here"),
        "ReLU": layers.ReLU(name="here"),
        "Dense": layers.Dense(3, name="here"),
    }[behind]
    network = built(keras, shape, *stack, end)
    drawn = _drawn(network, "here", shape, (5,) * (len(shape) - 1))
    middle = {"signal": 43.5, "half of each": 45.5}.get(name, 21.5)
    for axis, size in enumerate(drawn.shape):
        along = drawn.sum(axis=tuple(a for a in range(drawn.ndim) if a != axis))
        assert (np.arange(size) * along).sum() / along.sum() == pytest.approx(middle, abs=1e-3)


@pytest.mark.parametrize("how", ["Add", "+", "Concatenate"])
def test_crops_that_are_put_together_are_drawn_where_they_were(keras: Any, how: str) -> None:
    layers = keras.layers
    together = {
        "Add": lambda a, b: layers.Add()([a, b]),
        "+": lambda a, b: a + b,
        "Concatenate": lambda a, b: layers.Concatenate()([a, b]),
    }[how]
    conv = layers.Conv2D(1, 3, name="here")
    network = built(keras, (24, 26, 1), lambda x: together(x[:, :, :13], x[:, :, 13:]), conv)
    drawn = _drawn(network, "here", (24, 26, 1), (4, 5))
    assert np.argwhere(drawn == drawn.max()).tolist() == [[5, 6], [5, 19]]
    network.set_weights([np.abs(one) + 0.05 for one in network.get_weights()])
    data = np.random.default_rng(0).random((1, 24, 26, 1), np.float32)
    found = cnnvis.run("grad-cam", network, data=data, penultimate="here", backprop=None)
    assert any("belongs to 2 places of the input" in note for note in found.notes)
    np.testing.assert_array_equal(found.array[0][:, :13], found.array[0][:, 13:])


def test_crops_along_several_axes_are_drawn_where_they_were(keras: Any) -> None:
    def four(x: Any) -> Any:
        return x[:, :8, :9] + x[:, 8:, 9:] + x[:, :8, 9:] + x[:, 8:, :9]

    network = built(keras, (16, 18, 1), four, keras.layers.Activation("relu", name="here"))
    drawn = _drawn(network, "here", (16, 18, 1), (3, 4))
    assert np.argwhere(drawn == 1).tolist() == [[3, 4], [3, 13], [11, 4], [11, 13]]
    assert drawn.sum() == pytest.approx(4)


def test_values_that_are_shifted_a_little_are_drawn_in_both_places(keras: Any) -> None:
    network = built(
        keras, (40, 1), lambda x: x[:, 6:] - x[:, :-6], keras.layers.Activation("relu", name="here")
    )
    drawn = _drawn(network, "here", (40, 1), (10,))
    assert np.flatnonzero(drawn).tolist() == [10, 16]
    network = built(
        keras, (40, 1), lambda x: x[:, 1:] - x[:, :-1], keras.layers.Activation("relu", name="here")
    )  # neighbours are one place
    assert origin(network, "here").fields == {1: (0, 1)} and not origin(network, "here").shifts


def test_what_runs_both_ways_has_no_places(keras: Any) -> None:
    network = built(
        keras, (8, 9, 1), lambda x: x + x[:, ::-1], keras.layers.Activation("relu", name="here")
    )
    drawn = _drawn(network, "here", (8, 9, 1), (2, 4))
    assert (drawn == drawn[:1]).all() and drawn[0].argmax() == 4


def _sorted(keras: Any, name: str) -> Any:
    import tensorflow as tf

    ops = keras.ops
    return {
        "sort": lambda x: ops.sort(x, axis=1),
        "by ranks": lambda x: ops.take_along_axis(x, ops.argsort(x, axis=1), axis=1),
        "ranks": lambda x: ops.cast(ops.argsort(x, axis=1), "float32"),
        "Lambda": keras.layers.Lambda(lambda x: tf.sort(x, axis=1)),
    }[name]


@pytest.mark.parametrize("sizes", quick_at([0], [((12, 12),), ((23, 16),), ((40, 32),)]), ids=str)
@pytest.mark.parametrize("name", ["sort", "by ranks", "ranks", "Lambda"])
def test_what_was_sorted_has_no_places(keras: Any, name: str, sizes: tuple[int, int]) -> None:
    """Along that axis; along the other it has those that it had."""
    network = built(
        keras, (*sizes, 1), _sorted(keras, name), keras.layers.Conv2D(1, 1, name="here")
    )
    found = origin(network, "here")
    assert found.axes[0].single == Run(sizes[0])
    assert found.axes[1].single == Run(sizes[1], 2, 1.0)
    drawn = _drawn(network, "here", (*sizes, 1), (3, 4))
    assert (drawn == drawn[:1]).all() and drawn[0].argmax() == 4


def test_the_largest_of_a_row_have_no_places_in_it(keras: Any) -> None:
    layers, ops = keras.layers, keras.ops
    network = built(
        keras,
        (12, 14, 1),
        lambda x: ops.top_k(x[..., 0], 5)[0],
        layers.Reshape((12, 5, 1)),
        layers.Conv2D(1, 1, name="here"),
    )
    found = origin(network, "here")
    assert found.axes[0].single == Run(12, 1, 1.0) and found.axes[1].single == Run(5)
    network.set_weights([np.abs(one) + 0.05 for one in network.get_weights()])
    data = np.random.default_rng(0).random((1, 12, 14, 1), np.float32)
    explained = cnnvis.run("grad-cam", network, data=data, penultimate="here", backprop=None)
    assert any(
        "finds no positions of 'here' along the input's column" in note for note in explained.notes
    )


# Layers that say nothing of positions


def _attention(keras: Any) -> Any:
    class Block(keras.layers.Layer):
        """A layer of a person's own that looks at all tokens."""

        def build(self, shape: Any) -> None:
            self.look = keras.layers.MultiHeadAttention(2, 4)
            self.look.build(shape, shape)

        def call(self, x: Any) -> Any:
            return x + 0.3 * self.look(x, x)

    return Block


@pytest.mark.slow
def test_tokens_of_a_picture_stand_for_its_places(keras: Any) -> None:
    layers = keras.layers

    class WithClass(layers.Layer):
        def build(self, shape: Any) -> None:
            self.token = self.add_weight(shape=(1, 1, shape[-1]), initializer="normal")

        def call(self, x: Any) -> Any:
            token = keras.ops.broadcast_to(self.token, (keras.ops.shape(x)[0], 1, x.shape[-1]))
            return keras.ops.concatenate([token, x], axis=1)

    keras.utils.set_random_seed(0)
    x = keras.Input((32, 48, 3))
    value = layers.Conv2D(8, 8, strides=8, activation="relu")(x)
    value = WithClass()(layers.Reshape((24, 8))(value))
    look = layers.MultiHeadAttention(2, 4)(value, value)
    value = layers.LayerNormalization()(layers.Add()([value, look]))
    value = layers.Dense(8, name="seen")(value)
    value = _attention(keras)(name="here")(value)
    network = keras.Model(x, layers.Dense(2, name="output")(value[:, 0]))
    found = origin(network, "here")
    assert found.axes == (
        Positions((Run(4, 1, 8.0), Run(6, 2, 8.0)), before=1),
        Positions((Run(8),)),
    )
    assert found.fields == {1: (0, 7), 2: (0, 7)}
    images = np.random.default_rng(0).normal(size=(2, 32, 48, 3)).astype(np.float32)
    settings: dict[str, Any] = {"data": images, "backprop": None, "filter": 1}
    explained = cnnvis.run("grad-cam", network, penultimate="auto", **settings)
    assert explained.array.shape == (2, 32, 48)
    assert any("1 position of 'seen', such as a class token" in note for note in explained.notes)
    # Behind the last attention, nothing but the class token is looked at.
    with pytest.raises(cnnvis.UserError, match=r"a class token, .*; use --penultimate seen"):
        cnnvis.run("grad-cam", network, penultimate="here", **settings)


@pytest.mark.parametrize("form", ["Keras's own", "a person's own", "with mel bins"])
@pytest.mark.slow
def test_a_spectrogram_keeps_time_and_adds_frequencies(keras: Any, form: str) -> None:
    """What is seen of a burst is drawn when it is, whatever its frequency."""
    layers = keras.layers

    class Spectrogram(layers.Layer):
        def call(self, x: Any) -> Any:
            import tensorflow as tf

            return tf.abs(tf.signal.stft(x[..., 0], 64, 32, 64))[..., None]

    x = keras.Input((1024, 1))
    if form == "Keras's own":
        value = layers.STFTSpectrogram("magnitude", 64, 32, 64, expand_dims=True)(x)
    elif form == "a person's own":
        value = Spectrogram()(x)
    else:
        value = layers.MelSpectrogram(64, 32, sampling_rate=8000, num_mel_bins=20)(x[..., 0])
        value = layers.Reshape((*value.shape[1:], 1))(value)
    value = layers.Conv2D(1, 3, padding="same", use_bias=False, activation="relu", name="here")(
        value
    )
    network = keras.Model(x, layers.Dense(1, name="output")(layers.GlobalAveragePooling2D()(value)))
    network.set_weights(
        [*network.get_weights()[:-3], np.ones((3, 3, 1, 1)), np.ones((1, 1)), np.zeros(1)]
    )
    burst = np.zeros((1, 1024, 1), np.float32)
    burst[0, 600:664, 0] = np.sin(np.arange(64))
    found = cnnvis.run("grad-cam", network, data=burst, penultimate="here", backprop=None)
    assert found.axes == ("position",)
    assert found.array.shape == (1, 1024)
    values = found.array[0] - np.median(found.array)
    middle = (np.arange(1024) * values).sum() / values.sum()
    assert abs(middle - 631.5) < 8
    bins = network.get_layer("here").output.shape[1 if form == "with mel bins" else 2]
    assert any(f"have {bins} values for each position of the input" in one for one in found.notes)


def test_axes_that_are_folded_are_unfolded(keras: Any) -> None:
    """Time cut into rows is put together again, and drawn where it was."""
    layers = keras.layers
    x = keras.Input((256, 1))
    value = layers.Reshape((16, 16, 1))(x)
    value = layers.Conv2D(1, 1, use_bias=False, name="here")(value)
    network = keras.Model(x, layers.Dense(1, name="output")(layers.GlobalAveragePooling2D()(value)))
    network.set_weights([np.ones((1, 1, 1, 1)), np.ones((1, 1)), np.zeros(1)])
    data = np.abs(np.random.default_rng(0).normal(size=(2, 256, 1))).astype(np.float32)
    found = cnnvis.run("grad-cam", network, data=data, penultimate="here", backprop=None)
    np.testing.assert_allclose(found.array, data[..., 0] / 256, rtol=1e-5)


def test_an_axis_that_is_gone_is_said_to_be(keras: Any) -> None:
    keras.utils.set_random_seed(1)  # by chance, no feature map speaks for the output
    layers, ops = keras.layers, keras.ops
    x = keras.Input((12, 20, 1))
    value = layers.Conv1D(2, 3, activation="relu", name="here")(ops.mean(x, axis=1))
    value = layers.Conv1D(2, 3, activation="relu")(value)
    network = keras.Model(x, layers.Dense(1, name="output")(layers.Flatten()(value)))
    data = np.random.default_rng(0).normal(size=(3, 12, 20, 1)).astype(np.float32)
    found = cnnvis.run("grad-cam", network, data=data, penultimate="here", backprop="rectified")
    assert found.array.shape == (3, 12, 20)
    assert (found.array == found.array[:, :1]).all()
    assert any("finds no positions of 'here' along the input's row" in note for note in found.notes)


def test_what_has_no_place_in_the_input_is_refused(keras: Any) -> None:
    layers = keras.layers
    x = keras.Input((10, 12, 1))
    value = layers.Dense(36, activation="relu")(layers.Flatten()(x))
    value = layers.Conv2D(2, 3, activation="relu", name="latent")(layers.Reshape((6, 6, 1))(value))
    value = layers.Conv2D(2, 3)(value)
    network = keras.Model(x, layers.Dense(1, name="output")(layers.Flatten()(value)))
    data = np.ones((1, 10, 12, 1), np.float32)
    with pytest.raises(
        cnnvis.UserError, match="no axis of the output of 'latent' is an axis of the input"
    ):
        cnnvis.run("grad-cam", network, data=data, penultimate="latent", backprop=None)
    with pytest.raises(
        cnnvis.UserError, match="no feature maps can be laid over the input; use saliency"
    ):
        cnnvis.run("grad-cam", network, data=data, backprop=None)


def test_networks_of_any_size(keras: Any) -> None:
    layers = keras.layers
    network = built(
        keras, (None, None, 1), layers.Conv2D(2, 3, strides=2, padding="same", name="here"), layers.GlobalAveragePooling2D()
    )  # fmt: skip
    assert origin(network, "here", (20, 21, 1)).fields == {1: (0, 2), 2: (-1, 1)}


def test_a_cell_of_seven_over_two_hundred_and_twenty_four(keras: Any) -> None:
    """A peak whose cell is centred at 47.5 is drawn there."""
    network = built(keras, (224, 224, 1), keras.layers.AveragePooling2D(32, name="here"))
    maps = np.zeros((1, 7, 7), np.float32)
    maps[0, 1, 5] = 1
    drawn = cnnvis.Model(network).upsample(maps, "here", (224, 224, 1))[0]
    peak = np.argwhere(drawn == drawn.max())
    np.testing.assert_allclose(peak.mean(axis=0), [47.5, 175.5])


def test_memory_is_in_proportion_to_the_map(keras: Any) -> None:
    import tracemalloc

    layers = keras.layers
    network = built(
        keras, (100_000, 1), layers.Conv1D(1, 8, strides=4, name="here"), layers.GlobalAveragePooling1D()
    )  # fmt: skip
    model = cnnvis.Model(network)
    maps = np.random.default_rng(0).random((1, 24_999)).astype(np.float32)
    tracemalloc.start()
    found = model.upsample(maps, "here", (100_000, 1))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert found.shape == (1, 100_000)
    assert peak < 20 * found.nbytes


def test_keras_vis_lays_axes_over_each_other_as_they_come_and_that_is_said(keras: Any) -> None:
    layers = keras.layers
    x = keras.Input((12, 16, 1))
    value = layers.Conv2D(2, 3, activation="softplus", name="here")(layers.Permute((2, 1, 3))(x))
    network = keras.Model(x, layers.Dense(1, name="output")(layers.GlobalAveragePooling2D()(value)))
    data = np.random.default_rng(0).normal(size=(1, 12, 16, 1)).astype(np.float32)
    settings: dict[str, Any] = {"penultimate": "here", "backprop": None, "gradient": "absolute"}
    own = cnnvis.run("grad-cam", network, data=data, **settings)
    theirs = cnnvis.run("grad-cam", network, data=data, keras_vis=True, **settings)
    said = "are not the axes of the input in the same order"
    assert any(said in note for note in theirs.notes)
    assert not any(said in note for note in own.notes)
