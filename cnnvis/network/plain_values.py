"""Numbers of other libraries as Python's own, such as files in JSON can hold."""

from __future__ import annotations

from typing import Any


def plain(value: Any) -> Any:
    """Return numbers of NumPy or TensorFlow, and floats that are whole, as Python's own numbers."""
    value = value.numpy() if hasattr(value, "numpy") else value
    value = value.tolist() if hasattr(value, "tolist") else value
    if isinstance(value, list | tuple):
        return [plain(one) for one in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value
