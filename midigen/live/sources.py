"""Where bars come from: a piece that is being composed, or a song that is there already."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Protocol

import numpy as np

from midigen.composition.live import Bar, Change
from midigen.errors import BadRequest
from midigen.score import Part, Score


class Source(Protocol):
    """``score`` is the piece without its notes, ``bars`` how many come."""

    score: Score

    @property
    def bars(self) -> int: ...
    def write(self, on_bar: Callable[[Bar], Change | None]) -> None:
        """Give ``on_bar`` one bar after the other, and begin where the change that it returns says."""
        ...

    def begin_with(self, change: Change) -> None:
        """Take a change on before the first bar."""
        ...


class SongSource:
    """The bars of ``score``, a song of any origin."""

    def __init__(self, score: Score) -> None:
        self.score = score
        self._bars = bars_of(score)

    @property
    def bars(self) -> int:
        return len(self._bars)

    def write(self, on_bar: Callable[[Bar], Change | None]) -> None:
        """See :class:`Source`; a song that is there takes no changes."""
        for bar in self._bars:
            on_bar(bar)

    def begin_with(self, change: Change) -> None:
        """Raises :class:`BadRequest`."""
        raise BadRequest("chords change only while midigen composes: a song that is there keeps its own")


def bars_of(score: Score) -> list[Bar]:
    """The bars of a score, up to the one in which its last note, control or bend begins or its last note ends."""
    starts = score.bar_starts() if score.bars is None else score.bar_starts(score.bars + 1)
    pieces = [_pieces(part, starts) for part in score.parts]
    bars = []
    for number, (start, end) in enumerate(zip(starts[:-1].tolist(), starts[1:].tolist(), strict=True)):
        chords = tuple(text for text in score.chords if start <= text.tick < end)
        bars.append(Bar(number, start, end, tuple(piece[number] for piece in pieces), chords))
    return bars


def _pieces(part: Part, starts: np.ndarray) -> list[Part]:
    """What begins in each bar; the last has all that follows."""
    inner = starts[1:-1]

    def cut(ticks: list[int]) -> list[int]:
        return [0, *np.searchsorted(np.array(ticks, dtype=np.int64), inner, side="left").tolist(), len(ticks)]

    notes, controls = cut([n.onset_ticks for n in part.notes]), cut([c.tick for c in part.controls])
    bends = cut([b.tick for b in part.bends])
    return [
        replace(
            part,
            notes=part.notes[notes[bar] : notes[bar + 1]],
            controls=part.controls[controls[bar] : controls[bar + 1]],
            bends=part.bends[bends[bar] : bends[bar + 1]],
        )
        for bar in range(len(starts) - 1)
    ]
