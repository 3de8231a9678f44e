"""The answers of the network beside the labels of the data, as a table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import cnnvis

from ._examples import batches_of


@cnnvis.technique("get-predictions", family="network and data", gives="table")
def get_predictions(model: cnnvis.Model, samples: cnnvis.Samples) -> cnnvis.Explanation:
    """What the network answers to every image: its class, the score and the probability.

    The columns are the image, its label, the prediction, the score (the output before a softmax or
    sigmoid), p (the probability behind it), and whether the label is right. Score and p are those of the
    predicted class, or of the class that --class names. Of a network that answers with no single class,
    they are those of the target, and there is no prediction. Conditions of --images take the same names.
    """
    table: dict[str, list[Any]] = {"image": list(map(int, samples.indices))}
    if samples.names is not None:
        table["name"] = list(samples.names)
    labels = [samples.label_name(place) for place in range(len(samples))]
    if any(label is not None for label in labels):
        table["label"] = labels
    predictions: list[str] = []
    targets: list[cnnvis.Target] = []
    numbers: list[int] = []
    is_of_class = model.asked_layer is None and model.asked_filters is None
    with cnnvis.progress("get-predictions", len(samples)) as advance:
        for _, batch in batches_of(samples):
            at = model.with_inputs_held(batch)
            answer = at.answer
            if is_of_class and at.tells_classes and answer is not None:
                at = answer.with_inputs_held(batch).with_rank(0)
            targets += at.targets(batch.x)
            classes = at.predicted_classes(batch.x)
            if classes is not None:
                predictions += [_name(at, int(one)) for one in classes]
                numbers += map(int, classes)
            advance(len(batch))
    if predictions:
        table["prediction"] = predictions
    if not (predictions and is_of_class):
        table["target"] = [str(target) for target in targets]
    table["score"] = [target.score for target in targets]
    if any(target.probability is not None for target in targets):
        table["p"] = [target.probability for target in targets]
    right = _right(samples, numbers, model) if numbers else []
    if any(one is not None for one in right):
        table["right"] = right
    return cnnvis.Explanation(table=table)


def _name(model: cnnvis.Model, number: int) -> str:
    names = model.class_names
    return str(number) if names is None or number >= len(names) else names[number]


def _right(
    samples: cnnvis.Samples, classes: Sequence[int], model: cnnvis.Model
) -> list[bool | None]:
    """Tell whether each label is the predicted class; None where that is not known.

    It is known of no label, if some labels are no classes of the network, such as those counted from 1.
    """
    labels, answer = samples.labels, model.answer
    if samples.label_kind != "class" or samples.in_words or labels is None or answer is None:
        return []
    known = [int(label) for label in labels if label == label]
    if not all(0 <= label < max(answer.target_units, 2) for label in known):
        return []
    pairs = zip(labels, classes, strict=True)
    return [None if label != label else bool(label == one) for label, one in pairs]
