"""Baselines that options name, made ready for the samples that a plugin is given."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from cnnvis.data.samples import Array, Samples, number_of
from cnnvis.errors import UserError
from cnnvis.execution.calls import call_plugin
from cnnvis.registry.discovery import registry
from cnnvis.registry.options import options_of
from cnnvis.registry.plugin import Plugin

DEEPEST = 5
"""Maximum number of baselines that name each other."""


def named_in(plugin: Plugin, options: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the names of baselines in a plugin's options; numbers need no making.

    Raises
    ------
    UserError
        If there is no baseline of a name.
    """
    values = [options[one.name] for one in options_of(plugin) if one.names_kind == "baseline"]
    names = tuple(str(value) for value in values if number_of(value) is None)
    for name in names:
        registry().get("baseline", _parsed(name)[0])
    return names


def _parsed(name: str) -> tuple[str, str]:
    plugin, _, argument = name.partition(":")
    return plugin, argument


@dataclass
class Baselines:
    """Baselines of some names, for any batch of samples.

    Attributes
    ----------
    names
        The names as they were typed: ``mean``, ``class:neutral``.
    data
        The whole data set by the network's inputs, each in the shape of that input; under None for
        a network of one input.
    """

    names: Sequence[str]
    data: Callable[[], Mapping[str | None, Samples]]
    _of_all: dict[tuple[str, str], Array] = field(default_factory=dict)
    _taken: dict[str, str] = field(default_factory=dict)

    @property
    def taken(self) -> dict[str, str]:
        """Names of the baselines that were taken, by the typed names that stand for others."""
        return dict(self._taken)

    def ready(self, batch: Samples) -> Samples:
        """Return the samples with every baseline made for each of their inputs.

        Raises
        ------
        UserError
            If a baseline cannot be made of these data.
        PluginError
            If a plugin fails.
        """
        if not self.names:
            return batch
        made: dict[str, dict[str, Array]] = {}
        for name in self.names:
            made[name] = {}
            for key in batch.inputs or {"": batch.source}:
                if np.dtype(batch.inputs.get(key, batch.source).dtype).kind in "fiub":
                    of = batch.explaining(key) if key and key != batch.input else batch
                    made[name][key] = self._made(name, key, of)
        return replace(batch, baselines=made)

    def _made(self, name: str, key: str, batch: Samples) -> Array:
        if (name, key) in self._of_all:
            return self._of_all[name, key]
        data = self.data()
        whole = data[key or None] if (key or None) in data else next(iter(data.values()))
        text = name
        for _ in range(DEEPEST):
            number = number_of(text)
            if number is not None:
                found = np.full(whole.source.shape[1:], number, np.float32)
                break
            plugin_name, argument = _parsed(text)
            plugin = registry().get("baseline", plugin_name)
            if argument and not plugin.takes("argument"):
                raise UserError(
                    f"the baseline {plugin_name} takes nothing behind a colon, and is asked for as "
                    f"{text!r}"
                )
            given = {"data": whole, "samples": batch, "argument": argument}
            answer = call_plugin(
                plugin, **{what: one for what, one in given.items() if plugin.takes(what)}
            )
            if not isinstance(answer, str):
                found = answer
                if plugin.takes("samples"):
                    return _kept(found)
                break
            text = self._taken[name] = answer
        else:
            raise UserError(f"the baselines {name!r} and {text!r} stand for each other")
        self._of_all[name, key] = _kept(found[None])
        return self._of_all[name, key]


def _kept(array: Array) -> Array:
    array = np.ascontiguousarray(array, np.float32)
    array.flags.writeable = False
    return array
