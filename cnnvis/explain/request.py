"""Request: the explanation that a person asks for, before anything is read."""

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
    """Request for explanations: the arguments of `cnnvis.run` and `cnnvis.chain`.

    Attributes
    ----------
    model, data
        See `cnnvis.run`.
    images
        The selection of images; None for all images.
    target
        The target: the layer, filters and region to explain.
    class_names
        The names of the network's classes, where the data do not hold them.
    loading
        Options for what the model's file lacks.
    plugin_options
        Options of readers and loaders, by their names.
    inputs
        The network's inputs that get a map; None for all inputs.
    axes
        The meaning of the positions along the axes.
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
