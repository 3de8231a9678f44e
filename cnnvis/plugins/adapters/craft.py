"""Concepts of a class by Xplique's CRAFT: where they are in images, and the crops that show them best."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Literal

import cnnvis
from cnnvis.plugins.adapters._concepts import Concepts, best_crops, corners, maps_of
from cnnvis.plugins.adapters._libraries import making_layers, network_of, penultimate_of
from cnnvis.plugins.adapters._processes.serving import Unsuitable
from cnnvis.plugins.adapters._processes.xplique import NEEDS, library_with

if TYPE_CHECKING:
    import numpy.typing as npt

    Array = npt.NDArray[Any]


LEAST_TOTAL = 0.9
"""Smallest sum of importances, which is 1 or more but for the error of estimation."""


@cnnvis.technique("xplique:craft", reference="arXiv:2211.10154", gives="pictures", **NEEDS)
def craft(
    model: cnnvis.Model,
    samples: cnnvis.Samples,
    references: cnnvis.Samples,
    *,
    show: Literal["maps", "crops"] = "maps",
    concepts: cnnvis.Count = 5,
    shown: cnnvis.Count = 3,
    crops: cnnvis.Count = 5,
    crop: cnnvis.Count | None = None,
    examples: cnnvis.Count = 64,
    designs: cnnvis.Count = 128,
    penultimate: str | None = None,
    seed: cnnvis.Seed = 0,
) -> cnnvis.Explanation:
    """Concepts of a class by CRAFT of Xplique: where they are in an image, or the crops that show them best.

    The activations A of crops of samples of a class are split into A = U W without negative numbers,
    as near as can be: Fel et al. 2023, equation 1. A row of W is a concept of the class; a map is the
    amount U of a concept at each position of the layer, laid over the image. Maps of concepts are no
    attributions. Concepts are numbered by importance: by the total Sobol index, the share of the
    score's variance that a concept has a part in where all concepts are masked at random, as a mean over
    the samples of the class. The paper's recursion, which splits concepts anew at earlier layers, is not
    in the library. Over two spatial axes with channels last only.

    Parameters
    ----------
    show
        maps for the amount of each concept in each image; crops for the crops of the data with the
        largest amounts of each concept.
    concepts
        The number of concepts that the activations are split into.
    shown
        The number of concepts to show, the most important.
    crops
        The number of crops to show for each concept.
    crop
        The side of the square crops, in positions of the input; by default a third of its shorter axis.
    examples
        The number of samples that concepts are learned from, at most: samples that the network answers
        with the class, of 256 evenly spaced ones of the data.
    designs
        The number of masks for each concept, for the Sobol indices. Too few for many concepts make
        these too small: they add up to 1 or more.
    penultimate
        The layer whose activations are split, none of which may be negative; by default the last layer
        before the target with the input's spatial axes.
    seed
        The seed of the start of the factorization.
    """
    if len(samples.space) != 2 or samples.channel_axis != -1:
        first = "first" if samples.channel_axis == 1 else "last"
        raise cnnvis.UserError(
            "Xplique's CRAFT cuts crops out of two spatial axes with channels last, and these inputs "
            f"have {len(samples.space)} spatial axes with channels {first}"
        )
    side = crop or max(2, round(min(samples.space) / 3))
    if not 2 <= side <= min(samples.space):
        raise cnnvis.UserError(
            f"crop is {side}, and a crop has a side of 2 to {min(samples.space)} positions here"
        )
    network = network_of(model, "Xplique's CRAFT")
    plain = penultimate_of(network, model, penultimate, samples, "split into concepts")
    settings = {"concepts": concepts, "crop": side, "designs": designs, "seed": seed}
    library = library_with(network)
    every: list[Concepts] = []
    for row, places in _targets(model, samples):
        (target,) = model.targets(samples.x[places[:1]], weights=row[None])
        learned = _examples_of(model, references, row, str(target), examples)
        _require_crops(learned, settings)
        given = (_floats(learned), _floats(samples[places]), settings)
        try:
            with making_layers():
                found = library.concepts(plain, row, *given)
        except Unsuitable as error:
            raise cnnvis.UserError(str(error)) from None
        order = (-found["importances"]).argsort(kind="stable")[:shown].tolist()
        every.append(Concepts(str(target), row, places, learned, order, found))
        _note_on(every[-1], settings)
    if show == "crops":
        return best_crops(every, crops)
    layer = next(one.name for one in model.before_target() if one.name.replace("/", "_") == plain)
    return maps_of(every, model, samples, layer)


def _targets(model: cnnvis.Model, samples: cnnvis.Samples) -> Iterator[tuple[Array, Array]]:
    """Yield the weights of each target's outputs, (k,), and the places of the samples it is of."""
    import numpy as np

    if model.asked_filters is not None:
        for row in model.each_weights:
            yield row, np.arange(len(samples))
        return
    rows = model.target_weights(samples.x)
    for row in np.unique(rows, axis=0):
        yield row, np.flatnonzero((rows == row).all(axis=1))


def _examples_of(
    model: cnnvis.Model, references: cnnvis.Samples, row: Array, target: str, most: int
) -> cnnvis.Samples:
    """Return samples that the network answers with a class; of other targets, any samples.

    Raises
    ------
    UserError
        If there are none.
    """
    import numpy as np

    there = references.drawn(len(references), 0)
    if model.has_classes and model.is_answer and model.tells_classes:
        answers = model.with_target(model.asked_layer, output=model.asked_output)
        rows = answers.with_inputs_held(there).target_weights(there.x)
        places = np.flatnonzero((rows == row).all(axis=1))
    else:
        places = np.arange(len(there))
        cnnvis.note(
            f"concepts of {target} are learned from samples of all kinds: its outputs are no classes "
            "of which the network answers with one"
        )
    if not len(places):
        raise cnnvis.UserError(
            f"the network answers with {target} for none of {len(references)} samples of the data, so "
            "that there is nothing to learn its concepts from; give more data"
        )
    # In the order of the data, whichever order they were drawn in.
    places = places[np.argsort(there.indices[places], kind="stable")]
    return there[places[cnnvis.evenly_spaced(len(places), most)]]


def _floats(samples: cnnvis.Samples) -> Array:
    import numpy as np

    return np.asarray(samples.x, np.float32)


def _require_crops(learned: cnnvis.Samples, settings: dict[str, Any]) -> None:
    """Refuse fewer crops than concepts."""
    count = len(learned) * len(corners(learned, settings["crop"]))
    if count < settings["concepts"]:
        raise cnnvis.UserError(
            f"{len(learned)} samples of the class have {count} crops, too few for "
            f"{settings['concepts']} concepts; use fewer --concepts, a smaller --crop, or more data"
        )


def _note_on(one: Concepts, settings: dict[str, Any]) -> None:
    """Say what the concepts of a target were learned from, and how well they fit."""
    side, found = settings["crop"], one.found
    cnnvis.note(
        f"{settings['concepts']} concepts of {one.name}, learned from {len(found['in_crops'])} crops of "
        f"{side} x {side} of {len(one.examples)} samples, make up {found['share']:.1%} of the activations"
        + ("" if found["converged"] else "; the factorization did not converge")
        + (f"; masks change no score of {found['constant']} samples" if found["constant"] else "")
    )
    total = found["importances"].sum()
    if total < LEAST_TOTAL:
        cnnvis.note(
            f"the importances of {one.name} add up to {total:.2f}, and total Sobol indices add up to 1 or "
            f"more: {settings['designs']} masks are too few for {settings['concepts']} concepts; use more "
            "--designs"
        )
