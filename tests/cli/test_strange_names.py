"""Real commands on models, data, files and plugins whose names would do something to a terminal."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from quick import quick_are

EVIL = "evil\x1b]0;pwned\x07\u202e$x_{$"
SHOWN = r"evil\x1b]0;pwned\x07\u202e$x_{$"
PLUGIN = f'''
import cnnvis


@cnnvis.technique("odd", reference={EVIL!r})
def odd(model, samples, *, size: int = 3, word: str = {EVIL!r}):
    """Does {EVIL}.

    Parameters
    ----------
    size
        How {EVIL}.
    word
        What {EVIL}.
    """
    cnnvis.note({EVIL!r} + "\\n[red]")
    with cnnvis.progress({EVIL!r}):
        if size == 0:
            raise ValueError({EVIL!r})
    maps = model.input_gradient(samples.x).max(axis=-1)
    return cnnvis.Explanation(maps, samples, provenance={{"e": {EVIL!r}}})
'''


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory, keras: Any) -> Path:
    """A network whose layers, and data whose classes and samples, have such names."""
    folder = tmp_path_factory.mktemp("odd")
    layers = keras.layers
    keras.utils.set_random_seed(3)
    network = keras.Sequential(
        [
            layers.Input((12, 10, 2)),
            layers.Conv2D(4, 3, activation="relu", name="first"),
            layers.Conv2D(4, 3, activation="relu", name=EVIL),
            layers.Flatten(),
            layers.Dense(3, activation="softmax", name="classes"),
        ]
    )
    network.save(folder / f"{EVIL}.keras")
    network.save(folder / f"{EVIL}.h5")
    rng = np.random.default_rng(0)
    np.savez(
        folder / f"{EVIL}.npz",
        X=rng.normal(size=(3, 12, 10, 2)).astype(np.float32),
        y=[0, 1, 2],
        names=[EVIL, f"{EVIL}\n2", "x" * 10_000],
        class_names=[EVIL, "\u2066[red]\x9b2J", "染色体"],
    )
    (folder / "odd.py").write_text(PLUGIN, encoding="utf-8")
    return folder


def _harmless(raw: bytes) -> str:
    """What was written, without anything that a terminal or a reader would fall for."""
    text = raw.decode("utf-8")
    for letter in text:
        assert letter.isprintable() or letter in "\n\t", ascii(letter)
    return text


COMMANDS = {
    "saliency": ("run", "saliency", "MODEL", "-d", "DATA", "-r", "png", "terminal", "numpy", "-v"),
    "layer": (
        "run",
        "saliency",
        "H5",
        "-d",
        "DATA",
        "-l",
        EVIL,
        "--filter",
        "0",
        "-r",
        "png",
        "-v",
    ),
    "no-layer": ("run", "saliency", "MODEL", "-d", "DATA", "-l", f"{EVIL}x"),
    "odd": ("run", "odd", "MODEL", "-d", "DATA", "-r", "png", "-v"),
    "odd-fails": ("run", "odd", "MODEL", "-d", "DATA", "--size", "0", "-v"),
    "odd-help": ("run", "odd", "--help"),
    "labels": ("run", "get-labels", "MODEL", "-d", "DATA"),
    "summary": ("run", "model-summary", "MODEL"),
    "doctor": ("doctor", "MODEL", "-d", "DATA"),
    "doctor-json": ("doctor", "MODEL", "-d", "DATA", "--json"),
    "list": ("list-plugins",),
    "list-json": ("list-plugins", "--json"),
    "show": ("show", "odd"),
    "show-json": ("show", "odd", "--json"),
    "compare": ("compare", "saliency", "odd", "--word", EVIL, "MODEL", "-d", "DATA"),
    "compare-json": ("compare", "saliency", "odd", "MODEL", "-d", "DATA", "--json"),
    "chain": ("chain", "MODEL", "-d", "DATA", "saliency", "average", "png", "terminal", "-v"),
    "chain-toml": ("chain", "MODEL", "-d", "DATA", "-l", EVIL, "odd", "--as", "toml"),
    "chain-shell": ("chain", "MODEL", "-d", "DATA", "-l", EVIL, "odd", "--as", "shell"),
    "config": ("config", "set", "odd.word", EVIL),
    "config-show": ("config", "show"),
    "config-get": ("config", "get", "odd.word"),
    "test-plugin": ("test-plugin", f"{EVIL}"),
    "no-command": (EVIL,),
    "completion": ("completion", "zsh"),
    "no-file": ("run", "saliency", f"{EVIL}.h5", "-d", "DATA"),
}


@pytest.mark.slow
def test_nothing_reaches_the_terminal_or_the_disk(
    files: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfdbinary: Any
) -> None:
    """In one process, for the sake of time; the next test starts some."""
    from cnnvis.cli.main import main

    monkeypatch.chdir(tmp_path)
    outputs: dict[str, tuple[int, str]] = {}
    for name, words in COMMANDS.items():
        with pytest.raises(SystemExit) as end:
            main(_words(files, words))
        out, err = capfdbinary.readouterr()
        outputs[name] = int(end.value.code or 0), _harmless(out) + _harmless(err)
    codes = {name: code for name, (code, _) in outputs.items()}
    wrong = {"no-layer": 2, "odd-fails": 1, "test-plugin": 2, "no-command": 2, "no-file": 2}
    assert codes == dict.fromkeys(COMMANDS, 0) | wrong
    for name in ("odd", "odd-help", "labels", "summary", "doctor", "show", "config-get", "no-file"):
        assert SHOWN in outputs[name][1], name
    assert "note: " + SHOWN + " [red]" in outputs["odd"][1]
    assert "ValueError: " + SHOWN in outputs["odd-fails"][1]
    assert json.loads(outputs["show-json"][1])["reference"] == EVIL
    compared, _ = json.JSONDecoder().raw_decode(outputs["compare-json"][1])  # notes follow
    assert SHOWN in compared["images"][0]["image"]
    written = [path.relative_to(tmp_path) for path in tmp_path.rglob("*")]
    pictures = [path for path in written if path.suffix == ".png"]
    assert len(pictures) >= 5
    for path in written:
        assert re.fullmatch(r"[\w.+=/-]+", str(path)), ascii(path)
        assert len(path.name.encode()) < 200


def _words(files: Path, words: tuple[str, ...]) -> list[str]:
    named = {"MODEL": f"{EVIL}.keras", "H5": f"{EVIL}.h5", "DATA": f"{EVIL}.npz"}
    given = [str(files / named[word]) if word in named else word for word in words]
    return ["--plugin", str(files / "odd.py"), *given]


@pytest.mark.parametrize("name", quick_are(["odd-help"], ["layer", "odd-help"]))
def test_real_processes(
    files: Path, tmp_path: Path, command: Callable[..., Any], name: str
) -> None:
    done = command(*_words(files, COMMANDS[name]), cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert SHOWN in _harmless(done.stdout.encode()) + _harmless(done.stderr.encode())


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(__import__("os"), "openpty"), reason="there are no terminals here")
def test_a_real_terminal(files: Path, tmp_path: Path) -> None:
    """With colours and bars, of which rich's own codes alone are left."""
    import os
    import subprocess
    import sys
    import threading

    ours, theirs = os.openpty()
    words = [*_words(files, COMMANDS["odd"]), "-q", "-r", "terminal"]
    raw = bytearray()

    def read() -> None:
        while True:
            try:
                raw.extend(os.read(ours, 4096))
            except OSError:
                return

    reader = threading.Thread(target=read)
    reader.start()
    done = subprocess.run(
        [sys.executable, "-m", "cnnvis", *words],
        stdin=theirs, stdout=theirs, stderr=theirs, cwd=tmp_path, timeout=300,
        env={**os.environ, "TERM": "xterm-256color", "COLUMNS": "200"},
    )  # fmt: skip
    os.close(theirs)
    reader.join(timeout=10)
    text = raw.decode("utf-8")
    assert done.returncode == 0, text
    assert "\x1b[" in text
    plain = re.sub(r"\x1b\[[\d;?]*[A-Za-z]", "", text).replace("\r", "")
    assert "evil" in plain and r"\x1b]0;" in plain
    _harmless(plain.encode())
