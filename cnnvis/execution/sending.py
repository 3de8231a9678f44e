"""Transfer of a call's arguments to another process, and of the answer back to this process.

Plain values go as JSON, all else in files of a folder; see `cnnvis.execution.transfer`.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

from cnnvis.data.explanation import Explanation
from cnnvis.data.loaded_network import LoadedNetwork
from cnnvis.data.samples import Samples
from cnnvis.data.stream import Stream
from cnnvis.execution.transfer import (
    pack_explanation,
    pack_samples,
    unpack_array,
    unpack_explanation,
    unpack_samples,
)
from cnnvis.network.model import Model
from cnnvis.network.targets import as_word, region_of
from cnnvis.registry.discovery import registry


class Sender:
    """The arguments and the answer of one call, on their way to the other process and back.

    Parameters
    ----------
    folder
        The folder for arrays; the sender removes it once the answer is taken.
    path_of
        Function that returns the file of a model's network.
    reading
        Function that reads the files of the other process, which may be invalid.
    """

    def __init__(
        self,
        folder: Path,
        path_of: Callable[[Model], str],
        reading: Callable[[Callable[[], Any]], Any],
    ) -> None:
        self._folder, self._path_of, self._read = folder, path_of, reading
        self._numbers = count()
        self._samples: dict[str, Samples] = {}
        self._model: Model | None = None
        self._console: Any = None

    def pack(self, value: Any) -> dict[str, Any]:
        """Return an argument as JSON, its arrays put into the call's folder."""
        if isinstance(value, Model):
            self._model = value
            return {"model": self._facts(value)}
        if hasattr(value, "is_terminal"):  # rich's console, which no plugin need have imported
            self._console = value
            names = ("width", "color_system")
            of_screen = {name: getattr(value, name) for name in names}
            return {"console": {**of_screen, "force_terminal": value.is_terminal}}
        if isinstance(value, Stream | list) and not _is_plain(value):
            kind = "stream" if isinstance(value, Stream) else "list"
            # The samples of a stream would all be kept here for as long as it goes on.
            keep = not isinstance(value, Stream)
            return {kind: [self._packed(one, keep=keep) for one in value]}
        if isinstance(value, Explanation):
            return {"explanation": self._packed(value)}
        if isinstance(value, Samples):
            folder = self._new()
            pack_samples(value, folder)
            self._samples[str(folder)] = value
            return {"samples": str(folder)}
        if isinstance(value, Path):
            return {"path": str(value.absolute())}
        return {"plain": value}

    def _new(self) -> Path:
        return self._folder / f"in-{next(self._numbers)}"

    def _packed(self, explanation: Explanation, *, keep: bool = True) -> str:
        folder = self._new()
        pack_explanation(explanation, folder)
        if explanation.samples is not None and keep:
            self._samples[str(folder / "samples")] = explanation.samples
        return str(folder)

    def _facts(self, model: Model) -> dict[str, Any]:
        """Return a model as another process can load it: from its file, or from a new file."""
        region = model.asked_region
        return {
            "path": self._path_of(model),
            "loading": dict(model.loading),
            "sha256": model.sha256,
            "class_names": model.class_names,
            "layer": model.asked_layer,
            "filters": model.asked_filters,
            "output": model.asked_output,
            "rank": model.asked_rank,
            "region": None if region is None else list(map(as_word, region_of(region))),
            "has_classes": model.has_classes,
            "tallying": model.blank_reasons is not None,
        }

    def take(self, answer: Mapping[str, Any]) -> None:
        """Take what the call did beside its answer: blank maps counted, text printed."""
        if self._model is not None and self._model.blank_reasons is not None:
            self._model.blank_reasons.extend(map(str, answer.get("blank") or ()))
        if self._console is not None:
            from rich.text import Text

            text = Text.from_ansi(str(answer.get("printed", "")))
            self._console.print(text, soft_wrap=True, highlight=False)

    def unpack(self, value: Any) -> Any:
        """Return the plugin's result, read from the call's folder.

        Raises
        ------
        PluginError
            If it cannot be read.
        """
        kind, held = self._read(lambda: next(iter(value.items())))
        found: Any = held
        match kind:
            case "explanation":
                found = self._explanation(held)
            case "explanations":
                return self._each(held)
            case "samples":  # which stay where they are, to be read as they are wanted
                return self._read(lambda: unpack_samples(Path(held)))
            case "array":
                found = self._read(lambda: unpack_array(Path(held)))
            case "numbers":
                found = self._read(
                    lambda: {str(name): unpack_array(Path(one)) for name, one in held.items()}
                )
            case "network":
                found = self._read(lambda: _network(held))
        # What is mapped from a file that is gone stays there for as long as it is used.
        shutil.rmtree(self._folder, ignore_errors=True)
        return found

    def _explanation(self, folder: Any) -> Explanation:
        found: Explanation = self._read(lambda: unpack_explanation(Path(folder), self._samples))
        return found

    def _each(self, folders: Any) -> Iterator[Explanation]:
        for folder in folders:
            yield self._explanation(folder)
        shutil.rmtree(self._folder, ignore_errors=True)


def _is_plain(value: Any) -> bool:
    """Tell whether a list is an option's value, and not a list of explanations."""
    return isinstance(value, list) and not any(isinstance(one, Explanation) for one in value)


def _network(held: Mapping[str, Any]) -> LoadedNetwork:
    place = Path(held["path"])
    loaded: LoadedNetwork = registry().for_path("loader", place).function(place)
    return replace(
        loaded,
        repairs=tuple(map(str, held["repairs"])),
        cut=dict(held["cut"]),
        cut_learned=bool(held["cut_learned"]),
        origin=str(held["origin"]),
        loss=dict(held["losses"]),
    )
