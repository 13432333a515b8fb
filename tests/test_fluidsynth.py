"""Rendering, against a font whose sounds are known exactly."""

from __future__ import annotations

import hashlib
import math
import sys
import time
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from synthetic_soundfont import Sound, write_soundfont

from midigen.errors import BadFile, BadRequest, MissingTool, OutputError
from midigen.renderers import Stem, render
from midigen.renderers.events import BLOCK, messages
from midigen.renderers.library import library_version, load_library, presets
from midigen.score import Bend, Control, Note, Part, Score, Tempo
from midigen.soundfonts import SoundFont, find_soundfonts, read_soundfont

RATE = 44_100
SINE, STEP, BELL = 0, 1, 8  # programs of the synthetic font


@pytest.fixture(autouse=True, scope="module")
def no_cache() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("MIDIGEN_CACHE", "off")
        yield


@pytest.fixture(scope="module")
def font(tmp_path_factory: pytest.TempPathFactory) -> SoundFont:
    return read_soundfont(write_soundfont(tmp_path_factory.mktemp("fonts") / "synthetic.sf2"))


def part(*notes: Note, program: int = SINE, name: str = "part", **more) -> Part:
    return Part(name, program=program, notes=notes, **more)


def sound_of(part: Part, font: SoundFont, **score) -> np.ndarray:
    (stem,) = render(Score((part,), **score), font)
    return samples_of(stem)


def samples_of(stem: Stem) -> np.ndarray:
    blocks = list(stem.audio.blocks())
    samples = np.concatenate([np.zeros((2, 0), dtype=np.float32), *blocks], axis=1)
    assert samples.dtype == np.float32 and samples.shape == (2, stem.audio.frames)
    return samples


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
    for rate in (8_000, 44_100, 48_000, 64_000, 88_200, 96_000):
        (stem,) = render(score, font, rate=rate)
        assert stem.audio.rate == rate
        found = starts(samples_of(stem))
        expected = score.seconds(np.array(onsets)) * rate
        assert len(found) == len(onsets)
        # the envelope begins at nothing, so that sound is seen one frame after the block has begun
        assert np.abs(found - 1 - expected).max() <= BLOCK / 2


def test_a_note_ends_when_its_key_is_let_go(font: SoundFont) -> None:
    samples = sound_of(part(Note(0, 69, 960, 100), program=STEP), font)  # one second
    heard = np.flatnonzero(np.abs(samples[0]) > 1e-3)
    assert abs(heard[-1] - RATE) < 0.02 * RATE


@pytest.mark.parametrize("key", [45, 69, 74, 93])
def test_pitch_is_exact(font: SoundFont, key: int) -> None:
    assert abs(cents(sound_of(part(Note(0, key, 1_920, 100)), font), key)) < 0.01


def test_bends_follow_the_range_that_the_part_sets(font: SoundFont) -> None:
    tone = Note(0, 69, 1_920, 100)  # FluidSynth cuts a modulated pitch to whole cents, and the range to 1/127ths
    assert abs(cents(sound_of(part(tone, bends=(Bend(0, -4096),)), font), 68)) < 2  # two semitones by default
    wide = tuple(Control(0, number, value) for number, value in ((101, 0), (100, 0), (6, 12), (38, 0)))
    assert abs(cents(sound_of(part(tone, controls=wide, bends=(Bend(0, 4096),)), font), 75)) < 2


def test_velocity_and_volume_controllers_follow_their_law(font: SoundFont) -> None:
    """40 log10(v / 127) dB each (the default modulators, SoundFont 2.04, section 8.4), in FluidSynth's steps of 0.1."""
    full = (Control(0, 7, 127),)
    loudest = level_db(sound_of(part(Note(0, 69, 240, 127), program=STEP, controls=full), font))
    for value in (1, 2, 5, 16, 64, 100, 126):
        law_db = 40 * math.log10(value / 127)
        hit = sound_of(part(Note(0, 69, 240, value), program=STEP, controls=full), font)
        assert abs(level_db(hit) - loudest - law_db) < 0.1
        for number in (7, 11):  # volume and expression
            controls = (*full, Control(0, number, value))
            turned = sound_of(part(Note(0, 69, 240, 127), program=STEP, controls=controls), font)
            assert abs(level_db(turned) - loudest - law_db) < 0.1


def test_volume_is_100_where_nothing_is_said(font: SoundFont) -> None:
    tone = Note(0, 69, 240, 127)
    full = sound_of(part(tone, program=STEP, controls=(Control(0, 7, 127),)), font)
    assert level_db(sound_of(part(tone, program=STEP), font)) - level_db(full) == pytest.approx(-4.15, abs=0.1)


@pytest.mark.parametrize("value", [0, 1, 16, 32, 64, 96, 126, 127])
def test_pan_keeps_the_power(font: SoundFont, value: int) -> None:
    tone = Note(0, 69, 240, 127)
    centre = np.abs(sound_of(part(tone, program=STEP), font)).max(axis=1).astype(float)
    left, right = np.abs(sound_of(part(tone, program=STEP, controls=(Control(0, 10, value),)), font)).max(axis=1)
    assert centre[0] == centre[1]  # each 3.01 dB under what one side alone gives
    assert 20 * math.log10(math.hypot(left, right) / math.hypot(*centre)) == pytest.approx(0, abs=0.01)
    assert math.atan2(right, left) / (math.pi / 2) == pytest.approx(value / 128, abs=0.001)
    if value == 0:
        assert right == 0


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
    np.testing.assert_array_equal(samples_of(together[1])[:, :frames], samples_of(alone))
    assert not samples_of(together[1])[:, frames:].any()
    assert len({stem.audio.frames for stem in together}) == 1


def test_every_render_gives_the_same_bytes_on_any_number_of_threads(font: SoundFont) -> None:
    rng = np.random.default_rng(5)
    parts = tuple(
        part(*(Note(60 * i, int(rng.integers(40, 80)), 200, 90) for i in range(20)), name=f"{n}", program=n % 2 * 8)
        for n in range(4)
    )
    hashes = [
        [hashlib.sha256(samples_of(stem).tobytes()).hexdigest() for stem in render(Score(parts), font, threads=n)]
        for n in (1, 2, 4, 1)
    ]
    assert hashes[0] == hashes[1] == hashes[2] == hashes[3]
    assert len(set(hashes[0])) == 4


def test_no_voice_is_stolen_in_dense_music(font: SoundFont) -> None:
    """Eight strikes on every key ring together, 1,024 voices: FluidSynth's own 256 would cut some of them short."""
    strikes = [tuple(Note(120 * i, key, 60, 100) for key in range(128)) for i in range(8)]
    alone = [sound_of(part(*notes, program=BELL), font) for notes in strikes]
    together = sound_of(part(*(note for notes in strikes for note in notes), program=BELL), font)
    frames = min(sound.shape[1] for sound in (*alone, together))
    difference = together[:, :frames] - sum(sound[:, :frames] for sound in alone)
    assert np.abs(difference).max() < 1e-5 * np.abs(together).max()


def test_notes_of_no_length_sound(font: SoundFont) -> None:
    samples = sound_of(part(Note(0, 69, 0, 127), Note(480, 69, 0, 127), program=STEP), font)
    assert len(starts(samples)) == 2


def test_a_repeated_key_is_struck_again_and_an_old_end_does_not_cut_the_new_note(font: SoundFont) -> None:
    score = Score((part(Note(0, 69, 960, 100), Note(480, 69, 960, 100), program=STEP),))
    sent = [(m.action, m.values[0]) for m in messages(score, score.parts[0], RATE)]
    assert sent == [("on", 69), ("on", 69), ("off", 69)]
    (stem,) = render(score, font)
    heard = np.flatnonzero(np.abs(samples_of(stem)[0]) > 1e-3)
    assert abs(heard[-1] - 1.5 * RATE) < 0.02 * RATE


@pytest.mark.parametrize("overlap", [-1, 0, 1])
def test_an_end_and_a_start_in_one_block_keep_the_new_note(font: SoundFont, overlap: int) -> None:
    score = Score((part(Note(0, 69, 480 + overlap, 100), Note(480, 69, 480, 100), program=STEP),))
    actions = [m.action for m in messages(score, score.parts[0], RATE)]
    assert actions in (["on", "off", "on", "off"], ["on", "on", "off"])
    samples = samples_of(render(score, font)[0])
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
    assert samples_of(stem).any()


@pytest.mark.parametrize(
    ("asked", "program", "is_drum", "played"),
    [
        ("Bell", 0, False, "Bell"),
        ("other SINE", 0, False, "Other sine"),
        ("bel", 33, False, "Bell"),
        ("8", 0, False, "Bell"),
        ("0", 33, False, "Sine"),
        ("1:0", 0, False, "Other sine"),
        ("128:0", 0, False, "Kit"),
        ("0", 25, True, "Kit"),
        ("8", 0, True, "Bell"),  # no kit of that number: what is there is what was asked for
        (" 33 ", 0, False, "Bass"),
    ],
)
def test_a_part_plays_the_preset_that_is_asked_for(
    font: SoundFont, asked: str, program: int, is_drum: bool, played: str
) -> None:
    score = Score((Part("x", "kind", program, is_drum, notes=(Note(0, 60, 240, 100),)),))
    for key in ("x", "kind"):
        (stem,) = render(score, font, presets={key: asked})
        assert stem.sound == played
        assert samples_of(stem).any()


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        ("Bels", r"no preset 'Bels' for part 'x': the nearest are 0:8 Bell, "),
        ("9", r"no preset '9' for part 'x': the nearest are 0:8 Bell, "),
        ("3:1", r"no preset '3:1' for part 'x': the nearest are 0:1 Step, "),
        ("200", r"no preset '200'"),
        ("", r"no preset ''"),
        ("b", r"preset 'b' for part 'x' fits 0:8 Bell, 0:33 Bass: say which"),
    ],
)
def test_a_preset_that_is_not_there_names_the_nearest(font: SoundFont, asked: str, says: str) -> None:
    with pytest.raises(BadRequest, match=says) as caught:
        render(Score((Part("x", notes=(Note(0, 60, 240, 100),)),)), font, presets={"x": asked})
    assert "\n" not in str(caught.value)


def test_a_preset_for_a_part_that_is_not_there_is_refused(font: SoundFont) -> None:
    with pytest.raises(BadRequest, match="no part 'flute' to choose a preset for: there are x, other"):
        render(Score((Part("x", notes=(Note(0, 60, 240, 100),)),)), font, presets={"flute": "0"})


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
    assert not samples_of(stems[0]).any()
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
    path = write_soundfont(tmp_path / "hollow.sf2")
    path.write_bytes(path.read_bytes().replace(b"igen", b"nogi"))  # its presets are there, and nothing in them
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


def test_more_music_than_the_disk_holds_gets_one_line(font: SoundFont) -> None:
    with pytest.raises(OutputError, match=r"the stems need \d+\.\d GB on disk, more than is free") as caught:
        render(Score((part(Note(2**31, 60, 1, 1)),), (Tempo(0, 1.0),)), font)
    assert "\n" not in str(caught.value)


def test_a_stem_is_never_in_memory_as_a_whole(font: SoundFont) -> None:
    notes = tuple(Note(9_600 * i, 60, 240, 100) for i in range(31))  # five minutes: 106 MB
    tracemalloc.start()  # numpy tells it what it takes
    try:
        (stem,) = render(Score((part(*notes),)), font)
        loudest = max(float(np.abs(block).max()) for block in stem.audio.blocks())
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert stem.audio.frames > 300 * RATE and loudest > 0.01
    assert peak < 12e6


@pytest.mark.parametrize("size", [1_000, 65_536, 10**9])
def test_a_stem_reads_the_same_in_blocks_of_any_size(font: SoundFont, size: int) -> None:
    short, long = render(Score((part(Note(0, 60, 240, 100)), part(Note(0, 69, 3_840, 100)))), font)
    assert short.audio.frames == long.audio.frames
    for stem in (short, long):
        blocks = list(stem.audio.blocks(size))
        assert all(block.shape[1] == size for block in blocks[:-1]) and blocks[-1].shape[1] <= size
        np.testing.assert_array_equal(np.concatenate(blocks, axis=1), samples_of(stem))
    assert not samples_of(short)[:, -1_000:].any()
    with pytest.raises(BadRequest, match="blocks of 0 frames"):
        next(short.audio.blocks(0))


def test_the_bundled_font_plays_the_whole_band() -> None:
    # The last: a system that has the font as well has it in a folder of its own, which is searched first.
    *_, bundled = [font for font in find_soundfonts() if font.name == "TimGM6mb"]
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
        heard = np.abs(samples_of(stem)).max(axis=0)
        assert 0.005 < heard.max() < 1, stem.name
        assert 2.0 <= stem.audio.frames / RATE < 13
    # what the listener hears is that instrument: most of the bass lies under 200 Hz, little of the drums does
    low = {}
    for stem in stems:
        power = np.abs(np.fft.rfft(samples_of(stem).sum(axis=0))) ** 2
        low[stem.name] = power[: round(200 * stem.audio.frames / RATE)].sum() / power.sum()
    assert low["bass"] > 0.5 > 0.1 > low["piano"]


def test_the_library_names_its_version() -> None:
    assert library_version()[0].isdigit()
