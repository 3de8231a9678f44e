"""Imports TensorFlow once, and then runs each command that it is told in a process of its own.

Reads lines of JSON, see `servers.Server.start`; answers each with the process's id, and with its exit
status once that has ended.
"""

import ctypes
import importlib
import json
import os
import pkgutil
import sys
import tempfile

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
os.environ["TF_NUM_INTRAOP_THREADS"] = "1"

# What commands import of others' libraries, once and not in each of them.
import h5py  # noqa: F401
import keras  # noqa: F401
import matplotlib.backends.backend_agg
import matplotlib.backends.backend_svg  # noqa: F401
import rich.progress  # noqa: F401
import tensorflow  # noqa: F401
import zarr  # noqa: F401

import cnnvis
from cnnvis.cli.main import entry
from cnnvis.registry.discovery import registry

# And cnnvis itself, but for what runs when it is imported, or needs others' packages.
for module in pkgutil.walk_packages(cnnvis.__path__, "cnnvis."):
    if not {"__main__", "adapters", "demo"} & set(module.name.split(".")):
        importlib.import_module(module.name)
registry()

for line in sys.stdin:
    told = json.loads(line)
    child = os.fork()
    if child == 0:
        os.environ |= told["environment"]
        tempfile.tempdir = None
        os.chdir(told["folder"])
        for name, streams in (("said", (1, 2)), ("out", (1,))):
            if told[name]:
                file = os.open(told[name], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
                for stream in streams:
                    os.dup2(file, stream)
                os.close(file)
        if told["refusing"]:
            root, at, number, report = told["refusing"]
            ctypes.CDLL(None).refuse_at(root.encode(), at, number, report.encode())
        sys.argv = ["cnnvis", *told["words"]]
        entry()
    print(child, flush=True)
    _, status = os.waitpid(child, 0)
    print(os.waitstatus_to_exitcode(status), flush=True)
