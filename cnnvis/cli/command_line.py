"""Command line: the commands, and the parser of typed words."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any, NoReturn

from cnnvis.cli.commands import (
    chain,
    compare,
    config,
    doctor,
    evaluate,
    list_plugins,
    merge,
    new_plugin,
    report,
    run,
    show,
    show_result,
    test_plugin,
)
from cnnvis.cli.parser import Parser, command, no_such_option
from cnnvis.errors import UserError, nearest
from cnnvis.registry import flags
from cnnvis.registry.discovery import registry

MODULES = (
    *(
        run,
        chain,
        merge,
        compare,
        evaluate,
        report,
        doctor,
        config,
        list_plugins,
        show,
        show_result,
    ),
    *(new_plugin, test_plugin),
)
"""Commands, each a module with its arguments and its main function, in the order of the help.

They are imported at every start, so what takes time to import is imported by the main functions.
"""

COMMANDS = (
    *(module.__name__.rpartition(".")[2].replace("_", "-") for module in MODULES),
    "completion",
)
"""Names of all commands."""

SHELLS = ("bash", "zsh", "tcsh")


def parsed(words: Sequence[str]) -> dict[str, Any]:
    """Return the main function of the command, under ``command``, and its arguments.

    Raises
    ------
    UserError
        If the words are not a command, with the nearest command.
    """
    if words[:1] == ["chain"]:
        return chain.parsed(words[1:])
    if words[:1] == ["compare"]:
        return compare.parsed(words[1:])
    if words[:1] == ["evaluate"]:
        return evaluate.parsed(words[1:])
    parser = _parser(words)
    _require_command(words)
    if words[:1] == ["run"]:
        _require_technique(words[1:2])
    found, unknown = parser.parse_known_args(list(words) or ["--help"])
    # With it, every command shows the traceback of a bug; those that say nothing else have no flag.
    unknown = [word for word in unknown if word not in ("-v", "--verbose")]
    values = vars(found)
    leaf = values.pop("parser", parser)
    if unknown:
        if unknown[0].startswith("-"):
            raise no_such_option(unknown[0], leaf)
        raise UserError(f"{unknown[0]!r} is one word too many (see {leaf.prog} --help)")
    if "command" not in values:  # `cnnvis run` alone
        parser.parse_args([*words, "--help"])
    return values


def _require_command(words: Sequence[str]) -> None:
    if words and not words[0].startswith("-") and words[0] not in COMMANDS:
        raise UserError(
            f"there is no command {words[0]!r}.{nearest(words[0], COMMANDS)} "
            f"There are: {', '.join(COMMANDS)}."
        )


def _require_technique(words: Sequence[str]) -> None:
    if words and not words[0].startswith("-"):
        registry().get("technique", words[0])  # says why a broken one is missing


def _parser(words: Sequence[str] | None) -> Parser:
    """Return the parser of the command line.

    Techniques that are not among the words get no options; for None, all techniques get theirs.
    """
    parser = Parser(
        prog="cnnvis",
        usage="cnnvis COMMAND ...",
        description="Show why a convolutional neural network decides as it does.",
    )
    parser.add_argument(
        "--version", action=_Version, nargs=0, default=argparse.SUPPRESS,
        help="print the version and exit",
    )  # fmt: skip
    # These two are taken out before anything is parsed, and stand here for the help.
    for flag, about in flags.FOR_ALL.items():
        takes: dict[str, Any] = (
            {"metavar": "FILE"} if flag == "--plugin" else {"action": "store_true"}
        )
        parser.add_argument(flag, help=about, default=argparse.SUPPRESS, **takes)
    below = parser.add_subparsers(
        title="commands", metavar="COMMAND", prog="cnnvis", parser_class=Parser
    )
    for module in MODULES:
        module.add_to(below, words)
    completion = command(below, "completion", "Print completion of commands and flags for a shell.")
    completion.set_defaults(command=print_completion, parser=completion)
    completion.add_argument("shell", choices=SHELLS, help='use: eval "$(cnnvis completion bash)"')
    return parser


class _Version(argparse.Action):
    """Action that looks up the version when it is asked for, and not at every start."""

    def __call__(self, *_: Any, **__: Any) -> NoReturn:
        import cnnvis
        from cnnvis.cli.console import line

        line(f"cnnvis {cnnvis.__version__}")
        raise SystemExit(0)


def print_completion(shell: str) -> None:
    """Print a script that makes a shell complete everything that can be typed."""
    import shtab

    from cnnvis.cli.console import whole

    whole(shtab.complete(_parser(None), shell) + "\n")
