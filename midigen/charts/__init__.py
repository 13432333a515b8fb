"""Chord charts: what a musician writes, ``C | Am7 | F G/B | C``, as chords on the grid.

A chart is written in bars divided by ``|`` or by lines. In a bar stand chords (:mod:`midigen.charts.symbols`), which
share it in beats, the first ones taking what is left over; ``/``, ``.`` or ``-`` hold a chord for as long as a chord in
its place would have, so ``C / / G`` is three beats and one, and a bar left empty is held. ``%`` is the bar before
again, ``%%`` or ``//`` alone in a bar the two before; ``|: ... :| x3`` repeats, ``|1. ... :|2.`` are endings, ``x3`` at
the end of a bar or a line plays that again. ``[Verse]`` names what follows, and a name alone that was there before
plays it again; ``N.C.`` is no chord; what follows ``#`` is a remark. Without bar lines each line is a bar, but in a
single line without marks of beats, or in lines of more than two chords each, every chord is. ChordPro and chords above
lyrics are read as well (:mod:`midigen.charts.sheets`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from midigen.analysis import Chord, beat_length, note_names
from midigen.charts.bars import Bar, Placed, Player
from midigen.charts.keys import key_of
from midigen.charts.sheets import read_sheet
from midigen.charts.symbols import Symbol, nearest_quality, no_chord, parse_symbol
from midigen.errors import BadFile, BadRequest
from midigen.grid import METRES, bar_positions
from midigen.score import parse_key

__all__ = [
    "Bar", "Chart", "Placed", "Symbol", "bar_of", "beats_of", "chart_of", "chart_text", "nearest_quality", "no_chord",
    "parse_chart", "parse_symbol", "places_of", "read_chart", "without_repeats",
]  # fmt: skip

BARS_A_LINE = 4
LONGEST = 100_000  # characters of a chart; the longest songbook page has a tenth
_FILE_NAME = re.compile(r"[^\s|]+\.(?:txt|cho|crd|chopro|chordpro|chord|pro|md|chart|mid|midi)", re.IGNORECASE)


@dataclass(frozen=True)
class Chart:
    """Chords in bars, with all repeats played.

    Each of ``bars`` is a tuple of :class:`midigen.charts.bars.Placed`, the first at part 0. ``labels`` are names and
    the bars (from 0) that they begin at. ``title``, ``stated_key`` (tonic and mode), ``stated_metre`` and
    ``stated_tempo_qpm`` (quarters a minute) are there where the text states them.
    """

    bars: tuple[Bar, ...]
    labels: tuple[tuple[int, str], ...] = ()
    title: str = ""
    stated_key: tuple[int, str] | None = None
    stated_metre: str | None = None
    stated_tempo_qpm: float | None = None

    def __post_init__(self) -> None:
        if not self.bars:
            raise BadRequest("the chart holds no chords: write bars such as C | Am | F | G")

    def __len__(self) -> int:
        return len(self.bars)

    @property
    def in_order(self) -> list[Symbol]:
        """Every symbol that is written, bar by bar."""
        return [placed.symbol for bar in self.bars for placed in bar]

    def chords(self, bars: int, metre: str | Sequence[str]) -> list[Chord]:
        """The chords of ``bars`` bars on the grid of twelve positions a quarter, from the start again where the chart
        is shorter; every bar begins with one, as those of :func:`midigen.analysis.estimate_chords` do.

        ``metre`` is one of :data:`midigen.grid.METRES`, or one for each bar. Chords stand on beats. Raises
        :class:`BadRequest` for a bar with more chords than beats.
        """
        return without_repeats(
            Chord(bar, position, symbol.root, symbol.quality, symbol.bass)
            for bar, position, symbol in self._places(bars, metre)
        )

    def symbols(self, bars: int, metre: str | Sequence[str]) -> list[tuple[int, int, str]]:
        """Bar, position and the symbol as written: the places of :meth:`chords`, and those where only what the model
        does not know of a symbol changes (C9 after C7). Raises as that does."""
        symbols: list[tuple[int, int, str]] = []
        for bar, position, symbol in self._places(bars, metre):
            if position == 0 or symbol.text != symbols[-1][2]:
                symbols.append((bar, position, symbol.text))
        return symbols

    def _places(self, bars: int, metre: str | Sequence[str]) -> Iterable[tuple[int, int, Symbol]]:
        metres = [metre] * bars if isinstance(metre, str) else list(metre)
        if len(metres) != bars:
            raise BadRequest(f"{len(metres)} metres for {bars} bars: give one, or one for each bar")
        for bar in range(bars):
            source = self.bars[bar % len(self)]
            beats = beats_of(metres[bar])
            for placed in source:
                yield bar, self._position(placed, source, beats, metres[bar], bar % len(self)), placed.symbol

    def _position(self, placed: Placed, bar: Bar, beats: Sequence[int], metre: str, number: int) -> int:
        if placed.parts <= len(beats):
            return beats[_beat(placed.part, placed.parts, len(beats))]
        position, rest = divmod(placed.part * bar_positions(metre), placed.parts)
        if rest or position not in beats:
            raise BadRequest(
                f"chart, bar {number + 1} ({bar_text(bar)}): {placed.parts} parts do not fit the {len(beats)} beats of "
                f"{metre}, on which chords stand; write at most {len(beats)} chords or holds in a bar"
            )
        return position

    def key(self) -> tuple[int, str]:
        """Tonic (0..11) and mode: as the chart states it, else the one that its chords make likeliest."""
        if self.stated_key:
            return self.stated_key
        return key_of(
            (placed.symbol, length) for bar in self.bars for placed, length in zip(bar, _shares(bar), strict=True)
        )

    def transposed(self, semitones: int, names: Sequence[str] | None = None) -> Chart:
        """The chart ``semitones`` higher. ``names`` of the twelve notes from C spell it; else its new key does."""
        tonic, mode = self.key()
        names = names or note_names((tonic + semitones) % 12, mode)
        bars = tuple(
            tuple(replace(placed, symbol=placed.symbol.transposed(semitones, names)) for placed in bar)
            for bar in self.bars
        )
        stated = self.stated_key and ((self.stated_key[0] + semitones) % 12, self.stated_key[1])
        return replace(self, bars=bars, stated_key=stated)

    def __str__(self) -> str:
        """The chart as :func:`parse_chart` reads it: four bars a line, a line to themselves for names."""
        names: dict[int, str] = dict(self.labels)
        starts = sorted({0, *names})
        lines: list[str] = []
        for first, last in zip(starts, [*starts[1:], len(self)], strict=True):
            if first in names:
                lines.append(f"[{names[first]}]")
            for begin in range(first, last, BARS_A_LINE):
                bars = [bar_text(bar) for bar in self.bars[begin : min(begin + BARS_A_LINE, last)]]
                lines.append(f"| {' | '.join(bars)} |")
        return "\n".join(lines)


def without_repeats(chords: Iterable[Chord]) -> list[Chord]:
    """``chords`` without those that only say again, inside a bar, what holds already."""
    kept: list[Chord] = []
    for chord in chords:
        if not kept or replace(chord, position=kept[-1].position) != kept[-1]:
            kept.append(chord)
    return kept


def chart_of(chords: Sequence[Chord], beats: Sequence[Sequence[int]], names: Sequence[str] | None = None) -> Chart:
    """The chart that says ``chords``: as :meth:`Chart.chords` gives them, one at the start of every bar.

    ``beats`` are the positions of each bar's beats, on which all of them stand; ``names`` of the twelve notes from C
    spell them (as in C major where there are none).
    """
    names = names or note_names(0, "major")
    bars: list[Bar] = []
    rest = without_repeats(chords)
    for number, positions in enumerate(beats):
        count = next((n for n, chord in enumerate(rest) if chord.bar != number), len(rest))
        here, rest = rest[:count], rest[count:]
        places = [list(positions).index(chord.position) for chord in here]
        bars.append(bar_of([parse_symbol(chord.spelled(names)) for chord in here], places, len(positions)))
    return Chart(tuple(bars))


def bar_of(symbols: Sequence[Symbol], places: Sequence[int], beats: int) -> Bar:
    """The bar of ``beats`` beats that has ``symbols`` at ``places`` (beats from 0): in as few parts as say so."""
    shared = list(places) == [_beat(part, len(places), beats) for part in range(len(places))]
    parts, places = (len(places), range(len(places))) if shared else (beats, places)
    return tuple(Placed(symbol, place, parts) for symbol, place in zip(symbols, places, strict=True))


def places_of(bar: Bar, beats: int) -> list[int]:
    """The beats, from 0, on which the symbols of a bar of ``beats`` beats stand: what :func:`bar_of` was told."""
    return [_beat(placed.part, placed.parts, beats) for placed in bar]


def _beat(part: int, parts: int, beats: int) -> int:
    """The beat on which a part of a bar begins, where there are no more parts than beats: the first ones take more."""
    size, over = divmod(beats, parts)
    return part * size + min(part, over)


def _shares(bar: Bar) -> list[float]:
    """The share of the bar that each chord lasts."""
    ends = [*(placed.part for placed in bar[1:]), bar[0].parts]
    return [(end - placed.part) / placed.parts for placed, end in zip(bar, ends, strict=True)]


def bar_text(bar: Bar) -> str:
    """One bar as it is written: ``C / / G``."""
    words = ["/"] * bar[0].parts
    for placed in bar:
        words[placed.part] = placed.symbol.text
    return " ".join(words)


def beats_of(metre: str) -> list[int]:
    """The positions of the beats of a bar of ``metre``. Raises :class:`BadRequest` for one not of the grid's."""
    if metre not in METRES:
        raise BadRequest(f"metre {metre!r}: chords can be laid out in {', '.join(METRES)}")
    return list(range(0, bar_positions(metre), beat_length(METRES.index(metre))))


def parse_chart(text: str) -> Chart:
    """Read a chart: see :mod:`midigen.charts` for what may be written.

    Raises :class:`BadRequest` that names the bar, the character, what stands there and what was expected.
    """
    if len(text) > LONGEST:
        raise BadRequest(f"a chart of {len(text):,} characters: give one of at most {LONGEST:,}")
    sheet = read_sheet(text)
    player = Player(text)
    player.play(sheet.lines)
    if not player.played:
        raise BadRequest("the chart holds no chords: write bars such as C | Am | F | G")
    return Chart(
        tuple(bar for bar, _ in player.played),
        tuple((number, name) for number, (_, name) in enumerate(player.played) if name is not None),
        title=sheet.facts.get("title", ""),
        stated_key=_stated_key(sheet.facts.get("key")),
        stated_metre=_stated_metre(sheet.facts.get("time")),
        stated_tempo_qpm=_stated_tempo(sheet.facts.get("tempo")),
    )


def _stated_key(text: str | None) -> tuple[int, str] | None:
    try:
        return parse_key(text) if text else None
    except BadRequest:  # "G - C": people write all sorts of things there
        return None


def _stated_metre(text: str | None) -> str | None:
    return text if text in METRES else None


def _stated_tempo(text: str | None) -> float | None:
    found = re.match(r"\d+(?:\.\d+)?", text or "")
    return float(found[0]) if found and float(found[0]) > 0 else None


def read_chart(path_or_text: str | Path) -> Chart:
    """The chart in a file, where one of that name is there, else the one that the text is.

    Raises :class:`BadFile` for a file that is missing or no text, :class:`BadRequest` as :func:`parse_chart` does.
    """
    return parse_chart(chart_text(path_or_text))


def chart_text(path_or_text: str | Path) -> str:
    """The text of a chart: that of the file, where one of that name is there, else ``path_or_text`` itself."""
    name = str(path_or_text)
    try:
        is_file = Path(name).is_file()
    except (OSError, ValueError):  # too long for a name, or with characters that no name has
        is_file = False
    if not is_file:
        if isinstance(path_or_text, Path) or _FILE_NAME.fullmatch(name):
            raise BadFile(f"{name}: no such file; give a chart's file, or the chart itself, such as 'C | Am | F | G'")
        return name
    try:
        with open(name, encoding="utf-8-sig") as file:
            return file.read(LONGEST + 1)  # enough to see that it is too long
    except UnicodeDecodeError:
        raise BadFile(f"{name}: is no text; give a chart written as text (UTF-8)") from None
    except OSError as error:
        raise BadFile(f"{name}: cannot be read ({error.strerror}); give a chart's file") from None
