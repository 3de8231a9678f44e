"""Whether data look scaled in another way than those that a network was trained on."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from cnnvis.agreement import agreement_of, answered_classes, has_label
from cnnvis.class_orders import SURE, Hits
from cnnvis.errors import UserError
from cnnvis.model import Model
from cnnvis.samples import Array, Samples

SCALES: Mapping[str, Callable[[Array], Array]] = {
    "divided by 255": lambda x: x / 255,
    "times 255": lambda x: x * 255,
    "scaled to -1 ... 1": lambda x: 2 * (x - x.min()) / (np.ptp(x) or 1) - 1,
    "scaled to 0 ... 1": lambda x: (x - x.min()) / (np.ptp(x) or 1),
    "with mean 0 and deviation 1": lambda x: (x - x.mean()) / (x.std() or 1),
}
"""What else data could have been before a network saw them."""

SATURATED = 1e-3
"""How near to 0 or 1 a probability is that may come from values out of all scale."""


def about_scale(model: Model, samples: Samples) -> str | None:
    """Why samples look scaled in another way than the network expects, in a sentence; None if not.

    By labels, if there are some: another scale makes many more of them right. Else by what the
    network's own first layers tell of the values that they were made for.

    Parameters
    ----------
    samples
        A few samples as the network wants them, without NaN.
    """
    x = samples.x.astype(np.float32)
    by_labels = _by_labels(model, samples, x)
    if by_labels is not None:
        return by_labels
    first = model.keras_layer(model.layers[0].name)
    factor = getattr(first, "scale", None) if "Rescaling" in model.layers[0].kinds else None
    if isinstance(factor, float) and 0 < factor < 0.1 and np.abs(x).max() * factor < 0.05:
        return (
            f"the network itself multiplies its input by {factor:.3g}, and the largest value of the "
            f"data is only {np.abs(x).max():.3g}: they seem to be scaled down already"
        )
    found = _normalized(model, x)
    if found is not None:
        name, spread, shift = found
        if not 0.2 <= spread <= 5 or shift > 5:
            return (
                "the data seem to be scaled in another way than the network expects: what reaches "
                f"the normalization {name!r} varies {spread:.2g} times as much as what it was "
                f"trained on, and lies {shift:.2g} deviations away from that"
            )
    return None


def own_scaling(model: Model) -> str | None:
    """Which of a network's first layers scale its input themselves, in a sentence; None if none do.

    So whoever prepares the data must leave that to the network.
    """
    found = []
    for layer in model.layers:
        kinds = set(layer.kinds)
        if "Rescaling" in kinds:
            keras_layer = model.keras_layer(layer.name)
            scale, offset = (getattr(keras_layer, name, None) for name in ("scale", "offset"))
            found.append(f"{layer.name!r} (times {_short(scale)}, plus {_short(offset)})")
        elif "Normalization" in kinds:
            found.append(f"{layer.name!r} (by the mean and deviation that it has learned)")
        elif layer.parameters or layer.spatial_axes < model.layers[0].spatial_axes:
            break
    if not found:
        return None
    return (
        f"the network scales its input by itself, with {' and '.join(found)}: give it values that are "
        "not scaled yet, such as pixels from 0 to 255"
    )


def _short(value: object) -> str:
    if isinstance(value, int | float):
        return f"{value:.3g}"
    return "a number for each channel" if value is not None else "0"


def _by_labels(model: Model, samples: Samples, x: Array) -> str | None:
    """Which other scale makes far more labels right than the present one, and than chance would."""
    right = _right(model, samples, x)
    if right is None:
        return None
    others = samples.reading.others if samples.reading is not None else {}
    ways = others or SCALES
    tried = {name: _right(model, samples, scale(x)) or 0 for name, scale in ways.items()}
    best = max(tried.values())
    fitting = [name for name in tried if tried[name] == best]
    if best - right <= max(3, 0.1 * len(x)):
        return None
    if _is_by_chance(model, samples, ways[fitting[0]](x), len(ways)):
        return None
    return (
        f"the data seem to be scaled in another way than the network expects: {right} of {len(x)} "
        f"are right as they are, and {best} {'with ' if others else ''}{' or '.join(fitting)}"
    )


def _right(model: Model, samples: Samples, x: Array) -> int | None:
    """For how many samples all labels are right; None where they cannot be counted."""
    try:
        return agreement_of(model, model.predict(x), samples).right
    except UserError:
        return None


def _is_by_chance(model: Model, samples: Samples, x: Array, tries: int) -> bool:
    """Whether one of several scales may make as many labels right without any sense."""
    if samples.label_kind != "class" or samples.labels is None:
        return False
    known = has_label(samples)
    labels, answers = np.asarray(samples.labels)[known].astype(np.int64), model.predict(x)[known]
    count = max(answers.shape[-1], 2)
    hits = Hits.of_classes(labels, answered_classes(model, answers), count)
    return hits.by_chance() * tries > SURE


def _normalized(model: Model, x: Array) -> tuple[str, float, float] | None:
    """The first normalization, and how its input compares with what it was trained on.

    The name of the layer; how many times the trained deviation its input deviates; how far its mean
    is from the trained one, in deviations. Both are medians over channels.
    """
    for layer in model.layers:
        kinds = set(layer.kinds)
        if {"BatchNormalization", "Normalization"}.isdisjoint(kinds):
            continue
        normalization = model.keras_layer(layer.name)
        moving = "" if "Normalization" in kinds else "moving_"
        mean, variance = (
            np.asarray(getattr(normalization, f"{moving}{name}", np.nan), np.float64).ravel()
            for name in ("mean", "variance")
        )
        axis = getattr(normalization, "axis", None)
        axis = axis[0] if isinstance(axis, Sequence) and len(axis) == 1 else axis
        if not isinstance(axis, int) or mean.size != variance.size or not np.isfinite(mean).all():
            continue
        channels = np.moveaxis(model.values_into(x, layer.name), axis, -1)
        channels = channels.reshape(-1, channels.shape[-1])
        # Channels that never varied in training say nothing.
        varied = variance > 1e-3 * variance.max()
        if channels.shape[-1] != mean.size or not varied.any():
            continue
        deviation = np.sqrt(variance[varied])
        spread = channels.std(axis=0)[varied] / deviation
        shift = np.abs(channels.mean(axis=0) - mean)[varied] / deviation
        return layer.name, float(np.median(spread)), float(np.median(shift))
    return None
