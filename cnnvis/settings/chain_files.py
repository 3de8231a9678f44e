"""Written forms of a chain: in a TOML file, on a command line, in Python."""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cnnvis.errors import UserError, nearest, shown
from cnnvis.files.addresses import is_address
from cnnvis.registry.arguments import (
    ChainOutput,
    Checking,
    DataArguments,
    Form,
    LoadOptions,
    Styling,
    TargetArguments,
    TopClasses,
    flags_of,
)
from cnnvis.registry.discovery import registry
from cnnvis.registry.options import checked, grants_of
from cnnvis.settings.defaults import settings_in
from cnnvis.text import escaped, printable, words_of

_FLAGS = {
    name: flag
    for values in (
        DataArguments,
        TargetArguments,
        TopClasses,
        LoadOptions,
        Styling,
        Checking,
        ChainOutput,
    )
    for name, flag in flags_of(values).items()
    if flag.kept_as is not None
}
"""Flags of the arguments of a chain that a file keeps, by their names."""

TYPES = {
    "model": str,
    **{name: flag.kept_as for name, flag in _FLAGS.items()},
    "axes": dict,
    "reading": dict[str, Any],
}
"""Types of the keys of a chain's table in a file, other than its steps.

``reading`` holds options of loaders and readers, by names such as ``pictures.scale``.
"""

PATHS = ("model", *(name for name, flag in _FLAGS.items() if flag.is_path))
"""Keys that are paths; in a file they are relative to the file's folder."""

MOST_STEPS = 200
"""Maximum number of steps in a chain, since Python limits the depth of nested calls."""


@dataclass(frozen=True)
class Recipe:
    """Chain with all that it needs, as a person wrote it.

    Attributes
    ----------
    name
        The name of the chain in a file.
    subject
        The model, the data and the target: arguments of `cnnvis.chain` by name.
    steps
        The steps' names and options.
    """

    name: str
    subject: Mapping[str, Any]
    steps: Sequence[tuple[str, Mapping[str, Any]]]

    def written(self, form: Form) -> str:
        """Return the chain in one of its forms."""
        return {"toml": _toml, "python": _python, "shell": _shell}[form](self)


def _toml(recipe: Recipe) -> str:
    import tomlkit

    document = tomlkit.document()
    chains = tomlkit.table(is_super_table=True)
    chains[recipe.name] = _table(recipe)
    document["chains"] = chains
    return escaped(tomlkit.dumps(document))


def _table(recipe: Recipe) -> Any:
    import tomlkit

    table, granting = tomlkit.table(), _granting()
    for key, value in recipe.subject.items():
        if key == "reading":
            value = {name: one for name, one in value.items() if _option(name) not in granting}
        if key not in granting:  # said anew by whoever runs it: no file may say so
            table[key] = _plain(value)
    steps = tomlkit.aot()
    for name, options in recipe.steps:
        step = tomlkit.table()
        step["step"] = name
        for key, value in options.items():
            # TOML has no word for nothing; options take this one.
            step[key] = "none" if value is None else _plain(value)
        steps.append(step)
    table["steps"] = steps
    return table


def _option(name: str) -> str:
    return name.rpartition(".")[2]


def by_plugin(reading: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Return options of loaders and readers, ``pictures.scale``, by the names of the plugins."""
    found: dict[str, dict[str, Any]] = {}
    for name, value in reading.items():
        plugin, _, option = name.rpartition(".")
        found.setdefault(plugin, {})[option] = value
    return found


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: "none" if one is None else _plain(one) for name, one in value.items()}
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    return str(value) if isinstance(value, Path) else value


def _python(recipe: Recipe) -> str:
    steps = [
        repr(name) if not options else f"({name!r}, {_plain_options(options)!r})"
        for name, options in recipe.steps
    ]
    subject = {key: _plain(value) for key, value in recipe.subject.items() if key != "reading"}
    if recipe.subject.get("reading"):
        subject["plugin_options"] = by_plugin(recipe.subject["reading"])
    model = subject.pop("model", "model.h5")
    lines = ["import cnnvis", "", "cnnvis.chain(", f"    {model!r},", "    ["]
    lines += [f"        {step}," for step in steps]
    lines += ["    ],", *(f"    {key}={value!r}," for key, value in subject.items()), ")"]
    return escaped("\n".join(lines)) + "\n"


def _plain_options(options: Mapping[str, Any]) -> dict[str, Any]:
    return {key: _plain(value) for key, value in options.items()}


def _shell(recipe: Recipe) -> str:
    subject = dict(recipe.subject)
    words = ["cnnvis", "chain", str(subject.pop("model", "MODEL"))]
    lines = [command_line(words, subject)]
    for name, options in recipe.steps:
        step = [name]
        for key, value in options.items():
            step += _flags(key, value)
        lines.append("    " + _joined(step))
    # Axes have no flag: they are settings of a folder.
    remark = "# The axes of this chain go into cnnvis.toml: [axes]\n" if "axes" in subject else ""
    return remark + " \\\n".join(lines) + "\n"


def command_line(words: Sequence[str], subject: Mapping[str, Any]) -> str:
    """Return a command as a shell takes it: words, and the flags of arguments by their names."""
    every = list(words)
    for key, value in subject.items():
        if key == "reading":
            every += [word for name, one in value.items() for word in _flags(name, one)]
        elif key != "axes":
            every += _flags(key, value)
    return _joined(every)


def _joined(words: Sequence[str]) -> str:
    """Return words as a shell takes them, with invisible characters as in $'...'."""
    return " ".join(
        shlex.quote(word) if printable(word) == word else _written_out(word) for word in words
    )


def _written_out(word: str) -> str:
    quoted = word.replace("\\", r"\\").replace("'", r"\'").replace("\n", r"\n").replace("\t", r"\t")
    return f"$'{escaped(quoted)}'"


def _flags(key: str, value: Any) -> list[str]:
    flag = _FLAGS[key].names[0] if key in _FLAGS else "--" + key.strip("_").replace("_", "-")
    if value is True:
        return [flag]
    if value is False and key in _FLAGS:
        return []
    if value is False:
        plugin, dot, name = flag.removeprefix("--").rpartition(".")
        return [f"--{plugin}{dot}no-{name}"]
    if isinstance(value, list | tuple):
        return [flag, *map(str, value)]
    # A value that begins with a sign would be taken for an option of its own.
    text = "none" if value is None else str(value)
    return [f"{flag}={text}"] if text.startswith("-") else [flag, text]


def read_recipe(path: Path, name: str | None = None) -> Recipe:
    """Read a chain from a file.

    Parameters
    ----------
    path
        The TOML file.
    name
        The name of the chain; not needed for a file with one chain.

    Raises
    ------
    UserError
        If the file or the chain does not exist, or is not written as a chain.
    """
    return recipe_of(settings_in(path)[0].get("chains", {}), path, name)


def recipe_of(chains: Any, path: Path, name: str | None = None) -> Recipe:
    """Return a chain from a file's tables; see `read_recipe`."""
    if not isinstance(chains, dict) or not chains:
        raise UserError(
            f"{str(path)!r} holds no chains; a chain is a table [chains.NAME] with the keys "
            "model, data, ..., and a table [[chains.NAME.steps]] for each step"
        )
    if name is None and len(chains) > 1:
        raise UserError(
            f"{str(path)!r} holds {len(chains)} chains; choose a chain with --name: "
            f"{words_of(chains)}"
        )
    name = next(iter(chains)) if name is None else name
    if name not in chains:
        raise UserError(
            f"{str(path)!r} holds no chain {name!r}.{nearest(name, chains)} "
            f"There are: {words_of(chains)}."
        )
    return _recipe(name, chains[name], path)


def _recipe(name: str, held: Any, path: Path) -> Recipe:
    import msgspec

    steps = held.get("steps") if isinstance(held, dict) else None
    if not isinstance(steps, list) or not steps:
        raise UserError(
            f"the chain {name!r} in {str(path)!r} has no steps: it needs a table "
            f"[[chains.{name}.steps]] for each step"
        )
    if len(steps) > MOST_STEPS:
        raise UserError(
            f"the chain {name!r} in {str(path)!r} has {len(steps)} steps, and a chain has at "
            f"most {MOST_STEPS}"
        )
    found = []
    for place, step in enumerate(steps, 1):
        if not isinstance(step, dict) or not isinstance(step.get("step"), str):
            raise UserError(
                f"step {place} of the chain {name!r} in {str(path)!r} names no plugin: it "
                'needs step = "saliency", or another plugin\'s name'
            )
        options = {key.replace("-", "_"): value for key, value in step.items() if key != "step"}
        found.append((step["step"], options))
    given = [key for _, options in found for key in options]
    reading = held.get("reading") if isinstance(held.get("reading"), dict) else {}
    _require_no_grant(name, [*held, *given, *map(_option, reading)], path)
    subject: dict[str, Any] = {}
    for key, value in held.items():
        key = key.replace("-", "_")
        if key == "steps":
            continue
        if key not in TYPES:
            raise UserError(
                f"the chain {name!r} in {str(path)!r} has the unknown key "
                f"{key!r}.{nearest(key, TYPES)} It can have: {', '.join(TYPES)}."
            )
        try:
            value = msgspec.convert(value, TYPES[key])
        except msgspec.ValidationError as error:
            raise UserError(
                f"{key} of the chain {name!r} in {str(path)!r} cannot be {shown(value)}: {error}"
            ) from error
        if key in _CHECKS:
            try:
                _CHECKS[key](value)
            except UserError as error:
                what = f"{key} of the chain {name!r} in {str(path)!r}"
                raise UserError(f"{what}: {error}") from error
        subject[key] = _from_file(path, value) if key in PATHS else value
    return Recipe(name, subject, found)


def _granting() -> frozenset[str]:
    """Return the names of options that let code run."""
    return frozenset().union(*map(grants_of, registry()))


def _require_no_grant(name: str, keys: Sequence[str], path: Path) -> None:
    granting = _granting()
    for key in keys:
        if key.replace("-", "_") in granting:
            raise UserError(
                f"the chain {name!r} in {str(path)!r} has the key {key!r}, which lets code run: "
                "type it in each command, since no file may hold it"
            )


def _require_images(value: Any) -> None:
    from cnnvis.data.image_selection import selection_of

    selection_of(value)


def _require_axes(value: Any) -> None:
    from cnnvis.data.axes import axes_of

    axes_of(value)


def _require_reading(value: Mapping[str, Any]) -> None:
    known = {one.name: one for one in registry() if one.kind in ("loader", "reader")}
    for name, options in by_plugin(value).items():
        if name not in known:
            raise UserError(
                f"there is no reader or loader {name!r}.{nearest(name, known)} An option is named by its "
                "plugin and itself, such as pictures.scale"
            )
        checked(known[name], options)


_CHECKS: Mapping[str, Callable[[Any], None]] = {
    "images": _require_images,
    "axes": _require_axes,
    "reading": _require_reading,
}
"""Checks of values beside their types."""


def _from_file(path: Path, text: str) -> str:
    if "\0" in text:
        raise UserError(f"{shown(text)} in {str(path)!r} is no path")
    # A slash at the end says that a folder is meant, whether it is there or not.
    end = "/" if text.endswith("/") else ""
    is_named = text == "demo" or is_address(text)
    return text if is_named else os.path.normpath(path.parent / text) + end


def require_typed(recipe: Recipe, path: Path, typed: Mapping[str, Any]) -> None:
    """Refuse a chain in a file that names an address, unless a person typed another in its place.

    Raises
    ------
    UserError
        If it does: what a file says opens no connection.
    """
    for key in PATHS:
        named = recipe.subject.get(key)
        if is_address(named) and key not in typed:
            flag = _FLAGS[key].names[0] if key in _FLAGS else ""
            raise UserError(
                f"the chain {recipe.name!r} in {str(path)!r} names the address {shown(named)} as its {key}, and "
                "cnnvis opens addresses only where they are typed: "
                + (f"add {flag} {shlex.quote(str(named))}" if flag else "name a file")
            )


def require_near(recipe: Recipe, path: Path) -> None:
    """Refuse a chain in a file that would be written anywhere but below the file or where one is.

    Raises
    ------
    UserError
        If it would, also by a link.
    """
    out = recipe.subject.get("out")
    if out is None:
        return
    place = Path(os.path.realpath(out))
    near = [Path(os.path.realpath(one)) for one in (path.parent, os.curdir)]
    if not any(place.is_relative_to(one) for one in near):
        raise UserError(
            f"the chain {recipe.name!r} in {str(path)!r} would be written to {shown(out)}, which "
            "is neither below the folder of that file nor below the current folder; to write "
            f"there, add --out {shlex.quote(str(out))}"
        )


def save_recipe(recipe: Recipe, path: Path) -> None:
    """Save a chain in a file, in the place of a chain of that name; all else in the file stays.

    Raises
    ------
    UserError
        If the file is no TOML or cannot be written.
    """
    import tomlkit

    from cnnvis.files.reading import editable, write_whole

    document = editable(path)
    subject = dict(recipe.subject)
    for key in PATHS:
        if key in subject and subject[key] != "demo" and not is_address(subject[key]):
            end = "/" if str(subject[key]).endswith("/") else ""
            subject[key] = os.path.relpath(subject[key], path.parent) + end
    chains = document.get("chains")
    if chains is None:
        chains = tomlkit.table(is_super_table=True)
        document["chains"] = chains
    if not isinstance(chains, dict):
        raise UserError(f"chains in {str(path)!r} is no table but {shown(chains)}")
    chains[recipe.name] = _table(Recipe(recipe.name, subject, recipe.steps))
    write_whole(path, tomlkit.dumps(document).encode())
