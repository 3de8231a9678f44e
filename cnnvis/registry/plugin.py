"""Plugin: a typed function, with the arguments of its decorator.

A plugin *is* its function: the keyword-only parameters are its options, their annotations and
defaults the types and defaults of those options, the docstring its help. Nothing is said twice.
"""

from __future__ import annotations

import functools
import importlib.util
import inspect
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeVar

from cnnvis.errors import PluginError
from cnnvis.files.addresses import Place

Result = Literal["images", "groups", "pictures", "table"]
"""Kind of the result of a step of a chain.

A map for each image, a map for each group of images, pictures that belong to no image (filters,
maximizing inputs), or a table.
"""

MAPS: tuple[Result, ...] = ("images", "groups", "pictures")

Better = Literal["higher", "lower"]
"""Direction in which the numbers of a metric become better."""

Claim = Literal[
    "gradient",
    "gradient-times-input",
    "integrated-gradients",
    "complete",
    "zero-for-linear",
    "occlusion",
    "grad-cam",
    "layer-cam",
    "hires-cam",
    "any-target",
    "equals",
]
"""Promise of a technique about its maps M for the score S and the input x.

Tests hold the technique to its promise: see `cnnvis.testing`.

====================  ============================================================
gradient              M = dS/dx; for a linear score S = w x + b, M = w
gradient-times-input  M = x dS/dx
integrated-gradients  for a linear score, M = w (x - x') with the baseline x' = 0
complete              the sum of M is S(x) - S(x') with the baseline x' = 0, or
                      with that of an option called baseline
zero-for-linear       for a linear score, M = 0
occlusion             M(p) = S(x) - S(x with 0 at the position p)
grad-cam              M = max(0, sum over k of a_k A_k), with a_k the mean over
                      positions of g_k = dS/dA_k, for feature maps A_k as large
                      as the input
layer-cam             M = sum over k of max(0, g_k) A_k, for the same
hires-cam             M = sum over k of g_k A_k, for the same
any-target            M is the same for every target
equals                M is that of another technique
====================  ============================================================

Each claim comes with the options of the technique under which it holds. Where an option called
baseline takes a number, what is said of x' is held to with another than 0 as well. ``equals`` comes
with

technique
    The name of the other.
options, theirs
    Options of this technique and of the other.
where
    Networks on which the two are equal; see `PLACES`.
scaled
    True if they are equal but for a factor of each map.
within
    Largest difference of values, as a share of the largest; 0.001 by default.

For a technique that claims to be complete, the difference from that sum is measured for each image
and reported: by the technique itself, as the measure ``completeness_gap`` of its explanation, or
else by cnnvis.
"""

PLACES = {
    "anywhere": "on networks of any kind",
    "features": "where the last feature maps are as large as the input, with a dense layer on them",
    "pooled": "where a dense layer takes the mean of each feature map",
    "pooled-positive": "where a dense layer takes the mean of each feature map, without negative weights",
}
"""Networks on which a technique may claim to equal another."""

BUILT_IN = "cnnvis"
"""Package whose plugins are checked by tests, and not at every call."""

Function = TypeVar("Function", bound=Callable[..., Any])

_MARK = "__cnnvis_plugin__"


@dataclass(frozen=True)
class Plugin:
    """Plugin: a function with the arguments of its decorator.

    Attributes
    ----------
    kind
        The kind of the plugin; see the decorator of that name.
    name
        The name that a person types: ``saliency``, ``png``.
    function
        The function itself, unchanged.
    reference
        The paper behind a technique, for example ``arXiv:1312.6034``.
    suffixes
        Endings of the files that a renderer writes (the first is its default) or that a reader or
        loader takes, with the dot: ``(".h5", ".hdf5")``.
    plot
        For a renderer: function that draws an explanation on axes of matplotlib.
    accepts
        For a reader or loader: function that tells whether the plugin takes a path that no suffix
        decides, such as a folder. The function must be quick and import nothing heavy.
    remote
        For a reader or a renderer: True where its path may be a `cnnvis.Address` of an object store.
    folder
        For a renderer: True where it writes a folder and no file.
    begin
        For a loader: function that is called with the path before TensorFlow is imported, to begin
        work for the meantime. The function must return at once.
    takes_results
        For a transform: the kinds of results that it takes.
    gives
        For a technique or transform: the kind of its result; None for the kind that it took.
    check
        Function that is called with all options, by name, before anything heavy starts: raises
        `UserError` for values that their types allow and the plugin does not.
    check_samples
        For a transform: function of images and its options that raises `UserError` where they do not
        fit, before any map is computed.
    sums
        For a transform: function of its options that returns a function of a batch of maps, which
        gives all that the transform needs of them.
    requires, extra
        The modules that the plugin cannot do without, and the extra of its package that installs
        them: where one is missing, the plugin is listed, and says so when it is called.
    claims
        The claims of a technique about its maps, each with the options under which it holds.
    family
        The family that the plugin is listed with, such as ``gradients``; empty for none.
    signed
        Options under which the maps of a technique keep the signs of their values; None if there
        are none such.
    paper
        Options under which a technique computes what its paper defines, where its defaults do not:
        the defaults in the paper's style.
    remarks
        For a technique: function of the measures of all maps and of its options that gives notes on them.
    judge
        For a metric: function of its numbers that gives the verdict on all maps together.
    cost
        For a metric that judges: what it costs, a `cnnvis.registry.kinds.metric.Cost`.
    better
        For a metric: which of its numbers are better; None where neither is.
    distribution, version
        The installed package that the plugin came from, filled in by the registry; for a plugin
        that is a single file, the file's name and nothing.
    """

    kind: str
    name: str
    function: Callable[..., Any]
    reference: str | None = None
    suffixes: tuple[str, ...] = ()
    plot: Callable[..., Any] | None = None
    accepts: Callable[[Any], bool] | None = None
    remote: bool = False
    folder: bool = False
    begin: Callable[[Path], None] | None = None
    check: Callable[..., None] | None = None
    check_samples: Callable[..., None] | None = None
    takes_results: tuple[Result, ...] = ()
    gives: Result | None = None
    sums: Callable[..., Callable[[Any], Any]] | None = None
    requires: tuple[str, ...] = ()
    extra: str = ""
    claims: Mapping[Claim, Mapping[str, Any]] = field(default_factory=dict)
    family: str = ""
    signed: Mapping[str, Any] | None = None
    paper: Mapping[str, Any] = field(default_factory=dict)
    remarks: Callable[..., Iterable[str]] | None = None
    judge: Callable[[Mapping[str, Any]], Any] | None = None
    cost: Any = None
    better: Better | None = None
    distribution: str = ""
    version: str = ""

    def failed(self, what: str) -> PluginError:
        """Return the error about a fault of this plugin, with the place to report it."""
        return PluginError(
            f"the {self.kind} {self.name} of {self.origin} failed: {what}. {self.report_to}"
        )

    def ending_of(self, path: Place) -> str:
        """Return the longest of the plugin's suffixes that ends a file's name, or an empty text."""
        name = path.name.lower()
        return max(
            (one for one in self.suffixes if name.endswith(one.lower())), key=len, default=""
        )

    @property
    def report_to(self) -> str:
        """Sentence with the place to report a failure of the plugin."""
        return report_to(self.distribution)

    @property
    def origin(self) -> str:
        """Package of the plugin, and its version."""
        return f"{self.distribution} {self.version}".strip()

    @property
    def missing(self) -> str:
        """Sentence about required modules that are missing, with a remedy; empty without any."""
        absent = [name for name in self.requires if not _is_installed(name)]
        if not absent:
            return ""
        package = f"{self.distribution or 'cnnvis'}[{self.extra}]" if self.extra else absent[0]
        return f"it needs {' and '.join(absent)}, which pip install '{package}' installs"

    @property
    def summary(self) -> str:
        """First line of the function's docstring."""
        lines = (inspect.getdoc(self.function) or "").splitlines()
        return lines[0] if lines else ""

    @property
    def description(self) -> str:
        """Docstring up to its sections (parameters, ...), one line a paragraph or item of a list.

        For a metric, a line at the end says which of its numbers are better.
        """
        body = re.split(r"\n[A-Z]\w+\n-+\n", inspect.getdoc(self.function) or "")[0]
        parts = [
            "\n".join(" ".join(item.split()) for item in re.split(r"\n(?=- )", part))
            for part in body.strip().split("\n\n")
        ]
        if self.better is not None:
            parts.append(f"{self.better.capitalize()} numbers are better.")
        return "\n\n".join(parts)

    @property
    def gives_maps_of_images(self) -> bool:
        """True where the plugin is a technique that makes a map for each sample with a model."""
        is_of_images = (self.gives or "images") == "images" and self.kind == "technique"
        return is_of_images and self.takes("model") and self.takes("samples")

    def takes(self, parameter: str) -> bool:
        """Tell whether the function has a positional parameter of that name, such as `model`."""
        return parameter in _positional(self.function)

    def needs(self, parameter: str) -> bool:
        """Tell whether the function has that positional parameter without a default."""
        found = _positional(self.function).get(parameter)
        return found is not None and found.default is inspect.Parameter.empty


def _is_installed(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except (ImportError, ValueError):  # of a module whose package is missing or broken
        return False


def _positional(function: Callable[..., Any]) -> dict[str, inspect.Parameter]:
    parameters = inspect.signature(function).parameters
    return {
        name: parameter
        for name, parameter in parameters.items()
        if parameter.kind is inspect.Parameter.POSITIONAL_OR_KEYWORD
    }


def mark(kind: str, name: str, **facts: Any) -> Callable[[Function], Function]:
    """Return a decorator that makes a function a plugin, as the decorator of every kind does."""

    def decorate(function: Function) -> Function:
        setattr(function, _MARK, Plugin(kind, name, function, **facts))
        return function

    return decorate


def plugin_of(function: object) -> Plugin | None:
    """Return the plugin that a decorator made of this function, or None if it is no plugin."""
    found = getattr(function, _MARK, None)
    return found if isinstance(found, Plugin) else None


@functools.cache
def report_to(distribution: str) -> str:
    """Return a sentence with the place to report failures of this package's plugins."""
    from importlib.metadata import PackageNotFoundError, metadata

    if distribution.endswith(".py"):
        return f"The author of {distribution} can correct this."
    try:
        known = metadata(distribution)
    except (PackageNotFoundError, ValueError):  # a package without metadata, or no package
        return f"Please report it to the authors of {distribution or 'the plugin'}."
    addresses = {
        label.strip().lower(): url.strip()
        for label, _, url in (one.partition(",") for one in known.get_all("Project-URL") or ())
    }
    wanted = ("issues", "bug tracker", "bugs", "tracker", "repository", "source", "homepage")
    places = [addresses[name] for name in wanted if name in addresses]
    places += known.get_all("Home-page") or []
    return f"Please report it to the authors of {distribution}{': ' if places else '.'}" + (
        places[0] if places else ""
    )
