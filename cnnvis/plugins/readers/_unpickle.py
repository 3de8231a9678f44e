"""Reading of a pickle without importing or running anything that the file names.

A pickle is a program for a small stack machine. The standard library's machine imports and calls
whatever the program names, so a stranger's pickle can do anything. The machine of this module only
puts plain values and NumPy arrays together: a name in the file becomes an inert `_Name`, and a call
on it succeeds only where `_CALLS` holds a function of this module for the same work.
"""

from __future__ import annotations

import codecs
import math
import pickletools  # For its table of opcodes; nothing of it reads the file.
import re
import struct
import warnings
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from cnnvis import UserError

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

_DEEPEST = 100  # Containers within containers; freeing a far deeper one overflows the C stack.
_LONGEST_KEY = 1000  # Characters; comparing longer ones time and again could take hours.
_MOST_NUMBER_KEYS = 10_000  # Python does not shuffle number hashes: a file can make them collide.
_LONGEST_NUMBER = 255  # Bytes or digits. Python itself refuses to print an int much longer.
_LONGEST_EMPTY = 10_000_000  # Rows that an array without elements can claim to have.
_SPARE_MEMORY = 2**29  # Bytes that reading may take on top of eight times the file.
_SPARE_WEIGHT = 50_000_000  # Leaves that walking the result may meet on top of twice the file.
_MADE, _KEPT = 500, 120  # Bytes that a container and its records take; that any other value does.

_NEWLINE = re.compile(rb"\n")
_OPENING = re.compile(rb"\x80|[()\]}cINLFSVXUTGKMJ]")  # Protocols 2 to 5; 0 and 1.
_DTYPE_TEXT = re.compile(r"([A-Za-z?])([0-9]{0,6})")
_DTYPE_SIZES = {"b": {1}, "i": {1, 2, 4, 8}, "u": {1, 2, 4, 8}, "f": {2, 4, 8}, "c": {8, 16}}
_DTYPE_NAMES = {"V": "with named fields", "M": "of dates", "m": "of time differences"}
_ARRAY_CLASSES = {"numpy.ndarray", "numpy.memmap", "numpy._core.memmap.memmap"}
_INSTEAD = 'Save the arrays with numpy.savez("data.npz", X=X, y=y) instead.'
_LINE = (
    "import pickle, numpy as np; X, y = pickle.load(open({path}, 'rb')); np.savez({npz}, X=X, y=y)"
)
_TENSORS = "np.savez({npz}, X=X.numpy(), y=y.numpy())"
# Of a frame, a pair or a dict; the columns of labels that are 0 and 1 are the names of classes.
_TABLES = (
    "import numpy as np, pandas as pd; d = pd.read_pickle({path}); "
    "d = d if isinstance(d, dict) else dict(zip('Xy', d if isinstance(d, (tuple, list)) else [d])); "
    "names = [n for k in ('y', 'Y', 'labels', 'targets') if hasattr(d.get(k), 'columns') and "
    "d[k].shape[1] > 1 and d[k].isin([0, 1]).all(axis=None) for n in d[k] if isinstance(n, str)]; "
    "np.savez({npz}, class_names=names, **{{k: np.array(v.values.tolist()) if hasattr(v, 'iloc') "
    "else v for k, v in d.items()}})"
)
_LIBRARIES = {
    "pandas": (
        "a pandas DataFrame or Series",
        _TABLES,
    ),
    "torch": (
        "a torch tensor",
        f"import numpy as np, torch; X, y = torch.load({{path}}); {_TENSORS}",
    ),
    "tensorflow": (
        "a TensorFlow tensor",
        f"import pickle, numpy as np; X, y = pickle.load(open({{path}}, 'rb')); {_TENSORS}",
    ),
    "joblib": (
        "a file of joblib",
        "import joblib, numpy as np; X, y = joblib.load({path}); np.savez({npz}, X=X, y=y)",
    ),
    "scipy": ("a SciPy matrix", _LINE.replace("X=X", "X=X.toarray()")),
}
"""Libraries with which people store data: their objects, and the line that saves these as .npz."""

_T = TypeVar("_T")


def unpickle(data: bytes | memoryview) -> object:
    """Return the value that a pickle of protocol 0 to 5 holds, without running any of it.

    The value consists of None, bool, int, float, complex, str, bytes, tuple, list, dict, set,
    frozenset, and NumPy arrays, scalars and dtypes. A bytearray comes back as bytes, an OrderedDict
    as a dict, a memmap as an array, and the str of Python 2 as str, read as UTF-8 or else Latin-1.

    Arrays are views on `data` wherever its bytes allow: they cost no memory of their own, they keep
    `data` alive, they cannot be written to, and they need not be aligned. Copy one before changing
    it. An array of objects comes back as an array of what they are: numbers, text or arrays.

    Raises
    ------
    UserError
        If `data` is no pickle or a damaged one, if it goes on after its first pickle, if it asks
        for anything but plain values and arrays (a class, a function, a pandas or torch object, a
        structured or date dtype, data outside the file), if it contains itself or nests too
        deeply, or if reading it would take far more memory than its length warrants.
    """
    return _Machine(memoryview(data).cast("B").toreadonly()).run()


def _refused(what: str) -> UserError:
    return UserError(f"this pickle {what}. {_INSTEAD}")


class NeedsCode(UserError):
    """Error for a pickle that needs the code that it names.

    Parameters
    ----------
    what
        The code or content that the pickle needs or holds.
    library
        The library that would read the pickle, if people store data with it.
    """

    def __init__(self, what: str, library: str = "") -> None:
        self.what, self.library = what, library
        super().__init__(f"this pickle {what}. {_INSTEAD}")

    def line(self, path: str) -> str:
        """Return the line of Python that saves the arrays of the file as .npz."""
        line = _LIBRARIES.get(self.library, ("", _LINE))[1]
        return line.format(path=repr(path), npz=repr(path.rpartition(".")[0] + ".npz"))


# The inert values. They stand on the machine's stack like any other, but never inside a container.


@dataclass(frozen=True, slots=True)
class _Name:
    """Function or class that the file names: a piece of text and no more."""

    text: str

    def known_as(self) -> str:
        """Return the name as Python 3 and NumPy 2 write it."""
        modern = re.sub(r"^numpy\.core\.", "numpy._core.", self.text)
        return re.sub(r"^__builtin__\.", "builtins.", modern)

    def library(self) -> str:
        return self.text.partition(".")[0]

    def refused(self, verb: str) -> UserError:
        if self.library() in _LIBRARIES:
            what = _LIBRARIES[self.library()][0]
            what = f"holds {what}, which cannot be read without running code from the file"
            return NeedsCode(what, self.library())
        text = self.text if self.text.isprintable() else ascii(self.text)
        text = text if len(text) <= 80 else text[:77] + "..."
        return NeedsCode(f"wants to {verb} {text}, and cnnvis never runs code from a data file")


@dataclass(slots=True, eq=False)
class _Raw:
    """Bytes of the file: an array's data, or else plain bytes or the text that Python 2 had."""

    data: memoryview | bytes
    is_text: bool = False
    plain: str | bytes | None = None


@dataclass(slots=True, eq=False)
class _DType:
    """A NumPy dtype: its kind and size, and the byte order that BUILD brings."""

    kind: str
    size: int
    order: str = "="

    def text(self) -> str:
        return "O" if self.kind == "O" else f"{self.order}{self.kind}{self.size}"


@dataclass(slots=True, eq=False)
class _Unbuilt:
    """Empty array that most of NumPy's pickles make first, and the array that BUILD makes of it."""

    array: npt.NDArray[Any] | None = None


@dataclass(slots=True, eq=False)
class _Args:
    """A tuple of inert values among others, most likely the arguments of a call."""

    items: tuple[object, ...]
    plain: tuple[object, ...] | None = None


_INERT = frozenset({_Name, _Raw, _DType, _Unbuilt, _Args})
_BYTES = (bytes, memoryview)
_CONTAINERS = frozenset({tuple, list, dict, set, frozenset})


class _Machine:
    """Stack machine: its position in the file, its stack, and its memo of values to reuse."""

    def __init__(self, data: memoryview) -> None:
        self.data = data
        self.at = 0
        self.stack: list[object] = []
        self.outer: list[list[object]] = []  # The stack under each MARK that is still open.
        self.memo: dict[int, object] = {}
        self.memory_left = _SPARE_MEMORY + 8 * len(data)
        # Depth and weight of each container made, by its id, which `alive` keeps from being reused.
        self.sizes: dict[int, tuple[int, int]] = {}
        self.alive: list[object] = []
        self.closed: set[int] = set()  # Those inside another container: they may not change.

    def run(self) -> object:
        if not _OPENING.match(self.data):
            head = f"it starts with {bytes(self.data[:12])!r}" if self.data else "it is empty"
            raise UserError(f"this is not a pickle: {head}.")
        try:
            while (code := self.byte()) != _STOP:
                _STEPS.get(code, _unknown)(self)
            result = self.settled(self.pop())
        except (ValueError, OverflowError) as error:  # Bytes that are no UTF-8, number or shape.
            raise self.damaged("it holds a value that cannot be read") from error
        except MemoryError as error:
            raise _refused("holds more than fits in memory") from error
        if left := len(self.data) - self.at:
            raise UserError(
                f"this file goes on for {left} bytes after its first pickle. Write a single one, "
                "as in pickle.dump((X, y), file)."
            )
        return result

    def damaged(self, what: str) -> UserError:
        start = "this pickle is damaged: "
        if self.data[0] != 0x80:  # Protocols 0 and 1 have no mark of their own.
            head = bytes(self.data[:12])
            start = f"this is not a pickle, or a damaged one: it starts with {head!r}, and "
        return UserError(f"{start}{what} (byte {self.at}).")

    # Reading the file.

    def byte(self) -> int:
        if self.at >= len(self.data):
            raise self.damaged("it is cut short, without a STOP at its end")
        self.at += 1
        return self.data[self.at - 1]

    def take(self, count: int) -> memoryview:
        left = len(self.data) - self.at
        if count > left:
            raise self.damaged(f"it is cut short, with {left} bytes where {count} should follow")
        self.at += count
        return self.data[self.at - count : self.at]

    def number(self, size: int, signed: bool = False) -> int:
        return int.from_bytes(self.take(size), "little", signed=signed)

    def line(self) -> memoryview:
        found = _NEWLINE.search(self.data, self.at)
        if found is None:
            raise self.damaged("it is cut short, within a line")
        return self.take(found.end() - self.at)[:-1]

    # The stack and the memo.

    def push(self, value: object) -> None:
        self.stack.append(value)

    def pop(self) -> object:
        if not self.stack:
            raise self.damaged("it takes a value that does not exist")
        return self.stack.pop()

    def pops(self, count: int) -> list[object]:
        return [self.pop() for _ in range(count)][::-1]

    def top(self) -> object:
        self.push(value := self.pop())
        return value

    def mark(self) -> None:
        if len(self.outer) > 4 * _DEEPEST:
            raise _refused(f"nests its values more than {_DEEPEST} deep")
        self.outer.append(self.stack)
        self.stack = []

    def pop_mark(self) -> list[object]:
        if not self.outer:
            raise self.damaged("it closes a group that was never opened")
        items, self.stack = self.stack, self.outer.pop()
        return items

    def put(self, index: int) -> None:
        self.spend(_KEPT)
        self.memo[index] = self.top()

    def get(self, index: int) -> None:
        if index not in self.memo:
            raise self.damaged(f"it reuses value {index}, which it never stored")
        value = self.memo[index]
        built = value.array if isinstance(value, _Unbuilt) else None
        self.push(value if built is None else built)

    # Containers.

    def spend(self, memory: int) -> None:
        """Count memory, and with it work, which the file's length does not bound by itself."""
        self.memory_left -= memory
        if self.memory_left < 0:
            allowed = (_SPARE_MEMORY + 8 * len(self.data)) >> 20
            raise _refused(f"of {len(self.data)} bytes would take over {allowed} MB to read")

    def settled(self, value: object) -> object:
        """Return the plain value that an inert value stands for where no array is being made."""
        if type(value) not in _INERT:
            return value
        if isinstance(value, _Raw):
            if value.plain is None:
                value.plain = _python2_text(value.data) if value.is_text else bytes(value.data)
            return value.plain
        if isinstance(value, _Args):
            if value.plain is None:
                items = [self.settled(item) for item in value.items]
                value.plain = self.made(tuple(items), items)
            return value.plain
        if isinstance(value, _DType):
            return _numpy_dtype(value)
        if isinstance(value, _Unbuilt):
            if value.array is None:
                raise self.damaged("it uses an array before filling it")
            return value.array
        if isinstance(value, _Name):
            raise value.refused("import")
        return value

    def made(self, container: _T, children: Iterable[object] = ()) -> _T:
        """Register a new container."""
        self.spend(_MADE)
        self.alive.append(container)
        self.sizes[id(container)] = (1, 1)
        self.hold(container, children)
        return container

    def hold(self, parent: object, children: Iterable[object]) -> None:
        """Count the children that `parent` is about to receive, and close them to changes.

        Pickles fill a container before they put it into another, unless it contains itself. So
        nothing sound is lost, and every depth and weight here stays right for good.
        """
        depth, weight = self.sizes[id(parent)]
        for child in children:
            weight += 1
            if type(child) in _CONTAINERS:
                self.closed.add(id(child))
                inner_depth, inner_weight = self.sizes[id(child)]
                depth, weight = max(depth, inner_depth + 1), weight + inner_weight
            elif isinstance(child, (str, bytes)):
                weight += len(child)
            elif not isinstance(child, (int, float)):
                weight += getattr(child, "size", 0)  # The elements of an array.
        if id(parent) in self.closed:
            raise _refused("holds a container that contains itself")
        if depth > _DEEPEST:
            raise _refused(f"nests its values more than {_DEEPEST} deep")
        if weight > _SPARE_WEIGHT + 2 * len(self.data):
            raise _refused("repeats its values far too often")
        self.sizes[id(parent)] = (depth, weight)

    def push_tuple(self, items: list[object]) -> None:
        # What is inert in a tuple within a tuple is no argument of a call, so it can settle.
        items = [self.settled(item) if type(item) is _Args else item for item in items]
        if any(type(item) in _INERT for item in items):
            self.spend(_MADE)
            self.push(_Args(tuple(items)))
        else:
            self.push(self.made(tuple(items), items))

    def extend(self, items: list[object], target: object = None) -> object:
        target = self.top() if target is None else target
        if not isinstance(target, list):
            raise self.damaged("it appends to something that is no list")
        items = [self.settled(item) for item in items]
        self.hold(target, items)
        target.extend(items)
        return target

    def update(self, items: list[object], target: object = None) -> object:
        target = self.top() if target is None else target
        if not isinstance(target, dict) or len(items) % 2:
            raise self.damaged("it sets items of something that is no dict, or keys without values")
        keys = [self.key(item, len(target) + at) for at, item in enumerate(items[::2])]
        values = [self.settled(item) for item in items[1::2]]
        self.hold(target, keys + values)
        target.update(zip(keys, values, strict=True))
        return target

    def add(self, items: list[object], target: object = None) -> set[Any]:
        target = self.top() if target is None else target
        if not isinstance(target, set):
            raise self.damaged("it adds to something that is no set")
        keys = [self.key(item, len(target) + at) for at, item in enumerate(items)]
        self.hold(target, keys)
        target.update(keys)
        return target

    def key(self, value: object, others: int) -> Any:
        """Return a dict key or set element, if hashing and comparing it is sure to be quick."""
        value = self.settled(value)
        parts = value if isinstance(value, tuple) and len(value) <= 8 else (value,)
        if not all(map(_is_short, parts)):
            raise _refused("has a dict or set with keys that are neither short texts nor numbers")
        if others >= _MOST_NUMBER_KEYS and not isinstance(value, (str, bytes)):
            raise _refused(f"has a dict or set with over {_MOST_NUMBER_KEYS} keys that are no text")
        return value

    # What stands for calls.

    def push_name(self, module: object, name: object) -> None:
        if not isinstance(module, str) or not isinstance(name, str):
            raise self.damaged("it names a function by something that is no text")
        self.spend(_KEPT + len(module) + len(name))
        self.push(named := _Name(f"{module}.{name}"))
        if named.library() in _LIBRARIES:  # Before what the library itself builds upon.
            raise named.refused("import")

    def global_line(self) -> None:
        self.push_name(_text(self.line()), _text(self.line()))

    def reduce(self) -> None:
        function, arguments = self.pops(2)
        call = _CALLS.get(function.known_as()) if isinstance(function, _Name) else None
        if call is None:
            raise self.refused_call(function)
        self.spend(_KEPT)
        self.push(call(self, self.items(arguments)))

    def refused_call(self, value: object) -> UserError:
        if isinstance(value, _Name):
            return value.refused("call")
        return self.damaged("it calls or changes what is neither a function nor an array")

    def build(self) -> None:
        target, state = self.pops(2)
        if isinstance(target, _DType):
            _set_byte_order(self, target, self.items(state))
            self.push(target)
        elif isinstance(target, _Unbuilt) and target.array is None:
            target.array = _array_from_state(self, self.items(state))
            self.push(target.array)
        else:
            raise self.refused_call(target)

    def items(self, arguments: object) -> tuple[object, ...]:
        if isinstance(arguments, _Args):
            return arguments.items
        if not isinstance(arguments, tuple):
            raise self.damaged("it calls something without a tuple of arguments")
        return arguments


def _is_short(value: object) -> bool:
    if isinstance(value, (str, bytes)):
        return len(value) <= _LONGEST_KEY
    if isinstance(value, int):
        return value.bit_length() <= 64
    import numpy as np

    return value is None or isinstance(value, (float, np.generic))


# Arrays: what stands for the calls that NumPy writes, each with the arguments of one.


def _new_dtype(machine: _Machine, arguments: tuple[object, ...]) -> _DType:
    """Call numpy.dtype("f4", False, True)."""
    text = machine.settled(arguments[0]) if arguments else None
    found = _DTYPE_TEXT.fullmatch(text) if isinstance(text, str) else None
    if found is None:
        raise machine.damaged("it names a NumPy dtype that does not exist")
    kind, size = found[1], int(found[2] or 0)
    if kind not in "OUS" and size not in _DTYPE_SIZES.get(kind, ()):
        raise _refused(
            f"holds a NumPy array {_DTYPE_NAMES.get(kind, f'of dtype {text}')}, and cnnvis reads "
            "arrays of booleans, integers, floats of 2 to 8 bytes, complex numbers and text"
        )
    return _DType(kind, size)


def _set_byte_order(machine: _Machine, dtype: _DType, state: tuple[object, ...]) -> None:
    match [machine.settled(item) for item in state[:5]]:
        case [int(), ("<" | ">" | "|") as order, None, None, None]:
            dtype.order = order
        case _:
            raise machine.damaged("it holds a NumPy dtype of an unknown make")


def _numpy_dtype(dtype: _DType) -> np.dtype[Any]:
    import numpy as np

    return np.dtype(dtype.text())


def _reconstruct(machine: _Machine, arguments: tuple[object, ...]) -> _Unbuilt:
    """Call numpy._core.multiarray._reconstruct(numpy.ndarray, (0,), b"b")."""
    kind = arguments[0] if arguments else None
    if isinstance(kind, _Name) and kind.known_as() in _ARRAY_CLASSES:
        return _Unbuilt()
    raise machine.refused_call(kind)


def _array_from_state(machine: _Machine, state: tuple[object, ...]) -> npt.NDArray[Any]:
    match state:
        case (int(), shape, _DType(kind="O"), int(), list(elements)):
            return _object_array(machine, _checked_shape(machine, shape), elements)
        case (int(), shape, dtype, int(is_fortran), raw):
            return _array(machine, raw, dtype, shape, "F" if is_fortran else "C")
    raise machine.damaged("it holds a NumPy array of an unknown make")


def _array_from_buffer(machine: _Machine, arguments: tuple[object, ...]) -> npt.NDArray[Any]:
    """Call numpy._core.numeric._frombuffer(data, dtype, shape, order), with axes for "K"."""
    match arguments:
        case (raw, dtype, shape, "K", axes):
            return _array(machine, raw, dtype, shape).transpose(_checked_shape(machine, axes))
        case (raw, dtype, shape, ("C" | "F") as order, *_):
            return _array(machine, raw, dtype, shape, order)
    raise machine.damaged("it holds a NumPy array of an unknown make")


def _scalar(machine: _Machine, arguments: tuple[object, ...]) -> object:
    """Call numpy._core.multiarray.scalar(dtype, data)."""
    match arguments:
        case (dtype, raw):
            return _array(machine, raw, dtype, ())[()]
    raise machine.damaged("it holds a NumPy scalar of an unknown make")


def _checked_shape(machine: _Machine, shape: object) -> tuple[int, ...]:
    if not isinstance(shape, tuple) or len(shape) > 64:
        raise machine.damaged("it holds an array whose shape is no tuple of lengths")
    if not all(type(length) is int and 0 <= length < 2**63 for length in shape):
        raise machine.damaged("it holds an array with impossible lengths in its shape")
    return shape


def _array(
    machine: _Machine, raw: object, dtype: object, shape: object, order: Literal["C", "F"] = "C"
) -> npt.NDArray[Any]:
    """Return the array over `raw`, once its bytes are known to be as many as the shape needs."""
    import numpy as np

    raw = raw.data if isinstance(raw, _Raw) else raw
    if not isinstance(dtype, _DType) or dtype.kind == "O" or not isinstance(raw, _BYTES):
        raise machine.damaged("it holds a NumPy array of an unknown make")
    shape = _checked_shape(machine, shape)
    needed = math.prod(shape) * dtype.size * (4 if dtype.kind == "U" else 1)
    if len(raw) != needed or (dtype.size == 0 and math.prod(shape) > 1):
        raise machine.damaged(f"it holds {len(raw)} bytes for an array that needs {needed}")
    if needed == 0:
        if math.prod(filter(None, shape)) > _LONGEST_EMPTY:
            raise machine.damaged("it holds an empty array with impossible lengths in its shape")
        return np.zeros(shape, dtype.text())
    machine.spend(len(raw))  # A file can use the same bytes again and again, and the checks add up.
    if dtype.kind == "b" and np.frombuffer(raw, "u1").max() > 1:
        raise machine.damaged("it holds a boolean that is neither true nor false")
    if dtype.kind == "U":
        codes = np.frombuffer(raw, f"{dtype.order}u4")
        if codes.max() > 0x10FFFF or ((codes >= 0xD800) & (codes < 0xE000)).any():
            raise machine.damaged("it holds an array of text that is not Unicode")
    return np.frombuffer(raw, dtype.text()).reshape(shape, order=order)


def _object_array(
    machine: _Machine, shape: tuple[int, ...], elements: list[Any]
) -> npt.NDArray[Any]:
    """Return an array of the elements' own type, if all are numbers, text or similar arrays."""
    import numpy as np

    if math.prod(shape) != len(elements):
        raise machine.damaged(f"it holds {len(elements)} objects for an array of shape {shape}")
    if not elements:
        return np.zeros(shape)
    machine.spend(_KEPT * len(elements))  # For each use of the same list: it is read through.
    first, sorts = elements[0], {_sort(element) for element in elements}
    if len(sorts) > 1 or None in sorts:
        raise _refused(
            "holds a NumPy array of Python objects that are not all numbers, all text or arrays of "
            "one shape. Make it a plain array first, as in X = np.stack(list(X))"
        )
    if isinstance(first, np.ndarray):
        dtypes = {element.dtype for element in elements}
        machine.spend(len(elements) * first.size * np.result_type(*dtypes).itemsize)
    elif isinstance(first, (str, bytes)):
        machine.spend(len(elements) * max(map(len, elements)) * 4)
    array = np.array(elements)
    if array.dtype.kind == "O":
        raise _refused("holds a NumPy array with integers of more than 64 bits")
    return array.reshape(shape + array.shape[1:])


def _sort(element: object) -> object:
    """Return the properties that elements of an array must share; None for other elements."""
    import numpy as np

    if isinstance(element, np.ndarray):
        return element.shape, element.dtype.kind if element.dtype.kind in "US" else "number"
    if isinstance(element, (str, bytes)):
        return "text" if isinstance(element, str) else "bytes"
    return "number" if isinstance(element, (int, float, complex, np.generic)) else None


# What stands for the calls that plain containers write.


def _encoded(machine: _Machine, arguments: tuple[object, ...]) -> bytes:
    """Do _codecs.encode(text, "latin1"), bytes(), bytearray(bytes), bytearray(text, "latin-1")."""
    match [machine.settled(argument) for argument in arguments]:
        case []:
            return b""
        case [bytes(data)]:
            return data
        case [str(text), "latin1" | "latin-1"]:
            machine.spend(len(text))
            return text.encode("latin-1")
    raise machine.damaged("it holds bytes in an unknown encoding")


def _complex(machine: _Machine, arguments: tuple[object, ...]) -> complex:
    match arguments:
        case (float(real), float(imaginary)):
            return complex(real, imaginary)
    raise machine.damaged("it holds a complex number without its two parts")


def _ordered_dict(machine: _Machine, arguments: tuple[object, ...]) -> object:
    """Call collections.OrderedDict(), or from Python 2 with an argument of [[key, value], ...]."""
    items = []
    for pair in _elements(machine, arguments):
        if not isinstance(pair, list) or len(pair) != 2:
            raise machine.damaged("it holds an OrderedDict without pairs")
        items += pair
    return machine.update(items, machine.made({}))


def _set(machine: _Machine, arguments: tuple[object, ...]) -> set[Any]:
    """Call set([...]), as protocols 0 to 3 write it."""
    return machine.add(_elements(machine, arguments), machine.made(set()))


def _frozen(machine: _Machine, elements: list[object]) -> frozenset[Any]:
    frozen = frozenset(machine.add(elements, machine.made(set())))
    return machine.made(frozen, frozen)


def _elements(machine: _Machine, arguments: tuple[object, ...]) -> list[object]:
    match arguments:
        case ():
            return []
        case (list(elements),):
            machine.spend(_MADE * len(elements))  # They are copied, and perhaps not only once.
            return elements
    raise machine.damaged("it fills a container with something that is no list")


_CALLS: dict[str, Callable[[_Machine, tuple[object, ...]], object]] = {
    "numpy._core.multiarray._reconstruct": _reconstruct,
    "numpy._core.multiarray.scalar": _scalar,
    "numpy._core.numeric._frombuffer": _array_from_buffer,
    "numpy.dtype": _new_dtype,
    "_codecs.encode": _encoded,
    "builtins.bytes": _encoded,
    "builtins.bytearray": _encoded,
    "builtins.complex": _complex,
    "builtins.set": _set,
    "builtins.frozenset": lambda m, arguments: _frozen(m, _elements(m, arguments)),
    "collections.OrderedDict": _ordered_dict,
}


# The opcodes, with the values that their arguments spell.


def _text(data: memoryview) -> str:
    return str(data, "utf-8")  # A lone surrogate is an error here: nothing could print it.


def _escaped_text(data: memoryview) -> str:
    text = str(data, "raw-unicode-escape")
    text.encode("utf-8")  # Raises the same error.
    return text


def _python2_text(data: memoryview | bytes) -> str:
    try:
        return str(data, "utf-8")
    except UnicodeDecodeError:
        return str(data, "latin-1")


def _raw(data: memoryview, is_text: bool = False) -> _Raw:
    return _Raw(data if len(data) > 4096 else bytes(data), is_text)  # A view takes 200 bytes.


def _quoted(data: memoryview) -> _Raw:
    line = bytes(data)
    if len(line) < 2 or line[:1] != line[-1:] or line[:1] not in (b"'", b'"'):
        raise ValueError("a string without quotes")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # About escapes that Python 2 never wrote.
        return _Raw(codecs.escape_decode(line[1:-1])[0], is_text=True)


def _digits(data: memoryview) -> bytes:
    if len(data) > _LONGEST_NUMBER:
        raise _refused(f"holds a number of {len(data)} digits or bytes")
    return bytes(data)


def _whole(data: memoryview) -> int:
    digits = _digits(data)
    return {b"00": False, b"01": True}.get(digits, int(digits.removesuffix(b"L")))


def _bytes_of_long(data: memoryview) -> int:
    return int.from_bytes(_digits(data), "little", signed=True)


_Step = Callable[[_Machine], object]


def _spelt(decode: Callable[[memoryview], object], length_size: int = 0) -> _Step:
    """Push a value that the file spells out, after its length or on a line of its own."""

    def step(machine: _Machine) -> None:
        machine.spend(_KEPT)
        data = machine.take(machine.number(length_size)) if length_size else machine.line()
        machine.push(decode(data))

    return step


def _protocol(machine: _Machine) -> None:
    if (version := machine.byte()) > 5:
        raise _refused(f"is of protocol {version}, and cnnvis reads protocols 0 to 5")


def _frame(machine: _Machine) -> None:
    if (length := machine.number(8)) > len(machine.data) - machine.at:
        machine.take(length)  # Frames are of use to streams alone, but this one is damaged.


def _instance(machine: _Machine) -> None:
    machine.global_line()
    raise machine.refused_call(machine.pop())


def _new_object(machine: _Machine, others: int) -> None:
    raise machine.refused_call(machine.pops(1 + others)[0])


def _marked_object(machine: _Machine) -> None:
    raise machine.refused_call((machine.pop_mark() or [None])[0])


def _outside(machine: _Machine) -> None:
    raise NeedsCode("refers to something outside the file (PERSID, EXT or NEXT_BUFFER)")


def _unknown(machine: _Machine) -> None:
    code = bytes(machine.data[machine.at - 1 : machine.at])
    raise machine.damaged(f"it holds the opcode {code!r}, which sound data never needs")


_BY_NAME: dict[str, _Step] = {
    "PROTO": _protocol,
    "FRAME": _frame,
    "NONE": lambda m: m.push(None),
    "NEWTRUE": lambda m: m.push(True),
    "NEWFALSE": lambda m: m.push(False),
    "BININT": lambda m: m.push(m.number(4, signed=True)),
    "BININT1": lambda m: m.push(m.byte()),
    "BININT2": lambda m: m.push(m.number(2)),
    "BINFLOAT": lambda m: m.push(struct.unpack(">d", m.take(8))[0]),
    "INT": _spelt(_whole),
    "LONG": _spelt(_whole),
    "LONG1": _spelt(_bytes_of_long, 1),
    "LONG4": _spelt(_bytes_of_long, 4),
    "FLOAT": _spelt(lambda data: float(_digits(data))),
    "UNICODE": _spelt(_escaped_text),
    "SHORT_BINUNICODE": _spelt(_text, 1),
    "BINUNICODE": _spelt(_text, 4),
    "BINUNICODE8": _spelt(_text, 8),
    "STRING": _spelt(_quoted),
    "SHORT_BINSTRING": _spelt(lambda data: _raw(data, is_text=True), 1),
    "BINSTRING": _spelt(lambda data: _raw(data, is_text=True), 4),
    "SHORT_BINBYTES": _spelt(bytes, 1),
    "BINBYTES": _spelt(_raw, 4),
    "BINBYTES8": _spelt(_raw, 8),
    "BYTEARRAY8": _spelt(_raw, 8),
    "MARK": _Machine.mark,
    "PUT": lambda m: m.put(_whole(m.line())),
    "BINPUT": lambda m: m.put(m.byte()),
    "LONG_BINPUT": lambda m: m.put(m.number(4)),
    "MEMOIZE": lambda m: m.put(len(m.memo)),
    "GET": lambda m: m.get(_whole(m.line())),
    "BINGET": lambda m: m.get(m.byte()),
    "LONG_BINGET": lambda m: m.get(m.number(4)),
    "EMPTY_TUPLE": lambda m: m.push_tuple([]),
    "TUPLE1": lambda m: m.push_tuple(m.pops(1)),
    "TUPLE2": lambda m: m.push_tuple(m.pops(2)),
    "TUPLE3": lambda m: m.push_tuple(m.pops(3)),
    "TUPLE": lambda m: m.push_tuple(m.pop_mark()),
    "EMPTY_LIST": lambda m: m.push(m.made([])),
    "LIST": lambda m: m.push(m.extend(m.pop_mark(), m.made([]))),
    "APPEND": lambda m: m.extend(m.pops(1)),
    "APPENDS": lambda m: m.extend(m.pop_mark()),
    "EMPTY_DICT": lambda m: m.push(m.made({})),
    "DICT": lambda m: m.push(m.update(m.pop_mark(), m.made({}))),
    "SETITEM": lambda m: m.update(m.pops(2)),
    "SETITEMS": lambda m: m.update(m.pop_mark()),
    "EMPTY_SET": lambda m: m.push(m.made(set())),
    "ADDITEMS": lambda m: m.add(m.pop_mark()),
    "FROZENSET": lambda m: m.push(_frozen(m, m.pop_mark())),
    "GLOBAL": _Machine.global_line,
    "STACK_GLOBAL": lambda m: m.push_name(*m.pops(2)),
    "REDUCE": _Machine.reduce,
    "BUILD": _Machine.build,
    "INST": _instance,
    "OBJ": _marked_object,
    "NEWOBJ": lambda m: _new_object(m, 1),
    "NEWOBJ_EX": lambda m: _new_object(m, 2),
    **dict.fromkeys(("PERSID", "BINPERSID", "EXT1", "EXT2", "EXT4"), _outside),
    **dict.fromkeys(("NEXT_BUFFER", "READONLY_BUFFER"), _outside),
}
_CODES = {opcode.name: ord(opcode.code) for opcode in pickletools.opcodes}
_STEPS = {_CODES[name]: step for name, step in _BY_NAME.items()}
_STOP = _CODES["STOP"]
