"""Which bars a window of the piece holds: those to be written next, and of the others what is most worth knowing.

Parts that are known in the bars to be written are not given before FILL but stand beside: they come first in their bar,
as if the model had just written them, and are fed. A companion in the same bar is worth five to ten times as many nats
there as the same notes some hundred tokens earlier ("Company beside" in the lab book). Only where the harmony of a bar
is still open are its known parts given before, because there the chords are written first and must not be deaf to them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from midigen.analysis import FORM_DISTANCES
from midigen.composition.table import Table
from midigen.tokenizers.spelling import read_form
from midigen.tokenizers.vocabulary import Vocabulary
from midigen.tokenizers.window import ABSENT, FIRST_PART, FORM, GIVEN, HARMONY, MISSING, Window

FIRST_FILL, NEXT_FILL = 16, 8  # bars: in a window with nothing before it, and in one with a past
WIDE_FILL = 16  # in one with a past where they fit: a window less whose past has to be read
RECENT, AFTER = 8, 4  # bars before and after the fill that are given first
# How often bars of training songs follow one so far before them ("Sections that come back" in the lab book). The model,
# which has seen few windows that reach so far, hardly ever says so by itself: a hand does, and two thirds of the bars
# then follow.
RETURNS = {16: 0.048, 20: 0.025, 24: 0.05, 28: 0.025, 32: 0.039, 40: 0.015, 48: 0.012}
FOLLOW = 0.65
# Room that is left for the bars to be written: for one of them that much more than the longest of the recent ones, for
# the others that much more than those are on average. (With room for eight like the longest, a single full bar left the
# window no past. Where the room does not do, the bar that broke off is written again in the next window.)
ROOM_FOR_A_BAR, ROOM_ON_AVERAGE = 1.6, 1.25


@dataclass(frozen=True)
class Layout:
    """A window, the bar of the piece that it begins at, the bars that it writes, the semitones it is moved by, and the
    row of the table that each of its rows is: known parts come before those that are written. ``back`` is how far
    before its bars lies a section that is to come back, 0 for none."""

    window: Window
    first: int
    fill: range
    shift: int
    rows: tuple[int, ...]
    back: int


def look_back(begin: int, luck: float) -> int:
    """How far before bar ``begin`` lies the section that is to come back there, by ``luck`` from 0 to 1; 0 for none."""
    distances = [distance for distance in RETURNS if distance <= begin]
    chances = np.cumsum([RETURNS[distance] / FOLLOW for distance in distances])
    drawn = int(np.searchsorted(chances, luck, side="right"))
    return distances[drawn] if drawn < len(distances) else 0


def next_window(table: Table, context: int, vocabulary: Vocabulary, back: int = 0, wide: bool = False) -> Layout:
    """The window that writes the next open bars of ``table`` within ``context`` tokens. With ``back`` the bars that
    far before them are given as well, before most others. ``wide`` lets it write twice as many bars as usual after
    the same past, where there is room."""
    begin = table.next_open()
    assert begin is not None, "nothing is left to write"
    most = vocabulary.sizes["bar"]
    past = [bar for bar in range(begin) if table.whole(bar)]
    limit = NEXT_FILL if past else FIRST_FILL
    stop = begin + 1
    while stop < table.bars and stop - begin < limit and table.open(stop) and table.metres[stop] == table.metres[begin]:
        stop += 1
    header = 16 + 5 * len(table.lanes)
    recent = past[-RECENT:]

    def room(bars: range, given: Sequence[int] = ()) -> float:
        known = sum(table.tokens(bar) for bar in (*bars, *given))  # of what is to be written it has to be there
        return context - header - known - _expected(table, recent, len(bars))

    while stop - begin > 1 and room(range(begin, stop)) < 0:
        stop -= 1
    fill = range(begin, stop)
    given = _given(table, fill, most, room(fill), vocabulary, back)
    wider = range(begin, min(begin + WIDE_FILL, table.bars))
    if (
        wide
        and len(fill) == NEXT_FILL
        and set(recent) <= set(given)
        and wider.stop - min(given) <= most
        and all(_free(table, bar, begin) for bar in wider)
        and room(wider, given) >= 0
    ):
        fill = wider
    return _build(table, fill, given, most, back)


def _free(table: Table, bar: int, like: int) -> bool:
    """Whether nothing of ``bar`` is known or asked for yet, and its metre is that of the bar ``like``."""
    same = bool(table.metres[bar] == table.metres[like]) and table.follows[bar] is None
    return same and all(row[bar] is None for row in table.cells)


def _expected(table: Table, recent: list[int], bars: int) -> float:
    """How many tokens ``bars`` that are to be written may take, by the ``recent`` ones, or by a guess; of a window with
    nothing before it those of :data:`NEXT_FILL` at most: there the more is written at once the better."""
    if not recent:
        return 24.0 * len(table.lanes) * ROOM_FOR_A_BAR * min(bars, NEXT_FILL)
    sizes = [table.tokens(bar) for bar in recent]
    return ROOM_FOR_A_BAR * max(sizes) + ROOM_ON_AVERAGE * (bars - 1) * sum(sizes) / len(sizes)


def _given(table: Table, fill: range, most: int, room: float, vocabulary: Vocabulary, back: int) -> list[int]:
    """Bars to be given, most wanted first, as many as there is room for: near ones, and those that are followed."""
    before = [bar for bar in range(fill.start - 1, -1, -1) if table.whole(bar)]
    after = [bar for bar in range(fill.stop, min(fill.stop + AFTER, table.bars)) if table.whole(bar)]
    recent = before[:RECENT]
    followed = []
    for bar in recent:
        distance, _ = read_form(int(table.cell(FORM, bar)[0]), vocabulary)
        followed += [bar - distance] if distance else []
    asked = [target[0] for bar in fill if (target := table.follows[bar]) is not None]
    ahead = [bar - distance for distance in FORM_DISTANCES for bar in fill if distance >= NEXT_FILL]
    returning = [bar - back for bar in fill] if back else []
    wanted = recent[:2] + after[:2] + asked + returning + recent + after + followed + ahead + before
    lowest = max(0, max([fill.stop, *(bar + 1 for bar in after)]) - most)
    given: list[int] = []
    for number, bar in enumerate(dict.fromkeys(wanted)):
        if bar in fill or bar < lowest or not 0 <= bar < table.bars or not table.whole(bar):
            continue
        if table.metres[bar] != table.metres[fill.start]:
            continue
        cost = table.tokens(bar)
        if room >= cost or (number == 0 and room > 0):
            room -= cost
            given.append(bar)
    return given


def _build(table: Table, fill: range, given: list[int], most: int, back: int) -> Layout:
    stop = max([fill.stop, *(bar + 1 for bar in given)])
    first = max(0, stop - most)
    bars = stop - first
    nothing = np.zeros(0, dtype=np.uint16)
    shift = int(table.shifts[fill.start])
    # A part hears those that come before it in the bar.
    lanes = sorted(range(len(table.lanes)), key=lambda number: bool(table.wanted[number, fill.start : fill.stop].any()))
    rows = (FORM, HARMONY, *(FIRST_PART + number for number in lanes))
    window = Window(
        parts=[table.lanes[number].header for number in lanes],
        cells=[[nothing] * bars for _ in rows],
        status=np.full((len(rows), bars), ABSENT, dtype=np.int8),
        left=table.bars - 1 - np.arange(first, stop),
        metre=int(table.metres[fill.start]),
        tempo=int(table.tempos[fill.start]),
        key=int(table.keys[fill.start]),
        opening=first == 0,
    )
    for bar in given:
        window.status[:, bar - first] = GIVEN
        for at, row in enumerate(rows):
            window.cells[at][bar - first] = table.at_home(row, bar, shift)
    for bar in fill:
        window.status[:, bar - first] = MISSING
        if table.cells[HARMONY][bar] is None:
            for at, number in enumerate(lanes, FIRST_PART):
                if not table.wanted[number, bar]:
                    window.status[at, bar - first] = GIVEN
                    window.cells[at][bar - first] = table.at_home(FIRST_PART + number, bar, shift)
    return Layout(window, first, fill, shift, rows, back)
