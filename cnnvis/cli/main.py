"""The command ``cnnvis``."""

from __future__ import annotations

import atexit
import os
import shlex
import sys
import traceback
from collections.abc import Sequence

from cnnvis import host
from cnnvis.api.from_python import heard
from cnnvis.cli import streams
from cnnvis.drawing.figure_settings import sheltered
from cnnvis.errors import DiskError, PluginError, Stopped, UserError, was_stopped
from cnnvis.network import backend
from cnnvis.runs import interrupts

INTERRUPTED = 130


def entry() -> None:
    """Run `main` as a process, without the second that TensorFlow needs for its clean-up."""
    codes = [1]
    out = streams.make_lasting()
    backend.leave_extras()
    if not host.can_start_threads():
        # NumPy's library would stop the process; what can be computed with so few says so itself.
        os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

    def leave() -> None:
        sys.stdout.flush()
        if codes[-1] == 0 and (lost := streams.unwritten(out)):
            codes.append(_say(lost, DiskError.code))
        sys.stderr.flush()
        os._exit(codes[-1])

    # Registered first, it comes last: whatever else is to be done in the end has been done.
    atexit.register(leave)
    try:
        main()
    except SystemExit as end:
        codes.append(end.code if isinstance(end.code, int) else int(end.code is not None))
        raise


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit.

    ========  ======================================================================
    0         all is done
    1         a bug
    2         bad use, or an input that is refused
    3         done, but for images that are named; or something that was tested does not hold
    4         not one image could be explained
    5         a disk is full or broken, or has lost the data; a run folder can be resumed
    130, 143  stopped by Ctrl-C, by SIGTERM; a run folder can be resumed
    ========  ======================================================================
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    verbose = "-v" in words or "--verbose" in words
    if not verbose and not sys.warnoptions:
        import warnings

        warnings.simplefilter("ignore")  # of Keras and others, for whoever develops with them
    if verbose:
        _log()
    code = 0
    try:
        from cnnvis.cli.plugins import chosen_plugins

        with (
            heard(),
            interrupts.watching(_resuming(words)),
            sheltered(),
            chosen_plugins(words) as words,
        ):
            from cnnvis.cli.command_line import parsed

            values = parsed(words)
            command = values.pop("command")
            _say_what_is_passed_over()
            code = command(**values) or 0
            sys.stdout.flush()
    except UserError as error:
        # Where a disk was full, it is no mistake of whoever typed this, whatever failed of it.
        code = _say(str(error), DiskError.code if _refused(error) else error.code)
    except PluginError as error:
        if verbose and error.__cause__ is not None:
            _trace(error.__cause__)
        hint = "" if verbose else " The option -v shows a traceback to report."
        code = _say(f"{error}{hint}", 1)
    except Stopped as stop:
        code = _say(str(stop), 128 + stop.signal)
    except KeyboardInterrupt:
        code = _say("stopped", INTERRUPTED)
    except Exception as error:
        if was_stopped(error):
            code = _say("stopped", INTERRUPTED)
        elif refused := _refused(error):
            code = _say(refused, DiskError.code)
        elif short := host.shortage(error):
            code = _say(short, UserError.code)
        else:
            if verbose:
                _trace(error)
            hint = "" if verbose else "; the option -v shows a traceback to report"
            code = _say(f"{type(error).__name__}: {error}. This is a bug in cnnvis{hint}", 1)
    sys.exit(code)


def _refused(error: Exception) -> str | None:
    """Return the sentence for a disk that cannot be written to; None for another error."""
    from cnnvis.files.writing import fault_of_disk

    fault = fault_of_disk(error)
    if fault is None:
        return None
    name = getattr(error, "filename", None)
    what = "a file" if name is None else repr(str(name))
    return f"{what} cannot be written: {fault}"


def _resuming(words: Sequence[str]) -> str:
    """Return the command that continues the work of the command of these words."""
    return shlex.join(["cnnvis", *words, *([] if "--resume" in words else ["--resume"])])


def _say_what_is_passed_over() -> None:
    from cnnvis.settings.defaults import FILE, strangers_files

    for path in strangers_files():
        from cnnvis.cli import console

        sentence = (
            f"the settings in {str(path)!r} belong to another user and are not read; your own "
            f"{FILE} replaces them"
        )
        console.messages().print(console.sentence("note", "bold", sentence))


def _say(text: str, code: int) -> int:
    from cnnvis.cli import console

    console.errors().print(console.sentence("error", "bold red", text))
    return code


def _trace(error: BaseException) -> None:
    """Print a traceback; the texts of exceptions hold names, too."""
    from cnnvis.cli import console

    lines = "".join(traceback.format_exception(error))
    console.errors().print(console.words(lines, lines=True), highlight=False)


def _log() -> None:
    """Have what cnnvis logs printed, unless somebody sees to that already."""
    import logging

    from cnnvis.text import printable

    class Plain(logging.Formatter):
        def format(self, record: logging.LogRecord) -> str:
            return printable(super().format(record), lines=True)

    handler = logging.StreamHandler()
    handler.setFormatter(Plain("%(message)s"))
    logging.basicConfig(handlers=[handler])
    logging.getLogger("cnnvis").setLevel(logging.INFO)
