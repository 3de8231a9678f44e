"""Pickles that need code: what is said of them, and how they are loaded once they are trusted."""

from __future__ import annotations

import os
import pickle
import shlex
import signal
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
from quick import quick_at

import cnnvis

X = np.arange(120, dtype=np.uint8).reshape(5, 4, 6)
Y = np.array([0, 1, 1, 0, 2], np.uint8)

# A library as its pickles know it, with no more in it than it takes to load them.
PANDAS = """
class DataFrame:
    def __init__(self, values):
        self.values = values
    def to_numpy(self):
        return self.values
"""


@pytest.fixture
def pandas(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    folder = tmp_path / "installed"
    (folder / "pandas").mkdir(parents=True)
    (folder / "pandas" / "__init__.py").write_text(PANDAS)
    monkeypatch.setenv("PYTHONPATH", os.fspath(folder))
    monkeypatch.syspath_prepend(folder)
    monkeypatch.delitem(sys.modules, "pandas", raising=False)
    import pandas

    yield pandas
    del sys.modules["pandas"]


def _pickled(path: Path, held: Any) -> Path:
    path.write_bytes(pickle.dumps(held))
    return path


def test_a_table_is_told_from_others_and_read_once_it_is_trusted(
    tmp_path: Path, pandas: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    path = _pickled(tmp_path / "data.pkl", (pandas.DataFrame(X), pandas.DataFrame(Y)))
    with pytest.raises(cnnvis.UserError, match=r"a pandas DataFrame or Series.*--trust-pickle"):
        cnnvis.read_samples(path)
    samples = cnnvis.read_samples(path, trust=True)
    np.testing.assert_array_equal(samples.x, X)
    assert samples.labels is not None and samples.labels.tolist() == Y.tolist()
    assert list(temporary.iterdir()) == []


@pytest.mark.parametrize("name", ["data.pkl", "it's.pickle"])
def test_the_line_that_is_said_converts_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    class Holder(tuple):
        def __reduce__(self) -> Any:
            return tuple, ([X, Y],)

    monkeypatch.chdir(tmp_path)
    path = _pickled(Path(name), Holder())
    with pytest.raises(cnnvis.UserError, match=r"wants to call builtins\.tuple") as refusal:
        cnnvis.read_samples(path)
    line = str(refusal.value).partition("as .npz: ")[2]
    subprocess.run([sys.executable, "-c", line], check=True)
    samples = cnnvis.read_samples(path.with_suffix(".npz"))
    np.testing.assert_array_equal(samples.x, X)
    assert samples.labels is not None and samples.labels.tolist() == Y.tolist()


HELD: dict[str, Any] = {
    "inputs alone": (X, None),
    "several inputs": ({"left": X, "right/most": X[:, :2], "y": Y}, Y),
    "objects": ({"X": list(X), "y": ["a", "b", "b", "a", "c"]}, [0, 1, 1, 0, 2]),
}


@pytest.mark.parametrize("kind", HELD)
def test_all_that_samples_have_comes_back(tmp_path: Path, kind: str) -> None:
    held, labels = HELD[kind]
    path = _pickled(tmp_path / "data.pkl", held)
    plain, trusted = cnnvis.read_samples(path), cnnvis.read_samples(path, trust=True)
    np.testing.assert_array_equal(trusted.x, plain.x)
    assert trusted.class_names == plain.class_names
    assert list(trusted.inputs) == list(plain.inputs)
    for name, one in plain.inputs.items():
        np.testing.assert_array_equal(trusted.inputs[name][:], one[:])
    if labels is None:
        assert trusted.labels is None
    else:
        np.testing.assert_array_equal(trusted.labels, labels)  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", ["pair", "dict", "alone", "numbers", "one-hot"])
@pytest.mark.slow
def test_tables_of_pandas_are_read_and_converted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    table = pytest.importorskip("pandas").DataFrame
    marks = table({"late": [1, 0, 1, 0, 1], "early": [1, 1, 0, 0, 0]})
    held, labels, names = {
        "pair": ((X, marks), marks.to_numpy(), ("late", "early")),
        "dict": ({"images": X, "labels": marks}, marks.to_numpy(), ("late", "early")),
        "alone": (table(X[:, 0]), None, None),
        "numbers": ((X, marks * 1.5), marks.to_numpy() * 1.5, None),
        "one-hot": ((X, table(np.eye(3)[Y], columns=list("cab")).astype(bool)), Y, tuple("cab")),
    }[kind]
    monkeypatch.chdir(tmp_path)
    path = _pickled(Path("data.pkl"), held)
    with pytest.raises(cnnvis.UserError, match=r"a pandas DataFrame or Series") as refusal:
        cnnvis.read_samples(path)
    line = str(refusal.value).partition("as .npz: ")[2]
    subprocess.run([sys.executable, "-c", line], check=True)
    for samples in (
        cnnvis.read_samples(path.with_suffix(".npz")),
        cnnvis.read_samples(path, trust=True),
    ):
        assert len(samples) == 5 and samples.class_names == names and not samples.in_words
        if labels is None:
            assert samples.labels is None
        else:
            np.testing.assert_array_equal(samples.labels, labels)  # type: ignore[arg-type]


class Ends:
    """Something that ends the process that loads it."""

    def __reduce__(self) -> Any:
        return os._exit, (7,)


class Missing:
    def __reduce__(self) -> Any:
        return sys.intern, (3,)


@pytest.mark.parametrize(
    ("held", "sentence"),
    [
        (Ends(), "could not be loaded: the process that loaded it ended with 7"),
        (Missing(), "could not be loaded: TypeError"),
        ("words", "the text 'words' instead of its inputs"),
        ((X, Y[:2]), "5 inputs but 2 labels"),
    ],
    ids=["exit", "error", "text", "too few labels"],
)
def test_what_cannot_be_loaded_ends_in_a_sentence(tmp_path: Path, held: Any, sentence: str) -> None:
    with pytest.raises(cnnvis.UserError, match=sentence):
        cnnvis.read_samples(_pickled(tmp_path / "data.pkl", held), trust=True)


def test_a_module_that_is_not_there_is_named(tmp_path: Path) -> None:
    (tmp_path / "data.pkl").write_bytes(b"cnot_installed\nThing\n)R.")
    with pytest.raises(
        cnnvis.UserError, match=r"No module named 'not_installed'; install the package"
    ):
        cnnvis.read_samples(tmp_path / "data.pkl", trust=True)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.\x80\x02M\xe9\x03.", "torch.load.*X.numpy"),
        (b"\x1f\x8b\x08\0\0\0\0\0", "packed with gzip; unpack it first, with gunzip"),
        (b"PK\3\4 nothing", "a damaged archive"),
        (b"\x80\4\x8c\x13joblib.numpy_pickle\x8c\x11NumpyArrayWrapper\x93)\x81.", "joblib.load"),
        (b"\x80\2cscipy.sparse._csr\ncsr_matrix\n)\x81.", "X=X.toarray"),
        (b"", "is empty"),
    ],
    ids=["old torch", "gzip", "zip", "joblib", "scipy", "empty"],
)
def test_what_people_take_for_pickles_is_named(
    tmp_path: Path, content: bytes, sentence: str
) -> None:
    (tmp_path / "data.pkl").write_bytes(content)
    with pytest.raises(cnnvis.UserError, match=sentence):
        cnnvis.read_samples(tmp_path / "data.pkl")


def test_archives_that_are_no_pickles_are_named(tmp_path: Path) -> None:
    for member, sentence in {
        "archive/data.pkl": "a file of torch.save.*torch.load",
        "X.npy": "give it the ending .npz",
        "letter.txt": "no pickle but a zip archive",
    }.items():
        with zipfile.ZipFile(tmp_path / "data.pt", "w") as archive:
            archive.writestr(member, b"")
        with pytest.raises(cnnvis.UserError, match=sentence):
            cnnvis.read_samples(tmp_path / "data.pt")


@pytest.mark.parametrize(
    "words",
    quick_at(
        [0, 2, 5],
        [
            "run saliency demo -d data.pkl --trust-pickle",
            "run saliency demo -d data.pkl --pickle.trust",
            "chain demo -d data.pkl --trust-pickle saliency numpy",
            "chain demo -d data.pkl saliency numpy --trust-pickle",
            "compare saliency saliency demo -d data.pkl --trust-pickle",
            "doctor demo -d data.pkl --trust-pickle",
        ],
    ),
)
def test_every_command_that_reads_data_takes_the_flag(
    typed: Callable[..., Any], words: str
) -> None:
    canary = Path("canary")
    _pickled(Path("data.pkl"), _Touches(canary))
    without = [word for word in shlex.split(words) if "trust" not in word]
    done = typed(*without)
    assert done.returncode == 2 and "wants to call" in done.stderr and not canary.exists()
    done = typed(*shlex.split(words))
    # What the file holds are no inputs; but it was loaded.
    assert done.returncode == 2 and "nothing instead of its inputs" in done.stderr
    assert canary.exists()


class _Touches:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self.path),)


def test_settings_never_say_whom_to_trust(
    tmp_path: Path, typed: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    _pickled(Path("data.pkl"), _Touches(Path("canary")))
    Path("cnnvis.toml").write_text("[pickle]\ntrust = true\n")
    for words in ("run saliency demo -d data.pkl", "config show"):
        done = typed(*words.split())
        assert done.returncode == 2
        assert (
            "line 2: trust of pickle lets code run: type it in each command, since no"
            in done.stderr
        )
    Path("cnnvis.toml").unlink()
    done = typed("config", "set", "pickle.trust", "true")
    assert done.returncode == 2 and "no settings file may hold it" in done.stderr
    monkeypatch.setenv("CNNVIS_PICKLE_TRUST", "true")
    done = typed("run", "saliency", "demo", "-d", "data.pkl")
    assert done.returncode == 2 and "does not take it from the environment" in done.stderr
    assert not Path("canary").exists()


@pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX signals")
@pytest.mark.parametrize("name", ["SIGINT", "SIGKILL"])
def test_the_process_that_loads_ends_with_the_process_that_asked(tmp_path: Path, name: str) -> None:
    (tmp_path / "data.pkl").write_bytes(b"ctime\nsleep\n(I600\ntR.")
    program = "import cnnvis, sys; cnnvis.read_samples(sys.argv[1], trust=True)"
    command = [sys.executable, "-c", program, str(tmp_path / "data.pkl")]
    env = {**os.environ, "TMPDIR": str(tmp_path)}  # where who is killed leaves a folder
    with subprocess.Popen(
        command, stderr=subprocess.DEVNULL, start_new_session=True, env=env
    ) as parent:
        own = psutil.Process(parent.pid)
        end = time.monotonic() + 60
        while not (below := own.children()) and time.monotonic() < end:
            time.sleep(0.05)
        assert below
        parent.send_signal(getattr(signal, name))
        parent.wait(timeout=60)
    end = time.monotonic() + 20
    while _is_running(below[0]) and time.monotonic() < end:
        time.sleep(0.05)
    assert not _is_running(below[0])


def _is_running(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
