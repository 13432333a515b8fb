"""A piece as a table of cells while it is written: lanes are rows, bars are columns, pitches are as they sound."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from midigen.grid import METRES, bar_positions
from midigen.tokenizers.spelling import read_notes, spell_notes
from midigen.tokenizers.vocabulary import Vocabulary
from midigen.tokenizers.window import FIRST_PART, PartHeader


@dataclass
class Lane:
    """A part of the piece: what the header says of it, and the musician's wishes for it.

    ``program`` is the sound that is written into the score; ``None`` is the header's or the instrument's usual one.
    ``span`` is the lowest and highest pitch it may sound; ``density`` are the least and the most notes a bar, and
    ``register`` the least and the most of the pitches, on average, ``together`` those of notes that begin at once;
    ``None`` is the instrument's range, and the model's own choice. ``plan`` are the least and the most notes a bar of
    the density that the model drew where none was asked for, ``stacks`` the least and the most notes an onset of the
    polyphony that it drew: they are leaned to, not kept.
    """

    header: PartHeader
    name: str
    program: int | None = None
    span: tuple[int, int] | None = None
    density: tuple[float, float] | None = None
    register: tuple[float, float] | None = None
    together: tuple[float, float] | None = None
    plan: tuple[float, float] | None = None
    stacks: tuple[float, float] | None = None

    @property
    def kind(self) -> str:
        return self.header.kind


@dataclass
class Table:
    """``cells[row][bar]`` holds ids (pitches as they sound), or ``None`` where nothing is known yet.

    ``wanted`` ``(parts, bars)`` marks the cells that the model is to write. Form and harmony may be known for a bar
    whose parts are wanted: they are then the musician's, and fed rather than drawn. ``metres`` (index into
    :data:`midigen.grid.METRES`, -1 for what has no tokens), ``tempos`` (bins) and ``shifts`` (semitones from the
    sounding key to the one that the model knows) and ``keys`` (as the model knows them: values of that token) have one
    value a bar. ``ends`` says whether its last bar is to close it, ``holds_key`` whether all of it is in the key of its
    first bar.
    """

    vocabulary: Vocabulary
    lanes: list[Lane]
    metres: np.ndarray
    tempos: np.ndarray
    shifts: np.ndarray
    keys: np.ndarray
    wanted: np.ndarray
    ends: bool = True
    holds_key: bool = False
    follows: list[tuple[int, bool] | None] = field(default_factory=list)
    sections: list[int] = field(default_factory=list)
    cells: list[list[np.ndarray | None]] = field(default_factory=list)
    sketches: dict[tuple[int, int], tuple[np.ndarray, float]] = field(default_factory=dict)
    _read: dict[tuple[int, int], tuple[np.ndarray, np.ndarray]] = field(default_factory=dict, init=False, repr=False)

    def __post_init__(self) -> None:
        self.cells = self.cells or [[None] * self.bars for _ in range(FIRST_PART + len(self.lanes))]
        self.follows = self.follows or [None] * self.bars
        self.sections = self.sections or [0] * self.bars

    @property
    def bars(self) -> int:
        return len(self.metres)

    @property
    def rows(self) -> int:
        return FIRST_PART + len(self.lanes)

    def length(self, bar: int) -> int:
        """The length of a bar in grid positions."""
        return bar_positions(METRES[int(self.metres[bar])])

    def cell(self, row: int, bar: int) -> np.ndarray:
        """The ids of a cell that is known."""
        cell = self.cells[row][bar]
        if cell is None:
            raise ValueError(f"cell {row}, {bar} is not written yet")
        return cell

    def open(self, bar: int) -> bool:
        """Whether a cell of ``bar`` is still to be written."""
        return any(self.wanted[n, bar] and self.cells[FIRST_PART + n][bar] is None for n in range(len(self.lanes)))

    def whole(self, bar: int) -> bool:
        """Whether every cell of ``bar`` is known."""
        return all(row[bar] is not None for row in self.cells)

    def next_open(self) -> int | None:
        """The first bar in which something is still to be written."""
        return next((bar for bar in range(self.bars) if self.open(bar)), None)

    def tokens(self, bar: int) -> int:
        """How many tokens the known cells of a bar take in a window, with what opens them and it."""
        known = (row[bar] for row in self.cells)
        return 3 + len(self.lanes) + sum(len(cell) for cell in known if cell is not None)

    def at_home(self, row: int, bar: int, shift: int) -> np.ndarray:
        """A known cell moved by ``shift`` semitones, to the key that the model knows."""
        kind = self.lanes[row - FIRST_PART].kind if row >= FIRST_PART else ""
        return moved(self.cell(row, bar), kind, shift, self.vocabulary)

    def notes(self, lane: int, bar: int) -> np.ndarray:
        """The notes of a known cell, ``(n, 4)``, read-only: position, duration, pitch, velocity bin."""
        cell = self.cell(FIRST_PART + lane, bar)
        known = self._read.get((lane, bar))
        if known is None or known[0] is not cell:  # a cell is never changed, but replaced
            notes = read_notes(cell, self.lanes[lane].kind, self.vocabulary)
            notes.flags.writeable = False
            known = self._read[lane, bar] = cell, notes
        return known[1]


def moved(cell: np.ndarray, kind: str, semitones: int, vocabulary: Vocabulary) -> np.ndarray:
    """The ids of a cell of ``kind`` ("" for form and harmony) transposed; notes without a token there are left out."""
    if not semitones or not len(cell) or kind == "drums":
        return cell
    out = vocabulary.transposition(semitones, "pitched" if kind else "")[cell.astype(np.int64)]
    if (out >= 0).all():
        return out.astype(np.uint16)
    # Leaving a note out may change how the next is spelled, so the cell is spelled again.
    notes = read_notes(cell, kind, vocabulary)
    moved_pitch = out[vocabulary.ends_note[cell.astype(np.int64)]]
    notes = notes[moved_pitch >= 0] + np.array([0, 0, semitones, 0])
    return cell_of(notes, kind, vocabulary)


def cell_of(notes: np.ndarray, kind: str, vocabulary: Vocabulary) -> np.ndarray:
    """The ids of one bar's ``notes`` ``(n, 4)``: position, duration, pitch, velocity bin."""
    notes = notes[np.lexsort((notes[:, 2], notes[:, 0]))]
    rows = np.concatenate([np.zeros((len(notes), 1), dtype=np.int64), notes], axis=1)
    return spell_notes(rows, kind, 1, vocabulary)[0]
