"""The ways in which keras.applications prepares pictures for its networks, by its modules' names."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    import numpy.typing as npt

    Array = npt.NDArray[Any]

Way = Literal["tf", "torch", "caffe", "plain"]

Preprocess = Literal[
    "tf", "torch", "caffe", "convnext", "densenet", "efficientnet", "efficientnet_v2",
    "imagenet_utils", "inception_resnet_v2", "inception_v3", "mobilenet", "mobilenet_v2",
    "mobilenet_v3", "nasnet", "resnet", "resnet50", "resnet_v2", "vgg16", "vgg19", "xception",
]  # fmt: skip
"""Keras's three ways, and its modules, each with one of the ways or none."""

WAYS: dict[str, Way] = {
    "tf": "tf",
    "torch": "torch",
    "caffe": "caffe",
    # Their networks scale by themselves.
    **dict.fromkeys(("convnext", "efficientnet", "efficientnet_v2", "mobilenet_v3"), "plain"),
    **dict.fromkeys(("imagenet_utils", "resnet", "resnet50", "vgg16", "vgg19"), "caffe"),
    "densenet": "torch",
    **dict.fromkeys(("inception_resnet_v2", "inception_v3", "mobilenet", "mobilenet_v2"), "tf"),
    **dict.fromkeys(("nasnet", "resnet_v2", "xception"), "tf"),
}

COLOURED = ("torch", "caffe")
"""Ways that have a number for each of the colours red, green and blue."""

_IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225), (103.939, 116.779, 123.68))
"""Means and deviations of ImageNet's red, green and blue from 0 to 1; means of blue, green and red
from 0 to 255."""


def prepared(pixels: Array, way: Way) -> Array:
    """Scale pixel values from 0 to 255 as one of the ways wants them, float32.

    ``tf`` scales to -1 ... 1; ``torch`` to 0 ... 1 and then by ImageNet's mean and deviation of each
    colour; ``caffe`` turns RGB into BGR and subtracts ImageNet's mean; ``plain`` changes nothing.

    Parameters
    ----------
    pixels
        (..., 3) in the order red, green, blue; of any shape for ``tf`` and ``plain``.
    """
    import numpy as np

    values = pixels.astype(np.float32)
    mean, deviation, blue_green_red = (np.array(one, np.float32) for one in _IMAGENET)
    match way:
        case "tf":
            return values / np.float32(127.5) - np.float32(1)
        case "torch":
            return (values / np.float32(255) - mean) / deviation
        case "caffe":
            return values[..., ::-1] - blue_green_red
    return values


def pixels_of(values: Array, way: Way) -> Array:
    """Return the pixel values from which `prepared` made these values."""
    import numpy as np

    mean, deviation, blue_green_red = (np.array(one, np.float32) for one in _IMAGENET)
    match way:
        case "tf":
            return (values + np.float32(1)) * np.float32(127.5)
        case "torch":
            return (values * deviation + mean) * np.float32(255)
        case "caffe":
            return (values + blue_green_red)[..., ::-1]
    return values


def others(
    scale: float, offset: float, way: Way | None, *, in_colour: bool, deep: bool
) -> dict[str, Callable[[Array], Array]]:
    """Return other ways to read pictures, by the option to type: functions of the values as read.

    Parameters
    ----------
    scale, offset, way
        The scale, offset and way of the reading.
    in_colour
        True where the pictures have the three channels red, green and blue.
    deep
        True where values have 16 bits and more.
    """

    def pixels(values: Array) -> Array:
        return pixels_of(values, way) if way is not None else (values - offset) / (scale or 1)

    largest = 65535 if deep else 255
    found: dict[str, Callable[[Array], Array]] = {}
    if way not in (None, "plain") or scale != 1 or offset != 0:
        found["--pictures.scale 1"] = pixels
    # The number as it is typed: what it gives is what was tried.
    typed = f"{1 / largest:.6g}"
    if way is not None or abs(scale * largest - 1) > 1e-3 or offset != 0:
        found[f"--pictures.scale {typed}"] = lambda values: pixels(values) * float(typed)
    for other in () if deep else ("tf", *(COLOURED if in_colour else ())):
        is_tf = other == "tf" and abs(scale * 127.5 - 1) < 1e-3 and abs(offset + 1) < 1e-3
        if other != way and not (way is None and is_tf):
            found[f"--pictures.preprocess {other}"] = lambda values, other=other: prepared(  # type: ignore[misc]
                pixels(values), other
            )
    return found
