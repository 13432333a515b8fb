"""One case after the other, in a process of its own that may die."""

from __future__ import annotations

import multiprocessing
import os
import resource
import signal
import tempfile
import time
import traceback
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

from benchmarks.fuzz.mutations import mutated
from benchmarks.fuzz.readers import READERS
from midigen.errors import MidigenError

MOST_SECONDS, MOST_MEGABYTES = 10.0, 500.0


class TooSlow(BaseException):
    """A case that took more than ten seconds. No ``Exception``, so that no reader takes it for its own."""


@dataclass(frozen=True)
class Finding:
    """A case that did what it may not, and what that was."""

    reader: str
    number: int
    what: str
    trace: str = ""


def judge(reader: str, data: bytes, folder: Path) -> tuple[str, str]:
    """Read ``data``: ``("read" or "refused", "")``, or what it did that it may not and a traceback."""
    one = READERS[reader]
    path = folder / one.name
    path.write_bytes(data)

    def ring(_: int, __: FrameType | None) -> None:
        raise TooSlow

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, MOST_SECONDS)
    began = time.monotonic()
    try:
        one.read(path, data)
        verdict = "read", ""
    except MidigenError as error:
        text = str(error)
        verdict = ("refused", "") if text and "\n" not in text else ("an error of several lines, or none", text)
    except TooSlow:
        verdict = "more than ten seconds", traceback.format_exc()
    except Exception as error:
        verdict = f"{type(error).__name__}: {error}".splitlines()[0][:160], traceback.format_exc()
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    if time.monotonic() - began > MOST_SECONDS and verdict[0] in ("read", "refused"):
        verdict = "more than ten seconds", ""
    return verdict


def megabytes() -> float:
    """The most memory that this process has had so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _work(reader: str, seed: int, first: int, last: int, at: Any, results: Any) -> None:
    # libmpg123 tells its mind on stderr about every broken MP3.
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        one = READERS[reader]
        seeds = one.seeds(folder)
        for data in seeds:  # all that is imported late is there before anything is measured
            judge(reader, data, folder)
        counts = {"read": 0, "refused": 0}
        peak = base = megabytes()
        for number in range(first, last):
            at.value = number
            what, trace = judge(reader, mutated(seeds, one.words, seed, number), folder)
            counts[what] = counts.get(what, 0) + 1
            if what not in ("read", "refused"):
                results.put(Finding(reader, number, what, trace))
            if megabytes() - base > MOST_MEGABYTES and megabytes() > peak:
                results.put(Finding(reader, number, f"{megabytes() - base:.0f} MB more than at the start"))
            peak = max(peak, megabytes())
        results.put((counts["read"], counts["refused"], peak - base))


def fuzz(reader: str, cases: int, seed: int) -> tuple[int, int, float, list[Finding]]:
    """``cases`` broken files: how many were read, how many refused, the memory taken (MB), and what was found."""
    context = multiprocessing.get_context("fork")
    read = refused = 0
    memory = 0.0
    found: list[Finding] = []
    first = 0
    while first < cases:
        at, results = context.Value("q", first), context.Queue()
        process = context.Process(target=_work, args=(reader, seed, first, cases, at, results))
        process.start()
        done = None
        while done is None:
            try:
                answer = results.get(timeout=1.0)
            except Exception:  # queue.Empty
                if process.is_alive():
                    continue
                break
            if isinstance(answer, Finding):
                found.append(answer)
            else:
                done = answer
        process.join()
        if done is None and process.exitcode == 1:
            raise RuntimeError(f"the reader {reader!r} could not be set up")
        if done is not None:
            read, refused, memory = read + done[0], refused + done[1], max(memory, done[2])
            break
        found.append(Finding(reader, at.value, f"the process ended with {process.exitcode}"))
        first = at.value + 1
    return read, refused, memory, found
