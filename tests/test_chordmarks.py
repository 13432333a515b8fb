"""Chord symbols as events of a MIDI file: text, and Yamaha's names beside it."""

from __future__ import annotations

import shutil
import warnings
from dataclasses import replace
from io import BytesIO

import pytest

from midigen.analysis import QUALITIES
from midigen.chordmarks import chord_events, xf_name
from midigen.events import META, SEQUENCER_SPECIFIC, TEXT, events, meta
from midigen.midi import midi_bytes, read_midi
from midigen.opened import open_song
from midigen.score import Note, Part, Score, Text
from midigen.written import written_symbols


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("C", "31 00 7f 7f"),
        ("Am", "36 08 7f 7f"),
        ("Bb7/D", "27 13 32 7f"),
        ("F#m7b5", "44 0b 7f 7f"),
        ("E♭Δ", "23 02 7f 7f"),
        ("G/G", "35 00 7f 7f"),
        ("C6/9", "31 06 7f 7f"),
        ("Cadd9", "31 00 7f 7f"),  # XF has one; MuseScore takes it for a C major ninth
        ("Dm(add9)", "32 08 7f 7f"),
        ("A7(b9,#11)", "36 19 7f 7f"),
        ("Bbb5", "27 00 7f 7f"),  # B flat, and a flat fifth that XF has no word for
        ("N.C.", "7f 22 7f 7f"),
    ],
)
def test_names_that_xf_has(text: str, name: str) -> None:
    assert xf_name(text) == bytes.fromhex(name)


def test_no_name_for_no_chord() -> None:
    assert [xf_name(text) for text in ("", "hello", "verse", "x", "/G")] == [None] * 5


def test_every_quality_of_the_model_has_a_name_of_its_own() -> None:
    names = [xf_name(f"D{quality}") for quality in QUALITIES]
    assert None not in names
    assert len(set(names)) == len(QUALITIES)


def test_a_symbol_is_an_empty_text_a_text_and_a_name() -> None:
    found = chord_events([Text(960, "Am")], 480, str.encode)
    assert [(event.tick, event.data.hex(" ")) for event in found] == [
        (960, "ff 01 00"),
        (960, "ff 01 02 41 6d"),
        (960, "ff 7f 07 43 7b 01 36 08 7f 7f"),
    ]
    # MuseScore would show it somewhere else
    assert len(chord_events([Text(960, "Am")], 960, str.encode)) == 2
    assert len(chord_events([Text(960, "Refrain")], 480, str.encode)) == 2


@pytest.mark.parametrize(("onsets", "at"), [([], 960), ([0, 955, 970], 955), ([0, 962, 970], 962), ([0, 800], 960)])
def test_a_name_goes_to_the_note_that_is_meant(onsets: list[int], at: int) -> None:
    texts: list[int] = []
    names: list[int] = []
    for event in chord_events([Text(960, "Am")], 480, str.encode, onsets):
        (texts if event.data[1] == TEXT else names).append(event.tick)
    assert (texts, names) == ([960, 960], [at])


def song() -> Score:
    """Two bars, four chords, played a little late."""
    notes = tuple(Note(tick + 7, 60, 400, 80) for tick in range(0, 3840, 960))
    names = ("C", "G7/B", "C13", "N.C.")
    chords = tuple(Text(960 * number, name) for number, name in enumerate(names))
    return Score((Part("piano", "piano", notes=notes),), chords=chords, title="x")


def test_symbols_come_back_as_they_were() -> None:
    opened = open_song(midi_bytes(song()))
    assert opened.score.chords == song().chords
    assert [(tick, symbol.text) for tick, symbol in written_symbols(opened)] == [
        (text.tick, text.text) for text in song().chords
    ]
    assert midi_bytes(replace(opened.score, title="x")) == midi_bytes(song())


def test_other_readers_are_not_troubled() -> None:
    mido, pretty_midi = pytest.importorskip("mido"), pytest.importorskip("pretty_midi")
    data = midi_bytes(song())
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        texts = [text.text for text in pretty_midi.PrettyMIDI(BytesIO(data)).text_events]
    assert [text for text in texts if text] == [text.text for text in song().chords]
    said = [message.text for message in mido.MidiFile(file=BytesIO(data)).tracks[0] if message.type == "text"]
    assert said == texts
    assert read_midi(data).parts == song().parts


@pytest.mark.skipif(shutil.which("musescore3") is None, reason="MuseScore 3 is not installed")
def test_musescore_shows_them_and_no_lyrics() -> None:
    from benchmarks.musescore import imported
    from benchmarks.studios import symbol_of

    _, page = imported(midi_bytes(song()))
    assert [symbol_of(harmony) for harmony in page.iter("harmony")] == [
        "C",
        "G7/B",
        "C7",
        "N.C.",
    ]  # and the thirteenth as a degree
    assert [text.text for text in page.iter("text")] == []


@pytest.mark.skipif(shutil.which("musescore3") is None, reason="MuseScore 3 is not installed")
def test_what_musescore_shows_nowhere() -> None:
    """The evidence for what docs/studios.md says cannot be had: a marker in either track."""
    from benchmarks.musescore import NOTHING, shown_as, with_events
    from midigen.events import MARKER, Event

    data = midi_bytes(replace(song(), chords=()))
    for track in (0, 1):
        assert shown_as(with_events(data, track, Event(967, meta(MARKER, b"chorus"))), "chorus") == NOTHING
    assert shown_as(with_events(data, 0, Event(967, meta(TEXT, b"chorus"))), "chorus") == "Lyrics"


def test_the_file_has_one_name_a_chord() -> None:
    found = [data for _, _, data in events(midi_bytes(song())) if data[0] == META and data[1] == SEQUENCER_SPECIFIC]
    assert len(found) == 4
