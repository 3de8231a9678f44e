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

from cnnvis.errors import PluginError, UserError


def main() -> None:
    """Answer requests until there are no more."""
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
    """One plugin, and the network that it explains."""

    def __init__(self) -> None:
        self._plugin: Any = None
        self._models: dict[str, Any] = {}
        self._computing = ExitStack()

    def answered(self, request: dict[str, Any]) -> dict[str, Any]:
        """What is to be answered to a request; also where the plugin fails."""
        from cnnvis.reporting import notes_kept

        with notes_kept() as notes:
            try:
                answer = self._done(request)
            except UserError as error:
                answer = {"failure": "user", "text": str(error)}
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
        from cnnvis.registry.options import checked

        kind = self._plugin.kind
        options = checked(self._plugin, request.pop("options"))
        answer: dict[str, Any] = getattr(self, f"_{kind}")(options, **request)
        return answer

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

    def _called(self, *args: Any, **kwargs: Any) -> Any:
        from cnnvis.execution.calls import call_plugin

        return call_plugin(self._plugin, *args, **kwargs)

    def _technique(
        self, options: dict[str, Any], *, model: Any, samples: str | None, out: str
    ) -> dict[str, Any]:
        from cnnvis.execution.transfer import pack_explanation, unpack_samples

        given: dict[str, Any] = {}
        if samples is not None:
            given["samples"] = unpack_samples(Path(samples))
        blank: list[str] = []
        if model is not None:
            at = self._model(model)
            at = at.with_inputs_held(given["samples"]) if samples is not None else at
            given["model"] = at.with_blank_reasons(blank) if model["tallying"] else at
        pack_explanation(self._called(**given, **options), Path(out))
        return {"blank": blank}

    def _model(self, facts: dict[str, Any]) -> Any:
        """The network, loaded once, at a target."""
        from cnnvis.execution.loading import loaded_from
        from cnnvis.files.snapshots import changed

        key = json.dumps([facts["path"], facts["loading"], facts["sha256"]])
        target = {name: facts[name] for name in ("layer", "filters", "output", "region")}
        if key not in self._models:
            model = loaded_from(Path(facts["path"]), facts["loading"])
            if facts["sha256"] not in (None, model.sha256):
                raise changed(Path(facts["path"]))
            self._models[key] = model
        where = f"{key} {json.dumps([target, facts['class_names'], facts['has_classes']])}"
        if where not in self._models:
            names = facts["class_names"]
            at = self._models[key].with_target(**target, class_names=names)
            self._models[where] = at.with_classes_decided(facts["has_classes"])
        return self._models[where]

    def _transform(
        self, options: dict[str, Any], *, folder: str, count: int, kind: str
    ) -> dict[str, Any]:
        from cnnvis.data.explanation import Explanation
        from cnnvis.data.stream import Stream
        from cnnvis.execution.transfer import pack_explanation, unpack_explanation

        place = Path(folder)

        def parts() -> Iterator[Explanation]:
            return (unpack_explanation(place / f"in-{number}") for number in range(1, count + 1))

        given: Any = Stream(parts) if kind == "stream" else list(parts())
        found = self._called(given[0] if kind == "one" else given, **options)
        if isinstance(found, Explanation):
            pack_explanation(found, place / "out-0")
            return {}
        made = 0
        for made, one in enumerate(found, 1):
            pack_explanation(one, place / f"out-{made - 1}")
        return {"count": made}

    def _renderer(
        self,
        options: dict[str, Any],
        *,
        explanation: str,
        path: str | None = None,
        console: dict[str, Any] | None = None,
    ) -> dict[str, Any]:
        from cnnvis.execution.transfer import unpack_explanation

        shown = unpack_explanation(Path(explanation))
        if path is not None:
            self._called(shown, Path(path), **options)
            return {}
        from cnnvis.drawing.console import Screen

        file = io.StringIO()
        self._called(shown, Screen(file=file, **(console or {})), **options)
        return {"text": file.getvalue()}

    def _reader(self, options: dict[str, Any], *, path: str, out: str) -> dict[str, Any]:
        from cnnvis.execution.transfer import pack_samples

        pack_samples(self._called(Path(path), **options), Path(out))
        return {}

    def _loader(self, options: dict[str, Any], *, path: str, out: str) -> dict[str, Any]:
        from cnnvis.network.backend import keras
        from cnnvis.network.losses import losses_of

        keras()
        loaded = self._called(Path(path), **options)
        try:
            loaded.network.save(out)
        except Exception as error:
            raise UserError(
                f"what {self._plugin.name} loads cannot be handed over by a process of its own "
                f"({type(error).__name__}: {str(error)[:200]}); load it without --isolate"
            ) from error
        return {
            "repairs": list(loaded.repairs),
            "cut": dict(loaded.cut),
            "cut_learned": loaded.cut_learned,
            "origin": loaded.origin,
            "losses": losses_of(loaded.network, loaded.loss),
        }


if __name__ == "__main__":
    main()
