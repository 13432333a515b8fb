"""Mains hum: its tones at whole multiples of 50 or 60 Hz, found, followed and subtracted.

A notch filter takes all there is at its frequency, music too, and rings. Hum is steadier than anything that is played:
so each tone is demodulated to a slow curve, of which the usual value over some seconds, outliers weighed down, is the
hum, and that is subtracted. The curve is the tone's amplitude and phase (see S. Ando and T. Nara, "An exact direct
method of sinusoidal parameter estimation", 2009, for the idea of weighted integrals); mains frequency wanders, so it is
sought anew in every stretch.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from midigen.audio import BLOCK_FRAMES, Signal
from midigen.cleaning.denoising import with_context
from midigen.cleaning.noise import MAINS_HZ
from midigen.signals import in_blocks

WANDER_HZ = 0.2  # how far the mains may be off
MOST_TONES = 24
HIGHEST_HZ = 2_000.0
CELLS_A_SECOND = 10  # 50 and 60 Hz and all their multiples have whole periods in a tenth of a second
STRETCH_SECONDS = 6.0  # over which a hum is taken to be steady; stretches overlap by half
FEWEST_SECONDS = 2.0
FEWEST_TONES, LOW_TONES = 2, 6  # so many of the first six: no note of a tuned instrument lies there
STANDS_OUT, SURE = 10.0, 100.0  # power of a hum's tone over that of the error of its value
LEAST_SHARE, LEAST_PART = 0.1, 0.2  # of the cells, nine in ten have at least so much of a hum's power
MOST_TIMES = 1.5  # the usual amplitude: what a stretch may have of a tone
ROUNDS = 6  # of weighing outliers down


@dataclass(frozen=True)
class Hum:
    """``mains_hz`` is 50 or 60; ``tones`` are the numbers of the multiples that are there and ``powers`` the squares of
    half their amplitudes; ``level_db`` is the mean square of all of them in dB of full scale."""

    mains_hz: float
    tones: tuple[int, ...]
    powers: tuple[float, ...]
    level_db: float


def find_hum(signal: Signal) -> tuple[Hum | None, ...]:
    """The hum in each channel of ``signal``, ``None`` for one without.

    A tone is hum where its power stands out from its own fluctuations in most stretches, and is never less. Of one tone
    alone nothing can be said, nor of less than two seconds.
    """
    found: list[dict[float, list[tuple[np.ndarray, np.ndarray, np.ndarray]]]]
    found = [{mains: [] for mains in MAINS_HZ} for _ in range(signal.channels)]
    if signal.frames >= FEWEST_SECONDS * signal.rate:
        for samples in _stretches(signal):
            for channel, row in zip(samples, found, strict=True):
                for mains in MAINS_HZ:
                    curves = _curves(channel, signal.rate, mains)
                    if curves.any():
                        row[mains].append((*_tones(curves)[1:], np.abs(curves) ** 2))
    return tuple(_heard(row) for row in found)


def _heard(found: dict[float, list[tuple[np.ndarray, np.ndarray, np.ndarray]]]) -> Hum | None:
    """The hum of one channel, by the power of each tone, that of the error, and those of the cells, in each stretch."""
    best: Hum | None = None
    for mains, stretches in found.items():
        if not stretches:
            continue
        powers, errors = (np.array(rows) for rows in zip(*((p, e) for p, e, _ in stretches), strict=True))
        # What hums is never less: a tone that is softer elsewhere is played, though it may be steady for a while.
        least = np.quantile(np.concatenate([cells for _, _, cells in stretches], axis=1), LEAST_SHARE, axis=1)
        clear = (powers > STANDS_OUT * errors) & (powers < least / LEAST_PART)
        tones = np.flatnonzero(clear.mean(axis=0) > 0.5) + 1
        if (tones <= LOW_TONES).sum() < FEWEST_TONES:
            # Under loud music it may show in one stretch only: where nobody plays.
            clear &= powers > SURE * errors
            tones = np.flatnonzero(clear.any(axis=0)) + 1
        # Tones that are played may lie on higher multiples: F4 is 7 times 49.9 Hz, E5 11 times 59.9 Hz.
        if (tones <= LOW_TONES).sum() < FEWEST_TONES:
            continue
        usual = tuple(float(np.median(powers[clear[:, n - 1], n - 1])) for n in tones.tolist())
        level = 10 * math.log10(2 * sum(usual))
        # One that has every sixth tone of 50 Hz is 60 Hz's: the one with more of it counts.
        if best is None or level > best.level_db:
            best = Hum(mains, tuple(tones.tolist()), usual, level)
    return best


class WithoutHum:
    """``signal`` less its ``hums``, one or ``None`` a channel, which are followed; as long, and in its place."""

    def __init__(self, signal: Signal, hums: Sequence[Hum | None]) -> None:
        self._signal, self._hums = signal, tuple(hums)

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
        return in_blocks(self._pieces(), size)

    def _pieces(self) -> Iterator[np.ndarray]:
        half = _half(self.rate)
        fade = np.sin(np.pi * np.arange(2 * half) / (2 * half)) ** 2  # moved by half its length, it adds up to one
        left, before = self.frames, None
        for samples in with_context(self._signal, half, half):
            # samples: the half before, this half, the half after; the stretch is this half and the one after
            pairs = zip(samples[:, half:], self._hums, strict=True)
            hums = [_followed(channel, hum, self.rate) for channel, hum in pairs]
            hum = np.stack(hums) * fade
            if before is None:  # the first half has no stretch before it
                before = np.stack(hums)[:, :half] * (1 - fade[:half])
            piece = samples[:, half : 2 * half] - before - hum[:, :half]
            before = hum[:, half:]
            yield piece[:, : min(left, half)].astype(np.float32)
            left -= half


def _followed(samples: np.ndarray, hum: Hum | None, rate: int) -> np.ndarray:
    """The hum in one stretch of a channel, as sound."""
    if hum is None:
        return np.zeros(len(samples))
    numbers = np.array(hum.tones)
    curves = _curves(samples, rate, hum.mains_hz)
    drift, power, error = _tones(curves)
    values = (_values(curves, drift) * (power > STANDS_OUT / 2 * error))[numbers - 1]
    values *= np.minimum(1, MOST_TIMES * np.sqrt(hum.powers) / np.maximum(np.abs(values), 1e-20))
    return _played(values, numbers, hum.mains_hz + drift, rate, len(samples))


def _half(rate: int) -> int:
    return round(STRETCH_SECONDS / 2 * CELLS_A_SECOND) * round(rate / CELLS_A_SECOND)


def _stretches(signal: Signal) -> Iterator[np.ndarray]:
    """Stretches of ``signal`` one after the other, those that are long enough; sixty or so, spread over the whole."""
    length = 2 * _half(signal.rate)
    every = max(round(signal.frames / length / 60), 1)
    for number, block in enumerate(in_blocks(signal.blocks(), length)):
        if number % every == 0 and block.shape[1] >= FEWEST_SECONDS * signal.rate:
            yield block


def _curves(samples: np.ndarray, rate: int, mains_hz: float) -> np.ndarray:
    """Amplitudes and phases of the multiples of ``mains_hz``: complex ``(tones, cells)``, cells of 0.1 s."""
    cell = round(rate / CELLS_A_SECOND)
    cells = len(samples) // cell
    tones = min(MOST_TONES, int(min(HIGHEST_HZ, 0.45 * rate) / mains_hz))
    framed = samples[: cells * cell].reshape(cells, cell).astype(np.float64)
    turns = np.outer(np.arange(1, tones + 1) * mains_hz / rate, np.arange(cell))
    curves = np.exp(-2j * np.pi * turns) @ framed.T / cell
    # each cell begins at a phase of its own
    starts = np.outer(np.arange(1, tones + 1) * mains_hz / rate, np.arange(cells) * cell)
    turned: np.ndarray = curves * np.exp(-2j * np.pi * starts)
    return turned


def _tones(curves: np.ndarray) -> tuple[float, np.ndarray, np.ndarray]:
    """How far the mains is off, in Hz; and of each tone its power and that of the error of its value."""
    cells = curves.shape[1]
    times = (np.arange(cells) + 0.5) / CELLS_A_SECOND
    numbers = np.arange(1, len(curves) + 1)
    # Music is louder than hum: cells where a tone is far over its usual level count for little.
    usual = np.median(np.abs(curves), axis=1, keepdims=True) + 1e-12
    weighed = curves / np.maximum(np.abs(curves), usual) ** 1.5 * np.sqrt(usual)
    gathered = np.abs(np.einsum("otc,tc->ot", _turns(len(curves), cells), weighed)) ** 2
    drift = float(_offsets()[int(gathered.sum(axis=1).argmax())])
    values = _values(curves, drift)
    turned = curves * np.exp(-2j * np.pi * drift * np.outer(numbers, times))
    weights = _weights(turned, values)
    error = (weights * np.abs(turned - values[:, None]) ** 2).sum(axis=1) / weights.sum(axis=1)
    effective = weights.sum(axis=1) ** 2 / (weights**2).sum(axis=1)
    return drift, np.abs(values) ** 2, error / effective


def _offsets() -> np.ndarray:
    return np.arange(-WANDER_HZ, WANDER_HZ + 1e-9, 0.005)


@lru_cache(maxsize=4)
def _turns(tones: int, cells: int) -> np.ndarray:
    """What takes out each drift that is tried: complex ``(offsets, tones, cells)``."""
    times = (np.arange(cells) + 0.5) / CELLS_A_SECOND
    turns: np.ndarray = np.exp(-2j * np.pi * np.einsum("o,t,c->otc", _offsets(), np.arange(1, tones + 1), times))
    return turns


def _values(curves: np.ndarray, drift: float) -> np.ndarray:
    """The usual value of each tone once the ``drift`` is taken out: complex ``(tones,)``."""
    times = (np.arange(curves.shape[1]) + 0.5) / CELLS_A_SECOND
    turned = curves * np.exp(-2j * np.pi * drift * np.outer(np.arange(1, len(curves) + 1), times))
    values = np.median(turned.real, axis=1) + 1j * np.median(turned.imag, axis=1)
    for _ in range(ROUNDS):
        weights = _weights(turned, values)
        values = (weights * turned).sum(axis=1) / weights.sum(axis=1)
    return np.asarray(values)


def _weights(turned: np.ndarray, values: np.ndarray) -> np.ndarray:
    """How much each cell counts: the less, the farther it is from the value (Cauchy's weights)."""
    far = np.abs(turned - values[:, None]) ** 2
    usual = np.quantile(far, 0.12, axis=1, keepdims=True) + 1e-20
    weights: np.ndarray = 1 / (1 + far / usual)
    return weights


def _played(values: np.ndarray, numbers: np.ndarray, hz: float, rate: int, frames: int) -> np.ndarray:
    """The tones with these amplitudes and phases as sound, ``(frames,)``."""
    turn = np.exp(2j * np.pi * hz / rate * np.arange(frames))
    sound = np.zeros(frames)
    power, at = np.ones(frames, dtype=np.complex128), 0
    for value, number in zip(values, numbers.tolist(), strict=True):
        while at < number:
            power *= turn
            at += 1
        if value:
            sound += 2 * (value.real * power.real - value.imag * power.imag)
    return sound
