"""Names from strangers: shown with all that is unseen written out, and made into files' names."""

from __future__ import annotations

import ast
import io
import json
import random
import re
import sys
import tomllib
import unicodedata
from pathlib import Path
from typing import Any

import pytest
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

import cnnvis
from cnnvis.cli.console import Screen, words
from cnnvis.execution.calls import call_plugin
from cnnvis.registry.discovery import Registry, registry, using
from cnnvis.settings.chain_files import Recipe
from cnnvis.text import LONGEST, file_name, json_text, printable, unused

ALL = [chr(code) for code in range(sys.maxunicode + 1)]
# What Unicode has for letters, marks or signs, and what leaves no trace on paper.
SELECTORS = {*map(chr, range(0xFE00, 0xFE10)), *map(chr, range(0xE0100, 0xE01F0))}
FILLERS = {*"\u034f\u115f\u1160\u17b4\u17b5\u180b\u180c\u180d\u180f\u3164\uffa0\U0001d159"}
UNSEEN = [
    letter
    for letter in ALL
    if unicodedata.category(letter) in ("Cc", "Cf", "Cs", "Zl", "Zp")
    or letter in SELECTORS | FILLERS
]
SEEN = [
    letter
    for letter in ALL
    if unicodedata.category(letter)[0] in "LMNPS" and letter not in SELECTORS | FILLERS
]
EVIL = "evil\x1b]0;pwned\x07\u202e$x_{$"


def test_everything_unseen_is_written_out_and_can_be_read_back() -> None:
    assert len(UNSEEN) > 2500 and len(SEEN) > 130_000
    for letter in UNSEEN:
        out = printable(letter)
        assert out.isascii() and out.isprintable() and len(out) >= 2, ascii(letter)
        assert ast.literal_eval(f"'{out}'") == letter
        assert printable(out) == out
    assert printable("".join(UNSEEN)) == "".join(map(printable, UNSEEN))


def test_every_letter_accent_and_pictograph_stays() -> None:
    assert [letter for letter in SEEN if printable(letter) != letter] == []
    for name in ("naïve café", "染色体 7", "דגימה", "عينة", "नमूना", "n\u0303", "🧬 AI", "a b"):
        assert printable(name) == name and json.loads(json_text(name)) == name
    assert printable("👩\u200d🔬 ❤\ufe0f") == r"👩\u200d🔬 ❤\ufe0f"
    assert printable("10\u00a0kb\u3000x") == "10 kb x"


def test_ends_of_lines_stay_where_they_are_wanted() -> None:
    assert printable("a\nb\tc\r") == r"a\nb\tc\r"
    assert printable("a\nb\tc\r\u2028", lines=True) == "a\nb\tc\\r\\u2028"


@pytest.mark.parametrize("system", [None, "truecolor"])
@pytest.mark.parametrize("encoding", ["utf-8", "ascii", "cp1252"])
def test_nothing_unseen_passes_a_screen(system: Any, encoding: str) -> None:
    """However it is printed: as a word, in colour, in a table, a frame, as JSON."""
    raw = io.BytesIO()
    file = io.TextIOWrapper(raw, encoding=encoding)
    screen = Screen(file=file, force_terminal=system is not None, color_system=system, width=60)
    some = [letter for letter in UNSEEN if letter not in "\n\t"]
    for start in range(0, len(some), 200):
        text = "[red]" + "".join(some[start : start + 200]) + "[/nothing]"
        table = Table(title=Text(text), caption=text)
        table.add_column(text)
        table.add_row(text)
        table.add_row(Text(text, "bold"))
        for one in (
            text,
            Text(text, "red"),
            table,
            Panel(Text(text), title=Text(text)),
            words((text, "red")),
        ):
            screen.print(one)
        screen.print(words(text), highlight=False, soft_wrap=True)
        screen.print_json(json_text({text: [text]}), ensure_ascii=False)
        with screen.capture() as captured:
            screen.print(Text(text))
        file.write(captured.get())
    file.flush()
    shown = raw.getvalue().decode(encoding)
    assert r"\x1b" in shown and r"\u202e" in shown and "[red]" in shown
    assert (r"\ud800" in shown) and ("\x1b[31m" in shown) == (system is not None)
    plain = re.sub(r"\x1b\[[\d;]*m", "", shown).replace("\n", "")
    assert not set(plain) & set(UNSEEN)


def test_words_are_laid_out_as_wide_as_they_are_shown() -> None:
    screen = Screen(file=io.StringIO(), width=60)
    table = Table("name", "number", box=None)
    for name in (EVIL, "plain"):
        table.add_row(words(name), "1")
    with screen.capture() as captured:
        screen.print(table)
    lines = captured.get().splitlines()
    assert lines[1].index(" 1") == lines[2].index(" 1")
    assert r"evil\x1b]0;pwned\x07\u202e$x_{$" in lines[1]


def test_json_is_legible_and_holds_nothing_unseen() -> None:
    value = {"x".join(UNSEEN): ["".join(SEEN[:5000]), EVIL, {"\U000e0041": 1}]}
    text = json_text(value)
    assert json.loads(text) == value
    assert not (set(text) - {"\n"}) & set(UNSEEN)
    assert "é" in text and r"\u202e" in text


def test_chains_are_written_without_anything_unseen() -> None:
    odd = "a\x1b]0;x\x07\u202e'\\n\n\U000e0041\x9b"
    recipe = Recipe(odd, {"model": "m.h5", "layer": odd}, [("saliency", {"backprop": odd})])
    forms: dict[Any, str] = {form: recipe.written(form) for form in ("toml", "python", "shell")}
    for text in forms.values():
        assert not (set(text) - {"\n"}) & set(UNSEEN)
    held = tomllib.loads(forms["toml"])["chains"][odd]
    assert held["layer"] == held["steps"][0]["backprop"] == odd
    called = ast.parse(forms["python"]).body[1]
    assert odd in [node.value for node in ast.walk(called) if isinstance(node, ast.Constant)]


def test_a_shell_reads_what_was_written_out() -> None:
    import shutil
    import subprocess

    if shutil.which("bash") is None:
        pytest.skip("there is no bash")
    odd = "a\x1b]0;x\x07\u202e'\\n\n\U000e0041\x9b $HOME"
    text = Recipe("r", {"model": odd}, [("png", {})]).written("shell")
    words = text.replace("cnnvis", "printf '%s|'", 1)
    done = subprocess.run(["bash", "-c", words], capture_output=True, env={"LC_ALL": "C.UTF-8"})
    assert done.stdout.decode().split("|")[:3] == ["chain", odd, "png"]


# Names of files

STRANGE = (
    *(
        "",
        ".",
        "..",
        "../../etc/passwd",
        "a/b\\c",
        "C:\\x",
        "-rf",
        ".hidden",
        "x.",
        "x ",
        "~",
        "$(x)",
    ),
    *("con", "NUL", "nul.tar", "Com1", "LPT¹", "CONIN$", "aux", "a" * 5000, "é" * 300, "e\u0301"),
    *("\u202egnp.exe", EVIL, "a\nb", "\ud800", "*?<>|:\"'`", "CON ", "\x00", "..." * 100),
)


def _random_names(count: int) -> list[str]:
    rng = random.Random(4)
    pools = (UNSEEN, SEEN, list('./\\-:*?"<>| \n'), list("conuxlptCOM123"))
    return [
        "".join(rng.choice(rng.choice(pools)) for _ in range(rng.randrange(300)))
        for _ in range(count)
    ]


@pytest.mark.parametrize("name", STRANGE, ids=ascii)
def test_strange_names_make_good_files(name: str, tmp_path: Path) -> None:
    made = file_name(name)
    _require_good(made)
    (tmp_path / f".{made}-12345678.png").touch()  # as a temporary name, which is longer
    (tmp_path / f"{made}.png").touch()
    assert len(list(tmp_path.iterdir())) == 2


@pytest.mark.slow
def test_any_name_makes_a_good_file() -> None:
    for name in _random_names(3000):
        _require_good(file_name(name))


def _require_good(made: str) -> None:
    assert made and len(made.encode()) <= LONGEST
    assert not set(made) & {*"/\\:*?\"<>|'`$~; \n", *UNSEEN}, ascii(made)
    assert made[0] not in ".-" and made[-1] not in ". "
    assert not re.match(r"(con|prn|aux|nul|com[0-9¹²³]|lpt[0-9¹²³])(\.|$)", made, re.IGNORECASE)
    assert unicodedata.is_normalized("NFC", made) and file_name(made) == made


def test_usual_names_stay_legible() -> None:
    assert file_name("saliency_block1/conv_guided") == "saliency_block1-conv_guided"
    assert file_name("activation-max_output_1.5") == "activation-max_output_1.5"
    assert file_name("染色体_नमूना") == "染色体_नमूना"
    assert file_name("e\u0301") == "é"


def test_long_names_are_told_apart() -> None:
    one, other = (file_name("layer" * 100 + end) for end in ("a", "b"))
    assert one != other and one[:60] == other[:60]


def test_names_that_differ_in_case_alone_get_numbers() -> None:
    taken: set[str] = set()
    names = ["Conv", "conv", "CONV", "dense", "stra\N{LATIN SMALL LETTER SHARP S}e", "STRASSE"]
    found = [unused(Path("results") / f"{name}.png", taken).name for name in names]
    assert found == [
        "Conv.png",
        "conv_2.png",
        "CONV_3.png",
        "dense.png",
        "straße.png",
        "STRASSE_2.png",
    ]


# Pictures


@pytest.mark.parametrize("suffix", [".png", ".svg", ".pdf"])
@pytest.mark.slow
def test_no_label_is_mathematics_or_too_long_to_draw(suffix: str, tmp_path: Path) -> None:
    import numpy as np

    png = registry().get("renderer", "png")
    labels = ("$x_{$", EVIL, "x" * 10_000, "n\u0303" * 10_000, "👩\u200d🔬\ud800" * 9, "\n" * 5000)
    count = len(labels)
    for shape in ((6, 5, 1), (9, 1)):
        samples = cnnvis.Samples.of(
            np.ones((count, *shape)), np.arange(count), names=labels, class_names=labels
        )
        axes = {
            name: cnnvis.Axis(
                name=labels[0] + "y" * 5000, unit="$", values=tuple(labels[:1] * size)
            )
            for name, size in (("row", 6), ("column", 5), ("position", 9))
        }
        found = cnnvis.Explanation(
            np.ones((count, *shape[:-1])),
            samples,
            targets=tuple(cnnvis.Target(one, (0,), (one,)) for one in labels),
            provenance={"technique": EVIL, "model": {"file": "$m_{$" * 999}},
        )
        path = tmp_path / f"maps-{len(shape)}{suffix}"
        known = {name: axis for name, axis in axes.items() if name in found.axes}
        call_plugin(png, found.described(known), path, dpi=50, scale="each")
        _require_bounded(path)
    table = {EVIL: list(labels), "$": ["$x_{$"] * count}
    call_plugin(png, cnnvis.Explanation(table=table), tmp_path / f"table{suffix}", dpi=50)
    _require_bounded(tmp_path / f"table{suffix}")


def _require_bounded(path: Path) -> None:
    from PIL import Image

    assert path.stat().st_size > 1000
    if path.suffix == ".png":
        with Image.open(path) as picture:
            assert max(picture.size) < 3000
    if path.suffix == ".svg":
        text = path.read_text(encoding="utf-8")
        assert not (set(text) - {"\n"}) & set(UNSEEN)


def test_a_name_of_a_plugin_can_be_typed() -> None:
    with using(Registry(only=[])):
        for name in (EVIL, "a b", "", "a/b", "-x", "x\u200d"):
            found = Registry(only=[])
            found._load(name, "p", "1", lambda name=name: _module(name))
            assert [one.reason for one in found.broken] == [
                f"TypeError: {name!r} cannot be typed as a plugin's name"
            ]


def _module(name: str) -> Any:
    import types

    module = types.ModuleType("named")

    @cnnvis.technique(name)
    def function(model: Any) -> None:
        """Nothing."""

    function.__module__ = "named"
    module.function = function  # type: ignore[attr-defined]
    return module
