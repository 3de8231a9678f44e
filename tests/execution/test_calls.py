"""What plugins get wrong is caught, said with their names, and costs nothing of the rest."""

from __future__ import annotations

import os
import random
import re
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from quick import quick_at

import cnnvis
from cnnvis.execution import calls as border
from cnnvis.execution.process_state import ProcessState
from cnnvis.execution.read_only import read_only
from cnnvis.registry.discovery import registry
from cnnvis.registry.failures import as_plugin_error
from cnnvis.reporting import notes_kept

WRONG = Path(__file__).parents[1] / "third_party" / "wrong_plugins.py"
X = np.random.default_rng(0).normal(size=(5, 12, 10, 2)).astype(np.float32)
Y = np.arange(5) % 3
BY = r"of wrong_plugins\.py failed: "
MENDS = r"The author of wrong_plugins\.py can correct this\."


pytestmark = pytest.mark.usefixtures("wrong_plugins")


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory, classifier: Any) -> Path:
    folder = tmp_path_factory.mktemp("files")
    classifier.save(folder / "model.keras")
    np.savez(folder / "data.npz", X=X, y=Y)
    (folder / "data.wrong").touch()
    (folder / "model.net").touch()
    return folder


def _run(classifier: Any, technique: str, **options: Any) -> cnnvis.Explanation:
    return cnnvis.run(technique, classifier, data=(X.copy(), Y), filter=1, **options)


# Exceptions


@pytest.mark.parametrize(
    ("how", "said"),
    quick_at(
        [0, 5],
        [
            ("exit", "SystemExit: 3"),
            ("odd", r"Odd\."),
            ("recursion", "RecursionError: maximum recursion"),
            ("memory", "MemoryError: no room"),
            ("disk", r"OSError: \[Errno 28\]"),
            ("error", "ValueError: bad"),
        ],
    ),
)
@pytest.mark.parametrize("kind", ["technique", "transform", "stream", "loader"])
def test_whatever_a_plugin_raises_is_told_of_it(
    classifier: Any, files: Path, kind: str, how: str, said: str
) -> None:
    calls: dict[str, Callable[[], Any]] = {
        "technique": lambda: _run(classifier, "acts", how=how),
        "transform": lambda: cnnvis.chain(
            classifier, ["saliency", ("turns", {"how": how})], data=X
        ),
        "stream": lambda: cnnvis.chain(classifier, ["saliency", ("flows", {"how": how})], data=X),
        "loader": lambda: cnnvis.load_model(files / "model.net", how=how),
    }
    with pytest.raises(cnnvis.PluginError, match=f"{BY}{said}") as raised:
        calls[kind]()
    assert re.search(MENDS, str(raised.value))
    assert raised.value.__cause__ is not None


def test_an_interrupt_is_no_failure(classifier: Any) -> None:
    with pytest.raises(KeyboardInterrupt):
        _run(classifier, "acts", how="interrupt")


def test_an_interrupt_of_an_import_is_an_interrupt() -> None:
    """A library of C++ that is stopped while it is imported says that its initialization failed."""
    plugin = registry().get("technique", "saliency")
    with pytest.raises(KeyboardInterrupt), as_plugin_error(plugin):
        try:
            raise KeyboardInterrupt
        except KeyboardInterrupt as stopped:
            raise ImportError("initialization failed") from stopped
    with pytest.raises(cnnvis.PluginError, match="no module"), as_plugin_error(plugin):
        raise ImportError("no module")


def test_a_sentence_for_the_user_stays_one(classifier: Any) -> None:
    with pytest.raises(cnnvis.UserError, match=r"^that cannot be$"):
        _run(classifier, "acts", how="user")


def test_a_check_and_a_look_at_a_path_may_fail_too(
    classifier: Any, tmp_path: Path, files: Path
) -> None:
    with pytest.raises(cnnvis.PluginError, match=f"renderer refusing {BY}KeyError: 'check'"):
        cnnvis.run("saliency", classifier, data=X, render=["refusing"], out=tmp_path / "a.chk")
    # A reader that cannot say whether it takes a folder keeps it from no other.
    (tmp_path / "a.odder").touch()
    with notes_kept() as notes, pytest.raises(cnnvis.UserError, match="no reader takes"):
        cnnvis.read_samples(tmp_path / "a.odder")
    assert "reads of wrong_plugins.py could not tell whether it takes" in notes[0]
    assert "ZeroDivisionError" in notes[0]


# Results


@pytest.mark.parametrize(
    ("what", "said"),
    [
        ("nothing", "it gave NoneType, not an Explanation"),
        ("table", "it gave a table, and promises a map for each sample"),
        ("input", "its maps are the very array of the inputs"),
        ("view", "its maps are the very array of the inputs"),
        ("fewer", "it gave 4 maps for 5 samples, so some samples have no map"),
        (
            "alone",
            "it gave 5 maps for 5 samples and an explanation without samples, so some samples have no map",
        ),
        ("others", "the samples of its explanation are not the given samples"),
        ("complex", "TypeError: maps are real numbers, and these maps have the type complex64"),
        ("text", "TypeError: maps are real numbers, and these maps have the type <U3"),
        ("object", "TypeError: maps are real numbers, and these maps have the type object"),
        ("nan", "its maps hold NaN or infinite values, and the network's answer is finite"),
        ("scalar", r"(TypeError|IndexError|ValueError)"),
        (
            "changed",
            r"ValueError: .*read-only \(a plugin must not change its arguments: work on a copy\)",
        ),
        ("source", r"ValueError: .*read-only"),
        ("labels", r"ValueError: .*read-only"),
    ],
)
def test_what_is_no_result_is_refused(
    classifier: Any, what: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for size in (2, 512):
        monkeypatch.setattr("cnnvis.data.samples.AT_ONCE", size)
        data = X.copy()
        wanted = said if size == 512 else re.sub("[45] maps for 5", ". maps for 2", said)
        with pytest.raises(cnnvis.PluginError, match=f"technique gives {BY}{wanted}"):
            cnnvis.run("gives", classifier, data=(data, Y), what=what)
        np.testing.assert_array_equal(data, X)


def test_a_promise_is_held() -> None:
    with pytest.raises(cnnvis.PluginError, match="it gave maps, and promises a table"):
        cnnvis.run("promises-a-table", "demo")


@pytest.mark.parametrize(
    ("what", "said"),
    [
        ("nothing", "it gave NoneType, not an Explanation"),
        ("list", "it gave list, not an Explanation"),
        ("complex", "TypeError: maps are real numbers"),
        ("nan", "its maps hold NaN or infinite values, and the given maps do not"),
        ("changed", r"ValueError: .*read-only"),
        ("fewer", r"TypeError: there are 4 maps but 5 samples"),
    ],
)
def test_what_is_no_result_of_a_transform_is_refused(classifier: Any, what: str, said: str) -> None:
    with pytest.raises(cnnvis.PluginError, match=f"transform turns {BY}{said}"):
        cnnvis.chain(classifier, ["saliency", ("turns", {"what": what})], data=X)


def test_a_transform_may_give_what_it_was_given(classifier: Any) -> None:
    (plain,) = cnnvis.chain(classifier, ["saliency"], data=X)
    (same,) = cnnvis.chain(classifier, ["saliency", "turns"], data=X)
    np.testing.assert_array_equal(same.array, plain.array)


def test_results_belong_to_who_gets_them(classifier: Any) -> None:
    """What was sealed on its way can be changed where it arrives; the data are the very ones."""
    data = X.copy()
    samples = cnnvis.Samples(data, Y)
    for steps in (["acts"], ["saliency", "turns"], ["saliency", "flows"], ["saliency", "smooth"]):
        (found,) = cnnvis.chain(classifier, steps, data=samples)
        found.array[...] = 1
        assert found.inputs is not None and found.samples is not None
        assert found.labels is not None
        found.labels[...] = 0
        found.inputs[...] = 0
    assert data.flags.writeable
    np.testing.assert_array_equal(data, X)


@pytest.mark.parametrize(
    ("what", "said"),
    [
        ("empty", "it wrote nothing to the given path"),
        ("gone", "it wrote nothing to the given path"),
        ("changed", r"ValueError: .*read-only"),
    ],
)
def test_what_is_no_picture_is_refused(
    classifier: Any, tmp_path: Path, what: str, said: str
) -> None:
    with pytest.raises(cnnvis.PluginError, match=f"renderer draws {BY}{said}"):
        cnnvis.run(
            "saliency", classifier, data=X, render=["draws"], out=tmp_path / "it.txt",
            plugin_options={"draws": {"what": what}},
        )  # fmt: skip
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ("list", "it gave list, not Samples"),
        ("exit", "SystemExit: no"),
        ("later", "reader reads .* failed: IndexError: not there"),
        ("other", r"reads .* it read samples of shape \(12, 11, 2\), and said \(12, 10, 2\)"),
    ],
)
def test_a_reader_is_told_of_when_it_reads_later_too(
    classifier: Any, files: Path, how: str, said: str
) -> None:
    with pytest.raises(cnnvis.PluginError, match=said) as raised:
        cnnvis.run(
            "saliency",
            classifier,
            data=files / "data.wrong",
            plugin_options={"reads": {"how": how}},
        )
    assert "wrong_plugins.py" in str(raised.value)


def test_a_loader_gives_a_loaded_network(files: Path) -> None:
    with pytest.raises(
        cnnvis.PluginError, match=f"loader loads {BY}it gave Sequential, not a Loaded"
    ):
        cnnvis.load_model(files / "model.net")
    assert cnnvis.load_model(files / "model.net", how="whole").origin == "made up"


# What must stay as it is


@pytest.mark.parametrize(
    ("how", "what"),
    [
        ("random", "Python's global random numbers"),
        ("numpy", "NumPy's global random numbers"),
        ("drawing", "NumPy's global random numbers"),
        ("tensorflow", "TensorFlow's global seed"),
        ("folder", "the working directory"),
        ("variable", "variables of the environment"),
        ("less", "variables of the environment"),
        ("stdout", "sys.stdin, stdout or stderr"),
        ("handler", "signal handlers"),
    ],
)
@pytest.mark.parametrize("step", quick_at([1, 2], ["acts", "turns", "flows"]))
def test_what_is_not_a_plugins_is_put_back_and_told(
    classifier: Any, step: str, how: str, what: str
) -> None:
    import tensorflow as tf

    tf.random.set_seed(11)
    if how == "numpy":
        np.random.seed(5)
    before = _process()
    first = [] if step == "acts" else ["saliency"]
    (found,) = cnnvis.chain(classifier, [*first, (step, {"how": how})], data=X)
    assert _process() == before
    said = [note for note in found.notes if "which was put back" in note]
    kind = "technique" if step == "acts" else "transform"
    assert len(said) == 1 and re.match(
        rf"the {kind} {step} of wrong_plugins\.py changed {what}, which was put back", said[0]
    )
    assert re.search(MENDS, said[0])
    assert found.array.any()


def _process() -> list[Any]:
    import matplotlib
    from tensorflow.python.eager import context

    numbers: Any = np.random.get_state()
    return [
        random.getstate(), numbers[1].tolist(), numbers[2], context.context()._seed,
        Path.cwd(), dict(os.environ), sys.stdin, sys.stdout, sys.stderr,
        signal.getsignal(signal.SIGINT), dict(dict.items(matplotlib.rcParams)),
    ]  # fmt: skip


def test_matplotlibs_settings_are_put_back(classifier: Any, tmp_path: Path) -> None:
    before = _process()
    found = cnnvis.run(
        "saliency", classifier, data=X, render=["draws", "png"], out=f"{tmp_path}/x/",
        plugin_options={"draws": {"how": "settings"}},
    )  # fmt: skip
    assert _process() == before
    assert any("draws of wrong_plugins.py changed matplotlib's settings" in n for n in found.notes)
    assert len(list((tmp_path / "x").iterdir())) == 2


def test_it_is_put_back_after_a_failure_too(
    classifier: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = sys.modules["cnnvis_plugin_file_wrong_plugins"]

    def both() -> None:
        os.chdir("/")
        raise ValueError("and then")

    monkeypatch.setitem(module.ACTS, "both", both)
    before = _process()
    with pytest.raises(cnnvis.PluginError, match="and then"):
        _run(classifier, "acts", how="both")
    assert _process() == before


def test_in_another_thread_nothing_is_touched_that_others_may_use(classifier: Any) -> None:
    found: list[Any] = []

    def work() -> None:
        np.random.seed(1)
        found.append(_run(classifier, "acts", how="drawing"))
        found.append(np.random.normal())

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert not any("put back" in note for note in found[0].notes)
    np.random.seed(1)
    np.random.normal()
    assert found[1] == np.random.normal()


def test_what_libraries_set_while_they_are_imported_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    before = ProcessState()
    monkeypatch.setitem(sys.modules, "imported_meanwhile", os)
    monkeypatch.setenv("CNNVIS_NEW", "1")
    assert before.put_back() == []
    assert os.environ["CNNVIS_NEW"] == "1"


# The rest of the run


def test_a_failing_renderer_loses_no_others_work(typed: Any, files: Path, tmp_path: Path) -> None:
    done = typed(
        "--plugin", WRONG, "run", "saliency", files / "model.keras", "-d", files / "data.npz",
        "-r", "draws", "png", "prints", "numpy", "--draws.how", "exit", "-o", "out/",
    )  # fmt: skip
    assert done.returncode == 1
    assert done.stdout.splitlines()[0].startswith("printed \\x1b]0;pwned\\x07")
    assert done.stdout.splitlines()[1:] == [
        "out/saliency_classes_guided.png",
        "out/saliency_classes_guided.npz",
    ]
    assert sorted(path.suffix for path in (tmp_path / "out").iterdir()) == [".npz", ".png"]
    assert "renderer draws of wrong_plugins.py failed: SystemExit: 3" in done.stderr
    assert "Traceback" not in done.stderr


def test_python_gets_what_was_found_all_the_same(classifier: Any, tmp_path: Path) -> None:
    with pytest.raises(cnnvis.PluginError, match="draws") as raised:
        cnnvis.run(
            "saliency", classifier, data=X, render=["draws", "numpy"], out=f"{tmp_path}/o/",
            plugin_options={"draws": {"how": "exit"}},
        )  # fmt: skip
    assert isinstance(raised.value.found, cnnvis.Explanation)
    assert [path.suffix for path in (tmp_path / "o").iterdir()] == [".npz"]


@pytest.mark.slow
def test_a_failing_step_of_a_chain_loses_no_others_work(
    typed: Any, files: Path, tmp_path: Path
) -> None:
    base = ("--plugin", WRONG, "chain", files / "model.keras", "-d", files / "data.npz")
    done = typed(*base, "saliency", "acts", "--how", "error", "grad-cam", "numpy", "-o", "a/")
    assert done.returncode == 1
    assert sorted(path.name for path in (tmp_path / "a").iterdir()) == [
        "grad-cam_classes_guided.npz",
        "saliency_classes_guided.npz",
    ]
    assert (
        r"acts of wrong_plugins.py failed: ValueError: bad \x1b]0;pwned\x07 \u202e value"
        in done.stderr
    )
    assert done.stderr.count("acts of") == 1
    done = typed(*base, "saliency", "draws", "--how", "exit", "smooth", "numpy", "-o", "b/")
    assert done.returncode == 1
    assert [path.name for path in (tmp_path / "b").iterdir()] == [
        "saliency_classes_guided_smooth.npz"
    ]
    assert "draws of wrong_plugins.py failed" in done.stderr
    done = typed(*base, "saliency", "turns", "--how", "memory", "numpy", "-o", "c/")
    assert done.returncode == 1 and not (tmp_path / "c").exists()


def test_chains_in_python_give_what_was_found_too(classifier: Any) -> None:
    with pytest.raises(cnnvis.PluginError) as raised:
        cnnvis.chain(classifier, ["saliency", ("acts", {"how": "odd"}), "grad-cam"], data=X)
    found = raised.value.found
    assert [one.provenance["technique"] for one in found] == ["saliency", "grad-cam"]


def test_of_several_inputs_one_may_fail(keras: Any, tmp_path: Path) -> None:
    layers = keras.layers
    keras.utils.set_random_seed(1)
    entries = [keras.Input((6, 5, 1), name=name) for name in ("left", "right")]
    flat = [layers.Flatten()(layers.Conv2D(2, 3, activation="relu")(one)) for one in entries]
    network = keras.Model(entries, layers.Dense(2, name="output")(layers.Concatenate()(flat)))

    @cnnvis.technique("left-only")
    def left_only(model: Any, samples: Any) -> cnnvis.Explanation:
        """Fails at the right one."""
        assert samples.input == "left", "only the left"
        return cnnvis.Explanation(model.input_gradient(samples.x), samples)

    marked = cnnvis.plugin_of(left_only)
    assert marked is not None
    registry().add(marked)
    data = dict.fromkeys(("left", "right"), X[:2, :6, :5, :1])
    with pytest.raises(cnnvis.PluginError, match="only the left") as raised:
        cnnvis.run("left-only", network, data=data, render=["numpy"], out=f"{tmp_path}/o/")
    assert raised.value.found.input == "left" and raised.value.found.other_inputs == ()
    assert len(list((tmp_path / "o").iterdir())) == 1


@pytest.mark.parametrize(
    ("words", "said"),
    quick_at(
        [0, 3],
        [
            (
                ["run", "gives", "--what", "nan"],
                "gives of wrong_plugins.py failed: its maps hold NaN",
            ),
            (
                ["run", "acts", "--how", "recursion"],
                "acts of wrong_plugins.py failed: RecursionError",
            ),
            (["run", "acts", "--how", "odd"], "acts of wrong_plugins.py failed: Odd."),
            (
                ["run", "saliency", "--draws.how", "memory", "-r", "draws"],
                "draws of wrong_plugins.py",
            ),
        ],
    ),
)
def test_the_command_says_it_in_a_sentence(
    typed: Any, files: Path, words: list[str], said: str
) -> None:
    given = (*words[:2], files / "model.keras", "-d", files / "data.npz", *words[2:])
    done = typed("--plugin", WRONG, *given)
    assert done.returncode == 1
    assert said in done.stderr and "Traceback" not in done.stderr
    assert len(done.stderr.splitlines()) <= 3
    verbose = typed("--plugin", WRONG, *given, "-v")
    assert verbose.returncode == 1
    assert ("Traceback" in verbose.stderr) is not ("nan" in words)


def test_the_border_costs_next_to_nothing(classifier: Any) -> None:
    """Less than a call of the smallest network by far, and nothing that grows with the data."""
    import time

    plugin = registry().get("transform", "absolute")
    samples = cnnvis.Samples(X, Y)
    explanation = cnnvis.Explanation(X[..., 0], samples)
    times = []
    for _ in range(200):
        start = time.perf_counter()
        read_only(explanation)
        border._accepted(plugin, explanation, (), {})
        times.append(time.perf_counter() - start)
    assert sorted(times)[100] < 0.5e-3
