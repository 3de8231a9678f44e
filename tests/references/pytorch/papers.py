"""Formulas of papers, written down anew, where no library has them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import torch
from case import Case, Reference
from torch import nn


def _eigen_cam(case: Case) -> Any:
    features, *_ = case.split()
    return torch.stack([component(one.double(), 0.0) for one in features])[:, None]


def component(one: Any, mean: Any) -> Any:
    """Return feature maps (k, ...) along their main component, positive where their sum is."""
    matrix = one.flatten(1).T - mean
    _, vectors = torch.linalg.eigh(matrix.T @ matrix)
    found = matrix @ vectors[:, -1]
    return (found * torch.sign(found @ matrix.sum(dim=1))).reshape(one.shape[1:])


def _masked_scores(case: Case, features: Any) -> Iterator[tuple[Any, Any]]:
    """Yield for each input its feature maps that vary, and all outputs under each as a mask."""
    for x, one in zip(case.x, features, strict=True):
        varied = torch.stack([a for a in one if a.max() > a.min()])
        space = tuple(range(1, varied.ndim))
        low, high = varied.amin(space, keepdim=True), varied.amax(space, keepdim=True)
        with torch.no_grad():
            yield varied, case.model(((varied - low) / (high - low))[:, None] * x[None])


def score_cam(case: Case, *, of_classes: bool = False) -> Any:
    features, *_ = case.split()
    maps = []
    for varied, outputs in _masked_scores(case, features):
        weights = torch.softmax(outputs, dim=1 if of_classes else 0)[:, case.target]
        maps.append(torch.relu(torch.einsum("k,k...->...", weights, varied)))
    return torch.stack(maps)[:, None]


def _sum(features: Any, axes: tuple[int, ...]) -> Any:
    return features.sum(dim=axes, keepdim=True)


def plus_plus(
    case: Case, *, total: Callable[[Any, tuple[int, ...]], Any] = _sum, unit: bool = False
) -> Any:
    """Grad-CAM++; with another total of feature maps, and with weights of positions that add up to 1."""
    features, gradients, _ = case.split()
    features, gradients = features.double(), gradients.double()
    space = tuple(range(2, features.ndim))
    divisor = 2 * gradients**2 + total(features, space) * gradients**3
    alphas = torch.where(gradients != 0, gradients**2 / torch.where(divisor == 0, 1, divisor), 0)
    if unit:
        alphas = alphas / alphas.sum(dim=space, keepdim=True)
    return weighed(features, (alphas * torch.relu(gradients)).sum(dim=space, keepdim=True))


def weighed(features: Any, weights: Any) -> Any:
    return torch.relu(torch.nan_to_num(weights * features).sum(dim=1, keepdim=True))


def full_gradient(case: Case, *, of_layers: bool = True) -> Any:
    """Sizes of all parts over the input, each scaled over its layer, or its channel."""
    x = case.x.clone().requires_grad_()
    outputs: list[tuple[Any, Any]] = []

    def hook(module: Any, _: Any, output: Any) -> None:
        constant = module.bias
        if hasattr(module, "running_mean"):
            scale = module.weight / torch.sqrt(module.running_var + module.eps)
            constant = module.bias - module.running_mean * scale
        outputs.append((output, constant.detach().reshape(1, -1, *[1] * (output.ndim - 2))))

    with_bias = [m for m in case.model if getattr(m, "bias", None) is not None]
    handles = [m.register_forward_hook(hook) for m in with_bias if not isinstance(m, nn.Linear)]
    score = case.model(x)[:, case.target].sum()
    for handle in handles:
        handle.remove()
    of_input, *gradients = torch.autograd.grad(score, [x, *(output for output, _ in outputs)])
    parts = [of_input * case.x]
    parts += [g * constant for g, (_, constant) in zip(gradients, outputs, strict=True)]
    total = torch.zeros(1)
    for part in parts:
        axes = tuple(range(1 if of_layers else 2, part.ndim))
        size = part.abs() - part.abs().amin(dim=axes, keepdim=True)
        largest = size.amax(dim=axes, keepdim=True)
        size = (size / torch.where(largest > 0, largest, 1)).sum(dim=1, keepdim=True)
        if size.shape[2:] != case.x.shape[2:]:  # as pytorch-grad-cam enlarges
            size = nn.functional.interpolate(size, case.x.shape[2:], mode="bilinear")
        total = total + size
    return total


REFERENCES: dict[str, Reference] = {
    "paper eigen-cam": _eigen_cam,
    "paper score-cam": score_cam,
    "paper grad-cam-plus-plus": plus_plus,
    "paper fullgrad": full_gradient,
}
