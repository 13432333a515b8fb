"""Whether a second thread pays, found out while the engine works.

Two threads gave a model 0.8 to 1.6 times the speed of one where the other core was free, and a sixth of it where it was
not (docs/lab-book.md), and a machine is not busy or free for good. As the threads never change a number, nothing has to
be settled beforehand: now and then a few steps are taken with each, in turn, and the faster goes on.
"""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable
from threading import Lock
from typing import Generic, TypeVar

Session = TypeVar("Session")

WORTH_SECONDS = 0.0015  # a step that is shorter is over before a second thread is awake
FIRST_LOOK = 8  # steps before the length of one is known
LOOK_EVERY = 256  # steps
LOOK_STEPS = 7  # of each, in a look; the first finds caches and threads cold and does not count
PATIENCE = 6  # slow steps in a row before a look that is not due yet
GAIN = 1.15  # by so much two threads have to be faster, as they take a core from rendering


class Pace(Generic[Session]):
    """Hands every step a session with one thread or with several: ``open_session(threads)`` makes one.

    ``most`` is how many threads a session may have. The second one is not opened before there is reason to.
    ``clock`` and ``cores`` are for tests.
    """

    def __init__(
        self,
        open_session: Callable[[int], Session],
        most: int,
        clock: Callable[[], float] = time.perf_counter,
        cores: int | None = None,
    ) -> None:
        self._open, self._clock = open_session, clock
        self._one = self._chosen = open_session(1)
        self._threads = min(most, cores or _processors(), 2)
        self._many: Session | None = None
        self._lock = Lock()
        self._steps = 0
        self._slow, self._alone = 0, 0.0  # steps of several threads in a row that were slower than one thread's were
        self._look: list[tuple[bool, float]] | None = None  # of a look: with several threads?, and seconds
        self._first: list[float] | None = [] if self._threads > 1 else None

    @property
    def threads(self) -> int:
        """How many threads a step has at present."""
        return self._threads if self._many is not None and self._chosen is self._many else 1

    def run(self, work: Callable[[Session], None], timed: bool) -> None:
        """``work`` with a session; ``timed`` where it is a step like the others, to be compared with them."""
        if self._threads < 2 or not timed:
            work(self._chosen)
            return
        many, session = self._next()
        began = self._clock()
        work(session)
        self._note(many, self._clock() - began)

    def _next(self) -> tuple[bool, Session]:
        with self._lock:
            if self._look is not None and self._many is not None:
                many = len(self._look) % 2 == 1
                return many, self._many if many else self._one
            return self._chosen is self._many, self._chosen

    def _note(self, many: bool, seconds: float) -> None:
        with self._lock:
            if self._first is not None:
                self._first.append(seconds)
                if len(self._first) == FIRST_LOOK:
                    worth = statistics.median(self._first) >= WORTH_SECONDS
                    self._first = None
                    if worth:
                        self._many, self._look = self._open(self._threads), []
                    else:
                        self._threads = 1
                return
            if self._look is None:
                self._steps += 1
                self._slow = self._slow + 1 if many and seconds > self._alone else 0
                if self._steps >= LOOK_EVERY or self._slow >= PATIENCE:
                    self._steps, self._slow, self._look = 0, 0, []
                return
            self._look.append((many, seconds))
            if len(self._look) >= 2 * LOOK_STEPS:
                one, several = ([s for which, s in self._look[2:] if which is kind] for kind in (False, True))
                self._alone = statistics.median(one)
                better = statistics.median(several) * GAIN < self._alone
                self._chosen = self._many if better and self._many is not None else self._one
                self._look = None


def _processors() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
