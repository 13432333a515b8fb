"""How well chord charts are kept: midigen's pieces, an accompaniment program's, and the songs the charts are from.

Takes the chords of 32 bars in 4/4 from real songs (as :func:`midigen.analysis.estimate_chords` hears them in all parts
of the song, where piano, guitar and bass play together most), writes them as charts, and lets ``midigen compose
--chords`` and MMA (Musical MIDI Accompaniment, https://www.mellowood.ca/mma/, a rule engine) play each at the song's
tempo.

    sudo apt-get install mma        (Debian; without it that column is left out)
    python -m benchmarks.obedience validation.tar.xz --charts 30

Measures, medians over charts, with the 95 % bootstrap interval of the median. Chord tones: the share of sounding time
on tones of the chord in force. Bass: of the notes that it begins where a chord changes, the share that are the root,
the fifth or the written bass. Bars recovered: the share of bars whose first chord the estimator hears again in piano,
guitar and bass, by three measures that are usual in chord recognition (MIREX, mir_eval): "root and third" asks for the
root and the kind of third, "triad" for the root and the first three tones of the chord (a seventh or sixth more or less
is no mistake), "root and quality" for all of it among fourteen qualities. Of the real songs these are no 1: what the
other parts of the song add to the chords is not played by those three. Tonal-distance gain: see
:func:`midigen.evaluation.measures.tonal_gain`. The rest are the other measures of that module, each with how far its
median is from that of the songs in units of their inter-quartile range.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.sources import read_scores
from midigen.analysis import Chord, estimate_chords
from midigen.charts import parse_chart
from midigen.composition import open_player, write_piece
from midigen.composition.settling import Request
from midigen.errors import MidigenError
from midigen.evaluation import measures
from midigen.evaluation.bars import straight_grid, stretch
from midigen.evaluation.chords import bass_at_changes, chord_tone_share, recovered
from midigen.evaluation.measures import KINDS, MEASURES, cut
from midigen.evaluation.statistics import interval
from midigen.grid import POSITIONS_PER_QUARTER, Grid
from midigen.midi import read_midi, write_midi
from midigen.prompt import Prompt
from midigen.score import Score
from midigen.sections import whole_grid

BARS = 32
LEAST_TOGETHER = 16  # bars in which all three play, of the 32
BEATS = 4
PAIRS = (("guitar", "bass"), ("piano", "bass"), ("piano", "guitar"))
SLOWEST, FASTEST = 50.0, 200.0  # quarters a minute; files that say more or less count otherwise than they are felt

# Grooves of MMA's standard library with piano, guitar and bass (and drums), each up to a tempo: straight, and swung.
GROOVES = {
    False: ((80, "PopBallad2Plus"), (100, "SoftRock2"), (135, "8Beat"), (FASTEST, "Twist")),
    True: ((100, "SlowJazzPlus"), (150, "JazzCombo"), (FASTEST, "Swing1Walk")),
}
# Its names of chords, where they are not ours: its "dim" has a seventh.
MMA_NAMES = {"dim": "dim3"}
MMA_SILENCE = "z!"
MMA_SECONDS = 60


@dataclass(frozen=True)
class Sheet:
    """32 bars of a real song, and their chords as a chart: its text, and what is read from it."""

    name: str
    grid: Grid
    tempo_qpm: float
    text: str
    chords: tuple[Chord, ...]

    @classmethod
    def of(cls, name: str, score: Score) -> Sheet | None:
        """``None`` for a song that is not in 4/4 throughout, or whose piano, guitar and bass are hardly together."""
        if any(str(metre) != "4/4" for metre in score.metres):
            return None
        grid = straight_grid(score)
        begun = [[lane.notes[:, 0] for lane in grid.lanes if lane.kind == kind] for kind in KINDS]
        first, bars = measures.together(begun, grid.bars, BARS, step=4)
        if bars < LEAST_TOGETHER:
            return None
        grid = stretch(grid, first, BARS)
        whole = whole_grid(score)
        if whole.bars < first + BARS:
            return None
        text = chart_of(estimate_chords(stretch(whole, first, BARS)))
        tempo = float(np.clip(round(float(grid.tempos[0])), SLOWEST, FASTEST))
        return cls(name, grid, tempo, text, tuple(parse_chart(text).chords(BARS, "4/4")))

    @property
    def swings(self) -> bool:
        """Whether more notes are on the last third of a beat than on its second half."""
        inside = np.concatenate([lane.notes[:, 1] for lane in self.grid.lanes]) % POSITIONS_PER_QUARTER
        return bool((inside == 8).sum() > (inside == 6).sum())


def chart_of(chords: list[Chord]) -> str:
    """Chords on beats of 4/4 as a chart, a line a bar."""
    bars = [["/"] * BEATS for _ in range(BARS)]
    for chord in chords:
        bars[chord.bar][chord.position // POSITIONS_PER_QUARTER] = str(chord)
    return "\n".join(" ".join(bar) for bar in bars)


def accompany(song: Sheet, seed: int) -> Score:
    """The chart as MMA plays it. Raises :class:`RuntimeError` with what it says where it does not."""
    groove = next(name for fastest, name in GROOVES[song.swings] if song.tempo_qpm <= fastest)
    lines = [f"RndSeed {seed}", f"Tempo {song.tempo_qpm:g}", f"Groove {groove}"]
    bars = [["/"] * BEATS for _ in range(BARS)]
    for chord in song.chords:
        symbol = str(Chord(0, 0, chord.root, MMA_NAMES.get(chord.quality, chord.quality), chord.bass))
        bars[chord.bar][chord.position // POSITIONS_PER_QUARTER] = symbol if chord.root >= 0 else MMA_SILENCE
    lines += [f"{number} {' '.join(bar)}" for number, bar in enumerate(bars, 1)]
    with tempfile.TemporaryDirectory() as place:
        source, target = Path(place, "chart.mma"), Path(place, "chart.mid")
        source.write_text("\n".join(lines) + "\n", encoding="utf-8")
        done = subprocess.run(
            ["mma", str(source), "-f", str(target)], cwd=place, capture_output=True, text=True, timeout=MMA_SECONDS
        )
        if done.returncode or not target.is_file():
            raise RuntimeError(f"mma, chart of {song.name}: {' '.join((done.stdout + done.stderr).split())[-300:]}")
        return read_midi(target)


def measures_of(grid: Grid, song: Sheet, seed: int) -> dict[str, float]:
    """All measures of 32 bars that play the chart of ``song``; ``seed`` is for permutations."""
    begun, firm = bass_at_changes(grid, song.chords)
    third, triad, quality = recovered(grid, song.chords)
    kept = {
        "chord tones": chord_tone_share(grid, song.chords),
        "bass: root or fifth at changes of chord": firm,
        "bass: changes at which it begins a note": begun,
        "bars recovered, root and third": third,
        "bars recovered, triad": triad,
        "bars recovered, root and quality": quality,
    }
    piece = cut(grid, 0, BARS)
    gains = {
        f"tonal-distance gain, {one}-{other}": measures.tonal_gain(piece, one, other, seed) for one, other in PAIRS
    }
    return kept | gains


def likeness(grid: Grid) -> dict[str, float]:
    """The measures of likeness to real songs."""
    piece = cut(grid, 0, BARS)
    return {name: measure(piece) for name, measure in MEASURES.items() if not name.startswith("tonal-distance")}


def score_grid(score: Score) -> Grid:
    """The first 32 bars of what was played; what rings on after them is left out."""
    grid = straight_grid(score)
    if grid.bars < BARS:
        raise RuntimeError(f"{score.title}: {grid.bars} bars of {BARS}")
    return stretch(grid, 0, BARS)


def row(name: str, columns: list[list[float]]) -> str:
    """A line of the table: medians with their intervals."""
    cells = []
    for values in columns:
        found = interval(values, np.median)
        cells.append(f"{found.value:.3f} ({found.low:.3f} to {found.high:.3f})")
    return f"| {name} | {' | '.join(cells)} |"


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description="How well chord charts are kept.")
    parser.add_argument("songs", nargs="+", help="MIDI files, folders or archives of them, to take charts from")
    parser.add_argument("--charts", type=int, default=30)
    parser.add_argument("--model", default=None)
    parser.add_argument("--save", metavar="FOLDER", help="write every chart and what was played of it here")
    args = parser.parse_args()
    songs = [song for song in (Sheet.of(name, score) for name, score in read_scores(args.songs)) if song]
    songs.sort(key=lambda song: Path(song.name).name)  # the same choice from a folder and from an archive of it
    if not songs:
        sys.exit(f"{' '.join(args.songs)}: no song in 4/4 with piano, guitar and bass together")
    chosen = np.random.default_rng(0).permutation(len(songs))[: args.charts]
    charts = [songs[k] for k in sorted(chosen.tolist())]
    has_mma = shutil.which("mma") is not None
    if not has_mma:
        print("MMA is not installed (Debian package mma): its column is left out", file=sys.stderr)
    player = open_player(args.model)
    grids: dict[str, list[Grid]] = {"real songs": [], "midigen": [], **({"MMA": []} if has_mma else {})}
    for number, song in enumerate(charts):
        prompt = Prompt(bars=BARS, seed=number, metre="4/4", tempo_qpm=song.tempo_qpm, chords=song.text)
        played = {"midigen": write_piece(Request.read(prompt), player)[0]}
        if has_mma:
            played["MMA"] = accompany(song, number)
        grids["real songs"].append(song.grid)
        for name, score in played.items():
            grids[name].append(score_grid(score))
            if args.save:
                folder = Path(args.save)
                folder.mkdir(parents=True, exist_ok=True)
                (folder / f"{number}.chart.txt").write_text(f"# {song.name}\n{song.text}\n", encoding="utf-8")
                write_midi(score, folder / f"{number}.{name.lower()}.mid")
        print(f"\r{number + 1} of {len(charts)} charts", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    print(f"{len(charts)} charts of {BARS} bars; median (95 % interval)\n")
    print(f"| | {' | '.join(grids)} |\n|---|{'--:|' * len(grids)}")
    kept = [
        [measures_of(grid, song, seed) for seed, (grid, song) in enumerate(zip(column, charts, strict=True))]
        for column in grids.values()
    ]
    for name in kept[0][0]:
        print(row(name, [[found[name] for found in column] for column in kept]))
    like = [[likeness(g) for g in column] for column in grids.values()]
    distances: list[list[float]] = [[] for _ in grids]
    for name in like[0][0]:
        columns = [np.array([found[name] for found in column]) for column in like]
        low, middle, high = np.nanpercentile(columns[0], [25, 50, 75])
        cells = [f"{middle:.3f} ({low:.3f} .. {high:.3f})"]
        for number, values in enumerate(columns[1:], 1):
            distances[number].append(abs(float(np.nanmedian(values)) - middle) / max(high - low, 1e-9))
            cells.append(f"{np.nanmedian(values):.3f} ({distances[number][-1]:.2f} off)")
        print(f"| {name} | {' | '.join(cells)} |")
    means = ["", *(f"{np.mean(column):.2f} off" for column in distances[1:])]
    print(f"| likeness, mean distance of medians in real inter-quartile ranges | {' | '.join(means)} |")
    pieces = [cut(song.grid, 0, BARS) for song in songs]
    gains = [
        np.array([measures.tonal_gain(piece, one, other, k) for k, piece in enumerate(pieces)]) for one, other in PAIRS
    ]
    words = [
        f"{one}-{other} {np.nanmedian(g):.3f} ({np.nanpercentile(g, 25):.3f} .. {np.nanpercentile(g, 75):.3f})"
        for (one, other), g in zip(PAIRS, gains, strict=True)
    ]
    print(f"\nTonal-distance gain of all {len(songs)} songs, median (quartiles): {', '.join(words)}.")


if __name__ == "__main__":
    try:
        main()
    except MidigenError as error:
        sys.exit(str(error))
