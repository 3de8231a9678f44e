"""Results in notebooks and terminals: static pages, pictures and text of what renderers draw."""

from __future__ import annotations

import base64
import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from cnnvis.api.compare import Comparison
from cnnvis.api.doctor import Report
from cnnvis.api.evaluate import Evaluation
from cnnvis.api.findings import judged_methods
from cnnvis.api.pages import page_of
from cnnvis.api.report_page import examined
from cnnvis.data.explanation import CHANNEL, Explanation, axis_names
from cnnvis.data.page import Page
from cnnvis.data.samples import Samples
from cnnvis.errors import PluginError, UserError, numbered
from cnnvis.execution.calls import call_plugin
from cnnvis.registry.discovery import registry
from cnnvis.registry.options import checked
from cnnvis.reporting import notes_kept

MOST = 8
"""Maximum number of maps that a notebook shows of a result."""


def bundle(of: Any) -> dict[str, str]:
    """Return the forms in which a notebook shows a result; text alone where renderers refuse it."""
    found = {"text/plain": repr(of)}
    try:
        with notes_kept():
            page = shown_page(of)
            options = {"cmap": "Greys"} if isinstance(of, Samples) else {}
            html = _drawn("html", page.explanations[0], {**options, "part": True}, page)
            found["text/html"] = html.decode()
            if page.explanations[0].maps is not None:
                picture = _drawn("png", page.explanations[0][:MOST], options)
                found["image/png"] = base64.b64encode(picture).decode()
    except (UserError, PluginError) as error:
        found["text/plain"] += f"\n{error}"
        found.pop("text/html", None)
    return found


def _drawn(
    name: str, explanation: Explanation, given: Mapping[str, Any], page: Page | None = None
) -> bytes:
    """Return what a renderer writes."""
    renderer = registry().get("renderer", name)
    options = checked(renderer, {"limit": MOST, **given})
    options |= {} if page is None else {"page": page}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"shown{renderer.suffixes[0]}"
        call_plugin(renderer, explanation, path, **options)
        return path.read_bytes()


def shown_page(of: Any) -> Page:
    """Return the page of a result, as notebooks show it."""
    match of:
        case Page():
            return replace(of, repeat={}, citations=())
        case Explanation():
            several = [page_of(one, MOST) for one in (of, *of.other_inputs)]
            return replace(several[0], explanations=tuple(p.explanations[0] for p in several))
        case Comparison():
            table: dict[str, list[Any]] = {
                "measure": list(of.in_all),
                "in all": [f"{v:.3g}" for v in of.in_all.values()],
            }
            drawn, facts = of.figure(limit=MOST // 3), {"technique": "similarity"}
            return Page(
                (drawn, Explanation(table=table, provenance=facts)),
                f"{of.names[0]} and {of.names[1]}",
                (f"Similarity of the maps of {numbered(len(of.titles), 'image')}.",),
            )
        case Evaluation():
            curves = (of.figure(),) if any(one.curves for one in of.methods) else ()
            facts = {"technique": "all numbers"}
            return Page(
                (Explanation(table=of.table, provenance=facts),), "Evaluation", notes=of.notes,
                methods=judged_methods(of), curves=curves,
            )  # fmt: skip
        case Report():
            layers: dict[str, list[Any]] = {
                "layer": [layer.name for layer in of.layers],
                "kind": [layer.kind for layer in of.layers],
                "output": [" x ".join(map(str, layer.output_shape)) for layer in of.layers],
                "learned numbers": [layer.parameters for layer in of.layers],
            }
            return Page(
                (Explanation(table=layers, provenance={"technique": "layers"}),),
                f"Model {Path(of.file).name}" if of.file else "Model", facts=examined(of),
                warnings=of.warnings, notes=of.notes,
            )  # fmt: skip
        case Samples():
            return _of_samples(of)
    raise UserError(f"there is no page of {type(of).__name__}")


def _of_samples(of: Samples) -> Page:
    """Return a page with the first inputs."""
    some = of[:MOST]
    names = axis_names(some.x.ndim - 1, some.channel_axis)
    titles = []
    for row in range(len(some)):
        label = some.label_name(row)
        words = [f"#{some.indices[row]}", *(some.names[row : row + 1] if some.names else ())]
        titles.append(" ".join(words) + (f" label {label}" if label is not None else ""))
    shown = Explanation(
        some.x, axes=names, titles=tuple(titles), are_inputs=CHANNEL in names, signed=False,
        provenance={"technique": "inputs"},
    )  # fmt: skip
    rest = "" if len(some) == len(of) else f"The first {len(some)} of {len(of)} are shown."
    return Page((shown,), repr(of).strip("<>"), elsewhere=rest)


def plotted(explanation: Explanation, axes: Any, options: Mapping[str, Any]) -> Any:
    """Draw maps on axes of matplotlib; see `Explanation.plot`."""
    renderer = registry().get("renderer", "png")
    if renderer.plot is None:
        raise UserError("the renderer png of this installation does not draw on axes")
    if explanation.maps is None:
        raise UserError("a table has no maps to plot; to_dataframe() returns it as a frame")
    return renderer.plot(explanation, axes, **options)


def printed(explanation: Explanation, options: Mapping[str, Any]) -> None:
    """Print to the standard output; see `Explanation.show`."""
    from cnnvis.drawing.console import Screen

    renderer = registry().get("renderer", "terminal")
    chosen, screen = checked(renderer, options), Screen()
    for one in (explanation, *explanation.other_inputs):
        call_plugin(renderer, one, screen, **chosen)
