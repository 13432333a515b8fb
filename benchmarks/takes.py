"""Takes side by side: pieces a minute against cores, and against writing one after the other.

    python -m benchmarks.takes --runs 3 [--takes 8] [--bars 16]

"One at a time" writes the takes one after the other, "side by side" all of them with one run of the engine for all that
wait; the pieces are the same, note by note, which is checked. Processor time beside wall time.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from collections import defaultdict

from midigen.composition import compose_takes
from midigen.composition import takes as takes_module
from midigen.prompt import Prompt


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description="Takes a minute.")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--takes", type=int, default=8)
    parser.add_argument("--bars", type=int, default=16)
    args = parser.parse_args()
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    usual = takes_module.SEATS
    ways = [("one at a time", 1, 1), ("side by side", usual, 1)]
    ways += [("side by side", usual, threads) for threads in range(2, cores + 1)]
    print(f"{args.takes} takes of {args.bars} bars of piano, guitar and bass, {args.runs} runs, medians\n")
    print("| mode | | threads | takes a minute | of processor time | ratio |\n|---|---|--:|--:|--:|--:|")
    for mode in ("fast", "exact"):
        walls, processors = defaultdict(list), defaultdict(list)
        for run in range(args.runs):
            scores = []
            for way in ways:
                _, takes_module.SEATS, threads = way
                began, busy = time.perf_counter(), time.process_time()
                made = compose_takes(Prompt(args.bars, seed=run, metre="4/4"), args.takes, mode=mode, threads=threads)
                processors[way].append(time.process_time() - busy)
                walls[way].append(time.perf_counter() - began)
                scores.append([(take.seed, take.score.parts) for take in made])
            assert all(other == scores[0] for other in scores), "a take depends on its company"
        base = statistics.median(processors[ways[0]])
        for way in ways:
            name, _, threads = way
            wall, busy = statistics.median(walls[way]), statistics.median(processors[way])
            print(f"| {mode} | {name} | {threads} | {60 * args.takes / wall:.0f} | {60 * args.takes / busy:.0f} | "
                  f"{base / busy:.2f} |")  # fmt: skip
    takes_module.SEATS = usual


if __name__ == "__main__":
    main()
