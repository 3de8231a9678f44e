"""A scratch environment with the built wheel of cnnvis, for packages beside it."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent
PROJECT = HERE.parents[1]


class Environment:
    """A scratch virtual environment that borrows the libraries of this one, but not cnnvis."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        venv.create(folder, with_pip=True, symlinks=True)
        scripts = "Scripts" if sys.platform == "win32" else "bin"
        self.python, self.scripts = folder / scripts / "python", folder / scripts
        site = self._said("-c", "import sysconfig; print(sysconfig.get_path('purelib'))")
        # Its own packages come first on the path, so an editable cnnvis here is not seen there.
        borrowed = sysconfig.get_path("purelib")
        (Path(site) / "borrowed.pth").write_text(f"{borrowed}\n")

    def _said(self, *words: object) -> str:
        done = subprocess.run(
            [str(self.python), *map(str, words)], capture_output=True, text=True, cwd=self.folder
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout.strip()

    def pip(self, *words: object) -> None:
        self._said("-m", "pip", *words)

    def install(self, package: Path) -> None:
        """Install a package from its folder, from a copy of it, so that nothing is left there."""
        copy = self.folder / "packages" / package.name
        shutil.copytree(package, copy, dirs_exist_ok=True)
        self.pip("install", "--no-deps", "--no-build-isolation", "--quiet", copy)

    def pytest(self, folder: Path) -> str:
        """Run a package's own tests; the last line of what they print."""
        said = self._said("-m", "pytest", "-q", "-p", "no:cacheprovider", folder / "tests")
        return said.splitlines()[-1]

    def cnnvis(self, *words: object) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(self.scripts / "cnnvis"), *map(str, words)],
            capture_output=True,
            text=True,
            cwd=self.folder,
        )

    def plugins(self) -> dict[str, dict[str, Any]]:
        listed = json.loads(self.cnnvis("list-plugins", "--json").stdout)
        return {plugin["name"]: plugin for plugin in listed}


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Environment:
    folder = tmp_path_factory.mktemp("scratch")
    environment = Environment(folder / "venv")
    options = ("--no-deps", "--no-build-isolation", "--quiet")
    environment.pip("wheel", *options, "--wheel-dir", folder / "wheels", PROJECT)
    wheels = (folder / "wheels").glob("cnnvis-*.whl")
    environment.pip("install", *options, "--force-reinstall", *wheels)
    return environment
