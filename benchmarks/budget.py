"""Commands on one thread, and the processor time that they take: the measure of equal compute on a shared machine."""

from __future__ import annotations

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
