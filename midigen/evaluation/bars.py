"""Bars as a score says they begin: how alike they are, how real songs repeat them, and how a piece ends.

Composed pieces are measured on bars that begin where the score says (:func:`straight_grid`); a real song's empty bars
and shifted bar lines are what :func:`midigen.grid.to_grid` is for.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from midigen.analysis import bar_similarity
from midigen.evaluation.measures import KINDS
from midigen.grid import METRES, POSITIONS_PER_QUARTER, Grid, Lane, bar_positions, quantise
from midigen.score import Score, sustained
from midigen.tokenizers.spelling import read_form, spell_form
from midigen.tokenizers.vocabulary import Vocabulary

FEWEST_ONSETS = 2  # positions at which a part that closes a piece may still begin notes in its last bar
TOLERANCE = POSITIONS_PER_QUARTER // 4  # positions that a note held "to the end" may fall short of it: a sixteenth

BarSet = set[tuple[int, int, int]]  # part, position and pitch of each note


def straight_grid(score: Score, kinds: Sequence[str] = KINDS) -> Grid:
    """The parts of ``kinds`` on the grid, in bars of the score's first metre from its first tick to its end.

    Unlike :func:`midigen.grid.to_grid` it keeps empty bars, short parts and bar lines as they are, one lane a part.
    """
    metre = str(score.metres[0])
    length, scale = bar_positions(metre), POSITIONS_PER_QUARTER / score.ticks_per_quarter
    # One bar more than the last note's end, as a note just before that may be nearer to the bar line that follows it.
    bars = score.bars or int(score.end_ticks * scale // length) + 2
    starts = np.arange(bars) * length
    lanes: list[Lane] = []
    for part in score.parts:
        if part.kind in kinds:
            slot = sum(lane.kind == part.kind for lane in lanes)
            notes = quantise(sustained(part).note_table, starts, scale, "drums" if part.is_drum else "")
            lanes.append(Lane(part.kind, slot, part.program, notes))
    known = METRES.index(metre) if metre in METRES else -1
    tempos = np.full(bars, score.tempos[0].qpm)
    for tempo in score.tempos:
        tempos[starts >= tempo.tick * scale - POSITIONS_PER_QUARTER / 2] = tempo.qpm
    return Grid(np.full(bars, length), np.full(bars, known), tempos, tuple(lanes), alignment=1.0)


def stretch(grid: Grid, first: int, bars: int) -> Grid:
    """``bars`` bars of ``grid`` from ``first`` on, with its parts as they are."""
    lanes = []
    for lane in grid.lanes:
        inside = (lane.notes[:, 0] >= first) & (lane.notes[:, 0] < first + bars)
        notes = lane.notes[inside] - np.array([first, 0, 0, 0, 0], dtype=np.int32)
        lanes.append(Lane(lane.kind, lane.slot, lane.program, notes))
    window = slice(first, first + bars)
    return Grid(grid.bar_lengths[window], grid.metres[window], grid.tempos[window], tuple(lanes), grid.alignment)


def bar_sets(grid: Grid) -> list[BarSet]:
    """Part, position and pitch of the notes of each bar, drums left out."""
    sets: list[BarSet] = [set() for _ in range(grid.bars)]
    for number, lane in enumerate(grid.lanes):
        if lane.kind != "drums":
            for bar, position, _, pitch, _ in lane.notes.tolist():
                sets[bar].add((number, position, pitch))
    return sets


def likeness_of(one: BarSet, other: BarSet) -> float:
    """Notes in common over notes in either, as :func:`midigen.analysis.bar_similarity` has it; silences are alike."""
    return len(one & other) / len(one | other) if one or other else 1.0


def repeats_of(grid: Grid) -> dict[bool, list[float]]:
    """How alike the bars of a real song are to the bars that they are said to follow, by whether as the same (``True``)
    or varied, as its form lane would be spelled."""
    similarity, vocabulary = np.round(bar_similarity(grid), 2), Vocabulary()
    everywhere = np.ones(grid.bars, dtype=bool)
    found: dict[bool, list[float]] = {True: [], False: []}
    sets = bar_sets(grid)
    for bar in range(grid.bars):
        distance, same = read_form(spell_form(similarity[bar], everywhere, bar, vocabulary), vocabulary)
        if distance:
            found[same].append(likeness_of(sets[bar], sets[bar - distance]))
    return found


def closes(grid: Grid) -> bool:
    """Whether the last bar closes the piece: no part begins notes at more than two places in it, and each pitched part
    that plays in it holds its last note, or one of them, for three quarters of the bar or to its end."""
    bar, length = grid.bars - 1, int(grid.bar_lengths[-1])
    heard = False
    for lane in grid.lanes:
        notes = lane.notes[lane.notes[:, 0] == bar]
        if len(np.unique(notes[:, 1])) > FEWEST_ONSETS:
            return False
        if lane.kind != "drums" and len(notes):
            heard = True
            last = notes[notes[:, 1] == notes[:, 1].max()]
            longest = int(last[:, 2].max())
            if longest < 0.75 * length and int(last[0, 1]) + longest < length - TOLERANCE:
                return False
    return heard
