"""Class sensitivity: whether a map would be the same for another class."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import cnnvis

WARNS, FAILS = 0.5, 0.9


def _judge(values: Mapping[str, Any]) -> cnnvis.Verdict:
    import numpy as np

    known = values["class-sensitivity"][~np.isnan(values["class-sensitivity"])]
    if not len(known):
        return cnnvis.Verdict(
            "information",
            "nothing is judged: the method says nothing of signs, or the target is no single class",
        )
    mean = float(known.mean())
    found = f"the correlation of signed maps with those of the runner-up output is {mean:.2f}"
    if mean > FAILS:
        return cnnvis.Verdict(
            "failed",
            f"{found}: a map would look much the same for another output; either both rest on the "
            "same evidence, or the method does not show what speaks for one of them",
        )
    if mean > WARNS:
        return cnnvis.Verdict("warned", f"{found}: maps of two outputs look much alike")
    return cnnvis.Verdict("passed", f"{found}, so signed maps of two outputs differ")


@cnnvis.metric("class-sensitivity", reference="arXiv:1912.09818", judge=_judge, better="lower")
def class_sensitivity(
    explanation: cnnvis.Explanation, model: cnnvis.Model, explainer: cnnvis.Explainer
) -> Any:
    """Spearman's correlation of a map with the map of the runner-up class, their signs kept.

    The runner-up is the output of the target layer with the largest value but the explained one.
    Without signs, even the plain gradient of a network with two classes looks alike for both: then
    nothing is judged, and this is NaN. Above 0.5 on average is a warning, above 0.9 a failure: as
    Sixt et al. 2020 show, guided backpropagation and deconvolution hardly depend on the class.
    """
    import numpy as np

    samples = explanation.samples
    nothing = np.full(len(explanation), np.nan)
    if samples is None or not explainer.has_signs:
        return nothing
    outputs = model.outputs(samples.x)
    own = [target.filters for target in explanation.targets]
    if outputs.ndim != 2 or any(len(filters) != 1 for filters in own):
        return nothing
    explained = np.array([filters[0] for filters in own])
    if outputs.shape[1] == 1:
        if not model.has_classes:
            return nothing
        runner_up = 1 - explained  # of the two classes that a single sigmoid stands for
    else:
        others = np.array(outputs)
        others[np.arange(len(samples)), explained] = -np.inf
        runner_up = others.argmax(axis=1)
    this = explainer.maps(samples, explained.tolist(), signed=True)
    that = explainer.maps(samples, runner_up.tolist(), signed=True)
    return cnnvis.spearman(this, that)
