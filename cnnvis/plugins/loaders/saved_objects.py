"""Descriptions of the objects in a SavedModel of Keras 2, from either place where TensorFlow wrote them."""

from __future__ import annotations

import io
import re
from pathlib import Path
from typing import Any, BinaryIO

import cnnvis
from cnnvis.plugins.loaders.config import NESTING, TEXT, read_json
from cnnvis.plugins.loaders.wire import parts

Nodes = dict[str, Any]
"""The descriptions of objects, by their paths from the root: ``root.layer-0``."""

OBJECTS = 64 * 2**20
"""Maximum size of the graph of objects in a SavedModel, in bytes."""

_META_GRAPHS, _OBJECT_GRAPH = 2, 7
_LAYER = re.compile(r"layer(_with_weights)?-\d{1,9}")
_NODES = 20_000


def described_objects(folder: Path, held: Any) -> Nodes:
    """Return the descriptions of a model and of its layers; empty without descriptions.

    TensorFlow 2.5 and later write them to a separate file, earlier versions to the objects.

    Parameters
    ----------
    folder, held
        The SavedModel, and the result of `cnnvis.held` for it.

    Raises
    ------
    UserError
        If the descriptions are damaged or of absurd size.
    """
    from google.protobuf.message import DecodeError

    beside, graph = folder / "keras_metadata.pb", folder / "saved_model.pb"
    path = beside if beside.is_file() else graph
    cnnvis.require_regular(path)
    try:
        with held.open(path) as file:
            return _in_file_of_their_own(file) if path == beside else _among_objects(file)
    except (DecodeError, ValueError, IndexError) as error:
        raise cnnvis.UserError(f"{str(path)!r} is damaged: {error}") from error


def _in_file_of_their_own(file: BinaryIO) -> Nodes:
    from tensorflow.python.keras.protobuf.saved_metadata_pb2 import SavedMetadata

    text = file.read(TEXT + 1)
    if len(text) > TEXT:
        raise ValueError(f"it has more than {TEXT:,} bytes")
    metadata = SavedMetadata.FromString(text)
    nodes = {node.node_path: _plain(read_json(node.metadata)) for node in metadata.nodes}
    return {place: node for place, node in nodes.items() if isinstance(node, dict)}


def _among_objects(file: BinaryIO) -> Nodes:
    """Return the descriptions in the graph of objects; only names and descriptions are read."""
    from tensorflow.core.protobuf.saved_object_graph_pb2 import SavedObjectGraph

    size = file.seek(0, io.SEEK_END)
    inside = next(parts(file, 0, size, _META_GRAPHS), (0, 0))
    start, end = next(parts(file, *inside, _OBJECT_GRAPH), (0, 0))
    if end - start > OBJECTS:
        raise ValueError(f"it describes its objects in {end - start:,} bytes")
    file.seek(start)
    objects = SavedObjectGraph.FromString(file.read(end - start)).nodes
    known: dict[int, Any] = {}
    found: Nodes = {}
    todo = [("root", 0)]
    while todo:
        place, number = todo.pop()
        node = objects[number] if 0 <= number < len(objects) else None
        if node is None or not node.user_object.identifier.startswith("_tf_keras_"):
            continue
        if len(found) > _NODES or place.count(".") > NESTING:
            raise ValueError("it holds too many layers, or in too many models")
        if number not in known:
            known[number] = _plain(read_json(node.user_object.metadata or "{}"))
        if isinstance(known[number], dict):
            found[place] = known[number]
        todo += [
            (f"{place}.{child.local_name}", child.node_id)
            for child in node.children
            if _LAYER.fullmatch(child.local_name)
        ]
    return found


def _plain(value: Any) -> Any:
    """Return the value with tuples and shapes, described as objects here, as lists."""
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if not isinstance(value, dict):
        return value
    if value.get("class_name") in ("__tuple__", "TensorShape") and "items" in value:
        return _plain(value["items"])
    return {key: _plain(item) for key, item in value.items()}
