"""The page gpu.md, from what was measured."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

Row = dict[str, Any]

PEERS = ("bare", "xplique", "tf-keras-vis", "captum", "grad-cam", "torch loop")
"""What cnnvis is held against, in the order of columns."""

STATED = 0.3
"""What cnnvis states of mixed precision with random weights, about a quarter of a map's largest value: the
largest error of the median map that is still about as much."""

HEAD = """# On a GPU

Written by `python benchmarks/gpu.py{quick}` on {day}: {device}.

{versions}

Networks have random weights (seed 1); all explain output 0. Every library has the same batch size: the fastest of those
that the bare loop was tried with. Images come from the processor's memory and maps go back to it. Medians of calls
after two that are not timed. {precision} Integrated gradients and SmoothGrad take {steps} steps or copies.

## Images a second

The rate of cnnvis, and how many times as long each other takes: above 1, cnnvis is faster. `own batches`: the rate with
the batch size that cnnvis chooses itself. `bare` is a loop over a compiled gradient (graph or XLA, the faster), for Grad-CAM the
forward pass alone. Captum, pytorch-grad-cam and the loop of PyTorch explain torchvision's network of that name.
"""


def page(found: dict[str, Any]) -> str:
    """The page, in Markdown."""
    device = found["device"]
    lines = [
        HEAD.format(
            quick=" --quick" if found["quick"] else "",
            day=found["day"],
            device=device.get("device", "no device was named"),
            versions=", ".join(f"{name} {one}" for name, one in found["versions"].items()),
            precision=(
                "TensorFlow multiplies in TF32, as is its default, and PyTorch does in convolutions."
                if device.get("tf32")
                else "TensorFlow multiplies in single precision."
            ),
            steps=2 if found["quick"] else 10,
        ),
        *table(("network", "method", "batch", "cnnvis", "own batches", *PEERS), rates(found)),
        "",
        *_batches(found),
        *_share(found),
        *_precision(found),
        *_memory(found),
        *_missing(found),
    ]
    return "\n".join(lines).rstrip() + "\n"


def table(head: Sequence[str], rows: Iterator[Sequence[str]]) -> list[str]:
    """A table's lines."""
    return [_line(head), "|" + "---|" * len(head), *map(_line, rows)]


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def rate_of(found: dict[str, Any], library: str, network: str, **wanted: Any) -> float | None:
    """The largest rate of a library's rows that are as wanted; None if there is none."""
    fits = [
        row["rate"]
        for row in found["rows"]
        if (row["library"], row["network"]) == (library, network)
        and "rate" in row
        and all(row.get(name) == value for name, value in wanted.items())
    ]
    return max(fits, default=None)


def rates(found: dict[str, Any]) -> Iterator[list[str]]:
    """The lines of the table of rates."""
    for network, known in found["networks"].items():
        best = known.get("best")
        methods = dict.fromkeys(
            row["method"]
            for row in found["rows"]
            if row["library"] == "cnnvis" and row["network"] == network and "method" in row
        )
        for method in methods:
            size = {"method": method, "precision": None}
            rows = [
                row for row in found["rows"]
                if row["library"] == "cnnvis" and row["network"] == network
                and row.get("method") == method and row.get("batch")
            ]  # fmt: skip
            batch = rows[0]["batch"] if rows else best
            ours = rate_of(found, "cnnvis", network, batch=batch, **size)
            own = rate_of(found, "cnnvis", network, batch=None, **size)
            cells = []
            for name in PEERS:
                asked = "forward" if (name, method) == ("bare", "grad-cam") else method
                theirs = rate_of(found, name, network, batch=batch, method=asked)
                cells.append(f"{ours / theirs:.2f}" if ours and theirs else "")
            yield [network, method, str(batch), _short(ours), _short(own), *cells]


def _short(number: float | None, digits: int = 3) -> str:
    return "" if number is None else f"{number:,.{digits}g}" if number < 1000 else f"{number:,.0f}"


def _batches(found: dict[str, Any]) -> Iterator[str]:
    yield "## Sizes of batches"
    yield ""
    yield "Saliency by the bare loop: each size is tried while the last gained 3 %."
    yield ""
    rows = [row for row in found["rows"] if row["library"] == "bare" and "rate" in row]
    yield from table(
        ("network", "batch", "compiled by", "images/s", "seconds of the first call", "GB at most"),
        iter(
            [row["network"], str(row["batch"]), row["compiled"], _short(row["rate"]),
             f"{row['first']:.1f}", _gigabytes(row)]
            for row in rows if row["method"] == "saliency"
        ),
    )  # fmt: skip
    yield ""


def _share(found: dict[str, Any]) -> Iterator[str]:
    peak = found["device"].get("peak")
    if not peak:
        return
    yield "## Share of the device's peak that saliency reaches"
    yield ""
    yield (
        f"The peak is that of products of large matrices of random numbers, as TensorFlow computes them here: "
        f"{peak['float32'] / 1e12:.4g} TFLOP/s in the precision of the networks, {peak['float16'] / 1e12:.4g} in half "
        "precision. Of a network, the multiplications and additions of its layers count, two for each weight and place, "
        "once for the forward pass and as many again for the gradient by the input alone; the gradients by the weights "
        "are not computed. Copies between the processor's memory and the device's are part of the time."
    )
    yield ""
    head = (
        "network",
        "GFLOP an image",
        "cnnvis",
        "share",
        "bare",
        "share",
        "mixed",
        "share of half",
    )
    yield from table(head, _shares(found, peak))
    yield ""


def _shares(found: dict[str, Any], peak: dict[str, float]) -> Iterator[list[str]]:
    for network, known in found["networks"].items():
        if "operations" not in known:
            continue
        each = 2 * known["operations"]
        cells = [network, f"{each / 1e9:.3g}"]
        for library, precision, kind in (
            ("cnnvis", None, "float32"),
            ("bare", None, "float32"),
            ("cnnvis", "mixed", "float16"),
        ):
            rate = rate_of(found, library, network, method="saliency", precision=precision)
            cells += (
                [_short(rate), f"{rate * each / peak[kind]:.1%}"] if rate is not None else ["", ""]
            )
        yield cells


def _precision(found: dict[str, Any]) -> Iterator[str]:
    rows = [row for row in found["rows"] if row.get("precision")]
    yield "## Precision"
    yield ""
    yield (
        "Saliency of 32 images. `mixed`: `--mixed-precision` beside the usual maps; cnnvis states errors of about a "
        "quarter of a map's largest value with random weights, and `as stated` is a median of 0.3 at most. `exact`: single precision that is not rounded, and the usual maps beside it. The "
        "difference is the largest of a map as a share of its largest value: the median of all maps, and the most. Ranks: "
        "Spearman's correlation, the median and the least."
    )
    yield ""
    head = ("network", "precision", "images/s", "times the usual rate", "difference", "ranks",
            "as stated")  # fmt: skip
    yield from table(head, _differences(found, rows))
    yield ""


def _differences(found: dict[str, Any], rows: list[Row]) -> Iterator[list[str]]:
    for row in rows:
        if "rate" not in row:
            yield [row["network"], row["precision"], row["lacks"], "", "", "", ""]
            continue
        usual = rate_of(found, "cnnvis", row["network"], method="saliency", precision=None,
                        batch=row["batch"])  # fmt: skip
        cells = [row["network"], row["precision"], _short(row["rate"]),
                 f"{row['rate'] / usual:.2f}" if usual else ""]  # fmt: skip
        if "off" not in row:
            yield [*cells, "", "", ""]
            continue
        is_mixed = row["precision"] == "mixed"
        stated = ("yes" if row["off"] <= STATED else "no") if is_mixed else ""
        yield [*cells, f"{row['off']:.2g} ({row['most_off']:.2g})",
               f"{row['ranks']:.4f} ({row['least_ranks']:.4f})", stated]  # fmt: skip


def _gigabytes(row: Row) -> str:
    return f"{row['memory'] / 1e9:.2f}" if row.get("memory") else ""


def _memory(found: dict[str, Any]) -> Iterator[str]:
    rows = [row for row in found["rows"] if row.get("memory") and row["library"] != "bare"]
    if not rows:
        return
    yield "## The most memory of the device"
    yield ""
    yield "GB (10^9 bytes) that the library's allocator gave out at a time, the network's weights included."
    yield ""
    names = ("cnnvis", "exact", *PEERS[1:])
    cells: dict[tuple[str, str, str], dict[str, str]] = {}
    for row in rows:
        way = f", {row['precision']}" if row.get("precision") == "mixed" else ""
        size = "own" if row["batch"] is None else str(row["batch"])
        cells.setdefault((row["network"], row["method"] + way, size), {})[row["library"]] = (
            _gigabytes(row)
        )
    yield from table(
        ("network", "method", "batch", *names),
        iter([*key, *(one.get(name, "") for name in names)] for key, one in cells.items()),
    )
    yield ""


def _missing(found: dict[str, Any]) -> Iterator[str]:
    failed = [row for row in found["rows"] if "lacks" in row]
    if failed:
        yield "## What failed"
        yield ""
        head = ("library", "network", "method", "batch", "why")
        yield from table(
            head,
            iter(
                [row["library"], row["network"], row.get("method", "all that was left"),
                 str(row.get("batch", "")), row["lacks"].replace("|", "/")]
                for row in failed
            ),
        )  # fmt: skip
        yield ""
    if found["left_out"]:
        names = ", ".join(f"{library} on {network}" for library, network in found["left_out"])
        yield f"Left out, since {found['budget']:.0f} seconds were over: {names}."
