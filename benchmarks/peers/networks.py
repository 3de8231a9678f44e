"""The networks that are explained, with random weights that are always the same.

Imported by workers, in environments where Keras 3 is.
"""

from __future__ import annotations

from typing import Any

import numpy as np

SHAPES: dict[str, tuple[int, ...]] = {
    "small": (68, 32, 1),
    "sequence": (1000, 4),
    "volume": (32, 32, 32, 1),
    "ResNet50": (224, 224, 3),
    "MobileNetV2": (224, 224, 3),
    "VGG16": (224, 224, 3),
    "EfficientNetB0": (224, 224, 3),
    "U-Net 3-D": (64, 64, 64, 1),
    "tiny U-Net 3-D": (16, 16, 16, 1),
    "genomatnn": (256, 418, 1),
}

IMAGES = {
    "small": 2048, "sequence": 512, "volume": 192, "ResNet50": 16, "MobileNetV2": 32, "VGG16": 8,
}  # fmt: skip
"""How many images a call explains: as many as take a second or more."""


def network(name: str) -> Any:
    """A Keras 3 network, by its name here or from a file."""
    import keras

    if name.endswith(".keras"):
        return keras.saving.load_model(name)
    if name not in SHAPES:
        import cnnvis

        return cnnvis.load_model(name).network
    keras.utils.set_random_seed(1)
    if hasattr(keras.applications, name):
        found = getattr(keras.applications, name)(weights=None)
        if name == "VGG16":
            # Its Grad-CAM of output 0 is below zero everywhere, and so is not shown.
            kernel, bias = found.layers[-1].get_weights()
            kernel[:, 0] *= -1
            found.layers[-1].set_weights([kernel, bias])
        return found
    if name.endswith("U-Net 3-D"):
        return _u_net(SHAPES[name], (4, 8) if name.startswith("tiny") else (16, 32, 64, 128))
    if name == "genomatnn":
        return _genomatnn(SHAPES[name])
    layers = keras.layers
    convolution = {2: layers.Conv1D, 3: layers.Conv2D, 4: layers.Conv3D}[len(SHAPES[name])]
    pooling = {2: layers.MaxPooling1D, 3: layers.MaxPooling2D, 4: layers.MaxPooling3D}[
        len(SHAPES[name])
    ]
    filters = {"small": (8, 8, 16), "sequence": (64, 64), "volume": (8, 16)}[name]
    body = [layers.Input(SHAPES[name])]
    for number, count in enumerate(filters):
        body.append(convolution(count, 5 if name == "sequence" else 3, activation="relu"))
        if number + 1 < len(filters):
            body.append(pooling(2))
    return keras.Sequential([*body, layers.Flatten(), layers.Dense(4), layers.Softmax()])


def _u_net(shape: tuple[int, ...], filters: tuple[int, ...]) -> Any:
    """A network that tells two classes apart at each place: so many filters at each resolution."""
    import keras

    layers = keras.layers

    def block(x: Any, count: int) -> Any:
        for _ in range(2):
            x = layers.Conv3D(count, 3, padding="same", use_bias=False)(x)
            x = layers.ReLU()(layers.BatchNormalization()(x))
        return x

    given = x = keras.Input(shape)
    kept = []
    for count in filters[:-1]:
        kept.append(block(x, count))
        x = layers.MaxPooling3D(2)(kept[-1])
    x = block(x, filters[-1])
    for count, beside in zip(filters[-2::-1], reversed(kept), strict=True):
        x = layers.Conv3DTranspose(count, 2, strides=2)(x)
        x = block(layers.Concatenate()([beside, x]), count)
    return keras.Model(given, layers.Conv3D(2, 1, activation="softmax")(x))


def _genomatnn(shape: tuple[int, ...]) -> Any:
    """A network as genomatnn has them (Gower et al. 2021, doi:10.7554/eLife.64669)."""
    import keras

    layers = keras.layers
    body: list[Any] = [layers.Input(shape)]
    for _ in range(7):
        body += [
            layers.BatchNormalization(),
            layers.Conv2D(16, 4, strides=2, padding="same", use_bias=False),
            layers.LeakyReLU(negative_slope=0.3),
        ]
    body += [layers.Flatten(), layers.BatchNormalization(), layers.Dense(1, activation="sigmoid")]
    return keras.Sequential(body)


def images(network: Any, count: int) -> Any:
    """Inputs for it, (count, ...) float32 in [0, 1)."""
    shape = tuple(network.input_shape[1:])
    return np.random.default_rng(2).random((count, *shape), np.float32)


def last_convolution(network: Any) -> str:
    """The layer whose feature maps Grad-CAM weights: the last with the input's spatial axes."""
    rank = len(network.input_shape)
    return next(
        layer.name
        for layer in reversed(network.layers)
        if "Conv" in type(layer).__name__ and len(layer.output.shape) == rank
    )
