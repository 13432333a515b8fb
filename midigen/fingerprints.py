"""Hashes of melody, free of transposition: they find twins among songs."""

from __future__ import annotations

import numpy as np

from midigen.grid import Grid

RUN = 12  # steps in one hashed run
DISTINCT = 6  # a run with fewer different steps (a drone, a scale exercise) says nothing about a song
SKETCH = 64  # hashes kept a song
_ODD = np.uint64(0x9E3779B97F4A7C15)  # 2**64 over the golden ratio: spreads consecutive values (Knuth, TAOCP 6.4)


def top_line(notes: np.ndarray, bar_starts: np.ndarray) -> np.ndarray:
    """The highest note of each onset of a lane: ``(n, 2)`` absolute position, pitch."""
    onset = bar_starts[notes[:, 0]] + notes[:, 1]
    last = np.concatenate([onset[1:] != onset[:-1], [True]])[: len(onset)]  # pitches ascend inside an onset
    return np.stack([onset[last], notes[last, 3]], axis=1)


def run_hashes(line: np.ndarray) -> np.ndarray:
    """Hashes (uint64) of every run of :data:`RUN` steps (pitch step, time step) of a line ``(n, 2)``."""
    steps = np.diff(line, axis=0)
    if len(steps) < RUN:
        return np.zeros(0, dtype=np.uint64)
    code = (np.minimum(steps[:, 0], 96) * 256 + steps[:, 1] + 128).astype(np.uint64)
    runs = np.lib.stride_tricks.sliding_window_view(code, RUN)
    ordered = np.sort(runs, axis=1)
    runs = runs[(np.diff(ordered.astype(np.int64), axis=1) != 0).sum(axis=1) + 1 >= DISTINCT]
    value = np.zeros(len(runs), dtype=np.uint64)
    with np.errstate(over="ignore"):
        for column in range(RUN):
            value = (value ^ runs[:, column]) * _ODD
            value ^= value >> np.uint64(29)
    return value


def sketch(grid: Grid) -> np.ndarray:
    """The :data:`SKETCH` smallest run hashes of all melodic lanes (bottom-k sketch, Broder 1997), ascending uint64."""
    starts = grid.bar_starts
    found = [
        run_hashes(top_line(lane.notes, starts)) for lane in grid.lanes if lane.kind != "drums" and len(lane.notes)
    ]
    return np.unique(np.concatenate(found))[:SKETCH] if found else np.zeros(0, dtype=np.uint64)


def find_twins(sketches: list[np.ndarray], alike: float = 0.3) -> list[tuple[int, int]]:
    """Pairs ``(later, earlier)`` of sketches with at least ``alike`` of the smaller one in common."""
    holders: dict[int, list[int]] = {}
    pairs = []
    for number, values in enumerate(sketches):
        common: dict[int, int] = {}
        for value in values.tolist():
            for other in holders.get(value, ()):
                common[other] = common.get(other, 0) + 1
            holders.setdefault(value, []).append(number)
        for other, count in common.items():
            if count >= 8 and count >= alike * min(len(values), len(sketches[other])):
                pairs.append((number, other))
    return pairs


def find_copies(contents: list[bytes]) -> list[tuple[int, int]]:
    """Pairs ``(later, first)`` of equal contents: twins among songs too short or too plain to have run hashes."""
    first: dict[bytes, int] = {}
    return [(n, first[c]) for n, c in enumerate(contents) if first.setdefault(c, n) != n]
