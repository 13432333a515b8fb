"""How notes are called: letters and accidentals, by the key, the chord that sounds, and where the line goes.

Names are places on the line of fifths (... Bb F C G D A E B F# ...; C is 0): a key is a window on it, a chord tone lies
as far from its root as its interval says (Temperley, "The Cognition of Basic Musical Structures", chapter 5).
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from midigen.charts.symbols import Symbol
from midigen.score import KEY_NAMES, Key

_LETTERS = "FCGDAEB"  # the line of fifths from F, which is -1
_SCALE = "CDEFGAB"
# From a root to its chord tones along the line of fifths, by semitones.
_TONES = {0: 0, 1: -5, 2: 2, 3: -3, 4: 4, 5: -1, 6: -6, 7: 1, 8: -4, 9: 3, 10: -2, 11: 5}


@dataclass(frozen=True, slots=True)
class Name:
    """A note by name: ``step`` a letter, ``alter`` -2 to 2 semitones, ``octave`` as in scientific notation."""

    step: str
    alter: int
    octave: int


def fifths_of(key: Key) -> int:
    """The signature of ``key``: sharps, or flats as a negative number."""
    major = line_of(KEY_NAMES[key.mode][key.tonic])
    return major - 3 if key.mode == "minor" else major


def line_of(name: str) -> int:
    """The place of a note such as ``"F#"`` or ``"B♭"`` on the line of fifths."""
    signs = name[1:].replace("♯", "#").replace("♭", "b")
    return _LETTERS.index(name[0].upper()) - 1 + 7 * (signs.count("#") - signs.count("b"))


def root_name(symbol: Symbol) -> str:
    """The root of a chord symbol as it is written."""
    found = re.match(r"[A-Ga-g](##|bb|#|b|♯|♭|)", symbol.text)
    assert found is not None
    name = found[0]
    if (7 * line_of(name)) % 12 != symbol.root:  # "Bbb5" is B flat with a flat fifth
        name = name[:2]
    return name


def spelled(pitch: int, key: Key, chord: Symbol | None = None, following: int | None = None) -> Name:
    """The name of MIDI ``pitch`` in ``key``, over ``chord``, before ``following`` (the next pitch of its line)."""
    return named(_line(pitch % 12, key, chord, following), pitch)


def named(line: int, pitch: int) -> Name:
    """The note at a place of the line of fifths as the one that sounds at ``pitch``."""
    step, alter = _LETTERS[(line + 1) % 7], (line + 1) // 7
    natural = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}[step]
    return Name(step, alter, (pitch - alter - natural) // 12 - 1)


def _line(tone: int, key: Key, chord: Symbol | None, following: int | None) -> int:
    home = fifths_of(key)
    diatonic = range(home - 1, home + 6)
    lowest = home - (2 if key.mode == "minor" else 3)
    usual = next(line for line in range(lowest, lowest + 12) if (7 * line) % 12 == tone)
    if usual in diatonic:
        return usual
    if chord is not None and chord.is_chord and tone in chord.tones:
        line = line_of(root_name(chord)) + _interval((tone - chord.root) % 12, chord)
        if abs((line + 1) // 7) <= 1 and abs(line - home - 2) <= 9:
            return line
    if following is not None and following % 12 in ((tone + 1) % 12, (tone - 1) % 12):
        # What leads up is a raised note of the letter below, what leads down a lowered one of the letter above.
        target = next(line for line in range(lowest, lowest + 12) if (7 * line) % 12 == following % 12)
        line = target + (5 if (7 * (target + 5)) % 12 == tone else -5)
        middle = home + (3 if key.mode == "minor" else 2)
        if abs((line + 1) // 7) <= 1 and abs(line - middle) <= 7:
            return line
    return usual


def _interval(semitones: int, chord: Symbol) -> int:
    intervals = {(tone - chord.root) % 12 for tone in chord.tones}
    if semitones == 3 and 4 in intervals:
        return 9  # a sharp ninth
    if semitones == 6 and 7 in intervals:
        return 6  # a sharp eleventh
    if semitones == 8 and 7 not in intervals and 4 in intervals:
        return 8  # a sharp fifth
    if semitones == 9 and {3, 6} <= intervals and 10 not in intervals:
        return -9  # a diminished seventh
    return _TONES[semitones]
