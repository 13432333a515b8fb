"""What it brings to begin the stems while the piece is still being written.

    python -m benchmarks.overlap --runs 5 [--bars 64]

The same songs with and without, in turn, in one process, stem cache off; that the stems are the same is checked.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import statistics
import time
from collections import defaultdict
from functools import partial

from midigen import renderers
from midigen.composing import compose


def alone() -> int:
    """As many processors as leave none for rendering ahead."""
    return 1


def note(marks: list[float], stage: str) -> None:
    """Note when a stage begins."""
    marks.append(time.perf_counter())


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description="Stems begun while the piece is written.")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--bars", type=int, nargs="*", default=[32, 96])
    args = parser.parse_args()
    os.environ["MIDIGEN_CACHE"] = "off"
    there = renderers.processors
    compose(bars=4, seed=0)  # libraries
    print(f"{args.runs} songs each; medians\n")
    print("| bars | stems | composed after | stems there after | whole song | processor time |\n"
          "|--:|---|--:|--:|--:|--:|")  # fmt: skip
    for bars in args.bars:
        seen: dict[str, list[list[float]]] = defaultdict(list)
        for seed in range(args.runs):
            digests = []
            for name, cores in (("when it is written", 1), ("begun before", 2)):
                renderers.processors = there if cores > 1 else alone
                marks = [time.perf_counter()]
                busy = time.process_time()
                song = compose(bars=bars, seed=seed, metre="4/4", on_stage=partial(note, marks))
                marks.append(time.perf_counter())
                began, _, *later = marks  # the second is the beginning of composing
                seen[name].append([*(mark - began for mark in later), time.process_time() - busy])
                digests.append(
                    [hashlib.sha256(b"".join(b.tobytes() for b in s.audio.blocks())).digest() for s in song.stems]
                )
            assert digests[0] == digests[1], "the stems differ"
        for name, rows in seen.items():
            middles = [f"{statistics.median(column):.2f} s" for column in zip(*rows, strict=True)]
            print(f"| {bars} | {name} | {' | '.join(middles)} |", flush=True)
    renderers.processors = there


if __name__ == "__main__":
    main()
