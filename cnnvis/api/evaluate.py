"""Evaluation of methods: what checks and other metrics say of each, on the same images."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np

from cnnvis import demo
from cnnvis.api.evaluation_task import methods_of, named, of_one_input, request_of
from cnnvis.api.from_python import from_python
from cnnvis.api.remote_methods import methods_on
from cnnvis.api.steps import Step, StepLike
from cnnvis.data.axes import Axis
from cnnvis.data.explanation import Explanation
from cnnvis.data.samples import Array, Samples
from cnnvis.data.shown import Shown
from cnnvis.data.verdict import Verdict
from cnnvis.errors import DiskError, PluginError, UserError, together
from cnnvis.evaluation.bootstrap import bootstrap_interval
from cnnvis.execution.isolation import isolates
from cnnvis.explain.baselines import named_in
from cnnvis.explain.checks import Checks
from cnnvis.explain.explainer import Explainer
from cnnvis.explain.measuring import verdict_of
from cnnvis.explain.metric_numbers import Metric, Numbers, numbers_of
from cnnvis.explain.provenance import provenance_of
from cnnvis.explain.task import Task
from cnnvis.registry.discovery import registry
from cnnvis.registry.options import checked
from cnnvis.reporting import note, notes_kept, progress, quietly
from cnnvis.runs.on import on_of, with_request

CURVES = "by the removed share of the parts, filled with the mean of the data: the mean score, least first, most first"
"""Description of the curves of an evaluation, for its files."""

Measure = Callable[[Step], tuple[Array, Numbers]]
"""Function of a method that returns the places of images with maps, and numbers of their maps."""


@dataclass(frozen=True)
class Method:
    """Numbers and verdicts of metrics for a method.

    Attributes
    ----------
    name
        The technique's name, with the options that were given.
    values
        The numbers of each metric for each image of the evaluation, (n,), by the metric's name; NaN
        where there is none.
    verdicts
        The verdicts of metrics that judge, by their names.
    reasons
        By the name of a metric without numbers: why there are none.
    failure
        Why the method gave no maps; empty where it gave some.
    curves
        By the share of the parts that is removed: the mean score after the least important parts are
        removed first, and after the most important ones are. Empty if curves were not asked for, or
        could not be computed.
    """

    name: str
    values: Mapping[str, Array] = field(default_factory=dict)
    verdicts: Mapping[str, Verdict] = field(default_factory=dict)
    reasons: Mapping[str, str] = field(default_factory=dict)
    failure: str = ""
    curves: Mapping[float, tuple[float, float]] = field(default_factory=dict)

    def count(self, outcome: str, checks: Sequence[str]) -> int:
        """Return the number of verdicts of some checks with an outcome."""
        return sum(one.outcome == outcome for name, one in self.verdicts.items() if name in checks)

    def mean(self, metric: str) -> float | None:
        """Return the mean of a metric over all images; None without numbers."""
        known = self._known(metric)
        return float(known.mean()) if len(known) else None

    def interval(self, metric: str) -> tuple[float, float] | None:
        """Return the 95 % bootstrap interval of the mean; None for fewer than five images."""
        return bootstrap_interval(self._known(metric))

    def _known(self, metric: str) -> Array:
        values = self.values.get(metric, np.array([]))
        found: Array = values[~np.isnan(values)]
        return found


@dataclass(frozen=True)
class Evaluation(Shown):
    """Methods by checks.

    Attributes
    ----------
    methods
        The methods, the best first; see `places`.
    places
        The place of each method: first those whose maps failed the fewest of the checks in `common`,
        then those with the fewest warnings, then by `decides`. Methods have the same place where the
        95 % bootstrap interval of the difference, image by image, holds 0: then the images do not
        decide. 0 for a method that gave no maps.
    metrics
        The names of the metrics.
    better
        Whether higher or lower numbers of a metric are better, by its name; None where neither is.
    common
        The checks that judged every method: only these can put one method before another.
    decides
        The metric by which methods are ordered that failed as many checks; None without one.
    indices
        The places of the images in the data, (n,).
    notes
        Sentences that a person should read beside the result.
    provenance
        The origin of the evaluation: plain JSON values by name.
    """

    methods: tuple[Method, ...]
    places: tuple[int, ...]
    metrics: tuple[str, ...]
    better: Mapping[str, str | None]
    common: tuple[str, ...]
    decides: str | None
    indices: Array
    notes: tuple[str, ...] = ()
    provenance: Mapping[str, Any] = field(default_factory=dict)

    def __repr__(self) -> str:
        order = ", ".join(f"{place or '-'} {one.name}"
                          for place, one in zip(self.places, self.methods, strict=True))  # fmt: skip
        return f"<Evaluation: {order}; {', '.join(self.metrics)}, {len(self.indices)} images>"

    @property
    def table(self) -> dict[str, list[Any]]:
        """Table of all numbers: a row for each method and metric, with the interval of the mean."""
        rows: list[dict[str, Any]] = []
        for place, method in zip(self.places, self.methods, strict=True):
            for metric in self.metrics:
                verdict, interval = method.verdicts.get(metric), method.interval(metric)
                low, high = (None, None) if interval is None else interval
                reason = method.failure or method.reasons.get(metric, "")
                rows.append({
                    "place": place, "method": method.name, "metric": metric,
                    "mean": method.mean(metric), "low": low, "high": high,
                    "images": int((~np.isnan(method.values.get(metric, np.array([])))).sum()),
                    "better": self.better[metric],
                    "outcome": None if verdict is None else verdict.outcome,
                    "meaning": reason if verdict is None else verdict.meaning,
                })  # fmt: skip
        return {name: [row[name] for row in rows] for name in rows[0]}

    @property
    def facts(self) -> dict[str, Any]:
        """All that was found, as plain JSON values."""
        return {
            "methods": [
                {
                    "place": place,
                    "name": method.name,
                    "failure": method.failure or None,
                    "metrics": {metric: self._of(method, metric) for metric in self.metrics},
                    "curves": {f"{share:g}": both for share, both in method.curves.items()},
                }
                for place, method in zip(self.places, self.methods, strict=True)
            ],
            "common": list(self.common),
            "decides": self.decides,
            "notes": list(self.notes),
            "images": self.indices.tolist(),
            **self.provenance,
        }

    def _of(self, method: Method, metric: str) -> dict[str, Any]:
        verdict = method.verdicts.get(metric)
        values = method.values.get(metric)
        return {
            "mean": method.mean(metric),
            "interval": method.interval(metric),
            "values": None
            if values is None
            else [None if np.isnan(v) else float(v) for v in values],
            "better": self.better[metric],
            "verdict": None if verdict is None else asdict(verdict),
            "reason": method.reasons.get(metric),
        }

    def figure(self) -> Explanation:
        """Return the curves of all methods: the score as parts are removed, one map for each curve.

        Raises
        ------
        UserError
            If the evaluation has no curves.
        """
        drawn = [method for method in self.methods if method.curves]
        if not drawn:
            raise UserError(
                "the evaluation has no curves: ask for them with curves=True, of maps as large as the input"
            )
        orders = ("score, most important parts removed first", "score, least important first")
        curves = [
            [scores[1 - number] for scores in method.curves.values()]
            for number in (0, 1)
            for method in drawn
        ]
        titles = [f"{method.name}\n{order}" for order in orders for method in drawn]
        share = Axis("removed parts", "%", values=tuple(100 * one for one in drawn[0].curves))
        found = Explanation(
            np.array(curves, np.float32), axes=("position",), titles=tuple(titles),
            signed=True, provenance={"technique": "evaluate", "options": {}, **self.provenance},
        )  # fmt: skip
        return found.described({"position": share})


@isolates
@from_python
def evaluate(
    methods: Sequence[StepLike],
    model: Any,
    *,
    metrics: str | Sequence[str] | None = None,
    curves: bool = False,
    on: Any = None,
    isolate: bool | str | Sequence[str] = False,
    isolate_timeout: float | None = None,
    isolate_memory: float | None = None,
    **subject: Any,
) -> Evaluation:
    """Evaluate methods on the same images, with the same masks and seeds for all.

    Parameters
    ----------
    methods
        Techniques: names, or pairs of a name and options, ``("saliency", {"backprop": None})``.
    model
        As in `cnnvis.run`.
    metrics
        The names of metrics; by default all checks, the metrics that judge.
    curves
        Compute the curves of the score as parts are removed, for `Evaluation.figure`.
    on
        The workers that evaluate, each a method on some of the images at a time: see `cnnvis.run`. No
        run folder is needed; workers open the model and the data by their paths.
    isolate, isolate_timeout, isolate_memory
        As in `cnnvis.run`.
    subject
        The model and data to explain, and the options of metrics, as the arguments of `cnnvis.run` by
        name: ``data``, ``images``, ``layer``, ``plugin_options``, ... Without ``images``, at most 32
        images, evenly spread over the data.

    Raises
    ------
    UserError
        If a method gives no map for each image, or the call, the model or the data hold a mistake; also
        if no metric has any number. A method or a metric that fails alone is named in the result.
    PluginError
        If all methods fail, and one by a fault of a plugin.
    """
    chosen = methods_of(methods, subject.pop("style", None))
    style = chosen[0].style
    options = subject.pop("plugin_options", None) or {}
    measuring = _metrics(metrics, options)
    if isinstance(model, str) and model == demo.NAME:
        subject.setdefault("data", demo.NAME)
    request = replace(request_of(model, subject, options, "evaluate"), style=style)
    workers = None if on is None else with_request(on_of(on), request)
    for step in chosen:
        named_in(step.plugin, step.options)
    spread_out = subject.get("images") is None
    with notes_kept() as notes:
        task = of_one_input(
            Task.of(request, [step.plugin for step in chosen]), spread_out=spread_out
        )
        if workers is None:
            found = evaluation_of(task, chosen, measuring, curves=curves)
        else:
            with methods_on(
                workers, task, chosen, measuring, curves=curves, spread_out=spread_out
            ) as there:
                found = _evaluation(task, chosen, measuring, there.numbers, curves)
    return replace(found, notes=tuple(dict.fromkeys(notes)))


def evaluation_of(
    task: Task, chosen: Sequence[Step], measuring: Sequence[Metric], *, curves: bool
) -> Evaluation:
    """Return what metrics say of techniques on all images of a task, of one target and one input.

    Raises
    ------
    UserError
        If no metric has any number, or all methods fail.
    PluginError
        If all methods fail, and one by a fault of a plugin.
    """
    with progress("evaluating", len(chosen) * (len(measuring) + 1)) as done:

        def measure(step: Step) -> tuple[Array, Numbers]:
            try:
                with quietly():
                    results = task.explained(step.plugin, step.options)
                    found = next(iter(results.values())).whole()
            except (UserError, PluginError):
                done(len(measuring) + 1)
                raise
            done(1)
            explainer = Explainer(task, step.plugin, step.options)
            numbers = numbers_of(found, explainer, measuring, curves=curves, done=done)
            return np.asarray(found.indices), numbers

        return _evaluation(task, chosen, measuring, measure, curves)


def _evaluation(
    task: Task,
    chosen: Sequence[Step],
    measuring: Sequence[Metric],
    measure: Measure,
    curves: bool,
) -> Evaluation:
    (samples,) = task.samples.values()
    failures: list[UserError | PluginError] = []
    names = [metric.name for metric, _ in measuring]
    found = [_evaluated(step, samples, names, measure, failures) for step in chosen]
    if all(one.failure for one in found):
        raise together(failures)
    if not any(
        one.mean(name) is not None or name in one.verdicts for one in found for name in one.values
    ):
        reasons = dict.fromkeys(reason for one in found for reason in one.reasons.values())
        raise UserError(" ".join(f"{reason.rstrip('.')}." for reason in reasons))
    better = {metric.name: metric.better for metric, _ in measuring}
    decides = "srg" if "srg" in better else next((name for name in better if better[name]), None)
    common = _common(found)
    lacking = [one.name for one in found if not one.failure and one.mean(decides or "") is None]
    if decides is not None and lacking:
        note(f"{decides} has no number for {', '.join(lacking)}, so it orders no methods")
        decides = None
    order, places = _ordered(found, common, decides, better.get(decides or ""))
    facts = provenance_of(chosen[0].plugin, chosen[0].options, task.model, samples)
    facts = {name: facts[name] for name in ("model", "data", "versions") if name in facts}
    facts |= {"style": task.style} if task.style != "default" else {}
    facts |= {
        "techniques": {named(step): step.options for step in chosen},
        "options_of_metrics": {metric.name: dict(given) for metric, given in measuring},
        **({"curves": CURVES} if curves else {}),
    }
    return Evaluation(
        tuple(order), tuple(places), tuple(better), better, common, decides, samples.indices,
        provenance=facts,
    )  # fmt: skip


def _metrics(
    names: str | Sequence[str] | None, options: Mapping[str, Mapping[str, Any]]
) -> list[Metric]:
    if names is None:
        return list(Checks.of("full", options).metrics)
    asked = [names] if isinstance(names, str) else list(dict.fromkeys(names))
    found: list[Metric] = []
    for name in asked:
        metric = registry().get("metric", name)
        found.append((metric, checked(metric, options.get(metric.name, {}))))
        named_in(*found[-1])
    if not found:
        raise UserError("an evaluation needs metrics, such as srg")
    return found


def _evaluated(
    step: Step,
    samples: Samples,
    metrics: Sequence[str],
    measure: Measure,
    failures: list[UserError | PluginError],
) -> Method:
    """Return what metrics say of a method; a failure is added to the failures and costs no other."""
    try:
        indices, numbers = measure(step)
    except DiskError:
        raise
    except (UserError, PluginError) as error:
        failures.append(error)
        return Method(named(step), failure=str(error))
    rows = np.flatnonzero(np.isin(samples.indices, indices))
    values, verdicts, reasons = dict[str, Array](), dict[str, Verdict](), dict(numbers.reasons)
    for name in metrics:
        if name in reasons:
            continue
        try:
            verdict = numbers.verdicts.get(name) or verdict_of(name, numbers.values[name])
        except PluginError as error:
            reasons[name] = str(error)
            continue
        verdicts |= {} if verdict is None else {name: verdict}
        values[name] = np.full(len(samples), np.nan)
        values[name][rows] = numbers.values[name][name]
    shown = zip(numbers.shares, *numbers.curves.mean(axis=2), strict=True) if numbers.shares else ()
    drawn = {share: (float(least), float(most)) for share, least, most in shown}
    return Method(named(step), values, verdicts, reasons, curves=drawn)


def _common(methods: Sequence[Method]) -> tuple[str, ...]:
    """Return the checks that judged every method that gave maps."""
    judged = [
        {name for name, one in method.verdicts.items() if one.outcome != "information"}
        for method in methods
        if not method.failure
    ]
    names = next((method.verdicts for method in methods if not method.failure), {})
    return tuple(name for name in names if all(name in one for one in judged))


def _ordered(
    methods: Sequence[Method], common: Sequence[str], decides: str | None, better: str | None
) -> tuple[list[Method], list[int]]:
    """Return the methods, the best first, and the place of each; see `Evaluation`."""
    sign = -1 if better == "lower" else 1

    def level(method: Method) -> tuple[bool, int, int]:
        return (
            bool(method.failure), method.count("failed", common), method.count("warned", common),
        )  # fmt: skip

    def key(method: Method) -> tuple[tuple[bool, int, int], float]:
        mean = method.mean(decides) if decides else None
        return level(method), np.inf if mean is None else -sign * mean

    order = sorted(methods, key=key)
    places: list[int] = []
    first: Method | None = None
    for number, method in enumerate(order, 1):
        if method.failure:
            places.append(0)
        elif (
            first is None
            or level(method) != level(first)
            or _is_worse(first, method, decides, sign)
        ):
            first = method
            places.append(number)
        else:
            places.append(places[-1])
    return order, places


def _is_worse(first: Method, other: Method, decides: str | None, sign: int) -> bool:
    """Tell whether images decide that a method is worse than the first of its place."""
    if decides is None or not {decides} <= {*first.values} & {*other.values}:
        return False
    interval = bootstrap_interval(sign * (first.values[decides] - other.values[decides]))
    return interval is not None and interval[0] > 0
