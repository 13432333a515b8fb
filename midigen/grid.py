"""A score on the model's grid: bars, twelve positions a quarter, one lane a part.

This is where free timing becomes notation: onsets are rounded to the grid, the sustain pedal becomes longer notes,
parts are gathered into lanes (``piano``, ``piano 2``, ``guitar`` ...), and a bar line that stands a quarter too early
or too late is put right.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from midigen.instruments import INSTRUMENTS
from midigen.score import Part, Score, sustained

POSITIONS_PER_QUARTER = 12  # sixteenths and eighth triplets
VELOCITY_BINS = 32
VELOCITY_STEP = 128 // VELOCITY_BINS
# Durations that can be written, in positions: every one up to a quarter, then musical steps to four bars of 4/4.
DURATIONS = np.array([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 14, 16, 18, 21, 24, 30, 36, 42, 48, 60, 72, 96, 144, 192])
METRES = ("4/4", "3/4", "2/4", "6/8", "12/8", "5/4", "6/4", "9/8", "7/8", "3/8")
LONGEST_BAR = 72  # positions in 12/8 and 6/4
ALIGNED = np.array([0, 3, 4, 6, 8, 9, 12])  # sixteenths and eighth triplets inside a quarter
FEWEST_NOTES = 16  # a part with fewer is an effect, not a part


@dataclass(frozen=True)
class Lane:
    """One part on the grid.

    ``notes`` is ``(n, 5)`` int32 in order of bar, position, pitch: bar, position in the bar, duration in positions (a
    member of :data:`DURATIONS`), pitch, velocity bin (0..31, of :data:`VELOCITY_STEP` velocities).
    """

    kind: str
    slot: int
    program: int
    notes: np.ndarray


@dataclass(frozen=True)
class Grid:
    """A song as bars and lanes.

    ``bar_lengths`` (positions), ``metres`` (index into :data:`METRES`, -1 for a bar that is cut short or in a metre
    the model does not know) and ``tempos`` (quarters a minute) have one value a bar. ``alignment`` is the share of
    onsets that lie within 1/24 of a quarter of a sixteenth or an eighth triplet.
    """

    bar_lengths: np.ndarray
    metres: np.ndarray
    tempos: np.ndarray
    lanes: tuple[Lane, ...]
    alignment: float

    @property
    def bars(self) -> int:
        return len(self.bar_lengths)

    @property
    def bar_starts(self) -> np.ndarray:
        """Absolute positions of the bar lines, ``(bars + 1,)``."""
        return np.concatenate([[0], np.cumsum(self.bar_lengths)])


def bar_positions(metre: str) -> int:
    """The length of a bar of ``metre`` in grid positions."""
    above, below = metre.split("/")
    return int(above) * 4 * POSITIONS_PER_QUARTER // int(below)


def velocities_of(notes: np.ndarray) -> np.ndarray:
    """Velocities (1..127) of ``notes`` ``(n, 4)``: position, duration, pitch, velocity bin (0..31).

    A bin is four velocities. Real songs play all four alike, and neither the notes around, the beat nor the pitch tells
    which ("Velocities within a step" in the lab book), so a note takes one by a hash of its place in the bar and its
    pitch: the spread of real playing, and a bar that comes again is struck as before, wherever it is decoded.
    """
    position, _, pitch, bins = np.asarray(notes, dtype=np.int64).T
    mixed = (position * 0x9E3779B1 + pitch * 0x85EBCA77 + bins * 0xC2B2AE3D) & 0xFFFFFFFF  # the primes of xxHash
    mixed = ((mixed ^ mixed >> 15) * 0x2C1B3C6D) & 0xFFFFFFFF
    return np.maximum(VELOCITY_STEP * bins + (mixed >> 30), 1)


def nearest_duration(positions: np.ndarray) -> np.ndarray:
    """The members of :data:`DURATIONS` nearest to ``positions`` on a logarithmic scale."""
    logs = np.log2(DURATIONS)
    middles = (logs[1:] + logs[:-1]) / 2
    return DURATIONS[np.searchsorted(middles, np.log2(np.maximum(positions, 0.5)))]


def to_grid(score: Score, kinds: tuple[str, ...] = tuple(INSTRUMENTS)) -> Grid:
    """Quantise the parts of ``score`` whose kind is in ``kinds``; other parts are left out."""
    scale = POSITIONS_PER_QUARTER / score.ticks_per_quarter
    tables = [(p, sustained(p).note_table) for p in score.parts if p.kind in kinds and len(p.notes) >= FEWEST_NOTES]
    onsets = np.concatenate([t[:, 0] for _, t in tables]) if tables else np.zeros(0)
    inside = (onsets * scale) % POSITIONS_PER_QUARTER
    alignment = float(np.mean(np.abs(inside[:, None] - ALIGNED).min(axis=1) <= 0.5)) if len(inside) else 0.0

    starts = np.rint(score.bar_starts() * scale).astype(np.int64)
    starts = starts[np.concatenate([[True], np.diff(starts) > 0])]
    shift = _bar_line_shift(score, tables, starts, scale)
    metres = [str(score.metre_at(round(s / scale))) for s in starts]
    if shift:
        starts = np.concatenate([[starts[0] - bar_positions(metres[0])], starts]) + shift
        metres = [metres[0], *metres]
    lengths = np.diff(np.concatenate([starts, [starts[-1] + bar_positions(metres[-1])]]))
    known = [
        METRES.index(m) if m in METRES and bar_positions(m) == n else -1 for m, n in zip(metres, lengths, strict=True)
    ]
    changes = np.array([tempo.tick * scale - 6 for tempo in score.tempos])
    qpm = np.array([tempo.qpm for tempo in score.tempos], dtype=np.float32)
    tempos = qpm[np.maximum(np.searchsorted(changes, starts, side="right") - 1, 0)]

    # Bars that are cut short or in a metre without tokens stay empty: no window covers them.
    usable = np.array(known) >= 0
    lanes = []
    for kind in kinds:
        placed = [(p, quantise(t, starts, scale, kind)) for p, t in tables if p.kind == kind]
        placed = [(p, n[usable[n[:, 0]]]) for p, n in placed]
        lanes += _gather(kind, [(p, n) for p, n in placed if len(n) >= FEWEST_NOTES])
    return _trim(Grid(lengths, np.array(known), tempos, tuple(lanes), alignment))


def quantise(table: np.ndarray, starts: np.ndarray, scale: float, kind: str) -> np.ndarray:
    """A part's ``note_table`` as the notes of a :class:`Lane`; of ``kind`` "" no pitch is out of range.

    ``starts`` are the bar lines in positions and ``scale`` the positions a tick.
    """
    is_drum = kind == "drums"
    if kind:
        row = INSTRUMENTS[kind]
        table = table[(table[:, 2] >= row.lowest) & (table[:, 2] <= row.highest)]
    position = np.rint(table[:, 0] * scale).astype(np.int64)
    bar = np.maximum(np.searchsorted(starts, position, side="right") - 1, 0)
    # A drum has no length of its own; the shortest keeps one velocity token a hit.
    duration = np.ones(len(table)) if is_drum else nearest_duration(table[:, 1] * scale)
    notes = np.stack([bar, position - starts[bar], duration, table[:, 2], table[:, 3] // VELOCITY_STEP], axis=1).astype(
        np.int32
    )
    notes = notes[np.lexsort((-notes[:, 2], notes[:, 3], notes[:, 1], notes[:, 0]))]
    return _without_doubles(notes)


def _without_doubles(notes: np.ndarray) -> np.ndarray:
    """Keep the first (longest) of the notes of one pitch at one position; ``notes`` are sorted so."""
    if not len(notes):
        return notes
    same = (notes[1:, [0, 1, 3]] == notes[:-1, [0, 1, 3]]).all(axis=1)
    return notes[np.concatenate([[True], ~same])]


def _gather(kind: str, placed: list[tuple[Part, np.ndarray]]) -> list[Lane]:
    """Parts of one kind to at most ``slots`` lanes, the busiest first.

    A part that doubles a lane (nine tenths of its notes) is dropped; one that plays where a lane rests (a guitarist who
    changes the sound in the chorus) joins that lane; drums are one kit; what is left over is dropped.
    """
    row = INSTRUMENTS[kind]
    lanes: list[Lane] = []
    for part, notes in sorted(placed, key=lambda item: -len(item[1])):
        target, doubled = None, False
        for number, lane in enumerate(lanes):
            mine = {tuple(n) for n in notes[:, [0, 1, 3]].tolist()}
            theirs = {tuple(n) for n in lane.notes[:, [0, 1, 3]].tolist()}
            doubled = doubled or len(mine & theirs) > 0.9 * len(mine)
            my_bars, their_bars = set(notes[:, 0].tolist()), set(lane.notes[:, 0].tolist())
            if row.is_drum or len(my_bars & their_bars) < 0.15 * min(len(my_bars), len(their_bars)):
                target = number
        if doubled:
            continue
        if target is not None:
            lane = lanes[target]
            both = np.concatenate([lane.notes, notes])
            both = _without_doubles(both[np.lexsort((-both[:, 2], both[:, 3], both[:, 1], both[:, 0]))])
            lanes[target] = Lane(kind, lane.slot, lane.program, both)
        elif len(lanes) < row.slots:
            lanes.append(Lane(kind, len(lanes), 0 if row.is_drum else part.program, notes))
    return lanes


def _bar_line_shift(score: Score, tables, starts: np.ndarray, scale: float) -> int:
    """Positions to move the bar lines by: a quarter or three where the bass says so, in 4/4 throughout; else 0.

    A bass starts a bar far more often than it starts on the second or fourth quarter alone; where half as many again
    of its notes start there, the file's bar line is shifted (about 8 % of songs on the web).
    """
    if any(str(m) != "4/4" for m in score.metres):
        return 0
    counts = np.zeros(48)
    for part, table in tables:
        if part.kind == "bass":
            position = np.rint(table[:, 0] * scale).astype(np.int64)
            bar = np.maximum(np.searchsorted(starts, position, side="right") - 1, 0)
            np.add.at(counts, (position - starts[bar]) % 48, np.minimum(table[:, 1] * scale, 24))
    quarters = counts[[0, 12, 24, 36]]
    best = int(np.argmax(quarters))
    return 12 * best if best in (1, 3) and quarters[best] > 1.5 * max(quarters[0], quarters[2]) else 0


def _trim(grid: Grid) -> Grid:
    """Without the empty bars before the first note and after the last."""
    used = [lane.notes[:, 0] for lane in grid.lanes if len(lane.notes)]
    if not used:
        return grid
    first, last = min(int(b.min()) for b in used), max(int(b.max()) for b in used)
    lanes = tuple(
        Lane(lane.kind, lane.slot, lane.program, lane.notes - np.array([first, 0, 0, 0, 0], dtype=np.int32))
        for lane in grid.lanes
    )
    cut = slice(first, last + 1)
    return Grid(grid.bar_lengths[cut], grid.metres[cut], grid.tempos[cut], lanes, grid.alignment)
