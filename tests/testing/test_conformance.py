"""The conformance kit: built-in plugins hold to it, and wrong ones are caught."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from quick import quick_at

import cnnvis
import cnnvis.testing
from cnnvis.registry.discovery import Registry, registry, using

BUILT_IN = sorted(
    {plugin.name for plugin in Registry(only=[]) if not plugin.missing and not plugin.extra}
)


def failures(plugin: str | Callable[..., Any], only: str = "") -> dict[str, str]:
    """What a plugin fails at, and why; of all checks, or of those whose names begin so."""
    found = {}
    for check in cnnvis.testing.checks(plugin):
        if not check.name.startswith(only):
            continue
        try:
            check()
        except cnnvis.testing.Violation as violation:
            found[check.name] = str(violation)
        except cnnvis.testing.NotApplicable:
            pass
    return found


LONG = {
    *(
        "activation-max",
        "blur-integrated-gradients",
        "caricature",
        "deep-dream",
        "deep-shap",
        "deeplift",
        "eigen-cam",
        "expected-gradients",
        "feature-ablation",
        "feature-visualization",
        "fullgrad",
        "grad-cam",
        "gradient-times-input",
        "guided-integrated-gradients",
        "integrated-gradients",
        "kernel-shap",
        "lime",
        "lrp",
        "maco",
        "nearest-samples",
        "occlusion",
        "rise",
        "saliency",
        "shapley-sampling",
        "smoothgrad",
        "smoothgrad-squared",
        "top-samples",
        "vargrad",
    ),
    *("ablation-cam", "grad-cam-plus-plus", "hires-cam", "layer-cam", "score-cam", "xgrad-cam"),
    *("class-sensitivity", "completeness", "randomization", "sanity", "srg"),
    *("deletion", "infidelity", "insertion", "max-sensitivity", "pixel-flipping", "road"),
    *(
        "average-precision",
        "energy-pointing-game",
        "iou",
        "sensitivity-n",
        "grid-localization",
    ),  # their parts are tried: pointing-game
}


VARIANTS = {
    *("smoothgrad-squared", "vargrad", "expected-gradients", "blur-integrated-gradients"),
    *("grad-cam-plus-plus", "hires-cam", "xgrad-cam", "deep-shap", "lime", "shapley-sampling"),
    *("feature-ablation", "caricature", "deep-dream", "insertion", "pixel-flipping", "iou"),
    *("average-precision", "energy-pointing-game"),
}
"""Those that share nearly all of their code with another of their family."""


def _marks(name: str) -> list[pytest.MarkDecorator]:
    exhaustive = [pytest.mark.exhaustive] if name in VARIANTS else []
    return [pytest.mark.slow, *exhaustive] if name in LONG else []


@pytest.mark.parametrize("name", [pytest.param(name, marks=_marks(name)) for name in BUILT_IN])
def test_built_in_plugins_hold_to_everything(name: str) -> None:
    assert failures(name) == {}


def _steps(model: Any, samples: Any, count: int) -> Any:
    """The mean gradient between zero and each sample."""
    x = samples.x.astype(np.float32)
    weights = model.target_weights(x)
    parts = [
        model.input_gradient(x * (step + 0.5) / count, weights=weights) for step in range(count)
    ]
    return np.mean(parts, axis=0)


@cnnvis.technique(
    "integrated-gradients-right", claims={"integrated-gradients": {}, "complete": {"steps": 50}}
)
def integrated(model: Any, samples: Any, *, steps: cnnvis.Count = 8) -> cnnvis.Explanation:
    """Integrated gradients.

    Parameters
    ----------
    steps
        How many steps the integral is taken in.
    """
    return cnnvis.Explanation(samples.x * _steps(model, samples, steps), samples)


@pytest.mark.slow
def test_a_right_method_holds() -> None:
    assert failures(integrated) == {}


@cnnvis.technique(
    "forgets-the-input", claims={"integrated-gradients": {}, "complete": {"steps": 50}}
)
def forgets_the_input(model: Any, samples: Any, *, steps: cnnvis.Count = 8) -> cnnvis.Explanation:
    """Integrated gradients without the last factor.

    Parameters
    ----------
    steps
        How many steps the integral is taken in.
    """
    return cnnvis.Explanation(_steps(model, samples, steps), samples)


@cnnvis.technique("noisy")
def noisy(model: Any, samples: Any) -> cnnvis.Explanation:
    """Draws noise that no seed holds."""
    noise = np.random.default_rng().normal(size=samples.x.shape)
    return cnnvis.Explanation(model.input_gradient(samples.x + noise), samples)


@cnnvis.technique("scales-by-the-batch")
def scales_by_the_batch(model: Any, samples: Any) -> cnnvis.Explanation:
    """Scales all maps by the largest value of any."""
    maps = model.input_gradient(samples.x)
    return cnnvis.Explanation(maps / abs(maps).max(), samples)


@cnnvis.technique("shows-the-data")
def shows_the_data(samples: Any) -> cnnvis.Explanation:
    """Gives the inputs."""
    return cnnvis.Explanation(samples.x.copy(), samples)


@cnnvis.technique("gives-the-samples")
def gives_the_samples(samples: Any) -> cnnvis.Explanation:
    """Gives the very array of the inputs."""
    return cnnvis.Explanation(samples.x, samples)


@cnnvis.technique("ignores-the-class")
def ignores_the_class(model: Any, samples: Any) -> cnnvis.Explanation:
    """Explains output 0 whatever is asked."""
    return cnnvis.Explanation(model.with_target(model.layer, 0).input_gradient(samples.x), samples)


@cnnvis.technique("flat-only")
def flat_only(model: Any, samples: Any) -> cnnvis.Explanation:
    """Takes it for granted that inputs are pictures with channels last."""
    gradient = model.input_gradient(samples.x)
    count, height, width, channels = gradient.shape
    return cnnvis.Explanation(gradient.reshape(count, height, width, channels), samples)


@cnnvis.technique("spoils-the-model")
def spoils_the_model(model: Any, samples: Any) -> cnnvis.Explanation:
    """Leaves the network with halved weights."""
    found = model.input_gradient(samples.x)
    model.network.set_weights([one / 2 for one in model.network.get_weights()])
    return cnnvis.Explanation(found, samples)


@cnnvis.technique("spoils-the-samples")
def spoils_the_samples(model: Any, samples: Any) -> cnnvis.Explanation:
    """Works in the array of the inputs."""
    samples.x[...] *= 0.5
    return cnnvis.Explanation(model.input_gradient(samples.x), samples)


@cnnvis.technique("undocumented")
def undocumented(model: Any, samples: Any, *, depth: int = 3) -> cnnvis.Explanation:
    """Has an option of which it says nothing."""
    return cnnvis.Explanation(model.input_gradient(samples.x), samples)


@cnnvis.technique("too-small")
def too_small(model: Any, samples: Any) -> cnnvis.Explanation:
    """Leaves the border out."""
    return cnnvis.Explanation(model.input_gradient(samples.x)[:, 1:-1].max(axis=-1), samples)


@cnnvis.technique("wrong-default")
def wrong_default(model: Any, samples: Any, *, steps: cnnvis.Count = 0) -> cnnvis.Explanation:
    """Has a default that nobody may type.

    Parameters
    ----------
    steps
        How many.
    """
    return cnnvis.Explanation(model.input_gradient(samples.x), samples)


@cnnvis.technique("loses-rows")
def loses_rows(model: Any, samples: Any) -> cnnvis.Explanation:
    """Repeats samples and does not say whose the rows are."""
    x = np.repeat(samples.x, 2, axis=0)
    maps = model.input_gradient(x).reshape(len(samples), 2, *samples.x.shape[1:])
    return cnnvis.Explanation(maps.mean(axis=1), samples)


@cnnvis.technique("raises")
def raises(model: Any, samples: Any) -> cnnvis.Explanation:
    """Raises what no person can mend."""
    raise KeyError("layer_7")


@cnnvis.technique("seeds-all")
def seeds_all(model: Any, samples: Any) -> cnnvis.Explanation:
    """Seeds the random numbers of everybody."""
    np.random.seed(0)
    noise = np.random.normal(size=samples.x.shape)
    return cnnvis.Explanation(model.input_gradient(samples.x + noise), samples)


@cnnvis.technique("moves-away")
def moves_away(model: Any, samples: Any) -> cnnvis.Explanation:
    """Works somewhere else."""
    os.chdir("/")
    return cnnvis.Explanation(model.input_gradient(samples.x), samples)


@pytest.mark.parametrize(
    ("wrong", "check", "said"),
    quick_at(
        range(0, 18, 2),
        [
            (forgets_the_input, "its claim holds: integrated-gradients", "multiplied by the input"),
            (forgets_the_input, "its claim holds: complete", "do not add up"),
            (noisy, "twice the same gives the same", "an option `seed`"),
            (
                scales_by_the_batch,
                "one sample alone gets the map",
                "a sample alone gets another map",
            ),
            (shows_the_data, "other weights give other maps", "the data alone"),
            (gives_the_samples, "the samples stay as they are", "the very array"),
            (
                ignores_the_class,
                "another class gives other maps",
                "the maps do not depend on the target",
            ),
            (flat_only, "it works over one spatial axis", "ValueError"),
            (flat_only, "it works over three spatial axes", "ValueError"),
            (spoils_the_model, "the model stays as it is", "changed the weights"),
            (spoils_the_samples, "the samples stay as they are", "work on a copy"),
            (undocumented, "its options are documented", "does not describe depth"),
            (wrong_default, "its options are documented", "steps .* cannot be 0"),
            (too_small, "it gives a map for every sample", r"\[10, 10\] positions"),
            (loses_rows, "it works with several inputs", "rows|samples"),
            (raises, "it gives a map for every sample", "KeyError.*layer_7"),
            (seeds_all, "the rest of the process stays as it is", "changed NumPy's global random"),
            (moves_away, "the rest of the process stays as it is", "changed the working directory"),
        ],
    ),
    ids=lambda value: getattr(value, "__name__", None),
)
def test_wrong_methods_are_caught(wrong: Callable[..., Any], check: str, said: str) -> None:
    (reason,) = failures(wrong, check).values()
    assert re.search(said, reason), reason


def test_importing_what_is_heavy_is_caught(tmp_path: Path) -> None:
    path = tmp_path / "heavy.py"
    path.write_text(
        "import scipy.ndimage\nimport cnnvis\n\n\n"
        "@cnnvis.transform('heavy')\ndef heavy(explanation):\n    'Heavy.'\n    return explanation\n"
    )
    known = Registry(only=[])
    known.add_file(path)
    with using(known):
        assert "imports scipy" in failures("heavy")["importing it imports nothing heavy"]


def test_a_function_under_a_taken_name_is_tested_under_its_full_one() -> None:
    @cnnvis.technique("saliency")
    def mine(samples: Any) -> cnnvis.Explanation:
        """Mine."""
        return cnnvis.Explanation(np.zeros((len(samples), 1)), samples)

    (check, *_) = cnnvis.testing.checks(mine)
    check()
    assert all(plugin.function is not mine for plugin in registry())  # only for the test


def test_what_is_no_plugin_is_refused() -> None:
    with pytest.raises(cnnvis.UserError, match="is no plugin: decorate it"):
        cnnvis.testing.checks(len)
    with pytest.raises(cnnvis.UserError, match="no step named 'salience'"):
        cnnvis.testing.checks("salience")
    with pytest.raises(cnnvis.UserError, match="has no option 'depth'"):
        cnnvis.testing.checks("saliency", depth=3)


def test_the_command_prints_a_line_for_each_check(typed: Any, tmp_path: Path) -> None:
    done = typed("test-plugin", "absolute")
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0].startswith("+ its options are documented")
    assert "checks of absolute" in lines[-1] and "failed" not in lines[-1]
    (tmp_path / "wrong.py").write_text(
        "import cnnvis\n\n\n@cnnvis.transform('wrong')\ndef wrong(explanation):\n"
        "    'Wrong.'\n    explanation.array[...] = 0\n    return explanation\n"
    )
    done = typed("--plugin", "wrong.py", "test-plugin", "wrong")
    assert done.returncode == 3
    assert (
        "x what it is given stays as it is: the transform wrong of wrong.py failed" in done.stdout
    )
    assert "is read-only (a plugin must not change its arguments: work on" in done.stdout
