"""What a pass takes, as cnnvis estimates it before anything runs, beside what it took.

    python benchmarks/cost.py [--only NAME ...] [--out FOLDER]

Goes through the networks of docs/architectures.md and all of `keras.applications`, of Keras 3 and of
Keras 2, each in a process of its own. Memory is
by how much the most that the process holds grows from a pass of some samples to one of twice as many.
Operations are those that TensorFlow's profiler counts in the graph, which knows nothing of loops. Writes cost.md
beside this file, unless --out names another folder.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
SIZES = {"InceptionResNetV2": 299, "InceptionV3": 299, "Xception": 299, "NASNetLarge": 331}
HELD = 2**27
"""How many bytes the smaller pass is to take, or twice the network's weights if these are more: what
the process takes itself, and while the network is built, does not count then."""


def names() -> Iterator[str]:
    """Every network: ``architectures NAME``, ``keras NAME``, ``tf_keras NAME``."""
    yield from (f"architectures {name}" for name in _module("docs/architectures.py").ARCHITECTURES)
    applications = _module("tests/plugins/loaders/applications.py")
    for home in applications.HOMES:
        yield from dict.fromkeys(f"{home} {one.name}" for one in applications.applications(home))


def _module(place: str) -> Any:
    path = ROOT / place
    specification = importlib.util.spec_from_file_location(path.stem, path)
    assert specification is not None and specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    sys.modules[path.stem] = module  # dataclasses look their module up
    specification.loader.exec_module(module)
    return module


def network_named(name: str) -> Any:
    """A network of the table, or an application with random weights."""
    home, _, title = name.partition(" ")
    if home == "architectures":
        return _module("docs/architectures.py").ARCHITECTURES[title].network()
    package: Any = importlib.import_module(home)
    size = SIZES.get(title, 224)
    return getattr(package.applications, title)(weights=None, input_shape=(size, size, 3))


def measured(name: str) -> dict[str, Any]:
    """The estimate of a network and what a pass of it took, for one sample."""
    import tensorflow as tf

    import cnnvis
    from cnnvis import host
    from cnnvis.plugins.loaders.growth import require_cost, require_growth

    with _nothing_random():
        network = network_named(name)
    cost = require_growth(network)
    require_cost(cost, network)
    given = cnnvis.Model(network).inputs
    shapes = [[64 if size is None else size for size in one.shape] for one in given]
    held = max(HELD, 8 * network.count_params())
    many = max(1, min(-(-held // max(cost.memory, 1)), 2**14))
    first = next((one for one in network.layers if type(one).__name__ == "Embedding"), None)

    def gradient(*given: Any) -> Any:
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            start = given[0] if first is None else first(given[0])
            tape.watch(start)
            rest = network.layers[network.layers.index(first) + 1 :] if first is not None else []
            answer = start if rest else _answer(network, given)
            for layer in rest:
                answer = layer(answer)
            score = tf.reduce_sum(answer[..., :1])
        return tape.gradient(score, start)

    peaks = []
    for count in (many, 2 * many):
        tensors = [tf.zeros((count, *shape)) for shape in shapes]
        compiled = tf.function(gradient, autograph=False).get_concrete_function(*tensors)
        compiled(*tensors)
        peaks.append(host.peak_memory())
    return {
        "memory": cost.memory,
        "took": (peaks[1] - peaks[0]) // many,
        "operations": cost.operations,
        "counted": operations_of(forward_graph(network)),
    }


@contextmanager
def _nothing_random() -> Iterator[None]:
    """Have weights be zeros inside the block: drawing lots takes memory, which TensorFlow keeps."""
    import keras
    import tensorflow as tf

    kinds = [keras.initializers.VarianceScaling, keras.initializers.TruncatedNormal]
    were = [one.__call__ for one in kinds]
    for one in kinds:
        one.__call__ = lambda self, shape, dtype=None: tf.zeros(shape, dtype or "float32")
    try:
        yield
    finally:
        for one, was in zip(kinds, were, strict=True):
            one.__call__ = was


def _answer(network: Any, given: Any) -> Any:
    answer = network(given if len(given) > 1 else given[0], training=False)
    return answer[0] if isinstance(answer, list | tuple) else answer


def forward_graph(network: Any) -> Any:
    """TensorFlow's graph of a network's answer for one sample."""
    import tensorflow as tf

    import cnnvis

    shapes = [
        (1, *(64 if size is None else size for size in one.shape))
        for one in cnnvis.Model(network).inputs
    ]
    given = [tf.TensorSpec(shape, tf.float32) for shape in shapes]
    function = tf.function(lambda *x: _answer(network, x), autograph=False)
    return function.get_concrete_function(*given).graph


def operations_of(graph: Any) -> int:
    """Return how many multiplications and additions TensorFlow's profiler counts in a graph."""
    from tensorflow.python.profiler.model_analyzer import profile
    from tensorflow.python.profiler.option_builder import ProfileOptionBuilder as Options

    options = Options(Options.float_operation()).with_empty_output().build()
    return int(profile(graph, options=options).total_float_ops)


def rows(wanted: list[str]) -> Iterator[str]:
    """The lines of the table, as they are found."""
    os.environ.update(KERAS_BACKEND="tensorflow", TF_CPP_MIN_LOG_LEVEL="3")
    import keras  # noqa: F401 (without anything computed: what TensorFlow starts then, no fork has)

    for name in wanted:
        read, write = os.pipe()
        child = os.fork()
        if not child:
            try:
                os.write(write, row(name).encode())
            except Exception as error:  # refused, which it should not be
                os.write(write, f"| {name} | {type(error).__name__}: {error} |".encode())
            os._exit(0)
        os.close(write)
        with os.fdopen(read) as answer:
            yield answer.read() or f"| {name} | crashed |"
        os.waitpid(child, 0)


def row(name: str) -> str:
    """The line of a network."""
    one = measured(name)
    ratios = [
        f"{a / b:.2f}" if b else "-"
        for a, b in ((one["memory"], one["took"]), (one["operations"], one["counted"]))
    ]
    return (
        f"| {name} | {one['memory'] / 2**20:.4g} | {one['took'] / 2**20:.4g} | {ratios[0]} "
        f"| {one['operations'] / 1e6:.4g} | {one['counted'] / 1e6:.4g} | {ratios[1]} |"
    )


HEAD = """# What a pass takes: the estimate and the truth

Written by `python benchmarks/cost.py`. A pass is the answer for one sample and its gradient by the input.

| network | MiB, estimated | MiB | ratio | million operations, estimated | counted by TensorFlow | ratio |
|---|---|---|---|---|---|---|
"""


def main() -> None:
    """Print the table, and write it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", nargs="+")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent)
    asked = parser.parse_args()
    lines = []
    for line in rows(asked.only or list(names())):
        print(line, flush=True)
        lines.append(line)
    (asked.out / "cost.md").write_text(HEAD + "\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
