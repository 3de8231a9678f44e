"""Chains: what is on the stack, how it streams, and what a person is told."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from quick import quick_are, quick_at

import cnnvis
from cnnvis.registry.discovery import Registry, using
from cnnvis.registry.plugin import plugin_of
from cnnvis.settings.chain_files import Recipe, read_recipe, save_recipe

Typed = Callable[..., Any]
Y = np.array([0, 1, 2, 0, 1, 2, 0])


@pytest.fixture
def data(images: Any) -> cnnvis.Samples:
    return cnnvis.Samples(images, Y, class_names=("ape", "bee", "cow"))


@pytest.fixture(autouse=True)
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cnnvis.data.samples.AT_ONCE", 3)


@pytest.mark.slow
def test_a_chain_of_one_technique_is_a_run(classifier: Any, data: Any) -> None:
    for technique in ("saliency", "grad-cam"):
        (found,) = cnnvis.chain(classifier, [technique], data=data)
        expected = cnnvis.run(technique, classifier, data=data)
        np.testing.assert_allclose(found.maps, expected.maps, rtol=1e-4, atol=1e-7)
        assert [str(t) for t in found.targets] == [str(t) for t in expected.targets]
        np.testing.assert_array_equal(found.labels, Y)
        np.testing.assert_array_equal(found.inputs, data.x)
        assert found.indices is not None and found.indices.tolist() == list(range(7))


@pytest.mark.slow
def test_guided_grad_cam_is_the_product_of_its_parts(classifier: Any, data: Any) -> None:
    steps: list[Any] = [("saliency", {"gradient": None}), "grad-cam", "multiply"]
    (found,) = cnnvis.chain(classifier, steps, data=data, filter=1)
    parts = [
        cnnvis.run("saliency", classifier, data=data, filter=1, gradient=None).array,
        cnnvis.run("grad-cam", classifier, data=data, filter=1).array,
    ]
    np.testing.assert_allclose(found.maps, parts[0] * parts[1], rtol=1e-4, atol=1e-8)
    facts = found.provenance["transforms"][0]
    assert facts["transform"] == "multiply" and facts["with"]["technique"] == "grad-cam"


def test_averages_by_label_and_their_difference(classifier: Any, data: Any) -> None:
    maps = cnnvis.run("saliency", classifier, data=data, filter=1).array
    expected = np.stack([maps[k == Y].mean(axis=0) for k in range(3)])
    (found,) = cnnvis.chain(classifier, ["saliency", "average"], data=data, filter=1)
    np.testing.assert_allclose(found.maps, expected, rtol=1e-5, atol=1e-8)
    assert found.groups == ("ape", "bee", "cow")
    assert found.titles[0] == "mean of ape (3 images)"
    steps: list[Any] = ["saliency", "average", ("difference", {"of": ("cow", "ape")})]
    (found,) = cnnvis.chain(classifier, steps, data=data, filter=1)
    np.testing.assert_allclose(found.maps, (expected[2] - expected[0])[None], atol=1e-7)
    assert found.signed and found.title(0) == "cow - ape"
    (found,) = cnnvis.chain(classifier, ["saliency", "deviation"], data=data, filter=1)
    expected = np.stack([maps[k == Y].std(axis=0) for k in range(3)])
    np.testing.assert_allclose(found.maps, expected, rtol=1e-4, atol=1e-7)
    (found,) = cnnvis.chain(classifier, ["saliency", "count"], data=data, filter=1)
    assert found.table == {"group": ["ape", "bee", "cow"], "images": [3, 2, 2]}


def test_averages_of_scaled_maps_are_cnn_viss(classifier: Any, data: Any) -> None:
    maps = cnnvis.run("saliency", classifier, data=data, filter=1, keras_vis=True).array
    expected = np.stack([maps[k == Y].mean(axis=0) for k in range(3)])
    ways: list[Any] = [
        [("saliency", {"keras_vis": True}), "average"],
        ["saliency", ("average", {"scaled": True})],
    ]
    for steps in ways:
        (found,) = cnnvis.chain(classifier, steps, data=data, filter=1)
        np.testing.assert_allclose(found.maps, expected, atol=1e-5)


@pytest.mark.parametrize("by", ["prediction", "all", "file"])
def test_other_groupings(classifier: Any, data: Any, by: str, tmp_path: Path) -> None:
    maps = cnnvis.run("saliency", classifier, data=data)
    groups = {
        "all": ["all"] * 7,
        "file": ["x", "y", "x", "x", "y", "z", "x"],
        "prediction": [str(target).split("[")[1][:-1] for target in maps.targets],
    }[by]
    (tmp_path / "groups.txt").write_text("\n".join(groups) + "\n")
    option = str(tmp_path / "groups.txt") if by == "file" else by
    (found,) = cnnvis.chain(classifier, ["saliency", ("average", {"by": option})], data=data)
    for name, mean in zip(found.groups, found.array, strict=True):
        mine = np.array([one == name for one in groups])
        np.testing.assert_allclose(mean, maps.array[mine].mean(axis=0), rtol=1e-4, atol=1e-7)
    assert set(found.groups) == set(groups)


def test_groups_that_cannot_be_made(classifier: Any, images: Any, tmp_path: Path) -> None:
    with pytest.raises(cnnvis.UserError, match="the data hold no labels to group by"):
        cnnvis.chain(classifier, ["saliency", "average"], data=images)
    (tmp_path / "short.txt").write_text("a\nb\n")
    steps: list[Any] = ["saliency", ("average", {"by": str(tmp_path / "short.txt")})]
    with pytest.raises(cnnvis.UserError, match=r"holds 2 groups.*no group for image 2"):
        cnnvis.chain(classifier, steps, data=images)
    with pytest.raises(
        cnnvis.UserError, match=r"must be label, prediction, place, all, a table .* or a file"
    ):
        cnnvis.chain(classifier, ["saliency", ("average", {"by": "lable"})], data=images)


def test_averages_over_several_targets_are_told(classifier: Any, images: Any) -> None:
    saliency = ("saliency", {"gradient": None})
    targets = cnnvis.run("saliency", classifier, data=images, gradient=None).targets
    several = len(set(map(str, targets)))
    assert several > 1
    steps: list[Any] = [saliency, ("average", {"by": "all"})]
    (found,) = cnnvis.chain(classifier, steps, data=images)
    (said,) = [note for note in found.notes if "several targets" in note]
    assert said.startswith("the mean of 'all' is taken over maps of several targets (")
    assert said.endswith("; --class NAME explains the same class for all images")
    assert all(str(target) in said for target in targets)
    for same in ({"filter": 1}, {}):
        steps[1] = ("average", {"by": "all" if same else "prediction"})
        (found,) = cnnvis.chain(classifier, steps, data=images, **same)
        assert not any("several targets" in note for note in found.notes)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("u\nv\nu\nv\nu\nv\nw", ""),
        ("u\r\nv\r\nu\r\nv\r\nu\r\nv\r\nw\r\n", ""),
        ("group\nu\nv\nu\nv\nu\nv\nw\n", "holds 8 lines, the first of them 'group', .* 7 images"),
        ("u\nv\nu\nv\nu\nv\nw\n\n", "holds 8 lines"),
    ],
)
def test_a_file_of_groups_has_a_line_for_each_image(
    classifier: Any, images: Any, tmp_path: Path, text: str, sentence: str
) -> None:
    (tmp_path / "groups.txt").write_bytes(text.encode())
    steps: list[Any] = ["saliency", ("count", {"by": str(tmp_path / "groups.txt")})]
    for chosen, counts in ((None, [3, 3, 1]), ([0, 1, 2], [2, 1])):
        if sentence:
            with pytest.raises(cnnvis.UserError, match=sentence):
                cnnvis.chain(classifier, steps, data=images, images=chosen)
            continue
        (found,) = cnnvis.chain(classifier, steps, data=images, images=chosen)
        assert found.table is not None and found.table["images"] == counts


def test_two_results_of_selected_images(classifier: Any, images: Any) -> None:
    labels = [0, 1, 0, 1, 0, 1, 2]
    saliency = ("saliency", {"gradient": None})
    some: list[Any] = [saliency, ("select", {"label": "0"}), "grad-cam"]
    with pytest.raises(
        cnnvis.UserError, match="different images, the first of 0, 2, 4 and the second"
    ):
        cnnvis.chain(classifier, [*some, ("select", {"label": "1"}), "add"], data=(images, labels))
    (found,) = cnnvis.chain(
        classifier, [*some, ("select", {"label": "0"}), "add"], data=(images, labels)
    )
    assert found.indices is not None and found.indices.tolist() == [0, 2, 4]


@pytest.mark.parametrize("name", ["add", "multiply"])
def test_groups_of_one_name_that_are_of_other_images(
    classifier: Any, images: Any, name: str
) -> None:
    data = (images, [1, 2, 1, 2, 1, 2, 1])
    saliency, every = ("saliency", {"gradient": None}), ("average", {"by": "all"})
    groups = [[saliency, ("average", {"by": by})] for by in ("label", "prediction")]
    difference: list[list[Any]] = [[*one, ("difference", {"of": ("1", "2")})] for one in groups]
    some = [[saliency, ("select", {"label": one}), every] for one in ("1", "2")]
    for first, second in (groups, difference, some):
        with pytest.raises(cnnvis.UserError, match="hold different images"):
            cnnvis.chain(classifier, [*first, *second, name], data=data)
        cnnvis.chain(classifier, [*first, *first, name], data=data)
    mean = [saliency, ("deviation", {"by": "label", "scaled": True}), "absolute"]
    cnnvis.chain(classifier, [*groups[0], *mean, name], data=data)
    # The map of all images belongs to every group.
    cnnvis.chain(classifier, [*groups[1], saliency, every, name], data=data)


WRONG: list[tuple[list[Any], str]] = [
    (
        ["average"],
        r"step 1, average, takes a result, and no step gives a result yet: put a technique",
    ),
    (["saliency", "multiply"], r"step 2, multiply, .*the only result is the result of saliency"),
    (["saliency", "difference"], r"takes maps of groups .* put average before it"),
    (["saliency", "average", "average"], r"step 3, average, takes maps of single images"),
    (["model-summary", "smooth"], r"step 2, smooth, .* would get a table from model-summary"),
    (["filter-weights", "average"], r"pictures without images from filter-weights"),
    (["saliency", "average", "saliency", "multiply"], r"takes two results of the same kind"),
    (["png"], r"step 1, png, takes a result"),
    (["salency"], r"no step named 'salency'\. Did you mean 'saliency'\?"),
    ([("smooth", {"sigma": -1})], r"step 1, smooth"),
    (["saliency", ("smooth", {"sigma": -1})], r"sigma of smooth cannot be -1"),
    ([], "a chain needs steps"),
]


@pytest.mark.parametrize(("steps", "sentence"), WRONG)
def test_chains_that_do_not_fit_are_refused_at_once(steps: list[Any], sentence: str) -> None:
    """Before anything is loaded: the model is not even looked for."""
    with pytest.raises(cnnvis.UserError, match=sentence):
        cnnvis.chain("no-such-model.h5", steps, data="no-such-data.npz")


def test_batches_are_read_and_folded_one_by_one(classifier: Any, images: Any) -> None:
    """Nobody holds what was read before: batch by batch it is explained, added up and forgotten."""

    class Source:
        shape, dtype = (60, 12, 10, 2), np.dtype("float32")
        log: list[int] = []  # noqa: RUF012

        def __getitem__(self, index: Any) -> Any:
            rows = np.arange(60)[index]
            self.log.append(len(rows))
            return images[rows % 7]

    labels = np.arange(60) % 2
    samples = cnnvis.Samples(Source(), labels)
    (found,) = cnnvis.chain(classifier, ["saliency", "average"], data=samples, filter=1)
    assert max(Source.log) == 3 and sum(Source.log) == 60
    maps = cnnvis.run("saliency", classifier, data=images[np.arange(60) % 7], filter=1).array
    expected = [maps[labels == k].mean(axis=0) for k in (0, 1)]
    np.testing.assert_allclose(found.maps, expected, rtol=1e-5, atol=1e-8)


def test_the_first_pictures_are_there_before_the_last_image_is_read(
    classifier: Any, images: Any, tmp_path: Path
) -> None:
    read: list[int] = []
    when: list[int] = []

    class Source:
        shape, dtype = (60, 12, 10, 2), np.dtype("float32")

        def __getitem__(self, index: Any) -> Any:
            rows = np.arange(60)[index]
            read.extend(rows.tolist())
            return images[rows % 7]

    steps: list[Any] = ["saliency", ("png", {"limit": 2}), ("average", {"by": "all"}), "numpy"]
    cnnvis.chain(
        classifier, steps, data=cnnvis.Samples(Source()), filter=1,
        out=f"{tmp_path}/", wrote=lambda path: when.append(len(read)),
    )  # fmt: skip
    assert when == [6, 66]  # a batch that is shown, and the next, which is read meanwhile


def test_an_image_with_nan_does_not_cost_the_others(classifier: Any, images: Any) -> None:
    broken = images.copy()
    broken[4, 0, 0, 0] = np.nan
    (found,) = cnnvis.chain(classifier, ["saliency"], data=broken, filter=1)
    assert found.indices is not None and found.indices.tolist() == [0, 1, 2, 3, 5, 6]
    assert any("image 4 was left out" in note for note in found.notes)


def test_blank_maps_are_counted_over_all_batches(keras: Any) -> None:
    layers = keras.layers
    network = keras.Sequential(
        [
            layers.Input((6, 6, 1)),
            layers.Conv2D(1, 6, activation="relu", use_bias=False, name="dark"),
            layers.Flatten(),
            layers.Dense(1, use_bias=False, name="output"),
        ]
    )
    network.set_weights([np.ones((6, 6, 1, 1)), np.ones((1, 1))])
    signs = np.array([1, 1, 1, -1, -1, -1, 1.0])  # a whole batch is blank
    x = np.ones((7, 6, 6, 1)) * signs[:, None, None, None]
    (found,) = cnnvis.chain(network, [("saliency", {"backprop": None})], data=x)
    assert any("zero everywhere in 3 of 7 images" in n and "'dark'" in n for n in found.notes)
    with pytest.raises(cnnvis.UserError, match=r"zero everywhere in every image: .*'dark'"):
        cnnvis.chain(network, [("saliency", {"backprop": None})], data=-abs(x))


def test_renderers_show_what_is_there_and_leave_it(
    classifier: Any, data: Any, tmp_path: Path
) -> None:
    wrote: list[Path] = []
    steps: list[Any] = ["saliency", "numpy", "average", ("png", {"cmap": "hot"}), "numpy"]
    found = cnnvis.chain(
        classifier, steps, data=data, filter=1, out=f"{tmp_path}/maps/", wrote=wrote.append
    )
    names = ["saliency_classes_bee_guided", "saliency_classes_bee_guided_average"]
    assert [path.name for path in wrote] == [
        f"{names[0]}.npz",
        f"{names[1]}.png",
        f"{names[1]}.npz",
    ]
    single = cnnvis.Explanation.load(tmp_path / "maps" / f"{names[0]}.npz")
    mean = cnnvis.Explanation.load(tmp_path / "maps" / f"{names[1]}.npz")
    assert len(single) == 7 and len(mean) == 3 and mean.groups == ("ape", "bee", "cow")
    np.testing.assert_array_equal(mean.maps, found[0].maps)
    assert [one["transform"] for one in mean.provenance["transforms"]] == ["average"]


def test_a_grid_shows_all_results_of_a_chain_in_one_file(
    classifier: Any, data: Any, tmp_path: Path
) -> None:
    wrote: list[Path] = []
    steps: list[Any] = ["saliency", "grad-cam", ("grid", {"format": "svg"}), "multiply", "grid"]
    cnnvis.chain(classifier, steps, data=data, out=tmp_path, wrote=wrote.append)
    assert [path.name for path in wrote] == [
        "saliency_grad-cam.grid.svg",
        "saliency_classes_guided_multiply.grid.png",
    ]
    text = wrote[0].read_text()
    assert "<!-- saliency (guided) -->" in text and "<!-- grad-cam (guided) -->" in text
    cnnvis.run("saliency", classifier, data=data, top=2, render="grid", out=tmp_path / "a.grid.svg")
    assert "<!-- rank 2 of 2 -->" in (tmp_path / "a.grid.svg").read_text()


def test_a_file_for_each_image_is_named_after_it(
    classifier: Any, images: Any, tmp_path: Path
) -> None:
    names = ("cats/a b.jpg", "dogs/a b.jpg", "../c.png", *["d.png"] * 4)
    data = cnnvis.Samples(images, names=names)
    options = {"png": {"each": True, "format": "svg", "limit": 3}}
    found = cnnvis.run(
        "saliency", classifier, data=data, top=2, render="png", out=tmp_path, plugin_options=options
    )
    stem = "saliency_classes_top-2_guided"
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        f"{stem}_a-b.svg",
        f"{stem}_a-b_2.svg",
        f"{stem}_c.svg",
    ]
    text = (tmp_path / f"{stem}_c.svg").read_text()
    assert "<!-- #2 " in text and "<!-- #0 " not in text
    assert any("the first 3 of 7 images get a file" in note for note in found.notes)
    steps: list[Any] = ["saliency", ("png", {"each": True})]
    cnnvis.chain(classifier, steps, data=data[:2], out=tmp_path / "x.png")
    assert (tmp_path / "x_a-b.png").exists() and (tmp_path / "x_a-b_2.png").exists()


def test_results_of_one_name_do_not_overwrite_each_other(
    classifier: Any, data: Any, tmp_path: Path
) -> None:
    wrote: list[Path] = []
    steps: list[Any] = [("saliency", {"gradient": None}), "saliency", "numpy"]
    cnnvis.chain(classifier, steps, data=data, filter=1, out=f"{tmp_path}/", wrote=wrote.append)
    assert [p.stem for p in wrote] == [
        "saliency_classes_bee_guided",
        "saliency_classes_bee_guided_2",
    ]


@pytest.mark.slow
def test_several_inputs_are_several_results(keras: Any) -> None:
    layers = keras.layers
    keras.utils.set_random_seed(0)
    left, right = layers.Input((6, 5, 1), name="left"), layers.Input((4,), name="right")
    x = layers.Flatten()(layers.Conv2D(2, 3, activation="relu")(left))
    joined = layers.Concatenate()([x, layers.Dense(3, "relu")(right)])
    network = keras.Model([left, right], layers.Dense(2, name="output")(joined))
    rng = np.random.default_rng(0)
    data = {"left": rng.normal(size=(5, 6, 5, 1)), "right": rng.normal(size=(5, 4))}
    found = cnnvis.chain(network, ["saliency"], data=data, filter=0)
    assert [one.input for one in found] == ["left", "right"]
    # A transform changes the results of all inputs, and joins those of the same input.
    means = cnnvis.chain(network, ["saliency", ("average", {"by": "all"})], data=data, filter=0)
    assert [(one.input, len(one)) for one in means] == [("left", 1), ("right", 1)]
    for one, whole in zip(means, found, strict=True):
        np.testing.assert_allclose(one.array[0], whole.array.mean(axis=0), rtol=1e-5, atol=1e-8)
    both = cnnvis.chain(network, ["saliency", "saliency", "multiply"], data=data, filter=0)
    for one, whole in zip(both, found, strict=True):
        np.testing.assert_allclose(one.array, whole.array**2, rtol=1e-5, atol=1e-8)
    (only,) = cnnvis.chain(network, ["grad-cam", "saliency", "multiply"], data=data, filter=0)
    assert only.input == "left"
    assert any(
        "'right' is left out, since it has fewer than two results" in note for note in only.notes
    )
    # Where one of them is blank, the others are still there, and it is said.
    network.layers[-1].set_weights([np.r_[np.ones((24, 2)), np.zeros((3, 2))], np.zeros(2)])
    left_only = cnnvis.chain(network, ["saliency"], data=data, filter=0)
    assert left_only[0].array.any() and not left_only[1].array.any()
    assert any("zero everywhere in 5 of 5 images" in note for note in left_only[1].notes)
    with pytest.raises(cnnvis.UserError, match="zero everywhere in every image"):
        cnnvis.chain(network, ["saliency"], data=data, filter=0, input="right")
    (found,) = cnnvis.chain(network, ["grad-cam"], data=data, filter=0)
    assert found.input == "left" and any("'right' gets no map" in note for note in found.notes)


def test_pictures_and_tables(classifier: Any, data: Any) -> None:
    steps: list[Any] = [("filter-weights", {}), "absolute"]
    (found,) = cnnvis.chain(classifier, steps, layer="first")
    expected = abs(cnnvis.run("filter-weights", classifier, layer="first").array)
    np.testing.assert_array_equal(found.maps, expected)
    (found,) = cnnvis.chain(classifier, ["get-labels"], data=data)
    assert found.table is not None and len(found.table["image"]) == 7


# What is typed


@pytest.fixture(scope="module")
def files(classifier: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("chain")
    classifier.save(folder / "model.keras")
    x = np.random.default_rng(5).normal(size=(7, 12, 10, 2)).astype(np.float32)
    np.savez(folder / "data.npz", X=x, y=Y, class_names=["ape", "bee", "cow"])
    return folder


@pytest.fixture
def here(files: Path, tmp_path: Path) -> Iterator[Path]:
    for name in ("model.keras", "data.npz"):
        (tmp_path / name).symlink_to(files / name)
    yield tmp_path


BASE = ("chain", "model.keras", "-d", "data.npz")


@pytest.mark.usefixtures("here")
def test_typed(typed: Typed, tmp_path: Path) -> None:
    done = typed(
        *BASE, "-im", 0, 3, 5, "saliency", "-bm", "none", "smooth", "--sigma", 1,
        "average", "--by", "label", "png", "--cmap", "hot", "terminal", "numpy",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "results/saliency_classes_none_smooth_average.png" in done.stdout
    assert "mean of ape (2 images)" in done.stdout
    saved = cnnvis.Explanation.load(
        tmp_path / "results" / "saliency_classes_none_smooth_average.npz"
    )
    assert saved.groups == ("ape", "cow")


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize(
    ("words", "parts"),
    [
        (["saliency", "--sigma", 1], ["no option '--sigma'", "chain ... saliency --help"]),
        (["saliency", "smoth"], ["no step 'smoth'. Did you mean 'smooth'?"]),
        (["salency"], ["no step 'salency'. Did you mean 'saliency'?"]),
        (["saliency", "average", "--by"], ["--by", "expected one argument"]),
        (["saliency", "smooth", "--sigma", "wide"], ["sigma of smooth cannot be 'wide'"]),
        ([], ["a chain needs steps"]),
        (["--file", "nothing.toml"], ["'nothing.toml' cannot be read: No such file"]),
        (["--file", "x.toml", "saliency"], ["either from 'x.toml' or from the command line"]),
    ],
)
def test_typed_wrongly(typed: Typed, words: list[Any], parts: list[str]) -> None:
    done = typed(*BASE, *words)
    assert done.returncode == 2 and done.stdout == ""
    assert all(part in done.stderr for part in parts), done.stderr


def test_a_step_of_another_form_is_refused(classifier: Any, images: Any) -> None:
    with pytest.raises(
        cnnvis.UserError, match=r"step 2 is {}; a step is a name, or a name with its"
    ):
        cnnvis.chain(classifier, ("saliency", {}), data=images)


def test_help_of_the_chain_and_of_a_step(typed: Typed) -> None:
    done = typed("chain", "--help")
    assert "Examples:" in done.stdout and "smooth" in done.stdout and "--file" in done.stdout
    done = typed("chain", "model.h5", "saliency", "--help")
    assert "--backprop" in done.stdout and "--file" not in done.stdout


@pytest.mark.usefixtures("here")
def test_a_step_is_no_value(typed: Typed) -> None:
    """Names of steps behind flags are values; switches take none."""
    done = typed(*BASE, "saliency", "--keras-vis", "average", "--as", "shell")
    assert "saliency --keras-vis" in done.stdout and "\n    average" in done.stdout
    done = typed(*BASE, "--layer", "count", "saliency")
    assert "no layer 'count'" in done.stderr


@pytest.mark.usefixtures("here")
@pytest.mark.slow
def test_every_form_is_the_same_chain(typed: Typed, tmp_path: Path) -> None:
    words = (*BASE, "-im", 0, 1, "--class", "bee", "saliency", "-bm", "none", "average", "--scaled")
    typed(*words, "numpy", "-o", "typed.npz")
    expected = cnnvis.Explanation.load(tmp_path / "typed.npz").maps
    (tmp_path / "study.toml").write_text(typed(*words, "numpy", "--as", "toml").stdout)
    typed("chain", "--file", "study.toml", "-o", "toml.npz")
    shell = typed(*words, "numpy", "--as", "shell").stdout
    import shlex

    typed(*shlex.split(shell.replace("\\\n", " "))[1:], "-o", "shell.npz")
    python = typed(*words, "--as", "python").stdout
    namespace: dict[str, Any] = {}
    exec(python.replace("cnnvis.chain(", "found = cnnvis.chain("), namespace)
    maps = [
        cnnvis.Explanation.load(tmp_path / "toml.npz").maps,
        cnnvis.Explanation.load(tmp_path / "shell.npz").maps,
        namespace["found"][0].maps,
    ]
    for one in maps:
        np.testing.assert_array_equal(one, expected)


@pytest.mark.usefixtures("here")
def test_axes_of_the_settings_are_kept_with_a_chain(typed: Typed, tmp_path: Path) -> None:
    """In files and in Python; they have no flag, so the command says where they go."""
    (tmp_path / "cnnvis.toml").write_text("[axes.column]\nname = 'position'\nstep = 250.0\n")
    words = (*BASE, "-im", 0, "saliency", "numpy")
    typed(*words, "--save-chain", "studies/study.toml", "-o", "typed.npz")
    shell = typed(*words, "--as", "shell").stdout
    assert (
        shell.startswith("# The axes of this chain go into cnnvis.toml") and "--axes" not in shell
    )
    assert "axes={'column': {'name': 'position'" in typed(*words, "--as", "python").stdout
    (tmp_path / "cnnvis.toml").unlink()
    done = typed("chain", "--file", "studies/study.toml", "-o", "again.npz")
    assert done.returncode == 0, done.stderr
    again = cnnvis.Explanation.load(tmp_path / "again.npz")
    assert again.coordinates["column"] == cnnvis.Axis(name="position", step=250.0)
    assert again.coordinates == cnnvis.Explanation.load(tmp_path / "typed.npz").coordinates


@pytest.mark.slow
@pytest.mark.usefixtures("here")
def test_chains_are_saved_beside_what_is_there(typed: Typed, tmp_path: Path) -> None:
    study = tmp_path / "studies" / "study.toml"
    study.parent.mkdir()
    study.write_text("# mine\n[other]\nkept = 1 # yes\n")
    done = typed(*BASE, "saliency", "average", "--save-chain", study, "--name", "means")
    assert done.returncode == 0, done.stderr
    done = typed("run", "grad-cam", *BASE[1:], "--class", 1, "-r", "numpy", "--save-chain", study)
    assert done.returncode == 0, done.stderr
    text = study.read_text()
    assert text.startswith("# mine\n[other]\nkept = 1 # yes\n") and "[chains.means]" in text
    # Paths are meant from the file's folder.
    recipe = read_recipe(study, "means")
    assert recipe.subject["model"] == str(tmp_path / "studies" / ".." / "model.keras") or Path(
        recipe.subject["model"]
    ).samefile(tmp_path / "model.keras")
    assert [name for name, _ in read_recipe(study, "grad-cam").steps] == ["grad-cam", "numpy"]
    done = typed("chain", "--file", study, "--name", "means", "-o", "again.png")
    assert done.stdout.split() == ["again.png"], done.stderr
    done = typed("chain", "--file", study)
    assert done.returncode == 2 and "holds 2 chains; choose a chain with --name" in done.stderr


def test_a_chain_is_only_so_long() -> None:
    with pytest.raises(
        cnnvis.UserError, match="a chain has at most 200 steps, and this chain has 1001"
    ):
        cnnvis.chain("demo", ["saliency", *["absolute"] * 1000], images=[0])


@pytest.mark.slow
def test_the_longest_chain_runs() -> None:
    (found,) = cnnvis.chain("demo", ["saliency", *["absolute"] * 199], images=[0])
    assert len(found.provenance["transforms"]) == 199


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("a = ", "is not TOML"),
        ("a = 1", "holds no chains"),
        ("[chains.a]\nmodel = 'x'", "has no steps"),
        ("[chains.a]\nmodl = 'x'\n[[chains.a.steps]]\nstep = 'png'", r"'modl'.*mean 'model'"),
        ("[chains.a]\n[[chains.a.steps]]\nstap = 'png'", "names no plugin"),
        ("[chains.a]\nlayer = 3\n[[chains.a.steps]]\nstep = 'png'", "layer of the chain"),
        ("[chains.a.axes.z]\n[[chains.a.steps]]\nstep = 'png'", "no axis 'z'"),
    ],
)
def test_files_that_hold_no_chain(tmp_path: Path, text: str, sentence: str) -> None:
    (tmp_path / "study.toml").write_text(text)
    with pytest.raises(cnnvis.UserError, match=sentence):
        read_recipe(tmp_path / "study.toml")


@pytest.mark.parametrize(
    "out",
    quick_are(
        ["../elsewhere/", "linked/taken.png"],
        [
            "../taken.png",
            "../elsewhere/",
            "linked/taken.png",
            "{tmp}/taken.png",
            "..",
            "/dev/shm/x.png",
        ],
    ),
)
def test_a_chain_in_a_file_is_written_near_it(
    typed: Typed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, out: str
) -> None:
    """A stranger's file writes over nothing elsewhere; whoever types a place may have any."""
    folder = tmp_path / "theirs"
    folder.mkdir()
    (tmp_path / "taken.png").write_text("mine")
    (folder / "linked").symlink_to(tmp_path)
    out = out.format(tmp=tmp_path)
    steps = "[{step = 'filter-weights'}, {step = 'png'}]"
    for name, place in (("bad", out), ("good", "maps.png")):
        (folder / f"{name}.toml").write_text(
            f"[chains.a]\nmodel = 'demo'\nlayer = 'conv1'\nout = '{place}'\nsteps = {steps}\n"
        )
    monkeypatch.chdir(folder)
    done = typed("chain", "--file", "bad.toml")
    assert done.returncode == 2 and "--out" in done.stderr
    assert (tmp_path / "taken.png").read_text() == "mine"
    done = typed("chain", "--file", "bad.toml", "--out", tmp_path / "typed.png")
    assert done.returncode == 0 and (tmp_path / "typed.png").exists(), done.stderr
    monkeypatch.chdir(tmp_path)
    done = typed("chain", "--file", folder / "good.toml")
    assert done.returncode == 0 and (folder / "maps.png").exists(), done.stderr


@pytest.mark.parametrize("images", ["9" * 5000, f"0-{'9' * 30}", f"0:{'9' * 5000}"])
def test_numbers_without_end_in_a_file_are_refused(
    typed: Typed, tmp_path: Path, images: str
) -> None:
    (tmp_path / "study.toml").write_text(
        f"[chains.a]\nmodel = 'demo'\nimages = '{images}'\nsteps = [{{step = 'get-labels'}}]\n"
    )
    done = typed("chain", "--file", "study.toml")
    assert done.returncode == 2 and "chooses no images" in done.stderr
    assert len(done.stderr) < 700


def test_recipes_come_back_as_they_were(tmp_path: Path) -> None:
    subject = {
        "model": str(tmp_path / "m.h5"),
        "images": [1, 2],
        "layer": "a:b",
        "class_names": ["x", "y z"],
    }
    steps = [("saliency", {"backprop": "none", "keras_vis": True}), ("smooth", {"sigma": 1.5})]
    recipe = Recipe("mine", subject, steps)
    save_recipe(recipe, tmp_path / "study.toml")
    assert read_recipe(tmp_path / "study.toml") == recipe
    assert "'y z'" in recipe.written("shell")


# The original program's figures


@pytest.mark.parametrize("technique", quick_at([0], ["saliency", "grad-cam"]))
def test_the_original_programs_averages(reference: Path, technique: str) -> None:
    """Means over all 100 images by label of keras-vis's maps, each scaled by itself."""
    seed = reference / "seed"
    model = cnnvis.load_model(seed / "introgression_32x32.h5")
    settings: dict[str, Any] = {"data": seed / "test_data_32x32.pkl", "layer": "output"}
    single = cnnvis.run(technique, model, keras_vis=True, **settings)
    known = np.load(seed / "keras_vis_reference.npz")
    for image in (0, 3, 5, 10):
        np.testing.assert_allclose(
            single.array[image], known[f"{technique}|output|guided|{image}"], atol=1e-5
        )
    assert single.labels is not None and len(single) == 100
    expected = np.stack([single.array[single.labels == k].mean(axis=0) for k in (0, 1)])
    (found,) = cnnvis.chain(model, [(technique, {"keras_vis": True}), "average"], **settings)
    np.testing.assert_allclose(found.maps, expected, atol=1e-5)
    (found,) = cnnvis.chain(
        model, [(technique, {"keras_vis": True}), "average", "difference"], **settings
    )
    np.testing.assert_allclose(found.array[0], expected[1] - expected[0], atol=1e-5)


STEP = '\n[[chains.a.steps]]\nstep = "saliency"\n'
CHAINS_FROM_STRANGERS = {
    "a number for the model": ("model = 3", "model of the chain 'a' in"),
    "a table for the data": ("data = {a = 1}", "data of the chain 'a' in"),
    "words for images": ("images = ['x']", "images of the chain 'a' in"),
    "a date for the filter": ("filter = 2020-01-01", "filter of the chain 'a' in"),
    "a zero in a path": ('model = "a\\u0000b"', "is no path"),
    "an unknown key": ('"\\u001b[2J" = 1', "has the unknown key"),
    "a table for the classes": ("class_names = [{a = 1}]", "class_names of the chain 'a' in"),
}


@pytest.mark.parametrize("kind", CHAINS_FROM_STRANGERS)
def test_chains_from_strangers_end_in_a_sentence(tmp_path: Path, kind: str) -> None:
    content, sentence = CHAINS_FROM_STRANGERS[kind]
    path = tmp_path / "chains.toml"
    path.write_text(f"[chains.a]\n{content}\n{STEP}")
    with pytest.raises(cnnvis.UserError) as refusal:
        read_recipe(path)
    assert sentence in str(refusal.value)


@pytest.mark.parametrize(
    ("step", "sentence"),
    [
        (("average", {"by": "lable"}), "by is 'lable', and must be label"),
        (("count", {"by": "place"}), "no places in a genome"),
        (("deviation", {"by": "groups.tsv:sort"}), "sort"),
        (("compare-groups", {"by": "groups.tsv:group", "covariates": "age"}), "age"),
        (("compare-groups", {"blocks": "nothing.tsv:subject"}), "nothing.tsv"),
    ],
    ids=lambda one: str(one),
)
def test_groups_that_the_images_do_not_have_are_refused_before_anything_is_computed(
    classifier: Any, data: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    step: Any, sentence: str,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    Path("groups.tsv").write_text("image\tgroup\n" + "".join(f"{i}\tg\n" for i in range(7)))

    @cnnvis.technique("never")
    def never(model: cnnvis.Model, samples: cnnvis.Samples) -> cnnvis.Explanation:
        """Fail."""
        raise AssertionError("computed")

    plugin, known = plugin_of(never), Registry()
    assert plugin is not None
    known.add(plugin)
    with using(known), pytest.raises(cnnvis.UserError, match=sentence):
        cnnvis.chain(classifier, ["never", "sanity", step], data=data, into=tmp_path / "a.run")
    assert not (tmp_path / "a.run").exists()


def test_a_table_without_the_images_that_get_no_map_is_enough(
    classifier: Any, images: Any, tmp_path: Path
) -> None:
    broken = images.copy()
    broken[[0, 3], 0, 0, 0] = np.nan
    table = tmp_path / "groups.tsv"
    table.write_text("image\tgroup\n" + "".join(f"{i}\tg\n" for i in (1, 2, 4, 5, 6)))
    (found,) = cnnvis.chain(
        classifier, ["saliency", ("average", {"by": f"{table}:group"})], data=broken, checks="none"
    )
    assert found.groups == ("g",)
