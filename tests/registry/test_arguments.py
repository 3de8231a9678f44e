"""Values from which flags, reserved names and the keys of a chain's file are derived."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import fields
from typing import Any

import pytest

import cnnvis
from cnnvis.execution.isolation import isolating
from cnnvis.network.compilation import computing
from cnnvis.registry import flags
from cnnvis.registry.arguments import (
    OF_COMMANDS,
    TITLES,
    Checking,
    Computing,
    DataArguments,
    Isolation,
    LoadOptions,
    RunFolderArguments,
    Styling,
    TargetArguments,
    TopClasses,
    flags_of,
    names_of,
    taken_out,
)

OF_BOTH = (
    *(Styling, Checking, DataArguments, TargetArguments, TopClasses, LoadOptions),
    RunFolderArguments,
    Isolation,
)


def _defaults(function: Callable[..., Any]) -> dict[str, Any]:
    return {name: one.default for name, one in inspect.signature(function).parameters.items()}


def _values(*values: type) -> dict[str, Any]:
    return {one.name: one.default for each in values for one in fields(each)}


@pytest.mark.parametrize("verb", [cnnvis.run, cnnvis.chain])
def test_run_and_chain_take_every_field_with_its_default(verb: Callable[..., Any]) -> None:
    wanted = _values(*OF_BOTH)
    del wanted["isolate_only"]  # for the command line, where a flag cannot be True or names
    found = _defaults(verb)
    assert {name: found[name] for name in wanted} == wanted


@pytest.mark.parametrize("values, manager", [(Computing, computing), (Isolation, isolating)])
def test_settings_of_the_process_are_those_of_the_context_managers(
    values: type, manager: Callable[..., Any]
) -> None:
    wanted = _values(values)
    wanted.pop("isolate_only", None)
    assert _defaults(manager) == wanted


@pytest.mark.parametrize("command", OF_COMMANDS)
def test_no_two_values_of_a_command_share_a_name_or_a_flag(command: str) -> None:
    values = OF_COMMANDS[command]
    names = names_of(*values)
    typed = [flag for each in values for one in flags_of(each).values() for flag in one.names]
    assert len(names) == len(set(names)) and len(typed) == len(set(typed))
    assert all(each in TITLES for each in values)


@pytest.mark.parametrize("command", OF_COMMANDS)
def test_flags_are_the_names_of_the_fields(command: flags.Command) -> None:
    """But for words that Python keeps for itself, and the short names of a chain's own flags."""
    others = {"filter": "--filter", "lambdas": "--lambda", "form": "--as", "save": "--save-chain"}
    for each in OF_COMMANDS[command]:
        for name, flag in flags_of(each).items():
            assert flag.names[0] == others.get(name, "--" + name.replace("_", "-"))
            assert set(flag.names) <= flags.taken(command)
            assert name in flags.names(command)


def test_what_was_typed_is_taken_out() -> None:
    typed = {"layer": "conv", "region": ["1:2"], "data": "a.npz"}
    assert taken_out(typed, TargetArguments) == TargetArguments(layer="conv", region=["1:2"])
    assert typed == {"data": "a.npz"}
