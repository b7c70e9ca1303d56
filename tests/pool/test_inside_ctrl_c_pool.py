"""Tests the inside: Ctrl-C at any line of a pool loses no worker while it goes on, and leaves nothing behind."""

from __future__ import annotations

import logging
import math
import sys
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

import pytest
import trio
from support.interrupts import interrupted_at_each_line, tracing
from support.pools import Hand, Site, assert_whole
from trio.testing import wait_all_tasks_blocked

from trioreg import ActorExited, NotRunning, Pool, open_pool

FILES = (
    "claim.py",
    "core.py",
    "desk.py",
    "line.py",
    "mapping.py",
    "place.py",
    "pool.py",
    "pool_engine.py",
    "pool_supervisor.py",
    "strategy.py",
    "stuck.py",
)


@pytest.fixture(autouse=True)
def _no_log() -> Any:
    logging.disable()
    yield
    logging.disable(logging.NOTSET)


async def call(pool: Pool[Hand]) -> None:
    assert await pool.call(Hand.work, 1) == 1


async def cast(pool: Pool[Hand]) -> None:
    await pool.cast(Hand.work, 1)
    await pool.cast(Hand.work, 2)


async def claim(pool: Pool[Hand]) -> None:
    async with pool.claim() as worker:
        worker.cast_nowait(Hand.work, 1)


async def wait_in_line(pool: Pool[Hand]) -> None:
    async with trio.open_nursery() as nursery:
        for number in range(3):
            nursery.start_soon(pool.call, Hand.work, number)
            await wait_all_tasks_blocked()


async def give_up(pool: Pool[Hand]) -> None:
    await pool.cast(Hand.work, 1)
    with trio.move_on_after(0.5):
        await pool.call(Hand.work, 2)
    with trio.move_on_after(1):
        await pool.call(Hand.work, 3)


async def map_over(pool: Pool[Hand]) -> None:
    async with pool.map(Hand.work, [1, 2]) as results:
        assert [result async for result in results] == [1, 2]


async def crash(pool: Pool[Hand]) -> None:
    async with trio.open_nursery() as nursery:
        nursery.start_soon(pool.cast, Hand.crash_later)
        await wait_all_tasks_blocked()
        nursery.start_soon(pool.call, Hand.work, 2)


async def kill(pool: Pool[Hand]) -> None:
    async with pool.claim() as worker:
        worker.kill()


async def resize(pool: Pool[Hand]) -> None:
    await pool.resize(3)
    await pool.cast(Hand.work, 1)
    await pool.resize(1)


USES = [call, cast, claim, wait_in_line, give_up, map_over, crash, kill, resize]
ALL = [*((use, "idle_first") for use in USES), (wait_in_line, "round_robin"), (crash, "round_robin")]


@pytest.mark.usefixtures("interruptible")
@pytest.mark.filterwarnings("ignore:coroutine .* was never awaited")  # it was made, and then Ctrl-C came
@pytest.mark.parametrize(("use", "strategy"), ALL)
def test_ctrl_c_at_any_line_of_a_use_of_a_pool_loses_no_worker(
    use: Callable[[Pool[Hand]], Awaitable[None]], strategy: Any
) -> None:
    pool: Pool[Hand] = Pool("hands", Hand, Site(), size=1, strategy=strategy, max_restarts=math.inf)
    is_checked: list[str] = []

    async def main() -> None:
        counting = sys.gettrace()
        with tracing(None):
            async with open_pool(pool):
                try:
                    with tracing(counting):
                        await use(pool)
                except* (KeyboardInterrupt, ActorExited):
                    pass
                await trio.sleep(10)
                size = len(pool)
                assert size == 1 or use is resize
                await assert_whole(pool, size)
                is_checked.append(str(size))

    for place, errors in interrupted_at_each_line(main, *FILES):
        assert errors <= {KeyboardInterrupt}, place
        assert (len(pool), pool.workers(), len(pool.registry)) == (0, [], 0), place
    assert len(is_checked) > 10


@pytest.mark.usefixtures("interruptible")
@pytest.mark.filterwarnings("ignore:coroutine .* was never awaited")
def test_ctrl_c_at_any_line_of_a_pool_that_opens_or_ends_leaves_nothing_behind() -> None:
    site = Site()
    pool: Pool[Hand] = Pool("hands", Hand, site, size=2)
    most = 0

    async def main() -> None:
        site.started = site.stopped = 0
        async with trio.open_nursery() as nursery, open_pool(pool):
            with tracing(None):
                for number in range(3):
                    nursery.start_soon(ask, number)
                    await wait_all_tasks_blocked()

    async def ask(number: int) -> None:
        with suppress(NotRunning):
            await pool.call(Hand.work, number)

    for place, errors in interrupted_at_each_line(main, *FILES):
        assert errors <= {KeyboardInterrupt}, place
        assert (len(pool), pool.workers(), len(pool.registry)) == (0, [], 0), place
        assert site.started == site.stopped, place  # each worker that has started runs its `on_stop`
        most = max(most, site.started)
    assert most == 2
