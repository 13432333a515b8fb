"""A score as players would play it: what the grid left out, put back in.

:func:`swing` makes the offbeats late; :func:`humanise` gives every part timing and loudness as loose as in recorded
playing (:mod:`midigen.feel`). Swing first where both are wanted: then what is quantised again is the swung music.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from math import ceil, exp
from numbers import Real
from zlib import crc32

import numpy as np

from midigen.errors import BadRequest
from midigen.feel import (
    ACCENTS,
    ACOUSTIC_PROGRAMS,
    DRUMS_WANDER,
    FEELS,
    FINE_STRUMMER,
    LAG_MS,
    LOUDNESS_QUARTERS,
    LOUDNESS_WANDERS,
    PLACES,
    QUARTER_MS,
    STRUMS,
    TIMING_QUARTERS,
    TIMING_WANDERS,
    TOGETHER_MS,
    accents_of,
    sections_of,
)
from midigen.grid import DURATIONS, POSITIONS_PER_QUARTER, nearest_duration
from midigen.score import SUSTAIN_PEDAL, Note, Part, Score, sustained_ends

POSITIONS_PER_EIGHTH = POSITIONS_PER_QUARTER // 2
UNITS = {"eighth": 1.0, "sixteenth": 0.5}  # what is swung, and the quarters from one swung pair to the next
FARTHEST = 0.48  # of a grid position: from half of one an onset would be written somewhere else
# The spread by which a key is let go before its time, at 120 quarters a minute. Chosen, not measured: real lengths vary
# by far more, but that is in what is written, and this is what notation has room for.
RELEASE_MS = 12.0
QUIETEST, LOUDEST = 18, 127  # SoundFonts play the faintest velocities as silence
VELOCITY_GRAIN = 1.2  # the spread of what four velocities to a bin left out


def humanise(score: Score, amount: float, seed: int) -> Score:
    """The same piece, played: ``amount`` 0 (``score`` itself) to 1 (as loose as a median player of the corpus).

    Each part is late or early by a wander of its own, a little of one that all share, and what each onset adds; chords
    are struck not quite together, guitars strum. Loudness gets the accents of the metre, a wander and a spread, as far
    as the part has not got them already. Notes are let go a little early.

    What is written stays: rounded to the model's grid every note has its bar, position and pitch as before, and outside
    the drums its length as far as :data:`midigen.grid.DURATIONS` tells lengths apart. The order of different onsets in
    a part stays, notes of one pitch overlap only where they did, nothing begins before tick 0 or ends after the
    piece. Tempo, metre, chords, markers, controls and bends stay where they are, syllables with their notes. Deviations
    are whole ticks: a score of 24 ticks a quarter or fewer has no room for any, and keeps its timing.

    The same score, amount and ``seed`` (0 or more) give the same result, a part's name choosing its random numbers: to
    leave a part out or to add one changes no other. Raises :class:`BadRequest`.
    """
    _check_amount(amount, "humanise", "0 leaves the score as it is, 1 is as loose as people play")
    if isinstance(seed, bool) or not isinstance(seed, int) or seed < 0:
        raise BadRequest(
            f"humanise seed {seed!r} is not a whole number from 0: give the seed of the piece, for example"
        )
    if amount == 0:
        return score
    parts, seen = [], Counter[str]()
    for part in score.parts:
        parts.append(_play(score, part, float(amount), seed, f"{part.name} {seen[part.name]}") if part.notes else part)
        seen[part.name] += 1
    return replace(score, parts=tuple(parts))


def swing(score: Score, amount: float, unit: str = "eighth") -> Score:
    """The same piece with its offbeats late: ``amount`` 0 (``score`` itself) to 1 (long and short as 2 to 1).

    ``unit``: ``"eighth"`` swings the eighths of a quarter, ``"sixteenth"`` the sixteenths of an eighth. Time inside
    each such pair is stretched before its middle and pressed together behind it, so beats and bar lines stay and what
    is between them, note ends too, keeps its order. A pair in which a part plays triplets, and nothing on the middle or
    the quarters of the pair, stays as it is in that part: it swings already. Notes alone move.

    Eighths cannot swing in metres of eighths (6/8): such bars stay straight. Raises :class:`BadRequest` where no bar
    can swing, and for an amount or unit that there is not.
    """
    _check_amount(amount, "swing", "0 is straight, 1 a triplet feel")
    if unit not in UNITS:
        raise BadRequest(f"swing unit {unit!r}: choose from {', '.join(UNITS)}")
    if amount == 0:
        return score
    swings = [m.quarters >= UNITS[unit] and (unit != "eighth" or m.denominator <= 4) for m in score.metres]
    if not any(swings):
        cure = "swing sixteenths" if unit == "eighth" else "leave it straight"
        raise BadRequest(f"swing of {unit}s in {score.metres[-1]}: no beat there has a pair of {unit}s; {cure}")
    bars = score.bar_starts()
    metre = np.searchsorted([m.tick for m in score.metres], bars, side="right") - 1
    pair = UNITS[unit] * score.ticks_per_quarter
    middle = 0.5 + amount / 6

    def place(ticks: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Where the pairs of ``ticks`` begin, where in their pairs they lie (0 to 1), and whether those can swing."""
        bar = np.searchsorted(bars, ticks, side="right") - 1
        number = np.floor((ticks - bars[bar]) / pair)
        begin = bars[bar] + number * pair
        # A pair that the bar line cuts is none. The last bar line is beyond every note, so there is always a next.
        whole = begin + pair <= np.append(bars[1:], bars[-1] + ceil(pair))[bar] + 0.5
        return begin, (ticks - begin) / pair, np.array(swings)[metre[bar]] & whole

    def swung(part: Part) -> Part:
        table = part.note_table
        begin, inside, _ = place(table[:, 0])
        twelfth = np.rint(12 * inside)
        triplets = np.setdiff1d(begin[np.isin(twelfth, (4, 8))], begin[np.isin(twelfth, (3, 6, 9))])

        def warp(ticks: np.ndarray) -> np.ndarray:
            begin, inside, can = place(ticks)
            late = np.where(inside < 0.5, inside * 2 * middle, 1 - (1 - inside) * 2 * (1 - middle))
            move = can & ~np.isin(begin, triplets)
            return np.where(move, np.rint(begin + late * pair), ticks).astype(np.int64)

        onsets, ends = warp(table[:, 0]), warp(table[:, 0] + table[:, 1])
        following, followed = _following(table)
        lengths = np.maximum(ends - onsets, np.minimum(table[:, 1], 1))  # nothing is rounded away but by the next note
        lengths = np.where(followed, np.minimum(lengths, onsets[following] - onsets), lengths)
        return _with_notes(part, onsets, lengths, table[:, 3])

    return replace(score, parts=tuple(swung(part) if part.notes else part for part in score.parts))


def _check_amount(amount: object, what: str, cure: str) -> None:
    good = isinstance(amount, Real) and not isinstance(amount, bool) and 0 <= float(amount) <= 1  # NaN compares false
    if not good:
        raise BadRequest(f"{what} {amount!r} is not a number from 0 to 1: {cure}")


def _with_notes(part: Part, onsets: np.ndarray, lengths: np.ndarray, velocities: np.ndarray) -> Part:
    """``part`` with these in place of its own, note by note, and sorted again."""
    rows = zip(onsets.tolist(), part.notes, lengths.tolist(), velocities.tolist(), strict=True)
    moved = replace(part, notes=tuple(sorted(Note(o, n.pitch, d, v) for o, n, d, v in rows)))
    if not part.lyrics:
        return moved
    # Of a chord, the top note sings.
    sung = {note.onset_ticks: onset for note, onset in zip(part.notes, onsets.tolist(), strict=True)}
    lyrics = (replace(text, tick=sung.get(text.tick, text.tick)) for text in part.lyrics)
    return replace(moved, lyrics=tuple(sorted(lyrics, key=lambda text: text.tick)))


class _Dice:
    """Random numbers that a seed, a name and a place decide, and nothing else.

    A stream is read from its beginning, so one note more would change all that follow. Here every number is the hash
    of its own place (the finaliser of SplitMix64: Steele, Lea and Flood 2014), so that a bar written anew leaves the
    numbers of all other bars.
    """

    def __init__(self, seed: int, *names: str) -> None:
        words = [seed, *(crc32(name.encode("utf-8", "surrogatepass")) for name in names)]
        self._key = np.random.SeedSequence(words).generate_state(1, np.uint64)

    def uniform(self, *places: np.ndarray) -> np.ndarray:
        """Numbers above 0 and below 1, one for each of ``places`` (whole numbers that broadcast)."""
        state = self._key
        for place in places:
            state = _mixed(state ^ np.asarray(place, dtype=np.int64).astype(np.uint64))
        return np.asarray(((_mixed(state) >> np.uint64(12)) + 0.5) / 2.0**52)

    def normal(self, *places: np.ndarray) -> np.ndarray:
        """Numbers of mean 0 and variance 1 (Box and Muller 1958)."""
        first, second = (self.uniform(*places, np.full(1, which)) for which in (0, 1))
        return np.asarray(np.sqrt(-2 * np.log(first)) * np.cos(2 * np.pi * second))

    def wander(self, eighths: np.ndarray, memory: float) -> np.ndarray:
        """A slow deviation at times in ``eighths``, of mean 0 and variance 1.

        An autoregressive process of the first order from eighth to eighth, that forgets with a time constant of
        ``memory`` eighths, written out as the sum of its past; straight lines between.
        """
        keep = exp(-1 / memory)
        terms = np.arange(ceil(6 * memory))
        first = np.floor(eighths).astype(np.int64)
        at, of = np.unique(np.concatenate([first, first + 1]), return_inverse=True)
        past = self.normal(at[:, None] - terms) @ keep**terms / np.sqrt(np.sum(keep ** (2 * terms)))
        before, after = past[of].reshape(2, -1)
        share = eighths - first
        size = np.sqrt((1 - share) ** 2 + share**2 + 2 * share * (1 - share) * keep)
        return np.asarray(((1 - share) * before + share * after) / size)


def _mixed(state: np.ndarray) -> np.ndarray:
    state = state + np.uint64(0x9E3779B97F4A7C15)
    state = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    state = (state ^ (state >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return state ^ (state >> np.uint64(31))


def _play(score: Score, part: Part, amount: float, seed: int, name: str) -> Part:
    table = part.note_table
    position = np.rint(table[:, 0] * (POSITIONS_PER_QUARTER / score.ticks_per_quarter)).astype(np.int64)
    accent, section = accents_of(score, position), sections_of(part)
    late_ms = amount * _lateness(part, position, accent, section, seed, name)
    early_ms = amount * RELEASE_MS * np.abs(_Dice(seed, name, "release").normal(position, table[:, 2]))
    onsets, lengths = _placed(score, part, position, late_ms, early_ms)
    louder = amount * _loudness(table, position, accent, section, seed, name)
    velocities = np.clip(np.rint(table[:, 3] + louder), QUIETEST, LOUDEST).astype(np.int64)
    return _with_notes(part, onsets, lengths, velocities)


def _lateness(
    part: Part, position: np.ndarray, accent: np.ndarray, section: np.ndarray, seed: int, name: str
) -> np.ndarray:
    """How late each note is, in milliseconds at 120 quarters a minute; ``(n,)``."""
    pitch, eighths = part.note_table[:, 2], position / POSITIONS_PER_EIGHTH
    place = np.maximum(accent - ACCENTS.index("beat"), 0)
    late = TOGETHER_MS * _Dice(seed, "together").wander(eighths, 2 * TIMING_QUARTERS)
    if not part.is_drum:
        late += LAG_MS * _Dice(seed, name, "lag").normal(np.zeros(1))
    for which in np.unique(section):
        mine, feel = section == which, FEELS[which]
        wander = _Dice(seed, name, which, "wander").wander(eighths[mine], 2 * TIMING_QUARTERS)
        alone = _Dice(seed, name, which, "onset").normal(position[mine])
        share = DRUMS_WANDER if part.is_drum else TIMING_WANDERS
        looseness = np.sqrt(share) * wander + np.sqrt(1 - share) * alone
        late[mine] += np.array(feel.spread_ms)[place[mine]] * looseness
    chord = np.array([FEELS[which].chord_ms for which in section])
    late += _apart(chord * _Dice(seed, name, "chord").normal(position, pitch), position)
    if part.kind == "guitar":
        late = _strummed(late, part, position, place, _Dice(seed, name, "strum"))
    return late


def _strummed(late: np.ndarray, part: Part, position: np.ndarray, place: np.ndarray, dice: _Dice) -> np.ndarray:
    """``late`` with every chord of three notes or more struck string by string, up or down as the hand moves."""
    onsets, pitch = part.note_table[:, 0], part.note_table[:, 2]
    _, first, of, count = np.unique(position, return_index=True, return_inverse=True, return_counts=True)
    chord = (count >= 3) & (np.bincount(of, onsets != onsets[first][of]) == 0)
    if not chord.any():
        return late
    order = np.lexsort((pitch, of))
    rank = np.empty(len(order), dtype=np.int64)
    rank[order] = np.arange(len(order)) - np.repeat(np.cumsum(count) - count, count)
    stroke = place[first]
    fine = np.mean(stroke[chord] == PLACES.index("sixteenth")) > FINE_STRUMMER
    # The third triplet of a beat is an offbeat that swings, the second stands nearer to the beat.
    swung = (stroke == PLACES.index("triplet")) & (position[first] % POSITIONS_PER_QUARTER == 8)
    stroke = np.where(swung, PLACES.index("offbeat"), stroke)
    strum = STRUMS[part.program in ACOUSTIC_PROGRAMS, bool(fine)]
    upward = dice.uniform(position[first]) < np.array(strum.upward)[stroke]
    speed = np.exp(0.25 * dice.normal(position[first])) * strum.string_ms
    offset = (rank - (count[of] - 1) / 2) * np.where(upward, -speed, speed)[of]
    hand = np.bincount(of, late) / count
    return np.where(chord[of], hand[of] + offset, late)


def _placed(
    score: Score, part: Part, position: np.ndarray, late_ms: np.ndarray, early_ms: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Onsets and lengths in ticks, as late and as early let go as asked where what is written allows it."""
    table, ticks_a_ms = part.note_table, score.ticks_per_quarter / QUARTER_MS
    onsets, lengths = table[:, 0], table[:, 1]
    grid = score.ticks_per_quarter / POSITIONS_PER_QUARTER
    # Nearly what was asked while that is small, and never a whole FARTHEST; rising, so that strums keep their order.
    asked = late_ms * ticks_a_ms / (FARTHEST * grid)
    asked = asked / (1 + asked**6) ** (1 / 6) * FARTHEST * grid
    # Notes at one position but not at one tick are an ornament, or timing that is there already: they move as one.
    _, of, count = np.unique(position, return_inverse=True, return_counts=True)
    first, last = np.full(len(count), np.iinfo(np.int64).max), np.zeros(len(count), dtype=np.int64)
    np.minimum.at(first, of, onsets)
    np.maximum.at(last, of, onsets)
    asked = np.where((first < last)[of], (np.bincount(of, asked) / count)[of], asked)
    lowest = np.maximum((2 * position - 1) * score.ticks_per_quarter // (2 * POSITIONS_PER_QUARTER) + 1, 0)
    highest = -(-(2 * position + 1) * score.ticks_per_quarter // (2 * POSITIONS_PER_QUARTER)) - 1
    room_before, room_behind = np.minimum(lowest - first[of], 0), np.maximum(highest - last[of], 0)
    shift = np.clip(np.rint(asked), room_before, room_behind).astype(np.int64)
    early = np.rint(early_ms * ticks_a_ms).astype(np.int64) * (not part.is_drum)  # a drum has no length of its own

    following, followed = _following(table)
    written = _written(part, onsets, lengths, score.ticks_per_quarter)
    shortest = _shortest(written, score.ticks_per_quarter)
    while True:
        begin = onsets + shift
        end = np.where(followed, begin[following], part.end_ticks)
        length = np.minimum(np.maximum(lengths - early, np.minimum(shortest, lengths)), end - begin)
        wrong = (length < np.minimum(lengths, 1)) | (_written(part, begin, length, score.ticks_per_quarter) != written)
        if not wrong.any():
            return begin, length
        # Half as loose there, the whole onset and the one that strikes the pitch again, until it is written as it was.
        calm = np.isin(of, np.concatenate([of[wrong], of[following[wrong & followed]]]))
        if not (shift[calm].any() or early[calm].any()):  # a pedal that never comes up ends with the part's last note
            calm[:] = True
        shift[calm], early[calm] = np.trunc(shift[calm] / 2), early[calm] // 2


def _following(table: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Of each note the first of its pitch that begins later and not before it ends; and whether there is one."""
    onsets, pitch = table[:, 0], table[:, 2]
    order = np.lexsort((onsets, pitch))
    key = pitch * 2**40 + onsets  # one number orders by pitch, then onset
    later = np.searchsorted(key[order], pitch * 2**40 + np.maximum(onsets + table[:, 1], onsets + 1))
    exists = np.append(pitch[order], -1)[later] == pitch
    return np.where(exists, np.append(order, 0)[later], np.arange(len(order))), exists


def _written(part: Part, onsets: np.ndarray, lengths: np.ndarray, ticks_per_quarter: int) -> np.ndarray:
    """The lengths of the notes of ``part`` as the grid writes them, in positions, were they at these onsets."""
    if part.is_drum:
        return np.ones(len(onsets), dtype=np.int64)
    if any(control.number == SUSTAIN_PEDAL for control in part.controls):
        moved = zip(onsets.tolist(), part.notes, lengths.tolist(), strict=True)
        lengths = sustained_ends(replace(part, notes=tuple(Note(o, n.pitch, d, 1) for o, n, d in moved))) - onsets
    return nearest_duration(lengths * (POSITIONS_PER_QUARTER / ticks_per_quarter))


def _shortest(written: np.ndarray, ticks_per_quarter: int) -> np.ndarray:
    """The fewest ticks that the grid writes as ``written`` positions."""
    middles = np.sqrt(DURATIONS[1:] * DURATIONS[:-1]) * (ticks_per_quarter / POSITIONS_PER_QUARTER)
    return np.append(1, np.floor(middles) + 1).astype(np.int64)[np.searchsorted(DURATIONS, written)]


def _loudness(
    table: np.ndarray, position: np.ndarray, accent: np.ndarray, section: np.ndarray, seed: int, name: str
) -> np.ndarray:
    """How much louder each note is, in velocities; ``(n,)``. What a section does already is not done again."""
    louder = VELOCITY_GRAIN * _Dice(seed, name, "grain").normal(position, table[:, 2])
    for which in np.unique(section):
        mine, feel = section == which, FEELS[which]
        velocity = table[mine, 3].astype(np.float64)
        at, first, of, count = np.unique(position[mine], return_index=True, return_inverse=True, return_counts=True)
        onset = np.bincount(of, velocity) / count
        _, place, often = np.unique(accent[mine][first], return_inverse=True, return_counts=True)
        own = np.bincount(place, onset) / often - onset.mean()
        wanted = np.array(feel.accents)[np.unique(accent[mine][first])]
        wanted -= wanted[place].mean()
        strength, known = (np.sqrt(np.mean(accents[place] ** 2)) for accents in (wanted, own))
        lacking = max(1 - known / strength, 0) if strength else 0.0
        spread = np.sqrt(max(feel.loudness**2 - np.var(onset - own[place]), 0))
        wander = _Dice(seed, name, which, "swell").wander(at / POSITIONS_PER_EIGHTH, 2 * LOUDNESS_QUARTERS)
        alone = _Dice(seed, name, which, "stroke").normal(at)
        swell = np.sqrt(LOUDNESS_WANDERS) * wander + np.sqrt(1 - LOUDNESS_WANDERS) * alone
        louder[mine] += (lacking * wanted[place] + spread * swell)[of]
        within = np.sum((velocity - onset[of]) ** 2) / max(np.sum(count - 1), 1)
        fingers = np.sqrt(max(feel.chord_loudness**2 - within, 0))
        finger = _Dice(seed, name, "finger").normal(position[mine], table[mine, 2])
        louder[mine] += _apart(fingers * finger, position[mine])
    return louder


def _apart(values: np.ndarray, position: np.ndarray) -> np.ndarray:
    """``values`` less their mean at each position: what tells the notes of a chord apart, nothing for a single note."""
    _, of, count = np.unique(position, return_inverse=True, return_counts=True)
    return np.asarray(values - (np.bincount(of, values) / count)[of])
