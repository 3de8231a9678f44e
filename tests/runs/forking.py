"""Imports TensorFlow once, and then runs each command that it is told in a process of its own.

Reads lines of JSON: the words of a command and the file that takes what it says; answers each with
the process's id, and with its exit status once that has ended.
"""

import json
import os
import sys

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
os.environ["TF_NUM_INTRAOP_THREADS"] = "1"

import keras  # noqa: F401
import tensorflow  # noqa: F401

for line in sys.stdin:
    words, said = json.loads(line)
    child = os.fork()
    if child == 0:
        file = os.open(said, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        for stream in (1, 2):
            os.dup2(file, stream)
        sys.argv = ["cnnvis", *words]
        from cnnvis.cli import entry

        entry()
    print(child, flush=True)
    _, status = os.waitpid(child, 0)
    print(os.waitstatus_to_exitcode(status), flush=True)
