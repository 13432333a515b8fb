"""Every benchmark, one after the other, as ``docs/performance.md``.

python -m benchmarks                    all of them: about fifteen minutes on two cores
python -m benchmarks rendering meter    these alone; the rest of the page stays as it is
"""

from __future__ import annotations

import argparse
import os
import platform
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SECTIONS = (
    ("From a cold start to a song", ["compose", "--runs", "3"], "Targets: the whole command in 8 s, the first bar in "
     "1 s, 600 MB of memory, `--help` in 0.2 s."),
    ("The same, computed exactly", ["compose", "--runs", "3", "--", "--bars", "32", "--seed", "7", "--mode", "exact"],
     "In float32 instead of 8 bits."),
    ("A piece", ["notes", "--runs", "3"], "The shipped checkpoint; grammar and sampling included. Target: 10 times as "
     "fast as `generate` with one token an attribute."),
    ("Beside MIDI-GPT", ["peers.midi_gpt", "--runs", "3"], "Target: 5 times its notes a second."),
    ("Tokens a second", ["engines", str(ROOT / "midigen" / "checkpoints" / "default"), "small", "base"],
     "The shipped checkpoint, and models of 8 and 25 million parameters with random weights. Targets: 8 and 6 times "
     "`generate`."),
    ("What the fast mode costs", ["quality"], "With an archive of songs as its argument it reads those instead. Bound: "
     "half a percent."),
    ("Takes", ["takes", "--runs", "3"], "Whatever the company and the threads, the notes are the same."),
    ("A bar, as pieces get longer", ["length", "--runs", "1"], "Target: flat."),
    ("Many songs", ["many", "--count", "4"], "The whole journey for each song."),
    ("Stems begun early", ["overlap", "--runs", "2"], "Rendering while the piece is written."),
    ("Live", ["live", "--runs", "2"], "Playing while composing. Target: the first bar within 1 s, blocks far under the "
     "11.6 ms that they last, composing twice as fast as the music."),
    ("Rendering", ["rendering", "--runs", "3"], "Stems, beside the usual ways from MIDI to sound."),
    ("Effects", ["effects", "--runs", "2"], "Each on one stem in stereo, one thread."),
    ("Mixing", ["mixing", "--runs", "3"], "Four stems of a song, again with other settings."),
    ("Measuring and limiting", ["meter", "--runs", "3"], "Processor time is the one to compare."),
    ("Memory", ["memory"], "From a long MIDI file to a mix, through the commands; an hour with `--minutes 60`."),
)  # fmt: skip


def main() -> None:
    """Run those that are named, or all, and write the page, beside first and then renamed."""
    names = [words[0] for _, words, _ in SECTIONS]
    parser = argparse.ArgumentParser(description="Every benchmark, as docs/performance.md.")
    parser.add_argument("only", nargs="*", metavar="NAME", help=f"these alone, of {', '.join(names)}")
    only = parser.parse_args().only
    for name in only:
        if name not in names:
            parser.error(f"no benchmark {name!r}: choose from {', '.join(names)}")
    path = ROOT / "docs" / "performance.md"
    before = dict(_sections(path.read_text(encoding="utf-8"))) if only else {}
    page = [
        "# Performance",
        f"Written by `python -m benchmarks` on {len(os.sched_getaffinity(0))} cores ({platform.machine()}, Python "
        f"{platform.python_version()}). Medians; what is compared ran in turn in one process or one loop. The machine "
        "was shared, so ratios say more than seconds.",
    ]
    for title, words, note in SECTIONS:
        if only and words[0] not in only:
            page += [before[title]] if title in before else []
            continue
        print(f"{title} ...", file=sys.stderr)
        done = subprocess.run(
            [sys.executable, "-m", f"benchmarks.{words[0]}", *words[1:]], cwd=ROOT, capture_output=True, text=True
        )
        if done.returncode:
            sys.exit(f"{words[0]} failed: {done.stderr.strip()[-500:]}")
        command = " ".join(word.replace(str(ROOT) + os.sep, "") for word in words)
        output = done.stdout.replace(str(ROOT) + os.sep, "").strip()
        page.append(f"## {title}\n\n`python -m benchmarks.{command}`. {note}\n\n{output}")
    beside = path.with_name(path.name + ".part")
    beside.write_text("\n\n".join(page) + "\n", encoding="utf-8")
    os.replace(beside, path)


def _sections(page: str) -> Iterator[tuple[str, str]]:
    """The title and the text of each section of the page that is there."""
    for text in re.split(r"^(?=## )", page, flags=re.MULTILINE)[1:]:
        yield text.splitlines()[0].removeprefix("## "), text.strip()


if __name__ == "__main__":
    main()
