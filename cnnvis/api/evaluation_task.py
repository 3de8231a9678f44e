"""Methods and images to evaluate, from the arguments of a person."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from cnnvis.api.steps import Step, StepLike, steps_of
from cnnvis.data.class_names import names_in_order
from cnnvis.data.image_selection import selection_of
from cnnvis.errors import UserError
from cnnvis.explain.checks import places_to_check
from cnnvis.explain.request import Request
from cnnvis.explain.task import Task
from cnnvis.registry.arguments import DataArguments, LoadOptions, Style, TargetArguments, taken_out
from cnnvis.reporting import note


def methods_of(methods: Sequence[StepLike], style: Style | None) -> list[Step]:
    """Return the techniques to evaluate, or to report on.

    Raises
    ------
    UserError
        If one is no technique, or gives no map for each image; or if two are the same.
    """
    steps = steps_of(methods, style)
    for step in steps:
        if step.plugin.kind != "technique":
            raise UserError(
                f"{step.plugin.name} is a {step.plugin.kind}, and only techniques can be evaluated"
            )
        if not step.plugin.gives_maps_of_images:
            raise UserError(
                f"{step.plugin.name} gives no map for each image, so it is not evaluated"
            )
        _ = step.options
    names = [named(step) for step in steps]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise UserError(f"{twice} is named twice, with the same options")
    return steps


def named(step: Step) -> str:
    """Return the name of a method: the technique and the options that were given."""
    return " ".join([step.plugin.name, *(f"{key}={value}" for key, value in step.given.items())])


def request_of(
    model: Any, subject: dict[str, Any], options: Mapping[str, Any], verb: str
) -> Request:
    """Return the request of the arguments of a verb of this package; it has no others."""
    subject = {**subject, "class_names": names_in_order(subject.get("class_names"))}
    subject["images"] = selection_of(subject.get("images"))
    data = taken_out(subject, DataArguments)
    target, loading = taken_out(subject, TargetArguments), taken_out(subject, LoadOptions)
    strict = subject.pop("strict", False)
    if subject:
        raise UserError(f"{verb} has no argument {next(iter(subject))!r}")
    return Request(model, data, target, loading, options, strict)


def of_one_input(task: Task, *, spread_out: bool) -> Task:
    """Return the task for its only input, with at most 32 images where nobody chose some.

    Raises
    ------
    UserError
        If several outputs, or inputs, of the network get a map.
    """
    if task.targets:
        raise UserError(
            f"an evaluation compares methods by one map of each image, and {len(task.targets)} outputs "
            "are asked for: name one output, or add their scores up with --together (together=True)"
        )
    names = task.explained_inputs
    if len(names) > 1:
        raise UserError(
            f"the network has several inputs, {', '.join(names)}, and an evaluation is of one: name it "
            f"with --input {names[0]}"
        )
    samples = task.samples[names[0]]
    rows = places_to_check(samples)
    if spread_out and len(rows) < len(samples):
        note(f"only {len(rows)} of {len(samples)} images are used; --images all uses all")
        samples = samples.picked(np.array(rows))
    return replace(task, samples={names[0]: samples}, inputs=names[:1])
