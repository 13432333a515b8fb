"""Ids in, ids out: the grammar's mask, sampling, and the walk through a window's missing cells. Knows no notes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from midigen.drafting import Reader
from midigen.engines import Engine
from midigen.errors import BadRequest
from midigen.tokenizers.grammar import Cell


@dataclass(frozen=True)
class Sampling:
    """``temperature`` (above 0, at most 2) flattens or sharpens the choice; of its most likely tokens only those are
    drawn from that together reach ``top_p`` (above 0, at most 1; nucleus sampling, Holtzman et al. 2020)."""

    temperature: float = 1.0
    top_p: float = 0.98

    def __post_init__(self) -> None:
        if not 0 < self.temperature <= 2:
            raise BadRequest(f"temperature {self.temperature}: must be above 0 and at most 2; 1 is usual")
        if not 0 < self.top_p <= 1:
            raise BadRequest(f"top-p {self.top_p}: must be above 0 and at most 1; 0.98 is usual")


def sample(logits: np.ndarray, allowed: np.ndarray, sampling: Sampling, random: np.random.Generator) -> int:
    """Draw one of the ``allowed`` ids (bool mask) of ``logits`` (both ``(vocabulary,)``)."""
    (ids,) = allowed.nonzero()  # a third of the time of np.flatnonzero, some four times a token
    return int(ids[_draw(logits[ids].astype(np.float64), sampling, random)]) if len(ids) > 1 else int(ids[0])


def _draw(logits: np.ndarray, sampling: Sampling, random: np.random.Generator) -> int:
    """The index of one of ``logits`` (float64 ``(n,)``, n at least 2)."""
    # The ufuncs themselves, and not the methods that lead to them: some ten of these a token add up.
    weight = np.exp((logits - np.maximum.reduce(logits)) / sampling.temperature)
    whole = np.add.reduce(weight)
    # Ids so rare that all of them together would not make up what top-p leaves out need not be sorted: of a thousand
    # ids forty are left.
    (near,) = (weight > (1 - sampling.top_p) * whole / len(weight)).nonzero()
    order = near[(-weight[near]).argsort(kind="stable")]
    total = weight[order].cumsum()
    kept = min(int(total.searchsorted(sampling.top_p * whole)) + 1, len(total))
    point = random.random() * total[kept - 1]
    return int(order[min(int(total.searchsorted(point, side="right")), len(order) - 1)])


def _gathered(logits: np.ndarray, given: np.ndarray, to: int) -> np.ndarray:
    """``logits`` (float64, changed in place) with the probability of the ids in ``given`` (bool mask) added to that of
    the id ``to``."""
    shares, own = logits[given], logits[to]
    top = max(np.maximum.reduce(shares, initial=-np.inf), own)
    logits[to] = top + np.log(np.add.reduce(np.exp(shares - top)) + np.exp(own - top))
    return logits


@dataclass(frozen=True)
class Forced:
    """Tokens that are fed and not drawn: structure, and cells that a musician gave."""

    ids: Sequence[int]


class Hand(Protocol):
    """What leans on the choice of a token while a cell is written: a wish that the model alone may not keep."""

    def lean(self, logits: np.ndarray, cell: Cell, ender: int) -> None:
        """Add to ``logits`` (float64, one a token, in place); ``ender`` is the token that would end the cell."""
        ...


@dataclass(frozen=True)
class Drawn:
    """A cell to be written. ``open_cell`` makes its state machine, and the hands that lean on it, when its turn comes;
    ``done`` is given its ids."""

    open_cell: Callable[[], tuple[Cell, Sequence[Hand]]]
    done: Callable[[list[int]], None]


@dataclass
class Tally:
    """What was drawn: ``calls`` of the engine, ``tokens`` chosen, and how unlikely they were to the model, in nats,
    among those that were allowed and before any hand leant on the choice; of the ``guesses`` that were fed ahead,
    how many were ``right``."""

    calls: int = 0
    tokens: int = 0
    nats: float = 0.0
    guesses: int = 0
    right: int = 0

    def add(self, other: Tally) -> None:
        self.calls += other.calls
        self.tokens += other.tokens
        self.nats += other.nats
        self.guesses += other.guesses
        self.right += other.right


class OutOfContext(Exception):
    """The next bar would not fit; what was written so far stands."""


def write(
    engine: Engine,
    prompt: Sequence[int],
    items: Sequence[Forced | Drawn],
    sampling: Sampling,
    random: np.random.Generator,
    ahead: int | None = None,
) -> Tally:
    """Feed ``prompt``, then walk ``items``: forced tokens are fed, cells are drawn token by token.

    A cell ends when the first token of the forced item that follows is drawn in its place; what the model gives to
    tokens that can only belong to later cells counts for that one. (Masked and spread over what is left, it would
    become notes that nobody meant: chords piled up at the end of a bar.) Tokens that leave no choice
    cost no step of their own: they are fed together with the next. Where music repeats, up to ``ahead`` tokens (by
    default as many as pay with this engine) are guessed and fed together with what waits, so that one step serves as
    many choices as were guessed right; every token is still drawn as it would be without (:mod:`midigen.drafting`).
    Raises :class:`OutOfContext` where the engine's context is full; cells that are done have been reported by then.
    """
    waiting = list(prompt)
    tally = Tally()
    reader = Reader(engine, engine.ahead if ahead is None else ahead)
    skip = 0  # tokens of the next forced item that have been drawn already
    try:
        for number, item in enumerate(items):
            if isinstance(item, Forced):
                waiting += item.ids[skip:]
                skip = 0
                continue
            following = items[number + 1] if number + 1 < len(items) else None
            ender = following.ids[0] if isinstance(following, Forced) else None
            (cell, hands), written = item.open_cell(), list[int]()
            while True:
                mask = cell.allowed()
                may_end = cell.may_end
                if may_end:
                    if ender is None:
                        break
                    mask[ender] = True
                (ids,) = mask.nonzero()
                if len(ids) == 1:
                    if may_end:
                        break  # the ender is the only choice; it comes with its item
                    token = int(ids[0])
                else:
                    if reader.position + len(waiting) > engine.context:
                        raise OutOfContext
                    logits = reader.feed(waiting).astype(np.float64)
                    waiting = []
                    if may_end and ender is not None:
                        logits = _gathered(logits, cell.over() & ~mask, ender)
                    plain = logits[ids]
                    if hands and ender is not None:
                        for hand in hands:
                            hand.lean(logits, cell, ender)
                        drawn = _draw(logits[ids], sampling, random)
                    else:
                        drawn = _draw(plain, sampling, random)
                    token = int(ids[drawn])
                    tally.tokens += 1
                    tally.nats += _surprise(plain, drawn)
                waiting.append(token)
                if may_end and token == ender:
                    skip = 1
                    break
                cell.push(token)
                written.append(token)
            item.done(written)
    finally:
        reader.settle()
        tally.calls, tally.guesses, tally.right = reader.calls, reader.guesses, reader.right
    return tally


def _surprise(logits: np.ndarray, chosen: int) -> float:
    """The negative log-likelihood of the one ``chosen`` among ``logits``, in nats."""
    top = np.maximum.reduce(logits)
    return float(top + np.log(np.add.reduce(np.exp(logits - top))) - logits[chosen])
