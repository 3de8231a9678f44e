"""Options of a person for a model's file."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from cnnvis.plugins.loaders.config import Config
from cnnvis.plugins.loaders.custom import given, given_lambdas


@dataclass(frozen=True)
class LoadOptions:
    """Options of a person for a file; see the loaders."""

    custom: tuple[str, ...] = ()
    lambdas: tuple[str, ...] = ()
    input_shape: tuple[int, ...] | None = None
    trust_model: bool = False
    architecture: str | None = None

    def given(self, config: Config) -> dict[str, Any]:
        """Return the given classes and functions, by the kinds or layers that they stand for."""
        return {**given(self.custom), **given_lambdas(self.lambdas, config)}
