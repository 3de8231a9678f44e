"""``cnnvis run``: a command for each technique, its options read from the technique's signature."""

from __future__ import annotations

import inspect
import os
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import App, Group, Parameter

from cnnvis.options import Option, options_of
from cnnvis.plugin import Plugin
from cnnvis.registry import registry

if TYPE_CHECKING:
    from rich.console import Console

    from cnnvis.explanation import Explanation

SHORT = {"backprop": "-bm"}
"""Short flags of options that many techniques share."""

_WHAT = Group("What to explain", sort_key=1)
_OUT = Group("What to do with it", sort_key=3)


def app() -> App:
    """The command ``run`` with one command below it for each technique."""
    whole = App(name="run", help="Explain a model with one technique.")
    for plugin in registry().of("technique"):
        whole.command(_command(plugin), name=plugin.name)
    return whole


def _common(
    model: Annotated[str, Parameter(help="A model's file, or demo.")],
    /,
    *,
    data: Annotated[
        str | None,
        Parameter(name=["--data", "-d"], group=_WHAT, help="A file or folder of images."),
    ] = None,
    images: Annotated[
        tuple[int, ...] | None,
        Parameter(
            name=["--images", "-im"],
            group=_WHAT,
            consume_multiple=True,
            help="Which images of the data, by their places: 0 3 5 10. All by default.",
        ),
    ] = None,
    layer: Annotated[
        str | None,
        Parameter(
            name=["--layer", "-l"],
            group=_WHAT,
            help="The layer to explain. By default the one named output, else the last.",
        ),
    ] = None,
    filter: Annotated[
        tuple[str, ...] | None,
        Parameter(
            name=["--filter", "--class"],
            group=_WHAT,
            consume_multiple=True,
            help="Which outputs of that layer, by number or class name. By default the class "
            "predicted for each image, or 0 for a layer in between.",
        ),
    ] = None,
    class_names: Annotated[
        tuple[str, ...] | None,
        Parameter(
            group=_WHAT,
            consume_multiple=True,
            help="The names of the classes 0, 1, ..., where the data do not hold them.",
        ),
    ] = None,
    render: Annotated[
        tuple[str, ...],
        Parameter(
            name=["--render", "-r"],
            group=_OUT,
            help="A renderer; may be repeated. By default png, and terminal in a terminal. "
            "Their options go by their names: --png.cmap hot; see cnnvis show png.",
        ),
    ] = (),
    output: Annotated[
        str | None,
        Parameter(
            name=["--output", "-o"],
            group=_OUT,
            help="The file or folder to write. By default results/TECHNIQUE_LAYER_MODIFIER.png.",
        ),
    ] = None,
    quiet: Annotated[
        bool, Parameter(name=["--quiet", "-q"], group=_OUT, negative="", help="No notes, no bars.")
    ] = False,
    verbose: Annotated[
        bool,
        Parameter(
            name=["--verbose", "-v"],
            group=_OUT,
            negative="",
            help="Say what was loaded, repaired and run; give tracebacks.",
        ),
    ] = False,
) -> None:
    """The parameters that every technique's command has."""


def _command(plugin: Plugin) -> Callable[..., None]:
    """A function with the common parameters, the technique's own and those of other plugins."""
    own = Group(f"Options of {plugin.name}", sort_key=2)
    parameters = list(inspect.signature(_common, eval_str=True).parameters.values())
    parameters += [
        _parameter(option, option.name, option.flag, own) for option in options_of(plugin)
    ]
    side = {
        f"{other.name}__{option.name}": (other.name, option)
        for other in registry()
        if other.kind != "technique"
        for option in options_of(other)
    }
    parameters += [
        _parameter(option, key, f"--{name}.{option.flag.removeprefix('--')}", None)
        for key, (name, option) in side.items()
    ]

    def command(*arguments: Any, **values: Any) -> None:
        others: dict[str, dict[str, Any]] = {}
        for key in [key for key in values if key in side]:
            name, option = side[key]
            others.setdefault(name, {})[option.name] = values.pop(key)
        _explain(plugin, *arguments, plugin_options=others, **values)

    command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    command.__annotations__ = {p.name: p.annotation for p in parameters}
    command.__doc__ = (inspect.getdoc(plugin.function) or "").split("\nParameters\n")[0].strip()
    return command


def _parameter(option: Option, name: str, flag: str, group: Group | None) -> inspect.Parameter:
    flags = [flag, SHORT[option.name]] if group and option.name in SHORT else [flag]
    choices = f" [choices: {option.type.replace(' |', ',')}]" if option.choices else ""
    about = Parameter(
        name=flags,
        group=group,
        help=option.help + choices,
        show_choices=False,
        consume_multiple=True,
        # --no-... only where there is something to switch off.
        negative=None if option.default is True else "",
        show=group is not None,
    )
    return inspect.Parameter(
        name,
        inspect.Parameter.KEYWORD_ONLY,
        default=option.default,
        annotation=Annotated[option.annotation, about],
    )


def _explain(
    plugin: Plugin,
    model: str,
    *,
    render: Sequence[str] = (),
    output: str | None = None,
    quiet: bool = False,
    verbose: bool = False,
    plugin_options: dict[str, dict[str, Any]],
    **given: Any,
) -> None:
    from contextlib import nullcontext

    from rich.console import Console

    from cnnvis.cli.progress import Bars
    from cnnvis.reporting import reported_to
    from cnnvis.runner import run, writers, written

    # A copy of stderr, since TensorFlow's start-up is kept from writing to the original.
    messages = Console(file=os.fdopen(os.dup(sys.stderr.fileno()), "w"), soft_wrap=True)
    results = Console()
    to_file = writers(render, output)
    to_console = [r for r in map(_renderer, render) if not r.suffixes]
    with nullcontext() if quiet else reported_to(Bars(messages)):
        explanation = run(plugin.name, model, plugin_options=plugin_options, **given)
        if not render and not to_file and (explanation.table is None or output is not None):
            to_file = [_renderer("png")]
        if not render and (explanation.table is not None or results.is_terminal):
            to_console = [_renderer("terminal")]
        paths = written(explanation, to_file, output, plugin_options)
    for renderer in to_console:
        renderer.function(explanation, results, **plugin_options.get(renderer.name, {}))
    for path in paths:
        results.print(str(path), soft_wrap=True, markup=False, highlight=False)
    if not quiet:
        _tell(explanation, messages, verbose)


def _renderer(name: str) -> Plugin:
    return registry().get("renderer", name)


def _tell(explanation: Explanation, console: Console, verbose: bool) -> None:
    """The notes that a person should read; with `verbose`, also how the result was made."""
    from rich.text import Text

    for note in explanation.notes:
        console.print(Text.assemble(("note: ", "bold"), note))
    if verbose:
        console.print_json(data=dict(explanation.provenance))
