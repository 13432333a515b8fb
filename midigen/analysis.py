"""What music on the grid says: key, chords, form. Used to label training songs and to read a musician's own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from midigen.grid import METRES, POSITIONS_PER_QUARTER, Grid
from midigen.score import KEY_NAMES

# Krumhansl and Kessler (1982), probe-tone profiles.
_MAJOR = np.array([6.35, 2.23, 3.48, 2.33, 4.38, 4.09, 2.52, 5.19, 2.39, 3.66, 2.29, 2.88])
_MINOR = np.array([6.33, 2.68, 3.52, 5.38, 2.60, 3.53, 2.54, 4.75, 3.98, 2.69, 3.34, 3.17])


def _rotations(profile: np.ndarray) -> np.ndarray:
    centred = (profile - profile.mean()) / profile.std()
    return np.stack([np.roll(centred, tonic) for tonic in range(12)])


_KEYS = np.concatenate([_rotations(_MAJOR), _rotations(_MINOR)])


def estimate_key(chroma: np.ndarray) -> tuple[int, str]:
    """Tonic (0..11) and mode of a pitch-class profile ``(12,)`` (durations, any unit); C major where it is flat.

    Correlation with the probe-tone profiles of Krumhansl and Kessler (1982): of seven well-known ways it finds the
    signatures of most songs (``benchmarks.keys``).
    """
    spread = float(np.std(chroma))
    if spread == 0:
        return 0, "major"
    best = int(np.argmax(_KEYS @ ((chroma - np.mean(chroma)) / spread)))
    return best % 12, "major" if best < 12 else "minor"


def correlate_keys(chroma: np.ndarray) -> np.ndarray:
    """How well pitch-class profiles ``(..., 12)`` fit each key: correlations ``(..., 24)``, -1 to 1, with the major
    keys from C and then the minor ones; 0 for a profile that is flat. What :func:`estimate_key` chooses by."""
    chroma = np.asarray(chroma, dtype=float)
    spread = chroma.std(axis=-1, keepdims=True)
    centred = (chroma - chroma.mean(axis=-1, keepdims=True)) / np.where(spread > 0, spread, 1)
    return np.asarray(centred @ _KEYS.T / 12)


HOME = {"major": 0, "minor": 9}  # the tonics that a model may learn all music in: no accidentals in either


def home_shift(tonic: int, mode: str) -> int:
    """Semitones (-5..6) from a key to :data:`HOME`: to C major or A minor, the nearer way."""
    return (HOME[mode] - tonic + 5) % 12 - 5


# Quality: chord tones above the root, and how much rarer than a plain triad it must be heard to be.
QUALITIES: dict[str, tuple[tuple[int, ...], float]] = {
    "": ((0, 4, 7), 0.0),
    "m": ((0, 3, 7), 0.0),
    "7": ((0, 4, 7, 10), 0.03),
    "maj7": ((0, 4, 7, 11), 0.04),
    "m7": ((0, 3, 7, 10), 0.03),
    "dim": ((0, 3, 6), 0.06),
    "dim7": ((0, 3, 6, 9), 0.10),
    "m7b5": ((0, 3, 6, 10), 0.08),
    "aug": ((0, 4, 8), 0.10),
    "sus4": ((0, 5, 7), 0.07),
    "sus2": ((0, 2, 7), 0.09),
    "6": ((0, 4, 7, 9), 0.12),
    "m6": ((0, 3, 7, 9), 0.13),
    "5": ((0, 7), 0.06),
}
QUALITY_NAMES = tuple(QUALITIES)
NO_CHORD = -1


@dataclass(frozen=True, slots=True)
class Chord:
    """A chord from ``position`` in ``bar`` on: ``root`` 0..11 (or :data:`NO_CHORD`), ``quality``, ``bass`` 0..11."""

    bar: int
    position: int
    root: int
    quality: str
    bass: int

    def __str__(self) -> str:
        return self.spelled(KEY_NAMES["major"])

    def spelled(self, names: Sequence[str]) -> str:
        """The symbol with these names of the twelve notes from C (see :func:`note_names`)."""
        if self.root == NO_CHORD:
            return "N.C."
        return names[self.root] + self.quality + (f"/{names[self.bass]}" if self.bass != self.root else "")


SHARPS = ("C", "C#", "D", "D#", "E", "F", "F#", "G", "G#", "A", "A#", "B")
FLATS = ("C", "Db", "D", "Eb", "E", "F", "Gb", "G", "Ab", "A", "Bb", "B")


def note_names(tonic: int, mode: str) -> Sequence[str]:
    """The names of the twelve notes as music in a key spells them: with sharps or with flats as its signature has."""
    relative = (tonic + (3 if mode == "minor" else 0)) % 12
    if relative == 0:
        return KEY_NAMES["major"]
    return SHARPS if relative in (2, 4, 6, 7, 9, 11) else FLATS


def _templates() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    tones = np.zeros((len(QUALITIES), 12, 12))
    for q, (intervals, _) in enumerate(QUALITIES.values()):
        for root in range(12):
            tones[q, root, [(root + i) % 12 for i in intervals]] = 1
    roots = np.tile(np.eye(12), (len(QUALITIES), 1))
    rarity = np.repeat([cost for _, cost in QUALITIES.values()], 12)
    return tones.reshape(-1, 12), roots, rarity


_TONES, _ROOTS, _RARITY = _templates()


def beat_length(metre: int) -> int:
    """Positions from one beat to the next: a dotted quarter in 6/8, 9/8 and 12/8, else a quarter."""
    return 18 if METRES[metre] in ("6/8", "9/8", "12/8") else POSITIONS_PER_QUARTER


def beat_chroma(grid: Grid) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Sounding time by pitch class for each beat.

    Returns ``(chroma (beats, 12), bass (beats, 12), bar of each beat, position of each beat in its bar)``; ``bass``
    holds the bass lane, or the notes below C3 where it rests. Units: positions.
    """
    starts = grid.bar_starts
    edges, bars, inside = [], [], []
    for bar, (start, length, metre) in enumerate(zip(starts, grid.bar_lengths, grid.metres, strict=False)):
        step = beat_length(int(metre)) if metre >= 0 else POSITIONS_PER_QUARTER
        beats = np.arange(0, length, step)
        edges.append(start + beats)
        bars.append(np.full(len(beats), bar))
        inside.append(beats)
    edge = np.concatenate([*edges, starts[-1:]])
    chroma, bass = np.zeros((len(edge) - 1, 12)), np.zeros((len(edge) - 1, 12))
    low = np.zeros_like(bass)
    for lane in grid.lanes:
        if lane.kind == "drums" or not len(lane.notes):
            continue
        onset = starts[lane.notes[:, 0]] + lane.notes[:, 1]
        end = np.minimum(onset + lane.notes[:, 2], edge[-1])
        first = np.searchsorted(edge, onset, side="right") - 1
        last = np.searchsorted(edge, end, side="left") - 1
        count = np.maximum(last - first + 1, 1)
        note = np.repeat(np.arange(len(onset)), count)
        beat = np.minimum(
            first[note] + np.arange(len(note)) - np.repeat(np.cumsum(count) - count, count), len(edge) - 2
        )
        held = np.maximum(np.minimum(end[note], edge[beat + 1]) - np.maximum(onset[note], edge[beat]), 0)
        pitch = lane.notes[:, 3][note]
        np.add.at(chroma, (beat, pitch % 12), held)
        if lane.kind == "bass":
            np.add.at(bass, (beat, pitch % 12), held)
        else:
            np.add.at(low, (beat, pitch % 12), held * (pitch < 48))
    bass = np.where(bass.sum(axis=1, keepdims=True) > 0, bass, low)
    return chroma, bass, np.concatenate(bars), np.concatenate(inside)


def estimate_chords(grid: Grid) -> list[Chord]:
    """Chord symbols, restated at every bar and where they change (on beats only).

    Each beat's sounding pitch classes are matched with the templates of :data:`QUALITIES`, the bass note speaking for
    the root, and the best path is found with a price on every change that is lowest at bar lines (Viterbi).
    """
    chroma, bass, bars, inside = beat_chroma(grid)
    total = chroma.sum(axis=1, keepdims=True)
    # Look a little beyond the beat: a lone melody note between two chords belongs to its neighbours' harmony.
    share = chroma / np.maximum(total, 1)
    weight = np.minimum(total / POSITIONS_PER_QUARTER, 2.0)[:, 0] / 2 + 0.25 * (total[:, 0] > 0)
    bass_share = bass / np.maximum(bass.sum(axis=1, keepdims=True), 1)
    inner = share @ _TONES.T
    absent = (share < 0.04).astype(float) @ _TONES.T
    score = 2 * inner - 1 - 0.12 * absent - _RARITY + 0.3 * bass_share @ _ROOTS.T + 0.08 * bass_share @ _TONES.T
    score = score * weight[:, None]
    half = np.array([grid.bar_lengths[b] // 2 for b in bars])
    price = np.where(inside == 0, 0.22, np.where(inside == half, 0.38, 0.75))
    state = _viterbi(score, price)
    chords: list[Chord] = []
    begin = np.concatenate([[True], (np.diff(state) != 0) | (np.diff(bars) != 0)])
    segments = np.flatnonzero(begin)
    for k, first in enumerate(segments):
        last = segments[k + 1] if k + 1 < len(segments) else len(state)
        bar, position = int(bars[first]), int(inside[first])
        if total[first:last].sum() == 0:
            chords.append(Chord(bar, position, NO_CHORD, "", NO_CHORD))
            continue
        quality, root = divmod(int(state[first]), 12)
        low = bass[first:last].sum(axis=0)
        lowest = int(np.argmax(low))
        is_tone = _TONES[state[first], lowest] > 0
        # A slash chord needs a bass that stays on a chord tone, or one that plays nothing but the foreign note.
        slash = low.sum() > 0 and lowest != root and low[lowest] > (0.6 if is_tone else 0.9) * low.sum()
        chords.append(Chord(bar, position, root, QUALITY_NAMES[quality], lowest if slash else root))
    return chords


def _viterbi(score: np.ndarray, price: np.ndarray) -> np.ndarray:
    """The best path through ``score`` (steps, states) when entering step t by a change costs ``price[t]``."""
    steps, states = score.shape
    back = np.zeros((steps, states), dtype=np.int16)
    best = score[0].copy()
    stay = np.arange(states)
    for t in range(1, steps):
        leader = int(np.argmax(best))
        change = best[leader] - price[t]
        back[t] = np.where(change > best, leader, stay)
        best = np.maximum(best, change) + score[t]
    path = np.zeros(steps, dtype=np.int64)
    path[-1] = int(np.argmax(best))
    for t in range(steps - 1, 0, -1):
        path[t - 1] = back[t, path[t]]
    return path


# Distances, in bars, at which a bar may follow an earlier one: those that real songs use most.
FORM_DISTANCES = (1, 2, 3, 4, 6, 8, 12, 16, 20, 24, 28, 32, 40, 48)
SAME, VARIED = 0.9, 0.6  # similarity from which a bar repeats, or varies, an earlier one


def bar_similarity(grid: Grid) -> np.ndarray:
    """``(bars, len(FORM_DISTANCES))`` float: how alike each bar is to the bar that far before it; 0 where none is.

    Notes in common over notes in either, by part, position and pitch; drums are left out, for their bars are alike
    where the music is not. Two bars of silence are alike.
    """
    sets: list[set[int]] = [set() for _ in range(grid.bars)]
    for number, lane in enumerate(grid.lanes):
        if lane.kind != "drums":
            for bar, position, _, pitch, _ in lane.notes.tolist():
                sets[bar].add((number * 128 + position) * 128 + pitch)
    out = np.zeros((grid.bars, len(FORM_DISTANCES)), dtype=np.float32)
    for bar in range(grid.bars):
        for k, distance in enumerate(FORM_DISTANCES):
            if distance <= bar and grid.bar_lengths[bar] == grid.bar_lengths[bar - distance]:
                mine, other = sets[bar], sets[bar - distance]
                union = len(mine | other)
                out[bar, k] = len(mine & other) / union if union else 1.0
    return out
