"""Steps of a chain: plugins with their options, and which step can take what others give."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from cnnvis.data.samples import Samples, evenly_spaced
from cnnvis.errors import UserError, shown
from cnnvis.explain.several import with_together
from cnnvis.explain.tally import PROBES
from cnnvis.registry.arguments import Style
from cnnvis.registry.discovery import registry
from cnnvis.registry.failures import as_plugin_error
from cnnvis.registry.options import checked
from cnnvis.registry.plugin import BUILT_IN, Plugin, Result
from cnnvis.registry.style import style_of
from cnnvis.reporting import notes_kept
from cnnvis.settings.chain_files import MOST_STEPS


@dataclass(frozen=True)
class Step:
    """Step of a chain: a plugin with the options that were given, and the style of the others."""

    plugin: Plugin
    given: Mapping[str, Any] = field(default_factory=dict)
    style: Style = "default"

    @property
    def options(self) -> dict[str, Any]:
        """Checked values of all options of the plugin."""
        return checked(self.plugin, self.given, self.style)

    def adding_up(self, together: bool) -> Step:
        """Return the step with the scores of several outputs added up, if that is asked for."""
        return replace(self, given=with_together(self.plugin, self.given, together))


StepLike = str | tuple[str, Mapping[str, Any]] | Step


def steps_of(steps: Sequence[StepLike], style: Style | None = None) -> list[Step]:
    """Return the steps with their plugins, and with a style for the options that are not given.

    Parameters
    ----------
    style
        See `cnnvis.registry.style.style_of`.

    Raises
    ------
    UserError
        If there is no such step, with the nearest name; or if there are none, or too many.
    """
    found, style = [], style_of(style)
    if not isinstance(steps, str) and len(steps) > MOST_STEPS:
        raise UserError(f"a chain has at most {MOST_STEPS} steps, and this chain has {len(steps)}")
    for one in [steps] if isinstance(steps, str) else steps:
        if isinstance(one, Step):
            found.append(replace(one, style=style))
            continue
        if not isinstance(one, str) and not (isinstance(one, tuple | list) and len(one) == 2):
            raise UserError(
                f"step {len(found) + 1} is {shown(one)}; a step is a name, or a name with its options: "
                '["saliency", ("smooth", {"sigma": 1})]'
            )
        name, given = (one, {}) if isinstance(one, str) else one
        found.append(Step(registry().step(name), given, style))
    if not found:
        raise UserError("a chain needs steps, such as saliency or png")
    return found


_WORDS: dict[Result, str] = {
    "images": "maps of single images",
    "groups": "maps of groups of images",
    "pictures": "pictures without images",
    "table": "a table",
}
_GIVERS: dict[Result, str] = {
    "images": "a technique such as saliency",
    "groups": "average",
    "pictures": "filter-weights or activation-max",
    "table": "model-summary",
}


def require_fitting(steps: Sequence[Step], before: Sequence[tuple[Result, str]] = ()) -> None:
    """Refuse a chain in which a step cannot take the results before it.

    Parameters
    ----------
    before
        The kinds of the results that are there before the first step, and where they are from.

    Raises
    ------
    UserError
        Naming the step, what it takes, what it would get, and what to add.
    """
    stack = list(before)
    for place, step in enumerate(steps, 1):
        plugin = step.plugin
        which = f"step {place}, {plugin.name},"
        if plugin.kind == "technique" and before:
            raise UserError(
                f"{which} explains a network, and {before[0][1]!r} holds maps that are there already: "
                "name a model's file in its place"
            )
        if plugin.kind == "technique":
            stack.append((plugin.gives or "images", plugin.name))
            continue
        needed = 2 if plugin.takes("explanations") and plugin.kind != "renderer" else 1
        if len(stack) < needed:
            there = (
                f"the only result is the result of {stack[-1][1]}"
                if stack
                else "no step gives a result yet"
            )
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
                f"{which} takes two results of the same kind, and would get "
                + " and ".join(f"{_WORDS[result]} from {giver}" for result, giver in taken)
            )
        if plugin.kind != "metric":
            stack[-needed:] = [(plugin.gives or taken[0][0], plugin.name)]


def require_samples(
    steps: Sequence[Step], options: Sequence[Mapping[str, Any]], every: Collection[Samples]
) -> None:
    """Refuse options of transforms that fit none of the images, before any map is computed.

    Some images may get no map, so those that are tried must all be refused.

    Raises
    ------
    UserError
        As the transform says.
    """
    before = None
    for step, given in zip(steps, options, strict=True):
        plugin = step.plugin
        if plugin.kind in ("renderer", "metric"):
            continue
        if before == "technique" and plugin.check_samples is not None:
            for samples in every:
                _require_any(plugin, samples, given)
        before = plugin.kind


def _require_any(plugin: Plugin, samples: Samples, given: Mapping[str, Any]) -> None:
    assert plugin.check_samples is not None
    refused: UserError | None = None
    for place in evenly_spaced(len(samples), PROBES):
        try:
            with as_plugin_error(plugin), notes_kept():
                plugin.check_samples(samples.picked([place]), **given)
        except UserError as error:
            refused = refused or error
        else:
            return
    if refused is not None:
        raise refused


def groups_by_prediction(steps: Sequence[Step]) -> bool:
    """Tell whether a transform of any package needs the classes that the network answers.

    Such a transform has an option `by` with the value "prediction", as those of cnnvis do.
    """
    return any(
        step.plugin.kind == "transform" and step.options.get("by") == "prediction" for step in steps
    )


def streams_maps(step: Step) -> bool:
    """Tell whether a step is a renderer that writes maps while they are computed."""
    return step.plugin.kind == "renderer" and step.plugin.takes("stream")


def knows_one_target(plugin: Plugin) -> bool:
    """Tell whether a transform makes groups, and may not know of maps of several targets."""
    return plugin.gives == "groups" and plugin.distribution != BUILT_IN
