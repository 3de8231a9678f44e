"""Answers of a network to all images of a task, of which only a few numbers each are kept."""

from __future__ import annotations

import numpy as np

from cnnvis.api.gallery import Known
from cnnvis.data.batches import Pieces, finite, read_ahead
from cnnvis.data.samples import Array, Samples
from cnnvis.errors import UserError
from cnnvis.explain.agreement import answered_classes, has_label, right_labels
from cnnvis.explain.task import images_at_once
from cnnvis.network.model import Model
from cnnvis.reporting import failure_of_image, progress, quietly


def known_of(model: Model, samples: Samples) -> Known:
    """Ask the network about each image once, batch by batch; images that cannot be read are left out.

    Parameters
    ----------
    samples
        Inputs in the shape of the network's, once for each image.
    """
    count = len(samples)
    known = Known(samples.indices, *(np.full(count, np.nan) for _ in range(3)))
    there = np.ones(count, bool)
    pieces = Pieces(count, images_at_once(samples))
    with progress("asking the network", count) as advance:
        for read in map(finite, read_ahead(samples, pieces)):
            for place, failure in read.failed.items():
                there[place] = False
                failure_of_image(int(samples.indices[place]), failure.reason)
            if read.samples is not None and model.answer is not None:
                with quietly():
                    _ask(model.with_inputs_held(read.samples), read.samples, known, read.good)
            advance(len(read.places))
    return Known(*(one[there] for one in (known.images, known.certainty, known.right, known.error)))


def _ask(model: Model, samples: Samples, known: Known, places: list[int]) -> None:
    """Fill in what the network's answers tell of some images."""
    answer = model.answer
    assert answer is not None
    answers = answer.predict(samples.x)
    if answer.has_classes and answers.ndim == 2:
        known.certainty[places] = _certainty(answer, answers)
    if samples.labels is None:
        return
    if samples.label_kind == "number":
        labels = np.asarray(samples.labels, np.float64).reshape(len(samples), -1)
        found = answers.reshape(len(samples), -1)
        if labels.shape == found.shape:
            known.error[places] = np.abs(found - labels).sum(axis=1)
        return
    try:
        right = right_labels(model, answers, samples).reshape(len(samples), -1).all(axis=1)
    except UserError:  # labels that cannot be compared; the doctor says why
        return
    known.right[places] = np.where(has_label(samples), right, np.nan)


def _certainty(answer: Model, answers: Array) -> Array:
    """Return the probability of the answered class of each image, (n,)."""
    values = np.asarray(answers, np.float64)
    if values.shape[1] == 1:
        one = 1 / (1 + np.exp(-values[:, 0])) if answer.is_logits else values[:, 0]
        found: Array = np.maximum(one, 1 - one)
        return found
    if answer.is_logits:
        values = np.exp(values - values.max(axis=1, keepdims=True))
        values /= values.sum(axis=1, keepdims=True)
    found = values[np.arange(len(values)), answered_classes(answer, answers)]
    return np.asarray(found)
