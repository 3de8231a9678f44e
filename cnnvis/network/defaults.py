"""Notes on what was taken by default, where a target leaves several things open."""

from __future__ import annotations

from collections.abc import Iterator

from cnnvis.network.gradients import squashed_before, swapping
from cnnvis.network.resolution import Resolution


def notes_on_defaults(resolution: Resolution) -> Iterator[str]:
    """Say what was taken where a person may have meant something else, in sentences."""
    yield from _on_outputs(resolution)
    yield from _on_states(resolution)
    yield from _on_squashed_scores(resolution)
    yield from _on_units(resolution)


def _on_outputs(resolution: Resolution) -> Iterator[str]:
    request, outputs = resolution.request, resolution.traced.outputs
    if request.layer is None and request.output is None and len(outputs) > 1:
        yield (
            f"the network has the outputs {', '.join(outputs)}; cnnvis explains "
            f"{resolution.layer!r}, and --output chooses another output"
        )


def _on_states(resolution: Resolution) -> Iterator[str]:
    stateful = [
        call.name
        for call in resolution.traced.graph.calls
        if any(getattr(layer, "stateful", False) for layer in call.layers())
    ]
    if stateful:
        yield (
            f"{', '.join(map(repr, stateful))} keeps states from one batch to the next; cnnvis "
            "explains each image without these states, as the first image of a sequence"
        )


def _on_squashed_scores(resolution: Resolution) -> Iterator[str]:
    traced = resolution.traced
    for call in resolution.calls:
        if not resolution.classes.is_output(call) or traced.squashing(call) is not None:
            continue
        with swapping:
            squashed = squashed_before(traced.graph, call)
        if squashed is not None:
            yield (
                f"the score of {call.name!r} is taken behind the softmax or sigmoid of "
                f"{squashed.name!r}: where the network is sure, the gradient is small. --layer "
                f"{squashed.name} explains the score before the softmax or sigmoid"
            )


def _on_units(resolution: Resolution) -> Iterator[str]:
    if resolution.is_compound or not resolution.is_default:
        return
    if not resolution.calls:  # the end was cut off: nothing is explained until a layer is named
        return
    is_sigmoid = resolution.units == 1 and resolution.squashing is not None
    if is_sigmoid and not resolution.has_classes and resolution.classes.loss_denies:
        yield (
            f"the network was trained with a loss of numbers, so the sigmoid of {resolution.layer!r} is "
            "explained as a number, and not as two classes: class 0 would be its negative"
        )
    if resolution.request.filters is not None:
        return
    if resolution.units > 1 and not resolution.has_classes:
        remedy = (
            "the loss that the network was trained with is one of numbers"
            if resolution.classes.loss_denies
            else "if the outputs are classes, give --class-names or data with labels"
        )
        yield (
            f"the {resolution.units} outputs of {resolution.layer!r} are not known to be classes, "
            f"so cnnvis explains output 0 for every image. --filter chooses another output; {remedy}"
        )
