"""``cnnvis merge``: its arguments, and what is done with them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from cnnvis.cli import parser as parsing

ABOUT = """Merge run folders that hold shares of the same run.

The command checks every shard. The new folder is equal to the folder of a single run.
"""


def add_to(below: Any, words: Sequence[str] | None) -> None:
    """Add the command's parser."""
    parser = parsing.command(below, "merge", ABOUT)
    parser.set_defaults(command=main, parser=parser)
    parser.add_argument("out", metavar="OUT", help="the new run folder for the whole run")
    parser.add_argument(
        "folders", metavar="FOLDER", nargs="+", help="the run folders with the shares"
    )
    parser.add_argument(
        "--quiet", "-q", action="store_true", help="show no notes and no progress bars"
    )


def main(out: str, folders: list[str], quiet: bool) -> None:
    """Merge the folders and print the new folder's path."""
    from cnnvis.cli import console
    from cnnvis.drawing.progress import bars
    from cnnvis.runs.merging import merge

    with bars(console.messages(), quiet=quiet):
        console.line(merge(out, folders))
