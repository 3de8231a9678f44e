"""Metrics of explanations: called, put beside the maps that they measure, and judged."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from cnnvis.data.explanation import Explanation
from cnnvis.data.verdict import Verdict
from cnnvis.errors import UserError
from cnnvis.execution.calls import call_plugin
from cnnvis.execution.isolation import applies
from cnnvis.explain.baselines import Baselines, named_in
from cnnvis.explain.explainer import Explainer
from cnnvis.network.model import Model
from cnnvis.registry.discovery import registry
from cnnvis.registry.failures import as_plugin_error
from cnnvis.registry.plugin import Plugin


def measured(
    explanation: Explanation,
    metric: Plugin,
    options: Mapping[str, Any],
    model: Model | None,
    explainer: Explainer | None = None,
) -> Explanation:
    """Return an explanation with a metric's number for each of its maps.

    Parameters
    ----------
    options
        All options of the metric.
    model
        The model that was explained, at its target; None where there is none.
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
        if model is None:
            raise UserError(f"{metric.name} asks the network, and nothing here has one")
        given["model"] = model if samples is None else model.with_inputs_held(samples)
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
    if names and samples is not None:
        if explainer is None:
            raise UserError(f"{metric.name} fills with {names[0]}, and nothing here has the data")
        ready = Baselines(names, lambda: explainer.task.data).ready(samples)
        to_measure = replace(explanation, samples=ready)
    numbers = call_plugin(metric, to_measure, **given)
    facts = {"metric": metric.name, "options": dict(options), "version": metric.version}
    facts["measures"] = list(numbers)
    told = [*explanation.provenance.get("metrics", ()), facts]
    measures = {**explanation.measures, **numbers}
    return replace(explanation, measures=measures).with_facts({"metrics": told})


def judged(explanation: Explanation) -> Explanation:
    """Return an explanation with the verdict of each metric that judges, about all of its maps."""
    metrics = {metric.name: metric for metric in registry().of("metric")}
    facts = []
    for one in explanation.provenance.get("metrics", ()):
        metric = metrics.get(one["metric"])
        values = {name: explanation.measures[name] for name in one.get("measures", ())
                  if name in explanation.measures}  # fmt: skip
        if metric is None or metric.judge is None or metric.name not in values:
            facts.append(one)
            continue
        with as_plugin_error(metric):
            verdict = metric.judge(values)
        if not isinstance(verdict, Verdict):
            raise metric.failed(f"it judged {type(verdict).__name__}, not a cnnvis.Verdict")
        facts.append({**one, "verdict": {"outcome": verdict.outcome, "meaning": verdict.meaning}})
    return explanation.with_facts({"metrics": facts}) if facts else explanation
