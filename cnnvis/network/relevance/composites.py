"""Composites: tables of which layers of a network pass relevance back by which rule."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cnnvis.errors import UserError, nearest, shown
from cnnvis.files.reading import read_toml
from cnnvis.network.relevance.kernels import CONVOLUTIONS, KINDS
from cnnvis.network.relevance.rules import Rule, rule_named, same
from cnnvis.network.relevance.steps import Step


@dataclass(frozen=True)
class Composite:
    """Table of the rules by which the layers of a network pass relevance back.

    A rule is given by its name, as ``z-plus`` or ``gamma:0.25``, or as a tuple of `Pool`.

    Attributes
    ----------
    name
        Name, for people.
    layers
        Rule for each kind of layer: ``Dense``, ``Conv2D``, ...; ``Conv`` for convolutions of every
        kind; ``Sum`` for layers that add up values without weights; ``any`` for all others.
    first
        The same for the first layers with weights.
    names
        Rule for each single layer, by its name.
    epsilon
        Epsilon of the rules ``epsilon`` and ``gamma`` that are given without one.
    """

    name: str
    layers: Mapping[str, str | Rule]
    first: Mapping[str, str | Rule] = field(default_factory=dict)
    names: Mapping[str, str | Rule] = field(default_factory=dict)
    epsilon: float = 1e-6

    @property
    def key(self) -> tuple[Any, ...]:
        """Composite as a tuple that is equal for equal composites."""
        tables = (self.layers, self.first, self.names)
        return (self.epsilon, *(tuple(sorted(one.items(), key=str)) for one in tables))

    def rule_of(self, step: Step) -> tuple[str, Rule]:
        """Return the name of a step's rule, and the rule.

        Raises
        ------
        UserError
            If there is none, or it does not fit the layer.
        """
        found = self._given(step)
        if found is None and step.kernel is not None:
            raise UserError(
                f"the composite {self.name!r} has no rule for the layer {step.name!r} "
                f"({step.call.kind}); give a rule for 'any'"
            )
        found = "norm" if found is None else found
        name = found if isinstance(found, str) else "a rule of its own"
        rule = rule_named(found, self.epsilon) if isinstance(found, str) else found
        _require_fit(step, name, rule)
        return name, rule

    def _given(self, step: Step) -> str | Rule | None:
        """Return the rule in the first table that has one for a step; None if none has."""
        kinds = [step.call.kinds[0], "Sum"]
        if step.kernel is not None:
            is_convolution = step.kernel.kind in CONVOLUTIONS
            kinds = [step.kernel.kind, *(["Conv"] if is_convolution else []), "any"]
        tables = [self.first, self.layers] if step.is_first else [self.layers]
        rules = [table[kind] for table in tables for kind in kinds if kind in table]
        return self.names.get(step.name, next(iter(rules), None))

    def require_known(self, steps: Sequence[Step]) -> None:
        """Refuse a table that names layers, or kinds of layers, that there are not.

        Raises
        ------
        UserError
            With near names.
        """
        names = {step.name for step in steps}
        for name in self.names:
            if name not in names:
                raise UserError(
                    f"the composite {self.name!r} has a rule for the layer {shown(name)}, which is not "
                    f"among those up to the target.{nearest(name, names)}"
                )
        kinds = {*KINDS, "Conv", "Sum", "any", *(step.call.kinds[0] for step in steps)}
        for kind in (*self.layers, *self.first):
            if kind not in kinds:
                raise UserError(
                    f"the composite {self.name!r} has a rule for {shown(kind)}, which is no kind of "
                    f"layer with weights.{nearest(kind, kinds)}"
                )


def _require_fit(step: Step, name: str, rule: Rule) -> None:
    """Refuse a rule that needs of a layer what the layer does not have."""
    terms = [term for pool in rule for term in pool.terms]
    where = f"the layer {step.name!r} ({step.call.kind})"
    if step.kernel is None and any(taken != "all" or change is not same for taken, change in terms):
        raise UserError(
            f"the rule {name!r} changes weights, and {where} adds values up without a kernel that "
            "cnnvis knows; give it the rule norm or epsilon"
        )
    if not step.is_first and any(taken in ("low", "high") for taken, _ in terms):
        raise UserError(
            f"the rule {name!r} needs the range of the inputs of {where}, which is known for the "
            "first layer of a network alone"
        )


_TABLES: dict[str, tuple[dict[str, str], dict[str, str]]] = {
    "epsilon": ({"any": "epsilon"}, {}),
    "epsilon-plus": ({"Conv": "z-plus", "any": "epsilon"}, {}),
    "epsilon-plus-flat": ({"Conv": "z-plus", "any": "epsilon"}, {"any": "flat"}),
    "epsilon-gamma-box": ({"Conv": "gamma:0.25", "any": "epsilon"}, {"Conv": "z-box"}),
    "epsilon-alpha2-beta1": ({"Conv": "alpha-beta:2,1", "any": "epsilon"}, {}),
    "epsilon-alpha2-beta1-flat": ({"Conv": "alpha-beta:2,1", "any": "epsilon"}, {"any": "flat"}),
}
"""Rules of the layers, and of the first layers, of the composites that have names."""


def composite_named(name: str, epsilon: float = 1e-6) -> Composite:
    """Return the composite of that name, or that a TOML file holds.

    The file has a table ``layers``, and may have the tables ``first`` and ``names``; see `Composite`.

    Raises
    ------
    UserError
        If there is none, or the file holds something else.
    """
    if name in _TABLES:
        layers, first = _TABLES[name]
        return Composite(name, layers, first, epsilon=epsilon)
    if not name.endswith(".toml"):
        raise UserError(
            f"there is no composite {shown(name)}.{nearest(name, _TABLES)} There are: "
            f"{', '.join(_TABLES)}; or name a file of your own that ends in .toml"
        )
    held = read_toml(Path(name))
    for key, table in held.items():
        if key not in ("layers", "first", "names"):
            raise UserError(
                f"{shown(name)} holds {shown(key)}, and a composite has the tables layers, first and "
                "names"
            )
        if not isinstance(table, Mapping):
            raise UserError(f"{key} in {shown(name)} must be a table of layers and rules")
        for kind, rule in table.items():
            if not isinstance(rule, str):
                raise UserError(
                    f"{key}.{kind} in {shown(name)} must be the name of a rule in quotes, such as "
                    '"gamma:0.25"'
                )
            rule_named(rule)
    if not held.get("layers"):
        raise UserError(f"{shown(name)} has no table layers, with a rule for each kind of layer")
    tables = {key: dict(held.get(key, {})) for key in ("layers", "first", "names")}
    return Composite(name, **tables, epsilon=epsilon)
