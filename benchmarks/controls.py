"""Whether pieces are what was asked for, with the pieces to look at and to listen to.

``midigen evaluate`` measures the same (:mod:`midigen.evaluation.controls`); this shows in which metre which part was
how far off, which seeds to look at, what the other wishes cost form and ending, and saves the pieces.

    python -m benchmarks.controls --pieces 30 --songs validation.tar.xz
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from pathlib import Path

from benchmarks.sources import read_scores
from midigen.composition import open_player, write_piece
from midigen.composition.settling import Request
from midigen.errors import MidigenError
from midigen.evaluation.asking import draw_prompt, has_chart, is_plain
from midigen.evaluation.controls import KEPT, SHAPES, Findings, Row, check, observe
from midigen.midi import write_midi
from midigen.prompt import METRES


def shown(row: Row, found: Findings) -> str:
    """A value with its interval; a dash where nothing was measured."""
    middle, low, high = (value * (100 if row.percent else 1) for value in vars(row.of(found)).values())
    if middle != middle:
        return "–"
    return f"{middle:.1f} % ({low:.1f} to {high:.1f})" if row.percent else f"{middle:.2f} ({low:.2f} to {high:.2f})"


def tables(found: Findings, shapes: dict[str, Findings], pieces: int) -> list[str]:
    """The tables, as lines: what was kept; form, endings and velocities, a column for each of ``shapes``; misses."""
    lines = [f"{pieces} pieces; 95 % intervals\n", "| asked for | kept | wanted |", "|---|--:|--:|"]
    lines += [f"| {row.said} | {shown(row, found)} | {row.wanted} |" for row in KEPT]
    lines.append(f"\n| | {' | '.join(shapes)} |\n|---|{'--:|' * len(shapes)}")
    lines += [f"| {row.said} | {' | '.join(shown(row, shape) for shape in shapes.values())} |" for row in SHAPES]
    lines.append(f"\n| bins off, by metre | {' | '.join(METRES)} |\n|---|{'--:|' * len(METRES)}")
    for name in sorted({name for name, _ in found.words}):
        cells = [counted(found.words[name, metre]) for metre in METRES]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return lines


def counted(values: list[int]) -> str:
    """``-1: 2, 0: 5``: how often a part was so many bins off."""
    return ", ".join(f"{off:+d}: {times}" if off else f"0: {times}" for off, times in sorted(Counter(values).items()))


def main() -> None:
    """Compose, measure and print the tables."""
    parser = argparse.ArgumentParser(description="Whether pieces are what was asked for.")
    parser.add_argument("--pieces", type=int, default=32)
    parser.add_argument("--model", default=None)
    parser.add_argument("--songs", nargs="*", default=[], help="MIDI files, folders or archives of them, to compare")
    parser.add_argument("--save", metavar="FOLDER", help="write every piece here, called by its seed")
    args = parser.parse_args()
    player, found = open_player(args.model), Findings()
    shapes = {"everything asked for": Findings(), "a chart": Findings(), "parts as they come": Findings()}
    for seed in range(args.pieces):
        request = Request.read(draw_prompt(seed))
        score, _ = write_piece(request, player)
        sort = "parts as they come" if is_plain(seed) else "a chart" if has_chart(seed) else "everything asked for"
        check(score, request, found, shapes[sort])
        if args.save:
            Path(args.save).mkdir(parents=True, exist_ok=True)
            write_midi(score, Path(args.save, f"{seed}.mid"))
        print(f"\r{seed + 1} of {args.pieces} pieces", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    if args.songs:
        shapes["real songs"] = Findings()
        for _, score in read_scores(args.songs):
            observe(score, shapes["real songs"])
    print("\n".join(tables(found, shapes, args.pieces)))
    if found.odd:
        print(f"\nSeeds to look at: {'; '.join(found.odd)}.")


if __name__ == "__main__":
    try:
        main()
    except MidigenError as error:
        sys.exit(str(error))
