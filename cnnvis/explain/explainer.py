"""Explainer: what made an explanation, to explain other targets, inputs or weights in its way."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from cnnvis.data.samples import Array, Samples
from cnnvis.errors import UserError
from cnnvis.execution.calls import call_plugin
from cnnvis.explain.several import by_outputs
from cnnvis.explain.task import Task, images_at_once
from cnnvis.network.model import Model
from cnnvis.registry.plugin import Plugin
from cnnvis.reporting import notes_kept, quietly


@dataclass(frozen=True)
class Explainer:
    """Technique with all its options, and the model and data that it was run on.

    Metrics that ask how maps change are given one, as their parameter `explainer`.

    Attributes
    ----------
    task
        The model and the samples.
    plugin
        The technique.
    options
        All options of the technique.
    """

    task: Task
    plugin: Plugin
    options: Mapping[str, Any]

    @property
    def model(self) -> Model:
        """The explained model, at its target."""
        assert self.task.model is not None
        return self.task.model

    @property
    def has_signs(self) -> bool:
        """True where the technique says how its maps keep their signs."""
        return self.plugin.signed is not None

    def data(self, samples: Samples) -> Samples:
        """Return the whole data set, of the input that these samples are of."""
        every = self.task.data
        return every[samples.input] if samples.input in every else next(iter(every.values()))

    def with_data(self, samples: Samples) -> Explainer:
        """Return an explainer with another data set, of which it makes baselines and references."""
        task = replace(self.task, samples={samples.input: samples}, every=None)
        return replace(self, task=task)

    def maps(
        self,
        samples: Samples,
        filters: Sequence[int] | None = None,
        *,
        model: Model | None = None,
        signed: bool = False,
    ) -> Array:
        """Explain samples as they were explained, (n, ...) float32.

        Parameters
        ----------
        samples
            Inputs in the shape of the network's, (n, ...).
        filters
            The output of the target to explain for each sample; those of the model by default.
        model
            Another model; by default the one that was explained.
        signed
            Keep the signs of the values, where the technique can: saliency then shows no sizes.

        Raises
        ------
        UserError
            If the technique cannot explain that.
        PluginError
            If it fails.
        """
        model = self.model if model is None else model
        if filters is None:
            return self._maps(model, samples, signed=signed)
        found: Array | None = None
        for rows, at in by_outputs(model, [(int(unit),) for unit in filters]):
            part = self._maps(at, samples[rows], signed=signed)
            found = (
                np.zeros((len(samples), *part.shape[1:]), np.float32) if found is None else found
            )
            found[rows] = part
        assert found is not None
        return found

    def _maps(self, model: Model, samples: Samples, *, signed: bool) -> Array:
        options = {**self.options, **((self.plugin.signed or {}) if signed else {})}
        baselines = self.task.baselines(self.plugin, options)
        parts = []
        with notes_kept(), quietly():
            for batch in samples.batches(images_at_once(samples)):
                ready = baselines.ready(batch)
                found = call_plugin(
                    self.plugin,
                    model=model.with_blank_reasons([]).with_inputs_held(ready),
                    samples=ready,
                    **self.task.references(self.plugin, ready),
                    **options,
                )
                if found.maps is None or len(found.maps) != len(batch):
                    raise UserError(f"{self.plugin.name} gives no map for each sample")
                parts.append(found.maps)
        return np.concatenate(parts)

    def baseline(self, samples: Samples) -> Array | None:
        """Return the baseline of the technique for samples, (n, ...) or (1, ...); None without one.

        That of its option `baseline`; zero for a technique that claims to be the gradient times the
        input, whose maps are zero where the input is.
        """
        if "baseline" in self.options:
            ready = self.task.baselines(self.plugin, self.options).ready(samples)
            return ready.baseline(self.options["baseline"])
        if "gradient-times-input" in self.plugin.claims:
            return samples.baseline(0.0)
        return None
