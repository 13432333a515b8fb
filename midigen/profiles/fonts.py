"""A SoundFont's instrument described by test notes: several pitches over its range, each from soft to loud."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from midigen.audio import Signal
from midigen.errors import BadRequest
from midigen.instruments import Instrument, instrument
from midigen.loudness import Meter
from midigen.profiles.pitch import pitch_hz
from midigen.profiles.plain import plain
from midigen.profiles.timbre import (
    NoteSound,
    Quartiles,
    decay_seconds,
    fall_of,
    levels_of,
    octaves_a_10_db,
    quartiles,
    sound_of,
)
from midigen.renderers import render
from midigen.score import TICKS_PER_QUARTER, Control, Note, Part, Score, Tempo
from midigen.signals import in_blocks
from midigen.soundfonts import SoundFont
from midigen.spectra import Spectrum, SpectrumMeter

VELOCITIES = (24, 50, 76, 102, 127)
PITCHES = 7  # over the range of an instrument
DRUM_KEYS = {36: "kick", 38: "snare", 42: "closed hat", 46: "open hat", 45: "low tom", 49: "crash", 51: "ride"}
TEMPO_QPM = 60.0  # a quarter is a second
HELD_SECONDS, RELEASE_SECONDS = 1.5, 1.2
LEAD_SECONDS = 0.05  # of silence before each note
SLOT_SECONDS = LEAD_SECONDS + HELD_SECONDS + RELEASE_SECONDS
CUT_SECONDS = 0.01  # before a slot, what still sounds is cut off
ALL_SOUND_OFF = 120  # MIDI 1.0, channel mode messages
DIED_AWAY_DB = 40.0  # under its highest level
RATE = 44_100


@dataclass(frozen=True, slots=True)
class TestNote:
    """A test note: what was played, how loud it was (highest momentary loudness in LUFS), how it sounded, and
    ``release_seconds``, the time in which it would fall by 60 dB when it is let go (``None`` for drums, and where it
    has ended before)."""

    pitch: int
    velocity: int
    loudness_lufs: float
    release_seconds: float | None
    sound: NoteSound


@dataclass(frozen=True, slots=True)
class AtVelocity:
    """What is usual at a velocity, over all pitches: loudness, and brightness."""

    velocity: int
    loudness_lufs: float
    centroid_hz: float


@dataclass(frozen=True, eq=False)
class Outline:
    """The level of one test note: in dB of full scale, ``level_db``, at ``seconds`` after it is struck; ``(n,)``."""

    pitch: int
    velocity: int
    seconds: np.ndarray
    level_db: np.ndarray


@dataclass(frozen=True, eq=False)
class FontProfile:
    """How a SoundFont plays an instrument, as :func:`profile_of_font` measured it.

    ``kind`` is the instrument, ``preset`` the sound's name in the font. ``pitches`` and ``velocities`` are what was
    played, ``lowest`` and ``highest`` the pitches of the instrument, ``silent`` those that gave no sound.
    ``velocity_law_db`` is how much louder ten times the velocity is: 40 is the law of the SoundFont standard; ``None``
    for fewer than two velocities. ``by_velocity`` has loudness and brightness, ``notes`` every note; the outlines
    are those of the pitch in the middle, ``spectrum`` that of all notes together.
    """

    font: str
    kind: str
    preset: str
    lowest: int
    highest: int
    pitches: tuple[int, ...]
    velocities: tuple[int, ...]
    silent: tuple[int, ...]
    velocity_law_db: float | None
    brightness_octaves_per_10_db: float | None
    by_velocity: tuple[AtVelocity, ...]
    attack_seconds: Quartiles | None
    decay_db_per_second: Quartiles | None
    decay_seconds: float | None
    release_seconds: float | None
    harmonicity: Quartiles | None
    inharmonicity: float | None
    width: float
    notes: tuple[TestNote, ...]
    outlines: tuple[Outline, ...]
    spectrum: Spectrum

    def to_dict(self) -> dict[str, Any]:
        """As plain values for JSON: numbers to six digits, ``None`` for what is infinite; outlines left out."""
        kept = {name: value for name, value in vars(self).items() if name not in ("outlines", "kind")}
        return plain({"version": 1, "kind": "soundfont", "part": self.kind, **kept})


def profile_of_font(
    font: SoundFont,
    part: str,
    preset: str | None = None,
    *,
    pitches: Sequence[int] | None = None,
    velocities: Sequence[int] = VELOCITIES,
) -> FontProfile:
    """Play test notes of an instrument with ``font`` and describe how they sound.

    ``part`` is a row of the instrument table; ``preset`` the sound in the font (a name, a program such as "25", or bank
    and program as "8:25"), without it the instrument's usual one. ``pitches`` (MIDI, 0 to 127) are seven over its range
    if none are given, for drums the keys of General MIDI's most important ones; ``velocities`` are 1 to 127. Notes are
    held for 1.5 seconds. Raises :class:`BadRequest`, also where the font has no such sound, or is silent throughout;
    :class:`midigen.errors.BadFile` and :class:`midigen.errors.MissingTool`.
    """
    row = instrument(part)
    chosen = tuple(sorted(set(pitches))) if pitches is not None else _pitches(row)
    strengths = tuple(sorted(set(velocities)))
    if not chosen or not strengths:
        raise BadRequest(
            f"test notes of {len(chosen)} pitches and {len(strengths)} velocities: give one or more of both"
        )
    played = [(pitch, velocity) for pitch in chosen for velocity in strengths]
    presets = None if preset is None else {row.name: preset}
    (stem,) = render(_score(row, played), {row.name: font}, rate=RATE, presets=presets)
    meter = SpectrumMeter(RATE, stem.audio.channels)
    notes: list[TestNote] = []
    outlines: list[Outline] = []
    middle = chosen[len(chosen) // 2]
    for (pitch, velocity), samples in zip(played, _slots(stem.audio, len(played)), strict=True):
        meter.feed(samples)
        note = _measured(samples, pitch, velocity, row)
        if note is None:
            continue
        notes.append(note)
        if pitch == middle:
            times, levels = levels_of(samples[:, round(LEAD_SECONDS * RATE) :], RATE)
            outlines.append(Outline(pitch, velocity, times, levels))
    if not notes:
        raise BadRequest(f"SoundFont {font.name}: {stem.sound!r} plays no sound from {chosen[0]} to {chosen[-1]}")
    sounds = [note.sound for note in notes]
    decay = quartiles([sound.decay_db_per_second for sound in sounds])
    release = quartiles([note.release_seconds for note in notes])
    stretch = None if row.is_drum else quartiles([sound.inharmonicity for sound in sounds])
    return FontProfile(
        font=font.name,
        kind=row.name,
        preset=stem.sound,
        lowest=row.lowest,
        highest=row.highest,
        pitches=chosen,
        velocities=strengths,
        silent=tuple(pitch for pitch in chosen if pitch not in {note.pitch for note in notes}),
        velocity_law_db=_velocity_law_db(notes),
        brightness_octaves_per_10_db=_brightening(notes),
        by_velocity=tuple(_at(velocity, notes) for velocity in strengths if any(n.velocity == velocity for n in notes)),
        attack_seconds=quartiles([sound.attack_seconds for sound in sounds]),
        decay_db_per_second=decay,
        decay_seconds=decay_seconds(decay.median) if decay is not None else None,
        release_seconds=release.median if release is not None else None,
        harmonicity=quartiles([sound.harmonicity for sound in sounds]),
        inharmonicity=stretch.median if stretch is not None else None,
        width=float(np.mean([sound.width for sound in sounds])),
        notes=tuple(notes),
        outlines=tuple(outlines),
        spectrum=meter.reading(),
    )


def _pitches(row: Instrument) -> tuple[int, ...]:
    if row.is_drum:
        return tuple(sorted(DRUM_KEYS))
    return tuple(round(pitch) for pitch in np.linspace(row.lowest, row.highest, PITCHES).tolist())


def _score(row: Instrument, played: Sequence[tuple[int, int]]) -> Score:
    """One note after the other, each in a slot of its own, where nothing is left of the one before."""

    def ticks(seconds: float) -> int:
        return round(seconds * TICKS_PER_QUARTER)

    slots = [number * SLOT_SECONDS for number in range(len(played))]
    notes = [
        Note(ticks(slot + LEAD_SECONDS), pitch, ticks(HELD_SECONDS), velocity)
        for slot, (pitch, velocity) in zip(slots, played, strict=True)
    ]
    cuts = [Control(ticks(slot - CUT_SECONDS), ALL_SOUND_OFF, 0) for slot in slots[1:]]
    part = Part(
        row.name, row.name, row.default_program, is_drum=row.is_drum, notes=tuple(sorted(notes)), controls=tuple(cuts)
    )
    return Score((part,), (Tempo(0, TEMPO_QPM),))


def _slots(sound: Signal, number: int) -> Iterator[np.ndarray]:
    """The slots of ``number`` test notes, each ``(channels, frames)``; silence where the sound has ended before."""
    frames = round(SLOT_SECONDS * sound.rate)
    given = 0
    for block in in_blocks(sound.blocks(), frames):
        if given == number:
            return
        given += 1
        yield np.pad(block, ((0, 0), (0, frames - block.shape[1])))
    for _ in range(number - given):
        yield np.zeros((sound.channels, frames), dtype=np.float32)


def _measured(samples: np.ndarray, pitch: int, velocity: int, row: Instrument) -> TestNote | None:
    lead, held = round(LEAD_SECONDS * RATE), round(HELD_SECONDS * RATE)
    sound = sound_of(
        samples, RATE, lead=lead, held=None if row.is_drum else held, near_hz=None if row.is_drum else pitch_hz(pitch)
    )
    if sound is None:
        return None
    meter = Meter(RATE, samples.shape[0], true_peak=False)
    meter.feed(samples)
    release = None
    if row.is_drum:  # a drum is no string, and is not let go
        sound = replace(sound, inharmonicity=None)
    else:
        times, levels = levels_of(samples[:, lead + held :].astype(np.float64), RATE)
        if levels[0] > sound.level_db - DIED_AWAY_DB:  # else nothing can be told any more
            release = decay_seconds(fall_of(times, levels))
    return TestNote(pitch, velocity, meter.reading().momentary_max_lufs, release, sound)


def _velocity_law_db(notes: Sequence[TestNote]) -> float | None:
    """The slope of loudness over the logarithm of velocity, every pitch for itself, by least squares."""
    rows = [(n.pitch, math.log10(n.velocity), n.loudness_lufs) for n in notes if math.isfinite(n.loudness_lufs)]
    tens, louder = [], []
    for pitch in {pitch for pitch, _, _ in rows}:
        own = np.array([(x, y) for p, x, y in rows if p == pitch])
        own = own - own.mean(axis=0)
        tens.append(own[:, 0])
        louder.append(own[:, 1])
    if not rows:
        return None
    x, y = np.concatenate(tens), np.concatenate(louder)
    spread = float(x @ x)
    return float(x @ y) / spread if spread > 0 else None


def _brightening(notes: Sequence[TestNote]) -> float | None:
    """The median over the pitches: high notes are brighter than low ones, whatever their level."""
    slopes = [
        octaves_a_10_db([note.sound for note in notes if note.pitch == pitch])
        for pitch in sorted({note.pitch for note in notes})
    ]
    known = [slope for slope in slopes if slope is not None]
    return float(np.median(known)) if known else None


def _at(velocity: int, notes: Sequence[TestNote]) -> AtVelocity:
    own = [note for note in notes if note.velocity == velocity]
    return AtVelocity(
        velocity,
        float(np.median([note.loudness_lufs for note in own])),
        float(np.median([note.sound.centroid_hz for note in own])),
    )
