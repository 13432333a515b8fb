"""Compression and ducking: a gain that follows how loud a sound, or another one, is.

The design is that of D. Giannoulis, M. Massberg and J. D. Reiss, "Digital dynamic range compressor design: a tutorial
and analysis", J. Audio Eng. Soc. 60 (2012): feed-forward, a static curve with a soft knee on the level in decibels, and
the reduction it asks for smoothed by a branching one-pole (their equation 16): towards more with the attack, towards
less with the release, both being the times in which 63 % (1 - 1/e) of the way in dB are gone.

The level is the peak of the louder side in steps of about 0.7 ms, so both sides always get one gain and the picture
stands still. A peak is held for 16.7 ms: half a period of 30 Hz, so that the gain does not follow the wave of a low
note, which would distort it. Between steps the gain runs straight. It looks back only, so there is no latency; the
gain is one to two steps late.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from midigen.effects import check_number
from midigen.effects.stereo import factor

_STEPS_A_SECOND = 1_378.0  # 32 frames at 44,100; other rates take the nearest power of two
_HOLD_SECONDS = 1 / 60
_FLOOR = 1e-10  # -200 dB, instead of the logarithm of nothing
_NO_REDUCTION_DB = 1e-8  # under that a gain is 1 in float32


@dataclass(frozen=True)
class Compressor:
    """Makes what is loud less loud.

    ``threshold_db`` -80 to 0 dBFS, of peaks; above it ``ratio`` dB more (1 to 100) come out as one dB more. Within
    ``knee_db`` (0 to 40) around the threshold the curve bends. ``attack_ms`` 0.1 to 500, ``release_ms`` 1 to 5,000,
    ``makeup_db`` -24 to 24 is the gain for everything. A ratio of 1 does nothing else.
    """

    threshold_db: float = -18.0
    ratio: float = 3.0
    attack_ms: float = 10.0
    release_ms: float = 120.0
    knee_db: float = 6.0
    makeup_db: float = 0.0

    def __post_init__(self) -> None:
        check_number(self.threshold_db, -80, 0, "compressor threshold", "dB", "-18 is usual")
        check_number(self.ratio, 1, 100, "compressor ratio", "", "1 is off, 2 to 4 is usual")
        _check_times(self.attack_ms, self.release_ms, "compressor")
        check_number(self.knee_db, 0, 40, "compressor knee", "dB", "0 is hard, 6 is usual")
        check_number(self.makeup_db, -24, 24, "compressor make-up gain", "dB", "0 leaves it as it is")

    def reduction_db(self, level_db: np.ndarray) -> np.ndarray:
        """How much is taken from a steady sound whose peaks are at ``level_db`` (dBFS), 0 or more, in dB."""
        over_db = np.asarray(level_db, dtype=np.float64) - self.threshold_db
        bent = np.maximum(over_db, 0.0)
        if self.knee_db:
            inside = 2 * np.abs(over_db) < self.knee_db
            into = np.clip(over_db, -self.knee_db / 2, self.knee_db / 2) + self.knee_db / 2  # outside it would overflow
            bent = np.where(inside, into**2 / (2 * self.knee_db), bent)
        return bent * (1 - 1 / self.ratio)

    def output_db(self, level_db: np.ndarray) -> np.ndarray:
        """The static curve: the level at which a steady sound of ``level_db`` comes out, make-up gain included."""
        return np.asarray(level_db) - self.reduction_db(level_db) + self.makeup_db

    def processor(self, rate: int) -> GainRider:
        """A processor for ``rate`` frames a second."""
        curve = self.reduction_db if self.ratio > 1 else None
        return GainRider(rate, curve, self.attack_ms, self.release_ms, self.makeup_db)


@dataclass(frozen=True)
class Ducking:
    """Lowers one part while another, the key, sounds.

    What the key's peaks have over ``threshold_db`` (-80 to 0 dBFS) is taken away, decibel for decibel, up to
    ``depth_db`` (0 to 48) and never more. ``attack_ms`` 0.1 to 500, ``release_ms`` 1 to 5,000.
    """

    depth_db: float = 4.0
    threshold_db: float = -40.0
    attack_ms: float = 20.0
    release_ms: float = 250.0

    def __post_init__(self) -> None:
        check_number(self.depth_db, 0, 48, "ducking depth", "dB", "3 to 6 is usual, 0 is off")
        check_number(self.threshold_db, -80, 0, "ducking threshold", "dB", "-40 is usual")
        _check_times(self.attack_ms, self.release_ms, "ducking")

    def reduction_db(self, level_db: np.ndarray) -> np.ndarray:
        """How much is taken while the key's peaks stay at ``level_db`` (dBFS), 0 to ``depth_db``."""
        return np.clip(np.asarray(level_db, dtype=np.float64) - self.threshold_db, 0.0, self.depth_db)

    def processor(self, rate: int) -> GainRider:
        """A ducker for ``rate`` frames a second: feed it ``process(block, key)``."""
        return GainRider(rate, self.reduction_db if self.depth_db else None, self.attack_ms, self.release_ms)


def _check_times(attack_ms: float, release_ms: float, what: str) -> None:
    check_number(attack_ms, 0.1, 500, f"{what} attack", "ms", "10 is usual")
    check_number(release_ms, 1, 5_000, f"{what} release", "ms", "100 to 300 is usual")


class GainRider:
    """A hand on the fader: takes from a sound what ``curve`` asks for at the level of the key, in its own time.

    ``curve`` gets levels in dBFS and gives reductions in dB, 0 or more; ``None`` never takes anything.
    """

    latency_frames = 0
    tail_frames = 0

    def __init__(
        self,
        rate: int,
        curve: Callable[[np.ndarray], np.ndarray] | None,
        attack_ms: float,
        release_ms: float,
        makeup_db: float = 0.0,
    ) -> None:
        self._curve = curve
        self._makeup = factor(makeup_db)
        self._hop = hop = 2 ** max(round(math.log2(rate / _STEPS_A_SECOND)), 0)
        self._rise = -math.expm1(-hop / (rate * attack_ms / 1_000))
        self._fall = -math.expm1(-hop / (rate * release_ms / 1_000))
        self._ramp = np.arange(hop, dtype=np.float32) / np.float32(hop)
        self._place = 0  # in the present step
        self._peak = 0.0  # of the present step, as far as it has gone
        self._held = np.zeros(math.ceil(_HOLD_SECONDS * rate / hop) - 1)  # the peaks of the steps before
        self._reduction_db = 0.0
        self._points = (self._makeup, self._makeup)  # the gain where the present step begins and where it ends

    def process(self, block: np.ndarray, key: np.ndarray | None = None) -> np.ndarray:
        """Float32 ``(2, n)`` to float32 ``(2, n)``. ``key`` ``(channels, n)`` is what is listened to, else ``block``.

        Raises :class:`ValueError` for a key of another length: the two run side by side.
        """
        frames = block.shape[1]
        if key is not None and key.shape[1] != frames:
            raise ValueError(f"a key of {key.shape[1]} frames for a block of {frames}")
        if self._curve is None:
            return block if self._makeup == 1.0 else block * np.float32(self._makeup)
        if not frames:
            return block
        end = self._place + frames
        steps, touched = end // self._hop, -(-end // self._hop)
        peaks = self._peaks(block if key is None else key, touched)
        points = np.concatenate([self._points, self._gains(peaks[:steps])])
        ends = points[: touched + 1, np.newaxis].astype(np.float32)
        gain = (ends[1:] - ends[:-1]) * self._ramp
        gain += ends[:-1]
        now = slice(self._place, end)
        self._points = (float(points[steps]), float(points[steps + 1]))
        self._peak = float(peaks[steps]) if touched > steps else 0.0
        self._place = end % self._hop
        if (points[: touched + 1] == 1.0).all():
            return block
        return block * gain.ravel()[now]

    def _peaks(self, key: np.ndarray, touched: int) -> np.ndarray:
        """The peak of each step that ``key`` touches: float32 ``(touched,)``."""
        whole = np.zeros(touched * self._hop, dtype=np.float32)
        part = whole[self._place : self._place + key.shape[1]]
        np.abs(key[0], out=part)
        for side in key[1:]:
            np.maximum(part, np.abs(side), out=part)
        # turned first, so that the maximum is taken over long rows: three times as fast
        peaks: np.ndarray = np.ascontiguousarray(whole.reshape(touched, self._hop).T).max(axis=0)
        peaks[0] = max(float(peaks[0]), self._peak)
        return peaks

    def _gains(self, peaks: np.ndarray) -> np.ndarray:
        """The factor to be reached after each of the steps with these ``peaks``: float64, as many."""
        if self._curve is None or not len(peaks):
            return np.zeros(0)
        known = np.concatenate([self._held, peaks])
        self._held = known[len(peaks) :]
        held = _sliding_maximum(known, len(known) - len(peaks) + 1)
        asked = self._curve(20 * np.log10(np.maximum(held, _FLOOR)))
        taken = self._reduction_db
        if not taken and not asked.any():
            return np.full(len(peaks), self._makeup)
        # A loop, since each step depends on whether the one before has passed what is asked; some 1,400 a second.
        path = []
        for wanted in asked.tolist():
            if wanted > taken:
                taken += self._rise * (wanted - taken)
            else:
                taken += self._fall * (wanted - taken)
                if taken < _NO_REDUCTION_DB:
                    taken = 0.0
            path.append(taken)
        self._reduction_db = taken
        gains: np.ndarray = self._makeup * np.exp(np.array(path) * (-math.log(10) / 20))
        return gains


def _sliding_maximum(values: np.ndarray, length: int) -> np.ndarray:
    """The largest of every ``length`` neighbours: of twice as many with each step, for which few steps are enough."""
    reached = 1
    while 2 * reached <= length:
        values, reached = np.maximum(values[:-reached], values[reached:]), 2 * reached
    more = length - reached
    return np.maximum(values[: len(values) - more], values[more:]) if more else values
