"""What fuzzing found stays mended: its corpus, and some thousand mutations of it, without any tool."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from quick import quick_at

ROOT = Path(__file__).parents[1]
sys.path.append(str(ROOT))

from fuzz.targets import TARGETS, kept, mutations  # noqa: E402


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("count", quick_at([0], [500, 1500, 10_000]))
def test_nothing_but_a_refusal_comes_of_any_file(
    target: str, count: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    for data in kept(target):
        TARGETS[target](data)
    for index, data in enumerate(mutations(target, count, seed=count)):
        try:
            TARGETS[target](data)
        except Exception as error:
            raise AssertionError(f"mutation {index} of {target}: {data!r}") from error
    assert list(tmp_path.iterdir()) == []
