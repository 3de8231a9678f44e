"""What can be typed: the commands and their flags, read from the plugins' signatures."""

from __future__ import annotations

import argparse
import re
import shutil
import textwrap
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

from rich_argparse import RawDescriptionRichHelpFormatter

from cnnvis.cli import commands
from cnnvis.cli.plugins import FLAGS
from cnnvis.errors import UserError, nearest
from cnnvis.names import printable
from cnnvis.options import Option, options_of
from cnnvis.plugin import KINDS, Kind, Plugin
from cnnvis.registry import STEPS, registry

SHORT = {"backprop": "-bm"}
"""Short flags of options that many techniques share."""

SHELLS = ("bash", "zsh", "tcsh")

_NEGATIVE = re.compile(r"-\d+$|-\d*\.\d+$|-\d+:")
"""What begins with a sign and is a value, no option: -1, -0.5, and the slice -3: as well."""


class _Formatter(RawDescriptionRichHelpFormatter):
    """Help as it stands: no markup in plugins' texts, no title case in ours."""

    group_name_formatter = str
    text_markup = False
    help_markup = False

    def __init__(self, prog: str, **settings: Any) -> None:
        super().__init__(prog, max_help_position=28, **settings)
        # Argparse leaves the indent of commands out when it measures; then names get own lines.
        self._action_max_length = 18

    def format_help(self) -> str:
        """The help, laid out where nothing in plugins' texts can do anything."""
        from cnnvis.cli.console import results

        self.console = results()  # not before: rich is imported when there is some
        return super().format_help()


class _Parser(argparse.ArgumentParser):
    """Argparse that says what is wrong as cnnvis says it, instead of printing its usage."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(formatter_class=_Formatter, allow_abbrev=False, **settings)
        self._negative_number_matcher = _NEGATIVE

    def _print_message(self, message: str, file: Any = None) -> None:
        """Print help and versions; argparse's own method passes over a disk that is full."""
        from cnnvis.cli.console import made

        made(message, file)

    def error(self, message: str) -> NoReturn:
        raise UserError(f"{message.removeprefix('argument ')} (see {self.prog} --help)")


def parsed(words: Sequence[str]) -> dict[str, Any]:
    """The function that a command line asks for, under ``command``, and its arguments.

    Raises
    ------
    UserError
        If the words are not a command, with the nearest that would be.
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
    values = vars(found)
    leaf = values.pop("parser", parser)
    if unknown:
        flags = [flag for action in leaf._actions for flag in action.option_strings]
        raise UserError(
            f"there is no option {unknown[0]!r}.{nearest(unknown[0], flags)}"
            if unknown[0].startswith("-")
            else f"{unknown[0]!r} is one word too many (see {leaf.prog} --help)"
        )
    if "command" not in values:  # `cnnvis run` alone
        parser.parse_args([*words, "--help"])
    return values


def _parsed_chain(words: Sequence[str]) -> dict[str, Any]:
    """The same for ``cnnvis chain``: what comes before the first step, and each step."""
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
        add = _adder(one, f"options of {name}")
        for option in options_of(plugin):
            short = [SHORT[option.name]] if option.name in SHORT else []
            _add_option(add, option, option.name, [option.flag, *short], shown=True)
        steps.append((name, _values(one, rest, names)))
    return {"command": commands.chain, "steps": steps, **values}


def _parsed_comparison(words: Sequence[str]) -> dict[str, Any]:
    """The same for ``cnnvis compare``: the two sides with their options, and all that is for both."""
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
        add = _adder(one, f"options of {name}")
        for option in options_of(plugin):
            short = [SHORT[option.name]] if option.name in SHORT else []
            _add_option(add, option, option.name, [option.flag, *short], shown=True)
        found, others = one.parse_known_args(rest[place:after])
        sides.append((name, vars(found)))
        rest[place:after] = others
    values = vars(parser.parse_args(rest))
    return {"command": commands.compare, "sides": tuple(sides), **values}


def _is_side(words: Sequence[str], place: int, known: Sequence[str]) -> bool:
    """Whether a word is a technique or a saved explanation, and no value of an option."""
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
    _add_subject_flags(parser)
    _add_model_flags(parser)
    how = _adder(parser, "how to compare")
    how("--scaled", action="store_true", help="scale each map to [0, 1] before it is compared")
    how("--top", type=_number, metavar="PERCENT",
        help="how many per cent of the places are the strongest (default: 10)")  # fmt: skip
    how("--fail-above", type=_number, metavar="NUMBER",
        help="exit with 3 if the largest difference is above this, for scripts")  # fmt: skip
    out = _adder(parser, "what to do with it")
    out("--out", "-o", metavar="PATH",
        help="the file of the figure, or its folder (default: results/compare_A_B.png)")  # fmt: skip
    out("--json", action="store_true", help="print JSON, for scripts")
    out("--quiet", "-q", action="store_true", help="no notes and no bars")
    out("--verbose", "-v", action="store_true", help=argparse.SUPPRESS)
    _add_side_flags(parser, "renderer", "loader", "reader")
    return parser


_COMPARE_EXAMPLES = """Examples:
  cnnvis compare saliency --backprop none saliency --backprop guided demo
  cnnvis compare saliency grad-cam demo --scaled
  cnnvis compare before.npz after.npz --fail-above 1e-5
"""


def _segments(words: Sequence[str], names: Sequence[str], whole: _Parser) -> list[list[str]]:
    """The words before the first step, and then each step's name and words.

    The word right behind a flag that takes a value is its value, whatever it is called. What is for
    the whole chain may also stand at its end, where a person thinks of it.
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
            flags = {option.flag, f"--no-{option.flag.removeprefix('--')}"}
            own |= flags | {SHORT.get(option.name, option.flag)}
            switches |= flags if option.annotation is bool else set()
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
        flags = [flag for action in parser._actions for flag in action.option_strings]
        raise UserError(
            f"there is no option {unknown[0]!r}.{nearest(unknown[0], flags)} (see {parser.prog} --help)"
        )
    if unknown:
        registry().require_unbroken(unknown[0])
        raise UserError(
            f"there is no step {unknown[0]!r}.{nearest(unknown[0], names)} "
            f"There are: {', '.join(name for name in names if ':' not in name)}."
        )
    return vars(found)


def _chain_parser(names: Sequence[str]) -> _Parser:
    """What comes before the first step of a chain."""
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
    _add_subject_flags(parser)
    _add_model_flags(parser)
    out = _adder(parser, "the chain")
    out("--file", metavar="TOML", help="take the chain from a file, which --save-chain writes")
    out("--name", metavar="NAME", help="which chain of the file; what to call it when it is saved")
    out("--as", dest="form", choices=("toml", "python", "shell"),
        help="print the chain in this form instead of running it")  # fmt: skip
    out("--save-chain", dest="save", metavar="TOML", help="put the chain into this file, too")
    out("--out", "-o", metavar="PATH", help="the file or folder to write (default: results/)")
    _add_keeping_flags(parser)
    out("--quiet", "-q", action="store_true", help="no notes and no bars")
    out("--verbose", "-v", action="store_true", help="say how the result was made; tracebacks")
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
    """The whole command line. Techniques that no word names get no options: None builds all."""
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
    for flag, about in FLAGS.items():  # taken out before anything is parsed; here for the help
        takes: dict[str, Any] = (
            {"metavar": "FILE"} if flag == "--plugin" else {"action": "store_true"}
        )
        parser.add_argument(flag, help=about, default=argparse.SUPPRESS, **takes)
    below = parser.add_subparsers(
        title="commands", metavar="COMMAND", prog="cnnvis", parser_class=_Parser
    )
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
    comparing = _command(below, "compare", commands.compare.__doc__ or "")
    comparing.set_defaults(command=commands.compare, parser=comparing)
    if words is None:
        comparing.add_argument("sides", nargs="*", choices=list(techniques.choices))
        _add_subject_flags(comparing)
    chain = _command(below, "chain", commands.chain.__doc__ or "")
    if words is None:  # for completion; what is typed is read step by step, by other parsers
        _add_chain_words(chain)
    merging = _command(below, "merge", commands.merge.__doc__ or "")
    merging.set_defaults(command=commands.merge, parser=merging)
    merging.add_argument("out", metavar="OUT", help="the run folder that is to hold the whole run")
    merging.add_argument("folders", metavar="FOLDER", nargs="+", help="those that hold its shares")
    merging.add_argument("--quiet", "-q", action="store_true", default=argparse.SUPPRESS,
                         help="no notes and no bars")  # fmt: skip
    doctor = _command(below, "doctor", "Examine a model: what it is, its layers, whether data fit.")
    doctor.usage = "cnnvis doctor MODEL [-d DATA] [options]"
    doctor.set_defaults(command=commands.doctor, parser=doctor)
    doctor.add_argument("model", metavar="MODEL", help="a model's file, or demo")
    examined = _adder(doctor, "what to examine")
    examined("--data", "-d", metavar="FILE", help="a file or folder of data for it; or demo")
    _add_class_names(examined)
    _add_model_flags(doctor)
    if words is None or words[:1] == ["doctor"]:
        _add_side_flags(doctor, "loader", "reader")
    _add_config(below)
    listing = _command(below, "list-plugins", "List every plugin there is, built in or installed.")
    listing.set_defaults(command=commands.list_plugins, parser=listing)
    listing.add_argument("--kind", choices=KINDS, help="only plugins of this kind")
    show = _command(below, "show", "Show what a plugin does, where it is from and its options.")
    show.set_defaults(command=commands.show, parser=show)
    show.add_argument("name", metavar="NAME", help="a plugin's name, as list-plugins gives it")
    new = _command(below, "new-plugin", commands.new_plugin.__doc__ or "")
    new.set_defaults(command=commands.new_plugin, parser=new)
    new.add_argument("name", metavar="NAME", help="what to call the plugin: my-method")
    made = _adder(new, "the package")
    made("--kind", choices=KINDS, help="what the plugin does (default: technique)")
    made("--folder", metavar="PATH", help="where the package's folder goes (default: here)")
    testing = _command(below, "test-plugin", commands.test_plugin.__doc__ or "")
    testing.usage = "cnnvis test-plugin NAME [its options]"
    testing.set_defaults(command=commands.test_plugin, parser=testing)
    testing.add_argument("name", metavar="NAME", help="a plugin's name, as list-plugins gives it")
    tested = _adder(testing, "how to test it")
    tested("--file", metavar="PATH", help="for a reader or loader: a file that it takes")
    tested("--quiet", "-q", action="store_true", help="no bars")
    if words and words[0] == "test-plugin":
        own = _adder(testing, "options of the plugin, where its defaults do not fit small networks")
        seen: set[str] = set()
        for plugin in (one for one in registry() if one.name in words[1:]):
            for option in options_of(plugin):
                if option.flag not in seen | {"--file", "--quiet"}:
                    seen.add(option.flag)
                    _add_option(own, option, f"option {option.name}", [option.flag], shown=True)
    for one in (doctor, listing, show):
        one.add_argument("--json", action="store_true", help="print JSON, for scripts")
    completion = _command(
        below, "completion", "Print completion of commands and flags for a shell."
    )
    completion.set_defaults(command=print_completion, parser=completion)
    completion.add_argument("shell", choices=SHELLS, help='use: eval "$(cnnvis completion bash)"')
    return parser


def _add_chain_words(parser: _Parser) -> None:
    """Every word that a chain may hold."""
    steps = [plugin for plugin in registry() if plugin.kind in STEPS]
    parser.add_argument("steps", nargs="*", choices=[plugin.name for plugin in steps])
    _add_subject_flags(parser)
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
    """Looks the version up when it is asked for, not whenever the program starts."""

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
    _add_subject_flags(parser)
    _add_model_flags(parser)
    own = _adder(parser, f"options of {plugin.name}")
    for option in options_of(plugin):
        short = [SHORT[option.name]] if option.name in SHORT else []
        _add_option(own, option, f"option {option.name}", [option.flag, *short], shown=True)
    out = _adder(parser, "what to do with it")
    out("--render", "-r", nargs="+", action="extend", metavar="NAME",
        help="renderers (default: png, and terminal in a terminal). Their options go by their "
        "names: --png.cmap hot; see cnnvis show png")  # fmt: skip
    out("--out", "-o", metavar="PATH",
        help="the file to write, which takes the place of another of that name, or a folder, in "
        "which none does (default: results/TECHNIQUE_LAYER_MODIFIER.png)")  # fmt: skip
    out("--save-chain", metavar="TOML", help="put what was typed into this file as a chain")
    _add_keeping_flags(parser)
    out("--quiet", "-q", action="store_true", help="no notes and no bars")
    out("--verbose", "-v", action="store_true", help="say how the result was made; tracebacks")
    _add_side_flags(parser, "renderer", "loader", "reader")


def _add_subject_flags(parser: _Parser) -> None:
    what = _adder(parser, "what to explain")
    what("--data", "-d", metavar="FILE", help="a file or folder of images; or demo")
    what("--images", "-im", nargs="+", action="extend", type=_images, metavar="IMAGE",
         help="which images of the data (default: all): places, 0 3 5, -1 for the last; ranges, 0-5 "
         "with 5; slices as in Python, 20:40:2 without 40; label=NAME, predicted=NAME, right, wrong "
         "by what the network answers; all. Places are put together, and the others narrow them "
         "down; of two with one key, such as label=A label=B, one must hold")  # fmt: skip
    what("--layer", "-l", metavar="TARGET",
         help="the layer to explain (default: the one named output, else the last); or one of its "
         "outputs, output:3 or output[AI], or a sum or difference, head[3]-head[5]")  # fmt: skip
    what("--filter", "--class", nargs="+", action="extend", metavar="N",
         help="which outputs of that layer, by number or class name "
         "(default: the class predicted for each image, class 1 of one sigmoid, 0 of a layer in between)")  # fmt: skip
    what("--output", metavar="NAME",
         help="which of the network's outputs, where it has several (default: the first)")  # fmt: skip
    what("--region", nargs="+", metavar="RANGE",
         help="for a layer with spatial axes, over which positions its outputs are averaged, "
         "one for each axis: 10:20 7 (default: over all)")  # fmt: skip
    what("--input", nargs="+", metavar="NAME",
         help="which of the network's inputs get a map, where it has several (default: all)")  # fmt: skip
    _add_class_names(what)
    how = _adder(parser, "how to compute it")
    how("--compile", choices=("auto", "graph", "xla", "eager"),
        help="as TensorFlow's graph, by XLA, anew for each batch (eager), or by whichever of the "
        "first two is faster where there is enough to do (default: auto)")  # fmt: skip
    how("--batch-size", type=_whole, metavar="N",
        help="how many images at a time (default: 32, more of a small network, or what memory allows)")  # fmt: skip
    how("--threads", type=_whole, metavar="N",
        help="how many threads (default: one for each processor that may be used)")  # fmt: skip
    how("--mixed-precision", action="store_true",
        help="multiply in half precision where the machine can: up to twice as fast, and maps are "
        "off by several per cent")  # fmt: skip
    how("--isolate", action="store_true",
        help="run plugins that are not built in in processes of their own, where a crash, a hang "
        "or a hunger for memory costs no others their work")  # fmt: skip
    how("--isolate-only", metavar="NAME,NAME", help="the same for the plugins of these names alone")
    how("--isolate-timeout", type=_number, metavar="SECONDS",
        help="how long such a process may take for a batch or a picture (default: 600)")  # fmt: skip
    how("--isolate-memory", type=_number, metavar="GB",
        help="how much memory it may take (default: four fifths of what is there)")  # fmt: skip


def _add_class_names(add: Callable[..., Any]) -> None:
    add("--class-names", nargs="+", metavar="NAME",
        help="the names of the network's classes 0, 1, ..., where the data do not hold them; folders "
        "and other labels in words are matched to them by name")  # fmt: skip


def _add_keeping_flags(parser: _Parser) -> None:
    keep = _adder(parser, "long runs")
    keep("--into", metavar="FOLDER",
         help="keep the maps in this folder as they are computed; none for no folder (default: none "
         "up to 5000 images, and above that one beside the other output)")  # fmt: skip
    keep("--resume", action="store_true",
         help="go on with that folder, and compute only what is not there")  # fmt: skip
    keep("--shard", metavar="N/OF",
         help="compute a share of the folder's shards, 3/16 for the third of sixteen; cnnvis merge "
         "puts the folders together")  # fmt: skip
    keep("--shard-size", type=_whole, metavar="N",
         help="how many images a shard holds (default: 512, or fewer large ones)")  # fmt: skip
    keep("--strict", action="store_true",
         help="stop at the first image that cannot be read or explained")  # fmt: skip


def _add_model_flags(parser: _Parser) -> None:
    lacking = _adder(parser, "what the model's file lacks")
    lacking("--custom", nargs="+", metavar="MODULE:CLASS",
            help="the classes of layers of your own; their module is imported, and so runs")  # fmt: skip
    lacking("--lambda", dest="lambdas", nargs="+", metavar="NAME=MODULE:FUNCTION",
            help="a function of yours in the place of the Lambda layer NAME, whose code in the file "
            "is not run; its module is imported, and so runs")  # fmt: skip
    lacking("--input-shape", nargs="+", type=_whole, metavar="N",
            help="the shape of one input, 0 for an axis of any length")  # fmt: skip
    lacking("--architecture", metavar="JSON",
            help="the network that the file's weights belong to")  # fmt: skip
    lacking("--trust-model", action="store_true",
            help="let code in the model's file run, and load whatever it asks for: only for files of "
            "people you know")  # fmt: skip


def _add_side_flags(parser: _Parser, *kinds: Kind) -> None:
    """Options of plugins that a command may use on the way: ``--png.cmap``."""
    for other in registry():
        if other.kind in kinds:
            for option in options_of(other):
                flag = f"--{other.name}.{option.flag.removeprefix('--')}"
                place = f"{other.name}.{option.name}"
                is_trust = other.kind == "reader" and option.name == "trust"
                flags = [f"--trust-{other.name}", flag] if is_trust else [flag]
                _add_option(parser.add_argument, option, place, flags, shown=is_trust)


def _adder(parser: _Parser, title: str) -> Callable[..., Any]:
    """Adds flags to a group; those that are not typed leave no trace in what is parsed."""
    group = parser.add_argument_group(title)
    return lambda *flags, **settings: group.add_argument(
        *flags, **{"default": argparse.SUPPRESS, **settings}
    )


def _images(text: str) -> int | str:
    from cnnvis.image_selection import typed

    try:
        return typed(text)
    except UserError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _whole(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number") from None


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number") from None


def _add_option(
    add: Callable[..., Any], option: Option, place: str, flags: list[str], *, shown: bool
) -> None:
    """One option of a plugin as a flag; its value stays text, for `options.checked` to judge."""
    settings: dict[str, Any] = {"dest": place, "default": argparse.SUPPRESS}
    about = ""
    help_text = option.help if shown else ""  # docstrings are parsed for what is shown alone
    if option.annotation is bool:
        settings["action"] = argparse.BooleanOptionalAction if option.default else "store_true"
    else:
        settings["nargs"] = option.words
        is_plain = option.type in PLAIN_TYPES
        settings["metavar"] = option.type.upper() if is_plain else "VALUE"
        kind = "" if is_plain else f"{option.type}; "
        about = f" ({kind}default: {option.default_text})"
    text = printable(help_text + about).replace("%", "%%")
    add(*flags, help=text if shown else argparse.SUPPRESS, **settings)


PLAIN_TYPES = ("int", "float", "str")
