"""Workers of a pool that note what they do, and check that they work for one caller at a time."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AsyncExitStack
from typing import Any

import trio

from support.errors import Bang
from trioreg import Actor, ActorRef, Exit, Pool


class Site:
    """What all workers of a test note.

    Attributes:
        done: What was done, in order.
        started, stopped: How many lives have started, and how many have run their `on_stop`.
        fails: How many starts fail next.
        start_takes: How long a start takes, in seconds.
        fails_at_work: How many handlers fail next, of those that may.
    """

    def __init__(self) -> None:
        self.done: list[Any] = []
        self.started = 0
        self.stopped = 0
        self.fails = 0
        self.start_takes = 0.0
        self.fails_at_work = 0


class Hand(Actor):
    """A worker."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.works = False

    async def on_start(self) -> None:
        await trio.sleep(self.site.start_takes)
        if self.site.fails:
            self.site.fails -= 1
            raise Bang("start")
        self.site.started += 1

    async def on_stop(self, exit: Exit) -> None:
        self.site.stopped += 1

    def note(self, what: object) -> object:
        assert not self.works
        self.site.done.append(what)
        return what

    async def work(self, what: object, seconds: float = 1) -> object:
        assert not self.works
        self.works = True
        try:
            await trio.sleep(seconds)
            self.site.done.append(what)
        finally:
            self.works = False
        return what

    async def work_to_the_end(self, what: object, seconds: float = 1) -> object:
        with trio.CancelScope(shield=True):
            await self.work(what, seconds)
        return what

    def who(self) -> int:
        return self.ref._number

    def crash(self) -> None:
        raise Bang("work")

    async def crash_later(self, seconds: float = 1) -> None:
        await trio.sleep(seconds)
        raise Bang("work")

    def finish(self) -> None:
        self.stop()


class Claimer:
    """A task that claims a worker, and keeps it until it is told to give it back."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.scope = trio.CancelScope()
        self.leave = trio.Event()
        self.last_word: Callable[[ActorRef[Hand]], object] = lambda ref: None
        self.worker: ActorRef[Hand] | None = None

    async def run(self, pool: Pool[Hand], given_to: list[int], **options: Any) -> None:
        with self.scope:
            async with pool.claim(**options) as worker:
                assert worker.state == "running"
                given_to.append(self.number)
                self.worker = worker
                await self.leave.wait()
                self.last_word(worker)


async def assert_whole(pool: Pool[Any], size: int) -> None:
    """After all that has happened, the pool has ``size`` workers. All are free, none is lost, none is there twice."""
    await trio.sleep(100)
    statistics = pool.statistics()
    assert (statistics.size, statistics.idle, statistics.busy, statistics.waiting) == (size, size, 0, 0), statistics
    refs = pool.workers()
    assert len(refs) == len(pool) == size
    assert sorted(number for number, _ in pool.registry.items()) == [*range(size)]
    if pool._settings.strategy != "by_key":
        async with AsyncExitStack() as stack:
            with trio.fail_after(5):
                got = [await stack.enter_async_context(pool.claim()) for _ in refs]
            assert {*got} == {*refs}
    with trio.fail_after(5):
        for number in range(2 * size):
            key: Any = {"key": number} if pool._settings.strategy == "by_key" else {}
            assert await pool.call(Hand.note, number, **key) == number
    assert pool.statistics().idle == size
