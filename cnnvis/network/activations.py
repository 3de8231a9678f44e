"""Rectifiers, wherever they stand in a network, and how backpropagation modifiers change them.

A rectifier lets what is above its threshold through and holds the rest back: ReLU and its
descendants, leaky, learned, bounded or smooth. For a rectifier y = f(x) with threshold t (0 nearly
always) and the gradient g of its output, a modifier passes back

==========  =========================================================================
guided      f'(x) g where x > t and g > 0, so g for ReLU, LeakyReLU, PReLU and ELU
rectified   g where g > 0, whatever x is
==========  =========================================================================

which for ReLU are the definitions of the papers (see `cnnvis.Backprop`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from cnnvis.errors import UserError, nearest, shown
from cnnvis.network.backend import tensorflow
from cnnvis.network.graph import Call

_FUNCTIONS = {
    "celu": "CELU",
    "elu": "ELU",
    "gelu": "GELU",
    "hard_silu": "hard SiLU",
    "hard_swish": "hard SiLU",
    "leaky_relu": "LeakyReLU",
    "mish": "Mish",
    "relu": "ReLU",
    "relu6": "ReLU6",
    "selu": "SELU",
    "silu": "SiLU",
    "softplus": "softplus",
    "sparse_plus": "sparse plus",
    "squareplus": "squareplus",
    "swish": "SiLU",
    "threshold": "thresholded ReLU",
}
"""Activation functions that are rectifiers, and their common names."""

_LAYERS = {
    "ELU": "ELU",
    "LeakyReLU": "LeakyReLU",
    "PReLU": "PReLU",
    "ReLU": "ReLU",
    "ThresholdedReLU": "thresholded ReLU",
}
"""Layers that are nothing but a rectifier."""

_OPERATIONS = {name.replace("_", ""): kind for name, kind in _FUNCTIONS.items()}
"""Common names of rectifiers by the classes of their operations in small letters: ``leakyrelu``."""

_OTHERS = {
    *("linear", "sigmoid", "softmax", "softmax_v2", "tanh", "exponential", "softsign", "glu"),
    *("hard_sigmoid", "hard_tanh", "log_sigmoid", "log_softmax", "sparse_sigmoid", "sparsemax"),
    *("soft_shrink", "hard_shrink", "tanh_shrink", "hard_sigmoid_v2", "hard_sigmoid_of_keras_2"),
}
"""Activation functions that are known not to be rectifiers."""


@dataclass(frozen=True)
class Rule:
    """Rule by which a backpropagation modifier passes the gradient g of a rectifier f of x.

    Attributes
    ----------
    back
        Function of a rectifier, of x and of the rectifier's threshold. Its result is the
        rectifier's output, with a gradient that passes by the rule.
    of_relu
        Function of the output of a ReLU, with the same result, where the output is all that is
        needed; None otherwise.
    """

    back: Callable[[Callable[[Any], Any], Any, float], Any]
    of_relu: Callable[[Any], Any] | None = None


@dataclass(frozen=True)
class Rectifier:
    """Rectifier in a network.

    Attributes
    ----------
    layer
        Layer or operation that holds the rectifier.
    attribute
        Attribute to replace there: ``activation``, or ``call`` where the layer is nothing but a
        rectifier.
    kind
        Common name: ``LeakyReLU``.
    inline_relu
        True if the rectifier is an activation given by the name relu, the only one that keras-vis
        knows.
    """

    layer: Any
    attribute: str
    kind: str
    inline_relu: bool = False

    def modified(self, rule: Rule) -> Callable[..., Any]:
        """Return a function with the rectifier's output, and a gradient by the modifier's rule."""
        rectifier = getattr(self.layer, self.attribute)
        threshold = _threshold(self.layer if self.attribute == "call" else rectifier)
        if self.inline_relu and rule.of_relu is not None:
            of_relu = rule.of_relu
            return lambda x, *_, **__: of_relu(rectifier(x))
        return lambda x, *_, **__: rule.back(rectifier, x, threshold)


def rectifiers(call: Call) -> Iterator[Rectifier]:
    """Yield every rectifier in a call's layer, those of inner layers included."""
    for layer in call.layers():
        own = _LAYERS.get(type(layer).__name__) or next(
            (_LAYERS[kind.__name__] for kind in type(layer).__mro__ if kind.__name__ in _LAYERS),
            None,
        )
        own = own or _operation_kind(layer)
        if own is not None:
            yield Rectifier(layer, "call", own)
        elif (kind := activation_kind(_activation(layer))) is not None:
            inline = getattr(layer.activation, "__name__", "") == "relu"
            yield Rectifier(layer, "activation", kind, inline)


def unknown_activation(call: Call) -> str | None:
    """Return the name of an unknown activation that might be a rectifier; None if there is none."""
    for layer in call.layers():
        activation = _activation(layer)
        if activation is not None and activation_kind(activation) is None:
            name = activation_name(activation)
            if name not in _OTHERS and name not in ("Softmax", "Activation"):
                return name
    return None


def activation_kind(activation: Any) -> str | None:
    """Return the common name of a rectifier, function or layer; None for other activations."""
    if activation is None:
        return None
    named = _FUNCTIONS.get(getattr(activation, "__name__", ""))
    return named or _LAYERS.get(type(activation).__name__)


def activation_name(activation: Any) -> str:
    """Return the name of an activation function, or of the layer used as one; empty for none."""
    if activation is None:
        return ""
    return str(getattr(activation, "__name__", "") or type(activation).__name__)


def counted(kinds: Sequence[str]) -> str:
    """Count rectifiers of each kind, in words: ``3 ReLU and 1 PReLU``."""
    parts = [f"{count} {kind}" for kind, count in Counter(kinds).items()]
    return " and ".join([", ".join(parts[:-1]), parts[-1]] if len(parts) > 1 else parts)


def _activation(layer: Any) -> Any:
    # A property stands for what another layer holds, such as the cell of a recurrent one.
    return vars(layer).get("activation")


def _operation_kind(layer: Any) -> str | None:
    """Return the kind of an operation of Keras or TensorFlow; None if it is no rectifier."""
    module = type(layer).__module__
    if ".ops." in module:
        return _OPERATIONS.get(type(layer).__name__.lower())
    if type(layer).__name__ == "TFOpLambda":
        package, _, function = str(getattr(layer, "symbol", "")).rpartition(".")
        return _FUNCTIONS.get(function) if package in ("nn", "keras.activations") else None
    return None


def _threshold(holder: Any) -> float:
    """Return the threshold above which a rectifier lets its input through."""
    for name in ("threshold", "theta"):
        value = getattr(holder, name, None)
        if isinstance(value, int | float | np.number | np.ndarray):
            return float(value)
    return 0.0


def _guided(rectifier: Callable[[Any], Any], x: Any, threshold: float) -> Any:
    tf = tensorflow()

    @tf.custom_gradient  # type: ignore[untyped-decorator]
    def only_on(x: Any) -> Any:
        return tf.identity(x), lambda g: tf.where(x > threshold, g, tf.zeros_like(g))

    # The rectifier's own derivative stands between the two.
    return _only_positive(rectifier(only_on(x)))


def _only_positive(y: Any) -> Any:
    tf = tensorflow()

    @tf.custom_gradient  # type: ignore[untyped-decorator]
    def only_positive(y: Any) -> Any:
        return tf.identity(y), tf.nn.relu

    return only_positive(y)


def _rectified(rectifier: Callable[[Any], Any], x: Any, threshold: float) -> Any:
    tf = tensorflow()

    @tf.custom_gradient  # type: ignore[untyped-decorator]
    def past(x: Any, y: Any) -> Any:
        return tf.identity(y), lambda g: (tf.nn.relu(g), None)

    return past(x, tf.stop_gradient(rectifier(x)))


_RECTIFIED = Rule(_rectified)  # g passes where g > 0, whatever x is
RULES: Mapping[str, Rule] = {
    # f'(x) g passes where x > 0 and g > 0, which is g alone for ReLU and leaky kinds.
    "guided": Rule(
        _guided,
        of_relu=_only_positive,  # a ReLU passes nothing back below zero as it is
    ),
    "rectified": _RECTIFIED,
    "deconv": _RECTIFIED,
    "relu": _RECTIFIED,
}
"""Rules of backpropagation modifiers, by name."""


def rule_of(backprop: str) -> Rule:
    """Return the rule of a modifier.

    Raises
    ------
    UserError
        If there is no modifier of that name.
    """
    if backprop not in RULES:
        raise UserError(
            f"there is no backpropagation modifier {shown(backprop)}."
            f"{nearest(str(backprop), RULES)} There are: none, {', '.join(RULES)}."
        )
    return RULES[backprop]
