"""New package with a plugin in it, written from templates, ready to install."""

from __future__ import annotations

import os
import re
from importlib import resources
from pathlib import Path
from string import Template

from cnnvis.errors import UserError
from cnnvis.files.reading import folder_written_whole, write_whole
from cnnvis.registry.all_kinds import KINDS
from cnnvis.registry.discovery import registry
from cnnvis.registry.hookspecs import API_VERSION


def new_plugin(name: str, kind: str = "technique", folder: Path | None = None) -> Path:
    """Write a package with a plugin of that name, its tests and README, and return its folder.

    Parameters
    ----------
    name
        The plugin's name: small letters, digits and hyphens, a letter first.
    kind
        The kind of the plugin.
    folder
        The parent of the package's folder; the working directory by default.

    Raises
    ------
    UserError
        If the name cannot be or is taken, or the package's folder is there already or cannot be
        written.
    DiskError
        If the disk is full, or broken.
    """
    if not re.fullmatch(r"[a-z][a-z0-9]*(-[a-z0-9]+)*", name):
        raise UserError(
            f"a plugin cannot be named {name!r}: use small letters, digits, and hyphens between "
            "them, as in my-method"
        )
    taken = [plugin for plugin in registry() if plugin.name == name]
    if taken:
        raise UserError(f"there is a {taken[0].kind} {name} already, of {taken[0].origin}")
    plain = name.replace("-", "_")
    values = {
        "name": name,
        "kind": kind,
        "distribution": f"cnnvis-{name}",
        "module": f"cnnvis_{plain}",
        "function": f"{plain}_{kind}",
        "api": str(API_VERSION),
        "example": Template(KINDS[kind].example).substitute(name=name),
    }
    package = (folder or Path()) / values["distribution"]
    if os.path.lexists(package):
        raise UserError(f"{str(package)!r} exists already")
    files = {
        "pyproject.toml": "pyproject.toml",
        "README.md": "README.md",
        f"{values['module']}.py": f"{kind}.py",
        f"tests/test_{plain}.py": f"test_{kind}.py",
    }
    templates = resources.files("cnnvis.registry") / "templates"
    with folder_written_whole(package) as whole:
        for path, template in files.items():
            text = Template((templates / f"{template}.txt").read_text(encoding="utf-8"))
            write_whole(whole / path, text.substitute(values).encode())
    return package
