"""Command: every case in a process of its own, then the judgement of the checks and the page."""

from __future__ import annotations

import argparse
import dataclasses
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from benchmarks.truth import grids, lesions, motifs, sweeps, tris
from benchmarks.truth.case import QUICK, Scale, one_thread, write_json

SUITES: dict[str, Any] = {
    "sweeps": sweeps,
    "grids": grids,
    "motifs": motifs,
    "lesions": lesions,
    "tris": tris,
}


def titles() -> Iterator[str]:
    """Every case: its suite and its name."""
    for suite, module in SUITES.items():
        names = module.NETWORKS if suite == "sweeps" else module.NAMES
        yield from (f"{suite}/{name}" for name in names)


def explain(title: str, cache: Path, scale: Scale) -> None:
    """Score all methods on a case; those that are in the cache are not run again."""
    one_thread()
    import cnnvis
    from benchmarks.truth import methods

    suite, _, name = title.partition("/")
    methods.load_controls()
    case = SUITES[suite].case(name, cache, scale)
    folder = cache / title.replace("/", "-").replace(" ", "-")
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / "case.json", {
        "suite": suite, "name": name, "main": case.main, "right": case.right,
        "chance": case.chance, "facts": dict(case.facts),
        "images": case.explained.tolist(), "checked": min(scale.checked, len(case.explained)),
        "parameters": int(case.network.count_params()),
    })  # fmt: skip
    model = cnnvis.load_model(case.network)
    for method in methods.METHODS:
        path = folder / method.file_name
        if path.exists() or not method.is_installed:
            continue
        answer = methods.run(case, method, model, scale)
        write_json(path, answer)
        said = (
            answer.get("left out")
            or f"{sum(answer['scores'][case.main]) / len(answer['scores'][case.main]):.3f}"
        )
        print(f"{title}: {method.name}: {said} ({answer.get('seconds', 0)} s)", flush=True)


def results(cache: Path) -> list[dict[str, Any]]:
    """Read the cases of a cache, with the answers of all methods that ran; none without its controls."""
    from benchmarks.truth.methods import METHODS

    controls = {method.name for method in METHODS if method.is_control}
    found = []
    for title in titles():
        folder = cache / title.replace("/", "-").replace(" ", "-")
        if not (folder / "case.json").exists():
            continue
        case = json.loads((folder / "case.json").read_text(encoding="utf-8"))
        paths = [folder / method.file_name for method in METHODS]
        case["methods"] = [
            json.loads(path.read_text(encoding="utf-8")) for path in paths if path.exists()
        ]
        if controls <= {one["method"] for one in case["methods"]}:
            found.append(case)
    return found


def explain_all(options: argparse.Namespace, cache: Path, scale: Scale) -> None:
    """Start a process for each case, some at once; one that fails does not end the others."""
    wanted = [
        title for title in titles() if not options.only or title.split("/")[0] in options.only
    ]
    if any(title.startswith("sweeps") for title in wanted):
        sweeps.data(cache, scale)  # once, before three processes would
    command = [sys.executable, "-m", "benchmarks.truth", "--cache", str(options.cache)]
    command += ["--quick"] if options.quick else []
    command += ["--most", str(options.most)] if options.most else []

    def one(title: str) -> tuple[str, int]:
        return title, subprocess.run([*command, "--case", title], check=False).returncode

    with ThreadPoolExecutor(options.processes) as pool:
        failed = [title for title, code in pool.map(one, wanted) if code]
    if failed:
        raise SystemExit(
            f"these cases failed, and begin again at what is missing: {', '.join(failed)}"
        )


def main() -> None:
    """Read the options, and do what is not in the cache yet."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.truth", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a few images, to see that all works")
    parser.add_argument("--most", type=int, help="images of a network; a third of them is checked")
    parser.add_argument(
        "--cache", type=Path, default=Path("results/truth"), help="where results are kept"
    )
    parser.add_argument(
        "--out", type=Path, default=Path(__file__).parents[1], help="where the page goes"
    )
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--only", nargs="+", choices=list(SUITES), help="some suites")
    parser.add_argument("--case", help=argparse.SUPPRESS)
    options = parser.parse_args()
    scale = dataclasses.replace(QUICK if options.quick else Scale(), processes=options.processes)
    if options.most:
        scale = scale.with_most(options.most)
    options.out.mkdir(parents=True, exist_ok=True)
    cache = options.cache / ("quick" if options.quick else str(options.most or "full"))
    cache.mkdir(parents=True, exist_ok=True)
    if options.case:
        explain(options.case, cache, scale)
        return
    begin = time.perf_counter()
    explain_all(options, cache, scale)
    from benchmarks.truth import report

    report.write(results(cache), options.out, quick=options.quick)
    print(f"done in {(time.perf_counter() - begin) / 60:.0f} minutes")


if __name__ == "__main__":
    main()
