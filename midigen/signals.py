"""Signals made of others: cut into blocks of another size, at another rate, or recorded to be read again.

The only room that knows soxr. What the mixer computes once and the master reads several times is recorded here: in
memory while it is short, in a temporary file beyond that, so that an hour of music needs no more memory than a song.
"""

from __future__ import annotations

import tempfile
import weakref
from collections.abc import Iterable, Iterator
from threading import Lock
from typing import IO

import numpy as np

from midigen.audio import BLOCK_FRAMES, Signal
from midigen.errors import BadRequest, OutputError

INAUDIBLE = 1e-5  # -100 dB of full scale
MOST_BYTES_IN_MEMORY = 192 * 2**20  # nine minutes in stereo at 44,100 frames a second


def in_blocks(pieces: Iterable[np.ndarray], size: int) -> Iterator[np.ndarray]:
    """``pieces`` of sound, ``(channels, any)`` each, as blocks of ``size`` frames; the last is what is left.

    Nothing is copied where a piece fits: whoever reads must not write into a block. Raises :class:`BadRequest` for a
    size under 1.
    """
    if size < 1:
        raise BadRequest(f"blocks of {size} frames: give 1 or more")
    kept: list[np.ndarray] = []
    held = 0
    for piece in pieces:
        start = 0
        if held and held + piece.shape[1] >= size:
            start = size - held
            yield np.concatenate([*kept, piece[:, :start]], axis=1)
            kept, held = [], 0
        while not held and piece.shape[1] - start >= size:
            yield piece[:, start : start + size]
            start += size
        if start < piece.shape[1]:
            kept.append(piece[:, start:])
            held += piece.shape[1] - start
    if held:
        yield kept[0] if len(kept) == 1 else np.concatenate(kept, axis=1)


class Resampled:
    """``signal`` at another ``rate`` (frames a second), resampled by soxr in its highest quality as it is read.

    As long as the original to the nearest frame, and in its place in time. The samples do not depend on the size of
    the blocks, for the original is always read in blocks of one size.
    """

    def __init__(self, signal: Signal, rate: int) -> None:
        self._signal = signal
        self._rate = rate

    @property
    def rate(self) -> int:
        return self._rate

    @property
    def channels(self) -> int:
        return self._signal.channels

    @property
    def frames(self) -> int:
        return max((2 * self._signal.frames * self._rate + self._signal.rate) // (2 * self._signal.rate), 1)

    def blocks(self, size: int = BLOCK_FRAMES) -> Iterator[np.ndarray]:
        return in_blocks(self._pieces(), size)

    def _pieces(self) -> Iterator[np.ndarray]:
        import soxr

        stream = soxr.ResampleStream(self._signal.rate, self._rate, self.channels, dtype="float32", quality="VHQ")
        left = self.frames
        for block in self._signal.blocks():
            piece = stream.resample_chunk(np.ascontiguousarray(block.T))[:left].T
            left -= piece.shape[1]
            yield piece
        piece = stream.resample_chunk(np.zeros((0, self.channels), dtype=np.float32), last=True)[:left].T
        yield piece
        if left > piece.shape[1]:  # soxr rounds down where it may
            yield np.zeros((self.channels, left - piece.shape[1]), dtype=np.float32)


def at_rate(signal: Signal, rate: int) -> Signal:
    """``signal`` itself where it has that ``rate`` already, else resampled to it."""
    return signal if signal.rate == rate else Resampled(signal, rate)


class Beginning:
    """The first ``frames`` of ``signal``, or all where it has no more."""

    def __init__(self, signal: Signal, frames: int) -> None:
        self._signal = signal
        self._frames = min(frames, signal.frames)

    @property
    def rate(self) -> int:
        return self._signal.rate

    @property
    def channels(self) -> int:
        return self._signal.channels

    @property
    def frames(self) -> int:
        return self._frames

    def blocks(self, size: int = BLOCK_FRAMES) -> Iterator[np.ndarray]:
        left = self._frames
        for block in self._signal.blocks(size):
            if left <= 0:
                return
            yield block[:, :left]
            left -= block.shape[1]


class Stretch:
    """The ``frames`` of ``signal`` from the frame ``start`` on, or those of them that it has."""

    def __init__(self, signal: Signal, start: int, frames: int) -> None:
        self._signal = signal
        self._start = min(start, signal.frames)
        self._frames = min(frames, signal.frames - self._start)

    @property
    def rate(self) -> int:
        return self._signal.rate

    @property
    def channels(self) -> int:
        return self._signal.channels

    @property
    def frames(self) -> int:
        return self._frames

    def blocks(self, size: int = BLOCK_FRAMES) -> Iterator[np.ndarray]:
        return in_blocks(self._pieces(), size)

    def _pieces(self) -> Iterator[np.ndarray]:
        before, left = self._start, self._frames
        for block in self._signal.blocks():
            piece = block[:, before : before + left]
            before = max(before - block.shape[1], 0)
            left -= piece.shape[1]
            if piece.shape[1]:
                yield piece
            if not left:
                return


class Recorded:
    """A signal that was read once from start to end, to be read again as often as one likes, by many at once.

    ``most_bytes`` (else ``MOST_BYTES_IN_MEMORY``) is what is held in memory; what goes beyond lies in a temporary file
    (in the system's place for them, which the variable TMPDIR names) that is gone with this object. Raises
    :class:`OutputError` where that place is full. ``heard_frames`` is how far samples beyond ``INAUDIBLE`` reach.
    """

    def __init__(self, signal: Signal, most_bytes: int | None = None) -> None:
        most_bytes = MOST_BYTES_IN_MEMORY if most_bytes is None else most_bytes
        self._rate, self._channels = signal.rate, signal.channels
        self._held: list[np.ndarray] = []
        self._file: IO[bytes] | None = None
        self._lock = Lock()
        self._frames = self.heard_frames = held_bytes = 0
        try:
            for block in in_blocks(signal.blocks(), BLOCK_FRAMES):
                loud = np.flatnonzero(np.abs(block[:, ::-1]).max(axis=0, initial=0) > INAUDIBLE)[:1]
                self.heard_frames = self._frames + block.shape[1] - int(loud[0]) if len(loud) else self.heard_frames
                self._frames += block.shape[1]
                held_bytes += block.nbytes
                if held_bytes <= most_bytes:
                    self._held.append(np.array(block, dtype=np.float32, order="C"))
                    continue
                if self._file is None:
                    self._file = tempfile.TemporaryFile()  # noqa: SIM115  # as long as this object
                    weakref.finalize(self, self._file.close)
                self._file.write(np.ascontiguousarray(block, dtype=np.float32).tobytes())
            if self._file is not None:
                self._file.flush()
        except OSError as error:
            raise OutputError(
                f"{tempfile.gettempdir()}: no room for the mix while it is made ({error.strerror}); free some space, "
                "or let TMPDIR name another folder"
            ) from None

    @property
    def rate(self) -> int:
        return self._rate

    @property
    def channels(self) -> int:
        return self._channels

    @property
    def frames(self) -> int:
        return self._frames

    def blocks(self, size: int = BLOCK_FRAMES) -> Iterator[np.ndarray]:
        return in_blocks(self._pieces(), size)

    def _pieces(self) -> Iterator[np.ndarray]:
        yield from self._held
        left = self._frames - sum(block.shape[1] for block in self._held)
        place = 0
        while left and self._file is not None:
            frames = min(left, BLOCK_FRAMES)
            with self._lock:  # readers share one place in the file
                self._file.seek(place)
                data = self._file.read(frames * self._channels * 4)
            yield np.frombuffer(data, dtype=np.float32).reshape(self._channels, frames)
            place += len(data)
            left -= frames
