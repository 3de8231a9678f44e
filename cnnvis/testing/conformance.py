"""Checks that every plugin, whoever wrote it, must pass.

From a terminal, ``cnnvis test-plugin my-method``; in a package's tests::

    import cnnvis.testing

    test_my_method = cnnvis.testing.conformance("my-method")

A technique is run on small networks over one, two and three axes, with channels first and last, with
several inputs; on one sample and on many, in another order, twice; on networks of other weights and
other targets; on what it must refuse. Its maps must be bright where a network looks, and move as the
image moves (`cnnvis.testing.known_answers`). What it claims (`cnnvis.registry.plugin.Claim`) is
held against closed forms. The other kinds of plugins are held to what their decorators promise.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from cnnvis.errors import PluginError, UserError
from cnnvis.registry.discovery import Registry, registry, using
from cnnvis.registry.options import checked, options_of
from cnnvis.registry.plugin import Plugin, plugin_of
from cnnvis.testing.baselines import checks_of_baselines
from cnnvis.testing.judging import NotApplicable, Violation
from cnnvis.testing.maps import checks_of_maps
from cnnvis.testing.metrics import checks_of_metrics
from cnnvis.testing.other_kinds import (
    checks_of_loaders,
    checks_of_others,
    checks_of_readers,
    checks_of_renderers,
    checks_of_transforms,
)
from cnnvis.testing.subject import Subject

HEAVY = (
    *("tensorflow", "keras", "tf_keras", "torch", "jax", "matplotlib", "scipy", "pandas"),
    *("sklearn", "skimage", "cv2"),
)
"""Modules that take too long to import for a command that only lists or helps."""


@dataclass(frozen=True)
class Check:
    """Check that a plugin must pass.

    A call raises `Violation` if the plugin does not pass, and `NotApplicable` if the question does
    not arise.
    """

    name: str
    function: Callable[[], None]

    def __call__(self) -> None:
        """Run the check."""
        try:
            self.function()
        except PluginError as error:
            raise Violation(str(error)) from error
        except UserError as error:
            raise NotApplicable(f"the plugin refuses: {error}") from error


def checks(
    plugin: str | Callable[..., Any], *, file: Path | None = None, **options: Any
) -> list[Check]:
    """Return all checks of a plugin.

    Parameters
    ----------
    plugin
        Name of the plugin, or its function.
    file
        For a reader or loader: a file that it takes.
    options
        Options of the plugin to run it with, where its defaults do not fit small networks.

    Raises
    ------
    UserError
        If there is no such plugin or option.
    """
    known = registry()
    if isinstance(plugin, str):
        found = _named(known, plugin)
    else:
        marked = plugin_of(plugin)
        if marked is None:
            raise UserError(
                f"{plugin!r} is no plugin: decorate it, for example with cnnvis.technique"
            )
        found = replace(marked, distribution=plugin.__module__.partition(".")[0])
        known = Registry(only=registry().only)
        found = known.add(found)
    if found.missing:
        raise UserError(f"{found.name} cannot run: {found.missing}")
    checked(found, options)
    subject = Subject(known, found, options)
    every = {
        "its options are documented and their defaults are valid": lambda: _documented(found),
        "importing it imports nothing heavy": lambda: _light(found),
    }
    match found.kind:
        case "technique" if (found.gives or "images") == "images":
            every |= checks_of_maps(subject)
        case "technique":
            every |= checks_of_others(subject)
        case "transform":
            every |= checks_of_transforms(subject)
        case "metric":
            every |= checks_of_metrics(subject)
        case "baseline":
            every |= checks_of_baselines(subject)
        case "renderer":
            every |= checks_of_renderers(subject)
        case "reader":
            every |= checks_of_readers(subject, file)
        case "loader":
            every |= checks_of_loaders(subject, file)
    return [Check(name, _within(known, function)) for name, function in every.items()]


def conformance(plugin: str | Callable[..., Any], **options: Any) -> Callable[..., None]:
    """Make a pytest test that runs every check: ``test_it = cnnvis.testing.conformance("mine")``.

    The arguments are those of `checks`. The plugin is looked up when the test runs.
    """
    import pytest

    def test_conformance(check: Check) -> None:
        try:
            check()
        except NotApplicable as reason:
            pytest.skip(str(reason))

    try:
        every = checks(plugin, **options)
    except (UserError, PluginError) as error:
        reason = error

        def refused() -> None:
            raise reason

        every = [Check("it can be used", refused)]
    mark = pytest.mark.parametrize("check", every, ids=lambda check: check.name.replace(" ", "-"))
    return mark(test_conformance)


def _named(known: Registry, name: str) -> Plugin:
    fitting = [plugin for plugin in known if plugin.name == name]
    if fitting:
        return fitting[0]
    return known.step(name)


def _within(known: Registry, function: Callable[[], None]) -> Callable[[], None]:
    def within() -> None:
        with using(known):
            function()

    return within


# What is asked of every plugin


def _documented(plugin: Plugin) -> None:
    if not plugin.summary:
        raise Violation(
            f"{plugin.name} has no docstring, so the help has no description: add a docstring"
        )
    without = [option.name for option in options_of(plugin) if not option.help]
    if without:
        raise Violation(
            f"the docstring does not describe {', '.join(without)}: list each option under "
            "Parameters, in NumPy's style"
        )
    for option in options_of(plugin):
        try:
            checked(replace(plugin, check=None), {option.name: option.default})
        except UserError as error:
            raise Violation(f"the default cannot be typed as an option: {error}") from None


def _light(plugin: Plugin) -> None:
    module = sys.modules[plugin.function.__module__]
    path = getattr(module, "__file__", None)
    name = module.__name__
    if name.startswith("__") or path is None:
        raise NotApplicable("it is not imported from a module")
    loading = (
        f"import importlib.util as u; s = u.spec_from_file_location({name!r}, {path!r}); "
        f"m = u.module_from_spec(s); sys.modules[{name!r}] = m; s.loader.exec_module(m)"
        if name.startswith("cnnvis_plugin_file_")
        else f"import {name}"
    )
    program = (
        f"import sys; sys.path[:] = {sys.path!r}; {loading}; "
        f"print(*sorted({set(HEAVY)!r} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    if done.returncode:
        raise NotApplicable(f"{name} cannot be imported by itself: {done.stderr.strip()[-200:]}")
    if done.stdout.split():
        raise Violation(
            f"importing {name} imports {', '.join(done.stdout.split())}, and every command would "
            "wait for it: import it inside the function that uses it"
        )
