"""Windows of genotypes as images: haplotypes or individuals, by variants or bins of bases."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

import cnnvis
from cnnvis.plugins.readers._intervals import counted, gathered, labels_in, listed

_MOST = 10**7  # images
_HEADINGS = ("sample", "samples", "sample_id", "sampleid", "id", "iid", "individual", "name")
_LARGEST = 2**28  # values of an image, and genotypes that an image is made of

Snps = Annotated[
    cnnvis.Count | None,
    cnnvis.Help(
        "Images of so many variants each, a column each.",
        "What is left at the end of a contig is left out.",
    ),
]
Bases = Annotated[
    cnnvis.Count | None,
    cnnvis.Help(
        "Images of so many bases each, with --columns bins of equal width.",
        "Images without a variant, and those that reach beyond the end of a contig, are left out.",
    ),
]
Columns = Annotated[
    cnnvis.Count | None,
    cnnvis.Help(
        "The number of bins of images of bases: each holds the number of counted alleles in it."
    ),
]
Step = Annotated[
    cnnvis.Count | None,
    cnnvis.Help(
        "The number of variants or bases from one image to the next.",
        "By default no two images overlap.",
    ),
]
Intervals = Annotated[
    str | None,
    cnnvis.Help("A BED file with an interval for each image, instead of images of equal steps."),
]
LabelColumn = Annotated[
    cnnvis.Count | None,
    cnnvis.Help(
        "The column of the BED file with labels, counted from 1: words, or numbers of classes."
    ),
]
Contig = Annotated[str | None, cnnvis.Help("The only contig to read.", "The default reads all.")]
Rows = Annotated[
    Literal["haplotypes", "individuals"],
    cnnvis.Help("What a row is: a haplotype, or an individual, whose alleles are added up."),
]
Populations = Annotated[
    str | None,
    cnnvis.Help(
        "A table with a line for each sample: its name, a tab and its population.",
        "Rows of a population stand together, populations in the order of the table; samples that the table "
        "leaves out are left out.",
    ),
]
Sort = Annotated[
    str | None,
    cnnvis.Help(
        "Sort the rows of each population in each image, the nearest to the mean row of this population first.",
        "all is the mean of all rows. The distance is Euclidean, as in genomatnn. The default keeps the order of the file.",
    ),
]
Alleles = Annotated[
    Literal["alternate", "minor"],
    cnnvis.Help(
        "The alleles that are counted: all but the reference, or of each variant the rarer ones among the rows.",
    ),
]
Along = Annotated[
    Literal["column", "row"],
    cnnvis.Help("The axis of an image that runs along the genome."),
]


@dataclass(frozen=True)
class Variants:
    """Variants in the order of a file.

    Attributes
    ----------
    path, reader
        The file, and the name of the reader, for messages.
    contigs
        The names of contigs.
    contig, positions
        The number of the contig of each variant, and its position, counted from 0: (v,).
    samples, ploidy
        The names of samples, and the number of alleles of each.
    read
        Function of the first variant and of the end that returns alleles, (k, samples, ploidy) int8:
        0 for the reference, -1 for an unknown one, -2 for none.
    sizes
        The lengths of contigs, as far as they are known.
    populations
        The population of each sample, if the file knows it.
    phased
        False where the order of a sample's alleles has no meaning.
    """

    path: Path | cnnvis.Address
    reader: str
    contigs: Sequence[str]
    contig: Any
    positions: Any
    samples: Sequence[str]
    ploidy: int
    read: Callable[[int, int], Any]
    sizes: Mapping[str, int] = field(default_factory=dict)
    populations: Sequence[str] | None = None
    phased: bool = True


def are_phased(alleles: Any, flags: Any) -> bool:
    """Tell whether the order of alleles means something wherever a sample has different ones.

    Parameters
    ----------
    alleles
        (..., ploidy), as `Variants.read` gives them.
    flags
        True for phased genotypes, (...).
    """
    import numpy as np

    known = np.where(alleles == -2, alleles[..., :1], alleles)
    mixed = (known != known[..., :1]).any(axis=-1)
    return not (mixed & ~flags).any()


@dataclass(frozen=True)
class Asked:
    """Options of a reader of variants, as they were given."""

    snps: int | None
    bases: int | None
    columns: int | None
    step: int | None
    intervals: str | None
    label: int | None
    contig: str | None
    rows: str
    populations: str | None
    sort: str | None
    alleles: str
    along: str

    def require_clear(self, path: Path | cnnvis.Address, reader: str) -> None:
        """Refuse options that say too little about the images, or too much.

        Raises
        ------
        UserError
            If so, with the options that would do.
        """
        option = f"--{reader}"
        given = [one for one in (self.snps, self.bases, self.intervals) if one is not None]
        if len(given) != 1:
            raise cnnvis.UserError(
                f"say what an image of {str(path)!r} is, in one of these ways: {option}.snps N for N variants, "
                f"{option}.bases N {option}.columns N for bins of bases, or {option}.intervals FILE.bed "
                f"{option}.columns N for bins of intervals"
            )
        if (self.columns is None) != (self.snps is not None):
            raise cnnvis.UserError(
                f"{option}.columns is the number of bins of {option}.bases and {option}.intervals, which "
                "need it"
            )
        if self.intervals is None and self.label is not None:
            raise cnnvis.UserError(f"{option}.label is a column of {option}.intervals FILE.bed")
        if self.intervals is not None and (self.step is not None or self.contig is not None):
            raise cnnvis.UserError(
                f"{option}.intervals says where images are, so {option}.step and {option}.contig have no "
                "meaning"
            )


@dataclass(frozen=True)
class _Window:
    contig: int
    first: int  # variant
    last: int  # variant behind the last
    start: int  # base
    end: int


def samples_of_variants(variants: Variants, asked: Asked) -> cnnvis.Samples:
    """Return images of genotypes.

    Raises
    ------
    UserError
        If the options contradict each other, or there is no image.
    """
    import numpy as np

    if asked.contig not in (None, *variants.contigs):
        raise cnnvis.UserError(
            f"{str(variants.path)!r} has no contig {asked.contig!r}; it has {', '.join(variants.contigs[:8])}"
        )
    _require_sorted(variants)
    _require_inside(variants)
    rows = _Rows.of(variants, asked)
    windows, labels = _windows(variants, asked)
    if not windows:
        raise cnnvis.UserError(_none_left(variants, asked))
    if len(windows) > _MOST:
        raise cnnvis.UserError(
            f"there are {len(windows)} images, more than {_MOST}: take a larger step"
        )
    length = asked.snps or asked.columns or 0
    if length * len(rows.populations) > _LARGEST:
        raise cnnvis.UserError(
            f"an image would have {len(rows.populations)} rows and {length} columns, far too many"
        )
    axis, other = ("column", "row") if asked.along == "column" else ("row", "column")
    contigs = tuple(variants.contigs[one.contig] for one in windows)
    if asked.snps:
        starts = np.stack([variants.positions[one.first : one.last] for one in windows])
        places = cnnvis.Places(axis, contigs, starts, sizes=variants.sizes)
    else:
        begins = np.array([float(one.start) for one in windows])
        steps = np.array([(one.end - one.start) / length for one in windows])
        places = cnnvis.Places(axis, contigs, begins, steps, length, variants.sizes)
    named = any(rows.populations)
    described = cnnvis.Axis("population", values=tuple(rows.populations)) if named else None
    return cnnvis.Samples(
        _Images(variants, asked, windows, rows, length),
        labels,
        channel_axis=None,
        coordinates={} if described is None else {other: described},
        places=places,
        reading=cnnvis.Reading(
            _Remedy(variants.reader, len(rows.populations), variants.ploidy, asked)
        ),
    )


@dataclass(frozen=True)
class _Remedy:
    reader: str
    rows: int
    ploidy: int
    asked: Asked

    def __call__(self, wanted: tuple[int | None, ...]) -> str:
        sizes = [size for size in wanted if size != 1]
        if len(sizes) != 2:
            return ""
        along = sizes.index(self.rows) == 0 if self.rows in sizes else self.asked.along == "column"
        rows, columns = sizes if along else sizes[::-1]
        name, given = (
            ("snps", self.asked.snps) if self.asked.snps else ("columns", self.asked.columns)
        )
        words = [] if columns in (None, given) else [f"--{self.reader}.{name} {columns}"]
        axis = "column" if along else "row"
        words += [] if axis == self.asked.along else [f"--{self.reader}.along {axis}"]
        said = [f"read them with {' '.join(words)}"] if words else []
        if rows not in (None, self.rows):
            said.append(
                f"there are {self.rows} rows of {self.asked.rows}, and the network takes {rows}: {self._for(rows)}"
            )
        return "; ".join(said)

    def _for(self, rows: int) -> str:
        """Return what gives so many rows."""
        of_haplotypes = self.asked.rows == "haplotypes"
        others = self.rows // self.ploidy if of_haplotypes else self.rows * self.ploidy
        other = f"--{self.reader}.rows {'individuals' if of_haplotypes else 'haplotypes'}"
        if others == rows:
            return f"{other} gives {rows}"
        if rows < self.rows:
            return f"choose samples with --{self.reader}.populations FILE"
        if rows < others:
            return f"{other} gives {others}, of which --{self.reader}.populations FILE chooses some"
        return "these are too few, so data of more samples are needed"


def _require_sorted(variants: Variants) -> None:
    import numpy as np

    contig, positions = variants.contig, variants.positions
    new = np.flatnonzero(np.diff(contig)) + 1
    is_twice = len({int(one) for one in contig[[0, *new]]}) < len(new) + 1 if len(contig) else False
    falls = (np.diff(positions) < 0) & (np.diff(contig) == 0)
    if is_twice or falls.any() or (len(positions) and positions.min() < 0):
        raise cnnvis.UserError(
            f"the variants in {str(variants.path)!r} are not sorted by contig and position: sort them, as by "
            "bcftools sort"
        )


def _require_inside(variants: Variants) -> None:
    """Refuse variants beyond the ends of contigs: the lengths, or the positions, are of another genome."""
    import numpy as np

    for last in [*np.flatnonzero(np.diff(variants.contig)), len(variants.contig) - 1]:
        if last < 0:
            return
        name, place = variants.contigs[variants.contig[last]], variants.positions[last]
        size = variants.sizes.get(name)
        if size is not None and place >= size:
            raise cnnvis.UserError(
                f"{str(variants.path)!r} has a variant at {name}:{place + 1:,}, and says that {name} has "
                f"{counted(size, 'base')}: the lengths of contigs may be those of another assembly. Write the right ones, "
                "as by bcftools reheader --fai"
            )


def _none_left(variants: Variants, asked: Asked) -> str:
    """Return the sentence about data that give no image."""
    import numpy as np

    what, option = repr(str(variants.path)), f"--{variants.reader}"
    where = "" if asked.contig is None else f" of the contig {asked.contig}"
    chosen = [n for n, name in enumerate(variants.contigs) if asked.contig in (None, name)]
    counts = {n: int(np.count_nonzero(variants.contig == n)) for n in chosen}
    if not sum(counts.values()):
        return f"{what} has no variants{where}, and so no image"
    if asked.snps is not None:
        most = max(counts, key=counts.__getitem__)
        return (
            f"an image of {option}.snps {asked.snps} needs as many variants of one contig, and in {what} "
            f"{variants.contigs[most]} has {counts[most]}{'' if where else ', the most of all contigs'}: take at most "
            f"{option}.snps {counts[most]}"
        )
    names = [variants.contigs[n] for n in counts if counts[n]]
    longest = max(names, key=lambda name: variants.sizes.get(name, 0))
    has = variants.sizes.get(longest)
    return (
        f"{what} has no image of {option}.bases {asked.bases} that holds a variant and ends inside of its contig"
        + (
            f"; {'' if where else 'the longest contig, '}{longest}{'' if where else ','} has {counted(has, 'base')}"
            if has
            else ""
        )
        + f": take fewer, or say where images are with {option}.intervals FILE.bed"
    )


def _windows(variants: Variants, asked: Asked) -> tuple[list[_Window], Any]:
    """Return the windows that become images, and their labels."""
    import numpy as np

    parts = {}
    for number, name in enumerate(variants.contigs):
        own = np.flatnonzero(variants.contig == number)
        if len(own) and asked.contig in (None, name):
            parts[number] = (int(own[0]), int(own[-1]) + 1)
    if asked.intervals is not None:
        return _of_intervals(variants, asked, parts)
    if asked.snps is None:
        return _of_bases(variants, asked, parts), None
    found: list[_Window] = []
    left_out, step = 0, asked.step or asked.snps
    for number, (first, last) in parts.items():
        begins = range(0, last - first - asked.snps + 1, step)
        left_out += last - first - (begins[-1] + asked.snps if begins else 0)
        found += [_Window(number, first + one, first + one + asked.snps, 0, 0) for one in begins]
    if left_out and found:
        are = "is too little" if left_out == 1 else "are too few"
        cnnvis.note(
            f"{counted(left_out, 'variant')} at the ends of contigs {are} for an image and left out"
        )
    return found, None


def _of_bases(
    variants: Variants, asked: Asked, parts: Mapping[int, tuple[int, int]]
) -> list[_Window]:
    import numpy as np

    assert asked.bases is not None
    found: list[_Window] = []
    every, empty, beyond, step = 0, 0, 0, asked.step or asked.bases
    for number, (first, last) in parts.items():
        positions = variants.positions[first:last]
        begins = range(int(positions[0]) // step * step, int(positions[-1]) + 1, step)
        if len(begins) > _MOST:
            raise cnnvis.UserError(
                f"there would be {len(begins)} images, more than {_MOST}: take a larger step"
            )
        # What lies behind the end would look like a stretch without diversity.
        size = variants.sizes.get(variants.contigs[number], math.inf)
        starts = np.array(begins)
        starts = starts[starts + asked.bases <= size]
        beyond, every = beyond + len(begins) - len(starts), every + len(begins)
        lows = np.searchsorted(positions, starts)
        highs = np.searchsorted(positions, starts + asked.bases)
        empty += int((lows == highs).sum())
        found += [
            _Window(number, first + int(low), first + int(high), start, start + asked.bases)
            for start, low, high in zip(starts.tolist(), lows, highs, strict=True)
            if low < high
        ]
    if found:
        _say_left_out(variants.reader, every, empty, beyond)
    unknown = [variants.contigs[n] for n in parts if variants.contigs[n] not in variants.sizes]
    if unknown:
        cnnvis.note(
            f"the length of {unknown[0] if len(unknown) == 1 else f'{len(unknown)} contigs'} is not known, so the last "
            "image of a contig may reach beyond its end, and looks there as if nothing varied; lines ##contig in a VCF "
            "file give lengths"
        )
    return found


def _say_left_out(reader: str, every: int, empty: int, beyond: int) -> None:
    reasons = [f"{empty} without a variant"] if empty else []
    reasons += (
        [f"{beyond} that would reach beyond the end of {'its contig' if beyond == 1 else 'their contigs'}"]
        if beyond
        else []
    )  # fmt: skip
    if reasons:
        cnnvis.note(
            f"{empty + beyond} of {counted(every, 'window')} {'is' if empty + beyond == 1 else 'are'} left out: {' and '.join(reasons)}. Windows are those "
            "from the first variant of a contig to its last, and images are numbered without what is left out, so number "
            f"lines of tables by images, not by windows; --{reader}.intervals FILE.bed keeps all its intervals"
        )


def _of_intervals(
    variants: Variants, asked: Asked, parts: Mapping[int, tuple[int, int]]
) -> tuple[list[_Window], Any]:
    import numpy as np

    assert asked.intervals is not None
    chosen = cnnvis.intervals_in(Path(asked.intervals))
    numbers = {variants.contigs[number]: number for number in parts}
    windows, empty = [], 0
    for one in chosen:
        if one.contig not in numbers:
            raise cnnvis.UserError(
                f"{str(variants.path)!r} has no variants of the contig {one.contig!r} ({one.where}); it has "
                f"{', '.join([*numbers][:8])}"
            )
        size = variants.sizes.get(one.contig)
        if size is not None and one.end > size:
            raise cnnvis.UserError(
                f"{one.words} reaches beyond the end of {one.contig}, which has {counted(size, 'base')} in "
                f"{str(variants.path)!r}: an image cannot hold what lies behind, so end the interval there, or leave it out"
            )
        number = numbers[one.contig]
        first, last = parts[number]
        low, high = np.searchsorted(variants.positions[first:last], [one.start, one.end])
        empty += int(low == high)
        windows.append(_Window(number, first + int(low), first + int(high), one.start, one.end))
    if empty:
        are = (
            "has no variant, and its image is 0"
            if empty == 1
            else "have no variant, and their images are 0"
        )
        cnnvis.note(f"{counted(empty, 'interval')} {are}")
    return windows, labels_in(chosen, asked.label)


@dataclass(frozen=True)
class _Rows:
    """Rows of images: the samples that they are of, and the population of each row."""

    samples: Any
    populations: Sequence[str]
    blocks: Sequence[tuple[str, int, int]]  # of each population, the first row and the end

    @classmethod
    def of(cls, variants: Variants, asked: Asked) -> _Rows:
        import numpy as np

        known = _populations(variants, asked)
        order = [*dict.fromkeys(known.values())]
        names = variants.samples
        kept = [n for one in order for n, name in enumerate(names) if known.get(name) == one]
        each = variants.ploidy if asked.rows == "haplotypes" else 1
        if each > 1 and not variants.phased:
            cnnvis.note(
                f"genotypes of {variants.path.name} are not phased, so which of an individual's alleles stand in one "
                f"row is arbitrary: --{variants.reader}.rows individuals adds them up"
            )
        populations = [known[names[n]] for n in kept for _ in range(each)]
        blocks = [
            (one, populations.index(one), populations.index(one) + populations.count(one))
            for one in order
            if one in populations
        ]
        if asked.sort not in (None, "all", *(one for one, _, _ in blocks)):
            there = ", ".join(one for one, _, _ in blocks if one) or "none are known"
            raise cnnvis.UserError(
                f"there is no population {asked.sort!r} to sort by; populations: {there}, or all"
            )
        return cls(np.array(kept, np.int64), populations, blocks)


def _populations(variants: Variants, asked: Asked) -> dict[str, str]:
    """Return the population of each sample that is to be a row; empty words where none are known."""
    names = variants.samples
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise cnnvis.UserError(f"{str(variants.path)!r} names the sample {twice!r} twice")
    if asked.populations is None:
        of = variants.populations or [""] * len(names)
        return dict(zip(names, of, strict=True))
    path = Path(asked.populations)
    known: dict[str, str] = {}
    for number, line in enumerate(cnnvis.read_text(path).splitlines(), 1):
        cells = [cell.strip() for cell in (line.split("\t") if "\t" in line else line.split())]
        if not any(cells) or line.startswith("#"):
            continue
        if len(cells) < 2 or not all(cells[:2]):
            raise cnnvis.UserError(
                f"line {number} of {str(path)!r} is {line[:60]!r}, and must be a sample, a tab and its population"
            )
        if cells[0] in known:
            raise cnnvis.UserError(f"{str(path)!r} names the sample {cells[0]!r} twice")
        known[cells[0]] = cells[1]
    there = set(names)
    first = next(iter(known), "")
    found = {name: of for name, of in known.items() if name in there}
    if not found:
        raise cnnvis.UserError(
            f"{str(path)!r} names none of the samples in {str(variants.path)!r}, which are "
            f"{', '.join(names[:5])}{' ...' if len(names) > 5 else ''}"
        )
    strange = [name for name in known if name not in there]
    if strange and strange[0] == first and first.lower() in _HEADINGS:
        del strange[0]
    if strange:
        cnnvis.note(
            f"{counted(len(strange), 'sample')} of {path.name} {'is' if len(strange) == 1 else 'are'} not in "
            f"{variants.path.name}: {listed(strange)}"
        )
    if left := len(names) - len(found):
        cnnvis.note(
            f"{counted(left, 'sample')} without a population in {path.name} {'is' if left == 1 else 'are'} left out"
        )
    return found


class _Images:
    """Images of genotypes, (n, rows, columns) int16, read when they are indexed."""

    def __init__(
        self,
        variants: Variants,
        asked: Asked,
        windows: Sequence[_Window],
        rows: _Rows,
        length: int,
    ) -> None:
        import numpy as np

        self._variants, self._asked, self._windows, self._rows = variants, asked, windows, rows
        self._length, self._said = length, set[str]()
        each = (len(rows.populations), length)
        self.shape = (len(windows), *(each if asked.along == "column" else each[::-1]))
        self.dtype = np.dtype(np.int16)

    def __getitem__(self, index: Any) -> Any:
        return gathered(
            index, lambda place: self._one(self._windows[place]), self.shape, self.dtype
        )

    def _one(self, window: _Window) -> Any:
        import numpy as np

        counts = self._counts(window)
        if not self._asked.snps:
            length, width = self._length, window.end - window.start
            offsets = self._variants.positions[window.first : window.last] - window.start
            binned = np.zeros((length, counts.shape[1]), np.int16)
            np.add.at(binned, offsets * length // width, counts)
            counts = binned
        image = self._sorted(counts.T)
        return image if self._asked.along == "column" else image.T

    def _counts(self, window: _Window) -> Any:
        """Return how many counted alleles each row has of each variant, (variants, rows) int16."""
        import numpy as np

        variants = self._variants
        count = (window.last - window.first) * len(variants.samples) * variants.ploidy
        if count > _LARGEST:
            raise cnnvis.UserError(
                f"an image of {window.last - window.first} variants holds {count} genotypes, far too many: "
                "take fewer bases"
            )
        alleles = np.asarray(variants.read(window.first, window.last))[:, self._rows.samples]
        self._say_absent(alleles)
        hits = alleles > 0
        if self._asked.alleles == "minor":
            known = alleles >= 0
            often = 2 * hits.sum(axis=(1, 2)) > known.sum(axis=(1, 2))
            hits = np.where(often[:, None, None], known & ~hits, hits)
        if self._asked.rows == "individuals":
            return hits.sum(axis=2, dtype=np.int16)
        return hits.reshape(len(hits), len(self._rows.populations)).astype(np.int16)

    def _say_absent(self, alleles: Any) -> None:
        """Make a note, once each, on alleles that are unknown and on those that no sample has."""
        if not (alleles < 0).any():
            return
        # A lone dot is an unknown genotype of as many alleles as others have.
        lone = (alleles[:, :, :1] == -1) & (alleles < 0).all(axis=2, keepdims=True)
        unknown = (alleles == -1) | lone
        none = (alleles == -2) & ~lone
        if unknown.any() and "unknown" not in self._said:
            self._said.add("unknown")
            cnnvis.note(
                f"unknown genotypes are taken for the reference: {unknown.sum() / (~none).sum():.1%} of the alleles "
                "in the first image that has such. Impute them, or leave these variants out, where that is not right"
            )
        if none.any() and "none" not in self._said:
            self._said.add("none")
            fewer = none.any(axis=(0, 2)).nonzero()[0]
            names = [self._variants.samples[self._rows.samples[n]] for n in fewer]
            ploidy, is_one = alleles.shape[2], len(fewer) == 1
            kind = "haploid among diploids" if ploidy == 2 else f"of fewer than {ploidy} alleles"
            what = (
                "rows of haplotypes that do not exist are 0, as the reference is"
                if self._asked.rows == "haplotypes"
                else "fewer alleles are added up for these rows than for others"
            )
            cnnvis.note(
                f"{counted(len(fewer), 'sample')} {'is' if is_one else 'are'} {kind} in an image ({listed(names)}), "
                f"as on the X chromosome: {what}. --{self._variants.reader}.populations FILE leaves out samples that it does not name"
            )

    def _sorted(self, image: Any) -> Any:
        import numpy as np

        asked, blocks = self._asked.sort, self._rows.blocks
        if asked is None:
            return image
        ends = {name: (first, last) for name, first, last in blocks}
        first, last = ends.get(asked, (0, len(image)))
        middle = image[first:last].mean(axis=0)
        far = ((image - middle) ** 2).sum(axis=1)
        order = [np.argsort(far[a:b], kind="stable") + a for a, b in ends.values()]
        return image[np.concatenate(order)]
