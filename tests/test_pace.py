"""One thread or two: found out by a clock, here one that the test turns."""

from __future__ import annotations

from midigen.engines.pace import FIRST_LOOK, LOOK_EVERY, LOOK_STEPS, PATIENCE, Pace


class Machine:
    """Sessions are numbers of threads; a step takes ``seconds[threads]``."""

    def __init__(self, one: float, two: float) -> None:
        self.seconds = {1: one, 2: two}
        self.now = 0.0
        self.opened: list[int] = []
        self.used: list[int] = []

    def open(self, threads: int) -> int:
        self.opened.append(threads)
        return threads

    def step(self, threads: int) -> None:
        self.used.append(threads)
        self.now += self.seconds[threads]

    def pace(self, most: int = 4, cores: int = 2) -> Pace[int]:
        return Pace(self.open, most, clock=lambda: self.now, cores=cores)


def steps(machine: Machine, pace: Pace[int], count: int) -> list[int]:
    machine.used.clear()
    for _ in range(count):
        pace.run(machine.step, timed=True)
    return machine.used


def test_short_steps_are_never_shared() -> None:
    machine = Machine(0.0005, 0.0001)
    pace = machine.pace()
    assert set(steps(machine, pace, 2000)) == {1} and machine.opened == [1] and pace.threads == 1


def test_nothing_is_tried_with_one_core_or_one_head() -> None:
    for most, cores in ((1, 8), (8, 1)):
        machine = Machine(0.01, 0.001)
        pace = machine.pace(most, cores)
        assert set(steps(machine, pace, 2000)) == {1} and machine.opened == [1]


def test_a_second_thread_stays_where_it_pays() -> None:
    machine = Machine(0.010, 0.006)
    pace = machine.pace()
    steps(machine, pace, FIRST_LOOK + 2 * LOOK_STEPS)
    assert machine.opened == [1, 2] and pace.threads == 2
    assert steps(machine, pace, 100) == [2] * 100
    used = steps(machine, pace, 10 * LOOK_EVERY)
    assert used.count(2) > 0.95 * len(used)


def test_a_second_thread_that_gains_little_is_let_go() -> None:
    machine = Machine(0.010, 0.0095)
    pace = machine.pace()
    steps(machine, pace, FIRST_LOOK + 2 * LOOK_STEPS)
    assert pace.threads == 1
    used = steps(machine, pace, 10 * LOOK_EVERY)
    assert used.count(1) > 0.95 * len(used)


def test_a_machine_that_becomes_busy_is_noticed() -> None:
    machine = Machine(0.010, 0.006)
    pace = machine.pace()
    steps(machine, pace, FIRST_LOOK + 2 * LOOK_STEPS)
    machine.seconds[2] = 0.060  # the other core is taken
    began = machine.now
    steps(machine, pace, PATIENCE + 2 * LOOK_STEPS)
    assert pace.threads == 1 and machine.now - began < (PATIENCE + LOOK_STEPS + 1) * 0.070
    assert steps(machine, pace, 100) == [1] * 100
    machine.seconds[2] = 0.006  # and free again
    steps(machine, pace, LOOK_EVERY + 2 * LOOK_STEPS)
    assert pace.threads == 2


def test_one_slow_step_decides_nothing() -> None:
    machine = Machine(0.010, 0.006)
    pace = machine.pace()
    steps(machine, pace, FIRST_LOOK + 2 * LOOK_STEPS - 1)
    machine.seconds[2] = 5.0  # the last step of the look is interrupted
    steps(machine, pace, 1)
    assert pace.threads == 2


def test_steps_of_another_kind_are_not_compared() -> None:
    machine = Machine(0.010, 0.006)
    pace = machine.pace()
    for _ in range(100):
        pace.run(machine.step, timed=False)
    assert machine.opened == [1]
