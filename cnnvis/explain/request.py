"""Request: what somebody asks to be explained, before anything of it is read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from cnnvis.data.class_names import ClassNames
from cnnvis.data.image_selection import Images, Selection
from cnnvis.execution.loading import LoadOptions
from cnnvis.explain.inputs import PluginOptions


@dataclass(frozen=True)
class TargetArguments:
    """The target as somebody asks for it; see `cnnvis.Model`."""

    layer: str | None = None
    filters: int | str | Sequence[int | str] | None = None
    output: str | int | None = None
    region: Sequence[str | int | slice] | None = None


@dataclass(frozen=True)
class Request:
    """What somebody asks to be explained: the arguments of `cnnvis.run` and `cnnvis.chain`.

    Attributes
    ----------
    model, data
        As `cnnvis.run` takes them.
    images
        Which of the data; None for all.
    target
        What of the network.
    class_names
        The names of its classes, where the data do not hold them.
    loading
        What the model's file lacks.
    plugin_options
        Options of readers and loaders, by their names.
    inputs
        Which of the network's inputs get a map; None for all.
    axes
        What positions along the axes stand for.
    """

    model: Any
    data: Any = None
    images: Images | Selection | None = None
    target: TargetArguments = field(default_factory=TargetArguments)
    class_names: ClassNames | None = None
    loading: LoadOptions = field(default_factory=LoadOptions)
    plugin_options: PluginOptions = field(default_factory=dict)
    inputs: str | int | Sequence[str | int] | None = None
    axes: Mapping[str, Any] | None = None
