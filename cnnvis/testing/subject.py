"""Plugin under test: its calls, and checks that it leaves things as they are."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from cnnvis.api.run import run
from cnnvis.data.explanation import Explanation
from cnnvis.data.samples import Array, Samples
from cnnvis.execution.calls import call_plugin
from cnnvis.explain.baselines import Baselines, named_in
from cnnvis.network.model import Model
from cnnvis.registry.discovery import Registry
from cnnvis.registry.options import checked, options_of
from cnnvis.registry.plugin import BUILT_IN, Plugin
from cnnvis.reporting import notes_kept
from cnnvis.testing.judging import Violation, may_refuse, off, without_channels
from cnnvis.testing.networks import data_of, shape_of, small_network


@dataclass(frozen=True)
class Subject:
    """Plugin under test, and its options."""

    known: Registry
    plugin: Plugin
    options: Mapping[str, Any]

    def explained(self, network: Any, data: Any, **more: Any) -> Explanation:
        """Explain a network with the technique, run as a person would run it."""
        # Without the checks beside maps: those judge what is explained, and take as long again.
        asked = {"checks": "none", **self.options, **more}
        return run(self.plugin.name, network, data=data, **asked)

    def called(self, network: Any, samples: Samples) -> Explanation:
        """Explain exactly these samples with the technique, with nothing around it."""
        model = Model(network)
        (shaped,) = model.shaped(samples).values()
        options = checked(self.plugin, self.options)
        ready = Baselines(named_in(self.plugin, options), lambda: {None: shaped}).ready(shaped)
        subject = {"model": model, "samples": ready, "references": shaped}
        given = {name: one for name, one in subject.items() if self.plugin.takes(name)}
        found: Explanation = call_plugin(self.plugin, **given, **options)
        return found

    def maps(self, network: Any, data: Any, **more: Any) -> Array:
        """Return the maps of the technique, (n, ...)."""
        return self.explained(network, data, **more).array

    def spatial(self, network: Any, data: Any, **more: Any) -> Array:
        """Return the maps over the spatial axes alone, (n, ...), their channels added up."""
        return without_channels(self.explained(network, data, **more))

    def noise(self, found: Array, network: Any, data: Any, **more: Any) -> float:
        """Return the largest difference from the maps of another seed: 0 if nothing is drawn."""
        if not any(option.name == "seed" for option in options_of(self.plugin)):
            return 0.0
        seed = more.get("seed", self.default("seed")) or 0
        return off(found, self.spatial(network, data, **{**more, "seed": int(seed) + 1}))

    def default(self, option: str) -> Any:
        """Return the value that an option has in the test; None if there is no such option."""
        values = {one.name: one.default for one in options_of(self.plugin)} | dict(self.options)
        return values.get(option)

    @property
    def takes_baseline(self) -> bool:
        """True where the plugin has an option `baseline` that takes any baseline."""
        return any(
            one.name == "baseline" and one.names_kind == "baseline"
            for one in options_of(self.plugin)
        )

    @property
    def watched(self) -> Subject:
        """Subject with a close watch on the plugin, which no built-in plugin has at every call."""
        plugin = self.plugin
        if plugin.distribution == BUILT_IN:
            plugin = replace(plugin, distribution=f"{BUILT_IN} itself")
        return replace(self, plugin=plugin)


PROCESS = "the rest of the process stays as it is"


def process_unchanged(called: Callable[[], Any]) -> None:
    """Check that a call leaves the process as it is.

    The border puts back what a plugin changes, and notes it.
    """
    called()  # what is imported now and here may set up what it likes
    with notes_kept() as notes:
        called()
    for note in notes:
        if "which was put back" in note:
            raise Violation(note)


def technique_changes_nothing(subject: Subject) -> None:
    """Check that a technique leaves the process as it is while it explains an ordinary network."""
    network, samples = small_network(2), Samples.of(data_of(shape_of(2)), np.array([0, 1, 2, 0]))
    with may_refuse():
        process_unchanged(lambda: subject.watched.called(network, samples))


def model_unchanged(explained: Callable[[Any], Any]) -> None:
    """Check that a network that is explained keeps its weights and its answers."""
    network, data = small_network(2), data_of(shape_of(2))
    before, answers = network.get_weights(), network.predict_on_batch(data)
    explained(network)
    after = network.get_weights()
    if any(not np.array_equal(a, b) for a, b in zip(before, after, strict=True)):
        raise Violation("it changed the weights of the network")
    if not np.array_equal(answers, network.predict_on_batch(data)):
        raise Violation("it changed what the network answers")
