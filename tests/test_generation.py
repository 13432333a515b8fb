"""Drawing tokens: from what is allowed, from the likeliest, reproducibly; and walking through a window's cells."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from midigen.engines import Company
from midigen.errors import BadRequest
from midigen.generation import Drawn, Forced, Hand, OutOfContext, Sampling, sample, write
from midigen.tokenizers.grammar import Cell


def dice(seed: int = 0) -> np.random.Generator:
    return np.random.Generator(np.random.PCG64(seed))


@given(
    st.lists(st.floats(-30, 30), min_size=2, max_size=12), st.integers(1, 2**12 - 1),
    st.floats(0.05, 2), st.floats(0.01, 1), st.integers(0, 99),
)  # fmt: skip
def test_only_what_is_allowed_and_likely_is_drawn(
    values: list[float], bits: int, temperature: float, top_p: float, seed: int
) -> None:
    logits = np.array(values, dtype=np.float32)
    allowed = np.array([bool(bits >> i & 1) for i in range(len(values))])
    if not allowed.any():
        allowed[0] = True
    behind = np.where(allowed, logits.astype(np.float64) - logits[allowed].max(), -np.inf)
    weight = np.exp(behind / temperature)
    share = weight / weight.sum()
    token = sample(logits, allowed, Sampling(temperature, top_p), dice(seed))
    assert allowed[token]
    assert share[share > share[token] * (1 + 1e-9)].sum() < top_p + 1e-9  # what is likelier does not reach top-p alone
    assert token == sample(logits, allowed, Sampling(temperature, top_p), dice(seed))


def test_tokens_are_drawn_as_often_as_they_are_likely() -> None:
    logits = np.log(np.array([0.5, 0.3, 0.15, 0.05], dtype=np.float32))
    everything, random = np.ones(4, dtype=bool), dice()
    drawn = np.bincount([sample(logits, everything, Sampling(1, 1), random) for _ in range(4000)], minlength=4) / 4000
    np.testing.assert_allclose(drawn, [0.5, 0.3, 0.15, 0.05], atol=0.03)
    drawn = (
        np.bincount([sample(logits, everything, Sampling(1, 0.75), random) for _ in range(4000)], minlength=4) / 4000
    )
    np.testing.assert_allclose(drawn, [0.625, 0.375, 0, 0], atol=0.03)
    hot = np.bincount([sample(logits, everything, Sampling(2, 1), random) for _ in range(4000)], minlength=4) / 4000
    expected = np.sqrt([0.5, 0.3, 0.15, 0.05]) / np.sqrt([0.5, 0.3, 0.15, 0.05]).sum()
    np.testing.assert_allclose(hot, expected, atol=0.03)


def test_a_single_choice_costs_no_randomness() -> None:
    random = dice()
    allowed = np.zeros(9, dtype=bool)
    allowed[6] = True
    assert sample(np.zeros(9), allowed, Sampling(), random) == 6
    assert random.random() == dice().random()


@pytest.mark.parametrize(
    "values", [(0.0, 1.0), (2.1, 1.0), (float("nan"), 1.0), (1.0, 0.0), (1.0, 1.01), (1.0, float("nan"))]
)
def test_sampling_checks_itself(values: tuple[float, float]) -> None:
    with pytest.raises(BadRequest, match="is usual"):
        Sampling(*values)


class Fake:
    """An engine whose favourite next token is a function of all it was fed."""

    ahead = 3

    def __init__(self, favourite: Callable[[list[int]], int], size: int = 20, context: int = 100) -> None:
        self.favourite, self.vocabulary_size, self.context = favourite, size, context
        self.fed: list[int] = []
        self.calls: list[list[int]] = []

    @property
    def position(self) -> int:
        return len(self.fed)

    def feed(self, ids: np.ndarray) -> np.ndarray:
        assert len(ids) and self.position + len(ids) <= self.context
        self.fed += ids.tolist()
        self.calls.append(ids.tolist())
        return self.logits(self.fed)

    def logits(self, fed: list[int]) -> np.ndarray:
        logits = np.zeros(self.vocabulary_size, dtype=np.float32)
        logits[self.favourite(fed)] = 50
        return logits

    def feed_all(self, ids: np.ndarray, rows: int | None = None) -> np.ndarray:
        assert len(ids) and self.position + len(ids) <= self.context
        self.fed += ids.tolist()
        self.calls.append(ids.tolist())
        rows = len(ids) if rows is None else rows
        return np.stack([self.logits(self.fed[: len(self.fed) - back]) for back in reversed(range(rows))])

    def rewind(self, position: int) -> None:
        del self.fed[position:]

    def fork(self) -> Fake:
        raise NotImplementedError

    def company(self, count: int) -> Company:
        raise NotImplementedError


class Digits:
    """A cell of rising tokens 0 to 9, of which ``least`` must come."""

    def __init__(self, least: int = 0, most: int = 9) -> None:
        self.least, self.most = least, most
        self.written: list[int] = []

    @property
    def may_end(self) -> bool:
        return len(self.written) >= self.least

    def allowed(self) -> np.ndarray:
        mask = np.zeros(20, dtype=bool)
        mask[(self.written[-1] + 1 if self.written else 0) : self.most + 1] = True
        return mask

    def over(self) -> np.ndarray:
        mask = np.zeros(20, dtype=bool)
        mask[: (self.written[-1] + 1 if self.written else 0)] = True
        mask[19] = True  # what begins something else
        return mask

    def push(self, token: int) -> None:
        assert self.allowed()[token]
        self.written.append(token)


def drawn(open_cell: Callable[[], Digits], done: Callable[[list[int]], None], *hands: Hand) -> Drawn:
    return Drawn(lambda: (open_cell(), hands), done)


def test_forced_tokens_are_fed_and_cells_are_drawn_between_them() -> None:
    wanted = {13: 2, 2: 5, 5: 14, 14: 7, 7: 15}
    engine = Fake(lambda fed: wanted[fed[-1]])
    cells: list[list[int]] = []
    items: list[Forced | Drawn] = [
        Forced([12, 13]),
        drawn(Digits, cells.append),
        Forced([14]),
        drawn(Digits, cells.append),
        Forced([15]),
    ]
    calls = write(engine, [10, 11], items, Sampling(), dice()).calls
    assert cells == [[2, 5], [7]]
    assert engine.fed == [10, 11, 12, 13, 2, 5, 14, 7]  # the last token is drawn, and nothing follows from it
    assert engine.calls[0] == [10, 11, 12, 13] and calls == len(engine.calls) == 5


def test_the_token_that_ends_a_cell_is_fed_once_with_the_rest_of_its_item() -> None:
    engine = Fake(lambda fed: {10: 14, 16: 3, 3: 17}[fed[-1]])
    cells: list[list[int]] = []
    items: list[Forced | Drawn] = [
        drawn(Digits, cells.append),
        Forced([14, 15, 16]),
        drawn(Digits, cells.append),
        Forced([17, 18]),
    ]
    write(engine, [10], items, Sampling(), dice())
    assert cells == [[], [3]] and engine.fed == [10, 14, 15, 16, 3]


def test_tokens_without_a_choice_cost_no_call() -> None:
    cells: list[list[int]] = []
    one = drawn(lambda: Digits(least=1, most=0), cells.append)
    assert write(Fake(lambda fed: 0), [10], [one, Forced([11])], Sampling(), dice()).calls == 0
    two = drawn(lambda: Digits(least=2, most=1), cells.append)
    engine = Fake(lambda fed: 0)
    assert write(engine, [10], [two, Forced([11]), two, Forced([12])], Sampling(), dice()).calls == 2
    assert cells == [[0], [0, 1], [0, 1]]
    assert engine.calls == [[10], [0, 1, 11]]  # what left no choice went in with the next question


@pytest.mark.parametrize("wish", [2, 19])
def test_a_model_that_wants_what_can_only_come_later_holds_the_cell_to_be_over(wish: int) -> None:
    cells: list[list[int]] = []
    engine = Fake(lambda fed: {10: 5, 5: wish}[fed[-1]])
    write(engine, [10], [drawn(Digits, cells.append), Forced([14])], Sampling(), dice())
    assert cells == [[5]]
    cells.clear()
    engine = Fake(lambda fed: {10: 5}.get(fed[-1], wish))
    must = drawn(lambda: Digits(least=2), cells.append)  # it may not be over yet
    write(engine, [10], [must, Forced([14])], Sampling(), dice())
    assert len(cells[0]) == 2


def test_a_cell_is_opened_when_its_turn_comes() -> None:
    order: list[str] = []

    def open_named(name: str) -> Callable[[], Digits]:
        return lambda: order.append(f"open {name}") or Digits()  # type: ignore[func-returns-value]

    items: list[Forced | Drawn] = [
        drawn(open_named("a"), lambda ids: order.append(f"done a {ids}")), Forced([11]),
        drawn(open_named("b"), lambda ids: order.append(f"done b {ids}")), Forced([12]),
    ]  # fmt: skip
    write(Fake(lambda fed: {10: 11, 11: 4, 4: 12}[fed[-1]]), [10], items, Sampling(), dice())
    assert order == ["open a", "done a []", "open b", "done b [4]"]


def test_a_full_context_keeps_the_cells_that_are_done() -> None:
    cells: list[list[int]] = []
    items: list[Forced | Drawn] = [drawn(Digits, cells.append), Forced([11]), drawn(Digits, cells.append), Forced([12])]
    engine = Fake(lambda fed: {10: 1, 1: 11, 11: 2, 2: 3, 3: 12}[fed[-1]], context=4)
    with pytest.raises(OutOfContext):
        write(engine, [10], items, Sampling(), dice())
    assert cells == [[1]] and engine.position == 4  # filled to the very last place
    cells.clear()
    engine.context, engine.fed = 5, []
    write(engine, [10], items, Sampling(), dice())
    assert cells == [[1], [2, 3]]


class Push:
    """A hand that pushes one token."""

    def __init__(self, token: int, nats: float) -> None:
        self.token, self.nats, self.enders = token, nats, list[int]()

    def lean(self, logits: np.ndarray, cell: Cell, ender: int) -> None:
        logits[self.token] += self.nats
        self.enders.append(ender)


def test_a_hand_leans_on_the_choice_and_not_on_what_is_said_of_it() -> None:
    cells: list[list[int]] = []
    push = Push(7, 1000.0)
    engine = Fake(lambda fed: {10: 2, 7: 11}[fed[-1]])
    push_once = write(
        engine, [10], [drawn(lambda: Digits(most=7), cells.append, push), Forced([11])], Sampling(), dice()
    )
    assert cells == [[7]] and set(push.enders) == {11}
    assert push_once.tokens == 1 and push_once.nats > 5  # the model itself would have said 2


def test_what_was_drawn_is_counted_in_nats() -> None:
    tally = write(Fake(lambda fed: 11), [10], [drawn(Digits, lambda ids: None), Forced([11])], Sampling(), dice())
    assert tally.tokens == tally.calls == 1 and 0 <= tally.nats < 0.1
