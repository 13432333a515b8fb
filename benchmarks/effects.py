"""Every effect on one stem in stereo, in multiples of real time.

    python benchmarks/effects.py [STEM.wav] [--runs 5] [--block 65536]

The effects take turns in one run on one thread, and the table gives the median of the runs and their range: wall time,
and the processor time, which other programs on the machine disturb less. Without a file, 120 seconds of a plucked sound
are made first. Making the processors is measured apart: it happens once a stem.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from midigen.audio import Audio, read_audio
from midigen.effects import Setting
from midigen.effects.delay import Delay, note_seconds
from midigen.effects.dynamics import Compressor, Ducking
from midigen.effects.equaliser import Equaliser
from midigen.effects.reverb import Reverb, reverb_named
from midigen.effects.stereo import Stereo

RATE = 44_100
SETTINGS: dict[str, Setting] = {
    "stereo: pan, width, gain": Stereo(pan=0.3, width=1.2, gain_db=-3),
    "equaliser: one band": Equaliser(mid_db=3),
    "equaliser: high-pass 12 dB, three bands": Equaliser(high_pass_hz=80, low_db=2, mid_db=-3, high_db=1.5),
    "equaliser: high-pass 24 dB, three bands": Equaliser(80, 24, low_db=2, mid_db=-3, high_db=1.5),
    "compressor": Compressor(threshold_db=-24, ratio=4),
    "ducking (the stem is the key)": Ducking(depth_db=6),
    "delay: dotted eighth": Delay(note_seconds("1/8.", 110)),
    "delay: sixteenth, ping-pong": Delay(note_seconds("1/16", 110), ping_pong=True),
    "reverb: room, 0.5 s": reverb_named("room"),
    "reverb: plate, 1.5 s": reverb_named("plate"),
    "reverb: 2 s": Reverb(decay_seconds=2),
    "reverb: hall, 2.2 s": reverb_named("hall"),
    "reverb: 6 s": Reverb(decay_seconds=6),
}


def plucked(seconds: float, rate: int = RATE) -> Audio:
    """A note every quarter of a second, from the left to the right, with some hiss."""
    dice = np.random.default_rng(5)
    frames = round(seconds * rate)
    time_of_note = np.arange(2 * rate) / rate
    samples = (0.001 * dice.standard_normal((2, frames))).astype(np.float32)
    for onset in range(0, frames, rate // 4):
        pitch_hz = 110 * 2 ** (dice.integers(0, 25) / 12)
        harmonics = (np.sin(2 * np.pi * k * pitch_hz * time_of_note) / k for k in range(1, 5))
        note = (0.2 * np.exp(-3 * time_of_note) * sum(harmonics))[: frames - onset]
        place = dice.random()
        for side, share in enumerate((1 - place, place)):
            samples[side, onset : onset + len(note)] += (note * share).astype(np.float32)
    return Audio(samples, rate)


def run_through(setting: Setting, stem: Audio, block_frames: int) -> None:
    """The whole stem through one new processor."""
    effect = setting.processor(stem.rate)
    for start in range(0, stem.frames, block_frames):
        effect.process(stem.samples[:, start : start + block_frames])


def measured(action: Callable[[], object]) -> tuple[float, float]:
    """Seconds on the wall and on the processor."""
    wall, processor = time.perf_counter(), time.process_time()
    action()
    return time.perf_counter() - wall, time.process_time() - processor


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description="Effects in multiples of real time.")
    parser.add_argument("stem", nargs="?", type=Path, help="a sound file; without it 120 s are made")
    parser.add_argument("--runs", type=int, default=5, help="how often each takes its turn")
    parser.add_argument("--block", type=int, default=65_536, help="frames a block")
    options = parser.parse_args()
    stem = read_audio(options.stem) if options.stem else plucked(120)
    if stem.channels != 2:
        sys.exit(f"{options.stem}: {stem.channels} channels; give a stem in stereo")
    # Once unmeasured, which loads what they need; the rooms are then there already.
    making = {name: measured(partial(setting.processor, stem.rate)) for name, setting in SETTINGS.items()}
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in SETTINGS}
    for _ in range(options.runs):
        for name, setting in SETTINGS.items():
            times[name].append(measured(partial(run_through, setting, stem, options.block)))
    print(f"{stem.seconds:.0f} s in stereo at {stem.rate} frames a second, blocks of {options.block} frames;", end=" ")
    print(f"{os.cpu_count()} processors; median of {options.runs} runs, taking turns\n")
    print("| | wall s | range | × real time | processor s | × real time | made in s |\n|---|--:|--:|--:|--:|--:|--:|")
    for name, runs in times.items():
        walls = [wall for wall, _ in runs]
        wall, processor = statistics.median(walls), statistics.median(used for _, used in runs)
        print(
            f"| {name} | {wall:.3f} | {min(walls):.3f}–{max(walls):.3f} | {stem.seconds / wall:.0f} | {processor:.3f} "
            f"| {stem.seconds / processor:.0f} | {making[name][0]:.2f} |"
        )


if __name__ == "__main__":
    main()
