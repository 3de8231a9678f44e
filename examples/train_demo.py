"""Simulate, train and measure the demo that ships in ``cnnvis/demo``.

What is simulated.  Samples of 64 chromosomes over a 400 kb region of one population of constant
size, by coalescent simulation (msprime).  Half of the simulations are *neutral*.  In the other
half a *hard selective sweep* has just ended: one new beneficial mutation rose from a single copy
to fixation and dragged its neighbourhood along, so diversity is lost around the selected site and
comes back with distance, where recombination had time to break the association.

Why.  An explanation of a network can only be judged where the right answer is known.  Here it is:
"sweep" is the right label because of what happened at one site, whose column is stored beside
each matrix.  The site is placed at random, so the network has to look for it, and population
size and mutation rate are drawn anew for every simulation, from the same ranges in both
classes, so that the total number of variants gives the label away less (the accuracy of the
best threshold on that total is measured too, for comparison).

One example is a matrix of 64 chromosomes (rows) by 64 bins of equal length (columns) holding the
number of minor alleles (the rarer of the two at a site) that the chromosome carries in the bin.
Rows are chained by similarity: first the chromosome with the most minor alleles, then always the
one left that differs from the last at the fewest sites.  Neither class nor site enters the order.

    python examples/train_demo.py [--simulations N] [--seed N] [--out DIR] [--processes N]
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import msprime
import numpy as np
from numpy.typing import NDArray

# Keras and TensorFlow are imported where they are used: the simulating processes need neither.

Array = NDArray[Any]
Simulations = tuple[Array, Array, Array]  # matrices, labels, columns of the selected sites

CLASS_NAMES = ["neutral", "sweep"]
ROWS = COLUMNS = 64  # chromosomes, bins
LENGTH = 400_000  # base pairs
RECOMBINATION_RATE = 1.5e-8  # per base pair and generation
MUTATION_RATE = (0.8e-8, 2.0e-8)  # the same; drawn uniformly per simulation, as the next three
POPULATION_SIZE = (6_000, 12_000)  # diploid individuals
SELECTION = (0.008, 0.014)  # selection coefficient of a sweep
SITE_RANGE = (0.15, 0.85)  # where in the region the selected site may lie
NEAR = (3, 5)  # columns off the site that still count as near it
SMOOTHING = 5  # columns over which a profile is averaged
EPOCHS = 15  # at most
SHIPPED = 40  # simulations in data.npz
CLEAR = 0.99  # probability of the right class from which a simulation counts as clear


def chain_by_similarity(genotypes: Array) -> list[int]:
    """Return an order of the rows in which each is followed by the most similar one left."""
    distance = np.abs(genotypes[:, None, :] - genotypes[None, :, :]).sum(axis=2)
    order = [int(genotypes.sum(axis=1).argmax())]
    left = set(range(len(genotypes))) - set(order)
    while left:
        order.append(min(left, key=lambda row: (distance[order[-1], row], row)))
        left.remove(order[-1])
    return order


def simulate_one(task: tuple[int, int]) -> tuple[Array, int, int]:
    """Return matrix, label and column of the site; every odd simulation is a sweep."""
    seed, index = task
    rng = np.random.default_rng([seed, index])
    label = index % 2
    size, mutation_rate, selection, site = (
        rng.uniform(*bounds) for bounds in (POPULATION_SIZE, MUTATION_RATE, SELECTION, SITE_RANGE)
    )
    position = int(site * LENGTH)
    one_copy = 1 / (2 * size)
    sweep = msprime.SweepGenicSelection(
        position=position,
        start_frequency=one_copy,
        end_frequency=1 - one_copy,
        s=selection,
        dt=1 / (40 * size),
    )
    history: list[Any] = [sweep] * label + [msprime.StandardCoalescent()]  # backwards in time
    trees = msprime.sim_ancestry(
        ROWS // 2,
        model=history,
        population_size=size,
        sequence_length=LENGTH,
        recombination_rate=RECOMBINATION_RATE,
        random_seed=int(rng.integers(1, 2**31)),
    )
    two_alleles = msprime.BinaryMutationModel()
    mutation_seed = int(rng.integers(1, 2**31))
    trees = msprime.sim_mutations(
        trees, rate=mutation_rate, random_seed=mutation_seed, model=two_alleles
    )
    genotypes = trees.genotype_matrix().T.astype(np.int16)
    genotypes ^= genotypes.mean(axis=0) > 0.5  # from derived to minor alleles
    genotypes = genotypes[chain_by_similarity(genotypes)]
    matrix = np.zeros((ROWS, COLUMNS), dtype=np.int64)
    bins = (trees.tables.sites.position * COLUMNS / LENGTH).astype(int)
    np.add.at(matrix.T, bins, genotypes.T)
    column = position * COLUMNS // LENGTH if label else -1
    return np.minimum(matrix, 255).astype(np.uint8), label, column


def simulate(count: int, seed: int, processes: int) -> Simulations:
    """Return `count` simulations; the result does not depend on the number of processes."""
    tasks = [(seed, index) for index in range(count)]
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
        matrices, labels, columns = zip(*pool.map(simulate_one, tasks, chunksize=50), strict=True)
    return np.stack(matrices), np.array(labels, np.uint8), np.array(columns, np.int16)


def build_model() -> Any:
    """Return the untrained network: raw counts in, softmax over the two classes out."""
    from keras import Input, Model, layers

    conv: dict[str, Any] = {"padding": "same", "activation": "relu"}
    matrix = Input((ROWS, COLUMNS, 1), name="matrix")
    x = layers.Rescaling(0.25, name="scale")(matrix)
    x = layers.Conv2D(16, 3, name="conv1", **conv)(x)
    x = layers.MaxPooling2D(2, name="pool1")(x)
    x = layers.Conv2D(32, 3, name="conv2", **conv)(x)
    x = layers.MaxPooling2D(2, name="pool2")(x)
    x = layers.Conv2D(32, 3, name="conv3", **conv)(x)
    x = layers.Conv2D(32, 3, name="conv4", **conv)(x)
    x = layers.GlobalAveragePooling2D(name="average")(x)
    return Model(matrix, layers.Dense(2, activation="softmax", name="output")(x), name="demo")


def train(learn: Simulations, check: Simulations) -> Any:
    """Return the trained network without its optimizer.

    Every matrix is also shown mirrored: a sweep looks the same from both sides.
    """
    import keras

    model = build_model()
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    model.fit(
        np.concatenate([learn[0], learn[0][:, :, ::-1]])[..., None],
        np.concatenate([learn[1], learn[1]]),
        validation_data=(check[0][..., None], check[1]),
        batch_size=64,
        epochs=EPOCHS,
        callbacks=[keras.callbacks.EarlyStopping(patience=4, restore_best_weights=True)],
        verbose=2,
    )
    return keras.Model(model.inputs, model.outputs, name="demo")


def saliency(model: Any, matrices: Array) -> Array:
    """Return |d logit / d input| of the predicted class, one map per matrix."""
    import keras
    import tensorflow as tf

    output = model.get_layer("output")
    features = keras.Model(model.input, output.input)
    maps = []
    for start in range(0, len(matrices), 100):
        x = tf.convert_to_tensor(matrices[start : start + 100, ..., None], tf.float32)
        with tf.GradientTape() as tape:
            tape.watch(x)
            logits = tf.matmul(features(x, training=False), output.kernel) + output.bias
            predicted = tf.reduce_max(logits, axis=1)
        maps.append(np.abs(tape.gradient(predicted, x).numpy()).max(axis=3))
    return np.concatenate(maps)


def smooth_profiles(maps: Array) -> Array:
    """Return the mean over the rows of each map, averaged over neighbouring columns."""
    kernel = np.ones(SMOOTHING) / SMOOTHING
    return np.stack([np.convolve(row, kernel, "same") for row in maps.mean(axis=1)])


def share_near(columns: Array, site: Array) -> dict[str, float]:
    """Return how often a column lies within so many columns of the selected site."""
    off = np.abs(columns - site)
    return {f"within_{near}_columns": round(float((off <= near).mean()), 4) for near in NEAR}


def localization(model: Any, matrices: Array, site: Array) -> dict[str, Any]:
    """Return how well saliency finds the site in these sweeps, and what to compare it with."""
    brightest = smooth_profiles(saliency(model, matrices)).argmax(axis=1)
    edge = SMOOTHING // 2  # columns that lack neighbours, which would look like a trough
    emptiest = smooth_profiles(matrices)[:, edge:-edge].argmin(axis=1) + edge
    return {
        "sweeps": len(site),
        "smoothing_columns": SMOOTHING,
        "brightest_saliency_column": share_near(brightest, site),
        "median_columns_off": float(np.median(np.abs(brightest - site))),
        "chance_any_column": share_near(np.arange(COLUMNS), site[:, None]),
        "chance_brightest_column_of_any_sweep": share_near(brightest, site[:, None]),
        "column_with_fewest_minor_alleles": share_near(emptiest, site),
    }


def total_count_accuracy(learn: Simulations, held_out: Simulations) -> float:
    """Return the held-out accuracy of the best threshold on the sum of the matrix."""
    known, new = (part[0].sum(axis=(1, 2), dtype=np.int64) for part in (learn, held_out))
    thresholds = np.quantile(known, np.linspace(0, 1, 201))
    best = max(thresholds, key=lambda limit: float(((known < limit) == learn[1]).mean()))
    return float(((new < best) == held_out[1]).mean())


def measure(model: Any, learn: Simulations, held_out: Simulations) -> tuple[Array, dict[str, Any]]:
    """Return the probabilities on the held-out simulations and the facts they give."""
    matrices, labels, site = held_out
    probabilities = model.predict(matrices[..., None], batch_size=100, verbose=0)
    right = probabilities.argmax(axis=1) == labels
    found = right & (labels == 1)
    return probabilities, {
        "held_out_simulations": len(labels),
        "held_out_accuracy": round(float(right.mean()), 4),
        "held_out_accuracy_neutral": round(float(right[labels == 0].mean()), 4),
        "held_out_accuracy_sweep": round(float(right[labels == 1].mean()), 4),
        "total_count_threshold_accuracy": round(total_count_accuracy(learn, held_out), 4),
        "localization_in_correct_sweeps": localization(model, matrices[found], site[found]),
    }


def shipped_order(probabilities: Array, labels: Array) -> list[int]:
    """Return which held-out simulations ship: sweep, neutral, sweep, neutral, and so on.

    The first four are chosen, to be good first examples: of each class, the first two to which
    the network gives the right class with a probability of at least CLEAR.  Saliency plays no
    part in the choice.  All others are the first ones that remain, right or wrong.
    """
    columns = []
    for label in (1, 0):
        members = [int(index) for index in np.flatnonzero(labels == label)]
        clear = [index for index in members if probabilities[index, label] >= CLEAR][:2]
        if len(clear) < 2:
            raise SystemExit(f"fewer than two clear examples of {CLASS_NAMES[label]!r}")
        rest = [index for index in members if index not in clear]
        columns.append((clear + rest)[: SHIPPED // 2])
    return [index for pair in zip(*columns, strict=True) for index in pair]


def describe(options: argparse.Namespace) -> dict[str, Any]:
    """Return what was simulated, and with what."""
    import keras
    import tensorflow as tf

    versions = {module.__name__: module.__version__ for module in (msprime, np, keras, tf)}
    return {
        "seed": options.seed,
        "simulations": options.simulations,
        "parameters": {
            "chromosomes": ROWS,
            "bins": COLUMNS,
            "length_bp": LENGTH,
            "recombination_rate": RECOMBINATION_RATE,
            "mutation_rate_range": MUTATION_RATE,
            "population_size_range": POPULATION_SIZE,
            "selection_coefficient_range": SELECTION,
            "selected_site_range": SITE_RANGE,
        },
        "versions": {"python": platform.python_version(), **versions},
    }


def run(options: argparse.Namespace) -> None:
    """Simulate, train, measure and write."""
    begin = time.perf_counter()
    simulations = simulate(options.simulations, options.seed, options.processes)
    print(f"simulated in {time.perf_counter() - begin:.0f} s", flush=True)

    os.environ["KERAS_BACKEND"] = "tensorflow"
    import keras
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(options.processes)
    tf.config.experimental.enable_op_determinism()
    keras.utils.set_random_seed(options.seed)
    tenth = options.simulations // 10
    cuts = [options.simulations - 2 * tenth, options.simulations - tenth]
    parts = zip(*(np.split(array, cuts) for array in simulations), strict=True)
    learn, check, held_out = parts
    model = train(learn, check)
    probabilities, measured = measure(model, learn, held_out)
    order = shipped_order(probabilities, held_out[1])
    matrices, labels, site = (array[order] for array in held_out)
    right = int((probabilities[order].argmax(axis=1) == labels).sum())
    shipped = {"simulations": len(order), "correctly_classified": right}
    facts = json.dumps({**describe(options), **measured, "shipped": shipped}, indent=2)

    options.out.mkdir(parents=True, exist_ok=True)
    model.save(options.out / "model.keras")
    names = np.array(CLASS_NAMES)
    np.savez_compressed(
        options.out / "data.npz", X=matrices, y=labels, class_names=names, site=site
    )
    (options.out / "facts.json").write_text(facts + "\n", encoding="utf-8")
    print(f"{facts}\nall done in {time.perf_counter() - begin:.0f} s")


def main() -> None:
    """Read the options and run."""
    parser = argparse.ArgumentParser(description="Simulate, train and measure the demo.")
    parser.add_argument("--simulations", type=int, default=12_000, help="a tenth is held out")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("cnnvis/demo"))
    parser.add_argument("--processes", type=int, default=2)
    run(parser.parse_args())


if __name__ == "__main__":
    main()
