"""What the documentation says is what happens, page by page, example after example.

Blocks of ``sh`` are typed, of ``python`` run in one name space, those with a title written to a file.
A block of ``text`` behind either says what comes out: each of its lines does, in this order.
"""

from __future__ import annotations

import re
import shlex
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from object_store import listening

import cnnvis
from cnnvis.cli.command_line import parsed
from cnnvis.registry.discovery import Registry, registry, using

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = [
    "tutorial.md",
    "trust.md",
    "groups.md",
    "tables.md",
    "genomes.md",
    "long-runs.md",
    "object-stores.md",
    "reports.md",
    "writing-plugins.md",
    "keras-vis.md",
    "libraries.md",
    "volumes.md",
]

Typed = Callable[..., "subprocess.CompletedProcess[str]"]


@dataclass
class Block:
    language: str
    settings: dict[str, str]
    text: str


def blocks(page: str) -> Iterator[Block]:
    content = (DOCS / page).read_text()
    for found in re.finditer(r"^```(\w+)(.*?)\n(.*?)^```$", content, re.DOTALL | re.MULTILINE):
        yield Block(found[1], dict(re.findall(r'(\w+)="?([^" ]+)"?', found[2])), found[3])


def require_lines(expected: str, found: str) -> None:
    remaining = [" ".join(line.split()) for line in found.splitlines()]
    for line in filter(None, map(str.strip, expected.splitlines())):
        wanted = " ".join(line.split())
        places = [i for i, one in enumerate(remaining) if one.startswith(wanted)]
        assert places, f"{wanted!r} is not in\n{found}"
        remaining = remaining[places[0] + 1 :]


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES)
def test_examples_do_what_they_say(
    page: str, typed: Typed, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    stack = ExitStack()
    if page == "keras-vis.md":
        pytest.importorskip("vis", reason="keras-vis is not installed")
    if page == "genomes.md":
        for library in ("pyfaidx", "cyvcf2", "pybigtools"):
            pytest.importorskip(library, reason=f"{library} is not installed")
    if page == "libraries.md":
        pytest.importorskip("xplique", reason="Xplique is not installed")
    if page == "object-stores.md":
        stack.enter_context(listening())
    with stack, using(Registry()):  # a page may load plugins, which others do not get
        assert tell(page, typed, tmp_path, capfd) >= 3


def tell(page: str, typed: Typed, folder: Path, capfd: pytest.CaptureFixture[str]) -> int:
    """Do all that a page says, in a folder, and count what was done."""
    names: dict[str, Any] = {"__name__": "example", "made": []}
    came_out, done = "", 0
    for block in blocks(page):
        if title := block.settings.get("title"):
            (folder / title).write_text(block.text)
        elif block.language == "sh":
            came_out = ""
            for line in block.text.splitlines():
                program, *words = shlex.split(line)
                assert program == "cnnvis", line
                answer = typed(*words)
                assert answer.returncode == int(block.settings.get("exit", 0)), answer.stderr
                came_out += answer.stdout
                done += 1
        elif block.language == "python":
            capfd.readouterr()
            exec(block.text, names)
            came_out = capfd.readouterr().out
            done += 1
        elif block.language == "text":
            require_lines(block.text, came_out)
    return done


@pytest.mark.slow
def test_they_are_built_without_a_warning(tmp_path: Path) -> None:
    pytest.importorskip("mkdocs", reason="mkdocs is not installed")
    built = subprocess.run(
        ["mkdocs", "build", "--strict", "--site-dir", tmp_path], cwd=ROOT, capture_output=True, text=True
    )  # fmt: skip
    assert built.returncode == 0, built.stderr
    for plugin in registry():
        if plugin.distribution == "cnnvis":
            page = tmp_path / "plugins" / f"{plugin.kind}-{plugin.name.replace(':', '-')}.html"
            assert plugin.summary.split()[0] in page.read_text()
    formulas = (tmp_path / "mathematics.html").read_text()
    assert formulas.count("<math") > 40 and "arithmatex" not in formulas
    # Nothing is fetched from anywhere when a page is read.
    for page in tmp_path.rglob("*.html"):
        assert not re.findall(r'<(?:script|link|img)[^>]*(?:src|href)="https?:', page.read_text())


def test_every_public_name_is_on_the_page_and_has_a_docstring() -> None:
    page = (DOCS / "public-names.md").read_text()
    for name in cnnvis.__all__:
        if name not in ("__version__", "hookimpl"):
            assert f"::: cnnvis.{name}\n" in page, name


def test_every_technique_has_its_mathematics() -> None:
    page = (DOCS / "mathematics.md").read_text()
    for plugin in registry().of("technique"):
        if plugin.distribution == "cnnvis" and plugin.gives != "table":
            assert f"{{ #{plugin.name.rpartition(':')[2]} }}" in page, plugin.name
            for paper in re.findall(r"(?:arXiv|doi):\S+?(?=,|$)", plugin.reference or ""):
                assert paper in page, paper


def test_the_page_of_all_methods_has_all_methods() -> None:
    """In each picture, or with the sentence that says why not."""
    wanted = {
        plugin.name
        for plugin in registry().of("technique")
        if plugin.distribution == "cnnvis" and ":" not in plugin.name
        if plugin.gives_maps_of_images
    }
    _, *sections = (DOCS / "methods.md").read_text().split("\n## ")
    assert len(sections) == 4
    for section in sections:
        (picture,) = re.findall(r"\((images/methods-\w+\.png)\)", section)
        assert (DOCS / picture).is_file()
        drawn = re.findall(r"^Drawn: (.*)\.$", section, re.MULTILINE)[0]
        left = re.findall(r"^`([\w-]+)`: \S", section, re.MULTILINE)
        assert {*re.findall(r"`([\w-]+)`", drawn), *left} == wanted


def test_pictures_of_the_gallery_are_small_and_have_words() -> None:
    """The README and the first page show the same four, with the verdicts that the gallery gives."""
    gallery = (DOCS / "gallery.md").read_text()
    pictures = re.findall(r"!\[(.*?)\]\((images/gallery-.*?)\)", gallery)
    assert {one.name for one in (DOCS / "images").glob("gallery-*")} == {
        Path(picture).name for _, picture in pictures
    }
    for words, picture in pictures:
        assert len(words.split()) > 5 and 1000 < (DOCS / picture).stat().st_size < 150_000, picture
    for typed in re.findall(r"^    cnnvis (\w.*)$", gallery, re.MULTILINE):
        assert parsed(shlex.split(typed)), typed
    for file, folder in ((ROOT / "README.md", "docs/"), (DOCS / "index.md", "")):
        block = file.read_text().partition("<!-- gallery -->")[2].partition("<!-- end")[0]
        four = re.findall(r"\[!\[(.*?)\]\((.*?)\)\].*?\*Checks: ([^*]+)\.\* \|", block)
        assert len(four) == 4
        for words, picture, verdicts in four:
            assert (words, picture.removeprefix(folder)) in pictures
            section = gallery.partition(picture.removeprefix(folder))[2].partition("\n#")[0]
            said = re.findall(r"^- `[+!x]` ([^:]+):", section, re.MULTILINE)
            assert verdicts == ", ".join(said) and said


@pytest.mark.parametrize("page", ["promises.md", "field.md"])
def test_each_promise_names_tests_that_are_there(page: str) -> None:
    rows = [row for row in (DOCS / page).read_text().splitlines() if row.startswith("| ")]
    promises = [row for row in rows if "held by" not in row]
    assert len(promises) >= 15
    for row in promises:
        named = re.findall(r"`(tests/[\w/]+\.py)(?:::(\w+))?`", row)
        assert named, row
        for file, function in named:
            assert (ROOT / file).is_file(), file
            assert not function or f"def {function}(" in (ROOT / file).read_text(), function
