"""Which commands there are."""

from __future__ import annotations

from cyclopts import App, Parameter

from cnnvis.cli import listing, run


def _version() -> str:
    from importlib.metadata import version

    return version("cnnvis")


app = App(
    name="cnnvis",
    help="Shows why a convolutional neural network decides what it decides.",
    version=_version,
    default_parameter=Parameter(negative_iterable="", negative_none=""),
)
app.command(run.app())
app.command(listing.list_plugins)
app.command(listing.show)
app.register_install_completion_command(
    help="Install completion of commands and options for your shell."
)
