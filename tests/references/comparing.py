"""Maps of cnnvis and of references for each row, and how alike they are."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import cnnvis
from references.networks import FEATURES, SUBJECTS, TARGET
from references.rows import COPIES, NOISE, RIDGE, ROWS, SETS, WIDTH, Row

Array = np.ndarray[Any, Any]

COMPOSITES = {
    "gamma.toml": '[layers]\nConv = "gamma:0.25"\nany = "epsilon"\n',
    "alpha-1.toml": '[layers]\nConv = "alpha-beta:1,0"\nany = "epsilon"\n',
}


@dataclass(frozen=True)
class Likeness:
    """How alike the maps of two programs are.

    Attributes
    ----------
    difference
        The largest difference, as a share of the largest value.
    correlation
        The mean over images of Pearson's correlation.
    """

    difference: float
    correlation: float


def likeness(ours: Array, theirs: Array) -> Likeness:
    """Compare maps (n, ...)."""
    assert ours.shape == theirs.shape, (ours.shape, theirs.shape)
    ours, theirs = ours.astype(np.float64), theirs.astype(np.float64)
    pairs = zip(ours.reshape(len(ours), -1), theirs.reshape(len(theirs), -1), strict=True)
    correlations = [np.corrcoef(a, b)[0, 1] for a, b in pairs]
    return Likeness(
        float(abs(ours - theirs).max() / abs(theirs).max()), float(np.mean(correlations))
    )


class Comparison:
    """Maps of all rows.

    Parameters
    ----------
    folder
        An empty folder.
    python
        The Python of the environment with PyTorch and the libraries.
    """

    def __init__(self, folder: Path, python: Path) -> None:
        self.folder = folder
        self.networks = {name: subject.network() for name, subject in SUBJECTS.items()}
        self.inputs = {name: subject.inputs() for name, subject in SUBJECTS.items()}
        self.models = {
            name: cnnvis.Model(network, layer="output", filters=TARGET)
            for name, network in self.networks.items()
        }
        self._maps: dict[Any, Array] = {}
        for name, subject in SUBJECTS.items():
            (folder / name).mkdir()
            np.save(folder / name / "units.npy", subject.units())
        for name, text in COMPOSITES.items():
            (folder / name).write_text(text)
        self.answers = self._asked(python)

    def _asked(self, python: Path) -> dict[str, Array]:
        """Return the maps of the references, by the network and the reference."""
        from benchmarks.twins import exported

        asked: dict[str, list[str]] = {name: [] for name in SUBJECTS}
        job: dict[str, Any] = {}
        for row in ROWS:
            for name in row.networks:
                for one in (row.reference, row.explained):
                    if one and ":" not in one and one not in asked[name]:
                        asked[name].append(one)
        for name, subject in SUBJECTS.items():
            x, units = self.inputs[name], subject.units()
            # The noise and the sets of units are what cnnvis draws with seed 0.
            noise = [
                np.random.default_rng((0, copy)).standard_normal(x.shape[1:], np.float32)
                for copy in range(COPIES)
            ]
            sets = [
                np.random.default_rng((0, one)).random(units.max() + 1) < (0.5 if one else 1)
                for one in range(SETS)
            ]
            twin = exported(self.networks[name])
            assert twin is not None, f"{name} is no chain of layers"
            held = {
                **twin,
                "x": x,
                "units": units,
                "target": TARGET,
                "features": FEATURES,
                "noise": np.stack(noise),
                "deviation": NOISE * np.ptp(x.reshape(len(x), -1), axis=1),
                "sets": np.stack(sets),
                "width": WIDTH,
                "ridge": RIDGE,
                "range": np.array([x.min(), x.max()]),
            }
            job |= {f"{name}/{key}": value for key, value in held.items()}
        here, there = self.folder / "job.npz", self.folder / "answer.npz"
        np.savez(here, asked=json.dumps(asked), **job)
        script = Path(__file__).with_name("pytorch")
        quiet = {**os.environ, "TQDM_DISABLE": "1"}
        subprocess.run([python, script, here, there], check=True, env=quiet)
        with np.load(there) as found:
            return dict(found)

    def outputs(self, network: str) -> tuple[Array, Array]:
        """Return the outputs of a network and of its twin."""
        ours = self.networks[network].predict(self.inputs[network], verbose=0)
        return ours, self.answers[f"{network}/outputs"]

    def of(self, row: Row, network: str) -> Likeness:
        """Return how alike the maps of cnnvis and of the other library are."""
        ours = row.change(self._ours(row.technique, row.options, network))
        return self._alike(row, network, ours, self._theirs(row, network))

    def of_formula(self, row: Row, network: str) -> Likeness:
        """Return how alike the maps of the other library and of its formula are."""
        found = row.change(self._over_positions(self.answers[f"{network}/{row.explained}"]))
        theirs = self._over_positions(self._theirs(row, network))
        return self._alike(row, network, found, theirs)

    def _theirs(self, row: Row, network: str) -> Array:
        if ":" not in row.reference:
            return self.answers[f"{network}/{row.reference}"]
        options = {"penultimate": row.options["penultimate"]}
        return row.change(self._ours(row.reference, options, network))

    def _alike(self, row: Row, network: str, ours: Array, theirs: Array) -> Likeness:
        if theirs.ndim > ours.ndim:
            theirs = self._over_positions(theirs)
        chosen = self._chosen(row.where, network)
        return likeness(ours[chosen], theirs[chosen])

    def _over_positions(self, maps: Array) -> Array:
        """Return maps without the axis of channels, where there is just one for the map."""
        return maps[..., 0] if maps.shape[-1] == 1 and maps.ndim > 2 else maps

    def _chosen(self, where: str, network: str) -> Array:
        scores = self.outputs(network)[0][:, TARGET]
        chosen = {"all": scores == scores, "positive": scores > 0, "negative": scores < 0}[where]
        assert chosen.any(), (where, network)
        return chosen

    def _ours(self, technique: str, options: Any, network: str) -> Array:
        key = (technique, repr(options), network)
        if key not in self._maps:
            given = dict(options)
            if "units" in given:
                given["units"] = str(self.folder / network / given["units"])
            if str(given.get("composite")).endswith(".toml"):
                given["composite"] = str(self.folder / given["composite"])
            self._maps[key] = cnnvis.run(
                technique, self.models[network], data=self.inputs[network], checks="none", **given
            ).array
        return self._maps[key]


def measured(comparison: Comparison, rows: Sequence[Row] = ROWS) -> dict[Row, dict[str, Likeness]]:
    """Return how alike the maps of each row are, by the network."""
    return {row: {name: comparison.of(row, name) for name in row.networks} for row in rows}
