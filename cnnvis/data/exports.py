"""Explanations as labelled arrays of xarray and as frames of pandas, where these are installed."""

from __future__ import annotations

import importlib
import json
from typing import Any

import numpy as np

from cnnvis.errors import UserError


def to_xarray(found: Any) -> Any:
    """Return maps as a DataArray with names for axes, and a table as a Dataset; see `Explanation`."""
    xarray = _module("xarray", "to_xarray")
    about = json.dumps(dict(found.provenance), default=str)
    if found.maps is None:
        columns = {name: ("row", list(cells)) for name, cells in found.table.items()}
        return xarray.Dataset(columns, attrs={"provenance": about})
    first = "image" if found.samples is not None else "group" if found.groups else "map"
    coordinates: dict[str, Any] = {}
    for name, cells in _columns(found).items():
        coordinates[name] = (first, cells) if name != first else cells
    for place, name in enumerate(found.axes):
        axis = found.coordinates.get(name)
        count = found.maps.shape[place + 1]
        if axis is not None:
            values = list(axis.values) or [axis.start + axis.step * i for i in range(count)]
            facts = {"long_name": axis.name or name, **({"units": axis.unit} if axis.unit else {})}
            coordinates[name] = (name, values, facts)
    return xarray.DataArray(
        found.maps,
        dims=(first, *found.axes),
        coords=coordinates,
        name=str(found.provenance.get("technique", "maps")),
        attrs={"signed": found.is_signed, "provenance": about, "notes": "\n".join(found.notes)},
    )


def to_dataframe(found: Any) -> Any:
    """Return a table, or what is known of each map, as a DataFrame; see `Explanation`."""
    pandas = _module("pandas", "to_dataframe")
    if found.maps is None:
        return pandas.DataFrame({name: list(cells) for name, cells in found.table.items()})
    columns = _columns(found)
    flat = np.reshape(found.maps, (len(found), -1))
    columns |= {"least": flat.min(axis=1), "most": flat.max(axis=1)}
    columns |= {f"strongest {name}": at for name, at in zip(found.axes, found.peaks.T, strict=True)}
    if found.places is not None:
        at = found.peaks[:, found.axes.index(found.places.axis)]
        columns["strongest place"] = [found.places.at(row, one) for row, one in enumerate(at)]
    return pandas.DataFrame(columns)


def _columns(found: Any) -> dict[str, Any]:
    """Return what is known of each map, by name."""
    columns: dict[str, Any] = {}
    samples, count = found.samples, len(found)
    if samples is not None:
        columns["image"] = samples.indices
        if samples.names is not None:
            columns["name"] = list(samples.names)
        labels = [samples.label_name(row) for row in range(count)]
        if any(label is not None for label in labels):
            columns["label"] = [label or "" for label in labels]
    if found.image_places is not None:
        columns["place"] = [found.image_places.window(row) for row in range(count)]
    if found.predictions is not None:
        columns["answer"] = [found.answer_name(row) for row in range(count)]
    if found.groups:
        columns["group"] = list(found.groups)
    if found.titles:
        columns["title"] = list(found.titles)
    if found.targets:
        columns["target"] = [str(target) for target in found.targets]
        for name in ("score", "probability"):
            numbers = [getattr(target, name) for target in found.targets]
            if any(number is not None for number in numbers):
                columns[name] = [np.nan if one is None else one for one in numbers]
    return {**columns, **found.measures}


def _module(name: str, method: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError:
        raise UserError(f"{method} needs {name}, which pip install {name} installs") from None
