"""Model: a loaded network, cut at its target, with compiled gradients."""

from __future__ import annotations

import functools
import operator
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

from cnnvis import gradients
from cnnvis._tensorflow import keras
from cnnvis.errors import UserError, nearest
from cnnvis.explanation import Target
from cnnvis.files import sha256
from cnnvis.modifiers import Backprop
from cnnvis.reporting import note, progress
from cnnvis.samples import Array, class_name

OUTPUT = "output"
"""The layer that is the target when nobody names one, if the network has it."""


@dataclass(frozen=True)
class LoadedNetwork:
    """What a loader gives.

    Attributes
    ----------
    network
        A Keras network with its weights.
    repairs
        What had to be changed to read it, in sentences.
    cut
        Layers that were left out, by name, each with the reason.
    cut_learned
        Whether some of these may have weights: then the last layer left is not the network's
        answer, and a person must name the target.
    origin
        What the file is and what wrote it, in a phrase: ``HDF5, written by Keras 2.3.1``.
    """

    network: Any
    repairs: tuple[str, ...] = ()
    cut: Mapping[str, str] = field(default_factory=dict)
    cut_learned: bool = False
    origin: str = ""


@dataclass(frozen=True)
class Layer:
    """One layer of a network, as it is listed."""

    name: str
    kind: str
    output_shape: tuple[int | None, ...]
    parameters: int
    activation: str


class Model:
    """A network as techniques see it: cut at its target, so that nothing behind it ever runs.

    Parameters
    ----------
    network
        A Keras network, Functional or Sequential, or what a loader gave. It is not changed.
    layer
        The target layer. By default the one named ``output``, else the last.
    filters
        Which outputs of the target are explained, by number or by name: classes of the last layer,
        filters of one in between. Several are added up. By default the class that the network
        predicts for each input if the target is the default one, else output 0.
    class_names
        The names of the target's classes.
    path
        The file that it was loaded from, for the provenance.

    Attributes
    ----------
    network
        The Keras network, whole.
    asked_layer, asked_filters
        The target as somebody asked for it; None where nobody did.

    Raises
    ------
    UserError
        If there is no such layer, or the network has no graph of layers to cut.
    """

    def __init__(
        self,
        network: Any,
        *,
        layer: str | None = None,
        filters: int | str | Sequence[int | str] | None = None,
        class_names: Sequence[str] | None = None,
        path: Path | None = None,
    ) -> None:
        self._loaded: LoadedNetwork = (
            network if isinstance(network, LoadedNetwork) else LoadedNetwork(network)
        )
        self.network: Any = self._loaded.network
        self.path = path
        self.class_names = tuple(class_names) if class_names else None
        _require_graph(self.network)
        self.asked_layer = layer
        # NumPy's numbers as plain ones, since what was asked for goes into files as JSON.
        plain: Any = filters
        self.asked_filters = plain.tolist() if hasattr(plain, "tolist") else filters
        default = self._default_layer()
        self._is_default = layer in (None, default)
        name = layer or default
        self._target = None if name is None else self._layer(name)
        self._compiled: dict[tuple[Any, ...], Callable[..., Sequence[Array]]] = {}

    def at(
        self,
        layer: str | None = None,
        filters: int | str | Sequence[int | str] | None = None,
        class_names: Sequence[str] | None = None,
    ) -> Model:
        """The same network with another target, the default one where nothing is said."""
        other = Model(
            self._loaded,
            layer=layer,
            filters=filters,
            class_names=class_names or self.class_names,
            path=self.path,
        )
        other._compiled = self._compiled  # what was traced for one target serves all that share it
        return other

    # What there is

    @property
    def layer(self) -> str:
        """The target layer's name."""
        return str(self._target_layer.name)

    @functools.cached_property
    def filters(self) -> tuple[int, ...] | None:
        """Which outputs of the target are explained; None if nobody said.

        Raises
        ------
        UserError
            If the target has no such output.
        """
        return None if self.asked_filters is None else self._filter_numbers(self.asked_filters)

    @property
    def input_shape(self) -> tuple[int | None, ...]:
        """The shape of one input, without the sample axis; None where any length will do."""
        return tuple(self.network.inputs[0].shape[1:])

    @functools.cached_property
    def input_channel_axis(self) -> int | None:
        """Which axis of a batch of inputs holds channels: -1 or 1; None if none does.

        The first layer with spatial axes tells: a Conv2D whose input has but two axes left gets its
        channels from a layer in between.
        """
        rank = len(self.input_shape)
        for layer in self.network._flatten_layers():
            spatial = re.search(r"([123])D", type(layer).__name__)
            if spatial is not None and hasattr(layer, "data_format"):
                return _channel_axis(layer) if int(spatial[1]) < rank else None
        return -1 if rank > 2 else None

    def channels_first(self, layer: str) -> bool:
        """Whether a layer's output has its channels right behind the sample axis."""
        return _channel_axis(self._layer(layer)) == 1

    @property
    def target_units(self) -> int:
        """How many outputs, classes or filters, the target layer has."""
        shape = self._tensor(self._target_layer).shape
        units = shape[_channel_axis(self._target_layer)] if len(shape) > 1 else 1
        if units is None:
            raise UserError(
                f"the layer {self.layer!r} has as many outputs as its input is large, so none of "
                "them has a number; name another with --layer"
            )
        return int(units)

    @functools.cached_property
    def layers(self) -> tuple[Layer, ...]:
        """The network's layers, in its own order."""
        return tuple(
            Layer(
                name=layer.name,
                kind=type(layer).__name__,
                output_shape=tuple(self._tensors[id(layer)][0].shape[1:]),
                parameters=int(layer.count_params()),
                activation=gradients._name_of(getattr(layer, "activation", None)),
            )
            for layer in self.network.layers
            if id(layer) in self._tensors
        )

    @functools.cached_property
    def sha256(self) -> str | None:
        """The SHA-256 of the file, or None for a network that came from none."""
        return None if self.path is None else sha256(self.path)

    @property
    def repairs(self) -> tuple[str, ...]:
        """What had to be changed to read the file, in sentences."""
        return self._loaded.repairs

    @property
    def cut(self) -> Mapping[str, str]:
        """Layers of the file that were left out, each with the reason."""
        return self._loaded.cut

    def keras_layer(self, name: str) -> Any:
        """The Keras layer of that name; UserError with the names there are if there is none."""
        return self._layer(name)

    # What it answers

    def predict(self, x: Array) -> Array:
        """The whole network's answer for inputs (n, ...), its last activation included."""
        return self._forward(None, lambda: gradients.Pass(self.network, ()))(x)

    def outputs(self, x: Array) -> Array:
        """The target layer's output for inputs (n, ...), with a softmax or sigmoid left out."""
        return self._forward(self.layer, lambda: self._pass(None))(x)

    def target_weights(self, x: Array) -> Array:
        """How much each output of the target counts in the score of each input, (n, k) float32.

        One for the outputs asked for, or for the class predicted for that input; zero elsewhere.
        """
        return self._choice(len(x), self._units(x) if self._predicts else None)

    def targets(self, x: Array, weights: Array | None = None) -> tuple[Target, ...]:
        """What is explained of each of these inputs, with its score.

        Parameters
        ----------
        x
            Inputs, (n, ...).
        weights
            What the score is, (n, k), where it is not `self.target_weights(x)`.
        """
        units = self._units(x)
        weights = self._choice(len(x), units) if weights is None else weights
        probabilities = self._probabilities(units)
        targets = []
        for i, weight in enumerate(weights):
            filters = tuple(int(k) for k in np.flatnonzero(weight))
            names = None
            if self._names_fit:
                names = tuple(class_name(self.class_names, k) for k in filters)
            probability = None
            if probabilities is not None and len(filters) == 1:
                probability = float(probabilities[i, filters[0]])
            score = float(units[i] @ weight)
            targets.append(Target(self.layer, filters, names, score, probability))
        return tuple(targets)

    def input_gradient(
        self, x: Array, *, backprop: Backprop | None = None, weights: Array | None = None
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

        Raises
        ------
        UserError
            If the gradient is zero everywhere for all inputs, or the modifier changes nothing.
        """
        run = self._gradient(backprop)
        gradient, _ = run(_floats(x), self.target_weights(x) if weights is None else weights)
        self._require_gradient(gradient)
        return gradient

    def activation_gradient(
        self,
        x: Array,
        layer: str,
        *,
        backprop: Backprop | None = None,
        weights: Array | None = None,
    ) -> tuple[Array, Array]:
        """(activations, gradients) of a layer before the target, both (n, ...) float32.

        The parameters and errors are those of `input_gradient`; `layer` names the layer whose
        activations the score is differentiated by, and an error says if it is not before it.
        """
        before = [one.name for one in self.before_target()]
        if self._layer(layer).name not in before:
            raise UserError(
                f"the layer {layer!r} is not before the target {self.layer!r}, which depends on: "
                f"{', '.join(before) or 'no layer'}"
            )
        run = self._gradient(backprop, layer)
        gradient, activations = run(
            _floats(x), self.target_weights(x) if weights is None else weights
        )
        self._require_gradient(gradient)
        return activations, gradient

    def scorer(self, *, backprop: Backprop | None = None) -> Callable[[Any, Any], Any]:
        """A function of TensorFlow tensors x (n, ...) and weights (n, k) that gives scores (n,).

        For techniques that compile a loop of their own with ``tf.function``: the backpropagation
        modifier is in force wherever the function is traced.
        """
        run = self._pass(backprop)
        return lambda x, weights: run.score(x, weights)[1]

    def before_target(self) -> tuple[Any, ...]:
        """The Keras layers that the target depends on, itself excluded, in the network's order."""
        needed = {id(layer) for layer in self._cut_at(self._target_layer).layers}
        return tuple(
            layer
            for layer in self.network.layers
            if id(layer) in needed and layer is not self._target_layer
        )

    # How it is done

    def _units(self, x: Array) -> Array:
        """Each output of the target, averaged over its positions, (n, k)."""
        axis = _channel_axis(self._target_layer)
        return np.asarray(gradients.per_unit(self.outputs(x), axis))

    def _choice(self, count: int, units: Array | None) -> Array:
        """The target's weights for that many inputs, whose outputs are `units`."""
        weights = np.zeros((count, self.target_units), np.float32)
        if self.filters is not None:
            weights[:, list(self.filters)] = 1
        elif self._predicts and units is not None:
            weights[np.arange(count), units.argmax(axis=-1)] = 1
        else:
            weights[:, 0] = 1
        return weights

    def _default_layer(self) -> str | None:
        """The layer that holds the network's answer; None if that was cut off."""
        names = [str(layer.name) for layer in self.network.layers]
        if OUTPUT in names:
            return OUTPUT
        return None if self._loaded.cut_learned else names[-1]

    @property
    def _target_layer(self) -> Any:
        if self._target is not None:
            return self._target
        names = ", ".join(layer.name for layer in self.network.layers)
        raise UserError(
            f"the network's end was cut off, since {next(iter(self.cut.values()))}; name the "
            f"layer to explain with --layer, one of: {names}"
        )

    @property
    def _predicts(self) -> bool:
        """Whether each input is explained by its predicted class: nobody asked for another."""
        return (
            self._is_default
            and self.filters is None
            and self.target_units > 1
            and len(self._tensor(self._target_layer).shape) == 2
        )

    @property
    def _names_fit(self) -> bool:
        return (
            self.class_names is not None
            and self._is_default
            and len(self.class_names) == self.target_units
        )

    def _layer(self, name: str) -> Any:
        for layer in self.network.layers:
            if layer.name == name:
                return layer
        if name in self.cut:
            raise UserError(f"the layer {name!r} cannot be explained: {self.cut[name]}")
        names = [layer.name for layer in self.network.layers]
        raise UserError(
            f"there is no layer {name!r}.{nearest(name, names)} The layers are: {', '.join(names)}."
        )

    def _filter_numbers(self, filters: int | str | Sequence[int | str]) -> tuple[int, ...]:
        asked = [filters] if isinstance(filters, int | str) else list(filters)
        if not asked:
            raise UserError("filter names no output; leave it out for the default")
        return tuple(dict.fromkeys(self._filter_number(one) for one in asked))

    def _filter_number(self, one: int | str) -> int:
        units = self.target_units
        names = self.class_names if self._names_fit else None
        if isinstance(one, str) and names and one in names:
            return names.index(one)
        try:
            number = int(one) if isinstance(one, str) else operator.index(one)
        except (ValueError, TypeError):
            there = f" There are: {', '.join(names)}." if names else " Classes have no names here."
            hint = nearest(str(one), names or ())
            raise UserError(f"there is no class {one!r}.{hint}{there}") from None
        if not 0 <= number < units:
            raise UserError(
                f"the layer {self.layer!r} has no output {number}: "
                f"it has {units}, numbered 0 to {units - 1}"
            )
        return number

    def _cut_at(self, *layers: Any) -> Any:
        """A network of the same layers that ends with the outputs of these."""
        return keras().Model(self.network.inputs, [self._tensor(layer) for layer in layers])

    def _tensor(self, layer: Any) -> Any:
        """A layer's output in this network."""
        tensors = self._tensors.get(id(layer), [])
        if len(tensors) != 1:
            raise UserError(
                f"the layer {layer.name!r} is used {len(tensors)} times in the network, "
                "so its name does not say which output is meant"
            )
        return tensors[0]

    @functools.cached_property
    def _tensors(self) -> dict[int, list[Any]]:
        """The outputs of each layer, by its id, in the graph that leads to the network's outputs.

        Not `layer.output`: a layer remembers its calls in every graph that it was ever part of,
        such as those that a Sequential makes while it grows, and gives that of the first.
        """
        found: dict[int, list[Any]] = {}
        pending, seen = list(self.network.outputs), set()
        while pending:
            operation, call, _ = pending.pop()._keras_history
            if (id(operation), call) not in seen:
                seen.add((id(operation), call))
                node = operation._inbound_nodes[call]
                found.setdefault(id(operation), []).append(node.output_tensors[0])
                pending += node.input_tensors
        return found

    def _pass(self, backprop: Backprop | None, *activations: str) -> gradients.Pass:
        target = self._target_layer
        network = self._cut_at(*(self._layer(name) for name in activations), target)
        with gradients.swapping:
            linear, _ = gradients.linear_target(target)
            rectifiers = gradients.modified_rectifiers(network._flatten_layers(), backprop)
        if backprop is not None and not rectifiers:
            raise UserError(
                f"backprop {backprop} would change nothing: there is no ReLU up to the layer "
                f"{self.layer!r}, so the map would be the plain gradient's. "
                "Ask for that one: --backprop none"
            )
        return gradients.Pass(network, (*linear, *rectifiers), _channel_axis(target))

    def _forward(
        self, target: str | None, run: Callable[[], gradients.Pass]
    ) -> Callable[[Array], Array]:
        key = ("forward", target)
        if key not in self._compiled:
            self._compiled[key] = gradients.compiled_forward(run())
        return lambda x: self._compiled[key](_floats(x))[0]

    def _gradient(
        self, backprop: Backprop | None, *activations: str
    ) -> Callable[..., Sequence[Array]]:
        key = ("gradient", self.layer, backprop, *activations)
        if key not in self._compiled:
            run = self._pass(backprop, *activations)
            self._compiled[key] = gradients.compiled_gradient(run, of_activations=bool(activations))
        return self._compiled[key]

    def _probabilities(self, units: Array) -> Array | None:
        with gradients.swapping:
            _, squashing = gradients.linear_target(self._target_layer)
        if squashing is None or len(self._tensor(self._target_layer).shape) != 2:
            return None
        return np.asarray(squashing(keras().ops.convert_to_tensor(units)))

    def _require_gradient(self, gradient: Array) -> None:
        blank = np.array([not one.any() for one in gradient])
        if not blank.any():
            return
        about = (
            f"the gradient of {self.layer!r} is zero everywhere: the network's answer does not "
            "change with small changes of the input, most often since every ReLU on the way "
            "is off there"
        )
        if blank.all():
            raise UserError(f"{about}. Another layer, filter or modifier may say more.")
        note(f"for {int(blank.sum())} of {len(blank)} images {about}")


def load_model(
    path: str | PathLike[str],
    *,
    layer: str | None = None,
    filter: int | str | Sequence[int | str] | None = None,
    class_names: Sequence[str] | None = None,
    **options: Any,
) -> Model:
    """Load a network from a file, repaired where it must be; nothing in the file is run.

    Parameters
    ----------
    path
        A file or folder that a loader plugin takes: ``.h5``, ``.hdf5``, ``.keras``, a SavedModel.
    layer, filter, class_names
        The target; see `Model`.
    options
        Options of the loader.

    Raises
    ------
    UserError
        If there is no such file, no loader takes it, or it holds what must not be run.
    """
    from cnnvis.options import checked
    from cnnvis.registry import registry

    path = Path(path)
    plugin = registry().for_path("loader", path)
    with progress(f"loading {path.name}"):
        keras()
        loaded = plugin.function(path, **checked(plugin, options))
    return Model(loaded, layer=layer, filters=filter, class_names=class_names, path=path)


def _require_graph(network: Any) -> None:
    if not getattr(network, "layers", None) or not getattr(network, "inputs", None):
        raise UserError(
            f"this network ({type(network).__name__}) has no graph of layers to cut: "
            "it must be a Functional or Sequential Keras model that knows its input shape"
        )
    if len(network.inputs) > 1:
        names = ", ".join(tensor.name for tensor in network.inputs)
        raise UserError(f"the network has several inputs ({names}); cnnvis takes one with one")


def _channel_axis(layer: Any) -> int:
    return 1 if getattr(layer, "data_format", None) == "channels_first" else -1


def _floats(x: Array) -> Array:
    return np.ascontiguousarray(x, np.float32)
