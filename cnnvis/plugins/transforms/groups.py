"""Common features of the maps of a group of images, and differences between groups."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import cnnvis
from cnnvis.plugins.transforms._grouping import Grouping, Groups
from cnnvis.plugins.transforms._shared_place import SharedPlace, placed

if TYPE_CHECKING:
    import numpy.typing as npt


@dataclass
class _Running:
    """Mean and squared deviations of many maps, a batch at a time.

    Two samples of sizes n and m, with means a and b, together have the mean a + (b - a) m / (n + m)
    and the squared deviations of both plus (b - a)^2 n m / (n + m): Chan et al. 1983, after Welford.
    """

    target: cnnvis.Target | None = None
    count: int = 0
    mean: Any = 0.0
    squares: Any = 0.0
    targets: Counter[str] = field(default_factory=Counter)
    place: SharedPlace = field(default_factory=SharedPlace)

    def add(self, maps: npt.NDArray[Any]) -> None:
        import numpy as np

        more, total = len(maps), self.count + len(maps)
        mean = maps.mean(axis=0, dtype=np.float64)
        apart = mean - self.mean
        self.squares = self.squares + np.square(maps - mean, dtype=np.float64).sum(axis=0)
        self.squares = self.squares + np.square(apart) * (self.count * more / total)
        self.mean = self.mean + apart * (more / total)
        self.count = total


@dataclass
class _Groups:
    """Groups of a stream of maps, in order, and the common features of their maps."""

    by: Grouping
    found: dict[Any, tuple[str, _Running]] = field(default_factory=dict)
    example: cnnvis.Explanation | None = None
    targets: set[Any] = field(default_factory=set)

    def add(self, one: cnnvis.Explanation, maps: npt.NDArray[Any]) -> None:
        import numpy as np

        self.example = self.example or one
        self.targets |= {(target.layer, target.filters) for target in one.targets}
        members: dict[Any, list[int]] = {}
        names: dict[Any, str] = {}
        for place, groups in enumerate(_groups(one, self.by)):
            for key, name in groups:
                members.setdefault(key, []).append(place)
                names[key] = name
        for key, mine in members.items():
            own = one.targets[mine[0]] if one.targets else None
            running = self.found.setdefault(key, (names[key], _Running(own)))[1]
            running.add(maps[np.asarray(mine)])
            running.place.add(one.image_places, mine)
            if one.targets:
                running.targets.update(str(one.targets[place]) for place in mine)
        self.by.require_few(one, len(self.found))

    def result(self, value: Callable[[_Running], Any], what: str) -> cnnvis.Explanation:
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
            if self.example.has_several_targets:  # each group has maps of a single one
                targets = tuple(
                    replace(running.target, score=None, probability=None)
                    for _, running in ordered
                    if running.target is not None
                )
        return replace(
            self.example,
            maps=np.stack([value(running) for _, running in ordered]),
            samples=None,
            targets=targets,
            groups=tuple(name for name, _ in ordered),
            **placed([running.place for _, running in ordered], self.example.provenance),
            measures={},
            curves={},
            frames=None,
            titles=tuple(
                f"{what} of {name} ({running.count} image{'s' if running.count > 1 else ''})"
                for name, running in ordered
            ),
        )


SHOWN = 5
"""Maximum number of targets of a group that are named, the most frequent first."""


def _say_mixed(ordered: Sequence[tuple[str, _Running]], what: str) -> None:
    """Make a note on groups with maps of several targets, which explain different things."""
    mixed = [(name, running.targets) for name, running in ordered if len(running.targets) > 1]
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


def _groups(one: cnnvis.Explanation, by: Grouping) -> Sequence[Sequence[tuple[Any, str]]]:
    """Return for each map its groups, each by its key for sorting and its name.

    Where images have maps of several targets, a group holds those of one: maps of two classes have
    no mean that means anything.
    """
    groups = by.of(one)
    if not one.has_several_targets or not one.targets:
        return groups
    return [
        [((key, target.layer, target.filters), f"{name}, {target}") for key, name in own]
        for own, target in zip(groups, one.targets, strict=True)
    ]


def _gathered(stream: cnnvis.Stream, by: str, scaled: bool) -> _Groups:
    groups = _Groups(Grouping(by))
    for one in stream:
        groups.add(one, cnnvis.unit_scaled(one.array) if scaled else one.array)
    return groups


@cnnvis.transform("average", takes=["images"], gives="groups")
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
    return _gathered(stream, by, scaled).result(lambda running: running.mean, "mean")


@cnnvis.transform("deviation", takes=["images"], gives="groups")
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


@cnnvis.transform("count", takes=["images"], gives="table")
def count(stream: cnnvis.Stream, *, by: Groups = "label") -> cnnvis.Explanation:
    """The number of images in each group."""
    counts: dict[Any, list[Any]] = {}
    provenance = {}
    grouping = Grouping(by)
    for one in stream:
        provenance = dict(one.provenance)
        for groups in _groups(one, grouping):
            for key, name in groups:
                counts.setdefault(key, [name, 0])[1] += 1
        grouping.require_few(one, len(counts))
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
