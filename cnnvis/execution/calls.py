"""Calls across the border between cnnvis and plugins, which are trusted and may be wrong.

Every call of a plugin crosses it. What is handed over can be read and not changed; what comes back
is looked at; what a plugin must leave alone, in the whole process, is put back as it was.
"""

from __future__ import annotations

import inspect
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from functools import partial
from typing import Any

from cnnvis.data.explanation import Explanation
from cnnvis.data.stream import Stream
from cnnvis.drawing.figure_settings import own_settings
from cnnvis.errors import UserError
from cnnvis.execution import isolation
from cnnvis.execution.process_state import RANDOM, ProcessState
from cnnvis.execution.read_only import own_again, read_only
from cnnvis.registry.all_kinds import KINDS
from cnnvis.registry.failures import as_plugin_error
from cnnvis.registry.plugin import BUILT_IN, Plugin
from cnnvis.reporting import note


def call_plugin(plugin: Plugin, /, *args: Any, **kwargs: Any) -> Any:
    """Call a plugin's function, and check its arguments and its result.

    The function may read its arguments and not change them. Its changes to the process are undone,
    and a note says so: global random numbers, the working directory, the environment, standard
    streams, signal handlers, matplotlib's settings.

    Raises
    ------
    UserError
        As the function does; or if a module that it requires is missing.
    PluginError
        If the function raises anything else, `SystemExit` included, or returns a forbidden result:
        a value of another type, not a map for each sample, the input itself. Only
        `KeyboardInterrupt` passes, and a renderer's `OSError`.
    """
    if plugin.missing:
        raise UserError(f"{plugin.name} cannot run: {plugin.missing}")
    if plugin.kind == "renderer" and plugin.takes("explanations"):
        args = (args[0] if isinstance(args[0], list) else [args[0]], *args[1:])
    if plugin.kind == "renderer" and plugin.takes("stream") and isinstance(args[0], Explanation):
        args = (Stream(partial(list, [args[0]])), *args[1:])
    if isolation.applies(plugin):
        return isolation.called(plugin, args, kwargs)
    given = [read_only(one) for one in args]
    named = {name: read_only(one) for name, one in kwargs.items()}
    drawing = own_settings() if KINDS[plugin.kind].draws else nullcontext()
    with drawing, _watched(plugin), as_plugin_error(plugin):
        answer = plugin.function(*given, **named)
    if plugin.kind == "transform" and not isinstance(answer, Explanation):
        return _each(plugin, answer)
    return _accepted(plugin, answer, given, named)


def _each(plugin: Plugin, answers: Any) -> Iterator[Explanation]:
    """Yield a transform's result batch by batch; nothing else of the transform runs meanwhile."""
    if not plugin.takes("stream") or not isinstance(answers, Iterable):
        raise plugin.failed(f"it gave {type(answers).__name__}, not an Explanation")

    def each() -> Iterator[Explanation]:
        left = iter(answers)
        try:
            while True:
                with _watched(plugin), as_plugin_error(plugin):
                    one = next(left, None)
                if one is None:
                    return
                yield _accepted(plugin, one, (), {})
        finally:
            if inspect.isgenerator(left):
                left.close()

    return each()


def _accepted(plugin: Plugin, answer: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
    """Check a plugin's result against the promises of its kind, and return it."""
    found = KINDS[plugin.kind].accept(plugin, answer, args, kwargs)
    return own_again(found) if isinstance(found, Explanation) else found


# What must stay as it is


@contextmanager
def _watched(plugin: Plugin) -> Iterator[None]:
    """Undo a plugin's changes to the process, and note them."""
    # In another thread, others may be at work here; and only the main one may set signal handlers.
    if plugin.distribution == BUILT_IN or threading.current_thread() is not threading.main_thread():
        yield
        return
    before = ProcessState(pictures=KINDS[plugin.kind].draws)
    try:
        yield
    finally:
        changed = before.put_back()
        if KINDS[plugin.kind].draws_lots and RANDOM in changed:
            changed.remove(RANDOM)
        if changed:
            note(
                f"the {plugin.kind} {plugin.name} of {plugin.origin} changed "
                f"{' and '.join(changed)}, which was put back as it was. {plugin.report_to}"
            )
