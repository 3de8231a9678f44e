"""Maps by pytorch-grad-cam and torch-cam, which clip maps at 0 and scale each by itself."""

from __future__ import annotations

from typing import Any

import pytorch_grad_cam
import torch
from case import Case, Reference
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget
from torchcam import methods


def grad_cam(name: str, layer: str | None = None) -> Reference:
    def explain(case: Case) -> Any:
        chosen = case.features if layer is None else dict(case.model.named_children())[layer]
        targets = [ClassifierOutputTarget(case.target)] * len(case.x)
        library = getattr(pytorch_grad_cam, name)
        with library(case.model, [] if name == "FullGrad" else [chosen]) as cam:
            return torch.from_numpy(cam(case.x.clone(), targets)).reshape(
                len(case.x), 1, *case.x.shape[2:]
            )

    return explain


def _torch_cam(name: str) -> Reference:
    def explain(case: Case) -> Any:
        with getattr(methods, name)(
            case.model, case.features, input_shape=tuple(case.x.shape[1:])
        ) as library:
            scores = case.model(case.x.clone().requires_grad_())
            return library(case.target, scores)[0][:, None]

    return explain


CAMS = (
    *("GradCAM", "HiResCAM", "LayerCAM", "GradCAMPlusPlus", "XGradCAM"),
    *("ScoreCAM", "AblationCAM", "EigenCAM", "FullGrad"),
)


REFERENCES: dict[str, Reference] = {
    **{f"pytorch-grad-cam {name}": grad_cam(name) for name in CAMS},
    "pytorch-grad-cam GradCAM of pool": grad_cam("GradCAM", "pool"),
    "pytorch-grad-cam GradCAM of third": grad_cam("GradCAM", "third_relu"),
    **{
        f"torch-cam {name}": _torch_cam(name)
        for name in ("GradCAM", "GradCAMpp", "LayerCAM", "XGradCAM", "ScoreCAM")
    },
}
