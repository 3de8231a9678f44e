"""Style in which techniques compute, where nobody says otherwise."""

from __future__ import annotations

import os
from typing import cast, get_args

from cnnvis.errors import UserError, shown
from cnnvis.registry.arguments import Style


def style_of(asked: Style | None) -> Style:
    """Return the style that was asked for; for None, that of ``CNNVIS_STYLE``, else default.

    Raises
    ------
    UserError
        If there is no such style.
    """
    found = asked or os.environ.get("CNNVIS_STYLE") or "default"
    if found not in get_args(Style):
        where = "" if asked else " (the variable CNNVIS_STYLE)"
        raise UserError(f"style{where} is default or paper, not {shown(found)}")
    return cast(Style, found)
