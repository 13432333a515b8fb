"""How loud a sound is (ITU-R BS.1770-4, EBU R 128): integrated, momentary and short-term loudness, range and peaks.

A meter of our own, in numpy and scipy, and not pyloudnorm: that one wants the whole sound in memory, knows neither
momentary nor short-term loudness nor true peaks, and takes three to five times as long. Here a sound comes in blocks,
and what is kept of it is one number every 10 milliseconds; the reading does not depend on the size of the blocks.
"""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass

import numpy as np

from midigen.audio import BLOCK_FRAMES, Signal
from midigen.errors import BadRequest
from midigen.filtering import filtered
from midigen.truepeak import TruePeaks

CHANNEL_WEIGHTS = (1.0, 1.0, 1.0, 1.41, 1.41)  # BS.1770-4, table 3: left, right, centre, left and right surround
OFFSET_LU = -0.691  # BS.1770-4, equation 2
ABSOLUTE_GATE_LUFS = -70.0
RELATIVE_GATE_LU = -10.0  # under the mean of what passed the absolute gate
RANGE_GATE_LU = -20.0  # EBU Tech 3342
RANGE_PERCENTILES = (10, 95)
CELLS_A_SECOND = 100  # 10 ms: the hop of the momentary loudness
MOMENTARY_CELLS = 40  # 400 ms, also the gating blocks of the integrated loudness
HOP_CELLS = 10  # 100 ms: gating blocks overlap by 75 %, and so often comes a value of the short-term loudness
SHORT_TERM_HOPS = 30  # 3 s
_INAUDIBLE = 1e-20  # mean square, -200 LUFS: what a filter rings after the sound has ended is silence


@dataclass(frozen=True, eq=False)
class Loudness:
    """What a meter has read. Loudness is in LUFS and peaks in dB of full scale, ``-inf`` for silence.

    ``integrated_lufs`` is gated, ``-inf`` also where all lies under -70 LUFS. ``momentary_max_lufs`` is the largest
    over 400 ms and ``short_term_max_lufs`` that over 3 s; a sound shorter than these is measured with silence after
    it. ``range_lu`` is the loudness range, 0 or more. ``true_peak_dbtp`` is NaN where the meter was told to leave true
    peaks out. ``momentary_lufs`` and ``short_term_lufs`` are curves, of float64: the value at *n* is that of the 400 ms
    from *n* times 10 ms on, and of the 3 s from *n* times 100 ms on.
    """

    integrated_lufs: float
    momentary_max_lufs: float
    short_term_max_lufs: float
    range_lu: float
    sample_peak_dbfs: float
    true_peak_dbtp: float
    momentary_lufs: np.ndarray
    short_term_lufs: np.ndarray


def k_weighting(rate: int) -> np.ndarray:
    """The K-weighting of BS.1770-4, annex 1, at any ``rate``, as two second-order sections of scipy: ``(2, 6)``.

    The standard gives numbers for 48 kHz. Here they come from the analogue filters behind these (De Man, "Evaluation
    of implementations of the EBU R128 loudness measurement", AES 2018), by the bilinear transform; at 48 kHz the
    numbers are the standard's. The standard's high-pass lets high tones through 0.04 dB up: so it does at every rate.
    """
    turn = math.tan(math.pi * 1681.974450955533 / rate)
    quality = 0.7071752369554196
    high = 10 ** (3.999843853973347 / 20)
    middle = high**0.4996667741545416
    over = 1 + turn / quality + turn**2
    shelf = [
        (high + middle * turn / quality + turn**2) / over,
        2 * (turn**2 - high) / over,
        (high - middle * turn / quality + turn**2) / over,
        1.0,
        2 * (turn**2 - 1) / over,
        (1 - turn / quality + turn**2) / over,
    ]
    turns = [math.tan(math.pi * 38.13547087602444 / at) for at in (48_000, rate)]
    quality = 0.5003270373238773
    at_48_khz, over = (1 + turn / quality + turn**2 for turn in turns)
    turn = turns[1]
    gain = at_48_khz / over
    pass_high = [gain, -2 * gain, gain, 1.0, 2 * (turn**2 - 1) / over, (1 - turn / quality + turn**2) / over]
    return np.array([shelf, pass_high])


def k_weighting_power(hz: np.ndarray, rate: int) -> np.ndarray:
    """What the K-weighting at ``rate`` makes of the power at the frequencies ``hz`` (under half the rate): factors."""
    backwards = np.exp(-2j * np.pi * hz / rate)  # one frame earlier
    response = np.ones(np.shape(hz), dtype=np.complex128)
    for b0, b1, b2, a0, a1, a2 in k_weighting(rate):
        response *= (b0 + (b1 + b2 * backwards) * backwards) / (a0 + (a1 + a2 * backwards) * backwards)
    power: np.ndarray = np.abs(response) ** 2
    return power


class KWeighting:
    """The K-weighting filter for ``channels`` at once, which goes on from block to block."""

    def __init__(self, rate: int, channels: int) -> None:
        self._sections = k_weighting(rate)
        self._state = np.zeros((2, channels, 2))

    def filtered(self, block: np.ndarray) -> np.ndarray:
        """``block``, ``(channels, frames)``, K-weighted, in float64."""
        if np.abs(self._state).max() < 1e-30 and not block.any():
            self._state[:] = 0  # left alone, the filter would crawl through denormal numbers
            return np.zeros(block.shape)
        weighted, self._state = filtered(self._sections, block, self._state)
        return weighted


class Energies:
    """Sums of squares over cells of equal length, over all channels by the standard's weights, from blocks of any size.

    Cell *n* ends before the frame ``(n + 1) * frames / parts``, rounded: there are ``parts`` cells in ``frames``.
    """

    def __init__(self, channels: int, frames: int, parts: int = 1) -> None:
        self._weights = np.array(CHANNEL_WEIGHTS[:channels])[:, None]
        self._frames, self._parts = frames, parts
        self._cells = 0
        self._rest = np.zeros((channels, 0))  # the frames of the cell that is not full

    def end(self, cell: int) -> int:
        """The frame after the last of ``cell``."""
        return (2 * (cell + 1) * self._frames + self._parts) // (2 * self._parts)

    def feed(self, block: np.ndarray) -> np.ndarray:
        """Take a block, float64 ``(channels, frames)``; returns the sums of the cells that are full now."""
        begin = self.end(self._cells - 1)
        held = self._rest.shape[1]
        end = begin + held + block.shape[1]
        full = end * self._parts // self._frames + 1
        while full > self._cells and self.end(full - 1) > end:
            full -= 1
        if full <= self._cells:
            self._rest = np.concatenate([self._rest, block], axis=1)
            return np.zeros(0)
        # The cell that was begun is finished on its own, so that the rest need not be copied behind it.
        ahead = self.end(self._cells) - begin - held
        first = np.concatenate([self._rest, block[:, :ahead]], axis=1)
        used = self.end(full - 1) - begin - held
        starts = [self.end(cell) - begin - held - ahead for cell in range(self._cells, full - 1)]
        sums = np.concatenate([self._sums(first, [0]), self._sums(block[:, ahead:used], starts)], axis=1)
        self._rest = block[:, used:].copy()
        self._cells = full
        weighted: np.ndarray = (sums * self._weights).sum(axis=0)
        return weighted

    def _sums(self, frames: np.ndarray, starts: list[int]) -> np.ndarray:
        """The sum of squares of each whole cell in ``frames``, which begin at ``starts``: ``(channels, cells)``."""
        if not starts:
            return np.zeros((len(frames), 0))
        sums: np.ndarray
        if self._frames % self._parts == 0:
            cells = frames.reshape(len(frames), len(starts), self._frames // self._parts)
            sums = np.einsum("cnf,cnf->cn", cells, cells)
        else:
            sums = np.add.reduceat(np.square(frames), starts, axis=1)
        return sums


class Meter:
    """A loudness meter that is fed with blocks and may be read at any time.

    ``rate`` is in frames a second; ``channels`` are 1 to 5: left, right, centre, left surround, right surround (one
    channel counts as left alone). Without ``true_peak`` true peaks are left out. Raises :class:`BadRequest` for more
    channels.
    """

    def __init__(self, rate: int, channels: int, *, true_peak: bool = True) -> None:
        if not 1 <= channels <= len(CHANNEL_WEIGHTS):
            raise BadRequest(f"loudness of {channels} channels: give 1 to {len(CHANNEL_WEIGHTS)}")
        self._rate, self._channels = rate, channels
        self._weighting = KWeighting(rate, channels)
        self._energies = Energies(channels, rate, CELLS_A_SECOND)
        self._cells: list[np.ndarray] = []
        self._frames = 0
        self._sample_peak = self._true_peak = 0.0
        self._true_peaks = TruePeaks(channels, within_db=0.0) if true_peak else None

    def feed(self, block: np.ndarray) -> np.ndarray:
        """Take a block, float32 ``(channels, frames)``, full scale at 1; returns it K-weighted, in float64."""
        pieces = []
        for start in range(0, block.shape[1], BLOCK_FRAMES):
            piece = block[:, start : start + BLOCK_FRAMES]
            pieces.append(self._weighting.filtered(piece))
            self._cells.append(self._energies.feed(pieces[-1]))
            self._frames += piece.shape[1]
            self._sample_peak = max(self._sample_peak, float(piece.max()), -float(piece.min()))
            if self._true_peaks is not None:
                self._true_peak = max(self._true_peak, float(self._true_peaks.feed(piece).max(initial=0.0)))
        return pieces[0] if len(pieces) == 1 else np.concatenate([np.zeros((self._channels, 0)), *pieces], axis=1)

    def reading(self, gain_db: float = 0.0) -> Loudness:
        """What the meter has read so far; with ``gain_db``, what it would have read of the sound so much louder."""
        self._cells = [np.concatenate([np.zeros(0), *self._cells])]
        power = 10 ** (gain_db / 10) / self._rate
        cells = self._lengthened() * power  # their sum over a second is a mean square
        cells[cells < _INAUDIBLE / CELLS_A_SECOND] = 0.0
        seconds = MOMENTARY_CELLS / CELLS_A_SECOND
        momentary = _lufs(_sliding(cells, MOMENTARY_CELLS) / seconds)
        blocks = _sliding(_hops(cells), MOMENTARY_CELLS // HOP_CELLS) / seconds
        short_term_cells = SHORT_TERM_HOPS * HOP_CELLS
        lengthened = np.pad(cells, (0, max(short_term_cells - len(cells), 0)))
        short_term = _sliding(_hops(lengthened), SHORT_TERM_HOPS) / (short_term_cells / CELLS_A_SECOND)
        true_peak = math.nan
        if self._true_peaks is not None:
            rest = float(self._true_peaks.rest().max(initial=0.0))
            true_peak = decibels(max(self._true_peak, rest, self._sample_peak)) + gain_db
        return Loudness(
            integrated_lufs=gated_lufs(blocks),
            momentary_max_lufs=float(momentary.max()),
            short_term_max_lufs=float(_lufs(short_term).max()),
            range_lu=_range_lu(short_term),
            sample_peak_dbfs=decibels(self._sample_peak) + gain_db,
            true_peak_dbtp=true_peak,
            momentary_lufs=momentary,
            short_term_lufs=_lufs(short_term),
        )

    def _lengthened(self) -> np.ndarray:
        """The cells, with silence after the sound where it is shorter than one block of the momentary loudness."""
        (cells,) = self._cells
        if len(cells) >= MOMENTARY_CELLS:
            return cells
        weighting, energies = copy.deepcopy((self._weighting, self._energies))  # the sound may yet go on
        silence = np.zeros((self._channels, energies.end(MOMENTARY_CELLS - 1) - self._frames), dtype=np.float32)
        return np.concatenate([cells, energies.feed(weighting.filtered(silence))])


def measure(signal: Signal) -> Loudness:
    """All that the meter reads of ``signal``. Raises :class:`BadRequest` for more than five channels."""
    meter = Meter(signal.rate, signal.channels)
    for block in signal.blocks():
        meter.feed(block)
    return meter.reading()


def integrated_lufs(signal: Signal) -> float:
    """Gated integrated loudness in LUFS; ``-inf`` for silence and for what lies under the -70 LUFS gate throughout.

    A sound under 400 ms is measured as one block with silence after it. An incomplete last block does not count, as
    the standard has it. Raises :class:`BadRequest` for more than five channels.
    """
    meter = Meter(signal.rate, signal.channels, true_peak=False)
    for block in signal.blocks():
        meter.feed(block)
    return meter.reading().integrated_lufs


def true_peak_dbtp(signal: Signal) -> float:
    """The true peak in dBTP; ``-inf`` for silence."""
    peaks = TruePeaks(signal.channels, within_db=0.0)
    highest = 0.0
    for block in signal.blocks():
        highest = max(highest, float(peaks.feed(block).max(initial=0.0)))
    return decibels(max(highest, float(peaks.rest().max(initial=0.0))))


def gated_lufs(blocks: np.ndarray) -> float:
    """The integrated loudness of gating blocks, given by their weighted mean squares (BS.1770-4, eq. 5 to 7)."""
    heard = blocks[blocks > _mean_square(ABSOLUTE_GATE_LUFS)]
    if not len(heard):
        return -math.inf
    gate = float(heard.mean()) * 10 ** (RELATIVE_GATE_LU / 10)
    return float(_lufs(heard[heard > gate].mean()))


def decibels(level: float) -> float:
    """A level, full scale at 1, in decibels; ``-inf`` for 0."""
    return 20 * math.log10(level) if level > 0 else -math.inf


def _range_lu(short_term: np.ndarray) -> float:
    """The loudness range of short-term values that are given as mean squares (EBU Tech 3342)."""
    heard = short_term[short_term >= _mean_square(ABSOLUTE_GATE_LUFS)]
    if not len(heard):
        return 0.0
    heard = np.sort(heard[heard >= heard.mean() * 10 ** (RANGE_GATE_LU / 10)])
    low, high = (heard[math.floor((len(heard) - 1) * part / 100 + 0.5)] for part in RANGE_PERCENTILES)
    return 10 * math.log10(high / low)


def _hops(cells: np.ndarray) -> np.ndarray:
    """Sums of the cells of each whole hop."""
    sums: np.ndarray = cells[: len(cells) // HOP_CELLS * HOP_CELLS].reshape(-1, HOP_CELLS).sum(axis=1)
    return sums


def _sliding(values: np.ndarray, length: int) -> np.ndarray:
    """Sums over ``length`` neighbours. Added up each for itself: a running sum would leave noise in silence."""
    sums: np.ndarray = np.lib.stride_tricks.sliding_window_view(values, length).sum(axis=1)
    return sums


def _lufs(mean_square: np.ndarray) -> np.ndarray:
    with np.errstate(divide="ignore"):
        loudness: np.ndarray = OFFSET_LU + 10 * np.log10(mean_square)
    return loudness


def _mean_square(lufs: float) -> float:
    return float(10 ** ((lufs - OFFSET_LU) / 10))
