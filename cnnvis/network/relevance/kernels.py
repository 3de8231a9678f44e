"""Kernels of layers that are linear by a kernel: reading them, and calling a layer with others."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from cnnvis.network.backend import keras, tensorflow
from cnnvis.network.gradients import Swap
from cnnvis.network.graph import Call
from cnnvis.network.relevance.behaviour import kerass_kind

Change = Callable[[Any], Any]
"""Function of a kernel, a tensor, that returns another kernel of the same shape."""

_OUTPUT_AXES: dict[str, tuple[int, ...]] = {
    **dict.fromkeys(("Dense", "Conv1D", "Conv2D", "Conv3D"), (-1,)),
    **dict.fromkeys(("Conv1DTranspose", "Conv2DTranspose", "Conv3DTranspose"), (-2,)),
    **dict.fromkeys(("DepthwiseConv1D", "DepthwiseConv2D"), (-2, -1)),
    **dict.fromkeys(("SeparableConv1D", "SeparableConv2D"), (-1,)),
    "EinsumDense": (),
}
"""Axes of a layer's kernel that count its output's channels; none where that differs."""

KINDS = tuple(_OUTPUT_AXES)
"""Kinds of layers that are linear by a kernel."""

CONVOLUTIONS = tuple(kind for kind in KINDS if "Conv" in kind)
"""Kinds of convolutions, which a composite calls by the name ``Conv``."""


@dataclass(frozen=True, eq=False)
class Kernel:
    """Kernel of a layer, perhaps multiplied by what a normalization behind the layer does.

    Attributes
    ----------
    layer
        Layer that holds the kernel.
    kind
        Layer's class.
    scales
        Functions that return factors of the output's channels, each a tensor (k,) or a number.
    """

    layer: Any
    kind: str
    scales: tuple[Callable[[], Any], ...] = ()

    @property
    def channel_axis(self) -> int | None:
        """Axis of the layer's output that counts the channels; None if it has no such axis."""
        if not _OUTPUT_AXES[self.kind]:
            return None
        return 1 if getattr(self.layer, "data_format", None) == "channels_first" else -1

    def scaled(self, scale: Callable[[], Any]) -> Kernel:
        """Return the kernel with the output's channels multiplied by further factors."""
        return replace(self, scales=(*self.scales, scale))

    def swaps(self, change: Change) -> list[Swap]:
        """Return swaps by which the layer computes with a changed kernel, and without a bias."""
        tf = tensorflow()
        layer = self.layer
        kernel = tf.cast(change(self.value()), layer.compute_dtype)  # as the layer's own is read
        if self.kind.startswith("Separable"):
            return [Swap(layer, "call", _convolution(layer, kernel))]
        name = "_kernel" if "_kernel" in vars(layer) else "kernel"
        found = [Swap(layer, name, kernel)]
        bias = getattr(layer, "bias", None)
        if bias is not None:
            found.append(Swap(layer, "bias", tf.zeros(bias.shape, layer.compute_dtype)))
        return found

    def value(self) -> Any:
        """Return the kernel as a tensor, its factors included."""
        tf = tensorflow()
        layer = self.layer
        if self.kind.startswith("Separable"):
            depth = tf.convert_to_tensor(layer.depthwise_kernel)
            point = tf.convert_to_tensor(layer.pointwise_kernel)
            point = tf.reshape(point, [*depth.shape[-2:], point.shape[-1]])
            kernel = tf.einsum("...im,imo->...io", depth, point)
        else:
            kernel = tf.convert_to_tensor(layer.kernel)
        for scale in self.scales:
            factor = tf.cast(scale(), kernel.dtype)
            if len(factor.shape):
                axes = _OUTPUT_AXES[self.kind]
                shape = [1] * len(kernel.shape)
                for axis in axes:
                    shape[axis] = kernel.shape[axis]
                factor = tf.reshape(factor, shape)
            kernel = kernel * factor
        return kernel


def _convolution(layer: Any, kernel: Any) -> Callable[..., Any]:
    """Return the convolution that a separable one is: its two kernels multiplied."""

    def call(x: Any, *_: Any, **__: Any) -> Any:
        return keras().ops.conv(
            x,
            kernel,
            strides=list(layer.strides),
            padding=layer.padding,
            dilation_rate=layer.dilation_rate,
            data_format=layer.data_format,
        )

    return call


def kernel_of(call: Call) -> Kernel | None:
    """Return the kernel by which a call is linear, its activation aside; None if there is none."""
    layer = call.layer
    while kerass_kind(layer) == "TimeDistributed":
        layer = layer.layer
    kind = kerass_kind(layer)
    if kind not in _OUTPUT_AXES:
        return None
    # Other kernels than the layer's own are added, or numbers are rounded.
    if getattr(layer, "lora_enabled", False) or getattr(layer, "quantization_mode", None):
        return None
    return Kernel(layer, kind)


def factors_of_normalization(layer: Any) -> Callable[[], Any]:
    """Return a function that returns the factors of a batch normalization, (k,)."""

    def factors() -> Any:
        tf = tensorflow()
        spread = tf.convert_to_tensor(layer.moving_variance) + layer.epsilon
        gamma = getattr(layer, "gamma", None)
        scale = 1 / tf.sqrt(spread)
        return scale if gamma is None else scale * tf.convert_to_tensor(gamma)

    return factors


def is_normalization_along(layer: Any, axis: int | None, rank: int) -> bool:
    """Tell whether a layer is a batch normalization of the values along one axis."""
    if axis is None or kerass_kind(layer) not in ("BatchNormalization", "SyncBatchNormalization"):
        return False
    own: Sequence[int] | int = layer.axis
    axes = [own] if isinstance(own, int) else list(own)
    return [one % rank for one in axes] == [axis % rank]
