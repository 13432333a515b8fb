"""From what the network hears to notes: candidates weighed, ends found, loudness told."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from midigen.errors import BadRequest
from midigen.instruments import INSTRUMENTS
from midigen.profiles.onsets import Curves
from midigen.transcription.activations import FRAME_SECONDS, LOWEST_PITCH, Activations
from midigen.transcription.candidates import COLUMNS, Candidates, candidates_of
from midigen.transcription.partials import Partials

WEIGHTS = Path(__file__).parent / "weights.json"
KINDS = ("piano", "guitar", "bass")
LATE_SECONDS = 0.009  # by which the network says that a note begins
SOUNDING = 0.25  # activation under which a note has ended ...
PATIENCE = 8  # ... if it stays there for so many frames: 0.1 s
SHORTEST_FRAMES, LONGEST_FRAMES = 4, 2_600  # 30 s
TOGETHER_SECONDS = 0.05  # onsets of one pitch that are nearer are one
LOUD_VELOCITY, SOFTEST = 100, 20
LEVEL_FRAMES = 8


@dataclass(frozen=True, eq=False)
class Ear:
    """What weighs candidates for one instrument: a small network of one hidden layer, learned from rendered songs.

    ``hidden`` is ``(columns, units)``, ``shift`` ``(units,)``, ``out`` ``(units,)``; columns are first brought to mean
    0 and variance 1 by ``mean`` and ``scale``. A candidate is a note where its probability is over ``threshold``.
    ``one_at_a_time``: the instrument plays no chords.
    """

    mean: np.ndarray
    scale: np.ndarray
    hidden: np.ndarray
    shift: np.ndarray
    out: np.ndarray
    bias: float
    threshold: float
    one_at_a_time: bool

    def probability(self, table: np.ndarray) -> np.ndarray:
        """How likely each row of a :class:`Candidates` table is a note; ``(n,)``."""
        units = np.maximum((table - self.mean) / self.scale @ self.hidden + self.shift, 0)
        chance: np.ndarray = 1 / (1 + np.exp(-np.clip(units @ self.out + self.bias, -40, 40)))
        return chance


@lru_cache(maxsize=len(KINDS))
def ear_for(kind: str) -> Ear:
    """The ear for an instrument. Raises :class:`BadRequest` for one that cannot be transcribed."""
    if kind not in KINDS:
        raise BadRequest(f"instrument {kind!r}: notes are heard for {', '.join(KINDS)}")
    data = json.loads(WEIGHTS.read_text(encoding="utf-8"))
    assert tuple(data["columns"]) == COLUMNS, "weights of other columns: fit them again"
    values = data["ears"][kind]
    arrays = {key: np.array(values[key]) for key in ("mean", "scale", "hidden", "shift", "out")}
    return Ear(**arrays, bias=values["bias"], threshold=values["threshold"], one_at_a_time=kind == "bass")


def find_notes(heard: Activations, curves: Curves, partials: Partials, kind: str) -> np.ndarray:
    """The notes of an instrument of ``kind``: float64 ``(n, 4)``: onset and end in seconds, MIDI pitch, velocity.

    In order of onset, then pitch. Pitches are those of the instrument table.
    """
    row, ear = INSTRUMENTS[kind], ear_for(kind)
    found = candidates_of(heard, curves, partials, row.lowest, row.highest)
    chance = ear.probability(found.table)
    kept = chosen(found, chance, ear)
    return _lasting(heard, curves, found.frames[kept], found.pitches[kept], ear.one_at_a_time)


def chosen(found: Candidates, chance: np.ndarray, ear: Ear) -> np.ndarray:
    """Which candidates are notes, int64 ``(n,)``: the likely ones, each the likeliest of those it would be one with."""
    near = round(TOGETHER_SECONDS / FRAME_SECONDS)
    kept: list[int] = []
    for place in np.flatnonzero(chance >= ear.threshold).tolist():
        rivals = []
        for other in reversed(kept):
            if found.frames[place] - found.frames[other] > near:
                break
            if ear.one_at_a_time or found.pitches[other] == found.pitches[place]:
                rivals.append(other)
        if all(chance[place] > chance[other] for other in rivals):
            kept = [one for one in kept if one not in rivals]
            kept.append(place)
    return np.array(kept, dtype=np.int64)


def _lasting(
    heard: Activations, curves: Curves, frames: np.ndarray, pitches: np.ndarray, one_at_a_time: bool
) -> np.ndarray:
    """Notes that begin at ``frames``, with their ends and velocities."""
    order = np.lexsort((pitches, frames))
    frames, pitches = frames[order], pitches[order]
    again = _next_onsets(frames, pitches, one_at_a_time)
    loud = np.maximum(curves.level_db, -120.0)
    usual = float(np.quantile(loud, 0.95)) if len(loud) else 0.0
    notes = np.zeros((len(frames), 4))
    for at, (frame, pitch) in enumerate(zip(frames.tolist(), pitches.tolist(), strict=True)):
        row = pitch - LOWEST_PITCH
        end = min(_end(heard.notes[frame + 1 : frame + LONGEST_FRAMES, row] >= SOUNDING, frame), int(again[at]))
        first = round(frame * FRAME_SECONDS / curves.seconds)
        level = float(loud[first : first + LEVEL_FRAMES].max(initial=-120.0)) - usual
        own = float(heard.notes[frame + 1 : frame + 6, row].max(initial=0.0))
        # the law of General MIDI: 40 dB for a tenth of the velocity
        velocity = LOUD_VELOCITY * 10 ** (level / 40) * (0.6 + 0.4 * own)
        notes[at] = (
            max(frame * FRAME_SECONDS - LATE_SECONDS, 0.0),
            max(end, frame + 1) * FRAME_SECONDS,
            pitch,
            np.clip(round(velocity), SOFTEST, 127),
        )
    return notes


def _next_onsets(frames: np.ndarray, pitches: np.ndarray, one_at_a_time: bool) -> np.ndarray:
    """The frame at which the same pitch begins again after each note, or any where there is one at a time."""
    again = np.full(len(frames), np.iinfo(np.int64).max)
    for pitch in [None] if one_at_a_time else np.unique(pitches).tolist():
        mine = np.arange(len(frames)) if pitch is None else np.flatnonzero(pitches == pitch)
        again[mine[:-1]] = frames[mine[1:]]
    return again


def _end(sounding: np.ndarray, frame: int) -> int:
    """The frame at which a note that begins at ``frame`` has ended; ``sounding`` is what comes after that."""
    there = np.flatnonzero(sounding)
    gaps = np.flatnonzero(np.diff(np.concatenate([[-1], there])) > PATIENCE)
    there = there[: gaps[0]] if len(gaps) else there
    return frame + max(int(there[-1]) + 1 if len(there) else 0, SHORTEST_FRAMES)
