"""WAV files as broadcasters and DAWs want them, written block by block, and those of 24 bits read.

They are written here and not by libsndfile, which cannot put a Broadcast Wave chunk (``bext``, EBU Tech 3285) before
the sound through soundfile, nor turn a WAV that grows past 4 GB into RF64 (EBU Tech 3306). Samples of 24 bits, such
as every stem has, are unpacked here because it takes a third of the time that libsndfile takes.
"""

from __future__ import annotations

import io
import math
import struct
import unicodedata
from dataclasses import dataclass
from typing import IO, Protocol

import numpy as np

from midigen import __version__

LARGEST_RIFF = 2**32 - 1  # bytes after the first eight; beyond, a WAV is RF64
_UNSAID = 0x7FFF  # EBU Tech 3285: a loudness field that is not used


class Form(Protocol):
    """What the samples of a file are: ``bits`` 16 or 24 (whole numbers) or 32 (floating point)."""

    @property
    def rate(self) -> int: ...
    @property
    def channels(self) -> int: ...
    @property
    def bits(self) -> int: ...


class LoudnessFields(Protocol):
    """What a Broadcast Wave file says of its loudness; :class:`midigen.loudness.Loudness` is one."""

    @property
    def integrated_lufs(self) -> float: ...
    @property
    def range_lu(self) -> float: ...
    @property
    def true_peak_dbtp(self) -> float: ...
    @property
    def momentary_max_lufs(self) -> float: ...
    @property
    def short_term_max_lufs(self) -> float: ...


@dataclass(frozen=True, slots=True)
class Tags:
    """What a sound file says of itself; what is empty is left out. Control signs become spaces."""

    title: str = ""
    artist: str = ""
    comment: str = ""
    software: str = f"midigen {__version__}"

    def __post_init__(self) -> None:
        for name in self.__slots__:
            text = "".join(" " if unicodedata.category(sign) in ("Cc", "Cs") else sign for sign in getattr(self, name))
            object.__setattr__(self, name, " ".join(text.split()))


def whole_numbers(samples: np.ndarray, bits: int) -> np.ndarray:
    """Samples rounded to ``bits`` and clipped, as int32 ``(frames, channels)``: of 24 bits -2**23..2**23 - 1."""
    steps = np.float32(2.0 ** (bits - 1))  # 24 bits fit into a float32: nothing is rounded twice
    numbers = np.multiply(samples.T, steps, dtype=np.float32, order="C")
    np.rint(numbers, out=numbers)
    np.clip(numbers, -steps, steps - 1, out=numbers)
    return numbers.astype(np.int32)


def from_24_bits(data: bytes, channels: int) -> np.ndarray:
    """Samples of 24 bits as they lie in a WAV, to float32 ``(channels, frames)``, full scale at -1..1."""
    three = np.frombuffer(data, dtype=np.uint8).reshape(-1, 3)
    four = np.zeros((len(three), 4), dtype=np.uint8)  # in the upper bytes of an int32
    for place in range(3):
        four[:, place + 1] = three[:, place]
    samples = four.view("<i4").reshape(-1, channels).T.astype(np.float32, order="C")
    samples *= np.float32(2.0**-31)
    return samples


def sound_place(file: IO[bytes]) -> int | None:
    """Where the samples of a WAV or RF64 begin, in bytes; ``None`` where its chunks cannot be followed."""
    file.seek(0)
    head = file.read(12)
    if head[:4] not in (b"RIFF", b"RF64") or head[8:] != b"WAVE":
        return None
    while len(head := file.read(8)) == 8:
        name, size = struct.unpack("<4sI", head)
        if name == b"data":
            return file.tell()
        file.seek(size + size % 2, io.SEEK_CUR)
    return None


class WavFile:
    """A Broadcast Wave file: its header with room for RF64, the samples, and then the sizes in the header."""

    def __init__(
        self, file: IO[bytes], form: Form, tags: Tags, start_seconds: float, loudness: LoudnessFields | None
    ) -> None:
        self.file, self.form = file, form
        self.frame_bytes = form.channels * form.bits // 8
        self.data_bytes = 0
        is_float = form.bits == 32
        code = 3 if is_float else 1
        facts = (form.channels, form.rate, form.rate * self.frame_bytes, self.frame_bytes, form.bits)
        if form.channels > 2:  # WAVE_FORMAT_EXTENSIBLE; a speaker mask of 0 says nothing of where channels go
            guid = struct.pack("<H", code) + bytes.fromhex("000000001000800000aa00389b71")
            layout = struct.pack("<HHIIHHHHI", 0xFFFE, *facts, 22, form.bits, 0) + guid
        else:
            layout = struct.pack("<HHIIHH", code, *facts) + (b"\0\0" if is_float else b"")
        chunks = [
            _chunk(b"JUNK", bytes(28)),  # becomes ds64, with sizes of 64 bits, where it must
            _chunk(b"bext", _broadcast(form, tags, start_seconds, loudness)),
            _chunk(b"fmt ", layout),
        ]
        if is_float:
            self.fact_place = 12 + sum(map(len, chunks)) + 8
            chunks.append(_chunk(b"fact", bytes(4)))
        said = {b"INAM": tags.title, b"IART": tags.artist, b"ICMT": tags.comment, b"ISFT": tags.software}
        info = b"".join(_chunk(name, text.encode() + b"\0") for name, text in said.items() if text)
        if info:
            chunks.append(_chunk(b"LIST", b"INFO" + info))
        header = b"RIFF\0\0\0\0WAVE" + b"".join(chunks) + b"data\0\0\0\0"
        self.header_bytes = len(header)
        file.write(header)

    def write(self, block: np.ndarray) -> None:
        if self.form.bits == 32:
            data = np.ascontiguousarray(block.T, dtype="<f4").tobytes()
        elif self.form.bits == 16:
            data = whole_numbers(block, 16).astype("<i2").tobytes()
        else:
            # byte by byte of all samples: five times as fast as cutting three bytes out of each sample
            four = whole_numbers(block, 24).astype("<i4", copy=False).reshape(-1).view(np.uint8).reshape(-1, 4)
            three = np.empty((len(four), 3), dtype=np.uint8)
            for place in range(3):
                three[:, place] = four[:, place]
            data = three.tobytes()
        self.file.write(data)
        self.data_bytes += len(data)

    def close(self) -> None:
        self.file.write(bytes(self.data_bytes % 2))  # chunks begin at even places
        riff_bytes = self.header_bytes - 8 + self.data_bytes + self.data_bytes % 2
        frames = self.data_bytes // self.frame_bytes
        large = riff_bytes > LARGEST_RIFF
        if large:
            self._put(0, b"RF64")
            self._put(12, b"ds64" + struct.pack("<IQQQI", 28, riff_bytes, self.data_bytes, frames, 0))
        self._put(4, struct.pack("<I", 0xFFFFFFFF if large else riff_bytes))
        self._put(self.header_bytes - 4, struct.pack("<I", 0xFFFFFFFF if large else self.data_bytes))
        if self.form.bits == 32:
            self._put(self.fact_place, struct.pack("<I", 0xFFFFFFFF if large else frames))
        self.file.flush()

    def _put(self, place: int, data: bytes) -> None:
        self.file.seek(place)
        self.file.write(data)


def _chunk(name: bytes, data: bytes) -> bytes:
    return name + struct.pack("<I", len(data)) + data + bytes(len(data) % 2)


def _broadcast(form: Form, tags: Tags, start_seconds: float, loudness: LoudnessFields | None) -> bytes:
    """The ``bext`` chunk of EBU Tech 3285, version 2. It has room for a date, which is left empty."""
    description = (tags.comment or tags.title).encode("ascii", "replace")[:256]
    start = round(start_seconds * form.rate)
    values = [math.nan] * 5
    if loudness is not None:
        values = [loudness.integrated_lufs, loudness.range_lu, loudness.true_peak_dbtp]
        values += [loudness.momentary_max_lufs, loudness.short_term_max_lufs]
    hundredths = [round(value * 100) if abs(value) < 100 else _UNSAID for value in values]  # NaN and infinity too
    texts = struct.pack("<256s32s32s10s8s", description, b"midigen", b"", b"", b"")
    numbers = struct.pack("<IIH64x5h180x", start % 2**32, start >> 32, 2, *hundredths)
    mode = {1: "mono", 2: "stereo"}.get(form.channels, "multitrack")
    history = f"A=PCM,F={form.rate},W={form.bits},M={mode},T=midigen\r\n".encode("ascii")
    # even, for libsndfile's reader of RF64 knows nothing of the byte that follows odd chunks
    return texts + numbers + history + bytes(len(history) % 2)
