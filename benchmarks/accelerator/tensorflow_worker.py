"""One library for Keras on one network, in a process of its own, on a GPU if there is one.

Imports what it needs, says so, waits for a line of JSON with its job, and then prints a line of JSON
for each number that it finds: see `measured`. Until the line has come it leaves the GPU alone.
"""

from __future__ import annotations

import json
import os
import statistics
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("KERAS_BACKEND", "tensorflow")
sys.path.insert(0, str(Path(__file__).parents[1] / "peers"))
sys.path.insert(0, str(Path(__file__).parent))
sys.path.append(str(Path(__file__).parents[2]))

import numpy as np
from timing import Row, failed, timed

GAIN = 0.03
"""Share by which a larger batch must be faster to be taken, and a still larger tried."""

COMPARED = 32
"""How many images' maps are compared between precisions."""

CHAIN = 20
"""How many products of matrices, one after the other, tell the device's peak."""


def main() -> None:
    """Import, wait for the job, and print what is found."""
    answers, sys.stdout = sys.stdout, sys.stderr  # what libraries print is no answer

    def say(row: Row) -> None:
        print(json.dumps(row), file=answers, flush=True)

    import keras  # noqa: F401 (which takes long, before the clock runs)
    import tensorflow as tf

    for gpu in tf.config.list_physical_devices("GPU"):
        tf.config.experimental.set_memory_growth(gpu, True)
    say({"ready": True})
    job = json.loads(sys.stdin.readline())
    try:
        for row in LIBRARIES.get(job["library"], peer)(job):
            say(row)
    except Exception as error:
        say(failed(error, {}))


def measured(call: Callable[[], Any], images: int, row: Row) -> Row:
    """The row with images a second and the most memory of the device that the calls took."""
    import tensorflow as tf

    gpus = [f"GPU:{number}" for number, _ in enumerate(tf.config.list_logical_devices("GPU"))]
    for gpu in gpus:
        tf.config.experimental.reset_memory_stats(gpu)
    try:
        found = timed(call)
    except Exception as error:
        return failed(error, row)
    peak = [tf.config.experimental.get_memory_info(gpu)["peak"] for gpu in gpus]
    return {**row, **found, "rate": images / found["seconds"], "memory": sum(peak) or None}


def bare(job: dict[str, Any]) -> Iterator[Row]:
    """A compiled gradient in a loop: the size of batches that is the fastest, and both ways of compiling."""
    import networks
    import tensorflow as tf

    network = networks.network(job["network"])
    twin = _linear(network)
    yield about(job, network)
    images = networks.images(network, max(job["sizes"]))

    def loop(size: int, is_xla: bool, way: str) -> Row:
        batches = [images[:size]] * job["batches"]

        @tf.function(jit_compile=is_xla)
        def gradient(batch: Any) -> Any:
            with tf.GradientTape(watch_accessed_variables=False) as tape:
                tape.watch(batch)
                score = twin(batch, training=False)[..., 0]
            return tape.gradient(score, batch)

        @tf.function(jit_compile=is_xla)
        def forward(batch: Any) -> Any:
            return twin(batch, training=False)

        one = forward if way == "forward" else gradient

        def call() -> Any:
            return [np.asarray(one(tf.constant(batch))) for batch in batches]

        row = {"method": way, "batch": size, "compiled": "xla" if is_xla else "graph"}
        return measured(call, size * len(batches), row)

    best: Row = {}
    for size in job["sizes"]:
        row = loop(size, False, "saliency")
        yield row
        if "lacks" in row or row["rate"] < best.get("rate", 0) * (1 + GAIN):
            break
        best = row
    if best:
        yield {"best": best["batch"]}
        yield loop(best["batch"], False, "forward")
        yield loop(best["batch"], True, "saliency")  # last, since compiling may take too long


def about(job: dict[str, Any], network: Any) -> Row:
    """What the device is, what it does at most, and what a pass of the network takes."""
    import tensorflow as tf

    from cnnvis.plugins.loaders.growth import require_growth

    row: Row = {"operations": require_growth(network).operations}
    if job["peak"]:
        sides = job["multiplied"]
        gpus = tf.config.list_physical_devices("GPU")
        details = tf.config.experimental.get_device_details(gpus[0]) if gpus else {}
        row["device"] = details.get("device_name", "no GPU")
        row["tf32"] = bool(gpus) and tf.config.experimental.tensor_float_32_execution_enabled()
        row["peak"] = {name: _peak(name, sides) for name in ("float32", "float16")}
        build = tf.sysconfig.get_build_info()
        row["build"] = {
            name: str(build.get(name, "")) for name in ("cuda_version", "cudnn_version")
        }
    return row


def _peak(kind: str, side: int) -> float:
    """Operations a second of products of matrices of random numbers, at best."""
    import tensorflow as tf

    # As large as what it is multiplied by: products neither vanish nor overflow.
    one = tf.cast(tf.random.normal((side, side)) / side**0.5, kind)

    @tf.function
    def chain(x: Any) -> Any:
        for _ in range(CHAIN):
            x = one @ x
        return tf.reduce_sum(tf.cast(x[0], tf.float32))

    x = tf.cast(tf.random.normal((side, side)), kind)
    return 2 * side**3 * CHAIN / timed(lambda: chain(x).numpy())["least"]


def cnnvis_rows(job: dict[str, Any]) -> Iterator[Row]:
    """All methods at the batch size of the others, saliency in batches of its own choice, and mixed."""
    import networks

    import cnnvis

    network = networks.network(job["network"])
    model, size = cnnvis.Model(network, filters=0), job["batch"]
    images = networks.images(network, size * job["batches"])
    compared = images[: min(COMPARED, size)]
    for method in job["methods"]:
        technique, options = _settings(method, job["steps"])
        count = size * (job["batches"] if method in SINGLE else 1)
        x = images[:count]

        def call(technique: str = technique, options: Any = options, x: Any = x) -> Any:
            return cnnvis.run(technique, model, data=x, filter=None, checks="none", **options)

        with cnnvis.computing(batch_size=size):
            yield measured(call, count, {"method": method, "batch": size})
        if method != "saliency":
            continue
        yield measured(call, count, {"method": method, "batch": None})
        plain = call(x=compared).array
        np.save(_kept(job), plain)
        with cnnvis.computing(batch_size=size, mixed_precision=True):
            row = measured(call, count, {"method": method, "batch": size, "precision": "mixed"})
            yield row | ({} if "lacks" in row else unlike(call(x=compared).array, plain))


def exact(job: dict[str, Any]) -> Iterator[Row]:
    """Saliency of cnnvis with single precision that is not rounded, and how the usual maps differ."""
    import networks
    import tensorflow as tf

    import cnnvis

    tf.config.experimental.enable_tensor_float_32_execution(False)
    network = networks.network(job["network"])
    model, size = cnnvis.Model(network, filters=0), job["batch"]
    x = networks.images(network, size * job["batches"])

    def call(x: Any = x) -> Any:
        return cnnvis.run("saliency", model, data=x, filter=None, checks="none", backprop=None)

    with cnnvis.computing(batch_size=size):
        row = measured(call, len(x), {"method": "saliency", "batch": size, "precision": "exact"})
        if "lacks" not in row and _kept(job).exists():
            row |= unlike(np.load(_kept(job)), call(x[: min(COMPARED, size)]).array)
        yield row


def _kept(job: dict[str, Any]) -> Path:
    return Path(job["scratch"], f"{job['network'].replace(' ', '-')}.npy")


def unlike(maps: Any, other: Any) -> Row:
    """How far maps are from others: as a share of each other's largest value, and in their ranks."""
    from scipy.stats import spearmanr

    maps, other = (one.reshape(len(one), -1).astype(np.float64) for one in (maps, other))
    largest = np.maximum(np.abs(other).max(1), np.finfo(np.float32).tiny)
    off = np.abs(maps - other).max(1) / largest
    ranks = [float(spearmanr(a, b).statistic) for a, b in zip(maps, other, strict=True)]
    return {
        "off": statistics.median(off.tolist()), "most_off": float(off.max()),
        "ranks": statistics.median(ranks), "least_ranks": min(ranks),
    }  # fmt: skip


SINGLE = ("saliency", "guided", "grad-cam")
"""Methods of a single pass."""


def _settings(method: str, steps: int) -> tuple[str, dict[str, Any]]:
    """cnnvis's technique and options for a method."""
    from shared import NOISE

    return {
        "saliency": ("saliency", {"backprop": None}),
        "guided": ("saliency", {"backprop": "guided"}),
        "grad-cam": ("grad-cam", {"backprop": None}),
        "smoothgrad": ("smoothgrad", {"copies": steps, "noise": NOISE}),
        "integrated-gradients": ("integrated-gradients", {"steps": steps}),
    }[method]


def peer(job: dict[str, Any]) -> Iterator[Row]:
    """Another library, as the comparison on processors has it, in batches of the size given."""
    import shared

    shared.BATCH = job["batch"]  # before the module that takes it from there
    import worker

    for method in job["methods"]:
        count = job["batch"] * (job["batches"] if method in SINGLE else 1)
        row: Row = {"method": method, "batch": job["batch"]}
        asked = {**job, "method": method, "images": count}
        try:
            call = worker.LIBRARIES[job["library"]](asked)
        except Exception as error:
            yield failed(error, row)
            continue
        yield measured(call, count, row)


def _linear(network: Any) -> Any:
    import worker

    return worker._linear(network)


LIBRARIES: dict[str, Callable[[dict[str, Any]], Iterator[Row]]] = {
    "bare": bare,
    "cnnvis": cnnvis_rows,
    "exact": exact,
}

if __name__ == "__main__":
    main()
