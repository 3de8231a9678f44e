"""Inputs made of frequencies: the parameters of feature visualization, and their gradient ascent.

An input is x = mean + irfftn(spectrum) M, for a spectrum over the spatial axes of each principal component of
the channels, and the matrix M from components to channels; then its values are bent into their range.
Spectrum, mean and M are those of data, where there are data.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import cnnvis

if TYPE_CHECKING:
    import numpy.typing as npt

    Array = npt.NDArray[Any]

MOST = 256
"""Most samples of the data that statistics are taken of."""

AT_ONCE = 16
"""Number of steps between two moves of the bar."""


@dataclass(frozen=True)
class Statistics:
    """Statistics of inputs whose axis of channels comes first, if they have one.

    Attributes
    ----------
    magnitude
        Mean size of each frequency of each component, (components, *frequencies).
    mixing
        Matrix from components to channels, (components, channels).
    mean
        Mean of each channel, (channels,).
    low, high
        Smallest and largest value.
    space
        Lengths of the spatial axes.
    channel_axis
        Axis of the channels in a batch of inputs, counted from its front; None without channels.
    samples
        Number of samples that they are of; 0 where they are a guess.
    """

    magnitude: Array
    mixing: Array
    mean: Array
    low: float
    high: float
    space: tuple[int, ...]
    channel_axis: int | None
    samples: int = 0

    @classmethod
    def of_data(cls, samples: cnnvis.Samples, bounds: tuple[float, float] | None) -> Statistics:
        """Return the statistics of data, of at most 256 evenly spaced samples."""
        import numpy as np

        x = np.asarray(samples[cnnvis.evenly_spaced(len(samples), MOST)].x, np.float64)
        axis = None if samples.channel_axis is None else samples.channel_axis % x.ndim
        first = x[:, None] if axis is None else np.moveaxis(x, axis, 1)
        flat = np.moveaxis(first, 1, -1).reshape(-1, first.shape[1])
        sizes, vectors = np.linalg.eigh(np.cov(flat, rowvar=False).reshape(flat.shape[1], -1))
        is_real = sizes > 1e-9 * sizes.max()
        if not is_real.any():
            raise cnnvis.UserError("all values of the data are equal, so they have no spectrum")
        deviations, vectors = np.sqrt(sizes[is_real]), vectors[:, is_real]
        centred = first - flat.mean(axis=0).reshape(-1, *[1] * (first.ndim - 2))
        parts = np.einsum("nc...,ck->nk...", centred, vectors / deviations)
        space = tuple(range(2, first.ndim))
        magnitude = abs(np.fft.rfftn(parts, axes=space)).mean(axis=0)
        low, high = bounds or (float(x.min()), float(x.max()))
        return cls(
            magnitude, (vectors * deviations).T, flat.mean(axis=0), low, high, first.shape[2:], axis,
            len(x),
        )  # fmt: skip

    @classmethod
    def guessed(
        cls, shape: tuple[int, ...], channel_axis: int | None, bounds: tuple[float, float]
    ) -> Statistics:
        """Return statistics as of photographs: sizes of frequencies f as 1 / f, channels by themselves."""
        import numpy as np

        axis = None if channel_axis is None else channel_axis % (len(shape) + 1)
        space = tuple(size for at, size in enumerate(shape, 1) if at != axis)
        channels = 1 if axis is None else shape[axis - 1]
        every = [np.fft.fftfreq(size) for size in space[:-1]] + [np.fft.rfftfreq(space[-1])]
        size = np.sqrt(sum(one**2 for one in np.meshgrid(*every, indexing="ij")))
        magnitude = 1 / np.maximum(size, 1 / max(space))
        # So that a picture of such frequencies with random phases has the deviation 1.
        twice = np.full(magnitude.shape[-1], 2.0)  # each stands for the opposite frequency, too
        twice[0] = 1
        if space[-1] % 2 == 0:
            twice[-1] = 1
        magnitude *= np.prod(space) / np.sqrt((twice * magnitude**2).sum())
        low, high = bounds
        return cls(
            np.repeat(magnitude[None], channels, axis=0), np.eye(channels) * (high - low) / 4,
            np.full(channels, (low + high) / 2), low, high, space, axis,
        )  # fmt: skip

    def inputs(self, real: Any, imaginary: Any) -> Any:
        """Return inputs (n, ...) from spectra (n, components, *frequencies), as tensors."""
        import tensorflow as tf

        whole = self.unbent(tf.complex(real, imaginary) * tf.constant(self.magnitude, tf.complex64))
        mean = self._mean()
        # Unchanged around the mean, and slowly up to the ends of the range.
        room = tf.where(whole > mean, self.high - mean, mean - self.low)
        room = tf.maximum(room, 1e-6 * (self.high - self.low))
        x = mean + room * tf.tanh((whole - mean) / room)
        return self._placed(x)

    def unbent(self, spectrum: Any) -> Any:
        """Return inputs (n, channels, *space) before their values are bent into the range."""
        import tensorflow as tf

        if len(self.space) == 3:  # TensorFlow has no gradient of irfft3d
            spectrum = tf.signal.ifft(tf.transpose(spectrum, [0, 1, 3, 4, 2]))
            spectrum = tf.transpose(spectrum, [0, 1, 4, 2, 3])
        inverse = tf.signal.irfft if len(self.space) == 1 else tf.signal.irfft2d
        parts = inverse(spectrum, self.space[-2:])
        mixed = tf.einsum("nk...,kc->nc...", parts, tf.constant(self.mixing, tf.float32))
        return mixed + self._mean()

    def _mean(self) -> Any:
        import tensorflow as tf

        return tf.reshape(tf.constant(self.mean, tf.float32), [-1, *[1] * len(self.space)])

    def _placed(self, x: Any) -> Any:
        import tensorflow as tf

        if self.channel_axis is None:
            return x[:, 0]
        if self.channel_axis == 1:
            return x
        return tf.transpose(x, [0, *range(2, len(x.shape)), 1])

    @property
    def spatial_axes(self) -> list[int]:
        """Spatial axes of a batch of inputs."""
        return [at for at in range(1, len(self.space) + 1 + (self.channel_axis is not None))
                if at != self.channel_axis]  # fmt: skip


def transformed(x: Any, axes: list[int], seed: int, step: Any, zoom: tuple[float, float]) -> Any:
    """Return inputs enlarged and shifted at random, along each spatial axis, by linear interpolation."""
    import tensorflow as tf

    drawn = tf.random.stateless_uniform([len(axes) + 1], [seed, step])
    share = zoom[0] + (zoom[1] - zoom[0]) * drawn[0]
    for place, axis in enumerate(axes):
        size = int(x.shape[axis])
        room = (size - 1) * tf.maximum(1 - share, 1 / 8)
        first = ((size - 1) * (1 - share) - room) / 2 + room * drawn[place + 1]
        at = tf.clip_by_value(first + tf.range(size, dtype=tf.float32) * share, 0.0, size - 1.0)
        weights = tf.nn.relu(1 - tf.abs(at[:, None] - tf.range(size, dtype=tf.float32)[None]))
        moved = tf.tensordot(x, weights, [[axis], [1]])
        order = [*range(len(x.shape) - 1)]
        order.insert(axis, len(x.shape) - 1)
        x = tf.transpose(moved, order)
    return x


def climbed(
    loss: Callable[[list[Any], Any], Any],
    start: list[Array],
    steps: int,
    rate: float,
    about: str,
) -> list[Array]:
    """Return parameters with a smaller loss, by Adam: Kingma and Ba 2015, algorithm 1.

    Parameters
    ----------
    loss
        Function of the parameters, tensors, and the number of the step.
    start
        The first parameters.
    about
        What the bar says.
    """
    import tensorflow as tf

    def step(number: Any, *state: Any) -> tuple[Any, ...]:
        now, mean, square = (state[place::3] for place in range(3))
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(now)
            value = loss(list(now), number)
        gradients = tape.gradient(value, list(now))
        if any(one is None for one in gradients):
            raise cnnvis.UserError(
                "the score has no gradient with respect to the input, so gradient ascent is impossible"
            )
        found: list[Any] = []
        count = tf.cast(number + 1, tf.float32)
        for one, m, v, g in zip(now, mean, square, gradients, strict=True):
            m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g**2
            move = (m / (1 - 0.9**count)) / (tf.sqrt(v / (1 - 0.999**count)) + 1e-8)
            found += [one - rate * move, m, v]
        return number + 1, *found

    def some(number: Any, end: Any, *state: Any) -> tuple[Any, ...]:
        found: tuple[Any, ...] = tf.while_loop(
            lambda at, *_: at < end, step, (number, *state), parallel_iterations=1
        )
        return found[1:]

    state = [tf.constant(part, tf.float32) for one in start for part in (one, 0 * one, 0 * one)]
    whole = tf.TensorSpec((), tf.int32)
    traced = tf.function(some, autograph=False).get_concrete_function(whole, whole, *state)
    with cnnvis.progress(about, steps) as advance:
        for first in range(0, steps, AT_ONCE):
            end = min(first + AT_ONCE, steps)
            state = list(traced(tf.constant(first), tf.constant(end), *state))
            advance(end - first)
    return [one.numpy() for one in state[::3]]
