"""Whether the networks of `keras.applications` are loaded and explained as they are in memory.

`python tests/plugins/loaders/applications.py` goes through all of them, of Keras 3 and of Keras 2 (the package
tf_keras), saved as ``.keras`` and as ``.h5``, each in a process of its own, and writes
docs/applications.md; that takes about two hours and some gigabytes of disk. With names
behind it, it does so for these alone and keeps the other rows.
"""

from __future__ import annotations

import importlib
import inspect
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

TABLE = Path(__file__).parents[3] / "docs" / "applications.md"
HOMES = {"keras": "Keras 3", "tf_keras": "Keras 2"}
SUFFIXES = ("keras", "h5")

SMALLEST = {"InceptionResNetV2": 75, "InceptionV3": 75, "Xception": 71}
"""How many pixels wide and high a picture must be, where that is more than 32."""

PREDICTIONS, GRADIENT = 1e-5, 1e-4
"""How far answers and gradients may be off, relative to the largest of them."""


UNSETTLED = (
    *("EfficientNetV2L", "ResNet152", "ResNetRS200", "ResNetRS270", "ResNetRS350", "ResNetRS420"),
)
"""So deep that with random weights rounding grows until Keras's own ways of computing disagree."""

PICTURES = 3
"""Of so many pictures one must have the same gradient: where rounding carries a number over the kink
of a ReLU, that of a picture jumps."""

SETTLING = 0.6
"""By what their normalizations multiply."""


@dataclass(frozen=True)
class Application:
    """A network of `keras.applications`.

    Attributes
    ----------
    name
        Its name there.
    preprocessing
        Whether it scales its pictures itself; None where it never does.
    """

    name: str
    preprocessing: bool | None = None

    @property
    def title(self) -> str:
        """What it is called in the table."""
        return f"{self.name}, without preprocessing" if self.preprocessing is False else self.name

    def build(self, home: str) -> Any:
        """Return a small one with random weights, which are always the same.

        Parameters
        ----------
        home
            The package to take it from, ``keras`` or ``tf_keras``.
        """
        package: Any = importlib.import_module(home)
        package.utils.set_random_seed(3)
        size = SMALLEST.get(self.name, 32)
        settings: dict[str, Any] = {"weights": None, "classes": 5, "input_shape": (size, size, 3)}
        if self.preprocessing is not None:
            settings["include_preprocessing"] = self.preprocessing
        network = getattr(package.applications, self.name)(**settings)
        if self.name in UNSETTLED:
            _settle(network)
        return network


def _settle(network: Any) -> None:
    """Have each normalization make less of what passes it: random weights make ever more of it."""
    for layer in network.layers:
        if hasattr(layer, "moving_variance"):
            layer.gamma.assign(layer.gamma * SETTLING)


@dataclass(frozen=True)
class Result:
    """What became of a network that was saved and loaded.

    Attributes
    ----------
    parameters
        How many numbers it has.
    predictions, gradient
        How far answers and the gradient by the input were off, relative to the largest of them.
    """

    parameters: int
    predictions: float
    gradient: float

    @property
    def is_right(self) -> bool:
        """Whether the loaded network is explained as the one in memory."""
        return self.predictions <= PREDICTIONS and self.gradient <= GRADIENT


def applications(home: str) -> Iterator[Application]:
    """Every application of a package, and what it has of each without preprocessing."""
    package: Any = importlib.import_module(home)
    for name, make in sorted(vars(package.applications).items()):
        if name[0].isupper() and inspect.isfunction(make):
            scales = "include_preprocessing" in inspect.signature(make).parameters
            yield Application(name, True if scales else None)
            if scales:
                yield Application(name, False)


def tried(
    application: Application, home: str, folder: Path, suffixes: Sequence[str] = SUFFIXES
) -> dict[str, Result]:
    """Save a network in each of these formats, load it with cnnvis and compare both.

    Raises
    ------
    AssertionError
        If a layer was cut off.
    """
    import cnnvis

    network = application.build(home)
    shape, parameters = network.input_shape[1:], network.count_params()
    scale = 255.0 if application.preprocessing else 1.0
    x = np.random.default_rng(5).uniform(0, scale, size=(PICTURES, *shape)).astype(np.float32)
    answers, expected = np.asarray(network(x, training=False)), _gradient(network, x)
    paths = {suffix: folder / f"model.{suffix}" for suffix in suffixes}
    for path in paths.values():
        network.save(path)
    del network
    found = {}
    for suffix, path in paths.items():
        model = cnnvis.load_model(path, filter=0)
        path.unlink()
        assert not model.cut, model.cut
        found[suffix] = Result(
            parameters,
            _relative(model.predict(x), answers),
            min(map(_relative, model.input_gradient(x), expected)),
        )
        del model
    return found


def _gradient(network: Any, x: Any) -> Any:
    """The gradient of the first output, its softmax left out, by the input."""
    import tensorflow as tf

    last = network.layers[-1]
    softmax, last.activation = last.activation, lambda value: value
    given = tf.constant(x)
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(given)
        score = network(given, training=False)[:, 0]
    last.activation = softmax
    return tape.gradient(score, given).numpy()


def _relative(found: Any, expected: Any) -> float:
    assert found.shape == expected.shape and np.abs(expected).max() > 0
    return float(np.abs(found - expected).max() / np.abs(expected).max())


# The page

HEAD = f"""# Which networks of `keras.applications` are loaded

Written by `python tests/plugins/loaders/applications.py`, which builds each network with random weights, small
pictures and five classes, saves it, loads it with cnnvis and compares it with the one in memory. It
*works* where the answers differ by at most {PREDICTIONS:g} of the largest, and the gradient of a class,
which is the map of saliency, by at most {GRADIENT:g} of its largest value for one of {PICTURES} pictures: where
rounding carries a number over the kink of a ReLU, the gradient jumps. The normalizations of
{", ".join(UNSETTLED[:-1])} and {UNSETTLED[-1]}
multiply by {SETTLING}: with random weights they are so deep that rounding grows until Keras's own ways of
computing them disagree. A test holds that each network of the installed Keras is here.

| network | {" | ".join(f".{suffix} of {title}" for title in HOMES.values() for suffix in SUFFIXES)} | parameters |
|---|{"---|" * (1 + len(HOMES) * len(SUFFIXES))}
"""


def rows() -> dict[str, str]:
    """The rows of the page as it stands, by the networks' titles."""
    lines = TABLE.read_text().splitlines() if TABLE.is_file() else []
    cells = (line.split("|")[1].strip() for line in lines if line.startswith("| "))
    rows_ = (line for line in lines if line.startswith("| "))
    return {name: line for name, line in zip(cells, rows_, strict=True) if name != "network"}


def _row(application: Application) -> str:
    cells, parameters = [], 0
    for home in HOMES:
        results = _in_a_process_of_its_own(application, home)
        for suffix in SUFFIXES:
            result = results.get(suffix)
            if not isinstance(result, dict):
                cells.append(result or "-")
                continue
            one = Result(**result)
            off = f"answers {one.predictions:.1g}, gradient {one.gradient:.1g} off"
            cells.append("works" if one.is_right else off)
            parameters = one.parameters
    return f"| {' | '.join([application.title, *cells, f'{parameters:,}'])} |"


def _in_a_process_of_its_own(application: Application, home: str) -> dict[str, Any]:
    if application not in applications(home):
        return {}
    words = [sys.executable, __file__, "--one", home, json.dumps(asdict(application))]
    done = subprocess.run(words, capture_output=True, text=True)
    answer = done.stdout.strip().splitlines()[-1:]
    if done.returncode or not answer:
        last = (done.stderr.strip().splitlines() or ["no word"])[-1][:200].replace("|", "/")
        return dict.fromkeys(SUFFIXES, f"no: {last}")
    return dict(json.loads(answer[0]))


def main(*names: str) -> None:
    """Go through the networks with these names, or all, and write the page."""
    every = list(dict.fromkeys(one for home in HOMES for one in applications(home)))
    found = rows()
    for one in sorted(every, key=lambda one: one.title):
        if not names or one.name in names:
            found[one.title] = _row(one)
            print(found[one.title], flush=True)
            titles = [other.title for other in every if other.title in found]
            TABLE.write_text(HEAD + "".join(f"{found[title]}\n" for title in sorted(titles)))


if __name__ == "__main__":
    if sys.argv[1:2] == ["--one"]:
        with tempfile.TemporaryDirectory() as folder_:
            results_ = tried(Application(**json.loads(sys.argv[3])), sys.argv[2], Path(folder_))
            print(json.dumps({suffix: asdict(one) for suffix, one in results_.items()}))
    else:
        main(*sys.argv[1:])
