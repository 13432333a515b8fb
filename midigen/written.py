"""Chord symbols that stand in a MIDI file as text: what somebody wrote, before anything is heard.

Programs write them as text events or as markers, one a change; midigen itself as text in the conductor track.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from midigen.analysis import Chord
from midigen.charsets import decode
from midigen.charts import Chart, Symbol, bar_of, no_chord, parse_symbol, places_of
from midigen.charts.bars import Bar
from midigen.errors import BadRequest
from midigen.events import MARKER, META, TEXT, meta_of
from midigen.grid import POSITIONS_PER_QUARTER, Grid
from midigen.opened import OpenedSong

FEWEST = 2  # symbols; a single word such as "A" or "Am" may be a section's name
MOST_OTHER = 0.2  # of a track's texts: words between the symbols, such as a copyright


def written_symbols(song: OpenedSong) -> list[tuple[int, Symbol]]:
    """The chord symbols in the file, with their ticks, in order; of several at one tick the last.

    Text events and markers of a track count where nearly all of them can be read as chords, and more than one chord is
    among them; the fullest of such rows is taken. Empty where there is none.
    """
    rows: list[list[tuple[int, Symbol]]] = []
    for track in song.file.tracks:
        texts: dict[int, list[tuple[int, str]]] = defaultdict(list)
        for event in track.events:
            if event.data[0] == META and (said := meta_of(event))[0] in (TEXT, MARKER):
                texts[said[0]].append((event.tick, decode(said[1], song.charset).strip()))
        for events in texts.values():
            words = [(tick, text) for tick, text in events if text]
            read = [(tick, symbol) for tick, text in words if (symbol := _symbol(text)) is not None]
            kinds = {symbol.text for _, symbol in read}
            if len(read) >= FEWEST and len(read) >= (1 - MOST_OTHER) * len(words) and len(kinds) >= FEWEST:
                rows.append(read)
    best = max(rows, key=len, default=[])
    return sorted(dict(best).items())


def _symbol(text: str) -> Symbol | None:
    try:
        return parse_symbol(text)
    except BadRequest:
        return None


def chart_of_symbols(
    symbols: Sequence[tuple[int, Symbol]], beats: Sequence[Sequence[int]], grid: Grid, quarter: int
) -> Chart:
    """The chart of ``symbols`` at ticks (``quarter`` a quarter note) on the ``beats`` of each bar of ``grid``; before
    the first there is no chord. A symbol between beats stands on the nearest, of several on one the last."""
    starts = grid.bar_starts[: len(beats)]
    places = [(bar, beat, int(start) + beat) for bar, start in enumerate(starts.tolist()) for beat in beats[bar]]
    at: dict[tuple[int, int], Symbol] = {}
    for tick, symbol in symbols:
        position = tick * POSITIONS_PER_QUARTER / quarter
        if position <= int(grid.bar_starts[-1]):
            bar, beat, _ = min(places, key=lambda place: (abs(place[2] - position), place[2]))
            at[bar, beat] = symbol
    bars: list[Bar] = []
    sounding = no_chord()
    for bar, here in enumerate(beats):
        row = [(sounding, 0)] if (bar, 0) not in at else []
        for number, beat in enumerate(here):
            if (bar, beat) in at and (number == 0 or at[bar, beat].text != sounding.text):
                sounding = at[bar, beat]
                row.append((sounding, number))
        bars.append(bar_of([symbol for symbol, _ in row], [place for _, place in row], len(here)))
    return Chart(tuple(bars))


def chords_of_bars(chart: Chart, beats: Sequence[Sequence[int]]) -> list[Chord]:
    """Every symbol of ``chart`` in its place on the grid, one chord for one symbol; ``beats`` as for
    :func:`chart_of_symbols`, whose charts these are."""
    return [
        Chord(number, beats[number][place], placed.symbol.root, placed.symbol.quality, placed.symbol.bass)
        for number, bar in enumerate(chart.bars)
        for placed, place in zip(bar, places_of(bar, len(beats[number])), strict=True)
    ]
