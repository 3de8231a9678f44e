"""A technique takes images batch by batch, and nobody can tell from what comes out."""

from __future__ import annotations

import gc
import threading
import weakref
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import cnnvis
from cnnvis.explain.request import Request
from cnnvis.explain.task import Task
from cnnvis.registry.arguments import DataArguments
from cnnvis.registry.discovery import Registry, registry, using
from cnnvis.registry.options import checked
from cnnvis.registry.plugin import plugin_of
from cnnvis.renderers._frames import unrolled

RNG = np.random.default_rng(0)
X = RNG.normal(size=(7, 12, 10, 2)).astype(np.float32)
Y = np.arange(7) % 3


@pytest.fixture
def in_threes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cnnvis.data.samples.AT_ONCE", 3)


@pytest.mark.parametrize(
    "technique", ["saliency", "grad-cam", "integrated-gradients", "smoothgrad"]
)
def test_batches_change_nothing(
    classifier: Any, technique: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = cnnvis.Samples(X, Y, tuple("abcdefg"))
    whole = cnnvis.run(technique, classifier, data=data, images=[5, 0, 6, 2, 1])
    monkeypatch.setattr("cnnvis.data.samples.AT_ONCE", 2)
    parts = cnnvis.run(technique, classifier, data=data, images=[5, 0, 6, 2, 1])
    np.testing.assert_allclose(parts.array, whole.array, rtol=1e-4, atol=1e-7)
    assert [parts.title(i).splitlines()[:2] for i in range(5)] == [
        whole.title(i).splitlines()[:2] for i in range(5)
    ]
    assert (parts.notes, parts.axes) == (whole.notes, whole.axes)
    assert parts.provenance == whole.provenance
    assert parts.labels is not None and parts.labels.tolist() == [2, 0, 0, 2, 1]
    np.testing.assert_array_equal(parts.inputs, X[[5, 0, 6, 2, 1]])


@pytest.mark.usefixtures("in_threes")
def test_images_with_nan_are_left_out(classifier: Any) -> None:
    broken = X.copy()
    broken[4, 0, 0, 0] = np.nan
    broken[1, 3, 3, 1] = np.inf
    found = cnnvis.run(
        "saliency", classifier, data=(broken, Y), images=[6, 4, 0, 4, 1, 0], filter=1
    )
    assert found.indices is not None and found.indices.tolist() == [6, 0, 0]
    assert found.labels is not None and found.labels.tolist() == [0, 0, 0]
    assert len(found.targets) == 3
    assert any("image 4, 4, 1 was left out" in note for note in found.notes)
    expected = cnnvis.run("saliency", classifier, data=X, images=[6, 0, 0], filter=1)
    np.testing.assert_allclose(found.array, expected.array, rtol=1e-4, atol=1e-7)
    with pytest.raises(cnnvis.NothingUsable, match=r"no image .* image 4: NaN"):
        cnnvis.run("saliency", classifier, data=broken, images=4)


@pytest.mark.usefixtures("in_threes")
def test_the_next_batch_is_read_meanwhile_and_nothing_is_read_twice(classifier: Any) -> None:
    read: list[tuple[int, str]] = []

    class Source:
        shape, dtype = X.shape, X.dtype

        def __getitem__(self, index: Any) -> Any:
            rows = np.arange(7)[index]
            read.extend((int(row), threading.current_thread().name) for row in rows)
            return X[rows]

    found = cnnvis.run("saliency", classifier, data=cnnvis.Samples(Source()), filter=1)
    assert [row for row, _ in read] == list(range(7))
    assert all(name.startswith("reading") for _, name in read)
    found.title(3), found.is_signed
    assert len(read) == 7
    np.testing.assert_array_equal(found[[2]].inputs, X[[2]])
    assert len(read) == 8


@pytest.mark.usefixtures("in_threes")
def test_a_technique_that_gives_no_map_for_each_image_is_named(classifier: Any) -> None:
    @cnnvis.technique("wrong")
    def wrong(model: cnnvis.Model, samples: cnnvis.Samples) -> cnnvis.Explanation:
        """Give one map for all."""
        return cnnvis.Explanation(samples.x.mean(axis=0, keepdims=True))

    marked, known = plugin_of(wrong), Registry()
    assert marked is not None
    known.add(marked)
    with (
        using(known),
        pytest.raises(cnnvis.PluginError, match=r"wrong.* some samples have no map"),
    ):
        cnnvis.run("wrong", classifier, data=X)


def test_what_is_written_is_read_again_however_large(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from cnnvis.data import saving

    monkeypatch.setattr(saving, "PIECE", 1000)
    np.save(tmp_path / "x.npy", np.asfortranarray(X))
    samples = cnnvis.read_samples(tmp_path / "x.npy")
    maps = np.repeat(Y.astype(np.float32), 120).reshape(7, 12, 10)  # shrinks; X does not
    cnnvis.Explanation(maps, samples).save(tmp_path / "out.npz")
    with np.load(tmp_path / "out.npz", allow_pickle=False) as stored:
        np.testing.assert_array_equal(stored["maps"], maps)
        np.testing.assert_array_equal(stored["inputs"], X)
    again = cnnvis.Explanation.load(tmp_path / "out.npz")
    np.testing.assert_array_equal(again.array, maps)
    assert (tmp_path / "out.npz").stat().st_size < X.nbytes + maps.nbytes / 2 + 3000


@pytest.mark.usefixtures("in_threes")
def test_the_maps_of_a_piece_are_freed_without_the_garbage_collector(classifier: Any) -> None:
    """Which looks so rarely at all that TensorFlow holds that memory would grow with the images."""
    plugin = registry().get("technique", "saliency")
    task = Task.of(Request(classifier, DataArguments(X)), [plugin])
    (stream,) = task.explained(plugin, checked(plugin, {})).values()
    held = []
    gc.collect()
    gc.disable()
    try:
        for batch in stream:
            held.append(weakref.ref(batch.array))
            del batch
        assert len(held) == 3 and [one() for one in held] == [None] * 3
    finally:
        gc.enable()


def test_techniques_of_others_keep_frames_with_their_images(
    classifier: Any, tmp_path: Path
) -> None:
    @cnnvis.technique("stepwise")
    def stepwise(model: cnnvis.Model, samples: cnnvis.Samples) -> cnnvis.Explanation:
        """A map that becomes stronger step by step."""
        maps = np.abs(model.input_gradient(samples.x)).max(axis=-1)
        frames = np.stack([maps * share for share in (0, 0.5, 1)], axis=1)
        return cnnvis.Explanation(
            maps, samples, frames=cnnvis.Frames(frames, np.array([0, 5, 9])),
            curves={"share": np.tile(np.linspace(0, 1, 9), (len(maps), 1))},
        )  # fmt: skip

    marked, known = plugin_of(stepwise), Registry()
    assert marked is not None
    known.add(marked)
    with using(known):
        found = cnnvis.run("stepwise", classifier, data=X, images=[4, 1], checks="none")
        assert found.frames is not None
        np.testing.assert_array_equal(found.frames.maps[:, -1], found.array)
        found.save(tmp_path / "it.gif")
        with Image.open(tmp_path / "it.gif") as moving:
            assert getattr(moving, "n_frames", 1) == 3
        titles = cnnvis.panels(unrolled(found))[0].map.title.split("\n")
        assert titles[0] == "#4" and titles[1].startswith("classes[")
        assert titles[2:] == ["after 0 of 9 steps"]
        folder = cnnvis.run("stepwise", classifier, data=X, into=tmp_path / "it.run", checks="none")
    assert folder.frames is None and any("keeps no frames" in one for one in folder.notes)


def _doubtful(kind: str = "") -> Any:
    """A technique that doubts images of odd numbers, the more the larger they are, and refuses image 1."""

    def remarks(measures: Any, *, share: float, **_: Any) -> Any:
        if kind == "broken":
            raise ValueError("no remark")
        doubts = measures["doubt"]
        if (doubts > share).any():
            yield f"{(doubts > share).sum()} of {doubts.size} are doubtful, by {doubts.max():g}"

    @cnnvis.technique("doubtful", remarks=remarks)
    def doubtful(
        model: cnnvis.Model, samples: cnnvis.Samples, *, share: cnnvis.Share = 0.5
    ) -> cnnvis.Explanation:
        """Doubt images."""
        if 1 in samples.indices and model.filters != (2,):
            raise cnnvis.UserError("image 1 is refused")
        maps = np.array(model.input_gradient(samples.x))
        doubts = np.where(samples.indices % 2, samples.indices, 0)
        return cnnvis.Explanation(maps, samples, measures={"doubt": doubts.astype(float)})

    marked, known = plugin_of(doubtful), Registry()
    assert marked is not None
    known.add(marked)
    return known


@pytest.mark.parametrize("several", [False, True])
@pytest.mark.parametrize("into", [None, "it.run"])
@pytest.mark.usefixtures("in_threes")
def test_remarks_are_of_all_maps_together(
    classifier: Any, tmp_path: Path, several: bool, into: str | None
) -> None:
    """Whatever pieces they come in, and without the images that have no map."""
    asked: dict[str, Any] = {"filter": [2, 1]} if several else {}
    if into is not None:
        asked |= {"into": tmp_path / into, "shard_size": 3}
    with using(_doubtful()):
        for _ in range(2):  # the second reads the folder
            found = cnnvis.run("doubtful", classifier, data=X, checks="none", **asked)
            said = [note for note in found.notes if "doubtful" in note]
            assert said == [f"{4 if several else 2} of {12 if several else 6} are doubtful, by 5"]
            if into is not None:
                asked["resume"] = True


def test_a_remark_that_fails_costs_no_map(classifier: Any) -> None:
    with using(_doubtful("broken")):
        found = cnnvis.run("doubtful", classifier, data=X, checks="none")
    assert len(found) == 6
    assert any("doubtful" in note and "no remark" in note for note in found.notes)


@pytest.mark.usefixtures("in_threes")
def test_a_picture_of_the_first_maps_has_their_remarks(classifier: Any, tmp_path: Path) -> None:
    known = _doubtful()
    seen = []

    @cnnvis.renderer("seen", suffixes=(".seen",))
    def seen_by(explanation: cnnvis.Explanation, path: Path, *, limit: cnnvis.Count = 2) -> None:
        """Keep the notes."""
        seen.append(explanation.notes)
        path.write_text("seen")

    marked = plugin_of(seen_by)
    assert marked is not None
    known.add(marked)
    steps = [("doubtful", {"share": 0.9}), "seen"]
    with using(known):
        cnnvis.chain(classifier, steps, data=X[::-1].copy(), images=[3, 5, 2, 6], checks="none",
                     out=tmp_path / "it.seen")  # fmt: skip
    ((*notes,),) = seen
    assert any(note.endswith("are doubtful, by 5") for note in notes)
