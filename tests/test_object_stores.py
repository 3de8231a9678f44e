"""Real commands on a store that speaks S3 over HTTP."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from object_store import ObjectStore, error, listening

import cnnvis
from cnnvis.data.batches import Pieces, read_ahead

pytestmark = pytest.mark.slow
COUNT = 10_000
KINDS = np.random.default_rng(0).integers(0, 2, (7, 64, 64, 1), np.int8)
X = KINDS[np.arange(COUNT) % 7]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ObjectStore]:
    """A store with 10,000 small images, an object each, and with a small copy in shards."""
    import zarr

    with listening() as store:
        held: dict[str, Any] = {}
        group = zarr.open_group(zarr.storage.MemoryStore(held), mode="w")
        group.create_array("y", data=np.arange(COUNT) % 2)
        images = group.create_array("X", shape=X.shape, chunks=(1, 64, 64, 1), dtype=X.dtype)
        images[:7] = KINDS
        for place in range(7, COUNT):  # of which no more than seven are packed
            held[f"X/c/{place}/0/0/0"] = held[f"X/c/{place % 7}/0/0/0"]
        few: dict[str, Any] = {}
        group = zarr.open_group(zarr.storage.MemoryStore(few), mode="w")
        group.create_array("X", data=X[:96], chunks=(1, 64, 64, 1), shards=(32, 64, 64, 1))
        for name, objects in (("images.zarr", held), ("shards.zarr", few)):
            for key, data in objects.items():
                store.put(f"{name}/{key}", data.to_bytes())
        yield store


@pytest.fixture(autouse=True)
def _ready(store: ObjectStore) -> Iterator[None]:
    store.requests.clear()
    yield
    store.refuse = lambda method, path: None


def command(folder: Path, *words: object, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "cnnvis", *map(str, words)],
        cwd=folder, capture_output=True, text=True, timeout=300, check=False,
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", **variables},
    )  # fmt: skip


def test_few_of_many_images(store: ObjectStore, tmp_path: Path) -> None:
    """The command reads the images that were asked for, and none that were not; maps go back there."""
    import xarray

    words = ("run", "saliency", "demo", "-im", "5000", "3", "9999", "-bm", "none")
    answer = command(tmp_path, *words, "-d", "s3://lab/images.zarr", "-o", "s3://lab/maps.zarr")
    assert answer.returncode == 0, answer.stderr
    assert answer.stdout == "s3://lab/maps.zarr\n"
    assert "Traceback" not in answer.stderr and "secret" not in answer.stderr + answer.stdout
    # The first image is of the first look.
    assert store.reading("/X/c/") == 4
    assert len(store.requests) < 60
    np.savez(tmp_path / "images.npz", X=X, y=np.arange(COUNT) % 2)
    answer = command(tmp_path, *words, "-d", "images.npz", "-o", "maps.npz")
    assert answer.returncode == 0, answer.stderr
    expected = cnnvis.Explanation.load(tmp_path / "maps.npz")
    found = xarray.open_zarr("s3://lab/maps.zarr")
    np.testing.assert_array_equal(found.maps.values, expected.array)
    assert found.image.values.tolist() == [5000, 3, 9999]
    assert "AKIA" not in json.dumps(found.attrs) and "s3:" not in json.dumps(found.attrs)
    assert json.loads(found.attrs["provenance"])["data"]["file"] == "images.zarr"
    # And the store is data for everything that takes results.
    answer = command(
        tmp_path, "show-result", "s3://lab/maps.zarr", "-r", "numpy", "-o", "again.npz"
    )
    assert answer.returncode == 0, answer.stderr
    np.testing.assert_array_equal(
        cnnvis.Explanation.load(tmp_path / "again.npz").array, expected.array
    )
    answer = command(tmp_path, *words, "-d", "s3://lab/images.zarr", "-o", "s3://lab/maps.zarr")
    assert answer.returncode == 2 and "there is something at 's3://lab/maps.zarr'" in " ".join(
        answer.stderr.split()
    )


def test_shards_are_read_in_parts(store: ObjectStore) -> None:
    samples = cnnvis.read_samples("s3://lab/shards.zarr")
    store.requests.clear()
    np.testing.assert_array_equal(samples[[40, 41, 70]].x, X[[40, 41, 70]])
    assert store.reading("/X/c/1") == 3  # the index, and two chunks
    assert store.reading("/X/c/2") == 2


def test_an_object_that_is_written_anew(store: ObjectStore) -> None:
    import boto3

    samples = cnnvis.read_samples("s3://lab/shards.zarr")
    client = boto3.client("s3")
    name = {"Bucket": "lab", "Key": "shards.zarr/X/c/1/0/0/0"}
    before = client.get_object(**name)["Body"].read()
    try:
        client.put_object(**name, Body=before[:-1] + b"!")
        with pytest.raises(
            cnnvis.UserError, match=r"'s3://lab/shards.zarr/X/c/1/0/0/0' was changed"
        ):
            list(read_ahead(samples, Pieces(96, 32)))
        client.delete_object(**name)
        with pytest.raises(cnnvis.UserError, match="was changed, replaced or removed"):
            list(read_ahead(samples, Pieces(96, 32)))
    finally:
        client.put_object(**name, Body=before)
    assert cnnvis.read_samples("s3://lab/shards.zarr").sha256 == samples.sha256


def test_what_a_store_refuses(store: ObjectStore, typed: Any) -> None:
    def ended(code: int, sentence: str, *words: str) -> None:
        answer = typed("run", "saliency", "demo", "-im", "0", "-bm", "none", "-d", *words)
        said = " ".join(answer.stderr.split())
        assert (answer.returncode, sentence in said) == (code, True), said
        assert "Traceback" not in said and "secret" not in said and "AKIA" not in said

    ended(2, "there is no bucket 'nowhere'", "s3://nowhere/images.zarr")
    ended(2, "there is nothing at 's3://lab/nothing.zarr'", "s3://lab/nothing.zarr")
    store.refuse = lambda method, path: ("403 Forbidden", error("SignatureDoesNotMatch"))
    ended(2, "the store refuses it (SignatureDoesNotMatch)", "s3://lab/images.zarr")
    store.refuse = lambda method, path: ("500 Server Error", error("InternalError"))
    ended(5, "cannot be read", "s3://lab/images.zarr")
    # A permission that ends in the middle is none of the command's mistakes.
    store.refuse = lambda method, path: (
        ("403 Forbidden", error("ExpiredToken")) if "/X/c/2" in path else None
    )
    ended(5, "(ExpiredToken)", "s3://lab/shards.zarr", "-im", "64")
    busy = iter(range(3))
    store.refuse = lambda method, path: (
        ("503 Slow Down", error("SlowDown")) if next(busy, None) is not None else None
    )
    answer = typed("run", "get-labels", "demo", "-d", "s3://lab/images.zarr", "-im", "0-3")
    assert answer.returncode == 0, answer.stderr


def test_no_network_and_no_credentials(
    store: ObjectStore, typed: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ("doctor", "demo", "-d", "s3://lab/images.zarr")
    with monkeypatch.context() as patched:
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            patched.delenv(name)
        answer = typed(*words)
        assert answer.returncode == 2 and "no credentials were found" in " ".join(
            answer.stderr.split()
        )
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    answer = typed(*words)
    assert answer.returncode == 5, answer.stderr
    assert "the store cannot be reached" in " ".join(answer.stderr.split())
