"""Maps are those of other libraries, or differ for a reason that is known and shown."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

sys.path.append(str(Path(__file__).parents[2]))

from benchmarks import environments
from cnnvis.registry.discovery import registry
from references import comparing, page
from references.rows import ROWS, Row

FORMULA = 1e-3
"""Largest difference, as a share of the largest value, of a library's map and its formula."""


@pytest.mark.slow
def test_every_row_of_the_table_holds(tmp_path: Path) -> None:
    """In one test, since the maps of all rows are made together."""
    python = _python()
    comparison = comparing.Comparison(tmp_path, python)
    for network in comparison.networks:
        np.testing.assert_allclose(*comparison.outputs(network), rtol=1e-5, atol=1e-5)
    wrong = _wrong(comparison, comparing.measured(comparison), page.versions(python))
    assert not wrong, "\n".join(wrong)


def _wrong(comparison: comparing.Comparison, measured: page.Measured, versions: str) -> list[str]:
    """Return what does not hold, in sentences."""
    wrong = [
        f"{row.technique} beside {row.library}'s {row.theirs} on {network}: {one}"
        for row, found in measured.items()
        for network, one in found.items()
        if not _holds(row, one)
    ]
    wrong += [
        f"{row.library}'s {row.theirs} on {network} is not as explained: {one}"
        for row in measured
        if row.explained
        for network in row.networks
        if (one := comparison.of_formula(row, network)).difference > FORMULA
    ]
    wrong += page.differences(page.text(measured, versions), page.PAGE.read_text(encoding="utf-8"))
    return wrong + [one for row in measured for one in _wrongly_shown(row, measured[row])]


def _python() -> Path:
    try:
        return environments.made(environments.TORCH)
    except subprocess.CalledProcessError:
        if os.environ.get("CI"):
            raise
        pytest.skip("pip could not install the libraries: is there a package index?")


def _holds(row: Row, found: comparing.Likeness) -> bool:
    least, most = row.correlation
    is_near = row.within is None or found.difference <= row.within
    is_other = row.within is not None or found.difference > 0.01
    return is_near and is_other and least <= found.correlation <= most + 1e-9


def _wrongly_shown(row: Row, found: Mapping[str, comparing.Likeness]) -> list[str]:
    """Return what `cnnvis show` says otherwise of a library whose formula differs."""
    if row.within is not None:
        return []
    told = " ".join(registry().get("technique", row.technique).description.split())
    of_library = re.escape(row.library) + ".{0,300}?"
    numbers = re.findall(of_library + r"\(r (-?\d\.\d\d)(?:(?: to|, and) (-?\d\.\d\d))?", told)
    expected = sorted(one.correlation for one in found.values())
    for pair in numbers:
        shown = sorted(float(one or pair[0]) for one in pair)
        if row.by_chance or np.allclose(shown, [expected[0], expected[-1]], atol=0.02):
            return []
    return [f"cnnvis show {row.technique} says {numbers} of {row.library}: {expected}"]


def test_the_page_has_every_row() -> None:
    text = page.PAGE.read_text()
    for row in ROWS:
        assert row.why or row.within is not None, row.reference
        assert f"| {row.library}: {row.theirs} |" in text, row.reference
