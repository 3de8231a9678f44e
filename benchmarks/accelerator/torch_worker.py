"""A library for PyTorch on a network of torchvision, in a process of its own, on a GPU if there is one.

As tensorflow_worker.py: imports, says so, waits for its job, and prints a line of JSON a number.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ["TQDM_DISABLE"] = "1"
sys.path.insert(0, str(Path(__file__).parent))

import numpy as np
import torch
from timing import Row, failed, timed
from torch import nn

NETWORKS = {"ResNet50": "resnet50", "VGG16": "vgg16", "EfficientNetB0": "efficientnet_b0"}
NOISE = 0.15
SINGLE = ("saliency", "guided", "grad-cam")


def main() -> None:
    """Import, wait for the job, and print what is found."""
    answers, sys.stdout = sys.stdout, sys.stderr

    def say(row: Row) -> None:
        print(json.dumps(row), file=answers, flush=True)

    import torchvision

    say({"ready": True})
    job = json.loads(sys.stdin.readline())
    torch.manual_seed(1)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    network = getattr(torchvision.models, NETWORKS[job["network"]])(weights=None).eval().to(device)
    for part in network.modules():
        if hasattr(part, "inplace"):
            part.inplace = False  # hooks of libraries see what it had been given
    say({"torch_device": torch.cuda.get_device_name() if device == "cuda" else "no GPU"})
    for method in job["methods"]:
        say(row_of(job, method, network, device))


def row_of(job: dict[str, Any], method: str, network: Any, device: str) -> Row:
    """Images a second and the most memory of the device, or why there is none."""
    size = job["batch"]
    row: Row = {"method": method, "batch": size}
    count = size * (job["batches"] if method in SINGLE else 1)
    x = np.random.default_rng(2).random((count, 3, 224, 224), np.float32)
    try:
        explain = LIBRARIES[job["library"]](method, network, job)

        def call() -> Any:
            return [
                explain(torch.from_numpy(x[i : i + size]).to(device)).detach().cpu().numpy()
                for i in range(0, count, size)
            ]

        if device == "cuda":
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats()
        found = timed(call)
    except Exception as error:
        return failed(error, row)
    held = torch.cuda.max_memory_allocated() if device == "cuda" else None
    return {**row, **found, "rate": count / found["seconds"], "memory": held}


def loop(method: str, network: Any, job: dict[str, Any]) -> Callable[[Any], Any]:
    """The gradient in a loop."""
    if method != "saliency":
        raise LookupError("no such method")
    for one in network.parameters():
        one.requires_grad_(False)

    def explain(batch: Any) -> Any:
        batch.requires_grad_()
        return torch.autograd.grad(network(batch)[:, 0].sum(), batch)[0]

    return explain


def captum(method: str, network: Any, job: dict[str, Any]) -> Callable[[Any], Any]:
    """Captum's methods."""
    from captum import attr

    steps, size = job["steps"], job["batch"]
    kinds: dict[str, tuple[Callable[[], Any], dict[str, Any]]] = {
        "saliency": (lambda: attr.Saliency(network), {}),
        "guided": (lambda: attr.GuidedBackprop(network), {}),
        "grad-cam": (lambda: attr.LayerGradCam(network, _last(network)), {}),
        "smoothgrad": (
            lambda: attr.NoiseTunnel(attr.Saliency(network)),
            {"nt_samples": steps, "stdevs": NOISE, "nt_samples_batch_size": 1},
        ),
        "integrated-gradients": (
            lambda: attr.IntegratedGradients(network),
            {"n_steps": steps, "internal_batch_size": size},
        ),
    }
    make, given = kinds[method]
    attribute = make().attribute
    return lambda batch: attribute(batch.requires_grad_(), target=0, **given)


def grad_cam(method: str, network: Any, job: dict[str, Any]) -> Callable[[Any], Any]:
    """The class activation maps of pytorch-grad-cam."""
    import pytorch_grad_cam
    from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

    if method != "grad-cam":
        raise LookupError("no such method")
    cam = pytorch_grad_cam.GradCAM(model=network, target_layers=[_last(network)])

    def explain(batch: Any) -> Any:
        return torch.from_numpy(cam(batch, [ClassifierOutputTarget(0)] * len(batch)))

    return explain


def _last(network: Any) -> Any:
    """The last convolution."""
    return [part for part in network.modules() if isinstance(part, nn.Conv2d)][-1]


LIBRARIES = {"torch loop": loop, "captum": captum, "grad-cam": grad_cam}

if __name__ == "__main__":
    main()
