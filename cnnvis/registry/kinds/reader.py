"""Readers: plugins that read data from files."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from cnnvis.registry.failures import as_plugin_error
from cnnvis.registry.kinds.answers import of_type
from cnnvis.registry.kinds.kind import Kind
from cnnvis.registry.plugin import BUILT_IN, Function, Plugin, mark


def reader(
    name: str,
    *,
    suffixes: Sequence[str] = (),
    accepts: Callable[[Any], bool] | None = None,
    remote: bool = False,
    requires: Sequence[str] = (),
    extra: str = "",
) -> Callable[[Function], Function]:
    """Mark a function as a reader of data: ``function(path, *, options) -> Samples``.

    With `remote`, the path that the function and `accepts` get may also be a `cnnvis.Address`, of data in an
    object store; `cnnvis.held` and `cnnvis.zarr_arrays` take addresses as well.
    """
    return mark(
        "reader",
        name,
        suffixes=tuple(suffixes),
        accepts=accepts,
        remote=remote,
        requires=tuple(requires),
        extra=extra,
    )


def _accept(plugin: Plugin, answer: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
    from cnnvis.data.samples import Samples

    samples = of_type(plugin, answer, Samples, "Samples")
    if plugin.distribution != BUILT_IN:
        held = vars(samples)
        held["source"] = _watched(plugin, samples.source)
        held["others"] = {name: _watched(plugin, one) for name, one in samples.others.items()}
    return samples


def _watched(plugin: Plugin, source: Any) -> Any:
    import numpy as np

    return source if isinstance(source, np.ndarray) else _Watched(plugin, source)


class _Watched:
    """Samples that are read when they are indexed, with failures reported as the reader's."""

    def __init__(self, plugin: Plugin, source: Any) -> None:
        self._plugin, self._source = plugin, source
        self.shape, self.dtype = tuple(source.shape), source.dtype

    def __getitem__(self, index: Any) -> Any:
        import numpy as np

        with as_plugin_error(self._plugin):
            found = np.asarray(self._source[index])
        if found.shape[1:] != self.shape[1:]:
            raise self._plugin.failed(
                f"it read samples of shape {found.shape[1:]}, and said {self.shape[1:]}"
            )
        return found


READER = Kind(
    "reader",
    about="Plugin that reads data.",
    example="cnnvis run saliency model.h5 --data table.csv",
    accept=_accept,
    is_beside=True,
    file="data",
)
