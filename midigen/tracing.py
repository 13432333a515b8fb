"""What a picture shows of a sound that is as long as it likes: its outline and its spectrum, in little memory.

The outline is kept in a few thousand columns. While the sound goes on, columns are joined two by two whenever there are
too many: so memory is bounded, and every column is that of as many frames as any other.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from midigen.audio import Signal
from midigen.errors import BadRequest
from midigen.spectra import Spectrum, SpectrumMeter

LEAST_COLUMNS = 1_000  # of a sound that has as many cells
CELL_FRAMES = 64  # the shortest column


@dataclass(frozen=True, eq=False)
class Envelope:
    """The outline of a sound: of every column, ``seconds_a_column`` long, the lowest and the highest sample of all
    channels and the root of the mean square over all channels; float64 ``(columns,)``, full scale at 1.

    The last column may be shorter than the others; its ``rms`` is that of what is there.
    """

    seconds_a_column: float
    lowest: np.ndarray
    highest: np.ndarray
    rms: np.ndarray


@dataclass(frozen=True, eq=False)
class Trace:
    """What a :class:`Tracer` has seen: ``seconds`` of sound, their outline and their spectrum."""

    seconds: float
    envelope: Envelope
    spectrum: Spectrum


class Tracer:
    """Takes a sound of ``channels`` at ``rate`` frames a second in blocks, and keeps what a picture shows of it.

    The trace does not depend on the size of the blocks. ``columns``, 2 or more, is the least number of columns of the
    outline of a long sound; up to twice as many are kept.
    """

    def __init__(self, rate: int, channels: int = 2, columns: int = LEAST_COLUMNS) -> None:
        if columns < 2:
            raise BadRequest(f"an outline of {columns} columns: give 2 or more")
        self._rate, self._channels, self._columns = rate, channels, columns
        self._spectrum = SpectrumMeter(rate, channels)
        self._frames = 0
        self._cells = 1  # in a column
        self._done = np.zeros((3, 0))  # of columns: lowest, highest, sum of squares
        self._kept = np.zeros((channels, 0), dtype=np.float32)  # what does not fill a column yet

    def feed(self, block: np.ndarray) -> None:
        """Take a block, float32 ``(channels, n)``, full scale at 1."""
        self._spectrum.feed(block)
        self._frames += block.shape[1]
        samples = np.concatenate([self._kept, block], axis=1)
        start = 0
        while samples.shape[1] - start >= self._cells * CELL_FRAMES:
            length = self._cells * CELL_FRAMES
            free = 2 * self._columns - self._done.shape[1]
            number = min((samples.shape[1] - start) // length, free)
            full = samples[:, start : start + number * length].reshape(self._channels, -1, CELL_FRAMES)
            self._done = np.concatenate([self._done, _joined(_cells(full), self._cells)], axis=1)
            start += number * length
            if self._done.shape[1] == 2 * self._columns:
                self._done = _joined(self._done, 2)
                self._cells *= 2
        self._kept = samples[:, start:].copy()

    def reading(self) -> Trace:
        """The trace of what came so far; the sound may go on."""
        length = self._cells * CELL_FRAMES
        columns = self._done
        counts = np.full(columns.shape[1], length * self._channels)
        if self._kept.shape[1]:
            last = _cells(self._kept[:, None, :])
            columns = np.concatenate([columns, last], axis=1)
            counts = np.append(counts, self._kept.size)
        lowest, highest, squares = columns
        envelope = Envelope(length / self._rate, lowest, highest, np.sqrt(squares / np.maximum(counts, 1)))
        return Trace(self._frames / self._rate, envelope, self._spectrum.reading())


def trace_of(signal: Signal) -> Trace:
    """The trace of the whole ``signal``."""
    tracer = Tracer(signal.rate, signal.channels)
    for block in signal.blocks():
        tracer.feed(block)
    return tracer.reading()


def _cells(samples: np.ndarray) -> np.ndarray:
    """``(channels, cells, frames)`` to lowest, highest and sum of squares, ``(3, cells)``."""
    squares = np.square(samples, dtype=np.float64).sum(axis=2).sum(axis=0)
    return np.stack([samples.min(axis=(0, 2)), samples.max(axis=(0, 2)), squares])


def _joined(cells: np.ndarray, number: int) -> np.ndarray:
    """Every ``number`` neighbours as one; ``number`` is a power of two, joined in pairs so that sums come out alike."""
    for _ in range(round(math.log2(number))):
        before, after = cells[:, ::2], cells[:, 1::2]
        cells = np.stack([
            np.minimum(before[0], after[0]), np.maximum(before[1], after[1]), before[2] + after[2]
        ])  # fmt: skip
    return cells
