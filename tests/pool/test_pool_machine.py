"""Any sequence of claims, cancellations, crashes and changes of the size: the pool does what a naive model says."""

from __future__ import annotations

import logging
import math
from typing import Any

import trio
from hypothesis import given, settings
from hypothesis import strategies as st
from support.pools import Claimer, Hand, Site
from trio.testing import MockClock, wait_all_tasks_blocked

from trioreg import ActorRef, Pool, open_pool

Step = tuple[str, int]


class Model:
    """What a pool should do, as simple lists.

    Attributes:
        waiting: The claimers in line, first come first.
        holding: The claimers that have a worker, dead or alive.
        finishing: The workers that finish what a claimer has left behind, and until when.
        given: The claimers in the order in which they got one.
    """

    def __init__(self) -> None:
        self.waiting: list[Claimer] = []
        self.holding: list[Claimer] = []
        self.finishing: dict[ActorRef[Hand], float] = {}
        self.given: list[int] = []

    def busy(self) -> list[ActorRef[Hand]]:
        held = [claimer.worker for claimer in self.holding]
        return [ref for ref in [*held, *self.finishing] if ref is not None and ref.is_alive]

    def serve(self, count: int) -> None:
        """Give a worker to each of the first claimers in line."""
        for claimer in self.waiting[:count]:
            self.holding.append(claimer)
            self.given.append(claimer.number)
        del self.waiting[:count]


class Machine:
    def __init__(self, pool: Pool[Hand], nursery: trio.Nursery) -> None:
        self.pool = pool
        self.nursery = nursery
        self.model = Model()
        self.given: list[int] = []
        self.count = 0
        self.resizes = 0
        self.wanted = len(pool)

    async def claim(self, number: int) -> None:
        for _ in range(number % 3 + 1):
            claimer = Claimer(self.count)
            self.count += 1
            self.model.waiting.append(claimer)
            self.nursery.start_soon(claimer.run, self.pool, self.given)
            await wait_all_tasks_blocked()

    def give_back(self, number: int) -> None:
        if self.model.holding:
            self.model.holding.pop(number % len(self.model.holding)).leave.set()

    def give_back_at_work(self, number: int) -> None:
        """A claimer gives its worker back while the worker is still at work for it."""
        if self.model.holding:
            claimer = self.model.holding.pop(number % len(self.model.holding))
            assert claimer.worker is not None
            if claimer.worker.is_alive:
                claimer.last_word = lambda ref: ref.cast_nowait(Hand.work, 1)
                self.model.finishing[claimer.worker] = trio.current_time() + 1
            claimer.leave.set()

    def give_up(self, number: int) -> None:
        everyone = [*self.model.holding, *self.model.waiting]
        if everyone:
            claimer = everyone[number % len(everyone)]
            (self.model.holding if claimer in self.model.holding else self.model.waiting).remove(claimer)
            claimer.scope.cancel()

    def kill(self, number: int) -> None:
        workers = self.pool.workers()
        workers[number % len(workers)].kill()

    def cancel(self, number: int) -> None:
        workers = self.pool.workers()
        workers[number % len(workers)].cancel()

    def crash(self, number: int) -> None:
        workers = self.pool.workers()
        workers[number % len(workers)].cast_nowait(Hand.crash)

    def resize(self, number: int) -> None:
        if self.resizes:
            return  # of sizes that come and go within one step the model would see nothing
        self.wanted = number % 5 + 1
        self.resizes += 1

        async def resize(size: int) -> None:
            await self.pool.resize(size)
            self.resizes -= 1

        self.nursery.start_soon(resize, self.wanted)

    async def wait(self, number: int) -> None:
        await trio.sleep(1)

    async def step(self, step: Step) -> None:
        name, number = step
        result = getattr(self, name)(number)
        if result is not None:
            await result
        await wait_all_tasks_blocked()
        self.check()

    def check(self) -> None:
        pool, model = self.pool, self.model
        now = trio.current_time()
        model.finishing = {ref: until for ref, until in model.finishing.items() if until > now and ref.is_alive}
        inside = {*pool.workers()[: len(pool)]}
        busy = [ref for ref in model.busy() if ref in inside]
        model.serve(max(0, len(pool) - len(busy)))
        # First come, first served. If a worker is free, the line is empty.
        assert sorted(self.given) == sorted(model.given)
        assert all(claimer.worker is not None for claimer in model.holding)
        # No worker has two callers.
        refs = model.busy()
        assert len(refs) == len(set(refs))
        statistics = pool.statistics()
        assert statistics.waiting == len(model.waiting)
        assert statistics.size == len(pool)
        assert statistics.busy == len([ref for ref in refs if ref in inside])
        assert statistics.idle == statistics.size - statistics.busy
        if not self.resizes:
            assert len(pool) == len(pool.workers())


STEPS = ["claim", "give_back", "give_back_at_work", "give_up", "kill", "cancel", "crash", "resize", "wait"]
programs: st.SearchStrategy[list[Step]] = st.lists(
    st.tuples(st.sampled_from(["claim", *STEPS]), st.integers(0, 7)), max_size=30
)


async def play(program: list[Step]) -> None:
    async with open_pool(Hand, Site(), size=2, max_restarts=math.inf) as pool, trio.open_nursery() as nursery:
        machine = Machine(pool, nursery)
        for step in program:
            await machine.step(step)
        for claimer in [*machine.model.holding, *machine.model.waiting]:
            claimer.leave.set()
        await trio.sleep(5)
        assert (machine.resizes, pool.statistics().idle) == (0, len(pool))
        assert pool.statistics().waiting == 0


@settings(max_examples=3 * settings().max_examples)
@given(programs)
def test_a_pool_does_what_the_model_says(program: list[Step]) -> None:
    logging.disable()
    try:
        run: Any = trio.run
        run(play, program, clock=MockClock(autojump_threshold=0))
    finally:
        logging.disable(logging.NOTSET)
