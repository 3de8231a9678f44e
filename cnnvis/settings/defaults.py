"""Defaults of a person: in the project's ``cnnvis.toml``, in the user's own, in the environment.

::

    class_names = ["neutral", "sweep"]

    [saliency]
    backprop = "rectified"

    [chains.means]
    ...

What is typed goes before the environment (``CNNVIS_SALIENCY_BACKPROP``), that before the project's
file, that before the user's, and that before a plugin's own default. Only the command line reads
these, but for the variables CNNVIS_CHECKS and CNNVIS_STYLE: a script means what it says.
"""

from __future__ import annotations

import functools
import itertools
import os
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

from cnnvis.data.axes import axes_of
from cnnvis.errors import UserError, nearest, shown
from cnnvis.files.reading import is_there, read_text, read_toml
from cnnvis.registry.arguments import Level, Style
from cnnvis.registry.discovery import CHOICE, SIDE, Registry, registry
from cnnvis.registry.options import checked, options_of
from cnnvis.registry.plugin import Plugin

FILE = "cnnvis.toml"
PREFIX = "CNNVIS_"
WORDS = {f"{PREFIX}CHECKS": "checks", f"{PREFIX}STYLE": "style"}
"""Variables of settings that belong to no plugin, which `cnnvis.run` and others read as well."""

PYTHON = "_PYTHON"
"""End of the names of variables with the Python of a library's environment, which adapters read."""

TRUSTED = "trusted"
"""Key of the user's own file that lists folders whose settings may name code to be run."""

GENERAL: Mapping[str, Any] = {
    "class_names": list[str],
    "checks": Level,
    "style": Style,
    "plugins": list[str],
    TRUSTED: list[str],
}
"""Keys that belong to no plugin, and the types of their values."""

TABLES = ("chains", "axes")
"""Tables that belong to no plugin."""


@dataclass(frozen=True)
class Source:
    """Source of settings: a file, or a variable of the environment.

    Attributes
    ----------
    name
        The source's name for a person: a file, or a variable of the environment.
    settings
        The keys and tables of the source.
    path
        The file, if the source is a file.
    table
        The table of the file that holds the settings: ``tool.cnnvis`` of a pyproject.toml.
    """

    name: str
    settings: Mapping[str, Any]
    path: Path | None = None
    table: str = ""


@dataclass(frozen=True)
class Value:
    """Setting with its source."""

    value: Any
    origin: str


def sources() -> tuple[Source, ...]:
    """Return the sources of settings, the most important source first.

    Raises
    ------
    UserError
        If a file is no TOML, or holds keys or values that nothing knows.
    """
    files = [one for one in (project_file(), user_file()) if one and is_there(one)]
    times = tuple((one, one.stat().st_mtime_ns) for one in dict.fromkeys(files))
    return _sources(times, tuple(sorted(_variables())), registry())


@functools.cache  # a command asks for every plugin's options, and the files are read but once
def _sources(
    files: tuple[tuple[Path, int], ...],
    variables: tuple[tuple[str, str], ...],
    known: Registry,  # what keys there are depends on it
) -> tuple[Source, ...]:
    return (_environment(dict(variables)), *(read(path) for path, _ in files))


def plugin_files() -> list[tuple[Path, str | None]]:
    """Return the plugin files that settings name, each with the reason against running it, if any.

    The files are Python code that runs with every command. So a settings file that belongs to
    another user, such as a file left in a shared folder above this one, is not followed; nor is a
    project's file before its user has said that the folder is to be trusted, as the folder may have
    come from anywhere.

    Raises
    ------
    UserError
        If a settings file is no TOML.
    """
    found: list[tuple[Path, str | None]] = []
    for path in (user_file(), project_file()):
        if path is None or not is_there(path):
            continue
        names = _names(path, "plugins")
        may_run = path == user_file() or not names or _is_trusted(path.parent)
        for name in names:
            file = path.parent / Path(name).expanduser()
            stranger = next((one for one in (path, file) if not _is_ours(one)), None)
            objection = None
            if stranger is not None:
                objection = f"{str(stranger)!r} belongs to another user, so it is not run"
            elif not may_run:
                objection = (
                    f"{str(path)!r} names it, and the folder of that file is not trusted to run "
                    "code. If the code is yours, or you have read it, run once in that folder: "
                    "cnnvis config trust"
                )
            found.append((file, objection))
    return found


def _names(path: Path, key: str) -> list[str]:
    """Return a list of names in a file, as far as it is valid; a complete read reports errors."""
    held = settings_in(path)[0].get(key, []) if is_there(path) else []
    return [str(one) for one in held] if isinstance(held, list) else []


def _is_trusted(folder: Path) -> bool:
    return str(folder.resolve()) in _names(user_file(), TRUSTED)


def trust(folder: Path) -> Path:
    """Trust the plugin files that the settings of a folder name; return the file that records it.

    Raises
    ------
    UserError
        If the user's file is no TOML, or cannot be written.
    """
    if not _is_trusted(folder):
        change(user_file(), TRUSTED, [*_names(user_file(), TRUSTED), str(folder.resolve())])
    return user_file()


def _is_ours(path: Path) -> bool:
    """Tell whether a file, and a link to it, belongs to the current user or the administrator."""
    if not (hasattr(os, "getuid") and path.is_file()):
        return True
    return {path.stat().st_uid, path.lstat().st_uid} <= {0, os.getuid()}


def project_file(folder: Path | None = None) -> Path | None:
    """Return the nearest ``cnnvis.toml``, or pyproject.toml with our table, here or above.

    The search starts in `folder`, by default the folder in which the program runs; if that was
    deleted, the result is None. A file that belongs to another user, who could have left it in a
    shared folder, is ignored.
    """
    return next((path for path in _project_files(folder) if _is_ours(path)), None)


def strangers_files() -> list[Path]:
    """Return the settings files of other users that are ignored, here and above."""
    ours = project_file()
    found = itertools.takewhile(lambda path: path != ours, _project_files())
    return [path for path in found if not _is_ours(path)]


def _project_files(folder: Path | None = None) -> Iterator[Path]:
    try:
        folder = Path.cwd() if folder is None else folder
    except OSError:
        return
    for one in (folder, *folder.parents):
        if is_there(one / FILE):
            yield one / FILE
        pyproject = one / "pyproject.toml"
        # Another user's is not even read.
        if is_there(pyproject) and (not _is_ours(pyproject) or settings_in(pyproject)[0]):
            yield pyproject


def user_file() -> Path:
    """Return the path of the user's own file, which may not exist."""
    import platformdirs

    return platformdirs.user_config_path("cnnvis") / FILE


def read(path: Path) -> Source:
    """Read the settings of a file, checked.

    Raises
    ------
    UserError
        If the file is no TOML, or holds unknown keys or values; with the line.
    """
    held, table = settings_in(path)
    _require_place(held, path)
    source = Source(str(path), held, path, table)
    for key, value in held.items():
        try:
            _check(key, value)
        except _Wrong as wrong:
            line = _line(path, table, wrong.table, wrong.key)
            where = f"{str(path)!r}, line {line}" if line else repr(str(path))
            raise UserError(f"{where}: {wrong}") from None
    return source


def _require_place(keys: Collection[str], path: Path) -> None:
    if TRUSTED in keys and path != user_file():
        raise UserError(
            f"{TRUSTED!r} is a key that only the user's own file may have, and {str(path)!r} is "
            "another file; cnnvis config trust writes the key into the user's file"
        )


def settings_in(path: Path) -> tuple[dict[str, Any], str]:
    """Return the settings of a file, not yet checked, and the table that holds them.

    Raises
    ------
    UserError
        If the file is no TOML, or has something else where its table should be.
    """
    held, table = read_toml(path), ""
    if path.name == "pyproject.toml":
        table = "tool.cnnvis"
        for part in table.split("."):
            held = held.get(part, {})
            if not isinstance(held, dict):
                raise UserError(f"{str(path)!r} has no table [{table}] but {shown(held)}")
    return held, table


class _Wrong(Exception):
    def __init__(self, table: str, key: str, sentence: str) -> None:
        super().__init__(sentence)
        self.table, self.key = table, key


def _check(key: str, value: Any) -> None:
    if key in GENERAL and get_origin(GENERAL[key]) is Literal:
        words = get_args(GENERAL[key])
        if value not in words:
            raise _Wrong("", key, f"{key} can be {', '.join(words)}, and is {shown(value)}")
        return
    if key in GENERAL:
        if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
            raise _Wrong("", key, f"{key} must be a list of names, and is {shown(value)}")
        return
    if key in TABLES:
        if not isinstance(value, dict):
            raise _Wrong("", key, f"{key} must be a table, [{key}.NAME], and is {shown(value)}")
        for name, table in value.items() if key == "axes" else ():
            _check_axis(name, table)
        return
    plugins = plugins_of(key)
    if not plugins and (
        registry().only is not None
        or key in {one.name for one in registry().broken}
        or any(objection for _, objection in plugin_files())
    ):
        return  # settings of a plugin that is there, but was not loaded
    if not plugins:
        known = [*GENERAL, *TABLES, *sorted({plugin.name for plugin in registry()})]
        place = (key, "") if isinstance(value, dict) else ("", key)
        raise _Wrong(*place, f"there is no setting and no plugin {key!r}.{nearest(key, known)}")
    if not isinstance(value, dict):
        raise _Wrong("", key, f"{key} is a plugin, so its options stand in a table [{key}]")
    for name, one in value.items():
        option = name.replace("-", "_")
        known = sorted({o.name for plugin in plugins for o in options_of(plugin)})
        if any(
            one.grants for plugin in plugins for one in options_of(plugin) if one.name == option
        ):
            raise _Wrong(
                key, name, f"{name} of {key} lets code run: type it in each command, since no "
                "settings file may hold it"
            )  # fmt: skip
        if option not in known:
            raise _Wrong(
                key, name, f"{key} has no option {name!r}.{nearest(option, known)} "
                f"It has: {', '.join(known) or 'none'}.",
            )  # fmt: skip
        for plugin in plugins:
            if option in {o.name for o in options_of(plugin)}:
                _checked_one(plugin, key, option, one)


def _check_axis(name: str, table: Any) -> None:
    try:
        axes_of({name: {}})
    except UserError as error:
        raise _Wrong(f"axes.{name}", "", str(error)) from None
    for key, value in table.items() if isinstance(table, dict) else [("", table)]:
        try:
            axes_of({name: {key: value} if key else table})
        except UserError as error:
            raise _Wrong(f"axes.{name}", key, str(error)) from None


def _checked_one(plugin: Plugin, table: str, option: str, value: Any) -> None:
    try:
        checked(plugin, {option: value})
    except UserError as error:
        raise _Wrong(table, option, str(error)) from None


def plugins_of(name: str) -> list[Plugin]:
    """Return every plugin of that name, of any kind."""
    return [plugin for plugin in registry() if plugin.name == name]


def _line(path: Path, root: str, table: str, key: str) -> int | None:
    """Return the line of a key, or of a table's heading, which the parser does not keep."""
    wanted = ".".join(part for part in (root, table) if part)
    current = ""
    for number, text in enumerate(read_text(path).splitlines(), 1):
        bare = text.strip()
        if bare.startswith("[") and not bare.startswith("[["):
            current = bare.split("]")[0].strip("[ ").replace('"', "")
            if not key and current == wanted:
                return number
        elif (
            current == wanted
            and key
            and bare.replace('"', "").split("=")[0].strip()
            in (
                key,
                key.replace("_", "-"),
            )
        ):
            return number
    return None


def _variables() -> Iterator[tuple[str, str]]:
    for name, value in os.environ.items():
        if name.startswith(PREFIX) and name != CHOICE and not name.endswith(PYTHON):
            yield name, value


def _environment(variables: Mapping[str, str]) -> Source:
    """Return options of plugins from variables: ``CNNVIS_GRAD_CAM_BACKPROP``."""
    found: dict[str, Any] = {}
    places = {
        f"{PREFIX}{plugin.name}_{option.name}".upper().replace("-", "_"): (plugin, option)
        for plugin in registry()
        for option in options_of(plugin)
    }
    value: Any
    for name, text in variables.items():
        if name in WORDS:
            try:
                _check(WORDS[name], text)
            except _Wrong as wrong:
                raise UserError(f"the variable {name}: {wrong}") from None
            found[WORDS[name]] = text
            continue
        if name not in places:
            raise UserError(
                f"the variable {name} is no setting.{nearest(name, places)} Settings have names "
                f"like {PREFIX}PLUGIN_OPTION"
            )
        plugin, option = places[name]
        if option.grants:
            raise UserError(
                f"the variable {name} would let code run: type the option in each command, since "
                "cnnvis does not take it from the environment"
            )
        value = text.split() if option.words is not None else text
        try:
            checked(plugin, {option.name: value})
        except UserError as error:
            raise UserError(f"the variable {name}: {error}") from None
        found.setdefault(plugin.name, {})[option.name] = value
    return Source("the environment", found)


def options_for(plugin: Plugin) -> dict[str, Value]:
    """Return the settings of a plugin's options, by name, and their sources."""
    known = {option.name for option in options_of(plugin)}
    found: dict[str, Value] = {}
    for source in sources():
        table = source.settings.get(plugin.name, {})
        for name, value in table.items() if isinstance(table, Mapping) else ():
            option = name.replace("-", "_")
            if option in known:
                found.setdefault(option, Value(value, source.name))
    return found


def general(key: str) -> Value | None:
    """Return a setting that belongs to no plugin, or a table."""
    for source in sources():
        if key in source.settings:
            return Value(source.settings[key], source.name)
    return None


def checks_by_settings() -> Level | None:
    """Return the level of checks that settings ask for, if any."""
    found = general("checks")
    level: Level | None = None if found is None else found.value
    return level


def style_by_settings() -> Style | None:
    """Return the style of techniques that settings ask for, if any."""
    found = general("style")
    style: Style | None = None if found is None else found.value
    return style


def with_settings(plugin: Plugin, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options that were given, and the settings of all others."""
    return {**{name: one.value for name, one in options_for(plugin).items()}, **given}


def side_options(given: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """Return the options of plugins beside the work, by their names: given ones, and settings."""
    found = {
        plugin.name: with_settings(plugin, given.get(plugin.name, {}))
        for plugin in registry()
        if plugin.kind in SIDE
    }
    return {name: options for name, options in found.items() if options}


def change(path: Path, key: str, value: Any) -> None:
    """Save a setting in a file, or remove it for None; all else stays, comments too.

    Raises
    ------
    UserError
        If nothing knows the key, the value is not of its type, or the file cannot be written.
    """
    import tomlkit

    from cnnvis.files.reading import editable, write_whole

    table, _, option = key.rpartition(".")
    _require_place([key], path)
    document = editable(path)
    holder: Any = document
    for part in [
        *(["tool", "cnnvis"] if path.name == "pyproject.toml" else []),
        *filter(None, [table]),
    ]:
        if part not in holder:
            if value is None:
                raise UserError(f"{key} is not set in {str(path)!r}")
            holder[part] = tomlkit.table()
        holder = holder[part]
        if not isinstance(holder, dict):
            raise UserError(f"{part} in {str(path)!r} is no table but {shown(holder)}")
    plain = option.replace("-", "_")
    name = next((one for one in (option, plain, plain.replace("_", "-")) if one in holder), plain)
    if value is None:
        if name not in holder:
            raise UserError(f"{key} is not set in {str(path)!r}")
        del holder[name]
    else:
        try:
            _check(table or option, {option: value} if table else value)
        except _Wrong as wrong:
            raise UserError(str(wrong)) from None
        holder[name] = value
    write_whole(path, tomlkit.dumps(document).encode())


def typed_value(key: str, words: list[str]) -> Any:
    """Return the typed words of a setting as a value of TOML: numbers and switches as such.

    Raises
    ------
    UserError
        If the key is unknown, or the words are not of its type.
    """
    table, _, name = key.rpartition(".")
    if not table:
        if name not in GENERAL:
            raise UserError(
                f"there is no setting {key!r}; options of plugins are set as PLUGIN.OPTION, such as "
                "saliency.backprop"
            )
        value: Any = list(words) if GENERAL[name] == list[str] else " ".join(words)
        return value
    try:
        for plugin in plugins_of(table):
            for option in options_of(plugin):
                if option.name == name.replace("-", "_"):
                    value = words if option.words is not None else " ".join(words)
                    plain = checked(plugin, {option.name: value})[option.name]
                    plain = list(plain) if isinstance(plain, tuple) else plain
                    return "none" if plain is None else plain
        _check(table, {name: None})
    except _Wrong as wrong:
        raise UserError(str(wrong)) from None
    raise UserError(f"{key} cannot be set")
