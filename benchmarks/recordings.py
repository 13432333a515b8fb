"""Recordings whose notes are known: single parts of songs, played by midigen's own renderer.

What hearing is tuned and measured on. A recording is the stretch of a song, ``SECONDS`` long, in which its part plays
most; of every song, one part of an instrument. Of what a file holds, that is taken which can be heard as notes:

- Pitch bends are left out: a bent note has not the pitch of its number.
- Onsets of one pitch within ``DOUBLED_SECONDS`` are one: nobody can tell two notes of one pitch at one time from one.
- Parts that nobody could play are passed over: where more than one note in twenty is shorter than ``SHORT_SECONDS``, or
  notes begin at more than ``MOST_ONSETS`` times a second (files where notes stand for an effect).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from midigen.audio import Audio
from midigen.corpus import find_files
from midigen.errors import MidigenError
from midigen.instruments import instrument
from midigen.midi import read_midi
from midigen.renderers import render
from midigen.score import Note, Part, Score, Tempo, sustained
from midigen.soundfonts import choose_soundfont

SECONDS, LEAD_SECONDS, TAIL_SECONDS = 45.0, 0.5, 2.0
FEWEST_NOTES, SOFTEST = 40, 10  # velocity: what is softer is often a trick and no note
DOUBLED_SECONDS = 0.02
SHORT_SECONDS, SHORT_SHARE = 0.04, 0.05
MOST_ONSETS, CHORD_SECONDS = 12.0, 0.03
RATE = 44_100


@dataclass(frozen=True, eq=False)
class Recording:
    """``audio`` of one part of ``kind`` in the song ``name``, played by ``font``; ``notes``, float64 ``(n, 4)``: onset
    and end in seconds, MIDI pitch, velocity. ``score`` is what was played."""

    name: str
    kind: str
    font: str
    audio: Audio
    notes: np.ndarray
    score: Score


def recordings(
    sources: Sequence[str | Path], kind: str, font: str, count: int, *, skip: int = 0, every: int = 1
) -> Iterator[Recording]:
    """The first ``count`` recordings of ``kind`` from the songs in ``sources`` that have such a part.

    ``skip`` songs are left out first, and of the others all but each of ``every``.
    """
    number = 0
    for place, (_, name, read) in enumerate(find_files(sources)):
        if place < skip or (place - skip) % every:
            continue
        data = read()
        try:
            cut = excerpt(read_midi(data, name), kind)
        except MidigenError:
            continue
        if cut is None:
            continue
        score, notes = cut
        (stem,) = render(score, choose_soundfont(font), rate=RATE)
        sound = np.concatenate([block.mean(axis=0, keepdims=True) for block in stem.audio.blocks()], axis=1)
        if not np.abs(sound).max() > 1e-3:
            continue
        sound *= np.float32(0.5 / np.abs(sound).max())
        yield Recording(Path(name).stem, kind, font, Audio(sound.astype(np.float32), RATE), notes, score)
        number += 1
        if number == count:
            return


def excerpt(score: Score, kind: str) -> tuple[Score, np.ndarray] | None:
    """The busiest stretch of the busiest part of ``kind`` as a score of its own, and its notes in seconds.

    ``None`` where there is none with ``FEWEST_NOTES``. Tempo and metre are those at its beginning.
    """
    row = instrument(kind)
    parts = [part for part in score.parts if part.kind == kind and len(part.notes) >= FEWEST_NOTES]
    if not parts:
        return None
    part = max(parts, key=lambda one: len(one.notes))
    table = part.note_table
    table = table[(table[:, 2] >= row.lowest) & (table[:, 2] <= row.highest) & (table[:, 3] >= SOFTEST)]
    if len(table) < FEWEST_NOTES:
        return None
    onsets = score.seconds(table[:, 0])
    counts = np.searchsorted(onsets, onsets + SECONDS) - np.arange(len(onsets))
    first = int(np.argmax(counts))
    if counts[first] < FEWEST_NOTES:
        return None
    # from a bar line on, with half a second before it
    bars = score.bar_starts()
    start_tick = int(bars[np.searchsorted(bars, table[first, 0], side="right") - 1])
    start = float(score.seconds(start_tick))
    keep = (onsets >= start) & (onsets < start + SECONDS)
    table, onsets = table[keep], onsets[keep]
    qpm = [tempo.qpm for tempo in score.tempos if tempo.tick <= start_tick][-1]
    blank = Score((), tempos=(Tempo(0, qpm),), metres=(replace(score.metre_at(start_tick), tick=0),))

    def placed(ticks: np.ndarray) -> np.ndarray:
        return blank.ticks(np.maximum(score.seconds(ticks) - start + LEAD_SECONDS, 0.0))

    begin, end = placed(table[:, 0]), placed(table[:, 0] + table[:, 1])
    played = sorted(
        Note(int(on), int(row[2]), max(int(off) - int(on), 1), int(row[3]))
        for on, off, row in zip(begin, end, table, strict=True)
    )
    # of what was turned before the stretch, the last state counts; of what comes after it, nothing
    last_tick = int(score.ticks(start + SECONDS))
    controls = [replace(c, tick=int(placed(np.array(c.tick)))) for c in part.controls if c.tick < last_tick]
    alone = Part(kind, kind, part.program, notes=tuple(played), controls=tuple(controls), bank=part.bank)
    cut = replace(blank, parts=(alone,))
    notes = known_notes(cut)
    return (cut, notes) if is_playable(notes) else None


def is_playable(notes: np.ndarray) -> bool:
    """Whether somebody could play ``notes``: not too many are too short, nor do they come too fast."""
    short = np.mean(notes[:, 1] - notes[:, 0] < SHORT_SECONDS)
    onsets = 1 + np.count_nonzero(np.diff(notes[:, 0]) > CHORD_SECONDS)
    return bool(short <= SHORT_SHARE and onsets <= MOST_ONSETS * max(np.ptp(notes[:, 0]), 1.0))


def known_notes(score: Score) -> np.ndarray:
    """Onset and end in seconds, pitch and velocity of the one part of ``score``: what there is to be heard.

    Notes sound as long as the pedal has them; those of one pitch within ``DOUBLED_SECONDS`` are one.
    """
    table = sustained(score.parts[0]).note_table
    rows = np.column_stack(
        [score.seconds(table[:, 0]), score.seconds(table[:, 0] + table[:, 1]), table[:, 2], table[:, 3]]
    )
    kept: list[np.ndarray] = []
    last: dict[float, np.ndarray] = {}
    for row in rows:
        before = last.get(row[2])
        if before is not None and row[0] - before[0] < DOUBLED_SECONDS:
            before[1], before[3] = max(before[1], row[1]), max(before[3], row[3])
            continue
        kept.append(row)
        last[row[2]] = row
    return np.array(kept).reshape(-1, 4)
