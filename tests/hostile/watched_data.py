"""Uses hostile files one after the other in this process, and tells what became of each.

Started with a file of cases, it prints a line of JSON for each: how it ended, how long it took, and
what Python did meanwhile that no file may make it do.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import sys
import time
from pathlib import Path
from typing import Any

FORBIDDEN = (
    *("exec", "compile", "pickle.find_class", "os.system", "os.exec", "os.fork", "os.mkdir"),
    *("os.remove", "os.rename", "os.chmod", "socket.connect", "ctypes.dlopen", "marshal.loads"),
)
SECONDS = 10

seen: list[str] = []
watching = False


def _watch(event: str, details: tuple[Any, ...]) -> None:
    if not watching:
        return
    if (
        (event in FORBIDDEN and not (event == "compile" and details[1] == "<unknown>"))
        or (
            event == "open"
            and not isinstance(details[0], int)
            and isinstance(details[2], int)
            and details[2] & (os.O_WRONLY | os.O_RDWR)
        )
        or (event == "subprocess.Popen" and details[1][3:5] != ["-m", "cnnvis.files.sandbox"])
    ):
        seen.append(f"{event} {details!r:.200}")


def _warmed() -> None:
    """Import all that reading needs: an import itself compiles and runs code."""
    import encodings.idna
    import encodings.raw_unicode_escape
    import tomllib  # noqa: F401

    import h5py
    import msgspec  # noqa: F401
    import numpy
    import platformdirs  # noqa: F401 (where the user's own settings would be)
    import zarr
    from PIL import Image

    import cnnvis
    from cnnvis.registry import discovery  # noqa: F401
    from cnnvis.settings import chain_files, defaults  # noqa: F401

    folder = Path(sys.argv[2])
    for path in sorted(folder.iterdir()):
        try:
            _ = cnnvis.read_samples(path).x
        except cnnvis.UserError:
            print(f"{path} is no example of anything", file=sys.stderr)
    Image.init()
    (folder / "cnnvis.toml").write_text("")
    defaults.read(folder / "cnnvis.toml")
    _ = h5py, zarr, encodings
    cnnvis.Explanation(numpy.zeros((1, 2, 2), numpy.float32)).save(folder / "z.npz")
    cnnvis.Explanation.load(folder / "z.npz")


def _use(use: str, path: Path) -> None:
    import cnnvis
    from cnnvis.settings import chain_files, defaults

    match use:
        case "read":
            _ = cnnvis.read_samples(path).x
        case "settings":
            defaults.read(path)
        case "recipe":
            chain_files.read_recipe(path)
        case "load":
            cnnvis.Explanation.load(path)


def _alarm(*_: Any) -> None:
    raise TimeoutError


def _main() -> None:
    global watching
    import cnnvis
    from cnnvis import host

    _warmed()
    sys.addaudithook(_watch)
    signal.signal(signal.SIGPROF, _alarm)
    for case in json.loads(Path(sys.argv[1]).read_text()):
        seen.clear()
        started, before = time.process_time(), _children()
        signal.setitimer(signal.ITIMER_PROF, SECONDS)  # of the processor: others may want it, too
        watching = True
        try:
            _use(case["use"], Path(case["path"]))
            end = "fine"
        except cnnvis.UserError as error:
            end = f"refused: {error}"
        except BaseException as error:
            end = f"{type(error).__name__}: {error}"
        watching = False
        signal.setitimer(signal.ITIMER_PROF, 0)
        took = time.process_time() - started + _children() - before
        children = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 1024
        most = max(host.peak_memory() // 2**20, children)
        told = {"name": case["name"], "end": end, "took": took, "most": most, "seen": seen}
        print(json.dumps(told), flush=True)


def _children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    _main()
