"""Where the thread that composes hands its bars on to the one that plays, and where chords change on the way."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from threading import Condition
from typing import TYPE_CHECKING

from midigen.composition.live import Bar, Change

if TYPE_CHECKING:
    from midigen.charts import Chart

MOST_AHEAD = 8  # bars that are written and not played yet
REWRITING_SECONDS = 0.5  # to read a window again and write its first bar, before it was measured


class Closed(Exception):
    """Nobody wants any more bars."""


@dataclass(frozen=True, eq=False)
class _Wish:
    """Chords from a bar on, from 0; ``None``: as soon as they can be had."""

    first: int | None
    chart: Chart | None
    text: str


class Handover:
    """Bars in order, from one thread to another.

    A change of chords begins at the first bar that can be written again before it is due. The bars that were written
    before stay until they are replaced: one that is due before its new version is done is played as it was, and the
    change begins a bar later. So a change never costs a gap. ``seconds_left`` tells how long it takes until the next
    bar is due (infinite: whoever plays waits for as long as need be), ``now`` is the time in seconds; ``bars`` come in
    all.
    """

    def __init__(
        self, seconds_left: Callable[[], float], now: Callable[[], float], bars: int, ahead: int = MOST_AHEAD
    ) -> None:
        self._seconds_left, self._now, self.bars, self._ahead = seconds_left, now, bars, ahead
        self._changed = Condition()
        self._ready: dict[int, Bar] = {}
        self._played: list[Bar] = []
        self._wishes: list[_Wish] = []
        self._rewriting: tuple[_Wish, int, float] | None = None  # what is written again, from where, since when
        self.rewriting_seconds = REWRITING_SECONDS
        self._ended = self._closed = self._rests = False
        self._error: BaseException | None = None
        self.effective: list[tuple[int, str]] = []  # chords, as they were said, and the bars (from 0) where they began
        self.bar_seconds = 2.0

    # The side that composes

    def first_change(self) -> Change | None:
        """Chords that are wished for from the very first bar."""
        with self._changed:
            due = [wish for wish in self._wishes if wish.first == 0]
            if not due:
                return None
            self._wishes = [wish for wish in self._wishes if wish.first != 0]
            self.effective.append((0, due[-1].text))
            return Change(0, due[-1].chart)

    def put(self, bar: Bar) -> Change | None:
        """Hand ``bar`` on; waits while enough are ready. Returns a change that is to be written first. Raises
        :class:`Closed`."""
        with self._changed:
            if bar.number < len(self._played):
                return self._late()
            if self._rewriting is not None:
                wish, first, since = self._rewriting
                if bar.number == first:
                    self.rewriting_seconds = 1.25 * (self._now() - since)
                    self._ready = {number: one for number, one in self._ready.items() if number < first}
                    self.effective = [*(one for one in self.effective if one[0] < first), (first, wish.text)]
                self._rewriting = None
            self._ready[bar.number] = bar
            self._ended = bar.number + 1 == self.bars
            self._changed.notify_all()
            while True:
                if self._closed:
                    raise Closed
                change = self._change(bar.number + 1)
                if change is not None:
                    return change
                # After the last bar too: there may be others in its place as long as it is not played.
                if len(self._ready) < self._ahead and not self._ended:
                    return None
                self._rests = True
                self._changed.wait_for(lambda: not self._rests)

    def _change(self, following: int) -> Change | None:
        """What is to be written first, where the bar ``following`` would be the next."""
        for wish in self._wishes:
            if wish.first is None or wish.first <= following:
                self._wishes.remove(wish)
                self._changed.notify_all()
                return self._begin(wish, following)
        return None

    def _begin(self, wish: _Wish, following: int) -> Change | None:
        """The change for ``wish``: at its bar, or at the first that can be had in time; none where the music ends
        before."""
        first, left = len(self._played), self._seconds_left()
        while first < following and left < self.rewriting_seconds:
            first, left = first + 1, left + self.bar_seconds
        first = min(max(first, wish.first or 0), following)
        if first >= self.bars:
            return None
        self._rewriting, self._ended = (wish, first, self._now()), False
        return Change(first, wish.chart, self._heard(first))

    def _late(self) -> Change | None:
        """What was written was played already, in its earlier version: begin later."""
        assert self._rewriting is not None
        wish, _, since = self._rewriting
        self.rewriting_seconds = max(self.rewriting_seconds, 1.25 * (self._now() - since))
        return self._begin(wish, len(self._played) + len(self._ready))

    def _heard(self, before: int) -> tuple[Bar, ...]:
        return tuple(
            self._played[number] if number < len(self._played) else self._ready[number]
            for number in range(max(0, before - MOST_AHEAD), before)
        )

    def fail(self, error: BaseException) -> None:
        """No more bars come, for something went wrong: :meth:`take` raises ``error``."""
        with self._changed:
            self._error = error
            self._changed.notify_all()

    # The side that plays

    def take(self, *, patient: bool) -> Bar | None:
        """The next bar; ``None`` where it is not written yet. ``patient`` waits for it, and has ``None`` at the end."""
        with self._changed:
            number = len(self._played)
            while patient and not self._settled(number):
                self._changed.wait()
            if number not in self._ready:
                if self._error is not None:  # after what there is
                    raise self._error
                return None
            bar = self._ready.pop(number)
            self._played.append(bar)
            self._rests = False
            self._changed.notify_all()
            return bar

    def _settled(self, number: int) -> bool:
        """Whether a bar is there to stay, or none will come."""
        if self._error is not None or number >= self.bars:
            return True
        wished = any(wish.first is None or wish.first <= number for wish in self._wishes)
        rewritten = self._rewriting is not None and self._rewriting[1] <= number
        return number in self._ready and not wished and not rewritten

    @property
    def composer_rests(self) -> bool:
        """Whether enough is written for now."""
        with self._changed:
            return self._rests

    @property
    def ready(self) -> int:
        """How many bars are ready to be played without a gap."""
        with self._changed:
            return len(self._ready)

    @property
    def has_ended(self) -> bool:
        """Whether all bars are played."""
        with self._changed:
            return len(self._played) >= self.bars

    @property
    def is_written(self) -> bool:
        """Whether no more bars come than are ready."""
        with self._changed:
            return self._ended or self._error is not None

    @property
    def played(self) -> list[Bar]:
        """The bars that were taken, as they were."""
        with self._changed:
            return list(self._played)

    # Anybody

    def wish(self, chart: Chart | None, text: str, bar: int | None = None) -> None:
        """Ask for other chords: from ``bar`` (from 0) on, or as soon as may be."""
        with self._changed:
            self._wishes.append(_Wish(bar, chart, text))
            self._rests = False
            self._changed.notify_all()

    def close(self) -> None:
        """Nobody wants any more bars: lets go of the thread that composes."""
        with self._changed:
            self._closed, self._rests = True, False
            self._changed.notify_all()
