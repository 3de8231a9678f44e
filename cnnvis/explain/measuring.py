"""Metrics of explanations: called, and put beside the maps that they measure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from cnnvis.data.explanation import Explanation
from cnnvis.errors import UserError
from cnnvis.execution.calls import call_plugin
from cnnvis.network.model import Model
from cnnvis.registry.plugin import Plugin

Metrics = Sequence[tuple[Plugin, Mapping[str, Any]]]


def measured(explanation: Explanation, metrics: Metrics, model: Model | None) -> Explanation:
    """Return an explanation with a number for each of its maps from each metric.

    Parameters
    ----------
    metrics
        Plugins, each with all of its options.
    model
        The model that was explained, at its target; None where there is none.

    Raises
    ------
    UserError
        If a metric needs a model and there is none, or cannot measure what it is given.
    PluginError
        If a metric fails.
    """
    for metric, options in metrics:
        result = "groups" if explanation.groups else "images"
        if explanation.samples is None and not explanation.groups:
            result = "pictures"
        if explanation.maps is None:
            raise UserError(f"{metric.name} measures maps, and the result is a table")
        if result not in metric.takes_results:
            raise UserError(f"{metric.name} does not measure maps of {result}")
        given = dict(options)
        if metric.takes("model"):
            if model is None:
                raise UserError(f"{metric.name} asks the network, and nothing here has one")
            of = explanation.samples
            given["model"] = model if of is None else model.with_inputs_held(of)
        numbers = call_plugin(metric, explanation, **given)
        told = [*explanation.provenance.get("metrics", ()), _facts(metric, options)]
        explanation = replace(
            explanation, measures={**explanation.measures, metric.name: numbers}
        ).with_facts({"metrics": told})
    return explanation


def _facts(metric: Plugin, options: Mapping[str, Any]) -> dict[str, Any]:
    return {"metric": metric.name, "options": dict(options), "version": metric.version}
