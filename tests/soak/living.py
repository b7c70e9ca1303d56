"""A process with very many lives, one after the other, whose memory must stay flat.

Run as ``python -m soak.living LIVES on|off``: with the garbage collector, or without it. Without it, memory is flat
only if nothing that has ended is in a reference cycle. There are no crashes then: an error has a traceback, which leads
to the life that ended by it, and that is such a cycle. Prints how many lives there were.
"""

from __future__ import annotations

import gc
import math
import sys
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import suppress

import trio

import trioreg
from soak.exploring import no_log
from soak.modules import show_figures
from trioreg import (
    Actor,
    ActorExited,
    ActorRef,
    ChildSpec,
    DynamicSupervisor,
    OnDemand,
    OnDemandSupervisor,
    Pool,
    PoolSupervisor,
    PubSub,
    Registry,
    Supervisor,
)

BATCHES = 10
SLACK = 6_000
"""How many blocks of memory the second half may take more than the first.

Trio keeps up to 1,000 deadlines that are over, which are four blocks each, and other tables grow at times, too.
"""
MOST_GARBAGE = 50
"""How many objects may be in cycles at the end, however many lives there were."""


class Planned(Exception):
    """A crash that belongs to the program."""


class Person(Actor):
    def __init__(self, key: str = "") -> None:
        self.key = key

    async def greet(self) -> str:
        await trio.lowlevel.checkpoint()
        return self.key

    def hear(self, message: object) -> None: ...

    def crash(self) -> None:
        raise Planned

    def finish(self) -> None:
        self.stop()


class Home:
    """Where the lives are lived: each kind of life is one method."""

    def __init__(self) -> None:
        self.names: Registry[str, None] = Registry("names")
        self.topics: PubSub[str, int] = PubSub("topics")
        self.people: OnDemand[str, Person] = OnDemand("people", Person)
        self.pool: Pool[Person] = Pool("pool", Person, size=1, max_restarts=math.inf, max_seconds=0.1)
        self.supervisor: DynamicSupervisor
        self.pair: list[ChildSpec] = [
            ChildSpec(Person, id=name, name=self.names.via(name), restart="permanent") for name in ("adam", "eve")
        ]
        self.lives = 0

    async def stopped(self) -> None:
        ref = await self.supervisor.start_child(Person, name=self.names.via("bond"), restart="temporary")
        await ref.call(Person.greet)
        await ref.stop()

    async def killed(self) -> None:
        ref = await self.supervisor.start_child(Person, name=self.names.via("bond"), restart="temporary")
        ref.kill()
        await ref.wait()

    async def terminated(self) -> None:
        ref = await self.supervisor.start_child(Person, restart="temporary")
        self.topics.join("news", Person.hear, owner=ref)
        self.topics.publish_nowait("news", 7)
        await self.supervisor.terminate_child(ref)

    async def crashed(self) -> None:
        ref = await self.supervisor.start_child(Person, restart="temporary")
        try:
            await ref.call(Person.crash)
        except ActorExited:
            await ref.wait()

    async def returned(self) -> None:
        async def work() -> int:
            self.names.register("worker")
            return 7

        assert await trioreg.race([await self.supervisor.start_child(work, restart="temporary")]) == 7

    async def failed_to_start(self) -> None:
        with suppress(Planned):
            await self.supervisor.start_child(Unborn, name=self.names.via("unborn"))

    async def restarted(self) -> None:
        ref = self.names.whereis("adam")
        assert isinstance(ref, ActorRef)
        self.lives += 1  # the two are restarted together
        ref.kill()
        await ref.wait()
        while not ((adam := self.names.whereis("adam")) and (eve := self.names.whereis("eve"))):
            await trio.lowlevel.checkpoint()
        for each in (adam, eve):
            assert isinstance(each, ActorRef)
        await self.names.via("eve", wait=True).call(Person.greet)

    async def on_demand(self) -> None:
        address = self.people.via("q")
        assert await address.call(Person.greet) == "q"
        await address.stop()

    async def pooled(self) -> None:
        async with self.pool.claim() as worker:
            worker.kill()
            await worker.wait()
        assert await self.pool.call(Person.greet) == ""

    async def as_a_task(self) -> None:
        async def live() -> None:
            self.names.register("task")
            async with self.topics.subscribe("news") as feed:
                self.topics.publish_nowait("news", 7)
                await feed.receive()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(live)

    def kinds(self, *, with_errors: bool) -> list[Callable[[], Awaitable[None]]]:
        return [
            self.stopped,
            self.killed,
            self.terminated,
            self.returned,
            self.restarted,
            self.on_demand,
            self.pooled,
            self.as_a_task,
            *([self.crashed, self.failed_to_start] if with_errors else []),
        ]


class Unborn(Actor):
    async def on_start(self) -> None:
        await trio.lowlevel.checkpoint()
        raise Planned


class Group(Supervisor):
    def __init__(self, children: list[ChildSpec]) -> None:
        super().__init__(children, strategy="one_for_all", max_restarts=math.inf, max_seconds=0.1)


async def live(lives: int, is_collecting: bool) -> Counter[str]:
    """Live so many lives, in batches, and look at the memory after each."""
    home = Home()
    children = [
        ChildSpec(Group, (home.pair,), id="group"),
        ChildSpec(OnDemandSupervisor, (home.people,), id="people"),
        ChildSpec(PoolSupervisor, (home.pool,), id="pool"),
    ]
    blocks: list[int] = []
    garbage = 0
    kinds = home.kinds(with_errors=is_collecting)
    async with (
        trioreg.open_supervisor(children) as top,
        trioreg.open_dynamic_supervisor(max_restarts=math.inf) as home.supervisor,
    ):
        for _ in range(BATCHES):
            until = home.lives + lives // BATCHES
            while home.lives < until:
                for kind in kinds:
                    await kind()
                    home.lives += 1
            if is_collecting or not blocks:  # what is made once may be in cycles
                gc.collect()
            blocks.append(sys.getallocatedblocks())
        if not is_collecting:
            garbage = gc.collect()
        home.supervisor.stop()
        top.stop()
    half = BATCHES // 2
    growth = min(blocks[half:]) - min(blocks[:half]), blocks[-1] - blocks[half]
    assert min(growth) <= SLACK, f"the memory grows: {blocks}"
    assert garbage <= MOST_GARBAGE, f"{garbage} objects were in cycles"
    return Counter({"lives": home.lives, f"lives with gc {'on' if is_collecting else 'off'}": home.lives})


if __name__ == "__main__":
    is_collecting = sys.argv[2] == "on"
    if not is_collecting:
        gc.disable()
    with no_log():
        figures = trio.run(live, int(sys.argv[1]), is_collecting)
    show_figures(figures)
