"""Rendering, against a font whose sounds are known exactly."""

from __future__ import annotations

import hashlib
import math
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from synthetic_soundfont import Sound, write_soundfont

from midigen.errors import BadFile, BadRequest, MissingTool
from midigen.renderers import render
from midigen.renderers.events import BLOCK, messages
from midigen.renderers.fluidsynth import library_version, load_library, presets
from midigen.score import Bend, Control, Note, Part, Score, Tempo
from midigen.soundfonts import SoundFont, find_soundfonts, read_soundfont

RATE = 44_100
SINE, STEP, BELL = 0, 1, 8  # programs of the synthetic font


@pytest.fixture(scope="module")
def font(tmp_path_factory: pytest.TempPathFactory) -> SoundFont:
    return read_soundfont(write_soundfont(tmp_path_factory.mktemp("fonts") / "synthetic.sf2"))


def part(*notes: Note, program: int = SINE, name: str = "part", **more) -> Part:
    return Part(name, program=program, notes=notes, **more)


def sound_of(part: Part, font: SoundFont, **score) -> np.ndarray:
    (stem,) = render(Score((part,), **score), font)
    return stem.audio.samples


def starts(samples: np.ndarray, silence: int = 2_000) -> np.ndarray:
    """The frames at which sound begins after ``silence`` frames without any."""
    heard = np.flatnonzero(np.abs(samples).max(axis=0) > 1e-6)
    return heard[np.concatenate([[True], np.diff(heard) > silence])]


def level_db(samples: np.ndarray) -> float:
    return float(20 * np.log10(np.abs(samples).max()))


def cents(samples: np.ndarray, key: float, start: int = 10_000, length: int = 44_100) -> float:
    """How far the tone in ``samples`` lies above ``key``: from its phase at both ends of a stretch."""
    wave = samples[0, start : start + length].astype(np.float64)
    expected = 440 * 2 ** ((key - 69) / 12)
    turning = np.exp(-2j * np.pi * expected * np.arange(length) / RATE) * wave
    half = length // 2
    window = np.hanning(half)
    turned = np.angle((turning[half : 2 * half] * window).sum() / (turning[:half] * window).sum())
    return 1200 * math.log2(1 + turned / (2 * np.pi) / (half / RATE) / expected)


def test_onsets_lie_within_half_a_block_of_their_time_across_tempo_changes(font: SoundFont) -> None:
    tempos = (Tempo(0, 117.3), Tempo(1_000, 61.7), Tempo(2_345, 203.1))
    onsets = [3, 411, 977, 1_403, 1_999, 2_811, 3_777, 4_801]
    score = Score((part(*(Note(tick, 69, 60, 100) for tick in onsets), program=STEP),), tempos)
    (stem,) = render(score, font)
    found = starts(stem.audio.samples)
    expected = score.seconds(np.array(onsets)) * RATE
    assert len(found) == len(onsets)
    # the envelope begins at nothing, so that sound is seen one frame after the block has begun
    assert np.abs(found - 1 - expected).max() <= BLOCK / 2


def test_a_note_ends_when_its_key_is_let_go(font: SoundFont) -> None:
    samples = sound_of(part(Note(0, 69, 960, 100), program=STEP), font)  # one second
    heard = np.flatnonzero(np.abs(samples[0]) > 1e-3)
    assert abs(heard[-1] - RATE) < 0.02 * RATE


@pytest.mark.parametrize("key", [45, 69, 74, 93])
def test_pitch_is_exact(font: SoundFont, key: int) -> None:
    assert abs(cents(sound_of(part(Note(0, key, 1_920, 100)), font), key)) < 0.05


def test_bends_follow_the_range_that_the_part_sets(font: SoundFont) -> None:
    tone = Note(0, 69, 1_920, 100)  # FluidSynth cuts a modulated pitch to whole cents, and the range to 1/127ths
    assert abs(cents(sound_of(part(tone, bends=(Bend(0, -4096),)), font), 68)) < 2  # two semitones by default
    wide = tuple(Control(0, number, value) for number, value in ((101, 0), (100, 0), (6, 12), (38, 0)))
    assert abs(cents(sound_of(part(tone, controls=wide, bends=(Bend(0, 4096),)), font), 75)) < 2


@pytest.mark.parametrize("velocity", [1, 16, 64, 100])
def test_velocity_follows_its_law(font: SoundFont, velocity: int) -> None:
    loudest = level_db(sound_of(part(Note(0, 69, 480, 127), program=STEP), font))
    measured = level_db(sound_of(part(Note(0, 69, 480, velocity), program=STEP), font)) - loudest
    assert abs(measured - 40 * math.log10(velocity / 127)) < 0.2


def test_volume_and_pan_controllers_are_heard(font: SoundFont) -> None:
    tone = Note(0, 69, 480, 100)
    plain = sound_of(part(tone), font)
    half = sound_of(part(tone, controls=(Control(0, 7, 50),)), font)
    assert abs(level_db(half) - level_db(plain) - 40 * math.log10(50 / 100)) < 0.1
    left = sound_of(part(tone, controls=(Control(0, 10, 0),)), font)
    assert level_db(left[:1]) - level_db(plain[:1]) == pytest.approx(3.01, abs=0.05)
    assert np.abs(left[1]).max() < 1e-4


def test_the_pedal_holds_notes_until_it_is_lifted(font: SoundFont) -> None:
    pedal = (Control(0, 64, 127), Control(1_920, 64, 0))  # two seconds
    samples = sound_of(part(Note(0, 69, 480, 100), controls=pedal), font)
    heard = np.flatnonzero(np.abs(samples[0]) > 1e-3)
    assert abs(heard[-1] - 2 * RATE) < 0.02 * RATE


def test_the_release_belongs_to_the_stem(font: SoundFont) -> None:
    dry = sound_of(part(Note(0, 69, 480, 127), program=SINE), font)
    ringing = sound_of(part(Note(0, 69, 480, 127), program=BELL), font)
    assert dry.shape[1] < 0.7 * RATE
    # the font lets go 100 dB in two seconds; from about -26 dBFS there are some 54 to go until -80
    assert 1.3 * RATE < ringing.shape[1] < 2.2 * RATE
    assert np.abs(ringing[:, -BLOCK:]).max() < 10 ** (-78 / 20)


def test_a_sound_that_does_not_end_is_faded_out(font: SoundFont) -> None:
    samples = sound_of(part(Note(0, 69, 480, 127), controls=(Control(0, 64, 127),)), font)
    assert samples.shape[1] == pytest.approx(10.5 * RATE, abs=BLOCK)
    assert np.abs(samples[:, -10:]).max() < 1e-4 < np.abs(samples[:, -RATE:]).max()


def test_a_stem_depends_on_its_own_notes_only(font: SoundFont) -> None:
    one = part(*(Note(120 * i, 60 + i, 480, 90) for i in range(12)), name="one")
    other = part(*(Note(60 * i, 40 + i, 700, 110) for i in range(20)), name="other", program=BELL)
    drums = part(*(Note(60 * i, 36, 60, 127) for i in range(9)), name="drums", is_drum=True)
    (alone,) = render(Score((one,)), font)
    together = render(Score((other, one, drums)), font)
    assert [stem.name for stem in together] == ["other", "one", "drums"]
    frames = alone.audio.frames
    np.testing.assert_array_equal(together[1].audio.samples[:, :frames], alone.audio.samples)
    assert not together[1].audio.samples[:, frames:].any()
    assert len({stem.audio.frames for stem in together}) == 1


def test_every_render_gives_the_same_bytes_on_any_number_of_threads(font: SoundFont) -> None:
    rng = np.random.default_rng(5)
    parts = tuple(
        part(*(Note(60 * i, int(rng.integers(40, 80)), 200, 90) for i in range(40)), name=f"{n}", program=n % 2 * 8)
        for n in range(5)
    )
    hashes = [
        [hashlib.sha256(stem.audio.samples.tobytes()).hexdigest() for stem in render(Score(parts), font, threads=n)]
        for n in (1, 2, 5, 1)
    ]
    assert hashes[0] == hashes[1] == hashes[2] == hashes[3]
    assert len(set(hashes[0])) == 5


def test_notes_of_no_length_sound(font: SoundFont) -> None:
    samples = sound_of(part(Note(0, 69, 0, 127), Note(480, 69, 0, 127), program=STEP), font)
    assert len(starts(samples)) == 2


def test_a_repeated_key_is_struck_again_and_an_old_end_does_not_cut_the_new_note(font: SoundFont) -> None:
    score = Score((part(Note(0, 69, 960, 100), Note(480, 69, 960, 100), program=STEP),))
    sent = [(m.action, m.values[0]) for m in messages(score, score.parts[0], RATE)]
    assert sent == [("on", 69), ("on", 69), ("off", 69)]
    (stem,) = render(score, font)
    heard = np.flatnonzero(np.abs(stem.audio.samples[0]) > 1e-3)
    assert abs(heard[-1] - 1.5 * RATE) < 0.02 * RATE


@pytest.mark.parametrize("overlap", [-1, 0, 1])
def test_an_end_and_a_start_in_one_block_keep_the_new_note(font: SoundFont, overlap: int) -> None:
    score = Score((part(Note(0, 69, 480 + overlap, 100), Note(480, 69, 480, 100), program=STEP),))
    actions = [m.action for m in messages(score, score.parts[0], RATE)]
    assert actions in (["on", "off", "on", "off"], ["on", "on", "off"])
    samples = render(score, font)[0].audio.samples
    assert np.abs(samples[0, round(0.6 * RATE) : round(0.9 * RATE)]).min() > 0.01


def test_notes_that_begin_together_on_one_key_are_played_once(font: SoundFont) -> None:
    both = sound_of(part(Note(0, 69, 240, 60), Note(0, 69, 960, 90)), font)
    np.testing.assert_array_equal(both, sound_of(part(Note(0, 69, 960, 90)), font))


def test_presets_are_listed(font: SoundFont) -> None:
    found = [(p.bank, p.program, p.name) for p in presets(font)]
    assert found[0] == (0, 0, "Sine") and found[-1] == (128, 0, "Kit")
    assert len(found) == 6


@pytest.mark.parametrize(
    ("asked", "played"),
    [
        ({"program": 33}, "Bass"),
        ({"program": 35}, "Bass"),  # nearest of the family
        ({"program": 70}, "Sine"),  # no such family: the first
        ({"program": 0, "bank": 128}, "Other sine"),  # coarse bank 1
        ({"program": 0, "bank": 1}, "Other sine"),
        ({"program": 8, "bank": 1}, "Bell"),  # not in that bank: bank 0
        ({"program": 25, "is_drum": True}, "Kit"),
    ],
)
def test_a_sound_that_the_font_lacks_gives_way_to_the_nearest(font: SoundFont, asked: dict, played: str) -> None:
    (stem,) = render(Score((Part("x", notes=(Note(0, 60, 240, 100),), **asked),)), font)
    assert stem.sound == played
    assert stem.audio.samples.any()


def test_drums_need_a_drum_kit_unless_the_font_was_chosen_for_them(tmp_path: Path, font: SoundFont) -> None:
    plain = read_soundfont(write_soundfont(tmp_path / "melodic.sf2", (Sound(0, 0, "Only", "constant"),)))
    kit = read_soundfont(write_soundfont(tmp_path / "kit.sf2", (Sound(128, 0, "Kit", "burst"),)))
    drums = Score((Part("drums", "drums", is_drum=True, notes=(Note(0, 36, 120, 100),)),))
    with pytest.raises(BadRequest, match="melodic has no drum kit for part 'drums'"):
        render(drums, plain)
    assert render(drums, {"default": font, "drums": plain})[0].sound == "Only"
    with pytest.raises(BadRequest, match="kit has no melodic sound"):
        render(Score((part(Note(0, 60, 120, 100)),)), kit)


def test_the_font_is_chosen_by_name_then_kind_then_default(tmp_path: Path, font: SoundFont) -> None:
    def named(name: str) -> SoundFont:
        return read_soundfont(write_soundfont(tmp_path / f"{name}.sf2", (Sound(0, 0, name, "sine"),)))

    notes = (Note(0, 60, 120, 100),)
    parts = (Part("lead", "guitar", notes=notes), Part("rhythm", "guitar", notes=notes), Part("x", notes=notes))
    fonts = {"lead": named("ByName"), "guitar": named("ByKind"), "default": named("Rest")}
    assert [stem.sound for stem in render(Score(parts), fonts)] == ["ByName", "ByKind", "Rest"]
    with pytest.raises(BadRequest, match="no SoundFont for part 'x'"):
        render(Score(parts), {"guitar": font})


def test_a_part_without_notes_is_silence_as_long_as_the_rest(font: SoundFont) -> None:
    stems = render(Score((part(name="empty"), part(Note(0, 69, 480, 100)))), font)
    assert not stems[0].audio.samples.any()
    assert stems[0].audio.frames == stems[1].audio.frames > 0


def test_progress_is_told_and_an_error_ends_all_threads_soon(font: SoundFont) -> None:
    long = part(*(Note(480 * i, 60, 480, 100) for i in range(4_000)), name="long")  # more than half an hour
    told: list[str] = []
    render(Score((part(Note(0, 60, 1, 1), name="a"), part(Note(0, 60, 1, 1), name="b"))), font, on_part=told.append)
    assert sorted(told) == ["a", "b"]

    def interrupt(name: str) -> None:
        raise KeyboardInterrupt

    began = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        render(Score((long, part(Note(0, 60, 1, 1)))), font, threads=2, on_part=interrupt)
    assert time.monotonic() - began < 5


def test_a_font_that_the_synthesizer_refuses_gets_one_line_and_no_chatter(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "hollow.sf2"
    path.write_bytes(b"RIFF" + (4 + 40).to_bytes(4, "little") + b"sfbk" + b"LIST" + bytes(36))
    with pytest.raises(BadFile, match=r"hollow\.sf2: FluidSynth cannot use this SoundFont") as caught:
        render(Score((part(Note(0, 60, 1, 1)),)), read_soundfont(path))
    assert "\n" not in str(caught.value)
    assert capfd.readouterr() == ("", "")


def test_a_missing_library_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "fluidsynth", raising=False)
    monkeypatch.delenv("HOMEBREW_PREFIX", raising=False)
    monkeypatch.setattr("ctypes.util.find_library", lambda name: None)
    with pytest.raises(MissingTool, match=r"apt install .*brew install fluid-synth.*Windows"):
        load_library()
    monkeypatch.setitem(sys.modules, "fluidsynth", None)
    with pytest.raises(MissingTool, match="pip install pyfluidsynth"):
        load_library()


@pytest.mark.parametrize(
    ("settings", "says"), [({"rate": 1_000}, "1000 is outside"), ({"threads": 0}, "threads 0"), ({}, "no parts")]
)
def test_what_cannot_be_rendered_gets_one_line(font: SoundFont, settings: dict, says: str) -> None:
    parts = (part(Note(0, 60, 1, 1)),) if settings else ()
    with pytest.raises(BadRequest, match=says):
        render(Score(parts), font, **settings)


def test_more_music_than_the_memory_holds_gets_one_line(font: SoundFont) -> None:
    with pytest.raises(BadRequest, match=r"minutes of 1 parts need \d+ GB of memory"):
        render(Score((part(Note(2**31, 60, 1, 1)),), (Tempo(0, 1.0),)), font)


def test_another_rate_gives_the_same_music(font: SoundFont) -> None:
    score = Score((part(Note(480, 69, 480, 100), program=STEP),))
    (stem,) = render(score, font, rate=48_000)
    assert stem.audio.rate == 48_000
    assert abs(starts(stem.audio.samples)[0] - 1 - 24_000) <= BLOCK / 2


def test_the_bundled_font_plays_the_whole_band() -> None:
    (bundled,) = [font for font in find_soundfonts() if font.name == "TimGM6mb"]
    chords = tuple(Note(480 * i, key, 450, 80) for i in range(4) for key in (60, 64, 67))
    score = Score(
        (
            Part("piano", "piano", 0, notes=chords),
            Part("guitar", "guitar", 25, notes=chords),
            Part("bass", "bass", 33, notes=tuple(Note(480 * i, 36, 450, 80) for i in range(4))),
            Part("drums", "drums", 0, is_drum=True, notes=tuple(Note(240 * i, 38, 60, 90) for i in range(8))),
        )
    )
    stems = render(score, bundled)
    for stem in stems:
        heard = np.abs(stem.audio.samples).max(axis=0)
        assert 0.005 < heard.max() < 1, stem.name
        assert 2.0 <= stem.audio.seconds < 13
    # what the listener hears is that instrument: most of the bass lies under 200 Hz, little of the drums does
    low = {}
    for stem in stems:
        power = np.abs(np.fft.rfft(stem.audio.samples.sum(axis=0))) ** 2
        low[stem.name] = power[: round(200 * stem.audio.frames / RATE)].sum() / power.sum()
    assert low["bass"] > 0.5 > 0.1 > low["piano"]


def test_the_library_names_its_version() -> None:
    assert library_version()[0].isdigit()
