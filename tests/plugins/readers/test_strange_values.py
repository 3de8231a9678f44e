"""Files whose labels, names and inputs are of odd kinds: each is read, or refused in a sentence."""

from __future__ import annotations

import datetime
import decimal
import fractions
import pickle
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import h5py
import numpy as np
import pytest
from quick import quick_are

import cnnvis

N = 4
X = np.random.default_rng(0).integers(0, 2, (N, 6, 5)).astype(np.float32)
Y = np.array([0, 1, 1, 0])
HUGE = 10**5000


def _objects(*items: Any) -> Any:
    array = np.empty(len(items), object)
    for place, item in enumerate(items):
        array[place] = item
    return array


def _nested(depth: int) -> Any:
    held: Any = []
    for _ in range(depth):
        held = [held]
    return held


def _alone(item: Any) -> Any:
    """An array of objects without axes."""
    array = np.empty((), object)
    array[()] = item
    return array


CYCLE: list[Any] = []
CYCLE.append(CYCLE)
NOT_TEXT = np.array([b"\xff\xfe", b"a", b"\xff\xfd", b"a"])

LABELS: dict[str, Any] = {
    "one number": np.array(3), "one word": np.array("a"), "a plain number": 3, "a text": "abcd",
    "bytes": b"abcd", "nothing for each": np.zeros((N, 0)), "no classes": np.zeros((N, 0), np.int64),
    "no words": np.zeros((N, 0), "U3"), "no positions": np.zeros((N, 0, 3), np.int64),
    "no bytes": np.zeros((N, 0), "S3"), "no objects": np.zeros((N, 0), object),
    "no text": NOT_TEXT, "no text for each": np.stack([NOT_TEXT] * 2, axis=1),
    "no text among words": ["a", b"\xff", "b", None], "no text in lists": [[b"\xff"], [b"a"], [], ["b"]],
    "a number of 5000 digits": [HUGE, 0, 1, 1], "of 400 digits": [10**400, 0.5, 1, 1],
    "beyond 64 bits": _objects(2**64, -1, 0, 1), "far below": [-(10**30), 0, 1, 1],
    "a class far away": [[10**12], [0], [1, 2], [1]], "another": [[2**40], [0], [1], []],
    "a class of 30 digits": [[10**30], [0], [1], [1]], "digits in lists": [[HUGE], [0], [1], [1]],
    "complex": np.array([1j, 0, 1, 1]), "complex list": [1j] * N, "complex objects": _objects(1j, 2, 3, 4),
    "dates": np.array(["2020-01-01"] * N, "M8[D]"), "no dates": np.array(["NaT"] * N, "M8[D]"),
    "times": np.array([1] * N, "m8[s]"), "records": np.zeros(N, "i4,f4"), "raw": np.zeros(N, "V4"),
    "dicts": [{"a": 1}] * N, "a dict": {"a": 1}, "a set": {1, 2, 3, 4}, "ellipses": [...] * N,
    "decimals": [decimal.Decimal(1)] * N, "days": [datetime.date(2020, 1, 1)] * N, "nested": [_nested(40)] * N, "a cycle": CYCLE,
    "cycles": [CYCLE] * N, "words of three axes": np.full((N, 2, 2), "a"),
    "lists of lists": [[["a"], ["b"]]] * N, "words for each position": np.full((N, 6, 5), "a"),
    "objects for each position": np.full((N, 2, 2), None, object), "too many": np.zeros(7, np.int64),
    "too many words": ["a"] * 9,
     "words and numbers": [["a"], [1], [], [2]],
    "mixed arrays": _objects(np.zeros(2), 1, "a", None), "one object": _alone([1, 2, 3, 4]),
    "true and false in lists": [[True], [False, True], [True], [False]],
    "arrays of raw bytes": _objects(*[np.zeros(2, "V2")] * N), "ranges": [range(2), range(3), 1, 2],
}  # fmt: skip

ODD_LABELS: dict[str, Any] = {
    "halves in lists": [[0.5], [1], [2], [0]],
    "infinite in lists": [[np.inf], [1], [2], [0]],
    "NaN": np.full(N, np.nan), "NaN among them": np.array([0, np.nan, 1, np.nan]),
    "rows of NaN": np.full((N, 2), np.nan), "infinite": np.array([0, np.inf, 1, -np.inf]),
    "NaN and infinite": np.array([[np.nan, np.inf]] * N), "largest": np.full(N, 2**64 - 1, np.uint64),
    "smallest": np.full(N, -(2**63)), "far away": np.array([2**62, 0, 1, 1]), "below zero": -Y,
    "denormal": np.full(N, 5e-324), "minus zero": np.full(N, -0.0), "half": Y.astype(np.float16),
    "long": Y.astype(np.longdouble), "true": Y.astype(bool), "big-endian": Y.astype(">i4"),
    "of a million": np.eye(N, 10**6, dtype=np.int8), "of 64 axes": np.zeros((N,) + (1,) * 63, np.int64),
    "blank": np.zeros(N, "U1"), "blank bytes": np.zeros(N, "S1"), "blanks among them": ["", "a", "", "b"],
    "none": [None] * N, "none and NaN": _objects(None, np.nan, None, "a"), "halves": ["\ud800", "a", "b", "c"],
    "a long word": ["a" * 10**6, "b", "c", "d"], "unseen": ["\x1b[31m", "a\0", "\u202e", "a\nb"],
    "fractions": [fractions.Fraction(1, 2)] * N, "numbers in words": ["1", "2", "3", "4"],
    "mixed": [1, "a", None, 0.5], "one too many": [[0, 1], [1], [], [2, 2]], "a range": range(N),
    "positions": np.zeros((N, 6, 5, 1), np.int64), "positions of NaN": np.full((N, 6, 5), np.nan),
    "UTF-8": np.array(["ä".encode(), b"a", "ä".encode(), b"b"]), "sets": [{"a"}, {"b"}, {"a"}, set()],
}  # fmt: skip

NAMES: dict[str, Any] = {
    "one word": np.array("ab"), "one number": np.array(3), "a plain number": 3, "a text": "ab",
    "bytes": b"ab", "one object": _alone(None), "no text": np.array([b"\xff", b"a"]), "empty": ["", "a"],
    "all empty": ["", ""], "NaN": [np.nan, "a"], "nothing": [None, "a"], "lists": [["a"], ["b"]],
    "a table": np.array([["a", "b"]] * 2), "complex": [1j, 2], "dicts": [{"x": 1}, "b"], "a set": {"a", "b"},
    "numbers far apart": {"a": 5}, "odd keys": {(1,): 0, (2,): "b"}, "a number of 5000 digits": [HUGE, 1],
    "dates": np.array(["2020", "2021"], "M8[Y]"), "nested": [_nested(60), "a"], "a cycle": CYCLE,
    "records": np.zeros(2, "i4,f4"), "ellipses": [..., "a"],
}  # fmt: skip

ODD_NAMES: dict[str, Any] = {
    "none": [], "no rows": np.zeros((0, 2), "U1"), "numbers": [0, 1], "true": [True, False],
    "infinite": np.array([np.inf, -np.inf]), "unseen": ["a\0", "\u202e"], "halves": ["\ud800", "b"],
    "long": ["a" * 10**6, "b"], "a dict": {"a": 0, "b": 1}, "the other way": {0: "a", 1: "b"},
    "a million": ["a"] * 10**6, "a hundred thousand": [str(one) for one in range(10**5)], "one": ["a"],
}  # fmt: skip

INPUTS: dict[str, Any] = {
    "one number": np.array(1.0), "a plain number": 5, "nothing": None, "a text": "abc", "bytes": b"abc",
    "none": np.zeros((0, 6, 5)), "no rows": np.zeros((N, 0, 5)), "no columns": np.zeros((N, 6, 0)),
    "words": np.full((N, 6, 5), "a"), "bytes for each": np.full((N, 6, 5), b"\xff"),
    "complex": X.astype(complex), "complex list": [[1j]], "objects": np.full((N, 6, 5), None, object),
    "numbers of 400 digits": [[10**400]], "objects of 400 digits": np.full((N, 6), 10**400, object),
    "dates": np.zeros((N, 6, 5), "M8[s]"), "times": np.zeros((N, 6, 5), "m8[s]"),
    "raw": np.zeros((N, 6, 5), "V2"), "records": np.zeros((N, 6, 5), [("a", int)]), "a set": {1, 2},
    "lists of words": ["a", "b"], "lists of nothing": [None, None], "of several lengths": [[1], [1, 2]],
    "mixed": [[1, "a"], [2, 3]], "an empty dict": {}, "a dict of words": {"X": "abc"}, "ellipsis": ...,
    "a dict of no array": {"X": {"a": 1}}, "odd keys": {1: X, HUGE: X}, "a cycle": CYCLE,
    "arrays and more": [X[0], None, "a", 3],
    "inputs that differ": {"X": {"a": X, "b": X[:2]}},  "nested": _nested(60),
}  # fmt: skip

WRONG = {
    **{f"labels: {name}": {"X": X, "y": one} for name, one in LABELS.items()},
    **{f"names: {name}": {"X": X, "y": Y, "class_names": one} for name, one in NAMES.items()},
    **{f"inputs: {name}": one for name, one in INPUTS.items()},
}
ODD = {
    **{f"labels: {name}": {"X": X, "y": one} for name, one in ODD_LABELS.items()},
    **{f"names: {name}": {"X": X, "y": Y, "class_names": one} for name, one in ODD_NAMES.items()},
}
Typed = Callable[..., CompletedProcess[str]]


def _stored(held: Any, folder: Path) -> list[Path]:
    """The same in every kind of file that can hold it."""
    paths = [folder / "data.pkl"]
    paths[0].write_bytes(pickle.dumps(held))
    if not isinstance(held, dict) or not all(isinstance(name, str) for name in held):
        return paths
    try:
        arrays = {name: np.asarray(one) for name, one in held.items()}
        np.savez(folder / "data.npz", **arrays)
    except (ValueError, OverflowError):  # of several lengths, of any number of digits
        return paths
    paths.append(folder / "data.npz")
    try:
        with h5py.File(folder / "data.h5", "w") as file:
            for name, one in arrays.items():
                file[name] = one.astype(h5py.string_dtype()) if one.dtype.kind == "U" else one
    except (TypeError, ValueError):  # what HDF5 has no type for
        return paths
    return [*paths, folder / "data.h5"]


SOME_WRONG = (
    *(
        "labels: one number",
        "labels: nothing for each",
        "labels: no text",
        "labels: beyond 64 bits",
    ),
    *("labels: a number of 5000 digits", "labels: a class far away", "labels: complex"),
    *("labels: dates", "labels: records", "labels: dicts", "labels: a cycle", "labels: too many"),
    *("labels: words of three axes", "labels: words and numbers", "names: a plain number"),
    *("names: no text", "names: empty", "names: NaN", "names: lists", "names: numbers far apart"),
    *("inputs: one number", "inputs: none", "inputs: words", "inputs: complex", "inputs: objects"),
    *("inputs: records", "inputs: of several lengths", "inputs: a dict of no array"),
    *("inputs: inputs that differ", "inputs: a cycle"),
)


@pytest.mark.parametrize("held", quick_are(SOME_WRONG, WRONG))
def test_what_is_no_data_is_refused_in_a_sentence_about_the_file(
    held: Any, tmp_path: Path, typed: Typed
) -> None:
    """By every reader, with exit code 2: it is the file's fault, and no bug of anybody's."""
    refused = 0
    for path in _stored(held, tmp_path):
        began = time.process_time()
        done = typed("run", "get-labels", "demo", "-d", path, "-r", "terminal")
        assert time.process_time() - began < 5
        assert done.returncode in (0, 2), (path.suffix, done.stderr)
        assert "Traceback" not in done.stderr and "Please report" not in done.stderr
        if done.returncode:
            assert done.stderr.startswith("error: ") and done.stderr.count("\n") == 1
            assert path.name in done.stderr or "the data hold no images" in done.stderr
            assert len(done.stderr) < 800
            refused += 1
        elif path.suffix == ".pkl":
            raise AssertionError(done.stdout)
    assert refused


SOME_ODD = (
    *("labels: rows of NaN", "labels: of 64 axes", "labels: a long word", "labels: sets"),
    *("names: none", "names: unseen"),
)


@pytest.mark.parametrize("held", quick_are(SOME_ODD, ODD))
def test_what_is_odd_is_read_grouped_and_drawn(held: Any, tmp_path: Path) -> None:
    """Whatever values labels and names have, a map of such an image has a title and a file."""
    names = held.get("class_names")
    began = time.process_time()
    every = [cnnvis.Samples.of(held["X"], held["y"], class_names=names)]
    for path in _stored(held, tmp_path):
        with suppress(cnnvis.UserError):  # not every kind of file may hold everything
            every.append(cnnvis.read_samples(path))
    for samples in every:
        assert len(samples) == N
        if samples.label_kind not in (None, "positions"):
            assert len(samples.label_groups()) == N
        found = cnnvis.Explanation(X, samples)
        for position in range(N):
            assert found.title(position).startswith(f"#{position}")
        if samples.class_names is None or len(samples.class_names) < 1000:
            found.save(tmp_path / "maps.png")
            found.save(tmp_path / "maps.npz")
            again = cnnvis.Explanation.load(tmp_path / "maps.npz")
            assert again.samples is not None and again.samples.class_names == samples.class_names
    assert time.process_time() - began < 20


def test_bytes_that_are_no_text_never_become_one_class(tmp_path: Path) -> None:
    np.savez(tmp_path / "data.npz", X=X, y=NOT_TEXT)
    with pytest.raises(cnnvis.UserError, match=r"no text in UTF-8; .*numpy\.char\.decode"):
        cnnvis.read_samples(tmp_path / "data.npz")
    # The advice works.
    np.savez(tmp_path / "data.npz", X=X, y=np.char.decode(NOT_TEXT, "latin-1"))
    assert cnnvis.read_samples(tmp_path / "data.npz").class_names == ("a", "ÿý", "ÿþ")


def test_as_many_names_as_there_are_are_looked_up_soon() -> None:
    names = [f"class {one}" for one in range(200_000)]
    began = time.process_time()
    samples = cnnvis.Samples(X, np.array([names[7], names[199_999], names[7], names[0]]))
    assert samples.named(names).labels.tolist() == [7, 199_999, 7, 0]  # type: ignore[union-attr]
    with pytest.raises(cnnvis.UserError, match="two classes have the name"):
        samples.named([*names, names[-1]])
    assert time.process_time() - began < 5
