"""Draws the demo's pictures of the README: `python docs/demo.py`; needs Chromium for the terminal's."""

from __future__ import annotations

import io
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import cnnvis
from cnnvis.drawing.console import Screen
from cnnvis.registry.discovery import registry

IMAGES = Path(__file__).parent / "images"
SIZE = 1000, 1200  # pixels of the window, of which the picture is cut


def main() -> None:
    """Draw both pictures."""
    found = cnnvis.run("saliency", "demo")
    found.save(IMAGES / "demo-saliency.png")
    screen = Screen(
        file=io.StringIO(), width=80, record=True, force_terminal=True, color_system="truecolor"
    )
    registry().get("renderer", "terminal").function(found, screen, graphics="blocks")
    with tempfile.TemporaryDirectory() as folder:
        drawn = Path(folder) / "terminal.svg"
        drawn.write_text(screen.export_svg(title="cnnvis run saliency demo"), encoding="utf-8")
        page = Path(folder) / "terminal.html"
        page.write_text(f'<body style="margin:0"><img src="{drawn.name}" width="{SIZE[0]}">')
        shot = Path(folder) / "terminal.png"
        subprocess.run(
            [
                *("chromium", "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"),
                *(f"--screenshot={shot}", f"--window-size={SIZE[0]},{SIZE[1]}", page.as_uri()),
            ],
            check=True, capture_output=True,
        )  # fmt: skip
        from PIL import Image, ImageChops

        picture = Image.open(shot).convert("RGB")
        around = ImageChops.difference(picture, Image.new("RGB", picture.size, "white")).getbbox()
        picture.crop(around).save(IMAGES / "demo-terminal.png", optimize=True)


if __name__ == "__main__":
    main()
