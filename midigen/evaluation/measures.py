"""What is measured on the notes of a piece, real or composed, and how. One function a measure, one number a piece.

Unless a measure says otherwise it looks at an :class:`Excerpt`: the 32 bars in which piano, guitar and bass play
together most, the parts of one instrument merged, on the grid of twelve positions a quarter. What is said of a part,
or of two, is said of the bars in which it begins notes, or both do. ``docs/evaluation.md`` has the definitions with
their sources.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from midigen.grid import POSITIONS_PER_QUARTER, Grid
from midigen.score import Score

KINDS = ("piano", "guitar", "bass")
PAIRS = tuple(combinations(KINDS, 2))
BARS = 32
LEAST_TOGETHER = 16  # bars of an excerpt in which all three begin notes
SIXTEENTH = POSITIONS_PER_QUARTER // 4  # in positions
PERMUTATIONS = 20
LONGEST_DISTANCE = 32  # bars

BAR, POSITION, DURATION, PITCH, VELOCITY = range(5)  # columns of a lane's notes

MAJOR_SCALE = (0, 2, 4, 5, 7, 9, 11)
SCALES = np.array(
    [np.roll(np.isin(np.arange(12), MAJOR_SCALE), root) for root in range(12)]
)  # natural minor is among them

# From pitch classes to the six dimensions of tonal space: circles of fifths, minor thirds and major thirds, with the
# radii 1, 1 and 0.5 (Harte, Sandler and Gasser 2006).
_ANGLES = np.pi * np.array([7 / 6, 3 / 2, 2 / 3])[:, None] * np.arange(12)
TONAL_SPACE = (
    np.stack([turn(angle) for angle in _ANGLES for turn in (np.sin, np.cos)]) * np.repeat([1, 1, 0.5], 2)[:, None]
)

OPEN_STRINGS = (64, 59, 55, 50, 45, 40)  # of a guitar in standard tuning, MIDI pitches, the highest first
LAST_FRET, WIDEST_SPAN = 20, 4  # frets from the lowest to the highest that is pressed, both counted: 5


@dataclass(frozen=True)
class Excerpt:
    """``bars`` bars of a piece; ``parts`` has the notes of each of :data:`KINDS`, ``(n, 5)`` int32 with the columns of
    :class:`midigen.grid.Lane`, bars counted from 0, in order; ``lengths`` the bars' positions."""

    bars: int
    parts: dict[str, np.ndarray]
    lengths: np.ndarray

    @property
    def every(self) -> np.ndarray:
        """The notes of all parts."""
        return np.concatenate(list(self.parts.values()))


def excerpt(grid: Grid, bars: int = BARS) -> Excerpt | None:
    """The first ``bars`` bars of ``grid`` in which as many as can be have notes of all of :data:`KINDS`; ``None``
    where the piece is shorter, or fewer than :data:`LEAST_TOGETHER` of them do."""
    begun = [[lane.notes[:, BAR] for lane in grid.lanes if lane.kind == kind] for kind in KINDS]
    first, count = together(begun, grid.bars, bars)
    return cut(grid, first, bars) if count >= min(LEAST_TOGETHER, bars) else None


def together(begun: Sequence[Sequence[np.ndarray]], total: int, bars: int, step: int = 1) -> tuple[int, int]:
    """Where some parts play together most: the first of ``bars`` bars of ``total``, a multiple of ``step``, and in how
    many of those all begin notes. ``begun`` has, of each part, arrays of the bars that notes begin in. A piece too
    short gives ``(0, 0)``."""
    if total < bars:
        return 0, 0
    every = [np.concatenate([np.zeros(0, dtype=np.int64), *arrays]) for arrays in begun]
    plays = [np.bincount(numbers, minlength=total)[:total] > 0 for numbers in every]
    counts = np.convolve(np.all(plays, axis=0), np.ones(bars, dtype=int), mode="valid")[::step]
    return step * int(np.argmax(counts)), int(counts.max())


def cut(grid: Grid, first: int, bars: int) -> Excerpt:
    """``bars`` bars of ``grid`` from ``first`` (from 0) on."""
    parts = {}
    for kind in KINDS:
        notes = np.concatenate(
            [np.zeros((0, 5), dtype=np.int32), *(lane.notes for lane in grid.lanes if lane.kind == kind)]
        )
        notes = notes[(notes[:, BAR] >= first) & (notes[:, BAR] < first + bars)]
        notes = notes - np.array([first, 0, 0, 0, 0], dtype=np.int32)
        parts[kind] = notes[np.lexsort((notes[:, PITCH], notes[:, POSITION], notes[:, BAR]))]
    return Excerpt(bars, parts, np.asarray(grid.bar_lengths[first : first + bars]))


def where_all_play(piece: Excerpt, *kinds: str) -> Excerpt:
    """The bars of ``piece`` in which all of ``kinds`` begin notes, as an excerpt of these parts."""
    plays = [np.bincount(piece.parts[kind][:, BAR], minlength=piece.bars) > 0 for kind in kinds]
    kept = np.flatnonzero(np.all(plays, axis=0))
    parts = {}
    for kind in kinds:
        notes = piece.parts[kind][np.isin(piece.parts[kind][:, BAR], kept)].copy()
        notes[:, BAR] = np.searchsorted(kept, notes[:, BAR])
        parts[kind] = notes
    return Excerpt(len(kept), parts, piece.lengths[kept])


def pitch_class_entropy(piece: Excerpt) -> float:
    """Entropy of the pitch classes of all notes, bits, 0 to 3.58 (Wu and Yang 2020)."""
    notes = piece.every
    if not len(notes):
        return float("nan")
    share = np.bincount(notes[:, PITCH] % 12, minlength=12) / len(notes)
    return float(-(share[share > 0] * np.log2(share[share > 0])).sum())


def scale_consistency(piece: Excerpt) -> float:
    """The largest share of the notes that lies in one major or natural minor scale (Mogren 2016)."""
    notes = piece.every
    if not len(notes):
        return float("nan")
    share = np.bincount(notes[:, PITCH] % 12, minlength=12) / len(notes)
    return float((SCALES @ share).max())


def groove_consistency(piece: Excerpt) -> float:
    """One less the share of sixteenths at which adjacent bars differ in whether a note begins (Wu and Yang 2020)."""
    steps = -(-int(piece.lengths.max()) // SIXTEENTH)
    begins = np.zeros((piece.bars, steps), dtype=bool)
    notes = piece.every
    begins[notes[:, BAR], np.minimum(sixteenths(notes), steps - 1)] = True
    return float(1 - (begins[1:] != begins[:-1]).mean())


def repetition(piece: Excerpt) -> float:
    """The share of the bars of a part that hold notes whose onsets (sixteenths) and pitches are those of an earlier bar
    of it."""
    again = cells = 0
    for notes in piece.parts.values():
        seen: set[bytes] = set()
        places = np.stack([sixteenths(notes), notes[:, PITCH]], axis=1)
        for bar in range(piece.bars):
            cell = np.unique(places[notes[:, BAR] == bar], axis=0).tobytes()
            if cell:
                again, cells = again + (cell in seen), cells + 1
                seen.add(cell)
    return again / cells if cells else float("nan")


def sixteenths(notes: np.ndarray) -> np.ndarray:
    """The sixteenth of its bar nearest to the onset of each of ``notes``, int ``(n,)``."""
    return np.rint(notes[:, POSITION] / SIXTEENTH).astype(np.int64)


def velocity_steps(piece: Excerpt) -> float:
    """How many of the 32 steps of velocity are in use."""
    return float(len(np.unique(piece.every[:, VELOCITY])))


def distinct_velocities(score: Score, bars: int = BARS) -> float:
    """How many of MIDI's velocities piano, guitar and bass use in the ``bars`` bars in which they play together most;
    in all of a shorter piece."""
    starts = score.bar_starts()
    tables = [
        np.concatenate([np.zeros((0, 4), dtype=np.int64), *(p.note_table for p in score.parts if p.kind == kind)])
        for kind in KINDS
    ]
    inside = [np.searchsorted(starts, table[:, 0], side="right") - 1 for table in tables]
    first, _ = together([[numbers] for numbers in inside], len(starts), bars)
    heard = [t[(b >= first) & (b < first + bars), 3] for t, b in zip(tables, inside, strict=True)]
    return float(len(np.unique(np.concatenate(heard))))


def single_bass_onsets(piece: Excerpt) -> float:
    """The share of the bass's onsets that are one note alone."""
    notes = piece.parts["bass"]
    if not len(notes):
        return float("nan")
    _, counts = np.unique(notes[:, [BAR, POSITION]], axis=0, return_counts=True)
    return float((counts == 1).mean())


def playable_guitar(piece: Excerpt) -> float:
    """The share of the guitar's onsets of two notes or more that one hand can stop (:func:`can_be_stopped`)."""
    notes = piece.parts["guitar"]
    starts = np.flatnonzero(np.any(np.diff(notes[:, [BAR, POSITION]], axis=0, prepend=-1) != 0, axis=1))
    shapes = [np.unique(chord) for chord in np.split(notes[:, PITCH], starts[1:])] if len(notes) else []
    shapes = [shape for shape in shapes if len(shape) > 1]
    return float(np.mean([can_be_stopped(tuple(shape.tolist())) for shape in shapes])) if shapes else float("nan")


def can_be_stopped(pitches: tuple[int, ...]) -> bool:
    """Whether a guitar in standard tuning can sound ``pitches`` (ascending, distinct) at once: a string each, the frets
    pressed no more than :data:`WIDEST_SPAN` apart. Only the places of the fingers are looked at, not their number: a
    finger can bar several strings."""

    def place(left: tuple[int, ...], strings: tuple[int, ...], low: int, high: int) -> bool:
        if not left:
            return True
        for number, string in enumerate(strings):
            fret = left[-1] - string
            if fret == 0:
                fits = place(left[:-1], strings[number + 1 :], low, high)
            elif 0 < fret <= LAST_FRET and max(high, fret) - min(low, fret) <= WIDEST_SPAN:
                fits = place(left[:-1], strings[number + 1 :], min(low, fret), max(high, fret))
            else:
                continue
            if fits:
                return True
        return False

    return len(pitches) <= len(OPEN_STRINGS) and place(pitches, OPEN_STRINGS, LAST_FRET, 0)


def notes_a_bar(piece: Excerpt, kind: str) -> float:
    """Notes a bar of one part, in bars in which it begins any."""
    playing = where_all_play(piece, kind)
    return len(playing.parts[kind]) / playing.bars if playing.bars else float("nan")


def polyphony(piece: Excerpt, kind: str) -> float:
    """Notes an onset of one part."""
    notes = piece.parts[kind]
    return len(notes) / len(np.unique(notes[:, [BAR, POSITION]], axis=0)) if len(notes) else float("nan")


def compass(piece: Excerpt, kind: str) -> float:
    """Semitones from the lowest to the highest note of one part."""
    notes = piece.parts[kind]
    return float(np.ptp(notes[:, PITCH])) if len(notes) else float("nan")


def onset_jaccard(piece: Excerpt, one: str, other: str) -> float:
    """Sixteenths at which two parts both begin a note, over those at which either does, in the mean over the bars in
    which both play."""
    piece = where_all_play(piece, one, other)
    if not piece.bars:
        return float("nan")
    begins = np.zeros((2, piece.bars, 1 + int(piece.lengths.max()) // SIXTEENTH), dtype=bool)
    for part, kind in enumerate((one, other)):
        begins[part, piece.parts[kind][:, BAR], sixteenths(piece.parts[kind])] = True
    return float((begins.all(axis=0).sum(axis=1) / begins.any(axis=0).sum(axis=1)).mean())


def tonal_gain(piece: Excerpt, one: str, other: str, seed: int = 0) -> float:
    """How much nearer to each other two parts are in tonal space, bar by bar, than with one part's bars permuted.

    1 - TD / (mean TD of :data:`PERMUTATIONS` permutations), TD the mean over the bars of the Euclidean distance between
    the tonal centroids of the two (Harte, Sandler and Gasser 2006), each weighted by sounding time inside the bar; the
    origin where none is. Bars in which both begin notes. 0: the parts ignore each other. NaN where no permutation is
    apart.
    """
    piece = where_all_play(piece, one, other)
    if not piece.bars:
        return float("nan")
    centroids = []
    for kind in (one, other):
        notes, chroma = piece.parts[kind], np.zeros((piece.bars, 12))
        sounding = np.minimum(notes[:, DURATION], piece.lengths[notes[:, BAR]] - notes[:, POSITION])
        np.add.at(chroma, (notes[:, BAR], notes[:, PITCH] % 12), sounding)
        centroids.append(chroma @ TONAL_SPACE.T / np.maximum(chroma.sum(axis=1, keepdims=True), 1))
    here, there = centroids
    random = np.random.default_rng(seed)
    permuted = [
        np.linalg.norm(here - there[random.permutation(piece.bars)], axis=1).mean() for _ in range(PERMUTATIONS)
    ]
    apart = float(np.mean(permuted))
    return 1 - float(np.linalg.norm(here - there, axis=1).mean()) / apart if apart else float("nan")


def similarity_curve(grid: Grid) -> np.ndarray:
    """``(32,)``: how alike two bars are that lie 1, 2 ... 32 bars apart: the notes that they have in common over those
    in either, by part, position and pitch, in the mean over the piece; drums and pairs of silent bars are left out.
    NaN where the piece is too short. (Wu and Yang 2020 look at structure through bars' self-similarity; Lattner et al.
    2018.)"""
    bars: list[set[tuple[int, int, int]]] = [set() for _ in range(grid.bars)]
    for number, lane in enumerate(grid.lanes):
        if lane.kind in KINDS:
            for bar, position, _, pitch, _ in lane.notes.tolist():
                bars[bar].add((number, position, pitch))
    curve = np.full(LONGEST_DISTANCE, np.nan)
    for distance in range(1, LONGEST_DISTANCE + 1):
        found = [
            len(bars[b] & bars[b - distance]) / len(bars[b] | bars[b - distance])
            for b in range(distance, grid.bars)
            if bars[b] or bars[b - distance]
        ]
        if found:
            curve[distance - 1] = np.mean(found)
    return curve


Measure = Callable[[Excerpt], float]


def _of(function: Callable[..., float], *names: str) -> Measure:
    return lambda piece: function(piece, *names)


# Name to measure, in the order of the report.
MEASURES: dict[str, Measure] = {
    "pitch-class entropy, bits": pitch_class_entropy,
    "scale consistency": scale_consistency,
    "groove consistency": groove_consistency,
    "exact bar repetition": repetition,
    **{f"notes a bar: {kind}": _of(notes_a_bar, kind) for kind in KINDS},
    **{f"tonal-distance gain: {one} and {other}": _of(tonal_gain, one, other) for one, other in PAIRS},
    **{f"onset Jaccard: {one} and {other}": _of(onset_jaccard, one, other) for one, other in PAIRS},
    **{f"notes an onset: {kind}": _of(polyphony, kind) for kind in KINDS},
    **{f"compass, semitones: {kind}": _of(compass, kind) for kind in KINDS},
    "steps of velocity in use, of 32": velocity_steps,
    "bass onsets that are single": single_bass_onsets,
    "guitar shapes that can be stopped": playable_guitar,
}
