"""Plugins in separate processes, whose crashes, hangs or memory use affect nothing else.

This is the side that asks; `cnnvis.execution.isolated` is the process that answers.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, ParamSpec, TypeVar

from cnnvis import host
from cnnvis.errors import UserError, nearest
from cnnvis.execution.worker import GB, Worker
from cnnvis.registry.discovery import registry
from cnnvis.registry.plugin import BUILT_IN, Plugin
from cnnvis.reporting import progress

TIMEOUT = 600.0
"""Default timeout of one call in seconds: of a batch of images, of a picture."""

SHARE = 0.8
"""Default share of the available memory that a process may use."""

P = ParamSpec("P")
T = TypeVar("T")
Which = bool | str | Sequence[str]


@dataclass
class _Isolation:
    """Plugins that run in their own process, with the limits for them and the running processes."""

    names: frozenset[str] | None
    timeout: float
    memory: float
    workers: dict[tuple[str, str], Worker] = field(default_factory=dict)

    def takes(self, plugin: Plugin) -> bool:
        if self.names is None:
            return plugin.distribution != BUILT_IN
        return plugin.name in self.names

    def worker(self, plugin: Plugin) -> Worker:
        key = (plugin.kind, plugin.name)
        if key not in self.workers:
            self.workers[key] = Worker(plugin, self.timeout, self.memory)
        return self.workers[key]


_current: ContextVar[_Isolation | None] = ContextVar("isolation", default=None)


@contextlib.contextmanager
def isolating(
    isolate: Which = False,
    isolate_timeout: float | None = None,
    isolate_memory: float | None = None,
) -> Iterator[None]:
    """Run plugins that are called inside the block in separate processes.

    Parameters
    ----------
    isolate
        The plugins to run apart: all that are not built in, or those of some names.
    isolate_timeout
        The maximum number of seconds of a call; 600 by default.
    isolate_memory
        The maximum memory of such a process in GB (2^30 bytes); by default four fifths of the
        available memory.

    Raises
    ------
    UserError
        If there is no plugin of a name, or a limit is not above zero.
    """
    for what, value in (("isolate_timeout", isolate_timeout), ("isolate_memory", isolate_memory)):
        if value is not None and not value > 0:
            raise UserError(f"{what} is {value:g}, and must be above zero")
    names = None if isinstance(isolate, bool) else _names(isolate)
    if isolate is False or names == frozenset():
        yield
        return
    memory = SHARE * host.available_memory() if isolate_memory is None else isolate_memory * GB
    here = _Isolation(names, TIMEOUT if isolate_timeout is None else isolate_timeout, memory)
    token = _current.set(here)
    try:
        yield
    finally:
        _current.reset(token)
        for worker in here.workers.values():
            worker.close()


def isolates(function: Callable[P, T]) -> Callable[P, T]:
    """Make a function obey its arguments ``isolate...``, which are those of `isolating`."""

    @functools.wraps(function)
    def within(*args: P.args, **kwargs: P.kwargs) -> T:
        names = ("isolate", "isolate_timeout", "isolate_memory")
        settings: dict[str, Any] = {name: kwargs.pop(name) for name in names if name in kwargs}
        with isolating(**settings) if settings else contextlib.nullcontext():
            return function(*args, **kwargs)

    return within


def _names(isolate: str | Sequence[str]) -> frozenset[str]:
    names = [isolate] if isinstance(isolate, str) else list(isolate)
    known = [plugin.name for plugin in registry()]
    for name in names:
        if name not in known:
            raise UserError(f"there is no plugin named {name!r} to isolate.{nearest(name, known)}")
    return frozenset(names)


def isolates_plugins() -> bool:
    """Tell whether any plugins run in processes of their own."""
    return _current.get() is not None


def applies(plugin: Plugin) -> bool:
    """Tell whether a plugin runs in its own process."""
    here = _current.get()
    return here is not None and here.takes(plugin)


def called(plugin: Plugin, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
    """Return the result of a plugin, computed in its own process."""
    here = _current.get()
    assert here is not None
    with progress(f"{plugin.name}, isolated"):
        return here.worker(plugin).called(args, kwargs)
