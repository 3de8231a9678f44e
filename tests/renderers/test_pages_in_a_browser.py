"""Pages in a real browser: nothing is asked of a network, and everybody can use them."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from test_pages import HOSTILE, _hostile

import cnnvis
from cnnvis.api.citations import citations_of

pytestmark = pytest.mark.slow

WIDTHS = {"a telephone": 390, "a wide screen": 1600}


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    api = pytest.importorskip(
        "playwright.sync_api", reason="playwright is not installed: pip install '.[dev]'"
    )
    names = ("chromium", "chromium-browser", "google-chrome")
    program = os.environ.get("CNNVIS_BROWSER") or next(filter(None, map(shutil.which, names)), None)
    if program is None:
        pytest.skip(
            "there is no Chromium here: apt install chromium, or name one in CNNVIS_BROWSER"
        )
    with api.sync_playwright() as running:
        found = running.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield found
        found.close()


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A page with all that a page can have, and names of strangers in it."""
    path = tmp_path_factory.mktemp("pages") / "it.html"
    hostile = _hostile()
    rng = np.random.default_rng(0)
    signed = replace(hostile, maps=rng.normal(size=(len(HOSTILE), 6, 5)), signed=True)
    curves = cnnvis.Explanation(
        rng.random((4, 11)), axes=("position",),
        titles=("a\nmost first", "b\nmost first", "a\nleast first", "b\nleast first"),
    )  # fmt: skip
    profiles = cnnvis.Explanation(
        rng.normal(size=(6, 40)), cnnvis.Samples(rng.random((6, 40, 1)), names=HOSTILE),
        provenance={"technique": "saliency"},
    )  # fmt: skip
    outcomes = ("passed", "warned", "failed", "information")
    judged = [
        cnnvis.Judged(name, {f"check {i}": cnnvis.Verdict(one, f"it is {one}")  # type: ignore[arg-type]
                             for i, one in enumerate(outcomes)}, {"check 0": number}, place=place)
        for place, (name, number) in enumerate([("a", "10"), ("b", "9.5"), (HOSTILE[0], "1,000")], 1)
    ]  # fmt: skip
    whole = cnnvis.Page(
        (signed, profiles), "A page", ("It was asked.", "It was found.", "That is all."),
        {"Model": {"file": HOSTILE[1], "layer": "x" * 300}}, HOSTILE, HOSTILE, tuple(judged),
        (cnnvis.Shelf("Wrong answers", "They are wrong.", tuple(range(6))),),
        (replace(signed, samples=None, groups=HOSTILE, titles=HOSTILE),), (curves,),
        {7: HOSTILE[0]}, 8, "The others are elsewhere.", {"Command": "cnnvis report " + "x" * 200},
        citations_of({"a": "arXiv:1312.6034"}),
    )  # fmt: skip
    whole.save(path)
    return path


@pytest.fixture
def opened(browser: Any, page: Path) -> Iterator[Callable[..., Any]]:
    """Function that opens the page, and fails at any request and any error in the end."""
    contexts, asked, said = [], list[str](), list[str]()

    def open_it(width: int = 1000, **settings: Any) -> Any:
        context = browser.new_context(viewport={"width": width, "height": 800}, **settings)
        contexts.append(context)
        tab = context.new_page()
        tab.on("request", lambda one: asked.append(one.url[:99]))
        tab.on("console", lambda one: said.append(one.text))
        tab.on("pageerror", lambda error: said.append(str(error)))
        tab.on("dialog", lambda dialog: said.append(dialog.message))
        tab.goto(page.as_uri())
        return tab

    yield open_it
    for context in contexts:
        context.close()
    assert [one for one in asked if not one.startswith(("file:", "data:"))] == []
    assert said == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", WIDTHS.values(), ids=WIDTHS.keys())
def test_everybody_can_use_a_page(opened: Callable[..., Any], width: int, scheme: str) -> None:
    """By the rules of axe-core: words for pictures, contrast, headings, the keyboard."""
    pytest.importorskip("axe_playwright_python", reason="axe-core is not installed")
    rules = (files("axe_playwright_python") / "axe.min.js").read_text()
    tab = opened(width, color_scheme=scheme, bypass_csp=True)
    tab.evaluate("for (const one of document.querySelectorAll('details')) one.open = true")
    tab.add_script_tag(content=rules)
    found = tab.evaluate("axe.run()")
    assert [(one["id"], one["nodes"][0]["html"][:200]) for one in found["violations"]] == []
    assert len(found["passes"]) > 20
    assert tab.evaluate("document.documentElement.scrollWidth") <= width


def _drawn(tab: Any, number: int = 0) -> Any:
    """The visible pixels of a map, RGBA, after the opacity of its element."""
    held = tab.evaluate(
        """number => {
          const canvas = document.querySelectorAll('.stack')[number].lastElementChild;
          const image = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
          return [canvas.height, canvas.width, [...image.data], Number(canvas.style.opacity)];
        }""",
        number,
    )
    rows, columns, values, opacity = held
    return np.array(values, np.uint8).reshape(rows, columns, 4), opacity


def test_sliders_move_pixels(opened: Callable[..., Any]) -> None:
    tab = opened()
    before = tab.locator(".stack").first.screenshot()
    tab.locator("#threshold").fill("50")
    pixels, opacity = _drawn(tab)
    shown = pixels[..., 3] > 0
    maps = np.random.default_rng(0).normal(size=(len(HOSTILE), 6, 5))[0]
    half = tab.evaluate("Number(document.querySelector('.legend span').textContent) / -2")
    clear = (
        np.abs(np.abs(maps) - half) > 0.02 * half
    )  # a value at the very threshold may be rounded
    np.testing.assert_array_equal(shown[clear], (np.abs(maps) > half)[clear])
    assert opacity == 1 and 0 < shown.sum() < shown.size
    hidden = tab.locator(".stack").first.screenshot()
    tab.locator("#overlay").fill("30")
    assert _drawn(tab)[1] == pytest.approx(0.3)
    assert tab.locator("output[for=overlay]").text_content() == "30 %"
    faint = tab.locator(".stack").first.screenshot()
    tab.get_by_role("button", name="Reset").click()
    # Not by wait_for_function, which the page's policy refuses unless the first look is enough.
    pytest.importorskip("playwright.sync_api").expect(
        tab.locator("output[for=overlay]")
    ).to_have_text("100 %")
    after = tab.locator(".stack").first.screenshot()
    assert len({before, hidden, faint}) == 3 and before == after


def test_sliders_and_tables_obey_the_keyboard(opened: Callable[..., Any]) -> None:
    tab = opened()
    tab.locator("#overlay").focus()
    tab.keyboard.press("ArrowLeft")
    assert tab.locator("#overlay").input_value() == "99"
    table = tab.locator("table.sortable").first

    def column() -> list[str]:
        return [
            one.strip() for one in table.locator("tbody tr td:nth-child(3)").all_text_contents()
        ]

    first = column()
    table.get_by_role("button", name="check 0").focus()
    tab.keyboard.press("Enter")
    assert column() == ["passed 9.5", "passed 10", "passed 1,000"]  # by numbers, not by letters
    assert table.locator("th[aria-sort=ascending]").count() == 1
    tab.keyboard.press("Enter")
    assert column() == ["passed 1,000", "passed 10", "passed 9.5"] and first != column()
    tab.keyboard.press("Home")
    tab.keyboard.press("Shift+Tab")
    assert tab.evaluate("document.activeElement.tagName") != "BODY"


def test_a_page_is_complete_without_scripts(opened: Callable[..., Any]) -> None:
    tab = opened(java_script_enabled=False)
    assert tab.locator("img.map").first.is_visible() and not tab.locator(".sliders").is_visible()
    for words in ("It was found.", "warning", "The others are elsewhere.", "arXiv:1312.6034"):
        assert tab.get_by_text(words).first.is_visible(), words
    tab.locator("summary").first.click()
    assert tab.get_by_text("it is failed").first.is_visible()


def test_a_page_is_printed(opened: Callable[..., Any], tmp_path: Path) -> None:
    tab = opened()
    tab.emulate_media(media="print")
    assert not tab.locator(".sliders").is_visible() and tab.locator("img.map").first.is_visible()
    tab.pdf(path=tmp_path / "it.pdf", format="A4")
    assert (tmp_path / "it.pdf").read_bytes().startswith(b"%PDF")


def test_the_policy_of_a_page_stops_what_else_would_be_asked_for(browser: Any, page: Path) -> None:
    tab = browser.new_page()
    tab.goto(page.as_uri())
    stopped = tab.evaluate(
        """() => new Promise(done => {
          document.addEventListener('securitypolicyviolation', one => done(one.effectiveDirective));
          const image = document.createElement('img');
          image.src = 'https://example.org/it.png';
          document.body.append(image);
        })"""
    )
    tab.close()
    assert stopped == "img-src"
