"""Content of the page of a report: what was asked and found, in words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from os import PathLike
from pathlib import Path
from types import MappingProxyType
from typing import Any

from cnnvis.api.citations import citations_of
from cnnvis.api.doctor import Report
from cnnvis.api.findings import Findings
from cnnvis.api.pages import (
    counted,
    facts_of,
    references_of,
    repeated,
    short,
    summary_of,
    target_in_words,
)
from cnnvis.api.steps import Step
from cnnvis.data.page import Page
from cnnvis.data.samples import Samples
from cnnvis.errors import numbered
from cnnvis.explain.inputs import options_used
from cnnvis.settings.chain_files import Recipe, by_plugin, command_line

LABELS = 20
"""Maximum number of labels that are counted by name."""


def report_page(
    made: Findings, report: Report, failed: Mapping[int, str], notes: Mapping[str, None]
) -> Page:
    """Return the content of the page."""
    first, samples = made.found[0], made.samples
    count = len(samples.image_starts)
    names = list(dict.fromkeys(str(one.provenance["named"]) for one in made.found))
    facts = facts_of(first)
    network = short((first.provenance["model"] or {}).get("file") or "a network in memory")
    whose = (first.provenance["data"] or {}).get("file")
    data = f" of {short(whose)}" if whose else ""
    asked = (
        f"{_listed(names)} {'explains' if len(names) == 1 else 'explain'} {target_in_words(first)} "
        f"of {network}, for {numbered(count, 'image')}{data}."
    )
    shown = sum(len(shelf.images) for shelf in made.shelves)
    failures = dict(sorted(failed.items()))
    kept = " All images have maps, and of the others only the means are kept." if made.by else ""
    elsewhere = (
        f"The page shows {shown} of {numbered(count, 'image')}.{kept} The command cnnvis run with "
        "--into FOLDER computes and keeps the maps of all images."
    )
    order = ", wrong answers first" if (made.known.right == 0).any() else ""
    return Page(
        tuple(made.found),
        title=f"{network}: report of cnnvis",
        summary=summary_of(
            made.found,
            asked,
            made.methods,
            right=counted(made.known),
            missing=len(failures),
            rest=f"The page shows the maps of {numbered(shown, 'image')}{order}.",
        ),
        facts={**examined(report, samples, facts), "Computation": _computation(made)},
        warnings=report.warnings,
        notes=tuple(dict.fromkeys((*notes, *report.notes))),
        methods=tuple(made.methods),
        gallery=made.shelves,
        groups=tuple(made.groups),
        curves=tuple(made.curves),
        failures=failures,
        images=count,
        elsewhere=elsewhere if shown < count else "",
        citations=citations_of(references_of(made.found, made.methods)),
    )


def _computation(made: Findings) -> dict[str, str]:
    """Return how the maps were computed: the options of each method, and the versions."""
    found: dict[str, str] = {}
    for one in made.found:
        facts = dict(facts_of(one).get("Computation", {}))
        options = facts.pop("options", "")
        found = {f"options of {one.provenance['named']}": options or "none", **found, **facts}
    return found


def _listed(names: Sequence[str]) -> str:
    return " and ".join(filter(None, (", ".join(names[:-1]), names[-1])))


def examined(
    report: Report,
    samples: Samples | None = None,
    known: Mapping[str, Mapping[str, str]] = MappingProxyType({}),
) -> dict[str, dict[str, str]]:
    """Return the findings of the doctor, in words."""

    def shape(sizes: Sequence[int | None]) -> str:
        words = ["any" if size is None else str(size) for size in sizes]
        return " x ".join(words) or "one number"

    model = {
        "file": Path(report.file).name if report.file else "",
        "origin": report.origin,
        "SHA-256": report.sha256 or "",
        "inputs": "; ".join(f"{name}, {shape(size)}, {kind}" for name, size, kind in report.inputs),
        "outputs": "; ".join(f"{name}, {shape(size)}" for name, size in report.outputs),
        "layers": f"{len(report.layers)}, with {report.parameters:,} learned numbers",
        "repaired": "; ".join(report.repairs),
        "cut off": "; ".join(f"{name}: {why}" for name, why in report.cut.items()),
    }
    data = {
        "file": known.get("Data", {}).get("file", ""),
    }
    if samples is not None:
        data["SHA-256"] = samples.sha256 or ""
        data["images"] = f"{len(samples.image_starts)} of {samples.total or len(samples)}"
    if samples is not None and samples.label_kind == "class":
        every = samples.picked(samples.image_starts).label_groups()
        counts = Counter(group for groups in every for group in groups)
        several = sorted(counts.items())
        named = [f"{name} {count}" for (_, name), count in several[:LABELS]]
        data["labels"] = ", ".join(named) + (
            f" and {len(several) - LABELS} more" if len(several) > LABELS else ""
        )
    if (fit := report.fit) is not None:
        some = "" if fit.examined == fit.samples else f", {fit.examined} of them examined"
        data["samples"] = f"{numbered(fit.samples, 'sample')} of shape {shape(fit.shape)}{some}"
        data["values"] = f"{fit.smallest:g} to {fit.largest:g}"
        for name, size, low, high in fit.others:
            data[f"input {name}"] = f"of shape {shape(size)}, values {low:g} to {high:g}"
        data["fit"] = fit.problem or "the network accepts the data"
        if fit.agreement is not None:
            data["answers and labels"] = str(fit.agreement)
    return {
        title: {name: text for name, text in held.items() if text}
        for title, held in (("Model", model), ("Data", data))
    }


def ways_to_repeat(
    model: Any,
    chosen: Sequence[Step],
    by: str | None,
    given: Mapping[str, Any],
    checks: str | None = None,
) -> dict[str, str]:
    """Return the ways to make the page again, by the name of the language."""
    plain = {
        key: str(value) if isinstance(value, PathLike) else value
        for key, value in given.items()
        if value not in (None, (), False) and key != "plugin_options"
    } if all(_is_plain(value) for value in given.values()) else {}  # fmt: skip
    if "data" not in plain and given.get("data") is not None:
        plain["data"] = "DATA"
    reading = options_used(model, given.get("data"), given.get("plugin_options") or {})
    read = {"reading": reading} if reading else {}
    subject = {
        "model": str(model) if isinstance(model, str | PathLike) else "MODEL",
        **plain,
        **read,
    }
    steps = [(step.plugin.name, dict(step.given)) for step in chosen]
    forms = repeated(Recipe("report", subject, [*steps, ("html", {})]))
    if not forms:
        return {}
    methods = [(name, own) if own else name for name, own in steps]
    asked = {name: value for name, value in (("by", by), ("checks", checks)) if value}
    arguments = {"methods": methods, **asked, **plain, "out": "report.html"}
    arguments |= {"plugin_options": by_plugin(reading)} if reading else {}
    lines = [f"    {name}={value!r}," for name, value in arguments.items()]
    found = {
        "Python": "\n".join(
            ["import cnnvis", "", "cnnvis.report(", f"    {subject['model']!r},", *lines, ")"]
        ),
        "TOML, of a chain with the same maps": forms["TOML"],
    }
    if any(own for _, own in steps):
        return found
    words = ["cnnvis", "report", str(subject["model"])]
    rest = {key: value for key, value in subject.items() if key != "model"}
    line = command_line(words, rest)
    line += f" --methods {' '.join(name for name, _ in steps)}"
    line += "".join(f" --{name} {value}" for name, value in asked.items())
    return {"Command": f"{line} --out report.html", **found}


def _is_plain(value: Any) -> bool:
    """Tell whether a value has a written form."""
    if isinstance(value, list | tuple):
        return all(map(_is_plain, value))
    if isinstance(value, Mapping):
        return all(map(_is_plain, value.values()))
    return value is None or isinstance(value, str | int | float | PathLike)
