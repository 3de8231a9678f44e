"""Inference of a network at a target: its outputs, units and scores for given inputs."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from cnnvis.data.samples import Array, Samples
from cnnvis.errors import UserError, complaint
from cnnvis.network import gradients
from cnnvis.network.backend import keras, tensorflow
from cnnvis.network.backprop import swaps_up_to
from cnnvis.network.classes import classes_of
from cnnvis.network.compilation import Compiled, at_once, filled_up
from cnnvis.network.feeds import Feeds
from cnnvis.network.file import NetworkFile
from cnnvis.network.geometry.smallest import enough
from cnnvis.network.graph import Call, Graph, LayerError, Slot
from cnnvis.network.lookups import not_looked_up, require_known
from cnnvis.network.modifiers import Backprop
from cnnvis.network.perturbations import Perturbations
from cnnvis.network.resolution import Resolution
from cnnvis.network.scores import probabilities, score_weights
from cnnvis.network.unit_cache import cached_units, remember_units
from cnnvis.reporting import note, progress, quietly

ROUNDED = 0.01
"""Share of the changes of a score from which on rounding is reported."""


@dataclass(frozen=True, eq=False)
class Inference:
    """Network at a target, ready to be computed.

    Attributes
    ----------
    resolution
        The target.
    feeds
        The inputs, one of which is explained.
    file
        The file of the network, by which other processes know what was compiled.
    """

    resolution: Resolution
    feeds: Feeds
    file: NetworkFile

    @property
    def graph(self) -> Graph:
        """Calls of the network."""
        return self.resolution.traced.graph

    # Outputs

    def outputs(self, x: Array, of: Sequence[int] | None = None) -> list[Array]:
        """Compute the outputs that make up the target, (n, ...) each, without softmax or sigmoid.

        For `of`, see `Feeds.arrays`.
        """
        slots = tuple(part.slot for part in self.resolution.parts)
        run = self.compiled(("forward", slots), self.target_pass)
        return self.run(run, self.feeds.arrays(x, of))

    def predict(self, x: Array | Sequence[Array] | Mapping[str, Array]) -> Array:
        """Compute the network's answer, its last activation included; see `Feeds.all_given`."""
        slot, graph = self.resolution.answering, self.graph
        parts = (gradients.Part(slot, -1),)
        run = self.compiled(("predict", slot), lambda: gradients.Pass(graph, parts))
        arrays = self.feeds.all_given(x)
        found = np.asarray(self.run(run, arrays)[0])
        gradients.require_each(found.shape, len(arrays[0]))
        return found

    def predicted_classes(self, x: Array) -> Array | None:
        """Compute the class that the network answers for each input, (n,) int64.

        None if the network does not answer with one class for each input.
        """
        answer = self.resolution.answer
        if answer is None or not self.resolution.answers_with_one_class:
            return None
        is_logits = answer.squashing is None
        answers = None
        if self.resolution.is_answer:  # then its units are known if its gradient was just computed
            units = self.units(x)
            answers = units if is_logits else probabilities(self.resolution, units)
        if answers is None:
            answers = replace(self, resolution=answer).predict(x)
        if answers.shape[1:] != (answer.units,):
            return None
        return classes_of(answers, logits=is_logits)

    def values(self, x: Array, calls: Sequence[Call]) -> list[Array]:
        """Compute what calls give, (n, ...) each, at once and without compiling anything."""
        tensors = [keras().ops.convert_to_tensor(one) for one in self.feeds.arrays(x)]
        wanted = [call.slots[0] for call in calls]
        return [np.asarray(one) for one in self.graph.run(tensors, wanted)]

    def value(self, x: Array, slot: Slot) -> Array:
        """Compute a value on the way, such as what a call gives or is given, (n, ...)."""
        part, graph = gradients.Part(slot, -1), self.graph
        run = self.compiled(("value", slot), lambda: gradients.Pass(graph, (part,)))
        return np.asarray(self.run(run, self.feeds.arrays(x))[0])

    # Scores

    def units(self, x: Array, of: Sequence[int] | None = None) -> Array:
        """Compute each unit of the target, averaged over its positions, (n, k)."""
        arrays = self.feeds.arrays(x, of)
        known = cached_units(self.resolution, arrays)
        if known is not None:
            return known
        units = self.joined(self.outputs(x, of))
        remember_units(self.resolution, arrays, units)
        return units

    def joined(self, outputs: Sequence[Array]) -> Array:
        """Average outputs over their positions and put them one behind the other, (n, k)."""
        parts = self.resolution.parts
        units = [part.units(one) for part, one in zip(parts, outputs, strict=True)]
        found: Array = np.concatenate([np.asarray(one) for one in units], axis=-1)
        return found

    def weights(self, x: Array, of: Sequence[int] | None = None) -> Array:
        """Compute how much each unit counts in the score of each input, (n, k) float32."""
        units = self.units(x, of) if self.resolution.needs_units else None
        return score_weights(self.resolution, len(x), units)

    def units_and_weights(
        self, x: Array, weights: Array | None, of: Sequence[int] | None
    ) -> tuple[Array, Array]:
        """Compute the units, and their weights where nobody gave these, both (n, k)."""
        units = self.units(x, of)
        if weights is None:
            weights = score_weights(self.resolution, len(x), units)
        return units, weights

    def units_from(
        self, call: Call, activations: Array, x: Array, of: Sequence[int] | None = None
    ) -> Array:
        """Compute the units of the target, (n, k), as if a call gave these activations, (n, ...)."""
        run = self.compiled(
            ("units from", self.resolution.key, call.name),
            self.target_pass,
            functools.partial(gradients.compiled_units_from, start=call),
        )
        arrays = [*self.feeds.arrays(x, of), np.asarray(activations)]
        return np.asarray(self.run(run, arrays)[0])

    def perturbed_scores(
        self,
        x: Array,
        perturbations: Perturbations,
        weights: Array | None = None,
        of: Sequence[int] | None = None,
    ) -> Iterator[tuple[range, Array]]:
        """Yield numbers of perturbations, and the scores of each input under these, (n, k) float32.

        For the parameters, see `Model.perturbed_scores`.
        """
        count, own = perturbations.count, perturbations.arguments_of([self.feeds.explained.name])
        self.require_dependence()
        if not count:
            return
        if weights is None:
            weights = self.weights(x, of)
        feeds = self.feeds.arrays(x, of)
        size = self.perturbations_at_once(feeds, count)
        run = self.compiled(
            ("scores", self.resolution.key, self.feeds.number, perturbations.perturb, size),
            self.target_pass,
            functools.partial(
                gradients.compiled_scores,
                perturb=perturbations.perturb,
                per_sample=len(own),
                count=size,
            ),
        )
        arrays, args = [*feeds, weights, *own], perturbations.args
        low, high, exact = np.full(len(x), np.inf), np.full(len(x), -np.inf), np.float32
        for some, (found,) in self.run_in_parts(run, size, count, arrays, args):
            low, high = np.minimum(low, found.min(axis=1)), np.maximum(high, found.max(axis=1))
            exact = found.dtype.type
            if not np.isfinite(found).all():
                raise UserError(
                    f"the score of {self.resolution.layer!r} is NaN or infinite for an input of "
                    "which parts are replaced; another baseline may do, such as mean"
                )
            yield some, found[:, : len(some)]
        lost = np.finfo(exact).eps * np.maximum(abs(low), abs(high))
        if ((high > low) & (lost > ROUNDED * (high - low))).any():
            note(
                f"the score of {self.resolution.layer!r} is so large beside its changes where parts of an "
                "image are replaced that rounding takes more than 1 % of them, in some images at least"
            )

    def perturbations_at_once(self, feeds: Sequence[Array], count: int) -> int:
        """Return how many perturbations of each input are computed at a time.

        As many as fit into a batch, and equal numbers each time.

        Parameters
        ----------
        feeds
            The arrays of all inputs.
        count
            The number of all perturbations.
        """
        fixed = self.graph.batch
        if fixed:
            return fixed
        return -(-count // -(-count // at_once(self.target_pass().footprint(feeds))))

    def run_in_parts(
        self,
        compiled: Compiled,
        size: int,
        count: int,
        arrays: Sequence[Array],
        args: Callable[[range], Sequence[Array]],
    ) -> Iterator[tuple[range, list[Array]]]:
        """Yield numbers of perturbations, and what was compiled gives for these.

        The last of them are filled up to as many as the others, since another number would have to be
        compiled anew; what stands for the filling is the caller's to leave out.

        Parameters
        ----------
        compiled
            A function of some perturbations of all inputs.
        size
            The number of perturbations that it takes.
        count, args
            The number of all perturbations, and their arguments, by their numbers.
        arrays
            As for `run`.
        """
        times = -(-count // size)
        with progress("computing", times) if times > 1 else nullcontext() as advance:
            for start in range(0, count, size):
                some = range(start, min(start + size, count))
                shared = [filled_up(one, size) for one in args(some)]
                with quietly() if times > 1 else nullcontext():
                    found = self.run(compiled, arrays, shared=shared)
                yield some, found
                if advance is not None:
                    advance(1)

    def require_dependence(self) -> None:
        """Refuse a target that does not depend on the explained input."""
        source = self.feeds.explained
        if not self.resolution.depends_on(source.slot):
            raise UserError(
                f"the target {self.resolution.layer!r} does not depend on the input "
                f"{source.name!r}; explain another input with --input, or another layer with --layer"
            )

    # Passes

    def target_pass(
        self,
        backprop: Backprop | None = None,
        *activations: Call,
        keras_vis: bool = False,
    ) -> gradients.Pass:
        """Make the pass through the network up to the target.

        Parameters
        ----------
        backprop
            Rule by which gradients pass rectifiers.
        activations
            Calls on the way whose outputs are wanted too.
        keras_vis
            True to change only the rectifiers that keras-vis knows.
        """
        resolution = self.resolution
        swaps = swaps_up_to(resolution, backprop, keras_vis=keras_vis)
        wanted = tuple(call.slots[0] for call in activations)
        return gradients.Pass(self.graph, resolution.parts, swaps, wanted, self.feeds.number)

    def footprint(self, samples: Samples) -> int:
        """Estimate how many bytes one sample needs on its way to the target and back."""
        sources = [*samples.inputs.values()] or [samples.source]
        # Shapes are all that counts; no sample is read for it.
        one = [np.broadcast_to(np.float32(0), (1, *source.shape[1:])) for source in sources]
        return self.target_pass().footprint(one)

    def compiled(
        self,
        key: tuple[Any, ...],
        make_pass: Callable[[], gradients.Pass],
        compiler: Callable[..., Compiled] = gradients.compiled_forward,
    ) -> Compiled:
        """Compile a pass, or return what was compiled of it before.

        Parameters
        ----------
        key
            Key that tells the pass apart from all others of the network.
        compiler
            Function that makes a function of arrays from a pass.
        """
        cache, file = self.resolution.traced.compiled, self.file
        if key not in cache:
            # A network that is in no file has no name that another process would know. What is
            # cached must not hold the network itself, so it is given the file and not `self`.
            cache[key] = compiler(
                make_pass(), lambda: f"{file.sha256} {_key_text(key)}" if file.path else ""
            )
        compiled: Compiled = cache[key]
        return compiled

    def run(
        self, compiled: Compiled, arrays: Sequence[Array], shared: Sequence[Array] = ()
    ) -> list[Array]:
        """Compute what was compiled.

        Parameters
        ----------
        arrays
            The arrays of all inputs, and others that have an entry for each sample.
        shared
            Arrays that are the same for all samples.

        Raises
        ------
        UserError
            If the inputs are too small for the network, or it cannot be computed for another reason.
        """
        inputs = arrays[: len(self.feeds.inputs)]
        require_known(self.graph, inputs)
        try:
            return list(compiled(*arrays, shared=shared))
        except (tensorflow().errors.OpError, LayerError) as error:
            ends = self.resolution.ends
            said = not_looked_up(self.graph, ends, inputs)
            if said is not None:
                raise UserError(said) from error
            if not isinstance(error, LayerError):
                raise UserError(f"the network cannot be computed: {complaint(error)}") from error
            number, shapes = self.feeds.number, [one.shape[1:] for one in inputs]
            wanted = enough(self.graph, ends, number, shapes)
            if wanted is None:
                raise
            raise UserError(
                f"the inputs are too small for the network: they have the shape "
                f"{_shape_text(shapes[number])}, and the smallest that passes "
                f"{self.resolution.layer!r} has {_shape_text(wanted)} ({error})"
            ) from error


def _key_text(key: Any) -> str:
    """Write a key as text that is equal in every process: functions by their names."""
    if isinstance(key, tuple):
        return f"({', '.join(map(_key_text, key))})"
    return f"{key.__module__}.{key.__qualname__}" if callable(key) else repr(key)


def _shape_text(shape: Sequence[int]) -> str:
    return f"({', '.join(map(str, shape))})"
