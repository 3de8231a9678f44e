"""Forms in which `keras.ops` and Python's operators stand in saved networks."""

from __future__ import annotations

import functools
import importlib
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import numpy as np

Forms = dict[str, Callable[[], Any]]

SHAPE = (4, 6, 3)
"""The shape of one sample of these networks."""


ALONE = """
abs absolute all amax amin angle any arcsinh arctan argmax argmin argsort cbrt ceil celu conj
conjugate copy cos cosh count_nonzero cumprod cumsum deg2rad elu erf erfc exp exp2 expm1 fabs
flip fliplr flipud floor gelu hard_shrink hard_sigmoid hard_silu hard_swish hard_tanh i0 imag
isfinite isinf isnan isneginf isposinf isreal leaky_relu log_sigmoid log_softmax logical_not
logsumexp max mean median min nan_to_num nanargmax nanargmin nancumprod nancumsum nanmax nanmean
nanmedian nanmin nanprod nanstd nansum nanvar negative ones_like prod ptp rad2deg ravel real
relu relu6 round selu sigmoid sign signbit silu sin sinc sinh soft_shrink softmax softplus
softsign sort sparse_plus sparse_sigmoid sparsemax square squareplus std stop_gradient sum swish
tanh tanh_shrink trunc var zeros_like
"""
"""Operations of one value that need no options."""


def beginning(keras: Any) -> tuple[Any, SimpleNamespace]:
    """Return an input, and what forms are made of: values of several ranks, types and signs."""
    layers, ops = keras.layers, keras.ops
    inputs = layers.Input(SHAPE, name="image")
    h = layers.Conv2D(3, 3, padding="same", name="beginning")(inputs)
    v = layers.Dense(5, name="vector")(layers.GlobalAveragePooling2D(name="pooled")(h))
    m = layers.Reshape((4, 4), name="matrix")(layers.Dense(16, name="entries")(v))
    spd = ops.matmul(m, ops.swapaxes(m, 1, 2)) + 2 * np.eye(4, dtype="float32")
    t = SimpleNamespace(h=h, v=v, m=m, spd=spd)
    t.u = ops.tanh(h) * 0.9  # between -1 and 1
    t.p = ops.softplus(h) + 0.1  # positive
    t.i = ops.cast(ops.floor(t.p * 3), "int32")
    t.b = ops.greater(h, 0.1)
    t.s = ops.reshape(h, (-1, 24, 3))  # sequences
    t.w = layers.Dense(64, name="sound")(v)  # sound
    t.square = layers.Reshape((4, 4, 1), name="one_channel")(m)
    return inputs, t


def ends(keras: Any, made: Any) -> Iterator[Any]:
    """What of a form's values a network can give: complex numbers as pairs of real ones."""
    for one in made if isinstance(made, list | tuple) else [made]:
        if isinstance(one, list | tuple):
            yield from ends(keras, one)
        elif "complex" in str(one.dtype):
            yield keras.ops.view_as_real(one)
        else:
            yield one


def operators(t: SimpleNamespace) -> Forms:
    """Return the forms that Python's operators write."""
    h, v, b, i, m = t.h, t.v, t.b, t.i, t.m
    return {
        "h + 1": lambda: h + 1,
        "1 + h": lambda: 1 + h,
        "h + h": lambda: h + h,
        "h - 0.5": lambda: h - 0.5,
        "0.5 - h": lambda: 0.5 - h,
        "h * 0.5": lambda: h * 0.5,
        "2 * h": lambda: 2 * h,
        "h * array": lambda: h * np.array([1.0, 2.0, 3.0], "float32"),
        "h * number of numpy": lambda: h * np.float32(0.25),
        "h * 10**10": lambda: h * 10**10,
        "h / 255.": lambda: h / 255.0,
        "1 / h": lambda: 1 / t.p,
        "h // 2": lambda: h // 2,
        "5 // h": lambda: 5 // t.p,
        "h % 2": lambda: h % 2,
        "3 % h": lambda: 3 % t.p,
        "h ** 2": lambda: h**2,
        "p ** 0.5": lambda: t.p**0.5,
        "2 ** h": lambda: 2.0**h,
        "-h": lambda: -h,
        "+h": lambda: +h if hasattr(h, "__pos__") else h * 1,
        "abs(h)": lambda: abs(h),
        "round(h)": lambda: round(h),
        "m @ m": lambda: m @ m,
        "m @ array": lambda: m @ np.ones((4, 2), "float32"),
        "h < 0": lambda: h < 0,
        "h <= 0": lambda: h <= 0,
        "h > 0": lambda: h > 0,
        "h >= 0": lambda: h >= 0,
        "h != 0": lambda: h != 0,
        "b & b": lambda: b & (h < 1),
        "b | b": lambda: b | (h < -1),
        "b ^ b": lambda: b ^ (h < 1),
        "~b": lambda: ~b,
        "h[:, ::2]": lambda: h[:, ::2],
        "h[..., 0]": lambda: h[..., 0],
        "h[:, None]": lambda: h[:, None],
        "h[:, -1]": lambda: h[:, -1],
        "h[:, 1:3, ..., None, 0]": lambda: h[:, 1:3, ..., None, 0],
        "h[:, ::-1]": lambda: h[:, ::-1],
        "v[:, 3:0:-2]": lambda: v[:, 3:0:-2],
        "v[0]": lambda: v[0],
        "i + 1": lambda: i + 1,
    }


def operations(keras: Any, t: SimpleNamespace) -> Forms:
    """Return the forms that functions of `keras.ops` write, named as they are typed."""
    ops, image = keras.ops, keras.ops.image
    h, v, m, p, u, i, b, s, w, spd = t.h, t.v, t.m, t.p, t.u, t.i, t.b, t.s, t.w, t.spd
    three = np.array([1.0, 2.0, 3.0], "float32")
    kernel = np.random.default_rng(1).normal(size=(3, 3, 3, 2)).astype("float32")
    kernel_1d = kernel[0]
    angle = np.array([[1.0, 0.1, 0, 0, 1, 0.5, 0, 0]], "float32")
    corners = np.array([[[0.0, 0], [0, 5], [3, 0], [3, 5]]], "float32")
    # What needs to know how many samples there are gets one of them.
    one, row, steps = (ops.expand_dims(x[0], 0) for x in (h, v, s))
    labels = np.array([[1.0, 0, 0, 0, 0]], "float32")

    def _class(module: str, name: str) -> Any:
        return getattr(importlib.import_module(f"keras.src.{module}"), name)()

    named = {
        name: functools.partial(lambda name: getattr(ops, name)(h), name) for name in ALONE.split()
    }
    more: Forms = {
        "reciprocal": lambda: ops.reciprocal(p),
        "arccos": lambda: ops.arccos(u),
        "arcsin": lambda: ops.arcsin(u),
        "arctanh": lambda: ops.arctanh(u),
        "erfinv": lambda: ops.erfinv(u),
        "arccosh": lambda: ops.arccosh(p + 1),
        "log": lambda: ops.log(p),
        "log10": lambda: ops.log10(p),
        "log1p": lambda: ops.log1p(p),
        "log2": lambda: ops.log2(p),
        "sqrt": lambda: ops.sqrt(p),
        "rsqrt": lambda: ops.rsqrt(p),
        "tan": lambda: ops.tan(u),
        "glu": lambda: ops.glu(w),
        "glu(axis)": lambda: ops.glu(h, axis=1),
        "celu(alpha)": lambda: ops.celu(h, alpha=0.5),
        "elu(alpha)": lambda: ops.elu(h, alpha=0.5),
        "gelu(approximate=False)": lambda: ops.gelu(h, approximate=False),
        "leaky_relu(0.1)": lambda: ops.leaky_relu(h, negative_slope=0.1),
        "threshold": lambda: ops.threshold(h, 0.2, -1.0),
        "softmax(axis=1)": lambda: ops.softmax(h, axis=1),
        "log_softmax(axis=1)": lambda: ops.log_softmax(h, axis=1),
        "squareplus(b)": lambda: ops.squareplus(h, b=2),
        # Two values
        "add": lambda: ops.add(h, p),
        "add(x, array)": lambda: ops.add(h, three),
        "subtract": lambda: ops.subtract(h, 2),
        "multiply": lambda: ops.multiply(h, p),
        "multiply(tensor)": lambda: ops.multiply(h, ops.convert_to_tensor([1.0, 2.0, 3.0])),
        "divide": lambda: ops.divide(h, p),
        "true_divide": lambda: ops.true_divide(h, p),
        "divide_no_nan": lambda: ops.divide_no_nan(h, p),
        "floor_divide": lambda: ops.floor_divide(h, 0.5),
        "mod": lambda: ops.mod(h, 0.7),
        "fmod": lambda: ops.fmod(h, p),
        "power": lambda: ops.power(p, h),
        "maximum": lambda: ops.maximum(h, 0.1),
        "minimum": lambda: ops.minimum(h, u),
        "fmax": lambda: ops.fmax(h, u),
        "fmin": lambda: ops.fmin(h, 0.1),
        "arctan2": lambda: ops.arctan2(h, p),
        "hypot": lambda: ops.hypot(h, p),
        "logaddexp": lambda: ops.logaddexp(h, u),
        "logaddexp2": lambda: ops.logaddexp2(h, u),
        "heaviside": lambda: ops.heaviside(h, np.float32([0.5])),
        "nextafter": lambda: ops.nextafter(h, 1.0),
        "ldexp": lambda: ops.ldexp(h, i),
        "equal": lambda: ops.equal(i, 1),
        "not_equal": lambda: ops.not_equal(i, 1),
        "greater": lambda: ops.greater(h, u),
        "greater_equal": lambda: ops.greater_equal(h, 0),
        "less": lambda: ops.less(h, 0),
        "less_equal": lambda: ops.less_equal(h, u),
        "isclose": lambda: ops.isclose(h, u, rtol=0.1),
        "allclose": lambda: ops.reshape(ops.allclose(h, u), (1,)),
        "logical_and": lambda: ops.logical_and(b, h < 1),
        "logical_or": lambda: ops.logical_or(b, h < -1),
        "logical_xor": lambda: ops.logical_xor(b, h < 1),
        "gcd": lambda: ops.gcd(i, 6),
        "lcm": lambda: ops.lcm(i, 4),
        "bitwise_and": lambda: ops.bitwise_and(i, np.array([3])),
        "bitwise_or": lambda: ops.bitwise_or(i, i + 8),
        "bitwise_xor": lambda: ops.bitwise_xor(i, i + 1),
        "bitwise_not": lambda: ops.bitwise_not(i),
        "bitwise_invert": lambda: ops.bitwise_invert(i),
        "bitwise_left_shift": lambda: ops.bitwise_left_shift(i, 2),
        "bitwise_right_shift": lambda: ops.bitwise_right_shift(i, 1),
        "left_shift": lambda: ops.left_shift(i, 2),
        "right_shift": lambda: ops.right_shift(i, 1),
        "cross": lambda: ops.cross(h, p),
        "dot": lambda: ops.dot(h, np.ones((3, 2), "float32")),
        "inner": lambda: ops.inner(h, three),
        "outer": lambda: ops.outer(three, v[0]),
        "vdot": lambda: ops.reshape(ops.vdot(v[0], v[1]), (1,)),
        "kron": lambda: ops.kron(m[0], np.ones((2, 2), "float32")),
        "matmul": lambda: ops.matmul(m, spd),
        "tensordot": lambda: ops.tensordot(h, np.ones((3, 2), "float32"), axes=1),
        "tensordot(axes)": lambda: ops.tensordot(h, kernel, axes=((3,), (2,))),
        "einsum": lambda: ops.einsum("bij,bkj->bik", m, spd),
        "einsum(...)": lambda: ops.einsum("...c,cd->...d", h, np.ones((3, 2), "float32")),
        "cdist": lambda: ops.cdist(s, s[:, :5]),
        "correlate": lambda: ops.correlate(v[0], three, mode="same"),
        "corrcoef": lambda: ops.corrcoef(v),
        # Reductions
        "mean(axis)": lambda: ops.mean(h, axis=(1, 2)),
        "mean(axis, keepdims)": lambda: ops.mean(h, axis=-1, keepdims=True),
        "sum(axis)": lambda: ops.sum(h, axis=1),
        "max(axis)": lambda: ops.max(h, axis=[1, 2]),
        "max(initial)": lambda: ops.max(h, axis=1, initial=0.0),
        "min(axis)": lambda: ops.min(h, axis=-1),
        "prod(axis)": lambda: ops.prod(h, axis=1, dtype="float64"),
        "std(axis)": lambda: ops.std(h, axis=(1, 2), keepdims=True),
        "var(axis)": lambda: ops.var(h, axis=1),
        "average(weights)": lambda: ops.average(h, axis=-1, weights=three),
        "median(axis)": lambda: ops.median(h, axis=1),
        "quantile": lambda: ops.quantile(h, 0.3, axis=1),
        "quantile(array)": lambda: ops.quantile(v, np.array([0.2, 0.7], "float32"), axis=1),
        "percentile": lambda: ops.percentile(h, 30.0, axis=1),
        "nanquantile": lambda: ops.nanquantile(h, 0.3, axis=1),
        "nanpercentile": lambda: ops.nanpercentile(h, 30.0, axis=1),
        "logsumexp(axis)": lambda: ops.logsumexp(h, axis=-1, keepdims=True),
        "all(axis)": lambda: ops.all(b, axis=1),
        "any(axis)": lambda: ops.any(b, axis=1),
        "argmax(axis)": lambda: ops.argmax(h, axis=-1, keepdims=True),
        "argmin(axis)": lambda: ops.argmin(h, axis=1),
        "count_nonzero(axis)": lambda: ops.count_nonzero(b, axis=1),
        "moments": lambda: ops.moments(h, axes=[1, 2]),
        "norm": lambda: ops.norm(h, axis=-1),
        "norm(ord)": lambda: ops.norm(m, ord="fro", axis=(1, 2)),
        "norm(1)": lambda: ops.norm(h, ord=1, axis=1, keepdims=True),
        "trapezoid": lambda: ops.trapezoid(h, axis=1),
        "cumsum(axis)": lambda: ops.cumsum(h, axis=1),
        "cumprod(axis)": lambda: ops.cumprod(h, axis=2),
        "diff": lambda: ops.diff(h, n=2, axis=2),
        "ptp(axis)": lambda: ops.ptp(h, axis=1),
        "trace": lambda: ops.trace(m, axis1=1, axis2=2),
        # Shapes
        "broadcast_to": lambda: ops.broadcast_to(one, (2, *SHAPE)),
        "concatenate": lambda: ops.concatenate([h, p], axis=-1),
        "concatenate(axis=1)": lambda: ops.concatenate((h, p[:, :1]), axis=1),
        "append": lambda: ops.append(h, p, axis=1),
        "stack": lambda: ops.stack([h, p, u], axis=1),
        "vstack": lambda: ops.vstack([h, p]),
        "hstack": lambda: ops.hstack([h, p]),
        "dstack": lambda: ops.dstack([h, p]),
        "expand_dims": lambda: ops.expand_dims(h, -1),
        "expand_dims(axes)": lambda: ops.expand_dims(h, (1, 2)),
        "squeeze": lambda: ops.squeeze(t.square, axis=-1),
        "reshape": lambda: ops.reshape(h, (-1, 6, 12)),
        "ravel": lambda: ops.ravel(h),
        "transpose": lambda: ops.transpose(h, (0, 2, 1, 3)),
        "swapaxes": lambda: ops.swapaxes(h, 1, 3),
        "moveaxis": lambda: ops.moveaxis(h, 1, -1),
        "moveaxis(axes)": lambda: ops.moveaxis(h, (1, 2), (2, 1)),
        "flip(axis)": lambda: ops.flip(h, axis=2),
        "flip(axes)": lambda: ops.flip(h, axis=(1, 2)),
        "roll": lambda: ops.roll(h, 1, axis=2),
        "roll(axes)": lambda: ops.roll(h, (1, 2), axis=(1, 2)),
        "rot90": lambda: ops.rot90(h, k=1, axes=(1, 2)),
        "repeat": lambda: ops.repeat(h, 2, axis=1),
        "repeat(list)": lambda: ops.repeat(h, [1, 2, 0, 1], axis=1),
        "tile": lambda: ops.tile(h, (1, 2, 1, 1)),
        "pad": lambda: ops.pad(h, ((0, 0), (1, 1), (2, 0), (0, 0))),
        "pad(reflect)": lambda: ops.pad(h, [[0, 0], [1, 1], [2, 0], [0, 0]], mode="reflect"),
        "pad(value)": lambda: ops.pad(
            h, ((0, 0), (1, 1), (0, 0), (0, 0)), mode="constant", constant_values=2.0
        ),
        "split": lambda: ops.split(h, 3, axis=-1),
        "split(places)": lambda: ops.split(h, [1, 4], axis=2),
        "array_split": lambda: ops.array_split(h, 2, axis=1),
        "hsplit": lambda: ops.hsplit(h, 2),
        "dsplit": lambda: ops.dsplit(h, 3),
        "vsplit": lambda: ops.vsplit(m[0], 2),
        "unstack": lambda: ops.unstack(h, axis=1),
        "unstack(num)": lambda: ops.unstack(h, num=3, axis=-1),
        "meshgrid": lambda: ops.meshgrid(v[0], three),
        "rearrange": lambda: ops.rearrange(one, "b h w c -> b (h w) c"),
        "rearrange(h1=2)": lambda: ops.rearrange(one, "b (h h1) w c -> b h w (h1 c)", h1=2),
        "size": lambda: ops.reshape(ops.size(h[0]), (1,)),
        "ndim": lambda: ops.ndim(h),
        # Choices
        "where": lambda: ops.where(b, h, 0.0),
        "where(h, p)": lambda: ops.where(h > p, h, p),
        "where(scalars)": lambda: ops.where(b, 1.0, -1.0),
        "select": lambda: ops.select([h < -0.1, h > 0.1], [h, p], default=0.5),
        "clip": lambda: ops.clip(h, -0.2, 0.2),
        "take": lambda: ops.take(h, [2, 0], axis=-1),
        "take(axis=1)": lambda: ops.take(h, np.array([[0, 1], [2, 3]]), axis=1),
        "take(ints)": lambda: ops.take(np.ones((9, 2), "float32"), i, axis=0),
        "take_along_axis": lambda: ops.take_along_axis(h, ops.argsort(h, axis=1), axis=1),
        "get_item": lambda: ops.get_item(h, (slice(None), 1)),
        "slice": lambda: ops.slice(one, (0, 1, 1, 0), (1, 2, 3, 3)),
        "slice_update": lambda: ops.slice_update(one, (0, 1, 1, 0), one[:, :2, :2]),
        "scatter": lambda: ops.scatter(np.array([[1], [3]]), m[0, :2], (6, 4)),
        "scatter_update": lambda: ops.scatter_update(v, np.array([[0, 1], [1, 2]]), v[0, :2]),
        "sort": lambda: ops.sort(h, axis=1),
        "argsort": lambda: ops.argsort(h, axis=-1),
        "argpartition": lambda: ops.argpartition(v[0], 2),
        "top_k": lambda: ops.top_k(v, 2),
        "in_top_k": lambda: ops.in_top_k(ops.argmax(v, axis=-1), v, 2),
        "searchsorted": lambda: ops.searchsorted(np.array([-1.0, 0, 1], "float32"), v[0]),
        "digitize": lambda: ops.digitize(h, np.array([-0.5, 0.0, 0.5])),
        "isin": lambda: ops.isin(i, [1, 2]),
        "nonzero": lambda: [ops.sum(one) for one in ops.nonzero(b)],
        "unique(size)": lambda: ops.unique(ops.ravel(i), size=4, fill_value=0),
        "unravel_index": lambda: ops.unravel_index(i, (20, 30)),
        "one_hot": lambda: ops.one_hot(i, 4),
        "multi_hot": lambda: ops.multi_hot(i, 5),
        "tril": lambda: ops.tril(m, k=-1),
        "triu": lambda: ops.triu(m),
        "diag": lambda: ops.diag(v[0], k=1),
        "diagflat": lambda: ops.diagflat(v[0]),
        "diagonal": lambda: ops.diagonal(m, axis1=1, axis2=2),
        "vander": lambda: ops.vander(v[0], 3),
        "segment_sum": lambda: ops.segment_sum(s[0], np.arange(24) // 6, num_segments=4),
        "segment_max": lambda: ops.segment_max(s[0], np.arange(24) // 6, num_segments=4),
        "segment_min": lambda: ops.segment_min(s[0], np.arange(24) // 6, num_segments=4),
        "segment_prod": lambda: ops.segment_prod(s[0], np.arange(24) // 6, num_segments=4),
        # What is made like another value
        "full_like": lambda: ops.full_like(h, 2.0) * h,
        "full": lambda: ops.full((2, 3), v[0, 0]),
        "linspace": lambda: ops.linspace(v, v + 1, 4, axis=1),
        "logspace": lambda: ops.logspace(v, v + 1, 4, axis=1),
        "geomspace": lambda: ops.geomspace(ops.softplus(v), ops.softplus(v) + 1, 4),
        "empty_like": lambda: ops.empty_like(h) * 0,
        "zeros_like(dtype)": lambda: ops.zeros_like(h, dtype="int32"),
        "ones_like(dtype)": lambda: ops.ones_like(h, dtype="float64"),
        # Types
        "cast": lambda: ops.cast(h, "float64"),
        "cast(bool)": lambda: ops.cast(h, "bool"),
        "saturate_cast": lambda: ops.saturate_cast(h * 100, "int8"),
        "convert_to_tensor": lambda: ops.convert_to_tensor(h, dtype="float16"),
        "array": lambda: ops.array(h, dtype="float32"),
        "view": lambda: ops.view(h, dtype="int32"),
        "round(decimals)": lambda: ops.round(h, 2),
        "nan_to_num(nan)": lambda: ops.nan_to_num(h, nan=1.0, posinf=2.0),
        # Networks
        "relu of activations": lambda: keras.activations.relu(h, max_value=0.5, threshold=0.1),
        "relu(negative_slope)": lambda: keras.activations.relu(h, negative_slope=0.1),
        "average_pool": lambda: ops.average_pool(h, 2),
        "max_pool": lambda: ops.max_pool(h, (2, 2), strides=(1, 2), padding="same"),
        "adaptive_average_pool": lambda: ops.adaptive_average_pool(h, (2, 3)),
        "adaptive_max_pool": lambda: ops.adaptive_max_pool(h, (2, 2)),
        "batch_normalization": lambda: ops.batch_normalization(
            h, three / 9, three, axis=-1, offset=three, scale=three
        ),
        "layer_normalization": lambda: ops.layer_normalization(h, three, three, axis=-1),
        "layer_normalization(axes)": lambda: ops.layer_normalization(h, axis=(1, 2)),
        "rms_normalization": lambda: ops.rms_normalization(h, three),
        "normalize": lambda: ops.normalize(h, axis=-1, order=2),
        "conv": lambda: ops.conv(h, kernel, strides=1, padding="same"),
        "conv(strides)": lambda: ops.conv(h, kernel, strides=(1, 2), dilation_rate=1),
        "conv 1D": lambda: ops.conv(s, kernel_1d, padding="valid", dilation_rate=2),
        "depthwise_conv": lambda: ops.depthwise_conv(h, kernel, padding="same"),
        "separable_conv": lambda: ops.separable_conv(
            h, kernel, np.ones((1, 1, 6, 2), "float32"), padding="same"
        ),
        "depth_to_space": lambda: ops.depth_to_space(ops.concatenate([h, h, h, h], axis=-1), 2),
        "space_to_depth": lambda: ops.space_to_depth(h, 2),
        "unfold": lambda: ops.unfold(ops.transpose(h, (0, 3, 1, 2)), 2),
        "fold": lambda: ops.fold(ops.reshape(h, (-1, 12, 6)), (3, 4), (2, 2)),
        "dot_product_attention": lambda: ops.dot_product_attention(
            *[t.square] * 3, flash_attention=False
        ),
        "dot_product_attention(causal)": lambda: ops.dot_product_attention(
            t.square, t.square, t.square, scale=0.5, is_causal=True, flash_attention=False
        ),
        "binary_crossentropy": lambda: ops.binary_crossentropy(labels, ops.sigmoid(row)),
        "categorical_crossentropy": lambda: ops.categorical_crossentropy(
            labels, row, from_logits=True
        ),
        "sparse_categorical_crossentropy": lambda: ops.sparse_categorical_crossentropy(
            np.array([2]), row, from_logits=True
        ),
        "ctc_loss": lambda: ops.ctc_loss(np.array([[1, 2]]), steps, np.array([2]), np.array([24])),
        "ctc_decode": lambda: ops.ctc_decode(steps, np.array([20]))[1],
        "psnr": lambda: ops.reshape(ops.psnr(h, p, 1.0), (1,)),
        "fake_quant": lambda: keras.quantizers.fake_quant_with_min_max_vars(h, -1.0, 1.0),
        "polar": lambda: ops.polar(p, h),
        # Linear algebra
        "cholesky": lambda: ops.cholesky(spd),
        "cholesky_inverse": lambda: ops.cholesky_inverse(ops.cholesky(spd)),
        "det": lambda: ops.det(m),
        "slogdet": lambda: ops.slogdet(spd),
        "logdet": lambda: ops.logdet(spd),
        "eigh": lambda: ops.eigh(spd)[0],
        "eig": lambda: ops.abs(ops.eig(spd)[0]),
        "inv": lambda: ops.inv(spd),
        "pinv": lambda: ops.pinv(spd),
        "lstsq": lambda: ops.lstsq(spd[0], m[0]),
        "lu_factor": lambda: ops.lu_factor(spd[0])[0],
        "matrix_rank": lambda: ops.matrix_rank(spd),
        "qr": lambda: ops.qr(spd)[1],
        "solve": lambda: ops.solve(spd, m),
        "solve_triangular": lambda: ops.solve_triangular(ops.tril(spd), m, lower=True),
        "svd": lambda: ops.svd(m, compute_uv=False),
        # Spectra
        "fft": lambda: ops.fft((h, ops.zeros_like(h))),
        "fft2": lambda: ops.fft2((h, ops.zeros_like(h))),
        "ifft2": lambda: ops.ifft2((h, ops.zeros_like(h))),
        "rfft": lambda: ops.rfft(w),
        "irfft": lambda: ops.irfft(ops.rfft(w)),
        "stft": lambda: ops.stft(w, 16, 8, 16),
        "istft": lambda: ops.istft(ops.stft(w, 16, 8, 16), 16, 8, 16),
        "extract_sequences": lambda: ops.extract_sequences(w, 16, 8),
        # Classes that no function of this version makes.
        "Abs": lambda: _class("ops.numpy", "Abs")(h),
        "Conj": lambda: _class("ops.numpy", "Conj")(h),
        "Mish": lambda: _class("activations.activations", "Mish")(h),
        "view_as_real": lambda: ops.view_as_real(ops.polar(p, h)),
        # Pictures
        "image.resize": lambda: image.resize(h, (8, 8)),
        "image.resize(nearest)": lambda: image.resize(h, (2, 3), interpolation="nearest"),
        "image.resize(bicubic)": lambda: image.resize(
            h, (8, 8), interpolation="bicubic", antialias=True
        ),
        "image.affine_transform": lambda: image.affine_transform(h, angle),
        "image.perspective_transform": lambda: image.perspective_transform(
            one, corners, corners * 0.9
        ),
        "image.map_coordinates": lambda: image.map_coordinates(
            h[0, :, :, 0], np.ones((2, 3, 3), "float32") * 1.5, order=1
        ),
        "image.crop_images": lambda: image.crop_images(
            h, top_cropping=1, left_cropping=1, target_height=2, target_width=3
        ),
        "image.pad_images": lambda: image.pad_images(
            h, top_padding=1, left_padding=2, target_height=8, target_width=9
        ),
        "image.extract_patches": lambda: image.extract_patches(h, (2, 2)),
        "image.extract_patches_3d": lambda: image.extract_patches_3d(h[:, None], (1, 2, 2)),
        "image.gaussian_blur": lambda: image.gaussian_blur(h, (3, 3), (1.0, 1.0)),
        "image.rgb_to_grayscale": lambda: image.rgb_to_grayscale(h),
        "image.rgb_to_hsv": lambda: image.rgb_to_hsv(ops.sigmoid(h)),
        "image.hsv_to_rgb": lambda: image.hsv_to_rgb(ops.sigmoid(h)),
        "image.scale_and_translate": lambda: image.scale_and_translate(
            one,
            (1, 5, 7, 3),
            np.ones(2, "float32"),
            np.zeros(2, "float32"),
            (1, 2),
            "linear",
        ),
        "image.sobel_edges": lambda: image.sobel_edges(h),
        "image.ssim": lambda: image.ssim(ops.sigmoid(h), ops.sigmoid(p), 1.0, filter_size=3),
    }
    return {**named, **more}


def refused(keras: Any, t: SimpleNamespace) -> Forms:
    """Return forms that no file may hold, by the class of the operation that they write."""
    ops = keras.ops
    h, v = t.h, t.v
    return {
        "Bincount": lambda: ops.bincount(ops.ravel(t.i), minlength=4),
        "ElasticTransform": lambda: ops.image.elastic_transform(h),
        "Map": lambda: ops.map(ops.square, v),
        "VectorizedMap": lambda: ops.vectorized_map(ops.square, v),
        "AssociativeScan": lambda: ops.associative_scan(ops.add, h, axis=1),
        **unable(keras, t),
    }


def unable(keras: Any, t: SimpleNamespace) -> Forms:
    """Return forms that Keras describes and cannot run with TensorFlow, by their classes."""
    ops = keras.ops
    kernel = np.ones((3, 3, 2, 3), "float32")
    return {
        "ConvTranspose": lambda: ops.conv_transpose(t.h, kernel, 2, padding="same"),
        "Histogram": lambda: ops.histogram(t.v[0], bins=4, range=(-1.0, 1.0)),
        "ViewAsComplex": lambda: ops.view_as_complex(ops.reshape(t.w, (-1, 32, 2))),
    }
