"""cnnvis shows why a convolutional network decides what it decides.

Everything that a plugin or a script needs has a name here, listed in ``__init__.pyi``; nothing is
imported before it is used.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import lazy_loader

from cnnvis.data import save_hook

if TYPE_CHECKING:
    from cnnvis.data.explanation import Explanation

_attribute, _, _names = lazy_loader.attach_stub(__name__, __file__)

__all__ = sorted([*_names, "__version__"])


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        return version("cnnvis")
    return _attribute(name)


def __dir__() -> list[str]:
    return __all__


def _save(explanation: Explanation, path: Path, options: Mapping[str, Any]) -> None:
    from cnnvis.api.output_files import save

    save(explanation, path, options)


save_hook.save = _save
