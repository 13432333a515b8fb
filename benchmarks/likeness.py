"""How like real songs the model's pieces are, for several ways of sampling: the numbers behind the defaults.

Composes pieces of 32 bars in 4/4 with piano, guitar and bass and prints medians of a few measures, one column a way of
sampling. Given a folder or archive of MIDI files (--songs), it measures 32 bars of each of those in the same way.

    python -m benchmarks.likeness --pieces 12 --sampling 1.0,0.98 0.9,0.95 --songs validation.tar.xz

Measures, as usual in the field: pitch-class entropy in bits; scale consistency, the largest share of notes in one major
or minor scale (Mogren 2016); groove consistency, one less the share of sixteenths where adjacent bars differ in having
an onset (Wu and Yang 2020); repetition, the share of bars of a part whose onsets and pitches are those of an earlier
bar; chord tones, the share of sounding time on tones of the chord estimated for that beat; notes a bar of each part.
"""

from __future__ import annotations

import argparse
from collections import defaultdict

import numpy as np

from midigen.analysis import QUALITIES, beat_chroma, estimate_chords
from midigen.composition import compose_score
from midigen.corpus import find_files
from midigen.errors import MidigenError
from midigen.grid import Grid, Lane, to_grid
from midigen.midi import read_midi
from midigen.prompt import Prompt

BARS = 32
KINDS = ("piano", "guitar", "bass")
SCALES = np.array(
    [np.roll(np.isin(np.arange(12), steps), root) for steps in ((0, 2, 4, 5, 7, 9, 11),) for root in range(12)]
)  # natural minor has the tones of its relative major


def merged(grid: Grid, first: int) -> dict[str, np.ndarray]:
    """The notes of each kind in ``BARS`` bars from ``first``, lanes of one kind together; bars count from 0."""
    out: dict[str, np.ndarray] = {}
    for lane in grid.lanes:
        if lane.kind in KINDS:
            notes = lane.notes[(lane.notes[:, 0] >= first) & (lane.notes[:, 0] < first + BARS)]
            notes = notes - np.array([first, 0, 0, 0, 0])
            out[lane.kind] = np.concatenate([out[lane.kind], notes]) if lane.kind in out else notes
    return out


def measure(grid: Grid) -> dict[str, float]:
    """The measures of the ``BARS`` bars where all three parts play most."""
    playing = np.array([np.bincount(x.notes[:, 0], minlength=grid.bars)[: grid.bars] > 0 for x in grid.lanes])
    kinds = [x.kind for x in grid.lanes]
    together = np.all([np.any(playing[[k == kind for k in kinds]], axis=0) for kind in KINDS if kind in kinds], axis=0)
    sums = np.convolve(together, np.ones(BARS), mode="valid") if grid.bars > BARS else np.zeros(1)
    first = int(np.argmax(sums))
    parts = merged(grid, first)
    every = np.concatenate(list(parts.values()))
    classes = np.bincount(every[:, 3] % 12, minlength=12) / len(every)
    grooves, repeats, cells = [], 0, 0
    onset = np.zeros((BARS, 16), dtype=bool)
    onset[every[:, 0], np.minimum(np.rint(every[:, 1] / 3).astype(int), 15)] = True
    grooves = 1 - (onset[1:] != onset[:-1]).mean(axis=1)
    for notes in parts.values():
        seen: set[tuple[tuple[int, int], ...]] = set()
        for bar in range(BARS):
            cell = tuple(sorted(map(tuple, notes[notes[:, 0] == bar][:, [1, 3]].tolist())))
            if cell:
                repeats, cells = repeats + (cell in seen), cells + 1
                seen.add(cell)
    cut = tuple(Lane(k, 0, 0, n.astype(np.int32)) for k, n in parts.items())
    window = slice(first, first + BARS)
    small = Grid(grid.bar_lengths[window], grid.metres[window], grid.tempos[window], cut, grid.alignment)
    result = {
        "pitch-class entropy": float(-(classes[classes > 0] * np.log2(classes[classes > 0])).sum()),
        "scale consistency": float(max(classes[scale].sum() for scale in SCALES)),
        "groove consistency": float(np.mean(grooves)),
        "repetition": repeats / max(cells, 1),
        "chord tones": chord_tones(small),
        "distinct velocities": float(len(np.unique(every[:, 4]))),
    }
    return result | {f"notes a bar, {kind}": len(parts.get(kind, ())) / BARS for kind in KINDS}


def chord_tones(grid: Grid) -> float:
    """The share of sounding time that lies on tones of the chord in force."""
    chroma, _, bars, inside = beat_chroma(grid)
    chords = estimate_chords(grid)
    places = np.array([c.bar * 1000 + c.position for c in chords])
    heard = np.zeros(2)
    for beat, (bar, position) in enumerate(zip(bars, inside, strict=True)):
        chord = chords[int(np.searchsorted(places, bar * 1000 + position, side="right")) - 1]
        if chord.quality in QUALITIES and chord.root >= 0:
            tones = [(chord.root + step) % 12 for step in QUALITIES[chord.quality][0]]
            heard += [chroma[beat, tones].sum(), chroma[beat].sum()]
    return float(heard[0] / max(heard[1], 1))


def main() -> None:
    parser = argparse.ArgumentParser(description="likeness to real songs, for several ways of sampling")
    parser.add_argument("--pieces", type=int, default=12)
    parser.add_argument("--model", default=None)
    parser.add_argument("--sampling", nargs="+", default=["1.0,0.98"], metavar="TEMPERATURE,TOP_P")
    parser.add_argument("--songs", nargs="*", default=[])
    args = parser.parse_args()
    columns: dict[str, dict[str, list[float]]] = {}
    for source in args.songs:
        found: dict[str, list[float]] = defaultdict(list)
        for _, name, read in find_files([source]):
            try:
                grid = to_grid(read_midi(read(), name), KINDS)
            except MidigenError:
                continue
            if grid.bars >= BARS and (grid.metres == 0).all() and len({x.kind for x in grid.lanes}) == 3:
                for key, value in measure(grid).items():
                    found[key].append(value)
        columns["real songs"] = found
    for way in args.sampling:
        temperature, top_p = map(float, way.split(","))
        found = defaultdict(list)
        for seed in range(args.pieces):
            prompt = Prompt(BARS, seed=seed, metre="4/4", temperature=temperature, top_p=top_p)
            for key, value in measure(to_grid(compose_score(prompt, checkpoint=args.model))).items():
                found[key].append(value)
        columns[way] = found
    print("| median | " + " | ".join(columns) + " |")
    print("|---|" + "--:|" * len(columns))
    for key in next(iter(columns.values())):
        print(f"| {key} | " + " | ".join(f"{np.median(values[key]):.3f}" for values in columns.values()) + " |")


if __name__ == "__main__":
    main()
