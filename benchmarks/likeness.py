"""How like real songs the model's pieces are, for several ways of sampling: the numbers behind the defaults.

Composes pieces of 32 bars in 4/4 with piano, guitar and bass and prints the medians of all measures of
:mod:`midigen.evaluation.measures`, and of the share of sounding time on tones of the chords that are heard in the piece
itself, one column a way of sampling. Given a folder or archive of MIDI files (--songs), it measures those in the same
way.

    python -m benchmarks.likeness --pieces 12 --sampling 1.0,0.98 0.9,0.95 --songs validation.tar.xz
"""

from __future__ import annotations

import argparse
from collections import defaultdict

import numpy as np

from benchmarks.sources import read_scores
from midigen.analysis import estimate_chords
from midigen.composition import open_player, write_piece
from midigen.composition.settling import Request
from midigen.errors import MidigenError
from midigen.evaluation.chords import chord_tone_share
from midigen.evaluation.measures import BARS, KINDS, MEASURES, excerpt
from midigen.grid import to_grid
from midigen.prompt import Prompt
from midigen.score import Score

Column = dict[str, list[float]]


def measure(score: Score, column: Column) -> None:
    """Add the measures of a piece to ``column``; what is not in 4/4 or has no excerpt is passed over."""
    try:
        grid = to_grid(score, KINDS)
    except MidigenError:
        return
    piece = excerpt(grid)
    if piece is None or not (grid.metres == 0).all():
        return
    for name, value in MEASURES.items():
        column[name].append(value(piece))
    column["chord tones"].append(chord_tone_share(grid, estimate_chords(grid)))


def main() -> None:
    """Compose, measure and print the table."""
    parser = argparse.ArgumentParser(description="likeness to real songs, for several ways of sampling")
    parser.add_argument("--pieces", type=int, default=12)
    parser.add_argument("--model", default=None)
    parser.add_argument("--sampling", nargs="+", default=["1.0,0.98"], metavar="TEMPERATURE,TOP_P")
    parser.add_argument("--songs", nargs="*", default=[])
    args = parser.parse_args()
    columns: dict[str, Column] = {}
    if args.songs:
        columns["real songs"] = defaultdict(list)
        for _, score in read_scores(args.songs):
            measure(score, columns["real songs"])
    player = open_player(args.model)
    for way in args.sampling:
        temperature, top_p = map(float, way.split(","))
        columns[way] = defaultdict(list)
        for seed in range(args.pieces):
            prompt = Prompt(BARS, seed=seed, metre="4/4", temperature=temperature, top_p=top_p)
            measure(write_piece(Request.read(prompt), player)[0], columns[way])
    print("| median | " + " | ".join(columns) + " |")
    print("|---|" + "--:|" * len(columns))
    for name in (*MEASURES, "chord tones"):
        print(f"| {name} | " + " | ".join(f"{np.nanmedian(found[name]):.3f}" for found in columns.values()) + " |")


if __name__ == "__main__":
    main()
