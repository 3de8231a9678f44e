"""Checks of techniques that give a map for every image: on one and many, twice, elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from cnnvis.data.explanation import Explanation
from cnnvis.data.samples import Samples
from cnnvis.errors import UserError
from cnnvis.testing.claims import checks_of_claims
from cnnvis.testing.judging import NotApplicable, Violation, may_refuse, must_work, require_close
from cnnvis.testing.known_answers import checks_of_known_answers
from cnnvis.testing.networks import MIXED, data_of, shape_of, small_network
from cnnvis.testing.subject import PROCESS, Subject, model_unchanged, technique_changes_nothing


def checks_of_maps(subject: Subject) -> dict[str, Callable[[], None]]:
    """Return the checks of a technique that gives a map for every image."""
    every: dict[str, Callable[[], None]] = {
        "it gives a map for every sample": lambda: _shaped(subject, 2, optional=False),
        "it works over one spatial axis": lambda: _shaped(subject, 1),
        "it works over three spatial axes": lambda: _shaped(subject, 3),
        "it works with channels first": lambda: _shaped(subject, 2, first=True),
        "it works with several inputs": lambda: _several_inputs(subject),
        "one sample alone gets the map that it gets among others": lambda: _alone(subject),
        "the order of the samples does not matter": lambda: _reordered(subject),
        "twice the same gives the same": lambda: _repeated(subject),
        "other weights give other maps": lambda: _other_weights(subject),
        "another class gives other maps": lambda: _other_class(subject),
        "each of several classes gets its own map": lambda: _several_classes(subject),
        "the model stays as it is": lambda: model_unchanged(
            lambda network: subject.explained(network, data_of(shape_of(2)))
        ),
        "the samples stay as they are": lambda: _samples_unchanged(subject),
        PROCESS: lambda: technique_changes_nothing(subject),
        "no samples, or NaN, end in a sentence": lambda: _refusing(subject),
    }
    return every | checks_of_known_answers(subject) | checks_of_claims(subject)


def _shaped(subject: Subject, axes: int, *, first: bool = False, optional: bool = True) -> None:
    data = data_of(shape_of(axes, first=first))
    with may_refuse() if optional else must_work():
        found = subject.explained(small_network(axes, first=first), data)
    _require_maps(found, 4, shape_of(axes), axes)


def _require_maps(found: Explanation, count: int, shape: Sequence[int], axes: int) -> None:
    if found.maps is None:
        raise Violation("it gave a table, and promised maps: add gives='table' to its decorator")
    maps = found.maps
    if len(maps) != count:
        raise Violation(f"it gave {len(maps)} maps for {count} samples")
    if maps.dtype != np.float32:
        raise Violation(f"its maps are {maps.dtype}, and should be float32")
    if not np.isfinite(maps).all():
        raise Violation("its maps hold NaN or infinite values")
    if found.samples is None:
        raise Violation("its explanation has no samples: give them to cnnvis.Explanation")
    if not np.array_equal(found.samples.indices, np.arange(count)):
        raise Violation("the samples of its explanation are not the given samples")
    if len(found.space_axes()) != axes:
        raise Violation(
            f"for inputs with {axes} spatial axes, its maps of shape {maps.shape[1:]} have the axes "
            f"{', '.join(found.axes)}"
        )
    space = [maps.shape[axis] for axis in found.space_axes()]
    if space != list(shape[:-1]):
        raise Violation(
            f"its maps cover {space} positions, and the inputs have {list(shape[:-1])}: resize them"
        )


def _several_inputs(subject: Subject) -> None:
    network = small_network(2, inputs=2)
    data = {
        "input_0": data_of(shape_of(2), seed=5),
        "input_1": data_of(shape_of(2), seed=6),
    }
    with may_refuse():
        found = subject.explained(network, data)
    if len(found.other_inputs) != 1:
        raise Violation(
            f"for a network with two inputs it gave {1 + len(found.other_inputs)} sets of maps: "
            + "; ".join(found.notes)
        )
    for one in (found, *found.other_inputs):
        _require_maps(one, 4, shape_of(2), 2)
    alone = subject.explained(network, data, images=[2], input="input_1")
    require_close(
        found.other_inputs[0].array[2:3], alone.array,
        "one sample of two inputs alone gets another map than among other samples: pass `of` to "
        "the model where rows are not samples",
    )  # fmt: skip


def _alone(subject: Subject) -> None:
    network, data = small_network(2, seed=MIXED), data_of(shape_of(2), 5)
    together = subject.maps(network, data)
    # Of the same data set, whose mean may be a baseline.
    alone = np.concatenate([subject.maps(network, data, images=[i]) for i in range(5)])
    require_close(together, alone, "a sample alone gets another map than among other samples")


def _reordered(subject: Subject) -> None:
    network, data = small_network(2, seed=MIXED), data_of(shape_of(2), 5)
    require_close(
        subject.maps(network, data)[::-1], subject.maps(network, data[::-1]),
        "the same samples in another order get other maps",
    )  # fmt: skip


def _repeated(subject: Subject) -> None:
    network, data = small_network(2), data_of(shape_of(2))
    require_close(
        subject.maps(network, data), subject.maps(network, data),
        "two equal calls gave two results: draw random numbers from an option `seed`",
    )  # fmt: skip


def _other_weights(subject: Subject) -> None:
    data = data_of(shape_of(2))
    one = subject.maps(small_network(2, seed=1), data, filter=0)
    other = subject.maps(small_network(2, seed=2), data, filter=0)
    if np.allclose(one, other, rtol=1e-3, atol=1e-3 * np.abs(one).max()):
        raise Violation(
            "networks of other weights get the same maps, so the maps show the data alone"
        )


def _other_class(subject: Subject) -> None:
    if "any-target" in subject.plugin.claims:
        raise NotApplicable("it claims to be the same for every target")
    network, data = small_network(2), data_of(shape_of(2))
    one, other = (subject.maps(network, data, filter=number) for number in (0, 1))
    if np.allclose(one, other, rtol=1e-3, atol=1e-3 * np.abs(one).max()):
        raise Violation("another class gets the same maps, so the maps do not depend on the target")


def _several_classes(subject: Subject) -> None:
    network, data = small_network(2, seed=MIXED), data_of(shape_of(2))
    found = subject.explained(network, data, top=2)
    for number in sorted({target.filters[0] for target in found.targets}):
        one = found.for_target(number)
        require_close(
            one.array, subject.maps(network, data, filter=number)[one.indices],
            f"class {number} gets another map where it is one of the two classes with the largest "
            "scores: take the classes from model.target_weights, and never the largest output",
        )  # fmt: skip


def _samples_unchanged(subject: Subject) -> None:
    data = data_of(shape_of(2))
    copy, samples = data.copy(), Samples.of(data, np.array([0, 1, 2, 0]))
    found = subject.called(small_network(2), samples)
    if not np.array_equal(copy, data):
        raise Violation("it changed the given samples: work on a copy")
    if found.maps is not None and np.shares_memory(found.maps, data):
        raise Violation("its maps are the very array of the inputs: give a copy")
    if found.labels is None or found.labels.tolist() != [0, 1, 2, 0]:
        raise Violation("its explanation has lost the labels of the samples")


def _refusing(subject: Subject) -> None:
    network, data = small_network(2), data_of(shape_of(2))
    broken = data[:1].copy()  # of several, those with NaN are left out before a technique sees them
    broken[0, 3, 3, 0] = np.nan
    sick = small_network(2)
    sick.set_weights([np.full_like(one, np.nan) for one in sick.get_weights()])
    for what, one, inputs in (
        ("no samples", network, data[:0]),
        ("a sample with NaN", network, broken),
        ("a network whose weights are NaN", sick, data),
    ):
        try:
            subject.explained(one, inputs)
        except UserError:
            continue
        except Exception as error:
            raise Violation(
                f"{what} should raise a cnnvis.UserError, and raised {type(error).__name__}: "
                f"{error}"
            ) from error
        raise Violation(f"the plugin should refuse {what}, and explained it")
