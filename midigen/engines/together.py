"""Takes that are written side by side in one thread: where all of them wait for the model, one run answers all.

Each is a greenlet, which writes as it would alone and hands over where it feeds its engine; so nobody who writes has to
know of the others. A run for several takes reads the weights once. What a take is given does not depend on its company
(:class:`midigen.engines.Company`), and so its notes do not.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import numpy as np

from midigen.engines import Company, Engine
from midigen.errors import MissingTool

Made = TypeVar("Made")


def side_by_side(company: Company, works: Sequence[Callable[[Engine], Made]]) -> list[Made]:
    """Call ``works[i]`` with the ``i``-th take of ``company``, which has as many, all at the same time; their results.

    An error in one of them ends all, and is raised here. Raises :class:`MissingTool` where greenlet is not installed.
    """
    try:
        from greenlet import getcurrent, greenlet
    except ImportError:
        raise MissingTool("takes side by side need greenlet, which is not installed: pip install greenlet") from None

    table = getcurrent()  # where the takes sit, and hand over to
    done: dict[int, Made] = {}

    def player(number: int, work: Callable[[Engine], Made]) -> Any:
        def play() -> None:
            done[number] = work(_Seat(company.takes[number], table.switch))

        return greenlet(play, table)

    players = [player(number, work) for number, work in enumerate(works)]
    waiting: dict[int, int] = {}  # the id that each take wants to feed

    def go_on(number: int, *given: Any) -> None:
        token = players[number].switch(*given)
        if number in done:
            company.takes[number].rewind(0)  # a take that is done costs the others no attention
            waiting.pop(number, None)
        else:
            waiting[number] = token

    for number in range(len(players)):
        go_on(number)
    while waiting:
        numbers = sorted(waiting)
        logits = company.step(numbers, [waiting[number] for number in numbers])
        for number, row in zip(numbers, logits, strict=True):
            go_on(number, row)
    return [done[number] for number in range(len(players))]


class _Seat:
    """A take at the table: it waits for the others where it feeds one id, and else goes on at once."""

    def __init__(self, take: Engine, hand_over: Callable[[int], np.ndarray]) -> None:
        self._take, self._hand_over = take, hand_over

    @property
    def vocabulary_size(self) -> int:
        return self._take.vocabulary_size

    @property
    def context(self) -> int:
        return self._take.context

    @property
    def position(self) -> int:
        return self._take.position

    @property
    def ahead(self) -> int:
        return self._take.ahead

    def feed(self, ids: np.ndarray) -> np.ndarray:
        if len(ids) != 1 or self._take.position >= self._take.context:  # what is refused, the take refuses
            return self._take.feed(ids)
        return self._hand_over(int(ids[0]))

    def feed_all(self, ids: np.ndarray, rows: int | None = None) -> np.ndarray:
        return self._take.feed_all(ids, rows)

    def rewind(self, position: int) -> None:
        self._take.rewind(position)

    def fork(self) -> Engine:
        return self._take.fork()

    def company(self, count: int) -> Company:
        return self._take.company(count)
