"""What each part has played so far, counted: what the hands that keep averages go by."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from midigen.composition.table import Lane, Table

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


@dataclass
class Counts:
    """The counts of every cell of ``table`` that was written, by part and bar."""

    table: Table
    open_bars: list[int]
    cells: dict[tuple[int, int], Count] = field(default_factory=dict)

    def keep(self, part: int, bar: int) -> None:
        """Count a cell that has just been written."""
        self.cells[part, bar] = Count.of(self.table.notes(part, bar))

    def forget(self, part: int, bar: int) -> None:
        self.cells.pop((part, bar), None)

    def of(self, part: int) -> Count:
        """All that a part has played."""
        return sum((count for (number, _), count in self.cells.items() if number == part), Count())

    def share(self, part: int, bar: int, lane: Lane) -> Share:
        """What ``part`` should play in ``bar``, knowing what it has played, for the density that was asked for."""
        assert lane.density is not None
        table = self.table
        longest = max(table.length(b) for b in self.open_bars)
        whole = sum(table.length(b) for b in self.open_bars) / longest
        closing = table.length(table.bars - 1) / longest if table.ends and self.open_bars[-1] == table.bars - 1 else 0.0
        # A bar that closes holds next to nothing: the others make up for it.
        more = whole / (whole - closing) if whole > closing else 1.0
        low, high = (bound * more for bound in lane.density)
        middle, margin = (low + high) / 2, INSIDE * (high - low)
        bars = sum(table.length(b) for n, b in self.cells if n == part) / longest + table.length(bar) / longest
        played = self.of(part).notes
        goal = float(np.clip(middle * bars - played, 0.4 * middle, 1.7 * middle))
        slack = max(SLACK * middle, 0.5)
        return Share(goal, (low + margin) * bars - played - slack, (high - margin) * bars - played + slack)
