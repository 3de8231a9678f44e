"""Calls of Xplique, in this process or in that of another environment, which has no cnnvis."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from cnnvis.plugins.adapters._processes.seeding import seeded
from cnnvis.plugins.adapters._processes.serving import Unsuitable

BATCH = 32
"""Number of images that the library is given at a time."""


class Library:
    """Xplique with a Keras 3 network of inputs (n, ...) to outputs (n, k)."""

    def __init__(self, network: Any = None) -> None:
        self._network = network
        self._explainer: Any = None

    def load(self, network: bytes) -> None:
        """Take another network, as Keras saves it; no code that it may hold is run."""
        import tempfile
        from pathlib import Path

        import keras

        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "network.keras"
            path.write_bytes(network)
            try:
                self._network = keras.saving.load_model(path, compile=False, safe_mode=True)
            except Exception as error:  # which Keras nests in others, with all it knows
                said = str(error).rpartition("Exception encountered: ")[2]
                raise Unsuitable(
                    f"Keras {keras.__version__} in Xplique's environment does not read the network: "
                    f"{said.partition('. ')[0]}"
                ) from error

    def use(self, kind: str, settings: Mapping[str, Any]) -> None:
        """Choose an attribution method: a class of `xplique.attributions`, and its settings."""
        from xplique import attributions

        self._explainer = getattr(attributions, kind)(self._network, batch_size=BATCH, **settings)

    def attributions(self, x: Any, weights: Any, seed: int | None) -> Any:
        """Return the method's maps of inputs (n, ...) for the weights of outputs (n, k)."""
        import numpy as np

        if seed is None:
            return np.asarray(self._explainer(x, weights))
        with seeded(seed), drawing_anew():
            return np.asarray(self._explainer(x, weights))

    def concepts(
        self, layer: str, row: Any, examples: Any, x: Any, settings: Mapping[str, Any]
    ) -> dict[str, Any]:
        """Find concepts with CRAFT, and where they are in images.

        Parameters
        ----------
        layer
            The layer whose activations are split into concepts.
        row
            The weights of the outputs in the score, (k,).
        examples
            Inputs that the concepts are learned from, (m, rows, columns, channels).
        x
            Inputs to look for the concepts in, (n, rows, columns, channels).
        settings
            ``concepts``, ``crop``, ``designs`` and ``seed``.

        Returns
        -------
        dict
            ``importances`` of the concepts, (c,), and ``here`` for each input, (n, c); ``maps``, (n, rows of the
            layer, columns, c); ``crops``, (p, crop, crop, channels), ``in_crops``, (p, c), the amount of
            each concept in each; ``share`` of the crops' activations that the concepts make up;
            ``constant``, the number of examples whose score no mask changes; ``converged``.

        Raises
        ------
        Unsuitable
            If the layer cannot be split.
        """
        import numpy as np
        from sklearn.exceptions import ConvergenceWarning
        from xplique.concepts import CraftTf

        craft = CraftTf(
            *_halves(self._network, layer, row),
            number_of_concepts=settings["concepts"], patch_size=settings["crop"], batch_size=BATCH,
        )  # fmt: skip
        with seeded(settings["seed"]), warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always", ConvergenceWarning)
            activations = _of_crops(craft, examples, layer)
            crops, in_crops, bank = craft.fit(examples)
            if not (in_crops.any(axis=0) & bank.any(axis=1)).all():
                raise _not_split(
                    layer,
                    f"its activations, which reach {activations.max():.2g}, do not make up "
                    f"{settings['concepts']} concepts: some are 0 everywhere; use fewer --concepts",
                )
            # Each image by itself: the library's factorization stops sooner or later beside others.
            maps = [craft.transform(one[None])[0] for one in x]
            here = _importances(craft, x, settings["designs"])
            of_examples = _importances(craft, examples, settings["designs"])
        depends = np.isfinite(of_examples).all(axis=1)
        if not depends.any():
            raise _not_split(layer, "the score does not change when concepts are masked")
        left = np.linalg.norm(activations - in_crops @ bank) / np.linalg.norm(activations)
        return {
            "importances": of_examples[depends].mean(axis=0),
            "here": here,
            "maps": np.asarray(maps, np.float32),
            "crops": np.asarray(crops),
            "in_crops": np.asarray(in_crops),
            "share": float(1 - left**2),
            "constant": int((~depends).sum()),
            "converged": not any(issubclass(one.category, ConvergenceWarning) for one in said),
        }


def begun() -> tuple[dict[str, str], Callable[[dict[str, Any]], Any]]:
    """Return the versions of the environment, and the function that carries out requests."""
    import keras
    import tensorflow as tf
    import xplique

    library = Library()

    def answered(request: dict[str, Any]) -> Any:
        return getattr(library, request.pop("do"))(**request)

    versions = {"tensorflow": tf.__version__, "keras": keras.__version__}
    return {"xplique": xplique.__version__, **versions}, answered


def _halves(network: Any, layer: str, row: Any) -> tuple[Any, Any]:
    """Split a network at a layer: inputs to its activations, and these to the score, (n, 1)."""
    import keras
    import numpy as np

    found = network.get_layer(layer).output
    score = keras.layers.Dense(1, use_bias=False, kernel_initializer="zeros")
    try:
        upper = keras.Model(found, score(network.output))
    except (KeyError, ValueError):
        raise _not_split(
            layer,
            "the score is not computed from it alone: other layers pass it by, as within a block of a "
            "residual network",
        ) from None
    score.set_weights([np.asarray(row, np.float32)[:, None]])
    return keras.Model(network.inputs, found), upper


def _of_crops(craft: Any, examples: Any, layer: str) -> Any:
    """Return the activations of the crops of examples, averaged over positions, (p, channels)."""
    import numpy as np

    try:
        found = craft._extract_patches(examples)
    except AssertionError:  # the library's own check
        raise _not_split(
            layer,
            "some of its activations are negative, and CRAFT splits activations that are 0 or more, "
            "such as those behind a ReLU; use such a layer with --penultimate",
        ) from None
    craft._extract_patches = lambda _: found  # which it would compute again
    activations = np.asarray(found[1])
    if not activations.any():
        raise _not_split(layer, "all of its activations are 0")
    return activations


def _not_split(layer: str, reason: str) -> Unsuitable:
    return Unsuitable(f"Xplique's CRAFT cannot split {layer!r}: {reason}")


def _importances(craft: Any, x: Any, designs: int) -> Any:
    """Return the total Sobol index of each concept for each input, NaN where no mask matters, (n, c)."""
    import numpy as np

    with np.errstate(divide="ignore", invalid="ignore"):
        found = [craft.estimate_importance(one[None], nb_design=designs) for one in x]
    return np.array(found, np.float64).reshape(len(x), craft.number_of_concepts)


@contextmanager
def drawing_anew() -> Iterator[None]:
    """Let the library draw from the seed that is set now.

    It draws in functions that TensorFlow compiles once, with the seed of that time.
    """
    from xplique.attributions import Rise
    from xplique.attributions.gradient_statistics.gradient_statistic import GradientStatistic

    compiled = [(Rise, "_get_masks"), (GradientStatistic, "_perturb_samples")]
    before = [vars(where)[name] for where, name in compiled]
    for (where, name), one in zip(compiled, before, strict=True):
        setattr(where, name, staticmethod(one.__func__.python_function))
    try:
        yield
    finally:
        for (where, name), one in zip(compiled, before, strict=True):
            setattr(where, name, one)
