"""``cnnvis doctor``: what a model's file is, what it holds, and whether data fit it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from os import PathLike
from typing import Any

import numpy as np

from cnnvis.errors import UserError
from cnnvis.model import Layer, Model
from cnnvis.samples import Array, Samples
from cnnvis.sources import model_of, samples_of

ENOUGH = 1000
"""How many samples are looked at, evenly spaced, where there are more."""


@dataclass(frozen=True)
class Fit:
    """How data and a model go together.

    Attributes
    ----------
    samples
        How many samples the data hold.
    examined
        How many of them were looked at.
    shape
        The shape of one sample, as the data have it.
    smallest, largest
        The smallest and largest value.
    problem
        Why the data do not fit the model; None if they do.
    right
        How many of the samples examined the network puts into the class of their label; None where
        there are no labels or no classes.
    """

    samples: int
    examined: int
    shape: tuple[int, ...]
    smallest: float
    largest: float
    problem: str | None = None
    right: int | None = None


@dataclass(frozen=True)
class Report:
    """What `doctor` found.

    Attributes
    ----------
    file, origin, sha256
        The file, what it is and what wrote it, and its SHA-256; None and empty for a network of
        this process.
    repairs, cut
        What had to be changed to read it, and the layers that were left out, each with why.
    inputs, outputs
        Name, shape and type of the network's inputs; name and shape of its outputs.
    layers
        Its layers; see `cnnvis.model.Layer`.
    parameters
        How many numbers it has learned.
    fit
        How the data fit; None if none were given.
    warnings
        What a person should know, in sentences.
    """

    file: str | None
    origin: str
    sha256: str | None
    repairs: tuple[str, ...]
    cut: Mapping[str, str]
    inputs: tuple[tuple[str, tuple[int | None, ...], str], ...]
    outputs: tuple[tuple[str, tuple[int | None, ...]], ...]
    layers: tuple[Layer, ...]
    parameters: int
    fit: Fit | None = None
    warnings: tuple[str, ...] = field(default=())

    def as_dict(self) -> dict[str, Any]:
        """The same as plain values, for JSON."""
        return asdict(self)


def doctor(
    model: Model | str | PathLike[str] | Any,
    *,
    data: Samples | str | PathLike[str] | Any = None,
    plugin_options: Mapping[str, Mapping[str, Any]] | None = None,
    **lacking: Any,
) -> Report:
    """Examine a model, and data beside it if there are any.

    Parameters
    ----------
    model, data
        As `cnnvis.run` takes them.
    plugin_options
        Options of readers and loaders.
    lacking
        What a model's file lacks: `custom`, `lambdas`, `input_shape`, `architecture`, and
        `trust_model`; see `load_model`.

    Raises
    ------
    UserError
        If the model or the data cannot be read. Data that do not fit are reported, not refused.
    """
    handle = model_of(model, {}, plugin_options or {}, lacking)
    warnings = list(_about_network(handle))
    fit = None
    if data is not None:
        fit, more = _fit(handle, samples_of(data, plugin_options or {}))
        warnings += more
    outputs = {layer.name: layer.output_shape for layer in handle.layers}
    return Report(
        file=None if handle.path is None else str(handle.path),
        origin=handle.origin,
        sha256=handle.sha256,
        repairs=handle.repairs,
        cut=dict(handle.cut),
        inputs=tuple((one.name, one.shape, one.dtype) for one in handle.inputs),
        outputs=tuple((name, outputs[layer]) for name, layer in handle.output_layers.items()),
        layers=handle.layers,
        parameters=sum(layer.parameters for layer in handle.layers),
        fit=fit,
        warnings=tuple(warnings),
    )


def _about_network(model: Model) -> Iterator[str]:
    for layer in model.layers:
        weights = getattr(model.keras_layer(layer.name), "weights", None) or []
        for weight in weights if layer.parameters else []:
            values = np.asarray(weight)
            if values.dtype.kind == "f" and not np.isfinite(values).all():
                yield f"the weights of {layer.name!r} hold NaN or infinite values"
                break
    if not any(layer.rectifiers for layer in model.layers):
        yield (
            "there is no ReLU or other rectifier in the network, so backpropagation modifiers "
            "change nothing: use --backprop none"
        )


def _fit(model: Model, samples: Samples) -> tuple[Fit, list[str]]:
    places = np.linspace(0, len(samples) - 1, min(len(samples), ENOUGH)).round().astype(int)
    some = samples[places.tolist()]
    x = some.x
    facts: dict[str, Any] = {
        "samples": len(samples),
        "examined": len(some),
        "shape": tuple(samples.source.shape[1:]),
        "smallest": float(np.nanmin(x)) if x.size else float("nan"),
        "largest": float(np.nanmax(x)) if x.size else float("nan"),
    }
    try:
        shaped = next(iter(model.shaped(some).values()))
        shaped.require_finite()
    except UserError as error:
        return Fit(**facts, problem=str(error)), []
    at = model.on(shaped)
    warnings = []
    answers = at.predict(shaped.x)
    if not np.isfinite(answers).all():
        warnings.append("the network answers NaN or infinite values")
    elif len(shaped) > 1 and np.ptp(answers, axis=0).max() <= 1e-6 * max(np.abs(answers).max(), 1):
        warnings.append(f"the network answers the same for all {len(shaped)} samples")
    right = _right(at, answers, shaped.labels)
    warnings += _about_scale(at, shaped, right)
    return Fit(**facts, right=right), warnings


def _right(model: Model, answers: Array, labels: Array | None) -> int | None:
    """How many samples get the class of their label; None where there are no classes."""
    if labels is None or answers.ndim != 2 or not model.has_classes:
        return None
    if answers.shape[1] == 1:
        classes = (answers[:, 0] > 0.5).astype(int)
        return int((classes == labels).sum()) if set(np.unique(labels)) <= {0, 1} else None
    return int((answers.argmax(axis=1) == labels).sum())


_SCALES: dict[str, Callable[[Array], Array]] = {
    "divided by 255": lambda x: x / 255,
    "times 255": lambda x: x * 255,
    "scaled to -1 ... 1": lambda x: 2 * (x - x.min()) / (np.ptp(x) or 1) - 1,
    "scaled to 0 ... 1": lambda x: (x - x.min()) / (np.ptp(x) or 1),
    "with mean 0 and deviation 1": lambda x: (x - x.mean()) / (x.std() or 1),
}


def _about_scale(model: Model, samples: Samples, right: int | None) -> Iterator[str]:
    """Whether the data look scaled in another way than those that the network was trained on."""
    x = samples.x.astype(np.float32)
    if right is not None:
        tried = {
            name: _right(model, model.predict(scale(x)), samples.labels) or 0
            for name, scale in _SCALES.items()
        }
        best = max(tried, key=lambda name: tried[name])
        if tried[best] - right > max(3, 0.1 * len(x)):
            yield (
                f"the data seem to be scaled in another way than the network expects: "
                f"{right} of {len(x)} are right as they are, and {tried[best]} {best}"
            )
            return
    first = model.keras_layer(model.layers[0].name)
    factor = getattr(first, "scale", None) if "Rescaling" in model.layers[0].kinds else None
    if isinstance(factor, float) and 0 < factor < 0.1 and np.abs(x).max() * factor < 0.05:
        yield (
            f"the network itself multiplies its input by {factor:.3g}, and the largest value of the "
            f"data is only {np.abs(x).max():.3g}: they seem to be scaled down already"
        )
        return
    found = _normalized(model, x)
    if found is not None:
        name, spread, shift = found
        if not 0.2 <= spread <= 5 or shift > 5:
            yield (
                "the data seem to be scaled in another way than the network expects: what reaches "
                f"the normalization {name!r} varies {spread:.2g} times as much as what it was "
                f"trained on, and lies {shift:.2g} deviations away from that"
            )


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
