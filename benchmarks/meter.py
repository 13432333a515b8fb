"""The loudness meter, the limiter and the master beside the usual tools, and whether ffmpeg's meter agrees.

    OMP_NUM_THREADS=1 python -m benchmarks.meter [MIX.wav ...] [--runs 5] [--soundfont NAME|PATH]

A song of 120 seconds for piano, guitar, bass and drums is rendered; then all contestants take turns in one run, each
from the same files and on one thread. The tables give medians: wall time, and the processor
time of the process and its children, which other programs disturb less. What each reached is measured afterwards.
The last table compares integrated loudness on the files given, or on ten songs that are composed for it, each mixed and
mastered with a preset.
"""

from __future__ import annotations

import argparse
import itertools
import math
import os
import re
import resource
import shutil
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np

from benchmarks.sound import song
from midigen.audio import BLOCK_FRAMES, Audio, AudioFile, Signal, open_audio, write_audio
from midigen.composing import compose
from midigen.limiter import limit
from midigen.loudness import integrated_lufs, measure, true_peak_dbtp
from midigen.mastering import master
from midigen.renderers import render
from midigen.session.presets import PRESETS
from midigen.signals import Recorded
from midigen.soundfonts import choose_soundfont

CEILING_DBTP, TARGET_LUFS = -1.0, -14.0
GAINS_DB = (0.0, -2.0, 1.0, -4.0)  # of the stems, before the gain into the limiter
LIMITING_DB = 6.0  # how far the sum is lifted over the ceiling
AGREEMENT_LU = 0.1
Races = dict[str, Callable[[], object]]


class Sum:
    """Stems in stereo, each with its gain, added up as they are read."""

    def __init__(self, stems: Sequence[Signal], gains_db: Sequence[float]) -> None:
        self.stems, self.gains = stems, [np.float32(10 ** (gain_db / 20)) for gain_db in gains_db]
        self.rate, self.channels = stems[0].rate, 2
        self.frames = max(stem.frames for stem in stems)

    def blocks(self, size: int = BLOCK_FRAMES) -> Iterator[np.ndarray]:
        readers = [stem.blocks(size) for stem in self.stems]
        for start in range(0, self.frames, size):
            total = np.zeros((2, min(size, self.frames - start)), dtype=np.float32)
            for reader, gain in zip(readers, self.gains, strict=True):
                block = next(reader, None)
                if block is not None:
                    total[:, : block.shape[1]] += block * gain
            yield total


def measured(action: Callable[[], object]) -> tuple[float, float]:
    """Seconds on the wall and on the processor, children included."""

    def used() -> float:
        both = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
        return sum(usage.ru_utime + usage.ru_stime for usage in both)

    wall, before = time.perf_counter(), used()
    action()
    return time.perf_counter() - wall, used() - before


def run(*command: object) -> str:
    """What a command says."""
    done = subprocess.run([str(word) for word in command], check=True, capture_output=True, text=True)
    return done.stdout + done.stderr


def ffmpeg(*words: object) -> str:
    return run("ffmpeg", "-hide_banner", "-nostats", "-y", "-threads", 1, "-filter_threads", 1, *words)


def ffmpeg_reading(path: Path) -> tuple[float, float, float]:
    """Integrated loudness and range as ffmpeg has them at the end of the file, in thousandths; and the true peak."""
    said = ffmpeg(
        "-i", path, "-af", "ebur128=peak=true:metadata=1,ametadata=print:file=-", "-f", "null", "-"
    )  # fmt: skip

    def last(key: str) -> list[float]:
        return [float(value) for value in re.findall(rf"lavfi\.r128\.{key}=(-?[\d.]+|-inf|nan)", said)]

    peaks = [value for channel in (0, 1) for value in last(f"true_peaks_ch{channel}")]
    return last("I")[-1], last("LRA")[-1], 20 * math.log10(max(peaks)) if peaks else -math.inf


def meters(mix: Path, memory: Audio) -> Races:
    """The race of the meters; the first is what the others are compared with."""
    import pyloudnorm
    import soundfile

    def pyloudnorm_from_file() -> None:
        data, rate = soundfile.read(mix)
        pyloudnorm.Meter(rate, filter_class="DeMan").integrated_loudness(data)

    races: Races = {
        "midigen: all values, true peak too": lambda: measure(open_audio(mix)),
        "midigen: integrated": lambda: integrated_lufs(open_audio(mix)),
        "midigen: integrated, from memory": lambda: integrated_lufs(memory),
        "pyloudnorm: integrated": pyloudnorm_from_file,
        "pyloudnorm: integrated, from memory": lambda: pyloudnorm.Meter(
            memory.rate, filter_class="DeMan"
        ).integrated_loudness(memory.samples.T),
    }
    if shutil.which("ffmpeg"):
        races["`ffmpeg ebur128`"] = lambda: ffmpeg("-i", mix, "-af", "ebur128", "-f", "null", "-")
        races["`ffmpeg ebur128=peak=true`"] = lambda: ffmpeg("-i", mix, "-af", "ebur128=peak=true", "-f", "null", "-")
    return races


def limiters(stems: Sequence[AudioFile], gain_db: float, folder: Path) -> Races:
    """The race from four stems to a limited mix of 24 bits; each writes a file called like itself."""

    def sox() -> None:
        inputs = [word for stem, gain in zip(stems, GAINS_DB, strict=True) for word in ("-v", factor(gain), stem.path)]
        # its limiter knows no ceiling: it ends at full scale, and is taken down from there
        ending = ["gain", "-l", gain_db - CEILING_DBTP, "gain", CEILING_DBTP]
        run("sox", "--single-threaded", "-m", *inputs, "-b", 24, folder / "sox.wav", *ending)

    def alimiter() -> None:
        inputs = [word for stem in stems for word in ("-i", stem.path)]
        weights = " ".join(factor(gain) for gain in GAINS_DB)
        chain = (
            f"amix=inputs=4:normalize=0:weights={weights},volume={gain_db}dB,"
            f"alimiter=limit={factor(CEILING_DBTP)}:level=0:attack=5:release=100"
        )
        ffmpeg(*inputs, "-filter_complex_threads", 1, "-filter_complex", chain, "-c:a", "pcm_s24le", folder / "ff.wav")

    races: Races = {
        "midigen.wav": lambda: write_audio(
            limit(Recorded(Sum(stems, GAINS_DB)), gain_db, CEILING_DBTP), folder / "midigen.wav"
        )
    }
    if shutil.which("sox"):
        races["sox.wav"] = sox
    if shutil.which("ffmpeg"):
        races["ff.wav"] = alimiter
    return races


def masters(mix: Path, folder: Path) -> Races:
    """The race from a mix to its loudness under the ceiling."""
    loudnorm = f"loudnorm=I={TARGET_LUFS}:TP={CEILING_DBTP}:LRA=20"
    races: Races = {
        "midigen-master.wav": lambda: write_audio(
            master(open_audio(mix), target_lufs=TARGET_LUFS).signal, folder / "midigen-master.wav"
        )
    }
    if shutil.which("ffmpeg"):
        races["ff-master.wav"] = lambda: ffmpeg(
            "-i", mix, "-af", loudnorm, "-ar", 44_100, "-c:a", "pcm_s24le", folder / "ff-master.wav"
        )
    return races


def factor(gain_db: float) -> str:
    return f"{10 ** (gain_db / 20):.6f}"


def take_turns(races: Races, runs: int) -> dict[str, tuple[float, float]]:
    """The medians of wall and processor time; all run once unmeasured first."""
    for action in races.values():
        action()
    times: dict[str, list[tuple[float, float]]] = {label: [] for label in races}
    for _ in range(runs):
        for label, action in races.items():
            times[label].append(measured(action))
    return {
        label: (statistics.median(wall for wall, _ in found), statistics.median(used for _, used in found))
        for label, found in times.items()
    }


def print_times(times: dict[str, tuple[float, float]], seconds: float, more: dict[str, str], heads: str) -> None:
    """A table of times with more columns; the ratios are to the first row, by processor time."""
    columns = heads.count("|") + 1 if heads else 0
    print(f"| | wall s | × real time | processor s | × real time | ratio |{f' {heads} |' if heads else ''}")
    print("|---|" + "--:|" * (5 + columns))
    first = next(iter(times.values()))[1]
    for label, (wall, used) in times.items():
        numbers = f"{wall:.3f} | {seconds / wall:.0f} | {used:.3f} | {seconds / used:.0f} | {used / first:.1f}"
        print(f"| {label} | {numbers} |{more.get(label, '')}")
    print()


LABELS = {
    "midigen.wav": "midigen: four stems, mixed and limited",
    "sox.wav": "`sox -m`, `gain -l`",
    "ff.wav": "`ffmpeg amix, alimiter`",
    "midigen-master.wav": "midigen: master",
    "ff-master.wav": "`ffmpeg loudnorm`, one pass",
}


def race_to_files(races: Races, runs: int, seconds: float, folder: Path) -> None:
    """Run a race whose contestants write files, and measure these."""
    times = take_turns(races, runs)
    reached = {}
    for name in races:
        reading = measure(open_audio(folder / name))
        reached[LABELS[name]] = f" {reading.integrated_lufs:.2f} | {reading.true_peak_dbtp:.2f} |"
    print_times({LABELS[name]: value for name, value in times.items()}, seconds, reached, "LUFS | dBTP")


def ten_mixes(font: str | None, folder: Path) -> list[Path]:
    """Ten songs of sixteen bars, composed, each mixed and mastered with one of the presets; every other with drums."""
    paths = []
    for seed, preset in zip(range(1, 11), itertools.cycle(PRESETS)):
        parts = ("piano", "guitar", "bass", "drums")[: 3 + seed % 2]
        made = compose(bars=16, seed=seed, parts=parts, preset=preset, soundfont=font)
        paths.append(write_audio(made.mix.signal, folder / f"seed {seed}, {preset}.wav"))
    return paths


def main() -> None:
    """Run the races and print the tables."""
    parser = argparse.ArgumentParser(description="Meter, limiter and master beside other tools.")
    parser.add_argument("mixes", nargs="*", type=Path, help="sound files to compare loudness on; without, ten are made")
    parser.add_argument("--runs", type=int, default=5, help="how often each takes its turn")
    parser.add_argument("--soundfont", help="name or path; without it the best one found")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        rendered = render(song(), choose_soundfont(options.soundfont))
        stems = [open_audio(write_audio(stem.audio, folder / f"{stem.name}.wav")) for stem in rendered]
        total = Sum(stems, GAINS_DB)
        gain_db = CEILING_DBTP + LIMITING_DB - true_peak_dbtp(total)
        mix = write_audio(total, folder / "mix.wav", 32)
        seconds = total.frames / total.rate
        print(f"{seconds:.0f} s in stereo at {total.rate} frames a second;", end=" ")
        print(f"{os.cpu_count()} processors; median of {options.runs} runs, taking turns")
        print("\nMeasuring a mix:\n")
        memory = Audio(np.concatenate(list(total.blocks()), axis=1), total.rate)
        print_times(take_turns(meters(mix, memory), options.runs), seconds, {}, "")
        print(f"Four stems to a mix of 24 bits, {LIMITING_DB:g} dB over a ceiling of {CEILING_DBTP:g} dBTP:\n")
        race_to_files(limiters(stems, gain_db, folder), options.runs, seconds, folder)
        alone: Races = {"alone": lambda: list(limit(memory, gain_db, CEILING_DBTP).blocks())}
        _, used = take_turns(alone, options.runs)["alone"]
        print(f"The limiter alone, from memory to memory: {seconds / used:.0f} × real time of the processor.\n")
        print(f"A mix to {TARGET_LUFS:g} LUFS under {CEILING_DBTP:g} dBTP:\n")
        race_to_files(masters(mix, folder), max(options.runs // 2, 1), seconds, folder)
        if not shutil.which("ffmpeg"):
            print("(ffmpeg is not installed: nothing to compare the loudness with)")
            return
        print("| mix | midigen, LUFS | ffmpeg, LUFS | difference | range, LU | ffmpeg, LU | dBTP | ffmpeg, dBTP |")
        print("|---|--:|--:|--:|--:|--:|--:|--:|")
        differences = []
        for path in options.mixes or ten_mixes(options.soundfont, folder):
            ours, (lufs, range_lu, peak_dbtp) = measure(open_audio(path)), ffmpeg_reading(path)
            difference = ours.integrated_lufs - lufs if math.isfinite(ours.integrated_lufs) else 0.0
            differences.append(abs(difference))
            print(
                f"| {path.stem} | {ours.integrated_lufs:.3f} | {lufs:.3f} | {difference:+.3f} | {ours.range_lu:.2f} | "
                f"{range_lu:.2f} | {ours.true_peak_dbtp:.2f} | {peak_dbtp:.2f} |"
            )
        within = sum(difference <= AGREEMENT_LU for difference in differences)
        print(f"\nWithin {AGREEMENT_LU} LU: {within} of {len(differences)}; farthest {max(differences):.3f} LU.")


if __name__ == "__main__":
    main()
