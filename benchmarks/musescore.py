"""What MuseScore 3 makes of the events of a MIDI file: which it shows, and from which tracks.

python -m benchmarks.musescore

Each kind of text goes, alone, into the first track of a song, which has no notes, and into a part's; what MuseScore
saves is searched for it. The same is done with key signatures.
"""

from __future__ import annotations

import io
import tempfile
import warnings
import xml.etree.ElementTree as ElementTree
from dataclasses import replace
from pathlib import Path

from benchmarks.studios import run, sharps_of, studio_song
from midigen.events import KEY_SIGNATURE, Event, meta, read_events
from midigen.midi import midi_bytes

TEXTS = {1: "text", 2: "copyright", 3: "name of the track", 4: "instrument", 5: "lyric", 6: "marker", 7: "cue point",
         8: "program", 9: "device"}  # metas by number (RP-001, RP-019)  # fmt: skip
CONDUCTOR, PART = 0, 1
AT_TICK, WORD = 1920, "midigen"
NOTHING = "nothing"


def with_events(data: bytes, track: int, *events: Event) -> bytes:
    """The file with ``events`` more in one track, before all others at their ticks."""
    file = read_events(data)
    return file.with_tracks({track: sorted((*events, *file.tracks[track].events), key=lambda event: event.tick)})


def imported(data: bytes) -> tuple[ElementTree.Element, ElementTree.Element]:
    """What MuseScore makes of a MIDI file: as its own format, and as MusicXML."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "song.mid").write_bytes(data)
        pages = []
        for page in ("page.mscx", "page.musicxml"):
            run("musescore3", "-o", page, "song.mid", folder=folder)
            pages.append(ElementTree.parse(folder / page).getroot())
        return pages[0], pages[1]


def shown_as(data: bytes, word: str) -> str:
    """The elements of MuseScore's own format in which ``word`` stands."""
    own, _ = imported(data)
    parents = {child: parent for parent in own.iter() for child in parent}
    places = {parents[one].tag if one.tag == "text" else one.tag for one in own.iter() if word in (one.text or "")}
    return ", ".join(sorted(places)) or NOTHING


def warned(data: bytes) -> bool:
    """Whether pretty_midi warns of the file."""
    import pretty_midi

    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        pretty_midi.PrettyMIDI(io.BytesIO(data), charset="utf-8")
    return bool(said)


def limits() -> str:
    """The tables, in Markdown."""
    song = studio_song()
    plain = replace(song, chords=(), keys=(), parts=tuple(replace(part, lyrics=()) for part in song.parts))
    data = midi_bytes(plain)
    rows = ["| event | in the first track | in a part's |", "|---|---|---|"]
    for number, name in TEXTS.items():
        event = Event(AT_TICK, meta(number, WORD.encode()))
        shown = [shown_as(with_events(data, track, event), WORD) for track in (CONDUCTOR, PART)]
        rows.append(f"| {name} (meta {number}) | {' | '.join(shown)} |")
    keys = [Event(k.tick, meta(KEY_SIGNATURE, bytes([sharps_of(k) & 0xFF, k.mode == "minor"]))) for k in song.keys]
    cells = []
    for track in (CONDUCTOR, PART):
        changed = with_events(data, track, *keys)
        found = [int(key.text or 0) for key in next(imported(changed)[1].iter("part")).iter("fifths")]
        kept = "key signatures" if found == [sharps_of(key) for key in song.keys] else NOTHING
        cells.append(f"{kept}{'; pretty_midi warns of the file' if warned(changed) else ''}")
    rows.append(f"| key signature | {' | '.join(cells)} |")
    return "\n".join(rows)


if __name__ == "__main__":
    print(limits())
