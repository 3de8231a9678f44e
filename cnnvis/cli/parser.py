"""Parser of the command line: the commands and their flags, from the plugins' signatures."""

from __future__ import annotations

import argparse
import re
import shutil
import textwrap
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

from rich_argparse import RawDescriptionRichHelpFormatter

from cnnvis.cli import commands
from cnnvis.errors import UserError, nearest
from cnnvis.registry import flags
from cnnvis.registry.all_kinds import KINDS
from cnnvis.registry.discovery import STEPS, registry
from cnnvis.registry.options import Option, options_of
from cnnvis.registry.plugin import Plugin
from cnnvis.text import printable

SHORT = {"backprop": "-bm"}
"""Short flags of options that many techniques share."""

SHELLS = ("bash", "zsh", "tcsh")

_NEGATIVE = re.compile(r"-\d+$|-\d*\.\d+$|-\d+:")
"""Pattern of values that begin with a sign and are no options: -1, -0.5, and also the slice -3:."""


class _Formatter(RawDescriptionRichHelpFormatter):
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


class _Parser(argparse.ArgumentParser):
    """Parser of arguments that reports errors as cnnvis does, instead of printing the usage."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(formatter_class=_Formatter, allow_abbrev=False, **settings)
        self._negative_number_matcher = _NEGATIVE

    def error(self, message: str) -> NoReturn:
        raise UserError(f"{message.removeprefix('argument ')} (see {self.prog} --help)")


def parsed(words: Sequence[str]) -> dict[str, Any]:
    """Return the function of the command, under ``command``, and its arguments.

    Raises
    ------
    UserError
        If the words are not a command, with the nearest command.
    """
    if words[:1] == ["chain"]:
        return _parsed_chain(words[1:])
    if words[:1] == ["compare"]:
        return _parsed_comparison(words[1:])
    parser = _parser(words)
    _require_known(words, 0, "command", COMMANDS)
    if words[:1] == ["run"]:
        _require_known(words, 1, "technique", [p.name for p in registry().of("technique")])
    found, unknown = parser.parse_known_args(list(words) or ["--help"])
    # With it, every command shows the traceback of a bug; those that say nothing else have no flag.
    unknown = [word for word in unknown if word not in ("-v", "--verbose")]
    values = vars(found)
    leaf = values.pop("parser", parser)
    if unknown:
        known = [flag for action in leaf._actions for flag in action.option_strings]
        raise UserError(
            f"there is no option {unknown[0]!r}.{nearest(unknown[0], known)}"
            if unknown[0].startswith("-")
            else f"{unknown[0]!r} is one word too many (see {leaf.prog} --help)"
        )
    if "command" not in values:  # `cnnvis run` alone
        parser.parse_args([*words, "--help"])
    return values


def _parsed_chain(words: Sequence[str]) -> dict[str, Any]:
    """Parse ``cnnvis chain``: the words before the first step, and each step."""
    steps_known = [plugin for plugin in registry() if plugin.kind in STEPS]
    names = [plugin.name for plugin in steps_known]
    names += [f"{plugin.distribution}:{plugin.name}" for plugin in steps_known]
    parser = _chain_parser([plugin.name for plugin in steps_known])
    head, *segments = _segments(words, names, parser)
    values = _values(parser, head, names)
    steps = []
    for name, *rest in segments:
        plugin = registry().step(name)
        one = _Parser(
            prog=f"cnnvis chain ... {name}", description=printable(plugin.description, lines=True)
        )
        add = flags.adder(one, f"options of {name}")
        for option in options_of(plugin):
            short = [SHORT[option.name]] if option.name in SHORT else []
            _add_option(add, option, option.name, [option.flag, *short], shown=True)
        steps.append((name, _values(one, rest, names)))
    return {"command": commands.chain, "steps": steps, **values}


def _parsed_comparison(words: Sequence[str]) -> dict[str, Any]:
    """Parse ``cnnvis compare``: the two sides with their options, and the options of both."""
    parser = _comparison_parser()
    if len(words) < 2 or words[0].startswith("-"):
        parser.parse_args([*words, "--help"])
    known = [plugin.name for plugin in registry().of("technique")]
    sides: list[Any] = []
    rest = list(words)
    while len(sides) < 2:
        # Options that are for both sides may stand behind the first, too.
        place = next((i for i in range(len(rest)) if _is_side(rest, i, known)), None)
        if place is None or (place and not sides):
            registry().require_unbroken(words[0])
            named = [word for word in words if not word.startswith("-")][len(sides)]
            raise UserError(
                f"two techniques or saved explanations (.npz) are compared, and {named!r} is none."
                f"{nearest(named, known)} There are: {', '.join(known)}."
            )
        name = rest.pop(place)
        if name.endswith(".npz"):
            sides.append(name)
            continue
        after = next((i for i in range(place, len(rest)) if _is_side(rest, i, known)), len(rest))
        after = after if not sides else len(rest)
        plugin = registry().get("technique", name)
        one = _Parser(
            prog=f"cnnvis compare ... {name}", description=printable(plugin.description, lines=True)
        )
        add = flags.adder(one, f"options of {name}")
        for option in options_of(plugin):
            short = [SHORT[option.name]] if option.name in SHORT else []
            _add_option(add, option, option.name, [option.flag, *short], shown=True)
        found, others = one.parse_known_args(rest[place:after])
        sides.append((name, vars(found)))
        rest[place:after] = others
    values = vars(parser.parse_args(rest))
    return {"command": commands.compare, "sides": tuple(sides), **values}


def _is_side(words: Sequence[str], place: int, known: Sequence[str]) -> bool:
    """Tell whether a word is a technique or a saved explanation, and not the value of an option."""
    word = words[place]
    if place and words[place - 1] in ("-d", "--data", "-o", "--out", "-l", "--layer"):
        return False
    return word in known or word.endswith(".npz") or (":" in word and word.split(":")[-1] in known)


def _comparison_parser() -> _Parser:
    parser = _Parser(
        prog="cnnvis compare",
        usage="cnnvis compare A [its options] B [its options] MODEL [options]",
        description=_wrapped(commands.compare.__doc__ or ""),
        epilog=_COMPARE_EXAMPLES,
    )
    parser.add_argument(
        "model", metavar="MODEL", nargs="?", default=argparse.SUPPRESS,
        help="a model's file, or demo; not needed for saved explanations",
    )  # fmt: skip
    flags.add_subject(parser)
    flags.add_model(parser)
    flags.add_comparison(parser)
    _add_side_flags(parser, "renderer", "loader", "reader")
    return parser


_COMPARE_EXAMPLES = """Examples:
  cnnvis compare saliency --backprop none saliency --backprop guided demo
  cnnvis compare saliency grad-cam demo --scaled
  cnnvis compare before.npz after.npz --fail-above 1e-5
"""


def _segments(words: Sequence[str], names: Sequence[str], whole: _Parser) -> list[list[str]]:
    """Return the words before the first step, and then each step's name and words.

    The word after a flag that takes a value is the value, whatever the word is. Options of the
    whole chain may also come at its end, where people tend to add them.
    """
    segments: list[list[str]] = [[]]
    switches = {
        flag for action in whole._actions if action.nargs == 0 for flag in action.option_strings
    }
    own: set[str] = set()
    for word in words:
        before = segments[-1][-1] if segments[-1] else ""
        is_flag = before.startswith("-") and not _NEGATIVE.match(before)
        is_value = is_flag and "=" not in before and before not in switches
        if word not in names or is_value:
            segments[-1].append(word)
            continue
        segments.append([word])
        switches, own = set(), set()
        for option in options_of(registry().step(word)):
            own |= {*option.flags, SHORT.get(option.name, option.flag)}
            switches |= set(option.flags) if option.annotation is bool else set()
    last = segments[-1] if len(segments) > 1 else []
    others = set(whole._option_string_actions) - own - {"-h", "--help"}
    end = next(
        (place for place, word in enumerate(last) if word.split("=")[0] in others), len(last)
    )
    segments[0] += last[end:]
    del last[end:]
    return segments


def _values(parser: _Parser, words: Sequence[str], names: Sequence[str]) -> dict[str, Any]:
    found, unknown = parser.parse_known_args(list(words))
    if unknown and unknown[0].startswith("-"):
        known = [flag for action in parser._actions for flag in action.option_strings]
        raise UserError(
            f"there is no option {unknown[0]!r}.{nearest(unknown[0], known)} (see {parser.prog} --help)"
        )
    if unknown:
        registry().require_unbroken(unknown[0])
        raise UserError(
            f"there is no step {unknown[0]!r}.{nearest(unknown[0], names)} "
            f"There are: {', '.join(name for name in names if ':' not in name)}."
        )
    return vars(found)


def _chain_parser(names: Sequence[str]) -> _Parser:
    """Return the parser of the words before the first step of a chain."""
    parser = _Parser(
        prog="cnnvis chain",
        usage="cnnvis chain MODEL [options] STEP [its options] STEP ...",
        description=_wrapped(commands.chain.__doc__ or ""),
        epilog=_CHAIN_EXAMPLES + _wrapped(f"Steps: {', '.join(names)}."),
    )
    parser.add_argument(
        "model",
        metavar="MODEL",
        nargs="?",
        default=argparse.SUPPRESS,
        help="a model's file, or demo",
    )
    flags.add_subject(parser)
    flags.add_model(parser)
    flags.add_output_of_chain(parser)
    _add_side_flags(parser, "loader", "reader")
    return parser


_CHAIN_EXAMPLES = """\
Examples:
  cnnvis chain demo saliency smooth --sigma 1 average --by label png --cmap hot
  cnnvis chain demo saliency grad-cam multiply png
  cnnvis chain demo saliency average difference png
  cnnvis chain demo saliency --backprop none average --as toml

"""


def _require_known(words: Sequence[str], place: int, what: str, known: Sequence[str]) -> None:
    if len(words) <= place or words[place].startswith("-") or words[place] in known:
        return
    if what == "technique":
        registry().get(
            "technique", words[place]
        )  # says why a broken one is missing; takes dist:name
        return
    raise UserError(
        f"there is no {what} {words[place]!r}.{nearest(words[place], known)} "
        f"There are: {', '.join(known)}."
    )


COMMANDS = (
    *("run", "chain", "merge", "compare", "doctor", "config", "list-plugins", "show"),
    *("new-plugin", "test-plugin", "completion"),
)


def _parser(words: Sequence[str] | None) -> _Parser:
    """Return the parser of the command line.

    Techniques that are not among the words get no options; for None, all techniques get theirs.
    """
    parser = _Parser(
        prog="cnnvis",
        usage="cnnvis COMMAND ...",
        description="Shows why a convolutional neural network decides what it decides.",
    )
    parser.add_argument(
        "--version",
        action=_Version,
        nargs=0,
        default=argparse.SUPPRESS,
        help="print the version and exit",
    )
    for (
        flag,
        about,
    ) in flags.FOR_ALL.items():  # taken out before anything is parsed; here for the help
        takes: dict[str, Any] = (
            {"metavar": "FILE"} if flag == "--plugin" else {"action": "store_true"}
        )
        parser.add_argument(flag, help=about, default=argparse.SUPPRESS, **takes)
    below = parser.add_subparsers(
        title="commands", metavar="COMMAND", prog="cnnvis", parser_class=_Parser
    )
    _add_run(below, words)
    _add_comparison(below, words)
    chain = _command(below, "chain", commands.chain.__doc__ or "")
    if words is None:  # for completion; what is typed is read step by step, by other parsers
        _add_chain_words(chain)
    _add_merge(below)
    _add_doctor(below, words)
    _add_config(below)
    _add_plugins(below)
    _add_packages(below, words)
    completion = _command(
        below, "completion", "Print completion of commands and flags for a shell."
    )
    completion.set_defaults(command=print_completion, parser=completion)
    completion.add_argument("shell", choices=SHELLS, help='use: eval "$(cnnvis completion bash)"')
    return parser


def _add_run(below: Any, words: Sequence[str] | None) -> None:
    run = _command(below, "run", "Explain a model with one technique.")
    run.usage = "cnnvis run TECHNIQUE MODEL [options]"
    techniques = run.add_subparsers(
        title="techniques", metavar="TECHNIQUE", prog="cnnvis run", parser_class=_Parser
    )
    for plugin in registry().of("technique"):
        one = _command(techniques, plugin.name, plugin.description)
        one.usage = f"cnnvis run {plugin.name} MODEL [options]"
        if words is None or plugin.name in words:
            _add_run_flags(one, plugin)
    # Also under the name with the distribution before it, which no list shows twice.
    named = words[1] if words and len(words) > 1 and words[0] == "run" else ""
    if ":" in named and named not in techniques.choices:
        _add_run_flags(techniques.add_parser(named), registry().get("technique", named))


def _add_comparison(below: Any, words: Sequence[str] | None) -> None:
    comparing = _command(below, "compare", commands.compare.__doc__ or "")
    comparing.set_defaults(command=commands.compare, parser=comparing)
    if words is None:
        sides = [plugin.name for plugin in registry().of("technique")]
        comparing.add_argument("sides", nargs="*", choices=sides)
        flags.add_subject(comparing)


def _add_merge(below: Any) -> None:
    merging = _command(below, "merge", commands.merge.__doc__ or "")
    merging.set_defaults(command=commands.merge, parser=merging)
    merging.add_argument("out", metavar="OUT", help="the run folder that is to hold the whole run")
    merging.add_argument("folders", metavar="FOLDER", nargs="+", help="those that hold its shares")
    merging.add_argument("--quiet", "-q", action="store_true", default=argparse.SUPPRESS,
                         help="no notes and no bars")  # fmt: skip


def _add_doctor(below: Any, words: Sequence[str] | None) -> None:
    doctor = _command(below, "doctor", "Examine a model: what it is, its layers, whether data fit.")
    doctor.usage = "cnnvis doctor MODEL [-d DATA] [options]"
    doctor.set_defaults(command=commands.doctor, parser=doctor)
    doctor.add_argument("model", metavar="MODEL", help="a model's file, or demo")
    examined = flags.adder(doctor, "what to examine")
    examined("--data", "-d", metavar="FILE", help="a file or folder of data for it; or demo")
    flags.add_class_names(examined)
    flags.add_model(doctor)
    if words is None or words[:1] == ["doctor"]:
        _add_side_flags(doctor, "loader", "reader")
    _add_json(doctor)


def _add_plugins(below: Any) -> None:
    listing = _command(below, "list-plugins", "List every plugin there is, built in or installed.")
    listing.set_defaults(command=commands.list_plugins, parser=listing)
    listing.add_argument("--kind", choices=KINDS, help="only plugins of this kind")
    _add_json(listing)
    show = _command(below, "show", "Show what a plugin does, where it is from and its options.")
    show.set_defaults(command=commands.show, parser=show)
    show.add_argument("name", metavar="NAME", help="a plugin's name, as list-plugins gives it")
    _add_json(show)


def _add_json(parser: _Parser) -> None:
    parser.add_argument("--json", action="store_true", help="print JSON, for scripts")


def _add_packages(below: Any, words: Sequence[str] | None) -> None:
    new = _command(below, "new-plugin", commands.new_plugin.__doc__ or "")
    new.set_defaults(command=commands.new_plugin, parser=new)
    new.add_argument("name", metavar="NAME", help="what to call the plugin: my-method")
    made = flags.adder(new, "the package")
    made("--kind", choices=KINDS, help="what the plugin does (default: technique)")
    made("--folder", metavar="PATH", help="where the package's folder goes (default: here)")
    testing = _command(below, "test-plugin", commands.test_plugin.__doc__ or "")
    testing.usage = "cnnvis test-plugin NAME [its options]"
    testing.set_defaults(command=commands.test_plugin, parser=testing)
    testing.add_argument("name", metavar="NAME", help="a plugin's name, as list-plugins gives it")
    tested = flags.adder(testing, "how to test it")
    tested("--file", metavar="PATH", help="for a reader or loader: a file that it takes")
    tested("--quiet", "-q", action="store_true", help="no bars")
    if words and words[0] == "test-plugin":
        own = flags.adder(
            testing, "options of the plugin, where its defaults do not fit small networks"
        )
        seen: set[str] = set()
        for plugin in (one for one in registry() if one.name in words[1:]):
            for option in options_of(plugin):
                if option.flag not in seen | {"--file", "--quiet"}:
                    seen.add(option.flag)
                    _add_option(own, option, f"option {option.name}", [option.flag], shown=True)


def _add_chain_words(parser: _Parser) -> None:
    """Add all arguments that a chain may have."""
    steps = [plugin for plugin in registry() if plugin.kind in STEPS]
    parser.add_argument("steps", nargs="*", choices=[plugin.name for plugin in steps])
    flags.add_subject(parser)
    for flag in sorted({option.flag for plugin in steps for option in options_of(plugin)}):
        if flag not in parser._option_string_actions:
            parser.add_argument(flag, help="an option of a step")


def _add_config(below: Any) -> None:
    config = _command(below, "config", "Show and change the defaults that are kept in files.")
    config.set_defaults(command=commands.config, parser=config, action="show")
    actions = config.add_subparsers(
        title="actions", metavar="ACTION", prog="cnnvis config", parser_class=_Parser
    )
    for action, about in commands.CONFIG.items():
        one = _command(actions, action, about)
        one.set_defaults(command=commands.config, parser=one, action=action)
        if action in ("get", "set", "unset"):
            one.add_argument("key", metavar="KEY", help="PLUGIN.OPTION, or class_names")
        if action == "set":
            one.add_argument("words", metavar="VALUE", nargs="+")
        if action in ("set", "unset", "edit"):
            one.add_argument(
                "--user", action="store_true", help="the user's file, not the project's"
            )


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


def _command(below: Any, name: str, description: str) -> _Parser:
    # Argparse formats help with %.
    short = printable(description.split("\n")[0]).replace("%", "%%")
    parser: _Parser = below.add_parser(name, help=short, description=_wrapped(description))
    return parser


def _wrapped(text: str) -> str:
    text = printable(text, lines=True)
    width = max(shutil.get_terminal_size().columns - 2, 40)
    parts = [" ".join(part.split()) for part in text.split("\n\n")]
    return "\n\n".join(textwrap.fill(part, width) for part in parts)


def _add_run_flags(parser: _Parser, plugin: Plugin) -> None:
    parser.set_defaults(command=commands.run, parser=parser, technique=plugin.name)
    parser.add_argument("model", metavar="MODEL", help="a model's file, or demo")
    flags.add_subject(parser)
    flags.add_model(parser)
    own = flags.adder(parser, f"options of {plugin.name}")
    for option in options_of(plugin):
        short = [SHORT[option.name]] if option.name in SHORT else []
        _add_option(own, option, f"option {option.name}", [option.flag, *short], shown=True)
    flags.add_output_of_run(parser)
    _add_side_flags(parser, "metric", "renderer", "loader", "reader")


def _add_side_flags(parser: _Parser, *kinds: str) -> None:
    """Add options of plugins that a command uses besides its own: ``--png.cmap``."""
    for other in registry():
        if other.kind in kinds:
            for option in options_of(other):
                flag = f"--{other.name}.{option.flag.removeprefix('--')}"
                place = f"{other.name}.{option.name}"
                is_trust = other.kind == "reader" and option.name == "trust"
                typed = [f"--trust-{other.name}", flag] if is_trust else [flag]
                _add_option(parser.add_argument, option, place, typed, shown=is_trust)


def _add_option(
    add: Callable[..., Any], option: Option, place: str, typed: list[str], *, shown: bool
) -> None:
    """Add an option of a plugin as a flag; its value stays text, for `options.checked` to check."""
    settings: dict[str, Any] = {"dest": place, "default": argparse.SUPPRESS}
    about = ""
    help_text = option.help if shown else ""  # docstrings are parsed for what is shown alone
    if option.annotation is bool:
        settings["action"] = (
            argparse.BooleanOptionalAction if option.is_on_by_default else "store_true"
        )
    else:
        settings["nargs"] = option.words
        is_plain = option.type in PLAIN_TYPES
        settings["metavar"] = option.type.upper() if is_plain else "VALUE"
        kind = "" if is_plain else f"{option.type}; "
        about = f" ({kind}default: {option.default_text})"
    text = printable(help_text + about).replace("%", "%%")
    add(*typed, help=text if shown else argparse.SUPPRESS, **settings)


PLAIN_TYPES = ("int", "float", "str")
