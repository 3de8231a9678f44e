"""The labels of the data as a table."""

from __future__ import annotations

import cnnvis


@cnnvis.technique("get-labels", family="network and data", gives="table")
def get_labels(samples: cnnvis.Samples) -> cnnvis.Explanation:
    """The index and label of every image; --images takes both.

    The technique get-predictions lists what the network answers beside the labels.
    """
    if samples.labels is None:
        raise cnnvis.UserError("the data hold images without labels")
    table: dict[str, list[object]] = {"image": list(map(int, samples.indices))}
    if samples.names is not None:
        table["name"] = list(samples.names)
    everyone = range(len(samples))
    if samples.label_kind == "positions":
        table["label"] = [_counted(samples.labels[[place]]) for place in everyone]
    elif samples.label_kind != "class" or samples.in_words:
        table["label"] = [samples.label_name(place) for place in everyone]
    else:
        table["label"] = [int(one) if one == one else "none" for one in samples.labels]
        if samples.class_names is not None:
            table["class"] = [samples.label_name(place) for place in everyone]
    return cnnvis.Explanation(table=table)


MOST = 8
"""Maximum number of labels of positions that are listed, the most frequent first."""


def _counted(mask: object) -> str:
    """Count the positions of one image with each label: ``3961 x 0, 135 x 1``."""
    import numpy as np

    values, counts = np.unique(np.asarray(mask), return_counts=True)
    order = counts.argsort(kind="stable")[::-1]
    listed = ", ".join(f"{counts[i]} x {values[i]:g}" for i in order[:MOST])
    return listed if len(order) <= MOST else f"{listed} and {len(order) - MOST} more"
