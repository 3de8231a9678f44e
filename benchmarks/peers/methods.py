"""The methods that are compared, and how much each does: the same for every library."""

from __future__ import annotations

import math

SAMPLES = {
    "saliency": 1, "guided": 1, "grad-cam": 1, "smoothgrad": 20, "integrated-gradients": 20,
    "activation-max": 20,
    "gradient-times-input": 1, "vargrad": 20, "expected-gradients": 20, "fullgrad": 1,
    "layer-cam": 1, "grad-cam-plus-plus": 1, "hires-cam": 1, "xgrad-cam": 1, "eigen-cam": 1,
    "score-cam": 1, "ablation-cam": 1,
    "lrp": 1, "deeplift": 1, "deep-shap": 8,
    "occlusion": 1, "feature-ablation": 1, "rise": 200, "lime": 200, "kernel-shap": 200,
    "shapley-sampling": 8,
}  # fmt: skip
"""Each method, and how many steps, copies, baselines, masks, sets or orders it takes."""

CELLS = {"small": (4, 4), "sequence": (20,), "volume": (4, 4, 4)}
"""How many patches there are along each axis for methods that remove some: of others 7 x 7."""

CELLED = ("occlusion", "feature-ablation", "shapley-sampling")
"""What takes a pass for each patch."""

FROM_DATA = ("expected-gradients", "deep-shap")
"""What takes its baselines from the images, which must be as many at least."""

OF_CHANNELS = ("score-cam", "ablation-cam")
CHANNELS = {"small": 16, "sequence": 64, "volume": 16}
"""How many feature maps the last convolution has, each of which takes a pass."""


def cells(network: str) -> tuple[int, ...]:
    """Return the patches along each axis of a network's input."""
    return CELLS.get(network, (7, 7))


def samples(method: str, network: str) -> int:
    """Return how many steps a method takes: fewer for networks that take long for each."""
    most = {"ResNet50": 10, "VGG16": 5}.get(network, SAMPLES[method])
    return min(SAMPLES[method], most)


def images(method: str, network: str, many: float) -> int:
    """Return how many images a call explains, of so many where each takes a single pass."""
    number = samples(method, network)
    if method in CELLED:
        number *= math.prod(cells(network))
    if method in OF_CHANNELS:
        number *= CHANNELS.get(network, 512)
    least = samples(method, network) if method in FROM_DATA else 1
    return max(int(many) // number, least)
