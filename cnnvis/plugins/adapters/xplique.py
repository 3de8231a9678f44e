"""Xplique, a library of its own, behind cnnvis's names: it computes, cnnvis shows."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Literal

import cnnvis
from cnnvis.plugins.adapters._libraries import (
    BATCH,
    batches,
    making_layers,
    network_of,
    penultimate_of,
    seeded,
)

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Array = npt.NDArray[np.float32]

LIBRARY = "Xplique"
NEEDS: dict[str, Any] = {"requires": ("xplique",), "extra": "xplique"}


@cnnvis.technique(
    "xplique:saliency",
    reference="arXiv:1312.6034",
    claims={"equals": {"technique": "saliency", "theirs": {"backprop": None}}},
    **NEEDS,
)
def saliency(model: cnnvis.Model, samples: cnnvis.Samples) -> cnnvis.Explanation:
    """The size of the gradient, by Xplique: the maximum over channels."""
    return _explained("Saliency", model, samples)


@cnnvis.technique("xplique:gradient-input", reference="arXiv:1605.01713", **NEEDS)
def gradient_input(model: cnnvis.Model, samples: cnnvis.Samples) -> cnnvis.Explanation:
    """Gradient times input, by Xplique: the mean over channels."""
    return _explained("GradientInput", model, samples)


@cnnvis.technique("xplique:guided", reference="arXiv:1412.6806", **NEEDS)
def guided(model: cnnvis.Model, samples: cnnvis.Samples) -> cnnvis.Explanation:
    """Guided backpropagation by Xplique: the mean over channels."""
    return _explained("GuidedBackprop", model, samples)


@cnnvis.technique("xplique:deconv", reference="arXiv:1311.2901", **NEEDS)
def deconv(model: cnnvis.Model, samples: cnnvis.Samples) -> cnnvis.Explanation:
    """The deconvolution method by Xplique: the mean over channels."""
    return _explained("DeconvNet", model, samples)


@cnnvis.technique(
    "xplique:integrated-gradients",
    reference="arXiv:1703.01365",
    claims={"integrated-gradients": {}, "complete": {}},
    **NEEDS,
)
def integrated_gradients(
    model: cnnvis.Model,
    samples: cnnvis.Samples,
    *,
    steps: cnnvis.Count = 50,
    baseline: float = 0.0,
) -> cnnvis.Explanation:
    """Integrated gradients by Xplique, for every channel.

    Parameters
    ----------
    steps
        How many steps the integral is taken in.
    baseline
        The value of every place of the input that it begins with.
    """
    given: dict[str, Any] = {"steps": steps, "baseline_value": baseline}
    return _explained("IntegratedGradients", model, samples, every_channel=True, **given)


@cnnvis.technique("xplique:smoothgrad", reference="arXiv:1706.03825", **NEEDS)
def smoothgrad(
    model: cnnvis.Model,
    samples: cnnvis.Samples,
    *,
    copies: cnnvis.Count = 50,
    noise: cnnvis.NotNegative = 0.2,
    seed: int = 0,
) -> cnnvis.Explanation:
    """SmoothGrad by Xplique: the mean gradient of noisy copies, and the mean over channels.

    Parameters
    ----------
    copies
        How many noisy copies of each image there are.
    noise
        The deviation of the noise, in the units of the input.
    seed
        Of the noise.
    """
    given: dict[str, Any] = {"nb_samples": copies, "noise": noise}
    return _explained("SmoothGrad", model, samples, seed=seed, **given)


@cnnvis.technique(
    "xplique:grad-cam", reference="arXiv:1610.02391", claims={"grad-cam": {}}, **NEEDS
)
def grad_cam(
    model: cnnvis.Model, samples: cnnvis.Samples, *, penultimate: str | None = None
) -> cnnvis.Explanation:
    """Grad-CAM by Xplique; over two spatial axes only.

    Parameters
    ----------
    penultimate
        The layer whose feature maps are weighted; by default the last before the target that has
        the input's spatial axes.
    """
    return _explained("GradCAM", model, samples, flat=True, penultimate=penultimate)


@cnnvis.technique("xplique:grad-cam-plus-plus", reference="arXiv:1710.11063", **NEEDS)
def grad_cam_plus_plus(
    model: cnnvis.Model, samples: cnnvis.Samples, *, penultimate: str | None = None
) -> cnnvis.Explanation:
    """Grad-CAM++ by Xplique; over two spatial axes only.

    The library takes means over positions where the paper has sums, within the weights of positions
    too, so its maps are others and not only smaller.

    Parameters
    ----------
    penultimate
        The layer whose feature maps are weighted; by default the last before the target that has
        the input's spatial axes.
    """
    return _explained("GradCAMPP", model, samples, flat=True, penultimate=penultimate)


@cnnvis.technique("xplique:rise", reference="arXiv:1806.07421", **NEEDS)
def rise(
    model: cnnvis.Model,
    samples: cnnvis.Samples,
    *,
    masks: cnnvis.Count = 4000,
    grid: cnnvis.Count = 7,
    seed: int = 0,
) -> cnnvis.Explanation:
    """RISE by Xplique: the mean of random masks, weighted by the scores of what they leave visible.

    Over two spatial axes only.

    Parameters
    ----------
    masks
        How many masks are drawn for each image.
    grid
        How many cells a mask has along an axis, before it is enlarged.
    seed
        Of the masks.
    """
    given: dict[str, Any] = {"nb_samples": masks, "grid_size": grid}
    return _explained("Rise", model, samples, flat=True, seed=seed, **given)


@cnnvis.technique("xplique:sobol", reference="arXiv:2111.04138", **NEEDS)
def sobol(
    model: cnnvis.Model,
    samples: cnnvis.Samples,
    *,
    grid: cnnvis.Count = 8,
    designs: cnnvis.Count = 32,
    seed: int = 0,
) -> cnnvis.Explanation:
    """Total Sobol indices by Xplique: how much of the score's variance a place takes part in.

    Over two spatial axes only.

    Parameters
    ----------
    grid
        How many cells a mask has along an axis, before it is enlarged.
    designs
        How many masks are drawn for each cell: a power of two.
    seed
        Of the masks.
    """
    if designs & (designs - 1):
        raise cnnvis.UserError(f"designs is {designs}, and must be a power of two")
    given: dict[str, Any] = {"grid_size": grid, "nb_design": designs}
    return _explained("SobolAttributionMethod", model, samples, flat=True, seed=seed, **given)


@contextmanager
def drawing_anew() -> Iterator[None]:
    """Let the library draw from the seed that is set now.

    It draws in functions that TensorFlow compiles once, with the seed of that time.
    """
    from xplique.attributions import Rise
    from xplique.attributions.gradient_statistics.gradient_statistic import GradientStatistic

    compiled = [(Rise, "_get_masks"), (GradientStatistic, "_perturb_samples")]
    before = [vars(where)[name] for where, name in compiled]
    for (where, name), one in zip(compiled, before, strict=True):
        setattr(where, name, staticmethod(one.__func__.python_function))
    try:
        yield
    finally:
        for (where, name), one in zip(compiled, before, strict=True):
            setattr(where, name, one)


def _explained(
    kind: str,
    model: cnnvis.Model,
    samples: cnnvis.Samples,
    *,
    flat: bool = False,
    every_channel: bool = False,
    seed: int | None = None,
    penultimate: str | Literal[False] | None = False,
    **settings: Any,
) -> cnnvis.Explanation:
    """Return the maps of one of the library's attribution methods.

    `flat` is true for a method that takes only two spatial axes with channels last; `every_channel`
    for a method that must not reduce channels to one value. With a `seed`, the method draws random
    numbers: then images are given one by one, so that each gets the same result whatever other
    images there are. With `penultimate`, the method weights the feature maps of that layer.
    """
    import numpy as np
    from xplique import attributions

    if flat and (len(samples.space) != 2 or samples.channel_axis != -1):
        raise cnnvis.UserError(
            f"Xplique's {kind} is for two spatial axes with channels last, and these inputs have "
            f"{len(samples.space)} with channels "
            f"{'first' if samples.channel_axis == 1 else 'last'}"
        )
    if every_channel or samples.channel_axis == 1:
        settings["reducer"] = None  # it would reduce the last axis, whatever that is
    network = network_of(model, LIBRARY)
    if penultimate is not False:
        settings["conv_layer"] = penultimate_of(network, model, penultimate, samples)
    with making_layers():
        library = getattr(attributions, kind)(network, batch_size=BATCH, **settings)
    parts = []
    for x, weights in batches(model, samples, BATCH if seed is None else 1):
        if seed is None:
            parts.append(np.asarray(library(x, weights), np.float32))
        else:
            with seeded(seed), drawing_anew():
                parts.append(np.asarray(library(x, weights), np.float32))
    maps = np.concatenate(parts)
    # What the library reduces keeps a last axis of length one.
    if settings.get("reducer", "mean") == "mean" and maps.ndim == samples.x.ndim:
        maps = maps[..., 0]
    elif samples.channel_axis == 1 and not every_channel:
        maps = maps.max(axis=1) if kind == "Saliency" else maps.mean(axis=1)
    return cnnvis.Explanation(maps, samples)
