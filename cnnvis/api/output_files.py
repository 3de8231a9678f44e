"""Files that renderers write: which renderer, at which path, and whole or not at all."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, overload

from cnnvis.api.pages import page_of
from cnnvis.data.explanation import Explanation
from cnnvis.data.page import Page
from cnnvis.data.saving import beside_path
from cnnvis.data.stream import Stream
from cnnvis.errors import PluginError, UserError, together
from cnnvis.execution.calls import call_plugin
from cnnvis.explain.inputs import PathName
from cnnvis.files.addresses import Address, Place, place_of
from cnnvis.files.objects import require_nothing_at
from cnnvis.files.reading import (
    folder_written_whole,
    put_beside,
    require_writable,
    written_whole,
)
from cnnvis.files.writing import Folder
from cnnvis.registry.discovery import registry
from cnnvis.registry.options import checked
from cnnvis.registry.plugin import Plugin
from cnnvis.reporting import note, progress
from cnnvis.text import file_name, parted, unused

Results = Explanation | list[Explanation] | Stream
"""What a renderer shows: a result, several together, or one that is computed while it is written."""

RESULTS = Path("results")
"""Default folder for output files."""


def beside(output: PathName | None) -> Path:
    """Return the folder for output files on a disk."""
    place = RESULTS if output is None else place_of(output)
    if isinstance(place, Address):
        return RESULTS
    return place if output is None or _is_folder(output) else place.parent


def writers(render: Sequence[str], output: PathName | Address | None) -> list[Plugin]:
    """Return the requested renderers that write files, or else the one for the output's suffix.

    Raises
    ------
    UserError
        If a renderer does not exist, none writes such files, or the output cannot be written to.
    """
    asked = [registry().get("renderer", name) for name in render]
    path = RESULTS if output is None else place_of(output)
    require_output(asked, output)
    if asked or output is None or _is_folder(output):
        return [renderer for renderer in asked if renderer.suffixes]
    every = [renderer for renderer in registry().of("renderer") if renderer.suffixes]
    best = max(every, key=lambda renderer: len(renderer.ending_of(path)), default=None)
    if best is not None and best.ending_of(path):
        require_output([best], output)
        return [best]
    known = ", ".join(f"{r.name} ({' '.join(r.suffixes)})" for r in every)
    raise UserError(
        f"no renderer writes files with the ending {path.suffix!r}, as in {str(output)!r}; renderers: "
        f"{known}; for a folder, end the name in /"
    )


def require_output(renderers: Sequence[Plugin], output: PathName | Address | None) -> None:
    """Refuse an output that cannot be written, before the work rather than after it.

    Raises
    ------
    UserError
        If a folder cannot be written to, a store would take the place of something, or the output is an
        address, which the store does not let this person list, or to which a renderer does not write.
    DiskError
        If the store of an address cannot be reached.
    """
    place = RESULTS if output is None else place_of(output)
    files = [one for one in renderers if one.suffixes]
    if is_named(output) and files:
        _require_ending(files, place)
    is_store = is_named(output) and any(one.folder for one in files)
    if isinstance(place, Path):
        require_writable(place)
        if is_store and place.exists():
            raise _there(place)
        return
    able = ", ".join(one.name for one in registry().of("renderer") if one.remote)
    for one in files:
        if not one.remote:
            raise UserError(
                f"{str(place)!r} is an address, and {one.name} writes to disks alone; renderers that write to "
                f"addresses: {able}"
            )
    if not files and _is_folder(str(output)):
        raise UserError(
            f"{str(place)!r} is an address, and needs a renderer that writes there: -r {able}"
        )
    if is_store:
        require_nothing_at(place)


def _there(place: Path) -> UserError:
    return UserError(
        f"{str(place)!r} exists already, and cnnvis writes over no folder: remove it, or name another"
    )


def written(
    explanation: Explanation,
    renderers: Sequence[Plugin],
    output: PathName | None,
    options: Mapping[str, Mapping[str, Any]],
    wrote: Callable[[Place], None] = lambda path: None,
) -> None:
    """Let each renderer write a file, whole or not at all, and report the paths to `wrote`.

    One that fails keeps no other from its work.

    Raises
    ------
    UserError
        If a renderer does not write such files, or the disk refuses them.
    PluginError
        If a renderer fails.
    """
    failures: list[UserError | PluginError] = []
    taken: set[str] = set()
    for renderer in renderers:
        for one in (explanation, *explanation.other_inputs):
            try:
                chosen = checked(renderer, options.get(renderer.name, {}))
                path = _wanted(one, renderer, output, chosen)
                if is_named(output) and explanation.other_inputs:
                    path = beside_path(path, one.input)
                path = unused(path, taken)
                for part, place in files_of(one, chosen, path):
                    wrote(write(part, renderer, place, chosen, named=is_named(output)))
            except (UserError, PluginError) as error:
                failures.append(error)
    if failures:
        raise together(failures)


def files_of(
    explanation: Results, options: Mapping[str, Any], path: Place
) -> Iterator[tuple[Results, Place]]:
    """Yield what goes into each file, with its path: all, or the maps of each image.

    With an option `each`, a file is named after the image's name, or its place in the data; an
    option `limit` is then the number of files.
    """
    if (
        not options.get("each")
        or not isinstance(explanation, Explanation)
        or explanation.maps is None
    ):
        yield explanation, path
        return
    samples, count = explanation.samples, len(explanation)
    starts = list(range(count)) if samples is None else samples.image_starts.tolist()
    limit = options.get("limit")
    most = limit if isinstance(limit, int) else len(starts)
    if most < len(starts):
        note(f"the first {most} of {len(starts)} images get a file; the option limit says how many")
    taken: set[str] = set()
    for start, end in itertools.pairwise([*starts, count][: most + 1]):
        name = f"image_{start}"
        if samples is not None:
            named = None if samples.names is None else samples.names[start]
            name = f"image_{samples.indices[start]}" if named is None else parted(named)[0]
        elif explanation.groups:
            name = explanation.groups[start]
        stem, ending = parted(path.name)
        place = path.with_name(file_name(f"{stem}_{name}") + ending)
        yield explanation[start:end], unused(place, taken)


@overload
def write(
    explanation: Results, renderer: Plugin, path: Path, options: Mapping[str, Any], *, named: bool,
    page: Page | None = None,
) -> Path: ...  # fmt: skip


@overload
def write(
    explanation: Results, renderer: Plugin, path: Place, options: Mapping[str, Any], *, named: bool,
    page: Page | None = None,
) -> Place: ...  # fmt: skip


def write(
    explanation: Results,
    renderer: Plugin,
    path: Place,
    options: Mapping[str, Any],
    *,
    named: bool,
    page: Page | None = None,
) -> Place:
    """Let a renderer write one file or folder, whole or not at all.

    Parameters
    ----------
    page
        What a renderer of pages shows; by default the page of the explanation.
    named
        Whether somebody gave the file its name. Then it takes the place of another of that name;
        else it gets a number, with a note, unless both are the same. No folder takes another's place.

    Returns
    -------
    Place
        Where the file or folder is.
    """
    if isinstance(path, Address) or renderer.folder:
        return _write_folder(explanation, renderer, path, options, named=named)
    placed: Path = path

    def place(folder: Folder, temporary: str) -> None:
        nonlocal placed
        placed = path.with_name(put_beside(folder, temporary, path.name))

    with (
        written_whole(path, None if named else place) as temporary,
        progress(f"drawing {path.name}"),
    ):
        given = dict(options)
        if renderer.takes("page") and isinstance(explanation, Explanation):
            limit = options.get("limit")
            most = {"most": limit} if isinstance(limit, int) else {}
            given["page"] = page or page_of(explanation, renderer=renderer.name, **most)
        call_plugin(renderer, explanation, temporary, **given)
    if placed != path:
        note(f"{str(path)!r} holds another result, so the new result is in {str(placed)!r}")
    return placed


def _write_folder(
    explanation: Results, renderer: Plugin, path: Place, options: Mapping[str, Any], *, named: bool
) -> Place:
    """Let a renderer fill a folder, or write to an address."""
    if isinstance(path, Address):
        with progress(f"writing {path.name}"):
            call_plugin(renderer, explanation, path, **options)
        return path
    placed, number = path, 1
    while not named and placed.exists():
        number += 1
        stem, ending = parted(path.name)
        placed = path.with_name(f"{stem}_{number}{ending}")
    if placed.exists():
        raise _there(placed)
    with folder_written_whole(placed) as temporary, progress(f"writing {placed.name}"):
        call_plugin(renderer, explanation, temporary, **options)
    if placed != path:
        note(f"{str(path)!r} holds another result, so the new result is in {str(placed)!r}")
    return placed


def save(explanation: Explanation, path: Place, options: Mapping[str, Any]) -> None:
    """Write a file with the renderer for such files; see `Explanation.save`."""
    found = writers((), path)
    if not found:
        raise UserError(
            f"{str(path)!r} is a folder; name a file, such as {str(path / 'maps.npz')!r}"
        )
    chosen = checked(found[0], options)
    places = [(explanation, path)]
    places += [(one, beside_path(path, one.input)) for one in explanation.other_inputs]
    for one, place in places:
        for part, own in files_of(one, chosen, place):
            write(part, found[0], own, chosen, named=True)


def is_named(output: PathName | Address | None) -> bool:
    """Tell whether an output is the name of a file, and not a folder or unset."""
    return output is not None and not _is_folder(output)


def destination(
    explanation: Results,
    renderer: Plugin,
    output: PathName | None,
    options: Mapping[str, Any],
    *,
    taken: set[str] | None = None,
) -> Place:
    """Return the path of an output file, by default ``results/TECHNIQUE_TARGET_MODIFIER.png``.

    With several renderers, each has its own suffix. A name that is in `taken`, the names of earlier
    results, gets a number, and is added to `taken`.
    """
    return unused(
        _wanted(explanation, renderer, output, options),
        set() if taken is None else taken,
    )


def _wanted(
    explanation: Results,
    renderer: Plugin,
    output: PathName | None,
    options: Mapping[str, Any],
) -> Place:
    chosen = f".{options.get('format')}"
    fitting = [suffix for suffix in renderer.suffixes if suffix.endswith(chosen)]
    ending = (*fitting, *renderer.suffixes)[0]
    if output is None or _is_folder(output):
        assert not isinstance(explanation, Stream)
        results = explanation if isinstance(explanation, list) else [explanation]
        stem = _file_stem(results[-1])
        if len(results) > 1:
            stem = file_name("_".join(str(one.provenance["technique"]) for one in results))
        return (RESULTS if output is None else place_of(output)) / (stem + ending)
    path = place_of(output)
    if renderer.ending_of(path):
        return path
    return path.with_name(parted(path.name)[0] + ending)


def _require_ending(renderers: Sequence[Plugin], path: Place) -> None:
    """Refuse a name whose ending is of none of the renderers: it would be replaced by another."""
    if path.suffix and not any(one.ending_of(path) for one in renderers):
        what = [
            f"the renderer {one.name} writes {' or '.join(one.suffixes)} files" for one in renderers
        ]
        raise UserError(f"{', '.join(what)}, and the output is {str(path)!r}")


def _is_folder(output: PathName | Address) -> bool:
    if str(output).endswith(("/", os.sep)):
        return True
    place = place_of(output)
    if isinstance(place, Address) or not place.is_dir():
        return False
    # A store is a folder, and a result nevertheless.
    return not any(one.folder and one.ending_of(place) for one in registry().of("renderer"))


def _file_stem(explanation: Explanation) -> str:
    parts = [str(explanation.provenance["technique"])]
    layers = {target.layer for target in explanation.targets}
    if layers:
        parts.append(layers.pop() if len(layers) == 1 else "all")
    asked = explanation.provenance.get("model") or {}
    if asked.get("filters") is not None and explanation.targets:
        chosen = {"+".join(target.units) for target in explanation.targets}
        parts += ["-".join(sorted(chosen))] if len(chosen) < 4 else [f"{len(chosen)}-outputs"]
    if asked.get("top"):
        parts.append(f"top-{asked['top']}")
    if asked.get("region"):
        parts.append("at-" + "-".join(map(str, asked["region"])).replace(":", "to"))
    if "backprop" in explanation.provenance["options"]:
        parts.append(str(explanation.provenance["options"]["backprop"] or "none"))
    parts += [one["transform"] for one in explanation.provenance.get("transforms", [])]
    if explanation.input is not None:
        parts.append(explanation.input)
    return file_name("_".join(parts))
