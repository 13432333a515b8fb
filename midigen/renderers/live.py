"""A part that is played while it is written: a synthesizer that stays open, and its music as it comes."""

from __future__ import annotations

from collections import deque

import numpy as np

from midigen.renderers.events import BLOCK, Keyboard, Message
from midigen.renderers.fluidsynth import OpenSynthesizer
from midigen.score import Part, Score


class LivePart:
    """Plays a part bar by bar. As long as it is never made to :meth:`wait`, the samples are those of its stem.

    ``score`` has the tempo map, ``part`` the name; its notes do not matter. ``synthesizer`` is fresh, and is closed
    with this.
    """

    def __init__(self, score: Score, part: Part, synthesizer: OpenSynthesizer, rate: int) -> None:
        self._synthesizer = synthesizer
        self._keyboard = Keyboard(score, rate)
        self._coming: deque[Message] = deque()
        self._block = 0  # of the music: it stands still while the part waits
        self._early = self._synthesizer.ahead
        self.name, self.kind = part.name, part.kind

    @property
    def sound(self) -> str:
        return self._synthesizer.sound

    def add(self, part: Part, end_ticks: int) -> None:
        """The next bar, up to ``end_ticks``."""
        messages = self._keyboard.bar(part, end_ticks)
        self._synthesizer.expect(messages)
        self._coming.extend(messages)

    def finish(self) -> None:
        """No more bars come."""
        self._coming.extend(self._keyboard.rest())

    def play(self, frames: int) -> np.ndarray:
        """The next ``frames``, a multiple of 64, of the music: float32 ``(2, frames)``."""
        if self._early:  # nothing sounds yet
            self._blocks(self._early)
            self._early = 0
        return self._blocks(frames // BLOCK)

    def _blocks(self, blocks: int) -> np.ndarray:
        pieces: list[np.ndarray] = []
        end = self._block + blocks
        while self._block < end:
            while self._coming and self._coming[0].block <= self._block:
                self._synthesizer.send(self._coming.popleft())
            until = min(end, self._coming[0].block) if self._coming else end
            pieces.append(self._synthesizer.play(until - self._block))
            self._block = until
        return pieces[0] if len(pieces) == 1 else np.concatenate(pieces, axis=1)

    def wait(self, frames: int) -> np.ndarray:
        """``frames`` in which the music stands still: keys that are down are let go, and what sounds rings on."""
        for pitch in self._keyboard.let_go():
            self._synthesizer.send(Message(self._block, "off", (pitch,)))
        return self._synthesizer.play(frames // BLOCK)

    def close(self) -> None:
        """Give the synthesizer back."""
        self._synthesizer.close()
