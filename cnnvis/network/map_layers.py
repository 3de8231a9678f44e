"""Layers whose feature maps can be laid over an input, since the target depends on their positions."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from cnnvis.network.backend import keras, tensorflow
from cnnvis.network.geometry.origin import Origin
from cnnvis.network.graph import Call
from cnnvis.network.inference import Inference
from cnnvis.network.positions import origin_of


def names_of_map_layers(inference: Inference, shape: tuple[int, ...]) -> frozenset[str]:
    """Name the layers before the target with positions in the explained input that it depends on.

    Parameters
    ----------
    shape
        The shape of one sample of the input.
    """
    resolution, source = inference.resolution, inference.feeds.explained
    traced = resolution.traced
    found: set[str] = set()
    unsure: list[tuple[Call, Origin]] = []
    for layer in reversed(resolution.layers_behind(source.slot)):  # the last follows most others
        call = traced.calls[layer.name]
        if not layer.spatial_axes or not call.dtype.startswith(("float", "bfloat")):
            continue
        origin = origin_of(traced, call, source, shape)
        if origin is None:
            continue
        channel = traced.channel_axis(call) % (len(origin.axes) + 1)
        if max(origin.along(channel).values(), default=1) == 1:
            continue
        if origin.has_outside:
            unsure.append((call, origin))
        else:
            found.add(call.name)
    return frozenset(found | (_with_a_part(inference, unsure, shape) if unsure else set()))


def _with_a_part(
    inference: Inference, calls: Sequence[tuple[Call, Origin]], shape: tuple[int, ...]
) -> set[str]:
    """Name the calls whose positions in the input have a part in the target.

    Behind the last attention, a class token alone may have one: then the gradient is exactly zero
    everywhere else, for any input.
    """
    tf = tensorflow()
    rng = np.random.default_rng(6)
    is_whole = inference.feeds.explained.dtype.startswith(("int", "uint"))
    rows = inference.graph.batch or 1  # as many as run at a time, and are not put together
    x = np.ones((rows, *shape)) if is_whole else rng.normal(size=(rows, *shape))
    arrays = inference.feeds.arrays(x, [0] * rows)
    tensors = [keras().ops.convert_to_tensor(one) for one in arrays]
    run = inference.target_pass(None, *(call for call, _ in calls))
    weights = rng.normal(size=(rows, inference.resolution.units))  # no two units cancel each other
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        activations, _, scores = run.score(tensors, weights, tape.watch)
    slopes = tape.gradient(scores, activations)
    found = set()
    for (call, origin), slope in zip(calls, slopes, strict=True):
        inside = (slice(None), *(slice(*ends) for ends in origin.inside))
        if slope is not None and np.asarray(tf.convert_to_tensor(slope))[inside].any():
            found.add(call.name)
    return found
