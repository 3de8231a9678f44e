"""RISE: the mean score of what random masks leave, for each position that they leave."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Literal

import cnnvis

from ._budget import perturbations_within
from ._filling import NORMAL, fill_of, require_fractions
from ._masked_scores import MaskedScores
from ._masks import Sums
from ._tolerance import Draws, Tolerance, beyond_tolerance, uncertainty

if TYPE_CHECKING:
    import numpy.typing as npt

    Array = npt.NDArray[Any]

FIRST = 128
"""Number of masks that each image takes at least with a tolerance."""

UNSURE = 0.2
"""Half of an interval of 95 %, as a share of a map's range, from which on a note is made."""


def _check(*, share: float, **_: Any) -> None:
    if not 0 < share < 1:
        raise cnnvis.UserError(f"share is {share:g}, and must be between 0 and 1")


def _remarks(measures: Mapping[str, Array], **options: Any) -> Iterator[str]:
    # Run folders of the first version do not hold this measure.
    shares, masks = measures.get("half_width_share"), int(measures["passes"].max()) - 1
    if options["tolerance"] is None and shares is not None and (unsure := shares > UNSURE).any():
        yield (
            f"rise is uncertain for {unsure.sum()} of {unsure.size} maps: with {masks} masks, an interval of "
            f"95 % reaches {shares[unsure].max():.0%} of the range of a map to each side; four times as many "
            "masks halve it, and --show error draws it"
        )
    yield from beyond_tolerance("masks")(measures, **options)


@cnnvis.technique(
    "rise",
    family="perturbation",
    reference="arXiv:1806.07421",
    check=_check,
    paper={"baseline": 0.0, "centre": False},
    signed={"show": "map", "centre": True},
    remarks=_remarks,
)
def rise(
    model: cnnvis.Model,
    samples: cnnvis.Samples,
    *,
    masks: cnnvis.Count = 2000,
    cells: tuple[cnnvis.Count, ...] = (7,),
    share: cnnvis.Share = 0.5,
    baseline: cnnvis.Baseline = "mean",
    centre: bool = True,
    show: Literal["map", "error"] = "map",
    tolerance: Tolerance | None = None,
    budget: cnnvis.Budget | None = None,
    seed: cnnvis.Seed = 0,
) -> cnnvis.Explanation:
    """Mean score of the input under random masks, for each position over the masks that leave it.

    M(p) = sum of S(x m + x' (1 - m)) m(p) / sum of m(p) - mean of S(x m + x' (1 - m)), over random masks
    m, for the score S, the input x and a baseline x': Petsiuk et al. 2018, equation 6, with the sum of
    the drawn masks in the place of its expectation, and less the mean score of all masks. Masks are
    coarse grids of 0 and 1, enlarged linearly and shifted at random.

    Parameters
    ----------
    masks
        The number of masks, which are the same for every image.
    cells
        The number of cells of a mask along each axis; a single number for all axes, or a number for each.
    share
        The share of the cells that is left.
    baseline
        What stands in a masked place.
    centre
        Subtract the mean score of all masks, so that a value is above 0 where a position raises the
        score. With --no-centre the map is that of the paper.
    show
        The map; or the standard error of each of its values, which is due to the number of masks.
    budget
        A limit in place of masks.
    """
    import numpy as np

    require_fractions(model, "rise")
    space, x = samples.space, np.asarray(samples.x, np.float32)
    if len(cells) not in (1, len(space)):
        raise cnnvis.UserError(
            f"cells is {tuple(cells)}, and it takes a single number, or a number for each of the "
            f"{len(space)} spatial axes"
        )
    sizes = [min(one, size) for one, size in zip(cells * len(space), space, strict=False)]
    masked = MaskedScores(model, samples, x, fill_of(model, samples, baseline), seed, sizes, share)
    if budget is not None:
        masks = perturbations_within(
            budget, "rise", model, lambda count: masked.scores(range(count)), others=1
        )
    if masks < 2:
        raise cnnvis.UserError(
            "rise compares masks, and so needs two of them, and three passes, at least"
        )
    # The scores' own size, which says nothing of any position, is not rounded in the sums.
    usual, going = masked.usual[:, None], np.arange(len(x))
    sums = Sums(len(x), int(np.prod(space)))
    maps, errors = np.zeros((2, len(x), int(np.prod(space))))

    def take(left: Array, some: range) -> Array:
        nonlocal going
        sums.keep(np.isin(going, left))
        going = left
        for part, scores in masked.scores(some, left):
            sums.add(scores - usual[left], masked.drawn(part).reshape(len(part), -1))
        if sums.hidden and some.stop < masks:
            return np.full(left.size, np.inf)
        maps[left], errors[left] = sums.means(centre=centre), sums.errors(centre=centre)
        middle = maps[left].mean(axis=1, keepdims=True)
        return uncertainty(errors[left], maps[left] - middle, some.stop - 1)

    draws = Draws.within(tolerance, FIRST, masks)
    taken, unsure = draws.taken(samples, take)
    if not centre:
        maps += usual
    widths, ranges = NORMAL * errors.max(axis=1), np.ptp(maps, axis=1)
    measures = {"half_width": widths, "passes": taken + 1}
    measures["half_width_share"] = widths / np.where(ranges > 0, ranges, 1)
    measures |= {} if tolerance is None else {"uncertainty": unsure}
    shown = (maps if show == "map" else errors).reshape(-1, *space).astype(np.float32)
    return cnnvis.Explanation(shown, samples, measures=measures)
