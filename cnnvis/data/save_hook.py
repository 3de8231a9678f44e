"""Functions that write and show results by renderers, for methods of the results.

Renderers belong to higher rooms than data. `cnnvis` sets the functions when it is imported, which
is before anything else of it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from cnnvis.files.addresses import Place

save: Callable[[Any, Place, Mapping[str, Any]], None]
"""Write an explanation or a page to a file, with options of the renderer."""

bundle: Callable[[Any], dict[str, str]]
"""Return the forms in which a notebook shows a result, by their types."""

plot: Callable[[Any, Any, Mapping[str, Any]], Any]
"""Draw an explanation on axes of matplotlib, with options, and return the figure."""

show: Callable[[Any, Mapping[str, Any]], None]
"""Print an explanation to a terminal, with options of the renderer."""
