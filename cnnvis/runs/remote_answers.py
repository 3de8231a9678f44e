"""Answers of the process in which a worker computes: what was computed, or why it is refused."""

from __future__ import annotations

import functools
import pickle
import platform
from dataclasses import dataclass
from typing import Any

from cnnvis.errors import PluginError, UserError
from cnnvis.network import compilation
from cnnvis.registry.discovery import load_plugin
from cnnvis.reporting import notes_kept
from cnnvis.runs.remote_work import Computing, Work


@dataclass
class Answers:
    """Answers to questions for pieces of a work.

    Attributes
    ----------
    work
        The work.
    """

    work: Work

    def to(self, part: str, number: int) -> dict[str, Any]:
        """Compute a piece.

        Returns
        -------
        dict
            ``found``, what was computed; or ``refused``, the kind and the sentence of an error.
        """
        try:
            with compilation.computing_as(self.work.settings), notes_kept():
                return {"found": self._computing.computed(part, number)}
        except (UserError, PluginError) as error:
            return {"refused": (type(error).__name__, f"{error} (worker on {platform.node()})")}

    @functools.cached_property
    def _computing(self) -> Computing:
        """The work, unpickled for its first piece.

        Raises
        ------
        UserError
            If this is another version of cnnvis, which does not know such work.
        """
        for file in self.work.files:
            load_plugin(file)
        try:
            found: Computing = pickle.loads(self.work.computing)
        except (ImportError, AttributeError, TypeError, pickle.UnpicklingError) as error:
            raise UserError(
                f"the worker has another version of cnnvis or of what it needs ({error}): install the "
                "same packages for all workers"
            ) from error
        return found
