"""Renderer of moving pictures, with Pillow."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import cnnvis
from cnnvis.renderers._common import (
    check_colour_maps,
    check_percentile,
    require_maps,
)
from cnnvis.renderers._frames import frames_of, unrolled
from cnnvis.renderers._look import Ends, look_of
from cnnvis.renderers._moving import Moment, drawn

if TYPE_CHECKING:
    from PIL.Image import Image

HELD = 2000  # milliseconds for the result behind its frames
ABOUT = 270  # the field of Exif for a description


def _check(
    *,
    cmap: str | None,
    input_cmap: str | None,
    percentile: float,
    rate: float,
    size: int,
    **_: object,
) -> None:
    check_colour_maps(cmap=cmap, input_cmap=input_cmap)
    check_percentile(percentile)
    if not 0.1 <= rate <= 50:
        raise cnnvis.UserError(f"rate is {rate:g} pictures a second, and can be 0.1 to 50")
    if not 32 <= size <= 4096:
        raise cnnvis.UserError(f"size is {size} pixels, and can be 32 to 4096")


@cnnvis.renderer("gif", suffixes=(".gif", ".webp"), check=_check)
def gif(
    explanation: cnnvis.Explanation,
    path: Path,
    *,
    cmap: str | None = None,
    input_cmap: str | None = None,
    scale: Ends = "percentile",
    percentile: cnnvis.Percent = 99.5,
    rate: float = 6.0,
    size: cnnvis.Count = 320,
    limit: cnnvis.Count = 100,
    each: bool = False,
    format: Literal["gif", "webp"] = "gif",
) -> None:
    """A moving picture: how maps were made, the planes of a volume, or else the maps one after the other.

    Each picture holds the input, where there is one, and the map beside it. All pictures have the
    same scale, unless each map has its own. Maps that have frames of how they were made are shown side by
    side, each above the curve of its score, and the last picture, the result, stays for longer.

    Parameters
    ----------
    cmap, input_cmap, scale, percentile
        The colours; see the renderer png.
    rate
        The number of pictures a second.
    size
        The longer side of a map, in pixels; a map with more values is drawn larger.
    limit
        The largest number of maps.
    each
        Write a file for each image, named after the image.
    format
        The format of a file that nobody names.
    """
    from PIL import Image

    require_maps(explanation, "gif")
    if limit < len(explanation):
        cnnvis.note(
            f"the moving picture shows the first {limit} of {len(explanation)} maps; the option "
            "limit of gif says how many"
        )
    shown = explanation
    if explanation.frames is not None:
        shown = unrolled(explanation[: min(limit, len(explanation))])
    pairs = cnnvis.panels(shown, limit=None if explanation.frames is not None else limit)
    if pairs[0].map.is_profile:
        raise cnnvis.UserError(
            "gif moves pictures over two or three axes, and these maps have one: take png or curves"
        )
    look = look_of(
        shown, pairs, cmap=cmap, input_cmap=input_cmap, scale=scale, percentile=percentile
    )
    each_lasts = round(1000 / rate)
    durations: int | list[int] = each_lasts
    if explanation.frames is None:
        moments = [[one] for one in _moments(explanation, pairs)]
    else:
        moments = frames_of(explanation, pairs)
        durations = [each_lasts] * (len(moments) - 1) + [max(each_lasts, HELD)]
    whole = drawn(look, moments, size)
    facts = json.dumps(dict(explanation.provenance))
    settings: dict[str, Any] = {
        "save_all": True, "append_images": whole[1:], "duration": durations, "loop": 0,
    }  # fmt: skip
    if path.suffix.lower() == ".webp":
        exif = Image.Exif()
        exif[ABOUT] = facts
        whole[0].save(path, "WEBP", lossless=True, exif=exif, **settings)
        return
    # One table of colours for all pictures, or colours would flicker.
    palette = _palette(whole)
    whole = [one.quantize(palette=palette, dither=Image.Dither.NONE) for one in whole]
    settings["append_images"] = whole[1:]
    whole[0].save(path, "GIF", comment=facts.encode(), **settings)


def _moments(explanation: cnnvis.Explanation, pairs: list[Any]) -> Iterator[Moment]:
    """Yield the maps, or the planes of volumes, in their order."""
    import numpy as np

    for index, pair in enumerate(pairs):
        if not _is_volume(explanation):
            yield Moment(pair, pair.map.title)
            continue
        volume = explanation.array[index]
        name = explanation.axes[0]
        described = explanation.coordinates.get(name)
        inputs = None if explanation.samples is None else _volume(explanation.samples, index)
        for plane, values in enumerate(volume):
            place = f"{name} {plane + 1} of {len(volume)}"
            if described is not None:
                place += f", {described.at(plane)} {described.unit}".rstrip()
            shown = cnnvis.Panel(values, explanation.axes[1:], everything=volume)
            above = None
            if inputs is not None:
                at = min(plane * len(inputs) // len(volume), len(inputs) - 1)
                above = cnnvis.Panel(np.asarray(inputs[at]), explanation.axes[1:])
            title = explanation.title(index).replace("\n", ", ")
            yield Moment(replace(pair, map=shown, input=above), f"{title}\n{place}")


def _is_volume(explanation: cnnvis.Explanation) -> bool:
    return len(explanation.axes) == 3 and "channel" not in explanation.axes


def _volume(samples: cnnvis.Samples, number: int) -> Any:
    """Return an input (planes, rows, columns), the mean of its channels; None if it is no volume."""
    import numpy as np

    x = np.asarray(samples[[number]].x)
    if samples.channel_axis is not None:
        x = x.mean(axis=samples.channel_axis)
    return x[0] if x.ndim == 4 else None


def _palette(frames: list[Image]) -> Image:
    """Return a picture with the colours of all frames, of a few where there are many."""
    from PIL import Image

    step = max(len(frames) // 16, 1)
    chosen = frames[::step]
    strip = Image.new("RGB", (chosen[0].width, sum(one.height for one in chosen)))
    top = 0
    for one in chosen:
        strip.paste(one, (0, top))
        top += one.height
    return strip.quantize(256)
