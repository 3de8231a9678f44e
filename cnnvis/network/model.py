"""Model: a network and a target in it, as techniques see them."""

from __future__ import annotations

import copy
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from cnnvis.data.class_names import ClassNames, names_in_order
from cnnvis.data.loaded_network import LoadedNetwork
from cnnvis.data.samples import Array, Samples
from cnnvis.data.target import Target
from cnnvis.network.cache import traced_network
from cnnvis.network.class_evidence import ClassEvidence, labels_number_units
from cnnvis.network.deprecation import deprecated_alias, renamed_arguments
from cnnvis.network.differentiation import Differentiation, GradientOptions, Perturbations
from cnnvis.network.evaluation import Evaluation
from cnnvis.network.feeds import Feeds
from cnnvis.network.file import NetworkFile
from cnnvis.network.layers import Layer
from cnnvis.network.map_layers import names_of_map_layers
from cnnvis.network.modifiers import Backprop
from cnnvis.network.permutation import answering_layer, are_same, permuted, with_sigmoid
from cnnvis.network.relevance.bias_gradients import FullGradient
from cnnvis.network.relevance.composites import Composite
from cnnvis.network.relevance.propagation import Bias, Propagation, Relevance
from cnnvis.network.request import TargetRequest
from cnnvis.network.resolution import ranked, resolve
from cnnvis.network.scores import described_targets
from cnnvis.network.targeted import TargetedNetwork
from cnnvis.reporting import note

T = TypeVar("T")


class Model(TargetedNetwork):
    """Network for techniques, cut at its target: no layer behind the target ever runs.

    Parameters
    ----------
    network
        A Keras network, of Keras 3 or tf_keras: Functional, Sequential, nested, or a subclassed
        network whose call can be followed with symbolic inputs; or a `LoadedNetwork`. The network
        is not changed.
    layer
        The target: a layer, ``output`` or ``backbone/block5_conv3``; an output of a layer,
        ``output:3`` or ``output[AI]``; or a sum or difference of outputs, ``head[3]-head[5]``; also
        a Keras layer of the network, or its place among ``network.layers``: -1 for the last. By
        default the layer named ``output``, if the layers behind it have no weights and leave the
        classes as they are, else the last layer.
    filters
        Outputs of the target to explain, by number or by name: classes of the last layer, filters
        of a layer in between. Several outputs are added up. By default the class that the network
        predicts for each input if the target is the default target, else output 0. A single sigmoid
        stands for two classes: for the first class, the score counts negatively.
    class_names
        The names of the target's classes.
    path
        File that the network was loaded from, for the provenance.
    sha256
        The SHA-256 of the loaded file; by default computed at first use.
    output
        Output of the network to explain, of several outputs and if no layer is named: its name or
        its place among the outputs.
    region
        For a target with spatial axes, such as the classes of every pixel: the positions over which
        outputs are averaged; a position (7) or a range ("10:20", a slice) for each spatial axis.
        By default all.

    Attributes
    ----------
    network
        The Keras network, whole.

    Raises
    ------
    UserError
        If the network has no layer of this name, or no graph of layers to cut.
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
    ) -> None:
        loaded = network if isinstance(network, LoadedNetwork) else LoadedNetwork(network)
        traced = traced_network(loaded.network)
        request = TargetRequest.of(
            loaded.network,
            tuple(traced.outputs),
            layer=layer,
            filters=filters,
            output=output,
            region=region,
        )
        evidence = ClassEvidence(names_in_order(class_names))
        super().__init__(
            resolution=resolve(traced, loaded, request, evidence),
            feeds=Feeds(traced.graph.inputs),
            file=NetworkFile.of(loaded, path, sha256),
        )
        self._blank_reasons: list[str] | None = None

    def loaded_with(self, options: Mapping[str, Any]) -> Model:
        """Return a model that holds the options of its file's loader, to load the file again."""
        return self._changed(_file=replace(self._file, loading=options))

    # The same network in another way

    def with_target(
        self,
        layer: str | int | Any | None = None,
        filters: int | str | Sequence[int | str] | None = None,
        class_names: ClassNames | None = None,
        *,
        output: str | int | None = None,
        region: str | int | slice | Sequence[str | int | slice] | None = None,
    ) -> Model:
        """Return a model of the same network with another target, by default the default target."""
        old = self._resolution
        request = TargetRequest.of(
            self.network,
            self.output_names,
            layer=layer,
            filters=filters,
            output=output,
            region=region,
        )
        evidence = replace(old.evidence, decided=None)
        if class_names is not None:
            evidence = replace(evidence, names=names_in_order(class_names))
        return self._changed(_resolution=resolve(old.traced, old.loaded, request, evidence))

    at = deprecated_alias("at", with_target)

    def with_rank(self, rank: int) -> Model:
        """Return a model that explains, of each input, a class with a place by its score.

        Parameters
        ----------
        rank
            The place: 0 for the class with the largest score, 1 for the class after it. Of equal
            scores, the first one is larger.

        Raises
        ------
        UserError
            If the target's outputs are not known to be classes, are too few, or were asked for.
        """
        return self._changed(_resolution=ranked(self._resolution, rank))

    def with_inputs_held(self, samples: Samples) -> Model:
        """Return a model that explains one of several inputs and holds the other inputs.

        Parameters
        ----------
        samples
            The input to explain, by its name, and the other inputs; see `shaped`.
        """
        return self._changed(_feeds=self._feeds.holding(samples))

    def with_labels(self, samples: Samples | None, class_names: tuple[str, ...] | None) -> Model:
        """Return a model whose outputs are classes if labels or class names say so.

        Parameters
        ----------
        samples
            The data with their labels; None if there are no data.
        class_names
            The names of the classes; None without names.
        """
        evidence = replace(self._resolution.evidence, names=class_names)
        answer = replace(self._resolution, evidence=evidence).answer
        units = None if answer is None else answer.traced.channels(answer.target)
        evidence = replace(
            evidence,
            labels_are_classes=samples is not None and labels_number_units(samples, units),
            labels_are_several=samples is not None and samples.label_kind == "several",
        )
        return self._changed(_resolution=replace(self._resolution, evidence=evidence))

    def with_classes_decided(self, has_classes: bool) -> Model:
        """Return a model whose outputs are classes, or not, as another process decided."""
        evidence = replace(self._resolution.evidence, decided=has_classes)
        return self._changed(_resolution=replace(self._resolution, evidence=evidence))

    def with_blank_reasons(self, reasons: list[str]) -> Model:
        """Return a model that lists the reasons for blank gradients instead of raising an error.

        For many images: a batch may hold blank gradients alone.
        """
        return self._changed(_blank_reasons=reasons)

    def with_permuted_weights(self, seeds: Sequence[int]) -> Iterator[Model]:
        """Yield models of a copy of the network up to the target, its weights permuted.

        The values of each tensor are permuted among themselves, in every layer: the network that is
        left knows nothing of what was learned, and its activations keep their sizes. There is a
        single copy, so that it is compiled once: a model holds until the next is taken. A
        permutation that leaves all weights as they are, since they are all alike, yields none.

        Parameters
        ----------
        seeds
            A permutation for each of them.

        Raises
        ------
        UserError
            As for `keras_model`.
        """
        everywhere = self.with_target(
            self.asked_layer, self.asked_filters, output=self.asked_output
        )
        network = everywhere.keras_model()
        learned = network.get_weights()
        whole = network
        if self.has_classes and self.target_units == 1:  # a sigmoid, which stands for two classes
            whole = with_sigmoid(network)
        for seed in seeds:
            other = permuted(learned, seed)
            if not are_same(learned, other):
                network.set_weights(other)
                yield Model(whole, layer=answering_layer(whole), region=self.asked_region)

    def _changed(self, **attributes: Any) -> Model:
        other = copy.copy(self)
        vars(other).update(attributes)
        return other

    @property
    def answer(self) -> Model | None:
        """Model with the network's answer as its target; None if the answer was cut off."""
        answer = self._resolution.answer
        return None if answer is None else self._changed(_resolution=answer)

    @property
    def blank_reasons(self) -> list[str] | None:
        """List of the reasons for blank gradients; None if blank gradients are an error."""
        return self._blank_reasons

    # Answers and scores

    def predict(self, x: Array | Sequence[Array] | Mapping[str, Array]) -> Array:
        """Compute the network's answer for inputs (n, ...), its last activation included.

        Of several outputs, the output chosen with `output`, else the first.

        Parameters
        ----------
        x
            Inputs, (n, ...); for a network with several inputs an array for each, in a dict by name
            or in a list, or the array of the explained input if the other inputs are held.
        """
        return self._evaluation.predict(x)

    def predicted_classes(self, x: Array) -> Array | None:
        """Compute the class that the network answers for each input, whatever the target is.

        (n,) int64: the largest of several classes; of a single sigmoid, 1 above 0.5. None for a
        network that does not answer with one class for each input.
        """
        return self._evaluation.predicted_classes(x)

    def outputs(self, x: Array) -> Array:
        """Compute the target layer's output for inputs (n, ...), without a softmax or sigmoid.

        For a sum or difference, the outputs of each term's layer, (n, k), one behind the other.
        """
        evaluation = self._evaluation
        found = evaluation.outputs(x)
        return evaluation.joined(found) if self._resolution.is_compound else found[0]

    def values(self, x: Array, layers: Sequence[str]) -> list[Array]:
        """Compute the outputs of layers for inputs (n, ...), each (n, ...), with activations.

        All inputs at once and without compiling: for a look at a few inputs.
        """
        return self._evaluation.values(x, [self._call(name) for name in layers])

    def values_into(self, x: Array, layer: str) -> Array:
        """Compute the input of a layer, (n, ...), for inputs (n, ...)."""
        return self._evaluation.values_into(x, self._call(layer))

    def target_weights(self, x: Array, *, of: Sequence[int] | None = None) -> Array:
        """Compute the weight of each output of the target in each score, (n, k) float32.

        1 for the chosen outputs, or for the class predicted for the input; 0 elsewhere. For `of`,
        see `input_gradient`.
        """
        return self._evaluation.weights(x, of)

    def scores(
        self, x: Array, *, weights: Array | None = None, of: Sequence[int] | None = None
    ) -> Array:
        """Compute the score of each input, (n,) float32: the target's outputs, weighted and summed.

        For `weights` and `of`, see `input_gradient`.
        """
        units, weights = self._evaluation.units_and_weights(x, weights, of)
        found: Array = np.einsum("nk,nk->n", units, weights).astype(np.float32)
        return found

    def activations(self, x: Array, layer: str) -> Array:
        """Compute the output of a layer before the target for inputs (n, ...), (n, ...) float32."""
        call = self._before_target(layer)
        found: Array = self._evaluation.activations(x, call).astype(np.float32)
        return found

    def scores_from(
        self,
        layer: str,
        activations: Array,
        x: Array,
        *,
        weights: Array | None = None,
        of: Sequence[int] | None = None,
    ) -> Array:
        """Compute the scores that the network would have if a layer gave these activations, (n,).

        The network runs from the layer to the target. Where branches go around the layer, they are
        computed from the inputs.

        Parameters
        ----------
        layer
            A layer before the target.
        activations
            Outputs of the layer, (n, ...).
        x
            The input of each row of `activations`, (n, ...).
        weights, of
            See `input_gradient`.
        """
        evaluation = self._evaluation
        if weights is None:
            weights = evaluation.weights(x, of)
        units = evaluation.units_from(self._before_target(layer), activations, x, of)
        found: Array = np.einsum("nk,nk->n", units, weights).astype(np.float32)
        return found

    def perturbed_scores(
        self,
        x: Array,
        perturb: Callable[..., Any],
        perturbation_args: Callable[[range], Sequence[Array]],
        count: int,
        *,
        per_sample_args: Sequence[Array] = (),
        weights: Array | None = None,
        of: Sequence[int] | None = None,
    ) -> Iterator[tuple[range, Array]]:
        """Compute the scores of perturbed copies of each input, some of the perturbations at a time.

        All copies have the target of the unchanged input, such as the class predicted for it. The
        copies are made where the network is computed, so that nothing is held but a batch of them.

        Parameters
        ----------
        x
            Inputs, (n, ...).
        count
            The number of perturbations of each input.
        perturb, perturbation_args, per_sample_args
            See `mean_gradient`.
        weights, of
            See `input_gradient`.

        Yields
        ------
        range
            The numbers of some of the perturbations, in their order; as many each time, but for
            the last.
        ndarray
            The scores under these, (n, k) float32.

        Raises
        ------
        UserError
            If the target does not depend on the input, or a score is NaN or infinite.
        """
        return self._evaluation.perturbed_scores(
            x, perturb, perturbation_args, count,
            per_sample_args=per_sample_args, weights=weights, of=of,
        )  # fmt: skip

    def targets(
        self, x: Array, weights: Array | None = None, *, of: Sequence[int] | None = None
    ) -> tuple[Target, ...]:
        """Describe the target of each of these inputs (n, ...), with its score.

        For `weights` and `of`, see `input_gradient`.
        """
        return described_targets(
            self._resolution, *self._evaluation.units_and_weights(x, weights, of)
        )

    def footprint(self, samples: Samples) -> int:
        """Estimate how many bytes one sample needs on its way to the target and back."""
        return self._evaluation.footprint(samples)

    # Gradients

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
        """Compute the gradient of each score with respect to its input, (n, ...), float32.

        Parameters
        ----------
        x
            Inputs, (n, ...), for any n, since they are computed batch by batch.
        backprop
            Rule by which gradients pass rectifiers; see `cnnvis.Backprop`.
        weights
            Weights of the outputs in the score, (n, k), by default `self.target_weights(x)`: a
            method that changes its inputs must go on with the class predicted for the unchanged
            inputs.
        of
            For a network with several inputs: the number of the sample of each row of `x`, so that
            the other inputs are held at the values of the sample. By default row i belongs to
            sample i.
        keras_vis
            Change only activations with the name relu, and leave LeakyReLU and other rectifiers
            unchanged, as keras-vis does.
        reduced
            Reduction of the gradient: a function of a TensorFlow tensor (n, ...) that returns a
            tensor. It is compiled with the network, and the method returns its result. The same
            function, or a `functools.partial` of it with the same arguments, is compiled only once.

        Raises
        ------
        UserError
            If the gradient is zero everywhere for all inputs, or the modifier changes nothing.
        """
        options = GradientOptions(backprop, weights, of, keras_vis, reduced)
        return self._differentiation.gradient(x, options)[0]

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
        """Compute (activations, gradients) of a layer before the target, both (n, ...) float32.

        The parameters and errors are the same as of `input_gradient`; `layer` names the layer whose
        activations the score is differentiated by. An error says if the layer is not before the
        target.

        Parameters
        ----------
        reduced
            Reduction of both: a function of the two tensors that returns a tensor, or a tuple of
            tensors, (n, ...) each; see `input_gradient`.
        """
        options = GradientOptions(backprop, weights, of, keras_vis, reduced)
        found = self._differentiation.gradient(x, options, self._before_target(layer))
        if reduced is not None:
            return found[0] if len(found) == 1 else tuple(found)
        gradient, activations = found
        return activations, gradient

    @renamed_arguments(
        varied="perturb", told="perturbation_args", parts="factors", beside="per_sample_args"
    )
    def mean_gradient(
        self,
        x: Array,
        perturb: Callable[..., Any],
        perturbation_args: Callable[[range], Sequence[Array]],
        factors: Sequence[float],
        *,
        per_sample_args: Sequence[Array] = (),
        backprop: Backprop | None = None,
        weights: Array | None = None,
        of: Sequence[int] | None = None,
    ) -> Array:
        """Compute the mean gradient over several perturbations of each input, (n, ...) float32.

        All perturbed inputs have the target of the unchanged input, such as the class predicted for
        it. Batches are full for any number of perturbations, and the mean is taken on the same
        device as the gradients.

        Parameters
        ----------
        x
            Inputs, (n, ...).
        perturb
            Function that makes perturbed inputs from TensorFlow tensors that broadcast: called with
            inputs (n, 1, ...), with `per_sample_args` (n, 1, ...) and with the arguments of the
            perturbations (1, k, ...); returns perturbed inputs, (n, k, ...). It is compiled once,
            so it must be the same function at every call.
        perturbation_args
            Function of numbers of perturbations that returns their arguments, arrays (k, ...)
            float32.
        factors
            Weight of each perturbation's gradient in the mean.
        per_sample_args
            Arguments for each input, arrays (n, ...).
        backprop
            Rule by which gradients pass rectifiers; see `cnnvis.Backprop`.
        weights, of
            See `input_gradient`.

        Raises
        ------
        UserError
            As for `input_gradient`.
        """
        perturbations = Perturbations(perturb, perturbation_args, factors, per_sample_args)
        options = GradientOptions(backprop, weights, of)
        moved = (self._feeds.number,)
        return self._differentiation.means(x, perturbations, options, moved)[0]

    def gradient_moments(
        self,
        x: Array,
        perturb: Callable[..., Any],
        perturbation_args: Callable[[range], Sequence[Array]],
        count: int,
        *,
        per_sample_args: Sequence[Array] = (),
        backprop: Backprop | None = None,
        weights: Array | None = None,
        of: Sequence[int] | None = None,
    ) -> tuple[Array, Array]:
        """Compute the mean and the variance of the gradient over perturbations of each input.

        Both (n, ...) float32; the variance is the unbiased one, with `count` - 1 in the denominator,
        and 0 for a single perturbation.

        Parameters
        ----------
        count
            The number of perturbations of each input.
        x, perturb, perturbation_args, per_sample_args, backprop, weights, of
            See `mean_gradient`.

        Raises
        ------
        UserError
            As for `input_gradient`.
        """
        perturbations = Perturbations(perturb, perturbation_args, [1.0] * count, per_sample_args)
        return self._differentiation.moments(
            x, perturbations, GradientOptions(backprop, weights, of)
        )

    @renamed_arguments(varied="perturb", told="perturbation_args", parts="factors")
    def mean_gradients(
        self,
        x: Array,
        perturb: Callable[..., Any],
        perturbation_args: Callable[[range], Sequence[Array]],
        factors: Sequence[float],
        *,
        per_sample_args: Mapping[str, Sequence[Array]] | None = None,
        weights: Array | None = None,
        of: Sequence[int] | None = None,
    ) -> dict[str, Array]:
        """Compute mean gradients as `mean_gradient` does, for all inputs perturbed together, by name.

        Inputs of whole numbers are held, since no value lies between two whole numbers. `per_sample_args`
        holds arrays for each of `movable_inputs`, by name.
        """
        names = self.movable_inputs
        numbers = tuple(
            number for number, one in enumerate(self.inputs) if one.name in self.movable_inputs
        )
        own = [one for name in names for one in (per_sample_args or {}).get(name, ())]
        perturbations = Perturbations(perturb, perturbation_args, factors, own)
        options = GradientOptions(weights=weights, of=of)
        found = self._differentiation.means(x, perturbations, options, numbers)
        return dict(zip(names, found, strict=True))

    def map_layers(self, shape: Sequence[int]) -> tuple[Layer, ...]:
        """List the layers before the target whose outputs have positions in the explained input.

        In the order in which they run. A layer is left out if the target depends on it by positions
        alone that stand for no place of the input, as behind the last attention, where only a class
        token is looked at.

        Parameters
        ----------
        shape
            The shape of one sample of the input.
        """
        evaluation = self._evaluation
        key = ("map layers", self._resolution.key, self._feeds.number, tuple(shape))
        cache = self._resolution.traced.compiled
        if key not in cache:
            cache[key] = names_of_map_layers(evaluation, tuple(shape))
        return tuple(one for one in self.before_target() if one.name in cache[key])

    def relevance(
        self,
        x: Array,
        composite: Composite,
        *,
        bias: Bias = "absorb",
        bounds: tuple[Any, Any] | None = None,
        weights: Array | None = None,
        of: Sequence[int] | None = None,
    ) -> Relevance:
        """Share each score out among the values of its input, by layer-wise relevance propagation.

        Parameters
        ----------
        x
            Inputs, (n, ...).
        composite
            Table of the rules of the layers.
        bias
            What becomes of the share of biases: ``absorb``, they keep it; ``ignore``, they get none.
        bounds
            Smallest and largest value that inputs may have, numbers or arrays of the shape of an
            input, for the rule ``z-box``.
        weights, of
            See `input_gradient`.

        Raises
        ------
        UserError
            If there is no rule for a layer.
        """
        evaluation = self._evaluation
        self._differentiation.require_gradient()
        if weights is None:
            weights = evaluation.weights(x, of)
        arrays = evaluation.feeds.arrays(x, of)
        return Propagation(evaluation).relevance(arrays, weights, composite, bias, bounds)

    def full_gradient(
        self, x: Array, *, weights: Array | None = None, of: Sequence[int] | None = None
    ) -> FullGradient:
        """Compute what inputs and the constants of all layers add to each score.

        Srinivas and Fleuret 2019, arXiv:1905.00780, proposition 1, also for layers that bend: around
        an input z, a layer f adds f(z) less its derivative times z.

        Parameters
        ----------
        x
            Inputs, (n, ...).
        weights, of
            See `input_gradient`.
        """
        evaluation = self._evaluation
        self._differentiation.require_gradient()
        if weights is None:
            weights = evaluation.weights(x, of)
        return Propagation(evaluation).full_gradient(evaluation.feeds.arrays(x, of), weights)

    def multipliers(
        self,
        x: Array,
        baseline: Array,
        *,
        weights: Array | None = None,
        of: Sequence[int] | None = None,
    ) -> Array:
        """Compute DeepLIFT's multipliers of each input for its score, (n, ...) float32.

        Their product with x - x', for the baseline x', adds up to S(x) - S(x'). Layers without a rule
        have the mean of their derivatives on the straight way from one to the other, and a note
        names them.

        Parameters
        ----------
        x
            Inputs, (n, ...).
        baseline
            Baseline of each input, (n, ...). The other inputs of a network are held.
        weights, of
            See `input_gradient`.
        """
        evaluation = self._evaluation
        self._differentiation.require_gradient()
        if weights is None:
            weights = evaluation.weights(x, of)
        arrays = evaluation.feeds.arrays(x, of)
        propagation = Propagation(evaluation)
        for sentence in propagation.remarks(arrays):
            note(sentence)
        start = np.ascontiguousarray(baseline, arrays[evaluation.feeds.number].dtype)
        return propagation.multipliers(arrays, start, weights)

    def scorer(
        self, *, backprop: Backprop | None = None, of: Sequence[int] | None = None
    ) -> Callable[[Any, Any], Any]:
        """Make a function of tensors x (n, ...) and weights (n, k) that returns scores (n,).

        For techniques that compile their own loop with ``tf.function``: the backpropagation
        modifier holds wherever the function is traced. For `of`, see `input_gradient`.
        """
        return self._differentiation.scorer(backprop, of)

    def layer_function(
        self, layer: str, *, of: Sequence[int] | None = None
    ) -> Callable[[Any], Any]:
        """Make a function of tensors x (n, ...) that returns the output of a layer, (n, ...).

        For techniques that compile their own loop, with a loss of a layer's values. For `of`, see
        `input_gradient`.
        """
        return self._differentiation.layer_function(self._call(layer), of)

    def cached(self, key: Hashable, make: Callable[[], T]) -> T:
        """Return the result of `make`, called once for this network, this target and a key.

        For results that are costly to make and hold no other part of the model, such as a compiled
        loop.
        """
        cache = self._resolution.traced.compiled
        whole = ("cached", self._resolution.key, self._feeds.number, key)
        if whole not in cache:
            cache[whole] = make()
        found: T = cache[whole]
        return found

    kept = deprecated_alias("kept", cached)

    @property
    def _evaluation(self) -> Evaluation:
        return Evaluation(self._resolution, self._feeds, self._file)

    @property
    def _differentiation(self) -> Differentiation:
        return Differentiation(self._evaluation, self._blank_reasons)
