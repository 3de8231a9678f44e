"""Maps by SHAP."""

from __future__ import annotations

from typing import Any

import numpy as np
import shap
import torch
from case import Array, Case, Reference


def _deep_shap(case: Case) -> Any:
    found = shap.DeepExplainer(case.model, case.x).shap_values(case.x, check_additivity=False)
    return torch.from_numpy(found[..., case.target])


def _kernel_shap(case: Case) -> Any:
    values = []
    for one in case.x:

        def score(sets: Array, one: Any = one) -> Array:
            left = torch.from_numpy(sets.astype(np.float32))[:, case.units[0]]
            return case.scores(left * one).numpy()

        count = len(case.sizes)
        library = shap.KernelExplainer(score, np.zeros((1, count)))
        values.append(library.shap_values(np.ones(count), nsamples=2**count, silent=True))
    shares = np.stack(values) / case.sizes
    return shares[:, case.held["units"]][:, None]


REFERENCES: dict[str, Reference] = {"shap deep": _deep_shap, "shap kernel": _kernel_shap}
