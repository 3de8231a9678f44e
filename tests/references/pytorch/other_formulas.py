"""Formulas that libraries have in the place of those of papers, written down anew."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from by_cams import grad_cam
from case import Case, Reference
from papers import component, full_gradient, plus_plus, score_cam, weighed
from torch import nn


def _mean_of_sizes(case: Case) -> Any:
    total = torch.zeros_like(case.x)
    deviation = torch.from_numpy(case.held["deviation"]).reshape(-1, *[1] * (case.x.ndim - 1))
    for noise in case.held["noise"]:
        x = case.x + torch.from_numpy(np.moveaxis(noise, -1, 0)) * deviation
        x = x.float().requires_grad_()
        (gradient,) = torch.autograd.grad(case.model(x)[:, case.target].sum(), x)
        total += gradient.abs()
    return total / len(case.held["noise"])


def _cubes(case: Case) -> Any:
    features, gradients, _ = case.split()
    space = tuple(range(2, features.ndim))
    return weighed(features, (torch.relu(gradients) ** 3).sum(dim=space, keepdim=True))


def _ablated(case: Case) -> Any:
    """Ablation-CAM with the fall divided by the score, and not by its size."""
    features, *_ = case.split()
    after = list(case.model)[list(case.model).index(case.features) + 1 :]
    rest = nn.Sequential(*after)
    weights = torch.zeros(features.shape[:2])
    whole = case.scores(case.x)
    for channel in range(features.shape[1]):
        left = features.clone()
        left[:, channel] = 0
        with torch.no_grad():
            weights[:, channel] = (whole - rest(left)[:, case.target]) / whole
    return weighed(features, weights.reshape(*weights.shape, *[1] * (features.ndim - 2)))


def _centred(case: Case) -> Any:
    """Eigen-CAM of centred channels, with the sign that the library's routine happened to return."""
    features, *_ = case.split()
    theirs = grad_cam("EigenCAM")(case)[:, 0].flatten(1)
    maps = []
    for one, chosen in zip(features, theirs, strict=True):
        found = component(one.double(), one.double().flatten(1).mean(dim=1))
        likeness = [float(torch.relu(sign * found).flatten() @ chosen.double()) for sign in (1, -1)]
        maps.append(found if likeness[0] > likeness[1] else -found)
    return torch.stack(maps)[:, None]


def _stretched(case: Case) -> Any:
    """Grad-CAM of a layer without padding, enlarged to the whole input."""
    features, gradients, _ = replace(case, held={**case.held, "features": "third"}).split()
    small = weighed(features, gradients.mean(dim=(2, 3), keepdim=True))
    return nn.functional.interpolate(small, case.x.shape[2:], mode="bilinear")


def _cut_occlusion(case: Case) -> Any:
    """Occlusion by patches of 5 beside each other, of which the last is cut off at the edge."""
    space = case.x.shape[2:]
    found = torch.zeros(len(case.x), 1, *space)
    for begin in itertools.product(*(range(0, size, 5) for size in space)):
        inside = (slice(None), slice(None), *(slice(at, at + 5) for at in begin))
        covered = case.x.clone()
        covered[inside] = 0
        fall = case.scores(case.x) - case.scores(covered)
        found[inside] = fall.reshape(-1, *[1] * (len(space) + 1))
    return found


def _whole_biases(change: Callable[[Any], Any]) -> Reference:
    """LRP by changed weights of convolutions, whose biases stay as they are."""

    def explain(case: Case) -> Any:
        values = [case.x]
        for module in case.model:
            values.append(module(values[-1]).detach())
        relevance = torch.zeros_like(values[-1])
        relevance[:, case.target] = values[-1][:, case.target]
        for module, value in reversed(list(zip(case.model, values, strict=False))):
            if isinstance(module, nn.ReLU):
                continue
            x = value.clone().requires_grad_()
            if isinstance(module, nn.Conv2d):
                found = nn.functional.conv2d(
                    x, change(module.weight), module.bias, module.stride, module.padding
                )
            else:
                found = module(x)
            shares = relevance / (found + torch.where(found >= 0, 1e-9, -1e-9))
            (gradient,) = torch.autograd.grad(found, x, shares.detach())
            relevance = value * gradient
        return relevance

    return explain


REFERENCES: dict[str, Reference] = {
    "formula mean of sizes": _mean_of_sizes,
    "formula cubes": _cubes,
    "formula of means": lambda c: plus_plus(c, total=lambda a, axes: a.mean(axes, keepdim=True)),
    "formula unit weights": lambda c: plus_plus(c, unit=True),
    "formula classes": lambda c: score_cam(c, of_classes=True),
    "formula ablated": _ablated,
    "formula centred": _centred,
    "formula each channel": lambda c: full_gradient(c, of_layers=False),
    "formula stretched": _stretched,
    "formula cut": _cut_occlusion,
    "formula raised weights": _whole_biases(lambda w: w + 0.25 * w.clamp(min=0)),
    "formula positive weights": _whole_biases(lambda w: w.clamp(min=0)),
}
