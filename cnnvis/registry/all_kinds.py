"""Kinds of plugins, in the order of listings."""

from __future__ import annotations

from cnnvis.registry.kinds.baseline import BASELINE
from cnnvis.registry.kinds.kind import Kind
from cnnvis.registry.kinds.loader import LOADER
from cnnvis.registry.kinds.metric import METRIC
from cnnvis.registry.kinds.reader import READER
from cnnvis.registry.kinds.renderer import RENDERER
from cnnvis.registry.kinds.technique import TECHNIQUE
from cnnvis.registry.kinds.transform import TRANSFORM

KINDS: dict[str, Kind] = {
    kind.name: kind for kind in (TECHNIQUE, TRANSFORM, METRIC, BASELINE, RENDERER, READER, LOADER)
}
