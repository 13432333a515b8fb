"""Bars, beats, and which lengths can be written where: durations as noteheads, dots, ties and tuplets.

A player reads beats before notes. So a length is written so that beats are seen: nothing crosses the middle of a bar of
4/4 unless it begins on a beat that everybody expects it from, an off-beat quarter is as much as may hang over a beat,
and rests never hide a beat at all (Read, "Music Notation", chapter on rhythm; Gould, "Behind Bars", chapter 6).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

from midigen.score import Metre

UNITS = 48  # to a quarter: thirty-seconds are 6, triplet sixteenths 8, and a bar of any metre up to 1/64 is whole
SIXTEENTH, EIGHTH = UNITS // 4, UNITS // 2
# What a notehead and dots can say: units to (MusicXML's name of the type, dots). Longest first.
NOTATABLE: dict[int, tuple[str, int]] = {
    288: ("whole", 1), 192: ("whole", 0), 144: ("half", 1), 96: ("half", 0), 72: ("quarter", 1), 48: ("quarter", 0),
    36: ("eighth", 1), 24: ("eighth", 0), 18: ("16th", 1), 12: ("16th", 0), 9: ("32nd", 1), 6: ("32nd", 0),
    3: ("64th", 0),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Tuplet:
    """Three in the time of two: ``start`` in the bar and ``length`` in units."""

    start: int
    length: int

    @property
    def stop(self) -> int:
        return self.start + self.length


@dataclass(frozen=True, slots=True)
class Piece:
    """A notehead or a rest: ``start`` in the bar and ``length`` in units, ``kind`` and ``dots`` as it is written."""

    start: int
    length: int
    kind: str
    dots: int
    tuplet: Tuplet | None = None

    @property
    def stop(self) -> int:
        return self.start + self.length


@dataclass(frozen=True, slots=True)
class Measure:
    """A bar: ``start`` from the song's and ``length`` in units, in ``metre`` (it may be cut short).

    ``beats`` and ``groups`` are where those begin, the end of the bar last. A beat of three eighths is 72 units.
    """

    number: int
    start: int
    length: int
    metre: Metre
    beats: tuple[int, ...]
    groups: tuple[int, ...]

    @property
    def is_whole(self) -> bool:
        return self.length == round(self.metre.quarters * UNITS)

    def beat_of(self, place: int) -> tuple[int, int]:
        """Where the beat that holds ``place`` begins and ends."""
        return _span(self.beats, place)

    def group_of(self, place: int) -> tuple[int, int]:
        return _span(self.groups, place)


def _span(edges: tuple[int, ...], place: int) -> tuple[int, int]:
    return next((a, b) for a, b in pairwise(edges) if a <= place < b)


def make_measure(number: int, start: int, length: int, metre: Metre) -> Measure:
    """The bar ``number`` (from 1) of ``length`` units, shorter than its metre where the next metre cuts it."""
    beats, groups = _divided(metre.numerator, metre.denominator)

    def cut(edges: tuple[int, ...]) -> tuple[int, ...]:
        return (*(edge for edge in edges if edge < length), length)

    return Measure(number, start, length, metre, cut(beats), cut(groups))


@lru_cache
def _divided(numerator: int, denominator: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Beats and groups of a metre, as their beginnings."""
    unit = 4 * UNITS // denominator
    if denominator >= 8 and numerator % 3 == 0:  # compound
        beats = tuple(range(0, numerator * unit, 3 * unit))
        return beats, (beats[::2] if numerator == 12 else beats)
    if denominator >= 8:  # irregular: pairs, and three at the end; 5/8 is three and two
        odd = [3] if numerator % 2 and numerator > 1 else []
        pairs = [2] * ((numerator - sum(odd)) // 2)
        counts = ([*odd, *pairs] if numerator == 5 else [*pairs, *odd]) or [numerator]
        starts = tuple(unit * sum(counts[:n]) for n in range(len(counts)))
        return starts, starts
    step = min(unit, UNITS)  # in 2/2 a player still counts quarters when there are sixteenths
    beats = tuple(range(0, numerator * unit, step))
    quarters = numerator * unit // UNITS
    six = [3, 3] if denominator == 4 else [2, 2, 2]
    usual = {2: [2], 3: [3], 4: [2, 2], 5: [3, 2], 6: six}
    pairs = [2] * (quarters // 2) + [1] * (quarters % 2)
    sizes = usual.get(quarters, pairs if denominator == 2 else [1] * quarters)
    return beats, tuple(UNITS * sum(sizes[:n]) for n in range(len(sizes)))


def pieces(measure: Measure, start: int, stop: int, tuplets: tuple[Tuplet, ...] = (), *, rest: bool) -> list[Piece]:
    """What is written from ``start`` to ``stop`` (units in the bar): pieces to be tied, or rests in a row."""
    found: list[Piece] = []
    at = start
    while at < stop:
        inside = next((tuplet for tuplet in tuplets if tuplet.start <= at < tuplet.stop), None)
        if inside is not None:
            piece = _in_tuplet(at, min(stop, inside.stop), inside, rest)
        else:
            until = min([stop, *(tuplet.start for tuplet in tuplets if at < tuplet.start)])
            piece = _plain(measure, at, until, rest)
        found.append(piece)
        at = piece.stop
    return found


def _in_tuplet(start: int, stop: int, tuplet: Tuplet, rest: bool) -> Piece:
    for length, (kind, dots) in NOTATABLE.items():
        sounding = length * 2 // 3
        if length % 3 == 0 and start + sounding <= stop and not (dots and rest):
            return Piece(start, sounding, kind, dots, tuplet)
    raise AssertionError("a tuplet's onsets lie on its own grid")


def _plain(measure: Measure, start: int, stop: int, rest: bool) -> Piece:
    for length, (kind, dots) in NOTATABLE.items():
        if start + length <= stop and _readable(measure, start, start + length, dots, rest):
            return Piece(start, length, kind, dots)
    # Only a bar that is cut at an odd place comes here: what is left over is written as the nearest there is.
    length = next((length for length in NOTATABLE if start + length <= stop), stop - start)
    kind, dots = NOTATABLE.get(length, ("64th", 0))
    return Piece(start, length, kind, dots)


def _readable(measure: Measure, start: int, stop: int, dots: int, rest: bool) -> bool:
    if (start, stop) == (0, measure.length) and not rest:
        return True
    first, last = measure.beat_of(start)
    if stop <= last:
        return _within_beat(last - first, start - first, stop - start, dots, rest)
    at_beat, to_beat = start == first, stop in measure.beats
    compound = (last - first) % 36 == 0
    begin, end = measure.group_of(start)
    if rest:
        # A half rest on the first or third beat of 4/4, and what corresponds to it in 12/8.
        return (start, stop) == (begin, end) and end - begin in (96, 144) and len(_between(measure, begin, end)) == 1
    if stop > end:
        if not (at_beat and to_beat):
            return False
        ends_group = stop in measure.groups
        second = measure.metre.denominator == 4 and measure.length == 192 and start == 48  # on two of 4/4
        return (start == begin and (ends_group or not compound)) or second
    if at_beat:
        return to_beat or (not compound and stop - start == 72)
    # An off-beat: a quarter, or to the end of the next beat.
    half_beat = not compound and start - first == EIGHTH
    return half_beat and (stop - start == UNITS or (stop - start == 72 and to_beat))


def _between(measure: Measure, begin: int, end: int) -> list[int]:
    return [beat for beat in measure.beats if begin < beat < end]


def _within_beat(beat: int, start: int, length: int, dots: int, rest: bool) -> bool:
    """Whether ``length`` at ``start`` of a beat of ``beat`` units is read at a glance."""
    if length == beat:
        return True
    stop = start + length
    if rest:
        # Aligned to multiples of itself; two eighths of a compound beat are one rest at its beginning only.
        return not dots and start % length == 0
    if start % EIGHTH == 0:
        return True if beat % 36 else length != 36 or stop % EIGHTH != 0 or length < UNITS
    if start % SIXTEENTH == 0:
        return length <= EIGHTH or stop % EIGHTH == 0
    return stop % SIXTEENTH == 0 or stop <= start + 6
