"""Localization: maps against masks, masks from files and labels, and grids of images."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import cnnvis
from cnnvis.evaluation.grids import TiledImages, grid_cell, image_grids
from cnnvis.evaluation.localization import (
    average_precision,
    energy_inside,
    mask_overlap,
    pointing_hits,
    widened_masks,
)
from cnnvis.evaluation.masks import masks_of


def _disc(space: tuple[int, ...], place: tuple[int, ...], radius: float) -> Any:
    steps = np.meshgrid(*[np.arange(n) for n in space], indexing="ij")
    return sum((step - at) ** 2 for step, at in zip(steps, place, strict=True)) <= radius**2


@pytest.mark.parametrize("space", [(9,), (9, 7), (9, 7, 5)])
def test_the_largest_value_lies_in_the_mask_or_near_it(space: tuple[int, ...]) -> None:
    masks = np.zeros((4, *space), bool)
    masks[:3][(slice(None), *[2] * len(space))] = True
    maps = np.zeros((4, *space))
    maps[(0, *[2] * len(space))] = 1
    maps[(1, 5, *[2] * (len(space) - 1))] = 1  # three positions beside it
    np.testing.assert_array_equal(pointing_hits(maps, masks), [1, 0, np.nan, np.nan])
    np.testing.assert_array_equal(pointing_hits(maps, masks, 2.9), [1, 0, np.nan, np.nan])
    np.testing.assert_array_equal(pointing_hits(maps, masks, 3), [1, 1, np.nan, np.nan])
    np.testing.assert_array_equal(widened_masks(masks, 2)[0], _disc(space, (2,) * len(space), 2))
    assert not widened_masks(masks, 2)[3].any()


def test_of_several_largest_values_a_share_hits() -> None:
    maps = np.array([[5.0, 5, 5, 1], [-1, -1, -2, -3]])
    masks = np.array([[1, 0, 0, 1], [1, 1, 0, 0]], bool)
    np.testing.assert_allclose(pointing_hits(maps, masks), [1 / 3, 1])


def test_the_energy_of_positive_values() -> None:
    maps = np.array([[3.0, 1, -9, 0], [-1, -1, -1, -1], [1, 1, 1, 1], [1, 2, 3, 4]])
    masks = np.array([[1, 0, 1, 0], [1, 0, 0, 0], [1, 0, 0, 0], [0, 0, 0, 0]], bool)
    np.testing.assert_allclose(energy_inside(maps, masks), [0.75, np.nan, 0.25, np.nan])


def test_the_best_overlap_is_that_of_all_thresholds() -> None:
    rng = np.random.default_rng(6)
    maps = rng.integers(0, 6, (5, 6, 7)).astype(float)
    masks = rng.random((5, 6, 7)) > 0.7
    found = mask_overlap(maps, masks)
    for one, mask, best in zip(maps, masks, found, strict=True):
        ratios = [
            (mask & (one >= level)).sum() / (mask | (one >= level)).sum() for level in range(6)
        ]
        assert best == pytest.approx(max(ratios))
    np.testing.assert_allclose(mask_overlap(masks * 2.0, masks), 1)
    np.testing.assert_allclose(mask_overlap(masks * -2.0, masks), masks.mean(axis=(1, 2)))
    assert np.isnan(mask_overlap(np.ones((1, 4)), np.ones((1, 4), bool))).all()
    assert np.isnan(mask_overlap(maps[:1], masks[:1] & False)).all()


def test_a_stated_share_is_taken_with_those_that_are_equal() -> None:
    maps, masks = np.array([[9.0, 8, 8, 1, 0, 0, 0, 0]]), np.array([[1, 1, 0, 0, 0, 0, 0, 1]], bool)
    for share, expected in (
        (0.125, 1 / 3),
        (0.25, 2 / 4),
        (0.375, 2 / 4),
        (0.5, 2 / 5),
        (1, 3 / 8),
    ):
        assert mask_overlap(maps, masks, share) == pytest.approx(expected)


@pytest.mark.parametrize("space", [(40,), (8, 9), (4, 5, 6)])
def test_average_precision_is_that_of_scikit_learn(space: tuple[int, ...]) -> None:
    metrics = pytest.importorskip("sklearn.metrics")
    rng = np.random.default_rng(6)
    for maps in (rng.normal(size=(20, *space)), rng.integers(0, 4, (20, *space)).astype(float)):
        masks = rng.random((20, *space)) > 0.8
        expected = [
            metrics.average_precision_score(mask.ravel(), one.ravel())
            for one, mask in zip(maps, masks, strict=True)
        ]
        np.testing.assert_allclose(average_precision(maps, masks), expected, rtol=1e-12)
    np.testing.assert_allclose(average_precision(masks * 2.0, masks), 1)
    assert np.isnan(average_precision(np.ones((1, 4)), np.ones((1, 4), bool))).all()
    assert np.isnan(average_precision(maps[:1], masks[:1] & False)).all()


# Masks


def _explained(images: Any = (0, 2, 3), total: int = 5, **settings: Any) -> cnnvis.Explanation:
    every = cnnvis.Samples.of(np.zeros((total, 6, 4, 1)), **settings)
    return cnnvis.Explanation(np.zeros((len(images), 6, 4)), every[list(images)])


def test_masks_are_chosen_by_the_places_of_images(tmp_path: Path) -> None:
    rng = np.random.default_rng(6)
    masks = rng.random((5, 6, 4)) > 0.5
    for name, save in (("m.npy", np.save), ("m.npz", np.savez), ("n.npz", np.savez_compressed)):
        for kind in (bool, np.uint8, np.float32):
            save(tmp_path / name, masks.astype(kind))
            found = masks_of(_explained(), str(tmp_path / name))
            assert found.dtype == bool
            np.testing.assert_array_equal(found, masks[[0, 2, 3]])
    np.savez(tmp_path / "two.npz", masks=masks, other=np.zeros(3))
    np.testing.assert_array_equal(masks_of(_explained([4]), str(tmp_path / "two.npz")), masks[[4]])


@pytest.mark.parametrize(
    ("array", "said"),
    [
        (np.zeros((5, 4, 6)), r"masks of the shape \(4, 6\), and the images have \(6, 4\)"),
        (np.zeros((5, 6, 4, 1)), r"\(6, 4, 1\), .* without channels"),
        (np.zeros((4, 6, 4)), "holds 4 masks, and the data 5 images"),
        (np.zeros((2, 6, 4)), "masks for the images 0 to 1, and image 3 is none of them"),
        (np.full((5, 6, 4), 0.5), r"holds 0\.5, and a mask holds 0 and 1 only"),
        (np.full((5, 6, 4), np.nan), "holds nan, and a mask"),
        (np.full((5, 6, 4), "yes"), "a mask holds 0 and 1 only"),
        (np.full((5, 6, 4), None), "a mask holds 0 and 1 only"),
    ],
)
def test_masks_that_do_not_fit(array: Any, said: str, tmp_path: Path) -> None:
    np.save(tmp_path / "m.npy", array, allow_pickle=True)
    with pytest.raises(cnnvis.UserError, match=said):
        masks_of(_explained(), str(tmp_path / "m.npy"))


def test_archives_and_files_that_hold_no_masks(tmp_path: Path) -> None:
    np.savez(tmp_path / "two.npz", a=np.zeros(3), b=np.zeros(3))
    with pytest.raises(cnnvis.UserError, match="holds the arrays a, b; masks are the only array"):
        masks_of(_explained(), str(tmp_path / "two.npz"))
    (tmp_path / "m.npy").write_bytes(b"nothing of the kind")
    with pytest.raises(cnnvis.UserError, match="damaged, or no NumPy file"):
        masks_of(_explained(), str(tmp_path / "m.npy"))
    (tmp_path / "m.txt").write_text("1 2")
    with pytest.raises(cnnvis.UserError, match=r"boxes in \.csv or \.json"):
        masks_of(_explained(), str(tmp_path / "m.txt"))


def test_boxes_are_united_and_as_long_as_the_image_along_axes_without_ends(tmp_path: Path) -> None:
    (tmp_path / "boxes.csv").write_text(
        "image , row_start,row_stop,column_start,column_stop\n0,1,3,0,2\n0, 2, 4, 1, 2\n4,0,6,0,4\n3,,,3,4\n"
    )
    expected = np.zeros((3, 6, 4), bool)
    expected[0, 1:3, 0:2] = expected[0, 2:4, 1:2] = True
    expected[2, :, 3] = True
    np.testing.assert_array_equal(masks_of(_explained(), str(tmp_path / "boxes.csv")), expected)
    (tmp_path / "boxes.json").write_text(
        json.dumps([
            {"image": 0, "row_start": 1, "row_stop": 3, "column_start": 0, "column_stop": 2},
            {"image": 0, "row_start": 2, "row_stop": 4, "column_start": 1, "column_stop": 2},
            {"image": 3, "column_start": 3},
        ])
    )  # fmt: skip
    np.testing.assert_array_equal(masks_of(_explained(), str(tmp_path / "boxes.json")), expected)


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("b.csv", "image,row_begins\n0,1\n", r"line 2: a box has no 'row_begins'.*image, row_start"),
        ("b.csv", "row_start,row_stop\n0,1\n", "image must be a whole number, and is None"),
        ("b.csv", "image,row_start,row_stop\n0,1,3\n5,1,2\n", "line 3: there is no image 5; .* 0 to 4"),
        ("b.csv", "image,row_start,row_stop\n0,3,3\n", "from 3 to 3 along row, which has 6 positions"),
        ("b.csv", "image,row_start,row_stop\n0,1,7\n", "from 1 to 7 along row"),
        ("b.csv", "image,row_start,row_stop\n0,-1,4\n", "from -1 to 4 along row"),
        ("b.csv", "image,row_start,row_stop\n0,a,4\n", "row must be a whole number, and is 'a'"),
        ("b.csv", "image,row_start,row_stop\n0,1.5,4\n", r"row must be a whole number, and is '1\.5'"),
        ("b.csv", "", "holds no boxes"),
        ("b.csv", "image,row_start\n", "holds no boxes"),
        ("b.json", '[{"image": 0, "image": 1}]', "the key 'image' stands twice"),
        ("b.json", '[{"image": 1' + "0" * 400 + "}]", "image must be a whole number"),
        ("b.csv", "image,row_start\n0,1,2\n", "line 2: the line has more entries than the table"),
        ("b.json", '{"image": 0}', "must hold a list of objects"),
        ("b.json", '[{"image": true}]', "image must be a whole number, and is True"),
        ("b.json", "[[" * 100_000, "is not JSON"),
    ],
)  # fmt: skip
def test_boxes_that_do_not_fit(name: str, text: str, said: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(cnnvis.UserError, match=said):
        masks_of(_explained(), str(tmp_path / name))


@pytest.mark.parametrize("shape", [(5, 6, 4), (5, 6, 4, 1), (5, 1, 6, 4)])
def test_labels_of_positions_are_masks(shape: tuple[int, ...]) -> None:
    rng = np.random.default_rng(6)
    labels = rng.integers(0, 3, shape)
    flat = labels.reshape(5, 6, 4)[[0, 2, 3]]
    maps = _explained(labels=labels, label_kind="positions")
    np.testing.assert_array_equal(masks_of(maps), flat != 0)
    np.testing.assert_array_equal(masks_of(maps, label=2), flat == 2)


def test_labels_along_a_single_axis_are_masks() -> None:
    rng = np.random.default_rng(6)
    labels = rng.integers(0, 2, (3, 8))
    samples = cnnvis.Samples.of(np.zeros((3, 8, 2)), labels)
    assert samples.label_kind == "several"  # as which rows of 0 and 1 are read
    np.testing.assert_array_equal(
        masks_of(cnnvis.Explanation(np.zeros((3, 8)), samples)), labels == 1
    )


def test_without_masks_a_sentence_says_what_to_give() -> None:
    for settings in ({}, {"labels": np.arange(5)}):
        with pytest.raises(
            cnnvis.UserError, match="give a file of masks or boxes as the option masks"
        ):
            masks_of(_explained(**settings))
    with pytest.raises(cnnvis.UserError, match=r"the shape \(3, 2\) .* the images have \(6, 4\)"):
        masks_of(_explained(labels=np.zeros((5, 3, 2)), label_kind="positions"))


# Grids


@pytest.mark.parametrize("axis", [-1, 1, None])
@pytest.mark.parametrize("space", [(5,), (4, 5), (3, 4, 5)])
def test_each_image_lies_in_its_cell(space: tuple[int, ...], axis: int | None) -> None:
    rng = np.random.default_rng(6)
    cells = [rng.random((2, *space)) for _ in range(2 ** len(space))]
    for shrink in (False, True):
        given = [np.stack([one, -one], axis=axis) if axis else one for one in cells]
        found = image_grids(given, axis, shrink=shrink)
        plain = found if axis is None else found.take(0, axis=axis)
        assert plain.shape[1:] == (space if shrink else tuple(2 * length for length in space))
        covered = np.zeros(plain.shape[1:], int)
        for number, cell in enumerate(cells):
            place = grid_cell(number, space, shrink=shrink)
            covered[place] += 1
            kept = cell
            if shrink:
                kept = cell[(slice(None), *[slice(None, None, 2)] * len(space))]
                kept = kept[(slice(None), *[slice(0, one.stop - one.start) for one in place])]
            np.testing.assert_array_equal(plain[(slice(None), *place)], kept)
        assert (covered == 1).all()
        if axis is not None:
            np.testing.assert_array_equal(found.take(1, axis=axis), -plain)


def test_the_mean_of_grids_is_a_grid_of_means() -> None:
    rng = np.random.default_rng(6)
    x = rng.random((3, 4, 5, 2))
    for shrink in (False, True):
        tiled = TiledImages(x, -1, shrink)
        assert tiled[[0, 2]].shape == (2, *tiled.shape[1:]) and tiled.shape[0] == 3
        np.testing.assert_allclose(
            tiled[:].mean(axis=0), TiledImages(x.mean(axis=0, keepdims=True), -1, shrink)[:][0]
        )


def test_intervals_of_a_genome_are_masks_of_images_with_places(tmp_path: Path) -> None:
    """Held against a base after the other: forwards, backwards, in steps, and where there is no base."""
    rng = np.random.default_rng(6)
    starts, ends = rng.integers(0, 400, 30), rng.integers(1, 40, 30)
    contigs = rng.choice(["chr1", "chr2"], 30)
    lines = [f"{c}\t{s}\t{s + n}\n" for c, s, n in zip(contigs, starts, ends, strict=True)]
    (tmp_path / "motifs.bed").write_text("# a comment\n" + "".join(lines))
    inside = {name: np.zeros(800, bool) for name in ("chr1", "chr2", "chr3")}
    for contig, start, size in zip(contigs, starts, ends, strict=True):
        inside[contig][start : start + size] = True
    steps = np.array([1, -1, 2.5, -2.5, 1])
    names = ("chr1", "chr1", "chr2", "chr2", "chr3")
    regular = cnnvis.Places("column", names, np.array([50, 300, -20, 350, 0]), steps, 100)
    sites = rng.integers(-1, 400, (5, 100))
    for places in (regular, cnnvis.Places("column", names, sites)):
        samples = cnnvis.Samples(
            np.zeros((5, 3, 100), np.float32), channel_axis=None, places=places
        )
        found = masks_of(cnnvis.Explanation(samples.x, samples), str(tmp_path / "motifs.bed"))
        for row, contig in enumerate(names):
            first, last = places.intervals(row)
            expected = [inside[contig][a:b].any() for a, b in zip(first, last, strict=True)]
            assert (found[row] == expected).all()
        assert found[:4].any(axis=(1, 2)).all() and not found[4].any()
    with pytest.raises(cnnvis.UserError, match="the maps have none: read the data with places"):
        masks_of(_explained(), str(tmp_path / "motifs.bed"))
    (tmp_path / "other.bed").write_text("1\t3\t9\n")
    with pytest.raises(
        cnnvis.UserError, match="holds places in 1, and the images lie in chr1, chr2, chr3"
    ):
        masks_of(cnnvis.Explanation(samples.x, samples), str(tmp_path / "other.bed"))
