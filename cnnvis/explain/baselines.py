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
        If there is no baseline of a name, or a number is none that a network can take.
    """
    number = options.get("baseline")  # of a technique that takes a number alone, too
    if isinstance(number, int | float):
        number_of(number)
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

    def settle(self) -> None:
        """Find out which baselines the names stand for, even where no image is left to explain."""
        for name in self.names:
            plugin = registry().get("baseline", _parsed(name)[0])
            for key, data in () if plugin.takes("samples") else self.data().items():
                self._made(name, key or "", data)

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
        inputs = batch.inputs or {"": batch.source}
        made = {
            name: {
                key: self._made(
                    name, key, batch if key in ("", batch.input) else batch.explaining(key)
                )
                for key in inputs
            }
            for name in self.names
        }
        return replace(batch, baselines=made)

    def _made(self, name: str, key: str, batch: Samples) -> Array:
        """Return a baseline for one of the inputs: one for all samples is made once, (1, ...)."""
        if (name, key) in self._of_all:
            return self._of_all[name, key]
        by_input = self.data()
        data = by_input[key] if key in by_input else next(iter(by_input.values()))
        found: Array | str = name
        plugin: Plugin | None = None
        for _ in range(DEEPEST):
            asked = str(found)
            number = number_of(asked)
            if number is not None:
                found = np.full(data.source.shape[1:], number, np.float32)
                break
            plugin_name, argument = _parsed(asked)
            plugin = registry().get("baseline", plugin_name)
            if argument and not plugin.takes("argument"):
                raise UserError(
                    f"the baseline {plugin_name} takes nothing behind a colon, and is asked for as "
                    f"{asked!r}"
                )
            given = {"data": data, "samples": batch, "argument": argument}
            found = call_plugin(
                plugin, **{what: one for what, one in given.items() if plugin.takes(what)}
            )
            if not isinstance(found, str):
                break
            self._taken[name] = found
        if isinstance(found, str):
            raise UserError(f"the baselines {name!r} and {found!r} stand for each other")
        if plugin is not None and plugin.takes("samples"):
            return _kept(found)
        self._of_all[name, key] = _kept(found[None])
        return self._of_all[name, key]


def _kept(array: Array) -> Array:
    array = np.ascontiguousarray(array, np.float32)
    array.flags.writeable = False
    return array
