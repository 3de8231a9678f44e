"""Seeds of the random numbers that libraries draw."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Seed NumPy's and TensorFlow's random numbers inside the block; restore NumPy's after it."""
    import numpy as np
    import tensorflow as tf

    before = np.random.get_state()
    np.random.seed(seed)
    tf.random.set_seed(seed)
    try:
        yield
    finally:
        np.random.set_state(before)
