"""The labels of the data as a table."""

from __future__ import annotations

import cnnvis


@cnnvis.technique("get-labels", gives="table")
def get_labels(samples: cnnvis.Samples) -> cnnvis.Explanation:
    """The index and label of every image, which --images takes."""
    if samples.labels is None:
        raise cnnvis.UserError("the data hold images without labels")
    table: dict[str, list[object]] = {"image": list(map(int, samples.indices))}
    if samples.names is not None:
        table["name"] = list(samples.names)
    table["label"] = [int(label) for label in samples.labels]
    if samples.class_names is not None:
        table["class"] = [samples.label_name(i) for i in range(len(samples))]
    return cnnvis.Explanation(table=table)
