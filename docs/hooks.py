"""What mkdocs does besides: a page for every plugin, command and notebook, and formulas as MathML."""

from __future__ import annotations

import html
import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from latex2mathml import converter
from mkdocs.structure.files import File, Files

from cnnvis.cli.command_line import COMMANDS
from cnnvis.registry.all_kinds import KINDS
from cnnvis.registry.discovery import Registry
from cnnvis.registry.options import flag_of, options_of, paper_text
from cnnvis.registry.plugin import Plugin

sys.path.insert(0, str(Path(__file__).parent))
import rooms


def plugins() -> list[Plugin]:
    """The plugins that come with cnnvis, whatever else is installed beside it."""
    return list(Registry(only=()))


def address(plugin: Plugin) -> str:
    """Where the page of a plugin is. A loader and a technique, say, may have one name."""
    return f"{plugin.kind}-{plugin.name.replace(':', '-')}.md"


def on_config(config: Any) -> Any:
    """Put a page for every plugin under Plugins, kind by kind."""
    pages: list[Any] = ["plugins/index.md"]
    for kind in KINDS:
        of_kind = [plugin for plugin in plugins() if plugin.kind == kind]
        pages.append({f"{kind}s".capitalize(): [
            {plugin.name: f"plugins/{address(plugin)}"} for plugin in of_kind
        ]})  # fmt: skip
    for entry in config.nav:
        if "Plugins" in entry:
            entry["Plugins"] = pages
    return config


def on_files(files: Files, config: Any) -> Files:
    """Add the pages that are made from signatures, docstrings and the command line itself."""
    made = {"plugins/index.md": index_page(), "commands.md": commands_page()}
    made |= {f"plugins/{address(plugin)}": plugin_page(plugin) for plugin in plugins()}
    for book in sorted((Path(__file__).parent / "tutorials").glob("*.ipynb")):
        made[f"tutorials/{book.stem}.md"] = tutorial_page(book)
    for path, content in made.items():
        files.append(File.generated(config, path, content=content))
    files.append(File.generated(config, "images/rooms.svg", content=rooms.drawn()))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Put the table of the rooms where the page about them wants it, and pages in place of notebooks."""
    if not re.search(
        "tutorials/(?!index)", page.file.src_uri
    ):  # each of which links its own notebook
        markdown = re.sub(r"\(([\w/]+)\.ipynb\)", r"(\1.md)", markdown)
    return markdown.replace("<!-- table of rooms -->", rooms.table())


def on_page_content(text: str, **_: Any) -> str:
    """Write formulas out as MathML, which browsers show without a script."""

    def formula(found: re.Match[str]) -> str:
        display = "block" if found["open"] == r"\[" else "inline"
        return converter.convert(html.unescape(found["tex"]), display=display)

    return re.sub(
        r'<(span|div) class="arithmatex">(?P<open>\\[(\[])(?P<tex>.*?)\\[)\]]</\1>',
        formula, text, flags=re.DOTALL,
    )  # fmt: skip


def index_page() -> str:
    """All plugins, kind by kind, each with its first line."""
    lines = [
        "# Plugins",
        "",
        "Every one that comes with cnnvis; `cnnvis list-plugins` lists those that others installed,",
        "too. These pages are made from the functions themselves.",
    ]
    for kind in KINDS:
        lines += ["", f"## {kind}s".title(), "", KINDS[kind].about, "", "| | |", "|---|---|"]
        for plugin in plugins():
            if plugin.kind == kind:
                lines.append(f"| [`{plugin.name}`]({address(plugin)}) | {text(plugin.summary)} |")
    return "\n".join(lines) + "\n"


def plugin_page(plugin: Plugin) -> str:
    """What a plugin's decorator, signature and docstring say of it."""
    lines = [f"# {plugin.name}", "", f"A {plugin.kind}.", "", text(plugin.description), ""]
    if plugin.reference:
        lines += [f"Reference: {reference(plugin.reference)}.", ""]
    if plugin.kind == "technique" and plugin.gives != "table":
        anchor = plugin.name.rpartition(":")[2]
        lines += [f"The [mathematics](../mathematics.md#{anchor}) of it.", ""]
    if plugin.suffixes:
        does = "Writes" if plugin.kind == "renderer" else "Takes"
        lines += [f"{does} files that end in {', '.join(f'`{s}`' for s in plugin.suffixes)}.", ""]
    if plugin.kind == "transform":
        lines += [f"Takes {', '.join(plugin.takes_results)}.", ""]
    if plugin.claims:
        lines += ["What its maps are held to by [the conformance kit]"
                  "(../writing-plugins.md#the-conformance-kit):", ""]  # fmt: skip
        for claim, options in plugin.claims.items():
            under = ", ".join(f"{name}={value}" for name, value in options.items())
            lines.append(f"- {claim}" + (f", with {under}" if under else ""))
        lines.append("")
    if plugin.requires:
        lines += [f"Needs `pip install 'cnnvis[{plugin.extra}]'`.", ""]
    options = options_of(plugin)
    if options:
        lines += ["| option | type | default | meaning |", "|---|---|---|---|"]
    for option in options:
        facts = (f"`{flag_of(plugin, option)}`", f"`{option.type}`", f"`{option.default_text}`")
        lines.append("| " + " | ".join([*facts, text(option.help)]) + " |")
    if plugin.paper:
        lines += ["", f"`--style paper` stands for `{paper_text(plugin)}`."]
    lines += ["", *usage(plugin)]
    return "\n".join(lines) + "\n"


def usage(plugin: Plugin) -> list[str]:
    """How a plugin is called, from a terminal and from Python."""
    some = "".join(f", {one.name}={one.default!r}" for one in options_of(plugin)[:1])
    if plugin.kind == "technique":
        return [f"    cnnvis run {plugin.name} demo", "", "```python",
                f'cnnvis.run("{plugin.name}", "demo"{some})', "```"]  # fmt: skip
    if plugin.kind == "transform":
        two = " grad-cam" if plugin.takes("explanations") else ""
        return [f"    cnnvis chain demo saliency{two} {plugin.name} png"]
    if plugin.kind == "renderer":
        return [f"    cnnvis run saliency demo -r {plugin.name}"]
    return []


def commands_page() -> str:
    """The help of every command, as it is printed."""
    lines = ["# Commands", "", "As `cnnvis COMMAND --help` prints it."]
    environment = {**os.environ, "CNNVIS_PLUGINS": "none", "COLUMNS": "96", "NO_COLOR": "1"}
    with tempfile.TemporaryDirectory() as folder:  # where no settings are
        for words in ([], *([name] for name in COMMANDS)):
            done = subprocess.run(
                [sys.executable, "-m", "cnnvis", *words, "--help"],
                capture_output=True, text=True, check=True, cwd=folder, env=environment,
            )  # fmt: skip
            title = " ".join(["cnnvis", *words])
            lines += ["", f"## {title}", "", "```text", done.stdout.rstrip(), "```"]
    return "\n".join(lines) + "\n"


def tutorial_page(book: Path) -> str:
    """Return a notebook as a page: its words, and its code."""
    lines = []
    for cell in json.loads(book.read_text(encoding="utf-8"))["cells"]:
        text = "".join(cell["source"])
        lines += [f"```python\n{text}\n```" if cell["cell_type"] == "code" else text, ""]
    title, *others = lines
    first, _, rest = title.partition("\n")
    opened = f"[Open the notebook]({book.name}), which runs in a few seconds."
    return "\n".join([first, "", opened, rest, *others]) + "\n"


def reference(text: str) -> str:
    """A reference, with links where it names a DOI or a preprint."""
    text = re.sub(r"arXiv:(\d{4}\.\d{4,5})", r"[arXiv:\1](https://arxiv.org/abs/\1)", text)
    return re.sub(r"doi:(10\.\S+?)(?=[,;]?(?:\s|$))", r"[doi:\1](https://doi.org/\1)", text)


def text(docstring: str) -> str:
    """A docstring as Markdown: but for code in backticks, what stands in it is read literally."""
    return re.sub(r"(`[^`]*`)|([*_<>|\[\]])", lambda m: m[1] or f"\\{m[2]}", docstring)
