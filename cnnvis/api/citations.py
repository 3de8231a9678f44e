"""Citations of methods, made of the numbers of their publications without any network."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from cnnvis.data.page import Citation
from cnnvis.text import printable

_ARXIV = re.compile(r"arxiv:\s*([a-z.-]+/\d{7}|\d{4}\.\d{4,5})(v\d+)?$", re.IGNORECASE)
_DOI = re.compile(r"doi:\s*(10\.\d{4,9}/[\w.;()/:<>-]+)$", re.IGNORECASE | re.ASCII)


def citations_of(references: Mapping[str, str | None]) -> tuple[Citation, ...]:
    """Return the publications of methods and checks, each once, by the names of these."""
    of: dict[str, list[str]] = {}
    for name, reference in references.items():
        for one in _parts(reference or ""):
            of.setdefault(one, []).append(name)
    return tuple(_citation(text, names) for text, names in of.items())


def _parts(reference: str) -> list[str]:
    """Return the publications of a reference: numbers are separated by commas, words are whole."""
    parts = [one.strip() for one in reference.split(",")]
    if all(_ARXIV.match(one) or _DOI.match(one) for one in parts):
        return parts
    return [reference.strip()] if reference.strip() else []


def _citation(text: str, names: Iterable[str]) -> Citation:
    fields, address = {}, ""
    if found := _ARXIV.match(text):
        address = f"https://arxiv.org/abs/{found[1]}"
        fields = {"eprint": found[1], "archivePrefix": "arXiv", "url": address}
    elif found := _DOI.match(text):
        address = f"https://doi.org/{found[1]}"
        fields = {"doi": found[1], "url": address}
    else:
        fields = {"howpublished": printable(text)}
    named = tuple(dict.fromkeys(map(printable, names)))
    fields["note"] = f"cnnvis: {', '.join(named)}"
    key = re.sub(r"[^A-Za-z0-9.]+", "-", text).strip("-").lower() or "unknown"
    lines = [f"  {name} = {{{_plain(value)}}}," for name, value in fields.items()]
    bibtex = "\n".join([f"@misc{{{key},", *lines, "}"])
    return Citation(named, printable(text), bibtex, address)


def _plain(text: str) -> str:
    """Return a text that ends no field of BibTeX and begins no command."""
    return re.sub(r"[{}\\]", " ", text)
