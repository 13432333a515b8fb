"""Played time to written time: onsets to sixteenths and triplets, beat by beat, and swing to straight eighths.

Of the ways to divide a beat the likeliest is taken, given where its onsets lie: sixteenths, a triplet, and in halves of
a beat thirty-seconds or a triplet of sixteenths, the finer the more there has to speak for it (after Cemgil, Desain and
Kappen, "Rhythm quantization for transcription", 2000: timing is Gaussian, and a prior prefers what is simple).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from midigen.notation.rhythm import EIGHTH, SIXTEENTH, UNITS, Measure, Tuplet
from midigen.score import Note, Part, Score

SPREAD = 1.5  # units: onsets of players lie about 2 % of a quarter beside their place (midigen.feel)
TRIPLET, FINE_TRIPLET, THIRTY_SECOND = 2.5, 5.0, 6.0  # what each has to be likelier by, as a negative logarithm
MOST_PRIOR = 3.0
DOUBLED = 8.0  # for each note that would fall together with another of its pitch
CHORD_GAP, CHORD_SPREAD = 2.5, 6.0  # units between notes struck together, and from the first of them to the last

SWUNG = (0.56, 0.74)  # where in its pair a late offbeat lies
STRAIGHT = (0.44, 0.555)
EARLY = (0.26, 0.42)  # where a triplet's second note lies, and the half of a swung one
BETWEEN = (0.77, 0.9)  # the half between a late offbeat and the next beat
ON_BEAT = 0.07
SURE = 6
FEWEST_SWUNG = 8
ALIKE = 0.004  # squared shares of a pair: what says the one no better than the other is a triplet


@dataclass(frozen=True, slots=True)
class Swing:
    """That offbeats are late: ``place`` of the second note in a pair of ``unit`` "eighth" or "sixteenth", 0.5 to 1.

    ``divided``: the halves of pairs are played too, so that what lies a third into a pair is one of those and not of a
    triplet.
    """

    unit: str
    place: float
    divided: bool = False

    @property
    def pair(self) -> int:
        return UNITS if self.unit == "eighth" else EIGHTH


@dataclass(frozen=True, slots=True)
class Strike:
    """A note as it is written: ``onset`` and ``end`` in units from the song's beginning; the end is as played."""

    onset: int
    end: float
    pitch: int
    velocity: int
    tick: int


def hear_swing(score: Score) -> Swing | None:
    """Whether ``score`` swings throughout: of the pairs with one onset between beats, nearly all have it late.

    Against it speak offbeats in the middle, and onsets a third into a pair, which triplets have; unless as many lie
    between the late offbeat and the next beat, which triplets have not: then both are halves of swung notes.
    """
    for unit, pair in (("eighth", UNITS), ("sixteenth", EIGHTH)):
        late, straight, early, between = [], 0, 0, 0
        for part in score.parts:
            table = part.note_table
            if not len(table):
                continue
            where = table[:, 0] * (UNITS / score.ticks_per_quarter) / pair
            number = np.floor(where + ON_BEAT)
            inside = where - number
            order = np.argsort(number, kind="stable")
            number, inside = number[order], inside[order]
            for places in np.split(inside, np.flatnonzero(np.diff(number)) + 1):
                off = places[places > ON_BEAT]
                early += bool(((off >= EARLY[0]) & (off < EARLY[1])).any())
                between += bool(((off >= BETWEEN[0]) & (off < BETWEEN[1])).any())
                if len(off) and float(off.max() - off.min()) <= 0.08:
                    middle = float(np.median(off))
                    if SWUNG[0] <= middle <= SWUNG[1]:
                        late.append(middle)
                    elif STRAIGHT[0] <= middle <= STRAIGHT[1]:
                        straight += 1
        triplets = max(early - 2 * between, 0)
        if len(late) >= FEWEST_SWUNG and len(late) > SURE * (straight + triplets):
            return Swing(unit, float(np.median(late)), between * 2 >= max(early, 1))
    return None


def straightened(score: Score, swing: Swing) -> Score:
    """``score`` with late offbeats back in the middle of their pair; pairs in which triplets are played stay."""
    pair = swing.pair * score.ticks_per_quarter / UNITS

    def straight(part: Part) -> Part:
        table = part.note_table
        if not len(table):
            return part
        number = np.floor(table[:, 0] / pair + ON_BEAT)
        inside = table[:, 0] / pair - number
        kept = {one for one in set(number.tolist()) if _is_triplet(inside[number == one], swing)}

        def back(ticks: np.ndarray) -> np.ndarray:
            number = np.floor(ticks / pair + ON_BEAT)
            inside = ticks / pair - number
            early = inside * 0.5 / swing.place
            late = 0.5 + (inside - swing.place) * 0.5 / (1 - swing.place)
            moved = (number + np.where(inside < swing.place, early, late)) * pair
            stays = np.isin(number, list(kept))
            return np.asarray(np.where(stays, ticks, np.rint(moved)), dtype=np.int64)

        onsets, ends = back(table[:, 0]), back(table[:, 0] + table[:, 1])
        rows = zip(onsets.tolist(), ends.tolist(), part.notes, strict=True)
        notes = (Note(max(o, 0), n.pitch, max(e - max(o, 0), 0), n.velocity) for o, e, n in rows)
        places = back(np.array([text.tick for text in part.lyrics], dtype=np.int64)).tolist() if part.lyrics else []
        lyrics = tuple(replace(text, tick=tick) for text, tick in zip(part.lyrics, places, strict=True))
        return replace(part, notes=tuple(sorted(notes)), lyrics=lyrics)

    return replace(score, parts=tuple(straight(part) for part in score.parts))


def _is_triplet(inside: np.ndarray, swing: Swing) -> bool:
    """Whether onsets at ``inside`` (shares of a pair) are rather a triplet than swung eighths and sixteenths."""
    if not ((inside > EARLY[0]) & (inside < EARLY[1])).any():
        return False
    swung = np.array([0, swing.place / 2, swing.place, (1 + swing.place) / 2, 1])
    triplet = np.array([0, 1 / 3, 2 / 3, 1])

    def distance(grid: np.ndarray) -> float:
        return float((np.abs(inside[:, None] - grid).min(axis=1) ** 2).sum())

    return distance(triplet) < distance(swung) + (-ALIKE if swing.divided else ALIKE)


def quantised(
    notes: Sequence[Note], measures: Sequence[Measure], ticks_per_quarter: int
) -> tuple[list[Strike], dict[int, tuple[Tuplet, ...]]]:
    """``notes`` on the grid of ``measures``, and by the number of the bar the tuplets that they need there.

    Of two notes of one pitch at one place the longer is kept. Nothing begins before the first bar, or in a place of a
    beat that it does not divide into. Sorted by onset, then pitch.
    """
    scale = UNITS / ticks_per_quarter
    beats = [
        (m.start + a, m.start + b, index) for index, m in enumerate(measures) for a, b in pairwise(m.beats)
    ]  # fmt: skip
    starts = np.array([first for first, _, _ in beats])
    ordered = sorted(notes, key=lambda note: (note.onset_ticks, note.pitch))
    clustered = _clusters([note.onset_ticks * scale for note in ordered])
    by_beat: dict[int, list[tuple[float, Note]]] = {}
    for where, note in zip(clustered, ordered, strict=True):
        beat = max(int(np.searchsorted(starts, where, side="right")) - 1, 0)
        by_beat.setdefault(beat, []).append((where, note))
    # Who plays triplets goes on to play triplets: the first reading says how likely they are in the second.
    prior = TRIPLET
    for _ in range(2):
        read = {beat: _best_division(_inside(here, beats[beat][0]), beats[beat][1] - beats[beat][0], prior)
                for beat, here in by_beat.items()}  # fmt: skip
        divided = [bool(found) for beat, (points, found) in read.items() if _says_division(points, beats[beat])]
        share = sum(divided) / len(divided) if divided else 0.0
        prior = min(max(math.log((1 - share + 0.02) / (share + 0.02)), -MOST_PRIOR), MOST_PRIOR)
    strikes: list[Strike] = []
    tuplets: dict[int, tuple[Tuplet, ...]] = {}
    for beat in sorted(by_beat):
        first, _, index = beats[beat]
        points, spans = read[beat]
        for (_, note), point in zip(by_beat[beat], points, strict=True):
            end = (note.onset_ticks + note.duration_ticks) * scale
            strikes.append(Strike(first + point, end, note.pitch, note.velocity, note.onset_ticks))
        if spans:
            measure = measures[index]
            found = tuple(Tuplet(first - measure.start + start, length) for start, length in spans)
            tuplets[measure.number] = (*tuplets.get(measure.number, ()), *found)
    return _without_doubles(strikes), tuplets


def _inside(here: Sequence[tuple[float, Note]], first: int) -> list[tuple[float, int]]:
    return [(where - first, note.pitch) for where, note in here]


def _says_division(points: Sequence[int], beat: tuple[int, int, int]) -> bool:
    """Whether something is played inside a beat of a quarter, other than on its half."""
    return beat[1] - beat[0] == UNITS and any(point % EIGHTH for point in points)


def _clusters(places: Sequence[float]) -> list[float]:
    """``places`` in order, those of notes struck together made one."""
    found: list[float] = []
    begin = 0
    for number in range(1, len(places) + 1):
        together = (
            number < len(places)
            and places[number] - places[number - 1] <= CHORD_GAP
            and places[number] - places[begin] <= CHORD_SPREAD
        )
        if not together:
            found += [float(np.mean(places[begin:number]))] * (number - begin)
            begin = number
    return found


def _best_division(
    onsets: Sequence[tuple[float, int]], length: int, triplet: float
) -> tuple[list[int], list[tuple[int, int]]]:
    """The points of a beat of ``length`` units that ``onsets`` (place, pitch) go to, and its tuplets as start, length.
    ``triplet`` is what a triplet has to be likelier by.

    A point may be the end of the beat, which is the next one's beginning.
    """
    points: list[int] = [0] * len(onsets)
    divided: list[tuple[int, int]] = []
    cost = 0.0
    for begin in range(0, length, EIGHTH):
        end = min(begin + EIGHTH, length)
        here = [n for n, (where, _) in enumerate(onsets) if begin <= where < end or (begin == 0 and where < 0)]
        here += [n for n, (where, _) in enumerate(onsets) if end == length and where >= length]
        if not here:
            continue
        ways = [(0.0, _points(begin, end, SIXTEENTH), False)]
        if end - begin == EIGHTH:
            ways.append((FINE_TRIPLET, _points(begin, end, 8), True))
        ways.append((THIRTY_SECOND, _points(begin, end, 6), False))
        best, chosen, is_triplet = _cheapest([onsets[n] for n in here], ways)
        cost += best
        for n, point in zip(here, chosen, strict=True):
            points[n] = point
        if is_triplet and any((point - begin) % 6 for point in chosen):
            divided.append((begin, EIGHTH))
    if length == UNITS and onsets:
        best, chosen, _ = _cheapest(onsets, [(triplet, _points(0, length, 16), True)])
        if best < cost:
            on_triplet = any(point % 24 for point in chosen)
            return chosen, [(0, length)] if on_triplet else []
    return points, divided


def _points(begin: int, end: int, step: int) -> list[int]:
    return [*range(begin, end, step), end]


def _cheapest(
    onsets: Sequence[tuple[float, int]], ways: Sequence[tuple[float, list[int], bool]]
) -> tuple[float, list[int], bool]:
    best: tuple[float, list[int], bool] | None = None
    for prior, grid, is_triplet in ways:
        chosen = [min(grid, key=lambda point: abs(point - where)) for where, _ in onsets]
        distances = {round(where, 3): point - where for (where, _), point in zip(onsets, chosen, strict=True)}
        cost = prior + sum(distance**2 for distance in distances.values()) / (2 * SPREAD**2)
        taken = [(point, pitch) for (_, pitch), point in zip(onsets, chosen, strict=True)]
        cost += DOUBLED * (len(taken) - len(set(taken)))
        if best is None or cost < best[0]:
            best = cost, chosen, is_triplet
    assert best is not None
    return best


def _without_doubles(strikes: Sequence[Strike]) -> list[Strike]:
    longest: dict[tuple[int, int], Strike] = {}
    for strike in strikes:
        there = longest.get((strike.onset, strike.pitch))
        if there is None or strike.end > there.end:
            longest[strike.onset, strike.pitch] = strike
    return sorted(longest.values(), key=lambda strike: (strike.onset, strike.pitch))
