"""Networks as flat lists of calls, with nested models opened up, so that any part can run.

Keras describes a network as layers that hold layers. To cut it anywhere, to tell two calls of a
shared layer apart and to change what one of them does, it is written out here: every call of every
layer once, with the values that the call takes and gives. Keras 3 and tf_keras networks look alike
then.
"""

from __future__ import annotations

import functools
import importlib
import inspect
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import Any

from cnnvis.data.lazy import Shape
from cnnvis.errors import UserError, complaint
from cnnvis.network.backend import keras, tensorflow


@dataclass(frozen=True)
class Slot:
    """Place of a value that is computed while the network runs."""

    number: int


@dataclass(frozen=True)
class Input:
    """Input of the network.

    Attributes
    ----------
    name
        Key in the dict that the network was built with, else the name of the InputLayer.
    slot
        Slot of the input's values.
    shape
        Shape of one sample; None where any length will do.
    dtype
        Type that the network asks for.
    place
        Place in the structure of the network's inputs: ``("image",)``, ``(0,)``, or
        longer in a nested structure.
    layer
        Name of the InputLayer.
    """

    name: str
    slot: Slot
    shape: Shape
    dtype: str
    place: tuple[str | int, ...] = ()
    layer: str = ""


@dataclass(frozen=True, eq=False)
class Call:
    """Call of a layer, or of an operation such as ``keras.ops.relu``.

    Attributes
    ----------
    name
        Path through nested models, ``backbone/block5_conv3``, with the number of the call
        where a layer is called more than once, in the order in which the calls were made:
        ``tower@1/conv`` is of the second.
    layer
        The Keras layer or operation.
    arguments
        Arguments of the call, (args, kwargs), with slots in place of values.
    slots
        Slots of the outputs.
    shapes
        Shapes of the outputs for one sample; None where any length will do.
    dtype
        Type of the first output.
    """

    name: str
    layer: Any
    arguments: tuple[Any, Any]
    slots: tuple[Slot, ...]
    shapes: tuple[Shape, ...]
    dtype: str

    @property
    def kinds(self) -> tuple[str, ...]:
        """Names of the layer's class and of its base classes."""
        return tuple(kind.__name__ for kind in type(self.layer).__mro__)

    @property
    def kind(self) -> str:
        """Readable name of the kind: the layer's class, or the name of the TensorFlow function."""
        function = getattr(self.layer, "symbol", None) or getattr(self.layer, "function", None)
        if self.kinds[0] in ("TFOpLambda", "SlicingOpLambda") and isinstance(function, str):
            return f"tf.{function}"
        inner = getattr(self.layer, "layer", None)  # of TimeDistributed and other wrappers
        return self.kinds[0] if inner is None else f"{self.kinds[0]}({type(inner).__name__})"

    @functools.cached_property
    def inputs(self) -> tuple[Slot, ...]:
        """Slots among the arguments."""
        flat = tensorflow().nest.flatten(self.arguments)
        return tuple(value for value in flat if isinstance(value, Slot))

    def answer(self, values: Mapping[Slot, Any]) -> list[Any]:
        """Compute the layer's outputs, as outside of training, for the values that it takes."""
        nest = tensorflow().nest
        args, kwargs = nest.map_structure(
            lambda value: values[value] if isinstance(value, Slot) else value, self.arguments
        )
        if _takes_training(self.layer):
            kwargs = {**kwargs, "training": False}
        try:
            with _without_state(self.layers()):
                found: list[Any] = nest.flatten(self.layer(*args, **kwargs))
        except (UserError, MemoryError, tensorflow().errors.ResourceExhaustedError):
            raise
        except Exception as error:  # whatever a layer makes of what it is given
            given = [_shape_of(values.get(slot)) for slot in dict.fromkeys(self.inputs)]
            raise LayerError(self, given, error) from error
        return found

    def layers(self) -> Iterator[Any]:
        """Yield the layer and, if it holds layers whose calls are not listed, those too."""
        yield self.layer
        if hasattr(self.layer, "_flatten_layers"):
            for inner in self.layer._flatten_layers():
                if inner is not self.layer:
                    yield inner


class LayerError(UserError):
    """Error of a layer that cannot compute an answer to the values that it is given.

    Attributes
    ----------
    call
        Call of the layer.
    """

    def __init__(self, call: Call, given: Sequence[str], error: Exception) -> None:
        shapes = " and ".join(given)
        super().__init__(
            f"the layer {call.name!r} ({call.kind}) fails at values of the shape {shapes} for one "
            f"sample: {complaint(error)}"
        )
        self.call = call


Around = Callable[[Call], AbstractContextManager[Any]]
"""Context that is in force while a call runs, as a function of the call."""


@dataclass(frozen=True)
class Graph:
    """Network as a list of its calls, in an order in which they can run.

    Attributes
    ----------
    inputs, outputs
        Inputs of the network, and slots of its outputs.
    calls
        The calls.
    output_keys
        Key of each output in the dict that the network was built with; empty without a dict.
    batch
        Number of samples that the network takes at a time; None for any number.
    """

    inputs: tuple[Input, ...]
    calls: tuple[Call, ...]
    outputs: tuple[Slot, ...]
    output_keys: tuple[str, ...] = ()
    batch: int | None = None

    def needed(self, wanted: Collection[Slot], given: Collection[Slot] = ()) -> tuple[Call, ...]:
        """Return the calls that these values depend on, those that give the values included.

        What only values in `given` depend on is left out.
        """
        slots, calls = set(wanted).difference(given), []
        for call in reversed(self.calls):
            if not slots.isdisjoint(call.slots):
                slots.update(set(call.inputs).difference(given))
                calls.append(call)
        return tuple(reversed(calls))

    def reached(self, start: Iterable[Slot]) -> frozenset[Slot]:
        """Return every value that depends on these, themselves included."""
        slots = set(start)
        for call in self.calls:
            if not slots.isdisjoint(call.inputs):
                slots.update(call.slots)
        return frozenset(slots)

    def run(
        self,
        x: Sequence[Any],
        wanted: Sequence[Slot],
        around: Around = lambda call: nullcontext(),
        met: Callable[[Slot, Any], None] = lambda slot, value: None,
        given: Mapping[Slot, Any] | None = None,
    ) -> list[Any]:
        """Compute the wanted values for a batch of inputs, as tensors, and nothing else.

        A network with a fixed number of samples at a time is run as often as necessary, the last
        time filled up with copies of the last sample.

        Parameters
        ----------
        x
            A tensor for each input of the network, (n, ...).
        wanted
            Slots of the values to return.
        around
            Function that returns the context in which each call runs.
        met
            Function that is called with each value as soon as it is computed, before it is used.
            Where the network is run several times, the function is called with parts.
        given
            Values on the way that are known, (n, ...), and are not computed.
        """
        given = given or {}
        count = x[0].shape[0]
        if self.batch is None or count in (None, self.batch):
            return self._run(x, wanted, around, met, given)
        tf = tensorflow()
        parts = []
        for start in range(0, count, self.batch):
            some = [one[start : start + self.batch] for one in (*x, *given.values())]
            missing = self.batch - some[0].shape[0]
            if missing:
                some = [tf.concat([one, tf.repeat(one[-1:], missing, axis=0)], 0) for one in some]
            known = dict(zip(given, some[len(x) :], strict=True))
            parts.append(self._run(some[: len(x)], wanted, around, met, known))
        return [tf.concat(answers, axis=0)[:count] for answers in zip(*parts, strict=True)]

    def _run(
        self,
        x: Sequence[Any],
        wanted: Sequence[Slot],
        around: Around,
        met: Callable[[Slot, Any], None],
        given: Mapping[Slot, Any],
    ) -> list[Any]:
        values = {one.slot: tensor for one, tensor in zip(self.inputs, x, strict=True)}
        values.update(given)
        for call in self.needed(wanted, given):
            with around(call):
                answers = call.answer(values)
            # A layer may give one tensor more than it said, or None; what it said comes first.
            for slot, value in zip(call.slots, answers, strict=False):
                if slot not in given:
                    values[slot] = value
                    met(slot, value)
        for slot in wanted:
            if not hasattr(values.get(slot), "shape"):
                giver = next(call.name for call in self.calls if slot in call.slots)
                raise UserError(
                    f"the layer {giver!r} gives {type(values.get(slot)).__name__} where a tensor "
                    "should be; explain a layer before it, with --layer"
                )
        return [values[slot] for slot in wanted]


def _shape_of(value: Any) -> str:
    """Describe the shape of one sample of a tensor, as far as it is known."""
    try:
        return f"({', '.join(map(str, tuple(value.shape)[1:]))})"
    except (AttributeError, TypeError, ValueError):  # no tensor, or one of any number of axes
        return "unknown"


def graph_of(network: Any) -> Graph:
    """Write a network out.

    Raises
    ------
    UserError
        If it has no graph: its own code decides what is called, and cannot be followed. Or if there
        are no values somewhere in it, with which a library that TensorFlow calls ends the process.
    """
    functional = _functional(network)
    if isinstance(functional, str):
        raise UserError(
            f"this network ({type(network).__name__}) has no graph of layers to cut: {functional}"
        )
    writer = _Writer()
    places = {id(tensor): place for tensor, place in _placed(_structure(functional, "inputs"))}
    inputs = tuple(
        _input(tensor, places.get(id(tensor), ()), writer) for tensor in functional.inputs
    )
    slots = {id(tensor): one.slot for tensor, one in zip(functional.inputs, inputs, strict=True)}
    writer.write(functional, slots, "")
    shapes = [(f"the input {one.name!r} has", one.shape) for one in inputs]
    shapes += [
        (f"the layer {one.name!r} gives", shape) for one in writer.calls for shape in one.shapes
    ]
    for which, shape in shapes:
        if 0 in shape:
            raise UserError(
                f"{which} values of the shape {shape} for one sample, which holds no values, so "
                "the network has no answer"
            )
    keys = {
        id(tensor): _keys(place) for tensor, place in _placed(_structure(functional, "outputs"))
    }
    return Graph(
        inputs,
        tuple(writer.calls),
        tuple(slots[id(tensor)] for tensor in functional.outputs),
        tuple(keys.get(id(tensor), "") for tensor in functional.outputs),
        next((int(one.shape[0]) for one in functional.inputs if one.shape[0] is not None), None),
    )


def _input(tensor: Any, place: tuple[str | int, ...], writer: _Writer) -> Input:
    name = _input_name(tensor)
    shape, dtype = tuple(tensor.shape[1:]), _dtype(tensor)
    return Input(_keys(place) or name, writer.slot(), shape, dtype, place, name)


def _keys(place: tuple[str | int, ...]) -> str:
    return "/".join(part for part in place if isinstance(part, str))


def _structure(functional: Any, ends: str) -> Any:
    """Return the inputs or outputs of a model as built: a tensor, or dicts and lists of tensors."""
    held = getattr(functional, f"_{ends}_struct", None)  # of Keras 3
    return (
        getattr(functional, f"_nested_{ends}", getattr(functional, ends)) if held is None else held
    )


def _placed(
    structure: Any, place: tuple[str | int, ...] = ()
) -> Iterator[tuple[Any, tuple[str | int, ...]]]:
    """Yield every tensor of a structure, with the keys and positions that lead to it."""
    if isinstance(structure, Mapping):
        parts: Iterable[tuple[str | int, Any]] = ((str(key), one) for key, one in structure.items())
    elif isinstance(structure, list | tuple):
        parts = enumerate(structure)
    else:
        yield structure, place
        return
    for key, one in parts:
        yield from _placed(one, (*place, key))


@dataclass
class _Writer:
    """Collector of the calls of a network and of the models nested in it."""

    calls: list[Call] = field(default_factory=list)
    slots: int = 0

    def slot(self) -> Slot:
        self.slots += 1
        return Slot(self.slots)

    def write(self, functional: Any, places: dict[int, Slot], prefix: str) -> None:
        """Add the calls of a model; `places` says where its tensors are, and learns all others."""
        nodes = [node for node in _nodes(functional) if not node.is_input]
        calls: dict[str, list[Any]] = {}
        for node in nodes:
            calls.setdefault(_operation(node).name, []).append(node)
        numbers = {id(node): number for made in calls.values()
                   for number, node in enumerate(sorted(made, key=_call_number))}  # fmt: skip
        for node in nodes:
            layer = _operation(node)
            name = prefix + layer.name
            if len(calls[layer.name]) > 1:
                name += f"@{numbers[id(node)]}"
            self._write_call(node, layer, name, places)

    def _write_call(self, node: Any, layer: Any, name: str, places: dict[int, Slot]) -> None:
        nest = tensorflow().nest
        tensors = nest.flatten(node.outputs)
        args, kwargs = _arguments(node)
        inner: Any = _functional(layer) if _is_model(layer) else ""
        given = None if isinstance(inner, str) else _matched(args, kwargs, inner)
        if given is not None:
            inside = {
                id(tensor): places[id(one)] for tensor, one in zip(inner.inputs, given, strict=True)
            }
            self.write(inner, inside, f"{name}/")
            for tensor, one in zip(tensors, inner.outputs, strict=True):
                places[id(tensor)] = inside[id(one)]
            return
        arguments = nest.map_structure(lambda value: places.get(id(value), value), (args, kwargs))
        slots = tuple(self.slot() for _ in tensors)
        places.update(zip(map(id, tensors), slots, strict=True))
        shapes = tuple(tuple(tensor.shape[1:]) for tensor in tensors)
        self.calls.append(Call(name, layer, arguments, slots, shapes, _dtype(tensors[0])))


def _is_model(layer: Any) -> bool:
    return any(kind.__name__ == "Model" for kind in type(layer).__mro__)


def _functional(network: Any) -> Any:
    """Return the model with nodes that stands behind a network; a sentence if there is none."""
    inner = getattr(network, "_functional", None)  # of a Keras 3 Sequential
    if inner is not None:
        return inner
    if getattr(network, "_nodes_by_depth", None) and getattr(network, "inputs", None):
        return network
    if not _is_model(network):
        return "it is no Keras model"
    if any(kind.__name__ == "Sequential" for kind in type(network).__mro__):
        return "its input shape is not known; build the network, or call it once, before a run"
    return _followed(network)


def _followed(network: Any) -> Any:
    """Find the graph of a subclassed model by calling the model with symbolic inputs."""
    home: Any = keras()
    if not isinstance(network, home.Model):
        home = importlib.import_module("tf_keras")
    shapes = _built_shapes(network)
    if not shapes:
        return "its input shape is not known; before the explanation, call the network once on data"
    parameters = inspect.signature(network.call).parameters
    inputs: list[Any] = []

    def symbolic(shape: Any, name: str) -> Any:
        if isinstance(shape, Mapping):
            return {key: symbolic(one, str(key)) for key, one in shape.items()}
        if not _is_shape(shape):
            return [symbolic(one, f"{name}_{number}") for number, one in enumerate(shape)]
        inputs.append(home.Input(tuple(shape[1:]), name=name))
        return inputs[-1]

    given = {name: symbolic(shape, name) for name, shape in shapes.items()}
    if "training" in parameters:
        given["training"] = False
    first = next(iter(parameters))
    try:
        outputs = network.call(given.pop(first, None), **given)
        return home.Model(inputs, outputs)
    except Exception as error:  # whatever a person's own code raises on symbolic inputs
        reason = str(error).strip().splitlines()
        return (
            "its own code calls the layers, and cnnvis could not follow this code "
            f"({type(error).__name__}{': ' + reason[0] if reason else ''}). Write the code with "
            "keras.ops in place of functions of TensorFlow or NumPy, or make a Functional model "
            "of the same layers"
        )


def _built_shapes(network: Any) -> dict[str, Any]:
    """Return the shapes that a subclassed model was called with, by the names of parameters."""
    first = next(iter(inspect.signature(network.call).parameters), "inputs")
    known = getattr(network, "_build_shapes_dict", None)
    if known is None:  # tf_keras
        shape = getattr(network, "_build_input_shape", None)
        return {} if shape is None else {first: _plain_shape(shape)}
    if len(known) == 1:
        return {first: next(iter(known.values()))}
    return {name.removesuffix("_shape"): shape for name, shape in known.items()}


def _plain_shape(shape: Any) -> Any:
    return tuple(shape.as_list()) if hasattr(shape, "as_list") else shape


def _is_shape(value: Any) -> bool:
    return isinstance(value, list | tuple) and all(
        size is None or isinstance(size, int) for size in value
    )


def _nodes(functional: Any) -> Iterator[Any]:
    """Yield a model's nodes in an order in which they can run."""
    for depth in sorted(functional._nodes_by_depth, reverse=True):
        yield from functional._nodes_by_depth[depth]


def _call_number(node: Any) -> int:
    """Return the place of a node among all calls of its layer, in the order in which they were made."""
    made = [id(one) for one in _operation(node)._inbound_nodes]
    return made.index(id(node))


def _operation(node: Any) -> Any:
    return node.layer if hasattr(node, "layer") else node.operation


def _arguments(node: Any) -> tuple[Any, Any]:
    held = getattr(node, "arguments", None)
    if held is not None:
        return tuple(held.args), dict(held.kwargs)
    return tuple(node.call_args), dict(node.call_kwargs)


def _matched(args: Any, kwargs: Any, functional: Any) -> list[Any] | None:
    """Return the arguments of a nested model, in the order of its inputs; None if that is unclear.

    Keras maps a dict by the keys that the model's own inputs have, or else by their names.
    """
    nest = tensorflow().nest
    if len(args) != 1 or any(hasattr(one, "shape") for one in nest.flatten(kwargs)):
        return None
    (given,) = args
    if isinstance(given, Mapping):
        held = {place: one for one, place in _placed(given)}
        places = {id(tensor): place for tensor, place in _placed(_structure(functional, "inputs"))}
        by_place = [places.get(id(tensor), ()) for tensor in functional.inputs]
        by_name: list[tuple[str | int, ...]] = [(_input_name(one),) for one in functional.inputs]
        for wanted in (by_place, by_name):
            if set(wanted) <= set(held):
                return [held[place] for place in wanted]
    flat = nest.flatten(given)
    return flat if len(flat) == len(functional.inputs) else None


def _input_name(tensor: Any) -> str:
    history = tensor._keras_history
    layer = history.layer if hasattr(history, "layer") else history.operation
    return str(layer.name)  # a Sequential gives its input tensor no name of its own


def _dtype(tensor: Any) -> str:
    return str(getattr(tensor.dtype, "name", tensor.dtype))


@contextmanager
def _without_state(layers: Iterable[Any]) -> Iterator[None]:
    """Have recurrent layers begin anew: what they keep of earlier samples is no part of this one."""
    stateful = [layer for layer in layers if getattr(layer, "stateful", False)]
    for layer in stateful:
        object.__setattr__(layer, "stateful", False)
    try:
        yield
    finally:
        for layer in stateful:
            object.__setattr__(layer, "stateful", True)


def _takes_training(layer: Any) -> bool:
    if hasattr(layer, "_call_context_args"):
        return "training" in layer._call_context_args
    return bool(getattr(layer, "_expects_training_arg", False))
