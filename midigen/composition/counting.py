"""What each part has played so far, counted: what the hands that keep averages go by."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from midigen.composition.table import Table

SLACK = 0.5  # of a bar's notes: how far a part may be from what it should have played by now
INSIDE = 0.15  # of the width of what was asked for: how far from its edges the average is to stay


@dataclass(frozen=True)
class Count:
    """The notes of one cell: how many, the sum of their pitches, and at how many places they begin."""

    notes: int = 0
    pitches: int = 0
    onsets: int = 0

    def __add__(self, other: Count) -> Count:
        return Count(self.notes + other.notes, self.pitches + other.pitches, self.onsets + other.onsets)

    @classmethod
    def of(cls, notes: np.ndarray) -> Count:
        """Of notes ``(n, 4)``: position, duration, pitch, velocity bin."""
        return cls(len(notes), int(notes[:, 2].sum()), len(np.unique(notes[:, 0])))

    @property
    def mean_pitch(self) -> float:
        """The mean pitch of what was played; 0 for nothing."""
        return self.pitches / max(self.notes, 1)


@dataclass(frozen=True)
class Share:
    """What a bar should hold for the average to come out: about ``goal`` notes, and from ``least`` to ``most``."""

    goal: float
    least: float
    most: float


class Counts:
    """What was written of the ``open_bars`` of ``table``, part by part: totals that are kept as cells come and go."""

    def __init__(self, table: Table, open_bars: list[int]) -> None:
        self._table = table
        self._longest = max((table.length(bar) for bar in open_bars), default=1)
        self._all = sum(table.length(bar) for bar in open_bars) / self._longest  # in bars as long as the longest
        closes = table.ends and table.bars - 1 in open_bars
        self._closing = table.length(table.bars - 1) / self._longest if closes else 0.0
        self._cells: dict[tuple[int, int], Count] = {}
        self._times: dict[tuple[int, int], int] = {}  # cells that stand for more bars than their own
        self._whole: dict[int, Count] = {}
        self._positions: dict[int, int] = {}  # how much music that is

    def keep(self, part: int, bar: int) -> None:
        """Count a cell that has just been written."""
        self.forget(part, bar)
        count = self._cells[part, bar] = Count.of(self._table.notes(part, bar))
        self._add(part, bar, count, self._times.get((part, bar), 1))

    def forget(self, part: int, bar: int) -> None:
        """Take a cell back, where it has been counted."""
        count = self._cells.pop((part, bar), None)
        if count is not None:
            self._add(part, bar, count, -self._times.get((part, bar), 1))

    def stand_for(self, part: int, bar: int, others: Sequence[int]) -> None:
        """Let a bar that is to be written count for ``others`` as well, which will be the same. With none it is itself
        again, and the others have to be kept anew."""
        for cell in (bar, *others):
            self.forget(part, cell)
        self._times[part, bar] = 1 + len(others)

    def _add(self, part: int, bar: int, count: Count, times: int) -> None:
        self._whole[part] = self.of(part) + Count(times * count.notes, times * count.pitches, times * count.onsets)
        self._positions[part] = self._positions.get(part, 0) + times * self._table.length(bar)

    def of(self, part: int) -> Count:
        """All that a part has played."""
        return self._whole.get(part, Count())

    def cell(self, part: int, bar: int) -> Count:
        """What a part plays in a bar that has been counted."""
        return self._cells[part, bar]

    def share(self, part: int, bar: int, density: tuple[float, float]) -> Share:
        """What ``part`` should play in ``bar``, knowing what it has played, for ``density``, its bounds a bar."""
        # A bar that closes holds next to nothing: the others make up for it.
        more = self._all / (self._all - self._closing) if self._all > self._closing else 1.0
        low, high = (bound * more for bound in density)
        middle, margin = (low + high) / 2, INSIDE * (high - low)
        times = self._times.get((part, bar), 1)
        bars = (self._positions.get(part, 0) + times * self._table.length(bar)) / self._longest
        played = self.of(part).notes
        goal = float(np.clip((middle * bars - played) / times, 0.4 * middle, 1.7 * middle))
        slack = max(SLACK * middle, 0.5)
        least, most = (low + margin) * bars - played, (high - margin) * bars - played
        return Share(goal, least / times - slack, most / times + slack)
