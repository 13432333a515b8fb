"""Who plays what on a staff: two hands of a keyboard, one or two voices of a staff, and how long each note is written.

Both are searched with a beam: onset after onset, the cheapest few ways to go on are kept. What costs is what a reader
stumbles over: hands that jump or reach too far, notes cut short because their voice goes on, voices that cross, and a
second voice where one would do.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby

from midigen.notation.quantising import Strike
from midigen.notation.rhythm import EIGHTH, SIXTEENTH, UNITS, Measure, Tuplet

BEAM = 16
# Hands. Pitches are MIDI's; a hand spans a ninth with ease.
SPAN, TOO_FAR = 14, 1.2  # semitones; what each beyond costs
LOWEST_RIGHT, HIGHEST_LEFT, OUTSIDE = 57, 64, 0.35  # where ledger lines begin to pile up
JUMP, EMPTY = 0.06, 0.4
MIDDLE, ACROSS = 60, 0.1  # what each semitone beyond the middle of the keyboard costs
# Voices.
SECOND_VOICE = 4.5  # for the first note of a second voice in a bar
CUT, LONGEST_CUT = 1.0, 3.0  # for each quarter a note is cut short by
UNEVEN = 0.8  # for each quarter by which notes of a chord differ
CROSSING, RESTING = 4.0, 4.0


@dataclass(frozen=True, slots=True)
class Chord:
    """Notes struck together in one voice, written from ``onset`` to ``end`` (units from the song's beginning)."""

    onset: int
    end: int
    strikes: tuple[Strike, ...]


def two_hands(strikes: Sequence[Strike], sung: frozenset[int] = frozenset()) -> tuple[list[Strike], list[Strike]]:
    """``strikes`` (by onset, then pitch) for the right and the left hand. What is ``sung`` (onsets) has its highest
    note in the right one."""
    # Of each state: what it cost, the centres of the hands, and how it came about.
    states: list[tuple[float, float, float, tuple[int, tuple] | None]] = [(0.0, 72.0, 48.0, None)]
    slices = [list(group) for _, group in groupby(strikes, key=lambda strike: strike.onset)]
    for here in slices:
        pitches = [strike.pitch for strike in here]
        following: dict[tuple[int, float, float], tuple] = {}
        for cost, right, left, way in states:
            for split in range(len(pitches) + (here[0].onset not in sung)):
                low, high = pitches[:split], pitches[split:]
                price = cost + _hand(high, right, is_right=True) + _hand(low, left, is_right=False)
                # An empty hand drifts back to its home, so that it is free again later.
                new_right = sum(high) / len(high) if high else right + 0.2 * (72 - right)
                new_left = sum(low) / len(low) if low else left + 0.2 * (48 - left)
                key = (split, round(new_right), round(new_left))
                if key not in following or price < following[key][0]:
                    following[key] = (price, new_right, new_left, (split, way))
        states = sorted(following.values(), key=lambda state: (state[0], state[3][0]))[:BEAM]
    splits: list[int] = []
    way = states[0][3]
    while way is not None:
        splits.append(way[0])
        way = way[1]  # type: ignore[assignment]
    above: list[Strike] = []
    below: list[Strike] = []
    for here, split in zip(slices, reversed(splits), strict=True):
        below += here[:split]
        above += here[split:]
    return above, below


def _hand(pitches: Sequence[int], centre: float, *, is_right: bool) -> float:
    if not pitches:
        return EMPTY
    cost = TOO_FAR * max(pitches[-1] - pitches[0] - SPAN, 0)
    if len(pitches) > 5:
        cost += 3.0 * (len(pitches) - 5)
    for pitch in pitches:
        beyond = LOWEST_RIGHT - pitch if is_right else pitch - HIGHEST_LEFT
        cost += OUTSIDE * max(beyond, 0) + ACROSS * max(MIDDLE - pitch if is_right else pitch - MIDDLE, 0)
    return cost + JUMP * abs(sum(pitches) / len(pitches) - centre)


@dataclass(frozen=True, slots=True)
class _Sounding:
    """The chord that a voice began last: where, its notes' ends, and its highest and lowest pitch."""

    onset: int
    ends: tuple[float, ...]
    low: int
    high: int

    def sounds_at(self, place: int) -> bool:
        return max(self.ends) > place + SIXTEENTH


def in_voices(strikes: Sequence[Strike], measures: Sequence[Measure], most: int) -> list[list[list[Strike]]]:
    """``strikes`` (by onset, then pitch) as one or, with ``most`` 2, two voices of chords, the upper one first."""
    slices = [list(group) for _, group in groupby(strikes, key=lambda strike: strike.onset)]
    if most == 1 or not slices:
        return [slices]
    bars = [bar.start for bar in measures]
    bar_of = _places(bars)
    states: list[tuple[float, _Sounding | None, _Sounding | None, int, tuple[int, tuple] | None]] = [
        (0.0, None, None, -1, None)
    ]
    for here in slices:
        onset, bar = here[0].onset, bar_of(here[0].onset)
        following: dict[tuple, tuple] = {}
        for cost, upper, lower, second, way in states:
            for split in range(len(here) + 1):
                low, high = here[:split], here[split:]
                price = cost + _goes_on(upper, high, onset) + _goes_on(lower, low, onset)
                if low:
                    price += SECOND_VOICE if second != bar else 0.0
                    if not high and not (upper is not None and upper.sounds_at(onset)):
                        price += RESTING
                if high and lower is not None and lower.sounds_at(onset) and high[0].pitch <= lower.high:
                    price += CROSSING
                if low and upper is not None and upper.sounds_at(onset) and low[-1].pitch >= upper.low:
                    price += CROSSING
                if lower is not None and lower.sounds_at(onset) and second != bar and not low:
                    price += SECOND_VOICE / 2  # it is held over from the bar before
                now_upper, now_lower = _begun(upper, high, onset), _begun(lower, low, onset)
                now_second = bar if low else second
                key = (now_upper, now_lower, now_second)
                if key not in following or price < following[key][0]:
                    following[key] = (price, now_upper, now_lower, now_second, (split, way))
        states = sorted(following.values(), key=lambda state: (state[0], state[4][0]))[:BEAM]
    splits: list[int] = []
    way = states[0][4]
    while way is not None:
        splits.append(way[0])
        way = way[1]  # type: ignore[assignment]
    above, below = [], []
    for here, split in zip(slices, reversed(splits), strict=True):
        if here[split:]:
            above.append(here[split:])
        if here[:split]:
            below.append(here[:split])
    return [above, below] if below else [above]


def _places(edges: Sequence[int]) -> Callable[[int], int]:
    return lambda place: bisect_right(edges, place) - 1


def _goes_on(voice: _Sounding | None, new: Sequence[Strike], onset: int) -> float:
    """What it costs that ``voice`` goes on with ``new`` at ``onset``."""
    if not new:
        return 0.0
    ends = [strike.end for strike in new]
    cost = UNEVEN * sum((max(ends) - end) / UNITS for end in ends if max(ends) - end >= SIXTEENTH)
    cost = min(cost, LONGEST_CUT)
    if voice is not None:
        for end in voice.ends:
            if end - onset >= SIXTEENTH:
                cost += min(0.5 + CUT * (end - onset) / UNITS, LONGEST_CUT)
    return cost


def _begun(voice: _Sounding | None, new: Sequence[Strike], onset: int) -> _Sounding | None:
    if not new:
        return voice if voice is not None and voice.sounds_at(onset) else None
    return _Sounding(onset, tuple(strike.end for strike in new), new[0].pitch, new[-1].pitch)


def settled(
    slices: Sequence[Sequence[Strike]], measures: Sequence[Measure], tuplets: Mapping[int, tuple[Tuplet, ...]]
) -> list[Chord]:
    """The chords of one voice, with ends that can be read; ``tuplets`` are those of this voice.

    A note is written to the next one where little is missing, since how it is let go is touch and not notation; else
    its end goes to an eighth of its beat, or to a place that the tuplet it ends in has. None overlaps the next.
    """
    bar_of = _places([bar.start for bar in measures])
    stop = measures[-1].start + measures[-1].length
    chords: list[Chord] = []
    for number, here in enumerate(slices):
        onset = here[0].onset
        following = slices[number + 1][0].onset if number + 1 < len(slices) else None
        played = max(strike.end for strike in here)
        if following is not None and _lasts(following - onset, played - onset):
            end = following
        else:
            limit = following if following is not None else stop
            bar = measures[bar_of(min(max(int(played), onset), stop - 1))]
            end = _nearest_end(onset, min(played, limit), limit, bar, tuplets.get(bar.number, ()))
        chords.append(Chord(onset, end, tuple(here)))
    return chords


def _lasts(room: float, length: float) -> bool:
    """Whether a note of ``length`` is written to the next one, which comes after ``room``."""
    missing = room - length
    if missing <= SIXTEENTH or room <= SIXTEENTH:
        return True
    if room <= UNITS:
        return length >= (0.35 if room <= EIGHTH else 0.6) * room
    return room >= 2 * UNITS and missing <= EIGHTH + 2


def _nearest_end(onset: int, played: float, limit: int, bar: Measure, tuplets: Sequence[Tuplet]) -> int:
    place = played - bar.start
    inside = next((t for t in tuplets if t.start < place < t.stop), None)
    if inside is not None:
        step, base = inside.length // 3, bar.start + inside.start
    elif 0 < bar.length - place <= EIGHTH:
        return min(bar.start + bar.length, limit)
    else:
        begin, _ = bar.beat_of(min(max(int(place), 0), bar.length - 1))
        step, base = EIGHTH, bar.start + begin
    end = base + round((played - base) / step) * step
    while end <= onset:
        end += step
    return min(end, limit)


def tuplets_of(
    slices: Sequence[Sequence[Strike]], tuplets: Mapping[int, tuple[Tuplet, ...]], measures: Sequence[Measure]
) -> dict[int, tuple[Tuplet, ...]]:
    """Of the ``tuplets`` of a staff, by the number of the bar, those in which this voice plays; two that say quarters
    in the time of two beats become one."""
    bar_of = _places([bar.start for bar in measures])
    onsets: dict[int, set[int]] = {}
    for here in slices:
        bar = measures[bar_of(here[0].onset)]
        onsets.setdefault(bar.number, set()).add(here[0].onset - bar.start)
    found: dict[int, tuple[Tuplet, ...]] = {}
    for number, places in onsets.items():
        needed = [
            tuplet
            for tuplet in sorted(tuplets.get(number, ()), key=lambda one: one.start)
            if any(tuplet.start < place < tuplet.stop and (place - tuplet.start) % 6 for place in places)
        ]
        if needed:
            found[number] = _joined(needed, places, measures[number - 1])
    return found


def _joined(tuplets: Sequence[Tuplet], places: set[int], bar: Measure) -> tuple[Tuplet, ...]:
    joined: list[Tuplet] = []
    for tuplet in tuplets:
        before = joined[-1] if joined else None
        if before is not None and before.stop == tuplet.start and before.length == tuplet.length == UNITS:
            begin, end = bar.group_of(before.start)
            fits = (before.start - begin) % (2 * UNITS) == 0 and tuplet.stop <= end
            inside = {place - before.start for place in places if before.start < place < tuplet.stop}
            if fits and inside <= {32, 64}:
                joined[-1] = Tuplet(before.start, 2 * UNITS)
                continue
        joined.append(tuplet)
    return tuple(joined)


def without_overlaps(strikes: Sequence[Strike]) -> list[Strike]:
    """``strikes`` where a note ends at the latest when its pitch is struck again."""
    again: dict[int, int] = {}
    found: list[Strike] = []
    for strike in reversed(strikes):
        following = again.get(strike.pitch)
        found.append(replace(strike, end=min(strike.end, following)) if following is not None else strike)
        again[strike.pitch] = strike.onset
    return found[::-1]
