"""Parts of the command line's parser that commands share."""

from __future__ import annotations

import argparse
import itertools
import re
import shutil
import textwrap
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NoReturn

from rich_argparse import RawDescriptionRichHelpFormatter

from cnnvis.errors import UserError, nearest
from cnnvis.registry import flags
from cnnvis.registry.discovery import registry
from cnnvis.registry.options import Option, options_of
from cnnvis.registry.plugin import Plugin
from cnnvis.text import printable

SHORT = {"backprop": "-bm"}
"""Short flags of options that many techniques share."""

NEGATIVE = re.compile(r"-\.?\d")
"""Beginning of values with a sign, which are no options: -1, -0.5, the slice -3:, the place -8mm."""

PLAIN_TYPES = ("int", "float", "str")
"""Types that the help shows as the placeholder of a value: ``INT``."""


class OnOff(argparse.BooleanOptionalAction):
    """Flag that is on by default; of a plugin beside the work also as ``--png.no-over-pictures``."""

    def __init__(self, option_strings: Sequence[str], dest: str, **settings: Any) -> None:
        super().__init__(option_strings, dest, **settings)
        parts = [flag.rpartition(".") for flag in option_strings if "." in flag]
        self._off = tuple(f"{plugin}.no-{name}" for plugin, _, name in parts)
        self.option_strings = [*self.option_strings, *self._off]

    def __call__(self, parser: Any, namespace: Any, values: Any, flag: str | None = None) -> None:
        """Set the value to False for the spellings with ``no-``."""
        setattr(namespace, self.dest, not (str(flag).startswith("--no-") or flag in self._off))


class Formatter(RawDescriptionRichHelpFormatter):
    """Formatter of help: no markup in plugins' texts, no title case in ours."""

    group_name_formatter = str
    text_markup = False
    help_markup = False

    def __init__(self, prog: str, **settings: Any) -> None:
        super().__init__(prog, max_help_position=28, **settings)
        # Argparse leaves the indent of commands out when it measures; then names get own lines.
        self._action_max_length = 18

    def format_help(self) -> str:
        """Return the help, laid out so that no text of a plugin can control the layout."""
        from cnnvis.cli.console import results

        self.console = results()  # not before: rich is imported when there is some
        return super().format_help()


class Parser(argparse.ArgumentParser):
    """Parser of arguments that reports errors as cnnvis does, instead of printing the usage."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(formatter_class=Formatter, allow_abbrev=False, **settings)
        self._negative_number_matcher = NEGATIVE
        self._words: Sequence[str] = ()

    def parse_known_args(  # type: ignore[override]
        self, args: Any = None, namespace: Any = None
    ) -> tuple[argparse.Namespace, list[str]]:
        """Parse words, and keep them for what an error says about them."""
        self._words = tuple(args or ())
        found: tuple[argparse.Namespace, list[str]] = super().parse_known_args(args, namespace)
        return found

    def error(self, message: str) -> NoReturn:
        message = message.removeprefix("argument ").rstrip(".")
        hint = f". {taken}" if (taken := self.taken_by_a_flag()) else ""
        raise UserError(f"{message}{hint} (see {self.prog} --help)")

    def taken_by_a_flag(self) -> str | None:
        """Name the last flag that took several words; None if another word can be the model."""
        found, words = None, [*self._words]
        while words:
            word = words.pop(0)
            action = self._option_string_actions.get(word)
            if action is None:
                if word == "--" or not word.startswith("-"):
                    return None
                continue
            several = action.nargs in ("+", "*")
            most = len(words) if several else 1 if action.nargs is None else action.nargs
            values = [*itertools.takewhile(_is_value, words[: int(most or 0)])]
            del words[: len(values)]
            if several and len(values) > 1:
                taken = f"{word} takes all words behind it, here also {values[-1]!r}"
                found = f"{taken}; put the model before {word}"
        return found


def _is_value(word: str) -> bool:
    return not word.startswith("-") or NEGATIVE.match(word) is not None


def require_model(values: Mapping[str, Any], *parsers: Parser) -> None:
    """Refuse words without a model, if a flag of several values took all that could be one.

    Raises
    ------
    UserError
        With the flag.
    """
    said = [one for one in (parser.taken_by_a_flag() for parser in parsers) if one is not None]
    if "model" not in values and said:
        raise UserError(f"no model is named. {said[-1]}")


def command(below: Any, name: str, description: str) -> Parser:
    """Add the parser of a command or an action, with its description."""
    # Argparse formats help with %.
    short = printable(description.split("\n")[0]).replace("%", "%%")
    parser: Parser = below.add_parser(name, help=short, description=wrapped(description))
    return parser


def wrapped(text: str) -> str:
    """Return paragraphs, wrapped to the width of the terminal."""
    text = printable(text, lines=True)
    width = max(shutil.get_terminal_size().columns - 2, 40)
    parts = [" ".join(part.split()) for part in text.split("\n\n")]
    return "\n\n".join(textwrap.fill(part, width) for part in parts)


def add_json(parser: Parser) -> None:
    """Add the flag for JSON instead of tables."""
    parser.add_argument("--json", action="store_true", help="print JSON, for scripts")


def add_options(parser: Parser, plugin: Plugin, prefix: str = "") -> None:
    """Add the options of a plugin as a group; a prefix sets them apart from other arguments.

    What the parser has a flag for already, which means the same, is left out.
    """
    add = flags.adder(parser, f"options of {plugin.name}")
    for option in options_of(plugin):
        if option.flag in parser._option_string_actions and option.name in flags.ALIKE:
            continue
        short = [SHORT[option.name]] if option.name in SHORT else []
        add_option(add, option, prefix + option.name, [option.flag, *short], shown=True)


def plugin_parser(command: str, plugin: Plugin) -> Parser:
    """Return a parser of the options of one of several plugins on a command line."""
    parser = Parser(
        prog=f"cnnvis {command} ... {plugin.name}",
        description=printable(plugin.description, lines=True),
    )
    add_options(parser, plugin)
    return parser


def add_side_flags(parser: Parser, *kinds: str) -> None:
    """Add options of plugins that a command uses besides its own: ``--png.cmap``."""
    for other in registry():
        if other.kind in kinds:
            for option in options_of(other):
                flag = f"--{other.name}.{option.flag.removeprefix('--')}"
                place = f"{other.name}.{option.name}"
                is_trust = other.kind == "reader" and option.name == "trust"
                typed = [f"--trust-{other.name}", flag] if is_trust else [flag]
                add_option(parser.add_argument, option, place, typed, shown=is_trust)


def add_option(
    add: Callable[..., Any], option: Option, place: str, typed: list[str], *, shown: bool
) -> None:
    """Add an option of a plugin as a flag; its value stays text, for `options.checked` to check."""
    settings: dict[str, Any] = {"dest": place, "default": argparse.SUPPRESS}
    about = ""
    help_text = option.help if shown else ""  # docstrings are parsed for what is shown alone
    if option.annotation is bool:
        settings["action"] = OnOff if option.is_on_by_default else "store_true"
    else:
        settings["nargs"] = option.words
        is_plain = option.type in PLAIN_TYPES
        settings["metavar"] = option.type.upper() if is_plain else "VALUE"
        kind = "" if is_plain else f"{option.type}; "
        about = f" ({kind}default: {option.default_text})"
    text = printable(help_text + about).replace("%", "%%")
    add(*typed, help=text if shown else argparse.SUPPRESS, **settings)


def no_such_option(word: str, parser: argparse.ArgumentParser) -> UserError:
    """Return the error for a flag that a parser does not have."""
    known = [flag for action in parser._actions for flag in action.option_strings]
    return UserError(f"there is no option {word!r}.{nearest(word, known)}")
