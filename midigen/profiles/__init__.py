"""An instrument's sound described from the sound itself: range, timbre, dynamics. Knows samples, never MIDI.

:func:`profile_of` describes a stem as it is played; :func:`midigen.profiles.fonts.profile_of_font` a SoundFont's
instrument, by test notes; :func:`midigen.profiles.equalising.suggest_equaliser` says what the mixer may make of either.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from midigen.audio import BLOCK_FRAMES, Signal
from midigen.loudness import Meter
from midigen.profiles.onsets import Curves, curves_of, onsets_of
from midigen.profiles.pitch import midi_pitch, register_of
from midigen.profiles.plain import plain
from midigen.profiles.timbre import NoteSound, Quartiles, octaves_a_10_db, quartiles, sound_of
from midigen.signals import in_blocks
from midigen.spectra import Spectrum, SpectrumMeter

MOST_NOTES = 96  # that are measured one by one; of more, so many are taken from all over the sound
LONGEST_SECONDS = 1.5  # of a note
EARLY_SECONDS, LEAD_SECONDS = 0.04, 0.02  # a note is cut out so long before its onset, of which so much is before it
GAP_SECONDS = 0.01  # and so long before the next one
LEAST_SECONDS = 0.05  # of a note, to measure it
FULL_SCALE = 0.9999
CLEAR, FUNDAMENTAL_DB = 0.8, -30.0  # harmonicity, and level of the fundamental, of one note alone
MONOPHONIC_SHARE = 0.75  # of the notes, for a part that plays one note at a time
LEAST_PITCHES = 4
RANGE_PERCENTILES = (5, 50, 95)


@dataclass(frozen=True)
class Levels:
    """How loud a sound is: integrated loudness and range (EBU R 128), peaks and crest factor (``peak_dbfs`` over the
    root of the mean square) in dB. ``clipped_frames`` are those at full scale between others that are the very same.
    """

    integrated_lufs: float
    range_lu: float
    peak_dbfs: float
    true_peak_dbtp: float
    crest_db: float
    clipped_frames: int


@dataclass(frozen=True)
class PitchRange:
    """MIDI pitches: the median, and between ``lowest`` and ``highest`` nine tenths of the notes; the word for the
    register, and the ``share`` of the notes (0 to 1) whose pitch was clear."""

    lowest: int
    median: int
    highest: int
    register: str
    share: float


@dataclass(frozen=True)
class Timbre:
    """How the notes of a part sound: quartiles of what :class:`~midigen.profiles.timbre.NoteSound` tells of each.

    ``brightness_octaves_per_10_db`` is how much the centroid rises with 10 dB of level, at one pitch where pitches are
    clear. Where a note is let go is not known: a decay may be that of the note or of its release. What cannot be told
    of enough notes is ``None``; so is ``decay_seconds``, the time for 60 dB, where notes are held without falling.
    """

    centroid_hz: Quartiles
    rolloff_hz: Quartiles
    brightness_octaves_per_10_db: float | None
    attack_seconds: Quartiles | None
    decay_db_per_second: Quartiles | None
    decay_seconds: float | None
    harmonicity: Quartiles | None
    inharmonicity: float | None


@dataclass(frozen=True)
class Dynamics:
    """The levels of the notes, in dB of full scale: the softest and the loudest twentieth left out, and the range."""

    soft_db: float
    median_db: float
    loud_db: float
    range_db: float


@dataclass(frozen=True, slots=True)
class MeasuredNote:
    """A note, or several that begin together: when, and how it sounds."""

    onset_seconds: float
    sound: NoteSound


@dataclass(frozen=True, eq=False)
class Profile:
    """The sound of a part, as :func:`profile_of` measured it.

    ``onsets`` is how many notes (or chords) begin, ``notes`` those that were measured one by one. ``pitch`` is ``None``
    where it could not be told honestly; ``pitch_remark`` says why. ``timbre`` and ``dynamics`` are ``None`` for
    silence. ``width`` is the share of the difference of left and right in the energy (0 mono, 0.5 unrelated),
    ``balance_db`` how much louder the right is than the left. ``curves`` has the level every 10 ms.
    """

    rate: int
    channels: int
    seconds: float
    levels: Levels
    onsets: int
    pitch: PitchRange | None
    pitch_remark: str
    timbre: Timbre | None
    dynamics: Dynamics | None
    width: float
    balance_db: float
    notes: tuple[MeasuredNote, ...]
    spectrum: Spectrum
    curves: Curves

    def to_dict(self) -> dict[str, Any]:
        """As plain values for JSON: numbers to six digits, ``None`` for what is infinite; curves left out."""
        kept = {name: value for name, value in vars(self).items() if name != "curves"}
        return plain({"version": 1, "kind": "stem", **kept})


def profile_of(signal: Signal) -> Profile:
    """Describe the sound of ``signal``: one instrument's stem, mono or stereo (five channels at most).

    Read three times, block by block. Silence has a profile too, with nothing in it. Raises
    :class:`midigen.errors.BadRequest` for more channels.
    """
    whole = _Whole(signal.rate, signal.channels)
    for block in in_blocks(signal.blocks(), BLOCK_FRAMES):
        whole.feed(block)
    spectrum = whole.spectrum.reading()
    levels = whole.levels(spectrum)
    silent = levels.peak_dbfs == -math.inf
    curves = curves_of(signal, 10 ** (levels.peak_dbfs / 20))
    onsets = np.zeros(0) if silent else onsets_of(curves)
    if not silent and not len(onsets):  # it grows out of nothing: one note
        onsets = np.zeros(1)
    notes = tuple(_notes(signal, onsets))
    sounds = [note.sound for note in notes]
    pitch, remark = _pitch(sounds)
    return Profile(
        rate=signal.rate,
        channels=signal.channels,
        seconds=signal.frames / signal.rate,
        levels=levels,
        onsets=len(onsets),
        pitch=pitch,
        pitch_remark=remark,
        timbre=_timbre(sounds, alone=pitch is not None),
        dynamics=_dynamics(sounds),
        width=whole.width,
        balance_db=whole.balance_db,
        notes=notes,
        spectrum=spectrum,
        curves=curves,
    )


class _Whole:
    """What is measured of a sound as a whole, fed with blocks."""

    def __init__(self, rate: int, channels: int) -> None:
        self.spectrum = SpectrumMeter(rate, channels)
        self._meter = Meter(rate, channels)
        self._last = np.zeros((channels, 2), dtype=np.float32)
        self._clipped = 0
        self._energies = np.zeros(4)  # left, right, their sum, their difference

    def feed(self, block: np.ndarray) -> None:
        self.spectrum.feed(block)
        self._meter.feed(block)
        frames = np.concatenate([self._last, block], axis=1)
        flat = (frames[:, :-2] == frames[:, 1:-1]) & (frames[:, 1:-1] == frames[:, 2:])
        self._clipped += int((flat & (np.abs(frames[:, 1:-1]) >= FULL_SCALE)).any(axis=0).sum())
        self._last = frames[:, -2:]
        if len(block) == 2:
            left, right = block.astype(np.float64)
            for place, row in enumerate((left, right, left + right, left - right)):
                self._energies[place] += row @ row

    def levels(self, spectrum: Spectrum) -> Levels:
        read = self._meter.reading()
        mean_square = spectrum.mean_square
        return Levels(
            integrated_lufs=read.integrated_lufs,
            range_lu=read.range_lu,
            peak_dbfs=read.sample_peak_dbfs,
            true_peak_dbtp=read.true_peak_dbtp,
            crest_db=read.sample_peak_dbfs - 10 * math.log10(mean_square) if mean_square > 0 else 0.0,
            clipped_frames=self._clipped,
        )

    @property
    def width(self) -> float:
        both = float(self._energies[2] + self._energies[3])
        return float(self._energies[3]) / both if both > 0 else 0.0

    @property
    def balance_db(self) -> float:
        left, right = self._energies[:2].tolist()
        if left == right:
            return 0.0
        return 10 * math.log10(right / left) if left and right else math.copysign(math.inf, right - left)


def _notes(signal: Signal, onsets: np.ndarray) -> Iterator[MeasuredNote]:
    rate = signal.rate
    ends = np.append(onsets[1:] - GAP_SECONDS, np.inf)
    long = np.flatnonzero(np.minimum(ends, signal.frames / rate) - onsets >= LEAST_SECONDS)
    chosen = (
        long[np.unique(np.linspace(0, len(long) - 1, min(len(long), MOST_NOTES)).astype(int))] if len(long) else long
    )
    begin = np.maximum(np.rint((onsets[chosen] - EARLY_SECONDS) * rate), 0).astype(int)
    leads = np.maximum(np.rint((onsets[chosen] - EARLY_SECONDS + LEAD_SECONDS) * rate).astype(int) - begin, 0)
    stop = np.rint(np.minimum(ends[chosen], onsets[chosen] + LONGEST_SECONDS) * rate).astype(int)
    spans = list(zip(begin.tolist(), stop.tolist(), strict=True))
    for onset, lead, samples in zip(onsets[chosen].tolist(), leads.tolist(), _cut(signal, spans), strict=True):
        sound = sound_of(samples, rate, lead=lead)
        if sound is not None:
            yield MeasuredNote(onset, sound)


def _cut(signal: Signal, spans: Sequence[tuple[int, int]]) -> Iterator[np.ndarray]:
    """The samples of each of ``spans``, which begin one after the other; the last may reach beyond the end."""
    kept = np.zeros((signal.channels, 0), dtype=np.float32)
    place = number = 0  # where the kept samples begin, and the next span
    for block in signal.blocks():
        kept = np.concatenate([kept, block], axis=1)
        while number < len(spans) and min(spans[number][1], signal.frames) <= place + kept.shape[1]:
            start, stop = spans[number]
            yield kept[:, start - place : stop - place]
            number += 1
        if number == len(spans):
            return
        drop = min(max(spans[number][0] - place, 0), kept.shape[1])
        kept, place = kept[:, drop:], place + drop


def _pitch(sounds: Sequence[NoteSound]) -> tuple[PitchRange | None, str]:
    """The range of a part that plays one note at a time; else ``None``, and why."""
    if not sounds:
        return None, "there are no notes"
    clear = [
        sound.pitch_hz
        for sound in sounds
        if sound.pitch_hz is not None
        and (sound.harmonicity or 0.0) >= CLEAR
        and (sound.fundamental_db or 0.0) >= FUNDAMENTAL_DB
    ]
    share = len(clear) / len(sounds)
    if share < MONOPHONIC_SHARE:
        return None, f"one clear pitch in {share:.0%} of the notes only: chords, or no pitch"
    if len(clear) < LEAST_PITCHES:
        return None, f"only {len(clear)} notes, too few for a range"
    lowest, median, highest = (
        round(float(p)) for p in np.percentile(midi_pitch(np.array(clear)), RANGE_PERCENTILES, method="nearest")
    )
    return PitchRange(lowest, median, highest, register_of(median), share), ""


def _timbre(sounds: Sequence[NoteSound], *, alone: bool) -> Timbre | None:
    if not sounds:
        return None
    decay = quartiles([sound.decay_db_per_second for sound in sounds])
    stretch = quartiles([sound.inharmonicity for sound in sounds]) if alone else None
    centroid_hz, rolloff_hz = (quartiles([getattr(s, name) for s in sounds]) for name in ("centroid_hz", "rolloff_hz"))
    assert centroid_hz is not None and rolloff_hz is not None  # every note has both
    return Timbre(
        centroid_hz=centroid_hz,
        rolloff_hz=rolloff_hz,
        brightness_octaves_per_10_db=octaves_a_10_db(sounds, pitched=alone),
        attack_seconds=quartiles([sound.attack_seconds for sound in sounds]),
        decay_db_per_second=decay,
        decay_seconds=decay.fall_seconds if decay is not None else None,
        harmonicity=quartiles([sound.harmonicity for sound in sounds]),
        inharmonicity=stretch.median if stretch is not None else None,
    )


def _dynamics(sounds: Sequence[NoteSound]) -> Dynamics | None:
    if not sounds:
        return None
    soft, median, loud = np.percentile([sound.level_db for sound in sounds], (5, 50, 95)).tolist()
    return Dynamics(soft, median, loud, loud - soft)
