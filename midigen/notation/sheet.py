"""What is on a sheet of music: staves, bars, voices, noteheads, and what is written above and below them."""

from __future__ import annotations

from dataclasses import dataclass

from midigen.charts.symbols import Symbol
from midigen.notation.quantising import Swing
from midigen.notation.rhythm import Measure, Piece
from midigen.notation.spelling import Name
from midigen.score import Key


@dataclass(frozen=True, slots=True)
class Clef:
    """``sign`` G, F or percussion on ``line`` (from below); notes sound ``octaves`` away from where they stand."""

    sign: str
    line: int
    octaves: int = 0

    @property
    def middle(self) -> int:
        """The MIDI pitch near the middle line."""
        return {"G": 71, "F": 50, "percussion": 71}[self.sign] + 12 * self.octaves


TREBLE, BASS, DRUM_CLEF = Clef("G", 2), Clef("F", 4), Clef("percussion", 2)
GUITAR_CLEF, LOW_BASS, HIGH_TREBLE = Clef("G", 2, -1), Clef("F", 4, -1), Clef("G", 2, 1)


@dataclass(frozen=True, slots=True)
class Head:
    """A notehead: MIDI ``pitch`` and ``velocity``, its ``name`` (``None`` for a drum), and whether it is tied to the
    one before and the one after."""

    pitch: int
    velocity: int
    name: Name | None
    tied_from: bool
    tied_to: bool
    tick: int


@dataclass(frozen=True, slots=True)
class Lyric:
    """A syllable under a note: ``syllabic`` is single, begin, middle or end; ``is_held`` over notes that follow."""

    text: str
    syllabic: str
    is_held: bool


@dataclass(frozen=True, slots=True)
class Sign:
    """A chord, a note, or without ``heads`` a rest; with the syllable that is sung on it."""

    piece: Piece
    heads: tuple[Head, ...]
    fills_bar: bool = False
    lyric: Lyric | None = None

    @property
    def is_rest(self) -> bool:
        return not self.heads


Voice = tuple[Sign, ...]


@dataclass(frozen=True)
class Staff:
    """``bars`` are those of the sheet, each with its voices (one at least), the upper one first."""

    clef: Clef
    bars: tuple[tuple[Voice, ...], ...]


@dataclass(frozen=True)
class SheetPart:
    """One player's music; ``keys`` are the percussion keys of a drummer's."""

    name: str
    kind: str
    program: int
    is_drum: bool
    staves: tuple[Staff, ...]
    keys: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Placed:
    """Something said above a bar: at ``place`` (units) of bar ``number`` (from 1)."""

    number: int
    place: int
    text: str
    symbol: Symbol | None = None


@dataclass(frozen=True)
class Sheet:
    """A whole piece as notation. ``keys`` has one for every measure; ``tempos`` those to be shown and to be played."""

    title: str
    measures: tuple[Measure, ...]
    keys: tuple[Key, ...]
    parts: tuple[SheetPart, ...]
    chords: tuple[Placed, ...]
    marks: tuple[Placed, ...]
    tempos: tuple[tuple[int, int, float, bool], ...]  # measure from 1, place, quarters a minute, whether it is shown
    swing: Swing | None
