"""Commands on one thread, and the processor time that they take: the measure of equal compute on a shared machine."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")


def processor_seconds(command: Sequence[str], log: Path, more: Mapping[str, str] | None = None) -> float:
    """Run ``command`` (what follows ``python -m``) on one thread, its output appended to ``log``; the processor
    seconds of it and of all that it started. Ends the program, naming the log, where it fails."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    with open(log, "a", encoding="utf-8") as file:
        done = subprocess.run(
            [sys.executable, "-m", *command], stdout=file, stderr=subprocess.STDOUT,
            env={**os.environ, **ONE_THREAD, **(more or {})},
        )  # fmt: skip
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode:
        sys.exit(f"{' '.join(command[:2])} failed; see the end of {log}")
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def training_seconds(command: Sequence[str], run: Path, log: Path) -> float:
    """Train with ``command`` into the folder ``run``, or go on there; its processor seconds.

    Nobody knows what a start that was killed had taken; then it is the time by the clock that the run wrote down, of
    all its starts, which is more than that where it had to share its core.
    """
    log_lines = run / "log.jsonl"
    resumed = log_lines.is_file()
    spent = processor_seconds(command, log)
    if not resumed:
        return spent
    return max(spent, float(json.loads(log_lines.read_text(encoding="utf-8").splitlines()[-1])["seconds"]))
