"""What is read is of one file, with its own hash, or the file is said to have been changed."""

from __future__ import annotations

import contextlib
import hashlib
import os
import pickle
import shutil
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from PIL import Image
from quick import quick_are

import cnnvis
from cnnvis.data.batches import Pieces, read_ahead
from cnnvis.data.samples import Samples
from cnnvis.errors import ChangedError, DiskError
from cnnvis.execution.isolation import isolating
from cnnvis.files import sandbox, snapshots

OLD, NEW = (np.full((6, 8, 5, 1), value, np.uint8) for value in (3, 200))


# Formats of data: each writes an array.


def _hdf5(path: Path, x: Any) -> None:
    with h5py.File(path, "w") as file:
        file.create_dataset("X", data=x, chunks=(1, *x.shape[1:]))


def _zarr(path: Path, x: Any) -> None:
    zarr = pytest.importorskip("zarr")
    zarr.open_group(str(path), mode="w").create_array("X", data=x, chunks=(1, *x.shape[1:]))


def _pictures(path: Path, x: Any) -> None:
    path.mkdir()
    for number, one in enumerate(x):
        Image.fromarray(one[..., 0]).save(path / f"{number}.png")


def _csv(path: Path, x: Any) -> None:
    path.write_text("\n".join(map(str, x.ravel().tolist())))


DATA: dict[str, Callable[[Path, Any], None]] = {
    "data.npy": np.save,
    "data.npz": lambda path, x: np.savez(path, X=x),
    "packed.npz": lambda path, x: np.savez_compressed(path, X=x),
    "data.pkl": lambda path, x: path.write_bytes(pickle.dumps((x,))) and None,
    "data.h5": _hdf5,
    "data.zarr": _zarr,
    "pictures": _pictures,
    "one.png": lambda path, x: Image.fromarray(x[0, ..., 0]).save(path),
}


def _renamed(new: Path, path: Path) -> None:
    if path.is_dir():
        path.rename(path.with_name("away"))
    new.rename(path)


def _one_by_one(new: Path, path: Path) -> None:
    """As a program that replaces each file of a folder by name does."""
    for file in [one for one in new.rglob("*") if one.is_file()] if new.is_dir() else [new]:
        file.rename(path / file.relative_to(new) if new.is_dir() else path)


def _in_place(new: Path, path: Path) -> None:
    """The same file with other bytes, and with the time of a change that it had."""
    for file in [one for one in new.rglob("*") if one.is_file()] if new.is_dir() else [new]:
        target = path / file.relative_to(new) if new.is_dir() else path
        before = target.stat()
        target.write_bytes(file.read_bytes())
        os.utime(target, ns=(before.st_atime_ns, before.st_mtime_ns))


WAYS = {"renamed": _renamed, "one by one": _one_by_one, "in place": _in_place}


@pytest.fixture(params=quick_are(["renamed", "in place"], WAYS.keys()))
def way(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def after_a_look(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], None]], None]:
    """Has something happen once a first look is over, before anything is loaded."""

    def do(happens: Callable[[], None]) -> None:
        begin = sandbox.begin_look

        def begin_look(*arguments: Any) -> Callable[[], Any]:
            found = begin(*arguments)()
            happens()
            return lambda: found

        monkeypatch.setattr(sandbox, "begin_look", begin_look)
        monkeypatch.setattr(cnnvis, "begin_look", begin_look, raising=False)

    return do


def _once(replace: Callable[[], None]) -> Callable[[], None]:
    left = [replace]
    return lambda: left.pop()() if left else None


def _pieces(samples: Samples, between: Callable[[], None]) -> Any:
    """What a run reads of samples, piece by piece."""
    read = []
    for piece in read_ahead(samples, Pieces(len(samples), 2)):
        assert piece.failed == {} and piece.samples is not None
        read.append(piece.samples.x)
        between()
    return np.concatenate(read).reshape(len(samples), 8, 5, 1)


def _sum_of(path: Path) -> str:
    """The sum that provenance is to have, worked out by what its definition says."""
    if path.is_file():
        return hashlib.sha256(path.read_bytes()).hexdigest()
    lines = (
        f"{one.relative_to(path)} {_sum_of(one)}\n"
        for one in sorted(path.rglob("*"))
        if one.is_file()
    )
    return hashlib.sha256("".join(lines).encode()).hexdigest()


@pytest.mark.parametrize("moment", ["after the look", "after it was opened", "between two pieces"])
@pytest.mark.parametrize("name", DATA)
def test_data(tmp_path: Path, after_a_look: Any, name: str, way: str, moment: str) -> None:
    path, new = tmp_path / name, tmp_path / "new" / name
    new.parent.mkdir()
    DATA[name](path, OLD)
    DATA[name](new, NEW)
    old_sum = _sum_of(path)
    replace = _once(lambda: WAYS[way](new, path))
    if moment == "after the look":
        after_a_look(replace)
    try:
        samples = cnnvis.read_samples(path)
        if moment == "after it was opened":
            replace()
        x = _pieces(samples, replace)
        found = samples.sha256
    except ChangedError as error:
        assert "was changed or replaced during the reading" in str(error)
        # What has another name by now is read to its end.
        assert way == "in place" or path.is_dir()
        return
    except DiskError as error:  # between two renamings a folder is gone for a moment
        assert "can no longer be read" in str(error) and way == "renamed" and path.is_dir()
        return
    assert (found, np.unique(x).tolist()) == (old_sum, [3])


def test_damage_that_comes_while_it_is_read_is_no_damage_of_the_image(tmp_path: Path) -> None:
    path = tmp_path / "data.npz"
    np.savez(path, X=OLD)
    samples = cnnvis.read_samples(path)
    os.truncate(path, 700)
    with pytest.raises(ChangedError):
        list(read_ahead(samples, Pieces(len(samples), 2)))


def test_new_names_and_rights_are_no_change(tmp_path: Path) -> None:
    """As a backup makes hard links of all that there is, while a run goes on."""
    for name in ("data.npy", "pictures"):
        path = tmp_path / name
        DATA[name](path, OLD)
        samples = cnnvis.read_samples(path)
        first = samples.sha256
        for number, file in enumerate([path] if path.is_file() else list(path.iterdir())):
            (tmp_path / f"{name} {number}").hardlink_to(file)
            file.chmod(0o600)
        assert (_pieces(samples, lambda: None) == OLD).all()
        assert samples.sha256 == first


def test_samples_of_a_file_that_is_gone_are_read_on(tmp_path: Path) -> None:
    np.save(tmp_path / "data.npy", OLD)
    samples = cnnvis.read_samples(tmp_path / "data.npy")
    expected = _sum_of(tmp_path / "data.npy")
    (tmp_path / "data.npy").unlink()
    assert (_pieces(samples, lambda: None) == OLD).all()
    assert samples.sha256 == expected


def test_a_run_does_not_say_what_it_did_not_read(tmp_path: Path, classifier: Any) -> None:
    path = tmp_path / "data.npy"
    np.save(path, np.zeros((2, 12, 10, 2), np.uint8))
    samples = cnnvis.read_samples(path)
    samples.x  # noqa: B018
    np.save(path, np.ones((2, 12, 10, 2), np.uint8))
    with pytest.raises(ChangedError):
        cnnvis.run("saliency", classifier, data=samples)


# Plugins that know nothing of all this read what has the name.


@cnnvis.reader("by-name", suffixes=(".csv",))
def by_name(path: Path) -> cnnvis.Samples:
    """Read numbers of a text."""
    held = np.array(path.read_text().split(), np.uint8).reshape(OLD.shape)
    _while_read()
    return cnnvis.Samples(held)


_happening: list[Callable[[], None]] = []


def _while_read() -> None:
    while _happening:
        _happening.pop()()


def test_a_reader_that_reads_by_name(tmp_path: Path, way: str) -> None:
    from cnnvis.registry.discovery import Registry, using

    path, new = tmp_path / "data.csv", tmp_path / "new.csv"
    _csv(path, OLD)
    _csv(new, NEW)
    known = Registry(only=[])
    known.add_file(Path(__file__))
    with using(known):
        assert (cnnvis.read_samples(path).x == OLD).all()
        loaded = sys.modules[known.get("reader", "by-name").function.__module__]
        loaded._happening.append(lambda: WAYS[way](new, path))
        with pytest.raises(ChangedError):
            cnnvis.read_samples(path)


# Models


@pytest.fixture(scope="session")
def networks(keras: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Networks of two values, in each format: old/model.h5, new/model.h5, ..."""
    import tf_keras

    folder = tmp_path_factory.mktemp("networks")
    layers = keras.layers
    for number, name in enumerate(("old", "new"), 1):
        (folder / name).mkdir()
        network = keras.Sequential([layers.Input((4,)), layers.Dense(3, name="dense")])
        network.set_weights([np.full_like(one, number) for one in network.get_weights()])
        network.save(folder / name / "model.h5")
        network.save(folder / name / "model.keras")
        network.save_weights(folder / name / "only.weights.h5")
        (folder / name / "only.json").write_text(network.to_json())
        layers_2 = tf_keras.layers
        older = tf_keras.Sequential([layers_2.Input((4,)), layers_2.Dense(3, name="dense")])
        older.set_weights([np.full_like(one, number) for one in older.get_weights()])
        older.save(folder / name / "saved", save_format="tf")
        older.save(folder / name / "older.h5")
    return folder


def _loaded(path: Path, **options: Any) -> tuple[list[float], str | None]:
    model = cnnvis.load_model(path, **options)
    values = [float(one) for each in model.network.get_weights() for one in np.unique(each)]
    return sorted(set(values)), model.sha256


@pytest.mark.parametrize(
    "trusted", [False, pytest.param(True, marks=pytest.mark.slow)], ids=["stranger's", "trusted"]
)
@pytest.mark.parametrize(
    "name", ["model.h5", "model.keras", "older.h5", "saved", "only.weights.h5"]
)
def test_models(
    tmp_path: Path,
    networks: Path,
    monkeypatch: pytest.MonkeyPatch,
    after_a_look: Any,
    name: str,
    way: str,
    trusted: bool,
) -> None:
    """Replaced once it was looked at, or described, and before its weights are read."""
    for folder in ("old", "new"):
        copy = shutil.copytree if name == "saved" else shutil.copyfile
        (tmp_path / folder).mkdir()
        copy(networks / folder / name, tmp_path / folder / name)
    path, new = tmp_path / "old" / name, tmp_path / "new" / name
    old_sum = _sum_of(path)
    replace = _once(lambda: WAYS[way](new, path))
    happened = []
    after_a_look(replace)
    from cnnvis.plugins.loaders import building

    describe = building.require_model

    def require_model(*arguments: Any) -> Any:
        replace()
        happened.append(True)
        return describe(*arguments)

    monkeypatch.setattr(building, "require_model", require_model)
    options: dict[str, Any] = {"trust_model": trusted}
    if name == "only.weights.h5":
        options["architecture"] = str(networks / "old" / "only.json")
    if name == "saved":
        with pytest.raises(ChangedError):
            _loaded(path, **options)
    else:
        assert _loaded(path, **options) == ([1.0], old_sum)
    assert happened


def test_nothing_is_left_of_a_copy(
    tmp_path: Path, networks: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(snapshots.tempfile, "tempdir", str(tmp_path))
    _loaded(networks / "old" / "model.h5")
    open_before = len(list(Path("/proc/self/fd").iterdir()))
    _loaded(networks / "old" / "model.h5")
    (tmp_path / "cut.h5").write_bytes((networks / "old" / "model.h5").read_bytes()[:-999])
    with pytest.raises(cnnvis.UserError, match=r"cut\.h5"):
        cnnvis.load_model(tmp_path / "cut.h5")
    assert [one.name for one in tmp_path.iterdir()] == ["cut.h5"]
    assert len(list(Path("/proc/self/fd").iterdir())) <= open_before


def test_no_room_for_a_copy_is_the_disks_fault(
    networks: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def copyfile(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(snapshots.shutil, "copyfile", copyfile)
    with pytest.raises(cnnvis.DiskError, match="TMPDIR"):
        cnnvis.load_model(networks / "old" / "model.h5")


@pytest.mark.slow
def test_a_model_that_another_process_loads_anew_is_the_same(
    tmp_path: Path, networks: Path, wrong_plugins: None
) -> None:
    path = tmp_path / "model.h5"
    shutil.copyfile(networks / "old" / "model.h5", path)
    model = cnnvis.load_model(path)
    shutil.copyfile(networks / "new" / "model.h5", path)
    with pytest.raises(cnnvis.UserError, match="was changed or replaced"), isolating(True):
        cnnvis.run("gives", model, data=np.zeros((2, 4), np.float32))


@contextlib.contextmanager
def _rewritten(path: Path, contents: list[bytes], *, in_place: bool) -> Iterator[None]:
    """A file that a thread writes again and again, as a training job does."""
    over = threading.Event()

    def write() -> None:
        beside = path.with_name("beside")
        while not over.is_set():
            for content in contents:
                (path if in_place else beside).write_bytes(content)
                if not in_place:
                    beside.rename(path)

    path.write_bytes(contents[0])
    writer = threading.Thread(target=write)
    writer.start()
    try:
        yield
    finally:
        over.set()
        writer.join()


@pytest.mark.parametrize("in_place", [False, True])
@pytest.mark.slow
def test_a_file_that_is_written_all_the_time(tmp_path: Path, in_place: bool) -> None:
    known, contents = {}, []
    for number, x in enumerate((OLD, NEW)):
        np.savez(tmp_path / f"{number}.npz", X=x)
        contents.append((tmp_path / f"{number}.npz").read_bytes())
        known[hashlib.sha256(contents[-1]).hexdigest()] = int(x[0, 0, 0, 0])
    path = tmp_path / "data.npz"
    read = refused = 0
    with _rewritten(path, contents, in_place=in_place):
        for _ in range(60):
            try:
                samples = cnnvis.read_samples(path)
                x = _pieces(samples, lambda: None)
                assert np.unique(x).tolist() == [known[str(samples.sha256)]]
                read += 1
            except cnnvis.UserError:
                refused += 1
    assert read if not in_place else refused
