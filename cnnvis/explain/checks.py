"""Checks beside maps: metrics that judge, on some of the images and within a share of the time."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, get_args

import numpy as np

from cnnvis.data.explanation import Explanation
from cnnvis.data.samples import Samples, evenly_spaced
from cnnvis.errors import DiskError, PluginError, UserError, shown
from cnnvis.explain.baselines import named_in
from cnnvis.explain.explainer import Explainer
from cnnvis.explain.measuring import judged, measured
from cnnvis.explain.several import images_in, number_of_targets
from cnnvis.network.model import Model
from cnnvis.registry.arguments import Level
from cnnvis.registry.discovery import registry
from cnnvis.registry.options import checked
from cnnvis.registry.plugin import Plugin
from cnnvis.reporting import failures_kept, notes_kept, progress, quietly, verdict

FIRST = ("sanity", "completeness", "srg", "class-sensitivity", "randomization")
"""Checks in their order, the cheapest and the most telling first; those of other packages follow."""

MOST = 32
"""Maximum number of images that are checked."""

BYTES = 2**28
"""Maximum number of bytes of the images that are checked, unless a single image has more."""

SHARE, LEAST = 0.2, 2.0
"""Time of quick checks: a share of the time that the maps take, and at least so many seconds."""

TIMED, SHORT = 4, 1.0
"""Number of images by which a pass forwards is timed, unless the maps of all took so few seconds."""

LEFT_OUT, NOT_COMPUTED = "left out", "not computed"
"""Reported outcomes of a check without numbers: the time was too short, or its computing failed."""


@dataclass(frozen=True)
class Checks:
    """Checks of a run.

    Attributes
    ----------
    metrics
        The metrics that judge, in their order, each with all of its options.
    is_timed
        True where a check that does not fit into the time is left out.
    """

    metrics: Sequence[tuple[Plugin, Mapping[str, Any]]] = ()
    is_timed: bool = False

    @classmethod
    def of(
        cls,
        level: Level | None,
        options: Mapping[str, Mapping[str, Any]],
        without: Sequence[str] = (),
    ) -> Checks:
        """Return the checks of a level.

        Parameters
        ----------
        level
            ``none``, ``quick`` or ``full``; None for the variable ``CNNVIS_CHECKS``, else quick.
        options
            Options of metrics, by the metrics' names.
        without
            Names of metrics that are asked for apart from the checks.

        Raises
        ------
        UserError
            If there is no such level.
        """
        asked = level or os.environ.get("CNNVIS_CHECKS") or "quick"
        if asked not in get_args(Level):
            where = "" if level else " (the variable CNNVIS_CHECKS)"
            raise UserError(f"checks{where} are none, quick or full, not {shown(asked)}")
        if asked == "none":
            return cls()
        known = {metric.name: metric for metric in registry().of("metric")}
        names = [*FIRST, *sorted(set(known) - set(FIRST))]
        judging = [
            known[name]
            for name in names
            if name in known and name not in without and known[name].judge is not None
        ]
        if asked == "quick":
            judging = [metric for metric in judging if metric.cost is not None]
        every = [(metric, checked(metric, options.get(metric.name, {}))) for metric in judging]
        for metric, given in every:
            named_in(metric, given)
        return cls(every, asked == "quick")

    def with_verdicts(
        self, found: Explanation, explainer: Explainer, seconds: float
    ) -> Explanation:
        """Return an explanation with the verdicts of the checks in its provenance.

        Parameters
        ----------
        found
            All maps of a technique, for one of the network's inputs.
        seconds
            The time that they took.
        """
        if not self.metrics or found.maps is None or found.samples is None:
            return found
        rows = places_to_check(found.samples)
        some = found if len(rows) == len(found) else found[rows]
        facts = self._facts(some, explainer, seconds * len(rows) / max(len(found), 1), seconds)
        technique = explainer.plugin.name
        said = _said(facts, technique, found.samples, len(rows))
        return found.with_facts(said)

    def verdicts_ahead(self, explainer: Explainer, name: str | None) -> dict[str, Any]:
        """Return the verdicts about maps that are not all at hand, as facts of provenance.

        Some of the images are explained for that.

        Parameters
        ----------
        name
            The input of the network that gets the maps.
        """
        if not self.metrics:
            return {}
        samples = explainer.task.samples[name]
        rows = places_to_check(samples)
        some = {name: samples.picked(np.array(rows))}
        inputs = None if name is None else (name,)
        task = replace(explainer.task, samples=some, inputs=inputs, stops=False)
        before = time.monotonic()
        try:
            with notes_kept(), failures_kept(), quietly():
                results = task.explained(explainer.plugin, explainer.options, strict=False)
                found = next(iter(results.values())).whole()
        except DiskError:
            raise
        except (UserError, PluginError) as error:
            why = f"the images to check have no maps: {str(error).rstrip('.')}"
            lacking = [_not_computed(metric, options, why) for metric, options in self.metrics]
            technique = explainer.plugin.name
            return _said(lacking, technique, samples, 0)
        seconds = time.monotonic() - before
        facts = self._facts(found, explainer, seconds, seconds * len(samples) / len(rows))
        return _said(facts, explainer.plugin.name, samples, len(found))

    def _facts(
        self, found: Explanation, explainer: Explainer, seconds: float, whole: float
    ) -> list[dict[str, Any]]:
        """Return the facts of each check: of some images, whose maps took so many seconds."""
        budget = max(LEAST, SHARE * whole)
        begin = time.monotonic()
        clock = _Clock(explainer, found, seconds)
        facts = []
        with progress("checking", len(self.metrics)) as done:
            for metric, options in self.metrics:
                spent = time.monotonic() - begin
                if self.is_timed and spent + clock.estimated(metric) > budget:
                    why = 'left out for lack of time; --checks full (checks="full") computes it'
                    facts.append(_lacking(metric, options, LEFT_OUT, why))
                else:
                    begun = time.monotonic()
                    with quietly(), notes_kept():
                        fact = _checked(found, metric, options, explainer)
                    if metric.name in fact.get("means", {}):  # else it may have made no maps
                        clock.learn(metric, time.monotonic() - begun)
                    facts.append(fact)
                done(1)
        return facts


class _Clock:
    """Estimates of the time that checks take, mended by what they took."""

    def __init__(self, explainer: Explainer, found: Explanation, seconds: float) -> None:
        self._explainer = explainer
        self._found = found
        self._map = seconds / max(len(found), 1)
        self._pass: float | None = None

    def estimated(self, metric: Plugin) -> float:
        """Return the seconds that a check will take."""
        if metric.cost is None:
            return 0.0
        needed: float = self._maps(metric) * self._map
        if metric.cost.passes:
            needed += metric.cost.passes * self._seconds_of_pass()
        return needed * len(self._found)

    def learn(self, metric: Plugin, seconds: float) -> None:
        """Mend the estimate of a map's time by what a check took."""
        maps = self._maps(metric)
        if maps:
            self._map = seconds / maps / max(len(self._found), 1)

    def _maps(self, metric: Plugin) -> float:
        return metric.cost.signed_maps if metric.cost and self._explainer.has_signs else 0.0

    def _seconds_of_pass(self) -> float:
        if self._pass is None:
            assert self._found.samples is not None
            # A pass of few images takes longer for each; of all, it takes less than their maps took.
            is_short = self._map * len(self._found) < SHORT
            some = self._found.samples[: len(self._found) if is_short else TIMED]
            model = self._explainer.task.models[0].with_inputs_held(some)
            self._pass = _seconds_of(model, some)
        return self._pass


def _seconds_of(model: Model, samples: Samples) -> float:
    """Return the seconds of a pass forwards for an image, once the network is compiled."""
    x = np.asarray(samples.x, np.float32)
    seconds = 0.0
    for _ in range(2):
        begin = time.monotonic()
        model.scores(x, weights=model.target_weights(x))
        seconds = time.monotonic() - begin
    return seconds / len(x)


def number_to_check(samples: Samples) -> int:
    """Return the number of images that are checked: fewer where images are large."""
    each = 4 * math.prod(samples.source.shape[1:])
    images = len(samples) // number_of_targets(samples)
    return max(min(images, MOST, BYTES // max(each, 1)), 1)


def places_to_check(samples: Samples) -> list[int]:
    """Return places of the images that are checked, evenly spread over all.

    Of an image that has a map for each of several targets, one is checked, of the targets in turn:
    several maps of an image are no independent witnesses.
    """
    images = images_in(samples)
    places = evenly_spaced(len(images), number_to_check(samples))
    return [images[at][number % len(images[at])] for number, at in enumerate(places)]


def _checked(
    found: Explanation, metric: Plugin, options: Mapping[str, Any], explainer: Explainer
) -> dict[str, Any]:
    """Return the facts of a check; of one that cannot be computed, why."""
    facts = {key: value for key, value in found.provenance.items() if key != "metrics"}
    found = replace(found, provenance=facts)
    try:
        done = judged(measured(found, metric, options, explainer.task.models, explainer))
    except DiskError:
        raise
    except (UserError, PluginError) as error:
        return _not_computed(metric, options, str(error).rstrip("."))
    (fact,) = done.provenance["metrics"]
    means = {
        name: float(np.nanmean(done.measures[name]))
        for name in fact.pop("measures")
        if not np.isnan(done.measures[name]).all()
    }
    return {**fact, "means": means}


def _not_computed(metric: Plugin, options: Mapping[str, Any], why: str) -> dict[str, Any]:
    return _lacking(metric, options, NOT_COMPUTED, f"not computed: {why}")


def _lacking(
    metric: Plugin, options: Mapping[str, Any], reported: str, meaning: str
) -> dict[str, Any]:
    """Return the facts of a check without numbers, with the outcome that is reported of it."""
    said = {"outcome": "information", "meaning": meaning}
    known = {"metric": metric.name, "options": dict(options), "version": metric.version}
    return {**known, "verdict": said, "reported": reported}


def _said(
    facts: Sequence[dict[str, Any]], technique: str, samples: Samples, checked: int
) -> dict[str, Any]:
    """Report the verdicts, and return them as facts of provenance, with the number of images."""
    of = len(images_in(samples))
    some = f" ({checked} of {of} images were checked)" if checked < of else ""
    if number_of_targets(samples) > 1:
        some = f" (one map of each of {checked} of {of} images was checked, the targets in turn)"
    every = []
    for fact in facts:
        outcome, meaning = fact["verdict"]["outcome"], fact["verdict"]["meaning"]
        if fact.get("means"):
            meaning += some
            fact = {**fact, "images": checked}
        reported = fact.pop("reported", outcome)
        verdict(technique, samples.input or "", fact["metric"], reported, meaning)
        every.append({**fact, "verdict": {"outcome": outcome, "meaning": meaning}})
    return {"checks": every}
