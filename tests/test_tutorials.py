"""The tutorials run from the first cell to the last, and find what they say."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import pytest

from cnnvis.cli.command_line import parsed

DOCS = Path(__file__).parents[1] / "docs"
TUTORIALS = sorted((DOCS / "tutorials").glob("*.ipynb"))


@pytest.mark.parametrize("tutorial", TUTORIALS, ids=[one.stem for one in TUTORIALS])
def test_tutorials_are_kept_without_what_came_out(tutorial: Path) -> None:
    assert len(TUTORIALS) == 5
    book = json.loads(tutorial.read_text())
    for cell in book["cells"]:
        assert not cell.get("outputs") and not cell.get("execution_count")
    words = ["".join(one["source"]) for one in book["cells"] if one["cell_type"] == "markdown"]
    said = "\n".join(words)
    typed = re.findall(r"^    cnnvis (.+)$", said, re.MULTILINE)
    assert typed and all(parsed(shlex.split(words)) for words in typed)
    linked = re.findall(r"\]\((\.\./[^)#]+)", said)
    assert any(one.startswith("../images/") for one in linked)
    for one in linked:
        assert (DOCS / "tutorials" / one).is_file(), one


@pytest.mark.slow
@pytest.mark.parametrize("tutorial", TUTORIALS, ids=[one.stem for one in TUTORIALS])
def test_tutorials_run_and_find_what_they_say(tutorial: Path, tmp_path: Path) -> None:
    """What they say of right maps stands in them as assertions."""
    nbclient = pytest.importorskip("nbclient", reason="nbclient is not installed")
    nbformat = pytest.importorskip("nbformat", reason="nbformat is not installed")
    book = nbformat.read(tutorial, as_version=4)
    resources = {"metadata": {"path": str(tmp_path)}}
    nbclient.NotebookClient(book, timeout=300, kernel_name="python3", resources=resources).execute()
    for cell in book.cells:
        for found in cell.get("outputs", ()):
            assert found.output_type != "error"
    shown = [out.data for one in book.cells for out in one.get("outputs", ()) if "data" in out]
    assert any("text/html" in one and "image/png" in one for one in shown), "no maps are shown"
