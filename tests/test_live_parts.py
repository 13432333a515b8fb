"""A part that is played as it comes: the messages, and the samples, of the part that is whole."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from conftest import make_band, needs_fluidsynth
from hypothesis import given, settings
from hypothesis import strategies as st
from synthetic_soundfont import SOUNDS, write_soundfont

from midigen.renderers import render
from midigen.renderers.events import Keyboard, messages
from midigen.renderers.fluidsynth import OpenSynthesizer
from midigen.renderers.live import LivePart
from midigen.score import Bend, Control, Metre, Note, Part, Score, Tempo
from midigen.soundfonts import SoundFont

RATE = 44_100
ticks = st.integers(0, 4 * 480).map(lambda step: 20 * step)
notes = st.lists(
    st.builds(Note, ticks, st.integers(60, 62), st.integers(0, 2000), st.integers(1, 127)),
    max_size=40,
)


def bars_of(score: Score, part: Part, bar_ticks: int) -> list[tuple[Part, int]]:
    """What begins in each bar, and where it ends."""
    bars = []
    for start in range(0, 20 * 4 * 480 + 1, bar_ticks):
        end = start + bar_ticks
        inside = replace(
            part,
            notes=tuple(n for n in part.notes if start <= n.onset_ticks < end),
            controls=tuple(c for c in part.controls if start <= c.tick < end),
            bends=tuple(b for b in part.bends if start <= b.tick < end),
        )
        bars.append((inside, end))
    return bars


@settings(max_examples=40)
@given(notes, st.sampled_from([160, 480, 1920]), st.sampled_from([40.0, 120.0, 300.0]))
def test_messages_bar_by_bar_are_those_of_the_whole(found: list[Note], bar_ticks: int, qpm: float) -> None:
    part = Part(
        "piano", "piano", notes=tuple(sorted(found)), controls=(Control(0, 7, 90), Control(960, 64, 127)),
        bends=(Bend(480, 100), Bend(960, 0)),
    )  # fmt: skip
    score = Score((part,), tempos=(Tempo(0, qpm), Tempo(2000, 90.0)), metres=(Metre(0, 4, 4),))
    keyboard = Keyboard(score, RATE)
    told = []
    for bar, end in bars_of(score, part, bar_ticks):
        told += keyboard.bar(bar, end)
    told += keyboard.rest()
    assert told == messages(score, part, RATE)
    assert keyboard.rest() == [] and keyboard.let_go() == []


@pytest.fixture
def font(tmp_path: Path) -> SoundFont:
    path = write_soundfont(tmp_path / "synthetic.sf2", SOUNDS)
    return SoundFont("synthetic", path, path.stat().st_size, "Public domain")


@needs_fluidsynth
@pytest.mark.parametrize("rate", [44_100, 96_000])
def test_a_live_part_gives_the_samples_of_its_stem(font: SoundFont, rate: int) -> None:
    score = make_band(3, drums=True)
    stems = render(score, font, rate=rate)
    for part, stem in zip(score.parts, stems, strict=True):
        live = LivePart(score, part, OpenSynthesizer(part, font, rate), rate)
        expected = np.concatenate(list(stem.audio.blocks()), axis=1)
        for bar, end in bars_of(score, part, 1920)[:3]:
            live.add(bar, end)
        live.finish()
        got = np.concatenate([live.play(256) for _ in range(expected.shape[1] // 256)], axis=1)
        assert live.sound == stem.sound
        assert np.abs(got).max() > 0.01
        assert np.array_equal(got, expected[:, : got.shape[1]])
        live.close()


@needs_fluidsynth
def test_a_part_that_waits_lets_its_keys_go_and_goes_on_where_it_was(font: SoundFont) -> None:
    part = Part("piano", "piano", notes=(Note(0, 69, 4000, 100), Note(1920, 72, 900, 100)))
    score = Score((part,))
    live = LivePart(score, part, OpenSynthesizer(part, font, RATE), RATE)
    live.add(replace(part, notes=part.notes[:1]), 1920)
    second = RATE * 2 // 64 * 64
    first = live.play(second)
    assert np.abs(first[:, -2000:]).max() > 0.01
    rest = live.wait(second)
    assert np.abs(rest[:, 8000:]).max() < 1e-4
    live.add(replace(part, notes=part.notes[1:]), 3840)
    live.finish()
    assert np.abs(live.play(4096)[:, 1000:]).max() > 0.01
    live.close()
