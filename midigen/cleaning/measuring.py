"""What is wrong with a recording, in numbers and for the eye: looked at before it is cleaned, and after."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from midigen.audio import BLOCK_FRAMES, Signal
from midigen.cleaning.noise import CELL_SECONDS, QUIET_CELLS, QUIET_SHARE, SILENT_DB, LevelCurve
from midigen.loudness import Meter, decibels
from midigen.signals import in_blocks
from midigen.spectra import power_db

COLUMNS, LOWEST_HZ, BANDS = 900, 30.0, 96


@dataclass(frozen=True, eq=False)
class Condition:
    """The state of a recording of ``seconds``.

    ``offsets`` are those of the channels, full scale at 1: their means, or what the quietest passage has where that is
    another, for notes may have one of their own. ``floor_dbfs`` is the mean square of
    the quietest passage of 0.3 s in dB, ``-inf`` for silence; it begins in the cell ``quietest`` of ``levels``.
    ``snr_db`` is how far all together stand over that: ``inf`` over silence, NaN for nothing but silence. Loudness and
    peaks are as :class:`midigen.loudness.Loudness` has them. ``levels`` is the level over time, ``columns_db`` the
    spectrum over time, float64 ``(columns, bands)``, of bands around ``band_hz``.
    """

    seconds: float
    offsets: tuple[float, ...]
    floor_dbfs: float
    snr_db: float
    integrated_lufs: float
    sample_peak_dbfs: float
    true_peak_dbtp: float
    levels: LevelCurve
    quietest: int
    columns_db: np.ndarray
    band_hz: np.ndarray

    @property
    def offset(self) -> float:
        """That of the channel with the largest."""
        return max(self.offsets, key=abs)

    def facts(self) -> dict[str, float | None]:
        """The numbers as JSON can hold them; ``None`` is infinite."""
        names = ("seconds", "offset", "floor_dbfs", "snr_db", "integrated_lufs", "sample_peak_dbfs", "true_peak_dbtp")
        values = {name: float(getattr(self, name)) for name in names}
        return {name: round(value, 5) if math.isfinite(value) else None for name, value in values.items()}


def condition_of(signal: Signal) -> Condition:
    """Look at all of ``signal``, once. Raises :class:`BadRequest` for more than five channels."""
    rate = signal.rate
    cell = max(round(CELL_SECONDS * rate), 1)
    every = max(signal.frames // (cell * COLUMNS), 1)
    meter = Meter(rate, signal.channels)
    sums: list[np.ndarray] = []
    squares: list[float] = []
    columns: list[np.ndarray] = []
    edges = np.geomspace(LOWEST_HZ, 0.49 * rate, BANDS + 1)
    waiting: list[np.ndarray] = []
    for number, block in enumerate(in_blocks(signal.blocks(), cell)):
        sums.append(block.mean(axis=1, dtype=np.float64))
        squares.append(float(np.square(block, dtype=np.float64).mean()))
        if number % every == 0:
            columns.append(_column(block, cell, edges, rate))
        waiting.append(block)
        if len(waiting) * cell >= BLOCK_FRAMES:
            meter.feed(np.concatenate(waiting, axis=1))
            waiting = []
    if waiting:
        meter.feed(np.concatenate(waiting, axis=1))
    means = np.array(sums)  # of each cell
    loudness = meter.reading()
    levels = LevelCurve(cell / rate, np.array(squares))
    quietest = quietest_of(np.maximum(levels.squares - np.square(means).mean(axis=1), 0))
    offsets = _offsets(means, quietest)
    floor, snr = over_floor(np.maximum(levels.squares - np.square(offsets).mean(), 0), quietest)
    return Condition(
        seconds=signal.frames / rate,
        offsets=tuple(offsets.tolist()),
        floor_dbfs=floor,
        snr_db=snr,
        integrated_lufs=loudness.integrated_lufs,
        sample_peak_dbfs=loudness.sample_peak_dbfs,
        true_peak_dbtp=loudness.true_peak_dbtp,
        levels=levels,
        quietest=quietest,
        columns_db=np.array(columns),
        band_hz=np.sqrt(edges[1:] * edges[:-1]),
    )


def _offsets(means: np.ndarray, quietest: int) -> np.ndarray:
    """The offset of each channel by the ``means`` of all cells, ``(cells, channels)``."""
    whole = means.mean(axis=0)
    quiet = means[quietest : quietest + QUIET_CELLS]
    there, spread = quiet.mean(axis=0), quiet.std(axis=0) / math.sqrt(len(quiet))
    agrees = np.abs(there - whole) <= 0.3 * np.abs(whole) + 3 * spread
    offsets: np.ndarray = np.where(agrees, whole, there)
    return offsets


def quietest_of(squares: np.ndarray) -> int:
    """The cell in which the quietest passage of 0.3 s begins, or nearly: the very quietest may be chance."""
    cells = min(QUIET_CELLS, len(squares))
    windows = np.lib.stride_tricks.sliding_window_view(squares, cells).mean(axis=1)
    return int(np.argsort(windows, kind="stable")[int(QUIET_SHARE * (len(windows) - 1))])


def over_floor(squares: np.ndarray, quietest: int) -> tuple[float, float]:
    """The level of the passage that begins in the cell ``quietest``, and how far the mean of all stands over it."""
    mean = float(squares.mean())
    floor = float(squares[quietest : quietest + QUIET_CELLS].mean())
    if floor < 10 ** ((SILENT_DB - 24) / 10):
        return -math.inf, math.inf if mean > 0 else math.nan
    return decibels(math.sqrt(floor)), 10 * math.log10(max(mean - floor, 1e-20) / floor)


def _column(block: np.ndarray, length: int, edges: np.ndarray, rate: int) -> np.ndarray:
    """The power by bands of one cell, in dB."""
    samples = np.pad(block, ((0, 0), (0, length - block.shape[1])))
    lines = np.fft.rfft(samples * np.hanning(length), axis=1)
    power = (lines.real**2 + lines.imag**2).mean(axis=0) * (8 / 3) / length**2
    below = np.interp(edges, (np.arange(len(power)) + 0.5) * rate / length, np.cumsum(power))
    return np.maximum(power_db(np.maximum(np.diff(below), 1e-14)), -140.0)
