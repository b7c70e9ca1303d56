"""A change of the size: who leaves at once, and which keys move."""

from __future__ import annotations

from typing import Any

import pytest
import trio
from support.pools import Hand, Site
from trio.testing import MockClock, wait_all_tasks_blocked

from trioreg import Pool, open_pool

KEYS = [f"key {number}" for number in range(2_000)]


async def places_of_keys(pool: Pool[Hand]) -> dict[str, int]:
    """Which place each key goes to."""
    places = {ref._number: place for place, ref in enumerate(pool.workers())}
    return {key: places[await pool.call(Hand.who, key=key)] for key in KEYS}


@pytest.mark.parametrize("size", [1, 4, 9])
async def test_one_worker_more_gets_about_its_share_of_the_keys_and_no_other_key_moves(
    size: int, autojump_clock: MockClock
) -> None:
    async with open_pool(Hand, Site(), size=size, strategy="by_key") as pool:
        before = await places_of_keys(pool)
        await pool.resize(size + 1)
        after = await places_of_keys(pool)
        moved = [key for key in KEYS if before[key] != after[key]]
        assert {after[key] for key in moved} == {size}
        assert 0.8 < len(moved) * (size + 1) / len(KEYS) < 1.2
        await pool.resize(size)
        assert await places_of_keys(pool) == before


@pytest.mark.parametrize("strategy", ["idle_first", "round_robin", "least_loaded"])
async def test_idle_workers_that_leave_are_handed_out_no_more_from_that_step_on(
    strategy: Any, autojump_clock: MockClock
) -> None:
    async with open_pool(Hand, Site(), size=4, strategy=strategy) as pool, trio.open_nursery() as nursery:
        stay = {ref._number for ref in pool.workers()[:2]}
        got: set[int] = set()

        async def resize_and_look() -> None:
            nursery.start_soon(pool.resize, 2)
            while pool.statistics().size == 4:
                await trio.lowlevel.checkpoint()
            # The workers that leave may not have ended yet.
            assert (pool.statistics().size, pool.statistics().idle, pool.statistics().busy) == (2, 2, 0)
            for _ in range(6):
                got.add(await pool.call(Hand.who))

        await resize_and_look()
        assert got == stay


async def test_a_busy_worker_that_leaves_counts_no_more_and_gets_no_more_work(autojump_clock: MockClock) -> None:
    site = Site()
    async with open_pool(Hand, site, size=2) as pool, trio.open_nursery() as nursery:
        for number in range(2):
            nursery.start_soon(pool.call, Hand.work, number, 5 - number)
            await wait_all_tasks_blocked()
        nursery.start_soon(pool.resize, 1)
        await wait_all_tasks_blocked()
        now = pool.statistics()
        assert (now.size, now.idle, now.busy, len(pool.workers())) == (1, 0, 1, 2)
        nursery.start_soon(pool.call, Hand.note, "next")
        nursery.start_soon(pool.call, Hand.note, "next")
        await trio.sleep(6)
        assert (site.done, site.stopped) == ([1, 0, "next", "next"], 1)
        now = pool.statistics()
        assert (now.size, now.idle, now.busy, len(pool.workers())) == (1, 1, 0, 1)


async def test_a_claimed_worker_that_leaves_may_be_used_until_the_claim_ends(autojump_clock: MockClock) -> None:
    async with open_pool(Hand, Site(), size=2) as pool, trio.open_nursery() as nursery:
        async with pool.claim(), pool.claim() as last:
            nursery.start_soon(pool.resize, 1)
            await trio.sleep(50)
            assert await last.call(Hand.note, 1) == 1
        await last.wait()
        assert len(pool.workers()) == 1


async def test_callers_of_workers_that_leave_go_to_those_with_the_fewest_callers_of_their_own(
    autojump_clock: MockClock,
) -> None:
    async with open_pool(Hand, Site(), size=4, strategy="least_loaded") as pool, trio.open_nursery() as nursery:
        scopes = [trio.CancelScope() for _ in range(44)]
        ended: list[float] = []

        async def call(scope: trio.CancelScope) -> None:
            with scope:
                await pool.call(Hand.work, "work", 1)
                ended.append(trio.current_time())

        for scope in scopes:
            nursery.start_soon(call, scope)
            await wait_all_tasks_blocked()
        for number, scope in enumerate(scopes):
            if number >= 4 and number % 4 == 0:
                scope.cancel()  # all that wait for the first worker
        await wait_all_tasks_blocked()
        assert pool.statistics().waiting == 30
        await pool.resize(2)
    # 30 callers wait for two workers, one second for each. Four are at work already.
    assert len(ended) == 34
    assert max(ended) < 17
