"""Gradient ascent from inputs to inputs with a higher score."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import cnnvis

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Array = npt.NDArray[np.floating[Any]]

EPSILON = 1e-7
AT_ONCE = 10  # steps between two looks at the clock, for the bar, and at the score
FIRST = 20  # steps within which a modifier must raise some score, or is given up
DECAY = 0.95  # of RMSprop's running mean of squares


@dataclass(frozen=True)
class Terms:
    """Terms to minimize, and the treatment of their gradient."""

    activation_weight: float
    tv_weight: float
    lp_norm_weight: float
    lp_norm: float
    gradient: cnnvis.GradientModifier | None
    space: tuple[int, ...]


@dataclass(frozen=True)
class Ascent:
    """Gradient ascent from some inputs, with one result for each.

    Attributes
    ----------
    model
        The model at the target.
    terms
        The terms to minimize.
    shifts
        The shifts of the inputs at each step, (iterations, spatial axes).
    x, weights
        The initial inputs, (n, ...), and the weights of the outputs to maximize from each, (n, k).
    of
        The sample of each initial input, (n,).
    is_held
        True where the network's other inputs are held at those of the samples.
    is_one_of_many
        True where nobody asked for this target by name: then it may have nothing to modify.
    """

    model: cnnvis.Model
    terms: Terms
    shifts: npt.NDArray[np.int64]
    x: Array
    weights: Array
    of: npt.NDArray[np.int64]
    is_held: bool
    is_one_of_many: bool

    def raised(
        self, backprop: cnnvis.Backprop | None, *, fall_back: bool
    ) -> tuple[Array, npt.NDArray[np.bool_]]:
        """Return the results of the ascent, (n, ...), and which were found by the plain gradient.

        Where a modifier's gradient does not raise the score, the plain gradient is used.
        """
        import numpy as np

        every = np.arange(len(self.x))

        @functools.cache
        def start() -> Array:  # once it is known that there is anything to climb
            return self.scores(self.x, every)

        def is_lost(best: Array) -> npt.NDArray[np.bool_]:
            lost: npt.NDArray[np.bool_] = self.scores(best, every) <= start()
            return lost

        falls_back = fall_back and backprop is not None
        best = self._climbed(backprop, every, is_lost if falls_back else None)
        lost = is_lost(best) if falls_back else np.zeros(len(every), bool)
        if lost.any():
            best = best.copy()
            best[lost] = self._climbed(None, every[lost])
        return best, lost

    def scores(self, x: Array, rows: npt.NDArray[np.int64]) -> Array:
        """Return the scores of inputs that began as these rows."""
        of = self.of[rows].tolist()
        found: Array = self.model.scores(x, weights=self.weights[rows], of=of)
        return found

    def _climbed(
        self,
        backprop: cnnvis.Backprop | None,
        rows: npt.NDArray[np.int64],
        is_lost: Callable[[Array], npt.NDArray[np.bool_]] | None = None,
    ) -> Array:
        """Return for each start the input one step of RMSprop after the smallest loss, (n, ...).

        The ascent is given up once all inputs are lost that a modifier's gradient should find.
        """
        import tensorflow as tf

        x = tf.constant(self.x[rows])
        weights = tf.constant(self.weights[rows])
        tensors = x, tf.zeros_like(x), x, tf.fill([len(rows)], float("inf"))
        steps = self._steps(backprop, rows)
        # A concrete function, since TensorFlow warns of every new tf.function that is traced.
        some = tf.TensorSpec((None, self.shifts.shape[1]), tf.int32)
        traced = steps.get_concrete_function(*tensors, weights, some)
        with cnnvis.progress(f"maximizing {self.model.layer}", len(self.shifts)) as advance:
            for start in range(0, len(self.shifts), AT_ONCE):
                part = self.shifts[start : start + AT_ONCE]
                tensors = traced(*tensors, weights, tf.constant(part, tf.int32))
                advance(len(part))
                is_first_look = is_lost is not None and start + AT_ONCE == FIRST
                if is_lost is not None and is_first_look and is_lost(tensors[2].numpy()).all():
                    break
        best: Array = tensors[2].numpy()
        return best

    def _steps(self, backprop: cnnvis.Backprop | None, rows: npt.NDArray[np.int64]) -> Any:
        """Return a compiled function that takes one step for each shift that it is given."""
        of = self.of[rows].tolist() if self.is_held else None
        try:
            score = self.model.scorer(backprop=backprop, of=of)
        except cnnvis.UserError:
            if not self.is_one_of_many:
                raise
            score = self.model.scorer(of=of)  # a layer before the first rectifier
        # What is traced holds other inputs as they are now, so then it is for this once only.
        looking = self._looking
        if self.is_held and len(self.model.inputs) > 1:
            return _steps(score, self.terms, looking)
        return self.model.cached(
            ("activation-max", backprop, self.terms), lambda: _steps(score, self.terms, looking)
        )

    @property
    def _looking(self) -> str:
        """Layers before the target that look whole numbers up, to be read in a sentence."""
        names = [f"{one.name!r}" for one in self.model.before_target() if one.kind == "Embedding"]
        return f"{' and '.join(names)} (Embedding)" if names else "a layer on the way"


def _losses(score: Callable[[Any, Any], Any], terms: Terms) -> Callable[[Any, Any], Any]:
    """Return a function for each input's loss and score, (n,), without terms of no weight."""
    import tensorflow as tf

    def losses(x: Any, weights: Any) -> Any:
        values = float(x.shape[1:].num_elements())
        scores = score(x, weights)
        total = -terms.activation_weight * scores
        if terms.lp_norm_weight:
            total += terms.lp_norm_weight * _norm(tf.abs(x), terms.lp_norm) / values
        if terms.tv_weight:
            total += terms.tv_weight * _total_variation(x, terms.space) / values
        return total, scores

    return losses


def _norm(sizes: Any, p: float) -> Any:
    import tensorflow as tf

    axes = range(1, len(sizes.shape))
    if p == float("inf"):
        return tf.reduce_max(sizes, axis=axes)
    return tf.reduce_sum(sizes**p, axis=axes) ** (1 / p)


def _total_variation(x: Any, space: Sequence[int]) -> Any:
    """Return the sum of squared differences to the next value along each spatial axis, (n,).

    As in keras-vis, over values that are the last along none of these axes.
    """
    import tensorflow as tf

    rank = len(x.shape)

    def inner(moved: int | None) -> Any:
        bounds = [slice(None)] * rank
        for axis in space:
            bounds[axis] = slice(1, None) if axis == moved else slice(None, -1)
        return x[tuple(bounds)]

    squares = sum(tf.square(inner(axis) - inner(None)) for axis in space)
    return tf.reduce_sum(squares, axis=range(1, rank))


def _steps(score: Callable[[Any, Any], Any], terms: Terms, looking: str) -> Any:
    """Return a compiled function that takes one step of RMSprop for each shift that it is given.

    `looking` names what may take whole numbers.
    """
    import tensorflow as tf

    losses, space = _losses(score, terms), list(terms.space)

    def step(x: Any, cache: Any, best: Any, smallest: Any, weights: Any, shift: Any) -> Any:
        axes = list(range(1, len(x.shape)))
        x = tf.roll(x, shift, space)
        with tf.GradientTape(persistent=True, watch_accessed_variables=False) as tape:
            tape.watch(x)
            loss, scores = losses(x, weights)
        try:
            has_gradient = tape.gradient(scores, x) is not None
        except LookupError as error:
            raise cnnvis.UserError(
                "TensorFlow has no gradient of a layer on the way to the target: "
                f"{cnnvis.complaint(error)}"
            ) from error
        if not has_gradient:
            raise cnnvis.UserError(
                "the score has no gradient with respect to the input, so gradient ascent is "
                f"impossible: {looking} takes whole numbers; use grad-cam with data, which "
                "explains the layers behind it"
            )
        slope = tape.gradient(loss, x)
        slope = tf.math.l2_normalize(slope, axis=axes)
        slope = cnnvis.modify_gradient(slope, terms.gradient)
        cache = DECAY * cache + (1 - DECAY) * slope**2
        x -= slope / tf.sqrt(cache + EPSILON)
        # As in keras-vis: the loss is that before the step, the input kept the one after it.
        better = tf.reshape(loss < smallest, [-1] + [1] * len(axes))
        return x, cache, tf.where(better, x, best), tf.minimum(loss, smallest)

    def steps(x: Any, cache: Any, best: Any, smallest: Any, weights: Any, shifts: Any) -> Any:
        def one(i: Any, x: Any, cache: Any, best: Any, smallest: Any) -> Any:
            return i + 1, *step(x, cache, best, smallest, weights, shifts[i])

        there_are = tf.shape(shifts)[0]
        start = (0, x, cache, best, smallest)
        # One after the other: TensorFlow would take care for ten at a time, at three times the cost.
        return tf.while_loop(lambda i, *_: i < there_are, one, start, parallel_iterations=1)[1:]

    return tf.function(steps, autograph=False)
