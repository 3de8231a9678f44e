"""Model: a loaded network, cut at its target, with compiled gradients."""

from __future__ import annotations

import copy
import functools
import operator
import random
import re
import weakref
import zlib
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from contextvars import ContextVar
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from cnnvis.data.class_names import ClassNames, names_in_order
from cnnvis.data.explanation import axis_names
from cnnvis.data.labels import has_class
from cnnvis.data.lazy import Shape
from cnnvis.data.loaded_network import LoadedNetwork
from cnnvis.data.samples import Array, Samples
from cnnvis.data.target import Target
from cnnvis.errors import UserError, complaint, nearest, numbered, shown
from cnnvis.files.snapshots import sha256
from cnnvis.network import diagnosis, gradients
from cnnvis.network.activations import (
    Rectifier,
    activation_name,
    counted,
    rectifiers,
    rule_of,
    unknown_activation,
)
from cnnvis.network.backend import keras, tensorflow
from cnnvis.network.channels import channel_axes, input_channel_axis
from cnnvis.network.classes import classes_of
from cnnvis.network.compilation import Compiled, at_once
from cnnvis.network.export import rebuilt
from cnnvis.network.geometry.following import followed
from cnnvis.network.geometry.origin import Origin
from cnnvis.network.geometry.smallest import enough
from cnnvis.network.geometry.upsampling import upsampled
from cnnvis.network.graph import Call, Graph, Input, LayerError, Slot, graph_of
from cnnvis.network.input_names import matched
from cnnvis.network.lookups import not_looked_up, require_known
from cnnvis.network.losses import is_of_classes, losses_of
from cnnvis.network.modifiers import Backprop
from cnnvis.network.targets import Term, as_word, parsed, region_of
from cnnvis.reporting import note, progress, quietly

T = TypeVar("T")

OUTPUT = "output"
"""The layer that is the target when nobody names one, if the network has it."""


@dataclass(frozen=True)
class Layer:
    """One layer of a network, as it is listed.

    Attributes
    ----------
    name
        Its path through nested models, ``backbone/block5_conv3``, and the number of the call where
        it is called more than once, ``tower@1/conv``.
    kinds
        The name of its class, and of those that it is derived from.
    output_shape
        Of one sample, channels included; None where any length will do.
    spatial_axes
        How many axes of its output are no channels.
    parameters
        How many numbers it has learned; 0 for calls after the first.
    activation
        The name of its activation function; empty where it has none.
    rectifiers
        What backpropagation modifiers change in it, by kind: ``("ReLU",)``.
    obstacle
        Why it cannot be a target; None if it can.
    """

    name: str
    kinds: tuple[str, ...]
    output_shape: Shape
    spatial_axes: int
    parameters: int
    activation: str
    rectifiers: tuple[str, ...]
    obstacle: str | None = None

    @property
    def kind(self) -> str:
        """The name of its class."""
        return self.kinds[0]


@dataclass(frozen=True)
class _Network:
    """What all models of one network share: its calls, their layouts, and what was compiled."""

    graph: Graph
    axes: Mapping[Slot, int]
    calls: Mapping[str, Call]
    outputs: Mapping[str, Call]
    is_named: bool
    compiled: dict[tuple[Any, ...], Any] = field(default_factory=dict)
    squashing: dict[str, gradients.Squashing | None] = field(default_factory=dict)

    @classmethod
    def of(cls, network: Any) -> _Network:
        graph = graph_of(network)
        calls = {call.name: call for call in graph.calls}
        outputs = _outputs(graph, network)
        named = calls.get(OUTPUT)
        is_named = named is not None and gradients.is_answer(graph, named)
        return cls(graph, channel_axes(graph), calls, outputs, is_named)


def _outputs(graph: Graph, network: Any) -> dict[str, Call]:
    """The calls that give the network's outputs, by the names of these.

    A name is the key in the dict that the network was built with, else Keras's own; where Keras
    had to number outputs of one name, the call's.
    """
    givers = {slot: call for call in graph.calls for slot in call.slots}
    ends = [givers[slot] for slot in graph.outputs if slot in givers]
    by_call = {call.name: call for call in ends}
    for names in (graph.output_keys, getattr(network, "output_names", None) or ()):
        if all(names) and len(names) == len(set(names)) == len(ends) == len(by_call):
            return {str(name): call for name, call in zip(names, ends, strict=True)}
    return by_call


def _network_of(network: Any) -> _Network:
    """What is known of a Keras network: from an earlier look at it, if it is what it was then.

    So that whoever explains a live network again and again has it traced once. Its weights may
    change all the while, since they are read whenever it runs.
    """
    for number, (known, was, shared) in enumerate(_seen):
        if known() is network:
            del _seen[number]
            if _is_same(was, _parts_of(network, shared)):
                _seen.append((known, was, shared))
                return shared
            break
    shared = _Network.of(network)
    _seen.append((weakref.ref(network, _forget), _parts_of(network, shared), shared))
    del _seen[:-SEEN]
    return shared


LOOKED_AT = 64
"""How many samples are looked at for fractions."""

SEEN = 4
"""How many networks are remembered: they keep what was compiled, and their layers."""

_seen: list[tuple[weakref.ref[Any], list[Any], _Network]] = []


def _forget(gone: weakref.ref[Any]) -> None:
    _seen[:] = [entry for entry in _seen if entry[0] is not gone]


def _parts_of(network: Any, shared: _Network) -> list[Any]:
    """All in a network that would make it another one, if something else stood in its place."""
    parts = [*getattr(network, "layers", ()), *getattr(network, "variables", ())]
    inner = network._flatten_layers() if hasattr(network, "_flatten_layers") else ()
    called = (layer for call in shared.graph.calls for layer in call.layers())
    for layer in {id(one): one for one in (network, *inner, *called)}.values():
        own = vars(layer)
        # Keras keeps in names with a line before them what it notes down as it goes along.
        is_kerass = type(layer).__module__.partition(".")[0] in ("keras", "tf_keras")
        parts += [own.get("activation"), own.get("call")]
        parts += [
            _fixed(value)
            for name, value in sorted(own.items())
            if _counts(name, value, is_kerass=is_kerass)
        ]
    return parts


_NOTED = {
    *("_called", "built", "compiled", "loss", "stop_predicting", "stop_training", "history"),
    *("_is_compiled", "_jit_compile", "_pss_evaluation_shards", "optimizer", "compiled_loss"),
    *("compiled_metrics", "train_function", "test_function", "predict_function"),
    *("train_tf_function", "metrics_names", "build", "quantize", "call_signature_parameters"),
}
"""What Keras notes down in layers and networks of any kind while it trains them or predicts."""


def _counts(name: str, value: Any, *, is_kerass: bool) -> bool:
    """Whether an attribute of a layer may say what it computes."""
    if name.startswith("__") or name in _NOTED:
        return False
    if isinstance(value, bool | int | float | str | tuple) or hasattr(value, "__array__"):
        return not (is_kerass and name.startswith("_"))
    # In names with a line before them are also the lists in which Keras notes calls and variables.
    is_public = not name.startswith("_")
    return is_public and (isinstance(value, list | dict) or callable(value))


def _fixed(value: Any, depth: int = 3) -> Any:
    """What tells whether an attribute is still the same: of what may change within, its contents."""
    if isinstance(value, np.ndarray):
        return (value.shape, str(value.dtype), zlib.crc32(np.ascontiguousarray(value).tobytes()))
    if isinstance(value, Mapping) and depth:
        value = [part for item in value.items() for part in item]
    if isinstance(value, list | tuple) and depth:
        return tuple(_fixed(one, depth - 1) for one in value)
    return value


def _is_same(one: Sequence[Any], other: Sequence[Any]) -> bool:
    """Whether these are the same objects, or numbers and words that are equal."""
    return len(one) == len(other) and all(map(_is_equal, one, other))


def _is_equal(one: Any, other: Any) -> bool:
    if isinstance(one, tuple) and isinstance(other, tuple):
        return _is_same(one, other)
    plain = (bool, int, float, str)
    return one is other or (isinstance(one, plain) and isinstance(other, plain) and one == other)


class Model:
    """A network as techniques see it: cut at its target, so that nothing behind it ever runs.

    Parameters
    ----------
    network
        A Keras network, of Keras 3 or tf_keras: Functional, Sequential, nested, or a subclassed
        one whose call can be followed with symbolic inputs; or what a loader gave. It is not
        changed.
    layer
        The target: a layer, ``output`` or ``backbone/block5_conv3``, one of its outputs,
        ``output:3`` or ``output[AI]``, or a sum or difference of such, ``head[3]-head[5]``; also a
        Keras layer of the network, or its place among ``network.layers``: -1 for the last. By
        default the layer named ``output``, if what is behind it has no weights and leaves the
        classes as they are, else the last.
    filters
        Which outputs of the target are explained, by number or by name: classes of the last layer,
        filters of one in between. Several are added up. By default the class that the network
        predicts for each input if the target is the default one, else output 0. A single sigmoid
        stands for two classes: the name of the first means that its score counts negatively.
    class_names
        The names of the target's classes.
    path
        The file that it was loaded from, for the provenance.
    sha256
        The SHA-256 of what was loaded; by default, that of the file as it is when somebody asks.
    output
        Which of the network's outputs is meant, where it has several and no layer is named: its name
        or its place among them.
    region
        For a target with spatial axes, such as the classes of every pixel: over which positions its
        outputs are averaged; a position (7) or a range ("10:20", a slice) for each spatial axis.
        By default over all.

    Attributes
    ----------
    network
        The Keras network, whole.
    asked_layer, asked_filters
        The target as somebody asked for it; None where nobody did.
    loading
        The loader's options that it was loaded with, for whoever loads it again.

    Raises
    ------
    UserError
        If there is no such layer, or the network has no graph of layers to cut.
    """

    def __init__(
        self,
        network: Any,
        *,
        layer: str | int | Any | None = None,
        filters: int | str | Sequence[int | str] | None = None,
        class_names: ClassNames | None = None,
        path: Path | None = None,
        sha256: str | None = None,
        output: str | int | None = None,
        region: str | int | slice | Sequence[str | int | slice] | None = None,
        _shared: _Network | None = None,
    ) -> None:
        self._loaded: LoadedNetwork = (
            network if isinstance(network, LoadedNetwork) else LoadedNetwork(network)
        )
        self.network: Any = self._loaded.network
        self.path, self._sha256 = path, sha256
        self.loading: Mapping[str, Any] = {}
        self.class_names = names_in_order(class_names)
        self._shared = _network_of(self.network) if _shared is None else _shared
        self._explained = 0
        self._held: dict[str, Array] = {}
        self._blank: list[str] | None = None
        self._labelled = self._labels_several = False
        self._told: bool | None = None
        self.asked_layer = layer = None if layer is None else self._layer_name(layer)
        # What was asked for goes into files as JSON.
        self.asked_filters = plain(filters)
        self.asked_output = None if output is None else self._output_name(output)
        if isinstance(region, str | int | slice):
            region = (region,)
        self.asked_region = None if region is None else tuple(region)
        default = self._default_layer()
        self._is_default = layer in (None, default)
        self._terms = self._parsed(layer or default)
        self._calls = tuple(self._call(term.layer) for term in self._terms)

    def at(
        self,
        layer: str | int | Any | None = None,
        filters: int | str | Sequence[int | str] | None = None,
        class_names: ClassNames | None = None,
        *,
        output: str | int | None = None,
        region: Sequence[str | int | slice] | None = None,
    ) -> Model:
        """The same network with another target, the default one where nothing is said."""
        other = Model(
            self._loaded,
            layer=layer,
            filters=filters,
            class_names=self.class_names if class_names is None else class_names,
            path=self.path,
            sha256=self._sha256,
            output=output,
            region=region,
            _shared=self._shared,  # what was traced for one target serves all that share it
        )
        other._explained, other._held, other._blank = self._explained, self._held, self._blank
        other._labelled, other._labels_several = self._labelled, self._labels_several
        other.loading = self.loading
        return other

    def on(self, samples: Samples) -> Model:
        """The same model, explaining one of several inputs and holding the others at their values.

        Parameters
        ----------
        samples
            The input to explain, by its name, and the others; see `shaped`.
        """
        other = copy.copy(self)
        if samples.input is not None:
            names = [one.name for one in self.inputs]
            other._explained = names.index(samples.input)
            other._held = {name: np.asarray(held[:]) for name, held in samples.others.items()}
        return other

    def labelled(self, samples: Samples | None) -> Model:
        """The same model, whose outputs are classes if the labels of the samples say so."""
        other, answer = copy.copy(self), self.answer
        other._labelled = (
            samples is not None and answer is not None and answer._are_classes(samples)
        )
        other._labels_several = samples is not None and samples.label_kind == "several"
        return other

    def _are_classes(self, samples: Samples) -> bool:
        """Whether labels number the units of the target, or there are 0 and 1 for each of them."""
        labels, units = samples.labels, self._channels(self._target)
        if labels is None or units is None or not len(samples):
            return False
        if samples.label_kind == "class":
            some = np.asarray(labels)[has_class(np.asarray(labels))]
            return bool(len(some)) and int(some.min()) >= 0 and int(some.max()) < units
        return samples.label_kind == "several" and labels.shape[1] == units

    def tallying(self, blank: list[str]) -> Model:
        """The same model, which puts into that list why gradients are blank instead of raising.

        For batches of many images, of which one may hold nothing but blank ones.
        """
        other = copy.copy(self)
        other._blank = blank
        return other

    def footprint(self, samples: Samples) -> int:
        """How many bytes one of these samples needs on its way to the target and back, about."""
        sources = [*samples.inputs.values()] or [samples.source]
        # Shapes are all that counts; no sample is read for it.
        one = [np.broadcast_to(np.float32(0), (1, *source.shape[1:])) for source in sources]
        return self._pass(None).footprint(one)

    # What there is

    @property
    def layer(self) -> str:
        """The target layer's name; for a sum or difference, the whole target as it was written."""
        if self._is_compound:
            return str(self.asked_layer)
        return self._target.name

    @property
    def target_layers(self) -> tuple[str, ...]:
        """The names of the layers whose outputs make up the target."""
        return tuple(call.name for call in self._target_calls)

    @functools.cached_property
    def filters(self) -> tuple[int, ...] | None:
        """Which outputs of the target are explained, by number; None if nobody said.

        Of a single sigmoid, which stands for two classes, that is always output 0.

        Raises
        ------
        UserError
            If the target has no such output.
        """
        chosen = self._chosen
        return None if chosen is None else tuple(number for number, _ in chosen)

    @property
    def inputs(self) -> tuple[Input, ...]:
        """The network's inputs: their names, shapes and types."""
        return self._shared.graph.inputs

    @property
    def explainable_inputs(self) -> tuple[str, ...]:
        """The names of the inputs that the target depends on, the others having no map."""
        graph = self._shared.graph
        needed = {slot for call in graph.needed(self._ends) for slot in call.inputs}
        fitting = [one.name for one in self.inputs if one.slot in needed]
        return tuple(fitting or [one.name for one in self.inputs])

    @property
    def depends_on_input(self) -> bool:
        """Whether the target depends on the input that is explained; with one input it does."""
        graph = self._shared.graph
        return not graph.reached([self.inputs[self._explained].slot]).isdisjoint(self._ends)

    @property
    def output_names(self) -> tuple[str, ...]:
        """The names of the network's outputs, as `output` takes them."""
        return tuple(self._shared.outputs)

    @property
    def output_layers(self) -> dict[str, str]:
        """The layer that gives each of the network's outputs, by the output's name."""
        return {name: call.name for name, call in self._shared.outputs.items()}

    @property
    def input_shape(self) -> Shape:
        """The shape of one input, without the sample axis; None where any length will do."""
        return self.inputs[self._explained].shape

    @property
    def expected_range(self) -> tuple[tuple[float, float], str] | None:
        """The values that the network's first layer expects, and the layer; None if none says it.

        A Rescaling expects what it makes 0 to 1 or -1 to 1 of; a normalization what lies within
        three deviations of the mean of what it was trained on.
        """
        start = self.inputs[self._explained].slot
        first = next((call for call in self._shared.graph.calls if start in call.inputs), None)
        found = None if first is None else diagnosis.expected_range(first.layer, first.kinds)
        return None if first is None or found is None else (found, first.name)

    @property
    def input_channel_axis(self) -> int | None:
        """Which axis of a batch of inputs holds channels: -1 or 1; None if none does.

        The first layer with spatial axes tells: a Conv2D whose input has but two axes left gets its
        channels from a layer in between.
        """
        return self.channel_axis_of(self.inputs[self._explained].name)

    def channel_axis_of(self, name: str) -> int | None:
        """Which axis of a batch of the input of that name holds channels: -1, 1 or None."""
        one = next(one for one in self.inputs if one.name == name)
        return input_channel_axis(self._shared.graph, one.slot, one.shape)

    def shaped(self, samples: Samples) -> Mapping[str, Samples]:
        """The samples for each of the network's inputs, as it wants them and explaining that input.

        Raises
        ------
        UserError
            If the samples' arrays are not those that the network takes, or have other shapes.
        """
        several = len(self.inputs) > 1 or samples.input is not None
        arrays = matched(self.inputs, samples.inputs) if several else {}
        self._require_whole_numbers(samples, arrays)
        unused = [name for name in samples.inputs if name not in arrays.values()]
        if unused:
            note(f"the network takes no input {', '.join(map(repr, unused))}, which the data hold")
        return samples.shaped_for_inputs(
            {
                one.name: (arrays.get(one.name, ""), one.shape, self.channel_axis_of(one.name))
                for one in self.inputs
            }
        )

    def _require_whole_numbers(self, samples: Samples, arrays: Mapping[str, str]) -> None:
        """Refuse what an input of whole numbers does not hold, and Keras would change in silence."""
        for one in self.inputs:
            source = samples.inputs[arrays[one.name]] if arrays else samples.source
            if not one.dtype.startswith(("int", "uint")):
                continue
            few = np.asarray(source[:LOOKED_AT])
            few = few[np.isfinite(few)] if few.dtype.kind == "f" else few
            bounds = np.iinfo(one.dtype)
            if few.dtype.kind == "f" and (few % 1).any():
                wrong = "fractions, which Keras would cut off"
            elif few.size and not bounds.min <= few.min() <= few.max() <= bounds.max:
                wrong = f"numbers outside of {bounds.min} to {bounds.max}, which Keras would wrap around"
            else:
                continue
            raise UserError(
                f"the input {one.name!r} takes whole numbers ({one.dtype}), and the data hold {wrong}: "
                f"give the numbers that the network was trained on, as X.astype({one.dtype!r})"
            )

    def followed_axes(self, layer: str, shape: Sequence[int]) -> tuple[int, ...]:
        """The spatial axes of the input along which a layer's output has positions, as it has them.

        Parameters
        ----------
        layer
            A layer that depends on the explained input.
        shape
            The shape of one sample of that input.

        Returns
        -------
        tuple of int
            Axes of the input, that of samples being 0, in the order of the layer's own: (1, 2) for
            a plain layer over rows and columns, (2, 1) behind a transposition. A layer may have more
            axes than these: the frequencies of a spectrogram are none of the input's.
        """
        origin = self._origin(self._call(layer), tuple(shape))
        return () if origin is None else origin.followed

    def upsample(self, maps: Array, layer: str, shape: Sequence[int]) -> Array:
        """Lay maps over the positions of a layer over the spatial axes of the explained input.

        Each position is put where its receptive field is centred, by the strides and the padding of
        the layers before it; between positions, maps are linear, and beyond the outermost they keep
        their values. Positions without a counterpart in the input, such as frequencies of a
        spectrogram, are averaged over, and a note says so.

        Parameters
        ----------
        maps
            (n, ...): a value for each position of the layer's output, whose axis of channels is
            left out.
        layer
            The layer.
        shape
            The shape of one sample of the input.

        Returns
        -------
        ndarray
            (n, ...) float32, over the spatial axes of the input.

        Raises
        ------
        UserError
            If no axis of the layer's output is one of the input's.
        """
        call = self._call(layer)
        origin = self._origin(call, tuple(shape))
        space = self._space
        if origin is None or not set(origin.followed).intersection(space):
            raise UserError(
                f"no axis of the output of {layer!r} is one of the input's, so its feature maps "
                "cannot be laid over the input; name another layer"
            )
        channel = self._shared.axes[call.slots[0]] % (len(origin.axes) + 1)
        axes = [axis for axis in range(1, len(origin.axes) + 1) if axis != channel]
        sizes = [shape[axis - 1] for axis in space]
        found, lost = upsampled(maps, origin, axes, space, sizes)
        if lost.positions > 1:
            note(
                f"the feature maps of {layer!r} have {lost.positions} values for each position of "
                "the input, along axes that are not the input's; their mean is shown"
            )
        if lost.constant:
            names = axis_names(len(space), None)
            which = " and ".join(names[space.index(axis)] for axis in lost.constant)
            note(
                f"{layer!r} has no positions along the input's {which} that could be followed, so maps "
                "are alike there"
            )
        if lost.outside:
            note(
                f"{lost.outside} position{'s' if lost.outside > 1 else ''} of {layer!r}, such as a "
                "class token, stand for no place of the input and are left out"
            )
        return found

    @property
    def _space(self) -> tuple[int, ...]:
        """The spatial axes of the explained input, that of samples being 0."""
        rank = len(self.input_shape) + 1
        channel = self.input_channel_axis
        return tuple(a for a in range(1, rank) if channel is None or a != channel % rank)

    def _origin(self, call: Call, shape: tuple[int, ...]) -> Origin | None:
        """Where the positions of a call's output lie in the explained input; None if nowhere."""
        graph, start = self._shared.graph, self.inputs[self._explained].slot
        kept = self._shared.compiled
        key = ("origins", self._explained, shape)
        known: dict[Slot, Origin] = kept.setdefault(key, {})
        if call.slots[0] not in known:
            with gradients.swapping:
                end, channels = call.slots[0], self._shared.axes
                known.update(followed(graph, start, shape, self._space, end, channels))
        return known.get(call.slots[0])

    def channels_first(self, layer: str) -> bool:
        """Whether a layer's output has its channels right behind the sample axis."""
        return self._shared.axes[self._call(layer).slots[0]] == 1

    @property
    def target_units(self) -> int:
        """How many outputs, classes or filters, the target has; all terms' of a sum together."""
        return sum(self._units_of(call) for call in self._target_calls)

    @functools.cached_property
    def layers(self) -> tuple[Layer, ...]:
        """The network's layers, in the order in which they run, nested models opened up."""
        listed, seen = [], set()
        for call in self._shared.graph.calls:
            obstacle = None
            if not call.dtype.startswith(("float", "bfloat")):
                obstacle = f"it gives whole numbers ({call.dtype}), which have no gradient"
            elif self._channels(call) is None:
                obstacle = "it has as many outputs as its input is large"
            listed.append(_layer(call, obstacle, first=id(call.layer) not in seen))
            seen.add(id(call.layer))
        return tuple(listed)

    @functools.cached_property
    def sha256(self) -> str | None:
        """The SHA-256 of the file that was loaded, or None for a network that came from none."""
        if self.path is None:
            return None
        return self._sha256 or sha256(self.path)

    @property
    def repairs(self) -> tuple[str, ...]:
        """What had to be changed to read the file, in sentences."""
        return self._loaded.repairs

    @property
    def origin(self) -> str:
        """What the file is and what wrote it, in a phrase; empty for a network of this process."""
        return self._loaded.origin

    @property
    def cut(self) -> Mapping[str, str]:
        """Layers of the file that were left out, each with the reason."""
        return self._loaded.cut

    def keras_layer(self, name: str) -> Any:
        """The Keras layer of that name; UserError with the names there are if there is none."""
        return self._call(name).layer

    def keras_model(self, *, several_inputs: bool = True) -> Any:
        """A Keras network of its own that ends in the target, without its softmax or sigmoid.

        For techniques that hand a model to another library: a flat Functional network of copies of
        the layers that the target depends on, their weights included, of Keras 3 or tf_keras as
        the network is. A layer inside nested models is called as its path, with ``_`` for ``/``.

        Parameters
        ----------
        several_inputs
            Whether the other library can do with a network of several inputs.

        Raises
        ------
        UserError
            If the target is a sum or difference or has a region, a layer cannot be copied, or the
            network has more inputs than it may.
        """
        if self._is_compound or self.asked_region is not None:
            what = "a sum or difference" if self._is_compound else "a region"
            raise UserError(
                f"the target is {what} of outputs, and this technique explains outputs of one layer"
            )
        if len(self.inputs) > 1 and not several_inputs:
            raise UserError(
                f"this technique explains networks with one input, and this one has "
                f"{len(self.inputs)}: {', '.join(one.name for one in self.inputs)}"
            )
        before = random.getstate()  # which Keras draws the seeds of layers from that it makes
        try:
            return rebuilt(self._shared.graph, self._target)
        finally:
            random.setstate(before)

    # What it answers

    def predict(self, x: Array | Sequence[Array] | Mapping[str, Array]) -> Array:
        """The network's answer for inputs (n, ...), its last activation included.

        Of several outputs, the one that was asked for with `output`, else the first.

        Parameters
        ----------
        x
            Inputs, (n, ...); of a network with several inputs an array for each, in a dict by name
            or in a list, or that of the explained one if the others are held.
        """
        slot = self._answering
        key = ("predict", slot)
        parts = (gradients.Part(slot, -1),)
        run = self._compiled(key, lambda: gradients.Pass(self._shared.graph, parts))
        feeds = self._every(x)
        found = np.asarray(self._answers(run, feeds)[0])
        gradients.require_each(found.shape, len(feeds[0]))
        return found

    @property
    def answer(self) -> Model | None:
        """The same model with what the network answers as its target; None if that was cut off.

        Of several outputs, the one that is the target, else the one that was asked for, else the
        first.
        """
        ends = [name for name, call in self._learned_outputs.items() if {call} == {*self._calls}]
        output = ends[0] if ends else self.asked_output
        if output is None and self._default_layer() is None:
            return None
        other = self.at(output=output)
        other._explained, other._held = self._explained, self._held
        return other

    @property
    def is_answer(self) -> bool:
        """Whether the target's outputs are what the network answers, so that its classes are known."""
        answer = self.answer
        if answer is None or self._is_compound or self.asked_region is not None:
            return False
        return self._ends == answer._ends == [answer._answering]

    @property
    def tells_classes(self) -> bool:
        """Whether the network answers with one class for each input.

        Not where the labels of the data are several for each, and a sigmoid says yes or no to each.
        """
        answer = self.answer
        if answer is None or len(answer._target.shapes[0]) != 1:
            return False
        if answer._channels(answer._target) is None or not answer.has_classes:
            return False
        squashing = answer._squashing_of(answer._target)
        return not self._labels_several or (squashing is not None and squashing.is_share)

    def predicted_classes(self, x: Array) -> Array | None:
        """The class that the network answers for inputs (n, ...), whatever the target is, (n,) int64.

        The largest of several classes; of a single sigmoid, 1 above 0.5. None for a network that
        does not answer with one class for each input.
        """
        answer = self.answer
        if answer is None or not self.tells_classes:
            return None
        answers = None
        if self.is_answer:  # then its units are known where its gradient was just computed
            units = self._units(x)
            answers = units if answer.is_logits else self._probabilities(units)
        answers = answer.predict(x) if answers is None else answers
        if answers.shape[1:] != (answer.target_units,):
            return None
        return classes_of(answers, logits=answer.is_logits)

    @property
    def is_logits(self) -> bool:
        """Whether no softmax or sigmoid follows the target's outputs, or makes them."""
        return self._squashing_of(self._target) is None

    def outputs(self, x: Array) -> Array:
        """The target layer's output for inputs (n, ...), with a softmax or sigmoid left out.

        For a sum or difference, the outputs of each term's layer, (n, k), one behind the other.
        """
        found = self._forward(x)
        return self._joined(found) if self._is_compound else found[0]

    def target_weights(self, x: Array, *, of: Sequence[int] | None = None) -> Array:
        """How much each output of the target counts in the score of each input, (n, k) float32.

        One for the outputs asked for, or for the class predicted for that input; zero elsewhere.
        For `of`, see `input_gradient`.
        """
        return self._choice(len(x), self._units(x, of) if self._predicts else None)

    def scores(
        self, x: Array, *, weights: Array | None = None, of: Sequence[int] | None = None
    ) -> Array:
        """The score of each input, (n,) float32: the target's outputs, weighted and added up.

        For `weights` and `of`, see `input_gradient`.
        """
        units = self._units(x, of)
        weights = self._choice(len(x), units) if weights is None else weights
        found: Array = np.einsum("nk,nk->n", units, weights).astype(np.float32)
        return found

    @property
    def each_weights(self) -> Array:
        """A row of weights for every output asked for by itself, (m, k) float32; output 0 if none.

        A sum or difference is one row.
        """
        if self._is_compound:
            return self._choice(1, None)
        chosen = self._chosen or ((0, 1.0),)
        each = np.zeros((len(chosen), self.target_units), np.float32)
        for row, (number, factor) in zip(each, chosen, strict=True):
            row[number] = factor
        return each

    def targets(
        self, x: Array, weights: Array | None = None, *, of: Sequence[int] | None = None
    ) -> tuple[Target, ...]:
        """What is explained of each of these inputs, with its score.

        Parameters
        ----------
        x
            Inputs, (n, ...).
        weights
            What the score is, (n, k), where it is not `self.target_weights(x)`.
        of
            See `input_gradient`.
        """
        units = self._units(x, of)
        weights = self._choice(len(x), units) if weights is None else weights
        probabilities = self._probabilities(units)
        region = None
        if self.asked_region is not None:
            region = ",".join(as_word(one) for one in region_of(self.asked_region))
        named: dict[bytes, tuple[tuple[int, ...], tuple[str, ...] | None]] = {}
        found = []
        for i, weight in enumerate(weights):
            score = float(units[i] @ weight)
            if self._is_compound:
                found.append(Target(self.layer, (), None, score, None, region))
                continue
            row = weight.tobytes()
            if row not in named:  # of a million images, most have a class that another had
                counting = np.flatnonzero(weight).tolist()
                filters = tuple(self._class_of(k, float(weight[k])) for k in counting)
                names = self._names_of(self._target)
                named[row] = filters, names and tuple(names[k] for k in filters)
            filters, class_names = named[row]
            probability = None
            if probabilities is not None and len(filters) == 1:
                (unit,) = np.flatnonzero(weight)
                probability = float(probabilities[i, unit])
                probability = 1 - probability if weight[unit] < 0 else probability
            found.append(Target(self.layer, filters, class_names, score, probability, region))
        return tuple(found)

    def input_gradient(
        self,
        x: Array,
        *,
        backprop: Backprop | None = None,
        weights: Array | None = None,
        of: Sequence[int] | None = None,
        keras_vis: bool = False,
        reduced: Callable[[Any], Any] | None = None,
    ) -> Array:
        """The gradient of each input's score by that input, (n, ...) like the inputs, float32.

        Parameters
        ----------
        x
            Inputs, (n, ...); n of any size, since they are taken batch by batch.
        backprop
            How gradients pass rectifiers; see `cnnvis.Backprop`.
        weights
            What the score is, (n, k), where it is not `self.target_weights(x)`: a method that
            changes its inputs must go on explaining the class predicted for the unchanged ones.
        of
            For a network with several inputs: which sample each row of `x` belongs to, so that the
            other inputs can be held at that sample's. By default row i belongs to sample i.
        keras_vis
            Change only activations given by the name relu, and leave LeakyReLU and the like alone,
            as keras-vis does.
        reduced
            What is wanted of the gradient: a function of a TensorFlow tensor (n, ...) that gives
            another. It is compiled with the network, and its result is what comes back. The same
            function, or `functools.partial` of one with the same arguments, is compiled but once.

        Raises
        ------
        UserError
            If the gradient is zero everywhere for all inputs, or the modifier changes nothing.
        """
        return self._gradients(x, backprop, weights, of, keras_vis, reduced=reduced)[0]

    def mean_gradient(
        self,
        x: Array,
        varied: Callable[..., Any],
        told: Callable[[range], Sequence[Array]],
        parts: Sequence[float],
        *,
        beside: Sequence[Array] = (),
        backprop: Backprop | None = None,
        weights: Array | None = None,
        of: Sequence[int] | None = None,
    ) -> Array:
        """The mean of the gradients by several variations of each input, (n, ...) float32.

        All of them are explained as the inputs themselves are, by the class predicted for these,
        say; batches are full whatever the number of variations, and the mean is taken where the
        gradients are.

        Parameters
        ----------
        x
            Inputs, (n, ...).
        varied
            Makes variations, of TensorFlow tensors that broadcast: called with inputs (n, 1, ...),
            with `beside` (n, 1, ...) and with what is told of the variations (1, k, ...); gives
            them, (n, k, ...). It is compiled once, so it must be the same function at every call.
        told
            What `varied` is told of these variations, arrays (k, ...) float32.
        parts
            How much each variation's gradient counts in the mean.
        beside
            Arrays (n, ...) that tell something of each input.
        backprop
            How gradients pass rectifiers; see `cnnvis.Backprop`.
        weights, of
            See `input_gradient`.

        Raises
        ------
        UserError
            As for `input_gradient`.
        """
        moved = (self._explained,)
        return self._means(x, varied, told, parts, beside, backprop, weights, of, moved)[0]

    def mean_gradients(
        self,
        x: Array,
        varied: Callable[..., Any],
        told: Callable[[range], Sequence[Array]],
        parts: Sequence[float],
        *,
        weights: Array | None = None,
        of: Sequence[int] | None = None,
    ) -> dict[str, Array]:
        """The same for all inputs of the network varied together, by their names.

        Inputs of whole numbers are held: nothing lies between two of them.
        """
        names = {number: one.name for number, one in enumerate(self.inputs)}
        moved = tuple(
            number
            for number, one in enumerate(self.inputs)
            if one.dtype.startswith(("float", "bfloat")) and one.name in self.explainable_inputs
        )
        found = self._means(x, varied, told, parts, (), None, weights, of, moved)
        return {names[number]: one for number, one in zip(moved, found, strict=True)}

    def _means(
        self,
        x: Array,
        varied: Callable[..., Any],
        told: Callable[[range], Sequence[Array]],
        parts: Sequence[float],
        beside: Sequence[Array],
        backprop: Backprop | None,
        weights: Array | None,
        of: Sequence[int] | None,
        moved: tuple[int, ...],
    ) -> list[Array]:
        """The mean gradients by the inputs of these numbers; see `mean_gradient`."""
        self._say_modified(backprop, keras_vis=False)
        self._require_dependence(())
        weights = self.target_weights(x, of=of) if weights is None else weights
        feeds = self._feeds(x, of)
        arrays = [*feeds, weights, *beside]
        counts = np.asarray(parts, np.float32)
        # As many variations at a time as make a batch, and all of these in equal numbers.
        rows = self._shared.graph.batch or at_once(self._pass(None).footprint(feeds))
        times = -(-len(counts) // rows)
        size = -(-len(counts) // times)
        found: list[Array] = []
        with progress("computing", times) if times > 1 else nullcontext() as advance:
            for start in range(0, len(counts), size):
                some = range(start, min(start + size, len(counts)))
                run = self._compiled(
                    ("mean", self._slots, backprop, moved, varied, len(some)),
                    lambda: self._pass(backprop),
                    functools.partial(
                        gradients.compiled_mean,
                        varied=varied,
                        beside=len(beside),
                        parts=len(some),
                        moved=moved,
                    ),
                )
                with quietly() if times > 1 else nullcontext():
                    shared = [*told(some), counts[some.start : some.stop]]
                    part = self._answers(run, arrays, shared=shared)
                found = part if not found else [a + b for a, b in zip(found, part, strict=True)]
                if advance is not None:
                    advance(1)
        sizes = sum(np.abs(one).sum(axis=tuple(range(1, one.ndim))) for one in found)
        self._require_gradient(np.asarray(sizes), x, backprop, of)
        return found

    def activation_gradient(
        self,
        x: Array,
        layer: str,
        *,
        backprop: Backprop | None = None,
        weights: Array | None = None,
        of: Sequence[int] | None = None,
        keras_vis: bool = False,
        reduced: Callable[[Any, Any], Any] | None = None,
    ) -> Any:
        """(activations, gradients) of a layer before the target, both (n, ...) float32.

        The parameters and errors are those of `input_gradient`; `layer` names the layer whose
        activations the score is differentiated by, and an error says if it is not before it.

        Parameters
        ----------
        reduced
            What is wanted of both: a function of the two tensors; see `input_gradient`.
        """
        before = [one.name for one in self.before_target()]
        name = self._call(layer).name
        if name not in before:
            raise UserError(
                f"the layer {layer!r} is not between the input "
                f"{self.inputs[self._explained].name!r} and the target {self.layer!r}; there are: "
                f"{', '.join(before) or 'no layers'}"
            )
        gradient, *activations = self._gradients(
            x, backprop, weights, of, keras_vis, name, reduced=reduced
        )
        return gradient if reduced is not None else (*activations, gradient)

    def scorer(
        self, *, backprop: Backprop | None = None, of: Sequence[int] | None = None
    ) -> Callable[[Any, Any], Any]:
        """A function of TensorFlow tensors x (n, ...) and weights (n, k) that gives scores (n,).

        For techniques that compile a loop of their own with ``tf.function``: the backpropagation
        modifier is in force wherever the function is traced. For `of`, see `input_gradient`.
        """
        self._say_modified(backprop, keras_vis=False)
        run = self._pass(backprop)

        def score(x: Any, weights: Any) -> Any:
            feeds = self._others(len(x) if x.shape[0] is None else int(x.shape[0]), of)
            feeds.insert(self._explained, x)
            return run.score(feeds, weights)[2]

        return score

    def kept(self, key: Hashable, make: Callable[[], T]) -> T:
        """What `make` gives, made once for this network, this target and a key of the technique's.

        For what is costly to make and holds nothing else of the model, such as a compiled loop.
        """
        compiled = self._shared.compiled
        whole = ("kept", self._slots, self._explained, key)
        if whole not in compiled:
            compiled[whole] = make()
        found: T = compiled[whole]
        return found

    def before_target(self) -> tuple[Layer, ...]:
        """The layers between the input and the target, the latter excluded, as they run."""
        graph = self._shared.graph
        needed = graph.needed(self._ends)
        reached = graph.reached([self.inputs[self._explained].slot])
        ends = {call.name for call in self._target_calls}
        names = {
            call.name
            for call in needed
            if call.name not in ends and not reached.isdisjoint(call.slots)
        }
        return tuple(layer for layer in self.layers if layer.name in names)

    def values(self, x: Array, layers: Sequence[str]) -> list[Array]:
        """What these layers give for inputs (n, ...), each (n, ...), their activations included.

        All at once and without compiling anything: for a look at a few inputs.
        """
        tensors = [keras().ops.convert_to_tensor(one) for one in self._feeds(x)]
        wanted = [self._call(name).slots[0] for name in layers]
        return [np.asarray(one) for one in self._shared.graph.run(tensors, wanted)]

    def values_into(self, x: Array, layer: str) -> Array:
        """What a layer is given, (n, ...), for inputs (n, ...)."""
        call = self._call(layer)
        part = gradients.Part(call.inputs[0], -1)
        run = self._compiled(
            ("into", call.name), lambda: gradients.Pass(self._shared.graph, (part,))
        )
        return np.asarray(self._answers(run, self._feeds(x))[0])

    # Targets

    @property
    def _target_calls(self) -> tuple[Call, ...]:
        if not self._shared.calls:
            raise UserError(
                "the network has no layer that computes anything, so none can be explained"
            )
        if not self._calls:
            raise UserError(
                f"the network's end was cut off, since {next(iter(self.cut.values()))}; name the "
                f"layer to explain with --layer, one of: {', '.join(self._shared.calls)}"
            )
        return tuple(dict.fromkeys(self._calls))

    @property
    def _ends(self) -> list[Slot]:
        return [call.slots[0] for call in self._target_calls]

    @property
    def _target(self) -> Call:
        return self._target_calls[0]

    @property
    def _answering(self) -> Slot:
        """Where the network's answer is, behind all its layers."""
        slots = {name: call.slots[0] for name, call in self._shared.outputs.items()}
        return slots.get(self.asked_output or "", self._shared.graph.outputs[0])

    @property
    def _is_compound(self) -> bool:
        """Whether the target is a sum, a difference or a multiple rather than a layer's outputs."""
        return len(self._terms) > 1 or any(term.factor != 1 for term in self._terms)

    def _output_name(self, output: Any) -> str:
        """The name of an output that was asked for by name or by its place."""
        if isinstance(output, str):
            return output
        names = self.output_names
        try:
            return names[operator.index(plain(output))]
        except (TypeError, IndexError):
            raise UserError(
                f"the network has no output {shown(output)}; it has {numbered(len(names), 'output')}, "
                f"by name or by place: {', '.join(f'{name} ({k})' for k, name in enumerate(names))}"
            ) from None

    def _layer_name(self, layer: Any) -> str:
        """The name of a layer that was asked for by name, by its place, or as it is."""
        if isinstance(layer, str):
            return layer
        every = list(getattr(self.network, "layers", ()))
        if any(layer is one for one in every):
            return str(layer.name)
        try:
            place = operator.index(plain(layer))
        except TypeError:
            raise UserError(
                f"layer is {shown(layer)}, and a layer is asked for by its name, by its place among "
                "network.layers, or as one of these layers"
            ) from None
        if not -len(every) <= place < len(every):
            raise UserError(
                f"there is no layer {place}: the network has {len(every)} layers, 0 to "
                f"{len(every) - 1}, or -{len(every)} to -1 from the end"
            )
        name = str(every[place].name)
        if "InputLayer" in [kind.__name__ for kind in type(every[place]).__mro__]:
            raise UserError(f"the layer {place} is {name!r}, an input, which computes nothing")
        return name

    def _parsed(self, text: str | None) -> tuple[Term, ...]:
        if text is None:
            return ()
        if text in self.cut:
            raise UserError(f"the layer {text!r} cannot be explained: {self.cut[text]}")
        terms = parsed(text, self._names, tuple(self._shared.calls))
        if any(term.unit is not None for term in terms) or len(terms) > 1:
            if self.asked_filters is not None:
                raise UserError(f"the target {text!r} names its outputs, so filter must not")
            if len(terms) == 1 and terms[0].factor == 1:
                self.asked_filters = terms[0].unit
                self.asked_layer = terms[0].layer
                self._is_default = terms[0].layer == self._default_layer()
        return terms

    @functools.cached_property
    def _names(self) -> tuple[str, ...]:
        """Every name that means a layer: its path, also without the models or calls it is in."""
        names: dict[str, None] = dict.fromkeys(self._shared.calls)
        for full in self._shared.calls:
            for path in (full, _without_calls(full)):
                parts = path.split("/")
                names.update(dict.fromkeys("/".join(parts[:end]) for end in range(1, len(parts))))
                names.update(dict.fromkeys("/".join(parts[start:]) for start in range(len(parts))))
        return tuple(names)

    def _call(self, name: str) -> Call:
        calls = self._shared.calls
        if name in calls:
            return calls[name]
        if name in self.cut:
            raise UserError(f"the layer {name!r} cannot be explained: {self.cut[name]}")
        plain = {full: _without_calls(full) for full in calls}
        fitting = [full for full in calls if plain[full] == name]
        # A model's own name means what it gives; the name of a layer inside will do without it.
        inside = [full for full in calls if f"{full}/".startswith(f"{name}/")]
        fitting = fitting or inside[-1:]
        fitting = fitting or [full for full in calls if plain[full].endswith(f"/{name}")]
        if len(fitting) == 1:
            return calls[fitting[0]]
        if not fitting:
            raise UserError(
                f"there is no layer {name!r}.{nearest(name, self._names)} "
                f"The layers are: {', '.join(calls)}."
            )
        raise UserError(
            f"there are {len(fitting)} calls of a layer {name!r}, and its name alone does not say "
            f"which is meant: {', '.join(fitting)}"
        )

    def _default_layer(self) -> str | None:
        """The layer that holds the network's answer; None if that was cut off."""
        outputs = self._shared.outputs
        if self.asked_output is not None:
            if self.asked_output not in outputs:
                raise UserError(
                    f"the network has no output {self.asked_output!r}."
                    f"{nearest(self.asked_output, outputs)} It has: {', '.join(outputs)}."
                )
            return outputs[self.asked_output].name
        if self._shared.is_named:
            return OUTPUT
        if self._loaded.cut_learned or not outputs:
            return None
        return next(iter(outputs.values())).name

    def say_defaults(self) -> None:
        """Note what was taken where several things could have been meant."""
        outputs = self._shared.outputs
        if self.asked_layer is None and self.asked_output is None and len(outputs) > 1:
            note(
                f"the network has the outputs {', '.join(outputs)}; {self.layer!r} is explained, "
                "and --output names another"
            )
        stateful = [
            call.name
            for call in self._shared.graph.calls
            if any(getattr(layer, "stateful", False) for layer in call.layers())
        ]
        if stateful:
            note(
                f"{', '.join(map(repr, stateful))} keeps states from one batch to the next; each "
                "image is explained without them, as the first of a sequence"
            )
        for call in self._calls:
            if not self._is_output(call) or self._squashing_of(call) is not None:
                continue
            with gradients.swapping:
                squashed = gradients.squashed_before(self._shared.graph, call)
            if squashed is not None:
                note(
                    f"the score of {call.name!r} is taken behind a softmax or sigmoid, that of "
                    f"{squashed.name!r}: where it is sure, its gradient is small. --layer "
                    f"{squashed.name} explains what goes into it"
                )
        if self._is_compound or not self._is_default or self.asked_filters is not None:
            return
        if not self._calls:  # the end was cut off, and nothing is explained unless a layer is named
            return
        units = self.target_units
        if units > 1 and not self.has_classes:
            note(
                f"the {units} outputs of {self.layer!r} are not known to be classes, so output 0 is "
                "explained for every image. --filter names another; if the outputs are classes, "
                "--class-names, or labels of the data, say so"
            )

    @property
    def _predicts(self) -> bool:
        """Whether each input is explained by its predicted class: nobody asked for another."""
        if self._is_compound or not self._is_default or self.asked_filters is not None:
            return False
        return self.target_units > 1 and self.has_classes

    @property
    def has_classes(self) -> bool:
        """Whether the target's outputs are known to be classes.

        Those of a softmax are; a single sigmoid stands for two. Other outputs are classes if the
        loss that the network was trained with says so, if the labels of the data are such classes,
        or if they were given names. A loss of a regression says that they are none.
        """
        return not self._is_compound and self._is_of_classes(self._target)

    def told(self, has_classes: bool) -> Model:
        """The same model, whose outputs are classes, or not, as another process found out."""
        other = copy.copy(self)
        other._told = has_classes
        return other

    def _is_of_classes(self, call: Call) -> bool:
        if self._told is not None and call is self._target:
            return self._told
        squashing = self._squashing_of(call)
        if squashing is not None and squashing.is_share:
            return True
        if not self._is_output(call):
            return False
        said = self._loss_says(call)
        if said is not None:
            return said
        if self._units_of(call) == 1:
            return squashing is not None
        named = self.class_names is not None and len(self.class_names) == self._units_of(call)
        return named or self._labelled

    def _loss_says(self, call: Call) -> bool | None:
        """Whether the loss of an output is one of classes; None where nobody knows."""
        losses = losses_of(self.network, self._loaded.loss)
        names = [name for name, one in self._shared.outputs.items() if one is call]
        return is_of_classes(losses, [*names, call.name])

    def _is_output(self, call: Call) -> bool:
        return call in self._learned_outputs.values() or call.name == self._default_layer()

    @property
    def _learned_outputs(self) -> Mapping[str, Call]:
        """What gives the network's outputs; nothing if what was trained to do so was cut off."""
        return {} if self._loaded.cut_learned else self._shared.outputs

    def _squashing_of(self, call: Call) -> gradients.Squashing | None:
        known = self._shared.squashing
        if call.name not in known:
            with gradients.swapping:
                known[call.name] = gradients.squashing_of(self._shared.graph, call)
        return known[call.name]

    def _is_two_classes(self, call: Call) -> bool:
        """Whether an output is one sigmoid, which stands for two classes."""
        return self._units_of(call) == 1 and self._is_of_classes(call)

    def _names_of(self, call: Call) -> tuple[str, ...] | None:
        """The names of a layer's classes; None where it has none, or the names are others'."""
        if self.class_names is None or call is not self._named:
            return None
        return self.class_names if len(self.class_names) == self._classes_of(call) else None

    @property
    def _named(self) -> Call | None:
        """What gives the output that class names belong to: the target, if it is one, else the answer."""
        default = self._default_layer()
        answer = None if default is None else self._call(default)
        ends = dict.fromkeys(self._calls)
        target = next(iter(ends)) if len(ends) == 1 else None
        if target not in self._learned_outputs.values() or answer is None:
            return answer
        # Of a sum or difference, the names tell by their number whose they are.
        is_answers = len(self.class_names or ()) == self._classes_of(answer)
        return answer if self._is_compound and is_answers else target

    def _classes_of(self, call: Call) -> int | None:
        return (
            2 if self._channels(call) == 1 and self._is_two_classes(call) else self._channels(call)
        )

    def _class_of(self, number: int, factor: float) -> int:
        """The number of the class, or filter, that an output stands for where it counts so much."""
        return int(factor > 0) if self._is_two_classes(self._target) else number

    @functools.cached_property
    def _chosen(self) -> tuple[tuple[int, float], ...] | None:
        """The outputs asked for, each with how much it counts; None if nobody asked."""
        asked: Any = self.asked_filters
        if asked is None or self._is_compound:
            return None
        every = list(asked) if isinstance(asked, list | tuple) else [asked]
        if not every:
            raise UserError("filter names no output; leave it out for the default")
        return tuple(dict.fromkeys(self._unit(one, self._target) for one in every))

    def _unit(self, one: int | str, call: Call) -> tuple[int, float]:
        """The number of an output, and 1; for the first class of a single sigmoid 0, and -1."""
        units, names = self._units_of(call), self._names_of(call)
        is_two = self._is_two_classes(call)
        if isinstance(one, str) and names and one in names:
            number = names.index(one)
        else:
            try:
                number = int(one) if isinstance(one, str) else operator.index(plain(one))
            except (ValueError, TypeError):
                there = f" There are: {', '.join(names)}." if names else self._nameless(call)
                hint = nearest(str(one), names or ())
                raise UserError(f"there is no class {shown(one)}.{hint}{there}") from None
        if is_two:
            if number not in (0, 1):
                raise UserError(
                    f"the layer {call.name!r} is one sigmoid, which stands for the classes 0 and 1, "
                    f"and there is no class {number}"
                )
            return 0, 1.0 if number else -1.0
        if not 0 <= number < units:
            about = f"it has {units}, numbered 0 to {units - 1}" if units > 1 else "it has one, 0"
            raise UserError(f"the layer {call.name!r} has no output {number}: {about}")
        return number, 1.0

    def _nameless(self, call: Call) -> str:
        """Why a layer's outputs have no names, in a sentence."""
        named = self._named
        if self.class_names is None or named is None or named is call:
            return " Classes have no names here."
        return (
            f" The class names are those of the network's output {named.name!r}, and the outputs of "
            f"{call.name!r} have numbers."
        )

    def _channels(self, call: Call) -> int | None:
        """How many channels or units a call's output has; None if its input's size decides."""
        shape = call.shapes[0]
        return shape[self._shared.axes[call.slots[0]] % (len(shape) + 1) - 1] if shape else 1

    def _units_of(self, call: Call) -> int:
        units = self._channels(call)
        if units is None:
            raise UserError(
                f"the layer {call.name!r} has as many outputs as its input is large, so none of "
                "them has a number; name another with --layer"
            )
        return int(units)

    def _choice(self, count: int, units: Array | None) -> Array:
        """The target's weights for that many inputs, whose outputs are `units`."""
        weights = np.zeros((count, self.target_units), np.float32)
        if self._is_compound:
            starts = np.cumsum([0, *(self._units_of(call) for call in self._target_calls)])
            place = dict(zip(self._target_calls, starts.tolist(), strict=False))
            for term, call in zip(self._terms, self._calls, strict=True):
                if term.unit is None and self._units_of(call) > 1:
                    raise UserError(
                        f"the target {self.layer!r} does not say which of the "
                        f"{self._units_of(call)} outputs of {call.name!r} is meant; "
                        f"write {term.layer}[0] for the first"
                    )
                number, factor = (0, 1.0) if term.unit is None else self._unit(term.unit, call)
                weights[:, place[call] + number] += term.factor * factor
        elif self._chosen is not None:
            for number, factor in self._chosen:
                weights[:, number] += factor
        elif self._predicts and units is not None:
            weights[np.arange(count), units.argmax(axis=-1)] = 1
        else:
            weights[:, 0] = 1
        if count and not weights.any():
            raise UserError(
                f"the target {self._asked} adds up to nothing, since what speaks for one of its "
                "outputs speaks against another; name one of them"
            )
        return weights

    @property
    def _asked(self) -> str:
        chosen = "" if self.asked_filters is None else f" and its outputs {self.asked_filters}"
        return f"{self.layer!r}{chosen}"

    def _probabilities(self, units: Array) -> Array | None:
        squashing = None if self._is_compound else self._squashing_of(self._target)
        if squashing is None or len(self._target.shapes[0]) != 1:
            return None
        return np.asarray(squashing.probabilities(keras().ops.convert_to_tensor(units)))

    # How it is done

    @functools.cached_property
    def _slots(self) -> str:
        """Which values make up the target, for what is kept of it."""
        return str([(part.slot, part.region) for part in self._parts])

    @functools.cached_property
    def _parts(self) -> tuple[gradients.Part, ...]:
        region = None if self.asked_region is None else region_of(self.asked_region)
        return tuple(self._part(call, region) for call in self._target_calls)

    def _part(self, call: Call, region: tuple[int | slice, ...] | None) -> gradients.Part:
        axis = self._shared.axes[call.slots[0]]
        if region is not None:
            shape = list(call.shapes[0])
            del shape[axis % (len(shape) + 1) - 1]
            if len(shape) != len(region):
                raise UserError(
                    f"the region has {len(region)} axes, and the layer {call.name!r} has "
                    f"{len(shape)} spatial ones{', of lengths ' if shape else ''}"
                    f"{' x '.join('any' if size is None else str(size) for size in shape)}"
                )
            for size, one in zip(shape, region, strict=True):
                if size is not None and not len(
                    range(size)[one if isinstance(one, slice) else slice(one, one + 1 or None)]
                ):
                    raise UserError(
                        f"the region {as_word(one)} holds no position of the layer "
                        f"{call.name!r}, which has {size} along that axis"
                    )
        return gradients.Part(call.slots[0], axis, region)

    def _units(self, x: Array, of: Sequence[int] | None = None) -> Array:
        """Each output of the target, averaged over its positions, (n, k)."""
        feeds = self._feeds(x, of)
        kept = (_kept.get() or {}).get((id(self._shared), self._slots))
        if kept is not None and _are_equal(kept[0], feeds):
            return kept[1]
        units = self._joined(self._forward(x, of))
        self._keep(feeds, units)
        return units

    def _keep(self, feeds: Sequence[Array], units: Array) -> None:
        kept = _kept.get()
        if kept is not None:
            # Copies of what somebody may change in place.
            same = [one.copy() if one.flags.writeable else one for one in feeds]
            kept[id(self._shared), self._slots] = same, units

    def _joined(self, outputs: Sequence[Array]) -> Array:
        units = [part.units(one) for part, one in zip(self._parts, outputs, strict=True)]
        found: Array = np.concatenate([np.asarray(one) for one in units], axis=-1)
        return found

    def _forward(self, x: Array, of: Sequence[int] | None = None) -> list[Array]:
        slots = tuple(part.slot for part in self._parts)
        run = self._compiled(("forward", slots), lambda: self._pass(None))
        return self._answers(run, self._feeds(x, of))

    def _feeds(self, x: Array, of: Sequence[int] | None = None) -> list[Array]:
        """Every input of the network: `x` where it is explained, what is held elsewhere."""
        feeds = self._others(len(x), of)
        feeds.insert(self._explained, _floats(x, self.inputs[self._explained].dtype))
        return feeds

    def _every(self, x: Array | Sequence[Array] | Mapping[str, Array]) -> list[Array]:
        """The same where inputs may also be given in a dict or a list."""
        if isinstance(x, list | tuple) and len(x) == len(self.inputs) > 1:
            x = {str(number): one for number, one in enumerate(x)}
        if not isinstance(x, Mapping):
            return self._feeds(np.asarray(x))
        arrays = matched(self.inputs, x)
        return [np.ascontiguousarray(x[arrays[one.name]], one.dtype) for one in self.inputs]

    def _others(self, count: int, of: Sequence[int] | None) -> list[Array]:
        rows = np.arange(count) if of is None else np.asarray(of)
        feeds = []
        for number, one in enumerate(self.inputs):
            if number == self._explained:
                continue
            held = self._held.get(one.name)
            if held is None:
                raise UserError(
                    f"the network takes {len(self.inputs)} inputs "
                    f"({', '.join(each.name for each in self.inputs)}), and there is none for "
                    f"{one.name!r}; give data for all of them"
                )
            if len(rows) != count or (of is None and len(held) != count):
                raise ValueError(  # whoever wrote the technique can mend that, not its user
                    f"there are {count} inputs and {len(held)} samples to hold {one.name!r} at; "
                    "say with `of` which sample each belongs to"
                )
            feeds.append(np.ascontiguousarray(held[rows], one.dtype))
        return feeds

    def _pass(
        self, backprop: Backprop | None, *activations: str, keras_vis: bool = False
    ) -> gradients.Pass:
        calls = self._target_calls
        swaps: dict[str, list[gradients.Swap]] = {}
        if backprop is not None:
            rule = rule_of(backprop)
            for call, one in self._modified(keras_vis=keras_vis):
                swap = gradients.Swap(one.layer, one.attribute, one.modified(rule))
                swaps.setdefault(call.name, []).append(swap)
        with gradients.swapping:
            for call in calls:
                squashing = self._squashing_of(call)
                for one_, swap in () if squashing is None else squashing.swaps:
                    swaps.setdefault(one_.name, []).append(swap)
        wanted = tuple(self._call(name).slots[0] for name in activations)
        return gradients.Pass(self._shared.graph, self._parts, swaps, wanted, self._explained)

    def _modified(self, *, keras_vis: bool) -> list[tuple[Call, Rectifier]]:
        """The rectifiers up to the target that a modifier changes, each with its call."""
        graph = self._shared.graph
        with gradients.swapping:
            return [
                (call, one)
                for call in graph.needed(self._ends)
                for one in rectifiers(call)
                if one.inline_relu or not keras_vis
            ]

    def _say_modified(self, backprop: Backprop | None, keras_vis: bool) -> None:
        if backprop is None:
            return
        rule = rule_of(backprop)
        kinds = [one.kind for _, one in self._modified(keras_vis=keras_vis)]
        if kinds:
            note(
                f"{backprop} changed {len(kinds)} activation{'s' if len(kinds) > 1 else ''} up to "
                f"{self.layer!r}, {counted(kinds)}: {rule.said}"
            )
        elif keras_vis:
            note(
                f"{backprop} changed nothing: no layer up to {self.layer!r} has an activation "
                "named relu, and keras-vis knows no others; the map is the plain gradient's"
            )
        else:
            raise UserError(
                f"backprop {backprop} would change nothing: there is no ReLU, nor another "
                f"rectifier, up to the layer {self.layer!r}, so the map would be the plain "
                "gradient's. Ask for that one: --backprop none"
            )
        graph = self._shared.graph
        for call in graph.needed(self._ends):
            name = None if keras_vis else unknown_activation(call)
            if name is not None:
                note(
                    f"the activation {name!r} of {call.name!r} is not known, and was left alone "
                    "by the modifier"
                )

    def _gradients(
        self,
        x: Array,
        backprop: Backprop | None,
        weights: Array | None,
        of: Sequence[int] | None,
        keras_vis: bool,
        *activations: str,
        reduced: Callable[..., Any] | None = None,
    ) -> list[Array]:
        """The gradients and, where they are by activations, these; or what both are reduced to."""
        self._say_modified(backprop, keras_vis)
        self._require_dependence(activations)
        feeds = self._feeds(x, of)
        predicted = weights is None and self._predicts  # then the pass itself finds it out
        if weights is None and not predicted:
            weights = self._choice(len(x), None)
        key = ("gradient", self._slots, backprop, keras_vis, self._explained, *activations)
        run = self._compiled(
            (*key, predicted, _identity_of(reduced)),
            lambda: self._pass(backprop, *activations, keras_vis=keras_vis),
            functools.partial(gradients.compiled_gradient, predicted=predicted, reduced=reduced),
        )
        given = feeds if weights is None else [*feeds, weights]
        units, sizes, *found = self._answers(run, given)
        # The next to ask is whoever names the targets of these very inputs.
        self._keep(feeds, units)
        self._require_gradient(sizes, x, backprop, of)
        return list(found)

    def _answers(
        self, run: Compiled, arrays: Sequence[Array], shared: Sequence[Array] = ()
    ) -> list[Array]:
        """What something compiled gives; inputs that are too short are said to be."""
        require_known(self._shared.graph, arrays[: len(self.inputs)])
        try:
            return list(run(*arrays, shared=shared))
        except (tensorflow().errors.OpError, LayerError) as error:
            said = not_looked_up(self._shared.graph, self._ends, arrays[: len(self.inputs)])
            if said is not None:
                raise UserError(said) from error
            if not isinstance(error, LayerError):
                raise UserError(f"the network cannot be computed: {complaint(error)}") from error
            inputs = [one.shape[1:] for one in arrays[: len(self.inputs)]]
            wanted = enough(self._shared.graph, self._ends, self._explained, inputs)
            if wanted is None:
                raise
            raise UserError(
                f"the inputs are too small for the network: they have the shape "
                f"{_shape(inputs[self._explained])}, and the smallest that passes {self.layer!r} has "
                f"{_shape(wanted)} ({error})"
            ) from error

    def _compiled(
        self,
        key: tuple[Any, ...],
        run: Callable[[], gradients.Pass],
        compiler: Callable[..., Compiled] = gradients.compiled_forward,
    ) -> Compiled:
        kept = self._shared.compiled
        if key not in kept:
            # A network that is in no file has no name that another process would know.
            kept[key] = compiler(
                run(), lambda: f"{self.sha256} {_in_words(key)}" if self.path else ""
            )
        compiled: Compiled = kept[key]
        return compiled

    def _require_dependence(self, activations: Sequence[str]) -> None:
        one, graph = self.inputs[self._explained], self._shared.graph
        if not self.depends_on_input:
            raise UserError(
                f"the target {self.layer!r} does not depend on the input {one.name!r}; explain "
                "another input with --input, or another layer"
            )
        lookup = next((call for call in graph.calls if _looks_up(call, one.slot)), None)
        if lookup is not None and not activations:
            raise UserError(
                f"the input {one.name!r} goes through {lookup.name!r} (Embedding), which looks whole "
                "numbers up and has no gradient by them; grad-cam explains the layers behind it"
            )

    def _require_gradient(
        self, sizes: Array, x: Array, backprop: Backprop | None, of: Sequence[int] | None
    ) -> None:
        """Refuse gradients that say nothing, and say why they do not.

        Parameters
        ----------
        sizes
            The sum of each gradient's absolute values, (n,).
        """
        broken = np.flatnonzero(~np.isfinite(sizes))
        if broken.size:
            why = diagnosis.why_not_finite(*self._alone(x, int(broken[0]), of))
            raise UserError(f"the gradient of {self.layer!r} is NaN or infinite: {why}")
        blank = np.flatnonzero(sizes == 0)
        if not blank.size or self._blank:  # one reason is enough
            return
        why = diagnosis.why_zero(*self._alone(x, int(blank[0]), of), backprop)
        if self._blank is not None:
            self._blank.append(why)
            return
        about = f"the gradient of {self.layer!r} is zero everywhere: {why}"
        if blank.size == len(sizes):
            raise UserError(f"{about}. Another layer, filter or modifier may say more.")
        note(f"for {blank.size} of {len(sizes)} images {about}")

    def _alone(self, x: Array, row: int, of: Sequence[int] | None) -> tuple[Model, Array]:
        """The model and the input of one row, with the other inputs held at its sample."""
        other = copy.copy(self)
        sample = row if of is None else of[row]
        other._held = {name: held[[sample]] for name, held in self._held.items()}
        return other, x[[row]]


def _layer(call: Call, obstacle: str | None, *, first: bool) -> Layer:
    shape = call.shapes[0]
    layer = call.layer
    counts = first and hasattr(layer, "count_params")
    return Layer(
        name=call.name,
        kinds=(call.kind, *call.kinds[1:]),
        output_shape=shape,
        spatial_axes=max(len(shape) - 1, 0),
        parameters=int(layer.count_params()) if counts else 0,
        activation=activation_name(getattr(layer, "activation", None)),
        rectifiers=tuple(one.kind for one in rectifiers(call)),
        obstacle=obstacle,
    )


def _without_calls(name: str) -> str:
    """A layer's path without the numbers of calls: ``tower/conv`` for ``tower@1/conv``."""
    return re.sub(r"@\d+", "", name)


def _looks_up(call: Call, slot: Slot) -> bool:
    return "Embedding" in call.kinds and slot in call.inputs


def _identity_of(function: Callable[..., Any] | None) -> Any:
    """What is equal for functions that are the same, partial ones with equal arguments included."""
    if isinstance(function, functools.partial):
        return function.func, function.args, tuple(sorted(function.keywords.items()))
    return function


def plain(value: Any) -> Any:
    """Numbers of NumPy or TensorFlow, and fractions that are whole, as Python's own."""
    value = value.numpy() if hasattr(value, "numpy") else value
    value = value.tolist() if hasattr(value, "tolist") else value
    if isinstance(value, list | tuple):
        return [plain(one) for one in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _in_words(key: Any) -> str:
    """A key of what is compiled, the same in every process: functions by their names."""
    if isinstance(key, tuple):
        return f"({', '.join(map(_in_words, key))})"
    return f"{key.__module__}.{key.__qualname__}" if callable(key) else repr(key)


def _shape(shape: Sequence[int]) -> str:
    return f"({', '.join(map(str, shape))})"


_kept: ContextVar[dict[tuple[int, str], tuple[list[Array], Array]] | None] = ContextVar(
    "units", default=None
)


@contextmanager
def units_kept() -> Iterator[None]:
    """Inside the block, what a network answers to some inputs is not computed twice in a row.

    For as long as nobody changes its weights: while a technique runs and its targets are named.
    """
    token = _kept.set({})
    try:
        yield
    finally:
        _kept.reset(token)


def _are_equal(some: Sequence[Array], others: Sequence[Array]) -> bool:
    return all(
        _is_same_place(a, b) or np.array_equal(a, b) for a, b in zip(some, others, strict=True)
    )


def _is_same_place(one: Array, other: Array) -> bool:
    """Whether two arrays are views of the same values."""
    places = [
        (a.ctypes.data, a.shape, a.strides, a.dtype.str, a.flags.writeable) for a in (one, other)
    ]
    return places[0] == places[1] and not one.flags.writeable


def _floats(x: Array, dtype: str) -> Array:
    return np.ascontiguousarray(x, np.float64 if dtype == "float64" else np.float32)
