"""Tokens fed before they are chosen: where music repeats, one step of the engine serves several choices.

What follows the last few tokens is guessed from where the same few stood before (prompt lookup: Saxena 2023; verifying
guesses in one pass: Leviathan et al. 2023, arXiv:2211.17192). The guess is fed together with what waits, and the logits
after each of its tokens are kept. Whoever draws goes on as ever, one token after the other, with the same dice: as long
as what is drawn is what was guessed, the logits are there already, and where it is not the engine forgets the rest. So
a guess decides what a token costs, and which it is only by rounding: logits differ a little with how ids are cut into
calls (:class:`midigen.engines.Engine`). In float32 no note of any piece was seen to change. In 8 bits a step of up to
eight ids gives the bits of single ones; only where a guess joins a longer run a logit moves by some hundredths, and a
seed may give another piece, from the same distribution (docs/lab-book.md).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from midigen.engines import Engine

ALIKE = 4  # tokens that have to stand alike before what followed them is guessed to follow again


class Reader:
    """Feeds an engine for somebody who draws token by token, up to ``ahead`` guesses (0: none) with each feed.

    ``calls`` of the engine, ``guesses`` fed and those that were ``right`` are counted.
    """

    def __init__(self, engine: Engine, ahead: int) -> None:
        self._engine = engine
        self._most = ahead
        self._fed: list[int] = []  # all that was fed and stands
        self._places: dict[tuple[int, ...], int] = {}  # a few tokens: where what followed them last stands
        self._here: int | None = None  # where what followed the last few tokens stands
        self._guess: list[int] = []  # fed, and not confirmed yet
        self._rows = np.zeros((0, 0), dtype=np.float32)  # logits after each of them
        self.calls = self.guesses = self.right = 0

    @property
    def position(self) -> int:
        """The engine's position without what is only guessed."""
        return self._engine.position - len(self._guess)

    def feed(self, ids: Sequence[int]) -> np.ndarray:
        """Append ``ids`` (1 or more), and return the logits of the token that follows; not to be written to."""
        kept = 0
        while kept < min(len(ids), len(self._guess)) and ids[kept] == self._guess[kept]:
            kept += 1
        self.right += kept
        self._note(ids)
        if kept == len(ids):
            row: np.ndarray = self._rows[kept - 1]
            self._guess, self._rows = self._guess[kept:], self._rows[kept:]
            return row
        if wrong := len(self._guess) - kept:
            self._engine.rewind(self._engine.position - wrong)
        rest = [int(token) for token in ids[kept:]]
        room = self._engine.context - self._engine.position - len(rest)
        guess = self._guessed(min(self._most, room))
        self.calls += 1
        self.guesses += len(guess)
        self._guess = guess
        if not guess:
            return self._engine.feed(np.array(rest, dtype=np.int64))
        logits = self._engine.feed_all(np.array(rest + guess, dtype=np.int64), rows=1 + len(guess))
        self._rows = logits[1:]
        first: np.ndarray = logits[0]
        return first

    def settle(self) -> None:
        """Make the engine forget what was only guessed."""
        if self._guess:
            self._engine.rewind(self.position)
            self._guess = []

    def _note(self, ids: Sequence[int]) -> None:
        if not self._most:
            return
        fed, places = self._fed, self._places
        for token in ids:
            fed.append(int(token))
            few = tuple(fed[-ALIKE:])
            self._here = places.get(few)
            places[few] = len(fed)

    def _guessed(self, most: int) -> list[int]:
        if self._here is None or most < 1:
            return []
        return self._fed[self._here : self._here + most]
