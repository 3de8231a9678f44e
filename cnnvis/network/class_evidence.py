"""Evidence that a network's outputs are classes, other than the network itself."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from cnnvis.data.labels import has_class
from cnnvis.data.samples import Samples


@dataclass(frozen=True)
class ClassEvidence:
    """Evidence that outputs are classes, from class names, labels, or another process.

    Attributes
    ----------
    names
        The names of the classes.
    labels_are_classes
        True if the labels of the data are numbers of the network's outputs.
    labels_are_several
        True if each sample has several labels, one for each output.
    decided
        True or False if it was decided before that the target's outputs are classes or not, and
        then nothing else counts; None if it was not decided.
    """

    names: tuple[str, ...] | None = None
    labels_are_classes: bool = False
    labels_are_several: bool = False
    decided: bool | None = None


def labels_number_units(samples: Samples, units: int | None) -> bool:
    """Tell whether labels are numbers of a layer's units, or hold a 0 or 1 for each unit.

    Parameters
    ----------
    units
        Number of units of the layer; None if the input's size decides.
    """
    labels = samples.labels
    if labels is None or units is None or not len(samples):
        return False
    if samples.label_kind == "class":
        known = np.asarray(labels)[has_class(np.asarray(labels))]
        return bool(len(known)) and int(known.min()) >= 0 and int(known.max()) < units
    return samples.label_kind == "several" and labels.shape[1] == units
