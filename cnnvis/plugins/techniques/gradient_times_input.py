"""Gradient times input: the first-order contribution of each value to the score."""

from __future__ import annotations

from typing import Any

import cnnvis


@cnnvis.technique(
    "gradient-times-input",
    family="gradients",
    reference="arXiv:1605.01713",
    claims={"gradient-times-input": {}},
    signed={},
)
def gradient_times_input(model: cnnvis.Model, samples: cnnvis.Samples) -> cnnvis.Explanation:
    """The gradient of the target's score times the input.

    M = x dS/dx, for the score S and the input x: Shrikumar et al. 2016. The sum of M is S(x) for a
    network without biases whose activations are ReLU or leaky. M is 0 wherever the input is 0, whether
    the zeros matter or not; integrated-gradients with --baseline mean can speak about zeros.
    """
    import numpy as np

    x = np.asarray(samples.x, np.float32)
    gradient: Any = model.input_gradient(x)
    gradient *= x  # which is as large as the data, and takes no more memory so
    return cnnvis.Explanation(gradient, samples)
