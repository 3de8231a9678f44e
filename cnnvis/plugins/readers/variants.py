"""Readers of genotypes: VCF Zarr, VCF and BCF, and tree sequences, as images of windows."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import cnnvis
from cnnvis.plugins.readers._windows import (
    Alleles,
    Along,
    Asked,
    Bases,
    Columns,
    Contig,
    Intervals,
    LabelColumn,
    Populations,
    Rows,
    Snps,
    Sort,
    Step,
    Variants,
    are_phased,
    samples_of_variants,
)
from cnnvis.plugins.readers.stores import arrays_in, look_at_zarr

_MOST_SITES = 10**8
_LARGEST_TREES = 2**29
_NAMES = 10**6
_FEW = 100  # variants by which genotypes are judged


def _is_vcf_zarr(path: Path) -> bool:
    return (path / "call_genotype").is_dir()


@cnnvis.reader("vcz", suffixes=(".vcz",), accepts=_is_vcf_zarr)
def vcz(
    path: Path,
    *,
    snps: Snps = None,
    bases: Bases = None,
    columns: Columns = None,
    step: Step = None,
    intervals: Intervals = None,
    label: LabelColumn = None,
    contig: Contig = None,
    rows: Rows = "haplotypes",
    populations: Populations = None,
    sort: Sort = None,
    alleles: Alleles = "alternate",
    along: Along = "column",
) -> cnnvis.Samples:
    """Read windows of the genotypes in a VCF Zarr store, as bio2zarr makes it from VCF, piece by piece.

    Every variant of the file counts: choose variants before, as by bcftools view -m2 -M2 -v snps.
    Unknown genotypes are taken for the reference, with a note.
    """
    asked = Asked(
        snps,
        bases,
        columns,
        step,
        intervals,
        label,
        contig,
        rows,
        populations,
        sort,
        alleles,
        along,
    )
    asked.require_clear(path, "vcz")
    held = cnnvis.held(path)
    cnnvis.first_look(look_at_zarr, path)
    held.record()
    try:
        return samples_of_variants(_of_zarr(path, arrays_in(path, held)), asked)
    except (OSError, ValueError, KeyError, RuntimeError, TypeError) as error:
        raise cnnvis.UserError(f"{str(path)!r} cannot be read as VCF Zarr: {error}") from error


def _of_zarr(path: Path, arrays: dict[str, Any]) -> Variants:
    import numpy as np

    needed = ("call_genotype", "variant_position", "variant_contig", "contig_id", "sample_id")
    absent = [name for name in needed if name not in arrays]
    if absent:
        raise cnnvis.UserError(
            f"{str(path)!r} is no VCF Zarr store with genotypes: it has no {', '.join(absent)}"
        )
    calls = arrays["call_genotype"]
    count = arrays["variant_position"].shape[0]
    shape = (count, arrays["sample_id"].shape[0])
    if (
        calls.ndim != 3
        or calls.shape[:2] != shape
        or calls.dtype.kind != "i"
        or count > _MOST_SITES
    ):
        raise cnnvis.UserError(
            f"{str(path)!r} has genotypes of the shape {calls.shape} and the type {calls.dtype} for "
            f"{count} variants of {shape[1]} samples"
        )
    contigs = _words(arrays["contig_id"])
    contig = np.asarray(arrays["variant_contig"][...]).astype(np.int64)
    if contig.shape != (count,) or (count and not 0 <= contig.min() <= contig.max() < len(contigs)):
        raise cnnvis.UserError(f"{str(path)!r} has variants of contigs that it does not name")
    lengths = arrays.get("contig_length")
    flags = arrays.get("call_genotype_phased")
    return Variants(
        path, "vcz", contigs, contig,
        np.asarray(arrays["variant_position"][...]).astype(np.int64) - 1,
        _words(arrays["sample_id"]), calls.shape[2],
        lambda start, end: _read(path, calls, start, end),
        {} if lengths is None else dict(zip(contigs, map(int, lengths[...]), strict=False)),
        phased=flags is None
        or flags.shape != calls.shape[:2]
        or are_phased(np.asarray(calls[:_FEW]), np.asarray(flags[:_FEW]) != 0),
    )  # fmt: skip


def _words(array: Any) -> list[str]:
    if math.prod(array.shape) > _NAMES or array.ndim != 1:
        raise cnnvis.UserError(f"{array.shape} names of samples or contigs are far too many")
    return [
        one.decode("utf-8", "replace") if isinstance(one, bytes) else str(one)
        for one in array[...].tolist()
    ]


def _read(path: Path, calls: Any, start: int, end: int) -> Any:
    try:
        return calls[start:end]
    except (OSError, ValueError, KeyError, RuntimeError, TypeError) as error:
        raise cnnvis.UserError(f"{str(path)!r} cannot be read: {error}") from error


@cnnvis.reader("vcf", suffixes=(".vcf", ".vcf.gz", ".bcf"), requires=("cyvcf2",), extra="vcf")
def vcf(
    path: Path,
    *,
    snps: Snps = None,
    bases: Bases = None,
    columns: Columns = None,
    step: Step = None,
    intervals: Intervals = None,
    label: LabelColumn = None,
    contig: Contig = None,
    rows: Rows = "haplotypes",
    populations: Populations = None,
    sort: Sort = None,
    alleles: Alleles = "alternate",
    along: Along = "column",
) -> cnnvis.Samples:
    """Read windows of the genotypes in a VCF or BCF file, by cyvcf2.

    The genotypes are held in memory, a byte for each allele; a large file is better converted to VCF
    Zarr once. Every variant of the file counts: choose variants before, as by bcftools view -m2 -M2 -v
    snps. Unknown genotypes are taken for the reference, with a note.
    """
    asked = Asked(
        snps,
        bases,
        columns,
        step,
        intervals,
        label,
        contig,
        rows,
        populations,
        sort,
        alleles,
        along,
    )
    asked.require_clear(path, "vcf")
    held = cnnvis.held(path)
    cnnvis.first_look(look_at_vcf, path)
    return samples_of_variants(_of_vcf(path, held, contig), asked)


def look_at_vcf(path: str) -> None:
    """Read the beginning of a VCF or BCF file; see `cnnvis.first_look`."""
    import cyvcf2

    try:
        for number, one in enumerate(cyvcf2.VCF(path)):
            if one.genotype is not None:
                one.genotype.array()
            if number == 1000:
                break
    except Exception as error:  # whatever cyvcf2 makes of what htslib reports
        raise cnnvis.UserError(f"is damaged, or no VCF file: {error}") from error


def _of_vcf(path: Path, held: Any, only: str | None) -> Variants:
    import cyvcf2
    import numpy as np

    found: list[Any] = []
    contigs: dict[str, int] = {}
    numbers, positions = [], []
    room, phased = cnnvis.available_memory() // 2, True
    try:
        file = cyvcf2.VCF(str(held.place))
        samples = list(file.samples)
        for one in file:
            if only not in (None, one.CHROM):
                continue
            if one.genotype is None:
                raise cnnvis.UserError(f"{str(path)!r} has no genotypes at {one.CHROM}:{one.POS}")
            calls = one.genotype.array()
            phased = phased and are_phased(calls[:, :-1], calls[:, -1] != 0)
            found.append(np.clip(calls[:, :-1], -2, 127).astype(np.int8))
            numbers.append(contigs.setdefault(one.CHROM, len(contigs)))
            positions.append(one.POS - 1)
            room -= found[-1].nbytes
            if room < 0:
                raise cnnvis.UserError(
                    f"the genotypes in {str(path)!r} do not fit into memory: convert the file to VCF Zarr, as "
                    "by vcf2zarr convert of bio2zarr, or read one contig, --vcf.contig"
                )
        sizes = _sizes_of_vcf(file)
    except cnnvis.UserError:
        raise
    except Exception as error:  # whatever cyvcf2 makes of what htslib reports
        raise cnnvis.UserError(f"{str(path)!r} cannot be read as VCF: {error}") from error
    ploidy = max((one.shape[1] for one in found), default=1)
    every = np.full((len(found), len(samples), ploidy), -2, np.int8)
    for place, one in enumerate(found):
        every[place, :, : one.shape[1]] = one
    return Variants(
        path, "vcf", [*contigs], np.array(numbers, np.int64), np.array(positions, np.int64),
        samples, ploidy, lambda start, end: every[start:end], sizes, phased=phased,
    )  # fmt: skip


def _sizes_of_vcf(file: Any) -> dict[str, int]:
    """Return the lengths of contigs that the header names; empty where it names none."""
    try:
        pairs = zip(file.seqnames, file.seqlens, strict=True)
        return {str(name): int(size) for name, size in pairs if 0 < size < 2**40}
    except (AttributeError, ValueError):
        return {}


@cnnvis.reader("trees", suffixes=(".trees", ".ts"), requires=("tskit",), extra="trees")
def trees(
    path: Path,
    *,
    snps: Snps = None,
    bases: Bases = None,
    columns: Columns = None,
    step: Step = None,
    intervals: Intervals = None,
    label: LabelColumn = None,
    contig: Contig = None,
    rows: Rows = "haplotypes",
    populations: Populations = None,
    sort: Sort = None,
    alleles: Alleles = "alternate",
    along: Along = "column",
) -> cnnvis.Samples:
    """Read windows of the genotypes in a tree sequence, by tskit, as simulators write them.

    Samples are the sample nodes, a row each, named by their numbers; their populations are those of the
    tree sequence. A derived allele is an alternate one. Positions count from 0. The contig is called 1,
    unless --trees.contig gives a name. The genotypes are held in memory, a byte for each.
    """
    asked = Asked(
        snps,
        bases,
        columns,
        step,
        intervals,
        label,
        None,
        rows,
        populations,
        sort,
        alleles,
        along,
    )
    asked.require_clear(path, "trees")
    held = cnnvis.held(path)
    if path.stat().st_size > _LARGEST_TREES:
        raise cnnvis.UserError(
            f"{str(path)!r} has {path.stat().st_size >> 20} MB, and tree sequences of up to {_LARGEST_TREES >> 20} MB "
            "are read: keep a part of it, as by tskit's keep_intervals or simplify"
        )
    cnnvis.first_look(look_at_trees, path)
    return samples_of_variants(_of_trees(path, held, contig or "1"), asked)


def look_at_trees(path: str) -> None:
    """Read a tree sequence; see `cnnvis.first_look`."""
    import tskit

    try:
        tskit.load(path)
    except Exception as error:  # whatever tskit makes of what its library reports
        raise cnnvis.UserError(f"is damaged, or no tree sequence: {error}") from error


def _of_trees(path: Path, held: Any, name: str) -> Variants:
    import numpy as np
    import tskit

    try:
        found = tskit.load(str(held.place))
        if found.num_sites * found.num_samples > cnnvis.available_memory() // 2:
            raise cnnvis.UserError(
                f"the genotypes in {str(path)!r} do not fit into memory: keep a part of them, as by "
                "tskit's keep_intervals"
            )
        every = found.genotype_matrix().astype(np.int8)[:, :, None]
        positions = np.floor(found.tables.sites.position).astype(np.int64)
        nodes = found.samples()
        numbers = found.tables.nodes.population[nodes].tolist()
        names = [_population(found, number) for number in numbers]
    except cnnvis.UserError:
        raise
    except Exception as error:  # whatever tskit makes of what its library reports
        raise cnnvis.UserError(
            f"{str(path)!r} cannot be read as a tree sequence: {error}"
        ) from error
    return Variants(
        path, "trees", [name], np.zeros(len(positions), np.int64), positions,
        [str(node) for node in nodes], 1, lambda start, end: every[start:end],
        {name: int(found.sequence_length)}, names if any(names) else None,
    )  # fmt: skip


def _population(found: Any, number: int) -> str:
    """Return the name of a population, or its number; empty for none."""
    if number < 0:
        return ""
    about = found.population(number).metadata
    name = about.get("name") if isinstance(about, dict) else None
    return str(name) if name else f"population {number}"
