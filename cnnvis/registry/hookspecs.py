"""The hook through which every plugin comes in, and the version of that agreement."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import pluggy

if TYPE_CHECKING:
    from cnnvis.registry.plugin import Plugin

API_VERSION = 1
"""Grows by one whenever a plugin that follows the present hooks would no longer work."""

GROUP = "cnnvis"
"""The entry-point group that plugin modules are listed under, built-in ones included."""

hookspec = pluggy.HookspecMarker(GROUP)
hookimpl = pluggy.HookimplMarker(GROUP)


class Hooks:
    """Hooks that a plugin module may implement."""

    @hookspec
    def cnnvis_plugins(self) -> Iterable[Plugin]:
        """The plugins that a module offers.

        Hardly any module implements this: without it, the functions that the module decorated with
        `technique`, `renderer`, `reader` or `loader` are taken as they stand. A module that makes
        its functions in a loop, or wraps another library's, returns `plugin_of(function)` for each.
        """
        raise NotImplementedError
