"""The command line as a person meets it: real files, real processes."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from quick import quick_at

import cnnvis
from cnnvis.cli import plugin_pages
from cnnvis.cli.command_line import parsed
from cnnvis.cli.console import Screen
from cnnvis.registry.discovery import Registry, registry, using

Command = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory, classifier: Any) -> Path:
    """A model, data of several kinds, and files that are neither."""
    folder = tmp_path_factory.mktemp("files")
    classifier.save(folder / "model.keras")
    rng = np.random.default_rng(0)
    x = rng.normal(size=(6, 12, 10, 2)).astype(np.float32)
    np.savez(folder / "data.npz", X=x, y=[0, 1, 2, 0, 1, 2], class_names=["ape", "bee", "cow"])
    np.savez(folder / "wrong.npz", X=x[:, :5])
    np.savez(folder / "two.npz", a=x, b=x)
    np.savez(folder / "empty.npz", X=x[:0])
    bad = x.copy()
    bad[2, 3, 3, 0] = np.nan
    np.save(folder / "nan.npy", bad)
    (folder / "text.h5").write_text("this is a text file\n")
    (folder / "text.pkl").write_text("this is a text file\n")
    (folder / "text.npz").write_text("this is a text file\n")
    (folder / "folder").mkdir()
    return folder


def _names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def _fails(done: subprocess.CompletedProcess[str], *parts: str) -> None:
    """One sentence on stderr, exit code 2, and nothing on stdout."""
    assert done.returncode == 2, done.stderr
    assert done.stdout == ""
    assert done.stderr.startswith("error: ")
    assert "Traceback" not in done.stderr
    assert len(done.stderr.splitlines()) == 1, done.stderr
    for part in parts:
        assert part in done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("technique", ["saliency", "grad-cam"])
def test_the_original_programs_command_line(
    reference: Path, command: Command, tmp_path: Path, technique: str
) -> None:
    seed = reference / "seed"
    done = command(
        "run", technique, seed / "introgression_32x32.h5", "--data", seed / "test_data_32x32.pkl",
        "--layer", "output", "--images", 0, 3, 5, 10, cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    path = Path("results") / f"{technique}_output_guided.png"
    assert done.stdout.splitlines() == [str(path)]
    assert all(line.startswith("note: ") for line in done.stderr.splitlines()), done.stderr
    assert _names(tmp_path / "results") == [path.name]
    with Image.open(tmp_path / path) as picture:
        assert picture.width > 600
        facts = json.loads(picture.info["cnnvis"])
    assert facts["options"]["backprop"] == "guided"
    assert facts["data"]["images"] == [0, 3, 5, 10]
    assert len(facts["model"]["sha256"]) == len(facts["data"]["sha256"]) == 64


@pytest.mark.parametrize(
    ("given", "name"),
    [("None", "none"), ("none", "none"), ("deconv", "deconv"), ("rectified", "rectified")],
)
def test_short_flags_and_modifiers(
    files: Path, typed: Command, tmp_path: Path, given: str, name: str
) -> None:
    done = typed(
        "run", "saliency", files / "model.keras", "-d", files / "data.npz", "-l", "second",
        "-im", 1, "-bm", given, "-r", "numpy",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert _names(tmp_path / "results") == [f"saliency_second_{name}.npz"]


def test_the_command_line_and_python_give_the_same(
    files: Path, typed: Command, tmp_path: Path
) -> None:
    done = typed(
        "run", "saliency", files / "model.keras", "-d", files / "data.npz", "-im", 4, 1,
        "--class", "cow", "--gradient", "relu", "-o", tmp_path / "it.npz",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    typed = cnnvis.Explanation.load(tmp_path / "it.npz")
    called = cnnvis.run(
        "saliency",
        files / "model.keras",
        data=files / "data.npz",
        images=[4, 1],
        filter="cow",
        gradient="relu",
    )
    np.testing.assert_allclose(typed.maps, called.maps, rtol=1e-5)
    assert typed.indices is not None and typed.indices.tolist() == [4, 1]
    assert typed.target == called.target == "classes[cow]"
    assert typed.provenance["options"] == {
        "backprop": "guided",
        "gradient": "relu",
        "channels": "max",
        "keras_vis": False,
    }


def test_several_renderers_with_options(files: Path, typed: Command, tmp_path: Path) -> None:
    done = typed(
        "run", "saliency", files / "model.keras", "-d", files / "data.npz", "-im", 0, 1,
        "-r", "png", "-r", "terminal", "-r", "numpy", "--png.cmap", "hot", "--png.dpi", "50",
        "-o", tmp_path / "out" / "it.png",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert _names(tmp_path / "out") == ["it.npz", "it.png"]
    assert "peak (row, column)" in done.stdout and "\x1b" not in done.stdout
    assert done.stdout.splitlines()[-2:] == [
        str(tmp_path / "out" / "it.png"),
        str(tmp_path / "out" / "it.npz"),
    ]


@pytest.mark.parametrize(
    ("words", "parts"),
    quick_at(
        range(0, 35, 3),
        [
            (["run", "salency", "{}/model.keras"], ["'salency'", "Did you mean 'saliency'?"]),
            (["rnu"], ["no command 'rnu'", "Did you mean 'run'?"]),
            (["run", "saliency"], ["required: MODEL"]),
            (
                ["run", "saliency", "{}/modle.keras"],
                ["no model file", "Did you mean 'model.keras'?"],
            ),
            (["run", "saliency", "{}/text.h5", "-d", "{}/data.npz"], ["it is a text file"]),
            (
                ["run", "saliency", "{}/text.pkl", "-d", "{}/data.npz"],
                ["no loader takes", ".keras"],
            ),
            (["run", "saliency", "{}/folder", "-d", "{}/data.npz"], ["no loader takes the folder"]),
            (["run", "saliency", "{}/model.keras"], ["needs data", "--data"]),
            (
                ["run", "saliency", "{}/model.keras", "-d", "{}/daat.npz"],
                ["no data file", "data.npz"],
            ),
            (["run", "saliency", "{}/model.keras", "-d", "{}/text.pkl"], ["text.pkl"]),
            (["run", "saliency", "{}/model.keras", "-d", "{}/text.npz"], ["text.npz"]),
            (
                ["run", "saliency", "{}/model.keras", "-d", "{}/folder"],
                ["no images in", ".nii.gz", ".wav"],
            ),
            (
                ["run", "saliency", "{}/model.keras", "-d", "{}/two.npz"],
                ["takes one input", "data hold 'a', 'b'"],
            ),
            (["run", "saliency", "{}/model.keras", "-d", "{}/empty.npz"], ["no images"]),
            (
                ["run", "saliency", "{}/model.keras", "-d", "{}/wrong.npz"],
                ["(12, 10, 2)", "(5, 10, 2)"],
            ),
            (
                ["run", "saliency", "{}/model.keras", "-d", "{}/data.npz", "-im", "0", "6"],
                ["no image 6", "0 to 5"],
            ),
            (
                ["run", "saliency", "{}/model.keras", "-d", "{}/data.npz", "-im", "0", "x"],
                ["'x' chooses no images"],
            ),
            (
                ["run", "saliency", "{}/model.keras", "-d", "{}/data.npz", "-l", "secnd"],
                ["no layer 'secnd'", "Did you mean 'second'?", "first, pool, second"],
            ),
            (
                ["run", "saliency", "{}/model.keras", "-d", "{}/data.npz", "--class", "owl"],
                ["no class 'owl'", "ape, bee, cow"],
            ),
            (
                ["run", "saliency", "{}/model.keras", "-d", "{}/data.npz", "-bm", "guidd"],
                ["cannot be 'guidd'", "Did you mean 'guided'?"],
            ),
            (
                ["run", "saliency", "{}/model.keras", "-d", "{}/data.npz", "--bakprop", "guided"],
                ["no option '--bakprop'", "Did you mean '--backprop'?"],
            ),
            (
                ["run", "saliency", "{}/model.keras", "-d", "{}/data.npz", "-r", "pgn"],
                ["no renderer named 'pgn'", "Did you mean 'png'?"],
            ),
            (
                ["run", "saliency", "{}/model.keras", "-d", "{}/data.npz", "--png.cmap", "htt"],
                ["no colour map 'htt'"],
            ),
            (
                ["run", "saliency", "{}/model.keras", "-d", "{}/data.npz", "-o", "{}/it.doc"],
                ["no renderer writes files with the ending '.doc'"],
            ),
            (
                [
                    "run",
                    "saliency",
                    "{}/model.keras",
                    "-d",
                    "{}/data.npz",
                    "-o",
                    "{}/text.h5/it.png",
                ],
                ["cannot be written"],
            ),
            (
                ["run", "grad-cam", "{}/model.keras", "-d", "{}/data.npz", "-l", "first"],
                ["no layer before 'first' has positions along the spatial axes", "saliency"],
            ),
            (["run", "filter-weights", "{}/model.keras", "-l", "flat"], ["'flat'", "no kernel"]),
            (["run", "activation-max", "{}/model.keras", "--start", "data"], ["--data"]),
            (["run", "activation-max", "{}/model.keras", "--jitter", "1", "2", "3"], ["jitter"]),
            (["run", "get-labels", "{}/model.keras", "-d", "{}/nan.npy"], ["without labels"]),
            (
                [
                    "run",
                    "saliency",
                    "{}/model.keras",
                    "-d",
                    "{}/data.npz",
                    "--class-names",
                    "a",
                    "b",
                ],
                ["2 class names", "'classes' has 3 outputs"],
            ),
            (
                ["run", "saliency", "{}/model.keras", "-d", "{}/data.npz", "--png.columns", "0"],
                ["columns of png cannot be '0': it takes int >= 1"],
            ),
            (
                ["run", "saliency", "{}/model.keras", "-d", "{}/data.npz", "--png.alpha", "1.5"],
                ["alpha of png", "float >= 0 and <= 1"],
            ),
            (["completion", "fish"], ["'fish'", "bash", "(see cnnvis completion --help)"]),
            (["show", "slaiency"], ["no plugin named 'slaiency'", "Did you mean 'saliency'?"]),
        ],
    ),
    ids=lambda value: " ".join(value[1:]) if isinstance(value, list) else "",
)
def test_mistakes_are_one_sentence(
    files: Path, typed: Command, tmp_path: Path, words: list[str], parts: list[str]
) -> None:
    done = typed(*(word.format(files) for word in words))
    _fails(done, *parts)
    assert _names(tmp_path) == []


@pytest.mark.parametrize(
    ("words", "flag"),
    [
        ("run saliency --class 1 demo", "--class"),
        ("run saliency --layer first --images 0 demo", "--images"),
        ("run occlusion --patch 3 demo", "--patch"),
        ("compare saliency grad-cam --filter 0 demo", "--filter"),
        ("evaluate saliency occlusion --stride 2 demo", "--stride"),
        ("chain --class 1 demo saliency", "--class"),
    ],
)
def test_a_model_among_the_values_of_a_flag_is_said_to_be_there(words: str, flag: str) -> None:
    sentence = f"{flag} takes all words behind it, here also 'demo'; put the model before {flag}"
    with pytest.raises(cnnvis.UserError, match=sentence):
        parsed(words.split())
    # What is missing otherwise has no such flag.
    with pytest.raises(cnnvis.UserError, match=r"MODEL \(see"):
        parsed(["run", "saliency", "--class", "1"])


def test_a_dead_target_is_no_blank_picture(
    keras: Any, files: Path, typed: Command, tmp_path: Path
) -> None:
    network = keras.Sequential(
        [
            keras.layers.Input((12, 10, 2)),
            keras.layers.Conv2D(2, 3, activation="relu", bias_initializer=keras.initializers.Constant(-1e6)),
            keras.layers.Flatten(),
            keras.layers.Dense(2, name="output"),
        ]
    )  # fmt: skip
    network.save(tmp_path / "dead.keras")
    done = typed("run", "saliency", tmp_path / "dead.keras", "-d", files / "data.npz")
    _fails(done, "zero everywhere")
    assert _names(tmp_path) == ["dead.keras"]


def test_a_bug_is_said_to_be_one(tmp_path: Path) -> None:
    program = (
        "import sys, cnnvis.cli.main, cnnvis.cli.plugin_pages as pages\n"
        "def broken(*_, **__): raise ZeroDivisionError('by nothing')\n"
        "pages.list_plugins = broken\n"
        "cnnvis.cli.main.main(sys.argv[1:])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, "list-plugins"], capture_output=True, text=True
    )
    assert done.returncode == 1
    assert done.stderr.startswith("error: ZeroDivisionError: by nothing. This is a bug")


def test_output_that_nobody_reads(command: Command) -> None:
    done = subprocess.run(
        f"{sys.executable} -m cnnvis list-plugins --json | head -1",
        shell=True,
        capture_output=True,
        text=True,
    )
    assert done.stdout.strip() == "["
    assert done.stderr == ""


def test_tables(reference: Path, typed: Command, tmp_path: Path) -> None:
    seed = reference / "seed"
    model, data = seed / "introgression_32x32.h5", seed / "test_data_32x32.pkl"
    done = typed("run", "get-labels", model, "-d", data)
    rows = [line.split() for line in done.stdout.splitlines() if line.strip()]
    assert rows[0] == ["image", "label"]
    assert len([row for row in rows if row[0].isdigit()]) == 100
    assert sum(row[1:] == ["1"] for row in rows) == 34
    done = typed(
        "run", "get-labels", model, "-d", data, "--class-names", "-", "AI", "-im", "0", "1"
    )
    assert "AI" in done.stdout
    done = typed("run", "model-summary", model)
    assert "68 x 32 x 1" in done.stdout and "batch_normalization_3" in done.stdout.replace("\n", "")
    assert "13 layers, 8,981 parameters" in done.stderr
    assert _names(tmp_path) == []


@pytest.mark.slow
def test_the_demo(command: Command, tmp_path: Path) -> None:
    done = command("run", "saliency", "demo", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "results/saliency_output_guided.png\n"
    assert done.stderr.splitlines() == [
        "note: 4 images of the demo are explained; --images all explains all",
        "note: guided backpropagation was used in 4 activations up to 'output' (4 ReLU); "
        "for the plain gradient: --backprop none",
    ]
    done = command("run", "get-labels", "demo", cwd=tmp_path)
    assert "sweep" in done.stdout and len(done.stdout.splitlines()) > 40


@pytest.mark.slow
def test_in_a_terminal_the_picture_is_shown(tmp_path: Path) -> None:
    pty = pytest.importorskip("pty")
    read: list[bytes] = []

    def keep(descriptor: int) -> bytes:
        read.append(os.read(descriptor, 1 << 16))
        return read[-1]

    here = Path.cwd()
    os.chdir(tmp_path)
    environment = {"TERM": "xterm-256color", "COLORTERM": "truecolor", "COLUMNS": "80"}
    before = dict(os.environ)
    os.environ.update(environment)
    os.environ.pop("NO_COLOR", None)
    try:
        status = pty.spawn([sys.executable, "-m", "cnnvis", "run", "saliency", "demo"], keep)
    finally:
        os.chdir(here)
        os.environ.clear()
        os.environ.update(before)
    shown = b"".join(read).decode()
    assert status == 0, shown
    assert "▄" in shown or "▀" in shown
    assert "\x1b[38;2;" in shown
    assert "results/saliency_output_guided.png" in shown
    assert "tensorflow" not in shown.lower()


@pytest.mark.slow
def test_quiet_and_verbose(files: Path, typed: Command, tmp_path: Path) -> None:
    words = ["run", "grad-cam", files / "model.keras", "-d", files / "data.npz", "-im", 0]
    assert "note: grad-cam used" in typed(*words).stderr
    assert typed(*words, "-q").stderr == ""
    told = typed(*words, "-v").stderr
    assert '"technique": "grad-cam"' in told


def test_listing(typed: Command) -> None:
    listed = json.loads(typed("list-plugins", "--json").stdout)
    assert {"kind": "technique", "name": "saliency"}.items() <= next(
        plugin for plugin in listed if plugin["name"] == "saliency"
    ).items()
    assert {plugin["distribution"] for plugin in listed} >= {"cnnvis"}
    only = json.loads(typed("list-plugins", "--kind", "reader", "--json").stdout)
    assert {plugin["kind"] for plugin in only} == {"reader"}
    shown = json.loads(typed("show", "saliency", "--json").stdout)
    assert shown["reference"] == "arXiv:1312.6034"
    backprop = next(option for option in shown["options"] if option["name"] == "backprop")
    assert backprop["default"] == "guided"
    assert backprop["choices"] == ["guided", "rectified", "deconv", "relu", None]
    assert "--backprop" in typed("show", "saliency").stdout
    assert "--png.cmap" in typed("show", "png").stdout
    assert cnnvis.__version__ in typed("--version").stdout


def test_the_list_of_plugins_has_a_line_for_each(typed: Command) -> None:
    whole = typed("list-plugins").stdout.splitlines()
    assert whole[0] == "techniques" and "  gradients" in whole and "metrics" in whole
    (saliency,) = (line for line in whole if line.split()[:1] == ["saliency"])
    summary = "The gradient of the target's score with respect to the input."
    assert saliency == f"    {'saliency':27} {summary}"
    assert max(map(len, whole)) > 80  # a file or a pipe has all words
    long = typed("list-plugins", "--long", "--kind", "technique").stdout
    assert f"{summary} (cnnvis {cnnvis.__version__}) arXiv:1312.6034\n" in long


def test_a_terminal_has_a_line_that_fits(monkeypatch: pytest.MonkeyPatch) -> None:
    file = io.StringIO()
    screen = Screen(file=file, force_terminal=True, color_system=None, width=80)
    monkeypatch.setattr(plugin_pages, "results", lambda: screen)
    missing = replace(registry().get("technique", "saliency"), requires=("nothing_so_called",))
    others = [replace(missing, name=f"far:{name}", extra="far") for name in ("cam", "rise")]
    known = Registry(only=[])
    for one in others:
        known.add(one)
    with using(known):
        plugin_pages.list_plugins("technique")
    lines = file.getvalue().splitlines()
    (said,) = (line for line in lines if line.startswith("not usable"))
    assert said == (
        "not usable: far: cam, rise: it needs nothing_so_called, which pip install 'cnnvis[far]' installs"
    )
    listed = [line for line in lines if line.startswith("    ")]
    assert len(listed) == len([one for one in known.of("technique") if not one.missing])
    assert max(map(len, listed)) <= 80 and any(line.endswith("…") for line in listed)


def test_help_shows_the_options_of_the_technique(typed: Command) -> None:
    text = " ".join(typed("run", "activation-max", "--help").stdout.split())
    for part in (
        "--tv-weight",
        "default: 1e-05",
        "--input-range",
        "--no-fall-back",
        "--seed",
        "-bm",
    ):
        assert part in text
    assert "--png.cmap" in text  # told of, but its flags are not all listed
    assert "--png.dpi" not in text


@pytest.mark.parametrize(
    "words", ["list-plugins", "show saliency", "config path", "completion bash"]
)
def test_every_command_takes_the_flag_that_shows_tracebacks(typed: Command, words: str) -> None:
    assert typed(*words.split(), "-v").stdout == typed(*words.split()).stdout


@pytest.mark.slow
def test_completion(command: Command, tmp_path: Path) -> None:
    script = tmp_path / "completion.bash"
    script.write_text(command("completion", "bash").stdout)
    for typed, expected in (
        ("run saliency x --back", ["--backprop"]),
        ("chain x thre", ["threshold"]),
        ("chain x saliency --sigm", ["--sigma"]),
        ("config sch", ["schema"]),
        ("doc", ["doctor"]),
    ):
        words = f"cnnvis {typed}".split()
        program = (
            f"source {script}; COMP_WORDS=({' '.join(words)}); COMP_CWORD={len(words) - 1}; "
            '_shtab_cnnvis; echo "${COMPREPLY[@]}"'
        )
        done = subprocess.run(["bash", "-c", program], capture_output=True, text=True)
        assert done.stdout.split() == expected, (typed, done.stderr)


@pytest.mark.parametrize(("words", "code"), [(["--version"], 0), (["run", "nix", "demo"], 2)])
def test_the_process_ends_with_the_code_and_all_that_was_said(words: list[str], code: int) -> None:
    # What is registered later is done before, and printed before the output is closed.
    program = (
        "import atexit, cnnvis.cli.main as cli; main = cli.main\n"
        "cli.main = lambda: (atexit.register(print, 'cleared up'), main())\n"
        "cli.entry()"
    )
    done = subprocess.run([sys.executable, "-c", program, *words], capture_output=True, text=True)
    assert done.returncode == code
    assert done.stdout.endswith("cleared up\n") and bool(done.stderr) is bool(code)
