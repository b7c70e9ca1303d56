"""The strategies with a line for each worker: any sequence of claims, ends, crashes and sizes does what a
naive model says.
"""

from __future__ import annotations

import logging
import math
from typing import Any

import pytest
import trio
from hypothesis import example, given, settings
from hypothesis import strategies as st
from support.pools import Claimer, Hand, Site
from trio.testing import MockClock, wait_all_tasks_blocked

from trioreg import ActorRef, Pool, open_pool
from trioreg._pool.strategy import jump
from trioreg._supervision import number_of

SIZE = 3
MOST = 4

Step = tuple[str, int]


class Line:
    """One place of the model: its line, and who has its worker.

    Attributes:
        turn: When it was chosen last, as a number that grows.
    """

    def __init__(self) -> None:
        self.waiting: list[Claimer] = []
        self.holder: Claimer | None = None
        self.turn = 0

    def is_held(self) -> bool:
        return self.holder is not None and (self.holder.worker is None or self.holder.worker.is_alive)

    def load(self) -> int:
        return len(self.waiting) + self.is_held()


class Machine:
    def __init__(self, pool: Pool[Hand], nursery: trio.Nursery, strategy: str) -> None:
        self.pool = pool
        self.nursery = nursery
        self.strategy = strategy
        self.lines = [Line() for _ in range(SIZE)]
        self.leaving: dict[int, Claimer] = {}  # the places that have left, and who has their workers still
        self.given: list[int] = []
        self.expected: list[int] = []
        self.turns = 0
        self.last = -1
        self.ending: int | None = None
        self.count = 0
        self.strays: list[Claimer] = []
        self.keys: dict[Claimer, int] = {}

    async def claim(self, number: int) -> None:
        claimer = Claimer(self.count)
        self.count += 1
        options: dict[str, Any] = {"key": number} if self.strategy == "by_key" else {}
        self.nursery.start_soon(lambda: claimer.run(self.pool, self.given, **options))
        await wait_all_tasks_blocked()
        self.line_up(claimer, number)

    def choose(self, key: int) -> int:
        size = len(self.lines)
        present = [place for place in range(size) if place != self.ending]
        if self.strategy == "round_robin":
            self.last = min(present, key=lambda place: (place - self.last - 1) % size)
            return self.last
        if self.strategy == "least_loaded":
            return min(present, key=lambda place: (self.lines[place].load(), self.lines[place].turn))
        return jump(number_of(key), size)

    def line_up(self, claimer: Claimer, key: int) -> None:
        line = self.lines[self.choose(key)]
        self.keys[claimer] = key
        self.turns += 1
        line.turn = self.turns
        line.waiting.append(claimer)

    def end_worker(self, place: int) -> None:
        """Who waits for a worker that ends chooses again, among the others. By key there is no choice."""
        if self.strategy != "by_key" and len(self.lines) > 1:
            self.ending = place
            waiting, self.lines[place].waiting = self.lines[place].waiting, []
            for claimer in waiting:
                self.line_up(claimer, 0)
            for line in self.lines:
                line.waiting.sort(key=lambda claimer: claimer.number)
            self.ending = None

    def choose_again(self, waiting: list[Claimer]) -> None:
        """These callers have left their lines. They keep their places by their numbers."""
        for claimer in sorted(waiting, key=lambda claimer: claimer.number):
            self.line_up(claimer, self.keys[claimer])
        for line in self.lines:
            line.waiting.sort(key=lambda claimer: claimer.number)

    def resize(self, number: int) -> None:
        """Fewer: who waits for a worker that leaves chooses again. More: by key, all that wait do."""
        size = number % MOST + 1
        if self.leaving:
            return  # the change before it is not over: this one would wait for its turn
        gone = self.lines[size:]
        del self.lines[size:]
        for place, line in enumerate(gone, size):
            if line.holder is not None:
                self.leaving[place] = line.holder
        waiting = [claimer for line in gone for claimer in line.waiting]
        if size > len(self.lines):
            self.lines += [Line() for _ in range(size - len(self.lines))]
            if self.strategy == "by_key":
                waiting = [claimer for line in self.lines for claimer in line.waiting]
                for line in self.lines:
                    line.waiting = []
        self.nursery.start_soon(self.pool.resize, size)
        self.choose_again(waiting)

    def everyone(self) -> list[Claimer]:
        held = [line.holder for line in self.lines if line.holder is not None]
        return [*held, *self.leaving.values(), *(claimer for line in self.lines for claimer in line.waiting)]

    def give_back(self, number: int) -> None:
        held = [*(line.holder for line in self.lines if line.holder is not None), *self.leaving.values()]
        if held:
            holder = held[number % len(held)]
            holder.leave.set()
            self.forget_holder(holder)

    def forget_holder(self, holder: Claimer) -> None:
        for line in self.lines:
            if line.holder is holder:
                line.holder = None
        self.leaving = {place: claimer for place, claimer in self.leaving.items() if claimer is not holder}

    def give_up(self, number: int) -> None:
        everyone = self.everyone()
        if everyone:
            claimer = everyone[number % len(everyone)]
            claimer.scope.cancel()
            for line in self.lines:
                if claimer in line.waiting:
                    line.waiting.remove(claimer)
            self.forget_holder(claimer)

    def kill(self, number: int) -> None:
        place = number % len(self.lines)
        self.end_worker(place)
        self.pool.workers()[place].kill()

    def crash(self, number: int) -> None:
        place = number % len(self.lines)
        self.end_worker(place)
        self.pool.workers()[place].cast_nowait(Hand.crash)

    async def step(self, step: Step) -> None:
        name, number = step
        result = getattr(self, name)(number)
        if result is not None:
            await result
        await wait_all_tasks_blocked()
        self.check()

    def check(self) -> None:
        for line in self.lines:
            if line.holder is not None and not line.is_held():
                self.strays.append(line.holder)  # its worker is dead: the next one in line has the next life
                line.holder = None
            if line.holder is None and line.waiting:
                line.holder = line.waiting.pop(0)
                self.expected.append(line.holder.number)
        # Each line is first come, first served. If a worker is free, its line is empty.
        assert sorted(self.given) == sorted(self.expected)
        workers: list[ActorRef[Hand]] = self.pool.workers()
        for place, line in enumerate(self.lines):
            assert line.holder is None or line.holder.worker is workers[place]
        statistics = self.pool.statistics()
        assert statistics.busy == sum(line.holder is not None for line in self.lines)
        assert statistics.waiting == sum(len(line.waiting) for line in self.lines)


STEPS = [*5 * ["claim"], "give_back", "give_up", "kill", "crash", *2 * ["resize"]]
programs: st.SearchStrategy[list[Step]] = st.lists(st.tuples(st.sampled_from(STEPS), st.integers(0, 7)), max_size=30)

CROWD: list[Step] = [("claim", number % 8) for number in range(16)]
"""Callers in each line."""


async def play(strategy: Any, program: list[Step]) -> None:
    async with (
        open_pool(Hand, Site(), size=SIZE, strategy=strategy, max_restarts=math.inf) as pool,
        trio.open_nursery() as nursery,
    ):
        machine = Machine(pool, nursery, strategy)
        for step in program:
            await machine.step(step)
        for claimer in [*machine.everyone(), *machine.strays]:
            claimer.leave.set()
        await trio.sleep(5)
        size = len(machine.lines)
        assert (pool.statistics().size, pool.statistics().idle, pool.statistics().waiting) == (size, size, 0)
        assert len(pool.workers()) == size


@pytest.mark.parametrize("strategy", ["round_robin", "least_loaded", "by_key"])
@settings(max_examples=3 * settings().max_examples // 2)
@given(program=programs)
@example(program=[*CROWD, ("resize", 0), ("give_back", 0), ("resize", 2), ("give_up", 1), ("give_back", 2)])
@example(program=[("claim", 3), ("claim", 4), ("resize", 1), ("resize", 0), ("give_back", 0), ("resize", 0)])
@example(program=[*CROWD, ("resize", 3), ("claim", 7), ("kill", 1), ("resize", 1), ("give_back", 1), ("crash", 0)])
def test_each_line_does_what_the_model_says(strategy: str, program: list[Step]) -> None:
    logging.disable()
    try:
        run: Any = trio.run
        run(play, strategy, program, clock=MockClock(autojump_threshold=0))
    finally:
        logging.disable(logging.NOTSET)
