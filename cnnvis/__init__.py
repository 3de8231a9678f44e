"""cnnvis shows why a convolutional network decides what it decides.

Everything that a plugin or a script needs has a name here; nothing is imported before it is used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cnnvis.api.chain import chain as chain
    from cnnvis.api.compare import Comparison as Comparison
    from cnnvis.api.compare import compare as compare
    from cnnvis.api.doctor import doctor as doctor
    from cnnvis.api.run import run as run
    from cnnvis.data.axes import Axis as Axis
    from cnnvis.data.completeness import completeness_gap as completeness_gap
    from cnnvis.data.explanation import Explanation as Explanation
    from cnnvis.data.explanation import axis_names as axis_names
    from cnnvis.data.loaded_network import LoadedNetwork as LoadedNetwork
    from cnnvis.data.samples import Reading as Reading
    from cnnvis.data.samples import Samples as Samples
    from cnnvis.data.stream import Stream as Stream
    from cnnvis.data.target import Target as Target
    from cnnvis.drawing.panels import Panel as Panel
    from cnnvis.drawing.panels import panels as panels
    from cnnvis.errors import DiskError as DiskError
    from cnnvis.errors import NothingUsable as NothingUsable
    from cnnvis.errors import PluginError as PluginError
    from cnnvis.errors import UserError as UserError
    from cnnvis.errors import complaint as complaint
    from cnnvis.explain.inputs import load_model as load_model
    from cnnvis.explain.inputs import read_samples as read_samples
    from cnnvis.files.child_process import child_process as child_process
    from cnnvis.files.npy import StoredArray as StoredArray
    from cnnvis.files.npy import stored_arrays as stored_arrays
    from cnnvis.files.reading import read_text as read_text
    from cnnvis.files.reading import require_regular as require_regular
    from cnnvis.files.sandbox import begin_look as begin_look
    from cnnvis.files.sandbox import first_look as first_look
    from cnnvis.files.sandbox import open_hdf5 as open_hdf5
    from cnnvis.files.sandbox import require_sound_hdf5 as require_sound_hdf5
    from cnnvis.files.sandbox import sound_objects as sound_objects
    from cnnvis.files.snapshots import held as held
    from cnnvis.host import available_memory as available_memory
    from cnnvis.network.compilation import computing as computing
    from cnnvis.network.model import Model as Model
    from cnnvis.network.modifiers import Backprop as Backprop
    from cnnvis.network.modifiers import GradientModifier as GradientModifier
    from cnnvis.network.modifiers import channel_max as channel_max
    from cnnvis.network.modifiers import modify_gradient as modify_gradient
    from cnnvis.network.modifiers import unit_scaled as unit_scaled
    from cnnvis.registry.bounds import Count as Count
    from cnnvis.registry.bounds import Granting as Granting
    from cnnvis.registry.bounds import NotNegative as NotNegative
    from cnnvis.registry.bounds import Percent as Percent
    from cnnvis.registry.bounds import Positive as Positive
    from cnnvis.registry.bounds import Share as Share
    from cnnvis.registry.discovery import load_plugin as load_plugin
    from cnnvis.registry.hookspecs import hookimpl as hookimpl
    from cnnvis.registry.kinds.loader import loader as loader
    from cnnvis.registry.kinds.metric import metric as metric
    from cnnvis.registry.kinds.reader import reader as reader
    from cnnvis.registry.kinds.renderer import renderer as renderer
    from cnnvis.registry.kinds.technique import technique as technique
    from cnnvis.registry.kinds.transform import transform as transform
    from cnnvis.registry.plugin import plugin_of as plugin_of
    from cnnvis.reporting import note as note
    from cnnvis.reporting import progress as progress
    from cnnvis.runs.merging import merge as merge
    from cnnvis.text import printable as printable

_HOMES = {
    "api.chain": ("chain",),
    "files.child_process": ("child_process",),
    "registry.bounds": ("Count", "Granting", "NotNegative", "Percent", "Positive", "Share"),
    "api.compare": ("Comparison", "compare"),
    "network.compilation": ("computing",),
    "data.completeness": ("completeness_gap",),
    "data.axes": ("Axis",),
    "errors": ("DiskError", "NothingUsable", "PluginError", "UserError", "complaint"),
    "api.doctor": ("doctor",),
    "data.stream": ("Stream",),
    "data.explanation": ("Explanation", "axis_names"),
    "data.target": ("Target",),
    "network.modifiers": (
        "Backprop",
        "GradientModifier",
        "channel_max",
        "modify_gradient",
        "unit_scaled",
    ),
    "files.reading": ("read_text", "require_regular"),
    "files.snapshots": ("held",),
    "registry.hookspecs": ("hookimpl",),
    "files.sandbox": (
        "begin_look",
        "first_look",
        "open_hdf5",
        "require_sound_hdf5",
        "sound_objects",
    ),
    "host": ("available_memory",),
    "data.loaded_network": ("LoadedNetwork",),
    "network.model": ("Model",),
    "text": ("printable",),
    "drawing.panels": ("Panel", "panels"),
    "registry.kinds.loader": ("loader",),
    "registry.kinds.metric": ("metric",),
    "registry.kinds.reader": ("reader",),
    "registry.kinds.renderer": ("renderer",),
    "registry.kinds.technique": ("technique",),
    "registry.kinds.transform": ("transform",),
    "registry.plugin": ("plugin_of",),
    "registry.discovery": ("load_plugin",),
    "reporting": ("note", "progress"),
    "api.run": ("run",),
    "runs.merging": ("merge",),
    "data.samples": ("Reading", "Samples"),
    "explain.inputs": ("load_model", "read_samples"),
    "files.npy": ("StoredArray", "stored_arrays"),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

__all__ = sorted([*_HOME_OF, "__version__"])


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        return version("cnnvis")
    if name not in _HOME_OF:
        raise AttributeError(f"module 'cnnvis' has no attribute {name!r}")
    value = getattr(import_module(f"cnnvis.{_HOME_OF[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
