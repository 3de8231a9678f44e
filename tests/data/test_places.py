"""Places of images in a genome: each image at its own, whatever becomes of the images."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import cnnvis
from cnnvis.data.lazy import Absent
from cnnvis.execution.transfer import pack_explanation, unpack_explanation
from cnnvis.plugins.transforms.combine import multiply
from cnnvis.plugins.transforms.parts import select

REGULAR = cnnvis.Places(
    "column", ("chr1", "chr2", "chr1"), np.array([100, 1_303_000, 50]), np.array([10, 0.5, -1]), 6,
    {"chr1": 1000},
)  # fmt: skip
SITES = cnnvis.Places("column", ("a", "b"), np.array([[3, 7, 1_303_123], [9, 9, -1]]))


def _explained(places: cnnvis.Places, rows: int = 2) -> cnnvis.Explanation:
    maps = np.arange(len(places) * rows * places.length, dtype=np.float32)
    maps = maps.reshape(len(places), rows, places.length)
    return cnnvis.Explanation(maps, cnnvis.Samples(maps, channel_axis=None, places=places))


def test_intervals_are_of_bases_from_zero_without_their_ends() -> None:
    starts, ends = REGULAR.intervals(0)
    assert starts.tolist() == [100, 110, 120, 130, 140, 150]
    assert ends.tolist() == [110, 120, 130, 140, 150, 160]
    # Read backwards, the first position is the last base before the start.
    starts, ends = REGULAR.intervals(2)
    assert starts.tolist() == [49, 48, 47, 46, 45, 44] and ends.tolist() == [50, 49, 48, 47, 46, 45]
    starts, ends = REGULAR.intervals(1)  # two positions on each base
    assert set(ends - starts) == {1} and starts.tolist() == sorted(starts.tolist())
    starts, ends = SITES.intervals(1)
    assert starts.tolist() == [9, 9, -1] and ends.tolist() == [10, 10, -1]
    before = cnnvis.Places("column", ("a",), np.array([-15]), np.array([10]), 3)
    assert before.intervals(0)[0].tolist() == [-1, -1, 5]


def test_words_count_from_one_with_thousands() -> None:
    assert REGULAR.at(0, 1) == "chr1:111-120"
    assert REGULAR.at(2, 0) == "chr1:50"
    assert REGULAR.window(2) == "chr1:45-50"
    assert SITES.at(0, 2) == "a:1,303,124" and SITES.at(1, 2) == ""
    assert SITES.window(0) == "a:4-1,303,124"
    # An axis of one image has the same words as its places.
    for number in range(3):
        words = [REGULAR.axis_of(number).at(position) for position in (0, 2)]
        expected = [REGULAR.intervals(number)[0][position] + 1 for position in (0, 2)]
        assert words == [f"{one:,}" for one in expected] or number == 1
    assert SITES.axis_of(0).at(2) == "1,303,124" and SITES.axis_of(1).at(2) == ""
    assert cnnvis.Axis(start=1_303_120.4, step=1).at(0) == "1,303,120"


def test_places_stay_with_their_images() -> None:
    found = _explained(REGULAR)
    assert found.samples is not None
    some = found[[2, 0]].places
    assert some is not None and some.contigs == ("chr1", "chr1")
    assert some.window(0) == REGULAR.window(2) and some.window(1) == REGULAR.window(0)
    again = cnnvis.Explanation.joined([found[[0]], found[[1, 2]]])
    assert again.places is not None
    assert [again.places.window(i) for i in range(3)] == [REGULAR.window(i) for i in range(3)]
    without = dataclasses.replace(found.samples, places=None)
    assert cnnvis.Samples.joined([found.samples, without]).places is None
    repeated = found.samples.repeated(2).places
    assert repeated is not None and repeated.contigs[:2] == ("chr1", "chr1")
    assert "chr2:1,303,001" in found.title(1)
    # Maps of other positions, or of groups, are at none of these places.
    assert found.with_maps(found.array[:, :, :3]).places is None
    assert found.with_maps(found.array, groups=("x", "y", "z")).places is None
    with pytest.raises(cnnvis.UserError, match="3 inputs but 2 places"):
        dataclasses.replace(found.samples, places=SITES)


@pytest.mark.parametrize("places", [REGULAR, SITES], ids=["regular", "sites"])
def test_a_file_and_another_process_keep_them(places: cnnvis.Places, tmp_path: Path) -> None:
    found = _explained(places)
    found.write(tmp_path / "maps.npz")
    pack_explanation(found, tmp_path / "parcel")
    for again in (
        cnnvis.Explanation.load(tmp_path / "maps.npz"),
        unpack_explanation(tmp_path / "parcel"),
    ):
        known = again.places
        assert known is not None and known.contigs == places.contigs
        assert dict(known.sizes) == dict(places.sizes)
        for number in range(len(places)):
            np.testing.assert_array_equal(known.intervals(number), places.intervals(number))


@pytest.mark.parametrize(
    ("shape", "network", "axis", "after"),
    [
        ((2, 5, 4), (5, 4), "position", "position"),
        ((2, 5, 4), (5, 4, 1), "position", "row"),
        ((2, 8, 5), (8, 5, 1), "column", "column"),
    ],
)
def test_axes_are_called_as_the_network_has_them(
    shape: Any, network: Any, axis: str, after: str
) -> None:
    channel = -1 if axis == "position" else None
    places = cnnvis.Places(axis, ("a", "b"), np.zeros(2), np.ones(2), 5)
    described = {"channel": cnnvis.Axis(values=tuple("ACGT"))} if axis == "position" else {}
    samples = cnnvis.Samples(
        np.zeros(shape, np.float32), channel_axis=channel, places=places, coordinates=described
    )
    shaped = samples.shaped_for(network, -1)
    assert shaped.places is not None and shaped.places.axis == after
    expected = {"position": ["channel"], "row": ["column"], "column": []}[after]
    assert [*shaped.coordinates] == expected


def test_pieces_and_tables_have_places() -> None:
    cut = select(_explained(REGULAR), axis="column", at="2:4")
    assert cut.places is not None and cut.places.window(0) == "chr1:121-140"
    cut = select(_explained(SITES), axis="column", at="1:3")
    assert cut.places is not None and cut.places.at(0, 1) == "a:1,303,124"
    assert select(_explained(SITES), axis="column", at="1").places is None
    kept = cnnvis.Explanation(_explained(SITES).array, axes=("row", "column"), own_places=SITES)
    cut = select(kept, axis="column", at="1:3")
    assert cut.places is not None and cut.places.window(0) == "a:8-1,303,124"
    assert REGULAR.piece([1, 3]) is None


def test_maps_in_a_run_folder_have_their_places(keras: Any, tmp_path: Path) -> None:
    network = keras.Sequential(
        [keras.layers.Input((2, 6, 1)), keras.layers.Flatten(), keras.layers.Dense(2)]
    )
    samples = _explained(REGULAR).samples
    settings: dict[str, Any] = {"data": samples, "filter": 0, "backprop": None}
    found = cnnvis.run("saliency", network, **settings, into=tmp_path / "run", shard_size=2)
    (again,) = cnnvis.chain(tmp_path / "run", "smooth")
    for one in (found, again):
        assert one.samples is not None
        assert not isinstance(one.samples.source, Absent) or one is again
        assert [one.places.window(i) for i in range(3)] == [REGULAR.window(i) for i in range(3)]
    assert found.coordinates_of(1)["column"].name == "chr2"
    (apart,) = cnnvis.chain(tmp_path / "run", [("average", {"by": "place"})])
    assert apart.places is not None and apart.groups[1] == apart.places.window(1)
    (whole,) = cnnvis.chain(tmp_path / "run", [("average", {"by": "all"})])
    assert whole.places is None and whole.provenance[cnnvis.Places.DISTINCT] == 3


WINDOW = cnnvis.Places(
    "column", ("chr1",) * 12, np.full(12, 100), np.full(12, 10), 6, {"chr1": 900}
)
"""The same place for each of twelve images."""

OTHER = dataclasses.replace(WINDOW, contigs=("chr1", "chr2") * 6)


def _kept(path: Path, places: cnnvis.Places, labels: Any = (0, 1) * 6) -> Path:
    """Write maps of two groups, of which one is brighter at its second column alone."""
    maps = np.random.default_rng(0).normal(size=(12, 2, 6)).astype(np.float32)
    maps[1::2, :, 1] += 9
    samples = cnnvis.Samples(
        np.zeros_like(maps), np.array(labels), class_names=("no", "yes"), channel_axis=None, places=places,
    )  # fmt: skip
    cnnvis.Explanation(maps, samples, signed=True, provenance={"technique": "t"}).save(path)
    return path


COMPARED = ("compare-groups", {"permutations": 99, "maps": ("differs",)})


def test_maps_of_groups_have_the_place_that_all_images_of_a_group_have(tmp_path: Path) -> None:
    maps = _kept(tmp_path / "maps.npz", WINDOW)
    (mean,) = cnnvis.chain(maps, ["average"])
    mean.save(tmp_path / "mean.npz")
    (again,) = cnnvis.chain(tmp_path / "mean.npz", ["difference"])
    results = [mean, again]
    for steps in (
        ["average", "difference"],
        ["deviation"],
        [COMPARED],
        ["average", "smooth"],
    ):
        results += cnnvis.chain(maps, [*steps])[-1:]
    results += cnnvis.chain(maps, ["average", ("select", {"axis": "column", "at": "0:4"})])
    for found in results:
        assert found.places is not None
        assert {found.places.at(row, 1) for row in range(len(found))} == {"chr1:111-120"}
    assert mean.title(1).splitlines()[1] == "chr1:101-160"
    # The strongest of each file is the place that was made brighter.
    for name, steps in (("d.bed", ["difference"]), ("c.bed", [])):
        (last,) = cnnvis.chain(maps, [*(["average", *steps] if steps else [COMPARED])])
        last.save(tmp_path / name)
        assert (tmp_path / name).read_text().split("\t")[:3] == ["chr1", "110", "120"]
    regions = last.provenance["comparison"]["regions"]
    assert regions[0]["place"] == "chr1:111-120"
    assert "(chr1:111-120)" in last.provenance["comparison"]["outcome"]
    last.save(tmp_path / "c.tsv")
    heading, first = (tmp_path / "c.tsv").read_text().splitlines()[:2]
    cells = dict(zip(heading.split("\t"), first.split("\t"), strict=True))
    assert (cells["contig"], cells["start"], cells["end"]) == ("chr1", "110", "120")


def test_maps_of_several_places_have_none_and_say_why(tmp_path: Path) -> None:
    maps = _kept(tmp_path / "maps.npz", OTHER)
    # Each group lies in its own window: their means have places, and what is between them has none.
    (mean,) = cnnvis.chain(maps, ["average"])
    assert mean.places is not None and mean.places.window(1) == "chr2:101-160"
    for steps in (["average", "difference"], [COMPARED], [("average", {"by": "all"})]):
        (found,) = cnnvis.chain(maps, [*steps])
        found.save(tmp_path / "none.npz")
        assert found.places is None
        for one in (found, cnnvis.Explanation.load(tmp_path / "none.npz")):
            with pytest.raises(
                cnnvis.UserError, match=r"images of 2 different places .* --by place"
            ):
                one.save(tmp_path / "none.bed")
    every = multiply([mean, found])  # by those of all images
    assert every.places is None and every.provenance[cnnvis.Places.DISTINCT] == 2
    (apart,) = cnnvis.chain(maps, [("average", {"by": "place"})])
    assert apart.groups == ("chr1:101-160", "chr2:101-160")
    np.testing.assert_array_equal(apart.array, mean.array)
    # The same interval read backwards is another place.
    steps = np.where(np.arange(12) % 4, 10, -10)
    _kept(
        tmp_path / "strands.npz",
        dataclasses.replace(WINDOW, starts=np.where(steps < 0, 160, 100), steps=steps),
    )
    (apart,) = cnnvis.chain(tmp_path / "strands.npz", [("average", {"by": "place"})])
    assert apart.groups == ("chr1:101-160", "chr1:101-160 backwards")
    (one,) = cnnvis.chain(tmp_path / "strands.npz", ["average"])
    assert one.places is None
    # A piece of maps of other positions is at none of the images' places.
    whole = cnnvis.Explanation(np.zeros((12, 8), np.float32), axes=("column",), own_places=WINDOW)
    assert select(whole, axis="column", at="0:6").places is None
