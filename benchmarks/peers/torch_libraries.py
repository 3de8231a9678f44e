"""The libraries for PyTorch, on twins of the networks that are chains of layers."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

os.environ["TQDM_DISABLE"] = "1"

import numpy as np
import torch
from shared import BATCH, NOISE, Lacks, in_batches, patch_of, units
from torch import nn
from torch.nn.modules.conv import _ConvNd

from benchmarks import twins
from benchmarks.without_torchvision import stand_in

CAMS = {
    "layer-cam": "LayerCAM", "grad-cam-plus-plus": "GradCAMPlusPlus", "hires-cam": "HiResCAM",
    "xgrad-cam": "XGradCAM", "eigen-cam": "EigenCAM", "score-cam": "ScoreCAM",
    "ablation-cam": "AblationCAM", "grad-cam": "GradCAM", "fullgrad": "FullGrad",
}  # fmt: skip


def captum(job: dict[str, Any]) -> Callable[[], Any]:
    """Captum's methods."""
    from captum import attr

    twin, last, x = _subject(job)
    steps, cells = job["steps"], job.get("cells", ())
    kinds: dict[str, Callable[[], Any]] = {
        "saliency": lambda: attr.Saliency(twin),
        "guided": lambda: attr.GuidedBackprop(twin),
        "grad-cam": lambda: attr.LayerGradCam(twin, last),
        "smoothgrad": lambda: attr.NoiseTunnel(attr.Saliency(twin)),
        "vargrad": lambda: attr.NoiseTunnel(attr.Saliency(twin)),
        "integrated-gradients": lambda: attr.IntegratedGradients(twin),
        "gradient-times-input": lambda: attr.InputXGradient(twin),
        "expected-gradients": lambda: attr.GradientShap(twin),
        "lrp": lambda: attr.LRP(twin),
        "deeplift": lambda: attr.DeepLift(twin),
        "deep-shap": lambda: attr.DeepLiftShap(twin),
        "occlusion": lambda: attr.Occlusion(twin),
        "feature-ablation": lambda: attr.FeatureAblation(twin),
        "lime": lambda: attr.Lime(twin, interpretable_model=_ridge()),
        "kernel-shap": lambda: attr.KernelShap(twin),
        "shapley-sampling": lambda: attr.ShapleyValueSampling(twin),
    }
    if job["method"] not in kinds:
        raise Lacks("no such method")
    method = kinds[job["method"]]().attribute
    patch = (x.shape[1], *patch_of(x.shape[2:], cells))
    many = {"perturbations_per_eval": BATCH}
    removal: dict[str, Any] = {**many}
    if cells:
        removal["feature_mask"] = torch.from_numpy(units(x.shape[2:], cells)).long()[None, None]
    starts = torch.from_numpy(x[:steps])
    settings: dict[str, dict[str, Any]] = {
        "smoothgrad": {"nt_samples": steps, "stdevs": NOISE},
        "vargrad": {"nt_samples": steps, "stdevs": NOISE, "nt_type": "vargrad"},
        "integrated-gradients": {"n_steps": steps, "internal_batch_size": BATCH},
        "expected-gradients": {"n_samples": steps, "baselines": starts},
        "deep-shap": {"baselines": starts},
        "occlusion": {"sliding_window_shapes": patch, "strides": patch, **many},
        "feature-ablation": removal,
        "lime": {"n_samples": steps, **removal},
        "kernel-shap": {"n_samples": steps, **removal},
        "shapley-sampling": {"n_samples": steps, **removal},
    }
    given = {"target": 0, **settings.get(job["method"], {})}

    def explain(batch: Any) -> Any:
        if job["method"] == "lrp":
            _give_rules(twin)  # which Captum takes away after each call
        return method(torch.from_numpy(batch).requires_grad_(), **given).detach().numpy()

    return in_batches(explain, x)


def _ridge() -> Any:
    """LIME's linear model: by default Captum's is a lasso, which takes longer."""
    from captum._utils.models.linear_model import SkLearnRidge

    return SkLearnRidge(alpha=1.0)


def _give_rules(twin: Any) -> None:
    """Have the one kind of layer that Captum knows no rule for follow its epsilon rule."""
    from captum.attr._utils.lrp_rules import EpsilonRule

    for part in twin:
        if isinstance(part, nn.Flatten):
            part.rule = EpsilonRule()


def grad_cam(job: dict[str, Any]) -> Callable[[], Any]:
    """The class activation maps of pytorch-grad-cam."""
    stand_in()
    import pytorch_grad_cam
    from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

    if job["method"] not in CAMS:
        raise Lacks("no such method")
    twin, last, x = _subject(job)
    layers = [] if job["method"] == "fullgrad" else [last]
    cam = getattr(pytorch_grad_cam, CAMS[job["method"]])(model=twin, target_layers=layers)

    def explain(batch: Any) -> Any:
        targets = [ClassifierOutputTarget(0)] * len(batch)
        return cam(input_tensor=torch.from_numpy(batch), targets=targets)

    return in_batches(explain, x)


def _subject(job: dict[str, Any]) -> tuple[Any, Any, Any]:
    """The network, its last feature maps, and the images with channels first."""
    if not job.get("twin"):
        raise Lacks("the network is no chain of layers, so it has no twin here")
    twin = twins.twin(np.load(job["twin"]))
    last = _last_maps(twin)
    if "data" in job:
        x = np.load(job["data"])
    else:
        x = np.random.default_rng(2).random((job["images"], *job["shape"]), np.float32)
    return twin, last, np.moveaxis(x, -1, 1).copy()


def _last_maps(twin: Any) -> Any:
    """The layer of a network's last feature maps, ReLU included."""
    parts = list(twin)
    place = max(at for at, one in enumerate(parts) if isinstance(one, _ConvNd))
    behind = parts[place + 1 : place + 2]
    return behind[0] if behind and isinstance(behind[0], nn.ReLU) else parts[place]
