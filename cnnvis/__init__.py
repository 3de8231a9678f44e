"""cnnvis shows why a convolutional network decides what it decides.

Everything that a plugin or a script needs has a name here, listed in ``__init__.pyi``; nothing is
imported before it is used.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import lazy_loader

from cnnvis.data import save_hook

if TYPE_CHECKING:
    from cnnvis.data.explanation import Explanation
    from cnnvis.data.page import Page
    from cnnvis.files.addresses import Place

_attribute, _, _names = lazy_loader.attach_stub(__name__, __file__)

__all__ = sorted([*_names, "__version__"])


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        return version("cnnvis")
    return _attribute(name)


def __dir__() -> list[str]:
    return __all__


def _save(result: Explanation | Page, path: Place, options: Mapping[str, Any]) -> None:
    from cnnvis.api.report import saved

    saved(result, path, options)


def _bundle(result: Any) -> dict[str, str]:
    from cnnvis.api.showing import bundle

    return bundle(result)


def _plot(explanation: Explanation, axes: Any, options: Mapping[str, Any]) -> Any:
    from cnnvis.api.showing import plotted

    return plotted(explanation, axes, options)


def _show(explanation: Explanation, options: Mapping[str, Any]) -> None:
    from cnnvis.api.showing import printed

    printed(explanation, options)


save_hook.save, save_hook.bundle = _save, _bundle
save_hook.plot, save_hook.show = _plot, _show
