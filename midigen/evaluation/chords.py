"""Whether music keeps to chords: chord tones, the bass where chords change, and whether they are heard again."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from midigen.analysis import QUALITIES, Chord, beat_chroma, estimate_chords
from midigen.grid import Grid


def tones_of(chord: Chord) -> list[int]:
    """The pitch classes of a chord, its bass among them."""
    return sorted({(chord.root + step) % 12 for step in QUALITIES[chord.quality][0]} | {chord.bass})


def notes_of(grid: Grid, kind: str) -> np.ndarray:
    """The notes of all lanes of ``kind``, ``(n, 5)`` as in :class:`midigen.grid.Lane`."""
    return np.concatenate([np.zeros((0, 5), dtype=np.int32), *(x.notes for x in grid.lanes if x.kind == kind)])


def chord_tone_share(grid: Grid, chords: Sequence[Chord]) -> float:
    """The share of sounding time that lies on tones of the chord in force; where there is none it does not count."""
    chroma, _, bars, inside = beat_chroma(grid)
    places = [(chord.bar, chord.position) for chord in chords]
    heard, sounding = 0.0, 0.0
    at = -1
    for beat, place in enumerate(zip(bars.tolist(), inside.tolist(), strict=True)):
        while at + 1 < len(places) and places[at + 1] <= place:
            at += 1
        if at >= 0 and chords[at].root >= 0:
            heard += float(chroma[beat, tones_of(chords[at])].sum())
            sounding += float(chroma[beat].sum())
    return heard / sounding if sounding else float("nan")


def bass_at_changes(grid: Grid, chords: Sequence[Chord]) -> tuple[float, float]:
    """Of the changes of chord: the share at which the bass begins a note, and the share of those notes (the lowest)
    that are the chord's root, its fifth or its written bass."""
    lowest: dict[tuple[int, int], int] = {}
    for bar, position, _, pitch, _ in notes_of(grid, "bass").tolist():
        lowest[bar, position] = min(pitch, lowest.get((bar, position), pitch))
    changes = [
        after
        for before, after in pairwise([None, *chords])
        if after is not None
        and after.root >= 0
        and (before is None or (before.root, before.quality, before.bass) != (after.root, after.quality, after.bass))
    ]
    begun = [(chord, lowest[chord.bar, chord.position]) for chord in changes if (chord.bar, chord.position) in lowest]
    firm = [pitch % 12 in {chord.root, (chord.root + 7) % 12, chord.bass} for chord, pitch in begun]
    return len(begun) / max(len(changes), 1), float(np.mean(firm)) if firm else float("nan")


def recovered(grid: Grid, chords: Sequence[Chord]) -> tuple[float, float, float]:
    """The share of bars whose first chord is the one that :func:`midigen.analysis.estimate_chords` hears there: by its
    root and third (where it has one), by its triad, and by its root and quality."""
    heard = {chord.bar: chord for chord in reversed(estimate_chords(grid))}
    written = {chord.bar: chord for chord in reversed(chords)}
    thirds, triads, qualities = [], [], []
    for bar, chord in written.items():
        if chord.root >= 0:
            found = heard[bar]
            same = found.root == chord.root
            tones, other = QUALITIES[chord.quality][0], QUALITIES[found.quality][0] if found.root >= 0 else ()
            third = set(tones) & {3, 4}
            thirds.append(same and (not third or third <= set(other)))
            triads.append(same and tones[:3] == other[:3])
            qualities.append(same and found.quality == chord.quality)
    return float(np.mean(thirds)), float(np.mean(triads)), float(np.mean(qualities))
