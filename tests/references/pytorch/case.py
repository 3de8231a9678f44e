"""Twin of a network with inputs, of which references make maps."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from benchmarks.twins import twin

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Case:
    """Twin with inputs.

    Attributes
    ----------
    held
        What the job holds of the network.
    model
        The twin.
    x
        The inputs, (n, channels, ...).
    target
        The output that is explained.
    """

    held: Mapping[str, Any]
    model: Any
    x: Any
    target: int

    @property
    def features(self) -> Any:
        """The module whose feature maps class activation maps weigh."""
        name = str(self.held["features"])
        modules = dict(self.model.named_children())
        return modules.get(f"{name}_relu", modules[name])

    @property
    def units(self) -> Any:
        """The units, (1, channels, ...)."""
        return torch.from_numpy(self.held["units"]).expand(1, *self.x.shape[1:]).contiguous()

    @property
    def sizes(self) -> Array:
        """The number of positions of each unit."""
        return np.bincount(self.held["units"].ravel())

    def scores(self, x: Any) -> Any:
        """Return scores without gradients, (n,)."""
        with torch.no_grad():
            return self.model(x)[:, self.target]

    def apart(self) -> Case:
        """Return the same with a multiplication by 1 behind each ReLU."""
        return Case(self.held, twin(self.held, apart=True), self.x, self.target)

    def split(self) -> tuple[Any, Any, Any]:
        """Return feature maps, their gradients, and the gradients of the inputs."""
        x = self.x.clone().requires_grad_()
        found = {}

        def hook(_: Any, __: Any, output: Any) -> None:
            found["features"] = output

        handle = self.features.register_forward_hook(hook)
        score = self.model(x)[:, self.target].sum()
        handle.remove()
        gradients, of_input = torch.autograd.grad(score, [found["features"], x])
        return found["features"].detach(), gradients, of_input


Reference = Callable[[Case], Any]
"""Function that returns maps with channels first."""
