"""Agreement of a network's answers with labels, in counts and correlations."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from cnnvis.data.labels import LabelKind, has_class
from cnnvis.data.lazy import Array
from cnnvis.data.samples import Samples
from cnnvis.errors import UserError
from cnnvis.network.classes import classes_of
from cnnvis.network.model import Model
from cnnvis.text import words_of


def answered_classes(model: Model, answers: Array) -> Array:
    """Return the class that each answer (..., k) of a network means, at any target.

    See `classes_of`.
    """
    answer = model.answer
    return classes_of(answers, logits=answer is not None and answer.is_logits)


@dataclass(frozen=True)
class Agreement:
    """Agreement of answers with labels.

    Attributes
    ----------
    kind
        The kind of the labels.
    images
        The number of images with a label.
    right
        The number of images whose labels are all right; None for numbers.
    labels, right_labels
        The number of labels of all images, of several or for positions, and the number of right
        labels.
    errors, correlations
        For numbers, the mean absolute error and Pearson's correlation of each; None where labels or
        answers do not vary.
    """

    kind: LabelKind
    images: int
    right: int | None = None
    labels: int | None = None
    right_labels: int | None = None
    errors: tuple[float, ...] = ()
    correlations: tuple[float | None, ...] = field(default=())

    def __str__(self) -> str:
        match self.kind:
            case "class":
                return f"{self.right} of {self.images} labels ({_share(self.right, self.images)})"
            case "several":
                return (
                    f"{self.right_labels} of {self.labels} labels, and all of them right for "
                    f"{self.right} of {self.images} images"
                )
            case "positions":
                share = _share(self.right_labels, self.labels)
                return f"{self.right_labels} of {self.labels} positions ({share})"
        many = len(self.errors) > 1
        return "; ".join(
            f"{f'number {place}: ' if many else ''}mean absolute error {error:.3g}"
            + ("" if correlation is None else f", correlation {correlation:.3f}")
            for place, (error, correlation) in enumerate(
                zip(self.errors, self.correlations, strict=True), 1
            )
        )


def _share(right: int | None, of: int | None) -> str:
    return f"{(right or 0) / of:.1%}" if of else "none"


def agreement_of(model: Model, answers: Array, samples: Samples) -> Agreement:
    """Return the agreement of a network's answers with the labels of samples.

    Parameters
    ----------
    model
        The network, at any target.
    answers
        The network's answers, (n, ...).

    Raises
    ------
    UserError
        If nothing can be counted, with the reason.
    """
    kind = samples.label_kind
    if samples.labels is None or kind is None:
        raise UserError("the data hold no labels")
    if model.answer is None:
        raise UserError("the network's answer was cut off")
    labels = np.asarray(samples.labels[:])
    is_number = kind == "number" or (kind == "class" and answers.shape[1:] == (1,))
    if is_number and not samples.in_words and not model.answer.has_classes:
        return _of_numbers(answers, labels)
    right = right_labels(model, answers, samples)
    right = right[has_label(samples)]
    if not len(right):
        raise UserError("no image has a label")
    each = right.reshape(len(right), -1)
    return Agreement(
        kind,
        len(right),
        int(each.all(axis=1).sum()),
        None if kind == "class" else each.size,
        None if kind == "class" else int(each.sum()),
    )


def has_label(samples: Samples) -> Array:
    """Tell which samples have a label, (n,) bool, where each has one label or none."""
    if samples.labels is None or samples.label_kind != "class":
        return np.full(len(samples), samples.labels is not None)
    return has_class(np.asarray(samples.labels))


def _of_numbers(answers: Array, labels: Array) -> Agreement:
    numbers, found = labels.reshape(len(labels), -1).astype(np.float64), answers
    if answers.ndim != 2 or answers.shape != numbers.shape:
        raise UserError(
            f"the data hold {numbers.shape[1]} numbers for each image and the network answers "
            f"with {_shaped(answers.shape[1:])} numbers, so they cannot be compared"
        )
    known = np.isfinite(numbers).all(axis=1)
    numbers, found = numbers[known], np.asarray(answers, np.float64)[known]
    errors = [float(one) for one in np.abs(numbers - found).mean(axis=0)] if known.any() else []
    correlations = [
        float(np.corrcoef(a, b)[0, 1]) if len(a) > 1 and np.ptp(a) and np.ptp(b) else None
        for a, b in zip(numbers.T, found.T, strict=True)
    ]
    if not errors:
        raise UserError("no image has a label")
    return Agreement(
        "number", int(known.sum()), errors=tuple(errors), correlations=tuple(correlations)
    )


def _shaped(shape: Sequence[int]) -> str:
    return " x ".join(map(str, shape)) if len(shape) > 1 else str(shape[0] if shape else 1)


def right_labels(model: Model, answers: Array, samples: Samples) -> Array:
    """Tell which labels of each sample agree with the network's answer, bool.

    (n,) for one class each, False without a label; (n, k) for several labels, (n, ...) for labels
    of positions.

    Raises
    ------
    UserError
        If labels and answers cannot be compared, with the reason.
    """
    kind = samples.label_kind
    if samples.labels is None or kind is None:
        raise UserError("the data hold no labels")
    if samples.in_words:
        raise UserError(
            f"the labels are the words {words_of(samples.class_names or ())}, and it is not known "
            "which of the network's classes they stand for"
        )
    answer, labels = model.answer, np.asarray(samples.labels[:])
    if kind == "number" and np.isnan(labels).all():
        raise UserError("no image has a label")
    if answer is None:
        raise UserError("the network's answer was cut off")
    each_by_itself = kind == "several" and not answer.is_logits
    if not each_by_itself and not answer.has_classes:
        raise UserError("the network's answer is not known to be a class")
    match kind:
        case "class":
            return _of_classes(answer, answers, labels)
        case "several":
            return _of_several(answer, answers, labels)
        case "positions":
            return _of_positions(answer, answers, labels)
    raise UserError("the labels are numbers, and the network answers with classes")


def _of_classes(answer: Model, answers: Array, labels: Array) -> Array:
    numbers = answered_numbers(answer, answers)
    if numbers is not None:
        _require_known(labels[has_class(labels)], answer.target_units)
        same: Array = numbers == labels
        return same
    if answers.ndim == 1 or (answers.shape[1:] == (1,) and (_units(answer) or 1) > 1):
        raise UserError(
            "there is one label for each image, and the network answers with one number, which is "
            "the number of no class"
        )
    if answers.ndim != 2:
        raise UserError("there is one label for each image, and the network answers for positions")
    _require_known(labels[has_class(labels)], answers.shape[-1])
    found: Array = answered_classes(answer, answers) == labels
    return found


def answered_numbers(answer: Model, answers: Array) -> Array | None:
    """Return the numbers of the classes that a network answers, as from an argmax, (n,), or None.

    Parameters
    ----------
    answer
        The network with its answer as the target: the layer that has an output for each class.
    answers
        The network's answers, (n, ...).
    """
    if answers.shape[1:] not in ((), (1,)) or not answers.size:
        return None
    units, numbers = _units(answer) or 1, answers.reshape(len(answers))
    are_classes = np.isin(numbers, np.arange(units)).all()
    return numbers.astype(np.int64) if units > 1 and are_classes else None


def _units(answer: Model) -> int | None:
    """Return the number of outputs of an answer; None where it depends on the input's size."""
    try:
        return answer.target_units
    except UserError:
        return None


def _require_known(labels: Array, units: int) -> None:
    """Refuse labels that are no classes of the network, such as labels counted from 1."""
    count = max(units, 2)
    low, high = int(labels.min(initial=0)), int(labels.max(initial=0))
    if low < 0 or high >= count:
        low = int(labels.min())
        raise UserError(
            f"the labels run from {low} to {high}, and the network's classes are numbered 0 to "
            f"{count - 1}, so it is not known which label is which class"
        )


def _of_several(answer: Model, answers: Array, labels: Array) -> Array:
    if answers.shape != labels.shape:
        raise UserError(
            f"there are {labels.shape[1]} labels, and the network has {answers.shape[-1]} outputs"
        )
    if not answer.is_logits and np.allclose(answers.sum(axis=-1), 1, atol=1e-3):
        raise UserError(
            "the images have several labels, and the network answers with one class for each "
            "image, since it ends in a softmax"
        )
    found: Array = said_yes(answer, answers) == (labels == 1)
    return found


def said_yes(answer: Model, answers: Array) -> Array:
    """Tell which of several labels a network answers for each image, (n, k) bool: those above 0.5.

    Parameters
    ----------
    answer
        The network with its answer as the target.
    """
    found: Array = answers > (0 if answer.is_logits else 0.5)
    return found


def _of_positions(answer: Model, answers: Array, labels: Array) -> Array:
    if labels.ndim == answers.ndim and labels.shape[-1] == 1:
        labels = labels[..., 0]
    if answer.has_channels_first(answer.layer):
        answers = np.moveaxis(answers, 1, -1)
    if answers.shape[-1] > 1 and labels.shape == answers.shape:  # one-hot at each position
        labels = labels.argmax(axis=-1)
    if labels.shape != answers.shape[:-1]:
        raise UserError(
            f"there are labels for {_shaped(labels.shape[1:])} positions, and the network answers "
            f"for {_shaped(answers.shape[1:-1])}"
        )
    if labels.dtype.kind == "f" and not np.array_equal(labels, np.floor(labels)):
        raise UserError("the labels of positions are numbers, and the network answers with classes")
    _require_known(labels, answers.shape[-1])
    found: Array = answered_classes(answer, answers) == labels
    return found
