"""Choice of the plugins to load: from the words before a command, and from settings."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from cnnvis.errors import UserError
from cnnvis.registry.discovery import Registry, registry, require_file, using
from cnnvis.settings.defaults import plugin_files


@contextmanager
def chosen_plugins(words: Sequence[str]) -> Iterator[list[str]]:
    """Load the plugins that were asked for while the other words, which this gives, are followed.

    Raises
    ------
    UserError
        If ``--plugin`` names no file.
    PluginError
        If a file that it names cannot be used at all. One that settings name is listed as broken.
    """
    files, others, without = _parsed(words)
    settled: list[tuple[Path, str | None]] = []
    if not without:
        with suppress(UserError):  # whoever reads the settings says what is wrong with them
            settled = plugin_files()
    if not (files or settled or without):
        yield others
        return
    known = Registry(only=[] if without else registry().only)
    for file, objection in settled:
        known.add_file(file, objection)
    for name in files:
        require_file(Path(name))
        known.add_file(Path(name))
        if Path(name).name not in {plugin.distribution for plugin in known}:
            known.require_unbroken(Path(name).name)
    with using(known):
        yield others


def _parsed(words: Sequence[str]) -> tuple[list[str], list[str], bool]:
    """Return the files of plugins, the other words, and whether installed plugins are unwanted."""
    files, others, left = [], [], list(words)
    while left:
        word = left.pop(0)
        if word == "--plugin" and not left:
            raise UserError("--plugin takes a file: cnnvis --plugin ./my_method.py COMMAND")
        if word == "--plugin":
            files.append(left.pop(0))
        elif word.startswith("--plugin="):
            files.append(word.removeprefix("--plugin="))
        else:
            others.append(word)
    return files, [word for word in others if word != "--no-plugins"], "--no-plugins" in others
