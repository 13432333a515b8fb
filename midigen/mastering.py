"""The last step of a mix: one gain to a loudness, then a limiter where peaks would pass the ceiling.

A sound is read once to measure it. Where it needs no limiting that is all, and the result is the sound times one gain.
Where it does, the gain that reaches the loudness after limiting is found without reading the sound again, from its
true peaks and its K-weighted energy in hops of a third of a millisecond: the limiter's gain hardly moves within one.
Then the limited sound is read once to measure what was reached. In memory are two numbers and a gain a hop, 120 MB for
an hour; the result is a signal that is limited as it is read.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from midigen.audio import Signal
from midigen.errors import BadRequest
from midigen.limiter import Limited, gain_curve, hop_frames
from midigen.loudness import Energies, Loudness, Meter, decibels, gated_lufs
from midigen.truepeak import TruePeaks

TARGET_LUFS, CEILING_DBTP = -14.0, -1.0  # what streaming services play at, and ask for
LOWEST_TARGET_LUFS, HIGHEST_TARGET_LUFS = -70.0, -5.0
LOWEST_CEILING_DBTP, HIGHEST_CEILING_DBTP = -20.0, 0.0
LARGEST_LIMITING_DB = 12.0  # the limiter may take this from the highest peak; beyond, the mix stays under its target
LOUDNESS_TOLERANCE_LU = 0.05
MOST_READINGS = 4  # of the limited sound; one is the rule
_MOST_TRIALS = 16  # of a gain, without reading the sound
_TRACE_DB = 1e-4
_TENTHS = 256  # tenths of a second whose energies are added up at a time


@dataclass(frozen=True, eq=False)
class Mastered:
    """A mastered sound and what was reached.

    ``signal`` is read as any other; ``loudness`` was measured on it (``-inf`` for silence). ``gain_db`` is the gain
    before the limiter; ``limited_db`` is the most that the limiter took away, 0 where it had nothing to do.
    """

    signal: Signal
    loudness: Loudness
    gain_db: float
    limited_db: float

    @property
    def integrated_lufs(self) -> float:
        return self.loudness.integrated_lufs

    @property
    def true_peak_dbtp(self) -> float:
        return self.loudness.true_peak_dbtp


def check_master(target_lufs: float | None, ceiling_dbtp: float) -> None:
    """Raise :class:`BadRequest` for a loudness or a ceiling that :func:`master` does not take."""
    if target_lufs is not None and not LOWEST_TARGET_LUFS <= target_lufs <= HIGHEST_TARGET_LUFS:
        raise BadRequest(
            f"loudness target {target_lufs} LUFS is outside {LOWEST_TARGET_LUFS:g}..{HIGHEST_TARGET_LUFS:g}; "
            f"streaming services play at about {TARGET_LUFS:g}"
        )
    if not LOWEST_CEILING_DBTP <= ceiling_dbtp <= HIGHEST_CEILING_DBTP:
        raise BadRequest(
            f"ceiling {ceiling_dbtp} dBTP is outside {LOWEST_CEILING_DBTP:g}..{HIGHEST_CEILING_DBTP:g}; "
            f"{CEILING_DBTP:g} is usual"
        )


def master(signal: Signal, *, target_lufs: float | None = TARGET_LUFS, ceiling_dbtp: float = CEILING_DBTP) -> Mastered:
    """Bring ``signal`` (1 to 5 channels) to a loudness under a ceiling. Silence stays silence.

    ``target_lufs`` is the integrated loudness to reach within 0.1 LU, -70..-5, or ``None`` to leave the level as it
    is; ``ceiling_dbtp``, -20..0, is the true peak that is never passed. Where the target would need more than 12 dB of
    limiting the ceiling is kept and the sound stays quieter: :class:`Mastered` says what was reached.
    Raises :class:`BadRequest` for values outside these and for more than five channels.
    """
    check_master(target_lufs, ceiling_dbtp)
    heard = _Heard(signal, target_lufs, ceiling_dbtp)
    if heard.peak_dbtp == -math.inf:
        return Mastered(signal, heard.loudness, 0.0, 0.0)
    gain_db, highest_db = 0.0, ceiling_dbtp - heard.peak_dbtp + LARGEST_LIMITING_DB
    if target_lufs is not None and heard.loudness.integrated_lufs > -math.inf:
        gain_db = min(heard.gain_to(target_lufs), highest_db)
    else:
        target_lufs = None
    if heard.peak_dbtp + gain_db <= ceiling_dbtp:
        result = signal if gain_db == 0 else Limited(signal, gain_db)
        return Mastered(result, heard.reading(gain_db), gain_db, 0.0)
    return _limited(heard, gain_db, highest_db, target_lufs, ceiling_dbtp)


class _Heard:
    """What one reading of a sound tells: its loudness, and the peak and the energy of each of its hops."""

    def __init__(self, signal: Signal, target_lufs: float | None, ceiling_dbtp: float) -> None:
        self.signal = signal
        hop = hop_frames(signal.rate)
        # No gain is higher than the one that lifts the highest peak by what the limiter may take over the ceiling:
        # peaks that then are under it need not be known exactly. Without a target there is no gain.
        if target_lufs is None:
            peaks = TruePeaks(signal.channels, hop, floor=10 ** ((ceiling_dbtp - 0.1) / 20), within_db=0.0)
        else:
            peaks = TruePeaks(signal.channels, hop, within_db=LARGEST_LIMITING_DB + 0.1)
        energies = Energies(signal.channels, hop)
        self._meter = Meter(signal.rate, signal.channels, true_peak=False)
        all_levels, all_energies = [], []
        for block in signal.blocks():
            weighted = self._meter.feed(block)
            all_levels.append(peaks.feed(block))
            all_energies.append(energies.feed(weighted).astype(np.float32))
        # a sound under 400 ms is measured with silence after it: half the energy of a click is in what the filter rings
        silence = np.zeros((signal.channels, max(round(0.4 * signal.rate) - signal.frames, 0) + hop), dtype=np.float32)
        if silence.shape[1] > hop:
            all_energies.append(energies.feed(self._meter.feed(silence)).astype(np.float32))
        all_levels.append(peaks.rest())
        self.levels = _joined(all_levels)
        self._energies = _joined(all_energies)
        # The blocks of `lufs` are of whole hops, and may end up to a hop early or late: see `offset_lu`.
        tenths = max(int(len(self._energies) * hop / signal.rate * 10), 4)
        self._edges = np.rint(np.arange(tenths + 1) * signal.rate / hop / 10).astype(np.int64)
        short = self._edges[-1] - len(self._energies)
        if short > 0:
            self._energies = np.pad(self._energies, (0, short))
        self.peak_dbtp = decibels(float(self.levels.max(initial=0.0)))
        self.loudness = self.reading(0.0)
        forecast = self.lufs(0.0, None)
        self.offset_lu = self.loudness.integrated_lufs - forecast if forecast > -math.inf else 0.0

    def reading(self, gain_db: float) -> Loudness:
        """The loudness with ``gain_db`` and without a limiter."""
        return replace(self._meter.reading(gain_db), true_peak_dbtp=self.peak_dbtp + gain_db)

    def gain_to(self, target_lufs: float) -> float:
        """The gain to ``target_lufs`` without a limiter: more than the difference where it lifts parts over a gate."""
        gain_db = target_lufs - self.loudness.integrated_lufs
        for _ in range(_MOST_TRIALS):
            missing = target_lufs - self.reading(gain_db).integrated_lufs
            if abs(missing) < LOUDNESS_TOLERANCE_LU / 10:
                break
            gain_db += missing
        return gain_db

    def lufs(self, gain_db: float, factors: np.ndarray | None) -> float:
        """The integrated loudness with ``gain_db`` and the limiter's ``factors``, but for ``offset_lu``."""
        sums = np.zeros(len(self._edges) - 1)
        for first in range(0, len(sums), _TENTHS):  # a piece at a time, which stays in the cache
            edges = self._edges[first : first + _TENTHS + 1]
            energies = self._energies[edges[0] : edges[-1]]
            if factors is not None:
                moving = factors[edges[0] : edges[-1]]
                behind = len(energies) - len(moving)  # what rings on after a short sound
                energies = energies * np.square(np.pad(moving, (0, behind), mode="edge") if behind else moving)
            sums[first : first + _TENTHS] = np.add.reduceat(energies, edges[:-1] - edges[0], dtype=np.float64)
        blocks = np.lib.stride_tricks.sliding_window_view(sums, 4).sum(axis=1)
        return gated_lufs(blocks * 10 ** (gain_db / 10) / (0.4 * self.signal.rate))


def _joined(pieces: list[np.ndarray]) -> np.ndarray:
    """``pieces`` as one array; they are given up one by one, for there is no need of both."""
    joined = np.empty(sum(map(len, pieces)), dtype=np.float32)
    place = len(joined)
    while pieces:
        piece = pieces.pop()
        place -= len(piece)
        joined[place : place + len(piece)] = piece
    return joined


def _limited(
    heard: _Heard, gain_db: float, highest_db: float, target_lufs: float | None, ceiling_dbtp: float
) -> Mastered:
    """Find gain and curve, measure what they reach, and correct both by what was missed."""
    signal, offset_lu, aim_dbtp = heard.signal, heard.offset_lu, ceiling_dbtp
    for reading in range(MOST_READINGS):
        factors = None
        if target_lufs is None:
            factors = gain_curve(heard.levels, signal.rate, gain_db, aim_dbtp)
        else:
            gain_db, factors = _search(heard, target_lufs - offset_lu, gain_db, highest_db, aim_dbtp)
        result = Limited(signal, gain_db, factors)
        meter = Meter(signal.rate, signal.channels)
        for block in result.blocks():
            meter.feed(block)
        reached = meter.reading()
        over_db = max(reached.true_peak_dbtp - ceiling_dbtp, 0.0)
        if over_db:  # what the interpolator sees of the moving gain, beyond the limiter's margin
            over_db += _TRACE_DB
            reached = meter.reading(-over_db)
        capped = gain_db >= highest_db - _TRACE_DB
        missed_lu = 0.0 if target_lufs is None or capped else target_lufs - reached.integrated_lufs
        if abs(missed_lu) <= LOUDNESS_TOLERANCE_LU or reading == MOST_READINGS - 1:
            break
        offset_lu -= missed_lu + over_db
        aim_dbtp -= over_db
    if over_db:
        result = Limited(signal, gain_db - over_db, factors)
    return Mastered(result, reached, gain_db, result.limited_db + over_db)


def _search(
    heard: _Heard, wanted_lufs: float, gain_db: float, highest_db: float, aim_dbtp: float
) -> tuple[float, np.ndarray | None]:
    """The gain that is forecast to reach ``wanted_lufs`` after limiting, ``highest_db`` at most, and its curve."""
    before: tuple[float, float] | None = None
    for _ in range(_MOST_TRIALS):
        factors = gain_curve(heard.levels, heard.signal.rate, gain_db, aim_dbtp)
        reached = heard.lufs(gain_db, factors)
        missing = wanted_lufs - reached
        if abs(missing) <= LOUDNESS_TOLERANCE_LU / 10 or (gain_db >= highest_db and missing > 0):
            break
        # What the limiter takes from the loudness is put back in front of it, along the line through the last two.
        steepness = 1.0
        if before is not None and gain_db != before[0]:
            steepness = min(max((reached - before[1]) / (gain_db - before[0]), 0.25), 1.0)
        before = (gain_db, reached)
        gain_db = min(gain_db + missing / steepness, highest_db)
    return gain_db, factors
