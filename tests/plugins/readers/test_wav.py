"""Sounds in WAV files: their numbers, their seconds, and what is refused of them."""

from __future__ import annotations

import struct
import wave
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.io import wavfile

import cnnvis
from cnnvis.reporting import notes_kept

RNG = np.random.default_rng(6)
RATE = 8000


def read(path: Path, **options: Any) -> tuple[cnnvis.Samples, str]:
    with notes_kept() as notes:
        return cnnvis.read_samples(path, **options), "\n".join(notes)


def save(path: Path, values: Any = None, rate: int = RATE) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    wavfile.write(path, rate, np.arange(-50, 50, dtype=np.int16) if values is None else values)
    return path


def test_whole_numbers_are_between_minus_one_and_one(tmp_path: Path) -> None:
    for bits in (8, 16, 24, 32):
        ends = [-(2 ** (bits - 1)), 2 ** (bits - 1) - 1, 0, 2 ** (bits - 2)]
        path = tmp_path / f"{bits}.wav"
        with wave.open(str(path), "wb") as file:
            file.setparams((1, bits // 8, RATE, 0, "NONE", ""))
            up = 128 if bits == 8 else 0
            form = {"signed": bits != 8, "byteorder": "little", "length": bits // 8}
            file.writeframes(b"".join((one + up).to_bytes(**form) for one in ends))  # type: ignore[arg-type]
        samples, notes = read(path)
        np.testing.assert_allclose(samples.x[0], np.array(ends) / 2 ** (bits - 1), atol=1e-7)
        assert samples.x.dtype == np.float32 and samples.x.min() == -1
        assert f"{bits} bits are divided" in notes
        raw, _ = read(path, raw=True)
        np.testing.assert_allclose(raw.x[0], np.array(ends) + up, rtol=1e-7)
        if bits > 8:
            assert samples.reading is not None
            other = samples.reading.others["--wav.raw"](samples.x)
            np.testing.assert_allclose(other, raw.x, rtol=1e-6)


def test_fractions_stay_as_they_are(tmp_path: Path) -> None:
    for dtype in (np.float32, np.float64):
        values = RNG.normal(size=(30, 2)).astype(dtype)
        samples, notes = read(save(tmp_path / "one.wav", values))
        np.testing.assert_array_equal(samples.x[0], values.astype(np.float32))
        assert samples.channel_axis == -1 and not notes
        mono = read(tmp_path / "one.wav", mono=True)[0]
        np.testing.assert_allclose(mono.x[0], values.mean(axis=1), atol=1e-6)


def test_time_is_in_seconds(tmp_path: Path) -> None:
    axis = read(save(tmp_path / "one.wav"))[0].coordinates["position"]
    assert axis.label("position") == "time (s)" and axis.at(80) == "0.01"


def test_folders_are_classes(tmp_path: Path, keras: Any) -> None:
    for number, name in enumerate(("high/a", "high/b", "low/c")):
        save(tmp_path / f"{name}.wav", np.full(40, number * 100, np.int16))
    samples, _ = read(tmp_path)
    assert samples.class_names == ("high", "low") and samples.names == ("a.wav", "b.wav", "c.wav")
    np.testing.assert_allclose(samples.x[:, 3] * 32768, [0, 100, 200])
    layers = keras.layers
    network = keras.Sequential(
        [
            layers.Input((40, 1)),
            layers.Conv1D(2, 3, activation="relu"),
            layers.Flatten(),
            layers.Dense(2),
        ]
    )
    found = cnnvis.run("saliency", network, data=tmp_path)
    assert found.array.shape == (3, 40) and found.coordinates["position"].unit == "s"


def test_lengths_are_made_alike_where_somebody_says(tmp_path: Path) -> None:
    save(tmp_path / "long.wav", np.arange(60, dtype=np.int16))
    save(tmp_path / "short.wav", np.arange(40, dtype=np.int16))
    with pytest.raises(cnnvis.UserError, match=r"2 lengths.*--wav.length 60 .*--wav.length 40"):
        read(tmp_path)
    samples, notes = read(tmp_path, length=50, raw=True)
    np.testing.assert_array_equal(samples.x[0], np.arange(50))
    np.testing.assert_array_equal(samples.x[1], [*range(40), *[0] * 10])
    assert "of 2 sounds, 1 cut off at the end and 1 with silence" in notes
    assert samples.reading is not None and samples.reading.remedy is not None
    assert "--wav.length 70 reads" in samples.reading.remedy((70, 1))


def test_what_does_not_belong_together_is_refused_by_name(tmp_path: Path) -> None:
    save(tmp_path / "a.wav")
    save(tmp_path / "b.wav", rate=16000)
    with pytest.raises(cnnvis.UserError, match=r"8000 a second: 'a.wav'; 16000 a second: 'b.wav'"):
        read(tmp_path)
    save(tmp_path / "b.wav", np.zeros((100, 2), np.int16))
    with pytest.raises(cnnvis.UserError, match=r"1: 'a.wav'; 2: 'b.wav'.*--wav.mono"):
        read(tmp_path)
    assert read(tmp_path, mono=True)[0].x.shape == (2, 100)


def _put(data: bytes, place: int, form: str, value: int) -> bytes:
    changed = bytearray(data)
    struct.pack_into(form, changed, place, value)
    return bytes(changed)


DAMAGE: dict[str, tuple[Callable[[bytes], bytes], str]] = {
    "empty": (lambda data: b"", "not a WAV"),
    "noise": (lambda data: RNG.bytes(900), "not a WAV"),
    "cut": (lambda data: data[:-20], "cut off"),
    "only a head": (lambda data: data[:44], "cut off"),
    "no sound": (lambda data: data[:36], "holds no sound"),
    "far too much": (lambda data: _put(data, 40, "<I", 2**31), "cut off"),
    "no channels": (lambda data: _put(data, 22, "<H", 0), "0 channels"),
    "packed": (lambda data: _put(data, 20, "<H", 2), "form 2"),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_damage_is_a_sentence(tmp_path: Path, damage: str) -> None:
    change, sentence = DAMAGE[damage]
    path = save(tmp_path / "one.wav")
    path.write_bytes(change(path.read_bytes()))
    with pytest.raises(cnnvis.UserError, match=sentence):
        read(path)[0].x  # noqa: B018


def test_a_length_that_nobody_wrote(tmp_path: Path) -> None:
    path = save(tmp_path / "one.wav", np.arange(7, dtype=np.int16))
    path.write_bytes(_put(path.read_bytes(), 40, "<I", 0xFFFFFFFF) + b"\x01")
    np.testing.assert_array_equal(read(path, raw=True)[0].x[0], np.arange(7))


def test_random_bytes_in_heads_raise_nothing_else(tmp_path: Path) -> None:
    path = save(tmp_path / "one.wav")
    data = path.read_bytes()
    for _ in range(30):
        place = int(RNG.integers(0, 44))
        path.write_bytes(data[:place] + RNG.bytes(3) + data[place + 3 :])
        with suppress(cnnvis.UserError):
            read(path)[0].x  # noqa: B018
