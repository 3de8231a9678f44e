"""Writes ordinary pickles of random structure: ``python ordinary.py FOLDER SEED COUNT``.

It runs in any Python from 2.7 on, with any NumPy, whose pickles are to be read by this one.
"""

import collections
import os
import pickle
import random
import sys

import numpy as np

KINDS = ["?", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f2", "f4", "f8", "c8", "c16"]


def array(chance):
    shape = tuple(chance.randrange(4) for _ in range(chance.randrange(4)))
    values = np.array([chance.randrange(100) for _ in range(int(np.prod(shape)))]).reshape(shape)
    values = values.astype(chance.choice(KINDS))
    form = chance.randrange(8)
    if form == 0:
        return values.astype(values.dtype.newbyteorder(">"))
    if form == 1:
        return np.asfortranarray(values)
    if form == 2:
        return values.T
    if form == 3:
        return values[..., ::2] if values.ndim else values
    if form == 4:
        return np.array([word.decode("ascii") for word in (b"w", b"word")])
    if form == 5:
        return np.array([b"w", b"word"])
    if form == 6:
        alike = np.empty(3, dtype=object)
        for i in range(3):
            alike[i] = np.arange(4).astype("f4") + i
        return alike
    return values


def plain(chance, depth=0):
    kind = chance.randrange(16 if depth < 3 else 10)
    if kind < 3:
        return array(chance)
    if kind == 3:
        return chance.choice([None, True, False, 0, -1, 255, 2**31, -(2**40), 2**70])
    if kind == 4:
        return chance.choice([0.0, -1.5, 1e300, float("inf")])
    if kind == 5:
        return chance.choice(["text", "\xe9t\xe9", "", "a" * 300])
    if kind == 6:
        return chance.choice([b"bytes", b"", b"\xff\x00"])
    if kind == 7:
        return chance.choice([np.float32(1.5), np.int64(-3), np.bool_(True), np.uint8(7)])
    if kind == 8:
        return complex(1, -2)
    if kind == 9:
        return bytearray(b"changes")
    inner = [plain(chance, depth + 1) for _ in range(chance.randrange(4))]
    if kind == 10:
        return inner
    if kind == 11:
        return tuple(inner)
    if kind == 12:
        return {"k%d" % i: value for i, value in enumerate(inner)}
    if kind == 13:
        return collections.OrderedDict(("k%d" % i, value) for i, value in enumerate(inner))
    if kind == 14:
        return {1, 2, 3}
    return frozenset(["a", "b"])


def held(chance):
    """Half of them what people keep for a network, half anything."""
    if chance.random() < 0.5:
        return plain(chance)
    count = chance.randrange(1, 6)
    x = np.arange(count * 12).reshape(count, 4, 3).astype(chance.choice(KINDS))
    y = np.arange(count) % 2
    return chance.choice([(x, y), [x, y], (x,), x, {"X": x, "y": y}, (list(x), list(y))])


def main(folder, seed, count):
    for index in range(int(count)):
        chance = random.Random(int(seed) * 100000 + index)
        protocol = index % (pickle.HIGHEST_PROTOCOL + 1)
        with open(os.path.join(folder, "%s-%d.pkl" % (seed, index)), "wb") as file:
            pickle.dump(held(chance), file, protocol)


if __name__ == "__main__":
    main(*sys.argv[1:])
