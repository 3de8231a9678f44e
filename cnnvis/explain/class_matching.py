"""Matching of the labels of data to a network's classes, by their names."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from cnnvis.data.class_names import ClassNames, names_in_order
from cnnvis.data.labels import has_class, known_numbers
from cnnvis.data.samples import Samples
from cnnvis.errors import UserError, numbered
from cnnvis.network.model import Model
from cnnvis.text import words_of

FEW = 30
"""Maximum number of names that are written out in advice on what to type."""


@dataclass(frozen=True)
class Matching:
    """Samples whose labels are numbered as the network numbers its classes, where that is known.

    Attributes
    ----------
    samples
        The samples; None without data.
    names
        The names of the network's classes, in its order; None where they are not known.
    note
        The assumptions that were made, or the reason why words stand for no class, with a remedy;
        may be empty.
    by_name
        True where the labels have their own names, so that names in another order would change the
        labels' numbers.
    are_strange
        True where some labels are no numbers of classes, so that the classes of labels are not
        known.
    """

    samples: Samples | None
    names: tuple[str, ...] | None
    note: str = ""
    by_name: bool = False
    are_strange: bool = False

    @property
    def is_open(self) -> bool:
        """True where the classes that the labels' words stand for are unknown."""
        return self.samples is not None and self.samples.in_words


def matched(samples: Samples | None, given: ClassNames | None, model: Model | None) -> Matching:
    """Match the labels of samples to the classes of a network.

    Names that are given, or that come with the data's numbers or the model, are in the network's
    order, and words are looked up among these names; so are numbers that are names and no places.
    Without any names, if the number of words is the network's number of classes, the words are
    these classes in alphabetical order, as Keras numbers the folders of classes. Numbers that are
    none of the network's classes stay numbers.

    Parameters
    ----------
    samples
        The data as they were read.
    given
        Names that a person gives for the classes, in the network's order; see `names_in_order`.
    model
        The network, at any target; None without a network.

    Raises
    ------
    UserError
        If names do not agree with each other or with the network, with a remedy.
    """
    given = names_in_order(given)
    if given is not None:
        _require_fitting(given, model)
    of_model = None if model is None else model.class_names
    names = given or of_model
    if samples is None:
        return Matching(None, names)
    own = None if samples.in_words else samples.class_names
    if given is None and own is not None and of_model is not None and set(own).isdisjoint(of_model):
        raise UserError(
            f"the data call the classes {words_of(own)} and the model calls them "
            f"{words_of(of_model)}; give their names with class_names (--class-names)"
        )
    if own is not None:
        samples = samples.named(own)
    called = samples.class_names
    by_name = called is not None and (names is None or not set(called).isdisjoint(names))
    note = ""
    if names is not None:
        samples, before = samples.named(names), samples
        note = _of_numbers(before, samples)
        by_name = by_name or bool(note)
    elif samples.in_words:
        return replace(_by_alphabet(samples, model), by_name=True)
    _require_columns(samples)
    note = _of_other_number(samples, model) or note
    strange = _of_strange(samples, model)
    if not strange:
        return Matching(samples, samples.class_names, note, by_name)
    # A name for a label that may stand for another class would be a guess.
    plain = samples if samples.are_places else replace(samples, class_names=None)
    return Matching(plain, samples.class_names, note or strange, by_name, not note)


def about_columns(samples: Samples | None, model: Model | None) -> str:
    """Return a note if images have more or fewer labels than the network outputs, or nothing."""
    answer = None if model is None else model.answer
    if samples is None or samples.label_kind != "several" or samples.labels is None:
        return ""
    try:
        units = 0 if answer is None else answer.target_units
    except UserError:  # it has as many outputs as its input is large
        return ""
    columns = samples.labels.shape[1]
    if answer is None or samples.in_words or units in (0, columns):
        return ""
    return (
        f"there are {columns} labels for each image, and {answer.layer!r} has {units} "
        f"output{'s' if units > 1 else ''}, so it is not known which label belongs to which output, "
        "and no label counts as right; leave out the columns that the network does not know"
    )


def class_count(model: Model | None) -> int | None:
    """Return the number of classes of a network; None without classes.

    As many classes as outputs, or 2 for one sigmoid.
    """
    answer = None if model is None else model.answer
    try:
        units = 0 if answer is None else answer.target_units
    except UserError:  # it has as many outputs as its input is large
        return None
    if answer is None or units > 1:
        return units or None
    return 2 if answer.has_classes else None


def typed_names(names: Sequence[str], *, every: bool = False) -> str:
    """Return the option for these names, as it is typed; with a placeholder for many names.

    Parameters
    ----------
    every
        Write out all names, however many.
    """
    is_few = every or len(names) <= FEW
    shown = [shlex.quote(name) for name in names] if is_few else ["NAME", "NAME", "..."]
    return " ".join(["--class-names", *shown])


def _require_fitting(names: Sequence[str], model: Model | None) -> None:
    # A layer in between has no classes.
    if model is None or not (model.asked_layer is None or model.is_answer):
        return
    count = class_count(model)
    if count not in (None, len(names)):
        answer = model.answer
        layer = model.layer if answer is None else answer.layer
        units = 1 if answer is None else answer.target_units
        has = f"has {units} outputs" if units > 1 else "is one sigmoid, which stands for 2 classes"
        raise UserError(f"there are {len(names)} class names, and {layer!r} {has}")


def _require_columns(samples: Samples) -> None:
    names, labels = samples.class_names, samples.labels
    if names is None or labels is None or samples.label_kind != "several":
        return
    if labels.shape[1] != len(names):
        raise UserError(
            f"there are {len(names)} class names, and {labels.shape[1]} labels for each image"
        )


def _of_other_number(samples: Samples, model: Model | None) -> str:
    """Return a note if data name more or fewer classes than the network has, or nothing."""
    count, names = class_count(model), samples.class_names
    if count is None or names is None or len(names) == count:
        return ""
    return (
        f"the data name {len(names)} classes ({words_of(names)}), and the network has {count}, so "
        f"cnnvis shows the classes by their numbers. Give the names of all {count} classes in the "
        "network's order: --class-names NAME NAME ..."
    )


def _of_numbers(before: Samples, samples: Samples) -> str:
    """Return a note if labels are numbers that were found among the class names, or nothing."""
    names, old, new = samples.class_names, before.labels, samples.labels
    if before.class_names is not None or names is None or old is None or new is None:
        return ""
    if samples.label_kind != "class" or old is new or np.array_equal(old, new, equal_nan=True):
        return ""
    label = int(np.asarray(old)[has_class(np.asarray(old))][0])
    place = int(np.asarray(new)[has_class(np.asarray(new))][0])
    return (
        f"cnnvis takes the labels for class names, which are numbers: the label {label} is the "
        f"class {names[place]!r}, which is class {place} when counted from 0"
    )


def _of_strange(samples: Samples, model: Model | None) -> str:
    """Return a note if some labels are no numbers of classes, or nothing."""
    count, names, labels = class_count(model), samples.class_names, samples.labels
    count = count if count is not None or names is None else len(names)
    if count is None or labels is None or samples.label_kind != "class":
        return ""
    there = known_numbers(np.asarray(labels))
    if not there or (there[0] >= 0 and there[-1] < count):
        return ""
    shown = "" if names is None or samples.are_places else "; cnnvis shows the labels without names"
    return (
        f"the labels run from {there[0]} to {there[-1]} and the classes from 0 to {count - 1}, so it "
        f"is not known which label is which class, and no label counts as right{shown}. "
        + _about_numbering(there, count)
    )


def _about_numbering(there: Sequence[int], count: int) -> str:
    """Return a remedy for labels of which some are no numbers of `count` classes."""
    if len(there) > count:
        return (
            f"There are {len(there)} different labels, more than classes: leave out the images of "
            "no class, and number the other labels as the network numbers its classes, from 0 on"
        )
    # As many labels as classes may be these in their order, which only a person knows.
    every = [str(one) for one in there]
    typed = typed_names(every) if len(every) == count else "--class-names NUMBER NUMBER ..."
    return (
        "Number the labels as the network numbers its classes, from 0 on, or give the number that "
        f"the labels have for each class, in the network's order: {typed}"
    )


def _by_alphabet(samples: Samples, model: Model | None) -> Matching:
    words, count = samples.class_names or (), class_count(model)
    if count is None:
        return Matching(samples, None)
    if len(words) != count:
        return Matching(
            samples,
            None,
            f"the labels are {numbered(len(words), 'word')} ({words_of(words)}), and the network has {count} "
            "classes, so it is not known which class a word stands for, and no label counts as "
            f"right. Give the names of all {count} classes in the network's order: --class-names "
            "NAME NAME ...",
        )
    by_size = numerical_order(words)
    if by_size is not None and by_size != words:
        return Matching(
            samples,
            None,
            f"the labels are words that are numbers ({words_of(words)}), with different orders by "
            "alphabet and by size. It is not known which order the network has, so no label "
            f"counts as right. Give the order: {typed_names(words)} (as Keras numbers folders) or "
            f"{typed_names(by_size)}; cnnvis doctor says which order fits",
        )
    shown = ", ".join(f"{place} {word!r}" for place, word in enumerate(words[:FEW]))
    more = "" if len(words) <= FEW else f", ... {len(words) - 1} {words[-1]!r}"
    return Matching(
        samples.named(words),
        words,
        f"cnnvis takes the classes to be {shown}{more}: the labels' words in alphabetical order, "
        "as Keras's image_dataset_from_directory numbers folders. If the network was trained in "
        "another order, give the names in that order: --class-names NAME NAME ...",
    )


def numerical_order(words: Sequence[str]) -> tuple[str, ...] | None:
    """Return words that are all whole numbers, in numerical order; None for other words."""
    try:
        return tuple(sorted(words, key=int))
    except ValueError:
        return None
