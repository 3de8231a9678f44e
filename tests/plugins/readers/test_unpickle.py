"""The interpreter of pickles: what it reads, and what it refuses to do for a stranger's file."""

from __future__ import annotations

import os
import pickle
import random
import struct
import subprocess
import sys
import warnings
from base64 import b64decode
from collections import Counter, OrderedDict
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from quick import quick_are, quick_at

import cnnvis
from cnnvis import UserError
from cnnvis.plugins.readers import _unpickle
from cnnvis.plugins.readers._unpickle import unpickle

PROTOCOLS = range(6)


def objects(*elements: Any) -> np.ndarray:
    array = np.empty(len(elements), dtype=object)
    array[:] = elements
    return array


def same(ours: Any, theirs: Any) -> bool:
    """Whether what we read is what the standard library reads, as the docstring promises it."""
    if isinstance(theirs, np.ndarray):
        if theirs.dtype.kind == "O":
            theirs = np.array(theirs.ravel().tolist()).reshape(ours.shape)
        return (
            type(ours) is np.ndarray
            and ours.dtype.newbyteorder("=") == theirs.dtype.newbyteorder("=")
            and ours.shape == theirs.shape
            and ours.tolist() == theirs.tolist()
        )
    if isinstance(theirs, (list, tuple)):
        return (
            type(ours) is type(theirs) and len(ours) == len(theirs) and all(map(same, ours, theirs))
        )
    if isinstance(theirs, dict):
        return (
            type(ours) is dict
            and list(ours) == list(theirs)
            and same(list(ours.values()), list(theirs.values()))
        )
    if isinstance(theirs, bytearray):
        return type(ours) is bytes and ours == theirs
    return type(ours) is type(theirs) and ours == theirs


KINDS = ["?", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f2", "f4", "f8", "c8", "c16"]
ARRAYS = {
    **{kind: np.arange(6).reshape(2, 3).astype(kind) for kind in [*KINDS, "U5", "S3"]},
    "big-endian": np.arange(3, dtype=">i4"),
    "big-endian-text": np.array(["a", "é"], dtype=">U2"),
    "fortran": np.asfortranarray(np.arange(6.0).reshape(2, 3)),
    "transposed": np.arange(24).reshape(2, 3, 4).transpose(2, 0, 1),
    "strided": np.arange(10)[::3],
    "read-only": np.frombuffer(b"\1\2", dtype="u1"),
    "zero-size": np.zeros((0, 3)),
    "zero-d": np.array(2.5),
    "larger": np.arange(5000.0),
}
OBJECTS = {
    "objects-of-arrays": objects(np.zeros((2, 2)), np.ones((2, 2), "f4")),
    "objects-of-numbers": np.array([[1, 2], [3, 4]], dtype=object).T,
    "objects-of-text": objects("cat", "horse"),
    "objects-of-bytes": objects(b"cat", b"horse"),
    "no-objects": objects(),
}
VALUES = {
    "constants": [None, True, False, (), [], {}, set(), frozenset()],
    "ints": [0, 1, -1, 255, 256, 65536, -(2**31), 2**40, -(2**70)],
    "floats": [0.5, 1e300, float("inf"), complex(1, 2)],
    "text": ["", "cat", "\n\\u0041", "é", "\u1234", "\U0001f600", "y" * 70_000],
    "bytes": [b"", b"\0\xff", b"x" * 70_000, bytearray(b"\xff"), bytearray()],
    "containers": [(1,), (1, 2), (1, 2, 3), (1, 2, 3, 4), [[1], [[2]]], {"a": {"b": [1]}}],
    "long-list": list(range(2500)),
    "long-dict": {str(n): n for n in range(2500)},
    "keys": {1: "a", None: "b", (1, "a"): "c", 0.5: "d", b"e": "e", np.int64(7): "f"},
    "sets": [{1, 2}, frozenset(["a"])],
    "ordered-dict": OrderedDict([("b", [1]), ("a", 2)]),
    "bytes-in-tuples": (b"a", (b"b" * 5000, [(b"c",)]), np.dtype(">f4")),
    "scalars": [
        np.float64(0.5),
        np.int64(3),
        np.bool_(True),
        np.str_("é"),
        np.str_(""),
        np.bytes_(),
    ],
    "X-and-y": (np.zeros((2, 3, 3), "u1"), [np.int64(0), np.int64(1)]),
    "X-and-names": {"X": np.zeros(2), "y": np.array([0, 1]), "names": ["cat", "dog"]},
}


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize(
    "value",
    [*ARRAYS.values(), *OBJECTS.values(), *VALUES.values()],
    ids=[*ARRAYS, *OBJECTS, *VALUES],
)
def test_reads_what_python_reads(value: object, protocol: int) -> None:
    data = pickle.dumps(value, protocol)
    assert same(unpickle(data), pickle.loads(data))


def test_keeps_byte_order_and_fortran_order() -> None:
    big, fortran = unpickle(pickle.dumps((ARRAYS["big-endian"], ARRAYS["fortran"]), 4))
    assert big.dtype.str == ">i4"
    assert fortran.flags.f_contiguous


@pytest.mark.parametrize("protocol", [3, 4, 5])
def test_arrays_are_read_only_views_on_the_file(protocol: int) -> None:
    data = bytearray(pickle.dumps((ARRAYS["larger"], 1), protocol))
    array, _ = unpickle(memoryview(data))
    assert np.shares_memory(array, np.frombuffer(data, "u1"))
    assert not array.flags.writeable


def test_shared_values_stay_shared() -> None:
    row = [1, 2]
    first, second, array, again = unpickle(pickle.dumps((row, row, ARRAYS["f4"], ARRAYS["f4"])))[:4]
    assert first is second
    assert not np.shares_memory(array, again) or array is again


def test_a_memmap_is_read_as_an_array(tmp_path: Path) -> None:
    mapped = np.memmap(tmp_path / "x", "f4", "w+", shape=(2, 3))
    for protocol in PROTOCOLS:
        assert same(unpickle(pickle.dumps(mapped, protocol)), np.zeros((2, 3), "f4"))


# What other Pythons wrote. The literals hold (X, OrderedDict of names, y and n), or three arrays.

# Written by Python 2.7.18 (cPickle) and NumPy 1.16.6.
PYTHON_27_PROTOCOL_0 = b64decode(
    """
    KGNudW1weS5jb3JlLm11bHRpYXJyYXkKX3JlY29uc3RydWN0CnAxCihjbnVtcHkKbmRhcnJheQpwMgooSTAKdFMnYicK
    dFJwMwooSTEKKEkyCkkzCnRjbnVtcHkKZHR5cGUKcDQKKFMnZjQnCkkwCkkxCnRScDUKKEkzClMnPCcKTk5OSS0xCkkt
    MQpJMAp0YkkwMApTJ1x4MDBceDAwXHgwMFx4YzBceDAwXHgwMFx4ODBceGJmXHgwMFx4MDBceDAwXHgwMFx4MDBceDAw
    XHg4MD9ceDAwXHgwMFx4MDBAXHgwMFx4MDBAQCcKdGJjY29sbGVjdGlvbnMKT3JkZXJlZERpY3QKcDYKKChscDcKKGxw
    OApTJ25hbWVzJwpwOQphKGxwMTAKUydjYXQnCnAxMQphUydjYWZceGMzXHhhOScKcDEyCmFTJ25hXHhlZnZlJwpwMTMK
    YVbpCmFhYShscDE0ClMneScKYWcxCihnMgooSTAKdFMnYicKdFJwMTUKKEkxCihJMgp0ZzQKKFMndTEnCkkwCkkxCnRS
    cDE2CihJMwpTJ3wnCk5OTkktMQpJLTEKSTAKdGJJMDAKUydceDAwXHhmZicKdGJhYShscDE3ClMnbicKYShscDE4CmNu
    dW1weS5jb3JlLm11bHRpYXJyYXkKc2NhbGFyCnAxOQooZzQKKFMnZjgnCkkwCkkxCnRScDIwCihJMwpTJzwnCk5OTkkt
    MQpJLTEKSTAKdGJTJ1x4MDBceDAwXHgwMFx4MDBceDAwXHgwMFx4ZTA/Jwp0UnAyMQphTDExODA1OTE2MjA3MTc0MTEz
    MDM0MjRMCmFhYXRScDIyCnRwMjMKLg==
    """
)

# Written by Python 2.7.18 (cPickle) and NumPy 1.16.6.
PYTHON_27_PROTOCOL_2 = b64decode(
    """
    gAJjbnVtcHkuY29yZS5tdWx0aWFycmF5Cl9yZWNvbnN0cnVjdApxAWNudW1weQpuZGFycmF5CnECSwCFVQFih1JxAyhL
    AUsCSwOGY251bXB5CmR0eXBlCnEEVQJmNEsASwGHUnEFKEsDVQE8Tk5OSv////9K/////0sAdGKJVRgAAADAAACAvwAA
    AAAAAIA/AAAAQAAAQEB0YmNjb2xsZWN0aW9ucwpPcmRlcmVkRGljdApxBl1xByhdcQgoVQVuYW1lc3EJXXEKKFUDY2F0
    cQtVBWNhZsOpcQxVBW5h73ZlcQ1YAgAAAMOpZWVdcQ4oVQF5aAFoAksAhVUBYodScQ8oSwFLAoVoBFUCdTFLAEsBh1Jx
    EChLA1UBfE5OTkr/////Sv////9LAHRiiVUCAP90YmVdcREoVQFuXXESKGNudW1weS5jb3JlLm11bHRpYXJyYXkKc2Nh
    bGFyCnETaARVAmY4SwBLAYdScRQoSwNVATxOTk5K/////0r/////SwB0YlUIAAAAAAAA4D+GUnEVigkAAAAAAAAAAEBl
    ZWWFUnEWhnEXLg==
    """
)

# Written by Python 3.7.16 and NumPy 1.17.5.
PYTHON_37_PROTOCOL_4 = b64decode(
    """
    gASViAEAAAAAAACMFW51bXB5LmNvcmUubXVsdGlhcnJheZSMDF9yZWNvbnN0cnVjdJOUjAVudW1weZSMB25kYXJyYXmT
    lEsAhUMBYpSHUihLAUsCSwOGaAKMBWR0eXBlk5SMAmY0SwBLAYdSKEsDjAE8lE5OTkr/////Sv////9LAHRiiUMYAAAA
    wAAAgL8AAAAAAACAPwAAAEAAAEBAdGKMC2NvbGxlY3Rpb25zjAtPcmRlcmVkRGljdJMpUiiMBW5hbWVzaAFoA0sAhWgE
    h1IoSwFLAoVoBYwCVTNLAEsBh1IoSwNoBk5OTksMSwRLCHRiiUMYYwAAAGEAAAB0AAAA6QAAAAAAAAAAAAAAdGKMAXlo
    AWgDSwCFaASHUihLAUsChWgFjAJ1MUsASwGHUihLA4wBfE5OTkr/////Sv////9LAHRiiUMCAP90YowBbl0oaACMBnNj
    YWxhcpNoBYwCZjhLAEsBh1IoSwNoBk5OTkr/////Sv////9LAHRiQwgAAAAAAADgP4ZSQwH/ZXWGLg==
    """
)

# Written by Python 3.13.0 and NumPy 2.5.5.
PYTHON_313_PROTOCOL_5 = b64decode(
    """
    gAWVfQEAAAAAAACME251bXB5Ll9jb3JlLm51bWVyaWOMC19mcm9tYnVmZmVyk5QolhgAAAAAAAAAAAAAwAAAgL8AAAAA
    AACAPwAAAEAAAEBAjAVudW1weYwFZHR5cGWTlIwCZjSJiIdSKEsDjAE8lE5OTkr/////Sv////9LAHRiSwJLA4aMAUOU
    dFKMC2NvbGxlY3Rpb25zjAtPcmRlcmVkRGljdJMpUiiMBW5hbWVzaAAolhgAAAAAAAAAYwAAAGEAAAB0AAAA6QAAAAAA
    AAAAAAAAaAGMAlUziYiHUihLA2gCTk5OSwxLBEsIdGJLAoVoA3RSjAF5aAAolgIAAAAAAAAAAP9oAYwCdTGJiIdSKEsD
    jAF8Tk5OSv////9K/////0sAdGJLAoVoA3RSjAFuXSiMFm51bXB5Ll9jb3JlLm11bHRpYXJyYXmMBnNjYWxhcpNoAYwC
    ZjiJiIdSKEsDaAJOTk5K/////0r/////SwB0YkMIAAAAAAAA4D+GUkMB/2V1hi4=
    """
)

# Written by Python 3.13.0 and NumPy 2.5.5, protocol 5: transposed, Fortran order, objects.
PYTHON_313_ORDERS = b64decode(
    """
    gAWVmgEAAAAAAACME251bXB5Ll9jb3JlLm51bWVyaWOMC19mcm9tYnVmZmVyk5QolgwAAAAAAAAAAAABAAIAAwAEAAUA
    jAVudW1weZSMBWR0eXBlk5SMAmkyiYiHUihLA4wBPJROTk5K/////0r/////SwB0YksDSwFLAoeMAUaUdFJoACiWGAAA
    AAAAAAAAAADAAACAPwAAgL8AAABAAAAAAAAAQEBoAowCZjSJiIdSKEsDaANOTk5K/////0r/////SwB0YksCSwOGaAR0
    UowWbnVtcHkuX2NvcmUubXVsdGlhcnJheYwMX3JlY29uc3RydWN0k2gBjAduZGFycmF5k0sAhUMBYodSKEsBSwKFaAKM
    Ak84iYiHUihLA4wBfE5OTkr/////Sv////9LP3RiiV0oaAAolhAAAAAAAAAAAAAAAAAA8D8AAAAAAADwP2gCjAJmOImI
    h1KUKEsDaANOTk5K/////0r/////SwB0YksChYwBQ5R0UmgAKJYQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAABoBUsChWgG
    dFJldGKHLg==
    """
)

X = np.arange(-2, 4).reshape(2, 3).astype("f4")


@pytest.mark.parametrize("data", [PYTHON_27_PROTOCOL_0, PYTHON_27_PROTOCOL_2])
def test_reads_python_2(data: bytes) -> None:
    names = ["cat", "café", "naïve", "é"]  # The third is Latin-1 in the file.
    expected = {"names": names, "y": np.array([0, 255], "u1"), "n": [np.float64(0.5), 2**70]}
    assert same(unpickle(data), (X, expected))


@pytest.mark.parametrize("data", [PYTHON_37_PROTOCOL_4, PYTHON_313_PROTOCOL_5])
def test_reads_python_3_with_numpy_1_and_2(data: bytes) -> None:
    names, y = np.array(["cat", "é"]), np.array([0, 255], "u1")
    expected = {"names": names, "y": y, "n": [np.float64(0.5), b"\xff"]}
    assert same(unpickle(data), (X, expected))


def test_reads_the_axis_orders_of_numpy_2() -> None:
    transposed = np.arange(6, dtype="i2").reshape(1, 2, 3).transpose(2, 0, 1)
    expected = (transposed, X, np.array([[1.0, 1.0], [0.0, 0.0]]))
    assert same(unpickle(PYTHON_313_ORDERS), expected)


# Files made to do harm. The functions that they name would do none.


def text(value: str) -> bytes:
    return b"X" + struct.pack("<I", len(value)) + value.encode()


def call(module: str, name: str, arguments: bytes = b"") -> bytes:
    return f"c{module}\n{name}\n(".encode() + arguments + b"tR"


def dtype(kind: str, order: str = "<") -> bytes:
    return call("numpy", "dtype", text(kind)) + b"(K\x03" + text(order) + b"NNNtb"


def array(shape: bytes, kind: str, raw: bytes) -> bytes:
    """`shape` and `raw` are opcodes."""
    start = call("numpy.core.multiarray", "_reconstruct", b"cnumpy\nndarray\n(K\0tC\1b")
    return start + b"(K\1(" + shape + b"t" + dtype(kind) + b"\x89" + raw + b"tb"


def raw(data: bytes) -> bytes:
    return b"B" + struct.pack("<I", len(data)) + data


def dumped(value: object, protocol: int = 4) -> bytes:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return pickle.dumps(value, protocol)


def cycle(container: Any, method: str, *arguments: Any) -> bytes:
    getattr(container, method)(*arguments, container)
    return dumped(container)


class Plain:
    """A class of this module, which only this module can bring back."""


GETCWD = "wants to call os.getcwd, and cnnvis never runs code from a data file. Save the arrays"
SAVEZ = 'numpy.savez("data.npz", X=X, y=y)'
OUTSIDE = "refers to something outside the file"
CUT = "is damaged: it is cut short"
NOT = "this is not a pickle: it starts with "

CALLS = {
    "reduce": (b"\x80\2cos\ngetcwd\n)R.", GETCWD),
    "reduce-protocol-0": (b"cos\ngetcwd\n(tR.", GETCWD),
    "reduce-stack-global": (b"\x80\4\x8c\2os\x8c\6getcwd\x93)R.", GETCWD),
    "reduce-twice": (b"\x80\2cos\ngetcwd\n)R)R.", GETCWD),
    "reduce-an-argument": (b"\x80\2" + call("numpy", "dtype", call("os", "getcwd")) + b".", GETCWD),
    "reduce-unused": (b"(cos\ngetcwd\n)RN.", GETCWD),
    "inst": (b"(ios\ngetcwd\n.", GETCWD),
    "obj": (b"\x80\2(cos\ngetcwd\no.", GETCWD),
    "newobj": (b"\x80\2cos\ngetcwd\n)\x81.", GETCWD),
    "newobj-ex": (b"\x80\4\x8c\2os\x8c\6getcwd\x93)}\x92.", GETCWD),
    "build": (b"\x80\2cos\ngetcwd\n}b.", GETCWD),
    "reconstruct": (
        b"\x80\2" + call("numpy.core.multiarray", "_reconstruct", b"cos\ngetcwd\n") + b".",
        GETCWD,
    ),
    "name-alone": (b"\x80\2cos\ngetcwd\n.", "wants to import os.getcwd"),
    "name-in-a-tuple": (b"\x80\2K\1cos\ngetcwd\n\x86.", "wants to import os.getcwd"),
    "name-in-a-list": (b"\x80\2]cos\ngetcwd\na.", "wants to import os.getcwd"),
    "name-as-a-key": (b"\x80\2}cos\ngetcwd\nNs.", "wants to import os.getcwd"),
    "other-of-numpy": (b"\x80\2" + call("numpy", "load", text("x")) + b".", "call numpy.load"),
    "other-of-builtins": (b"\x80\2" + call("__builtin__", "len") + b".", "call __builtin__.len"),
    "other-codec": (
        b"\x80\2" + call("_codecs", "encode", text("a") + text("rot13")) + b".",
        "bytes in an unknown encoding",
    ),
    "path": (dumped(Path("x")), "wants to call pathlib."),
    "counter": (dumped(Counter("a")), "wants to call collections.Counter"),
    "function": (dumped(os.getcwd), "getcwd"),
    "class-of-a-module": (dumped(Plain(), 2), "wants to call "),
    "class-in-protocol-0": (dumped(Plain(), 0), "wants to call copy_reg._reconstructor"),
    "terminal-codes": (b"cos\x1b[31m\ngetcwd\n(tR.", r"os\x1b[31m.getcwd"),
    "endless-name": (b"c" + b"o" * 10**6 + b"\ngetcwd\n(tR.", "oooo..., and cnnvis"),
    "pandas": (
        b"\x80\4\x8c\x11pandas.core.frame\x8c\x09DataFrame\x93)\x81.",
        "a pandas DataFrame or Series, which cannot be read without running code",
    ),
    "pandas-named": (b"cpandas.core.frame\nDataFrame\n.", "a pandas DataFrame"),
    "torch": (b"\x80\2ctorch._utils\n_rebuild_tensor_v2\n(tR.", "a torch tensor"),
    "persid": (b"(Pcanary\n.", OUTSIDE),
    "binpersid": (b"\x80\2X\1\0\0\0aQ.", OUTSIDE),
    "ext1": (b"\x80\2\x82\1.", OUTSIDE),
    "ext2": (b"\x80\2\x83\1\0.", OUTSIDE),
    "ext4": (b"\x80\2\x84\1\0\0\0.", OUTSIDE),
    "next-buffer": (b"\x80\5\x97.", OUTSIDE),
    "readonly-buffer": (b"\x80\5N\x98.", OUTSIDE),
}
DAMAGED = {
    "empty": (b"", "this is not a pickle: it is empty"),
    "zip": (b"PK\3\4", NOT + r"b'PK\x03\x04'"),
    "npy": (b"\x93NUMPY\1\0", NOT),
    "gzip": (b"\x1f\x8b\x08", NOT),
    "json": (b'{"X": [1, 2]}', NOT),
    "numbers": (b"1,2,3\n", NOT),
    "csv": (b"X,y\n1,2\n3,4\n", "this is not a pickle, or a damaged one: it starts with b'X,y"),
    "words": (b"My data\n", "this is not a pickle, or a damaged one: it starts with b'My da"),
    "later-protocol": (b"\x80\6N.", "is of protocol 6"),
    "no-stop": (b"\x80\2N", CUT),
    "only-proto": (b"\x80\2", CUT),
    "only-0x80": (b"\x80", CUT),
    "only-stop": (b"\x80\2.", "takes a value that does not exist"),
    "two-pickles": (dumped(1) + dumped(2), "goes on for"),
    "unknown-opcode": (b"\x80\2\xff.", r"the opcode b'\xff'"),
    "tuple-underflow": (b"\x80\2N\x86.", "takes a value that does not exist"),
    "mark-underflow": (b"\x80\2Nt.", "closes a group that was never opened"),
    "below-the-mark": (b"\x80\2N(\x85.", "takes a value that does not exist"),
    "put-nothing": (b"\x80\2q\0.", "takes a value that does not exist"),
    "get-nothing": (b"\x80\2h\0.", "reuses value 0, which it never stored"),
    "append-to-none": (b"\x80\2NNa.", "appends to something that is no list"),
    "set-item-of-none": (b"\x80\2NNNs.", "is no dict"),
    "odd-items": (b"\x80\2}(Nu.", "keys without values"),
    "add-to-list": (b"\x80\4](N\x90.", "is no set"),
    "call-none": (b"\x80\2N)R.", "neither a function nor an array"),
    "call-without-tuple": (b"\x80\2cnumpy\ndtype\nNR.", "without a tuple of arguments"),
    "build-a-dict": (b"\x80\2}}b.", "neither a function nor an array"),
    "name-no-text": (b"\x80\4NN\x93.", "by something that is no text"),
    "no-utf-8": (b"\x80\2X\1\0\0\0\xff.", "cannot be read"),
    "lone-surrogate": (b"\x80\2X\3\0\0\0\xed\xa0\x80.", "cannot be read"),
    "escaped-surrogate": (b"V\\ud800\n.", "cannot be read"),
    "no-int": (b"I1x\n.", "cannot be read"),
    "no-float": (b"F1x\n.", "cannot be read"),
    "no-quotes": (b"Sabc\n.", "cannot be read"),
    "unfilled-array": (
        b"\x80\2" + call("numpy.core.multiarray", "_reconstruct", b"cnumpy\nndarray\n") + b".",
        "uses an array before filling it",
    ),
}
LENGTHS = {
    "binunicode": (b"\x80\2X\xff\xff\xff\xff.", CUT),
    "binunicode8": (b"\x80\4\x8d" + b"\xff" * 8 + b".", CUT),
    "binbytes": (b"\x80\3B\xff\xff\xff\x7f.", CUT),
    "binbytes8": (b"\x80\4\x8e" + b"\xff" * 7 + b"\x7f.", CUT),
    "bytearray8": (b"\x80\5\x96" + b"\xff" * 7 + b"\x0f.", CUT),
    "negative-binstring": (b"\x80\2T\xff\xff\xff\xff.", CUT),
    "long4": (b"\x80\2\x8b\xff\xff\xff\x7f.", CUT),
    "frame": (b"\x80\4\x95" + b"\xff" * 8 + b"N.", CUT),
    "line-without-end": (b"\x80\2I" + b"1" * 100, CUT),
    "huge-long4": (
        b"\x80\2\x8b" + struct.pack("<i", 10**6) + b"\1" * 10**6 + b".",
        "a number of 1",
    ),
    "huge-long": (b"L" + b"9" * 10**6 + b"L\n.", "a number of 1000001 digits"),
    "huge-int": (b"I" + b"9" * 10**6 + b"\n.", "a number of 1000000 digits"),
    "huge-float": (b"F" + b"9" * 10**6 + b"\n.", "a number of 1000000 digits"),
    "huge-get": (b"(g" + b"9" * 10**6 + b"\n.", "a number of 1000000 digits"),
}
ARRAYS_REFUSED = {
    "too-few-bytes": (array(b"K\3", "f4", raw(b"1234")), "4 bytes for an array that needs 12"),
    "too-many-bytes": (array(b"K\1", "u1", raw(b"1234")), "4 bytes for an array that needs 1"),
    "product-overflow": (array(b"\x8a\5\0\0\0\0\1" * 2, "u1", raw(b"")), "bytes for an array"),
    "product-wraps-to-0": (array(b"\x8a\5\0\0\0\0\1" * 4, "u1", raw(b"")), "bytes for an array"),
    "negative-dimension": (array(b"J\xff\xff\xff\xff", "u1", raw(b"")), "impossible lengths"),
    "two-negatives": (array(b"J\xff\xff\xff\xff" * 2, "u1", raw(b"1")), "impossible lengths"),
    "float-dimension": (array(b"G" + struct.pack(">d", 1.0), "u1", raw(b"1")), "impossible"),
    "zero-times-huge": (
        array(b"K\0\x8a\x08" + b"\xff" * 7 + b"\x7f", "u1", raw(b"")),
        "impossible",
    ),
    "many-dimensions": (array(b"K\1" * 65, "u1", raw(b"1")), "no tuple of lengths"),
    "no-bytes": (array(b"K\1", "u1", b"K\1"), "of an unknown make"),
    "no-length-elements": (array(b"J\xff\xff\xff\x7f", "U0", raw(b"")), "bytes for an array"),
    "no-boolean": (array(b"K\1", "b1", raw(b"\2")), "neither true nor false"),
    "no-unicode": (array(b"K\1", "U1", raw(b"\xff\xff\xff\x7f")), "not Unicode"),
    "surrogate": (array(b"K\1", "U1", raw(b"\0\xd8\0\0")), "not Unicode"),
    "objects-from-bytes": (array(b"K\1", "O8", raw(b"\0" * 8)), "of an unknown make"),
    "objects-too-few": (array(b"J\xff\xff\xff\x7f", "O8", b"]"), "0 objects for an array"),
    "no-such-dtype": (array(b"K\1", "u3", raw(b"123")), "of dtype u3"),
    "no-dtype-at-all": (array(b"K\1", "u8,os", raw(b"1")), "dtype that does not exist"),
    "byte-order": (b"\x80\2" + dtype("u2", order="@") + b".", "dtype of an unknown make"),
    "huge-text-dtype": (array(b"K\0", "U99999999", raw(b"")), "dtype that does not exist"),
    "structured": (dumped(np.zeros(2, [("a", "i4")])), "with named fields"),
    "dates": (dumped(np.zeros(2, "M8[D]")), "of dates"),
    "time-differences": (dumped(np.zeros(2, "m8[s]")), "of time differences"),
    "long-double": (array(b"K\1", "f16", raw(b"0" * 16)), "of dtype f16"),
    "mixed-objects": (dumped(objects(1, "a")), "not all numbers, all text or arrays of one shape"),
    "none-objects": (dumped(objects(None)), "not all numbers"),
    "list-objects": (dumped(objects([1], [2, 3])), "not all numbers"),
    "ragged-objects": (dumped(objects(np.zeros(2), np.zeros(3))), "not all numbers"),
    "huge-int-objects": (dumped(objects(2**80)), "integers of more than 64 bits"),
    "object-cycle": (cycle(objects(None), "__setitem__", 0), "uses an array before filling it"),
    "wrong-axes": (
        b"\x80\2"
        + call(
            "numpy._core.numeric",
            "_frombuffer",
            raw(b"12") + dtype("u1") + b"K\1K\2\x86" + text("K") + b"K\0K\0\x86",
        )
        + b".",
        "cannot be read",
    ),
}
CONTAINERS = {
    "list-in-itself": (cycle([], "append"), "contains itself"),
    "dict-in-itself": (cycle({}, "__setitem__", "a"), "contains itself"),
    "list-in-its-tuple": (
        dumped((lambda top: (top.append((top,)), top)[1])([])),
        "contains itself",
    ),
    "tuple-in-its-list": (dumped((lambda inner: (inner[0].append(inner), inner)[1])(([],))), ""),
    "list-as-a-key": (b"\x80\2}]Ns.", "neither short texts nor numbers"),
    "list-in-a-key": (b"\x80\2}]\x85Ns.", "neither short texts nor numbers"),
    "tuple-in-a-key": (dumped({((1, 2), 3): 4}), "neither short texts nor numbers"),
    "long-tuple-as-a-key": (dumped({tuple(range(9)): 1}), "neither short texts nor numbers"),
    "long-text-as-a-key": (dumped({"x" * 1001: 1}), "neither short texts nor numbers"),
    "long-int-as-a-key": (dumped({2**65: 1}), "neither short texts nor numbers"),
    "array-as-a-key": (b"\x80\2}" + array(b"K\1", "u1", raw(b"1")) + b"Ns.", "neither short"),
    "many-numbers-as-keys": (dumped(dict.fromkeys(range(10_001))), "over 10000 keys"),
    "many-numbers-in-a-set": (dumped(set(range(10_001))), "over 10000 keys"),
    "many-colliding-numbers": (dumped({n * (2**61 - 1) for n in range(8)} | {2**64}), "neither"),
    "set-of-no-list": (b"\x80\2" + call("__builtin__", "set", b"N") + b".", "is no list"),
    "ordered-dict-of-no-pairs": (
        b"\x80\2" + call("collections", "OrderedDict", b"]K\1a") + b".",
        "without pairs",
    ),
}
HOSTILE = {**CALLS, **DAMAGED, **LENGTHS, **CONTAINERS} | {
    name: (b"\x80\4" + data + b"." if data[:1] == b"c" else data, part)
    for name, (data, part) in ARRAYS_REFUSED.items()
}


@pytest.mark.parametrize(("data", "part"), HOSTILE.values(), ids=HOSTILE)
def test_refuses(data: bytes, part: str) -> None:
    with pytest.raises(UserError) as refusal:
        unpickle(data)
    assert part in str(refusal.value)
    assert len(str(refusal.value)) < 500


def test_a_refused_call_says_what_to_do_instead() -> None:
    with pytest.raises(UserError) as refusal:
        unpickle(b"cos\ngetcwd\n(tR.")
    assert str(refusal.value) == f"this pickle {GETCWD} with {SAVEZ} instead."


def test_a_memo_index_of_billions_costs_nothing() -> None:
    assert unpickle(b"\x80\2Nr\xff\xff\xff\xff.") is None
    assert unpickle(b"(Np4294967295000\ng4294967295000\nt.") == (None, None)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_file_cut_short_anywhere_is_refused(protocol: int) -> None:
    data = pickle.dumps((X, {"names": ["cat", "é"], "n": [np.float64(1), b"\xff"]}), protocol)
    for end in range(len(data)):
        with pytest.raises(UserError):
            unpickle(data[:end])


@pytest.mark.parametrize("protocol", quick_at([0, 5], PROTOCOLS))
def test_random_damage_gives_a_value_or_a_user_error(protocol: int) -> None:
    sound = pickle.dumps((X, OBJECTS["objects-of-arrays"], VALUES["X-and-y"], {"a": {1}}), protocol)
    chance = random.Random(protocol)
    for _ in range(3000):
        data = bytearray(sound)
        for _ in range(chance.randint(1, 4)):
            data[chance.randrange(len(data))] = chance.randrange(256)
        with suppress(UserError):
            unpickle(bytes(data))


# Attacks on the process itself: memory, the C stack and time.

NUMBER_LIST = b"\x80\2](" + b"K\1" * 1000 + b"eq\0"
GREEDY = {
    "empty-sets": b"\x80\4(" + b"\x8f" * 50_000 + b"t.",
    "memo-entries": b"\x80\4N" + b"\x94" * 100_000 + b".",
    "arguments": b"\x80\2cnumpy\nndarray\nq\0" + b"h\0\x85" * 50_000 + b".",
    "encoded-again": b"\x80\2"
    + text("x" * 10_000)
    + b"q\0]q\1("
    + call("_codecs", "encode", b"h\0" + text("latin1")) * 5000
    + b"e.",
    "text-widened": b"\x80\2"
    + array(b"M\xe8\x03", "O8", b"](" + text("x" * 20_000) + b"q\0" + b"h\0" * 999 + b"e")
    + b".",
    "list-copied-to-sets": NUMBER_LIST + b"](" + call("__builtin__", "set", b"h\0") * 1000 + b"e.",
    "arrays-stacked-again": b"\x80\2"
    + array(b"M\x10\x27", "u1", raw(b"x" * 10_000))
    + b"q\0"
    + array(b"M\xe8\x03", "O8", b"](" + b"h\0" * 1000 + b"e")
    + b"\x86.",
}


@pytest.mark.parametrize("data", GREEDY.values(), ids=GREEDY)
def test_memory_is_bounded_by_the_length_of_the_file(
    data: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_unpickle, "_SPARE_MEMORY", 10**6)
    with pytest.raises(UserError, match="would take over"):
        unpickle(data)


DOUBLED = b"q\0h\0\x86" * 60
CRUSHING = {
    "nested-tuples": (b"\x80\2)" + b"\x85" * 2_000_000 + b".", "more than 100 deep"),
    "nested-marks": (b"(" * 2_000_000 + b".", "more than 100 deep"),
    "nested-tuples-by-marks": (b"(" * 300 + b"t" * 300 + b".", "more than 100 deep"),
    "nested-lists": (b"]" * 1_000_000 + b"a" * 999_999 + b".", "more than 100 deep"),
    "nested-dicts": (b"\x80\2" + b"}U\1a" * 200_000 + b"}" + b"s" * 200_000 + b".", "100 deep"),
    "nested-arguments": (
        b"\x80\2cnumpy\nndarray\n" + b"\x85" * 2_000_000 + b".",
        "import numpy.nd",
    ),
    "nested-text-of-python-2": (b"\x80\2U\1a" + b"\x85" * 2_000_000 + b".", "more than 100 deep"),
    "nested-frozensets": (b"\x80\4" + b"(" * 50 + b"\x91" * 50 + b".", "neither short texts"),
    "filled-from-outside": (
        b"\x80\2]q\0q\1" + b"h\1]q\1a" * 500_000 + b"h\0.",
        "contains itself",
    ),
    "doubled-tuples": (b"\x80\2N" + DOUBLED + b".", "repeats its values"),
    "doubled-lists": (b"\x80\2]" + b"q\0](h\0h\0e" * 60 + b".", "repeats its values"),
    "doubled-tuples-as-a-key": (b"\x80\2}N" + DOUBLED[: 5 * 20] + b"Ns.", "neither short texts"),
    "repeated-array": (
        b"\x80\2"
        + array(b"M\x10\x27", "u1", raw(b"x" * 10_000))
        + b"q\0]("
        + b"h\0" * 10_000
        + b"e.",
        "repeats its values",
    ),
    "empty-sets": (b"\x80\4(" + b"\x8f" * 3_000_000 + b"t.", "would take over"),
}

READ_STDIN = """
import sys
from cnnvis import UserError
from cnnvis.plugins.readers._unpickle import unpickle
try:
    unpickle(sys.stdin.buffer.read())
except UserError as refusal:
    print("refused:", refusal)
"""


def in_a_process(code: str, data: bytes, *more_paths: Path) -> str:
    root = Path(cnnvis.__file__).parents[1]
    paths = os.pathsep.join(map(str, [root, *more_paths]))
    done = subprocess.run(
        [sys.executable, "-c", code],
        input=data,
        env={**os.environ, "PYTHONPATH": paths},
        capture_output=True,
        timeout=60,
        check=True,
    )
    return done.stdout.decode()


@pytest.mark.parametrize(
    ("data", "part"),
    quick_are(
        ["nested-marks", "filled-from-outside", "doubled-tuples"],
        CRUSHING,
    ),
)
def test_survives(data: bytes, part: str) -> None:
    answer = in_a_process(READ_STDIN, data)
    assert answer.startswith("refused: ")
    assert part in answer


READ_WATCHED = """
import sys
from cnnvis import UserError
from cnnvis.plugins.readers._unpickle import unpickle
seen = []
sys.addaudithook(lambda event, details: seen.append(f"{event} {details}"))
for data in sys.stdin.buffer.read().split(b"<next>"):
    try:
        print("read:", unpickle(data))
    except UserError as refusal:
        print("refused:", refusal)
print("seen:", [event for event in seen if "canary" in event or "pickle" in event])
print("loaded:", "cnnvis_canary" in sys.modules)
"""


def test_nothing_that_the_file_names_is_imported(tmp_path: Path) -> None:
    touched = tmp_path / "touched"
    (tmp_path / "cnnvis_canary.py").write_text(f"open({str(touched)!r}, 'w')\ntouch = print\n")
    files = [
        b"\x80\2ccnnvis_canary\ntouch\n)R.",
        b"ccnnvis_canary\ntouch\n(tR.",
        b"\x80\4\x8c\rcnnvis_canary\x8c\5touch\x93)R.",
        b"\x80\4\x8c\rcnnvis_canary\x8c\5touch\x93)\x81.",
        b"\x80\4\x8c\rcnnvis_canary\x8c\5touch\x93)}\x92.",
        b"(icnnvis_canary\ntouch\n.",
        b"\x80\2(ccnnvis_canary\ntouch\no.",
        b"\x80\2ccnnvis_canary\ntouch\n}b.",
        b"\x80\2ccnnvis_canary\ntouch\n.",
    ]
    lines = in_a_process(READ_WATCHED, b"<next>".join(files), tmp_path).splitlines()
    assert all("cnnvis_canary.touch" in line for line in lines[: len(files)])
    assert lines[len(files) :] == ["seen: []", "loaded: False"]
    assert not touched.exists()
