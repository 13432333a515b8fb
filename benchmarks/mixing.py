"""How fast the mixer is, stage by stage, and how much memory an hour takes.

    python -m benchmarks.mixing                    speed: 4 stems of 3 minutes, each preset
    python -m benchmarks.mixing --memory           memory: 4 stems of an hour, from files to a file

The sound is made here: notes of a few partials, struck at random and decaying, a second of which is played over and
over; all that matters to the mixer is how much there is of it. Stems are 24-bit WAV files in stereo at 44,100 frames a
second, the mix is one too. Speeds are multiples of real time, of the wall clock and of processor time (all threads),
the medians of ``--runs`` in which all take turns; a first run, which makes filters and rooms, does not count. Memory
is the peak of a process that does nothing else.
"""

from __future__ import annotations

import argparse
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from midigen.audio import BLOCK_FRAMES, open_audio, write_audio
from midigen.mastering import master
from midigen.mixing import blend, export_stems, measure_stem, mix
from midigen.renderers import Stem
from midigen.session import Session
from midigen.session.presets import PRESETS, preset
from midigen.signals import Recorded

RATE = 44_100
KINDS = {"piano": 220.0, "guitar": 330.0, "bass": 55.0, "drums": 150.0}
MOST_BYTES = 1e9


@dataclass(frozen=True)
class Struck:
    """Struck notes around ``hertz``, ten seconds of them over and over; a signal that needs next to no memory."""

    hertz: float
    frames: int
    rate: int = RATE
    channels: int = 2

    def blocks(self, size: int = BLOCK_FRAMES) -> Iterator[np.ndarray]:
        rng = np.random.default_rng(round(self.hertz))
        loop = np.zeros((2, 10 * RATE))
        for start in range(0, loop.shape[1], RATE // 5):
            seconds = np.arange(loop.shape[1] - start) / RATE
            note = self.hertz * 2 ** (rng.integers(0, 13) / 12)
            partials = sum(np.sin(2 * np.pi * note * n * seconds) / n**1.5 for n in range(1, 8) if note * n < 15_000)
            sides = rng.uniform(0.05, 0.15, 2)
            loop[:, start:] += sides[:, np.newaxis] * partials * np.exp(-4 * seconds)
        tiled = np.tile(loop.astype(np.float32), 2)
        for start in range(0, self.frames, size):
            for inner in range(start, min(start + size, self.frames), loop.shape[1]):
                place = inner % loop.shape[1]
                yield tiled[:, place : place + min(start + size - inner, self.frames - inner, loop.shape[1])]


def write_stems(folder: Path, seconds: float) -> list[Stem]:
    """The stems as files, opened."""
    stems = []
    for kind, hertz in KINDS.items():
        path = write_audio(Struck(hertz, round(seconds * RATE)), folder / f"{kind}.wav")
        stems.append(Stem(kind, kind, open_audio(path)))
    return stems


def measure(work: Callable[[], object]) -> tuple[float, float]:
    """Seconds of the wall clock and of processor time."""
    start, busy = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - start, time.process_time() - busy


def speed(seconds: float, runs: int) -> None:
    """Print a table of the stages with the default preset, and one of the presets."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        stems = write_stems(folder, seconds)

        def whole(session: Session) -> None:
            from midigen import mixing

            mixing._measured_files.clear()
            write_audio(mix(stems, session).signal, folder / "mix.wav")

        memory = [Stem(stem.name, stem.kind, Recorded(stem.audio)) for stem in stems]
        core, _, _ = blend(memory, Session())
        desk, _, _ = blend(stems)
        recorded = Recorded(desk)
        mastered = master(recorded)
        rows: list[tuple[str, Callable[[], object]]] = [
            ("gain, pan and sum alone, stems in memory", lambda: [None for _ in core.blocks()]),
            ("read the stems from disk", lambda: [None for stem in stems for _ in stem.audio.blocks()]),
            ("loudness of the stems", lambda: [_anew(stem) for stem in stems]),
            ("desk, from files", lambda: [None for _ in desk.blocks()]),
            ("master: loudness and limiter", lambda: master(recorded)),
            ("write the mix", lambda: write_audio(mastered.signal, folder / "mix.wav")),
            ("export processed stems", lambda: export_stems(stems, None, folder / "parts")),
            *((f"**all of it, {one}**", partial(whole, preset(one))) for one in PRESETS),
        ]
        times: dict[str, list[tuple[float, float]]] = {label: [] for label, _ in rows}
        for turn in range(runs + 1):
            for label, work in rows:
                one = measure(work)
                if turn:
                    times[label].append(one)
        print(f"4 stems of {seconds:g} s, median of {runs} runs; the default preset where no other is named\n")
        print("| | × real time | range | of processor time |\n|---|--:|--:|--:|")
        for label, took in times.items():
            walls = [seconds / wall for wall, _ in took]
            used = seconds / statistics.median(busy for _, busy in took)
            print(f"| {label} | {statistics.median(walls):,.0f} | {min(walls):,.0f}–{max(walls):,.0f} | {used:,.0f} |")


def _anew(stem: Stem) -> float:
    from midigen import mixing

    mixing._measured_files.clear()
    return measure_stem(stem.audio).lufs


def memory(seconds: float) -> None:
    """Print the peak memory of mixing long stems with the default preset, each way in a process of its own."""
    with tempfile.TemporaryDirectory() as name:
        write_stems(Path(name), seconds)
        print(f"4 stems of {seconds / 60:g} minutes, from files to a file\n")
        print("| | peak memory | × real time |\n|---|--:|--:|")
        for preset_name in ("dry", "pop"):
            command = [sys.executable, "-m", "benchmarks.mixing", "--only", name, "--preset", preset_name]
            start = time.perf_counter()
            done = subprocess.run(command, check=True, capture_output=True, text=True)
            peak = int(done.stdout)
            speed = seconds / (time.perf_counter() - start)
            print(f"| {preset_name} | {peak / 1e6:,.0f} MB | {speed:,.0f} |", flush=True)
            if peak > MOST_BYTES:
                sys.exit(f"{preset_name}: more than {MOST_BYTES / 1e9:g} GB")


def only(folder: Path, preset_name: str) -> None:
    """Mix the stems in ``folder`` and print the peak memory in bytes."""
    stems = [Stem(kind, kind, open_audio(folder / f"{kind}.wav")) for kind in KINDS]
    write_audio(mix(stems, preset(preset_name)).signal, folder / "mix.wav")
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)


def main() -> None:
    """Read the command line and measure."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=None, help="of each stem (default: 180; with --memory 3600)")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--memory", action="store_true", help="measure memory, not speed")
    parser.add_argument("--only", type=Path, default=None, help=argparse.SUPPRESS)
    parser.add_argument("--preset", default="pop", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.only is not None:
        only(args.only, args.preset)
    elif args.memory:
        memory(args.seconds or 3_600)
    else:
        speed(args.seconds or 180, args.runs)


if __name__ == "__main__":
    main()
