"""Samples of the data to which an output answers most."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import cnnvis

from ._examples import batches_of, name_of
from ._outputs import rows_of_outputs

if TYPE_CHECKING:
    import numpy.typing as npt

    Array = npt.NDArray[Any]


@cnnvis.technique("top-samples", family="examples", reference="arXiv:1311.2901", gives="pictures")
def top_samples(
    model: cnnvis.Model,
    samples: cnnvis.Samples,
    *,
    count: cnnvis.Count = 9,
    least: bool = False,
) -> cnnvis.Explanation:
    """The samples of the data to which an output answers most.

    The samples x with the largest scores S(x), for each chosen output of the target: Zeiler and Fergus
    2014, section 4. The score of an output with positions, such as a filter, is its mean over these
    (see --region). All given images are compared; --images narrows them down.

    Parameters
    ----------
    count
        The number of samples for each output.
    least
        Show the samples with the smallest scores.
    """
    import numpy as np

    rows = rows_of_outputs(model)
    scores = np.full((len(rows), len(samples)), -np.inf)
    with cnnvis.progress("top-samples", len(samples)) as advance:
        for places, batch in batches_of(samples):
            at = model.with_inputs_held(batch)
            x = np.asarray(batch.x, np.float32)
            for number, row in enumerate(rows):
                scores[number, places] = at.scores(x, weights=np.repeat(row[None], len(x), axis=0))
            advance(len(x))
    order = np.argsort(scores if least else -scores, axis=1, kind="stable")[:, :count]
    pictures: list[Array] = []
    titles: list[str] = []
    targets: list[cnnvis.Target] = []
    for row, places in zip(rows, order, strict=True):
        some = samples[places]
        held, x = model.with_inputs_held(some), np.asarray(some.x, np.float32)
        found = held.targets(x, weights=np.repeat(row[None], len(x), axis=0))
        pictures.append(x)
        targets += found
        titles += [f"{one} of {name_of(some, at)}" for at, one in enumerate(found)]
    return cnnvis.Explanation(
        np.concatenate(pictures),
        axes=cnnvis.axis_names(len(samples.source.shape) - 1, samples.channel_axis),
        titles=tuple(titles),
        targets=tuple(targets),
        are_inputs=True,
        measures={"image": samples.indices[order].ravel().astype(float)},
    )
