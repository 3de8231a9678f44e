"""Xplique, a library of its own, behind cnnvis's names: it computes, cnnvis shows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import cnnvis
from cnnvis.plugins.adapters._libraries import (
    BATCH,
    in_batches,
    making_layers,
    network_of,
    penultimate_of,
)
from cnnvis.plugins.adapters._methods import PENULTIMATE, Method, Option, technique_of
from cnnvis.plugins.adapters._processes.xplique import NEEDS, library_with

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Array = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Attribution(Method):
    """Attribution method of Xplique.

    Attributes
    ----------
    is_flat
        True for a method that takes only two spatial axes with channels last.
    every_channel
        True for a method that must not reduce channels to one value.
    """

    is_flat: bool = False
    every_channel: bool = False


def _require_power_of_two(*, designs: int, **others: Any) -> None:
    if designs & (designs - 1):
        raise cnnvis.UserError(f"designs is {designs}, and must be a power of two")


CELLS = "The number of cells of a mask along an axis, before it is enlarged."
SEED_OF_MASKS = Option("seed", int, 0, "The seed of the masks.")

METHODS = (
    Attribution("xplique:saliency", "Saliency", "arXiv:1312.6034",
                "Saliency maps by Xplique: the maximum of the gradient's size over channels.",
                claims={"equals": {"technique": "saliency", "theirs": {"backprop": None}}}),
    Attribution("xplique:gradient-input", "GradientInput", "arXiv:1605.01713",
                "Gradient times input, by Xplique: the mean over channels."),
    Attribution("xplique:guided", "GuidedBackprop", "arXiv:1412.6806",
                "Guided backpropagation by Xplique: the mean over channels."),
    Attribution("xplique:deconv", "DeconvNet", "arXiv:1311.2901",
                "The deconvolution method by Xplique: the mean over channels."),
    Attribution("xplique:integrated-gradients", "IntegratedGradients", "arXiv:1703.01365",
                "Integrated gradients by Xplique, for every channel.",
                (Option("steps", cnnvis.Count, 50, "The number of steps of the integral."),
                 Option("baseline", float, 0.0, "The value of every place of the baseline.", "baseline_value")),
                claims={"integrated-gradients": {}, "complete": {}}, every_channel=True),
    Attribution("xplique:smoothgrad", "SmoothGrad", "arXiv:1706.03825",
                "SmoothGrad by Xplique: the mean gradient of noisy copies, with the mean over "
                "channels.",
                (Option("copies", cnnvis.Count, 50, "The number of noisy copies of each image.", "nb_samples"),
                 Option("noise", cnnvis.NotNegative, 0.2, "The standard deviation of the noise, "
                        "in the units of the input."),
                 Option("seed", int, 0, "The seed of the noise."))),
    Attribution("xplique:grad-cam", "GradCAM", "arXiv:1610.02391",
                "Grad-CAM by Xplique; over two spatial axes only.",
                (PENULTIMATE,), claims={"grad-cam": {}}, is_flat=True),
    Attribution("xplique:grad-cam-plus-plus", "GradCAMPP", "arXiv:1710.11063",
                """Grad-CAM++ by Xplique; over two spatial axes only.

                The library takes means over positions where the paper has sums, also within the
                weights of positions. So its maps differ in more than their scale.
                """,
                (PENULTIMATE,), is_flat=True),
    Attribution("xplique:rise", "Rise", "arXiv:1806.07421",
                """RISE by Xplique: the mean of random masks, each weighted by the score of the masked input.

                Over two spatial axes only.
                """,
                (Option("masks", cnnvis.Count, 4000, "The number of masks for each image.",
                        "nb_samples"),
                 Option("grid", cnnvis.Count, 7, CELLS, "grid_size"),
                 SEED_OF_MASKS),
                is_flat=True),
    Attribution("xplique:sobol", "SobolAttributionMethod", "arXiv:2111.04138",
                """Total Sobol indices by Xplique: the share of the score's variance that depends on a place.

                Over two spatial axes only.
                """,
                (Option("grid", cnnvis.Count, 8, CELLS, "grid_size"),
                 Option("designs", cnnvis.Count, 32, "The number of masks for each cell: a power "
                        "of two.", "nb_design"),
                 SEED_OF_MASKS),
                check=_require_power_of_two, is_flat=True),
)  # fmt: skip


def _explained(
    method: Attribution,
    model: cnnvis.Model,
    samples: cnnvis.Samples,
    *,
    penultimate: str | None = None,
    seed: cnnvis.Seed | None = None,
    **options: Any,
) -> cnnvis.Explanation:
    """Return the maps of a method of the library.

    A method with a `seed` draws random numbers. It is given images one by one, so that each gets the
    same result whatever other images there are.
    """
    if method.is_flat and (len(samples.space) != 2 or samples.channel_axis != -1):
        raise cnnvis.UserError(
            f"Xplique's {method.kind} is for two spatial axes with channels last, and these inputs "
            f"have {len(samples.space)} with channels "
            f"{'first' if samples.channel_axis == 1 else 'last'}"
        )
    settings = method.settings(options)
    # The library reduces the last axis of four, whatever that is, and no other.
    is_reduced = not method.every_channel and samples.channel_axis == -1 and len(samples.space) == 2
    if not is_reduced:
        settings["reducer"] = None
    network = network_of(model, "Xplique")
    if PENULTIMATE in method.options:
        settings["conv_layer"] = penultimate_of(network, model, penultimate, samples)
    library = library_with(network)
    with making_layers():
        library.use(method.kind, settings)

    def explain(x: Array, weights: Array) -> Any:
        return library.attributions(x, weights, seed)

    maps = in_batches(explain, model, samples, BATCH if seed is None else 1)
    axis = samples.channel_axis
    if not method.every_channel and axis is not None and maps.ndim == samples.x.ndim:
        if is_reduced:  # and keeps a last axis of length one
            maps = maps[..., 0]
        else:
            maps = maps.max(axis=axis) if method.kind == "Saliency" else maps.mean(axis=axis)
    return cnnvis.Explanation(maps, samples)


TECHNIQUES = [technique_of(method, _explained, **NEEDS) for method in METHODS]


@cnnvis.hookimpl
def cnnvis_plugins() -> list[object]:
    """Return the techniques of the table."""
    return [cnnvis.plugin_of(technique) for technique in TECHNIQUES]
