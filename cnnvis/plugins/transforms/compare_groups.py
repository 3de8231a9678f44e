"""Test whether the maps of groups of images differ by more than chance, and where."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

import cnnvis
from cnnvis.plugins.transforms._comparison_words import (
    about_design,
    about_maps,
    about_shape,
    finds_shape,
    outcome,
    titles,
)
from cnnvis.plugins.transforms._grouping import Grouping, check_samples, kind_of_labels
from cnnvis.plugins.transforms._shared_place import SharedPlace, placed

if TYPE_CHECKING:
    import numpy.typing as npt

Part = Literal["difference", "differs", "low", "high", "statistic", "effect", "p"]

SIGNED = {"difference", "differs", "low", "high", "statistic", "effect"}

UNLABELLED = (1,)
"""Key of the group of images without a label; see `cnnvis.Samples.label_groups`."""

MOST_REGIONS = 50
"""Largest number of regions that are listed."""


def _check(
    *,
    by: str,
    of: tuple[str, str] | None,
    alpha: float,
    threshold: float,
    level: float | None,
    **_: object,
) -> None:
    if of is not None and of[0] == of[1]:
        raise cnnvis.UserError(f"--of names the group {of[0]!r} twice, and two groups are compared")
    if by == "all" and of is not None:
        raise cnnvis.UserError(
            "--by all is a single group, which is compared with zero: leave --of"
        )
    shares = {"alpha": alpha, "threshold": threshold, "level": 0.5 if level is None else level}
    for name, value in shares.items():
        if not 0 < value < 1:
            raise cnnvis.UserError(f"{name} is {value:g}, and must be between 0 and 1")


@dataclass
class _Given:
    """Batches of the stream, given to a comparison with what tables say of their images."""

    grouping: Grouping
    blocks: cnnvis.Column | None
    paired: cnnvis.Column | None
    covariates: Sequence[cnnvis.Column]
    along: str | None
    of: tuple[str, str] | None = None
    names: dict[Any, str] = field(default_factory=dict)
    targets: dict[Any, cnnvis.Target] = field(default_factory=dict)
    numbers: dict[str, tuple[str, ...] | None] = field(default_factory=dict)
    is_negative: bool = False
    place: SharedPlace = field(default_factory=SharedPlace)

    def maps(self, one: cnnvis.Explanation) -> tuple[npt.NDArray[Any], tuple[str, ...]]:
        """Return the maps, in the mean over all axes but the chosen one, and their axes."""
        import numpy as np

        known = np.isfinite(one.array).reshape(len(one), -1).all(axis=1)
        if not known.all():
            place = int(known.argmin())
            image = place if one.samples is None else int(one.samples.indices[place])
            raise cnnvis.UserError(
                f"the map of image {image} holds NaN or infinite values, and has no mean with others: "
                "leave the image out"
            )
        self.is_negative = self.is_negative or bool((one.array < 0).any())
        if self.along is None:
            return one.array, one.axes
        if self.along not in one.axes:
            raise cnnvis.UserError(
                f"the maps have no axis {self.along!r}; they have: {', '.join(one.axes)}"
            )
        place = one.axes.index(self.along) + 1
        rest = tuple(axis for axis in range(1, one.array.ndim) if axis != place)
        return one.array.mean(axis=rest, dtype=np.float64), (self.along,)

    def groups(self, one: cnnvis.Explanation) -> list[Any]:
        """Return the key of each image's group."""
        found = []
        for place, groups in enumerate(self.grouping.of(one)):
            if len(groups) > 1:
                raise cnnvis.UserError(
                    "an image with several labels is in several groups, and groups with the same images "
                    "cannot be compared: group by a table with one group for each image"
                )
            ((key, name),) = groups
            self.names[key] = name
            if one.targets:
                target = one.targets[place]
                self.targets.setdefault((target.layer, target.filters), target)
            found.append(key)
        if one.has_several_targets and len(self.targets) > 1:
            raise cnnvis.UserError(
                "the images have maps of several targets, which are no groups of images: put select "
                "--target NAME before it"
            )
        samples = one.samples
        self.grouping.require_few(kind_of_labels(one), len(self.names))
        if self.grouping.by == "label" and self.of is None and samples is not None:
            lacking = [place for place, key in enumerate(found) if key == UNLABELLED]
            if lacking and samples.label_kind == "class":
                raise cnnvis.UserError(
                    f"{len(lacking)} of {len(one)} images have no label, such as image "
                    f"{int(samples.indices[lacking[0]])}: --of A B compares two groups of the others"
                )
        return found

    def rows(self, samples: cnnvis.Samples) -> npt.NDArray[Any] | None:
        """Return the covariates of the images: numbers, and words as 0 and 1 for each but the first."""
        import numpy as np

        columns: list[Any] = []
        for one in self.covariates:
            words = self._words(one)
            values = one.of(samples)
            if words is None:
                columns.append([float(value) for value in values])
            else:
                columns += [[float(value == word) for value in values] for word in words[1:]]
        return np.array(columns, np.float64).T if columns else None

    def covariate_names(self) -> list[str]:
        found = []
        for one in self.covariates:
            words = self._words(one)
            found += [one.source] if words is None else [f"{one.source} {w}" for w in words[1:]]
        return found

    def _words(self, one: cnnvis.Column) -> tuple[str, ...] | None:
        """Return the values of a column of words, None of numbers."""
        if one.source not in self.numbers:
            odd = [value for value in one.values if not _is_number(value)]
            if odd and 2 * len(odd) < len(one.values):
                place = one.values.index(odd[0])
                raise cnnvis.UserError(
                    f"{one.source}: line {place + 1} below the heading holds {odd[0]!r}, and most lines hold numbers; "
                    "give each image a number, or leave the images without a number out"
                )
            self.numbers[one.source] = _few(one) if odd else None
        return self.numbers[one.source]


def _is_number(value: str) -> bool:
    import math

    try:
        return math.isfinite(float(value))
    except ValueError:
        return False


def _few(one: cnnvis.Column) -> tuple[str, ...]:
    words = tuple(sorted(set(one.values)))
    if len(words) > 20:
        raise cnnvis.UserError(
            f"{one.source}: a covariate is a number for each image, or a word of few, and this column holds "
            f"{len(words)} words, such as {words[0]!r}"
        )
    return words


def _check_samples(
    samples: cnnvis.Samples,
    *,
    by: str,
    blocks: str | None,
    paired: str | None,
    covariates: str | None,
    **_: Any,
) -> None:
    check_samples(samples, by=by)
    columns = [_column(blocks, by, "blocks"), _column(paired, by, "paired")]
    columns += cnnvis.columns_of(covariates, by) if covariates is not None else ()
    for one in columns:
        if one is not None:
            one.of(samples)


@cnnvis.transform(
    "compare-groups",
    takes=["images"],
    gives="groups",
    check=_check,
    check_samples=_check_samples,
)
def compare_groups(
    stream: cnnvis.Stream,
    *,
    by: str = "label",
    of: tuple[str, str] | None = None,
    blocks: str | None = None,
    paired: str | None = None,
    covariates: str | None = None,
    along: str | None = None,
    correct: Literal["max", "step-down", "cluster", "tfce", "bh", "by"] = "max",
    alpha: cnnvis.Share = 0.05,
    spread: Literal["any", "equal"] = "any",
    permutations: cnnvis.Count = 1000,
    threshold: cnnvis.Share = 0.001,
    level: cnnvis.Share | None = 0.95,
    maps: tuple[Part, ...] | None = None,
    seed: cnnvis.Seed = 0,
) -> cnnvis.Explanation:
    """Test whether the maps of groups of images differ by more than chance, and where.

    At each place, Welch's t of the difference of the means of two groups; of more groups Welch's F, of a
    single one the mean against zero. The p-values come from permutations of the groups, and are
    corrected for the number of places.

    Parameters
    ----------
    by
        The groups: label, prediction, place, all (one group against zero), a column of a table beside the data
        (FILE.tsv:COLUMN), or a file with a group for each image, one group a line.
    of
        The names of two groups: the first minus the second. By default all groups; of two, the second
        minus the first.
    blocks
        The unit of sampling of each image, such as its subject: FILE.tsv:COLUMN, a column of the
        table of --by, or a file with a name a line. Whole units are exchanged, and count once each.
        Without it, images are taken as independent.
    paired
        The pair of each image, as a table's column or a file: each pair holds images of both groups, and
        their differences are tested.
    covariates
        Columns of a table, FILE.tsv:AGE,SITE: what these explain is taken out first. Only for two groups.
    along
        The axis to compare along: column, row, plane, position, channel. The maps are averaged over all
        other axes first, so that there are fewer places to test.
    correct
        What is held at alpha over all places. max: the probability of a single false place, by the
        largest statistic. step-down: the same, with slightly more power. cluster: the probability of
        a single false cluster, by its mass; tfce: by threshold-free cluster enhancement. bh, by: the
        share of false places among those found, by Benjamini and Hochberg, or Benjamini and Yekutieli.
    alpha
        The error rate.
    spread
        any: a difference in spread alone is not to be found, for which p is the larger one of
        permutations and of a wild bootstrap. equal: permutations alone, which find any difference.
    permutations
        The number of permutations; fewer where there are no more.
    threshold
        The p-value of a single place from which on it belongs to a cluster, for correct = cluster.
    level
        The level of the interval of the difference, at each place by itself; none for no interval.
    maps
        The maps to return: difference; differs, the difference where p is at most alpha and 0
        elsewhere; low and high, the ends of the interval; statistic; effect, Hedges' g; p. By default
        difference and differs, and of profiles low and high as well.
    seed
        The seed of the random numbers.
    """
    given = _Given(
        Grouping(by),
        _column(blocks, by, "blocks"),
        _column(paired, by, "paired"),
        cnnvis.columns_of(covariates, by) if covariates is not None else (),
        along,
        of,
    )
    plan = cnnvis.GroupPlan(correct, spread, permutations, threshold, level, seed)
    with ExitStack() as closing:
        example, comparison = _gathered(stream, given, plan, closing)
        names = _ordered(given.names, of)
        if len(names) == 1 and not given.is_negative:
            raise cnnvis.UserError(
                "one group is compared with zero, and no value of its maps is below zero: their mean is above "
                "zero wherever any map shows anything. Compare two groups, or maps with signs"
            )
        about_maps(example, by, given.targets)
        design = comparison.design(names, is_paired=paired is not None)
        test = comparison.test(design)
        regions = comparison.regions(test, alpha)
    about_design(design, test, correct, alpha, known=blocks is not None or paired is not None)
    or_shape = finds_shape(design, test, plan)
    if or_shape:
        about_shape(design, test, plan)
    said = outcome(design, test, regions, correct, alpha, example, or_shape)
    cnnvis.note(said if example.input is None else f"input {example.input!r}: {said}")
    parts = maps or _usual(design, test, example)
    targets = [replace(one, score=None, probability=None) for one in given.targets.values()]
    rows = [
        {**_row(one, design, example), **_interval(one, test, comparison.shape)}
        for one in regions[:MOST_REGIONS]
    ]
    facts = {
        "outcome": said,
        "tested": "means, spreads or shapes" if or_shape else "means",
        "groups": list(design.groups),
        "units": list(design.counts),
        "images": list(design.images),
        "draws": {null.what: null.draws.count for null in test.nulls},
        "smallest p": float(test.p.min()),
        "regions": rows,
        "regions in all": len(regions),
    }
    return replace(
        example,
        own_places=None if example.own_places is None else example.own_places.repeated(len(parts)),
        maps=_stacked(parts, test, alpha, comparison.shape),
        titles=titles(parts, design, correct, alpha, level, or_shape),
        groups=tuple(parts),
        targets=tuple(targets) * len(parts) if len(targets) == 1 else (),
        signed=len(design.groups) < 3 and bool(SIGNED & {*parts}),
        provenance={**example.provenance, "comparison": facts},
    )


def _column(words: str | None, by: str, option: str) -> cnnvis.Column | None:
    if words is None:
        return None
    found = cnnvis.columns_of(words, by)
    if len(found) != 1:
        raise cnnvis.UserError(f"--{option} takes one column, and {words!r} names {len(found)}")
    return found[0]


def _gathered(
    stream: cnnvis.Stream, given: _Given, plan: cnnvis.GroupPlan, closing: ExitStack
) -> tuple[cnnvis.Explanation, cnnvis.GroupComparison]:
    """Return an explanation with a single map as an example, and the comparison with the maps of all images."""
    comparison: Any = None
    example: Any = None
    for one in stream:
        found, axes = given.maps(one)
        samples = one.samples
        assert samples is not None
        if comparison is None:
            comparison = closing.enter_context(
                cnnvis.GroupComparison(
                    plan,
                    found.shape[1:],
                    channel=axes.index("channel") if "channel" in axes and len(axes) > 1 else None,
                    covariates=given.covariate_names(),
                    one_each=given.blocks is None and given.paired is None,
                )
            )
            kept = {name: axis for name, axis in one.coordinates.items() if name in axes}
            example = replace(
                one, maps=found[:1], axes=axes, samples=None, targets=(), titles=(), measures={},
                curves={}, predictions=None, coordinates=kept, other_inputs=(),
            )  # fmt: skip
        groups = given.groups(one)
        given.place.add(
            one.image_places,
            [
                place
                for place, key in enumerate(groups)
                if given.of is None or given.names[key] in given.of
            ],
        )
        pairs = None if given.paired is None else given.paired.of(samples)
        units = pairs if given.blocks is None else given.blocks.of(samples)
        units = samples.indices.tolist() if units is None else units
        comparison.add(found, groups, units, pairs, given.rows(samples))
    if comparison is None:
        raise cnnvis.UserError("there is no map to compare")
    return replace(example, **placed([given.place], example.provenance)), comparison


def _ordered(names: Mapping[Any, str], of: tuple[str, str] | None) -> dict[Any, str]:
    """Return the names of the groups that are compared, by their keys: the last minus the first."""
    if of is None:
        return {key: names[key] for key in sorted(names)}
    keys = {name: key for key, name in names.items()}
    for name in of:
        if name not in keys:
            raise cnnvis.UserError(
                f"there is no group {name!r}; there are: {', '.join(sorted(keys))}"
            )
    return {keys[name]: name for name in reversed(of)}


def _usual(
    design: cnnvis.GroupDesign, test: cnnvis.GroupTest, example: cnnvis.Explanation
) -> tuple[Part, ...]:
    band: tuple[Part, ...] = ("low", "high")
    is_profile = len(example.axes) == 1 and test.low is not None
    return ("difference", "differs", *(band if is_profile else ()))


def _stacked(
    parts: Sequence[Part], test: cnnvis.GroupTest, alpha: float, shape: tuple[int, ...]
) -> npt.NDArray[Any]:
    import numpy as np

    if test.low is None and {"low", "high"} & {*parts}:
        raise cnnvis.UserError(
            "there is no interval of the difference to show: it takes a --level, two groups at most, and four "
            "units of each"
        )
    every = {
        "difference": test.difference,
        "differs": np.where(test.p <= alpha, test.difference, 0),
        "low": test.low,
        "high": test.high,
        "statistic": np.nan_to_num(test.statistic, posinf=1e6, neginf=-1e6),
        "effect": test.effect,
        "p": test.p,
    }
    return np.stack([np.asarray(every[one]).reshape(shape) for one in parts]).astype(np.float32)


def _row(
    one: cnnvis.GroupRegion, design: cnnvis.GroupDesign, example: cnnvis.Explanation
) -> dict[str, Any]:
    """Return a region as a row of a table: places as numbers, and as coordinates where they have a meaning."""
    found: dict[str, Any] = {}
    places = example.places
    if len(design.groups) == 2:
        found["larger in"] = design.groups[-1 if one.sign > 0 else 0]
    for place, name in enumerate(example.axes):
        found[f"{name} start"], found[f"{name} stop"] = one.start[place], one.stop[place]
        found[f"{name} of peak"] = one.peak[place]
        axis = example.coordinates.get(name)
        if axis is not None:
            label = axis.label(name)
            found[f"first {label}"] = axis.coordinate(one.start[place])
            found[f"last {label}"] = axis.coordinate(one.stop[place] - 1)
            found[label] = axis.coordinate(one.peak[place])
        if places is not None and places.axis == name:
            found["place"] = places.at(0, one.peak[place])
    values = asdict(one)
    found |= {"places": one.places, "p": one.p}
    names = {"difference": "difference", "statistic": "t", "effect": "g"}
    if len(design.groups) > 2:
        names = {"statistic": "F", "effect": "omega squared"}
    return found | {name: values[key] for key, name in names.items()}


def _interval(
    one: cnnvis.GroupRegion, test: cnnvis.GroupTest, shape: tuple[int, ...]
) -> dict[str, float]:
    """Return the interval of the difference at the peak of a region, where there is one."""
    import numpy as np

    if test.low is None or test.high is None:
        return {}
    ends = {"low": test.low, "high": test.high}
    return {
        name: float(np.asarray(values).reshape(shape)[one.peak]) for name, values in ends.items()
    }
