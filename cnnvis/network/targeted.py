"""Network with a target in it: facts about both that need no computation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from cnnvis.data.lazy import Shape
from cnnvis.data.samples import Array, Samples
from cnnvis.errors import UserError, listed, nearest
from cnnvis.network import positions
from cnnvis.network.channels import input_channel_axis
from cnnvis.network.defaults import notes_on_defaults
from cnnvis.network.deprecation import deprecated_alias
from cnnvis.network.export import exported
from cnnvis.network.feeds import Feeds
from cnnvis.network.file import NetworkFile
from cnnvis.network.graph import Call, Input
from cnnvis.network.input_range import expected_of_input
from cnnvis.network.layer_names import find_call
from cnnvis.network.layers import Layer
from cnnvis.network.lookups import looks_up
from cnnvis.network.resolution import Resolution
from cnnvis.network.sample_shaping import shaped_samples
from cnnvis.network.scores import weights_of_each
from cnnvis.reporting import note


class TargetedNetwork:
    """Network, its file, and the target that is explained.

    Parameters
    ----------
    resolution
        The target in the network.
    feeds
        The inputs of the network, one of which is explained.
    file
        The file that the network was loaded from.

    Attributes
    ----------
    network
        The Keras network, whole.
    """

    def __init__(self, resolution: Resolution, feeds: Feeds, file: NetworkFile) -> None:
        self.network: Any = resolution.loaded.network
        self._resolution = resolution
        self._feeds = feeds
        self._file = file

    # The target

    @property
    def layer(self) -> str:
        """Name of the target layer; for a sum or difference, the whole target as it was written."""
        return self._resolution.layer

    @property
    def target_layers(self) -> tuple[str, ...]:
        """Names of the layers whose outputs make up the target."""
        return tuple(call.name for call in self._resolution.targets)

    @property
    def target_units(self) -> int:
        """Number of outputs, classes or filters, of the target; for a sum, of all its terms."""
        return self._resolution.units

    @property
    def filters(self) -> tuple[int, ...] | None:
        """Numbers of the outputs that are explained; None if none were given.

        Of a single sigmoid, which stands for two classes, that is always output 0.

        Raises
        ------
        UserError
            If the target has no such output.
        """
        chosen = self._resolution.chosen
        return None if chosen is None else tuple(unit.number for unit in chosen)

    @property
    def asked_layer(self) -> str | None:
        """Layer, or sum of outputs, that was asked for; None if none was."""
        return self._resolution.request.layer

    @property
    def asked_filters(self) -> Any:
        """Outputs of the layer that were asked for; None if none were."""
        return self._resolution.request.filters

    @property
    def asked_output(self) -> str | None:
        """Output of the network that was asked for; None if none was."""
        return self._resolution.request.output

    @property
    def asked_region(self) -> tuple[str | int | slice, ...] | None:
        """Region that was asked for; None if none was."""
        return self._resolution.request.region

    @property
    def asked_rank(self) -> int | None:
        """Place of the explained class by its score, 0 for the largest; None if none was asked for."""
        return self._resolution.request.rank

    @property
    def class_names(self) -> tuple[str, ...] | None:
        """Names of the network's classes; None where they have none."""
        return self._resolution.evidence.names

    @property
    def has_classes(self) -> bool:
        """True if the target's outputs are known to be classes.

        Those of a softmax are; a single sigmoid stands for two. Other outputs are classes if the
        loss that the network was trained with says so, if the labels of the data are such classes,
        or if they were given names. A loss of a regression says that they are none.
        """
        return self._resolution.has_classes

    @property
    def is_logits(self) -> bool:
        """True if no softmax or sigmoid makes the target's outputs, or follows them."""
        return self._resolution.squashing is None

    @property
    def is_answer(self) -> bool:
        """True if the target's outputs are the network's answer, so that its classes are known."""
        return self._resolution.is_answer

    @property
    def tells_classes(self) -> bool:
        """True if the network answers with one class for each input."""
        return self._resolution.answers_with_one_class

    @property
    def each_weights(self) -> Array:
        """Row of weights for every output asked for, (m, k) float32; for output 0 if none was.

        A sum or difference is one row.
        """
        return weights_of_each(self._resolution)

    def note_defaults(self) -> None:
        """Note what was taken where several things could have been meant."""
        for sentence in notes_on_defaults(self._resolution):
            note(sentence)

    # The file

    @property
    def path(self) -> Path | None:
        """File that the network was loaded from; None for a network of this process."""
        return self._file.path

    @property
    def sha256(self) -> str | None:
        """SHA-256 of the file that was loaded, or None for a network that came from none."""
        return self._file.sha256

    @property
    def loading(self) -> Mapping[str, Any]:
        """Options of the loader with which the network was loaded."""
        return self._file.loading

    @property
    def repairs(self) -> tuple[str, ...]:
        """Sentences on what had to be changed to read the file."""
        return self._file.repairs

    @property
    def origin(self) -> str:
        """Phrase with the file's format and writer; empty for a network of this process."""
        return self._file.origin

    @property
    def cut(self) -> Mapping[str, str]:
        """Layers of the file that were left out, each with the reason."""
        return self._file.cut

    # Inputs, outputs and layers

    @property
    def inputs(self) -> tuple[Input, ...]:
        """Inputs of the network: their names, shapes and types."""
        return self._feeds.inputs

    @property
    def explainable_inputs(self) -> tuple[str, ...]:
        """Names of the inputs that the target depends on, the others having no map."""
        return self._resolution.explainable_inputs

    @property
    def movable_inputs(self) -> tuple[str, ...]:
        """Names of the inputs that the target depends on and that hold real numbers.

        An input that an Embedding looks up holds whole numbers, whatever its type.
        """
        return tuple(
            one.name
            for one in self.inputs
            if one.name in self.explainable_inputs and not self._is_of_whole_numbers(one)
        )

    @property
    def depends_on_input(self) -> bool:
        """True if the target depends on the input that is explained; with one input it does."""
        return self._resolution.depends_on(self._feeds.explained.slot)

    @property
    def input_shape(self) -> Shape:
        """Shape of one input, without the sample axis; None where any length will do."""
        return self._feeds.explained.shape

    @property
    def takes_whole_numbers(self) -> bool:
        """True if the explained input is of whole numbers, such as those an Embedding looks up."""
        return self._is_of_whole_numbers(self._feeds.explained)

    def _is_of_whole_numbers(self, one: Input) -> bool:
        is_real = one.dtype.startswith(("float", "bfloat"))
        return not is_real or looks_up(self._resolution.traced.graph, one.slot) is not None

    @property
    def expected_range(self) -> tuple[tuple[float, float], str] | None:
        """Values that the network's first layer expects, and the layer; None if none says it.

        A Rescaling expects what it makes 0 to 1 or -1 to 1 of; a normalization what lies within
        three deviations of the mean of what it was trained on.
        """
        graph = self._resolution.traced.graph
        return expected_of_input(graph, self._feeds.explained.slot)

    @property
    def input_channel_axis(self) -> int | None:
        """Axis of a batch of inputs that holds channels: -1 or 1; None if none does.

        The first layer with spatial axes tells: a Conv2D whose input has but two axes left gets its
        channels from a layer in between.
        """
        return self.channel_axis_of(self._feeds.explained.name)

    def channel_axis_of(self, name: str) -> int | None:
        """Return which axis of a batch of the input of that name holds channels: -1, 1 or None."""
        one = next(one for one in self.inputs if one.name == name)
        return input_channel_axis(self._resolution.traced.graph, one.slot, one.shape)

    def shaped(self, samples: Samples) -> Mapping[str, Samples]:
        """Shape samples for each of the network's inputs, as that input takes them.

        Raises
        ------
        UserError
            If the samples' arrays are not those that the network takes, or have other shapes.
        """
        return shaped_samples(self._resolution.traced.graph, samples)

    @property
    def output_names(self) -> tuple[str, ...]:
        """Names of the network's outputs, as `output` takes them."""
        return tuple(self._resolution.traced.outputs)

    @property
    def output_layers(self) -> dict[str, str]:
        """Layer that gives each of the network's outputs, by the output's name."""
        return {name: call.name for name, call in self._resolution.traced.outputs.items()}

    @property
    def layers(self) -> tuple[Layer, ...]:
        """Layers of the network, in the order in which they run, nested models opened up."""
        return self._resolution.traced.layers

    def before_target(self) -> tuple[Layer, ...]:
        """List the layers between the input and the target, the latter excluded, as they run."""
        return self._resolution.layers_behind(self._feeds.explained.slot)

    def has_channels_first(self, layer: str) -> bool:
        """Tell whether a layer's output has its channels right behind the sample axis."""
        return self._resolution.traced.channel_axis(self._call(layer)) == 1

    channels_first = deprecated_alias("channels_first", has_channels_first)

    def keras_layer(self, name: str) -> Any:
        """Return the Keras layer of that name; UserError with the names there are if there is none."""
        return self._call(name).layer

    def keras_model(self, *, several_inputs: bool = True) -> Any:
        """Build a Keras network of its own that ends in the target, without its softmax or sigmoid.

        For techniques that hand a model to another library: a flat Functional network of copies of
        the layers that the target depends on, their weights included, of Keras 3 or tf_keras as
        the network is. A layer inside nested models is called as its path, with ``_`` for ``/``.

        Parameters
        ----------
        several_inputs
            True if the other library takes a network of several inputs.

        Raises
        ------
        UserError
            If the target is a sum or difference or has a region, a layer cannot be copied, or the
            network has more inputs than it may.
        """
        return exported(self._resolution, several_inputs=several_inputs)

    def followed_axes(self, layer: str, shape: Sequence[int]) -> tuple[int, ...]:
        """List the spatial axes of the input along which a layer's output has positions.

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
        traced, source = self._resolution.traced, self._feeds.explained
        origin = positions.origin_of(traced, self._call(layer), source, tuple(shape))
        return () if origin is None else origin.followed

    def positions_along(self, layer: str, shape: Sequence[int]) -> dict[int, int]:
        """Count the positions of a layer's output along the spatial axes of the explained input.

        Parameters
        ----------
        layer, shape
            See `followed_axes`.

        Returns
        -------
        dict
            Number of positions by the axis of the input, that of samples being 0. Tokens of a
            picture are counted by rows and columns, without a class token.
        """
        traced, source = self._resolution.traced, self._feeds.explained
        call = self._call(layer)
        origin = positions.origin_of(traced, call, source, tuple(shape))
        if origin is None:
            return {}
        return origin.along(traced.channel_axis(call) % (len(origin.axes) + 1))

    def inner_positions(self, layer: str, shape: Sequence[int]) -> tuple[tuple[int, int], ...]:
        """Find where positions of a layer's output stand for places of the explained input.

        Parameters
        ----------
        layer, shape
            See `followed_axes`.

        Returns
        -------
        tuple
            For each axis of one sample of the output, the first such position and the end: all of
            the axis, but for a class token among tokens.
        """
        traced, source, call = self._resolution.traced, self._feeds.explained, self._call(layer)
        origin = positions.origin_of(traced, call, source, tuple(shape))
        if origin is None:  # the layer does not depend on this input
            return tuple((0, size or 0) for size in call.shapes[0])
        return origin.inside

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
            left out, or for each of its `inner_positions`.
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
        traced, source = self._resolution.traced, self._feeds.explained
        return positions.laid_over_input(traced, maps, self._call(layer), source, shape)

    def _before_target(self, layer: str) -> Call:
        call, before = self._call(layer), [one.name for one in self.before_target()]
        if call.name not in before:
            raise UserError(
                f"the layer {layer!r} is not between the input {self._feeds.explained.name!r} and "
                f"the target {self.layer!r}.{nearest(layer, before)} "
                f"{listed('There are', before or ['no layers'], 'cnnvis run model-summary MODEL')}"
            )
        return call

    def _call(self, name: str) -> Call:
        resolution = self._resolution
        return find_call(resolution.traced.calls, name, resolution.loaded.cut)
