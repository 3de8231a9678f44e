"""Activation maximization: the input with the highest activation of a filter or class."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import cnnvis
from cnnvis.plugins.techniques._ascent import Ascent, Terms

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Array = npt.NDArray[np.floating[Any]]

EPSILON = 1e-7


def _check(
    *,
    lp_norm: float,
    input_range: tuple[float, float] | None,
    jitter: tuple[float, ...],
    **_: object,
) -> None:
    if any(abs(value) > 1e9 or value != value for value in (*(input_range or ()), *jitter)):
        raise cnnvis.UserError("input_range and jitter take finite numbers, not NaN or infinity")
    if lp_norm < 1:
        raise cnnvis.UserError(f"lp_norm is {lp_norm:g}, and a norm's p is at least 1")
    if input_range is not None and input_range[0] >= input_range[1]:
        raise cnnvis.UserError(f"input_range is {input_range}; it takes the smallest value first")


@cnnvis.technique(
    "activation-max",
    family="feature visualization",
    reference="Erhan et al. 2009, Univ. de Montreal 1341",
    gives="pictures",
    check=_check,
    paper={"backprop": None, "tv_weight": 0.0, "jitter": (0.0,)},
)
def activation_max(
    model: cnnvis.Model,
    samples: cnnvis.Samples | None = None,
    *,
    backprop: cnnvis.Backprop | None = "guided",
    gradient: cnnvis.GradientModifier | None = None,
    iterations: cnnvis.Count = 200,
    activation_weight: float = 1.0,
    tv_weight: float = 1e-5,
    lp_norm_weight: float = 0.0,
    lp_norm: float = 6.0,
    jitter: tuple[cnnvis.NotNegative, ...] = (16.0,),
    input_range: tuple[float, float] | None = None,
    start: Literal["noise", "data"] = "noise",
    together: bool = False,
    fall_back: bool = True,
    seed: cnnvis.Seed = 0,
) -> cnnvis.Explanation:
    """The input with the highest score of a filter or class, found by gradient ascent.

    Minimizes -w_a S(x) + w_tv TV(x) + w_p |x|_p, for the score S, by RMSprop from noise: Erhan et
    al. 2009; the total variation TV as in Mahendran and Vedaldi 2016, arXiv:1512.02017, section
    3.2.2. CNN-vis has the same defaults. Without a layer, the result shows every convolution and
    dense layer. As in keras-vis, the values of a picture lie about the middle of the input's range,
    with a tenth of the range as their deviation. The scores are the scores of these pictures; a
    note gives the score that the ascent reached.

    Parameters
    ----------
    backprop
        The backpropagation modifier of ReLUs: none (the plain gradient), guided (positive gradients
        where the ReLU is on), rectified (all positive gradients; also called deconv and relu).
    fall_back
        Use the plain gradient where the modified gradient does not raise the score, and make a
        note.
    gradient
        The change of the gradient before each step.
    iterations
        The number of steps. The result is the input one step after the input with the smallest
        loss, as in keras-vis.
    activation_weight
        The weight of the score in the loss.
    tv_weight
        The weight of the total variation in the loss: more makes the input smoother.
    lp_norm_weight
        The weight of the L-p norm in the loss: more makes values smaller.
    lp_norm
        The p of the L-p norm, at least 1; inf for the largest value.
    jitter
        The largest random shift of the input before each step, around its edges: in pixels, or
        below 1 as a share of the axis. Give one number for all spatial axes or one number for each
        axis.
    input_range
        The smallest and largest value of the result and of the noise. By default the range of the
        data; without data, the range that the network's first layer expects, if this layer rescales
        or normalizes; else 0 to 255, which is a guess.
    start
        The start of the ascent: noise, or the images of the data, with one result for each image.
    together
        Find one input for the sum of all chosen filters, instead of one input for each filter.
    seed
        The seed of the noise and the jitter; the same seed gives the same result.
    """
    if start == "noise" and len(model.inputs) > 1:
        raise cnnvis.UserError(
            f"the network takes {len(model.inputs)} inputs, and noise in one input means nothing "
            "without the other inputs; start from data for all inputs: --start data --data FILE"
        )
    if start == "data" and samples is None:
        raise cnnvis.UserError("start is 'data', and no data are given; add --data FILE")
    import numpy as np

    rng = np.random.default_rng(seed)
    bounds = input_range or _range(model, samples)
    if start == "data" and samples is not None:
        starts = samples.x
    else:
        starts = _noise(_fixed(model.input_shape), bounds, rng)[None]
    space = [axis for axis in range(1, starts.ndim) if axis != _channel(model, starts)]
    pixels = _pixels(jitter, [starts.shape[axis] for axis in space])
    shifts = np.stack([rng.integers(-p, p + 1, iterations) for p in pixels], axis=1)
    terms = Terms(activation_weight, tv_weight, lp_norm_weight, lp_norm, gradient, tuple(space))

    found = _Found(bounds, None if start == "noise" or samples is None else samples.indices)
    for at in _targets(model):
        weights = _weights(at, together)
        each = len(weights)
        ascent = Ascent(
            at,
            terms,
            shifts,
            x=np.repeat(starts.astype(np.float32), each, axis=0),
            weights=np.tile(weights, (len(starts), 1)),
            of=np.repeat(np.arange(len(starts)), each),
            is_held=start == "data",
            is_one_of_many=model.asked_layer is None and at.layer != model.layer,
        )
        found.add(ascent, *ascent.raised(backprop, fall_back=fall_back))
    found.say(backprop)
    return cnnvis.Explanation(
        np.concatenate(found.pictures),
        axes=cnnvis.axis_names(starts.ndim - 1, model.input_channel_axis),
        titles=tuple(found.titles),
        targets=tuple(found.targets),
        signed=False,
        are_inputs=True,
        measures={
            "score_at_start": np.array([target.score for target in found.before]),
            "score_reached": np.array([target.score for target in found.reached]),
        },
    )


@dataclass
class _Found:
    """Results of all targets, and the notes on them.

    Attributes
    ----------
    bounds
        The smallest and largest value of a picture.
    images
        The places of the initial images in the data; None for noise.
    names
        The name of each picture.
    pictures
        The pictures to draw.
    targets, reached, before
        The targets with the score of the picture, the scores that the ascent reached, and those of
        its start.
    plain
        True where the plain gradient was used instead of a modifier's.
    """

    bounds: tuple[float, float]
    images: npt.NDArray[np.int64] | None
    names: list[str] = field(default_factory=list)
    pictures: list[Array] = field(default_factory=list)
    targets: list[cnnvis.Target] = field(default_factory=list)
    reached: list[cnnvis.Target] = field(default_factory=list)
    before: list[cnnvis.Target] = field(default_factory=list)
    plain: list[bool] = field(default_factory=list)

    def add(self, ascent: Ascent, best: Array, plain: npt.NDArray[np.bool_]) -> None:
        """Add the results of one target."""
        model, weights, of = ascent.model, ascent.weights, ascent.of.tolist()
        picture = _deprocessed(best, self.bounds)
        self.pictures.append(picture)
        self.targets += model.targets(picture, weights=weights, of=of)
        self.reached += model.targets(best, weights=weights, of=of)
        self.before += model.targets(ascent.x, weights=weights, of=of)
        self.plain += plain.tolist()
        begun = [""] * len(of)
        if self.images is not None:
            begun = [f" from image {self.images[place]}" for place in of]
        targets = self.targets[-len(of) :]
        self.names += [f"{one}{start}" for one, start in zip(targets, begun, strict=True)]

    @property
    def titles(self) -> list[str]:
        """Titles of the pictures, where their targets do not say all of it."""
        if not any(self.plain) and self.images is None:
            return []
        return [
            f"{name}, plain gradient" if is_plain else name
            for name, is_plain in zip(self.names, self.plain, strict=True)
        ]

    def say(self, backprop: cnnvis.Backprop | None) -> None:
        """Make notes on the scores.

        Raises
        ------
        UserError
            If no step changed any of them, or one of them is no number.
        """
        ways = list(zip(self.names, self.before, self.reached, self.targets, strict=True))
        broken = [
            name for name, was, now, _ in ways
            if not all(math.isfinite(one.score or 0) for one in (was, now))
        ]  # fmt: skip
        if broken:
            raise cnnvis.UserError(
                f"the score of {_listed(broken)} is NaN or infinite, so no step can raise it; "
                "cnnvis doctor says whether the network's weights are finite"
            )
        unmoved = [name for name, was, now, _ in ways if was.score == now.score]
        if len(unmoved) == len(ways):
            raise cnnvis.UserError(
                f"no step changed the score of {_listed(unmoved)}: its ReLUs stay off, so the "
                "result shows nothing of it; try another seed or start"
            )
        scores = [
            f"{name}: from {was.score:.3g} to {now.score:.3g} (of the picture: {drawn.score:.3g})"
            for name, was, now, drawn in ways
        ]
        cnnvis.note(f"activation-max took the score of {_listed(scores)}")
        lost = [name for name, is_plain in zip(self.names, self.plain, strict=True) if is_plain]
        if lost:
            cnnvis.note(
                f"the {backprop} gradient does not raise the score of {_listed(lost)}, so the "
                "ascent used the plain gradient; --no-fall-back keeps the modifier"
            )
        if unmoved:
            cnnvis.note(
                f"no step changed the score of {_listed(unmoved)}: its ReLUs stay off, so its picture "
                "shows smoothed noise"
            )
        low, high = self.bounds
        flat = [
            name for name, was, now, drawn in ways if _is_less(drawn, was) and _is_less(was, now)
        ]
        if flat:
            cnnvis.note(
                f"the score of {_listed(flat)} rose, but not the score of its picture, with "
                f"values scaled to {low:.3g} to {high:.3g}; try another --input-range LOW HIGH"
            )
        fell = [name for name, was, now, _ in ways if _is_less(now, was)]
        if fell:
            cnnvis.note(
                f"the score of {_listed(fell)} did not rise, so the picture does not show an "
                "input with a high score; try more --iterations, another --seed, or less "
                "--tv-weight"
            )


def _is_less(one: cnnvis.Target, other: cnnvis.Target) -> bool:
    return (one.score or 0) < (other.score or 0)


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - 5} more" if len(names) > 5 else ""
    return ", ".join(names[:5]) + more


def _range(model: cnnvis.Model, samples: cnnvis.Samples | None) -> tuple[float, float]:
    """Return the range of an input's values: that of the data, or else the network's."""
    if samples is not None and len(samples) and samples.x.size:
        low, high = float(samples.x.min()), float(samples.x.max())
        if low < high:
            cnnvis.note(f"the input is drawn from {low:g} to {high:g}, the range of the data")
            return low, high
    expected = model.expected_range
    if expected is not None:
        (low, high), layer = expected
        cnnvis.note(
            f"the input is drawn from {low:.3g} to {high:.3g}, as the layer {layer!r} expects"
        )
        return low, high
    cnnvis.note(
        "the input is drawn from 0 to 255, which is a guess: give data, or --input-range LOW HIGH"
    )
    return 0.0, 255.0


def _fixed(shape: tuple[int | None, ...]) -> tuple[int, ...]:
    if None in shape:
        raise cnnvis.UserError(
            f"the model takes inputs of any size {shape}, so the size of the result is not known; "
            "start from data of the wanted size: --start data --data FILE"
        )
    return tuple(size for size in shape if size is not None)


def _noise(shape: tuple[int, ...], input_range: tuple[float, float], rng: Any) -> Array:
    """Return uniform noise about the middle of the range, with a deviation of 1/20 of the range."""
    low, high = input_range
    noise: Array = rng.random(shape)
    noise = (noise - noise.mean()) / (noise.std() + EPSILON)
    return noise * 0.05 * (high - low) + (low + high) / 2


def _channel(model: cnnvis.Model, x: Array) -> int | None:
    axis = model.input_channel_axis
    return None if axis is None else axis % x.ndim


def _pixels(jitter: Sequence[float], space: Sequence[int]) -> list[int]:
    """Return the largest shift along each spatial axis, for axes of these lengths."""
    amounts = list(jitter) * len(space) if len(jitter) == 1 else list(jitter)
    if len(amounts) != len(space):
        raise cnnvis.UserError(
            f"jitter is {tuple(jitter)}, and it must be one number, or one for each of the "
            f"{len(space)} spatial axes"
        )
    return [
        int(size * amount if amount < 1 else amount)
        for amount, size in zip(amounts, space, strict=True)
    ]


def _targets(model: cnnvis.Model) -> list[cnnvis.Model]:
    """Return the model at the layer asked for, or at every convolution and dense layer."""
    if model.asked_layer is not None:
        return [model]
    names = [
        layer.name
        for layer in model.layers
        if "Conv" in layer.kind or layer.kind == "Dense" or layer.name == model.layer
    ]
    fitting = []
    for name in names:
        try:
            at = model.with_target(name, model.asked_filters)
            _ = at.filters  # looked up now, to leave out a layer that has no such filter
            if at.depends_on_input:
                fitting.append(at)
        except cnnvis.UserError as error:
            cnnvis.note(f"{name} was left out: {error}")
    if not fitting:
        raise cnnvis.UserError(f"no layer has the output {model.asked_filters}")
    return fitting


def _weights(model: cnnvis.Model, together: bool) -> Array:
    """Return the filter weights that each result maximizes, (results, k): one, or all."""
    each: Array = model.each_weights
    return each.sum(axis=0, keepdims=True) if together else each


def _deprocessed(x: Array, input_range: tuple[float, float]) -> Array:
    """Centre each input in the range, with 1/10 of the range as deviation, and clip it."""
    axes = tuple(range(1, x.ndim))
    x = x - x.mean(axis=axes, keepdims=True)
    x = x / (x.std(axis=axes, keepdims=True) + EPSILON) * 0.1
    low, high = input_range
    return (x + 0.5).clip(0, 1) * (high - low) + low
