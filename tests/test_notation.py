"""What a player reads: bars and beats, names, voices, tuplets, and that every note is there."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from conftest import make_band
from hypothesis import given
from hypothesis import strategies as st
from songs import make_song

from midigen.charts.symbols import parse_symbol
from midigen.errors import BadRequest
from midigen.notation import engrave
from midigen.notation.percussion import DRUMS, drum_of
from midigen.notation.quantising import Swing, hear_swing, quantised
from midigen.notation.rhythm import NOTATABLE, UNITS, Tuplet, make_measure, pieces
from midigen.notation.sheet import BASS, GUITAR_CLEF, LOW_BASS, TREBLE, Sheet
from midigen.notation.spelling import fifths_of, spelled
from midigen.performance import humanise, swing
from midigen.score import Key, Metre, Note, Part, Score, Tempo, Text, parse_key, parse_metre


def bar(metre: str, length: int | None = None):
    found = Metre(0, *parse_metre(metre))
    return make_measure(1, 0, length or round(found.quarters * UNITS), found)


def written(metre: str, start: int, stop: int, *tuplets: Tuplet, rest: bool = False) -> list[tuple[int, str, int]]:
    """Where each piece begins, in units, and how it looks."""
    return [(p.start, p.kind, p.dots) for p in pieces(bar(metre), start, stop, tuplets, rest=rest)]


@pytest.mark.parametrize(
    ("metre", "start", "stop", "found"),
    [
        ("4/4", 0, 192, [(0, "whole", 0)]),
        ("4/4", 0, 144, [(0, "half", 1)]),
        ("4/4", 48, 144, [(48, "half", 0)]),  # a half note on two
        ("4/4", 72, 120, [(72, "eighth", 0), (96, "eighth", 0)]),  # the middle of the bar is seen
        ("4/4", 24, 72, [(24, "quarter", 0)]),  # a syncopation inside its half
        ("4/4", 36, 60, [(36, "16th", 0), (48, "16th", 0)]),
        ("4/4", 12, 36, [(12, "eighth", 0)]),
        ("4/4", 0, 168, [(0, "half", 1), (144, "eighth", 0)]),
        ("3/4", 0, 144, [(0, "half", 1)]),
        ("6/8", 0, 144, [(0, "half", 1)]),
        ("6/8", 0, 72, [(0, "quarter", 1)]),
        ("6/8", 48, 96, [(48, "eighth", 0), (72, "eighth", 0)]),  # two beats, not three
        ("12/8", 0, 288, [(0, "whole", 1)]),
        ("5/4", 96, 192, [(96, "quarter", 0), (144, "quarter", 0)]),  # three and two
        ("7/8", 0, 48, [(0, "quarter", 0)]),
        ("2/2", 0, 96, [(0, "half", 0)]),
    ],
)
def test_lengths_show_the_beat(metre: str, start: int, stop: int, found: list[tuple[int, str, int]]) -> None:
    assert written(metre, start, stop) == found


def test_rests_never_hide_a_beat() -> None:
    assert written("4/4", 0, 96, rest=True) == [(0, "half", 0)]
    assert written("4/4", 48, 144, rest=True) == [(48, "quarter", 0), (96, "quarter", 0)]
    assert written("3/4", 0, 96, rest=True) == [(0, "quarter", 0), (48, "quarter", 0)]
    assert written("6/8", 24, 72, rest=True) == [(24, "eighth", 0), (48, "eighth", 0)]
    assert written("4/4", 12, 48, rest=True) == [(12, "16th", 0), (24, "eighth", 0)]


def test_triplets() -> None:
    beat, half = Tuplet(0, 48), Tuplet(0, 96)
    assert written("4/4", 0, 32, beat) == [(0, "quarter", 0)]
    assert written("4/4", 32, 96, beat) == [(32, "eighth", 0), (48, "quarter", 0)]
    assert written("4/4", 32, 64, half) == [(32, "quarter", 0)]
    assert written("4/4", 8, 16, Tuplet(0, 24)) == [(8, "16th", 0)]


@given(
    metre=st.sampled_from(
        ["4/4", "3/4", "2/4", "6/8", "12/8", "9/8", "5/4", "6/4", "7/8", "5/8", "3/8", "2/2", "11/8"]
    ),
    places=st.tuples(st.integers(0, 60), st.integers(0, 60)),
    rest=st.booleans(),
)
def test_pieces_fill_their_place_with_what_can_be_written(metre: str, places: tuple[int, int], rest: bool) -> None:
    measure = bar(metre)
    start, stop = (min(place * 6, measure.length) for place in sorted(places))
    found = pieces(measure, start, stop, rest=rest)
    assert [p.start for p in found] == [start, *(p.stop for p in found[:-1])] if found else start == stop
    assert not found or found[-1].stop == stop
    for piece in found:
        assert NOTATABLE[piece.length] == (piece.kind, piece.dots)
        begin, end = measure.group_of(piece.start)
        crosses = piece.stop > end
        assert not crosses or piece.start in measure.beats, "what crosses a group begins on a beat"
        if rest:
            assert not crosses and (not piece.dots or (end - begin) % 72 == 0)


def test_a_bar_that_is_cut_short_is_filled() -> None:
    short = bar("4/4", 108)
    assert not short.is_whole
    assert sum(p.length for p in pieces(short, 0, 108, rest=True)) == 108


@pytest.mark.parametrize("step", [120, 160, 240])
def test_what_was_played_loosely_is_written_where_it_was_meant(step: int) -> None:
    """With the spread of people who play to a click, 2 % of a quarter (midigen.feel)."""
    right = count = 0
    measures = [make_measure(n + 1, 192 * n, 192, Metre(0, 4, 4)) for n in range(6)]
    for seed in range(40):
        dice = np.random.default_rng(seed)
        meant = np.arange(480, 17 * 480, step)
        played = meant + dice.normal(0, 9.6, len(meant)).round().astype(int)
        strikes, _ = quantised([Note(int(tick), 60, 100, 80) for tick in played], measures, 480)
        onsets = {strike.tick: strike.onset for strike in strikes}
        right += sum(onsets.get(int(tick)) == goal // 10 for tick, goal in zip(played, meant, strict=True))
        count += len(meant)
    assert right / count > (0.97 if step == 160 else 0.99)


def test_a_note_before_its_bar_line_is_behind_it() -> None:
    measures = [make_measure(n + 1, 192 * n, 192, Metre(0, 4, 4)) for n in range(2)]
    strikes, _ = quantised([Note(1910, 60, 200, 80)], measures, 480)
    assert [strike.onset for strike in strikes] == [192]


def notes_of(sheet: Sheet) -> list[set[tuple[int, int]]]:
    """Of each part the onsets (units) and pitches of its noteheads, ties counted once."""
    return [
        {
            (measure.start + sign.piece.start, head.pitch)
            for staff in part.staves
            for measure, voices in zip(sheet.measures, staff.bars, strict=True)
            for voice in voices
            for sign in voice
            for head in sign.heads
            if not head.tied_from
        }
        for part in sheet.parts
    ]


def shape_of(sheet: Sheet) -> list[list[tuple[int, int, int, str, int, tuple[int, ...]]]]:
    return [
        [
            (s, measure.number, sign.piece.start, sign.piece.kind, sign.piece.dots, tuple(h.pitch for h in sign.heads))
            for s, staff in enumerate(part.staves)
            for measure, voices in zip(sheet.measures, staff.bars, strict=True)
            for voice in voices
            for sign in voice
        ]
        for part in sheet.parts
    ]


@pytest.mark.parametrize("style", ["ballad", "rock", "shuffle"])
@pytest.mark.parametrize("metre", ["4/4", "3/4", "6/8", "5/4", "7/8"])
@pytest.mark.parametrize("human", [False, True])
def test_every_note_is_written_and_every_bar_is_full(style: str, metre: str, human: bool) -> None:
    song = make_song(style, tonic=3, mode="minor", metre=metre, bars=8, seed=1, human=human)
    sheet = engrave(song)
    assert len(sheet.measures) == 8
    for part in sheet.parts:
        for staff in part.staves:
            assert len(staff.bars) == 8
            for measure, voices in zip(sheet.measures, staff.bars, strict=True):
                for voice in voices:
                    assert voice[0].piece.start == 0
                    assert all(a.piece.stop == b.piece.start for a, b in pairwise(voice))
                    assert voice[-1].piece.stop == measure.length
    exact = engrave(make_song(style, tonic=3, mode="minor", metre=metre, bars=8, seed=1))
    if not human and style != "shuffle":
        for played, found in zip(song.parts, notes_of(sheet), strict=True):
            assert found == {(note.onset_ticks // 10, note.pitch) for note in played.notes}
    if style == "shuffle" and metre.endswith("/8"):
        return  # triplets of a quarter have no place in bars of eighths
    assert notes_of(sheet) == notes_of(exact)


def test_ties_join_what_they_tie() -> None:
    sheet = engrave(make_song("ballad", bars=8, seed=2))
    for part in sheet.parts:
        for staff in part.staves:
            held: set[int] = set()
            for voices in staff.bars:
                for sign in [sign for voice in voices[:1] for sign in voice]:
                    if len(voices) == 1:
                        assert {head.pitch for head in sign.heads if head.tied_from} <= held or not held
                    held = {head.pitch for head in sign.heads if head.tied_to}


def test_swing_and_looseness_are_not_written() -> None:
    straight = make_song("ballad", bars=8, seed=4, parts=("guitar", "bass", "drums"))
    played = humanise(swing(straight, 0.8), 0.7, seed=3)
    sheet = engrave(played)
    assert sheet.swing is not None and sheet.swing.unit == "eighth"
    assert 0.6 < sheet.swing.place < 0.67
    assert notes_of(sheet) == notes_of(engrave(straight))
    assert hear_swing(straight) is None


def test_sixteenths_may_swing_and_triplets_are_no_swing() -> None:
    song = make_song("ballad", bars=8, seed=4, parts=("guitar", "drums"))
    doubled = replace(song, tempos=(Tempo(0, 60.0),), ticks_per_quarter=960)  # what were eighths are sixteenths
    found = hear_swing(swing(doubled, 1.0, "sixteenth"))
    assert found is not None and found.unit == "sixteenth" and found.place == pytest.approx(2 / 3, abs=0.01)
    assert found.pair == Swing("eighth", 0.6).pair / 2
    triplets = [Note(160 * n, 60, 150, 80) for n in range(96)]
    assert hear_swing(Score((Part("piano", "piano", notes=tuple(triplets)),))) is None


@pytest.mark.parametrize(
    ("key", "chord", "pitch", "following", "name"),
    [
        ("C major", None, 60, None, "C4"),
        ("C major", None, 61, None, "C#4"),
        ("C major", None, 63, None, "Eb4"),
        ("C major", None, 63, 64, "D#4"),  # leads up
        ("C major", None, 68, 67, "Ab4"),  # leads down
        ("C major", "E7", 68, None, "G#4"),
        ("C major", "Fm", 68, None, "Ab4"),
        ("C major", "B7", 63, None, "D#4"),
        ("A minor", "E7", 68, None, "G#4"),
        ("Db major", None, 61, None, "Db4"),
        ("Db major", None, 66, None, "Gb4"),
        ("B major", None, 70, None, "A#4"),
        ("F# major", None, 65, None, "E#4"),
        ("Eb minor", None, 59, None, "Cb4"),
        ("C minor", "G7", 71, None, "B4"),
        ("D minor", "A7(b9)", 70, None, "Bb4"),
        ("C major", "Bdim7", 68, None, "Ab4"),
        ("C major", "Caug", 68, None, "G#4"),
        ("F major", "Bb7(#11)", 64, None, "E4"),
        ("F# minor", None, 58, 57, "A#3"),  # B flat is too far away, even to lead down
        ("C major", None, 61, 60, "Db4"),
    ],
)
def test_notes_are_called_as_key_and_chord_have_them(
    key: str, chord: str | None, pitch: int, following: int | None, name: str
) -> None:
    found = spelled(pitch, Key(0, *parse_key(key)), parse_symbol(chord) if chord else None, following)
    assert f"{found.step}{'#' * found.alter if found.alter > 0 else 'b' * -found.alter}{found.octave}" == name


@given(pitch=st.integers(0, 127), tonic=st.integers(0, 11), mode=st.sampled_from(["major", "minor"]))
def test_a_name_sounds_as_its_pitch(pitch: int, tonic: int, mode: str) -> None:
    found = spelled(pitch, Key(0, tonic, mode))
    natural = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}[found.step]
    assert 12 * (found.octave + 1) + natural + found.alter == pitch
    assert abs(found.alter) <= 2 and abs(fifths_of(Key(0, tonic, mode))) <= 6


def test_staves_and_clefs() -> None:
    song = make_song("ballad", bars=8)
    flute = Part("flute", "other", 73, notes=tuple(Note(480 * n, 84 + n % 5, 400, 80) for n in range(16)))
    cello = Part("cello", "other", 42, notes=tuple(Note(480 * n, 40 + n % 5, 400, 80) for n in range(16)))
    sheet = engrave(replace(song, parts=(*song.parts, flute, cello)))
    clefs = {part.name: [staff.clef for staff in part.staves] for part in sheet.parts}
    assert clefs["piano"] == [TREBLE, BASS]
    assert clefs["guitar"] == [GUITAR_CLEF] and clefs["bass"] == [LOW_BASS]
    assert clefs["flute"][0].sign == "G" and clefs["cello"] == [BASS]


def test_two_hands_and_the_middle_of_the_keyboard() -> None:
    melody = [Note(480 * n, 72 + n % 7, 480, 90) for n in range(16)]
    chords = [Note(1920 * n, pitch, 1920, 60) for n in range(4) for pitch in (43, 47, 50)]
    sheet = engrave(Score((Part("piano", "piano", notes=tuple(sorted([*melody, *chords]))),)))
    right, left = (
        {head.pitch for voices in staff.bars for voice in voices for sign in voice for head in sign.heads}
        for staff in sheet.parts[0].staves
    )
    assert right == {note.pitch for note in melody} and left == {43, 47, 50}


def test_a_held_note_under_a_line_is_a_voice_of_its_own() -> None:
    line = [Note(240 * n, 64 + n % 5, 240, 80) for n in range(16)]
    low = [Note(0, 45, 1920, 80), Note(1920, 43, 1920, 80)]
    sheet = engrave(Score((Part("guitar", "guitar", 25, notes=tuple(sorted([*line, *low]))),)))
    first = sheet.parts[0].staves[0].bars[0]
    assert len(first) == 2
    assert [(sign.piece.kind, sign.heads[0].pitch) for sign in first[1]] == [("whole", 45)]
    assert all(sign.piece.kind == "eighth" for sign in first[0])
    # A bass is one voice, whatever rings on.
    alone = engrave(Score((Part("bass", "bass", 33, notes=tuple(sorted([*line, *low]))),)))
    assert all(len(voices) == 1 for voices in alone.parts[0].staves[0].bars)


def test_every_drum_can_be_told_from_every_other() -> None:
    assert set(DRUMS) == set(range(27, 88))
    places = [(drum.step, drum.octave, drum.head) for drum in DRUMS.values()]
    assert len(set(places)) == len(places)
    assert drum_of(100).head == "cross"  # one without a row


def test_hands_above_feet_below_and_no_stroke_is_tied() -> None:
    sheet = engrave(make_band(4, drums=True))
    (drums,) = [part for part in sheet.parts if part.is_drum]
    for voices in drums.staves[0].bars:
        assert len(voices) == 2
        for voice, foot in zip(voices, (False, True), strict=True):
            heads = [head for sign in voice for head in sign.heads]
            assert all(drum_of(head.pitch).foot is foot for head in heads)
            assert not any(head.tied_from or head.tied_to for head in heads)


def test_syllables_lie_under_the_notes_they_are_sung_on() -> None:
    band = make_band(2)
    guitar = next(part for part in band.parts if part.kind == "guitar")
    said = (Text(0, "Hel"), Text(245, "lo "), Text(480, "world "), Text(1920, "now\r"))  # one a little late
    parts = tuple(replace(part, lyrics=said) if part is guitar else part for part in band.parts)
    sheet = engrave(replace(band, parts=parts))
    written = next(part for part in sheet.parts if part.kind == "guitar")
    found = [
        (measure.number, sign.piece.start, sign.lyric.text, sign.lyric.syllabic, sign.lyric.is_held)
        for measure, voices in zip(sheet.measures, written.staves[0].bars, strict=True)
        for sign in voices[0]
        if sign.lyric is not None
    ]
    assert found == [
        (1, 0, "Hel", "begin", False),
        (1, 24, "lo", "end", False),
        (1, 48, "world", "single", True),
        (2, 0, "now", "single", False),
    ]
    # Those of no part are the part's that they fit.
    alone = engrave(replace(band, lyrics=said[:1]))
    assert sum(sign.lyric is not None for p in alone.parts for s in p.staves for v in s.bars for sign in v[0]) == 1


def test_metres_keys_and_tempos_where_they_change() -> None:
    band = make_band(4)
    changed = replace(
        band,
        metres=(Metre(0, 4, 4), Metre(1920, 3, 4)),
        keys=(Key(0, 9, "minor"), Key(3360, 4, "major")),
        tempos=(Tempo(0, 120.0), Tempo(1920, 90.0), Tempo(2400, 89.0)),
        bars=None,
    )
    sheet = engrave(changed)
    assert [str(measure.metre) for measure in sheet.measures[:3]] == ["4/4", "3/4", "3/4"]
    assert [str(key) for key in sheet.keys[:3]] == ["A minor", "A minor", "E major"]
    assert sheet.tempos == ((1, 0, 120.0, True), (2, 0, 90.0, False), (2, 48, 89.0, False))
    assert [mark.text for mark in sheet.marks] == ["verse"]
    assert [chord.text for chord in sheet.chords[:2]] == ["Am", "F"]


def test_what_cannot_be_written_down_is_said() -> None:
    with pytest.raises(BadRequest, match="no notes"):
        engrave(Score(()))
    far = Part("piano", "piano", notes=(Note(2100 * 1920, 60, 10, 80),))
    with pytest.raises(BadRequest, match="more than 2048 bars"):
        engrave(Score((far,)))
