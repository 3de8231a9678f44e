"""Page of the documentation with the table of agreement."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from references.comparing import Likeness
from references.networks import COUNT, SUBJECTS
from references.rows import SAME, TABLES, Row

PAGE = Path(__file__).parents[2] / "docs" / "agreement.md"

TOLD = {
    *("penultimate", "units", "tolerance", "copies", "noise", "channels", "baseline", "epsilon"),
    *("baselines", "steps", "sets", "width", "ridge", "patch", "stride"),
}
"""Options that both sides have alike, and that the table leaves out."""

Measured = Mapping[Row, Mapping[str, Likeness]]

SAME_TEXT = "≤ 0.00001"

HEAD = """\
# Agreement with other libraries

Maps of cnnvis beside those of {versions}, tf-keras-vis and Xplique. `python tests/references` writes this page, and
a test holds every row of it.

The networks are small and have random weights, and each has {count} inputs. Their twins in PyTorch have the same weights, and
the same outputs within 0.00001:

{networks}

A cell has the largest difference of the maps, as a share of the largest value; where formulas differ, also *r*, the mean
over images of Pearson's correlation. Empty cells are networks that the library does not take, or where the two would
not differ. "Scaled" rows compare maps without their negative values, each scaled to [0, 1], as those libraries give them. ✓ says that
the other formula, written down anew in PyTorch, has the library's own maps within 0.001: so the difference is that and nothing
else. Maps of class activation are of the same layer, and scores are read before the softmax. Rows of PyTorch are the papers'
formulas, written down anew. What cnnvis computes is on [the page of mathematics](mathematics.md).
"""

NOTES = {
    "Relevance": "`gamma.toml` has the rule `gamma:0.25` for convolutions and `alpha-1.toml` has "
    "`alpha-beta:1,0`; both have `epsilon` for others.\n\n"
}
"""What is said before a table."""

TAIL = """\
## Before maps of two libraries are compared { #differences }

- Is a map clipped at 0 and scaled to [0, 1], each image by itself? pytorch-grad-cam and torch-cam do so always. Then what
  speaks against the class is gone, and with it the sum that HiResCAM and XGrad-CAM promise.
- Which Grad-CAM++ is it? The libraries above have four formulas for it.
- How is a map enlarged? Most libraries stretch a layer over the whole input, which moves the maps of layers without padding.
- How much noise has SmoothGrad? Captum has a standard deviation of 1 and 5 copies by default, whatever the input's range is;
  cnnvis has 15 % of the image's range and 50 copies.
"""


def text(measured: Measured, versions: str) -> str:
    """Return the page."""
    networks = "\n".join(f"- `{name}`: {one.about}." for name, one in SUBJECTS.items())
    head = HEAD.format(versions=versions, count=COUNT, networks=networks)
    parts = [head]
    for title, rows in TABLES.items():
        columns = [name for name in SUBJECTS if any(name in row.networks for row in rows)]
        names = " | ".join(f"`{name}`" for name in columns)
        rule = "---|" * (len(columns) + 3)
        lines = [
            f"## {title}",
            "",
            f"{NOTES.get(title, '')}| cnnvis | library | {names} | |",
            f"|{rule}",
        ]
        lines += [_line(row, measured[row], columns) for row in rows]
        parts.append("\n".join(lines) + "\n")
    return "\n".join([*parts, TAIL])


def _line(row: Row, found: Mapping[str, Likeness], columns: Sequence[str]) -> str:
    options = [
        f"--{key.replace('_', '-')} {'none' if value is None else value}"
        for key, value in row.options.items()
        if key not in TOLD
    ]
    differs = row.within is None
    cells = [_cell(found[name], differs) if name in found else "" for name in columns]
    ours = " ".join([row.technique, *options])
    why = f"{row.library} {row.why}" if differs else row.why
    mark = " ✓" if row.explained else ""
    return f"| `{ours}` | {row.library}: {row.theirs} | {' | '.join(cells)} | {why}{mark} |"


def _cell(one: Likeness, differs: bool) -> str:
    if one.difference <= SAME:
        return SAME_TEXT
    return f"{one.difference:.2g}" + (f", *r* {one.correlation:.2f}" if differs else "")


def differences(page: str, other: str) -> Iterator[str]:
    """Yield what differs between two pages beside numbers that are nearly the same."""
    number = re.compile(r"-?\d+(?:\.\d+)?(?:e-?\d+)?")
    chance = {row.theirs for rows in TABLES.values() for row in rows if row.by_chance}
    ours, theirs = page.splitlines(), other.splitlines()
    if len(ours) != len(theirs):
        yield f"{len(ours)} lines and {len(theirs)}"
    for a, b in zip(ours, theirs, strict=False):
        if number.sub("#", a) != number.sub("#", b):
            yield f"{a}\n{b}"
            continue
        if any(f": {name} |" in a for name in chance):
            continue
        pairs = zip(number.findall(a), number.findall(b), strict=True)
        if any(abs(float(x) - float(y)) > 0.03 for x, y in pairs):
            yield f"{a}\n{b}"


def versions(python: Path) -> str:
    """Return the libraries of an environment, with their versions."""
    names = {
        "Captum": "captum", "SHAP": "shap", "zennit": "zennit",
        "pytorch-grad-cam": "grad-cam", "torch-cam": "torchcam",
    }  # fmt: skip
    program = (
        "import sys; from importlib.metadata import version; print(*map(version, sys.argv[1:]))"
    )
    done = subprocess.run(
        [python, "-c", program, *names.values()], capture_output=True, text=True, check=True
    )
    return ", ".join(f"{name} {one}" for name, one in zip(names, done.stdout.split(), strict=True))
