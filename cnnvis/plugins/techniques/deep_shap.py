"""Deep SHAP: DeepLIFT from many samples of the data, averaged."""

from __future__ import annotations

import cnnvis
from cnnvis.plugins.techniques._references import drawn


@cnnvis.technique("deep-shap", family="relevance", reference="arXiv:1705.07874", signed={})
def deep_shap(
    model: cnnvis.Model,
    samples: cnnvis.Samples,
    references: cnnvis.Samples,
    *,
    baselines: cnnvis.Count = 16,
    seed: cnnvis.Seed = 0,
) -> cnnvis.Explanation:
    """How much each value adds to the score, on average over samples of the data as baselines.

    M = mean over samples x' of the data of m (x - x'), with DeepLIFT's multipliers m from each x':
    Lundberg and Lee 2017, section 4.2, which takes them for Shapley values. The sum of M is S(x) - the
    mean of S(x').

    SHAP's DeepExplainer and Captum's DeepLiftShap have the same maps, from the same baselines.

    Parameters
    ----------
    baselines
        How many samples of the data are compared with, of 256 evenly spaced ones; the same for
        every image.
    """
    import numpy as np

    starts = drawn(references, baselines, seed, "deep-shap", "deeplift with a baseline")
    x = np.asarray(samples.x, np.float32)
    weights = model.target_weights(x)
    maps, at_starts = np.zeros(x.shape, np.float64), np.zeros(len(x))
    with cnnvis.progress("deep-shap", len(starts)) as advance:
        for start in starts:
            begin = np.ascontiguousarray(np.broadcast_to(start, x.shape))
            maps += (x - begin) * model.multipliers(x, begin, weights=weights).astype(np.float64)
            at_starts += model.scores(begin, weights=weights)
            advance(1)
    maps /= len(starts)
    score = model.scores(x, weights=weights)
    gaps = cnnvis.completeness_gap_of_maps(maps, score, at_starts / len(starts))
    return cnnvis.Explanation(maps.astype(np.float32), samples, measures={"completeness_gap": gaps})
