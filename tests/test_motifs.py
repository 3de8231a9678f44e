"""Planted motifs are found again at their places in the genome, as other libraries read and judge it.

The page on genomes plants them, trains the network and chooses method and threshold; here the same results are held
against scikit-learn and bioframe.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from test_docs import blocks

import cnnvis

LEAST = {"occlusion": (0.9, 0.95, 0.85), "deeplift": (0.9, 0.9, 0.75), "gradient-times-input": (0.9, 0.9, 0.75)}  # fmt: skip
"""Of each method: average precision, share of the hits' bases in motifs, share of the motifs' bases in hits."""


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:::bioframe")
def test_hits_in_a_genome_are_the_planted_motifs(
    keras: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bioframe = pytest.importorskip("bioframe", reason="bioframe is not installed")
    judge = pytest.importorskip("sklearn.metrics", reason="scikit-learn is not installed")
    pytest.importorskip("pyfaidx", reason="pyfaidx is not installed")
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {"keras": keras, "layers": keras.layers, "np": np, "Path": Path}
    own = [one.text for one in blocks("genomes.md") if one.language == "python"]
    for mark in ("def chromosome", "train, choose, report"):
        exec(next(text for text in own if mark in text), names)

    motifs = bioframe.read_table("motifs.bed", schema="bed3").query("chrom == 'chr3'")
    for name, (precise, inside, covered) in LEAST.items():
        options = {"patch": (1,), "stride": (1,)} if name == "occlusion" else {}
        (maps,) = cnnvis.chain(
            "factor.keras", [(name, options), ("average-precision", {"masks": "motifs.bed"})],
            data=names["report"], filter="bound", images="label=bound", checks="none",
        )  # fmt: skip
        values = maps.array.sum(axis=-1) if "channel" in maps.axes else maps.array
        assert maps.places is not None
        for row in range(0, len(maps), 9):
            bases, _ = maps.places.intervals(row)
            starts, ends = motifs["start"].to_numpy(), motifs["end"].to_numpy()
            truth = ((starts <= bases[:, None]) & (bases[:, None] < ends)).any(axis=1)
            expected = judge.average_precision_score(truth, values[row])
            assert maps.measures["average-precision"][row] == pytest.approx(expected)
            assert maps.measures["average-precision_chance"][row] == truth.mean() == 0.08
        assert maps.measures["average-precision"].mean() > precise

        maps.save(f"{name}.bed", at=0.5, over="sum")
        regions = bioframe.read_table(f"{name}.bed", schema="bed5")
        assert bioframe.is_bedframe(regions) and set(regions["chrom"]) == {"chr3"}
        found = regions[regions["name"].str.endswith("+")]
        assert len(bioframe.merge(found)) == len(found), "regions of a track overlap"
        common = bioframe.coverage(found, motifs)["coverage"].sum()
        assert common / (found["end"] - found["start"]).sum() > inside
        assert common / (motifs["end"] - motifs["start"]).sum() > covered
