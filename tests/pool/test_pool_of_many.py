"""A pool with very many workers or callers: what ends or wakes all of them does so a few at a time."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from typing import Any, TypeVar

import pytest
import trio
from support.inside import CRASHES_PER_TURN, WOKEN_PER_PASS
from support.pools import Hand, Site, assert_whole
from support.steps import Passes
from trio.testing import MockClock, wait_all_tasks_blocked

from trioreg import NotRunning, Pool, open_pool

CALLERS = 10 * WOKEN_PER_PASS
WORKERS = 300


class Stops(trio.abc.Instrument):
    """The greatest number of workers that run their `on_stop` in one pass of the scheduler."""

    def __init__(self, site: Site) -> None:
        self.most = 0
        self._site = site
        self._before = site.stopped

    def before_io_wait(self, timeout: float) -> None:
        self.most = max(self.most, self._site.stopped - self._before)
        self._before = self._site.stopped


W = TypeVar("W", bound=trio.abc.Instrument)


@contextmanager
def watched_by(instrument: W) -> Generator[W]:
    trio.lowlevel.add_instrument(instrument)
    yield instrument
    trio.lowlevel.remove_instrument(instrument)


@pytest.mark.parametrize("busy", [False, True])
async def test_many_workers_that_leave_end_a_few_at_a_time(busy: bool, autojump_clock: MockClock) -> None:
    site = Site()
    async with open_pool(Hand, site, size=WORKERS, shutdown=100) as pool, trio.open_nursery() as nursery:
        if busy:
            for number in range(WORKERS):
                nursery.start_soon(pool.call, Hand.work, number)
        await wait_all_tasks_blocked()
        with watched_by(Stops(site)) as stops:
            await pool.resize(1)
        assert site.stopped == WORKERS - 1
        assert 0 < stops.most <= 3 * CRASHES_PER_TURN  # in any order within a pass: two turns may be in one
        await assert_whole(pool, 1)


async def test_many_workers_of_a_pool_that_ends_end_a_few_at_a_time(autojump_clock: MockClock) -> None:
    site = Site()
    stops = Stops(site)
    async with open_pool(Hand, site, size=WORKERS, shutdown=100):
        trio.lowlevel.add_instrument(stops)
    trio.lowlevel.remove_instrument(stops)
    assert site.stopped == WORKERS
    assert 0 < stops.most <= 3 * CRASHES_PER_TURN


async def test_very_many_workers_that_leave_are_all_handed_out_no_more_from_that_step_on(
    autojump_clock: MockClock,
) -> None:
    site = Site()
    async with open_pool(Hand, site, size=WORKERS) as pool, trio.open_nursery() as nursery:
        stays = pool.workers()[0]._number
        nursery.start_soon(pool.resize, 1)
        while pool.statistics().size == WORKERS:
            await trio.lowlevel.checkpoint()
        assert site.stopped < WORKERS - 1
        for _ in range(6):
            assert await pool.call(Hand.who) == stays


@pytest.mark.parametrize("strategy", ["idle_first", "round_robin"])
async def test_many_callers_in_line_are_refused_a_few_at_a_time(strategy: Any, autojump_clock: MockClock) -> None:
    refused = 0

    async def call(pool: Pool[Hand]) -> None:
        nonlocal refused
        with pytest.raises(NotRunning):
            await pool.call(Hand.note, "never")
        refused += 1

    site, passes = Site(), Passes()
    async with trio.open_nursery() as nursery:
        async with open_pool(Hand, site, size=2, strategy=strategy, shutdown=100) as pool:
            for number in range(2):
                nursery.start_soon(pool.call, Hand.work, number)
            await wait_all_tasks_blocked()
            for _ in range(CALLERS):
                nursery.start_soon(call, pool)
            await wait_all_tasks_blocked()
            assert pool.statistics().waiting == CALLERS
            trio.lowlevel.add_instrument(passes)
        trio.lowlevel.remove_instrument(passes)
        await wait_all_tasks_blocked()
        assert refused == CALLERS
    assert sorted(site.done) == [0, 1]
    assert passes.most <= 2 * WOKEN_PER_PASS + 20


@pytest.mark.parametrize("strategy", ["round_robin", "least_loaded", "by_key"])
async def test_callers_that_change_their_line_are_not_woken_for_it(strategy: Any, autojump_clock: MockClock) -> None:
    site = Site()

    async def call(number: int) -> None:
        key: Any = {"key": number % 7} if strategy == "by_key" else {}
        await pool.call(Hand.note, number, **key)

    async with open_pool(Hand, site, size=9, strategy=strategy) as pool, trio.open_nursery() as nursery:
        for ref in pool.workers():
            ref.cast_nowait(Hand.work, "busy")
        await wait_all_tasks_blocked()
        for number in range(CALLERS):
            nursery.start_soon(call, number)
        await wait_all_tasks_blocked()
        with watched_by(Passes()) as passes:
            nursery.start_soon(pool.resize, 1)
            await wait_all_tasks_blocked()
        assert pool.statistics().size == 1
        assert passes.most <= 100
        await trio.sleep(50)
        notes = [what for what in site.done if isinstance(what, int)]
        assert len(notes) == CALLERS
        await assert_whole(pool, 1)
