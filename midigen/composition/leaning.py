"""Which hands lean on a cell, how strongly, and when a bar is simply played again."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from midigen.analysis import FORM_DISTANCES, Chord
from midigen.composition.counting import Counts
from midigen.composition.hands import (
    Amount,
    ByChart,
    Closing,
    Follow,
    InHarmony,
    Register,
    Returning,
    Together,
    reference_of,
)
from midigen.composition.table import Lane, Table, moved
from midigen.composition.tonality import InKey, OnScale, Tonality
from midigen.generation import Hand
from midigen.grid import POSITIONS_PER_QUARTER
from midigen.tokenizers.spelling import read_chords
from midigen.tokenizers.window import FIRST_PART, HARMONY

ALONE = 1.1  # notes at once: a part that is to play no more plays one at a time
CROWDED = 0.85  # of the sixteenths of a bar: a part hardly begins notes at more of them
MOST_ALIKE = 7  # bars of a pitched part that are the same one after the other; the next one is another


@dataclass(frozen=True)
class Repeats:
    """How a bar follows another: the chances that its chords, and each part, are just those of that bar.

    A part whose bar is not taken over whole is drawn, leaning on the other bar by ``strength`` nats, and leaves one of
    its notes out. Measured on 300 songs of the training corpus (docs/lab-book.md): of parts in bars that are the same
    91 to 96 % are exact, the others share two thirds of their notes; of parts in bars that are varied 46 to 59 % are
    exact, the others share half.
    """

    harmony: float
    part: float
    strength: float


SAME = Repeats(harmony=0.97, part=0.945, strength=3.5)
VARIED = Repeats(harmony=0.75, part=0.6, strength=3.0)


@dataclass(frozen=True)
class Leaning:
    """How strongly the hands lean, in nats: towards chord tones where the chord is the musician's (``chart``), with
    ``missing`` for those that are hardly heard yet, and where it is the model's own (``harmony``); towards the key
    of the piece where it strays, in chords (``key``) and pitches (``scale``), and towards its tonic where it
    ``opens``; how much more even than the model's the odds between chords are (``warmth``); towards the rhythm of
    the bar before where a bar follows no other (``groove``); towards as many notes as a part was to play, and to
    begin at once, by the model's own plan (``plan``, ``stacks``); towards a section whose turn it is to come back
    (``returns``); and how bars follow others."""

    chart: float = 3.0
    missing: float = 2.0
    harmony: float = 0.4
    key: float = 2.75
    scale: float = 0.5
    opens: float = 0.2
    warmth: float = 1.2
    groove: float = 0.7
    plan: float = 2.0
    stacks: float = 1.0
    returns: float = 4.0
    same: Repeats = SAME
    varied: Repeats = VARIED


USUAL = Leaning()


@dataclass
class Conductor:
    """Gives out the hands for the cells of ``table``, knowing what has been ``counts``-ed and heard (``tonality``) so
    far. ``theirs`` are the cells that the musician gave."""

    table: Table
    leaning: Leaning
    counts: Counts
    tonality: Tonality | None
    theirs: set[tuple[int, int]]

    def for_form(self, bar: int, back: int) -> list[Hand]:
        """The hands for the form cell of ``bar``: on the musician's chords it follows bars that share them, else those
        ``back`` bars before, where that is not 0."""
        if (HARMONY, bar) not in self.theirs:
            return [Returning(back, self.leaning.returns, self.table.vocabulary)] if back else []
        cells, alike = self.table.cells[HARMONY], list[bool | None]()
        for distance in FORM_DISTANCES:
            there = cells[bar - distance] if bar >= distance else None
            alike.append(None if there is None else np.array_equal(self.table.cell(HARMONY, bar), there))
        return [ByChart(alike, self.table.vocabulary)]

    def for_harmony(self, bar: int) -> list[Hand]:
        """The hands for the chords of ``bar``."""
        if self.tonality is None:
            return []
        begins = bar == 0 and self.leaning.opens
        lean = self.leaning
        return [InKey(self.tonality, lean.key, self.table.vocabulary, lean.opens if begins else 0.0, lean.warmth)]

    def for_part(self, number: int, bar: int, shift: int, followed: tuple[int, bool] | None, luck: float) -> list[Hand]:
        """The hands for a part in ``bar`` of a window that is moved by ``shift``. ``followed`` is the bar that it
        follows; ``luck``, 0 to 1, says which of its notes is left out."""
        table, v, lean = self.table, self.table.vocabulary, self.leaning
        lane, length = table.lanes[number], table.length(bar)
        closes = table.ends and bar == table.bars - 1
        hands: list[Hand] = []
        if closes:
            done = self.counts.of(number)
            hands.append(Closing(lane.kind, length, v, done.notes / max(done.onsets, 1)))
        else:
            hands += self._following(number, bar, shift, followed, luck)
            if lane.density:
                share, stacks = self.counts.share(number, bar, lane.density), lane.together is not None
                hands.append(Amount(share.goal, share.least, share.most, length, lane.kind, v, stacks=stacks))
            elif lane.plan and lean.plan:
                goal = self.counts.share(number, bar, lane.plan).goal
                hands.append(Amount(goal, 0, math.inf, length, lane.kind, v, stiffness=lean.plan, pace=lean.plan / 4,
                                    stacks=bool(lane.stacks)))  # fmt: skip
            if lane.together:
                goal, alone = self._at_once(lane, length)
                done = self.counts.of(number)
                hands.append(Together(goal, done.notes, done.onsets, lane.kind, v, alone))
            elif lane.stacks and lean.stacks:
                done, goal = self.counts.of(number), sum(lane.stacks) / 2
                hands.append(Together(goal, done.notes, done.onsets, lane.kind, v, strength=lean.stacks))
        if lane.kind == "drums":
            return hands
        if closes and not lane.register and self.counts.of(number).notes:  # where the part has been all along
            mean = self.counts.of(number).mean_pitch
            hands.append(Register(mean - 6, mean + 6, mean, 1, shift, v, stacks=True))
        if lane.register:
            done = self.counts.of(number)
            hands.append(Register(*lane.register, done.mean_pitch, done.notes, shift, v, stacks=bool(lane.together)))
        theirs = (HARMONY, bar) in self.theirs
        strength = lean.chart if theirs or closes else lean.harmony
        chords = self.chords(bar, shift)
        if strength and chords:
            missing = lean.missing if theirs or closes else 0.0
            hands.append(InHarmony(chords, lane.kind, strength, v, self._heard(bar, shift), missing, closes))
        if self.tonality is not None and not theirs:
            hands.append(OnScale(self.tonality, lean.scale, v))
        return hands

    def _at_once(self, lane: Lane, length: int) -> tuple[float, bool]:
        """How many notes a part is to begin at once, and whether never more than one.

        Where a bar has hardly room for the notes that were asked for, so few at once, their number goes before.
        """
        assert lane.together is not None
        alone = lane.together[1] <= ALONE
        goal = 1.0 if alone else sum(lane.together) / 2
        room = CROWDED * length / (POSITIONS_PER_QUARTER / 4)
        if lane.density is not None and lane.density[0] > room * lane.together[1]:
            return max(goal, sum(lane.density) / 2 / room), False
        return goal, alone

    def chords(self, bar: int, shift: int) -> list[Chord]:
        """The chords of a bar, moved by ``shift``."""
        return read_chords(self.table.at_home(HARMONY, bar, shift), bar, self.table.vocabulary)

    def _following(
        self, number: int, bar: int, shift: int, followed: tuple[int, bool] | None, luck: float
    ) -> list[Hand]:
        table, v, row = self.table, self.table.vocabulary, FIRST_PART + number
        kind = table.lanes[number].kind
        if (number, bar) in table.sketches:
            cell, strength = table.sketches[number, bar]
            return [Follow(reference_of(moved(cell, kind, shift, v), kind, v), strength)]
        if self._is_stuck(number, bar):
            reference = reference_of(table.at_home(row, bar - 1, shift), kind, v)
            kept = len(reference) > 1  # of a lone note nothing is left to lean on
            return [Follow(reference, self.leaning.varied.strength if kept else 0.0, int(luck * len(reference)))]
        pitches = slice(v.first["pitch"], v.first["pitch"] + v.sizes["pitch"])
        if followed is None or table.cells[row][followed[0]] is None or table.length(followed[0]) != table.length(bar):
            # A bar that follows none goes on in the rhythm of the one before, in the same section.
            before = bar - 1
            if before < table.sections[bar] or not table.whole(before) or table.length(before) != table.length(bar):
                return []
            reference = reference_of(table.at_home(row, before, shift), kind, v)
            return [Follow(reference, self.leaning.groove, -1, None if kind == "drums" else pitches)]
        strength = (self.leaning.same if followed[1] else self.leaning.varied).strength
        reference = reference_of(table.at_home(row, followed[0], shift), kind, v)
        if not strength:
            return []
        # What is not taken over whole is to be heard as a variation; on other chords it is one already.
        alike = np.array_equal(table.cell(HARMONY, bar), table.cell(HARMONY, followed[0]))
        free = np.flatnonzero(reference[:, 0] > v.first["position"]) if kind == "bass" else np.arange(len(reference))
        leaves = int(free[int(luck * len(free))]) if len(free) and alike else -1
        return [Follow(reference, strength, leaves, None if alike or kind == "drums" else pitches)]

    def _heard(self, bar: int, shift: int) -> np.ndarray:
        """What the other pitched parts play in ``bar``: position, duration, pitch as the window has it."""
        table = self.table
        rows = [
            table.notes(other, bar)[:, :3]
            for other in range(len(table.lanes))
            if table.lanes[other].kind != "drums" and table.cells[FIRST_PART + other][bar] is not None
        ]
        return np.concatenate([np.zeros((0, 3), dtype=np.int64), *rows]) + np.array([0, 0, shift])

    def what_repeats(self, bar: int, followed: tuple[int, bool] | None, dice: np.ndarray) -> set[int]:
        """The rows of ``bar`` that are just those of the bar it follows; ``dice`` (one, and one a part) are 0 to 1."""
        table = self.table
        closing = table.ends and bar == table.bars - 1
        if (
            followed is None
            or closing
            or not table.whole(followed[0])
            or table.length(followed[0]) != table.length(bar)
        ):
            return set()
        how = self.leaning.same if followed[1] else self.leaning.varied
        there = table.cell(HARMONY, followed[0])
        rows: set[int] = set()
        if (HARMONY, bar) in self.theirs:
            if not np.array_equal(table.cell(HARMONY, bar), there):
                return set()
        elif dice[0] < how.harmony:
            rows.add(HARMONY)
        else:
            return set()
        wanted = [n for n in range(len(table.lanes)) if table.wanted[n, bar] and (n, bar) not in table.sketches]
        exact = [
            n
            for n in wanted
            if dice[1 + n] < how.part and self._is_enough(n, followed[0]) and not self._goes_on(n, bar, followed[0])
        ]
        if not followed[1]:  # a bar that is varied differs in a part whose notes are told apart
            heard = [n for n in wanted if table.lanes[n].kind != "drums" and len(table.notes(n, followed[0]))]
            heard = [n for n in heard if table.lanes[n].kind != "bass"] or heard
            if heard and all(n in exact for n in heard):
                exact.remove(max(heard, key=lambda n: float(dice[1 + n])))
        return rows | {FIRST_PART + n for n in exact}

    def _is_enough(self, number: int, bar: int) -> bool:
        """Whether the notes of a written bar are near enough to the density that was asked for to be played again."""
        bounds = self.table.lanes[number].density
        if bounds is None:
            return True
        return 0.6 * bounds[0] <= len(self.table.notes(number, bar)) <= 1.5 * bounds[1]

    def _is_stuck(self, number: int, bar: int) -> bool:
        """Whether a part has played the same for :data:`MOST_ALIKE` bars before ``bar``; a drummer may."""
        if self.table.lanes[number].kind == "drums" or bar < MOST_ALIKE:
            return False
        cells = self.table.cells[FIRST_PART + number][bar - MOST_ALIKE : bar]
        if any(cell is None or not len(cell) for cell in cells):
            return False
        first = self._sounds(number, bar - 1)
        return all(np.array_equal(self._sounds(number, b), first) for b in range(bar - MOST_ALIKE, bar - 1))

    def _goes_on(self, number: int, bar: int, other: int) -> bool:
        """Whether a part that is stuck would go on in ``bar`` with what it plays in ``other``."""
        return self._is_stuck(number, bar) and np.array_equal(
            self._sounds(number, other), self._sounds(number, bar - 1)
        )

    def _sounds(self, number: int, bar: int) -> np.ndarray:
        """Positions and pitches of a part in a bar: what tells two bars apart."""
        sounds: np.ndarray = self.table.notes(number, bar)[:, [0, 2]]
        return sounds
