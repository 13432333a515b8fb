"""Hands that lean on the model's choices, so that what was asked for is what comes out.

Each is a small, local push on logits in the key and spelling of the window; see :class:`midigen.generation.Hand`. The
model still chooses: a hand shifts the odds inside a kind of token, or of going on against leaving off.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from midigen.analysis import FORM_DISTANCES, QUALITIES, Chord
from midigen.generation import Hand
from midigen.grid import DURATIONS, POSITIONS_PER_QUARTER
from midigen.tokenizers.grammar import Cell, PartCell
from midigen.tokenizers.vocabulary import LOWEST_PITCH, Vocabulary

NEVER = -12.0  # nats: out of the question unless there is nothing else


def reweigh(logits: np.ndarray, block: slice, push: np.ndarray) -> None:
    """Add ``push`` to the logits of ``block``, and keep the probability of the block as a whole."""
    before = logits[block]
    after = before + push
    logits[block] = after + (_log_sum(before) - _log_sum(after))


def _log_sum(values: np.ndarray) -> float:
    # The ufuncs themselves: of a few hundred numbers the methods take twice as long to be found as to be computed.
    top = float(np.maximum.reduce(values))
    return top + float(np.log(np.add.reduce(np.exp(values - top))))


@dataclass
class Follow(Hand):
    """Leans towards what another bar of the same part played: the form lane, kept.

    ``reference`` ``(n, 3)`` are the ids of position, touch and pitch of that bar's notes, in order; ``strength`` in
    nats. After any divergence it goes on with the next note of the reference. ``leaves`` is the row of a note that is
    not to be played again, so that a variation is one; -1 for none. With ``any_pitch``, the ids of pitches, it leans on
    the rhythm alone.
    """

    reference: np.ndarray
    strength: float
    leaves: int = -1
    any_pitch: slice | None = None

    def __post_init__(self) -> None:
        self._left = self.reference[self.leaves] if self.leaves >= 0 else None
        self._kept = self.reference if self._left is None else np.delete(self.reference, self.leaves, axis=0)
        self._notes: list[list[int]] = self._kept.tolist()  # a dozen notes: a loop takes a tenth of the time of numpy

    def lean(self, logits: np.ndarray, cell: Cell, ender: int) -> None:
        assert isinstance(cell, PartCell)
        if self._left is not None:
            position, _, pitch = self._left
            if position not in self._kept[:, 0]:
                logits[position] += NEVER
            if cell.position == position:
                logits[pitch] += NEVER
        token, is_pitch = self._next(cell, ender)
        logits[self.any_pitch if self.any_pitch and is_pitch else token] += self.strength

    def _next(self, cell: PartCell, ender: int) -> tuple[int, bool]:
        """The token that the other bar would go on with, and whether it is a pitch."""
        waits = cell.placed or cell.touched
        here, above = cell.position, cell.pitch
        note = next(
            (n for n in self._notes if (n[0] > here and not waits) or (n[0] == here and n[2] > above)),
            None,
        )
        if note is None and waits:  # a position the other bar does not have: any of its notes
            note = next((n for n in self._notes if n[2] > above), None)
        if note is None:
            return ender, False
        position, touch, pitch = note
        if not waits and position != here:
            return position, False
        if not cell.touched and touch != cell.touch:
            return touch, False
        return pitch, True


# How often bars have the same chords: of a bar and the one that it is the same as, or varies, and of any two bars as
# far apart (113 validation songs). What the chart says of two bars bears on whether one follows the other by the ratio.
_SAME_CHORDS, _VARIED_CHORDS, _ANY_CHORDS = 0.93, 0.67, 0.16


class ByChart(Hand):
    """Leans a form cell towards bars that have the same chords as this one on the musician's chart, and away from
    others: ``alike`` says for each of :data:`midigen.analysis.FORM_DISTANCES` whether that bar has, ``None`` where it
    is not known."""

    def __init__(self, alike: Sequence[bool | None], vocabulary: Vocabulary) -> None:
        self._push = np.zeros(vocabulary.size)
        for number, same in enumerate(alike):
            if same is not None:
                here = vocabulary.id("form", 1 + 2 * number)
                for token, share in ((here, _SAME_CHORDS), (here + 1, _VARIED_CHORDS)):
                    odds = share / _ANY_CHORDS if same else (1 - share) / (1 - _ANY_CHORDS)
                    self._push[token] = np.log(odds)

    def lean(self, logits: np.ndarray, cell: Cell, ender: int) -> None:
        logits += self._push


class Returning(Hand):
    """Leans a form cell by ``strength`` nats towards following the bar ``distance`` before, the same or varied."""

    def __init__(self, distance: int, strength: float, vocabulary: Vocabulary) -> None:
        here = vocabulary.id("form", 1 + 2 * FORM_DISTANCES.index(distance))
        self._tokens, self._strength = [here, here + 1], strength

    def lean(self, logits: np.ndarray, cell: Cell, ender: int) -> None:
        logits[self._tokens] += self._strength


def reference_of(cell: np.ndarray, kind: str, vocabulary: Vocabulary) -> np.ndarray:
    """The notes of a cell as :class:`Follow` takes them: ids of position, touch and pitch, ``(n, 3)``."""
    v = vocabulary
    touch_kind = "drum_velocity" if kind == "drums" else "touch"
    position = touch = -1
    rows = []
    for token in cell.tolist():
        name, _ = v.value(token)
        if name == "position":
            position = token
        elif name == touch_kind:
            touch = token
        elif v.ends_note[token]:
            rows.append((position, touch, token))
    return np.array(rows, dtype=np.int64).reshape(-1, 3)


# How much each tone says of a chord, by how many semitones it lies over the root: the third and what stands in its
# place, the seventh and sixth, and altered fifths most; a fifth least, and the root is the bass's.
_TELLS = np.array([0.7, 0, 1.0, 1.0, 1.0, 1.0, 1.0, 0.5, 1.0, 1.2, 1.1, 1.1])
_FIFTH = 1.5  # nats by which a bass prefers the root to it where a chord begins
_HEARD_WELL = 0.12  # of the time that sounds under a chord: a tone with so much of it is wanted no more


def _tones_of(chord: Chord) -> list[int]:
    """The pitch classes of a chord; none where there is none."""
    return [(chord.root + step) % 12 for step in QUALITIES[chord.quality][0]] if chord.root >= 0 else []


class InHarmony(Hand):
    """Leans towards tones of the chord in force; a bass begins each chord on its root, its fifth or its own bass, and
    rather begins a note there than not.

    ``chords`` are those of the bar in the key of the window (one at position 0), ``strength`` in nats. ``heard``
    ``(n, 3)`` are the notes that other parts play in the bar: position, duration and pitch as the window has it. A tone
    of the chord that is hardly heard under it is wanted more, by ``missing`` nats for a third, more for a seventh, less
    for a fifth, and a tone foreign to it less, the more it has sounded, so that the chord can be told from what is
    played. ``closes`` asks a bass for the root or its own bass.
    """

    def __init__(
        self,
        chords: Sequence[Chord],
        kind: str,
        strength: float,
        vocabulary: Vocabulary,
        heard: np.ndarray | None = None,
        missing: float = 0.0,
        closes: bool = False,
    ) -> None:
        v = vocabulary
        self._first = v.first["position"]
        self._block = slice(v.first["pitch"], v.first["pitch"] + v.sizes["pitch"])
        self._touch, self._durations = v.first["touch"], np.asarray(DURATIONS)
        self._classes = (np.arange(v.sizes["pitch"]) + LOWEST_PITCH) % 12
        self._positions = slice(self._first, self._first + v.sizes["position"])
        self._strength, self._is_bass = strength, kind == "bass"
        self._missing = missing if kind != "bass" else 0.0
        self._chords: list[tuple[int, np.ndarray, np.ndarray]] = []  # where it begins; pushes; on its ground
        self._wanted: list[np.ndarray] = []  # for each chord, by pitch class: how much its tone says of it
        self._time: list[np.ndarray] = []  # for each chord, by pitch class: the positions that it has sounded
        self._seen = -1, -1
        for chord, after in zip(chords, [*chords[1:], None], strict=True):
            tones = _tones_of(chord)
            push, ground = np.zeros(12), None
            push[[*tones, *([chord.bass] if tones else [])]] = strength
            if kind == "bass" and tones:
                firm = {chord.bass} if chord.bass != chord.root else {chord.root, (chord.root + 7) % 12} & set(tones)
                ground = np.full(12, NEVER - _FIFTH)
                ground[list({chord.bass} if closes else firm)] = -_FIFTH
                ground[chord.bass] += _FIFTH
            pushes = push[self._classes]
            self._chords.append((chord.position, pushes, pushes if ground is None else ground[self._classes]))
            wanted, time = np.zeros(12), np.zeros(12)
            for tone in tones:
                wanted[tone] = _TELLS[(tone - chord.root) % 12]
            for position, duration, pitch in [] if heard is None else heard.tolist():
                until = position + duration if after is None else min(position + duration, after.position)
                time[pitch % 12] += max(until - max(position, chord.position), 0)
            self._wanted.append(wanted)
            self._time.append(time)

    def lean(self, logits: np.ndarray, cell: Cell, ender: int) -> None:
        assert isinstance(cell, PartCell)
        if self._is_bass and not cell.placed and not cell.touched:
            self._begin(logits, cell, ender)
        if cell.position < 0:
            return
        position = cell.position - self._first
        at = max((n for n, (begin, _, _) in enumerate(self._chords) if position >= begin), default=-1)
        if at < 0:
            return
        begin, push, ground = self._chords[at]
        if cell.pitch < 0 and position == begin and ground is not push:
            reweigh(logits, self._block, ground)
        elif self._missing:
            self._listen(cell, at)
            time, wanted = self._time[at], self._wanted[at]
            heard = np.minimum(time / max(float(np.add.reduce(time)) * _HEARD_WELL, 1.0), 1.0)
            lacks = wanted * (1 - heard)
            colours = (wanted == 0) * heard
            reweigh(logits, self._block, push + (self._missing * (lacks - colours))[self._classes])
        else:
            reweigh(logits, self._block, push)

    def _begin(self, logits: np.ndarray, cell: PartCell, ender: int) -> None:
        """A bass begins a note where the next chord begins, rather than going past that place."""
        here = cell.position - self._first if cell.position >= 0 else -1
        ahead = next((begin for begin, _, _ in self._chords if begin > here), None)
        if ahead is not None:
            logits[self._first + ahead + 1 : self._positions.stop] -= self._strength
            logits[ender] -= self._strength

    def _listen(self, cell: PartCell, at: int) -> None:
        """Hear the note that this part has just played."""
        if cell.pitch >= 0 and (cell.position, cell.pitch) != self._seen:
            self._seen = cell.position, cell.pitch
            duration = int(self._durations[(cell.touch - self._touch) % len(self._durations)])
            self._time[at][self._classes[cell.pitch - self._block.start]] += duration


class Amount(Hand):
    """Keeps the notes of a bar near ``goal``, and between ``least`` and ``most`` where the instrument allows it.

    Three pushes lead there: on leaving off (``stiffness`` nats for a whole bar's notes), and, where the part runs ahead
    of an even pace through the bar or behind it, on another note here against going on, and on near positions against
    far ones.
    """

    def __init__(
        self,
        goal: float,
        least: float,
        most: float,
        bar_length: int,
        kind: str,
        vocabulary: Vocabulary,
        stiffness: float = 4.0,
        pace: float = 1.0,
        stacks: bool = False,
    ) -> None:
        v = vocabulary
        self._stacks = stacks
        self._goal, self._least, self._most = max(goal, 0.25), least, most
        self._stiffness, self._pace, self._length = stiffness, pace, bar_length
        self._far = np.minimum(np.arange(1, bar_length, dtype=np.float64) / POSITIONS_PER_QUARTER, 3.0)
        self._first = v.first["position"]
        names = ("drum", "drum_velocity") if kind == "drums" else ("pitch", "touch")
        self._notes = [slice(v.first[name], v.first[name] + v.sizes[name]) for name in names]

    def lean(self, logits: np.ndarray, cell: Cell, ender: int) -> None:
        assert isinstance(cell, PartCell)
        if cell.placed or cell.touched:
            return
        here = max(cell.position - self._first, 0)
        if cell.may_end:
            missing = (self._goal - cell.notes) / max(self._goal, 1.0)
            push = min(max(self._stiffness * missing, -8.0), 8.0)
            push = push + 4 if cell.notes + 1 <= self._least else push
            logits[ender] -= push - 4 if cell.notes + 1 > self._most else push
        # A note every so often: how many there should be when the next beat or so comes.
        even = self._goal * (here + POSITIONS_PER_QUARTER / 4) / self._length
        behind = min(max((even - cell.notes) / max(self._goal / 4, 1.0), -2.0), 2.0) * self._pace
        for block in self._notes if not self._stacks else ():
            logits[block] += behind
        start = self._first + here + 1
        logits[start : self._first + self._length] -= behind * self._far[: self._length - here - 1]


class Together(Hand):
    """Keeps the notes that a part begins at once near ``goal`` on average; ``alone`` forbids a second one.

    ``notes`` and ``onsets`` count what it has written so far; ``strength`` is in nats for each note that is owed.
    """

    def __init__(
        self,
        goal: float,
        notes: int,
        onsets: int,
        kind: str,
        vocabulary: Vocabulary,
        alone: bool = False,
        strength: float = 3.0,
    ) -> None:
        v = vocabulary
        # What is owed from before is paid back little by little.
        self._owed = float(np.clip(goal * onsets - notes, -1.5, 1.5))
        self._goal, self._alone, self._strength = goal, alone, strength
        names = ("drum", "drum_velocity") if kind == "drums" else ("pitch", "touch")
        self._notes = [slice(v.first[name], v.first[name] + v.sizes[name]) for name in names]
        self._position, self._onsets = -1, 0

    def lean(self, logits: np.ndarray, cell: Cell, ender: int) -> None:
        assert isinstance(cell, PartCell)
        if cell.position != self._position:
            self._position, self._onsets = cell.position, self._onsets + 1
        if cell.placed or cell.touched or cell.position < 0:
            return
        owed = self._owed + self._goal * self._onsets - cell.notes
        push = NEVER if self._alone else min(max(self._strength * (owed - 0.5), -9.0), 9.0)
        for block in self._notes:
            logits[block] += push


class Register(Hand):
    """Keeps the mean pitch of a part near the middle of ``least`` and ``most`` (MIDI pitches as they sound).

    ``mean`` and ``notes`` are of what it has written so far (``notes`` 0: nothing). A bell over the pitches, ``width``
    semitones wide, whose middle moves against what the mean is off by. With ``stacks`` the size of chords is another's
    to say.
    """

    def __init__(
        self,
        least: float,
        most: float,
        mean: float,
        notes: int,
        shift: int,
        vocabulary: Vocabulary,
        width: float = 5.0,
        stacks: bool = False,
    ) -> None:
        v = vocabulary
        goal = (least + most) / 2
        middle = goal + (float(np.clip(2.0 * (goal - mean), -15, 15)) if notes else 0.0)
        pitch = np.arange(v.sizes["pitch"]) + LOWEST_PITCH - shift
        self._block = slice(v.first["pitch"], v.first["pitch"] + v.sizes["pitch"])
        self._touches = slice(v.first["touch"], v.first["touch"] + v.sizes["touch"])
        self._push = np.maximum(-0.5 * ((pitch - middle) / width) ** 2, NEVER)
        # A chord is written from its lowest note up: where the part lies too high, the next note of one is wanted less.
        brake = not stacks and (not notes or mean > goal)
        self._another = -np.clip((pitch - goal) / width, 0, 3) * brake

    def lean(self, logits: np.ndarray, cell: Cell, ender: int) -> None:
        reweigh(logits, self._block, self._push)
        assert isinstance(cell, PartCell)
        if cell.pitch >= 0 and not cell.placed and not cell.touched:
            push = self._another[cell.pitch - self._block.start]
            logits[self._block] += push
            logits[self._touches] += push


MOST_CLOSING = 4  # notes of a part in a last chord


class Closing(Hand):
    """The last bar of a piece: one onset, or two, the last of them held to the end, of as many notes as the part plays
    at once elsewhere (``together``)."""

    def __init__(
        self, kind: str, bar_length: int, vocabulary: Vocabulary, together: float = 1.0, strength: float = 4.0
    ) -> None:
        v = self._v = vocabulary
        self._together = float(np.clip(round(together), 1, MOST_CLOSING))
        names = ("drum", "drum_velocity") if kind == "drums" else ("pitch", "touch")
        self._notes = [slice(v.first[name], v.first[name] + v.sizes[name]) for name in names]
        self._length, self._strength = bar_length, strength
        self._first = v.first["position"]
        self._positions = slice(self._first, self._first + bar_length)
        late = np.arange(bar_length)
        self._late = np.where(late > bar_length // 2, NEVER, np.where(late > 0, -strength / 2, 0.0))
        self._touches = slice(v.first["touch"], v.first["touch"] + v.sizes["touch"])
        self._is_drum = kind == "drums"
        self._begun: set[int] = set()

    def lean(self, logits: np.ndarray, cell: Cell, ender: int) -> None:
        assert isinstance(cell, PartCell)
        if cell.position < 0:
            logits[self._positions] += self._late
            logits[ender] -= self._strength
            return
        self._begun.add(cell.position)
        self._hold(logits, cell)
        logits[self._positions] += NEVER if len(self._begun) > 1 else self._late - self._strength
        if cell.may_end:
            full = cell.notes >= self._together
            logits[ender] += self._strength if full else -self._strength
            for block in self._notes:
                logits[block] += 0.0 if full else self._strength

    def _hold(self, logits: np.ndarray, cell: PartCell) -> None:
        """Only lengths that reach the end of the bar, or nearly."""
        if self._is_drum or cell.touched:
            return
        rest = self._length - (cell.position - self._first)
        least = min(0.75 * self._length, rest - POSITIONS_PER_QUARTER / 4, max(DURATIONS[rest >= DURATIONS]))
        held = np.tile(np.where(least <= DURATIONS, 0.0, NEVER), self._v.sizes["touch"] // len(DURATIONS))
        reweigh(logits, self._touches, held)
