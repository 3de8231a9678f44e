"""Results show themselves: in notebooks, on axes, in terminals, as frames and labelled arrays."""

from __future__ import annotations

import base64
import io
import sys
from typing import Any

import numpy as np
import pytest

import cnnvis

SMALL = np.random.default_rng(0).random((3, 6, 5))


def _small(**facts: Any) -> cnnvis.Explanation:
    samples = cnnvis.Samples(
        SMALL[..., None], labels=[0, 1, 1], class_names=("<b>cat", "dog"), names=("a", "b", "c")
    )
    targets = tuple(cnnvis.Target("out", (k,), None, 1.0 + k, 0.7) for k in (0, 1, 0))
    settings: dict[str, Any] = {"targets": targets, "predictions": np.array([0, 1, 0]), **facts}
    return cnnvis.Explanation(SMALL, samples, provenance={"technique": "saliency"}, **settings)


def _results() -> dict[str, Any]:
    maps = cnnvis.run("saliency", "demo", images=[0, 1])
    return {
        "maps": maps,
        "table": cnnvis.run("model-summary", "demo"),
        "comparison": cnnvis.compare(maps, cnnvis.run("grad-cam", "demo", images=[0, 1])),
        "evaluation": cnnvis.evaluate(
            ["saliency", "grad-cam"],
            "demo",
            images="0-5",
            metrics=["srg", "sparseness"],
            curves=True,
        ),
        "doctor": cnnvis.doctor("demo", "demo"),
        "samples": cnnvis.read_samples("demo"),
        "groups": cnnvis.chain("demo", ["saliency", "average"], images="0-5")[0],
        "report": cnnvis.report("demo", ["saliency"], images="0-5"),
    }


def test_notebooks_show_static_pages_of_all_results() -> None:
    wanted = {
        "maps": "Map of saliency for image 0", "table": "GlobalAveragePooling2D",
        "comparison": "spearman", "evaluation": "passed", "doctor": "9,248",
        "samples": "40 inputs", "groups": "mean of sweep", "report": "6 images of data.npz",
    }  # fmt: skip
    for name, result in _results().items():
        found = result._repr_mimebundle_()
        assert len(found["text/plain"]) < 250 and found["text/plain"] == repr(result), name
        text = found["text/html"]
        assert wanted[name].replace("9,248", "9248") in text, name
        assert "<script" not in text and text.startswith('<div class="cnnvis part">')
        assert text.count('class="map') <= 8
        has_maps = name not in ("table", "evaluation", "doctor")
        assert ("image/png" in found) == has_maps
        if has_maps:
            assert base64.b64decode(found["image/png"]).startswith(b"\x89PNG")
        only = result._repr_mimebundle_(include={"text/plain"})
        assert list(only) == ["text/plain"]


def test_what_cannot_be_drawn_is_said_in_text() -> None:
    found = cnnvis.Explanation(np.zeros((2, 0, 3)))._repr_mimebundle_()
    assert list(found) == ["text/plain"] and "there is nothing to draw" in found["text/plain"]


def test_a_mistake_in_a_notebook_is_a_sentence() -> None:
    ultratb = pytest.importorskip("IPython.core.interactiveshell")
    shell = ultratb.InteractiveShell.instance()
    out, sys.stdout = sys.stdout, io.StringIO()
    try:
        shell.run_cell("import cnnvis\ncnnvis.run('salency', 'demo')")
        said = sys.stdout.getvalue()
    finally:
        sys.stdout = out
    assert "Did you mean 'saliency'?" in said and "Traceback" not in said
    assert len(said.splitlines()) <= 3


def test_the_sentence_of_a_mistake_without_ipython() -> None:
    with pytest.raises(cnnvis.UserError) as error:
        cnnvis.run("salency", "demo")
    (line,) = error.value._render_traceback_()
    assert line == f"UserError: {error.value}"


def test_maps_are_drawn_on_axes() -> None:
    from matplotlib.figure import Figure

    found = _small(signed=True)
    figure = found.plot()
    assert [axes.get_title().split("\n")[0] for axes in figure.axes[:3]] == [
        "#0 a label <b>cat", "#1 b label dog", "#2 c label dog",
    ]  # fmt: skip
    (image,) = figure.axes[1].images
    np.testing.assert_allclose(image.get_array(), SMALL[1], rtol=1e-6)
    low, high = image.get_clim()
    assert low == -high  # about zero, where signs mean something
    own = Figure()
    axes = own.subplots(1, 2)
    assert found[0].plot(ax=axes[0]) is own and axes[0].images and not axes[1].images
    found[1:].plot(ax=axes, overlay=True)
    assert len(axes[1].images) == 2
    profile = cnnvis.Explanation(np.arange(8.0)[None])
    assert profile.plot().axes[0].get_lines()
    for wrong, sentence in (
        (lambda: found.plot(ax=axes[0]), r"3 maps and 1 axes: .* explanation\[0\]"),
        (lambda: found.plot(cmap="nothing"), "no colour map 'nothing'"),
        (lambda: cnnvis.run("get-labels", "demo").plot(), "a table has no maps"),
        (lambda: cnnvis.Explanation(np.zeros((65, 2, 2))).plot(), "at most 64"),
    ):
        with pytest.raises(cnnvis.UserError, match=sentence):
            wrong()


def test_maps_are_printed(capsys: pytest.CaptureFixture[str]) -> None:
    _small().show(limit=1)
    out = capsys.readouterr().out
    assert "the first 1 of 3 maps" in out and "\x1b" not in out


def test_maps_as_labelled_arrays() -> None:
    pytest.importorskip("xarray")
    axis = cnnvis.Axis(name="position", unit="bp", start=10, step=5)
    found = _small(measures={"gini": np.arange(3.0)}).described({"column": axis}).to_xarray()
    assert found.dims == ("image", "row", "column") and found.name == "saliency"
    np.testing.assert_array_equal(found.sel(image=2).values, np.float32(SMALL[2]))
    assert found["column"].values.tolist() == [10, 15, 20, 25, 30]
    assert found["column"].attrs == {"long_name": "position", "units": "bp"}
    assert found["label"].values.tolist() == ["<b>cat", "dog", "dog"]
    assert found["score"].values.tolist() == [1, 2, 1] and found["gini"].values.tolist() == [
        0,
        1,
        2,
    ]
    (mean,) = cnnvis.chain("demo", ["saliency", "average"], images="0-5")
    assert mean.to_xarray()["group"].values.tolist() == ["neutral", "sweep"]
    table = cnnvis.run("get-labels", "demo").to_xarray()
    assert table.sizes == {"row": 40}


def test_maps_as_frames(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("pandas")
    frame = _small().to_dataframe()
    assert frame["image"].tolist() == [0, 1, 2] and frame["answer"].tolist()[1] == "dog"
    row, column = np.unravel_index(SMALL[1].argmax(), (6, 5))
    assert frame.loc[1, ["strongest row", "strongest column"]].tolist() == [row, column]
    assert frame["most"].tolist() == pytest.approx(SMALL.max(axis=(1, 2)).tolist())
    table = cnnvis.run("get-labels", "demo").to_dataframe()
    assert list(table) == ["image", "label", "class"]
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(cnnvis.UserError, match="to_dataframe needs pandas, which pip install"):
        _small().to_dataframe()
