"""Rows of the table of agreement: what is compared with what, and how far the two may be apart."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from references.networks import COUNT, FEATURES

Array = np.ndarray[Any, Any]

ALL = ("image", "normalized", "sequence", "volume")
PLANE = ("image", "normalized")
NOT_1D = (*PLANE, "volume")
SIGNS = ("image", "centred")
RELU = ("image", "volume")  # networks whose rectifiers are all ReLUs
SETS, WIDTH, RIDGE, COPIES, NOISE = 200, 0.25, 1.0, 50, 0.15
"""What LIME and SmoothGrad are told."""

SAME = 1e-5
"""Largest difference, as a share of the largest value, of maps that are the same but for rounding."""

ROUNDING = 1e-4
"""The same of maps that small constants make differ, such as those that are added to divisors."""


def unchanged(maps: Array) -> Array:
    """Leave maps as they are."""
    return maps


def scaled(maps: Array) -> Array:
    """Leave negative values out and scale each map to [0, 1], as libraries of class activation maps do."""
    space = tuple(range(1, maps.ndim))
    found = np.maximum(maps, 0)
    found = found - found.min(axis=space, keepdims=True)
    size = found.max(axis=space, keepdims=True)
    return np.asarray(found / np.where(size > 0, size, 1))


def biased(maps: Array) -> Array:
    """Turn variances that were divided by n - 1 into those divided by n."""
    return maps * ((COPIES - 1) / COPIES)


@dataclass(frozen=True, eq=False)
class Row:
    """A technique beside another library's, and how far their maps may be apart.

    Attributes
    ----------
    technique, options
        The technique of cnnvis, and its options.
    library, theirs
        The library, and what it calls the method.
    reference
        The name of the reference in `pytorch/`; or a technique of an adapter, with a colon.
    networks
        The networks.
    within
        The largest difference that is allowed, as a share of the largest value; None where formulas
        differ.
    correlation
        The least and the largest mean correlation on any network, where formulas differ.
    why
        How formulas differ, or what was done to make them comparable.
    explained
        The reference that computes the other formula, and has the library's map.
    change
        What is done to the maps of cnnvis first, and to those of formulas.
    where
        Of which images, by their scores: ``positive`` or ``negative`` ones alone.
    by_chance
        Whether the library's map depends on the machine, so that its numbers are no promise.
    """

    technique: str
    options: Mapping[str, Any]
    library: str
    theirs: str
    reference: str
    networks: Sequence[str] = ALL
    within: float | None = SAME
    correlation: tuple[float, float] = (0.99, 1.0)
    why: str = ""
    explained: str = ""
    change: Callable[[Array], Array] = unchanged
    where: str = "all"
    by_chance: bool = False


def _cams(
    technique: str, library: str, theirs: str, reference: str, why: str = "", **settings: Any
) -> Row:
    """Return a row of a class activation map, of the same layer on both sides."""
    options = {"penultimate": FEATURES, **settings.pop("options", {})}
    settings = {"change": scaled, **settings}
    if library == TORCH_CAM:
        settings.setdefault("within", ROUNDING)  # it adds 1e-8 to what maps are divided by
    return Row(technique, options, library, theirs, reference, why=why, **settings)


def _paper(technique: str, **settings: Any) -> Row:
    """Return a row of a paper's formula, written down anew in PyTorch."""
    options = settings.pop("options", {"penultimate": FEATURES})
    return Row(
        technique, options, "PyTorch", "the paper's formula", f"paper {technique}", **settings
    )


EACH: dict[str, Any] = {"backprop": None, "channels": "each"}
COPYING: dict[str, Any] = {"copies": COPIES, "noise": NOISE, "channels": "each"}
ZERO: dict[str, Any] = {"baseline": 0.0}
GAME: dict[str, Any] = {"units": "units.npy", **ZERO}
LIME: dict[str, Any] = {**GAME, "sets": SETS, "width": WIDTH, "ridge": RIDGE}
FROM_ALL: dict[str, Any] = {"baselines": COUNT}
RULES: dict[str, Any] = {"epsilon": 1e-9}
PLAIN: dict[str, Any] = {"backprop": None}

PGC, TORCH_CAM, SCALED = "pytorch-grad-cam", "torch-cam", "clipped at 0 and scaled"
DRAWN = "drawn at random"

GRADIENTS = [
    Row("saliency", EACH, "Captum", "Saliency", "captum saliency"),
    Row("saliency", {**EACH, "backprop": "guided", "gradient": None}, "Captum", "GuidedBackprop",
        "captum guided", RELU, why="networks of ReLUs, the only rectifier that Captum changes"),
    Row("saliency", {**EACH, "backprop": "rectified", "gradient": None}, "Captum", "Deconvolution",
        "captum deconvolution", RELU, why="networks of ReLUs, the only rectifier that Captum changes"),
    Row("gradient-times-input", {}, "Captum", "InputXGradient", "captum input times gradient"),
    Row("smoothgrad", {**COPYING, "gradient": None}, "Captum", "NoiseTunnel(Saliency, abs=False)",
        "captum smoothgrad", why="with the same noise; Captum's own has a deviation of 1"),
    Row("smoothgrad", COPYING, "Captum", "NoiseTunnel(Saliency)", "captum smoothgrad of sizes",
        within=None, correlation=(0.7, 0.97), explained="formula mean of sizes",
        why="takes the mean of the gradients' sizes, not the size of their mean"),
    Row("smoothgrad-squared", COPYING, "Captum", "NoiseTunnel, smoothgrad_sq",
        "captum smoothgrad squared", why="with the same noise"),
    Row("vargrad", COPYING, "Captum", "NoiseTunnel, vargrad", "captum vargrad", change=biased,
        why="with the same noise; Captum divides by n, so cnnvis has n / (n - 1) times as much"),
    _paper("fullgrad", options={}, networks=("image", "sequence", "volume")),
    Row("fullgrad", {}, PGC, "FullGrad", "pytorch-grad-cam FullGrad", PLANE, change=scaled,
        within=None, correlation=(0.7, 0.97), explained="formula each channel",
        why="scales each channel by itself and not the layer, and scales the sum"),
]  # fmt: skip

INTEGRALS = [
    Row("integrated-gradients", {**ZERO, "tolerance": 1e9}, "Captum", "IntegratedGradients",
        "captum integrated gradients", why="50 steps of Gauss's quadrature"),
    Row("expected-gradients", {**FROM_ALL, "steps": 50}, "Captum", "IntegratedGradients, averaged",
        "captum integrated gradients of all", why="from each of six inputs"),
    Row("expected-gradients", {**FROM_ALL, "steps": 50}, "Captum", "GradientShap",
        "captum gradient shap", within=0.15,
        why=f"2,000 places on the ways for each image, {DRAWN}"),
]  # fmt: skip

RELEVANCE = [
    Row("deeplift", ZERO, "Captum", "DeepLift", "captum deeplift apart",
        why="with a multiplication by 1 behind each ReLU"),
    Row("deeplift", ZERO, "Captum", "DeepLift", "captum deeplift", ("image", "sequence"),
        within=None, correlation=(0.8, 0.999),
        why="goes wrong where max pooling follows a ReLU: its maps no longer add up, and with a "
        "multiplication by 1 between the two they are those of cnnvis"),
    Row("deep-shap", FROM_ALL, "Captum", "DeepLiftShap", "captum deeplift shap apart",
        why="with a multiplication by 1 behind each ReLU"),
    Row("deep-shap", FROM_ALL, "SHAP", "DeepExplainer", "shap deep"),
    Row("lrp", {"composite": "epsilon", **RULES}, "Captum", "LRP, EpsilonRule",
        "captum lrp epsilon", SIGNS),
    *(
        Row("lrp", {"composite": file, **RULES}, "Captum", f"LRP, {rule}", f"captum lrp {key}",
            ["unbiased"])
        for file, rule, key in (("gamma.toml", "GammaRule", "gamma"),
                                ("alpha-1.toml", "Alpha1_Beta0_Rule", "alpha 1"))
    ),
    Row("lrp", {"composite": "gamma.toml", **RULES}, "Captum", "LRP, GammaRule",
        "captum lrp gamma", SIGNS, within=None, correlation=(-0.5, 0.9999),
        explained="formula raised weights", why="raises weights and not biases, whatever the signs of inputs and outputs are"),
    Row("lrp", {"composite": "alpha-1.toml", **RULES}, "Captum", "LRP, Alpha1_Beta0_Rule",
        "captum lrp alpha 1", SIGNS, within=None, correlation=(-0.5, 0.9999),
        explained="formula positive weights",
        why="leaves negative weights out, not negative contributions, and keeps negative biases"),
    *(
        Row("lrp", {"composite": name.replace("_", "-")}, "zennit", theirs, f"zennit {name}",
            within=ROUNDING,
            why="with the epsilon of merged normalizations set to 0")
        for name, theirs in (
            ("epsilon_plus", "EpsilonPlus"), ("epsilon_plus_flat", "EpsilonPlusFlat"),
            ("epsilon_gamma_box", "EpsilonGammaBox"),
            ("epsilon_alpha2_beta1", "EpsilonAlpha2Beta1"),
            ("epsilon_alpha2_beta1_flat", "EpsilonAlpha2Beta1Flat"),
        )
    ),
    Row("lrp", {"composite": "epsilon-plus"}, "zennit", "EpsilonPlus",
        "zennit epsilon_plus as it is", ("normalized", "sequence"), within=0.005,
        why="as it is: a normalization that was merged still divides by the root of 1 + epsilon"),
]  # fmt: skip

REMOVAL = [
    Row("occlusion", {**ZERO, "patch": (2,), "stride": (1,)}, "Captum", "Occlusion",
        "captum occlusion"),
    Row("occlusion", {**ZERO, "patch": (5,), "stride": (5,)}, "Captum", "Occlusion",
        "captum uneven occlusion", within=None, correlation=(0.0, 0.999),
        explained="formula cut",
        why="cuts the last patch off at the edge, where patches do not fit; here it is whole, and overlaps"),
    Row("feature-ablation", GAME, "Captum", "FeatureAblation", "captum feature ablation"),
    Row("shapley-sampling", GAME, "Captum", "ShapleyValues", "captum shapley values",
        why="four units, all orders"),
    Row("shapley-sampling", GAME, "Captum", "ShapleyValueSampling", "captum shapley sampling",
        within=0.2, why=f"100 orders of four units, {DRAWN}; all sets here"),
    Row("kernel-shap", GAME, "SHAP", "KernelExplainer", "shap kernel",
        why="four units, all sets"),
    Row("kernel-shap", GAME, "Captum", "KernelShap", "captum kernel shap", within=0.3,
        why=f"400 sets of four units, {DRAWN}; all sets here"),
    Row("lime", LIME, "Captum", "LimeBase", "captum lime",
        why="the same sets, kernel and ridge"),
    Row("lime", LIME, "Captum", "Lime", "captum lime as it is", within=None,
        correlation=(0.6, 0.9999),
        why="measures the distance by values of the input in place of units, and has a Lasso of 0.01 in place of the ridge"),
]  # fmt: skip

CLASS_ACTIVATION = [
    _cams("grad-cam", "Captum", "LayerGradCam", "captum grad-cam", options=PLAIN, change=unchanged),
    _cams("grad-cam", PGC, "GradCAM", "pytorch-grad-cam GradCAM", SCALED, options=PLAIN,
          networks=NOT_1D),
    _cams("grad-cam", TORCH_CAM, "GradCAM", "torch-cam GradCAM", SCALED, options=PLAIN),
    _cams("grad-cam", PGC, "GradCAM, of a pooling layer", "pytorch-grad-cam GradCAM of pool", SCALED,
          options={**PLAIN, "penultimate": "pool"}, networks=PLANE),
    _cams("grad-cam", PGC, "GradCAM, of a layer without padding",
          "pytorch-grad-cam GradCAM of third", within=None, correlation=(0.3, 0.999),
          options={**PLAIN, "penultimate": "third"}, networks=["normalized"],
          explained="formula stretched",
          why="stretches the map over the whole input; here positions lie where their receptive fields are"),
    _cams("hires-cam", PGC, "HiResCAM", "pytorch-grad-cam HiResCAM", networks=NOT_1D,
          why=f"{SCALED}, which leaves out what speaks against the target"),
    _cams("layer-cam", PGC, "LayerCAM", "pytorch-grad-cam LayerCAM", SCALED, networks=NOT_1D),
    _cams("layer-cam", TORCH_CAM, "LayerCAM", "torch-cam LayerCAM", SCALED),
    _cams("layer-cam", "tf-keras-vis", "Layercam", "tf-keras-vis:layer-cam", SCALED),
    _paper("grad-cam-plus-plus"),
    _cams("grad-cam-plus-plus", PGC, "GradCAMPlusPlus", "pytorch-grad-cam GradCAMPlusPlus",
          networks=NOT_1D, within=0.05, why=f"{SCALED}; 0.000001 is added to a number of the size of squared gradients"),
    _cams("grad-cam-plus-plus", TORCH_CAM, "GradCAMpp", "torch-cam GradCAMpp", within=None,
          correlation=(0.6, 0.999), explained="formula cubes",
          why="weighs by the sum of ReLU(g)^3: version 0.5.0 divides a copy, so that the division is lost"),
    _cams("grad-cam-plus-plus", "tf-keras-vis", "GradcamPlusPlus", "tf-keras-vis:grad-cam-plus-plus",
          within=None, correlation=(0.4, 0.9999), explained="formula unit weights",
          why="divides the weights of positions by their sum over each feature map"),
    _cams("grad-cam-plus-plus", "Xplique", "GradCAMPP", "xplique:grad-cam-plus-plus",
          networks=PLANE, within=None, correlation=(0.8, 0.9999), explained="formula of means",
          why="has the mean of a feature map in the place of its sum"),
    _cams("xgrad-cam", PGC, "XGradCAM", "pytorch-grad-cam XGradCAM", SCALED, networks=NOT_1D),
    _cams("xgrad-cam", TORCH_CAM, "XGradCAM", "torch-cam XGradCAM", SCALED),
    _paper("score-cam", options={"penultimate": FEATURES, **ZERO}),
    _cams("score-cam", PGC, "ScoreCAM", "pytorch-grad-cam ScoreCAM", SCALED, options=ZERO,
          networks=PLANE),
    _cams("score-cam", TORCH_CAM, "ScoreCAM", "torch-cam ScoreCAM", SCALED, options=ZERO),
    _cams("score-cam", "tf-keras-vis", "Scorecam", "tf-keras-vis:score-cam", options=ZERO,
          within=None, correlation=(0.6, 0.99999), explained="formula classes",
          why="takes the softmax over classes, and none over feature maps"),
    _cams("ablation-cam", PGC, "AblationCAM, scores above 0", "pytorch-grad-cam AblationCAM", SCALED,
          networks=PLANE, where="positive"),
    _cams("ablation-cam", PGC, "AblationCAM, scores below 0", "pytorch-grad-cam AblationCAM",
          networks=PLANE, where="negative", within=None, correlation=(-1.0, 0.5),
          explained="formula ablated",
          why="divides by the score and not by its size, as the paper does, which turns the map round"),
    _paper("eigen-cam"),
    _cams("eigen-cam", PGC, "EigenCAM", "pytorch-grad-cam EigenCAM", networks=NOT_1D, within=None,
          correlation=(-1.0, 0.999), explained="formula centred", by_chance=True,
          why="centres each channel first, and leaves the sign to chance"),
]  # fmt: skip

TABLES = {
    "Gradients": GRADIENTS,
    "Integrated gradients": INTEGRALS,
    "Relevance": RELEVANCE,
    "Removal of parts": REMOVAL,
    "Class activation maps": CLASS_ACTIVATION,
}
ROWS = [row for rows in TABLES.values() for row in rows]
