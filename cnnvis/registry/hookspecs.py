"""Hook by which every plugin is found, and the version of the interface."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import pluggy

if TYPE_CHECKING:
    from cnnvis.registry.plugin import Plugin

API_VERSION = 1
"""Version of the interface, raised whenever plugins for the present hooks would no longer work."""

GROUP = "cnnvis"
"""Entry-point group that lists plugin modules, built-in ones included."""

hookspec = pluggy.HookspecMarker(GROUP)
hookimpl = pluggy.HookimplMarker(GROUP)


class Hooks:
    """Hooks that a plugin module may implement."""

    @hookspec
    def cnnvis_plugins(self) -> Iterable[Plugin]:
        """Return the plugins of a module.

        Hardly any module implements this: without it, the functions that the module decorated with
        `technique`, `renderer`, `reader` or `loader` are taken as they stand. A module that makes
        its functions in a loop, or wraps another library's, returns `plugin_of(function)` for each.
        """
        raise NotImplementedError
