"""Search for plugins by entry point, in which a broken plugin does not affect the others."""

from __future__ import annotations

import functools
import importlib.util
import os
import re
import sys
import warnings
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from importlib.metadata import Distribution, EntryPoint, entry_points
from pathlib import Path
from types import ModuleType
from typing import Any

import pluggy

from cnnvis.errors import PluginError, UserError, listed, nearest, shown
from cnnvis.files.addresses import Address, Place, looks_like_address
from cnnvis.registry import flags
from cnnvis.registry.all_kinds import KINDS
from cnnvis.registry.hookspecs import API_VERSION, GROUP, Hooks, hookimpl
from cnnvis.registry.options import options_of
from cnnvis.registry.plugin import BUILT_IN, Plugin, plugin_of, report_to
from cnnvis.reporting import note
from cnnvis.text import printable

STEPS = tuple(kind.name for kind in KINDS.values() if kind.is_step)
SIDE = tuple(kind.name for kind in KINDS.values() if kind.is_beside)

PARAMETERS = {"model", "plugin_options", "samples", "technique"}
"""Parameters of `cnnvis.run` and of techniques beside the arguments of the command."""

WORDS = ("axes", "chains", "checks", "class_names", "demo", "plugins", "style", "trusted")
"""Words with a special meaning in settings or on the command line."""


@dataclass(frozen=True)
class Broken:
    """Plugin that could not be used, or a module of plugins, and the reason."""

    name: str
    distribution: str
    version: str
    reason: str
    error: BaseException | None = None

    @property
    def origin(self) -> str:
        """Package of the plugin, and its version."""
        return f"{self.distribution} {self.version}".strip()

    def failed(self) -> PluginError:
        """Return the error for a call of the plugin, caused by the exception that broke it."""
        failure = PluginError(
            f"the plugin {self.name} of {self.origin} could not be loaded: {self.reason}. "
            f"{report_to(self.distribution)}"
        )
        failure.__cause__ = self.error
        return failure


class _Decorated:
    """Implementation of the hook for a module that only decorated its functions."""

    def __init__(self, module: ModuleType) -> None:
        self._module = module

    def __dir__(self) -> list[str]:
        return ["cnnvis_plugins"]  # pluggy looks at all else that it finds, which takes longer

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
    """Registry of every plugin that the installed packages offer.

    Parameters
    ----------
    points
        The entry points to load; those of all installed packages by default.
    only
        Load, beside the built-in ones, only the plugins of these packages or entry points.
    hooks
        The hooks that a plugin module may implement.

    Attributes
    ----------
    broken
        Plugins that cannot be used.
    remarks
        Remarks on plugins that can be used all the same, each with the plugin's name: that another
        plugin has its name, or that the plugin follows an old version of the interface.
    files
        The single files that plugins were taken from.
    only
        The argument `only`.
    """

    def __init__(
        self,
        points: Iterable[EntryPoint] | None = None,
        *,
        only: Collection[str] | None = None,
        hooks: type = Hooks,
    ) -> None:
        self._manager = pluggy.PluginManager(GROUP)
        self._manager.add_hookspecs(hooks)
        self._plugins: dict[tuple[str, str], Plugin] = {}
        self.broken: list[Broken] = []
        self.remarks: list[tuple[str, str]] = []
        self.files: list[Path] = []
        self.only = None if only is None else frozenset(only)
        if points is None:
            points = entry_points(group=GROUP)
        # Our own package first, so that no other one takes a built-in name by coming earlier.
        for point in sorted(points, key=lambda p: (_origin(p)[0] != BUILT_IN, _origin(p), p.name)):
            if only is None or not {BUILT_IN, *only}.isdisjoint({_origin(point)[0], point.name}):
                self._load(point.name, *_origin(point), point.load)

    def add_file(self, path: Path, objection: str | None = None) -> None:
        """Add the plugins of a single Python file, which is run unless something objects."""
        if objection is None and (not _exists(path) or not path.is_file() or path.suffix != ".py"):
            objection = f"there is no plugin file {str(path)!r}; give a .py file"
        if objection is not None:
            self.broken.append(Broken(path.name, path.name, "", objection))
            return
        self.files.append(path)
        self._load(path.name, path.name, "", lambda: _imported(path))

    def _load(
        self, name: str, distribution: str, version: str, load: Callable[[], ModuleType]
    ) -> None:
        def broken(name: str, error: BaseException, reason: str = "") -> None:
            reason = reason or f"{type(error).__name__}: {error}"
            self.broken.append(Broken(name, distribution, version, reason, error))

        try:
            offered = self._offered(load(), name, distribution)
        except KeyboardInterrupt:
            raise
        # A module may raise anything at import, SystemExit included; the others must still load.
        except BaseException as error:
            broken(name, error)
            return
        for plugin in offered:
            try:
                _require_usable(plugin)
            except Exception as error:  # whatever the evaluation of a stranger's annotations raises
                broken(getattr(plugin, "name", name), error)
            else:
                self.add(replace(plugin, distribution=distribution, version=version))

    def _offered(self, module: ModuleType, name: str, distribution: str) -> list[Plugin]:
        """Return the plugins of a module."""
        written_for = getattr(module, "CNNVIS_API", API_VERSION)
        if written_for != API_VERSION:
            is_older = isinstance(written_for, int) and written_for < API_VERSION
            raise TypeError(
                f"it is written for version {written_for!r} of the plugin interface, and this "
                f"cnnvis has version {API_VERSION}; {'an older' if is_older else 'a newer'} cnnvis "
                "may run it"
            )
        holder = module if hasattr(module, "cnnvis_plugins") else _Decorated(module)
        with warnings.catch_warnings(record=True) as warned:
            warnings.simplefilter("always")
            registered = self._manager.register(holder, f"{distribution}:{name}")
        self.remarks += [(name, str(one.message)) for one in warned]
        if registered is None:
            return []
        implementation = self._manager.subset_hook_caller(
            "cnnvis_plugins",
            [other for other in self._manager.get_plugins() if other is not holder],
        )
        offered = [plugin for answer in implementation() for plugin in answer]
        if not offered:
            raise TypeError("the module decorates no function as a plugin")
        return offered

    def add(self, plugin: Plugin) -> Plugin:
        """Add a plugin, under its full name if its own is taken, and return it as listed."""
        # Steps of chains share one name space, and those with options --NAME.OPTION another.
        rivals = {kind for space in (STEPS, SIDE) if plugin.kind in space for kind in space}
        holders = [
            self._plugins[kind, plugin.name]
            for kind in rivals
            if (kind, plugin.name) in self._plugins
        ]
        if not holders:
            self._plugins[plugin.kind, plugin.name] = plugin
            return plugin
        full = f"{plugin.distribution}:{plugin.name}"
        if (plugin.kind, full) in self._plugins:
            reason = f"it offers two plugins named {plugin.name}"
            self.broken.append(Broken(plugin.name, plugin.distribution, plugin.version, reason))
            return plugin
        self._plugins[plugin.kind, full] = replace(plugin, name=full)
        self.remarks.append(
            (full, f"the name {plugin.name} alone means the plugin of {holders[0].origin}")
        )
        return self._plugins[plugin.kind, full]

    def __iter__(self) -> Iterator[Plugin]:
        order = {kind: position for position, kind in enumerate(KINDS)}
        return iter(sorted(self._plugins.values(), key=lambda p: (order[p.kind], p.name)))

    def of(self, kind: str) -> list[Plugin]:
        """Return all plugins of one kind, by name."""
        return [plugin for plugin in self if plugin.kind == kind]

    def get(self, kind: str, name: str) -> Plugin:
        """Return the plugin of that kind and name; also as ``distribution:name``.

        Raises
        ------
        UserError
            If the plugin does not exist, with the nearest names, and all of a few.
        PluginError
            If the plugin exists and could not be loaded.
        """
        _require_name(kind, name)
        found = self._plugins.get((kind, name))
        if found is None and ":" in name:
            distribution, short = name.rsplit(":", 1)
            short_named = self._plugins.get((kind, short))
            if short_named is not None and short_named.distribution == distribution:
                found = short_named
        if found is not None:
            return found
        self.require_unbroken(name)
        raise self.nothing_named(kind, name, [plugin.name for plugin in self.of(kind)])

    def step(self, name: str) -> Plugin:
        """Return the technique, transform or renderer of that name.

        Raises
        ------
        UserError
            If the plugin does not exist, with the nearest names, and all of a few.
        PluginError
            If the plugin exists and could not be loaded.
        """
        _require_name("step", name)
        for kind in STEPS:
            with suppress(UserError, PluginError):
                return self.get(kind, name)
        self.require_unbroken(name)
        names = [plugin.name for plugin in self if plugin.kind in STEPS]
        raise self.nothing_named("step", name, names)

    def nothing_named(self, what: str, name: str, names: Sequence[str]) -> UserError:
        """Return the error for an unknown name, with the nearest names, and all of a few."""
        # One that could not be loaded may hold it: nobody knows what is in there.
        unread = "".join(
            f" {one.name} could not be loaded: {one.reason}" for one in self.broken[:3]
        )
        return UserError(
            f"there is no {what} named {name!r}.{nearest(name, names)} "
            f"{listed('There are', names, _listing(what))}{unread}"
        )

    def require_unbroken(self, name: str) -> None:
        """Raise the reason why a plugin of that name, or ``distribution:name``, is missing.

        Raises
        ------
        PluginError
            If there is one that could not be loaded.
        """
        for broken in self.broken:
            if name in (broken.name, f"{broken.distribution}:{broken.name}"):
                raise broken.failed()

    def for_path(self, kind: str, path: Place, given: Collection[str] = ()) -> Plugin:
        """Return the reader or loader that takes this path; a note names it if others do, too.

        Of an address nothing but its name is looked at.

        A built-in plugin for the path's suffix comes before all others, but for those that were asked
        for.

        Parameters
        ----------
        given
            The names of plugins that were asked for, as by their options.

        Raises
        ------
        UserError
            If the path does not exist, or no plugin takes it.
        """
        if isinstance(path, Address):
            return self._for_address(kind, path, given)
        what = KINDS[kind].file
        if looks_like_address(path) and not _exists(path):
            raise UserError(
                f"{str(path)!r} is an address, and cnnvis reads a {what} from files of this machine alone; "
                "download the file first"
            )
        if not _exists(path):
            raise UserError(f"there is no {what} file {str(path)!r}.{_beside(path)}")
        if not path.is_file() and not path.is_dir():  # a pipe or a device, which may never end
            raise UserError(f"{str(path)!r} is neither a file nor a folder")
        if not os.access(path, os.R_OK):
            raise UserError(f"{str(path)!r} may not be read: its permissions do not allow it")
        plugins = self.of(kind)
        endings = {plugin.name: plugin.ending_of(path) for plugin in plugins}
        longest = max(map(len, endings.values()), default=0)
        takers = [  # a folder may have an ending, too: data.zarr
            plugin
            for plugin in sorted(plugins, key=lambda one: one.distribution != BUILT_IN)
            if 0 < longest == len(endings[plugin.name]) and (path.is_file() or plugin.accepts)
        ]
        if not takers:  # what takes any folder takes those that nothing else takes
            takers = [one for one in plugins if one.accepts is not None and _accepts(one, path)]
            takers.sort(key=lambda plugin: plugin.accepts is Path.is_dir)
        takers.sort(key=lambda plugin: plugin.name not in given)
        if takers:
            if takers[0].name not in given:
                _say_rivals(path, *takers)
            return takers[0]
        known = ", ".join(
            f"{plugin.name} ({' '.join(plugin.suffixes) or 'folders'})" for plugin in plugins
        )
        found = "the folder" if path.is_dir() else f"the ending {path.suffix!r} of"
        raise UserError(f"no {kind} takes {found} {str(path)!r}. {kind.title()}s: {known}.")

    def _for_address(self, kind: str, path: Address, given: Collection[str]) -> Plugin:
        plugins = [plugin for plugin in self.of(kind) if plugin.remote]
        endings = {plugin.name: plugin.ending_of(path) for plugin in plugins}
        takers = [one for one in plugins if endings[one.name]] or [
            one for one in plugins if one.accepts is not None and _accepts(one, path)
        ]
        takers.sort(key=lambda one: (one.name not in given, one.distribution != BUILT_IN))
        if takers:
            return takers[0]
        known = ", ".join(f"{plugin.name} ({' '.join(plugin.suffixes)})" for plugin in plugins)
        of = f" {kind.title()}s of addresses: {known}." if known else ""
        raise UserError(
            f"no {kind} takes the address {str(path)!r}.{of} Download a file of another kind first"
        )


def _listing(what: str) -> str:
    """Return the command that lists plugins of a kind, or all."""
    return f"cnnvis list-plugins --kind {what}" if what in KINDS else "cnnvis list-plugins"


def _require_name(kind: str, name: object) -> None:
    """Refuse what is no name of a plugin, such as a pair of a name and options.

    Raises
    ------
    UserError
        If it is no text.
    """
    if not isinstance(name, str):
        options = "; its options stand in plugin_options" if kind in SIDE else ""
        raise UserError(f"a {kind} is chosen by its name, and not by {shown(name)}{options}")


def _say_rivals(path: Path, plugin: Plugin, *others: Plugin) -> None:
    """Note which plugin takes a file that a plugin of another package would take, too."""
    rivals = [one for one in others if one.distribution != plugin.distribution]
    if rivals:
        named = ", ".join(f"{one.name} of {one.origin}" for one in rivals)
        are = "also takes this file, and is" if len(rivals) == 1 else "also take this file, and are"
        asked = [one.name for one in rivals if one.kind == "reader" and options_of(one)]
        more = f"; an option of {asked[0]} would choose it" if asked else ""
        note(
            f"the {plugin.kind} {plugin.name} of {plugin.origin} reads {path.name!r}; {named} "
            f"{are} not used{more}"
        )


def _accepts(plugin: Plugin, path: Place) -> bool:
    """Tell whether a plugin takes a path; an error of one plugin must not affect the others."""
    assert plugin.accepts is not None
    try:
        return bool(plugin.accepts(path))
    except Exception as error:
        what = f"could not tell whether it takes {path.name!r}: {type(error).__name__}: {error}"
        note(f"the {plugin.kind} {plugin.name} of {plugin.origin} {what}. {plugin.report_to}")
        return False


def _origin(point: EntryPoint) -> tuple[str, str]:
    if not point.dist:
        return "", ""
    name, version = _name_and_version(point.dist)
    home = point.value.partition(":")[0].partition(".")[0]
    # A package may call itself cnnvis, and is not.
    return (home if name == BUILT_IN != home else name), version


@functools.cache  # the metadata are parsed anew at each look, and a distribution has many points
def _name_and_version(distribution: Distribution) -> tuple[str, str]:
    return distribution.name, distribution.version


def _beside(path: Path) -> str:
    """Return the name beside a missing path that the path may have been meant for."""
    try:
        return nearest(path.name, (other.name for other in path.parent.iterdir()))
    except (OSError, ValueError):
        return ""


def _exists(path: Path) -> bool:
    """Tell whether a path exists; a name that no file can have does not exist."""
    try:
        return path.exists()
    except OSError:
        return False


def _require_usable(plugin: Any) -> None:
    """Raise the error in something that a module offers as a plugin."""
    if not isinstance(plugin, Plugin) or plugin.kind not in KINDS:
        raise TypeError(f"{plugin!r} is not a plugin of a kind that cnnvis knows")
    if not _is_name(plugin.name):
        raise TypeError(f"{plugin.name!r} cannot be typed as a plugin's name")
    if plugin.name in WORDS:
        raise TypeError(f"{plugin.name!r} has another meaning in cnnvis, and cannot name a plugin")
    kind = KINDS[plugin.kind]
    if not kind.commands and not kind.is_beside and options_of(plugin):
        raise TypeError(
            f"a {plugin.kind} has no options: what it is to know stands behind a colon, as its "
            "parameter `argument`"
        )
    if plugin.kind == "reader" and f"--trust-{plugin.name}" in flags.taken("run"):
        raise TypeError(f"a reader cannot be named {plugin.name!r}: --trust-{plugin.name} is taken")
    _require_flags(plugin)
    unknown = sorted(set(plugin.paper) - {option.name for option in options_of(plugin)})
    if unknown:
        raise TypeError(f"it has no option {unknown[0]!r}, which it sets in the paper's style")


def _require_flags(plugin: Plugin) -> None:
    """Raise an error for an option that cannot be typed, since its flag or its name is taken."""
    owner = dict.fromkeys(flags.FOR_ALL, "every command")
    for command in KINDS[plugin.kind].commands:
        owner = dict.fromkeys(flags.taken(command), f"cnnvis {command}") | owner
    names = PARAMETERS | flags.names("run") if plugin.kind == "technique" else set()
    for option in options_of(plugin):
        if option.name in flags.ALIKE and option.annotation is bool:
            continue
        for flag in option.flags:
            if flag in owner:
                raise TypeError(
                    f"its option {option.name!r} would be typed {flag}, which {owner[flag]} has: "
                    "give it another name"
                )
            owner[flag] = f"its option {option.name!r}"
        if option.name in names:
            raise TypeError(
                f"its option {option.name!r} has the name of a parameter of cnnvis.run: give it "
                "another name"
            )


def _is_name(name: object) -> bool:
    """Tell whether a name is a word that a person can type, read and find in a file's name."""
    return (
        isinstance(name, str)
        and not name.startswith("-")
        and re.fullmatch(r"[^\s/\\]+", name) is not None
        and printable(name) == name
    )


def _imported(path: Path) -> ModuleType:
    """Import a Python file as a module, under a unique name."""
    name = f"cnnvis_plugin_file_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None and spec.loader is not None  # it ends in .py
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # options look their annotations up there
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


CHOICE = "CNNVIS_PLUGINS"
"""Variable of the environment that says which packages' plugins are loaded."""


_in_use: list[Registry] = []


def registry() -> Registry:
    """Return the plugins of this Python's installed packages, found once per process.

    ``CNNVIS_PLUGINS`` names the packages, or entry points, whose plugins are loaded beside the
    built-in ones, with commas between the names; ``none`` for none. Without the variable, all
    plugins are loaded.
    """
    return _in_use[-1] if _in_use else _installed(os.environ.get(CHOICE))


@functools.cache
def _installed(choice: str | None) -> Registry:
    only = None if choice is None else set(choice.replace(",", " ").split()) - {"none"}
    return Registry(only=only)


@contextmanager
def using(chosen: Registry) -> Iterator[None]:
    """Let `registry` return this registry inside the block."""
    _in_use.append(chosen)
    try:
        yield
    finally:
        _in_use.pop()


def load_plugin(path: str | os.PathLike[str]) -> None:
    """Load the plugins of a Python file, for this process; the file runs.

    Raises
    ------
    UserError
        If there is no such file.
    PluginError
        If the file, or a plugin in the file, cannot be used.
    """
    path = Path(path)
    require_file(path)
    known = registry()
    before = len(known.broken)
    known.add_file(path)
    for broken in known.broken[before:]:
        raise broken.failed()


def require_file(path: Path) -> None:
    """Refuse a path that is no Python file.

    Raises
    ------
    UserError
        If there is no such file.
    """
    if not _exists(path) or not path.is_file() or path.suffix != ".py":
        raise UserError(f"there is no plugin file {str(path)!r}; give a .py file")
