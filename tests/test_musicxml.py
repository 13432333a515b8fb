"""MusicXML files: valid, the same each time, and what MuseScore makes of them."""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import zipfile
from dataclasses import replace
from itertools import groupby
from pathlib import Path
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

import pytest
from conftest import make_band
from notation_schema import load_schema, schema_file
from songs import make_song

from midigen.charts.symbols import parse_symbol
from midigen.exporters.harmony import KINDS, add_harmony, kind_of
from midigen.exporters.markup import Archive, add, clean, decimal
from midigen.exporters.musicxml import compressed, musicxml, sheet_bytes
from midigen.midi import read_midi
from midigen.notation import engrave
from midigen.notation.rhythm import UNITS
from midigen.notation.sheet import Sheet
from midigen.performance import swing
from midigen.score import Bend, Key, Metre, Note, Part, Score, Tempo, Text

MUSESCORE = next(filter(None, map(shutil.which, ("mscore3", "musescore3", "mscore", "musescore"))), None)
needs_musescore = pytest.mark.skipif(MUSESCORE is None, reason="MuseScore is not installed")


def root_of(score: Score) -> Element:
    return ElementTree.fromstring(musicxml(score))


def texts(root: Element, path: str) -> list[str | None]:
    return [element.text for element in root.findall(path)]


def odd_song() -> Score:
    """All that a sheet can hold: changes of key, metre and tempo, a bar cut short, words, strange names."""
    song = make_song("ballad", tonic=1, mode="minor", bars=8, seed=5)
    piano, guitar, *others = song.parts
    guitar = replace(guitar, name='a <guitar> & "co"\x07', lyrics=(Text(0, "La "), Text(480, "di"), Text(720, "da ")))
    low = Part("sub", "other", 87, notes=(Note(0, 3, 480, 90), Note(1920, 127, 7, 1)), bends=(Bend(0, 100),))
    return replace(
        song,
        parts=(piano, guitar, *others, low),
        metres=(Metre(0, 4, 4), Metre(1920, 6, 8), Metre(3000, 7, 8), Metre(3840, 2, 2), Metre(7680, 5, 16)),
        keys=(Key(0, 1, "minor"), Key(3840, 6, "major")),
        tempos=(Tempo(0, 100.0), Tempo(1000, 101.0), Tempo(3840, 72.5)),
        markers=(Text(0, "intro"), Text(3840, "B & C")),
        chords=tuple(Text(480 * n, s) for n, s in enumerate(("C#m7", "F#7(b9)/A#", "N.C.", "Bmaj7", "rubbish", "G#ø"))),
    )


@pytest.fixture(scope="module")
def schema(tmp_path_factory: pytest.TempPathFactory):
    pytest.importorskip("lxml")
    if schema_file() is None:
        pytest.skip("the library musicxml, which has the schema, is not installed")
    return load_schema(tmp_path_factory.mktemp("schema"))


@pytest.mark.parametrize("style", ["ballad", "rock", "shuffle"])
@pytest.mark.parametrize("metre", ["4/4", "3/4", "6/8"])
def test_songs_are_valid(schema, style: str, metre: str) -> None:
    from lxml import etree

    score = make_song(style, tonic=10, mode="minor", metre=metre, bars=8, seed=3, human=True)
    schema.assertValid(etree.fromstring(musicxml(score)))


def test_odd_songs_are_valid(schema) -> None:
    from lxml import etree

    for score in (odd_song(), make_band(2, drums=True, guitars=2), swing(make_band(4, drums=True), 0.7)):
        schema.assertValid(etree.fromstring(musicxml(score)))


def test_the_schema_would_notice(schema) -> None:
    from lxml import etree

    broken = musicxml(make_band(1)).replace(b"<octave>4</octave>", b"<octave>high</octave>", 1)
    assert not schema.validate(etree.fromstring(broken))


def test_the_same_score_makes_the_same_bytes() -> None:
    score = odd_song()
    assert musicxml(score) == musicxml(score)
    assert compressed(musicxml(score)) == compressed(musicxml(score))


def test_every_voice_fills_its_bar() -> None:
    for part in root_of(odd_song()).findall("part"):
        divisions = int(part.findtext("measure/attributes/divisions") or 0)
        for measure in part.findall("measure"):
            at, length = 0, None
            for element in measure:
                if element.tag == "backup":
                    assert length in (None, at)
                    length, at = at, at - int(element.findtext("duration") or 0)
                    assert at == 0
                elif element.tag == "note" and element.find("chord") is None:
                    at += int(element.findtext("duration") or 0)
            assert at > 0 and length in (None, at)
            time = measure.find("attributes/time")
            if time is not None and measure.get("number") == "1":
                assert at == int(time.findtext("beats") or 0) * 4 * divisions // int(time.findtext("beat-type") or 1)


def test_a_band_on_paper() -> None:
    root = root_of(make_band(4, drums=True))
    assert root.findtext("work/work-title") == "band"
    assert texts(root, "part-list/score-part/part-name") == ["piano", "guitar", "bass", "drums"]
    assert texts(root, "part-list/score-part/midi-instrument/midi-program")[:3] == ["1", "26", "34"]
    piano, guitar, bass, drums = root.findall("part")
    assert texts(piano, "measure/attributes/staves") == ["2"] or texts(piano, "measure/attributes/staves") == []
    assert texts(guitar, "measure/attributes/clef/clef-octave-change") == ["-1"]
    assert texts(bass, "measure/attributes/clef/clef-octave-change") == ["-1"]
    assert texts(bass, "measure/attributes/clef/sign") == ["F"]
    assert texts(drums, "measure/attributes/clef/sign") == ["percussion"]
    assert texts(piano, "measure/attributes/key/fifths") == ["0"] and texts(piano, ".//key/mode") == ["minor"]
    assert [h.findtext("root/root-step") for h in piano.iter("harmony")] == ["A", "F", "C", "G"]
    assert [h.findtext("kind") for h in guitar.iter("harmony")] == ["minor", "major", "major", "major"]
    assert not list(bass.iter("harmony"))
    assert texts(piano, ".//rehearsal") == ["verse"]
    assert [sound.get("tempo") for sound in root.iter("sound") if sound.get("tempo")] == ["120"]
    assert texts(piano, ".//per-minute") == ["120"]


def test_drums_say_which_drum_is_meant() -> None:
    root = root_of(make_band(2, drums=True))
    keys = {
        midi.get("id"): int(midi.findtext("midi-unpitched") or 0) - 1
        for midi in root.findall("part-list/score-part/midi-instrument")
        if midi.find("midi-unpitched") is not None
    }
    assert sorted(keys.values()) == [36, 38, 42]
    notes = [note for note in root.findall("part[4]/measure/note") if note.find("unpitched") is not None]
    heads = {}
    for note in notes:
        identifier = note.find("instrument")
        assert identifier is not None
        where = f"{note.findtext('unpitched/display-step')}{note.findtext('unpitched/display-octave')}"
        heads[keys[identifier.get("id")]] = (where, note.findtext("notehead"), note.findtext("stem"))
    assert heads == {36: ("F4", None, "down"), 38: ("C5", None, "up"), 42: ("G5", "x", "up")}


def test_accidentals_are_shown_once_a_bar_and_taken_back() -> None:
    pitches = [66, 66, 65, 66, 66, 78]  # F# F# F F# | F# F#5, in C
    line = tuple(Note(480 * n, pitch, 480, 80) for n, pitch in enumerate(pitches))
    root = root_of(Score((Part("flute", "other", 73, notes=line),), keys=(Key(0, 0, "major"),)))
    found = [note.findtext("accidental") for note in root.iter("note") if note.find("pitch") is not None]
    assert found == ["sharp", None, "natural", "sharp", "sharp", "sharp"]
    flats = root_of(Score((Part("flute", "other", 73, notes=line[:1]),), keys=(Key(0, 2, "major"),)))
    assert not list(flats.iter("accidental"))  # the signature says it


def test_a_tied_note_keeps_its_accidental() -> None:
    line = (Note(1440, 66, 960, 80), Note(2400, 66, 480, 80))
    root = root_of(Score((Part("flute", "other", 73, notes=line),), keys=(Key(0, 0, "major"),)))
    notes = [note for note in root.iter("note") if note.find("pitch") is not None]
    ties = [[tie.get("type") for tie in note.findall("tie")] for note in notes]
    assert ties == [["start"], ["stop"], []]
    assert [note.findtext("accidental") for note in notes] == ["sharp", None, "sharp"]


def test_beams_and_triplets() -> None:
    eighths = tuple(Note(240 * n, 72, 240, 80) for n in range(8))
    root = root_of(Score((Part("flute", "other", 73, notes=eighths),)))
    assert texts(root, ".//beam") == ["begin", "continue", "continue", "end"] * 2
    mixed = (Note(0, 72, 360, 80), Note(360, 72, 120, 80), Note(480, 72, 120, 80), Note(600, 72, 360, 80))
    beams = [
        [(beam.get("number"), beam.text) for beam in note.findall("beam")]
        for note in root_of(Score((Part("flute", "other", 73, notes=mixed),))).iter("note")
    ]
    assert beams[:4] == [
        [("1", "begin")], [("1", "end"), ("2", "backward hook")],
        [("1", "begin"), ("2", "forward hook")], [("1", "end")],
    ]  # fmt: skip
    triplets = tuple(Note(160 * n, 72, 160, 80) for n in range(12))
    root = root_of(Score((Part("flute", "other", 73, notes=triplets),)))
    assert texts(root, ".//actual-notes") == ["3"] * 12
    assert [tuplet.get("type") for tuplet in root.iter("tuplet")] == ["start", "stop"] * 4


def test_swing_is_said_and_not_written() -> None:
    root = root_of(swing(make_song("ballad", bars=8, seed=4, parts=("guitar", "drums")), 1.0))
    assert texts(root, ".//words") == ["Swing"]
    (said,) = root.iter("swing")
    assert (said.findtext("first"), said.findtext("second"), said.findtext("swing-type")) == ("67", "33", "eighth")
    assert not list(root.iter("tuplet"))


def test_lyrics() -> None:
    root = root_of(odd_song())
    guitar = root.findall("part")[1]
    assert [(ly.findtext("syllabic"), ly.findtext("text")) for ly in guitar.iter("lyric")] == [
        ("single", "La"),
        ("begin", "di"),
        ("end", "da"),
    ]


def test_tempo_metre_and_key_changes() -> None:
    root = root_of(odd_song())
    first = root.findall("part")[0]
    times = [(t.findtext("beats"), t.findtext("beat-type")) for t in first.iter("time")]
    assert times == [("4", "4"), ("6", "8"), ("7", "8"), ("2", "2"), ("5", "16")]
    assert [key.findtext("fifths") for key in first.iter("key")] == ["4", "6"]
    assert [s.get("tempo") for s in first.iter("sound")] == ["100", "101", "72.5"]
    assert texts(first, ".//per-minute") == ["100", "72"]  # 101 is for playing alone
    assert first.findall("measure")[-1].findtext("barline/bar-style") == "light-heavy"


@pytest.mark.parametrize(
    ("symbol", "kind", "degrees"),
    [
        ("C", "major", []),
        ("Am", "minor", []),
        ("G7", "dominant", []),
        ("Cmaj7", "major-seventh", []),
        ("Dm7", "minor-seventh", []),
        ("Bø", "half-diminished", []),
        ("Bdim7", "diminished-seventh", []),
        ("C6", "major-sixth", []),
        ("C9", "dominant-ninth", []),
        ("C13", "dominant-13th", []),
        ("Csus4", "suspended-fourth", []),
        ("Csus2", "suspended-second", []),
        ("C5", "power", []),
        ("CmMaj7", "major-minor", []),
        ("G/B", "major", []),
        ("Am/G", "minor", []),
        ("C/D", "major", []),
        ("C7(b9)", "dominant", [(9, -1, "add")]),
        ("C7#5", "augmented-seventh", []),
        ("C7b5", "dominant", [(5, -1, "alter")]),
        ("Cadd9", "major", [(9, 0, "add")]),
    ],
)
def test_chords_as_musicxml_has_them(symbol: str, kind: str, degrees: list[tuple[int, int, str]]) -> None:
    assert kind_of(parse_symbol(symbol)) == (kind, degrees)


def test_every_kind_is_told_from_every_other() -> None:
    assert len(set(KINDS.values())) == len(KINDS)


@pytest.mark.parametrize(
    ("symbol", "root", "shown", "bass"),
    [("F#m7b5/A", ("F", "1"), "m7b5", ("A", None)), ("Bb", ("B", "-1"), "", None), ("Bbb5", ("B", "-1"), "b5", None)],
)
def test_chords_are_shown_as_they_were_written(symbol: str, root, shown: str, bass) -> None:
    parent = Element("measure")
    found = add_harmony(parent, parse_symbol(symbol), symbol, 24)
    assert (found.findtext("root/root-step"), found.findtext("root/root-alter")) == root
    kind = found.find("kind")
    assert kind is not None and kind.get("text") == shown
    if bass is not None:
        assert (found.findtext("bass/bass-step"), found.findtext("bass/bass-alter")) == bass
    assert found.findtext("offset") == "24"


def test_what_xml_cannot_hold_is_left_out() -> None:
    assert clean("a\x00b\x0bc\ud800d\uffffe\tf𝄞") == "abcde\tf𝄞"
    assert add(Element("a"), "b", "\x1b[0m", some_name="\x02x").get("some-name") == "x"
    assert [decimal(value) for value in (120.0, 0.5, -0.0, 1e-9, 100)] == ["120", "0.5", "0", "0", "100"]
    assert decimal(100, 0) == "100"


def test_mxl_is_a_container() -> None:
    document = musicxml(make_band(1))
    with zipfile.ZipFile(io.BytesIO(compressed(document))) as archive:
        assert archive.namelist()[0] == "mimetype"
        assert archive.read("mimetype") == b"application/vnd.recordare.musicxml"
        root = ElementTree.fromstring(archive.read("META-INF/container.xml"))
        (file,) = root.iter("rootfile")
        assert archive.read(file.get("full-path") or "") == document


def test_archives_do_not_tell_the_time() -> None:
    buffers = [io.BytesIO(), io.BytesIO()]
    for buffer in buffers:
        with Archive(buffer) as archive:
            archive.add_bytes("one", b"1" * 100)
    assert buffers[0].getvalue() == buffers[1].getvalue()
    assert zipfile.ZipFile(buffers[0]).infolist()[0].date_time[0] == 1980


# MuseScore, where it is installed: the file opens, and plays what was written.


def converted(document: bytes, folder: Path, suffix: str) -> Path:
    assert MUSESCORE is not None
    source, target = folder / "score.musicxml", folder / f"score{suffix}"
    source.write_bytes(document)
    environment = {**os.environ, "QT_QPA_PLATFORM": "offscreen", "HOME": str(folder)}
    subprocess.run(
        [MUSESCORE, "-o", str(target), str(source)], env=environment, capture_output=True, timeout=120, check=True
    )
    return target


def played(sheet: Sheet, number: int) -> tuple[set[tuple[int, int]], set[tuple[int, int]]]:
    """What a part's noteheads say: onsets (units) and pitches; and those of them whose pitch sounds already in another
    voice, which a program that plays all voices on one channel strikes once."""
    sounding: list[tuple[int, int, int]] = []
    for staff in sheet.parts[number].staves:
        for measure, voices in zip(sheet.measures, staff.bars, strict=True):
            for sign in (sign for voice in voices for sign in voice):
                start = measure.start + sign.piece.start
                sounding += [(start, start + sign.piece.length, h.pitch) for h in sign.heads if not h.tied_from]
                if any(head.tied_from for head in sign.heads):
                    sounding += [(start - 1, start + sign.piece.length, h.pitch) for h in sign.heads]
    struck = {
        (measure.start + sign.piece.start, head.pitch)
        for staff in sheet.parts[number].staves
        for measure, voices in zip(sheet.measures, staff.bars, strict=True)
        for voice in voices
        for sign in voice
        for head in sign.heads
        if not head.tied_from
    }
    doubled = {(at, pitch) for at, pitch in struck for a, b, p in sounding if p == pitch and a < at < b}
    return struck, doubled


@needs_musescore
@pytest.mark.parametrize(("style", "metre"), [("rock", "4/4"), ("shuffle", "3/4"), ("ballad", "6/8")])
def test_musescore_plays_what_is_written(style: str, metre: str, tmp_path: Path) -> None:
    score = make_song(style, tonic=6, mode="minor", metre=metre, bars=4, seed=2, human=True)
    sheet = engrave(score)
    back = read_midi(converted(sheet_bytes(sheet), tmp_path, ".mid"))
    assert [str(m) for m in back.metres] == [metre]
    assert back.tempos[0].qpm == pytest.approx(score.tempos[0].qpm, abs=0.01)
    for number, part in enumerate(sheet.parts):
        same = [p for p in back.parts if p.is_drum == part.is_drum and (part.is_drum or p.program == part.program)]
        assert same, part.name
        heard = {(round(n.onset_ticks * UNITS / back.ticks_per_quarter), n.pitch) for p in same for n in p.notes}
        struck, doubled = played(sheet, number)
        assert heard <= struck and struck - heard <= doubled, part.name


@needs_musescore
def test_musescore_prints_it(tmp_path: Path) -> None:
    page = converted(musicxml(odd_song()), tmp_path, ".svg")
    pages = sorted(page.parent.glob("score*.svg"))
    assert pages and pages[0].stat().st_size > 10_000


@needs_musescore
def test_musescore_reads_chords_lyrics_and_marks(tmp_path: Path) -> None:
    source = converted(musicxml(odd_song()), tmp_path, ".mscx")
    root = ElementTree.parse(source).getroot()
    assert len(list(root.iter("Harmony"))) >= 5
    assert [text.findtext("text") for text in root.iter("Lyrics")] == ["La", "di", "da"]
    assert ["".join(text.itertext()) for text in root.findall(".//RehearsalMark/text")] == ["intro", "B & C"]
    assert [sig.findtext("sigN") for (sig,) in ([s] for s in root.iter("TimeSig"))][:2] == ["4", "6"]
    names = [key for key, _ in groupby(part.findtext("trackName") for part in root.iter("Part"))]
    assert names[0] == "piano" and len(names) == 5
