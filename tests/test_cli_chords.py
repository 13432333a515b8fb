"""``midigen chords``: what is printed is read back, and what cannot be heard is told in one line."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from conftest import Ended
from songs import make_song

from midigen.charts import parse_chart, read_chart
from midigen.forms import parse_form
from midigen.midi import read_midi, write_midi
from midigen.score import Metre, Note, Part, Score, Tempo, Text
from midigen.sections import hear

Command = Callable[..., Ended]


@pytest.mark.parametrize(
    ("style", "metre", "tonic", "mode"),
    [
        ("ballad", "4/4", 3, "major"),
        ("rock", "3/4", 9, "minor"),
        ("shuffle", "6/8", 6, "major"),
        ("rock", "7/8", 0, "major"),
    ],
)
def test_what_is_printed_is_read_back(style: str, metre: str, tonic: int, mode: str, midigen: Command) -> None:
    song = write_midi(make_song(style, metre=metre, tonic=tonic, mode=mode, bars=22), Path("song.mid"))
    ended = midigen("chords", song)
    assert (ended.code, ended.err) == (0, "")
    chart, heard = parse_chart(ended.out), hear(read_midi(song))
    assert chart.chords(22, metre) == list(heard.chords)
    assert chart == heard.chart
    assert chart.key() == heard.key and chart.stated_metre == metre
    lines = ended.out.splitlines()
    assert lines[0] == "{title: song}"
    assert parse_form(next(line for line in lines if line.startswith("# form: "))[8:]) == heard.form
    bars = [line for line in lines if line.startswith("|")]
    assert max(line.count(" | ") for line in bars) == 3  # four bars a line
    assert chart.labels == tuple((s.first, s.name) for s in heard.form.sections)


def test_notes_are_spelled_as_the_key_does(midigen: Command) -> None:
    for tonic, right, wrong in ((8, "Db", "C#"), (4, "C#m", "Db")):
        song = write_midi(make_song("rock", tonic=tonic, bars=16), Path("song.mid"))
        bars = [line for line in midigen("chords", song).out.splitlines() if line[0] == "|"]
        assert any(right in line for line in bars) and not any(wrong in line for line in bars)


def test_a_file_is_written_and_composes_by_name(midigen: Command) -> None:
    song = write_midi(make_song("rock", bars=8), Path("song.mid"))
    printed = midigen("chords", song).out
    ended = midigen("chords", song, "-o", "chart.txt")
    assert (ended.code, ended.out) == (0, "chart.txt: 8 bars, C major\n")
    assert Path("chart.txt").read_text(encoding="utf-8") == printed
    assert read_chart("chart.txt") == parse_chart(printed)


def test_json(midigen: Command) -> None:
    score = replace(make_song("ballad", bars=8), tempos=(Tempo(0, 60.0), Tempo(1920, 120.0)))
    song = write_midi(score, Path("song.mid"))
    found = json.loads(midigen("chords", song, "--json").out)
    heard = hear(read_midi(song))
    assert (found["title"], found["key"], found["tempo_qpm"], found["metre"], found["bars"]) == (
        "song", "C major", 60.0, "4/4", 8,
    )  # fmt: skip
    assert [(c["bar"], c["symbol"]) for c in found["chords"]] == [
        (chord.bar + 1, symbol.text) for chord, symbol in zip(heard.chords, heard.chart.in_order, strict=True)
    ]
    first = found["chords"][0]
    assert (first["root"], first["quality"], first["bass"], first["pitch_classes"]) == (0, "", 0, [0, 4, 7])
    by_bar = {chord["bar"]: chord["seconds"] for chord in reversed(found["chords"])}
    assert by_bar[2] == pytest.approx(4.0) and by_bar[3] == pytest.approx(6.0)
    assert sum(section["bars"] for section in found["form"]) == 8
    midigen("chords", song, "--json", "--output", "chords.json")
    assert json.loads(Path("chords.json").read_text()) == found


def test_symbols_in_the_file_go_before_what_is_heard(midigen: Command) -> None:
    written = ("C13", "Am7", "F#m7b5/C", "N.C.", "Bb7(b9)", "C")
    symbols = tuple(Text(960 * n, text) for n, text in enumerate(written))
    song = write_midi(replace(make_song("rock", bars=8), chords=symbols), Path("song.mid"))
    ended = midigen("chords", song)
    assert "| C13 Am7 | F#m7b5/C N.C. | Bb7(b9) C | C |" in ended.out and "--from-notes" in ended.out
    chart = parse_chart(ended.out)
    assert len(chart) == 8 and [chord.root for chord in chart.chords(8, "4/4")][:6] == [0, 9, 6, -1, 10, 0]
    heard = midigen("chords", song, "--from-notes")
    assert "C13" not in heard.out and parse_chart(heard.out) == hear(read_midi(song)).chart
    found = json.loads(midigen("chords", song, "--json").out)
    assert found["chords_from"] == "symbols" and found["chords"][0]["symbol"] == "C13"
    assert json.loads(midigen("chords", song, "--json", "--from-notes").out)["chords_from"] == "notes"
    assert "as they are written" in midigen("chords", song, "-o", "chart.txt").out


def test_other_texts_are_no_chords(midigen: Command) -> None:
    score = replace(make_song("rock", bars=8), markers=(Text(0, "A"), Text(1920, "Bridge"), Text(3840, "A")))
    song = write_midi(replace(score, chords=(Text(0, "Am"),)), Path("song.mid"))
    assert "--from-notes" not in midigen("chords", song).out


def test_symbols_between_beats_stand_on_the_nearest(midigen: Command) -> None:
    score = replace(
        make_song("rock", bars=4), chords=(Text(1930, "F"), Text(1940, "G7"), Text(3000, "C"), Text(9999, "D"))
    )
    out = midigen("chords", write_midi(score, Path("song.mid"))).out
    bars = " ".join(line for line in out.splitlines() if line.startswith("|")).replace("| |", "|")
    assert bars == "| N.C. | G7 C | C | C |"


def test_a_song_folder_stands_for_its_song(midigen: Command) -> None:
    Path("mine").mkdir()
    write_midi(make_song("rock", bars=4), Path("mine/song.mid"))
    assert midigen("chords", "mine").out == midigen("chords", "mine/song.mid").out
    assert midigen("chords", "mine/nothing").complains("mine/nothing", "no such file")
    Path("empty").mkdir()
    assert midigen("chords", "empty").complains("empty", "song.mid")


def test_what_a_chart_has_no_words_for_is_remarked(midigen: Command) -> None:
    score = make_song("rock", bars=8)
    score = replace(
        score, metres=(Metre(0, 4, 4), Metre(4 * 1920, 5, 8)), tempos=(Tempo(0, 100.0), Tempo(1920, 140.0)), title=""
    )
    out = midigen("chords", write_midi(score, Path("a{b}.mid"))).out
    assert "{title: a b}" in out.replace("  ", " ").replace(" }", "}")
    assert "# tempo from 100 to 140" in out and "# time 4/4, 2.5 quarters from bar 5" in out
    assert len(parse_chart(out)) == len(hear(score).chart)


def test_silence_before_the_music_is_no_chord(midigen: Command) -> None:
    note = Part("flute", "other", 73, notes=(Note(1920, 64, 960, 80),))
    out = midigen("chords", write_midi(Score((note,)), Path("flute.mid"))).out
    assert "| N.C. | E" in out.replace("[B]\n", "")


def test_songs_without_chords_are_refused_in_one_line(midigen: Command) -> None:
    write_midi(Score(()), Path("empty.mid"))
    write_midi(make_song("rock", bars=4, parts=("drums",)), Path("drums.mid"))
    Path("broken.mid").write_bytes(b"MThd\0\0")
    Path("note.txt").write_text("C | G")
    assert midigen("chords", "empty.mid").complains("empty.mid", "no notes")
    assert midigen("chords", "drums.mid").complains("drums.mid", "drums alone")
    assert midigen("chords", "broken.mid").complains("broken.mid", "truncated")
    assert midigen("chords", "note.txt").complains("note.txt", "not a MIDI file")
    assert midigen("chords", "missing.mid").complains("missing.mid", "no such file")
    assert midigen("chords").complains("SONG.mid")


def test_places_that_cannot_be_written(midigen: Command) -> None:
    song = write_midi(make_song("rock", bars=4), Path("song.mid"))
    before = song.read_bytes()
    Path("folder").mkdir()
    assert midigen("chords", song, "-o", "folder").complains("is a folder")
    assert midigen("chords", song, "-o", "nowhere/chart.txt").complains("nowhere/chart.txt")
    assert midigen("chords", song, "-o", song).complains("is the song itself")
    assert song.read_bytes() == before
