"""Playing while composing: how soon the first bar is heard, what a block costs, how far composing is ahead.

python -m benchmarks.live --runs 5

Every run is a process of its own, from a cold start, into a file. *First bar* is the time from starting the process to
the first block of sound, *of the processor* what it and its threads had used by then: on a machine that is busy with
other things that is the number to compare. *Block* is what 512 frames (11.6 ms) of four parts on the preset cost the
thread that plays, *rewriting* the time from asking for other chords to the first bar that has them.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

PARTS = {"three parts": "piano,guitar,bass", "four parts": "piano,guitar,bass,drums"}
SCRIPT = """
import json, sys, time
began = float(sys.argv[1])
import numpy as np
from midigen.composition.live import Bar
from midigen.live.opening import open_live

live = open_live(bars=int(sys.argv[3]), seed=int(sys.argv[2]), parts=sys.argv[4], to=sys.argv[5], metre="4/4")
first, blocks = None, []
inner = live._play

def timed():
    transport = live._transport.blocks
    def blocks_of():
        global first
        items = transport()
        while True:
            wall, cpu = time.perf_counter(), time.thread_time()
            item = next(items, None)
            if item is None:
                return
            if not isinstance(item, Bar):
                if first is None and item.shape[1]:
                    first = time.time() - began, time.process_time()
                blocks.append((time.thread_time() - cpu, item.shape[1]))
            yield item
    live._transport.blocks = blocks_of
    return inner()

live._play = timed
for bar in live:
    if bar.number == 11:
        live.say("chords Am F C G")
report = live.report()
cost = np.array([seconds for seconds, frames in blocks if frames == 512]) * 1000
rate = sum(frames for _, frames in blocks) / 44100 / sum(seconds for seconds, _ in blocks)
print(json.dumps({
    "first": first[0], "first_cpu": first[1], "median": float(np.median(cost)), "p99": float(np.percentile(cost, 99)),
    "most": float(cost.max()), "rate": rate, "factor": report.factor,
    "rewriting": live._handover.rewriting_seconds / 1.25,
}))
"""


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description="live play: first bar, blocks, composing")
    parser.add_argument("--runs", type=int, default=3, help="seeds for each band")
    parser.add_argument("--bars", type=int, default=24)
    args = parser.parse_args()
    found: dict[str, list[dict[str, float]]] = {name: [] for name in PARTS}
    with tempfile.TemporaryDirectory() as folder:
        for seed in range(args.runs):
            for name, parts in PARTS.items():
                to = str(Path(folder) / "live.wav")
                words = [sys.executable, "-c", SCRIPT, str(time.time()), str(seed), str(args.bars), parts, to]
                done = subprocess.run(words, capture_output=True, text=True, check=True)
                found[name].append(json.loads(done.stdout))
    print(
        "| | first bar, s | of the processor, s | block: median, ms | 99 % | most | × real time "
        "| composing, × real time | rewriting, s |"
    )
    print("|---|--:|--:|--:|--:|--:|--:|--:|--:|")
    for name, rows in found.items():
        keys = ("first", "first_cpu", "median", "p99", "most", "rate", "factor", "rewriting")
        first, cpu, median, p99, most, rate, factor, again = (float(np.median([row[k] for row in rows])) for k in keys)
        print(
            f"| {name} | {first:.2f} | {cpu:.2f} | {median:.2f} | {p99:.2f} | {most:.1f} | {rate:.0f} | {factor:.1f} "
            f"| {again:.2f} |"
        )


if __name__ == "__main__":
    main()
