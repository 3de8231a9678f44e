"""JSON schema of ``cnnvis.toml``, for editors."""

from __future__ import annotations

from typing import Any

import msgspec

from cnnvis.data.axes import NAMES, Axis
from cnnvis.registry.discovery import registry
from cnnvis.registry.options import checkable, options_of
from cnnvis.settings.chain_files import MOST_STEPS, TYPES
from cnnvis.settings.defaults import GENERAL


def schema() -> dict[str, Any]:
    """Return the JSON schema of ``cnnvis.toml``, every plugin's options included."""
    (axis,), definitions = msgspec.json.schema_components([Axis])
    definitions["Axis"]["additionalProperties"] = False
    axes = {"type": "object", "properties": dict.fromkeys(NAMES, axis)}
    properties: dict[str, Any] = {
        **{key: msgspec.json.schema(kind) for key, kind in GENERAL.items()},
        "chains": {"type": "object", "additionalProperties": _chain(axes)},
        "axes": axes,
    }
    for plugin in registry():
        known = properties.setdefault(
            plugin.name,
            {
                "type": "object",
                "description": plugin.summary,
                "properties": {},
                "additionalProperties": False,
            },
        )
        for option in options_of(plugin):
            if option.grants:
                continue
            kind = msgspec.json.schema(checkable(option.annotation))
            kind = {"anyOf": [kind, {"const": "none"}]} if None in option.choices else kind
            default = "none" if option.default is None else option.default
            default = list(default) if isinstance(default, tuple) else default
            known["properties"][option.name] = {
                **kind,
                "description": option.help,
                "default": default,
            }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "cnnvis.toml",
        "type": "object",
        "properties": properties,
        "additionalProperties": False,
        "$defs": definitions,
    }


def _chain(axes: dict[str, Any]) -> dict[str, Any]:
    """Return the schema of a chain's table: its subject, and a table for each step."""
    step = {"type": "object", "properties": {"step": {"type": "string"}}, "required": ["step"]}
    return {
        "type": "object",
        "properties": {
            **{key: msgspec.json.schema(kind) for key, kind in TYPES.items()},
            "axes": axes,
            "steps": {"type": "array", "items": step, "minItems": 1, "maxItems": MOST_STEPS},
        },
        "required": ["steps"],
        "additionalProperties": False,
    }
