"""Conditions on columns and on answers choose the images for which they hold, and no others."""

from __future__ import annotations

import contextlib
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import cnnvis
from cnnvis.data.image_conditions import Parts, parsed
from cnnvis.data.image_selection import Condition, selection_of

TABLE = """image\tpopulation\tage\tread depth\tbatch\tp
0\tCEU\t31\t8\tb 1\t0.5
1\tYRI\t44\t12.5\tb 2\t0.01
2\tCEU\tNA\t100\tb 1\t0.5
3\t\t9\t1e1\tb 2\t0.01
4\tCHB\t60\t-3\tb 1\t0.5
"""
LABELS = np.array([0, 1, 0, 1, 0, 0])
SAMPLES = cnnvis.Samples(
    np.zeros((6, 3)), LABELS, class_names=("no", "yes"), names=tuple(f"{i} a.png" for i in range(6))
)


@pytest.fixture
def facts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "facts.tsv").write_text(TABLE)
    (tmp_path / "my data").mkdir()
    (tmp_path / "my data" / "f.csv").write_text('name,"a, b"\n0 a.png,x\n2 a.png,y\n')
    monkeypatch.chdir(tmp_path)


@pytest.mark.usefixtures("facts")
@pytest.mark.parametrize(
    ("condition", "places"),
    [
        ("population=CEU", [0, 2]),
        ("age>9", [0, 1, 4]),  # as numbers: 9 is less than 31
        ("age>=9 and age<=44", [0, 1, 3]),
        ("not age>40", [0, 3]),  # an image without an age is in neither
        ("age!=31", [1, 3, 4]),
        ('age=""', [2, 5]),
        ('age!=""', [0, 1, 3, 4]),
        ('"read depth"=10', [3]),
        ("'read depth'<0 or population='YRI'", [1, 4]),
        ('batch="b 1" and not population in (CHB, YRI)', [0, 2]),
        ("population not in (CEU, YRI)", [4]),
        ("population<CF", [0, 2]),
        ("(population=CEU or age=60) and label=no", [0, 2, 4]),
        ("NOT population=CEU AND label=yes", [1]),
        ("population=CEU or label=no", [0, 2, 4, 5]),  # true whatever the missing population is
        ("image>=3", [3, 4, 5]),
        ('name="2 a.png" or image in (0)', [0, 2]),
        ("label!=no", [1, 3]),
        ("p=0.01", [1, 3]),  # the column, with a note
    ],
)
def test_conditions_on_a_table(condition: str, places: list[int]) -> None:
    assert SAMPLES.chosen(f"facts.tsv: {condition}").indices.tolist() == places
    # Of other places, in their own order.
    both = SAMPLES.chosen(["5", "0-4", f"facts.tsv:{condition}"]).indices.tolist()
    assert both == [*([5] if 5 in places else []), *(place for place in places if place != 5)]


@pytest.mark.usefixtures("facts")
def test_tables_by_name_and_in_other_folders() -> None:
    found = SAMPLES.chosen("my data/f.csv: 'a, b' in (x, y) and not 'a, b'=y")
    assert found.indices.tolist() == [0]


@pytest.mark.usefixtures("facts")
@pytest.mark.parametrize(
    ("condition", "sentence"),
    [
        ("facts.tsv: populatoin=CEU", "no column 'populatoin'. Did you mean 'population'"),
        ("facts.tsv: population=CUE", "column 'population' holds no 'CUE'. Did you mean 'CEU'"),
        ("facts.tsv: population in (CEU, X)", "holds no 'X'. There are: CEU, CHB, YRI"),
        ("facts.tsv: age>old", "column 'age' holds numbers, and 'old' is no number"),
        ("facts.tsv: batch>3", "holds words, such as 'b 1', and > 3 compares numbers"),
        ("facts.tsv: label>yes", "the label has no order"),
        ("facts.tsv: label=maybe", "no class 'maybe'"),
        ("facts.tsv: name=b.png", "name holds no 'b.png'"),
        ("other.tsv: age>3", "'other.tsv' cannot be read"),
        ("age>40", "Nothing is called 'age' without a table"),
        ("facts.tsv: ", "a column or image, .* is expected, and it ends there"),
        (
            "facts.tsv: age",
            r"a sign \(= != < <= > >=\) or in is expected behind 'age', and it ends",
        ),
        ("facts.tsv: age>", "a value is expected behind '>', and it ends"),
        ("facts.tsv: age>3 batch=1", "'batch' follows on a whole condition"),
        ("facts.tsv: batch=b 1", "'1' follows on a whole condition"),
        ("facts.tsv: (age>3", "a bracket is not closed, and it ends there"),
        ("facts.tsv: age in 3", "values in brackets are expected behind in, and there is '3'"),
        ("facts.tsv: age in (3 4)", "a comma or a closing bracket is expected, and there is '4'"),
        ("facts.tsv: age='3", r"\"'3\" is not understood"),
        ("wrong=1 or p>2", "wrong stands alone"),
        ("facts.tsv: age>3 and right=1", "no column 'right', and right stands alone"),
        ("(" * 60 + "p>1" + ")" * 60, "more than 50 brackets and negations"),
        ("and", "chooses no images. Put a condition of several words into quotes"),
        ("p>0.5", "answer of a network, and no network is given"),
        ("facts.tsv: age=61", "none of the 6 images examined is left by facts.tsv: age=61"),
    ],
)
def test_mistakes_are_sentences(condition: str, sentence: str) -> None:
    with pytest.raises(cnnvis.UserError, match=sentence):
        SAMPLES.chosen(condition)


def test_a_typing_error_in_a_column_of_numbers_is_named(tmp_path: Path) -> None:
    (tmp_path / "t.tsv").write_text("age\n31\n4I\n9\n60\n1\n2\n")
    with pytest.raises(cnnvis.UserError, match="line 2 below the heading holds '4I'"):
        SAMPLES.chosen(f"{tmp_path / 't.tsv'}: age>3")


def test_labels_that_are_numbers_are_compared_as_such() -> None:
    samples = cnnvis.Samples(np.zeros((4, 3)), np.array([0.1, 2.5, np.nan, 7], np.float32))
    for condition, places in (
        ("label>0.1", [1, 3]), ("label in (0.1, 7)", [0, 3]), ("not label=7", [0, 1]),
        ("label=none or label<1", [0, 2]),
    ):  # fmt: skip
        assert samples.chosen(condition).indices.tolist() == places
    with pytest.raises(cnnvis.UserError, match="label holds numbers, and 'high' is no number"):
        samples.chosen("label>high")


def test_names_of_classes_keep_their_words() -> None:
    for text in ("label=salt and pepper", "predicted=a or b", "label=c=w", "label=a in b"):
        assert selection_of(text).conditions == (Condition(*text.split("=", 1)),)  # type: ignore[arg-type]
    found = parsed("label=a and p>0.5 or not right")
    assert found is not None and isinstance(found.tree, Parts) and found.tree.how == "or"


def test_long_lists_of_values_are_quick() -> None:
    values = ", ".join(map(str, range(100_000)))
    found = parsed(f"image in ({values})")
    assert found is not None
    assert cnnvis.Samples(np.zeros((3, 2)))[[2]].chosen("image in (1, 2)").indices.tolist() == [2]


def test_no_text_ends_in_anything_but_a_sentence() -> None:
    draw = random.Random(0)
    parts = ["facts.tsv:", "p", ">", "=", "(", ")", "'", '"', "and", "not", "in", ",", "p[a]", "\x00", "9", " "]  # fmt: skip
    for _ in range(3000):
        text = "".join(draw.choice(parts) for _ in range(draw.randrange(12)))
        with contextlib.suppress(cnnvis.UserError):
            selection_of(text)


@pytest.fixture(scope="module")
def sorter(keras: Any) -> Any:
    """A network of the classes ape, bee, cow, whose logits are four times its inputs."""
    layers = keras.layers
    network = keras.Sequential([layers.Input((3,)), layers.Dense(3, "softmax", name="output")])
    network.set_weights([4 * np.eye(3), np.zeros(3)])
    return network


def test_conditions_on_what_the_network_says(sorter: Any, tmp_path: Path) -> None:
    x = np.array([[1, 0, 0], [0.2, 0, 0], [0, 1, 0], [0, 0.5, 0], [0, 0, 2]], np.float32)
    names = ("ape", "bee", "cow")
    data = cnnvis.Samples(x, [0, 1, 1, 1, 0], class_names=names)
    p = np.exp(4 * x) / np.exp(4 * x).sum(axis=1, keepdims=True)
    (tmp_path / "t.tsv").write_text("age\n1\n2\n3\n4\n5\n")
    for condition, places in (
        ("p>0.9", np.flatnonzero(p.max(axis=1) > 0.9)),
        ("p[bee]<0.2", np.flatnonzero(p[:, 1] < 0.2)),
        ("score>=4", [0, 2, 4]),
        ("score[cow]=0 and p<0.9", [1, 3]),
        ("predicted!=ape", [2, 3, 4]),
        ("prediction in (ape, cow) and not right", [1, 4]),
        (f"{tmp_path / 't.tsv'}: age>1 and (p<0.9 or wrong)", [1, 3, 4]),
    ):
        found = cnnvis.run("get-labels", sorter, data=data, images=condition).table
        assert found is not None and found["image"] == list(places), condition
    # Columns go before what the network says, but for right and wrong without a value.
    (tmp_path / "t.tsv").write_text("right\tp\nno\t1\nno\t0\nyes\t0\nno\t0\nno\t1\n")
    for condition, places in (("right=yes or p=1", [0, 2, 4]), ("right and p<1", [2, 3])):
        condition = f"{tmp_path / 't.tsv'}: {condition}"
        found = cnnvis.run("get-labels", sorter, data=data, images=condition).table
        assert found is not None and found["image"] == places
    table = cnnvis.run("get-predictions", sorter, data=data).table
    assert table is not None and table["prediction"] == ["ape", "ape", "bee", "bee", "cow"]
    np.testing.assert_allclose(table["p"], p.max(axis=1), rtol=1e-5)
    assert table["right"] == [True, False, True, True, False]
    np.testing.assert_allclose(table["score"], 4 * x.max(axis=1), rtol=1e-6)
    from_one = cnnvis.Samples(x, np.array([1, 2, 2, 2, 3]))
    table = cnnvis.run("get-predictions", sorter, data=from_one).table
    assert table is not None and "right" not in table and table["prediction"][2] == "1"
    for condition, sentence in (
        ("p[dog]>0.5", "no class 'dog'"),
        ("predicted<ape", "the predicted class has no order"),
        ("p>high", "p holds numbers, and 'high' is no number"),
    ):
        with pytest.raises(cnnvis.UserError, match=sentence):
            cnnvis.run("get-labels", sorter, data=data, images=condition)


def test_of_a_single_sigmoid_p_is_of_the_answer(keras: Any) -> None:
    network = keras.Sequential([keras.layers.Input((1,)), keras.layers.Dense(1, "sigmoid")])
    network.set_weights([np.ones((1, 1)), np.zeros(1)])
    data = cnnvis.Samples(np.array([[-3.0], [-1], [1], [3]]), class_names=("no", "yes"))
    for condition, places in (("p>0.9", [0, 3]), ("p[no]>0.9", [0]), ("p[yes]>0.5", [2, 3])):
        found = cnnvis.run("saliency", network, data=data, images=condition, backprop=None)
        assert found.indices is not None and found.indices.tolist() == places


@pytest.mark.slow
@pytest.mark.usefixtures("facts")
def test_conditions_are_typed_and_kept(typed: Callable[..., Any], tmp_path: Path) -> None:
    condition = "facts.tsv: population=CEU and p=0.5 and image<40"
    chain = ("chain", "demo", "-im", condition, "saliency", "-bm", "none", "numpy")
    done = typed(*chain, "-o", "a.npz", "--save-chain", "study.toml")
    assert done.returncode == 0 and "p is a column of 'facts.tsv'" in done.stderr, done.stderr
    typed("chain", "--file", "study.toml", "-o", "b.npz")
    for name in ("a.npz", "b.npz"):
        found = cnnvis.Explanation.load(tmp_path / name).indices
        assert found is not None and found.tolist() == [0, 2]
