"""Standard streams that are closed, full or read by nobody, and limits on what a process may have."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from quick import quick_are

from cnnvis import host

pytestmark = pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full here")

LIST = "list-plugins"
WRONG = "run nosuch demo"
RUN = "run saliency demo --images 0 --render terminal png --out picture.svg"
FULL = "the output cannot be written: No space left on device"


def _ended(words: str, state: str, folder: Path, **variables: str) -> tuple[int, str, str]:
    """Run a command in a shell that gives it streams or limits; its code, stdout and stderr."""
    command = f"{sys.executable} -m cnnvis {words}"
    line = state.replace("CNNVIS", command) if "CNNVIS" in state else f"{command} {state}"
    done = subprocess.run(
        ["bash", "-c", line],
        capture_output=True,
        text=True,
        cwd=folder,
        env={**os.environ, **variables},
        timeout=300,
    )
    return done.returncode, done.stdout, done.stderr


STATES = [
    # state, the code of a command that succeeds, whether stderr can be read
    (">&-", 0, True),
    ("2>&-", 0, False),
    ("<&- >&- 2>&-", 0, False),
    (">/dev/full", 5, True),
    ("2>/dev/full", 0, False),
    (">/dev/full 2>&1", 5, False),
    ("CNNVIS | true; exit ${PIPESTATUS[0]}", 0, True),
    ("exec 2> >(true); sleep 0.1; CNNVIS", 0, False),
]


SOME = (">&-", "2>&-", ">/dev/full", "CNNVIS | true; exit ${PIPESTATUS[0]}")


@pytest.mark.parametrize(
    "state, code, is_seen", [pytest.param(*state, id=state[0]) for state in STATES]
)
@pytest.mark.slow
def test_streams_cost_no_command_its_work(
    state: str, code: int, is_seen: bool, tmp_path: Path
) -> None:
    ended, _, said = _ended(LIST, state, tmp_path)
    assert ended == code
    assert said.strip() == (f"error: {FULL}" if code and is_seen else "")
    ended, _, said = _ended(WRONG, state, tmp_path)
    assert ended == 2
    assert said.startswith("error: there is no technique") if is_seen else not said


@pytest.mark.slow
@pytest.mark.parametrize(
    "state, code, is_seen", [pytest.param(*one, id=one[0]) for one in STATES if one[0] in SOME]
)
def test_streams_cost_no_picture(state: str, code: int, is_seen: bool, tmp_path: Path) -> None:
    ended, _, said = _ended(RUN, state, tmp_path)
    assert ended == code
    assert (tmp_path / "picture.svg").read_text().rstrip().endswith("</svg>")
    assert (FULL in said) == bool(code and is_seen)
    assert [path.name for path in tmp_path.iterdir()] == ["picture.svg"]


def test_what_is_printed_never_gets_into_a_file(tmp_path: Path) -> None:
    """The next file that is opened would have the number of a standard stream that is closed."""
    (tmp_path / "cnnvis.toml").write_text("[saliency]\nbackprop = 'guided'\n")
    code, _, said = _ended("config set png.cmap hot", ">&- 2>&-", tmp_path)
    assert (code, said) == (0, "")
    text = (tmp_path / "cnnvis.toml").read_text()
    assert text == "[saliency]\nbackprop = 'guided'\n\n[png]\ncmap = \"hot\"\n"


@pytest.mark.parametrize("columns", quick_are(["0", "abc"], ["0", "1", "abc", "-3", "9" * 12]))
def test_no_width_hides_what_is_said(columns: str, tmp_path: Path) -> None:
    code, out, said = _ended(WRONG, "", tmp_path, COLUMNS=columns, FORCE_COLOR="1")
    assert code == 2 and "there is no technique named" in said
    code, out, said = _ended(LIST, "", tmp_path, COLUMNS=columns)
    assert code == 0 and "saliency" in out


@pytest.mark.parametrize(
    "state, variables, sentence",
    [
        ("ulimit -v 1500000; CNNVIS", {}, "TensorFlow alone needs more than 2.5"),
        (
            "CNNVIS",
            {"TF_NUM_INTRAOP_THREADS": "abc"},
            "TF_NUM_INTRAOP_THREADS of the environment",
        ),
        (
            "CNNVIS",
            {"TF_NUM_INTEROP_THREADS": "-5"},
            "TF_NUM_INTEROP_THREADS of the environment",
        ),
        ("CNNVIS", {"SOURCE_DATE_EPOCH": "abc"}, "SOURCE_DATE_EPOCH is 'abc'"),
        ("CNNVIS", {"SOURCE_DATE_EPOCH": "9" * 20}, "SOURCE_DATE_EPOCH is '9999"),
    ],
)
@pytest.mark.slow
def test_limits_and_variables_that_let_nothing_be_computed(
    state: str, variables: dict[str, str], sentence: str, tmp_path: Path
) -> None:
    code, _, said = _ended(RUN, state, tmp_path, **variables)
    assert code == 2
    assert sentence in said
    assert said.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_few_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    """The system refuses root no thread, so another number of them is asked of it here."""
    resource = pytest.importorskip("resource")
    started: list[threading.Thread] = []
    start = threading.Thread.start

    def refuse(thread: threading.Thread) -> None:
        if len(started) == 5:
            raise RuntimeError("can't start new thread")
        start(thread)
        started.append(thread)

    monkeypatch.setattr(threading.Thread, "start", refuse)
    assert host.can_start_threads()  # the limit is far away, and none is tried
    assert not started
    monkeypatch.setattr(resource, "getrlimit", lambda which: (20, 20))
    assert not host.can_start_threads()
    for thread in started:
        thread.join(timeout=10)
        assert not thread.is_alive()


@pytest.mark.slow
def test_few_descriptors(tmp_path: Path) -> None:
    code, _, said = _ended(RUN, "ulimit -n 12; CNNVIS", tmp_path)
    assert (code, "ulimit -n shows the limit" in said) in [(2, True), (0, False)]
    assert "bug" not in said
