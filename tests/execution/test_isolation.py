"""Plugins in processes of their own: what they give is the same, and what they break is theirs."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import cnnvis
from cnnvis import host
from cnnvis.execution import isolation, transfer, worker

WRONG = Path(__file__).parents[1] / "third_party" / "wrong_plugins.py"
X = np.random.default_rng(0).normal(size=(5, 12, 10, 2)).astype(np.float32)
Y = np.arange(5) % 3
NAMES = ("ape", "bee", "cow")


pytestmark = pytest.mark.usefixtures("wrong_plugins")


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory, classifier: Any) -> Path:
    folder = tmp_path_factory.mktemp("files")
    classifier.save(folder / "model.keras")
    np.savez(folder / "data.npz", X=X, y=Y, class_names=NAMES)
    (folder / "data.wrong").touch()
    (folder / "model.net").touch()
    cnnvis.run(
        "saliency", classifier, data=cnnvis.Samples(X, Y, class_names=NAMES), render=["numpy"],
        out=folder / "maps.npz",
    )  # fmt: skip
    return folder


@pytest.fixture
def explanation(files: Path) -> cnnvis.Explanation:
    return cnnvis.Explanation.load(files / "maps.npz")


def _turned(explanation: cnnvis.Explanation, how: str, **limits: Any) -> Any:
    """A transform called in a process of its own."""
    from cnnvis.execution.calls import call_plugin
    from cnnvis.registry.discovery import registry

    with isolation.isolating(True, **limits):
        return call_plugin(registry().get("transform", "turns"), explanation, how=how, what="same")


def test_a_shortage_in_another_process_is_known_as_such(explanation: cnnvis.Explanation) -> None:
    """So that a run folder leaves no image out for it."""
    with pytest.raises(cnnvis.UserError, match="there is too little memory") as raised:
        _turned(explanation, "short")
    assert host.shortage(raised.value)
    with pytest.raises(cnnvis.UserError, match="that cannot be") as raised:
        _turned(explanation, "user")
    assert not host.shortage(raised.value)


@pytest.mark.parametrize(
    ("how", "said"),
    [
        pytest.param("abort", r"its process crashed \(SIGABRT\)", marks=pytest.mark.slow),
        ("segfault", r"its process crashed \(SIGSEGV\)"),
        ("leave", r"its process ended without an answer \(exit code 0\)"),
        ("garbage", "its process gave an invalid answer"),
        pytest.param("exit", "SystemExit: 3", marks=pytest.mark.slow),
        pytest.param("recursion", "RecursionError", marks=pytest.mark.slow),
        pytest.param("memory", "MemoryError: no room", marks=pytest.mark.slow),
        ("error", "ValueError: bad"),
    ],
)
def test_a_crash_is_told_in_a_sentence(
    explanation: cnnvis.Explanation, how: str, said: str
) -> None:
    with pytest.raises(cnnvis.PluginError) as raised:
        _turned(explanation, how)
    assert re.match(rf"the transform turns of wrong_plugins\.py failed: {said}", str(raised.value))
    assert "The author of wrong_plugins.py can correct this." in str(raised.value)


@pytest.mark.slow
def test_a_hang_ends(explanation: cnnvis.Explanation) -> None:
    start = time.monotonic()
    with pytest.raises(cnnvis.PluginError, match=r"longer than 2 seconds.*--isolate-timeout"):
        _turned(explanation, "hang", isolate_timeout=2)
    assert time.monotonic() - start < 100


@pytest.mark.slow
def test_a_hunger_for_memory_ends(explanation: cnnvis.Explanation) -> None:
    with pytest.raises(cnnvis.PluginError, match=r"more than 1 GB of memory.*--isolate-memory"):
        _turned(explanation, "blow-up", isolate_memory=1)


def test_what_is_printed_there_disturbs_nothing(explanation: cnnvis.Explanation) -> None:
    found = _turned(explanation, "talk")
    np.testing.assert_array_equal(found.array, explanation.array)


@pytest.mark.slow
def test_an_interrupt_ends_the_process_too(
    explanation: cnnvis.Explanation, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun: list[subprocess.Popen[bytes]] = []
    awaited = worker.Worker._awaited

    def noted(self: Any, process: Any, timeout: float) -> bytes:
        begun.append(process)
        if len(begun) == 2:  # the first answer was that it is there
            threading.Timer(1, lambda: os.kill(os.getpid(), signal.SIGINT)).start()
        return awaited(self, process, timeout)

    monkeypatch.setattr(worker.Worker, "_awaited", noted)
    with pytest.raises(KeyboardInterrupt):
        _turned(explanation, "hang")
    assert begun[0].returncode == -signal.SIGKILL


@pytest.mark.slow
def test_after_a_crash_there_is_a_new_process(explanation: cnnvis.Explanation) -> None:
    from cnnvis.execution.calls import call_plugin
    from cnnvis.registry.discovery import registry

    turns = registry().get("transform", "turns")
    with isolation.isolating("turns"):
        with pytest.raises(cnnvis.PluginError, match="SIGABRT"):
            call_plugin(turns, explanation, how="abort", what="same")
        found = call_plugin(turns, explanation, how="nothing", what="same")
        assert found.samples is explanation.samples
        apart = isolation._current.get().worker(turns)  # type: ignore[union-attr]
        process, place = apart._process, Path(apart._place.name)
        assert process is not None and place.is_dir()
        assert call_plugin(turns, explanation, how="nothing", what="same") is not None
        assert apart._process is process
        # It ends with its input, also where nobody ends it.
        assert process.stdin is not None
        process.stdin.close()
        assert process.wait(timeout=60) == 0
    assert not place.exists()


def test_files_that_are_no_good_are_told_of(
    explanation: cnnvis.Explanation, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = worker.Worker._exchanged

    def spoiled(self: Any, process: Any, request: Any, timeout: float) -> Any:
        answer = real(self, process, request, timeout)
        for file in Path(self._place.name).rglob("out/*/explanation.npz"):
            file.write_bytes(b"PK no archive")
        return answer

    monkeypatch.setattr(worker.Worker, "_exchanged", spoiled)
    with pytest.raises(
        cnnvis.PluginError, match=r"turns .* the answer of its process cannot be read"
    ):
        _turned(explanation, "nothing")


def test_samples_and_explanations_travel_whole(tmp_path: Path) -> None:
    class Source:
        shape, dtype = (5, 12, 10, 2), np.dtype("float32")

        def __getitem__(self, index: Any) -> Any:
            return X[index]

    samples = cnnvis.Samples(
        Source(), Y, tuple("abcde"), NAMES, np.array([9, 3, 3, 1, 0]), -1,
        input="left", others={"right": X[..., :1], "far": Source()},
    )  # fmt: skip
    transfer.pack_samples(samples, tmp_path / "samples")
    again = transfer.unpack_samples(tmp_path / "samples")
    for name in ("names", "class_names", "channel_axis", "input"):
        assert getattr(again, name) == getattr(samples, name)
    for name in ("labels", "indices"):
        np.testing.assert_array_equal(getattr(again, name), getattr(samples, name))
    np.testing.assert_array_equal(again.x, X)
    np.testing.assert_array_equal(again.others["right"][:], X[..., :1])
    assert list(again.others) == ["right", "far"]
    again.x[...] = 0  # whoever gets them may change them; the file stays
    np.testing.assert_array_equal(transfer.unpack_samples(tmp_path / "samples").x, X)

    given = cnnvis.Explanation(
        X[..., 0], samples, targets=tuple(cnnvis.Target("out", (i,), NAMES, 1.5) for i in range(5)),
        notes=("a note",), provenance={"technique": "t", "options": {"a": [1]}},
    )  # fmt: skip
    transfer.pack_explanation(given, tmp_path / "one")
    found = transfer.unpack_explanation(tmp_path / "one")
    np.testing.assert_array_equal(found.array, given.array)
    assert found.targets == given.targets and found.provenance == given.provenance
    assert found.axes == given.axes and found.notes == given.notes
    assert found.samples is not None and found.samples.input == "left"
    several = replace(given, other_inputs=(replace(given, maps=given.array + 1),))
    transfer.pack_explanation(several, tmp_path / "several")
    (other,) = transfer.unpack_explanation(tmp_path / "several").other_inputs
    np.testing.assert_array_equal(other.array, given.array + 1)
    assert other.samples is not None and other.targets == given.targets
    table = cnnvis.Explanation(table={"a": [1, None], "b": ["x", "y"]})
    transfer.pack_explanation(table, tmp_path / "table")
    assert transfer.unpack_explanation(tmp_path / "table").table == {
        "a": [1, None],
        "b": ["x", "y"],
    }


# What is computed there is what is computed here


@pytest.mark.slow
@pytest.mark.parametrize(
    ("live", "settings"),
    [
        (False, {}),
        (False, {"layer": "second", "filter": [1, 2], "region": ["0:2", 1]}),
        (True, {"filter": "cow", "class_names": NAMES}),
    ],
)
def test_a_technique_gives_the_same(
    files: Path,
    classifier: Any,
    live: bool,
    settings: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """From a file and from a live network; in batches; with a target, and the class predicted."""
    monkeypatch.setattr("cnnvis.data.samples.AT_ONCE", 3)
    model = classifier if live else files / "model.keras"
    here = cnnvis.run("acts", model, data=files / "data.npz", **settings)
    there = cnnvis.run("acts", model, data=files / "data.npz", isolate=True, **settings)
    np.testing.assert_allclose(there.array, here.array, rtol=1e-4, atol=1e-6)
    assert [str(one) for one in there.targets] == [str(one) for one in here.targets]
    assert there.notes == here.notes and there.axes == here.axes
    assert there.provenance == here.provenance
    np.testing.assert_array_equal(there.inputs, here.inputs)


@pytest.mark.slow
def test_built_in_plugins_may_run_apart_too(files: Path) -> None:
    steps: Any = ["saliency", "acts", "multiply", "smooth", ("average", {"by": "label"})]
    (here,) = cnnvis.chain(files / "model.keras", steps, data=files / "data.npz")
    (there,) = cnnvis.chain(
        files / "model.keras", steps, data=files / "data.npz",
        isolate=["multiply", "average", "smooth"],
    )  # fmt: skip
    np.testing.assert_allclose(there.array, here.array, rtol=1e-4, atol=1e-7)
    assert there.groups == here.groups
    assert json.loads(json.dumps(here.provenance)) == json.loads(json.dumps(there.provenance))


@pytest.mark.slow
def test_streams(files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cnnvis.data.samples.AT_ONCE", 2)
    (here,) = cnnvis.chain(files / "model.keras", ["saliency", "flows"], data=files / "data.npz")
    (there,) = cnnvis.chain(
        files / "model.keras", ["saliency", "flows"], data=files / "data.npz", isolate=True
    )
    np.testing.assert_allclose(there.array, here.array, rtol=1e-5)
    np.testing.assert_array_equal(there.inputs, here.inputs)
    assert there.labels is not None and there.labels.tolist() == Y.tolist()


OWN = """
from typing import Any

import cnnvis


@cnnvis.metric("sums")
def sums(explanation: cnnvis.Explanation, model: cnnvis.Model) -> Any:
    \"\"\"The sum of a map, and nothing.\"\"\"
    found = explanation.array.reshape(len(explanation), -1).sum(axis=1)
    return {"sums": found, "sums_of_nothing": found * float("nan")}


@cnnvis.metric("asks")
def asks(explanation: cnnvis.Explanation, explainer: cnnvis.Explainer) -> Any:
    \"\"\"How much the maps are those that are made again.\"\"\"
    return cnnvis.spearman(explanation.array, explainer.maps(explanation.samples))


@cnnvis.baseline("largest")
def largest(data: cnnvis.Samples) -> Any:
    \"\"\"The largest value of the data at each position.\"\"\"
    return data.x.max(axis=0)


@cnnvis.baseline("half")
def half(samples: cnnvis.Samples) -> Any:
    \"\"\"Half of each image.\"\"\"
    return samples.x / 2


@cnnvis.baseline("other")
def other(data: cnnvis.Samples) -> Any:
    \"\"\"The name of another.\"\"\"
    return "largest"
"""


@pytest.fixture
def own(wrong_plugins: None, tmp_path: Path) -> None:
    """Metrics and baselines of a file of one's own."""
    from cnnvis.registry.discovery import registry

    (tmp_path / "own.py").write_text(OWN)
    registry().add_file(tmp_path / "own.py")


@pytest.mark.slow
@pytest.mark.usefixtures("own")
def test_metrics(files: Path) -> None:
    """Those that ask the network; what has maps made anew stays with the network that is here."""
    given: Any = {"data": files / "data.npz", "images": [0, 2]}
    here = cnnvis.run("saliency", files / "model.keras", metrics=["sums", "asks"], **given)
    there = cnnvis.run("saliency", files / "model.keras", metrics="sums", isolate=True, **given)
    for name in ("sums", "sums_of_nothing"):
        np.testing.assert_allclose(there.measures[name], here.measures[name], rtol=1e-5)
    with pytest.raises(cnnvis.UserError, match=r"asks .* cannot in a process .*--isolate"):
        cnnvis.run("saliency", files / "model.keras", metrics="asks", isolate=True, **given)


@pytest.mark.slow
@pytest.mark.usefixtures("own")
def test_baselines(files: Path) -> None:
    given: Any = {"data": files / "data.npz", "images": [0, 2], "steps": 4}
    for name in ("half", "other"):
        here, there = (
            cnnvis.run("integrated-gradients", files / "model.keras", baseline=name, isolate=apart, **given)
            for apart in (False, True)
        )  # fmt: skip
        np.testing.assert_allclose(there.array, here.array, rtol=1e-4, atol=1e-6)


def test_readers(files: Path) -> None:
    with isolation.isolating(True):
        assert (
            cnnvis.read_samples(files / "data.wrong").x.tolist() == np.ones((3, 12, 10, 2)).tolist()
        )
        with pytest.raises(cnnvis.PluginError, match=r"reads .* IndexError: not there"):
            cnnvis.read_samples(files / "data.wrong", how="later")


@pytest.mark.slow
def test_loaders(files: Path) -> None:
    with isolation.isolating(True):
        model = cnnvis.load_model(files / "model.net", how="whole")
        assert model.origin == "made up" and model.predict(X).shape == (5, 3)
        assert model.has_classes  # as the loss says that goes with the network


@pytest.mark.slow
def test_the_command(typed: Any, files: Path, tmp_path: Path) -> None:
    base = ("--plugin", WRONG, "chain", files / "model.keras", "-d", files / "data.npz")
    done = typed(
        *base, "saliency", "draws", "--how", "abort", "prints", "turns", "--how", "leave", "grad-cam",
        "numpy", "--isolate", "-o", "out/",
    )  # fmt: skip
    assert done.returncode == 1
    assert re.search(
        r"draws of wrong_plugins\.py failed: its process crashed \(SIGABRT\)", done.stderr
    )
    assert re.search(r"turns of wrong_plugins\.py failed: its process ended without", done.stderr)
    assert "Traceback" not in done.stderr and "core" not in done.stderr
    assert done.stdout.splitlines()[0].startswith(r"printed \x1b]0;pwned\x07 5")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["grad-cam_classes_guided.npz"]
    done = typed(
        "--plugin", WRONG, "run", "saliency", files / "model.keras", "-d", files / "data.npz",
        "-r", "draws", "--draws.how", "hang", "--isolate-only", "draws", "--isolate-timeout", 3,
    )  # fmt: skip
    assert (
        done.returncode == 1 and "draws of wrong_plugins.py failed: it took longer" in done.stderr
    )


@pytest.mark.slow
def test_what_cannot_be_is_said(typed: Any, files: Path, classifier: Any) -> None:
    base = ("--plugin", WRONG, "run", "acts", files / "model.keras", "-d", files / "data.npz")
    done = typed(*base, "--isolate-only", "act")
    assert done.returncode == 2
    assert "no plugin named 'act' to isolate. Did you mean 'acts'?" in done.stderr
    done = typed(*base, "--isolate", "--isolate-timeout", 0)
    assert done.returncode == 2 and "isolate_timeout is 0, and must be above zero" in done.stderr

    @cnnvis.transform("homeless")
    def homeless(explanation: Any) -> Any:
        """Is in no file."""
        return explanation

    from cnnvis.registry.discovery import registry

    marked = cnnvis.plugin_of(homeless)
    assert marked is not None
    registry().add(marked)
    with pytest.raises(cnnvis.UserError, match="homeless cannot be isolated: its process"):
        cnnvis.chain(classifier, ["saliency", "homeless"], data=X, isolate=True)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("how", "said", "limits"),
    [
        ("segfault", "SIGSEGV", ()),
        ("hang", "it took longer than 20 seconds", ("--isolate-timeout", "20")),
        ("blow-up", "it took more than 2 GB", ("--isolate-memory", "2")),
    ],
)
def test_techniques_in_a_real_command(
    command: Any, files: Path, tmp_path: Path, how: str, said: str, limits: tuple[str, ...]
) -> None:
    done = command(
        "--plugin", WRONG, "chain", files / "model.keras", "-d", files / "data.npz",
        "acts", "--how", how, "saliency", "png", "--isolate", *limits, cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 1
    assert "acts of wrong_plugins.py failed: " in done.stderr and said in done.stderr
    assert done.stdout.splitlines() == ["results/saliency_classes_guided.png"]
    assert "Traceback" not in done.stderr


def test_nothing_is_left_behind() -> None:
    listed = subprocess.run(
        ["ps", "-ww", "-eo", "ppid,args"], capture_output=True, text=True, check=True
    ).stdout
    mine = [line for line in listed.splitlines() if line.split()[0] == str(os.getpid())]
    assert not [line for line in mine if "cnnvis.execution.isolated" in line]
