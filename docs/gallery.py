"""Makes the gallery from real runs: `python docs/gallery.py DIR`; needs Chromium, and the extra dev.

The tutorials make their networks and data in DIR, which is kept: nothing is downloaded. Each command of the gallery is
run there, and its picture and the verdicts of its checks go to the page, to the README and to the first page.
"""

from __future__ import annotations

import argparse
import io
import os
import shlex
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from PIL import Image, ImageChops, ImageOps

DOCS = Path(__file__).parent
IMAGES = DOCS / "images"
BYTES = 150_000  # of a picture
BEGIN, END = "<!-- gallery -->", "<!-- end of gallery -->"

SCREENS = [
    (
        "terminal",
        "terminal",
        "run saliency demo --images 0 2 --backprop none",
        "Maps in coloured half blocks, with a legend and a table, in a terminal",
    ),
    (
        "html",
        "html",
        "run saliency demo --images 0 2 --backprop none -r html",
        "A page with verdicts, sliders, and maps beside their inputs",
    ),
    (
        "evaluate",
        "cnnvis evaluate",
        "evaluate saliency grad-cam demo --images 0-9 -o evaluation.html",
        "A page with a table of two methods by five checks, and curves of the score as parts are removed",
    ),
    (
        "report",
        "cnnvis report",
        "report demo --images 0-19 --by label",
        "The beginning of a report: what was found, and a table of checks",
    ),
]
"""Pictures of screens: their names, their titles, what is typed, and what is in them."""
NOTEBOOK = "Maps beside their inputs under the cell of a notebook"


@dataclass(frozen=True)
class Exhibit:
    """Command with the picture that it makes.

    Attributes
    ----------
    name
        The name of the picture, ``genotypes``.
    title, about
        What is shown, in a few words, and in sentences.
    alt
        What is in the picture, for people who do not see it.
    folder
        The tutorial whose network and data are explained.
    command
        What is typed behind ``cnnvis``.
    """

    name: str
    title: str
    about: str
    alt: str
    folder: str
    command: str


FACES = "faces.keras --data faces.npz --class-names other face --class face"
HEADS = "heads.keras --data heads.npz --class-names healthy lesion"
DNA = "dna.keras --data dna.npz --class-names free bound"
SOUND = "sound.keras --data sound.npz --class-names falling rising"

KINDS = [
    Exhibit(
        "genotypes",
        "Genotypes",
        "Two selective sweeps in simulated chromosomes; the selected sites are at columns 41 and 46.",
        "Two genotype matrices that are empty in a band, and their maps, which are bright in the same band",
        "genotypes",
        "run saliency demo --images 0 2 --backprop none --checks full",
    ),
    Exhibit(
        "photograph",
        "Photographs",
        "A network that learned faces from portraits is sure of the first (p 0.997), and looks at it. It misses the second "
        "(p 0.376), a face from the side; the map shows what came nearest.",
        "An astronaut and a cameraman, and maps over them: on the face of the astronaut, and below the ear of the cameraman",
        "photographs",
        f"run saliency {FACES} --backprop none --png.scale each-percentile --png.dpi 90 "
        "--checks full",
    ),
    Exhibit(
        "volume",
        "A volume",
        "Planes through two toy heads. The ring is the lesion; the solid ball, which every head has, says nothing.",
        "Planes through two volumes with a bright ring and a bright ball, and maps that are bright at the ring",
        "volume",
        f"run smoothgrad {HEADS} --images 1 3 --checks full",
    ),
    Exhibit(
        "dna",
        "DNA",
        "Letters as high as what they add to the score. The planted motif is TGACTCA; where a letter of it is changed, that letter speaks against the class.",
        "Two sequences and their letters as high as their values: TGACTCA stands out",
        "dna",
        f"run integrated-gradients {DNA} --images 1 5 --png.columns 1 --checks full",
    ),
    Exhibit(
        "sound",
        "Sound",
        "A falling and a rising call in noise, with a hum at 600 Hz in both.",
        "Two spectrograms with a slanted line each, and maps that are bright at these lines and not at the hum",
        "sound",
        f"run smoothgrad {SOUND} --images 0 1 --checks full",
    ),
]
PLACES = [
    Exhibit(
        "grid",
        "grid",
        "Methods under each other, images beside each other.",
        "A row of inputs and a row of maps for each of three methods",
        "genotypes",
        "chain demo --images 0 2 --style paper saliency grad-cam integrated-gradients grid",
    ),
    Exhibit(
        "moving",
        "gif",
        "The planes of a volume, one after the other.",
        "A moving picture of a volume beside its map",
        "volume",
        f"run smoothgrad {HEADS} --images 1 -r gif --gif.size 120",
    ),
    Exhibit(
        "curves",
        "curves",
        "Mean maps of the two classes over one axis.",
        "Two curves over 120 positions with a legend",
        "dna",
        f"chain {DNA} saliency average curves",
    ),
    Exhibit(
        "groups",
        "Groups of images",
        "The difference of the mean maps of two classes.",
        "A map in blue, white and red: the difference of the mean maps of sweeps and neutral images",
        "genotypes",
        "chain demo saliency average difference png",
    ),
    Exhibit(
        "compare",
        "cnnvis compare",
        "Two settings of a method, and where their maps differ.",
        "For each image two maps and their difference",
        "genotypes",
        "compare saliency --backprop guided saliency --backprop none demo --images 0 2",
    ),
    Exhibit(
        "table",
        "Tables",
        "Results that are tables, such as the layers of a network.",
        "A table of the layers of the demo network",
        "genotypes",
        "run model-summary demo -r png",
    ),
]


def main() -> None:
    """Make all pictures, the page, and the parts of the README and of the first page."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("folder", type=Path)
    folder = options.parse_args().folder.resolve()
    for name in dict.fromkeys(one.folder for one in KINDS):
        follow(DOCS / "tutorials" / f"{name}.ipynb", folder / name)
    verdicts = {one.name: drawn(one, folder / one.folder) for one in KINDS + PLACES}
    photographed("terminal", terminal(), 1000, 1300)
    for name, (source, high) in pages(folder).items():
        photographed(name, source, 1000, high)
    (DOCS / "gallery.md").write_text(page(verdicts), encoding="utf-8")
    for file, images in ((DOCS.parent / "README.md", "docs/images"), (DOCS / "index.md", "images")):
        text = file.read_text(encoding="utf-8")
        before, after = text.split(BEGIN)[0], text.split(END)[1]
        block = "\n".join([BEGIN, "", *four(verdicts, images), "", END])
        file.write_text(before + block + after, encoding="utf-8")


def follow(tutorial: Path, folder: Path) -> None:
    """Run a tutorial in a folder, where its network and its data stay."""
    if folder.is_dir():
        return
    folder.mkdir(parents=True)
    notebook = nbformat.read(tutorial, as_version=4)
    NotebookClient(notebook, resources={"metadata": {"path": str(folder)}}).execute()


def drawn(one: Exhibit, folder: Path) -> list[str]:
    """Run a command; returns the lines that its checks say."""
    ending = ".gif" if "-r gif" in one.command else ".png"
    last = one.command.split()[-1]  # whose files have an ending of their own
    made = folder / f"made{f'.{last}' if last in ('grid', 'curves') else ''}{ending}"
    made.unlink(missing_ok=True)
    words = shlex.split(one.command)
    place = ["--out", made.name]
    done = typed(words[:1] + place + words[1:] if words[0] == "chain" else words + place, folder)
    kept(made, IMAGES / f"gallery-{one.name}{ending}")
    return [line for line in done.stderr.splitlines() if line[:2] in ("+ ", "! ", "x ")]


def typed(words: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    """Run a command in a folder."""
    return subprocess.run(
        [sys.executable, "-m", "cnnvis", *words],
        cwd=folder, check=True, capture_output=True, text=True, env={**os.environ, "NO_COLOR": "1"},
    )  # fmt: skip


def kept(made: Path, where: Path) -> None:
    """Keep a picture, if it is small enough to be read with a page."""
    made.replace(where)
    assert where.stat().st_size < BYTES, where


def terminal() -> str:
    """Return what the terminal shows of the demo, as a page."""
    import cnnvis
    from cnnvis.drawing.console import Screen
    from cnnvis.registry.discovery import registry

    found = cnnvis.run("saliency", "demo", images=[0, 2], backprop=None)
    screen = Screen(
        file=io.StringIO(), width=80, record=True, force_terminal=True, color_system="truecolor"
    )
    registry().get("renderer", "terminal").function(found, screen, graphics="blocks")
    return screen.export_svg(title="cnnvis run saliency demo --images 0 2 --backprop none")


def pages(folder: Path) -> dict[str, tuple[str, int]]:
    """Return the pages to photograph, with the height of the window."""
    import cnnvis

    place = folder / "genotypes"
    words = "--images 0 2 --backprop none -r html --out maps.html"
    for file in place.glob("*.html"):
        file.unlink()
    methods = "saliency grad-cam demo --images 0-9 -o evaluation.html"
    typed(["evaluate", *methods.split()], place)
    typed(["run", "saliency", "demo", *words.split()], place)
    typed(["report", "demo", "--images", "0-19", "--by", "label", "-o", "report.html"], place)
    notebook = cnnvis.run("saliency", "demo", images=[0, 2], backprop=None)
    return {
        "html": ((place / "maps.html").read_text(encoding="utf-8"), 2000),
        "evaluate": ((place / "evaluation.html").read_text(encoding="utf-8"), 900),
        "report": ((place / "report.html").read_text(encoding="utf-8"), 1000),
        "notebook": (notebook._repr_mimebundle_()["text/html"], 900),
    }


def photographed(name: str, source: str, width: int, height: int) -> None:
    """Take a picture of a page, or of a drawing, in Chromium."""
    with tempfile.TemporaryDirectory() as folder:
        drawing, shot = Path(folder) / "it.svg", Path(folder) / "shot.png"
        if source.startswith("<svg"):
            drawing.write_text(source, encoding="utf-8")
            source = f'<body style="margin:0"><img src="{drawing.name}" width="{width}">'
        file = Path(folder) / "page.html"
        file.write_text(source, encoding="utf-8")
        subprocess.run(
            [
                *("chromium", "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"),
                *(f"--screenshot={shot}", f"--window-size={width},{height}", file.as_uri()),
            ],
            check=True, capture_output=True,
        )  # fmt: skip
        picture = Image.open(shot).convert("RGB")
        ground = Image.new("RGB", picture.size, picture.getpixel((width - 1, height - 1)))
        box = ImageChops.difference(picture, ground).getbbox()
        ImageOps.expand(picture.crop(box), 12, ground.getpixel((0, 0))).quantize(256).save(
            shot, optimize=True
        )
        kept(shot, IMAGES / f"gallery-{name}.png")


def words_of(lines: list[str]) -> str:
    """Return the verdicts in a few words: + sanity passed, x randomization failed."""
    return ", ".join(f"{line[2:].partition(':')[0]}" for line in lines)


def four(verdicts: dict[str, list[str]], images: str) -> list[str]:
    """Return the table of the first four pictures, with their verdicts."""
    cells = []
    for one in KINDS[:4]:
        picture = (
            f"[![{one.alt}]({images}/gallery-{one.name}.png)]({images}/gallery-{one.name}.png)"
        )
        said = words_of(verdicts[one.name])
        cells.append(f"{picture}<br>**{one.title}.** {one.about}<br>*Checks: {said}.*")
    return ["| | |", "|---|---|", *(f"| {a} | {b} |" for a, b in (cells[:2], cells[2:]))]


PAGE = """\
# Gallery

Written by `python docs/gallery.py DIR`: each picture is from a run of the command above it. The networks and the data
are those of the [tutorials](tutorials/index.md), which make them in seconds; `demo` comes with cnnvis. The sentences
under a picture are the [verdicts of the checks](trust.md) of its maps: `+` passed, `!` warned, `x` failed. Which form
shows which kind of result is in [a table](shown.md).
"""


def page(verdicts: dict[str, list[str]]) -> str:
    """Return the page of all pictures."""
    lines = [PAGE, "## Kinds of data", ""]
    for one in KINDS:
        lines += [*section(one, verdicts[one.name])]
        lines += [
            f"How the network and the data were made: [the tutorial](tutorials/{one.folder}.ipynb).",
            "",
        ]
    lines += ["## Renderers and commands", ""]
    for one in PLACES:
        lines += section(one, verdicts[one.name])
    for name, title, command, alt in SCREENS:
        lines += [f"### {title}", "", f"    cnnvis {command}", ""]
        lines += [f"![{alt}](images/gallery-{name}.png)", ""]
    code = ['cnnvis.run("saliency", "demo", images=[0, 2], backprop=None)']
    lines += ["### Notebooks", "", *(f"    {line}" for line in code), ""]
    lines += [f"![{NOTEBOOK}](images/gallery-notebook.png)"]
    return "\n".join(lines) + "\n"


def section(one: Exhibit, verdicts: list[str]) -> list[str]:
    """Return the lines of the page about a picture."""
    ending = "gif" if "-r gif" in one.command else "png"
    said = [f"- `{line[0]}` {line[2:]}" for line in verdicts]
    return [
        *(f"### {one.title}", "", one.about, "", f"    cnnvis {one.command}", ""),
        *(f"![{one.alt}](images/gallery-{one.name}.{ending})", "", *said, *([""] if said else [])),
    ]


if __name__ == "__main__":
    main()
