"""Rules of layer-wise relevance propagation (LRP), each as the pools that share relevance out.

A layer's output is a sum of contributions, z_k = sum over j of x_j w_jk, plus a bias b_k. A rule says
which of these contributions count, and by which weights: together they are a pool

    z_k = sum over terms (x', w') of sum over j of x'_j w'_jk, plus b'_k

and of the relevance R_k of an output, x'_j w'_jk / z_k goes to the input j, and b'_k / z_k to the
bias. A rule is a tuple of such pools, whose shares are added up.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from cnnvis.errors import UserError, nearest, shown
from cnnvis.network.backend import tensorflow

Taken = Literal["all", "positive", "negative", "ones", "squares", "low", "high"]
"""Values that stand in the place of a layer's inputs.

``positive`` and ``negative`` are the parts of the inputs. ``ones`` counts each input once, and
``squares`` by the squared factors that a normalization before the layer has. ``low`` and ``high`` are
the smallest and largest values that an input may have.
"""

Change = Callable[[Any], Any]


@dataclass(frozen=True)
class Pool:
    """Contributions among which the relevance of each output is shared out.

    Attributes
    ----------
    terms
        Pairs of the values that are taken of the inputs and of a function of the weights, a tensor.
    bias
        Function of the biases; None to leave the biases out.
    factor
        Number by which the shares are multiplied.
    epsilon
        Number that is added to the size of the divisor z_k; 0 where contributions of one sign are
        added up, so that nothing cancels out.
    where
        Outputs whose relevance is shared out: ``all``, or those that are ``positive`` or not.
    """

    terms: tuple[tuple[Taken, Change], ...]
    bias: Change | None = None
    factor: float = 1.0
    epsilon: float = 0.0
    where: Literal["all", "positive", "negative"] = "all"


Rule = tuple[Pool, ...]
"""Rule of LRP for a linear layer."""


def same(weights: Any) -> Any:
    """Return the weights as they are."""
    return weights


def positive(weights: Any) -> Any:
    """Return the positive part."""
    return tensorflow().nn.relu(weights)


def negative(weights: Any) -> Any:
    """Return the negative part, which is below zero."""
    return -tensorflow().nn.relu(-weights)


def squared(weights: Any) -> Any:
    """Return the squares."""
    return tensorflow().square(weights)


def one_each(weights: Any) -> Any:
    """Return ones."""
    return tensorflow().ones_like(weights)


def _raised(weights: Any, gamma: float, part: Change) -> Any:
    return weights + gamma * part(weights)


NORM_EPSILON = 1e-9
"""Epsilon for sums without weights, where values of one sign are added up nearly always."""


def epsilon_rule(epsilon: float) -> Rule:
    """R_j = sum over k of x_j w_jk / (z_k + epsilon sign(z_k)) R_k, with sign(0) = 1."""
    return (Pool((("all", same),), same, epsilon=epsilon),)


def gamma_rule(gamma: float, epsilon: float) -> Rule:
    """Weigh contributions with the sign of the output by 1 + gamma.

    For inputs that are not negative, w + gamma max(w, 0) takes the place of w.
    """
    up = functools.partial(_raised, gamma=gamma, part=positive)
    down = functools.partial(_raised, gamma=gamma, part=negative)
    return (
        Pool((("positive", up), ("negative", down)), up, 1.0, epsilon, "positive"),
        Pool((("positive", down), ("negative", up)), down, 1.0, epsilon, "negative"),
    )


def alpha_beta_rule(alpha: float, beta: float) -> Rule:
    """Share alpha R_k among contributions above zero, and -beta R_k among those below zero."""
    if not abs(alpha - beta - 1) < 1e-6 or beta < 0:
        raise UserError(
            f"alpha-beta takes numbers with alpha - beta = 1 and beta >= 0, and not {alpha:g} and "
            f"{beta:g}: alpha-beta:2,1"
        )
    above = Pool((("positive", positive), ("negative", negative)), positive, alpha)
    below = Pool((("positive", negative), ("negative", positive)), negative, -beta)
    return (above, below) if beta else (above,)


def z_box_rule() -> Rule:
    """x_j w_jk - l max(w_jk, 0) - h min(w_jk, 0) as contributions, for inputs from l to h."""
    below = functools.partial(_times, part=positive)
    above = functools.partial(_times, part=negative)
    return (Pool((("all", same), ("low", below), ("high", above))),)


def _times(weights: Any, part: Change) -> Any:
    return -part(weights)


_TAKES = {
    "epsilon": (0, 1),
    "gamma": (0, 1),
    "alpha-beta": (2, 2),
    **dict.fromkeys(("z-plus", "z-box", "flat", "w-square", "norm", "zero"), (0, 0)),
}
"""Smallest and largest count of numbers behind each rule's name."""


def rule_named(text: str, epsilon: float = 1e-6) -> Rule:
    """Return the rule that a text names, such as ``z-plus`` or ``gamma:0.25``.

    Parameters
    ----------
    text
        Name of the rule, and its numbers behind a colon.
    epsilon
        Epsilon of the rules ``epsilon`` and ``gamma``, unless the text gives another.

    Raises
    ------
    UserError
        If there is no such rule, or it takes other numbers.
    """
    name, _, numbers = (part.strip() for part in text.partition(":"))
    if name not in _TAKES:
        raise UserError(
            f"there is no rule {shown(name)}.{nearest(name, _TAKES)} There are: {', '.join(_TAKES)}."
        )
    given = _numbers(text, numbers)
    least, most = _TAKES[name]
    if not least <= len(given) <= most:
        raise UserError(f"the rule {shown(text)} takes {most} numbers, and it has {len(given)}")
    match name:
        case "epsilon":
            return epsilon_rule(given[0] if given else epsilon)
        case "gamma":
            return gamma_rule(given[0] if given else 0.25, epsilon)
        case "alpha-beta":
            return alpha_beta_rule(given[0], given[1])
        case "z-plus":
            return alpha_beta_rule(1.0, 0.0)
        case "z-box":
            return z_box_rule()
        case "flat":
            return (Pool((("ones", one_each),)),)
        case "w-square":
            return (Pool((("squares", squared),), squared),)
        case "norm":
            return epsilon_rule(NORM_EPSILON)
    return ()


def _numbers(text: str, numbers: str) -> Sequence[float]:
    try:
        found = [float(one) for one in numbers.split(",")] if numbers else []
    except ValueError:
        found = [-1.0]
    if any(not 0 <= one < float("inf") for one in found):
        raise UserError(
            f"the rule {shown(text)} takes numbers of at least 0 behind its colon, such as gamma:0.25"
        )
    return found
