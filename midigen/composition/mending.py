"""A piece measured before it is handed over: bars of a part that is not what was asked for are written again.

How much, how high and in what chords a part plays are averages over all that it writes; the hands keep them while it
is written, and what is off at its end is put right here, in a bounded number of rounds. A bar that comes back stays
what it is in the form: all that were the same are the same again.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from midigen.composition.counting import Count
from midigen.composition.table import Lane
from midigen.composition.writing import Writer
from midigen.tokenizers.window import FIRST_PART, HARMONY

ROUNDS = 3
MOST_AGAIN = 0.5  # of a part's bars, in one round


@dataclass(frozen=True)
class Miss:
    """By how much a part misses what was asked for: ``owed`` in units of ``of``, which measures a cell."""

    owed: float
    of: Callable[[Count], float]


def miss_of(lane: Lane, whole: Count, bars: float) -> Miss | None:
    """What a part that has played ``whole`` in ``bars`` misses first; ``None`` where it is as asked for."""
    if lane.density is not None and not lane.density[0] <= whole.notes / bars < lane.density[1]:
        goal = sum(lane.density) / 2
        return Miss(goal * bars - whole.notes, lambda count: goal - count.notes)
    if lane.together is not None and whole.onsets and not _inside(lane.together, whole.notes / whole.onsets):
        goal = sum(lane.together) / 2
        return Miss(goal * whole.onsets - whole.notes, lambda count: goal * count.onsets - count.notes)
    if lane.register is not None and whole.notes and not _inside(lane.register, whole.mean_pitch):
        middle = sum(lane.register) / 2
        return Miss(middle * whole.notes - whole.pitches, lambda count: middle * count.notes - count.pitches)
    return None


def _inside(bounds: tuple[float, float], value: float) -> bool:
    return bounds[0] <= value < bounds[1]


def mend(writer: Writer) -> None:
    """Write again what is off, until nothing is or :data:`ROUNDS` have passed."""
    table = writer.table
    wanted = table.wanted.copy()
    for _ in range(ROUNDS):
        again: dict[int, dict[int, list[int]]] = {}
        for number, lane in enumerate(table.lanes):
            bars = np.flatnonzero(wanted[number]).tolist()
            miss = miss_of(lane, writer.counts.of(number), len(bars)) if bars else None
            if miss is not None:
                again[number] = _worst(writer, number, bars, miss)
        if not any(again.values()):
            return
        for number, copies in again.items():
            for bar, others in copies.items():
                writer.counts.stand_for(number, bar, others)
        writer.write_again({(number, bar) for number, bars in again.items() for bar in bars})
        for number, copies in again.items():
            for bar, others in copies.items():
                writer.counts.stand_for(number, bar, ())
                writer.counts.keep(number, bar)
                for other in others:
                    writer.copy(number, bar, other)


def _worst(writer: Writer, number: int, bars: list[int], miss: Miss) -> dict[int, list[int]]:
    """The bars that are most to blame, each with those that are the same, until together they can make up for it."""
    table, row = writer.table, FIRST_PART + number
    alike: dict[tuple[bytes, bytes], list[int]] = defaultdict(list)
    for bar in bars:
        if (number, bar) not in table.sketches and not (table.ends and bar == table.bars - 1):
            alike[table.cell(row, bar).tobytes(), table.cell(HARMONY, bar).tobytes()].append(bar)
    side = float(np.sign(miss.owed))
    blame = {same[0]: side * miss.of(writer.counts.cell(number, same[0])) * len(same) for same in alike.values()}
    groups = sorted(alike.values(), key=lambda same: -blame[same[0]])
    chosen: dict[int, list[int]] = {}
    owed, count = abs(miss.owed), 0
    for first, *others in groups:
        if owed <= 0 or blame[first] <= 0 or (count and count + 1 + len(others) > MOST_AGAIN * len(bars)):
            break
        chosen[first] = others
        count += 1 + len(others)
        owed -= blame[first]
    return chosen
