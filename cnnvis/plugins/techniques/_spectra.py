"""Inputs made of frequencies, the parameters of feature visualization.

An input is x = mean + irfftn(spectrum) M, for a spectrum over the spatial axes of each principal component of
the channels, and the matrix M from components to channels; then its values are bent into their range.
Spectrum, mean and M are those of data, where there are data.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import cnnvis

if TYPE_CHECKING:
    import numpy.typing as npt

    Array = npt.NDArray[Any]

MOST = 256
"""Most samples of the data that statistics are taken of."""


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
