"""Typed values that several commands treat alike."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict
from typing import Any

from cnnvis import demo
from cnnvis.data.axes import of_their_size
from cnnvis.errors import UserError
from cnnvis.files.addresses import place_of
from cnnvis.registry.arguments import Computing, Isolation, taken_out
from cnnvis.registry.discovery import registry
from cnnvis.reporting import notes_kept, quietly
from cnnvis.settings.defaults import general, side_options


def options_in(values: dict[str, Any]) -> dict[str, Any]:
    """Take a plugin's own options, ``option sigma``, out of the typed values."""
    places = [place for place in values if place.startswith("option ")]
    return {place.removeprefix("option "): values.pop(place) for place in places}


def options_of_plugins(values: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Take the options of plugins beside the work, ``png.cmap``, out of the typed values.

    Options that were not typed have their values from the settings.

    Raises
    ------
    UserError
        As `typed_options` does.
    """
    return side_options(typed_options(values))


def typed_options(values: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Take the options of plugins beside the work out of the typed values, without settings.

    Raises
    ------
    UserError
        If they are of a reader that does not read these data: they would do nothing.
    """
    typed: dict[str, dict[str, Any]] = {}
    for place in [place for place in values if "." in place]:
        name, _, option = place.rpartition(".")
        typed.setdefault(name, {})[option] = values.pop(place)
    readers = [plugin.name for plugin in registry().of("reader") if plugin.name in typed]
    data = values.get("data")
    if readers and data is not None and data != demo.NAME:
        with quietly(), notes_kept():
            reads = registry().for_path("reader", place_of(data), readers)
        for name in readers:
            if name != reads.name:
                flag = f"--{name}.{next(iter(typed[name])).replace('_', '-')}"
                raise UserError(
                    f"{flag} is an option of the reader {name}, and {data!r} is read by {reads.name}, "
                    f"whose options are shown by cnnvis show {reads.name}"
                )
    return typed


def add_general_settings(
    values: dict[str, Any], keys: Sequence[str] = ("class_names", "axes")
) -> None:
    """Add the settings that belong to no plugin, where nothing else was typed."""
    for key in keys:
        found = general(key)
        if key not in values and found is not None:
            values[key] = of_their_size(found.value) if key == "axes" else found.value


def computing_as_asked(values: dict[str, Any]) -> ExitStack:
    """Take the options for computation and isolation out of the typed values, and apply them."""
    from cnnvis.execution.isolation import isolating
    from cnnvis.network.compilation import computing

    how, apart = taken_out(values, Computing), taken_out(values, Isolation)
    with ExitStack() as both:
        both.enter_context(computing(**asdict(how)))
        both.enter_context(isolating(apart.which, apart.isolate_timeout, apart.isolate_memory))
        return both.pop_all()
