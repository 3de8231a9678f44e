"""TensorFlow's functions in networks of Keras 2, which it writes as layers of their own."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from quick import quick_are

import cnnvis

X = np.random.default_rng(0).normal(size=(2, 4, 6, 3)).astype(np.float32)


def _forms(k: Any, h: Any, v: Any) -> dict[str, Callable[[], Any]]:
    """Return what people write with TensorFlow and with Keras 2's backend.

    Parameters
    ----------
    k
        The package tf_keras.
    h, v
        Pictures and vectors in a network.
    """
    import tensorflow as tf

    K = k.backend
    return {
        "mean": lambda: tf.reduce_mean(h, [1, 2]),
        "sum": lambda: tf.reduce_sum(h, 1),
        "max": lambda: tf.reduce_max(h, -1),
        "std": lambda: tf.math.reduce_std(h, 1),
        "var": lambda: tf.math.reduce_variance(h, 1),
        "concat": lambda: tf.concat([h, h], -1),
        "stack": lambda: tf.stack([h, h], 1),
        "unstack": lambda: tf.unstack(h, axis=1)[0],
        "split": lambda: tf.split(h, 3, -1)[0],
        "where": lambda: tf.where(h > 0, h, tf.zeros_like(h)),
        "slice": lambda: h[:, ::2, ..., 0],
        "slice2": lambda: tf.slice(h, [0, 0, 0, 0], [-1, 2, 2, 2]),
        "strided": lambda: tf.strided_slice(h, [0, 0], [1, 2]),
        "pad": lambda: tf.pad(h, [[0, 0], [1, 1], [1, 1], [0, 0]]),
        "tile": lambda: tf.tile(h, [1, 2, 1, 1]),
        "reshape": lambda: tf.reshape(h, [-1, 72]),
        "transpose": lambda: tf.transpose(h, [0, 2, 1, 3]),
        "expand": lambda: tf.expand_dims(h, 1),
        "squeeze": lambda: tf.squeeze(tf.expand_dims(h, 1), 1),
        "cast": lambda: tf.cast(h, tf.float64),
        "ops": lambda: -(h * 2.0 + 1.0) / 3.0 - h**2.0,
        "abs": lambda: tf.abs(h),
        "relu": lambda: tf.nn.relu(h),
        "leaky": lambda: tf.nn.leaky_relu(h),
        "gelu": lambda: tf.nn.gelu(h),
        "swish": lambda: tf.nn.swish(h),
        "silu": lambda: tf.nn.silu(h),
        "softmax": lambda: tf.nn.softmax(h),
        "sigmoid": lambda: tf.sigmoid(h),
        "tanh": lambda: tf.tanh(h),
        "elu": lambda: tf.nn.elu(h),
        "relu6": lambda: tf.nn.relu6(h),
        "softplus": lambda: tf.math.softplus(h),
        "resize": lambda: tf.image.resize(h, [8, 8]),
        "central_crop": lambda: tf.image.central_crop(h, 0.5),
        "flip": lambda: tf.image.flip_left_right(h),
        "gray": lambda: tf.image.rgb_to_grayscale(h),
        "std_img": lambda: tf.image.per_image_standardization(h),
        "s2d": lambda: tf.nn.space_to_depth(h, 2),
        "d2s": lambda: tf.nn.depth_to_space(tf.concat([h] * 4, -1), 2),
        "adjust": lambda: tf.image.adjust_brightness(h, 0.1),
        "resize_pad": lambda: tf.image.resize_with_pad(h, 8, 8),
        "crop": lambda: tf.image.crop_to_bounding_box(h, 0, 0, 2, 2),
        "pad_box": lambda: tf.image.pad_to_bounding_box(h, 0, 0, 8, 8),
        "psnr": lambda: tf.image.psnr(h, h, 1.0),
        "ssim": lambda: tf.image.ssim(h, h, 1.0, filter_size=2),
        "sobel": lambda: tf.image.sobel_edges(h),
        "patches": lambda: tf.image.extract_patches(
            h, [1, 2, 2, 1], [1, 2, 2, 1], [1, 1, 1, 1], "VALID"
        ),
        "hsv": lambda: tf.image.rgb_to_hsv(tf.sigmoid(h)),
        "avg_pool": lambda: tf.nn.avg_pool2d(h, 2, 2, "SAME"),
        "max_pool": lambda: tf.nn.max_pool2d(h, 2, 2, "SAME"),
        "l2": lambda: tf.nn.l2_normalize(h, -1),
        "l2m": lambda: tf.math.l2_normalize(h, -1),
        "moments": lambda: tf.nn.moments(h, [1, 2])[0],
        "matmul": lambda: tf.matmul(v, v, transpose_b=True),
        "tensordot": lambda: tf.tensordot(h, np.ones((3, 2), "float32"), 1),
        "clip": lambda: tf.clip_by_value(h, -0.1, 0.1),
        "minimum": lambda: tf.minimum(h, 0.1),
        "maximum": lambda: tf.maximum(h, 0.1),
        "gather": lambda: tf.gather(h, [0, 2], axis=1),
        "argmax": lambda: tf.argmax(h, -1),
        "onehot": lambda: tf.one_hot(tf.argmax(h, -1), 3),
        "topk": lambda: tf.math.top_k(v, 2)[0],
        "topk2": lambda: tf.nn.top_k(v, 2)[0],
        "sort": lambda: tf.sort(v),
        "argsort": lambda: tf.argsort(v),
        "cumsum": lambda: tf.cumsum(h, 1),
        "reverse": lambda: tf.reverse(h, [1]),
        "roll": lambda: tf.roll(h, 1, 1),
        "repeat": lambda: tf.repeat(h, 2, 1),
        "sqrt": lambda: tf.sqrt(tf.abs(h)),
        "exp": lambda: tf.exp(h),
        "log": lambda: tf.math.log(tf.abs(h) + 1.0),
        "pow": lambda: tf.pow(h, 2.0),
        "square": lambda: tf.square(h),
        "sqdiff": lambda: tf.math.squared_difference(h, 0.0),
        "norm": lambda: tf.norm(h, axis=-1),
        "stop": lambda: tf.stop_gradient(h),
        "shape": lambda: tf.reshape(h, [tf.shape(h)[0], -1]),
        "zeros_like": lambda: tf.zeros_like(h) + h,
        "ones_like": lambda: tf.ones_like(h) * h,
        "fill": lambda: tf.fill(tf.shape(h), 2.0) * h,
        "equal": lambda: tf.cast(tf.equal(h, 0.0), tf.float32),
        "logical": lambda: tf.cast(tf.logical_and(h > 0, h < 1), tf.float32),
        "identity": lambda: tf.identity(h),
        "bias": lambda: tf.nn.bias_add(h, np.ones(3, "float32")),
        "conv": lambda: tf.nn.conv2d(h, np.ones((2, 2, 3, 2), "float32"), 1, "SAME"),
        "dw": lambda: tf.nn.depthwise_conv2d(
            h, np.ones((2, 2, 3, 1), "float32"), [1, 1, 1, 1], "SAME"
        ),
        "bn": lambda: tf.nn.batch_normalization(h, 0.0, 1.0, None, None, 1e-3),
        "lrn": lambda: tf.nn.local_response_normalization(h),
        "stft": lambda: tf.abs(tf.signal.stft(k.layers.Dense(64)(v), 16, 8)),
        "band": lambda: tf.linalg.band_part(h, 0, 1),
        "diag": lambda: tf.linalg.diag_part(tf.matmul(h, h, transpose_b=True)),
        "inv": lambda: tf.linalg.inv(
            tf.matmul(h, h, transpose_a=True) + np.eye(3, dtype="float32")
        ),
        "K.mean": lambda: K.mean(h, 1),
        "K.l2": lambda: K.l2_normalize(h, -1),
        "K.sum": lambda: K.sum(h, 1),
        "K.square": lambda: K.square(h),
        "K.sqrt": lambda: K.sqrt(h),
        "K.abs": lambda: K.abs(h),
        "K.concat": lambda: K.concatenate([h, h]),
        "K.relu": lambda: K.relu(h, max_value=6),
        "K.hard_sigmoid": lambda: K.hard_sigmoid(h),
        "K.dot": lambda: K.batch_dot(v, v, axes=1),
        "K.perm": lambda: K.permute_dimensions(h, (0, 2, 1, 3)),
        "K.resize": lambda: K.resize_images(h, 2, 2, "channels_last"),
        "K.softmax": lambda: K.softmax(h),
        "K.clip": lambda: K.clip(h, 0, 1),
        "K.int_shape": lambda: K.reshape(h, (-1, 72)),
        "act.relu": lambda: k.activations.relu(h, max_value=6.0),
        "act.swish": lambda: k.activations.swish(h),
        "act.gelu": lambda: k.activations.gelu(h),
        "act.softmax": lambda: k.activations.softmax(h),
        "fake": lambda: tf.quantization.fake_quant_with_min_max_args(h),
        "divide": lambda: tf.divide(h, 2.0),
        "floordiv": lambda: h // 2.0,
        "mod": lambda: h % 2.0,
        "matop": lambda: h @ np.ones((3, 2), "float32"),
        "addn": lambda: tf.add_n([h, h]),
        "rint": lambda: tf.math.rint(h),
        "round": lambda: tf.round(h),
        "sign": lambda: tf.sign(h),
        "erf": lambda: tf.math.erf(h),
        "broadcast": lambda: tf.broadcast_to(v[:, None], [2, 4, 3]),
        "boolean": lambda: tf.boolean_mask(h, [True, False, True, False], axis=1),
        "scatter": lambda: tf.tensor_scatter_nd_update(v, [[0, 0]], [1.0]),
        "searchs": lambda: tf.searchsorted(v, v),
        "unique": lambda: tf.unique(v[0])[0],
        "reduce_prod": lambda: tf.reduce_prod(h, 1),
        "any": lambda: tf.cast(tf.reduce_any(h > 0, 1), tf.float32),
        "lse": lambda: tf.reduce_logsumexp(h, 1),
        "s2b": lambda: tf.space_to_batch(h, [2, 2], [[0, 0], [0, 0]]),
        "gather_nd": lambda: tf.gather_nd(h, [[0, 0]]),
        "audio": lambda: tf.signal.frame(v, 2, 1),
        "cross": lambda: tf.linalg.cross(h, h),
        "det": lambda: tf.linalg.det(tf.matmul(h, h, transpose_a=True)),
        "rank": lambda: tf.cast(tf.rank(h), tf.float32) * h,
        "nantonum": lambda: tf.where(tf.math.is_nan(h), 0.0, h),
        "in_top_k": lambda: tf.cast(tf.math.in_top_k([0, 1], v, 2), tf.float32),
        "eye": lambda: tf.eye(3) * v[:, None],
        "range": lambda: tf.range(3.0) * v,
        "linspace": lambda: tf.linspace(0.0, 1.0, 3) * v,
        "const": lambda: tf.constant([1.0, 2.0, 3.0]) * h,
    }


def _flat(made: Any) -> list[Any]:
    return list(made) if isinstance(made, list | tuple) else [made]


@pytest.mark.parametrize(
    ("suffix", "step"),
    quick_are([("keras", 30)], [("keras", 30), ("keras", 5), ("keras", 1), ("h5", 1)]),
)
def test_functions_of_tensorflow(tmp_path: Path, suffix: str, step: int) -> None:
    """All of them in one network, each an output; of the quick tests, some."""
    import tf_keras

    tf_keras.utils.set_random_seed(1)
    layers = tf_keras.layers
    inputs = layers.Input(X.shape[1:])
    h = layers.Conv2D(3, 3, padding="same", name="beginning")(inputs)
    v = layers.GlobalAveragePooling2D(name="vector")(h)
    forms = _forms(tf_keras, h, v)
    if suffix == "keras":
        del forms["slice"]  # Keras 2 cannot write an ellipsis to archives
    some = itertools.islice(forms.items(), 0, None, step)
    made = [(name, one) for name, form in some for one in _flat(form())]
    assert len(made) > 130 // step
    network = tf_keras.Model(inputs, [one for _, one in made])
    network.save(tmp_path / f"model.{suffix}")
    model = cnnvis.load_model(tmp_path / f"model.{suffix}")
    assert model.cut == {}
    for (name, _), one, other in zip(made, network(X), model.network(X), strict=True):
        one, other = np.asarray(one), np.asarray(other)
        kind = one.dtype if one.dtype.kind in "fc" else np.float64
        np.testing.assert_allclose(one.astype(kind), other.astype(kind), 1e-5, 1e-6, err_msg=name)


@pytest.mark.parametrize(
    ("function", "reason"),
    [
        ("random.normal", "which makes random values"),
        ("nn.dropout", "which makes random values"),
        ("meshgrid", "whose arguments Keras 2 does not write completely into files"),
        ("nn.fixed_unigram_candidate_sampler", "function 'nn.fixed_unigram_candidate_sampler'"),
        ("keras.activations.deserialize", "function 'keras.activations.deserialize'"),
        ("io.read_file", "function 'io.read_file'"),
        ("compat.v1.py_func", "function 'compat.v1.py_func'"),
    ],
)
def test_functions_that_are_cut_off(tmp_path: Path, function: str, reason: str) -> None:
    """Random ones, and those that read files, among them a sampler that reads words."""
    import h5py
    import tensorflow as tf
    import tf_keras

    inputs = tf_keras.layers.Input((4,))
    hidden = tf_keras.layers.Dense(3, name="hidden")(inputs)
    tf_keras.Model(inputs, tf.nn.relu(hidden)).save(tmp_path / "model.h5")
    with h5py.File(tmp_path / "model.h5", "r+") as file:
        text = file.attrs["model_config"]
        assert '"nn.relu"' in text
        file.attrs["model_config"] = text.replace('"nn.relu"', f'"{function}"')
    model = cnnvis.load_model(tmp_path / "model.h5")
    assert reason in next(iter(model.cut.values()))
    (found,) = model.values(np.ones((1, 4), np.float32), ["hidden"])
    assert found.shape == (1, 3)


def test_cutting_a_call_leaves_numbers_and_options_alone(tmp_path: Path) -> None:
    """These stand beside the names of layers in a call, and are no layers."""
    import tensorflow as tf
    import tf_keras

    inputs = tf_keras.layers.Input((4,))
    hidden = tf_keras.layers.Dense(3, name="hidden")(inputs)
    drawn = tf.random.normal([2, 3], tf.reduce_mean(hidden), name="drawn")
    where = tf.where(hidden > 0, drawn, tf.norm(hidden, axis=-1, keepdims=True))
    tf_keras.Model(inputs, where).save(tmp_path / "model.h5")
    model = cnnvis.load_model(tmp_path / "model.h5")
    assert next(iter(model.cut)).startswith("tf.random.normal")
    assert "hidden" in [one.name for one in model.layers]
