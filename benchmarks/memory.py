"""Most memory and time from a long MIDI file to a mix, through the commands: ``midigen render``, ``mix``, ``meter``.

    python -m benchmarks.memory                 ten minutes of four parts
    python -m benchmarks.memory --minutes 60    an hour (14 GB of disk for as long as it runs)

The song is that of :mod:`benchmarks.rendering`. Each command is a process of its own, whose peak (resident set) the
operating system tells; nothing is taken from the cache of stems, and nothing kept in it. Ends with an error where one
needs more than 1 GB: that is what an hour of four parts may take.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from benchmarks.compose import measure
from benchmarks.rendering import song
from midigen.midi import write_midi

BARS_A_MINUTE = 30  # 4/4 at 120
MOST_MEGABYTES = 1_000.0


def main() -> None:
    """Run the commands and print the table."""
    parser = argparse.ArgumentParser(description="Most memory from a long MIDI file to a mix.")
    parser.add_argument("--minutes", type=int, default=10, help="of music (default: 10)")
    parser.add_argument("--folder", help="where to work (default: the system's place for temporary files)")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=args.folder) as place:
        folder = Path(place)
        score = song(args.minutes * BARS_A_MINUTE)
        write_midi(score, folder / "long.mid")
        notes = sum(len(part.notes) for part in score.parts)
        print(f"{score.duration_seconds / 60:.0f} minutes, {len(score.parts)} parts, {notes:,} notes\n")
        print("| command | peak memory | wall s | × real time |\n|---|--:|--:|--:|", flush=True)
        highest = 0.0
        for words in (
            "render long.mid -o song",
            "mix song -o again.wav --picture again.png",
            "mix song/mix.toml --preset ballad -o ballad.ogg",
            "mix song --stems parts -o third.flac",
            "meter song/mix.wav",
        ):
            run = measure(words.split(), folder)
            highest = max(highest, run.peak_megabytes)
            speed = score.duration_seconds / run.wall_seconds
            print(f"| `{words}` | {run.peak_megabytes:.0f} MB | {run.wall_seconds:.0f} | {speed:.0f} |", flush=True)
            for path in (folder / "parts").glob("*"):  # gigabytes that nobody reads
                path.unlink()
    if highest > MOST_MEGABYTES:
        sys.exit(f"{highest:.0f} MB: more than {MOST_MEGABYTES:.0f}")


if __name__ == "__main__":
    main()
