"""Data that a program has in hand, in the forms in which NumPy's and Keras's people keep them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np

from cnnvis.errors import UserError, shown
from cnnvis.labels import column_names
from cnnvis.reporting import progress
from cnnvis.samples import Samples


def samples_in(data: Any, inputs: int | None = None) -> Samples:
    """Make samples of inputs, of inputs and labels, or of what gives batches of such.

    Parameters
    ----------
    data
        Inputs (n, ...): an array, a tensor, a pandas frame; of several inputs a dict or a list. Or a
        pair of inputs and labels; the columns of a frame of 0 and 1 are the names of classes. Or a ``tf.data.Dataset`` or ``keras.utils.PyDataset``, of batches
        as Keras takes them, which is gone through once; of elements without batches, if their
        labels are single numbers or their first axis is not of open length.
    inputs
        How many inputs the network takes, where that is known: a list of so many arrays is one of
        inputs then, and not of images.

    Raises
    ------
    UserError
        If it is none of these.
    """
    if isinstance(data, Samples):
        return data
    kinds = {kind.__name__ for kind in type(data).__mro__}
    names = None
    if "DatasetV2" in kinds:
        # As image_dataset_from_directory calls the folders that it found.
        names = getattr(data, "class_names", None)
        data = _gathered(_elements(data), is_batched=_is_batched(data))
    elif "PyDataset" in kinds or ("Sequence" in kinds and not isinstance(data, list | tuple)):
        data = _gathered((data[number] for number in range(len(data))), is_batched=True)
    if isinstance(data, tuple) and len(data) == 2:
        if all(isinstance(part, tuple) and len(part) == 2 for part in data):
            raise UserError(
                "the data are two pairs, as keras.datasets give a training and a test set; explain "
                "one of them: data=(x_test, y_test)"
            )
        x, y = data
    else:
        x, y = data, None
    if isinstance(x, Iterator) or callable(x) or x is None:
        raise UserError(
            f"the data are {shown(x)}, and must be a file, an array of inputs, a dict of such, a pair "
            "of inputs and labels, a tf.data.Dataset or Samples"
        )
    labels = y if y is None or column_names(y) else _plain(y)
    return Samples.of(_flat(_plain(x)), labels, several=inputs, class_names=names)


def _plain(value: Any) -> Any:
    """Arrays of NumPy in the place of tensors and frames, in dicts and lists as well."""
    if isinstance(value, Mapping):
        return {key: _plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple) and any(hasattr(one, "shape") for one in value):
        return [_plain(one) for one in value]
    if isinstance(value, np.ndarray) or not hasattr(value, "__array__"):
        return value
    return np.asarray(value)


def _flat(value: Any) -> Any:
    """A nested structure of inputs as one dict, whose keys are the paths: ``left/image``, ``0/image``."""
    parts = _parts(value)
    if not any(_parts(one) for one in parts.values()):
        return value
    flat: dict[str, Any] = {}
    for key, one in parts.items():
        inner = _parts(_flat(one))
        flat.update({f"{key}/{name}": array for name, array in inner.items()} or {key: one})
    return flat


def _parts(value: Any) -> dict[str, Any]:
    """The members of a dict, or of a list of arrays by their numbers; none of anything else."""
    if isinstance(value, Mapping):
        return {str(key): one for key, one in value.items()}
    is_list = isinstance(value, list | tuple) and all(
        isinstance(one, Mapping) or len(getattr(one, "shape", ())) > 0 for one in value
    )
    return {str(number): one for number, one in enumerate(value)} if is_list else {}


def _elements(dataset: Any) -> Iterator[Any]:
    if int(dataset.cardinality()) == -1:
        raise UserError(
            "the data set has no end; take as many elements as are to be explained: "
            "dataset.take(10)"
        )
    yield from dataset.as_numpy_iterator()


def _is_batched(dataset: Any) -> bool:
    """Whether elements of a tf.data.Dataset are batches, by what it says of their shapes."""
    spec = dataset.element_spec
    x, y = (spec[0], spec[1]) if isinstance(spec, tuple) and len(spec) > 1 else (spec, None)
    first = x
    while isinstance(first, Mapping | list | tuple):
        first = next(iter(first.values() if isinstance(first, Mapping) else first))
    if not hasattr(first, "shape") or first.shape.rank is None:
        raise UserError(
            "the elements of the data set have shapes that are not known before; give arrays"
        )
    if first.shape.rank == 0:
        return False
    if first.shape[0] is None or y is None or isinstance(y, Mapping | list | tuple):
        return True
    return bool(y.shape.rank) and y.shape[0] == first.shape[0]


def _gathered(elements: Iterable[Any], *, is_batched: bool) -> Any:
    """All elements as inputs, or as inputs and labels; weights of samples are left out."""
    found: list[Any] = []
    with progress("reading the data set") as advance:
        for element in elements:
            parts = element[:2] if isinstance(element, tuple | list) else (element,)
            found.append([one if is_batched else _expanded(one) for one in parts])
            advance(1)
    if not found:
        raise UserError("the data set has no elements")
    joined = tuple(_joined([element[place] for element in found]) for place in range(len(found[0])))
    return joined if len(joined) == 2 else joined[0]


def _expanded(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _expanded(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_expanded(one) for one in value]
    return np.asarray(value)[None]


def _joined(parts: list[Any]) -> Any:
    if isinstance(parts[0], Mapping):
        return {key: _joined([part[key] for part in parts]) for key in parts[0]}
    if isinstance(parts[0], list | tuple):
        return [_joined([part[place] for part in parts]) for place in range(len(parts[0]))]
    try:
        return np.concatenate([np.asarray(part) for part in parts])
    except ValueError as error:
        raise UserError("the inputs do not all have one shape") from error
