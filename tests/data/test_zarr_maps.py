"""Maps in Zarr stores: written shard by shard, for xarray and for cnnvis, whole or not at all."""

from __future__ import annotations

import json
import tracemalloc
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from quick import quick_are, quick_at

import cnnvis
from cnnvis.data import zarr_maps
from cnnvis.files.addresses import Address
from cnnvis.files.objects import CLAIM
from cnnvis.reporting import notes_kept

fsspec = pytest.importorskip("fsspec", reason="fsspec is not installed")
xarray = pytest.importorskip("xarray")
RNG = np.random.default_rng(0)
MAPS = RNG.normal(size=(7, 20, 16)).astype(np.float32)


def explanation(**changes: Any) -> cnnvis.Explanation:
    samples = cnnvis.Samples(
        RNG.random((7, 20, 16, 1)).astype(np.float32),
        np.arange(7) % 2,
        names=tuple(f"image {place}" for place in range(7)),
        class_names=("neutral", "sweep"),
        indices=np.arange(7) * 3,
    )
    made = cnnvis.Explanation(
        MAPS,
        samples,
        targets=tuple(
            cnnvis.Target("output", (place % 2,), (("neutral", "sweep")[place % 2],), place / 7)
            for place in range(7)
        ),
        signed=True,
        notes=("a note",),
        provenance={"technique": "saliency", "options": {"backprop": None}},
        measures={"sparseness": np.arange(7) / 7},
        predictions=np.arange(7) % 2,
        curves={"score": RNG.random((7, 5))},
    )
    axes = {
        "column": cnnvis.Axis("position", "bp", 100, 250),
        "row": cnnvis.Axis(values=tuple("ab" * 10)),
    }
    return replace(made.described(axes), **changes)


def stream_of(one: cnnvis.Explanation, size: int = 3) -> cnnvis.Stream:
    return cnnvis.Stream(lambda: [one[i : i + size] for i in range(0, len(one), size)])


@pytest.fixture(params=["disk", "memory"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Any]:
    files = fsspec.filesystem("memory")
    files.store.clear()
    yield tmp_path / "maps.zarr" if request.param == "disk" else Address("memory", "maps.zarr")
    files.store.clear()


def require_equal(found: cnnvis.Explanation, made: cnnvis.Explanation) -> None:
    np.testing.assert_array_equal(found.array, made.array)
    for name in ("axes", "targets", "signed", "notes", "coordinates", "titles", "groups", "input"):
        assert getattr(found, name) == getattr(made, name), name
    for row in range(len(made)):
        assert found.title(row) == made.title(row)
    for one, other in ((found.measures, made.measures), (found.curves, made.curves)):
        assert {*one} == {*other}
        for name in other:
            np.testing.assert_array_equal(one[name], other[name])
    assert (found.predictions is None) == (made.predictions is None)
    if made.predictions is not None:
        assert (
            found.predictions is not None
            and found.predictions.tolist() == made.predictions.tolist()
        )
    if made.samples is not None:
        assert found.samples is not None
        for name in ("names", "class_names", "label_kind", "in_words", "channel_axis", "grids"):
            assert getattr(found.samples, name) == getattr(made.samples, name), name


@pytest.mark.parametrize("inputs", quick_are([True], [False, True]))
def test_what_is_read_is_what_was_written(
    place: Any, inputs: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(zarr_maps, "SHARD", 2 * MAPS[0].nbytes)
    made = explanation()
    stream_of(made).write_zarr(place, inputs=inputs)
    found = cnnvis.Explanation.load(str(place))
    require_equal(found, made)
    if inputs:
        assert found.inputs is not None and made.inputs is not None
        np.testing.assert_array_equal(found.inputs, made.inputs)
    else:
        with pytest.raises(cnnvis.UserError, match="were not kept"):
            np.asarray(found.samples.source[:])  # type: ignore[union-attr]


def _grids() -> tuple[Any, ...]:
    one = cnnvis.VoxelGrid((20, 16, 1), tuple(map(tuple, np.diag([2.0, 1, 1, 1]).tolist())))
    return (one, None, one, None, one, None, one)


def _places(steps: bool) -> cnnvis.Places:
    starts = RNG.integers(0, 1000, 7 if steps else (7, 16))
    return cnnvis.Places(
        "column", tuple("aabbbcc"), starts, np.full(7, 2.0) if steps else None, 16, {"a": 10**6}
    )


@pytest.mark.parametrize(
    "changes",
    quick_at([0, 3], [(one,) for one in [
        {"samples": None, "groups": tuple("abcdefg"), "predictions": None},
        {"samples": None, "titles": tuple("abcdefg"), "targets": (), "predictions": None},
        {"samples": replace(explanation().samples, grids=_grids())},
        {"samples": replace(explanation().samples, places=_places(True))},
        {"samples": None, "predictions": None, "own_places": _places(False)},
        {"samples": replace(explanation().samples, label_kind=None, labels=RNG.integers(0, 2, (7, 20, 16)))},
        {"samples": replace(explanation().samples, label_kind=None, labels=RNG.random((7, 3)), class_names=None)},
        {"samples": replace(explanation().samples, target_numbers=np.arange(7) % 2)},
        {"maps": MAPS[:, 0, :], "axes": ("position",), "coordinates": {}, "input": "left"},
        {"maps": MAPS[..., None], "axes": ("row", "column", "channel")},
    ]]),
)  # fmt: skip
def test_explanations_of_all_kinds(tmp_path: Path, changes: Any) -> None:
    made = explanation(**changes)
    stream_of(made).write_zarr(tmp_path / "maps.zarr")
    found = cnnvis.Explanation.load(tmp_path / "maps.zarr")
    require_equal(found, made)
    if made.image_places is not None:
        assert found.image_places is not None
        assert found.image_places.fingerprints() == made.image_places.fingerprints()


def test_names_that_lead_elsewhere(tmp_path: Path) -> None:
    """Measures may have a stranger's names, and images those of files, which need not be text."""
    names = ("..", "../evil", "maps", "row", "a/b", "zarr.json", "fine")
    made = explanation(measures={name: np.arange(7) / 7 for name in names})
    odd = replace(made.samples, names=tuple(f"image \udc80 {place}" for place in range(7)))  # type: ignore[type-var]
    with notes_kept() as notes:
        stream_of(replace(made, samples=odd)).write_zarr(tmp_path / "in" / "maps.zarr")
    assert {one.name for one in tmp_path.iterdir()} == {"in"}
    assert {one.name for one in (tmp_path / "in").iterdir()} == {"maps.zarr"}
    found = cnnvis.Explanation.load(tmp_path / "in" / "maps.zarr")
    assert {*found.measures} == {"fine"}
    assert found.samples is not None and found.samples.names is not None
    assert found.samples.names[3] == r"image \udc80 3"
    np.testing.assert_array_equal(found.array, MAPS)
    assert any(
        "leaves out '..', '../evil', 'maps', 'row', 'a/b', 'zarr.json'" in one for one in notes
    )


def test_xarray_has_all_of_it(place: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(zarr_maps, "SHARD", 2 * MAPS[0].nbytes)
    made = explanation()
    stream_of(made).write_zarr(place)
    found = xarray.open_zarr(str(place))
    expected = made.to_xarray()
    assert found.maps.dims == ("image", "row", "column")
    assert found.maps.encoding["chunks"] == (1, 20, 16) and found.maps.encoding["shards"] == (
        2,
        20,
        16,
    )
    np.testing.assert_array_equal(found.maps.values, expected.values)
    for name in expected.coords:
        assert found.coords[name].values.tolist() == expected.coords[name].values.tolist(), name
    assert found.column.attrs == {"long_name": "position", "units": "bp"}
    assert json.loads(found.attrs["provenance"]) == made.provenance
    assert found.attrs["notes"] == "a note"
    assert found.sel(row="a").maps.shape == (7, 10, 16)
    assert found.compute().where(
        found.label.compute() == "sweep", drop=True
    ).image.values.tolist() == [3, 9, 15]


def test_nothing_is_left_of_what_fails(place: Any) -> None:
    def batches() -> Iterator[cnnvis.Explanation]:
        yield explanation()
        raise cnnvis.UserError("no more")

    with pytest.raises(cnnvis.UserError, match="no more"):
        cnnvis.Stream(batches).write_zarr(place)
    if isinstance(place, Address):
        assert fsspec.filesystem("memory").find("/maps.zarr") == []
    else:  # the renderer fills a folder that becomes the store at the end
        assert not (place / "zarr.json").exists()


def test_no_store_takes_the_place_of_another(place: Any, tmp_path: Path) -> None:
    made = explanation()
    made.save(str(place))
    with pytest.raises(cnnvis.UserError, match="already"):
        made.save(str(place))
    require_equal(cnnvis.Explanation.load(str(place)), made)


def test_two_uploads_to_one_address() -> None:
    """And what a killed process leaves is no store, and is not written over."""
    files = fsspec.filesystem("memory")
    files.store.clear()
    address = Address("memory", "maps.zarr")

    def batches() -> Iterator[cnnvis.Explanation]:
        yield explanation()
        with pytest.raises(cnnvis.UserError, match=f"something at 'memory://maps.zarr' .*{CLAIM}"):
            explanation().save(str(address))
        yield explanation()

    cnnvis.Stream(batches).write_zarr(address)
    assert len(cnnvis.Explanation.load(str(address))) == 14
    files.rm_file("/maps.zarr/zarr.json")
    with pytest.raises(cnnvis.UserError, match="there is no Zarr store at"):
        cnnvis.Explanation.load(str(address))
    files.store.clear()


@pytest.mark.slow
def test_memory_does_not_grow_with_maps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(zarr_maps, "SHARD", 2**18)
    maps = RNG.normal(size=(64, 32, 32)).astype(np.float32)
    batch = cnnvis.Explanation(maps, provenance={"technique": "made"})

    def peak(count: int) -> int:
        tracemalloc.start()
        cnnvis.Stream(lambda: (batch for _ in range(count))).write_zarr(tmp_path / f"{count}.zarr")
        _, found = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return found

    assert peak(24) < 24 * maps.nbytes / 4
    assert len(list((tmp_path / "24.zarr" / "maps").iterdir())) == 24 * 64 * 4096 // 2**18 + 1


def _change(place: Path, what: str) -> None:
    root = place / "zarr.json"
    facts = json.loads(root.read_text())
    own = json.loads(facts["attributes"]["cnnvis"])
    match what:
        case "a table of targets":
            own["target_table"] = own["target_table"][:1]
        case "a missing chunk":
            next((place / "maps").glob("c.*")).unlink()
        case "nested facts":
            facts["attributes"]["cnnvis"] = "[" * 1000
            root.write_text(json.dumps(facts))
            return
        case "other facts":
            own["axes"] = 7
        case "a later form":
            own["format"] = 99
        case "no facts":
            own = {}
    facts["attributes"]["cnnvis"] = json.dumps(own)
    root.write_text(json.dumps(facts))


@pytest.mark.parametrize(
    ("what", "sentence"),
    quick_at(
        [1, 3],
        [
            ("a table of targets", "was changed by hand: numbers of targets"),
            ("a missing chunk", "maps hold NaN"),
            ("nested facts", "is not an explanation that cnnvis saved"),
            ("other facts", "is not an explanation that cnnvis saved"),
            ("a later form", "its form is 99, and this version reads 1"),
            ("no facts", "is not an explanation that cnnvis saved"),
        ],
    ),
)
def test_stores_that_were_changed_are_refused(tmp_path: Path, what: str, sentence: str) -> None:
    explanation().save(tmp_path / "maps.zarr")
    _change(tmp_path / "maps.zarr", what)
    with pytest.raises(cnnvis.UserError, match=sentence):
        cnnvis.Explanation.load(tmp_path / "maps.zarr")


@pytest.mark.slow
def test_commands_take_a_store_in_the_place_of_a_network(typed: Any, tmp_path: Path) -> None:
    explanation().save(tmp_path / "maps.zarr")
    answer = typed("show-result", "maps.zarr", "-r", "numpy", "-o", "again.npz")
    assert answer.returncode == 0, answer.stderr
    np.testing.assert_array_equal(cnnvis.Explanation.load("again.npz").array, MAPS)
    answer = typed("chain", "maps.zarr", "average", "zarr-maps", "-o", "means.zarr")
    assert answer.returncode == 0, answer.stderr
    assert answer.stdout == "means.zarr\n"
    means = cnnvis.Explanation.load("means.zarr")
    np.testing.assert_allclose(means.array[1], MAPS[1::2].mean(axis=0), rtol=1e-5)
    answer = typed("show-result", "maps.zarr", "-r", "zarr-maps", "-o", "maps.zarr")
    assert answer.returncode == 2 and "exists already" in answer.stderr
