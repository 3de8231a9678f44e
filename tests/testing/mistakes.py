"""Techniques that are right, and the same with one mistake each, as somebody may make it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

import cnnvis

Array = np.ndarray[Any, Any]
Technique = Callable[..., cnnvis.Explanation]


@dataclass(frozen=True)
class Mistake:
    """A wrong technique, the check that catches it, and what that says."""

    technique: Technique
    check: str
    said: str

    @property
    def name(self) -> str:
        return str(self.technique.__cnnvis_plugin__.name)  # type: ignore[attr-defined]


MISTAKES: list[Mistake] = []

LOOKS = "its map shines where the network looks"


def _plugin(
    name: str, maps: Callable[[Any, Any], Array], claims: Mapping[Any, Any] | None = None
) -> Technique:
    @cnnvis.technique(name, claims=claims)
    def technique(model: Any, samples: Any) -> cnnvis.Explanation:
        """Maps, made as said."""
        return cnnvis.Explanation(np.asarray(maps(model, samples), np.float32), samples)

    return technique


def _mistaken(
    name: str, check: str, said: str, claims: Mapping[Any, Any] | None = None
) -> Callable[[Callable[[Any, Any], Array]], Callable[[Any, Any], Array]]:
    def planted(maps: Callable[[Any, Any], Array]) -> Callable[[Any, Any], Array]:
        MISTAKES.append(Mistake(_plugin(name, maps, claims), check, said))
        return maps

    return planted


# Feature maps


def _last(model: Any) -> str:
    return [one.name for one in model.before_target() if one.spatial_axes][-1]


def _parts(model: Any, samples: Any, layer: str | None = None) -> tuple[Array, Array]:
    """A layer's values and gradients, channels last."""
    layer = layer or _last(model)
    parts = model.activation_gradient(samples.x, layer)
    if model.channels_first(layer):
        parts = tuple(np.moveaxis(one, 1, -1) for one in parts)
    return parts


def _laid(model: Any, samples: Any, maps: Array) -> Array:
    return model.upsample(maps, _last(model), samples.x.shape[1:])  # type: ignore[no-any-return]


def _zoomed(samples: Any, maps: Array) -> Array:
    """Each map pulled to the size of the image, whatever its own."""
    for axis, length in enumerate(samples.space, start=1):
        places = np.linspace(0, maps.shape[axis] - 1, length).round().astype(int)
        maps = np.take(maps, places, axis=axis)
    return maps


def _positive(x: Array) -> Array:
    return np.maximum(x, 0)


def layer_cam(model: Any, samples: Any) -> Array:
    a, g = _parts(model, samples)
    return _laid(model, samples, (_positive(g) * a).sum(axis=-1))


def grad_cam(model: Any, samples: Any) -> Array:
    a, g = _parts(model, samples)
    space = tuple(range(1, g.ndim - 1))
    total = (a * g.mean(axis=space, keepdims=True)).sum(axis=-1)
    return _laid(model, samples, _positive(total))


OF_LAYER_CAM = {"layer-cam": {}}
OF_GRAD_CAM = {"grad-cam": {}}


@_mistaken("sums-a-spatial-axis", LOOKS, "brightest", OF_LAYER_CAM)
def _(model: Any, samples: Any) -> Array:
    a, g = _parts(model, samples)
    return _zoomed(samples, (_positive(g) * a).sum(axis=1))


@_mistaken("upside-down", LOOKS, "the map is upside down", OF_LAYER_CAM)
def _(model: Any, samples: Any) -> Array:
    return np.flip(layer_cam(model, samples), 1)


@_mistaken("left-to-right", LOOKS, "the map is left to right", OF_LAYER_CAM)
def _(model: Any, samples: Any) -> Array:
    return np.flip(layer_cam(model, samples), -1)


@_mistaken("backwards-over-one-axis", f"{LOOKS}, over one axis", "backwards along position")
def _(model: Any, samples: Any) -> Array:
    maps = layer_cam(model, samples)
    return np.flip(maps, 1) if maps.ndim == 2 else maps


@_mistaken("turns-rows-and-columns", LOOKS, "axes in another order", OF_LAYER_CAM)
def _(model: Any, samples: Any) -> Array:
    a, g = _parts(model, samples)
    total = (_positive(g) * a).sum(axis=-1)
    return _zoomed(samples, total.transpose(0, *range(total.ndim - 1, 0, -1)))


@_mistaken("turns-planes-and-rows", f"{LOOKS}, over three axes", "another order .*row, plane")
def _(model: Any, samples: Any) -> Array:
    maps = layer_cam(model, samples)
    return _zoomed(samples, np.swapaxes(maps, 1, 2)) if maps.ndim == 4 else maps


@_mistaken("takes-the-size-of-gradients", "its claim holds", "size of the gradients", OF_LAYER_CAM)
def _(model: Any, samples: Any) -> Array:
    a, g = _parts(model, samples)
    return _laid(model, samples, (abs(g) * a).sum(axis=-1))


@_mistaken("keeps-negative-gradients", "its claim holds", "negative gradients", OF_LAYER_CAM)
def _(model: Any, samples: Any) -> Array:
    a, g = _parts(model, samples)
    return _laid(model, samples, (g * a).sum(axis=-1))


@_mistaken("leaves-out-activations", "its claim holds", "without the feature maps", OF_LAYER_CAM)
def _(model: Any, samples: Any) -> Array:
    _, g = _parts(model, samples)
    return _laid(model, samples, _positive(g).sum(axis=-1))


@_mistaken("leaves-out-gradients", "another class gives other maps", "target", OF_LAYER_CAM)
def _(model: Any, samples: Any) -> Array:
    a, _ = _parts(model, samples)
    return _laid(model, samples, a.sum(axis=-1))


@_mistaken("takes-the-largest-output", "each of several classes", "never the largest output")
def _(model: Any, samples: Any) -> Array:
    if model.filters is not None:
        return np.array(model.input_gradient(samples.x))
    units = model.outputs(samples.x)
    largest = np.eye(units.shape[1], dtype=np.float32)[units.argmax(axis=1)]
    return np.array(model.input_gradient(samples.x, weights=largest))


@_mistaken(
    "explains-half-the-image", LOOKS, r"it may explain another image \(such as half", OF_LAYER_CAM
)
def _(model: Any, samples: Any) -> Array:
    a, g = model.activation_gradient(
        samples.x / 2, _last(model), weights=model.target_weights(samples.x)
    )
    channel = 1 if model.channels_first(_last(model)) else -1
    return _laid(model, samples, (_positive(g) * a).sum(axis=channel))


@_mistaken("mixes-channels", LOOKS, "channels in another order", OF_LAYER_CAM)
def _(model: Any, samples: Any) -> Array:
    a, g = _parts(model, samples)
    return _laid(model, samples, (_positive(g)[..., ::-1] * a).sum(axis=-1))


@_mistaken("takes-another-layers-gradients", LOOKS, "gradients of another layer")
def _(model: Any, samples: Any) -> Array:
    layers = [one.name for one in model.before_target() if one.spatial_axes]
    a, g = _parts(model, samples)
    _, other = _parts(model, samples, layers[0])
    return _laid(model, samples, (_positive(other if other.shape == a.shape else g) * a).sum(-1))


@_mistaken("explains-the-first-class", LOOKS, "another class", OF_LAYER_CAM)
def _(model: Any, samples: Any) -> Array:
    weights = np.zeros_like(model.target_weights(samples.x))
    weights[:, 0] = 1
    a, g = model.activation_gradient(samples.x, _last(model), weights=weights)
    channel = 1 if model.channels_first(_last(model)) else -1
    return _laid(model, samples, (_positive(g) * a).sum(axis=channel))


@_mistaken("shifts-by-a-row", LOOKS, "the map is shifted along row", OF_LAYER_CAM)
def _(model: Any, samples: Any) -> Array:
    return np.roll(layer_cam(model, samples), 1, axis=1)


@_mistaken("shifts-back-by-a-column", LOOKS, "the map is shifted along column", OF_LAYER_CAM)
def _(model: Any, samples: Any) -> Array:
    return np.roll(layer_cam(model, samples), -1, axis=-1)


@_mistaken(
    "enlarges-from-a-corner", "an image that is mirrored", "enlarged from a corner",
    OF_LAYER_CAM,
)  # fmt: skip
def _(model: Any, samples: Any) -> Array:
    a, g = _parts(model, samples)
    maps = (_positive(g) * a).sum(axis=-1)
    for axis, length in enumerate(samples.space, start=1):
        places = np.arange(length) * maps.shape[axis] / length
        low = np.floor(places).astype(int)
        share = (places - low).reshape([-1 if a == axis else 1 for a in range(maps.ndim)])
        high = np.minimum(low + 1, maps.shape[axis] - 1)
        maps = np.take(maps, low, axis) * (1 - share) + np.take(maps, high, axis) * share
    return maps


@_mistaken(
    "scales-by-the-batch",
    "one sample alone gets the map",
    "a sample alone gets another map",
    OF_LAYER_CAM,
)
def _(model: Any, samples: Any) -> Array:
    maps = layer_cam(model, samples)
    return maps / maps.max()


@_mistaken("scales-each-map", "its claim holds", "scaled by itself: give raw", OF_LAYER_CAM)
def _(model: Any, samples: Any) -> Array:
    maps = layer_cam(model, samples)
    return maps / np.maximum(maps.max(axis=tuple(range(1, maps.ndim)), keepdims=True), 1e-9)


@_mistaken("shows-the-first-for-all", LOOKS, "first image or class", OF_LAYER_CAM)
def _(model: Any, samples: Any) -> Array:
    maps = layer_cam(model, samples)
    return np.repeat(maps[:1], len(maps), axis=0)


@_mistaken("sorts-images", "the order of the samples", "another order", OF_LAYER_CAM)
def _(model: Any, samples: Any) -> Array:
    maps = layer_cam(model, samples)
    return maps[np.argsort(samples.x.reshape(len(maps), -1).sum(axis=1))]


@_mistaken("gives-images-backwards", LOOKS, "brightest", OF_LAYER_CAM)
def _(model: Any, samples: Any) -> Array:
    return layer_cam(model, samples)[::-1]


@_mistaken(
    "takes-channels-for-last", "channels first give the map", "ask the model where channels are",
    OF_LAYER_CAM,
)  # fmt: skip
def _(model: Any, samples: Any) -> Array:
    a, g = model.activation_gradient(samples.x, _last(model))
    return _zoomed(samples, (_positive(g) * a).sum(axis=-1))


@_mistaken("counts-the-middle-more", "an image that is moved", "the middle of its map")
def _(model: Any, samples: Any) -> Array:
    maps = layer_cam(model, samples)
    for axis in range(1, maps.ndim):
        places = np.linspace(-1, 1, maps.shape[axis])
        shape = [-1 if a == axis else 1 for a in range(maps.ndim)]
        maps = maps * np.exp(-8 * places**2).reshape(shape)
    return maps


@_mistaken("forgets-relu", "its claim holds", "with negative gradients", OF_GRAD_CAM)
def _(model: Any, samples: Any) -> Array:
    a, g = _parts(model, samples)
    total = (a * g.mean(axis=tuple(range(1, g.ndim - 1)), keepdims=True)).sum(axis=-1)
    return _laid(model, samples, total)


@_mistaken("averages-over-channels", "its claim holds", "max.0, sum over k", OF_GRAD_CAM)
def _(model: Any, samples: Any) -> Array:
    a, g = _parts(model, samples)
    return _laid(model, samples, _positive((a * g.mean(axis=-1, keepdims=True)).sum(axis=-1)))


@_mistaken("turns-the-sign", LOOKS, "the map is blank", OF_GRAD_CAM)
def _(model: Any, samples: Any) -> Array:
    a, g = _parts(model, samples)
    total = (a * -g.mean(axis=tuple(range(1, g.ndim - 1)), keepdims=True)).sum(axis=-1)
    return _laid(model, samples, _positive(total))


@_mistaken(
    "averages-over-images", "one sample alone gets the map", "a sample alone gets another map"
)
def _(model: Any, samples: Any) -> Array:
    a, g = _parts(model, samples)
    total = (a * g.mean(axis=tuple(range(g.ndim - 1)), keepdims=True)).sum(axis=-1)
    return _laid(model, samples, _positive(total))


@_mistaken("calls-layer-cam-grad-cam", "its claim holds: grad-cam", "layer-cam's", OF_GRAD_CAM)
def _(model: Any, samples: Any) -> Array:
    return layer_cam(model, samples)


@_mistaken(
    "equals-another-no-more", "its claim holds: equals", "not the maps of grad-cam",
    {"equals": {
        "technique": "grad-cam", "theirs": {"backprop": None}, "where": "pooled-positive"
    }},
)  # fmt: skip
def _(model: Any, samples: Any) -> Array:
    return layer_cam(model, samples) ** 2


# The gradient by the input


def gradient_times_input(model: Any, samples: Any) -> Array:
    return samples.x * model.input_gradient(samples.x)  # type: ignore[no-any-return]


OF_INPUT = {"gradient-times-input": {}}


@_mistaken(
    "takes-the-size-of-products", "its claim holds", "its size without the sign|x dS/dx", OF_INPUT
)
def _(model: Any, samples: Any) -> Array:
    return abs(gradient_times_input(model, samples))


@_mistaken("forgets-the-image", "its claim holds", "not multiplied by the input", OF_INPUT)
def _(model: Any, samples: Any) -> Array:
    return model.input_gradient(samples.x)  # type: ignore[no-any-return]


@_mistaken("takes-gradients-at-half", "its claim holds", "half the input|x dS/dx", OF_INPUT)
def _(model: Any, samples: Any) -> Array:
    weights = model.target_weights(samples.x)
    return samples.x * model.input_gradient(samples.x / 2, weights=weights)  # type: ignore[no-any-return]


@_mistaken("takes-images-for-pictures", "twice the values", "take them for pixels of a picture")
def _(model: Any, samples: Any) -> Array:
    x = np.clip(samples.x, 0, 1)
    return x * model.input_gradient(x, weights=model.target_weights(samples.x))


# Covering


def occlusion(
    model: Any, samples: Any, *, shift: int = 0, anew: bool = False, swapped: bool = False
) -> Array:
    """By how much the score falls where a position is 0."""
    channel = samples.channel_axis
    x = np.moveaxis(samples.x, channel, -1)
    weights = model.target_weights(samples.x)
    whole = model.scores(samples.x, weights=weights)
    maps = np.zeros(x.shape[:-1])
    for number, place in enumerate(np.ndindex(*x.shape[1:-1])):
        covered = x.copy()
        at = tuple((i + shift) % n for i, n in zip(place, x.shape[1:-1], strict=True))
        covered[(slice(None), *at)] = 0
        given = np.ascontiguousarray(np.moveaxis(covered, -1, channel))
        left = model.scores(given, weights=None if anew else weights)
        if swapped:
            place = np.unravel_index(number, x.shape[-2:0:-1])[::-1]
        maps[(slice(None), *place)] = whole - left
    return maps


OF_OCCLUSION = {"occlusion": {}, "integrated-gradients": {}}


@_mistaken("shows-what-is-left", LOOKS, "sign is turned", OF_OCCLUSION)
def _(model: Any, samples: Any) -> Array:
    whole = model.scores(samples.x).reshape(-1, *(1 for _ in samples.space))
    return whole - 2 * occlusion(model, samples) - whole


@_mistaken("covers-the-next-position", LOOKS, "brightest", OF_OCCLUSION)
def _(model: Any, samples: Any) -> Array:
    return occlusion(model, samples, shift=1)


@_mistaken(
    "predicts-anew-when-covered",
    "its claim holds: occlusion",
    "predicted for the covered",
    OF_OCCLUSION,
)
def _(model: Any, samples: Any) -> Array:
    return occlusion(model, samples, anew=True)


@_mistaken("counts-positions-by-columns", LOOKS, "brightest", OF_OCCLUSION)
def _(model: Any, samples: Any) -> Array:
    return occlusion(model, samples, swapped=True)


# On the way from a baseline, and among noise


def integrated(
    model: Any, samples: Any, *, baseline: float = 0.0, end: float = 1.0, steps: int = 40
) -> Array:
    """(x - x') times the mean gradient on the way."""
    x = np.asarray(samples.x, np.float32)
    weights = model.target_weights(x)
    way = [end * (step + 0.5) / steps for step in range(steps)]
    mean = sum(model.input_gradient(baseline + t * (x - baseline), weights=weights) for t in way)
    return (x - baseline) * mean / steps  # type: ignore[no-any-return]


OF_PATHS = {"integrated-gradients": {}, "complete": {}}


@cnnvis.technique("ignores-the-baseline", claims=OF_PATHS)
def _ignoring(model: Any, samples: Any, *, baseline: float = 0.0) -> cnnvis.Explanation:
    """Integrated gradients from zero, whatever is asked.

    Parameters
    ----------
    baseline
        Where the way begins.
    """
    return cnnvis.Explanation(integrated(model, samples), samples)


MISTAKES.append(
    Mistake(_ignoring, "its claim holds: integrated-gradients", "w x: the baseline is left out")
)


@cnnvis.technique("forgets-the-baseline-in-the-factor", claims=OF_PATHS)
def _forgetful(model: Any, samples: Any, *, baseline: float = 0.0) -> cnnvis.Explanation:
    """The mean gradient on the way, times the input.

    Parameters
    ----------
    baseline
        Where the way begins.
    """
    x = np.asarray(samples.x, np.float32)
    maps = integrated(model, samples, baseline=baseline)
    return cnnvis.Explanation(maps / np.where(x == baseline, 1, x - baseline) * x, samples)


MISTAKES.append(Mistake(_forgetful, "its claim holds: complete", r"do not add up.*S\(0\.5\)"))


@_mistaken("ends-half-way", LOOKS, "half of the image", OF_PATHS)
def _(model: Any, samples: Any) -> Array:
    return integrated(model, samples, end=0.5)


@_mistaken("takes-the-end-alone", "its claim holds: complete", "do not add up", OF_PATHS)
def _(model: Any, samples: Any) -> Array:
    return gradient_times_input(model, samples)


@_mistaken("forgets-the-difference", "its claim holds: integrated", "to be multiplied", OF_PATHS)
def _(model: Any, samples: Any) -> Array:
    return integrated(model, samples) / np.where(samples.x == 0, 1, samples.x)


def smooth(
    model: Any, samples: Any, *, copies: int = 10, range_of_all: bool = False, rng: Any = None
) -> Array:
    """The mean gradient of noisy copies."""
    x = np.asarray(samples.x, np.float32)
    weights = model.target_weights(x)
    rng = np.random.default_rng(0) if rng is None else rng
    axes = None if range_of_all else tuple(range(1, x.ndim))
    spread = 0.1 * np.ptp(x, axis=axes, keepdims=True)
    noise = [rng.standard_normal(x.shape[1:], np.float32) for _ in range(copies)]
    return np.mean([model.input_gradient(x + spread * n, weights=weights) for n in noise], axis=0)


OF_GRADIENTS = {"gradient": {}}


@_mistaken("draws-other-noise-each-time", "twice the same", "an option `seed`")
def _(model: Any, samples: Any) -> Array:
    return smooth(model, samples, rng=np.random.default_rng())


@_mistaken(
    "takes-the-range-of-all-images", "one sample alone gets", "a sample alone gets another map"
)
def _(model: Any, samples: Any) -> Array:
    return smooth(model, samples, range_of_all=True)


@_mistaken("adds-up-copies", "its claim holds: gradient", "10 times that", OF_GRADIENTS)
def _(model: Any, samples: Any) -> Array:
    return 10 * smooth(model, samples)


@_mistaken("squares-gradients", "its claim holds: gradient", "its square", OF_GRADIENTS)
def _(model: Any, samples: Any) -> Array:
    return smooth(model, samples) ** 2


@_mistaken("takes-the-maximum-over-rows", LOOKS, "brightest")
def _(model: Any, samples: Any) -> Array:
    return _zoomed(samples, abs(model.input_gradient(samples.x)).max(axis=1))


# Right ones


@cnnvis.technique("right-smoothgrad", claims=OF_GRADIENTS)
def _right_smoothgrad(model: Any, samples: Any, *, seed: int = 0) -> cnnvis.Explanation:
    """The mean gradient of noisy copies.

    Parameters
    ----------
    seed
        Of the noise.
    """
    maps = smooth(model, samples, rng=np.random.default_rng(seed))
    return cnnvis.Explanation(maps, samples)


RIGHT = [
    _plugin("right-layer-cam", layer_cam, {
        **OF_LAYER_CAM,
        "equals": {
            "technique": "grad-cam", "theirs": {"backprop": None}, "where": "pooled-positive"
        },
    }),
    _plugin("right-grad-cam", grad_cam, {
        **OF_GRAD_CAM, "equals": {"technique": "grad-cam", "theirs": {"backprop": None}, "where": "features"}
    }),
    _plugin("right-gradient-times-input", gradient_times_input, OF_INPUT),
    _plugin("right-occlusion", occlusion, OF_OCCLUSION),
    _plugin("right-integrated-gradients", integrated, OF_PATHS),
    _right_smoothgrad,
]  # fmt: skip
