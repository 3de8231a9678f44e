"""Layer-wise relevance propagation: the score, shared out among the values of the input."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import cnnvis

if TYPE_CHECKING:
    import numpy.typing as npt

    Array = npt.NDArray[Any]


BLIND = 0.3
"""Share of the positions that are zero from which on a note says what that means."""


def _check(composite: str, input_range: tuple[float, float] | None, **_: Any) -> None:
    cnnvis.composite_named(composite)
    if input_range is not None and not -1e9 < input_range[0] < input_range[1] < 1e9:
        raise cnnvis.UserError(f"input_range is {input_range}; it takes the smallest value first")


@cnnvis.technique(
    "lrp",
    family="relevance",
    reference="doi:10.1371/journal.pone.0130140",
    check=_check,
    claims={"gradient-times-input": {"composite": "epsilon", "epsilon": 0.0}},
    signed={},
)
def lrp(
    model: cnnvis.Model,
    samples: cnnvis.Samples,
    references: cnnvis.Samples,
    *,
    composite: str = "epsilon-plus",
    epsilon: cnnvis.NotNegative = 1e-6,
    bias: Literal["absorb", "ignore"] = "absorb",
    input_range: tuple[float, float] | None = None,
) -> cnnvis.Explanation:
    """Relevance of each value: the score, shared out backwards through the layers in proportion.

    A layer's output z_k = sum over j of x_j w_jk + b_k passes its relevance R_k back to the inputs:
    R_j = sum over k of x_j w_jk / z_k R_k, Bach et al. 2015, equation 56, or by another rule. The sum
    of M is the score S(x), less what biases took. Batch normalizations are merged into the
    convolutions and dense layers beside them first. Activations and layer normalizations pass
    relevance on, max pooling gives it to the largest value, and the factors of a product have half
    each.

    A composite says which layers follow which rule:

    - epsilon: epsilon in all layers.
    - epsilon-plus: z-plus in convolutions, epsilon in other layers.
    - epsilon-plus-flat: the same, with flat in the first layer.
    - epsilon-gamma-box: gamma:0.25 in convolutions, z-box in the first of them, epsilon in other layers.
    - epsilon-alpha2-beta1: alpha-beta:2,1 in convolutions, epsilon in other layers.
    - epsilon-alpha2-beta1-flat: the same, with flat in the first layer.

    In a TOML file of your own, the tables ``layers``, ``first`` and ``names`` hold rules by kinds of
    layers (``Conv``, ``Dense``, ``Conv2D``, ``any``), by kinds of the first layers, and by names of
    layers: ``Conv = "gamma:0.25"``. The rules are epsilon, gamma, alpha-beta, z-plus, z-box, flat,
    w-square, norm and zero.

    zennit has these rules and composites. Captum has others, and r is the correlation of its maps with
    those of cnnvis on a small network with inputs above 0, and of both signs. Captum's gamma rule raises
    weights and not biases, whatever the signs of inputs are (r 1.00, and 0.32); Captum's rule for alpha 1
    and beta 0 leaves negative weights out, not negative contributions (r 0.99, and 0.07).

    Parameters
    ----------
    composite
        Which layers follow which rule: a name of the table, or a file that ends in .toml.
    epsilon
        What is added to the size of z_k in the rules epsilon and gamma; 0 for LRP-0.
    bias
        Whether biases absorb their share of the relevance, or are ignored: then all of it goes on.
    input_range
        The smallest and largest value that an input may have, for the rule z-box; by default those
        of the data.
    """
    import numpy as np

    table = cnnvis.composite_named(composite, epsilon)
    x = np.asarray(samples.x, np.float32)
    bounds = None
    if "z-box" in (*table.layers.values(), *table.first.values(), *table.names.values()):
        bounds = input_range or _range(samples, references)
        if x.min() < bounds[0] or x.max() > bounds[1]:
            cnnvis.note(
                f"values of images lie outside of {bounds[0]:g} to {bounds[1]:g}, from which z-box "
                "takes all values to be; give their range with --input-range"
            )
    found = model.relevance(x, table, bias=bias, bounds=bounds)
    counts = ", ".join(f"{name} {count}" for name, count in sorted(found.rules.items()))
    beside = {"merged into layers beside them": found.merged, "by themselves": found.alone}
    counted = ", ".join(f"{count} {how}" for how, count in beside.items() if count)
    cnnvis.note(
        f"the composite {composite!r}, layers by rule: {counts or 'none'}"
        + (f"; normalizations: {counted}" if counted else "")
    )
    if {"flat", "w-square", "z-box", "a rule of its own"}.isdisjoint(found.rules):
        axis = samples.channel_axis
        is_zero = (x == 0) if axis is None else (x == 0).all(axis=axis)
        if is_zero.mean() > BLIND:
            cnnvis.note(
                "the relevance of a value that is 0 is 0, and many positions are; the composites "
                "epsilon-plus-flat and epsilon-gamma-box give zeros their share"
            )
    flat = found.maps.reshape(len(x), -1).astype(np.float64)
    sums = flat.sum(axis=1) + found.bias + found.others
    with np.errstate(divide="ignore", invalid="ignore"):
        gaps = np.where(found.scores == 0, np.nan, abs(sums / found.scores - 1))
        share = np.where(found.scores == 0, np.nan, found.bias / found.scores)
    measures = {"conservation_gap": gaps, "bias_share": share}
    tables = {"layers": table.layers, "first": table.first, "names": table.names}
    facts = {name: dict(rules) for name, rules in tables.items() if rules}
    explanation = cnnvis.Explanation(found.maps, samples, measures=measures)
    return explanation.with_facts({"composite": facts})  # a file may change


def _range(samples: cnnvis.Samples, references: cnnvis.Samples) -> tuple[float, float]:
    """Return the smallest and largest value of samples of the data."""
    low, high = (references if len(references) else samples).value_range
    cnnvis.note(f"inputs are taken to lie from {low:g} to {high:g}, the range of the data")
    return low, high
