"""The process that keras-vis 0.4.1 runs in, unmodified.

It was written for Keras 2.0 on TensorFlow 1. Here ``keras`` is tf_keras without eager execution, and
the few names that have vanished since, or moved, are put back where it looks for them. Its pictures
are coloured; the raw values are those that it hands to its own ``normalize`` before it does that.
"""

from __future__ import annotations

import os
import sys
import types
from collections.abc import Callable
from typing import Any, Literal

from cnnvis.plugins.adapters._processes.serving import serve

CALLS = 8
"""Number of calls after which the graph is built anew: each call makes it larger and slower."""


def main() -> None:
    """Answer requests from standard input on standard output until there are no more."""
    serve("keras-vis 0.4.1", _begun)


def _begun() -> tuple[None, Callable[[dict[str, Any]], Any]]:
    put_back_names()
    from vis import visualization  # noqa: F401 (does it import?)

    return None, Library().answered


def put_back_names() -> None:
    """Restore the names that keras-vis imports and today's packages no longer have."""
    import collections
    import collections.abc

    os.environ["TF_USE_LEGACY_KERAS"] = "1"
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    import scipy
    import scipy.ndimage
    import tensorflow as tf
    import tf_keras
    from tf_keras.src.layers.convolutional.base_conv import Conv
    from tf_keras.src.layers.pooling.base_pooling1d import Pooling1D
    from tf_keras.src.layers.pooling.base_pooling2d import Pooling2D
    from tf_keras.src.layers.pooling.base_pooling3d import Pooling3D

    tf.compat.v1.disable_eager_execution()
    names: dict[str, Any] = {
        "keras": tf_keras,
        "keras.backend": tf_keras.backend,
        "keras.models": tf_keras.models,
        "keras.layers": tf_keras.layers,
        "keras.layers.convolutional": _module(_Conv=Conv),
        "keras.layers.pooling": _module(
            _Pooling1D=Pooling1D, _Pooling2D=Pooling2D, _Pooling3D=Pooling3D
        ),
        "keras.layers.wrappers": _module(Wrapper=tf_keras.layers.Wrapper),
        "scipy.misc": _module(imresize=_imresize),
    }
    sys.modules.update(names)
    scipy.misc = names["scipy.misc"]
    if not hasattr(scipy.ndimage, "interpolation"):
        sys.modules["scipy.ndimage.interpolation"] = scipy.ndimage
    collections.Iterable = collections.abc.Iterable  # type: ignore[attr-defined]
    tf.get_default_graph = tf.compat.v1.get_default_graph
    # An input that is also fetched is refused today; a copy of it is not.
    plain = tf_keras.backend.function
    tf_keras.backend.function = lambda inputs, outputs, **more: plain(
        inputs, [tf.identity(one) for one in outputs], **more
    )


def _module(**names: Any) -> types.ModuleType:
    module = types.ModuleType("put_back")
    vars(module).update(names)
    return module


def _imresize(arr: Any, size: Any, interp: Literal["bicubic"], mode: Literal["F"]) -> Any:
    """Resize an array of floats as SciPy did with Pillow until version 1.3, in the one way needed."""
    import numpy as np
    from PIL import Image

    image = Image.fromarray(np.asarray(arr, np.float32))
    return np.asarray(image.resize((int(size[1]), int(size[0])), Image.Resampling.BICUBIC))


class Library:
    """keras-vis with a network in it."""

    def __init__(self) -> None:
        self._network: Any = None
        self._loaded: dict[str, Any] = {}
        self._calls = 0

    def answered(self, request: dict[str, Any]) -> Any:
        """Carry out a request."""
        if request["do"] == "load":
            self._loaded = request
            self._build()
            return None
        if self._calls >= CALLS:
            self._build()
        self._calls += 1
        return self._called(**request)

    def _build(self) -> None:
        import json

        import tf_keras
        from vis.backend import tensorflow_backend

        from cnnvis.plugins.adapters._processes.keras_vis_translation import translated

        tf_keras.backend.clear_session()
        tensorflow_backend._MODIFIED_MODEL_CACHE.clear()
        config = json.loads(self._loaded["config"])
        formats = {layer["config"].get("data_format") for layer in config["layers"]} - {None}
        if len(formats) == 2:
            raise ValueError("some layers have channels first and other layers have channels last")
        tf_keras.backend.set_image_data_format((*formats, "channels_last")[0])
        self._network = translated(config, self._loaded["weights"])
        self._calls = 0

    def _called(
        self,
        do: str,
        outputs: list[int],
        x: Any,
        options: dict[str, Any],
        penultimate: str | None,
    ) -> Any:
        import numpy as np
        from vis import visualization
        from vis.input_modifiers import Jitter
        from vis.utils import utils

        network = self._network
        target = network.output._keras_history.layer
        place = network.layers.index(target)
        options = dict(options)
        if do == "visualize_activation":
            np.random.seed(options.pop("seed"))
            jitter = options.pop("jitter")
            options["input_modifiers"] = [Jitter(np.array(jitter))] if any(jitter) else []
            found = visualization.visualize_activation(
                network, place, outputs, seed_input=x, **options
            )
            if utils.K.image_data_format() == "channels_first":
                found = np.moveaxis(found, -1, 0)
            return np.asarray(found, np.float32)
        if penultimate is not None:
            names = [layer.name for layer in network.layers]
            if penultimate not in names:
                raise ValueError(f"there is no layer {penultimate!r} before the target")
            options["penultimate_layer_idx"] = names.index(penultimate)
        raw: list[Any] = []
        scaled = utils.normalize

        def normalize(array: Any, *bounds: Any) -> Any:
            raw.append(array)
            return scaled(array, *bounds)

        utils.normalize = normalize
        try:
            getattr(visualization, do)(network, place, outputs, x, **options)
        finally:
            utils.normalize = scaled
        found = np.asarray(raw[-1], np.float32)
        return found[0] if do == "visualize_saliency" else found


if __name__ == "__main__":
    main()
