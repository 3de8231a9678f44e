"""The command ``cnnvis``."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from cnnvis.errors import UserError

MISUSE = 2
INTERRUPTED = 130


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit: 0 done, 1 a bug, 2 bad use or refused input, 130 stopped."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    try:
        sys.exit(_run(words))
    except UserError as error:
        code = _say(str(error), MISUSE)
    except KeyboardInterrupt:
        code = _say("stopped", INTERRUPTED)
    except BrokenPipeError:
        # Whoever read the output has gone; Python must not complain of it again while it ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 0
    except Exception as error:
        if "-v" in words or "--verbose" in words:
            raise
        code = _say(
            f"{type(error).__name__}: {error}. This is a bug in cnnvis or in one of its plugins; "
            "with -v there is a traceback to report",
            1,
        )
    sys.exit(code)


def _run(words: list[str]) -> int:
    from cyclopts import CycloptsError

    from cnnvis.cli.app import app

    try:
        app(words, exit_on_error=False, print_error=False, result_action="return_value")
    except CycloptsError as error:
        return _say(str(error), MISUSE)
    return 0


def _say(sentence: str, code: int) -> int:
    from rich.console import Console
    from rich.text import Text

    console = Console(stderr=True, soft_wrap=True)
    console.print(Text.assemble(("error: ", "bold red"), sentence))
    return code
