"""Bounds on the variables and inputs of a network, checked before memory is taken for them.

A few letters of a configuration ask for any amount: `Dense(67108864)` behind a large input. So a
network's variables are held against the numbers that its file holds.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import cnnvis
from cnnvis.plugins.loaders.obstacles import TRUST

SPARE = 2**17
"""Number of values that a network may have in excess of its file.

Such values are not stored, as the seeds of layers that draw random numbers.
"""

INPUT = 2**28
"""Maximum number of values of one sample that a network asks for."""


def require_input_sizes(shapes: Iterable[Any]) -> None:
    """Refuse shapes of inputs that no sample has.

    Raises
    ------
    UserError
        With the shape.
    """
    for shape in shapes:
        sizes = [size for size in shape if isinstance(size, int)] if isinstance(shape, list) else []
        if any(size < 0 for size in sizes) or math.prod(sizes) > INPUT:
            raise cnnvis.UserError(
                f"the file is not loaded: its network takes inputs of the shape {shape}; {TRUST}"
            )


def unallocated(build: Callable[[], Any], stored: int) -> Any:
    """Build a network of Keras 3 whose variables get memory once they are known to fit the file.

    Parameters
    ----------
    build
        Function that builds the network.
    stored
        The number of values in the file.

    Raises
    ------
    UserError
        If the network has more values than the file.
    """
    import keras
    from keras.src.backend.common import global_state

    pending = "uninitialized_variables"
    before = list(global_state.get_global_attribute(pending, default=[]))
    fits = False
    try:
        with keras.StatelessScope(initialize_variables=False), bounded_constants(keras, stored):
            network = build()
        require_stored((variable.shape for variable in network.variables), stored)
        fits = True
    finally:
        if not fits:  # else Keras would make them all the next time somebody leaves such a scope
            global_state.set_global_attribute(pending, before)
    with keras.StatelessScope():
        pass  # Keras gives all variables that wait for it their values when such a scope ends
    return network


def require_stored(shapes: Iterable[Any], stored: int) -> None:
    """Refuse variables with more values than a file holds.

    Raises
    ------
    UserError
        With both numbers.
    """
    needed = 0
    for shape in shapes:
        needed += math.prod(int(size) for size in shape)
        if needed > stored + SPARE:
            raise cnnvis.UserError(
                "the weights in the file do not fit the network described there: the network "
                f"needs more than {needed:,} numbers, and the file holds {stored:,}"
            )


@contextmanager
def bounded_constants(home: Any, stored: int) -> Iterator[None]:
    """Bound the constants that layers make of numbers in a configuration, inside the block.

    Parameters
    ----------
    home
        The package, keras or tf_keras.
    stored
        The number of values in the file.

    Raises
    ------
    UserError
        As in `require_stored`.
    """
    kind = home.layers.Normalization
    build, shapes = kind.build, []

    def bounded(layer: Any, input_shape: Any) -> None:
        if layer.input_mean is not None:  # is repeated for each place along the axes that are kept
            sizes = [input_shape[axis] for axis in _axes(layer.axis, len(input_shape))]
            shapes.extend([[size or 1 for size in sizes]] * 2)
            require_stored(shapes, stored)
        build(layer, input_shape)

    kind.build = bounded
    try:
        yield
    finally:
        kind.build = build


def _axes(axis: Any, rank: int) -> list[int]:
    axes = [] if axis is None else axis if isinstance(axis, list | tuple) else [axis]
    return [one for one in axes if isinstance(one, int) and -rank <= one < rank]


@contextmanager
def counting(stored: int) -> Iterator[None]:
    """Refuse to make variables of tf_keras that do not fit the file, inside the block.

    Raises
    ------
    UserError
        As in `require_stored`.
    """
    import tensorflow as tf
    import tf_keras

    shapes: list[Any] = []

    def create(make: Callable[..., Any], **settings: Any) -> Any:
        shape = settings.get("shape")
        initial = settings.get("initial_value")
        # A part of a function, which tf_keras makes of an initializer and a shape.
        arguments = getattr(initial, "args", ())
        shape = arguments[0] if shape is None and arguments else shape
        shapes.append(() if shape is None else tuple(shape))
        require_stored(shapes, stored)
        return make(**settings)

    with tf.variable_creator_scope(create), bounded_constants(tf_keras, stored):
        yield
