"""How many passes through the network a map takes until its error is small, beside fixed numbers of passes.

    python benchmarks/tolerance.py [--networks demo small ...] [--seeds 3] [--out FOLDER]

The error of a map is its distance from that of a long run, as a share of the size of that (roots of sums
of squares), and of several maps the error that 95 % of them, images and seeds, are below. A tolerance lets
each image stop by itself; a fixed number of copies, steps, masks, sets or orders is the same for all
images, as in other libraries. Writes tolerance.md and tolerance.png beside this file, unless --out names
another folder.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

os.environ.update(KERAS_BACKEND="tensorflow", TF_CPP_MIN_LOG_LEVEL="3")
sys.path.insert(0, str(Path(__file__).parent / "peers"))

import networks
import numpy as np

IMAGES = {"demo": 8, "small": 8, "sequence": 4}
REMOVED = {"demo": 8, "small": 8, "sequence": 2}
"""How many images there are, and how many where parts of inputs are removed."""

TOLERANCES = (0.3, 0.2, 0.1, 0.05)
SEED_OF_TRUTH = 1_000_003

FEWER = 8
"""How many times as many passes the long run takes: it is off by chance, too."""


@dataclass(frozen=True)
class Method:
    """Technique with a tolerance, and what a fixed number of its draws is called.

    Attributes
    ----------
    what
        The option that fixes the number.
    fixed
        The fixed numbers, of which the last is small beside the long run.
    long
        The number of the long run.
    paid
        Function of an explanation that returns how many passes each image took.
    options
        Other options.
    others
        Rules of other libraries with a fixed number: functions of a model, images and the number.
    """

    what: str
    fixed: tuple[int, ...]
    long: int
    paid: Callable[[Any], Any]
    options: dict[str, Any] = field(default_factory=dict)
    others: dict[str, Callable[[Any, Any, int], Any]] = field(default_factory=dict)


def trapezoid(model: Any, x: Any, steps: int) -> Any:
    """Return the maps of Xplique's rule: trapezoids between points that are evenly spaced."""
    factors = np.full(steps, 1 / (steps - 1))
    factors[[0, -1]] /= 2
    return _along(model, x, np.linspace(0, 1, steps), factors)


def mean_of_points(model: Any, x: Any, steps: int) -> Any:
    """Return the maps of tf-explain's rule: the mean gradient of points that are evenly spaced."""
    return _along(model, x, np.linspace(0, 1, steps), np.full(steps, 1 / steps))


def _along(model: Any, x: Any, places: Any, factors: Any) -> Any:
    import cnnvis

    def args(some: range) -> list[Any]:
        return [places[some.start : some.stop].astype(np.float32)]

    way = cnnvis.Perturbations(_scaled, args, len(places), factors=factors.tolist())
    return x * model.mean_gradient(x, way)


def _scaled(x: Any, share: Any) -> Any:
    return x * share


def _paid_steps(found: Any) -> Any:
    """Return all gradients of images that began with 4 steps and doubled them up to their last."""
    return 2 * found.measures["steps"] - 4


UP_TO = tuple(2**power for power in range(2, 10))

METHODS = {
    "smoothgrad": Method(
        "copies", UP_TO, 4096, lambda found: found.measures["copies"],
        {"gradient": None, "channels": "each"},
    ),
    "integrated-gradients": Method(
        "steps", tuple(2**power for power in range(2, 10)), 2000, _paid_steps, {"baseline": 0.0},
        {"trapezoids (Xplique)": trapezoid, "mean of points (tf-explain)": mean_of_points},
    ),
    "rise": Method("masks", (128, 256, 512, 1024, 2048), 16384, lambda found: found.measures["passes"]),
    "kernel-shap": Method(
        "sets", (150, 256, 512, 1024, 2048), 16384, lambda found: found.measures["passes"]
    ),
    "shapley-sampling": Method(
        "orders", (2, 4, 8, 16, 32, 64), 512, lambda found: found.measures["passes"]
    ),
    "lime": Method("sets", (128, 256, 512, 1024, 2048), 16384, lambda found: found.measures["passes"], {"ridge": 0.0}),
}  # fmt: skip

GRADIENTS = ("smoothgrad", "integrated-gradients")


@dataclass
class Curve:
    """Passes of an image, on average, and the error of 95 % of the maps, point by point."""

    passes: list[float] = field(default_factory=list)
    errors: list[float] = field(default_factory=list)
    labels: list[float] = field(default_factory=list)
    is_drawn: bool = False

    def add(self, label: float, passes: Any, errors: Any) -> None:
        """Add a point."""
        self.labels.append(label)
        self.passes.append(float(np.mean(passes)))
        self.errors.append(float(np.quantile(errors, 0.95)))

    def needed(self, error: float) -> float:
        """Return the passes that bring the error so low: between two points by the power law of both.

        Beyond the last, of what is drawn, by the law of all draws: the error falls by the root of their
        number. Infinity where that does not hold.
        """
        lowest = np.minimum.accumulate(self.errors)
        order = np.argsort(lowest, kind="stable")
        if error < lowest[-1]:
            return self.passes[-1] * (lowest[-1] / error) ** 2 if self.is_drawn else np.inf
        logs = np.log(np.maximum(lowest[order], 1e-12)), np.log(np.array(self.passes)[order])
        return float(np.exp(np.interp(np.log(max(error, 1e-12)), *logs)))


def main() -> None:
    """Measure, and write the page and the picture."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--networks", nargs="*", choices=IMAGES, default=list(IMAGES))
    parser.add_argument("--methods", nargs="*", choices=METHODS, default=list(METHODS))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent)
    asked = parser.parse_args()
    said = {"networks": " ".join(asked.networks), "methods": " ".join(asked.methods)}
    lines = [HEAD.format(day=date.today(), seeds=asked.seeds, **said)]
    curves: dict[tuple[str, str], dict[str, Curve]] = {}
    for network in asked.networks:
        for method in asked.methods:
            found = curves[network, method] = measured(network, method, asked.seeds)
            for line in rows(network, method, found):
                lines.append(line)
                print(line, flush=True)
            (asked.out / "tolerance.md").write_text("\n".join(lines) + "\n", encoding="utf-8")
    lines += ["", "![Passes and errors](tolerance.png)"]
    (asked.out / "tolerance.md").write_text("\n".join(lines) + "\n", encoding="utf-8")
    draw(curves, asked.out / "tolerance.png")


def measured(network: str, name: str, seeds: int) -> dict[str, Curve]:
    """Return the curves of a technique on a network: with a tolerance, and with fixed numbers."""
    import cnnvis

    method, count = METHODS[name], (IMAGES if name in GRADIENTS else REMOVED)[network]
    if network == "demo":
        x = cnnvis.run("gradient-times-input", "demo", images=range(count), checks="none").samples.x
        model = cnnvis.load_model("demo")
    else:
        keras_network = networks.network(network)
        model, x = cnnvis.Model(keras_network), networks.images(keras_network, count)
    given = {"data": np.asarray(x, np.float32), "checks": "none", **method.options}
    is_drawn = name != "integrated-gradients"

    def run(seed: int, **options: Any) -> Any:
        return cnnvis.run(name, model, **given, **({"seed": seed} if is_drawn else {}), **options)

    still = {} if is_drawn else {"tolerance": 1e9}
    longest = run(SEED_OF_TRUTH, **{method.what: method.long}, **still)
    truth = longest.array.reshape(count, -1)

    def off(maps: Any) -> Any:
        apart = np.linalg.norm(maps.reshape(count, -1) - truth, axis=1)
        return apart / np.linalg.norm(truth, axis=1)

    every = range(seeds if is_drawn else 1)
    ours, fixed = Curve(), Curve(is_drawn=is_drawn)
    curves = {"to a tolerance": ours, f"fixed {method.what}": fixed}
    most = np.mean(_passes(longest, method.long)) / FEWER if is_drawn else np.inf
    for tolerance in TOLERANCES if is_drawn else (0.5, 0.1, 0.01, 0.001):
        found = [run(seed, tolerance=tolerance, **_limits(name, method)) for seed in every]
        paid = [method.paid(one) for one in found]
        if np.mean(paid) <= most:
            ours.add(tolerance, paid, [off(one.array) for one in found])
    for number in method.fixed:
        found = [run(seed, **{method.what: number}, **still) for seed in every]
        passes = [_passes(one, number) for one in found]
        if np.mean(passes) <= most:
            fixed.add(number, passes, [off(one.array) for one in found])
        for other, rule in method.others.items():
            maps = rule(model, given["data"], number)
            curves.setdefault(other, Curve()).add(number, number, off(maps))
    return curves


def _limits(name: str, method: Method) -> dict[str, int]:
    if name == "integrated-gradients":
        return {"steps": 4, "most_steps": method.fixed[-1]}
    return {method.what: 4 * method.fixed[-1]}


def _passes(found: Any, number: int) -> Any:
    """Return how many passes each image took, of what steps and copies there are one each."""
    return found.measures.get("passes", np.full(len(found), number))


def rows(network: str, name: str, curves: dict[str, Curve]) -> Iterator[str]:
    """The lines of a technique's table on a network."""
    ours = curves["to a tolerance"]
    others = {other: one for other, one in curves.items() if one is not ours}
    for place, tolerance in enumerate(ours.labels):
        error, passes = ours.errors[place], ours.passes[place]
        for other, one in others.items():
            needed = one.needed(error)
            is_known = np.isfinite(needed)
            times = (
                f"{needed / passes:.2f}"
                if is_known
                else f"more than {max(one.passes) / passes:.2f}"
            )
            yield (
                f"| {network} | {name} | {tolerance} | {passes:.0f} | {error:.2g} | {other} | "
                f"{f'{needed:.0f}' if is_known else f'more than {max(one.passes):.0f}'} | {times} |"
            )


def draw(curves: dict[tuple[str, str], dict[str, Curve]], path: Path) -> None:
    """Draw the passes for the same errors, a panel for each network and technique."""
    from matplotlib.figure import Figure
    from matplotlib.ticker import LogLocator, NullFormatter

    across = list(dict.fromkeys(name for _, name in curves))
    down = list(dict.fromkeys(network for network, _ in curves))
    figure = Figure(figsize=(3.1 * len(across), 2.7 * len(down)), layout="constrained")
    panels = figure.subplots(len(down), len(across), squeeze=False)
    for panel in panels.ravel():
        panel.set_axis_off()
    for (network, name), found in curves.items():
        panel = panels[down.index(network), across.index(name)]
        panel.set_axis_on()
        ours = found["to a tolerance"]
        for number, (label, one) in enumerate(found.items()):
            passes = ours.passes if one is ours else [one.needed(error) for error in ours.errors]
            points = [(x, y) for x, y in zip(passes, ours.errors, strict=True) if np.isfinite(x)]
            style = {"color": f"C{number}", "linewidth": 2 if number == 0 else 1}
            panel.loglog(
                *zip(*points, strict=True) if points else ([], []), "o-", label=label, **style
            )
        panel.set_title(f"{network}, {name}", fontsize=8)
        panel.tick_params(labelsize=7, which="both")
        for axis in (panel.xaxis, panel.yaxis):
            axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
            axis.set_major_formatter(lambda value, _: f"{value:g}")
            axis.set_minor_formatter(NullFormatter())
        panel.set_xlabel("passes an image", fontsize=7)
        panel.set_ylabel("error of 95 %", fontsize=7)
        panel.legend(fontsize=6)
    figure.savefig(path, dpi=110)


HEAD = """# Passes until the error is small

Written by `python benchmarks/tolerance.py --networks {networks} --methods {methods} --seeds {seeds}` on {day}.

The error of a map is its distance from the map of a long run, as a share of the size of that one (roots of sums of
squares); of all images and seeds, the error that 95 % are below. A tolerance lets each image stop by itself, and its
passes are the mean over the images, all rounds counted; steps are doubled from 4 on. A fixed number is the same for all
images: how many passes an image would take then for the same error, between two numbers by a power law, and beyond the
largest, of what is drawn, by the law that an error falls by the root of the number of draws. What takes more than an
eighth of the passes of the long run is left out, since that is off by chance, too. What else a run takes, such as the
pass of the image itself, is not counted. Networks but the demo have random weights.

| network | technique | tolerance | passes an image | error of 95 % | beside | passes for the same error | times as many |
|---|---|---|---|---|---|---|---|"""


if __name__ == "__main__":
    main()
