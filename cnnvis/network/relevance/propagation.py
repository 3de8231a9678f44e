"""Relevance and multipliers of a network at a target, in batches and compiled."""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from cnnvis.data.samples import Array
from cnnvis.errors import UserError
from cnnvis.network.backend import keras
from cnnvis.network.compilation import Compiled
from cnnvis.network.gradients import Pass, swapping
from cnnvis.network.inference import Inference
from cnnvis.network.relevance.bias_gradients import BiasGradients, FullGradient
from cnnvis.network.relevance.composites import Composite
from cnnvis.network.relevance.multipliers import Multiplying
from cnnvis.network.relevance.rules import Rule
from cnnvis.network.relevance.sharing import Sharing
from cnnvis.network.relevance.steps import Plan, Step, plan_of

Bias = Literal["absorb", "ignore"]
"""Treatment of the part of a layer's output that comes from biases, in LRP.

With ``absorb`` a bias takes its share of the relevance, which does not reach the input. With
``ignore`` all relevance is shared out among the inputs of the layer.
"""


@dataclass(frozen=True, eq=False)
class Relevance:
    """Relevance of inputs for a score.

    Attributes
    ----------
    maps
        Relevance of each value of the input, (n, ...) float32.
    scores
        Scores, (n,).
    bias
        Relevance that biases and other constants took, (n,).
    others
        Relevance of the other inputs of the network, (n,).
    rules
        How many layers passed relevance back by each rule.
    merged, alone
        Numbers of the normalizations that were merged into layers beside them, and that were not.
    """

    maps: Array
    scores: Array
    bias: Array
    others: Array
    rules: Mapping[str, int]
    merged: int
    alone: int


@dataclass(frozen=True, eq=False)
class Propagation:
    """Network at a target, ready to pass relevance or multipliers back.

    Attributes
    ----------
    inference
        Inference of the network up to the target.
    """

    inference: Inference

    def relevance(
        self,
        arrays: Sequence[Array],
        weights: Array,
        composite: Composite,
        bias: Bias,
        bounds: tuple[Any, Any] | None,
    ) -> Relevance:
        """Share the score of each input out; see `Model.relevance`."""
        plan, run = self._plan(arrays, merge=True)
        composite.require_known(plan.steps)
        named = {step: composite.rule_of(step) for step in plan.steps if _is_sum(step)}
        counts = Counter(name for name, _ in named.values())
        counts.update("pass" for step in plan.steps if step.behaviour == "normalizing")
        rules = {step: rule for step, (_, rule) in named.items()}
        if bounds is None and any(_takes_bounds(rule) for rule in rules.values()):
            raise UserError(
                f"the composite {composite.name!r} needs the range of the input; give bounds"
            )
        sharing = Sharing(run, plan, rules, bias == "absorb")
        key = ("relevance", composite.key, bias, _shapes(arrays), *self._key)
        compiled = self.inference.compiled(
            key, lambda: run, functools.partial(_compiled, function=sharing.relevance)
        )
        shared = [np.asarray(one, np.float32) for one in bounds or (0.0, 0.0)]
        scores, constants, others, maps = self.inference.run(
            compiled, [*arrays, weights], shared=shared
        )
        if np.isfinite(scores).all() and not np.isfinite(maps).all():
            raise UserError(
                f"the relevance for {self.inference.resolution.layer!r} is NaN or infinite: sums of a "
                "layer that all but cancel out are divided by. A larger epsilon helps"
            )
        return Relevance(maps, scores, constants, others, dict(counts), plan.merged, plan.alone)

    def multipliers(self, arrays: Sequence[Array], start: Array, weights: Array) -> Array:
        """Compute DeepLIFT's multipliers of each input; see `Model.multipliers`."""
        plan, run = self._plan(arrays, merge=False)
        key = ("multipliers", _shapes(arrays), *self._key)
        function = Multiplying(run, plan).multipliers
        compiled = self.inference.compiled(
            key, lambda: run, functools.partial(_compiled, function=function)
        )
        return self.inference.run(compiled, [*arrays, start, weights])[0]

    def full_gradient(self, arrays: Sequence[Array], weights: Array) -> FullGradient:
        """Compute the parts of each score; see `Model.full_gradient`."""
        plan, run = self._plan(arrays, merge=False)
        traced = self.inference.resolution.traced
        parts = BiasGradients(run, plan, traced.channel_axes)
        compiled = self.inference.compiled(
            ("full gradient", _shapes(arrays), *self._key),
            lambda: run,
            functools.partial(_compiled, function=parts.parts),
        )
        scores, sums, inputs, sizes, *maps = self.inference.run(compiled, [*arrays, weights])
        names = [step.name for step in parts.mapped]
        return FullGradient(inputs, sizes, list(zip(names, maps, strict=True)), sums, scores)

    def remarks(self, arrays: Sequence[Array]) -> Iterator[str]:
        """Say which layers have no multipliers by a rule of DeepLIFT, in sentences."""
        plan, _ = self._plan(arrays, merge=False)
        moving = plan.reached([self.inference.feeds.explained.slot])
        steps = [step for step in plan.steps if not moving.isdisjoint(step.inputs)]
        averaged = [step for step in steps if step.behaviour in ("other", "normalizing")]
        if averaged:
            yield (
                "the rescale rule is for functions of single values; the derivatives of "
                f"{_listed(averaged)} are averaged on the way from the baseline instead"
            )
        decided = [step for step in steps if step.is_decided]
        if decided:
            yield (
                f"{_listed(decided)} decides by values of the input; these decisions are held as they "
                "are for the image, so maps need not add up"
            )

    @property
    def _key(self) -> tuple[Any, ...]:
        return self.inference.resolution.key, self.inference.feeds.number

    def _plan(self, arrays: Sequence[Array], *, merge: bool) -> tuple[Plan, Pass]:
        """Return the steps to the target, found out at the first call for inputs of these shapes."""
        cache = self.inference.resolution.traced.compiled
        key = ("steps", merge, _shapes(arrays), *self._key)
        if key not in cache:
            run = self.inference.target_pass()
            count = run.graph.batch or 1
            sample = [
                keras().ops.convert_to_tensor(np.resize(one[:count], (count, *one.shape[1:])))
                for one in arrays
            ]
            with swapping:
                cache[key] = plan_of(run, sample, merge=merge), run
        found: tuple[Plan, Pass] = cache[key]
        if merge:
            _require_rules(found[0])
        return found


def _takes_bounds(rule: Rule) -> bool:
    return any(taken in ("low", "high") for pool in rule for taken, _ in pool.terms)


def _is_sum(step: Step) -> bool:
    return step.behaviour in ("weighted", "affine") and bool(step.inputs)


def _shapes(arrays: Sequence[Array]) -> tuple[tuple[int, ...], ...]:
    return tuple(one.shape[1:] for one in arrays)


def _compiled(run: Pass, identity: Callable[[], str], function: Callable[..., Any]) -> Compiled:
    return Compiled(
        function, run.layers, lambda x: 2 * run.footprint(x), identity, 1, run.graph.batch
    )


def _listed(steps: Sequence[Step]) -> str:
    some = ", ".join(f"{step.name!r} ({step.call.kind})" for step in steps[:3])
    return f"{some} and {len(steps) - 3} more" if len(steps) > 3 else some


def _require_rules(plan: Plan) -> None:
    """Refuse layers that compute what LRP has no rule for."""
    without = [step for step in plan.steps if step.behaviour == "other" and step.inputs]
    if not without:
        return
    raise UserError(
        f"LRP has no rule for {_listed(without)}: what such a layer computes is neither a sum, nor a "
        "maximum, nor a product, nor a function of each value by itself. Use deeplift or "
        "integrated-gradients, or explain a layer before it, with --layer"
    )
