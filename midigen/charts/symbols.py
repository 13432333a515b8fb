"""Chord symbols as musicians write them: ``Am7``, ``F#ø``, ``Bb7(b9,#11)``, ``C6/9``, ``G/B``, ``N.C.``

A symbol is a root, a quality, extensions and alterations in any of their usual spellings, and a bass after a slash.
What it says is kept in full (every pitch class), and beside it the nearest of the qualities that the model knows.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from midigen.analysis import NO_CHORD
from midigen.errors import BadRequest

LETTERS = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}
SILENCE = ("n.c.", "n.c", "nc", "n/c")  # no chord, in lower case

# One character for one character, so that what is told of a place holds for what was written.
_PLAIN = str.maketrans("♯♭−–∆△ºØ⌀∅⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻", "#b--ΔΔ°øøø°123456789+-")
# "bb" before the number of an alteration is a flat note with a flat something: Bbb5 is B flat with a flat fifth.
_NOTE = re.compile(r"([A-G])(##|𝄪|bb(?!5|6|9|11|13)|𝄫|#|b|)")
_SHIFT = {"": 0, "#": 1, "b": -1, "##": 2, "𝄪": 2, "bb": -2, "𝄫": -2}
_BASS = re.compile(r"/([A-Ga-g])(##|bb|#|b|)$")
_BASES = [
    (re.compile(pattern), base)
    for pattern, base in (
        (r"ø|half-?dim(?:inished)?|hdim|h(?=[\d(/]|$)", "half"),
        (r"[Dd]iminished|dim|Dim|DIM|°|o(?!mit)", "dim"),
        (r"[Mm]inor|min|Min|MIN|mi|Mi|MI", "minor"),
        (r"[Mm]ajor|maj|Maj|MAJ|ma(?!dd)|Ma(?!dd)|MA|M|Δ|\^|j(?=[79])", "major"),
        (r"m|-(?!5)", "minor"),
        (r"[Aa]ugmented|aug|Aug|AUG|\+", "aug"),
        (r"dom(?=\d)", "plain"),
    )
]
_NUMBER = re.compile(r"6/9|6add9|69|13|11|9|7|6|5|4|2")
_MAJOR_SEVENTH = re.compile(r"/?(?:(?:maj|Maj|MAJ|ma|Ma|MA|M|Δ|\^|j)(13|11|9|7)|(Δ|\^))")
_SUS = re.compile(r"[Ss]us(?:2/?4|24|42|13|2|4|7|9)?")
_ADD = re.compile(r"[Aa]dd\(?([b#+-]?)(13|11|9|7|6|4|2)|[Aa]dd\(?(?:maj|M)7")
_OMIT = re.compile(r"(?:[Nn]o|[Oo]mit) ?([35])(?:rd|th)?(?:(?:,|&|/| )?([35])(?:rd|th)?(?!\d))?")
_ALTERED = re.compile(r"([b#+-])(13|11|9|6|5|4|2)")
_SHARP_FIFTH = re.compile(r"(?:\+|aug)5?(?=$|[(),/b#])")
_FLAT_FIFTH = re.compile(r"dim5")
_ALTERATIONS = {
    "b5": 6, "#5": 8, "b9": 1, "b2": 1, "#9": 3, "#2": 3, "#11": 6, "#4": 6, "b13": 8, "b6": 8,
}  # fmt: skip
_ADDED = {"2": 2, "4": 5, "6": 9, "9": 2, "11": 5, "13": 9}

_AFTER_ROOT = "a quality such as m, 7, maj7, dim or sus4, or / and a bass note"
_AFTER_MORE = "an extension (7, 9, 13), an alteration (b5, #9), add, sus, no, or / and a bass note"


@dataclass(frozen=True, slots=True)
class Symbol:
    """A chord symbol.

    ``text`` is the symbol as written, ``root`` and ``bass`` are pitch classes 0..11 (:data:`NO_CHORD` for N.C.),
    ``tones`` all its pitch classes, the bass among them, and ``quality`` the nearest of
    :data:`midigen.analysis.QUALITIES` (see :func:`nearest_quality`).
    """

    text: str
    root: int
    bass: int
    tones: frozenset[int]
    quality: str

    @property
    def is_chord(self) -> bool:
        return self.root != NO_CHORD

    def transposed(self, semitones: int, names: Sequence[str]) -> Symbol:
        """The symbol ``semitones`` higher, its notes spelled by ``names`` (of the twelve notes from C)."""
        if not self.is_chord:
            return self
        root, bass = (self.root + semitones) % 12, (self.bass + semitones) % 12
        plain = self.text.translate(_PLAIN)
        found, slash = _NOTE.match(plain), _BASS.search(plain)
        assert found
        middle = self.text[found.end() : slash.start() if slash else None]
        text = names[root] + middle + (f"/{names[bass]}" if slash else "")
        return replace(
            self, text=text, root=root, bass=bass, tones=frozenset((tone + semitones) % 12 for tone in self.tones)
        )


@dataclass(frozen=True, slots=True)
class Misread:
    """Where in a symbol reading it failed (characters from 0), and what was expected there."""

    at: int
    expected: str


def no_chord(text: str = "N.C.") -> Symbol:
    """The symbol that says silence of the harmony."""
    return Symbol(text, NO_CHORD, NO_CHORD, frozenset(), "")


def parse_symbol(text: str) -> Symbol:
    """``"Bb7(b9)/D"`` to a :class:`Symbol`. Raises :class:`BadRequest` that says where it cannot be read."""
    symbol = read_symbol(text)
    if isinstance(symbol, Misread):
        raise BadRequest(f"{text!r} is no chord: {told(text, symbol)}")
    return symbol


def told(text: str, misread: Misread) -> str:
    """What is wrong with a symbol, for a message."""
    if misread.at == 0:
        return f"expected {misread.expected}"
    return f"after {text[: misread.at]!r} expected {misread.expected}"


def read_symbol(text: str) -> Symbol | Misread:
    """As :func:`parse_symbol`, but what cannot be read comes back as a :class:`Misread`."""
    if text.lower() in SILENCE:
        return no_chord(text)
    plain = text.translate(_PLAIN)
    found = _NOTE.match(plain)
    if not found:
        if plain[:1] == "H":
            return Misread(0, "a root A to G (write B for H)")
        small = plain[:1].upper() in LETTERS
        return Misread(0, "a root as a capital letter A to G" if small else "a root A to G")
    root = (LETTERS[found[1]] + _SHIFT[found[2]]) % 12
    slash = _BASS.search(plain)
    bass = (LETTERS[slash[1].upper()] + _SHIFT[slash[2]]) % 12 if slash else root
    tones = _Tones(plain, found.end(), slash.start() if slash else len(plain))
    misread = tones.read()
    if misread:
        return misread
    intervals = tones.intervals()
    pitch_classes = frozenset((root + tone) % 12 for tone in intervals) | {bass}
    return Symbol(text, root, bass, pitch_classes, nearest_quality(intervals))


def nearest_quality(intervals: frozenset[int]) -> str:
    """The member of :data:`midigen.analysis.QUALITIES` for a chord of ``intervals``, in semitones above its root.

    The third decides first, then the fifth, then the seventh or sixth; ninths and beyond change nothing:

    ===================  ==========================================================================================
    no third             with the fourth ``sus4``, with the second ``sus2``, else ``5`` (a fifth altered: dim, aug)
    major third          fifth only sharp: ``aug``; else minor seventh ``7``, major ``maj7``, sixth ``6``, none ``""``
    minor, fifth flat    minor seventh ``m7b5``, diminished ``dim7``, else ``dim``
    minor third          minor seventh ``m7``, sixth ``m6``, else ``m``
    ===================  ==========================================================================================

    So C9, C13, C7b5 and C7alt are ``7``, Cadd9 is ``""``, C6/9 is ``6``, C7sus4 and C9sus4 are ``sus4``, CmMaj7 is
    ``m``; C7#5 is ``aug``, since no tone of that is foreign to it.
    """
    perfect, flat, sharp = 7 in intervals, 6 in intervals, 8 in intervals
    if not intervals & {3, 4}:
        if 5 in intervals:
            return "sus4"
        if 2 in intervals:
            return "sus2"
        return "5" if perfect or flat == sharp else "dim" if flat else "aug"
    if 4 in intervals:
        if sharp and not perfect and not flat:
            return "aug"
        return "7" if 10 in intervals else "maj7" if 11 in intervals else "6" if 9 in intervals else ""
    if flat and not perfect:
        return "m7b5" if 10 in intervals else "dim7" if 9 in intervals else "dim"
    return "m7" if 10 in intervals else "m6" if 9 in intervals else "m"


@dataclass
class _Tones:
    """What stands between the root and the bass, read from left to right into intervals above the root."""

    text: str
    at: int
    end: int
    third: int | None = 4
    fifths: set[int] = field(default_factory=lambda: {7})
    seventh: int | None = None
    stacked: set[int] = field(default_factory=set)  # what a 9, 11 or 13 brings with it: an alteration replaces it
    added: set[int] = field(default_factory=set)
    base: str = ""
    numbered: bool = False
    depth: int = 0

    def intervals(self) -> frozenset[int]:
        tones = {0} | self.fifths | self.stacked | self.added
        return frozenset(tones | {tone for tone in (self.third, self.seventh) if tone is not None})

    def read(self) -> Misread | None:
        begin = self.at
        self._read_base()
        while self.at < self.end:
            if not self._read_one():
                return Misread(self.at, self._expected(_AFTER_ROOT if self.at == begin else _AFTER_MORE))
        return Misread(self.at, "a closing )") if self.depth else None

    def _expected(self, otherwise: str) -> str:
        if self.text[self.at] in "b#+-":
            return "5, 9, 11 or 13 after the sign"
        if self.text[self.at] == "/":
            return "a bass note A to G after the /"
        if self.text[self.at : self.at + 3].lower() == "add":
            return "2, 4, 6, 9, 11 or 13 after add"
        return otherwise

    def _take(self, pattern: re.Pattern[str]) -> re.Match[str] | None:
        found = pattern.match(self.text, self.at, self.end)
        if found:
            self.at = found.end()
        return found

    def _read_base(self) -> None:
        for pattern, base in _BASES:
            found = self._take(pattern)
            if found:
                self.base = base
                break
        if self.base in ("minor", "dim", "half"):
            self.third = 3
        if self.base in ("dim", "half"):
            self.fifths = {6}
        if self.base == "half":
            self.seventh = 10
        if self.base == "aug":
            self.fifths = {8}
            if self.text[self.at : self.at + 1] == "5":  # C+5 says no more than C+
                self.at += 1
        if self.base == "major" and self.text[self.at - 1] in "Δ^" and self.text[self.at : self.at + 1] != "6":
            self.seventh = 11  # the triangle alone says the seventh

    def _read_one(self) -> bool:
        sign = self.text[self.at]
        if sign == "(":
            self.depth += 1
        elif sign == ")" and self.depth:
            self.depth -= 1
        elif self.depth and sign in ", ":
            pass
        else:
            return self._read_word()
        self.at += 1
        return True

    def _read_word(self) -> bool:
        for pattern, use in (
            (_MAJOR_SEVENTH, self._say_major_seventh),
            (_SUS, self._suspend),
            (_ADD, self._add),
            (_OMIT, self._omit),
            (_SHARP_FIFTH, self._sharpen_fifth),
            (_FLAT_FIFTH, self._flatten_fifth),
        ):
            at = self.at
            found = self._take(pattern)
            if found and use(found):
                return True
            self.at = at
        if self.text.startswith("alt", self.at) and self.third == 4:
            self.at += 3
            self.seventh, self.fifths = 10, {6, 8}
            self.added |= {1, 3}
            return True
        if self.text[self.at] == "/" and re.match(r"[b#+-]?\d", self.text[self.at + 1 : self.end]):
            self.at += 1
            return self._alter() or self._number(beside=True)
        if self.base == "minor" and not self.numbered and re.match(r"[#+]7", self.text[self.at : self.end]):
            self.at += 2  # Am#7, Am+7: a minor chord with the major seventh
            self.seventh, self.numbered = 11, True
            return True
        return self._alter() or self._number(beside=self.numbered or self.depth > 0)

    def _say_major_seventh(self, found: re.Match[str]) -> bool:
        if self.seventh not in (None, 9) or (self.numbered and self.base == "major"):
            return False
        kept = {self.seventh} - {None}
        self.seventh = 11
        self.added |= {tone for tone in kept if tone is not None}
        self._stack(int(found[1] or 7))
        self.numbered = True
        return True

    def _suspend(self, found: re.Match[str]) -> bool:
        what = found[0][3:].replace("/", "")
        self.third = None
        if what in ("7", "9", "13"):
            self.seventh = self.seventh if self.seventh is not None else 10
            self._stack(int(what))
        self.added |= {2} if what == "2" else {2, 5} if what in ("24", "42") else {5}
        return True

    def _add(self, found: re.Match[str]) -> bool:
        if "(" in found[0]:
            self.depth += 1
        sign, number = found[1], found[2]
        if number is None:
            self.added.add(11)
        elif number == "7":
            self.added.add({"": 10, "b": 10, "-": 10}.get(sign, 11))
        elif sign:
            return self._say_altered(sign, number)
        else:
            self.added.add(_ADDED[number])
        return True

    def _omit(self, found: re.Match[str]) -> bool:
        for degree in found.groups():
            if degree == "3":
                self.third = None
            elif degree == "5":
                self.fifths = set()
        return True

    def _sharpen_fifth(self, _: re.Match[str]) -> bool:
        self.fifths = self.fifths - {7} | {8}
        return True

    def _flatten_fifth(self, _: re.Match[str]) -> bool:
        self.fifths = self.fifths - {7} | {6}
        return True

    def _alter(self) -> bool:
        at = self.at
        found = self._take(_ALTERED)
        if found and self._say_altered(found[1], found[2]):
            return True
        self.at = at
        return False

    def _say_altered(self, sign: str, number: str) -> bool:
        name = {"+": "#", "-": "b"}.get(sign, sign) + number
        if name not in _ALTERATIONS:
            return False
        tone = _ALTERATIONS[name]
        if number == "5":
            self.fifths = self.fifths - {7} | {tone}
        else:
            self.stacked -= {"9": {2}, "2": {2}, "11": {5}, "4": {5}, "13": {9}, "6": {9}}[number]
            self.added.add(tone)
        return True

    def _number(self, beside: bool) -> bool:
        """A number: the chord's own, or one ``beside`` it, in parentheses or after a slash, which adds its tone."""
        found = self._take(_NUMBER)
        if not found:
            return False
        number = found[0]
        if number in ("6/9", "6add9", "69"):
            self.added |= {9, 2}
        elif number == "7" and (not beside or self.seventh is None):
            self._say_seventh()
            if self.at < self.end and self.text[self.at] == "M":  # C7M, as it is written in Brazil
                self.seventh = 11
                self.at += 1
        elif number == "5":
            if self.base or self.numbered or beside:
                self.at = found.start()
                return False
            self.third = None
        elif beside:
            if number not in _ADDED:
                self.at = found.start()
                return False
            self.added.add(_ADDED[number])
        elif number == "4":
            self.third = None
            self.added.add(5)
        elif number in ("2", "6"):
            self.added.add(_ADDED[number])
        else:
            self._say_seventh()
            self._stack(int(number))
        self.numbered = True
        return True

    def _say_seventh(self) -> None:
        if self.seventh is None:
            self.seventh = 11 if self.base == "major" else 9 if self.base == "dim" else 10

    def _stack(self, number: int) -> None:
        """The thirds up to ``number``. The eleventh under a thirteenth is left out beside a major third, as it is
        played."""
        if number >= 9:
            self.stacked.add(2)
        if number == 11 or (number == 13 and self.third == 3):
            self.stacked.add(5)
        if number == 13:
            self.stacked.add(9)
