"""Renderers: plugins that show results, or write them into files."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from cnnvis.files.addresses import Address
from cnnvis.registry.kinds.kind import Kind
from cnnvis.registry.plugin import Function, Plugin, mark


def renderer(
    name: str,
    *,
    suffixes: Sequence[str] = (),
    check: Callable[..., None] | None = None,
    plot: Callable[..., Any] | None = None,
    folder: bool = False,
    remote: bool = False,
    requires: Sequence[str] = (),
    extra: str = "",
) -> Callable[[Function], Function]:
    """Mark a function as a renderer: ``function(explanation, path or console, *, options)``.

    With `suffixes` the renderer writes one file: its second parameter, `path`, is a temporary name,
    and cnnvis renames the file after the function returns, so that nobody sees a half-written file.
    Without `suffixes` the renderer prints: its second parameter, `console`, is a
    `rich.console.Console`. A renderer with a third parameter `page` is given a `cnnvis.Page`, with
    all that may be said of the explanation on a page; it must do without it, too.

    A renderer whose first parameter is called ``explanations`` shows all results together: a list
    of them, of a chain all that are on the stack. Each has maps of the same input of the network.
    One whose first parameter is called ``stream`` gets a `cnnvis.Stream`, and writes its batches while
    they are computed.

    With `folder`, the renderer fills a folder, which gets its name as a file does, and with `remote`, the
    path may also be a `cnnvis.Address` of an object store, where the renderer itself has to see to it that
    nobody takes a half of its work for the whole.

    Of a renderer of files, an option ``format`` chooses the ending among `suffixes` where nobody
    names the file, and an option ``each``, a bool, asks for a file for each image.

    Parameters
    ----------
    plot
        Function of an explanation, of axes of matplotlib, or None for a figure of its own, and of
        options by name, that returns the figure: what `Explanation.plot` does with the renderer png.
    """
    return mark(
        "renderer",
        name,
        suffixes=tuple(suffixes),
        check=check,
        plot=plot,
        folder=folder,
        remote=remote,
        requires=tuple(requires),
        extra=extra,
    )


def _accept(plugin: Plugin, answer: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
    if plugin.suffixes and len(args) > 1 and not isinstance(args[1], Address):
        path = Path(args[1])
        is_there = any(path.iterdir()) if path.is_dir() else path.is_file() and path.stat().st_size
        if not is_there or path.is_dir() != plugin.folder:
            raise plugin.failed("it wrote nothing to the given path")


RENDERER = Kind(
    "renderer",
    about="Plugin that shows or writes results.",
    example="cnnvis run saliency demo -r $name",
    accept=_accept,
    commands=("chain",),
    is_step=True,
    is_beside=True,
    draws=True,
)
