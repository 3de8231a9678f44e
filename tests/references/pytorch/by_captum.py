"""Maps by Captum."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import captum.attr as attr
import numpy as np
import torch
from captum._utils.models.linear_model import SkLearnRidge
from captum.attr._utils import lrp_rules
from case import Case, Reference
from torch import nn

from benchmarks.twins import twin


def _noisy(kind: str, *, absolute: bool) -> Reference:
    """NoiseTunnel with the noise that is given, in the place of noise that it draws."""

    def explain(case: Case) -> Any:
        class Given(attr.NoiseTunnel):
            @staticmethod
            def _add_noise_to_input(x: Any, _: float, copies: int) -> Any:
                deviation = case.held["deviation"].reshape(-1, 1, *[1] * (x.ndim - 1))
                noise = np.moveaxis(case.held["noise"], -1, 1)[None] * deviation
                return x.repeat_interleave(copies, dim=0) + torch.from_numpy(
                    noise.reshape(-1, *x.shape[1:]).astype(np.float32)
                )

        copies = len(case.held["noise"])
        return Given(attr.Saliency(case.model)).attribute(
            case.x, nt_type=kind, nt_samples=copies, abs=absolute, target=case.target
        )

    return explain


def _occlusion(size: int, step: int) -> Reference:
    def explain(case: Case) -> Any:
        _, channels, *space = case.x.shape
        sizes, steps = ((channels, *[one] * len(space)) for one in (size, step))
        return attr.Occlusion(case.model).attribute(case.x, sizes, steps, 0.0, case.target)[:, :1]

    return explain


def _game(kind: Any, **settings: Any) -> Reference:
    """A method that removes units together, whose value is divided among their positions."""

    def explain(case: Case) -> Any:
        found = kind(case.model).attribute(
            case.x, baselines=0.0, target=case.target, feature_mask=case.units,
            perturbations_per_eval=1, **settings,
        )  # fmt: skip
        return found[:, :1] / torch.from_numpy(case.sizes[case.held["units"]])

    return explain


def _each_input(case: Case, explain: Callable[[Any], Any]) -> Any:
    return torch.cat([explain(case.x[place : place + 1]) for place in range(len(case.x))])


def _regression(kind: Any, *, as_shares: bool, **settings: Any) -> Reference:
    def explain(case: Case) -> Any:
        found = _each_input(
            case,
            lambda x: kind(case.model).attribute(
                x, baselines=0.0, target=case.target, feature_mask=case.units,
                perturbations_per_eval=50, **settings,
            ),
        )[:, :1]  # fmt: skip
        return found / torch.from_numpy(case.sizes[case.held["units"]]) if as_shares else found

    return explain


def _lime(case: Case) -> Any:
    """Captum's regression, of the sets that are given and by the distance of LIME for images."""
    sets = torch.from_numpy(case.held["sets"]).float()
    width = float(case.held["width"])
    values = []
    for place in range(len(case.x)):
        drawn = iter(sets)

        def draw(_: Any, drawn: Any = drawn, **__: Any) -> Any:
            return next(drawn)[None]

        def without(z: Any, x: Any, **_: Any) -> Any:
            return x * z[0][case.units]

        def similarity(_: Any, __: Any, z: Any, **___: Any) -> Any:
            return torch.exp(-(((1 - z.mean().sqrt()) / width) ** 2))

        library = attr.LimeBase(
            case.model, SkLearnRidge(alpha=float(case.held["ridge"])), similarity, draw, True,
            without, None,
        )  # fmt: skip
        one = case.x[place : place + 1]
        found = library.attribute(
            one, target=case.target, n_samples=len(sets), perturbations_per_eval=50
        )
        values.append(found.reshape(-1).numpy())
    return np.stack(values)[:, case.held["units"]][:, None]


def _deeplift(case: Case) -> Any:
    return attr.DeepLift(case.model).attribute(case.x, torch.zeros_like(case.x), case.target)


def _deeplift_shap(case: Case) -> Any:
    return attr.DeepLiftShap(case.model).attribute(case.x, case.x, case.target)


def _mean_of_integrated_gradients(case: Case) -> Any:
    found = [
        attr.IntegratedGradients(case.model).attribute(
            case.x, start[None].expand_as(case.x), case.target, n_steps=50
        )
        for start in case.x
    ]
    return torch.stack(found).mean(dim=0)


def _gradient_shap(case: Case) -> Any:
    np.random.seed(0)  # it draws by NumPy and by PyTorch
    return attr.GradientShap(case.model).attribute(
        case.x, case.x, n_samples=2000, stdevs=0.0, target=case.target
    )


def _lrp(convolutions: Callable[[], Any], others: Callable[[], Any]) -> Reference:
    def explain(case: Case) -> Any:
        model = twin(case.held)  # rules are put into its modules
        for module in model:
            if isinstance(module, nn.Conv2d):
                module.rule = convolutions()
            elif isinstance(module, nn.Linear):
                module.rule = others()
            elif isinstance(module, nn.Flatten):  # of which Captum knows nothing
                module.rule = lrp_rules.EpsilonRule()
        return attr.LRP(model).attribute(case.x, target=case.target)

    return explain


METHODS: dict[str, Reference] = {
    "saliency": lambda c: attr.Saliency(c.model).attribute(c.x, c.target),
    "input times gradient": lambda c: attr.InputXGradient(c.model).attribute(c.x, c.target),
    "integrated gradients": lambda c: attr.IntegratedGradients(c.model).attribute(
        c.x, 0.0, c.target, n_steps=50
    ),
    "guided": lambda c: attr.GuidedBackprop(c.model).attribute(c.x, c.target),
    "deconvolution": lambda c: attr.Deconvolution(c.model).attribute(c.x, c.target),
    "smoothgrad": _noisy("smoothgrad", absolute=False),
    "smoothgrad of sizes": _noisy("smoothgrad", absolute=True),
    "smoothgrad squared": _noisy("smoothgrad_sq", absolute=False),
    "vargrad": _noisy("vargrad", absolute=False),
    "grad-cam": lambda c: attr.LayerGradCam(c.model, c.features).attribute(
        c.x, c.target, relu_attributions=True
    ),
    "occlusion": _occlusion(2, 1),
    "uneven occlusion": _occlusion(5, 5),
    "feature ablation": lambda c: attr.FeatureAblation(c.model).attribute(
        c.x, 0.0, c.target, feature_mask=c.units
    )[:, :1],
    "shapley values": _game(attr.ShapleyValues),
    "shapley sampling": _game(attr.ShapleyValueSampling, n_samples=100),
    "kernel shap": _regression(attr.KernelShap, as_shares=True, n_samples=400),
    "lime": _lime,
    "lime as it is": _regression(attr.Lime, as_shares=False, n_samples=400),
    "deeplift": _deeplift,
    "deeplift apart": lambda c: _deeplift(c.apart()),
    "deeplift shap apart": lambda c: _deeplift_shap(c.apart()),
    "integrated gradients of all": _mean_of_integrated_gradients,
    "gradient shap": _gradient_shap,
    "lrp epsilon": _lrp(lrp_rules.EpsilonRule, lrp_rules.EpsilonRule),
    "lrp gamma": _lrp(lambda: lrp_rules.GammaRule(0.25), lrp_rules.EpsilonRule),
    "lrp alpha 1": _lrp(lrp_rules.Alpha1_Beta0_Rule, lrp_rules.EpsilonRule),
}

REFERENCES: dict[str, Reference] = {f"captum {name}": one for name, one in METHODS.items()}
