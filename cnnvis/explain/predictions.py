"""Answers of a network to the images of a data set, for the selection of images."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np

from cnnvis.data.batches import Pieces, finite, read_ahead
from cnnvis.data.image_conditions import OPEN, Comparison, compared_numbers, no_order
from cnnvis.data.image_selection import Condition
from cnnvis.data.labels import class_number
from cnnvis.data.samples import Array, Samples
from cnnvis.errors import UserError
from cnnvis.explain.agreement import answered_numbers, has_label, right_labels, said_yes
from cnnvis.network.compilation import BATCH
from cnnvis.network.model import Model
from cnnvis.reporting import failure_of_image, note, progress, quietly

SHOWN = 5
"""Maximum number of unreadable images that are named, each with the reason."""


@dataclass
class Answers:
    """Answers of a network to images of a data set, each computed at the first request.

    Attributes
    ----------
    model
        The network, at whatever target.
    samples
        The whole data set as the network wants it, labels numbered as its classes are.
    names
        The names of the network's classes, where they are known.
    """

    model: Model
    samples: Samples
    names: Sequence[str] | None = None
    _classes: dict[int, set[int]] = field(default_factory=dict)
    _right: dict[int, bool | None] = field(default_factory=dict)
    _failed: dict[int, str] = field(default_factory=dict)
    _numbers: dict[str, dict[int, float]] = field(default_factory=dict)

    def holds(self, condition: Condition, places: Array) -> Array:
        """Tell at which of these places a condition on the network's answer holds, (m,) bool.

        It is False where an image cannot be read; a note says so.

        Raises
        ------
        UserError
            If the network has no classes; for ``right`` and ``wrong`` if the images have no labels
            of its classes.
        """
        every = [int(place) for place in places]
        if condition.key == "predicted":
            wanted = self._number(condition.name)
            self._ask(every, self._classes, self._predicted)
            return np.array([wanted in self._classes.get(place, ()) for place in every])
        self._ask(every, self._right, self._judged)
        return np.array([self._right.get(place) is (condition.key == "right") for place in every])

    def judge(self, one: Comparison, places: Array) -> Array:
        """Return the truth of a comparison of the network's answers; see `image_conditions.Judge`.

        It is open where an image cannot be read, or has no label to be right.

        Raises
        ------
        UserError
            If the network has no such answer.
        """
        every = [int(place) for place in places]
        if one.name in ("right", "wrong"):
            self._ask(every, self._right, self._judged)
            found = [self._right.get(place) for place in every]
            wanted = one.name == "right"
            return np.array(
                [OPEN if is_right is None else is_right is wanted for is_right in found]
            )
        if one.of_class[0] in ("p", "score"):
            numbers = self._numbers.setdefault(one.name, {})
            self._ask(every, numbers, partial(self._measured, one))
            return compared_numbers(
                np.array([numbers.get(place, np.nan) for place in every]), one, one.name
            )
        no_order(one, "the predicted class")
        classes = {self._number(text) for text in one.values}
        self._ask(every, self._classes, self._predicted)
        answers = [self._classes.get(place) for place in every]
        truth = np.array([OPEN if one is None else bool(one & classes) for one in answers], float)
        return 1 - truth if one.operator in ("!=", "not in") else truth

    def _measured(self, one: Comparison, samples: Samples) -> list[float]:
        """Return the score or probability of the predicted class, or of the class that is named."""
        (what, name), model = one.of_class, self.model.answer
        if model is None:
            raise UserError(f"{one.name} is of the network's answer, which was cut off")
        number = self._number(name) if name else None
        model = model.with_target(output=model.asked_output, filters=number)
        if number is None and model.tells_classes:
            model = model.with_rank(0)
        elif number is None and model.target_units > 1:
            raise UserError(
                f"this network answers with {model.target_units} numbers and with no single class: name one "
                f"of them, {what}[0]"
            )
        targets = model.with_inputs_held(samples).targets(samples.x)
        numbers = [target.score if what == "score" else target.probability for target in targets]
        if None in numbers:
            raise UserError(
                f"{one.name} is a probability, and the network has no softmax or sigmoid that gives some: "
                "compare the score"
            )
        return [np.nan if number is None else number for number in numbers]

    def _number(self, name: str) -> int:
        number, answer = class_number(name, self.names), self.model.answer
        count = 2 if answer is None else max(answer.target_units, 2)
        if not 0 <= number < count:
            raise UserError(f"there is no class {name!r}: the network has {count}, from 0 on")
        return number

    def _ask(
        self, places: Sequence[int], known: dict[int, Any], ask: Callable[[Samples], list[Any]]
    ) -> None:
        """Compute unknown answers, batch by batch."""
        missing = [
            one for one in dict.fromkeys(places) if one not in known and one not in self._failed
        ]
        pieces = Pieces(len(missing), BATCH)
        failed: dict[int, str] = {}
        with progress("asking the network", len(missing)) as advance:
            for read in map(finite, read_ahead(self.samples.picked(missing), pieces)):
                failed |= {missing[at]: failure.reason for at, failure in read.failed.items()}
                if read.samples is not None:
                    with quietly():
                        found = ask(read.samples)
                    known |= dict(zip([missing[at] for at in read.good], found, strict=True))
                advance(len(read.places))
        self._failed |= failed
        for place, reason in failed.items():
            failure_of_image(int(self.samples.indices[place]), reason)
        for place, reason in list(failed.items())[:SHOWN]:
            note(f"image {self.samples.indices[place]} was not chosen: {reason}")
        if len(failed) > SHOWN:
            note(f"{len(failed) - SHOWN} more images were not chosen, as they cannot be read")

    def _predicted(self, samples: Samples) -> list[set[int]]:
        """Return the classes that the network answers: one for each image, or all with a yes."""
        model = self.model.with_inputs_held(samples)
        classes = model.predicted_classes(samples.x)
        if classes is not None:
            return [{int(one)} for one in classes]
        if samples.label_kind == "several" and model.answer is not None:
            rows = said_yes(model.answer, model.answer.predict(samples.x))
            return [set(np.flatnonzero(row).tolist()) for row in rows]
        numbers = None
        if model.answer is not None and model.answer.has_classes:
            numbers = answered_numbers(model.answer, model.answer.predict(samples.x))
        if numbers is not None:
            return [{int(one)} for one in numbers]
        raise UserError(
            "predicted=NAME chooses images by the class that the network answers, and this network "
            "does not answer with one class for each image"
        )

    def _judged(self, samples: Samples) -> list[bool | None]:
        """Tell whether each label is right; None, which is neither, for images without a label."""
        model = self.model.with_inputs_held(samples)
        try:
            if model.answer is None:
                raise UserError("the network's answer was cut off")
            right = right_labels(model, model.answer.predict(samples.x), samples)
        except UserError as error:
            raise UserError(
                f"right and wrong choose images by whether their labels are right: {error}"
            ) from error
        known = has_label(samples)
        return [
            bool(one.all()) if is_known else None
            for one, is_known in zip(right, known, strict=True)
        ]
