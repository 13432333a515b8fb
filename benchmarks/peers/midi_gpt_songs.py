"""Songs for MIDI-GPT: the notes that midigen learns from, on the same grid, as its trainer and its tokenizer take them.

Both describe a note by its position in the bar (twelve a quarter), its pitch, one of 32 velocities and its duration.
What is given here is quantised as midigen's own songs are, so that no note is told more finely on one side: durations
are those of midigen's table, at most eight quarters. Piano, guitar and bass alone, as these are what is compared.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from midigen.corpus import find_files
from midigen.errors import MidigenError
from midigen.grid import POSITIONS_PER_QUARTER, VELOCITY_STEP, Grid, to_grid
from midigen.midi import midi_bytes, read_midi
from midigen.score import Metre, Note, Part, Score, Tempo
from midigen.tokenizers.decoding import TICKS_PER_POSITION

KINDS = ("piano", "guitar", "bass")
LONGEST = 8 * POSITIONS_PER_QUARTER  # positions of a note
MOST_BEATS = 12  # above the line of a metre that it knows


def kept_files(corpus: Path, split: str) -> set[tuple[str, str]]:
    """Source and name of the songs of ``split`` that a prepared corpus draws from."""
    rows = [line.split("\t") for line in (corpus / "table.tsv").read_text(encoding="utf-8").splitlines()]
    at = {name: number for number, name in enumerate(rows[0])}
    return {(row[at["source"]], row[at["file"]]) for row in rows[1:]
            if row[at["split"]] == split and float(row[at["weight"]]) > 0}  # fmt: skip


def grids(sources: Sequence[str], wanted: set[tuple[str, str]]) -> Iterator[tuple[str, Grid]]:
    """The songs of ``sources`` that are ``wanted``, on the grid, each with its name."""
    for source, name, read in find_files(sources):
        if (source, name) in wanted:
            try:
                yield name, to_grid(read_midi(read(), name), KINDS)
            except MidigenError:
                continue


def metre_of(length: int) -> tuple[int, int] | None:
    """A metre of so many positions that MIDI-GPT knows; ``None`` where it has none."""
    for below in (4, 8):
        beat = 4 * POSITIONS_PER_QUARTER // below
        if length % beat == 0 and length // beat <= MOST_BEATS:
            return length // beat, below
    return None


def as_midi(grid: Grid) -> bytes | None:
    """The song as a MIDI file; ``None`` where a bar has no metre that MIDI-GPT knows, or nobody plays."""
    metres: list[Metre] = []
    for start, length in zip(grid.bar_starts.tolist(), grid.bar_lengths.tolist(), strict=False):
        known = metre_of(length)
        if known is None:
            return None
        if not metres or (metres[-1].numerator, metres[-1].denominator) != known:
            metres.append(Metre(start * TICKS_PER_POSITION, *known))
    parts = []
    for lane in grid.lanes:
        if len(lane.notes):
            onsets = (grid.bar_starts[lane.notes[:, 0]] + lane.notes[:, 1]) * TICKS_PER_POSITION
            lasts = np.minimum(lane.notes[:, 2], LONGEST) * TICKS_PER_POSITION
            rows = zip(onsets, lane.notes[:, 3], lasts, _middles(lane.notes[:, 4]), strict=True)
            notes = tuple(Note(*(int(value) for value in row)) for row in rows)
            parts.append(Part(f"{lane.kind} {lane.slot}", lane.kind, lane.program, notes=notes))
    if not parts:
        return None
    quarter = POSITIONS_PER_QUARTER * TICKS_PER_POSITION
    return midi_bytes(Score(tuple(parts), tempos=(Tempo(0, 120.0),), metres=tuple(metres), ticks_per_quarter=quarter))


def write_parquet(sources: Sequence[str], corpus: Path, split: str, target: Path, most: int | None = None) -> int:
    """Write the songs of ``corpus``, of one ``split`` and at most so many, as the table that MIDI-GPT's data set
    reads; how many there are."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    rows: dict[str, list[Any]] = {"music": [], "num_tracks": [], "total_notes": []}
    for _, grid in grids(sources, kept_files(corpus, split)):
        if most is not None and len(rows["music"]) == most:
            break
        data = as_midi(grid)
        if data is not None:
            rows["music"].append(data)
            rows["num_tracks"].append(len(grid.lanes))
            rows["total_notes"].append(sum(len(lane.notes) for lane in grid.lanes))
    beside = target.with_name(target.name + ".part")
    pq.write_table(pa.table(rows), beside)
    beside.replace(target)
    return len(rows["music"])


def window_of(grid: Grid, first: int, bars: int) -> tuple[Any, int] | None:
    """``bars`` bars of a song from ``first`` as a score of MIDI-GPT, and its notes: the first piano, guitar and bass,
    those that play in it; ``None`` where nobody does or a metre is none that it knows."""
    from midigpt import Bar, Note, Score, Track

    metres = [metre_of(length) for length in grid.bar_lengths[first : first + bars].tolist()]
    if None in metres or (grid.metres[first : first + bars] < 0).any():
        return None
    tracks, count = [], 0
    for lane in grid.lanes:
        notes = lane.notes[(lane.notes[:, 0] >= first) & (lane.notes[:, 0] < first + bars)]
        if lane.slot or not len(notes):
            continue
        made = [Bar(ts_numerator=m[0], ts_denominator=m[1], beat_length=4 * m[0] / m[1]) for m in metres if m]
        for bar, position, duration, pitch, velocity in notes.tolist():
            made[bar - first].notes.append(Note(pitch, _middles(velocity), position, min(duration, LONGEST)))
        tracks.append(Track(bars=made, instrument=lane.program))
        count += len(notes)
    return (Score(tracks=tracks, resolution=POSITIONS_PER_QUARTER), count) if tracks else None


def _middles(bins: Any) -> Any:
    """The velocities in the middle of velocity bins."""
    return VELOCITY_STEP * bins + VELOCITY_STEP // 2
