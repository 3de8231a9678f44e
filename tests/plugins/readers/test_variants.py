"""Windows of genotypes: the same images from VCF Zarr, VCF and tree sequences."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import cnnvis
from cnnvis.plugins.readers._windows import Asked, Variants, _Images, samples_of_variants
from cnnvis.reporting import notes_kept

POSITIONS = [[10, 11, 40, 95, 100, 230], [5, 7]]  # from 0, of two contigs
SAMPLES = ["s1", "s2", "s3"]


def _calls() -> Any:
    """Return alleles, (8 variants, 3 samples, 2)."""
    calls = np.random.default_rng(0).integers(0, 2, (8, 3, 2)).astype(np.int8)
    calls[0, 0, 0], calls[1, 2, 1] = -1, 2
    return calls


@pytest.fixture
def store(tmp_path: Path) -> Path:
    zarr = pytest.importorskip("zarr")
    group = zarr.open_group(tmp_path / "a.vcz", mode="w", zarr_format=2)
    arrays = {
        "call_genotype": _calls(),
        "variant_position": np.array([one + 1 for some in POSITIONS for one in some], np.int32),
        "variant_contig": np.repeat([0, 1], [len(some) for some in POSITIONS]).astype(np.int8),
        "contig_length": np.array([300, 50]),
        "contig_id": np.array(["chr1", "chr2"]),
        "sample_id": np.array(SAMPLES),
    }
    for name, values in arrays.items():
        group.create_array(name, data=values)
    return tmp_path / "a.vcz"


@pytest.fixture
def vcf(tmp_path: Path) -> Path:
    pytest.importorskip("cyvcf2")
    lines = [
        "##fileformat=VCFv4.2",
        "##contig=<ID=chr1,length=300>",
        "##contig=<ID=chr2,length=50>",
    ]
    lines += ['##FORMAT=<ID=GT,Number=1,Type=String,Description="Genotype">']
    lines += [
        "\t".join(["#CHROM POS ID REF ALT QUAL FILTER INFO FORMAT".replace(" ", "\t"), *SAMPLES])
    ]
    places = [(f"chr{n + 1}", one + 1) for n, some in enumerate(POSITIONS) for one in some]
    for (contig, position), calls in zip(places, _calls(), strict=True):
        words = ["|".join("." if one < 0 else str(one) for one in sample) for sample in calls]
        lines.append(
            "\t".join([contig, str(position), ".", "A", "C,G", ".", ".", ".", "GT", *words])
        )
    path = tmp_path / "a.vcf"
    path.write_text("\n".join([*lines, ""]))
    return path


def _in_memory(calls: Any = None, phased: bool = True) -> Variants:
    calls = _calls() if calls is None else calls
    positions = np.array([one for some in POSITIONS for one in some])
    contig = np.repeat([0, 1], [len(some) for some in POSITIONS])
    return Variants(
        Path("a.vcz"), "vcz", ["chr1", "chr2"], contig, positions, SAMPLES, 2,
        lambda start, end: calls[start:end], {"chr1": 300, "chr2": 50}, phased=phased,
    )  # fmt: skip


def _images(variants: Variants | None = None, **options: Any) -> cnnvis.Samples:
    every = dict.fromkeys(one.name for one in dataclasses.fields(Asked))
    usual = {"rows": "haplotypes", "alleles": "alternate", "along": "column"}
    return samples_of_variants(variants or _in_memory(), Asked(**{**every, **usual, **options}))


def _panel(folder: Path, *lines: str) -> str:
    path = folder / "panel.tsv"
    path.write_text("".join(f"{line}\n" for line in lines))
    return str(path)


def _same(one: cnnvis.Samples, other: cnnvis.Samples) -> None:
    np.testing.assert_array_equal(one.x, other.x)
    assert one.places is not None and other.places is not None
    assert one.places.contigs == other.places.contigs
    for number in range(len(one)):
        np.testing.assert_array_equal(one.places.intervals(number), other.places.intervals(number))
    assert dict(one.places.sizes) == dict(other.places.sizes)


def test_windows_of_variants() -> None:
    alternate = (_calls() > 0).reshape(8, 6)
    with notes_kept() as notes:
        samples = _images(snps=4)
        assert samples.x.shape == (1, 6, 4)
    np.testing.assert_array_equal(samples.x[0], alternate[:4].T)
    assert any("4 variants at the ends of contigs" in one for one in notes)
    assert any("unknown" in one and "reference" in one for one in notes)
    assert samples.places is not None and samples.places.window(0) == "chr1:11-96"
    assert samples.places.at(0, 3) == "chr1:96" and samples.places.sizes["chr1"] == 300
    steps = _images(snps=2, step=1, rows="individuals")
    assert len(steps) == 6 and steps.places is not None
    assert steps.places.contigs == ("chr1",) * 5 + ("chr2",)
    np.testing.assert_array_equal(steps.x[5], (_calls() > 0).sum(axis=2)[6:].T)
    np.testing.assert_array_equal(steps[[5, 0]].x, steps.x[[5, 0]])
    alone = _images(snps=2, contig="chr2")
    assert alone.places is not None and alone.places.contigs == ("chr2",)


def test_windows_of_bases_and_intervals(tmp_path: Path) -> None:
    alternate = (_calls() > 0).reshape(8, 6).astype(int)
    samples = _images(bases=100, columns=10)
    assert samples.x.shape == (3, 6, 10)
    np.testing.assert_array_equal(samples.x[0, :, 1], alternate[0] + alternate[1])
    np.testing.assert_array_equal(samples.x[0, :, 9], alternate[3])
    np.testing.assert_array_equal(samples.x[1, :, 0], alternate[4])
    assert samples.x.sum() == alternate[:6].sum() and samples.places is not None
    assert samples.places.window(2) == "chr1:201-300" and samples.places.at(0, 9) == "chr1:91-100"
    bed = tmp_path / "a.bed"
    bed.write_text("chr1\t90\t110\tsweep\nchr2\t20\t40\tneutral\nchr1\t0\t20\tsweep\n")
    with notes_kept() as notes:
        found = _images(intervals=str(bed), columns=4, label=4, along="row")
    assert any("1 interval has no variant, and its image is 0" in one for one in notes)
    assert found.x.shape == (3, 4, 6) and found.label_name(1) == "neutral"
    np.testing.assert_array_equal(found.x[0], [[0] * 6, alternate[3], alternate[4], [0] * 6])
    assert found.places is not None and found.places.axis == "row"
    assert found.places.at(0, 1) == "chr1:96-100" and not found.x[1].any()


def test_no_image_reaches_beyond_its_contig(tmp_path: Path) -> None:
    with notes_kept() as notes:
        samples = _images(bases=50, columns=5)
    assert (
        samples.places is not None and samples.places.window(4) == "chr2:1-50" and len(samples) == 5
    )
    assert any("1 of 6 windows is left out: 1 without a variant" in one for one in notes)
    with notes_kept() as notes:
        assert len(_images(bases=100, columns=5, step=50)) == 5
    assert any("1 that would reach beyond the end of its contig" in one for one in notes)
    with notes_kept() as notes:
        _images(dataclasses.replace(_in_memory(), sizes={"chr1": 300}), bases=100, columns=5)
    assert any("the length of chr2 is not known" in one for one in notes)
    bed = tmp_path / "a.bed"
    bed.write_text("chr2\t0\t50\nchr2\t10\t51\n")
    for options, sentence in (
        ({"bases": 301}, "the longest contig, chr1, has 300 bases: take fewer"),
        ({"bases": 60, "contig": "chr2"}, "its contig; chr2 has 50 bases"),
        (
            {"intervals": str(bed)},
            r"line 2 of a.bed\) reaches beyond the end of chr2, which has 50",
        ),
    ):
        with pytest.raises(cnnvis.UserError, match=sentence):
            _images(columns=5, **options)
    with pytest.raises(cnnvis.UserError, match="variant at chr2:8, and says that chr2 has 7 bases"):
        _images(dataclasses.replace(_in_memory(), sizes={"chr2": 7}), snps=2)


def test_alleles_that_no_sample_has_are_not_unknown() -> None:
    calls = np.zeros((8, 3, 2), np.int8)
    calls[:, 1, 1], calls[:, 1, 0], calls[3, 2] = -2, 1, (-1, -2)  # haploid; a lone dot
    with notes_kept() as notes:
        samples = _images(_in_memory(calls), snps=4)
        assert samples.x[0].sum() == 4 and samples.x[0, 2].all()
    assert any("1 sample is haploid among diploids in an image ('s2')" in one for one in notes)
    assert any(f"reference: {2 / 20:.1%} of the alleles" in one for one in notes)


def test_rows_are_of_populations_and_sorted(tmp_path: Path) -> None:
    panel = _panel(tmp_path, "sample\tpop\tsuper", "s3\tB\tx", "s9\tB\tx", "s1\tA\tx")
    with notes_kept() as notes:
        samples = _images(snps=6, populations=panel)
    assert any("1 sample of panel.tsv is not in a.vcz: 's9'" in one for one in notes)
    assert any("1 sample without a population" in one for one in notes)
    alternate = (_calls() > 0)[:6].transpose(1, 2, 0)
    np.testing.assert_array_equal(samples.x[0], [*alternate[2], *alternate[0]])
    assert samples.coordinates["row"].values == ("B", "B", "A", "A")
    image = _images(snps=6, populations=panel, sort="A").x[0]
    far = ((image - image[2:].mean(axis=0)) ** 2).sum(axis=1)
    assert far[0] <= far[1] and far[2] <= far[3]
    assert sorted(map(tuple, image[:2])) == sorted(map(tuple, alternate[2].astype(int)))
    counts = _images(snps=6, alleles="minor").x[0].sum(axis=0)
    plain = (_calls() > 0)[:6].sum(axis=(1, 2))
    known = (_calls() >= 0)[:6].sum(axis=(1, 2))
    np.testing.assert_array_equal(counts, np.where(2 * plain > known, known - plain, plain))
    for lines, sentence in (
        (("s1",), "line 1 of .* must be a sample, a tab and its population"),
        (("x\tA",), "names none of the samples in .*, which are s1, s2, s3"),
        (("s1\tA", "s1\tB"), "names the sample 's1' twice"),
    ):
        with pytest.raises(cnnvis.UserError, match=sentence):
            _images(snps=6, populations=_panel(tmp_path, *lines))
    with pytest.raises(cnnvis.UserError, match="no population 'B' to sort by; populations: none"):
        _images(snps=6, sort="B")


@pytest.mark.slow
def test_files_hold_the_same_images(store: Path, vcf: Path) -> None:
    for options in ({"snps": 4}, {"bases": 100, "columns": 10, "rows": "individuals"}):
        expected = _images(**options)
        for path in (store, vcf):
            _same(cnnvis.read_samples(path, **options), expected)
    _same(cnnvis.read_samples(vcf, snps=2, contig="chr2"), _images(snps=2, contig="chr2"))


def test_stores_at_addresses_hold_the_same_images(store: Path) -> None:
    files = pytest.importorskip("fsspec", reason="fsspec is not installed").filesystem("memory")
    for file in store.rglob("*"):
        if file.is_file():
            files.pipe_file(f"/a.vcz/{file.relative_to(store)}", file.read_bytes())
    _same(
        cnnvis.read_samples("memory://a.vcz", snps=2),
        cnnvis.read_samples(store, snps=2),
    )
    files.store.clear()


def test_rows_of_published_images_are_sorted_in_the_same_way(reference: Path) -> None:
    """Images of genomatnn: 4 haplotypes of the donor, 198 and 216 of two populations."""
    data = np.load(reference / "genomatnn" / "validation_256x418.npz")["X"][:20].transpose(0, 2, 1)
    images: Any = object.__new__(_Images)
    images._asked = type("Asked", (), {"sort": "donor"})
    images._rows = type("Rows", (), {"blocks": (("donor", 0, 4), ("a", 4, 202), ("b", 202, 418))})
    mixed = [
        np.random.default_rng(1).permutation(one)
        for one in (range(4), range(4, 202), range(202, 418))
    ]
    for image in data.astype(np.int16):
        again = images._sorted(image[np.concatenate(mixed)])
        # Rows that are equally far may have changed places.
        far = [((one - image[:4].mean(axis=0)) ** 2).sum(axis=1)[4:] for one in (image, again)]
        np.testing.assert_allclose(*far)


def test_tree_sequences_have_their_populations(tmp_path: Path) -> None:
    tskit = pytest.importorskip("tskit")
    tables = tskit.TableCollection(1000)
    tables.populations.metadata_schema = tskit.MetadataSchema.permissive_json()
    for name in ("A", "B"):
        tables.populations.add_row({"name": name})
    for of in (0, 1, 1):
        tables.nodes.add_row(flags=tskit.NODE_IS_SAMPLE, time=0, population=of)
    for time, children in ((1, (1, 2)), (2, (0, 3))):
        parent = tables.nodes.add_row(time=time, population=0)
        for child in children:
            tables.edges.add_row(0, 1000, parent, child)
    for position, node in ((3.5, 3), (700, 0)):
        site = tables.sites.add_row(position, "A")
        tables.mutations.add_row(site, node, "T")
    tables.sort()
    tables.tree_sequence().dump(tmp_path / "a.trees")
    samples = cnnvis.read_samples(tmp_path / "a.trees", snps=2, contig="chr9")
    np.testing.assert_array_equal(samples.x[0], [[0, 1], [1, 0], [1, 0]])
    assert samples.coordinates["row"].values == ("A", "B", "B")
    assert samples.places is not None and samples.places.window(0) == "chr9:4-701"
    assert samples.places.sizes == {"chr9": 1000}


def test_what_is_unclear_is_asked(store: Path, vcf: Path) -> None:
    asked: list[tuple[dict[str, Any], str]] = [
        ({}, r"--vcz.snps N .*--vcz.bases N --vcz.columns N .*--vcz.intervals FILE.bed"),
        ({"snps": 2, "bases": 3}, "in one of these ways"),
        ({"bases": 3}, "--vcz.columns is the number of bins"),
        ({"snps": 2, "label": 4}, "--vcz.label is a column"),
    ]
    for options, sentence in asked:
        with pytest.raises(cnnvis.UserError, match=sentence):
            cnnvis.read_samples(store, **options)
    with pytest.raises(cnnvis.UserError, match="no contig 'chr3'; it has chr1, chr2"):
        _images(snps=2, contig="chr3")
    with pytest.raises(
        cnnvis.UserError, match=r"chr1 has 6, the most of all contigs: take at most --vcz.snps 6"
    ):
        _images(snps=9)
    with pytest.raises(cnnvis.UserError, match=r"--vcz.snps 5 --vcz.along row$"):
        _images(snps=4).shaped_for((5, 6, 1), -1)
    with pytest.raises(cnnvis.UserError, match=r"6 rows of haplotypes, and the network takes 8"):
        _images(snps=4).shaped_for((8, 4, 1), -1)
    for rows, sentence in ((3, "rows individuals gives 3$"), (4, "choose samples"), (7, "too few")):
        with pytest.raises(cnnvis.UserError, match=sentence) as caught:
            _images(snps=4).shaped_for((rows, 4, 1), -1)
        assert "read them with" not in str(caught.value)
    mixed = dataclasses.replace(_in_memory(), positions=_in_memory().positions[::-1])
    with pytest.raises(cnnvis.UserError, match="not sorted by contig and position"):
        _images(mixed, snps=2)
    vcf.write_text(vcf.read_text().replace("|", "/"))
    with notes_kept() as notes:
        cnnvis.read_samples(vcf, snps=4)
    assert any("not phased" in one for one in notes)
    store.rename(store.with_suffix(".zarr"))
    with pytest.raises(cnnvis.UserError, match=r"VCF Zarr store: give it the ending .vcz"):
        cnnvis.read_samples(store.with_suffix(".zarr"))


def test_the_reason_of_damage_is_said(vcf: Path, capfd: Any) -> None:
    whole = vcf.read_text()
    cases = [
        (whole.replace("chr1\t41\t", "chr1\tx41\t"), "position 'x41' .behind 2 good variants, the last at chr1:12"),
        (whole.replace("s2", "s1"), "Duplicated sample name 's1'"),
        (whole.replace("|2\n", "|3\n", 1), "damaged at chr1:12: a genotype has the allele 3, and the line has 2"),
    ]  # fmt: skip
    for text, sentence in cases:
        vcf.write_text(text)
        with pytest.raises(cnnvis.UserError, match=sentence):
            cnnvis.read_samples(vcf, snps=4)
    vcf.write_text(whole)
    cyvcf2 = pytest.importorskip("cyvcf2")
    packed = vcf.with_name("b.vcf.gz")
    reader = cyvcf2.VCF(str(vcf))
    writer = cyvcf2.Writer(str(packed), reader, mode="wz")
    for one in reader:
        writer.write_record(one)
    writer.close()
    _same(cnnvis.read_samples(packed, snps=4), _images(snps=4))
    packed.write_bytes(packed.read_bytes()[:-28])  # which htslib reads, with a warning
    with pytest.raises(cnnvis.UserError, match="is cut off: it lacks the block at the end"):
        cnnvis.read_samples(packed, snps=4)
    assert not capfd.readouterr().err


@pytest.mark.slow
def test_damaged_files_are_refused(vcf: Path, store: Path, tmp_path: Path) -> None:
    pytest.importorskip("tskit")
    whole = vcf.read_bytes()
    generator = np.random.default_rng(0)
    for data in (b"", generator.bytes(200), whole[:100], whole[:-30] + generator.bytes(40)):
        for name in ("b.vcf", "b.bcf", "b.trees"):
            (tmp_path / name).write_bytes(data)
            with pytest.raises(cnnvis.UserError):
                cnnvis.read_samples(tmp_path / name, snps=9)
    (store / "sample_id" / ".zarray").unlink()
    with pytest.raises(cnnvis.UserError, match=r"no VCF Zarr store with genotypes|damaged"):
        cnnvis.read_samples(store, snps=4)
