"""How long a song takes from a cold start, and how much memory: every stage of ``midigen compose``, in medians.

Each run is a process of its own. Stages are what ``--timings`` reports; "start-up" is the rest of the wall time: the
interpreter, the imports that come before the first stage, and the end. Memory is the most that the process held at
once (resident set, from the operating system). Nothing is taken from the cache of stems. ``--help`` is timed in the
same way.

    python -m benchmarks.compose --runs 5 -- --bars 32 --seed 7
"""

from __future__ import annotations

import argparse
import os
import platform
import re
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

STAGES = ("prepare", "compose", "render", "mix", "write")
FIRST_BAR = "first bar"


@dataclass
class Run:
    """One run of the command: wall seconds, most megabytes, processor seconds, and the seconds of its stages."""

    wall_seconds: float
    peak_megabytes: float
    processor_seconds: float = 0.0
    stages: dict[str, float] = field(default_factory=dict)


def measure(words: list[str], folder: Path) -> Run:
    """Run ``midigen`` with ``words`` in ``folder`` and measure it. Raises :class:`RuntimeError` where it fails."""
    errors = folder / "stderr.txt"
    began = time.perf_counter()
    with errors.open("w") as stderr:
        process = subprocess.Popen(
            [sys.executable, "-m", "midigen", *words], cwd=folder, stdout=subprocess.DEVNULL, stderr=stderr,
            env={**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[1]), "MIDIGEN_CACHE": "off"},
        )  # fmt: skip
        _, status, usage = os.wait4(process.pid, 0)  # this child's own peak, not that of all children so far
    wall = time.perf_counter() - began
    process.returncode = os.waitstatus_to_exitcode(status)
    said = errors.read_text()
    errors.unlink()
    if process.returncode != 0:
        raise RuntimeError(f"midigen {' '.join(words)}: exit code {process.returncode}: {said.strip()}")
    scale = 1e6 if sys.platform == "darwin" else 1e3  # bytes there, kilobytes elsewhere
    stages = {name: float(seconds) for name, seconds in re.findall(r"^([a-z ]+?)\s+([\d.]+) s\b", said, re.MULTILINE)}
    return Run(wall, usage.ru_maxrss / scale, usage.ru_utime + usage.ru_stime, stages)


def rows(runs: list[Run], helps: list[Run]) -> list[tuple[str, str, str]]:
    """Rows of the table: what, median, and the range over the runs."""

    def row(what: str, values: list[float], unit: str, digits: int) -> tuple[str, str, str]:
        middle = f"{statistics.median(values):.{digits}f} {unit}"
        return what, middle, f"{min(values):.{digits}f} to {max(values):.{digits}f}"

    table = [row(stage, [run.stages[stage] for run in runs], "s", 2) for stage in STAGES]
    rest = [run.wall_seconds - sum(run.stages[stage] for stage in STAGES) for run in runs]
    first = [run.stages[FIRST_BAR] + spare for run, spare in zip(runs, rest, strict=True)]
    return [
        row("start-up", rest, "s", 2),
        *table,
        row("**whole command**", [run.wall_seconds for run in runs], "s", 2),
        row("processor time, of all threads", [run.processor_seconds for run in runs], "s", 2),
        row("first bar, from the start", first, "s", 2),
        row("peak memory", [run.peak_megabytes for run in runs], "MB", 0),
        row("`--help`", [run.wall_seconds for run in helps], "s", 3),
    ]


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description="Time and memory of midigen compose, from a cold start.")
    parser.add_argument("--runs", type=int, default=5, help="how many of each (default: 5)")
    parser.add_argument(
        "words", nargs="*", default=[], metavar="-- OPTION", help="of compose (default: --bars 32 --seed 7)"
    )
    args = parser.parse_args()
    words = args.words or ["--bars", "32", "--seed", "7"]
    runs, helps = [], []
    for _ in range(args.runs):  # in turn, so that a busy moment of the machine falls on both
        with tempfile.TemporaryDirectory() as place:
            runs.append(measure(["compose", *words, "--timings", "-o", "song"], Path(place)))
            helps.append(measure(["--help"], Path(place)))
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    print(f"`midigen compose {' '.join(words)}`, {args.runs} runs, Python {platform.python_version()}, {cores} cores")
    print("\n| stage | median | range |\n|---|--:|--:|")
    for what, middle, spread in rows(runs, helps):
        print(f"| {what} | {middle} | {spread} |")


if __name__ == "__main__":
    main()
