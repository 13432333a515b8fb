"""A piece that is handed on bar by bar while it is written, and takes other chords on the way.

The bars are those of :func:`midigen.composition.write_piece`, at the same seed, as long as nobody changes anything (but
what has been heard is not mended).
Chords that are given cannot change inside a window, whose later bars know them: what is not heard yet is taken back,
and the next window, with the bars before it read again, begins there. It is drawn from a seed of its own, by the
piece's and its bar, so that the same changes at the same bars give the same piece however far the writing was ahead.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from midigen.analysis import note_names
from midigen.composition import played, score_of
from midigen.composition.player import Player
from midigen.composition.settling import Request, open_table
from midigen.composition.table import Table
from midigen.composition.writing import USUAL, Leaning, Writer
from midigen.errors import BadRequest
from midigen.generation import Sampling
from midigen.grid import METRES, velocities_of
from midigen.score import Note, Part, Score, Text
from midigen.tokenizers.decoding import TICKS_PER_POSITION
from midigen.tokenizers.spelling import read_chords, spell_chords
from midigen.tokenizers.window import HARMONY

if TYPE_CHECKING:
    from midigen.charts import Chart


@dataclass(frozen=True, eq=False)
class Bar:
    """A bar of music, ``number`` from 0: what begins in it, at ticks of the whole piece.

    Each of ``parts`` holds the notes (and controls and bends, where there are any) that begin from ``start_ticks`` on
    and before ``end_ticks``; notes may last longer. ``chords`` are the symbols that stand in it. ``cells`` are how the
    model wrote it, for :class:`Change`; a bar of a song that was there already has none.
    """

    number: int
    start_ticks: int
    end_ticks: int
    parts: tuple[Part, ...]
    chords: tuple[Text, ...] = ()
    cells: tuple[np.ndarray, ...] = ()


@dataclass(frozen=True, eq=False)
class Change:
    """Other chords from the bar ``first`` (from 0) on: those of ``chart``, again and again, or the model's own
    (``None``).

    ``heard`` are bars before it as they stand: where one was played in an earlier version than was written last, the
    music goes on from that.
    """

    first: int
    chart: Chart | None
    heard: tuple[Bar, ...] = ()


class _Taken(Exception):
    """The window is left: what follows is written again."""


class LivePiece:
    """A piece as ``request`` asks for it, written by :meth:`write` and handed on as it comes.

    ``score`` is the piece without its notes: tempo, metre, key, parts and their sounds. Raises :class:`BadRequest` for
    what can be played only when a piece is whole.
    """

    def __init__(self, request: Request, player: Player, leaning: Leaning = USUAL) -> None:
        prompt = request.prompt
        assert prompt.seed is not None
        if prompt.humanise:
            raise BadRequest("humanise needs the whole piece: compose it, then play the song, or leave humanise out")
        self._request = request
        self._random = np.random.Generator(np.random.PCG64(prompt.seed))
        sampling = Sampling(prompt.temperature, prompt.top_p)
        self._table, self._key = open_table(
            request, player.engine, player.vocabulary, player.tokenizer, sampling, self._random
        )
        self._writer = Writer(self._table, player.engine, sampling, self._random, leaning, self._bar_done)
        self._charts: list[tuple[int, Chart | None]] = [(0, request.chart)]
        self._on_bar: Callable[[Bar], Change | None] = lambda bar: None
        self.score = played(score_of(request, self._table, self._key), prompt)

    @property
    def bars(self) -> int:
        return self._table.bars

    @property
    def metre(self) -> str:
        return METRES[int(self._table.metres[0])]

    def write(self, on_bar: Callable[[Bar], Change | None]) -> None:
        """Write the piece. ``on_bar`` is given every bar as it is done, and may hold the writing up as long as it
        likes; what it returns goes on before the next bar is written, be it for bars that are written already."""
        self._on_bar = on_bar
        while self._table.next_open() is not None:
            try:
                self._writer.write()
            except _Taken:
                continue

    def begin_with(self, change: Change) -> None:
        """Take ``change`` on before anything is written."""
        self._take(change)

    def whole(self, heard: Sequence[Bar]) -> Score:
        """The piece that the bars ``heard`` are, the first of them and as many as there are."""
        bars = len(heard)
        cells: list[list[np.ndarray | None]]
        cells = [[bar.cells[row] for bar in heard] for row in range(self._table.rows)]
        score = score_of(self._request, replace(_beginning(self._table, bars), cells=cells), self._key)
        markers = tuple(text for text in score.markers if text.tick < score.end_ticks)
        chords = score.chords
        if len(self._charts) > 1:
            said = [text for bar in heard for text in bar.chords]
            chords = tuple(text for number, text in enumerate(said) if not number or said[number - 1].text != text.text)
        return played(replace(score, markers=markers, chords=chords), self._request.prompt)

    def _bar_done(self, done: int, total: int) -> None:
        change = self._on_bar(self._bar(done - 1))
        if change is not None:
            self._take(change)
            raise _Taken

    def _take(self, change: Change) -> None:
        table, first = self._table, change.first
        for bar in change.heard:
            now = [row[bar.number] for row in table.cells]
            if any(cell is not one for cell, one in zip(now, bar.cells, strict=True)):
                self._writer.put_back(bar.number, bar.cells)
        rest = table.bars - first
        harmony: list[np.ndarray | None] = [None] * rest
        if change.chart is not None and rest:
            ids, lengths = spell_chords(change.chart.chords(rest, self.metre), rest, table.vocabulary)
            starts = np.concatenate([[0], np.cumsum(lengths)])
            harmony = [ids[starts[n] : starts[n + 1]].astype(np.uint16) for n in range(rest)]
        self._charts = [*(one for one in self._charts if one[0] < first), (first, change.chart)]
        self._writer.take_back(first, harmony)
        # As if nothing had been drawn since: how far the writing was ahead is nobody's choice.
        seed = self._request.prompt.seed
        self._random.bit_generator.state = np.random.PCG64([seed or 0, first + 1]).state

    def _bar(self, number: int) -> Bar:
        """A bar that is done, played as it will be in the whole piece."""
        table = self._table
        start, length = number * table.length(number) * TICKS_PER_POSITION, table.length(number) * TICKS_PER_POSITION
        parts = []
        for lane, part in enumerate(self.score.parts):
            notes = [
                Note(onset, pitch, min(duration * TICKS_PER_POSITION, self.score.end_ticks - onset), velocity)
                for position, duration, pitch, velocity in _spelled(table.notes(lane, number))
                for onset in [start + position * TICKS_PER_POSITION]
            ]
            parts.append(replace(part, notes=tuple(sorted(notes)), controls=part.controls if not number else ()))
        sounding = played(replace(self.score, parts=tuple(parts)), self._request.prompt).parts
        cells = tuple(table.cell(row, number) for row in range(table.rows))
        return Bar(number, start, start + length, sounding, tuple(self._symbols(number)), cells)

    def _symbols(self, number: int) -> list[Text]:
        """The chords of a bar: as the musician wrote them, else as the model did."""
        table = self._table
        start = number * table.length(number) * TICKS_PER_POSITION
        first, chart = max((one for one in self._charts if one[0] <= number), key=lambda one: one[0])
        if chart is not None:
            places = chart.symbols(number - first + 1, self.metre)
            return [Text(start + at * TICKS_PER_POSITION, text) for bar, at, text in places if bar == number - first]
        names = note_names(*self._key)
        chords = read_chords(table.cell(HARMONY, number), number, table.vocabulary)
        return [Text(start + chord.position * TICKS_PER_POSITION, chord.spelled(names)) for chord in chords]


def _spelled(notes: np.ndarray) -> Any:
    """Rows of position, duration, pitch and velocity (1 to 127)."""
    return np.concatenate([notes[:, :3], velocities_of(notes)[:, None]], axis=1).tolist()


def _beginning(table: Table, bars: int) -> Table:
    """The first ``bars`` of ``table``."""
    return replace(
        table,
        metres=table.metres[:bars],
        tempos=table.tempos[:bars],
        shifts=table.shifts[:bars],
        keys=table.keys[:bars],
        wanted=table.wanted[:, :bars],
        follows=table.follows[:bars],
        sections=table.sections[:bars],
        cells=[row[:bars] for row in table.cells],
    )
