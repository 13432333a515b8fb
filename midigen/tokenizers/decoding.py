"""Cells to a score, at 480 ticks a quarter."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from midigen.grid import POSITIONS_PER_QUARTER, bar_positions, velocities_of
from midigen.instruments import INSTRUMENTS
from midigen.score import KEY_NAMES, TICKS_PER_QUARTER, Control, Metre, Note, Part, Score, Text
from midigen.tokenizers.spelling import read_chords, read_notes
from midigen.tokenizers.vocabulary import Vocabulary
from midigen.tokenizers.window import FIRST_PART, HARMONY, PartHeader

TICKS_PER_POSITION = TICKS_PER_QUARTER // POSITIONS_PER_QUARTER


def read_piece(
    parts: Sequence[PartHeader],
    cells: Sequence[Sequence[np.ndarray | None]],
    metre: str,
    vocabulary: Vocabulary,
    names: Sequence[str] | None = None,
    notes: Sequence[str] = KEY_NAMES["major"],
) -> Score:
    """A score of ``cells[row][bar]`` (rows as in :class:`~midigen.tokenizers.window.Window`; ``None`` is silence).

    Tempo and key are left at their defaults for the caller to replace; chord symbols come from the harmony row,
    spelled with ``notes``, the names of the twelve notes from C. ``names`` are the parts'.
    """
    bars = len(cells[0])
    bar_ticks = bar_positions(metre) * TICKS_PER_POSITION
    written = []
    for number, header in enumerate(parts):
        rows = [np.zeros((0, 4), dtype=np.int64)]
        for bar, cell in enumerate(cells[FIRST_PART + number]):
            if cell is not None and len(cell):
                struck = read_notes(cell, header.kind, vocabulary)
                position, duration, pitch, _ = struck.T
                onset = bar * bar_ticks + position * TICKS_PER_POSITION
                rows.append(np.stack([onset, duration * TICKS_PER_POSITION, pitch, velocities_of(struck)], axis=1))
        row = INSTRUMENTS[header.kind]
        written.append(
            Part(
                name=names[number] if names else header.kind + (f" {header.slot + 1}" if header.slot else ""),
                kind=header.kind,
                program=header.program if header.program is not None else row.default_program,
                is_drum=row.is_drum,
                notes=_notes(np.concatenate(rows), bars * bar_ticks),
                # Volume and pan at their defaults, said aloud: every workstation then opens the parts alike.
                controls=(Control(0, 7, 100), Control(0, 10, 64)),
            )
        )
    chords: list[Text] = []
    for bar, cell in enumerate(cells[HARMONY]):
        for chord in read_chords(cell, bar, vocabulary) if cell is not None else []:
            symbol = chord.spelled(notes)
            if not chords or chords[-1].text != symbol:
                chords.append(Text(bar * bar_ticks + chord.position * TICKS_PER_POSITION, symbol))
    above, below = map(int, metre.split("/"))
    return Score(parts=tuple(written), metres=(Metre(0, above, below),), chords=tuple(chords), bars=bars)


def _notes(table: np.ndarray, end: int) -> tuple[Note, ...]:
    """Rows of onset, duration, pitch, velocity to notes, each cut where its pitch sounds again and at ``end``."""
    for pitch in np.unique(table[:, 2]):
        rows = np.flatnonzero(table[:, 2] == pitch)
        table[rows[:-1], 1] = np.minimum(table[rows[:-1], 1], np.diff(table[rows, 0]))
    table[:, 1] = np.minimum(table[:, 1], end - table[:, 0])
    return tuple(Note(o, p, d, v) for o, d, p, v in table.tolist())
