"""All methods that are scored, and how one is run on a case, with cnnvis's checks."""

from __future__ import annotations

import contextlib
import importlib.util
import io
import re
import time
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

import cnnvis
from benchmarks.truth.case import Array, Case, Scale

CHECKS = ("sanity", "completeness", "srg", "class-sensitivity", "randomization")


@dataclass(frozen=True)
class Method:
    """Technique with options.

    Attributes
    ----------
    name
        What tables call it.
    technique, options
        What cnnvis is asked for.
    is_control
        True for an answer that is not the network's.
    is_slow
        True for one that is run only on the images that are checked.
    needs
        The package that it needs beside cnnvis.
    """

    name: str
    technique: str
    options: Mapping[str, Any] = field(default_factory=dict)
    is_control: bool = False
    is_slow: bool = False
    needs: str | None = None

    @property
    def is_installed(self) -> bool:
        """False if its package is not there."""
        return self.needs is None or importlib.util.find_spec(self.needs) is not None

    @property
    def file_name(self) -> str:
        """Where its answer for a case is kept, so that a new method runs alone."""
        return re.sub(r"[^a-z0-9+]+", "-", self.name.lower()) + ".json"


def _adapted(
    library: str, package: str, *names: str, **slow: Mapping[str, Any]
) -> Iterator[Method]:
    for name in names:
        yield Method(f"{library}:{name}", f"{library}:{name}", needs=package)
    for name, options in slow.items():
        name = f"{library}:{name}"
        yield Method(name, name, options, is_slow=True, needs=package)


METHODS = (
    Method("gradient", "saliency", {"backprop": None}),
    Method("gradient, signed", "saliency", {"backprop": None, "gradient": None}),
    Method("guided", "saliency", {"backprop": "guided"}),
    Method("rectified", "saliency", {"backprop": "rectified"}),
    Method("smoothgrad", "smoothgrad", {"copies": 25}),
    Method("integrated gradients, zero", "integrated-gradients", {"baseline": "zero", "most_steps": 200}),
    Method("integrated gradients, mean", "integrated-gradients", {"baseline": "mean", "most_steps": 200}),
    Method("expected gradients", "expected-gradients", {"baselines": 8, "steps": 8}),
    Method("smoothgrad squared", "smoothgrad-squared", {"copies": 25}),
    Method("vargrad", "vargrad", {"copies": 25}),
    Method("gradient times input", "gradient-times-input"),
    Method("fullgrad", "fullgrad"),
    Method("guided integrated gradients", "guided-integrated-gradients", {"steps": 20}, is_slow=True),
    Method("blur integrated gradients", "blur-integrated-gradients", {"steps": 20}, is_slow=True),
    Method("grad-cam, none", "grad-cam", {"backprop": None}),
    Method("grad-cam, guided", "grad-cam", {"backprop": "guided"}),
    Method("grad-cam, last layer", "grad-cam", {"backprop": None, "penultimate": "auto"}),
    Method("hires-cam", "hires-cam"),
    Method("layer-cam", "layer-cam"),
    Method("grad-cam++", "grad-cam-plus-plus"),
    Method("xgrad-cam", "xgrad-cam"),
    Method("eigen-cam", "eigen-cam"),
    Method("score-cam", "score-cam"),
    Method("ablation-cam", "ablation-cam"),
    Method("lrp, epsilon", "lrp", {"composite": "epsilon"}),
    Method("lrp, epsilon-plus", "lrp"),
    Method("lrp, epsilon-gamma-box", "lrp", {"composite": "epsilon-gamma-box"}),
    Method("deeplift", "deeplift"),
    Method("deep shap", "deep-shap", {"baselines": 8}),
    Method("occlusion", "occlusion", is_slow=True),
    Method("feature ablation", "feature-ablation", is_slow=True),
    Method("rise", "rise", {"masks": 300}, is_slow=True),
    Method("lime", "lime", {"sets": 300}, is_slow=True),
    Method("kernel shap", "kernel-shap", {"sets": 300}, is_slow=True),
    Method("shapley sampling", "shapley-sampling", {"orders": 6}, is_slow=True),
    *_adapted("tf-keras-vis", "tf_keras_vis", "saliency", "grad-cam", "grad-cam-plus-plus",
              "layer-cam", "score-cam"),
    *_adapted("shap", "shap", **{"gradient-explainer": {}}),
    *_adapted("xplique", "xplique", "saliency", "gradient-input", "guided", "deconv",
              "integrated-gradients", "grad-cam", "grad-cam-plus-plus",
              smoothgrad={"copies": 25}, rise={"masks": 200}, sobol={"designs": 4}),
    Method("random", "random-map", is_control=True),
    Method("edges (Sobel)", "edge-map", is_control=True),
    Method("Laplace", "laplace-map", is_control=True),
    Method("input", "input-map", is_control=True),
    Method("input, inverted", "inverted-input-map", is_control=True),
    Method("gradient, inverted", "inverted-gradient-map", is_control=True),
)  # fmt: skip

KNOWS_THE_NETWORK = "gradient, inverted"
"""The control that asks the network, and tells the opposite of its answer."""


def load_controls() -> None:
    """Let cnnvis find the techniques of controls.py."""
    cnnvis.load_plugin(Path(__file__).with_name("controls.py"))


def shown_and_sizes(maps: Array, space: int) -> tuple[Array, Array]:
    """Return maps over the spatial axes alone: with their signs, and the sizes of their values."""
    if maps.ndim == space + 1:
        return maps, abs(maps)
    return maps.sum(axis=-1), abs(maps).sum(axis=-1)


def run(case: Case, method: Method, model: Any, scale: Scale) -> dict[str, Any]:
    """Return the scores of a method's maps, and what the checks say of the first ones.

    What cannot explain the network gives its reason: ``left out``.
    """
    begin = time.perf_counter()
    data = (case.x, case.y)
    first, rest = case.explained[: scale.checked], case.explained[scale.checked :]
    given: dict[str, Any] = {"data": data, "class_names": list(case.class_names) or None}
    with warnings.catch_warnings(), _silence():
        warnings.simplefilter("ignore")
        try:
            found = cnnvis.run(method.technique, model, images=first.tolist(), metrics=CHECKS,
                               **given, **method.options)  # fmt: skip
            every = [found.array]
            if len(rest) and not method.is_slow:
                more = cnnvis.run(
                    method.technique, model, images=rest.tolist(), **given, **method.options
                )
                every.append(more.array)
        except (cnnvis.UserError, cnnvis.PluginError) as error:
            return {"method": method.name, "left out": str(error)}
    shown, sizes = shown_and_sizes(np.concatenate(every).astype(np.float64), case.x.ndim - 2)
    if len(shown) != len(first) + (0 if method.is_slow else len(rest)):
        return {"method": method.name, "left out": "some images could not be explained"}
    scored = [
        case.score(one, size, int(image))
        for one, size, image in zip(shown, sizes, case.explained[: len(shown)], strict=True)
    ]
    return {
        "method": method.name,
        "technique": method.technique,
        "options": dict(method.options),
        "control": method.is_control,
        "scores": {name: [round(one[name], 4) for one in scored] for name in scored[0]},
        "outcomes": {name: one.outcome for name, one in found.verdicts.items()},
        "meanings": {name: one.meaning for name, one in found.verdicts.items()},
        "checks": {name: _numbers(values) for name, values in found.measures.items()},
        "seconds": round(time.perf_counter() - begin, 2),
    }


def _numbers(values: Array) -> list[float | None]:
    """Return numbers as JSON holds them: nothing for NaN."""
    return [None if np.isnan(one) else round(float(one), 5) for one in values]


@contextlib.contextmanager
def _silence() -> Iterator[None]:
    """Keep the bars of other libraries out of the log."""
    with contextlib.redirect_stdout(io.StringIO()):
        yield
