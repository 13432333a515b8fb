"""From a table with open cells to a table that is written: window by window, under the grammar, with hands."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial

import numpy as np

from midigen.analysis import NO_CHORD, beat_length
from midigen.composition.counting import Counts
from midigen.composition.layout import NEXT_FILL, Layout, look_back, next_window
from midigen.composition.leaning import USUAL, Conductor, Leaning
from midigen.composition.table import Table, moved
from midigen.composition.tonality import Tonality
from midigen.engines import Engine
from midigen.errors import CheckpointError
from midigen.generation import Drawn, Forced, Hand, OutOfContext, Sampling, Tally, write
from midigen.tokenizers.grammar import Cell, FormCell, HarmonyCell, PartCell, SettledCell
from midigen.tokenizers.spelling import read_form
from midigen.tokenizers.vocabulary import END, FILL
from midigen.tokenizers.window import ABSENT, FIRST_PART, FORM, GIVEN, HARMONY, MISSING, bar_ids, header_ids, lane_id

QUIETEST = 4  # velocity bin (16 to 19); SoundFonts play the faintest velocities as silence
SILENT_BARS = 2  # a part that was asked for plays at least once in as many bars

OnBar = Callable[[int, int], None]


@dataclass
class Writer:
    """Writes the open cells of ``table`` with ``engine``. ``on_bar(done, total)`` counts the bars that were open."""

    table: Table
    engine: Engine
    sampling: Sampling
    random: np.random.Generator
    leaning: Leaning = USUAL
    on_bar: OnBar | None = None
    tally: Tally = field(default_factory=Tally)

    def __post_init__(self) -> None:
        self._open = [bar for bar in range(self.table.bars) if self.table.open(bar)]
        self._repeated: dict[int, set[int]] = {}  # bar: rows taken over from the bar that it follows
        self._luck: dict[int, np.ndarray] = {}  # bar: a number for each part, 0 to 1
        # What the musician gave is fed; what the model writes into the same lanes is not theirs.
        self._theirs = {
            (row, bar) for row in (FORM, HARMONY) for bar in self._open if self.table.cells[row][bar] is not None
        }
        self._again: list[int] = []  # bars that are written twice
        self._rewrites = False  # whether they are being written for the second time
        self._stands = False  # whether form and harmony are not to be written, but parts again
        self._backs: dict[int, int] = {}  # how far before a window that begins there lies a section to come back
        self.counts = Counts(self.table, self._open)
        self.tonality = Tonality(int(self.table.keys[0])) if self.table.holds_key else None
        self._conductor = Conductor(self.table, self.leaning, self.counts, self.tonality, self._theirs)

    def write(self) -> Tally:
        """Write everything that is open; returns what was drawn."""
        self._again = self._deaf()
        self._write_open()
        if self._again:
            # Their chords could only be written with the known parts far before them. Now that the chords stand, the
            # parts are written once more with those beside them; what repeats is settled.
            self._stands, self._rewrites = True, True
            self._forget(self._again)
            try:
                self._write_open()
            finally:
                self._stands, self._rewrites = False, False
        return self.tally

    def _deaf(self) -> list[int]:
        """The open bars whose chords are open too, though a part of them is known."""
        table = self.table
        return [
            bar
            for bar in self._open
            if not table.wanted[:, bar].all() and table.cells[HARMONY][bar] is None and table.open(bar)
        ]

    def _write_open(self) -> None:
        while (begin := self.table.next_open()) is not None:
            back = self._look_back(begin)
            # What comes back is shown at the beginning of a window: a wide one has nothing that does.
            wide = not back and begin + NEXT_FILL < self.table.bars and not self._look_back(begin + NEXT_FILL)
            layout = next_window(self.table, self.engine.context, self.table.vocabulary, back, wide)
            try:
                self._write_window(layout)
            except OutOfContext:
                # Bars that are whole stand; the one that broke off is written again in the next window.
                broken = self.table.next_open()
                assert broken is not None
                self._forget(range(broken, layout.fill.stop))
                if broken == begin:
                    raise CheckpointError(
                        f"one bar of {len(self.table.lanes)} parts does not fit the model's context of "
                        f"{self.engine.context} tokens; ask for fewer parts"
                    ) from None

    def _look_back(self, bar: int) -> int:
        if self.table.cells[FORM][bar] is not None:
            return 0
        if bar not in self._backs:
            self._backs[bar] = look_back(bar, self.random.random())
        return self._backs[bar]

    def take_back(self, bar: int, harmony: Sequence[np.ndarray | None]) -> None:
        """Take back all that is written from ``bar`` on; :meth:`write` then writes it again, in a window of its own.

        ``harmony`` has a cell for each of these bars: the musician's chords, or ``None`` where they are the model's to
        choose. To be called from ``on_bar`` only if that leaves :meth:`write` by an exception: the window that is being
        written knows the bars that are taken back.
        """
        self._backs = {at: back for at, back in self._backs.items() if at < bar}
        for number, cell in enumerate(harmony, bar):
            self._theirs.discard((HARMONY, number))
            self.table.cells[HARMONY][number] = cell
            if cell is not None:
                self._theirs.add((HARMONY, number))
        self._forget(range(bar, self.table.bars))

    def put_back(self, bar: int, cells: Sequence[np.ndarray]) -> None:
        """Let ``bar`` be again what it was before it was written another time: its cells, a row each."""
        for row, cell in enumerate(cells):
            if row >= FIRST_PART:
                self._drop(row - FIRST_PART, bar)
            self.table.cells[row][bar] = cell
            if row >= FIRST_PART:
                self._count(row - FIRST_PART, bar)

    def write_again(self, cells: set[tuple[int, int]]) -> None:
        """Write these cells (part, bar) anew, and nothing else: the others, their chords and their form stand."""
        table, wanted, on_bar = self.table, self.table.wanted, self.on_bar
        table.wanted, self.on_bar, self._stands = np.zeros_like(wanted), None, True
        for number, bar in cells:
            table.wanted[number, bar] = True
            self._drop(number, bar)
            self._repeated.setdefault(bar, set()).discard(FIRST_PART + number)
        try:
            self.write()
        finally:
            table.wanted, self.on_bar, self._stands = wanted, on_bar, False

    def copy(self, number: int, bar: int, other: int) -> None:
        """Let a part play in bar ``other`` just what it plays in ``bar``."""
        self._drop(number, other)
        self.table.cells[FIRST_PART + number][other] = self.table.cell(FIRST_PART + number, bar)
        self._count(number, other)

    def _count(self, number: int, bar: int) -> None:
        """Take in what a part plays in a bar."""
        self.counts.keep(number, bar)
        self._hear(number, bar, 1)

    def _drop(self, number: int, bar: int) -> None:
        """Take back what a part plays in a bar."""
        self._hear(number, bar, -1)
        self.counts.forget(number, bar)
        self.table.cells[FIRST_PART + number][bar] = None

    def _forget(self, bars: Iterable[int]) -> None:
        for bar in bars:
            if not self._stands:
                self._repeated.pop(bar, None)
            for row in (FORM, HARMONY):
                if (row, bar) not in self._theirs and not self._stands:
                    self.table.cells[row][bar] = None
            for number in range(len(self.table.lanes)):
                if self.table.wanted[number, bar]:
                    self._drop(number, bar)

    def _write_window(self, layout: Layout) -> None:
        window, v = layout.window, self.table.vocabulary
        prompt = header_ids(window, v)
        for column in range(window.bars):
            rows = np.flatnonzero(window.status[:, column] == GIVEN).tolist()
            if rows:
                prompt += bar_ids(window, column, v)
            for row in rows:
                lane = lane_id(window, row, v)
                prompt += ([lane] if lane is not None else []) + window.cells[row][column].tolist()
        prompt.append(FILL)
        present = (window.status != ABSENT).any(axis=0)
        items: list[Forced | Drawn] = []
        for bar in layout.fill:
            column = bar - layout.first
            opening = bar_ids(window, column, v)
            for at in np.flatnonzero(window.status[:, column] == MISSING).tolist():
                lane, row = lane_id(window, at, v), layout.rows[at]
                opening += [lane] if lane is not None else []
                known = self._known(row, bar, layout, present)
                if known is not None:
                    opening += known
                    continue
                items.append(Forced(opening))
                opening = []
                items.append(Drawn(partial(self._open_cell, row, bar, layout, present),
                                   partial(self._keep, row, bar, layout)))  # fmt: skip
            if opening:
                items.append(Forced(opening))
        items.append(Forced([END]))
        self.engine.rewind(0)
        self.tally.add(write(self.engine, prompt, _joined(items), self.sampling, self.random))

    def _known(self, row: int, bar: int, layout: Layout, present: np.ndarray) -> list[int] | None:
        """The ids to be fed for a cell that is the musician's, or stands already, in the key of the window."""
        if row == FORM:
            target = self.table.follows[bar]
            if target is None:
                return None if self.table.cells[FORM][bar] is None else self.table.cell(FORM, bar).tolist()
            cell = FormCell(bar - layout.first, present, self.table.vocabulary)
            token = cell.nearest(bar - target[0] if target[0] >= 0 else 0, target[1])
            self.table.cells[FORM][bar] = np.array([token], dtype=np.uint16)
            return [token]
        if row == HARMONY and self.table.cells[HARMONY][bar] is None:
            return None
        if row >= FIRST_PART and self.table.wanted[row - FIRST_PART, bar]:
            return None
        return self.table.at_home(row, bar, layout.shift).tolist()

    def _open_cell(self, row: int, bar: int, layout: Layout, present: np.ndarray) -> tuple[Cell, Sequence[Hand]]:
        table, v = self.table, self.table.vocabulary
        length = table.length(bar)
        if row == FORM:
            own = present & (np.arange(len(present)) + layout.first >= table.sections[bar])
            return FormCell(bar - layout.first, own, v), self._conductor.for_form(bar, layout.back)
        followed = self._followed(bar)
        if row == HARMONY:
            self._repeated[bar] = self._what_repeats(bar, followed)
            if HARMONY in self._repeated[bar]:
                assert followed is not None
                return SettledCell(table.at_home(HARMONY, followed[0], layout.shift), v), ()
            root = int(table.keys[bar]) % 12 if table.ends and bar == table.bars - 1 else None
            cell = HarmonyCell(length, beat_length(int(table.metres[bar])), v, silence=False, root=root)
            return cell, self._conductor.for_harmony(bar)
        number = row - FIRST_PART
        lane = table.lanes[number]
        theirs = lane.kind != "drums" and (HARMONY, bar) in self._theirs
        if theirs and all(chord.root == NO_CHORD for chord in self._conductor.chords(bar, layout.shift)):
            return SettledCell(np.zeros(0, dtype=np.uint16), v), ()  # the chart says to rest
        if bar not in self._repeated:  # its harmony is the musician's, and was fed
            self._repeated[bar] = self._what_repeats(bar, followed)
        earlier = [table.cells[row][b] for b in range(max(0, bar - SILENT_BARS + 1), bar)]
        silent = all(cell is None or not len(cell) for cell in earlier)
        last_chance = silent and (len(earlier) == SILENT_BARS - 1 or bar == table.bars - 1)
        closing = table.ends and bar == table.bars - 1
        if row in self._repeated[bar]:
            assert followed is not None
            settled = table.at_home(row, followed[0], layout.shift)
            if len(settled) or not last_chance:
                return SettledCell(settled, v), ()
        part = PartCell(
            lane.kind, length, v, must_play=last_chance or closing, shift=-layout.shift, quietest=QUIETEST,
            span=lane.span,
        )  # fmt: skip
        return part, self._conductor.for_part(
            number, bar, layout.shift, followed, float(self._luck.get(bar, np.zeros(len(table.lanes)))[number])
        )

    def _what_repeats(self, bar: int, followed: tuple[int, bool] | None) -> set[int]:
        # As many draws for every bar, whatever comes of them.
        dice = self.random.random((2, 1 + len(self.table.lanes)))
        self._luck[bar] = dice[1, 1:]
        return self._conductor.what_repeats(bar, followed, dice[0])

    def _followed(self, bar: int) -> tuple[int, bool] | None:
        """The bar that ``bar`` follows, as the musician or its form cell has it, and whether it is to be the same."""
        target = self.table.follows[bar]
        if target is not None:
            return target if target[0] >= 0 else None
        distance, same = read_form(int(self.table.cell(FORM, bar)[0]), self.table.vocabulary)
        return (bar - distance, same) if distance and bar >= distance else None

    def _keep(self, row: int, bar: int, layout: Layout, ids: list[int]) -> None:
        table, v = self.table, self.table.vocabulary
        written = np.array(ids, dtype=np.uint16)
        kind = table.lanes[row - FIRST_PART].kind if row >= FIRST_PART else ""
        table.cells[row][bar] = moved(written, kind, -layout.shift, v)
        if row >= FIRST_PART:
            self._count(row - FIRST_PART, bar)
        if self.on_bar and not table.open(bar):
            done = len(self._open) + self._again.index(bar) if self._rewrites else self._open.index(bar)
            self.on_bar(done + 1, len(self._open) + len(self._again))

    def _hear(self, number: int, bar: int, times: int) -> None:
        """Hear a written cell for the key, or take it back."""
        known = self.table.cells[FIRST_PART + number][bar] is not None
        if known and self.tonality is not None and self.table.lanes[number].kind != "drums":
            notes = self.table.notes(number, bar)
            self.tonality.add(notes[:, 2] + int(self.table.shifts[bar]), notes[:, 1], times)


def _joined(items: list[Forced | Drawn]) -> list[Forced | Drawn]:
    """The same items with forced ones that follow each other as one: a cell is ended by the first of them."""
    joined: list[Forced | Drawn] = []
    for item in items:
        if isinstance(item, Forced) and joined and isinstance(joined[-1], Forced):
            joined[-1] = Forced([*joined[-1].ids, *item.ids])
        else:
            joined.append(item)
    return joined
