"""Imports once what first looks at files need, and then does each look in a process of its own.

Listens at the socket that it is told. `asking.py` sends the words of a look, and its open files.
"""

import array
import fcntl
import os
import select
import signal
import socket
import sys
from contextlib import suppress

import h5py  # noqa: F401
import numpy  # noqa: F401

from cnnvis.files import sandbox


def look(words: list[str], numbers: list[int], files: list[int]) -> None:
    """Do a look, in this process, whose open files get the numbers that they have for who asks."""
    moved = [fcntl.fcntl(file, fcntl.F_DUPFD, 1000) for file in files]
    os.closerange(3, 1000)
    for file, number in zip(moved, numbers, strict=True):
        os.dup2(file, number)
        os.close(file)
    sandbox._main(*words)


def answer(asking: socket.socket) -> None:
    """Start a look, and say how it ended; end it when nobody waits for it any more."""
    fds = array.array("i")
    message, [(_, _, data)], *_ = asking.recvmsg(65536, socket.CMSG_SPACE(64 * fds.itemsize))
    fds.frombytes(data)
    numbers, *words = message.decode("utf-8", "surrogateescape").split("\0")
    child = os.fork()
    if child == 0:
        try:
            look(words, [*map(int, numbers.split(","))], list(fds))
        finally:
            sys.excepthook(*sys.exc_info())
            os._exit(1)
    for one in fds:
        os.close(one)
    ended = os.pidfd_open(child)
    if ended not in select.select([asking, ended], [], [])[0]:
        os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    with suppress(OSError):  # whoever asked was ended
        asking.sendall(str(os.waitstatus_to_exitcode(status)).encode())
    os._exit(0)


listening = socket.socket(socket.AF_UNIX)
listening.bind(sys.argv[1])
listening.listen(64)
print("listening", flush=True)
while True:
    # It ends with its input, and so with the tests.
    if sys.stdin in select.select([listening, sys.stdin], [], [])[0]:
        break
    asking, _ = listening.accept()
    if os.fork() == 0:
        listening.close()
        answer(asking)
    asking.close()
    with suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
