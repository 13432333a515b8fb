"""Mixing stems and writing sound files in multiples of real time, with rendering beside them.

    python -m benchmarks.sound [SONG.mid] [--runs 3] [--soundfont NAME|PATH]

They take turns in one run, and the table gives the median of the runs and their range: wall time, and the processor
time of the process. Without a file a song of 120 seconds for piano, guitar, bass and drums is written first.
Rendering beside other programs: ``python -m benchmarks.rendering``.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from pathlib import Path

from benchmarks.rendering import print_table, song, take_turns
from midigen.audio import write_audio
from midigen.midi import read_midi
from midigen.mixing import mix
from midigen.renderers import Stem, render
from midigen.renderers.cache import Cache
from midigen.soundfonts import choose_soundfont


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description="Mix and write in multiples of real time.")
    parser.add_argument("midi", nargs="?", type=Path, help="a .mid file; without it a song of 120 s is played")
    parser.add_argument("--runs", type=int, default=3, help="how often each takes its turn")
    parser.add_argument("--soundfont", help="name or path; without it the best one found")
    options = parser.parse_args()
    font = choose_soundfont(options.soundfont)
    score = read_midi(options.midi) if options.midi else song()
    stems: list[Stem] = render(score, font, cache=Cache(None))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)

        def write_all(suffix: str, bits: int = 24) -> None:
            for number, stem in enumerate(stems):
                write_audio(stem.audio, folder / f"{number}{suffix}", bits=bits)

        race = {
            "render to stems, nothing kept": lambda: render(score, font, cache=Cache(None)),
            "mix, written as WAV, 24 bits": lambda: write_audio(mix(stems).signal, folder / "mix.wav"),
            f"write {len(stems)} stems as WAV, 24 bits": lambda: write_all(".wav"),
            f"write {len(stems)} stems as FLAC, 24 bits": lambda: write_all(".flac"),
        }
        times = take_turns(race, options.runs)
    print(
        f"{score.duration_seconds:.0f} s of music, {len(stems)} stems; {font.name}; {os.cpu_count()} processors; ",
        end="",
    )
    print(f"median of {options.runs} runs, taking turns\n")
    print_table(times, score.duration_seconds)


if __name__ == "__main__":
    main()
