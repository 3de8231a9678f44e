"""Page of the documentation with the table of agreement."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path

from references.comparing import Likeness
from references.networks import COUNT, SUBJECTS
from references.rows import ALL, ROUNDING, TABLES, Row

PAGE = Path(__file__).parents[2] / "docs" / "agreement.md"

TOLD = {
    *("penultimate", "units", "tolerance", "copies", "noise", "channels", "baseline", "epsilon"),
    *("baselines", "steps", "sets", "width", "ridge", "patch", "stride"),
}
"""Options that both sides have alike, and that the table leaves out."""

Measured = Mapping[Row, Mapping[str, Likeness]]

COLUMNS = """\
| cnnvis | library | networks | difference | *r* | |
|---|---|---|---|---|---|"""

HEAD = """\
---
hide:
  - toc
---

# Agreement with other libraries

Maps of cnnvis beside those of {versions}, tf-keras-vis
and Xplique. `python tests/references` writes this page, and a test holds every row of it.

The networks are small and have random weights, and each has {count} inputs. Their twins in PyTorch have the same weights, and
the same outputs within 0.00001:

{networks}

*Difference* is the largest difference of the maps, as a share of the largest value, on each of the networks in their order.
Where formulas differ, *r* is the mean over images of Pearson's correlation. "All" are `image`, `normalized`,
`sequence` and `volume`; others are left out where the library does not take them, or where the two would not differ. Rows with "scaled" compare
maps without their negative values, each scaled to [0, 1], as these libraries give them. ✓ says that the other formula, written down
anew in PyTorch, has the library's own maps within 0.001: so the difference is that, and nothing else. Class activation
maps are of the same layer, and scores are read before the softmax. Rows of PyTorch are the papers' formulas, written down anew.
What cnnvis computes is on [the page of mathematics](mathematics.md).
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
        lines = [f"## {title}", "", NOTES.get(title, "") + COLUMNS]
        lines += [_line(row, measured[row]) for row in rows]
        parts.append("\n".join(lines) + "\n")
    return "\n".join([*parts, TAIL])


def _line(row: Row, found: Mapping[str, Likeness]) -> str:
    options = [
        f"--{key.replace('_', '-')} {'none' if value is None else value}"
        for key, value in row.options.items()
        if key not in TOLD
    ]
    ours = " ".join([row.technique, *options])
    networks = "all" if tuple(row.networks) == ALL else ", ".join(row.networks)
    differs = row.within is None
    # What is rounding is another number on another machine.
    bound = f"≤ {row.within:.5f}".rstrip("0") if row.within and row.within <= ROUNDING else ""
    sizes = ", ".join(f"{one.difference:.2g}" for one in found.values())
    likenesses = ", ".join(f"{one.correlation:.2f}" for one in found.values() if differs)
    cells = [
        *(f"`{ours}`", f"{row.library}: {row.theirs}", networks),
        *(bound or sizes, likenesses),
        (f"{row.library} {row.why}" if differs else row.why) + (" ✓" if row.explained else ""),
    ]
    return f"| {' | '.join(cells)} |"


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
