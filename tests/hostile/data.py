"""Hostile and broken files of data, settings and chains, made anew for each run.

Each holds the shape that must be refused; where that is a call, it would make a folder named canary.
"""

from __future__ import annotations

import io
import json
import os
import pickle
import random
import struct
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from hostile.bombs import archive_of_zeros, links, zeros

Use = Literal["read", "settings", "recipe", "load"]
CANARY = "canary"
X = np.arange(5 * 4 * 6, dtype=np.uint8).reshape(5, 4, 6)
Y = np.array([0, 1, 1, 0, 2])


@dataclass(frozen=True)
class Case:
    """A file, how it is used, and whether it may turn out to be readable all the same."""

    name: str
    path: str
    use: Use = "read"
    may_be_fine: bool = False


def cases(folder: Path) -> list[Case]:
    """Write all files into a folder."""
    found = []
    for make in (_pickles, _npy, _npz, _explanations, _hdf5, _zarr, _pictures, _folders, _toml):
        below = folder / make.__name__.strip("_")
        below.mkdir()
        for path, use, may_be_fine in make(below):
            inside = path.relative_to(below) if path.is_relative_to(below) else path
            name = f"{below.name}: {inside}"
            found.append(Case(name, os.fspath(path), use, may_be_fine))
    return found


Made = Iterator[tuple[Path, Use, bool]]


def _wrote(path: Path, content: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def _damaged(whole: bytes, seed: int, count: int) -> Iterator[tuple[str, bytes]]:
    """The same cut short at some places, and with some bits turned at others."""
    chance = random.Random(seed)
    for _ in range(count):
        end = chance.randrange(1, len(whole))
        yield f"cut-{end}", whole[:end]
        damaged = bytearray(whole)
        for _ in range(chance.choice([1, 3, 10, 40])):
            damaged[chance.randrange(len(damaged))] ^= 1 << chance.randrange(8)
        yield f"turned-{chance.randrange(10**6)}", bytes(damaged)


# Pickles


def _text(word: str) -> bytes:
    return b"X" + struct.pack("<I", len(word)) + word.encode()


def _call(module: str, name: str, *arguments: bytes) -> bytes:
    return f"c{module}\n{name}\n".encode() + b"(" + b"".join(arguments) + b"tR"


def _array(shape: bytes, dtype: bytes, data: bytes) -> bytes:
    return (
        _call("numpy.core.multiarray", "_reconstruct", b"cnumpy\nndarray\nK\0\x85C\1b")
        + b"(K\1("
        + shape
        + b"t"
        + dtype
        + b"\x89"
        + data
        + b"tb"
    )


def _dtype(text: str, state: bytes = b"") -> bytes:
    usual = b"(K\3" + _text("<") + b"NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\0tb"
    return _call("numpy", "dtype", _text(text), b"K\0K\1") + (state or usual)


def _pickles(folder: Path) -> Made:
    canary = _text(CANARY)
    huge = b"\x8a\x08" + struct.pack("<q", 2**62)
    state = b"(K\3" + _text("|")
    programs = {
        "call": _call("os", "mkdir", canary),
        "call-posix": _call("posix", "mkdir", canary),
        "call-builtins": _call("builtins", "eval", _text("1")),
        "call-python-2": _call("__builtin__", "execfile", canary),
        "call-subprocess": _call("subprocess", "call", b"](" + _text("true") + b"e"),
        "call-codecs": _call("_codecs", "lookup", _text("rot13")),
        "call-getattr": _call("builtins", "getattr", b"cos\nmkdir\n" + _text("x")),
        "call-dotted": b"\x8c\x0anumpy.core\x8c\x17multiarray.numpy.os.mkdir\x93(" + canary + b"tR",
        "call-numpy-load": _call("numpy", "load", canary),
        "call-numpy-testing": _call("numpy.testing._private.utils", "runstring", canary, b"}"),
        "call-ctypes": _call("ctypes", "string_at", b"K\1"),
        "call-import": _call("importlib", "import_module", canary),
        "call-partial": _call("functools", "partial", b"cos\nmkdir\n" + canary) + b")R",
        "call-keras": _call("keras.saving", "deserialize_keras_object", b"}"),
        "call-pandas": _call("pandas", "read_pickle", canary),
        "call-torch": _call("torch", "load", canary),
        "call-pickle": _call("pickle", "loads", b"C\1."),
        "call-of-call": _call("os", "mkdir", _call("os", "getcwd")),
        "inst": b"(" + canary + b"ios\nmkdir\n",
        "obj": b"(cos\nmkdir\n" + canary + b"o",
        "newobj": b"cos\nmkdir\n" + canary + b"\x85\x81",
        "newobj-ex": b"cos\nmkdir\n" + canary + b"\x85}\x92",
        "build": b"cos\nmkdir\n}" + canary + b"K\1sb",
        "persid": canary + b"Q",
        "extension": b"\x82\1",
        "buffer": b"\x97",
        "read-only-buffer": b"N\x98",
        "name": b"cos\nmkdir\n",
        "name-in-a-list": b"](cos\nmkdir\ne",
        "dtype-state-fields": _array(
            b"K\1", _dtype("V8", state + b"N" + _text("a") + b"\x85}K\x08K\1K\0tb"), b"C\x08" + b"a" * 8
        ),
        "dtype-state-subarray": _array(
            b"K\1", _dtype("V8", state + _dtype("u1") + b"K\x08\x85\x86NNK\x08K\1K\0tb"), b"C\1a"
        ),
        "dtype-state-flags": _array(
            b"K\1",
            _dtype("u8", state + b"NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x3ftb"),
            b"C\x08" + b"a" * 8,
        ),
        "dtype-state-size": _array(
            b"K\1", _dtype("V0", state + b"NNNJ\xff\xff\xff\x7fK\1K\0tb"), b"C\0"
        ),
        "dtype-of-objects": _array(b"K\1", _dtype("O8"), b"C\x08" + b"A" * 8),
        "dtype-comma": _array(b"K\1", _dtype("u8,O"), b"C\1a"),
        "dtype-long": _array(b"K\1", _dtype("V2147483647"), b"C\1a"),
        "shape-huge": _array(huge, _dtype("u1"), b"C\1a"),
        "shape-wraps": _array(huge + b"K\4", _dtype("u1"), b"C\0"),
        "shape-negative": _array(b"J\xff\xff\xff\xff", _dtype("u1"), b"C\1a"),
        "shape-empty-huge": _array(b"K\0" + huge, _dtype("u1"), b"C\0"),
        "shape-of-text": _array(_text("1"), _dtype("u1"), b"C\1a"),
        "objects-too-few": _array(huge, _dtype("O8"), b"]"),
        "objects-within-themselves": b"]q\0h\0a",
        "ndarray-called": _call("numpy", "ndarray", huge, _text("u1")),
        "ndarray-strides": _call("numpy", "ndarray", b"K\1\x85", _text("u1"), b"C\1a", b"K\0", huge),
        "frombuffer-huge": _call(
            "numpy.core.numeric", "_frombuffer", b"C\1a", _dtype("u1"), huge + b"\x85", _text("C")
        ),
        "scalar-of-objects": _call(
            "numpy.core.multiarray", "scalar", _dtype("O8"), b"C\x08" + b"A" * 8
        ),
        "memo-huge": b"Nr\xff\xff\xff\xff0",
        "memo-lost": b"j\xff\xff\xff\xff",
        "memo-bomb": b"](]q\0" + b"".join(
            b"0](" + b"h" + bytes([i]) + (b"h" + bytes([i])) * 9 + b"eq" + bytes([i + 1])
            for i in range(30)
        ) + b"e",
        "nested-tuples": b")" + b"\x85" * 2_000_000,
        "nested-lists": b"](" * 500_000 + b"e" * 500_000,
        "nested-marks": b"(" * 2_000_000,
        "nested-dicts": b"}" + b"}K\1" * 100_000,
        "bytes-huge": b"\x8e" + b"\xff" * 7 + b"\x7f",
        "text-huge": b"\x8d" + b"\xff" * 7 + b"\x7f",
        "bytearray-huge": b"\x96" + b"\xff" * 7 + b"\x7f",
        "bytearray-asked": _call("builtins", "bytearray", huge),
        "bytes-asked": _call("builtins", "bytes", huge),
        "list-of-range": _call("builtins", "list", _call("builtins", "range", huge)),
        "number-huge": b"L" + b"9" * 10**6 + b"L\n",
        "number-long4": b"\x8b\xff\xff\xff\x7f",
        "frame-huge": b"\x95" + b"\xff" * 8,
        "text-no-utf-8": b"X\1\0\0\0\xff",
        "colliding-keys": b"}(" + b"".join(
            b"\x8a\x09" + ((i * (2**61 - 1)) % 2**70).to_bytes(9, "little") + b"N"
            for i in range(1, 20_000)
        ) + b"u",
        "terminal-codes": b"c\x1b]0;title\x07\nmkdir\n)R",
        "without-end": b"N" * 100,
        "nothing-there": b"t",
    }  # fmt: skip
    for name, program in programs.items():
        for protocol in (2, 4) if name.startswith(("call", "dtype", "shape")) else (4,):
            content = b"\x80" + bytes([protocol]) + program + b"."
            # Flags of a dtype are not looked at: the array over the file's own bytes is sound.
            may_be_fine = name == "dtype-state-flags"
            yield _wrote(folder / f"{name}-{protocol}.pkl", content), "read", may_be_fine
    yield _wrote(folder / "empty.pkl", b""), "read", False
    yield _wrote(folder / "two.pkl", pickle.dumps(X) * 2), "read", False
    yield _wrote(folder / "words.pkl", b"not a pickle at all"), "read", False
    yield _wrote(folder / "gzip.pkl", b"\x1f\x8b\x08\0\0\0"), "read", False
    yield _wrote(folder / "zip.pt", b"PK\3\4" + b"\0" * 40), "read", False
    for protocol in range(6):
        whole = pickle.dumps((X, {"y": Y}), protocol)
        for name, content in _damaged(whole, protocol, 3):
            yield _wrote(folder / f"{name}-{protocol}.pkl", content), "read", True


# NumPy's files


def _npy_of(header: bytes, body: bytes = b"", version: bytes = b"\1\0") -> bytes:
    length = struct.pack("<H" if version == b"\1\0" else "<I", len(header))
    return b"\x93NUMPY" + version + length + header + body


def _headers() -> dict[str, bytes]:
    def said(descr: str, shape: str, order: str = "False") -> bytes:
        return f"{{'descr': {descr}, 'fortran_order': {order}, 'shape': {shape}, }}\n".encode()

    return {
        "huge": _npy_of(said("'<f8'", "(1099511627776, 1024)"), bytes(80)),
        "wraps": _npy_of(said("'<f8'", "(4611686018427387904, 4)"), bytes(80)),
        "negative": _npy_of(said("'<f8'", "(-1, 10)"), bytes(80)),
        "two-negatives": _npy_of(said("'<f8'", "(-2, -5)"), bytes(80)),
        "empty-huge": _npy_of(said("'<f8'", "(0, 4611686018427387904)")),
        "no-bytes-huge": _npy_of(said("'S0'", "(1099511627776,)")),
        "boolean-shape": _npy_of(said("'<f8'", "(True, 10)"), bytes(80)),
        "float-shape": _npy_of(said("'<f8'", "(10.0,)"), bytes(80)),
        "many-axes": _npy_of(said("'<f8'", "(" + "1," * 70 + ")"), bytes(8)),
        "objects": _npy_of(said("'|O'", "(1,)"), b"\x80\2" + _call("os", "mkdir", _text(CANARY)) + b"."),
        "records": _npy_of(said("[('a', '<f8'), ('b', '|O')]", "(1,)"), bytes(80)),
        "nested-records": _npy_of(said("[('a', [('b', '<f8', (9999, 9999))])]", "(1,)"), bytes(80)),
        "long-item": _npy_of(said("'V2147483647'", "(1,)"), bytes(80)),
        "long-text": _npy_of(said("'<U500000000'", "(1,)"), bytes(80)),
        "dates": _npy_of(said("'<M8[ns]'", "(10,)"), bytes(80)),
        "no-text": _npy_of(said("'<U1'", "(2,)"), b"\xff\xff\xff\x7f" * 2),
        "no-dtype": _npy_of(said("'no such'", "(1,)"), bytes(80)),
        "call-in-header": _npy_of(said("__import__('os').mkdir('canary')", "(1,)"), bytes(80)),
        "deep-header": _npy_of(b"{'descr': " + b"(" * 3000 + b")" * 3000 + b"}", bytes(80)),
        "signs-header": _npy_of(b"{'descr': " + b"-" * 9000 + b"1}", bytes(80)),
        "power-header": _npy_of(said("9**9**9**9", "(1,)"), bytes(80)),
        "long-header": _npy_of(b" " * 2_000_000, bytes(80), b"\2\0"),
        "cut-header": b"\x93NUMPY\2\0\xff\xff\xff\xff{",
        "no-keys": _npy_of(b"{}\n", bytes(80)),
        "no-header": b"\x93NUMPY\1\0",
        "version-9": _npy_of(said("'<f8'", "(10,)"), bytes(80), b"\x09\0"),
        "cut-short": _npy_of(said("'<f8'", "(11,)"), bytes(80)),
        "words": b"1.0 2.0 3.0\n",
        "nothing": b"",
    }  # fmt: skip


def _npy(folder: Path) -> Made:
    for name, content in _headers().items():
        yield _wrote(folder / f"{name}.npy", content), "read", False
    buffer = io.BytesIO()
    np.save(buffer, X.astype(np.float32))
    for name, content in _damaged(buffer.getvalue(), 7, 8):
        yield _wrote(folder / f"{name}.npy", content), "read", True


def _zip_of(members: dict[str, bytes], packed: int = zipfile.ZIP_STORED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", packed) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def _saved(**arrays: Any) -> bytes:
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)
    return buffer.getvalue()


def _npz(folder: Path) -> Made:
    for name, content in _headers().items():
        for packed in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            whole = _zip_of({"X.npy": content}, packed)
            yield _wrote(folder / f"{name}-{packed}.npz", whole), "read", False
    plain = _zip_of({"X.npy": _saved_npy(X)})
    lying = bytearray(plain)
    place = plain.rindex(b"PK\1\2")
    struct.pack_into("<II", lying, place + 20, 2**31, 2**31)
    many_zeros = _npy_of(b"{'descr': '|u1', 'fortran_order': False, 'shape': (536870912,), }\n")
    others = {
        "bomb": archive_of_zeros("zeros", b"", 2**29, **{"X.npy": _npy_of(b"x")}),
        "bomb-array": archive_of_zeros("X.npy", many_zeros, 2**29),
        "bzip2": _zip_of({"X.npy": _saved_npy(X)}, zipfile.ZIP_BZIP2),
        "lzma": _zip_of({"X.npy": _saved_npy(X)}, zipfile.ZIP_LZMA),
        "lying": bytes(lying),
        "many": _zip_of({f"{i}.npy": b"" for i in range(10_050)}),
        "two-of-one-name": _two_of_one_name(),
        "no-arrays": _zip_of({"../../canary": b"x", "/canary": b"x"}),
        "other-names": _saved(genotypes=X, scenario=Y),
        "text-for-inputs": _saved(X=np.array(["a", "b"])),
        "fewer-labels": _saved(X=X, y=Y[:2]),
        "a-number": _saved(X=np.float64(3)),
        "no-end": plain[:-10],
        "words": b"PK\3\4 is how it begins",
    }
    for name, content in others.items():
        yield _wrote(folder / f"{name}.npz", content), "read", False
    for name, content in _damaged(_saved(X=X, y=Y), 8, 12):
        yield _wrote(folder / f"{name}.npz", content), "read", True


def _saved_npy(array: Any) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


def _two_of_one_name() -> bytes:
    whole = _zip_of({"X.npy": _saved_npy(X), "x.npy": _saved_npy(X)})
    return whole.replace(b"x.npy", b"X.npy")


def _explanations(folder: Path) -> Made:
    """Saved explanations, as ``compare`` takes them."""
    texts = {
        "no-metadata": None,
        "no-json": "not JSON",
        "deep-json": "[" * 100_000,
        "a-list": "[]",
        "wrong-types": json.dumps(dict.fromkeys(("axes", "titles", "targets"), 3)),
        "a-number": "3",
    }
    for name, text in texts.items():
        held = {} if text is None else {"metadata": np.array(text)}
        whole = _saved(maps=X.astype(np.float32), **held)
        yield _wrote(folder / f"{name}.npz", whole), "load", False
    yield (
        _wrote(folder / "objects.npz", _zip_of({"maps.npy": _headers()["objects"]})),
        "load",
        False,
    )


# HDF5 and Zarr


def _hdf5(folder: Path) -> Made:
    import h5py

    def written(name: str, write: Any) -> Path:
        path = folder / f"{name}.h5"
        with h5py.File(path, "w") as file:
            write(file)
        return path

    def virtual(file: Any) -> None:
        layout = h5py.VirtualLayout((10, 10), "u1")
        layout[:] = h5py.VirtualSource("secret.h5", "X", (10, 10))
        file.create_virtual_dataset("X", layout)

    def bomb(file: Any) -> None:
        data = file.create_dataset("X", (16, 1024), "u1", chunks=(16, 1024), compression="gzip")
        data.id.write_direct_chunk((0, 0), zlib.compress(bytes(2**29)))

    def bomb_in_pieces(file: Any) -> None:
        data = file.create_dataset("X", (16, 2**16), "u1", chunks=(16, 2**16), compression="gzip")
        data.id.write_direct_chunk((0, 0), zeros(2**29))

    def cycle(file: Any) -> None:
        file["g/g"] = file.create_group("g")

    def deep(file: Any) -> None:
        for _ in range(200):
            file = file.create_group("g")

    def many(file: Any) -> None:
        file["X"] = X
        links(file, b"X", 100_001)

    hostile: dict[str, Any] = {
        "external-link": lambda f: f.__setitem__("X", h5py.ExternalLink("/etc/hostname", "/X")),
        "soft-link": lambda f: f.__setitem__("X", h5py.SoftLink("/X")),
        "external-data": lambda f: f.create_dataset(
            "X", (2, 5), "u1", external=[("/etc/hostname", 0, 10)]
        ),
        "virtual": virtual,
        "unwritten": lambda f: f.create_dataset("X", (2**20, 2**10), "u1"),
        "unwritten-huge": lambda f: f.create_dataset("X", (2**40, 2**10), "f8"),
        "unwritten-chunks": lambda f: f.create_dataset(
            "X", (2**30, 2**10), "f8", chunks=(16, 2**10), compression="gzip"
        ),
        "zeros": lambda f: f.create_dataset(
            "X", data=np.zeros(2**28, "u1"), compression="gzip", chunks=(2**22,)
        ),
        "bomb": bomb,
        "bomb-in-pieces": bomb_in_pieces,
        "large-pieces": lambda f: f.create_dataset(
            "X", (2**20, 2**10), "u1", chunks=(2**20, 2**10)
        ),
        "odd-filter": lambda f: f.create_dataset("X", data=Y, scaleoffset=0, chunks=(5,)),
        "cycle": cycle,
        "deep": deep,
        "many": many,
        "nothing": lambda f: None,
        "records": lambda f: f.create_dataset("X", (5,), [("a", "f4")]),
        "ragged": lambda f: f.create_dataset("X", (3,), h5py.vlen_dtype(np.int32)),
        "references": lambda f: f.create_dataset("X", (3,), h5py.ref_dtype),
        "null": lambda f: f.__setitem__("X", h5py.Empty("f4")),
        "fewer-labels": lambda f: (f.__setitem__("X", X), f.__setitem__("y", Y[:2])),
    }
    for name, write in hostile.items():
        yield written(name, write), "read", False
    whole = written("whole", lambda f: (f.__setitem__("X", X), f.__setitem__("y", Y))).read_bytes()
    yield _wrote(folder / "words.h5", b"not HDF5"), "read", False
    yield _wrote(folder / "nothing-at-all.h5", b""), "read", False
    yield _wrote(folder / "only-a-head.h5", whole[:8]), "read", False
    for name, content in _damaged(whole, 9, 15):
        yield _wrote(folder / f"{name}.h5", content), "read", True


def _zarr(folder: Path) -> Made:
    def store(name: str, **changes: Any) -> Path:
        path = folder / f"{name}.zarr"
        facts = {
            "zarr_format": 2, "shape": [5, 4], "chunks": [5, 4], "dtype": "|u1", "fill_value": 0,
            "order": "C", "filters": None, "compressor": None, **changes,
        }  # fmt: skip
        _wrote(path / ".zgroup", b'{"zarr_format": 2}')
        _wrote(path / "X" / ".zarray", json.dumps(facts).encode())
        _wrote(path / "X" / "0.0", bytes(20))
        return path

    call = b"\x80\2" + _call("os", "mkdir", _text(CANARY)) + b"."
    bad = store("pickle", filters=[{"id": "pickle"}], dtype="|O", shape=[1, 1], chunks=[1, 1])
    _wrote(bad / "X" / "0.0", call)
    yield bad, "read", False
    yield store("json", filters=[{"id": "json2"}], dtype="|O"), "read", False
    for name, changes in (
        ("pieces-of-an-image", {"shape": [1, 10**9], "chunks": [1, 1]}),
        ("chunks-of-nothing", {"chunks": [0, 4]}),
        ("wrong-place", {"dimension_separator": "/../"}),
        ("object-pickle", {"dtype": "|O", "filters": [{"id": "pickle"}]}),
    ):
        bad = store(name, **changes)
        _wrote(bad / "X" / "0.0", call)
        _wrote(bad / "X" / "beside", bytes(10**7))  # so that little is declared for what is stored
        yield bad, "read", False
    labels = store("pieces-of-labels")
    _wrote(
        labels / "y" / ".zarray",
        (labels / "X" / ".zarray")
        .read_bytes()
        .replace(b"[5, 4]", b"[16777216]", 1)
        .replace(b"[5, 4]", b"[1]"),
    )
    yield labels, "read", False
    lying = store("consolidated")  # which is not asked for anything
    facts = json.loads((lying / "X" / ".zarray").read_text())
    facts.update(filters=[{"id": "pickle"}], dtype="|O", shape=[2**40, 4])
    listed = {".zgroup": {"zarr_format": 2}, "X/.zarray": facts, "../../X/.zarray": facts}
    _wrote(
        lying / ".zmetadata",
        json.dumps({"zarr_consolidated_format": 1, "metadata": listed}).encode(),
    )
    yield lying, "read", True
    yield store("huge", shape=[2**40, 2**20]), "read", False
    yield store("huge-chunks", shape=[2**20, 2**12], chunks=[2**20, 2**12]), "read", False
    yield store("negative", shape=[-1, 4]), "read", False
    yield store("no-dtype", dtype="no such"), "read", False
    yield store("no-codec", compressor={"id": "canary"}), "read", False
    yield store("gzip-damaged", compressor={"id": "gzip", "level": 1}), "read", False
    yield store("blosc-damaged", compressor={"id": "blosc"}), "read", False
    bomb = store("gzip-bomb", compressor={"id": "zlib", "level": 1})
    _wrote(bomb / "X" / "0.0", zeros(2**30))
    yield bomb, "read", False
    link = store("link")
    (link / "X" / "0.0").unlink()
    (link / "X" / "0.0").symlink_to("/etc/hostname")
    yield link, "read", False
    pipe = store("pipe")
    (pipe / "X" / "0.0").unlink()
    os.mkfifo(pipe / "X" / "0.0")
    yield pipe, "read", False
    cut = store("no-json")
    _wrote(cut / "X" / ".zarray", b"{")
    yield cut, "read", False
    deep = store("deep-json")
    _wrote(deep / "X" / ".zarray", b"[" * 100_000)
    yield deep, "read", False
    _wrote(folder / "node.zarr" / "zarr.json", b"[]")
    yield folder / "node.zarr", "read", False


# Pictures and folders


def _png(columns: int, rows: int, *chunks: tuple[bytes, bytes], data: bytes = b"") -> bytes:
    def chunk(kind: bytes, content: bytes) -> bytes:
        check = zlib.crc32(kind + content)
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", check)

    head = struct.pack(">IIBBBBB", columns, rows, 8, 0, 0, 0, 0)
    data = data or zlib.compress(b"\0" * min((columns + 1) * rows, 2**20))
    parts = [(b"IHDR", head), *chunks, (b"IDAT", data), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*part) for part in parts)


def _pictures(folder: Path) -> Made:
    from PIL import Image

    bomb = zeros(2**28)
    wholes: dict[str, bytes] = {}
    for kind in ("png", "jpeg", "tiff", "bmp", "gif", "webp"):
        buffer = io.BytesIO()
        Image.fromarray(np.random.default_rng(0).integers(0, 255, (40, 50, 3), np.uint8)).save(
            buffer, kind
        )
        wholes[kind] = buffer.getvalue()
    hostile = {
        "huge.png": _png(2**31 - 1, 2**31 - 1),
        "wide.png": _png(2**31 - 1, 1),
        "large.png": _png(30_000, 30_000),
        "blank.png": _png(9000, 9000, data=zlib.compress(bytes(9001 * 9000))),
        "no-size.png": _png(0, 0),
        "text-bomb.png": _png(4, 4, (b"zTXt", b"a\0\0" + bomb)),
        "many-text-bombs.png": _png(4, 4, *[(b"zTXt", b"a\0\0" + zlib.compress(bytes(2**20)))] * 80),
        "international-bomb.png": _png(4, 4, (b"iTXt", b"a\0\1\0\0\0" + bomb)),
        "data-cut.png": _png(40, 40, data=zlib.compress(bytes(10))),
        "no-data.png": b"\x89PNG\r\n\x1a\n",
        "lying-length.png": b"\x89PNG\r\n\x1a\n\x7f\xff\xff\xffIHDR",
        "huge.bmp": b"BM" + struct.pack("<IHHIIiiHH", 100, 0, 0, 54, 40, 2**30, 2**30, 1, 24) + bytes(60),
        "huge.gif": b"GIF89a" + struct.pack("<HH", 65535, 65535) + b"\0\0\0,\0\0\0\0\xff\xff\xff\xff\0\2\0;",
        "loop.tiff": b"II*\0\x08\0\0\0\0\0\x08\0\0\0",
        "huge-tag.tiff": b"II*\0\x08\0\0\0\1\0\0\1\4\0\xff\xff\xff\xff\x08\0\0\0\0\0\0\0",
        "script.svg.png": b"<svg xmlns='http://www.w3.org/2000/svg'/>",
        "postscript.png": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n",
        "pickle.png": pickle.dumps(X),
        "nothing.jpg": b"",
    }  # fmt: skip
    for name, content in hostile.items():
        # A damaged text may be passed over where the picture itself is whole.
        may_be_fine = "text" in name or "international" in name
        yield _wrote(folder / name, content), "read", may_be_fine
    for kind, whole in wholes.items():
        for name, content in _damaged(whole, 10, 4):
            yield _wrote(folder / f"{name}.{kind}", content), "read", True


def _folders(folder: Path) -> Made:
    (folder / "empty").mkdir()
    yield folder / "empty", "read", False
    (folder / "no-pictures").mkdir()
    _wrote(folder / "no-pictures" / "notes.txt", b"notes")
    yield folder / "no-pictures", "read", False
    (folder / "pipes").mkdir()
    os.mkfifo(folder / "pipes" / "x.png")
    yield folder / "pipes", "read", False
    (folder / "links").mkdir()
    (folder / "links" / "x.png").symlink_to("nothing")
    (folder / "links" / "y.png").symlink_to("y.png")
    yield folder / "links", "read", False
    (folder / "folders" / "x.png").mkdir(parents=True)
    yield folder / "folders", "read", False
    _wrote(folder / "broken" / "x.png", b"broken")
    _wrote(folder / "broken" / "class" / "\x1b[31m.png", b"broken")
    yield folder / "broken", "read", False
    for suffix in (".pkl", ".npz", ".npy", ".h5", ".png", ".zarr"):
        os.mkfifo(folder / f"pipe{suffix}")
        yield folder / f"pipe{suffix}", "read", False
        (folder / f"loop{suffix}").symlink_to(f"loop{suffix}")
        yield folder / f"loop{suffix}", "read", False
        (folder / f"folder{suffix}").mkdir()
        yield folder / f"folder{suffix}", "read", False
    yield folder / ("x" * 300 + ".npz"), "read", False
    yield folder / "not-there.npz", "read", False
    yield Path("/dev/zero"), "read", False
    yield _wrote(folder / "odd.ending", b"x"), "read", False


# Settings and chains


def _toml(folder: Path) -> Made:
    texts: dict[str, str | bytes] = {
        "too-long": "#" * (2**20 + 1),
        "deep": "a = " + "[" * 25 + "]" * 25,
        "far-too-deep": "a = " + "[" * 300_000,
        "deep-tables": "a = " + "{a = " * 50_000,
        "long-key": "a" + ".a" * 400_000 + " = 1",
        "long-heading": "[a" + ".a" * 400_000 + "]",
        "long-number": "a = " + "9" * 10_000,
        "no-text": b"\xff\xfe\0",
        "zeros": bytes(100),
        "control-characters": "\x1b[31m = 1",
        "control-in-name": '"\\u001b[31m" = 1',
        "bidirectional": '"\\u202e" = 1',
        "twice": "a = 1\na = 2",
        "unclosed": "[a",
        "number": "saliency = 3",
        "words": "class_names = 'AI'",
        "chains-a-list": "chains = [1]",
        "chains-a-number": "chains = 3",
        "chain-a-number": "[chains]\na = 3",
        "chain-no-steps": "[chains.a]\nmodel = 'x'",
        "chain-steps-words": "[chains.a]\nsteps = ['saliency']",
        "chain-steps-numbers": "[chains.a]\nsteps = [{step = 3}]",
        "chain-model-number": "[chains.a]\nmodel = 3\nsteps = [{step = 'saliency'}]",
        "chain-path-zero": '[chains.a]\nmodel = "a\\u0000"\nsteps = [{step = "saliency"}]',
        "chain-unknown-key": "[chains.a]\ntrust_all = true\nsteps = [{step = 'saliency'}]",
        "chain-images-words": "[chains.a]\nimages = ['x']\nsteps = [{step = 'saliency'}]",
        "trust": "[pickle]\ntrust = true",
        "unknown": "no_such_setting = 1",
        "nothing": "",
    }
    for name, text in texts.items():
        content = text if isinstance(text, bytes) else text.encode()
        path = _wrote(folder / name / "cnnvis.toml", content)
        yield path, "recipe", False
        if not name.startswith("chain-") and name != "nothing":
            yield path, "settings", False
    for name, text in {"tool-number": "tool = 3", "ours-number": "[tool]\ncnnvis = 3"}.items():
        path = _wrote(folder / name / "pyproject.toml", text.encode())
        yield path, "settings", False
        yield path, "recipe", False
    for use in ("recipe", "settings"):
        pipe = folder / use / "cnnvis.toml"
        pipe.parent.mkdir()
        os.mkfifo(pipe)
        yield pipe, use, False  # type: ignore[misc]
        yield folder / f"no-{use}.toml", use, False  # type: ignore[misc]
        yield Path("/dev/zero"), use, False  # type: ignore[misc]
