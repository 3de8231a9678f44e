"""Comparisons of groups by nilearn and by MNE: writes group_references.npz, against which cnnvis is tested.

    pip install nilearn==0.14.1 mne==1.13.2
    python tests/evaluation/group_references.py

MNE's test of both tails sums up signed t and takes the largest sum of each permutation: its p is half of the
two-sided one. So it is given sizes of t here, and one tail.
"""

from pathlib import Path

import mne
import numpy as np
from nilearn.mass_univariate import permuted_ols
from nilearn.mass_univariate._utils import calculate_tfce
from scipy import ndimage, stats

SHAPE, DRAWS, FORMING = (8, 9), 5000, 0.01

rng = np.random.default_rng(0)
maps = ndimage.gaussian_filter(rng.normal(size=(24, *SHAPE)), (0, 0.8, 0.8)).astype(np.float32)
maps[12:, 2:5, 3:6] += 0.35
age = rng.normal(size=24) + np.repeat([0, 0.7], 12)
maps += (0.1 * age[:, None, None]).astype(np.float32)
groups = np.repeat([0.0, 1.0], 12)
flat = maps.reshape(24, -1).astype(np.float64)

found = {"maps": maps, "age": age}
for name, confounds in (("plain", None), ("adjusted", age[:, None])):
    given = permuted_ols(
        groups[:, None], flat, confounding_vars=confounds, n_perm=DRAWS, random_state=1
    )
    found[f"{name}_t"] = given["t"][0]
    found[f"{name}_p"] = 10 ** -given["logp_max_t"][0]

t = found["plain_t"].reshape(SHAPE)
structure = ndimage.generate_binary_structure(3, 1)
found["tfce"] = calculate_tfce(t[:, :, None, None], structure, dh=0.1)[:, :, 0, 0]


def sizes(*samples: np.ndarray) -> np.ndarray:
    if len(samples) == 1:
        return abs(stats.ttest_1samp(samples[0], 0).statistic)
    return abs(stats.ttest_ind(*samples).statistic)


def clusters(masks: list, p: np.ndarray) -> np.ndarray:
    numbers = np.ones(SHAPE)
    for mask, one in zip(masks, p, strict=True):
        numbers[mask] = one
    return numbers


settings = {"tail": 1, "n_permutations": DRAWS, "out_type": "mask", "seed": 1, "stat_fun": sizes}
limit = stats.t.isf(FORMING / 2, 22)
_, masks, p, _ = mne.stats.permutation_cluster_test([maps[:12], maps[12:]], limit, **settings)
found["cluster_p"] = clusters(masks, p)
centred = maps[12:] - maps[12:].mean() + 0.1
found["centred"] = centred
limit = stats.t.isf(FORMING / 2, 11)
_, masks, p, _ = mne.stats.permutation_cluster_1samp_test(centred, limit, **settings)
found["cluster_of_one_p"] = clusters(masks, p)
for name, one in found.items():
    print(name, one.shape, float(one.min()), float(one.max()))
np.savez_compressed(Path(__file__).with_suffix(".npz"), **found)
