"""A part as messages to a synthesizer, each on the 64-sample block that lies nearest to its time.

:func:`messages` has them all at once; :class:`Keyboard` gives the same, bar by bar, of a part that is still written.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from midigen.score import Part, Score

BLOCK = 64  # frames; FluidSynth begins everything on a block
BANK_SELECTS = (0, 32)  # the preset is chosen before the first note, from the part's own bank
BEND_CENTRE = 8192


@dataclass(frozen=True, slots=True)
class Message:
    """What to do at ``block``: ``action`` is ``"control"``, ``"bend"``, ``"off"`` or ``"on"``, ``values`` its data."""

    block: int
    action: str
    values: tuple[int, ...]


def blocks_of(score: Score, ticks: np.ndarray | int, rate: int) -> np.ndarray:
    """The blocks nearest to ``ticks`` (any shape), int64: within 32 frames of their time."""
    return np.rint(score.seconds(ticks) * rate / BLOCK).astype(np.int64)


def messages(score: Score, part: Part, rate: int) -> list[Message]:
    """The messages that play ``part``, in order of time; within one tick controls, bends, note ends, note starts.

    A key can be pressed once at a time: a note that begins while its key sounds ends the one before (whose own end
    is then not sent, for it would cut the new note short), and of notes that begin together on one key one is
    played, as strong as the strongest and as long as the longest. A note lasts one block at least.
    """
    keyed = _controls(score, part, rate)
    for pitch, line in _presses(score, part, rate).items():
        keyed += _strokes(pitch, line)
        keyed += [
            _end(pitch, press)
            for number, press in enumerate(line)
            if number + 1 == len(line) or _is_let_go(press, line[number + 1])
        ]
    return _in_order(keyed)


_Keyed = tuple[tuple[int, int, int], Message]  # what it is sorted by: block, tick, and the order within one
_OFF, _ON = 2**40, 2**40 + 1  # after all controls and bends of a tick


def _controls(score: Score, part: Part, rate: int) -> list[_Keyed]:
    keyed: list[_Keyed] = []
    for order, (action, tick, values) in enumerate(
        [("control", c.tick, (c.number, c.value)) for c in part.controls if c.number not in BANK_SELECTS]
        + [("bend", b.tick, (b.value + BEND_CENTRE,)) for b in part.bends]
    ):
        block = int(blocks_of(score, max(tick, 0), rate))
        keyed.append(((block, tick, order), Message(block, action, values)))
    return keyed


def _presses(score: Score, part: Part, rate: int) -> dict[int, list[list[int]]]:
    """How each key is pressed, by pitch: on block, off block, velocity, onset tick, end tick; in order of time."""
    onset_ticks, duration_ticks, pitches, velocities = part.note_table.T
    on_blocks = blocks_of(score, onset_ticks, rate)
    off_blocks = np.maximum(blocks_of(score, onset_ticks + duration_ticks, rate), on_blocks + 1)
    found: dict[int, list[list[int]]] = {}
    for pitch in np.unique(pitches).tolist():
        rows = np.flatnonzero(pitches == pitch)
        line: list[list[int]] = []
        for row in rows[np.argsort(onset_ticks[rows], kind="stable")]:
            tick = int(onset_ticks[row])
            press = [
                int(on_blocks[row]),
                int(off_blocks[row]),
                int(velocities[row]),
                tick,
                tick + int(duration_ticks[row]),
            ]
            if line and line[-1][0] == press[0]:
                line[-1] = _longer(line[-1], press)
            else:
                line.append(press)
        found[pitch] = line
    return found


def _longer(press: list[int], other: list[int]) -> list[int]:
    """Two notes that begin together on one key, as one."""
    return [press[0], max(press[1], other[1]), max(press[2], other[2]), press[3], max(press[4], other[4])]


def _strokes(pitch: int, line: list[list[int]]) -> list[_Keyed]:
    return [((on, tick, _ON), Message(on, "on", (pitch, velocity))) for on, _, velocity, tick, _ in line]


def _end(pitch: int, press: list[int]) -> _Keyed:
    return (press[1], press[4], _OFF), Message(press[1], "off", (pitch,))


def _is_let_go(press: list[int], following: list[int]) -> bool:
    """Whether a key's end is sent before it is pressed again."""
    return press[1] < following[0] or (press[1] == following[0] and press[4] <= following[3])


def _in_order(keyed: list[_Keyed]) -> list[Message]:
    # Keys of equal order are told apart by pitch, so that the order does not hang on how the notes were listed.
    return [message for _, message in sorted(keyed, key=lambda pair: (*pair[0], pair[1].values))]


class Keyboard:
    """The messages of a part whose notes come bar by bar: together those of :func:`messages` for the whole part.

    ``score`` has the tempo map. A key's end is told when it is sure: whether it is sent at all may hang on a note of
    the next bar. (A note that begins on the very block of one of the bar before, on its key, only makes that longer.)
    """

    def __init__(self, score: Score, rate: int) -> None:
        self._score, self._rate = score, rate
        self._held: dict[int, list[int]] = {}  # pitch: on block, off block, velocity, onset tick, end tick

    def bar(self, part: Part, end_ticks: int) -> list[Message]:
        """The messages before ``end_ticks``; the notes, controls and bends of ``part`` are those that begin there and
        were not told before."""
        end = int(blocks_of(self._score, end_ticks, self._rate))
        keyed = _controls(self._score, part, self._rate)
        presses: dict[int, list[list[int]]] = {pitch: [held] for pitch, held in self._held.items()}
        for pitch, new in _presses(self._score, part, self._rate).items():
            if pitch in presses and presses[pitch][0][0] == new[0][0]:
                presses[pitch][0] = _longer(presses[pitch][0], new[0])
                new = new[1:]
            presses.setdefault(pitch, []).extend(new)
        held = self._held
        self._held = {}
        for pitch, line in presses.items():
            keyed += _strokes(pitch, line[1:] if pitch in held else line)
            keyed += [
                _end(pitch, press) for number, press in enumerate(line[:-1]) if _is_let_go(press, line[number + 1])
            ]
            if line[-1][1] < end:
                keyed.append(_end(pitch, line[-1]))
            else:
                self._held[pitch] = line[-1]
        return _in_order(keyed)

    def let_go(self) -> list[int]:
        """The pitches of the keys that are down, or whose end was not told; from now on none is."""
        held = sorted(self._held)
        self._held = {}
        return held

    def rest(self) -> list[Message]:
        """The ends that are left when nothing follows."""
        keyed = [_end(pitch, press) for pitch, press in self._held.items()]
        self._held = {}
        return _in_order(keyed)
