"""Search for the smallest inputs that a network of open sizes takes."""

from __future__ import annotations

from collections.abc import Sequence

from cnnvis.errors import UserError
from cnnvis.network.backend import tensorflow
from cnnvis.network.graph import Graph, Slot
from cnnvis.reporting import progress, quietly

DOUBLED = 12
"""Number of times that a size is doubled before another reason is looked for."""


def enough(
    graph: Graph, wanted: Sequence[Slot], explained: int, shapes: Sequence[Sequence[int]]
) -> tuple[int, ...] | None:
    """Find the smallest shape of an input that a network can compute something of.

    The axes whose sizes are open grow together, in the proportions that they have; the network is
    traced for each size that is tried, and not run.

    Parameters
    ----------
    wanted
        Values to compute.
    explained
        Number of the input that grows.
    shapes
        The shapes of all inputs, those of one sample.

    Returns
    -------
    tuple or None
        The shape of one sample; None if the size is not what is wrong.
    """
    one = graph.inputs[explained]
    shape = tuple(int(size) for size in shapes[explained])
    free = [axis for axis, size in enumerate(one.shape) if size is None]
    if not free:
        return None
    first = shape[free[0]]

    def grown(size: int) -> tuple[int, ...]:
        return tuple(
            max(-(-length * size // first), length) if axis in free else length
            for axis, length in enumerate(shape)
        )

    def passes(size: int) -> bool:
        sizes = [grown(size) if at == explained else given for at, given in enumerate(shapes)]
        tf = tensorflow()
        specs = [
            tf.TensorSpec([graph.batch or 1, *given], each.dtype)
            for given, each in zip(sizes, graph.inputs, strict=True)
        ]
        try:
            tf.function(lambda *x: graph.run(x, wanted), autograph=False).get_concrete_function(
                *specs
            )
        except (UserError, ValueError):
            return False
        return True

    with progress("finding the smallest input") as advance, quietly():
        low, high = first, 2 * first
        for _ in range(DOUBLED):
            if passes(high):
                break
            low, high = high, 2 * high
            advance(1)
        else:
            return None
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (low, middle) if passes(middle) else (middle, high)
            advance(1)
    return grown(high)
