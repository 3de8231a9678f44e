"""Simulate adaptive introgression as VCF files, train a network on it, and judge regions in a BED file.

What is simulated.  Windows of 200 kb of three populations: a recipient, an outgroup that split from it
3,500 generations ago, and an archaic donor that split from both 20,000 generations ago.  Some time ago the
donor's haplotypes came into the recipient: 3 % of all of its lineages descend from the donor then.  In
*neutral* windows this is all.  In *adaptive* windows one haplotype of the donor carried a beneficial
allele, which rose to a frequency of 60 to 99 % and took its neighbourhood along.  The two classes have the
same ages, rates and sizes, and the selected site lies anywhere in the middle four fifths of the window.

How.  msprime simulates sweeps in one population.  So the recipient is simulated back to the origin of the
beneficial allele; then its lineages get their populations, and msprime goes on from there.  The donor's
samples are as old as the introgression, as archaic genomes are.

Three sets of windows are made: the network learns from the first, a method is chosen on the second, and the
third is what the study is about.

    python examples/introgression.py make [--learn N] [--choose N] [--new N] [--out DIR] [--processes N]
    python examples/introgression.py choose [--out DIR]
    python examples/introgression.py judge [--out DIR]
"""

from __future__ import annotations

import argparse
import gzip
import io
import shutil
import time
import tomllib
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

HERE = Path(__file__).parent
SETTINGS = HERE / "introgression.toml"

Array = NDArray[Any]

CLASS_NAMES = ["neutral", "adaptive"]
CONTIG = "chr1"
LENGTH = 200_000  # base pairs of a window
RECOMBINATION_RATE = 1.5e-8  # per base pair and generation
MUTATION_RATE = 1.25e-8
SIZE = 10_000  # diploid individuals of the recipient, of the outgroup and of their ancestors
DONOR_SIZE = 2_000
SPLITS = (3_500, 20_000)  # generations ago, of the outgroup and of the donor
INTROGRESSED = 0.03  # share of the recipient's lineages that descend from the donor
SELECTION = (0.008, 0.02)  # bounds of the selection coefficient
FREQUENCY = (0.6, 0.99)  # bounds of the frequency of the beneficial allele today
SITE_RANGE = (0.1, 0.9)  # where in the window the selected site may lie
SAMPLES = {"recipient": 20, "outgroup": 10, "donor": 2}  # diploid individuals
ROWS = ("donor", "recipient", "outgroup")  # the order of the populations in a window
EPOCHS = 6
PERCENT = 10  # of a window's columns that are strong
SIGMA = 2  # columns, of the smoothing
METHODS: dict[str, dict[str, Any]] = {
    "saliency": {"backprop": None},
    "gradient-times-input": {},
    "smoothgrad": {},
    "integrated-gradients": {},
    "hires-cam": {},
    "occlusion": {"patch": (64, 6), "stride": (64, 2)},  # columns of all rows
}


def recent_past(rng: Any, label: int, position: int) -> tuple[Any, int, float]:
    """Return the recipient back to the introgression, the lineage with the beneficial allele and the age.

    The age is drawn in the same way for both classes: by a sweep, which neutral windows then lack.
    """
    import msprime

    age = float("inf")
    while age >= SPLITS[0]:  # a slow sweep, of which there are few
        sweep = msprime.SweepGenicSelection(
            position=position,
            start_frequency=1 / (2 * SIZE),
            end_frequency=rng.uniform(*FREQUENCY),
            s=rng.uniform(*SELECTION),
            dt=1 / (40 * SIZE),
        )
        swept = lineages(rng, "recipient", model=sweep)
        age = swept.max_root_time
    if not label:
        return lineages(rng, "recipient", end_time=age), -1, age
    tables, tree = swept.dump_tables(), swept.at(position)
    carrier = max(tree.roots, key=tree.num_samples)  # of over half of all samples
    if tree.time(carrier) < age:
        carrier = tables.nodes.add_row(time=age)
    # msprime drops what has a single ancestor left; that one is in the sweep, and so below the carrier.
    for one in swept.trees():
        if one.num_roots == 1 and one.time(one.root) < age:
            tables.edges.add_row(*one.interval, carrier, one.root)
    tables.sort()
    return tables.tree_sequence(), carrier, age


def lineages(rng: Any, population: str, **settings: Any) -> Any:
    """Return the ancestry of one population by itself."""
    import msprime

    return msprime.sim_ancestry(
        SAMPLES[population],
        population_size=SIZE,
        sequence_length=LENGTH,
        recombination_rate=RECOMBINATION_RATE,
        random_seed=seed_of(rng),
        **settings,
    )


def seed_of(rng: Any) -> int:
    return int(rng.integers(1, 2**31))


def history() -> Any:
    """Return the populations before the introgression."""
    import msprime

    found = msprime.Demography()
    for name in (*SAMPLES, "people", "ancestors"):
        found.add_population(name=name, initial_size=DONOR_SIZE if name == "donor" else SIZE)
    near, far = SPLITS
    found.add_population_split(near, derived=["recipient", "outgroup"], ancestral="people")
    found.add_population_split(far, derived=["people", "donor"], ancestral="ancestors")
    return found


def simulated(seed: int, index: int) -> tuple[Any, int]:
    """Return a window as a tree sequence, and the selected site; every odd window is adaptive."""
    import msprime
    import tskit

    rng = np.random.default_rng([seed, index])
    position = int(rng.uniform(*SITE_RANGE) * LENGTH)
    recipient, carrier, age = recent_past(rng, index % 2, position)
    numbers = {name: number for number, name in enumerate(SAMPLES)}
    tables = tskit.TableCollection(LENGTH)
    tables.time_units = "generations"
    tables.populations.metadata_schema = tskit.MetadataSchema.permissive_json()
    for one in history().populations:
        tables.populations.add_row({"name": one.name})
    for name, trees in (
        ("recipient", recipient),
        ("outgroup", lineages(rng, "outgroup", end_time=age)),
    ):
        first = len(tables.nodes)
        for number, node in enumerate(trees.nodes()):
            # Whatever reaches the introgression is one lineage, at a node of its own.
            moves = name == "recipient" and node.time == age
            moves = moves and (number == carrier or rng.random() < INTROGRESSED)
            population = numbers["donor" if moves else name]
            tables.nodes.add_row(flags=node.flags, time=node.time, population=population)
        for edge in trees.edges():
            tables.edges.add_row(edge.left, edge.right, edge.parent + first, edge.child + first)
    for _ in range(2 * SAMPLES["donor"]):
        tables.nodes.add_row(flags=tskit.NODE_IS_SAMPLE, time=age, population=numbers["donor"])
    tables.sort()
    trees = msprime.sim_ancestry(
        initial_state=tables.tree_sequence(),
        demography=history(),
        recombination_rate=RECOMBINATION_RATE,
        random_seed=seed_of(rng),
    )
    trees = msprime.sim_mutations(
        trees,
        rate=MUTATION_RATE,
        random_seed=seed_of(rng),
        model=msprime.BinaryMutationModel(),
    )
    return trees, position


def window(task: tuple[int, int]) -> tuple[str, int]:
    """Return the lines of a window in a VCF file, and its selected site."""
    seed, index = task
    trees, position = simulated(seed, index)
    text = io.StringIO()
    trees.write_vcf(
        text,
        ploidy=2,
        contig_id=CONTIG,
        individual_names=names(),
        # VCF counts from 1. Windows stand one behind the other.
        position_transform=lambda places: np.asarray(places, int) + 1 + index * LENGTH,
    )
    return text.getvalue(), position


def names() -> list[str]:
    """Return the names of all samples, in the order of the simulation."""
    return [f"{name}{number}" for name, count in SAMPLES.items() for number in range(count)]


def write(folder: Path, name: str, count: int, seed: int, processes: int) -> None:
    """Write windows: NAME.vcf.gz, NAME.bed with a class each, and NAME-sites.bed with selected sites."""
    tasks = [(seed, index) for index in range(count)]
    windows, sites = [], []
    with (
        ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool,
        gzip.open(folder / f"{name}.vcf.gz", "wt", compresslevel=1) as file,
    ):
        file.writelines(header(count))
        for index, (text, position) in enumerate(pool.map(window, tasks, chunksize=10)):
            file.writelines(
                line for line in text.splitlines(keepends=True) if not line.startswith("#")
            )
            start, label = index * LENGTH, CLASS_NAMES[index % 2]
            windows.append(f"{CONTIG}\t{start}\t{start + LENGTH}\t{label}\n")
            if index % 2:
                sites.append(f"{CONTIG}\t{start + position}\t{start + position + 1}\n")
    (folder / f"{name}.bed").write_text("".join(windows))
    (folder / f"{name}-sites.bed").write_text("".join(sites))


def header(count: int) -> Iterator[str]:
    yield "##fileformat=VCFv4.2\n"
    yield f"##contig=<ID={CONTIG},length={count * LENGTH}>\n"
    yield '##FORMAT=<ID=GT,Number=1,Type=String,Description="Genotype">\n'
    columns = ["#CHROM", "POS", "ID", "REF", "ALT", "QUAL", "FILTER", "INFO", "FORMAT"]
    yield "\t".join([*columns, *names()]) + "\n"


def samples_of(folder: Path, name: str) -> Any:
    """Return windows as the reader of introgression.toml gives them, so that training sees the same."""
    import cnnvis

    options = tomllib.loads(SETTINGS.read_text())["vcf"]
    options["intervals"] = str(folder / f"{name}.bed")
    options["populations"] = str(folder / "panel.tsv")
    return cnnvis.read_samples(folder / f"{name}.vcf.gz", class_names=CLASS_NAMES, **options)


def build_network() -> Any:
    """Return the untrained network; its filters are tall, to see rows of several populations at once."""
    from keras import Input, Model, layers

    conv: dict[str, Any] = {"activation": "relu", "padding": "same"}
    windows = Input((64, 64, 1), name="window")
    x = layers.Rescaling(0.25, name="scale")(windows)
    x = layers.Conv2D(16, (7, 3), strides=(2, 1), name="conv1", **conv)(x)
    x = layers.MaxPooling2D(2, name="pool1")(x)
    x = layers.Conv2D(32, (7, 3), strides=(2, 1), name="conv2", **conv)(x)
    x = layers.MaxPooling2D((2, 1), name="pool2")(x)
    x = layers.Conv2D(32, (4, 3), activation="relu", name="conv3")(x)
    x = layers.GlobalAveragePooling2D(name="average")(x)
    return Model(windows, layers.Dense(2, activation="softmax", name="output")(x))


def train(folder: Path) -> None:
    """Train a network and save it. Every window is also shown mirrored: a sweep has no direction."""
    import keras
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(1)
    keras.utils.set_random_seed(1)
    known = samples_of(folder, "learn")
    x, y = known.x[..., None].astype(np.float32), known.labels
    network = build_network()
    network.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    both = np.concatenate([x, x[:, :, ::-1]])
    network.fit(both, np.concatenate([y, y]), batch_size=64, epochs=EPOCHS, verbose=2)
    keras.Model(network.inputs, network.outputs).save(folder / "network.keras")


def make(options: argparse.Namespace) -> None:
    """Write windows, the panel and the network, and copy the chains of this study beside them."""
    folder, begin = options.out, time.perf_counter()
    folder.mkdir(parents=True, exist_ok=True)
    panel = [
        f"{name}\t{of}\n" for of in ROWS for name in names() if name.rstrip("0123456789") == of
    ]
    (folder / "panel.tsv").write_text("".join(panel))
    shutil.copyfile(SETTINGS, folder / "cnnvis.toml")
    for seed, name in enumerate(("learn", "choose", "new"), 1):
        if not getattr(options, name):
            continue
        write(folder, name, getattr(options, name), seed, options.processes)
        print(
            f"{name}: {getattr(options, name)} windows, {time.perf_counter() - begin:.0f} s",
            flush=True,
        )
    train(folder)
    print(f"all done in {time.perf_counter() - begin:.0f} s")


def intervals_in(path: Path) -> list[list[str]]:
    """Return the columns of the lines of a BED file."""
    lines = path.read_text().splitlines()
    return [one.split("\t") for one in lines if not one.startswith(("#", "track", "browser"))]


def judged(folder: Path, name: str, regions: Path) -> dict[str, Any]:
    """Return how often the first region of an adaptive window holds the selected site, and by chance.

    The first region of a window is the one with the highest score, of several the first in the file. By
    chance it would hold the site as often as is its share of the window. Regions may prefer a part of
    the window where sites are more often, too; so what regions hold of the sites of other windows is
    given as well.
    """
    from scipy.stats import binomtest

    first: dict[int, tuple[int, int, int]] = {}
    for _, start, end, _, score in intervals_in(regions):
        number = int(start) // LENGTH
        if number not in first or int(score) > first[number][2]:
            first[number] = (int(start) % LENGTH, int(end) - int(start), int(score))
    sites = [int(start) for _, start, _ in intervals_in(folder / f"{name}-sites.bed")]
    places = np.array([site % LENGTH for site in sites])
    starts, lengths = np.array(
        [first.get(site // LENGTH, (0, 0, 0))[:2] for site in sites], np.int64
    ).T
    inside = (starts <= places[:, None]) & (places[:, None] < starts + lengths)  # site by window
    hits = np.diag(inside)
    interval = binomtest(int(hits.sum()), len(hits)).proportion_ci(method="wilson")
    others = inside[~np.eye(len(hits), dtype=bool)]
    return {
        "windows": len(hits),
        "share": float(hits.mean()),
        "interval": (float(interval.low), float(interval.high)),
        "chance": float(lengths.mean() / LENGTH),
        "sites of other windows": float(others.mean()),
        "kb off": float(np.median(abs(starts + lengths / 2 - places)) / 1000),
    }


def said(found: dict[str, Any]) -> str:
    low, high = found["interval"]
    return (
        f"{found['share']:.3f} ({low:.3f} to {high:.3f}) of {found['windows']} first regions hold the selected site; "
        f"chance {found['chance']:.3f}; of other windows' sites {found['sites of other windows']:.3f}; the "
        f"median distance of their middles from it is {found['kb off']:.1f} kb"
    )


def scan(folder: Path, name: str) -> Path:
    """Write the regions where the recipient has the fewest minor alleles: what the data say without a network."""
    from scipy.ndimage import gaussian_filter1d

    import cnnvis

    windows = samples_of(folder, name)
    first = 2 * SAMPLES["donor"]
    counts = windows.x[:, first : first + 2 * SAMPLES["recipient"]].mean(axis=1)
    counts = gaussian_filter1d(counts, SIGMA, axis=1, mode="nearest")
    lack = counts.max(axis=1, keepdims=True) - counts
    found = cnnvis.Explanation(lack, windows, axes=("column",))
    found.save(folder / "scan.bed", percent=PERCENT)
    return folder / "scan.bed"


def choose(options: argparse.Namespace) -> None:
    """Print how well each method finds selected sites in the windows that are for choosing."""
    import cnnvis

    windows = samples_of(options.out, "choose")
    network = cnnvis.load_model(options.out / "network.keras")
    for method, given in METHODS.items():
        (maps,) = cnnvis.chain(
            network,
            [(method, given)],
            data=windows,
            images=["label=adaptive"],
            filter="adaptive",
            checks="none",
        )
        for sigma in (0, SIGMA):
            steps = [
                ("project", {"axis": "row"}),
                *([("smooth", {"sigma": sigma})] if sigma else []),
            ]
            maps.save(options.out / "choose-maps.npz")
            (profile,) = cnnvis.chain(options.out / "choose-maps.npz", steps)
            profile.save(options.out / "choose-regions.bed", percent=PERCENT, sign="positive")
            found = judged(options.out, "choose", options.out / "choose-regions.bed")
            print(f"{method}, smooth {sigma}: {said(found)}", flush=True)
    found = judged(options.out, "choose", scan(options.out, "choose"))
    print(f"fewest minor alleles: {said(found)}")


def judge(options: argparse.Namespace) -> None:
    """Print how well the regions of the study find selected sites in new windows, and how well a scan does."""
    print(said(judged(options.out, "new", options.out / "regions.bed")))
    print(f"fewest minor alleles: {said(judged(options.out, 'new', scan(options.out, 'new')))}")


def main() -> None:
    """Read the options and run."""
    parser = argparse.ArgumentParser(description="Simulate, choose a method, and judge regions.")
    parser.add_argument("what", choices=["make", "choose", "judge"])
    parser.add_argument("--learn", type=int, default=2_000, help="windows to learn from")
    parser.add_argument("--choose", type=int, default=400, help="windows to choose a method on")
    parser.add_argument("--new", type=int, default=800, help="windows that are explained")
    parser.add_argument("--out", type=Path, default=Path("study"))
    parser.add_argument("--processes", type=int, default=2)
    options = parser.parse_args()
    {"make": make, "choose": choose, "judge": judge}[options.what](options)


if __name__ == "__main__":
    main()
