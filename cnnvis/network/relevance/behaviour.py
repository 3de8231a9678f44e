"""What a call computes, as far as relevance needs it: known by its kind, or found by trying.

A rule for relevance depends on the kind of function that a call computes, and not on its name: a
``Lambda``, an operation of `keras.ops` and a layer may compute the same.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal

import numpy as np

from cnnvis.data.samples import Array
from cnnvis.network.activations import activation_kind, activation_name
from cnnvis.network.backend import tensorflow

Behaviour = Literal[
    "weighted",
    "diagonal",
    "routing",
    "affine",
    "elementwise",
    "maximum",
    "product",
    "normalizing",
    "other",
]
"""Kind of function that a call computes.

===========  ===========================================================================
weighted     linear by a kernel, plus a bias: Dense, convolutions
diagonal     a factor for each value, plus a constant: BatchNormalization, ``2 * x + 1``
routing      each value of the output is a value of the input, or zero: Flatten, Concatenate
affine       linear, plus a constant: Add, average pooling
elementwise  a function of each value by itself: ReLU, sigmoid
maximum      each value of the output is the largest of some values: max pooling
product      two inputs, multiplied value by value
normalizing  values, scaled by how large they are together: LayerNormalization
other        anything else: softmax, LSTM, attention
===========  ===========================================================================
"""

_KINDS: dict[Behaviour, tuple[str, ...]] = {
    "routing": (
        *("Flatten", "Reshape", "Permute", "RepeatVector", "Concatenate", "Identity", "InputLayer"),
        *("Dropout", "SpatialDropout1D", "SpatialDropout2D", "SpatialDropout3D", "AlphaDropout"),
        *("GaussianNoise", "GaussianDropout", "ActivityRegularization"),
        *("Cropping1D", "Cropping2D", "Cropping3D", "UpSampling1D", "UpSampling3D"),
        *("ZeroPadding1D", "ZeroPadding2D", "ZeroPadding3D"),
    ),
    "diagonal": ("BatchNormalization", "SyncBatchNormalization", "Normalization", "Rescaling"),
    "affine": (
        *("Add", "Average", "Subtract"),
        *("AveragePooling1D", "AveragePooling2D", "AveragePooling3D"),
        *("GlobalAveragePooling1D", "GlobalAveragePooling2D", "GlobalAveragePooling3D"),
    ),
    "maximum": (
        *("MaxPooling1D", "MaxPooling2D", "MaxPooling3D", "Maximum"),
        *("GlobalMaxPooling1D", "GlobalMaxPooling2D", "GlobalMaxPooling3D"),
    ),
    "elementwise": ("ReLU", "LeakyReLU", "PReLU", "ELU", "ThresholdedReLU"),
    "other": (
        *("Softmax", "LSTM", "GRU", "SimpleRNN", "RNN", "Bidirectional", "MultiHeadAttention"),
    ),
    "normalizing": (
        *("LayerNormalization", "GroupNormalization", "UnitNormalization", "RMSNormalization"),
    ),
}

_OF_LAYERS: dict[str, Behaviour] = {
    kind: behaviour for behaviour, kinds in _KINDS.items() for kind in kinds
}
"""Behaviour of the layers of Keras outside of training, by their classes."""

_OF_EACH_VALUE = {
    *("sigmoid", "tanh", "exponential", "softsign", "hard_sigmoid", "hard_tanh", "log_sigmoid"),
    *("soft_shrink", "hard_shrink", "tanh_shrink", "sparse_sigmoid"),
}
"""Activation functions, besides rectifiers, of which each value is a function of one value."""

BIG = 2**20
"""Number of values from which on a single sample is tried."""


_DECIDES = {"call", "convolution_op", "kernel"}
"""Attributes of a class by which it may compute something else than the class that it is made of."""


def kerass_kind(layer: Any) -> str:
    """Return which of Keras's layers computes what a layer does; empty if that is not known."""
    for kind in type(layer).__mro__:
        parts = kind.__module__.split(".")
        if parts[0] in ("keras", "tf_keras") and "layers" in parts:
            return kind.__name__
        if not _DECIDES.isdisjoint(vars(kind)):
            return ""
    return ""


def known_behaviour(layer: Any) -> Behaviour | None:
    """Return what a layer is known to compute; None if it has to be tried."""
    kind = kerass_kind(layer)
    if kind == "TimeDistributed":
        inner = known_behaviour(layer.layer)
        return None if inner == "other" else inner
    if kind == "Activation":
        return behaviour_of_activation(layer.activation)
    return _OF_LAYERS.get(kind)


def behaviour_of_activation(activation: Any) -> Behaviour | None:
    """Return what an activation is known to compute; None if it has to be tried."""
    name = activation_name(activation)
    if name == "linear":
        return "routing"
    if activation_kind(activation) is not None or name in _OF_EACH_VALUE:
        return "elementwise"
    return None


Compute = Callable[[Sequence[Any]], Sequence[Any]]
"""Function of tensors (n, ...) that returns tensors (n, ...)."""


def tried_behaviour(compute: Compute, shapes: Sequence[tuple[int, ...]]) -> Behaviour:
    """Find out by trying random numbers what a function of several arrays computes.

    Parameters
    ----------
    compute
        The function.
    shapes
        Shapes of its arguments, the number of samples included.
    """
    trial = _Trial(compute, shapes)
    try:
        if trial.is_affine():
            if trial.chooses():
                return "routing"
            return "diagonal" if trial.is_elementwise() else "affine"
        if trial.is_elementwise():
            return "elementwise"
        if trial.chooses() and trial.commutes_with_maximum():
            return "maximum"
        if trial.multiplies():
            return "product"
    except Exception:  # whatever a function makes of numbers that it was not made for
        return "other"
    return "other"


def is_cast(compute: Compute, shape: tuple[int, ...], kind: Any) -> bool:
    """Tell whether a function gives its argument in another type of numbers, and changes nothing else.

    Parameters
    ----------
    kind
        The type that the function is given its argument in.
    """
    tf = tensorflow()
    u = tf.constant(_drawn(np.random.default_rng(11), shape))
    (found,) = compute([u])
    return found.dtype != kind and bool(
        tf.reduce_all(found == tf.cast(tf.cast(u, kind), found.dtype))
    )


class _Trial:
    """Answers of a function to random numbers u and v."""

    def __init__(self, compute: Compute, shapes: Sequence[tuple[int, ...]]) -> None:
        self.compute = compute
        rng = np.random.default_rng(11)
        self.u, self.v = ([_drawn(rng, shape) for shape in shapes] for _ in range(2))
        self.at_u, self.at_v = self._at(self.u), self._at(self.v)

    def _at(self, values: Sequence[Array]) -> list[Array]:
        tf = tensorflow()
        answers = self.compute([tf.constant(one) for one in values])
        return [np.asarray(tf.cast(one, tf.float32)) for one in answers]

    def is_affine(self) -> bool:
        zero = self._at([np.zeros_like(one) for one in self.u])
        both = self._at([a + b for a, b in zip(self.u, self.v, strict=True)])
        for c, s, a, b in zip(zero, both, self.at_u, self.at_v, strict=True):
            size = max(np.abs(one).max(initial=0) for one in (a, b, c, s))
            with np.errstate(invalid="ignore"):  # an affine layer gives no infinite values
                off = np.abs((s - c) - (a - c) - (b - c)).max(initial=0)
            if not off <= 1e-4 * size:
                return False
        return True

    def chooses(self) -> bool:
        """Tell whether every answer is one of the values that were given, or zero."""
        given = np.concatenate([np.zeros(1, np.float32), *(one.ravel() for one in self.u)])
        return all(bool(np.isin(one, given).all()) for one in self.at_u)

    def is_elementwise(self) -> bool:
        if len(self.u) != 1 or any(one.shape != self.u[0].shape for one in self.at_u):
            return False
        some = np.random.default_rng(12).random(self.u[0].shape) < 0.5
        mixed = self._at([np.where(some, self.u[0], self.v[0])])
        return all(
            np.allclose(m, np.where(some, a, b), rtol=1e-5, atol=1e-7, equal_nan=True)
            for m, a, b in zip(mixed, self.at_u, self.at_v, strict=True)
        )

    def commutes_with_maximum(self) -> bool:
        largest = self._at([np.maximum(a, b) for a, b in zip(self.u, self.v, strict=True)])
        return all(
            np.array_equal(m, np.maximum(a, b))
            for m, a, b in zip(largest, self.at_u, self.at_v, strict=True)
        )

    def multiplies(self) -> bool:
        if len(self.u) != 2 or len(self.at_u) != 1:
            return False
        product = np.multiply(*self.u)
        return product.shape == self.at_u[0].shape and np.allclose(product, self.at_u[0], rtol=1e-4)


def _drawn(rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
    """Draw numbers of both signs and of many sizes, so that bounds far from zero are met, too."""
    sizes = 10 ** rng.uniform(-2, 2, shape)
    drawn: Array = (sizes * rng.choice([-1, 1], shape)).astype(np.float32)
    return drawn
