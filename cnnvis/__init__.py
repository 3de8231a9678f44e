"""cnnvis shows why a convolutional network decides what it decides.

Everything that a plugin or a script needs has a name here; nothing is imported before it is used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cnnvis.bounds import Count as Count
    from cnnvis.bounds import Granting as Granting
    from cnnvis.bounds import NotNegative as NotNegative
    from cnnvis.bounds import Percent as Percent
    from cnnvis.bounds import Positive as Positive
    from cnnvis.bounds import Share as Share
    from cnnvis.chains import chain as chain
    from cnnvis.children import child_process as child_process
    from cnnvis.comparison import Comparison as Comparison
    from cnnvis.comparison import compare as compare
    from cnnvis.compiling import computing as computing
    from cnnvis.completeness import completeness_gap as completeness_gap
    from cnnvis.coordinates import Axis as Axis
    from cnnvis.errors import DiskError as DiskError
    from cnnvis.errors import NothingUsable as NothingUsable
    from cnnvis.errors import PluginError as PluginError
    from cnnvis.errors import UserError as UserError
    from cnnvis.errors import complaint as complaint
    from cnnvis.examination import doctor as doctor
    from cnnvis.explaining import Stream as Stream
    from cnnvis.explanation import Explanation as Explanation
    from cnnvis.explanation import Target as Target
    from cnnvis.explanation import axis_names as axis_names
    from cnnvis.files import read_text as read_text
    from cnnvis.files import require_regular as require_regular
    from cnnvis.holding import held as held
    from cnnvis.hookspecs import hookimpl as hookimpl
    from cnnvis.inspecting import begin_look as begin_look
    from cnnvis.inspecting import first_look as first_look
    from cnnvis.inspecting import open_hdf5 as open_hdf5
    from cnnvis.inspecting import require_sound_hdf5 as require_sound_hdf5
    from cnnvis.inspecting import sound_objects as sound_objects
    from cnnvis.machine import available_memory as available_memory
    from cnnvis.model import LoadedNetwork as LoadedNetwork
    from cnnvis.model import Model as Model
    from cnnvis.modifiers import Backprop as Backprop
    from cnnvis.modifiers import GradientModifier as GradientModifier
    from cnnvis.modifiers import channel_max as channel_max
    from cnnvis.modifiers import modify_gradient as modify_gradient
    from cnnvis.modifiers import unit_scaled as unit_scaled
    from cnnvis.names import printable as printable
    from cnnvis.panel import Panel as Panel
    from cnnvis.panel import panels as panels
    from cnnvis.plugin import loader as loader
    from cnnvis.plugin import plugin_of as plugin_of
    from cnnvis.plugin import reader as reader
    from cnnvis.plugin import renderer as renderer
    from cnnvis.plugin import technique as technique
    from cnnvis.plugin import transform as transform
    from cnnvis.registry import load_plugin as load_plugin
    from cnnvis.reporting import note as note
    from cnnvis.reporting import progress as progress
    from cnnvis.runner import run as run
    from cnnvis.runs.merging import merge as merge
    from cnnvis.samples import Reading as Reading
    from cnnvis.samples import Samples as Samples
    from cnnvis.sources import load_model as load_model
    from cnnvis.sources import read_samples as read_samples
    from cnnvis.stored import StoredArray as StoredArray
    from cnnvis.stored import stored_arrays as stored_arrays

_HOMES = {
    "chains": ("chain",),
    "children": ("child_process",),
    "bounds": ("Count", "Granting", "NotNegative", "Percent", "Positive", "Share"),
    "comparison": ("Comparison", "compare"),
    "compiling": ("computing",),
    "completeness": ("completeness_gap",),
    "coordinates": ("Axis",),
    "errors": ("DiskError", "NothingUsable", "PluginError", "UserError", "complaint"),
    "examination": ("doctor",),
    "explaining": ("Stream",),
    "explanation": ("Explanation", "Target", "axis_names"),
    "modifiers": ("Backprop", "GradientModifier", "channel_max", "modify_gradient", "unit_scaled"),
    "files": ("read_text", "require_regular"),
    "holding": ("held",),
    "hookspecs": ("hookimpl",),
    "inspecting": ("begin_look", "first_look", "open_hdf5", "require_sound_hdf5", "sound_objects"),
    "machine": ("available_memory",),
    "model": ("LoadedNetwork", "Model"),
    "names": ("printable",),
    "panel": ("Panel", "panels"),
    "plugin": ("loader", "plugin_of", "reader", "renderer", "technique", "transform"),
    "registry": ("load_plugin",),
    "reporting": ("note", "progress"),
    "runner": ("run",),
    "runs.merging": ("merge",),
    "samples": ("Reading", "Samples"),
    "sources": ("load_model", "read_samples"),
    "stored": ("StoredArray", "stored_arrays"),
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
