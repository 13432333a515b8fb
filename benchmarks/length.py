"""What a bar costs as pieces get longer: time and memory of composing from 32 to 512 bars.

python -m benchmarks.length --runs 3

Each length is composed in a process of its own (three parts, a form left to the model), in turn; medians.
"""

from __future__ import annotations

import argparse
import subprocess
import sys

import numpy as np

LENGTHS = (32, 64, 128, 256, 512)
SCRIPT = """
import resource, sys, time
from midigen.composition import open_player, write_piece
from midigen.composition.settling import Request
from midigen.prompt import Prompt
player = open_player()
began = time.perf_counter()
score, tally = write_piece(Request.read(Prompt(bars=int(sys.argv[1]), seed=int(sys.argv[2]), metre="4/4")), player)
seconds = time.perf_counter() - began
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
notes = sum(len(part.notes) for part in score.parts)
print(seconds, peak / 1024, notes, tally.calls)
"""


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description="time and memory a bar, by length")
    parser.add_argument("--runs", type=int, default=3, help="seeds for each length")
    args = parser.parse_args()
    rows: dict[int, list[list[float]]] = {bars: [] for bars in LENGTHS}
    for seed in range(args.runs):
        for bars in LENGTHS:
            words = [sys.executable, "-c", SCRIPT, str(bars), str(seed)]
            done = subprocess.run(words, capture_output=True, text=True, check=True)
            rows[bars].append([float(word) for word in done.stdout.split()])
    print("| bars | seconds | ms a bar | ms a note | peak memory, MB |")
    print("|--:|--:|--:|--:|--:|")
    for bars, values in rows.items():
        seconds, memory, _, _ = np.median(np.array(values), axis=0)
        each = np.median([1000 * row[0] / row[2] for row in values])
        print(f"| {bars} | {seconds:.1f} | {1000 * seconds / bars:.0f} | {each:.2f} | {memory:.0f} |")


if __name__ == "__main__":
    main()
