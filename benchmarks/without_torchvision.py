"""A stand-in for torchvision, which libraries for PyTorch import and do not use here.

Its wheels go with one build of PyTorch each, and the package index has none for the build for CPUs.
"""

from __future__ import annotations

import sys
import types
from typing import Any


class _Absent(types.ModuleType):
    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return type(name, (), {})


def stand_in() -> None:
    """Let pytorch-grad-cam, torch-cam and zennit be imported in this process."""
    for name in ("", ".transforms", ".transforms.functional", ".models", ".models.resnet"):
        sys.modules[f"torchvision{name}"] = _Absent(f"torchvision{name}")
