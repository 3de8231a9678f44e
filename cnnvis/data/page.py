"""Page: results of several methods with all that belongs to them, for renderers that write pages."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from os import PathLike
from pathlib import Path
from typing import Any

from cnnvis.data import save_hook
from cnnvis.data.explanation import Explanation
from cnnvis.data.shown import Shown
from cnnvis.data.verdict import Verdict


@dataclass(frozen=True)
class Shelf:
    """Shelf of a gallery: images that are shown together, and why.

    Attributes
    ----------
    title
        The title of the shelf: ``Wrong answers``.
    about
        A sentence that says which images these are.
    images
        The places of the images in the data, the most telling first.
    """

    title: str
    about: str
    images: tuple[int, ...]


@dataclass(frozen=True)
class Judged:
    """Method with the verdicts of checks about its maps.

    Attributes
    ----------
    name
        The name of the method.
    verdicts
        The verdicts by the names of the checks.
    numbers
        The means of the checks' numbers, in words, by the names of the checks.
    failure
        Why the method gave no maps; empty where it gave some.
    place
        The place of the method among the others; None where methods are in no order.
    """

    name: str
    verdicts: Mapping[str, Verdict] = field(default_factory=dict)
    numbers: Mapping[str, str] = field(default_factory=dict)
    failure: str = ""
    place: int | None = None


@dataclass(frozen=True)
class Citation:
    """Publication of a method: the names of what it belongs to, in words and as BibTeX."""

    of: tuple[str, ...]
    text: str
    bibtex: str
    address: str = ""


@dataclass(frozen=True, eq=False)
class Page(Shown):
    """Page: what a renderer that writes pages shows beside the maps of an explanation.

    A renderer with the parameter `page` is given one.

    Attributes
    ----------
    explanations
        The maps to show: of each method, and of each input of the network that has maps.
    title
        The title of the page.
    summary
        What was asked and found, in three sentences.
    facts
        Facts in words, by their name, in sections: ``{"Model": {"file": "model.keras"}}``.
    warnings
        Likely errors, in sentences.
    notes
        Other sentences that a person should read beside the result.
    methods
        The methods with the verdicts of checks; empty where nothing was checked.
    gallery
        The images to show, in shelves; empty for maps that belong to no images.
    groups
        The mean maps of groups of images, and their differences.
    curves
        Curves of checks: maps over one axis.
    failures
        The reasons for images without a map, by the places of the images in the data.
    images
        The number of images that were asked for; 0 for maps that belong to no images.
    elsewhere
        A sentence that says where the other maps are; empty where all are shown.
    repeat
        The ways to compute the page again, by the name of the language.
    citations
        The publications of the methods and checks.
    """

    explanations: tuple[Explanation, ...]
    title: str = "cnnvis"
    summary: tuple[str, ...] = ()
    facts: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    methods: tuple[Judged, ...] = ()
    gallery: tuple[Shelf, ...] = ()
    groups: tuple[Explanation, ...] = ()
    curves: tuple[Explanation, ...] = ()
    failures: Mapping[int, str] = field(default_factory=dict)
    images: int = 0
    elsewhere: str = ""
    repeat: Mapping[str, str] = field(default_factory=dict)
    citations: tuple[Citation, ...] = ()

    def __repr__(self) -> str:
        maps = sum(len(one) for one in self.explanations)
        return f"<Page: {self.title[:80]}, {maps} map{'' if maps == 1 else 's'}>"

    def save(self, path: str | PathLike[str], **options: Any) -> None:
        """Write the page to a file that ends in ``.html``.

        Parameters
        ----------
        options
            Options of the renderer html.
        """
        save_hook.save(self, Path(path), options)
