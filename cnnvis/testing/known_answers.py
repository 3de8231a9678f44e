"""Maps that must be bright where a network looks, and must move as its input moves.

Every proper method passes these checks, whatever its kind: gradients, weighted feature maps,
covered patches and random masks. Some methods draw random numbers: differences from one seed to the
next are allowed. Some methods see no finer than a patch or a pooled cell: a place may be as large
as that.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence

import numpy as np

from cnnvis.data.explanation import axis_names
from cnnvis.data.samples import Array
from cnnvis.errors import UserError
from cnnvis.testing.judging import (
    CLOSE,
    NotApplicable,
    Violation,
    is_close,
    may_refuse,
    require_close,
    scale_of,
)
from cnnvis.testing.networks import (
    EVEN,
    POOLED,
    Looking,
    Place,
    data_of,
    features_network,
    looking_network,
    mirrored,
    pooled_network,
    shape_of,
    small_network,
    twins,
)
from cnnvis.testing.subject import Subject


def checks_of_known_answers(subject: Subject) -> dict[str, Callable[[], None]]:
    """Return the checks of the maps of every technique."""
    return {
        "its map shines where the network looks": lambda: _shines(subject, 2),
        "its map shines where the network looks, over one axis": lambda: _shines(subject, 1),
        "its map shines where the network looks, over three axes": lambda: _shines(subject, 3),
        "its map shines where the network looks, behind pooling": lambda: _shines(
            subject, 2, size=POOLED
        ),
        "channels first give the map that channels last give": lambda: _like_its_twin(subject),
        "an image that is moved moves its map": lambda: _moved(subject),
        "an image that is mirrored mirrors its map": lambda: _mirrored(subject),
        "twice the values, half the weights, give the same map": lambda: _scaled(subject),
    }


# Bright at one place


def _shines(subject: Subject, axes: int, *, size: int = 1) -> None:
    looking = looking_network(axes, size=size)
    maps = _visible(subject, looking)
    noise = subject.noise(maps, looking.network, looking.data)
    _require_bright(maps, looking, noise)
    for axis in range(1, maps.ndim):
        _require_right_side(maps, looking, axis, noise)


def _visible(subject: Subject, looking: Looking) -> Array:
    """Return maps of a network that looks at one place; blank ones if the technique says so."""
    try:
        maps = subject.spatial(looking.network, looking.data)
    except UserError as error:
        if "zero everywhere" not in str(error):
            raise NotApplicable(f"the plugin refuses: {error}") from None
        maps = np.zeros((len(looking.places), *looking.space), np.float32)
    if "zero-for-linear" in subject.plugin.claims and not all(one.any() for one in maps):
        raise NotApplicable("around some of its lights, the network is linear")
    expected = (len(looking.places), *looking.space)
    if maps.shape != expected:
        raise Violation(f"its maps are of shape {maps.shape}, where the images are {expected}")
    # Where a patch is as large as an image, some places are in all patches.
    if all(one.any() and np.ptp(one) <= CLOSE * scale_of(one) for one in maps):
        raise Violation(
            f"the network looks at {_named(looking.places[0])} alone, and the map is the same "
            "everywhere"
        )
    return maps


def _require_bright(maps: Array, looking: Looking, noise: float) -> None:
    if _shine(maps, looking, looking.places, noise):
        return
    number = next(
        number
        for number, place in enumerate(looking.places)
        if not _shine(maps[number : number + 1], looking, [place], noise)
    )
    one = maps[number]
    for what, places, beside in _mistakes(looking):
        if _shine(maps, looking, places, noise, beside):
            raise Violation(f"{_found(one, looking, number)}: {what}")
    if all(
        one[looking.block(k)].min() < 0 and one[looking.block(k)].min() <= one.min() * (1 - CLOSE)
        for k, one in enumerate(maps)
    ):
        said = _found(one, looking, number)
        raise Violation(f"{said}: its sign is turned, or it leaves out the evidence for the class")
    if not one.any():
        raise Violation(
            f"the network looks at {_named(looking.places[number])} of an image with a light "
            "there, and the map is blank: it may explain another image (such as half of the "
            "image) or another class, or multiply arrays that do not belong together, such as "
            "gradients of another layer or channels in another order"
        )
    raise Violation(_found(one, looking, number))


def _found(one: Array, looking: Looking, number: int) -> str:
    """Describe where a map should be brightest, and where it is."""
    brightest = tuple(int(at) for at in np.unravel_index(int(one.argmax()), one.shape))
    return (
        f"the network looks at {_named(looking.places[number])} of an image of "
        f"{' x '.join(map(str, looking.space))}, where its map is "
        f"{one[looking.block(number)].max():.3g}; it is brightest, {one.max():.3g}, at "
        f"{_named(brightest)}"
    )


def _shine(
    maps: Array, looking: Looking, places: Sequence[Place], noise: float, beside: int = 0
) -> bool:
    """Tell whether each map is brightest at its place, or at most `beside` positions from it.

    If `beside` is not 0, a few maps may be blank: a resized map may lose a light between two
    positions.
    """
    # Behind pooling, maps are enlarged, and patches that cover a cell in part count as well.
    enough = 1 if looking.size == 1 else 0.7
    blank = ~maps.any(axis=tuple(range(1, maps.ndim)))
    if blank.any() and (not beside or 2 * blank.sum() > len(maps)):
        return False
    for one, place in zip(maps[~blank], np.array(places)[~blank].tolist(), strict=True):
        block = tuple(
            slice(max(at - beside - more, 0), at + looking.size + beside + more)
            for at, more in zip(place, _blur(one, looking.size), strict=True)
        )
        found, most = float(one[block].max(initial=-np.inf)), float(one.max())
        if most <= 0 or found < (enough - CLOSE) * most - 2 * noise:
            return False
    return True


def _blur(one: Array, size: int) -> list[int]:
    """Return how far beyond the place a map is bright along each axis, from its middle.

    A method that sees in patches, or in cells of a grid, may be brightest anywhere in them.
    """
    bright = one >= (float(one.min()) + float(one.max())) / 2
    lines = [
        bright.any(axis=tuple(a for a in range(one.ndim) if a != axis)) for axis in range(one.ndim)
    ]
    return [max(int(line.sum()) - size + 1, 0) // 2 for line in lines]


def _mistakes(looking: Looking) -> Iterator[tuple[str, Sequence[Place], int]]:
    """Yield possible mistakes in maps: description, places of the lights then, and tolerance."""
    places = np.array(looking.places)
    axes = range(len(looking.space))
    names = axis_names(len(axes), None)
    last = np.array(looking.space) - looking.size

    def as_places(found: Array) -> list[Place]:
        return [tuple(int(at) for at in one) for one in found]

    turns: dict[tuple[int, ...], str] = {}
    if len(axes) == 2:
        turns = {(0,): "upside down", (1,): "left to right"}
    for count in range(1, len(axes) + 1):
        for chosen in itertools.combinations(axes, count):
            backwards = places.copy()
            backwards[:, chosen] = last[list(chosen)] - places[:, chosen]
            words = turns.get(chosen, f"backwards along {' and '.join(names[a] for a in chosen)}")
            yield f"the map is {words}", as_places(backwards), 0
    for order in itertools.permutations(axes):
        if order != tuple(axes):
            of = list(order)
            stretched = np.round(places[:, of] * last / np.maximum(last[of], 1))
            words = ", ".join(names[a] for a in order)
            yield f"the map has its axes in another order ({words})", as_places(stretched), 1
    for axis, step in itertools.product(axes, (1, -1)):
        shifted = places.copy()
        shifted[:, axis] = (shifted[:, axis] + step) % looking.space[axis]
        yield f"the map is shifted along {names[axis]}", as_places(shifted), 0
    first = np.repeat(places[:1], len(places), axis=0)
    yield "all maps show the place of the first image or class", as_places(first), 0
    yield (
        "it shows the bright places of the image, though the network's weights there are zero",
        as_places(last - places), 0,
    )  # fmt: skip


def _require_right_side(maps: Array, looking: Looking, axis: int, noise: float) -> None:
    length = maps.shape[axis]
    for number, one in enumerate(maps):
        at = looking.places[number][axis - 1]
        if at < length // 2 < at + looking.size:
            continue  # the place lies on both sides
        sides = [
            np.take(one, range(start, start + length // 2), axis=axis - 1).mean()
            for start in (0, length - length // 2)
        ]
        here, there = sides if at < length // 2 else sides[::-1]
        if here < there - CLOSE * scale_of(one) - noise:
            raise Violation(
                f"the network looks at {_named(looking.places[number])} alone, and along "
                f"{axis_names(one.ndim, None)[axis - 1]} its map is weaker on that side, "
                f"{here:.3g} a position, than on the other side, {there:.3g}"
            )


def _named(place: Place) -> str:
    names = axis_names(len(place), None)
    return ", ".join(f"{name} {at}" for name, at in zip(names, place, strict=True))


# The same network in another form


def _like_its_twin(subject: Subject) -> None:
    last, first = twins(2)
    data = data_of(shape_of(2))
    moved = np.ascontiguousarray(np.moveaxis(data, -1, 1))
    with may_refuse():
        expected = subject.spatial(last, data)
        found = subject.spatial(first, moved)
        noise = subject.noise(expected, last, data)
    require_close(
        found, expected,
        "a network with channels first gives another map than the same network with channels "
        "last: ask the model where channels are (samples.channel_axis, "
        "model.channels_first(layer)), and draw random numbers from an option `seed`, so that the "
        "test can allow for chance",
        beyond=2 * noise,
    )  # fmt: skip


def _scaled(subject: Subject) -> None:
    if isinstance(subject.default("baseline"), int | float) and subject.default("baseline"):
        raise NotApplicable("its baseline is not zero, and does not grow with the values")
    network, data = small_network(2), data_of(shape_of(2))
    expected = subject.spatial(network, data, filter=0)
    noise = subject.noise(expected, network, data, filter=0)
    kernel, *others = network.get_weights()
    network.set_weights([kernel / 2, *others])
    found = subject.spatial(network, 2 * data, filter=0)
    # Noise of a fixed size is another share of larger values.
    needed = 0.7 if noise else 0.95
    for one, other in zip(expected, found, strict=True):
        if not one.any() or not other.any():
            continue
        likeness = _likeness(one, other)
        if likeness < needed:
            raise Violation(
                "with all values twice as large and the first weights half as large, the network "
                f"computes the same, and its map is another (they correlate by {likeness:.2f}): "
                "it may cut values off, or take them for pixels of a picture"
            )


def _likeness(one: Array, other: Array) -> float:
    if np.ptp(one) == 0 or np.ptp(other) == 0:
        return float(np.ptp(one) == np.ptp(other))
    return float(np.corrcoef(one.ravel(), other.ravel())[0, 1])


# Moved and mirrored

STEP = POOLED
"""Distance by which an image is moved: the pooled length, so that the network sees the same."""


def _moved(subject: Subject) -> None:
    network = pooled_network(2, each=False)
    *weights, dense, bias = network.get_weights()
    network.set_weights([*weights, abs(dense), bias])
    data = np.zeros((2, *EVEN[2], 2), np.float32)
    spot = np.random.default_rng(6).uniform(0.5, 1.5, (3, 3, 2))
    data[0, 4:7, 3:6] = spot
    data[1, 4 + STEP : 7 + STEP, 3 + STEP : 6 + STEP] = spot
    with may_refuse():
        maps = subject.spatial(network, data, filter=0)
        noise = subject.noise(maps, network, data, filter=0)
    before = maps[0, 2:9, 2:6]
    after = maps[1, 2 + STEP : 9 + STEP, 2 + STEP : 6 + STEP]
    if is_close(before, after, beyond=2 * noise):
        return
    # Patches that lie elsewhere, or cells that are enlarged from corner to corner, move about as far.
    steps = [_middle(maps[1], axis) - _middle(maps[0], axis) for axis in (0, 1)]
    blur = _blur_of_its_own(subject)
    if any(abs(step - STEP) > STEP / 2 + more for step, more in zip(steps, blur, strict=True)):
        if noise > 0.1 * float(np.ptp(maps[0])):
            raise NotApplicable("its maps differ too much from seed to seed for this test")
        raise Violation(
            f"an image was moved by {STEP} rows and columns, and the middle of its map moved by "
            f"{steps[0]:.1f} rows and {steps[1]:.1f} columns, though the network counts each "
            "position alike (draw random numbers from an option `seed`, so that the test can "
            "allow for chance)"
        )


def _blur_of_its_own(subject: Subject) -> list[int]:
    """Return the blur of a method where nothing is pooled: 0 for one that sees single positions."""
    looking = looking_network(2)
    maps = subject.spatial(looking.network, looking.data)
    return [max(all_of) for all_of in zip(*(_blur(one, 1) for one in maps), strict=True)]


def _middle(one: Array, axis: int) -> float:
    """Return the middle along an axis of the positions that stand out of a map."""
    above = np.maximum(one - np.median(one), 0).astype(np.float64)
    places = np.arange(one.shape[axis]).reshape([-1 if a == axis else 1 for a in range(one.ndim)])
    return float((above * places).sum() / max(above.sum(), 1e-30))


def _mirrored(subject: Subject) -> None:
    network, data = pooled_network(2), data_of((*EVEN[2], 2))
    with may_refuse():
        expected = subject.spatial(network, data, filter=0)
        if subject.noise(expected, network, data, filter=0):
            raise NotApplicable("what it draws is not mirrored")
    names = axis_names(2, None)
    for axis in (1, 2):
        found = subject.spatial(mirrored(network, axis), np.flip(data, axis), filter=0)
        if is_close(np.flip(found, axis), expected) or _has_steps(subject, axis):
            continue
        require_close(
            np.flip(found, axis), expected,
            f"a network and an image were mirrored along {names[axis - 1]}, and the map is not "
            "the mirrored map: it may be shifted, or enlarged from a corner",
        )  # fmt: skip


def _has_steps(subject: Subject, axis: int) -> bool:
    """Tell whether a method, due to its patches, mirrors no maps even where nothing is pooled."""
    network, data = features_network(), data_of(shape_of(2))
    expected = subject.spatial(network, data, filter=0)
    *weights, dense, bias = network.get_weights()
    grid = dense.reshape(*shape_of(2)[:-1], -1, dense.shape[-1])
    network.set_weights([*weights, np.flip(grid, axis - 1).reshape(dense.shape), bias])
    found = subject.spatial(network, np.flip(data, axis), filter=0)
    return not is_close(np.flip(found, axis), expected)
