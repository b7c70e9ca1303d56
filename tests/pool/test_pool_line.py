"""The line of a pool: its order under cancellations, its limit, its end, and its numbers."""

from __future__ import annotations

import logging
import random
from typing import Any

import pytest
import trio
from support.pools import Claimer, Hand, Site
from trio.testing import MockClock, wait_all_tasks_blocked

from trioreg import ActorExited, Backoff, NotRunning, Pool, PoolFull, PoolStatistics, open_pool


@pytest.fixture(autouse=True)
def _no_log() -> Any:
    logging.disable()
    yield
    logging.disable(logging.NOTSET)


# Order


async def test_ten_thousand_callers_that_give_up_at_random_are_served_in_the_order_in_which_they_came(
    autojump_clock: MockClock,
) -> None:
    chance = random.Random(20_000)
    waiting: dict[int, trio.CancelScope] = {}
    served: list[int] = []
    cancelled: set[int] = set()  # while they wait, or while they have a worker
    async with open_pool(Hand, Site(), size=1) as pool, trio.open_nursery() as nursery:

        async def ask(number: int, came: trio.Event) -> None:
            with trio.CancelScope() as scope:
                waiting[number] = scope
                came.set()
                async with pool.claim():
                    served.append(number)
                    await trio.sleep(chance.random() < 0.02)
            del waiting[number]

        async with pool.claim():
            for number in range(10_000):
                came = trio.Event()
                nursery.start_soon(ask, number, came)
                await came.wait()
        while waiting:
            # Some of those that wait give up, while others are being served.
            for number in chance.sample([*waiting], len(waiting) // 20 + 1):
                cancelled.add(number)
                waiting[number].cancel()
            await trio.sleep(1)
        assert pool.statistics().waiting == 0
        assert pool.statistics().idle == 1
    assert served == sorted(served)
    assert {*range(10_000)} - cancelled <= {*served}
    assert 1_000 < len(served) < 9_000


# The limit


@pytest.mark.parametrize("strategy", ["idle_first", "round_robin", "least_loaded"])
async def test_the_limit_counts_all_callers_that_wait_for_any_worker(strategy: Any, autojump_clock: MockClock) -> None:
    async with (
        open_pool(Hand, Site(), size=2, strategy=strategy, queue_limit=3) as pool,
        trio.open_nursery() as nursery,
    ):
        for number in range(5):
            nursery.start_soon(pool.call, Hand.work, number)
            await wait_all_tasks_blocked()
        assert pool.statistics().waiting == 3
        with pytest.raises(PoolFull, match="3 callers may wait"):
            await pool.call(Hand.work, 5)
        assert trio.current_time() == 0


async def test_a_caller_that_gave_up_makes_room_in_the_line(autojump_clock: MockClock) -> None:
    async with open_pool(Hand, Site(), size=1, queue_limit=1) as pool:
        await pool.cast(Hand.work, "work", 5)
        for _ in range(3):
            with trio.move_on_after(1) as scope:
                await pool.call(Hand.note, 1)
            assert scope.cancelled_caught


async def test_a_caller_whose_worker_dies_before_its_turn_is_not_refused_by_a_line_that_is_full(
    autojump_clock: MockClock,
) -> None:
    site = Site()
    async with open_pool(Hand, site, size=1, queue_limit=1) as pool, trio.open_nursery() as nursery:
        async with pool.claim() as worker:
            nursery.start_soon(pool.call, Hand.note, "first")
            await wait_all_tasks_blocked()
        worker.kill()  # given to the first, in this step
        await pool.call(Hand.note, "second")  # in the same step: it takes the only place in the line
        assert site.done == ["first", "second"]


# The end


async def test_a_caller_that_was_given_a_worker_in_the_step_in_which_the_pool_ends_does_not_get_it(
    autojump_clock: MockClock,
) -> None:
    site = Site()
    async with trio.open_nursery() as nursery:
        refused: list[str] = []
        async with open_pool(Hand, site, size=1) as pool:

            async def ask() -> None:
                try:
                    await pool.call(Hand.note, "too late")
                except NotRunning:
                    refused.append("refused")

            async with pool.claim():
                nursery.start_soon(ask)
                await wait_all_tasks_blocked()
            assert pool._engine is not None
            pool._engine.desk.close()
        assert (refused, site.done, site.stopped) == (["refused"], [], 1)


@pytest.mark.parametrize("is_claim", [False, True])
async def test_a_caller_in_line_that_is_cancelled_in_the_step_in_which_the_pool_ends_is_cancelled(
    is_claim: bool, autojump_clock: MockClock
) -> None:
    site = Site()
    async with open_pool(Hand, site, size=1) as pool, trio.open_nursery() as nursery:

        async def ask() -> None:
            if is_claim:
                async with pool.claim():
                    site.done.append("too late")
            else:
                await pool.call(Hand.note, "too late")

        async with pool.claim():
            nursery.start_soon(ask)
            await wait_all_tasks_blocked()
            assert pool._engine is not None
            pool._engine.desk.close()
            nursery.cancel_scope.cancel()  # `NotRunning` would leave the nursery
    assert (nursery.cancel_scope.cancelled_caught, site.done) == (True, [])


@pytest.mark.parametrize("strategy", ["idle_first", "round_robin", "least_loaded"])
async def test_all_callers_in_line_are_refused_when_the_pool_ends(strategy: Any, autojump_clock: MockClock) -> None:
    site = Site()
    async with trio.open_nursery() as nursery:
        refused: list[int] = []

        async def ask(pool: Pool[Hand], number: int) -> None:
            with pytest.raises(NotRunning):
                await pool.call(Hand.note, number)
            refused.append(number)

        async with open_pool(Hand, site, size=2, strategy=strategy) as pool:
            for number in range(2):
                await pool.cast(Hand.work, number)
            for number in range(10):
                nursery.start_soon(ask, pool, number)
            await wait_all_tasks_blocked()
            assert pool.statistics().waiting == 10
        assert (sorted(refused), sorted(site.done)) == ([*range(10)], [0, 1])


async def test_a_call_is_not_tried_again_after_the_end_of_the_pool(autojump_clock: MockClock) -> None:
    async with trio.open_nursery() as nursery:
        errors: list[Exception] = []
        async with open_pool(Hand, Site(), size=1, shutdown=1) as pool:

            async def ask() -> None:
                try:
                    await pool.call(Hand.work, 1, 10, retries=5, idempotent=True)
                except (ActorExited, NotRunning) as error:
                    errors.append(error)

            nursery.start_soon(ask)
            await wait_all_tasks_blocked()
        await wait_all_tasks_blocked()
        assert (trio.current_time(), len(errors)) == (1, 1)
        assert isinstance(errors[0], NotRunning)


# The numbers


async def test_the_numbers_of_a_new_pool(autojump_clock: MockClock) -> None:
    async with open_pool(Hand, Site(), size=3) as pool:
        assert pool.statistics() == PoolStatistics(3, 3, 0, 0, 0.0, 0, 0.0, 0.0, 0)


async def test_a_wait_that_is_given_up_is_not_counted_and_one_for_no_time_is(autojump_clock: MockClock) -> None:
    async with open_pool(Hand, Site(), size=1) as pool, trio.open_nursery() as nursery:
        with trio.move_on_after(5):
            async with trio.open_nursery() as claimers:
                given_to: list[int] = []
                claimers.start_soon(Claimer(0).run, pool, given_to)
                await wait_all_tasks_blocked()
                await pool.call(Hand.note, 1)
        now = pool.statistics()
        assert (now.waiting, now.waits, now.total_wait, now.max_wait) == (0, 0, 0, 0)
        async with pool.claim():
            nursery.start_soon(pool.call, Hand.note, 2)
            await wait_all_tasks_blocked()
        await wait_all_tasks_blocked()
        now = pool.statistics()
        assert (now.waiting, now.waits, now.total_wait, now.max_wait) == (0, 1, 0, 0)


async def test_the_longest_wait_is_that_of_the_first_of_all_lines(autojump_clock: MockClock) -> None:
    async with open_pool(Hand, Site(), size=2, strategy="round_robin") as pool, trio.open_nursery() as nursery:
        for number in range(2):
            await pool.cast(Hand.work, number, 10)
        for number in range(3):
            nursery.start_soon(pool.call, Hand.note, number)
            await trio.sleep(1)
        assert (pool.statistics().waiting, pool.statistics().longest_wait) == (3, 3)


async def test_only_crashes_are_counted_as_crashes(autojump_clock: MockClock) -> None:
    site = Site()
    async with open_pool(Hand, site, size=1, max_restarts=100, backoff=Backoff(1, 1, jitter=0)) as pool:
        for end in ("kill", "cancel"):
            getattr(pool.workers()[0], end)()
            await trio.sleep(5)
        await pool.cast(Hand.finish)
        await trio.sleep(5)
        assert pool.statistics().crashes == 0
        site.fails = 2  # two starts that fail, after the crash of a handler
        await pool.cast(Hand.crash)
        await trio.sleep(10)
        assert (pool.statistics().crashes, pool.statistics().idle) == (3, 1)


async def test_a_worker_is_idle_or_busy_or_away(autojump_clock: MockClock) -> None:
    async with open_pool(Hand, Site(), size=3, backoff=Backoff(10, 10, jitter=0)) as pool:
        pool.workers()[0].kill()
        await wait_all_tasks_blocked()
        await pool.cast(Hand.work, 1, 5)
        now = pool.statistics()
        assert (now.size, now.idle, now.busy) == (3, 1, 1)
