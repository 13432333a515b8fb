"""Pictures of mixes and of sounds: what is drawn, that it is always drawn the same, and that anything can be drawn."""

from __future__ import annotations

import io
from dataclasses import replace
from typing import Any

import matplotlib
import numpy as np
import pytest
from matplotlib.image import imread

from midigen.audio import Audio
from midigen.errors import BadRequest
from midigen.instruments import INSTRUMENTS
from midigen.loudness import measure
from midigen.mixing import mix
from midigen.pictures import (
    FontSheet,
    MixTrace,
    StemRow,
    StemSheet,
    draw_font_profile,
    draw_mix,
    draw_profile,
)
from midigen.pictures.mix import CURVE, PALE, WAVE_DARK, WAVE_LIGHT
from midigen.pictures.page import clock, colour_of, decibels_said, mixed, shortened
from midigen.pictures.profile import pitch_name
from midigen.portraits import mix_trace, stem_sheet
from midigen.profiles import profile_of
from midigen.renderers import Stem

RATE = 44_100
HZ = np.geomspace(25, 20_000, 100)


def trace(**more: Any) -> MixTrace:
    """A mix of ten seconds that is made of nothing but numbers."""
    columns = 500
    outline = 0.3 + 0.2 * np.sin(np.arange(columns) / 9)
    values: dict[str, Any] = {
        "seconds": 10.0,
        "column_seconds": 0.02,
        "lowest": -outline,
        "highest": outline,
        "rms": outline / 3,
        "momentary_lufs": -20 + 3 * np.sin(np.arange(961) / 40),
        "short_term_lufs": -20 + np.sin(np.arange(71) / 10),
        "integrated_lufs": -19.5,
        "range_lu": 3.0,
        "true_peak_dbtp": -5.0,
        "spectrum_hz": HZ,
        "spectrum_db": -30 - 10 * np.log10(HZ / 25),
        "stems": tuple(StemRow(kind, kind, -20.0, row.pan) for kind, row in INSTRUMENTS.items()),
        "target_lufs": -14.0,
        "ceiling_dbtp": -1.0,
    }
    return MixTrace(**{**values, **more})


def stem(**more: Any) -> StemSheet:
    notes = np.arange(40)
    values: dict[str, Any] = {
        "title": "piano",
        "kind": "piano",
        "seconds": 10.0,
        "level_seconds": 0.01,
        "level_db": -30 - 10 * np.abs(np.sin(np.arange(1_000) / 50)),
        "onsets": notes / 4,
        "note_level_db": -30.0 - notes % 7,
        "note_centroid_hz": 500.0 + 40 * notes,
        "note_pitch": 48.0 + notes % 20,
        "note_attack_seconds": 0.005 + 0.0005 * notes,
        "note_decay_seconds": 1.0 + notes / 20,
        "spectrum_hz": HZ,
        "spectrum_db": -30 - 10 * np.log10(HZ / 25),
        "facts": [("loudness", "-20.0 LUFS")] * 5,
    }
    return StemSheet(**{**values, **more})


def font(pitches: int = 7, velocities: int = 5, **more: Any) -> FontSheet:
    grid = 1.0 + np.arange(pitches * velocities, dtype=np.float64).reshape(pitches, velocities)
    strengths = [round(v) for v in np.linspace(20, 127, velocities)]
    seconds = np.linspace(0, 2.7, 200)
    values: dict[str, Any] = {
        "title": "Grand Piano",
        "kind": "piano",
        "pitches": list(range(40, 40 + pitches)),
        "pitch_names": [pitch_name(40 + number) for number in range(pitches)],
        "velocities": strengths,
        "loudness_lufs": -60 + grid,
        "centroid_hz": 500 * grid,
        "attack_seconds": 0.001 * grid,
        "decay_seconds": grid,
        "outlines": [(velocity, seconds, -40 - 10 * seconds) for velocity in strengths],
        "outline_name": "E4",
        "held_seconds": 1.5,
    }
    return FontSheet(**{**values, **more})


def drawn(what: MixTrace | StemSheet | FontSheet) -> bytes:
    buffer = io.BytesIO()
    if isinstance(what, MixTrace):
        draw_mix(what, buffer)
    elif isinstance(what, StemSheet):
        draw_profile(what, buffer)
    else:
        draw_font_profile(what, buffer)
    return buffer.getvalue()


def pixels(what: MixTrace | StemSheet | FontSheet) -> np.ndarray:
    """``(height, width, 3)``, 0 to 255."""
    return np.rint(imread(io.BytesIO(drawn(what)))[..., :3] * 255).astype(int)


def area(image: np.ndarray, colour: str) -> int:
    """How many pixels have exactly this colour."""
    rgb = [int(colour[i : i + 2], 16) for i in (1, 3, 5)]
    return int((np.abs(image - rgb).max(axis=-1) <= 1).sum())


@pytest.mark.parametrize("what", [trace(), stem(), font()], ids=["mix", "stem", "font"])
def test_the_same_numbers_give_the_same_bytes(what: MixTrace | StemSheet | FontSheet) -> None:
    first = drawn(what)
    with matplotlib.rc_context({"axes.facecolor": "black", "font.size": 30, "lines.linewidth": 9}):
        assert drawn(what) == first
    assert first.startswith(b"\x89PNG")
    assert b"Software\0midigen" in first[:512]  # by which the command line knows its own
    assert b"matplotlib" not in first


def test_louder_is_taller_in_the_waveform() -> None:
    def areas(gain: float) -> tuple[int, int]:
        base = trace()
        image = pixels(
            replace(
                base,
                lowest=gain * base.lowest,
                highest=gain * base.highest,
                rms=gain * base.rms,
                momentary_lufs=np.zeros(0),
                short_term_lufs=np.zeros(0),
                spectrum_db=np.full(100, -np.inf),
                stems=(),
            )
        )
        return area(image, WAVE_LIGHT), area(image, WAVE_DARK)

    soft, loud = areas(0.5), areas(1.5)
    assert 2.5 < loud[0] / soft[0] < 3.5
    assert 2.5 < loud[1] / soft[1] < 3.5


def test_target_and_ceiling_are_there_where_there_are_any() -> None:
    def reddish(**more: Any) -> int:
        image = pixels(trace(stems=(), **more))
        return int(((image[..., 0] > image[..., 1] + 60) & (image[..., 0] > image[..., 2] + 60)).sum())

    assert reddish() > reddish(target_lufs=None) + 500
    assert reddish(target_lufs=None) > 500
    assert reddish(target_lufs=None, ceiling_dbtp=None) == 0


def test_the_curves_of_loudness_are_drawn_where_they_lie() -> None:
    without = {"spectrum_db": np.full(100, -np.inf), "stems": (), "rms": np.zeros(500)}
    momentary = pixels(trace(short_term_lufs=np.full(71, -np.inf), **without))
    assert area(momentary, PALE) > 300
    steady = pixels(trace(momentary_lufs=np.full(961, -14.0), short_term_lufs=np.full(71, -14.0), **without))
    rows = np.flatnonzero((np.abs(steady - [0x3B, 0x6F, 0xB6]).max(axis=-1) <= 1).sum(axis=1) > 200)
    assert 1 <= len(rows) <= 4  # one level line
    assert area(pixels(trace(integrated_lufs=-np.inf)), CURVE) < area(pixels(trace()), CURVE)


def test_every_part_has_its_bar_and_what_is_muted_is_grey() -> None:
    empty = {"spectrum_db": np.full(100, -np.inf), "momentary_lufs": np.zeros(0), "short_term_lufs": np.zeros(0)}

    def row(kind: str, lufs: float = -20.0, *, heard: bool = True) -> StemRow:
        return StemRow(kind, kind, lufs, 0.0, heard)

    image = pixels(trace(stems=[row(kind) for kind in INSTRUMENTS], **empty))
    others = pixels(trace(stems=[row("guitar"), row("bass", heard=False), row("drums", -10.0)], **empty))
    colours = {kind: one.colour for kind, one in INSTRUMENTS.items()}
    assert all(area(image, colours[kind]) > 500 for kind in INSTRUMENTS)
    assert area(others, colours["bass"]) == 0  # muted
    assert area(others, colours["guitar"]) > 500
    assert area(others, colours["drums"]) > 1.5 * area(others, colours["guitar"])  # louder by ten decibels


def test_pan_moves_a_part_sideways() -> None:
    def middle(pan: float) -> float:
        image = pixels(trace(stems=(StemRow("bass", "bass", -np.inf, pan),)))
        rgb = [int(INSTRUMENTS["bass"].colour[i : i + 2], 16) for i in (1, 3, 5)]
        return float(np.flatnonzero((np.abs(image - rgb).max(axis=-1) <= 1).any(axis=0)).mean())

    assert middle(-1) < middle(-0.4) < middle(0) < middle(0.4) < middle(1)


@pytest.mark.parametrize(
    "what",
    [
        trace(seconds=0.0, column_seconds=0.001, lowest=np.zeros(0), highest=np.zeros(0), rms=np.zeros(0),
              momentary_lufs=np.zeros(0), short_term_lufs=np.zeros(0), stems=()),
        trace(lowest=np.zeros(500), highest=np.zeros(500), rms=np.zeros(500), integrated_lufs=-np.inf, range_lu=0.0,
              true_peak_dbtp=-np.inf, momentary_lufs=np.full(961, -np.inf), short_term_lufs=np.full(71, -np.inf),
              spectrum_db=np.full(100, -np.inf), stems=(StemRow("piano", "piano", -np.inf, 0.0),)),
        trace(seconds=3600.0, column_seconds=7.2, momentary_lufs=np.full(360_000, -20.0)),
        trace(lowest=np.full(500, -40.0), highest=np.full(500, 60.0), rms=np.full(500, 9.0), integrated_lufs=20.0),
        trace(stems=tuple(StemRow(f"part {i}", "other", -90.0 + 5 * i, 0.1 * (i - 9)) for i in range(19))),
        trace(title="50 % $ of $ it\n" * 30, stems=(StemRow("$x_1$ <&> 音 and on and on", "other", -20.0, 1.0),)),
        trace(spectrum_db=np.where(HZ > 200, -np.inf, -20.0), integrated_lufs=-70.0, target_lufs=-5.0),
    ],
    ids=["nothing", "silence", "an hour", "over full scale", "many parts", "odd names", "half a spectrum"],
)  # fmt: skip
def test_any_mix_can_be_drawn(what: MixTrace) -> None:
    height, width, _ = pixels(what).shape
    assert 700 < height < 2_000
    assert width == 1650


NOTHING = np.zeros(0)
UNKNOWN = np.full(40, np.nan)


@pytest.mark.parametrize(
    "what",
    [
        stem(seconds=0.0, level_db=NOTHING, onsets=NOTHING, note_level_db=NOTHING, note_centroid_hz=NOTHING,
             note_pitch=NOTHING, note_attack_seconds=NOTHING, note_decay_seconds=NOTHING,
             spectrum_db=np.full(100, -np.inf), pitch_remark="there are no notes", facts=[]),
        stem(note_pitch=UNKNOWN, note_attack_seconds=UNKNOWN, note_decay_seconds=UNKNOWN, kind="other"),
        stem(pitch_remark="$ " + "many words that say why " * 5, usual_db=np.full(100, -60.0),
             equaliser_db=np.full(100, -2.0), facts=[("a name", "and a value that is too long for it " * 5)] * 20),
        stem(note_level_db=np.full(40, -20.0), note_centroid_hz=np.full(40, 440.0), note_pitch=np.full(40, 60.0)),
        font(1, 1),
        font(12, 9, outlines=[], held_seconds=None),
        font(loudness_lufs=np.full((7, 5), np.nan), centroid_hz=np.full((7, 5), np.nan),
             attack_seconds=np.full((7, 5), np.nan), decay_seconds=np.full((7, 5), np.nan)),
    ],
    ids=["silence", "unknown", "many words", "all alike", "one note", "many notes", "no notes"],
)  # fmt: skip
def test_any_sound_can_be_drawn(what: StemSheet | FontSheet) -> None:
    height, width, _ = pixels(what).shape
    assert 500 < height < 2_000
    assert width == 1650


def test_what_is_usual_and_what_is_suggested_are_shown() -> None:
    plain = pixels(stem())
    usual = pixels(stem(usual_db=np.full(100, -60.0)))
    suggested = pixels(stem(usual_db=np.full(100, -60.0), equaliser_db=np.full(100, -6.0)))
    nothing = pixels(stem(usual_db=np.full(100, -60.0), equaliser_db=np.zeros(100)))
    assert not np.array_equal(plain, usual)
    assert not np.array_equal(usual, suggested)
    assert np.array_equal(usual, nothing)


def test_what_does_not_fit_together_is_refused() -> None:
    for make, match in (
        (lambda: trace(rms=np.zeros(3)), "3 and 500 columns"),
        (lambda: trace(spectrum_hz=HZ[:9]), "100 levels at 9 frequencies"),
        (lambda: trace(seconds=-1.0), "-1.0 s"),
        (lambda: StemRow("piano", "piano", -20.0, 1.5), "pan 1.5 is outside"),
        (lambda: stem(note_pitch=NOTHING), "0 and 40 notes"),
        (lambda: stem(usual_db=np.zeros(7)), "7 and 100 frequencies"),
        (lambda: font(centroid_hz=np.zeros((2, 2))), r"centroid_hz of shape \(2, 2\)"),
        (lambda: font(pitch_names=["C4"]), "1 names of 7 pitches"),
    ):
        with pytest.raises(BadRequest, match=match):
            make()


def test_numbers_and_words_are_said_well() -> None:
    assert clock(65.4) == "1:05"
    assert clock(3_725) == "1:02:05"
    assert decibels_said(-14.04, "LUFS") == "−14.0 LUFS"
    assert decibels_said(-np.inf, "LUFS") == decibels_said(None, "dB") == "silence"
    assert shortened("a  word\nor two", 9) == "a word o…"
    assert mixed("#000000", "#ffffff", 0.5) == "#808080"
    assert colour_of("piano") == INSTRUMENTS["piano"].colour
    assert colour_of("other", 1) != colour_of("other", 2)
    assert [pitch_name(pitch) for pitch in (0, 60, 61, 127)] == ["C-1", "C4", "C♯4", "G9"]


def test_a_real_mix_is_traced_as_it_is() -> None:
    time = np.arange(5 * RATE) / RATE
    stems = [
        Stem(kind, kind, Audio((0.1 * np.sin(2 * np.pi * hz * time))[None].astype(np.float32), RATE))
        for kind, hz in (("bass", 80), ("piano", 500))
    ]
    mixed_down = mix(stems)
    found = mix_trace(mixed_down, "two tones")
    assert found.title == "two tones"
    assert found.seconds == mixed_down.signal.frames / RATE
    assert found.integrated_lufs == pytest.approx(measure(mixed_down.signal).integrated_lufs, abs=0.05)
    assert [row.name for row in found.stems] == ["bass", "piano"]
    assert [row.lufs for row in found.stems] == pytest.approx([-23, -24], abs=0.05)
    peak = max(float(np.abs(block).max()) for block in mixed_down.signal.blocks())
    assert max(found.highest.max(), -found.lowest.min()) == pytest.approx(peak)
    loudest = found.spectrum_hz[np.argsort(found.spectrum_db)[-12:]]
    assert ((np.abs(np.log2(loudest / 80)) < 0.3) | (np.abs(np.log2(loudest / 500)) < 0.3)).all()
    assert drawn(found) == drawn(mix_trace(mixed_down, "two tones"))


def test_a_real_profile_is_drawn_with_its_numbers() -> None:
    time = np.arange(RATE) / RATE
    sound = np.concatenate(
        [0.1 * np.sin(2 * np.pi * hz * time) * np.exp(-5 * time) for hz in (110, 220, 165, 147, 131)]
    )
    sheet = stem_sheet(profile_of(Audio(sound[None].astype(np.float32), RATE)), "my guitar", "guitar")
    facts = dict(sheet.facts)
    assert facts["pitch"].startswith("A2 to A3")
    assert facts["stereo"] == "mono"
    assert len(sheet.onsets) == 5
    assert sheet.usual_db is not None
    assert drawn(sheet).startswith(b"\x89PNG")
