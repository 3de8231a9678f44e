"""Checks that every plugin, whoever wrote it, must pass: see `conformance` and `checks`."""

from cnnvis.testing.conformance import Check, checks, conformance
from cnnvis.testing.judging import NotApplicable, Violation

__all__ = ["Check", "NotApplicable", "Violation", "checks", "conformance"]
