"""Samples of the data as examples: some at a time, and what they are called."""

from __future__ import annotations

from collections.abc import Iterator

import cnnvis


def batches_of(samples: cnnvis.Samples) -> Iterator[tuple[slice, cnnvis.Samples]]:
    """Yield the samples some at a time, with their places."""
    start = 0
    for batch in samples.batches():
        yield slice(start, start + len(batch)), batch
        start += len(batch)


def name_of(samples: cnnvis.Samples, place: int) -> str:
    """Return the number of a sample in the data, its name and its label."""
    words = [f"#{samples.indices[place]}"]
    if samples.names is not None:
        words.append(samples.names[place])
    label = samples.label_name(place)
    return " ".join([*words, f"label {label}"] if label is not None else words)
