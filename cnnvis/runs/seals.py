"""Plain values as JSON with a checksum in it, so that damage is detected."""

from __future__ import annotations

import hashlib
import json
from typing import Any


def sealed(value: Any, *, indent: int | None = None) -> bytes:
    """Return a plain value as JSON text with its SHA-256, on one line unless it is indented."""
    whole = {"sha256": digest(plain(value)), "value": value}
    separators = None if indent else (",", ":")
    return (json.dumps(whole, indent=indent, separators=separators) + "\n").encode()


def unsealed(text: bytes) -> Any:
    """Return the value, or None where the text is torn or damaged."""
    try:
        whole = json.loads(text)
        value = whole["value"]
        return value if whole["sha256"] == digest(plain(value)) else None
    except (ValueError, KeyError, TypeError, RecursionError):
        return None


def plain(value: Any) -> bytes:
    """Encode a value as bytes that do not depend on the order of its keys."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), default=_number).encode()


def _number(value: Any) -> Any:
    """Convert NumPy's numbers and arrays to Python's, which JSON has."""
    if not hasattr(value, "tolist"):
        raise TypeError(f"{type(value).__name__} is no plain value")
    return value.tolist()


def digest(data: bytes) -> str:
    """Return the SHA-256 of bytes, in hexadecimal."""
    return hashlib.sha256(data).hexdigest()
