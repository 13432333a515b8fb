"""Every benchmark, one after the other, as ``docs/performance.md``.

python -m benchmarks            (about ten minutes on two cores)
"""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SECTIONS = (
    ("From a cold start to a song", ["compose", "--runs", "3"], "First targets: the whole command in 20 s, the first "
     "bar in 2 s, 1 GB of memory, `--help` in 0.3 s."),
    ("Notes a second", ["notes", "--runs", "3"], "The shipped checkpoint; grammar and sampling included."),
    ("Tokens a second", ["engines", str(ROOT / "midigen" / "checkpoints" / "default"), "base"],
     "The shipped checkpoint, and a model of the size `base` with random weights."),
    ("Rendering", ["rendering", "--runs", "2"], "Stems, beside the usual ways from MIDI to sound."),
    ("Effects", ["effects", "--runs", "2"], "Each on one stem in stereo, one thread."),
    ("Mixing", ["mixing", "--runs", "2"], "Four stems of a song, again with other settings."),
    ("Measuring and limiting", ["meter", "--runs", "2"], "Processor time is the one to compare."),
)  # fmt: skip


def main() -> None:
    """Run them all and write the page, beside first and then renamed."""
    page = [
        "# Performance",
        f"Written by `python -m benchmarks` on {len(os.sched_getaffinity(0))} cores ({platform.machine()}, Python "
        f"{platform.python_version()}). Medians; what is compared ran in turn in one process or one loop. The machine "
        "was shared, so ratios say more than seconds.",
    ]
    for title, words, note in SECTIONS:
        print(f"{title} ...", file=sys.stderr)
        done = subprocess.run(
            [sys.executable, "-m", f"benchmarks.{words[0]}", *words[1:]], cwd=ROOT, capture_output=True, text=True
        )
        if done.returncode:
            sys.exit(f"{words[0]} failed: {done.stderr.strip()[-500:]}")
        command = " ".join(word.replace(str(ROOT) + os.sep, "") for word in words)
        output = done.stdout.replace(str(ROOT) + os.sep, "").strip()
        page += [f"## {title}", f"`python -m benchmarks.{command}`. {note}", output]
    path = ROOT / "docs" / "performance.md"
    beside = path.with_name(path.name + ".part")
    beside.write_text("\n\n".join(page) + "\n", encoding="utf-8")
    os.replace(beside, path)


if __name__ == "__main__":
    main()
