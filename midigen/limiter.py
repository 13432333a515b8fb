"""A look-ahead limiter on true peaks. Knows samples and decibels.

A sound is read twice: once for the true peaks of its hops, from which follows a curve of gains, one value a hop, and
then whenever the limited sound is wanted. In memory is the curve alone: 40 MB for an hour. :class:`LiveLimiter` does
the same to a sound that is only just coming.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from midigen.audio import BLOCK_FRAMES, Signal
from midigen.truepeak import CELL_FRAMES, TruePeaks

ATTACK_SECONDS = 0.005  # how far the limiter looks ahead, and how slowly it lets go of the signal
RELEASE_DB_PER_SECOND = 60.0  # 6 dB come back in a tenth of a second
MARGIN_DB = 0.05  # a gain that moves lifts peaks between samples by a trace; other meters interpolate otherwise
_CHUNK = 8_192  # hops of the curve that are worked out at a time
_LIVE_HOPS = 16  # that are worked on together while a sound comes: one by one they would take five times as long
_PIECE = 4_096  # frames multiplied at a time: where the gain is 1 throughout, there is no curve to spread out


def hop_frames(rate: int) -> int:
    """The frames of a hop, for which one gain is worked out: a third of a millisecond, 16 at 44,100 and 48,000."""
    return CELL_FRAMES * int(2 ** max(round(math.log2(rate / 48_000)), 0))


class Limited:
    """``signal`` times ``gain_db`` and times a gain that moves: a signal too, multiplied as it is read.

    ``factors`` are the moving gain at the middle of each hop of :func:`hop_frames`, float32, 1 or less; between them
    it runs straight. ``None`` stands for 1 throughout. All channels get the same gain, so the picture does not move.
    """

    def __init__(self, signal: Signal, gain_db: float, factors: np.ndarray | None = None) -> None:
        self._signal = signal
        self._gain = np.float32(10 ** (gain_db / 20))
        self._factors = factors
        self.gain_db = gain_db
        self.limited_db = 0.0 if factors is None else abs(20 * math.log10(float(factors.min(initial=1.0))))

    @property
    def rate(self) -> int:
        return self._signal.rate

    @property
    def channels(self) -> int:
        return self._signal.channels

    @property
    def frames(self) -> int:
        return self._signal.frames

    def blocks(self, size: int = BLOCK_FRAMES) -> Iterator[np.ndarray]:
        """See :class:`midigen.audio.Signal`."""
        place = 0
        for block in self._signal.blocks(size):
            gained = np.multiply(block, self._gain, dtype=np.float32)
            if self._factors is not None:
                for start in range(0, block.shape[1], _PIECE):
                    moving = self._moving(place + start, min(_PIECE, block.shape[1] - start))
                    if moving is not None:
                        gained[:, start : start + _PIECE] *= moving
            place += block.shape[1]
            yield gained

    def _moving(self, start: int, frames: int) -> np.ndarray | None:
        """The moving gain of ``frames`` from ``start`` on; ``None`` where it is 1."""
        assert self._factors is not None
        hop = hop_frames(self.rate)
        # ramp n runs from the middle of hop n to that of the next; the first and the last stand still
        first, last = (start + hop // 2) // hop - 1, (start + frames - 1 + hop // 2) // hop - 1
        ends = self._factors[max(first, 0) : last + 2]
        if ends.min(initial=1.0) == 1:
            return None
        ends = np.pad(ends, (int(first < 0), last + 2 - max(first, 0) - len(ends)), mode="edge")
        steps = ((np.arange(hop) + 0.5) / hop).astype(np.float32)
        ramps = ends[:-1, None] + np.diff(ends)[:, None] * steps
        offset = start - (first * hop + hop // 2)
        return np.minimum(ramps.reshape(-1)[offset : offset + frames], np.float32(1))


def limit(signal: Signal, gain_db: float, ceiling_dbtp: float) -> Limited:
    """``signal`` times ``gain_db`` with its true peaks brought under ``ceiling_dbtp``. Reads ``signal`` once."""
    # what stays under the ceiling even so need not be known exactly
    floor = 10 ** ((ceiling_dbtp - MARGIN_DB - gain_db) / 20)
    peaks = TruePeaks(signal.channels, hop_frames(signal.rate), floor)
    levels = [peaks.feed(block) for block in signal.blocks()]
    factors = gain_curve(np.concatenate([*levels, peaks.rest()]), signal.rate, gain_db, ceiling_dbtp)
    return Limited(signal, gain_db, factors)


def gain_curve(levels: np.ndarray, rate: int, gain_db: float, ceiling_dbtp: float) -> np.ndarray | None:
    """The gain at the middle of each hop that brings ``levels`` times ``gain_db`` under ``ceiling_dbtp``.

    ``levels`` are float32 ``(hops,)``, as :class:`midigen.truepeak.TruePeaks` gives them for hops of
    :func:`hop_frames`; so is the result, 1 or less, or ``None`` where no level passes the ceiling.

    The gain that each hop needs is held back in time by the release (a straight line in dB), taken as the minimum
    over the look-ahead, and smoothed over that length: the smooth curve is at or under what every hop needs. What
    lies between two samples while the gain moves may still pass it by a trace, for which there is a margin.
    """
    if levels.max(initial=0.0) <= 10 ** ((ceiling_dbtp - gain_db) / 20):
        return None
    from scipy.ndimage import minimum_filter1d, uniform_filter1d

    hop_rate = rate / hop_frames(rate)
    half = max(round(ATTACK_SECONDS * hop_rate / 2), 1)
    reach = 4 * half + 1  # hops before and after that have a say: of the minimum, and of two running means
    bound_db = ceiling_dbtp - MARGIN_DB - gain_db
    slopes = RELEASE_DB_PER_SECOND / hop_rate * np.arange(_CHUNK + 2 * reach + 1)
    factors = np.ones(len(levels), dtype=np.float32)
    before_db = 0.0  # the held gain before the first hop of the window
    for start in range(0, len(levels), _CHUNK):
        # a window that reaches beyond the chunk at both ends; there is no need before the sound and after it
        low, high = start - reach, start + _CHUNK + reach
        needed_db = np.zeros(high - low)
        inside = levels[max(low, 0) : high]
        loud = np.flatnonzero(inside > 10 ** (bound_db / 20))
        if not len(loud) and before_db == 0:
            continue
        # float64: the release subtracts a slope that grows with the length of the window
        needed_db[loud + max(-low, 0)] = np.minimum(bound_db - 20 * np.log10(inside[loud].astype(np.float64)), 0.0)
        # the gain falls at once and rises along a straight line: min(needed[n], before + slope), without a loop
        lines = np.minimum.accumulate(np.concatenate([[before_db], needed_db]) - slopes) + slopes
        held_db = np.minimum(lines, 0.0)[1:]
        before_db = float(held_db[_CHUNK - 1])
        least = minimum_filter1d(held_db, 2 * (2 * half + 1) + 1, mode="nearest")
        smooth = uniform_filter1d(uniform_filter1d(least, 2 * half + 1, mode="nearest"), 2 * half + 1, mode="nearest")
        curve_db = np.minimum(smooth[reach : reach + _CHUNK], 0.0)[: len(levels) - start]
        factors[start : start + _CHUNK] = 10 ** (curve_db / 20)
    return factors


class LiveLimiter:
    """Limits a sound in stereo as it comes; the gains are those of :func:`gain_curve`, worked out hop by hop.

    What goes in comes out ``latency_frames`` later: the look-ahead, and the time until true peaks are known.
    """

    tail_frames = 0

    def __init__(self, rate: int, ceiling_dbtp: float) -> None:
        self._hop = hop = hop_frames(rate)
        hop_rate = rate / hop
        self._half = max(round(ATTACK_SECONDS * hop_rate / 2), 1)
        self._reach = 4 * self._half + 1
        self._bound_db = ceiling_dbtp - MARGIN_DB
        self._slope_db = RELEASE_DB_PER_SECOND / hop_rate
        self._peaks = TruePeaks(2, hop, floor=10 ** (self._bound_db / 20), chunk_frames=_LIVE_HOPS * hop)
        self._held_db = np.zeros(2 * self._reach)  # the hops that have a say in the next one: before, and after it
        self._before_db = 0.0
        self._factor = np.float32(1)  # in the middle of the hop before the next one that comes out
        self._steps = ((np.arange(hop) + 0.5) / hop).astype(np.float32)
        # The gain runs from the middle of one hop to that of the next, so the one after must be known; its levels are
        # when the hops that are worked on together have come, and a cell more.
        self.latency_frames = (self._reach + 1 + _LIVE_HOPS) * hop + CELL_FRAMES
        self._sound = np.zeros((2, self.latency_frames), dtype=np.float32)
        # up to the middle of the hop from which the first ramp runs, reach + 1 hops before the first level
        self._gains = np.ones(self.latency_frames - (self._reach + 1) * hop + hop // 2, dtype=np.float32)
        self.limited_db = 0.0

    def set_ceiling(self, ceiling_dbtp: float) -> None:
        """Keep another ceiling from here on."""
        self._bound_db = ceiling_dbtp - MARGIN_DB
        self._peaks.floor = 10 ** (self._bound_db / 20)

    def process(self, block: np.ndarray) -> np.ndarray:
        """Float32 ``(2, n)`` to float32 ``(2, n)``."""
        frames = block.shape[1]
        self._sound = np.concatenate([self._sound, block], axis=1)
        levels = self._peaks.feed(block)
        if len(levels):
            self._gains = np.concatenate([self._gains, self._ramps(levels)])
        out = self._sound[:, :frames]
        gains = self._gains[:frames]
        self._sound, self._gains = self._sound[:, frames:], self._gains[frames:]
        least = float(gains.min(initial=1.0))
        if least == 1:
            return out
        self.limited_db = max(self.limited_db, -20 * math.log10(least))
        return out * gains

    def _ramps(self, levels: np.ndarray) -> np.ndarray:
        """The gains of as many hops of sound as there are new ``levels``."""
        needed_db = np.zeros(len(levels))
        loud = np.flatnonzero(levels > 10 ** (self._bound_db / 20))
        needed_db[loud] = np.minimum(self._bound_db - 20 * np.log10(levels[loud].astype(np.float64)), 0.0)
        if not len(loud) and not self._before_db and not self._held_db.any() and self._factor == 1:
            return np.ones(len(levels) * self._hop, dtype=np.float32)
        slopes = self._slope_db * np.arange(len(levels) + 1)
        lines = np.minimum.accumulate(np.concatenate([[self._before_db], needed_db]) - slopes) + slopes
        held_db = np.concatenate([self._held_db, np.minimum(lines, 0.0)[1:]])
        self._before_db, self._held_db = float(held_db[-1]), held_db[len(levels) :]
        windows = np.lib.stride_tricks.sliding_window_view
        least = windows(held_db, 2 * (2 * self._half + 1) + 1).min(axis=1)
        smooth = windows(windows(least, 2 * self._half + 1).mean(axis=1), 2 * self._half + 1).mean(axis=1)
        ends = np.concatenate([[self._factor], 10 ** (np.minimum(smooth, 0.0) / 20)]).astype(np.float32)
        self._factor = ends[-1]
        return (ends[:-1, None] + np.diff(ends)[:, None] * self._steps).reshape(-1)
