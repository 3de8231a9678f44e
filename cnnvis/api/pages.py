"""Pages of explanations: what a page says of maps beside the maps, made of their provenance."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from cnnvis import demo
from cnnvis.api.citations import citations_of
from cnnvis.api.gallery import MOST, Known, shelves_of
from cnnvis.data.explanation import Explanation
from cnnvis.data.page import Judged, Page, Shelf
from cnnvis.data.verdict import Verdict
from cnnvis.errors import UserError, numbered
from cnnvis.files.snapshots import sha256
from cnnvis.registry.discovery import registry
from cnnvis.registry.options import checked
from cnnvis.settings.chain_files import Recipe

LONGEST = 60
"""Maximum number of letters of a name in a sentence."""


def page_of(found: Explanation, most: int = MOST, renderer: str = "html") -> Page:
    """Return the page of one explanation.

    Parameters
    ----------
    most
        The number of maps on the page.
    renderer
        The name of the renderer that is given the page, for the words that repeat what it writes.
    """
    judged = judged_of(found)
    images = 0 if found.samples is None else len(found.samples.image_starts)
    missing = _missing(found)
    gallery: tuple[Shelf, ...] = ()
    known = None
    if found.samples is not None and images:
        known = Known.of(found)
        gallery = shelves_of(known, max(most // max(len(found) // images, 1), 1))
    shown = sum(len(shelf.images) for shelf in gallery) if gallery else min(len(found), most)
    count = images or len(found)
    return Page(
        (found,),
        title=_title(found),
        summary=summary_of(
            [found], _asked(found, count + len(missing)), [judged] if judged.verdicts else [],
            right=None if known is None else counted(known), missing=len(missing),
        ),
        facts=facts_of(found),
        notes=found.notes,
        methods=(judged,) if judged.verdicts or judged.numbers else (),
        gallery=gallery,
        failures=missing,
        images=images + len(missing),
        elsewhere=_elsewhere(shown, count) if found.maps is not None else "",
        repeat=_repeat(found, renderer),
        citations=citations_of(references_of([found], [judged])),
    )  # fmt: skip


def _title(found: Explanation) -> str:
    file = (found.provenance.get("model") or {}).get("file")
    words = [str(found.provenance.get("technique", "maps"))]
    words += [f"- {one}" for one in found.changes]
    return " ".join(words) + (f" of {short(file)}" if file else "")


def short(text: object) -> str:
    """Return a name, cut in its middle where it is very long."""
    name = str(text)
    return name if len(name) <= LONGEST else f"{name[: LONGEST // 2]}...{name[-LONGEST // 2 :]}"


def _asked(found: Explanation, count: int) -> str:
    """Return the sentence that says what was asked."""
    facts = found.provenance
    technique = str(facts.get("technique", "an unknown method"))
    model, data = facts.get("model") or {}, facts.get("data") or {}
    if found.maps is None:
        return f"{technique} describes {short(model.get('file') or 'a network')} in a table."
    what = numbered(count, "map" if found.samples is None else "image")
    whose = f" of {short(data['file'])}" if data.get("file") else ""
    network = short(model.get("file") or "a network in memory")
    if found.samples is None:
        made = "groups of images" if found.groups else "units of the network"
        return f"{technique} shows {what} of {made}{whose}, of {network}."
    how = f" ({short(facts['orders']['shown'])})" if facts.get("orders") else ""
    return f"{technique}{how} explains {target_in_words(found)} of {network}, for {what}{whose}."


def target_in_words(found: Explanation) -> str:
    """Return the target of an explanation in words that fit into a sentence."""
    asked = found.provenance.get("model") or {}
    layers = list(dict.fromkeys(target.layer for target in found.targets))
    if asked.get("top"):
        return f"the {asked['top']} classes with the largest scores"
    is_answer = (
        found.predictions is not None
        and len(found.targets) > 0
        and all(
            target.filters == (answered,)
            for target, answered in zip(found.targets, found.predictions.tolist(), strict=True)
        )
    )
    if is_answer and asked.get("filters") is None and len(layers) == 1:
        return f"the class that the network answers (layer {short(layers[0])})"
    every = list(dict.fromkeys(str(target) for target in found.targets))
    if not every:
        return "a target that is not known"
    return short(every[0]) if len(every) == 1 else f"{len(every)} targets, {short(every[0])} first"


def counted(known: Known) -> tuple[int, int] | None:
    """Return how many answers are right, and how many can be judged; None where none can."""
    judged = known.right[known.right == known.right]
    return (int(judged.sum()), len(judged)) if len(judged) else None


def summary_of(
    found: Sequence[Explanation],
    asked: str,
    methods: Sequence[Judged],
    *,
    right: tuple[int, int] | None,
    missing: int,
    rest: str = "Every image has a map.",
) -> tuple[str, ...]:
    """Return what was asked and found in three sentences.

    Parameters
    ----------
    asked
        The first sentence.
    right
        The number of right answers, and of the answers that can be judged.
    missing
        The number of images that could not be explained.
    rest
        The last sentence where no image is missing.
    """
    phrases = []
    if right is not None and right[1]:
        share = f"{right[0] / right[1]:.1%}"
        phrases.append(f"the answer is right for {right[0]} of {right[1]} labels ({share})")
    methods = [one for one in methods if one.verdicts]
    failed = {one.name: _count(one, "failed") for one in methods}
    bad = [f"{name} ({', '.join(checks)})" for name, checks in failed.items() if checks]
    if bad:
        phrases.append(f"checks failed for {', '.join(bad)}")
    elif methods:
        warned = any(_count(one, "warned") for one in methods)
        phrases.append(
            "no check failed, and some warned" if warned else "no check failed or warned"
        )
    elif found and found[0].maps is not None:
        phrases.append("the maps were not checked")
    middle = " and ".join(phrases)
    last = rest
    if missing:
        last = f"{numbered(missing, 'image')} could not be explained; the page says why."
    elif not found or found[0].samples is None:
        last = ""
    sentences = [asked, f"{middle[:1].upper()}{middle[1:]}." if middle else "", last]
    return tuple(one for one in sentences if one)


def _count(one: Judged, *outcomes: str) -> list[str]:
    """Return the names of the checks with one of these outcomes."""
    return [name for name, verdict in one.verdicts.items() if verdict.outcome in outcomes]


def judged_of(found: Explanation, name: str | None = None) -> Judged:
    """Return the verdicts about the maps of an explanation, with the means of the numbers."""
    numbers: dict[str, str] = {}
    for one in (*found.provenance.get("checks", ()), *found.provenance.get("metrics", ())):
        means = one.get("means") or {}
        value = means.get(one["metric"])
        if value is None and one["metric"] in found.measures:
            known = found.measures[one["metric"]]
            known = known[known == known]
            value = float(known.mean()) if len(known) else None
        if isinstance(value, int | float):
            numbers[one["metric"]] = f"{value:.3g}"
    verdicts: Mapping[str, Verdict] = found.verdicts
    return Judged(name or str(found.provenance.get("technique", "maps")), verdicts, numbers)


def facts_of(found: Explanation) -> dict[str, dict[str, str]]:
    """Return facts about the model, the data and the computation, in words."""
    facts = found.provenance
    sections: dict[str, dict[str, Any]] = {}
    model, data = facts.get("model") or {}, facts.get("data") or {}
    sections["Model"] = {
        "file": model.get("file"),
        "SHA-256": model.get("sha256"),
        "layer": model.get("layer"),
        "repairs": "; ".join(map(str, model.get("repairs") or ())),
        "cut off": "; ".join(f"{k}: {v}" for k, v in (model.get("cut") or {}).items()),
    }
    sections["Data"] = {
        "file": data.get("file"),
        "SHA-256": data.get("sha256"),
        "images": ranges_of(data.get("images") or ()),
        "read with": _said(facts.get("reading")),
    }
    sections["Computation"] = {
        "options": _said(facts.get("options")),
        "style": facts.get("style"),
        "half precision": "yes" if facts.get("mixed_precision") else None,
        "plugin": " ".join(map(str, (facts.get("plugin") or {}).values())),
        "versions": ", ".join(f"{k} {v}" for k, v in (facts.get("versions") or {}).items()),
    }
    plain = {title: {name: str(text) for name, text in held.items() if text}
             for title, held in sections.items()}  # fmt: skip
    return {title: held for title, held in plain.items() if held}


def _said(options: Any) -> str:
    if not isinstance(options, Mapping):
        return ""
    return ", ".join(f"{name} {json.dumps(value, default=str, ensure_ascii=False)}"
                     for name, value in options.items())  # fmt: skip


def ranges_of(images: Iterable[int]) -> str:
    """Return places of images as text: ``0-5 8``, at most so many that they can be read."""
    words = _ranges(images)
    return " ".join(words) if len(words) <= 40 else f"{' '.join(words[:40])} ..."


def _ranges(images: Iterable[int]) -> list[str]:
    runs: list[list[int]] = []
    for image in images:
        if runs and image == runs[-1][1] + 1:
            runs[-1][1] = image
        else:
            runs.append([image, image])
    return [str(a) if a == b else f"{a}-{b}" for a, b in runs]


def _missing(found: Explanation) -> dict[int, str]:
    """Return the images that were asked for and have no map, with the reasons of notes."""
    asked = (found.provenance.get("data") or {}).get("images")
    if found.indices is None or not isinstance(asked, list) or found.provenance.get("transforms"):
        return {}
    there = set(found.indices.tolist())
    said = {image: next((note for note in found.notes if f"image {image} " in note), "")
            for image in asked if image not in there}  # fmt: skip
    return {image: why or "no map; the notes may say why" for image, why in said.items()}


def _elsewhere(shown: int, count: int) -> str:
    if shown >= count:
        return ""
    return (
        f"The page shows {shown} of {count}; the renderer numpy (-r numpy) keeps all maps in a "
        "file, and a run folder (--into FOLDER) keeps those of long runs."
    )


def _repeat(found: Explanation, renderer: str) -> dict[str, str]:
    """Return the chain that computes an explanation again, in three languages."""
    facts = found.provenance
    try:
        name = str(facts["technique"])
        plugin = registry().get("technique", name)
        given = {key: value for key, value in dict(facts["options"]).items()
                 if value != checked(plugin, {}).get(key)}  # fmt: skip
    except (KeyError, UserError, TypeError, ValueError):
        return {}
    model, data = facts.get("model") or {}, facts.get("data") or {}
    subject: dict[str, Any] = {"model": _named(model, demo.MODEL) or "MODEL"}
    if data:
        subject["data"] = _named(data, demo.DATA) or "DATA"
        total = None if found.samples is None else found.samples.total
        images = [int(one) for one in data.get("images") or ()]
        if images != list(range(total or 0)):
            subject["images"] = _ranges(images)
    for key, argument in (("layer", "layer"), ("filters", "filter"), ("output", "output"),
                          ("region", "region"), ("top", "top")):  # fmt: skip
        if model.get(key) is not None:
            subject[argument] = model[key]
    if facts.get("style") == "paper":
        subject["style"] = "paper"
    if facts.get("reading"):
        subject["reading"] = dict(facts["reading"])
    steps = [(name, given)]
    steps += [(one["transform"], one.get("options") or {}) for one in facts.get("transforms") or ()]
    return repeated(Recipe(name, subject, [*steps, (renderer, {})]))


def _named(facts: Mapping[str, Any], of_demo: Path) -> str | None:
    """Return how a file is named in a command: the demo's by the demo's name."""
    file = facts.get("file")
    if file == of_demo.name and facts.get("sha256") == sha256(of_demo):
        return demo.NAME
    return file


def repeated(recipe: Recipe) -> dict[str, str]:
    """Return a chain in three languages; none where it has no written form."""
    try:
        return {
            "Command": recipe.written("shell"),
            "Python": recipe.written("python"),
            "TOML": recipe.written("toml"),
        }
    except (TypeError, ValueError):  # of values that came from objects of a program
        return {}


def references_of(found: Sequence[Explanation], methods: Sequence[Judged]) -> dict[str, str | None]:
    """Return the references of methods and of the checks that judged them, by their names."""
    references = {str(one.provenance.get("technique")): one.provenance.get("reference")
                  for one in found}  # fmt: skip
    known = {metric.name: metric.reference for metric in registry().of("metric")}
    for method in methods:
        for name in dict.fromkeys((*method.verdicts, *method.numbers)):
            references.setdefault(name, known.get(name))
    return {name: text for name, text in references.items() if isinstance(text, str)}
