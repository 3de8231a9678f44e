"""Data from files, in all the forms that people keep them in."""

from __future__ import annotations

import os
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import cnnvis
from cnnvis.reporting import notes_kept

X = np.arange(120, dtype=np.uint8).reshape(5, 4, 6)
Y = np.array([0, 1, 1, 0, 2], np.uint8)


def _pickled(path: Path, held: Any) -> Path:
    path.write_bytes(pickle.dumps(held, protocol=3))
    return path


@pytest.mark.parametrize(
    ("held", "labels"),
    [
        ((X, Y), Y),
        ([X, Y], Y),
        ((X,), None),
        ((X, None), None),
        (X, None),
        ({"X": X, "y": Y}, Y),
        ({"images": X, "labels": Y}, Y),
        ({"x": X}, None),
        ((X, Y[:, None]), Y),
        ((X, np.eye(3)[Y]), Y),
        ((X, Y.astype(float)), Y),
        ((X.tolist(), Y.tolist()), Y),
        ((X, np.array([0.5, 1.5, 0, 0, 0])), np.array([0.5, 1.5, 0, 0, 0])),
        ((X, [["ape"], [], ["bee", "ape"], {"bee"}, ("cow",)]), np.array(
            [[1, 0, 0], [0, 0, 0], [1, 1, 0], [0, 1, 0], [0, 0, 1]])),
    ],
    ids=[
        "tuple", "list", "inputs alone", "no labels", "array", "dict", "other names", "dict without labels",
        "column", "one-hot", "whole floats", "plain lists", "regression", "several words",
    ],
)  # fmt: skip
def test_what_a_pickle_may_hold(tmp_path: Path, held: Any, labels: Any) -> None:
    samples = cnnvis.read_samples(_pickled(tmp_path / "data.pkl", held))
    np.testing.assert_array_equal(samples.x, X)
    if labels is None:
        assert samples.labels is None
    else:
        assert samples.labels is not None
        np.testing.assert_array_equal(samples.labels, labels)


def test_two_images_are_not_inputs_and_labels(tmp_path: Path) -> None:
    samples = cnnvis.read_samples(_pickled(tmp_path / "data.pkl", [X[0], X[1]]))
    assert samples.x.shape == (2, 4, 6)


def test_labels_in_words_name_the_classes(tmp_path: Path) -> None:
    samples = cnnvis.read_samples(
        _pickled(tmp_path / "data.pkl", (X, ["cow", "ape", "ape", "cow", "bee"]))
    )
    assert samples.class_names == ("ape", "bee", "cow")
    assert samples.labels is not None and samples.labels.tolist() == [2, 0, 0, 2, 1]
    assert samples.label_name(0) == "cow"
    # Names of classes are the network's, in its order; the words are found among them.
    named = cnnvis.read_samples(tmp_path / "data.pkl", class_names=["cow", "dog", "ape", "bee"])
    assert named.class_names == ("cow", "dog", "ape", "bee")
    assert named.labels is not None and named.labels.tolist() == [0, 2, 2, 0, 3]
    with pytest.raises(
        cnnvis.UserError,
        match="words 'ape', 'bee', 'cow', and the classes are called 'a', 'b', 'c'",
    ):
        cnnvis.read_samples(tmp_path / "data.pkl", class_names=["a", "b", "c"])


class Touch:
    """What a stranger's pickle may hold: a call, which must never be made."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return Path.touch, (self.path,)


@pytest.mark.parametrize(
    ("held", "sentence"),
    [
        ("text", "the text 'text' instead of its inputs"),
        (None, "nothing instead of its inputs"),
        ({"a": X, "b": Y}, r"dict without inputs: its keys are a, b.*X, x, images"),
        ((X, Y[:3]), "5 inputs but 3 labels"),
        ((np.array(["a", "b"]), Y[:2]), "inputs of the type <U1, and a network needs numbers"),
        ([[1, 2], [3]], "do not all have one shape|inputs but"),
    ],
)
def test_pickles_that_hold_something_else(tmp_path: Path, held: Any, sentence: str) -> None:
    with pytest.raises(cnnvis.UserError, match=sentence):
        cnnvis.read_samples(_pickled(tmp_path / "data.pkl", held))


def test_a_pickle_calls_nothing(tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    path = _pickled(tmp_path / "data.pkl", (X, Touch(canary)))
    with pytest.raises(cnnvis.UserError, match=r"data\.pkl' cannot be read: .*wants to call"):
        cnnvis.read_samples(path)
    assert not canary.exists()
    (tmp_path / "empty.pkl").write_bytes(b"")
    with pytest.raises(cnnvis.UserError, match="is empty"):
        cnnvis.read_samples(tmp_path / "empty.pkl")


def test_the_original_programs_data(reference: Path) -> None:
    samples = cnnvis.read_samples(reference / "seed" / "test_data_32x32.pkl")
    assert samples.x.shape == (100, 68, 32, 1) and samples.x.dtype == np.uint8
    assert samples.labels is not None and np.bincount(samples.labels).tolist() == [66, 34]


def test_npz_names(tmp_path: Path) -> None:
    np.savez(tmp_path / "usual.npz", X=X, y=Y, class_names=["a", "b", "c"], site=Y)
    samples = cnnvis.read_samples(tmp_path / "usual.npz")
    assert samples.class_names == ("a", "b", "c")
    np.testing.assert_array_equal(samples.x, X)
    np.savez(tmp_path / "own.npz", genotypes=X, scenario=Y)
    with pytest.raises(cnnvis.UserError, match=r"it holds genotypes, scenario\..*--npz\.x NAME"):
        cnnvis.read_samples(tmp_path / "own.npz")
    samples = cnnvis.read_samples(tmp_path / "own.npz", x="genotypes", y="scenario")
    np.testing.assert_array_equal(samples.labels, Y)  # type: ignore[arg-type]
    with pytest.raises(cnnvis.UserError, match="no array named 'labels'"):
        cnnvis.read_samples(tmp_path / "own.npz", x="genotypes", y="labels")
    np.savez(tmp_path / "one.npz", anything=X)
    np.testing.assert_array_equal(cnnvis.read_samples(tmp_path / "one.npz").x, X)


def test_numpy_files_with_pickles_in_them(tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    held = np.array([Touch(canary)], dtype=object)
    np.save(tmp_path / "data.npy", held)
    np.savez(tmp_path / "data.npz", X=held)
    for name in ("data.npy", "data.npz"):
        with pytest.raises(
            cnnvis.UserError, match=rf"{name}' is an array of Python objects.*np\.stack"
        ):
            cnnvis.read_samples(tmp_path / name)
    assert not canary.exists()


def test_npy_is_read_when_it_is_needed(tmp_path: Path) -> None:
    np.save(tmp_path / "data.npy", X)
    samples = cnnvis.read_samples(tmp_path / "data.npy")
    assert not isinstance(samples.source, np.ndarray)
    np.testing.assert_array_equal(samples[[4, 1]].x, X[[4, 1]])


def _picture(path: Path, size: tuple[int, int] = (6, 4), mode: str = "RGB", value: int = 7) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new(mode, size, value if mode != "RGB" else (value, 0, 255)).save(path)
    return path


def test_a_picture(tmp_path: Path) -> None:
    samples = cnnvis.read_samples(_picture(tmp_path / "one.png"))
    assert samples.x.shape == (1, 4, 6, 3) and samples.x.dtype == np.uint8
    assert samples.x[0, 0, 0].tolist() == [7, 0, 255]
    assert samples.names == ("one.png",) and samples.labels is None
    grey = cnnvis.read_samples(tmp_path / "one.png", mode="L", scale=1 / 255)
    assert grey.x.shape == (1, 4, 6) and grey.x.dtype == np.float32 and grey.x.max() < 1
    sized = cnnvis.read_samples(tmp_path / "one.png", size=(8, 5))
    assert sized.x.shape == (1, 8, 5, 3)


def test_sixteen_bits_stay(tmp_path: Path) -> None:
    values = np.array([[0, 65535], [256, 1000]], np.uint16)
    Image.fromarray(values).save(tmp_path / "scan.png")
    np.testing.assert_array_equal(cnnvis.read_samples(tmp_path / "scan.png").x[0], values)


def test_a_folder_of_classes(tmp_path: Path) -> None:
    for name, value in (("cow/b.png", 1), ("ape/c.jpg", 200), ("cow/a.png", 3)):
        _picture(tmp_path / name, mode="L", value=value)
    (tmp_path / "cow" / "notes.txt").write_text("not a picture")
    samples = cnnvis.read_samples(tmp_path)
    assert samples.names == ("c.jpg", "a.png", "b.png")
    assert samples.class_names == ("ape", "cow")
    assert samples.labels is not None and samples.labels.tolist() == [0, 1, 1]
    assert samples.x[1:, 0, 0].tolist() == [3, 1]


def test_pictures_of_a_folder_are_read_when_they_are_needed(tmp_path: Path) -> None:
    _picture(tmp_path / "a.png")
    _picture(tmp_path / "b.png", size=(9, 9))
    (tmp_path / "c.png").write_text("not a picture")
    samples = cnnvis.read_samples(tmp_path)
    assert samples[[0]].x.shape == (1, 4, 6, 3)
    with pytest.raises(cnnvis.UserError, match=r"b\.png' has 9 rows and 9.*--pictures\.size"):
        _ = samples[[0, 1]].x
    with pytest.raises(cnnvis.UserError, match=r"c\.png' is not a picture"):
        _ = samples[[2]].x


def test_a_damaged_picture_and_one_that_is_too_large(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = _picture(tmp_path / "a.png", size=(60, 60))
    whole.write_bytes(whole.read_bytes()[:80])
    with pytest.raises(cnnvis.UserError, match=r"a\.png' is (damaged|not a picture)"):
        cnnvis.read_samples(whole)
    _picture(tmp_path / "b.png", size=(60, 60))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    with pytest.raises(cnnvis.UserError, match=r"b\.png' is too large a picture"):
        cnnvis.read_samples(tmp_path / "b.png")


def test_options_that_a_reader_does_not_have(tmp_path: Path) -> None:
    path = _picture(tmp_path / "a.png")
    with pytest.raises(cnnvis.UserError, match=r"mode of pictures cannot be 'CMYK'"):
        cnnvis.read_samples(path, mode="CMYK")
    with pytest.raises(cnnvis.UserError, match=r"pictures has no option 'sise'\. Did you mean"):
        cnnvis.read_samples(path, sise=3)


def test_a_damaged_picture_costs_no_other(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    _picture(tmp_path / "b.png")
    _picture(tmp_path / "c.png", value=9)
    samples = cnnvis.read_samples(tmp_path)
    assert len(samples) == 3 and samples[[2, 1]].x[:, 0, 0, 0].tolist() == [9, 7]
    with pytest.raises(
        cnnvis.UserError, match=r"a\.png' is not a picture, or has an unknown format"
    ):
        _ = samples[[0, 1]].x
    for name in ("b.png", "c.png"):
        (tmp_path / name).unlink()
    with pytest.raises(
        cnnvis.UserError, match=r"a\.png' is not a picture, or has an unknown format"
    ):
        cnnvis.read_samples(tmp_path)


def test_what_only_looks_like_pictures_is_left_out_and_said(tmp_path: Path) -> None:
    _picture(tmp_path / "z.png")
    _picture(tmp_path / "folder.png" / "inside.png")
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "nowhere.png").symlink_to("nothing")
    with notes_kept() as notes:
        samples = cnnvis.read_samples(tmp_path)
    assert samples.names == ("inside.png", "z.png")
    assert notes[0] == (
        f"2 in {str(tmp_path)!r} are left out, since they are pipes, devices or links to nothing: "
        "'nowhere.png', 'pipe.png'"
    )
    assert "so these folders are no classes" in notes[1] and len(notes) == 2


def test_of_several_frames_the_first_is_read_and_said(tmp_path: Path) -> None:
    frames = [Image.new("L", (6, 4), value) for value in (5, 6, 7)]
    for name in ("a.gif", "a.tiff"):
        frames[0].save(tmp_path / name, save_all=True, append_images=frames[1:])
        with notes_kept() as notes:
            samples = cnnvis.read_samples(tmp_path / name, mode="L")
        assert samples.x.shape == (1, 4, 6) and (samples.x == 5).all()
        assert notes == ["of pictures with several frames or pages, the first frame is read"]


@pytest.mark.slow
def test_a_picture_that_unpacks_to_far_too_much(tmp_path: Path) -> None:
    Image.new("RGB", (9000, 9000)).save(tmp_path / "blank.png")
    with pytest.raises(
        cnnvis.UserError, match="too large a picture: 9000 columns and 9000 rows in"
    ):
        cnnvis.read_samples(tmp_path / "blank.png")


def test_names_that_are_no_text_can_be_written_down(tmp_path: Path) -> None:
    path = tmp_path / os.fsdecode(b"caf\xe9.png")
    _picture(path)
    samples = cnnvis.read_samples(tmp_path)
    assert samples.names == ("caf\\xe9.png",)
