"""Metrics of explanations: called, put beside the maps that they measure, and judged."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

import numpy as np

from cnnvis.data.explanation import Explanation
from cnnvis.data.samples import Array, Samples
from cnnvis.data.verdict import Verdict
from cnnvis.errors import PluginError, UserError
from cnnvis.execution.calls import call_plugin
from cnnvis.execution.isolation import applies
from cnnvis.explain.baselines import Baselines, named_in
from cnnvis.explain.explainer import Explainer
from cnnvis.explain.several import of_one_target, rows_of_each
from cnnvis.network.model import Model
from cnnvis.registry.discovery import registry
from cnnvis.registry.failures import as_plugin_error
from cnnvis.registry.options import flag_of, options_of
from cnnvis.registry.plugin import Plugin
from cnnvis.reporting import verdict

MEASURED = "measured"
"""Outcome that is reported of a metric that does not judge."""


def measured(
    explanation: Explanation,
    metric: Plugin,
    options: Mapping[str, Any],
    models: Sequence[Model],
    explainer: Explainer | None = None,
) -> Explanation:
    """Return an explanation with a metric's number for each of its maps.

    Parameters
    ----------
    options
        All options of the metric.
    models
        The model that was explained, at its target; a model for each of several targets; none where
        there is none.
    explainer
        What made the maps; None where they are not a technique's own any more.

    Raises
    ------
    UserError
        If the metric needs a model or an explainer and there is none, or cannot measure the maps.
    PluginError
        If the metric fails.
    """
    if explanation.maps is None:
        raise UserError(f"{metric.name} measures maps, and the result is a table")
    result = (
        "groups"
        if explanation.groups
        else "images"
        if explanation.samples is not None
        else "pictures"
    )
    if result not in metric.takes_results:
        raise UserError(f"{metric.name} does not measure maps of {result}")
    given = dict(options)
    samples = explanation.samples
    if metric.takes("model"):
        if not models:
            raise UserError(
                f"{metric.name} needs the network, and these maps come without a network"
            )
        given["model"] = models[0]
    if metric.takes("explainer"):
        if explainer is None:
            raise UserError(
                f"{metric.name} has the technique make other maps, and these maps were changed "
                "since: put it right behind the technique"
            )
        if applies(metric):
            raise UserError(
                f"{metric.name} has the technique make other maps, which it cannot in a process of "
                "its own: leave out --isolate (isolate=), or let it name other plugins alone"
            )
        given["explainer"] = explainer
    to_measure = explanation
    names = named_in(metric, options)
    facts: dict[str, Any] = {"metric": metric.name, "options": dict(options)}
    facts["version"] = metric.version
    why = ""
    if names and samples is not None:
        if explainer is None:
            raise UserError(
                f"{metric.name} asks the network about the technique's own maps, and these maps were "
                "changed since: put it right behind the technique"
            )
        samples, why = _with_baselines(metric, options, samples, explainer)
        to_measure = replace(explanation, samples=samples)
    if why:
        numbers: Mapping[str, Array] = {metric.name: np.full(len(explanation), np.nan)}
        facts |= {"measures": [], "verdict": {"outcome": "information", "meaning": why}}
        technique = str(explanation.provenance.get("technique", ""))
        verdict(technique, explanation.input or "", metric.name, **facts["verdict"])
    else:
        numbers = _numbers(metric, to_measure, given, models)
        facts["measures"] = list(numbers)
    before = explanation.provenance.get("metrics", ())
    _require_unused(metric, numbers, explanation)
    known = [*(one for one in before if one["metric"] != metric.name), facts]
    measures = {**explanation.measures, **numbers}
    return replace(explanation, measures=measures).with_facts({"metrics": known})


def _numbers(
    metric: Plugin, found: Explanation, given: Mapping[str, Any], models: Sequence[Model]
) -> Mapping[str, Array]:
    """Return what a metric measures, of the maps of each target with the model at that target."""
    samples = found.samples

    def at(model: Model, part: Explanation) -> Mapping[str, Array]:
        own = dict(given)
        if "model" in own:
            own["model"] = model if part.samples is None else model.with_inputs_held(part.samples)
        explainer: Explainer | None = own.get("explainer")
        if explainer is not None and explainer.task.targets:
            own["explainer"] = replace(explainer, task=explainer.task.at(model))
        numbers: Mapping[str, Array] = call_plugin(metric, part, **own)
        return numbers

    if not models or not given.keys() & {"model", "explainer"}:
        return dict(call_plugin(metric, found, **given))
    if len(models) == 1:
        return at(models[0], found)
    if samples is None or samples.target_numbers is None:
        raise UserError(
            f"{metric.name} asks the network about one target, and these maps are of several: put it "
            "right behind the technique, or explain one class (--class NAME)"
        )
    whole: dict[str, Array] = {}
    for number, rows in rows_of_each(samples):
        for name, values in at(models[number], of_one_target(found, rows)).items():
            whole.setdefault(name, np.full(len(found), np.nan))[rows] = values
    return whole


def _with_baselines(
    metric: Plugin, options: Mapping[str, Any], samples: Samples, explainer: Explainer
) -> tuple[Samples, str]:
    """Return samples with the baselines of a metric's options; or why there are none, in a sentence.

    Raises
    ------
    UserError
        If a baseline that somebody asked for cannot be made of these data.
    """
    data = Baselines(named_in(metric, options), lambda: explainer.task.data)
    try:
        return data.ready(samples), ""
    except UserError as error:
        every = [one for one in options_of(metric) if one.names_kind == "baseline"]
        asked = [one for one in every if options[one.name] != one.default]
        (flag, *_) = [flag_of(metric, one) for one in asked or every]
        said = f"{str(error).rstrip('.')} (the option {flag} of {metric.name})"
        if asked:
            raise UserError(said) from error
        return samples, f"nothing is measured: {said}"


def _require_unused(metric: Plugin, numbers: Mapping[str, Any], explanation: Explanation) -> None:
    """Refuse numbers of a metric that would take the place of others.

    Raises
    ------
    UserError
        If the technique, or another metric, gives numbers of the same name.
    """
    known = explanation.provenance.get("metrics", ())
    names = {one["metric"]: {one["metric"], *one.get("measures", ())} for one in known}
    own = names.pop(metric.name, set())
    taken = [name for name in numbers if name in explanation.measures and name not in own]
    if taken:
        technique = str(explanation.provenance.get("technique", "the technique"))
        giver = next((other for other, held in names.items() if taken[0] in held), technique)
        raise UserError(
            f"{metric.name} gives numbers named {taken[0]!r}, and so does {giver}: leave out one of the "
            f"two, or ask the author of {metric.origin or metric.name} for another name"
        )


def judged(explanation: Explanation, *, strict: bool = True) -> Explanation:
    """Return an explanation with the verdict of each metric that judges, about all of its maps.

    Parameters
    ----------
    strict
        Raise an error if a judge fails, rather than leave out its verdict.

    Raises
    ------
    PluginError
        If a metric's own judgement fails.
    """
    facts = []
    for one in explanation.provenance.get("metrics", ()):
        values = {name: explanation.measures[name] for name in one.get("measures", ())
                  if name in explanation.measures}  # fmt: skip
        try:
            numbers = numbers_of_targets(explanation)
            found = verdict_of(one["metric"], values, numbers, target_names(explanation))
        except PluginError:
            if strict:
                raise
            found = None
        said = {} if found is None else {"verdict": asdict(found)}
        facts.append({**one, **said})
    return explanation.with_facts({"metrics": facts}) if facts else explanation


def numbers_of_targets(explanation: Explanation) -> Array | None:
    """Return the number of each map's target, (n,), where an image has maps of several; else None."""
    samples = explanation.samples
    if samples is None or len(samples.image_starts) == len(samples):
        return None
    return samples.target_numbers


def target_names(explanation: Explanation) -> dict[int, str]:
    """Return a name for each of several targets, by its number; none for a single target."""
    samples = explanation.samples
    if samples is None or samples.target_numbers is None or not explanation.targets:
        return {}
    are_ranked = "top" in (explanation.provenance.get("model") or {})
    return {
        number: f"class number {number + 1} by its score"
        if are_ranked
        else str(explanation.targets[rows[0]])
        for number, rows in rows_of_each(samples)
    }


def verdict_of(
    name: str,
    values: Mapping[str, Array],
    numbers: Array | None = None,
    names: Mapping[int, str] | None = None,
) -> Verdict | None:
    """Return the verdict of a metric about its numbers; None if it does not judge, or without them.

    Parameters
    ----------
    numbers
        The number of each map's target, where an image has maps of several: then the maps of each
        target are judged by themselves, since several maps of an image are no independent
        witnesses, and the verdict is the worst of these.
    names
        The names of the targets by their numbers.

    Raises
    ------
    PluginError
        If the metric's own judgement fails.
    """
    metric = next((one for one in registry().of("metric") if one.name == name), None)
    if metric is None or metric.judge is None or name not in values:
        return None
    if numbers is None or len(np.unique(numbers)) < 2:
        return _judgement(metric, values)
    every = {
        int(number): _judgement(
            metric, {key: one[numbers == number] for key, one in values.items()}
        )
        for number in np.unique(numbers)
    }
    order = ("failed", "warned", "passed", "information")
    number, worst = min(every.items(), key=lambda one: order.index(one[1].outcome))
    alike = sum(one.outcome == worst.outcome for one in every.values())
    of = f"{alike} of {len(every)} targets, such as {(names or {}).get(number, number)}"
    return Verdict(worst.outcome, f"{of}: {worst.meaning}")


def _judgement(metric: Plugin, values: Mapping[str, Array]) -> Verdict:
    assert metric.judge is not None
    with as_plugin_error(metric):
        found = metric.judge(values)
    if not isinstance(found, Verdict):
        raise metric.failed(f"it judged {type(found).__name__}, not a cnnvis.Verdict")
    return found


def report(explanation: Explanation) -> None:
    """Report what metrics say about an explanation: their verdicts, or else their numbers."""
    verdicts, numbers = explanation.verdicts, explanation.measures
    for one in explanation.provenance.get("metrics", ()):
        name = one["metric"]
        if name in verdicts or name in numbers:
            report_of(explanation, name, verdicts.get(name), numbers.get(name))


def report_of(
    explanation: Explanation, name: str, found: Verdict | None, values: Array | None
) -> None:
    """Report the verdict of a metric; of a metric that does not judge, the mean and the range."""
    technique = str(explanation.provenance.get("technique", ""))
    if found is not None:
        verdict(technique, explanation.input or "", name, found.outcome, found.meaning)
        return
    known = np.array([]) if values is None else values[~np.isnan(values)]
    if len(known) > 1:
        ends = f"{known.min():.3g} to {known.max():.3g} over {len(known)} maps"
        said = f"{known.mean():.3g} on average, {ends}"
    else:
        said = f"{known[0]:.3g}" if len(known) else "no number for any map"
    verdict(technique, explanation.input or "", name, MEASURED, said)
