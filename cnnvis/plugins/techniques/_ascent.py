"""Gradient ascent from inputs to inputs with a higher score."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import cnnvis

from ._ascent_loss import Terms
from ._ascent_steps import Raised, compiled_steps, layers_that_look_up
from ._film import Film

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Array = npt.NDArray[np.floating[Any]]

AT_ONCE = 10  # steps between two looks at the clock, for the bar, and at the score
FIRST = 20  # steps within which a modifier must raise some score, or is given up


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
    looks
        The numbers of steps after which a frame is taken.
    """

    model: cnnvis.Model
    terms: Terms
    shifts: npt.NDArray[np.int64]
    x: Array
    weights: Array
    of: npt.NDArray[np.int64]
    is_held: bool
    is_one_of_many: bool
    looks: tuple[int, ...] = ()

    def raised(self, backprop: cnnvis.Backprop | None, *, fall_back: bool) -> Raised:
        """Return the results of the ascent.

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
        found = self._climbed(backprop, every, is_lost if falls_back else None)
        lost = is_lost(found[0]) if falls_back else np.zeros(len(every), bool)
        if lost.any():
            found = tuple(one.copy() for one in found)
            for one, plain in zip(found, self._climbed(None, every[lost]), strict=True):
                one[lost] = plain
        best, curves, frames = found
        return Raised(best, lost, curves, frames)

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
    ) -> tuple[Array, ...]:
        """Return the input one step of RMSprop after the smallest loss, scores, (n, steps), and frames.

        The ascent is given up once all inputs are lost that a modifier's gradient should find.
        """
        import numpy as np
        import tensorflow as tf

        x = tf.constant(self.x[rows])
        weights = tf.constant(self.weights[rows])
        tensors = [x, tf.zeros_like(x), x, tf.fill([len(rows)], float("inf"))]
        steps = self._steps(backprop, rows)
        # A concrete function, since TensorFlow warns of every new tf.function that is traced.
        some = tf.TensorSpec((None, self.shifts.shape[1]), tf.int32)
        traced = steps.get_concrete_function(*tensors, weights, some)
        curves = np.full((len(rows), len(self.shifts)), np.nan, np.float32)
        film = Film(self.looks, lambda parts: parts[0])
        film.look(0, [x])
        with cnnvis.progress(f"maximizing {self.model.layer}", len(self.shifts)) as advance:
            count = len(self.shifts)
            for start, end in pairwise(sorted({*range(0, count, AT_ONCE), count, *self.looks})):
                part = self.shifts[start:end]
                *tensors, scores = traced(*tensors, weights, tf.constant(part, tf.int32))
                curves[:, start:end] = scores.numpy().T
                film.look(end, tensors[2:3])
                advance(end - start)
                if is_lost is not None and end == FIRST and is_lost(tensors[2].numpy()).all():
                    break
        best = tensors[2].numpy()
        left = [best] * (len(self.looks) - len(film.taken))  # of an ascent that was given up
        frames = np.stack([*film.taken, *left], axis=1) if self.looks else best[:, None][:, :0]
        return best, curves, frames

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
        looking = layers_that_look_up(self.model)
        if self.is_held and len(self.model.inputs) > 1:
            return compiled_steps(score, self.terms, looking)
        return self.model.cached(
            ("activation-max", backprop, self.terms),
            lambda: compiled_steps(score, self.terms, looking),
        )
