"""Notes in seconds, written down in bars: as they were played, or on a grid."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from midigen.errors import BadRequest
from midigen.instruments import INSTRUMENTS
from midigen.score import TICKS_PER_QUARTER, Metre, Note, Part, Score, Tempo, parse_metre
from midigen.transcription import Heard
from midigen.transcription.beats import BarGrid

GRIDS = {"1/4": 480, "1/8": 240, "1/8t": 160, "1/16": 120, "1/16t": 80, "1/32": 60}  # ticks
TEMPO_STEP = 0.002  # changes of tempo that are smaller are not written


def to_score(parts: Sequence[Heard], grid: BarGrid, *, quantise: str | None = None, title: str = "") -> Score:
    """The ``parts`` as a score whose first bar begins at the bar line before the first note.

    ``quantise`` is one of ``GRIDS``: onsets and lengths are then whole steps of it, a step at least. Otherwise they
    are where they were played. Raises :class:`BadRequest` for another grid.
    """
    step = _step(quantise)
    above, below = parse_metre(grid.metre)
    bar_beats = above * 4 / below
    beats = grid.beats
    first = min((float(part.notes[0, 0]) for part in parts if len(part.notes)), default=float(beats[0]))
    # a note a little early belongs to the bar it is early for
    lead = max(math.floor(_quarters(beats, np.array([first + 0.05]))[0] / bar_beats), 0) * bar_beats
    written = []
    for part in parts:
        row = INSTRUMENTS[part.kind]
        ticks = np.rint((_quarters(beats, part.notes[:, :2]) - lead) * TICKS_PER_QUARTER)
        if step:
            ticks = np.rint(ticks / step) * step
        ticks = np.maximum(ticks, 0).astype(np.int64)
        notes: dict[tuple[int, int], Note] = {}
        for (onset, end), (_, _, pitch, velocity) in zip(ticks.tolist(), part.notes.tolist(), strict=True):
            note = Note(onset, int(pitch), max(end - onset, step or 1), int(velocity))
            before = notes.get((onset, int(pitch)))
            if before is None or before.velocity < note.velocity:  # two that a grid makes one
                notes[onset, int(pitch)] = note
        written.append(Part(part.name, part.kind, row.default_program, notes=_apart(sorted(notes.values()))))
    return Score(tuple(written), tempos=_tempos(grid, lead), metres=(Metre(0, above, below),), title=title)


def _step(quantise: str | None) -> int:
    if quantise is None:
        return 0
    if quantise not in GRIDS:
        raise BadRequest(f"grid {quantise!r}: choose {', '.join(GRIDS)} (t: triplets)")
    return GRIDS[quantise]


def _quarters(beats: np.ndarray, seconds: np.ndarray) -> np.ndarray:
    """Times as quarters after the first of ``beats``; beyond them the nearest tempo goes on."""
    numbers = np.arange(len(beats), dtype=np.float64)
    found = np.interp(seconds, beats, numbers)
    start, end = beats[1] - beats[0], beats[-1] - beats[-2]
    found = np.where(seconds < beats[0], (seconds - beats[0]) / start, found)
    whole: np.ndarray = np.where(seconds > beats[-1], numbers[-1] + (seconds - beats[-1]) / end, found)
    return whole


def _tempos(grid: BarGrid, lead: float) -> tuple[Tempo, ...]:
    """A tempo at every beat where it changes, from the beat ``lead`` on."""
    steps = np.diff(grid.beats)
    if grid.steady:
        return (Tempo(0, round(60 / float(np.median(steps)), 3)),)
    tempos: list[Tempo] = []
    for beat in range(int(lead), len(steps)):
        qpm = round(60 / float(steps[beat]), 3)
        if not tempos or abs(qpm / tempos[-1].qpm - 1) > TEMPO_STEP:
            tempos.append(Tempo(int((beat - lead) * TICKS_PER_QUARTER), qpm))
    return tuple(tempos)


def _apart(notes: Sequence[Note]) -> tuple[Note, ...]:
    """``notes`` of one pitch end where the next begins: MIDI has no two of them at a time."""
    kept: list[Note] = []
    last: dict[int, int] = {}
    for note in notes:
        before = last.get(note.pitch)
        if before is not None and kept[before].end_ticks > note.onset_ticks:
            earlier = kept[before]
            length = max(note.onset_ticks - earlier.onset_ticks, 1)
            kept[before] = Note(earlier.onset_ticks, earlier.pitch, length, earlier.velocity)
        last[note.pitch] = len(kept)
        kept.append(note)
    return tuple(kept)
