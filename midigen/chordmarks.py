"""Chord symbols as events of a MIDI file: as text, exact, and as the chord names of Yamaha's XF format beside it.

Text is what most programs keep. MuseScore makes chord symbols of XF names alone (``importmidi_chordname.cpp``), where
a note begins at their tick, and takes every text for a lyric (``importmidi_lyrics.cpp``), of several at one tick the
first; one that is empty is not shown. So an empty text goes before each symbol. Of XF's kinds the nearest is said.

XF: "XF Format Specifications" 2.01, Yamaha 1999: sequencer specific, 43 7B 01, then root, kind, bass, kind of the bass;
a note is its accidental (3: natural) in the upper half byte and its letter (1: C) in the lower, 7F says nothing.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence

import numpy as np

from midigen.events import SEQUENCER_SPECIFIC, TEXT, Event, meta
from midigen.score import Text

XF_DIVISION = 480  # MuseScore takes the ticks of XF names for its own, of which a quarter has so many
REACH = 8  # a name goes to the note nearest to it that begins within a quarter over this: played notes are off the beat
_HEAD = b"\x43\x7b\x01"
_UNSAID = 0x7F
_CANCEL = 34
_PLAIN = str.maketrans("♯♭−–∆△ºØ⌀", "#b--ΔΔ°øø")
_ROOT = re.compile(r"([A-G])(##|bb(?!5|6|9|11|13)|#|b|)")
_BASS = re.compile(r"/([A-G])(##|bb|#|b|)$")
_ACCIDENTALS = {"bb": 1, "b": 2, "": 3, "#": 4, "##": 5}
# Numbers of XF's kinds, with the usual spellings of each. Left out are 4 and 12, with an added ninth, which MuseScore
# reads as chords with a seventh too.
_KINDS = {
    0: "maj M major",
    1: "6 maj6 M6",
    2: "maj7 M7 Maj7 ma7 major7 Δ Δ7 j7",
    3: "maj7#11 maj7(#11) Δ#11 M7#11",
    5: "maj9 M9 Maj9 ma9 Δ9 maj7(9) maj13",
    6: "6/9 69 6(9)",
    7: "aug + +5 #5",
    8: "m min - mi",
    9: "m6 min6 -6",
    10: "m7 min7 -7 mi7",
    11: "m7b5 m7(b5) ø ø7 -7b5 min7b5 h7",
    13: "m9 min9 -9 m7(9) m13",
    14: "m11 min11 m7(11) -11",
    15: "mMaj7 mmaj7 mM7 m(maj7) minmaj7 -maj7 mΔ -Δ",
    16: "mMaj9 mmaj9 m(maj9)",
    17: "dim ° o",
    18: "dim7 °7 o7",
    19: "7 dom7",
    20: "7sus4 7sus sus7 9sus4 9sus 13sus4 13sus",
    21: "7b5 7(b5)",
    22: "9 11 7(9)",
    23: "7#11 7(#11) 9#11",
    24: "13 7(13)",
    25: "7b9 7(b9) 13b9 7(b9,",
    26: "7b13 7(b13)",
    27: "7#9 7(#9)",
    28: "maj7#5 maj7(#5) M7#5 Δ#5",
    29: "7#5 7(#5) aug7 +7 7+",
    31: "5",
    32: "sus4 sus",
    33: "sus2",
}
_KIND_OF = {"": 0, **{spelling: kind for kind, spellings in _KINDS.items() for spelling in spellings.split()}}
_SPELLED = re.compile("|".join(re.escape(spelling) for spelling in sorted(_KIND_OF, key=len, reverse=True)))


def xf_name(text: str) -> bytes | None:
    """The four bytes by which XF names the chord ``text``, ``None`` for what is none."""
    plain = text.strip().translate(_PLAIN)
    if plain.lower().replace(".", "") in ("nc", "n/c"):
        return bytes([_UNSAID, _CANCEL, _UNSAID, _UNSAID])
    root = _ROOT.match(plain)
    if root is None:
        return None
    slash = _BASS.search(plain)
    bass = _note(*slash.groups()) if slash else _UNSAID
    spelled = _SPELLED.match(plain, root.end(), slash.start() if slash else len(plain))
    assert spelled is not None  # nothing is a spelling too
    first = _note(*root.groups())
    return bytes([first, _KIND_OF[spelled[0]], bass if bass != first else _UNSAID, _UNSAID])


def chord_events(
    chords: Iterable[Text],
    division: int,
    encode: Callable[[str], bytes],
    onsets: Sequence[int] | np.ndarray = (),
) -> list[Event]:
    """The events of ``chords`` in order of time, in a file of ``division`` ticks a quarter.

    ``onsets``, rising, are ticks at which notes begin; a name in XF goes to the nearest that is near enough.
    """
    found = []
    for chord in chords:
        found += [Event(chord.tick, meta(TEXT, b"")), Event(chord.tick, meta(TEXT, encode(chord.text)))]
        name = xf_name(chord.text) if division == XF_DIVISION else None
        if name is not None:
            at = _nearest(chord.tick, onsets, division // REACH)
            found.append(Event(at, meta(SEQUENCER_SPECIFIC, _HEAD + name)))
    return sorted(found, key=lambda event: event.tick)


def _note(letter: str, accidental: str) -> int:
    return _ACCIDENTALS[accidental] << 4 | "CDEFGAB".index(letter) + 1


def _nearest(tick: int, onsets: Sequence[int] | np.ndarray, reach: int) -> int:
    place = int(np.searchsorted(onsets, tick))
    near = [int(onset) for onset in onsets[max(place - 1, 0) : place + 1] if abs(int(onset) - tick) <= reach]
    return min(near, key=lambda onset: abs(onset - tick), default=tick)
