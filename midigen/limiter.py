"""A look-ahead peak limiter on true peaks. Knows samples and decibels."""

from __future__ import annotations

import numpy as np

HOP = 16  # frames; the gain is worked out once a hop and runs straight between hops
ATTACK_SECONDS = 0.005  # how far the limiter looks ahead, and how slowly it lets go of the signal
RELEASE_DB_PER_SECOND = 60.0  # 6 dB come back in a tenth of a second
MARGIN_DB = 0.05  # a gain that moves lifts peaks between samples by a trace; other meters interpolate otherwise


def limit(
    samples: np.ndarray, envelope: np.ndarray, rate: int, gain_db: float, ceiling_dbtp: float
) -> tuple[np.ndarray, float]:
    """``samples`` (float32 ``(channels, frames)``) times ``gain_db``, with true peaks brought under ``ceiling_dbtp``.

    ``envelope`` is :func:`midigen.loudness.true_peak_envelope` of ``samples``. All channels get the same gain, so the
    picture does not move. Returns the samples and the most that was taken away, in dB, 0 where nothing was.

    The gain that each frame needs is held back in time by the release (a straight line in dB), taken as the minimum
    over the look-ahead, and smoothed over that length: the smooth curve is at or under what every frame needs. What
    lies between two samples while the gain moves may still pass it by a trace, for which there is a margin.
    """
    gained = samples * np.float32(10 ** (gain_db / 20))
    frames = samples.shape[1]
    hops = -(-frames // HOP)
    padded = np.zeros(hops * HOP, dtype=np.float32)
    padded[:frames] = envelope
    with np.errstate(divide="ignore"):
        # float64: the release subtracts a slope that grows with the length of the sound
        level_db = 20 * np.log10(padded.reshape(hops, HOP).max(axis=1).astype(np.float64)) + gain_db
    if level_db.max(initial=-np.inf) <= ceiling_dbtp:
        return gained, 0.0
    needed_db = np.minimum(ceiling_dbtp - MARGIN_DB - level_db, 0.0)
    curve_db = _smoothed(_released(needed_db, rate / HOP), rate / HOP)
    factors = 10 ** (curve_db / 20)
    # A frame lies between the middles of two hops, one of them its own: both are at or under what it needs.
    gained *= np.interp(np.arange(frames), (np.arange(hops) + 0.5) * HOP - 0.5, factors).astype(np.float32)
    return gained, -float(curve_db.min())


def _released(needed_db: np.ndarray, hop_rate: float) -> np.ndarray:
    """The gain may fall at once and rises along a straight line: min(needed[n], before + slope), without a loop."""
    slope = RELEASE_DB_PER_SECOND / hop_rate * np.arange(len(needed_db))
    released: np.ndarray = np.minimum(np.minimum.accumulate(needed_db - slope) + slope, 0.0)
    return released


def _smoothed(curve_db: np.ndarray, hop_rate: float) -> np.ndarray:
    """The minimum over the attack, before and after, then two running means that together are one hop shorter."""
    from scipy.ndimage import minimum_filter1d, uniform_filter1d

    half = max(round(ATTACK_SECONDS * hop_rate / 2), 1)
    least = minimum_filter1d(curve_db, 2 * (2 * half + 1) + 1, mode="nearest")
    once = uniform_filter1d(least, 2 * half + 1, mode="nearest")
    smooth: np.ndarray = np.minimum(uniform_filter1d(once, 2 * half + 1, mode="nearest"), 0.0)
    return smooth
