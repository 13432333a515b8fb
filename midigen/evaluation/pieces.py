"""Pieces, composed and real, on their way from notes to numbers."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np

from midigen.composition.takes import faults_of
from midigen.errors import MidigenError
from midigen.evaluation.measures import (
    BAR,
    DURATION,
    KINDS,
    MEASURES,
    PITCH,
    POSITION,
    VELOCITY,
    Excerpt,
    distinct_velocities,
    excerpt,
    similarity_curve,
)
from midigen.grid import to_grid
from midigen.instruments import INSTRUMENTS
from midigen.originality import Index, longest_in_line, top_line
from midigen.score import Score

FOUR_FOUR = 0  # in midigen.grid.METRES
COLUMNS = {"pitch": PITCH, "duration": DURATION, "velocity": VELOCITY}
VELOCITIES = "distinct velocities, of MIDI's 127"
MEASURED = (*MEASURES, VELOCITIES)
# What can be wrong with a piece, by the words that say so.
FAULTS = {
    "an empty part": "is empty",
    "a bar on repeat": "is stuck",
    "silence": "bars of silence",
    "notes out of range": "out of its range",
}
MOST_NOTES = 400  # of one part of one piece, so that no song speaks for all in a distribution


@dataclass
class Pieces:
    """What many pieces were like.

    ``rows`` has the measures of each piece with an excerpt, by what is measured; ``curves`` each piece's
    :func:`~midigen.evaluation.measures.similarity_curve`; ``runs`` the notes of the longest run that its excerpt shares
    with the training songs; ``notes`` by ``(part, what)`` the pitches, durations (positions) and velocity steps of
    notes; ``faults`` what is wrong with a piece, by its name; ``seen`` counts also those that cannot be measured.
    """

    rows: list[dict[str, float]] = field(default_factory=list)
    curves: list[np.ndarray] = field(default_factory=list)
    runs: list[int] = field(default_factory=list)
    notes: dict[tuple[str, str], list[np.ndarray]] = field(default_factory=dict)
    faults: dict[str, list[str]] = field(default_factory=dict)
    seen: int = 0

    def values(self, name: str) -> np.ndarray:
        """One measure of all pieces that have it."""
        return np.array([row[name] for row in self.rows])

    def pool(self, kind: str, what: str) -> np.ndarray:
        """The pitches, durations or velocity steps of one part in all pieces."""
        return np.concatenate([np.zeros(0), *self.notes.get((kind, what), [])])

    def pass_over(self) -> None:
        """One that cannot be read."""
        self.seen += 1

    def add(self, name: str, score: Score, index: Index | None, composed: bool) -> None:
        """Measure ``score``. A real song counts where it is in 4/4 throughout and has an excerpt; of a composed piece
        it is noted what is wrong with it."""
        self.seen += 1
        if composed and (wrong := degenerate(score)):
            self.faults[name] = wrong
        try:
            grid = to_grid(score, KINDS)
        except MidigenError:
            return
        piece = excerpt(grid)
        if piece is None or not (grid.metres == FOUR_FOUR).all():
            return
        row = {measured: measure(piece) for measured, measure in MEASURES.items()}
        self.rows.append(row | {VELOCITIES: distinct_velocities(score)})
        self.curves.append(similarity_curve(grid))
        if index is not None:
            self.runs.append(shared(piece, index))
        for kind, notes in piece.parts.items():
            step = -(-len(notes) // MOST_NOTES) or 1
            for what, column in COLUMNS.items():
                self.notes.setdefault((kind, what), []).append(notes[::step, column].astype(float))


def degenerate(score: Score) -> list[str]:
    """What makes a piece one that nobody would keep: an empty part, a bar on repeat over eight times, silence of more
    than two bars (:func:`midigen.composition.takes.faults_of`), a note out of its instrument's range."""
    faults = faults_of(score)
    for part in score.parts:
        row = INSTRUMENTS.get(part.kind)
        if row and any(not row.lowest <= note.pitch <= row.highest for note in part.notes):
            faults.append(f"{part.name} has notes out of its range")
    return faults


def shared(piece: Excerpt, index: Index) -> int:
    """Notes of the longest run that a part of ``piece`` shares with the songs of ``index``."""
    starts = np.concatenate([[0], np.cumsum(piece.lengths)])
    lines: Iterable[np.ndarray] = piece.parts.values()
    return max(
        longest_in_line(*top_line(starts[notes[:, BAR]] + notes[:, POSITION], notes[:, PITCH].astype(np.int64)), index)[
            0
        ]
        for notes in lines
        if len(notes)
    )
