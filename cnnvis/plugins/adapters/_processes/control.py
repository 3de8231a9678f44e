"""Control of the process of a library: its start, its input and its end."""

from __future__ import annotations

import pickle
import subprocess
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import cnnvis


class LibraryProcess:
    """Process in which a library runs; see `serving` for its other side.

    It ends when its standard input does, so also when this process is killed.

    Parameters
    ----------
    library
        The name of the library, for messages.
    started_by
        Function that returns what starts the process, as `cnnvis.child_process` does.
    remedy
        What to do where it does not start, for the message.
    """

    def __init__(
        self, library: str, started_by: Callable[[], Mapping[str, Any]], remedy: str = ""
    ) -> None:
        self._library = library
        self._remedy = remedy
        self._started_by = started_by
        self._process: subprocess.Popen[bytes] | None = None
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 (as long as the process)

    def stop(self) -> None:
        """End the process."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def _asked(self, request: dict[str, Any]) -> Any:
        """Return the answer to a request.

        Raises
        ------
        UserError
            If the library fails, with its own words.
        """
        process = self._started()
        assert process.stdin is not None and process.stdout is not None
        try:
            pickle.dump(request, process.stdin)
            process.stdin.flush()
            succeeded, answer = pickle.load(process.stdout)
        except (EOFError, BrokenPipeError):
            said = self._last_words()
            self.stop()
            raise cnnvis.UserError(
                f"the process of {self._library} ended before it answered"
                f"{': ' if said else ''}{said}"
            ) from None
        except BaseException:
            self.stop()  # an answer that nobody waits for must not be taken for the next one's
            raise
        if not succeeded:
            raise cnnvis.UserError(answer)
        return answer

    def _started(self) -> subprocess.Popen[bytes]:
        if self._process is not None and self._process.poll() is None:
            return self._process
        self._errors.seek(0)
        self._errors.truncate()
        with cnnvis.progress(f"starting {self._library}"):
            try:
                self._process = subprocess.Popen(
                    **self._started_by(),
                    # It reads no file of anybody's, and Matplotlib would obey one in its folder.
                    cwd=Path(__file__).parent,
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=self._errors,
                )
            except OSError as error:
                raise self._not_started(str(error)) from None
            assert self._process.stdout is not None
            try:
                succeeded, answer = pickle.load(self._process.stdout)
            except Exception:  # it is no such process, or its end
                said = self._last_words()
                succeeded, answer = False, said or "it ended without an answer"
        if not succeeded:
            self.stop()
            raise self._not_started(answer)
        self._begun(answer)
        return self._process

    def _not_started(self, reason: str) -> cnnvis.UserError:
        remedy = f". {self._remedy}" if self._remedy else ""
        return cnnvis.UserError(f"{self._library} does not start: {reason}{remedy}")

    def _begun(self, answer: Any) -> None:
        """Take note of what the process said when it was ready."""

    def _last_words(self) -> str:
        self._errors.seek(0)
        lines = self._errors.read().decode(errors="replace").strip().splitlines()
        return lines[-1] if lines else ""
