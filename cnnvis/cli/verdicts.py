"""Verdicts of checks on the command line, a line for each."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

from cnnvis.cli import console
from cnnvis.data.verdict import Outcome, Verdict
from cnnvis.explain.checks import LEFT_OUT, NOT_COMPUTED
from cnnvis.explain.measuring import MEASURED

Verdicts = Mapping[tuple[str, str, str], tuple[str, str]]
"""Outcomes and meanings of verdicts, by technique, input and metric."""

SHARED = {
    LEFT_OUT: ("left out for lack of time", "--checks full computes all"),
    "information": ("no verdict", "-v says why"),
}
"""Outcomes whose checks share a line, unless messages are verbose: what the line says of them, and how."""

STYLES = {"passed": "green", "warned": "yellow", "failed": "bold red", "information": "dim"}


def print_verdicts(verdicts: Verdicts, messages: console.Screen, verbose: bool) -> None:
    """Print a line for each verdict: its sign, the check's name, the outcome and the meaning.

    Checks that judge nothing share a line, unless the messages are `verbose` or a check failed to be
    computed.
    """
    techniques = {technique for technique, _, _ in verdicts}
    silent: dict[tuple[str, str, str], list[str]] = {}
    for (technique, of, metric), (outcome, meaning) in verdicts.items():
        whose = f" of {technique}" if len(techniques) > 1 else ""
        whose += f" of {of}" if of else ""
        if outcome in SHARED and not verbose:
            silent.setdefault((whose, *SHARED[outcome]), []).append(metric)
            continue
        if outcome in (LEFT_OUT, NOT_COMPUTED):
            outcome = "information"
        if outcome == MEASURED:
            messages.print(console.sentence(f"- {metric}{whose}", STYLES["information"], meaning))
            continue
        said = Verdict(cast(Outcome, outcome), meaning)
        label = f"{said.sign} {metric}{whose} {outcome}"
        messages.print(console.sentence(label, STYLES[outcome], meaning))
    for (whose, what, how), metrics in silent.items():
        named = f"{', '.join(metrics)} ({how})"
        messages.print(console.sentence(f"- {what}{whose}", STYLES["information"], named))


def has_failed(verdicts: Verdicts) -> bool:
    """Tell whether the verdict of a check is that maps failed."""
    return any(outcome == "failed" for outcome, _ in verdicts.values())
