"""The study of docs/introgression.md: its commands do what the page says, on a few windows simulated here."""

from __future__ import annotations

import csv
import importlib
import re
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import cnnvis

ROOT = Path(__file__).parents[1]
SCRIPT = ROOT / "examples" / "introgression.py"
PAGE = ROOT / "docs" / "introgression.md"
LENGTH = 200_000  # bases of a window
NEW = 24


def scripted(*words: object) -> str:
    done = subprocess.run(
        [sys.executable, SCRIPT, *map(str, words)], capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.slow
def test_the_donor_is_at_selected_sites(monkeypatch: pytest.MonkeyPatch) -> None:
    """By the ancestors of each haplotype of the recipient: were they in the donor at the introgression?"""
    pytest.importorskip("msprime", reason="msprime is not installed")
    monkeypatch.syspath_prepend(str(SCRIPT.parent))
    introgression = importlib.import_module("introgression")
    shares: dict[int, list[float]] = {0: [], 1: []}
    for index in range(24):
        trees, site = introgression.simulated(7, index)
        tree, names = trees.at(site), [one.metadata["name"] for one in trees.populations()]
        age = max(trees.node(sample).time for sample in trees.samples())  # of the donor's samples
        found = []
        for sample in trees.samples(names.index("recipient")):
            node = sample
            while trees.node(node).time < age:
                node = tree.parent(node)
            at_introgression = trees.node(node)
            assert at_introgression.time == age
            found.append(names[at_introgression.population] == "donor")
        assert len(found) == 40
        shares[index % 2].append(sum(found) / 40)
    assert (
        min(shares[1]) > 0.4 and max(shares[1]) > 0.9
    )  # also where all haplotypes have the allele
    assert sum(shares[0]) / 12 < 0.1


@pytest.mark.slow
def test_the_study_goes_from_a_vcf_file_to_places_in_the_genome(
    command: Callable[..., subprocess.CompletedProcess[str]],
    typed: Callable[..., subprocess.CompletedProcess[str]],
    tmp_path: Path,
) -> None:
    pybigtools = pytest.importorskip("pybigtools", reason="pybigtools is not installed")
    for library in ("msprime", "cyvcf2"):
        pytest.importorskip(library, reason=f"{library} is not installed")
    scripted("make", "--learn", 180, "--choose", 0, "--new", NEW, "--out", tmp_path)
    assert (tmp_path / "cnnvis.toml").read_text() == SCRIPT.with_suffix(".toml").read_text()
    for line in re.findall(r"^cnnvis (.+)$", PAGE.read_text(), re.MULTILINE):
        # A network of so few windows is sure of none.
        words = shlex.split(line.replace("p>0.99", "p>0.5"))
        is_of_the_study = words[:2] == ["chain", "--name"] and len(words) == 3
        done = command(*words, cwd=tmp_path) if is_of_the_study else typed(*words)
        assert done.returncode == 0, done.stderr

    # What was found has the populations of the panel, and the classes of the BED file.
    maps = cnnvis.Explanation.load(tmp_path / "maps.npz")
    assert maps.maps.shape == (NEW, 64, 64) and {str(one) for one in maps.targets} == {
        "output[adaptive]"
    }
    assert maps.coordinates["row"].values == (*["donor"] * 4, *["recipient"] * 40, *["outgroup"] * 20)  # fmt: skip
    assert maps.places.window(3) == f"chr1:{3 * LENGTH + 1:,}-{4 * LENGTH:,}"
    for picture in ("means.png", "difference.png"):
        assert (tmp_path / picture).stat().st_size > 10_000
    with (tmp_path / "difference.tsv").open() as file:
        regions = [*csv.DictReader(file, delimiter="\t")]
    for one in regions:  # of so few windows there may be none
        assert float(one.get("p", one.get("smallest p"))) <= (0.05 if "p" in one else 1)

    # Another program takes the regions, and gives them back.
    lines = [line.split("\t") for line in (tmp_path / "regions.bed").read_text().splitlines()]
    every = [(contig, int(start), int(end), *rest) for contig, start, end, *rest in lines]
    size = {"chr1": NEW * LENGTH}
    pybigtools.open(str(tmp_path / "regions.bb"), "w").write(
        size, (("chr1", start, end, "\t".join(rest)) for _, start, end, *rest in every)
    )
    browser = pybigtools.open(str(tmp_path / "regions.bb"))
    assert browser.chroms() == size
    assert [*browser.records("chr1")] == [tuple(one[1:]) for one in every]  # sorted, or it refuses
    covered = [0] * NEW
    for _, start, end, name, _ in every:
        number = start // LENGTH
        assert start < end <= (number + 1) * LENGTH  # inside its window, and so of its contig
        assert name == f"image{number}_{'adaptive' if number % 2 else 'neutral'}+"
        covered[number] += end - start
    assert sum(covered) > 0 and max(covered) <= 6 / 64 * LENGTH  # a tenth of the columns

    # The share that the script gives is that of an independent look at each selected site.
    hits = 0
    for line in (tmp_path / "new-sites.bed").read_text().splitlines():
        site = int(line.split("\t")[1])
        begin = site // LENGTH * LENGTH
        own = [*browser.records("chr1", begin, begin + LENGTH)]
        first = max(own, key=lambda one: int(one[3]), default=(0, 0))
        hits += first[0] <= site < first[1]
    said = scripted("judge", "--out", tmp_path)
    assert said.startswith(f"{hits / (NEW // 2):.3f} (")
