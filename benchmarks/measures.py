"""What several benchmarks measure music with: bars straight from a score, tonal distance, chords, form, endings.

Composed pieces are measured on bars that begin where the score says (:func:`straight_grid`); a real song's empty bars
and shifted bar lines are what :func:`midigen.grid.to_grid` is for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise

import numpy as np

from midigen.analysis import QUALITIES, Chord, bar_similarity, beat_chroma, estimate_chords
from midigen.corpus import find_files
from midigen.errors import MidigenError
from midigen.grid import METRES, POSITIONS_PER_QUARTER, Grid, Lane, bar_positions, quantise
from midigen.midi import read_midi
from midigen.score import Score, sustained
from midigen.tokenizers.spelling import read_form, spell_form
from midigen.tokenizers.vocabulary import Vocabulary

KINDS = ("piano", "guitar", "bass")
PERMUTATIONS = 20
DRAWS = 1000  # of a bootstrap
FEWEST_ONSETS = 2  # positions at which a part that closes a piece may still begin notes in its last bar
TOLERANCE = POSITIONS_PER_QUARTER // 4  # positions that a note held "to the end" may fall short of it: a sixteenth

# From pitch classes to the six dimensions of tonal space: circles of fifths, minor thirds and major thirds, with the
# radii 1, 1 and 0.5 (Harte, Sandler and Gasser 2006).
_ANGLES = np.pi * np.array([7 / 6, 3 / 2, 2 / 3])[:, None] * np.arange(12)
TONAL_SPACE = (
    np.stack([turn(angle) for angle in _ANGLES for turn in (np.sin, np.cos)]) * np.repeat([1, 1, 0.5], 2)[:, None]
)


def read_scores(sources: Sequence[str]) -> Iterator[tuple[str, Score]]:
    """The MIDI files in folders and archives that can be read, each with its name."""
    for _, name, read in find_files(sources):
        try:
            yield name, read_midi(read(), name)
        except MidigenError:
            continue


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


def excerpt(grid: Grid, first: int, bars: int) -> Grid:
    """``bars`` bars of ``grid`` from ``first`` on, with its parts as they are."""
    lanes = []
    for lane in grid.lanes:
        inside = (lane.notes[:, 0] >= first) & (lane.notes[:, 0] < first + bars)
        notes = lane.notes[inside] - np.array([first, 0, 0, 0, 0], dtype=np.int32)
        lanes.append(Lane(lane.kind, lane.slot, lane.program, notes))
    window = slice(first, first + bars)
    return Grid(grid.bar_lengths[window], grid.metres[window], grid.tempos[window], tuple(lanes), grid.alignment)


def notes_of(grid: Grid, kind: str) -> np.ndarray:
    """The notes of all lanes of ``kind``, ``(n, 5)`` as in :class:`midigen.grid.Lane`."""
    return np.concatenate([np.zeros((0, 5), dtype=np.int32), *(x.notes for x in grid.lanes if x.kind == kind)])


def together(grid: Grid, bars: int, step: int = 4) -> tuple[int, int]:
    """Where piano, guitar and bass play together most: the first bar of ``bars``, a multiple of ``step``, and in how
    many of them all three begin a note. A grid that is shorter gives ``(0, 0)``."""
    if grid.bars < bars:
        return 0, 0
    plays = [np.bincount(notes_of(grid, kind)[:, 0], minlength=grid.bars)[: grid.bars] > 0 for kind in KINDS]
    counts = np.convolve(np.all(plays, axis=0), np.ones(bars, dtype=int), mode="valid")[::step]
    return step * int(np.argmax(counts)), int(counts.max())


def tonal_gain(grid: Grid, one: str, other: str, seed: int = 0) -> float:
    """How much nearer to each other two parts are in tonal space, bar by bar, than with one part's bars permuted.

    1 - TD / (mean TD of :data:`PERMUTATIONS` permutations), where TD is the mean over all bars of the Euclidean
    distance between the tonal centroids of the two; a bar's centroid is that of the time its notes sound in it, and
    the origin where the part begins none. 0: the parts ignore each other. NaN where no permutation is apart.
    """
    centroids = []
    for kind in (one, other):
        notes, chroma = notes_of(grid, kind), np.zeros((grid.bars, 12))
        sounding = np.minimum(notes[:, 2], grid.bar_lengths[notes[:, 0]] - notes[:, 1])
        np.add.at(chroma, (notes[:, 0], notes[:, 3] % 12), sounding)
        centroids.append(chroma @ TONAL_SPACE.T / np.maximum(chroma.sum(axis=1, keepdims=True), 1))
    here, there = centroids
    random = np.random.default_rng(seed)
    permuted = [np.linalg.norm(here - there[random.permutation(grid.bars)], axis=1).mean() for _ in range(PERMUTATIONS)]
    apart = float(np.mean(permuted))
    return 1 - float(np.linalg.norm(here - there, axis=1).mean()) / apart if apart else float("nan")


def tones_of(chord: Chord) -> list[int]:
    """The pitch classes of a chord, its bass among them."""
    return sorted({(chord.root + step) % 12 for step in QUALITIES[chord.quality][0]} | {chord.bass})


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


def bar_sets(grid: Grid) -> list[set[tuple[int, int, int]]]:
    """Part, position and pitch of the notes of each bar, drums left out."""
    sets: list[set[tuple[int, int, int]]] = [set() for _ in range(grid.bars)]
    for number, lane in enumerate(grid.lanes):
        if lane.kind != "drums":
            for bar, position, _, pitch, _ in lane.notes.tolist():
                sets[bar].add((number, position, pitch))
    return sets


def likeness_of(one: set[tuple[int, int, int]], other: set[tuple[int, int, int]]) -> float:
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


def interval(
    groups: Sequence[Sequence[float]], statistic: Callable[[np.ndarray], float] = np.mean, seed: int = 0
) -> tuple[float, float, float]:
    """A statistic of all values, and the bounds of its 95 % bootstrap interval; what is drawn again are the groups
    (pieces), as the values within one are no strangers to each other. NaN where there is no value."""
    arrays = [np.asarray(group, dtype=float) for group in groups if len(group)]
    if not arrays:
        return float("nan"), float("nan"), float("nan")
    random = np.random.default_rng(seed)
    drawn = [
        float(statistic(np.concatenate([arrays[k] for k in random.integers(0, len(arrays), len(arrays))])))
        for _ in range(DRAWS)
    ]
    low, high = np.percentile(drawn, [2.5, 97.5])
    return float(statistic(np.concatenate(arrays))), float(low), float(high)
