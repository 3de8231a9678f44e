"""Data that a program has in memory, in the usual forms of NumPy and Keras."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from cnnvis.data.labels import column_names
from cnnvis.data.lazy import Shape
from cnnvis.data.samples import Samples
from cnnvis.errors import UserError, shown
from cnnvis.reporting import progress


def samples_in(data: Any, inputs: Sequence[Shape] | None = None) -> Samples:
    """Make samples of inputs, of inputs and labels, or of an iterable of batches.

    Parameters
    ----------
    data
        Inputs (n, ...): an array, a tensor, a pandas frame; of several inputs a dict, a list or a
        tuple, as nested as the network takes them. Or a pair of inputs and labels, a tuple; the
        columns of a frame of 0 and 1 are the names of classes. Or a ``tf.data.Dataset`` or
        ``keras.utils.PyDataset``, of batches as Keras takes them, which is gone through once; of
        elements without batches, if these have the shape that the network takes, their labels are
        single numbers, or their first axis is not of open length.
    inputs
        The shapes of what the network takes, without the sample axis, where they are known: as many
        arrays as that are its inputs then, and neither images nor a pair.

    Raises
    ------
    UserError
        If it is none of these.
    """
    if isinstance(data, Samples):
        return data
    kinds = {kind.__name__ for kind in type(data).__mro__}
    names, is_gathered = None, True
    if "DatasetV2" in kinds:
        # As image_dataset_from_directory calls the folders that it found.
        names = getattr(data, "class_names", None)
        data = _gathered(_elements(data), is_batched=_is_batched(data, inputs))
    elif "PyDataset" in kinds or ("Sequence" in kinds and not isinstance(data, list | tuple)):
        data = _gathered((data[number] for number in range(len(data))), is_batched=True)
    else:
        is_gathered = False
    x, y = data, None
    if isinstance(data, tuple) and len(data) == 2 and (is_gathered or not _are(data, inputs)):
        if all(isinstance(part, tuple) and len(part) == 2 for part in data):
            raise UserError(
                "the data are two pairs, a training set and a test set as from keras.datasets; "
                "give one set: data=(x_test, y_test)"
            )
        x, y = data
    if isinstance(x, Iterator) or callable(x) or x is None:
        raise UserError(
            f"the data are {shown(x)}, and must be a file, an array of inputs, a dict of arrays, "
            "a pair of inputs and labels, a tf.data.Dataset or Samples"
        )
    count = None if inputs is None else len(inputs)
    if y is None:
        _require_no_labels(x, count)
    else:
        _require_labels_of_one(y, x, is_gathered=is_gathered)
    labels = y if y is None or column_names(y) else _plain(y)
    return Samples.of(_flat(_plain(x), count), labels, several=count, class_names=names)


def _are(data: Any, inputs: Sequence[Shape] | None) -> bool:
    """Tell whether a pair holds two of a network's inputs, and not inputs and labels."""
    arrays = _leaves(data)
    if inputs is None or len(arrays) != len(inputs) or len(_leaves(data[0])) == len(inputs):
        return False
    # By their names those of a dict go to their inputs, in whatever order they are.
    has_order = not any(isinstance(part, Mapping) for part in data)
    return not has_order or all(map(_may_be, arrays, inputs))


def _may_be(array: Any, wanted: Shape) -> bool:
    """Tell whether an array may hold inputs of a shape, perhaps without a channel axis."""
    found = tuple(getattr(array, "shape", ()))[1:]
    return any(
        len(one) == len(wanted)
        and all(want in (None, have) for have, want in zip(one, wanted, strict=True))
        for one in (found, (*found, 1), (1, *found))
    )


def _leaves(value: Any) -> list[Any]:
    """Return the arrays of a nested structure, in order; a value without arrays counts as one."""
    if isinstance(value, Mapping):
        return [leaf for one in value.values() for leaf in _leaves(one)]
    if _holds_arrays(value):
        return [leaf for one in value for leaf in _leaves(one)]
    return [value]


def _holds_arrays(value: Any) -> bool:
    """Tell whether a list or tuple holds arrays, or dicts or lists of arrays."""
    if not isinstance(value, list | tuple) or not value:
        return False
    first = value[0]
    return isinstance(first, Mapping) or len(_shape(first)) > 0 or _holds_arrays(first)


def _shape(value: Any) -> tuple[int, ...]:
    return tuple(getattr(value, "shape", ()))


def _require_no_labels(x: Any, count: int | None) -> None:
    """Refuse a list of inputs and labels, which is one of two inputs."""
    if not isinstance(x, list) or len(x) != 2 or count not in (None, 1):
        return
    first, second = _shape(x[0]), _shape(x[1]) or np.shape(x[1] if isinstance(x[1], list) else ())
    is_of_labels = len(second) == 1 or (count == 1 and len(second) > 0 and second != first)
    if len(first) > 1 and is_of_labels and second[0] == first[0]:
        raise UserError(
            "the data are a list of two arrays, which stands for two inputs; a pair of inputs and "
            "labels is a tuple: data=(X, y)"
        )


def _require_labels_of_one(y: Any, x: Any, *, is_gathered: bool) -> None:
    """Refuse labels of several outputs, of which one is explained at a time."""
    if isinstance(y, Mapping):
        first, called = next(iter(y), ""), f"a dict of {', '.join(map(repr, y))}"
    else:
        count = (_shape(_leaves(x)[0]) or (0,))[0]
        each = [_shape(one)[:1] for one in y] if _holds_arrays(y) else []
        if not each or len(each) == count or set(each) != {(count,)}:
            return
        first, called = 0, f"a list of {len(each)} arrays"
    which = f"y[{first!r}]"
    mended = f"dataset.map(lambda x, y: (x, {which}))" if is_gathered else f"data=(x, {which})"
    raise UserError(
        f"the labels are {called}, for several outputs of a network, and cnnvis explains one "
        f"output at a time; give the labels of this output: {mended}"
    )


_NO_ARRAYS = {
    "RaggedTensor": "whose images have several lengths; give one array, such as x.to_tensor(), "
    "which fills up with 0, or the images of each length separately",
    "SparseTensor": "which is no array; give tf.sparse.to_dense(x)",
}


def _plain(value: Any) -> Any:
    """Replace tensors and frames by NumPy arrays, also inside dicts and lists."""
    kind = type(value).__name__
    if kind in _NO_ARRAYS:
        raise UserError(f"the data are a {kind}, {_NO_ARRAYS[kind]}")
    if isinstance(value, Mapping):
        return {key: _plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple) and (
        _holds_arrays(value) or any(hasattr(one, "shape") for one in value)
    ):
        return [_plain(one) for one in value]
    if isinstance(value, np.ndarray) or not hasattr(value, "__array__"):
        return value
    return np.asarray(value)


def _flat(value: Any, count: int | None) -> Any:
    """Flatten nested inputs to a dict with paths as keys: ``left/image``, ``0/image``.

    Lists in lists are such a structure only if they hold an array for each input; else each is an
    image.
    """
    of_lists = count is not None and count > 1 and len(_leaves(value)) == count
    return _flattened(value, of_lists=of_lists)


def _flattened(value: Any, *, of_lists: bool) -> Any:
    parts = _parts(value, of_lists=of_lists)
    if not any(_parts(one, of_lists=of_lists) for one in parts.values()):
        return value
    flat: dict[str, Any] = {}
    for key, one in parts.items():
        inner = _parts(_flattened(one, of_lists=of_lists), of_lists=of_lists)
        flat.update({f"{key}/{name}": array for name, array in inner.items()} or {key: one})
    return flat


def _parts(value: Any, *, of_lists: bool) -> dict[str, Any]:
    """Return the members of a dict, or of a list of arrays by number; none for any other value."""
    if isinstance(value, Mapping):
        return {str(key): one for key, one in value.items()}
    is_list = isinstance(value, list | tuple) and all(
        isinstance(one, Mapping) or len(_shape(one)) > 0 or (of_lists and _holds_arrays(one))
        for one in value
    )
    return {str(number): one for number, one in enumerate(value)} if is_list else {}


def _elements(dataset: Any) -> Iterator[Any]:
    if int(dataset.cardinality()) == -1:
        raise UserError(
            "the data set has no end; take the elements to explain, such as dataset.take(10)"
        )
    yield from dataset.as_numpy_iterator()


def _is_batched(dataset: Any, inputs: Sequence[Shape] | None) -> bool:
    """Tell whether elements of a tf.data.Dataset are batches, by their declared shapes."""
    spec = dataset.element_spec
    x, y = (spec[0], spec[1]) if isinstance(spec, tuple) and len(spec) > 1 else (spec, None)
    every = _specs(x)
    first: Any = every[0] if every else None
    if not hasattr(first, "shape") or first.shape.rank is None:
        raise UserError(
            "the shapes of the data set's elements are not known in advance; give arrays"
        )
    if first.shape.rank == 0:
        return False
    is_single = y is not None and hasattr(y, "shape") and y.shape.rank == 0
    if is_single or (inputs is not None and _are_single(every, inputs)):
        return False
    if first.shape[0] is None or y is None or isinstance(y, Mapping | list | tuple):
        return True
    return bool(y.shape.rank) and y.shape[0] == first.shape[0]


def _specs(spec: Any) -> list[Any]:
    """Return the declared spec of each array in an element, however nested."""
    if not isinstance(spec, Mapping | list | tuple):
        return [spec]
    parts = spec.values() if isinstance(spec, Mapping) else spec
    return [one for part in parts for one in _specs(part)]


def _are_single(every: Sequence[Any], inputs: Sequence[Shape]) -> bool:
    """Tell whether an element's arrays have the shapes of single inputs, in any order."""
    known = all(hasattr(one, "shape") and one.shape.rank is not None for one in every)
    return (
        known
        and len(every) == len(inputs)
        and all(any(_is_one(one.shape, wanted) for wanted in inputs) for one in every)
    )


def _is_one(shape: Any, wanted: Shape) -> bool:
    """Tell whether an element has the shape of one input, perhaps without a channel axis."""
    if len(shape) != len(wanted):
        return len(shape) < len(wanted)
    # What is of open length where an input is not is a batch.
    sizes = list(zip(shape, wanted, strict=True))
    return all(
        want in (None, have) or (axis and have is None) for axis, (have, want) in enumerate(sizes)
    )


def _gathered(elements: Iterable[Any], *, is_batched: bool) -> Any:
    """Return all elements as inputs, or as inputs and labels; sample weights are left out."""
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
