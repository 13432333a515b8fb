"""A drum kit on a staff: line, notehead and voice of every General MIDI percussion key.

Places are those of Weinberg, "Guidelines for Drumset Notation" (Percussive Arts Society, 1998): drums with common
heads, cymbals with crosses, hands with stems up, feet with stems down. Keys that it does not name got places that are
free, so that every key can be told from every other.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Drum:
    """Where a percussion key is written: ``step`` and ``octave`` as in a treble clef, ``head`` a MusicXML notehead."""

    name: str
    step: str
    octave: int
    head: str = "normal"
    foot: bool = False


def _drums(table: str) -> dict[int, Drum]:
    rows = [line.split(maxsplit=4) for line in table.strip().splitlines()]
    return {
        int(key): Drum(name, place[0], int(place[1]), head, limb == "foot") for key, place, head, limb, name in rows
    }


DRUMS = _drums("""
27 C6 diamond hand High Q
28 D6 diamond hand Slap
29 B5 slash hand Scratch Push
30 C6 slash hand Scratch Pull
31 C5 slash hand Sticks
32 D6 slash hand Square Click
33 E6 slash hand Metronome Click
34 E6 diamond hand Metronome Bell
35 E4 normal foot Acoustic Bass Drum
36 F4 normal foot Bass Drum 1
37 C5 x hand Side Stick
38 C5 normal hand Acoustic Snare
39 C5 triangle hand Hand Clap
40 C5 diamond hand Electric Snare
41 G4 normal hand Low Floor Tom
42 G5 x hand Closed Hi-Hat
43 A4 normal hand High Floor Tom
44 D4 x foot Pedal Hi-Hat
45 B4 normal hand Low Tom
46 G5 circle-x hand Open Hi-Hat
47 D5 normal hand Low-Mid Tom
48 E5 normal hand Hi-Mid Tom
49 A5 x hand Crash Cymbal 1
50 F5 normal hand High Tom
51 F5 x hand Ride Cymbal 1
52 B5 circle-x hand Chinese Cymbal
53 F5 diamond hand Ride Bell
54 E5 triangle hand Tambourine
55 C6 x hand Splash Cymbal
56 E5 x hand Cowbell
57 B5 x hand Crash Cymbal 2
58 D6 x hand Vibraslap
59 D5 x hand Ride Cymbal 2
60 G5 triangle hand High Bongo
61 F5 triangle hand Low Bongo
62 B5 diamond hand Mute High Conga
63 B5 triangle hand Open High Conga
64 A5 triangle hand Low Conga
65 E5 slash hand High Timbale
66 D5 slash hand Low Timbale
67 G5 slash hand High Agogo
68 F5 slash hand Low Agogo
69 E5 diamond hand Cabasa
70 D5 diamond hand Maracas
71 C6 triangle hand Short Whistle
72 D6 triangle hand Long Whistle
73 A4 slash hand Short Guiro
74 B4 slash hand Long Guiro
75 A5 diamond hand Claves
76 G5 diamond hand High Wood Block
77 D5 triangle hand Low Wood Block
78 B4 x hand Mute Cuica
79 B4 diamond hand Open Cuica
80 A5 circle-x hand Mute Triangle
81 A5 normal hand Open Triangle
82 A4 x hand Shaker
83 E6 x hand Jingle Bell
84 E6 triangle hand Bell Tree
85 A4 diamond hand Castanets
86 G4 diamond hand Mute Surdo
87 G4 triangle hand Open Surdo
""")


def drum_of(key: int) -> Drum:
    """The row of a MIDI key; one that General MIDI does not name gets a place of its own above or below the staff."""
    if key in DRUMS:
        return DRUMS[key]
    step = "CDEFGAB"[key % 7]
    return Drum(f"Percussion {key}", step, 3 if key < 27 else 6, "cross")
