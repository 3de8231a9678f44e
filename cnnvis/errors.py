"""What cnnvis raises when a person can mend what went wrong."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from types import MappingProxyType
from typing import Any


class UserError(Exception):
    """A mistake in a call, a file or an option that the person who made it can mend.

    The message is one sentence or two: what was wrong, what was found, what would do. The command
    line prints it without a traceback and exits with code 2.

    Attributes
    ----------
    found
        What could be found out about a model's file that is not loaded, for whoever examines it:
        `origin`, `parameters`, `layers` (name and kind of each), `refused` (what must not or cannot
        be built, and what would do).
    """

    found: Mapping[str, Any] = MappingProxyType({})


class PluginError(Exception):
    """A plugin that failed at something that is no mistake of the person who used it.

    The message says which plugin of which package, what happened and where to report it; the
    plugin's own exception is the cause. The command line exits with code 1, and ``-v`` shows the
    traceback.
    """


def printable(text: str) -> str:
    """The same with what would do something to a terminal written as blanks and question marks."""
    known = (
        letter if letter.isprintable() else " " if letter.isspace() else "?" for letter in text
    )
    return "".join(known)


def nearest(name: str, known: Iterable[str]) -> str:
    """`` Did you mean 'saliency'?`` for the known name closest to a mistyped one, else nothing."""
    found = get_close_matches(name, list(known), n=1, cutoff=0.5)
    return f" Did you mean {found[0]!r}?" if found else ""
