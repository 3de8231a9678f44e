"""Content of a page of the web: what its templates show of a `cnnvis.Page`."""

from __future__ import annotations

import base64
import csv
import hashlib
import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cnnvis
from cnnvis.renderers._common import cell_text, cut, limits, number, require_maps
from cnnvis.renderers._letters import as_letters, letters_of
from cnnvis.renderers._look import look_of
from cnnvis.renderers._web_letters import logos
from cnnvis.renderers._web_pictures import (
    Picture,
    chart,
    data_address,
    legend,
    picture,
    strongest_place,
)

if TYPE_CHECKING:
    from cnnvis.renderers._look import Look

TEMPLATES = Path(__file__).with_name("templates")
BYTES = 6 * 2**20  # of all pictures together, before they are written in letters
LEAST_BYTES = 2**11  # of a picture, however many there are
FAILURES, MEANINGS = 20, 8  # that are shown
ROWS, ROWS_OF_PART = 2000, 50  # of a table that are shown, on a page and on a part for another page
LINES, STEPS = 6, 200  # curves in a drawing, each with a stroke of its own; places of a curve
LONGEST = 300  # letters of a name, and of a cell of a table
WORDS = {
    "passed": "passed",
    "warned": "warning",
    "failed": "failed",
    "information": "not judged",
}


def written(
    page: cnnvis.Page, drawing: Mapping[str, Any], *, limit: int, tiles: int, part: bool
) -> str:
    """Return a page, or a part for another page, as text."""
    for one in page.explanations:
        require_maps(one)
    from markupsafe import Markup

    page = _printable(page)
    content = _Content(page, drawing, limit, tiles, ROWS_OF_PART if part else ROWS)
    script = _text("script.js")
    digest = hashlib.sha256(script.encode()).digest()
    environment = _environment()
    template = environment.get_template("part.html" if part else "page.html")
    text: str = template.render(
        page=page,
        style=Markup(_text("style.css")),
        script=Markup(script),
        script_hash=base64.b64encode(digest).decode(),
        has_script=content.has_sliders or bool(page.methods) or bool(content.tables),
        version=cnnvis.__version__,
        **content.values(),
    )
    return text


def _environment() -> Any:
    """Return what fills in the templates; each value is escaped, whatever it is."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    found = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        finalize=lambda value: "" if value is None else value,
    )
    found.globals["words"] = WORDS
    found.globals["rows_of"] = lambda columns: list(zip(*columns.values(), strict=True))
    return found


def _text(name: str) -> str:
    return (TEMPLATES / name).read_text(encoding="utf-8")


def _printable(page: cnnvis.Page) -> cnnvis.Page:
    """Return a page whose texts hold no invisible characters."""
    plain = cnnvis.printable

    def lines(text: str) -> str:
        return plain(text, lines=True)

    return replace(
        page,
        title=plain(page.title),
        summary=tuple(map(plain, page.summary)),
        facts={
            plain(title): {plain(name): lines(text) for name, text in facts.items()}
            for title, facts in page.facts.items()
        },
        warnings=tuple(map(plain, page.warnings)),
        notes=tuple(map(lines, page.notes)),
        methods=tuple(
            replace(
                one,
                name=cut(one.name, LONGEST),
                failure=plain(one.failure),
                verdicts={plain(name): verdict for name, verdict in one.verdicts.items()},
                numbers={plain(name): plain(text) for name, text in one.numbers.items()},
            )
            for one in page.methods
        ),
        gallery=tuple(
            replace(one, title=plain(one.title), about=plain(one.about)) for one in page.gallery
        ),
        elsewhere=plain(page.elsewhere),
        repeat={plain(name): lines(text) for name, text in page.repeat.items()},
    )  # fmt: skip


@dataclass
class _Content:
    """What templates show, drawn for a page."""

    page: cnnvis.Page
    drawing: Mapping[str, Any]
    limit: int
    tiles: int
    rows: int
    legends: list[dict[str, Any]] = field(default_factory=list)
    listed: dict[str, list[str]] = field(default_factory=dict)
    has_sliders: bool = False

    def __post_init__(self) -> None:
        own = [one for one in self.page.explanations if one.maps is not None]
        self.tables = [_table(one, self.rows) for one in self.page.explanations if one.maps is None]
        shelves = self.page.gallery or _plain_shelves(own)
        chosen = _chosen(own, shelves, self.limit)
        count = sum(len(rows) for _, items in chosen for item in items for _, rows in item.rows)
        count += sum(len(one) for one in self.page.groups)
        self.most = max(BYTES // max(2 * count, 1), LEAST_BYTES)
        drawn = [self._drawn(one, place, chosen) for place, one in enumerate(own)]
        self.shelves = [
            {"title": shelf.title, "about": shelf.about,
             "items": [self._item(item, own, drawn) for item in items]}
            for shelf, items in chosen if items
        ]  # fmt: skip
        self.shown = count
        self.groups = [self._group(one) for one in self.page.groups]

    def values(self) -> dict[str, Any]:
        """Return the variables of the templates."""
        page = self.page
        checks = list(dict.fromkeys(
            name for one in page.methods for name in (*one.verdicts, *one.numbers)))  # fmt: skip
        meanings = [
            {"method": one.name, "check": check, "verdict": verdict}
            for one in page.methods
            for check, verdict in one.verdicts.items()
            if verdict.outcome != "information" or len(one.verdicts) <= MEANINGS
        ]
        title = "Maps" if self.shelves else "Result"
        charts = [drawn for one in page.curves for drawn in _charts(one)]
        places = {
            "warnings": ("Warnings", page.warnings),
            "checks": ("Checks" if checks else "Methods without maps", page.methods),
            "facts": ("Model and data", page.facts),
            "gallery": (title, True),
            "groups": ("Groups", page.groups),
            "notes": ("Failures and notes", page.failures or page.notes),
            "repeat": ("How to repeat it", page.repeat),
            "citations": ("Citations", page.citations),
        }
        failures = [
            (image, cnnvis.printable(why)) for image, why in islice(page.failures.items(), FAILURES)
        ]
        return {
            "checks": checks,
            "meanings": meanings,
            "many_meanings": len(meanings) > MEANINGS,
            "charts": charts,
            "gallery_title": title,
            "sections": [(name, text) for name, (text, there) in places.items() if there],
            "has_sliders": self.has_sliders,
            "legends": self.legends,
            "shelves": self.shelves,
            "tables": self.tables,
            "listed": self.listed,
            "map_charts": [drawn for one in page.explanations for drawn in _step_charts(one)],
            "csv": data_address("text/csv", _csv(self.listed)),
            "groups": self.groups,
            "failures": failures,
            "more_failures": max(len(page.failures) - FAILURES, 0),
        }

    # Maps

    def _drawn(self, one: cnnvis.Explanation, place: int, chosen: Any) -> _Drawn:
        """Draw the chosen maps of an explanation, and their inputs."""
        rows = [row for _, items in chosen for item in items for own, some in item.rows
                if own == place for row in some]  # fmt: skip
        if not rows:
            return _Drawn({}, {}, {}, None)
        name = _name(one, self.page.explanations)
        pairs, look = self._pairs(one[rows])
        found = legend(look)
        about = "" if found else "each map has its own scale of colours"
        key = None
        panel = pairs[0].map
        if not (panel.is_coloured or panel.is_profile) and found is not None:
            key = len(self.legends)
            found["number"] = key
            self.has_sliders = True
        if panel.is_profile and found is not None:  # a curve has no colours
            about = f"All curves are drawn from {found['low']} to {found['high']}"
            found = None
        if not panel.is_coloured:
            heading = f"Colours of {name}" if key is not None else f"Scale of {name}"
            self.legends.append({"name": heading, "legend": found, "about": about})
        maps, captions, inputs = {}, {}, {}
        some = one[rows]
        letters = letters_of(some, len(some))
        drawn = [] if letters is None else logos(some, letters, shared=look.whole is not None)
        for number_, (row, pair) in enumerate(zip(rows, pairs, strict=True)):
            alt = _alt(some, number_, name)
            maps[row] = replace(
                picture(pair.map, look, alt, self.most, is_map=True),
                logo=drawn[number_] if drawn else None,
            )
            captions[row] = _caption(some, number_, name, look.title(pair.map), maps[row])
            if pair.input is not None:
                words = f"Input of {_image(some, number_)}"
                inputs[row] = picture(pair.input, look, words, self.most, is_map=False)
            self._list(some, number_, name)
        return _Drawn(maps, captions, inputs, key)

    def _pairs(self, one: cnnvis.Explanation) -> tuple[list[Any], Look]:
        pairs = cnnvis.panels(one, tiles=self.tiles, volumes="peak")
        letters = letters_of(one, len(one))
        if letters is not None:
            pairs = [
                as_letters(pair, letters, letters.heights(one, place))
                for place, pair in enumerate(pairs)
            ]
        return pairs, look_of(one, pairs, **self.drawing)

    def _item(self, item: _Item, own: Sequence[Any], drawn: Sequence[_Drawn]) -> dict[str, Any]:
        heading = about = ""
        lines: dict[str | None, dict[str, Any]] = {}  # a map lies over the input that it is of
        names = {own[place].input for place, _ in item.rows}
        for place, rows in item.rows:
            of = own[place].input
            name = f"input {cut(of, LONGEST)}" if of is not None and len(names) > 1 else "input"
            line = lines.setdefault(of, {"name": name, "input": None, "maps": []})
            for row in rows:
                one = drawn[place]
                heading = heading or _image(own[place], row)
                about = about or _answer(own[place], row)
                line["input"] = line["input"] or one.inputs.get(row)
                line["maps"].append(
                    {"picture": one.maps[row], "caption": one.captions[row], "legend": one.legend}
                )
        return {"heading": heading, "about": about, "lines": [*lines.values()]}

    def _group(self, one: cnnvis.Explanation) -> dict[str, Any]:
        pairs, look = self._pairs(one)
        name = _name(one, self.page.groups)
        items = []
        for row, pair in enumerate(pairs):
            heading = cnnvis.printable(one.titles[row] if one.titles else one.groups[row])
            place = strongest_place(one, row)
            alt = f"{name}: {heading}" + (f"; strongest at {place}" if place else "")
            drawn = picture(pair.map, look, cnnvis.printable(alt), self.most, is_map=True)
            caption = f"strongest at {place}" if place else "zero everywhere"
            items.append({
                "heading": heading, "about": "", "lines": [{"input": None, "maps": [
                    {"picture": drawn, "caption": cnnvis.printable(caption), "legend": None}]}],
            })  # fmt: skip
        return {"title": name, "legend": legend(look), "items": items}

    def _list(self, one: cnnvis.Explanation, row: int, name: str) -> None:
        """Add a map to the table of all maps of the page."""
        samples, target = one.samples, one.targets[row] if one.targets else None
        label = None if samples is None else samples.label_name(row)
        values = one.array[row]
        cells = {
            "method": name,
            "image": "" if one.indices is None else str(one.indices[row]),
            "name": samples.names[row] if samples is not None and samples.names else "",
            "label": label or "",
            "answer": one.answer_name(row) or "",
            "target": str(target or ""),
            "score": "" if target is None or target.score is None else number(target.score),
            "least": number(float(values.min()), float(values.max())),
            "most": number(float(values.max()), float(values.min())),
            "strongest at": strongest_place(one, row),
            **{each: number(float(one.measures[each][row])) for each in one.metrics},
        }
        count = max(map(len, self.listed.values()), default=0)
        for key in dict.fromkeys((*self.listed, *cells)):
            column = self.listed.setdefault(key, [""] * count)
            column.append(cut(cells.get(key, ""), LONGEST))


@dataclass(frozen=True)
class _Drawn:
    """Drawn maps of an explanation by their rows, with captions, inputs and the legend's number."""

    maps: Mapping[int, Picture]
    captions: Mapping[int, str]
    inputs: Mapping[int, Picture]
    legend: int | None


@dataclass(frozen=True)
class _Item:
    """Image of a gallery, or a map of no image: rows of some of the explanations."""

    rows: tuple[tuple[int, tuple[int, ...]], ...]


class _Plain:
    """Shelf of all maps, where nothing is known of images."""

    title, about = "All maps", ""
    images: tuple[int, ...] = ()


def _plain_shelves(own: Sequence[cnnvis.Explanation]) -> list[Any]:
    images = [int(i) for one in own if one.indices is not None for i in one.indices]
    found: Any = _Plain()
    found.images = tuple(dict.fromkeys(images))
    return [found]


def _chosen(
    own: Sequence[cnnvis.Explanation], shelves: Sequence[Any], limit: int
) -> list[tuple[Any, list[_Item]]]:
    """Return the images of each shelf that have maps, of so many maps at most."""
    rows_of: list[dict[int, list[int]]] = []
    for one in own:
        rows: dict[int, list[int]] = {}
        for row, image in enumerate([] if one.indices is None else one.indices.tolist()):
            rows.setdefault(image, []).append(row)
        rows_of.append(rows)
    found: list[tuple[Any, list[_Item]]] = []
    left = limit
    for shelf in shelves:
        items: list[_Item] = []
        for image in shelf.images:
            rows_there = tuple((place, tuple(rows[image]))
                               for place, rows in enumerate(rows_of) if image in rows)  # fmt: skip
            count = sum(len(rows) for _, rows in rows_there)
            if count and (count <= left or not (found or items)):
                items.append(_Item(rows_there))
                left -= count
        found.append((shelf, items))
    others = [(place, row) for place, one in enumerate(own) if one.indices is None
              for row in range(len(one))][: max(left, 0)]  # fmt: skip
    if others:
        shelf = _Plain()
        shelf.title = "Other maps" if any(items for _, items in found) else shelf.title
        found.append((shelf, [_Item(((place, (row,)),)) for place, row in others]))
    return found


# Words


def _name(one: cnnvis.Explanation, among: Iterable[cnnvis.Explanation]) -> str:
    """Return the name of a result, with the options that tell it apart from the others."""
    facts = one.provenance
    name = str(facts.get("named") or facts.get("technique") or "maps")
    words = [name, *(f"- {each}" for each in one.changes)]
    if one.input is not None and len({each.input for each in among}) > 1:
        words.append(f"for the input {one.input}")
    return cnnvis.printable(" ".join(words))


def _image(one: cnnvis.Explanation, row: int) -> str:
    """Return the words for what a map belongs to: an image with its name and label, or a title."""
    if one.samples is None:
        return cut(" ".join(one.title(row).split("\n")) or f"map {row}", LONGEST)
    words = [f"image {one.samples.indices[row]}"]
    if one.samples.names is not None:
        words.append(one.samples.names[row])
    label = one.samples.label_name(row)
    return cut(" ".join(words) + (f", label {label}" if label is not None else ""), LONGEST)


def _answer(one: cnnvis.Explanation, row: int) -> str:
    """Return what the network answers for an image, in words; empty where it is not known."""
    if one.predictions is None:
        return ""
    answered = int(one.predictions[row])
    words = f"the network answers {one.answer_name(row)}"
    samples = one.samples
    if samples is not None and samples.label_kind == "class" and not samples.in_words:
        assert samples.labels is not None
        label = float(samples.labels[row])
        if label == label:  # an image may have no label
            words += ", which is right" if label == answered else ", which is wrong"
    return cnnvis.printable(words)


def _target(one: cnnvis.Explanation, row: int) -> str:
    if not one.targets:
        return ""
    target = one.targets[row]
    score = f", score {target.score_text}" if target.score is not None else ""
    return f"target {cut(str(target), LONGEST)}{score}"


def _alt(one: cnnvis.Explanation, row: int, name: str) -> str:
    values = one.array[row]
    place = strongest_place(one, row)
    words = [f"Map of {name} for {_image(one, row)}", _target(one, row)]
    words.append(f"strongest at {place}" if place else "zero everywhere")
    low, high = float(values.min()), float(values.max())
    words.append(f"values from {number(low, high)} to {number(high, low)}")
    return cnnvis.printable("; ".join(filter(None, words)))


def _caption(one: cnnvis.Explanation, row: int, name: str, title: str, drawn: Picture) -> str:
    """Return the caption of a map: the method, the target, and what colours do not show."""
    lines = [name, _target(one, row)]
    if one.titles and one.samples is not None:
        lines.insert(1, one.titles[row])
    known = set(one.title(row).split("\n"))
    lines += [line for line in title.split("\n") if line not in known]
    if one.metrics:
        lines.append(one.title(row).split("\n")[-1])
    if drawn.factor > 1:
        lines.append(f"a pixel is the mean of {drawn.factor} x {drawn.factor} values")
    every = [part for line in lines for part in line.split("\n")]
    return "\n".join(cut(line, LONGEST) for line in filter(None, dict.fromkeys(every)))


# Tables and curves


def _table(one: cnnvis.Explanation, most: int) -> dict[str, Any]:
    """Return a table as text, of so many rows at most, and how many there are besides."""
    columns = {
        cut(str(name), LONGEST): [cut(cell_text(cell), LONGEST) for cell in cells[:most]]
        for name, cells in (one.table or {}).items()
    }
    title = str(one.provenance.get("technique", "Table"))
    return {"title": cut(title, LONGEST), "columns": columns, "more": max(len(one) - most, 0)}


def _csv(columns: Mapping[str, Sequence[str]]) -> bytes:
    """Return a table as CSV; no cell is one that a spreadsheet would compute."""
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(columns)
    for row in zip(*columns.values(), strict=True):
        rows.writerow([f"'{cell}" if cell[:1] in "=+@\t" and cell else cell for cell in row])
    return text.getvalue().encode("utf-8", "backslashreplace")


def _step_charts(one: cnnvis.Explanation) -> Iterator[dict[str, Any]]:
    """Yield drawings of the curves of numbers over the steps in which maps were made."""
    import numpy as np

    for name, curves in one.curves.items():
        count = curves.shape[1]
        steps = np.unique(np.linspace(0, count - 1, min(count, STEPS)).round().astype(int))
        rows = range(min(len(one), LINES))
        titles = tuple(f"{' '.join(one.title(row).split())}\n{name}" for row in rows)
        rest = f", of the first {LINES} of {len(one)} maps" if len(one) > LINES else ""
        drawn = cnnvis.Explanation(curves[:LINES, steps], axes=("position",), titles=titles)
        axis = cnnvis.Axis("step", values=tuple(steps.tolist()))
        for each in _charts(drawn.described({"position": axis})):
            yield {**each, "title": f"{each['title']} over steps{rest}"}


def _charts(one: cnnvis.Explanation) -> list[dict[str, Any]]:
    """Return drawings of curves, one for each heading: all but the first line of their titles."""
    import numpy as np

    axis = one.coordinates.get(one.axes[0], cnnvis.Axis())
    values = [v for v in axis.values if isinstance(v, int | float)]
    length = one.array.shape[1]
    start, step = (0.0, 1.0) if axis.values else (axis.start, axis.step)
    places = values if len(values) == length else [start + step * i for i in range(length)]
    titles = [
        cnnvis.printable(one.title(row), lines=True).partition("\n") for row in range(len(one))
    ]
    found = []
    for heading in dict.fromkeys(rest for _, _, rest in titles):
        curves = [(name, one.array[row]) for row, (name, _, rest) in enumerate(titles)
                  if rest == heading]  # fmt: skip
        across = cnnvis.printable(axis.label(one.axes[0]))
        known = [(name, v[np.isfinite(v)]) for name, v in curves]
        ends = "; ".join(f"{name} from {number(float(v[0]))} to {number(float(v[-1]))}"
                         for name, v in known if len(v))  # fmt: skip
        columns = {across: [cnnvis.Axis().at(place) for place in places]}
        columns |= {name: [number(float(v)) for v in own] for name, own in curves}
        found.append({
            "title": heading.replace("\n", ", ") or "Curves", "axis": across,
            "alt": f"Curves: {ends}", "columns": columns,
            "drawn": chart(curves, places, limits([one.array], signed=False)),
        })  # fmt: skip
    return found
