"""A tiny SoundFont (SoundFont Technical Specification 2.04) whose sounds are known exactly, written byte by byte."""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass
from pathlib import Path

import numpy as np

SAMPLE_RATE = 44_000  # so that 440 Hz has a period of exactly 100 samples
ROOT_KEY = 69
SAMPLE_MODES, RELEASE, SAMPLE_ID, INSTRUMENT = 54, 38, 53, 41  # generator numbers, section 8.1.2


@dataclass(frozen=True)
class Sound:
    """A preset: a looped or single sample at half of full scale, let go within ``release_seconds``."""

    bank: int
    program: int
    name: str
    wave: str  # "sine" (440 Hz at key 69), "constant", or "burst"
    release_seconds: float = 0.001


SOUNDS = (
    Sound(0, 0, "Sine", "sine"),
    Sound(0, 1, "Step", "constant"),
    Sound(0, 8, "Bell", "sine", release_seconds=2.0),
    Sound(0, 33, "Bass", "sine"),
    Sound(1, 0, "Other sine", "sine"),
    Sound(128, 0, "Kit", "burst"),
)


def write_soundfont(path: Path, sounds: tuple[Sound, ...] = SOUNDS, copyright: str = "Public domain") -> Path:
    """Write a font of ``sounds`` to ``path``; returns it."""
    smpl, shdr, at = b"", b"", 0
    phdr = pbag = pgen = inst = ibag = igen = b""
    for number, sound in enumerate(sounds):
        wave = _wave(sound.wave)
        name = sound.name.encode()
        shdr += struct.pack(
            "<20sIIIIIBbHH", name, at, at + len(wave), at + 100, at + 300, SAMPLE_RATE, ROOT_KEY, 0, 0, 1
        )
        smpl += wave.tobytes() + bytes(2 * 46)  # section 7.10: at least 46 zero points after each sample
        at += len(wave) + 46
        phdr += struct.pack("<20sHHHIII", name, sound.program, sound.bank, number, 0, 0, 0)
        pbag += struct.pack("<HH", number, 0)
        pgen += struct.pack("<HH", INSTRUMENT, number)
        inst += struct.pack("<20sH", name, number)
        ibag += struct.pack("<HH", 3 * number, 0)
        timecents = round(1200 * math.log2(sound.release_seconds))
        igen += struct.pack("<Hh", RELEASE, timecents)
        igen += struct.pack("<HH", SAMPLE_MODES, 0 if sound.wave == "burst" else 1)
        igen += struct.pack("<HH", SAMPLE_ID, number)
    count = len(sounds)
    pdta = chunk(b"phdr", phdr + struct.pack("<20sHHHIII", b"EOP", 0, 0, count, 0, 0, 0))
    pdta += chunk(b"pbag", pbag + struct.pack("<HH", count, 0)) + chunk(b"pmod", bytes(10))
    pdta += chunk(b"pgen", pgen + bytes(4))
    pdta += chunk(b"inst", inst + struct.pack("<20sH", b"EOI", count))
    pdta += chunk(b"ibag", ibag + struct.pack("<HH", 3 * count, 0)) + chunk(b"imod", bytes(10))
    pdta += chunk(b"igen", igen + bytes(4))
    pdta += chunk(b"shdr", shdr + struct.pack("<20sIIIIIBbHH", b"EOS", 0, 0, 0, 0, 0, 0, 0, 0, 0))
    info = chunk(b"ifil", struct.pack("<HH", 2, 1)) + chunk(b"isng", b"EMU8000\0")
    info += chunk(b"INAM", b"Synthetic\0") + chunk(b"ICOP", copyright.encode() + b"\0")
    body = chunk(b"LIST", b"INFO" + info) + chunk(b"LIST", b"sdta" + chunk(b"smpl", smpl))
    path.write_bytes(chunk(b"RIFF", b"sfbk" + body + chunk(b"LIST", b"pdta" + pdta)))
    return path


def _wave(kind: str) -> np.ndarray:
    """400 points of int16, of which 100 to 300 are the loop."""
    index = np.arange(400)
    shapes = {
        "sine": np.sin(2 * np.pi * index / 100),
        "constant": np.ones(400),
        "burst": np.where(index < 300, 1.0, 0.0),
    }
    return np.rint(shapes[kind] * 16_384).astype("<i2")


def chunk(name: bytes, data: bytes) -> bytes:
    """A RIFF chunk."""
    return name + struct.pack("<I", len(data)) + data + bytes(len(data) % 2)
