"""Lyric events and the syllables they spell."""

from __future__ import annotations

import io
from dataclasses import replace

import mido
import pretty_midi
import pytest
from hypothesis import given
from hypothesis import strategies as st

from midigen.errors import BadRequest
from midigen.midi import midi_bytes, read_midi, to_pretty_midi
from midigen.opened import open_song
from midigen.performance import humanise, swing
from midigen.score import Note, Part, Score, Text
from midigen.syllables import Syllable, lines_of, syllabics, syllables_of, texts_of, words_of


def said(*words: str) -> list[tuple[str, bool, str]]:
    return [(s.text, s.joins, s.ends) for s in syllables_of(Text(100 * n, word) for n, word in enumerate(words))]


def test_as_the_standard_spells_them() -> None:
    assert said("Hel", "lo ", "world \r", "good", "bye \n", "now") == [
        ("Hel", True, ""),
        ("lo", False, ""),
        ("world", False, "line"),
        ("good", True, ""),
        ("bye", False, "section"),
        ("now", False, ""),
    ]


def test_as_others_spell_them() -> None:
    hello = [("Hel", True, ""), ("lo", False, "")]
    assert said("Hel-", "lo", "world") == [*hello, ("world", False, "")]
    assert said("Hel-", "lo", "_", "", "world") == [*hello, ("world", False, "")]
    assert said("Hel", "-", "lo") == hello
    assert said("Hel", "lo", " world") == [*hello, ("world", False, "")]
    assert said("@KMIDI KARAOKE FILE", "\\Hel", "lo ", "world", "/good", "bye", "\\now") == [
        *hello,
        ("world", False, "line"),
        ("good", True, ""),
        ("bye", False, "section"),
        ("now", False, "section"),
    ]
    assert said("Hel", "lo ", "world", "\r", "now") == [*hello, ("world", False, "line"), ("now", False, "")]
    assert said("Hel", "lo\n", "now\n\n") == [("Hel", True, ""), ("lo", False, "section"), ("now", False, "section")]
    assert said("", "_", " ", "\0", "\r") == []
    assert said("love", "is") == [("love", False, ""), ("is", False, "")]


def test_hyphens_are_set_inside_words_only() -> None:
    syllables = syllables_of(
        Text(n, word) for n, word in enumerate(["mu", "si", "cal ", "joy ", "月", "光 \r", "Wel", "t"])
    )
    assert syllabics(syllables) == ("begin", "middle", "end", "single", "single", "single", "begin", "end")
    assert syllabics(()) == ()
    assert words_of(syllables) == "musical joy 月光\nWelt"
    assert [[s.text for s in line] for line in lines_of(syllables)] == [
        ["mu", "si", "cal", "joy", "月", "光"],
        ["Wel", "t"],
    ]


letters = st.text(st.sampled_from("abcé'，月のßй"), min_size=1, max_size=5)
lines = st.lists(
    st.tuples(letters, st.booleans(), st.sampled_from(["", "", "", "line", "section"])), min_size=1, max_size=12
)


@given(lines)
def test_what_is_spelled_is_read(words: list[tuple[str, bool, str]]) -> None:
    syllables = [Syllable(n, text, joins and not ends, ends) for n, (text, joins, ends) in enumerate(words)]
    syllables[-1] = replace(syllables[-1], joins=False)
    texts = texts_of(syllables)
    assert list(syllables_of(texts)) == syllables
    assert len(syllabics(syllables)) == len(syllables)


@given(st.lists(st.text(st.sampled_from("ab -_/\\\r\n@{#~+\0"), max_size=6), max_size=8))
def test_any_texts_can_be_read(words: list[str]) -> None:
    syllables = syllables_of(Text(n, word) for n, word in enumerate(words))
    assert all(s.text and s.text == s.text.strip() for s in syllables)
    assert len(syllabics(syllables)) == len(syllables)


def test_ends_are_checked() -> None:
    with pytest.raises(BadRequest, match="ends 'verse': choose line, section"):
        Syllable(0, "la", ends="verse")


def sung() -> Score:
    notes = tuple(Note(240 * n, 60 + n, 240, 80) for n in range(4))
    lyrics = texts_of(
        [Syllable(0, "grö", True), Syllable(240, "ße"), Syllable(480, "線", True), Syllable(720, "上", ends="section")]
    )
    return Score((Part("chords", notes=notes), Part("voice", program=52, notes=notes, lyrics=lyrics)))


def test_lyrics_stand_in_the_track_of_their_part() -> None:
    score = sung()
    data = midi_bytes(score)
    for found in (read_midi(data), open_song(data).score):
        assert [part.lyrics for part in found.parts] == [(), score.parts[1].lyrics]
        assert found.lyrics == ()
    file = mido.MidiFile(file=io.BytesIO(data), charset="utf-8")
    assert [m.text for m in file.tracks[2] if m.type == "lyrics"] == ["grö", "ße ", "線", "上 \n"]
    assert not any(m.type == "lyrics" for track in file.tracks[:2] for m in track)
    pretty = pretty_midi.PrettyMIDI(io.BytesIO(data), charset="utf-8")
    assert [lyric.text for lyric in pretty.lyrics] == ["grö", "ße ", "線", "上 \n"]
    assert [lyric.time for lyric in pretty.lyrics] == [0.0, 0.25, 0.5, 0.75]
    assert [lyric.text for lyric in to_pretty_midi(score).lyrics] == ["grö", "ße ", "線", "上 \n"]


def test_lyrics_of_several_parts_belong_to_all() -> None:
    file = mido.MidiFile(type=0)
    file.tracks.append(track := mido.MidiTrack())
    track.append(mido.MetaMessage("lyrics", text="gr\xf6"))  # Latin-1, as mido writes it
    for channel in (0, 1):
        track.append(mido.Message("note_on", note=60, channel=channel))
        track.append(mido.Message("note_off", note=60, channel=channel, time=96))
    file.save(file=(buffer := io.BytesIO()))
    for found in (read_midi(buffer.getvalue()), open_song(buffer.getvalue()).score):
        assert found.lyrics == (Text(0, "grö"),)
        assert [part.lyrics for part in found.parts] == [(), ()]


def test_syllables_stay_with_their_notes() -> None:
    score = sung()
    for played in (swing(score, 1.0), humanise(score, 1.0, 3)):
        voice = played.parts[1]
        assert [text.text for text in voice.lyrics] == [text.text for text in score.parts[1].lyrics]
        assert {text.tick for text in voice.lyrics} == {note.onset_ticks for note in voice.notes}
        assert {text.tick for text in voice.lyrics} != {0, 240, 480, 720}
