"""Renderer of an explanation's raw arrays to a file."""

from __future__ import annotations

from pathlib import Path

import cnnvis


@cnnvis.renderer("numpy", suffixes=(".npz",))
def numpy_file(explanation: cnnvis.Explanation, path: Path) -> None:
    """Raw float32 maps with inputs, labels, axes and provenance, for numpy.load.

    Reading the file needs no pickle: ``maps``, ``inputs``, ``labels`` and ``indices`` are arrays,
    and ``metadata`` is JSON. `cnnvis.Explanation.load` makes an explanation of the file again.
    """
    explanation.write(path)
