"""The other side of a library's process: requests on standard input, answers on standard output.

It runs in environments without cnnvis, and so imports the standard library alone.
"""

from __future__ import annotations

import os
import pickle
import queue
import sys
import threading
from collections.abc import Callable
from typing import Any


class Unsuitable(Exception):
    """Reason why a library cannot do what it is asked for, in a sentence for a person."""


def serve(library: str, begin: Callable[[], tuple[Any, Callable[[dict[str, Any]], Any]]]) -> None:
    """Answer requests from standard input on standard output until there are no more.

    Parameters
    ----------
    library
        The name of the library, for messages.
    begin
        Function that imports the library, and returns what to say when it is ready and a function that
        carries out a request.
    """
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what libraries print must not get between the answers
    requests: queue.Queue[dict[str, Any]] = queue.Queue()
    source = sys.stdin.buffer

    def read() -> None:
        try:
            while True:
                requests.put(pickle.load(source))
        except BaseException:  # whatever it was: nobody is there any more
            os._exit(0)

    # In a thread of its own, so that the end of the other process is noticed during a long call.
    threading.Thread(target=read, daemon=True).start()

    def answer(succeeded: bool, what: Any) -> None:
        pickle.dump((succeeded, what), answers)
        answers.flush()

    try:
        ready, answered = begin()
    except Exception as error:
        answer(False, f"{type(error).__name__}: {error}")
        return
    answer(True, ready)
    while True:
        request = requests.get()
        try:
            answer(True, answered(request))
        except Unsuitable as error:
            answer(False, str(error))
        except Exception as error:  # whatever the library raises is for the other process to tell
            answer(False, f"{library} cannot do this: {type(error).__name__}: {error}")
