"""Has `cnnvis doctor` look at one hostile file after the other, in one process that is watched.

Run as a script with a file of cases, as JSON, and one to write to: a line of JSON for each case
that begins, and one for each that ends, with the seconds that it took of the processor. Whoever runs
it watches the time on the clock.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any

FORBIDDEN = (
    *("os.system", "os.exec", "os.fork", "os.posix_spawn", "os.startfile", "pickle.find_class"),
    *("socket.connect", "socket.getaddrinfo", "urllib.Request", "ctypes.dlopen", "pty.spawn"),
    *("http.client.connect", "ftplib.connect", "shutil.unpack_archive", "webbrowser.open"),
)
"""What nothing in a model's file makes cnnvis do."""


LOOK = ["-P", "-B", "-m", "cnnvis.files.sandbox", "cnnvis.plugins.loaders._examiner:look_at_model"]
"""The process that is begun for a model's file."""


class Watch:
    """Python's audit hook: everything that a case may not do is put down."""

    def __init__(self, marker: str, folder: Path) -> None:
        self.marker, self.folder = marker, folder
        self.seen: list[str] = []
        self.is_on = False
        sys.addaudithook(self._hook)

    def _hook(self, event: str, arguments: tuple[Any, ...]) -> None:
        if not self.is_on:
            return
        with suppress(RecursionError):
            self._look(event, arguments)

    def _look(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event in FORBIDDEN:
            self.seen.append(f"{event} {arguments!r}"[:300])
        elif event == "subprocess.Popen":
            words = [str(one) for one in arguments[1]]
            if words[1:6] != LOOK:
                self.seen.append(f"{event} {words}"[:300])
        elif event in ("exec", "compile", "import", "marshal.loads"):
            # What is imported here and there brings its own code; what a stranger wrote is marked.
            if self.marker in repr(arguments)[:10_000]:
                self.seen.append(f"{event} {arguments!r}"[:300])
        elif event == "open":
            path, mode, flags = arguments
            writes = isinstance(flags, int) and flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)
            name = str(path)
            if self.marker in name or (writes and name.startswith(str(self.folder))):
                self.seen.append(f"open {name} {mode} {flags}")


def main(cases: Path, log: Path, folder: Path, marker: str) -> None:
    """Go through the cases, from where an earlier process was stopped."""
    from peaks import held_anew

    from cnnvis import host
    from cnnvis.cli.main import main as command
    from cnnvis.network import backend

    sys.path.insert(0, str(folder))  # where a module lies that nobody may import
    os.chdir(folder)
    backend.keras()
    import tf_keras  # noqa: F401

    watch = Watch(marker, folder)
    left = Path(tempfile.gettempdir())
    out = log.open("a", buffering=1)
    spoken = os.open(log.with_name("spoken"), os.O_RDWR | os.O_CREAT)
    os.dup2(spoken, 1)
    os.dup2(spoken, 2)
    for number, (path, words) in enumerate(json.loads(cases.read_text())):
        os.ftruncate(spoken, 0)
        os.lseek(spoken, 0, os.SEEK_SET)
        out.write(json.dumps({"begins": number}) + "\n")
        held = held_anew()
        before = _seconds()
        watch.seen.clear()
        watch.is_on = True
        code: Any = "no end"
        try:
            command(["doctor", path, *words])
        except SystemExit as end:
            code = end.code
        except BaseException as error:
            code = repr(error)
        watch.is_on = False
        took = _seconds() - before
        sys.stdout.flush()
        sys.stderr.flush()
        said = os.pread(spoken, 2**20, 0).decode("utf-8", "replace")
        out.write(
            json.dumps(
                {
                    "ends": number,
                    "code": code,
                    "said": said[-2000:],
                    "seconds": took,
                    "seen": watch.seen,
                    "left": sorted(one.name for one in left.iterdir()),
                    "more": host.peak_memory() - held,
                }
            )
            + "\n"
        )
    os._exit(0)


def _seconds() -> float:
    """What this process and its children had of the processor: others may want it, too."""
    spent = os.times()
    return spent.user + spent.system + spent.children_user + spent.children_system


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3]), sys.argv[4])
