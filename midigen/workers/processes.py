"""Tasks in processes of this machine, one a processor."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing import get_context
from typing import Any

from midigen.errors import BadRequest, MidigenError
from midigen.orphans import end_with_parent


class Processes:
    """A pool of ``hands`` processes (``None``: one for every processor that may be used). See
    :class:`midigen.workers.Crew`."""

    shares_disk = True

    def __init__(self, hands: int | None = None, address: str | None = None) -> None:
        if address is not None:
            raise BadRequest(f"address {address!r}: processes run here; leave it out, or choose the crew ray")
        usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        self._hands = hands or usable

    def run(self, task: Callable[[Any], Any], jobs: Sequence[Any]) -> Iterator[tuple[int, Any]]:
        """See :class:`midigen.workers.Crew`."""
        hands = max(min(self._hands, len(jobs)), 1)
        # A fresh interpreter each: forking a process whose libraries run threads may hang.
        with _quiet_tracker(), ProcessPoolExecutor(hands, get_context("spawn"), initializer=end_with_parent) as pool:
            running: dict[Future[Any], int] = {}
            waiting = iter(enumerate(jobs))
            try:
                for number, job in waiting:
                    running[pool.submit(task, job)] = number
                    if len(running) > hands:
                        yield from _finished(running)
                while running:
                    yield from _finished(running)
            except BrokenProcessPool:
                raise MidigenError(
                    "a process ended in the middle of its work (out of memory?); give fewer --jobs and go on"
                ) from None
            except BaseException:  # what runs is finished, what waits is for another time
                pool.shutdown(wait=False, cancel_futures=True)
                raise


@contextmanager
def _quiet_tracker() -> Iterator[None]:
    """Python's tracker of semaphores cleans up after a program that was stopped, and would tell the user of it. It is
    begun with the pool, and reads what not to say from the environment."""
    before = os.environ.get("PYTHONWARNINGS")
    os.environ["PYTHONWARNINGS"] = ",".join(filter(None, [before, "ignore:resource_tracker"]))
    try:
        yield
    finally:
        if before is None:
            del os.environ["PYTHONWARNINGS"]
        else:
            os.environ["PYTHONWARNINGS"] = before


def _finished(running: dict[Future[Any], int]) -> Iterator[tuple[int, Any]]:
    done, _ = wait(running, return_when=FIRST_COMPLETED)
    for future in sorted(done, key=running.__getitem__):
        yield running.pop(future), future.result()
