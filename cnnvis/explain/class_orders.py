"""Tests for agreement of labels and a network's answers beyond chance, in any order of classes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from cnnvis.data.lazy import Array
from cnnvis.data.samples import Samples
from cnnvis.explain.agreement import answered_classes, has_label, said_yes
from cnnvis.explain.class_matching import class_count
from cnnvis.network.model import Model

LEAST, MOST_OF = 10, 0.6
"""Minimum number of known labels, and minimum share of them that another order makes right."""

SURE, CHANCE = 0.01, 0.2
"""Maximum probability of chance agreement to accept an order; minimum to call it guessing."""


@dataclass(frozen=True)
class Hits:
    """Counts of pairs of labels and answers.

    Attributes
    ----------
    table
        The number of images with each label (rows) and each answer (columns), (k, k).
    labels
        The number of images with each label, (k,).
    rates
        The share of all images with each answer, (k,).
    """

    table: Array
    labels: Array
    rates: Array

    @classmethod
    def of_classes(cls, labels: Array, classes: Array, count: int) -> Hits:
        """Count one label and one answer for each image, (n,) numbers from 0 to `count` - 1."""
        table = np.zeros((count, count), np.int64)
        np.add.at(table, (labels, classes), 1)
        return cls(table, table.sum(axis=1), table.sum(axis=0) / max(len(labels), 1))

    @classmethod
    def of_several(cls, labels: Array, answers: Array) -> Hits:
        """Count any number of labels and answers for each image, (n, k) of 0 and 1."""
        had, said = labels.astype(np.int64), answers.astype(np.int64)
        return cls(had.T @ said, had.sum(axis=0), said.mean(axis=0))

    @property
    def total(self) -> int:
        """Number of labels."""
        return int(self.labels.sum())

    def right(self, order: Sequence[int] | None = None) -> int:
        """Return the number of right labels, with the labels' classes in the given order."""
        classes = np.arange(len(self.table)) if order is None else np.asarray(order)
        return int(self.table[np.arange(len(self.table)), classes].sum())

    def log_chance(self, order: Sequence[int] | None = None) -> float:
        """Return the log probability of as many right labels, if answers ignore the labels."""
        from scipy import stats

        rates = self.rates if order is None else self.rates[np.asarray(order)]
        expected = float((self.labels * rates).sum() / max(self.total, 1))
        return float(stats.binom.logsf(self.right(order) - 1, self.total, min(expected, 1.0)))

    def by_chance(self, order: Sequence[int] | None = None) -> float:
        """Return the probability of as many right labels, if answers ignore the labels."""
        return math.exp(self.log_chance(order))

    def is_guess(self) -> bool:
        """Tell whether answers agree with labels no more than independent answers would.

        Such answers make as many labels right as always answering the most frequent class, or
        answering at random.
        """
        has_classes = (self.labels > 0).sum() > 1
        return bool(self.total >= LEAST and has_classes and self.by_chance() > CHANCE)

    def better_order(self, ways: int = 1) -> list[int] | None:
        """Return the class of each label, if it fits far better than the label's number; else None.

        The assignment that makes most labels right; accepted if none of all orders would fit as
        well by chance.

        Parameters
        ----------
        ways
            The number of ways in which the data were prepared, of which this way is the best.
        """
        from scipy import optimize

        # Each label but one must have been seen; and assigning takes the third power of their number.
        if len(self.table) > self.total + 1:
            return None
        labels, classes = optimize.linear_sum_assignment(self.table, maximize=True)
        order: list[int] = classes.tolist()
        matched = self.table[labels, classes]
        best = int(matched.sum())
        is_far = best - self.right() > max(3, 0.1 * self.total)
        is_enough = best >= MOST_OF * self.total >= MOST_OF * LEAST
        # A label of which nothing is known could stand for any class that is left.
        if not is_far or not is_enough or (matched == 0).sum() > 1:
            return None
        # The logarithm of how many orders there are, and ways.
        tries = math.lgamma(len(order) + 1) + math.log(ways)
        return order if self.log_chance(order) + tries < math.log(SURE) else None


def hits_of(model: Model, answers: Array, samples: Samples) -> Hits | None:
    """Return the counts of labels and answers, if both are of the same number of classes."""
    count, answer, names = class_count(model), model.answer, samples.class_names
    if count is None or answer is None or samples.labels is None or answers.ndim != 2:
        return None
    if samples.in_words and (names is None or len(names) != count):
        return None
    known = has_label(samples)
    labels, answers = np.asarray(samples.labels[:])[known], answers[known]
    if (
        samples.label_kind == "several"
        and not model.tells_classes
        and labels.shape == answers.shape
    ):
        return Hits.of_several(labels, said_yes(answer, answers))
    if samples.label_kind != "class" or max(answers.shape[1], 2) != count or not len(labels):
        return None
    if not 0 <= labels.min() <= labels.max() < count:
        return None
    return Hits.of_classes(labels.astype(np.int64), answered_classes(model, answers), count)
