"""Run of one technique on a model and samples: in batches, checked, with provenance.

A result is a stream of batches that is computed while it is read, so that a million images take the
memory of one batch, or of all maps if these are needed together.
"""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import nullcontext as nothing
from dataclasses import dataclass, field, replace
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

from cnnvis import demo
from cnnvis.data.axes import Axis, axes_of
from cnnvis.data.batches import Piece, Pieces, finite, read_ahead
from cnnvis.data.condition_values import DataValues
from cnnvis.data.explanation import Explanation
from cnnvis.data.image_conditions import Expression
from cnnvis.data.image_selection import Condition, Selection, selection_of
from cnnvis.data.samples import BYTES, Array, Samples, evenly_spaced
from cnnvis.data.stream import Stream
from cnnvis.data.voxel_grid import VoxelGrid, common_grid
from cnnvis.errors import UserError, nearest, shown
from cnnvis.execution.calls import call_plugin
from cnnvis.explain.attempts import computed_piece, no_numbers, with_targets
from cnnvis.explain.baselines import Baselines, named_in
from cnnvis.explain.class_matching import Matching, about_columns, matched
from cnnvis.explain.input_axes import described_by, has_coordinates, of_input, region_in_positions
from cnnvis.explain.inputs import PluginOptions, model_of, options_used, samples_of
from cnnvis.explain.keeping import Keeper, Making
from cnnvis.explain.orders import Orders, orders_of, over_orders
from cnnvis.explain.predictions import Answers
from cnnvis.explain.provenance import provenance_of
from cnnvis.explain.request import Request
from cnnvis.explain.scaling import about_scale
from cnnvis.explain.several import (
    in_order,
    number_of_targets,
    rows_of_each,
    said_of,
    targets_of,
)
from cnnvis.explain.tally import Tally, constant_maps, extremes, finite_maps
from cnnvis.network.compilation import BATCH, batch_size
from cnnvis.network.model import Model
from cnnvis.network.plain_values import plain
from cnnvis.network.unit_cache import units_cached
from cnnvis.registry.arguments import Style
from cnnvis.registry.discovery import registry
from cnnvis.registry.plugin import Plugin
from cnnvis.reporting import note, notes_kept, progress, quietly


@dataclass(frozen=True)
class Task:
    """Task of explanations: a model and images, and some of the model's inputs.

    Attributes
    ----------
    model
        The model at its target, if any technique takes one.
    samples
        By the names of the model's inputs, the samples shaped for the model and explaining that
        input; under None without a model; empty without samples. With several targets, each sample
        is there for each of them, one behind the other; see `Samples.target_numbers`.
    inputs
        The inputs for which a map was asked; None for all inputs on which the target depends.
    axes
        The meaning of the positions along the maps' axes, where somebody gave it.
    stops
        True where the first image without a result ends the run.
    predicts
        True where results need the class that the network answers for each image, even at the cost
        of an extra pass.
    every
        The whole data set from which the samples are chosen.
    style
        The style in which techniques compute, for the provenance.
    targets
        A model for each target, if each image gets a map for each of several; else none.
    reading
        The options with which the model and the data were read, for the provenance.
    """

    model: Model | None
    samples: Mapping[str | None, Samples]
    inputs: tuple[str, ...] | None
    axes: Mapping[str, Axis] = field(default_factory=dict)
    stops: bool = False
    predicts: bool = False
    every: Samples | None = None
    style: Style = "default"
    targets: tuple[Model, ...] = ()
    reading: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, request: Request, plugins: Sequence[Plugin]) -> Task:
        """Read the model and data of a request, and shape the data for the network.

        Parameters
        ----------
        plugins
            The techniques that will explain it; what none of them takes is not read.

        Raises
        ------
        UserError
            If anything is missing, cannot be read, or does not fit.
        """
        asked, options = request.data, request.plugin_options
        data = asked.data
        described, selection = axes_of(asked.axes or {}), selection_of(asked.images)
        selection.require_names()
        takes_model = any(plugin.takes("model") for plugin in plugins)
        in_hand = data is not None and not isinstance(data, str | PathLike)
        handle = _loaded(request) if takes_model and in_hand else None
        every = _read(request.model, data, options, plugins, handle)
        # What a place or a file's ending tells is said before a network is loaded.
        places = None if every is None else selection.places_in(len(every))
        needs_model = takes_model or (every is not None and selection.asks_network)
        if handle is None and needs_model:
            handle = _loaded(request)
        matching = matched(every, asked.class_names, handle)
        said = matching.note or about_columns(matching.samples, handle)
        if said:
            note(said)
        if handle is not None:
            handle = handle.with_labels(matching.samples, matching.names)
            if takes_model:
                handle.note_defaults()
            if matching.is_open:
                _require_numbers(handle, matching)
        described = of_input(described, handle)
        is_read = every is not None and not in_hand
        reading = options_used(
            request.model if needs_model else None, data if is_read else None, options
        )
        targets = _targets(request, handle, plugins)
        inputs = _asked_inputs(request.target.input, handle)
        if matching.samples is None or places is None:
            return cls(
                handle, {}, inputs, described, request.strict, style=request.style, reading=reading
            )
        whole = None if handle is None or selection.is_all else _as_one(handle, matching.samples)
        if whole is not None:  # then its rows are no images to choose from
            matching, places = replace(matching, samples=whole), selection.places_in(1)
        samples = _chosen(matching, selection, places, handle)
        model = handle if takes_model else None
        shaped: dict[str | None, Samples] = {None: samples}
        if model is not None:
            shaped = dict(_shaped(model, samples, inputs).items())
        # What a person says of the axes is about those of the network's input.
        shaped = {name: described_by(described, one) for name, one in shaped.items()}
        if targets:
            shaped = {name: one.repeated(len(targets)) for name, one in shaped.items()}
        return cls(
            model, shaped, inputs, described, request.strict,
            every=matching.samples, style=request.style, targets=targets, reading=reading,
        )  # fmt: skip

    @property
    def explained_inputs(self) -> tuple[str, ...]:
        """Inputs that get a map."""
        return self.inputs or (() if self.model is None else self.model.explainable_inputs)

    @property
    def models(self) -> tuple[Model, ...]:
        """The models that are explained: one, or one for each target."""
        return self.targets or (() if self.model is None else (self.model,))

    def at(self, model: Model) -> Task:
        """Return the task of a single target; the samples are still those of all."""
        found = replace(self, model=model, targets=())
        vars(found).update({"data": self.data})  # which is the same, and costly
        return found

    def explained(
        self,
        plugin: Plugin,
        options: Mapping[str, Any],
        *,
        strict: bool = True,
        kept: Callable[[str | None], Keeper] | None = None,
    ) -> dict[str | None, Stream]:
        """Return a technique's result for each of the inputs that get a map, by their names.

        Parameters
        ----------
        strict
            Raise an error if the maps of all images are blank, rather than make a note.
        kept
            Function that returns the keeper of the maps of an input, by the input's name.
        """
        model = self.model if plugin.takes("model") else None
        samples = self.samples if plugin.takes("samples") else {}
        if model is None or not samples:
            one = next(iter(samples.values()), None)
            only = None if one is None else self._once(one)
            return {None: Stream(lambda: [self._at_once(plugin, options, model, only)])}
        results: dict[str | None, Stream] = {}
        for name in self.explained_inputs:
            of = samples[name]
            if (plugin.gives or "images") == "images":
                keeper = None if kept is None else kept(name)
                results[name] = self._stream(plugin, options, model, of, keeper, strict=strict)
            else:
                at_once = functools.partial(
                    self._at_once, plugin, options, model.with_inputs_held(of), self._once(of)
                )
                results[name] = Stream(lambda at_once=at_once: [at_once()])  # type: ignore[misc]
        return results

    def tried(self, plugin: Plugin, options: Mapping[str, Any], name: str | None) -> None:
        """Run a technique for one of the inputs on a single image, whatever the result.

        Raises
        ------
        UserError
            If that input cannot have what the technique gives.
        """
        with notes_kept(), quietly():
            one = self.baselines(plugin, options).ready(self._once(self.samples[name][:1]))
            call_plugin(
                plugin,
                model=self.models[0].with_blank_reasons([]).with_inputs_held(one),
                samples=one,
                **self.references(plugin, one),
                **options,
            )

    def _once(self, samples: Samples) -> Samples:
        """Return each image once, where the samples are there for each of several targets."""
        if samples.target_numbers is None:
            return samples
        return replace(samples.picked(samples.image_starts), target_numbers=None)

    @functools.cached_property
    def data(self) -> Mapping[str | None, Samples]:
        """The whole data set in the shape of each of the model's inputs."""
        if self.model is None or self.every is None:
            return self.samples
        return dict(_shaped(self.model, self.every, None).items())

    def baselines(self, plugin: Plugin, options: Mapping[str, Any]) -> Baselines:
        """Return the baselines that a plugin's options name, made of the whole data set."""
        return Baselines(named_in(plugin, options), lambda: self.data)

    def references(self, plugin: Plugin, samples: Samples | None) -> dict[str, Samples]:
        """Return samples of the whole data set, if the plugin has the parameter `references`."""
        if samples is None or not plugin.takes("references"):
            return {}
        whole = self.data.get(samples.input) or next(iter(self.data.values()))
        if (
            samples.input not in self._references
        ):  # the same for each batch, with what is known of it
            chosen = whole.picked(evenly_spaced(len(whole), REFERENCES))
            self._references[samples.input] = chosen
        return {"references": self._references[samples.input]}

    @property
    def _read_with(self) -> dict[str, Any]:
        """The options with which the model and the data were read, as provenance has them."""
        return {"reading": dict(self.reading)} if self.reading else {}

    @functools.cached_property
    def orders(self) -> Orders | None:
        """The orders of an exchangeable axis over which maps are averaged; None for a single order."""
        return orders_of(self.samples)

    @functools.cached_property
    def _references(self) -> dict[str | None, Samples]:
        return {}

    def _at_once(
        self,
        plugin: Plugin,
        options: Mapping[str, Any],
        model: Model | None,
        samples: Samples | None,
    ) -> Explanation:
        if model is not None and samples is not None:
            samples.require_finite()
            samples = self.baselines(plugin, options).ready(samples)
        tally = Tally(plugin, options, _among_several(model, samples))
        with units_cached(), notes_kept() as notes:
            found = call_plugin(
                plugin,
                **({"model": model} if plugin.takes("model") else {}),
                **({"samples": samples} if plugin.takes("samples") else {}),
                **self.references(plugin, samples),
                **options,
            )
            done = self._predicted(with_targets(found, plugin, model, samples, options), model)
            done = self._described(done)
        for sentence in notes:
            tally.note(sentence)
        if done.maps is not None and done.samples is not None:
            known = extremes(done)
            if not finite_maps(done, known).all():
                raise no_numbers(plugin, model, done.samples)
            tally.images = len(done)
            tally.judge(done, constant_maps(done, known))
            self._say_saturated(tally, model)
        tally.close(strict=True)
        return done.with_facts(
            {**provenance_of(plugin, options, model, samples, self.style), **self._read_with}
        )

    def _stream(
        self,
        plugin: Plugin,
        options: Mapping[str, Any],
        model: Model,
        samples: Samples,
        keeper: Keeper | None,
        *,
        strict: bool,
    ) -> Stream:
        facts = provenance_of(plugin, options, model, samples, self.style, self.targets)
        facts |= self._read_with
        facts |= {} if self.orders is None else {"orders": self.orders.as_dict()}
        size = rows_at_once(samples)
        is_kept = keeper is not None or len(samples) > size
        baselines = self.baselines(plugin, options)

        def explain(blank: list[str], batch: Samples) -> Explanation:
            with units_cached():
                found = self._explanation(plugin, options, blank, batch, baselines)
            if found.samples is not None and found.samples.baselines:
                found = replace(found, samples=replace(found.samples, baselines={}))
            if is_kept and (
                found.maps is None or found.samples is None or len(found) != len(batch)
            ):
                raise plugin.failed("it gave no map for each of its samples")
            return found

        def completed(found: Explanation) -> Explanation:
            found = self._predicted(replace(found, input=samples.input), model)
            taken = {"baselines": baselines.taken} if baselines.taken else {}
            return self._described(found).with_facts({**facts, **taken})

        def pieces(*, outlines: bool) -> Iterator[Piece]:
            baselines.settle()
            images = len(samples) // number_of_targets(samples)
            tally = Tally(plugin, options, _among_several(model, samples), images, stops=self.stops)
            compute = functools.partial(
                computed_piece, plugin, explain, self.models[0], tally, is_kept=keeper is not None
            )
            if keeper is not None:
                every = keeper.pieces(samples, Making(compute, completed), outlines=outlines)
            else:
                every = map(compute, read_ahead(samples, Pieces(len(samples), size)))
            bar = progress(plugin.name, len(samples)) if len(samples) > size else nothing()
            with bar as done:
                for piece in tally.each(every, samples):
                    yield piece
                    if done is not None:
                        done(len(piece.places))
            self._say_saturated(tally, model)
            tally.close(strict=strict)

        def batches() -> Iterator[Explanation]:
            for piece in pieces(outlines=False):
                if piece.found is not None:
                    yield completed(piece.found)

        def fill() -> None:
            for _ in pieces(outlines=True):
                pass

        if keeper is None:
            return Stream(batches, samples)
        return Stream(batches, samples, fill=fill, known=keeper.sums)

    def _explanation(
        self,
        plugin: Plugin,
        options: Mapping[str, Any],
        blank: list[str],
        batch: Samples,
        baselines: Baselines,
    ) -> Explanation:
        """Return a technique's maps of a batch, at each of its targets."""

        def at(model: Model, batch: Samples) -> Explanation:
            model = model.with_blank_reasons(blank).with_inputs_held(batch)
            found = call_plugin(
                plugin, model=model, samples=batch, **self.references(plugin, batch), **options
            )
            return with_targets(found, plugin, model, batch, options)

        def in_orders(model: Model, batch: Samples) -> Explanation:
            found = at(model, batch)
            if self.orders is None:
                return found
            return over_orders(
                self.orders, found, model, batch, lambda model, one: at(model, baselines.ready(one))
            )

        if not self.targets:
            return in_orders(self.models[0], baselines.ready(batch))
        parts: list[tuple[Array, Explanation]] = []
        ready: dict[bytes, Samples] = {}  # the same images are made ready once
        for number, rows in rows_of_each(batch):
            images = batch.indices[rows].tobytes()
            if images not in ready:
                ready[images] = baselines.ready(replace(batch[rows], target_numbers=None))
            parts.append((rows, in_orders(self.targets[number], ready[images])))
            if len(parts[-1][1]) != len(rows):
                raise plugin.failed("it gave no map for each of its samples")
        return in_order(parts, batch)

    def _predicted(self, found: Explanation, model: Model | None) -> Explanation:
        """Return a result with the classes that the network answers, where they are asked for."""
        is_known = found.predictions is not None or found.maps is None or found.samples is None
        if is_known or not self.predicts or model is None or found.samples is None:
            return found
        with quietly():
            classes = model.with_inputs_held(found.samples).predicted_classes(found.samples.x)
        return replace(found, predictions=classes)

    def _described(self, found: Explanation) -> Explanation:
        """Return a result with what the settings, and else the data, say of its axes, and its grid."""
        if found.samples is None:
            return found.described(self.axes)
        # What a person says and does not fit is noted; what does is in the samples' own by now.
        known = found.described(self.axes).described(found.fitting(found.samples.coordinates))
        return replace(known, grid=self._grid)

    @functools.cached_property
    def _grid(self) -> VoxelGrid | None:
        """The grid of voxels that all explained images have."""
        return common_grid(next((one.grids for one in self.samples.values()), None))

    def _say_saturated(self, tally: Tally, model: Model | None) -> None:
        """Make a note on saturated answers, if the data look scaled in another way."""
        if not tally.saturated or model is None or self.every is None:
            return
        with quietly(), notes_kept():
            whole = next(iter(_shaped(model, self.every, None).values()))
            places = evenly_spaced(len(whole), LOOKED_AT)
            (read,) = map(finite, read_ahead(whole.picked(places), [range(len(places))]))
            good = read.samples
            said = None if good is None else about_scale(model.with_inputs_held(good), good)
        if said is not None:
            note(f"every score is saturated, and {said}. For more findings, run cnnvis doctor")


REFERENCES = 256
"""Maximum number of samples, evenly spaced in the data, that techniques have as references."""

LOOKED_AT = 16
"""Number of images that are examined for another scale of the data."""


def _read(
    model: Any,
    data: Any,
    options: PluginOptions,
    plugins: Sequence[Plugin],
    handle: Model | None,
) -> Samples | None:
    """Return the whole data set; None where no technique takes data.

    Raises
    ------
    UserError
        If no data set is given and a technique needs one, or the data set cannot be read; also if
        no loader takes the model, which is checked first.
    """
    is_demo = isinstance(model, str) and model == demo.NAME
    takes_model = any(plugin.takes("model") for plugin in plugins)
    if takes_model and isinstance(model, str | PathLike) and not is_demo:
        registry().for_path("loader", Path(model))
    data = demo.NAME if data is None and is_demo else data
    if data is None:
        for plugin in plugins:
            if plugin.needs("samples"):
                raise UserError(f"{plugin.name} explains images and needs data: add --data FILE")
        return None
    if not any(plugin.takes("samples") for plugin in plugins):
        return None
    shapes = None if handle is None else [one.shape for one in handle.inputs]
    every = samples_of(data, options, shapes)
    if len(every) == 0:
        raise UserError("the data hold no images")
    return every


def _asked_inputs(
    inputs: str | int | Sequence[str | int] | None, model: Model | None
) -> tuple[str, ...] | None:
    """Return the names of the requested inputs, given by name or by place in the network.

    Raises
    ------
    UserError
        If a place has no input.
    """
    if inputs is None:
        return None
    every = [inputs] if isinstance(inputs, str) or np.ndim(inputs) == 0 else list(inputs)  # type: ignore[arg-type]
    names = [] if model is None else [one.name for one in model.inputs]
    found = []
    for one in every:
        if isinstance(one, str):
            found.append(one)
            continue
        try:
            found.append(names[operator.index(plain(one))])
        except (TypeError, IndexError):
            raise UserError(
                f"there is no input {shown(one)}; give an input by its name or by its place: "
                f"{', '.join(f'{name} ({place})' for place, name in enumerate(names))}"
            ) from None
    return tuple(found)


def _loaded(request: Request) -> Model:
    if request.model is None:
        raise UserError(
            "right, wrong, predicted=NAME, p and score need the answer of a network: name its file, or demo"
        )
    asked = request.target
    target: dict[str, Any] = {"layer": asked.layer, "filters": asked.filter}
    target |= {"output": asked.output, "region": asked.region}
    axes = axes_of(request.data.axes or {})
    is_of_axes = has_coordinates(asked.region, axes)
    given = {**target, "region": None} if is_of_axes else target
    model = model_of(request.model, given, request.plugin_options, vars(request.loading))
    if not is_of_axes:
        return model
    region = region_in_positions(model, asked.region or (), axes)
    return model.with_target(asked.layer, asked.filter, output=asked.output, region=region)


def _require_numbers(model: Model, matching: Matching) -> None:
    """Refuse a target named by a word that stands for no known class, with the reason.

    Raises
    ------
    UserError
        If an output was asked for by such a word.
    """
    try:
        _ = model.filters
    except UserError as error:
        text = str(error).rstrip(".")
        raise UserError(f"{text}. {matching.note}" if matching.note else text) from error


def _chosen(
    matching: Matching, selection: Selection, places: Array, model: Model | None
) -> Samples:
    """Return the images of a data set that are to be explained.

    Raises
    ------
    UserError
        If no image is left, or a condition cannot be judged.
    """
    every = matching.samples
    assert every is not None
    values = DataValues(every)

    @functools.cache
    def answers() -> Answers:
        assert model is not None
        return Answers(model, next(iter(_shaped(model, every, None).values())), matching.names)

    def holds(condition: Condition | Expression, places: Array) -> Array:
        if isinstance(condition, Expression):
            return values.holds(condition, places, lambda *asked: answers().judge(*asked))
        if condition.key == "label":
            return every.labelled(condition.name)[places]
        return answers().holds(condition, places)

    places = selection.narrowed(places, holds)
    if not len(places):
        raise UserError("there are no images to explain")
    if selection.is_all:
        return every
    return every[places] if isinstance(every.source, np.ndarray) else every.picked(places)


def _as_one(model: Model, samples: Samples) -> Samples | None:
    """Return all of an array as one sample, if the network's input has that shape; else None."""
    if samples.labels is not None or samples.names is not None or len(samples) < 2:
        return None
    try:
        shaped = next(iter(_shaped(model, samples, None).values()))
    except UserError:  # which is said of those that are chosen
        return None
    return shaped if len(shaped) == 1 else None


def _shaped(model: Model, samples: Samples, wanted: Sequence[str] | None) -> Mapping[str, Samples]:
    """Return the samples for each input of the network, in the input's shape.

    Raises
    ------
    UserError
        If the samples do not fit the network, or no input has a requested name.
    """
    shaped = model.shaped(samples)
    for name in wanted or ():
        if name not in shaped:
            raise UserError(
                f"the network has no input {name!r}.{nearest(name, shaped)} "
                f"It has: {', '.join(shaped)}."
            )
    return shaped


def _targets(request: Request, model: Model | None, plugins: Sequence[Plugin]) -> tuple[Model, ...]:
    """Return a model for each of several targets, where a technique gives maps of images.

    Raises
    ------
    UserError
        If there are none, or classes with the largest scores are asked for where there are none.
    """
    are_of_images = any(plugin.gives_maps_of_images for plugin in plugins)
    if model is None or not are_of_images:
        if request.top is not None:
            raise UserError(
                "top chooses the classes of each image, and this technique gives no map for each "
                "image: name outputs with --filter (filter=)"
            )
        return ()
    found = targets_of(model, request.target, request.top)
    said = said_of(found, request.top)
    if said:
        note(said)
    return found


def rows_at_once(samples: Samples) -> int:
    """Return the number of samples to take at a time, all targets of an image among them."""
    size, targets = batch_size(images_at_once(samples)), number_of_targets(samples)
    if targets == 1:
        return size
    # As long as there is room for them, enough images for a batch of the network.
    room = 4 * BYTES // max(samples.bytes_each * targets, 1)
    images = max(size // targets, min(size, BATCH, room), 1)
    return targets * (images - images % BATCH if images > BATCH else images)


def images_at_once(samples: Samples) -> int:
    """Return the number of images that a technique is given at a time."""
    size = samples.at_once
    return size - size % BATCH if size > BATCH else size


def _among_several(model: Model | None, samples: Samples | None) -> str | None:
    """Return the name of the input that samples are of, where the network has others."""
    return None if model is None or samples is None or len(model.inputs) < 2 else samples.input
