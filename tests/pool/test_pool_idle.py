"""A worker is idle while it is free: `on_idle` does not run while a caller has the worker."""

from __future__ import annotations

from typing import Any

import pytest
import trio
from support.pools import Site
from trio.testing import MockClock, wait_all_tasks_blocked

from trioreg import Actor, Reply, open_pool


class Resting(Actor):
    """It notes when it is idle."""

    idle_timeout = 10

    def __init__(self, site: Site) -> None:
        self.site = site
        self.replies: list[Reply[str]] = []

    async def on_idle(self) -> None:
        self.site.done.append(trio.current_time())

    def note(self) -> None:
        pass

    async def work(self, seconds: float) -> None:
        await trio.sleep(seconds)

    def answer_later(self) -> Reply[str]:
        reply: Reply[str] = Reply()
        self.send_after(25, reply)
        return reply

    async def on_message(self, message: Reply[str]) -> None:
        message.send("done")

    def be_idle_after(self, seconds: Any) -> None:
        self.idle_timeout = seconds


@pytest.mark.parametrize("strategy", ["idle_first", "round_robin"])
async def test_a_claimed_worker_is_not_idle(strategy: Any, autojump_clock: MockClock) -> None:
    site = Site()
    async with open_pool(Resting, site, size=1, strategy=strategy) as pool:
        await trio.sleep(3)
        async with pool.claim():
            await trio.sleep(22)
        await trio.sleep(11)
        assert site.done == [35]


async def test_what_a_claimed_worker_is_sent_does_not_make_it_idle_later(autojump_clock: MockClock) -> None:
    site = Site()
    async with open_pool(Resting, site, size=1) as pool:
        async with pool.claim() as worker:
            await worker.call(Resting.note)
            await trio.sleep(15)
            worker.cast_nowait(Resting.work, 5)
            await trio.sleep(25)
        await trio.sleep(11)
        assert site.done == [50]


async def test_an_idle_worker_is_idle_again_and_again(autojump_clock: MockClock) -> None:
    site = Site()
    async with open_pool(Resting, site, size=1) as pool:
        await trio.sleep(25)
        async with pool.claim():
            await trio.sleep(100)
        await trio.sleep(25)
        assert site.done == [10, 20, 135, 145]


async def test_a_worker_that_still_works_for_a_claim_is_idle_only_when_it_is_done(autojump_clock: MockClock) -> None:
    site = Site()
    async with open_pool(Resting, site, size=1) as pool:
        async with pool.claim() as worker:
            worker.cast_nowait(Resting.work, 30)
        await trio.sleep(41)
        assert site.done == [40]


async def test_a_worker_whose_caller_waits_for_a_later_answer_is_not_idle(autojump_clock: MockClock) -> None:
    site = Site()
    async with open_pool(Resting, site, size=1) as pool:
        assert await pool.call(Resting.answer_later) == "done"
        assert trio.current_time() == 25
        await trio.sleep(11)
        assert site.done == [35]


async def test_a_worker_that_goes_from_caller_to_caller_is_not_idle(autojump_clock: MockClock) -> None:
    site = Site()

    async def claim() -> None:
        async with pool.claim():
            await trio.sleep(8)

    async with open_pool(Resting, site, size=1) as pool:
        async with trio.open_nursery() as nursery:
            for _ in range(4):
                nursery.start_soon(claim)
        assert trio.current_time() == 32
        await trio.sleep(11)
        assert site.done == [42]


async def test_an_idle_timeout_that_is_no_number_crashes_a_claimed_worker_too(autojump_clock: MockClock) -> None:
    site = Site()
    async with open_pool(Resting, site, size=1) as pool:
        async with pool.claim() as worker:
            worker.cast_nowait(Resting.be_idle_after, "soon")
            await wait_all_tasks_blocked()
            assert (await worker.wait()).reason == "crashed"
        await trio.sleep(1)
        assert pool.statistics().idle == 1


async def test_a_worker_that_starts_while_callers_wait_is_not_idle(autojump_clock: MockClock) -> None:
    site = Site()
    async with open_pool(Resting, site, size=1) as pool, trio.open_nursery() as nursery:

        async def claim() -> None:
            async with pool.claim():
                await trio.sleep(30)

        async with pool.claim() as worker:
            nursery.start_soon(claim)
            await wait_all_tasks_blocked()
            worker.kill()
        await trio.sleep(29)
        assert site.done == []
