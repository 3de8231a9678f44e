"""Network with a target in it, and what its scores owe to inputs and to values on the way."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from cnnvis.data.samples import Array
from cnnvis.network.deprecation import renamed_arguments
from cnnvis.network.differentiation import Differentiation, GradientOptions
from cnnvis.network.modifiers import Backprop
from cnnvis.network.perturbations import Perturbations, perturbations_taken
from cnnvis.network.relevance.bias_gradients import FullGradient
from cnnvis.network.relevance.composites import Composite
from cnnvis.network.relevance.propagation import Bias, Propagation, Relevance
from cnnvis.network.scored import ScoredNetwork
from cnnvis.reporting import note


class DifferentiatedNetwork(ScoredNetwork):
    """Network, its file and the target that is explained, with gradients and relevance for inputs."""

    _blank_reasons: list[str] | None = None

    @property
    def blank_reasons(self) -> list[str] | None:
        """List of the reasons for blank gradients; None if blank gradients are an error."""
        return self._blank_reasons

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
    @perturbations_taken
    def mean_gradient(
        self,
        x: Array,
        perturbations: Perturbations,
        *,
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
        perturbations
            The perturbations; with factors, the sum of the gradients times these is returned, and not
            the mean.
        backprop
            Rule by which gradients pass rectifiers; see `cnnvis.Backprop`.
        weights, of
            See `input_gradient`.

        Raises
        ------
        UserError
            As for `input_gradient`.
        """
        options, moved = GradientOptions(backprop, weights, of), (self._feeds.number,)
        return self._differentiation.means(x, perturbations, options, moved)[0]

    @perturbations_taken
    def gradient_moments(
        self,
        x: Array,
        perturbations: Perturbations,
        *,
        backprop: Backprop | None = None,
        weights: Array | None = None,
        of: Sequence[int] | None = None,
    ) -> tuple[Array, Array]:
        """Compute the mean and the variance of the gradient over perturbations of each input.

        Both (n, ...) float32; the variance is the unbiased one, with the number of perturbations - 1 in
        the denominator, and 0 for a single perturbation. All count alike, whatever their factors are.
        Of perturbations that are drawn together, it is the variance of the means of their gradients.

        Parameters
        ----------
        x, perturbations, backprop, weights, of
            See `mean_gradient`.

        Raises
        ------
        UserError
            As for `input_gradient`.
        """
        options = GradientOptions(backprop, weights, of)
        return self._differentiation.moments(x, perturbations, options)

    @renamed_arguments(varied="perturb", told="perturbation_args", parts="factors")
    @perturbations_taken
    def mean_gradients(
        self,
        x: Array,
        perturbations: Perturbations,
        *,
        weights: Array | None = None,
        of: Sequence[int] | None = None,
    ) -> dict[str, Array]:
        """Compute mean gradients as `mean_gradient` does, for all inputs perturbed together, by name.

        Inputs of whole numbers are held, since no value lies between two whole numbers. The
        perturbations hold arguments for each of `movable_inputs`, by name.
        """
        numbers = tuple(
            number for number, one in enumerate(self.inputs) if one.name in self.movable_inputs
        )
        options = GradientOptions(weights=weights, of=of)
        found = self._differentiation.means(x, perturbations, options, numbers)
        return dict(zip(self.movable_inputs, found, strict=True))

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
        propagation, arrays, weights = self._propagation(x, weights, of)
        return propagation.relevance(arrays, weights, composite, bias, bounds)

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
        propagation, arrays, weights = self._propagation(x, weights, of)
        return propagation.full_gradient(arrays, weights)

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
        propagation, arrays, weights = self._propagation(x, weights, of)
        for sentence in propagation.remarks(arrays):
            note(sentence)
        start = np.ascontiguousarray(baseline, arrays[self._feeds.number].dtype)
        return propagation.multipliers(arrays, start, weights)

    def _propagation(
        self, x: Array, weights: Array | None, of: Sequence[int] | None
    ) -> tuple[Propagation, list[Array], Array]:
        """Return what passes relevance back, with the arrays of all inputs and the weights."""
        inference = self._inference
        self._differentiation.require_gradient()
        weights = inference.weights(x, of) if weights is None else weights
        return Propagation(inference), inference.feeds.arrays(x, of), weights

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

        A softmax or sigmoid that the target ends in is left out, as of the scores.
        For techniques that compile their own loop, with a loss of a layer's values. For `of`, see
        `input_gradient`.
        """
        return self._differentiation.layer_function(self._call(layer), of)

    @property
    def _differentiation(self) -> Differentiation:
        return Differentiation(self._inference, self._blank_reasons)
