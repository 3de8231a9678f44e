"""One library, in a process and an environment of its own: told what to explain, it says how long.

Reads a line of JSON for each job, {"network", "method", "images", "steps"}, and answers with one:
{"seconds"}, or {"lacks": why}. The first calls of each kind, of some seconds together, warm up and
are not timed: by then whoever chooses how to compile has chosen. A job given
as an argument is done once, and what came out is written to the file that it names as "save".
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("KERAS_BACKEND", "tensorflow")
sys.path.insert(0, str(Path(__file__).parent))
sys.path.append(str(Path(__file__).parents[2]))

import numpy as np

BATCH = 32
NOISE = 0.15
WARM = 3.0  # seconds
LONG = ("MobileNetV2", "ResNet50", "VGG16")  # 21 s for a saliency map of the first


class Lacks(Exception):
    """What a library has no method for, or cannot explain."""


def main() -> None:
    library = sys.argv[1]
    if len(sys.argv) > 2:
        once(LIBRARIES[library], json.loads(sys.argv[2]))
        return
    answer_to, sys.stdout = sys.stdout, sys.stderr  # what libraries print is no answer
    calls: dict[str, Callable[[], Any]] = {}
    for line in sys.stdin:
        job = json.loads(line)
        key = json.dumps(job)
        try:
            if key not in calls:
                calls.clear()  # of one network at a time
                calls[key] = LIBRARIES[library](job)
                began = time.perf_counter()
                while time.perf_counter() - began < WARM:
                    calls[key]()
            start = time.perf_counter()
            calls[key]()
            answer: dict[str, Any] = {"seconds": time.perf_counter() - start}
        except Lacks as reason:
            answer = {"lacks": str(reason)}
        except Exception as error:
            answer = {"lacks": f"{type(error).__name__}: {str(error).splitlines()[0][:80]}"}
        print(json.dumps(answer), file=answer_to, flush=True)


def once(explain: Callable[[dict[str, Any]], Callable[[], Any]], job: dict[str, Any]) -> None:
    maps = explain(job)()
    if maps is not None:
        np.savez(job["save"], maps=np.concatenate(maps) if isinstance(maps, list) else maps)


def _subject(job: dict[str, Any]) -> tuple[Any, Any]:
    import networks

    network = networks.network(job["network"])
    if "data" in job:
        return network, np.load(job["data"])
    return network, networks.images(network, job["images"])


def _in_batches(explain: Callable[[Any], Any], x: Any) -> Callable[[], Any]:
    return lambda: [np.asarray(explain(x[i : i + BATCH])) for i in range(0, len(x), BATCH)]


def _linear(network: Any) -> Any:
    """The network with scores for outputs, which every library but cnnvis must be given."""
    import keras

    last = network.layers[-1]
    if type(last).__name__ == "Softmax":
        return keras.Model(network.inputs, last.input)
    twin = keras.models.clone_model(network)
    twin.set_weights(network.get_weights())
    twin.layers[-1].activation = keras.activations.linear
    return twin


def cnnvis(job: dict[str, Any], prefix: str = "") -> Callable[[], Any]:
    import cnnvis as program

    network, x = _subject(job)
    model, steps = program.Model(network, filters=0), job["steps"]
    settings: dict[str, dict[str, Any]] = {
        "saliency": {"backprop": None},
        "guided": {"backprop": "guided"},
        "grad-cam": {"backprop": None},
        "smoothgrad": {"copies": steps, "noise": NOISE},
        "integrated-gradients": {"steps": steps},
        "activation-max": {"iterations": steps, "backprop": None, "input_range": (0.0, 1.0)},
    }
    method = job["method"]
    technique = "saliency" if method == "guided" else method
    if prefix and technique not in ("saliency", "grad-cam", "activation-max"):
        raise Lacks("no such method")
    given = settings[method]
    if method == "activation-max":
        # Of the one layer: without its name, all of a network's are maximized.
        return lambda: program.run(prefix + technique, model, layer=model.layer, **given)
    given["checks"] = "none"  # which no other library does
    return lambda: program.run(prefix + technique, model, data=x, filter=None, **given)


def keras_vis(job: dict[str, Any]) -> Callable[[], Any]:
    if job["network"] in LONG:
        raise Lacks("it takes minutes for a picture")
    return cnnvis({**job, "images": min(job["images"], 2)}, "keras-vis:")


def bare(job: dict[str, Any]) -> Callable[[], Any]:
    """The shortest loop that there is: no titles, no checks, and no way to ask for anything."""
    import tensorflow as tf

    network, x = _subject(job)
    twin = _linear(network)
    way = job["method"]
    if way == "forward":
        forward = tf.function(lambda batch: twin(batch, training=False))
        return _in_batches(lambda batch: forward(tf.constant(batch)), x)
    if way != "saliency":
        raise Lacks("no such method")

    def make(compiled: bool) -> Callable[[Any], Any]:
        @tf.function(jit_compile=compiled)
        def gradient(batch: Any) -> Any:
            with tf.GradientTape(watch_accessed_variables=False) as tape:
                tape.watch(batch)
                score = twin(batch, training=False)[..., 0]
            return tape.gradient(score, batch)

        return lambda batch: gradient(tf.constant(batch))

    # The faster of both ways of compiling, on one batch.
    times = []
    for compiled in (False, True):
        one = make(compiled)
        one(x[:BATCH])
        start = time.perf_counter()
        np.asarray(one(x[:BATCH]))
        times.append((time.perf_counter() - start, one))
    return _in_batches(min(times, key=lambda pair: pair[0])[1], x)


def tf_keras_vis(job: dict[str, Any]) -> Callable[[], Any]:
    network, x = _subject(job)
    twin, steps = _linear(network), job["steps"]

    def score(outputs: Any) -> Any:
        return outputs[..., 0]

    match job["method"]:
        case "saliency":
            from tf_keras_vis.saliency import Saliency

            saliency = Saliency(twin, clone=False)
            return _in_batches(lambda batch: saliency(score, batch), x)
        case "smoothgrad":
            from tf_keras_vis.saliency import Saliency

            smooth = Saliency(twin, clone=False)
            given = {"smooth_samples": steps, "smooth_noise": NOISE}
            return _in_batches(lambda batch: smooth(score, batch, **given), x)
        case "grad-cam":
            from tf_keras_vis.gradcam import Gradcam

            cam = Gradcam(twin, clone=False)
            return _in_batches(lambda batch: cam(score, batch), x)
        case "activation-max":
            from tf_keras_vis.activation_maximization import ActivationMaximization

            if len(x.shape) != 4:
                raise Lacks("two spatial axes only")
            maximize = ActivationMaximization(twin, clone=False)
            return lambda: np.asarray(maximize(score, steps=steps, input_range=(0.0, 1.0)))
    raise Lacks("no such method")


def xplique(job: dict[str, Any]) -> Callable[[], Any]:
    from xplique import attributions

    network, x = _subject(job)
    twin, steps = _linear(network), job["steps"]
    targets = np.zeros((len(x), twin.output_shape[-1]), np.float32)
    targets[:, 0] = 1
    given: dict[str, Any] = {"batch_size": BATCH}
    kinds = {
        "saliency": ("Saliency", {}),
        "guided": ("GuidedBackprop", {}),
        "grad-cam": ("GradCAM", {}),
        "smoothgrad": ("SmoothGrad", {"nb_samples": steps, "noise": NOISE}),
        "integrated-gradients": ("IntegratedGradients", {"steps": steps}),
    }
    if job["method"] not in kinds:
        raise Lacks("no such method")
    kind, more = kinds[job["method"]]
    explainer = getattr(attributions, kind)(twin, **given, **more)
    return lambda: np.asarray(explainer(x, targets))


def tf_explain(job: dict[str, Any]) -> Callable[[], Any]:
    import networks
    import tensorflow as tf
    from tf_explain.core import grad_cam, integrated_gradients, smoothgrad, vanilla_gradients

    network, x = _subject(job)
    twin, steps = _linear(network), job["steps"]
    match job["method"]:
        case "saliency":
            vanilla = vanilla_gradients.VanillaGradients()
            return _in_batches(
                lambda batch: vanilla.compute_gradients(tf.constant(batch), twin, 0), x
            )
        case "grad-cam":
            layer = networks.last_convolution(twin)

            def cam(batch: Any) -> Any:
                outputs, gradients = grad_cam.GradCAM.get_gradients_and_filters(
                    twin, batch, layer, 0, False
                )
                return grad_cam.GradCAM.generate_ponderated_output(outputs, gradients)

            return _in_batches(cam, x)
        case "smoothgrad":

            def smooth(batch: Any) -> Any:
                noisy = smoothgrad.SmoothGrad.generate_noisy_images(batch, steps, NOISE)
                return smoothgrad.SmoothGrad.get_averaged_gradients(noisy, twin, 0, steps)

            return _in_batches(smooth, x)
        case "integrated-gradients":
            kind = integrated_gradients.IntegratedGradients

            def integrate(batch: Any) -> Any:
                between = kind.generate_interpolations(batch, steps)
                return kind.get_integrated_gradients(between, twin, 0, steps)

            return _in_batches(integrate, x)
    raise Lacks("no such method")


def captum(job: dict[str, Any]) -> Callable[[], Any]:
    import torch
    from captum import attr

    from benchmarks import twins

    if not job.get("twin"):
        raise Lacks("the network is no chain of layers, so it has no twin here")
    twin = twins.twin(np.load(job["twin"]))
    last = [one for one in twin if isinstance(one, torch.nn.modules.conv._ConvNd)][-1]
    steps = job["steps"]
    if "data" in job:
        x = np.load(job["data"])
    else:
        x = np.random.default_rng(2).random((job["images"], *job["shape"]), np.float32)
    x = np.moveaxis(x, -1, 1).copy()
    kinds: dict[str, Callable[[], Any]] = {
        "saliency": lambda: attr.Saliency(twin).attribute,
        "guided": lambda: attr.GuidedBackprop(twin).attribute,
        "grad-cam": lambda: attr.LayerGradCam(twin, last).attribute,
        "smoothgrad": lambda: attr.NoiseTunnel(attr.Saliency(twin)).attribute,
        "integrated-gradients": lambda: attr.IntegratedGradients(twin).attribute,
    }
    if job["method"] not in kinds:
        raise Lacks("no such method")
    method = kinds[job["method"]]()
    given: dict[str, Any] = {"target": 0}
    if job["method"] == "smoothgrad":
        given |= {"nt_samples": steps, "stdevs": NOISE}
    if job["method"] == "integrated-gradients":
        given |= {"n_steps": steps, "internal_batch_size": BATCH}

    def explain(batch: Any) -> Any:
        return method(torch.from_numpy(batch).requires_grad_(), **given).detach().numpy()

    return _in_batches(explain, x)


def export(job: dict[str, Any]) -> Callable[[], Any]:
    """Not a library: writes the weights for the twin, and files for whole commands."""
    import networks

    from benchmarks import twins

    network = networks.network(job["network"])
    if "save" in job:
        network.save(Path(job["save"], "network.keras"))
        for count in job["counts"]:
            np.save(Path(job["save"], f"{count}.npy"), networks.images(network, count))
    held = twins.exported(network)
    if held is None:
        raise Lacks("no chain of layers")
    np.savez(job["twin"], **held)
    return lambda: None


LIBRARIES = {
    "cnnvis": cnnvis,
    "bare": bare,
    "tf-keras-vis": tf_keras_vis,
    "xplique": xplique,
    "tf-explain": tf_explain,
    "captum": captum,
    "keras-vis": keras_vis,
    "export": export,
}

if __name__ == "__main__":
    main()
