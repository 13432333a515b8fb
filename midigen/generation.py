"""Ids in, ids out: the grammar's mask, sampling, and the walk through a window's missing cells. Knows no notes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

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
    ids = np.flatnonzero(allowed)
    if len(ids) == 1:
        return int(ids[0])
    scaled = logits[ids].astype(np.float64) / sampling.temperature
    weight = np.exp(scaled - scaled.max())
    order = np.argsort(-weight, kind="stable")
    total = np.cumsum(weight[order])
    kept = int(np.searchsorted(total, sampling.top_p * total[-1])) + 1
    point = random.random() * total[min(kept, len(total)) - 1]
    return int(ids[order[min(int(np.searchsorted(total, point, side="right")), len(order) - 1)]])


def _gathered(logits: np.ndarray, given: np.ndarray, to: int) -> np.ndarray:
    """``logits`` with the probability of the ids in ``given`` (bool mask) added to that of the id ``to``."""
    logits = logits.astype(np.float64)
    shares = np.append(logits[given], logits[to])
    top = shares.max()
    logits[to] = top + np.log(np.exp(shares - top).sum())
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
    among those that were allowed and before any hand leant on the choice."""

    calls: int = 0
    tokens: int = 0
    nats: float = 0.0

    def add(self, other: Tally) -> None:
        self.calls += other.calls
        self.tokens += other.tokens
        self.nats += other.nats


class OutOfContext(Exception):
    """The next bar would not fit; what was written so far stands."""


def write(
    engine: Engine,
    prompt: Sequence[int],
    items: Sequence[Forced | Drawn],
    sampling: Sampling,
    random: np.random.Generator,
) -> Tally:
    """Feed ``prompt``, then walk ``items``: forced tokens are fed, cells are drawn token by token.

    A cell ends when the first token of the forced item that follows is drawn in its place; what the model gives to
    tokens that can only belong to later cells counts for that one. (Masked and spread over what is left, it would
    become notes that nobody meant: chords piled up at the end of a bar.) Tokens that leave no choice
    cost no step of their own: they are fed together with the next. Raises :class:`OutOfContext` where the engine's
    context is full; cells that are done have been reported by then.
    """
    waiting = list(prompt)
    tally = Tally()
    skip = 0  # tokens of the next forced item that have been drawn already
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
            if cell.may_end:
                if ender is None:
                    break
                if not mask.any():
                    break  # the ender is the only choice; it comes with its item
                mask[ender] = True
            if np.count_nonzero(mask) == 1:
                token = int(np.flatnonzero(mask)[0])
            else:
                if engine.position + len(waiting) > engine.context:
                    raise OutOfContext
                logits = engine.feed(np.array(waiting, dtype=np.int64))
                waiting = []
                if cell.may_end and ender is not None:
                    logits = _gathered(logits, cell.over() & ~mask, ender)
                leant = logits
                if hands and ender is not None:
                    leant = logits.astype(np.float64)
                    for hand in hands:
                        hand.lean(leant, cell, ender)
                token = sample(leant, mask, sampling, random)
                tally.add(Tally(1, 1, _surprise(logits, mask, token)))
            waiting.append(token)
            if cell.may_end and token == ender:
                skip = 1
                break
            cell.push(token)
            written.append(token)
        item.done(written)
    return tally


def _surprise(logits: np.ndarray, allowed: np.ndarray, token: int) -> float:
    """The negative log-likelihood of ``token`` among those ``allowed``, in nats."""
    open_to = logits[allowed].astype(np.float64)
    top = open_to.max()
    return float(top + np.log(np.exp(open_to - top).sum()) - logits[token])
