"""Plain values as JSON with a checksum in it, so that damage is seen."""

from __future__ import annotations

import hashlib
import json
from typing import Any


def sealed(value: Any, *, indent: int | None = None) -> bytes:
    """A plain value as JSON text with its SHA-256, on one line unless it is indented."""
    whole = {"sha256": digest(plain(value)), "value": value}
    separators = None if indent else (",", ":")
    return (json.dumps(whole, indent=indent, separators=separators) + "\n").encode()


def unsealed(text: bytes) -> Any:
    """The value, or None where the text is torn or damaged."""
    try:
        whole = json.loads(text)
        value = whole["value"]
        return value if whole["sha256"] == digest(plain(value)) else None
    except (ValueError, KeyError, TypeError, RecursionError):
        return None


def plain(value: Any) -> bytes:
    """The same bytes for the same value, whatever the order of its keys."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), default=_number).encode()


def _number(value: Any) -> Any:
    """NumPy's numbers and arrays as Python's, which JSON has."""
    if not hasattr(value, "tolist"):
        raise TypeError(f"{type(value).__name__} is no plain value")
    return value.tolist()


def digest(data: bytes) -> str:
    """The SHA-256 of bytes, in hexadecimal."""
    return hashlib.sha256(data).hexdigest()
