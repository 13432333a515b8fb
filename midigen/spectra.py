"""What frequencies a sound is made of over its whole length, measured block by block. Knows samples, never MIDI.

The sound is cut into frames that overlap by half and is weighted with a sine window, whose square adds up to one from
frame to frame (Princen and Bradley 1986): so what all frequencies have together is the mean square of the sound, to
rounding, be it a tone, a click or noise. Frequencies are summed up in bands of an octave or a third of one, with the
exact middles of IEC 61260-1 (base ten).
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from midigen.audio import Signal
from midigen.errors import BadRequest
from midigen.fourier import rfft

FRAME_SECONDS = 0.17  # at least; it tells thirds of an octave apart down to 25 Hz
BATCH_FRAMES = 16  # always so many at once, whatever the blocks: sums are then the same to the last bit
OCTAVES_HZ = tuple(1000 * 10 ** (0.3 * step) for step in range(-5, 5))  # 31.6 Hz to 15.8 kHz
THIRDS_HZ = tuple(1000 * 10 ** (0.1 * step) for step in range(-16, 14))  # 25 Hz to 20 kHz
INAUDIBLE = 1e-20  # mean square, -200 dB: what rounding leaves of silence


class Frames:
    """Cuts blocks into frames of ``length``, ``hop`` apart, in batches of ``BATCH_FRAMES``.

    The first frame begins ``lead`` frames of silence before the sound. Batches do not depend on the size of the blocks.
    """

    def __init__(self, channels: int, length: int, hop: int, lead: int = 0) -> None:
        self._length, self._hop = length, hop
        self._kept = np.zeros((channels, lead), dtype=np.float32)
        self._frames = 0  # of sound
        self._place = -lead  # where the kept samples begin

    def feed(self, block: np.ndarray) -> Iterator[np.ndarray]:
        """Take a block, ``(channels, n)``; gives the batches that are full now, ``(channels, batch, length)``."""
        self._frames += block.shape[1]
        samples = np.concatenate([self._kept, block], axis=1)
        step = BATCH_FRAMES * self._hop
        needed = step - self._hop + self._length
        start = 0
        while samples.shape[1] - start >= needed:
            yield self._cut(samples[:, start : start + needed])
            start += step
        self._place += start
        self._kept = samples[:, start:].copy()

    def rest(self) -> np.ndarray | None:
        """The frames that are left, with silence after the sound, up to the last that holds some of it.

        Changes nothing: the sound may go on. ``None`` where none is left.
        """
        number = -(-(self._frames - self._place) // self._hop)  # those that begin before the end
        if number <= 0 or not self._frames:
            return None
        needed = (number - 1) * self._hop + self._length
        missing = max(needed - self._kept.shape[1], 0)
        return self._cut(np.pad(self._kept, ((0, 0), (0, missing)))[:, :needed])

    def _cut(self, samples: np.ndarray) -> np.ndarray:
        windows = np.lib.stride_tricks.sliding_window_view(samples, self._length, axis=1)
        frames: np.ndarray = windows[:, :: self._hop]
        return frames


@dataclass(frozen=True, eq=False)
class Spectrum:
    """The long-term average spectrum of a sound of ``rate`` frames a second.

    ``power``, float64 ``(bins,)``, is the mean square of what lies around each of the frequencies 0, ``step_hz``,
    2 ``step_hz``, ... up to half the rate, averaged over the channels; together that is the mean square of the sound,
    full scale at 1.
    """

    power: np.ndarray
    rate: int

    @property
    def step_hz(self) -> float:
        return self.rate / 2 / (len(self.power) - 1)

    @property
    def hz(self) -> np.ndarray:
        """The frequencies of ``power``."""
        return np.arange(len(self.power)) * self.step_hz

    @property
    def mean_square(self) -> float:
        return float(self.power.sum())

    def power_below(self, hz: np.ndarray) -> np.ndarray:
        """The mean square of all that lies below each of ``hz``. The power of a bin lies evenly around its middle."""
        edges = np.concatenate([[0.0], (np.arange(len(self.power)) + 0.5) * self.step_hz])
        below: np.ndarray = np.interp(hz, edges, np.concatenate([[0.0], np.cumsum(self.power)]))
        return below

    def bands_db(self, middles_hz: np.ndarray | tuple[float, ...], octaves: float) -> np.ndarray:
        """The levels of bands that are ``octaves`` wide around ``middles_hz``, in dB of full scale (mean square 1).

        ``-inf`` for what is silent or lies above half the rate.
        """
        middles = np.asarray(middles_hz, dtype=np.float64)
        reach = 10 ** (0.15 * octaves)  # base ten: an octave is a factor of 10^0.3
        power = self.power_below(middles * reach) - self.power_below(middles / reach)
        power[(power < INAUDIBLE) | (middles >= self.rate / 2)] = 0.0
        return power_db(power)

    def octaves_db(self) -> np.ndarray:
        """The levels of the octave bands of ``OCTAVES_HZ``."""
        return self.bands_db(OCTAVES_HZ, 1)

    def thirds_db(self) -> np.ndarray:
        """The levels of the third-octave bands of ``THIRDS_HZ``."""
        return self.bands_db(THIRDS_HZ, 1 / 3)


class SpectrumMeter:
    """Measures the :class:`Spectrum` of a sound of ``channels`` at ``rate`` that it is fed with; bounded in memory."""

    def __init__(self, rate: int, channels: int) -> None:
        if channels < 1:
            raise BadRequest(f"a spectrum of {channels} channels: give 1 or more")
        length = 2 ** math.ceil(math.log2(FRAME_SECONDS * rate))
        self._rate = rate
        self._window = sine_window(length).astype(np.float32)
        self._cutter = Frames(channels, length, length // 2, lead=length // 2)
        self._total = np.zeros(length // 2 + 1)
        self._frames = 0

    def feed(self, block: np.ndarray) -> None:
        """Take a block, float32 ``(channels, n)``."""
        self._frames += block.shape[1]
        for batch in self._cutter.feed(block):
            self._total += self._power(batch)

    def reading(self) -> Spectrum:
        """The spectrum of what came so far; the sound may go on."""
        rest = self._cutter.rest()
        total = self._total if rest is None else self._total + self._power(rest)
        return Spectrum(total / max(self._frames, 1), self._rate)

    def _power(self, frames: np.ndarray) -> np.ndarray:
        """The sums of squares by frequency, ``(bins,)``, averaged over the channels."""
        if not frames.any():
            return np.zeros(len(self._window) // 2 + 1)
        lines = rfft(frames * self._window)
        both = lines.view(np.float32).reshape(-1, 2 * lines.shape[-1])  # real and imaginary parts in turn
        squares = np.einsum("fl,fl->l", both, both).reshape(-1, 2).sum(axis=1, dtype=np.float64)
        power: np.ndarray = squares / len(lines)
        power[1:-1] *= 2  # the negative frequencies
        return power / len(self._window)


def spectrum_of(signal: Signal) -> Spectrum:
    """The long-term average spectrum of ``signal``."""
    meter = SpectrumMeter(signal.rate, signal.channels)
    for block in signal.blocks():
        meter.feed(block)
    return meter.reading()


def sine_window(length: int) -> np.ndarray:
    """A window whose square, moved by half its ``length``, adds up to 1."""
    return np.sin(np.pi * (np.arange(length) + 0.5) / length)


def power_db(power: np.ndarray) -> np.ndarray:
    """Mean squares, full scale at 1, in dB; ``-inf`` for 0."""
    with np.errstate(divide="ignore"):
        level: np.ndarray = 10 * np.log10(power)
    return level
