"""Networks with an absurd number in one option of one layer or operation, and chains of what adds up.

Each begins as a network that Keras builds; then each whole number of the last layer's description is
replaced. Whoever loads them must refuse them, or compute them in ordinary time and memory.
"""

from __future__ import annotations

import copy
import functools
import json
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

ABSURD = (2**29, 2**31 - 1, -1, 0)
ROW, IMAGE, VOLUME, FLAT = (12, 4), (8, 8, 4), (6, 6, 6, 2), (6,)
_KEPT = {"trainable", "seed", "name", "dtype", "config"}
"""Keys whose numbers say nothing of sizes, or are no numbers."""

Place = tuple[str | int, ...]


def layers(keras: Any) -> Iterator[tuple[str, tuple[int, ...], Any]]:
    """Layers with options that are numbers: what it is, the shape of a sample, the layer."""
    k = keras.layers
    for axes, shape in ((1, ROW), (2, IMAGE), (3, VOLUME)):
        for kind in ("MaxPooling", "AveragePooling"):
            for padding in ("valid", "same"):
                made = getattr(k, f"{kind}{axes}D")(2, 2, padding=padding)
                yield f"{kind}{axes}D {padding}", shape, made
        for padding in ("valid", "same"):
            made = getattr(k, f"Conv{axes}D")(2, 3, padding=padding)
            yield f"Conv{axes}D {padding}", shape, made
        yield f"Conv{axes}DTranspose", shape, getattr(k, f"Conv{axes}DTranspose")(2, 3, 2)
        yield f"UpSampling{axes}D", shape, getattr(k, f"UpSampling{axes}D")(2)
        yield f"ZeroPadding{axes}D", shape, getattr(k, f"ZeroPadding{axes}D")(1)
        yield f"Cropping{axes}D", shape, getattr(k, f"Cropping{axes}D")(1)
        for kind in ("Average", "Max"):
            yield (
                f"Adaptive{kind}Pooling{axes}D",
                shape,
                getattr(k, f"Adaptive{kind}Pooling{axes}D")(2),
            )
        if axes < 3:
            yield f"DepthwiseConv{axes}D", shape, getattr(k, f"DepthwiseConv{axes}D")(3)
            made = getattr(k, f"DepthwiseConv{axes}D")(3, padding="same")
            yield f"DepthwiseConv{axes}D same", shape, made
            yield f"SeparableConv{axes}D", shape, getattr(k, f"SeparableConv{axes}D")(2, 3)
    yield "Dense", FLAT, k.Dense(3)
    yield "EinsumDense", FLAT, k.EinsumDense("ab,bc->ac", (3,))
    yield "Embedding", FLAT, k.Embedding(8, 3)
    yield "ReversibleEmbedding", FLAT, k.ReversibleEmbedding(8, 3)
    yield "RepeatVector", FLAT, k.RepeatVector(2)
    yield "Reshape", FLAT, k.Reshape((3, 2))
    yield "Permute", ROW, k.Permute((2, 1))
    for kind in ("LSTM", "GRU", "SimpleRNN"):
        yield kind, ROW, getattr(k, kind)(3)
    yield "Bidirectional", ROW, k.Bidirectional(k.LSTM(3))
    yield "RNN of cells", ROW, k.RNN([k.LSTMCell(3), k.GRUCell(3)])
    yield "TimeDistributed", ROW, k.TimeDistributed(k.Dense(3))
    yield "TimeDistributed pool", VOLUME, k.TimeDistributed(k.MaxPooling2D(2))
    yield "ConvLSTM1D", (3, 8, 2), k.ConvLSTM1D(2, 3)
    yield "ConvLSTM2D", (3, 6, 6, 2), k.ConvLSTM2D(2, 3)
    yield "BatchNormalization", IMAGE, k.BatchNormalization()
    yield "LayerNormalization", IMAGE, k.LayerNormalization()
    yield "GroupNormalization", IMAGE, k.GroupNormalization(2)
    yield "Normalization", IMAGE, k.Normalization(mean=[0.0] * 4, variance=[1.0] * 4)
    yield "UnitNormalization", IMAGE, k.UnitNormalization()
    yield "RMSNormalization", IMAGE, k.RMSNormalization()
    yield "SpectralNormalization", IMAGE, k.SpectralNormalization(k.Conv2D(2, 3))
    yield "Softmax", IMAGE, k.Softmax()
    yield "PReLU", IMAGE, k.PReLU(shared_axes=[1, 2])
    yield "Discretization", FLAT, k.Discretization(bin_boundaries=[0.0, 1.0])
    yield "CategoryEncoding", FLAT, k.CategoryEncoding(5, output_mode="multi_hot")
    yield "Resizing", IMAGE, k.Resizing(4, 4)
    yield "CenterCrop", IMAGE, k.CenterCrop(4, 4)
    yield "RandomCrop", IMAGE, k.RandomCrop(4, 4)
    yield "RandomRotation", IMAGE, k.RandomRotation(0.1)
    yield "RandomGaussianBlur", (8, 8, 3), k.RandomGaussianBlur()
    yield "RandomPosterization", (8, 8, 3), k.RandomPosterization(2)
    yield "RandAugment", (8, 8, 3), k.RandAugment()
    yield "AugMix", (8, 8, 3), k.AugMix()
    grid = k.ContrastLimitedAdaptiveHistogramEqualization(tile_grid_size=(2, 2))
    yield "ContrastLimited", (8, 8, 3), grid
    yield "Solarization", (8, 8, 3), k.Solarization()
    yield "MelSpectrogram", (512,), k.MelSpectrogram(fft_length=64, num_mel_bins=8)
    yield (
        "STFTSpectrogram",
        (512, 1),
        k.STFTSpectrogram(frame_length=32, frame_step=16, fft_length=32),
    )
    yield "Flatten", IMAGE, k.Flatten()
    for kind in ("GlobalMaxPooling2D", "GlobalAveragePooling2D"):
        yield kind, IMAGE, getattr(k, kind)()


def calls(keras: Any) -> Iterator[tuple[str, tuple[int, ...], Callable[[Any], Any]]]:
    """What is called with more than one value, or is an operation."""
    k, ops = keras.layers, keras.ops
    yield "MultiHeadAttention", ROW, lambda x: k.MultiHeadAttention(2, 3)(x, x)
    yield "GroupQueryAttention", ROW, lambda x: k.GroupQueryAttention(3, 2, 1)(x, x)
    yield "Attention", ROW, lambda x: k.Attention()([x, x])
    yield "Concatenate", ROW, lambda x: k.Concatenate()([x, x])
    yield "Dot", ROW, lambda x: k.Dot(1)([x, x])
    yield "max_pool", IMAGE, lambda x: ops.max_pool(x, 2, 2)
    yield "max_pool same", IMAGE, lambda x: ops.max_pool(x, 2, 2, "same")
    yield "average_pool", IMAGE, lambda x: ops.average_pool(x, 2, 2)
    yield "average_pool same", IMAGE, lambda x: ops.average_pool(x, 2, 2, "same")
    yield "adaptive_max_pool", IMAGE, lambda x: ops.adaptive_max_pool(x, (2, 2))
    yield "unfold", (4, 8, 8), lambda x: ops.nn.unfold(x, 2)
    yield "extract_patches", IMAGE, lambda x: ops.image.extract_patches(x, 2)
    yield "gaussian_blur", IMAGE, lambda x: ops.image.gaussian_blur(x)
    yield "resize", IMAGE, lambda x: ops.image.resize(x, (4, 4))
    yield "pad_images", IMAGE, lambda x: ops.image.pad_images(x, 1, 1, 1, 1)
    yield "crop_images", IMAGE, lambda x: ops.image.crop_images(x, 1, 1, 1, 1)
    yield "depth_to_space", IMAGE, lambda x: ops.nn.depth_to_space(x, 2)
    yield "space_to_depth", IMAGE, lambda x: ops.nn.space_to_depth(x, 2)
    yield "stft", (512,), lambda x: ops.stft(x, 32, 16, 32)[0]
    yield "rfft", (512,), lambda x: ops.rfft(x, 64)[0]
    yield "extract_sequences", (512,), lambda x: ops.extract_sequences(x, 32, 16)
    yield "top_k", FLAT, lambda x: ops.top_k(x, 2)[0]
    yield "one_hot", FLAT, lambda x: ops.one_hot(ops.cast(x, "int32"), 4)
    yield "repeat", ROW, lambda x: ops.repeat(x, 2, axis=1)
    yield "tile", ROW, lambda x: ops.tile(x, (1, 2, 2))
    yield "roll", ROW, lambda x: ops.roll(x, 2, axis=1)
    yield "pad", ROW, lambda x: ops.pad(x, ((0, 0), (1, 1), (1, 1)))
    yield "cumsum", ROW, lambda x: ops.cumsum(x, axis=1)
    yield "diff", ROW, lambda x: ops.diff(x, 1, axis=1)
    yield "take", ROW, lambda x: ops.take(x, 1, axis=1)
    yield "rot90", IMAGE, lambda x: ops.rot90(x, 1, axes=(1, 2))
    yield "split", ROW, lambda x: ops.split(x, 2, axis=1)[0]
    yield "tril", (6, 6), lambda x: ops.tril(x, 1)
    yield "diagonal", (6, 6), lambda x: ops.diagonal(x, 1, 1, 2)
    yield "trace", (6, 6), lambda x: ops.trace(x, 1, 1, 2)
    yield "vander", (6,), lambda x: ops.vander(ops.reshape(x, (-1,)), 3)
    yield "left_shift", FLAT, lambda x: ops.left_shift(ops.cast(x, "int32"), 3)
    yield "segment_sum", FLAT, lambda x: ops.segment_sum(x, np.array([0, 1, 1]), 4)
    yield "norm", ROW, lambda x: ops.norm(x, 2, axis=1)
    yield "getitem", ROW, lambda x: x[:, 1:3:2]
    yield "slice", ROW, lambda x: ops.slice(x, (0, 1, 0), (1, 2, 2))


SLIDING = ("Pool", "Conv", "pool", "unfold", "extract_patches")
"""Words in what slides something over its input."""


def networks(keras: Any, kinds: tuple[str, ...] = ("",)) -> Iterator[tuple[str, Any]]:
    """A small network for each of these layers and calls that holds one of the words, by what it is."""

    def called(made: Any) -> Callable[[Any], Any]:
        return lambda x: made(x)

    every = [*((what, shape, called(made)) for what, shape, made in layers(keras)), *calls(keras)]
    for what, shape, call in every:
        if not any(kind in what for kind in kinds):
            continue
        # The first layer learns nothing, so that weights never keep a number from being tried.
        inputs = keras.layers.Input(shape, name="input")
        # What is before it has a gradient, and what is behind it one number of a kind that has, too.
        value = call(keras.layers.Activation("tanh", name="before")(inputs))
        yield what, keras.Model(inputs, value)


def absurd(
    keras: Any, numbers: tuple[int, ...] = ABSURD, kinds: tuple[str, ...] = ("",)
) -> Iterator[tuple[str, Any, Any]]:
    """Each network with each absurd number: what it is, the network, its changed description."""
    for what, network in networks(keras, kinds):
        config = json.loads(network.to_json())
        last = len(config["config"]["layers"])
        for number in range(2, last):
            layer = config["config"]["layers"][number]
            for place in _numbers({"config": layer["config"], "inbound_nodes": _plain(layer)}):
                for value in numbers:
                    changed = copy.deepcopy(config)
                    if _put(changed["config"]["layers"][number], place, value):
                        yield f"{what}: {'.'.join(map(str, place[1:]))}={value}", network, changed


def _plain(layer: Any) -> Any:
    return [{"args": n["args"], "kwargs": n["kwargs"]} for n in layer["inbound_nodes"]]


def _numbers(value: Any, at: Place = ()) -> Iterator[Place]:
    """The places of whole numbers; of a list of them all at once."""
    if isinstance(value, dict):
        if value.get("class_name") in ("__keras_tensor__", "__numpy__"):
            return
        for key, one in value.items():
            if not (isinstance(one, str) or key in ("dtype", "build_config", "seed")):
                yield from _numbers(one, (*at, key))
    elif isinstance(value, list) and value and all(type(one) is int for one in value):
        yield at
    elif isinstance(value, list):
        for number, one in enumerate(value):
            yield from _numbers(one, (*at, number))
    elif type(value) is int:
        yield at


def _put(value: Any, place: Place, number: int) -> bool:
    for key in place[:-1]:
        value = value[key]
    old = value[place[-1]]
    value[place[-1]] = [number] * len(old) if isinstance(old, list) else number
    return True


def chains(keras: Any) -> Iterator[tuple[str, Any]]:
    """Networks of ordinary numbers that take absurdly much together, by what they do."""
    k, ops = keras.layers, keras.ops

    def chain(shape: tuple[int, ...], *made: Callable[[Any], Any]) -> Any:
        inputs = value = k.Input(shape)
        for call in made:
            value = call(value)
        return keras.Model(inputs, value)

    def times(count: int, make: Callable[[], Any]) -> list[Callable[[Any], Any]]:
        return [make() for _ in range(count)]

    wide = k.UpSampling2D(1024)  # 2^26 values of 64
    yield "softmax of softmax", chain((8, 8, 1), wide, *times(40, k.Softmax))
    tanh = functools.partial(k.Activation, "tanh")
    yield "tanh of tanh", chain((8, 8, 1), wide, *times(40, tanh))
    inputs = k.Input((8, 8, 1))
    yield "sums of products", keras.Model(inputs, _products(wide(inputs), 40))
    more = k.UpSampling2D(128)  # 2^20 values of 64
    yield "hundreds of layers", chain((8, 8, 1), more, *times(300, tanh))
    yield "hundreds of normalizations", chain((8, 8, 1), more, *times(300, k.UnitNormalization))
    inner = keras.Sequential([k.Input((1024, 1024, 1)), *times(10, tanh)])
    yield "a model called often", chain((8, 8, 1), more, *[inner] * 40)
    large = functools.partial(k.AveragePooling2D, 255, 1, padding="same")
    yield "windows everywhere", chain((8, 8, 1), wide, *times(2, large))
    smooth = functools.partial(k.MaxPooling2D, 181, 1, padding="same")
    yield "largest of windows", chain((8, 8, 1), wide, *times(2, smooth))
    inputs = k.Input((64, 64))
    square = k.UpSampling1D(128)(k.Dot(2)([inputs, inputs]))
    value = ops.matmul(square, ops.transpose(square, (0, 2, 1)))
    for _ in range(40):
        value = ops.matmul(value, value)
    yield "products of matrices", keras.Model(inputs, value)
    steps = k.UpSampling1D(2**17)
    half = k.UpSampling2D(512)  # whose pools do less than 2^40 operations, and take hours
    smooth = k.MaxPooling2D(255, 1, padding="same")
    yield "windows on the way back", chain((8, 8, 1), half, smooth)
    yield (
        "pools of an operation",
        chain((8, 8, 1), half, lambda x: ops.average_pool(x, 255, 1, "same")),
    )
    narrow = k.DepthwiseConv2D(63, padding="same")
    yield "kernels of one channel", chain((8, 8, 1), wide, narrow)
    yield "steps without end", chain((16, 1), steps, k.LSTM(1))
    yield "one loop of many steps", chain((16, 1), k.UpSampling1D(2**12), k.LSTM(1))
    cells = k.RNN([k.LSTMCell(1) for _ in range(40)])
    yield "many cells at each step", chain((16, 1), k.UpSampling1D(2**9), cells)
    yield "steps both ways", chain((16, 1), steps, k.Bidirectional(k.SimpleRNN(1)))
    yield (
        "layers at each time",
        chain((16, 4), k.UpSampling1D(2**12), k.TimeDistributed(k.Dense(1))),
    )
    inputs = value = k.Input((4096, 8))
    for _ in range(40):
        value = k.Attention()([value, value])
    yield "attention to attention", keras.Model(inputs, value)
    yield "sorted again and again", _sorted(keras, wide)


def _products(value: Any, count: int) -> Any:
    for _ in range(count):
        value = value * value + 1.0
    return value


def _sorted(keras: Any, wide: Any) -> Any:
    inputs = keras.layers.Input((8, 8, 1))
    value = keras.ops.reshape(wide(inputs), (-1, 2**26))
    for _ in range(20):
        value = keras.ops.sort(value, axis=-1)
    return keras.Model(inputs, value)
