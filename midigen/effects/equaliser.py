"""An equaliser: a high-pass and three bands, of second-order sections.

The bands are those of the Audio EQ Cookbook (R. Bristow-Johnson, https://www.w3.org/TR/audio-eq-cookbook/): shelves of
slope 1, the steepest that do not overshoot, and a bell of quality Q. The high-pass is a Butterworth filter.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from midigen.effects import QUIET, TAIL_DB, check_number
from midigen.errors import BadRequest
from midigen.filtering import butterworth, filtered

LARGEST_DB = 24.0
SLOPES_DB = (12, 24)
_HIGHEST_SHARE = 0.49  # of the rate: above it, as good as nothing is left that a band could turn up or down
_GRID_FRAMES = 16_384  # states are looked at after every so many frames, wherever the blocks end; each costs a call


@dataclass(frozen=True)
class Equaliser:
    """What is taken away and lifted. Bands at 0 dB and a high-pass at 0 Hz are off.

    ``high_pass_hz`` 0 or 10 to 2,000, where it is 3 dB down; ``high_pass_slope_db`` 12 or 24 dB an octave. Gains
    ``low_db``, ``mid_db``, ``high_db`` -24 to 24. ``low_hz`` 20 to 2,000 and ``high_hz`` 500 to 20,000 are where a
    shelf has half of its decibels; ``mid_hz`` 20 to 20,000 is the middle of the bell, and ``mid_q`` 0.1 (wide) to 10
    (narrow) its quality.

    A band at or over 0.49 of the rate is left out: there is nothing there.
    """

    high_pass_hz: float = 0.0
    high_pass_slope_db: int = 12
    low_db: float = 0.0
    low_hz: float = 120.0
    mid_db: float = 0.0
    mid_hz: float = 1_000.0
    mid_q: float = 0.7
    high_db: float = 0.0
    high_hz: float = 6_000.0

    def __post_init__(self) -> None:
        check_number(self.high_pass_hz, 10, 2_000, "high-pass", "Hz", "30 to 120 clears rumble", or_zero=True)
        if self.high_pass_slope_db not in SLOPES_DB:
            raise BadRequest(f"high-pass slope {self.high_pass_slope_db!r}: choose 12 or 24 dB an octave")
        for band, gain_db, hz, low_hz, high_hz in (
            ("low shelf", self.low_db, self.low_hz, 20, 2_000),
            ("mid band", self.mid_db, self.mid_hz, 20, 20_000),
            ("high shelf", self.high_db, self.high_hz, 500, 20_000),
        ):
            check_number(gain_db, -LARGEST_DB, LARGEST_DB, f"{band} gain", "dB", "0 leaves it as it is")
            check_number(hz, low_hz, high_hz, f"{band} frequency", "Hz", "its gain switches it off, with 0")
        check_number(self.mid_q, 0.1, 10, "mid band Q", "", "0.7 is wide, 4 is narrow")

    def sections(self, rate: int) -> np.ndarray:
        """The second-order sections at ``rate``: float64 ``(sections, 6)`` as scipy has them, none where all is off."""
        rows: list[np.ndarray] = []
        if self.high_pass_hz:
            rows.append(pass_sections(self.high_pass_hz, rate, "highpass", self.high_pass_slope_db // 6))
        bands = (
            ("low", self.low_db, self.low_hz, math.sqrt(0.5)),
            ("mid", self.mid_db, self.mid_hz, self.mid_q),
            ("high", self.high_db, self.high_hz, math.sqrt(0.5)),  # of a shelf, that Q is the slope 1
        )
        for band, gain_db, hz, quality in bands:
            if gain_db and hz < _HIGHEST_SHARE * rate:
                rows.append(_band_section(band, gain_db, hz, quality, rate))
        return np.concatenate(rows) if rows else np.zeros((0, 6))

    def response_db(self, hz: np.ndarray, rate: int) -> np.ndarray:
        """The gain in dB at the frequencies ``hz`` (above 0, under half the ``rate``)."""
        backwards = np.exp(-2j * np.pi * np.asarray(hz, dtype=np.float64) / rate)  # one frame earlier
        gain = np.ones(np.shape(hz), dtype=np.complex128)
        for b0, b1, b2, a0, a1, a2 in self.sections(rate):
            gain *= (b0 + (b1 + b2 * backwards) * backwards) / (a0 + (a1 + a2 * backwards) * backwards)
        return 20 * np.log10(np.abs(gain))

    def processor(self, rate: int) -> FilterBank:
        """A processor for ``rate`` frames a second."""
        return FilterBank(self.sections(rate))


class FilterBank:
    """Filters a sound in stereo by second-order ``sections``; without any it passes everything on untouched."""

    latency_frames = 0

    def __init__(self, sections: np.ndarray) -> None:
        self._filter = SectionFilter(sections) if len(sections) else None
        self.tail_frames = ring_frames(sections)

    def process(self, block: np.ndarray) -> np.ndarray:
        """Float32 ``(2, n)`` to float32 ``(2, n)``."""
        if self._filter is None:
            return block
        return self._filter.filter(block, np.float32)


class SectionFilter:
    """Second-order sections with a memory, for two sides: what comes out does not depend on the blocks."""

    def __init__(self, sections: np.ndarray) -> None:
        self._sections = np.ascontiguousarray(sections, dtype=np.float64)
        self._state = np.zeros((len(sections), 2, 2))
        self._rings = False
        self._place = 0

    def filter(self, samples: np.ndarray, kind: type[np.floating] = np.float64) -> np.ndarray:
        """Float ``(2, n)`` to ``(2, n)`` of ``kind``, where what is under ``QUIET`` is 0 (and never -0)."""
        heard_all = np.zeros(samples.shape, dtype=kind)
        start, frames = 0, samples.shape[1]
        while start < frames:
            stop = min(start + _GRID_FRAMES - self._place, frames)
            piece = samples[:, start:stop]
            if self._rings or piece.any():
                heard, self._state = filtered(self._sections, piece, self._state)
                heard[np.abs(heard) < QUIET] = 0.0
                heard_all[:, start:stop] = heard
                self._rings = True
            self._place += stop - start
            start = stop
            if self._place == _GRID_FRAMES:
                self._place = 0
                if self._rings and np.abs(self._state).max() < QUIET:
                    self._state = np.zeros_like(self._state)
                    self._rings = False
        return heard_all


def pass_sections(hz: float, rate: int, kind: str, order: int) -> np.ndarray:
    """The sections of a Butterworth filter of ``order``, 3 dB down at ``hz``; ``kind`` is "highpass" or "lowpass"."""
    return butterworth(hz, rate, kind, order)


def ring_frames(sections: np.ndarray) -> int:
    """How long the slowest pole of ``sections`` takes to fall by ``-TAIL_DB``, in frames."""
    slowest = max((float(np.abs(np.roots(section[3:])).max()) for section in sections), default=0.0)
    return math.ceil(TAIL_DB / (20 * math.log10(slowest))) if slowest > 0 else 0


def _band_section(band: str, gain_db: float, hz: float, quality: float, rate: int) -> np.ndarray:
    """One section of the cookbook, scaled so that a0 is 1: ``(1, 6)``."""
    amplitude = 10 ** (gain_db / 40)
    angle = 2 * math.pi * hz / rate
    cosine, alpha = math.cos(angle), math.sin(angle) / (2 * quality)
    if band == "mid":
        b = [1 + alpha * amplitude, -2 * cosine, 1 - alpha * amplitude]
        a = [1 + alpha / amplitude, -2 * cosine, 1 - alpha / amplitude]
    else:
        # A high shelf is a low shelf in the mirror: the cosine changes its sign, and so do the middle terms.
        mirror = 1 if band == "low" else -1
        more, less, root = amplitude + 1, amplitude - 1, 2 * math.sqrt(amplitude) * alpha
        cosine *= mirror
        b = [
            amplitude * (more - less * cosine + root),
            mirror * 2 * amplitude * (less - more * cosine),
            amplitude * (more - less * cosine - root),
        ]
        a = [more + less * cosine + root, mirror * -2 * (less + more * cosine), more + less * cosine - root]
    return np.array([[*b, *a]]) / a[0]
