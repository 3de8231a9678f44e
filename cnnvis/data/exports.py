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
        cells_of = {name: ("row", list(cells)) for name, cells in found.table.items()}
        return xarray.Dataset(cells_of, attrs={"provenance": about})
    first = first_dimension(found)
    coordinates: dict[str, Any] = {}
    for name, cells in columns(found).items():
        coordinates[name] = (first, cells) if name != first else cells
    for name, (values, facts) in axis_coordinates(found).items():
        coordinates[name] = (name, values, facts)
    return xarray.DataArray(
        found.maps,
        dims=(first, *found.axes),
        coords=coordinates,
        name=str(found.provenance.get("technique", "maps")),
        attrs={"signed": found.is_signed, "provenance": about, "notes": "\n".join(found.notes)},
    )


def first_dimension(found: Any) -> str:
    """Return the name of the axis along which maps lie one after the other."""
    return "image" if found.samples is not None else "group" if found.groups else "map"


def axis_coordinates(found: Any) -> dict[str, tuple[list[Any], dict[str, str]]]:
    """Return the coordinates along axes whose meaning is known, with their names and units."""
    coordinates = {}
    for name, count in zip(found.axes, found.maps.shape[1:], strict=True):
        axis = found.coordinates.get(name)
        if axis is not None:
            values = list(axis.values) or [axis.start + axis.step * i for i in range(count)]
            facts = {"long_name": axis.name or name, **({"units": axis.unit} if axis.unit else {})}
            coordinates[name] = (values, facts)
    return coordinates


def to_dataframe(found: Any) -> Any:
    """Return a table, or what is known of each map, as a DataFrame; see `Explanation`."""
    pandas = _module("pandas", "to_dataframe")
    if found.maps is None:
        return pandas.DataFrame({name: list(cells) for name, cells in found.table.items()})
    known = columns(found)
    flat = np.reshape(found.maps, (len(found), -1))
    known |= {"least": flat.min(axis=1), "most": flat.max(axis=1)}
    known |= {f"strongest {name}": at for name, at in zip(found.axes, found.peaks.T, strict=True)}
    if found.places is not None:
        at = found.peaks[:, found.axes.index(found.places.axis)]
        known["strongest place"] = [found.places.at(row, one) for row, one in enumerate(at)]
    return pandas.DataFrame(known)


def columns(found: Any) -> dict[str, Any]:
    """Return what is known of each map, by name."""
    known: dict[str, Any] = {}
    samples, count = found.samples, len(found)
    if samples is not None:
        known["image"] = samples.indices
        if samples.names is not None:
            known["name"] = list(samples.names)
        labels = [samples.label_name(row) for row in range(count)]
        if any(label is not None for label in labels):
            known["label"] = [label or "" for label in labels]
    if found.image_places is not None:
        known["place"] = [found.image_places.window(row) for row in range(count)]
    if found.predictions is not None:
        known["answer"] = [found.answer_name(row) for row in range(count)]
    if found.groups:
        known["group"] = list(found.groups)
    if found.titles:
        known["title"] = list(found.titles)
    if found.targets:
        known["target"] = [str(target) for target in found.targets]
        for name in ("score", "probability"):
            numbers = [getattr(target, name) for target in found.targets]
            if any(number is not None for number in numbers):
                known[name] = [np.nan if one is None else one for one in numbers]
    return {**known, **found.measures}


def _module(name: str, method: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError:
        raise UserError(f"{method} needs {name}, which pip install {name} installs") from None
