"""compare-groups, as somebody types it, on maps whose differences are known."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats

import cnnvis
from cnnvis.data.stream import Stream
from cnnvis.data.target import Target
from cnnvis.execution.calls import call_plugin
from cnnvis.registry.discovery import registry
from cnnvis.registry.options import checked
from cnnvis.reporting import notes_kept

COUNT, SHAPE = 24, (6, 8)
Y = np.arange(COUNT) % 2
RNG = np.random.default_rng(5)
MAPS = RNG.normal(size=(COUNT, *SHAPE)).astype(np.float32)
MAPS[Y == 1, 2, 5] += 5
SAMPLES = cnnvis.Samples(np.zeros((COUNT, *SHAPE, 1)), Y, class_names=("no", "yes"))
ONE = cnnvis.Explanation(
    MAPS,
    SAMPLES,
    coordinates={"column": cnnvis.Axis("position", "bp", 100, 50)},
    provenance={"technique": "saliency", "options": {}},
)


def _run(explanation: Any = ONE, batch: int = 5, **options: Any) -> tuple[cnnvis.Explanation, str]:
    """Return the result, and all notes in one text."""
    plugin = registry().get("transform", "compare-groups")
    chosen = checked(plugin, {"permutations": 199, **options})
    parts = [
        explanation[range(i, min(i + batch, len(explanation)))]
        for i in range(0, len(explanation), batch)
    ]
    with notes_kept() as notes:
        return call_plugin(plugin, Stream(lambda: parts), **chosen), "\n".join(notes)


def test_a_planted_difference_is_found_alone() -> None:
    every = ("difference", "differs", "low", "high", "statistic", "effect", "p")
    found, notes = _run(maps=every)
    maps = dict(zip(found.groups, found.array, strict=True))
    means = MAPS[Y == 1].mean(axis=0) - MAPS[Y == 0].mean(axis=0)
    np.testing.assert_allclose(maps["difference"], means, atol=1e-5)
    expected = stats.ttest_ind(MAPS[Y == 1], MAPS[Y == 0], equal_var=False).statistic
    np.testing.assert_allclose(maps["statistic"], expected, rtol=1e-4)
    assert np.argwhere(maps["differs"]).tolist() == [[2, 5]] and maps["p"][2, 5] == np.float32(
        1 / 200
    )
    assert (maps["p"] <= 0.05).sum() == 1 and maps["effect"].argmax() == 2 * 8 + 5
    assert (
        (maps["low"] <= means + 1e-5) & (means <= maps["high"] + 1e-5)
    ).all() and found.is_signed
    assert found.axes == ("row", "column") and found.coordinates == ONE.coordinates
    assert (
        found.titles[1] == "yes - no where p <= 0.05 over all places\nno: 12 images; yes: 12 images"
    )
    assert "the mean maps of no and yes differ at 1 of 48 places (smallest p 0.005" in notes
    assert "at row 2, column 5 (350 bp), larger in yes" in notes
    assert "images were taken as independent" in notes
    table = registry().get("transform", "table").function(Stream(lambda: [found])).table
    numbers = ("p", "difference", "t", "g", "low", "high")
    assert {name: column[0] for name, column in table.items() if name not in numbers} == {
        "larger in": "yes", "row start": 2, "row stop": 3, "row of peak": 2, "column start": 5, "column stop": 6,
        "column of peak": 5, "position (bp)": 350, "first position (bp)": 350, "last position (bp)": 350,
        "places": 1,
    }  # fmt: skip
    for name in numbers[1:2] + numbers[4:]:
        assert np.float32(table[name][0]) == maps[name][2, 5]
    again, _ = _run(batch=24, maps=every)
    np.testing.assert_array_equal(again.array, found.array)


def test_no_difference_is_said_as_such() -> None:
    found, notes = _run(ONE.with_maps(np.random.default_rng(1).normal(size=MAPS.shape)))
    assert not found.array[1].any()
    assert (
        "no difference between the mean maps of no and yes was found at 0.05" in notes
        and "does not show that there is none; its interval" in notes
    )
    table = registry().get("transform", "table").function(Stream(lambda: [found])).table
    assert table is not None and table["region"] == ["none"] and table["smallest p"][0] > 0.05


def test_clusters_are_said_to_differ_somewhere() -> None:
    wide = MAPS.copy()
    wide[Y == 1, 1:4, 2:6] += 2
    found, notes = _run(ONE.with_maps(wide), correct="cluster", threshold=0.01)
    assert (
        "differ somewhere (smallest p 0.005" in notes and "begins and ends was not tested" in notes
    )
    assert "from row 1 to row 3, column 2 (200 bp) to column 5 (350 bp), 12 places" in notes
    assert "differ at" not in notes and "in clusters with p" in found.titles[1]
    found, notes = _run(ONE.with_maps(wide), correct="bh", permutations=999)
    assert "of which a share of 0.05 may be false" in notes


def test_profiles_along_an_axis(tmp_path: Path) -> None:
    shifted = MAPS.copy()
    shifted[Y == 1, :, 5] += 1
    found, notes = _run(ONE.with_maps(shifted), along="column")
    assert found.axes == ("column",) and found.groups == ("difference", "differs", "low", "high")
    profile = shifted.mean(axis=1)
    expected = profile[Y == 1].mean(axis=0) - profile[Y == 0].mean(axis=0)
    np.testing.assert_allclose(found.array[0], expected, atol=1e-6)
    assert np.flatnonzero(found.array[1]).tolist() == [5] and "1 of 8 places" in notes
    found.save(tmp_path / "profile.curves.svg")
    drawn = (tmp_path / "profile.curves.svg").read_text()
    assert "FillBetweenPolyCollection" in drawn and "low end" not in drawn
    found.save(tmp_path / "profile.npz")
    again = cnnvis.Explanation.load(tmp_path / "profile.npz")
    assert again.provenance["comparison"]["units"] == [12, 12]
    with pytest.raises(cnnvis.UserError, match="no axis 'time'; they have: row, column"):
        _run(along="time")


def test_a_table_says_of_how_many_regions_it_holds_the_strongest() -> None:
    maps = np.random.default_rng(0).normal(size=(COUNT, 12, 20))
    maps[np.ix_(Y == 1, range(0, 12, 2), range(0, 20, 2))] += 20  # 60 places apart from each other
    samples = cnnvis.Samples(np.zeros((*maps.shape, 1)), Y, class_names=("no", "yes"))
    found, _ = _run(cnnvis.Explanation(maps, samples))
    with notes_kept() as notes:
        table = registry().get("transform", "table").function(Stream(lambda: [found])).table
    assert table is not None and len(table["p"]) == 50
    assert any("the 50 strongest of 60 regions" in note for note in notes)


def test_units_pairs_and_covariates_from_tables(tmp_path: Path) -> None:
    file = tmp_path / "facts.tsv"
    rows = [
        f"{i}\t{'AB'[i % 2]}\ts{i % 12}\tp{i // 2}\t{20 + i}\t{'xyz'[i // 2 % 3]}"
        for i in range(COUNT)
    ]
    file.write_text("\n".join(["image\tcondition\tsubject\tpair\tage\tsite", *rows]))
    by = f"{file}:condition"
    found, notes = _run(by=by, blocks="subject", spread="equal")
    assert "A: 12 images of 6 units; B: 12 images of 6 units" in found.titles[0]
    assert "independent" not in notes and "all 924 permutations" not in notes
    found, notes = _run(by=by, blocks=f"{file}:subject", permutations=1000)
    assert (
        "all 924 permutations there are were taken; the smallest possible p-value is 0.0022"
        in notes
    )
    found, _ = _run(by=by, paired="pair", maps=("statistic",))
    expected = stats.ttest_rel(MAPS[1::2], MAPS[::2]).statistic
    np.testing.assert_allclose(found.array[0], expected, rtol=1e-4)
    found, notes = _run(by=by, covariates="age,site", maps=("difference",))
    design = np.column_stack(
        [Y == 0, Y == 1, np.arange(COUNT), [i // 2 % 3 == 1 for i in range(COUNT)], [i // 2 % 3 == 2 for i in range(COUNT)]]
    ).astype(float)  # fmt: skip
    weights = np.linalg.lstsq(design, MAPS.reshape(COUNT, -1), rcond=None)[0]
    np.testing.assert_allclose(found.array[0].ravel(), weights[1] - weights[0], atol=1e-5)
    assert "differ at 1 of 48 places" in notes
    with pytest.raises(cnnvis.UserError, match="this comparison is within units"):
        _run(by=by, covariates="age", paired="pair")
    mean = registry().get("transform", "average").function(Stream(lambda: [ONE]), by=by)
    np.testing.assert_allclose(mean.array, [MAPS[k == Y].mean(axis=0) for k in (0, 1)], atol=1e-6)
    assert mean.groups == ("A", "B")


def test_one_group_and_three(tmp_path: Path) -> None:
    found, notes = _run(by="all", maps=("difference", "statistic"))
    np.testing.assert_allclose(found.array[1], stats.ttest_1samp(MAPS, 0).statistic, rtol=1e-4)
    assert (
        "the mean map of all differs from zero at 1 of 48 places" in notes
        and "is above zero" in notes
    )
    lines = tmp_path / "groups.txt"
    lines.write_text("\n".join("abc"[i % 3] for i in range(COUNT)))
    three = MAPS.copy()
    three[::3, 4, 4] += 6
    found, notes = _run(ONE.with_maps(three), by=str(lines))
    assert (
        "the mean maps of a, b and c differ at 1 of 48 places" in notes
        and "row 4, column 4" in notes
    )
    assert found.titles[0].startswith("Welch's F\n") and not found.is_signed
    found, _ = _run(ONE.with_maps(three), by=str(lines), of=("a", "c"), maps=("difference",))
    np.testing.assert_allclose(
        found.array[0], three[::3].mean(axis=0) - three[2::3].mean(axis=0), atol=1e-5
    )
    assert found.titles[0].startswith("a - c\n")
    with pytest.raises(cnnvis.UserError, match="no group 'd'; there are: a, b, c"):
        _run(by=str(lines), of=("a", "d"))
    with pytest.raises(cnnvis.UserError, match="no interval of the difference"):
        _run(ONE, by=str(lines), maps=("low",))


def test_channels_are_no_neighbours() -> None:
    maps = np.zeros((COUNT, 6, 2), np.float32) + RNG.normal(size=(COUNT, 6, 2))
    maps[Y == 1, 2:4] += 4
    one = cnnvis.Explanation(maps, SAMPLES, axes=("position", "channel"))
    _, notes = _run(one, correct="cluster")
    assert "2 places" in notes


@pytest.mark.parametrize("by", ["label", "prediction"])
def test_groups_of_classes_with_maps_of_each_images_own_class(by: str) -> None:
    from dataclasses import replace

    own = tuple(Target("output", (int(one),)) for one in Y)
    one = replace(ONE, targets=own, predictions=Y)
    with pytest.raises(
        cnnvis.UserError, match=r"several targets \(output\[0\], output\[1\]\).* --class NAME"
    ):
        _run(one, by=by)
    fixed = replace(ONE, targets=own[:1] * COUNT, predictions=Y)
    found, notes = _run(fixed, by=by)
    assert ("which the maps explain" in notes) == (by == "prediction")
    assert [str(target) for target in found.targets] == ["output[0]"] * len(found)


def test_what_is_refused_or_said(tmp_path: Path) -> None:
    from dataclasses import replace

    bad = MAPS.copy()
    bad[7, 0, 0] = np.nan
    with pytest.raises(cnnvis.UserError, match="the map of image 7 holds NaN"):
        _run(ONE.with_maps(bad))
    several = cnnvis.Samples(
        SAMPLES.source,
        np.eye(3, dtype=np.int8)[Y] + np.eye(3, dtype=np.int8)[2],
        label_kind="several",
    )
    with pytest.raises(cnnvis.UserError, match="an image with several labels is in several groups"):
        _run(replace(ONE, samples=several))
    for sentence, options in (
        ("twice", {"of": ("no", "no")}),
        ("level is 1, and must be between 0 and 1", {"level": 1.0}),
        ("'subject' is neither a column of a table", {"blocks": "subject"}),
    ):
        with pytest.raises(cnnvis.UserError, match=sentence):
            _run(**options)
    with pytest.raises(cnnvis.UserError, match="no value of its maps is below zero"):
        _run(ONE.with_maps(abs(MAPS)), by="all")
    with pytest.raises(cnnvis.UserError, match="--blocks takes one column"):
        table = tmp_path / "facts.tsv"
        table.write_text("a\tb\n" + "1\t2\n" * COUNT)
        _run(blocks=f"{table}:a,b")
    cut = replace(
        ONE, provenance={"transforms": [{"transform": "top"}, {"transform": "normalize"}]}
    )
    _, notes = _run(cut)
    assert (
        "top set values of the maps to 0" in notes
        and "differences in their sizes are lost" in notes
    )
    _, notes = _run(ONE[range(8)], spread="equal", alpha=0.02)
    assert "no difference can be found at 0.02, however large it is" in notes and "0.029" in notes
    _, notes = _run(correct="by")
    assert "of 48 places at least 22 must differ at the smallest possible p-value" in notes


def test_unequal_spreads_are_said_where_they_matter() -> None:
    wide = MAPS.copy()
    wide[Y == 1] *= 3
    assert "spread" not in _run(ONE.with_maps(wide))[1]
    said = "the maps of yes spread "
    notes = _run(ONE.with_maps(wide), spread="equal")[1]
    assert said in notes and "need not differ in its mean" in notes
    skewed = np.exp(1.2 * wide / 3) * np.where(Y == 1, 3, 1)[:, None, None]
    found, notes = _run(ONE.with_maps(skewed))
    assert said in notes and "this is no test of the means" in notes
    assert found.provenance["comparison"]["tested"] == "means, spreads or shapes"
    assert (
        "differ, in the mean, the spread or the shape, at"
        in found.provenance["comparison"]["outcome"]
    )
    assert "in the mean, the spread or the shape" in found.titles[1]


def test_in_a_chain(classifier: Any, tmp_path: Path) -> None:
    data = (
        np.random.default_rng(3).normal(size=(16, *classifier.input_shape[1:])).astype(np.float32)
    )
    steps = [
        ("saliency", {"backprop": None}),
        ("compare-groups", {"permutations": 49, "along": "column"}),
        ("png", {"scale": "each"}),
        "table",
    ]
    labels = np.arange(16) % 2
    (found,) = cnnvis.chain(classifier, steps, data=(data, labels), filter=0, out=tmp_path)
    assert found.table is not None and any("differ" in note for note in found.notes)
    assert [one["transform"] for one in found.provenance["transforms"]] == [
        "compare-groups",
        "table",
    ]
    assert [one.suffix for one in tmp_path.iterdir()] == [".png"]
    with pytest.raises(cnnvis.UserError, match="several targets"):
        cnnvis.chain(classifier, steps, data=(data, labels))


def test_one_of_several_targets(classifier: Any) -> None:
    data = np.random.default_rng(3).normal(size=(16, *classifier.input_shape[1:]))
    given: Any = {"data": (data, np.arange(16) % 2), "filter": [0, 1]}
    compared = ("compare-groups", {"permutations": 49})
    with pytest.raises(cnnvis.UserError, match="put select --target NAME before it"):
        cnnvis.chain(classifier, ["saliency", compared], **given)
    steps = ["saliency", ("select", {"target": "1"}), compared]
    (found,) = cnnvis.chain(classifier, steps, **given)
    assert found.provenance["comparison"]["images"] == [8, 8]


def test_skewed_values_leave_the_mean_of_one_group_and_of_pairs_untested(tmp_path: Path) -> None:
    skewed = np.random.default_rng(2).exponential(size=MAPS.shape) - 1
    found, notes = _run(ONE.with_maps(skewed), by="all")
    assert "changes of sign take values as symmetric" in notes
    assert found.provenance["comparison"]["tested"] == "means, spreads or shapes"
    (tmp_path / "facts.tsv").write_text("pair\n" + "".join(f"{i // 2}\n" for i in range(COUNT)))
    _, notes = _run(
        ONE.with_maps(skewed * (Y == 1)[:, None, None]), paired=f"{tmp_path}/facts.tsv:pair"
    )
    assert "changes of sign take values as symmetric" in notes
    assert "changes of sign" not in _run(ONE, by="all")[1]
    turned = skewed * np.where(Y == 1, 1, -1)[:, None, None]
    assert "the groups are skewed in different ways" in _run(ONE.with_maps(turned))[1]


def test_groups_that_are_constant_differ_beyond_measure() -> None:
    maps = np.ones_like(MAPS) * (1 + Y[:, None, None])
    found, _ = _run(ONE.with_maps(maps), maps=("effect", "difference"))
    assert (found.array[0] > 1e30).all() and (found.array[1] == 1).all()


def test_tables_and_labels_that_leave_images_out_are_refused(tmp_path: Path) -> None:
    table = tmp_path / "facts.tsv"
    table.write_text(
        "age\tgroup\n" + "".join(f"{i}\t{'ab'[i % 2]}\n" for i in range(COUNT - 1)) + "NA\ta\n"
    )
    with pytest.raises(cnnvis.UserError, match="line 24 below the heading holds 'NA'"):
        _run(by=f"{table}:group", covariates=f"{table}:age")
    table.write_text("image\tgroup\n" + "".join(f"{i + 1}\t{'ab'[i % 2]}\n" for i in range(COUNT)))
    whole = replace(ONE, samples=replace(SAMPLES, total=COUNT))
    with pytest.raises(
        cnnvis.UserError,
        match="about image 24 and not about image 0, and the data hold images 0 to 23",
    ):
        _run(whole, by=f"{table}:group")
    some = cnnvis.Samples(np.zeros((COUNT, *SHAPE, 1)), np.where(np.arange(COUNT) < 4, np.nan, Y))
    with pytest.raises(cnnvis.UserError, match="have no label, such as image 0: --of A B"):
        _run(replace(ONE, samples=some))


def test_a_comparison_takes_finite_maps_with_a_group_and_a_unit_each() -> None:
    flat = MAPS.reshape(COUNT, -1)
    units = list(range(COUNT))
    with cnnvis.GroupComparison(cnnvis.GroupPlan(), (48,)) as comparison:
        with pytest.raises(cnnvis.UserError, match="holds NaN"):
            comparison.add(np.where(flat > 2, np.nan, flat), Y.tolist(), units)
        with pytest.raises(cnnvis.UserError, match="a group and a unit"):
            comparison.add(flat, [0], units)
        with pytest.raises(cnnvis.UserError, match="with their names"):
            comparison.add(flat, Y.tolist(), units, covariates=np.ones((COUNT, 1)))
    for wrong in ({"correct": "bonf"}, {"spread": "x"}, {"draws": 0}, {"level": 2.0}):
        with pytest.raises(cnnvis.UserError):
            cnnvis.GroupPlan(**wrong)  # type: ignore[arg-type]
