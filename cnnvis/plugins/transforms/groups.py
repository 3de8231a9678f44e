"""Common features of the maps of a group of images, and differences between groups."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import cnnvis
from cnnvis.plugins.transforms._grouping import (
    Grouping,
    Groups,
    Images,
    OwnGroups,
    check_samples,
    kind_of_labels,
)
from cnnvis.plugins.transforms._shared_place import SharedPlace, placed

if TYPE_CHECKING:
    import numpy.typing as npt


@dataclass
class _Sums:
    """Mean and squared deviations of the maps of a group.

    Two samples of sizes n and m, with means a and b, together have the mean a + (b - a) m / (n + m)
    and the squared deviations of both plus (b - a)^2 n m / (n + m): Chan et al. 1983, after Welford.
    """

    target: cnnvis.Target | None = None
    count: int = 0
    mean: Any = 0.0
    squares: Any = 0.0
    targets: Counter[str] = field(default_factory=Counter)
    place: SharedPlace = field(default_factory=SharedPlace)

    @classmethod
    def of(cls, one: cnnvis.Explanation, maps: npt.NDArray[Any], members: Sequence[int]) -> _Sums:
        """Return the sums of some of the maps of a batch."""
        import numpy as np

        own = maps[np.asarray(members)]
        mean = own.mean(axis=0, dtype=np.float64)
        squares = np.square(own - mean, dtype=np.float64).sum(axis=0)
        found = cls(one.targets[members[0]] if one.targets else None, len(own), mean, squares)
        found.place.add(one.image_places, members)
        if one.targets:
            found.targets.update(str(one.targets[place]) for place in members)
        return found

    def add(self, other: _Sums) -> None:
        total = self.count + other.count
        apart = other.mean - self.mean
        self.target = self.target or other.target
        self.squares = self.squares + other.squares + apart**2 * (self.count * other.count / total)
        self.mean = self.mean + apart * (other.count / total)
        self.count = total
        self.targets.update(other.targets)
        self.place.join(other.place)


@dataclass
class _Groups:
    """Groups of maps, in order, and the common features of their maps.

    Attributes
    ----------
    found
        The name of each group and the sums of its maps, by the key that sorts it.
    example
        A result with a single map, for what the results of groups have in common with it.
    targets
        The outputs that the maps explain.
    """

    found: dict[Any, tuple[str, _Sums]] = field(default_factory=dict)
    example: cnnvis.Explanation | None = None
    has_several_targets: bool = False
    label_kind: str | None = None
    images: Images | None = None
    targets: set[Any] = field(default_factory=set)

    @classmethod
    def of(cls, one: cnnvis.Explanation, maps: npt.NDArray[Any], by: Grouping) -> _Groups:
        """Return the groups of a batch."""
        members: dict[Any, list[int]] = {}
        names: dict[Any, str] = {}
        groups = by.of(one)
        for place, own in enumerate(_of_one_target(one, groups)):
            for key, name in own:
                members.setdefault(key, []).append(place)
                names[key] = name
        found = cls(
            {key: (names[key], _Sums.of(one, maps, mine)) for key, mine in members.items()},
            _with_one_map(one),
            one.has_several_targets,
            kind_of_labels(one),
            by.images(one, groups),
            {(target.layer, target.filters) for target in one.targets},
        )
        by.require_few(found.label_kind, len(found.found))
        return found

    def add(self, other: _Groups, by: Grouping) -> None:
        self.example = self.example or other.example
        self.has_several_targets = self.has_several_targets or other.has_several_targets
        self.targets |= other.targets
        for key, (name, sums) in other.found.items():
            self.found.setdefault(key, (name, _Sums()))[1].add(sums)
        by.look_at(other.images)
        by.require_few(other.label_kind, len(self.found))

    def result(self, value: Callable[[_Sums], Any], what: str) -> cnnvis.Explanation:
        from dataclasses import replace

        import numpy as np

        assert self.example is not None
        ordered = [self.found[key] for key in sorted(self.found)]
        _say_mixed(ordered, what)
        targets: tuple[cnnvis.Target, ...] = ()
        if self.example.targets:
            one = replace(self.example.targets[0], score=None, probability=None)
            if len(self.targets) > 1:
                one = replace(one, filters=(), class_names=None)
            targets = (one,) * len(ordered)
            if self.has_several_targets:  # each group has maps of a single one
                targets = tuple(
                    replace(sums.target, score=None, probability=None)
                    for _, sums in ordered
                    if sums.target is not None
                )
        return replace(
            self.example,
            maps=np.stack([value(sums) for _, sums in ordered]),
            samples=None,
            targets=targets,
            groups=tuple(name for name, _ in ordered),
            **placed([sums.place for _, sums in ordered], self.example.provenance),
            measures={},
            curves={},
            frames=None,
            titles=tuple(
                f"{what} of {name} ({sums.count} image{'s' if sums.count > 1 else ''})"
                for name, sums in ordered
            ),
        )


SHOWN = 5
"""Maximum number of targets of a group that are named, the most frequent first."""


def _say_mixed(ordered: Sequence[tuple[str, _Sums]], what: str) -> None:
    """Make a note on groups with maps of several targets, which explain different things."""
    mixed = [(name, sums.targets) for name, sums in ordered if len(sums.targets) > 1]
    if not mixed:
        return
    name, targets = mixed[0]
    counted = [f"{number} of {target}" for target, number in targets.most_common(SHOWN)]
    rest = len(targets) - len(counted)
    others = len(mixed) - 1
    cnnvis.note(
        f"the {what} of {name!r} is taken over maps of several targets "
        f"({', '.join(counted)}{f' and {rest} more' if rest else ''})"
        + (f", also in {others} other group{'s' if others > 1 else ''}" if others else "")
        + "; --class NAME explains the same class for all images"
    )


def _of_one_target(one: cnnvis.Explanation, groups: OwnGroups) -> OwnGroups:
    """Return the groups of the maps, of one target each.

    Where images have maps of several targets, a group holds those of one: maps of two classes have
    no mean that means anything.
    """
    if not one.has_several_targets or not one.targets:
        return groups
    return [
        [((key, target.layer, target.filters), f"{name}, {target}") for key, name in own]
        for own, target in zip(groups, one.targets, strict=True)
    ]


def _with_one_map(one: cnnvis.Explanation) -> cnnvis.Explanation:
    """Return a batch with its first map and without images, which is soon pickled."""
    from dataclasses import replace

    return replace(
        one, maps=one.array[:1].copy(), samples=None, titles=one.titles[:1], targets=one.targets[:1], groups=(),
        measures={}, predictions=None, curves={}, frames=None, own_places=None, own_grids=None, other_inputs=(),
    )  # fmt: skip


def _sums(*, by: str, scaled: bool) -> Callable[[cnnvis.Explanation], _Groups]:
    """Return a function that gives the groups of a batch, for `average` and `deviation`."""
    grouping = Grouping(by)

    def sums(one: cnnvis.Explanation) -> _Groups:
        return _Groups.of(one, cnnvis.unit_scaled(one.array) if scaled else one.array, grouping)

    return sums


def _gathered(stream: cnnvis.Stream, by: str, scaled: bool) -> _Groups:
    groups, grouping = _Groups(), Grouping(by)
    for one in stream.sums(_sums(by=by, scaled=scaled)):
        groups.add(one, grouping)
    return groups


@cnnvis.transform(
    "average", takes=["images"], gives="groups", sums=_sums, check_samples=check_samples
)
def average(
    stream: cnnvis.Stream, *, by: Groups = "label", scaled: bool = False
) -> cnnvis.Explanation:
    """The mean map of each group of images.

    Parameters
    ----------
    scaled
        Scale each map to [0, 1] by itself first, as CNN-vis does: then every image counts the same,
        also with a low score.
    """
    return _gathered(stream, by, scaled).result(lambda sums: sums.mean, "mean")


@cnnvis.transform(
    "deviation", takes=["images"], gives="groups", sums=_sums, check_samples=check_samples
)
def deviation(
    stream: cnnvis.Stream, *, by: Groups = "label", scaled: bool = False
) -> cnnvis.Explanation:
    """The standard deviation of the maps of each group of images, at each place.

    Parameters
    ----------
    scaled
        Scale each map to [0, 1] by itself first.
    """
    found = _gathered(stream, by, scaled)
    return found.result(lambda one: (one.squares / one.count) ** 0.5, "deviation")


def _counts(*, by: str) -> Callable[[cnnvis.Explanation], tuple[Any, ...]]:
    """Return a function that counts the images of each group of a batch, for `count`."""
    grouping = Grouping(by)

    def counts(one: cnnvis.Explanation) -> tuple[Any, ...]:
        found: dict[Any, list[Any]] = {}
        groups = grouping.of(one)
        for own in _of_one_target(one, groups):
            for key, name in own:
                found.setdefault(key, [name, 0])[1] += 1
        return found, kind_of_labels(one), grouping.images(one, groups), dict(one.provenance)

    return counts


@cnnvis.transform(
    "count", takes=["images"], gives="table", sums=_counts, check_samples=check_samples
)
def count(stream: cnnvis.Stream, *, by: Groups = "label") -> cnnvis.Explanation:
    """The number of images in each group."""
    counts: dict[Any, list[Any]] = {}
    provenance: dict[str, Any] = {}
    grouping = Grouping(by)
    for found, kind, images, facts in stream.sums(_counts(by=by)):
        grouping.look_at(images)
        provenance = facts
        for key, (name, number) in found.items():
            counts.setdefault(key, [name, 0])[1] += number
        grouping.require_few(kind, len(counts))
    ordered = [counts[key] for key in sorted(counts)]
    return cnnvis.Explanation(
        table={
            "group": [name for name, _ in ordered],
            "images": [number for _, number in ordered],
        },
        provenance=provenance,
    )


@cnnvis.transform("difference", takes=["groups"], gives="groups")
def difference(stream: cnnvis.Stream, *, of: tuple[str, str] | None = None) -> cnnvis.Explanation:
    """The map of one group minus the map of another group.

    Parameters
    ----------
    of
        The names of two groups: the first minus the second. By default, if there are two groups,
        the second minus the first: class 1 minus class 0.
    """
    from dataclasses import replace

    (one,) = stream
    names = list(one.groups)
    if of is None and len(names) != 2:
        raise cnnvis.UserError(
            f"there are {len(names)} groups, {', '.join(names)}; choose two groups with --of A B"
        )
    first, second = of or (names[1], names[0])
    for name in (first, second):
        if name not in names:
            raise cnnvis.UserError(f"there is no group {name!r}; there are: {', '.join(names)}")
    pair = [names.index(first), names.index(second)]
    maps = one.array[pair[:1]] - one.array[pair[1:]]
    place = SharedPlace()
    place.add(one.image_places, pair)
    title = f"{first} - {second}"
    targets = one.targets[:1]
    if one.targets and one.targets[pair[0]] == one.targets[pair[1]]:
        targets = (one.targets[pair[0]],)
    elif one.targets:
        targets = (replace(one.targets[0], filters=(), class_names=None),)
    return replace(
        one.with_maps(maps[:1], titles=(), targets=(), groups=()),
        titles=(title,),
        groups=(title,),
        targets=targets,
        signed=True,
        **(placed([place], one.provenance) if place.distinct else {}),
    )
