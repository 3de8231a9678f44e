"""Environments with other libraries, each in a folder of its own, installed from the package index."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import tempfile
import venv
from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(tempfile.gettempdir()) / "cnnvis-benchmarks"
"""Where environments are made, unless another folder is given."""


@dataclass(frozen=True)
class Environment:
    """What an environment holds.

    Attributes
    ----------
    name
        Its name.
    packages
        What pip is asked for.
    alone
        What pip is asked for afterwards, without what it depends on.
    """

    name: str
    packages: tuple[str, ...]
    alone: tuple[str, ...] = ()


TORCH = Environment(
    "torch",
    # Of this version, the package index of a machine may hold a build for CPUs.
    (
        *("torch==2.13.0", "captum==0.9.0", "shap==0.51.0"),
        *("numpy>=2,<2.5", "scipy", "ttach", "opencv-python-headless"),
    ),
    # These ask for torchvision; see benchmarks/without_torchvision.py.
    ("grad-cam==1.5.7", "torchcam==0.5.0", "zennit==0.5.1"),
)
"""PyTorch, and libraries that explain networks of it."""


def made(wanted: Environment, folder: Path = FOLDER) -> Path:
    """Return the Python of an environment, which is made if it is not there.

    Raises
    ------
    subprocess.CalledProcessError
        If pip cannot install it.
    PermissionError
        If the folder belongs to another person, who could have put anything into it.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if hasattr(os, "getuid") and folder.stat().st_uid != os.getuid():
        raise PermissionError(f"{folder} belongs to somebody else; name another folder")
    asked = repr((wanted.packages, wanted.alone, sys.version_info[:2]))
    place = folder / f"{wanted.name}-{hashlib.sha256(asked.encode()).hexdigest()[:8]}"
    python = place / ("Scripts" if os.name == "nt" else "bin") / "python"
    if (place / "ready").exists():
        return python
    print(f"installing {' '.join((*wanted.packages, *wanted.alone))}", file=sys.stderr)
    venv.create(place, with_pip=True, clear=True)
    pip = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, *wanted.packages], check=True)
    if wanted.alone:
        subprocess.run([*pip, "--no-deps", *wanted.alone], check=True)
    (place / "ready").touch()
    return python
