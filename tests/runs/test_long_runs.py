"""Run folders as a person meets them: real networks, real files, the command line and Python."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from quick import quick_at
from quickruns import X, Y, bytes_of

import cnnvis
from cnnvis.registry.discovery import Registry, using
from cnnvis.runs import folder as folders

Typed = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def explain(files: Path, typed: Typed) -> Typed:
    """The command that most tests type."""

    def run(*words: object, data: str = "data.npz", command: str = "run") -> Any:
        head = [command, "saliency"] if command == "run" else [command]
        tail = [] if command == "run" else ["saliency"]
        return typed(*head, files / "model.keras", "-d", files / data, *tail, *words)

    return run


KEEP = ("--into", "kept", "--shard-size", 4, "-r", "numpy")


@pytest.fixture(scope="module")
def kept(files: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that `explain(*KEEP)` leaves."""
    folder = tmp_path_factory.mktemp("runs") / "kept"
    cnnvis.run(
        "saliency",
        files / "model.keras",
        data=files / "data.npz",
        into=folder,
        shard_size=4,
        render=["numpy"],
        out=folder.with_name("maps.npz"),
    )
    return folder


@pytest.mark.parametrize(
    "technique",
    quick_at([0], ["saliency", "grad-cam", "integrated-gradients", "smoothgrad"]),
)
def test_what_comes_from_the_folder_is_what_was_computed(
    classifier: Any, tmp_path: Path, technique: str
) -> None:
    settings: dict[str, Any] = {"data": (X, Y), "images": [5, 0, 6, 2, 1, 9], "shard_size": 4}
    first = cnnvis.run(technique, classifier, into=tmp_path / "kept", **settings)
    before = bytes_of(tmp_path / "kept")
    again = cnnvis.run(technique, classifier, into=tmp_path / "kept", resume=True, **settings)
    assert bytes_of(tmp_path / "kept") == before
    np.testing.assert_array_equal(again.array, first.array)
    np.testing.assert_array_equal(again.inputs, first.inputs)
    assert again.labels is not None and again.labels.tolist() == [2, 0, 0, 2, 1, 0]
    for name in ("targets", "titles", "axes", "notes", "signed", "provenance"):
        assert getattr(again, name) == getattr(first, name), name
    cnnvis.run(technique, classifier, into=tmp_path / "other", **settings)
    assert bytes_of(tmp_path / "other") == before
    plain = cnnvis.run(technique, classifier, **{**settings, "shard_size": None})
    np.testing.assert_allclose(first.array, plain.array, rtol=1e-4, atol=1e-6)
    assert first.notes == plain.notes


@pytest.mark.slow
def test_an_image_has_the_same_map_whatever_was_computed_before_it(
    classifier: Any, tmp_path: Path
) -> None:
    """Half of a run in this process, where other numbers of images were traced, the rest in it too."""
    cnnvis.run("smoothgrad", classifier, data=X, into=tmp_path / "whole", shard_size=3, copies=4)
    shutil.copytree(tmp_path / "whole", tmp_path / "half")
    for number in (1, 3):
        (tmp_path / "half" / "1-smoothgrad" / "shards" / f"{number}.json").unlink()
    cnnvis.run("smoothgrad", classifier, data=X[:2], copies=3)
    cnnvis.run(
        "smoothgrad",
        classifier,
        data=X,
        into=tmp_path / "half",
        resume=True,
        copies=4,
        shard_size=3,
    )
    assert bytes_of(tmp_path / "half") == bytes_of(tmp_path / "whole")


@pytest.mark.slow
def test_others_read_it(explain: Typed, tmp_path: Path) -> None:
    xarray = pytest.importorskip("xarray")
    assert explain(*KEEP, "-o", "maps.npz", data="bad.npz").returncode == 3
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        held = xarray.open_zarr(tmp_path / "kept" / "1-saliency")
    found = cnnvis.Explanation.load(tmp_path / "maps.npz")
    assert held.maps.dims == ("image", "row", "column") and held.maps.shape == (11, 12, 10)
    good = held.status.values == 0
    assert held.index.values[good].tolist() == [0, 1, 2, 3, 4, 5, 6, 8, 9, 10]
    np.testing.assert_array_equal(held.maps.values[good], found.array)
    assert np.isnan(held.maps.values[7]).all() and np.isnan(held.score.values[7])
    assert held.status.attrs["flag_meanings"][held.status.values[7]] == "not finite"
    assert held.label.values.tolist() == Y.tolist()
    assert held["class"].values[good].tolist() == [target.filters[0] for target in found.targets]
    assert held.score.values[good].tolist() == [target.score for target in found.targets]
    assert held.attrs["cnnvis"]["options"]["backprop"] == "guided"


@pytest.mark.slow
def test_exit_codes(explain: Typed, typed: Typed, files: Path, tmp_path: Path) -> None:
    assert explain("-o", "a.npz").returncode == 0
    some = explain("-o", "a.npz", data="bad.npz")
    assert some.returncode == 3
    assert "note: image 7 was left out: NaN or infinite values in it" in some.stderr
    assert explain("-o", "a.npz", "-q", data="bad.npz").returncode == 3
    assert (
        explain("average", "numpy", "-o", "b.npz", data="bad.npz", command="chain").returncode == 3
    )
    strict = explain("-o", "c.npz", "--strict", data="bad.npz")
    assert strict.returncode == 2 and strict.stderr.startswith("error: image 7 ")
    assert not (tmp_path / "c.npz").exists()
    none = explain("-o", "c.npz", data="hopeless.npz")
    assert none.returncode == 4 and "no image could be explained" in none.stderr
    assert len(none.stderr.splitlines()) == 1 and not (tmp_path / "c.npz").exists()
    none = explain(*KEEP, data="hopeless.npz")
    assert none.returncode == 4
    assert explain(*KEEP, "--resume", data="hopeless.npz").returncode == 4
    assert typed("run", "saliency", "nowhere.h5", "-d", files / "data.npz").returncode == 2


@pytest.mark.slow
def test_failures_are_told_when_the_run_is_resumed_too(explain: Typed, tmp_path: Path) -> None:
    first = explain(*KEEP, data="bad.npz")
    again = explain(*KEEP, "--resume", data="bad.npz")
    assert first.returncode == again.returncode == 3 and again.stderr == first.stderr
    journal = (tmp_path / "kept" / "1-saliency" / "journal.jsonl").read_text().splitlines()
    failed = [json.loads(line)["value"].get("failed") for line in journal]
    assert failed == [{}, {"7": "NaN or infinite values in it"}, {}, None]
    assert explain(*KEEP, "--resume", "--strict", data="bad.npz").returncode == 2


@pytest.mark.slow
def test_a_run_begun_where_tensorflow_was_imported_first_goes_on(
    files: Path, tmp_path: Path
) -> None:
    """TensorFlow then chose its threads by itself, and their number is the run's all the same."""
    script = f"""
import tensorflow, cnnvis, os
assert "TF_NUM_INTRAOP_THREADS" not in os.environ
cnnvis.run(
    "saliency", {str(files / "model.keras")!r}, data={str(files / "data.npz")!r}, into="kept",
    shard_size=4, checks="none",
)
"""
    chosen = {"TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS"}
    env = {name: value for name, value in os.environ.items() if name not in chosen}
    subprocess.run([sys.executable, "-c", script], check=True, cwd=tmp_path, env=env)
    (tmp_path / "kept" / "1-saliency" / "shards" / "1.json").unlink()
    words = ["run", "saliency", files / "model.keras", "-d", files / "data.npz", *KEEP, "--resume"]
    done = subprocess.run(
        [sys.executable, "-m", "cnnvis", *map(str, words), "--checks", "none"],
        cwd=tmp_path, env=env, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


def test_what_is_there_is_not_written_over(explain: Typed, tmp_path: Path) -> None:
    assert explain(*KEEP).returncode == 0
    before = bytes_of(tmp_path / "kept")
    refused = explain(*KEEP)
    assert (
        refused.returncode == 2
        and "'kept' holds a run already: go on with --resume" in refused.stderr
    )
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "notes.txt").write_text("mine")
    refused = explain("--into", "other", "--resume")
    assert (
        refused.returncode == 2
        and "no run folder, and not empty: it holds 'notes.txt'" in refused.stderr
    )
    assert explain("--into", "other/notes.txt").returncode == 2
    assert bytes_of(tmp_path / "kept") == before
    assert bytes_of(tmp_path / "other") == {"notes.txt": b"mine"}


@pytest.mark.parametrize(
    ("words", "said"),
    quick_at(
        [0, 2, 4, 8],
        [
            (
                ("--backprop", "none"),
                "backprop of the options of the technique was guided and is now none",
            ),
            (("-l", "second"), "layer of the model was none and is now second"),
            (("-im", 0, 1, 2), "images"),
            (("--batch-size", 3), "batch_size of the computation was 4 and is now 3"),
            (("--compile", "eager"), "compile of the computation was graph and is now eager"),
            (
                ("--mixed-precision",),
                "mixed_precision of the computation was false and is now true",
            ),
            (("--shard-size", 5), "shard_size of the computation was 4 and is now 5"),
            (("--class-names", "a", "b", "c"), "class_names was none"),
            (("--shard", "1/2"), "part was 1/1 and is now 1/2"),
        ],
    ),
    ids=lambda value: value[0] if isinstance(value, tuple) else "",
)
def test_another_run_does_not_go_on_in_it(
    kept: Path, explain: Typed, tmp_path: Path, words: tuple[object, ...], said: str
) -> None:
    shutil.copytree(kept, tmp_path / "kept")
    before = bytes_of(tmp_path / "kept")
    refused = explain(*KEEP, "--resume", *words)
    assert refused.returncode == 2 and said in refused.stderr, refused.stderr
    assert len(refused.stderr.splitlines()) == 1
    assert bytes_of(tmp_path / "kept") == before


@pytest.mark.slow
def test_another_model_other_data_or_another_plugin_do_not_go_on_in_it(
    files: Path, typed: Typed, tmp_path: Path, classifier: Any
) -> None:
    for name in ("model.keras", "data.npz"):
        shutil.copy(files / name, tmp_path / name)
    plugin = (
        "import cnnvis\n@cnnvis.technique('mine')\ndef mine(model, samples) -> cnnvis.Explanation:\n"
        '    """Mine."""\n    return cnnvis.Explanation({} * samples.x, samples)\n'
    )
    Path("mine.py").write_text(plugin.format(2))
    words = ["--plugin", "mine.py", "run", "mine", "model.keras", "-d", "data.npz", *KEEP]
    assert typed(*words).returncode == 0
    assert typed(*words, "--resume").returncode == 0
    Path("mine.py").write_text(plugin.format(3))
    assert "source of the technique was" in typed(*words, "--resume").stderr
    Path("mine.py").write_text(plugin.format(2))
    np.savez("data.npz", X=X + 1, y=Y)
    assert "sha256 of the data was" in typed(*words, "--resume").stderr
    shutil.copy(files / "data.npz", "data.npz")
    weights = classifier.get_weights()
    try:
        classifier.set_weights([weight * 1.001 for weight in weights])
        classifier.save("model.keras")
    finally:
        classifier.set_weights(weights)
    refused = typed(*words, "--resume")
    assert refused.returncode == 2 and "sha256 of the model was" in refused.stderr
    shutil.copy(files / "model.keras", "model.keras")
    assert typed(*words, "--resume").returncode == 0


def test_networks_and_arrays_of_this_process_are_told_apart(
    classifier: Any, tmp_path: Path
) -> None:
    cnnvis.run("saliency", classifier, data=X, into=tmp_path / "kept")
    with pytest.raises(cnnvis.UserError, match="sha256 of the data was"):
        cnnvis.run("saliency", classifier, data=X * 2, into=tmp_path / "kept", resume=True)
    weights = classifier.get_weights()
    try:
        classifier.set_weights([weight * 2 for weight in weights])
        with pytest.raises(cnnvis.UserError, match="sha256 of the model was"):
            cnnvis.run("saliency", classifier, data=X, into=tmp_path / "kept", resume=True)
    finally:
        classifier.set_weights(weights)


@pytest.mark.slow
def test_many_images_are_kept_without_being_asked(
    explain: Typed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(folders, "MANY", 10)
    done = explain("-o", "out/")
    kept = tmp_path / "out" / "saliency_classes_guided.run"
    assert done.returncode == 0 and kept.is_dir()
    assert "note: the run keeps its maps in 'out/saliency_classes_guided.run'" in done.stderr
    before = bytes_of(kept)
    for again in ((), ("--resume",)):
        done = explain("-o", "out/", *again)
        assert done.returncode == 0 and bytes_of(kept) == before
        assert "note: the run goes on in 'out/saliency_classes_guided.run'" in done.stderr
    other = explain("-o", "out/", "-l", "classes", "--class", 1)
    assert other.returncode == 2 and "which holds another run" in other.stderr
    assert "--resume" not in other.stderr and "remove that folder" in other.stderr
    assert explain("-o", "few/", "-im", *range(10)).returncode == 0
    assert explain("-o", "none/", "--into", "none").returncode == 0
    chained = explain("grad-cam", "multiply", "png", "--limit", 3, "-o", "chain/", command="chain")
    assert chained.returncode == 0, chained.stderr
    folders_made = sorted(path.name for path in tmp_path.rglob("*.run"))
    assert folders_made == ["saliency_classes_guided.run", "saliency_grad-cam_classes_guided.run"]


def test_of_many_images_only_those_that_are_shown_come_into_memory(
    explain: Typed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from cnnvis.data.stream import Stream

    def whole(stream: Stream) -> None:
        raise AssertionError("all maps at once")

    monkeypatch.setattr(Stream, "whole", whole)
    done = explain("--into", "kept", "--shard-size", 2, "--png.limit", 3)
    assert done.returncode == 0, done.stderr
    assert "note: the first 3 maps are shown; 'kept' holds all" in done.stderr


@pytest.mark.slow
def test_shares_are_put_together(explain: Typed, typed: Typed, tmp_path: Path) -> None:
    assert explain(*KEEP, "-o", "whole.npz", data="bad.npz").returncode == 3
    for number in (1, 2, 3):
        words = ("--into", f"share{number}", "--shard-size", 4, "--shard", f"{number}/3")
        done = explain(*words, data="bad.npz")
        assert done.returncode == (3 if number == 2 else 0), done.stderr
        assert done.stdout == f"share{number}\n" and "renderers run after the merge" in done.stderr
    assert not (tmp_path / "results").exists()
    missing = typed("merge", "merged", "share1", "share2")
    assert (
        missing.returncode == 2
        and "shards of 1-saliency are missing or damaged: 2" in missing.stderr
    )
    assert not (tmp_path / "merged" / "manifest.json").exists()
    done = typed("merge", "merged", "share3", "share1", "share2")
    assert (done.returncode, done.stdout, done.stderr) == (0, "merged\n", "")
    assert bytes_of(tmp_path / "merged") == bytes_of(tmp_path / "kept")
    rendered = explain(
        "--into", "merged", "--resume", "-r", "numpy", "-o", "merged.npz", data="bad.npz"
    )
    assert rendered.returncode == 3
    assert Path("merged.npz").read_bytes() == Path("whole.npz").read_bytes()
    assert explain("--into", "more", "--shard", "9/9").returncode == 0


@pytest.mark.parametrize("share", ["0/3", "4/3", "x", "1", "1/0", "-1/2"])
def test_shares_that_are_none(explain: Typed, share: str) -> None:
    done = explain("--into", "kept", f"--shard={share}")
    assert done.returncode == 2 and f"{share!r} is not understood: 3/16" in done.stderr


@pytest.mark.slow
def test_shares_of_two_runs_are_not_put_together(
    explain: Typed, typed: Typed, tmp_path: Path
) -> None:
    for number, backprop in ((1, "guided"), (2, "none")):
        explain(
            "--into", f"s{number}", "--shard-size", 4, "--shard", f"{number}/2", "-bm", backprop
        )
    done = typed("merge", "out", "s1", "s2")
    assert done.returncode == 2 and "hold different runs: backprop of the options" in done.stderr
    assert "no run folder" in typed("merge", "out", "s1", "nowhere").stderr
    damaged = tmp_path / "s1" / "1-saliency" / "maps" / "c.0.0.0"
    damaged.write_bytes(damaged.read_bytes()[:-1])
    done = typed("merge", "out", "s1")
    assert done.returncode == 2 and "missing or damaged: 0, 1" in done.stderr
    assert "1/2 are not done" in done.stderr


@pytest.mark.slow
def test_a_chain_keeps_what_its_techniques_compute(
    explain: Typed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ("grad-cam", "multiply", "average", "numpy", "--into", "kept", "--shard-size", 4)
    plain = explain(*words[:4], "-o", "plain.npz", command="chain")
    first = explain(*words, "-o", "first.npz", command="chain")
    assert first.returncode == plain.returncode == 0, first.stderr
    assert sorted(path.name for path in (tmp_path / "kept").iterdir() if path.is_dir()) == [
        "1-saliency", "2-grad-cam",
    ]  # fmt: skip
    before = bytes_of(tmp_path / "kept")
    from cnnvis.explain import task

    def computed(*_: Any, **settings: Any) -> None:
        raise AssertionError("computed again")

    other = ("grad-cam", "multiply", "average", "--by", "label", "numpy", *words[4:], "--resume")
    with monkeypatch.context() as patched:
        patched.setattr(task, "computed_piece", computed)
        again = explain(*other, "-o", "again.npz", command="chain")
    assert again.returncode == 0, again.stderr
    assert bytes_of(tmp_path / "kept") == before
    # A shard of one technique is none of another's.
    shutil.copytree(
        tmp_path / "kept" / "1-saliency", tmp_path / "kept" / "2-grad-cam", dirs_exist_ok=True
    )
    assert explain(*other, "-o", "mended.npz", command="chain").returncode == 0
    assert bytes_of(tmp_path / "kept") == before
    maps = [cnnvis.Explanation.load(name).array for name in ("plain.npz", "first.npz", "again.npz")]
    np.testing.assert_allclose(maps[0], maps[1], rtol=1e-4, atol=1e-7)
    np.testing.assert_array_equal(maps[1], maps[2])


def test_several_inputs_have_a_part_each(keras: Any, tmp_path: Path) -> None:
    layers = keras.layers
    keras.utils.set_random_seed(4)
    left, right = layers.Input((6,), name="left"), layers.Input((5,), name="right")
    joined = layers.Concatenate()([left, right])
    network = keras.Model([left, right], layers.Dense(2, name="output")(joined))
    data = {"left": X[:, :6, 0, 0], "right": X[:, :5, 1, 1]}
    settings: dict[str, Any] = {"data": data, "backprop": None, "shard_size": 4}
    first = cnnvis.run("saliency", network, into=tmp_path / "kept", **settings)
    again = cnnvis.run("saliency", network, into=tmp_path / "kept", resume=True, **settings)
    parts = sorted(path.name for path in (tmp_path / "kept").iterdir() if path.is_dir())
    assert parts == ["1-saliency-left", "1-saliency-right"]
    for one, other in zip((first, *first.other_inputs), (again, *again.other_inputs), strict=True):
        np.testing.assert_array_equal(one.array, other.array)
        assert one.input == other.input
        np.testing.assert_array_equal(one.inputs, other.inputs)


def test_curves_of_maps_are_kept(classifier: Any, tmp_path: Path) -> None:
    @cnnvis.technique("rising")
    def rising(model: cnnvis.Model, samples: cnnvis.Samples) -> cnnvis.Explanation:
        """Map of the input, with a curve of its first row."""
        curve = np.where(samples.x[:, 0, :, 0] > 0, samples.x[:, 0, :, 0], np.nan)
        return cnnvis.Explanation(2 * samples.x, samples, curves={"score": curve})

    known, plugin = Registry(only=[]), cnnvis.plugin_of(rising)
    assert plugin is not None
    known.add(plugin)
    settings: dict[str, Any] = {"data": X, "shard_size": 4, "into": tmp_path / "kept"}
    with using(known):
        found = cnnvis.run("rising", classifier, **settings)
        again = cnnvis.run("rising", classifier, resume=True, **settings)
    expected = np.where(X[:, 0, :, 0] > 0, X[:, 0, :, 0], np.nan)
    for one in (found, again):
        np.testing.assert_array_equal(one.curves["score"], expected.astype(np.float32))


def test_techniques_that_explain_no_images_have_nothing_to_keep(
    explain: Typed, typed: Typed, files: Path
) -> None:
    done = typed("run", "model-summary", files / "model.keras", "--into", "kept")
    assert (
        done.returncode == 2
        and "keeps maps of images, and this run has no maps of images" in done.stderr
    )
    done = explain("--resume")
    assert done.returncode == 2 and "no run folder is named to go on with" in done.stderr


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """Nine pictures: the first is damaged, another has another size, one is no picture."""
    folder = tmp_path / "pictures"
    folder.mkdir()
    rng = np.random.default_rng(2)
    for number in range(9):
        picture = rng.integers(0, 255, (12, 10), dtype=np.uint8)
        Image.fromarray(picture).save(folder / f"{number}.png")
    Image.fromarray(picture[:6]).save(folder / "4.png")
    (folder / "0.png").write_bytes((folder / "1.png").read_bytes()[:60])
    (folder / "6.png").write_text("no picture")
    return folder


@pytest.fixture(scope="module")
def grey(keras: Any) -> Any:
    layers = keras.layers
    keras.utils.set_random_seed(5)
    return keras.Sequential(
        [layers.Input((12, 10, 1)), layers.Conv2D(3, 3, activation="relu"), layers.Flatten(),
         layers.Dense(2, name="output")]
    )  # fmt: skip


@pytest.mark.parametrize("into", [None, "kept"])
def test_a_picture_that_cannot_be_read_costs_no_other(
    grey: Any, pictures: Path, tmp_path: Path, into: str | None
) -> None:
    keep: dict[str, Any] = {} if into is None else {"into": tmp_path / into, "shard_size": 4}
    found = cnnvis.run("saliency", grey, data=pictures, **keep)
    assert found.indices is not None and found.indices.tolist() == [1, 2, 3, 5, 7, 8]
    notes = "\n".join(found.notes)
    assert "image 0 was left out" in notes and "0.png' is" in notes
    assert "image 4 was left out" in notes and "6 rows and 10 columns" in notes
    assert "image 6 was left out" in notes and "not a picture" in notes
    with pytest.raises(cnnvis.UserError, match="image 0 stopped the run"):
        cnnvis.run("saliency", grey, data=pictures, strict=True)


def test_a_damaged_piece_of_a_file_costs_only_its_image(classifier: Any, tmp_path: Path) -> None:
    import h5py

    with h5py.File(tmp_path / "data.h5", "w") as file:
        stored = file.create_dataset("X", data=X, chunks=(1, *X.shape[1:]), fletcher32=True)
        place = stored.id.get_chunk_info(6).byte_offset
    with (tmp_path / "data.h5").open("r+b") as raw:
        raw.seek(place)
        raw.write(b"damage")
    found = cnnvis.run("saliency", classifier, data=tmp_path / "data.h5", filter=1)
    assert found.indices is not None and found.indices.tolist() == [0, 1, 2, 3, 4, 5, 7, 8, 9, 10]
    assert any("image 6 was left out" in note for note in found.notes)


def test_data_that_are_gone_are_said_to_be(
    grey: Any, pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from cnnvis.explain import task

    samples = cnnvis.read_samples(pictures)
    computed = task.computed_piece

    def vanishing(*arguments: Any, **settings: Any) -> Any:
        if (tmp_path / "pictures").exists():
            pictures.rename(tmp_path / "moved")
        return computed(*arguments, **settings)

    monkeypatch.setattr(task, "computed_piece", vanishing)
    keep: dict[str, Any] = {"into": tmp_path / "kept", "shard_size": 2}
    with pytest.raises(cnnvis.DiskError, match="can no longer be read"):
        cnnvis.run("saliency", grey, data=samples, **keep)
    (tmp_path / "moved").rename(pictures)
    monkeypatch.undo()
    found = cnnvis.run("saliency", grey, data=pictures, resume=True, **keep)
    assert len(found) == 6


@pytest.mark.parametrize("what", ["a pipe", "a folder", "a link to a device"])
def test_a_picture_that_is_no_file_for_a_while_is_not_left_out_for_good(
    grey: Any, pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    import os

    from cnnvis.explain import task

    keep: dict[str, Any] = {"into": tmp_path / "kept", "shard_size": 2}
    whole = cnnvis.run("saliency", grey, data=pictures, into=tmp_path / "whole", shard_size=2)
    last = max(pictures.rglob("*.png"))
    samples = cnnvis.read_samples(pictures)
    computed = task.computed_piece

    def changing(*arguments: Any, **settings: Any) -> Any:
        if last.is_file() and not last.is_symlink():
            last.rename(tmp_path / "aside")
            match what:
                case "a pipe":
                    os.mkfifo(last)
                case "a folder":
                    last.mkdir()
                case _:
                    last.symlink_to("/dev/zero")
        return computed(*arguments, **settings)

    monkeypatch.setattr(task, "computed_piece", changing)
    with pytest.raises(cnnvis.UserError, match="was changed or replaced during the reading"):
        cnnvis.run("saliency", grey, data=samples, **keep)
    monkeypatch.undo()
    last.rmdir() if what == "a folder" else last.unlink()
    (tmp_path / "aside").rename(last)
    found = cnnvis.run("saliency", grey, data=pictures, resume=True, **keep)
    np.testing.assert_array_equal(found.array, whole.array)
    assert bytes_of(tmp_path / "kept") == bytes_of(tmp_path / "whole")


def test_what_file_managers_leave_in_a_folder_is_no_other_data(
    grey: Any, pictures: Path, tmp_path: Path
) -> None:
    keep: dict[str, Any] = {"into": tmp_path / "kept", "shard_size": 2}
    first = cnnvis.run("saliency", grey, data=pictures, **keep)
    for name in (".DS_Store", "Thumbs.db", "desktop.ini"):
        (pictures / name).write_bytes(b"looked at")
    again = cnnvis.run("saliency", grey, data=pictures, resume=True, **keep)
    np.testing.assert_array_equal(again.array, first.array)
    assert again.provenance["data"] == first.provenance["data"]


def test_a_shortage_of_memory_is_no_damage_of_images(
    classifier: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It ends the run, whether it comes while data are read or while maps are computed."""
    import errno

    from cnnvis.network import compilation

    keep: dict[str, Any] = {"shard_size": 4, "into": tmp_path / "kept"}
    whole = cnnvis.run("saliency", classifier, data=X, shard_size=4, into=tmp_path / "whole")

    class Short:
        shape, dtype = X.shape, X.dtype
        most = 4

        def __getitem__(self, index: Any) -> Any:
            if np.max(np.arange(len(X))[index]) >= self.most:
                raise OSError(errno.ENOMEM, "Cannot allocate memory")
            return X[index]

    with pytest.raises(cnnvis.DiskError, match="not enough memory to read the data"):
        cnnvis.run("saliency", classifier, data=cnnvis.Samples(Short()), **keep)
    shutil.rmtree(tmp_path / "kept")
    monkeypatch.setattr(Short, "most", 99)

    def refused(*arguments: Any) -> Any:
        raise MemoryError

    monkeypatch.setattr(compilation.Compiled, "_batch", refused)
    with pytest.raises(cnnvis.DiskError, match="not enough memory for the batches"):
        cnnvis.run("saliency", classifier, data=X, **keep)
    monkeypatch.undo()
    found = cnnvis.run("saliency", classifier, data=X, resume=True, **keep)
    np.testing.assert_array_equal(found.array, whole.array)
    assert bytes_of(tmp_path / "kept") == bytes_of(tmp_path / "whole")


def test_an_image_is_not_left_out_for_want_of_memory_outside_of_the_network(
    classifier: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gradient = cnnvis.Model.input_gradient

    def short(self: Any, x: Any, *more: Any, **settings: Any) -> Any:
        if (x == X[9]).all(axis=(1, 2, 3)).any():
            raise MemoryError("of 5 GiB for an array")
        return gradient(self, x, *more, **settings)

    monkeypatch.setattr(cnnvis.Model, "input_gradient", short)
    keep: dict[str, Any] = {"shard_size": 4, "into": tmp_path / "kept"}
    with pytest.raises(cnnvis.DiskError, match=r"not enough memory for .*No image is left out"):
        cnnvis.run("saliency", classifier, data=X, **keep)
    # Without a run folder, fewer images at a time may be enough.
    found = cnnvis.run("saliency", classifier, data=X)
    assert len(found) == 10 and any("not enough memory" in one for one in found.notes)
    monkeypatch.undo()
    assert len(cnnvis.run("saliency", classifier, data=X, resume=True, **keep)) == 11


@pytest.mark.parametrize("gone", ["manifest", "folder", "another", "removed"])
def test_a_folder_that_is_changed_meanwhile(
    classifier: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, gone: str
) -> None:
    from cnnvis.explain import task

    kept, computed = tmp_path / "kept", task.computed_piece
    whole = cnnvis.run("saliency", classifier, data=X, shard_size=4, into=tmp_path / "whole")

    def changing(*arguments: Any, **settings: Any) -> Any:
        if gone == "manifest":
            (kept / "manifest.json").unlink(missing_ok=True)
        elif gone == "removed":
            shutil.rmtree(kept, ignore_errors=True)
        elif not (tmp_path / "moved").exists():
            kept.rename(tmp_path / "moved")
            if gone == "another":
                kept.mkdir()
        return computed(*arguments, **settings)

    monkeypatch.setattr(task, "computed_piece", changing)
    if gone == "manifest":
        found = cnnvis.run("saliency", classifier, data=X, shard_size=4, into=kept)
        assert any("manifest.json" in note and "written again" in note for note in found.notes)
        assert bytes_of(kept) == bytes_of(tmp_path / "whole")
    elif gone == "removed":
        with pytest.raises(cnnvis.DiskError, match=r"the folder .* is gone"):
            cnnvis.run("saliency", classifier, data=X, shard_size=4, into=kept)
        return
    else:
        with pytest.raises(cnnvis.DiskError, match="was moved, replaced or removed"):
            cnnvis.run("saliency", classifier, data=X, shard_size=4, into=kept)
        monkeypatch.undo()
        moved = tmp_path / "moved"
        found = cnnvis.run("saliency", classifier, data=X, shard_size=4, into=moved, resume=True)
        assert bytes_of(moved) == bytes_of(tmp_path / "whole")
    np.testing.assert_array_equal(found.array, whole.array)


def test_an_image_whose_gradient_overflows_is_found_among_others(
    keras: Any, tmp_path: Path
) -> None:
    layers = keras.layers
    keras.utils.set_random_seed(6)
    network = keras.Sequential(
        [layers.Input((4,)), layers.Dense(3, activation="exponential", name="output")]
    )
    data = np.random.default_rng(0).normal(size=(300, 4)).astype(np.float32)
    data[[17, 123]] = 1e4 * np.sign(network.layers[0].get_weights()[0][:, 1])
    found = cnnvis.run(
        "saliency", network, data=data, filter=1, backprop=None, into=tmp_path / "kept"
    )
    good = np.setdiff1d(np.arange(300), [17, 123])
    assert found.indices is not None and found.indices.tolist() == good.tolist()
    alone = cnnvis.run("saliency", network, data=data[good], filter=1, backprop=None)
    np.testing.assert_allclose(found.array, alone.array, rtol=1e-5)
    assert any("image 17, 123 was left out: the gradient of" in note for note in found.notes)


def test_what_is_no_images_fault_is_said_at_once(classifier: Any) -> None:
    from cnnvis.registry.discovery import Registry, using
    from cnnvis.registry.plugin import plugin_of

    asked: list[int] = []

    @cnnvis.technique("wrong")
    def wrong(model: cnnvis.Model, samples: cnnvis.Samples) -> cnnvis.Explanation:
        """Refuse everything."""
        asked.append(len(samples))
        raise cnnvis.UserError("this network cannot be explained so")

    known, marked = Registry(), plugin_of(wrong)
    assert marked is not None
    known.add(marked)
    with using(known), pytest.raises(cnnvis.UserError, match="cannot be explained so") as error:
        cnnvis.run("wrong", classifier, data=np.repeat(X, 20, axis=0))
    assert error.value.code == 2 and len(asked) <= 4
