"""A stem's sound on disk: 32-bit floats behind a header that tells whether they are all there.

A renderer's pieces go straight to a file, and whoever mixes reads them back in blocks, so that a stem of an hour is
never in memory. The file stays open as long as its :class:`StemSound` lives: what somebody else clears from the cache
meanwhile can be read to its end.
"""

from __future__ import annotations

import json
import weakref
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from threading import Lock
from typing import IO, Any

import numpy as np

from midigen.audio import BLOCK_FRAMES
from midigen.errors import BadFile, BadRequest

FORMAT = 1  # of these files
CHANNELS = 2
FRAME_BYTES = CHANNELS * 4
HEADER_BYTES = 512
_LONGEST_NAME = 100  # letters of a sound's name; a SoundFont's own have 20 at most
_READ_BYTES = 1 << 20


class _OpenFile:
    """A file that is closed with the last object that reads it; readers in several threads share its place."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._lock = Lock()
        weakref.finalize(self, file.close)

    def read(self, place: int, size: int) -> bytes:
        try:
            with self._lock:
                self._file.seek(place)
                return self._file.read(size)
        except OSError as error:
            raise BadFile(f"a stem's file cannot be read ({error.strerror}); render again") from None


class StemSound:
    """What a renderer played, read from its file; a :class:`midigen.audio.Signal` in stereo.

    ``frames`` may be more than the file holds: the rest is silence.
    """

    def __init__(self, file: _OpenFile, rate: int, stored: int, frames: int) -> None:
        self._file, self._rate, self._stored, self._frames = file, rate, stored, frames

    @property
    def rate(self) -> int:
        return self._rate

    @property
    def channels(self) -> int:
        return CHANNELS

    @property
    def frames(self) -> int:
        return self._frames

    @property
    def seconds(self) -> float:
        return self._frames / self._rate

    @property
    def samples(self) -> np.ndarray:
        """The whole sound, read into memory anew each time: float32 ``(2, frames)``."""
        return next(self.blocks(max(self._frames, 1)), np.zeros((CHANNELS, 0), dtype=np.float32))

    def blocks(self, size: int = BLOCK_FRAMES) -> Iterator[np.ndarray]:
        """The samples, ``size`` frames (1 or more) at a time; the last block is what is left."""
        if size < 1:
            raise BadRequest(f"blocks of {size} frames: give 1 or more")
        for start in range(0, self._frames, size):
            frames = min(size, self._frames - start)
            block = np.zeros((CHANNELS, frames), dtype=np.float32)
            heard = min(max(self._stored - start, 0), frames)
            if heard:
                data = self._file.read(HEADER_BYTES + start * FRAME_BYTES, heard * FRAME_BYTES)
                if len(data) < heard * FRAME_BYTES:
                    raise BadFile("a stem's file was cut short while it was read; render again")
                block[:, :heard] = np.frombuffer(data, dtype="<f4").reshape(heard, CHANNELS).T
            yield block

    def padded(self, frames: int) -> StemSound:
        """The same sound with silence after it, ``frames`` long; itself where it is that long already."""
        return self if frames <= self._frames else StemSound(self._file, self._rate, self._stored, frames)


@dataclass(frozen=True)
class StemHeader:
    """What a file's header says: what the stem was made of (``key``), ``sound``, ``rate`` and ``frames``, and the
    CRC-32 of its samples and of all this."""

    key: str
    sound: str
    rate: int
    frames: int
    crc32: int = 0

    def facts(self) -> bytes:
        facts = [FORMAT, self.key, self.sound, self.rate, self.frames]
        return json.dumps(facts, ensure_ascii=True).encode("ascii")

    def to_bytes(self, crc32_of_samples: int) -> bytes:
        facts = self.facts()
        line = b"midigen stem %08x %s" % (zlib.crc32(facts, crc32_of_samples), facts)
        return line.ljust(HEADER_BYTES - 1) + b"\n"

    @classmethod
    def from_bytes(cls, data: bytes) -> StemHeader:
        """Raises :class:`ValueError` for what is no such header."""
        midigen, stem, crc32, facts = data.decode("ascii").split(maxsplit=3)
        if (midigen, stem, len(data)) != ("midigen", "stem", HEADER_BYTES):
            raise ValueError("not a stem")
        number, key, sound, rate, frames = json.loads(facts)
        if number != FORMAT or not isinstance(rate, int) or not isinstance(frames, int):
            raise ValueError("a stem of another format")
        return cls(str(key), str(sound), rate, frames, int(crc32, 16))


class StemWriter:
    """Takes a renderer's pieces into ``file``, an empty one that is open for writing and reading."""

    def __init__(self, file: IO[bytes], key: str, rate: int) -> None:
        self._file, self._key, self._rate = file, key, rate
        self._frames = self._crc32 = 0
        file.write(bytes(HEADER_BYTES))  # a file that is never finished is none

    def write(self, piece: np.ndarray) -> None:
        """Add float32 ``(2, any)``. Raises :class:`BadFile` for samples that are not finite."""
        if not np.isfinite(piece).all():
            raise BadFile("the renderer gave samples that are not numbers (NaN or infinity); try another SoundFont")
        data = np.ascontiguousarray(piece.T, dtype="<f4").tobytes()
        self._file.write(data)
        self._crc32 = zlib.crc32(data, self._crc32)
        self._frames += piece.shape[1]

    def finish(self, sound: str, key: str | None = None) -> StemHeader:
        """Write the header: now the stem is whole. ``key`` is its own where it was not known before."""
        self._key = self._key if key is None else key
        header = StemHeader(self._key, sound[:_LONGEST_NAME], self._rate, self._frames)
        while len(data := header.to_bytes(self._crc32)) > HEADER_BYTES:  # a name in letters that JSON spells out
            header = StemHeader(self._key, header.sound[:-1], self._rate, self._frames)
        self._file.seek(0)
        self._file.write(data)
        self._file.flush()
        return header


def open_stem(file: IO[bytes], header: StemHeader) -> StemSound:
    """The sound in a file that was just finished; the file is closed with the last object that reads it."""
    return StemSound(_OpenFile(file), header.rate, header.frames, header.frames)


def check_stem(file: IO[bytes], key: str) -> StemHeader:
    """Read a whole file and return its header. Raises :class:`ValueError` where it is not the stem ``key``, whole."""
    header = StemHeader.from_bytes(file.read(HEADER_BYTES))
    if header.key != key:
        raise ValueError("another stem")
    crc32, size = 0, 0
    while data := file.read(_READ_BYTES):
        crc32, size = zlib.crc32(data, crc32), size + len(data)
    if size != header.frames * FRAME_BYTES or zlib.crc32(header.facts(), crc32) != header.crc32:
        raise ValueError("damaged")
    return header


def plain_bytes(values: Any) -> bytes:
    """An array's type, shape and values as bytes that are the same on every machine, to be hashed."""
    array = np.asarray(values)
    array = np.ascontiguousarray(array.astype(array.dtype.newbyteorder("<")))
    return f"{array.dtype.kind}{array.dtype.itemsize}{array.shape}".encode() + array.tobytes()
