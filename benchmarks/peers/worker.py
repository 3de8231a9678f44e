"""One library, in a process and an environment of its own: told what to explain, it says how long.

Reads a line of JSON for each job, {"network", "method", "images", "steps"}, and answers with one:
{"seconds", "processor"}, {"lacks": why}, or {"failed": why}. The first calls of each kind, of a second or more together, warm up and
are not timed: by then whoever chooses how to compile has chosen. A job given
as an argument is done once, and what came out is written to the file that it names as "save".
"""

from __future__ import annotations

import json
import os
import re
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("KERAS_BACKEND", "tensorflow")
sys.path.insert(0, str(Path(__file__).parent))
sys.path.append(str(Path(__file__).parents[2]))

import numpy as np
from shared import BATCH, NOISE, Lacks, in_batches, patch_of, units

WARM = 1.0  # seconds of the processor

LONGEST = 120  # letters of a reason
LONG = ("MobileNetV2", "ResNet50", "VGG16")  # 21 s for a saliency map of the first


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
                calls[key]()  # which compiles, and takes long
                began = time.process_time()
                while time.process_time() - began < WARM:
                    calls[key]()
            start = time.perf_counter(), time.process_time()
            calls[key]()
            answer: dict[str, Any] = {
                "seconds": time.perf_counter() - start[0],
                "processor": time.process_time() - start[1],
            }
        except Lacks as reason:
            answer = {"lacks": str(reason)}
        except Exception as error:
            answer = {"failed": _sentence(error)}
        print(json.dumps(answer), file=answer_to, flush=True)


def _sentence(error: Exception) -> str:
    """The line of an error that says most: TensorFlow puts a traceback before it, and more behind it."""
    said = "".join(traceback.format_exception_only(error))
    lines = [line.strip() for line in said.splitlines()]
    said = [line for line in lines if re.match(r"\w+(Error|Exception): ", line)][-1:] or lines[:1]
    return said[0] if len(said[0]) <= LONGEST else said[0][: LONGEST - 3] + "..."


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
    cells = job.get("cells", ())
    removal = {"units": "grid:" + "x".join(map(str, cells)), "baseline": 0.0}
    patch = patch_of(x.shape[1:-1], cells)
    settings: dict[str, dict[str, Any]] = {
        "saliency": {"backprop": None},
        "guided": {"backprop": "guided"},
        "grad-cam": {"backprop": None},
        "smoothgrad": {"copies": steps, "noise": NOISE},
        "integrated-gradients": {"steps": steps, "most_steps": steps},  # as many as the others take
        "activation-max": {"iterations": steps, "backprop": None, "input_range": (0.0, 1.0)},
        "vargrad": {"copies": steps, "noise": NOISE},
        "expected-gradients": {"baselines": steps, "steps": 1},
        "lrp": {"composite": "epsilon"},
        "deeplift": {"baseline": 0.0},
        "deep-shap": {"baselines": steps},
        "occlusion": {"patch": patch, "stride": patch, "baseline": 0.0},
        "feature-ablation": removal,
        "rise": {"masks": steps, "baseline": 0.0},
        "lime": {"sets": steps, **removal},
        "kernel-shap": {"sets": steps, **removal},
        "shapley-sampling": {"orders": steps, **removal},
    }
    method = job["method"]
    technique = "saliency" if method == "guided" else method
    if prefix and technique not in ("saliency", "grad-cam", "activation-max"):
        raise Lacks("no such method")
    given = settings.get(method, {})
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
        return in_batches(lambda batch: forward(tf.constant(batch)), x)
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
    return in_batches(min(times, key=lambda pair: pair[0])[1], x)


def tf_keras_vis(job: dict[str, Any]) -> Callable[[], Any]:
    network, x = _subject(job)
    twin, steps = _linear(network), job["steps"]

    def score(outputs: Any) -> Any:
        return outputs[..., 0]

    match job["method"]:
        case "saliency":
            from tf_keras_vis.saliency import Saliency

            saliency = Saliency(twin, clone=False)
            return in_batches(lambda batch: saliency(score, batch), x)
        case "smoothgrad":
            from tf_keras_vis.saliency import Saliency

            smooth = Saliency(twin, clone=False)
            given = {"smooth_samples": steps, "smooth_noise": NOISE}
            return in_batches(lambda batch: smooth(score, batch, **given), x)
        case "grad-cam":
            from tf_keras_vis.gradcam import Gradcam

            cam = Gradcam(twin, clone=False)
            return in_batches(lambda batch: cam(score, batch), x)
        case "layer-cam":
            from tf_keras_vis.layercam import Layercam

            layer = Layercam(twin, clone=False)
            return in_batches(lambda batch: layer(score, batch), x)
        case "grad-cam-plus-plus":
            from tf_keras_vis.gradcam_plus_plus import GradcamPlusPlus

            plus = GradcamPlusPlus(twin, clone=False)
            return in_batches(lambda batch: plus(score, batch), x)
        case "score-cam":
            from tf_keras_vis.scorecam import Scorecam

            scored = Scorecam(twin, clone=False)
            return in_batches(lambda batch: scored(score, batch, batch_size=BATCH), x)
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
    space = x.shape[1:-1]
    cells = job.get("cells", ())
    patch = patch_of(space, cells)
    # Along time, patches go over all channels, too.
    patch = (*patch, x.shape[-1]) if len(space) == 1 else patch
    removal: dict[str, Any] = {
        "nb_samples": steps,
        "map_to_interpret_space": lambda one: _units(tuple(one.shape), cells),
        "ref_value": np.zeros(x.shape[-1] if len(space) > 1 else 1, np.float32),
    }
    kinds = {
        "saliency": ("Saliency", {}),
        "guided": ("GuidedBackprop", {}),
        "grad-cam": ("GradCAM", {}),
        "smoothgrad": ("SmoothGrad", {"nb_samples": steps, "noise": NOISE}),
        "integrated-gradients": ("IntegratedGradients", {"steps": steps}),
        "gradient-times-input": ("GradientInput", {}),
        "vargrad": ("VarGrad", {"nb_samples": steps, "noise": NOISE}),
        "grad-cam-plus-plus": ("GradCAMPP", {}),
        "occlusion": ("Occlusion", {"patch_size": patch, "patch_stride": patch}),
        "rise": ("Rise", {"nb_samples": steps, "grid_size": 7}),
        "lime": ("Lime", removal),
        "kernel-shap": ("KernelShap", removal),
    }
    if job["method"] not in kinds:
        raise Lacks("no such method")
    if len(twin.output_shape) > 2:  # a score for each place: of a sample, their mean

        def mean(model: Any, inputs: Any, targets: Any) -> Any:
            import tensorflow as tf

            return tf.reduce_mean(model(inputs)[..., 0], axis=list(range(1, len(x.shape) - 1)))

        given["operator"] = mean
    kind, more = kinds[job["method"]]
    explainer = getattr(attributions, kind)(twin, **given, **more)
    return lambda: np.asarray(explainer(x, targets))


def _units(shape: tuple[int, ...], cells: Sequence[int]) -> Any:
    """The number of each position's patch, as Xplique takes it: with channels along time alone."""
    import tensorflow as tf

    found = units(shape[:-1], cells)
    return tf.constant(np.repeat(found[:, None], shape[-1], 1) if found.ndim == 1 else found)


def tf_explain(job: dict[str, Any]) -> Callable[[], Any]:
    import networks
    import tensorflow as tf
    from tf_explain.core import grad_cam, integrated_gradients, smoothgrad, vanilla_gradients

    network, x = _subject(job)
    twin, steps = _linear(network), job["steps"]
    match job["method"]:
        case "saliency":
            vanilla = vanilla_gradients.VanillaGradients()
            return in_batches(
                lambda batch: vanilla.compute_gradients(tf.constant(batch), twin, 0), x
            )
        case "grad-cam":
            layer = networks.last_convolution(twin)

            def cam(batch: Any) -> Any:
                outputs, gradients = grad_cam.GradCAM.get_gradients_and_filters(
                    twin, batch, layer, 0, False
                )
                return grad_cam.GradCAM.generate_ponderated_output(outputs, gradients)

            return in_batches(cam, x)
        case "smoothgrad":

            def smooth(batch: Any) -> Any:
                noisy = smoothgrad.SmoothGrad.generate_noisy_images(batch, steps, NOISE)
                return smoothgrad.SmoothGrad.get_averaged_gradients(noisy, twin, 0, steps)

            return in_batches(smooth, x)
        case "integrated-gradients":
            kind = integrated_gradients.IntegratedGradients

            def integrate(batch: Any) -> Any:
                between = kind.generate_interpolations(batch, steps)
                return kind.get_integrated_gradients(between, twin, 0, steps)

            return in_batches(integrate, x)
    raise Lacks("no such method")


def captum(job: dict[str, Any]) -> Callable[[], Any]:
    import torch_libraries

    return torch_libraries.captum(job)


def grad_cam(job: dict[str, Any]) -> Callable[[], Any]:
    import torch_libraries

    return torch_libraries.grad_cam(job)


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
    "grad-cam": grad_cam,
    "keras-vis": keras_vis,
    "export": export,
}

if __name__ == "__main__":
    main()
