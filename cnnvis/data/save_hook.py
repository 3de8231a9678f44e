"""Function that writes an explanation by a renderer, for `Explanation.save`.

Renderers belong to higher rooms than data. `cnnvis` sets the function when it is imported, which
is before anything else of it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

save: Callable[[Any, Path, Mapping[str, Any]], None]
