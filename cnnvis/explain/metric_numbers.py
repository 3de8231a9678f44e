"""Numbers of metrics for the maps of a method: of all images, or of some at a time."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from cnnvis.data.explanation import Explanation
from cnnvis.data.samples import Array
from cnnvis.data.verdict import Verdict
from cnnvis.errors import DiskError, PluginError, UserError
from cnnvis.evaluation.remover import Removal, map_values
from cnnvis.explain.baselines import Baselines
from cnnvis.explain.explainer import Explainer
from cnnvis.explain.measuring import measured
from cnnvis.registry.plugin import Plugin
from cnnvis.reporting import notes_kept, quietly

STEPS = 10
"""Number of steps in which all parts are removed for a curve."""

Metric = tuple[Plugin, Mapping[str, Any]]


@dataclass(frozen=True)
class Numbers:
    """Numbers of metrics for the maps of a method, of some images or of all.

    Attributes
    ----------
    values
        The numbers by their names, (n,) each, by the metric's name.
    verdicts
        The verdicts of metrics that say already why they measure nothing.
    reasons
        Why a metric has no numbers, by its name; also why there are no ``curves``.
    shares
        The shares of the parts that are removed for the curves.
    curves
        The scores after the least important parts are removed first, and after the most important
        ones are, (2, shares, n); empty if nobody asked, or they could not be computed.
    """

    values: Mapping[str, Mapping[str, Array]] = field(default_factory=dict)
    verdicts: Mapping[str, Verdict] = field(default_factory=dict)
    reasons: Mapping[str, str] = field(default_factory=dict)
    shares: tuple[float, ...] = ()
    curves: Array = field(default_factory=lambda: np.zeros((2, 0, 0)))

    @classmethod
    def joined(cls, parts: Sequence[Numbers]) -> Numbers:
        """Return the numbers of all images from those of parts of them, in their order.

        A metric that could not measure a part measures nothing.
        """
        reasons: dict[str, str] = {}
        verdicts: dict[str, Verdict] = {}
        for part in reversed(parts):
            reasons |= part.reasons
            verdicts |= part.verdicts
        first = parts[0]
        values = {
            metric: {
                name: np.concatenate([part.values[metric][name] for part in parts])
                for name in names
                if all(name in part.values[metric] for part in parts)
            }
            for metric, names in first.values.items()
            if metric not in reasons
        }
        if "curves" in reasons:
            return cls(values, verdicts, reasons)
        curves = np.concatenate([part.curves for part in parts], axis=2)
        return cls(values, verdicts, reasons, first.shares, curves)


def numbers_of(
    found: Explanation,
    explainer: Explainer,
    metrics: Sequence[Metric],
    *,
    curves: bool,
    done: Callable[[int], None] = lambda steps: None,
) -> Numbers:
    """Return the numbers of metrics for maps; the failure of one costs no other.

    Parameters
    ----------
    found
        The maps as the technique made them.
    explainer
        What made the maps.
    curves
        Compute the curves of the score as parts are removed, too.
    done
        Function that is called with 1 after each metric.

    Raises
    ------
    DiskError
        If the disk fails.
    """
    values: dict[str, Mapping[str, Array]] = {}
    verdicts: dict[str, Verdict] = {}
    reasons: dict[str, str] = {}
    for metric, options in metrics:
        try:
            with quietly(), notes_kept():
                one = measured(found, metric, options, explainer.task.models, explainer)
        except DiskError:
            raise
        except (UserError, PluginError) as error:
            reasons[metric.name] = str(error)
        else:
            (fact,) = one.provenance["metrics"]
            names = fact["measures"] or [metric.name]
            values[metric.name] = {name: one.measures[name] for name in names}
            verdicts |= one.verdicts
        done(1)
    if curves:
        try:
            return Numbers(values, verdicts, reasons, *_curves(found, explainer))
        except (
            UserError
        ) as error:  # of maps that are smaller than the input, or data without a mean
            reasons["curves"] = str(error)
    return Numbers(values, verdicts, reasons)


def _curves(found: Explanation, explainer: Explainer) -> tuple[tuple[float, ...], Array]:
    """Return the shares of parts that are removed, and the scores; see `Numbers`.

    Raises
    ------
    UserError
        If the maps are smaller than the input, or the data have no mean.
    """
    assert found.samples is not None
    with quietly(), notes_kept():
        samples = Baselines(("mean",), lambda: explainer.task.data).ready(found.samples)
        found = replace(found, samples=samples)
        maps = map_values(found, "curves")
        removal = Removal.of(found, explainer.model.with_inputs_held(samples))
        counts = removal.steps(STEPS)
        scores = [removal.curve(maps, counts, least_first=first) for first in (True, False)]
    return tuple(count / removal.count for count in counts), np.stack(scores)
