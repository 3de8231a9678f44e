"""Runs whose shards are computed by workers: the same bytes, whoever computes, and whatever ends."""

from __future__ import annotations

import errno
import json
import multiprocessing
import pickle
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
from quickruns import X, bytes_of

import cnnvis
from cnnvis.api import remote_methods
from cnnvis.errors import UserError, WorkersError
from cnnvis.registry.discovery import Registry, using
from cnnvis.registry.plugin import plugin_of
from cnnvis.reporting import reported_to
from cnnvis.runs import manifest, on, remote_answers, remote_process, remote_shards, workers
from cnnvis.runs.part import Part
from cnnvis.runs.remote_work import Work

distributed = pytest.importorskip("distributed")


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, int]]:
    """Workers that are this process: what they do, without the seconds that processes take."""
    computed = []

    def answers(
        own: workers.Workers, pieces: Sequence[tuple[str, int]]
    ) -> Iterator[tuple[tuple[str, int], Any]]:
        there = remote_answers.Answers(own.work)
        for piece in reversed(pieces):  # workers end in any order
            computed.append(piece)
            told = there.to(*piece)
            if "refused" in told:
                raise UserError(told["refused"][1])
            yield piece, told["found"]

    monkeypatch.setattr(workers.Workers, "answers", answers)
    for name in ("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS"):
        monkeypatch.setenv(name, "2")  # as by --threads 2
    return computed


def explained(files: Path, into: Path, data: str = "data.npz", **more: Any) -> Any:
    return cnnvis.run(
        "saliency", files / "model.keras", data=files / data, into=into, shard_size=3,
        checks="none", **more,
    )  # fmt: skip


@pytest.mark.parametrize("more", [{}, {"top": 2}, {"images": "1 3-9"}], ids=str)
def test_the_bytes_are_those_of_one_process(
    files: Path, tmp_path: Path, here: list[tuple[str, int]], more: dict[str, Any]
) -> None:
    one = explained(files, tmp_path / "one", **more)
    two = explained(files, tmp_path / "two", on="local:1", **more)
    assert len(here) == len(list((tmp_path / "two" / "1-saliency" / "shards").iterdir())) > 2
    assert bytes_of(tmp_path / "two") == bytes_of(tmp_path / "one")
    np.testing.assert_array_equal(one.array, two.array)
    assert one.titles == two.titles and one.notes == two.notes


@cnnvis.reader("placed", suffixes=(".placed",))
def placed(path: Path) -> cnnvis.Samples:
    """Images whose columns are variants of a chromosome."""
    with np.load(path) as held:
        x = held["X"]
    starts = np.arange(x.shape[0] * x.shape[2]).reshape(x.shape[0], x.shape[2])
    return cnnvis.Samples(x, places=cnnvis.Places("column", ("1",) * len(x), starts))


def test_what_a_run_folder_does_not_keep_is_said(
    files: Path, tmp_path: Path, here: list[tuple[str, int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cnnvis.runs.schema.LARGEST_PLACES", 10)
    shutil.copyfile(files / "data.npz", tmp_path / "it.placed")
    known, reader = Registry(), plugin_of(placed)
    assert reader is not None
    known.add(reader)
    settings: dict[str, Any] = {"shard_size": 4, "checks": "none", "data": tmp_path / "it.placed"}
    with using(known):
        runs = [
            cnnvis.run("saliency", files / "model.keras", into=tmp_path / name, **settings, **more)
            for name, more in (("one", {}), ("two", {"on": "local:1"}), ("two", {"resume": True}))
        ]
    assert here and bytes_of(tmp_path / "one") == bytes_of(tmp_path / "two")
    for one in runs:
        assert sum("do not keep the places" in sentence for sentence in one.notes) == 1


def test_what_a_worker_left_unfinished_is_removed(
    files: Path, tmp_path: Path, here: list[tuple[str, int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As by a worker that was killed while it wrote; others compute its shard."""
    answers, part = workers.Workers.answers, tmp_path / "two" / "1-saliency"

    def killed(own: workers.Workers, pieces: Sequence[tuple[str, int]]) -> Iterator[Any]:
        for number, found in enumerate(answers(own, pieces)):
            (part / "shards" / f".tmp-{number:012x}-1.json").write_text("{")
            (part / f".tmp-{number:012x}").write_text("")
            yield found

    monkeypatch.setattr(workers.Workers, "answers", killed)
    explained(files, tmp_path / "one")
    explained(files, tmp_path / "two", on="local:1")
    assert here and bytes_of(tmp_path / "two") == bytes_of(tmp_path / "one")


def test_shards_that_are_there_are_not_computed_again(
    files: Path, tmp_path: Path, here: list[tuple[str, int]]
) -> None:
    explained(files, tmp_path / "run", on="local:1")
    whole = bytes_of(tmp_path / "run")
    (tmp_path / "run" / "1-saliency" / "shards" / "1.json").unlink()
    del here[:]
    explained(files, tmp_path / "run", on="local:1", resume=True)
    assert here == [("1-saliency", 1)] and bytes_of(tmp_path / "run") == whole


def test_chains_keep_every_technique(
    files: Path, tmp_path: Path, here: list[tuple[str, int]]
) -> None:
    steps = ["saliency", ("gradient-times-input", {}), "average"]
    one, two = (
        cnnvis.chain(
            files / "model.keras", steps, data=files / "data.npz", checks="none", shard_size=4,
            into=tmp_path / name, on=where,
        )
        for name, where in (("one", None), ("two", "local:1"))
    )  # fmt: skip
    assert {part for part, _ in here} == {"1-saliency", "2-gradient-times-input"}
    for a, b in zip(one, two, strict=True):
        np.testing.assert_array_equal(a.array, b.array)


SUMMED = [
    ("average", {}), ("average", {"by": "prediction", "scaled": True}), ("deviation", {"by": "all"}),
    ("count", {}),
]  # fmt: skip


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The shards whose maps this process reads."""
    found: list[int] = []
    maps = Part._maps

    def noted(own: Part, number: int, facts: Any) -> Any:
        found.append(number)
        return maps(own, number, facts)

    monkeypatch.setattr(Part, "_maps", noted)
    return found


def averaged(
    files: Path, into: Path, step: Any, *before: Any, data: str = "bad.npz", **more: Any
) -> cnnvis.Explanation:
    (found,) = cnnvis.chain(
        files / "model.keras", ["saliency", *before, step], data=files / data, checks="quick",
        shard_size=4, into=into, **more,
    )  # fmt: skip
    return found


@pytest.mark.parametrize("step", SUMMED, ids=lambda one: "-".join(map(str, one)))
def test_sums_come_back_from_workers_and_no_maps(
    files: Path, tmp_path: Path, here: list[tuple[str, int]], read: list[int], step: Any
) -> None:
    one = averaged(files, tmp_path / "one", step)
    assert read
    del read[:]
    two = averaged(files, tmp_path / "two", step, on="local:1")
    assert here and not read
    if one.maps is None:
        assert one.table == two.table
    else:
        np.testing.assert_array_equal(one.array, two.array)
    assert (one.titles, one.notes, one.axes, one.groups) == (two.titles, two.notes, two.axes, two.groups)  # fmt: skip
    facts = [
        {**found.provenance, "checks": len(found.provenance["checks"])} for found in (one, two)
    ]
    assert facts[0] == facts[1] and one.targets == two.targets
    assert any("image 7 was left out" in sentence for sentence in two.notes)
    assert bytes_of(tmp_path / "two") == bytes_of(tmp_path / "one")


def test_what_a_table_says_of_no_image_is_said(
    files: Path, tmp_path: Path, here: list[tuple[str, int]], read: list[int]
) -> None:
    table = tmp_path / "groups.tsv"
    table.write_text("image\tgroup\n" + "".join(f"{i}\t{'ab'[i % 2]}\n" for i in range(14)))
    step = ("average", {"by": f"{table}:group"})
    one, two = (
        averaged(files, tmp_path / name, step, data="data.npz", **more)
        for name, more in (("one", {}), ("two", {"on": "local:1"}))
    )
    assert one.titles == two.titles and one.notes == two.notes
    assert any("are about no image of these data: 11, 12, 13" in sentence for sentence in two.notes)


def test_names_of_images_of_two_shards_are_told_apart(tmp_path: Path) -> None:
    table = tmp_path / "names.tsv"
    table.write_text("name\tgroup\na\tA\nb\tB\n")
    by = f"{table}:group"
    average = Registry().get("transform", "average")
    assert average.sums is not None
    maps = np.ones((1, 4, 4), np.float32)
    batches = [
        cnnvis.Explanation(
            maps, cnnvis.Samples(maps, names=(name,), indices=np.array([number]), total=2)
        )
        for number, name in enumerate(("a.jpg", "a.png"))
    ]
    sums = [average.sums(by=by, scaled=False)(one) for one in batches]  # by two workers
    stream = cnnvis.Stream(lambda: batches, known=lambda asked: pickle.loads(pickle.dumps(sums)))
    with pytest.raises(UserError, match=r"may be about the image 'a\.jpg' or 'a\.png'"):
        average.function(stream.for_transform("average", {}), by=by)


@pytest.mark.parametrize("name", ["groups.txt", "groups.tsv:group"])
@pytest.mark.parametrize("step", ["average", "count"])
def test_groups_of_a_worker_are_those_of_the_file_here(
    tmp_path: Path, name: str, step: str
) -> None:
    """As many images in each group are not enough: they must be the same images."""
    file = tmp_path / name.partition(":")[0]
    head = "group\n" if ":" in name else ""
    file.write_text(f"{head}A\nB\n")
    plugin, options = Registry().get("transform", step), {"by": str(tmp_path / name)}
    assert plugin.sums is not None
    more = {"scaled": False} if step == "average" else {}
    maps = np.ones((2, 4, 4), np.float32)
    batch = cnnvis.Explanation(maps, cnnvis.Samples(maps, indices=np.arange(2), total=2))
    sums = [plugin.sums(**options, **more)(batch)]
    stream = cnnvis.Stream(lambda: [batch], known=lambda asked: sums).for_transform(step, {})
    assert plugin.function(stream, **options) is not None
    file.write_text(f"{head}B\nA\n")
    with pytest.raises(
        UserError, match=r"holds other groups here than for a worker: it was changed"
    ):
        plugin.function(stream, **options)


@pytest.mark.parametrize("of", ["none", "lambda", "bad", "raises", "said"])
def test_sums_of_other_packages(
    files: Path, tmp_path: Path, here: list[tuple[str, int]], read: list[int], of: str
) -> None:
    """Where they cannot be sent, the maps are read, as if there were no workers."""

    def unwilling(_: object) -> Any:
        raise RuntimeError("no pickle")

    class Bad:
        __reduce__ = unwilling  # type: ignore[assignment]

    def sums() -> Callable[[cnnvis.Explanation], Any]:
        def said(one: cnnvis.Explanation) -> None:
            cnnvis.note("these maps were added up")

        def fails(one: cnnvis.Explanation) -> None:
            raise ValueError("no such sums")

        return {
            "none": lambda one: None, "lambda": lambda one: lambda: 1, "bad": lambda one: Bad(),
            "raises": fails, "said": said,
        }[of]  # fmt: skip

    @cnnvis.transform("batches", takes=["images"], gives="table", sums=sums)
    def batches(stream: cnnvis.Stream) -> cnnvis.Explanation:
        """Count the batches."""
        return cnnvis.Explanation(table={"batches": [len(list(stream.sums(sums())))]})

    known = Registry()
    plugin = cnnvis.plugin_of(batches)
    assert plugin is not None
    known.add(plugin)
    found = []
    with using(known):
        for name, more in (("one", {}), ("two", {"on": "local:1"})):
            del read[:]
            try:
                one = averaged(files, tmp_path / name, ("batches", {}), **more)
                found.append((one.table, one.notes))
            except cnnvis.PluginError as error:
                found.append((str(error), ()))
    assert found[0] == found[1]
    assert (of in ("none", "said")) == (not read)
    assert (of == "said") == any("these maps were added up" in one for one in found[1][1])


def test_blank_and_failed_images_are_told_in_order(
    files: Path, tmp_path: Path, here: list[tuple[str, int]]
) -> None:
    x = X[np.arange(24) % len(X)].copy()
    x[[1, 2, 10, 11]] = 0
    x[[3, 12, 13, 20]] = np.nan
    np.savez(tmp_path / "data.npz", X=x)
    for name, more in (("one", {}), ("two", {"on": "local:1"})):
        (found,) = cnnvis.chain(
            files / "model.keras", ["gradient-times-input", ("average", {"by": "all"})],
            data=tmp_path / "data.npz", checks="none", shard_size=24, into=tmp_path / name, **more,
        )  # fmt: skip
        said = [one for one in found.notes if "zero everywhere" in one or "left out" in one]
        assert len(said) == 2, said
        assert "(1, 2, 10, 11)" in " ".join(
            said
        ) and "image 3, 12, 13, 20 was left out" in " ".join(said)


def test_where_not_all_sums_are_known_the_maps_are_read(
    files: Path, tmp_path: Path, here: list[tuple[str, int]], read: list[int]
) -> None:
    one = averaged(files, tmp_path / "run", ("average", {}), on="local:1")
    (tmp_path / "run" / "1-saliency" / "shards" / "1.json").unlink()
    two = averaged(files, tmp_path / "run", ("average", {}), on="local:1", resume=True)
    assert read == [0, 1, 2]
    del read[:]
    # What another step changes before is not what the workers would add up.
    smooth = averaged(files, tmp_path / "other", ("average", {}), ("smooth", {}), on="local:1")
    assert read == [0, 1, 2]
    np.testing.assert_array_equal(one.array, two.array)
    assert np.abs(one.array - smooth.array).max() > 0


def test_what_groups_lack_is_said_when_all_maps_are_kept(
    files: Path, tmp_path: Path, here: list[tuple[str, int]], read: list[int]
) -> None:
    step = ("average", {"by": str(tmp_path / "groups.txt")})
    with pytest.raises(UserError, match=r"by is '.*groups\.txt', and must be label, prediction"):
        averaged(files, tmp_path / "run", step, on="local:1")
    assert not (tmp_path / "run").exists()
    table = tmp_path / "groups.tsv"
    table.write_text("image\tgroup\n" + "".join(f"{i}\tg\n" for i in range(11) if i != 4))
    with pytest.raises(UserError, match=r"groups\.tsv.*image 4"):
        averaged(files, tmp_path / "run", ("average", {"by": f"{table}:group"}), on="local:1")
    assert len(list((tmp_path / "run" / "1-saliency" / "shards").iterdir())) == 3


def test_images_that_fail_are_named_and_strict_stops(
    files: Path, tmp_path: Path, here: list[tuple[str, int]]
) -> None:
    found = explained(files, tmp_path / "run", "bad.npz", on="local:1")
    assert 7 not in found.indices and len(found) == 10
    assert any("image 7 was left out: NaN" in one for one in found.notes)
    with pytest.raises(UserError, match="image 7 stopped the run, as strict asks: NaN"):
        explained(files, tmp_path / "strict", "bad.npz", on="local:1", strict=True)


def test_a_worker_that_would_compute_something_else_refuses(
    files: Path, tmp_path: Path, here: list[tuple[str, int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    parts = remote_shards._parts

    def elsewhere(folder: Any, run: remote_shards.Shards, facts: Any) -> Any:
        with monkeypatch.context() as patched:
            patched.setattr(manifest, "_versions", lambda: {**facts["versions"], "keras": "2.9"})
            return parts(folder, run, facts)

    monkeypatch.setattr(remote_shards, "_parts", elsewhere)
    with pytest.raises(
        UserError,
        match=r"another run: keras of the versions is 3\S+ in the run and 2\.9 here\. All",
    ):
        explained(files, tmp_path / "run", on="local:1")


def test_a_folder_of_the_same_path_may_be_another(
    files: Path, tmp_path: Path, here: list[tuple[str, int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    read = remote_shards._facts_in
    monkeypatch.setattr(
        remote_shards, "_facts_in", lambda folder, run: read(folder, replace(run, manifest="0"))
    )
    with pytest.raises(UserError, match="is another one on the worker's machine: it must be on a"):
        explained(files, tmp_path / "run", on="local:1")


def test_what_workers_cannot_open_is_refused_before_anything_is_written(
    files: Path, tmp_path: Path, classifier: Any
) -> None:
    with pytest.raises(UserError, match="workers open the model by its path, and the model was"):
        cnnvis.run("saliency", classifier, data=X, into=tmp_path / "run", on="local:1")
    with pytest.raises(UserError, match=r"workers open the data by its path, .* as ndarray: save"):
        cnnvis.run("saliency", files / "model.keras", data=X, into=tmp_path / "run", on="local:1")
    with pytest.raises(UserError, match="on and isolate do not go together"):
        explained(files, tmp_path / "run", on="local:1", isolate=["saliency"])
    assert not (tmp_path / "run").exists()


METHODS = ["saliency", ("saliency", {"backprop": None})]


def evaluated(files: Path, data: str = "bad.npz", **more: Any) -> cnnvis.Evaluation:
    with cnnvis.computing(batch_size=4):
        return cnnvis.evaluate(
            METHODS, files / "model.keras", data=files / data, images="all",
            metrics=["class-sensitivity", "sanity"], curves=True, **more,
        )  # fmt: skip


def test_an_evaluation_has_the_numbers_of_one_process(
    files: Path, here: list[tuple[str, int]]
) -> None:
    one, two = evaluated(files), evaluated(files, on="local:1")
    assert len(here) == len(METHODS) * 3, "11 images, 4 at a time"
    assert (one.places, one.notes, one.decides) == (two.places, two.notes, two.decides)
    assert any("image 7 was left out" in sentence for sentence in two.notes)
    for a, b in zip(one.methods, two.methods, strict=True):
        assert (
            a.name == b.name and a.reasons == b.reasons and a.verdicts.keys() == b.verdicts.keys()
        )
        assert {name: v.outcome for name, v in a.verdicts.items()} == {
            name: v.outcome for name, v in b.verdicts.items()
        }
        for name, numbers in a.values.items():
            np.testing.assert_allclose(b.values[name], numbers, rtol=1e-4, atol=1e-5)
        for share, scores in a.curves.items():
            np.testing.assert_allclose(b.curves[share], scores, rtol=1e-4, atol=1e-5)


@cnnvis.technique("unwilling")
def unwilling(model: cnnvis.Model, samples: cnnvis.Samples) -> cnnvis.Explanation:
    """A technique that explains no network."""
    raise cnnvis.UserError("only networks of birds")


def test_a_method_that_fails_on_workers_costs_no_other(
    files: Path, here: list[tuple[str, int]]
) -> None:
    known = Registry()
    plugin = cnnvis.plugin_of(unwilling)
    assert plugin is not None
    known.add(plugin)
    asked: dict[str, Any] = {"data": files / "data.npz", "metrics": "sparseness", "on": "local:1"}
    with using(known):
        found = cnnvis.evaluate(["unwilling", "saliency"], files / "model.keras", **asked)
        assert [one.failure for one in found.methods] == ["", "only networks of birds"]
        with pytest.raises(UserError, match=r"^only networks of birds$"):
            cnnvis.evaluate(["unwilling"], files / "model.keras", **asked)


def test_a_worker_that_would_evaluate_something_else_refuses(
    files: Path, here: list[tuple[str, int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    facts = remote_methods._facts
    of = iter(["1", "2"])
    monkeypatch.setattr(
        remote_methods, "_facts", lambda *given: {**facts(*given), "versions": {"keras": next(of)}}
    )
    with pytest.raises(UserError, match=r"keras of the versions is 1 in the run and 2 here\. All"):
        evaluated(files, on="local:1")
    with pytest.raises(UserError, match="workers open the data by its path"):
        cnnvis.evaluate(METHODS, files / "model.keras", data=X, on="local:1")


def test_work_of_another_version_is_refused() -> None:
    work = Work(b"cnnvis.runs.elsewhere\nNothing\n.")
    kind, sentence = remote_answers.Answers(replace(work, computing=b"c" + work.computing)).to(
        "", 0
    )["refused"]
    assert kind == "UserError" and "the worker has another version of cnnvis" in sentence


@pytest.mark.parametrize("typed", ["local:0", "local:x", "four", "tcp://", "http://x:1", 4])
def test_addresses(typed: object) -> None:
    with pytest.raises(UserError, match=r"names no workers: local:4 is four processes on this"):
        on.on_of(typed)


def test_a_worker_that_imports_the_script_of_its_run_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a word: the process that started it says what is wrong with the script."""

    def leave(code: int) -> None:
        raise SystemExit(code)

    monkeypatch.setattr(on.os, "_exit", leave)
    monkeypatch.setattr(multiprocessing.current_process(), "_inheriting", True, raising=False)
    with pytest.raises(SystemExit):
        on.on_of("local:2")


def test_addresses_where_nothing_listens() -> None:
    with pytest.raises(
        UserError, match=r"nothing listens at tcp://127\.0\.0\.1:1 .*dask scheduler"
    ):
        on.on_of("tcp://127.0.0.1:1")


def test_a_worker_on_which_no_process_begins_leaves_the_piece_to_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*args: object, **settings: object) -> Any:
        raise OSError(errno.ENOMEM, "Cannot allocate memory")

    monkeypatch.setattr(remote_process.subprocess, "Popen", full)
    work = Work(b"", token="of this test", here=str(tmp_path))
    with pytest.raises(remote_process.ProcessLost, match=r"no process began .*Cannot allocate"):
        remote_process.answer(work, "1-saliency", 0)
    assert work.token not in remote_process._processes


def test_a_client_keeps_the_address_of_a_scheduler_that_is_lost() -> None:
    with (
        distributed.LocalCluster(n_workers=0, processes=False, dashboard_address=None) as cluster,
        distributed.Client(cluster, set_as_default=False) as client,
    ):
        address = str(cluster.scheduler_address)
        own = on.on_of(client)
        client.close()
        assert str(own) == address
        with pytest.raises(UserError, match=r"has no scheduler .it is closed.: make a new one"):
            on.on_of(client)


def test_threads_and_memory_are_shared(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(on.host, "processors", lambda: 8)
    monkeypatch.delenv("TF_NUM_INTEROP_THREADS", raising=False)
    assert (on.on_of("local").count, on.on_of("local").threads) == (8, 1)
    assert on.on_of("local:3").threads == 2 and on.on_of("local:20").threads == 1


class _Client:
    """A client of a scheduler whose first worker comes after some looks."""

    def __init__(self, empty: int) -> None:
        self._empty = empty

    def nthreads(self) -> dict[str, int]:
        self._empty -= 1
        return {} if self._empty >= 0 else {"tcp://1": 1}


def test_what_a_run_without_workers_waits_for_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []

    @contextmanager
    def reporter(what: str, total: int | None) -> Iterator[Callable[[int], None]]:
        said.append(what)
        yield lambda steps: None

    monkeypatch.setattr(workers, "LISTENING", 0.02)
    monkeypatch.setattr(workers, "PATIENCE", 0.05)
    own = workers.Workers(on.On(None, "tcp://head:8786"), Work(b""))
    with reported_to(reporter):
        assert own._present(_Client(6)) == 1
    waiting = "waiting for workers at tcp://head:8786"
    assert said == [waiting, f"{waiting}: `dask worker tcp://head:8786 --nthreads 1 --memory-limit 0` starts one, on any machine"]  # fmt: skip


class _Answer:
    """A future whose answer cannot be fetched."""

    def __init__(self, status: str, error: Exception | None = None) -> None:
        self.status = status
        self.error = error or ConnectionResetError("in <TCP (closed) ConnectionPool.gather>")

    def result(self) -> Any:
        raise self.error

    def add_done_callback(self, call: Callable[[Any], None]) -> None:
        call(self)


@pytest.mark.parametrize(
    ("client", "answer", "expected"),
    [
        ("running", _Answer("finished"), WorkersError),
        ("closed", _Answer("finished", Exception("Client is closed.")), WorkersError),
        (
            "closed",
            _Answer("pending", AttributeError("of a client without a scheduler")),
            WorkersError,
        ),
        ("closed", RuntimeError("Client is closed."), WorkersError),
        # What a worker itself fails with is no word about the scheduler.
        ("running", _Answer("error"), ConnectionResetError),
        ("running", RuntimeError("what else fails"), RuntimeError),
    ],
    ids=[
        "fetched",
        "closed",
        "closed without a word",
        "lost before",
        "the worker's error",
        "an error here",
    ],
)
def test_a_scheduler_that_is_lost_in_any_moment_is_said_to_be(
    client: str, answer: Any, expected: type[Exception]
) -> None:
    class Scheduled:
        status = client

        def nthreads(self) -> dict[str, int]:
            return {"tcp://1": 1}

        def submit(self, *args: Any, **settings: Any) -> Any:
            if isinstance(answer, Exception):
                raise answer
            return answer

    where = on.On(None, Scheduled(), address="tcp://head:8786")
    own = workers.Workers(where, Work(b""), "--resume goes on")
    with pytest.raises(expected) as error:
        list(own.answers([("1-saliency", 0)]))
    assert isinstance(error.value, WorkersError) == (
        "the scheduler at tcp://head:8786 is gone. --resume goes on" in str(error.value)
    )


# Real processes.


def _command(into: Path, *more: object) -> list[str]:
    words = [
        *("run", "smoothgrad", "demo", "--images", "all", "--shard-size", 2, "--threads", 1),
        *("--checks", "none", "--into", into, "-r", "numpy", "-o", into.with_suffix(".npz")),
    ]
    return [sys.executable, "-m", "cnnvis", *map(str, (*words, *more))]


def _started(into: Path, *more: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        _command(into, *more), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def _wait_for(into: Path, lines: int) -> None:
    path = into / "1-smoothgrad" / "journal.jsonl"
    late = time.monotonic() + 200
    while not path.is_file() or path.read_bytes().count(b"\n") < lines:
        assert time.monotonic() < late
        time.sleep(0.05)


def _workers_of(process: int, module: str = "spawn_main") -> list[psutil.Process]:
    """The processes of Dask's workers, or those in which they compute."""
    found = []
    for one in psutil.Process(process).children(recursive=True):
        with suppress(psutil.Error):  # others come and go
            found += [one] if module in " ".join(one.cmdline()) else []
    return found


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    into = tmp_path_factory.mktemp("whole") / "run"
    subprocess.run(_command(into), check=True, capture_output=True)
    return bytes_of(into)


@pytest.mark.slow
@pytest.mark.parametrize("module", ["spawn_main", "remote_process"])
def test_a_worker_that_is_killed_costs_its_shard_alone(
    tmp_path: Path, whole: dict[str, bytes], module: str
) -> None:
    into = tmp_path / "run"
    process = _started(into, "--on", "local:2")
    _wait_for(into, 2)
    _workers_of(process.pid, module)[0].kill()
    said = process.communicate(timeout=300)[0]
    assert process.returncode == 0, said
    assert bytes_of(into) == whole


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX signals")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_client_that_ends_takes_its_workers_along_and_goes_on(
    tmp_path: Path, whole: dict[str, bytes], number: signal.Signals
) -> None:
    into = tmp_path / "run"
    process = _started(into, "--on", "local:2")
    _wait_for(into, 2)
    others = _workers_of(process.pid) + _workers_of(process.pid, "remote_process")
    process.send_signal(number)
    said = process.communicate(timeout=60)[0]
    _, left = psutil.wait_procs(others, timeout=30)
    assert len(others) == 4 and not left
    again = _command(into, "--on", "local:2", "--resume")[3:]
    if number is signal.SIGTERM:
        assert process.returncode == 143 and "shards are kept in" in said
        again = shlex.split(said.split("Go on with: cnnvis ")[1].splitlines()[0])
    done = subprocess.run([sys.executable, "-m", "cnnvis", *again], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert bytes_of(into) == whole


@pytest.fixture
def scheduler(tmp_path: Path) -> Iterator[Callable[[], tuple[str, subprocess.Popen[str]]]]:
    """A scheduler and a worker of their own, as on a cluster; returned with its address."""
    processes: list[subprocess.Popen[str]] = []

    def begun() -> tuple[str, subprocess.Popen[str]]:
        dask = [sys.executable, "-m", "distributed.cli.dask_scheduler", "--port", "0"]
        own = subprocess.Popen(
            [*dask, "--host", "127.0.0.1", "--no-dashboard"],
            stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True,
        )  # fmt: skip
        assert own.stderr is not None
        address = next(
            found[0] for line in own.stderr if (found := re.search(r"tcp://[\d.:]+", line))
        )
        worker = [sys.executable, "-m", "distributed.cli.dask_worker", address, "--nthreads", "1"]
        processes.append(own)
        processes.append(
            subprocess.Popen(
                [*worker, "--memory-limit", "0", "--no-dashboard"],
                cwd=tmp_path,
                text=True,
                stderr=subprocess.DEVNULL,
            )
        )
        return address, own

    yield begun
    for one in processes:
        one.kill()
        one.communicate()


@pytest.mark.slow
def test_a_scheduler_with_workers_of_its_own(
    tmp_path: Path, whole: dict[str, bytes], scheduler: Callable[[], Any]
) -> None:
    into = tmp_path / "run"
    address, own = scheduler()
    process = _started(into, "--on", address)
    _wait_for(into, 2)
    own.kill()
    said = process.communicate(timeout=120)[0]
    assert process.returncode == WorkersError.code == 5, said
    assert f"the scheduler at {address} is gone. Finished shards are kept; --resume" in said
    address, own = scheduler()
    done = subprocess.run(
        _command(into, "--on", address, "--resume"), capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert bytes_of(into) == whole


@pytest.mark.slow
def test_an_evaluation_outlives_a_worker(tmp_path: Path) -> None:
    words = [
        *("evaluate", "saliency", "grad-cam", "demo", "--images", "0-15", "--batch-size", "4"),
        *("--threads", "1", "--metrics", "srg", "sanity", "--json"),
    ]
    command = [sys.executable, "-m", "cnnvis", *words]
    process = subprocess.Popen(
        [*command, "--on", "local:2"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    late = time.monotonic() + 200
    while len(others := _workers_of(process.pid, "remote_process")) < 2:
        assert time.monotonic() < late and process.poll() is None
        time.sleep(0.05)
    others[0].kill()
    two, said = process.communicate(timeout=300)
    assert process.returncode == 0, said
    one = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    for a, b in zip(one["methods"], json.loads(two)["methods"], strict=True):
        assert (a["name"], a["place"]) == (b["name"], b["place"])
        for name, metric in a["metrics"].items():
            np.testing.assert_allclose(b["metrics"][name]["values"], metric["values"], rtol=1e-4)
            assert b["metrics"][name]["verdict"]["outcome"] == metric["verdict"]["outcome"]


PLUGIN = """
import cnnvis


@cnnvis.technique("scaled")
def scaled(model, samples) -> cnnvis.Explanation:
    \"\"\"The gradient, times a factor.\"\"\"
    return cnnvis.Explanation(FACTOR * model.input_gradient(samples.x), samples)
"""


@pytest.mark.slow
def test_a_worker_of_many_runs_keeps_nothing_of_an_earlier_one(
    tmp_path: Path, scheduler: Callable[[], Any]
) -> None:
    address, _ = scheduler()
    found = []
    for number, factor in enumerate((1, 1000)):
        (tmp_path / "plug.py").write_text(PLUGIN.replace("FACTOR", str(factor)))
        words = [
            *(
                "--plugin",
                "plug.py",
                "run",
                "scaled",
                "demo",
                "--images",
                "0-3",
                "--checks",
                "none",
            ),
            *("--threads", 1 + number, "--into", "one.run", "-r", "numpy", "-o", f"{number}.npz"),
            *("--on", address),
        ]
        done = subprocess.run(
            [sys.executable, "-m", "cnnvis", *map(str, words)],
            capture_output=True, text=True, cwd=tmp_path,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        found.append(cnnvis.Explanation.load(tmp_path / f"{number}.npz").array)
        (tmp_path / "one.run").rename(tmp_path / f"kept-{number}.run")
    np.testing.assert_allclose(found[1], 1000 * found[0], rtol=1e-4, atol=1e-6)


@pytest.mark.slow
def test_what_listens_and_is_no_scheduler_is_not_waited_for(tmp_path: Path) -> None:
    """Nor does the process wait at its end."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"tcp://127.0.0.1:{silent.getsockname()[1]}"
        done = subprocess.run(
            _command(tmp_path / "run", "--on", address), capture_output=True, text=True, timeout=120
        )
    assert done.returncode == WorkersError.code
    assert f"no scheduler of Dask answers at {address} (no answer)" in done.stderr


def test_workers_need_a_run_folder(typed: Callable[..., Any]) -> None:
    done = typed("run", "saliency", "demo", "--into", "none", "--on", "local:1")
    assert done.returncode == 2 and "workers write into a run folder: leave out" in done.stderr
    with pytest.raises(UserError, match="workers write into a run folder: leave out"):
        cnnvis.run("saliency", "demo", into="none", on="local:1")
    with pytest.raises(UserError, match="resume, shard and shard_size need a run folder"):
        cnnvis.run("saliency", "demo", into="none", resume=True)
    cnnvis.run("saliency", "demo", images=0, into="none", checks="none")
    assert not Path("none").exists()
