"""Results that notebooks show."""

from __future__ import annotations

from typing import Any

from cnnvis.data import save_hook


class Shown:
    """Result that a notebook shows as a static page: text, HTML and, of maps, a picture."""

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        """Return the forms in which a notebook may show the result, by their types."""
        wanted = save_hook.bundle(self)
        kinds = [kind for kind in wanted if include is None or kind in include]
        return {kind: wanted[kind] for kind in kinds if kind not in (exclude or ())}
