"""``cnnvis report``: its arguments, and what is done with them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from cnnvis.cli import parser as parsing
from cnnvis.cli.commands import shared
from cnnvis.registry import flags
from cnnvis.registry.arguments import OF_COMMANDS, Messages, ReportOutput, taken_out

ABOUT = """Make one page on a model and data, to send: a file that opens in any browser.

The page shows maps of wrong, certain, uncertain and typical answers, checks of the techniques, facts
about the model and the data, and how to repeat it. It needs no network and no other file.
"""

EXAMPLES = """Examples:
  cnnvis report demo
  cnnvis report model.keras -d images/ --methods saliency grad-cam -o report.html
  cnnvis report demo --methods saliency smoothgrad --by label --html.limit 32
"""


def add_to(below: Any, words: Sequence[str] | None) -> None:
    """Add the command's parser; options of other plugins only where they may be typed."""
    parser = parsing.command(below, "report", ABOUT)
    parser.usage = "cnnvis report MODEL -d DATA [options]"
    parser.epilog = EXAMPLES
    parser.set_defaults(command=main, parser=parser)
    parser.add_argument("model", metavar="MODEL", help="a model's file, or demo")
    if words is None or words[:1] == ["report"]:
        flags.add(parser, *OF_COMMANDS["report"])
        parsing.add_side_flags(parser, "metric", "renderer", "loader", "reader")


def main(model: str, **values: Any) -> int:
    """Make the page, and print its path."""
    from cnnvis.cli.report import reported

    others = shared.options_of_plugins(values)
    shared.add_general_settings(values)
    with shared.computing_as_asked(values):
        output, messages = taken_out(values, ReportOutput), taken_out(values, Messages)
        return reported(model, others, output, messages, values)
