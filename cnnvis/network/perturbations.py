"""Perturbations of inputs, whose gradients are averaged or whose scores are computed."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ParamSpec, TypeVar

import numpy as np

from cnnvis.data.samples import Array

P = ParamSpec("P")
T = TypeVar("T")


@dataclass(frozen=True)
class Perturbations:
    """Several perturbations of each input.

    Attributes
    ----------
    perturb
        Function that makes perturbed inputs from TensorFlow tensors that broadcast: called with
        inputs (n, 1, ...), with `per_sample_args` (n, 1, ...) and with the arguments of the
        perturbations (1, k, ...); returns perturbed inputs, (n, k, ...). It is compiled once, so it
        must be the same function at every call.
    args
        Function of numbers of perturbations that returns their arguments, arrays (k, ...) float32.
    count
        The number of perturbations of each input.
    per_sample_args
        Arguments for each input, arrays (n, ...); for `Model.mean_gradients`, such arrays for each
        of the network's inputs that are perturbed, by name.
    factors
        Factor of each perturbation's gradient, the sum of which is returned; by default 1 / count, so that the
        sum is the mean.
    together
        Number of perturbations, one behind the other, that are drawn together, such as 2 for pairs with
        opposite noise: `Model.gradient_moments` takes the variance of the means of so many gradients, and
        `count` is a multiple of it.
    """

    perturb: Callable[..., Any]
    args: Callable[[range], Sequence[Array]]
    count: int
    per_sample_args: Sequence[Array] | Mapping[str, Sequence[Array]] = ()
    factors: Sequence[float] | None = None
    together: int = 1

    @property
    def weights(self) -> Array:
        """Factor of each perturbation's gradient in the sum, (count,) float32."""
        alike = [1 / self.count] * self.count
        return np.asarray(alike if self.factors is None else self.factors, np.float32)

    def arguments_of(self, names: Sequence[str]) -> list[Array]:
        """Return the arguments for each input, those of one of the network's inputs after another."""
        own = self.per_sample_args
        if isinstance(own, Mapping):
            return [array for name in names for array in own.get(name, ())]
        return list(own)


def perturbations_taken(method: Callable[P, T]) -> Callable[P, T]:
    """Let a method take perturbations, and with a warning their parts one by one, as it did before."""

    @functools.wraps(method)
    def taking(*args: Any, **kwargs: Any) -> T:
        apart = args[2:] if len(args) > 2 and callable(args[2]) else ()
        if apart or "perturb" in kwargs:
            warnings.warn(
                f"{method.__name__}() takes cnnvis.Perturbations, instead of their parts one by one",
                DeprecationWarning,
                stacklevel=2,
            )
            names = ("perturb", "perturbation_args", "factors", "count")
            parts: dict[str, Any] = dict(zip(names, apart, strict=False))
            parts |= {name: kwargs.pop(name) for name in names if name in kwargs}
            number = parts["count"] if "count" in parts else parts["factors"]
            is_count = isinstance(number, int)
            kwargs["perturbations"] = Perturbations(
                parts["perturb"],
                parts["perturbation_args"],
                number if is_count else len(number),
                kwargs.pop("per_sample_args", None) or (),
                None if is_count else number,
            )
            args = args[:2]
        return method(*args, **kwargs)

    return taking
