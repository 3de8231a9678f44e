"""Differentiation of a target's score by an input or by the activations of a layer."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from cnnvis.data.samples import Array
from cnnvis.errors import UserError
from cnnvis.network import diagnosis, gradients
from cnnvis.network.backprop import notes_on_modifier
from cnnvis.network.graph import Call
from cnnvis.network.inference import Inference
from cnnvis.network.lookups import looks_up
from cnnvis.network.modifiers import Backprop
from cnnvis.network.perturbations import Perturbations
from cnnvis.network.unit_cache import remember_units
from cnnvis.reporting import note

ROUNDING = 1e-6
"""Relative error of gradients in single precision, as a share of the largest of an input."""


@dataclass(frozen=True)
class GradientOptions:
    """Options of a gradient; see `Model.input_gradient`.

    Attributes
    ----------
    backprop
        Rule by which gradients pass rectifiers; None for the plain gradient.
    weights
        Weight of each unit in the score, (n, k); None for the target's own weights.
    of
        Number of the sample that each row belongs to.
    keras_vis
        True to change only the rectifiers that keras-vis knows.
    reduced
        Computes what is wanted of the gradient.
    """

    backprop: Backprop | None = None
    weights: Array | None = None
    of: Sequence[int] | None = None
    keras_vis: bool = False
    reduced: Callable[..., Any] | None = None


@dataclass(frozen=True, eq=False)
class Differentiation:
    """Network at a target, ready to be differentiated.

    Attributes
    ----------
    inference
        Inference of the network up to the target.
    blank_reasons
        A list that collects why gradients are zero everywhere; None to raise an error for it.
    """

    inference: Inference
    blank_reasons: list[str] | None = None

    def gradient(self, x: Array, options: GradientOptions, *layers: Call) -> list[Array]:
        """Compute the gradient of each input's score, float32.

        Parameters
        ----------
        x
            Inputs, (n, ...).
        layers
            A call whose activations the score is differentiated by; without it, by the input.

        Returns
        -------
        list of ndarray
            The gradient and, if it is by the activations of a layer, the activations; or what
            `options.reduced` makes of them.

        Raises
        ------
        UserError
            If the gradient is zero everywhere for all inputs, or the modifier changes nothing.
        """
        inference, backprop, keras_vis = self.inference, options.backprop, options.keras_vis
        self._prepare(backprop, keras_vis=keras_vis, by_input=not layers)
        resolution, number = inference.resolution, inference.feeds.number
        arrays = inference.feeds.arrays(x, options.of)
        weights = options.weights
        # The pass itself finds the class that is predicted.
        predicted = weights is None and resolution.explains_predicted
        if weights is None and not predicted:
            weights = inference.weights(x, options.of)
        names = [call.name for call in layers]
        reduced = options.reduced
        run = inference.compiled(
            ("gradient", resolution.key, backprop, keras_vis, number, *names, predicted,
             _identity_of(reduced)),
            lambda: inference.target_pass(backprop, *layers, keras_vis=keras_vis),
            functools.partial(gradients.compiled_gradient, predicted=predicted, reduced=reduced),
        )  # fmt: skip
        given = arrays if weights is None else [*arrays, weights]
        units, sizes, *found = inference.run(run, given)
        # The targets of these very inputs are described next.
        remember_units(resolution, arrays, units)
        self._require_gradient(sizes, x, options)
        return found

    def means(
        self,
        x: Array,
        perturbations: Perturbations,
        options: GradientOptions,
        moved: tuple[int, ...],
    ) -> list[Array]:
        """Compute the mean gradients over perturbations, (n, ...) float32 for each moved input.

        Parameters
        ----------
        x
            Inputs, (n, ...).
        moved
            The numbers of the inputs that are perturbed and that the score is differentiated by.

        Raises
        ------
        UserError
            As for `gradient`.
        """
        found: list[Array] = []
        for _, part in self._parts_of_mean(x, perturbations, options, moved):
            found = part if not found else [a + b for a, b in zip(found, part, strict=True)]
        sizes = sum(np.abs(one).sum(axis=tuple(range(1, one.ndim))) for one in found)
        self._require_gradient(np.asarray(sizes), x, options)
        return found

    def moments(
        self, x: Array, perturbations: Perturbations, options: GradientOptions
    ) -> tuple[Array, Array]:
        """Compute the mean and the variance of gradients over perturbations, both (n, ...) float32.

        Parts of the perturbations are put together by the formula of Chan, Golub and LeVeque 1983,
        which subtracts no large numbers from each other.

        Raises
        ------
        UserError
            As for `gradient`.
        """
        moved, together = (self.inference.feeds.number,), perturbations.together
        fixed = self.inference.graph.batch
        if fixed and fixed % together:
            together = 1  # of which the variance of a mean is not less, where pairs are opposite
        count, mean, squares = 0, np.zeros(x.shape, np.float64), np.zeros(x.shape, np.float64)
        for number, part in self._parts_of_mean(x, perturbations, options, moved, together):
            middle, spread = (one.astype(np.float64) for one in part)
            more = number // together
            change, whole = middle - mean, count + more
            squares += spread + change**2 * (count * more / whole)
            mean += change * (more / whole)
            count = whole
        axes = tuple(range(1, x.ndim))
        # Equal gradients differ in their last digits, which is no variance.
        rounding = ROUNDING * abs(mean).max(axis=axes, keepdims=True)
        squares[squares <= count * rounding**2] = 0
        self._require_gradient((abs(mean) + squares).sum(axis=axes), x, options)
        share = perturbations.together // together
        variance = squares / max(count - 1, 1) / share
        return mean.astype(np.float32), variance.astype(np.float32)

    def _parts_of_mean(
        self,
        x: Array,
        perturbations: Perturbations,
        options: GradientOptions,
        moved: tuple[int, ...],
        together: int | None = None,
    ) -> Iterator[tuple[int, list[Array]]]:
        """Yield numbers of perturbations, and what `compiled_mean` gives of so many of them."""
        inference, weights = self.inference, options.weights
        self._prepare(options.backprop, keras_vis=False, by_input=True)
        if weights is None:
            weights = inference.weights(x, options.of)
        feeds = inference.feeds.arrays(x, options.of)
        names = [inference.feeds.inputs[number].name for number in moved]
        own = perturbations.arguments_of(names)
        count, factors = perturbations.count, perturbations.weights
        size = inference.perturbations_at_once(feeds, count)
        size = -(-size // (together or 1)) * (together or 1)
        key = ("mean", inference.resolution.key, options.backprop, moved, perturbations.perturb, size,
               together)  # fmt: skip
        run = inference.compiled(
            key,
            lambda: inference.target_pass(options.backprop),
            functools.partial(
                gradients.compiled_mean,
                perturb=perturbations.perturb,
                per_sample=len(own) // len(moved),
                count=size,
                moved=moved,
                together=together,
            ),
        )

        def args(some: range) -> list[Array]:
            # Of the filling behind the last ones, nothing counts.
            counting = np.zeros(size, np.float32)
            counting[: len(some)] = factors[some.start : some.stop] if together is None else 1
            return [*perturbations.args(some), counting]

        parts = inference.run_in_parts(run, size, count, [*feeds, weights, *own], args)
        return ((len(some), found) for some, found in parts)

    def scorer(
        self, backprop: Backprop | None, of: Sequence[int] | None
    ) -> Callable[[Any, Any], Any]:
        """Make a function of tensors x (n, ...) and weights (n, k) that computes scores (n,)."""
        self._note_modifier(backprop, keras_vis=False)
        run = self.inference.target_pass(backprop)
        return lambda x, weights: run.score(self._with_others(x, of), weights)[2]

    def layer_function(self, call: Call, of: Sequence[int] | None) -> Callable[[Any], Any]:
        """Make a function of tensors x (n, ...) that computes the output of a call, (n, ...)."""
        # As of all that is computed up to the target, without its softmax or sigmoid.
        run = replace(self.inference.target_pass(), parts=(gradients.Part(call.slots[0], -1),))
        return lambda x: run.outputs(self._with_others(x, of))[0]

    def _with_others(self, x: Any, of: Sequence[int] | None) -> list[Any]:
        """Return the tensors of all inputs, for some of the explained input."""
        feeds = self.inference.feeds
        arrays = feeds.others(len(x) if x.shape[0] is None else int(x.shape[0]), of)
        arrays.insert(feeds.number, x)
        return arrays

    # What is refused

    def _prepare(self, backprop: Backprop | None, *, keras_vis: bool, by_input: bool) -> None:
        """Note what a modifier changes, and refuse a target that has no such gradient."""
        self._note_modifier(backprop, keras_vis=keras_vis)
        self.require_gradient(by_input=by_input)

    def require_gradient(self, *, by_input: bool = True) -> None:
        """Refuse a target that does not depend on the input, or has no gradient with respect to it."""
        self.inference.require_dependence()
        source = self.inference.feeds.explained
        lookup = looks_up(self.inference.graph, source.slot)
        if lookup is not None and by_input:
            raise UserError(
                f"the input {source.name!r} goes through {lookup.name!r} (Embedding), which looks "
                "whole numbers up, so the score has no gradient with respect to them; grad-cam "
                "explains the layers behind the Embedding"
            )

    def _note_modifier(self, backprop: Backprop | None, *, keras_vis: bool) -> None:
        resolution = self.inference.resolution
        for sentence in notes_on_modifier(resolution, backprop, keras_vis=keras_vis):
            note(sentence)

    def _require_gradient(self, sizes: Array, x: Array, options: GradientOptions) -> None:
        """Refuse gradients that say nothing, and say why they do not.

        Parameters
        ----------
        sizes
            The sum of each gradient's absolute values, (n,).
        """
        layer = self.inference.resolution.layer
        broken = np.flatnonzero(~np.isfinite(sizes))
        if broken.size:
            why = self._why_not_finite(x, int(broken[0]), options)
            raise UserError(f"the gradient of {layer!r} is NaN or infinite: {why}")
        blank = np.flatnonzero(sizes == 0)
        if not blank.size or self.blank_reasons:  # one reason is enough
            return
        why = self._why_zero(x, int(blank[0]), options)
        if self.blank_reasons is not None:
            self.blank_reasons.append(why)
            return
        about = f"the gradient of {layer!r} is zero everywhere: {why}"
        if blank.size == len(sizes):
            raise UserError(f"{about}. Try another layer, filter or modifier.")
        note(f"for {blank.size} of {len(sizes)} images {about}")

    def _why_zero(self, x: Array, row: int, options: GradientOptions) -> str:
        """Say why the gradient of one row is zero everywhere, as the end of a sentence."""
        inference, one = self._at_row(x, row, options.of)
        resolution, traced = inference.resolution, inference.resolution.traced
        on_the_way = resolution.layers_behind(inference.feeds.explained.slot)
        layers = [layer for layer in on_the_way if layer.rectifiers or layer.activation]
        layers += [
            layer for layer in traced.layers if layer.name == resolution.layer and layer.rectifiers
        ]
        values = inference.values(one, [traced.calls[layer.name] for layer in layers])
        why = diagnosis.blocking_layer(layers, values)
        if why is not None:
            return why
        if options.backprop is not None:
            alone = Differentiation(inference, blank_reasons=[])
            if alone.gradient(one, GradientOptions())[0].any():
                return diagnosis.stopped_by_modifier(options.backprop)
        return diagnosis.no_small_change(has_activations=bool(layers))

    def _why_not_finite(self, x: Array, row: int, options: GradientOptions) -> str:
        """Say where NaN or infinite values of one row come from, as the end of a sentence."""
        inference, one = self._at_row(x, row, options.of)
        resolution = inference.resolution
        on_the_way = resolution.layers_behind(inference.feeds.explained.slot)
        calls = [resolution.traced.calls[layer.name] for layer in on_the_way]
        calls += resolution.targets
        return diagnosis.why_not_finite(calls, inference.values(one, calls))

    def _at_row(self, x: Array, row: int, of: Sequence[int] | None) -> tuple[Inference, Array]:
        """Return the inference with other inputs held at the sample of one row, and that row."""
        sample = row if of is None else of[row]
        feeds = self.inference.feeds.held_at(sample)
        return replace(self.inference, feeds=feeds), x[[row]]


def _identity_of(function: Callable[..., Any] | None) -> Any:
    """Return what is equal for equal functions, and for partial ones with equal arguments."""
    if isinstance(function, functools.partial):
        return function.func, function.args, tuple(sorted(function.keywords.items()))
    return function
