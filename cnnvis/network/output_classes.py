"""Classes among the outputs of a network, and their names."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from cnnvis.data.loaded_network import LoadedNetwork
from cnnvis.network.class_evidence import ClassEvidence
from cnnvis.network.graph import Call
from cnnvis.network.losses import is_of_classes, losses_of
from cnnvis.network.traced import TracedNetwork


@dataclass(frozen=True, eq=False)
class OutputClasses:
    """Classes that a network's outputs stand for.

    Attributes
    ----------
    traced
        The network.
    loaded
        The network as a loader gave it.
    evidence
        Further evidence that outputs are classes.
    answer
        The call that gives the network's answer; None if it was cut off.
    targets
        The calls whose outputs are explained.
    is_compound
        True if the target is a sum or difference of outputs.
    """

    traced: TracedNetwork
    loaded: LoadedNetwork
    evidence: ClassEvidence
    answer: Call | None
    targets: tuple[Call, ...]
    is_compound: bool

    @property
    def trained_outputs(self) -> Mapping[str, Call]:
        """Calls that give the network's outputs; none if the trained end was cut off."""
        return {} if self.loaded.cut_learned else self.traced.outputs

    def is_output(self, call: Call) -> bool:
        """Tell whether a call gives one of the network's outputs."""
        return call in self.trained_outputs.values() or call is self.answer

    def are_classes(self, call: Call) -> bool:
        """Tell whether a call's outputs are known to be classes.

        Those of a softmax are; a single sigmoid stands for two. Otherwise the loss decides that
        the network was trained with, and then class names and labels.
        """
        if self.evidence.decided is not None and call in self.targets[:1]:
            return self.evidence.decided
        squashing = self.traced.squashing(call)
        if squashing is not None and squashing.is_share:
            return True
        if not self.is_output(call):
            return False
        said_by_loss = self._said_by_loss(call)
        if said_by_loss is not None:
            return said_by_loss
        units = self.traced.units(call)
        if units == 1:
            return squashing is not None
        names = self.evidence.names
        return (names is not None and len(names) == units) or self.evidence.labels_are_classes

    def are_two(self, call: Call) -> bool:
        """Tell whether a call has a single output that stands for two classes, as a sigmoid does."""
        return self.traced.units(call) == 1 and self.are_classes(call)

    def count(self, call: Call) -> int | None:
        """Count the classes, or else units, of a call; None if the input's size decides."""
        channels = self.traced.channels(call)
        return 2 if channels == 1 and self.are_two(call) else channels

    def number(self, call: Call, unit: int, weight: float) -> int:
        """Return the number of the class that a unit stands for if it counts with that weight.

        A single sigmoid stands for class 1, and for class 0 where it counts negatively.
        """
        return int(weight > 0) if self.are_two(call) else unit

    def names(self, call: Call) -> tuple[str, ...] | None:
        """Return the names of a call's classes; None if it has none or they belong to another."""
        names = self.evidence.names
        if names is None or call is not self.named:
            return None
        return names if len(names) == self.count(call) else None

    @property
    def named(self) -> Call | None:
        """Call that the class names belong to: the target if it is an output, else the answer."""
        target = self.targets[0] if len(self.targets) == 1 else None
        if target not in self.trained_outputs.values() or self.answer is None:
            return self.answer
        # For a sum or difference, the number of names tells whose they are.
        fits_answer = len(self.evidence.names or ()) == self.count(self.answer)
        return self.answer if self.is_compound and fits_answer else target

    @property
    def loss_denies(self) -> bool:
        """True if the target's outputs are no classes for no other reason than the loss of the training."""
        target = self.targets[0] if len(self.targets) == 1 else None
        return target is not None and self.is_output(target) and self._said_by_loss(target) is False

    def _said_by_loss(self, call: Call) -> bool | None:
        """Tell whether the loss of an output is one of classes; None where nobody knows."""
        losses = losses_of(self.loaded.network, self.loaded.loss)
        names = [name for name, one in self.traced.outputs.items() if one is call]
        return is_of_classes(losses, [*names, call.name])
