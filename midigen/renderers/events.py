"""A part as messages to a synthesizer, each on the 64-sample block that lies nearest to its time."""

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
    keyed: list[tuple[tuple[int, int, int], Message]] = []
    for order, (action, tick, values) in enumerate(
        [("control", c.tick, (c.number, c.value)) for c in part.controls if c.number not in BANK_SELECTS]
        + [("bend", b.tick, (b.value + BEND_CENTRE,)) for b in part.bends]
    ):
        block = int(blocks_of(score, max(tick, 0), rate))
        keyed.append(((block, tick, order), Message(block, action, values)))
    after_controls = len(keyed)

    onset_ticks, duration_ticks, pitches, velocities = part.note_table.T
    on_blocks = blocks_of(score, onset_ticks, rate)
    off_blocks = np.maximum(blocks_of(score, onset_ticks + duration_ticks, rate), on_blocks + 1)
    for pitch in np.unique(pitches):
        rows = np.flatnonzero(pitches == pitch)
        presses: list[list[int]] = []  # on block, off block, velocity, onset tick, end tick
        for row in rows[np.argsort(onset_ticks[rows], kind="stable")]:
            on, off, velocity = int(on_blocks[row]), int(off_blocks[row]), int(velocities[row])
            tick, end = int(onset_ticks[row]), int(onset_ticks[row] + duration_ticks[row])
            if presses and presses[-1][0] == on:
                presses[-1][1:3] = max(presses[-1][1], off), max(presses[-1][2], velocity)
                presses[-1][4] = max(presses[-1][4], end)
            else:
                presses.append([on, off, velocity, tick, end])
        for number, (on, off, velocity, tick, end) in enumerate(presses):
            keyed.append(((on, tick, after_controls + 1), Message(on, "on", (int(pitch), velocity))))
            following = presses[number + 1] if number + 1 < len(presses) else None
            if following is None or off < following[0] or (off == following[0] and end <= following[3]):
                keyed.append(((off, end, after_controls), Message(off, "off", (int(pitch),))))
    # Keys of equal order are told apart by pitch, so that the order does not hang on how the notes were listed.
    keyed.sort(key=lambda pair: (*pair[0], pair[1].values))
    return [message for _, message in keyed]
