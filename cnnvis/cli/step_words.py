"""Typed words of steps, one after the other, each a plugin's name and its options."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from cnnvis.cli import parser as parsing
from cnnvis.errors import UserError, listed, nearest
from cnnvis.registry.discovery import registry
from cnnvis.registry.options import options_of


def segments(words: Sequence[str], names: Sequence[str], whole: parsing.Parser) -> list[list[str]]:
    """Return the words before the first step, and then each step's name and words.

    The word after a flag that takes a value is the value, whatever the word is. Options of the
    whole command may also come at its end, where people tend to add them.
    """
    found: list[list[str]] = [[]]
    switches = {
        flag for action in whole._actions if action.nargs == 0 for flag in action.option_strings
    }
    own: set[str] = set()
    for word in words:
        before = found[-1][-1] if found[-1] else ""
        is_flag = before.startswith("-") and not parsing.NEGATIVE.match(before)
        is_value = is_flag and "=" not in before and before not in switches
        if word not in names or is_value:
            found[-1].append(word)
            continue
        found.append([word])
        switches, own = set(), set()
        for option in options_of(registry().step(word)):
            own |= {*option.flags, parsing.SHORT.get(option.name, option.flag)}
            switches |= set(option.flags) if option.annotation is bool else set()
    last = found[-1] if len(found) > 1 else []
    others = set(whole._option_string_actions) - own - {"-h", "--help"}
    end = next(
        (place for place, word in enumerate(last) if word.split("=")[0] in others), len(last)
    )
    found[0] += last[end:]
    del last[end:]
    return found


def values(parser: parsing.Parser, words: Sequence[str], names: Sequence[str]) -> dict[str, Any]:
    """Parse the words of a step.

    Raises
    ------
    UserError
        If a word is no option of the step, and no step.
    """
    found, unknown = parser.parse_known_args(list(words))
    if unknown and unknown[0].startswith("-"):
        raise UserError(f"{parsing.no_such_option(unknown[0], parser)} (see {parser.prog} --help)")
    if unknown:
        registry().require_unbroken(unknown[0])
        raise UserError(
            f"there is no step {unknown[0]!r}.{nearest(unknown[0], names)} "
            f"{listed('There are', names, 'cnnvis list-plugins')}"
        )
    return vars(found)
