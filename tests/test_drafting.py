"""Guesses that are fed ahead: they change what a token costs, and nothing else."""

from __future__ import annotations

from zlib import crc32

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_generation import Digits, Fake, drawn

from midigen.drafting import ALIKE, Reader
from midigen.generation import Drawn, Forced, OutOfContext, Sampling, Tally, sample, write


class Habits(Fake):
    """Logits that depend on all that was fed, mostly on the last few tokens; the same bits however they are fed."""

    def __init__(self, seed: int, context: int = 4000, strength: float = 6.0) -> None:
        super().__init__(lambda fed: 0, context=context)
        self.seed, self.strength = seed, strength

    def logits(self, fed: list[int]) -> np.ndarray:
        def noise(of: list[int]) -> np.ndarray:
            return np.random.default_rng(crc32(bytes(of)) + self.seed).normal(size=20)

        return (self.strength * noise(fed[-2:]) + noise(fed)).astype(np.float32)


def piece(engine: Fake, seed: int, ahead: int, cells: int = 60) -> tuple[list[list[int]], Tally, float]:
    """Cells of digits, a Forced of two tokens before each; what was written, the tally, and the dice's next throw."""
    written: list[list[int]] = []
    items: list[Forced | Drawn] = []
    for _ in range(cells):
        items += [Forced([14, 15]), drawn(Digits, written.append)]
    dice = np.random.Generator(np.random.PCG64(seed))
    try:
        tally = write(engine, [10, 11], [*items, Forced([12])], Sampling(), dice, ahead=ahead)
    except OutOfContext:
        tally = Tally()
    return written, tally, dice.random()


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.integers(0, 10_000), st.integers(1, 6), st.floats(0, 12), st.integers(20, 300))
def test_every_token_is_the_one_that_plain_sampling_draws(
    habits: int, seed: int, ahead: int, strength: float, context: int
) -> None:
    plain_engine, engine = (Habits(habits, context, strength) for _ in range(2))
    plain, guessed = piece(plain_engine, seed, 0), piece(engine, seed, ahead)
    assert guessed[0] == plain[0] and guessed[2] == plain[2]  # the notes, and how often the dice fell
    assert engine.fed == plain_engine.fed  # nothing of a guess is left behind
    assert guessed[1].tokens == plain[1].tokens and guessed[1].nats == plain[1].nats


def token_by_token(engine: Fake, seed: int, cells: int) -> list[list[int]]:
    """The same piece as :func:`piece` writes, by a loop that feeds every token alone and asks the model each time."""
    dice = np.random.Generator(np.random.PCG64(seed))
    written: list[list[int]] = []
    ids = [10, 11]
    for number in range(cells):
        logits = [engine.feed(np.array([token])) for token in ids + ([14, 15] if number == 0 else [])][-1]
        cell, ender, ids = Digits(), 14 if number + 1 < cells else 12, []
        while True:
            mask, may_end = cell.allowed(), cell.may_end
            mask[ender] = may_end
            choice = logits.astype(np.float64)
            if mask.sum() > 1 and may_end:
                later = np.flatnonzero(cell.over() & ~mask)
                shares = np.append(choice[later], choice[ender])
                choice[ender] = shares.max() + np.log(np.exp(shares - shares.max()).sum())
            token = sample(choice, mask, Sampling(), dice)
            if token == ender and may_end:
                break
            cell.push(token)
            logits = engine.feed(np.array([token]))
        written.append(cell.written)
        ids = [14, 15]
    return written


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10_000), st.integers(0, 10_000), st.floats(0, 12), st.integers(0, 4))
def test_tokens_that_are_skipped_or_joined_change_nothing(habits: int, seed: int, strength: float, ahead: int) -> None:
    """A model that is asked at every token, also where the grammar leaves one choice, writes the same."""
    plain = token_by_token(Habits(habits, strength=strength), seed, 20)
    engine = Habits(habits, strength=strength)
    assert piece(engine, seed, ahead, 20)[0] == plain


def test_guesses_that_come_true_cost_no_step() -> None:
    plain, guessed = piece(Habits(3), 5, 0), piece(Habits(3), 5, 3)
    assert guessed[0] == plain[0]
    assert plain[1].calls == plain[1].tokens and plain[1].guesses == 0
    assert guessed[1].calls < 0.8 * plain[1].calls
    assert guessed[1].guesses >= guessed[1].right > 0.4 * guessed[1].guesses
    # Every token drawn took a step of its own or was right.
    assert guessed[1].calls + guessed[1].right >= guessed[1].tokens


def test_what_followed_the_same_tokens_is_guessed_again() -> None:
    engine = Fake(lambda fed: 0, context=30)
    reader = Reader(engine, ahead=2)
    theme = [1, 2, 3, 4, 5, 6, 7]
    assert ALIKE == 4
    reader.feed([*theme, 9, 1, 2, 3, 4])
    assert engine.calls == [[*theme, 9, 1, 2, 3, 4, 5, 6]] and reader.position == 12
    reader.feed([5])
    reader.feed([6])
    assert len(engine.calls) == 1 and (reader.right, reader.position) == (2, 14)
    reader.feed([7])  # and here again a guess: 9 and 1
    assert engine.calls[1:] == [[7, 9, 1]]
    reader.feed([8])  # not as guessed
    assert engine.calls[2:] == [[8]] and engine.fed[-3:] == [6, 7, 8] and reader.position == 16


def test_the_last_places_of_the_context_are_not_guessed_into() -> None:
    engine = Fake(lambda fed: 0, context=10)
    reader = Reader(engine, ahead=3)
    reader.feed([1, 2, 3, 4, 1, 2, 3, 4])
    assert engine.calls == [[1, 2, 3, 4, 1, 2, 3, 4, 1, 2]]  # room for two
    reader.feed([1])
    reader.feed([2])
    assert reader.position == 10
    reader.settle()
    assert engine.position == 10


@pytest.mark.parametrize("ahead", [0, 3])
def test_settling_forgets_what_was_only_guessed(ahead: int) -> None:
    engine = Fake(lambda fed: 0)
    reader = Reader(engine, ahead)
    reader.feed([1, 2, 3, 4, 5, 1, 2, 3, 4])
    assert engine.position == 9 + ahead
    reader.settle()
    assert engine.position == reader.position == 9
