"""Readers of genotypes: VCF Zarr, VCF and BCF, and tree sequences, as images of windows."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import cnnvis
from cnnvis.plugins.readers._intervals import counted
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

_MOST_SITES = 10**8
_LARGEST_TREES = 2**29
_NAMES = 10**6
_BEGINNING = 1000  # variants that are read before others
_END_OF_BGZF = bytes.fromhex("1f8b08040000000000ff0600424302001b0003" + "00" * 9)
_FEW = 100  # variants by which genotypes are judged
_TOGETHER = 2**18  # numbers of genotypes in a VCF file that are looked at together


def _is_vcf_zarr(path: Path | cnnvis.Address) -> bool:
    return isinstance(path, Path) and (path / "call_genotype").is_dir()


@cnnvis.reader("vcz", suffixes=(".vcz",), accepts=_is_vcf_zarr, remote=True)
def vcz(
    path: Path | cnnvis.Address,
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

    The store is a folder, or lies at an address: s3://bucket/genotypes.vcz.
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
    try:
        return samples_of_variants(_of_zarr(path, cnnvis.zarr_arrays(path, held)), asked)
    except (OSError, ValueError, KeyError, RuntimeError, TypeError) as error:
        raise cnnvis.UserError(f"{str(path)!r} cannot be read as VCF Zarr: {error}") from error


def _of_zarr(path: Path | cnnvis.Address, arrays: dict[str, Any]) -> Variants:
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
    named = arrays.get("variant_allele")
    most = named.shape[1] if named is not None and named.ndim == 2 else 128
    return Variants(
        path, "vcz", contigs, contig,
        np.asarray(arrays["variant_position"][...]).astype(np.int64) - 1,
        _words(arrays["sample_id"]), calls.shape[2],
        lambda start, end: _read(path, calls, start, end, most),
        {} if lengths is None else _sizes(contigs, lengths[...]),
        phased=flags is None
        or flags.shape != calls.shape[:2]
        or are_phased(np.asarray(calls[:_FEW]), np.asarray(flags[:_FEW]) != 0),
    )  # fmt: skip


def _sizes(contigs: list[str], lengths: Any) -> dict[str, int]:
    return {name: int(size) for name, size in zip(contigs, lengths, strict=False) if size > 0}


def _words(array: Any) -> list[str]:
    if math.prod(array.shape) > _NAMES or array.ndim != 1:
        raise cnnvis.UserError(f"{array.shape} names of samples or contigs are far too many")
    return [
        one.decode("utf-8", "replace") if isinstance(one, bytes) else str(one)
        for one in array[...].tolist()
    ]


def _read(path: Path | cnnvis.Address, calls: Any, start: int, end: int, most: int) -> Any:
    """Return alleles of variants that have `most` different ones or fewer."""
    try:
        found = calls[start:end]
    except (OSError, ValueError, KeyError, RuntimeError, TypeError) as error:
        raise cnnvis.UserError(f"{str(path)!r} cannot be read: {error}") from error
    if found.size and found.max() >= most:
        raise cnnvis.UserError(
            f"{str(path)!r} is damaged: it has an allele of the number {found.max()}, and variants of at most {most} "
            "alleles, counted from 0"
        )
    return found


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
    _read_vcf(path, _BEGINNING)


def look_at_all_of_vcf(path: str) -> None:
    """Read a whole VCF or BCF file, to say why it cannot be read; see `cnnvis.first_look`."""
    _read_vcf(path, _MOST_SITES)


def _read_vcf(path: str, most: int) -> None:
    """Read a file up to so many variants, in a process of its own, whose stderr is taken."""
    import cyvcf2

    _require_end(path)
    cyvcf2.cyvcf2.set_htslib_log_level(1)  # errors alone
    last, count = "", 0
    with _stderr_of_c() as said:
        try:
            for count, one in enumerate(cyvcf2.VCF(path), 1):
                if one.genotype is not None:
                    one.genotype.array()
                last = f"{one.CHROM}:{one.POS}"
                if count > most:
                    break
        except Exception as error:  # whatever cyvcf2 makes of what htslib reports
            # htslib writes its reason to stderr: [E::vcf_parse] Could not parse the position 'x12'
            lines = [line.partition("] ")[2] for line in said() if line.startswith("[E::")]
            unknown = "a line cannot be parsed, as where a file is cut off" if last else str(error)
            reason = cnnvis.printable((lines or [unknown])[0][:200])
            good = f"{counted(count, 'good variant')}, the last at {last}"
            after = f" (behind {good})" if last else ""
            raise cnnvis.UserError(f"is damaged, or no VCF file: {reason}{after}") from error


def _require_end(path: str) -> None:
    """Refuse a packed file without its last block: htslib reads what there is, and only warns."""
    with Path(path).open("rb") as file:
        head = file.read(14)
        file.seek(-min(len(_END_OF_BGZF), file.seek(0, os.SEEK_END)), os.SEEK_END)
        end = file.read()
    is_bgzf = head[:4] == b"\x1f\x8b\x08\x04" and head[12:] == b"BC"
    if is_bgzf and end != _END_OF_BGZF:
        raise cnnvis.UserError(
            "is cut off: it lacks the block at the end of BGZF files. Copy it again, or if it is whole, write it anew, as "
            "by bcftools view"
        )


@contextmanager
def _stderr_of_c() -> Iterator[Callable[[], list[str]]]:
    """Take what libraries in C write to stderr; gives a function that returns its lines.

    A pipe, since a first look may write no file; what does not fit into it is lost.
    """
    reading, writing = os.pipe()
    for end in (reading, writing):
        os.set_blocking(end, False)
    kept = os.dup(2)
    os.dup2(writing, 2)

    def said() -> list[str]:
        try:
            return os.read(reading, 2**16).decode("utf-8", "replace").splitlines()
        except BlockingIOError:  # nothing
            return []

    try:
        yield said
    finally:
        os.dup2(kept, 2)
        for one in (kept, reading, writing):
            os.close(one)


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep htslib from writing to the terminal; it says again what it has to say in a first look."""
    from cyvcf2 import cyvcf2

    cyvcf2.set_htslib_log_level(0)
    try:
        yield
    finally:
        cyvcf2.set_htslib_log_level(3)  # htslib's own default


def _of_vcf(path: Path, held: Any, only: str | None) -> Variants:
    import cyvcf2
    import numpy as np

    contigs: dict[str, int] = {}
    numbers, positions = [], []
    genotypes = _Genotypes(path)
    try:
        with _quiet():
            file = cyvcf2.VCF(str(held.place))
            samples = list(file.samples)
            for one in file:
                if only in (None, one.CHROM):
                    genotypes.add(one)
                    numbers.append(contigs.setdefault(one.CHROM, len(contigs)))
                    positions.append(one.POS - 1)
            genotypes.look()
            sizes = _sizes_of_vcf(file)
    except cnnvis.UserError:
        raise
    except Exception as error:  # whatever cyvcf2 makes of what htslib reports
        cnnvis.first_look(look_at_all_of_vcf, path)
        raise cnnvis.UserError(f"{str(path)!r} cannot be read as VCF: {error}") from error
    every = genotypes.joined(len(samples))
    return Variants(
        path, "vcf", [*contigs], np.array(numbers, np.int64), np.array(positions, np.int64),
        samples, every.shape[2], lambda start, end: every[start:end], sizes,
        phased=genotypes.phased,
    )  # fmt: skip


class _Genotypes:
    """Genotypes of variants, looked at many together: NumPy takes as long for a single variant.

    Attributes
    ----------
    phased
        False where the order of a sample's alleles has no meaning.
    """

    def __init__(self, path: Path) -> None:
        self.phased = True
        self._path = path
        self._blocks: list[Any] = []  # (variants, samples, ploidy) int8
        self._waiting: list[tuple[Any, int, str]] = []
        self._room = cnnvis.available_memory() // 2

    def add(self, one: Any) -> None:
        """Add a variant of cyvcf2, whose array holds alleles, and a flag behind them, for each sample.

        Raises
        ------
        UserError
            If it has no genotypes, or variants before it are damaged or do not fit into memory.
        """
        where = f"{one.CHROM}:{one.POS}"
        if one.genotype is None:
            raise cnnvis.UserError(f"{str(self._path)!r} has no genotypes at {where}")
        calls, waiting = one.genotype.array(), self._waiting
        if waiting and (
            waiting[0][0].shape != calls.shape or len(waiting) * calls.size >= _TOGETHER
        ):
            self.look()
        self._waiting.append((calls, len(one.ALT), where))

    def look(self) -> None:
        """Look at the genotypes that wait for it, and keep their alleles, a byte for each.

        Raises
        ------
        UserError
            If they are damaged or do not fit into memory.
        """
        import numpy as np

        if not self._waiting:
            return
        calls = np.stack([one for one, _, _ in self._waiting])
        alleles = calls[..., :-1]
        largest = alleles.max(axis=(1, 2), initial=0)
        for found, (_, others, where) in zip(largest.tolist(), self._waiting, strict=True):
            if found > others:
                raise cnnvis.UserError(
                    f"{str(self._path)!r} is damaged at {where}: a genotype has the allele {found}, and the line has "
                    f"{counted(others, 'alternate allele')}"
                )
        self.phased = self.phased and are_phased(alleles, calls[..., -1] != 0)
        self._blocks.append(np.clip(alleles, -2, 127).astype(np.int8))
        self._waiting = []
        self._room -= self._blocks[-1].nbytes
        if self._room < 0:
            raise cnnvis.UserError(
                f"the genotypes in {str(self._path)!r} do not fit into memory: convert the file to VCF Zarr, as "
                "by vcf2zarr convert of bio2zarr, or read one contig, --vcf.contig"
            )

    def joined(self, samples: int) -> Any:
        """Return the alleles of all variants, (variants, samples, ploidy) int8, -2 for those that are none."""
        import numpy as np

        ploidy = max((one.shape[2] for one in self._blocks), default=1)
        every = np.full((sum(map(len, self._blocks)), samples, ploidy), -2, np.int8)
        start = 0
        for one in self._blocks:
            every[start : start + len(one), :, : one.shape[2]] = one
            start += len(one)
        return every


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
        # tskit gives genotypes of four bytes each, of which those of a byte are made.
        if 5 * found.num_sites * found.num_samples > cnnvis.available_memory() // 2:
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
        {name: math.ceil(found.sequence_length)}, names if any(names) else None,
    )  # fmt: skip


def _population(found: Any, number: int) -> str:
    """Return the name of a population, or its number; empty for none."""
    if number < 0:
        return ""
    about = found.population(number).metadata
    name = about.get("name") if isinstance(about, dict) else None
    return str(name) if name else f"population {number}"
