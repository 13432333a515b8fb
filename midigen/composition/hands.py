"""Hands that lean on the model's choices, so that what was asked for is what comes out.

Each is a small, local push on logits in the key and spelling of the window; see :class:`midigen.generation.Hand`. The
model still chooses: a hand shifts the odds inside a kind of token, or of going on against leaving off.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from midigen.analysis import QUALITIES, Chord
from midigen.generation import Hand
from midigen.grid import DURATIONS, POSITIONS_PER_QUARTER
from midigen.tokenizers.grammar import Cell, PartCell
from midigen.tokenizers.vocabulary import LOWEST_PITCH, Vocabulary

NEVER = -12.0  # nats: out of the question unless there is nothing else


def _reweigh(logits: np.ndarray, block: slice, push: np.ndarray) -> None:
    """Add ``push`` to the logits of ``block``, and keep the probability of the block as a whole."""
    before = logits[block]
    after = before + push
    logits[block] = after + (_log_sum(before) - _log_sum(after))


def _log_sum(values: np.ndarray) -> float:
    top = float(values.max())
    return top + float(np.log(np.exp(values - top).sum()))


@dataclass
class Follow(Hand):
    """Leans towards what another bar of the same part played: the form lane, kept.

    ``reference`` ``(n, 3)`` are the ids of position, touch and pitch of that bar's notes, in order; ``strength`` in
    nats. After any divergence it goes on with the next note of the reference.
    """

    reference: np.ndarray
    strength: float

    def lean(self, logits: np.ndarray, cell: Cell, ender: int) -> None:
        assert isinstance(cell, PartCell)
        logits[self._next(cell, ender)] += self.strength

    def _next(self, cell: PartCell, ender: int) -> int:
        """The token that the other bar would go on with."""
        position, touch, pitch = self.reference.T
        waits = cell.placed or cell.touched
        later = (position > cell.position) & (not waits) | (position == cell.position) & (pitch > cell.pitch)
        rest = np.flatnonzero(later)
        if not len(rest):
            if not waits:
                return ender
            rest = np.flatnonzero(pitch > cell.pitch)  # a position the other bar does not have: any of its notes
            if not len(rest):
                return ender
        note = int(rest[0])
        if not waits and position[note] != cell.position:
            return int(position[note])
        if not cell.touched and touch[note] != cell.touch:
            return int(touch[note])
        return int(pitch[note])


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


class InHarmony(Hand):
    """Leans towards tones of the chord in force; a bass begins each chord on its root, its fifth or its own bass.

    ``chords`` are those of the bar in the key of the window (one at position 0), ``strength`` in nats. ``heard`` are
    the pitch classes that other parts of the bar play; a tone of the chord that nobody has played yet is wanted a
    little more (``missing`` nats), so that the chord can be told from what is played.
    """

    def __init__(
        self,
        chords: Sequence[Chord],
        kind: str,
        strength: float,
        vocabulary: Vocabulary,
        heard: frozenset[int] = frozenset(),
        missing: float = 0.0,
    ) -> None:
        v = vocabulary
        self._first = v.first["position"]
        self._block = slice(v.first["pitch"], v.first["pitch"] + v.sizes["pitch"])
        self._classes = (np.arange(v.sizes["pitch"]) + LOWEST_PITCH) % 12
        self._heard, self._missing = set(heard), missing if kind != "bass" else 0.0
        self._chords: list[tuple[int, set[int], np.ndarray, np.ndarray]] = []
        for chord in chords:
            tones = {(chord.root + step) % 12 for step in QUALITIES[chord.quality][0]} if chord.root >= 0 else set()
            inside = np.isin(self._classes, list(tones | ({chord.bass} if tones else set())))
            push = np.where(inside, strength, 0.0)
            ground = push
            if kind == "bass" and tones:
                firm = {chord.bass} if chord.bass != chord.root else {chord.root, (chord.root + 7) % 12} & tones
                ground = np.where(np.isin(self._classes, list(firm)), 0.0, NEVER)
            self._chords.append((chord.position, tones, push, ground))

    def lean(self, logits: np.ndarray, cell: Cell, ender: int) -> None:
        assert isinstance(cell, PartCell)
        if cell.position < 0:
            return
        if cell.pitch >= 0:
            self._heard.add(int(self._classes[cell.pitch - self._block.start]))
        position = cell.position - self._first
        for begin, tones, push, ground in reversed(self._chords):
            if position >= begin:
                if cell.pitch < 0 and position == begin and ground is not push:
                    _reweigh(logits, self._block, ground)
                else:
                    wanted = tones - self._heard if self._missing else set()
                    extra = np.where(np.isin(self._classes, list(wanted)), self._missing, 0.0) if wanted else 0.0
                    _reweigh(logits, self._block, push + extra)
                return


class Amount(Hand):
    """Keeps a part's notes a bar between ``least`` and ``most`` on average, over all the bars that it writes.

    ``bars`` and ``notes`` count what it has written so far; ``share`` is how full this bar is, its length against the
    longest. From these follows what this bar should hold for the average to come out. Three pushes lead there: on
    leaving off (``stiffness`` nats for a whole bar's notes), and, where the part runs ahead of an even pace through
    the bar or behind it, on another note here against going on, and on near positions against far ones.
    """

    def __init__(
        self,
        least: float,
        most: float,
        bars: float,
        notes: int,
        share: float,
        bar_length: int,
        kind: str,
        vocabulary: Vocabulary,
        stiffness: float = 4.0,
        pace: float = 1.0,
    ) -> None:
        v = vocabulary
        goal = 0.45 * least + 0.55 * most  # a bar that closes, and bars that repeat, take a little away
        owed = goal * (bars + share) - notes
        self._goal = max(float(np.clip(owed, 0.35 * goal, 1.8 * goal)), 0.25)
        self._stiffness, self._pace, self._length = stiffness, pace, bar_length
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
            logits[ender] -= float(np.clip(self._stiffness * missing, -8.0, 8.0))
        # A note every so often: how many there should be when the next beat or so comes.
        even = self._goal * (here + POSITIONS_PER_QUARTER / 4) / self._length
        behind = float(np.clip((even - cell.notes) / max(self._goal / 4, 1.0), -2.0, 2.0)) * self._pace
        for block in self._notes:
            logits[block] += behind
        ahead = np.arange(1, self._length - here, dtype=np.float64) / POSITIONS_PER_QUARTER
        start = self._first + here + 1
        logits[start : start + len(ahead)] -= behind * np.minimum(ahead, 3.0)


class Register(Hand):
    """Keeps the mean pitch of a part near the middle of ``least`` and ``most`` (MIDI pitches as they sound).

    ``mean`` and ``notes`` are of what it has written so far (``notes`` 0: nothing). A bell over the pitches, ``width``
    semitones wide, whose middle moves against what the mean is off by.
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
    ) -> None:
        v = vocabulary
        goal = (least + most) / 2
        middle = goal + (float(np.clip(1.5 * (goal - mean), -15, 15)) if notes else 0.0)
        pitch = np.arange(v.sizes["pitch"]) + LOWEST_PITCH - shift
        self._block = slice(v.first["pitch"], v.first["pitch"] + v.sizes["pitch"])
        self._push = np.maximum(-0.5 * ((pitch - middle) / width) ** 2, NEVER)

    def lean(self, logits: np.ndarray, cell: Cell, ender: int) -> None:
        _reweigh(logits, self._block, self._push)


class Closing(Hand):
    """The last bar of a piece: few onsets, the first of them held to the end."""

    def __init__(self, kind: str, bar_length: int, vocabulary: Vocabulary, strength: float = 3.0) -> None:
        v = self._v = vocabulary
        self._length, self._strength = bar_length, strength
        self._first = v.first["position"]
        self._positions = slice(self._first, self._first + bar_length)
        self._late = np.where(np.arange(bar_length) > 0, -strength / 2, 0.0)
        self._touches = slice(v.first["touch"], v.first["touch"] + v.sizes["touch"])
        self._is_drum = kind == "drums"

    def lean(self, logits: np.ndarray, cell: Cell, ender: int) -> None:
        assert isinstance(cell, PartCell)
        if cell.position < 0:
            logits[self._positions] += self._late
            logits[ender] -= self._strength
            return
        self._hold(logits, cell)
        if cell.may_end:
            logits[ender] += self._strength

    def _hold(self, logits: np.ndarray, cell: PartCell) -> None:
        """Prefer lengths that reach the end of the bar."""
        if self._is_drum or cell.touched:
            return
        rest = self._length - (cell.position - self._first)
        held = np.tile(
            np.where(0.75 * rest <= DURATIONS, self._strength, 0.0), self._v.sizes["touch"] // len(DURATIONS)
        )
        _reweigh(logits, self._touches, held)
