"""What was asked for, measured on the output: what is kept is found kept, and what is broken is found broken."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from conftest import make_band

from benchmarks.peers.midi_gpt_songs import as_midi, metre_of
from midigen.charts import parse_chart
from midigen.composition.settling import Request
from midigen.evaluation.asking import BARS, draw_chart, draw_prompt, has_chart, is_plain
from midigen.evaluation.bars import closes, straight_grid
from midigen.evaluation.chords import bass_at_changes, chord_tone_share, recovered
from midigen.evaluation.controls import KEPT, SHAPES, Findings, check, observe
from midigen.grid import Grid, Lane, to_grid
from midigen.midi import read_midi
from midigen.prompt import Prompt
from midigen.score import Key, Metre, Note, Part, Score, Tempo

CHART = "Am | F | C | G"
PARTS = ("piano", "guitar", "bass")


def asked(**more: object) -> Request:
    said = {"bars": 4, "parts": PARTS, "tempo_qpm": 120, "key": "A minor", "metre": "4/4", "seed": 1, "ending": "open"}
    return Request.read(Prompt(**{**said, **more}))  # type: ignore[arg-type]


def band(bars: int = 4) -> Score:
    """The band in A minor, all of it: its guitar counts from E."""
    score = make_band(bars)
    piano, guitar, bass = score.parts
    return replace(score, parts=(piano, moved(guitar, -4), bass), markers=())


def found_in(score: Score, request: Request) -> Findings:
    found = Findings()
    check(score, request, found)
    return found


def value(found: Findings, name: str) -> float:
    (row,) = (row for row in (*KEPT, *SHAPES) if row.name == name and not row.said.endswith("within one"))
    return row.of(found).value


def test_what_is_kept_is_found_kept() -> None:
    found = found_in(band(), asked(program={"guitar": 25}, span={"bass": (36, 48)}))
    for name in ("bars", "metre", "tempo", "parts", "key signature", "programs", "ranges", "key of the notes"):
        assert value(found, name) == 1, name
    assert value(found, "scale") == 1
    assert found["faults"] == [[0]]


@pytest.mark.parametrize(
    ("name", "spoil"),
    [
        ("bars", lambda s: replace(s, bars=5)),
        ("metre", lambda s: replace(s, metres=(Metre(0, 3, 4),))),
        ("tempo", lambda s: replace(s, tempos=(Tempo(0, 121.0),))),
        ("parts", lambda s: replace(s, parts=(replace(s.parts[0], name="pianoforte"), *s.parts[1:]))),
        ("key signature", lambda s: replace(s, keys=(Key(0, 0, "minor"),))),
        ("programs", lambda s: replace(s, parts=(s.parts[0], replace(s.parts[1], program=26), s.parts[2]))),
        ("ranges", lambda s: replace(s, parts=(*s.parts[:2], moved(s.parts[2], 24)))),
        ("key of the notes", lambda s: replace(s, parts=tuple(moved(part, 1) for part in s.parts))),
        ("scale", lambda s: replace(s, parts=tuple(moved(part, 1) for part in s.parts))),
    ],
)
def test_what_is_broken_is_found_broken(name: str, spoil: Callable[[Score], Score]) -> None:
    found = found_in(spoil(band()), asked(program={"guitar": 25}, span={"bass": (36, 48)}))
    assert value(found, name) < 1


def moved(part: Part, semitones: int) -> Part:
    return replace(part, notes=tuple(replace(note, pitch=note.pitch + semitones) for note in part.notes))


def test_bins_that_are_missed_are_counted_with_their_direction() -> None:
    found = found_in(band(), asked(density={"guitar": 1.0}, register={"guitar": "high"}))  # it plays eight a bar
    assert found["density"][0][0] > 1
    assert found["register"][0][0] < 0
    assert found.words["density of guitar", "4/4"] == [int(found["density"][0][0])]


def test_chords_that_are_played_are_heard_and_others_are_not() -> None:
    kept = found_in(band(), asked(chords=CHART))
    assert value(kept, "chord symbols") == value(kept, "chord tones") == value(kept, "chords heard") == 1
    assert value(kept, "bass at changes") == value(kept, "firm bass") == 1
    other = found_in(band(), asked(chords="Bb | Eb | B | F#m"))
    assert value(other, "chord symbols") == 0 and value(other, "chord tones") < 0.4
    assert value(other, "chords heard") == 0 and value(other, "firm bass") < 1


def test_measures_of_chords_know_whose_time_counts() -> None:
    rows = [(0, 0, 24, 60, 20), (0, 24, 24, 61, 20)]
    grid = Grid(np.array([48]), np.array([0]), np.array([120.0]), (Lane("piano", 0, 0, np.array(rows)),), 1.0)
    chords = parse_chart("C").chords(1, "4/4")
    assert chord_tone_share(grid, chords) == pytest.approx(0.5)
    assert bass_at_changes(grid, chords)[0] == 0
    grid = straight_grid(band())
    assert recovered(grid, parse_chart(CHART).chords(4, "4/4"))[0] == 1


def test_form_sections_and_swing_are_measured() -> None:
    found = found_in(band(8), asked(bars=8, form="AA"))
    assert value(found, "sections") == 0  # no marker says so
    assert np.median(found["same"][0]) > 0.5  # the chords come back, and with them the notes
    assert value(found, "swing") == 1


def test_a_last_bar_with_one_long_chord_closes() -> None:
    held = Part("piano", "piano", 0, notes=(Note(0, 60, 480, 80), Note(1920, 60, 1900, 80)))
    assert closes(straight_grid(Score((held,), ticks_per_quarter=480, bars=2)))
    busy = replace(held, notes=(Note(0, 60, 480, 80), *(Note(1920 + 480 * k, 60, 400, 80) for k in range(4))))
    assert not closes(straight_grid(Score((busy,), ticks_per_quarter=480, bars=2)))


def test_real_songs_are_observed_and_what_is_no_band_is_passed_over() -> None:
    found = Findings()
    observe(make_band(24), found)
    assert len(found["velocities"]) == 1
    observe(make_band(2), found)
    assert len(found["velocities"]) == 1


def test_requests_are_of_every_sort_and_the_same_each_time() -> None:
    prompts = [draw_prompt(seed) for seed in range(32)]
    assert prompts == [draw_prompt(seed) for seed in range(32)]
    for sort in (has_chart, is_plain, lambda seed: seed % 4 < 2):
        endings = [prompts[seed].ending for seed in range(32) if sort(seed)]
        assert endings.count("close") == len(endings) / 2
    assert all((prompt.chords is not None) == has_chart(seed) for seed, prompt in enumerate(prompts))
    assert {prompt.bars for prompt in prompts} <= set(BARS)
    chart = parse_chart(draw_chart(np.random.default_rng(0), "F# minor", 12))
    assert len(chart) == 12


def test_songs_for_midi_gpt_have_the_notes_of_the_grid() -> None:
    assert [metre_of(length) for length in (48, 36, 18, 30, 7, 156)] == [(4, 4), (3, 4), (3, 8), (5, 8), None, None]
    grid = to_grid(make_band(16), PARTS)
    data = as_midi(grid)
    assert data is not None
    again = to_grid(read_midi(data), PARTS)
    for one, other in zip(grid.lanes, again.lanes, strict=True):
        assert one.kind == other.kind
        assert (one.notes == other.notes).all()
    odd = Grid(np.array([7]), np.array([-1]), np.array([120.0]), grid.lanes, 1.0)
    assert as_midi(odd) is None
