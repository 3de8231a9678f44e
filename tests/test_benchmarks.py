"""Benchmarks of known answers: their scores and statistics, on answers that are known in turn."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import cnnvis
from cnnvis.registry.discovery import Registry

ROOT = Path(__file__).parents[1]
sys.path.append(str(ROOT))

from benchmarks import gpu  # noqa: E402
from benchmarks.truth import checks, lesions, motifs, scores, statistics, sweeps, tris  # noqa: E402
from benchmarks.truth.methods import METHODS  # noqa: E402

SCORES = [
    scores.average_precision,
    scores.hit,
    scores.top_precision,
    scores.share_inside,
    scores.earth_mover,
]
SHAPE = (8, 8)


def planted(rng: np.random.Generator) -> np.ndarray:
    truth = np.zeros(SHAPE, bool)
    truth.flat[rng.permutation(64)[:8]] = True
    return truth


@pytest.mark.parametrize("score", SCORES)
def test_the_true_map_has_the_best_score(score):
    truth = planted(np.random.default_rng(0))
    assert score(truth.astype(float), truth) == pytest.approx(1)


@pytest.mark.parametrize("score", [one for one in SCORES if one is not scores.earth_mover])
def test_random_maps_are_near_chance_and_the_opposite_map_is_below(score):
    rng = np.random.default_rng(0)
    found = []
    for _ in range(1000):
        truth = planted(rng)
        found.append(score(rng.random(SHAPE), truth))
        assert score(1 - truth.astype(float), truth) <= 1 / 8
    # Of so few places, the average precision of random values lies above their share.
    assert np.mean(found) == pytest.approx(
        1 / 8, abs=0.08 if score is scores.average_precision else 0.03
    )


@pytest.mark.parametrize("score", SCORES[:2] + SCORES[3:4])
def test_a_map_without_differences_gets_what_chance_gets(score):
    truth = planted(np.random.default_rng(0))
    assert score(np.ones(SHAPE), truth) == pytest.approx(1 / 8)


def test_ties_share_what_is_left():
    truth = np.array([[True, True, False, False]])
    assert scores.top_precision(np.array([[1.0, 1.0, 1.0, 0.0]]), truth) == pytest.approx(2 / 3)
    assert scores.top_precision(np.array([[1.0, 0.0, 0.0, 0.0]]), truth) == pytest.approx(1 / 2)
    assert scores.hit(np.array([[2.0, 0.0, 2.0, 0.0]]), truth) == pytest.approx(1 / 2)


def test_the_earth_mover_knows_distances():
    truth, near, far = (np.zeros(SHAPE, bool) for _ in range(3))
    truth[0, 0] = near[0, 1] = far[7, 7] = True
    largest = np.hypot(7, 7)
    assert scores.earth_mover(near.astype(float), truth) == pytest.approx(1 - 1 / largest)
    assert scores.earth_mover(far.astype(float), truth) == pytest.approx(0, abs=1e-9)


def test_a_planted_trough_is_the_brightest_column_of_the_inverted_input():
    x = np.ones((16, 64))
    x[:, 38:45] = 0
    profile = scores.smooth_profile(1 - x)
    assert scores.columns_off(profile, 41, 3) == 1
    assert scores.columns_off(profile, 20, 3) == 0
    assert scores.columns_off(np.ones(64), 32, 3) == pytest.approx(7 / 64)


def test_ranks():
    assert statistics.rank_correlation([1, 2, 3, 4], [10, 20, 30, 1000]) == pytest.approx(1)
    assert statistics.rank_correlation([1, 2, 3], [3, 2, 1]) == pytest.approx(-1)
    assert statistics.rank_correlation([1, 2, np.nan, 3], [1, 3, 0, 2]) == pytest.approx(0.5)
    assert np.isnan(statistics.rank_correlation([1, 1, 1], [1, 2, 3]))
    assert np.isnan(statistics.rank_correlation([1, 2], [1, 2]))


def test_methods_are_parted_image_by_image():
    rng = np.random.default_rng(0)
    image = rng.normal(size=200)  # how hard an image is, much more than methods differ
    values = np.stack(
        [image, image + 0.1 + 0.05 * rng.normal(size=200), rng.permutation(image)], axis=1
    )
    found = statistics.parted(values, np.repeat([0, 1], 100), 0.99)
    assert found[1, 0] == 1 and found[0, 1] == -1
    assert found[2, 0] == found[0, 2] == 0


def test_a_difference_of_shares():
    found = statistics.difference_of_shares(np.array([[9, 10, 1, 10]] * 5))
    assert found is not None and found.low == found.mean == pytest.approx(0.8)
    assert statistics.difference_of_shares(np.array([[9, 10, 0, 0]] * 5)) is None


def test_the_rule_asks_whether_failed_maps_are_wrong():
    def one(case: int, outcome: str, right: bool) -> checks.Judged:
        return checks.Judged(
            f"suite/{case}", "suite", "m", False, float(right), right, np.array([right] * 4),
            {"srg": outcome}, {}, {}, np.ones(4),
        )  # fmt: skip

    fits = [
        one(i, outcome, outcome == "passed") for i in range(10) for outcome in ("passed", "failed")
    ]
    assert checks.earns(fits, "srg") == "verdict"
    assert checks.earns(fits[:8], "srg") == "undecided"
    turned = [
        one(i, outcome, outcome == "failed") for i in range(10) for outcome in ("passed", "failed")
    ]
    assert checks.earns(turned, "srg") == "information"


def test_what_is_planted_is_where_it_is_said_to_be():
    x, y, truth = motifs.sequences(30, 0)
    assert x.shape == (30, 200, 4) and np.all(x.sum(axis=-1) == 1)
    assert truth.sum(axis=1).tolist() == [8 * (one > 0) for one in y]
    letters = "".join("ACGT"[one] for one in x[1][truth[1]].argmax(axis=-1))
    assert sum(a == b for a, b in zip(letters, motifs.MOTIFS[0], strict=True)) >= 5
    x, y, truth = lesions.volumes(4, 0)
    assert [bool(one.any()) for one in truth] == [False, True, False, True]
    x, y, truth = tris.images("translations_rotations", "white", 40, 0)
    assert set(truth.sum(axis=(1, 2)).tolist()) == {4}
    x, y, truth = tris.images("xor", "correlated", 40, 0)
    assert set(truth.sum(axis=(1, 2)).tolist()) == {8} and sorted(set(y.tolist())) == [0, 1]


def test_every_technique_that_gives_maps_of_images_is_scored() -> None:
    """Those of keras-vis are cnnvis's own, made in its way."""
    given = {one.name for one in Registry(only=[]) if one.gives_maps_of_images}
    theirs = {name for name in given if name.startswith("keras-vis:")}
    assert given - theirs <= {method.technique for method in METHODS}
    kept = [method.file_name for method in METHODS]
    assert len({*kept, "case.json"}) == len(kept) + 1


def test_the_page_says_when_and_by_which_clock_rows_were_measured() -> None:
    rows = peers("rows")
    way = {"day": "2026-01-02", "clock": "processor", "rounds": 3, "share": 0.25, "machine": "a PC"}
    said = rows.how_measured(
        {"small": {"lime": way, "lrp": way}, "volume": {"lrp": {**way, "day": "2026-01-03"}}}
    )
    assert said == [
        "- 2026-01-02, a PC, 3 rounds, processor time, one thread for each operation, 25% of the images: lime, lrp on small.",
        "- 2026-01-03, a PC, 3 rounds, processor time, one thread for each operation, 25% of the images: lrp on volume.",
    ]


def test_the_page_says_which_libraries_failed_and_why() -> None:
    rows = peers("rows")
    found = {
        "a/small.h5": {
            "lrp": {"cnnvis": [1.0], "captum": f"{rows.FAILED}TypeError: no rule"},
            "rise": {"cnnvis": [1.0], "captum": "no such method"},
        },
        "volume": {"lrp": {"captum": f"{rows.FAILED}TypeError: no rule"}},
    }
    assert (
        rows.failures(found)[-1] == "- captum, lrp on small.h5, lrp on volume: TypeError: no rule"
    )
    assert rows.failures({"volume": {"rise": {"captum": "no such method"}}}) == []


def test_no_library_is_missing_from_the_table_for_want_of_a_module() -> None:
    assert "ModuleNotFoundError" not in (ROOT / "benchmarks" / "peers.json").read_text()


@pytest.mark.parametrize(
    ("space", "cells"), [((13,), (4,)), ((68, 32), (4, 4)), ((6, 5, 4), (3, 2, 2))]
)
def test_libraries_remove_the_same_parts(space: tuple[int, ...], cells: tuple[int, ...]) -> None:
    """Those of cnnvis are of equal length along each axis, where that fits."""
    units = peers("shared").units(space, cells)
    assert units.shape == space and sorted(set(units.ravel().tolist())) == [*range(np.prod(cells))]
    if space == (68, 32):
        samples = cnnvis.Samples(np.zeros((1, *space, 1), np.float32))
        np.testing.assert_array_equal(cnnvis.units_of(samples, "grid:4x4"), units)


def peers(name: str) -> Any:
    """A module of benchmarks/peers, which are scripts beside each other and no package."""
    path = ROOT / "benchmarks" / "peers" / f"{name}.py"
    specification = importlib.util.spec_from_file_location(f"peers_{name}", path)
    assert specification is not None and specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


def test_importing_does_not_train_or_load_tensorflow():
    lines = "import benchmarks.truth.__main__, benchmarks.truth.report, sys; print('tensorflow' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", lines], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "False"
    assert sweeps.NEAR == 3


def test_the_page_of_trust_has_the_figures_of_the_scorecard() -> None:
    page = " ".join((ROOT / "docs" / "trust.md").read_text().split())
    scorecard = (ROOT / "benchmarks" / "truth.md").read_text()
    order = re.search(
        r"`srg` goes .* correlation (0\.\d+ \(0\.\d+ to 0\.\d+\)), .* a method (0\.\d+)\.", page
    )
    wrong = re.search(r"Of (\d+) that failed, (\d+) were right", page)
    other = re.search(r"Of (\d+) methods that failed `randomization`, (\d+) were right", page)
    blank = re.search(r"of (\d+) methods whose maps failed on a network, none was right", page)
    assert order and wrong and other and blank
    lines = {
        name: next(line for line in scorecard.splitlines() if line.startswith(f"- `{name}`: its"))
        for name in ("srg", "randomization")
    }
    assert f"rank correlation {order[1]};" in lines["srg"]
    assert f"`srg` and the true score have the rank correlation {order[2]} " in scorecard
    assert f" {wrong[2]} of {wrong[1]} that failed are right" in lines["srg"]
    assert f" {other[2]} of {other[1]} that failed are right" in lines["randomization"]
    assert f"| `sanity` | failed | {blank[1]} | 0 (0%) |" in scorecard


def test_a_process_that_takes_too_long_on_a_gpu_is_a_row(tmp_path: Path) -> None:
    python = tmp_path / "python"
    python.write_text(
        "#!/bin/sh\necho '{\"ready\": true}'\necho '{\"rate\": 5.0}'\nexec sleep 60\n"
    )
    python.chmod(0o700)
    worker = gpu.Worker(gpu.Job("bare", "small"), {False: str(python)}, tmp_path / "log")
    try:
        first, last = worker.rows({}, time.monotonic() + 1)
    finally:
        worker.end()
    assert first == {"rate": 5.0} and last["late"]


def test_the_page_of_a_gpu() -> None:
    jobs = gpu.jobs(gpu.NETWORKS, tuple(gpu.OF_LIBRARY))
    assert len(jobs) == len(set(jobs)) and {one.library for one in jobs} == set(gpu.OF_LIBRARY)
    found: dict[str, Any] = {
        "day": "2026-01-01", "quick": False, "budget": 60.0, "versions": {"keras": "3"},
        "device": {}, "networks": {}, "rows": [], "left_out": [["captum", "VGG16"]],
    }  # fmt: skip
    peak = {"device": "a GPU", "tf32": True, "peak": {"float32": 4e14, "float16": 8e14}}
    size = {"method": "saliency", "batch": 128, "first": 3.0, "memory": 5e9}
    off = {"off": 0.02, "most_off": 0.2, "ranks": 0.99, "least_ranks": 0.9}
    job = gpu.Job("bare", "ResNet50")
    for row in (
        {"operations": 8e9, **peak}, {**size, "rate": 2000.0, "compiled": "graph"}, {"best": 128},
    ):  # fmt: skip
        gpu.note(job, row, found)
    job = gpu.Job("cnnvis", "ResNet50")
    for row in (
        {**size, "rate": 2500.0}, {**size, "rate": 1000.0, "batch": None},
        {**size, "rate": 5000.0, "precision": "mixed", **off}, {"lacks": "its time was over"},
    ):  # fmt: skip
        gpu.note(job, row, found)
    page = gpu.page(found)
    for line in (
        "| ResNet50 | saliency | 128 | 2,500 | 1,000 | 1.25 |  |  |  |  |  |",
        # 16 GFLOP an image, there and back
        "| ResNet50 | 16 | 2,500 | 10.0% | 2,000 | 8.0% | 5,000 | 10.0% |",
        "| ResNet50 | mixed | 5,000 | 2.00 | 0.02 (0.2) | 0.9900 (0.9000) | yes |",
        "| cnnvis | ResNet50 | all that was left |  | its time was over |",
        "Left out, since 60 seconds were over: captum on VGG16.",
    ):
        assert line in page.splitlines(), line
