"""Weights from files into networks, by the names of layers where Keras's own order no longer holds."""

from __future__ import annotations

import shutil
import tempfile
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import cnnvis
from cnnvis.plugins.loaders.allowed import CLASSES
from cnnvis.plugins.loaders.config import MODELS, Config, layers_of, name_of
from cnnvis.plugins.loaders.examined import Contents
from cnnvis.plugins.loaders.operations import operation


class Weights(Protocol):
    """The weights that are stored for a network."""

    @property
    def values(self) -> int:
        """Number of stored values."""

    def load(self, network: Any, config: Config, *, is_cut: bool) -> None:
        """Load the weights into a network of Keras 3 or of tf_keras.

        Parameters
        ----------
        network
            The network that was built.
        config
            The configuration as it stands in the file.
        is_cut
            True where some layers of the configuration are not in the network.

        Raises
        ------
        Exception
            The errors of Keras and h5py for weights that do not fit.
        """


@dataclass(frozen=True)
class FileWeights:
    """Weights in one of Keras's own files.

    Attributes
    ----------
    path
        The file.
    held
        The findings about the file.
    """

    path: Path
    held: Contents

    @property
    def values(self) -> int:
        """Number of stored values."""
        return self.held.values

    def load(self, network: Any, config: Config, *, is_cut: bool) -> None:
        """Load the weights into a network; see `Weights.load`."""
        if self.held.is_archive:
            with unpacked(self.path, config, network) as weights:
                network.load_weights(str(weights))
        elif is_cut and self.held.is_by_layers:
            load_by_name(network, self.path)
        else:
            with self._called_by_its_content() as weights:
                network.load_weights(str(weights))

    @contextmanager
    def _called_by_its_content(self) -> Iterator[Path]:
        """Give the file a name by which Keras recognizes its format, inside the block."""
        name = self.path.name
        by_layers = name.endswith((".h5", ".hdf5")) and not name.endswith(".weights.h5")
        if by_layers if self.held.is_by_layers else name.endswith(".weights.h5"):
            yield self.path
            return
        with _for_a_while() as folder:
            renamed = folder / ("model.h5" if self.held.is_by_layers else "model.weights.h5")
            try:
                renamed.symlink_to(self.path.absolute())
            except OSError:  # where only some may make links
                shutil.copyfile(self.path, renamed)
            yield renamed


@contextmanager
def unpacked(path: Path, config: Config, network: Any) -> Iterator[Path]:
    """Write the weights of an archive to a file in which Keras finds those of this network.

    Keras numbers layers of one class, ``dense``, ``dense_1``: where some were cut off, or replaced
    by another class, Keras would take the weights of others.

    Parameters
    ----------
    path
        The archive.
    config
        The configuration of the archive.
    network
        The network that was built from the configuration.
    """
    with zipfile.ZipFile(path) as archive, _for_a_while() as folder:
        weights = folder / "model.weights.h5"
        try:
            with archive.open("model.weights.h5") as packed, weights.open("wb") as file:
                shutil.copyfileobj(packed, file, 2**20)
        except OSError as error:
            raise cnnvis.UserError(
                f"the weights in {str(path)!r} cannot be unpacked to {str(weights)!r}: "
                f"{error.strerror or error}"
            ) from error
        stored, wanted = dict(_places(config)), dict(_places_of(network))
        moves = [
            (stored[names], place)
            for names, place in wanted.items()
            if names in stored and stored[names] != place
        ]
        if moves:
            _move(weights, moves)
        yield weights


@contextmanager
def _for_a_while() -> Iterator[Path]:
    """Make a folder for weights, which is deleted after the block."""
    try:
        folder = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
    except OSError as error:
        raise cnnvis.UserError(
            "the weights cannot be unpacked, since no temporary folder can be made: "
            f"{error.strerror or error}. The variable TMPDIR sets the place of temporary folders"
        ) from error
    with folder as name:
        yield Path(name)


def _move(weights: Path, moves: list[tuple[str, str]]) -> None:
    import h5py

    with h5py.File(weights, "r+") as file:
        for number, (old, _) in enumerate(moves):
            if old in file:
                file.move(old, f"moved/{number}")
        for number, (_, new) in enumerate(moves):
            if new in file:
                del file[new]
            if f"moved/{number}" in file:
                file.move(f"moved/{number}", new)


def _places(
    model: Config, within: str = "layers", around: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], str]]:
    """Yield the places of a configuration's layers, those of nested models included."""
    if model.get("class_name") not in MODELS:
        return
    layers = [one for one in layers_of(model) if operation(one) is None]
    kinds = [_class_of(one) for one in layers]
    for one, kind, place in zip(layers, kinds, _numbered(kinds), strict=True):
        names, place = (*around, name_of(one)), f"{within}/{place}"
        if kind in MODELS:
            yield from _places(one, f"{place}/layers", names)
        else:
            yield names, place


def _class_of(layer: Config) -> str:
    """Return the name of a layer's class, which for some layers is not Keras's public name."""
    kind = str(layer["class_name"]).rpartition(">")[2]
    if str(layer.get("module")).split(".")[0] != "keras":
        return kind
    return next((name for name, offered in CLASSES.items() if offered == kind), kind)


def _places_of(
    model: Any, within: str = "layers", around: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], str]]:
    """Yield the places at which Keras looks for the weights of a network's layers."""
    layers = list(getattr(model, "layers", ()))
    kinds = [type(one).__name__ for one in layers]
    for one, kind, place in zip(layers, kinds, _numbered(kinds), strict=True):
        names, place = (*around, one.name), f"{within}/{place}"
        if kind in MODELS:
            yield from _places_of(one, f"{place}/layers", names)
        else:
            yield names, place


def _numbered(kinds: Iterable[str]) -> Iterator[str]:
    """Yield names for layers of these classes, as Keras does in archives."""
    from keras.src.utils.naming import to_snake_case

    seen: dict[str, int] = {}
    for kind in map(to_snake_case, kinds):
        yield f"{kind}_{seen[kind]}" if kind in seen else kind
        seen[kind] = seen.get(kind, 0) + 1


def load_by_name(network: Any, path: Path) -> None:
    """Give every layer the weights that are stored under its name, in nested models as well.

    Raises
    ------
    ValueError
        If a layer has none there, or of another shape: it would be left random.
    """
    import h5py
    import numpy as np

    with h5py.File(path, "r") as file:
        stored = file.get("model_weights", file)
        for layer, group in _leaves(network):
            if not layer.weights:
                continue
            names = (
                _names(stored[group], layer.name, nested=group != layer.name)
                if group in stored
                else []
            )
            if len(names) != len(layer.weights):
                raise ValueError(f"there are none for the layer {layer.name!r}")
            for variable, name in zip(layer.weights, _ordered(names, layer.weights), strict=True):
                values = np.asarray(stored[group][name])
                if values.shape != tuple(variable.shape):
                    raise ValueError(
                        f"the weights of the layer {layer.name!r} have the shape {values.shape}, "
                        f"and the layer takes {tuple(variable.shape)}"
                    )
                variable.assign(values)
            if hasattr(layer, "finalize_state"):  # a Normalization computes with copies of them
                layer.finalize_state()


def _leaves(network: Any, group: str | None = None) -> Iterator[tuple[Any, str]]:
    """Yield every layer that is no model, with the outermost layer around it."""
    for layer in network.layers:
        place = group or layer.name
        if getattr(layer, "layers", None):
            yield from _leaves(layer, place)
        else:
            yield layer, place


def _names(group: Any, layer: str, *, nested: bool) -> list[str]:
    names = [
        name.decode() if isinstance(name, bytes) else str(name)
        for name in group.attrs.get("weight_names", [])
    ]
    return [name for name in names if layer in name.split("/")[:-1]] if nested else names


def _ordered(names: Sequence[str], variables: Sequence[Any]) -> list[str]:
    """Sort the names in the order of the variables: by their names, or else in the given order."""
    short = {name.split("/")[-1].split(":")[0]: name for name in names}
    wanted = [variable.name.split("/")[-1].split(":")[0] for variable in variables]
    if len(short) == len(names) and set(short) == set(wanted):
        return [short[name] for name in wanted]
    return list(names)
