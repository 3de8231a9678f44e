"""Networks and files that many tests share."""

from __future__ import annotations

import gc
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # As in the background of a script; the processes that tests interrupt would ignore it, too.
    signal.signal(signal.SIGINT, signal.default_int_handler)

HERE = Path(__file__).parent
REFERENCE = HERE.parents[1] / "shared" / "reference"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the slow tests, so that no processor waits for one of them at the end."""
    items.sort(key=lambda item: item.get_closest_marker("slow") is None)


@pytest.fixture(scope="session")
def reference() -> Path:
    """The folder of real models, data and reference answers."""
    if not REFERENCE.is_dir():
        pytest.skip(f"the reference data are not at {REFERENCE}")
    return REFERENCE


@pytest.fixture(scope="session", autouse=True)
def no_settings(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Whoever runs the tests may have settings of their own; these must not matter."""
    for name in [name for name in os.environ if name.startswith("CNNVIS_")]:
        del os.environ[name]
    os.environ["CNNVIS_CHECKS"] = "none"  # but where a test asks for checks: they take their time
    os.environ["XDG_CONFIG_HOME"] = str(tmp_path_factory.mktemp("settings"))
    from cnnvis.drawing import progress

    progress.EVERY = 3600.0  # on a busy machine a command may take longer than the usual minute


@pytest.fixture(scope="session", autouse=True)
def looks(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., dict[str, Any]]]:
    """First looks at files need not import NumPy and h5py, each a fifth of a second.

    Each is done in a process of its own all the same; see `looking.py`. What is given is how the
    command itself begins a look.
    """
    from cnnvis.files import sandbox

    begun = sandbox.child_process
    if sys.platform != "linux":
        yield begun
        return
    place = tmp_path_factory.mktemp("looks") / "socket"
    path = os.environ.get("PYTHONPATH")
    server: list[subprocess.Popen[bytes]] = []

    def asking(module: str, *words: str | Path, **settings: Any) -> dict[str, Any]:
        told = begun(module, *words, **settings)
        if os.environ.get("PYTHONPATH") != path:
            return told  # to import what only this test has
        if not server:
            # The socket's place is told from its folder, since such names may not be long.
            how = {**begun(module, same_path=True, **settings), "cwd": place.parent}
            how["args"] = [sys.executable, "-P", "-B", HERE / "looking.py", place.name]
            server.append(subprocess.Popen(stdin=subprocess.PIPE, stdout=subprocess.PIPE, **how))
            assert server[0].stdout is not None
            assert server[0].stdout.readline() == b"listening\n"
        return {**told, "args": [sys.executable, "-I", "-S", HERE / "asking.py", place, *words]}

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(sandbox, "child_process", asking)
        yield begun
    for one in server:
        one.communicate(timeout=30)


@pytest.fixture
def looks_of_their_own(looks: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """First looks begin as those of the command do."""
    from cnnvis.files import sandbox

    monkeypatch.setattr(sandbox, "child_process", looks)


@pytest.fixture(scope="session")
def keras() -> Any:
    """Keras, its objects and TensorFlow's out of the garbage collector's way.

    They are a million, and stay; `clear_session` looks at all others each time that it is called.
    """
    from cnnvis.network import backend

    module = backend.keras()
    gc.collect()
    gc.freeze()
    return module


@pytest.fixture(scope="session")
def classifier(keras: Any) -> Any:
    """A small network with three classes, its weights random but always the same."""
    layers = keras.layers
    keras.utils.set_random_seed(3)
    return keras.Sequential(
        [
            layers.Input((12, 10, 2)),
            layers.Conv2D(4, 3, activation="relu", name="first"),
            layers.MaxPooling2D(name="pool"),
            layers.Conv2D(5, 3, activation="relu", name="second"),
            layers.Flatten(name="flat"),
            layers.Dense(3, activation="softmax", name="classes"),
        ]
    )


@pytest.fixture
def images() -> np.ndarray[Any, Any]:
    return np.random.default_rng(5).normal(size=(7, 12, 10, 2)).astype(np.float32)


@pytest.fixture
def typed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Callable[..., subprocess.CompletedProcess[str]]:
    """The command line in this process, in a folder of the test's own: quick, TensorFlow is up."""
    from cnnvis.cli.main import main

    monkeypatch.chdir(tmp_path)

    def run(*words: object) -> subprocess.CompletedProcess[str]:
        typed_words = [str(word) for word in words]
        capfd.readouterr()
        with pytest.raises(SystemExit) as end:
            main(typed_words)
        out, err = capfd.readouterr()
        return subprocess.CompletedProcess(typed_words, int(end.value.code or 0), out, err)

    return run


@pytest.fixture
def wrong_plugins() -> Iterator[None]:
    """Plugins that do what no plugin may, and no others but the built-in ones."""
    from cnnvis.registry.discovery import Registry, using

    known = Registry(only=[])
    known.add_file(HERE / "third_party" / "wrong_plugins.py")
    assert known.broken == []
    with using(known):
        yield


@pytest.fixture(scope="session")
def command() -> Callable[..., subprocess.CompletedProcess[str]]:
    """The real command line, in a process of its own."""

    def run(*words: object, **settings: Any) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "cnnvis", *map(str, words)],
            capture_output=True,
            text=True,
            timeout=300,
            **settings,
        )

    return run


@pytest.fixture
def passes(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many samples went through the network, pass by pass."""
    from cnnvis.network.compilation import Compiled

    counted: list[int] = []
    called = Compiled.__call__

    def counting(self: Compiled, *arrays: Any, **shared: Any) -> Any:
        counted.append(len(arrays[0]))
        return called(self, *arrays, **shared)

    monkeypatch.setattr(Compiled, "__call__", counting)
    return counted
