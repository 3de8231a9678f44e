"""Class sensitivity: whether a map would be the same for another class."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import cnnvis

WARNS, FAILS = 0.5, 0.9


def _judge(values: Mapping[str, Any]) -> cnnvis.Verdict:
    import numpy as np

    from . import _reasons

    known = values["class-sensitivity"][~np.isnan(values["class-sensitivity"])]
    if not len(known):
        why = _reasons.nothing(values["class-sensitivity_reason"])
        return cnnvis.Verdict("information", why)
    mean = float(known.mean())
    found = f"the correlation of signed maps with those of the runner-up output is {mean:.2f}"
    found += _reasons.known_share(len(known), len(values["class-sensitivity"]))
    if mean > FAILS:
        return cnnvis.Verdict(
            "failed",
            f"{found}: a map would look much the same for another output; either both rest on the "
            "same evidence, or the method does not show what speaks for one of them",
        )
    if mean > WARNS:
        return cnnvis.Verdict("warned", f"{found}: maps of two outputs look much alike")
    always = (
        ", as they nearly always do for two classes with opposite scores" if mean < -0.9 else ""
    )
    return cnnvis.Verdict("passed", f"{found}, so signed maps of two outputs differ{always}")


@cnnvis.metric(
    "class-sensitivity",
    reference="arXiv:1912.09818",
    judge=_judge,
    cost=cnnvis.Cost(signed_maps=2),
    better="lower",
)
def class_sensitivity(
    explanation: cnnvis.Explanation, model: cnnvis.Model, explainer: cnnvis.Explainer
) -> Any:
    """Spearman's correlation of a map with the map of the runner-up class, their signs kept.

    The runner-up is the output of the target layer with the largest value but the explained one.
    Without signs, even the plain gradient of a network with two classes looks alike for both: then
    nothing is judged, and this is NaN; nor where the outputs are not known to be classes, such as
    those of a regression. ``class-sensitivity_reason`` is the number of the reason, 0 for none.
    Above 0.5 on average is a warning, above 0.9 a failure: as Sixt et al. 2020 show, guided
    backpropagation and deconvolution hardly depend on the class.
    """
    import numpy as np

    from . import _reasons

    samples = explanation.samples
    reason = _unfit(explanation, model, explainer)
    outputs = np.empty(0) if reason or samples is None else model.outputs(samples.x)
    if not reason and outputs.ndim != 2:
        reason = _reasons.POSITIONS
    if reason or samples is None:
        nothing, reasons = np.full(len(explanation), np.nan), np.full(len(explanation), reason)
        return {"class-sensitivity": nothing, "class-sensitivity_reason": reasons}
    explained = np.array([target.filters[0] for target in explanation.targets])
    has_other = np.ones(len(samples), bool)
    if outputs.shape[1] == 1:
        runner_up = 1 - explained  # of the two classes that a single sigmoid stands for
    else:
        others = np.array(outputs)
        others[np.arange(len(samples)), explained] = -np.inf
        runner_up = others.argmax(axis=1)
        has_other = np.isfinite(others.max(axis=1))  # unless the network forbids all others
    this = explainer.maps(samples, explained.tolist(), signed=True)
    that = explainer.maps(samples, runner_up.tolist(), signed=True)
    found = cnnvis.spearman(this, that)
    found = np.where(has_other, found, np.nan)
    reasons = np.where(has_other, np.where(np.isnan(found), _reasons.BLANK, 0), _reasons.NO_OTHER)
    return {"class-sensitivity": found, "class-sensitivity_reason": reasons}


def _unfit(
    explanation: cnnvis.Explanation, model: cnnvis.Model, explainer: cnnvis.Explainer
) -> int:
    """Return the reason why maps have no runner-up that they could be compared with; 0 for none."""
    from . import _reasons

    if explanation.samples is None:
        return _reasons.NO_IMAGES
    if not explainer.has_signs:
        return _reasons.NO_SIGNS
    if any(len(target.filters) != 1 for target in explanation.targets):
        return _reasons.SEVERAL
    return 0 if model.has_classes else _reasons.NO_CLASSES
