"""`cnnvis.report`: one page on a model, data and several methods, to send."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from cnnvis import demo
from cnnvis.api.doctor import doctor
from cnnvis.api.evaluation_task import methods_of, request_of
from cnnvis.api.findings import Findings
from cnnvis.api.from_python import from_python
from cnnvis.api.output_files import is_named, save, write
from cnnvis.api.report_page import report_page, ways_to_repeat
from cnnvis.api.steps import StepLike
from cnnvis.data.explanation import Explanation
from cnnvis.data.page import Page
from cnnvis.errors import UserError
from cnnvis.execution.isolation import isolates
from cnnvis.explain.baselines import named_in
from cnnvis.explain.checks import Checks
from cnnvis.explain.inputs import PathName
from cnnvis.explain.task import Task
from cnnvis.files.reading import require_writable
from cnnvis.registry.arguments import Level
from cnnvis.registry.discovery import registry
from cnnvis.registry.options import checked
from cnnvis.reporting import failure_of_image, failures_kept, notes_kept

METHODS = ("saliency", "grad-cam")
"""Methods of a report where nobody names others: the two of the original CNN-vis."""


@isolates
@from_python
def report(
    model: Any,
    methods: Sequence[StepLike] = METHODS,
    *,
    by: str | None = None,
    out: PathName | None = None,
    checks: Level | None = None,
    isolate: bool | str | Sequence[str] = False,
    isolate_timeout: float | None = None,
    isolate_memory: float | None = None,
    **subject: Any,
) -> Page:
    """Make one page on a model, data and methods: one file to send, which needs no network.

    Only the images on the page get maps: wrong answers first, then certain and uncertain answers
    and typical images. With `by`, all images get maps, of which only the mean of each group is
    kept, so that memory stays the same for any number of images.

    Parameters
    ----------
    model
        As in `cnnvis.run`.
    methods
        Techniques: names, or pairs of a name and options, ``("saliency", {"backprop": None})``.
    by
        Show the mean map of each group of images, and the difference of two groups: by ``label``,
        ``prediction``, ``all``, or a file with a group for each image, one group a line.
    out
        The file to write, ending in ``.html``, or a folder. By default no file is written.
    checks
        The checks of the methods, on at most 32 images: ``none``; ``quick``, those that fit into two
        seconds or a fifth of the time of the maps; ``full``, all, with curves of the score as parts
        are removed. By default the variable ``CNNVIS_CHECKS``, else full.
    isolate, isolate_timeout, isolate_memory
        As in `cnnvis.run`.
    subject
        The model and data to explain, and the options of readers, loaders, metrics and renderers, as
        the arguments of `cnnvis.run` by name: ``data``, ``images``, ``layer``, ``plugin_options``, ...
        ``plugin_options={"html": {"limit": 32}}`` is for at most 32 maps on the page.

    Returns
    -------
    Page
        The content of the page; `Page.save` writes it.

    Raises
    ------
    UserError
        If the call, the model or the data hold a mistake, or no method gives a map. A method that
        fails alone is named on the page.
    PluginError
        If all methods fail, and one by a fault of a plugin.
    """
    given, style = dict(subject), subject.pop("style", None)
    chosen = methods_of([methods] if isinstance(methods, str) else methods, style)
    options = subject.pop("plugin_options", None) or {}
    asked: Any = checks or os.environ.get("CNNVIS_CHECKS") or "full"
    checking = Checks.of(asked, options)
    if isinstance(model, str) and model == demo.NAME:
        subject.setdefault("data", demo.NAME)
    if subject.get("data") is None:
        raise UserError("a report needs data: name a file or folder with --data (data=)")
    request = replace(request_of(model, subject, options, "report"), style=chosen[0].style)
    for step in chosen:
        named_in(step.plugin, step.options)
    path = None if out is None else require_page(out)
    drawing = checked(registry().get("renderer", "html"), options.get("html", {}))
    with notes_kept() as notes, failures_kept() as failed:
        task = Task.of(request, [step.plugin for step in chosen])
        task = replace(task, predicts=by == "prediction")
        made = Findings(task, chosen, checking, by, drawing["limit"])
        made.compute()
        facts = doctor(task.model, task.every)
    for image, reason in failed.items():
        failure_of_image(image, reason)
    page = report_page(made, facts, failed, dict.fromkeys(notes))
    page = replace(
        page,
        repeat=ways_to_repeat(model, chosen, by, {**given, "style": style}, checks),
    )
    if path is not None:
        save_page(page, path, drawing, named=is_named(out))
    return page


def save_page(page: Page, path: Path, options: Mapping[str, Any], *, named: bool = True) -> Path:
    """Write a page as HTML, which holds all of its results; see `output_files.write`."""
    renderer = registry().get("renderer", "html")
    if not renderer.ending_of(path):
        raise UserError(f"a page is a file that ends in .html, and not {str(path)!r}")
    return write(
        page.explanations[0], renderer, path, checked(renderer, options), named=named, page=page
    )


def saved(result: Explanation | Page, path: Path, options: Mapping[str, Any]) -> None:
    """Write an explanation or a page to a file; see `Explanation.save` and `Page.save`."""
    if isinstance(result, Page):
        save_page(result, path, options)
    else:
        save(result, path, options)


def require_page(out: PathName) -> Path:
    """Return the path of a page that is to be written to a file or into a folder.

    Raises
    ------
    UserError
        If no page is written in such files, or nothing can be written there.
    """
    path = Path(out)
    require_writable(path)
    if not is_named(out):
        return path / "report.html"
    renderer = registry().get("renderer", "html")
    if not renderer.ending_of(path):
        raise UserError(
            f"a report is a file that ends in {' or '.join(renderer.suffixes)}, or a folder, whose "
            f"name ends in /, and not {str(out)!r}"
        )
    return path
