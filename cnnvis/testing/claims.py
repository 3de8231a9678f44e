"""Checks of the claims of techniques (`cnnvis.registry.plugin.Claim`), by closed forms.

The message of a failure names the likely cause: a common mistake that leads to the same map.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np

from cnnvis.data.samples import Array
from cnnvis.errors import UserError
from cnnvis.network.model import Model
from cnnvis.registry.plugin import PLACES, Claim
from cnnvis.testing.judging import (
    CLOSE,
    NotApplicable,
    Violation,
    is_close,
    may_refuse,
    off,
    require_close,
    scale_of,
)
from cnnvis.testing.networks import (
    MIXED,
    data_of,
    dense_network,
    features_network,
    linear_network,
    shape_of,
    small_network,
)
from cnnvis.testing.subject import Subject

COMPLETE_WITHIN = 0.05
"""Largest deviation of a sum of maps from a difference of scores, as a share of the largest.

Methods that integrate do so in steps.
"""

Options = Mapping[str, Any]


def checks_of_claims(subject: Subject) -> dict[str, Callable[[], None]]:
    """Return a check for each claim of a technique."""
    known: dict[Claim, Callable[[Subject, Options], None]] = {
        "gradient": _gradient,
        "gradient-times-input": _gradient_times_input,
        "integrated-gradients": _integrated_gradients,
        "complete": _completeness,
        "zero-for-linear": _zero_for_linear,
        "occlusion": _occlusion,
        "grad-cam": partial(_class_activation, form="grad-cam"),
        "layer-cam": partial(_class_activation, form="layer-cam"),
        "hires-cam": partial(_class_activation, form="hires-cam"),
        "any-target": _any_target,
        "equals": _equality,
    }
    every: dict[str, Callable[[], None]] = {}
    for claim, options in subject.plugin.claims.items():
        if claim not in known:
            every[f"its claim {claim!r} is known"] = partial(_unknown, claim, list(known))
        else:
            every[f"its claim holds: {claim}"] = partial(known[claim], subject, options)
    return every


def _unknown(claim: str, known: list[str]) -> None:
    raise Violation(f"it claims {claim!r}, and cnnvis knows the claims {', '.join(known)}")


# Gradients by the input


def _gradient(subject: Subject, options: Options) -> None:
    network, data = linear_network(1), data_of((6, 5, 1))
    weights = network.get_weights()[0].reshape(6, 5)
    _require(
        subject.spatial(network, data, **options),
        np.repeat(weights[None], len(data), axis=0),
        "for the score w x + b, its maps are not w",
        {},
    )
    network = dense_network(1)
    found = subject.spatial(network, data, **options)
    if subject.noise(found, network, data, **options):
        return  # a mean over noisy copies, which turns units on and off
    _require(
        found, _dense_gradient(network, data)[..., 0],
        "for a dense layer with ReLU and a dense layer behind it, its maps are not dS/dx",
        {
            "the gradient at half the input": _dense_gradient(network, data / 2)[..., 0],
            "the gradient at the input 0": _dense_gradient(network, data * 0)[..., 0],
        },
    )  # fmt: skip


def _gradient_times_input(subject: Subject, options: Options) -> None:
    for channels in (1, 2):
        network, data = dense_network(channels), data_of((6, 5, channels))
        gradient = _dense_gradient(network, data)
        _require(
            subject.spatial(network, data, **options), (data * gradient).sum(axis=-1),
            "for a dense layer with ReLU and a dense layer behind it, its maps are not x dS/dx",
            {
                "the gradient alone, not multiplied by the input": gradient.sum(axis=-1),
                "that of half the input": (data * _dense_gradient(network, data / 2)).sum(-1) / 2,
                "multiplied before channels are added up": data.sum(-1) * gradient.sum(-1),
                "the mean over channels": (data * gradient).mean(axis=-1),
            },
        )  # fmt: skip


def _dense_gradient(network: Any, data: Array) -> Array:
    """Compute the gradient of the score of a `dense_network`, by hand."""
    inner, constants, outer, _ = network.get_weights()
    on = data.reshape(len(data), -1) @ inner + constants > 0
    found: Array = (on * outer[:, 0]) @ inner.T
    return found.reshape(data.shape)


# Contributions


def _integrated_gradients(subject: Subject, options: Options) -> None:
    for start in _baselines(subject, options):
        for channels in (1, 2):
            network, data = linear_network(channels), data_of((6, 5, channels))
            weights = network.get_weights()[0].reshape(6, 5, channels)
            given = options if start is None else {**options, "baseline": start}
            _require(
                subject.spatial(network, data, **given),
                (weights * (data - (start or 0))).sum(axis=-1),
                f"for the score w x + b and the baseline {start or 0}, its maps are not w (x - x')",
                {
                    "w: the mean gradient is to be multiplied by the input minus the baseline": (
                        np.repeat(weights.sum(axis=-1)[None], len(data), 0)
                    ),
                    "w x: the baseline is left out": (weights * data).sum(axis=-1),
                },
            )


def _completeness(subject: Subject, options: Options) -> None:
    network, data = small_network(2), data_of(shape_of(2))
    model = Model(network, filters=0)
    for start in _baselines(subject, options):
        given = options if start is None else {**options, "baseline": start}
        found = subject.maps(network, data, filter=0, **given)
        begin = np.full_like(data, start or 0)
        difference = model.scores(data) - model.scores(begin)
        sums = found.reshape(len(found), -1).sum(axis=1)
        if off(sums, difference) > COMPLETE_WITHIN * np.abs(difference).max():
            raise Violation(
                f"its maps do not add up to the difference of scores S(x) - S({start or 0}): "
                + ", ".join(
                    f"{total:.3g} for {wanted:.3g}"
                    for total, wanted in zip(sums, difference, strict=True)
                )
            )


def _baselines(subject: Subject, options: Options) -> list[float | None]:
    """Return the baselines to try: numbers if an option of that name takes them, else None."""
    default = options.get("baseline", subject.default("baseline"))
    is_number = isinstance(default, int | float) and not isinstance(default, bool)
    return [0.0, 0.5] if is_number or subject.takes_baseline else [None]


def _zero_for_linear(subject: Subject, options: Options) -> None:
    network, data = linear_network(1), data_of((6, 5, 1))
    try:
        maps = subject.spatial(network, data, **options)
    except UserError as error:
        if "zero everywhere" in str(error):
            return
        raise
    largest = abs(network.get_weights()[0]).max()
    if abs(maps).max() > CLOSE * largest:
        raise Violation(
            f"for a linear score, its maps reach {abs(maps).max():.3g}, and should be 0 everywhere"
        )


def _occlusion(subject: Subject, options: Options) -> None:
    network, data = small_network(2, seed=MIXED), data_of(shape_of(2), 64)
    model = Model(network)
    # The two that are nearest to another class: covered, they are of that.
    scores = np.sort(network.predict_on_batch(data), axis=1)
    data = data[np.argsort(scores[:, -1] - scores[:, -2])[:2]]
    rows, columns = shape_of(2)[:-1]
    covered = np.repeat(data, rows * columns, axis=0)
    for number, copy in enumerate(covered):
        copy[number % (rows * columns) // columns, number % columns] = 0
    weights = model.target_weights(data)
    of_each = np.repeat(weights, rows * columns, axis=0)
    left = model.scores(covered, weights=of_each).reshape(2, rows, columns)
    anew = model.scores(covered).reshape(2, rows, columns)
    whole = model.scores(data, weights=weights)[:, None, None]
    _require(
        subject.spatial(network, data, **options), whole - left,
        "its maps are not the fall of the score when a position is 0",
        {
            "with the score of the class that is predicted for the covered image": whole - anew,
            "by how much it rises": left - whole,
            "the score that is left": left,
        },
    )  # fmt: skip


# Feature maps


def _class_activation(subject: Subject, options: Options, form: str) -> None:
    network, data = features_network(), data_of(shape_of(2))
    features, gradients = _features(network, data)

    def mapped(features: Array, gradients: Array, form: str = form) -> Array:
        if form == "grad-cam":
            gradients = gradients.mean(axis=(1, 2), keepdims=True)
        if form == "layer-cam":
            gradients = np.maximum(gradients, 0)
        total: Array = (features * gradients).sum(axis=-1)
        return np.maximum(total, 0) if form == "grad-cam" else total

    mean = np.broadcast_to(gradients.mean(axis=(1, 2), keepdims=True), gradients.shape)
    half, of_half = _features(network, data / 2)
    signed = mean if form == "grad-cam" else gradients
    formulas = {
        "grad-cam": "max(0, sum over k of a_k A_k), with a_k the mean gradient",
        "layer-cam": "the sum over k of max(0, g_k) A_k",
        "hires-cam": "the sum over k of g_k A_k",
    }
    _require(
        subject.spatial(network, data, **options),
        mapped(features, gradients),
        f"for feature maps A_k as large as the image and a dense layer, its maps are not {formulas[form]}",
        {
            "those of half the input": mapped(half, of_half),
            "with the size of the gradients, not their positive part": (features * abs(signed)).sum(
                axis=-1
            ),
            "with negative gradients as well": (features * signed).sum(axis=-1),
            "the size of the sum, not its positive part": abs((features * signed).sum(axis=-1)),
            "without the feature maps": mapped(np.ones_like(features), gradients),
            "without the gradients": features.sum(axis=-1),
            "with the channels in another order": mapped(features, gradients[..., ::-1]),
            "with the mean gradient of each feature map": mapped(features, mean, "layer-cam"),
            "grad-cam's": mapped(features, gradients, "grad-cam"),
            "layer-cam's": mapped(features, gradients, "layer-cam"),
            "hires-cam's": mapped(features, gradients, "hires-cam"),
            "with ReLU on the whole alone": np.maximum((features * gradients).sum(axis=-1), 0),
            "of class 0 and not of the predicted one": mapped(
                features, _features(network, data, 0)[1]
            ),
        },
    )


def _features(network: Any, data: Array, filter: int | None = None) -> tuple[Array, Array]:
    """Compute by hand the feature maps of a `features_network`, and a score's gradients by them."""
    kernel, constants, dense, last = network.get_weights()
    features = np.maximum(data @ kernel.reshape(kernel.shape[-2:]) + constants, 0)
    scores = features.reshape(len(data), -1) @ dense + last
    classes = scores.argmax(axis=1) if filter is None else np.full(len(data), filter)
    gradients = dense.T[classes].reshape(features.shape)
    return features, gradients


def _any_target(subject: Subject, options: Options) -> None:
    network, data = small_network(2), data_of(shape_of(2))
    one, other = (subject.spatial(network, data, filter=number, **options) for number in (0, 1))
    require_close(
        one, other, "it claims to be the same for every target, and is another for class 1"
    )


# Another technique


@dataclass(frozen=True)
class _Equality:
    """Parts of the claim "equals"; see `cnnvis.registry.plugin.Claim`."""

    technique: str
    options: Options = field(default_factory=dict)
    theirs: Options = field(default_factory=dict)
    where: str = "anywhere"
    scaled: bool = False
    within: float = CLOSE


def _equality(subject: Subject, options: Options) -> None:
    try:
        asked = _Equality(**options)
    except TypeError:
        asked = _Equality("", where="")
    if asked.where not in PLACES:
        raise Violation(
            f"it claims equals with {dict(options)}, and that takes technique, options, theirs, "
            f"where ({', '.join(PLACES)}), scaled, within"
        )
    theirs = [one for one in subject.known.of("technique") if one.name == asked.technique]
    if not theirs or theirs[0].missing:
        raise NotApplicable(f"the technique {asked.technique} is not installed")
    other = Subject(subject.known, theirs[0], asked.theirs)
    network = {
        "anywhere": lambda: small_network(2),
        "features": lambda: features_network(),
        "pooled": lambda: features_network(pooled=True),
        "pooled-positive": lambda: features_network(pooled=True, positive=True),
    }[asked.where]()
    data = data_of(shape_of(2))
    with may_refuse():
        expected = other.spatial(network, data)
    try:
        found = subject.spatial(network, data, **asked.options)
    except UserError as error:
        raise Violation(
            f"it claims to equal {asked.technique}, and refuses a network that "
            f"{asked.technique} explains: {error}"
        ) from None
    if asked.scaled:
        found, expected = _to_one(found), _to_one(expected)
    _require(
        found, expected,
        f"its maps are not the maps of {asked.technique}, as it claims (where: {asked.where})",
        {}, within=asked.within,
    )  # fmt: skip


def _to_one(maps: Array) -> Array:
    """Divide each map by its largest absolute value."""
    largest = abs(maps).max(axis=tuple(range(1, maps.ndim)), keepdims=True)
    found: Array = maps / np.maximum(largest, 1e-30)
    return found


# Saying what it may have been


def _require(
    found: Array,
    expected: Array,
    sentence: str,
    mistakes: Mapping[str, Array],
    within: float = CLOSE,
) -> None:
    """Hold maps against what they should be.

    Raises
    ------
    Violation
        If they are not: with the mistake under which they would be these, if one is known.
    """
    if is_close(found, expected, within):
        return
    turns = {
        "the map upside down": np.flip(expected, 1),
        "the map left to right": np.flip(expected, 2),
        "the map with both axes backwards": np.flip(expected, (1, 2)),
        "its size without the sign": abs(expected),
        "its positive part alone": np.maximum(expected, 0),
        "the map with its sign turned": -expected,
        "that of the first image for all": np.repeat(expected[:1], len(expected), 0),
        "those of the images in another order": expected[::-1],
        "the map shifted by one row": np.roll(expected, 1, 1),
        "the map shifted back by one row": np.roll(expected, -1, 1),
        "the map shifted by one column": np.roll(expected, 1, 2),
        "the map shifted back by one column": np.roll(expected, -1, 2),
        "its square": expected**2,
    }
    for what, other in {**mistakes, **turns}.items():
        if scale_of(other) and is_close(found, other, within):
            raise Violation(f"{sentence}, but {what}")
    for what, other in {"": expected, **mistakes, **turns}.items():
        if found.shape == other.shape and scale_of(found) and scale_of(other):
            factor = float((found * other).sum() / (other * other).sum())
            if factor > 0 and is_close(found, factor * other, within):
                raise Violation(f"{sentence}, but {factor:.3g} times {what or 'that'}")
            if is_close(_to_one(found), _to_one(other), within):
                raise Violation(
                    f"{sentence}, but {what or 'that'} with each map scaled by itself: give raw values"
                )
    require_close(found, expected, sentence, within)
