"""Resolution of a target: the meaning of a request in a network.

A request may leave almost everything open. The resolution says which layers and units are
explained; `cnnvis.network.scores` computes from it how these add up to a score.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass, replace

from cnnvis.data.loaded_network import LoadedNetwork
from cnnvis.errors import UserError, nearest
from cnnvis.network.class_evidence import ClassEvidence
from cnnvis.network.gradients import Part, Squashing
from cnnvis.network.graph import Call, Slot
from cnnvis.network.layer_names import every_name, find_call, require_not_cut
from cnnvis.network.layers import Layer, names_between
from cnnvis.network.output_classes import OutputClasses
from cnnvis.network.region import part_of
from cnnvis.network.request import TargetRequest
from cnnvis.network.targets import Term, parsed
from cnnvis.network.traced import OUTPUT, TracedNetwork
from cnnvis.network.unit_choice import WeightedUnit, asked_units


@dataclass(frozen=True, eq=False)
class Resolution:
    """Target, looked up in a network by `resolve`.

    Attributes
    ----------
    traced
        The network.
    loaded
        The network as a loader gave it.
    request
        Request for the target; outputs that stood behind a layer's name stand in its `filters`.
    evidence
        Evidence, other than the network, that outputs are classes.
    terms
        The terms of the target, a single one for a layer; none if the network's end was cut off
        and nobody named a layer.
    calls
        The call that each term means.
    """

    traced: TracedNetwork
    loaded: LoadedNetwork
    request: TargetRequest
    evidence: ClassEvidence
    terms: tuple[Term, ...]
    calls: tuple[Call, ...]

    # Where the target is

    @functools.cached_property
    def targets(self) -> tuple[Call, ...]:
        """Calls whose outputs make up the target, each of them once.

        Raises
        ------
        UserError
            If the network computes nothing, or its end was cut off and nobody named a layer.
        """
        if not self.traced.calls:
            raise UserError("the network has no layer that computes, so cnnvis cannot explain any")
        if not self.calls:
            raise UserError(
                f"the network's end was cut off, since {next(iter(self.loaded.cut.values()))}; name "
                f"the layer to explain with --layer, one of: {', '.join(self.traced.calls)}"
            )
        return tuple(dict.fromkeys(self.calls))

    @property
    def target(self) -> Call:
        """Call whose outputs are the target; of a sum or difference, the first one."""
        return self.targets[0]

    @property
    def ends(self) -> list[Slot]:
        """Values that make up the target."""
        return [call.slots[0] for call in self.targets]

    @property
    def layer(self) -> str:
        """Name of the target's layer; for a sum or difference, the target as it was written."""
        return str(self.request.layer) if self.is_compound else self.target.name

    @property
    def is_compound(self) -> bool:
        """True if the target is a sum, difference or multiple rather than the outputs of a layer."""
        return len(self.terms) > 1 or any(term.factor != 1 for term in self.terms)

    @property
    def is_default(self) -> bool:
        """True if the target is the layer that is explained when nobody names one."""
        return self.request.layer in (None, default_layer(self.traced, self.loaded, self.request))

    def depends_on(self, source: Slot) -> bool:
        """Tell whether the target depends on an input."""
        return not self.traced.graph.reached([source]).isdisjoint(self.ends)

    @property
    def explainable_inputs(self) -> tuple[str, ...]:
        """Names of the inputs that the target depends on; of all, if it depends on none."""
        graph = self.traced.graph
        needed = {slot for call in graph.needed(self.ends) for slot in call.inputs}
        fitting = [one.name for one in graph.inputs if one.slot in needed]
        return tuple(fitting or [one.name for one in graph.inputs])

    def layers_behind(self, source: Slot) -> tuple[Layer, ...]:
        """List the layers between an input and the target, the target left out, as they run."""
        names = names_between(self.traced.graph, source, self.ends)
        return tuple(layer for layer in self.traced.layers if layer.name in names)

    @functools.cached_property
    def parts(self) -> tuple[Part, ...]:
        """Outputs that make up the target, with the positions over which they are averaged.

        Raises
        ------
        UserError
            If the region does not fit a layer.
        """
        axis = self.traced.channel_axis
        return tuple(part_of(call, axis(call), self.request.region) for call in self.targets)

    @functools.cached_property
    def key(self) -> str:
        """Text that tells apart the values that make up targets, for what is cached of them."""
        return str([(part.slot, part.region) for part in self.parts])

    # The network's answer

    @property
    def answering(self) -> Slot:
        """Value that is the network's answer, behind all its layers."""
        slots = {name: call.slots[0] for name, call in self.traced.outputs.items()}
        return slots.get(self.request.output or "", self.traced.graph.outputs[0])

    @functools.cached_property
    def answer(self) -> Resolution | None:
        """Answer of the network as a target; None if it was cut off.

        Of several outputs, the one that is the target, else the one that was asked for, else the
        first.
        """
        ends = [
            name for name, call in self.classes.trained_outputs.items() if {call} == {*self.calls}
        ]
        output = ends[0] if ends else self.request.output
        if output is None and default_layer(self.traced, self.loaded, self.request) is None:
            return None
        # What was decided of the target need not be so of the answer.
        evidence = replace(self.evidence, decided=None)
        return resolve(self.traced, self.loaded, TargetRequest(output=output), evidence)

    @property
    def is_answer(self) -> bool:
        """True if the target's outputs are the network's answer."""
        answer = self.answer
        if answer is None or self.is_compound or self.request.region is not None:
            return False
        return self.ends == answer.ends == [answer.answering]

    @property
    def answers_with_one_class(self) -> bool:
        """True if the network answers with one class for each input.

        It does not where the data have several labels for each sample, and a sigmoid says yes or no
        to each of them.
        """
        answer = self.answer
        if answer is None or len(answer.target.shapes[0]) != 1:
            return False
        if answer.traced.channels(answer.target) is None or not answer.has_classes:
            return False
        squashing = answer.squashing
        is_share = squashing is not None and squashing.is_share
        return is_share or not self.evidence.labels_are_several

    # Units and classes

    @functools.cached_property
    def classes(self) -> OutputClasses:
        """Classes of the network's outputs, and their names."""
        default = default_layer(self.traced, self.loaded, self.request)
        return OutputClasses(
            traced=self.traced,
            loaded=self.loaded,
            evidence=self.evidence,
            answer=None if default is None else self.traced.calls[default],
            targets=tuple(dict.fromkeys(self.calls)),
            is_compound=self.is_compound,
        )

    @property
    def has_classes(self) -> bool:
        """True if the target's outputs are known to be classes; never for a sum."""
        return not self.is_compound and self.classes.are_classes(self.target)

    @property
    def units(self) -> int:
        """Number of outputs of the target; for a sum, those of all its terms together."""
        return sum(self.traced.units(call) for call in self.targets)

    @functools.cached_property
    def chosen(self) -> tuple[WeightedUnit, ...] | None:
        """Units that were asked for; None for a sum or difference, or if none were asked for.

        Raises
        ------
        UserError
            If the target has no such unit.
        """
        if self.is_compound:
            return None
        return asked_units(self.request.filters, self.target, self.classes)

    @property
    def explains_predicted(self) -> bool:
        """True if each input is explained by the class that is predicted for it."""
        if self.request.rank is not None:  # which may be another one
            return False
        if self.is_compound or not self.is_default or self.request.filters is not None:
            return False
        return self.units > 1 and self.has_classes

    @property
    def needs_units(self) -> bool:
        """True if the units of each input decide which of them count in its score."""
        return self.explains_predicted or self.request.rank is not None

    @property
    def squashing(self) -> Squashing | None:
        """Softmax or sigmoid that the target ends in; None if it ends in none."""
        return self.traced.squashing(self.target)


def ranked(resolution: Resolution, rank: int) -> Resolution:
    """Return the target that is, of each input, the class with a place in the order of its scores.

    Parameters
    ----------
    rank
        The place, 0 for the class with the largest score.

    Raises
    ------
    UserError
        If outputs were asked for, if the target's outputs are no classes, or too few.
    """
    if resolution.is_compound or resolution.request.filters is not None:
        raise UserError(
            "the classes with the largest scores are chosen for each image, and the target "
            f"{_asked_in_words(resolution)} names its outputs: leave out one of the two"
        )
    if not resolution.has_classes:
        raise UserError(
            f"the outputs of {resolution.layer!r} are not known to be classes, so none of them is the "
            "class with the largest score: name outputs with --filter (filter=)"
            + (
                "; the loss that the network was trained with is one of numbers"
                if resolution.classes.loss_denies
                else "; if the outputs are classes, give --class-names or data with labels"
            )
        )
    count = resolution.classes.count(resolution.target)
    if count is None or not 0 <= rank < count:
        raise UserError(
            f"{resolution.layer!r} has {count} classes, so there is no class with the score number "
            f"{rank + 1} by size"
        )
    return replace(resolution, request=replace(resolution.request, rank=rank))


def _asked_in_words(resolution: Resolution) -> str:
    filters = resolution.request.filters
    return repr(resolution.layer) if filters is None else f"{resolution.layer!r} with {filters!r}"


def resolve(
    traced: TracedNetwork, loaded: LoadedNetwork, request: TargetRequest, evidence: ClassEvidence
) -> Resolution:
    """Look a target up in a network.

    Raises
    ------
    UserError
        If the network has no such layer or output.
    """
    default = default_layer(traced, loaded, request)
    text = request.layer or default
    terms: tuple[Term, ...] = ()
    if text is not None:
        require_not_cut(text, loaded.cut)
        terms = parsed(text, every_name(traced.calls), tuple(traced.calls))
    if any(term.unit is not None for term in terms) or len(terms) > 1:
        if request.filters is not None:
            raise UserError(f"the target {text!r} names its outputs, so leave out filter")
        if len(terms) == 1 and terms[0].factor == 1:
            request = replace(request, layer=terms[0].layer, filters=terms[0].unit)
    calls = tuple(find_call(traced.calls, term.layer, loaded.cut) for term in terms)
    return Resolution(traced, loaded, request, evidence, terms, calls)


def default_layer(
    traced: TracedNetwork, loaded: LoadedNetwork, request: TargetRequest
) -> str | None:
    """Name the layer that holds the network's answer; None if that was cut off.

    Raises
    ------
    UserError
        If the network has no output of the name that was asked for.
    """
    outputs = traced.outputs
    if request.output is not None:
        if request.output not in outputs:
            raise UserError(
                f"the network has no output {request.output!r}."
                f"{nearest(request.output, outputs)} It has: {', '.join(outputs)}."
            )
        return outputs[request.output].name
    if traced.has_answer_named_output:
        return OUTPUT
    if loaded.cut_learned or not outputs:
        return None
    return next(iter(outputs.values())).name
