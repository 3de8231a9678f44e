"""Networks are computed in batches that fit, in the way that is the fastest, with the same answers."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from quick import quick_at

import cnnvis
from cnnvis import host
from cnnvis.network import backend, cache, compilation
from cnnvis.network.compilation import Compiled, computing, settled
from cnnvis.network.unit_cache import units_cached


@pytest.fixture(autouse=True)
def _own_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compilation, "_memory_file", lambda: tmp_path / "compiling.json")
    cache.entries.clear()  # networks that other tests looked at


@pytest.mark.parametrize("way", ["graph", "xla", "eager", "auto"])
@pytest.mark.parametrize("technique", quick_at([1], ["saliency", "grad-cam"]))
def test_every_way_gives_the_same(classifier: Any, images: Any, technique: str, way: Any) -> None:
    expected = cnnvis.run(technique, classifier, data=images)
    with computing(compile=way, batch_size=3):
        found = cnnvis.run(technique, classifier, data=images)
    np.testing.assert_allclose(found.array, expected.array, atol=1e-5 * expected.array.max())
    for one, other in zip(found.targets, expected.targets, strict=True):
        assert one.filters == other.filters
        assert one.score == pytest.approx(other.score, rel=1e-4)


def test_one_pass_gives_the_map_the_class_and_the_score(classifier: Any, images: Any) -> None:
    model = cnnvis.Model(classifier)
    cnnvis.run("saliency", model, data=images)
    assert len(model._resolution.traced.compiled) == 1


def test_what_is_known_of_inputs_is_forgotten_when_they_change(
    classifier: Any, images: Any
) -> None:
    model = cnnvis.Model(classifier)
    with units_cached():
        model.input_gradient(images)
        before = model.scores(images)
        assert len(model._resolution.traced.compiled) == 1
        images *= 2  # in place: the same array with other values
        after = model.scores(images)
    assert abs(after - before).max() > 0.01
    np.testing.assert_allclose(after, cnnvis.Model(classifier).scores(images), rtol=1e-5)


def test_what_is_known_of_a_network_is_forgotten_between_calls(keras: Any, images: Any) -> None:
    layers = keras.layers
    network = keras.Sequential([layers.Input((12, 10, 2)), layers.Flatten(), layers.Dense(2)])
    model = cnnvis.Model(network, filters=0)
    first = cnnvis.run("saliency", model, data=images, backprop=None)
    network.set_weights([2 * one for one in network.get_weights()])  # trained on, say
    second = cnnvis.run("saliency", model, data=images, backprop=None)
    np.testing.assert_allclose(second.array, 2 * first.array, rtol=1e-5)
    for one, other in zip(first.targets, second.targets, strict=True):
        assert other.score == pytest.approx(2 * one.score, rel=1e-4)


def test_a_live_network_is_traced_once(keras: Any, images: Any) -> None:
    layers = keras.layers
    network = keras.Sequential(
        [
            layers.Input((12, 10, 2)),
            layers.Conv2D(3, 3, activation="relu", name="conv"),
            layers.Flatten(),
            layers.Dense(2, name="end"),
        ]
    )
    first = cnnvis.Model(network)
    network.predict(images, verbose=0)  # as between two looks at it
    assert cnnvis.Model(network, layer="conv")._resolution.traced is first._resolution.traced
    before = cnnvis.run("saliency", network, data=images, backprop=None)
    network.get_layer("conv").activation = keras.activations.elu
    after = cnnvis.run("saliency", network, data=images, backprop=None)
    assert cnnvis.Model(network)._resolution.traced is not first._resolution.traced
    assert abs(after.array - before.array).max() > 1e-3
    network.add(layers.Dense(3, name="more"))
    assert [layer.name for layer in cnnvis.Model(network).layers][-1] == "more"


def _adapted(keras: Any) -> tuple[Any, Any]:
    normalization = keras.layers.Normalization()
    normalization.adapt(np.arange(8.0)[:, None])
    return normalization, lambda: normalization.adapt(np.arange(80.0)[:, None])


def _own_layer(attribute: str) -> Any:
    def made(keras: Any) -> tuple[Any, Any]:
        class Gain(keras.layers.Layer):
            def call(self, x: Any) -> Any:
                return x * getattr(self, attribute)

        gain = Gain()
        setattr(gain, attribute, np.ones(1, np.float32) if attribute == "array" else 2.0)

        def change() -> None:
            if attribute == "array":
                getattr(gain, attribute)[:] = 7
            else:
                setattr(gain, attribute, -3.0)

        return gain, change

    return made


def _rescaled(keras: Any) -> tuple[Any, Any]:
    layer = keras.layers.Rescaling([2.0])
    return layer, lambda: setattr(layer, "scale", [-5.0])


def _lambda(keras: Any) -> tuple[Any, Any]:
    layer = keras.layers.Lambda(lambda x: 2 * x)
    return layer, lambda: setattr(layer, "function", lambda x: x - 7)


def _lists(keras: Any) -> tuple[Any, Any]:
    class Many(keras.layers.Layer):
        def __init__(self) -> None:
            super().__init__()
            self.parts = {"by": [1.0, 2.0]}

        def call(self, x: Any) -> Any:
            return x * self.parts["by"][1]

    layer = Many()
    return layer, lambda: layer.parts["by"].__setitem__(1, 9.0)


def _functions(keras: Any) -> tuple[Any, Any]:
    class Own(keras.layers.Layer):
        def __init__(self) -> None:
            super().__init__()
            self.does = abs

        def call(self, x: Any) -> Any:
            return self.does(x)

    layer = Own()
    return layer, lambda: setattr(layer, "does", lambda x: x - 4)


@pytest.mark.parametrize(
    "made",
    [
        _adapted,
        _rescaled,
        _lambda,
        _lists,
        _functions,
        *map(_own_layer, ("gain", "_gain", "array")),
    ],
    ids=range(8),
)
def test_what_changes_in_a_live_network_is_seen(keras: Any, made: Any) -> None:
    layer, change = made(keras)
    network = keras.Sequential(
        [keras.layers.Input((1,)), layer, keras.layers.Dense(1, name="output")]
    )
    x = np.full((2, 1), 3, np.float32)
    for _ in range(2):
        np.testing.assert_allclose(cnnvis.Model(network).predict(x), network(x), rtol=1e-6)
        change()


def test_a_number_of_a_subclassed_network_that_changes_is_seen(keras: Any) -> None:
    class Scaled(keras.Model):
        def __init__(self) -> None:
            super().__init__()
            self.dense, self.gain = keras.layers.Dense(2), 2.0

        def call(self, x: Any) -> Any:
            return self.dense(x) * self.gain

    network, x = Scaled(), np.ones((1, 3), np.float32)
    network(x)
    for gain in (2.0, -5.0):
        network.gain = gain
        np.testing.assert_allclose(cnnvis.Model(network).predict(x), network(x), rtol=1e-6)


def test_a_layer_of_a_subclassed_network_that_another_takes_the_place_of(keras: Any) -> None:
    class Either(keras.Model):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b = keras.layers.Dense(2), keras.layers.Dense(2)
            self.head = self.a

        def call(self, x: Any) -> Any:
            return self.head(x) + 0 * self.b(x)

    network, x = Either(), np.ones((1, 3), np.float32)
    network(x)
    for head in (network.a, network.b):
        network.head = head
        np.testing.assert_allclose(cnnvis.Model(network).predict(x), network(x), rtol=1e-6)


@pytest.mark.parametrize("home", ["keras", "tf_keras"])
def test_networks_that_are_gone_are_forgotten(home: str) -> None:
    import gc

    keras = pytest.importorskip(home)
    inputs = keras.Input((4,))
    network = keras.Model(inputs, keras.layers.Dense(2)(inputs))
    network.predict(np.ones((1, 4)), verbose=0)
    model = cnnvis.Model(network)
    assert any(entry.network() is network for entry in cache.entries)
    shared = model._resolution.traced
    del network, inputs, model
    gc.collect()
    assert all(entry.traced is not shared for entry in cache.entries)


class _Doubler:
    """Doubles what it is given, and counts how often it is traced and with how many rows."""

    def __init__(self) -> None:
        self.seen: list[int] = []

    def __call__(self, x: Any) -> Any:
        self.seen.append(int(x.shape[0]))
        return (2 * x,)


def test_a_ragged_batch_is_filled_up_and_not_traced_again() -> None:
    double = _Doubler()
    run = Compiled(double)
    x = np.arange(10, dtype=np.float32)
    with computing(batch_size=4):
        (found,) = run(x)
        np.testing.assert_array_equal(found, 2 * x)
        (found,) = run(x[:3])
    np.testing.assert_array_equal(found, 2 * x[:3])
    assert double.seen == [4]


def test_a_batch_that_does_not_fit_is_halved() -> None:
    import tensorflow as tf

    class Narrow(_Doubler):
        def __call__(self, x: Any) -> Any:
            if x.shape[0] > self.fits:
                raise tf.errors.ResourceExhaustedError(None, None, "too much")
            return super().__call__(x)

        fits = 3

    narrow = Narrow()
    x = np.arange(9, dtype=np.float32)
    with computing(compile="eager", batch_size=8):
        np.testing.assert_array_equal(Compiled(narrow)(x)[0], 2 * x)
    assert narrow.seen == [2] * 5
    narrow.fits = 0
    with pytest.raises(cnnvis.UserError, match="not enough memory to compute even one"):
        Compiled(narrow)(x)


def test_batches_are_as_large_as_memory_allows(monkeypatch: pytest.MonkeyPatch) -> None:
    double = _Doubler()
    run = Compiled(double, footprint=lambda arrays: 10 * arrays[0][0].nbytes)
    x = np.zeros((40, 100), np.float32)  # 4 kB a sample on its way
    monkeypatch.setattr(host, "available_memory", lambda: 2 * 5 * 4000)
    run(x)
    assert double.seen == [4]  # five would fit
    with computing(batch_size=20):
        run(x)
    assert double.seen == [4, 20]


@pytest.mark.parametrize("name", ["a blank", "$x", "über", "_begins"])
def test_names_that_no_graph_takes(keras: Any, name: str) -> None:
    layers = keras.layers
    network = keras.Sequential([layers.Input((4,)), layers.Dense(2, name=name)])
    x = np.random.default_rng(1).random((3, 4), np.float32)
    found = cnnvis.Model(network, filters=1).input_gradient(x)
    np.testing.assert_allclose(found, np.tile(network.get_weights()[0][:, 1], (3, 1)), rtol=1e-6)
    found = cnnvis.run("activation-max", network, filter=1, iterations=3, backprop=None).array
    assert np.isfinite(found).all() and np.ptp(found) > 0
    assert network.layers[-1].name == name
    # Keras itself is as it was: a layer that is made and called now stands in no other's name.
    assert keras.Input((2,)) is not None
    assert "/" not in keras.Sequential([layers.Input((4,)), layers.Dense(2)]).weights[0].name


def test_such_names_within_other_layers(keras: Any) -> None:
    layers = keras.layers

    def network(name: str) -> Any:
        inner = keras.Sequential([layers.Input((4,)), layers.Dense(3, "relu", name=name)])
        around = [layers.TimeDistributed(inner, name=f"{name}s"), layers.Flatten()]
        return keras.Sequential([layers.Input((5, 4)), *around, layers.Dense(2)])

    strange, plain = network("$x"), network("x")
    plain.set_weights(strange.get_weights())
    x = np.random.default_rng(1).normal(size=(3, 5, 4)).astype(np.float32)
    ours, same = (cnnvis.Model(one, filters=1).input_gradient(x) for one in (strange, plain))
    np.testing.assert_array_equal(ours, same)
    assert np.ptp(ours) > 0


def test_footprints_grow_with_the_network(classifier: Any, images: Any) -> None:
    run = cnnvis.Model(classifier)._inference.target_pass()
    values = 12 * 10 * 2 + 10 * 8 * 4 + 5 * 4 * 4 + 3 * 2 * 5 + 30 + 3
    assert run.footprint([images]) == pytest.approx(3 * 4 * values, rel=0.2)


class _Clock:
    """Time that passes as a test says: seconds a sample, and seconds to get a way ready."""

    def __init__(self, pace: dict[str, float], cost: dict[str, float]) -> None:
        self.now, self.pace, self.cost = 0.0, pace, cost
        self.ways: list[str] = []

    def run(self, compiled: Compiled, way: str, tensors: list[Any]) -> list[Any]:
        if way not in self.ways:
            self.now += self.cost.get(way, 0)
        self.now += self.pace[way] * len(tensors[0])
        self.ways.append(way)
        return [answer.numpy() for answer in compiled.function(*tensors)]


@pytest.fixture
def timed(monkeypatch: pytest.MonkeyPatch) -> Any:
    def make(graph: float, xla: float) -> _Clock:
        clock = _Clock({"graph": graph, "xla": xla}, {"xla": 5.0})
        monkeypatch.setattr(compilation.time, "perf_counter", lambda: clock.now)
        monkeypatch.setattr(
            Compiled, "_run", lambda self, way, tensors: clock.run(self, way, tensors)
        )
        return clock

    return make


def _job(batches: int) -> Any:
    return np.zeros((32 * batches, 2), np.float32)


def _run(layers: int = 20, **settings: Any) -> Compiled:
    return Compiled(_Doubler(), layers=layers, **settings)


def test_a_short_job_is_not_compiled_anew(timed: Any) -> None:
    clock = timed(graph=0.001, xla=0.0001)
    _run(layers=50)(_job(20))
    assert set(clock.ways) == {"graph"}


def test_a_long_job_takes_the_faster_way(timed: Any) -> None:
    for xla, faster in ((0.05, "xla"), (0.099, "graph"), (0.2, "graph")):
        clock = timed(graph=0.1, xla=xla)
        _run()(_job(40))
        # Both are seen once without their compiling, and once more the graph to compare answers.
        assert clock.ways[:5] == ["graph", "graph", "xla", "graph", "xla"]
        assert set(clock.ways[5:]) == {faster}


def test_many_short_jobs_are_a_long_one(timed: Any) -> None:
    clock = timed(graph=0.1, xla=0.05)
    run = _run()
    for _ in range(40):
        run(_job(1))
    assert clock.ways[:2] == ["graph"] * 2
    assert clock.ways[-15:] == ["xla"] * 15


def test_what_was_measured_is_remembered(timed: Any, tmp_path: Path) -> None:
    def fresh() -> Compiled:  # as in another process
        return _run(identity=lambda: "network")

    timed(graph=0.1, xla=0.2)
    fresh()(_job(40))
    (kept,) = json.loads((tmp_path / "compiling.json").read_text()).values()
    assert kept == pytest.approx({"graph": 0.1, "xla": 0.2, "cost": 5 + 32 * 0.2})
    clock = timed(graph=0.1, xla=0.2)
    fresh()(_job(40))
    assert set(clock.ways) == {"graph"}
    for broken in ("{broken", "[]", '{"x": 1}', '{"network": 3}'):
        (tmp_path / "compiling.json").write_text(broken)
        fresh()(_job(40))
        assert "xla" in clock.ways
        clock.ways.clear()


def test_xla_is_left_out_where_it_is_not_exact(monkeypatch: pytest.MonkeyPatch) -> None:
    run = _run()
    plain = Compiled._run
    monkeypatch.setattr(
        Compiled,
        "_run",
        lambda self, way, tensors: [
            one * (1 + 1e-3 * (way != "graph")) for one in plain(self, "graph", tensors)
        ],
    )
    run._promise = (0.9, 0.0)  # so that it is tried at once
    x = np.arange(320, dtype=np.float32)
    np.testing.assert_array_equal(run(x)[0], 2 * x)
    assert ("xla", 32) in run._traced and run._settled == "graph"


def test_what_xla_cannot_do_the_graph_does() -> None:
    import tensorflow as tf

    def words(x: Any) -> Any:  # XLA knows no strings
        return (tf.strings.to_number(tf.strings.as_string(x)),)

    x = np.arange(5, dtype=np.float32)
    with computing(compile="xla"), pytest.raises(cnnvis.UserError, match="XLA cannot compile"):
        Compiled(words)(x)
    run = Compiled(words)
    run._promise = (0.9, 0.0)  # so that it is tried at once
    with computing(batch_size=1):
        np.testing.assert_array_equal(run(x)[0], x)
    assert run._settled == "graph"


def test_batches_are_as_large_as_what_was_measured_fits(monkeypatch: pytest.MonkeyPatch) -> None:
    assert host.peak_memory() > 10_000_000  # Python with TensorFlow is larger than that
    held = [10**9]
    monkeypatch.setattr(host, "peak_memory", lambda: held[0])

    def greedy(x: Any) -> Any:
        held[0] = 10**9 + 5 * 10**7 * x.shape[0]
        return (x,)

    run = Compiled(greedy, footprint=lambda _: 1000)  # which says far too little
    x = np.zeros(100, np.float32)
    with computing(compile="eager", batch_size=8):
        run(x)
    assert run._measured == 5 * 10**7
    monkeypatch.setattr(host, "available_memory", lambda: 10**9)
    assert run._size([x]) == 8  # ten would fit
    with computing(batch_size=50):
        assert run._size([x]) == 50  # whoever asks gets it


def test_memory_is_looked_at_with_the_first_batches_of_a_size_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    looks: list[int] = []
    monkeypatch.setattr(host, "peak_memory", lambda: looks.append(0) or 0)
    run = Compiled(lambda x: (2 * x,))
    x = np.zeros(40, np.float32)
    for size in (2, 5):
        with computing(compile="graph", batch_size=size):
            run(x)
    assert len(looks) == 2 * 2 * compilation.TIMED  # before and after each


def test_settled_batches_are_always_full() -> None:
    run = Compiled(lambda x: (2 * x,), footprint=lambda _: 1000)
    x = np.arange(7, dtype=np.float32)
    run(x[:5])
    with settled("graph", 8):
        for count in (3, 5, 7):
            np.testing.assert_array_equal(run(x[:count])[0], 2 * x[:count])
    assert run._traced == {("graph", 5), ("graph", 8)}


def test_numbers_are_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    for given in ({"batch_size": 0}, {"threads": 0}):
        with pytest.raises(cnnvis.UserError, match="must be at least 1"), computing(**given):
            pass
    for name in compilation.THREADS:
        monkeypatch.setenv(name, "1")  # which is undone afterwards
        monkeypatch.delenv(name)  # as where a program imported TensorFlow itself
    has = backend.threads()
    with computing(threads=has):
        pass
    with (
        pytest.raises(cnnvis.UserError, match=f"started with {has} threads"),
        computing(threads=77),
    ):
        pass


def test_threads_and_processors(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host, "CGROUP", tmp_path)
    monkeypatch.setattr(host.os, "sched_getaffinity", lambda _: set(range(8)), raising=False)
    assert host.processors() == 8
    (tmp_path / "cpu.max").write_text("max 100000")
    assert host.processors() == 8
    (tmp_path / "cpu.max").write_text("250000 100000")
    assert host.processors() == 3
    whole = host.available_memory()
    (tmp_path / "memory.max").write_text("1000000")
    (tmp_path / "memory.current").write_text("400000")
    assert host.available_memory() == 600_000 < whole


@pytest.mark.parametrize(
    ("own", "files"),
    [
        ("0::/a/b\n", {"a/memory.max": "900", "a/memory.current": "500", "a/b/cpu.max": "200 100"}),
        ("0::/a\n", {"memory.max": "max", "a/memory.max": "500", "a/memory.current": "100",
                     "a/cpu.max": "150 100"}),
        ("4:memory:/x/y\n1:cpu,cpuacct:/x\n0::/\n", {
            "memory/memory.limit_in_bytes": "9223372036854771712",
            "memory/memory.usage_in_bytes": "5",
            "memory/x/memory.limit_in_bytes": "1000", "memory/x/memory.usage_in_bytes": "600",
            "cpu/x/cpu.cfs_quota_us": "200", "cpu/x/cpu.cfs_period_us": "100",
            "cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100"}),
        ("0::/../other\n", {"memory.max": "500", "memory.current": "100", "cpu.max": "200 100"}),
    ],
    ids=["above its own", "its own", "of the first version", "of a container"],
)  # fmt: skip
def test_limits_of_groups_of_processes(
    own: str, files: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(host, "CGROUP", tmp_path / "groups")
    monkeypatch.setattr(host, "OWN_GROUPS", tmp_path / "own")
    monkeypatch.setattr(host.os, "sched_getaffinity", lambda _: set(range(8)), raising=False)
    (tmp_path / "own").write_text(own)
    for name, text in files.items():
        place = tmp_path / "groups" / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text)
    assert host.available_memory() == 400
    assert host.processors() == 2


@pytest.mark.slow
def test_it_is_typed(typed: Any, classifier: Any, images: Any) -> None:
    classifier.save("model.keras")
    np.savez("data.npz", X=images)
    words = ("run", "saliency", "model.keras", "-d", "data.npz", "-im", "0", "2", "-r", "numpy")
    assert typed(*words, "-o", "one.npz").returncode == 0
    assert typed(*words, "-o", "two.npz", "--compile", "eager", "--batch-size", 1).returncode == 0
    one, two = (cnnvis.Explanation.load(name) for name in ("one.npz", "two.npz"))
    np.testing.assert_allclose(one.array, two.array, atol=1e-6)
    assert typed(*words, "--batch-size", 0).returncode == 2
    assert typed(*words, "--compile", "fast").returncode == 2


def test_mixed_precision_is_off_unless_asked_for(keras: Any) -> None:
    import tensorflow as tf

    layers = keras.layers
    keras.utils.set_random_seed(2)
    network = keras.Sequential(
        [
            layers.Input((32, 32, 3)),
            *(layers.Conv2D(32, 3, activation="relu", padding="same") for _ in range(2)),
            layers.GlobalAveragePooling2D(),
            layers.Dense(4),
        ]
    )
    x = np.random.default_rng(1).random((8, 32, 32, 3), np.float32)
    model = cnnvis.Model(network, filters=0)
    plain = cnnvis.run("saliency", model, data=x, backprop=None)
    with cnnvis.computing(mixed_precision=True):
        assert tf.config.optimizer.get_experimental_options()["auto_mixed_precision"]
        mixed = cnnvis.run("saliency", model, data=x, backprop=None)
    assert mixed.provenance["mixed_precision"] and "mixed_precision" not in plain.provenance
    largest = abs(plain.array).max()
    assert abs(mixed.array - plain.array).max() < 0.2 * largest
    again = cnnvis.run("saliency", model, data=x, backprop=None)
    np.testing.assert_array_equal(again.array, plain.array)
    assert not tf.config.optimizer.get_experimental_options()["auto_mixed_precision"]


@pytest.mark.slow
def test_no_gradient_is_computed_that_nobody_asked_for(tmp_path: Path) -> None:
    """That of the filter of a strided 1 x 1 convolution makes TensorFlow 2.21 end the process."""
    program = """
import keras, numpy as np, cnnvis
x = keras.Input((24, 24, 4))
y = keras.layers.Conv2D(6, 1, strides=2, activation="relu")(x)
network = keras.Model(x, keras.layers.Dense(2, name="output")(keras.layers.GlobalAveragePooling2D()(y)))
with cnnvis.computing(compile="eager"):
    found = cnnvis.run("saliency", network, data=np.ones((2, 24, 24, 4), np.float32), backprop=None)
print(found.array.shape)
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, cwd=tmp_path
    )
    assert (done.returncode, done.stdout) == (0, "(2, 24, 24)\n"), done.stderr[-500:]


@pytest.mark.parametrize(
    ("best", "sizes"), [(8, {2, 4, 8, 16}), (2, {2, 4}), (32, {2, 4, 8, 16, 32})]
)
def test_batches_grow_only_while_that_is_faster(
    monkeypatch: pytest.MonkeyPatch, best: int, sizes: set[int]
) -> None:
    """A sample takes as long as it does in the best batch, and longer in smaller and larger ones."""
    clock, seen = [0.0], []

    def run(self: Compiled, way: str, tensors: list[Any]) -> list[Any]:
        size = len(tensors[0])
        is_new = (way, size) not in self._traced
        clock[0] += size * (1 + abs(np.log2(size / best))) + (50 if is_new else 0)
        seen.append(size)
        return [np.asarray(tensors[0]) * 2]

    monkeypatch.setattr(compilation.time, "perf_counter", lambda: clock[0])
    monkeypatch.setattr(Compiled, "_run", run)
    monkeypatch.setattr(host, "available_memory", lambda: 2**40)
    large = Compiled(lambda x: (x,), layers=10**6, footprint=lambda _: compilation.FIRST // 3)
    x = np.arange(5000, dtype=np.float32)
    np.testing.assert_array_equal(large(x)[0], 2 * x)
    assert set(seen) - {x.size % best} <= sizes | set(range(1, best))
    assert set(seen) >= sizes and np.median(seen) == best
    seen.clear()
    np.testing.assert_array_equal(large(x)[0], 2 * x)
    assert seen[0] == best  # which is known from then on
    seen.clear()
    few = Compiled(lambda x: (x,), footprint=lambda _: compilation.FIRST // 3)
    few(x[:40])
    assert set(seen) == {2}  # too few to repay trying another size
    seen.clear()
    with settled("graph", 4):
        large(x[:40])
    assert set(seen) == {4}


def test_a_small_network_gets_many_samples_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host, "available_memory", lambda: 2**40)
    assert compilation._fitting(1000) == compilation.LARGEST
    assert compilation._fitting(compilation.LIGHT // 100) == 64
    assert compilation._fitting(compilation.FIRST // 40) == compilation.BATCH
    assert compilation._fitting(compilation.FIRST // 3) == 2
    assert compilation._fitting(compilation.FIRST * 3) == 1
    monkeypatch.setattr(host, "available_memory", lambda: 2 * 5000)
    assert compilation._fitting(1000) == 4


def test_a_little_more_memory_is_no_reason_to_trace_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    traced: list[int] = []
    run = Compiled(lambda x: (traced.append(int(x.shape[0])), 2 * x)[1:], footprint=lambda _: 2**30)
    monkeypatch.setattr(Compiled, "_next_size", lambda self, size, remaining, each: size)
    x = np.arange(24, dtype=np.float32)
    for fitting in (4, 7, 8, 3, 1, 8):
        monkeypatch.setattr(host, "available_memory", lambda fitting=fitting: 2 * fitting * 2**30)
        np.testing.assert_array_equal(run(x)[0], 2 * x)
    assert traced == [4, 2, 1]


def test_a_few_samples_say_nothing_about_the_size_for_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host, "available_memory", lambda: 2**40)
    large = Compiled(lambda x: (2 * x,), footprint=lambda _: compilation.FIRST // 40)
    small = Compiled(lambda x: (2 * x,), footprint=lambda _: compilation.LIGHT // 300)
    for run, expected in (
        (large, {16: 16, 17: 17, 1000: 32}),
        (small, {128: 128, 130: 130, 9000: 256}),
    ):
        sizes: dict[int, int] = {}
        for count in expected:
            x = np.zeros(count, np.float32)
            sizes[count] = run._size([x])
            run(x)
        assert sizes == expected


def test_what_the_memory_is_for_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host, "_resident", {})
    assert host.memory_report(0) == ""
    monkeypatch.setattr(host, "_resident", {"libraries": 500 * 2**20, "the network": 530 * 2**20})
    monkeypatch.setattr(host, "peak_memory", lambda: 700 * 2**20)
    assert host.memory_report(20 * 2**20) == (
        "the process took up to 700 MiB of memory: 500 MiB for libraries, 30 MiB for the network, "
        "170 MiB for samples, maps (20 MiB) and what is computed"
    )
    monkeypatch.setattr(host, "_resident", {})
    host.mark_memory("it")
    first = host._resident["it"]
    host.mark_memory("it")
    assert first == host._resident["it"] > 10_000_000


def test_graphs_of_modified_gradients_are_not_kept_for_ever(classifier: Any, images: Any) -> None:
    from tensorflow.python.framework import ops

    def own() -> set[str]:
        return {name for name in ops.gradient_registry.list() if name.startswith("CustomGradient")}

    known = own()
    for way in ("graph", "eager"):
        with computing(compile=way):
            cnnvis.run("saliency", classifier, data=images, backprop="guided", checks="none")
    assert own() == known


def test_a_gpu_gets_many_samples_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """By its own memory: the processor's is not where batches are."""
    monkeypatch.setattr(compilation, "_has_gpu", lambda: True)
    monkeypatch.setattr(host, "available_memory", lambda: 1)
    large, small = 2**28, 1000  # bytes a sample
    for held, expected in ((2**37, compilation.FILLING), (2**33, 64), (2**20, 1), (None, 32)):
        monkeypatch.setattr(host, "gpu_memory", lambda held=held: held)
        assert compilation._fitting(large) == expected
    monkeypatch.setattr(host, "gpu_memory", lambda: 2**33)
    assert compilation._fitting(small) == compilation.MANY
    seen: list[int] = []

    def narrow(x: Any) -> Any:
        import tensorflow as tf

        if x.shape[0] > 32:
            raise tf.errors.ResourceExhaustedError(None, None, "too much")
        seen.append(int(x.shape[0]))
        return (2 * x,)

    run = Compiled(narrow, footprint=lambda _: large)
    x = np.arange(10 * 32, dtype=np.float32)
    np.testing.assert_array_equal(run(x)[0], 2 * x)
    assert run._best == 32 and run._measured == 0
    # Where factors are rounded, XLA has other answers, and is not tried.
    run._promise = (0.9, 0.0)
    monkeypatch.setattr(compilation, "_is_rounded", lambda: True)
    np.testing.assert_array_equal(run(x)[0], 2 * x)
    assert {way for way, _ in run._traced} == {"graph"} and set(seen) == {32}


def test_memory_of_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    import ctypes

    class Driver:
        def __init__(self, name: str) -> None:
            pass

        def cuInit(self, flags: int) -> int:
            return flags

        def cuDeviceGet(self, place: Any, number: int) -> int:
            return number

        def cuDeviceTotalMem_v2(self, held: Any, place: Any) -> int:
            held._obj.value = 7 * 2**33
            return 0

    monkeypatch.setattr(ctypes, "CDLL", Driver)
    host.gpu_memory.cache_clear()
    assert host.gpu_memory() == 7 * 2**33
    monkeypatch.setattr(Driver, "cuInit", lambda self, flags: 100)  # there is no device
    host.gpu_memory.cache_clear()
    assert host.gpu_memory() is None
    monkeypatch.setattr(ctypes, "CDLL", lambda name: (_ for _ in ()).throw(OSError(name)))
    host.gpu_memory.cache_clear()
    assert host.gpu_memory() is None
    host.gpu_memory.cache_clear()
