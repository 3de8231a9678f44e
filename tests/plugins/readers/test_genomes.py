"""Images of genomes: sequences around intervals, and genotypes in windows, each at its own place."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import cnnvis
from cnnvis.reporting import notes_kept

SEQUENCE = "ACGTTGCANNacgtuGGGGC"


@pytest.fixture
def genome(tmp_path: Path) -> Path:
    pytest.importorskip("pyfaidx")
    path = tmp_path / "genome.fa"
    lines = [SEQUENCE[i : i + 7] for i in range(0, len(SEQUENCE), 7)]
    path.write_text("\n".join([">chr1 of a test", *lines, ">chr2", "GGGGG", ""]))
    return path


def _bed(folder: Path, *lines: str) -> str:
    path = folder / "peaks.bed"
    path.write_text("".join(f"{line}\n" for line in lines))
    return str(path)


def _letters(image: Any) -> str:
    hot = image if image.shape[-1] == 4 else image.T
    return "".join("ACGT"[row.argmax()] if row.any() else "N" for row in hot)


def test_intervals_of_a_genome(genome: Path, tmp_path: Path) -> None:
    bed = _bed(
        tmp_path, "track name=x", "chr1\t0\t6\tone\t0\t+", "chr1\t4\t10\ttwo\t5\t-",
        "chr1\t10\t16\tthree\t9\t.",
    )  # fmt: skip
    samples = cnnvis.read_samples(genome, intervals=bed, label=4)
    with notes_kept() as notes:
        assert [_letters(one) for one in samples.x] == ["ACGTTG", "NNTGCA", "ACGTTG"]
    assert any("unknown, such as N" in one for one in notes)
    assert samples.class_names == ("one", "three", "two") and samples.label_name(1) == "two"
    places = samples.places
    assert places is not None and dict(places.sizes) == {"chr1": 20, "chr2": 5}
    assert places.window(1) == "chr1:5-10"
    assert [places.at(1, i) for i in (0, 5)] == ["chr1:10", "chr1:5"]
    assert samples.coordinates["channel"].values == tuple("ACGT")
    # In the genome's order of bases, what is read backwards is the complement.
    base = {"A": "T", "C": "G", "G": "C", "T": "A", "N": "N"}
    starts, _ = places.intervals(1)
    for letter, start in zip(_letters(samples.x[1]), starts, strict=True):
        assert base[letter] == SEQUENCE.upper()[start]
    first = cnnvis.read_samples(genome, intervals=bed, channels="first", label=5)
    assert first.x.shape == (3, 4, 6) and first.channel_axis == 1 and first.labels is not None
    np.testing.assert_array_equal(first.x.transpose(0, 2, 1), samples.x)
    assert first.labels.tolist() == [0, 5, 9] and first.names == ("one", "two", "three")
    assert not list(tmp_path.glob("*.fai"))


def test_widths(genome: Path, tmp_path: Path) -> None:
    bed = _bed(tmp_path, "chr1\t4\t10", "chr1\t6\t11" + "\t." * 6 + "\t0")
    with pytest.raises(cnnvis.UserError, match=r"have 5 to 6 bases.*--fasta.width N"):
        cnnvis.read_samples(genome, intervals=bed)
    samples = cnnvis.read_samples(genome, intervals=bed, width=4)
    assert [_letters(one) for one in samples.x] == ["GCAN", "CANN"]
    peaks = _bed(tmp_path, "chr1\t4\t10\t.\t.\t.\t.\t.\t.\t1")
    assert _letters(
        cnnvis.read_samples(genome, intervals=peaks, width=4, center="summit").x[0]
    ) == ("TTGC")
    for line, sentence in (
        ("chr1\t4\t21", r"chr1:4-21 \(line 1 of peaks.bed\) reaches beyond .* has 20 bases"),
        ("chrX\t4\t8", r"has no contig 'chrX' \(line 1 of peaks.bed\); it has chr1, chr2"),
        ("chr1\t8\t4", "line 1 .* must be an interval"),
        ("chr1\t-8\t4", "line 1 .* must be an interval"),
        ("chr1 start end", "line 1 .* must be an interval"),
        ("# nothing", "holds no interval"),
    ):
        with pytest.raises(cnnvis.UserError, match=sentence):
            cnnvis.read_samples(genome, intervals=_bed(tmp_path, line))
    with pytest.raises(cnnvis.UserError, match="reaches beyond the contig"):
        cnnvis.read_samples(genome, intervals=_bed(tmp_path, "chr1\t1\t3"), width=6)


def test_images_all_along_a_sequence(genome: Path, tmp_path: Path) -> None:
    with notes_kept() as notes:
        samples = cnnvis.read_samples(genome, width=6, step=4)
    assert [_letters(one) for one in samples.x] == ["ACGTTG", "TGCANN", "NNACGT", "GTTGGG"]
    assert any("7 bases at the ends" in one for one in notes)
    assert samples.places is not None and samples.places.window(3) == "chr1:13-18"
    bed = _bed(tmp_path, "chr1\t0\t8\tx\t1\t-")
    back = cnnvis.read_samples(genome, intervals=bed, width=3, step=5)
    assert [_letters(one) for one in back.x] == ["CGT", "TGC"]
    assert back.places is not None and [back.places.at(n, 0) for n in (0, 1)] == [
        "chr1:3",
        "chr1:8",
    ]
    with pytest.raises(cnnvis.UserError, match="there are 0 images of 30 bases"):
        cnnvis.read_samples(genome, width=30, step=1)
    with pytest.raises(cnnvis.UserError, match=r"fasta.step needs a width"):
        cnnvis.read_samples(genome, step=1)
    with pytest.raises(cnnvis.UserError, match=r"--fasta.width 9, with --fasta.step N"):
        samples.shaped_for((9, 4), -1)


def test_sequences_without_intervals(tmp_path: Path) -> None:
    pytest.importorskip("pyfaidx")
    path = tmp_path / "cut.fasta"
    path.write_text(">chr3:100-104(-)\nACGT\n>chr3:1001-1004\nAAAC\n")
    samples = cnnvis.read_samples(path)
    assert [_letters(one) for one in samples.x] == ["ACGT", "AAAC"]
    assert samples.names == ("chr3:100-104(-)", "chr3:1001-1004")
    places = samples.places
    assert places is not None and [places.at(0, i) for i in (0, 3)] == ["chr3:104", "chr3:101"]
    assert places.window(1) == "chr3:1,001-1,004"
    middle = cnnvis.read_samples(path, width=2).places
    assert middle is not None and middle.at(0, 0) == "chr3:103" and middle.at(1, 0) == "chr3:1,002"


def test_damaged_sequences_are_refused(genome: Path, tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    whole = genome.read_bytes()
    indexes = [
        "chr1\t20\t16\t0\t8\n",
        "chr1\t2000\t16\t7\t8\n",
        "chr1\t20\t0\t7\t8\n",
        "x\n",
        "\xff",
    ]
    cases = [b"", b"ACGT", b">", b">a\n", *(generator.bytes(60) for _ in range(5)), whole[:3]]
    for data in cases:
        genome.write_bytes(data)
        with pytest.raises(cnnvis.UserError, match=r"FASTA|empty|sequences|bases"):
            cnnvis.read_samples(genome).x  # noqa: B018
    (tmp_path / "a.fa.gz").write_bytes(b"packed")
    with pytest.raises(cnnvis.UserError, match=r"is packed.*gunzip -k a\.fa\.gz"):
        cnnvis.read_samples(tmp_path / "a.fa.gz")
    genome.write_bytes(whole)
    bed = _bed(tmp_path, "chr1\t3\t18")
    for index in indexes:
        genome.with_name("genome.fa.fai").write_text(index, encoding="latin-1")
        with pytest.raises(cnnvis.UserError, match=r"must be its own|no contig"):
            cnnvis.read_samples(genome, intervals=bed).x  # noqa: B018


def test_a_network_says_what_to_type(genome: Path, tmp_path: Path) -> None:
    samples = cnnvis.read_samples(genome, intervals=_bed(tmp_path, "chr1\t2\t8"))
    with pytest.raises(cnnvis.UserError, match=r"--fasta.width 9$"):
        samples.shaped_for((9, 4), -1)
    with pytest.raises(cnnvis.UserError, match=r"--fasta.width 6 --fasta.channels first$"):
        samples.shaped_for((4, 6), 1)
    assert samples.shaped_for((6, 4, 1), -1).places.axis == "row"  # type: ignore[union-attr]
