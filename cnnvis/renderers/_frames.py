"""Frames of how maps were made, as maps of their own that a moving picture shows."""

from __future__ import annotations

from typing import Any

import cnnvis
from cnnvis.renderers._moving import Moment, Progress


def unrolled(explanation: cnnvis.Explanation) -> cnnvis.Explanation:
    """Return an explanation with a map for each frame of each map; behind a map's frames stands the map itself.

    The map is left out where the last frame is the same.
    """
    from dataclasses import replace

    import numpy as np

    assert explanation.frames is not None
    maps, steps = explanation.frames.maps, explanation.frames.steps
    if not np.array_equal(maps[:, -1], explanation.array):
        maps = np.concatenate([maps, explanation.array[:, None]], axis=1)
    each = maps.shape[1]
    curve = _curve(explanation)
    last = int(steps[-1]) if curve is None else max(int(steps[-1]), curve[1].shape[1])
    after = [f"after {step} of {last} steps" for step in steps.tolist()] + ["the result"]
    titles = []
    for row in range(len(explanation)):
        names = _names(explanation, row)
        titles += [f"{names}\n{words}".strip() for words in after[:each]]
        scores = [one.score_text for one in explanation.targets[row : row + 1]]
        titles[-1] += "".join(f"\n{score}" for score in scores if score)
    return replace(
        explanation,
        maps=maps.reshape(-1, *maps.shape[2:]),
        samples=_repeated(explanation.samples, each),
        titles=tuple(titles),
        targets=(), groups=(), measures={}, curves={}, frames=None, predictions=None,
        other_inputs=(),
    )  # fmt: skip


def frames_of(explanation: cnnvis.Explanation, pairs: list[Any]) -> list[list[Moment]]:
    """Return the pictures of a moving picture, with a frame of each map side by side.

    Parameters
    ----------
    pairs
        The panels of the explanation that `unrolled` returns.
    """
    assert explanation.frames is not None
    steps, curve = explanation.frames.steps.tolist(), _curve(explanation)
    count = len(pairs) // len(explanation.frames)
    found = []
    for moment in range(count):
        some = []
        for place, pair in enumerate(pairs[moment::count]):
            progress = None
            if curve is not None:
                at = steps[moment] if moment < len(steps) else curve[1].shape[1]
                progress = Progress(curve[0], curve[1][place], at)
            some.append(Moment(pair, pair.map.title, progress))
        found.append(some)
    return found


def _curve(explanation: cnnvis.Explanation) -> tuple[str, Any] | None:
    """Return the name and the values of the first curve; None without curves."""
    return next(iter(explanation.curves.items()), None)


def _names(explanation: cnnvis.Explanation, row: int) -> str:
    """Return a map's title without its image, which stands above it, and the score, which is that of the result."""
    from dataclasses import replace

    one = explanation[row]
    targets = tuple(replace(target, score=None, probability=None) for target in one.targets)
    return replace(one, samples=None, targets=targets, measures={}).title(0)


def _repeated(samples: cnnvis.Samples | None, times: int) -> cnnvis.Samples | None:
    if samples is None:
        return None
    return samples[[row for row in range(len(samples)) for _ in range(times)]]
