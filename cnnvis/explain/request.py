"""Request: the explanation that a person asks for, before anything is read."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from cnnvis.explain.inputs import PluginOptions
from cnnvis.registry.arguments import DataArguments, LoadOptions, Style, TargetArguments


@dataclass(frozen=True)
class Request:
    """Request for explanations: a model and arguments of `cnnvis.run` and `cnnvis.chain`.

    Attributes
    ----------
    model
        See `cnnvis.run`.
    data
        The data, the selection of images, the names of classes and the meaning of axes.
    target
        The layer, filters and region to explain, and the inputs that get a map.
    loading
        Options for what the model's file lacks.
    plugin_options
        Options of readers and loaders, by their names.
    top
        The number of classes with the largest scores that get a map each; None for the target.
    strict
        True where the first image without a result ends the run.
    style
        The style in which techniques compute.
    """

    model: Any
    data: DataArguments = field(default_factory=DataArguments)
    target: TargetArguments = field(default_factory=TargetArguments)
    loading: LoadOptions = field(default_factory=LoadOptions)
    plugin_options: PluginOptions = field(default_factory=dict)
    strict: bool = False
    style: Style = "default"
    top: int | None = None
