"""Checks of baselines: an input of the right shape, whatever other images there are."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np

from cnnvis.data.samples import Array, Samples
from cnnvis.errors import UserError
from cnnvis.execution.calls import call_plugin
from cnnvis.explain.baselines import Baselines
from cnnvis.testing.judging import Violation, may_refuse, require_close
from cnnvis.testing.networks import data_of, shape_of
from cnnvis.testing.subject import PROCESS, Subject, process_unchanged

ARGUMENTS = ("", ":0", ":yes")
"""Arguments to try until the plugin takes one: none, a number, a class of the data."""


def checks_of_baselines(subject: Subject) -> dict[str, Callable[[], None]]:
    """Return the checks of a baseline."""
    return {
        "it works over one spatial axis": partial(_works, subject, 1),
        "it works over two spatial axes": partial(_works, subject, 2),
        "it works over three spatial axes": partial(_works, subject, 3),
        "an image has one baseline, alone and among others": partial(_alone, subject),
        "twice the same gives the same": partial(_repeated, subject),
        "the data stay as they are": partial(_data_unchanged, subject),
        PROCESS: partial(_process_unchanged, subject),
    }


def _samples(axes: int) -> Samples:
    return Samples.of(data_of(shape_of(axes), 12), np.arange(12) % 2, class_names=("no", "yes"))


def _made(subject: Subject, data: Samples, batch: Samples) -> Array:
    arguments = ARGUMENTS if subject.plugin.takes("argument") else ("",)
    for argument in arguments:
        name = subject.plugin.name + argument
        try:
            ready = Baselines([name], lambda: {None: data}).ready(batch)
        except UserError as error:
            refusal = error
        else:
            return np.broadcast_to(ready.baseline(name), batch.source.shape)
    raise refusal


def _works(subject: Subject, axes: int) -> None:
    data = _samples(axes)
    with may_refuse():
        _made(subject, data, data[:3])


def _alone(subject: Subject) -> None:
    data = _samples(2)
    with may_refuse():
        together = _made(subject, data, data[:3])
    parts = [_made(subject, data, data[[place]]) for place in range(3)]
    require_close(
        together, np.concatenate(parts), "the baseline of an image depends on the other images"
    )


def _repeated(subject: Subject) -> None:
    data = _samples(2)
    with may_refuse():
        found = _made(subject, data, data[:3])
    require_close(
        found, _made(subject, data, data[:3]),
        "twice the same gave two baselines: draw random numbers from the samples' indices",
    )  # fmt: skip


def _data_unchanged(subject: Subject) -> None:
    data = _samples(2)
    before = data.x.copy()
    with may_refuse():
        _made(subject, data, data[:3])
    if not np.array_equal(before, data.x):
        raise Violation("it changed the data that it was given: work on a copy")


def _process_unchanged(subject: Subject) -> None:
    data, plugin = _samples(2), subject.watched.plugin
    given = {"data": data, "samples": data[:3], "argument": ""}
    named = {name: one for name, one in given.items() if plugin.takes(name)}
    with may_refuse():
        process_unchanged(lambda: call_plugin(plugin, **named))
