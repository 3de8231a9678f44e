"""Functions that have the same name in Keras 2 and Keras 3 and compute different values."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

HARD_SIGMOID = "hard_sigmoid_of_keras_2"


@functools.cache
def older_functions() -> dict[str, Callable[[Any], Any]]:
    """Return the functions as Keras 2 computes them, under names by which Keras 3 finds them.

    The functions are registered, so that a copy of a network, which other libraries make, gives the
    same results.
    """
    import keras

    def hard_sigmoid_of_keras_2(x: Any) -> Any:
        return keras.ops.clip(x * 0.2 + 0.5, 0.0, 1.0)

    registered = keras.saving.register_keras_serializable("cnnvis", HARD_SIGMOID)
    return {HARD_SIGMOID: registered(hard_sigmoid_of_keras_2)}


def older_function(name: Any) -> dict[str, Any] | None:
    """Describe a function of Keras 2 as Keras 3 reads it; None for functions equal in both.

    Keras 2 computes hard_sigmoid as min(max(x/5 + 1/2, 0), 1), and Keras 3 with x/6. Before 2.3 it
    was what the gates of recurrent layers had if nobody chose another.
    """
    if name != "hard_sigmoid":
        return None
    return {
        "module": "builtins",
        "class_name": "function",
        "config": HARD_SIGMOID,
        "registered_name": f"cnnvis>{HARD_SIGMOID}",
    }
