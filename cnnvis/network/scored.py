"""Network with a target in it, and what the two answer to inputs."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from typing import TypeVar

import numpy as np

from cnnvis.data.samples import Array, Samples
from cnnvis.data.target import Target
from cnnvis.network.deprecation import deprecated_alias
from cnnvis.network.inference import Inference
from cnnvis.network.layers import Layer
from cnnvis.network.map_layers import names_of_map_layers
from cnnvis.network.perturbations import Perturbations, perturbations_taken
from cnnvis.network.scores import described_targets, weighted_sums
from cnnvis.network.targeted import TargetedNetwork

T = TypeVar("T")


class ScoredNetwork(TargetedNetwork):
    """Network, its file and the target that is explained, with answers and scores for inputs."""

    @property
    def _inference(self) -> Inference:
        return Inference(self._resolution, self._feeds, self._file)

    def predict(self, x: Array | Sequence[Array] | Mapping[str, Array]) -> Array:
        """Compute the network's answer for inputs (n, ...), its last activation included.

        Of several outputs, the output chosen with `output`, else the first.

        Parameters
        ----------
        x
            Inputs, (n, ...); for a network with several inputs an array for each, in a dict by name
            or in a list, or the array of the explained input if the other inputs are held.
        """
        return self._inference.predict(x)

    def predicted_classes(self, x: Array) -> Array | None:
        """Compute the class that the network answers for each input, whatever the target is.

        (n,) int64: the largest of several classes; of a single sigmoid, 1 above 0.5. None for a
        network that does not answer with one class for each input.
        """
        return self._inference.predicted_classes(x)

    def outputs(self, x: Array) -> Array:
        """Compute the target layer's output for inputs (n, ...), without a softmax or sigmoid.

        For a sum or difference, the outputs of each term's layer, (n, k), one behind the other.
        """
        inference = self._inference
        found = inference.outputs(x)
        return inference.joined(found) if self._resolution.is_compound else found[0]

    def values(self, x: Array, layers: Sequence[str]) -> list[Array]:
        """Compute the outputs of layers for inputs (n, ...), each (n, ...), with activations.

        All inputs at once and without compiling: for a look at a few inputs.
        """
        return self._inference.values(x, [self._call(name) for name in layers])

    def values_into(self, x: Array, layer: str) -> Array:
        """Compute the input of a layer, (n, ...), for inputs (n, ...)."""
        return self._inference.value(x, self._call(layer).inputs[0])

    def target_weights(self, x: Array, *, of: Sequence[int] | None = None) -> Array:
        """Compute the weight of each output of the target in each score, (n, k) float32.

        1 for the chosen outputs, or for the class predicted for the input; 0 elsewhere. For `of`,
        see `input_gradient`.
        """
        return self._inference.weights(x, of)

    def scores(
        self, x: Array, *, weights: Array | None = None, of: Sequence[int] | None = None
    ) -> Array:
        """Compute the score of each input, (n,) float32: the target's outputs, weighted and summed.

        For `weights` and `of`, see `input_gradient`.
        """
        units, weights = self._inference.units_and_weights(x, weights, of)
        found: Array = weighted_sums(units, weights).astype(np.float32)
        return found

    def activations(self, x: Array, layer: str) -> Array:
        """Compute the output of a layer before the target for inputs (n, ...), (n, ...) float32."""
        slot = self._before_target(layer).slots[0]
        found: Array = self._inference.value(x, slot).astype(np.float32)
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
        inference = self._inference
        if weights is None:
            weights = inference.weights(x, of)
        units = inference.units_from(self._before_target(layer), activations, x, of)
        found: Array = weighted_sums(units, weights).astype(np.float32)
        return found

    @perturbations_taken
    def perturbed_scores(
        self,
        x: Array,
        perturbations: Perturbations,
        *,
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
        perturbations
            The perturbations; their factors do not count.
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
        return self._inference.perturbed_scores(x, perturbations, weights, of)

    def targets(
        self, x: Array, weights: Array | None = None, *, of: Sequence[int] | None = None
    ) -> tuple[Target, ...]:
        """Describe the target of each of these inputs (n, ...), with its score.

        For `weights` and `of`, see `input_gradient`.
        """
        return described_targets(
            self._resolution, *self._inference.units_and_weights(x, weights, of)
        )

    def footprint(self, samples: Samples) -> int:
        """Estimate how many bytes one sample needs on its way to the target and back."""
        return self._inference.footprint(samples)

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
        names = self.cached(
            ("map layers", tuple(shape)),
            lambda: names_of_map_layers(self._inference, tuple(shape)),
        )
        return tuple(one for one in self.before_target() if one.name in names)

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
