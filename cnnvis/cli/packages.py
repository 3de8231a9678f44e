"""``cnnvis new-plugin`` and ``cnnvis test-plugin``, for authors of plugins."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from cnnvis.cli import console
from cnnvis.drawing.progress import bars
from cnnvis.registry.scaffold import new_plugin
from cnnvis.reporting import progress, quietly

FAILED = 3
"""Exit code: all was done, and a check failed."""


def write_package(name: str, kind: str = "technique", folder: str | None = None) -> None:
    """Write a package with a plugin and say what to do with it."""
    package = new_plugin(name, kind, None if folder is None else Path(folder))
    for path in sorted(path for path in package.rglob("*") if path.is_file()):
        console.line(path)
    console.line(f"To install it and run its tests: cd {package}; pip install -e '.[test]'; pytest")


def test(name: str, file: str | None, options: dict[str, Any], *, quiet: bool = False) -> int:
    """Run every check on a plugin, with a line each, and return the exit code."""
    messages, results = console.messages(), console.results()
    from cnnvis.testing import NotApplicable, Violation, checks

    every = checks(name, file=None if file is None else Path(file), **options)
    counts = {"held": 0, "failed": 0, "did not arise": 0}
    with (
        bars(messages, quiet=quiet),
        progress(f"testing {name}", len(every)) as advance,
    ):
        for check in every:
            sign, style, said, what = "+", "green", "", "held"
            try:
                with quietly():
                    check()
            except NotApplicable as reason:
                sign, style, said, what = "-", "yellow", f": {reason}", "did not arise"
            except Violation as violation:
                sign, style, said, what = "x", "red", f": {violation}", "failed"
            counts[what] += 1
            said = " ".join(said.split("\n"))
            results.print(
                console.words((f"{sign} {check.name}", style), said),
                soft_wrap=True, highlight=False,
            )  # fmt: skip
            advance(1)
    summary = ", ".join(f"{count} {what}" for what, count in counts.items() if count)
    console.line(f"{len(every)} checks of {name}: {summary}")
    return FAILED if counts["failed"] else 0
