"""What other programs keep of a MIDI file that midigen writes: each is driven for real, and looked at.

python -m benchmarks.studios            (a minute and a half; writes docs/studios.md)
python -m benchmarks.studios --print    (the table alone)

One song that holds everything (five parts, three tempos and metres, two keys, markers, chord symbols, lyrics in three
scripts, pedal, volume, pan, bends) goes into every program that is installed here; what comes out, as a file of the
program's own or as what it prints, is compared. Programs that are missing are left out.
"""

from __future__ import annotations

import argparse
import io
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import wave
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from midigen.midi import midi_bytes, read_midi
from midigen.opened import open_song
from midigen.score import Bend, Control, Key, Metre, Note, Part, Score, Tempo, Text
from midigen.syllables import Syllable, texts_of

ROOT = Path(__file__).resolve().parents[1]
FACTS = ("notes", "names", "programs", "tempos", "metres", "keys", "markers", "chords", "lyrics")
LIMIT_S = 60  # no program may take longer
QUARTER = 480
YES, NO = "yes", "no"
Kept = dict[str, str]


def studio_song() -> Score:
    """A song with everything in it that a studio could lose: 8 bars in 4/4, 3/4 and 6/8."""
    bars = [(0, 4), (1920, 4), (3840, 3), (5280, 3), (6720, 3), (8160, 3)]
    lines: dict[str, list[Note]] = {name: [] for name in ("piano", "guitar", "bass", "drums", "voice")}
    roots = (57, 53, 50, 55, 57, 52)
    for (start, quarters), root in zip(bars, roots, strict=True):
        lines["piano"] += [Note(start, root + k, quarters * QUARTER - 60, 70 + k) for k in (0, 3 + (root != 57), 7)]
        for n in range(quarters):
            at = start + n * QUARTER
            lines["guitar"].append(Note(at + QUARTER // 2, root + (0, 7, 12, 7)[n], QUARTER // 2, 80))
            lines["bass"].append(Note(at, root - 24 + (0, 7)[n % 2], QUARTER - 30, 95))
            at += (0, 120, 0, 240)[n]  # a rhythm of its own, by which MuseScore tells who sings
            lines["voice"].append(Note(at, root + (12, 14, 15, 19)[n], QUARTER // 2, 100))
            lines["drums"] += [
                Note(start + n * QUARTER, (36, 38)[n % 2], 60, 100),
                Note(start + n * QUARTER, 42, 60, 64),
            ]
    sung = (
        ("Grü", True, ""), ("ße", False, ""), ("an", False, ""), ("al", True, ""), ("le", False, "line"),
        ("線", True, ""), ("上", False, "line"), ("мо", True, ""), ("я", False, ""), ("end", False, "section"),
    )  # fmt: skip
    syllables = [Syllable(note.onset_ticks, *word) for note, word in zip(lines["voice"], sung, strict=False)]
    pedal = (Control(0, 7, 100), Control(0, 10, 44), Control(0, 64, 127), Control(1900, 64, 0))
    return Score(
        (
            Part("Left hand", "piano", 4, notes=tuple(sorted(lines["piano"])), controls=pedal),
            Part("Gitarre à 12", "guitar", 25, notes=tuple(lines["guitar"]), bends=(Bend(240, 2048), Bend(470, 0))),
            Part("Upright", "bass", 32, notes=tuple(lines["bass"]), controls=(Control(0, 7, 95),)),
            Part("Kit", "drums", 0, is_drum=True, notes=tuple(sorted(lines["drums"]))),
            Part("Voice", "other", 52, notes=tuple(lines["voice"]), lyrics=texts_of(syllables)),
        ),
        tempos=(Tempo(0, 100.0), Tempo(3840, 132.0), Tempo(6720, 90.0)),
        metres=(Metre(0, 4, 4), Metre(3840, 3, 4), Metre(6720, 6, 8)),
        keys=(Key(0, 9, "minor"), Key(3840, 2, "major")),
        markers=(Text(0, "verse"), Text(3840, "chorus")),
        chords=(Text(0, "Am"), Text(1920, "F"), Text(3840, "D/F#")),
        title="Studio song",
    )


@dataclass(frozen=True)
class Studio:
    """A program: its name, what must be there for it to run, and the look at what it keeps of a song in a folder."""

    name: str
    needs: tuple[str, ...]
    look: Callable[[Score, Path], Kept]
    note: str = ""

    @property
    def is_here(self) -> bool:
        """Whether all that it needs is installed; a name with a dot before it is a Python package."""
        return all(find_spec(n[1:]) is not None if n[0] == "." else shutil.which(n) is not None for n in self.needs)


def run(*words: str | Path, folder: Path, limit_s: float = LIMIT_S) -> str:
    """Run a program without a screen; what it said. Raises ``RuntimeError`` where it fails or takes too long."""
    environment = {**os.environ, "QT_QPA_PLATFORM": "offscreen", "HOME": str(folder), "XDG_RUNTIME_DIR": str(folder)}
    try:
        done = subprocess.run(
            [str(word) for word in words], cwd=folder, env=environment, capture_output=True, timeout=limit_s
        )
    except subprocess.TimeoutExpired:
        raise RuntimeError(f"{words[0]} took longer than {limit_s} s") from None
    said = (done.stdout + done.stderr).decode("utf-8", "replace")
    if done.returncode:
        raise RuntimeError(f"{words[0]} ended with {done.returncode}: {said[-300:]}")
    return said


def kept(found: object, wanted: object) -> str:
    """``yes`` where both are the same; else how many of how many, where that can be said, or ``no``."""
    if found == wanted:
        return YES
    if isinstance(found, list) and isinstance(wanted, list) and wanted:
        there = sum(one in found for one in wanted)
        return f"{there} of {len(wanted)}" if there else NO
    return NO


def facts_of(score: Score) -> dict[str, list[Any]]:
    """A song as lists that can be compared; pitches and onsets for the notes."""
    return {
        "notes": [sorted((n.onset_ticks, n.pitch) for n in part.notes) for part in score.parts],
        "names": [part.name for part in score.parts],
        "programs": [part.program for part in score.parts],
        "tempos": [(t.tick, round(t.qpm)) for t in score.tempos],
        "metres": [(m.tick, str(m)) for m in score.metres],
        "keys": [(k.tick, str(k)) for k in score.keys],
        "markers": [t.text for t in score.markers],
        "chords": [t.text for t in score.chords],
        "lyrics": [t.text.strip() for part in score.parts for t in part.lyrics],
    }


def _compared(found: dict[str, list[Any]], song: Score) -> Kept:
    wanted = facts_of(song)
    return {fact: kept(found[fact], wanted[fact]) if fact in found else NO for fact in FACTS}


def look_midigen(song: Score, folder: Path) -> Kept:
    return _compared(facts_of(open_song(folder / "song.mid").score), song)


def look_symusic(song: Score, folder: Path) -> Kept:
    import symusic

    raw: Any = symusic.Score.from_midi((folder / "song.mid").read_bytes())
    tracks = [track for track in raw.tracks if len(track.notes)]
    found = {
        "notes": [sorted((n.time, n.pitch) for n in track.notes) for track in tracks],
        "names": [track.name for track in tracks],
        "programs": [track.program for track in tracks],
        "tempos": [(t.time, round(t.qpm)) for t in raw.tempos],
        "metres": [(m.time, f"{m.numerator}/{m.denominator}") for m in raw.time_signatures],
        "keys": facts_of(read_midi(folder / "song.mid"))["keys"] if len(raw.key_signatures) == len(song.keys) else [],
        "markers": [m.text for m in raw.markers],
        "lyrics": [t.text.strip() for track in raw.tracks for t in track.lyrics],
    }
    return _compared(found, song)


def look_mido(song: Score, folder: Path) -> Kept:
    import mido

    file = mido.MidiFile(folder / "song.mid", charset="utf-8")
    again = io.BytesIO()
    file.save(file=again)
    conductor, *tracks = file.tracks
    texts = {kind: [m.text for m in conductor if m.type == kind and m.text] for kind in ("marker", "text")}
    found = facts_of(read_midi(again.getvalue()))
    found |= {"names": [track.name for track in tracks], "markers": texts["marker"], "chords": texts["text"]}
    found["lyrics"] = [m.text.strip() for track in tracks for m in track if m.type == "lyrics"]
    return _compared(found, song)


def look_pretty_midi(song: Score, folder: Path) -> Kept:
    import pretty_midi

    midi = pretty_midi.PrettyMIDI(str(folder / "song.mid"), charset="utf-8")
    times, tempos = midi.get_tempo_changes()
    found = {
        "notes": [sorted((midi.time_to_tick(n.start), n.pitch) for n in i.notes) for i in midi.instruments],
        "names": [i.name for i in midi.instruments],
        "programs": [i.program for i in midi.instruments],
        "tempos": [(midi.time_to_tick(t), round(q)) for t, q in zip(times, tempos, strict=True)],
        "metres": [(midi.time_to_tick(m.time), f"{m.numerator}/{m.denominator}") for m in midi.time_signature_changes],
        "keys": [
            (midi.time_to_tick(k.time), str(Key(0, k.key_number % 12, ("major", "minor")[k.key_number // 12])))
            for k in midi.key_signature_changes
        ],
        "chords": [text.text for text in midi.text_events if text.text],
        "lyrics": [lyric.text.strip() for lyric in midi.lyrics],
    }
    return _compared(found, song)


def look_midicsv(song: Score, folder: Path) -> Kept:
    run("midicsv", "song.mid", "song.csv", folder=folder)
    run("csvmidi", "song.csv", "again.mid", folder=folder)
    same = (folder / "again.mid").read_bytes() == (folder / "song.mid").read_bytes()
    return dict.fromkeys(FACTS, YES if same else NO)


def look_music21(song: Score, folder: Path) -> Kept:
    music21: Any = import_module("music21")
    piece = music21.converter.parse(folder / "song.mid", forceSource=True)
    first = piece.parts[0].flatten()
    ticks = QUARTER

    def onsets(part: Any) -> list[tuple[int, int]]:
        found = []
        for sound in part.flatten().notes:
            for one in getattr(sound, "notes", (sound,)):
                pitch = one.pitch.midi if hasattr(one, "pitch") else one.storedInstrument.percMapPitch
                found.append((round(float(sound.offset) * ticks), pitch))
        return sorted(found)

    programs = [[i.midiProgram for i in part.getInstruments(recurse=True)][-1] for part in piece.parts]
    found = {
        "notes": [onsets(part) for part in piece.parts],
        "names": [part.partName for part in piece.parts],
        "programs": [program or 0 for program in programs],
        "tempos": [(round(m.offset * ticks), round(m.number)) for m in first.getElementsByClass("MetronomeMark")],
        "metres": [(round(m.offset * ticks), m.ratioString) for m in first.getElementsByClass("TimeSignature")],
        "keys": [
            (round(k.offset * ticks), f"{k.tonic.name.replace('-', 'b')} {k.mode}")
            for k in first.getElementsByClass("KeySignature")
        ],
        "lyrics": [n.lyric.strip() for part in piece.parts for n in part.flatten().notes if n.lyric],
    }
    return _compared(found, song)


def look_musescore(song: Score, folder: Path) -> Kept:
    """Through MusicXML (what is on the page) and MIDI (what is played)."""
    run("musescore3", "-o", "page.musicxml", "song.mid", folder=folder)
    run("musescore3", "-o", "played.mid", "song.mid", folder=folder)
    page = ElementTree.parse(folder / "page.musicxml").getroot()
    played = read_midi(folder / "played.mid")
    names = [name.text or "" for name in page.iter("part-name")]
    words = [word.text or "" for tag in ("words", "rehearsal") for word in page.iter(tag)]
    fifths: list[int] = []
    for part in page.iter("part"):
        for key in part.iter("fifths"):
            fifths.append(int(key.text or 0))
    signatures = [sharps_of(key) for key in song.keys]
    found = facts_of(played)
    found["names"] = [name for name, there in zip(facts_of(song)["names"], names, strict=False) if there.endswith(name)]
    programs = {one.get("id", "").split("-")[0]: one for one in page.iter("midi-instrument")}
    found["programs"] = [int(one.findtext("midi-program") or 1) - 1 for one in programs.values()]
    voice = next(p for p, name in zip(page.iter("part"), names, strict=True) if name.endswith(song.parts[-1].name))
    # It puts most words there twice, one on the other (musescore/MuseScore issue 22832).
    sung = [[(text.text or "").strip() for text in note.iter("text")][:1] for note in voice.iter("note")]
    found["lyrics"] = [text for texts in sung for text in texts]
    found["markers"] = [t.text for t in song.markers if t.text in words]
    found["chords"] = [symbol_of(harmony) for harmony in page.iter("harmony")]
    result = _compared(found, song)
    if any(chord.text == (text.text or "") for chord in song.chords for text in page.iter("text")):
        result["chords"] += ", and as lyrics"
    result["keys"] = YES if fifths[: len(signatures)] == signatures else "guessed from the notes"
    return result


def symbol_of(harmony: ElementTree.Element) -> str:
    """A chord symbol as it stands on the page."""
    notes = []
    for name in ("root", "bass"):
        step = harmony.findtext(f"{name}/{name}-step") or ""
        notes.append(step + {1: "#", -1: "b"}.get(int(harmony.findtext(f"{name}/{name}-alter") or 0), ""))
    kind = harmony.find("kind")
    assert kind is not None
    if kind.text == "none":
        return kind.get("text") or ""
    return notes[0] + (kind.get("text") or "") + (f"/{notes[1]}" if notes[1] else "")


def sharps_of(key: Key) -> int:
    """The sharps of a key signature, flats below 0."""
    major = (key.tonic + (3 if key.mode == "minor" else 0)) % 12
    return (7 * major + 5) % 12 - 5


def _lmms_settings(folder: Path) -> Path:
    """A configuration in which LMMS asks nothing when it starts, and saves after a minute what it has imported."""
    import pretty_midi

    font = Path(pretty_midi.__file__).parent / "TimGM6mb.sf2"  # without one it would ask for it
    settings = folder / "lmms.xml"
    (folder / "lmms").mkdir(exist_ok=True)
    settings.write_text(
        '<?xml version="1.0"?><!DOCTYPE lmms-config-file><lmms version="1.2.2" configversion="2">'
        '<app configured="1"/><ui saveinterval="1" enableautosave="1"/>'
        f'<paths workingdir="{folder}/lmms/" defaultsf2="{font}"/>'
        '<mixer audiodev="Dummy (no sound output)" mididev="Dummy (no MIDI support)"/></lmms>',
        encoding="utf-8",
    )
    return settings


def import_into_lmms(folder: Path) -> str:
    """LMMS imports the song and ends; what it said."""
    settings = _lmms_settings(folder)
    return run("lmms", "--allowroot", "-c", settings, "--import", "song.mid", "-e", folder=folder)


def look_lmms(song: Score, folder: Path) -> Kept:
    """What it imports is in the project that it saves by itself after a minute."""
    settings = _lmms_settings(folder)
    environment = {**os.environ, "QT_QPA_PLATFORM": "offscreen", "HOME": str(folder)}
    words = ["lmms", "--allowroot", "-c", str(settings), "--import", "song.mid"]
    project = folder / "lmms" / "recover.mmp"
    with subprocess.Popen(
        words, cwd=folder, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        try:
            until = time.monotonic() + 110
            while not project.exists() and time.monotonic() < until and process.poll() is None:
                time.sleep(1)
            time.sleep(2)
        finally:
            process.kill()
    if not project.exists():
        raise RuntimeError("lmms saved nothing")
    root = ElementTree.parse(project).getroot()
    tracks = [t for t in root.iter("track") if t.get("type") == "0" and any(True for _ in t.iter("note"))]
    # LMMS has 48 ticks a quarter, and counts keys an octave lower.
    scale = QUARTER // 48
    found: dict[str, list[Any]] = {"notes": [], "names": [], "programs": []}
    for track in tracks:
        notes = []
        for pattern in track.iter("pattern"):
            for note in pattern.iter("note"):
                at = (int(pattern.get("pos") or 0) + int(note.get("pos") or 0)) * scale
                notes.append((at, int(note.get("key") or 0) + 12))
        found["notes"].append(sorted(notes))
        found["names"].append(track.get("name"))
        found["programs"].append(next((int(font.get("patch") or 0) for font in track.iter("sf2player")), 0))
    result = _compared(found, song)
    wanted = facts_of(song)["notes"]
    apart = [
        (a[0] - b[0], a[1] - b[1])
        for one, two in zip(found["notes"], wanted, strict=False)
        for a, b in zip(one, two, strict=False)
    ]
    whole = [len(part) for part in found["notes"]] == [len(part) for part in wanted]
    result["notes"] = YES if whole and set(apart) == {(0, 0)} else NO
    changes: dict[str, list[tuple[int, int]]] = {}
    for curve in root.iter("automationpattern"):
        points = [(int(t.get("pos") or 0) * scale, round(float(t.get("value") or 0))) for t in curve.iter("time")]
        changes[curve.get("name") or ""] = points
    result["tempos"] = kept(changes.get("Tempo"), [(t.tick, round(t.qpm)) for t in song.tempos])
    above = kept(changes.get("Numerator"), [(m.tick, m.numerator) for m in song.metres])
    below = dict(changes.get("Denominator", []))
    under = all(below.get(m.tick, m.denominator) == m.denominator for m in song.metres)
    result["metres"] = above if under else NO
    return result


def look_timidity(song: Score, folder: Path) -> Kept:
    """It plays: what it prints of the file, and whether the sound is as long as the song."""
    said = run("timidity", "-id", "--verbose=2", "-Ow", "-o", "played.wav", "song.mid", folder=folder)
    with wave.open(str(folder / "played.wav")) as sound:
        seconds = sound.getnframes() / sound.getframerate()
    whole = song.duration_seconds <= seconds <= song.duration_seconds + 8
    printed = {
        "names": re.findall(r"^Track name: (.*)$", said, re.MULTILINE),
        "metres": re.findall(r"^Time signature: (\d+/\d+)", said, re.MULTILINE),
        "keys": re.findall(r"^Key signature: .*$", said, re.MULTILINE),
        "markers": re.findall(r"^Marker: (.*)$", said, re.MULTILINE),
        "chords": re.findall(r"^Text: (.+)$", said, re.MULTILINE),
        "lyrics": [line.strip() for line in re.findall(r"^Lyric: (.*)$", said, re.MULTILINE)],
    }
    wanted = facts_of(song)
    missing = "Cannot find" in said or "No instrument mapped" in said
    return {
        "notes": "played" if whole else NO,
        "names": kept(printed["names"], wanted["names"]),
        "programs": NO if missing else "played",
        "tempos": "played" if whole else NO,
        "metres": kept(printed["metres"], [str(m) for m in song.metres]),
        "keys": YES if len(printed["keys"]) == len(song.keys) else NO,
        "markers": kept(printed["markers"], wanted["markers"]) if printed["markers"] else "not shown",
        "chords": kept(printed["chords"], wanted["chords"]),
        "lyrics": kept(printed["lyrics"], wanted["lyrics"]) if printed["lyrics"] else "not shown",
    }


STUDIOS = (
    Studio("midigen itself", (), look_midigen),
    Studio("symusic", (".symusic",), look_symusic, "has no text events, so no chord symbols"),
    Studio("mido", (".mido",), look_mido, 'read with `charset="utf-8"`'),
    Studio("pretty_midi", (".pretty_midi",), look_pretty_midi, 'read with `charset="utf-8"`'),
    Studio("midicsv and csvmidi", ("midicsv", "csvmidi"), look_midicsv, "the same bytes come back"),
    Studio("music21", (".music21",), look_music21, "has no place for markers and text"),
    Studio(
        "MuseScore 3",
        ("musescore3",),
        look_musescore,
        "takes a key only from a track with notes, and markers from nowhere (below); chord symbols where notes begin, "
        "from XF chord names; and gives lyrics to the first part with the same onsets as the singer's. For notation "
        "there is a better way than MIDI: `--export musicxml`",
    ),
    Studio(
        "timidity",
        ("timidity",),
        look_timidity,
        "a player: what it prints, and whether the sound has the song's length",
    ),
    Studio("LMMS", ("lmms",), look_lmms, "keeps tempo and metre as automation; it has no place for words and keys"),
)


MUSESCORE = """\
So markers, and keys beside a file that is valid, cannot be had: its importer (`importmidi.cpp`) gives only tracks
with notes to `MTrack::processMeta`, which has a case for keys and none for markers. With the first part in the
first track the key would come through; but there workstations look for the tempo map, and the song's name and its
texts would become that part's. Texts are lyrics wherever they stand, of several at one tick the first
(`importmidi_lyrics.cpp`), and chord symbols come from Yamaha's XF chord names alone (`importmidi_chordname.cpp`),
in files of 480 ticks a quarter and where a note begins at their tick. So midigen writes each chord symbol three
times: as an empty text, which keeps the next from being shown as a lyric; as text, exact; and as the nearest of
XF's kinds of chord, at the note nearest to it. Lyrics, keys, markers and chord symbols all come through in
MusicXML."""


def look_at(studio: Studio, song: Score) -> Kept:
    """What ``studio`` keeps of ``song``, in a folder of its own that is gone afterwards."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "song.mid").write_bytes(midi_bytes(song))
        return studio.look(song, folder)


def main() -> None:
    """Look at all that are here and write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--print", action="store_true", help="print the table, write nothing")
    args = parser.parse_args()
    song = studio_song()
    rows = [f"| | {' | '.join(FACTS)} |", "|---" * (len(FACTS) + 1) + "|"]
    notes = []
    for studio in STUDIOS:
        if not studio.is_here:
            print(f"{studio.name}: not installed here", file=sys.stderr)
            continue
        print(f"{studio.name} ...", file=sys.stderr)
        found = look_at(studio, song)
        rows.append(f"| {studio.name} | {' | '.join(found[fact] for fact in FACTS)} |")
        if studio.note:
            notes.append(f"- *{studio.name}* {studio.note}.")
    table = "\n".join(rows)
    from benchmarks.musescore import limits  # which looks at the song of this module

    if args.print:
        print(table)
        return
    page = [
        "# What other programs keep",
        "Written by `python -m benchmarks.studios`, which drives each program for real: one song with everything in it "
        "(five parts, three tempos and metres, two keys, markers, chord symbols, lyrics in three scripts) goes in, and "
        "what comes out is compared. *yes* is all of it, event for event.",
        table,
        "\n".join(notes),
        *(["## What MuseScore 3 makes of MIDI events", limits(), MUSESCORE] if shutil.which("musescore3") else []),
    ]
    path = ROOT / "docs" / "studios.md"
    beside = path.with_name(path.name + ".part")
    beside.write_text("\n\n".join(page) + "\n", encoding="utf-8")
    os.replace(beside, path)


if __name__ == "__main__":
    main()
