"""Sweep pointing game: is the brightest column of a map near the selected site?

Selective sweeps of several strengths and ages, simulated as the demo's are. The demo's network was trained
on sweeps that had just ended; two networks of other kinds are trained here on sweeps of all strengths and
ages.
"""

from __future__ import annotations

import functools
import importlib.util
import sys
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.truth.case import Array, Case, Scale, Trained, chosen, kept_arrays, trained
from benchmarks.truth.scores import columns_off, smooth_profile

STRENGTHS = (0.006, 0.011, 0.02)
AGES = (0, 200, 1000)
"""Generations since the beneficial allele reached everyone."""

NEAR = 3
NETWORKS = ("demo", "leaky", "pooled")


@functools.cache
def demo_script() -> Any:
    """Return the module examples/train_demo.py, whose simulation this is."""
    path = Path(__file__).parents[2] / "examples" / "train_demo.py"
    specification = importlib.util.spec_from_file_location("train_demo", path)
    assert specification is not None and specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    sys.modules["train_demo"] = module
    specification.loader.exec_module(module)
    return module


def simulate_one(task: tuple[int, int, int]) -> tuple[Array, int, int, int]:
    """Return a matrix, its label, the site in base pairs and the number of its kind; -1 for neutral ones.

    Parameters
    ----------
    task
        The seed, the number of the simulation, and its kind: -1, or one of the strengths and ages.
    """
    import msprime

    seed, index, kind = task
    demo = demo_script()
    rng = np.random.default_rng([seed, index])
    bounds = (demo.POPULATION_SIZE, demo.MUTATION_RATE, demo.SITE_RANGE)
    size, mutation_rate, site = (rng.uniform(*each) for each in bounds)
    position = int(site * demo.LENGTH)
    history: list[Any] = [msprime.StandardCoalescent()]  # backwards in time
    if kind >= 0:
        sweep = msprime.SweepGenicSelection(
            position=position,
            start_frequency=1 / (2 * size),
            end_frequency=1 - 1 / (2 * size),
            s=STRENGTHS[kind // len(AGES)],
            dt=1 / (40 * size),
        )
        age = AGES[kind % len(AGES)]
        since = [msprime.StandardCoalescent(duration=age)] if age else []
        history = [*since, sweep, *history]
    trees = msprime.sim_ancestry(
        demo.ROWS // 2,
        model=history,
        population_size=size,
        sequence_length=demo.LENGTH,
        recombination_rate=demo.RECOMBINATION_RATE,
        random_seed=int(rng.integers(1, 2**31)),
    )
    trees = msprime.sim_mutations(
        trees,
        rate=mutation_rate,
        random_seed=int(rng.integers(1, 2**31)),
        model=msprime.BinaryMutationModel(),
    )
    genotypes = trees.genotype_matrix().T.astype(np.int16)
    genotypes ^= genotypes.mean(axis=0) > 0.5  # from derived to minor alleles
    genotypes = genotypes[demo.chain_by_similarity(genotypes)]
    matrix = np.zeros((demo.ROWS, demo.COLUMNS), np.int64)
    bins = (trees.tables.sites.position * demo.COLUMNS / demo.LENGTH).astype(int)
    np.add.at(matrix.T, bins, genotypes.T)
    return np.minimum(matrix, 255).astype(np.uint8), int(kind >= 0), position, kind


def simulate(count: int, seed: int, processes: int) -> dict[str, Array]:
    """Simulate, half of it neutral, the other half of all strengths and ages in turn."""
    kinds = len(STRENGTHS) * len(AGES)
    tasks = [(seed, i, (i // 2) % kinds if i % 2 else -1) for i in range(count)]
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
        x, y, site, kind = zip(*pool.map(simulate_one, tasks, chunksize=25), strict=True)
    return {
        "x": np.stack(x),
        "y": np.array(y, np.int64),
        "site": np.array(site, np.int64),
        "kind": np.array(kind, np.int64),
    }


def leaky() -> Any:
    """Return an untrained network with strides and LeakyReLU layers, and one sigmoid."""
    from keras import Input, Sequential, layers

    steps: list[Any] = [Input((64, 64, 1)), layers.Rescaling(0.25)]
    for filters in (16, 24, 32):
        steps += [layers.Conv2D(filters, 5, strides=2, padding="same"), layers.LeakyReLU(0.1)]
    steps += [
        layers.Flatten(),
        layers.Dropout(0.3),
        layers.Dense(1, activation="sigmoid", name="output"),
    ]
    return Sequential(steps)


def pooled() -> Any:
    """Return an untrained network with batch normalization and global maximum pooling."""
    from keras import Input, Sequential, layers

    steps: list[Any] = [Input((64, 64, 1)), layers.Rescaling(0.25)]
    for filters in (16, 32, 32):
        steps += [
            layers.Conv2D(filters, 3, padding="same", use_bias=False),
            layers.BatchNormalization(momentum=0.9),
            layers.ReLU(),
            layers.AveragePooling2D(2),
        ]
    steps += [layers.GlobalMaxPooling2D(), layers.Dense(2, activation="softmax", name="output")]
    return Sequential(steps)


def data(cache: Path, scale: Scale) -> tuple[dict[str, Array], dict[str, Array]]:
    """Return what networks learn from and what is explained, simulated once."""
    learn = kept_arrays(
        cache / "sweeps-learn.npz", lambda: simulate(scale.sweeps_learn, 101, scale.processes)
    )
    new = kept_arrays(
        cache / "sweeps-new.npz", lambda: simulate(scale.sweeps_new, 202, scale.processes)
    )
    return learn, new


def case(name: str, cache: Path, scale: Scale) -> Case:
    """Return the sweeps that a network recognizes."""
    learn, new = data(cache, scale)
    x, y = new["x"][..., None].astype(np.float32), new["y"]
    if name == "demo":
        import keras

        import cnnvis.demo

        network = keras.saving.load_model(Path(cnnvis.demo.__file__).parent / "model.keras")
        found = Trained(network, network.predict(x, batch_size=100, verbose=0))
    else:
        known = learn["x"][..., None].astype(np.float32)
        known = np.concatenate([known, known[:, :, ::-1]])  # a sweep looks the same from both sides
        build = {"leaky": leaky, "pooled": pooled}[name]
        found = trained(
            cache / f"sweeps-{name}.keras", build, known, np.tile(learn["y"], 2), x, scale.epochs(8)
        )
    right = found.answers == y
    rows = np.flatnonzero(right & (y == 1))
    # One of each strength and age in turn, so that any number of first images holds all of them.
    turn = np.zeros(len(y), int)
    for kind in np.unique(new["kind"][rows]):
        of_kind = rows[new["kind"][rows] == kind]
        turn[of_kind] = np.arange(len(of_kind))
    rows = rows[np.lexsort((new["kind"][rows], turn[rows]))]
    demo = demo_script()
    width = demo.LENGTH / demo.COLUMNS
    site = new["site"]

    def score(shown: Array, sizes: Array, image: int) -> dict[str, float]:
        column = site[image] / width - 0.5
        found = {}
        for word, one in (("", shown), (" of sizes", sizes)):
            profile = smooth_profile(one)
            off = columns_off(profile, int(site[image] // width), NEAR)
            found[f"within {NEAR} columns{word}"] = off
            if not word:
                far = abs(float(np.argmax(profile)) - column) * width / 1000
                found["within 12.5 kb"], found["within 25 kb"] = (
                    float(far <= 12.5),
                    float(far <= 25),
                )
                found["kb off"] = far
        return found

    columns = np.arange(demo.COLUMNS)
    chance = np.mean([(abs(columns - site[i] // width) <= NEAR).mean() for i in rows])
    cells = {
        f"s = {STRENGTHS[k // len(AGES)]}, {AGES[k % len(AGES)]} generations": np.flatnonzero(
            new["kind"] == k
        )
        for k in range(len(STRENGTHS) * len(AGES))
    }
    return Case(
        suite="sweeps",
        name=name,
        network=found.network,
        x=x,
        y=y,
        explained=chosen(rows, scale.images["sweeps"]),
        score=score,
        main=f"within {NEAR} columns",
        right=0.5,
        chance=float(chance),
        facts={
            "right answers": float(right.mean()),
            "right answers, neutral": float(right[y == 0].mean()),
            **{
                f"recognized, {cell}": float(right[i].mean()) for cell, i in cells.items() if len(i)
            },
            "simulations": len(y),
        },
        class_names=("neutral", "sweep"),
    )
