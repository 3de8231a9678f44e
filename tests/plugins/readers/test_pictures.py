"""Folders of pictures: which files count, which folders are classes, what values pixels get."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
from PIL import Image

import cnnvis
from cnnvis.plugins.readers import _picture_array
from cnnvis.plugins.readers._folders import Wanted, files_in
from cnnvis.plugins.readers._preprocess import WAYS, Preprocess, pixels_of, prepared
from cnnvis.reporting import notes_kept

Typed = Callable[..., Any]


def _save(path: Path, value: Any = 7, size: tuple[int, int] = (6, 4), mode: str = "L", **how: Any) -> Path:  # fmt: skip
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new(mode, size, value).save(path, **how)
    return path


def _read(path: Path, **options: Any) -> tuple[cnnvis.Samples, list[str]]:
    with notes_kept() as notes:
        return cnnvis.read_samples(path, **options), notes


# Values


RNG = np.random.default_rng(0)
PIXELS = RNG.integers(0, 256, size=(4, 6, 3)).astype(np.uint8)


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    Image.fromarray(PIXELS).save(tmp_path / "one.png")
    return tmp_path / "one.png"


def test_scale_and_offset(picture: Path) -> None:
    x = cnnvis.read_samples(picture, scale=1 / 127.5, offset=-1).x
    assert x.dtype == np.float32 and x.shape == (1, 4, 6, 3)
    np.testing.assert_allclose(x[0], PIXELS / 127.5 - 1, atol=1e-6)
    np.testing.assert_allclose(
        cnnvis.read_samples(picture, offset=-100).x[0], PIXELS - 100.0, atol=1e-4
    )


@pytest.mark.parametrize("name", get_args(Preprocess))
def test_every_way_is_kerass_own(picture: Path, name: str) -> None:
    from keras import applications

    x = cnnvis.read_samples(picture, preprocess=name).x[0]
    if name in ("tf", "torch", "caffe"):
        utilities = applications.imagenet_utils
        expected = utilities.preprocess_input(PIXELS.astype(np.float32), mode=name)
    else:
        module = import_module(f"keras.applications.{name}")
        expected = module.preprocess_input(PIXELS.astype(np.float32))
    np.testing.assert_allclose(x, expected, rtol=1e-5, atol=1e-4)


def test_no_module_of_kerass_is_missing() -> None:
    from keras import applications

    modules = {
        name
        for name in dir(applications)
        if hasattr(getattr(applications, name), "preprocess_input")
    }
    assert modules == set(get_args(Preprocess)) - {"tf", "torch", "caffe"}
    assert set(WAYS) == set(get_args(Preprocess))


def test_caffe_swaps_channels(tmp_path: Path) -> None:
    _save(tmp_path / "red.png", (255, 0, 10), mode="RGB")
    x = cnnvis.read_samples(tmp_path / "red.png", preprocess="resnet50").x[0, 0, 0]
    np.testing.assert_allclose(x, [10 - 103.939, 0 - 116.779, 255 - 123.68], atol=1e-4)


@pytest.mark.parametrize("way", ["tf", "torch", "caffe", "plain"])
def test_pixels_come_back(way: Any) -> None:
    np.testing.assert_allclose(pixels_of(prepared(PIXELS, way), way), PIXELS, atol=1e-3)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"preprocess": "tf", "scale": 0.5}, "--pictures.preprocess cannot be used together with"),
        (
            {"preprocess": "vgg16", "offset": 1.0},
            "--pictures.preprocess cannot be used together with",
        ),
        ({"preprocess": "caffe", "mode": "L"}, r"red, green and blue.*use --pictures\.mode RGB"),
        ({"preprocess": "vgg61"}, r"cannot be 'vgg61'.*Did you mean 'vgg1"),
    ],
)
def test_what_does_not_go_together(picture: Path, options: Any, sentence: str) -> None:
    with pytest.raises(cnnvis.UserError, match=sentence):
        cnnvis.read_samples(picture, **options)


@pytest.mark.parametrize(
    ("options", "ways"),
    [
        ({}, {"--pictures.scale 0.00392157", "--pictures.preprocess tf", "--pictures.preprocess torch", "--pictures.preprocess caffe"}),
        ({"scale": 0.00392157}, {"--pictures.scale 1", "--pictures.preprocess tf", "--pictures.preprocess torch", "--pictures.preprocess caffe"}),
        ({"preprocess": "caffe"}, {"--pictures.scale 1", "--pictures.scale 0.00392157", "--pictures.preprocess tf", "--pictures.preprocess torch"}),
        ({"preprocess": "efficientnet"}, {"--pictures.scale 0.00392157", "--pictures.preprocess tf", "--pictures.preprocess torch", "--pictures.preprocess caffe"}),
        ({"scale": 1 / 127.5, "offset": -1.0}, {"--pictures.scale 1", "--pictures.scale 0.00392157", "--pictures.preprocess torch", "--pictures.preprocess caffe"}),
        ({"mode": "L"}, {"--pictures.scale 0.00392157", "--pictures.preprocess tf"}),
    ],
)  # fmt: skip
def test_other_ways_are_what_typing_them_gives(picture: Path, options: Any, ways: set[str]) -> None:
    samples = cnnvis.read_samples(picture, **options)
    assert samples.reading is not None and set(samples.reading.others) == ways
    for typed, function in samples.reading.others.items():
        option, value = typed.removeprefix("--pictures.").split()
        given = {option: float(value) if option == "scale" else value}
        mode = {"mode": options["mode"]} if "mode" in options else {}
        expected = cnnvis.read_samples(picture, **given, **mode).x
        np.testing.assert_allclose(function(samples.x.astype(np.float32)), expected, atol=2e-3)


# Modes and sizes


def test_a_grey_picture_among_coloured_ones_turns_none_grey(tmp_path: Path) -> None:
    _save(tmp_path / "a.png", 9)
    for name in "bcd":
        _save(tmp_path / f"{name}.png", (1, 2, 3), mode="RGB")
    samples, _ = _read(tmp_path)
    assert samples.x.shape == (4, 4, 6, 3)
    assert samples.x[:, 0, 0].tolist() == [[9, 9, 9], [1, 2, 3], [1, 2, 3], [1, 2, 3]]
    grey, _ = _read(tmp_path, mode="L")
    assert grey.x.shape == (4, 4, 6)


@pytest.mark.parametrize(
    ("modes", "mode"),
    [
        (["L", "RGB"], "RGB"),
        (["RGB", "RGBA"], "RGB"),
        (["L", "RGBA"], "RGB"),
        (["RGBA", "RGBA"], "RGBA"),
        (["L", "L"], "L"),
        (["L", "LA"], "L"),
        (["1", "L"], "L"),
        (["L", "P"], "RGB"),
        (["I;16", "I;16"], "I"),
        (["I;16", "RGB"], "RGB"),
    ],
)
def test_the_mode_in_which_nothing_is_lost(tmp_path: Path, modes: list[str], mode: str) -> None:
    for number, one in enumerate(modes):
        Image.new(one, (6, 4)).save(tmp_path / f"{number}.png")
    samples, _ = _read(tmp_path)
    channels = {"L": (), "I": (), "RGB": (3,), "RGBA": (4,)}[mode]
    assert samples.x.shape == (2, 4, 6, *channels)


def test_colour_met_later_is_that_pictures_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of very many pictures only some heads are looked at."""
    monkeypatch.setattr(_picture_array, "_HEADS", 3)
    for number in range(9):
        _save(tmp_path / f"{number}.png", number)
    _save(tmp_path / "3.png", (1, 2, 3), mode="RGB")
    samples, _ = _read(tmp_path)
    assert samples[[2, 4]].x[:, 0, 0].tolist() == [2, 4]
    with pytest.raises(cnnvis.UserError, match=r"3\.png' is in colour.*--pictures\.mode RGB"):
        _ = samples[[3]].x
    assert _read(tmp_path, mode="RGB")[0].x[3, 0, 0].tolist() == [1, 2, 3]
    _save(tmp_path / "4.png", (1, 2, 3), mode="RGB")  # one of those that are looked at
    assert _read(tmp_path)[0].x.shape == (9, 4, 6, 3)


def test_few_heads_are_opened_of_very_many_pictures(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_picture_array, "_HEADS", 5)
    for number in range(40):
        _save(tmp_path / f"{number:02}.png")
    opened: list[str] = []
    was = _picture_array._head_of
    monkeypatch.setattr(
        _picture_array, "_head_of", lambda one, file: opened.append(file.name) or was(one, file)
    )  # type: ignore[func-returns-value]
    _read(tmp_path)
    assert opened == ["00.png", "09.png", "19.png", "29.png", "39.png", "00.png"]
    opened.clear()
    _read(tmp_path, mode="L", size=(4, 4))
    assert opened == ["00.png", "00.png"]


def test_an_odd_size_costs_no_other(tmp_path: Path) -> None:
    """Though it is the first."""
    _save(tmp_path / "a.png", size=(9, 9))
    for name in "bcd":
        _save(tmp_path / f"{name}.png", 5)
    samples, notes = _read(tmp_path)
    assert samples[[1, 2, 3]].x.shape == (3, 4, 6)
    assert any("2 sizes" in note and "4 rows and 6 columns" in note and "--pictures.size" in note for note in notes)  # fmt: skip
    with pytest.raises(cnnvis.UserError, match=r"a\.png' has 9 rows and 9.*--pictures\.size ROWS"):
        _ = samples[[0]].x
    sized, notes = _read(tmp_path, size=(4, 6))
    assert sized.x.shape == (4, 4, 6) and notes == []


def test_sixteen_bits_are_not_cut_off(tmp_path: Path) -> None:
    values = np.array([[0, 65535], [256, 32768]], np.uint16)
    Image.fromarray(values).save(tmp_path / "scan.png")
    samples, notes = _read(tmp_path / "scan.png", mode="L")
    assert samples.x[0].tolist() == [[0, 255], [1, 128]] and "16 bits" in notes[0]
    assert _read(tmp_path / "scan.png", mode="RGB")[0].x[0, 1, 1].tolist() == [128] * 3
    Image.fromarray(values.astype(np.float32)).save(tmp_path / "scan.tif")
    with pytest.raises(cnnvis.UserError, match="numbers of 32 bits"):
        cnnvis.read_samples(tmp_path / "scan.tif", mode="L")


def test_pixels_stay_as_they_are_stored(tmp_path: Path) -> None:
    """As Keras's loader has them, whatever EXIF says; a note says it."""
    tall = Image.fromarray(np.arange(24, dtype=np.uint8).reshape(6, 4))
    exif = Image.Exif()
    exif[0x0112] = 6
    tall.save(tmp_path / "a.png", exif=exif)
    samples, notes = _read(tmp_path / "a.png")
    np.testing.assert_array_equal(samples.x[0], np.arange(24).reshape(6, 4))
    assert len(notes) == 1 and "EXIF" in notes[0]
    keras = pytest.importorskip("keras")
    loaded = np.asarray(keras.utils.load_img(tmp_path / "a.png", color_mode="grayscale"))
    np.testing.assert_array_equal(samples.x[0], loaded)


def test_of_an_animation_the_first_frame_is_read(tmp_path: Path) -> None:
    frames = [Image.new("RGB", (6, 4), (value, 0, 0)) for value in (50, 60, 70)]
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:])
    samples, notes = _read(tmp_path)
    assert samples.x.shape == (1, 4, 6, 3) and (samples.x[..., 0] == 50).all()
    assert notes == ["of pictures with several frames or pages, the first frame is read"]


# Files and folders


def test_hidden_files_are_no_pictures(tmp_path: Path) -> None:
    for name in ("ape/a.png", "cow/b.png"):
        _save(tmp_path / name)
    for name in ("ape/._a.png", "cow/.hidden.png", ".x.png", "__MACOSX/ape/._a.png"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"\x00\x05\x16\x07 AppleDouble")
    _save(tmp_path / ".ipynb_checkpoints" / "c.png")
    samples, notes = _read(tmp_path)
    assert samples.names == ("a.png", "b.png") and samples.class_names == ("ape", "cow")
    assert notes == []


def test_files_of_other_readers_are_named(tmp_path: Path) -> None:
    for name in ("a/x.png", "b/y.png"):
        _save(tmp_path / name)
    for name in ("a/b.nii.gz", "c.WAV", "readme.txt"):
        (tmp_path / name).touch()
    samples, notes = _read(tmp_path)
    assert len(samples) == 2
    assert any("no pictures and left out: 'c.WAV', 'b.nii.gz'" in one for one in notes)
    with pytest.raises(cnnvis.UserError, match=r"no volumes in .*; it holds 'x.png'"):
        files_in(tmp_path / "b" / ".." / "a", Wanted("volume", (".mgz",)))


def test_folders_in_classes_belong_to_them(tmp_path: Path) -> None:
    for name in ("ape/2023/a.png", "ape/b.png", "cow/wild/herd/c.png", "cow/d.png"):
        _save(tmp_path / name)
    samples, notes = _read(tmp_path)
    assert samples.names == ("b.png", "a.png", "d.png", "c.png")
    assert samples.labels is not None and samples.labels.tolist() == [0, 0, 1, 1]
    assert samples.in_words and notes == []


def test_parts_of_a_data_set_are_no_classes(tmp_path: Path) -> None:
    for name in ("train/ape/a.png", "train/cow/b.png", "test/ape/c.png", "test/cow/d.png"):
        _save(tmp_path / name)
    with pytest.raises(
        cnnvis.UserError, match=r"the parts test and train of a data set.*--data \S+test"
    ):
        _read(tmp_path)
    samples, _ = _read(tmp_path / "train")
    assert samples.class_names == ("ape", "cow")


def test_stray_pictures_have_no_class_and_are_left_out(tmp_path: Path) -> None:
    for name in ("ape/a.png", "cow/b.png", "overview.png"):
        _save(tmp_path / name)
    samples, notes = _read(tmp_path)
    assert samples.names == ("a.png", "b.png") and samples.class_names == ("ape", "cow")
    assert notes == [
        f"1 picture beside the folders of classes in {str(tmp_path)!r} has no class and is left "
        "out: 'overview.png'"
    ]
    for name in ("x.png", "y.png", "z.png"):
        _save(tmp_path / name)
    samples, notes = _read(tmp_path)  # now most have no folder
    assert len(samples) == 6 and samples.labels is None and "no labels" in notes[0]


def test_an_empty_folder_is_a_class_and_one_of_other_files_is_not(tmp_path: Path) -> None:
    for name in ("ape/a.png", "cow/b.png"):
        _save(tmp_path / name)
    (tmp_path / "bee").mkdir()
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "read.txt").write_text("no picture")
    samples, notes = _read(tmp_path)
    assert samples.class_names == ("ape", "bee", "cow")
    assert samples.labels is not None and samples.labels.tolist() == [0, 2]
    assert notes == ["the class 'bee' has no picture: its folder is empty"]


def test_links_to_folders_are_classes(tmp_path: Path) -> None:
    _save(tmp_path / "elsewhere" / "a.png")
    _save(tmp_path / "data" / "cow" / "b.png")
    (tmp_path / "data" / "ape").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "data" / "itself.png").symlink_to("itself.png")
    samples, notes = _read(tmp_path / "data")
    assert len(notes) == 1 and "links to nothing: 'itself.png'" in notes[0]
    assert samples.class_names == ("ape", "cow") and samples.names == ("a.png", "b.png")


# With a network


@pytest.fixture(scope="module")
def network(keras: Any) -> Any:
    layers = keras.layers
    keras.utils.set_random_seed(0)
    return keras.Sequential(
        [
            layers.Input((4, 6, 3)),
            layers.Conv2D(4, 2, activation="relu"),
            layers.Flatten(),
            layers.Dense(2, "softmax", name="output"),
        ]
    )


@pytest.mark.parametrize(
    ("options", "remedy"),
    [
        ({"size": (9, 9)}, "--pictures.size 4 6 reads"),
        ({"mode": "L"}, "--pictures.mode RGB reads"),
        ({"mode": "RGBA", "size": (9, 9)}, "--pictures.size 4 6 --pictures.mode RGB reads"),
    ],
)
def test_the_shape_that_a_network_wants_is_told(
    network: Any, tmp_path: Path, options: Any, remedy: str
) -> None:
    _save(tmp_path / "a" / "a.png", (1, 2, 3), mode="RGB")
    with pytest.raises(cnnvis.UserError, match=r"\(4, 6, 3\) for one image.*" + remedy):
        cnnvis.run("saliency", network, data=tmp_path, plugin_options={"pictures": options})
    fit = cnnvis.doctor(network, data=tmp_path, plugin_options={"pictures": options}).fit
    assert fit is not None and remedy in (fit.problem or "")
    right = {"mode": "RGB", "size": (4, 6)}
    cnnvis.run("saliency", network, data=tmp_path, plugin_options={"pictures": right})


@pytest.mark.slow
def test_one_damaged_and_one_odd_picture_cost_no_other(
    network: Any, tmp_path: Path, typed: Typed
) -> None:
    network.save(tmp_path / "model.keras")
    rng = np.random.default_rng(1)
    for number in range(8):
        for name in ("ape", "cow"):
            path = tmp_path / "data" / name / f"{number}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(rng.integers(0, 256, size=(4, 6, 3)).astype(np.uint8)).save(path)
    damaged, odd = tmp_path / "data" / "ape" / "0.png", tmp_path / "data" / "cow" / "3.png"
    damaged.write_bytes(damaged.read_bytes()[:60])
    _save(odd, (1, 2, 3), size=(9, 9), mode="RGB")
    good = [i for i in range(16) if i not in (0, 11)]
    for images in (["all"], ["0-15"], ["0", "11", "1-10", "12:"]):
        done = typed("run", "saliency", "model.keras", "-d", "data", "-im", *images, "-o", "a.npz")
        assert done.returncode == 3, done.stderr
        found = cnnvis.Explanation.load(tmp_path / "a.npz")
        assert found.indices is not None and sorted(found.indices.tolist()) == good
        assert "0.png" in done.stderr and "--pictures.size" in done.stderr
    done = typed("chain", "model.keras", "-d", "data", "saliency", "count", "numpy", "-o", "c.npz")
    assert done.returncode == 3, done.stderr
    assert cnnvis.Explanation.load(tmp_path / "c.npz").table == {"group": ["ape", "cow"], "images": [7, 7]}  # fmt: skip
    report = cnnvis.doctor(tmp_path / "model.keras", data=tmp_path / "data")
    assert report.fit is not None and report.fit.examined == 14 and report.fit.right is not None
    assert any("2 of 16 images cannot be read" in one and "0.png" in one for one in report.warnings)
