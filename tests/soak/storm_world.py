"""A program with something of everything: a tree, names, locks, topics, a pool, actors on demand, and busy clients.

It runs until it is ended. Whatever ends it, and wherever: afterwards `World.assert_empty` holds.
"""

from __future__ import annotations

import math
from random import Random
from typing import Any

import trio
from support.inside import assert_no_subscription, assert_nothing_left_behind

from trioreg import (
    Actor,
    ActorExited,
    AlreadyRegistered,
    CallCycle,
    ChildSpec,
    Exit,
    NotRegistered,
    NotRunning,
    OnDemand,
    OnDemandSupervisor,
    Pool,
    PoolSupervisor,
    PubSub,
    Registry,
    Supervisor,
)

EXPECTED = (ActorExited, NotRegistered, NotRunning, AlreadyRegistered, CallCycle)
"""What a client may get when what it uses ends."""


class Planned(Exception):
    """A crash that belongs to the program."""


class World:
    """The program: its tables, its tree, and its clients."""

    def __init__(self, seed: int) -> None:
        self.names: Registry[str, None] = Registry("names", partitions=2)
        self.duplicates: Registry[str, int] = Registry("duplicates", keys="duplicate", totals=True)
        self.topics: PubSub[str, int] = PubSub("topics")
        self.carts: OnDemand[str, Server] = OnDemand("carts", Keyed, self, max_running=2, retire_after=0.01)
        self.pool: Pool[Server] = Pool("pool", Server, self, size=2, max_restarts=math.inf)
        self.draw = Random(seed)
        self.steps = 0

    def tree(self) -> list[ChildSpec]:
        """The children of the program: two groups that restart together, what is on demand, a pool, and clients."""
        servers = [ChildSpec(Server, (self,), id=name, name=self.names.via(name)) for name in "abc"]
        return [
            ChildSpec(Group, (servers, self.draw.choice(["one_for_all", "rest_for_one", "one_for_one"])), id="group"),
            ChildSpec(OnDemandSupervisor, (self.carts,), id="carts"),
            ChildSpec(PoolSupervisor, (self.pool,), id="pool"),
            ChildSpec(Group, ([ChildSpec(self.client, (n,), id=f"client {n}") for n in range(4)],), id="clients"),
        ]

    async def client(self, number: int) -> None:
        """Use everything, in random order, for ever."""
        draw = Random(number)
        while True:
            self.steps += 1
            try:
                await self.step(draw.randrange(13), draw)
            except EXPECTED:
                await trio.lowlevel.checkpoint()

    async def step(self, what: int, draw: Random) -> None:
        name = self.names.via(draw.choice("abc"))
        if what == 0:
            await name.call(Server.work)
        elif what == 1:
            await name.cast(Server.crash)
        elif what == 2:
            name.kill()
        elif what == 3:
            async with self.names.lock("lock"):
                await trio.lowlevel.checkpoint()
        elif what == 4:
            with trio.move_on_after(0.01):
                await self.names.acquire("leader")
                try:
                    await trio.lowlevel.checkpoint()
                finally:
                    self.names.unregister("leader")
        elif what == 5:
            async with self.topics.subscribe("news", buffer=2, overflow="drop_oldest") as feed:
                self.topics.publish_nowait("news", 7)
                await feed.receive()
        elif what == 6:
            await self.topics.publish("news", 8, retain=True)
            self.topics.forget("news")
        elif what == 7:
            assert await self.carts.via(draw.choice("abc")).call(Server.work) == 7
        elif what == 8:
            await self.carts.via(draw.choice("abc")).cast(Server.crash)
        elif what == 9:
            assert await self.pool.call(Server.work) == 7
        elif what == 10:
            async with self.pool.claim() as worker:
                await worker.call(Server.work)
                if draw.random() < 0.3:
                    worker.kill()
        elif what == 11:
            with self.duplicates.hold("total", 5):
                await self.duplicates.select()
        else:
            with self.names.watch(initial=True) as events, trio.move_on_after(0.001):
                await events.receive()

    def assert_empty(self) -> None:
        """Nothing is left of any of it. Needs no Trio run."""
        assert_nothing_left_behind(self.names, self.duplicates, self.carts.registry, self.pool.registry)
        assert_no_subscription(self.topics)
        assert len(self.carts) == 0


class Group(Supervisor):
    def __init__(self, children: list[ChildSpec], strategy: Any = "one_for_one") -> None:
        super().__init__(children, strategy=strategy, max_restarts=math.inf)


class Server(Actor):
    def __init__(self, world: World) -> None:
        self.world = world

    async def on_start(self) -> None:
        self.world.topics.join("news", Server.hear)
        await trio.lowlevel.checkpoint()

    async def on_stop(self, exit: Exit) -> None:
        await trio.lowlevel.checkpoint()

    def hear(self, message: int) -> None: ...

    async def work(self) -> int:
        self.world.duplicates.register("total", 1)
        await trio.lowlevel.checkpoint()
        self.world.duplicates.unregister("total")
        return 7

    def crash(self) -> None:
        raise Planned


class Keyed(Server):
    def __init__(self, key: str, world: World) -> None:
        super().__init__(world)
