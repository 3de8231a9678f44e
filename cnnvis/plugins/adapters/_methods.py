"""Techniques that are made of a table of a library's methods."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import cnnvis


@dataclass(frozen=True)
class Option:
    """Option of a method.

    Attributes
    ----------
    name, annotation, default, help
        As of an option of any plugin.
    keyword
        The name in the library, where that is another.
    """

    name: str
    annotation: Any
    default: Any
    help: str
    keyword: str = ""


PENULTIMATE = Option(
    "penultimate",
    str | None,
    None,
    "The penultimate layer, which gives the feature maps; by default the last layer before the "
    "target with the input's spatial axes.",
)


@dataclass(frozen=True)
class Method:
    """Method of a library: a row of its table.

    Attributes
    ----------
    name, reference, claims, check
        As `cnnvis.technique` takes them.
    kind
        The class of the library.
    about
        The docstring of the technique, without its options.
    options
        The options of the technique.
    """

    name: str
    kind: str
    reference: str
    about: str
    options: tuple[Option, ...] = ()
    claims: Mapping[Any, Mapping[str, Any]] = field(default_factory=dict)
    check: Callable[..., None] | None = None

    def settings(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Return the given options by their names in the library."""
        return {
            one.keyword or one.name: given[one.name] for one in self.options if one.name in given
        }


def technique_of(
    method: Method, explain: Callable[..., cnnvis.Explanation], **needs: Any
) -> Callable[..., cnnvis.Explanation]:
    """Make a technique of a method.

    Parameters
    ----------
    explain
        Function of the method, a network, samples, and all options of the method by name.
    needs
        The modules that the library needs, as `cnnvis.technique` takes them.
    """

    def technique(
        model: cnnvis.Model, samples: cnnvis.Samples, **options: Any
    ) -> cnnvis.Explanation:
        given = signature.bind(model, samples, **options)
        given.apply_defaults()
        return explain(method, **given.arguments)

    *subject, _ = inspect.signature(technique).parameters.values()
    options = (
        inspect.Parameter(
            one.name, inspect.Parameter.KEYWORD_ONLY, default=one.default, annotation=one.annotation
        )
        for one in method.options
    )
    signature = inspect.Signature([*subject, *options])
    technique.__signature__ = signature  # type: ignore[attr-defined]
    technique.__doc__, technique.__module__ = _docstring(method), explain.__module__
    decorate = cnnvis.technique(
        method.name, reference=method.reference, claims=method.claims, check=method.check, **needs
    )
    return decorate(technique)


def _docstring(method: Method) -> str:
    listed = [f"{one.name}\n    {one.help}" for one in method.options]
    section = ["", "Parameters", "----------", *listed] if listed else []
    return "\n".join([inspect.cleandoc(method.about), *section])
