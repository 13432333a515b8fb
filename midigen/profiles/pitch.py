"""The pitch of one tone, how periodic it is, and how far its partials lie from whole multiples.

Pitch and harmonicity: the normalised square difference function of P. McLeod and G. Wyvill, "A smarter way to find
pitch", ICMC 2005, by Fourier transform. Inharmonicity: the stiff string of H. Fletcher, E. D. Blackham and R. Stratton,
"Quality of piano tones", JASA 34, 1962.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

REGISTERS = (("low", 48), ("middle", 72), ("high", math.inf))
LOWEST_HZ, HIGHEST_HZ = 25.0, 4_500.0  # from under the piano's lowest key to over its highest
PERIOD_SECONDS, PARTIALS_SECONDS = 0.1, 0.25
FIRST_PARTIALS, PARTIALS_PERIODS = 8, 10
ABSENT_DB = -24.0  # under the others: partials of which a whole family is so weak are not there
FINER = 2  # lags are half a frame apart: the highest keys have ten frames a period, and strong overtones
NEAR_HIGHEST = 0.92  # of the highest peak: the first that is so high is the period, not one of its multiples
MOST_PARTIALS = 20
LEAST_PARTIALS = 5  # to tell a stretch from chance
PARTIAL_FLOOR_DB = -60.0  # under the strongest partial, what is found may be anything
STANDS_OUT_DB = 12.0  # over what lies between the partials
ASTRAY = 0.1  # of the fundamental
PADDING = 2  # times the length of the window, so that partials are placed finely
LEAST_PERIODS = 12  # in the window in which partials are looked for: they are then told apart from each other


@dataclass(frozen=True, slots=True)
class Tone:
    """``hz`` is the fundamental frequency; ``harmonicity``, 0 to 1, the share of the energy that repeats with it: with
    noise, that of the tone in the whole (as the "harmonicity" r' of P. Boersma, 1993). ``fundamental_db`` is the level
    of the fundamental against the strongest of the first partials: 0 or less. A chord repeats too, with a period whose
    frequency it does not have."""

    hz: float
    harmonicity: float
    fundamental_db: float


def tone_of(samples: np.ndarray, rate: int, near_hz: float | None = None) -> Tone | None:
    """The tone in ``samples``, float ``(frames,)``, at ``rate`` frames a second.

    The period is sought in the first tenth of a second, and checked by the partials in what there is, a quarter of a
    second at most. ``near_hz`` is where it should lie, within a semitone. ``None`` for silence, and where nothing
    repeats at all.
    """
    whole = np.asarray(samples, dtype=np.float64)[: round(PARTIALS_SECONDS * rate)]
    samples = whole[: round(PERIOD_SECONDS * rate)]
    samples = samples - samples.mean() if len(samples) else samples
    fine = FINER * rate  # lags a second
    lags = FINER * min(math.ceil(rate / LOWEST_HZ) + 2, len(samples) // 2)
    shortest = max(math.floor(fine / HIGHEST_HZ), 2)
    if lags <= shortest + 2 or not samples.any():
        return None
    clearness = _clearness(samples, lags)
    peaks = np.flatnonzero((clearness[1:-1] > clearness[:-2]) & (clearness[1:-1] >= clearness[2:])) + 1
    peaks = peaks[(peaks >= shortest) & (clearness[peaks] > 0)]
    if near_hz is not None:
        semitone = 2 ** (1 / 12)
        peaks = peaks[(peaks >= fine / near_hz / semitone - 1) & (peaks <= fine / near_hz * semitone + 1)]
    if not len(peaks):
        return None
    # Peaks beside the very first are ripples of strong overtones: what counts has been under zero before.
    below = np.flatnonzero(clearness < 0)
    if len(below) and near_hz is None:
        peaks = peaks[peaks > below[0]]
        if not len(peaks):
            return None
    places, heights = _summits(clearness, peaks)
    enough = heights >= (NEAR_HIGHEST if near_hz is None else 1.0) * heights.max()
    first = int(np.argmax(enough))
    hz = fine / float(places[first])
    levels = _partials_db(whole, rate, hz)
    # Every second or third partial and nothing between: the tone is the octave or the twelfth above.
    for times in (2, 3, 2) if near_hz is None else ():
        numbers = np.arange(1, len(levels) + 1)
        if (numbers % times == 0).any() and levels[numbers % times > 0].max() < levels.max() + ABSENT_DB:
            hz *= times
            levels = _partials_db(whole, rate, hz)
    return Tone(hz, float(np.clip(heights[first], 0.0, 1.0)), float(levels[0] - levels.max()))


def _partials_db(samples: np.ndarray, rate: int, hz: float) -> np.ndarray:
    """The levels in dB of the first partials of a tone, as many as lie under half the rate.

    In ten periods: partials are then told apart, and stretched ones still taken for what they are.
    """
    samples = samples[: math.ceil(PARTIALS_PERIODS * rate / hz)]
    number = max(min(FIRST_PARTIALS, math.floor(0.49 * rate / hz)), 1)
    turns = np.outer(np.arange(1, number + 1) * (hz / rate), np.arange(len(samples)))
    lines = np.exp(-2j * np.pi * turns) @ (samples * np.hanning(len(samples)))
    return 20 * np.log10(np.maximum(np.abs(lines), 1e-12))


def _clearness(samples: np.ndarray, lags: int) -> np.ndarray:
    """How alike the sound and itself moved are, -1 to 1, by lags half a frame apart; ``(lags,)``. McLeod's (9)."""
    length = 2 ** math.ceil(math.log2(len(samples) + lags // FINER + 1))
    lines = np.fft.rfft(samples, length)
    # More lines of nothing: the same function, read at more places.
    products = FINER * np.fft.irfft(lines.real**2 + lines.imag**2, FINER * length)[:lags]
    sums = np.concatenate([[0.0], np.cumsum(samples**2)])
    moved = np.arange(lags // FINER + 2)
    energies = sums[len(samples) - moved] + sums[-1] - sums[moved]
    energies = np.interp(np.arange(lags) / FINER, moved, energies)
    alike: np.ndarray = 2 * products / np.maximum(energies, 1e-30)
    return alike


def _summits(values: np.ndarray, at: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Places and heights of the parabolas through ``values`` around their local maxima ``at``."""
    before, here, after = values[at - 1], values[at], values[at + 1]
    bend = before - 2 * here + after
    shift = np.divide(0.5 * (before - after), bend, out=np.zeros(len(at)), where=bend < 0)
    return at + shift, here - 0.25 * (before - after) * shift


def inharmonicity_of(samples: np.ndarray, rate: int, hz: float) -> float | None:
    """The coefficient B of a stiff string, whose partial *k* lies at ``k f sqrt(1 + B k²)``; 0 for whole multiples.

    ``samples``, float ``(frames,)``, hold one tone of fundamental ``hz``, from behind its attack on. Partials are
    followed upwards, each looked for where those below it say. ``None`` where fewer than five are found, where they lie
    as those of no string do, and where the sound is shorter than twelve periods.
    """
    samples = np.asarray(samples, dtype=np.float64)
    if not samples.any() or len(samples) < LEAST_PERIODS * rate / hz:
        return None
    length = PADDING * 2 ** math.ceil(math.log2(len(samples)))
    level = np.abs(np.fft.rfft(samples * np.hanning(len(samples)), length))
    level = 20 * np.log10(np.maximum(level, 1e-12))
    per_line = rate / length
    reach = max(round(0.3 * hz / per_line), 2)
    numbers: list[int] = []
    found: list[float] = []
    root, stiffness = hz, 0.0
    for number in range(1, MOST_PARTIALS + 1):
        expected = number * root * math.sqrt(1 + stiffness * number**2)
        middle = round(expected / per_line)
        if middle + 2 * reach >= len(level):
            break
        start = max(middle - reach, 1)
        peak = start + int(level[start : middle + reach + 1].argmax())
        around = np.median(level[max(middle - round(hz / per_line / 2), 0) : middle + round(hz / per_line / 2)])
        if level[peak] < level.max() + PARTIAL_FLOOR_DB or level[peak] < around + STANDS_OUT_DB:
            continue
        if peak in (start, middle + reach):  # the flank of something else
            continue
        numbers.append(number)
        found.append(float(_summits(level, np.array([peak]))[0][0]) * per_line)
        if len(numbers) >= 3:
            root, stiffness = _string(np.array(numbers), np.array(found))
    if len(numbers) < LEAST_PARTIALS:
        return None
    places = np.array(numbers) * root * np.sqrt(1 + max(stiffness, 0.0) * np.square(numbers))
    # Partials of no one string, or the wrong ones: each should lie near its place.
    return max(stiffness, 0.0) if np.abs(np.array(found) - places).max() <= ASTRAY * root else None


def _string(numbers: np.ndarray, hz: np.ndarray) -> tuple[float, float]:
    """Fundamental and coefficient of the stiff string whose partials ``numbers`` lie at ``hz``, by least squares.

    Of ``(f / k)² = f0² + f0² B k²``, a line over k². A partial's own error counts less the higher it is.
    """
    slope, root = np.polyfit(numbers.astype(np.float64) ** 2, (hz / numbers) ** 2, 1, w=np.sqrt(numbers))
    if root <= 0:
        return float(hz[0] / numbers[0]), 0.0
    return math.sqrt(root), float(np.clip(slope / root, -1e-3, 0.1))


def midi_pitch(hz: np.ndarray | float) -> np.ndarray:
    """Frequencies as MIDI pitches: 69 is 440 Hz, 1 a semitone."""
    return np.asarray(69 + 12 * np.log2(np.asarray(hz, dtype=np.float64) / 440))


def pitch_hz(pitch: float) -> float:
    """The frequency of a MIDI ``pitch``."""
    return float(440 * 2 ** ((pitch - 69) / 12))


def register_of(pitch: float) -> str:
    """The word for where a MIDI ``pitch`` lies: low under C3, middle, high from C5."""
    return next(word for word, below in REGISTERS if pitch < below)
