"""A technique from outside, whole: it knows nothing of cnnvis but its public names."""

from __future__ import annotations

import cnnvis


@cnnvis.technique("grad-times-input", reference="arXiv:1605.01713")
def grad_times_input(
    model: cnnvis.Model, samples: cnnvis.Samples, *, absolute: bool = False
) -> cnnvis.Explanation:
    """Gradient of the score times the input: how much each input value adds to the score.

    Parameters
    ----------
    absolute
        Show the size of the contribution, not its sign.
    """
    maps = model.input_gradient(samples.x) * samples.x
    return cnnvis.Explanation(abs(maps) if absolute else maps, samples)


@cnnvis.renderer("values", suffixes=(".values",))
def values(explanation, path, *, separator: str = ","):  # type: ignore[no-untyped-def]
    """One line a map.

    Parameters
    ----------
    separator
        What stands between numbers.
    """
    with path.open("w") as file:
        for one in explanation.maps:
            print(*one.ravel(), sep=separator, file=file)


@cnnvis.transform("halve")
def halve(explanation: cnnvis.Explanation, *, times: cnnvis.Count = 1) -> cnnvis.Explanation:
    """Half of every value.

    Parameters
    ----------
    times
        How often.
    """
    return explanation.with_maps(explanation.array / 2**times)
