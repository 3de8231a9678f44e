"""Chains: techniques push results on a stack, transforms change them, renderers show them.

A result is a stream of batches that is computed while somebody goes through it, so that a million
images take the memory of one batch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from cnnvis.errors import UserError
from cnnvis.explaining import Stream, Subject
from cnnvis.explanation import Explanation
from cnnvis.model import Model
from cnnvis.options import checked
from cnnvis.plugin import Plugin, Result
from cnnvis.registry import registry
from cnnvis.reporting import note, notes_kept
from cnnvis.runner import RESULTS, destination, require_writable, write
from cnnvis.sources import PathName, PluginOptions


@dataclass(frozen=True)
class Step:
    """One step of a chain: a plugin with options, as they were given."""

    plugin: Plugin
    given: Mapping[str, Any] = field(default_factory=dict)

    @property
    def options(self) -> dict[str, Any]:
        """All its options, checked."""
        return checked(self.plugin, self.given)


StepLike = str | tuple[str, Mapping[str, Any]] | Step


def chain(
    model: Model | PathName | Any,
    steps: Sequence[StepLike],
    *,
    data: Any = None,
    images: int | Sequence[int] | None = None,
    layer: str | None = None,
    filter: int | str | Sequence[int | str] | None = None,
    output: str | None = None,
    region: Sequence[str | int | slice] | None = None,
    input: str | Sequence[str] | None = None,
    class_names: Sequence[str] | None = None,
    custom: Sequence[str] = (),
    lambdas: Sequence[str] = (),
    input_shape: Sequence[int] | None = None,
    architecture: PathName | None = None,
    trust_model: bool = False,
    axes: Mapping[str, Any] | None = None,
    out: PathName | None = None,
    plugin_options: PluginOptions | None = None,
    show: Callable[[Plugin, Explanation, Mapping[str, Any]], None] | None = None,
    wrote: Callable[[Any], None] | None = None,
) -> list[Explanation]:
    """Run steps one after the other: techniques, transforms, renderers.

    Parameters
    ----------
    steps
        Names of plugins, or pairs of a name and options: ``["saliency", ("smooth", {"sigma": 1})]``.
        A technique puts its result on a stack, a transform changes what is there, and a renderer
        shows all that is there and leaves it.
    model, data, images, layer, filter, output, region, input, class_names, axes
        As in `cnnvis.run`; they hold for every technique of the chain.
    custom, lambdas, input_shape, architecture, trust_model, plugin_options
        As in `cnnvis.run`.
    out
        The file or folder that renderers write to.
    show
        Called with renderers that print, and what they are to print; they are left out by default.
    wrote
        Told the path of every file that was written.

    Returns
    -------
    list of Explanation
        What is on the stack in the end, the latest result last.

    Raises
    ------
    UserError
        If a step cannot take what is there, before anything is loaded; or as in `cnnvis.run`.
    """
    chosen = steps_of(steps)
    require_fitting(chosen)
    options = [step.options for step in chosen]
    if any(step.plugin.suffixes for step in chosen):
        require_writable(RESULTS if out is None else Path(out))
    side = plugin_options or {}
    lacking = {
        "custom": custom,
        "lambdas": lambdas,
        "input_shape": input_shape,
        "architecture": architecture,
        "trust_model": trust_model,
    }
    target = {"layer": layer, "filters": filter, "output": output, "region": region}
    with notes_kept() as notes:
        techniques = [step.plugin for step in chosen if step.plugin.kind == "technique"]
        subject = Subject.of(
            model, data, images, target, class_names, side, lacking, input, axes, techniques
        )
        stack: list[Stream] = []
        shown: set[str] = set()
        results: list[Result] = []
        for step, given in zip(chosen, options, strict=True):
            match step.plugin.kind:
                case "technique":
                    more = _explained(subject, step.plugin, given)
                    stack += more
                    results += [step.plugin.gives or "images"] * len(more)
                case "transform":
                    _transform(stack, step, given)
                    results[len(stack) - 1 :] = [step.plugin.gives or results[len(stack) - 1]]
                case _:
                    for stream, result in zip(stack, results, strict=True):
                        explanation = _with_notes(_shown(stream, result, step, given), notes)
                        if not step.plugin.suffixes:
                            if show is not None:
                                show(step.plugin, explanation, given)
                            continue
                        path = destination(explanation, step.plugin, out, taken=shown)
                        shown.add(str(path))
                        write(explanation, step.plugin, path, given)
                        if wrote is not None:
                            wrote(path)
        return [_with_notes(stream.whole(), notes) for stream in stack]


def _explained(subject: Subject, plugin: Plugin, options: Mapping[str, Any]) -> list[Stream]:
    """A technique's result for each of the model's inputs that gets one."""
    # Of several inputs that nobody asked for one by one, a blank one must not cost the others.
    results = subject.explained(plugin, options, strict=False)
    if subject.inputs is not None or len(results) == 1:
        return list(subject.explained(plugin, options).values())
    # What an input cannot have is found out on a single image, before all others are computed.
    fitting = []
    for name, stream in results.items():
        try:
            subject.tried(plugin, options, name)
            fitting.append(stream)
        except UserError as error:
            note(f"the input {name!r} gets no map of {plugin.name}: {error}")
    if not fitting:
        raise UserError(f"no input of the network gets a map of {plugin.name}")
    return fitting


def _shown(stream: Stream, result: Result, step: Step, options: Mapping[str, Any]) -> Explanation:
    """What a renderer is to show: all, or the first maps if it shows no more.

    So the first pictures are there before the last image is read.
    """
    limit = options.get("limit")
    if result != "images" or not isinstance(limit, int):
        return stream.whole()
    explanation, is_part = stream.first(limit)
    if is_part:
        note(f"{step.plugin.name} shows the first {limit} maps")
    return explanation


def _with_notes(explanation: Explanation, notes: Sequence[str]) -> Explanation:
    every = dict.fromkeys((*explanation.notes, *notes))
    return replace(explanation, notes=tuple(every))


def steps_of(steps: Sequence[StepLike]) -> list[Step]:
    """The steps with their plugins.

    Raises
    ------
    UserError
        If there is no such step, with the nearest name.
    """
    found = []
    for one in steps:
        if isinstance(one, Step):
            found.append(one)
            continue
        name, given = (one, {}) if isinstance(one, str) else one
        found.append(Step(registry().step(name), given))
    if not found:
        raise UserError("a chain needs steps, such as saliency or png")
    return found


_WORDS: dict[Result, str] = {
    "images": "maps of single images",
    "groups": "maps of groups of images",
    "pictures": "pictures that belong to no image",
    "table": "a table",
}
_GIVERS: dict[Result, str] = {
    "images": "a technique such as saliency",
    "groups": "average",
    "pictures": "filter-weights or activation-max",
    "table": "model-summary",
}


def require_fitting(steps: Sequence[Step]) -> None:
    """Refuse a chain in which a step could not take what is there.

    Raises
    ------
    UserError
        Naming the step, what it takes, what it would get, and what to add.
    """
    stack: list[tuple[Result, str]] = []
    for place, step in enumerate(steps, 1):
        plugin = step.plugin
        which = f"step {place}, {plugin.name},"
        if plugin.kind == "technique":
            stack.append((plugin.gives or "images", plugin.name))
            continue
        needed = 2 if plugin.takes("explanations") else 1
        if len(stack) < needed:
            there = f"there is only that of {stack[-1][1]}" if stack else "there is none yet"
            what = "the two results before it" if needed == 2 else "a result"
            raise UserError(
                f"{which} takes {what}, and {there}: put a technique such as saliency before it"
            )
        if plugin.kind == "renderer":
            continue
        taken = stack[-needed:]
        for result, giver in taken:
            if result not in plugin.takes_results:
                wanted = " or ".join(_WORDS[one] for one in plugin.takes_results)
                add = " or ".join(_GIVERS[one] for one in plugin.takes_results[:1])
                raise UserError(
                    f"{which} takes {wanted}, and would get {_WORDS[result]} from {giver}: put "
                    f"{add} before it"
                )
        if len({result for result, _ in taken}) > 1:
            raise UserError(
                f"{which} takes two results of one kind, and would get "
                + " and ".join(f"{_WORDS[result]} from {giver}" for result, giver in taken)
            )
        stack[-needed:] = [(plugin.gives or taken[0][0], plugin.name)]


def _transform(stack: list[Stream], step: Step, options: Mapping[str, Any]) -> None:
    """Put a transform's result in the place of what it takes."""
    function = step.plugin

    def told(explanation: Explanation, other: Explanation | None = None) -> Explanation:
        if not isinstance(explanation, Explanation):
            raise step.plugin.failed(f"it gave {type(explanation).__name__}, not an Explanation")
        facts = dict(explanation.provenance)
        what: dict[str, Any] = {"transform": step.plugin.name, "options": dict(options)}
        if other is not None:
            known = ("technique", "options", "target", "transforms")
            what["with"] = {key: other.provenance.get(key) for key in known}
        facts["transforms"] = [*facts.get("transforms", []), what]
        return replace(explanation, provenance=facts)

    if step.plugin.takes("explanations"):
        first, second = stack.pop(-2), stack.pop(-1)
        stack.append(
            Stream(
                lambda: (
                    told(function(list(pair), **options), pair[1])
                    for pair in zip(first, second, strict=True)
                )
            )
        )
        return
    before = stack.pop()
    if step.plugin.takes("stream"):

        def batches() -> Iterator[Explanation]:
            answer = function(before, **options)
            for one in [answer] if isinstance(answer, Explanation) else answer:
                yield told(one)

        stack.append(Stream(batches))
    else:
        stack.append(Stream(lambda: (told(function(one, **options)) for one in before)))
