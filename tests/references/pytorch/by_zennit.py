"""Maps by zennit."""

from __future__ import annotations

from typing import Any

import torch
from case import Case, Reference
from zennit.attribution import Gradient
from zennit.canonizers import SequentialMergeBatchNorm
from zennit.composites import COMPOSITES

from benchmarks.twins import twin


def _zennit(name: str, *, whole: bool = True) -> Reference:
    """A composite; with `whole`, normalizations that were merged do nothing any more."""

    def explain(case: Case) -> Any:
        class Merged(
            SequentialMergeBatchNorm
        ):  # the variance is 1 then, and epsilon is still added
            @staticmethod
            def merge_batch_norm(modules: Any, normalization: Any) -> None:
                SequentialMergeBatchNorm.merge_batch_norm(modules, normalization)
                normalization.eps = 0.0

        settings: dict[str, Any] = {
            "canonizers": [Merged() if whole else SequentialMergeBatchNorm()]
        }
        if name == "epsilon_gamma_box":
            low, high = (torch.full((1, *case.x.shape[1:]), float(n)) for n in case.held["range"])
            settings |= {"low": low, "high": high}
        composite = COMPOSITES[name](**settings)

        def start(outputs: Any) -> Any:
            kept = torch.zeros_like(outputs)
            kept[:, case.target] = outputs[:, case.target].detach()
            return kept

        with Gradient(twin(case.held), composite) as attributor:
            return attributor(case.x.clone(), start)[1]

    return explain


ZENNIT = (
    *("epsilon_plus", "epsilon_plus_flat", "epsilon_gamma_box"),
    *("epsilon_alpha2_beta1", "epsilon_alpha2_beta1_flat"),
)


REFERENCES: dict[str, Reference] = {
    **{f"zennit {name}": _zennit(name) for name in ZENNIT},
    "zennit epsilon_plus as it is": _zennit("epsilon_plus", whole=False),
}
