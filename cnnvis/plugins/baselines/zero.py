"""Baseline of zeros."""

from __future__ import annotations

from typing import Any

import cnnvis


@cnnvis.baseline("zero")
def zero(data: cnnvis.Samples) -> Any:
    """Zero everywhere: a method that starts from it says nothing about positions that are zero."""
    import numpy as np

    return np.zeros(data.source.shape[1:], np.float32)
