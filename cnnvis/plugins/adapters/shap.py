"""SHAP, a library of its own, behind cnnvis's names: it computes, cnnvis shows."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import cnnvis
from cnnvis.plugins.adapters._libraries import making_layers, network_of
from cnnvis.plugins.adapters._processes.seeding import seeded

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Array = npt.NDArray[np.float32]


@cnnvis.technique(
    "shap:gradient-explainer",
    reference="arXiv:1906.10670",
    requires=("shap",),
    extra="shap",
    signed={},
)
def gradient_explainer(
    model: cnnvis.Model,
    samples: cnnvis.Samples,
    references: cnnvis.Samples,
    *,
    baselines: cnnvis.Count = 16,
    draws: cnnvis.Count = 200,
    seed: cnnvis.Seed = 0,
) -> cnnvis.Explanation:
    """Expected gradients by SHAP's GradientExplainer, with the integral drawn at random.

    M = mean over draws of (x - x') * dS/dx(x' + t (x - x')), for the score S, the input x, a sample
    x' of the data and a place t between 0 and 1, both drawn for each term: Erion et al. 2021. The mean
    over infinitely many draws is the map of expected-gradients with the same --baselines and --seed,
    which draws the same samples and takes the integral by quadrature. Of a network with several
    inputs, the other inputs are held.

    Parameters
    ----------
    baselines
        How many samples of the data are drawn from, of 256 evenly spaced ones.
    draws
        How many pairs of a sample and a place are drawn for each image: the library's nsamples. The
        error of a map falls with the square root of this number.
    seed
        The seed of the choice of the samples, and of the draws, which are the same for every image.
    """
    import numpy as np
    from shap import GradientExplainer

    starts = np.asarray(references.drawn(baselines, seed).x, np.float32)
    if len(starts) < min(2, baselines) or len(references) < 2:
        raise cnnvis.UserError(
            "shap:gradient-explainer compares an image with other samples of the data, and there are "
            f"{len(references)} in all; give more data, or use integrated-gradients with a baseline"
        )
    if len(starts) < baselines:
        cnnvis.note(
            f"there are {len(starts)} samples of the data to draw from, and not {baselines}"
        )
    # The library draws places among the samples, so that their order must be that of no file.
    starts = starts[sorted(range(len(starts)), key=lambda place: bytes(starts[place].data))]
    x = np.asarray(samples.x, np.float32)
    weights = model.target_weights(x)
    network, explain = _score_network(model, samples)
    library = GradientExplainer(network, starts)
    maps = np.empty(x.shape, np.float32)
    at_starts = np.zeros(len(x))
    with cnnvis.progress("shap:gradient-explainer", len(x)) as advance:
        for place, one in enumerate(x):
            # By itself: the library draws one image's numbers after those of the image before it.
            explain(place, weights[place])
            with seeded(seed):
                (found,) = library.shap_values(one[None], nsamples=draws, rseed=seed)
            maps[place] = found[..., 0]
            advance(1)
    for start in starts:
        begin = np.ascontiguousarray(np.broadcast_to(start, x.shape))
        at_starts += model.scores(begin, weights=weights)
    score = model.scores(x, weights=weights)
    gaps = cnnvis.completeness_gap_of_maps(maps, score, at_starts / len(starts))
    return cnnvis.Explanation(maps, samples, measures={"completeness_gap": gaps})


def _score_network(
    model: cnnvis.Model, samples: cnnvis.Samples
) -> tuple[Any, Callable[[int, Array], None]]:
    """Return a Keras network of the explained input alone, whose only output is the score.

    Returns
    -------
    network
        A network of inputs (n, ...) to scores (n, 1).
    explain
        Function that makes it explain a sample, by the sample's place and the weights of the target's
        outputs in its score: it holds the other inputs at that sample's.
    """
    import keras
    import numpy as np

    class Held(keras.layers.Layer):  # type: ignore[misc]
        """Value of an input that is not explained, for each row of one that is."""

        def __init__(self, shape: tuple[int, ...], dtype: str) -> None:
            super().__init__(dtype=dtype, autocast=False)
            self.value = self.add_weight(
                shape=(1, *shape), dtype=dtype, initializer="zeros", trainable=False
            )

        def call(self, explained: Any) -> Any:
            return keras.ops.repeat(self.value, keras.ops.shape(explained)[0], axis=0)

    network = network_of(model, "SHAP", several_inputs=True)
    named = {one.name.replace("/", "_"): one for one in model.inputs}
    own = samples.input or model.inputs[0].name
    x = keras.Input(samples.x.shape[1:])
    held: dict[str, Any] = {}
    fed = []
    with making_layers():
        for tensor in network.inputs:
            one = named[tensor.name]
            if one.name == own:
                fed.append(x)
                continue
            held[one.name] = Held(samples.others[one.name].shape[1:], one.dtype)
            fed.append(held[one.name](x))
        output = network(fed if len(fed) > 1 else fed[0])
        score = keras.layers.Dense(1, use_bias=False, kernel_initializer="zeros")
        whole = keras.Model([x], score(output))  # the library gives a list of inputs

    def explain(place: int, row: Array) -> None:
        score.set_weights([np.asarray(row, np.float32)[:, None]])
        for name, layer in held.items():
            layer.set_weights([np.asarray(samples.others[name][[place]])])

    return whole, explain
