"""Conversion of exceptions that plugins raise to errors that name the plugin."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from cnnvis import host
from cnnvis.errors import DiskError, PluginError, UserError, complaint, was_stopped
from cnnvis.files.writing import fault_of_disk
from cnnvis.registry.plugin import BUILT_IN, Plugin

LONGEST = 500
"""Maximum number of letters of an exception's text that an error repeats."""


@contextmanager
def as_plugin_error(plugin: Plugin) -> Iterator[None]:
    """Convert any exception of a plugin to an error that names the plugin.

    See `cnnvis.registry.plugin.Plugin`.
    """
    try:
        yield
    except (DiskError, PluginError, KeyboardInterrupt, GeneratorExit):
        raise
    except BaseException as error:
        if was_stopped(error):
            raise KeyboardInterrupt from error
        fault = fault_of_disk(error)
        # What a renderer writes to is not its own: the disk's and the pipe's errors have their words.
        if plugin.kind == "renderer" and (isinstance(error, OSError) or fault is not None):
            raise
        if fault is not None and plugin.distribution == BUILT_IN:
            what = f"the files of the {plugin.kind} {plugin.name} cannot be read or written"
            raise DiskError(f"{what}: {fault}") from error
        if isinstance(error, UserError):
            raise
        # What the plugins that come with cnnvis run there is the network, which may be a stranger's.
        if plugin.distribution == BUILT_IN and _is_of_tensorflow(error):
            raise UserError(f"the network cannot be computed: {complaint(error)}") from error
        if plugin.distribution == BUILT_IN and isinstance(error, MemoryError):
            raise UserError(
                f"there is not enough memory for {plugin.name} with these options: "
                f"{complaint(error)}"
            ) from error
        if plugin.distribution == BUILT_IN and (short := host.shortage(error)):
            raise UserError(f"{plugin.name} cannot go on: {short}") from error
        raise plugin.failed(_said(error)) from error


def _is_of_tensorflow(error: BaseException) -> bool:
    """Tell whether an error comes from TensorFlow, which could not compute something."""
    module = sys.modules.get("tensorflow")
    return module is not None and isinstance(error, module.errors.OpError)


def _said(error: BaseException) -> str:
    text = ""
    with suppress(Exception):  # whose own text may be what is wrong
        text = str(error)[:LONGEST]
    if isinstance(error, ValueError) and "read-only" in text:
        text += " (a plugin must not change its arguments: work on a copy)"
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
