"""How near the techniques of other libraries are to cnnvis's own: the table of docs/libraries.md.

``python tests/plugins/adapters/agreement.py`` writes the table anew. With XPLIQUE_2_PYTHON, the Python of an
environment with Xplique 2, it measures that, too; else it keeps those numbers.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

import cnnvis

PAGE = Path(__file__).parents[3] / "docs" / "libraries.md"
HEAD = "| technique | nearest of cnnvis | on the demo | on other weights | Xplique 2 | where the library differs |"
PYTHON = "CNNVIS_XPLIQUE_PYTHON"
NONE: dict[str, Any] = {"backprop": None}
SIGNED: dict[str, Any] = {"gradient": None, "channels": "each"}


class Row(NamedTuple):
    """A technique of a library, its options, the nearest of cnnvis with options, and the difference."""

    name: str
    options: dict[str, Any]
    own: str
    own_options: dict[str, Any]
    differs: str

    @property
    def words(self) -> str:
        """The technique of cnnvis as it is typed."""
        typed = [
            f" --{name.replace('_', '-')} {str(value).lower()}"
            for name, value in self.own_options.items()
        ]
        return f"`{self.own}{''.join(typed)}`"


ROWS = (
    Row("shap:gradient-explainer", {}, "expected-gradients", {},
        "draws sample and place of each term at random, 200 in all"),
    Row("tf-keras-vis:saliency", {}, "saliency", NONE, "nowhere"),
    Row("tf-keras-vis:grad-cam", {}, "grad-cam", NONE,
        "enlarges from corner to corner; cnnvis from the centres of receptive fields"),
    Row("tf-keras-vis:grad-cam-plus-plus", {}, "grad-cam-plus-plus", {},
        "normalizes weights over positions; keeps the factor $e^S$; enlarges from corner to corner"),
    Row("tf-keras-vis:score-cam", {}, "score-cam", {},
        "takes a softmax over outputs, not over feature maps; enlarges from corner to corner"),
    Row("tf-keras-vis:layer-cam", {}, "layer-cam", {}, "enlarges from corner to corner"),
    Row("xplique:saliency", {}, "saliency", NONE, "nowhere"),
    Row("xplique:gradient-input", {}, "gradient-times-input", {}, "takes the mean over channels"),
    Row("xplique:guided", {}, "saliency", {"backprop": "guided", **SIGNED},
        "knows ReLU alone, not other rectifiers"),
    Row("xplique:deconv", {}, "saliency", {"backprop": "deconv", **SIGNED},
        "knows ReLU alone, not other rectifiers"),
    Row("xplique:integrated-gradients", {}, "integrated-gradients", {"baseline": 0},
        "takes the trapezoidal rule and fixed steps"),
    Row("xplique:smoothgrad", {}, "smoothgrad", SIGNED,
        "takes the noise in units of the input: 0.2 whatever its range"),
    Row("xplique:grad-cam", {}, "grad-cam", NONE, "enlarges with a bicubic filter"),
    Row("xplique:grad-cam-plus-plus", {}, "grad-cam-plus-plus", {},
        "has means over positions where the paper has sums; enlarges with a bicubic filter"),
    Row("xplique:rise", {}, "rise", {"baseline": 0}, "draws other masks, and does not take the mean score off"),
)  # fmt: skip


def networks() -> dict[str, dict[str, Any]]:
    """Return the demo, and a network of random weights that looks at three channels."""
    import keras
    from scipy import ndimage

    layers = keras.layers
    keras.utils.set_random_seed(11)
    other = keras.Sequential(
        [
            layers.Input((32, 32, 3)),
            layers.Conv2D(8, 3, activation="relu", padding="same"),
            layers.MaxPooling2D(),
            layers.Conv2D(12, 3, activation="relu", padding="same"),
            layers.MaxPooling2D(),
            layers.Conv2D(16, 3, activation="relu", padding="same"),
            layers.GlobalAveragePooling2D(),
            layers.Dense(4, activation="softmax", name="output"),
        ]
    )
    noise = np.random.default_rng(11).normal(size=(4, 32, 32, 3))
    data = ndimage.gaussian_filter(noise, (0, 2, 2, 0)) * 8
    return {
        "demo": {"model": "demo", "data": "demo", "images": [0, 2, 5, 7]},
        "other": {"model": other, "data": data.astype(np.float32), "filter": 3},
    }


def maps(name: str, options: dict[str, Any], subject: dict[str, Any]) -> Any:
    """Return the maps of a technique as floats."""
    return np.float64(cnnvis.run(name, **subject, **options).array)


def correlation(one: Any, other: Any) -> str:
    """Return the mean of Pearson's correlations of the maps of each image, as the table has it."""
    if one.ndim < other.ndim:
        other = other.mean(axis=-1)  # a map for each channel, as the library reduces them
    each = [np.corrcoef(a.ravel(), b.ravel())[0, 1] for a, b in zip(one, other, strict=True)]
    return f"{np.mean(each):.3f}"


def measured(row: Row, subjects: dict[str, dict[str, Any]], kept: str) -> str:
    """Return a line of the table."""
    theirs = {key: maps(row.name, row.options, one) for key, one in subjects.items()}
    found = [
        correlation(one, maps(row.own, row.own_options, subjects[key]))
        for key, one in theirs.items()
    ]
    second = kept
    if row.name.startswith("xplique:") and "XPLIQUE_2_PYTHON" in os.environ:
        os.environ[PYTHON] = os.environ["XPLIQUE_2_PYTHON"]
        try:
            second = correlation(theirs["demo"], maps(row.name, row.options, subjects["demo"]))
        finally:
            del os.environ[PYTHON]
    return f"| `{row.name}` | {row.words} | {' | '.join(found)} | {second} | {row.differs} |"


def lines() -> dict[str, str]:
    """Return the lines of the page's table, by technique."""
    text = PAGE.read_text().splitlines() if PAGE.is_file() else []
    start = text.index(HEAD) + 2 if HEAD in text else len(text)
    table = [line for line in text[start:] if line.startswith("| `")]
    return {line.split("`")[1]: line for line in table}


def main() -> None:
    """Write the table anew."""
    subjects, old = networks(), lines()
    table = []
    for row in ROWS:
        kept = old[row.name].split(" | ")[4] if row.name in old else ""
        table.append(measured(row, subjects, kept))
        print(table[-1], file=sys.stderr)
    text = PAGE.read_text()
    before, _, after = text.partition(HEAD)
    rest = after.split("\n\n", 1)[1]
    PAGE.write_text(
        f"{before}{HEAD}\n|---|---|---|---|---|---|\n" + "\n".join(table) + f"\n\n{rest}"
    )


if __name__ == "__main__":
    main()
