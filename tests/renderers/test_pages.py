"""Pages of the web: complete in one file, and nothing of a stranger's names becomes markup."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import re
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from quick import quick_are
from test_renderers import CASES, SOME

import cnnvis
from cnnvis.api.citations import citations_of
from cnnvis.api.gallery import Known, shelves_of
from cnnvis.api.output_files import write
from cnnvis.registry.discovery import registry

HOSTILE = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "'--><svg/onload=alert(1)>",
    "{{ 7 * 7 }}{% raw %}",
    "</style></title><base href=//x>",
    "javascript:alert(1)\u202e\x00",
)
TAGS = {
    *(
        "html",
        "head",
        "meta",
        "title",
        "link",
        "style",
        "body",
        "a",
        "header",
        "h1",
        "h2",
        "h3",
        "h4",
    ),
    *("p", "nav", "ul", "li", "main", "section", "strong", "div", "table", "thead", "tbody", "tr"),
    *("th", "td", "span", "svg", "circle", "path", "rect", "line", "polyline", "polygon", "text"),
    *("details", "summary", "dl", "dt", "dd", "figure", "figcaption", "img", "form", "label"),
    *("output", "input", "button", "pre", "code", "footer", "script"),
}


class Read(HTMLParser):
    """Elements of a page with their attributes, and its text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text, self.scripts = "", list[str]()
        self.open: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        while self.open and self.open.pop() != tag:
            pass

    def handle_data(self, data: str) -> None:
        if "script" in self.open:
            self.scripts.append(data)
        elif "style" not in self.open:
            self.text += data

    def of(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]


def _page(explanation: cnnvis.Explanation, path: Path, **options: Any) -> Read:
    page = options.pop("page", None)
    renderer = registry().get("renderer", "html")
    write(explanation, renderer, path, options, named=True, page=page)
    return Read(path.read_text())


def _pixels(address: str | None) -> Any:
    assert address is not None and address.startswith("data:image/png;base64,")
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(address.partition(",")[2]))))


@pytest.mark.parametrize("name", quick_are([*SOME, "table"], CASES.keys()))
def test_every_kind_of_result_has_a_page(name: str, tmp_path: Path) -> None:
    found = _page(CASES[name], tmp_path / "it.html", limit=20)
    assert {tag for tag, _ in found.elements} <= TAGS
    pictures = [one for one in found.of("img") if "data-legend" not in one]
    pictures += [one for one in found.of("svg") if one.get("role") == "img"]
    for one in pictures:
        assert len(one.get("alt") or one.get("aria-label") or "") > 8
    if CASES[name].maps is not None:
        maps = [one for one in pictures if "map" in str(one.get("class", "")).split()]
        assert len(maps) == min(len(CASES[name]), 20)
    else:
        assert "[red]$x_{$" in found.text
    assert (tmp_path / "it.html").stat().st_size < 3e6


def test_a_page_asks_for_nothing_and_names_its_only_script(tmp_path: Path) -> None:
    found = _page(CASES["four"], tmp_path / "it.html")
    (policy,) = (one["content"] for one in found.of("meta") if "http-equiv" in one)
    (script,) = found.scripts
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in str(policy) and "default-src 'none'" in str(policy)
    for tag, attributes in found.elements:
        for key, value in attributes.items():
            assert not key.startswith("on")
            if key in ("src", "href") and tag != "a":
                assert str(value).startswith("data:"), (tag, value)
    assert len(script) < 6000


def _hostile() -> cnnvis.Explanation:
    count = len(HOSTILE)
    samples = cnnvis.Samples(
        np.random.default_rng(0).random((count, 6, 5, 1)),
        labels=np.arange(count), names=HOSTILE, class_names=HOSTILE,
    )  # fmt: skip
    verdict = {"outcome": "failed", "meaning": HOSTILE[0]}
    facts = {
        "technique": HOSTILE[1],
        "options": {HOSTILE[0]: HOSTILE[1]},
        "reference": f"doi:10.1/{HOSTILE[0]}",
        "model": {"file": HOSTILE[0], "sha256": HOSTILE[1], "layer": HOSTILE[2],
                  "repairs": HOSTILE, "cut": {HOSTILE[0]: HOSTILE[1]}},
        "data": {"file": HOSTILE[4], "sha256": HOSTILE[3], "images": [*range(count), 99]},
        "versions": {HOSTILE[0]: HOSTILE[1]},
        "checks": [{"metric": HOSTILE[0], "verdict": verdict, "means": {HOSTILE[0]: 1.0}}],
        "transforms": [{"transform": HOSTILE[0], "options": {}}],
    }  # fmt: skip
    targets = tuple(cnnvis.Target(one, (i,), (one,), 1.0, 0.5) for i, one in enumerate(HOSTILE))
    return cnnvis.Explanation(
        np.random.default_rng(1).random((count, 6, 5)), samples, targets=targets,
        titles=HOSTILE, notes=HOSTILE, provenance=facts, predictions=np.arange(count)[::-1],
        measures={HOSTILE[0]: np.ones(count)},
        coordinates={"row": cnnvis.Axis(name=HOSTILE[0], unit=HOSTILE[1])},
    )  # fmt: skip


@pytest.mark.parametrize("part", [False, True])
def test_names_of_strangers_are_no_markup(tmp_path: Path, part: bool) -> None:
    explanation = _hostile()
    table = cnnvis.Explanation(
        table={one: list(HOSTILE) for one in HOSTILE}, notes=HOSTILE,
        provenance=dict(explanation.provenance),
    )  # fmt: skip
    curves = cnnvis.Explanation(
        np.arange(12.0).reshape(6, 2), axes=("position",), titles=HOSTILE,
        coordinates={"position": cnnvis.Axis(name=HOSTILE[0])},
    )  # fmt: skip
    judged = cnnvis.Judged(HOSTILE[0], {one: cnnvis.Verdict("failed", one) for one in HOSTILE},
                           {one: one for one in HOSTILE}, place=1)  # fmt: skip
    page = cnnvis.Page(
        (explanation, table), HOSTILE[0], HOSTILE, {HOSTILE[0]: {HOSTILE[1]: HOSTILE[2]}}, HOSTILE,
        HOSTILE, (judged, replace(judged, failure=HOSTILE[0])),
        (cnnvis.Shelf(HOSTILE[5], HOSTILE[1], tuple(range(6))),),
        groups=(replace(explanation, samples=None, groups=HOSTILE),), curves=(curves,),
        failures={7: HOSTILE[0]}, elsewhere=HOSTILE[0], repeat={HOSTILE[0]: HOSTILE[1]},
        citations=citations_of({HOSTILE[0]: HOSTILE[1]}),
    )  # fmt: skip
    for one, given in ((explanation, None), (table, None), (explanation, page)):
        path = tmp_path / "it.html"
        found = _page(one, path, part=part, **({"page": given} if given else {}))
        assert {tag for tag, _ in found.elements} <= TAGS
        assert len(found.scripts) == (0 if part else len(found.of("script")))
        text = path.read_text()
        assert (
            "\u202e" not in text and "\x00" not in text and "49" not in re.findall("{{.*?}}", text)
        )
        for tag, attributes in found.elements:
            assert not any(key.startswith("on") for key in attributes), attributes
            for key in ("src", "href"):
                value = str(attributes.get(key, "data:"))
                assert value.startswith(("data:", "#", "https://doi.org/10.", "https://arxiv.org/"))
            assert tag != "base" and (tag != "img" or attributes.get("src") != "x")
        assert "<script>alert(1)</script>" in found.text


def test_pixels_of_a_page_are_those_of_the_maps(tmp_path: Path) -> None:
    maps = np.arange(24.0).reshape(2, 3, 4)
    explanation = cnnvis.Explanation(maps, cnnvis.Samples(maps[..., None]), signed=False)
    found = _page(explanation, tmp_path / "it.html", cmap="gray", scale="shared")
    drawn = [_pixels(one["src"]) for one in found.of("img") if one.get("class") == "map"]
    for values, pixels in zip(maps, drawn, strict=True):
        np.testing.assert_allclose(pixels[..., 0], values / 23 * 255, atol=2)
    (strip,) = [one for one in found.of("img") if "data-colours" in one]
    assert str(strip["data-colours"])[:12] == "000000010101" and strip["data-zero"] == "0.0"


def test_letters_of_a_page_are_as_high_as_their_values(tmp_path: Path) -> None:
    values = np.zeros((1, 60))
    values[0, 50:54] = (1, 2, -1, 4)
    letters = np.eye(4)[np.arange(60) % 4]
    one = cnnvis.Explanation(values, cnnvis.Samples(letters[None]))
    found = registry().get("renderer", "html")
    found.function(one, tmp_path / "it.html")
    text = (tmp_path / "it.html").read_text()
    drawing = text[text.index('class="logo"') :].partition("</svg>")[0]
    zero = float(re.findall(r'y1="([\d.]+)"', drawing)[0])
    drawn = re.findall(r'<path fill="(#\w+)" d="([^"]+)"', drawing)
    start, end = map(int, re.findall(r"strongest letters, position (\d+) to (\d+)", text)[0])
    assert start <= 50 and end >= 53 and end - start == 39 and "taken for A, C, G, T" in text
    for colour, value, place in (("#e39b00", 1, 50), ("#c4261d", 2, 51), ("#1a7f37", -1, 52)):
        (outline,) = (outline for one, outline in drawn if one == colour)
        points = np.array(re.findall(r"([\d.]+) ([\d.]+)", outline), float)
        high = 70 / 5 * value  # of 72 pixels, for values from -1 to 4
        assert (points[:, 1].min(), points[:, 1].max()) == pytest.approx(
            sorted((zero, zero - high)), abs=0.2
        )
        assert 9 * (place - start) < points[:, 0].mean() < 9 * (place - start + 1)


def test_curves_of_steps_are_drawn_on_a_page(tmp_path: Path) -> None:
    """Steps that were not taken are no numbers."""
    scores = np.sqrt(np.arange(1000.0))[None].repeat(8, 0)
    scores[1, 500:] = np.nan
    maps = np.random.default_rng(0).random((8, 5, 5))
    found = cnnvis.Explanation(maps, titles=tuple("abcdefgh"), curves={"<score>": scores})
    registry().get("renderer", "html").function(found, tmp_path / "it.html")
    text = (tmp_path / "it.html").read_text()
    assert "&lt;score&gt; over steps, of the first 6 of 8 maps" in text
    drawn = re.findall(r'<polyline class="line stroke\d" points="([^"]+)"', text)
    assert [len(one.split()) for one in drawn] == [200, 100, 200, 200, 200, 200]
    heights = [float(point.split(",")[1]) for point in drawn[0].split()]
    assert heights == sorted(heights, reverse=True) and heights[0] - heights[-1] > 150
    assert "a from 0 to 31.6; b from 0 to 22.3" in text and "nan" not in text.partition("<table")[0]


def test_words_say_what_is_in_a_picture(tmp_path: Path) -> None:
    maps = np.zeros((1, 9, 9))
    maps[0, 1, 7] = 0.5
    samples = cnnvis.Samples(maps[..., None], labels=[1], class_names=("cat", "dog"))
    target = cnnvis.Target("output", (1,), ("dog",), 2.5, 0.9)
    explanation = cnnvis.Explanation(maps, samples, targets=(target,))
    found = _page(explanation, tmp_path / "it.html")
    (words,) = [one["alt"] for one in found.of("img") if one.get("class") == "map"]
    assert words is not None
    for part in ("image 0, label dog", "output[dog], score 2.5 (p 0.900)", "row 1, column 7",
                 "(upper right)", "from 0 to 0.5"):  # fmt: skip
        assert part in words


@pytest.mark.slow
def test_pictures_shrink_until_a_page_is_small(tmp_path: Path) -> None:
    maps = np.random.default_rng(0).random((40, 256, 256))
    found = _page(cnnvis.Explanation(maps, cnnvis.Samples(maps[..., None])), tmp_path / "it.html")
    assert (tmp_path / "it.html").stat().st_size < 1e7
    assert "a pixel is the mean of" in found.text
    assert "40 of 40" not in found.text


def test_maps_of_several_inputs_lie_over_the_inputs_that_they_are_of(tmp_path: Path) -> None:
    """The script of a page lays a map over the input in its row."""
    shapes = {"left": (8, 6), "right": (5, 9)}
    rng = np.random.default_rng(0)
    found = [
        cnnvis.Explanation(
            rng.random((2, *shapes[name])),
            cnnvis.Samples(rng.random((2, *shapes[name], 1))),
            input=name,
            provenance={"technique": technique},
        )
        for technique in ("saliency", "grad-cam")
        for name in shapes
    ]
    path = tmp_path / "page.html"
    shelf = cnnvis.Shelf("All images", "", (0, 1))
    page = cnnvis.Page(tuple(found), gallery=(shelf,), images=2)
    registry().get("renderer", "html").function(found[0], path, page)
    rows = path.read_text().split('<div class="row">')[1:]
    assert len(rows) == 4
    for row, (name, shape) in zip(rows, [*shapes.items()] * 2, strict=True):
        assert f"<figcaption>input {name}</figcaption>" in row
        pictures = re.findall(r'<img src="([^"]+)"[^>]*class="(\w+)"', row)
        assert [kind for _, kind in pictures] == ["input", "map", "map"]
        assert {_pixels(address).shape[:2] for address, _ in pictures} == {shape}


def test_long_names_and_tables_are_cut(tmp_path: Path) -> None:
    names = ("x" * 10**6,) * 3
    samples = cnnvis.Samples(
        np.ones((3, 4, 4, 1)), names=names, labels=[0, 0, 0], class_names=names[:1]
    )
    _page(cnnvis.Explanation(np.ones((3, 4, 4)), samples), tmp_path / "it.html")
    assert (tmp_path / "it.html").stat().st_size < 1e5
    table = cnnvis.Explanation(table={"image": list(range(5000)), "label": ["y" * 10**4] * 5000})
    found = _page(table, tmp_path / "it.html")
    assert len(found.of("tr")) == 2001 and "and 3000 more rows" in found.text
    assert (tmp_path / "it.html").stat().st_size < 1e6


def test_the_images_of_a_page_are_the_telling_ones() -> None:
    certainty = np.linspace(0.5, 1, 100)
    right = np.ones(100)
    right[[10, 60, 90]] = 0
    right[5] = np.nan
    nothing = np.full(100, np.nan)
    known = Known(np.arange(100) + 1000, certainty, right, nothing, nothing)
    shelves = {shelf.title: shelf.images for shelf in shelves_of(known, 16)}
    assert shelves["Wrong answers"] == (1090, 1060, 1010)
    assert shelves["Least certain answers"] == (1000, 1001, 1002, 1003)
    assert shelves["Most certain answers"] == (1099, 1098, 1097, 1096)
    typical = shelves["Typical images"]
    assert len(typical) == 5 and all(1046 <= image <= 1053 for image in typical)
    every = [image for images in shelves.values() for image in images]
    assert len(every) == len(set(every)) == 16
    unknown = Known(np.arange(9), *(np.full(9, np.nan) for _ in range(4)))
    (shelf,) = shelves_of(unknown, 3)
    assert shelf.images == (0, 4, 8)
    assert [one.title for one in shelves_of(unknown, 30)] == ["All images"]
    errors = replace(unknown, error=np.arange(9.0))
    assert shelves_of(errors, 4)[0].images == (8, 7)


def test_citations_are_made_of_numbers() -> None:
    found = citations_of({
        "saliency": "arXiv:1312.6034", "vanilla": "arXiv:1312.6034", "lrp":
        "doi:10.1371/journal.pone.0130140", "both": "arXiv:1706.03825v2, doi:10.1000/a(1)",
        "old": "Erhan et al. 2009, Univ. de Montreal 1341", "none": None, "odd": "doi:10.1/}\\input{x",
    })  # fmt: skip
    assert [one.of for one in found[:1]] == [("saliency", "vanilla")]
    assert found[0].bibtex.splitlines()[:2] == ["@misc{arxiv-1312.6034,", "  eprint = {1312.6034},"]
    assert found[1].address == "https://doi.org/10.1371/journal.pone.0130140"
    assert [one.address for one in found[2:4]] == [
        "https://arxiv.org/abs/1706.03825", "https://doi.org/10.1000/a(1)",
    ]  # fmt: skip
    assert [one.address for one in found[4:]] == ["", ""]
    for one in found:
        assert one.bibtex.count("{") == one.bibtex.count("}") and "\\" not in one.bibtex


def test_a_run_writes_a_page(typed: Callable[..., Any]) -> None:
    done = typed("run", "saliency", "demo", "-im", "0-5", "-r", "html", "-o", "out/")
    assert done.returncode == 0
    found = Read(Path(done.stdout.strip()).read_text())
    for words in ("for 6 images of data.npz", "The answer is right for", "not checked", "SHA-256",
                  "--images 0-5", "arXiv:1312.6034", "@misc{arxiv-1312.6034"):  # fmt: skip
        assert words in found.text, words
    toml = re.search(r"\[chains\.saliency\].*", found.text, re.DOTALL)
    assert toml is not None and 'step = "html"' in toml[0]


REPORT = ("report", "demo", "-im", "0-19", "--methods", "saliency", "grad-cam")


@pytest.mark.slow
def test_a_report_is_a_page_on_methods(typed: Callable[..., Any]) -> None:
    done = typed(*REPORT, "--by", "label", "--checks", "full", "--html.limit", 12, "-o", "it.html")
    assert (done.returncode, done.stdout) == (0, "it.html\n")
    found = Read(Path("it.html").read_text())
    text = " ".join(found.text.split())
    for words in ("saliency and grad-cam explain", "of 20 labels", "checks failed for saliency",
                  "Keras archive", "neutral 10", "The page shows 6 of 20 images", "Least certain",
                  "Most certain", "mean of sweep (10 images)", "sweep - neutral",
                  "score, most important parts removed first", "cnnvis report demo"):  # fmt: skip
        assert words in text, words
    maps = [one for one in found.of("img") if one.get("class") == "map"]
    assert len(maps) == 12 + 2 * 3
    marks = [one["class"] for one in found.of("span") if "mark " in str(one.get("class"))]
    assert {"mark passed", "mark failed", "mark information"} <= set(marks)


@pytest.mark.slow
def test_a_report_is_the_same_in_python_and_its_maps_are_those_of_a_run() -> None:
    page = cnnvis.report("demo", ["saliency", ("saliency", {"backprop": None})],
                         images="0-19", by="label", plugin_options={"html": {"limit": 8}})  # fmt: skip
    run = cnnvis.run("saliency", "demo", images="0-19")
    assert run.indices is not None
    shown = page.explanations[0]
    assert shown.indices is not None and len(shown) == 4
    np.testing.assert_allclose(shown.array, run[shown.indices].array, rtol=1e-4, atol=1e-7)
    assert sorted(image for one in page.gallery for image in one.images) == shown.indices.tolist()
    (mean,) = cnnvis.chain("demo", ["saliency", "average"], images="0-19")
    np.testing.assert_allclose(page.groups[0].array, mean.array, rtol=1e-4, atol=1e-7)
    assert [one.provenance["named"] for one in page.explanations] == [
        "saliency", "saliency backprop=None",
    ]  # fmt: skip
    assert page.methods == () and "Command" not in page.repeat
    plain = cnnvis.report(
        "demo", ["saliency"], images="0-19", plugin_options={"html": {"limit": 8}}
    )
    assert plain.repeat["Command"].startswith("cnnvis report demo --images 0-19 --methods saliency")
    with pytest.raises(cnnvis.UserError, match=r"a page is a file that ends in \.html"):
        plain.save("page.json")  # which would hold the first of its results alone
    # Without groups, only what the page shows is explained.
    assert plain.explanations[0].provenance["data"]["images"] != list(range(20))


def test_damaged_images_and_methods_that_fail_cost_no_other(
    keras: Any, classifier: Any, images: Any, tmp_path: Path
) -> None:
    images[3] = np.nan
    methods = ["saliency", ("grad-cam", {"penultimate": "flat"})]
    page = cnnvis.report(
        classifier, methods, data=(images, np.arange(7) % 3), out=tmp_path / "a.html"
    )
    assert list(page.failures) == [3] and "NaN" in page.failures[3]
    assert len(page.explanations) == 1 and any("grad-cam" in one for one in page.notes)
    text = (tmp_path / "a.html").read_text()
    assert "1 image could not be explained" in text and "image 3:" in text
    assert [(one.name.split()[0], bool(one.failure)) for one in page.methods] == [
        ("grad-cam", True)
    ]
    assert "no maps: " in text and "maps were not checked" in " ".join(page.summary)


@pytest.mark.slow
def test_mistakes_in_a_report_are_sentences(typed: Callable[..., Any], classifier: Any) -> None:
    for words, sentence in (
        (("report", "demo", "-o", "it.png"), "a report is a file that ends in .html or .htm"),
        (("report", "demo", "--methods", "salency"), "Did you mean 'saliency'?"),
        (("report", "demo", "--methods", "activation-max"), "gives no map for each image"),
        (("report", "demo", "--html.limit", "0"), "limit"),
        (("report", "demo", "--by", "nothing.txt"), "by is 'nothing.txt'"),
    ):
        done = typed(*words)
        assert done.returncode == 2 and sentence in " ".join(done.stderr.split()), done.stderr
    with pytest.raises(cnnvis.UserError, match="a report needs data"):
        cnnvis.report(classifier)
    with pytest.raises(cnnvis.UserError, match="report has no argument 'colour'"):
        cnnvis.report("demo", colour=1)


def test_facts_in_a_page_survive_as_json(tmp_path: Path) -> None:
    """Options are written as JSON, whatever they are."""
    found = cnnvis.Explanation(
        np.ones((1, 2, 2)), provenance={"technique": "x", "options": {"a": (1, None), "b": "é"}}
    )
    text = _page(found, tmp_path / "it.html").text
    assert f'a {json.dumps([1, None])}, b "é"' in text


def test_a_fixed_class_is_not_called_the_answer(keras: Any) -> None:
    """A single sigmoid is explained at class 1 for each image, whatever it answers."""
    layers = keras.layers
    network = keras.Sequential(
        [
            keras.Input((4, 3, 1)),
            layers.Flatten(),
            layers.Dense(
                1, "sigmoid", name="output", kernel_initializer="ones", bias_initializer="zeros"
            ),
        ]
    )
    x = np.linspace(-1, 1, 8)[:, None, None, None] * np.ones((1, 4, 3, 1))
    page = cnnvis.report(
        network,
        [("saliency", {"backprop": None})],
        data=(x, np.arange(8) % 2),
        class_names=["no", "yes"],
    )
    assert "saliency backprop=None explains output[yes] of a network in memory" in page.summary[0]
    (found,) = page.explanations
    assert found.predictions is not None and found.predictions.tolist() == [0] * 4 + [1] * 4
    wrong = page.gallery[0]
    assert wrong.title == "Wrong answers" and sorted(wrong.images[:2]) == [1, 6]
    assert page.summary[1].startswith("The answer is right for 4 of 8 labels (50.0%)")


def test_a_page_of_the_demo_is_repeated_by_its_name(typed: Any, tmp_path: Path) -> None:
    done = typed("run", "saliency", "demo", "-im", 0, "-r", "html", "-o", "page.html")
    assert done.returncode == 0, done.stderr
    assert "cnnvis chain demo --data demo --images 0" in (tmp_path / "page.html").read_text()
