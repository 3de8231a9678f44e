"""``cnnvis config``: defaults that a person keeps, shown and changed."""

from __future__ import annotations

import os
import shlex
import subprocess
from pathlib import Path
from typing import Any

from rich import box
from rich.table import Table

from cnnvis.cli.console import line, results, whole, words
from cnnvis.errors import UserError
from cnnvis.files.writing import DISK, trouble_with
from cnnvis.settings import defaults
from cnnvis.settings.schema import schema
from cnnvis.text import json_text


def show_settings() -> None:
    """Print every setting and where it comes from."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for heading in ("setting", "value", "from"):
        table.add_column(heading, overflow="fold")
    seen: set[str] = set()
    for source in defaults.sources():
        for key, value in _flat(source.settings):
            if key not in seen:
                seen.add(key)
                table.add_row(*(words(str(one)) for one in (key, _text(value), source.name)))
    if seen:
        results().print(table)
    else:
        line("no setting exists; an example is: cnnvis config set saliency.backprop rectified")


def _flat(settings: Any, prefix: str = "") -> list[tuple[str, Any]]:
    found = []
    for key, value in settings.items():
        if isinstance(value, dict) and key not in defaults.TABLES:
            found += _flat(value, f"{prefix}{key}.")
        elif isinstance(value, dict):
            found.append((f"{prefix}{key}", ", ".join(value)))
        else:
            found.append((f"{prefix}{key}", value))
    return found


def _text(value: Any) -> str:
    return " ".join(map(str, value)) if isinstance(value, list) else str(value)


def get_setting(key: str) -> None:
    """Print one setting; nothing and exit code 2 if it is not set."""
    for source in defaults.sources():
        for name, value in _flat(source.settings):
            if name.replace("-", "_") == key.replace("-", "_"):
                line(_text(value))
                return
    raise UserError(f"{key} is not set")


def set_setting(key: str, words: list[str], *, user: bool = False) -> None:
    """Put a setting into the project's file, or the user's."""
    path = _file(user)
    defaults.change(path, key, defaults.typed_value(key, words))
    line(path)


def unset_setting(key: str, *, user: bool = False) -> None:
    """Take a setting out of a file."""
    path = _file(user)
    defaults.change(path, key, None)
    line(path)


def trust_folder() -> None:
    """Let the plugins run whose files the settings of this folder, or of one above it, name."""
    path = defaults.project_file()
    if path is None:
        raise UserError(
            f"there is no {defaults.FILE} in this folder or above, so there are no plugins to trust"
        )
    defaults.trust(path.parent)
    line(f"the plugins that {path} names may run from now on")


def edit_settings(*, user: bool = False) -> None:
    """Open the file in an editor, and check it afterwards."""
    path = _file(user)
    editor = os.environ.get("VISUAL") or os.environ.get("EDITOR")
    if not editor:
        raise UserError(f"no editor is set (EDITOR); the file is {str(path)!r}")
    with trouble_with(path):
        DISK.require_folder(path.parent)
    try:
        subprocess.run([*shlex.split(editor), str(path)], check=False)
    except OSError as error:
        raise UserError(f"the editor {editor!r} cannot be started: {error.strerror}") from error
    if path.is_file():
        defaults.read(path)


def print_paths() -> None:
    """Print the files that settings are read from, what counts most first."""
    project = defaults.project_file(Path.cwd())
    line(project or f"{Path.cwd() / defaults.FILE} (not there)")
    user = defaults.user_file()
    line(user if user.is_file() else f"{user} (not there)")


def print_schema() -> None:
    """Print the JSON schema of cnnvis.toml, for editors."""
    whole(json_text(schema()) + "\n")


def _file(user: bool) -> Path:
    if user:
        return defaults.user_file()
    return defaults.project_file(Path.cwd()) or Path.cwd() / defaults.FILE
