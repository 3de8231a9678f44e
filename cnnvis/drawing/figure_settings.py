"""Settings of Matplotlib for drawing: the user's own settings, and never those of a folder.

Matplotlib obeys a file `matplotlibrc` in the folder that it is imported in, which may come with data
from anywhere, and can start TeX, change how numbers are written, or be a pipe that is read for ever.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from importlib.machinery import ModuleSpec
    from types import ModuleType

_NAME = "matplotlib"
_FILE = "matplotlibrc"


@contextmanager
def own_settings() -> Iterator[None]:
    """Draw with the user's own settings inside the block, and restore the others after it.

    Matplotlib need not be imported yet: where it is imported inside, they hold from then on.
    """
    with ExitStack() as drawing:

        def apply(matplotlib: Any) -> None:
            drawing.enter_context(matplotlib.rc_context(settings()))

        if _NAME in sys.modules:
            apply(sys.modules[_NAME])
        else:
            drawing.enter_context(_imported(then=apply))
        yield


@contextmanager
def sheltered() -> Iterator[None]:
    """Let Matplotlib ignore the file in the working directory, if it is imported inside the block.

    For processes that are cnnvis's own; in a person's, what is imported there is theirs.
    """
    with _imported(within=_hidden):
        yield


def settings() -> dict[str, Any]:
    """Return Matplotlib's own settings, changed by the user's file, and without TeX.

    The user's file is the file that the variable MATPLOTLIBRC names, or else the file in
    Matplotlib's configuration folder. The backend is not among the settings: it belongs to the
    process.
    """
    import matplotlib

    found = dict(matplotlib.rcParamsDefault)
    file = _own_file(matplotlib.get_configdir())
    if file is not None:
        found |= matplotlib.rc_params_from_file(file, use_default_template=False)
    found["text.usetex"] = False
    return {name: one for name, one in found.items() if not name.startswith("backend")}


def _own_file(folder: str) -> Path | None:
    named = os.environ.get("MATPLOTLIBRC")
    places = [] if named is None else [Path(named), Path(named, _FILE)]
    return next((one for one in (*places, Path(folder, _FILE)) if one.is_file()), None)


@contextmanager
def _hidden() -> Iterator[None]:
    """Have nobody find the file while Matplotlib, which takes no other hint, looks for it by name."""
    exists = os.path.exists
    os.path.exists = lambda path: path != _FILE and exists(path)
    try:
        yield
    finally:
        os.path.exists = exists


@contextmanager
def _imported(
    within: Callable[[], AbstractContextManager[None]] = nullcontext,
    then: Callable[[Any], None] = lambda module: None,
) -> Iterator[None]:
    """Have Matplotlib, if it is imported inside the block, imported within something."""
    finder = _Finder(within, then)
    sys.meta_path.insert(0, finder)
    try:
        yield
    finally:
        sys.meta_path.remove(finder)


class _Finder:
    def __init__(
        self,
        within: Callable[[], AbstractContextManager[None]],
        then: Callable[[Any], None],
    ) -> None:
        self._within, self._then = within, then

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Find it as those behind this one do, and see to how it is run."""
        if name != _NAME:
            return None
        behind = sys.meta_path[sys.meta_path.index(self) + 1 :]
        found = (one.find_spec(name, path, target) for one in behind if hasattr(one, "find_spec"))
        spec = next((one for one in found if one is not None), None)
        if spec is None or spec.loader is None:
            return spec
        run = spec.loader.exec_module

        def exec_module(module: ModuleType) -> None:
            with self._within():
                run(module)
            self._then(module)

        spec.loader.exec_module = exec_module  # type: ignore[method-assign]
        return spec
