"""``cnnvis doctor``: the format and content of a model's file, and the fit of data to it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

from cnnvis import demo
from cnnvis.data.batches import Pieces, read_ahead
from cnnvis.data.class_names import ClassNames
from cnnvis.data.samples import Array, Samples
from cnnvis.data.shown import Shown
from cnnvis.errors import UserError
from cnnvis.explain.agreement import Agreement, agreement_of
from cnnvis.explain.class_matching import FEW, Matching, matched, numerical_order, typed_names
from cnnvis.explain.class_orders import SURE, Hits, hits_of
from cnnvis.explain.inputs import given_in, model_of, samples_of
from cnnvis.explain.scaling import about_scale, own_scaling
from cnnvis.files.addresses import place_of
from cnnvis.network.layers import Layer
from cnnvis.network.model import Model
from cnnvis.registry.discovery import registry
from cnnvis.reporting import notes_kept, progress

ENOUGH, LEAST, BYTES = 1000, 32, 2**28
"""Maximum number of examined samples, evenly spaced; of large samples; and of their bytes."""


@dataclass(frozen=True)
class Fit:
    """Compatibility of data with a model.

    Attributes
    ----------
    samples
        The number of samples in the data.
    examined
        The number of samples that were examined.
    shape
        The shape of one sample in the data.
    smallest, largest
        The smallest and largest value.
    others
        For a network with several inputs, the name, shape, smallest and largest value of each input
        but the first.
    problem
        The reason why the data do not fit the model; None if the data fit.
    right
        The number of examined samples whose labels are all right; None where it cannot be counted.
    agreement
        The agreement of the network's answers with the labels; None without labels.
    """

    samples: int
    examined: int
    shape: tuple[int, ...]
    smallest: float
    largest: float
    problem: str | None = None
    right: int | None = None
    agreement: Agreement | None = None
    others: tuple[tuple[str, tuple[int, ...], float, float], ...] = ()


@dataclass(frozen=True)
class Report(Shown):
    """Findings of `doctor`.

    Attributes
    ----------
    file, origin, sha256
        The file, its format and the program that wrote it, and its SHA-256; None and empty for a
        network of this process.
    repairs, cut
        The changes needed to read the file, and the layers that were left out, each with the
        reason.
    inputs, outputs
        Name, shape and type of the network's inputs; name and shape of its outputs.
    layers
        Its layers; see `cnnvis.network.layers.Layer`.
    parameters
        The number of learned parameters.
    fit
        The compatibility of the data; None if no data were given.
    warnings
        Likely errors, in sentences.
    notes
        Other remarks for the user, in sentences.
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
    notes: tuple[str, ...] = ()

    def __repr__(self) -> str:
        name = "a network in memory" if self.file is None else Path(self.file).name
        fits = "" if self.fit is None else f", {self.fit.problem or 'the data fit'}"
        count = len(self.warnings)
        warned = f", {count} warning{'' if count == 1 else 's'}"
        return f"<Report: {name}, {len(self.layers)} layers{fits}{warned}>"

    def as_dict(self) -> dict[str, Any]:
        """Return the report as plain values, for JSON."""
        return asdict(self)


def doctor(
    model: Model | str | PathLike[str] | Any,
    data: Samples | str | PathLike[str] | Any = None,
    *,
    class_names: ClassNames | None = None,
    plugin_options: Mapping[str, Mapping[str, Any]] | None = None,
    **lacking: Any,
) -> Report:
    """Examine a model, and data, if given.

    Parameters
    ----------
    model, data, class_names
        As `cnnvis.run` takes them.
    plugin_options
        Options of readers and loaders.
    lacking
        Missing parts of the model's file: `custom`, `lambdas`, `input_shape`, `architecture`, and
        `trust_model`; see `load_model`.

    Raises
    ------
    UserError
        If the model or the data cannot be read, or the class names fit neither. Data that do not
        fit the model are reported, not refused.
    """
    if isinstance(data, str | PathLike) and data != demo.NAME:
        # A name that is mistyped is said at once.
        registry().for_path("reader", place_of(data), given_in(plugin_options or {}))
    handle = model_of(model, {}, plugin_options or {}, lacking)
    warnings = list(_about_network(handle))
    fit, notes = None, list[str]()
    if data is not None:
        with notes_kept() as said:
            shapes = [one.shape for one in handle.inputs]
            samples = samples_of(data, plugin_options or {}, shapes)
            matching = matched(samples, class_names, handle)
            assert matching.samples is not None
            handle = handle.with_labels(matching.samples, matching.names)
            fit, more, notes = _fit(handle, matching)
        warnings += more
        notes = [note for note in (*said, matching.note, *notes) if note]
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
        notes=tuple(dict.fromkeys(notes)),
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


def _fit(model: Model, matching: Matching) -> tuple[Fit, list[str], list[str]]:
    """Return the compatibility of data, with warnings and notes about the data."""
    assert matching.samples is not None
    data = matching.samples
    whole, problem = data, None
    try:
        whole = next(iter(model.shaped(data).values()))
    except UserError as error:
        problem = str(error)
    places = np.linspace(0, len(whole) - 1, min(len(whole), _enough(whole))).round().astype(int)
    shaped, failed = _read(whole.picked(places))
    facts: dict[str, Any] = {
        "samples": len(whole),
        "examined": len(places) - len(failed),
        "shape": tuple(data.source.shape[1:]),
        "smallest": float("nan"),
        "largest": float("nan"),
    }
    warnings = [_about_failed(places, failed)] if failed else []
    if shaped is None:
        return Fit(**facts, problem=next(iter(failed.values()), "the data hold no images")), [], []
    low, high = _ends(shaped.x)
    others = ((name, np.asarray(one[:])) for name, one in shaped.others.items())
    facts |= {
        "smallest": low,
        "largest": high,
        "others": tuple((name, one.shape[1:], *_ends(one)) for name, one in others),
    }
    try:
        shaped.require_finite()
    except UserError as error:
        problem = problem or str(error)
    if problem is not None:
        return Fit(**facts, problem=problem), warnings, []
    at = model.with_inputs_held(shaped)
    try:
        answers = at.predict(shaped.x)
    except UserError as error:  # too short for a layer, for one
        return Fit(**facts, problem=str(error)), warnings, []
    if not np.isfinite(answers).all():
        warnings.append("the network answers NaN or infinite values")
    elif len(shaped) > 1 and np.ptp(answers, axis=0).max() <= 1e-6 * max(np.abs(answers).max(), 1):
        warnings.append(f"the network gives the same answer for all {len(shaped)} samples")
    notes = [note for note in (own_scaling(at),) if note]
    agreement = None
    try:
        agreement = agreement_of(at, answers, shaped)
    except UserError as error:
        is_said = shaped.in_words or matching.are_strange
        if shaped.labels is not None and not is_said:
            notes.append(f"no label is counted as right: {error}")
    order, ordered = _about_order(at, answers, shaped, agreement, by_name=matching.by_name)
    # Both may explain why few labels are right; the cause of most is named.
    scale = about_scale(at, shaped, ordered)
    order = None if scale else order
    guess = None if order or scale else _about_guessing(at, answers, shaped, agreement)
    warnings += [one for one in (order, scale, guess) if one]
    right = None if agreement is None else agreement.right
    return Fit(**facts, right=right, agreement=agreement), warnings, notes


def _ends(values: Array) -> tuple[float, float]:
    """Return the smallest and the largest value, NaN for an empty array."""
    known = values[~np.isnan(values)] if values.dtype.kind == "f" else values
    return (float(known.min()), float(known.max())) if known.size else (np.nan, np.nan)


def _enough(data: Samples) -> int:
    """Return the number of samples to examine, so few that memory holds them several times."""
    each = 4 * math.prod(data.source.shape[1:])
    return min(ENOUGH, max(LEAST, BYTES // max(each, 1)))


def _read(some: Samples) -> tuple[Samples | None, dict[int, str]]:
    """Return the samples that can be read, and the reasons for all others, by their places."""
    good: list[Samples] = []
    failed: dict[int, str] = {}
    with progress("reading", len(some)) as advance:
        for read in read_ahead(some, Pieces(len(some), LEAST)):
            failed |= {place: failure.reason for place, failure in read.failed.items()}
            good += [read.samples] if read.samples is not None else []
            advance(len(read.places))
    return Samples.joined(good) if good else None, failed


def _about_failed(places: Array, failed: Mapping[int, str]) -> str:
    first, reason = next(iter(failed.items()))
    return (
        f"{len(failed)} of {len(places)} images cannot be read, and a run would leave them out; "
        f"image {places[first]}: {reason}"
    )


def _about_order(
    model: Model,
    answers: Array,
    samples: Samples,
    agreement: Agreement | None,
    *,
    by_name: bool,
) -> tuple[str | None, int]:
    """Return a sentence about an order of the classes that fits far better than the present order.

    The sentence comes with the number of labels that are right in that order; it is None if no
    order fits far better.

    Labels without names keep their numbers, whatever the names of the classes are.
    """
    hits, names = hits_of(model, answers, samples), samples.class_names
    if hits is None:
        return None, 0
    count = len(hits.labels)
    has_names = names is not None and len(names) == count
    order = hits.better_order()
    if order is None and samples.in_words and names is not None:
        order = _of_both_orders(hits, names)
    if order is None:
        return None, 0
    right = hits.right(order)
    fits = f"{right} of {hits.total} labels are right if "
    now = "" if agreement is None else f", and {hits.right()} are right with the present numbers"
    if names is None or not has_names or not by_name:
        names = names if has_names else None
        meant = [
            f"label {label} means class {k}{'' if names is None else f' ({names[k]!r})'}"
            for label, k in enumerate(order)
        ]
        many = count > FEW
        shown = f"{', '.join(meant[:-1])} and {meant[-1]}" if not many else ", ".join(meant[:FEW])
        said = (
            f"{fits}{shown}{' ...' if many else ''}{now}: the labels and the network's classes "
            "seem to have different numbers; number the labels in this way"
        )
        return said, right
    ordered = [names[order.index(place)] for place in range(count)]
    which = "this" if samples.in_words else "another"
    said = (
        f"{fits}the network's classes are in {which} order{now}: {typed_names(ordered, every=True)}"
    )
    return said, right


def _of_both_orders(hits: Hits, words: Sequence[str]) -> list[int] | None:
    """Return the order of words that are numbers, alphabetical or numerical, if it fits better."""
    by_size = numerical_order(words)
    if by_size is None:
        return None
    orders = [list(range(len(words))), [by_size.index(word) for word in words]]
    right = [hits.right(order) for order in orders]
    best = int(np.argmax(right))
    is_clear = right[best] - right[1 - best] > max(3, 0.1 * hits.total)
    return orders[best] if is_clear and hits.by_chance(orders[best]) < SURE else None


def _about_guessing(
    model: Model, answers: Array, samples: Samples, agreement: Agreement | None
) -> str | None:
    """Return a warning if no more labels are right than by guessing."""
    hits = hits_of(model, answers, samples)
    if agreement is None or agreement.kind != "class" or hits is None or not hits.is_guess():
        return None
    count = len(hits.labels)
    return (
        f"{agreement} are right, no more than by guessing (always answering the most "
        f"frequent class makes {int(hits.labels.max())} right, one of {count} classes at random "
        f"{hits.total / count:.0f}): perhaps the file holds another network, or the network was "
        "trained on other labels or on differently prepared data"
    )
