"""What a person says about a model's file beside its name."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from cnnvis.plugins.loaders.config import Config
from cnnvis.plugins.loaders.custom import given, given_lambdas


@dataclass(frozen=True)
class LoadOptions:
    """What a person says about a file beside its name; see the loaders."""

    custom: tuple[str, ...] = ()
    lambdas: tuple[str, ...] = ()
    input_shape: tuple[int, ...] | None = None
    trust_model: bool = False
    architecture: str | None = None

    def given(self, config: Config) -> dict[str, Any]:
        """The classes and functions that are given, by the kinds or layers they stand for."""
        return {**given(self.custom), **given_lambdas(self.lambdas, config)}
