"""The page, the numbers and the pictures."""

from __future__ import annotations

import platform
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.truth import checks
from benchmarks.truth.case import Array, write_json
from benchmarks.truth.methods import CHECKS, KNOWS_THE_NETWORK, METHODS
from benchmarks.truth.statistics import Interval, interval, over_cases, parted

TITLES = {
    "sweeps": "Selective sweeps",
    "tris": "XAI-TRIS, 8 x 8",
    "grids": "Grids of digits",
    "motifs": "Motifs in DNA",
    "lesions": "Lesions in volumes",
}
WHAT = {
    "sweeps": "Genotype matrices of 64 chromosomes by 64 columns (6.25 kb each), strengths of selection 0.006, "
    "0.011 and 0.02, each 0, 200 and 1000 generations after the sweep ended. Only sweeps that the network "
    "recognizes. The score: the brightest column, of the mean over rows averaged over 5 columns, lies within 3 "
    "columns of the selected site. *input, inverted* is the column with the fewest minor alleles.",
    "tris": "Clark et al. 2024, arXiv:2306.12816: the shapes T and L in noise, in four scenarios with white and "
    "with correlated noise; shares of the shapes as published. Only images that the network gets right. The "
    "score: the share of the n largest sizes of the map that lie in the n right pixels. *earth mover* is 1 - EMD / "
    "Dmax of the sizes, with Dmax the 9.90 between two corners.",
    "grids": "Four digits of different classes, 2 x 2; networks of convolutions and global pooling that learned "
    "single digits. The target is the class that the network answers, if it is one of the four. The score: the "
    "share of the positive values in the cell of that class. A network sees a little beyond a cell's edge, so 1 "
    "cannot quite be reached.",
    "motifs": "Random sequences of 200 letters, one-hot. Two classes have a motif of 8 letters each, one has none; "
    "in every sequence lies a third motif that says nothing. The score: average precision of the map, its channels "
    "added up, for the 8 places of the motif of the class.",
    "lesions": "Volumes of 16 x 16 x 16 of smooth noise, each with a bright ball that says nothing; the class is "
    "whether there is a hollow ball, too. The score: average precision of the map for the places of the hollow ball.",
}
QUESTION = {
    "sanity": "Does a map show anything, and how much is it blind to?",
    "completeness": "Do the values add up?",
    "srg": "Does the score fall more without the parts that a map calls important?",
    "class-sensitivity": "Would the signed map look the same for another class?",
    "randomization": "Would the signed map look the same for permuted weights?",
}
MEANS = {
    "sanity": "A blank map shows nothing; of blind positions the method says nothing. It does not mean that what is "
    "shown is wrong.",
    "completeness": "The values do not add up to the change of the score. It does not mean that they lie at wrong "
    "places.",
    "srg": "Without the parts that the map calls important, the score falls no more than without the others: the map "
    "shows something else than what speaks for the target, such as where a change would raise the score. It does "
    "not mean that the places are of no interest.",
    "class-sensitivity": "The map would look the same for another class: do not use it to tell what speaks for this "
    "class and not for that one. It does not mean that the places are wrong; both classes may rest on the same "
    "places.",
    "randomization": "The map would look the same for another network, whose weights are permuted: it rests on the "
    "image and on the kind of network as much as on what was learned. It does not mean that the places are wrong: "
    "what is striking in an image may be what the network looks at.",
}


WORDS = {"verdict": "a verdict", "information": "information", "undecided": "undecided"}


def write(results: Sequence[Mapping[str, Any]], folder: Path, *, quick: bool) -> None:
    """Write truth.md, truth.json, truth.png and truth-checks.png."""
    every = [one for result in results for one in checks.judged(result)]
    tables = {suite: Table(suite, [r for r in results if r["suite"] == suite])
              for suite in TITLES if any(r["suite"] == suite for r in results)}  # fmt: skip
    signed = [one for result in results for one in checks.judged(result, with_signs=True)]
    text = "\n".join(_page(results, tables, every, signed, quick=quick))
    (folder / "truth.md").write_text(text, encoding="utf-8")
    write_json(folder / "truth.json", _compact(results))
    _draw_scores(tables, folder / "truth.png")
    _draw_checks(every, folder / "truth-checks.png")


class Table:
    """The scores of a suite, all its networks together.

    Attributes
    ----------
    methods
        Names, the best mean first.
    values
        (images, methods), NaN where a method has no map.
    groups
        The network of each image.
    """

    def __init__(self, suite: str, results: Sequence[Mapping[str, Any]]) -> None:
        self.suite, self.results = suite, results
        known = [{one["method"]: one for one in checks.known(result)} for result in results]
        names = [one.name for one in METHODS if any(one.name in each for each in known)]
        self.main = results[0]["main"]
        sizes = [len(result["images"]) for result in results]
        self.groups = np.repeat(np.arange(len(results)), sizes)
        self.values = np.concatenate(
            [
                np.stack([_padded(each.get(name), self.main, size) for name in names], axis=1)
                for each, size in zip(known, sizes, strict=True)
            ]
        )
        means = np.nanmean(self.values, axis=0)
        order = np.argsort(-means, kind="stable")
        self.methods = [names[i] for i in order]
        self.values = self.values[:, order]
        self.known = known
        controls = {one.name for one in METHODS if one.is_control}
        self.is_control = np.array([name in controls for name in self.methods])
        pairs = len(names) * (len(names) - 1) / 2
        self.pairs = int(pairs)
        self.parted = parted(self.values, self.groups, 1 - 0.05 / max(pairs, 1))

    def column(self, method: str) -> int:
        """Return the place of a method."""
        return self.methods.index(method)

    def interval(self, column: int) -> Interval:
        """Return the mean over the images of a method."""
        there = ~np.isnan(self.values[:, column])
        return interval(self.values[there, column], self.groups[there])

    @property
    def answer(self) -> int:
        """The place of the best answer that needs no network."""
        needs_none = self.is_control & np.array([one != KNOWS_THE_NETWORK for one in self.methods])
        return int(np.flatnonzero(needs_none)[0])

    def other(self, name: str, method: str) -> float:
        """Return the mean over images of another score."""
        found = [v for each in self.known if method in each for v in each[method]["scores"][name]]
        return float(np.mean(found))

    @property
    def others(self) -> list[str]:
        """The other scores."""
        first = next(iter(self.known[0].values()))
        return [name for name in first["scores"] if name != self.main]


def _padded(one: Mapping[str, Any] | None, main: str, size: int) -> Array:
    found = np.full(size, np.nan)
    if one is not None:
        found[: len(one["scores"][main])] = one["scores"][main]
    return found


def _page(
    results: Sequence[Mapping[str, Any]],
    tables: Mapping[str, Table],
    every: Sequence[checks.Judged],
    signed: Sequence[checks.Judged],
    *,
    quick: bool,
) -> Iterator[str]:
    images = sum(len(one["images"]) for one in results)
    yield "# Maps whose right answer is known\n"
    yield "Written by `python -m benchmarks.truth`; all numbers are in [truth.json](truth.json).\n"
    if quick:
        yield "**A quick run of a few images, to see that all works: its numbers mean nothing.**\n"
    yield (
        f"{images} images, {len(results)} networks, {len({one.method for one in every})} methods with different "
        f"maps; the checks ran on the first {max(one['checked'] for one in results)} images of each network. "
        f"{_versions()}\n"
    )
    yield "## What was found\n"
    yield from _findings(tables, every, signed)
    yield "\n![Scores of all methods](truth.png)\n"
    yield from _reading()
    for table in tables.values():
        yield from _suite(table)
    yield from _checks(every, tables)
    yield from _with_signs(signed)
    yield from _meanings()
    yield from _left_out(results)


def _versions() -> str:
    names = ("cnnvis", "tensorflow", "keras", "msprime", "tf-keras-vis", "xplique")
    found = []
    for name in names:
        try:
            found.append(f"{name} {metadata.version(name)}")
        except metadata.PackageNotFoundError:
            continue
    return f"Python {platform.python_version()}, {', '.join(found)}."


def _findings(
    tables: Mapping[str, Table],
    every: Sequence[checks.Judged],
    signed: Sequence[checks.Judged],
) -> Iterator[str]:
    for table in tables.values():
        best = int(np.flatnonzero(~table.is_control)[0])
        first = [
            name
            for i, name in enumerate(table.methods)
            if not table.is_control[i] and (i == best or table.parted[best, i] == 0)
        ]
        answer = table.answer
        verdicts = table.parted[:, answer][~table.is_control]
        above, below = int((verdicts > 0).sum()), int((verdicts < 0).sum())
        yield (
            f"- **{TITLES[table.suite]}** ({table.main}): the best answer without a network is "
            f"*{table.methods[answer]}*, {table.interval(answer)}. Of {len(verdicts)} methods {above} are above "
            f"it, {below} below, and {len(verdicts) - above - below} are not parted from it. The method with the highest mean is "
            f"`{table.methods[best]}`, {table.interval(best)}; not parted from it: "
            f"{', '.join(f'`{name}`' for name in first if name != table.methods[best]) or 'none'}."
        )
    said = defaultdict(list)
    for check in CHECKS:
        said[checks.earns(every, check)].append(f"`{check}`")
    words = {
        "verdict": "By the rule below, a verdict is earned by {}.",
        "information": "Only information about where the answer lies: {}.",
        "undecided": "Too few methods failed to decide: {}.",
    }
    yield "- **The checks.** " + " ".join(
        words[kind].format(", ".join(said[kind])) for kind in words if said[kind]
    )
    turned = [
        f"`{check}` is {WORDS[checks.earns(signed, check)]}"
        for check in CHECKS
        if checks.earns(signed, check) != checks.earns(every, check)
    ]
    if turned:
        yield (
            "- That depends on how XAI-TRIS is scored: by the sizes of maps, as it is published. By maps with their "
            f"signs, as the checks judge them, {', '.join(turned)}."
        )
    for check in CHECKS[2:]:
        order = over_cases(list(checks.orders(every, check, controls=False).values()))
        wrong = checks.counts(every, check, "passed", controls=False)
        yield (
            f"- `{check}`: its order and the true one have the rank correlation {_said(order)}; of "
            f"{wrong[1]} methods on a network that passed, {wrong[1] - wrong[0]} are wrong ({wrong[3] - wrong[2]} of "
            f"{wrong[3]} single maps); {_right_of(every, check, 'failed')} that failed are right."
        )

    found = checks.within_method(every, "srg")
    yield (
        f"- **Which single map?** Within a method, over its images, `srg` and the true score have the rank correlation "
        f"{_said(found)}. The nearer this is to 0, the more do the checks speak of a method on a network alone, and "
        "not of one of its maps."
    )


def _reading() -> Iterator[str]:
    yield "## How to read the tables\n"
    yield (
        "Each number is a mean over images with its 95 % bootstrap interval; images are drawn anew within each "
        "network. The networks are few, and no interval holds for networks in general. Methods are compared in "
        "pairs, image by image, on the images that both explain: two are *parted* if the interval of their mean "
        "difference lies off 0, at a level at which all pairs of a suite together err in 5 % (Bonferroni). Only what "
        "is parted may be ranked: the order of the lines is no ranking.\n\n"
        "- *first*: not parted from the method with the highest mean\n"
        "- *answer*: `+` above the best answer that needs no network, `-` below, `=` not parted from it\n"
        "- *italics*: controls. `gradient, inverted` asks the network and tells the opposite; the others ask no network\n\n"
        "A map counts as it is shown: with its signs where it has signs, channels added up. Scores *of sizes* "
        "take absolute values first. XAI-TRIS is defined with sizes. A gradient with its signs is negative where less of "
        "the input would raise the score, as it is where a sweep has taken variants away: it gets 0 there, and its "
        "sizes do not. A method that cannot explain a network has no number there, and its mean is over fewer "
        "networks; pairs are always compared on what both explain.\n"
    )


def _suite(table: Table) -> Iterator[str]:
    yield f"## {TITLES[table.suite]}\n"
    yield WHAT[table.suite] + "\n"
    yield "| network | parameters | images explained | chance | facts |\n|---|---|---|---|---|"
    for one in table.results:
        facts = "; ".join(
            f"{name} {value:.2f}" if isinstance(value, float) else f"{name} {value}"
            for name, value in one["facts"].items()
        )
        yield f"| {one['name']} | {one['parameters']} | {len(one['images'])} | {one['chance']:.2f} | {facts} |"
    yield ""
    names = [one["name"] for one in table.results]
    alone = len(names) > 1
    head = ["method", table.main, "first", "answer", *(names if alone else []), *table.others]
    yield "| " + " | ".join(head) + " |\n|" + "---|" * len(head)
    best = int(np.flatnonzero(~table.is_control)[0])
    for i, name in enumerate(table.methods):
        is_first = not table.is_control[i] and (i == best or table.parted[best, i] == 0)
        sign = {1: "+", 0: "=", -1: "-"}[int(table.parted[i, table.answer])]
        cells = [
            f"*{name}*" if table.is_control[i] else name,
            str(table.interval(i)),
            "yes" if is_first else "",
            "" if i == table.answer else sign,
        ]
        for group in range(len(names)) if alone else ():
            values = table.values[table.groups == group, i]
            cells.append("" if np.isnan(values).all() else f"{np.nanmean(values):.2f}")
        cells += [f"{table.other(other, name):.2f}" for other in table.others]
        yield "| " + " | ".join(cells) + " |"
    yield ""


def _checks(every: Sequence[checks.Judged], tables: Mapping[str, Table]) -> Iterator[str]:
    yield "## Are the checks right?\n"
    yield (
        "The checks of [the page about trust](../docs/trust.md) ran on the same maps. A method on a network is "
        "called **right** if its maps are better than random values by the paired 95 % interval, and at least half "
        "as far above them as those of the best method on that network. A **single map** is right if its score is at "
        "least 0.5. Both, and the rule below, were fixed before these numbers were computed. Methods with the same maps count once.\n"
    )
    yield checks.RULE + "\n"
    yield "| check | it asks | by the rule |\n|---|---|---|"
    for check in CHECKS:
        yield f"| `{check}` | {QUESTION[check]} | **{checks.earns(every, check)}** |"
    yield "\n![The numbers of the checks beside the truth](truth-checks.png)\n"
    yield "### Does its order fit the true order?\n"
    yield (
        "Spearman's correlation over the methods of a network of the check's number with the true score: the mean "
        "over networks, with its interval when networks are drawn anew. 1 is the same order, 0 is no relation.\n"
    )
    suites = list(tables)
    head = ["check", "all networks", *(TITLES[one] for one in suites), "with the controls"]
    yield "| " + " | ".join(head) + " |\n|" + "---|" * len(head)
    for check in CHECKS:
        own = checks.orders(every, check, controls=False)
        cells = [f"`{check}`", _said(over_cases(list(own.values())))]
        for suite in suites:
            values = [v for case, v in own.items() if case.startswith(suite) and not np.isnan(v)]
            cells.append(f"{np.mean(values):.2f}" if values else "")
        cells.append(_said(over_cases(list(checks.orders(every, check, controls=True).values()))))
        yield "| " + " | ".join(cells) + " |"
    yield (
        "\nWithin a method, over its images: does the number tell which single map is right? "
        + "; ".join(
            f"`{check}` {_said(found)}"
            for check in CHECKS
            if (found := checks.within_method(every, check)) is not None
        )
        + ".\n"
    )
    yield "### How often is a verdict wrong?\n"
    yield from _wrong(every)


def _with_signs(signed: Sequence[checks.Judged]) -> Iterator[str]:
    yield (
        "XAI-TRIS counts sizes, while `srg` and the other checks look at values with their signs: a map whose signs "
        "are turned round can be right there and fail. With the precision of signed maps for XAI-TRIS, and all else "
        "the same: "
        + "; ".join(
            f"`{check}` has {_said(over_cases(list(checks.orders(signed, check, controls=False).values()))) or 'no number'}, "
            f"{_right_of(signed, check, 'failed')} of the methods that failed are right, and by the rule it is "
            f"{WORDS[checks.earns(signed, check)]}"
            for check in CHECKS[2:]
        )
        + ".\n"
    )


def _right_of(every: Sequence[checks.Judged], check: str, outcome: str) -> str:
    right, methods, _, _ = checks.counts(every, check, outcome, controls=False)
    return f"{right} of {methods}"


def _meanings() -> Iterator[str]:
    yield "### What a failed check means, and what it does not mean\n"
    for check in CHECKS:
        yield f"- `{check}`: {MEANS[check]}"
    yield ""


def _said(found: Interval | None) -> str:
    return "" if found is None else str(found)


def _wrong(every: Sequence[checks.Judged]) -> Iterator[str]:
    head = ["check", "outcome", "methods", "of these right", "single maps", "of these right",
            "controls", "controls that are right"]  # fmt: skip
    yield "| " + " | ".join(head) + " |\n|" + "---|" * len(head)
    for check in CHECKS:
        for outcome in (*checks.OUTCOMES, "information"):
            right, methods, right_maps, maps = checks.counts(every, check, outcome, controls=False)
            both = checks.counts(every, check, outcome, controls=True)
            if not both[1]:
                continue
            cells = [f"`{check}`", outcome, str(methods), _share(right, methods), str(maps),
                     _share(right_maps, maps), str(both[1] - methods), str(both[0] - right)]  # fmt: skip
            yield "| " + " | ".join(cells) + " |"
    yield ""
    yield (
        "Of maps that passed, so many more are right than of maps that failed, the controls left out: "
        + "; ".join(
            f"`{check}` {found}"
            for check in CHECKS
            if (found := checks.gain_of_passing(every, check, controls=False)) is not None
        )
        + ".\n"
    )
    failed = [
        f"`{one.method}` on {one.case} ({check}, {one.truth:.2f})"
        for check in ("srg", "class-sensitivity", "randomization")
        for one in every
        if one.outcomes.get(check) == "failed" and one.is_right and not one.is_control
    ]
    passed = [
        f"`{one.method}` on {one.case} ({one.truth:.2f})"
        for one in every
        if all(one.outcomes.get(check) == "passed" for check in CHECKS[2:]) and not one.is_right
    ]
    yield f"Right, and failed ({len(failed)}): {'; '.join(failed) or 'none'}.\n"
    yield (
        "Wrong, and passed `srg`, `class-sensitivity` and `randomization` "
        f"({len(passed)}): {'; '.join(passed) or 'none'}.\n"
    )


def _share(part: int, whole: int) -> str:
    return f"{part} ({part / whole:.0%})" if whole else ""


def _left_out(results: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    yield "## Left out\n"
    missing = sorted({one.needs for one in METHODS if one.needs and not one.is_installed})
    for package in missing:
        yield f"- all methods of {package}, which is not installed"
    reasons: dict[tuple[str, str], list[str]] = defaultdict(list)
    for result in results:
        ran = {one["method"] for one in result["methods"]}
        for method in METHODS:
            if method.is_installed and method.name not in ran:
                where = f"{result['suite']}/{result['name']}"
                reasons[method.name, "the run was ended before it"].append(where)
        for one in result["methods"]:
            if "left out" in one:
                where = f"{result['suite']}/{result['name']}"
                reasons[one["method"], one["left out"]].append(where)
    for (name, reason), cases in reasons.items():
        yield f"- `{name}` on {', '.join(cases)}: {' '.join(reason.split())}"
    slow = ", ".join(f"`{one.name}`" for one in METHODS if one.is_slow)
    yield f"- {slow}: only on the images of the checks"
    yield "- `deconv` and `relu` are other names of `rectified`"
    yield (
        "- keras-vis's own maps, which it computes in a process of its own: `--keras-vis` gives its numbers, and "
        "tests hold it to them"
    )
    given = (
        f"`{one.name}` {', '.join(f'{name} {value}' for name, value in numbers.items())}"
        for one in METHODS
        if (numbers := {k: v for k, v in one.options.items() if isinstance(v, int)})
    )
    yield f"- fewer masks, copies, steps or sets than by default: {'; '.join(given)}"


def _compact(results: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return all numbers: single maps by their main score, the other scores by their means."""
    found = []
    for result in results:
        case = {key: value for key, value in result.items() if key != "methods"}
        case["methods"] = []
        for one in result["methods"]:
            if "scores" not in one:
                case["methods"].append(one)
                continue
            kept = {key: one[key] for key in ("method", "technique", "options", "outcomes")}
            kept["means"] = {name: _round(values) for name, values in one["scores"].items()}
            kept["checks"] = {name: _round(values) for name, values in one["checks"].items()}
            kept["maps"] = " ".join(f"{value:.3g}" for value in one["scores"][result["main"]])
            case["methods"].append(kept)
        found.append(case)
    return found


def _round(values: Sequence[float | None]) -> float | None:
    known = [one for one in values if one is not None]
    return round(float(np.mean(known)), 4) if known else None


def _draw_scores(tables: Mapping[str, Table], path: Path) -> None:
    from matplotlib.figure import Figure

    names = [one.name for one in METHODS if any(one.name in t.methods for t in tables.values())]
    figure = Figure(figsize=(13, 0.25 * len(names) + 1.2), layout="constrained")
    axes = np.atleast_1d(figure.subplots(1, len(tables), sharey=True))
    for axis, table in zip(axes, tables.values(), strict=True):
        for y, name in enumerate(names):
            if name not in table.methods:
                continue
            i = table.column(name)
            found = table.interval(i)
            colour = "0.45" if table.is_control[i] else "tab:blue"
            axis.plot([found.low, found.high], [y, y], color=colour, linewidth=1.5)
            axis.plot(
                found.mean, y, "s" if table.is_control[i] else "o", color=colour, markersize=4
            )
        axis.axvline(table.interval(table.answer).mean, color="tab:red", linewidth=0.8)
        axis.set_title(TITLES[table.suite], fontsize=9)
        axis.set_xlabel(table.main, fontsize=8)
        axis.set_xlim(-0.03, 1.03)
        axis.grid(axis="y", alpha=0.2)
        axis.tick_params(labelsize=7)
    axes[0].set_yticks(range(len(names)), names, fontsize=7)
    axes[0].invert_yaxis()
    figure.suptitle("Red line: the best answer without a network. Squares: controls.", fontsize=9)
    figure.savefig(path, dpi=110)


def _draw_checks(every: Sequence[checks.Judged], path: Path) -> None:
    from matplotlib.figure import Figure

    shown = {
        "srg": "srg (of a network's best)",
        "class-sensitivity": "correlation with another class",
        "randomization": "correlation with permuted networks",
    }
    figure = Figure(figsize=(11, 3.6), layout="constrained")
    axes = figure.subplots(1, 3, sharey=True)
    for axis, (check, label) in zip(axes, shown.items(), strict=True):
        for number, suite in enumerate(TITLES):
            for is_control in (False, True):
                own = [one for one in every if one.suite == suite and one.is_control == is_control]
                x = [_placed(one, check, every) for one in own]
                axis.scatter(x, [one.truth for one in own], s=14, color=f"C{number}",
                             marker="x" if is_control else "o", alpha=0.7, linewidth=0.8,
                             label=None if is_control else TITLES[suite])  # fmt: skip
        axis.set_xlabel(label, fontsize=8)
        axis.tick_params(labelsize=7)
    axes[0].set_ylabel("true score", fontsize=8)
    axes[2].legend(fontsize=7)
    figure.suptitle("A point is a method on a network; crosses are controls.", fontsize=9)
    figure.savefig(path, dpi=110)


def _placed(one: checks.Judged, check: str, every: Sequence[checks.Judged]) -> float:
    """Return where a method is drawn: gains as a share of the largest one of its network."""
    number = one.numbers[check] * checks.NUMBERS[check][1]
    if check != "srg":
        return number
    own = [abs(other.numbers[check]) for other in every if other.case == one.case]
    return number / max(own)
