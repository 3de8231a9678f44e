"""The table of what each form shows is true, cell by cell."""

from __future__ import annotations

import base64
import io
import json
import re
import tempfile
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from rich.console import Console

import cnnvis
from cnnvis.registry.discovery import registry

PAGE = (Path(__file__).parents[1] / "docs" / "shown.md").read_text()
HEAD, _, *ROWS = (
    [cell.strip() for cell in line.strip("|").split("|")]
    for line in PAGE.splitlines()
    if line.startswith("|")
)
RNG = np.random.default_rng(0)


def _made(maps: Any, x: Any = None, grids: Any = None, **settings: Any) -> cnnvis.Explanation:
    samples = None if x is None else cnnvis.Samples(x, grids=grids)
    return cnnvis.Explanation(maps, samples, provenance={"technique": "made"}, **settings)


FRAMES = RNG.random((2, 3, 8, 8)).astype(np.float32)
GRID = cnnvis.VoxelGrid((6, 8, 8), tuple(map(tuple, np.diag([2.0, 1, 1, 1]).tolist())))
KINDS = {
    "one axis": _made(RNG.random((2, 30)), RNG.random((2, 30, 1))),
    "DNA": _made(
        RNG.random((2, 12)),
        np.eye(4)[RNG.integers(0, 4, (2, 12))],
        coordinates={"position": cnnvis.Axis(unit="bp", start=1000)},
    ),
    "two axes": _made(RNG.random((2, 8, 8)), RNG.random((2, 8, 8, 1))),
    "photographs": _made(RNG.random((2, 8, 8)), RNG.integers(0, 256, (2, 8, 8, 3), np.uint8)),
    "three axes": _made(RNG.random((2, 6, 8, 8)), RNG.random((2, 6, 8, 8, 1)), grids=(GRID,) * 2),
    "means of groups": _made(RNG.random((2, 8, 8)), groups=("a", "b")),
    "maps with frames": _made(
        FRAMES[:, -1],
        frames=cnnvis.Frames(FRAMES, np.array([0, 4, 9])),
        curves={"score": RNG.random((2, 9))},
    ),
    "tables": cnnvis.Explanation(
        table={"layer": ["first", "second"], "size": [1, 2]}, provenance={"technique": "made"}
    ),
}


def _written(
    name: str, of: cnnvis.Explanation, folder: Path, ending: str = "", **options: Any
) -> Path:
    renderer = registry().get("renderer", name)
    path = folder / f"it{ending or renderer.suffixes[0]}"
    renderer.function([of] if name == "grid" else of, path, **options)
    return path


def _drawn(name: str) -> Callable[..., str]:
    """A figure: its words and curves are known as SVG, its dots as PNG."""

    def words(of: cnnvis.Explanation, folder: Path) -> str:
        prefix = ".grid" if name == "grid" else ""
        with Image.open(_written(name, of, folder)) as picture:
            assert np.asarray(picture.convert("L"), float).std() > 5, "a blank picture"
        text = _written(name, of, folder, f"{prefix}.svg").read_text()
        return _figure_words(of, text.count("<image "), text)

    return words


def _figure_words(of: cnnvis.Explanation, images: int, text: str) -> str:
    if of.table is not None:
        return "a table" if not images and "second" in text else ""
    if "#1a7f37" in text:  # the colour of the letter A
        return "letters"
    if len(of.axes) == 3:
        return "planes" if images >= 4 * len(of) else ""
    return "pictures" if images >= len(of) else "curves"


def _terminal(of: cnnvis.Explanation, folder: Path) -> str:
    console = Console(file=io.StringIO(), width=70)
    registry().get("renderer", "terminal").function(of, console)
    text = console.file.getvalue()  # type: ignore[attr-defined]
    if "the strongest along plane" in text:
        return "planes"
    if "[ .:-=+*#%@]" in text:
        return "pictures"
    if re.search(r"^ +[\d,]+ [\w() ]*[\d,]+", text, re.MULTILINE):
        return "bars"
    return "a table" if re.search(r"second +2", text) else ""


def _page(of: cnnvis.Explanation, text: str) -> str:
    if of.table is not None:
        return "a table" if "<td>second</td>" in text else ""
    if "the strongest along plane" in text:
        return "planes"
    if text.count('class="curve map"') < len(of):
        return "pictures"
    return "curves and letters" if text.count('class="logo"') == len(of) else "curves"


def _html(of: cnnvis.Explanation, folder: Path) -> str:
    return _page(of, _written("html", of, folder).read_text())


def _notebook(of: cnnvis.Explanation, folder: Path) -> str:
    shown = of._repr_mimebundle_()
    if of.table is None:
        with Image.open(io.BytesIO(base64.b64decode(shown["image/png"]))) as picture:
            assert min(picture.size) > 100
    return _page(of, shown["text/html"])


def _gif(of: cnnvis.Explanation, folder: Path) -> str:
    for ending in (".gif", ".webp"):
        with Image.open(_written("gif", of, folder, ending)) as picture:
            moments = picture.n_frames  # type: ignore[attr-defined]
        planes = of.array.shape[1] if len(of.axes) == 3 else 1
        assert moments == (len(of) * planes if of.frames is None else len(of.frames.steps))
    if of.frames is not None:
        return "a moment for each frame"
    return f"a moment for each {'plane' if len(of.axes) == 3 else 'map'}"


def _numpy(of: cnnvis.Explanation, folder: Path) -> str:
    again = cnnvis.Explanation.load(_written("numpy", of, folder))
    if of.table is not None:
        return "columns" if again.table == of.table else ""
    if of.frames is not None:
        assert again.frames is not None
        np.testing.assert_array_equal(again.frames.steps, of.frames.steps)
        return "values and frames" if np.array_equal(again.frames.maps, of.frames.maps) else ""
    return "values" if np.array_equal(again.array, of.array) else ""


def _zarr(of: cnnvis.Explanation, folder: Path) -> str:
    place = Path(tempfile.mkdtemp(dir=folder)) / "it.zarr"
    of.save(place)
    return "values" if np.array_equal(cnnvis.Explanation.load(place).array, of.array) else ""


def _plot(of: cnnvis.Explanation, folder: Path) -> str:
    axes = of.plot().axes[: len(of)]
    images = sum(len(one.images) for one in axes)
    if len(of.axes) == 3:
        return "planes" if images and cnnvis.panels(of, volumes="peak")[0].map.boxes else ""
    return "pictures" if images == len(of) else "curves" if axes[0].lines else ""


def _frame(of: cnnvis.Explanation, folder: Path) -> str:
    pytest.importorskip("pandas")
    frame = of.to_dataframe()
    assert len(frame) == len(of)
    return "columns" if of.table is not None else "a row for each map"


def _xarray(of: cnnvis.Explanation, folder: Path) -> str:
    pytest.importorskip("xarray")
    found = of.to_xarray()
    if of.table is not None:
        return "columns" if [*found.data_vars] == [*of.table] else ""
    return "values" if np.array_equal(found.values, of.array) else ""


def _table(of: cnnvis.Explanation, folder: Path) -> str:
    text = _written("tsv", of, folder).read_text().splitlines()
    rows = [line.split("\t") for line in text]
    lengths = {"csv": len(_written("csv", of, folder).read_text().splitlines()) - 1}
    lengths["json"] = len(json.loads(_written("json", of, folder).read_text())["rows"])
    if find_spec("pyarrow"):
        lengths["parquet"] = len(pytest.importorskip("pandas").read_parquet(
            _written("parquet", of, folder)
        ))  # fmt: skip
    assert {*lengths.values()} == {len(rows) - 1}
    if of.table is not None:
        return "columns" if rows[0] == [*of.table] else ""
    values = [float(row[rows[0].index("value")]) for row in rows[1:]]
    strongest = of.array.reshape(len(of), -1).max(axis=1)
    return "strong places" if {*strongest} <= {*np.float32(values)} else ""


def _genome(of: cnnvis.Explanation, folder: Path) -> str:
    for name in ("bed", "bedgraph"):
        assert "chr1\t10" in _written(name, of, folder, contig="chr1").read_text(), name
    if find_spec("pybigtools"):
        (folder / "sizes").write_text("chr1\t2000\n")
        options = {"contig": "chr1", "sizes": folder / "sizes"}
        assert _written("bigwig", of, folder, **options).stat().st_size > 100
    return "places in a genome"


def _nifti(of: cnnvis.Explanation, folder: Path) -> str:
    nibabel = pytest.importorskip("nibabel", reason="nibabel is not installed")
    read = nibabel.load(_written("nifti", of if of.maps is None else of[:1], folder))
    return "volumes" if np.array_equal(np.asarray(read.dataobj), of.array[0]) else ""


FORMS: dict[str, Callable[[cnnvis.Explanation, Path], str]] = {
    "`terminal`": _terminal,
    "`png`, also svg and pdf": _drawn("png"),
    "`grid`, also svg and pdf": _drawn("grid"),
    "`curves`": _drawn("curves"),
    "`gif`, also webp": _gif,
    "`html`": _html,
    "`numpy`": _numpy,
    "`zarr-maps`": _zarr,
    "`tsv`, also csv, json and parquet": _table,
    "`bed`, also bedgraph and bigwig": _genome,
    "`nifti`": _nifti,
    "notebook": _notebook,
    "`.plot()`": _plot,
    "`.to_dataframe()`": _frame,
    "`.to_xarray()`": _xarray,
}


def test_all_forms_and_kinds_are_in_the_table() -> None:
    assert HEAD[1:] == [*KINDS]
    assert [row[0] for row in ROWS] == [*FORMS]
    renderers = [row[0] for row in ROWS if re.match(r"`\w", row[0])]
    named = {one for row in renderers for one in re.findall(r"[\w-]+", row)}
    named -= {"also", "and", "svg", "pdf", "webp"}
    own = {one.name for one in registry().of("renderer") if one.distribution == "cnnvis"}
    assert named == own


@pytest.mark.parametrize("row", ROWS, ids=[row[0] for row in ROWS])
def test_each_word_of_the_table_is_true(row: list[str], tmp_path: Path) -> None:
    form, *cells = row
    for kind, cell in zip(KINDS, cells, strict=True):
        if cell.startswith("refused: "):
            with pytest.raises(cnnvis.UserError) as refused:
                FORMS[form](KINDS[kind], tmp_path)
            assert cell.removeprefix("refused: ") in str(refused.value), kind
        else:
            assert FORMS[form](KINDS[kind], tmp_path) == cell, kind


@pytest.mark.parametrize("name", ["png", "grid"])
def test_figures_are_written_as_pdf_too(name: str, tmp_path: Path) -> None:
    ending = ".grid.pdf" if name == "grid" else ".pdf"
    assert _written(name, KINDS["DNA"], tmp_path, ending).read_bytes().startswith(b"%PDF")
