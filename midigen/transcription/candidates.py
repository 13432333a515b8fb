"""Where notes may begin, and what speaks for and against each: a table of numbers, one row a candidate.

The network takes an overtone for a note, a vibrato for a new one, and the noise of a quiet stretch for anything, since
it hears every two seconds at a level of their own. What tells these from notes stands around them: what sounds an
octave, a twelfth and two octaves below, whether it lasts, and whether the sound as a whole changes at that moment.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from midigen.profiles.onsets import Curves, onsets_of
from midigen.transcription.activations import FRAME_SECONDS, LOWEST_PITCH, PITCHES, Activations
from midigen.transcription.partials import AFTER_FRAMES, BEFORE_FRAMES, Partials

RISE_FRAMES = 3  # over which a rise of what sounds counts as a beginning
RISE_SHARE = 0.5
LEAST = 0.28  # less than that begins nowhere; the network says 0.1 of silence
NEAR_FRAMES = 3  # the highest in so many on either side is a candidate
NEAR_SECONDS = 0.035
CHUNK_FRAMES, CONTEXT_FRAMES = 5_000, 32  # a minute, and farther than any neighbour that is looked at
CURVES_PLACE = 6  # where the columns of the curves stand
STRUCK, OVERTONES = 5, (-12, -19, -24)
LEVEL_FLOOR_DB = -60.0
INTERVALS = (-24, -19, -12, -7, -1, 1, 7, 12, 19)  # semitones to other pitches whose state is looked at
# Of a note, its second to sixth partial; of one an octave or a twelfth lower, those that the note itself has not.
PARTIALS = (0, 12, 19, 24, 28, 31, -12, 7, 16, -19, -7)
COLUMNS = (
    "onset", "onset wide", "rise", "after", "before", "long after", "flux", "flux here", "level", "level rise",
    "highest", "share", "rank", "others", "height", "height squared",
    *(f"onset at {i:+d}" for i in INTERVALS), *(f"sound at {i:+d}" for i in INTERVALS),
    *(f"partial at {i:+d}" for i in PARTIALS), *(f"rise at {i:+d}" for i in PARTIALS), "own level",
)  # fmt: skip


@dataclass(frozen=True, eq=False)
class Candidates:
    """``frames`` and ``pitches`` (MIDI) of what may be notes, int64 ``(n,)``, in order of time, and of each what is
    known of it: float64 ``(n, len(COLUMNS))``."""

    frames: np.ndarray
    pitches: np.ndarray
    table: np.ndarray


def candidates_of(heard: Activations, curves: Curves, partials: Partials, lowest: int, highest: int) -> Candidates:
    """The candidates between the MIDI pitches ``lowest`` and ``highest``, both included.

    They are gathered a minute at a time, with some context, so that hours need no more memory.
    """
    range_ = max(lowest - LOWEST_PITCH, 0), min(highest - LOWEST_PITCH, PITCHES - 1)
    struck = np.rint(onsets_of(curves) / FRAME_SECONDS).astype(int)
    found = []
    for start in range(0, heard.frames, CHUNK_FRAMES):
        first, end = max(start - CONTEXT_FRAMES, 0), min(start + CHUNK_FRAMES, heard.frames)
        part = slice(first, end + CONTEXT_FRAMES)
        onsets, notes = heard.onsets[part].astype(np.float64), heard.notes[part].astype(np.float64)
        inside = struck[(struck >= first) & (struck < first + len(notes))] - first
        frames, rows, table = _in_chunk(onsets, notes, inside, range_)
        kept = (frames >= start - first) & (frames < end - first)
        found.append((frames[kept] + first, rows[kept], table[kept]))
    frames, rows, table = (np.concatenate(one) for one in zip(*found, strict=True))
    table = np.insert(table, [CURVES_PLACE] * 4, np.column_stack(_of_curves(curves, frames)), axis=1)
    table = np.column_stack([table, *_of_partials(partials, frames, rows + LOWEST_PITCH)])
    return Candidates(frames, rows + LOWEST_PITCH, table)


def _in_chunk(
    onsets: np.ndarray, notes: np.ndarray, struck: np.ndarray, range_: tuple[int, int]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Frames and rows of the candidates in some stretch, and what the network says of them."""
    rise = np.zeros_like(notes)
    smooth = _moving(notes, 0, 2, np.mean)
    rise[1:] = np.maximum(smooth[1:] - _moving(notes, -RISE_FRAMES, -1, np.mean)[1:], 0)
    score = onsets + RISE_SHARE * rise
    around = _moving(score, -NEAR_FRAMES, NEAR_FRAMES, np.max)
    places = (score >= around) & (score >= LEAST)
    first, last = range_
    places[:, :first] = places[:, last + 1 :] = False
    places |= _struck(places, notes, struck, first, last)
    frames, rows = np.nonzero(places)
    return frames, rows, np.stack(_of_network(onsets, notes, rise, frames, rows), axis=1)


def _struck(places: np.ndarray, notes: np.ndarray, struck: np.ndarray, first: int, last: int) -> np.ndarray:
    """More candidates: where the whole sound has an onset, the pitches that then sound most, and those of which these
    may be overtones. So notes are found of which the network hears the sound but not the beginning."""
    more = np.zeros_like(places)
    near = _moving(places, -NEAR_FRAMES - 1, NEAR_FRAMES + 1, np.max)
    sounding = _moving(notes, 1, 5, np.mean)
    for frame in struck.tolist():
        loudest = np.argsort(sounding[frame, first : last + 1])[::-1][:STRUCK] + first
        rows = np.unique(np.concatenate([loudest + shift for shift in (0, *OVERTONES)]))
        rows = rows[(rows >= first) & (rows <= last)]
        more[frame, rows] = ~near[frame, rows]
    return more


def _of_network(
    onsets: np.ndarray, notes: np.ndarray, rise: np.ndarray, frames: np.ndarray, rows: np.ndarray
) -> list[np.ndarray]:
    """What the network says: the columns up to the partials, but for those of the curves."""
    near_onsets = _moving(onsets, -2, 2, np.max)
    near_notes = _moving(notes, 1, 5, np.mean)
    known = (near_onsets >= 0.3).sum(axis=1)
    highest = near_onsets.max(axis=1)
    here = near_onsets[frames, rows]
    rank = (near_onsets[frames] > here[:, None]).sum(axis=1)
    height = (rows + LOWEST_PITCH - 60) / 24
    columns = [
        onsets[frames, rows],
        _moving(onsets, -2, 2, np.mean)[frames, rows],
        rise[frames, rows],
        near_notes[frames, rows],
        _moving(notes, -5, -2, np.mean)[frames, rows],
        _moving(notes, 6, 16, np.mean)[frames, rows],
        highest[frames],
        here / np.maximum(highest[frames], 1e-6),
        np.minimum(rank, 8) / 8,
        np.minimum(known[frames], 8) / 8,
        height,
        height**2,
    ]
    for values in (near_onsets, near_notes):
        padded = np.pad(values, ((0, 0), (24, 24)))
        columns += [padded[frames, rows + 24 + interval] for interval in INTERVALS]
    return columns


def _of_partials(partials: Partials, frames: np.ndarray, pitches: np.ndarray) -> list[np.ndarray]:
    """Levels of partials against the loudest of them, how they rose, and how loud all that is in the whole; in tens of
    decibels."""
    wanted = pitches[:, None] + np.array(PARTIALS)
    after = partials.at(frames[:, None] + AFTER_FRAMES, wanted)
    before = partials.at(frames[:, None] + BEFORE_FRAMES, wanted)
    loudest = after.max(axis=1, initial=-np.inf, keepdims=True)
    against = np.clip(after - loudest, -50.0, 0.0)
    rose = np.clip(after - np.maximum(before, loudest - 50), -30.0, 30.0)
    return [*(against / 10).T, *(rose / 10).T, loudest[:, 0] / 10]


def _of_curves(curves: Curves, frames: np.ndarray) -> list[np.ndarray]:
    """What the sound as a whole does at ``frames``: flux nearby and here, level, and its rise."""
    if not len(curves.flux):
        return [np.zeros(len(frames))] * 4
    reach = max(round(NEAR_SECONDS / curves.seconds), 1)
    flux = curves.flux[:, None]
    usual = float(np.quantile(curves.flux, 0.95)) + 1e-9
    nearby = _moving(flux, -reach, reach, np.max)[:, 0] / usual
    loud = np.maximum(curves.level_db, -200.0)
    loud = np.clip(loud - float(np.quantile(loud, 0.95)), LEVEL_FLOOR_DB, 10.0)
    before = _moving(loud[:, None], -6, -2, np.mean)[:, 0]
    after = _moving(loud[:, None], 0, 5, np.max)[:, 0]
    at = np.clip(np.rint(frames * FRAME_SECONDS / curves.seconds).astype(int), 0, len(loud) - 1)
    values = (np.minimum(nearby, 3), np.minimum(curves.flux / usual, 3), after / 20, (after - before) / 20)
    return [value[at] for value in values]


def _moving(values: np.ndarray, first: int, last: int, how) -> np.ndarray:  # type: ignore[no-untyped-def]
    """``how`` (np.max or np.mean) over the rows ``first`` to ``last`` from each, ``(n, any)``; edges are repeated."""
    if not len(values):
        return values
    padded = np.pad(values, ((max(-first, 0), max(last, 0)), (0, 0)), mode="edge")
    start = max(first, 0)
    shifted = [padded[start + k : start + k + len(values)] for k in range(last - first + 1)]
    if last < 0:
        shifted = [padded[k : k + len(values)] for k in range(last - first + 1)]
    result: np.ndarray = how(np.stack(shifted), axis=0)
    return result
