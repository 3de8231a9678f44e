"""Finds plugins by entry point, and keeps a broken one from breaking the rest."""

from __future__ import annotations

import functools
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from importlib.metadata import Distribution, EntryPoint, entry_points
from pathlib import Path
from types import ModuleType

import pluggy

from cnnvis.errors import UserError, nearest
from cnnvis.hookspecs import GROUP, Hooks, hookimpl
from cnnvis.options import options_of
from cnnvis.plugin import KINDS, Kind, Plugin, plugin_of

STEPS: tuple[Kind, ...] = ("technique", "transform", "renderer")
SIDE: tuple[Kind, ...] = ("renderer", "reader", "loader")

RESERVED = {
    *("architecture", "axes", "class_names", "custom", "data", "filter", "images", "input"),
    *("input_shape", "layer", "model", "out", "output", "plugin_options", "quiet", "region"),
    *("render", "samples", "technique", "verbose"),
}
"""Names that a technique's options cannot have, since `cnnvis.run` or its command has them."""


@dataclass(frozen=True)
class Broken:
    """A plugin module that could not be used, and why."""

    name: str
    distribution: str
    version: str
    reason: str


class _Decorated:
    """Answers the hook for a module that only decorated its functions."""

    def __init__(self, module: ModuleType) -> None:
        self._module = module

    @hookimpl
    def cnnvis_plugins(self) -> list[Plugin]:
        # Only what the module or its submodules define: an imported plugin belongs to its owner.
        home = self._module.__name__
        return [
            plugin
            for value in vars(self._module).values()
            if (plugin := plugin_of(value)) is not None
            and f"{plugin.function.__module__}.".startswith(f"{home}.")
        ]


class Registry:
    """Every plugin that the installed packages offer."""

    def __init__(self, points: Iterable[EntryPoint] | None = None) -> None:
        self._manager = pluggy.PluginManager(GROUP)
        self._manager.add_hookspecs(Hooks)
        self._plugins: dict[tuple[Kind, str], Plugin] = {}
        self.broken: list[Broken] = []
        if points is None:
            points = entry_points(group=GROUP)
        # Our own package first, so that no other one takes a built-in name by coming earlier.
        for point in sorted(points, key=lambda p: (_origin(p)[0] != "cnnvis", _origin(p), p.name)):
            self._load(point)

    def _load(self, point: EntryPoint) -> None:
        distribution, version = _origin(point)
        try:
            module = point.load()
            holder = module if hasattr(module, "cnnvis_plugins") else _Decorated(module)
            if self._manager.register(holder, f"{distribution}:{point.name}") is None:
                return
            implementation = self._manager.subset_hook_caller(
                "cnnvis_plugins",
                [other for other in self._manager.get_plugins() if other is not holder],
            )
            offered = [plugin for answer in implementation() for plugin in answer]
            if not offered:
                raise TypeError("the module decorates no function as a plugin")
            for plugin in offered:
                if not isinstance(plugin, Plugin) or plugin.kind not in KINDS:
                    raise TypeError(f"{plugin!r} is not a plugin of a kind that cnnvis knows")
                taken = RESERVED & {option.name for option in options_of(plugin)}
                if plugin.kind == "technique" and taken:
                    raise TypeError(f"the option {taken.pop()!r} is a name that cnnvis itself uses")
            for plugin in offered:
                self._add(replace(plugin, distribution=distribution, version=version))
        except KeyboardInterrupt:
            raise
        # A module may raise anything at import, SystemExit included; the others must still load.
        except BaseException as error:
            reason = f"{type(error).__name__}: {error}"
            self.broken.append(Broken(point.name, distribution, version, reason))

    def _add(self, plugin: Plugin) -> None:
        # Steps of chains share one name space, and those with options --NAME.OPTION another.
        rivals = {kind for space in (STEPS, SIDE) if plugin.kind in space for kind in space}
        taken = any((kind, plugin.name) in self._plugins for kind in rivals)
        if not taken:
            self._plugins[plugin.kind, plugin.name] = plugin
        else:
            full = f"{plugin.distribution}:{plugin.name}"
            self._plugins[plugin.kind, full] = replace(plugin, name=full)

    def __iter__(self) -> Iterator[Plugin]:
        order = {kind: position for position, kind in enumerate(KINDS)}
        return iter(sorted(self._plugins.values(), key=lambda p: (order[p.kind], p.name)))

    def of(self, kind: Kind) -> list[Plugin]:
        """All plugins of one kind, by name."""
        return [plugin for plugin in self if plugin.kind == kind]

    def get(self, kind: Kind, name: str) -> Plugin:
        """The plugin of that kind and name; also as ``distribution:name``.

        Raises
        ------
        UserError
            If there is none, with the nearest name and the ones there are.
        """
        found = self._plugins.get((kind, name))
        if found is None and ":" in name:
            distribution, short = name.rsplit(":", 1)
            short_named = self._plugins.get((kind, short))
            if short_named is not None and short_named.distribution == distribution:
                found = short_named
        if found is not None:
            return found
        for broken in self.broken:
            if broken.name == name:
                raise UserError(
                    f"the plugin {name} of {broken.distribution} {broken.version} "
                    f"could not be loaded: {broken.reason}"
                )
        names = [plugin.name for plugin in self.of(kind)]
        raise UserError(
            f"there is no {kind} named {name!r}.{nearest(name, names)} There are: {', '.join(names)}."
        )

    def for_path(self, kind: Kind, path: Path) -> Plugin:
        """The reader or loader that takes this file or folder.

        Raises
        ------
        UserError
            If nothing is there, or nothing takes it.
        """
        what = {"reader": "data", "loader": "model"}[kind]
        if not path.exists():
            raise UserError(f"there is no {what} file {str(path)!r}.{_beside(path)}")
        if not path.is_file() and not path.is_dir():  # a pipe or a device, which may never end
            raise UserError(f"{str(path)!r} is neither a file nor a folder")
        if not os.access(path, os.R_OK):
            raise UserError(f"{str(path)!r} may not be read: its permissions do not allow it")
        plugins = self.of(kind)
        for plugin in plugins:  # a folder may have an ending, too: data.zarr
            if path.suffix.lower() in plugin.suffixes and (path.is_file() or plugin.accepts):
                return plugin
        for plugin in plugins:
            if plugin.accepts is not None and plugin.accepts(path):
                return plugin
        known = ", ".join(
            f"{plugin.name} ({' '.join(plugin.suffixes) or 'folders'})" for plugin in plugins
        )
        found = "the folder" if path.is_dir() else f"the ending {path.suffix!r} of"
        raise UserError(f"no {kind} takes {found} {str(path)!r}. {kind.title()}s: {known}.")


def _origin(point: EntryPoint) -> tuple[str, str]:
    return _name_and_version(point.dist) if point.dist else ("", "")


@functools.cache  # the metadata are parsed anew at each look, and a distribution has many points
def _name_and_version(distribution: Distribution) -> tuple[str, str]:
    return distribution.name, distribution.version


def _beside(path: Path) -> str:
    """The name beside a missing path that it may have been meant to be."""
    try:
        return nearest(path.name, (other.name for other in path.parent.iterdir()))
    except OSError:
        return ""


@functools.cache
def registry() -> Registry:
    """The plugins of this Python's installed packages, found once a process."""
    return Registry()
