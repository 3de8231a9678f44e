"""Data at addresses: read as they were listed, in pieces, and nothing else is ever asked for."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from quick import quick_are, quick_at

import cnnvis
from cnnvis.data.batches import Pieces, read_ahead
from cnnvis.explain.request import Request
from cnnvis.files import objects
from cnnvis.files.addresses import Address, is_address, place_of
from cnnvis.registry.arguments import DataArguments, LoadOptions, TargetArguments
from cnnvis.runs.on import On, with_request
from cnnvis.runs.seals import sealed, unsealed
from cnnvis.settings.chain_files import Recipe, read_recipe, save_recipe

fsspec = pytest.importorskip("fsspec", reason="fsspec is not installed")
zarr = pytest.importorskip("zarr")

X = np.random.default_rng(0).normal(size=(9, 4, 3, 1)).astype(np.float32)
Y = np.arange(9) % 3


@pytest.fixture
def memory() -> Iterator[Any]:
    """The store of addresses memory://, empty before and after."""
    files = fsspec.filesystem("memory")
    files.store.clear()
    yield files
    files.store.clear()


def put(files: Any, name: str, folder: Path) -> str:
    """Copy a folder into the store, and return its address."""
    for file in folder.rglob("*"):
        if file.is_file():
            files.pipe_file(f"/{name}/{file.relative_to(folder)}", file.read_bytes())
    return f"memory://{name}"


def stored(folder: Path, **settings: Any) -> Path:
    """Write X, an image a chunk, and Y."""
    group = zarr.open_group(str(folder), mode="w")
    group.create_array("X", data=X, chunks=(1, 4, 3, 1), **settings)
    group.create_array("y", data=Y)
    return folder


@pytest.mark.parametrize(
    ("typed", "found"),
    [
        ("s3://lab/images.zarr", "s3://lab/images.zarr"),
        ("S3://lab/a//", "s3://lab/a"),
        ("gs://lab/a b/images.zarr/", "gs://lab/a b/images.zarr"),
        ("file:///data/a%20b.zarr", Path("/data/a b.zarr")),
        ("images.zarr", Path("images.zarr")),
        ("s3:/lab/images.zarr", Path("s3:/lab/images.zarr")),
        (Path("s3://lab/images.zarr"), Path("s3:/lab/images.zarr")),
    ],
)
def test_what_is_typed_names_a_place(typed: Any, found: Any) -> None:
    assert (str if isinstance(found, str) else Path)(place_of(typed)) == found  # type: ignore[operator]
    assert isinstance(place_of(typed), Address) == isinstance(found, str)


@pytest.mark.parametrize(
    ("typed", "sentence"),
    [
        ("https://host/images.zarr", "a kind that cnnvis does not know; it takes s3:// and gs://"),
        ("ftp://host/images.zarr", "a kind that cnnvis does not know"),
        ("reference://lab", "a kind that cnnvis does not know"),
        ("simplecache::s3://lab/images.zarr", "an address in another address"),
        ("s3://lab/a.zip::https://host/b", "an address in another address"),
        ("file://host/images.zarr", "a file of another machine"),
        ("s3://me:secret@lab/images.zarr", "'s3://lab/images.zarr' holds a name or password"),
        ("s3://lab/images.zarr?X-Amz-Signature=secret", "has a part behind"),
        ("https://me:secret@host/x?token=secret", "does not know"),
        ("s3://lab", "has to name a bucket and what is in it"),
        ("s3://lab/a//b", "has to name a bucket"),
        ("s3://lab/../other", "has to name a bucket"),
        ("s3://lab/\x1b[31m", "has to name a bucket"),
    ],
)
def test_addresses_that_are_refused(typed: str, sentence: str) -> None:
    assert is_address(typed)
    for call in (
        place_of,
        cnnvis.read_samples,
        lambda one: cnnvis.run("saliency", "demo", data=one),
    ):
        with pytest.raises(cnnvis.UserError, match=sentence) as refused:
            call(typed)  # type: ignore[operator]
        assert "secret" not in str(refused.value)


def test_images_are_read_as_they_are_needed(memory: Any, tmp_path: Path) -> None:
    address = put(memory, "images.zarr", stored(tmp_path / "images.zarr"))
    samples = cnnvis.read_samples(address)
    assert samples.labels is not None and samples.labels.tolist() == Y.tolist()
    orders: list[Any] = [[3], [0, 1, 2], [5, 2, 2, 8], slice(2, 7), slice(None), [], [-1]]
    for order in orders:
        np.testing.assert_array_equal(samples[order].x, X[order])
    assert str(samples.path) == address
    # What was not asked for could be anything.
    before = cnnvis.read_samples(address)
    assert before.sha256 == samples.sha256
    memory.pipe_file("/images.zarr/X/c/7/0/0/0", b"another")
    np.testing.assert_array_equal(before[[6, 8]].x, X[[6, 8]])
    assert cnnvis.read_samples(address).sha256 != before.sha256


@pytest.mark.parametrize("change", ["written anew", "removed", "made longer"])
def test_objects_that_change_end_the_run(memory: Any, tmp_path: Path, change: str) -> None:
    samples = cnnvis.read_samples(put(memory, "images.zarr", stored(tmp_path / "images.zarr")))
    name = "/images.zarr/X/c/7/0/0/0"
    if change == "removed":
        memory.rm_file(name)
    else:
        memory.pipe_file(name, memory.cat_file(name) + b"more" * (change == "made longer"))
    with pytest.raises(cnnvis.UserError, match=r"'memory://images\.zarr/X/c/7/0/0/0' was changed"):
        list(read_ahead(samples, Pieces(9, 4)))


def test_a_damaged_chunk_costs_its_image(memory: Any, tmp_path: Path) -> None:
    folder = stored(tmp_path / "images.zarr")
    (folder / "X/c/7/0/0/0").write_bytes(b"no frame of Zstandard")
    samples = cnnvis.read_samples(put(memory, "images.zarr", folder))
    read = list(read_ahead(samples, Pieces(9, 4)))
    assert [place for one in read for place in one.failed] == [7]
    assert [place for one in read for place in one.good] == [0, 1, 2, 3, 4, 5, 6, 8]


def test_a_store_that_fails_stops_the_run(
    memory: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No image is left out for it."""
    samples = cnnvis.read_samples(put(memory, "images.zarr", stored(tmp_path / "images.zarr")))

    def fail(*_: Any, **__: Any) -> None:
        raise TimeoutError("https://AKIAABCDEFGHIJKLMNOP:secret@host/?X-Amz-Signature=secret")

    monkeypatch.setattr(type(memory), "cat_file", fail)
    with pytest.raises(cnnvis.DiskError, match="the store cannot be reached") as failed:
        list(read_ahead(samples, Pieces(9, 4)))
    assert "secret" not in str(failed.value) and "AKIA" not in str(failed.value)


def _hostile(folder: Path, what: str) -> None:
    array = folder / "X" / "zarr.json"
    facts = json.loads(array.read_text())
    match what:
        case "another codec":
            facts["codecs"].append({"name": "numcodecs.pickle", "configuration": {}})
        case "a huge chunk":
            facts["chunk_grid"]["configuration"]["chunk_shape"] = [2**20, 4, 30, 1]
        case "a huge array":
            facts["shape"][0] = 2**40
        case "no JSON":
            array.write_text("{" * 10_000)
            return
        case "nothing at the root":
            (folder / "zarr.json").unlink()
            return
        case "a strange name":
            (folder / "X\x1b[2J").mkdir()
            (folder / "X\x1b[2J" / "zarr.json").write_text("{}")
            return
    array.write_text(json.dumps(facts))


@pytest.mark.parametrize(
    ("what", "sentence"),
    quick_at(
        [0, 2, 5],
        [
            (
                "another codec",
                "packs 'X' with the codec 'numcodecs.pickle'|is damaged, or no Zarr store",
            ),
            ("a huge chunk", "in pieces of .* far too large"),
            ("a huge array", "more than 100 times its stored bytes"),
            ("no JSON", "is damaged, or no Zarr store"),
            ("nothing at the root", "there is no Zarr store at 'memory://images.zarr'"),
            ("a strange name", r"an object with the strange name 'X\\x1b"),
        ],
    ),
)
def test_strange_stores_are_refused(memory: Any, tmp_path: Path, what: str, sentence: str) -> None:
    _hostile(stored(tmp_path / "images.zarr"), what)
    address = put(memory, "images.zarr", tmp_path / "images.zarr")
    with pytest.raises(cnnvis.UserError, match=sentence) as refused:
        cnnvis.read_samples(address)
    assert "/tmp" not in str(refused.value)


def test_names_that_lead_elsewhere_are_not_followed(memory: Any, tmp_path: Path) -> None:
    """A listing may have any names; the samples of a first look are written under them."""
    put(memory, "images.zarr", stored(tmp_path / "images.zarr"))
    held = objects.HeldObjects(Address("memory", "images.zarr"))
    held.known["../../evil/zarr.json"] = objects.Known("", 2)
    vars(held)["known"] = dict(sorted(held.known.items()))
    from cnnvis.files import zarr_stores

    with pytest.raises(cnnvis.UserError, match="strange name"):
        zarr_stores.zarr_arrays(held.path, held)
    assert not (tmp_path.parent / "evil").exists()


def test_nothing_and_too_much(memory: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(cnnvis.UserError, match=r"there is nothing at 'memory://images\.zarr'"):
        cnnvis.read_samples("memory://images.zarr")
    put(memory, "images.zarr", stored(tmp_path / "images.zarr"))
    monkeypatch.setattr(objects, "MOST_OBJECTS", 10)
    with pytest.raises(cnnvis.UserError, match="more than 10 objects"):
        cnnvis.read_samples("memory://images.zarr")
    with pytest.raises(cnnvis.UserError, match=r"no reader takes the address .*zarr \(.zarr\)"):
        cnnvis.read_samples("memory://images.npz")
    with pytest.raises(cnnvis.UserError, match="reads a model from files of this machine alone"):
        cnnvis.load_model("s3://lab/model.keras")


@pytest.mark.parametrize(
    ("address", "command"),
    [("s3://lab/a.zarr", r"s3fs, which pip install 'cnnvis\[remote\]' installs"),
     ("gs://lab/a.zarr", r"gcsfs, which pip install 'cnnvis\[remote\]' gcsfs installs")],
)  # fmt: skip
def test_a_missing_package_is_named(
    address: str, command: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    import sys

    for name in ("s3fs", "gcsfs"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(cnnvis.UserError, match=command):
        cnnvis.read_samples(address)


@pytest.mark.parametrize(
    ("version", "is_remote"),
    quick_are([(2, False), (3, True)], [(2, False), (2, True), (3, False), (3, True)]),
)
def test_axes_are_those_of_xarray(
    memory: Any, tmp_path: Path, version: int, is_remote: bool
) -> None:
    xarray = pytest.importorskip("xarray")
    dataset = xarray.Dataset(
        {"images": (("image", "y", "x", "channel"), X), "labels": ("image", Y)},
        coords={
            "y": ("y", [1.5, 2.0, 2.5, 3.0], {"units": "km", "long_name": "height"}),
            "x": ["left", "middle", "right"],
            "image": np.arange(9) * 10,
        },
    )
    folder = tmp_path / "images.zarr"
    dataset.to_zarr(folder, zarr_format=version)
    samples = cnnvis.read_samples(put(memory, "images.zarr", folder) if is_remote else folder)
    np.testing.assert_array_equal(samples.x, X)
    assert samples.labels is not None and samples.labels.tolist() == Y.tolist()
    assert samples.coordinates == {
        "row": cnnvis.Axis("height", "km", 1.5, 0.5),
        "column": cnnvis.Axis("x", values=("left", "middle", "right")),
    }


def _refuse_connections(*_: Any) -> None:
    raise AssertionError("a connection was opened")


def test_files_open_no_connections(
    typed: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A chain in a file, and a run folder, may be a stranger's."""
    monkeypatch.setattr(objects.Connection, "to", _refuse_connections)
    chain = '[chains.one]\nmodel = "demo"\n{}\n[[chains.one.steps]]\nstep = "saliency"\n'
    for line, flag in (
        ('data = "s3://lab/x.zarr"', "--data"),
        ('out = "s3://lab/x.zarr"', "--out"),
    ):
        (tmp_path / "chain.toml").write_text(chain.format(line))
        answer = typed("chain", "--file", "chain.toml")
        assert answer.returncode == 2
        assert f"add {flag} s3://lab/x.zarr" in " ".join(answer.stderr.split())
    save_recipe(Recipe("two", {"data": "s3://lab/x.zarr"}, [("png", {})]), tmp_path / "chain.toml")
    assert read_recipe(tmp_path / "chain.toml", "two").subject["data"] == "s3://lab/x.zarr"
    (tmp_path / "chain.toml").write_text(chain.format("").replace('"demo"', '"s3://lab/x.zarr"'))
    answer = typed("chain", "--file", "chain.toml")
    assert answer.returncode == 2 and "as its model" in " ".join(answer.stderr.split())


@pytest.mark.slow
def test_a_run_folder_opens_no_connection(
    typed: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also one whose manifest names an address in the place of a file."""
    words = ("run", "saliency", "demo", "-im", "0", "1", "-bm", "none")
    assert typed(*words, "--into", "maps.run").returncode == 0
    manifest = tmp_path / "maps.run" / "manifest.json"
    facts = unsealed(manifest.read_bytes())
    facts["data"]["file"] = facts["model"]["file"] = "s3://lab/x.zarr"
    manifest.write_bytes(sealed(facts, indent=1))
    monkeypatch.setattr(objects.Connection, "to", _refuse_connections)
    answer = typed(*words, "--into", "maps.run", "--resume")
    assert answer.returncode == 0, answer.stderr
    for name in ("numpy", "html"):
        answer = typed("show-result", "maps.run", "-r", name, "-o", f"shown/{name}/")
        assert answer.returncode == 0, answer.stderr


def test_workers_are_given_the_address(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    data = DataArguments("s3://lab/x.zarr")
    request = Request("model.h5", data, TargetArguments(), LoadOptions(), {})
    asked = with_request(On(1), request).request
    assert asked is not None and asked.data.data == "s3://lab/x.zarr"
    assert asked.model == str(tmp_path / "model.h5")


@pytest.mark.parametrize(
    ("words", "sentence"),
    quick_at(
        [0, 1, 2, 4],
        [
            ("run saliency demo --into s3://lab/maps.run", "a run folder has to be on a disk"),
            ("run saliency demo -o s3://lab/maps.png", "png writes to disks alone"),
            (
                "run saliency demo -o s3://lab/maps/",
                "needs a renderer that writes there: -r zarr-maps",
            ),
            ("run saliency demo -r npy -o s3://lab/maps/", "no renderer named 'npy'"),
            ("chain demo saliency png -o s3://lab/maps/", "png writes to disks alone"),
            ("report demo -d demo -o s3://lab/report.html", "is an address"),
            ("evaluate saliency demo -o s3://lab/", "is an address"),
        ],
    ),
)
def test_what_is_not_written_to_addresses(typed: Any, words: str, sentence: str) -> None:
    """And nothing is computed before that is said."""
    answer = typed(*words.split())
    assert answer.returncode == 2, answer.stderr
    assert sentence in " ".join(answer.stderr.split())
    assert list(Path().iterdir()) == []
