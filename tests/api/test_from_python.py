"""Calls of a person's own code: what is logged of them, and when their progress is shown."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

import cnnvis
from cnnvis.api import from_python
from cnnvis.cli.main import main
from cnnvis.drawing import progress
from cnnvis.registry.discovery import Registry, using
from cnnvis.reporting import progress as progress_of

FLAT = '''
import cnnvis, numpy

@cnnvis.technique("flat")
def flat(model, samples):
    """Ones, whatever the network is."""
    return cnnvis.Explanation(numpy.ones(samples.x.shape[:-1], "float32"), samples)
'''


@pytest.fixture(autouse=True)
def fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(from_python, "_logged", {})
    monkeypatch.setattr(progress, "_asked", [])


def logged(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [one.getMessage() for one in caplog.records if one.name == "cnnvis"]


def test_each_note_is_logged_once(
    classifier: Any, images: Any, caplog: pytest.LogCaptureFixture
) -> None:
    explanation = cnnvis.run("grad-cam", classifier, data=images)
    said = logged(caplog)
    assert explanation.notes and set(said) == set(explanation.notes)
    assert {one.levelno for one in caplog.records} == {logging.WARNING}
    cnnvis.chain(classifier, ["grad-cam", ("average", {"by": "all"})], data=images)
    assert sorted(logged(caplog)) == sorted(set(logged(caplog)))
    assert said == logged(caplog)[: len(said)]


def test_failed_checks_and_images_are_logged(
    classifier: Any, images: Any, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    (tmp_path / "flat.py").write_text(FLAT)
    images = images.copy()
    images[3, 0, 0, 0] = float("nan")
    with using(Registry()):
        cnnvis.load_plugin(tmp_path / "flat.py")
        cnnvis.run("flat", classifier, data=images, checks="quick")
    assert any(one.startswith("flat: the check sanity failed: ") for one in logged(caplog))
    assert any(one.startswith("image 3 was left out: ") for one in logged(caplog))


def test_the_command_line_logs_nothing(caplog: pytest.LogCaptureFixture, tmp_path: Path) -> None:
    with pytest.raises(SystemExit) as end:
        main(["run", "grad-cam", "demo", "-r", "numpy", "-o", str(tmp_path / "maps.npz")])
    assert not end.value.code and logged(caplog) == []


@pytest.fixture
def often(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(progress, "EVERY", 0.05)
    yield


def test_where_there_are_no_bars_a_line_comes_from_time_to_time(often: None) -> None:
    console = Console(record=True, width=100, force_terminal=False)
    with progress.bars(console), progress_of("computing [red]", 2000) as advance:
        advance(500)
        with progress_of("loading"):  # of which nothing is said: it is a part
            time.sleep(0.3)
    first, *_ = lines = console.export_text().splitlines()
    assert first.startswith("computing [red]: 500 of 2,000 (25%), 0:00:0") and first.endswith(
        "left"
    )
    assert len(lines) > 1 and not any("loading" in line for line in lines)
    time.sleep(0.1)
    assert console.export_text() == ""  # the task is done
    with progress.bars(console), progress_of("computing", 8) as advance:
        with progress_of("on workers", 4), progress_of("waiting for workers"):
            time.sleep(0.1)
        advance(4)
        with progress_of("drawing", 2):
            time.sleep(0.1)
    lines = console.export_text().splitlines()
    assert lines[0] == "computing: 0 of 8 (0%); on workers: 0 of 4 (0%); waiting for workers"
    assert lines[-1].startswith("computing: 4 of 8 (50%), ") and "drawing" not in lines[-1]


@pytest.mark.slow
def test_calls_show_their_progress_only_if_asked(
    often: None, capsys: pytest.CaptureFixture[str]
) -> None:
    @from_python.from_python
    def slow() -> None:
        with progress_of("counting", 10) as advance:
            advance(1)
            time.sleep(0.3)

    slow()
    assert capsys.readouterr().err == ""
    cnnvis.show_progress()
    slow()
    assert "counting: 1 of 10 (10%)" in capsys.readouterr().err
    cnnvis.show_progress(False)
    slow()
    assert capsys.readouterr().err == ""
