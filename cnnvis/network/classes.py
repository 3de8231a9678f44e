"""Classes that a network answers, from the values of its last layer."""

from __future__ import annotations

import numpy as np

from cnnvis.data.lazy import Array


def classes_of(answers: Array, *, logits: bool = False) -> Array:
    """Return the class that each of a network's answers (..., k) means, (...) int64.

    The class with the largest value; for a single unit, which stands for two classes, class 1 above
    a probability of 0.5.

    Parameters
    ----------
    logits
        True if the answers are logits, which a sigmoid or softmax would turn into probabilities.
    """
    if answers.shape[-1] == 1:
        found: Array = (answers[..., 0] > (0 if logits else 0.5)).astype(np.int64)
    else:
        found = answers.argmax(axis=-1)
    return found
