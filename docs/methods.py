"""Draws all methods on an image, a volume, a sequence and a genotype matrix: `python docs/methods.py --cache DIR`.

The networks are those of `benchmarks/truth`, trained here or read from the cache; the page and its
pictures are written beside this file.
"""

from __future__ import annotations

import argparse
import sys
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes

sys.path.insert(0, str(Path(__file__).parents[1]))

import cnnvis
from benchmarks.truth import grids, lesions, motifs
from benchmarks.truth.case import Scale
from cnnvis.registry.discovery import registry
from cnnvis.renderers._look import look_of

FOLDER = Path(__file__).parent
ACROSS = 6


@dataclass(frozen=True)
class Subject:
    """Network with the image that is explained.

    Attributes
    ----------
    name, about
        The name of the picture's file, and what the image is.
    network, data
        The network, and all images with their labels.
    place
        The place of the image.
    """

    name: str
    about: str
    network: Any
    data: Any
    place: int


def subjects(cache: Path) -> Iterator[Subject]:
    """Yield the four subjects."""
    scale = Scale()
    for suite, kind, name, about in (
        (
            grids,
            "average",
            "image",
            "four handwritten digits, of which the network answers with one",
        ),
        (
            lesions,
            lesions.NAMES[0],
            "volume",
            "a volume with a lesion, in three planes through the strongest value and their projection",
        ),
        (motifs, "pooled", "sequence", "DNA with a motif that makes the class"),
    ):
        case = suite.case(kind, cache, scale)
        yield Subject(name, about, case.network, (case.x, case.y), int(case.explained[0]))
    yield Subject("genotypes", "a selective sweep in a genotype matrix", "demo", "demo", 0)


def maps_of(subject: Subject) -> Iterator[tuple[str, cnnvis.Explanation | str]]:
    """Yield the map of each technique of cnnvis, or the sentence that says why there is none."""
    for plugin in registry().of("technique"):
        own = plugin.distribution == "cnnvis" and ":" not in plugin.name
        if not own or not plugin.gives_maps_of_images:
            continue
        try:
            yield plugin.name, cnnvis.run(
                plugin.name, subject.network, data=subject.data, images=[subject.place],
                checks="none", style="paper",
            )  # fmt: skip
        except cnnvis.UserError as error:
            yield plugin.name, str(error)


def draw(subject: Subject, path: Path) -> list[str]:
    """Draw the image and all maps; returns sentences with what was drawn, and why others were not."""
    found = list(maps_of(subject))
    shown = [(name, one) for name, one in found if not isinstance(one, str)]
    down = -(-(len(shown) + 1) // ACROSS)
    figure, places = plt.subplots(down, ACROSS, figsize=(2.4 * ACROSS, 2.4 * down), squeeze=False)
    pairs = cnnvis.panels(shown[0][1], volumes="peak")
    first = pairs[0].input
    assert first is not None
    draw_panel(places.flat[0], first, "the input", look_of(shown[0][1], pairs).input_pixels)
    for place, (name, one) in zip(places.flat[1:], shown, strict=False):
        pairs = cnnvis.panels(one, volumes="peak")
        draw_panel(place, pairs[0].map, name, look_of(one, pairs).map_pixels)
    for place in places.flat[len(shown) + 1 :]:
        place.axis("off")
    figure.tight_layout()
    figure.savefig(path, dpi=80)
    plt.close(figure)
    left = [f"`{name}`: {one}" for name, one in found if isinstance(one, str)]
    return [f"Drawn: {', '.join(f'`{name}`' for name, _ in shown)}.", *left]


def draw_panel(place: Axes, panel: cnnvis.Panel, title: str, pixels: Any) -> None:
    """Draw a map by itself: 0 is white where signs have a meaning."""
    place.set_title(title, fontsize=8)
    place.set_xticks([])
    place.set_yticks([])
    if panel.is_profile:
        place.plot(panel.values, linewidth=0.8)
        return
    drawn = pixels(panel)
    if panel.boxes:  # what is between the views of a volume is no part of it
        views = np.zeros(drawn.shape[:2], bool)
        for top, left, rows, columns in panel.boxes:
            views[top : top + rows, left : left + columns] = True
        drawn[~views] = 255
    place.imshow(drawn, aspect="auto", interpolation="nearest")


PAGE = """\
# All methods side by side

Written by `python docs/methods.py`: each technique that comes with cnnvis and gives a map of an image, in its
paper's form (`--style paper`), on a network of `benchmarks/truth` or on the demo. Red speaks for the class and blue
against it where a method has signs; each map has a scale of its own, which ends at the 99.5th percentile. What the methods compute is on
[the page of mathematics](mathematics.md); which of them find what is known to be there, in `benchmarks/truth.md`.
"""


def main() -> None:
    """Draw the pictures and write the page."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--cache", type=Path, required=True)
    cache = options.parse_args().cache
    cache.mkdir(parents=True, exist_ok=True)
    warnings.simplefilter("ignore")
    lines = [PAGE]
    for subject in subjects(cache):
        path = FOLDER / "images" / f"methods-{subject.name}.png"
        said = "\n\n".join(draw(subject, path))
        about = subject.about[0].upper() + subject.about[1:]
        lines.append(
            f"## {about}\n\n![All methods on {subject.about}](images/{path.name})\n\n{said}\n"
        )
    (FOLDER / "methods.md").write_text("\n".join(lines), encoding="utf-8")


if __name__ == "__main__":
    main()
