"""``cnnvis report``: bars while it works, and the page's path and verdicts when it is done."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cnnvis.api.output_files import RESULTS, is_named
from cnnvis.api.report import METHODS, report, require_page, save_page
from cnnvis.api.steps import Step
from cnnvis.cli import console
from cnnvis.cli.run import SOME_FAILED
from cnnvis.cli.verdicts import print_verdicts
from cnnvis.drawing.progress import bars
from cnnvis.registry.arguments import Messages, ReportOutput
from cnnvis.registry.discovery import registry
from cnnvis.reporting import failures_kept, notes_kept
from cnnvis.settings.defaults import checks_by_settings, style_by_settings, with_settings

MOST_FAILURES = 5
"""Largest number of images without maps that are named in the terminal."""


def reported(
    model: str,
    plugin_options: Mapping[str, Mapping[str, Any]],
    output: ReportOutput,
    said: Messages,
    subject: Mapping[str, Any],
) -> int:
    """Make and write the page; return the exit code."""
    path = require_page(f"{RESULTS}/" if output.out is None else output.out)
    steps = []
    for name in dict.fromkeys(output.methods or METHODS):
        plugin = registry().get("technique", name)
        steps.append(Step(plugin, with_settings(plugin, {})))
    settings: dict[str, Any] = {"style": style_by_settings(), **subject}
    messages = console.messages()
    with bars(messages, quiet=said.quiet), failures_kept() as images, notes_kept() as notes:
        page = report(
            model, steps, by=output.by, checks=output.checks or checks_by_settings(),
            plugin_options=plugin_options, **settings,
        )  # fmt: skip
        options = plugin_options.get("html", {})
        named = output.out is not None and is_named(output.out)
        placed = save_page(page, path, options, named=named)
    console.line(Path(placed))
    if not said.quiet:
        for sentence in page.summary:
            messages.print(console.sentence("found", "bold", sentence))
        for image, reason in list(page.failures.items())[:MOST_FAILURES]:
            messages.print(console.sentence(f"image {image} was left out", "bold", reason))
        if len(page.failures) > MOST_FAILURES:
            rest = f"{len(page.failures) - MOST_FAILURES} more, which the page names"
            messages.print(console.sentence("images left out", "bold", rest))
        for note in dict.fromkeys((*page.notes, *notes)):
            messages.print(console.sentence("note", "bold", note))
        for warning in page.warnings:
            messages.print(console.sentence("warning", "bold red", warning))
        verdicts = {
            (one.name, "", check): (verdict.outcome, verdict.meaning)
            for one in page.methods
            for check, verdict in one.verdicts.items()
        }
        print_verdicts(verdicts, messages, said.verbose)
    is_lacking = any(one.failure for one in page.methods)
    return SOME_FAILED if images or is_lacking else 0
