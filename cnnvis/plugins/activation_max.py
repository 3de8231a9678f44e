"""Activation maximization: the input that a filter or class answers to most."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Literal

import cnnvis

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Array = npt.NDArray[np.floating[Any]]

EPSILON = 1e-7
AT_ONCE = 10  # steps between two looks at the clock, for the bar
DECAY = 0.95  # of RMSprop's running mean of squares


def _check(
    *,
    lp_norm: float,
    input_range: tuple[float, float],
    jitter: tuple[float, ...],
    seed: int,
    **_: object,
) -> None:
    if seed < 0:
        raise cnnvis.UserError(f"seed is {seed}, and must not be negative")
    if any(abs(value) > 1e9 or value != value for value in (*input_range, *jitter)):
        raise cnnvis.UserError("input_range and jitter take ordinary numbers, not NaN or infinity")
    if lp_norm < 1:
        raise cnnvis.UserError(f"lp_norm is {lp_norm:g}, and a norm's p is at least 1")
    if input_range[0] >= input_range[1]:
        raise cnnvis.UserError(f"input_range is {input_range}; it takes the smallest value first")


@cnnvis.technique(
    "activation-max",
    reference="Erhan et al. 2009, Univ. de Montreal 1341",
    gives="pictures",
    check=_check,
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
    input_range: tuple[float, float] = (0.0, 255.0),
    start: Literal["noise", "data"] = "noise",
    together: bool = False,
    seed: int = 0,
) -> cnnvis.Explanation:
    """Which input a filter or class answers to most, found by gradient ascent.

    Minimizes -w_a S(x) + w_tv TV(x) + w_p |x|_p, for the score S, by RMSprop from noise: Erhan et
    al. 2009; the total variation TV as in Mahendran and Vedaldi 2016, arXiv:1512.02017, section
    3.2.2. The defaults are those of CNN-vis. Without a layer, every convolution and dense layer is
    shown.

    Parameters
    ----------
    backprop
        How gradients pass back through ReLUs: none (plain), guided (only positive ones, where the
        ReLU is on), rectified (only positive ones; also called deconv and relu).
    gradient
        What is made of the gradient before each step.
    iterations
        How many steps are taken. The input with the smallest loss is kept.
    activation_weight
        How much the score counts.
    tv_weight
        How much total variation counts against an input: more gives smoother ones.
    lp_norm_weight
        How much the L-p norm counts against an input: more keeps values small.
    lp_norm
        The p of that norm, at least 1; inf for the largest value.
    jitter
        By how much the input is shifted at random before each step, around its edges: pixels, or
        the share of an axis where below 1; one number for all spatial axes or one for each.
    input_range
        The smallest and largest value of the result, and what the noise is drawn for.
    start
        What the ascent begins from: noise, or the images given as data, one result for each.
    together
        Maximize the sum of the filters asked for in one input, instead of one input for each.
    seed
        Of the noise and the jitter; the same seed gives the same result.
    """
    if start == "noise" and len(model.inputs) > 1:
        raise cnnvis.UserError(
            f"the network takes {len(model.inputs)} inputs, and noise in one of them means nothing "
            "without the others; give these, and start from them too: --start data --data FILE"
        )
    if start == "data" and samples is None:
        raise cnnvis.UserError("start is 'data', and there are no data to start from; add --data")
    import numpy as np

    rng = np.random.default_rng(seed)
    if start == "data" and samples is not None:
        starts = samples.x
    else:
        starts = _noise(_fixed(model.input_shape), input_range, rng)[None]
    space = [axis for axis in range(1, starts.ndim) if axis != _channel(model, starts)]
    pixels = _pixels(jitter, [starts.shape[axis] for axis in space])
    shifts = np.stack([rng.integers(-p, p + 1, iterations) for p in pixels], axis=1)

    results: list[Array] = []
    targets: list[cnnvis.Target] = []
    unmoved: list[str] = []
    for at in _targets(model):
        weights = _weights(at, together)
        x = np.repeat(starts.astype(np.float32), len(weights), axis=0)
        weights = np.tile(weights, (len(starts), 1))
        of = np.repeat(np.arange(len(starts)), len(x) // len(starts)).tolist()
        held = of if start == "data" else None
        try:
            score = at.scorer(backprop=backprop, of=held)
        except cnnvis.UserError:
            if model.asked_layer is not None or at.layer == model.layer:
                raise
            score = at.scorer(of=held)  # a layer before the first rectifier, one of many
        terms = (activation_weight, tv_weight, lp_norm_weight, lp_norm)
        losses = _losses(score, *terms, space)
        make = functools.partial(_steps, losses, gradient, space)
        # What is traced holds other inputs as they are now, so then it is for this once only.
        with_others = held is not None and len(model.inputs) > 1
        key = ("activation-max", backprop, gradient, *terms, *space)
        steps = make() if with_others else at.kept(key, make)
        with cnnvis.progress(f"maximizing {at.layer}", iterations) as advance:
            best = _descend(steps, x, weights, shifts, advance)
        found = at.targets(best, weights=weights, of=of)
        before = at.targets(x, weights=weights, of=of)
        unmoved += [str(now) for was, now in zip(before, found, strict=True) if was == now]
        results.append(_deprocessed(best, input_range))
        targets += found
    if unmoved:
        about = f"no step changed the score of {', '.join(unmoved)}: its ReLUs stay off, so what "
        if len(unmoved) == len(targets):
            raise cnnvis.UserError(f"{about}came out says nothing of it; try another seed or start")
        cnnvis.note(f"{about}its picture shows is smoothed noise")
    return cnnvis.Explanation(
        np.concatenate(results),
        axes=cnnvis.axis_names(results[0].ndim - 1, model.input_channel_axis),
        targets=tuple(targets),
        signed=False,
        are_inputs=True,
    )


def _fixed(shape: tuple[int | None, ...]) -> tuple[int, ...]:
    if None in shape:
        raise cnnvis.UserError(
            f"the model takes inputs of any size {shape}, so there is no telling how large the "
            "result should be; start from data of the wanted size: --start data --data FILE"
        )
    return tuple(size for size in shape if size is not None)


def _noise(shape: tuple[int, ...], input_range: tuple[float, float], rng: Any) -> Array:
    """Uniform noise about the middle of the range, its deviation a twentieth of it."""
    low, high = input_range
    noise: Array = rng.random(shape)
    noise = (noise - noise.mean()) / (noise.std() + EPSILON)
    return noise * 0.05 * (high - low) + (low + high) / 2


def _channel(model: cnnvis.Model, x: Array) -> int | None:
    axis = model.input_channel_axis
    return None if axis is None else axis % x.ndim


def _pixels(jitter: Sequence[float], space: Sequence[int]) -> list[int]:
    """The largest shift along each spatial axis, for axes of these lengths."""
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
    """The model at the layer asked for, or at every convolution and dense layer."""
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
            at = model.at(name, model.asked_filters)
            _ = at.filters  # looked up now, to leave out a layer that has no such filter
            if at.depends_on_input:
                fitting.append(at)
        except cnnvis.UserError as error:
            cnnvis.note(f"{name} was left out: {error}")
    if not fitting:
        raise cnnvis.UserError(f"no layer has the output {model.asked_filters}")
    return fitting


def _weights(model: cnnvis.Model, together: bool) -> Array:
    """What each result maximizes, (results, k): one filter each, or all of them added up."""
    each: Array = model.each_weights
    return each.sum(axis=0, keepdims=True) if together else each


def _losses(
    score: Callable[[Any, Any], Any],
    activation_weight: float,
    tv_weight: float,
    lp_norm_weight: float,
    lp_norm: float,
    space: Sequence[int],
) -> Callable[[Any, Any], Any]:
    """The loss and the score of each input, (n,); terms that do not count are not computed."""
    import tensorflow as tf

    def losses(x: Any, weights: Any) -> Any:
        values = float(x.shape[1:].num_elements())
        scores = score(x, weights)
        total = -activation_weight * scores
        if lp_norm_weight:
            total += lp_norm_weight * _norm(tf.abs(x), lp_norm) / values
        if tv_weight:
            total += tv_weight * _total_variation(x, space) / values
        return total, scores

    return losses


def _norm(sizes: Any, p: float) -> Any:
    import tensorflow as tf

    axes = range(1, len(sizes.shape))
    if p == float("inf"):
        return tf.reduce_max(sizes, axis=axes)
    return tf.reduce_sum(sizes**p, axis=axes) ** (1 / p)


def _total_variation(x: Any, space: Sequence[int]) -> Any:
    """The sum of squared differences to the next value along each spatial axis, (n,)."""
    import tensorflow as tf

    rank = len(x.shape)

    def inner(moved: int | None) -> Any:
        bounds = [slice(None)] * rank
        for axis in space:
            bounds[axis] = slice(1, None) if axis == moved else slice(None, -1)
        return x[tuple(bounds)]

    squares = sum(tf.square(inner(axis) - inner(None)) for axis in space)
    return tf.reduce_sum(squares, axis=range(1, rank))


def _steps(
    losses: Callable[[Any, Any], Any],
    gradient: cnnvis.GradientModifier | None,
    space: Sequence[int],
) -> Any:
    """A compiled function that takes one step of RMSprop for each shift that it is given."""
    import tensorflow as tf

    def step(x: Any, cache: Any, best: Any, smallest: Any, weights: Any, shift: Any) -> Any:
        axes = list(range(1, len(x.shape)))
        x = tf.roll(x, shift, space)
        with tf.GradientTape(persistent=True, watch_accessed_variables=False) as tape:
            tape.watch(x)
            loss, scores = losses(x, weights)
        if tape.gradient(scores, x) is None:
            raise cnnvis.UserError(
                "the score has no gradient by the input, so nothing can be climbed: a layer on the "
                "way, such as an Embedding, takes whole numbers"
            )
        slope = tape.gradient(loss, x)
        slope = tf.math.l2_normalize(slope, axis=axes)
        slope = cnnvis.modify_gradient(slope, gradient)
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


def _descend(
    steps: Any,
    x: Array,
    weights: Array,
    shifts: npt.NDArray[np.int64],
    advance: Callable[[int], None],
) -> Array:
    """The input with the smallest loss that RMSprop meets from each start, (n, ...)."""
    import tensorflow as tf

    tensors = tf.constant(x), tf.zeros_like(x), tf.constant(x), tf.fill([len(x)], float("inf"))
    weights = tf.constant(weights)
    # A concrete function, since TensorFlow warns of every new tf.function that is traced.
    some = tf.TensorSpec((None, shifts.shape[1]), tf.int32)
    traced = steps.get_concrete_function(*tensors, weights, some)
    for start in range(0, len(shifts), AT_ONCE):
        part = shifts[start : start + AT_ONCE]
        tensors = traced(*tensors, weights, tf.constant(part, tf.int32))
        advance(len(part))
    best: Array = tensors[2].numpy()
    return best


def _deprocessed(x: Array, input_range: tuple[float, float]) -> Array:
    """Each input about the middle of the range, its deviation a tenth of it, clipped to it."""
    axes = tuple(range(1, x.ndim))
    x = x - x.mean(axis=axes, keepdims=True)
    x = x / (x.std(axis=axes, keepdims=True) + EPSILON) * 0.1
    low, high = input_range
    return (x + 0.5).clip(0, 1) * (high - low) + low
