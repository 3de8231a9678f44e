"""The process that one plugin runs in, away from everything else; see `cnnvis.execution.isolation`.

It reads requests from its standard input, a line of JSON each, and answers likewise. Arrays are in
files. What the plugin prints goes where errors go.
"""

from __future__ import annotations

import faulthandler
import io
import json
import os
import queue
import sys
import threading
import traceback
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from cnnvis import host
from cnnvis.errors import PluginError, UserError


def main() -> None:
    """Answer requests until they end."""
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    _leave_no_core()
    faulthandler.enable()
    requests: queue.Queue[dict[str, Any]] = queue.Queue()
    source = sys.stdin.buffer

    def read() -> None:
        try:
            for line in source:
                requests.put(json.loads(line))
        finally:
            os._exit(0)  # nobody is there any more

    # In a thread of its own, so that the end of the other process is noticed during a long call.
    threading.Thread(target=read, daemon=True).start()
    place = _Place()
    while True:
        answers.write(json.dumps(place.answered(requests.get())).encode() + b"\n")
        answers.flush()


def _leave_no_core() -> None:
    try:
        import resource

        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    except (ImportError, ValueError, OSError):
        pass  # not on this system


class _Place:
    """Server of requests for one plugin, and for the network that the plugin explains."""

    def __init__(self) -> None:
        self._plugin: Any = None
        self._models: dict[str, Any] = {}
        self._computing = ExitStack()

    def answered(self, request: dict[str, Any]) -> dict[str, Any]:
        """Return the answer to a request, also where the plugin fails."""
        from cnnvis.reporting import notes_kept

        with notes_kept() as notes:
            try:
                answer = self._done(request)
            except UserError as error:
                answer = {
                    "failure": "user",
                    "text": str(error),
                    "kind": type(error).__name__,
                    "short": bool(host.shortage(error)),
                }
            except (PluginError, Exception) as error:
                known = (
                    error
                    if isinstance(error, PluginError)
                    else self._plugin.failed(f"{type(error).__name__}: {error}")
                )
                trace = "".join(traceback.format_exception(error.__cause__ or error))
                answer = {"failure": "plugin", "text": str(known), "trace": trace}
        return {**answer, "notes": notes}

    def _done(self, request: dict[str, Any]) -> dict[str, Any]:
        if self._plugin is None:
            return self._found(request)
        from cnnvis.execution.calls import call_plugin
        from cnnvis.network.backend import keras
        from cnnvis.registry.options import checked, options_of

        self._blank: list[str] = []
        self._printed = io.StringIO()
        args = [self._unpacked(one) for one in request["args"]]
        kwargs = {name: self._unpacked(one) for name, one in request["kwargs"].items()}
        options = {one.name for one in options_of(self._plugin)} & kwargs.keys()
        kwargs |= checked(self._plugin, {name: kwargs[name] for name in options})
        of = kwargs.get("samples", getattr(args[0], "samples", None) if args else None)
        if "model" in kwargs and of is not None:
            kwargs["model"] = kwargs["model"].with_inputs_held(of)
        if self._plugin.kind == "loader":
            keras()
        answer = self._packed(call_plugin(self._plugin, *args, **kwargs), Path(request["out"]))
        return {"value": answer, "blank": self._blank, "printed": self._printed.getvalue()}

    def _found(self, request: dict[str, Any]) -> dict[str, Any]:
        """Find the plugin as the other process did."""
        from cnnvis.drawing.figure_settings import sheltered
        from cnnvis.network.compilation import computing_as
        from cnnvis.registry import discovery

        self._computing.enter_context(sheltered())
        known = discovery.Registry(only=request["only"])
        for file in request["files"]:
            known.add_file(Path(file))
        discovery._in_use.append(known)
        self._computing.enter_context(computing_as(request["computing"]))
        self._plugin = known.get(request["kind"], request["name"])
        return {}

    def _unpacked(self, value: dict[str, Any]) -> Any:
        """Return an argument from what the other process made of it."""
        from cnnvis.data.stream import Stream
        from cnnvis.execution.transfer import unpack_explanation, unpack_samples

        ((kind, held),) = value.items()
        match kind:
            case "model":
                model = self._model(held)
                return model.with_blank_reasons(self._blank) if held["tallying"] else model
            case "console":
                from cnnvis.drawing.console import Screen

                return Screen(file=self._printed, **held)
            case "stream":
                return Stream(lambda: (unpack_explanation(Path(one)) for one in held))
            case "list":
                return [unpack_explanation(Path(one)) for one in held]
            case "explanation":
                return unpack_explanation(Path(held))
            case "samples":
                return unpack_samples(Path(held))
            case "path":
                return Path(held)
        return held

    def _packed(self, answer: Any, out: Path) -> dict[str, Any]:
        """Return the plugin's result as JSON, its arrays put into a folder."""
        from cnnvis.data.explanation import Explanation
        from cnnvis.data.loaded_network import LoadedNetwork
        from cnnvis.data.samples import Samples
        from cnnvis.execution.transfer import pack_arrays, pack_explanation, pack_samples

        out.mkdir()
        if isinstance(answer, Explanation):
            pack_explanation(answer, out / "explanation")
            return {"explanation": str(out / "explanation")}
        if isinstance(answer, Samples):
            pack_samples(answer, out / "samples")
            return {"samples": str(out / "samples")}
        if isinstance(answer, LoadedNetwork):
            return {"network": self._saved(answer, out / "network.keras")}
        if isinstance(answer, Iterator):
            folders = []
            for number, one in enumerate(answer):
                pack_explanation(one, out / str(number))
                folders.append(str(out / str(number)))
            return {"explanations": folders}
        if self._plugin.kind == "metric":
            return {"numbers": pack_arrays(answer, out)}
        if self._plugin.kind == "baseline" and not isinstance(answer, str):
            return {"array": pack_arrays({"baseline": answer}, out)["baseline"]}
        return {"plain": answer}

    def _saved(self, loaded: Any, path: Path) -> dict[str, Any]:
        from cnnvis.network.losses import losses_of

        try:
            loaded.network.save(path)
        except Exception as error:
            raise UserError(
                f"the network that {self._plugin.name} loads cannot leave an isolated process "
                f"({type(error).__name__}: {str(error)[:200]}); load it without --isolate"
            ) from error
        return {
            "path": str(path),
            "repairs": list(loaded.repairs),
            "cut": dict(loaded.cut),
            "cut_learned": loaded.cut_learned,
            "origin": loaded.origin,
            "losses": losses_of(loaded.network, loaded.loss),
        }

    def _model(self, facts: dict[str, Any]) -> Any:
        """Return the network, loaded once, at a target."""
        from cnnvis.execution.loading import loaded_from
        from cnnvis.files.snapshots import changed

        key = json.dumps([facts["path"], facts["loading"], facts["sha256"]])
        target = {name: facts[name] for name in ("layer", "filters", "output", "region")}
        if key not in self._models:
            model = loaded_from(Path(facts["path"]), facts["loading"])
            if facts["sha256"] not in (None, model.sha256):
                raise changed(Path(facts["path"]))
            self._models[key] = model
        asked = ("class_names", "has_classes", "rank")
        where = f"{key} {json.dumps([target, *(facts[name] for name in asked)])}"
        if where not in self._models:
            names = facts["class_names"]
            at = self._models[key].with_target(**target, class_names=names)
            at = at.with_classes_decided(facts["has_classes"])
            self._models[where] = at if facts["rank"] is None else at.with_rank(facts["rank"])
        return self._models[where]


if __name__ == "__main__":
    main()
