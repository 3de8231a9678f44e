"""Checks for data that are scaled in another way than a network's training data."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from cnnvis.data.samples import Array, Samples
from cnnvis.errors import UserError
from cnnvis.explain.agreement import agreement_of
from cnnvis.explain.class_orders import SURE, hits_of
from cnnvis.network.model import Model

SCALES: Mapping[str, Callable[[Array], Array]] = {
    "divided by 255": lambda x: x / 255,
    "times 255": lambda x: x * 255,
    "scaled to -1 ... 1": lambda x: 2 * (x - x.min()) / (np.ptp(x) or 1) - 1,
    "scaled to 0 ... 1": lambda x: (x - x.min()) / (np.ptp(x) or 1),
    "with mean 0 and deviation 1": lambda x: (x - x.mean()) / (x.std() or 1),
}
"""Other scales that data may have had before a network saw the data."""

SATURATED = 1e-3
"""Distance to 0 or 1 below which a probability may come from values of a wrong scale."""

ENOUGH = 2**14
"""Number of places, of all images, whose values are compared with those in training."""


def about_scale(model: Model, samples: Samples, ordered: int = 0) -> str | None:
    """Return the reason why samples seem to have another scale than the network expects, or None.

    The reason is a sentence. With labels: another scale makes many more of the labels right.
    Without labels: the network's own first layers tell of the values that they were made for.

    Parameters
    ----------
    samples
        A few samples in the shape of the network's input, without NaN.
    ordered
        The number of labels that another order of the classes makes right without another scale, if
        such an order was found: then only a scale that makes more labels right is reported.
    """
    x = samples.x.astype(np.float32)
    by_labels = _by_labels(model, samples, x, ordered)
    if by_labels is not None or ordered or not model.layers:
        return by_labels
    first = model.keras_layer(model.layers[0].name)
    factor = getattr(first, "scale", None) if "Rescaling" in model.layers[0].kinds else None
    if isinstance(factor, float) and 0 < factor < 0.1 and np.abs(x).max() * factor < 0.05:
        return (
            f"the network itself multiplies its input by {factor:.3g}, and the largest value of "
            f"the data is only {np.abs(x).max():.3g}: the data seem to be scaled down already"
        )
    found = _normalized(model, x)
    if found is not None:
        name, spread, shift = found
        if not 0.2 <= spread <= 5 or shift > 5:
            return (
                "the data seem to be scaled in another way than the network expects: the input of "
                f"the normalization {name!r} varies {spread:.2g} times as much as in training, "
                f"and lies {shift:.2g} deviations away from its mean in training"
            )
    return None


def own_scaling(model: Model) -> str | None:
    """Return a sentence about the first layers that scale the network's input; None without any.

    Data for such a network must not be scaled before.
    """
    found = []
    for layer in model.layers:
        kinds = set(layer.kinds)
        if "Rescaling" in kinds:
            keras_layer = model.keras_layer(layer.name)
            scale, offset = (getattr(keras_layer, name, None) for name in ("scale", "offset"))
            found.append(f"{layer.name!r} (times {_short(scale)}, plus {_short(offset)})")
        elif "Normalization" in kinds:
            found.append(f"{layer.name!r} (by its learned mean and deviation)")
        elif layer.parameters or layer.spatial_axes < model.layers[0].spatial_axes:
            break
    if not found:
        return None
    return (
        f"the network itself scales its input, with {' and '.join(found)}: give unscaled values, "
        "such as pixels from 0 to 255"
    )


def _short(value: object) -> str:
    if isinstance(value, int | float):
        return f"{value:.3g}"
    return "a number for each channel" if value is not None else "0"


def _by_labels(model: Model, samples: Samples, x: Array, ordered: int) -> str | None:
    """Return the other scale that makes far more labels right than the present scale and chance.

    Labels are right with the classes in their order, or else in any order; and they are more than
    `ordered`, the number that another order alone makes right.
    """
    if samples.label_kind in (None, "number"):
        return None
    now, margin = model.predict(x), max(3, 0.1 * len(x))
    right = _right(model, samples, now)
    if right is not None and len(x) - right <= margin:
        return None  # without a pass for each scale: none can make many more labels right
    others = samples.reading.others if samples.reading is not None else {}
    ways = others or SCALES
    answers = {name: model.predict(scale(x)) for name, scale in ways.items()}
    tried = {name: _right(model, samples, one) or 0 for name, one in answers.items()}
    best = max(tried.values())
    fitting = [name for name in tried if tried[name] == best]
    with_ = "with " if others else ""
    ordered = max(ordered, *_with_orders(model, samples, {"": now}).values(), 0)
    orders = _with_orders(model, samples, answers)
    most = max(orders.values(), default=0)
    if most - max(best, right or 0, ordered) > margin:
        which = " or ".join(name for name in orders if orders[name] == most)
        found = (
            ""
            if right is None
            else f"{right} of {len(x)} labels are right with the present scale, and "
        )
        return (
            "the data seem to be scaled in another way than the network expects, and the classes "
            f"to be in another order: {found}{most} of {len(x)} {with_}{which}, in the order that "
            f"cnnvis doctor gives {'with this option' if others else 'for data of this scale'}"
        )
    if right is None or best - right <= margin or best <= ordered:
        return None
    if _is_by_chance(model, samples, answers[fitting[0]], len(ways)):
        return None
    return (
        f"the data seem to be scaled in another way than the network expects: {right} of {len(x)} "
        f"labels are right with the present scale, and {best} {with_}{' or '.join(fitting)}"
    )


def _right(model: Model, samples: Samples, answers: Array) -> int | None:
    """Return the number of samples whose labels are all right; None where it cannot be counted."""
    try:
        return agreement_of(model, answers, samples).right
    except UserError:
        return None


def _with_orders(model: Model, samples: Samples, answers: Mapping[str, Array]) -> dict[str, int]:
    """Return the number of labels that scales make right with a certain other order of classes."""
    if samples.label_kind != "class":
        return {}
    found = {}
    for name, one in answers.items():
        hits = hits_of(model, one, samples)
        order = None if hits is None else hits.better_order(len(answers))
        if hits is not None and order is not None:
            found[name] = hits.right(order)
    return found


def _is_by_chance(model: Model, samples: Samples, answers: Array, tries: int) -> bool:
    """Tell whether one of several scales may make as many labels right by chance."""
    hits = hits_of(model, answers, samples) if samples.label_kind == "class" else None
    return hits is not None and hits.by_chance() * tries > SURE


def _normalized(model: Model, x: Array) -> tuple[str, float, float] | None:
    """Compare the input of the first normalization with the normalization's training data.

    Returns the name of the layer; the deviation of the input as a multiple of the trained
    deviation; the distance of the input's mean from the trained mean, in deviations. Both are
    medians over channels.
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
        if len(channels) > ENOUGH:
            channels = channels[np.random.default_rng(0).integers(len(channels), size=ENOUGH)]
        # Channels that never varied in training say nothing.
        varied = variance > 1e-3 * variance.max()
        if channels.shape[-1] != mean.size or not varied.any():
            continue
        deviation = np.sqrt(variance[varied])
        spread = channels.std(axis=0)[varied] / deviation
        shift = np.abs(channels.mean(axis=0) - mean)[varied] / deviation
        return layer.name, float(np.median(spread)), float(np.median(shift))
    return None
