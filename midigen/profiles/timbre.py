"""One note's sound in numbers.

The definitions are those of G. Peeters, "A large set of audio features for sound description", IRCAM 2004, and G.
Peeters et al., "The Timbre Toolbox", JASA 130, 2011, but for decay, which is measured as rooms are (ISO 3382-1: a line
through the level, told as the time for 60 dB).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from midigen.profiles.pitch import Tone, inharmonicity_of, tone_of
from midigen.spectra import power_db

SILENT_DB = -80.0  # a note whose level stays under it is not measured
ROLLOFF_SHARE = 0.95  # Peeters 2004, 6.1.7
SPECTRUM_SECONDS = 0.09  # of one frame
TIMBRE_SECONDS = 0.5  # of a note: what one hears as its colour
SILENCE_FRAMES = 4_096
ATTACK_SECONDS = 1.5  # no attack is looked for later than that
EFFORTS = 10  # thresholds up the attack
PATIENCE = 3.0  # a step that takes that many times the mean belongs to the attack no more
LEAST_NOTES, LEAST_SPREAD_DB = 5, 2.0  # to tell brightness by level
PERIOD_SECONDS = 0.01  # of a tone that is not known
LEVEL_SECONDS = 0.05  # over which a level is taken: two periods of the lowest tones
LEVEL_HOP_SECONDS = 0.01
DECAY_FROM_DB, DECAY_TO_DB = -1.0, -30.0
LEAST_DECAY_SECONDS = 0.15  # of decay, before it can be told
FAST_DB, FAST_TO_DB = -20.0, -60.0  # what a faster one falls by, and what is looked at of it
SUSTAINED_DB = 3.0  # a second: what falls more slowly is held
CLEAR_OF_BEFORE_DB = 12.0  # over what still sounds, before an attack can be told
BEHIND_ATTACK_SECONDS = 0.03  # where the pitch is taken


@dataclass(frozen=True, slots=True)
class NoteSound:
    """How one note sounds.

    ``level_db`` is its highest level over 50 ms, in dB of full scale (mean square over time and channels).
    ``centroid_hz`` is the mean frequency of its first half second, weighted by amplitude: its brightness; 95 % of the
    energy lies below ``rolloff_hz``. ``attack_seconds`` is how long it rises, no finer than a period of the tone
    (``None`` where something else still sounds), ``decay_db_per_second``, 0 or more, how fast it falls then (``None``
    where it is too short to tell). ``pitch_hz``, ``harmonicity`` (0 noise, 1 periodic) and ``fundamental_db`` (the
    level of the fundamental against the strongest of its partials) are those of the tone behind the attack, ``None``
    where there is none; ``inharmonicity`` is the B of a stiff string, ``None`` where it cannot be told. ``width`` is
    the share of the difference of left and right in the energy: 0 mono, 0.5 two unrelated sides (or one alone), 1 one
    side upside down.
    """

    level_db: float
    centroid_hz: float
    rolloff_hz: float
    attack_seconds: float | None
    decay_db_per_second: float | None
    pitch_hz: float | None
    harmonicity: float | None
    fundamental_db: float | None
    inharmonicity: float | None
    width: float

    @property
    def decay_seconds(self) -> float | None:
        """The time in which it would fall by 60 dB; ``None`` where it is held, or cannot be told."""
        return decay_seconds(self.decay_db_per_second)


@dataclass(frozen=True, slots=True)
class Quartiles:
    """Of several values: the median, and between ``low`` and ``high`` half of them."""

    low: float
    median: float
    high: float

    @property
    def fall_seconds(self) -> float | None:
        """Of decays in dB a second: the time in which the median falls by 60 dB; ``None`` where it is held."""
        return decay_seconds(self.median)


def quartiles(values: Sequence[float | None]) -> Quartiles | None:
    """The quartiles of the ``values`` that are known; ``None`` where these are fewer than a quarter, or none."""
    known = [value for value in values if value is not None]
    if not known or 4 * len(known) < len(values):
        return None
    return Quartiles(*np.percentile(known, (25, 50, 75)).tolist())


def octaves_a_10_db(sounds: Sequence[NoteSound], *, pitched: bool = False) -> float | None:
    """How many octaves the centroid rises with 10 dB of level: the slope of a line through all, by least squares.

    Of ``pitched`` notes that of a plane, over level and pitch: high notes are brighter than low ones. ``None`` for
    fewer than five notes, or levels that hardly differ (a standard deviation of less than 2 dB).
    """
    rows = [
        (sound.level_db, math.log2(sound.pitch_hz) if pitched and sound.pitch_hz else 0.0, math.log2(sound.centroid_hz))
        for sound in sounds
        if sound.centroid_hz > 0 and (sound.pitch_hz or not pitched)
    ]
    if len(rows) < LEAST_NOTES:
        return None
    levels, pitches, centroids = np.array(rows).T
    if levels.std() < LEAST_SPREAD_DB:
        return None
    slopes = np.linalg.lstsq(np.stack([levels, pitches, np.ones(len(rows))], axis=1), centroids, rcond=None)[0]
    return 10 * float(slopes[0])


def decay_seconds(db_per_second: float | None) -> float | None:
    """The time for a fall of 60 dB; ``None`` for what is unknown, or falls by less than 3 dB a second."""
    return 60 / db_per_second if db_per_second is not None and db_per_second >= SUSTAINED_DB else None


def sound_of(
    samples: np.ndarray, rate: int, *, lead: int = 0, held: int | None = None, near_hz: float | None = None
) -> NoteSound | None:
    """Measure one note: ``samples`` are float ``(channels, frames)`` at ``rate`` frames a second.

    The note begins ``lead`` frames after their beginning, or a little later; what is before is what sounded already.
    ``held`` is when it is let go, in frames after its beginning (without it, it is held to the end). ``near_hz`` is
    its pitch where that is known, within a semitone. ``None`` for a note that stays under -80 dB.
    """
    samples = np.asarray(samples, dtype=np.float64)
    times, levels = levels_of(samples[:, lead:], rate)
    if not len(levels) or levels.max() < SILENT_DB:
        return None
    note = samples[:, lead:]
    until = note.shape[1] if held is None else min(held, note.shape[1])
    centroid_hz, rolloff_hz = colour_of(note[:, : round(TIMBRE_SECONDS * rate)], rate)
    tone = _tone(note[:, :until], rate, near_hz)
    stretch = None
    if tone is not None:
        behind = note[:, round(BEHIND_ATTACK_SECONDS * rate) : min(until, rate)]
        stretch = inharmonicity_of(_strongest(behind), rate, tone.hz)
    heard = times + LEVEL_SECONDS / 2 <= until / rate
    return NoteSound(
        level_db=float(levels.max()),
        centroid_hz=centroid_hz,
        rolloff_hz=rolloff_hz,
        attack_seconds=attack_of(
            samples[:, : lead + round(ATTACK_SECONDS * rate)], rate, lead, 1 / tone.hz if tone else PERIOD_SECONDS
        ),
        decay_db_per_second=fall_of(times[heard], levels[heard]),
        pitch_hz=tone.hz if tone is not None else None,
        harmonicity=tone.harmonicity if tone is not None else None,
        fundamental_db=tone.fundamental_db if tone is not None else None,
        inharmonicity=stretch,
        width=width_of(note),
    )


def levels_of(samples: np.ndarray, rate: int) -> tuple[np.ndarray, np.ndarray]:
    """Levels over 50 ms, every 10 ms: their times in seconds (the middles) and themselves in dB; both ``(n,)``."""
    length, hop = max(round(LEVEL_SECONDS * rate), 1), max(round(LEVEL_HOP_SECONDS * rate), 1)
    squares = np.square(samples).mean(axis=0)
    squares = np.pad(squares, (0, max(length - len(squares), 0)))
    # Each sum for itself: a running one would leave noise in silence.
    means = np.lib.stride_tricks.sliding_window_view(squares, length)[::hop].mean(axis=1)
    return (np.arange(len(means)) * hop + length / 2) / rate, power_db(means)


def fall_of(times: np.ndarray, levels: np.ndarray) -> float | None:
    """How fast ``levels`` of :func:`levels_of` (dB) at ``times`` fall behind their highest, in dB a second, 0 or more.

    A line by least squares through what lies between 1 and 30 dB under the highest; of a sound that does not fall so
    far, through all of it. Where that is shorter than 150 ms, the sound has to fall by 20 dB at least, and the line
    begins when the highest has left the 50 ms of a level: an even fall is then still told right. Of what is gone even
    faster, the time is told in which it is. ``None`` where there is too little of it.
    """
    if not len(levels) or levels.max() < SILENT_DB:
        return None
    top = int(levels.argmax())
    times, levels = times[top:], levels[top:] - levels[top]
    end = _first(levels < DECAY_TO_DB)
    for start in (min(_first(levels < DECAY_FROM_DB), end), 0):
        if end - start >= 4 and times[end - 1] - times[start] >= LEAST_DECAY_SECONDS:
            return _slope(times[start:end], levels[start:end])
    start = round(LEVEL_SECONDS / LEVEL_HOP_SECONDS)
    end = _first(levels < FAST_TO_DB)
    if end - start >= 3 and levels[end - 1] < FAST_DB:
        return _slope(times[start:end], levels[start:end])
    if end < min(start + 3, len(levels)):
        return -FAST_TO_DB / float(times[end] - times[0])
    return None


def _first(yes: np.ndarray) -> int:
    """The place of the first that is true, or the length."""
    return int(np.argmax(yes)) if yes.any() else len(yes)


def _slope(times: np.ndarray, levels: np.ndarray) -> float:
    return max(-float(np.polyfit(times - times[0], levels, 1)[0]), 0.0)


def attack_of(samples: np.ndarray, rate: int, lead: int = 0, period_seconds: float = PERIOD_SECONDS) -> float | None:
    """How long a note takes to rise, in seconds: the "weakest effort" of Peeters (2004, 2.3; 2011, II.C).

    Of the envelope (the length of the analytic signal), the times are taken at which it first reaches 10, 20, ... 90 %
    of its highest; where one of these steps takes more than three times the mean (and more than a period of the tone,
    in which nothing can be told), the attack is over: a swell or a beat behind it is left out. A straight rise of *T*
    seconds gives 0.8 *T*.
    What sounds in the ``lead`` frames before the note is taken from the envelope; ``None`` where that is more than a
    quarter of the highest.
    """
    envelope = _envelope(samples)
    before = float(envelope[: lead // 2].max()) if lead // 2 else 0.0
    top = float(envelope[lead // 2 :].max()) if envelope.shape[0] > lead // 2 else 0.0
    if top <= 10 ** (SILENT_DB / 20) or before > top * 10 ** (-CLEAR_OF_BEFORE_DB / 20):
        return None
    thresholds = before + (top - before) * np.arange(1, EFFORTS) / EFFORTS
    reached = np.maximum.accumulate(envelope[lead // 2 :])
    times = np.searchsorted(reached, thresholds) / rate
    efforts = np.diff(times)
    easy = efforts <= max(PATIENCE * float(efforts.mean()), 1.2 * period_seconds)
    begin = int(np.argmax(easy))
    hard = np.flatnonzero(~easy[begin:])
    end = begin + int(hard[0]) if len(hard) else len(efforts)
    return float(max(times[end] - times[begin], 1 / rate))


def colour_of(samples: np.ndarray, rate: int) -> tuple[float, float]:
    """Spectral centroid and rolloff in Hz of ``samples``, float ``(channels, frames)``; both 0 for silence.

    The centroid is the mean frequency weighted by amplitude (Peeters 2004, 6.1.1), the rolloff what 95 % of the energy
    lies below (6.1.7), frame by frame; of the frames, the mean weighted by energy.
    """
    length = 2 ** math.ceil(math.log2(SPECTRUM_SECONDS * rate))
    hop = length // 2
    number = max(-(-samples.shape[1] // hop), 1)
    padded = np.pad(samples, ((0, 0), (0, (number - 1) * hop + length - samples.shape[1])))
    frames = np.lib.stride_tricks.sliding_window_view(padded, length, axis=1)[:, ::hop]
    lines = np.fft.rfft(frames * np.hanning(length))
    power = (lines.real**2 + lines.imag**2).mean(axis=0)
    return mean_colour(power, rate)


def mean_colour(power: np.ndarray, rate: int) -> tuple[float, float]:
    """As :func:`colour_of`, from power spectra ``(frames, lines)``."""
    centroids, rolloffs = colours(power, rate)
    weights = power.sum(axis=1)
    total = float(weights.sum())
    if total <= 0:
        return 0.0, 0.0
    return float(centroids @ weights / total), float(rolloffs @ weights / total)


def colours(power: np.ndarray, rate: int) -> tuple[np.ndarray, np.ndarray]:
    """Centroid and rolloff in Hz of each of the power spectra ``(frames, lines)``; 0 for silent ones."""
    hz = np.arange(power.shape[1]) * (rate / 2 / (power.shape[1] - 1))
    amplitude = np.sqrt(power)
    total = amplitude.sum(axis=1)
    centroids = np.divide(amplitude @ hz, total, out=np.zeros(len(power)), where=total > 0)
    below = np.cumsum(power, axis=1)
    rolloffs = hz[np.argmax(below >= ROLLOFF_SHARE * below[:, -1:], axis=1)]
    return centroids, rolloffs


def width_of(samples: np.ndarray) -> float:
    """The share of the difference of left and right in the energy, 0 to 1; 0 for mono and silence."""
    if samples.shape[0] != 2:
        return 0.0
    middle, side = samples[0] + samples[1], samples[0] - samples[1]
    middle_energy, side_energy = float(middle @ middle), float(side @ side)
    both = middle_energy + side_energy
    return side_energy / both if both > 0 else 0.0


def _envelope(samples: np.ndarray) -> np.ndarray:
    """The length of the analytic signal (the root of the mean square over channels), ``(frames,)``."""
    frames = samples.shape[1]
    if not frames:
        return np.zeros(0)
    # Silence behind, so that the end does not reach round; a length that is quickly transformed.
    length = -(-(frames + SILENCE_FRAMES) // SILENCE_FRAMES) * SILENCE_FRAMES
    lines = np.fft.rfft(samples, length)
    analytic = np.fft.ifft(np.pad(lines[:, 1:-1] * 2, ((0, 0), (1, length - lines.shape[1] + 1))))[:, :frames]
    envelope: np.ndarray = np.sqrt((analytic.real**2 + analytic.imag**2).mean(axis=0))
    return envelope


def _strongest(samples: np.ndarray) -> np.ndarray:
    """The channel with most energy: a sum of sides could cancel what it should measure."""
    return np.asarray(samples[int(np.square(samples).sum(axis=1).argmax())])


def _tone(note: np.ndarray, rate: int, near_hz: float | None) -> Tone | None:
    start = round(BEHIND_ATTACK_SECONDS * rate)
    behind = note[:, start:]
    return tone_of(_strongest(behind), rate, near_hz) if behind.shape[1] else None
