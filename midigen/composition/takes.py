"""Several takes of one request, side by side, and the order in which a musician would want to hear them."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np

from midigen.composition.player import Player
from midigen.engines import Engine
from midigen.engines.together import side_by_side
from midigen.errors import BadRequest
from midigen.generation import Tally
from midigen.originality import Run, longest_run
from midigen.score import Part, Score

MOST_TAKES = 64
STUCK = 8  # bars of a part that are the same one after the other, from here on it is stuck
MOST_SHARED = 16  # notes in a row; of real songs of 32 bars three in a hundred share more with the others
MOST_MORE = 4
SEATS = 8  # takes that are written side by side; more gain little, and each has a past in memory


@dataclass(frozen=True)
class Take:
    """One take: what it is, the seed that makes it again, how surprising the model found it (nats a note), what is
    wrong with it, if anything, and the longest run that it shares with a song the model has learned from (``None``
    where that is not known)."""

    score: Score
    seed: int
    nats: float
    faults: tuple[str, ...] = ()
    run: Run | None = None

    def facts(self) -> dict[str, Any]:
        """As plain values, for the record."""
        shared = None if self.run is None else asdict(self.run)
        return {"seed": self.seed, "nats_a_note": round(self.nats, 3), "faults": list(self.faults), "shared": shared}


def seeds_of(seed: int, takes: int) -> list[int]:
    """The seeds of ``takes`` takes: the first is ``seed`` itself, so that one take is no special case."""
    more = np.random.SeedSequence(seed).generate_state(takes, dtype=np.uint32)
    return [seed, *(int(s) for s in more[1:])]


Make = Callable[[int, int, Player], tuple[Score, Tally, Sequence[str]]]


def make_takes(
    make: Make,
    player: Player,
    seed: int,
    takes: int,
    threads: int | None = None,
    *,
    most_shared: int = MOST_SHARED,
) -> list[Take]:
    """Call ``make(number, seed, player)`` for every take and put the takes in order: the best first.

    ``make`` returns a score, what the model drew for it, and in what it falls short of the request. Takes are shared
    out among threads, and those of one thread are written side by side, one run of the engine for all of them; none
    depends on the others. Fewest faults come first; of equals the one nearest to the middle of what the model finds
    likely: the likeliest is the dullest, and the unlikeliest is where it lost its way. The order does not depend on the
    number of threads. Where the player has an index, a take that shares more than ``most_shared`` notes with a song is
    at fault; where all are, up to four more are made.
    """
    if isinstance(takes, bool) or not isinstance(takes, int) or not 1 <= takes <= MOST_TAKES:
        raise BadRequest(f"takes {takes!r}: give 1 to {MOST_TAKES}")
    if not 12 <= most_shared <= 1000:
        raise BadRequest(f"shared notes {most_shared}: give 12 to 1000; runs under 12 are not told")
    seeds = seeds_of(seed, MOST_TAKES + MOST_MORE)
    workers = min(threads or len(_processors()), takes)

    index = player.index

    def one(number: int, player: Player) -> Take:
        score, tally, short = make(number, seeds[number], player)
        notes = sum(len(part.notes) for part in score.parts)
        faults = [*short, *faults_of(score)]
        run = longest_run(score, index) if index is not None else None
        if run is not None and run.notes > most_shared:
            faults.append(f"{run.part} shares {run.notes} notes in a row with a training song")
        return Take(score, seeds[number], tally.nats / max(notes, 1), tuple(faults), run)

    def some(numbers: Sequence[int]) -> list[Take]:
        works = [partial(_with_engine, one, number, player) for number in numbers]
        return side_by_side(player.engine.company(len(numbers)), works)

    if takes == 1:
        done = [one(0, player)]
    else:
        seats = min(SEATS, -(-takes // workers))
        groups = [range(first, min(first + seats, takes)) for first in range(0, takes, seats)]
        with ThreadPoolExecutor(workers) as pool:
            done = [take for group in pool.map(some, groups) for take in group]
    while len(done) < takes + MOST_MORE and all(take.run and take.run.notes > most_shared for take in done):
        done.append(one(len(done), player))
    middle = float(np.median([take.nats for take in done]))
    return sorted(done, key=lambda take: (len(take.faults), abs(take.nats - middle), take.seed))


def _with_engine(one: Callable[[int, Player], Take], number: int, player: Player, engine: Engine) -> Take:
    return one(number, replace(player, engine=engine))


def faults_of(score: Score) -> list[str]:
    """What makes a piece one that nobody would keep: an empty part, a bar that is stuck, a long silence."""
    starts = score.bar_starts(score.bars) if score.bars else score.bar_starts()
    faults = [f"{part.name} is empty" for part in score.parts if not part.notes]
    sounding = np.zeros(len(starts), dtype=bool)
    for part in score.parts:
        cells = _cells(part, starts)
        stuck = 1
        for before, after in pairwise(cells):
            stuck = stuck + 1 if before == after and before else 1
            if stuck == STUCK + 1 and not part.is_drum:
                faults.append(f"{part.name} is stuck on one bar")
        if not part.is_drum:
            sounding |= np.array([bool(cell) for cell in cells])
    silent = longest = 0
    for heard in sounding.tolist():
        silent = 0 if heard else silent + 1
        longest = max(longest, silent)
    if longest > 2:
        faults.append(f"{longest} bars of silence")
    return faults


def _cells(part: Part, starts: np.ndarray) -> list[tuple[tuple[int, int], ...]]:
    """Onsets and pitches of a part, bar by bar."""
    cells: list[list[tuple[int, int]]] = [[] for _ in starts]
    for note in part.notes:
        bar = int(np.searchsorted(starts, note.onset_ticks, side="right")) - 1
        cells[bar].append((note.onset_ticks - int(starts[bar]), note.pitch))
    return [tuple(sorted(cell)) for cell in cells]


def _processors() -> set[int]:
    return os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else set(range(os.cpu_count() or 1))
