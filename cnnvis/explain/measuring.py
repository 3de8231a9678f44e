"""Metrics of explanations: called, and put beside the maps that they measure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from cnnvis.data.explanation import Explanation
from cnnvis.errors import UserError
from cnnvis.execution.calls import call_plugin
from cnnvis.network.model import Model
from cnnvis.registry.plugin import Plugin


def measured(
    explanation: Explanation, metric: Plugin, options: Mapping[str, Any], model: Model | None
) -> Explanation:
    """Return an explanation with a metric's number for each of its maps.

    Parameters
    ----------
    options
        All options of the metric.
    model
        The model that was explained, at its target; None where there is none.

    Raises
    ------
    UserError
        If the metric needs a model and there is none, or cannot measure what it is given.
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
    if metric.takes("model"):
        if model is None:
            raise UserError(f"{metric.name} asks the network, and nothing here has one")
        of = explanation.samples
        given["model"] = model if of is None else model.with_inputs_held(of)
    numbers = call_plugin(metric, explanation, **given)
    told = [*explanation.provenance.get("metrics", ()), _facts(metric, options)]
    measures = {**explanation.measures, metric.name: numbers}
    return replace(explanation, measures=measures).with_facts({"metrics": told})


def _facts(metric: Plugin, options: Mapping[str, Any]) -> dict[str, Any]:
    return {"metric": metric.name, "options": dict(options), "version": metric.version}
