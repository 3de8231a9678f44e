"""Every layer of Keras 2 in its forms, for what a file of it must answer with Keras 3."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

Made = tuple[str, tuple[int, ...], Callable[[Any], Any]]
"""What it is, the shape of a sample, and what a tensor of samples is given to."""

ROW, IMAGE, VOLUME, FLAT = (9, 4), (8, 7, 4), (6, 5, 5, 4), (6,)
ACTIVATIONS = (
    *("elu", "exponential", "gelu", "hard_sigmoid", "linear", "mish", "relu", "selu", "sigmoid"),
    *("softmax", "softplus", "softsign", "swish", "tanh"),
)
GATES = ("hard_sigmoid", "sigmoid", "softsign", "tanh")
"""Those with which a recurrent layer of random weights keeps to small numbers."""


def forms(keras: Any) -> Iterator[Made]:
    """Every form, in Keras 2's own words."""
    layers = keras.layers

    def of(shape: tuple[int, ...], kind: str, *args: Any, **settings: Any) -> Made:
        said = ", ".join([*map(str, args), *(f"{key}={value}" for key, value in settings.items())])
        return f"{kind}({said})", shape, lambda x: getattr(layers, kind)(*args, **settings)(x)

    yield from _activations(of, layers)
    yield from _recurrent(of, keras)
    yield from _convolutions(of)
    yield from _pools(of)
    yield from _images(of)
    yield from _others(of)
    yield from _merges(layers)


def _activations(of: Any, layers: Any) -> Iterator[Made]:
    for name in ACTIVATIONS:
        yield of(FLAT, "Activation", name)
        yield of(FLAT, "Dense", 5, activation=name)
        yield of(IMAGE, "Conv2D", 3, 3, activation=name)
    for kind in ("LSTM", "GRU"):
        for name in GATES:
            yield of(ROW, kind, 3, activation=name, recurrent_activation=name)
    for name in GATES:
        yield of(ROW, "SimpleRNN", 3, activation=name)
        yield (
            f"TimeDistributed(Dense, {name})",
            ROW,
            lambda x, name=name: layers.TimeDistributed(layers.Dense(3, activation=name))(x),
        )


def _recurrent(of: Any, keras: Any) -> Iterator[Made]:
    layers = keras.layers
    for kind in ("LSTM", "GRU", "SimpleRNN"):
        for option in ("go_backwards", "return_sequences", "unroll"):
            yield of(ROW, kind, 3, **{option: True})
        yield of(ROW, kind, 3, use_bias=False)
        for mode in ("concat", "sum", "mul", "ave"):
            yield (
                f"Bidirectional({kind}, {mode})",
                ROW,
                lambda x, kind=kind, mode=mode: layers.Bidirectional(
                    getattr(layers, kind)(3, return_sequences=True), merge_mode=mode
                )(x),
            )
    yield of(ROW, "GRU", 3, reset_after=False)
    yield of(ROW, "GRU", 3, reset_after=False, use_bias=False)
    yield (
        "Bidirectional(LSTM, GRU)",
        ROW,
        lambda x: layers.Bidirectional(
            layers.LSTM(3), backward_layer=layers.GRU(3, go_backwards=True)
        )(x),
    )
    yield (
        "RNN of three cells",
        ROW,
        lambda x: layers.RNN(
            [
                layers.LSTMCell(3, recurrent_activation="hard_sigmoid"),
                layers.GRUCell(4, recurrent_activation="hard_sigmoid"),
                layers.SimpleRNNCell(2),
            ]
        )(x),
    )
    yield "LSTM with states", ROW, lambda x: layers.LSTM(3, return_state=True)(x)
    yield (
        "LSTM from states",
        ROW,
        lambda x: layers.LSTM(3)(x, initial_state=[layers.Dense(3)(x[:, 0]) for _ in range(2)]),
    )
    yield of((5, 9, 2), "ConvLSTM1D", 3, 3)
    yield of((5, 9, 2), "ConvLSTM1D", 3, 3, dilation_rate=2, return_sequences=True)
    yield of((5, 9, 2), "ConvLSTM1D", 3, 3, strides=2, padding="same", go_backwards=True)
    yield of((3, 8, 7, 2), "ConvLSTM2D", 3, 3)
    yield of((3, 5, 4, 4, 2), "ConvLSTM3D", 3, 3, padding="same")


def _convolutions(of: Any) -> Iterator[Made]:
    steps = ((1, 1), (2, 1), (1, 2), (3, 1))
    for axes, shape in ((1, ROW), (2, IMAGE), (3, VOLUME)):
        for padding in ("valid", "same"):
            for strides, dilation in steps:
                how = {"padding": padding, "strides": strides, "dilation_rate": dilation}
                yield of(shape, f"Conv{axes}D", 4, 3, **how)
                yield of(shape, f"Conv{axes}DTranspose", 4, 3, **how)
                yield of(shape, f"Conv{axes}DTranspose", 4, 2, **how)
                if axes < 3:
                    yield of(shape, f"SeparableConv{axes}D", 4, 3, depth_multiplier=2, **how)
                    yield of(shape, f"DepthwiseConv{axes}D", 3, depth_multiplier=2, **how)
        yield of(shape, f"Conv{axes}D", 4, 3, groups=2)
        yield of(shape, f"Conv{axes}DTranspose", 4, 3, strides=2, output_padding=1)
    yield of(ROW, "Conv1D", 4, 3, padding="causal", dilation_rate=2)
    yield of(ROW, "SeparableConv1D", 4, 3, padding="causal")
    yield of(ROW, "LocallyConnected1D", 3, 2)
    yield of(IMAGE, "LocallyConnected2D", 3, 2)


def _pools(of: Any) -> Iterator[Made]:
    for axes, shape in ((1, ROW), (2, IMAGE), (3, VOLUME)):
        for kind in ("Max", "Average"):
            for padding in ("valid", "same"):
                for strides in (None, 1, 3):
                    yield of(shape, f"{kind}Pooling{axes}D", 2, strides=strides, padding=padding)
            for keepdims in (False, True):
                yield of(shape, f"Global{kind}Pooling{axes}D", keepdims=keepdims)
        yield of(shape, f"UpSampling{axes}D", 2)
        yield of(shape, f"ZeroPadding{axes}D", 2)
        yield of(shape, f"Cropping{axes}D", 1)


def _images(of: Any) -> Iterator[Made]:
    for way in (
        *("area", "bicubic", "bilinear", "gaussian", "lanczos3", "lanczos5", "mitchellcubic"),
        "nearest",
    ):
        yield of(IMAGE, "UpSampling2D", 2, interpolation=way)
        yield of(IMAGE, "Resizing", 11, 5, interpolation=way)
        yield of(IMAGE, "Resizing", 5, 4, interpolation=way)
    yield of(IMAGE, "UpSampling2D", (2, 3))
    yield of(IMAGE, "ZeroPadding2D", ((1, 2), (0, 3)))
    yield of(IMAGE, "Cropping2D", ((1, 2), (0, 3)))
    yield of(IMAGE, "Resizing", 5, 4, crop_to_aspect_ratio=True)
    yield of(IMAGE, "CenterCrop", 5, 4)
    yield of(IMAGE, "CenterCrop", 12, 12)
    yield of(IMAGE, "RandomCrop", 5, 4)
    yield of(IMAGE, "Rescaling", 1 / 3, 1.0)
    for kind in ("Brightness", "Contrast", "Height", "Rotation", "Width", "Zoom"):
        yield of(IMAGE, f"Random{kind}", 0.2)
    yield of(IMAGE, "RandomFlip")
    yield of(IMAGE, "RandomTranslation", 0.2, 0.2)


def _others(of: Any) -> Iterator[Made]:
    for kind in ("BatchNormalization", "LayerNormalization", "UnitNormalization"):
        yield of(IMAGE, kind)
    yield of(IMAGE, "BatchNormalization", axis=1)
    yield of(IMAGE, "BatchNormalization", center=False, scale=False, epsilon=0.5)
    yield of(IMAGE, "LayerNormalization", axis=[1, 2], epsilon=0.3)
    yield of(IMAGE, "GroupNormalization", 2)
    yield of(IMAGE, "GroupNormalization", -1, epsilon=0.1)
    yield of(IMAGE, "UnitNormalization", axis=[1, 2])
    yield of(IMAGE, "Normalization", axis=-1)
    yield of(IMAGE, "Normalization", mean=1.0, variance=4.0)
    yield of(IMAGE, "Normalization", mean=1.0, variance=4.0, invert=True)
    for value in (0.3, 0.5):
        yield of(IMAGE, "LeakyReLU", value)
        yield of(IMAGE, "ELU", value)
        yield of(IMAGE, "ThresholdedReLU", value)
    yield of(IMAGE, "PReLU")
    yield of(IMAGE, "PReLU", shared_axes=[1, 2])
    yield of(IMAGE, "ReLU", 1.0, 0.2, 0.3)
    yield of(IMAGE, "Softmax", axis=1)
    yield of(IMAGE, "Softmax", axis=[1, 2])
    yield of(IMAGE, "Flatten")
    yield of(IMAGE, "Flatten", data_format="channels_first")
    yield of(IMAGE, "Permute", (3, 1, 2))
    yield of(IMAGE, "Reshape", (-1, 2))
    yield of(FLAT, "RepeatVector", 3)
    yield of(FLAT, "EinsumDense", "ab,bc->ac", output_shape=3)
    yield of(ROW, "EinsumDense", "abc,cd->abd", output_shape=(None, 5), bias_axes="d")
    for kind in ("AlphaDropout", "Dropout", "GaussianDropout", "GaussianNoise", "SpatialDropout2D"):
        yield of(IMAGE, kind, 0.3)
    yield of(IMAGE, "ActivityRegularization", 0.1)


def _merges(layers: Any) -> Iterator[Made]:
    def two(x: Any) -> list[Any]:
        return [layers.Dense(3)(x), layers.Dense(3)(x)]

    for kind in ("Add", "Average", "Concatenate", "Maximum", "Minimum", "Multiply", "Subtract"):
        yield kind, ROW, lambda x, kind=kind: getattr(layers, kind)()(two(x))
    yield "Concatenate(axis=1)", ROW, lambda x: layers.Concatenate(axis=1)(two(x))
    for normalize in (False, True):
        for axes in (1, 2):
            yield (
                f"Dot({axes}, normalize={normalize})",
                ROW,
                lambda x, a=axes, n=normalize: layers.Dot(a, normalize=n)(two(x)),
            )
    yield "Attention", ROW, lambda x: layers.Attention()(two(x))
    yield (
        "Attention, causal",
        ROW,
        lambda x: layers.Attention(use_scale=True)(two(x), use_causal_mask=True),
    )
    yield "Attention, concat", ROW, lambda x: layers.Attention(score_mode="concat")(two(x))
    yield "AdditiveAttention", ROW, lambda x: layers.AdditiveAttention()(two(x))
    yield "MultiHeadAttention", ROW, lambda x: layers.MultiHeadAttention(2, 3)(x, x)
    yield (
        "MultiHeadAttention, causal",
        ROW,
        lambda x: layers.MultiHeadAttention(2, 3, value_dim=4, output_shape=5, use_bias=False)(
            x, x, use_causal_mask=True
        ),
    )
    for inner in ("LSTM(3)", "GRU(3)", "GlobalAveragePooling1D()"):
        kind, _, units = inner.rstrip(")").partition("(")
        args = [int(units)] if units else []
        yield (
            f"Masking, {inner}",
            ROW,
            lambda x, k=kind, a=args: getattr(layers, k)(*a)(layers.Masking(0.0)(x)),
        )
