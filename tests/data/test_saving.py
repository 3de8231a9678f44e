"""Saved explanations come from strangers, too: what is read is held against what was written."""

from __future__ import annotations

import io
import json
import os
import time
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from quick import quick_are, quick_at

import cnnvis

Parts = dict[str, Any]
Change = Callable[[Parts, Parts], object]


def explanation() -> cnnvis.Explanation:
    """One that holds all that an explanation can hold."""
    rng = np.random.default_rng(3)
    samples = cnnvis.Samples(
        rng.normal(size=(3, 8, 9, 1)), np.array([1, 0, 1]), ("a", "b", "c"), ("no", "yes"),
        np.array([4, 9, 2]),
    )  # fmt: skip
    return cnnvis.Explanation(
        rng.normal(size=(3, 8, 9)),
        samples,
        titles=("one", "two", "three"),
        targets=tuple(cnnvis.Target("output", (1,), ("yes",), 0.5, 0.25, "at 3") for _ in "abc"),
        signed=True,
        notes=("a note",),
        provenance={"technique": "test", "options": {"size": 3}, "model": {"file": "x.h5"}},
        coordinates={"column": cnnvis.Axis("position", "bp", 1.0, 2.5)},
        measures={"steps": np.array([1.0, 2.0, 3.0])},
        predictions=np.array([1, 0, 0]),
    )


def parts_of(path: Path) -> tuple[Parts, Parts]:
    """The arrays of a file by name, and what its metadata say."""
    with np.load(path) as held:
        arrays = dict(held)
    return arrays, json.loads(str(arrays.pop("metadata")))


def put(path: Path, arrays: Mapping[str, Any], facts: Any) -> None:
    """Write a file of such parts."""
    text = facts if isinstance(facts, str) else json.dumps(facts)
    held = {name: np.asarray(one) for name, one in arrays.items()}
    np.savez(path, **held, **({} if "metadata" in held else {"metadata": np.array(text)}))


def _of(name: str, value: Any) -> Change:
    return lambda arrays, facts: arrays.update({name: value})


def _said(name: str, value: Any) -> Change:
    return lambda arrays, facts: facts.update({name: value})


def _target(**changes: Any) -> Change:
    return lambda arrays, facts: facts["targets"][0].update(changes)


def _made(**changes: Any) -> Change:
    return lambda arrays, facts: facts["provenance"].update(changes)


def _deep(depth: int) -> Any:
    held: Any = 1
    for _ in range(depth):
        held = [held]
    return held


OBJECTS = np.array([1, "a", None], object)
WRONG: dict[str, Change] = {
    "no metadata": lambda arrays, facts: arrays.update(metadata=np.zeros(3)),
    "metadata of bytes": lambda arrays, facts: arrays.update(metadata=np.array(b"{}")),
    "metadata that are several": lambda arrays, facts: arrays.update(metadata=np.array(["{}"])),
    "no JSON": lambda arrays, facts: arrays.update(metadata=np.array("{")),
    "nesting without end": lambda arrays, facts: arrays.update(metadata=np.array("[" * 10**6)),
    "metadata far too long": lambda arrays, facts: arrays.update(metadata=np.array("1" * 2**25)),
    "a number of a million digits": lambda arrays, facts: arrays.update(
        metadata=np.array("9" * 10**6)
    ),
    **{f"maps {name}": _of("maps", value) for name, value in {
        "one number": np.float32(1), "complex": np.zeros((3, 2), complex), "words": np.array(["a"] * 3),
        "objects": OBJECTS, "dates": np.zeros((3, 2), "M8[s]"), "none for an image": np.zeros((3, 0)),
        "none": np.zeros((0, 8, 9)), "too few": np.zeros((2, 8, 9)), "records": np.zeros(3, "i4,f4"),
        "of other axes": np.zeros((3, 8)), "bytes": np.zeros((3, 8, 9), "S1"),
    }.items()},
    **{f"inputs {name}": _of("inputs", value) for name, value in {
        "one number": 1.0, "complex": np.zeros((3, 2), complex), "words": np.array(["a"] * 3),
        "objects": OBJECTS, "too many": np.zeros((4, 8, 9, 1)), "empty": np.zeros((3, 0)),
    }.items()},
    **{f"indices {name}": _of("indices", value) for name, value in {
        "fractions": np.array([0.5, 1, 2]), "NaN": np.full(3, np.nan), "too few": np.arange(2),
        "of two axes": np.zeros((3, 1), int), "words": np.array(["a"] * 3), "one": 3, "objects": OBJECTS,
    }.items()},
    "no indices": lambda arrays, facts: arrays.pop("indices"),
    **{f"labels {name}": _of("labels", value) for name, value in {
        "one": 3, "too many": np.arange(4), "complex": np.zeros(3, complex), "objects": OBJECTS,
        "of another kind": np.array([0.5, 0.1, 2]), "empty": np.zeros((3, 0)),
        "no text": np.array([b"\xff", b"a", b"b"]),
    }.items()},
    **{f"predictions {name}": _of("predictions", value) for name, value in {
        "NaN": np.full(3, np.nan), "too few": np.arange(2), "words": np.array(["a"] * 3), "one": 1,
    }.items()},
    **{f"a measure {name}": _of("measure_steps", value) for name, value in {
        "too few": np.arange(2.0), "words": np.array(["a"] * 3), "complex": np.zeros(3, complex),
        "of two axes": np.zeros((3, 3)),
    }.items()},
    **{f"{name} {value!r}"[:60]: _said(name, value) for name, values in {
        "axes": [3, "ab", ["row"], ["row", 3], ["row", ["column"]], ["x"] * 5000, None],
        "titles": [3, ["a"], [1, 2, 3], [None] * 3, {"a": 1}],
        "targets": [3, [{}], [{}] * 3, [3] * 3, "abc"],
        "signed": [3, "yes", []], "are_inputs": [None, 3, "yes"],
        "table": [3, {"a": [1]}, [], {"a": 3}], "notes": [3, "a", [1], [["a"]]],
        "names": [3, ["a"], [1, 2, 3], "abc"], "channel_axis": [0, 2, "1", 1.5, [1]],
        "class_names": [3, [1, 2], ["a", None], ["", "a"]], "label_kind": ["words", 3],
        "in_words": [3, "yes", None], "provenance": [3, [], "a", None],
        "coordinates": [3, [], {"row": 3}, {"nowhere": {}}, {"row": {"step": "a"}},
                        {"row": {"values": ["a"] * 5}}, {"row": {"values": [[1]] * 8}}],
        "groups": [3, ["a"], [1, 2, 3]], "input": [3, []],
        "other_inputs": [3, [1], "ab", ["x"] * 5000],
    }.items() for value in values},
    **{f"a target's {name} {value!r}"[:60]: _target(**{name: value}) for name, values in {
        "layer": [3, None], "filters": [3, ["a"], [0.5], [None]], "class_names": [3, [1]],
        "score": ["a", [1], 10**400], "probability": ["a", True], "region": [3, []], "other": [1],
    }.items() for value in values},
    **{f"made with {name} {value!r}"[:60]: _made(**{name: value}) for name, values in {
        "technique": [3, None, []], "options": [3, "a", []], "model": [3, "a", []], "data": [3, "a"],
        "transforms": [3, ["a"], [{}], [{"transform": 3}]], "target": [3, []],
        "metrics": [3, ["a"], [{}], [{"metric": 3}], [{"metric": "a", "verdict": 3}],
                    [{"metric": "a", "verdict": {"outcome": "good", "meaning": ""}}]],
        "anything": [_deep(60), _deep(900)],
    }.items() for value in values},
}  # fmt: skip


@pytest.mark.parametrize(
    "change", quick_at(range(0, len(WRONG), 4), WRONG.values()), ids=WRONG.keys()
)
def test_what_is_not_as_it_was_written_is_refused(change: Change, tmp_path: Path) -> None:
    path = tmp_path / "saved.npz"
    explanation().save(path)
    arrays, facts = parts_of(path)
    change(arrays, facts)
    put(path, arrays, facts)
    began = time.monotonic()
    with pytest.raises(
        cnnvis.UserError, match="is not an explanation that cnnvis saved"
    ) as refused:
        cnnvis.Explanation.load(path)
    assert time.monotonic() - began < 5
    assert len(str(refused.value)) < 600
    with pytest.raises(cnnvis.UserError):
        cnnvis.compare(path, path)


ODD: dict[str, Change] = {
    "NaN": _of("maps", np.full((3, 8, 9), np.nan)),
    "infinite": _of("maps", np.full((3, 8, 9), np.inf)),
    "a NaN": lambda arrays, facts: arrays["maps"].__setitem__((0, 0, 0), np.nan),
    "huge": _of("maps", np.full((3, 8, 9), 1e300)),
    "half": _of("maps", np.zeros((3, 8, 9), np.float16)),
    "whole": _of("maps", np.ones((3, 8, 9), np.uint64)),
    "NaN inputs": _of("inputs", np.full((3, 8, 9, 1), np.nan)),
    "inputs of another shape": _of("inputs", np.zeros((3, 2))),
    "places twice": _of("indices", np.zeros(3, int)),
    "places far away": _of("indices", np.full(3, 2**63 - 1)),
    "labels far away": _of("labels", np.array([2**62, -5, 0])),
    "predictions far away": _of("predictions", np.array([2**62, -5, 0])),
    "NaN measures": _of("measure_completeness_gap", np.full(3, np.nan)),
    "a score that is NaN": _target(score=float("nan"), probability=float("inf")),
    "a filter far away": _target(filters=[10**30, -1]),
    "odd coordinates": _said("coordinates", {"row": {"step": float("nan"), "start": 1e308}}),
    "axes twice": _said("axes", ["row", "row"]),
    "unseen names": _said("names", ["\x1b[31m", "\u202e", "a\0b"]),
    "mathematics": _said("titles", ["$x$", r"$\frac{", "_^"]),
    "long names": _said("names", ["a" * 100_000, "b", "c"]),
    "halves of characters": _said("names", ["\ud800", "b", "c"]),
    "another array": _of("other", np.zeros(3)),
}


SOME = (
    *("a NaN", "huge", "inputs of another shape", "labels far away", "a score that is NaN"),
    *("odd coordinates", "unseen names", "mathematics", "halves of characters"),
)


@pytest.mark.parametrize("change", quick_are(SOME, ODD))
def test_what_is_odd_is_compared_drawn_and_saved(change: Change, tmp_path: Path) -> None:
    """No values of a well-formed file make anything fail that a person does with it."""
    path = tmp_path / "saved.npz"
    explanation().save(path)
    arrays, facts = parts_of(path)
    change(arrays, facts)
    put(path, arrays, facts)
    found = cnnvis.Explanation.load(path)
    cnnvis.compare(path, path).figure().save(tmp_path / "both.png")
    found.save(tmp_path / "maps.png")
    found.save(tmp_path / "again.npz")
    again = cnnvis.Explanation.load(tmp_path / "again.npz")
    np.testing.assert_array_equal(again.array, found.array)


def test_a_file_that_is_loaded_and_saved_is_the_same(tmp_path: Path) -> None:
    one = explanation()
    one.save(tmp_path / "first.npz")
    cnnvis.Explanation.load(tmp_path / "first.npz").save(tmp_path / "second.npz")
    assert (tmp_path / "first.npz").read_bytes() == (tmp_path / "second.npz").read_bytes()


def _member(name: str, content: bytes) -> tuple[zipfile.ZipInfo, bytes]:
    return zipfile.ZipInfo(name), content


def _npy(descr: str, shape: str, body: bytes = b"") -> bytes:
    head = f"{{'descr': {descr!r}, 'fortran_order': False, 'shape': {shape}, }}".encode()
    head += b" " * (-(len(head) + 11) % 64) + b"\n"
    return b"\x93NUMPY\1\0" + len(head).to_bytes(2, "little") + head + body


@pytest.mark.parametrize(
    "maps",
    [
        _npy("<f4", "(1000000000000,)"),
        _npy("<f4", "(1000000000000, 0)"),
        _npy("<f4", "(3, 1000000000000, 1000000000000)"),
        _npy("<f4", "(-3,)"),
        _npy("<f4", "(3, 1.5)"),
        _npy("|O", "(3,)", b"cos\nmkdir\n(S'canary'\ntR."),
        _npy("<f4", "(3, 8, 9)", b"\0" * 7),
        b"",
        b"\x93NUMPY\x09\0",
    ],
)  # fmt: skip
def test_what_is_claimed_is_not_believed(maps: bytes, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.chdir(tmp_path)
    explanation().save("saved.npz")
    text = io.BytesIO()
    np.save(text, np.load("saved.npz")["metadata"])
    with zipfile.ZipFile("strange.npz", "w") as archive:
        archive.writestr(*_member("maps.npy", maps))
        archive.writestr(*_member("metadata.npy", text.getvalue()))
    with pytest.raises(cnnvis.UserError):
        cnnvis.Explanation.load("strange.npz")
    assert not Path("canary").exists()


@pytest.mark.slow
def test_what_is_packed_to_nothing_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "strange.npz"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("maps.npy", _npy("<f4", "(80000000,)", bytes(320_000_000)))
    with pytest.raises(cnnvis.UserError, match="would unpack to"):
        cnnvis.Explanation.load(path)


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_what_is_there_twice_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "strange.npz"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("maps.npy", _npy("<f4", "(0,)"))
        archive.writestr("maps.npy", _npy("<f4", "(0,)"))
    with pytest.raises(cnnvis.UserError, match="two arrays of one name"):
        cnnvis.Explanation.load(path)


def test_only_regular_files_are_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.npz")
    (tmp_path / "folder.npz").mkdir()
    (tmp_path / "device.npz").symlink_to("/dev/zero")
    (tmp_path / "loop.npz").symlink_to("loop.npz")
    for name in ("pipe", "folder", "device", "loop", "none", "no\0name"):
        with pytest.raises(cnnvis.UserError):
            cnnvis.Explanation.load(tmp_path / f"{name}.npz")
        with pytest.raises(cnnvis.UserError):
            cnnvis.compare(str(tmp_path / f"{name}.npz"), str(tmp_path / f"{name}.npz"))


@pytest.mark.parametrize(
    "name",
    ["../../x", "/etc/passwd", "..", ".", "", "a/b", "a\\b", "a\0b", "x" * 5000, "~", "$HOME"],
)
def test_names_of_other_inputs_lead_nowhere_else(name: str, tmp_path: Path) -> None:
    """Whatever an input is called, its maps are looked for beside the file, and are of that input."""
    folder = tmp_path / "maps" / "here"
    folder.mkdir(parents=True)
    path = folder / "saved.npz"
    explanation().save(path)
    arrays, facts = parts_of(path)
    put(path, arrays, {**facts, "input": "first", "other_inputs": [name]})
    for elsewhere in (tmp_path, tmp_path / "maps"):
        put(elsewhere / "saved_x.npz", arrays, {**facts, "input": name})
        put(elsewhere / "x.npz", arrays, {**facts, "input": name})
    found = cnnvis.Explanation.load(path)
    assert not found.other_inputs and "is no longer beside this file" in found.notes[-1]


def test_files_beside_are_held_to_the_same(tmp_path: Path) -> None:
    path = tmp_path / "saved.npz"
    explanation().save(path)
    arrays, facts = parts_of(path)
    put(path, arrays, {**facts, "other_inputs": ["left"]})
    os.mkfifo(tmp_path / "saved_left.npz")
    assert "is no longer beside this file" in cnnvis.Explanation.load(path).notes[-1]
    (tmp_path / "saved_left.npz").unlink()
    (tmp_path / "saved_left.npz").symlink_to("/dev/zero")
    assert "is no longer beside this file" in cnnvis.Explanation.load(path).notes[-1]
    (tmp_path / "saved_left.npz").unlink()
    put(tmp_path / "saved_left.npz", arrays, "[]")
    with pytest.raises(cnnvis.UserError, match=r"saved_left\.npz"):
        cnnvis.Explanation.load(path)
    put(tmp_path / "saved_left.npz", arrays, {**facts, "input": "right"})
    assert "is no longer beside this file" in cnnvis.Explanation.load(path).notes[-1]
    put(tmp_path / "saved_left.npz", arrays, {**facts, "input": "left"})
    assert [one.input for one in cnnvis.Explanation.load(path).other_inputs] == ["left"]
