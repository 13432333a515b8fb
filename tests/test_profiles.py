"""Spectra, outlines and profiles, against sounds whose properties are known."""

from __future__ import annotations

import argparse
import itertools
import json
import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from conftest import needs_fluidsynth
from hypothesis import given, settings
from hypothesis import strategies as st
from synthetic_soundfont import SOUNDS, write_soundfont

from midigen.audio import Audio, Signal, write_audio
from midigen.cli import profile as command
from midigen.effects.equaliser import Equaliser
from midigen.errors import BadFile, BadRequest, OutputError
from midigen.instruments import INSTRUMENTS
from midigen.profiles import Profile, profile_of
from midigen.profiles.equalising import REFERENCES, suggest_equaliser, usual_db
from midigen.profiles.fonts import FontProfile, profile_of_font
from midigen.profiles.onsets import curves_of, onsets_of
from midigen.profiles.pitch import inharmonicity_of, pitch_hz, register_of, tone_of
from midigen.profiles.timbre import NoteSound, attack_of, colour_of, decay_seconds, octaves_a_10_db, quartiles, sound_of
from midigen.soundfonts import SoundFont, read_soundfont
from midigen.spectra import OCTAVES_HZ, THIRDS_HZ, Spectrum, spectrum_of
from midigen.tracing import Tracer, trace_of

RATE = 44_100


def tone(
    hz: float,
    partials: tuple[float, ...] = (1.0, 0.5, 0.25),
    seconds: float = 1.0,
    *,
    rise: float = 0.005,
    fade: float = 0.0,
    fall_db: float = 0.0,
    stiffness: float = 0.0,
    level: float = 0.1,
) -> np.ndarray:
    """A tone that rises in a straight line and falls evenly, ``fall_db`` a second, to a ``fade``; ``(frames,)``."""
    time = np.arange(round(seconds * RATE)) / RATE
    wave = sum(
        amplitude * np.sin(2 * np.pi * number * hz * math.sqrt(1 + stiffness * number**2) * time + number)
        for number, amplitude in enumerate(partials, 1)
    )
    edges = np.minimum(time / rise, 1) * (np.minimum((seconds - time) / fade, 1) if fade else 1)
    return level * wave * edges * 10 ** (-fall_db * time / 20)


def noise(seconds: float = 1.0, level: float = 0.1, seed: int = 0, channels: int = 1) -> np.ndarray:
    return level * np.random.default_rng(seed).normal(size=(channels, round(seconds * RATE)))


def audio(*channels: np.ndarray) -> Audio:
    return Audio(np.stack(channels).astype(np.float32), RATE)


def melody(*pitches: float, seconds: float = 0.4, level: float = 0.1, fall_db: float = 20.0) -> np.ndarray:
    notes = []
    for pitch in pitches:
        one = tone(pitch_hz(pitch), seconds=seconds, fall_db=fall_db, level=level)
        one[-200:] *= np.linspace(1, 0, 200)
        notes.append(one)
    return np.concatenate(notes)


class Cut:
    """A sound in blocks of odd sizes, whatever is asked for."""

    def __init__(self, sound: Audio, size: int) -> None:
        self._sound, self._size = sound, size
        self.rate, self.channels, self.frames = sound.rate, sound.channels, sound.frames

    def blocks(self, size: int = 0) -> Iterator[np.ndarray]:
        return self._sound.blocks(self._size)


def measured(samples: np.ndarray, **more: object) -> NoteSound:
    """``sound_of``, where there is a sound."""
    found = sound_of(np.atleast_2d(samples), RATE, **more)  # type: ignore[arg-type]
    assert found is not None
    return found


def profile(*channels: np.ndarray) -> Profile:
    return profile_of(audio(*channels))


# Spectra


@settings(max_examples=20)
@given(frames=st.integers(1, 40_000), seed=st.integers(0, 9), channels=st.integers(1, 3))
def test_all_frequencies_together_are_the_mean_square(frames: int, seed: int, channels: int) -> None:
    samples = np.random.default_rng(seed).normal(0, 0.2, (channels, frames)).astype(np.float32)
    samples[:, : frames // 2] = 0  # an onset in the middle: what one window would weight less
    spectrum = spectrum_of(Audio(samples, RATE))
    assert spectrum.mean_square == pytest.approx(np.square(samples, dtype=np.float64).mean(), rel=1e-6)
    assert spectrum.power_below(np.array([RATE / 2 + spectrum.step_hz]))[0] == pytest.approx(spectrum.mean_square)


@pytest.mark.parametrize("hz", [31.6, 126, 1000, 7943, 15_849])
def test_a_tone_lies_in_its_band_at_its_level(hz: float) -> None:
    spectrum = spectrum_of(audio(tone(hz, (1.0,), 10.0, rise=0.2, fade=0.2)))
    octaves, thirds = spectrum.octaves_db(), spectrum.thirds_db()
    assert octaves[int(np.argmin(np.abs(np.log(np.array(OCTAVES_HZ) / hz))))] == pytest.approx(-23.01, abs=0.25)
    assert np.argmax(thirds) == np.argmin(np.abs(np.log(np.array(THIRDS_HZ) / hz)))
    two_octaves_off = np.abs(np.log2(np.array(OCTAVES_HZ) / hz)) > 1.9
    assert octaves[two_octaves_off].max() < -70


def test_white_noise_rises_by_three_decibels_an_octave() -> None:
    levels = spectrum_of(audio(noise(20)[0])).octaves_db()
    assert np.diff(levels) == pytest.approx(np.full(9, 10 * math.log10(10**0.3)), abs=0.4)


def test_the_spectrum_of_silence_is_silent_at_any_rate() -> None:
    for rate in (8_000, 48_000, 192_000):
        spectrum = spectrum_of(Audio(np.zeros((2, 5_000), dtype=np.float32), rate))
        assert spectrum.mean_square == 0
        assert np.isneginf(spectrum.octaves_db()).all()
    high = Audio(np.ones((1, 8_000), dtype=np.float32), 8_000)
    assert np.isneginf(spectrum_of(high).octaves_db()[-2:]).all()  # above half the rate


@settings(max_examples=12)
@given(size=st.integers(1, 70_000), frames=st.integers(1, 100_000))
def test_neither_spectrum_nor_outline_depends_on_the_blocks(size: int, frames: int) -> None:
    sound = Audio(noise(frames / RATE, channels=2).astype(np.float32), RATE)
    size = max(size, frames // 300)
    whole, cut = trace_of(sound), trace_of(Cut(sound, size))
    assert np.array_equal(whole.spectrum.power, cut.spectrum.power)
    for name in ("lowest", "highest", "rms"):
        assert np.array_equal(getattr(whole.envelope, name), getattr(cut.envelope, name))


@pytest.mark.parametrize("frames", [1, 63, 64, 1_000, 128_000, 128_001, 1_000_003])
def test_an_outline_shows_what_there_is_in_bounded_columns(frames: int) -> None:
    sound = noise(frames / RATE, channels=2).astype(np.float32)
    envelope = trace_of(Audio(sound, RATE)).envelope
    length = round(envelope.seconds_a_column * RATE)
    assert len(envelope.rms) <= 2_001
    assert len(envelope.rms) == -(-frames // length)
    for number in {0, len(envelope.rms) // 2, len(envelope.rms) - 1}:
        piece = sound[:, number * length : (number + 1) * length]
        assert envelope.lowest[number] == piece.min()
        assert envelope.highest[number] == piece.max()
        assert envelope.rms[number] == pytest.approx(np.sqrt(np.square(piece, dtype=np.float64).mean()))


def test_a_tracer_may_be_read_in_between() -> None:
    sound = audio(noise(3)[0], noise(3, seed=1)[0])
    tracer = Tracer(RATE, 2)
    for block in sound.blocks(10_000):
        tracer.feed(block)
        tracer.reading()
    assert np.array_equal(tracer.reading().spectrum.power, spectrum_of(sound).power)
    assert tracer.reading().seconds == sound.seconds
    with pytest.raises(BadRequest, match="1 columns"):
        Tracer(RATE, 2, columns=1)


# Timbre


def test_the_centroid_is_the_mean_of_the_partials() -> None:
    centroid_hz, rolloff_hz = colour_of(tone(500, (1.0, 0.0, 0.5, 0.3), 2.0, rise=0.05, fade=0.05)[None], RATE)
    assert centroid_hz == pytest.approx((500 + 0.5 * 1500 + 0.3 * 2000) / 1.8, rel=0.02)
    assert rolloff_hz == pytest.approx(2000, abs=25)  # up to 1500 Hz there are 93.3 %
    assert colour_of(np.zeros((1, 5_000)), RATE) == (0.0, 0.0)


def test_noise_has_its_centroid_in_the_middle() -> None:
    centroid_hz, rolloff_hz = colour_of(noise(3), RATE)
    assert centroid_hz == pytest.approx(RATE / 4, rel=0.02)
    assert rolloff_hz == pytest.approx(0.95 * RATE / 2, rel=0.02)


@pytest.mark.parametrize("rise", [0.02, 0.1, 0.5])
@pytest.mark.parametrize("hz", [110, 440, 2000])
def test_a_straight_attack_takes_four_fifths_of_its_rise(hz: float, rise: float) -> None:
    attack = attack_of(np.pad(tone(hz, (1.0, 0.3), rise=rise), (900, 0))[None], RATE, 900, 1 / hz)
    assert attack == pytest.approx(0.8 * rise, rel=0.12, abs=1.2 / hz)


def test_a_swell_behind_the_attack_is_none_of_it() -> None:
    time = np.arange(RATE) / RATE
    swelling = tone(440, rise=0.01) * (1 + 0.15 * time)  # 15 % louder in the end
    assert attack_of(swelling[None], RATE, 0, 1 / 440) == pytest.approx(0.008, abs=0.003)


def test_an_attack_over_what_sounds_is_not_told() -> None:
    lead = round(0.05 * RATE)
    loud = np.concatenate([0.9 * tone(300, seconds=0.05), tone(440)])
    assert attack_of(loud[None], RATE, lead) is None
    soft = np.concatenate([0.02 * tone(300, seconds=0.05), tone(440, rise=0.05)])
    assert attack_of(soft[None], RATE, lead) == pytest.approx(0.04, rel=0.15)


@pytest.mark.parametrize("fall_db", [5, 20, 60, 200, 400])
def test_an_even_decay_is_told_in_decibels_a_second(fall_db: float) -> None:
    sound = measured(tone(220, seconds=1.5, fall_db=fall_db))
    assert sound.decay_db_per_second == pytest.approx(fall_db, rel=0.03)
    assert sound.decay_seconds == pytest.approx(60 / fall_db, rel=0.03)


def test_a_held_tone_does_not_decay() -> None:
    assert measured(tone(220)).decay_db_per_second == pytest.approx(0, abs=0.5)
    assert measured(tone(220)).decay_seconds is None
    assert decay_seconds(None) is None
    assert measured(tone(220, seconds=0.1, rise=0.001)).decay_db_per_second is None  # too short


@pytest.mark.parametrize("pitch", [21, 28, 40, 57, 69, 84, 96, 108])
@pytest.mark.parametrize("partials", [(1.0,), (1.0, 0.5, 0.33, 0.25, 0.2), (0.2, 1.0, 0.6, 0.3)])
def test_a_pitch_is_right_to_a_few_cents(pitch: int, partials: tuple[float, ...]) -> None:
    hz = pitch_hz(pitch)
    there = tuple(level for number, level in enumerate(partials, 1) if number * hz < 0.45 * RATE)
    found = tone_of(tone(hz, there, 0.4), RATE)
    assert found is not None
    assert abs(1200 * math.log2(found.hz / hz)) < (4 if hz > 30 else 8)
    assert found.harmonicity > 0.97
    assert tone_of(tone(hz, there, 0.4), RATE, near_hz=hz * 1.03) is not None


@pytest.mark.parametrize("signal_to_noise_db", [0, 10, 20])
def test_harmonicity_is_the_share_of_the_tone(signal_to_noise_db: float) -> None:
    wave = tone(220, seconds=0.5)
    hiss = noise(0.5)[0]
    hiss *= np.sqrt(np.square(wave).mean() / np.square(hiss).mean() / 10 ** (signal_to_noise_db / 10))
    share = 10 ** (signal_to_noise_db / 10) / (1 + 10 ** (signal_to_noise_db / 10))
    found = tone_of(wave + hiss, RATE, near_hz=220)
    assert found is not None
    assert found.harmonicity == pytest.approx(share, abs=0.04)


def test_neither_noise_nor_silence_is_a_tone() -> None:
    found = tone_of(noise(0.5)[0], RATE)
    assert found is None or found.harmonicity < 0.4
    assert tone_of(np.zeros(RATE), RATE) is None
    assert tone_of(np.ones(RATE), RATE) is None  # a constant
    assert tone_of(np.zeros(0), RATE) is None
    assert tone_of(np.ones(3), RATE) is None


@pytest.mark.parametrize("stiffness", [0.0, 1e-4, 4e-4, 2e-3])
@pytest.mark.parametrize("hz", [55, 220, 880])
def test_the_stretch_of_a_string_is_found(hz: float, stiffness: float) -> None:
    partials = tuple(1 / number for number in range(1, 13))
    wave = tone(hz, partials, stiffness=stiffness, fall_db=10)
    assert inharmonicity_of(wave, RATE, hz * 1.002) == pytest.approx(stiffness, rel=0.03, abs=2e-6)


def test_without_partials_there_is_no_stretch() -> None:
    assert inharmonicity_of(tone(220, (1.0,)), RATE, 220) is None
    assert inharmonicity_of(noise()[0], RATE, 220) is None
    assert inharmonicity_of(tone(55, seconds=0.1), RATE, 55) is None  # five periods
    assert inharmonicity_of(np.zeros(RATE), RATE, 220) is None


def test_width_goes_from_mono_to_upside_down() -> None:
    one, other = tone(220), noise()[0]
    assert measured(one).width == 0
    assert measured(np.stack([one, one])).width == 0
    assert measured(np.stack([one, np.zeros_like(one)])).width == pytest.approx(0.5)
    assert measured(noise(3, channels=2)).width == pytest.approx(0.5, abs=0.01)
    assert measured(np.stack([other, -other])).width == pytest.approx(1)


def test_a_note_that_is_not_heard_is_none() -> None:
    assert sound_of(np.zeros((2, RATE)), RATE) is None
    assert sound_of(tone(220, level=1e-6)[None], RATE) is None
    assert sound_of(np.zeros((2, 0)), RATE) is None


def test_brightness_by_level_leaves_out_what_pitch_does() -> None:
    sounds = []
    for pitch, louder in ((45, 0), (52, 6), (57, 12), (64, 0), (69, 6), (76, 12), (50, 0), (71, 12)):
        bright = 0.3 * 10 ** (louder / 20)  # the upper partial grows with level
        sounds.append(measured(tone(pitch_hz(pitch), (1.0, bright), 0.5, level=0.02 * 10 ** (louder / 20))))
    slope = octaves_a_10_db(sounds, pitched=True)
    assert slope is not None
    assert 0.1 < slope < 0.6
    assert octaves_a_10_db(sounds[:3]) is None
    assert octaves_a_10_db([sounds[0]] * 9) is None  # all of one level


def test_quartiles_want_a_quarter_of_the_values() -> None:
    found = quartiles([1.0, None, 3.0, 2.0])
    assert found is not None
    assert (found.low, found.median, found.high) == (1.5, 2.0, 2.5)
    assert quartiles([1.0, *[None] * 4]) is None
    assert quartiles([]) is None


# Onsets


def test_notes_are_found_where_they_begin() -> None:
    dice = np.random.default_rng(1)
    starts = np.cumsum(dice.uniform(0.12, 0.6, 25))
    sound = np.zeros(round((starts[-1] + 1) * RATE))
    for number, start in enumerate(starts.tolist()):
        at = round(start * RATE)
        one = tone(pitch_hz(40 + 7 * number % 40), seconds=0.8, fall_db=50, level=float(dice.uniform(0.02, 0.3)))
        sound[at : at + len(one)] += one[: len(sound) - at]
    found = onsets_of(curves_of(audio(sound), 1.0))
    assert len(found) == len(starts)
    assert np.abs(found - starts).max() < 0.025


def test_what_goes_on_evenly_begins_once() -> None:
    for sound in (tone(220, seconds=3), noise(3)[0]):
        assert onsets_of(curves_of(audio(sound), 1.0)) == pytest.approx([0], abs=0.03)
    assert len(onsets_of(curves_of(audio(np.zeros(RATE)), 0.0))) == 0
    time = np.arange(3 * RATE) / RATE
    vibrato = 0.1 * np.sin(2 * np.pi * 440 * time + 3 * np.sin(2 * np.pi * 6 * time))
    assert len(onsets_of(curves_of(audio(vibrato), 1.0))) == 1


def test_the_level_does_not_move_onsets() -> None:
    sound = melody(60, 64, 67, 72)
    assert np.array_equal(
        onsets_of(curves_of(audio(sound), 0.2)), onsets_of(curves_of(audio(sound * 0.01), 0.2 * 0.01))
    )


# Profiles of stems


def test_a_melody_has_a_range() -> None:
    found = profile(melody(*range(40, 53), *range(52, 39, -1), fall_db=80))
    assert found.onsets == 26
    assert found.pitch is not None
    assert (found.pitch.lowest, found.pitch.median, found.pitch.highest) == (40, 46, 52)
    assert found.pitch_remark == ""
    assert found.pitch.register == "low" == register_of(46)
    assert found.pitch.share == 1
    assert found.timbre is not None
    assert found.timbre.decay_db_per_second is not None
    assert found.timbre.decay_db_per_second.median == pytest.approx(80, rel=0.1)
    assert found.timbre.decay_seconds == pytest.approx(0.75, rel=0.1)
    assert found.timbre.attack_seconds is not None
    assert found.timbre.attack_seconds.median < 0.02


def test_chords_and_noise_have_none_and_it_is_said() -> None:
    chords = sum(melody(*(root + step for root in (48, 53, 55, 50, 57, 48))) for step in (0, 4, 7))
    for sound, onsets in ((chords, 6), (noise(2)[0], 1)):
        found = profile(np.asarray(sound))
        assert found.onsets == onsets
        assert found.pitch is None
        assert "clear pitch in 0%" in found.pitch_remark
        assert found.timbre is not None
        assert found.timbre.inharmonicity is None


def test_one_note_is_too_little_for_a_range() -> None:
    found = profile(tone(220))
    assert found.onsets == 1
    assert found.pitch is None
    assert "too few" in found.pitch_remark
    assert found.timbre is not None
    assert found.dynamics is not None
    assert found.dynamics.range_db == 0
    assert found.timbre.brightness_octaves_per_10_db is None


@pytest.mark.parametrize("frames", [1, 100, 3 * RATE])
def test_silence_has_an_empty_profile(frames: int) -> None:
    found = profile(np.zeros(frames), np.zeros(frames))
    assert (found.onsets, found.notes, found.pitch, found.timbre, found.dynamics) == (0, (), None, None, None)
    assert found.levels.integrated_lufs == -math.inf
    assert (found.width, found.balance_db, found.levels.crest_db) == (0, 0, 0)
    told = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert told["levels"]["integrated_lufs"] is None


def test_what_grows_out_of_nothing_is_one_note() -> None:
    found = profile(tone(220, seconds=4, rise=4, level=0.02))
    assert found.onsets >= 1
    assert found.timbre is not None


def test_levels_are_those_of_the_sound() -> None:
    sine = tone(1000, (1.0,), 5, rise=1e-5, level=0.5)
    found = profile(sine, sine)
    assert found.levels.integrated_lufs == pytest.approx(20 * math.log10(0.5), abs=0.1)
    assert found.levels.peak_dbfs == pytest.approx(-6.02, abs=0.01)
    assert found.levels.crest_db == pytest.approx(3.01, abs=0.02)
    assert found.balance_db == 0
    assert profile(sine, sine / 2).balance_db == pytest.approx(-6.02, abs=0.01)
    assert profile(sine, 0 * sine).balance_db == -math.inf
    soft = np.concatenate([melody(60, 62, 64, level=0.01), melody(60, 62, 64, level=0.1)])
    dynamics = profile(soft).dynamics
    assert dynamics is not None
    assert dynamics.range_db == pytest.approx(20, abs=0.5)


def test_clipping_is_counted() -> None:
    loud = tone(100, (1.0,), 2, level=1.5)
    assert profile(loud).levels.clipped_frames == 0  # over full scale, not cut off there: three in a row are needed
    clipped = np.clip(loud, -1, 1)
    expected = np.abs(clipped) >= 1
    inside = int((expected[:-2] & expected[1:-1] & expected[2:]).sum())
    assert inside > 1_000
    assert profile(clipped).levels.clipped_frames == inside
    assert profile(0.5 * clipped).levels.clipped_frames == 0


def test_a_profile_does_not_depend_on_the_blocks() -> None:
    sound = audio(melody(40, 47, 52, 59, 64, 71), 0.5 * melody(40, 47, 52, 59, 64, 71))
    told = json.dumps(profile_of(sound).to_dict())
    for size in (997, 30_000, 10**9):
        cut: Signal = Cut(sound, size)
        assert json.dumps(profile_of(cut).to_dict()) == told


@pytest.mark.parametrize("rate", [8_000, 22_050, 96_000])
def test_any_rate_will_do(rate: int) -> None:
    time = np.arange(rate) / rate
    notes = [0.1 * np.sin(2 * np.pi * pitch_hz(p) * time) * np.exp(-4 * time) for p in (50, 55, 60, 62, 57, 52)]
    found = profile_of(Audio(np.concatenate(notes)[None].astype(np.float32), rate))
    assert found.onsets == 6
    assert found.pitch is not None
    assert (found.pitch.lowest, found.pitch.highest) == (50, 62)


# The equaliser


def spectrum_from(octaves_db: np.ndarray) -> Spectrum:
    """A sound with so much in each octave, evenly spread over it."""
    hz = np.arange(16_385) * RATE / 32_768
    power = np.zeros(len(hz))
    for middle, level in zip(OCTAVES_HZ, octaves_db.tolist(), strict=True):
        inside = (hz >= middle / 10**0.15) & (hz < middle * 10**0.15)
        power[inside] = 10 ** (level / 10) / inside.sum()
    return Spectrum(power, RATE)


@pytest.mark.parametrize("kind", INSTRUMENTS)
def test_what_is_usual_is_left_alone(kind: str) -> None:
    usual = np.array(REFERENCES[kind].levels_db)
    for level_db in (0.0, -40.0):
        found = suggest_equaliser(spectrum_from(usual + level_db), kind)
        assert (found.mid_db, found.high_db) == (0, 0)
        laid = usual_db(spectrum_from(usual + level_db), kind, np.array(OCTAVES_HZ))
        assert laid == pytest.approx(usual + level_db - 4.77, abs=0.2)


@pytest.mark.parametrize("kind", INSTRUMENTS)
def test_mud_is_cut_and_presence_corrected_within_bounds(kind: str) -> None:
    usual = np.array(REFERENCES[kind].levels_db)
    octave = np.arange(10)
    muddy = [
        suggest_equaliser(spectrum_from(usual + amount * (octave == 3)), kind).mid_db for amount in range(0, 30, 3)
    ]
    assert muddy[0] == 0
    assert all(later <= earlier for earlier, later in itertools.pairwise(muddy))
    assert muddy[-1] == -3
    assert suggest_equaliser(spectrum_from(usual - 20 * (octave == 3)), kind).mid_db == 0
    for amount, expected in ((-30, 3), (30, -3)):
        tilted = suggest_equaliser(spectrum_from(usual + amount * (octave >= 6)), kind)
        assert tilted.high_db == expected
        assert any("kHz" in reason for reason in tilted.reasons)
        Equaliser(**tilted.settings())  # type: ignore[arg-type]  # what is suggested can be set


def test_a_correction_makes_the_next_one_smaller() -> None:
    usual = np.array(REFERENCES["piano"].levels_db) + 6 * (np.arange(10) == 3)
    spectrum = spectrum_from(usual)
    found = suggest_equaliser(spectrum, "piano")
    assert found.mid_db < -1
    response_db = Equaliser(**found.settings()).response_db(np.maximum(spectrum.hz[:-1], 1), RATE)  # type: ignore[arg-type]
    corrected = Spectrum(np.append(spectrum.power[:-1] * 10 ** (response_db / 10), 0.0), RATE)
    assert found.mid_db < suggest_equaliser(corrected, "piano").mid_db <= 0


@pytest.mark.parametrize(
    ("kind", "lowest"), [("guitar", 45), ("piano", 36), ("piano", 60), ("bass", 28), ("other", 55)]
)
def test_the_high_pass_takes_nothing_of_the_part(kind: str, lowest: int) -> None:
    sound = melody(*range(lowest, lowest + 12))
    spectrum = spectrum_of(audio(sound))
    found = suggest_equaliser(spectrum, kind)
    assert 0 < found.high_pass_hz < pitch_hz(lowest)
    high_pass = Equaliser(high_pass_hz=found.high_pass_hz)
    assert high_pass.response_db(np.array([pitch_hz(lowest)]), RATE)[0] > -1
    rumble = 0.005 * np.sin(2 * np.pi * 12 * np.arange(len(sound)) / RATE)
    with_rumble = suggest_equaliser(spectrum_of(audio(sound + rumble)), kind)
    assert with_rumble.high_pass_hz == pytest.approx(found.high_pass_hz, rel=0.25)


def test_there_is_nothing_to_suggest_for_silence_and_no_bands_for_others() -> None:
    silence = Spectrum(np.zeros(4_097), RATE)
    assert suggest_equaliser(silence, "piano").settings() == suggest_equaliser(silence, "other").settings()
    assert not suggest_equaliser(silence, "piano").reasons
    assert usual_db(silence, "piano", np.array([100.0])) is None
    hiss = profile(noise(2)[0])
    assert suggest_equaliser(hiss, "other").mid_db == suggest_equaliser(hiss, "other").high_db == 0
    assert suggest_equaliser(hiss, "piano") == suggest_equaliser(hiss.spectrum, "piano")
    with pytest.raises(BadRequest, match="unknown part 'harp': choose from piano"):
        suggest_equaliser(hiss, "harp")


# SoundFonts


@pytest.fixture(scope="module")
def font(tmp_path_factory: pytest.TempPathFactory) -> SoundFont:
    return read_soundfont(write_soundfont(tmp_path_factory.mktemp("fonts") / "synthetic.sf2"))


@pytest.fixture(scope="module")
def sines(font: SoundFont) -> FontProfile:
    return profile_of_font(font, "piano", pitches=(45, 69, 93), velocities=(20, 60, 127))


@needs_fluidsynth
def test_a_font_of_sines_is_described_as_such(sines: FontProfile) -> None:
    assert sines.preset == "Sine"
    assert [(note.pitch, note.velocity) for note in sines.notes] == [
        (p, v) for p in (45, 69, 93) for v in (20, 60, 127)
    ]
    assert sines.velocity_law_db == pytest.approx(40, abs=0.2)  # the law of the SoundFont standard
    for note in sines.notes:
        assert note.sound.pitch_hz == pytest.approx(pitch_hz(note.pitch), rel=0.002)
        assert note.sound.harmonicity == pytest.approx(1, abs=0.002)
        assert note.sound.inharmonicity is None  # one partial
        assert note.sound.decay_seconds is None  # looped: it is held
        assert note.sound.attack_seconds is not None
        assert note.sound.attack_seconds < 1.5 / pitch_hz(note.pitch) + 0.002
        assert note.release_seconds is not None
        assert note.release_seconds < 0.16  # 1 ms, as finely as it can be told
    loud = [note for note in sines.notes if note.velocity == 127]
    assert [note.sound.centroid_hz for note in loud] == pytest.approx([pitch_hz(p) for p in (45, 69, 93)], abs=80)
    # BS.1770: -0.69 + the K-weighting at 440 Hz + two channels
    assert loud[1].loudness_lufs == pytest.approx(loud[1].sound.level_db - 0.69 + 0.01 + 3.01, abs=0.05)
    assert [one.velocity for one in sines.by_velocity] == [20, 60, 127]
    assert sines.brightness_octaves_per_10_db is None  # three velocities: too few to tell
    assert sines.width == 0


@needs_fluidsynth
def test_a_note_does_not_hear_the_one_before(font: SoundFont) -> None:
    bell = profile_of_font(font, "piano", "Bell", pitches=(60, 72), velocities=(127,))
    alone = profile_of_font(font, "piano", "Bell", pitches=(72,), velocities=(127,))
    assert bell.preset == "Bell"
    assert bell.notes[1].release_seconds == pytest.approx(1.2, rel=0.25)  # 100 dB in two seconds
    assert bell.notes[1].sound.level_db == pytest.approx(alone.notes[0].sound.level_db, abs=0.01)
    assert bell.notes[1].sound.attack_seconds == pytest.approx(alone.notes[0].sound.attack_seconds, abs=0.001)


@needs_fluidsynth
def test_drums_are_played_by_their_keys(font: SoundFont) -> None:
    kit = profile_of_font(font, "drums", velocities=(100,))
    assert kit.preset == "Kit"
    assert 36 in kit.pitches
    assert kit.velocity_law_db is None
    assert kit.inharmonicity is None
    assert all(note.release_seconds is None for note in kit.notes)
    told = json.loads(json.dumps(kit.to_dict(), allow_nan=False))
    assert (told["kind"], told["part"], len(told["notes"])) == ("soundfont", "drums", len(kit.notes))


@needs_fluidsynth
def test_what_a_font_has_not_is_said(font: SoundFont, tmp_path: Path) -> None:
    with pytest.raises(BadRequest, match="no preset 'Harp'"):
        profile_of_font(font, "piano", "Harp")
    with pytest.raises(BadRequest, match="unknown part 'harp'"):
        profile_of_font(font, "harp")
    with pytest.raises(BadRequest, match="0 pitches"):
        profile_of_font(font, "piano", pitches=())
    with pytest.raises(BadRequest, match="velocity 0 is outside"):
        profile_of_font(font, "piano", velocities=(0,))
    melodic = read_soundfont(write_soundfont(tmp_path / "melodic.sf2", SOUNDS[:1]))
    with pytest.raises(BadRequest, match="melodic"):
        profile_of_font(melodic, "drums", "128:0")


# The command


def run(*words: object) -> int:
    parser = argparse.ArgumentParser()
    command.add_arguments(parser)
    return command.run(parser.parse_args([str(word) for word in words]))


@pytest.fixture
def stem(tmp_path: Path) -> Path:
    return write_audio(audio(melody(40, 45, 43, 38, 40, 47)), tmp_path / "my bass.wav")


def test_the_command_tells_and_writes(stem: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(stem, "-o", tmp_path / "out") == 0
    said = capsys.readouterr().out
    assert "my bass: bass, 0:02, 44100 Hz, mono, 6 notes or chords" in said
    assert "D2 to B2" in said
    told = json.loads((tmp_path / "out/my bass.json").read_text(encoding="utf-8"))
    assert (told["part"], told["name"], told["onsets"]) == ("bass", "my bass", 6)
    assert told["suggested_equaliser"]["high_pass_hz"] > 0
    assert told["suggested_equaliser"]["reasons"]
    first = {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()}
    assert set(first) == {"my bass.json", "my bass.png"}
    assert first["my bass.png"].startswith(b"\x89PNG")
    run(stem, stem, "--part", "guitar", "-o", tmp_path / "again")
    run(stem, "-o", tmp_path / "again")
    again = {path.name: path.read_bytes() for path in (tmp_path / "again").iterdir()}
    assert set(again) == {*first, "my bass-2.json", "my bass-2.png"}
    assert {name: again[name] for name in first} == first
    assert json.loads(again["my bass-2.json"])["part"] == "guitar"


@needs_fluidsynth
def test_what_a_font_lacks_is_left_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    kit = write_soundfont(tmp_path / "kit.sf2", tuple(sound for sound in SOUNDS if sound.bank == 128))
    assert run(kit) == 0
    said = capsys.readouterr().out
    assert "kit, piano: left out" in said
    assert "kit, drums: drums, " in said
    with pytest.raises(BadRequest, match="no melodic sound"):
        run(kit, "--part", "piano")


@needs_fluidsynth
def test_the_command_takes_fonts(font: SoundFont, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(font.path, "--part", "bass", "--preset", "33", "-o", tmp_path) == 0
    assert "synthetic, bass: bass, 35 test notes" in capsys.readouterr().out
    assert json.loads((tmp_path / "synthetic-bass.json").read_text(encoding="utf-8"))["preset"] == "Bass"
    assert (tmp_path / "synthetic-bass.png").read_bytes().startswith(b"\x89PNG")


def test_what_the_command_cannot_do_is_one_line(stem: Path, tmp_path: Path) -> None:
    for words, error, match in (
        ((stem, "--part", "harp"), BadRequest, "unknown part 'harp'"),
        ((stem, "--preset", "3"), BadRequest, "without --part"),
        ((stem, "--part", "bass", "--preset", "3"), BadRequest, "a sound file has none"),
        ((tmp_path / "none.wav",), BadFile, "no such file"),
        ((tmp_path / "none.sf2",), BadFile, "no such SoundFont"),
        (("no such font at all",), BadFile, "no such font at all"),
        ((stem, "-o", stem), OutputError, "is a file"),
    ):
        with pytest.raises(error, match=match) as caught:
            run(*words)
        assert "\n" not in str(caught.value)
