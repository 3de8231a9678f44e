"""Disks that refuse a call of the system, each call of each command once: what then is said and left.

The command that is refused ends in a sentence and a code that says whose it is to mend, leaves nothing
half done, and typed again without the refusal it ends with the same files as if nothing had been.
"""

from __future__ import annotations

import errno
import random
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from quick import slow_are
from quickruns import bytes_of
from servers import Refusal, Server, refusing

DISK = {"full": errno.ENOSPC, "quota": errno.EDQUOT, "broken": errno.EIO}
OURS = {"permission": errno.EACCES, "read-only": errno.EROFS}

ON_PATHS = ("open", "mkdir", "rename", "link", "unlink", "rmdir")
"""Calls of which the system says that a person may not; of others it has said so by then."""

KEEP = (
    *("run", "saliency", "../model.keras", "-d", "../data.npz", "--shard-size", 2, "--resume"),
    *("--into", "kept", "-q"),
)

COMMANDS: dict[str, tuple[object, ...]] = {
    "run": (*KEEP, "-r", "png", "-r", "numpy", "-o", "out/"),
    "svg": (*KEEP, "-o", "out/maps.svg"),
    "merge": ("merge", "whole", "../part-1", "../part-2"),
    "chain": (
        *("chain", "../model.keras", "-d", "../data.npz", "saliency", "average", "png"),
        *("--save-chain", "deep/er/study.toml"),
    ),
    "set": ("config", "set", "saliency.backprop", "rectified"),
    "user's set": ("config", "set", "--user", "saliency.backprop", "rectified"),
    "trust": ("config", "trust"),
    "new-plugin": ("new-plugin", "my-method", "--folder", "plugins"),
    "list": ("list-plugins", "--json"),
    "help": ("run", "--help"),
}
"""The first writes a run folder, a picture and arrays, and the archive's weights are unpacked for it."""


OF_NETWORKS = ("run", "svg", "chain")


class Commands:
    """Commands that start from the same files, each in a folder of its own.

    Attributes
    ----------
    tried, refused
        How many refusals were tried, and how many made a command fail; the others cost nothing.
    """

    def __init__(self, server: Server, root: Path) -> None:
        self._server, self._root = server, root
        self._begin, self._now = root / "begin", root / "now"
        self.tried = self.refused = 0

    def _typed(self, name: str, refusal: Refusal | None) -> tuple[int, str]:
        work = self._now / "work"
        environment = {
            "TMPDIR": str(self._now / "tmp"),
            "XDG_CONFIG_HOME": str(self._now / "settings"),
            "XDG_CACHE_HOME": str(self._now / "cache"),
            "MPLCONFIGDIR": str(self._root / "matplotlib"),
        }
        out = self._now / "stdout.txt"
        out.unlink(missing_ok=True)
        self._server.start(
            *COMMANDS[name], folder=work, out=out, environment=environment, refusal=refusal
        )
        return self._server.ended()

    def _renew(self) -> None:
        shutil.rmtree(self._now, ignore_errors=True)
        shutil.copytree(self._begin, self._now)

    def whole(self, name: str) -> tuple[dict[str, bytes], int]:
        """What a command leaves that nothing refuses, and how many calls could be refused."""
        self._renew()
        code, said = self._typed(name, Refusal(self._now, 0, 0))
        assert code == 0, said
        return self._left(), self._server.refused()[0]

    def _left(self) -> dict[str, bytes]:
        """All that a command leaves, but for what it has for a while."""
        left = {name: one for name, one in bytes_of(self._now).items() if name[:4] != "tmp/"}
        # A lock's number says who held it last, and nothing depends on it.
        left = {name: b"" if name.endswith("/lock") else one for name, one in left.items()}
        # Matplotlib draws the names of what stands in an SVG by chance.
        return {name: one[-7:] if name.endswith(".svg") else one for name, one in left.items()}

    def refuse(self, name: str, at: int, number: int, code: int, whole: dict[str, bytes]) -> None:
        """Type a command whose disk refuses a call, and then without the refusal."""
        self._renew()
        found, said = self._typed(name, Refusal(self._now, at, number))
        call = self._server.refused()[1]
        what = f"{name} {at}: {call}, {found}: {said}"
        if number in OURS.values() and not call.startswith(ON_PATHS):
            return
        self.tried += 1
        assert call != "nothing", what
        assert "Traceback" not in said and "bug" not in said, what
        left = self._left()
        if found == 0:
            assert left == whole, what
        else:
            self.refused += 1
            *notes, error = said.splitlines()
            assert found == code and error.startswith("error: ") and "cannot be" in error, what
            assert all(one.startswith("note: ") for one in notes), what
            assert not [one for one in left if ".tmp-" in one], what
            if not call.startswith(("unlink", "rmdir")):
                assert not [*(self._now / "tmp").iterdir()], what
        done = {name: one for name, one in whole.items() if name != "stdout.txt"}
        if name == "new-plugin" and done.items() <= left.items():
            return  # it is written, and only what is said of it was refused
        shutil.rmtree(self._now / "tmp")
        (self._now / "tmp").mkdir()
        again, said = self._typed(name, None)
        assert again == 0, f"{what}; {said}"
        assert self._left() == whole, what


@pytest.fixture(scope="module")
def commands(tmp_path_factory: pytest.TempPathFactory, classifier: Any) -> Iterator[Commands]:
    root = tmp_path_factory.mktemp("refusals").resolve()
    begin = root / "begin"
    for name in ("work", "tmp", "settings", "cache"):
        (begin / name).mkdir(parents=True)
    classifier.save(begin / "model.keras")
    x = np.random.default_rng(0).normal(size=(3, 12, 10, 2)).astype(np.float32)
    np.savez(begin / "data.npz", X=x, y=[0, 1, 2])
    (begin / "work" / "cnnvis.toml").write_text("plugins = []\n")
    server = Server(root, refusing(root))
    for part in (1, 2):
        code, said = server.run(
            *("run", "saliency", begin / "model.keras", "-d", begin / "data.npz", "--shard-size"),
            *(2, "--into", begin / f"part-{part}", "--shard", f"{part}/2", "-q"),
        )
        assert code == 0, said
    yield Commands(server, root)
    server.close()


@pytest.mark.slow
@pytest.mark.parametrize("name", COMMANDS)
def test_some_calls_are_refused(commands: Commands, name: str) -> None:
    """Of each command a few, by turns with what the system says; another test takes every one."""
    whole, count = commands.whole(name)
    rng = random.Random(name)
    for kind, number in rng.sample([*DISK.items(), *OURS.items()], 4 if name in OF_NETWORKS else 2):
        commands.refuse(name, rng.randint(1, count), number, 5 if kind in DISK else 2, whole)


@pytest.mark.parametrize("name", slow_are(set(COMMANDS) - {"merge", *OF_NETWORKS}, COMMANDS))
def test_every_call_is_refused(commands: Commands, name: str) -> None:
    """Every call once, by turns with what the system says."""
    whole, count = commands.whole(name)
    said = {**DISK, **OURS}
    for place, at in enumerate(range(1, count + 1)):
        kind = [*said][place % len(said)]
        commands.refuse(name, at, said[kind], 5 if kind in DISK else 2, whole)
