"""Songs a minute against processors: the same album composed with one process, two, ... and through Ray.

    python -m benchmarks.many --count 8 --bars 32 --jobs 1 2 --ray

Every song is the whole journey: MIDI, stems, mix, pictures. The stem cache is off, so that nothing is had for nothing.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from pathlib import Path

from midigen.album import compose_album


def songs_a_minute(count: int, bars: int, jobs: int, crew: str) -> tuple[float, float]:
    """Songs a minute, and seconds until the first song is there."""
    first: list[float] = []

    def heard(done: int, total: int) -> None:
        first.append(time.perf_counter() - began)

    with tempfile.TemporaryDirectory() as folder:
        began = time.perf_counter()
        compose_album(
            Path(folder, "album"), count, jobs=jobs, crew=crew, bars=bars, seed=0,
            on_song=heard,
        )  # fmt: skip
        return 60 * count / (time.perf_counter() - began), first[0]


def main() -> None:
    """Measure and print the table."""
    usable = len(os.sched_getaffinity(0))
    parser = argparse.ArgumentParser(description="Songs a minute against processors.")
    parser.add_argument("--count", type=int, default=8)
    parser.add_argument("--bars", type=int, default=32)
    parser.add_argument("--jobs", type=int, nargs="+", default=list(range(1, usable + 1)))
    parser.add_argument("--ray", action="store_true", help="with Ray's local workers, too")
    args = parser.parse_args()
    os.environ["MIDIGEN_CACHE"] = "off"
    print(f"{args.count} songs of {args.bars} bars, three parts; {usable} processors\n")
    print("| | songs a minute | to the first | first song there after |\n|---|--:|--:|--:|")
    baseline = 0.0
    for crew in ("processes", *(["ray"] if args.ray else [])):
        for jobs in args.jobs:
            speed, first = songs_a_minute(args.count, args.bars, jobs, crew)
            baseline = baseline or speed
            print(f"| {crew}: {jobs} at once | {speed:.1f} | {speed / baseline:.2f}x | {first:.1f} s |", flush=True)


if __name__ == "__main__":
    main()
